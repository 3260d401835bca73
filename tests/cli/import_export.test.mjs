// export and import: a fleet that moves from hub to hub, bad lines, and runs that are cut short.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { BINARY, mqttDevice, startHub, stopAll, tempDir, until } from '../lib/hub.mjs';
import { commands } from './lib.mjs';

const hubs = [];
let from, to, cli, there;
const dir = tempDir('transfer');
const file = (name) => path.join(dir, name);
const lines = (name) => fs.readFileSync(file(name), 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line));

before(async () => {
	for (let i = 0; i < 2; i++) hubs.push(await startHub());
	[from, to] = hubs;
	cli = commands(from);
	there = commands(to);
});
after(() => stopAll(...hubs));

const KEY = (n) => Buffer.alloc(32, n).toString('base64');
const identity = async (hub, id) => (await hub.rest('GET', `/devices/${encodeURIComponent(id)}`)).body;
const twin = async (hub, id) => (await hub.rest('GET', `/twins/${encodeURIComponent(id)}`)).body;
const put = async (hub, target, body, headers = {}) => {
	const r = await hub.rest('PUT', target, { body, headers });
	assert.equal(r.status, 200, r.text);
	return r.body;
};

// All kinds of credentials, modules, an edge device with a leaf, twins with a history, odd ids.
async function richFleet() {
	const patch = async (id, body) => assert.equal((await from.rest('PATCH', `/twins/${id}`, { body })).status, 200);
	await put(from, '/devices/keys', { deviceId: 'keys', status: 'disabled', statusReason: 'lost "once"', authentication: { symmetricKey: { primaryKey: KEY(1), secondaryKey: KEY(2) } } });
	await put(from, '/devices/prints', { deviceId: 'prints', authentication: { type: 'selfSigned', x509Thumbprint: { primaryThumbprint: 'a'.repeat(40), secondaryThumbprint: 'b'.repeat(64) } } });
	await put(from, '/devices/ca', { deviceId: 'ca', authentication: { type: 'certificateAuthority' } });
	await put(from, '/devices/none', { deviceId: 'none', authentication: { type: 'none' } });
	const edge = await put(from, '/devices/edge', { deviceId: 'edge', capabilities: { iotEdge: true } });
	await put(from, '/devices/leaf', { deviceId: 'leaf', deviceScope: edge.deviceScope });
	await put(from, `/devices/${encodeURIComponent("odd%2F#?:@'")}`, { deviceId: "odd%2F#?:@'" });
	for (const m of ['m1', 'm2']) await put(from, `/devices/keys/modules/${m}`, { deviceId: 'keys', moduleId: m, managedBy: 'someone' });
	await from.rest('PATCH', '/twins/keys/modules/m1', { body: { tags: { of: 'm1' }, properties: { desired: { a: 1 } } } });
	await from.rest('PATCH', '/twins/edge/modules/$edgeAgent', { body: { properties: { desired: { x: 'y' } } } });
	await patch('ca', { tags: { site: 'ü', deep: { list: [1, { a: 'b' }, 2.5, 'x'] } }, properties: { desired: { rate: 5, keep: { low: 1.0, high: 1e300 } } } });
	await patch('ca', { properties: { desired: { keep: { low: 2 }, rate: null } } });
	await patch('ca', { tags: { deep: { list: [] } } });
	const device = await mqttDevice(from, 'leaf', { clean: true });
	await device.report({ temperature: 21.5, 'text': 'a;"b"\\', nested: { on: true } });
	await device.report({ nested: { on: false } });
	await device.disconnect();
}

function sameTwin(a, b, id) {
	const of = ({ connectionState, lastActivityTime, ...rest }) => rest; // of the moment; as of the last write
	assert.deepEqual(of(b), of(a), id);
}

