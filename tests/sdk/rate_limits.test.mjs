// Rate limits (limits.md 2, --rate-limit). Rates are of an hour or a day, so that nothing depends on how fast the test is.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { BINARY, deviceLogin, mqttDevice, mqttUsername, publishPacket, RawMqtt, startHub, stopAll, tempDir, until } from '../lib/hub.mjs';

const RULES = ['device:updates=1/d,3', 'device:reads=1/d,2', 'device:connections=1/d,3', 'module:updates=1/d,1', 'policy:queries=1/d,2', 'policy:registry=1/d,200', 'address:jobs=1/d,1'];
const args = (rules) => rules.flatMap((rule) => ['--rate-limit', rule]);
let hub, free;

before(async () => {
	hub = await startHub({ args: args(RULES) });
	free = await startHub();
});
after(() => stopAll(hub, free));

const query = (h) => h.rest('POST', '/devices/query', { body: { query: 'SELECT * FROM devices' } });

test('R-101 L-81 L-95 L-97 a policy beyond its rate: 429, iothub-errorcode, Retry-After; another policy has its own', async () => {
	for (let i = 0; i < 2; i++) assert.equal((await query(hub)).status, 200);
	const answer = await query(hub);
	assert.equal(answer.status, 429);
	assert.equal(answer.headers['iothub-errorcode'], 'ThrottlingException');
	assert.match(answer.text, /wait \d+ seconds, operation type queries, by the rate limit of each policy/);
	assert.ok(Number(answer.headers['retry-after']) > 80000 && Number(answer.headers['retry-after']) <= 86400);
	const other = await hub.rest('POST', '/devices/query', { policy: 'service', body: { query: 'SELECT * FROM devices' } });
	assert.equal(other.status, 200, other.text);
});

test('L-84 L-95 L-97 a device beyond its rate: 429 in the response topic, and nothing is changed; others are not touched', async () => {
	const c = await mqttDevice(hub, 'r1'), other = await mqttDevice(hub, 'r2');
	for (let i = 0; i < 3; i++) assert.equal((await c.report({ a: i })).status, 204);
	const answer = await c.report({ a: 99 });
	assert.equal(answer.status, 429);
	assert.equal(JSON.parse(answer.payload).errorCode, 429005);
	assert.match(JSON.parse(answer.payload).message, /operation type updates, by the rate limit of each device/);
	assert.equal((await other.report({ a: 1 })).status, 204);
	assert.equal((await c.twinGet()).body.reported.a, 2);
	assert.equal((await c.twinGet()).status, 200);
	assert.equal((await c.twinGet()).status, 429);
	await c.disconnect();
	await other.disconnect();
});

test('L-97 a device that connects beyond its rate gets CONNACK 3, and is not connected', async () => {
	for (let i = 0; i < 3; i++) await (await mqttDevice(hub, 'r3')).disconnect();
	await assert.rejects(mqttDevice(hub, 'r3'), (error) => error.code === 3 || /3|unavailable/i.test(error.message));
	await until(async () => (await hub.rest('GET', '/devices/r3')).body.connectionState === 'Disconnected', 'the refused link is gone');
});

// A policy's token opens links, too: whoever it names is judged before its shard hears of it.
async function byPolicy(h, id) {
	const c = await RawMqtt.open(h);
	const answer = await c.connect({ clientId: id, username: mqttUsername(h.addr, id), password: await h.token({ policy: 'device' }) });
	return [c, answer.code];
}

test('D-19 L-97 a CONNECT beyond its rate does not take the place of the link that there is', async () => {
	const h = await startHub({ args: args(['device:connections=1/d,1', 'policy:connections=1/d,1']) });
	const c = await mqttDevice(h, 'k1');
	await assert.rejects(mqttDevice(h, 'k1'), /refused with 3/);
	assert.equal((await c.twinGet()).status, 200, 'the first link');
	await h.createDevice('k2');
	await h.createDevice('k3');
	const [d, code] = await byPolicy(h, 'k2');
	assert.equal(code, 0);
	assert.equal((await byPolicy(h, 'k2'))[1], 3);
	assert.equal((await byPolicy(h, 'k3'))[1], 3);
	await d.ping();
	// a stranger who names a device takes nothing from it
	const stranger = await RawMqtt.open(h), identity = (await h.rest('GET', '/devices/k3')).body;
	assert.equal((await stranger.connect(deviceLogin(h, 'k3', Buffer.alloc(32, 9).toString('base64')))).code, 5);
	await (await mqttDevice(h, 'k3', { key: identity.authentication.symmetricKey.primaryKey })).disconnect();
	await h.stop();
});

