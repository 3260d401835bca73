// A reply leaves only after the sync that covers it. A preloaded library (hold_sync.c) holds every fdatasync of the
// data directory until the test lets it go; meanwhile nothing that depends on it may be heard.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { BINARY, RawMqtt, deviceLogin, mqttDevice, startHub, tempDir, until, within } from '../lib/hub.mjs';

const SLOW = Number(process.env.TWINHUB_TEST_SLOW ?? 1);
const LIBRARY = path.join(path.dirname(BINARY), 'libhold_sync.so');
const QUIET_MS = 400 * SLOW; // long enough for an answer that does not wait, hundreds of times over

const control = tempDir('hold');
const data = path.join(tempDir('withheld'), 'data');
const word = (name) => path.join(control, name);
const say = (name) => fs.writeFileSync(word(name), '');
const unsay = (name) => fs.rmSync(word(name), { force: true });
const hold = () => { unsay('waiting'); say('hold'); };
const release = () => { unsay('hold'); unsay('permit'); };
const someoneWaits = () => until(() => fs.existsSync(word('waiting')), 'a sync is being held');

let hub;
before(async () => {
	assert.ok(fs.existsSync(LIBRARY), `no ${LIBRARY}: build the target hold_sync`);
	delete process.env.TWINHUB_TEST_DIR; // the library must know the directory's name
	hub = await startHub({ dir: data, args: ['--workers', '1', '--memory', '64M'], env: { LD_PRELOAD: LIBRARY, TWINHUB_HOLD_CONTROL: control, TWINHUB_HOLD_DATA: data,
		ASAN_OPTIONS: `${process.env.ASAN_OPTIONS ?? ''}:verify_asan_link_order=0` } });
});
after(async () => {
	release();
	unsay('fail');
	await hub?.stop();
});

// What has become of a promise after some time: its value, or 'nothing'.
const soFar = (promise, ms = QUIET_MS) => Promise.race([promise, new Promise((resolve) => { setTimeout(resolve, ms, 'nothing'); })]);

// Start `act` while syncs are held: it must stay without result until they are released.
async function mustWait(what, act) {
	hold();
	const promise = act();
	promise.catch(() => {});
	await someoneWaits();
	assert.equal(await soFar(promise), 'nothing', `${what} was answered before its sync`);
	release();
	return within(promise, what);
}

test('the reply to a reported patch', async () => {
	const d = await mqttDevice(hub, 'report');
	const answer = await mustWait('a reported patch', () => d.report({ x: 1 }));
	assert.equal(answer.status, 204);
	d.destroy();
});

test('the PUBACK of a reported patch', async () => {
	const d = await mqttDevice(hub, 'puback', { filters: [] });
	await mustWait('PUBACK', () => d.publish('$iothub/twin/PATCH/properties/reported/?$rid=1', '{"x":1}', { qos: 1 }));
	d.destroy();
});

test('the PUBACK of telemetry', async () => {
	const d = await mqttDevice(hub, 'telemetry', { filters: [] });
	await mustWait('PUBACK', () => d.publish('devices/telemetry/messages/events/', 'x', { qos: 1 }));
	d.destroy();
});

test('PUT, PATCH and DELETE over HTTPS', async () => {
	const body = { deviceId: 'made' };
	assert.equal((await mustWait('PUT of a device', () => hub.rest('PUT', '/devices/made', { body }))).status, 200);
	assert.equal((await mustWait('PATCH of a twin', () => hub.rest('PATCH', '/twins/made', { body: { tags: { a: 1 } } }))).status, 200);
	assert.equal((await mustWait('PUT of a twin', () => hub.rest('PUT', '/twins/made', { body: { tags: { a: 2 } } }))).status, 200);
	assert.equal((await mustWait('an update of a device', () => hub.rest('PUT', '/devices/made', { body, headers: { 'If-Match': '*' } }))).status, 200);
	assert.equal((await mustWait('DELETE of a device', () => hub.rest('DELETE', '/devices/made'))).status, 204);
});

test('CONNACK of a new durable session, SUBACK and UNSUBACK on it', async () => {
	const identity = await hub.createDevice('session');
	const login = deviceLogin(hub, 'session', identity.authentication.symmetricKey.primaryKey, { clean: false });
	const client = await RawMqtt.open(hub);
	assert.equal((await mustWait('CONNACK', () => client.connect(login))).code, 0);
	assert.deepEqual(await mustWait('SUBACK', () => client.subscribe('$iothub/twin/res/#')), [0]);
	await mustWait('UNSUBACK', () => client.unsubscribe('$iothub/twin/res/#'));
	client.destroy();
});

test('a notification of a desired change', async () => {
	const d = await mqttDevice(hub, 'notified');
	const patch = { properties: { desired: { rate: 5 } } };
	let answer;
	const notification = await mustWait('the notification', () => {
		answer = hub.rest('PATCH', '/twins/notified', { body: patch });
		return d.notification();
	});
	assert.equal(notification.body.rate, 5);
	assert.equal((await answer).status, 200);
	d.destroy();
});

