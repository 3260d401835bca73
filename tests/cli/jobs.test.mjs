// Jobs from the command line.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { startHub, stopAll, tempDir, until } from '../lib/hub.mjs';
import { sdkDevice } from '../lib/sdk.mjs';
import { commands, endWatching, watching } from './lib.mjs';

const RING = "tags.ring = 'wide'";
let hub, cli, device;

before(async () => {
	hub = await startHub();
	cli = commands(hub);
	for (let i = 0; i < 4; i++) {
		await hub.createDevice(`d${i}`);
		await hub.rest('PATCH', `/twins/d${i}`, { body: { tags: { ring: i < 3 ? 'wide' : 'canary' } } });
	}
});
after(async () => {
	endWatching();
	await device?.close().catch(() => {});
	await stopAll(hub);
});

const twin = (...args) => cli(['job', 'create', 'twin-update', ...args]);
const ended = (id) => until(async () => {
	const job = await cli(['job', 'show', id]);
	return ['completed', 'failed', 'cancelled'].includes(job.status) && job;
}, `${id} has ended`);

test('job create twin-update: a patch, a file, or its parts', async () => {
	const file = path.join(tempDir('jobs'), 'patch.json');
	fs.writeFileSync(file, '{"tags":{"c":3},"etag":"AAA="}');
	for (const [id, words, change] of [
		['patch', ['--patch', '{"tags":{"a":1},"properties":{"desired":{"b":2}}}'], { tags: { a: 1 }, properties: { desired: { b: 2 } } }],
		['parts', ['--tags', '{"a":null}', '--desired', '{"b":3}'], { tags: { a: null }, properties: { desired: { b: 3 } } }],
		['file', ['--file', file, '--max-time', '60', '--rate', '100'], { tags: { c: 3 } }]]) {
		const made = await twin(id, '--condition', RING, ...words);
		assert.deepEqual([made.jobId, made.type, made.status, made.queryCondition, made.updateTwin], [id, 'scheduleUpdateTwin', 'queued', RING, { etag: '*', ...change }]);
		assert.deepEqual((await ended(id)).deviceJobStatistics, { deviceCount: 3, failedCount: 0, succeededCount: 3, runningCount: 0, pendingCount: 0 });
	}
	const job = await cli(['job', 'show', 'file']);
	assert.deepEqual([job.maxExecutionTimeInSeconds, job.maxUpdatesPerSecond], [60, 100]);
	const now = await cli(['twin', 'show', 'd0']);
	assert.deepEqual([now.tags, now.properties.desired.b], [{ ring: 'wide', c: 3 }, 3]);
});

test('job create --start: a time, or so many seconds from now', async () => {
	assert.equal((await twin('at', '--condition', '*', '--tags', '{"never":1}', '--start', '2040-01-02T04:04:05+01:00')).startTime, '2040-01-02T03:04:05.0000000Z');
	const before = Date.now();
	const later = Date.parse((await twin('later', '--condition', '*', '--tags', '{"never":1}', '--start', '+3600')).startTime) - 3_600_000;
	assert.ok(later > before - 2000 && later < Date.now() + 2000);
	for (const id of ['at', 'later']) assert.equal((await cli(['job', 'cancel', id])).status, 'cancelled');
	assert.match(await cli(['job', 'cancel', 'at'], { code: 1 }), /OperationNotAllowedInCurrentState/);
	assert.ok(!('never' in (await cli(['twin', 'show', 'd0'])).tags));
});

test('job results: what has come of each device', async () => {
	for (const id of ['d1', 'd2']) await cli(['twin', 'update', id, '--tags', JSON.stringify({ x: 'x'.repeat(4000), y: 'y'.repeat(4000) })]);
	await twin('mixed', '--condition', RING, '--tags', JSON.stringify({ more: 'z'.repeat(1000) }));
	await ended('mixed');
	const all = await cli(['job', 'results', 'mixed']);
	assert.deepEqual(all.map((r) => [r.deviceId, r.status]).sort(), [['d0', 'completed'], ['d1', 'failed'], ['d2', 'failed']]);
	assert.deepEqual((await cli(['job', 'results', 'mixed', '--status', 'completed'])).map((r) => r.outcome), [{ deviceMethodResponse: null }]);
	assert.match(await cli(['job', 'results', 'mixed', '--csv', '--page-size', '2']), /deviceId,?.*\r\n(.*\r\n){3}$/);
	assert.match(await cli(['job', 'results', 'mixed', '--table', '--status', 'failed']), /DeviceModelMaxPropertiesExceeded[^]*\n2 rows\n$/);
	assert.equal(await cli(['job', 'results', 'mixed', '--status', 'pending', '--table']), '0 rows\n');
});

