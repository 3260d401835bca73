// Twins over REST: document, metadata, merge, keys, values and sizes (twins.md 1 to 6; ).
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { mqttDevice, startHub, stopAll } from '../lib/hub.mjs';

let hub, count = 0;
before(async () => { hub = await startHub(); });
after(() => stopAll(hub));

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?Z$/;

// A fresh twin: its id, and calls on it.
async function fresh() {
	const id = `t${++count}`;
	await hub.createDevice(id);
	const path = `/twins/${id}`;
	return {
		id,
		get: async () => (await hub.rest('GET', path)).body,
		patch: (body, headers = {}) => hub.rest('PATCH', path, { body, headers }),
		put: (body, headers = {}) => hub.rest('PUT', path, { body, headers }),
		desire: (desired) => hub.rest('PATCH', path, { body: { properties: { desired } } }),
	};
}
const plain = ({ $metadata, $version, ...rest }) => rest;

function assertError(answer, status, name, part) {
	assert.equal(answer.status, status, answer.text);
	assert.equal(answer.headers['iothub-errorcode'], name);
	assert.ok(answer.body.Message.startsWith(`ErrorCode:${name};`), answer.text);
	if (part) assert.ok(answer.body.Message.includes(part), `${answer.body.Message} does not name ${part}`);
}

test('R-49 T-01 T-02 T-07 T-23 T-16 T-17 a new twin, member by member', async () => {
	const t = await fresh();
	const identity = (await hub.rest('GET', `/devices/${t.id}`)).body;
	const { status, body, headers } = await hub.rest('GET', `/twins/${t.id}`);
	assert.equal(status, 200);
	assert.equal(headers.etag, '"AAAAAAAAAAE="');
	const created = body.properties.desired.$metadata.$lastUpdated;
	assert.match(created, TIME);
	assert.deepEqual(body, {
		deviceId: t.id, etag: 'AAAAAAAAAAE=', deviceEtag: identity.etag, status: 'enabled', statusUpdateTime: '0001-01-01T00:00:00Z', connectionState: 'Disconnected',
		lastActivityTime: '0001-01-01T00:00:00Z', cloudToDeviceMessageCount: 0, authenticationType: 'sas', x509Thumbprint: { primaryThumbprint: null, secondaryThumbprint: null },
		modelId: '', version: 2, properties: { desired: { $metadata: { $lastUpdated: created }, $version: 1 }, reported: { $metadata: { $lastUpdated: created }, $version: 1 } }, capabilities: { iotEdge: false },
	});
	assert.deepEqual(Object.keys(body), ['deviceId', 'etag', 'deviceEtag', 'status', 'statusUpdateTime', 'connectionState', 'lastActivityTime', 'cloudToDeviceMessageCount',
		'authenticationType', 'x509Thumbprint', 'modelId', 'version', 'properties', 'capabilities']);
});

test('R-50 T-15 tags only: etag changes, desired does not', async () => {
	const t = await fresh();
	const { body, headers } = await t.patch({ tags: { a: { b: [1] } } });
	assert.deepEqual(body.tags, { a: { b: [1] } });
	assert.equal(body.etag, 'AAAAAAAAAAI=');
	assert.equal(headers.etag, '"AAAAAAAAAAI="');
	assert.equal(body.properties.desired.$version, 1);
});

test('R-51 T-23 T-24 T-25 T-26 T-27 T-31 metadata mirrors desired; only what is named moves', async () => {
	const t = await fresh();
	await t.desire({ a: { b: 1, c: 2 }, list: [{ x: 1 }] });
	const first = (await t.get()).properties.desired.$metadata;
	assert.deepEqual(Object.keys(first), ['$lastUpdated', '$lastUpdatedVersion', 'a', 'list']);
	assert.deepEqual(Object.keys(first.list), ['$lastUpdated', '$lastUpdatedVersion']);
	assert.equal(new Set([first, first.a, first.a.b, first.a.c, first.list].map((m) => m.$lastUpdated)).size, 1, 'one instant');
	const second = (await t.desire({ a: { b: 1 } })).body.properties.desired.$metadata;
	assert.equal(second.$lastUpdatedVersion, 3);
	assert.equal(second.a.$lastUpdatedVersion, 3);
	assert.equal(second.a.b.$lastUpdatedVersion, 3);
	assert.deepEqual(second.a.c, first.a.c);
	assert.deepEqual(second.list, first.list);
	assert.ok(second.$lastUpdated >= first.$lastUpdated);
});

