// Jobs by the text of the specification (jobs-and-configurations.md, part A; service-rest.md 11), over bare HTTPS: what may be
// asked for, what is answered, and what becomes of twins. Methods are in rest_job_methods.test.mjs.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { DESIRED_CHANGES, mqttDevice, startHub, stopAll, until } from '../lib/hub.mjs';
import { counts, Jobs, later, method, ok, refused, update } from '../lib/jobs.mjs';

let hub, jobs;

before(async () => {
	hub = await startHub();
	jobs = new Jobs(hub);
});
after(async () => {
	jobs?.close();
	await stopAll(hub);
});

// ---- requests ----

test('J-01 every route needs an api-version, and takes those of all clients', async () => {
	ok(await jobs.put('j01', update("deviceId = 'none'", { tags: { a: 1 } })));
	for (const [verb, target, body] of [['PUT', '/jobs/v2/x', update('*', {})], ['GET', '/jobs/v2/j01'], ['POST', '/jobs/v2/j01/cancel'], ['GET', '/jobs/v2/query']])
		refused(await hub.rest(verb, target, { body, apiVersion: null }), 400, 'InvalidProtocolVersion');
	for (const apiVersion of ['2020-09-30', '2021-04-12', '2024-03-31']) ok(await hub.rest('GET', '/jobs/v2/j01', { apiVersion }));
});

test('J-02 R-11 R-12 rights: reading with registryRead, writing with registryReadWrite or service', async () => {
	const body = update("deviceId = 'none'", { tags: { a: 1 } });
	for (const policy of ['registryReadWrite', 'service', 'iothubowner']) {
		ok(await jobs.put(`j02-${policy}`, { ...body, startTime: later() }, { policy }));
		ok(await hub.rest('GET', jobs.path(`j02-${policy}`), { policy }));
		ok(await jobs.cancel(`j02-${policy}`, { policy }));
	}
	ok(await hub.rest('GET', jobs.path('j02-service'), { policy: 'registryRead' }));
	ok(await jobs.list('', { policy: 'registryRead' }));
	ok(await jobs.query('SELECT * FROM devices.jobs', { policy: 'registryRead' }));
	refused(await jobs.put('j02-no', body, { policy: 'registryRead' }), 401, 'IotHubUnauthorizedAccess');
	refused(await jobs.cancel('j02-service', { policy: 'registryRead' }), 401, 'IotHubUnauthorizedAccess');
	for (const answer of [await jobs.put('j02-no', body, { policy: 'device' }), await jobs.list('', { policy: 'device' }), await hub.rest('GET', jobs.path('j02-service'), { policy: 'device' })])
		refused(answer, 401, 'IotHubUnauthorizedAccess');
	refused(await hub.rest('GET', jobs.path('j02-no')), 404, 'JobNotFound');
});

test('J-04 R-77 updateTwin.etag must be *', async () => {
	for (const etag of [undefined, null, '', '"*"', 'AAAAAAAAAAE=', 5, ['*'], {}])
		refused(await jobs.put('j04', update('*', { etag, tags: { a: 1 } })), 400, 'ArgumentInvalid', /etag/i);
	refused(await hub.rest('GET', jobs.path('j04')), 404, 'JobNotFound');
});

test('J-05 updateTwin.deviceId is allowed and ignored', async () => {
	const [id] = await jobs.made('j05', 1);
	ok(await jobs.put('j05', update(`deviceId = '${id}'`, { deviceId: null, version: null, tags: { a: 1 }, properties: { desired: {}, reported: { x: 1 } } })));
	ok(await jobs.put('j05b', update(`deviceId = '${id}'`, { deviceId: 'somebody-else', tags: { b: 1 } })));
	for (const j of ['j05', 'j05b']) assert.deepEqual((await jobs.ended(j)).deviceJobStatistics, counts(1, 1));
	const after = await jobs.twin(id);
	assert.deepEqual([after.tags, after.properties.reported.x], [{ job: 'j05', a: 1, b: 1 }, undefined]);
});

