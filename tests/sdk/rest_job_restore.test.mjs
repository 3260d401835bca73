// Jobs that restore twins (jobs-and-configurations.md 16): over bare HTTPS, and by the command line.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { mqttDevice, PACKET, startHub, stopAll } from '../lib/hub.mjs';
import { counts, Jobs, ok, refused } from '../lib/jobs.mjs';

let hub, jobs;
before(async () => { hub = await startHub(); jobs = new Jobs(hub); });
after(async () => { jobs?.close(); await stopAll(hub); });

const restore = (condition, at, more = {}) => ({ type: 'scheduleRestoreTwin', queryCondition: condition, restoreTwin: { at }, ...more });
const patch = (id, body) => hub.rest('PATCH', `/twins/${id}`, { body });
async function moment() {
	const now = Date.now() + 1;
	while (Date.now() <= now + 1) await sleep(1);
	return new Date(now).toISOString();
}
const plain = ({ tags, properties: { desired: { $metadata, $version, ...desired } } }) => ({ tags, desired });

test('J-71 J-72 each twin that matches is what it was: changed ones, removed and added members, other ones are left and failed ones say why', async () => {
	const was = {};
	for (let i = 0; i < 20; i++) {
		await hub.createDevice(`r${i}`);
		await patch(`r${i}`, { tags: { set: 'r', n: { a: i, b: [1, 'x'] } }, properties: { desired: { fw: { v: i }, old: true } } });
		was[`r${i}`] = plain(await jobs.twin(`r${i}`));
	}
	await hub.rest('PUT', '/devices/r1/modules/m', { body: { deviceId: 'r1', moduleId: 'm' } });
	const at = await moment();
	for (let i = 0; i < 15; i++) {
		for (let k = 0; k < 4; k++) await patch(`r${i}`, { tags: { n: { a: 100 + k, c: k } }, properties: { desired: { fw: { v: `bad${k}` }, old: null, new: { k } } } });
		if (i % 3 === 0) await hub.rest('PUT', `/twins/r${i}`, { body: { tags: { set: 'r' }, properties: { desired: {} } } });
	}
	await hub.rest('DELETE', '/devices/r19', { headers: { 'If-Match': '*' } });
	for (const id of ['r19', 'young']) {
		await hub.createDevice(id);
		await jobs.tag(id, { set: 'r' });
	}
	const before = await jobs.twin('r16'), device = await mqttDevice(hub, 'r2', { filters: ['$iothub/twin/PATCH/properties/desired/#', '$iothub/twin/res/#'].map((filter) => ({ filter, qos: 0 })) });
	await device.report({ mine: 1 });
	const tried = ok(await hub.rest('POST', '/jobs/v2/try?dryRun=true&sample=100', { body: restore("tags.set = 'r'", at) })).body;
	assert.equal(tried.targetedCount, 21);
	for (const s of tried.sample) {
		if (['r19', 'young'].includes(s.deviceId)) assert.equal(s.error.code, 'GenericNotFound');
		else assert.deepEqual(plain(s.twin), was[s.deviceId]);
		assert.equal(s.changed === true, Number(s.deviceId.slice(1)) < 15, s.deviceId);
		if (s.changed) assert.deepEqual(s.replacement, { tags: was[s.deviceId].tags, properties: { desired: was[s.deviceId].desired } });
	}
	assert.equal((await jobs.twin('r2')).properties.desired.fw.v, 'bad3');
	const made = ok(await jobs.put('undo', restore("tags.set = 'r'", at))).body;
	assert.deepEqual([made.type, made.restoreTwin], ['scheduleRestoreTwin', { at }]);
	assert.deepEqual((await jobs.ended('undo')).deviceJobStatistics, counts(21, 19, 2));
	for (let i = 0; i < 19; i++) assert.deepEqual(plain(await jobs.twin(`r${i}`)), was[`r${i}`], `r${i}`);
	assert.deepEqual(await jobs.twin('r16'), before, 'what is as it was is not written');
	assert.equal((await jobs.twin('r2')).properties.reported.mine, 1);
	assert.match((await device.next(PACKET.PUBLISH, 'the change')).payload.toString(), /"fw":\{"v":2\}/);
	const results = await jobs.results('undo');
	for (const r of results) {
		const n = Number(r.deviceId.slice(1));
		if (n < 19) assert.deepEqual([r.status, r.outcome], ['completed', { deviceMethodResponse: null, restored: n < 15 }], r.deviceId);
		else assert.deepEqual([r.status, r.error.code], ['failed', 'GenericNotFound']);
	}
	const history = ok(await hub.rest('GET', '/twins/r2/history')).body.filter((e) => e.actor === 'job:undo');
	assert.deepEqual(history.map((e) => e.change), ['replaced']);
	ok(await jobs.put('again', restore("tags.set = 'r' AND deviceId != 'young' AND deviceId != 'r19'", at)));
	assert.deepEqual((await jobs.ended('again')).deviceJobStatistics, counts(19, 19, 0));
	assert.ok((await jobs.results('again')).every((r) => r.outcome.restored === false));
	ok(await jobs.put('modules', restore("FROM devices.modules WHERE deviceId = 'r1'", at)));
	assert.deepEqual((await jobs.ended('modules')).deviceJobStatistics, counts(1, 1, 0));
	await device.disconnect();
});

