// Jobs through the real service SDK: twins of many devices changed, while other things happen to them.
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { startHub, stopAll, until, within } from '../lib/hub.mjs';
import { registryOf, rejection, sdkDevice, twinOf } from '../lib/sdk.mjs';

const { JobClient } = createRequire(import.meta.url)('azure-iothub');

let hub, registry, jobs;
const open = new Set();

before(async () => {
	hub = await startHub();
	registry = await registryOf(hub);
	jobs = JobClient.fromConnectionString(await hub.connectionString('iothubowner'));
});
after(async () => {
	for (const d of open) await d.close().catch(() => {});
	await stopAll(hub);
});

async function devices(prefix, n, tags) {
	const ids = Array.from({ length: n }, (_, i) => `${prefix}${i}`);
	await registry.addDevices(ids.map((deviceId) => ({ deviceId })));
	if (tags) for (const id of ids) await registry.updateTwin(id, { tags }, '*');
	return ids;
}

async function client(id) {
	const d = await sdkDevice(hub, id);
	open.add(d);
	return d;
}

async function get(id) { return (await jobs.getJob(id)).jobStatus; }

function ended(id) {
	return until(async () => {
		const job = await get(id);
		return ['completed', 'failed', 'cancelled'].includes(job.status) && job;
	}, `the job ${id} has ended`);
}

// The SDK's clients of jobs insist on a callback or a promise for each call.
async function scheduleTwin(id, condition, patch, start = null, seconds = 600) {
	return (await jobs.scheduleTwinUpdate(id, condition, { etag: '*', ...patch }, start, seconds)).jobStatus;
}

function statistics(deviceCount, succeededCount, failedCount = 0) {
	return { deviceCount, failedCount, succeededCount, runningCount: 0, pendingCount: 0 };
}

test('R-74 J-18 J-21 a job changes the twins that match when it starts, and they are told', async () => {
	const ids = await devices('a', 5, { fleet: 'a' });
	await devices('other', 2, { fleet: 'b' });
	const device = await client('a0');
	await device.listen();
	const made = await scheduleTwin('job-a', "tags.fleet = 'a'", { tags: { fleet: 'done' }, properties: { desired: { pace: 7 } } });
	assert.equal(made.status, 'queued');
	assert.deepEqual(made.deviceJobStatistics, statistics(0, 0));
	const job = await ended('job-a');
	assert.equal(job.status, 'completed');
	assert.deepEqual(job.deviceJobStatistics, statistics(5, 5));
	for (const id of ids) {
		const twin = await twinOf(registry, id);
		assert.equal(twin.tags.fleet, 'done');
		assert.equal(twin.properties.desired.pace, 7);
	}
	assert.equal((await twinOf(registry, 'other0')).tags.fleet, 'b');
	assert.deepEqual(await device.notification(), { pace: 7, $version: 2 });
});

test('R-76 J-12 a job is shown as it was sent, without members that were not', async () => {
	const patch = { tags: { a: null, b: { c: [1, 'x', { d: 1.0 }] } }, properties: { desired: { e: '\u00e9' }, reported: {} } };
	const made = await scheduleTwin('job-echo', "deviceId IN ['nobody']", patch);
	assert.deepEqual(made.updateTwin, { etag: '*', ...patch });
	const job = await ended('job-echo');
	assert.deepEqual(Object.keys(job).sort(), ['createdTime', 'deviceJobStatistics', 'endTime', 'jobId', 'maxExecutionTimeInSeconds',
		'queryCondition', 'startTime', 'status', 'type', 'updateTwin']);
	assert.deepEqual(job.updateTwin, { etag: '*', ...patch });
	assert.equal(job.queryCondition, "deviceId IN ['nobody']");
	assert.equal(job.maxExecutionTimeInSeconds, 600);
	assert.equal(job.type, 'scheduleUpdateTwin');
});

