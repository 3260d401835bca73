// Live queries (events.md 6): POST /devices/query/watch and GET /twins/{id}/watch, with EventSource and bare clients.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { Inbox, mqttDevice, startHub, stopAll, until, within } from '../lib/hub.mjs';
import { watchQuery, watchRoute } from '../lib/watch.mjs';

const EventSource = createRequire(import.meta.url)('eventsource');
const API = 'api-version=2021-04-12';
let hub;

before(async () => { hub = await startHub(); });
after(() => stopAll(hub));

const patch = (id, body) => hub.rest('PATCH', `/twins/${id}`, { body });
const remove = (id) => hub.rest('DELETE', `/devices/${id}`, { headers: { 'If-Match': '*' } });

test('E-50 E-60 E-61 first the rows that match, then who enters, changes and leaves', async () => {
	for (const id of ['a1', 'a2', 'a3']) await hub.createDevice(id);
	await patch('a1', { tags: { site: 'x', n: 1 } });
	await patch('a2', { tags: { site: 'y', n: 1 } });
	const watch = await watchQuery(hub, "SELECT deviceId, tags.n FROM devices WHERE tags.site = 'x'");
	assert.equal(watch.type, 'text/event-stream');
	assert.deepEqual(await watch.any(), { event: 'row', deviceId: 'a1', row: { deviceId: 'a1', n: 1 } });
	const ready = await watch.any();
	assert.equal(ready.event, 'ready');
	assert.equal(ready.rows, 1);
	assert.match(ready.id, /^[A-Za-z0-9_-]{1,300}$/);
	await patch('a2', { tags: { site: 'x' } });
	const enter = await watch.any();
	assert.deepEqual({ ...enter, id: '' }, { event: 'enter', id: '', deviceId: 'a2', row: { deviceId: 'a2', n: 1 } });
	await patch('a2', { tags: { n: 2 } });
	assert.deepEqual({ ...await watch.any(), id: '' }, { event: 'change', id: '', deviceId: 'a2', row: { deviceId: 'a2', n: 2 } });
	await patch('a2', { tags: { other: 2 } }); // nobody looks at it
	await patch('a1', { tags: { site: null } });
	assert.deepEqual({ ...await watch.any(), id: '' }, { event: 'leave', id: '', deviceId: 'a1' });
	await remove('a2');
	const last = await watch.any();
	assert.deepEqual({ ...last, id: '' }, { event: 'leave', id: '', deviceId: 'a2' });
	assert.equal(watch.rows.size, 0);
	// the position is one of the event log: what happened behind it is not in what was told
	await patch('a3', { tags: { site: 'x' } });
	const { text } = await hub.rest('GET', `/events?follow=false&source=TwinChangeEvents&from=${last.id}`);
	assert.deepEqual(text.trimEnd().split('\n').map((line) => JSON.parse(line)).filter((e) => e.specversion).map((e) => e.subject), ['devices/a3']);
	watch.close();
});

test('E-59 E-60 a twin is watched with EventSource: the twin, then each change of it', async () => {
	await hub.createDevice("it's");
	const inbox = new Inbox();
	const url = `https://${hub.addr}/twins/${encodeURIComponent("it's")}/watch?${API}`;
	const source = new EventSource(url, { headers: { Authorization: await hub.token() }, https: { ca: hub.pem } });
	for (const kind of ['row', 'ready', 'change', 'leave', 'enter', 'closed'])
		source.addEventListener(kind, (e) => inbox.push({ kind, id: e.lastEventId, ...JSON.parse(e.data) }));
	const first = await inbox.next(undefined, 'the twin');
	assert.equal(first.kind, 'row');
	assert.equal(first.row.deviceId, "it's");
	assert.equal(first.row.connectionState, 'Disconnected');
	assert.equal((await inbox.next(undefined, 'ready')).rows, 1);
	await patch(encodeURIComponent("it's"), { properties: { desired: { a: 1 } } });
	const change = await inbox.next(undefined, 'the change');
	assert.equal(change.kind, 'change');
	assert.equal(change.row.properties.desired.a, 1);
	assert.notEqual(change.id, '');
	await remove(encodeURIComponent("it's"));
	assert.equal((await inbox.next(undefined, 'the end')).kind, 'leave');
	await hub.createDevice("it's"); // another one of that name is another row
	const again = await inbox.next(undefined, 'the new one');
	assert.equal(again.kind, 'enter');
	assert.equal(again.row.properties.desired.$version, 1);
	source.close();
});

