// Messages to devices: sent over HTTPS, received over MQTT (device-mqtt.md 6.2, 6.3) and by polling (service-rest.md 15), with bare clients.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { PACKET, mqttDevice, packet, sasToken, startHub, stopAll, until } from '../lib/hub.mjs';

let hub;
before(async () => { hub = await startHub(); });
after(() => stopAll(hub));

const filter = (id) => `devices/${id}/messages/devicebound/#`;
const at = (id) => `/devices/${id}/messages/deviceBound`;
const send = (id, body, headers = {}, options = {}) => hub.rest('POST', at(id), { body, headers, ...options });
const sent = async (...args) => { const answer = await send(...args); assert.equal(answer.status, 204, answer.text); };
const listen = (id, qos = 1, login = {}) => mqttDevice(hub, id, { filters: [{ filter: filter(id), qos }], login });
const next = (device) => device.next(PACKET.PUBLISH, 'a message');
const puback = (id) => packet(PACKET.PUBACK, 0, Buffer.from([id >> 8, id & 255]));
const count = async (id) => (await hub.rest('GET', `/twins/${id}`)).body.cloudToDeviceMessageCount;
const empties = (id) => until(async () => await count(id) === 0, 'an empty queue');
const statistics = async () => (await hub.rest('GET', '/statistics/messages')).body;

test('D-65 D-66 M-04 R-116 the topic has system properties first, %24.to always, and everything encoded', async () => {
	await hub.createDevice('d1');
	const device = await listen('d1');
	await sent('d1', 'hello', { 'iothub-messageid': 'm/1', 'iothub-correlationid': 'c', 'iothub-userid': 'u', 'iothub-contenttype': 'application/json', 'Content-Encoding': 'utf-8',
		'iothub-ack': 'Full', 'iothub-expiry': '2030-01-01T00:00:00Z', 'iothub-app-Colour': 'red & blue+', 'iothub-app-empty': '' });
	const first = await next(device);
	assert.match(first.topic, /^devices\/d1\/messages\/devicebound\/%24\.mid=m%2F1&%24\.to=%2Fdevices%2Fd1%2Fmessages%2Fdevicebound&%24\.cid=c&%24\.uid=u&%24\.ct=application%2Fjson&%24\.ce=utf-8&%24\.exp=20\d\d-\d\d-\d\dT\d\d%3A\d\d%3A\d\d\.\d{7}Z&iothub-ack=full&Colour=red%20%26%20blue%2B&empty=$/);
	assert.deepEqual([first.qos, first.dup, first.payload.toString()], [1, false, 'hello']);
	const bytes = Buffer.from([0, 255, 10, 13, 200]);
	await sent('d1', bytes);
	const second = await next(device);
	assert.match(second.topic, /^devices\/d1\/messages\/devicebound\/%24\.mid=[0-9a-f-]{36}&%24\.to=%2Fdevices%2Fd1%2Fmessages%2Fdevicebound$/);
	assert.deepEqual(second.payload, bytes);
	assert.equal(await count('d1'), 2);
	device.send(puback(second.id), puback(first.id), puback(first.id));
	await empties('d1');
	await device.disconnect();
});

test('D-67 D-68 M-10 M-16 M-18 what is not acknowledged comes again: same id, DUP, before new ones', async () => {
	await hub.createDevice('d2');
	const device = await listen('d2');
	for (const body of ['one', 'two', 'three']) await sent('d2', body);
	const first = [await next(device), await next(device), await next(device)];
	device.send(puback(first[1].id));
	await until(async () => await count('d2') === 2, 'one less');
	device.destroy();
	await sent('d2', 'four');
	const again = await mqttDevice(hub, 'd2', { filters: [] });
	assert.equal(again.sessionPresent, true);
	const got = [await next(again), await next(again), await next(again)];
	assert.deepEqual(got.map((p) => p.payload.toString()), ['one', 'three', 'four']);
	assert.deepEqual(got.map((p) => p.dup), [true, true, false]);
	assert.deepEqual(got.slice(0, 2).map((p) => p.id), [first[0].id, first[2].id]);
	for (const p of got) again.send(puback(p.id));
	await empties('d2');
	await again.disconnect();
});

