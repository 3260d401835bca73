// What is printed from the tables of commands and options: the manual pages, and the completions of bash and zsh as these shells run them.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { BINARY, tempDir } from '../lib/hub.mjs';

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

const scratch = tempDir('manual');

test('O-107 a page for the program, for each command and for the settings: mdoc, of which mandoc and groff say nothing', () => {
	const r = run(path.join(ROOT, 'scripts/pages'), [BINARY, path.join(scratch, 'man')]);
	assert.equal(r.status, 0, r.stderr);
	const pages = ['1', '5', '8'].flatMap((n) => fs.readdirSync(path.join(scratch, 'man', `man${n}`)).map((name) => path.join(scratch, 'man', `man${n}`, name)));
	const names = new Set(pages.map((page) => path.basename(page)));
	assert.deepEqual(names, new Set(['twinhub.1', 'twinhub.conf.5', ...commands.map((c) => `twinhub-${c.replace(' ', '-')}.${c === 'serve' ? 8 : 1}`)]));
	const text = Object.fromEntries(pages.map((page) => [path.basename(page), fs.readFileSync(page, 'utf8')]));
	for (const page of Object.values(text))
		for (const [, name, section] of page.matchAll(/^\.(?:It )?Xr (\S+) (\d)/gm)) assert.ok(names.has(`${name}.${section}`), `there is ${name}(${section})`);
	// It looks for other pages where they are installed: that they are there was seen above.
	const lint = run('mandoc', ['-T', 'lint', '-W', 'all', ...pages]).stdout.split('\n').filter((line) => line && !/referenced manual not found: Xr twinhub/.test(line));
	assert.deepEqual(lint, []);
	const groff = run('man', ['--warnings', '-E', 'ascii', '-l', ...pages.filter((page) => /twinhub\.|serve|device-create/.test(page))]); // slow: not all
	assert.deepEqual([groff.status, groff.stderr], [0, '']);
	for (const command of commands) {
		const page = text[`twinhub-${command.replace(' ', '-')}.${command === 'serve' ? 8 : 1}`];
		assert.deepEqual(new Set([...page.matchAll(/^\.It Fl \\-(\S+)/gm)].map((m) => `--${m[1].replaceAll('\\-', '-')}`)), new Set(optionsOf(command)), command);
		assert.equal(run(BINARY, ['help', '--man', ...command.split(' ')]).stdout, page);
	}
	for (const command of commands) assert.ok(text['twinhub.1'].includes(`.It Xr twinhub-${command.replace(' ', '-')} `), command);
});

const template = () => print('help', '--markdown', 'settings');

