// MQTT over WebSocket on port 443, with the SDK and bare.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { deviceLogin, mqttDevice, PACKET, RawMqtt, startHub, stopAll, connectPacket, packet, subscribePacket,
	TWIN_RESPONSES, until } from '../lib/hub.mjs';
import { MqttWs, desire, registryOf, sdkDevice, twinOf } from '../lib/sdk.mjs';

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
	const d = await sdkDevice(hub, id, { transport: MqttWs });
	open.add(d);
	return d;
}

test('D-03 the SDK over WebSocket: twin, reported, notifications', async () => {
	const d = await device('ws-1');
	await d.listen();
	await d.report({ via: 'ws' });
	assert.equal((await twinOf(registry, 'ws-1')).properties.reported.via, 'ws');
	await desire(registry, 'ws-1', { x: { y: 1 } });
	assert.deepEqual(await d.notification(), { x: { y: 1 }, $version: 2 });
});

test('D-22 over WebSocket, too, notifications go on after a restart of the hub', async () => {
	const d = await device('ws-2');
	await d.listen();
	await hub.restart();
	await until(async () => (await twinOf(registry, 'ws-2')).connectionState === 'Connected', 'ws-2 is connected again', { ms: 60_000 });
	await desire(registry, 'ws-2', { again: 1 });
	assert.deepEqual(await d.notification(), { again: 1, $version: 2 });
});

test('D-03 the query of the path is ignored', async () => {
	const c = await mqttDevice(hub, 'ws-3', { ws: '/$iothub/websocket?iothub-no-client-cert=true' });
	assert.equal((await c.twinGet()).status, 200);
	await c.disconnect();
});

test('D-04 the subprotocol is compared without case and echoed as the client wrote it', async () => {
	for (const name of ['mqtt', 'MQTT', 'Mqtt']) {
		const c = await RawMqtt.open(hub, { ws: true, protocols: [name] });
		assert.equal(c.socket.protocol, name);
		c.destroy();
	}
});

test('D-05 packets may be split over frames and packed into one', async () => {
	await registry.create({ deviceId: 'ws-4' });
	const key = (await registry.get('ws-4')).responseBody.authentication.symmetricKey.primaryKey;
	const c = await RawMqtt.open(hub, { ws: true });
	for (const byte of connectPacket(deviceLogin(hub, 'ws-4', key))) c.send(Buffer.from([byte]));
	assert.equal((await c.next(PACKET.CONNACK)).code, 0);
	c.send(subscribePacket(1, [{ filter: TWIN_RESPONSES, qos: 0 }]), packet(PACKET.PINGREQ, 0), packet(PACKET.PINGREQ, 0));
	assert.deepEqual((await c.next(PACKET.SUBACK)).codes, [0]);
	await c.next(PACKET.PINGRESP);
	await c.next(PACKET.PINGRESP);
	assert.equal((await c.twinGet()).status, 200);
	await c.disconnect();
});

test('the hub answers a WebSocket ping with a pong', async () => {
	const c = await mqttDevice(hub, 'ws-5', { ws: true });
	const pong = new Promise((resolve) => c.socket.once('pong', (data) => resolve(data.toString())));
	c.socket.ping('beat');
	assert.equal(await pong, 'beat');
	await c.disconnect();
});

test('D-25 a connection over TCP takes over from one over WebSocket', async () => {
	const ws = await mqttDevice(hub, 'ws-6', { ws: true });
	const tcp = await mqttDevice(hub, 'ws-6');
	await ws.closed();
	assert.equal((await tcp.twinGet()).status, 200);
	await tcp.disconnect();
});