test('a fleet comes to another hub as it was: identities, keys, twins with versions and metadata, modules', async () => {
	await richFleet();
	const out = await cli(['export', file('rich.ndjson')]);
	const all = lines('rich.ndjson');
	assert.deepEqual(out, { lines: all.length });
	assert.equal(all.length, 11);
	assert.equal(fs.statSync(file('rich.ndjson')).mode & 0o777, 0o600);
	const done = await there(['import', file('rich.ndjson')]);
	assert.deepEqual([done.done, done.failed], [11, 0]);
	for (const { id, moduleId, lastActivityTime = '0001-01-01T00:00:00Z' } of all) {
		const name = moduleId ? `${encodeURIComponent(id)}/modules/${encodeURIComponent(moduleId)}` : encodeURIComponent(id);
		const [a, b] = [from, to].map((hub) => Promise.all(['devices', 'twins'].map(async (what) => (await hub.rest('GET', `/${what}/${name}`)).body)));
		const [[was, wasTwin], [is, isTwin]] = [await a, await b];
		for (const same of ['etag', 'generationId', 'status', 'statusReason', 'statusUpdatedTime', 'authentication', 'capabilities', 'deviceScope', 'parentScopes', 'managedBy'])
			assert.deepEqual(is[same], was[same], `${name} ${same}`);
		sameTwin(wasTwin, isTwin, name);
		assert.equal(isTwin.lastActivityTime, lastActivityTime, name);
	}
	assert.equal((await twin(to, 'ca')).properties.desired.$metadata.keep.low.$lastUpdatedVersion, 3);
	assert.equal((await twin(to, 'leaf')).properties.reported.$version, 3);
	// and a second time, with nothing to do: no etag moves
	const before = await Promise.all([identity(to, 'keys'), twin(to, 'ca')]);
	await there(['import', file('rich.ndjson')]);
	assert.deepEqual(await Promise.all([identity(to, 'keys'), twin(to, 'ca')]), before);
	await there(['export', file('again.ndjson')]);
	assert.deepEqual(lines('again.ndjson'), all);
	// what was imported survives a crash, and its devices connect with their keys
	await to.kill();
	await to.start();
	const device = await mqttDevice(to, 'leaf', { clean: true });
	assert.equal((await device.twinGet()).body.reported.temperature, 21.5);
	await device.report({ temperature: 22 });
	await device.disconnect();
	assert.equal((await twin(to, 'leaf')).properties.reported.$version, 4);
});

test('export: --no-keys leaves keys out, an import of it keeps those that are there; files are not overwritten', async () => {
	await cli(['export', file('bare.ndjson'), '--no-keys']);
	for (const line of lines('bare.ndjson')) assert.deepEqual(line.authentication.symmetricKey, { primaryKey: null, secondaryKey: null });
	const before = await identity(from, 'keys');
	await cli(['import', file('bare.ndjson')]);
	assert.deepEqual(await identity(from, 'keys'), before);
	assert.match(await cli(['export', file('bare.ndjson')], { code: 7 }), /exists/);
	const piped = await from.cli(['export', '-']);
	assert.equal(piped.stdout.trim().split('\n').length, 11);
	for (const wrong of [['export'], ['export', '-', '--resume'], ['import', '-', '--resume']]) await cli(wrong, { code: 2 });
	await cli(['export', file('missing'), '--resume'], { code: 4 });
	await cli(['import', file('missing')], { code: 4 });
	await cli(['import', file('bare.ndjson'), '--resume'], { code: 4 });
});

test('import: each bad line is told by its number, the others are applied', async () => {
	const bad = [
		['{"id":"good-1"}', 0], ['not json', 400006], ['[]', 400004], ['{}', 400004], ['{"id":[7]}', 400004], ['{"id":"a b"}', 400004], ['', 0],
		['{"id":"x","moduleId":"nobody"}', 404001], ['{"id":"good-1","importMode":"create"}', 409001], ['{"id":"good-2","importMode":"perhaps"}', 400004],
		['{"id":"good-2","importMode":"delete"}', 404001], ['{"id":"good-3","authentication":{"symmetricKey":{"primaryKey":"short"}}}', 400004],
		['{"id":"good-4","tags":{"a b":1}}', 400004], ['{"id":"good-4","properties":{"reported":{"$version":0}}}', 400004],
		['{"id":"good-4","properties":{"reported":{"a":null}}}', 400004], ['{"id":"good-4","properties":{"desired":{"$version":1,"a":{"$b":1}}}}', 400004],
		[`{"id":"good-4","properties":{"reported":{"a":${JSON.stringify(Array(2000).fill('x'.repeat(20)))}}}}`, 403100],
		['{"id":"good-5","deviceScope":"nowhere"}', 400004], ['{"id":"good-1","eTag":"x","importMode":"updateIfMatchETag"}', 412001], ['  {"id":"good-6"}\r', 0],
	];
	fs.writeFileSync(file('bad.ndjson'), bad.map(([text]) => text).join('\n'));
	const run = await from.cli(['import', file('bad.ndjson')]);
	assert.equal(run.code, 1);
	assert.match(run.stderr, /^twinhub: 17 lines were refused: see .*bad\.ndjson\.errors\n$/);
	assert.deepEqual([JSON.parse(run.stdout).done, JSON.parse(run.stdout).failed], [2, 17]);
	const told = lines('bad.ndjson.errors');
	assert.deepEqual(told.map((e) => [e.line, e.errorCode]), bad.map(([, code], i) => [i + 1, code]).filter(([, code]) => code !== 0));
	for (const e of told) assert.equal(typeof e.errorStatus, 'string');
	for (const id of ['good-1', 'good-6']) assert.equal((await identity(from, id)).status, 'enabled', id);
	for (const id of ['good-2', 'good-3', 'good-4', 'good-5']) assert.equal((await from.rest('GET', `/devices/${id}`)).status, 404, id);
	assert.equal(fs.existsSync(file('bad.ndjson.progress')), false);
	const piped = spawnSync(BINARY, ['import', '-', '--data', from.dir], { input: '{"id":"good-7"}\n{"id":"a b"}\n', encoding: 'utf8' });
	assert.deepEqual([piped.status, JSON.parse(piped.stdout).done, JSON.parse(piped.stderr).line], [1, 1, 2]);
});