test('D-69 M-02 a durable session gets what came while it was away, over a start of the hub', async () => {
	await hub.createDevice('d3');
	await (await listen('d3')).disconnect();
	await sent('d3', 'while away', { 'iothub-ack': 'positive', 'iothub-messageid': 'away' });
	await hub.kill();
	await hub.start();
	assert.equal(await count('d3'), 1);
	const device = await mqttDevice(hub, 'd3', { filters: [] });
	const p = await next(device);
	assert.deepEqual([p.payload.toString(), p.dup], ['while away', false]);
	device.send(puback(p.id));
	await empties('d3');
	await device.disconnect();
	await hub.kill();
	await hub.start();
	assert.equal(await count('d3'), 0, 'what was complete stays so');
});

test('D-70 M-17 to a subscription of QoS 0 a message is complete when it is sent', async () => {
	await hub.createDevice('d4');
	await sent('d4', 'before it listens');
	const device = await listen('d4', 0);
	const p = await next(device);
	assert.deepEqual([p.qos, p.payload.toString()], [0, 'before it listens']);
	await empties('d4');
	await device.disconnect();
});

test('M-10 M-15 L-64 16 are out, 50 in the queue; each PUBACK lets the next one out', async () => {
	await hub.createDevice('d5');
	for (let i = 0; i < 50; i++) await sent('d5', `m${i}`);
	const full = await send('d5', 'one too many');
	assert.deepEqual([full.status, full.headers['iothub-errorcode']], [403, 'DeviceMaximumQueueDepthExceeded']);
	const device = await listen('d5');
	const out = [];
	for (let i = 0; i < 16; i++) out.push(await next(device));
	await device.ping(); // nothing stands before its answer
	assert.equal(device.inbox.take().length, 0);
	for (let i = 16; i < 50; i++) {
		device.send(puback(out.at(-1).id));
		out.push(await next(device));
	}
	assert.deepEqual(out.map((p) => p.payload.toString()), Array.from({ length: 50 }, (_, i) => `m${i}`));
	for (const p of out) device.send(puback(p.id));
	await empties('d5');
	await device.disconnect();
});

test('M-11 large messages go out one after the other, as far as a link may hold them', async () => {
	await hub.createDevice('d6');
	for (let i = 0; i < 8; i++) await sent('d6', Buffer.alloc(65000, 65 + i));
	const device = await listen('d6');
	for (let i = 0; i < 8; i++) {
		const p = await next(device);
		assert.deepEqual([p.payload.length, p.payload[0]], [65000, 65 + i]);
		device.send(puback(p.id));
	}
	await empties('d6');
	await device.disconnect();
});

test('R-116 M-13 M-14 T-105 a device polls: complete, reject, abandon, by the lock', async () => {
	const { primaryKey } = (await hub.createDevice('h1')).authentication.symmetricKey;
	const own = (method, target, options = {}) => hub.rest(method, target, { token: sasToken({ resource: `${hub.addr}/devices/h1`, key: primaryKey }), ...options });
	assert.equal((await own('GET', at('h1'))).status, 204);
	await sent('h1', 'one', { 'iothub-messageid': 'm1', 'iothub-app-a': 'b', 'iothub-contenttype': 'text/plain', 'iothub-ack': 'full' });
	await sent('h1', 'two', { 'iothub-messageid': 'm2', 'iothub-ack': 'negative' });
	const one = await own('GET', at('h1'));
	assert.deepEqual([one.status, one.text], [200, 'one']);
	const { etag } = one.headers;
	assert.match(etag, /^"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"$/);
	const { headers } = one;
	assert.deepEqual([headers['iothub-messageid'], headers['iothub-app-a'], headers['content-type'], headers['iothub-ack'], headers['iothub-deliverycount'], headers['iothub-to']],
		['m1', 'b', 'text/plain', 'full', '0', '/devices/h1/messages/deviceBound']);
	const two = await own('GET', at('h1'));
	assert.equal(two.text, 'two', 'the first one is locked');
	assert.equal((await own('GET', at('h1'))).status, 204);
	const lock = (answer) => `${at('h1')}/${answer.headers.etag.slice(1, -1)}`;
	assert.equal((await own('POST', `${lock(one)}/abandon`)).status, 204);
	assert.equal((await own('DELETE', lock(one))).status, 412, 'its lock is over');
	const again = await own('GET', at('h1'));
	assert.deepEqual([again.text, again.headers['iothub-deliverycount']], ['one', '1']);
	assert.equal((await own('DELETE', lock(again))).status, 204);
	assert.equal((await own('DELETE', `${lock(two)}?reject`)).status, 204);
	assert.equal((await own('DELETE', lock(two))).status, 412);
	assert.equal(await count('h1'), 0);
	assert.equal((await hub.rest('GET', '/twins/h1')).body.lastActivityTime, '0001-01-01T00:00:00Z');
});