test('J-25 a job that no device matches completes', async () => {
	await scheduleTwin('job-none', "tags.nobody = 'x'", { tags: { a: 1 } });
	assert.deepEqual((await ended('job-none')).deviceJobStatistics, statistics(0, 0));
});

test('R-72 J-14 J-15 a job of later is queued, then scheduled, and can be cancelled', async () => {
	const start = new Date(Date.now() + 3_600_000);
	const made = await scheduleTwin('job-later', '*', { tags: { never: 1 } }, start);
	assert.equal(made.status, 'queued');
	assert.equal(Date.parse(made.startTime), start.getTime());
	await until(async () => (await get('job-later')).status === 'scheduled', 'the job is scheduled');
	const cancelled = (await jobs.cancelJob('job-later')).jobStatus;
	assert.equal(cancelled.status, 'cancelled');
	assert.equal((await get('job-later')).status, 'cancelled');
	const error = await rejection(jobs.cancelJob('job-later'));
	assert.equal(error.response.statusCode, 405);
});

test('J-27 a job of later keeps its time over a restart', async () => {
	const [id] = await devices('restart', 1);
	await scheduleTwin('job-restart', `deviceId = '${id}'`, { tags: { late: true } }, new Date(Date.now() + 1500));
	await until(async () => (await get('job-restart')).status === 'scheduled', 'the job is scheduled');
	await hub.kill();
	await hub.start();
	assert.deepEqual((await ended('job-restart')).deviceJobStatistics, statistics(1, 1));
	assert.equal((await twinOf(registry, id)).tags.late, true);
});

test('R-77 R-78 J-04 J-09 what cannot be a job is refused', async () => {
	await scheduleTwin('job-twice', "tags.nobody = 'x'", { tags: { a: 1 } });
	const cases = [
		[() => scheduleTwin('job-twice', '*', { tags: { a: 1 } }), 409, 'JobAlreadyExists'],
		[() => jobs.scheduleTwinUpdate('job-etag', '*', { tags: { a: 1 } }, null, 60), 400, 'ArgumentInvalid'],
		[() => scheduleTwin('job-condition', 'tags.a = = 1', { tags: { a: 1 } }), 400, 'ArgumentInvalid'],
		[() => scheduleTwin('job-patch', '*', { tags: { 'a.b': 1 } }), 400, 'ArgumentInvalid'],
		[() => jobs.getJob('job-unknown'), 404, 'JobNotFound'],
		[() => jobs.cancelJob('job-unknown'), 404, 'JobNotFound'],
	];
	for (const [call, status, code] of cases) {
		const error = await rejection(call());
		assert.equal(error.response.statusCode, status);
		assert.match(error.responseBody, new RegExp(`ErrorCode:${code};`));
	}
	assert.match((await rejection(scheduleTwin('job-place', 'tags.a = = 1', { tags: { a: 1 } }))).responseBody, /Line 1:/);
	assert.equal((await rejection(jobs.getJob('job-condition'))).response.statusCode, 404);
});

test('J-16 J-21 a device that has no room for the change is counted as failed, the others are changed', async () => {
	const ids = await devices('full', 3, { fleet: 'full' });
	const big = Object.fromEntries(Array.from({ length: 7 }, (_, i) => [`k${i}`, 'x'.repeat(1100)]));
	await registry.updateTwin(ids[1], { tags: big }, '*');
	await scheduleTwin('job-full', "tags.fleet = 'full'", { tags: { more: 'y'.repeat(600) } });
	const job = await ended('job-full');
	assert.equal(job.status, 'completed');
	assert.deepEqual(job.deviceJobStatistics, statistics(3, 2, 1));
	assert.equal((await twinOf(registry, ids[2])).tags.more.length, 600);
	assert.equal((await twinOf(registry, ids[1])).tags.more, undefined);
});

