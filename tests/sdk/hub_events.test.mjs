// Jobs, methods and administration in the event log, and what has caused a change (events.md 9).
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { mqttDevice, onPostgres, startHub, stopAll, tempDir, until } from '../lib/hub.mjs';
import { Client, Mqtt } from '../lib/sdk.mjs';

const files = fs.realpathSync(tempDir('files'));
const uri = pathToFileURL(files).href;
let hub;

before(async () => { hub = await startHub({ args: ['--import-export-dir', files] }); });
after(() => stopAll(hub));

async function events(parameters) {
	const answer = await hub.rest('GET', `/events?follow=false&from=earliest&${parameters}`);
	assert.equal(answer.status, 200, answer.text);
	return answer.text.trimEnd().split('\n').map((line) => JSON.parse(line)).filter((e) => e.specversion);
}

const ok = (answer) => { assert.ok(answer.status < 300, answer.text); return answer; };

test('E-97 what is done to the hub is told: who, from where, what, and no secret', async () => {
	ok(await hub.rest('PUT', '/admin/policies/told?rights=RegistryRead'));
	const { text: rotated } = ok(await hub.rest('POST', '/admin/policies/told/rotate?key=primary'));
	ok(await hub.rest('DELETE', '/admin/policies/told'));
	ok(await hub.rest('PUT', '/sinks/away', { body: { kind: 'webhook', url: 'https://hooks.example.test/x', token: 'hidden-token', enabled: false } }));
	ok(await hub.rest('PUT', '/routes/r1', { body: { source: 'AdministrationEvents', endpointNames: ['away'] } }));
	ok(await hub.rest('DELETE', '/routes/r1'));
	ok(await hub.rest('DELETE', '/sinks/away'));
	ok(await hub.rest('PUT', '/configurations/c1', { body: { id: 'c1', content: { deviceContent: { 'properties.desired.x': 1 } }, targetCondition: "tags.a = 'b'" } }));
	ok(await hub.rest('DELETE', '/configurations/c1', { headers: { 'If-Match': '*' } }));
	ok(await hub.rest('PATCH', '/settings', { body: { log: { methods: true } } }));
	const to = path.join(tempDir('backup'), 'copy');
	if (!onPostgres) ok(await hub.rest('POST', `/admin/backup?to=${encodeURIComponent(to)}`));
	await hub.createDevice('kept');
	const lines = ok(await hub.rest('GET', '/admin/export')).text;
	const imported = await hub.rest('POST', '/admin/import?importMode=createOrUpdate', { body: lines.replaceAll('"kept"', '"came"').replace('"tags":{}', '"tags":{"a":1}') });
	ok(imported);
	const all = await events('source=AdministrationEvents');
	assert.deepEqual(all.map((e) => [e.type.slice('twinhub.admin.'.length), e.data.name]), [['policy.created', 'told'], ['policy.keyRotated', 'told'], ['policy.deleted', 'told'],
		['sink.written', 'away'], ['route.written', 'r1'], ['route.deleted', 'r1'], ['sink.deleted', 'away'], ['configuration.written', 'c1'], ['configuration.deleted', 'c1'],
		['settings.changed', undefined], ...(onPostgres ? [] : [['backup', to]]), ['export', undefined], ['import', undefined]]);
	for (const e of all) {
		assert.equal(e.twinhubactor, 'policy:iothubowner');
		assert.match(e.data.peer, /^127\.0\.0\.\d+:\d+$/);
		assert.equal(e.subject, undefined);
	}
	assert.equal(all.at(-1).data.lines, 1);
	const said = JSON.stringify(all);
	assert.ok(!said.includes('hidden-token'));
	for (const [key] of rotated.matchAll(/[A-Za-z0-9+/]{43}=/g)) assert.ok(!said.includes(key));
	assert.equal((await events(`source=AdministrationEvents&where=${encodeURIComponent("opType = 'export'")}`)).length, 1);
	ok(await hub.rest('PATCH', '/settings', { body: { log: { administration: false } } }));
	ok(await hub.rest('PUT', '/admin/policies/silent?rights=RegistryRead'));
	ok(await hub.rest('PATCH', '/settings', { body: { log: { administration: true } } }));
	assert.ok(!(await events('source=AdministrationEvents')).some((e) => e.data.name === 'silent'));
});

