// Commands on a running hub.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { BINARY, Inbox, WAIT_MS, within } from '../lib/hub.mjs';

const children = new Set();

// A function that runs a command on the hub's data directory and fails unless it ends with `code`. It resolves to what was
// printed, JSON parsed; or to the one line on stderr.
export function commands(hub) {
	return async (args, { code = 0, ...options } = {}) => {
		const r = await hub.cli(args, options);
		assert.equal(r.code, code, `${args.join(' ')}: ${r.stdout}${r.stderr}`);
		if (code !== 0) {
			assert.match(r.stderr, /^twinhub: [^\n]+\n$/, 'one clear line');
			return r.stderr;
		}
		assert.equal(r.stderr, '');
		return /^[[{]/.test(r.stdout) ? JSON.parse(r.stdout) : r.stdout;
	};
}

// A command that goes on: what it prints comes in pieces; on a terminal child.stdin is the keyboard, and then: what its shell does when the
// command has stopped.
export function watching(hub, args, { terminal = false, then } = {}) {
	const words = [BINARY, ...args, '--data', hub.dir];
	const quoted = words.map((w) => `'${w.replaceAll("'", "'\\''")}'`).join(' ');
	const child = terminal
		? spawn('script', ['-qec', then === undefined ? `exec ${quoted}` : `set -m; ${quoted}; ${then}`, '/dev/null'], { stdio: 'pipe' })
		: spawn(words[0], words.slice(1), { stdio: 'pipe' });
	const pieces = new Inbox();
	let text = '', errors = '';
	children.add(child);
	child.stdout.setEncoding('utf8').on('data', (d) => pieces.push(text += d));
	child.stderr.setEncoding('utf8').on('data', (d) => pieces.push(errors += d));
	const ended = new Promise((resolve) => child.once('close', (code, signal) => {
		children.delete(child);
		resolve({ code, signal });
	}));
	return {
		child,
		get text() { return text; },
		get errors() { return errors; },
		async until(test, what) {
			for (const end = Date.now() + WAIT_MS; Date.now() < end;) {
				const found = test(text);
				if (found) return found;
				await pieces.next(undefined, what);
			}
			throw new Error(`waited in vain for ${what}; there is ${JSON.stringify(text.slice(-500))} ${errors}`);
		},
		ended: () => within(ended, 'the command to end'),
	};
}

// For after(): a test that failed may have left commands behind.
export function endWatching() {
	for (const child of children) child.kill('SIGKILL');
}