test('J-06 a type that is none, parts that are missing or belong to another type', async () => {
	const twinPart = { etag: '*', tags: { a: 1 } }, call = { methodName: 'm' };
	for (const body of [
		{ queryCondition: '*', updateTwin: twinPart }, { ...update('*', twinPart), type: 'updateTwin' }, { ...update('*', twinPart), type: 5 }, { ...update('*', twinPart), type: null },
		{ ...update('*', twinPart), type: 'export' }, { ...update('*', twinPart), type: 'scheduleTwinUpdate' },
		{ type: 'scheduleUpdateTwin', queryCondition: '*' }, { ...update('*', {}), updateTwin: null }, { ...update('*', {}), updateTwin: [] },
		{ type: 'scheduleUpdateTwin', queryCondition: '*', cloudToDeviceMethod: call }, { ...update('*', twinPart), cloudToDeviceMethod: call },
		{ type: 'scheduleDeviceMethod', queryCondition: '*' }, { type: 'scheduleDeviceMethod', queryCondition: '*', updateTwin: twinPart }, { ...method('*'), updateTwin: twinPart },
		method('*', { methodName: undefined }), method('*', { methodName: '' }), method('*', { methodName: [5] }), method('*', { methodName: null })])
		refused(await jobs.put('j06', body), 400, 'ArgumentInvalid');
	refused(await hub.rest('GET', jobs.path('j06')), 404, 'JobNotFound');
});

test('J-07 Q-54 a condition that does not parse is told at creation, with its place', async () => {
	for (const condition of ['tags.a =', '= 1', 'SELECT * FROM devices', 'tags.a = 1 GROUP BY tags.a', "FROM devices.jobs WHERE jobId = 'x'"])
		refused(await jobs.put('j07', update(condition, { tags: { a: 1 } })), 400, 'ArgumentInvalid');
	refused(await jobs.put('j07', update('= 1', { tags: { a: 1 } })), 400, 'ArgumentInvalid', /Line 1:29/);
	for (const condition of [undefined, null, '', 5, ['*'], {}])
		refused(await jobs.put('j07', update(condition, { tags: { a: 1 } })), 400, 'ArgumentInvalid');
	refused(await hub.rest('GET', jobs.path('j07')), 404, 'JobNotFound');
});

test('J-08 R-74 a start that is null, absent or past is now; one far ahead is taken', async () => {
	const [id] = await jobs.made('j08', 1, {});
	let n = 0;
	for (const startTime of [null, undefined, '2020-01-01T00:00:00Z', '2020-01-01T00:00:00', '0001-01-01T00:00:00Z', '2020-01-01T00:00:00.1234567Z', '2020-01-01T00:00:00+00:00']) {
		ok(await jobs.put(`j08-${n}`, update(`deviceId = '${id}'`, { tags: { [`n${n}`]: 1 } }, { startTime })));
		assert.equal((await jobs.ended(`j08-${n}`)).status, 'completed');
		assert.equal((await jobs.twin(id)).tags[`n${n}`], 1, 'the twin is changed when the job has ended');
		n++;
	}
	const far = '2040-01-01T00:00:00Z';
	assert.equal(Date.parse(ok(await jobs.put('j08-far', update('*', { tags: { a: 1 } }, { startTime: far }))).body.startTime), Date.parse(far));
	await jobs.becomes('j08-far', 'scheduled');
	ok(await jobs.cancel('j08-far'));
	// as .NET writes a local time
	for (const [startTime, utc] of [['2039-04-16T12:19:56.8680000+02:00', '2039-04-16T10:19:56.8680000Z'], ['2039-12-31T20:00:00-05:30', '2040-01-01T01:30:00.0000000Z']])
		assert.equal(ok(await jobs.put(`j08-${startTime.slice(20)}`.replaceAll('+', 'p'), update('*', { tags: { a: 1 } }, { startTime }))).body.startTime, utc);
	for (const startTime of ['soon', '2030-01-01T00:00:00+0100', '2030-13-01T00:00:00Z', 5, {}, ''])
		refused(await jobs.put('j08-bad', update('*', { tags: { a: 1 } }, { startTime })), 400, 'ArgumentInvalid', /startTime/);
});