test('J-10 several jobs run at once, each with a pace of its own, and a paced one can be cancelled', async () => {
	await devices('pace', 30, { fleet: 'pace' });
	const r = await hub.rest('PUT', '/jobs/v2/job-slow', { body: { type: 'scheduleUpdateTwin', queryCondition: "tags.fleet = 'pace'",
		maxUpdatesPerSecond: 1, updateTwin: { etag: '*', tags: { slow: 1 } } } });
	assert.equal(r.body.maxUpdatesPerSecond, 1);
	await until(async () => (await get('job-slow')).deviceJobStatistics.succeededCount > 0, 'the slow job has begun');
	await scheduleTwin('job-fast', "tags.fleet = 'pace'", { tags: { fast: 1 } });
	assert.deepEqual((await ended('job-fast')).deviceJobStatistics, statistics(30, 30));
	assert.equal((await get('job-slow')).status, 'running');
	const cancelled = (await jobs.cancelJob('job-slow')).jobStatus;
	assert.equal(cancelled.status, 'cancelled');
	const done = (await get('job-slow')).deviceJobStatistics;
	assert.equal(done.deviceCount, 30);
	assert.equal(done.pendingCount, 0);
	assert.ok(done.succeededCount < 30);
});

test('J-19 a job whose time is over completes, the devices without a turn are failed', async () => {
	await devices('late', 30, { fleet: 'late' });
	await hub.rest('PUT', '/jobs/v2/job-late', { body: { type: 'scheduleUpdateTwin', queryCondition: "tags.fleet = 'late'",
		maxUpdatesPerSecond: 1, maxExecutionTimeInSeconds: 1, updateTwin: { etag: '*', tags: { late: 1 } } } });
	const job = await ended('job-late');
	assert.equal(job.status, 'completed');
	assert.equal(job.deviceJobStatistics.deviceCount, 30);
	assert.ok(job.deviceJobStatistics.failedCount > 0);
	assert.equal(job.deviceJobStatistics.failedCount + job.deviceJobStatistics.succeededCount, 30);
});

test('J-27 after a kill in the middle a job goes on: no device is lost, none is changed twice', async () => {
	const ids = await devices('kill', 100, { fleet: 'kill' });
	await hub.rest('PUT', '/jobs/v2/job-kill', { body: { type: 'scheduleUpdateTwin', queryCondition: "tags.fleet = 'kill'",
		maxUpdatesPerSecond: 50, updateTwin: { etag: '*', tags: { fleet: 'changed' }, properties: { desired: { n: 1 } } } } });
	for (const least of [10, 50]) {
		await until(async () => (await get('job-kill')).deviceJobStatistics.succeededCount >= least, `${least} devices are changed`);
		await hub.kill();
		await hub.start();
	}
	assert.deepEqual((await within(ended('job-kill'), 'the job')).deviceJobStatistics, statistics(100, 100));
	for (const id of ids) {
		const twin = await twinOf(registry, id);
		assert.equal(twin.properties.desired.$version, 2, id);
		assert.equal(twin.tags.fleet, 'changed', id);
	}
});

async function results(query, size = 100) {
	const q = registry.createQuery(query, size);
	const rows = [];
	while (q.hasMoreResults) rows.push(...(await q.next(q.continuationToken)).result);
	return rows;
}