test('E-97 jobs that are made and cancelled, steps of a rollout, messages thrown away and connections closed are told, too', async () => {
	const seen = (await events('source=AdministrationEvents')).length;
	await hub.createDevice('ended');
	const device = await mqttDevice(hub, 'ended');
	ok(await hub.rest('DELETE', '/devices/ended/connection'));
	await until(async () => (await hub.rest('GET', '/devices/ended')).body.connectionState === 'Disconnected', 'it is closed');
	assert.equal((await hub.rest('DELETE', '/devices/ended/connection')).status, 404, 'what is refused is not told');
	for (let i = 0; i < 3; i++) ok(await hub.rest('POST', '/devices/ended/messages/deviceBound', { body: 'away' }));
	assert.equal(ok(await hub.rest('DELETE', '/devices/ended/commands')).body.totalMessagesPurged, 3);
	ok(await hub.rest('PUT', '/jobs/v2/later', { body: { jobId: 'later', type: 'scheduleUpdateTwin', queryCondition: '*', startTime: new Date(Date.now() + 3600e3).toISOString(), updateTwin: { etag: '*', tags: { seen: true } } } }));
	assert.ok((await hub.rest('PUT', '/jobs/v2/later', { body: { jobId: 'later', type: 'scheduleUpdateTwin', queryCondition: '*', updateTwin: { etag: '*', tags: {} } } })).status >= 400);
	ok(await hub.rest('POST', '/jobs/v2/later/cancel'));
	ok(await hub.rest('PUT', '/configurations/steps', { body: { id: 'steps', content: { deviceContent: { 'properties.desired.s': 1 } }, targetCondition: "tags.steps = 'yes'", rollout: { waves: [{ percent: 100 }] } } }));
	ok(await hub.rest('POST', '/configurations/steps/rollout/halt'));
	const all = (await events('source=AdministrationEvents')).slice(seen);
	assert.deepEqual(all.map(({ data: { peer, ...rest }, type, twinhubactor }) => {
		assert.equal(twinhubactor, 'policy:iothubowner');
		assert.match(peer, /^127\.0\.0\.\d+:\d+$/);
		return [type.slice('twinhub.admin.'.length), rest];
	}).sort(([a], [b]) => (a < b ? -1 : 1)), [['configuration.rollout', { name: 'steps', action: 'halt' }], ['configuration.written', { name: 'steps' }], ['connection.closed', { name: 'ended' }],
		['job.cancelled', { name: 'later' }], ['job.created', { name: 'later', type: 'scheduleUpdateTwin' }], ['messages.purged', { name: 'ended', messages: 3 }]]);
	device.close?.();
	ok(await hub.rest('DELETE', '/configurations/steps', { headers: { 'If-Match': '*' } }));
});

test('E-99 each route that may write stands in the table of records, and nothing else does', () => {
	const doc = (name) => fs.readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8');
	const routes = [...doc('reference/http.md').matchAll(/^\| (POST|PUT|PATCH|DELETE) \| `([^`]+)`/gm)].map(([, method, path]) => `${method} ${path}`);
	const section = doc('spec/events.md').split('\n## ').find((s) => s.startsWith('9. '));
	const told = [...section.split('| Routes | Record |')[1].matchAll(/`((?:POST|PUT|PATCH|DELETE) [^`]+)`/g)].map(([, route]) => route);
	assert.ok(routes.length > 40);
	assert.deepEqual(told.toSorted(), routes.toSorted());
});

test('E-98 what an import writes says so, as an event and in the history', async () => {
	const [created] = await events('source=DeviceLifecycleEvents&device=came');
	assert.equal(created.twinhubcause, 'import');
	assert.equal((await hub.rest('GET', '/twins/came/history')).body.at(-1).cause, 'import');
	assert.equal((await events('source=DeviceLifecycleEvents&device=kept'))[0].twinhubcause, undefined);
});

