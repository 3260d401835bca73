// Rate limits (limits.md 2, --rate-limit). Rates are of an hour or a day, so that nothing depends on how fast the test is.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { BINARY, mqttDevice, startHub, stopAll, tempDir, until } from '../lib/hub.mjs';

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
	await c.disconnect();
	await h.stop();
});

test('L-94 without rules there are no limits', async () => {
	for (let i = 0; i < 30; i++) assert.equal((await query(free)).status, 200);
	const c = await mqttDevice(free, 'f1');
	for (let i = 0; i < 30; i++) assert.equal((await c.report({ a: i })).status, 204);
	await c.disconnect();
});

test('L-94 a rule that is none ends the start with a line', () => {
	for (const rule of ['device:updates=0/s', 'all:updates=1/s', 'device:updates=1'])
		assert.throws(() => execFileSync(BINARY, ['serve', '--data', tempDir('rule'), '--rate-limit', rule], { stdio: 'pipe' }),
			(error) => error.status !== 0 && error.stderr.toString().includes(`'${rule}' is no rate limit`));
});