test('E-59 modules are watched, as lines of JSON too', async () => {
	await hub.createDevice('m');
	await hub.rest('PUT', '/devices/m/modules/one', { body: { deviceId: 'm', moduleId: 'one' } });
	const one = await watchRoute(hub, 'GET', '/twins/m/modules/one/watch', { sse: false });
	const all = await watchQuery(hub, "SELECT moduleId FROM devices.modules WHERE deviceId = 'm'", { sse: false });
	assert.equal(one.type, 'application/x-ndjson');
	await one.ready();
	await all.ready();
	assert.deepEqual([...all.rows.keys()], ['m/one']);
	await hub.rest('PATCH', '/twins/m/modules/one', { body: { tags: { a: 1 } } });
	assert.equal((await one.next('change')).row.tags.a, 1);
	await hub.rest('PUT', '/devices/m/modules/two', { body: { deviceId: 'm', moduleId: 'two' } });
	const enter = await all.next('enter');
	assert.equal(enter.moduleId, 'two');
	assert.match(enter.id, /^[A-Za-z0-9_-]+$/);
	await remove('m'); // with its modules
	await all.next('leave');
	await all.next('leave');
	await one.next('leave');
	assert.equal(all.rows.size, 0);
	one.close();
	all.close();
});

test('E-52 connectionState is a value; a session that takes over is no change', async () => {
	await hub.createDevice('comes');
	const watch = await watchQuery(hub, "SELECT connectionState FROM devices WHERE deviceId = 'comes'");
	const those = await watchQuery(hub, "SELECT deviceId FROM devices WHERE connectionState = 'Connected' AND deviceId = 'comes'");
	await watch.ready();
	await those.ready();
	assert.deepEqual(watch.rows.get('comes'), { connectionState: 'Disconnected' });
	assert.equal(those.rows.size, 0);
	const first = await mqttDevice(hub, 'comes');
	assert.equal((await watch.next('change')).row.connectionState, 'Connected');
	await those.next('enter');
	const second = await mqttDevice(hub, 'comes');
	await patch('comes', { tags: { a: 1 } });
	await second.disconnect();
	assert.equal((await watch.next('change')).row.connectionState, 'Disconnected');
	await those.next('leave');
	assert.deepEqual(watch.seen.map((e) => e.event), ['row', 'ready', 'change', 'change']);
	assert.deepEqual(those.seen.map((e) => e.event), ['ready', 'enter', 'leave']);
	watch.close();
	those.close();
});

test('E-56 what configurations make of a change is one change with it; sweeps and jobs and imports are heard, too', async () => {
	const put = await hub.rest('PUT', '/configurations/lamp', { body: { id: 'lamp', priority: 1, targetCondition: "tags.kind = 'lamp'",
		content: { deviceContent: { 'properties.desired.light': { on: true } } } } });
	assert.equal(put.status, 200, put.text);
	await hub.createDevice('l1');
	const watch = await watchQuery(hub, "SELECT tags.kind, properties.desired.light FROM devices WHERE is_defined(tags.kind) AND STARTSWITH(deviceId, 'l')");
	await watch.ready();
	await patch('l1', { tags: { kind: 'lamp' } });
	assert.deepEqual((await watch.next('enter')).row, { kind: 'lamp', light: { on: true } });
	const updated = await hub.rest('PUT', '/configurations/lamp', { headers: { 'If-Match': '*' }, body: { ...put.body, priority: 2 } });
	assert.equal(updated.status, 200, updated.text);
	await hub.rest('DELETE', '/configurations/lamp', { headers: { 'If-Match': '*' } }); // a sweep takes it back
	assert.deepEqual((await watch.next('change')).row, { kind: 'lamp' });
	const job = await hub.rest('PUT', '/jobs/v2/dim', { body: { jobId: 'dim', type: 'scheduleUpdateTwin', queryCondition: "deviceId = 'l1'",
		updateTwin: { etag: '*', properties: { desired: { light: 7 } } }, maxExecutionTimeInSeconds: 60 } });
	assert.equal(job.status, 200, job.text);
	assert.deepEqual((await watch.next('change')).row, { kind: 'lamp', light: 7 });
	const line = JSON.stringify({ id: 'l2', importMode: 'createOrUpdate', tags: { kind: 'old' }, authentication: { type: 'none' } });
	const imported = await hub.rest('POST', '/admin/import', { body: `${line}\n`, headers: { 'Content-Type': 'application/x-ndjson' } });
	assert.equal(imported.status, 200, imported.text);
	assert.deepEqual((await watch.next('enter')).row, { kind: 'old' });
	assert.deepEqual(watch.seen.map((e) => e.event), ['ready', 'enter', 'change', 'change', 'enter']);
	watch.close();
});

