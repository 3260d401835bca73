// Settings of the hub (events.md 8): shown, changed, refused; in force at once, and after any end of the hub.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import path from 'node:path';
import { onPostgres, startHub, stopAll, tempDir, until } from '../lib/hub.mjs';

let hub;

before(async () => {
	hub = await startHub({ dir: path.join(tempDir('settings'), 'data'), args: ['--workers', '2', '--log-max-age', '7200', '--event-partitions', '8'] });
});
after(() => stopAll(hub));

const ok = (answer, status = 200) => { assert.equal(answer.status, status, answer.text); return answer; };
const settings = async () => ok(await hub.rest('GET', '/settings')).body;
const patch = (body, headers = {}) => hub.rest('PATCH', '/settings', { body, headers });

test('E-80 E-83 E-84 the first values are those of the options', async () => {
	const answer = ok(await hub.rest('GET', '/settings'));
	assert.equal(answer.headers.etag, '"MQ=="');
	assert.deepEqual(answer.body, {
		log: { telemetry: true, twinChanges: true, lifeCycle: true, connections: true, jobs: true, methods: false, administration: true },
		retention: { logMaxSize: 2 ** 30, logMaxAge: 7200, changesMaxSize: 4 * 2 ** 30, changesMaxAge: 2592000 },
		events: { partitions: 8 },
		cloudToDevice: { defaultTimeToLive: 3600, maxDeliveryCount: 10, lockDuration: 60, feedback: { timeToLive: 3600, lockDuration: 60 } },
		limits: { dailyMessages: 0, messageBlock: 4096, identities: 0, configurations: 0, routes: 0, sinks: 0, activeJobs: 0, rates: {}, shares: {} },
	});
});

test('E-81 a change is a merge patch, with its etag if that is asked for; what is wrong changes nothing', async () => {
	const before = ok(await hub.rest('GET', '/settings'));
	const changed = ok(await patch({ log: { methods: true } }, { 'If-Match': before.headers.etag }));
	assert.deepEqual(changed.body, { ...before.body, log: { ...before.body.log, methods: true } });
	ok(await patch({ log: { methods: false } }, { 'If-Match': before.headers.etag }), 412);
	const refused = ok(await patch({ log: { methods: false }, retention: { changesMaxAge: -1 } }), 400);
	assert.match(refused.text, /retention\.changesMaxAge is a number from 1 to 315360000, or 0, not -1/);
	assert.match(ok(await patch({ events: { partitions: 4 } }), 400).text, /events\.partitions is fixed when the data directory is made: it is 8, not 4/);
	assert.match(ok(await patch({ log: { all: true } }), 400).text, /there is no setting log\.all/);
	assert.deepEqual(await settings(), changed.body);
	ok(await patch({ log: null }), 400);
	assert.equal(ok(await patch({ log: { methods: null } })).body.log.methods, false);
});

test('E-82 telemetry is logged or not, from the next message on', async () => {
	ok(await hub.rest('PUT', '/devices/d', { body: { deviceId: 'd' } }));
	const send = async (text) => ok(await hub.rest('POST', '/devices/d/messages/events', { body: { text } }), 204);
	const texts = async () => ok(await hub.rest('GET', '/events?from=earliest&follow=false&source=DeviceMessages', { headers: { Accept: 'application/x-ndjson' } })).text
		.split('\n').filter((l) => l.includes('"data"')).map((l) => JSON.parse(Buffer.from(JSON.parse(l).data.body, 'base64')).text);

	await send('one');
	ok(await patch({ log: { telemetry: false } }));
	await send('two');
	ok(await patch({ log: { telemetry: true } }));
	await send('three');
	assert.deepEqual(await texts(), ['one', 'three']);
});

test('E-82 retention is in force without a restart', async () => {
	const bytes = async () => ok(await hub.rest('GET', '/statistics/store')).body.eventLogBytes;
	const body = 'x'.repeat(200_000);

	for (let i = 0; i < 60; i++) ok(await hub.rest('POST', '/devices/d/messages/events', { body, headers: { 'Content-Type': 'text/plain' } }), 204);
	ok(await patch({ retention: { logMaxSize: 1 << 20, logMaxAge: 1 } }));
	await until(async () => (await bytes()) < 2 << 20, 'the log is within its size');
});

