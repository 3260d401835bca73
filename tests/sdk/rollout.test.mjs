// Rollouts: a configuration that reaches its target wave by wave, with real devices that report how it went.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { startHub, stopAll, until } from '../lib/hub.mjs';
import { registryOf, sdkDevice, twinOf } from '../lib/sdk.mjs';

let hub, registry;
const open = new Set();

before(async () => {
	hub = await startHub();
	registry = await registryOf(hub);
});
after(async () => {
	for (const d of open) await d.close().catch(() => {});
	await stopAll(hub);
});

const done = "properties.reported.fw = 'v2'", broken = "properties.reported.fw = 'broken'";

// So many devices with a tag; each does what the desired firmware says, or what `how` makes of it.
async function fleet(tag, n, how = () => 'v2') {
	const ids = Array.from({ length: n }, (_, i) => `${tag}-${String(i).padStart(3, '0')}`);
	for (const id of ids) await addDevice(tag, id, how);
	return ids;
}

async function addDevice(tag, id, how = () => 'v2') {
	await registry.create({ deviceId: id });
	await registry.updateTwin(id, { tags: { fleet: tag } }, '*');
	await connect(id, how);
}

async function connect(id, how) {
	const d = await sdkDevice(hub, id);
	open.add(d);
	const twin = await d.readTwin();
	twin.on('properties.desired.fw', (fw) => {
		const report = fw === 'v2' ? how(id) : null;
		if (report) twin.properties.reported.update({ fw: report }, () => {});
	});
	d.client.on('connect', () => d.readTwin().catch(() => {})); // what it missed: the listener hears of it
	return d;
}

async function add(id, tag, rollout, more = {}) {
	const answer = await hub.rest('PUT', `/configurations/${id}`, { body: { id, targetCondition: `tags.fleet = '${tag}'`,
		content: { deviceContent: { 'properties.desired.fw': 'v2' } }, rollout, ...more } });
	assert.equal(answer.status, 200, answer.text);
	return answer.body;
}

const get = async (id) => (await registry.getConfiguration(id)).responseBody;
const act = (id, action) => hub.rest('POST', `/configurations/${id}/rollout/${action}`);
const count = async (condition) => (await hub.rest('POST', '/devices/query',
	{ body: { query: `SELECT COUNT() AS n FROM devices WHERE ${condition}` } })).body[0].n;

async function reaches(id, status, wave) {
	let state;
	await until(async () => {
		({ state } = (await get(id)).rollout);
		return [status].flat().includes(state.status) && (wave === undefined || state.wave === wave);
	}, `the rollout ${id} is ${status}`, { ms: 30_000 });
	return state;
}

const events = (state) => state.history.map((e) => e.event);

test('RO-1 three waves, each when the one before has succeeded', async () => {
	await fleet('ok', 20);
	const plan = { waves: [{ count: 1, successQuery: done }, { percent: 25, successQuery: done, soakSeconds: 1 }, { percent: 100, successQuery: done }] };
	const made = await add('ok', 'ok', plan);
	assert.deepEqual(made.rollout.waves, plan.waves);
	assert.equal(made.rollout.state.status, 'pending');
	const state = await reaches('ok', 'completed');
	assert.deepEqual(state.waves.map((w) => [w.wave, w.status, w.targeted, w.applied, w.succeeded, w.failed]),
		[[1, 'completed', 1, 1, 1, 0], [2, 'completed', 5, 5, 5, 0], [3, 'completed', 20, 20, 20, 0]]);
	assert.deepEqual(events(state), ['created', 'waveStarted', 'soakStarted', 'waveStarted', 'soakStarted', 'waveStarted', 'soakStarted', 'completed']);
	assert.deepEqual(state.history.filter((e) => e.event === 'waveStarted').map((e) => e.reason), ['1 of 20 devices', '5 of 20 devices', '20 of 20 devices']);
	assert.equal(state.history[0].by, 'iothubowner');
	assert.equal(await count("tags.fleet = 'ok' AND properties.desired.$version = 2"), 20);
});

