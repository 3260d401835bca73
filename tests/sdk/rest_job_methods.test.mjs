// Jobs that call methods, by the text of the specification (jobs-and-configurations.md, part A; service-rest.md 11), and the
// service SDK where it says what clients send and parse.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { PACKET, startHub, stopAll, until } from '../lib/hub.mjs';
import { counts, Jobs, later, method, ok, refused, update } from '../lib/jobs.mjs';

const { JobClient } = createRequire(import.meta.url)('azure-iothub');
let hub, jobs, sdk;

before(async () => {
	hub = await startHub();
	jobs = new Jobs(hub);
	sdk = JobClient.fromConnectionString(await hub.connectionString('iothubowner'));
});
after(async () => {
	jobs?.close();
	await stopAll(hub);
});

test('J-06 D-56 a method job takes any JSON value or none for a payload', async () => {
	const d = await jobs.listener('j06-0');
	let n = 0;
	for (const [sent, got] of [[{ a: [1, 'ä'] }, '{"a":[1,"ä"]}'], [[], '[]'], ['text', '"text"'], [7.5, '7.5'], [false, 'false'], [null, 'null'], [undefined, '']]) {
		ok(await jobs.put(`j06-p${n}`, method("deviceId = 'j06-0'", { payload: sent, connectTimeoutInSeconds: 5, responseTimeoutInSeconds: 10 })));
		const call = await d.call();
		assert.deepEqual([call.name, call.payload], ['m', got]);
		await call.answer(200);
		assert.deepEqual((await jobs.ended(`j06-p${n++}`)).deviceJobStatistics, counts(1, 1));
	}
});

test('J-10 L-56 jobs that run are counted, those of later are not', async () => {
	await jobs.made('j10', 1);
	const waiting = method("deviceId = 'j10-0'", { connectTimeoutInSeconds: 300 });
	const ids = [];
	let answer;
	for (let i = 0; i < 20 && (answer = await jobs.put(`j10-${i}`, waiting)).status === 200; i++) ids.push(`j10-${i}`);
	refused(answer, 429, 'ThrottlingMaxActiveJobCountExceeded');
	assert.equal(ids.length, 10);
	ok(await jobs.put('j10-later', { ...waiting, startTime: later() }));
	ok(await jobs.cancel(ids.pop()));
	await until(async () => (answer = await jobs.put('j10-again', waiting)).status === 200, 'there is room for another one');
	for (const id of [...ids, 'j10-later', 'j10-again']) ok(await jobs.cancel(id));
});

test('J-12 R-76 a method is shown as it was sent', async () => {
	const call = { methodName: 'm', payload: { p: [1.5] }, responseTimeoutInSeconds: 7, connectTimeoutInSeconds: 0, timeoutInSeconds: 9 };
	const made2 = ok(await jobs.put('j12b', method("deviceId = 'none'", call))).body;
	assert.deepEqual([made2.cloudToDeviceMethod, made2.status, made2.maxExecutionTimeInSeconds, 'updateTwin' in made2, 'endTime' in made2],
		[call, 'queued', 3600, false, false]);
	assert.deepEqual((await jobs.ended('j12b')).cloudToDeviceMethod, call);
});

test('J-25 no device matches: a method job completes, of none', async () => {
	ok(await jobs.put('j25', method("tags.job = 'nobody'")));
	const done = await jobs.ended('j25');
	assert.deepEqual([done.status, done.deviceJobStatistics], ['completed', counts(0, 0)]);
	assert.deepEqual(await jobs.results('j25'), []);
});

test('J-13 R-79 lists tell methods from twins', async () => {
	ok(await jobs.put('r79-m', method("deviceId = 'none'")));
	ok(await jobs.put('r79-u', update("deviceId = 'none'", { tags: { a: 1 } })));
	for (const id of ['r79-m', 'r79-u']) await jobs.ended(id);
	const found = async (type) => ok(await jobs.list(`?jobType=${type}&jobStatus=completed`, { headers: { 'x-ms-max-item-count': '1000' } })).body.filter((j) => j.jobId.startsWith('r79-')).map((j) => j.jobId);
	assert.deepEqual(await found('ScheduleDeviceMethod'), ['r79-m']);
	assert.deepEqual(await found('scheduleUpdateTwin'), ['r79-u']);
});

