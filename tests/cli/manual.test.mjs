// What is printed from the tables of commands and options: the manual pages, and the completions of bash and zsh as these shells run them.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import path from 'node:path';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { BINARY } from '../lib/hub.mjs';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');

function run(program, args, input = '') {
	const r = spawnSync(program, args, { input, encoding: 'utf8' });
	assert.equal(r.error, undefined, `${program}: ${r.error}`);
	return r;
}

const printed = new Map();
function print(...args) {
	const key = args.join(' ');
	if (!printed.has(key)) {
		const r = run(BINARY, args);
		assert.equal(r.status, 0, r.stderr);
		printed.set(key, r.stdout);
	}
	return printed.get(key);
}

const help = print('--help');
const commands = [...help.matchAll(/^ {2}([a-z][a-z-]*(?: [a-z][a-z-]*)?)(?= )/gm)].map((m) => m[1].trim()).filter((name) => !/^help|^completion|^version/.test(name));
const optionsOf = (command) => [...print('help', ...command.split(' ')).matchAll(/^ {2}(--[a-z0-9-]+)/gm)].map((m) => m[1]);

test('the manual pages are well-formed, and have every command and option', () => {
	const pages = { '': commands.map((c) => `   ${c}`), serve: optionsOf('serve') };
	for (const [name, words] of Object.entries(pages)) {
		const r = run('man', ['--warnings', '-E', 'ascii', '-l', '-'], print('help', '--man', ...(name ? [name] : [])));
		assert.equal(r.status, 0);
		assert.equal(r.stderr, '', 'groff complains of nothing');
		for (const word of words) assert.ok(new RegExp(`^ *${word.trim()}\\b`, 'm').test(r.stdout), `${name}: ${word}`);
	}
});

test('what is no page, table or shell is refused', () => {
	for (const args of [['help', '--man', 'query'], ['help', '--markdown'], ['help', '--markdown', 'x'], ['help', '--nothing'], ['completion'], ['completion', 'csh'], ['completion', 'bash', 'x']]) {
		const r = run(BINARY, args);
		assert.deepEqual([r.status, r.stdout], [2, ''], args.join(' '));
		assert.match(r.stderr, /^twinhub: usage: [^\n]+\n$/);
	}
	assert.match(print('completion', '--help'), /^usage: twinhub completion/);
	assert.equal(print('help', 'completion'), print('completion', '--help'));
});

test('no line of --help is longer than 100 columns, examples aside', () => {
	for (const command of commands)
		for (const line of print('help', ...command.split(' ')).replace(/\nexample:[^]*/, '').split('\n')) assert.ok(line.length <= 100, line);
});

test('every value that is out of range is refused before anything is asked, with option, value and range', () => {
	const refused = (args, text) => {
		const r = run(BINARY, args);
		assert.deepEqual([r.status, r.stderr], [2, `twinhub: ${text}\n`]);
	};
	refused(['method', 'invoke', 'd', 'm', '--timeout', '4'], '--timeout 4: not a number from 5 to 300');
	refused(['device', 'list', '--timeout', '0'], '--timeout 0: not a number from 1 to 3600');
	refused(['job', 'list', '--status', 'gone'], '--status gone: not queued, scheduled, running, completed, failed, cancelled, canceled, enqueued or unknown');
	refused(['device', 'update', 'd', '--status=off'], '--status off: not enabled or disabled');
	refused(['diff', '--rate', '10001'], '--rate 10001: not a number from 1 to 10000');
	refused(['job', 'create', 'method', 'j', '--rate', '1000001'], '--rate 1000001: not a number from 1 to 1000000');
	refused(['policy', 'rotate', 'p', '--key', 'third'], '--key third: not primary or secondary');
	refused(['serve', '--data', '/nowhere', '--workers', '65'], '--workers 65: not a number from 1 to 64, or 0');
});

// What bash offers when the cursor stands behind the last word; words as readline cuts them.
function bash(...words) {
	const script = `${print('completion', 'bash')}
compopt() { :; }
COMP_WORDS=(twinhub "$@"); COMP_CWORD=$#
_twinhub
printf '%s\\n' "\${COMPREPLY[@]}"`;
	const r = run('bash', ['-uc', script, 'bash', ...words]);
	assert.equal(r.stderr, '');
	return r.stdout.split('\n').filter(Boolean);
}