test('import: a device stays with its modules, whatever else is in the batch; a line longer than a request is refused', async () => {
	const out = fs.openSync(file('modules.ndjson'), 'w');
	const filler = JSON.stringify('x'.repeat(3900));
	for (let d = 0; d < 60; d++) {
		fs.writeSync(out, `{"id":"big-${d}","tags":{"a":${filler},"b":${filler}}}\n`);
		for (let m = 0; m < 20; m++) fs.writeSync(out, `{"id":"big-${d}","moduleId":"m${m}","properties":{"desired":{"a":${filler}}}}\n`);
	}
	fs.writeSync(out, `{"id":"huge","tags":{"a":"${'x'.repeat(9 << 20)}"}}\n{"id":"last"}\n`);
	fs.closeSync(out);
	const run = await to.cli(['import', file('modules.ndjson')]);
	assert.deepEqual(lines('modules.ndjson.errors').map((e) => [e.line, e.errorCode]), [[60 * 21 + 1, 413000]], run.stderr);
	assert.equal(JSON.parse(run.stdout).done, 60 * 21 + 1);
});

// A fleet of many, and a run that is killed when about a half of it is in.
function manyDevices(name, n) {
	const text = Array.from({ length: n }, (_, i) => `{"id":"${name}-${i}","importMode":"create","tags":{"n":${i},"pad":"${'p'.repeat(3000)}"}}\n`).join('');
	fs.writeFileSync(file(`${name}.ndjson`), text);
}
const count = async (hub, name) => (await hub.rest('POST', '/devices/query', { body: { query: `SELECT COUNT() AS n FROM devices WHERE STARTSWITH(deviceId, '${name}-')` } })).body[0]?.n ?? 0;

async function start(hub, args, untilIn) {
	const child = spawn(BINARY, [...args, '--data', hub.dir], { stdio: ['ignore', 'pipe', 'pipe'] });
	const end = new Promise((resolve) => {
		let text = '';
		child.stderr.on('data', (part) => { text += part; });
		child.on('close', (code) => resolve({ code, text }));
	});
	await untilIn();
	return { child, end };
}

test('import: killed in the middle, --resume loses and doubles nothing', async () => {
	manyDevices('kill', 4000);
	const { child, end } = await start(from, ['import', file('kill.ndjson')], () => until(async () => fs.existsSync(file('kill.ndjson.progress')), 'progress'));
	child.kill('SIGKILL');
	await end;
	assert.match(await cli(['import', file('kill.ndjson')], { code: 7 }), /--resume/);
	const done = await cli(['import', file('kill.ndjson'), '--resume']);
	assert.deepEqual([done.done, done.failed], [4000, 0]);
	assert.equal(await count(from, 'kill'), 4000);
	assert.equal((await twin(from, 'kill-3999')).version, 2);
	assert.equal(fs.existsSync(file('kill.ndjson.progress')), false);
});