test('J-09 R-77 an id is used once, whatever has come of its job', async () => {
	const body = update("deviceId = 'none'", { tags: { a: 1 } });
	ok(await jobs.put('j09-done', body));
	await jobs.ended('j09-done');
	ok(await jobs.put('j09-later', { ...body, startTime: later() }));
	for (const id of ['j09-done', 'j09-later']) refused(await jobs.put(id, method('*')), 409, 'JobAlreadyExists');
	ok(await jobs.cancel('j09-later'));
	refused(await jobs.put('j09-later', body), 409, 'JobAlreadyExists');
	assert.equal((await jobs.job('j09-later')).type, 'scheduleUpdateTwin', 'the job is what it was');
});

test('J-11 what is legal in twins is legal in jobs', async () => {
	const [id] = await jobs.made('j11', 1, {});
	const change = { tags: { 'größe': 'ä€😀', list: [1, 'x', { y: [] }], zero: 0.5, no: false } };
	ok(await jobs.put('j11', update(`deviceId = '${id}'`, change)));
	await jobs.ended('j11');
	assert.deepEqual((await jobs.twin(id)).tags, change.tags);
});

test('J-12 R-76 the answer to PUT: queued, every echo as it was sent, nothing that is not set', async () => {
	const text = '{"etag":"*","properties":{"desired":{"b":{"z":1.0,"a":[null]}}},"tags":{"x":null,"a":"\\u00e4"}}'.replace('[null]', '[2]');
	const body = `{"jobId":"j12","type":"scheduleUpdateTwin","updateTwin":${text},"queryCondition":"deviceId = 'none'","maxExecutionTimeInSeconds":120,"startTime":"${later()}"}`;
	const made1 = ok(await jobs.put('j12', body)).body;
	const { createdTime, startTime, ...rest } = made1;
	assert.deepEqual(rest, { jobId: 'j12', queryCondition: "deviceId = 'none'", maxExecutionTimeInSeconds: 120, type: 'scheduleUpdateTwin',
		updateTwin: JSON.parse(text), status: 'queued', deviceJobStatistics: counts(0, 0) });
	assert.match(createdTime, /^\d{4}-\d\d-\d\dT.*Z$/);
	assert.ok(Date.parse(startTime) > Date.parse(createdTime));
	assert.deepEqual((await jobs.job('j12')).updateTwin, JSON.parse(text));
	ok(await jobs.cancel('j12'));
	ok(await jobs.put('j12-done', update("deviceId = 'none'", { tags: { a: 1 } })));
	const done = await jobs.ended('j12-done');
	assert.equal(done.maxExecutionTimeInSeconds, 3600);
	assert.deepEqual(Object.keys(done).filter((k) => done[k] === null), []);
	assert.ok(Date.parse(done.endTime) >= Date.parse(done.createdTime));
	for (const other of ['createdDateTimeUtc', 'startTimeUtc', 'endTimeUtc', 'jobType']) assert.ok(!(other in done), `Java refuses ${other}`);
});

test('J-12 L-59 jobId in the body: the same text, a number, or absent; another one is refused', async () => {
	const body = update("deviceId = 'none'", { tags: { a: 1 } });
	assert.equal(ok(await jobs.put('4711', { ...body, jobId: 4711 })).body.jobId, '4711');
	ok(await jobs.put('j12-same', { ...body, jobId: 'j12-same' }));
	for (const jobId of ['j12-Same', 5, {}, []]) refused(await jobs.put('j12-other', { ...body, jobId }), 400, 'ArgumentInvalid', /jobId/);
	const odd = "odd%2F#?:@'";
	assert.equal(ok(await jobs.put(odd, body)).body.jobId, odd);
	assert.equal((await jobs.ended(odd)).jobId, odd);
});

