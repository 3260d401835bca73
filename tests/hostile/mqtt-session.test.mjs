// A device that has been let in and then sends what it must not. Every row runs over TLS, plain TCP and WebSocket.
// Rules: MQTT 3.1.1; device-mqtt.md 3, 4, 6, 9; twins.md 5, 6.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { PACKET, RawMqtt, packet, publishPacket, subscribePacket, unsubscribePacket } from '../lib/hub.mjs';
import { allBad, malformedWhole } from './documents.mjs';
import { TRANSPORTS, SLOW, Scene, closed, cpuSeconds, expectAnswer, puback, stays, suback, twin, unsuback } from './harness.mjs';

let scene;
before(async () => { scene = await Scene.start({ devices: ['s'], busy: ['bulk'] }); });
after(() => scene?.stop());

const CLOSED = closed();
const raw = (hex) => Buffer.from(hex.replaceAll(' ', ''), 'hex');
const PATCH = '$iothub/twin/PATCH/properties/reported/?$rid=1';
const EVENTS = 'devices/s/messages/events/';
const id2 = Buffer.from([0, 1]);

const badPackets = [
	['a second CONNECT', () => Buffer.concat([raw('10 0d 0004 4d515454 04 02 003c 0001 73')]), CLOSED],
	['CONNACK', () => packet(PACKET.CONNACK, 0, raw('0000')), CLOSED],
	['SUBACK', () => packet(PACKET.SUBACK, 0, raw('000100')), CLOSED],
	['UNSUBACK', () => packet(PACKET.UNSUBACK, 0, id2), CLOSED],
	['PINGRESP', () => packet(PACKET.PINGRESP, 0), CLOSED],
	['PUBREC', () => packet(PACKET.PUBREC, 0, id2), CLOSED],
	['PUBREL', () => packet(PACKET.PUBREL, 2, id2), CLOSED],
	['PUBCOMP', () => packet(PACKET.PUBCOMP, 0, id2), CLOSED],
	['the reserved type 0', () => packet(0, 0), CLOSED],
	['the reserved type 15', () => packet(15, 0), CLOSED],
	['PINGREQ with flags', () => packet(PACKET.PINGREQ, 1), CLOSED],
	['PINGREQ with a body', () => packet(PACKET.PINGREQ, 0, raw('00')), CLOSED],
	['DISCONNECT with flags', () => packet(PACKET.DISCONNECT, 2), CLOSED],
	['DISCONNECT with a body', () => packet(PACKET.DISCONNECT, 0, raw('00')), CLOSED],
	['PUBACK with flags', () => packet(PACKET.PUBACK, 2, id2), CLOSED],
	['PUBACK of three bytes', () => packet(PACKET.PUBACK, 0, raw('000100')), CLOSED],
	['PUBACK of id 0', () => packet(PACKET.PUBACK, 0, raw('0000')), CLOSED],
	['PUBACK of nothing that was sent', () => packet(PACKET.PUBACK, 0, raw('1234')), stays()],
	['a remaining length of five bytes', () => raw('30 ff ff ff ff 01'), CLOSED],
	['a remaining length of 268 million', () => raw('30 ff ff ff 7f'), CLOSED],
	['one byte more than the largest PUBLISH', () => raw(`30 ${lengthHex(262_144 + 65_535 + 4 + 1)}`), CLOSED],
];

function lengthHex(n) {
	const out = [];
	for (; n > 127; n = Math.floor(n / 128)) out.push((n % 128) | 128);
	return Buffer.from([...out, n]).toString('hex');
}