test('T-25 T-60 reported metadata has no version; {} stamps the root alone', async () => {
	const c = await mqttDevice(hub, 'meta');
	const meta = async () => (await hub.rest('GET', '/twins/meta')).body.properties.reported.$metadata;
	await c.report({ a: { b: 1 } });
	const first = await meta();
	assert.deepEqual(Object.keys(first), ['$lastUpdated', 'a']);
	assert.deepEqual(Object.keys(first.a), ['$lastUpdated', 'b']);
	assert.deepEqual(Object.keys(first.a.b), ['$lastUpdated']);
	await c.report({});
	const second = await meta();
	assert.ok(second.$lastUpdated > first.$lastUpdated);
	assert.deepEqual(second.a, first.a);
	await c.disconnect();
});

test('T-28 T-29 deleting and reshaping take their metadata along', async () => {
	const t = await fresh();
	await t.desire({ a: { b: { c: 1 } }, s: 1 });
	const { body } = await t.desire({ a: { b: null }, s: { deep: { er: 1 } } });
	const m = body.properties.desired.$metadata;
	assert.equal('b' in m.a, false);
	assert.equal(m.a.$lastUpdatedVersion, 3);
	assert.equal(m.s.deep.er.$lastUpdatedVersion, 3);
	const scalar = (await t.desire({ s: 'flat' })).body.properties.desired.$metadata;
	assert.deepEqual(Object.keys(scalar.s), ['$lastUpdated', '$lastUpdatedVersion']);
});

test('R-52 T-35 T-37 T-41 nulls delete, a null below nothing makes its parents, null clears a section', async () => {
	const t = await fresh();
	await t.patch({ tags: { a: 1, b: 2 }, properties: { desired: { x: 1 } } });
	assert.deepEqual((await t.patch({ tags: { a: null, never: null } })).body.tags, { b: 2 });
	assert.deepEqual(plain((await t.desire({ p: { q: null } })).body.properties.desired), { x: 1, p: {} });
	const cleared = (await t.patch({ tags: null, properties: { desired: null } })).body;
	assert.equal('tags' in cleared, false);
	assert.deepEqual(plain(cleared.properties.desired), {});
	const before = await t.get();
	assert.deepEqual((await t.patch({ tags: null, properties: { desired: null } })).body, before, 'already empty: not touched');
	assert.deepEqual((await t.patch({ properties: null })).body, before);
});

test('T-39 a patch that changes nothing steps no counter', async () => {
	const t = await fresh();
	await t.patch({ tags: { a: {} }, properties: { desired: { o: {}, n: 1 } } });
	const before = await t.get();
	for (const body of [{}, { tags: {} }, { tags: { a: {} } }, { tags: { never: null } }, { properties: {} }, { properties: { desired: {} } }, { properties: { desired: { o: {} } } },
		{ properties: { desired: { o: { never: null } } } }, { properties: { desired: { never: null } } }]) {
		const answer = await t.patch(body);
		assert.equal(answer.status, 200);
		assert.deepEqual(answer.body, before, JSON.stringify(body));
	}
	assert.equal((await t.patch({ tags: { a: { b: null } }, properties: { desired: { n: 1 } } })).body.properties.desired.$version, before.properties.desired.$version + 1);
});

test('R-53 R-54 L-51 T-49 T-50 T-51 If-Match, quoted or not', async () => {
	const t = await fresh();
	const { etag } = await t.get();
	assert.equal((await t.patch({ tags: { a: 1 } }, { 'If-Match': `"${etag}"` })).status, 200);
	for (const form of [`"${etag}"`, etag]) {
		assertError(await t.patch({ tags: { a: 2 } }, { 'If-Match': form }), 412, 'PreconditionFailed');
		assertError(await t.put({ tags: { a: 2 } }, { 'If-Match': form }), 412, 'PreconditionFailed');
	}
	assert.deepEqual((await t.get()).tags, { a: 1 });
	for (const form of ['*', '"*"']) assert.equal((await t.patch({ tags: { a: 3 } }, { 'If-Match': form })).status, 200);
	assert.equal((await t.patch({ tags: { a: 4 }, etag: 'old' })).status, 200);
});

