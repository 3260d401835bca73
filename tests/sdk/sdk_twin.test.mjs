// Twins through both SDKs: what the back end writes the device reads, and the other way round.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { startHub, stopAll, until } from '../lib/hub.mjs';
import { desire, registryOf, rejection, sdkDevice, twinOf } from '../lib/sdk.mjs';

let hub, registry;
const open = new Set();

before(async () => {
	hub = await startHub();
	registry = await registryOf(hub);
});
after(async () => {
	for (const d of open) await d.close().catch(() => {});
	await stopAll(hub);
});

async function device(id) {
	const d = await sdkDevice(hub, id);
	open.add(d);
	return d;
}

// The section without what the hub adds.
function plain({ $metadata, $version, ...rest }) { return rest; }

test('T-06 T-07 R-49 a new identity has a twin in its initial state', async () => {
	await registry.create({ deviceId: 'new' });
	const twin = await twinOf(registry, 'new');
	assert.equal(twin.etag, 'AAAAAAAAAAE=');
	assert.equal(twin.version, 2);
	assert.equal(twin.properties.desired.$version, 1);
	assert.equal(twin.properties.reported.$version, 1);
	assert.deepEqual(Object.keys(twin.properties.desired.$metadata), ['$lastUpdated']);
	assert.equal(twin.connectionState, 'Disconnected');
	assert.equal(twin.status, 'enabled');
});

test('D-43 T-52 the device reads desired and reported, nothing else', async () => {
	await registry.create({ deviceId: 'read' });
	await desire(registry, 'read', { a: 1, nested: { text: 'x' } });
	await registry.updateTwin('read', { tags: { secret: 'yes' } }, '*');
	const d = await device('read');
	const twin = await d.readTwin();
	assert.deepEqual(plain(twin.properties.desired), { a: 1, nested: { text: 'x' } });
	assert.equal(twin.properties.desired.$version, 2);
	assert.equal(twin.properties.reported.$version, 1);
	assert.equal('$metadata' in twin.properties.desired, false);
	assert.equal('tags' in twin, false);
});

test('T-113 the acknowledgement form of the plug-and-play model is plain data', async () => {
	const d = await device('pnp');
	await d.readTwin();
	const state = { thermostat: { __t: 'c', target: { value: 21.5, ac: 200, av: 2, ad: 'reached' } } };
	await d.report(state);
	assert.deepEqual(plain((await twinOf(registry, 'pnp')).properties.reported), state);
});

test('D-45 T-58 a reported patch reaches the back end; nulls delete', async () => {
	const d = await device('report');
	await d.readTwin();
	await d.report({ firmware: { version: '1.2', date: '2024-01-01' }, battery: 55.5, flags: [1, 'two', { three: 3 }] });
	let twin = await twinOf(registry, 'report');
	assert.deepEqual(plain(twin.properties.reported),
		{ firmware: { version: '1.2', date: '2024-01-01' }, battery: 55.5, flags: [1, 'two', { three: 3 }] });
	await d.report({ firmware: { date: null, version: '1.3' }, flags: null });
	twin = await twinOf(registry, 'report');
	assert.deepEqual(plain(twin.properties.reported), { firmware: { version: '1.3' }, battery: 55.5 });
	assert.equal(twin.properties.reported.$version, 3);
});

test('D-48 T-64 a bad reported patch is an error with a message for the SDK', async () => {
	const d = await device('badreport');
	await d.readTwin();
	const error = await rejection(d.report({ 'a.b': 1 }));
	assert.match(error.message, /\S/);
	assert.match((await rejection(d.report({ $version: 7 }))).message, /\S/);
	assert.equal((await twinOf(registry, 'badreport')).properties.reported.$version, 1);
});

test('T-35 T-40 nested patches merge; an emptied object stays', async () => {
	await registry.create({ deviceId: 'nested' });
	await desire(registry, 'nested', { a: { b: { c: 1, d: 2 }, e: 3 } });
	await desire(registry, 'nested', { a: { b: { c: null, f: 'new' } } });
	let twin = await twinOf(registry, 'nested');
	assert.deepEqual(plain(twin.properties.desired), { a: { b: { d: 2, f: 'new' }, e: 3 } });
	twin = await desire(registry, 'nested', { a: { b: { d: null, f: null } } });
	assert.deepEqual(plain(twin.properties.desired), { a: { b: {}, e: 3 } });
});

test('T-36 an object replaces a scalar and a scalar an object', async () => {
	await registry.create({ deviceId: 'shape' });
	await desire(registry, 'shape', { a: 1, b: { c: 2 } });
	const twin = await desire(registry, 'shape', { a: { x: 1, y: null }, b: 'text' });
	assert.deepEqual(plain(twin.properties.desired), { a: { x: 1 }, b: 'text' });
});

test('T-42 arrays are replaced whole; a null in an array is refused', async () => {
	await registry.create({ deviceId: 'arrays' });
	await desire(registry, 'arrays', { list: [1, 2, 3] });
	const twin = await desire(registry, 'arrays', { list: ['a', { k: [true, 1.5] }] });
	assert.deepEqual(plain(twin.properties.desired), { list: ['a', { k: [true, 1.5] }] });
	assert.equal((await rejection(desire(registry, 'arrays', { list: [1, null] }))).name, 'ArgumentError');
	assert.equal((await rejection(desire(registry, 'arrays', { list: [{ x: null }] }))).name, 'ArgumentError');
});

