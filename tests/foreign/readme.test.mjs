// What the README and docs/start show, as it stands there.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';
import { BINARY, REPOSITORY, startHub, stopAll, tempDir, until } from '../lib/hub.mjs';
import { Program } from '../lib/program.mjs';
import { registryOf } from '../lib/sdk.mjs';

const require = createRequire(import.meta.url);
const read = (name) => fs.readFileSync(path.join(REPOSITORY, name), 'utf8');
const blocks = [...read('docs/start/sdks.md').matchAll(/^```js\n(.*?)^```$/gms)].map((m) => m[1]);
const block = (text) => blocks.find((b) => b.includes(text));
const hubs = [];
let hub;
before(async () => { hubs.push(hub = await startHub()); });
after(() => stopAll(...hubs));

test('R-59 the loop over pages reaches every twin once', async () => {
	const eachTwin = new Function(`${block('async function eachTwin')}; return eachTwin;`)();
	const lines = Array.from({ length: 250 }, (_, i) => `{"id":"page${i}"}\n`).join('');
	assert.equal((await hub.rest('POST', '/admin/import', { body: lines })).status, 200);
	const registry = await registryOf(hub), seen = [];
	await eachTwin(registry, "SELECT * FROM devices WHERE STARTSWITH(deviceId, 'page')", (twin) => seen.push(twin.deviceId));
	assert.deepEqual([seen.length, new Set(seen).size], [250, 250]);
	const query = registry.createQuery('SELECT deviceId FROM devices', 100);
	const [first, second] = [(await query.next()).result, (await query.next()).result];
	assert.deepEqual(second, first, 'next() of the SDK begins anew: if this fails, the text may say less');
});

test('the device and the back end of the Node SDK work as they are', async () => {
	await hub.createDevice('dev1');
	const env = { NODE_PATH: path.join(REPOSITORY, 'node_modules'), NODE_EXTRA_CA_CERTS: hub.ca, OWNER: await hub.connectionString('iothubowner'), DEVICE: await hub.deviceConnectionString('dev1') };
	const device = new Program(process.execPath, ['-e', block("Client.fromConnectionString(process.env.DEVICE")], env);
	assert.equal(await device.line((l) => l.startsWith('reported'), 'that it has reported'), 'reported, on disk');
	const backEnd = await new Program(process.execPath, ['-e', block('Registry.fromConnectionString')], env).end();
	assert.match(backEnd.stdout, /firmware: '1\.4\.2'/, backEnd.stderr);
	assert.match(await device.line((l) => l.includes('interval'), 'the desired change'), /5m/);
	await device.end('SIGTERM');
});

test('D-55 Client calls methods without open()', async () => {
	const { Client } = require('azure-iothub');
	const answer = await Client.fromConnectionString(await hub.connectionString('service')).invokeDeviceMethod('dev1', { methodName: 'm', responseTimeoutInSeconds: 5, connectTimeoutInSeconds: 0 }).catch((error) => error);
	assert.equal(answer.response.statusCode, 404); // it is offline by now, or has no such listener: HTTPS has answered
	await until(async () => (await hub.rest('GET', '/twins/dev1')).body.connectionState === 'Disconnected', 'dev1 has gone');
});

test('./up says how each SDK trusts the CA in the words of the table', () => {
	const readme = read('docs/start/sdks.md').split('## Trusting')[1].split('\n## ')[0];
	const rows = [...readme.matchAll(/^\| (.*) \| (.*) \|$/gm)].map((m) => [m[1], m[2]].map((cell) => cell.replaceAll('`', ''))).slice(2);
	const said = execFileSync(path.join(REPOSITORY, 'scripts/trust'), ['/data & more/ca.pem'], { encoding: 'utf8' }).trimEnd().split('\n');
	assert.ok(rows.length > 5);
	assert.deepEqual(said, rows.map(([sdk, how]) => `  ${sdk.padEnd(20)}${how.replaceAll('/etc/twinhub-ca.pem', '/data & more/ca.pem')}`));
	assert.match(fs.readFileSync(path.join(REPOSITORY, 'up'), 'utf8'), /scripts\/trust \$ca/);
});

/*
 * Blocks of sh, pasted one after the other on a terminal by a user who may not listen on 443, in a network of his own. What stands behind
 * one as text is what it prints, "..." for what differs each time. The folder is empty but for what a clone has built.
 */
