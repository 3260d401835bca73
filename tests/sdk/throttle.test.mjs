// --throttle: what programs with the real SDKs meet when Azure's limits are there, and how they get through (operate.md 11).
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { deviceLogin, mqttDevice, parseConnectionString, RawMqtt, restRequest, sasToken, startHub, stopAll, until, within } from '../lib/hub.mjs';
import { endAll, ephemeral } from '../lib/ephemeral.mjs';
import { registryOf, sdkDevice } from '../lib/sdk.mjs';
import fs from 'node:fs';

const require = createRequire(import.meta.url);
const { RetryOperation, ExponentialBackOffWithJitter } = require('azure-iot-common');
const { Client: ServiceClient } = require('azure-iothub');
let hub, registry;

before(async () => {
	hub = await startHub({ args: ['--throttle', 'S1', '--mqtt-port', '1883'] });
	registry = await registryOf(hub);
});
after(async () => { await endAll(); await stopAll(hub); });

// The SDK's own policy with its own filter of errors; what it waits for after a 429, ten seconds and more, is shorter here.
function patience() {
	const policy = new ExponentialBackOffWithJitter();
	Object.assign(policy.throttledParameters, { c: 200, cMin: 300, cMax: 2000 });
	return policy;
}
const retried = (act) => new Promise((resolve, reject) => new RetryOperation('test', patience(), 60_000).retry(act, (error, result) => (error ? reject(error) : resolve(result))));
const statistics = async () => (await hub.rest('GET', '/statistics/limits')).body;
const kinds = (settled) => {
	const seen = {};
	for (const s of settled) {
		const kind = s.status === 'fulfilled' ? 'done' : s.reason.name;
		seen[kind] = (seen[kind] ?? 0) + 1;
	}
	return seen;
};
const many = (n, act) => Promise.allSettled(Array.from({ length: n }, (_, i) => act(i)));

test('O-154 L-14 L-81 twin updates of the service SDK beyond the edition: ThrottlingError, and by the SDK\'s retry all get through', async () => {
	await hub.createDevice('t1');
	const update = (i, done) => registry.updateTwin('t1', { tags: { n: i } }, '*', done);
	const settled = await many(150, (i) => update(i));
	const seen = kinds(settled);
	assert.deepEqual(Object.keys(seen).sort(), ['ThrottlingError', 'done']);
	assert.ok(seen.done >= 50, `the burst of a second: ${JSON.stringify(seen)}`);
	const { reason } = settled.find((s) => s.status === 'rejected');
	assert.equal(reason.response.statusCode ?? reason.response.status, 429);
	assert.match(reason.responseBody ?? JSON.stringify(reason), /ThrottlingException;request has been throttled, wait \d+ seconds, operation type updates, by the rate limit of the hub/);
	const again = await within(many(100, (i) => retried((done) => update(i, done))), 'the retries');
	assert.deepEqual(kinds(again), { done: 100 });
	assert.ok((await statistics()).throttled.updates.hub > 0);
});

test('O-154 L-11 methods of the service SDK: its own retry gets all through', async () => {
	const device = await sdkDevice(hub, 't2');
	device.client.onDeviceMethod('m', (request, response) => response.send(200, request.payload, () => {}));
	const service = ServiceClient.fromConnectionString(await hub.connectionString('service'));
	service.setRetryPolicy(patience());
	await until(async () => (await hub.rest('POST', '/twins/t2/methods', { policy: 'service', body: { methodName: 'm', payload: 1 } })).status === 200, 'the device listens');
	const before = (await statistics()).throttled.methods?.hub ?? 0;
	// 20 calls of 16 KB are 80 of 4 KB; in one second there are 40
	const settled = await within(many(20, (i) => service.invokeDeviceMethod('t2', { methodName: 'm', payload: `${i}${'x'.repeat(16_000)}`, responseTimeoutInSeconds: 20 })), 'the calls');
	assert.deepEqual(kinds(settled), { done: 20 });
	assert.ok((await statistics()).throttled.methods.hub > before, 'some were refused first');
	await device.close();
});

test('O-154 L-14 L-22 reported patches of the device SDK: 429 in the response topic is an error with its text; later they get through', async () => {
	const device = await sdkDevice(hub, 't3');
	await device.readTwin();
	const settled = await many(120, (i) => device.report({ n: i }));
	const refused = settled.filter((s) => s.status === 'rejected');
	assert.ok(refused.length > 0 && refused.length <= 70, `${refused.length} refused`);
	for (const { reason } of refused) assert.match(reason.message, /request has been throttled, wait 1 seconds, operation type updates, by the rate limit of the hub/);
	await until(() => device.report({ n: 1000 }).then(() => true, () => false), 'room again');
	const raw = await mqttDevice(hub, 't4');
	const answers = await Promise.all(Array.from({ length: 120 }, (_, i) => raw.report({ n: i })));
	const no = answers.find((a) => a.status === 429);
	assert.equal(JSON.parse(no.payload).errorCode, 429001);
	await device.close();
	await raw.disconnect();
});

