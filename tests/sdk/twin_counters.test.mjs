// The worked example of counters, twins.md section 12, row by row, with a device connected that records
// every notification.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { mqttDevice, startHub, stopAll } from '../lib/hub.mjs';

const ID = 'counters';
let hub;
before(async () => { hub = await startHub(); });
after(() => stopAll(hub));

const patch = (body, etag) => ({ method: 'PATCH', body, etag });
const put = (body) => ({ method: 'PUT', body });
const desired = (d) => ({ properties: { desired: d } });
const report = (body) => ({ report: body });

//  operation                                                          E  version desired reported  notification
const ROWS = [
	[patch({ tags: { site: 'a' } }),                                    2,  3, 1, 1, null],
	[patch(desired({ a: 1, b: 2 })),                                    3,  4, 2, 1, { a: 1, b: 2, $version: 2 }],
	[report({ x: 1 }),                                                  3,  5, 2, 2, null],
	[patch(desired({ a: 1, b: 2 })),                                    4,  6, 3, 2, { a: 1, b: 2, $version: 3 }],
	[report({ x: 1 }),                                                  4,  7, 3, 3, null],
	[patch(desired({ zz: null })),                                      4,  7, 3, 3, null],
	[patch({ tags: { site: 'b' }, ...desired({ a: null }) }),           5,  8, 4, 3, { a: null, $version: 4 }],
	[put({ tags: { site: 'b' }, ...desired({ b: 2, c: { d: 1 } }) }),   6,  9, 5, 3, { b: 2, c: { d: 1 }, $version: 5 }],
	[patch(desired({ c: { d: null } })),                                7, 10, 6, 3, { c: { d: null }, $version: 6 }],
	[put(desired({ b: 2, c: {} })),                                     8, 11, 7, 3, { b: 2, c: {}, $version: 7 }],
	[patch({ tags: { late: 1 } }, 'row 9'),                             8, 11, 7, 3, null, 412],
	[put(desired({ e: [1, { f: 2 }] })),                                9, 12, 8, 3, { b: null, c: null, e: [1, { f: 2 }], $version: 8 }],
	[put({ tags: { k: 1 } }),                                          10, 13, 9, 3, { e: null, $version: 9 }],
	[put({ tags: { k: 2 } }),                                          11, 14, 9, 3, null],
];

function etagOf(counter) {
	const bytes = Buffer.alloc(8);
	bytes.writeBigUInt64BE(BigInt(counter));
	return bytes.toString('base64');
}

async function apply(device, operation, etags) {
	if (operation.report) return (await device.report(operation.report)).status;
	const headers = operation.etag ? { 'If-Match': `"${etags[9]}"` } : {};
	return (await hub.rest(operation.method, `/twins/${ID}`, { body: operation.body, headers })).status;
}

function shown(twin) {
	return { E: twin.etag, version: twin.version, desired: twin.properties.desired.$version, reported: twin.properties.reported.$version };
}

test('T-14 T-16 T-18 T-19 T-21 T-38 T-39 T-40 T-44 T-45 T-48 T-49 T-59 the counter table of twins.md 12', async () => {
	const device = await mqttDevice(hub, ID);
	const etags = [];
	const check = async (row, E, version, d, r) => {
		const { body, headers } = await hub.rest('GET', `/twins/${ID}`);
		assert.deepEqual(shown(body), { E: etagOf(E), version, desired: d, reported: r }, `row ${row}`);
		assert.equal(headers.etag, `"${body.etag}"`, `row ${row}`);
		assert.equal(body.version, E + r, `row ${row}: version = E + reported version`);
		etags[row] = body.etag;
		return body;
	};
	await check(0, 1, 2, 1, 1);
	for (const [i, [operation, E, version, d, r, notification, status]] of ROWS.entries()) {
		const row = i + 1;
		assert.equal(await apply(device, operation, etags), status ?? (operation.report ? 204 : 200), `status of row ${row}`);
		const twin = await check(row, E, version, d, r);
		assert.deepEqual(await device.pendingNotifications(), notification ? [notification] : [], `notification of row ${row}`);
		if (row === 9) assert.deepEqual(twin.properties.desired.c, {}, 'c stays, empty');
		if (row === 10) assert.equal('tags' in twin, false, 'tags are cleared and left out');
	}
	await device.disconnect();
});

test('T-19 T-107 T-11 connections and identity updates move no counter of the twin', async () => {
	const before = (await hub.rest('GET', `/twins/${ID}`)).body;
	const device = await mqttDevice(hub, ID);
	await device.publish(`devices/${ID}/messages/events/`, 'x', { qos: 1 });
	await device.disconnect();
	const identity = (await hub.rest('GET', `/devices/${ID}`)).body;
	await hub.rest('PUT', `/devices/${ID}`, { headers: { 'If-Match': '*' }, body: { ...identity, status: 'disabled', statusReason: 'tired' } });
	const now = (await hub.rest('GET', `/twins/${ID}`)).body;
	assert.deepEqual(shown(now), shown(before));
	assert.notEqual(now.deviceEtag, before.deviceEtag);
	assert.equal(now.status, 'disabled');
	assert.equal(now.statusReason, 'tired');
	assert.notEqual(now.statusUpdateTime, '0001-01-01T00:00:00Z');
});
