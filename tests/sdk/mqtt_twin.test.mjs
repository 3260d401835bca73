// Twin topics with a bare client: bytes, statuses, order (device-mqtt.md 4; twins.md 5).
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { DESIRED_CHANGES, mqttDevice, PACKET, publishPacket, startHub, stopAll, TWIN_RESPONSES } from '../lib/hub.mjs';

let hub;
before(async () => { hub = await startHub(); });
after(() => stopAll(hub));

async function desire(id, desired) {
	const answer = await hub.rest('PATCH', `/twins/${id}`, { body: { properties: { desired } } });
	assert.equal(answer.status, 200, answer.text);
	return answer.body.properties.desired.$version;
}
async function twin(id) { return (await hub.rest('GET', `/twins/${id}`)).body; }

test('D-43 T-52 the GET answer, byte for byte', async () => {
	const c = await mqttDevice(hub, 'd43');
	const { topic, payload, qos } = await c.twinGet({ rid: '7' });
	assert.equal(topic, '$iothub/twin/res/200/?$rid=7');
	assert.equal(payload.toString(), '{"desired":{"$version":1},"reported":{"$version":1}}');
	assert.equal(qos, 0);
	await c.disconnect();
});

test('D-42 the payload of a GET does not matter', async () => {
	const c = await mqttDevice(hub, 'd42');
	for (const payload of ['', ' ', '{}', 'anything', Buffer.from([0xff, 0])]) assert.equal((await c.twinGet({ payload })).status, 200);
	await c.disconnect();
});

test('D-44 T-53 rid comes back byte for byte', async () => {
	const c = await mqttDevice(hub, 'd44');
	for (const rid of ['0', '65535', 'e2b1a6f0-6b5e-4b3c-9d0c-0123456789ab', 'some text', 'a%20b', 'A%2Bb=c', 'ä'])
		assert.equal((await c.twinGet({ rid })).topic, `$iothub/twin/res/200/?$rid=${rid}`);
	await c.disconnect();
});

test('D-45 T-59 T-60 204 with an empty body, version last; {} and repeated values step the version', async () => {
	const c = await mqttDevice(hub, 'd45');
	const patches = [{ a: 1 }, { a: 1 }, {}, { never: null }, { b: {} }];
	for (const [i, patch] of patches.entries()) {
		const answer = await c.report(patch, { rid: `x${i}` });
		assert.equal(answer.topic, `$iothub/twin/res/204/?$rid=x${i}&$version=${i + 2}`);
		assert.equal(answer.payload.length, 0);
		assert.equal(answer.qos, 0);
	}
	const { body } = await c.twinGet();
	assert.deepEqual(body.reported, { a: 1, b: {}, $version: 6 });
	const t = await twin('d45');
	assert.equal(t.version, 7);
	assert.equal(t.etag, 'AAAAAAAAAAE=');
	await c.disconnect();
});

test('D-46 T-61 a patch for another version is 412 and changes nothing', async () => {
	const c = await mqttDevice(hub, 'd46');
	assert.equal((await c.report({ a: 1 }, { version: 1 })).version, 2);
	const refused = await c.report({ a: 2 }, { version: 0 });
	assert.equal(refused.status, 412);
	assert.equal(refused.body.errorCode, 412001);
	assert.equal((await c.report({ a: 2 }, { version: 1 })).status, 412);
	assert.deepEqual((await c.twinGet()).body.reported, { a: 1, $version: 2 });
	assert.equal((await c.report({ a: 3 }, { version: 2 })).version, 3);
	await c.disconnect();
});

test('D-47 T-58 nulls delete, objects merge', async () => {
	const c = await mqttDevice(hub, 'd47');
	await c.report({ a: { b: 1, c: 2 }, d: [1, 2], e: 'x' });
	await c.report({ a: { b: null, z: { y: null } }, d: null, e: { f: 1 } });
	assert.deepEqual((await c.twinGet()).body.reported, { a: { c: 2, z: {} }, e: { f: 1 }, $version: 3 });
	await c.disconnect();
});