test('R-55 T-03 T-13 T-33 what the server owns is ignored; a foreign id is not', async () => {
	const t = await fresh();
	const answer = await t.patch({ deviceId: null, etag: 'x', version: 99, status: 'disabled', connectionState: 'Connected', capabilities: { iotEdge: true }, tags: { $version: 1, $metadata: {}, a: 1 },
		properties: { reported: { x: 1 }, desired: { $version: 77, $metadata: { a: 1 }, b: 2 } } });
	assert.equal(answer.status, 200, answer.text);
	assert.deepEqual(answer.body.tags, { a: 1 });
	assert.deepEqual(plain(answer.body.properties.desired), { b: 2 });
	assert.deepEqual(plain(answer.body.properties.reported), {});
	assert.equal(answer.body.status, 'enabled');
	assert.equal((await t.patch({ deviceId: t.id, tags: { a: 2 } })).status, 200);
	assertError(await t.patch({ deviceId: 'other', tags: { a: 3 } }), 400, 'ArgumentInvalid');
});

test('R-56 T-44 T-45 T-46 T-47 PUT', async () => {
	const t = await fresh();
	await t.patch({ tags: { a: 1 }, properties: { desired: { x: 1, y: { z: 1 } } } });
	const { body } = await t.put({ tags: { b: 1 }, properties: { desired: { y: { z: 1 } } } });
	assert.deepEqual(body.tags, { b: 1 });
	assert.deepEqual(plain(body.properties.desired), { y: { z: 1 } });
	assert.equal(body.properties.desired.$version, 3);
	assert.equal(body.properties.desired.$metadata.y.z.$lastUpdatedVersion, 3);
	assertError(await t.put({ tags: { b: null } }), 400, 'ArgumentInvalid', 'b');
	assertError(await t.put({ properties: { desired: { deep: { gone: null } } } }), 400, 'ArgumentInvalid', 'gone');
	assert.deepEqual((await t.get()).tags, { b: 1 }, 'refused whole');
	for (const empty of [{ tags: {}, properties: { desired: {} } }, { tags: null, properties: { desired: null } }, {}]) {
		await t.patch({ tags: { a: 1 }, properties: { desired: { a: 1 } } });
		const emptied = (await t.put(empty)).body;
		assert.equal('tags' in emptied, false, JSON.stringify(empty));
		assert.deepEqual(plain(emptied.properties.desired), {});
	}
});

test('R-57 L-46 T-73 T-74 T-33 T-85 keys', async () => {
	const t = await fresh();
	for (const k of ['a.b', 'a$b', '$a', 'a b', '', 'a\u0000', 'a\u001f', 'a\u007f', 'a\u009f', 'k'.repeat(1025), 'é'.repeat(513)]) {
		assertError(await t.patch({ tags: { [k]: 1 } }), 400, 'ArgumentInvalid');
		assertError(await t.desire({ ok: { [k]: 1 } }), 400, 'ArgumentInvalid');
		assertError(await t.put({ properties: { desired: { ok: [{ [k]: 1 }] } } }), 400, 'ArgumentInvalid');
	}
	assertError(await t.desire({ deep: { $version: 1 } }), 400, 'ArgumentInvalid');
	assertError(await t.desire({ 'bad.key': 1 }), 400, 'ArgumentInvalid', 'bad.key');
	for (const k of ['#', 'ä', 'a-b_c', 'k'.repeat(1024), 'é'.repeat(512), '😀', 'a/b', "'"]) assert.equal((await t.patch({ tags: { [k]: 1 } })).status, 200, k.slice(0, 20));
});

test('T-84 keys differ by case', async () => {
	const t = await fresh();
	assert.deepEqual(plain((await t.desire({ Color: 1, color: 2 })).body.properties.desired), { Color: 1, color: 2 });
});