test('import: the hub is killed in the middle and started again, the same run goes on; or another one resumes', async () => {
	manyDevices('crash', 4000);
	const some = async () => until(async () => fs.existsSync(file('crash.ndjson.progress')) && await count(to, 'crash') > 0, 'some devices');
	const first = await start(to, ['import', file('crash.ndjson')], some);
	await to.kill();
	await to.start();
	assert.deepEqual(await first.end, { code: 0, text: '' });
	assert.equal(await count(to, 'crash'), 4000);

	manyDevices('gone', 4000);
	const second = await start(to, ['import', file('gone.ndjson'), '--timeout', '1'], () => until(async () => fs.existsSync(file('gone.ndjson.progress')), 'progress'));
	await to.kill();
	const { code, text } = await second.end;
	assert.equal(code, 3, text);
	assert.match(text, /--resume goes on/);
	await to.start();
	fs.appendFileSync(file('gone.ndjson'), '\n'); // another file by now
	assert.match(await there(['import', file('gone.ndjson'), '--resume'], { code: 1 }), /is not the file/);
	fs.truncateSync(file('gone.ndjson'), fs.statSync(file('gone.ndjson')).size - 1);
	await there(['import', file('gone.ndjson'), '--resume']);
	assert.equal(await count(to, 'gone'), 4000);
});

test('export: --resume goes on behind the last whole line', async () => {
	await there(['export', file('whole.ndjson')]);
	const whole = fs.readFileSync(file('whole.ndjson'));
	for (const keep of [10, Math.floor(whole.length / 2), whole.length - 1, whole.length]) {
		fs.writeFileSync(file('part.ndjson'), whole.subarray(0, keep), { mode: 0o600 });
		await there(['export', file('part.ndjson'), '--resume']);
		assert.ok(fs.readFileSync(file('part.ndjson')).equals(whole), `from ${keep}`);
	}
	fs.writeFileSync(file('alien.txt'), 'hello\n');
	assert.match(await there(['export', file('alien.txt'), '--resume'], { code: 1 }), /no export/);
	assert.equal(fs.readFileSync(file('alien.txt'), 'utf8'), 'hello\n');
});

test('the routes: rights, limits, parameters', async () => {
	const line = { body: '{"id":"r1"}\n', headers: { 'Content-Type': 'application/x-ndjson' } };
	for (const policy of ['service', 'registryRead', 'registryReadWrite', 'device']) {
		assert.equal((await from.rest('POST', '/admin/import', { ...line, policy })).status, 401, policy);
		assert.equal((await from.rest('GET', '/admin/export', { policy })).status, 401, policy);
	}
	const answer = await from.rest('POST', '/admin/import?firstLine=41', { body: '{"id":"r1"}\n{"id":"r 2"}\n' });
	assert.deepEqual([answer.body.lines, answer.body.done, answer.body.failed, answer.body.errors[0].line], [2, 1, 1, 42]);
	assert.equal((await from.rest('POST', '/admin/import?importMode=sometimes', line)).status, 400);
	assert.equal((await from.rest('POST', '/admin/import?firstLine=x', line)).status, 400);
	assert.equal((await from.rest('POST', '/admin/import')).status, 400);
	assert.equal((await from.rest('POST', '/admin/import', { body: '{}\n'.repeat(20001) })).status, 413);
	assert.equal((await from.rest('POST', '/admin/import', { body: Buffer.alloc(8388609, 32) })).status, 413);
	const page = await from.rest('GET', '/admin/export', { headers: { 'x-ms-max-item-count': '3' } });
	assert.equal(page.text.trim().split('\n').length, 3);
	assert.match(page.headers['content-type'], /x-ndjson/);
	const next = await from.rest('GET', '/admin/export', { headers: { 'x-ms-continuation': page.headers['x-ms-continuation'], 'x-ms-max-item-count': '1' } });
	assert.notEqual(next.text, page.text.split('\n')[0]);
	for (const headers of [{ 'x-ms-continuation': '!' }, { 'x-ms-continuation': 'AA==' }, { 'x-ms-max-item-count': '0' }, { 'x-ms-max-item-count': '-1' }])
		assert.equal((await from.rest('GET', '/admin/export', { headers })).status, 400, JSON.stringify(headers));
	assert.equal((await from.rest('POST', '/admin/import?again=yes', { body: '{"id":"r1","importMode":"create"}\n{"id":"nobody","importMode":"delete"}\n' })).body.there, 2);
});
