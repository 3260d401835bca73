// Sessions in the event log (events.md 9): who came, who went and why, with the real SDK and bare clients, over kills and stops of the hub.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { RawMqtt, deviceLogin, mqttDevice, sasToken, startHub, stopAll, until } from '../lib/hub.mjs';
import { Client, Mqtt } from '../lib/sdk.mjs';

let hub;

before(async () => { hub = await startHub(); });
after(() => stopAll(hub));

async function events(id, parameters = '') {
	const answer = await hub.rest('GET', `/events?follow=false&from=earliest&source=DeviceConnectionStateEvents&device=${id}${parameters}`);
	assert.equal(answer.status, 200, answer.text);
	return answer.text.trimEnd().split('\n').map((line) => JSON.parse(line)).filter((e) => e.specversion);
}

// "+" and "-", each with its flaps and reason.
const told = async (id) => (await events(id)).map(({ type, data: { deviceConnectionStateEventInfo: i } }) =>
	`${type.endsWith('DeviceConnected') ? '+' : '-'}${i.flaps ?? ''}${i.reason ? ` ${i.reason}` : ''}`).join(', ');
const tells = async (id, what) => {
	await until(async () => await told(id) === what, `${id}: ${what}`);
};

async function sdk(id) {
	const client = Client.fromConnectionString(await hub.deviceConnectionString(id), Mqtt);
	client.setOptions({ ca: hub.pem });
	client.on('error', () => {});
	await client.open();
	return client;
}

test('T-100 T-101 T-102 E-90 E-92 E-93 the SDK comes and goes, as Event Grid tells it', async () => {
	await hub.createDevice('sdk');
	const client = await sdk('sdk');
	await tells('sdk', '+');
	await client.close();
	await tells('sdk', '+, - goodbye');
	const [came, went] = await events('sdk');
	assert.equal(came.type, 'Microsoft.Devices.DeviceConnected');
	assert.equal(went.type, 'Microsoft.Devices.DeviceDisconnected');
	for (const e of [came, went]) {
		assert.equal(e.subject, 'devices/sdk');
		assert.equal(e.twinhubactor, 'device:sdk');
		assert.equal(e.data.deviceId, 'sdk');
		assert.equal(e.data.hubName, hub.addr);
		assert.match(e.data.deviceConnectionStateEventInfo.sequenceNumber, /^[0-9A-F]{64}$/);
	}
	assert.deepEqual(Object.keys(came.data), ['deviceConnectionStateEventInfo', 'hubName', 'deviceId']);
	assert.equal(came.data.deviceConnectionStateEventInfo.reason, undefined);
	assert.equal(went.data.deviceConnectionStateEventInfo.closedBy, 'peer');
	assert.ok(came.data.deviceConnectionStateEventInfo.sequenceNumber < went.data.deviceConnectionStateEventInfo.sequenceNumber);
	assert.equal((await events('sdk', `&where=${encodeURIComponent("opType = 'deviceDisconnected' AND $body.reason = 'goodbye'")}`)).length, 1);
});

test('E-90 E-91 each end has its reason: silence, a lost link, take-over, disabled, deleted; modules have their own', async () => {
	await hub.createDevice('silent');
	await mqttDevice(hub, 'silent', { login: { keepAlive: 1 } });
	await hub.createDevice('lost');
	const lost = await mqttDevice(hub, 'lost');
	await hub.createDevice('taken');
	await mqttDevice(hub, 'taken');
	await tells('taken', '+');
	await mqttDevice(hub, 'taken');
	await tells('taken', '+, + taken-over');
	await tells('lost', '+');
	lost.destroy();
	await tells('lost', '+, - left');
	const identity = (await hub.rest('GET', '/devices/taken')).body;
	await hub.rest('PUT', '/devices/taken', { body: { ...identity, status: 'disabled' }, headers: { 'If-Match': '*' } });
	await tells('taken', '+, + taken-over, - disabled');
	assert.equal((await events('taken')).at(-1).twinhubactor, 'hub');
	assert.equal((await events('taken')).at(-1).data.deviceConnectionStateEventInfo.closedBy, 'operator');
	await hub.createDevice('gone');
	await mqttDevice(hub, 'gone');
	await tells('gone', '+');
	assert.equal((await hub.rest('DELETE', '/devices/gone', { headers: { 'If-Match': '*' } })).status, 204);
	await tells('gone', '+, - deleted');
	await tells('silent', '+, - keep-alive');
	await hub.createDevice('edge');
	const { body: module } = await hub.rest('PUT', '/devices/edge/modules/m', { body: { deviceId: 'edge', moduleId: 'm' } });
	const client = await RawMqtt.open(hub);
	const key = module.authentication.symmetricKey.primaryKey;
	const password = sasToken({ resource: `${hub.addr}/devices/edge/modules/m`, key });
	assert.equal((await client.connect(deviceLogin(hub, 'edge/m', key, { password }))).code, 0);
	await until(async () => (await events('edge', '&module=m')).length === 1, 'the module is told');
	const [m] = await events('edge', '&module=m');
	assert.equal(m.subject, 'devices/edge/modules/m');
	assert.equal(m.data.moduleId, 'm');
});

test('E-94 after kill -9 the missing end is there, and the SDK that comes back is told behind it', async () => {
	await hub.createDevice('back');
	await hub.createDevice('away');
	const client = await sdk('back');
	const away = await mqttDevice(hub, 'away');
	await tells('back', '+');
	await tells('away', '+');
	away.socket.on('error', () => {});
	await hub.kill();
	await hub.start();
	await tells('away', '+, - hub-ended');
	await tells('back', '+, - hub-ended');
	client.removeAllListeners();
	client.close().catch(() => {});
	const again = await sdk('back');
	await tells('back', '+, - hub-ended, +');
	await again.close();
	await tells('back', '+, - hub-ended, +, - goodbye');
	await hub.restart();
	await tells('away', '+, - hub-ended');
});

test('E-94 a stop says goodbye for all before it ends', async () => {
	await hub.createDevice('stays');
	const client = await mqttDevice(hub, 'stays');
	client.socket.on('error', () => {});
	await tells('stays', '+');
	await hub.restart();
	await tells('stays', '+, - stopping');
});