test('T-76 T-77 L-48 numbers: range of integers, kind kept, shortest form', async () => {
	const t = await fresh();
	const text = (await t.patch('{"properties":{"desired":{"a":4503599627370495,"b":-4503599627370496,"c":1.0,"d":1e2,"e":0.1,"f":1e300,"g":-0.0,"h":0,"i":123456789012345680000.5,"j":5e-324}}}')).text;
	for (const part of ['"a":4503599627370495,', '"b":-4503599627370496,', '"c":1.0,', '"d":100.0,', '"e":0.1,', '"f":1e+300,', '"h":0,', '"j":5e-324'])
		assert.ok(text.includes(part), `${part} in ${text.slice(0, 600)}`);
	for (const n of ['4503599627370496', '-4503599627370497', '99999999999999999999', 'NaN', 'Infinity', '1e999', '01', '+1', '.5', '0x1'])
		assert.equal((await t.patch(`{"properties":{"desired":{"n":${n}}}}`)).status, 400, n);
	assert.equal((await t.patch('{"properties":{"desired":{"n":4503599627370496.0}}}')).status, 200, 'a double has no such bound');
});

test('T-75 T-78 L-44 L-45 L-49 values of every kind; strings up to 4 KB', async () => {
	const t = await fresh();
	const value = { t: true, f: false, s: '', o: {}, a: [], nested: [[1], [{ x: [] }]], date: '2024-01-01T00:00:00.0000000Z', tricky: '\u0000\u001f"\\/\u2028\ud83d\ude00' };
	assert.deepEqual(plain((await t.desire(value)).body.properties.desired), value);
	assert.equal((await t.desire({ s: 'x'.repeat(4096) })).status, 200);
	assert.equal((await t.desire({ s: 'é'.repeat(2048) })).status, 200);
	assertError(await t.desire({ s: 'x'.repeat(4097) }), 400, 'ArgumentInvalid', 's');
	assertError(await t.desire({ s: 'é'.repeat(2049) }), 400, 'ArgumentInvalid');
	assertError(await t.desire({ list: ['x'.repeat(4097)] }), 400, 'ArgumentInvalid');
	assert.equal((await t.desire({ s: 'x'.repeat(4096) + '\u0001'.repeat(10) })).status, 200, 'control characters are free');
});

test('T-79 L-47 depth: ten levels, not eleven; an array is a level', async () => {
	const t = await fresh();
	const objects = (n) => n === 0 ? 1 : { k: objects(n - 1) };
	const arrays = (n) => n === 0 ? 1 : [arrays(n - 1)];
	assert.equal((await t.desire(objects(11))).status, 200, 'ten objects below the section and a leaf');
	assertError(await t.desire(objects(12)), 400, 'ArgumentInvalid');
	assert.equal((await t.desire({ a: arrays(10) })).status, 200);
	assertError(await t.desire({ a: arrays(11) }), 400, 'ArgumentInvalid');
	assert.equal((await t.patch({ tags: { a: { b: arrays(9) } } })).status, 200);
	assertError(await t.patch({ tags: { a: { b: arrays(10) } } }), 400, 'ArgumentInvalid');
});

test('T-42 T-46 nulls in arrays', async () => {
	const t = await fresh();
	for (const list of [[null], [1, null], [[null]], [{ a: null }], [{ a: { b: null } }]]) {
		assertError(await t.desire({ list }), 400, 'ArgumentInvalid');
		assertError(await t.put({ tags: { list } }), 400, 'ArgumentInvalid');
	}
});

// A section whose T-81 size is exactly `size`: keys of one letter, strings of up to 4,000.
function sized(size) {
	const o = {};
	for (let i = 0; size > 0; i++) {
		const part = Math.min(size, 4001);
		o[String.fromCharCode(97 + i)] = 'x'.repeat(part - 1);
		size -= part;
	}
	return o;
}

test('R-57 L-42 L-43 T-80 T-81 T-82 sizes: 8 KB of tags, 32 KB of desired, and no byte more', async () => {
	const t = await fresh();
	assert.equal((await t.patch({ tags: sized(8192) })).status, 200);
	const over = await t.patch({ tags: sized(8193) });
	assertError(over, 403, 'DeviceModelMaxPropertiesExceeded');
	assert.match(over.body.Message, /^ErrorCode:DeviceModelMaxPropertiesExceeded;A size of 8193 bytes, over the limit of 8192: tags$/);
	assert.equal((await t.desire(sized(32768))).status, 200);
	assertError(await t.desire(sized(32769)), 403, 'DeviceModelMaxPropertiesExceeded');
	assertError(await t.desire({ more: 1 }), 403, 'DeviceModelMaxPropertiesExceeded');
	assert.equal((await t.desire({ a: null })).status, 200);
	assert.equal((await t.put({ tags: { n: 1 } })).status, 200);
});