const badPublishes = [
	['QoS 2', () => publishPacket(EVENTS, 'x', { qos: 2, id: 1 }), CLOSED],
	['QoS 2 on a twin topic', () => publishPacket(PATCH, '{"x":1}', { qos: 2, id: 1 }), CLOSED],
	['QoS 3', () => publishPacket(EVENTS, 'x', { qos: 3, id: 1 }), CLOSED],
	['QoS 0 with DUP', () => publishPacket(EVENTS, 'x', { dup: true }), CLOSED],
	['QoS 1 with packet id 0', () => publishPacket(EVENTS, 'x', { qos: 1, id: 0 }), CLOSED],
	['QoS 1 without room for a packet id', () => packet(PACKET.PUBLISH, 2, raw('0003 616263')), CLOSED],
	['an empty topic', () => publishPacket('', 'x'), CLOSED],
	['a topic longer than the packet', () => packet(PACKET.PUBLISH, 0, raw('ffff 616263')), CLOSED],
	['a topic length of one byte', () => packet(PACKET.PUBLISH, 0, raw('00')), CLOSED],
	['a topic with a NUL', () => publishPacket('devices/s/messages/events/a\0b', 'x'), CLOSED],
	['a topic that is not UTF-8', () => publishPacket(Buffer.from('devices/s/messages/events/\xc3(', 'latin1'), 'x'), CLOSED],
	['a topic with a surrogate', () => publishPacket(raw('eda080'), 'x'), CLOSED],
	['telemetry of 256 KB and a byte', () => publishPacket(EVENTS, Buffer.alloc(262_145, 'x'), { qos: 1, id: 1 }), CLOSED],
	['telemetry whose properties lift it over 256 KB', () => publishPacket(`${EVENTS}key=${'v'.repeat(1000)}`, Buffer.alloc(261_800, 'x'), { qos: 1, id: 1 }), CLOSED],
];

const forbiddenTopics = [
	'/', 'x', '#', '+', 'a'.repeat(65_535), '$SYS/broker/uptime', '$iothub', '$iothub/', '$iothub/twin', '$iothub/twin/',
	'$iothub/twin/get/?$rid=1', '$iothub/twin/DELETE/?$rid=1', '$iothub/twin/POST/?$rid=1', '$iothub/twin/PATCH/?$rid=1',
	'$iothub/twin/PATCH/properties/?$rid=1', '$iothub/twin/PATCH/properties/desired/?$rid=1', '$iothub/twin/PATCH/tags/?$rid=1',
	'$iothub/twin/PATCH/properties/reported/x/?$rid=1', '$iothub/twin/res/200/?$rid=1', '$IOTHUB/twin/GET/?$rid=1',
	'$iothub/methods/POST/reboot/?$rid=1', '$iothub/methods/res/abc/?$rid=1', '$iothub/methods/res/99999999999/?$rid=1',
	`$iothub/twin/GET/?$rid=${'r'.repeat(257)}`, '$iothub/twin/GET/?$rid=a+b', '$iothub/twin/GET/?$rid=a#',
	'devices', 'devices/', 'devices/s', 'devices/s/', 'devices/s/messages', 'devices/s/messages/devicebound/', 'devices/s/messages/eventsx',
	'devices/other/messages/events/', 'devices/S/messages/events/', 'devices/s2/messages/events/', 'devices/+/messages/events/',
	'devices/#', 'devices//messages/events/', 'devices/s/modules/m/messages/events/', 'devices/s/../other/messages/events/',
	'/devices/s/messages/events/', 'Devices/s/messages/events/', 'devices/s/twin', 'devices/s/files',
].map((topic) => [topic.length > 60 ? `${topic.slice(0, 30)}... of ${topic.length} characters` : topic, () => publishPacket(topic, '{"x":1}', { qos: 1, id: 1 }), CLOSED]);

const unanswerable = [
	['a twin read without $rid', () => publishPacket('$iothub/twin/GET/?rid=1', '', { qos: 1, id: 3 }), stays(puback(3))],
	['a twin read with an empty $rid', () => publishPacket('$iothub/twin/GET/?$rid=', '', { qos: 1, id: 3 }), stays(puback(3))],
	['a patch without $rid', () => publishPacket('$iothub/twin/PATCH/properties/reported/', '{"x":1}', { qos: 1, id: 3 }), stays(puback(3))],
	['a method response that nobody waits for', () => publishPacket('$iothub/methods/res/200/?$rid=9', '{}', { qos: 1, id: 3 }), stays(puback(3))],
];

