// What a test orders to go wrong in an ephemeral hub, and what the real device SDK makes of it. The service SDK: tests/kit/node.test.mjs.
import { after, afterEach, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { mqttDevice, RawMqtt, deviceLogin, sasToken, startHub, until, within } from '../lib/hub.mjs';
import { endAll, testHub } from '../lib/ephemeral.mjs';
import { createRequire } from 'node:module';
import { rejection, sdkDevice, Client, Mqtt } from '../lib/sdk.mjs';

const { Message } = createRequire(import.meta.url)('azure-iot-device');
const { Http } = createRequire(import.meta.url)('azure-iot-device-http');

let hub;
before(async () => { hub = await testHub(); });
afterEach(() => hub.rest('DELETE', '/admin/faults'));
after(async () => { await hub?.stop(); endAll(); });

const order = (fault, more = {}) => hub.rest('POST', '/admin/faults', { body: { fault, ...more } });
async function ordered(...args) {
	const answer = await order(...args);
	assert.equal(answer.status, 200, answer.text);
	return answer.body;
}
const left = async () => (await hub.rest('GET', '/admin/faults')).body;
const reported = async (id) => { const { $metadata, $version, ...rest } = (await hub.rest('GET', `/twins/${id}`)).body.properties.reported; return rest; };
const story = async (id) => (await hub.rest('GET', `/devices/${id}/connection`)).body;

test('O-175 orders are taken, shown while something is left of them, and taken back', async () => {
	assert.deepEqual(await left(), []);
	assert.deepEqual(await ordered('dropLink'), { fault: 'dropLink', count: 1, met: 0 });
	assert.deepEqual(await ordered('refuseTwin', { count: 3, device: 'd', status: 429 }), { fault: 'refuseTwin', device: 'd', count: 3, status: 429, met: 0 });
	assert.deepEqual(await ordered('refuseTwin'), { fault: 'refuseTwin', count: 1, status: 503, met: 0 });
	assert.deepEqual(await ordered('delayTwin', { seconds: 60 }), { fault: 'delayTwin', count: 1, seconds: 60, met: 0 });
	assert.deepEqual((await left()).map((one) => one.fault), ['dropLink', 'refuseTwin', 'refuseTwin', 'delayTwin']);
	assert.equal((await hub.rest('DELETE', '/admin/faults')).status, 204);
	assert.deepEqual(await left(), []);
	for (const [fault, more, said] of [['other', {}, /fault is none of/], [undefined, {}, /fault is none of/], ['dropLink', { count: 0 }, /count is not a whole number from 1/],
		['dropLink', { count: '2' }, /count/], ['dropLink', { seconds: 1 }, /seconds is no member of dropLink/], ['dropLink', { status: 503 }, /status is no member/], ['dropLink', { devices: 'd' }, /devices is no member/],
		['dropLink', { device: 'a b' }, /device is not the id/], ['refuseTwin', { status: 404 }, /status is none of 429, 500, 503/], ['delayTwin', {}, /seconds are missing/], ['delayTwin', { seconds: 61 }, /from 1 to 60/],
		['tokenSkew', {}, /seconds are missing/], ['unavailable', { seconds: 0 }, /seconds is not/]]) {
		const answer = await order(fault, more);
		assert.deepEqual([answer.status, answer.headers['iothub-errorcode']], [400, 'ArgumentInvalid'], answer.text);
		assert.match(answer.text, said);
	}
	assert.match((await hub.rest('POST', '/admin/faults', { body: [1] })).text, /not a JSON object/);
	for (let i = 0; i < 64; i++) await ordered('dropLink', { device: `x${i}` });
	assert.match((await order('dropLink')).text, /64 faults are ordered, the limit/);
});

test('O-175 other hubs have none', async () => {
	const plain = await startHub();
	for (const method of ['GET', 'POST', 'DELETE'])
		assert.equal((await plain.rest(method, '/admin/faults', method === 'POST' ? { body: { fault: 'dropLink' } } : {})).status, 404, method);
	await plain.stop();
});

test('O-176 dropLink: the SDK connects again by itself, and goes on', async () => {
	const device = await sdkDevice(hub, 'drop'), other = await mqttDevice(hub, 'other');
	await device.listen();
	await ordered('dropLink', { device: 'drop' });
	await other.report({ still: 'there' });
	device.twin.properties.reported.update({ a: 1 }, () => {}); // its answer is lost, as in life
	await until(async () => (await story('drop')).lastDisconnect?.reason === 'ordered' && (await story('drop')).connected, 'the next link');
	assert.deepEqual(await left(), []);
	await until(async () => { await device.report({ b: 2 }); return true; }, 'the device reports');
	assert.equal((await reported('drop')).b, 2);
	await device.close();
	await other.disconnect();
});

test('O-176 refuseConnect: code 3, and the SDK tries again', async () => {
	await ordered('refuseConnect', { device: 'refused', count: 2 });
	const { authentication: { symmetricKey: { primaryKey } } } = await hub.createDevice('refused');
	const raw = await RawMqtt.open(hub);
	assert.equal((await raw.connect(deviceLogin(hub, 'refused', primaryKey))).code, 3);
	await raw.closed();
	const device = await sdkDevice(hub, 'refused');
	await device.readTwin();
	assert.deepEqual(await left(), []);
	assert.equal((await story('refused')).lastRefusal.reason, 'ordered');
	await device.close();
});

test('O-177 refuseTwin: the status, and nothing is done', async () => {
	const device = await mqttDevice(hub, 'twin'), sdk = await sdkDevice(hub, 'sdk');
	await sdk.readTwin();
	await ordered('refuseTwin', { device: 'twin', status: 429, count: 2 });
	await ordered('refuseTwin', { device: 'sdk' });
	assert.deepEqual([(await device.report({ a: 1 })).status, (await device.twinGet()).status], [429, 429]);
	assert.equal((await device.report({ b: 2 })).status, 204);
	assert.deepEqual(await reported('twin'), { b: 2 });
	const error = await rejection(sdk.report({ a: 1 }));
	assert.match(error.message, /by order of a test/);
	await sdk.report({ c: 3 });
	assert.deepEqual(await reported('sdk'), { c: 3 });
	await sdk.close();
	await device.disconnect();
});

test('O-177 delayTwin: the answer comes later, once', async () => {
	const device = await sdkDevice(hub, 'slow');
	await device.readTwin();
	await ordered('delayTwin', { device: 'slow', seconds: 2 });
	const begun = Date.now();
	await device.report({ a: 1 });
	const took = Date.now() - begun;
	assert.ok(took >= 1900, `${took} ms`);
	await device.report({ a: 2 });
	assert.deepEqual(await left(), []);
	assert.deepEqual(await reported('slow'), { a: 2 });
	await device.close();
});

test('O-177 loseNotification: the SDK does not hear of a change, and finds it when it reads', async () => {
	const device = await sdkDevice(hub, 'deaf');
	await device.listen();
	await ordered('loseNotification', { device: 'deaf' });
	const set = (desired) => hub.rest('PATCH', '/twins/deaf', { body: { properties: { desired } } });
	await set({ lost: 1 });
	await set({ heard: 2 });
	const patch = await device.notification();
	assert.deepEqual([patch.lost, patch.heard], [undefined, 2]);
	assert.equal((await device.readTwin()).properties.desired.lost, 1);
	await device.close();
});

test('O-178 unavailable: so often, of a device; or for a while, of all but what is for administration', async () => {
	await hub.createDevice('u1');
	await hub.createDevice('u2');
	const ask = async (id) => (await hub.rest('GET', `/twins/${id}`)).status;
	await ordered('unavailable', { device: 'u1', count: 2 });
	assert.deepEqual([await ask('u1'), await ask('u2'), await ask('u1'), await ask('u1')], [503, 200, 503, 200]);
	await ordered('unavailable', { seconds: 2 });
	for (let i = 0; i < 5; i++) assert.equal(await ask('u2'), 503);
	assert.equal((await left())[0].met, 5);
	assert.ok((await left())[0].seconds <= 2 && !('count' in (await left())[0]));
	await until(async () => await ask('u2') === 200, 'the while is over');
	assert.deepEqual(await left(), []);
});

test('O-179 tokenSkew: a token has expired, over MQTT and HTTPS; the next one is good', async () => {
	await hub.createDevice('skew');
	const key = await hub.key('skew'), connectionString = await hub.deviceConnectionString('skew');
	await ordered('tokenSkew', { device: 'skew', seconds: 7200, count: 2 });
	const client = Client.fromConnectionString(connectionString, Mqtt);
	await client.setOptions({ ca: hub.ca });
	const refused = await rejection(within(client.open(), 'the end of the attempt'));
	assert.equal(refused.name, 'UnauthorizedError');
	assert.equal((await hub.rest('GET', '/devices/skew/messages/deviceBound', { authorization: sasToken({ resource: `${hub.addr}/devices/skew`, key }) })).status, 401);
	await client.close().catch(() => {});
	const device = await sdkDevice(hub, 'skew', { connectionString });
	await device.readTwin();
	assert.equal((await story('skew')).lastRefusal.reason, 'token-expired');
	await device.close();
});

test('O-178 O-179 the device SDK over HTTPS: what is unavailable it sends again by itself, a token that has expired is an error', async () => {
	await hub.createDevice('web');
	const client = Client.fromConnectionString(await hub.deviceConnectionString('web'), Http);
	client.setOptions({ ca: hub.pem }).catch(() => {}); // of this transport it never resolves
	try {
		await client.open();
		await ordered('unavailable', { device: 'web', count: 2 });
		await within(client.sendEvent(new Message('1')), 'the message, at the third attempt');
		assert.deepEqual(await left(), []);
		await ordered('tokenSkew', { device: 'web', seconds: 7200 });
		assert.equal((await rejection(within(client.sendEvent(new Message('2')), 'the end of the attempt'))).name, 'UnauthorizedError');
		await client.sendEvent(new Message('3'));
		assert.deepEqual(await left(), []);
	} finally {
		await client.close();
	}
});