test('O-105 O-107 the settings of the package and twinhub.conf(5) have each option that a file may have, with what holds without it', () => {
	const inFile = new Set(['data']); // each name, once among comments
	for (const [, name] of template().matchAll(/^# ([a-z0-9-]+) (?=[^\n]*$)/gm)) if (/^[a-z0-9-]+$/.test(name)) inFile.add(name);
	const page = print('help', '--man', 'twinhub.conf');
	const inPage = new Set([...page.matchAll(/^\.It Ic (\S+)/gm)].map((m) => m[1].replaceAll('\\-', '-')));
	const inAFile = (name) => {
		fs.writeFileSync(path.join(scratch, 'one.conf'), `${name} x\n`);
		return !/ is no setting| is for the command line only/.test(run(BINARY, ['serve', '--check', '--config', path.join(scratch, 'one.conf')]).stderr);
	};
	const taken = optionsOf('serve').map((o) => o.slice(2)).filter(inAFile);
	assert.deepEqual(inPage, new Set(taken));
	assert.ok(taken.length > 40 && !taken.includes('config'));
	for (const name of taken) assert.ok(inFile.has(name), `${name} is in the file`);
	assert.equal(fs.readFileSync(path.join(ROOT, 'packaging/twinhub.conf'), 'utf8'), template());
	// Every line that is commented out is one that a start takes, where it has a value of its own.
	const lines = template().split('\n').filter((line) => /^# [a-z0-9-]+ \S+$/.test(line)).map((line) => line.slice(2));
	const whole = lines.filter((line) => taken.includes(line.split(' ')[0]) && !/[ :][A-Z]{2,}$/.test(line));
	assert.ok(whole.length > 20, `${whole.length} lines`);
	fs.writeFileSync(path.join(scratch, 'whole.conf'), `data ${scratch}/data\n${whole.join('\n')}\n`);
	const r = run(BINARY, ['serve', '--check', '--config', path.join(scratch, 'whole.conf'), '--bind', '127.0.0.1', '--https-port', '0', '--mqtts-port', '0']);
	assert.equal(r.status, 0, r.stdout + r.stderr);
});

test('what is no page, table or shell is refused', () => {
	for (const args of [['help', '--man', 'nothing'], ['help', '--man', 'device'], ['help', '--man', 'device', 'create', 'x'], ['help', '--markdown'], ['help', '--markdown', 'x'], ['help', '--nothing'], ['completion'], ['completion', 'csh'], ['completion', 'bash', 'x']]) {
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

test('O-108 bash completes commands, options, words and paths', () => {
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
	assert.deepEqual(bash('serve', '--data', `${ROOT}/tests/cra`), [`${ROOT}/tests/crash`]);
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

test('O-108 zsh completes commands and has every option of each', () => {
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

test('O-108 fish completes commands, options, words and paths', () => {
	const expected = [
		['twinhub ', ['help', 'completion', 'version', ...commands.map((c) => c.split(' ')[0])]],
		['twinhub device d', ['delete']],
		['twinhub device update x --status ', ['disabled', 'enabled']],
		['twinhub completion ', ['bash', 'fish', 'zsh']],
		[`twinhub import ${ROOT}/READ`, [`${ROOT}/README.md`]],
		[`twinhub serve --data ${ROOT}/tests/cra`, [`${ROOT}/tests/crash/`]],
		...commands.map((command) => [`twinhub ${command} --`, ['--help', ...optionsOf(command)]]),
	];
	const offered = fish(expected.map(([line]) => line));
	assert.equal(offered.length, expected.length);
	for (const [i, [line, words]] of expected.entries()) assert.deepEqual(new Set(offered[i]), new Set(words), line);
});

// A shell as a person has it, at a terminal: its first lines, then what is typed until what is awaited is shown.
const TERMINAL = `
import os, pty, select, sys, time
first, typed, awaited, shell = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
pid, fd = pty.fork()
if pid == 0:
    os.environ.update(TERM='dumb', PS1='> ', HOME='/nonexistent')
    os.execvp(shell[0], shell)
seen, end = b'', time.time() + 20
def until(text):
    global seen
    while text not in seen and time.time() < end:
        if select.select([fd], [], [], 0.1)[0]:
            try: seen += os.read(fd, 65536)
            except OSError: return
os.write(fd, (first + '; echo lo""aded\\n').encode())
until(b'loaded')
os.write(fd, typed.encode())
until(awaited.encode())
os.kill(pid, 9)
print(seen.decode(errors='replace'))
`;
function terminal(shell, first, typed, awaited) {
	const r = run('python3', ['-c', TERMINAL, first, typed, awaited, ...shell]);
	assert.equal(r.status, 0, r.stderr);
	return r.stdout.split('loaded').at(-1);
}

test('O-108 bash and zsh at a terminal load the scripts of the package without a word, and complete by them', () => {
	const dir = path.join(ROOT, 'completion');
	const first = { bash: `source ${dir}/twinhub.bash`, zsh: `fpath=(${dir} $fpath); autoload -Uz compinit; compinit -u -D` };
	const bash = terminal(['bash', '--norc', '--noprofile', '-i'], first.bash, 'twinhub device ren\t', 'renew-key');
	assert.match(bash, /twinhub device renew-key/);
	const zsh = terminal(['zsh', '-f', '-i'], first.zsh, 'twinhub policy ro\t', 'rotate');
	assert.match(zsh, /policy.*rotate/);
	for (const text of [bash, zsh]) assert.doesNotMatch(text, /error|not found|bad |warning/i);
});