test('J-14 R-72 a job of later: queued, scheduled within seconds, running at its time, completed', async () => {
	const [id] = await jobs.made('j14', 1);
	const startTime = new Date(Date.now() + 2500).toISOString();
	assert.equal(ok(await jobs.put('j14', update(`deviceId = '${id}'`, { tags: { done: true } }, { startTime }))).body.status, 'queued');
	const seen = [];
	await until(async () => {
		const { status } = await jobs.job('j14');
		if (seen.at(-1) !== status) seen.push(status);
		if (status === 'scheduled') assert.ok(!('done' in (await jobs.twin(id)).tags) || Date.now() >= Date.parse(startTime));
		return status === 'completed';
	}, 'the job is completed');
	assert.deepEqual(seen.filter((s) => s !== 'running' && s !== 'queued'), ['scheduled', 'completed'], seen.join());
	const done = await jobs.job('j14');
	assert.ok(Date.parse(done.endTime) >= Date.parse(startTime), 'not before its time');
	assert.equal((await jobs.twin(id)).tags.done, true);
});

test('J-13 J-15 R-73 cancel of what is to come; of what has ended; of what is not there', async () => {
	ok(await jobs.put('j15', update('*', { tags: { never: true } }, { startTime: later() })));
	const answer = ok(await jobs.cancel('j15'));
	assert.deepEqual([answer.body.jobId, answer.body.status], ['j15', 'cancelled']);
	const after = await jobs.job('j15');
	assert.equal(after.status, 'cancelled');
	assert.ok(after.endTime);
	refused(await jobs.cancel('j15'), 405, 'OperationNotAllowedInCurrentState');
	ok(await jobs.put('j15-done', update("deviceId = 'none'", { tags: { a: 1 } })));
	await jobs.ended('j15-done');
	refused(await jobs.cancel('j15-done'), 405, 'OperationNotAllowedInCurrentState');
	refused(await jobs.cancel('j15-none'), 404, 'JobNotFound');
	ok(await jobs.put('j15-json', update('*', { tags: { a: 1 } }, { startTime: later() })));
	ok(await jobs.cancel('j15-json', { body: '""' })); // Java sends a body
});

test('J-17 there is no DELETE', async () => {
	ok(await jobs.put('j17', update("deviceId = 'none'", { tags: { a: 1 } })));
	refused(await hub.rest('DELETE', jobs.path('j17')), 405, 'GenericMethodNotAllowed');
	refused(await hub.rest('PATCH', jobs.path('j17'), { body: {} }), 405, 'GenericMethodNotAllowed');
	ok(await hub.rest('GET', jobs.path('j17')));
});

test('R-78 a job that is not there', async () => {
	refused(await hub.rest('GET', jobs.path('r78')), 404, 'JobNotFound', /r78/);
	refused(await jobs.cancel('r78'), 404, 'JobNotFound', /r78/);
});

// ---- execution ----

test('J-21 J-24 T-21 a twin job is one change of each twin, and connected devices hear of it', async () => {
	const [on, off] = await jobs.made('j21', 2);
	const d = await mqttDevice(hub, on, { filters: [DESIRED_CHANGES] });
	jobs.devices.add(d);
	const before = await Promise.all([on, off].map((id) => jobs.twin(id)));
	ok(await jobs.put('j21', update("tags.job = 'j21'", { tags: { job: null, room: 'a' }, properties: { desired: { rate: 5 }, reported: { x: 1 } } })));
	assert.deepEqual((await jobs.ended('j21')).deviceJobStatistics, counts(2, 2));
	assert.deepEqual((await d.notification()).body, { rate: 5, $version: 2 });
	for (const [i, id] of [on, off].entries()) {
		const now = await jobs.twin(id);
		assert.deepEqual([now.tags, now.properties.desired.rate, now.properties.desired.$version, now.version - before[i].version, 'x' in now.properties.reported],
			[{ room: 'a' }, 5, 2, 1, false]);
	}
	for (const r of await jobs.results('j21')) assert.deepEqual([r.status, r.outcome], ['completed', { deviceMethodResponse: null }], 'J-24');
});

