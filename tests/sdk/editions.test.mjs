// --throttle F1, seen by the real SDKs: how many there may be of what, and what jobs may do (limits.md 2, 3, 7; operate.md, O-154, O-159).
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import fs from 'node:fs';
import path from 'node:path';
import { startHub, stopAll, tempDir, until } from '../lib/hub.mjs';
import { endAll, ephemeral } from '../lib/ephemeral.mjs';
import { registryOf } from '../lib/sdk.mjs';

const { JobClient } = createRequire(import.meta.url)('azure-iothub');
const SLOW = Number(process.env.TWINHUB_TEST_SLOW ?? 1);
let hub, registry, jobs;

before(async () => {
	hub = await startHub({ args: ['--throttle', 'F1', '--rate-limit', 'hub:registry=none'] });
	registry = await registryOf(hub);
	jobs = JobClient.fromConnectionString(await hub.connectionString('iothubowner'));
});
after(async () => { await endAll(); await stopAll(hub); });

const put = (target, body) => hub.rest('PUT', target, { body });
const limits = async (body) => assert.equal((await hub.rest('PATCH', '/settings', { body: { limits: body } })).status, 200);
const bulk = (mode, from, n) => hub.rest('POST', '/devices', { body: Array.from({ length: n }, (_, i) => ({ id: `d${from + i}`, importMode: mode })) });
const refusal = async (doing) => {
	try {
		await doing;
	} catch (error) {
		return { name: error.name, status: error.response?.statusCode ?? error.response?.status, text: error.responseBody ?? String(error) };
	}
	return assert.fail('it was not refused');
};
const promised = (act) => new Promise((resolve, reject) => act((error, result) => (error ? reject(error) : resolve(result))));

test('L-16 L-56 L-83 O-154 jobs of F1: one at once, another is 429; 10 devices a second, whatever it asks', async () => {
	const update = (id, condition, start = new Date()) => promised((done) => jobs.scheduleTwinUpdate(id, condition, { etag: '*', tags: { by: id } }, start, 300, done));
	assert.equal((await bulk('create', 0, 40)).status, 200);
	const since = Date.now();
	await update('first', '*');
	const no = await refusal(update('second', '*'));
	assert.equal(no.status, 429);
	assert.equal(no.name, 'ThrottlingError');
	assert.match(no.text, /ThrottlingMaxActiveJobCountExceeded;1 jobs are running or queued to run at once, the limit/);
	await update('later', "deviceId = 'd7'", new Date(Date.now() + 1500));
	const job = async (id) => (await promised((done) => jobs.getJob(id, done)));
	await until(async () => (await job('first')).status === 'completed', 'the first job', { pauseMs: 200 });
	const took = Date.now() - since;
	assert.ok(took >= 2900 && took < 10_000 * SLOW, `40 devices, 10 at once and 10 a second: ${took} ms`);
	assert.equal((await job('first')).deviceJobStatistics.succeededCount, 40);
	await until(async () => (await job('later')).status === 'completed', 'the one that has waited for its place', { pauseMs: 200 });
	assert.ok((await hub.rest('GET', '/statistics/limits')).body.throttled.jobDevices.hub > 0);
});

test('L-24 L-29 L-30 L-32 L-85 O-154 O-159 F1 has 500 identities, 10 configurations, 5 routes and 1 sink; what is there stays and may be changed', async () => {
	for (let i = 40; i < 499; i += 100) assert.equal((await bulk('create', i, Math.min(100, 499 - i))).status, 200);
	await registry.create({ deviceId: 'last' });
	const no = await refusal(registry.create({ deviceId: 'more' }));
	assert.equal(no.status, 403);
	assert.match(no.text, /IotHubQuotaExceeded/);
	const module = await refusal(registry.addModule({ deviceId: 'd1', moduleId: 'm' }));
	assert.match(module.text, /IotHubQuotaExceeded/);
	const mixed = await hub.rest('POST', '/devices', { body: [{ id: 'x1', importMode: 'create' }, { id: 'd3', importMode: 'delete' }] });
	assert.equal(mixed.body.errors.length, 1);
	assert.equal(mixed.body.errors[0].errorCode, 403002);
	assert.equal((await put('/devices/x2', { deviceId: 'x2' })).status, 200, 'one has gone, one may come');
	const configuration = (id) => ({ id, priority: 1, targetCondition: '*', content: { deviceContent: { 'properties.desired.a': 1 } } });
	for (let i = 0; i < 10; i++) await promised((done) => registry.addConfiguration(configuration(`c${i}`), done));
	const eleventh = await refusal(promised((done) => registry.addConfiguration(configuration('c10'), done)));
	assert.equal(eleventh.status, 413);
	assert.match(eleventh.text, /ConfigurationCountLimitExceeded;there are 10 configurations, the limit is 10/);
	const sink = { kind: 'webhook', url: 'https://127.0.0.1:9/x', enabled: false };
	const route = { source: 'DeviceMessages', endpointNames: ['events'] };
	assert.equal((await put('/sinks/s1', sink)).status, 200);
	const second = await put('/sinks/s2', sink);
	assert.equal(second.status, 403, second.text);
	assert.match(second.text, /IotHubQuotaExceeded;there are 1 sinks, the limit is 1/);
	for (let i = 1; i <= 5; i++) assert.equal((await put(`/routes/r${i}`, route)).status, 200);
	assert.match((await put('/routes/r6', route)).text, /IotHubQuotaExceeded;there are 5 routes beside the fallback, the limit is 5/);
	assert.deepEqual((await hub.rest('GET', '/statistics/limits')).body.counts, { identities: 500, configurations: 10, routes: 5, sinks: 1, activeJobs: 1 });
	// a setting holds in place of the edition's, at once; less than there are takes nothing away
	await limits({ identities: 501, sinks: 2 });
	await registry.create({ deviceId: 'more' });
	assert.equal((await put('/sinks/s2', sink)).status, 200);
	await limits({ identities: 10 });
	assert.equal((await hub.rest('PATCH', '/twins/d1', { body: { tags: { a: 1 } } })).status, 200);
	assert.match((await refusal(registry.create({ deviceId: 'late' }))).text, /IotHubQuotaExceeded/);
});

test('L-24 O-146 O-159 a seed of more than F1 has ends the start, and names the line', async () => {
	const file = path.join(tempDir('edition'), 'seed.ndjson');
	fs.writeFileSync(file, Array.from({ length: 501 }, (_, i) => `${JSON.stringify({ id: `d${i}` })}\n`).join(''));
	await assert.rejects(ephemeral('--throttle', 'F1', '--seed', file), /--seed .*seed\.ndjson, line \d+: device d\d+: IotHubQuotaExceeded/);
});