const filters = (...list) => list.map((f) => (typeof f === 'string' ? { filter: f, qos: 0 } : f));
const subscribe = (...list) => () => subscribePacket(7, filters(...list));
const OWN = '$iothub/twin/res/#';
const subscriptions = [
	['flags 0', () => packet(PACKET.SUBSCRIBE, 0, subscribePacket(7, filters(OWN)).subarray(2)), CLOSED],
	['packet id 0', () => subscribePacket(0, filters(OWN)), CLOSED],
	['no filter', () => packet(PACKET.SUBSCRIBE, 2, raw('0007')), CLOSED],
	['QoS 3', subscribe({ filter: OWN, qos: 3 }), CLOSED],
	['reserved bits beside the QoS', subscribe({ filter: OWN, qos: 0x81 }), CLOSED],
	['a filter without QoS', () => packet(PACKET.SUBSCRIBE, 2, raw('0007 0001 61')), CLOSED],
	['a filter longer than the packet', () => packet(PACKET.SUBSCRIBE, 2, raw('0007 00ff 61 00')), CLOSED],
	['a filter that is not UTF-8', () => packet(PACKET.SUBSCRIBE, 2, raw('0007 0002 c328 00')), CLOSED],
	['a filter with a NUL', subscribe('a\0b'), CLOSED],
	['65 filters', () => subscribePacket(7, Array(65).fill({ filter: OWN, qos: 0 })), CLOSED],
	['64 times the same filter', () => subscribePacket(7, Array(64).fill({ filter: OWN, qos: 0 })), stays(suback(7, ...Array(64).fill(0)))],
	['an empty filter', subscribe(''), stays(suback(7, 0x80))],
	['D-82 everything is the own messages', subscribe('#'), stays(suback(7, 0))],
	['everything of two levels', subscribe('+/#'), stays(suback(7, 0x80))],
	['$SYS', subscribe('$SYS/#'), stays(suback(7, 0x80))],
	['another device\'s messages', subscribe('devices/other/messages/devicebound/#'), stays(suback(7, 0x80))],
	['all devices\' telemetry', subscribe('devices/+/messages/events/#'), stays(suback(7, 0x80))],
	['all twins', subscribe('$iothub/twin/#'), stays(suback(7, 0x80))],
	['the topic of twin reads', subscribe('$iothub/twin/GET/#'), stays(suback(7, 0x80))],
	['a module\'s filter', subscribe('devices/s/modules/m/#'), stays(suback(7, 0x80))],
	['wildcards in the middle of a level', subscribe('devices/s+/messages/devicebound/#'), stays(suback(7, 0x80))],
	['a filter of 65,535 bytes', subscribe('f'.repeat(65_535)), stays(suback(7, 0x80))],
	['good and bad ones mixed', subscribe('#', { filter: OWN, qos: 2 }, 'x'), stays(suback(7, 0, 1, 0x80))],
	['a sixth filter', subscribe('$iothub/twin/PATCH/properties/desired/#', '$iothub/methods/POST/#', 'devices/s/messages/devicebound/#',
		'$iothub/methods/POST/a/#', '$iothub/methods/POST/b/#'), stays(suback(7, 0, 0, 0, 0, 0x80))],
	['UNSUBSCRIBE with flags 0', () => packet(PACKET.UNSUBSCRIBE, 0, raw('0007 0001 61')), CLOSED],
	['UNSUBSCRIBE with packet id 0', () => unsubscribePacket(0, ['a']), CLOSED],
	['UNSUBSCRIBE of nothing', () => packet(PACKET.UNSUBSCRIBE, 2, raw('0007')), CLOSED],
	['UNSUBSCRIBE of 65 filters', () => unsubscribePacket(7, Array(65).fill('a')), CLOSED],
	['UNSUBSCRIBE of a stranger\'s filter', () => unsubscribePacket(7, ['#', 'devices/other/messages/devicebound/#', '']), stays(unsuback(7))],
];

