// Programs that are not this project's, run to their end or talked to line by line.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import readline from 'node:readline';
import { Inbox, within } from './wait.mjs';

export class Program {
	lines = new Inbox(); // of its standard output
	stderr = '';
	stdout = '';

	constructor(file, args, env = {}) {
		this.file = file;
		this.child = spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...env } });
		this.child.stderr.setEncoding('utf8').on('data', (text) => { this.stderr += text; });
		readline.createInterface({ input: this.child.stdout }).on('line', (line) => {
			this.stdout += `${line}\n`;
			this.lines.push(line);
		});
		this.#ended = Promise.race([once(this.child, 'close'), once(this.child, 'error').then(([error]) => { throw error; })]);
		this.#ended.catch(() => {});
	}

	#ended;

	// The next line that fits.
	line(test, what) { return this.lines.next(test, `${this.file}: ${what}; so far: ${this.stdout}${this.stderr}`); }
	write(text) { this.child.stdin.write(text); }

	// {code, stdout, stderr} when it has ended, by itself or by the signal.
	async end(signal) {
		if (signal) this.child.kill(signal);
		const [code] = await within(this.#ended, `${this.file} to end`);
		return { code, stdout: this.stdout, stderr: this.stderr };
	}
}

export function runProgram(file, args, env) { return new Program(file, args, env).end(); }