test('R-79 J-01 J-13 jobs are listed by type and status, without case, in pages', async () => {
	for (let i = 0; i < 5; i++) await scheduleTwin(`job-list${i}`, "tags.nobody = 'x'", { tags: { a: 1 } });
	for (let i = 0; i < 5; i++) await ended(`job-list${i}`);
	const list = async (query, headers) => {
		const r = await hub.rest('GET', `/jobs/v2/query${query}`, { headers });
		assert.equal(r.status, 200, JSON.stringify(r.body));
		assert.equal(r.headers['x-ms-item-type'], 'JobResponse');
		return r;
	};
	const all = (await list('?jobType=ScheduleUpdateTwin&jobStatus=Completed')).body;
	assert.ok(all.length >= 5);
	assert.ok(all.every((j) => j.type === 'scheduleUpdateTwin' && j.status === 'completed'));
	assert.deepEqual((await list('?jobType=export')).body, []);
	assert.ok((await list('?jobStatus=canceled')).body.every((j) => j.status === 'cancelled'));
	assert.equal((await hub.rest('GET', '/jobs/v2/query?jobType=nonsense')).status, 400);
	const query = jobs.createQuery('scheduleUpdateTwin', 'completed', 2);
	const ids = [];
	while (query.hasMoreResults) {
		const page = (await query.next(query.continuationToken)).result;
		assert.ok(page.length <= 2);
		ids.push(...page.map((j) => j.jobId));
	}
	assert.deepEqual(ids, all.map((j) => j.jobId));
	const first = await list('?pageSize=3');
	const second = await list(`?pageSize=3&continuationToken=${encodeURIComponent(first.headers['x-ms-continuation'])}`);
	assert.ok(first.body.every((a) => second.body.every((b) => a.jobId !== b.jobId)));
	assert.equal((await hub.rest('GET', `/jobs/v2/query?jobStatus=completed&continuationToken=${encodeURIComponent(first.headers['x-ms-continuation'])}`)).status, 400);
});

test('Q-19 Q-24 jobs are a collection of queries', async () => {
	await scheduleTwin('job-query', "tags.nobody = 'y'", { tags: { a: 1 } });
	const job = await ended('job-query');
	assert.deepEqual(await results("SELECT * FROM jobs WHERE jobId = 'job-query'"), [job]);
	assert.deepEqual(await results("SELECT * FROM jobs WHERE jobId = 'job-query' AND status = 'queued'"), []);
});

test('R-80 J-26 each device of a job has a result, whatever comes of the device', async () => {
	const ids = await devices('res', 4, { fleet: 'res' });
	const big = Object.fromEntries(Array.from({ length: 7 }, (_, i) => [`k${i}`, 'x'.repeat(1100)]));
	await registry.updateTwin(ids[2], { tags: big }, '*');
	const { createdTime } = await scheduleTwin('job-res', "tags.fleet = 'res'", { tags: { more: 'y'.repeat(600) } });
	await ended('job-res');
	const of = async (more = '', size = 100) => {
		const rows = await results(`SELECT * FROM devices.jobs WHERE devices.jobs.jobId = 'job-res'${more}`, size);
		return rows.sort((a, b) => a.deviceId < b.deviceId ? -1 : 1);
	};
	const rows = await of();
	assert.deepEqual(rows.map((r) => [r.deviceId, r.status]),
		[['res0', 'completed'], ['res1', 'completed'], ['res2', 'failed'], ['res3', 'completed']]);
	const { startTimeUtc, endTimeUtc, lastUpdatedDateTimeUtc, ...rest } = rows[0];
	assert.deepEqual(rest, { deviceId: 'res0', jobId: 'job-res', jobType: 'scheduleUpdateTwin', status: 'completed',
		createdDateTimeUtc: createdTime, outcome: { deviceMethodResponse: null } });
	assert.ok(createdTime <= startTimeUtc && startTimeUtc <= endTimeUtc && lastUpdatedDateTimeUtc >= startTimeUtc);
	assert.equal(rows[2].outcome, undefined);
	assert.equal(rows[2].error.code, 'DeviceModelMaxPropertiesExceeded');
	assert.match(rows[2].error.description, /tags/);
	assert.deepEqual(await of('', 1), rows);
	assert.deepEqual((await of(" AND devices.jobs.status = 'failed'")).map((r) => r.deviceId), ['res2']);
	assert.deepEqual((await of(" AND deviceId IN ['res1', 'res3', 'nobody']")).map((r) => r.deviceId), ['res1', 'res3']);
	assert.deepEqual((await of(" AND devices.jobs.createdDateTimeUtc > '2021-01-01' AND jobType = 'scheduleUpdateTwin'")), rows);
	// gone devices keep their results, also over a restart, and when another device comes under the same name
	await registry.delete('res2');
	await registry.delete('res3');
	assert.deepEqual(await of(), rows);
	await registry.create({ deviceId: 'res3' });
	assert.deepEqual(await of(), rows);
	await hub.kill();
	await hub.start();
	assert.deepEqual(await of(), rows);
	await registry.delete('res3');
	assert.deepEqual(await of(), rows);
});