test('L-22 L-97 telemetry that would wait for more than a minute ends the link, and the log says why', async () => {
	const h = await startHub({ args: args(['device:sends=1/h,1']) });
	const c = await mqttDevice(h, 't2');
	await c.publish('devices/t2/messages/events/', 'a', { qos: 1 });
	c.send(publishPacket('devices/t2/messages/events/', 'b', { qos: 1, id: 7 }));
	await c.closed();
	await until(() => /msg="connection closed" reason=rate-limit .*device=t2 /.test(h.logs), 'a line of it');
	await h.stop();
});

test('L-95 L-96 telemetry over HTTPS counts for its device, whoever signed, each message of a batch', async () => {
	const h = await startHub({ args: args(['device:sends=1/d,5', 'module:sends=1/d,2']) });
	const post = (path, body, policy = 'device', type = 'application/json') => h.rest('POST', `/devices/${path}/messages/events`, { policy, body, headers: { 'Content-Type': type } });
	for (const id of ['s1', 's2']) await h.createDevice(id);
	assert.equal((await post('s1', Array(3).fill({ body: 'eA==' }), 'device', 'application/vnd.microsoft.iothub.json')).status, 204);
	for (let i = 0; i < 2; i++) assert.equal((await post('s1', { a: i })).status, 204);
	const answer = await post('s1', { a: 9 });
	assert.equal(answer.status, 429);
	assert.equal(answer.headers['iothub-errorcode'], 'DeviceThrottlingLimitExceeded');
	const c = await mqttDevice(h, 's1'); // the same bucket
	c.send(publishPacket('devices/s1/messages/events/', 'b', { qos: 1, id: 7 }));
	await c.closed();
	assert.equal((await h.rest('PUT', '/devices/s2/modules/m', { body: { deviceId: 's2', moduleId: 'm' } })).status, 200);
	for (let i = 0; i < 2; i++) assert.equal((await post('s2/modules/m', { a: i })).status, 204);
	assert.match((await post('s2/modules/m', { a: 9 })).text, /by the rate limit of each module/);
	for (let i = 0; i < 3; i++) assert.equal((await post('s2', { a: i })).status, 204);
	assert.match((await post('s2', { a: 9 })).text, /by the rate limit of each device/, 'what its module sent counts');
	await h.stop();
});

test('L-95 an address beyond its rate', async () => {
	assert.equal((await hub.rest('GET', '/jobs/v2/none')).status, 404);
	const answer = await hub.rest('GET', '/jobs/v2/none');
	assert.equal(answer.status, 429);
	assert.match(answer.text, /by the rate limit of each address/);
});

test('L-96 each item of a bulk call counts', async () => {
	const h = await startHub({ args: args(['policy:registry=1/d,50']) });
	const items = Array.from({ length: 60 }, (_, i) => ({ id: `b${i}`, importMode: 'create' }));
	assert.equal((await h.rest('POST', '/devices', { body: items })).status, 200);
	assert.equal((await h.rest('GET', '/devices/b1')).status, 429);
	await h.stop();
});

test('L-97 telemetry beyond its rate is not lost: its PUBACK comes later, and the link stays', async () => {
	const h = await startHub({ args: args(['device:sends=2/s,1']) });
	const c = await mqttDevice(h, 't1');
	const began = process.hrtime.bigint();
	await Promise.all([1, 2, 3, 4].map((i) => c.publish('devices/t1/messages/events/', `m${i}`, { qos: 1 })));
	assert.ok(process.hrtime.bigint() - began >= 1_400_000_000n, 'three of them waited for half a second each');
	assert.equal((await c.twinGet()).status, 200);
	await until(() => /msg="delayed, the connection stays" reason=rate-limit .*device=t1 .*operation type sends, by the rate limit of each device/.test(h.logs), 'the log says so');
	assert.equal(h.logs.split('delayed, the connection stays').length, 2, 'once');
	await c.disconnect();
	await h.stop();
});

test('L-94 the log tells at start which rules are in force', () => {
	for (const rule of RULES) assert.ok(hub.logs.includes(`rate limit in force: ${rule}`), rule);
	assert.doesNotMatch(free.logs, /rate limit in force/);
});

test('L-94 without rules there are no limits', async () => {
	for (let i = 0; i < 30; i++) assert.equal((await query(free)).status, 200);
	const c = await mqttDevice(free, 'f1');
	for (let i = 0; i < 30; i++) assert.equal((await c.report({ a: i })).status, 204);
	await c.disconnect();
});

test('L-94 a rule that is none ends the start with a line', () => {
	for (const rule of ['device:updates=0/s', 'all:updates=1/s', 'device:updates=1', 'device:methods=1/s', 'device:reads=1/d,1000'])
		assert.throws(() => execFileSync(BINARY, ['serve', '--data', tempDir('rule'), '--rate-limit', rule], { stdio: 'pipe' }),
			(error) => error.status !== 0 && /is no rate limit|would limit nothing|more than a year/.test(error.stderr.toString()));
});