test('M-10 D-70 what one receiver has, no other one gets, over whatever transport', async () => {
	const { primaryKey } = (await hub.createDevice('x1')).authentication.symmetricKey;
	const own = (method, target) => hub.rest(method, target, { token: sasToken({ resource: `${hub.addr}/devices/x1`, key: primaryKey }) });
	await sent('x1', 'polled');
	const polled = await own('GET', at('x1'));
	const device = await listen('x1');
	await sent('x1', 'pushed');
	assert.equal((await next(device)).payload.toString(), 'pushed');
	assert.equal((await own('GET', at('x1'))).status, 204);
	await own('POST', `${at('x1')}/${polled.headers.etag.slice(1, -1)}/abandon`);
	assert.equal((await next(device)).payload.toString(), 'polled', 'what is free again is pushed (M-15)');
	await device.disconnect();
});

test('R-117 R-98 M-20 M-22 M-23 feedback for who wants it, locked, completed, abandoned', async () => {
	const get = () => hub.rest('GET', '/messages/serviceBound/feedback');
	const all = [];
	for (let answer; (answer = await get()).status === 200;) {
		all.push(...answer.body);
		const lock = `/messages/serviceBound/feedback/${answer.headers.etag.slice(1, -1)}`;
		assert.equal((await hub.rest('POST', `${lock}/abandon`)).status, 204);
		assert.equal((await hub.rest('DELETE', lock)).status, 412);
		const again = await get();
		assert.equal(again.status, 200);
		assert.equal((await hub.rest('DELETE', `/messages/serviceBound/feedback/${again.headers.etag.slice(1, -1)}`)).status, 204);
		if (all.length > 20) break;
	}
	const of = (id) => all.filter((f) => f.originalMessageId === id).map((f) => [f.deviceId, f.statusCode, f.description])[0];
	assert.deepEqual(of('m1'), ['h1', 'Success', 'Success']);
	assert.deepEqual(of('m2'), ['h1', 'Rejected', 'Rejected']);
	assert.deepEqual(of('away'), ['d3', 'Success', 'Success']);
	assert.deepEqual(Object.keys(all[0]), ['originalMessageId', 'description', 'deviceGenerationId', 'deviceId', 'enqueuedTimeUtc', 'statusCode']);
	assert.equal((await get()).status, 204);
});

test('R-97 M-24 M-21 M-25 a purge tells its true count and leaves what is out; a device that goes takes its queue along', async () => {
	const { primaryKey } = (await hub.createDevice('p1')).authentication.symmetricKey;
	const before = (await statistics()).deadLettered.Purged;
	for (const body of ['a', 'b', 'c']) await sent('p1', body);
	await hub.rest('GET', at('p1'), { token: sasToken({ resource: `${hub.addr}/devices/p1`, key: primaryKey }) });
	assert.deepEqual((await hub.rest('DELETE', '/devices/p1/commands')).body, { deviceId: 'p1', moduleId: null, totalMessagesPurged: 2 });
	assert.equal(await count('p1'), 1);
	assert.equal((await statistics()).deadLettered.Purged, before + 2);
	assert.equal((await hub.rest('DELETE', '/devices/nobody/commands')).status, 404);
	await hub.rest('DELETE', '/devices/p1');
	await hub.createDevice('p1');
	assert.equal(await count('p1'), 0);
	assert.equal((await statistics()).deadLettered.Purged, before + 3);
});

