// serve --ephemeral --seed: a hub that begins with a fleet.
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { BINARY, tempDir, until } from '../lib/hub.mjs';
import { ephemeral, endAll, endLater } from '../lib/ephemeral.mjs';

after(endAll);

const command = (data, ...args) => spawnSync(BINARY, [...args, '--data', data], { encoding: 'utf8', timeout: 60_000 });
const KEY = Buffer.alloc(32, 7).toString('base64');
const content = { deviceContent: { 'properties.desired.mode': { fast: true } } };
const LINES = [
	{ id: 'd1', authentication: { type: 'sas', symmetricKey: { primaryKey: KEY, secondaryKey: KEY } }, tags: { floor: 3 }, properties: { desired: { interval: '5m' }, reported: { firmware: '1.2' } } },
	{ id: 'd1', moduleId: 'm1', properties: { desired: { x: 1 } } },
	{ configuration: { id: 'all', priority: 5, targetCondition: 'tags.floor = 3', content } },
	{ id: 'd2', status: 'disabled' },
];

function file(lines) {
	const name = path.join(tempDir('seed'), 'fleet.ndjson');
	fs.writeFileSync(name, lines.map((line) => `${typeof line === 'string' ? line : JSON.stringify(line)}\n`).join(''));
	return name;
}

// The end of a hub that does not come to be: its message; nothing is left of it.
function refused(seed) {
	const tmp = tempDir('seed');
	const end = spawnSync(BINARY, ['serve', '--ephemeral', '--ports', 'any', '--seed', seed], { encoding: 'utf8', timeout: 60_000, input: '', stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, TMPDIR: tmp } });
	assert.deepEqual([end.status, end.stdout, fs.readdirSync(tmp)], [1, '', []], end.stderr);
	return end.stderr;
}

test('O-145 identities, twins, keys and configurations are there when the hub is ready; what it exports is a seed again', async () => {
	const { ready, hub } = await ephemeral('--ports', 'any', '--seed', file(LINES));
	const twin = JSON.parse(command(ready.data, 'twin', 'show', 'd1').stdout);
	assert.deepEqual([twin.tags, twin.properties.desired.interval, twin.properties.reported.firmware], [{ floor: 3 }, '5m', '1.2']);
	assert.ok(command(ready.data, 'connection-string', '--device', 'd1').stdout.includes(KEY));
	assert.match(command(ready.data, 'module', 'list', 'd1').stdout, /m1/);
	assert.equal(JSON.parse(command(ready.data, 'device', 'show', 'd2').stdout).status, 'disabled');
	assert.equal(JSON.parse(command(ready.data, 'configuration', 'show', 'all', '--json').stdout).priority, 5);
	const copy = path.join(tempDir('seed'), 'copy.ndjson');
	assert.equal(command(ready.data, 'export', copy).status, 0);
	const again = await ephemeral('--ports', 'any', '--seed', copy);
	assert.deepEqual(JSON.parse(command(again.ready.data, 'twin', 'show', 'd1').stdout).properties.reported.firmware, '1.2');
	hub.stdin.end();
	assert.deepEqual(await once(hub, 'exit'), [0, null]);
});

test('O-146 a line that is refused ends the start, and the message names file, line and member', () => {
	for (const [line, said] of [
		[{ id: 'b', tags: { 'a.b': 1 } }, /device b: .*tags\.a\.b/],
		[{ id: 'b', tag: { a: 1 } }, /device b: .*tag is no member/],
		[{ id: 'd1', moduleId: 'm', properties: { desired: { a: { long: 'x'.repeat(5000) } } } }, /device d1, module m: .*5000 bytes.*properties\.desired\.a\.long/],
		[{ deviceId: 'b' }, /deviceId is no member of a line, id is/],
		['{"id":"b",', /not valid JSON, at byte/],
		[{ configuration: { id: 'C', content } }, /configuration C: .*the id is not/],
		[{ configuration: { content } }, /configuration.id is missing/],
		[{ configuration: { id: 'c', prioritt: 1, content } }, /prioritt is no member/],
		[{ configuration: { id: 'c', content }, more: 1 }, /beside 'configuration'/],
		[{ configuration: LINES[2].configuration }, /ConfigurationAlreadyExists/],
		[`{"id":"b","tags":{"a":"${'x'.repeat(9 << 20)}"}}`, /has \d+ bytes, the limit is 8388608/],
	]) {
		const seed = file([LINES[2], LINES[0], '', line, LINES[3]]);
		const message = refused(seed);
		assert.ok(message.includes(`--seed ${seed}, line 4: `), message);
		assert.match(message, said);
	}
	assert.match(refused('/nowhere/fleet'), /--seed \/nowhere\/fleet cannot be opened: No such file/);
	assert.match(refused('/tmp'), /--seed \/tmp is no file/);
	assert.match(refused(file(['[{"id":"a"}]'])), /is a JSON array: a seed is lines of JSON/);
});

test('O-144 O-146 a signal, or the end of who has started it, ends it while it takes a seed', async () => {
	const seed = file(Array.from({ length: 200_000 }, (_, i) => ({ id: `d${i}` })));
	for (const [how, said] of [[(hub) => hub.kill('SIGTERM'), /ended by a signal before the hub was ready/], [(hub) => hub.stdin.end(), /who has started the hub has ended/]]) {
		const tmp = tempDir('seed');
		const hub = endLater(spawn(BINARY, ['serve', '--ephemeral', '--ports', 'any', '--seed', seed], { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, TMPDIR: tmp } }));
		let out = '', err = '';
		hub.stdout.on('data', (d) => { out += d; });
		hub.stderr.on('data', (d) => { err += d; });
		await until(() => fs.readdirSync(tmp).some((name) => fs.existsSync(path.join(tmp, name, 'store'))), 'it has begun');
		how(hub);
		assert.deepEqual(await once(hub, 'close'), [1, null], err);
		assert.equal(out, '');
		assert.match(err, said);
		assert.deepEqual(fs.readdirSync(tmp), []);
	}
});

test('O-145 a hub whose directory stays takes no seed', () => {
	const end = spawnSync(BINARY, ['serve', '--data', path.join(tempDir('seed'), 'data'), '--seed', file(LINES)], { encoding: 'utf8', timeout: 60_000 });
	assert.equal(end.status, 2);
	assert.match(end.stderr, /--seed is for --ephemeral; see `twinhub import`/);
});