test('RO-2 a plan is checked, and says what is wrong', async () => {
	const put = (rollout) => hub.rest('PUT', '/configurations/bad', { body: { id: 'bad', targetCondition: '*',
		content: { deviceContent: { 'properties.desired.x': 1 } }, rollout } });
	for (const [rollout, said] of [
		[{ waves: [{ percent: 50 }] }, /ArgumentInvalid.*last of rollout.waves does not say percent 100/],
		[{ waves: [{ percent: 100, maxFailurePercnt: 5 }] }, /ArgumentInvalid.*no member maxFailurePercnt/],
		[{ waves: [{ percent: 100, failureQuery: 'properties.reported.a =' }] }, /InvalidConfigurationCustomMetricsQuery.*failureQuery/],
	]) {
		const answer = await put(rollout);
		assert.equal(answer.status, 400);
		assert.match(answer.body.Message, said);
	}
	assert.equal((await hub.rest('GET', '/configurations/bad')).status, 404);
});

test('RO-4 RO-5 it halts over the threshold, keeps what is there, resumes, and rolls back to what was before', async () => {
	let mend = false;
	const ids = await fleet('halt', 10, () => mend ? 'v2' : 'broken');
	for (const id of ids) await registry.updateTwin(id, { properties: { desired: { fw: 'v1', other: 7 } } }, '*');
	const has = "tags.fleet = 'halt' AND properties.desired.fw = 'v2'";
	await add('halt', 'halt', { waves: [{ percent: 30, successQuery: done, failureQuery: `SELECT deviceId FROM devices WHERE ${broken}`, maxFailurePercent: 40 },
		{ percent: 100, successQuery: done, failureQuery: broken, maxFailurePercent: 40 }] });
	let state = await reaches('halt', 'halted');
	assert.equal(state.wave, 1);
	assert.equal(state.waves[0].targeted, 3);
	assert.match(state.history.at(-1).reason, /^[23] of 3 devices fail, over 40 %$/);
	assert.equal(await count(has), 3);
	await addDevice('halt', 'halt-new');
	assert.equal('fw' in (await twinOf(registry, 'halt-new')).properties.desired, false);
	mend = true;
	for (const d of open) if (d.twin.properties.desired.fw === 'v2' && d.twin.properties.reported.fw === 'broken') await d.report({ fw: 'v2' });
	assert.equal((await act('halt', 'resume')).status, 200);
	state = await reaches('halt', 'completed');
	assert.ok(events(state).includes('resumed'));
	assert.equal(state.history.find((e) => e.event === 'resumed').by, 'iothubowner');
	assert.equal(await count(has), 11);
	const again = await act('halt', 'resume');
	assert.equal(again.status, 405);
	assert.match(again.body.Message, /^ErrorCode:OperationNotAllowedInCurrentState;the rollout is completed, resume is not possible/);
	assert.equal((await act('halt', 'rollback')).status, 200);
	state = await reaches('halt', 'rolledBack');
	assert.equal(await count("tags.fleet = 'halt' AND properties.desired.fw = 'v1' AND properties.desired.other = 7"), 10);
	assert.equal(await count("deviceId = 'halt-new' AND NOT is_defined(properties.desired.fw)"), 1);
	assert.equal(await count('is_defined(configurations.halt)'), 0);
});

test('RO-4 onFailure rollback: the first wave fails and nothing is left of it', async () => {
	await fleet('back', 10, () => 'broken');
	await add('back', 'back', { onFailure: 'rollback', waves: [{ count: 2, successQuery: done, failureQuery: broken }, { percent: 100, successQuery: done }] });
	const state = await reaches('back', 'rolledBack');
	assert.equal(state.wave, 1);
	assert.deepEqual(events(state), ['created', 'waveStarted', 'rollbackStarted', 'rolledBack']);
	assert.equal(await count("tags.fleet = 'back' AND properties.desired.$version = 3"), 2); // there and back, once
	assert.equal(await count("tags.fleet = 'back' AND properties.desired.$version = 1"), 8);
});

