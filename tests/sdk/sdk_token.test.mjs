// Tokens: renewal by the SDK, the end of a token, and take-over.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { deviceLogin, mqttDevice, mqttUsername, RawMqtt, sasToken, startHub, stopAll, within } from '../lib/hub.mjs';
import { Client, Mqtt, SdkDevice, SharedAccessKeyAuthenticationProvider, desire, registryOf, sdkDevice, twinOf } from '../lib/sdk.mjs';

const SKEW = 300; // seconds by which clocks may differ: device-mqtt.md 2.3
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

const now = () => Math.floor(Date.now() / 1000);

async function keyOf(id) {
	await registry.create({ deviceId: id });
	return (await registry.get(id)).responseBody.authentication.symmetricKey.primaryKey;
}

test('D-21 the SDK renews its token by reconnecting; its subscriptions are still there', async () => {
	await registry.create({ deviceId: 'renew' });
	const provider = SharedAccessKeyAuthenticationProvider.fromConnectionString(await hub.deviceConnectionString('renew'));
	const client = Client.fromAuthenticationProvider(provider, Mqtt);
	await client.setOptions({ ca: hub.ca });
	const d = await SdkDevice.open(client);
	open.add(d);
	await d.listen();
	const renewed = within(new Promise((resolve) => provider.once('newTokenAvailable', resolve)), 'a new token');
	provider.setTokenRenewalValues(3600, 900); // renews at once
	await renewed;
	await d.report({ round: 1 }); // waits until the SDK is connected again
	await desire(registry, 'renew', { after: 'renewal' });
	assert.deepEqual(await d.notification(), { after: 'renewal', $version: 2 });
});

test('D-21 an application\'s own new token is taken up the same way', async () => {
	const key = await keyOf('own-token');
	const token = (ttl) => sasToken({ resource: `${hub.addr}/devices/own-token`, key, ttl });
	const client = Client.fromSharedAccessSignature(token(1000), Mqtt);
	await client.setOptions({ ca: hub.ca });
	const d = await SdkDevice.open(client);
	open.add(d);
	await d.listen();
	client.updateSharedAccessSignature(token(2000));
	await d.report({ round: 1 });
	await desire(registry, 'own-token', { x: 1 });
	assert.deepEqual(await d.notification(), { x: 1, $version: 2 });
});

test('D-20 L-79 L-80 the link is closed when its token has ended by more than the skew; the session stays', async () => {
	const key = await keyOf('ending');
	const short = sasToken({ resource: `${hub.addr}/devices/ending`, key, expires: now() - SKEW + 3 });
	const c = await mqttDevice(hub, 'ending', { login: { password: short } });
	assert.equal((await c.twinGet()).status, 200);
	await c.closed('the hub to close the link of an expired token');
	const again = await mqttDevice(hub, 'ending', { filters: [] });
	assert.equal(again.sessionPresent, true);
	assert.equal((await again.twinGet()).status, 200);
	await again.disconnect();
});

test('D-15 R-05 a token expired by more than the skew is refused, one within it is accepted', async () => {
	const key = await keyOf('expired');
	for (const [expires, code] of [[now() - SKEW - 5, 5], [now() - SKEW + 30, 0], [now() + 30, 0]]) {
		const c = await RawMqtt.open(hub);
		const password = sasToken({ resource: `${hub.addr}/devices/expired`, key, expires });
		assert.equal((await c.connect(deviceLogin(hub, 'expired', key, { password }))).code, code, `se ${expires - now()} s from now`);
		c.destroy();
	}
});

test('D-13 a policy\'s token opens any device that exists and is enabled', async () => {
	await registry.create({ deviceId: 'by-policy' });
	const connect = async (id, policy) => {
		const c = await RawMqtt.open(hub);
		const { code } = await c.connect({ clientId: id, username: mqttUsername(hub.addr, id), password: await hub.token({ policy }) });
		c.destroy();
		return code;
	};
	assert.equal(await connect('by-policy', 'device'), 0);
	assert.equal(await connect('by-policy', 'iothubowner'), 0);
	assert.equal(await connect('by-policy', 'service'), 5);
	assert.equal(await connect('nobody', 'device'), 5);
	await registry.update({ deviceId: 'by-policy', status: 'disabled' });
	assert.equal(await connect('by-policy', 'device'), 5);
});

test('D-25 T-106 a second SDK client of the same device takes over; the first is told', async () => {
	const first = await sdkDevice(hub, 'takeover');
	open.add(first);
	first.client.setRetryPolicy({ shouldRetry: () => false, nextRetryTimeout: () => -1 }); // or the two would fight for ever
	await first.readTwin();
	const lost = first.disconnects.next(undefined, 'the first client to lose its link');
	const second = await sdkDevice(hub, 'takeover');
	open.add(second);
	await lost;
	await second.listen();
	assert.equal((await twinOf(registry, 'takeover')).connectionState, 'Connected');
	await desire(registry, 'takeover', { to: 'the second' });
	assert.deepEqual(await second.notification(), { to: 'the second', $version: 2 });
});
