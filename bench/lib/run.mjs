// Runs one of the load generators of this folder: its last line of output is one JSON object.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

export function generator(name, binDir) {
	const file = path.join(binDir, name);
	if (!fs.existsSync(file)) throw new Error(`no ${file}: cmake --preset release && ninja -C build/release ${name}`);
	return file;
}

export function runGenerator(file, options, env = {}) {
	const argv = Object.entries(options).filter(([, v]) => v !== undefined && v !== null)
		.flatMap(([name, value]) => [`--${name}`, String(value)]);
	return new Promise((resolve, reject) => {
		const child = spawn(file, argv, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'inherit'] });
		let out = '';
		child.stdout.setEncoding('utf8').on('data', (text) => { out += text; });
		child.once('error', reject);
		child.once('close', (code) => {
			if (code !== 0) reject(new Error(`${path.basename(file)} ${argv.join(' ')} ended with ${code}`));
			else resolve(JSON.parse(out.trim().split('\n').at(-1)));
		});
	});
}