test('E-98 what a rollout writes has its wave', async () => {
	await hub.createDevice('rolled');
	ok(await hub.rest('PATCH', '/twins/rolled', { body: { tags: { rolls: true } } }));
	ok(await hub.rest('PUT', '/configurations/waves', { body: { id: 'waves', content: { deviceContent: { 'properties.desired.fw': 2 } }, targetCondition: 'tags.rolls = true',
		rollout: { waves: [{ percent: 100 }] } } }));
	await until(async () => (await hub.rest('GET', '/twins/rolled')).body.properties.desired.fw === 2, 'the wave reaches it');
	const change = (await hub.rest('GET', '/twins/rolled/history')).body.find((e) => e.patch?.properties?.desired?.fw === 2);
	assert.equal(change.actor, 'configuration:waves');
	assert.equal(change.cause, 'wave:1');
	const told = (await events('source=TwinChangeEvents&device=rolled&path=properties.desired.fw')).at(-1);
	assert.deepEqual([told.twinhubactor, told.twinhubcause], ['configuration:waves', 'wave:1']);
});

test('J-28 E-95 a job that has ended is told once, cancelled ones, too', async () => {
	ok(await hub.rest('PUT', '/jobs/v2/j1', { body: { jobId: 'j1', type: 'scheduleUpdateTwin', queryCondition: "deviceId IN ['kept', 'came']", updateTwin: { etag: '*', tags: { seen: true } } } }));
	ok(await hub.rest('PUT', '/jobs/v2/j2', { body: { jobId: 'j2', type: 'scheduleUpdateTwin', queryCondition: '*', startTime: new Date(Date.now() + 3600e3).toISOString(), updateTwin: { etag: '*', tags: { seen: true } } } }));
	ok(await hub.rest('POST', '/jobs/v2/j2/cancel'));
	const of = async () => (await events('source=devicejoblifecycleevents')).filter((e) => ['j1', 'j2'].includes(e.data.jobId));
	await until(async () => (await of()).length === 2, 'both are told');
	await hub.restart();
	const all = await of();
	assert.deepEqual(all.map((e) => [e.type, e.twinhubactor, e.data.jobId, e.data.status]).sort((a, b) => a[2] < b[2] ? -1 : 1),
		[['twinhub.job.ended', 'job:j1', 'j1', 'completed'], ['twinhub.job.ended', 'job:j2', 'j2', 'cancelled']]);
	assert.deepEqual(all.find((e) => e.data.jobId === 'j1').data.deviceJobStatistics, { deviceCount: 2, failedCount: 0, succeededCount: 2 });
	assert.equal((await events(`source=DeviceJobLifecycleEvents&where=${encodeURIComponent("$body.status = 'cancelled' AND $body.jobId = 'j2'")}`)).length, 1);
});