const patch = (text, { rid = '1', more = '', ...options } = {}) => publishPacket(`$iothub/twin/PATCH/properties/reported/?$rid=${rid}${more}`, text, options);
const condition = (value) => patch('{"x":1}', { more: `&$version=${value}` });
const patches = [
	...[...allBad, ...malformedWhole].map(([name, text, code]) => [name, () => patch(text), stays(twin(Math.trunc(code / 1000), code))]),
	['null', () => patch('null'), stays(twin(400, 400004))],
	['$version at the root', () => patch('{"$version":7}'), stays(twin(400, 400004))],
	['$metadata at the root', () => patch('{"$metadata":{}}'), stays(twin(400, 400004))],
	['a twin as it was read', () => patch('{"desired":{"$version":1},"reported":{"$version":1}}'), stays(twin(400, 400004))],
	['a good member before a bad one', () => patch('{"good":1,"b.d":2}'), stays(twin(400, 400004))],
	['a stale $version', () => condition(0), stays(twin(412, 412001))],
	['a $version from the future', () => condition(999), stays(twin(412, 412001))],
	['a $version that is no number', () => condition('abc'), stays(twin(400, 400004))],
	['a negative $version', () => condition(-1), stays(twin(400, 400004))],
	['a $version beyond 64 bits', () => condition('99999999999999999999'), stays(twin(400, 400004))],
	['an empty $version', () => condition(''), stays(twin(400, 400004))],
	['two bad patches in one write', () => Buffer.concat([patch('['), patch('[]', { rid: '2' })]), stays(twin(400, 400006), twin(400, 400004, '2'))],
];

const reads = [
	['a twin read with 200 KB of payload', () => publishPacket('$iothub/twin/GET/?$rid=1', Buffer.alloc(200_000, 'x')), stays(twin(200))],
	['a $rid of 256 characters', () => publishPacket(`$iothub/twin/GET/?$rid=${'r'.repeat(256)}`, ''), stays(twin(200, undefined, 'r'.repeat(256)))],
	['a $rid of odd characters', () => publishPacket('$iothub/twin/GET/?$rid=%00/..?é', ''), stays(twin(200, undefined, '%00/..?é'))],
	['a parameter twice', () => publishPacket('$iothub/twin/GET/?$rid=1&$rid=2', ''), stays(twin(200))],
];

const rows = { packet: badPackets, PUBLISH: badPublishes, 'forbidden topic': forbiddenTopics, 'no answer': unanswerable,
	SUBSCRIBE: subscriptions, 'reported patch': patches, 'twin read': reads };

for (const [transport, options] of Object.entries(TRANSPORTS)) {
	for (const [kind, list] of Object.entries(rows)) {
		describe(`${transport}, ${kind}`, () => {
			for (const [name, bytes, answer] of list) {
				test(name, async () => {
					const client = await scene.device('s', options);
					client.send(bytes());
					await expectAnswer(client, answer);
					await scene.holds();
				});
			}
		});
	}

	test(`${transport}: an empty patch is refused`, async () => {
		const client = await scene.device('s', options);
		client.send(patch(''));
		await expectAnswer(client, stays(twin(400, 400006)));
		await scene.holds();
	});

	test(`${transport}: a patch cut at every byte changes nothing`, async () => {
		const bytes = patch('{"x":1}', { qos: 1, id: 1 });
		for (let at = 1; at < bytes.length; at += 2) {
			const client = await scene.device('s', options);
			client.send(bytes.subarray(0, at));
			client.destroy();
			await client.closed();
			assert.deepEqual(client.inbox.take(), [], `cut at ${at}`);
		}
		await scene.holds();
	});

	test(`${transport}: a patch split at every byte is answered once each`, async () => {
		const client = await scene.device('s', options);
		const bytes = patch('{"b.d":1}');
		for (let at = 1; at < bytes.length; at++) {
			client.send(bytes.subarray(0, at));
			await new Promise(setImmediate);
			client.send(bytes.subarray(at));
			await client.inbox.next((p) => p.topic?.startsWith('$iothub/twin/res/400/'), `the answer when split at ${at}`);
		}
		await expectAnswer(client, stays());
		await scene.holds();
	});

	test(`${transport}: a whole conversation byte by byte`, async () => {
		const client = await scene.device('s', options);
		const bytes = Buffer.concat([patch('{"b.d":1}', { qos: 1, id: 5 }), publishPacket('$iothub/twin/GET/?$rid=2', ' '), packet(PACKET.PINGREQ, 0)]);
		for (const byte of bytes) {
			client.send(Buffer.from([byte]));
			await new Promise(setImmediate);
		}
		const got = [];
		for (let i = 0; i < 4; i++) got.push(await client.inbox.next());
		assert.deepEqual(got.map((p) => p.type).sort((a, b) => a - b), [PACKET.PUBLISH, PACKET.PUBLISH, PACKET.PUBACK, PACKET.PINGRESP]);
		await expectAnswer(client, stays());
		await scene.holds();
	});

	test(`${transport}: a thousand packets in one write are answered in order`, async () => {
		const client = await scene.device('s', options);
		client.send(...Array.from({ length: 1000 }, (_, i) => publishPacket(`$iothub/twin/GET/?$rid=${i}`, '')));
		for (let i = 0; i < 1000; i++) assert.equal((await client.inbox.next()).topic, `$iothub/twin/res/200/?$rid=${i}`);
		await expectAnswer(client, stays());
		await scene.holds();
	});
}