test('E-82 L-66 L-67 messages to devices are delivered as often and locked as long as the settings say', async () => {
	ok(await patch({ cloudToDevice: { defaultTimeToLive: 60, maxDeliveryCount: 2, lockDuration: 5 } }));
	ok(await hub.rest('POST', '/devices/d/messages/deviceBound', { body: 'twice', headers: { 'Content-Type': 'text/plain' } }), 204);
	const first = ok(await hub.rest('GET', '/devices/d/messages/deviceBound')).headers.etag.replaceAll('"', ''), from = Date.now();
	let again;
	await until(async () => (again = await hub.rest('GET', '/devices/d/messages/deviceBound')).status === 200, 'its lock is over', { ms: 20_000 });
	assert.ok(Date.now() - from > 4000, 'not before');
	assert.match(ok(await hub.rest('DELETE', `/devices/d/messages/deviceBound/${first}`), 412).text, /DeviceMessageLockLost/);
	ok(await hub.rest('DELETE', `/devices/d/messages/deviceBound/${again.headers.etag.replaceAll('"', '')}`), 204);
	ok(await patch({ cloudToDevice: { maxDeliveryCount: 1 } }));
	ok(await hub.rest('POST', '/devices/d/messages/deviceBound', { body: 'once', headers: { 'Content-Type': 'text/plain' } }), 204);
	const got = ok(await hub.rest('GET', '/devices/d/messages/deviceBound'));
	const lock = got.headers.etag.replaceAll('"', '');
	ok(await hub.rest('POST', `/devices/d/messages/deviceBound/${lock}/abandon`), 204);
	await until(async () => ok(await hub.rest('GET', '/statistics/messages')).body.deadLettered.DeliveryCountExceeded === 1, 'one delivery was the last');
	ok(await hub.rest('GET', '/devices/d/messages/deviceBound'), 204);
});

test('E-85 E-07 the oldest that is left of each family is told, and moves with retention', async () => {
	const statistics = async () => ok(await hub.rest('GET', '/statistics/events', { policy: 'registryRead' })).body;
	const events = async (from) => ok(await hub.rest('GET', `/events?follow=false&source=DeviceMessages&from=${from}`)).text.split('\n').filter((l) => l.includes('"specversion"')).map((l) => JSON.parse(l));

	ok(await patch({ retention: { logMaxAge: 1, logMaxSize: null } }));
	await until(async () => (await statistics()).telemetry.oldestTime === undefined, 'all messages are gone');
	const empty = await statistics();
	assert.equal(empty.telemetry.oldestPosition, empty.endPosition);
	assert.deepEqual([empty.telemetry.maxSize, empty.telemetry.maxAge], [2 ** 30, 1]);
	assert.ok(Date.parse(empty.changes.oldestTime) < Date.now() && empty.records > 60);
	ok(await patch({ retention: { logMaxAge: 3600 } }));
	ok(await hub.rest('POST', '/devices/d/messages/events', { body: { text: 'new' } }), 204);
	const one = await statistics();
	assert.equal(one.records, empty.records + 2); // the message, and that settings were changed
	const [first] = await events(one.telemetry.oldestPosition);
	assert.equal(first.time, one.telemetry.oldestTime);
	assert.equal(first.type, 'Microsoft.Devices.DeviceTelemetry');
	const shown = await hub.cli(['statistics', '--events', '--json']);
	assert.equal(JSON.parse(shown.stdout).telemetry.oldestTime, one.telemetry.oldestTime, shown.stderr);
});

test('E-80 reading takes RegistryRead or ServiceConnect, writing all rights', async () => {
	ok(await hub.rest('GET', '/settings', { policy: 'registryRead' }));
	ok(await hub.rest('GET', '/settings', { policy: 'service' }));
	ok(await hub.rest('PATCH', '/settings', { body: {}, policy: 'service' }), 401);
});

test('E-82 E-83 what was set is there after any end of the hub, and an option that differs is named as not used', async () => {
	const was = await settings();
	await hub.kill();
	hub.args = ['--log-max-age', '4000', '--event-partitions', '16'];
	await hub.start();
	assert.deepEqual(await settings(), was);
	await until(() => /log-max-age 4000 is not used: the hub's setting retention\.logMaxAge is 3600, .*twinhub settings set/.test(hub.logs), 'the log says so');
	await until(() => /event-partitions 16 is not used: the hub's setting events\.partitions is 8/.test(hub.logs), 'the log says so');
});

test('E-80 a backup has them', { skip: onPostgres }, async () => {
	const dir = path.join(tempDir('settings'), 'b'), data = path.join(tempDir('settings'), 'r');
	assert.equal((await hub.cli(['backup', dir])).code, 0);
	assert.equal((await hub.cli(['restore', dir, '--data', data], { data: false })).code, 0);
	const was = await settings();
	const other = await startHub({ dir: data });
	assert.deepEqual(ok(await other.rest('GET', '/settings')).body, was);
	await stopAll(other);
});

test('E-81 twinhub settings show and set', async () => {
	const set = await hub.cli(['settings', 'set', 'retention.changesMaxSize', '2G', '--json']);
	assert.equal(set.code, 0, set.stderr);
	assert.equal(JSON.parse(set.stdout).retention.changesMaxSize, 2 * 2 ** 30);
	assert.equal((await hub.cli(['settings', 'set', 'log.nothing', 'yes'])).code, 1);
	assert.deepEqual(JSON.parse((await hub.cli(['settings', 'show'])).stdout), JSON.parse(set.stdout));
	assert.equal((await hub.cli(['settings', 'set', 'retention.changesMaxSize', 'default'])).code, 0);
	assert.equal((await settings()).retention.changesMaxSize, 4 * 2 ** 30);
});