test('E-95 jobs that import and export files are told at their end, as those of shards are', async () => {
	const ends = async (id) => (await events('source=DeviceJobLifecycleEvents')).filter((e) => e.data.jobId === id);
	const acts = async (id) => (await events('source=AdministrationEvents')).filter((e) => e.data.name === id).map((e) => [e.type.slice('twinhub.admin.'.length), e.data.type]);
	const run = async (body, status) => {
		const { jobId } = ok(await hub.rest('POST', '/jobs/create', { body: { outputBlobContainerUri: uri, inputBlobContainerUri: uri, ...body } })).body;
		await until(async () => (await hub.rest('GET', `/jobs/${jobId}`)).body.status === status, `job ${jobId} is ${status}`, { ms: 60_000 });
		return jobId;
	};
	const lines = (name, n, extra = '') => fs.writeFileSync(path.join(files, name), Array.from({ length: n }, (_, i) => `{"id":"${name}-${i}"}\n`).join('') + extra);

	lines('few', 5, 'no json\n\n{"id":"few-0","importMode":"create"}\n');
	const imported = await run({ type: 'import', inputBlobName: 'few' }, 'completed');
	const [end, ...more] = await ends(imported); // it is shown as ended when this is on disk
	assert.equal(more.length, 0);
	assert.deepEqual([end.type, end.twinhubactor, end.subject], ['twinhub.job.ended', `job:${imported}`, undefined]);
	const { startTimeUtc, endTimeUtc } = (await hub.rest('GET', `/jobs/${imported}`)).body;
	assert.deepEqual(end.data, { jobId: imported, type: 'import', status: 'completed', startTime: end.data.startTime, endTime: end.data.endTime,
		deviceJobStatistics: { deviceCount: 7, failedCount: 2, succeededCount: 5 } });
	assert.deepEqual([Date.parse(end.data.startTime), Date.parse(end.data.endTime)], [Date.parse(startTimeUtc), Date.parse(endTimeUtc)]);
	assert.deepEqual(await acts(imported), [['fileJob', 'import']]);

	const exported = await run({ type: 'EXPORT', outputBlobName: 'out' }, 'completed');
	const count = fs.readFileSync(path.join(files, 'out'), 'utf8').trimEnd().split('\n').length;
	assert.deepEqual((await ends(exported)).map((e) => [e.data.type, e.data.status, e.data.deviceJobStatistics]), [['export', 'completed', { deviceCount: count, failedCount: 0, succeededCount: count }]]);

	const failed = await run({ type: 'import', inputBlobName: 'missing' }, 'failed');
	await until(async () => (await ends(failed)).length === 1, 'it is told');
	assert.deepEqual((await ends(failed)).map((e) => [e.data.status, e.data.failureReason]), [['failed', 'missing cannot be opened: No such file or directory']]);

	lines('many', 40_000);
	const { jobId } = ok(await hub.rest('POST', '/jobs/create', { body: { type: 'import', inputBlobName: 'many', outputBlobContainerUri: uri, inputBlobContainerUri: uri } })).body;
	for (let i = 0; i < 2; i++) assert.equal((await hub.rest('DELETE', `/jobs/${jobId}`)).status, 204); // the second one has no effect
	await until(async () => (await ends(jobId)).length === 1, 'it is told');
	assert.equal((await ends(jobId))[0].data.status, 'cancelled');
	assert.deepEqual((await acts(jobId)).map(([what]) => what).toSorted(), ['fileJob', 'job.cancelled']);

	const stopped = await until(async () => { // one at a time, and the cancelled one may need a moment more
		const made = await hub.rest('POST', '/jobs/create', { body: { type: 'import', inputBlobName: 'many', outputBlobContainerUri: uri, inputBlobContainerUri: uri } });
		return made.status === 200 && made.body.jobId;
	}, 'the end of the cancelled job');
	await hub.restart();
	assert.deepEqual((await ends(stopped)).map((e) => [e.data.status, e.data.endTime > e.data.startTime]), [['cancelled', true]], 'a stop ends it, and says so');

	ok(await hub.rest('PATCH', '/settings', { body: { log: { jobs: false } } }));
	assert.equal((await ends(await run({ type: 'export', outputBlobName: 'out' }, 'completed'))).length, 0, 'E-09');
	ok(await hub.rest('PATCH', '/settings', { body: { log: { jobs: true } } }));
});

test('E-96 E-09 methods are told once they are logged: called, and answered', async () => {
	await hub.createDevice('callee');
	const client = Client.fromConnectionString(await hub.deviceConnectionString('callee'), Mqtt);
	client.setOptions({ ca: hub.pem });
	await client.open();
	await new Promise((resolve) => { client.onDeviceMethod('open', (request, response) => response.send(207, { open: true }, () => {})); setTimeout(resolve, 300); });
	const call = async () => until(async () => (await hub.rest('POST', '/twins/callee/methods', { body: { methodName: 'open', payload: { secret: 'x' } } })).body.status === 207, 'it answers');
	await call();
	await until(async () => (await events('source=MethodEvents&device=callee')).length >= 2, 'both are told');
	const [called, answered] = await events('source=MethodEvents&device=callee');
	assert.deepEqual([called.type, called.twinhubactor, called.data.methodName, called.data.payloadBytes], ['twinhub.method.called', 'policy:iothubowner', 'open', 14]);
	assert.deepEqual([answered.type, answered.twinhubactor, answered.data.status, answered.data.call], ['twinhub.method.answered', 'device:callee', 207, called.id]);
	const before = (await events('source=MethodEvents')).length;
	ok(await hub.rest('PATCH', '/settings', { body: { log: { methods: false } } }));
	await call();
	assert.equal((await events('source=MethodEvents')).length, before);
	await client.close();
});
