// SUBSCRIBE and PUBLISH with a bare client (device-mqtt.md 3, 6.1).
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { DESIRED_CHANGES, mqttDevice, packet, PACKET, publishPacket, startHub, stopAll, subscribePacket, TWIN_RESPONSES, unsubscribePacket } from '../lib/hub.mjs';

let hub;
before(async () => { hub = await startHub(); });
after(() => stopAll(hub));

const bare = (id, options = {}) => mqttDevice(hub, id, { filters: [], ...options });

test('D-31 five filters in one packet: a code for each, in order', async () => {
	const c = await bare('d31');
	const codes = await c.subscribe({ filter: 'devices/d31/messages/devicebound/#', qos: 1 }, TWIN_RESPONSES, { filter: DESIRED_CHANGES, qos: 1 },
		'not/mine', { filter: '$iothub/methods/POST/#', qos: 0 });
	assert.deepEqual(codes, [1, 0, 1, 0x80, 0]);
	await c.disconnect();
});

test('D-32 the filter with + for the id is the device\'s own', async () => {
	const c = await bare('d32');
	assert.deepEqual(await c.subscribe({ filter: 'devices/+/messages/devicebound/#', qos: 1 }, 'devices/d32/messages/devicebound/'), [1, 0]);
	await c.disconnect();
});

test('D-34 QoS 2 is granted as 1', async () => {
	const c = await bare('d34');
	assert.deepEqual(await c.subscribe({ filter: TWIN_RESPONSES, qos: 2 }), [1]);
	await c.disconnect();
});

test('D-35 foreign and generic filters get 0x80 and the link stays', async () => {
	const c = await bare('d35');
	for (const filter of ['+/#', '+', '$iothub/#', '$iothub/twin/#', 'devices/other/messages/devicebound/#', 'devices/#', '$SYS/#', 'devices/d35/messages/events/#',
		'$iothub/twin/GET/#', '$iothub/twin/res/+/x', 'a/#/b', 'a+'])
		assert.deepEqual(await c.subscribe(filter), [0x80], filter);
	await c.ping();
	await c.disconnect();
});

// Bytes as mosquitto_sub -t '#' sends them, and Microsoft's sample in C.
test('D-82 # is the device\'s own messages: granted, kept, given up, and no answer or call comes by it', async () => {
	const c = await bare('d82');
	const ownMessages = 'devices/d82/messages/devicebound/#';
	assert.deepEqual(await c.subscribe({ filter: '#', qos: 2 }), [1]);
	assert.deepEqual(await c.subscribe({ filter: ownMessages, qos: 0 }), [0], 'it is the same subscription');
	assert.deepEqual(await c.subscribe('#', TWIN_RESPONSES, DESIRED_CHANGES, '$iothub/methods/POST/a/#', '$iothub/methods/POST/b/#', '$iothub/methods/POST/c/#'), [0, 0, 0, 0, 0, 0x80],
		'it counts once');
	await c.unsubscribe('$iothub/methods/POST/a/#', '$iothub/methods/POST/b/#', TWIN_RESPONSES, DESIRED_CHANGES);
	await c.disconnect();
	const again = await bare('d82');
	assert.equal(again.sessionPresent, true);
	await hub.rest('PATCH', '/twins/d82', { body: { properties: { desired: { a: 1 } } } });
	assert.equal((await hub.rest('POST', '/twins/d82/methods', { body: { methodName: 'm' } })).status, 404);
	again.send(publishPacket('$iothub/twin/GET/?$rid=1', '', {}));
	await again.ping();
	assert.deepEqual(again.inbox.take(), [], 'topics with $ in front are not of #');
	await again.unsubscribe('#');
	const five = [TWIN_RESPONSES, DESIRED_CHANGES, '$iothub/methods/POST/a/#', '$iothub/methods/POST/b/#', '$iothub/methods/POST/c/#'];
	assert.deepEqual(await again.subscribe(...five), [0, 0, 0, 0, 0], '# is given up');
	await again.disconnect();
});

test('D-36 L-77 the sixth subscription gets 0x80; a repeated one does not count', async () => {
	const c = await bare('d36');
	const five = ['devices/d36/messages/devicebound/#', TWIN_RESPONSES, DESIRED_CHANGES, '$iothub/methods/POST/#', '$iothub/methods/POST/reboot/#'];
	for (const filter of five) assert.deepEqual(await c.subscribe(filter), [0], filter);
	assert.deepEqual(await c.subscribe(five[0], five[1]), [0, 0]);
	assert.deepEqual(await c.subscribe('$iothub/methods/POST/other/#'), [0x80]);
	await c.unsubscribe(five[4]);
	assert.deepEqual(await c.subscribe('$iothub/methods/POST/other/#'), [0]);
	await c.disconnect();
});

test('D-37 UNSUBSCRIBE of anything is answered and takes the filter out of the stored session', async () => {
	const c = await bare('d37');
	await c.subscribe(TWIN_RESPONSES, DESIRED_CHANGES);
	await c.unsubscribe('never/subscribed', DESIRED_CHANGES);
	await c.disconnect();
	const again = await bare('d37');
	assert.equal(again.sessionPresent, true);
	await hub.rest('PATCH', '/twins/d37', { body: { properties: { desired: { a: 1 } } } });
	assert.deepEqual(await again.pendingNotifications(), []);
	await again.disconnect();
});