test('job list: by type and status, whole as JSON, in columns as a table and CSV', async () => {
	const ids = async (...words) => (await cli(['job', 'list', ...words])).map((j) => j.jobId).sort();
	assert.deepEqual(await ids(), ['at', 'file', 'later', 'mixed', 'parts', 'patch']);
	assert.deepEqual(await ids('--page-size', '2'), await ids());
	assert.deepEqual(await ids('--type', 'method'), []);
	assert.deepEqual(await ids('--type', 'twin-update', '--status', 'Completed'), ['file', 'mixed', 'parts', 'patch']);
	assert.deepEqual(await ids('--type', 'scheduleUpdateTwin', '--status', 'cancelled'), ['at', 'later']);
	assert.deepEqual((await cli(['job', 'list'])).find((j) => j.jobId === 'mixed'), await cli(['job', 'show', 'mixed']));
	assert.match(await cli(['job', 'list', '--table']),
		/^jobId +type +status +startTime +endTime +deviceCount +succeededCount +failedCount +queryCondition\n(.*\n)*mixed +scheduleUpdateTwin +completed +.* 3 +1 +2 +tags\.ring = 'wide'\n(.*\n)*\n6 rows\n$/);
	assert.match(await cli(['job', 'list', '--csv', '--page-size', '4']), /^jobId,type,status,startTime,endTime,deviceCount,succeededCount,failedCount,queryCondition\r\n(.*\r\n){6}$/);
	assert.deepEqual(await ids('--status', 'running'), []);
	await cli(['job', 'list', '--type', 'export'], { code: 2 });
});

test('job create --dry-run tells what it would do, and does nothing', async () => {
	const ask = (...more) => cli(['job', 'create', 'twin-update', 'dry', '--condition', RING, '--tags', JSON.stringify({ more: 'z'.repeat(1000) }), '--dry-run', ...more]);
	const told = await ask();
	assert.equal(told.targetedCount, 3);
	assert.deepEqual(told.devices.map((d) => d.deviceId).sort(), ['d0', 'd1', 'd2']);
	assert.deepEqual(told.sample.filter((s) => s.error).map((s) => s.deviceId).sort(), ['d1', 'd2']);
	assert.match(await ask('--table'), /^targetedCount +3\n[^]*\ndeviceId +[^]*DeviceModelMaxPropertiesExceeded[^]*\n3 rows\n$/);
	assert.match(await cli(['job', 'create', 'method', 'dry', '--condition', RING, '--method', 'm', '--dry-run', '--table']), /^targetedCount +3\n[^]*\n3 rows\n$/);
	await cli(['job', 'show', 'dry'], { code: 4 });
});

