// Commands on a running hub.
import assert from 'node:assert/strict';

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