test('T-41 R-52 null clears a whole section', async () => {
	await registry.create({ deviceId: 'clear' });
	await registry.updateTwin('clear', { tags: { a: 1 }, properties: { desired: { x: 1, y: { z: 2 } } } }, '*');
	await registry.updateTwin('clear', { properties: { desired: null } }, '*');
	let twin = await twinOf(registry, 'clear');
	assert.deepEqual(plain(twin.properties.desired), {});
	assert.deepEqual(twin.tags, { a: 1 });
	await registry.updateTwin('clear', { tags: null }, '*');
	twin = (await hub.rest('GET', '/twins/clear')).body;
	assert.equal('tags' in twin, false);
});

test('T-49 R-53 a write with an old etag is refused and changes nothing', async () => {
	await registry.create({ deviceId: 'etag' });
	const mine = await twinOf(registry, 'etag');
	await desire(registry, 'etag', { by: 'other' });
	const error = await rejection(mine.update({ properties: { desired: { by: 'me' } } }));
	assert.equal(error.name, 'InvalidEtagError');
	assert.equal((await twinOf(registry, 'etag')).properties.desired.by, 'other');
	const fresh = await twinOf(registry, 'etag');
	await fresh.update({ properties: { desired: { by: 'me' } } });
	assert.equal(fresh.properties.desired.by, 'me');
	await fresh.update({ tags: { again: true } });
	assert.deepEqual(fresh.tags, { again: true });
});

test('T-20 a chatty device does not spoil the back end\'s etag', async () => {
	const d = await device('chatty');
	await d.readTwin();
	const twin = await twinOf(registry, 'chatty');
	await d.report({ beat: 1 });
	await d.report({ beat: 2 });
	await twin.update({ properties: { desired: { go: true } } });
	assert.equal(twin.properties.desired.go, true);
});

test('T-13 T-33 R-55 a whole twin sent back as a patch is accepted; reported and server fields are ignored', async () => {
	const d = await device('whole');
	await d.readTwin();
	await d.report({ mine: 1 });
	await desire(registry, 'whole', { a: 1 });
	const twin = (await hub.rest('GET', '/twins/whole')).body;
	twin.properties.reported.mine = 99;
	const answer = await registry.updateTwin('whole', twin, '*');
	assert.equal(answer.responseBody.properties.reported.mine, 1);
	assert.equal(answer.responseBody.properties.desired.$version, 3);
});

test('T-44 T-45 R-56 PUT replaces both sections', async () => {
	await registry.create({ deviceId: 'replace' });
	await registry.updateTwin('replace', { tags: { t: 1 }, properties: { desired: { a: 1, b: 2 } } }, '*');
	const { status, body } = await hub.rest('PUT', '/twins/replace', { body: { properties: { desired: { b: 3, c: { d: 4 } } } } });
	assert.equal(status, 200);
	assert.deepEqual(plain(body.properties.desired), { b: 3, c: { d: 4 } });
	assert.equal('tags' in body, false);
	assert.equal(body.properties.desired.$version, 3);
});

test('T-77 T-78 numbers keep their kind and strings their bytes', async () => {
	await registry.create({ deviceId: 'values' });
	const raw = '{"properties":{"desired":{"i":1,"d":1.0,"e":1e3,"big":4503599627370495,"s":"2024-01-01T00:00:00Z","u":"\\u00e9\\ud83d\\ude00 \\" \\\\"}}}';
	const { text } = await hub.rest('PATCH', '/twins/values', { body: raw });
	assert.match(text, /"i":1,/);
	assert.match(text, /"d":1\.0,/);
	assert.match(text, /"e":1000\.0,/);
	assert.match(text, /"big":4503599627370495,/);
	const twin = await twinOf(registry, 'values');
	assert.equal(twin.properties.desired.s, '2024-01-01T00:00:00Z');
	assert.equal(twin.properties.desired.u, 'é😀 " \\');
});

test('T-06 T-08 a twin goes with its identity and comes back fresh', async () => {
	await registry.create({ deviceId: 'again' });
	await desire(registry, 'again', { a: 1 });
	await registry.delete('again');
	assert.equal((await rejection(registry.getTwin('again'))).name, 'DeviceNotFoundError');
	await registry.create({ deviceId: 'again' });
	const twin = await twinOf(registry, 'again');
	assert.deepEqual(plain(twin.properties.desired), {});
	assert.equal(twin.properties.desired.$version, 1);
	assert.equal(twin.etag, 'AAAAAAAAAAE=');
});

test('T-05 T-103 T-107 connectionState follows the device and moves no counter', async () => {
	const d = await device('presence');
	let twin = await twinOf(registry, 'presence');
	assert.equal(twin.connectionState, 'Connected');
	assert.equal(twin.version, 2);
	await d.close();
	open.delete(d);
	await until(async () => (twin = await twinOf(registry, 'presence')).connectionState === 'Disconnected', 'the device is shown as disconnected');
	assert.equal(twin.etag, 'AAAAAAAAAAE=');
	assert.equal(twin.version, 2);
	assert.notEqual(twin.lastActivityTime, '0001-01-01T00:00:00Z');
});
