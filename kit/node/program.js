// The program twinhub, found and started as a hub for tests.
'use strict';
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const LOG_MAX = 1 << 18; // characters of the hub's log that are kept
const READY_MS = 60_000;
const STOP_MS = 10_000;

function executable(file) {
	try {
		fs.accessSync(file, fs.constants.X_OK);
		return fs.statSync(file).isFile();
	} catch {
		return false;
	}
}

// TWINHUB_BIN, else the first twinhub of PATH. Throws, and says where it has looked.
function findProgram(env = process.env) {
	if (env.TWINHUB_BIN) {
		const file = path.resolve(env.TWINHUB_BIN);
		if (executable(file)) return file;
		throw new Error(`TWINHUB_BIN is ${env.TWINHUB_BIN}, which is no program`);
	}
	for (const dir of (env.PATH ?? '').split(path.delimiter)) {
		const file = path.resolve(dir, 'twinhub');
		if (dir !== '' && executable(file)) return file;
	}
	throw new Error('no program twinhub in PATH: install it, or set TWINHUB_BIN to where it is');
}

// A seed that is given as values becomes a file for the time of the start.
function seedFile(seed) {
	if (seed === undefined || typeof seed === 'string') return { file: seed, remove() {} };
	const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'twinhub-seed-'));
	const file = path.join(dir, 'seed.ndjson');
	fs.writeFileSync(file, seed.map((line) => `${JSON.stringify(line)}\n`).join(''));
	return { file, remove: () => fs.rmSync(dir, { recursive: true, force: true }) };
}

function says(end) {
	return end.error ? end.error.message : end.signal ? `signal ${end.signal}` : `exit code ${end.code}`;
}

// A hub that runs; `ready` is its ready line.
class HubProcess {
	#child;
	#log = '';
	#ended;
	stopping = false;

	constructor(child) {
		this.#child = child;
		child.stderr.setEncoding('utf8').on('data', (text) => { this.#log = (this.#log + text).slice(-LOG_MAX); });
		child.stdin.on('error', () => {}); // it has ended: that is told elsewhere
		this.#ended = new Promise((resolve) => {
			child.once('error', (error) => resolve({ code: null, signal: null, error }));
			child.once('close', (code, signal) => resolve({ code, signal }));
		});
	}

	get log() { return this.#log; }
	get pid() { return this.#child.pid; }
	ended() { return this.#ended; }

	async line(timeoutMs) {
		let out = '', timer;
		const line = new Promise((resolve) => this.#child.stdout.setEncoding('utf8').on('data', (text) => {
			out += text;
			if (out.includes('\n')) resolve(out.slice(0, out.indexOf('\n')));
		}));
		const late = new Promise((resolve) => { timer = setTimeout(resolve, timeoutMs, null); });
		const first = await Promise.race([line, late, this.#ended]);
		clearTimeout(timer);
		if (typeof first === 'string') return JSON.parse(first);
		if (first === null) {
			this.#child.kill('SIGKILL');
			throw new Error(`the hub was not ready in ${timeoutMs / 1000} s\n${this.#log}`);
		}
		throw new Error(`the hub has not started (${says(first)})\n${this.#log}`.trimEnd());
	}

	// A program that forgets to stop its hub ends all the same, and its hub with it.
	#hold(held) {
		for (const part of [this.#child, this.#child.stdin, this.#child.stdout, this.#child.stderr]) held ? part.ref() : part.unref();
	}

	release() { this.#hold(false); }

	async stop() {
		this.stopping = true;
		this.#hold(true);
		this.#child.stdin.end();
		this.#child.kill('SIGTERM');
		let killed = false;
		const timer = setTimeout(() => { killed = this.#child.kill('SIGKILL'); }, STOP_MS);
		const end = await this.#ended;
		clearTimeout(timer);
		if (killed) fs.rmSync(this.ready.data, { recursive: true, force: true }); // it could not do so itself
		return end;
	}
}

// options: seed (a file, or an array of lines as objects), ports ('any'), args (more of `twinhub serve`), timeoutMs.
async function startProgram({ seed, ports, args = [], timeoutMs = READY_MS, env = process.env } = {}) {
	const program = findProgram(env), planted = seedFile(seed);
	const argv = ['serve', '--ephemeral', '--clock', ...(ports ? ['--ports', ports] : []), ...(planted.file ? ['--seed', planted.file] : []), ...args];
	try {
		// A session of its own: Ctrl-C in a terminal is for the tests, and the hub ends with them.
		const hub = new HubProcess(spawn(program, argv, { stdio: ['pipe', 'pipe', 'pipe'], detached: true, env }));
		hub.ready = await hub.line(timeoutMs);
		hub.release();
		return hub;
	} finally {
		planted.remove();
	}
}

module.exports = { findProgram, startProgram, says };