test('T-81 how values count: numbers 8, booleans 4, control characters nothing', async () => {
	const t = await fresh();
	const rest = sized(8192 - (2 + 8) - (2 + 8) - (2 + 4) - 2 - (2 + 8 + 4 + 1));
	const tags = { ...rest, n1: 1, n2: -1.5, b1: true, o1: {}, l1: [1, false, 'x\u0002'] };
	assert.equal((await t.patch({ tags })).status, 200);
	assertError(await t.patch({ tags: { l1: [1, false, 'xy'] } }), 403, 'DeviceModelMaxPropertiesExceeded');
});

test('T-81a what costs nothing by T-81 has a bound of its own', async () => {
	const t = await fresh();
	const answer = await t.desire({ list: Array.from({ length: 140_000 }, () => '') });
	assertError(answer, 403, 'DeviceModelMaxPropertiesExceeded');
	assert.deepEqual(plain((await t.get()).properties.desired), {});
	assert.equal((await t.desire({ list: Array.from({ length: 1000 }, () => '') })).status, 200);
});

test('T-83 of equal keys the last wins, and the first must be valid', async () => {
	const t = await fresh();
	assert.deepEqual(plain((await t.patch('{"properties":{"desired":{"a":1,"a":2}}}')).body.properties.desired), { a: 2 });
	assert.equal((await t.patch('{"properties":{"desired":{"a":{"b.c":1},"a":2}}}')).status, 400);
});

test('T-43 T-21 one bad value refuses both sections', async () => {
	const t = await fresh();
	const before = await t.get();
	assertError(await t.patch({ tags: { good: 1 }, properties: { desired: { 'b d': 1 } } }), 400, 'ArgumentInvalid');
	assertError(await t.patch({ tags: { 'b d': 1 }, properties: { desired: { good: 1 } } }), 400, 'ArgumentInvalid');
	assert.deepEqual(await t.get(), before);
	const { body } = await t.patch({ tags: { good: 1 }, properties: { desired: { good: 1 } } });
	assert.equal(body.version, before.version + 1);
	assert.equal(body.etag, 'AAAAAAAAAAI=');
});

test('T-34 T-116 bodies: none, not JSON, no object, sections of the wrong kind; the order of the checks', async () => {
	const t = await fresh();
	assertError(await t.patch(undefined), 400, 'ArgumentNull');
	assertError(await t.patch('{'), 400, 'IotHubFormatError');
	for (const body of ['5', '[]', '"x"', { tags: 5 }, { tags: [] }, { properties: 5 }, { properties: { desired: 'x' } }]) assertError(await t.patch(body), 400, 'ArgumentInvalid');
	assertError(await hub.rest('PATCH', '/twins/nobody', { body: '{' }), 404, 'DeviceNotFound');
	assertError(await t.patch('{', { 'If-Match': '"old"' }), 400, 'IotHubFormatError');
	assertError(await t.patch({ tags: { 'a b': 1 } }, { 'If-Match': '"old"' }), 412, 'PreconditionFailed');
});

test('T-36 objects and scalars replace each other', async () => {
	const t = await fresh();
	await t.desire({ a: 1, b: [1], c: { d: 1 } });
	assert.deepEqual(plain((await t.desire({ a: { x: 1, y: null }, b: { z: {} }, c: [2] })).body.properties.desired), { a: { x: 1 }, b: { z: {} }, c: [2] });
});

test('T-06 twins of nobody', async () => {
	for (const method of ['GET', 'PATCH', 'PUT']) assertError(await hub.rest(method, '/twins/nobody', method === 'GET' ? {} : { body: { tags: {} } }), 404, 'DeviceNotFound');
});

test('T-04 times end in Z', async () => {
	const t = await fresh();
	const twin = (await t.desire({ a: 1 })).body;
	for (const time of [twin.statusUpdateTime, twin.lastActivityTime, twin.properties.desired.$metadata.$lastUpdated, twin.properties.reported.$metadata.$lastUpdated]) assert.match(time, TIME);
});