test('RO-7 RO-8 RO-11 kill -9 in the middle: it goes on where it stood, no device is reached twice, new ones join', async () => {
	const ids = await fleet('kill', 12);
	await add('kill', 'kill', { waves: [{ count: 2, successQuery: done, soakSeconds: 1 }, { percent: 50, successQuery: done },
		{ percent: 75, successQuery: "properties.reported.go = 'on'" }, { percent: 100 }] });
	const reached = async () => (await hub.rest('POST', '/devices/query', { body:
		{ query: "SELECT deviceId FROM devices WHERE tags.fleet = 'kill' AND properties.desired.fw = 'v2'" } })).body.map((d) => d.deviceId);
	await reaches('kill', ['running', 'soaking'], 1);
	await hub.kill();
	await hub.start();
	await reaches('kill', 'running', 3);
	await until(async () => (await reached()).length === 9, 'the third wave has its devices');
	const before = await reached();
	await hub.kill();
	await hub.start();
	const state = await reaches('kill', 'running', 3);
	assert.deepEqual(await reached(), before);
	assert.deepEqual(events(state).filter((e) => e === 'waveStarted').length, 3);
	await registry.create({ deviceId: 'kill-late' });
	await registry.updateTwin('kill-late', { tags: { fleet: 'kill' } }, '*');
	assert.equal((await act('kill', 'advance')).status, 200);
	await reaches('kill', 'completed');
	await until(async () => (await reached()).length === 13, 'all have it');
	for (const id of ids) assert.equal((await twinOf(registry, id)).properties.desired.$version, 2, id);
	assert.equal((await twinOf(registry, 'kill-late')).properties.desired.$version, 2);
});

test('RO-10 what was read is sent back by the SDK, and the state goes on', async () => {
	await fleet('same', 2);
	await add('same', 'same', { waves: [{ count: 1, successQuery: done }, { percent: 100, successQuery: "properties.reported.never = 1" }] });
	const before = await reaches('same', 'running', 2);
	const updated = (await registry.updateConfiguration({ ...await get('same'), priority: 9 })).responseBody;
	assert.equal(updated.priority, 9);
	assert.equal(updated.etag, 'Mg==');
	assert.deepEqual(updated.rollout.state.history, before.history);
	assert.equal(updated.rollout.state.status, 'running');
	await registry.updateConfiguration({ id: 'same', targetCondition: "tags.fleet = 'same'", etag: '*', content: updated.content });
	assert.equal((await get('same')).rollout.state.status, 'running'); // left out, it stays
	const moved = await hub.rest('PUT', '/configurations/same', { headers: { 'If-Match': '*' },
		body: { id: 'same', targetCondition: '*', rollout: { waves: [{ percent: 100 }] } } });
	assert.equal(moved.status, 405);
	assert.equal((await registry.getConfigurations()).responseBody.find((c) => c.id === 'same').rollout.state.wave, 2);
});

test('RO-5 J-31 rights and errors of actions', async () => {
	assert.equal((await act('nobody', 'halt')).status, 404);
	assert.equal((await act('same', 'explode')).status, 404);
	assert.equal((await hub.rest('POST', '/configurations/same/rollout/halt', { policy: 'registryRead' })).status, 401);
	assert.equal((await hub.rest('POST', '/configurations/same/rollout/halt', { headers: { 'If-Match': '"MQ=="' } })).status, 412);
	assert.equal((await act('same', 'halt')).body.rollout.state.status, 'halted');
	await registry.addConfiguration({ id: 'plain', content: { deviceContent: { 'properties.desired.p': 1 } }, targetCondition: '' });
	const none = await act('plain', 'halt');
	assert.equal(none.status, 405);
	assert.match(none.body.Message, /has no rollout/);
	assert.equal('rollout' in await get('plain'), false);
});

test('RO-1 modules', async () => {
	await registry.create({ deviceId: 'mod' });
	for (const moduleId of ['a', 'b']) await registry.addModule({ deviceId: 'mod', moduleId });
	await hub.rest('PUT', '/configurations/mod', { body: { id: 'mod', targetCondition: "from devices.modules where deviceId = 'mod'",
		content: { moduleContent: { 'properties.desired.fw': 'v2' } },
		rollout: { waves: [{ count: 1, failureQuery: 'select * from devices.modules where properties.reported.bad = 1' }, { percent: 100 }] } } });
	const state = await reaches('mod', 'completed');
	assert.deepEqual(state.waves.map((w) => [w.targeted, w.succeeded]), [[1, 1], [2, 2]]);
});