test('O-154 L-12 L-05 queries and identities: 20 and 100 at once, and then 429 with Retry-After', async () => {
	const query = await many(25, () => hub.rest('POST', '/devices/query', { policy: 'service', body: { query: 'SELECT * FROM devices' } }));
	const no = query.map((s) => s.value).filter((a) => a.status === 429);
	assert.ok(no.length >= 3 && no.length <= 5, `${no.length} of 25 refused`);
	for (const a of no) assert.ok(Number(a.headers['retry-after']) >= 1 && Number(a.headers['retry-after']) <= 3);
	const gets = await many(130, () => registry.get('t1'));
	const seen = kinds(gets);
	assert.ok(seen.ThrottlingError > 0, JSON.stringify(seen));
});

test('O-154 L-06 connects beyond the edition: CONNACK 3, and the log says why', async () => {
	const h = await startHub({ args: ['--throttle', 'F1', '--mqtt-port', '1883'] });
	const ids = ['c1', 'c2', 'c3', 'c4', 'c5', 'c6', 'c7', 'c8'];
	for (const id of ids) await h.createDevice(id);
	const logins = await Promise.all(ids.map(async (id) => deviceLogin(h, id, parseConnectionString(await h.deviceConnectionString(id)).SharedAccessKey)));
	const codes = new Map();
	const connect = async (i) => {
		const link = await RawMqtt.open(h, { plain: true });
		const { code } = await link.connect(logins[i % logins.length]).catch(() => ({ code: 'taken over' }));
		codes.set(code, (codes.get(code) ?? 0) + 1);
		link.destroy();
	};
	await until(async () => { await many(300, connect); return codes.has(3); }, 'more than 100 connects a second');
	assert.ok((codes.get(0) ?? 0) + (codes.get('taken over') ?? 0) >= 90, JSON.stringify([...codes]));
	assert.ok((await h.rest('GET', '/statistics/limits')).body.throttled.connections.hub > 0);
	await until(() => /msg="CONNECT refused" reason=rate-limit .*operation type connections, by the rate limit of the hub/.test(h.logs), 'the log says why');
	await h.stop();
});

test('O-154 L-06 a device of the SDK whose link was cut is refused, and gets in by the SDK\'s own retry', async () => {
	const h = await startHub({ args: ['--throttle', 'F1'] });
	const device = await sdkDevice(h, 'd1');
	try {
		await device.listen();
		// one connect each two seconds: the first is the cut link's try, which comes at once
		assert.equal((await h.rest('PATCH', '/settings', { body: { limits: { rates: { 'hub:connections': '30/m,1' } } } })).status, 200);
		await (await mqttDevice(h, 'd2')).disconnect();
		assert.equal((await h.rest('DELETE', '/devices/d1/connection')).status, 204);
		await until(() => /msg="CONNECT refused" reason=rate-limit .*device=d1 /.test(h.logs), 'it is refused first');
		await until(async () => (await h.rest('GET', '/devices/d1')).body.connectionState === 'Connected', 'and then let in');
	} finally {
		await device.close();
		await h.stop();
	}
});

test('O-154 L-01 L-23 O-148 O-155 a day\'s messages of F1, on a hub for tests', async () => {
	const one = await ephemeral('--throttle', 'F1', '--clock', '--rate-limit', 'hub:updates=none');
	const { HostName, SharedAccessKeyName, SharedAccessKey } = parseConnectionString(one.ready.connectionStrings.iothubowner);
	const token = sasToken({ resource: HostName, key: SharedAccessKey, policy: SharedAccessKeyName });
	const rest = (method, path, body) => restRequest({ host: one.ready.address, ca: fs.readFileSync(one.ready.ca), method, path, body, authorization: token });
	const used = async () => (await rest('GET', '/statistics/limits')).body.dailyMessages;
	assert.deepEqual((await rest('GET', '/statistics/limits')).body.throttle, { edition: 'F1', units: 1 });
	assert.equal((await rest('PUT', '/devices/d', { deviceId: 'd' })).status, 200);
	for (let i = 0; i < 15; i++) assert.equal((await rest('POST', '/devices/d/messages/events', { text: 'x'.repeat(262_000) })).status, 204);
	assert.equal((await used()).used, 15 * 512);
	assert.equal((await rest('POST', '/devices/d/messages/events', { text: 'x'.repeat(262_000) })).status, 204);
	const no = await rest('POST', '/devices/d/messages/events', { a: 1 });
	assert.equal(no.status, 403);
	assert.match(no.text, /IotHubQuotaExceeded;Total number of messages .*Max allowed message count : '8000', current message count : '8192'/);
	assert.equal((await rest('PATCH', '/twins/d', { tags: { a: 1 } })).status, 403);
	assert.equal((await rest('GET', '/devices/d')).status, 200);
	assert.equal((await rest('POST', '/admin/clock', { advance: 'P1D' })).status, 200); // O-148: the next day has come
	assert.equal((await rest('PATCH', '/twins/d', { tags: { a: 1 } })).status, 200);
	assert.equal((await used()).used, 1);
});