test('J-16 J-21 a twin that cannot be changed counts as failed, the others are changed', async () => {
	const ids = await jobs.made('j16', 3);
	ok(await hub.rest('PATCH', `/twins/${ids[1]}`, { body: { tags: { full: 'x'.repeat(4000), fuller: 'x'.repeat(4000) } } }));
	ok(await jobs.put('j16', update("tags.job = 'j16'", { tags: { more: 'y'.repeat(1000) } })));
	const done = await jobs.ended('j16');
	assert.deepEqual([done.status, done.deviceJobStatistics], ['completed', counts(3, 2, 1)]);
	const failed = await jobs.results('j16', " AND devices.jobs.status = 'failed'");
	assert.deepEqual(failed.map((r) => r.deviceId), [ids[1]]);
	assert.equal(failed[0].error.code, 'DeviceModelMaxPropertiesExceeded');
	assert.ok(failed[0].error.description.length > 0);
	assert.ok(!('more' in (await jobs.twin(ids[1])).tags));
});

test('J-25 no device matches: completed, of none', async () => {
	ok(await jobs.put('j25', update("tags.job = 'nobody'", { tags: { a: 1 } })));
	const done = await jobs.ended('j25');
	assert.deepEqual([done.status, done.deviceJobStatistics], ['completed', counts(0, 0)]);
	assert.deepEqual(await jobs.results('j25'), []);
});

test('J-26 Q-24 R-80 devices.jobs: one row for each device of a job', async () => {
	const ids = await jobs.made('j26', 3);
	ok(await jobs.put('j26', update("tags.job = 'j26'", { tags: { a: 1 } })));
	await jobs.ended('j26');
	const rows = await jobs.results('j26');
	assert.deepEqual(rows.map((r) => r.deviceId).sort(), ids);
	for (const r of rows) {
		assert.deepEqual([r.jobId, r.jobType, r.status, 'type' in r, 'moduleId' in r, 'error' in r], ['j26', 'scheduleUpdateTwin', 'completed', false, false, false]);
		for (const time of ['startTimeUtc', 'endTimeUtc', 'createdDateTimeUtc', 'lastUpdatedDateTimeUtc']) assert.match(r[time], /^20\d\d-\d\d-\d\dT.*Z$/, time);
		assert.ok(Date.parse(r.endTimeUtc) >= Date.parse(r.startTimeUtc));
	}
	for (const [condition, n] of [["devices.jobs.deviceId = 'j26-1'", 1], ["devices.jobs.jobId = 'j26'", 3], ["devices.jobs.status = 'completed'", 3], ["devices.jobs.status = 'failed'", 0],
		["devices.jobs.jobType = 'scheduleUpdateTwin'", 3], ["devices.jobs.jobType = 'scheduleDeviceMethod'", 0], ["devices.jobs.createdDateTimeUtc > '2021-01-01'", 3],
		["devices.jobs.createdTimeUtc > '2021-01-01'", 3], ["devices.jobs.createdDateTimeUtc < '2021-01-01'", 0], ["deviceId = 'j26-1' AND jobId = 'j26'", 1]]) {
		const found = ok(await jobs.query(`SELECT * FROM devices.jobs WHERE ${condition}`)).body.filter((r) => r.jobId === 'j26');
		assert.equal(found.length, n, condition);
	}
	const pages = [];
	for (let next; ;) {
		const answer = ok(await jobs.query("SELECT * FROM devices.jobs WHERE devices.jobs.jobId = 'j26'", { headers: { 'x-ms-max-item-count': '2', ...(next && { 'x-ms-continuation': next }) } }));
		pages.push(...answer.body.map((r) => r.deviceId));
		assert.ok(answer.body.length <= 2);
		if (!(next = answer.headers['x-ms-continuation'])) break;
	}
	assert.deepEqual(pages.sort(), ids);
	for (const text of ['SELECT deviceId FROM devices.jobs', 'SELECT COUNT() AS n FROM devices.jobs', "SELECT * FROM devices.jobs WHERE tags.a = 1", 'SELECT status, COUNT() AS n FROM devices.jobs GROUP BY status'])
		refused(await jobs.query(text), 400, 'ArgumentInvalid');
});