test('J-13 J-15 cancel of a running job: what was sent ends as it ends, the rest is canceled', async () => {
	await jobs.made('j15r', 2);
	const d = await jobs.listener('j15r-0');
	ok(await jobs.put('j15r', method("tags.job = 'j15r'", { connectTimeoutInSeconds: 300, responseTimeoutInSeconds: 60 })));
	const call = await d.call();
	assert.equal(ok(await jobs.cancel('j15r')).body.status, 'cancelled');
	await call.answer(200, '"late"');
	await until(async () => (await jobs.result('j15r', 'j15r-0')).status === 'completed', 'the answer is noted');
	assert.deepEqual((await jobs.result('j15r', 'j15r-0')).outcome, { deviceMethodResponse: { status: 200, payload: 'late' } });
	await until(async () => (await jobs.result('j15r', 'j15r-1')).status === 'canceled', 'the other one is canceled');
	const d1 = await jobs.listener('j15r-1');
	await d1.ping();
	assert.deepEqual(d1.inbox.take().filter((p) => p.type === PACKET.PUBLISH), [], 'it is not called any more');
	assert.equal((await jobs.job('j15r')).status, 'cancelled');
});

test('J-18 the devices are those that match when the job starts', async () => {
	const ids = await jobs.made('j18', 2);
	ok(await jobs.put('j18', method("tags.job = 'j18'", { connectTimeoutInSeconds: 60, responseTimeoutInSeconds: 10 })));
	await until(async () => (await jobs.job('j18')).deviceJobStatistics.deviceCount === 2, 'the devices are chosen');
	await jobs.tag(ids[0], { job: 'gone' });
	await jobs.made('j18-late', 1, { job: 'j18' });
	const late = await jobs.listener('j18-late-0');
	for (const id of ids) {
		const d = await jobs.listener(id);
		await (await d.call()).answer(200);
	}
	assert.deepEqual((await jobs.ended('j18')).deviceJobStatistics, counts(2, 2));
	await late.ping();
	assert.deepEqual(late.inbox.take().filter((p) => p.type === PACKET.PUBLISH), []);
	// of later: what matches at its time, not when it was made
	ok(await jobs.put('j18-at', update("tags.job = 'j18-at'", { tags: { changed: true } }, { startTime: new Date(Date.now() + 1500).toISOString() })));
	await jobs.made('j18-at', 2);
	assert.deepEqual((await jobs.ended('j18-at')).deviceJobStatistics, counts(2, 2));
});

test('J-19 L-58 at the end of its time what is not done is failed, and the job completed', async () => {
	await jobs.made('j19', 2);
	ok(await jobs.put('j19', method("tags.job = 'j19'", { connectTimeoutInSeconds: 300 }, { maxExecutionTimeInSeconds: 1 })));
	const done = await jobs.ended('j19');
	assert.deepEqual([done.status, done.deviceJobStatistics], ['completed', counts(2, 0, 2)]);
	for (const r of await jobs.results('j19')) {
		assert.equal(r.status, 'failed');
		assert.equal(typeof r.error.code, 'string');
		assert.equal(typeof r.error.description, 'string');
	}
	for (const seconds of [0, -1, 1.5, '60s', true, {}]) refused(await jobs.put('j19-bad', update('*', { tags: { a: 1 } }, { maxExecutionTimeInSeconds: seconds })), 400, 'ArgumentInvalid', /maxExecutionTimeInSeconds/);
});

test('J-22 a device that is not there, or does not answer, is a failed one', async () => {
	await jobs.made('j22', 1);
	ok(await jobs.put('j22', method("deviceId = 'j22-0'")));
	assert.deepEqual((await jobs.ended('j22')).deviceJobStatistics, counts(1, 0, 1));
	assert.equal((await jobs.result('j22', 'j22-0')).error.code, 'DeviceNotOnline');
	ok(await jobs.put('j22-wait', method("deviceId = 'j22-0'", { connectTimeoutInSeconds: 60, responseTimeoutInSeconds: 5 })));
	await jobs.becomes('j22-wait', 'running');
	const d = await jobs.listener('j22-0');
	const call = await d.call();
	assert.equal(call.name, 'm');
	const done = await jobs.ended('j22-wait'); // it says nothing for 5 s
	assert.deepEqual([done.status, done.deviceJobStatistics], ['completed', counts(1, 0, 1)]);
	const { error, outcome } = await jobs.result('j22-wait', 'j22-0');
	assert.ok(error.code.length > 0 && error.description.length > 0);
	assert.ok(outcome === undefined || outcome === null || outcome.deviceMethodResponse === null);
});

test('J-23 R-75 a method job: the device\'s status and payload, whatever they are, are completed', async () => {
	const ids = ['j23-0', 'j23-1'];
	const both = await Promise.all(ids.map((id) => jobs.listener(id)));
	for (const id of ids) await jobs.tag(id, { job: 'j23' });
	ok(await jobs.put('j23', method("tags.job = 'j23'", { methodName: 'reboot', payload: { delay: 5 }, responseTimeoutInSeconds: 20 })));
	for (const [i, d] of both.entries()) {
		const call = await d.call();
		assert.deepEqual([call.name, JSON.parse(call.payload)], ['reboot', { delay: 5 }]);
		await call.answer(i === 0 ? 500 : 200, i === 0 ? '{"why":"no"}' : '');
	}
	assert.deepEqual((await jobs.ended('j23')).deviceJobStatistics, counts(2, 2));
	assert.deepEqual((await jobs.result('j23', ids[0])).outcome, { deviceMethodResponse: { status: 500, payload: { why: 'no' } } });
	assert.deepEqual((await jobs.result('j23', ids[1])).outcome, { deviceMethodResponse: { status: 200, payload: null } });
	for (const r of await jobs.results('j23')) assert.deepEqual([r.status, 'error' in r], ['completed', false]);
});