test('D-22 filters are on disk when they are acknowledged: kill -9 right after SUBACK and UNSUBACK', async () => {
	const own = await startHub();
	const c = await mqttDevice(own, 'd22', { filters: [] });
	await c.subscribe(TWIN_RESPONSES, DESIRED_CHANGES, '$iothub/methods/POST/#');
	await c.unsubscribe('$iothub/methods/POST/#');
	await own.kill();
	await own.start();
	const again = await mqttDevice(own, 'd22', { filters: [] });
	assert.equal(again.sessionPresent, true);
	await own.rest('PATCH', '/twins/d22', { body: { properties: { desired: { a: 1 } } } });
	assert.deepEqual((await again.notification()).body, { a: 1, $version: 2 });
	assert.deepEqual(await again.subscribe('devices/d22/messages/devicebound/#', '$iothub/methods/POST/a/#', '$iothub/methods/POST/b/#', '$iothub/methods/POST/c/#'), [0, 0, 0, 0x80]);
	await again.disconnect();
	await own.stop();
});

test('a SUBSCRIBE or UNSUBSCRIBE without filters, or with wrong flags, closes the link', async () => {
	for (const bytes of [subscribePacket(1, []), unsubscribePacket(1, []), packet(PACKET.SUBSCRIBE, 0, Buffer.from([0, 1, 0, 1, 97, 0])), subscribePacket(1, [{ filter: 'a', qos: 3 }])]) {
		const c = await bare('flags');
		c.send(bytes);
		await c.closed();
	}
});

test('D-38 L-78 a PUBLISH with QoS 2 closes the link', async () => {
	const c = await bare('d38');
	c.send(publishPacket('devices/d38/messages/events/', 'x', { qos: 2, id: 1 }));
	await c.closed();
});

test('D-39 D-61 telemetry: every form of the topic is acknowledged, retain too', async () => {
	const c = await bare('d39');
	for (const topic of ['devices/d39/messages/events/', 'devices/d39/messages/events', 'devices/d39/messages/events/%24.mid=1&%24.ct=application%2Fjson&temp=high',
		'devices/d39/messages/events/temp=high&%24.mid=1&%24.ct=application/json', 'devices/d39/messages/events/a=b/', 'devices/d39/messages/events/$.mid=1&flag&c=%zz',
		'devices/d39/messages/events/?a=b&c=d+e'])
		await c.publish(topic, '{"t":1}', { qos: 1 });
	await c.publish('devices/d39/messages/events/', 'kept?', { qos: 1, retain: true });
	await c.publish('devices/d39/messages/events/', '', { qos: 1 });
	await c.publish('devices/d39/messages/events/', 'again', { qos: 1, dup: true });
	await c.publish('devices/d39/messages/events/', 'no acknowledgement', { qos: 0 });
	await c.ping();
	await c.disconnect();
});

test('D-40 PUBACKs come in the order of arrival over all topics', async () => {
	const c = await mqttDevice(hub, 'd40');
	const packets = [], ids = [];
	for (let i = 0; i < 200; i++) {
		const id = (i * 7919) % 65535 + 1;
		ids.push(id);
		const topic = [`devices/d40/messages/events/n=${i}`, `$iothub/twin/GET/?$rid=${i}`, `$iothub/twin/PATCH/properties/reported/?$rid=p${i}`][i % 3];
		packets.push(publishPacket(topic, i % 3 === 2 ? `{"n":${i}}` : ' ', { qos: 1, id }));
	}
	c.send(...packets);
	const got = [];
	for (let i = 0; i < 200; i++) got.push((await c.next(PACKET.PUBACK, `PUBACK ${i} of 200`)).id);
	assert.deepEqual(got, ids);
	await c.disconnect();
});

test('D-41 a PUBLISH outside the device\'s own tree closes the link', async () => {
	for (const topic of ['devices/other/messages/events/', 'x', '$iothub/twin/get/?$rid=1', '$iothub/twin/PATCH/properties/desired/?$rid=1', 'devices/d41/messages/devicebound/', 'devices/d41/messages/events/#', '$iothub/twin/res/200/?$rid=1']) {
		const c = await bare('d41');
		c.send(publishPacket(topic, '{}', { qos: 1, id: 1 }));
		await c.closed(`the hub to close after a PUBLISH to ${topic}`);
	}
});

test('D-64 L-61 telemetry of 256 KB is accepted, more closes the link', async () => {
	const c = await bare('d64');
	await c.publish('devices/d64/messages/events/', Buffer.alloc(262144, 97), { qos: 1 });
	c.send(publishPacket('devices/d64/messages/events/', Buffer.alloc(262145, 97), { qos: 1, id: 77 }));
	await c.closed();
	assert.equal(c.inbox.take().filter((p) => p.type === PACKET.PUBACK).length, 0);
});

test('D-64 properties count: body and property names and values together', async () => {
	const c = await bare('d64b');
	await c.publish('devices/d64b/messages/events/ab=cdef', Buffer.alloc(262144 - 6, 97), { qos: 1 });
	c.send(publishPacket('devices/d64b/messages/events/ab=cdefg', Buffer.alloc(262144 - 6, 97), { qos: 1, id: 77 }));
	await c.closed();
});

test('D-58 method responses that nobody waits for are acknowledged and ignored', async () => {
	const c = await bare('d58');
	await c.publish('$iothub/methods/res/200/?$rid=abc', '{}', { qos: 1 });
	await c.publish('$iothub/methods/res/200/?$rid=abc', '', { qos: 0 });
	await c.ping();
	await c.disconnect();
});

test('D-24 SUBSCRIBE of a filter that the session already has is answered normally', async () => {
	const c = await bare('d24');
	await c.subscribe({ filter: 'devices/d24/messages/devicebound/#', qos: 1 });
	await c.disconnect();
	const again = await bare('d24');
	assert.equal(again.sessionPresent, true);
	assert.deepEqual(await again.subscribe({ filter: 'devices/d24/messages/devicebound/#', qos: 1 }), [1]);
	await again.disconnect();
});
