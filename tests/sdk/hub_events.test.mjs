// Jobs, methods and administration in the event log, and what has caused a change (events.md 9).
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { mqttDevice, startHub, stopAll, tempDir, until } from '../lib/hub.mjs';
import { Client, Mqtt } from '../lib/sdk.mjs';

let hub;

before(async () => { hub = await startHub(); });
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
	ok(await hub.rest('POST', `/admin/backup?to=${encodeURIComponent(to)}`));
	await hub.createDevice('kept');
	const lines = ok(await hub.rest('GET', '/admin/export')).text;
	const imported = await hub.rest('POST', '/admin/import?importMode=createOrUpdate', { body: lines.replaceAll('"kept"', '"came"').replace('"tags":{}', '"tags":{"a":1}') });
	ok(imported);
	const all = await events('source=AdministrationEvents');
	assert.deepEqual(all.map((e) => [e.type.slice('twinhub.admin.'.length), e.data.name]), [['policy.created', 'told'], ['policy.keyRotated', 'told'], ['policy.deleted', 'told'],
		['sink.written', 'away'], ['route.written', 'r1'], ['route.deleted', 'r1'], ['sink.deleted', 'away'], ['configuration.written', 'c1'], ['configuration.deleted', 'c1'],
		['settings.changed', undefined], ['backup', to], ['export', undefined], ['import', undefined]]);
	for (const e of all) {
		assert.equal(e.twinhubactor, 'policy:iothubowner');
		assert.match(e.data.peer, /^127\.0\.0\.\d+:\d+$/);
		assert.equal(e.subject, undefined);
	}
	assert.equal(all.at(-1).data.lines, 1);
	const said = JSON.stringify(all);
	assert.ok(!said.includes('hidden-token'));
	for (const [key] of rotated.matchAll(/[A-Za-z0-9+/]{43}=/g)) assert.ok(!said.includes(key));
	assert.equal((await events(`source=AdministrationEvents&where=${encodeURIComponent("opType = 'backup'")}`)).length, 1);
	ok(await hub.rest('PATCH', '/settings', { body: { log: { administration: false } } }));
	ok(await hub.rest('PUT', '/admin/policies/silent?rights=RegistryRead'));
	ok(await hub.rest('PATCH', '/settings', { body: { log: { administration: true } } }));
	assert.ok(!(await events('source=AdministrationEvents')).some((e) => e.data.name === 'silent'));
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
	await until(async () => (await events('source=DeviceJobLifecycleEvents')).length === 2, 'both are told');
	await hub.restart();
	const all = await events('source=devicejoblifecycleevents');
	assert.deepEqual(all.map((e) => [e.type, e.twinhubactor, e.data.jobId, e.data.status]).sort((a, b) => a[2] < b[2] ? -1 : 1),
		[['twinhub.job.ended', 'job:j1', 'j1', 'completed'], ['twinhub.job.ended', 'job:j2', 'j2', 'cancelled']]);
	assert.deepEqual(all.find((e) => e.data.jobId === 'j1').data.deviceJobStatistics, { deviceCount: 2, failedCount: 0, succeededCount: 2 });
	assert.equal((await events(`source=DeviceJobLifecycleEvents&where=${encodeURIComponent("$body.status = 'cancelled'")}`)).length, 1);
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