test('bash completes commands, options, words and paths', () => {
	assert.deepEqual(new Set(bash('')), new Set(['help', 'completion', 'version', ...commands.map((c) => c.split(' ')[0])]));
	assert.deepEqual(bash('con'), ['connection', 'configuration', 'connection-string']);
	assert.deepEqual(bash('device', 'd'), ['delete']);
	assert.deepEqual(bash('help', 'device', 'd'), ['delete']);
	for (const command of commands) assert.deepEqual(new Set(bash(...command.split(' '), '--')), new Set(['--help', ...optionsOf(command)]), command);
	assert.deepEqual(bash('device', 'update', 'x', '--status', ''), ['enabled', 'disabled']);
	assert.deepEqual(bash('device', 'update', 'x', '--status', '=', 'e'), ['enabled']);
	assert.deepEqual(bash('job', 'list', '--status', '='), bash('job', 'list', '--status', ''));
	assert.ok(bash('job', 'list', '--status', '').includes('queued'));
	assert.deepEqual(bash('device', 'list', '--json', '--tab'), ['--table'], 'a switch has no value');
	assert.deepEqual(bash('device', 'list', '--timeout', ''), [], 'a number is not offered');
	assert.deepEqual(bash('serve', '--data', `${ROOT}/tests/cl`), [`${ROOT}/tests/cli`]);
	assert.deepEqual(bash('serve', '--cert', `${ROOT}/READ`), [`${ROOT}/README.md`]);
	assert.deepEqual(bash('import', `${ROOT}/READ`), [`${ROOT}/README.md`]);
	assert.deepEqual(bash('serve', '--strict-queries', '--ver'), ['--verify'], 'yes or no stands behind = only');
});

// The function that zsh would call, with the two of its library that show matches in place of them: they print what they get.
function zsh(...words) {
	const script = `${print('completion', 'zsh').replace(/_twinhub "\$@"\n$/, '')}
_describe() { print -rl -- "\${(@P)2%%:*}"; }
_arguments() { print -rl -- "$@"; }
words=(twinhub "$@"); CURRENT=$#words
_twinhub`;
	const r = run('zsh', ['-fuc', script, 'zsh', ...words]);
	assert.equal(r.stderr, '');
	return r.stdout.split('\n').filter(Boolean);
}

test('zsh completes commands and has every option of each', () => {
	assert.deepEqual(new Set(zsh('')), new Set(['help', 'completion', 'version', ...commands.map((c) => c.split(' ')[0])]));
	assert.deepEqual(zsh('policy', '').slice(0, 2), ['show', 'create']);
	for (const command of commands) {
		const options = zsh(...command.split(' '), '').filter((line) => /^\*?--/.test(line)).map((line) => /--[a-z0-9-]+/.exec(line)[0]);
		assert.deepEqual(new Set(options), new Set(['--help', ...optionsOf(command)]), command);
	}
	assert.ok(zsh('device', 'update', '').includes('--status=[whether the device may connect]:STATUS:(enabled disabled)'));
	assert.ok(zsh('serve', '').includes('--data=[the data directory; made when missing]:DIR:_files -/'));
});

// What fish itself offers for each line, in one process: its start takes longer than its answers.
function fish(lines) {
	const asked = lines.map((line) => `complete -C ${JSON.stringify(line.replaceAll('$', '\\$'))}; echo ==`).join('\n');
	const r = run('fish', ['--no-config', '-c', `${print('completion', 'fish')}\n${asked}`]);
	assert.equal(r.stderr, '');
	return r.stdout.split('==\n').slice(0, -1).map((part) => part.split('\n').filter(Boolean).map((l) => l.split('\t')[0].replace(/=$/, '')));
}

test('fish completes commands, options, words and paths', () => {
	const expected = [
		['twinhub ', ['help', 'completion', 'version', ...commands.map((c) => c.split(' ')[0])]],
		['twinhub device d', ['delete']],
		['twinhub device update x --status ', ['disabled', 'enabled']],
		['twinhub completion ', ['bash', 'fish', 'zsh']],
		[`twinhub import ${ROOT}/READ`, [`${ROOT}/README.md`]],
		[`twinhub serve --data ${ROOT}/tests/cl`, [`${ROOT}/tests/cli/`]],
		...commands.map((command) => [`twinhub ${command} --`, ['--help', ...optionsOf(command)]]),
	];
	const offered = fish(expected.map(([line]) => line));
	assert.equal(offered.length, expected.length);
	for (const [i, [line, words]] of expected.entries()) assert.deepEqual(new Set(offered[i]), new Set(words), line);
});