test('D-48 D-49 L-43 T-54 T-63 T-64 what cannot be reported is refused with a body that the SDK understands', async () => {
	const c = await mqttDevice(hub, 'd48');
	const deep = (n) => n === 0 ? 1 : { k: deep(n - 1) }; // the outermost is the section itself: depth 0
	const cases = ['', ' ', 'null', '5', '"text"', '[1]', '{', '{"a":}', '{"a":1}x', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]),
		{ 'a.b': 1 }, { 'a b': 1 }, { $a: 1 }, { $version: 3 }, { $metadata: {} }, { a: { $version: 1 } }, { '': 1 }, { 'a\u0001': 1 }, { 'a\u0085': 1 },
		{ ['k'.repeat(1025)]: 1 }, { s: 'x'.repeat(4097) }, { n: 4503599627370496 }, { n: -4503599627370497 }, { list: [null] }, { list: [{ a: null }] }, deep(12)];
	for (const patch of cases) {
		const text = typeof patch === 'string' || Buffer.isBuffer(patch) ? patch : JSON.stringify(patch);
		const { status, body, version } = await c.report(text);
		assert.equal(status, 400, String(text).slice(0, 80));
		assert.ok([400004, 400005, 400006].includes(body.errorCode), String(text).slice(0, 80));
		assert.match(body.message, /\S/);
		assert.match(body.trackingId, /\S/);
		assert.equal(version, undefined);
	}
	assert.equal((await c.report({ $version: 3 })).body.errorCode, 400004);
	const large = await c.report(Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`k${i}`, 'x'.repeat(4000)])));
	assert.deepEqual([large.status, large.body.errorCode], [403, 403100]);
	assert.equal(large.body.message, 'A size of 36018 bytes, over the limit of 32768: properties.reported');
	assert.deepEqual((await c.twinGet()).body.reported, { $version: 1 });
	for (const good of [deep(11), { ['k'.repeat(1024)]: 1 }, { s: 'x'.repeat(4096) }, { n: 4503599627370495, m: -4503599627370496 }, { '#': 1 }])
		assert.equal((await c.report(good)).status, 204);
	await c.disconnect();
});

test('D-50 requests at QoS 1 get PUBACK and answer; the answer is at QoS 0 whatever was granted', async () => {
	const c = await mqttDevice(hub, 'd50', { filters: [{ filter: TWIN_RESPONSES, qos: 1 }, { filter: DESIRED_CHANGES, qos: 1 }] });
	assert.equal((await c.twinGet({ qos: 1 })).qos, 0);
	assert.equal((await c.report({ a: 1 }, { qos: 1 })).qos, 0);
	await desire('d50', { b: 1 });
	assert.equal((await c.notification()).qos, 0);
	await c.disconnect();
});

test('D-51 T-56 without the subscription the request is done and its answer dropped', async () => {
	const c = await mqttDevice(hub, 'd51', { filters: [] });
	c.send(publishPacket('$iothub/twin/PATCH/properties/reported/?$rid=1', '{"done":true}', { qos: 1, id: 5 }));
	await c.next(PACKET.PUBACK);
	assert.equal((await twin('d51')).properties.reported.done, true);
	await c.ping();
	assert.equal(c.inbox.take().filter((p) => p.type === PACKET.PUBLISH).length, 0);
	await c.disconnect();
});

test('a request without rid cannot be answered and is ignored', async () => {
	const c = await mqttDevice(hub, 'norid');
	await c.publish('$iothub/twin/GET/', ' ', { qos: 1 });
	await c.publish('$iothub/twin/GET/?x=1', ' ', { qos: 1 });
	assert.equal((await c.twinGet()).status, 200);
	await c.disconnect();
});