// ---- documents that are costly but allowed ----

const MOMENT_S = 2 * SLOW; // of the hub's processor time: merging thousands of keys must not take quadratic time

async function timed(what) {
	const begin = cpuSeconds(scene.hub.pid);
	const result = await what;
	const took = cpuSeconds(scene.hub.pid) - begin;
	assert.ok(took < MOMENT_S, `took ${took} s`);
	return result;
}

test('a 32 KB patch of 5,000 keys is taken, repeated and deleted in a moment', async () => {
	const device = await scene.device('bulk');
	const keys = Array.from({ length: 5000 }, (_, i) => i.toString(36));
	const all = (value) => JSON.stringify(Object.fromEntries(keys.map((key) => [key, value])));
	assert.ok(all('').length > 32 * 1024);
	assert.equal((await timed(device.report(all('')))).status, 204);
	assert.equal((await timed(device.report(all('')))).status, 204, 'again, key by key the same');
	const reversed = JSON.stringify(Object.fromEntries([...keys].reverse().map((key) => [key, ''])));
	assert.equal((await timed(device.report(reversed))).status, 204, 'again, in the opposite order');
	assert.equal(Object.keys((await timed(device.twinGet())).body.reported).length, 5001);
	assert.equal((await timed(device.report(all(null)))).status, 204);
	assert.equal(Object.keys((await device.twinGet()).body.reported).length, 1);
	device.destroy();
	await scene.servesOthers();
});

test('one key 20,000 times: the last wins (T-83)', async () => {
	const device = await scene.device('bulk');
	assert.equal((await timed(device.report(`{${Array(20_000).fill('"k":1').join(',')},"k":"last"}`))).status, 204);
	assert.equal((await device.twinGet()).body.reported.k, 'last');
	assert.equal((await device.report({ k: null })).status, 204);
	device.destroy();
});

test('empty strings count nothing but are bounded in store (T-81a)', async () => {
	const device = await scene.device('bulk');
	const empties = (n) => `[${Array(n).fill('""').join(',')}]`;
	assert.equal((await timed(device.report(`{"a":${empties(80_000)}}`))).status, 204, '80,000 fit in four times 32 KB');
	const more = await timed(device.report(`{"b":${empties(80_000)}}`));
	assert.equal(more.status, 403);
	assert.equal(more.body.errorCode, 403100);
	assert.equal((await timed(device.report({ a: null }))).status, 204);
	assert.deepEqual(Object.keys((await device.twinGet()).body.reported), ['$version']);
	device.destroy();
});

test('ten levels are allowed (T-79)', async () => {
	const device = await scene.device('bulk');
	assert.equal((await device.report(`${'{"a":'.repeat(11)}1${'}'.repeat(11)}`)).status, 204);
	assert.equal((await device.report({ a: null })).status, 204);
	device.destroy();
});

test('memory is back after 2,000 bad patches of all kinds', async () => {
	await scene.keepsMemory(async () => {
		const client = await scene.device('s');
		for (let i = 0; i < 1000; i++) {
			const [, text, code] = allBad[i % allBad.length];
			assert.equal((await client.report(text)).status, Math.trunc(code / 1000));
		}
		client.destroy();
	});
	await scene.holds();
});