test('job show on a terminal: what has come of the devices, as bars', async () => {
	const text = await cli(['job', 'show', 'mixed', '--table']);
	const line = (name) => text.split('\n').find((l) => l.startsWith(`${name} `))?.slice(12);
	assert.deepEqual([line('id'), line('type'), line('status'), line('condition'), line('devices')], ['mixed', 'scheduleUpdateTwin', 'completed', RING, '3']);
	assert.equal(line('succeeded'), `[${'#'.repeat(10)}${'-'.repeat(20)}]  1 of 3   33.3 %`);
	assert.equal(line('failed'), `[${'#'.repeat(20)}${'-'.repeat(10)}]  2 of 3   66.6 %`);
	assert.match(text, /^change +\{\n +"etag": "\*"/m);
	assert.match(await cli(['job', 'show', 'later', '--table']), /^start +\S+Z\nend +\S+Z\n[^]*^change +\{/m);
});

test('job show --watch ends with the job: 0 when all is well, else 1', async () => {
	await twin('good', '--condition', RING, '--tags', '{"c":4}', '--start', '+2');
	const good = watching(hub, ['job', 'show', 'good', '--watch', '1'], { terminal: true });
	assert.deepEqual(await good.ended(), { code: 0, signal: null });
	const screens = good.text.replaceAll('\r', '').split('\x1b[H\x1b[J').slice(1);
	assert.ok(screens.length > 1);
	assert.match(screens[0], /every 1 s, Ctrl-C ends\n\nid +good\n/);
	assert.match(screens.at(-1), /\nstatus +completed\n[^]*succeeded +\[#{30}\]  3 of 3/);
	const bad = watching(hub, ['job', 'show', 'mixed', '--watch', '1']);
	assert.deepEqual(await bad.ended(), { code: 1, signal: null });
	assert.equal(bad.errors, 'twinhub: the job mixed failed on 2 of 3 devices\n');
	assert.equal(JSON.parse(bad.text).status, 'completed');
	assert.match(await cli(['job', 'show', 'at', '--watch', '1'], { code: 1 }), /the job at is cancelled/);
	await twin('far', '--condition', RING, '--tags', '{"w":1}', '--start', '+3600');
	const far = watching(hub, ['job', 'show', 'far', '--watch', '1']);
	await far.until((t) => t.includes('\n'), 'an answer');
	far.child.kill('SIGINT');
	assert.deepEqual(await far.ended(), { code: 1, signal: null }, 'it has not ended');
	await cli(['job', 'cancel', 'far']);
});

test('job: what is wrong is named, and nothing is asked for', async () => {
	const wrong = (args, text, code = 2) => cli(['job', 'create', ...args], { code }).then((line) => assert.match(line, text));
	const tags = ['--tags', '{"a":1}'], all = ['--condition', '*'];
	await wrong(['export', 'x', ...all, ...tags], /'export' is no type of job/);
	await wrong(['twin-update', 'a b', ...all, ...tags], /'a b' is no id of a job/);
	await wrong(['twin-update', 'x', ...tags], /--condition is missing/);
	await wrong(['twin-update', 'x', '--condition', '', ...tags], /--condition is missing/);
	await wrong(['twin-update', 'x', ...all], /give the change once/);
	await wrong(['twin-update', 'x', ...all, ...tags, '--patch', '{}'], /give the change once/);
	await wrong(['twin-update', 'x', ...all, '--patch', '{}'], /neither tags nor properties\.desired/);
	await wrong(['twin-update', 'x', ...all, '--patch', '{"desired":{"a":1}}'], /'desired' is nothing that a job changes/);
	await wrong(['twin-update', 'x', ...all, '--patch', '{"tags"'], /./);
	await wrong(['twin-update', 'x', ...all, ...tags, '--method', 'm'], /--method does not belong to a job of type twin-update/);
	await wrong(['twin-update', 'x', ...all, ...tags, '--start', 'soon'], /--start soon/);
	await wrong(['twin-update', 'x', ...all, ...tags, '--start', '+'], /--start \+/);
	await wrong(['twin-update', 'x', ...all, ...tags, '--max-time', '0'], /--max-time 0/);
	await wrong(['twin-update', 'x', ...all, ...tags, '--rate', '0'], /--rate 0/);
	await wrong(['method', 'x', ...all], /--method is missing/);
	await wrong(['method', 'x', ...all, '--method', 'm', ...tags], /--tags does not belong to a job of type method/);
	await wrong(['method', 'x', ...all, '--method', 'm', '--response-timeout', '4'], /--response-timeout 4/);
	await wrong(['method', 'x', ...all, '--method', 'm', '--payload', '{'], /--payload/);
	await wrong(['twin-update', 'x', '--condition', 'tags.a =', ...tags], /ArgumentInvalid: .*Line 1/, 1);
	await wrong(['twin-update', 'x', ...all, '--tags', '{"a.b":1}'], /ArgumentInvalid/, 1);
	await wrong(['twin-update', 'x', ...all, '--file', '/nowhere'], /no such file/, 4);
	await wrong(['twin-update', 'mixed', ...all, ...tags], /JobAlreadyExists/, 7);
	for (const words of [['show'], ['cancel'], ['results']]) assert.match(await cli(['job', ...words, 'x'], { code: 4 }), /JobNotFound/);
	for (const words of [['create', 'method'], ['create'], ['show'], ['list', 'x'], ['results', 'mixed', '--status', 'cancelled'], ['show', '']]) await cli(['job', ...words], { code: 2 });
});

test('job create method: a device answers, others are not there', async () => {
	device = await sdkDevice(hub, 'd0');
	device.client.onDeviceMethod('echo', (request, response) => response.send(201, { got: request.payload }, (error) => assert.ifError(error)));
	assert.equal((await cli(['method', 'invoke', 'd0', 'echo', '--connect-timeout', '10'])).status, 201, 'it listens');
	const made = await cli(['job', 'create', 'method', 'call', '--condition', RING, '--method', 'echo', '--payload', '{"a":[1]}', '--response-timeout', '10', '--connect-timeout', '0']);
	assert.deepEqual(made.cloudToDeviceMethod, { methodName: 'echo', payload: { a: [1] }, responseTimeoutInSeconds: 10, connectTimeoutInSeconds: 0 });
	await ended('call');
	const all = await cli(['job', 'results', 'call']);
	assert.deepEqual(all.map((r) => [r.deviceId, r.status]).sort(), [['d0', 'completed'], ['d1', 'failed'], ['d2', 'failed']]);
	assert.deepEqual((await cli(['job', 'results', 'call', '--status', 'completed'])).map((r) => r.outcome), [{ deviceMethodResponse: { status: 201, payload: { got: { a: [1] } } } }]);
	assert.match(await cli(['job', 'results', 'call', '--table', '--status', 'failed']), /DeviceNotOnline[^]*\n2 rows\n$/);
	assert.deepEqual((await cli(['job', 'list', '--type', 'method'])).map((j) => j.jobId), ['call']);
	assert.match(await cli(['job', 'show', 'call', '--table']), /^method +\{\n +"methodName": "echo"/m);
	await device.close();
});