test('J-72 J-73 a long past, and changes meanwhile: two jobs at a time, over a restart', async () => {
	await hub.createDevice('long');
	await patch('long', { tags: { set: 'long', v: 'old' } });
	const at = await moment();
	for (let i = 0; i < 1500; i += 50) await Promise.all(Array.from({ length: 50 }, (_, k) => patch('long', { tags: { v: i + k } })));
	for (let i = 0; i < 150; i++) {
		await hub.createDevice(`many${i}`);
		await patch(`many${i}`, { tags: { set: 'many', v: 'old' } });
	}
	const later = await moment();
	await Promise.all(Array.from({ length: 150 }, (_, i) => patch(`many${i}`, { tags: { v: 'new' } })));
	ok(await jobs.put('long', restore("tags.set = 'long'", at)));
	ok(await jobs.put('many', restore("tags.set = 'many'", later, { maxUpdatesPerSecond: 100 })));
	let going = true;
	const writer = (async () => { for (let i = 0; going; i++) await patch('long', { properties: { desired: { i } } }); })();
	const done = await jobs.ended('long');
	going = false;
	await writer;
	assert.equal(done.deviceJobStatistics.deviceCount, 1);
	await hub.restart();
	assert.deepEqual((await jobs.ended('many')).deviceJobStatistics, counts(150, 150, 0));
	for (let i = 0; i < 150; i++) assert.equal((await jobs.twin(`many${i}`)).tags.v, 'old', i);
	ok(await jobs.put('long2', restore("tags.set = 'long'", at)));
	assert.deepEqual((await jobs.ended('long2')).deviceJobStatistics, counts(1, 1, 0));
	assert.equal((await jobs.twin('long')).tags.v, 'old');
});

test('J-71 J-06 what is wrong with it is told when the job is created', async () => {
	for (const [work, text] of [[undefined, /restoreTwin is not an object/], [{}, /restoreTwin.at is not a time/], [{ at: 'soon' }, /restoreTwin.at is not a time/],
		[{ at: '2099-01-01T00:00:00Z' }, /a time to come/], [{ at: '2026-01-01T00:00:00Z', reported: true }, /restoreTwin.reported/]])
		refused(await jobs.put('wrong', { type: 'scheduleRestoreTwin', queryCondition: '*', restoreTwin: work }), 400, 'ArgumentInvalid', text);
	refused(await jobs.put('wrong', restore('*', '2026-01-01T00:00:00Z', { updateTwin: { etag: '*' } })), 400, 'ArgumentInvalid', /updateTwin does not belong/);
});

test('J-74 `twinhub job create restore` and `twinhub twin restore --condition`', async () => {
	await hub.createDevice('c1');
	await patch('c1', { tags: { set: 'c', v: 1 } });
	const at = await moment();
	await patch('c1', { tags: { v: 2 } });
	const run = async (...args) => {
		const done = await hub.cli(args);
		assert.equal(done.code, 0, done.stderr);
		return done.stdout;
	};
	assert.match(await run('twin', 'restore', '--condition', "tags.set = 'c'", '--at', at, '--dry-run', '--table'), /targetedCount +1[^]*c1 .*"v":1/);
	assert.equal((await jobs.twin('c1')).tags.v, 2);
	const job = JSON.parse(await run('twin', 'restore', '--condition', "tags.set = 'c'", '--at', at, '--json'));
	await jobs.ended(job.jobId);
	assert.equal((await jobs.twin('c1')).tags.v, 1);
	await run('job', 'create', 'restore', 'cli-2', '--condition', "tags.set = 'c'", '--at', at);
	await jobs.ended('cli-2');
	assert.match(await run('job', 'list', '--type', 'restore', '--table'), /cli-2/);
	for (const args of [['twin', 'restore'], ['twin', 'restore', 'c1', '--condition', '*'], ['twin', 'restore', '--condition', '*', '--at-version', '1'], ['twin', 'restore', '--condition', '*'], ['job', 'create', 'restore', 'x', '--condition', '*'], ['job', 'create', 'restore', 'x', '--condition', '*', '--at', 'x']])
		assert.equal((await hub.cli(args)).code, 2, args.join(' '));
});