test('M-08 the count is queryable, and moves with the queue', async () => {
	await hub.createDevice('q1');
	const ask = async () => (await hub.rest('POST', '/devices/query', { body: { query: "SELECT deviceId FROM devices WHERE cloudToDeviceMessageCount > 1 AND deviceId IN ['q1']" } })).body.length;
	const group = async () => (await hub.rest('POST', '/devices/query', { body: { query: 'SELECT COUNT() AS n FROM devices WHERE cloudToDeviceMessageCount = 3' } })).body[0].n;
	assert.deepEqual([await ask(), await group()], [0, 0]);
	await sent('q1', '1');
	await sent('q1', '2');
	await sent('q1', '3');
	assert.deepEqual([await ask(), await group()], [1, 1]);
	await hub.rest('DELETE', '/devices/q1/commands');
	assert.deepEqual([await ask(), await group()], [0, 0]);
});

test('M-04 M-05 M-06 L-63 R-116 what is refused says why and queues nothing', async () => {
	await hub.createDevice('r1');
	const many = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`iothub-app-p${i}`, 'v']));
	for (const [body, headers, status, text] of [['x', { 'iothub-ack': 'some' }, 400, /iothub-ack is 'some'/], ['x', { 'iothub-expiry': 'soon' }, 400, /iothub-expiry is 'soon'/], ['x', { 'iothub-expiry': '2001-01-01T00:00:00Z' }, 400, /time.*is over/],
		[Buffer.alloc(65537), {}, 413, /65536/], ['x', many, 413, /101 of/], ['x', { 'iothub-app-': 'v' }, 400, /no name/], ['x', { 'iothub-messageid': 'i'.repeat(129) }, 400, /129 bytes/]]) {
		const answer = await send('r1', body, headers);
		assert.equal(answer.status, status, answer.text);
		assert.match(answer.body.Message, text);
	}
	assert.equal((await send('nobody', 'x')).status, 404);
	assert.equal((await send('nobody', 'x', { 'iothub-ack': 'some' })).status, 404, 'T-116: what is not there is told first');
	for (const policy of ['device', 'registryReadWrite']) assert.equal((await send('r1', 'x', {}, { token: await hub.token({ policy }) })).status, 401);
	assert.equal(await count('r1'), 0);
});

test('M-07 R-116 a disabled device\'s queue is filled, and given to nobody; another device\'s token opens no queue', async () => {
	const { primaryKey } = (await hub.createDevice('off1')).authentication.symmetricKey;
	const other = (await hub.createDevice('off2')).authentication.symmetricKey.primaryKey;
	const own = (id, key) => hub.rest('GET', at('off1'), { token: sasToken({ resource: `${hub.addr}/devices/${id}`, key }) });
	await hub.rest('PUT', '/devices/off1', { headers: { 'If-Match': '*' }, body: { deviceId: 'off1', status: 'disabled', authentication: { symmetricKey: { primaryKey, secondaryKey: primaryKey } } } });
	await sent('off1', 'waits');
	assert.equal((await own('off1', primaryKey)).status, 401);
	assert.equal((await hub.rest('GET', at('off1'), { token: await hub.token({ policy: 'device' }) })).status, 401);
	await hub.rest('PUT', '/devices/off1', { headers: { 'If-Match': '*' }, body: { deviceId: 'off1', authentication: { symmetricKey: { primaryKey, secondaryKey: primaryKey } } } });
	assert.equal((await own('off2', other)).status, 401);
	assert.equal((await own('off1', other)).status, 401);
	const got = await own('off1', primaryKey);
	assert.deepEqual([got.text, got.headers['iothub-deliverycount']], ['waits', '0']);
});