test('D-52 T-66 the notification, byte for byte', async () => {
	const c = await mqttDevice(hub, 'd52');
	await hub.rest('PATCH', '/twins/d52', { body: '{"properties":{"desired":{"a":1,"b":{"c":null,"d":[1.0,"x"]}}}}' });
	const p = await c.next(PACKET.PUBLISH);
	assert.equal(p.topic, '$iothub/twin/PATCH/properties/desired/?$version=2');
	assert.equal(p.payload.toString(), '{"a":1,"b":{"c":null,"d":[1.0,"x"]},"$version":2}');
	assert.equal(p.qos, 0);
	assert.equal(p.retain, false);
	await c.disconnect();
});

test('D-54 L-50 T-65 T-71 nothing is queued for a device that is away, nothing is pushed on subscription', async () => {
	const c = await mqttDevice(hub, 'd54');
	await c.disconnect();
	await desire('d54', { missed: 1 });
	const again = await mqttDevice(hub, 'd54', { filters: [] });
	assert.deepEqual(await again.pendingNotifications(), []);
	await again.subscribe(DESIRED_CHANGES);
	assert.deepEqual(await again.pendingNotifications(), []);
	assert.equal((await again.twinGet()).body.desired.missed, 1);
	await again.disconnect();
});

test('T-72 D-21 a stored subscription is active at once after CONNACK', async () => {
	const c = await mqttDevice(hub, 't72');
	await c.disconnect();
	for (let i = 2; i < 12; i++) {
		const again = await mqttDevice(hub, 't72', { filters: [] });
		assert.equal(await desire('t72', { i }), i);
		assert.deepEqual((await again.notification()).body, { i, $version: i });
		await again.disconnect();
	}
});

test('T-62 many reported patches in flight are done in order', async () => {
	const c = await mqttDevice(hub, 't62');
	const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => c.report({ last: i, [`k${i % 3}`]: i })));
	assert.deepEqual(answers.map((a) => a.version), Array.from({ length: 100 }, (_, i) => i + 2));
	assert.equal((await c.twinGet()).body.reported.last, 99);
	await c.disconnect();
});

test('T-69 T-70 the race rule: documents and notifications come from one ordered history', async () => {
	const c = await mqttDevice(hub, 'race');
	let writing = true;
	const writers = Promise.all([0, 1, 2].map(async (w) => {
		for (let i = 0; writing; i++) await desire('race', { [`w${w}`]: i });
	}));
	let notified = 1, asked = -1;
	for (let round = 0; round < 40;) {
		if (round % 2 === 0 && asked < round) c.publish(`$iothub/twin/GET/?$rid=${asked = round}`, ' ');
		const p = await c.inbox.next(undefined, 'a document or a notification');
		const body = JSON.parse(p.payload.toString());
		if (p.topic.startsWith('$iothub/twin/PATCH/')) {
			assert.equal(body.$version, notified + 1, 'every notification once and in order');
			notified = body.$version;
			if (round % 2 === 1) round++; // a notification between two documents
		} else {
			assert.equal(body.desired.$version, notified, 'the document stands at its place among the notifications');
			round++;
		}
	}
	writing = false;
	await writers;
	await c.disconnect();
});

test('D-74 a twin of full size is read in one packet', async () => {
	const c = await mqttDevice(hub, 'd74');
	const full = Object.fromEntries(Array.from({ length: 8 }, (_, i) => [`k${i}`, '\u0001'.repeat(2000) + 'x'.repeat(4000)]));
	const answer = await c.report(full);
	assert.equal(answer.status, 204, JSON.stringify(answer.body));
	const { payload, body } = await c.twinGet();
	assert.ok(payload.length < 262144);
	assert.equal(body.reported.k7, full.k7);
	await c.disconnect();
});

test('D-73 a thousand requests on one connection, all answered', async () => {
	const c = await mqttDevice(hub, 'd73');
	for (let i = 0; i < 10; i++) {
		const answers = await Promise.all(Array.from({ length: 100 }, () => c.twinGet()));
		assert.ok(answers.every((a) => a.status === 200));
	}
	await c.disconnect();
});