test('J-15 J-26 the results of a job that was cancelled say which devices had no turn', async () => {
	const ids = await devices('part', 10, { fleet: 'part' });
	await hub.rest('PUT', '/jobs/v2/job-part', { body: { type: 'scheduleUpdateTwin', queryCondition: "tags.fleet = 'part'",
		maxUpdatesPerSecond: 1, updateTwin: { etag: '*', tags: { fleet: 'changed' } } } });
	await until(async () => (await get('job-part')).deviceJobStatistics.succeededCount > 0, 'the job has begun');
	const pending = await results("SELECT * FROM devices.jobs WHERE jobId = 'job-part' AND status = 'pending'");
	assert.ok(pending.length > 0 && pending.every((r) => r.startTimeUtc === undefined && r.endTimeUtc === undefined));
	await registry.delete(pending[0].deviceId);
	await jobs.cancelJob('job-part');
	const now = () => results("SELECT * FROM devices.jobs WHERE jobId = 'job-part'");
	const rows = await until(async () => {
		const all = await now();
		return all.every((r) => r.status !== 'pending') && all;
	}, 'nothing of the job is pending');
	assert.deepEqual(rows.map((r) => r.deviceId).sort(), ids);
	for (const r of rows) {
		if (r.deviceId === pending[0].deviceId) {
			assert.equal(r.status, 'failed');
			assert.equal(r.error.code, 'DeviceNotFound');
			continue;
		}
		assert.equal((await twinOf(registry, r.deviceId)).tags.fleet, r.status === 'completed' ? 'changed' : 'part');
		assert.ok(['completed', 'canceled'].includes(r.status));
	}
	assert.ok(rows.some((r) => r.status === 'canceled'));
});

function scheduleMethod(id, condition, params, seconds = 600) {
	return jobs.scheduleDeviceMethod(id, condition, params, null, seconds);
}

async function resultsOf(id) {
	const rows = await results(`SELECT * FROM devices.jobs WHERE devices.jobs.jobId = '${id}'`);
	return rows.sort((a, b) => a.deviceId < b.deviceId ? -1 : 1);
}

test('R-75 J-22 J-23 a job calls a method of many devices: what each answers is its result', async () => {
	const ids = await devices('call', 4, { fleet: 'call' });
	for (const [i, id] of ids.slice(0, 3).entries()) {
		const device = await client(id);
		await within(new Promise((resolve) => {
			device.client.onDeviceMethod('reboot', (request, response) => {
				response.send(i === 1 ? 500 : 200, { heard: request.payload, i }, () => {});
			});
			resolve();
		}), 'the method is known');
		await device.readTwin(); // behind the SUBSCRIBE
	}
	const made = (await scheduleMethod('job-call', "tags.fleet = 'call'", { methodName: 'reboot', payload: { in: [1, 'x'] }, responseTimeoutInSeconds: 10 })).jobStatus;
	assert.equal(made.type, 'scheduleDeviceMethod');
	assert.equal(made.cloudToDeviceMethod.methodName, 'reboot');
	const job = await ended('job-call');
	assert.equal(job.status, 'completed');
	assert.deepEqual(job.deviceJobStatistics, statistics(4, 3, 1));
	const rows = await resultsOf('job-call');
	assert.deepEqual(rows.map((r) => [r.deviceId, r.status]), [['call0', 'completed'], ['call1', 'completed'], ['call2', 'completed'], ['call3', 'failed']]);
	assert.deepEqual(rows[0].outcome, { deviceMethodResponse: { status: 200, payload: { heard: { in: [1, 'x'] }, i: 0 } } });
	assert.equal(rows[1].outcome.deviceMethodResponse.status, 500);
	assert.equal(rows[3].error.code, 'DeviceNotOnline');
	assert.deepEqual((await results("SELECT * FROM devices.jobs WHERE jobId = 'job-call' AND outcome.deviceMethodResponse.status = 500")).map((r) => r.deviceId), ['call1']);
	await hub.kill();
	await hub.start();
	assert.deepEqual(await resultsOf('job-call'), rows);
});