test('J-27 over kill -9: times are kept, what ran goes on, a method that was sent is not sent again', async () => {
	const ids = Array.from({ length: 6 }, (_, i) => `j27-${i}`);
	const first = await Promise.all(ids.map((id) => jobs.listener(id)));
	for (const id of ids) await jobs.tag(id, { job: 'j27' });
	ok(await jobs.put('j27-later', update('*', { tags: { never: true } }, { startTime: later() })));
	await jobs.becomes('j27-later', 'scheduled');
	const at = (await jobs.job('j27-later')).startTime;
	// two a second, so that some have had their turn and some have not
	ok(await jobs.put('j27', method("tags.job = 'j27'", { connectTimeoutInSeconds: 30, responseTimeoutInSeconds: 60 }, { maxUpdatesPerSecond: 2 })));
	await Promise.any(first.map((d) => d.call()));
	await hub.kill();
	await Promise.all(first.map((d) => d.closed()));
	await hub.start();
	assert.deepEqual([(await jobs.job('j27-later')).status, (await jobs.job('j27-later')).startTime], ['scheduled', at]);
	ok(await jobs.cancel('j27-later'));
	const again = [];
	await Promise.all(ids.map(async (id) => {
		const d = await jobs.listener(id);
		(async () => {
			for (;;) {
				const call = await d.call();
				again.push(id);
				await call.answer(200);
			}
		})().catch(() => {}); // until it is closed
	}));
	const done = await jobs.ended('j27');
	const { succeededCount, failedCount, ...rest } = done.deviceJobStatistics;
	assert.deepEqual([done.status, rest], ['completed', { deviceCount: 6, runningCount: 0, pendingCount: 0 }]);
	const failed = (await jobs.results('j27', " AND devices.jobs.status = 'failed'")).map((r) => r.deviceId);
	assert.deepEqual([failed.length, again.length], [failedCount, succeededCount]);
	assert.ok(failedCount > 0 && succeededCount > 0, 'what was sent is failed, the others have had their turn');
	assert.deepEqual([...failed, ...again].sort(), ids, 'each once: called before, or called after');
	refused(await jobs.put('j27', update('*', { tags: { a: 1 } })), 409, 'JobAlreadyExists');
});

test('R-72 R-73 R-74 R-75 R-76 R-79 the SDK\'s job client: both kinds of jobs, read, list, cancel', async () => {
	const d = await jobs.listener('sdk-0');
	await jobs.tag('sdk-0', { job: 'sdk' });
	const scheduled = (await sdk.scheduleTwinUpdate('sdk-twin', "tags.job = 'sdk'", { etag: '*', tags: { by: 'sdk' } }, new Date(), 300)).jobStatus;
	assert.equal(scheduled.status, 'queued');
	await jobs.ended('sdk-twin');
	const { jobStatus, response } = await sdk.getJob('sdk-twin');
	assert.equal(response.statusCode, 200);
	assert.deepEqual([jobStatus.type, jobStatus.updateTwin, jobStatus.deviceJobStatistics, jobStatus.maxExecutionTimeInSeconds], ['scheduleUpdateTwin', { etag: '*', tags: { by: 'sdk' } }, counts(1, 1), 300]);
	await sdk.scheduleDeviceMethod('sdk-method', "tags.job = 'sdk'", { methodName: 'm', payload: [1], responseTimeoutInSeconds: 30 }, new Date(), 300);
	const call = await d.call();
	assert.equal(call.payload, '[1]');
	await call.answer(207, '"done"');
	assert.equal((await jobs.ended('sdk-method')).status, 'completed');
	await sdk.scheduleTwinUpdate('sdk-later', '*', { etag: '*', tags: { never: true } }, new Date(Date.now() + 3_600_000), 300);
	await sdk.cancelJob('sdk-later');
	assert.equal((await sdk.getJob('sdk-later')).jobStatus.status, 'cancelled');
	const pages = sdk.createQuery('scheduleUpdateTwin', 'completed', 3), names = [];
	while (pages.hasMoreResults) names.push(...(await pages.next()).result.map((j) => j.jobId));
	assert.ok(names.includes('sdk-twin') && !names.includes('sdk-later') && !names.includes('sdk-method'));
	await assert.rejects(sdk.getJob('sdk-none'));
	await assert.rejects(sdk.cancelJob('sdk-twin'));
});
