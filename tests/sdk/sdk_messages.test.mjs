// Messages to devices with Azure's device SDK, over MQTT and by polling over HTTPS.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { Inbox, sasToken, startHub, stopAll, until, within } from '../lib/hub.mjs';
import { Client, Mqtt, MqttWs } from '../lib/sdk.mjs';

const { Http } = createRequire(import.meta.url)('azure-iot-device-http');
let hub;
before(async () => { hub = await startHub(); });
after(() => stopAll(hub));

const call = (object, name, ...args) => within(new Promise((resolve, reject) => object[name](...args, (error, result) => error ? reject(error) : resolve(result))), name);
const send = async (id, body, headers = {}) => assert.equal((await hub.rest('POST', `/devices/${id}/messages/deviceBound`, { body, headers })).status, 204);
const count = async (id) => (await hub.rest('GET', `/twins/${id}`)).body.cloudToDeviceMessageCount;

async function clientOf(id, transport, options) {
	await hub.createDevice(id);
	const client = Client.fromConnectionString(await hub.deviceConnectionString(id), transport);
	client.setOptions({ ca: hub.pem, ...options });
	return client;
}

for (const [name, transport] of [['MQTT', Mqtt], ['MQTT over WebSocket', MqttWs]])
	test(`D-65 D-66 D-67 the SDK's message event over ${name}, with properties; complete takes it out of the queue`, async () => {
		const id = `sdk-${transport.name}`;
		const client = await clientOf(id, transport);
		const inbox = new Inbox();
		await call(client, 'open');
		client.on('message', (message) => inbox.push(message));
		await send(id, 'turn on', { 'iothub-messageid': 'm/1', 'iothub-correlationid': 'c 1', 'iothub-contenttype': 'text/plain', 'iothub-contentencoding': 'utf-8',
			'iothub-ack': 'full', 'iothub-expiry': new Date(Date.now() + 600_000).toISOString(), 'iothub-app-Level': '7 & more' });
		const message = await inbox.next(() => true, 'the message');
		assert.deepEqual([message.data.toString(), message.messageId, message.correlationId, message.contentType, message.contentEncoding], ['turn on', 'm/1', 'c 1', 'text/plain', 'utf-8']);
		assert.equal(message.to, `/devices/${id}/messages/devicebound`);
		assert.ok(new Date(message.expiryTimeUtc) > new Date());
		assert.equal(message.properties.getValue('Level'), '7 & more');
		await call(client, 'complete', message); // mqtt.js has acknowledged it before
		await until(async () => await count(id) === 0, 'the queue is empty');
		await call(client, 'close');
		const told = await hub.rest('GET', '/messages/serviceBound/feedback');
		assert.deepEqual([told.body[0].originalMessageId, told.body[0].statusCode, told.body[0].deviceId], ['m/1', 'Success', id]);
		await hub.rest('DELETE', `/messages/serviceBound/feedback/${told.headers.etag.replaceAll('"', '')}`);
	});

test('D-69 what is sent while the SDK is away comes when it connects again', async () => {
	const client = await clientOf('again', Mqtt);
	client.on('message', () => {});
	await call(client, 'open');
	await until(async () => (await hub.rest('GET', '/twins/again')).body.connectionState === 'Connected', 'connected');
	await call(client, 'close');
	await send('again', 'one');
	await send('again', 'two');
	const next = Client.fromConnectionString(await hub.deviceConnectionString('again'), Mqtt);
	const inbox = new Inbox();
	next.setOptions({ ca: hub.pem });
	next.on('message', (message) => inbox.push(message));
	await call(next, 'open');
	for (const body of ['one', 'two']) assert.equal((await inbox.next(() => true, body)).data.toString(), body);
	await until(async () => await count('again') === 0, 'the queue is empty');
	await call(next, 'close');
});