test('J-22 a job waits for a device that is away, as long as it was asked to', async () => {
	const [there, away] = await devices('wait', 2, { fleet: 'wait' });
	await hub.rest('PUT', '/jobs/v2/job-wait', { body: { type: 'scheduleDeviceMethod', queryCondition: "tags.fleet = 'wait'",
		cloudToDeviceMethod: { methodName: 'reboot', payload: null, responseTimeoutInSeconds: 10, connectTimeoutInSeconds: 3 } } });
	await until(async () => (await get('job-wait')).deviceJobStatistics.runningCount === 2, 'both are waited for');
	const device = await client(there);
	device.client.onDeviceMethod('reboot', (request, response) => response.send(200, null, () => {}));
	assert.deepEqual((await ended('job-wait')).deviceJobStatistics, statistics(2, 1, 1));
	const rows = await resultsOf('job-wait');
	assert.deepEqual(rows.map((r) => [r.deviceId, r.status]), [[there, 'completed'], [away, 'failed']]);
	assert.equal(rows[1].error.code, 'DeviceNotOnline');
});

test('J-27 a call that was under way when the hub was killed has failed, and is never sent twice', async () => {
	const [id, later] = await devices('once', 2, { fleet: 'once' });
	let calls = 0;
	const device = await client(id);
	device.client.onDeviceMethod('reboot', () => { calls++; });
	await device.readTwin();
	await hub.rest('PUT', '/jobs/v2/job-once', { body: { type: 'scheduleDeviceMethod', queryCondition: `deviceId = '${id}'`,
		cloudToDeviceMethod: { methodName: 'reboot', payload: null, responseTimeoutInSeconds: 60 } } });
	await until(() => calls === 1, 'the device has been called');
	assert.equal((await resultsOf('job-once'))[0].status, 'running');
	await hub.kill();
	await hub.start();
	assert.deepEqual((await ended('job-once')).deviceJobStatistics, statistics(1, 0, 1));
	const [row] = await resultsOf('job-once');
	assert.equal(row.error.code, 'DeviceConnectionClosedRemotely');
	assert.ok(row.startTimeUtc <= row.endTimeUtc);
	await until(async () => { try { await device.readTwin(); return true; } catch { return false; } }, 'the device is back');
	assert.equal(calls, 1);
	assert.ok(later);
});

test('J-15 J-19 a job of calls ends when its time is over, and a deleted device is no obstacle', async () => {
	const ids = await devices('mute', 3, { fleet: 'mute' });
	for (const id of ids.slice(0, 2)) {
		const device = await client(id);
		device.client.onDeviceMethod('reboot', () => {});
		await device.readTwin();
	}
	await hub.rest('PUT', '/jobs/v2/job-mute', { body: { type: 'scheduleDeviceMethod', queryCondition: "tags.fleet = 'mute'", maxExecutionTimeInSeconds: 2,
		cloudToDeviceMethod: { methodName: 'reboot', payload: null, responseTimeoutInSeconds: 200, connectTimeoutInSeconds: 200 } } });
	await until(async () => (await get('job-mute')).deviceJobStatistics.runningCount === 3, 'all are called');
	await registry.delete(ids[1]);
	const job = await ended('job-mute');
	assert.equal(job.status, 'completed');
	assert.deepEqual(job.deviceJobStatistics, statistics(3, 0, 3));
	assert.deepEqual((await resultsOf('job-mute')).map((r) => [r.deviceId, r.status, r.error.code]),
		[['mute0', 'failed', 'GatewayTimeout'], ['mute1', 'failed', 'DeviceNotFound'], ['mute2', 'failed', 'GatewayTimeout']]);
});