const ALONE = ['-rn', 'setpriv', '--bounding-set=-net_bind_service', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh'];
const alone = spawnSync('unshare', [...ALONE, 'true']).status === 0;

const shown = (text) => new RegExp(`^${text.trimEnd().split('...').map((s) => s.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('.*')}$`, 'm');

function paste(names, { installed = false } = {}) {
	const dir = tempDir('paste'), script = path.join(dir, 'pasted.sh'), expected = [];
	let pasted = 'set -eu\ntrap "twinhub stop > stopped.txt 2>&1 || true" EXIT\n';
	for (const name of names)
		for (const [, kind, text] of read(name).matchAll(/^```(sh|text)\n(.*?)^```$/gms)) {
			if (kind === 'sh') pasted += text;
			else if (pasted.split('\n').length > 3) expected.push(text);
		}
	fs.mkdirSync(path.join(dir, 'build/release/bin'), { recursive: true });
	fs.symlinkSync(BINARY, path.join(dir, 'build/release/bin/twinhub'));
	fs.mkdirSync(path.join(dir, 'scripts')); // ./check has run the real one, and a clone's is tried by ./up
	fs.writeFileSync(path.join(dir, 'scripts/setup'), '#!/bin/sh\n[ "$*" = --build ]\n', { mode: 0o755 });
	fs.writeFileSync(script, pasted);
	const r = spawnSync('unshare', [...ALONE, 'script', '-qec', 'stty cols 120; bash pasted.sh', '/dev/null'],
		{ cwd: dir, encoding: 'utf8', timeout: 120_000, env: { PATH: installed ? `${dir}/build/release/bin:/usr/bin:/bin` : '/usr/bin:/bin', HOME: dir, TERM: 'dumb' }, input: '' });
	assert.equal(r.status, 0, `${r.stdout}${r.stderr}\n${pasted}`);
	const said = r.stdout.replaceAll('\r\n', '\n');
	for (const text of expected) assert.match(said, shown(text), said);
	return expected.length;
}

test('O-68 the blocks of README.md and docs/start work when pasted, without root', { skip: !alone && 'no user namespaces here' }, () => {
	assert.ok(paste(['README.md', 'docs/start/device.md']) >= 4);
	paste(['docs/start/ci.md'], { installed: true });
});

test('docs/az.md names commands and options that there are', () => {
	const names = [...execFileSync(BINARY, ['help', '--markdown', 'commands'], { encoding: 'utf8' }).matchAll(/^\| `([a-z-]+(?: [a-z-]+)?)/gm)].map((m) => m[1]);
	const known = (words) => names.find((name) => name === words.slice(0, 2).join(' ')) ?? names.find((name) => name === words[0]);
	const rows = [...read('docs/az.md').matchAll(/^\| `.*? \| (.*) \|$/gm)].map((m) => [...m[1].matchAll(/`([^`]+)`/g)].map((c) => c[1]));
	let n = 0;
	for (const row of rows) {
		let family = '';
		for (const text of row) {
			const words = text.match(/"[^"]*"|\S+/g), name = known(words) ?? known([family, ...words]);
			if (/^[{/]|^twinhub --help$|^modulesContent$|^content$/.test(text)) continue;
			assert.ok(name !== undefined || text === 'show NAME --keys' || /^(why|halt|resume|advance|rollback)$/.test(text), text);
			if (name === undefined) continue;
			family = name.split(' ')[0];
			const help = execFileSync(BINARY, [...name.split(' '), '--help'], { encoding: 'utf8' });
			for (const option of words.filter((w) => w.startsWith('--'))) assert.match(help, new RegExp(`^ +${option}\\b`, 'm'), text);
			n++;
		}
	}
	assert.ok(n > 45, `${n}`);
});

test('links between documents lead to files and headings', () => {
	const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '*.md'], { cwd: REPOSITORY, encoding: 'utf8' }).trim().split('\n');
	const anchors = (name) => new Set([...read(name).replace(/^```.*?^```$/gms, '').matchAll(/^#+ (.*)$/gm)].map((m) => m[1].toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, '').replaceAll(' ', '-')));
	const wrong = [];
	for (const name of files)
		for (const [, to] of read(name).replace(/^```.*?^```$/gms, '').replace(/`[^`\n]*`/g, '').matchAll(/\]\(([^)\s]+)\)/g)) {
			if (/^[a-z]+:/.test(to)) continue;
			const [file, anchor] = to.split('#'), target = file ? path.posix.join(path.posix.dirname(name), file) : name;
			if (!fs.existsSync(path.join(REPOSITORY, target)) || (anchor && !anchors(target).has(anchor))) wrong.push(`${name}: ${to}`);
		}
	assert.deepEqual(wrong, []);
});