test('E-51 E-58 E-59 what cannot be watched is refused with the reason', async () => {
	const refused = async (query, status, code, text) => {
		const answer = await watchQuery(hub, query);
		assert.equal(answer.status, status, query);
		assert.match(answer.body.Message, new RegExp(code));
		assert.match(answer.body.Message, text);
	};
	await refused('SELECT COUNT() FROM devices', 400, 'ArgumentInvalid', /aggregates/);
	await refused('SELECT * FROM devices ORDER BY deviceId', 400, 'ArgumentInvalid', /ORDER BY/);
	await refused('SELECT TOP 3 * FROM devices', 400, 'ArgumentInvalid', /TOP/);
	await refused('SELECT lastActivityTime FROM devices', 400, 'ArgumentInvalid', /lastActivityTime/);
	await refused('SELECT * FROM devices.jobs', 400, 'ArgumentInvalid', /devices\.modules/);
	await refused("SELECT * FROM devices AS OF '2026-11-29T10:00:00Z'", 400, 'ArgumentInvalid', /AS|end/);
	await refused('SELECT * FROM', 400, 'ArgumentInvalid', /Line/);
	assert.equal((await watchRoute(hub, 'POST', '/devices/query/watch', { body: {} })).status, 400);
	assert.equal((await watchRoute(hub, 'POST', '/devices/query/watch?top=1', { body: { query: 'SELECT * FROM devices' } })).status, 400);
	assert.equal((await watchRoute(hub, 'GET', '/twins/nobody/watch')).status, 404);
	assert.equal((await watchRoute(hub, 'GET', '/twins/nobody/modules/m/watch')).status, 404);
	assert.equal((await watchRoute(hub, 'GET', '/twins/nobody/watch', { policy: 'registryRead' })).status, 401);
});

test('E-54 nothing is lost or comes twice while the first rows are looked for and everything changes', async () => {
	const n = 400, names = Array.from({ length: n }, (_, i) => `r${i}`);
	const bulk = (mode, of) => hub.rest('POST', '/devices', { body: of.map((id) => ({ id, importMode: mode, authentication: { type: 'sas' } })) });
	for (let i = 0; i < n; i += 100) assert.equal((await bulk('create', names.slice(i, i + 100))).status, 200);
	let going = true, changes = 0;
	const busy = Array.from({ length: 8 }, async (_, k) => {
		for (let i = k; going; i = (i + 8) % n) {
			const answer = await patch(names[i], { tags: { g: (changes++ * 7) % 3, f: { text: 'x'.repeat(500) } } });
			assert.equal(answer.status, 200);
		}
	});
	const query = "SELECT deviceId, tags FROM devices WHERE tags.g = 1 AND STARTSWITH(deviceId, 'r')";
	const watches = [];
	for (let i = 0; i < 30; i++) watches.push(await watchQuery(hub, query, { sse: i % 2 === 0 }));
	for (const w of watches) await w.ready();
	going = false;
	await Promise.all(busy);
	await patch('r0', { tags: { g: 1, end: true } }); // each worker's own order: the last of one device is behind its others only
	const { body } = await hub.rest('POST', '/devices/query', { body: { query }, headers: { 'x-ms-max-item-count': '1000' } });
	const want = body.map((row) => [row.deviceId, row]).sort();
	for (const w of watches) {
		await until(() => JSON.stringify([...w.rows].sort()) === JSON.stringify(want), 'what was told gives what the query gives');
		assert.deepEqual(w.steps, []);
		assert.equal(w.seen.filter((e) => e.event === 'ready').length, 1);
		w.close();
	}
});

test('E-62 who does not read is left behind, and nobody waits for them', async () => {
	await Promise.all(Array.from({ length: 16 }, (_, i) => hub.createDevice(`w${i}`)));
	const slow = await watchQuery(hub, "SELECT tags FROM devices WHERE STARTSWITH(deviceId, 'w')");
	const quick = await watchQuery(hub, "SELECT tags.n FROM devices WHERE deviceId = 'w0'");
	await slow.ready();
	await quick.ready();
	slow.pause();
	const text = Object.fromEntries(Array.from({ length: 14 }, (_, i) => [`t${i}`, 'x'.repeat(500)])), rounds = 150; // 16 MB in all
	await Promise.all(Array.from({ length: 16 }, async (_, i) => {
		for (let n = 1; n <= rounds; n++) assert.equal((await patch(`w${i}`, { tags: { n, ...text } })).status, 200);
	}));
	for (let n = 1; n <= rounds; n++) assert.equal((await quick.next('change')).row.n, n);
	slow.resume();
	// told why where it reads again within ten seconds, else cut
	await slow.next('closed').then((end) => assert.equal(end.reason, 'watch-slow'), (error) => assert.match(error.message, /ended|aborted|reset/));
	assert.ok(slow.seen.length < 16 * rounds);
	quick.close();
});

test('E-29 E-59 a watch ends with the key that opened it, and with the hub', async () => {
	assert.equal((await hub.rest('PUT', '/admin/policies/looker?rights=ServiceConnect')).status, 200);
	const watch = await watchQuery(hub, 'SELECT deviceId FROM devices', { policy: 'looker' });
	await watch.ready();
	assert.equal((await hub.rest('POST', '/admin/policies/looker/rotate?key=primary')).status, 200);
	assert.equal((await watch.next('closed')).reason, 'policy-key-changed');
	await assert.rejects(watch.next('nothing more', 'its end'), /has ended/);
	const other = await watchQuery(hub, 'SELECT deviceId FROM devices', { sse: false });
	await other.ready();
	await hub.restart();
	assert.equal((await other.next('closed')).reason, 'stopping');
});