test('a dry run says which devices a job is about and what becomes of them, and does nothing', async () => {
	const ids = await devices('dry', 12, { fleet: 'dry' });
	const big = Object.fromEntries(Array.from({ length: 7 }, (_, i) => [`k${i}`, 'x'.repeat(1100)]));
	await registry.updateTwin('dry7', { tags: big }, '*');
	const body = { type: 'scheduleUpdateTwin', queryCondition: "tags.fleet = 'dry'",
		updateTwin: { etag: '*', tags: { fleet: 'wet', more: 'y'.repeat(600) }, properties: { desired: { a: { b: 1 } } } } };
	const before = Object.fromEntries(await Promise.all(ids.map(async (id) => [id, (await hub.rest('GET', `/twins/${id}`)).body])));
	await scheduleTwin('job-taken', "tags.nobody = 'x'", { tags: { a: 1 } });
	await ended('job-taken');
	for (const [method, id] of [['POST', 'job-dry'], ['PUT', 'job-taken']]) {
		const r = await hub.rest(method, `/jobs/v2/${id}?dryRun=true&sample=100`, { body });
		assert.equal(r.status, 200, JSON.stringify(r.body));
		assert.equal(r.body.targetedCount, 12);
		assert.deepEqual(r.body.devices.map((d) => d.deviceId).sort(), [...ids].sort());
		assert.equal(r.body.sample.length, 12);
		for (const { deviceId, patch, changed, twin, error } of r.body.sample) {
			assert.deepEqual(patch, { tags: body.updateTwin.tags, properties: { desired: { a: { b: 1 } } } });
			if (deviceId === 'dry7') {
				assert.equal(error.code, 'DeviceModelMaxPropertiesExceeded');
				continue;
			}
			assert.equal(changed, true);
			assert.equal(twin.version, before[deviceId].version + 1);
			assert.deepEqual(twin.tags, { ...before[deviceId].tags, ...body.updateTwin.tags });
			assert.deepEqual(twin.properties.desired.a, { b: 1 });
			assert.equal(twin.properties.desired.$version, 2);
		}
	}
	assert.equal((await hub.rest('GET', '/jobs/v2/job-dry')).status, 404);
	for (const id of ids) assert.deepEqual((await hub.rest('GET', `/twins/${id}`)).body, before[id]);
	const seen = [];
	let token, pages = 0;
	do {
		const r = await hub.rest('POST', '/jobs/v2/job-dry?dryRun=true', { body,
			headers: { 'x-ms-max-item-count': '5', ...(token ? { 'x-ms-continuation': token } : {}) } });
		assert.equal(r.body.targetedCount, pages === 0 ? 12 : undefined);
		assert.equal(r.body.sample?.length, pages === 0 ? 10 : undefined);
		seen.push(...r.body.devices.map((d) => d.deviceId));
		token = r.headers['x-ms-continuation'];
		pages++;
	} while (token);
	assert.equal(pages, 3);
	assert.deepEqual(seen.sort(), [...ids].sort());
	const method = { type: 'scheduleDeviceMethod', queryCondition: "deviceId IN ['dry1', 'dry2']", cloudToDeviceMethod: { methodName: 'm' } };
	const called = await hub.rest('POST', '/jobs/v2/m?dryRun=true', { body: method });
	assert.deepEqual(called.body.devices.map((d) => d.deviceId).sort(), ['dry1', 'dry2']);
	assert.equal(called.body.sample, undefined);
	assert.equal((await hub.rest('POST', '/jobs/v2/x?dryRun=true&sample=101', { body })).status, 400);
	assert.equal((await hub.rest('POST', '/jobs/v2/x?dryRun=maybe', { body })).status, 400);
	assert.equal((await hub.rest('POST', '/jobs/v2/x', { body })).status, 405);
	assert.equal((await hub.rest('POST', '/jobs/v2/x?dryRun=true', { body: { ...body, updateTwin: { tags: {} } } })).status, 400);
});