test('Q-56 J-26 jobs on modules', async () => {
	await jobs.made('jm', 1);
	for (const m of ['a', 'b']) ok(await hub.rest('PUT', `/devices/jm-0/modules/${m}`, { body: { deviceId: 'jm-0', moduleId: m } }));
	ok(await jobs.put('jm', update("FROM devices.modules WHERE deviceId = 'jm-0' AND moduleId = 'a'", { tags: { hit: true }, properties: { desired: { x: 1 } } })));
	assert.deepEqual((await jobs.ended('jm')).deviceJobStatistics, counts(1, 1));
	assert.deepEqual((await jobs.results('jm')).map((r) => [r.deviceId, r.moduleId, r.status]), [['jm-0', 'a', 'completed']]);
	const module = async (m) => ok(await hub.rest('GET', `/twins/jm-0/modules/${m}`)).body;
	assert.deepEqual([(await module('a')).tags, (await module('a')).properties.desired.x, (await module('b')).tags, (await jobs.twin('jm-0')).tags], [{ hit: true }, 1, undefined, { job: 'jm' }]);
});

// ---- lists ----

test('J-13 R-79 the list: an array, filters in any case, both spellings of cancelled', async () => {
	ok(await jobs.put('r79-c', update("deviceId = 'none'", { tags: { a: 1 } }, { startTime: later() })));
	ok(await jobs.cancel('r79-c'));
	ok(await jobs.put('r79-u', update("deviceId = 'none'", { tags: { a: 1 } })));
	await jobs.ended('r79-u');
	const found = async (params) => {
		const answer = ok(await jobs.list(params, { headers: { 'x-ms-max-item-count': '1000' } }));
		assert.equal(answer.headers['x-ms-item-type'], 'JobResponse');
		assert.ok(Array.isArray(answer.body));
		return answer.body.filter((j) => j.jobId.startsWith('r79-')).map((j) => j.jobId).sort();
	};
	for (const params of ['', '?jobType=&jobStatus=', '?jobType=']) assert.deepEqual(await found(params), ['r79-c', 'r79-u']);
	for (const type of ['scheduleUpdateTwin', 'ScheduleUpdateTwin', 'SCHEDULEUPDATETWIN']) assert.deepEqual(await found(`?jobType=${type}`), ['r79-c', 'r79-u']);
	for (const status of ['cancelled', 'Cancelled', 'canceled']) assert.deepEqual(await found(`?jobStatus=${status}`), ['r79-c']);
	assert.deepEqual(await found('?jobType=ScheduleUpdateTwin&jobStatus=Completed'), ['r79-u']);
	assert.deepEqual(await found('?jobType=scheduleDeviceMethod'), []);
	assert.deepEqual(await found('?jobType=scheduleDeviceMethod&jobStatus=running'), []);
	assert.deepEqual((await found('?jobType=export')), []);
	const whole = ok(await jobs.list('?jobStatus=cancelled', { headers: { 'x-ms-max-item-count': '1000' } })).body.find((j) => j.jobId === 'r79-c');
	assert.deepEqual(whole, await jobs.job('r79-c'), 'the same as when it is read');
});

test('J-01 Q-02 L-60 the list in pages, by headers and by the parameters of old clients', async () => {
	const all = ok(await jobs.list('', { headers: { 'x-ms-max-item-count': '1000' } })).body.map((j) => j.jobId).sort();
	assert.ok(all.length > 5);
	const inPages = async (ask) => {
		const ids = [];
		for (let next; ;) {
			const answer = ok(await ask(next));
			assert.ok(answer.body.length <= 2);
			assert.notEqual(answer.headers['x-ms-continuation'], '');
			ids.push(...answer.body.map((j) => j.jobId));
			if ((next = answer.headers['x-ms-continuation']) === undefined) return ids.sort();
		}
	};
	assert.deepEqual(await inPages((next) => jobs.list('', { headers: { 'x-ms-max-item-count': '2', ...(next && { 'x-ms-continuation': next }) } })), all);
	assert.deepEqual(await inPages((next) => jobs.list(`?pageSize=2${next ? `&continuationToken=${encodeURIComponent(next)}` : ''}`)), all);
	assert.equal(ok(await jobs.list('', { headers: { 'x-ms-max-item-count': '50000' } })).body.length, all.length, 'lowered to 1,000');
	refused(await jobs.list('', { headers: { 'x-ms-continuation': 'nonsense' } }), 400, 'ArgumentInvalid');
});