test('nobody sees a change before it is durable', async () => {
	const d = await mqttDevice(hub, 'seen');
	const other = await mqttDevice(hub, 'unseen');
	assert.equal((await d.report({ x: 'old' })).status, 204);
	const sql = "SELECT deviceId, properties.reported.x AS x FROM devices WHERE deviceId = 'seen'";
	hold();
	const write = d.report({ x: 'new' });
	await someoneWaits();
	const read = hub.rest('GET', '/twins/seen').then((a) => a.body.properties.reported.x);
	const mine = d.twinGet().then((a) => a.body.reported.x);
	const query = hub.rest('POST', '/devices/query', { body: { query: sql } }).then((a) => a.body[0].x);
	for (const [what, promise] of Object.entries({ GET: read, 'twin GET': mine, query }))
		assert.ok(['nothing', 'old'].includes(await soFar(promise)), `${what} showed what was not yet durable`);
	assert.equal(await soFar(write, 1), 'nothing');
	release();
	assert.equal((await within(write, 'the write')).status, 204);
	for (const [what, promise] of Object.entries({ GET: read, 'twin GET': mine, query }))
		assert.ok(['old', 'new'].includes(await within(promise, what)), what);
	assert.equal((await hub.rest('GET', '/twins/seen')).body.properties.reported.x, 'new');
	assert.equal((await d.twinGet()).body.reported.x, 'new');
	d.destroy();
	other.destroy();
});

test('a deleted device is there until its deletion is durable, a new one is not', async () => {
	await hub.createDevice('going');
	hold();
	const writes = [hub.rest('DELETE', '/devices/going'), hub.rest('PUT', '/devices/coming', { body: { deviceId: 'coming' } })];
	await someoneWaits();
	const reads = ['going', 'coming'].map((id) => hub.rest('GET', `/devices/${id}`).then((a) => a.status));
	assert.ok(['nothing', 200].includes(await soFar(reads[0])), 'the deletion shows too early');
	assert.ok(['nothing', 404].includes(await soFar(reads[1])), 'the creation shows too early');
	release();
	assert.deepEqual((await Promise.all(writes)).map((a) => a.status), [204, 200]);
	await Promise.all(reads);
});

test('a sync releases what it covers and no more', async () => {
	const d = await mqttDevice(hub, 'steps');
	hold();
	const first = d.report({ step: 1 });
	await someoneWaits();
	const second = d.report({ step: 2 }); // gathers while the first commit is on its way
	assert.equal(await soFar(Promise.race([first, second])), 'nothing');
	const ticket = setInterval(() => { if (!fs.existsSync(word('permit'))) say('permit'); }, 5);
	assert.equal((await within(first, 'the first report')).status, 204);
	clearInterval(ticket);
	unsay('permit');
	release();
	assert.deepEqual([(await within(second, 'the second report')).status, (await d.twinGet()).body.reported.step], [204, 2]);
	d.destroy();
});

test('kill -9 while everything is held: what is there afterwards is whole', async () => {
	const devices = await Promise.all(Array.from({ length: 4 }, (_, i) => mqttDevice(hub, `held${i}`)));
	await Promise.all(devices.map((d) => d.report({ n: 1, twin: 1 })));
	hold();
	for (const d of devices) d.publish('$iothub/twin/PATCH/properties/reported/?$rid=9', '{"n":2,"twin":2}', {});
	await someoneWaits();
	await hub.kill();
	release();
	await hub.start();
	for (let i = 0; i < devices.length; i++) {
		const { n, twin, $version } = (await hub.rest('GET', `/twins/held${i}`)).body.properties.reported;
		assert.equal(n, twin, 'a torn document');
		assert.equal($version, n + 1);
		devices[i].destroy();
	}
});

test('a sync that fails ends the hub with one clear line, and nothing is acknowledged', async () => {
	const d = await mqttDevice(hub, 'failing');
	say('fail');
	const report = d.report({ x: 1 }).then((a) => a.status, () => 'closed');
	const end = await within(hub.ended(), 'the hub to end', 20_000 * SLOW);
	unsay('fail');
	assert.notEqual(end.code, 0);
	assert.equal(end.signal, null, 'an exit, no crash');
	assert.notEqual(await report, 204);
	assert.match(hub.logs, /sync/i);
	await hub.start();
	const twin = await hub.rest('GET', '/twins/failing');
	assert.ok([1, 2].includes(twin.body.properties.reported.$version));
});

// Each may have a megabyte under way; what all have has a bound, at which they are read no further. Nothing is lost by that.
test('what very many devices send meanwhile is bounded, and taken once there is room', async () => {
	const count = 200, stay = 20, payload = 'x'.repeat(120_000);
	const devices = [];
	for (let i = 0; i < count; i++) devices.push(await mqttDevice(hub, `many${i}`, { filters: [] }));
	hold();
	const rss = () => Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${hub.pid}/status`, 'utf8'))[1]) / 1024;
	const before = rss();
	const sent = devices.map((d, i) => Array.from({ length: 8 }, () => d.publish(`devices/many${i}/messages/events/`, payload, { qos: 1 })));
	for (const promise of sent.flat()) promise.catch(() => {});
	await someoneWaits();
	let most = 0;
	for (let i = 0; i < 60; i++) {
		most = Math.max(most, rss() - before);
		await soFar(new Promise(() => {}), 50);
	}
	release();
	for (const d of devices.slice(stay)) d.destroy();
	await within(Promise.all(sent.slice(0, stay).flat()), 'every PUBACK of those that stay', 60_000 * SLOW);
	if (SLOW === 1) assert.ok(most < 150, `${most} MB for ${count} devices`);
	for (const d of devices) d.destroy();
});