test('R-116 the SDK polls over HTTPS: complete, reject, abandon', async () => {
	const client = await clientOf('poll', Http, { http: { receivePolicy: { manualPolling: true } } });
	const inbox = new Inbox();
	client.on('message', (message) => inbox.push(message));
	for (const [body, id] of [['done', 'p1'], ['bad', 'p2'], ['later', 'p3']]) await send('poll', body, { 'iothub-messageid': id, 'iothub-ack': 'full', 'iothub-app-Kind': body });
	const receive = async () => { client._transport.receive(); return inbox.next(() => true, 'a polled message'); };
	const got = [await receive(), await receive(), await receive()];
	assert.deepEqual(got.map((m) => [m.data.toString(), m.messageId]), [['done', 'p1'], ['bad', 'p2'], ['later', 'p3']]);
	assert.equal(got[0].properties.getValue('iothub-app-kind'), 'done');
	await call(client, 'complete', got[0]);
	await call(client, 'reject', got[1]);
	await call(client, 'abandon', got[2]);
	const again = await receive();
	assert.equal(again.data.toString(), 'later');
	assert.notEqual(again.lockToken, got[2].lockToken);
	await call(client, 'complete', again);
	await assert.rejects(call(client, 'complete', again), 'its lock is over');
	assert.equal(await count('poll'), 0);
	await call(client, 'close').catch(() => {});
});

test('M-20 M-21 R-117 L-65 a message whose time is over goes by itself, and its sender is told, also after a stop', async () => {
	await hub.createDevice('late');
	const before = (await hub.rest('GET', '/statistics/messages')).body.deadLettered.Expired;
	await send('late', 'soon', { 'iothub-messageid': 'late-1', 'iothub-ack': 'negative', 'iothub-expiry': new Date(Date.now() + 1500).toISOString() });
	await send('late', 'stays');
	await hub.kill();
	await hub.start();
	await until(async () => await count('late') === 1, 'the first one has gone');
	assert.equal((await hub.rest('GET', '/statistics/messages')).body.deadLettered.Expired, before + 1);
	const told = await until(async () => { const answer = await hub.rest('GET', '/messages/serviceBound/feedback'); return answer.status === 200 && answer; }, 'its feedback');
	assert.deepEqual(told.body.map((f) => [f.originalMessageId, f.statusCode]).filter(([id]) => id === 'late-1'), [['late-1', 'Expired']]);
});

// A stop at any moment: what was answered 204 is there, once, until its completion was answered 204.
test('M-02 M-14 killed under load: nothing acknowledged is lost, nothing completed comes back', async () => {
	const ids = Array.from({ length: 6 }, (_, i) => `k${i}`), keys = {};
	for (const id of ids) keys[id] = (await hub.createDevice(id)).authentication.symmetricKey.primaryKey;
	const own = (id, method, target) => hub.rest(method, target, { token: sasToken({ resource: `${hub.addr}/devices/${id}`, key: keys[id] }) });
	const sure = new Set(), done = new Set();
	let doubt = new Set(), n = 0;

	async function one(id, stopped) {
		const at = `/devices/${id}/messages/deviceBound`;
		while (!stopped.yes) {
			const name = `${id}-${n++}`;
			doubt.add(name);
			const sent = await hub.rest('POST', at, { body: name, headers: { 'iothub-messageid': name } });
			if (sent.status === 204) { sure.add(name); doubt.delete(name); }
			const got = await own(id, 'GET', at);
			if (got.status !== 200) continue;
			assert.ok(!done.has(got.text), `${got.text} was completed`);
			assert.ok(sure.has(got.text) || doubt.has(got.text), got.text);
			if (n % 3 === 0) continue; // its lock ends with the hub
			sure.delete(got.text);
			doubt.add(got.text);
			const settled = await own(id, 'DELETE', `${at}/${got.headers.etag.replaceAll('"', '')}`);
			if (settled.status === 204) { done.add(got.text); doubt.delete(got.text); }
		}
	}

	for (let round = 0; round < 3; round++) {
		const stopped = { yes: false };
		const before = done.size;
		const all = ids.map((id) => one(id, stopped).catch((error) => { if (error instanceof assert.AssertionError) throw error; }));
		await until(() => done.size > before + 30, 'some have been completed');
		stopped.yes = true;
		await hub.kill();
		await Promise.all(all);
		await hub.start();
		const there = new Set();
		for (const id of ids) {
			for (let got; (got = await own(id, 'GET', `/devices/${id}/messages/deviceBound`)).status === 200;) {
				there.add(got.text);
				assert.equal((await own(id, 'DELETE', `/devices/${id}/messages/deviceBound/${got.headers.etag.replaceAll('"', '')}`)).status, 204);
			}
			assert.equal(await count(id), 0);
		}
		for (const name of sure) assert.ok(there.has(name), `${name} is lost`);
		for (const name of there) {
			assert.ok(!done.has(name), `${name} was completed and has come back`);
			assert.ok(sure.has(name) || doubt.has(name), `${name} comes from nowhere`);
			done.add(name);
		}
		sure.clear();
		doubt = new Set();
	}
	assert.ok(done.size > 90);
});
