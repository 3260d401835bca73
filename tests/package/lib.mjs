// For the tests of packages and images: what scripts/package and scripts/image have left, and a Debian in a folder to install it in.
// They take root and a network, and minutes: ./check --long.
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { REPOSITORY, tempDir } from '../lib/hub.mjs';

export const BUILT = path.resolve(REPOSITORY, process.env.TWINHUB_PACKAGES ?? 'build/release');
export const ARCH = spawnSync('dpkg', ['--print-architecture'], { encoding: 'utf8' }).stdout.trim();
export const NEEDS_ROOT = process.getuid() === 0 ? false : 'takes root';
const MINUTES = 60_000 * Number(process.env.TWINHUB_TEST_SLOW ?? 1);

// The one file of that name among what was built.
export function built(pattern) {
	const found = fs.existsSync(BUILT) ? fs.readdirSync(BUILT).filter((name) => pattern.test(name)) : [];
	if (found.length !== 1) throw new Error(`${found.length} files like ${pattern} in ${BUILT}: run scripts/package and scripts/image`);
	return path.join(BUILT, found[0]);
}

// Runs a program to its end: {status, text}, text being all that it said.
export function run(program, args, options = {}) {
	const r = spawnSync(program, args, { encoding: 'utf8', timeout: 15 * MINUTES, maxBuffer: 1 << 26, ...options });
	if (r.error) throw r.error;
	return { status: r.status, text: r.stdout + r.stderr };
}

// The same; anything but success is an error that has the end of what it said.
export function must(program, args, options) {
	const r = run(program, args, options);
	if (r.status !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${r.status}:\n${r.text.slice(-4000)}`);
	return r.text;
}

// A Debian 12 in a folder: debootstrap's smallest, with /proc and /dev.
export class Root {
	#mounts = [];

	constructor({ include = [] } = {}) {
		this.dir = path.join(tempDir('root'), 'root');
		must('debootstrap', ['--variant=minbase', ...(include.length > 0 ? [`--include=${include}`] : []), 'bookworm', this.dir]);
		this.#mount(['-t', 'proc', 'proc'], 'proc');
		this.#mount(['--bind', '/dev'], 'dev');
		// No service is started in a folder.
		fs.writeFileSync(this.at('usr/sbin/policy-rc.d'), '#!/bin/sh\nexit 101\n', { mode: 0o755 });
		must('chroot', this.#words(['apt-get', 'update', '-q']));
	}

	#mount(what, where) {
		must('mount', [...what, this.at(where)]);
		this.#mounts.push(this.at(where));
	}

	#words(words) {
		return [this.dir, '/usr/bin/env', '-i', 'DEBIAN_FRONTEND=noninteractive', 'LC_ALL=C', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin', ...words];
	}

	at(...names) { return path.join(this.dir, ...names); }
	run(...words) { return run('chroot', this.#words(words)); }
	must(...words) { return must('chroot', this.#words(words)); }
	spawn(...words) { return spawn('chroot', this.#words(words), { stdio: ['ignore', 'pipe', 'pipe'] }); }

	unmount() {
		for (const at of this.#mounts.reverse()) run('umount', [at]);
		this.#mounts = [];
	}

	close() { this.unmount(); }
}
