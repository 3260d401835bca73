// Sessions go on while the shard of their device moves (O-236 to O-238): the real device SDK, and bare MQTT for what it does not show.
import { after, afterEach, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { deviceLogin, Inbox, mqttDevice, PACKET, RawMqtt, until, within } from '../lib/hub.mjs';
import { endAll, testHub } from '../lib/ephemeral.mjs';
import { Message, Mqtt, MqttWs, sdkDevice } from '../lib/sdk.mjs';

let hub;
before(async () => { hub = await testHub('--workers', '2', '--io-threads', '2'); });
afterEach(() => hub.rest('DELETE', '/admin/faults'));
after(async () => { await hub?.stop(); endAll(); });

const moves = async (device, count = 1) => assert.equal((await hub.rest('POST', '/admin/faults', { body: { fault: 'moveShard', device, count } })).status, 200);
const left = async () => (await hub.rest('GET', '/admin/faults')).body;
const story = async (id) => (await hub.rest('GET', `/devices/${id}/connection`)).body;
const desire = async (id, desired) => assert.equal((await hub.rest('PATCH', `/twins/${id}`, { body: { properties: { desired } } })).status, 200);
const send = async (id, body) => assert.equal((await hub.rest('POST', `/devices/${id}/messages/deviceBound`, { body })).status, 204);
const call = (id, body) => hub.rest('POST', `/twins/${id}/methods`, { body: { responseTimeoutInSeconds: 20, ...body } });

// Of the log: "+" and "-" of an identity.
async function told(id) {
	const { text } = await hub.rest('GET', `/events?from=earliest&follow=false&source=DeviceConnectionStateEvents&device=${id}`);
	return (text.match(/"type":"Microsoft\.Devices\.Device(Connected|Disconnected)/g) ?? []).map((t) => t.endsWith('Disconnected') ? '-' : '+').join('');
}

for (const [name, transport] of [['MQTT', Mqtt], ['MQTT over WebSocket', MqttWs]]) {
	test(`O-236 O-238 the SDK over ${name}: notifications, methods, messages and reports go on over moves, each once`, async () => {
		const id = `sdk-${transport.name}`, rounds = 15;
		const device = await sdkDevice(hub, id, { transport });
		const messages = new Inbox(), methods = new Inbox();
		device.client.on('message', (m) => { messages.push(m.data.toString()); device.client.complete(m, () => {}); });
		device.client.onDeviceMethod('reboot', (request, response) => { methods.push(request.payload); response.send(200, request.payload, () => {}); });
		await device.listen();
		await until(async () => (await call(id, { methodName: 'reboot', payload: -1 })).status === 200, 'the device listens to methods');
		await until(() => methods.take().length > 0, 'it has heard of it');
		for (let n = 0; n < rounds; n++) {
			await moves(id);
			await Promise.all([device.report({ n }), device.client.sendEvent(new Message(`event ${n}`)), desire(id, { n }), send(id, `message ${n}`),
				call(id, { methodName: 'reboot', payload: n }).then(({ status, body }) => { // one that is out as the shard goes fails, and is not sent again
					if (status !== 200) assert.match(JSON.stringify(body), /404104|404103/);
				})]);
			assert.equal((await device.notification()).n, n);
			for (let m; (m = await messages.next()) !== `message ${n}`;) assert.ok(Number(m.split(' ')[1]) < n, m); // at least once: a move has come before its PUBACK
		}
		assert.deepEqual(await left(), []); // each has moved it
		assert.equal((await call(id, { methodName: 'reboot', payload: 'last' })).status, 200);
		const asked = methods.take().filter((n) => n !== 'last');
		assert.deepEqual(asked, [...new Set(asked)].sort((a, b) => a - b));
		assert.equal((await hub.rest('GET', `/twins/${id}`)).body.properties.reported.n, rounds - 1);
		assert.equal(device.notifications.take().length, 0);
		await until(async () => (await hub.rest('GET', `/twins/${id}`)).body.cloudToDeviceMessageCount === 0, 'each message is complete');
		assert.equal(device.disconnects.take().length, 0);
		assert.equal((await story(id)).lastDisconnect, undefined);
		assert.equal(await told(id), '+');
		await device.close();
		await until(async () => await told(id) === '+-', 'the end is told');
	});
}

test('O-236 a durable session and a clean one go on, with packets in flight', async () => {
	const clean = await mqttDevice(hub, 'raw-clean', { login: { clean: true } }), stored = await mqttDevice(hub, 'raw-stored', { login: { clean: false } });
	for (const [id, device] of [['raw-clean', clean], ['raw-stored', stored]]) {
		for (let n = 0; n < 10; n++) {
			await moves(id);
			const answers = [];
			for (let i = 0; i < 10; i++) answers.push(device.report({ n: n * 10 + i }));
			assert.deepEqual((await Promise.all(answers)).map((a) => a.status), Array(10).fill(204));
		}
		await desire(id, { last: 1 });
		assert.equal((await device.notification()).body.last, 1);
		assert.equal((await device.twinGet()).body.reported.n, 99);
		assert.equal(await told(id), '+');
		await device.disconnect();
	}
});

test('O-236 a call that is out as the shard goes fails with 404104; the session does not', async () => {
	const device = await mqttDevice(hub, 'caller', { filters: ['$iothub/methods/POST/#'] });
	const answer = call('caller', { methodName: 'm', payload: null });
	await device.next(PACKET.PUBLISH, 'the call');
	await moves('caller');
	await device.ping();
	const { status, body } = await within(answer, 'the answer');
	assert.equal(status, 404);
	assert.match(JSON.stringify(body), /404104/);
	await device.ping();
	const again = call('caller', { methodName: 'm', payload: 1 });
	const p = await device.next(PACKET.PUBLISH, 'the next call');
	await device.publish(`$iothub/methods/res/200/?$rid=${/\$rid=(\w+)/.exec(p.topic)[1]}`, '2');
	assert.deepEqual((await again).body, { status: 200, payload: 2 });
	await device.disconnect();
});

test('O-232 who has lost a change is closed after a move, and nobody else', async () => {
	const loses = await mqttDevice(hub, 'loses'), other = await mqttDevice(hub, 'keeps');
	await hub.rest('POST', '/admin/faults', { body: { fault: 'loseNotification', device: 'loses' } });
	for (const id of ['loses', 'keeps']) {
		await desire(id, { a: 1 });
		await moves(id);
	}
	await other.ping();
	loses.send(Buffer.from([PACKET.PINGREQ << 4, 0]));
	await loses.closed('the link of who has lost a change');
	assert.equal((await story('loses')).lastDisconnect.reason, 'desired-missed');
	await other.ping();
	assert.equal((await story('keeps')).connected, true);
	await other.disconnect();
});

test('O-237 a link that ends while nobody serves its shard has its own reason, its will and one end', async () => {
	for (let n = 0; n < 5; n++) {
		const id = `ends-${n}`, { authentication: { symmetricKey: { primaryKey } } } = await hub.createDevice(id);
		const device = await RawMqtt.open(hub);
		assert.equal((await device.connect(deviceLogin(hub, id, primaryKey, { will: { topic: `devices/${id}/messages/events/`, payload: 'gone' } }))).code, 0);
		await until(async () => await told(id) === '+', 'the begin is told');
		await moves(id);
		device.send(Buffer.from([PACKET.PINGREQ << 4, 0]));
		device.destroy();
		await until(async () => await told(id) === '+-', 'the end is told');
		const { lastDisconnect } = await story(id);
		assert.match(lastDisconnect.reason, /^(left|link-failed)$/);
	}
});
