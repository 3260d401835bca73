// A backup is what comes out of `restore`: each one that is made here is restored, and its fleet compared with the one it was
// made of; at rest, under load, and when the store's manifest tracks many logs. What fails leaves nothing behind.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { BINARY, Hub, freeAddress, startHub, tempDir, until } from '../lib/hub.mjs';
import { Fleet, chooseSeed } from './fleet.mjs';

const SLOW = Number(process.env.TWINHUB_TEST_SLOW ?? 1);
const CHECK_MS = 180_000 * SLOW;
const LIBRARY = path.join(path.dirname(BINARY), 'libhold_sync.so');

const scratch = tempDir('backup');
const control = tempDir('words');
const broken = path.join(scratch, 'broken'); // where the preloaded library makes syncs and renames fail
const say = (word) => fs.writeFileSync(path.join(control, word), '');
const unsay = (word) => fs.rmSync(path.join(control, word), { force: true });
const env = { LD_PRELOAD: LIBRARY, TWINHUB_HOLD_CONTROL: control, TWINHUB_HOLD_DATA: broken,
	ASAN_OPTIONS: `${process.env.ASAN_OPTIONS ?? ''}:verify_asan_link_order=0` };

let hub, nbackup = 0, nwhole = 0, njob = 0, nconfiguration = 0;
before(async () => {
	assert.ok(fs.existsSync(LIBRARY), `no ${LIBRARY}: build the target hold_sync`);
	delete process.env.TWINHUB_TEST_DIR;
	hub = await startHub({ dir: path.join(tempDir('source'), 'data'), args: ['--memory', '64M'], env });
});
after(async () => {
	for (const word of ['fail', 'fail-rename', 'full']) unsay(word);
	await hub?.stop();
});

// All pages of a query.
async function rows(of, query = 'SELECT * FROM devices', id = 'deviceId') {
	const found = [];
	let continuation;
	do {
		const answer = await of.rest('POST', '/devices/query', { body: { query },
			headers: { 'x-ms-max-item-count': '1000', ...(continuation ? { 'x-ms-continuation': continuation } : {}) } });
		assert.equal(answer.status, 200, answer.text);
		found.push(...answer.body);
		continuation = answer.headers['x-ms-continuation'];
	} while (continuation);
	return new Map(found.map((row) => [row[id], row]));
}

async function get(of, where) {
	const answer = await of.rest('GET', where);
	assert.equal(answer.status, 200, answer.text);
	return answer.body;
}

// Everything that a hub at rest is: identities with keys and counters, twins, modules, configurations, jobs, policies.
async function whole(of) {
	const file = path.join(scratch, `whole-${nwhole++}`);
	const done = await of.cli(['export', file], { timeout: CHECK_MS });
	assert.equal(done.code, 0, done.stderr);
	const byId = (list, id) => [...list].sort((a, b) => (a[id] < b[id] ? -1 : 1));
	return {
		lines: fs.readFileSync(file, 'utf8').split('\n').sort(),
		twins: await rows(of),
		modules: await rows(of, "SELECT * FROM devices.modules", 'moduleId'),
		configurations: byId(await get(of, '/configurations?top=100'), 'id'),
		jobs: byId(await get(of, '/jobs/v2/query'), 'jobId'),
		policies: fs.readFileSync(path.join(of.dir, 'policies.json'), 'utf8'),
	};
}

// What was there before the backup is in it, not older; what it has is not newer than what there is behind it; of a version that is
// the same, the same. What the restored hub has written itself (it goes on with jobs and configurations at once) is its own.
function between(before, copy, found, behind) {
	for (const [id, twin] of before) {
		if (/-made\d/.test(id)) continue; // these come and go
		const was = found.get(id), later = behind.get(id);
		assert.ok(was, `${id} is missing`);
		for (const section of ['desired', 'reported']) {
			const version = was.properties[section].$version, itsOwn = was.properties[section].$metadata.$lastUpdated >= copy.since;
			assert.ok(version >= twin.properties[section].$version, `${id} ${section} ${version}`);
			assert.ok(itsOwn || version <= later.properties[section].$version, `${id} ${section} ${version}`);
			for (const known of itsOwn ? [] : [twin, later])
				if (version === known.properties[section].$version) assert.deepEqual(was.properties[section], known.properties[section], id);
		}
		for (const known of [twin, later]) if (was.etag === known.etag) assert.deepEqual(was.tags, known.tags, id);
	}
}

async function backup() {
	const to = path.join(scratch, `backup-${nbackup++}`);
	const made = await hub.cli(['backup', to], { timeout: CHECK_MS });
	assert.equal(made.code, 0, made.stderr);
	return to;
}

// A hub on what has become of a backup; the check passes it, and what was restored of it.
async function restored(from) {
	const dir = `${from}-restored`;
	const restore = await hub.cli(['restore', from, '--data', dir], { timeout: CHECK_MS, data: false });
	assert.equal(restore.code, 0, `${restore.code} ${restore.stderr}`);
	for (const one of [from, dir]) {
		const check = await hub.cli(['check', '--data', one], { timeout: CHECK_MS, data: false });
		assert.equal(check.code, 0, `${check.code} ${check.stdout}${check.stderr}`);
	}
	const copy = new Hub({ addr: await freeAddress(), dir });
	copy.since = new Date().toISOString();
	await copy.start();
	return copy;
}

async function importLines(n, ids, round) {
	const file = path.join(scratch, `lines-${round}`);
	const lines = Array.from({ length: n }, (_, i) => JSON.stringify({ id: `im${i % ids}`, tags: { round, i, text: 'x'.repeat(200) } }));
	fs.writeFileSync(file, `${lines.join('\n')}\n`);
	const done = await hub.cli(['import', file], { timeout: CHECK_MS });
	assert.equal(done.code, 0, done.stderr);
}

test('a backup at rest, restored: the same fleet, with all that belongs to it', { timeout: 2 * CHECK_MS }, async () => {
	await importLines(2000, 1000, 0);
	await hub.createDevice('with-module');
	for (const [method, where, body] of [
		['PUT', '/devices/with-module/modules/m1', { deviceId: 'with-module', moduleId: 'm1' }],
		['PATCH', '/twins/with-module/modules/m1', { properties: { desired: { of: 'a module' } } }],
		['PUT', '/configurations/c0', configuration('c0', 1)],
		['PUT', '/jobs/v2/j0', { type: 'scheduleUpdateTwin', queryCondition: "deviceId = 'im1'", updateTwin: { etag: '*', tags: { job: 0 } } }],
		['PUT', '/jobs/v2/later', { type: 'scheduleUpdateTwin', queryCondition: '*', startTime: new Date(Date.now() + 3_600_000).toISOString(), updateTwin: { etag: '*', tags: { job: 1 } } }],
	]) {
		const answer = await hub.rest(method, where, { body });
		assert.equal(answer.status, 200, answer.text);
	}
	await until(async () => (await get(hub, '/jobs/v2/j0')).status === 'completed', 'the job');
	await until(async () => (await applied(hub)) === 1000, 'the configuration');
	const before = await whole(hub), copy = await restored(await backup());
	assert.deepEqual(await whole(copy), before);
	await copy.stop();
});

test('backups after many logs, restored: the same fleet; and the check passes both', { timeout: 4 * CHECK_MS }, async () => {
	for (let round = 1; round <= 3; round++) {
		await importLines(40_000, 1000, round);
		const before = await rows(hub), copy = await restored(await backup());
		assert.deepEqual(await rows(copy), before, `round ${round}`);
		await copy.stop();
		const check = await copy.cli(['check'], { timeout: CHECK_MS });
		assert.equal(check.code, 0, `${check.code} ${check.stdout}${check.stderr}`);
	}
	await hub.stop();
	const check = await hub.cli(['check'], { timeout: CHECK_MS, env: { LD_PRELOAD: '' } });
	assert.equal(check.code, 0, `${check.code} ${check.stdout}${check.stderr}`);
	await hub.start();
});

test('backups under mixed writes, restored: nothing that was acknowledged before is missing', { timeout: 4 * CHECK_MS }, async (t) => {
	const fleet = new Fleet(hub, { seed: chooseSeed('backup'), prefix: 'load-', operators: 3, registrars: 1 });
	await fleet.prepare();
	fleet.start();
	for (let round = 0; round < 3; round++) {
		const then = fleet.acknowledged;
		await fleet.during(60_000 * SLOW, () => fleet.acknowledged > then + 300);
		const before = await rows(hub), from = await backup(), behind = await rows(hub);
		const copy = await restored(from), found = await rows(copy);
		between(before, copy, found, behind);
		t.diagnostic(`round ${round + 1}: ${fleet.acknowledged - then} acknowledged meanwhile, ${found.size} twins restored`);
		await copy.stop();
	}
	await fleet.stop();
	fleet.close();
});

// ---- other loads: each goes round and round while backups are made ----

const configuration = (id, n) => ({ id, priority: 10, targetCondition: "STARTSWITH(deviceId, 'im')", content: { deviceContent: { [`properties.desired.laid.${id}`]: n } } });

const applied = async (of) => (await rows(of, 'SELECT deviceId FROM devices WHERE is_defined(properties.desired.laid.c0)')).size;

const loads = {
	imports: (n) => importLines(3000, 1000, `load-${n}`),
	jobs: async () => {
		const n = ++njob, job = `job-${n}`, body = { type: 'scheduleUpdateTwin', queryCondition: "STARTSWITH(deviceId, 'im')",
			updateTwin: { etag: '*', properties: { desired: { job: n, [`of${n % 4}`]: 'x'.repeat(n % 100) } } } };
		assert.equal((await hub.rest('PUT', `/jobs/v2/${job}`, { body })).status, 200);
		await until(async () => (await get(hub, `/jobs/v2/${job}`)).status === 'completed', job, { ms: CHECK_MS });
	},
	configurations: async () => { // made, given another priority, deleted; in turns
		const n = ++nconfiguration, where = `/configurations/c${1 + (n % 2)}`, there = await hub.rest('GET', where), headers = { 'If-Match': '*' };
		const answer = there.status === 404 ? await hub.rest('PUT', where, { body: configuration(`c${1 + (n % 2)}`, n) })
			: there.body.priority === 10 ? await hub.rest('PUT', where, { body: { ...there.body, priority: n % 9 }, headers })
				: await hub.rest('DELETE', where, { headers });
		assert.ok(answer.status === 200 || answer.status === 204, answer.text);
	},
};

// Starts them; the result: how far they are, and what stops them.
function load(names) {
	const turns = Object.fromEntries(names.map((name) => [name, 0]));
	let running = true, failure;
	const all = Promise.all(names.map(async (name) => {
		while (running && !failure) await loads[name](++turns[name]).catch((error) => { failure ??= error; });
	}));
	const check = () => { if (failure) throw failure; };
	return { turns, check, async stop() { running = false; await all; check(); } };
}

// Jobs that were under way go on and come to their end; each of their twins has what they say.
async function jobsEnd(of) {
	const found = await get(of, '/jobs/v2/query?pageSize=100');
	for (const { jobId } of found.filter((job) => job.jobId.startsWith('job-'))) {
		const end = await until(async () => {
			const job = await get(of, `/jobs/v2/${jobId}`);
			return job.status === 'completed' && job;
		}, `${jobId} ended in the restored hub`, { ms: CHECK_MS });
		const { deviceCount, succeededCount } = end.deviceJobStatistics;
		assert.equal(deviceCount, 1000, jobId);
		assert.equal(succeededCount, 1000, jobId);
	}
}

// What configurations say is what their devices have.
async function configurationsHold(of) {
	const set = await get(of, '/configurations?top=100');
	const laid = Object.fromEntries(set.flatMap((one) => Object.entries(one.content.deviceContent).map(([at, n]) => [at.split('.').pop(), n])));
	await until(async () => [...(await rows(of, "SELECT * FROM devices WHERE STARTSWITH(deviceId, 'im')")).values()].every((twin) => {
		const has = Object.entries(twin.properties.desired.laid ?? {});
		return JSON.stringify(has.sort()) === JSON.stringify(Object.entries(laid).sort());
	}), 'the configurations are laid', { ms: CHECK_MS });
}

for (const names of [...Object.keys(loads).map((name) => [name]), Object.keys(loads)]) {
	test(`backups under ${names.join(', ')}, restored: no older than before, no newer than behind, and it goes on`, { timeout: 4 * CHECK_MS }, async (t) => {
		const under = load(names);
		for (let round = 0; round < names.length; round++) {
			const then = { ...under.turns };
			await until(() => { under.check(); return names.every((name) => under.turns[name] > then[name]); }, 'each load has turned', { ms: CHECK_MS });
			const before = await rows(hub), from = await backup(), behind = await rows(hub);
			const copy = await restored(from);
			between(before, copy, await rows(copy), behind);
			await jobsEnd(copy);
			await configurationsHold(copy);
			await copy.stop();
		}
		await under.stop();
		t.diagnostic(JSON.stringify(under.turns));
	});
}

test('a backup that fails leaves no directory', { timeout: CHECK_MS }, async () => {
	say('fail');
	try {
		const answer = await hub.rest('POST', `/admin/backup?to=${encodeURIComponent(broken)}`);
		assert.equal(answer.status, 500, answer.text);
		assert.match(answer.text, /broken/);
		assert.ok(!fs.existsSync(broken));
	} finally {
		unsay('fail');
	}
	assert.equal((await hub.rest('POST', `/admin/backup?to=${encodeURIComponent(broken)}`)).status, 200);
	fs.rmSync(broken, { recursive: true });
});

test('a backup goes where one may be, or is refused with 400', { timeout: CHECK_MS }, async () => {
	const link = path.join(scratch, 'link');
	fs.symlinkSync(path.join(hub.dir, 'store'), link);
	const before = fs.readdirSync(hub.dir, { recursive: true }).filter((name) => !/\.(log|sst)$|MANIFEST|OPTIONS|NEWEST/.test(name)).sort();
	for (const to of [path.join(hub.dir, 'b'), path.join(hub.dir, 'store', 'b'), path.join(link, 'b'), path.join(hub.dir, 'store', '..', 'b'),
		path.join(scratch, 'none', 'b'), `${scratch}/a\0b`, `${scratch}/a\nb`, `${scratch}/a\rb`, `${scratch}/a\x7fb`, scratch, 'relative', `/${'x'.repeat(5000)}`]) {
		const answer = await hub.rest('POST', `/admin/backup?to=${encodeURIComponent(to)}`);
		assert.equal(`${answer.status} ${answer.headers['iothub-errorcode']}`, '400 ArgumentInvalid', JSON.stringify(to.slice(-40)));
	}
	assert.deepEqual(fs.readdirSync(hub.dir, { recursive: true }).filter((name) => !/\.(log|sst)$|MANIFEST|OPTIONS|NEWEST/.test(name)).sort(), before);
	assert.ok(!fs.existsSync(path.join(scratch, 'a')), 'no path is cut at its NUL');
});

test('a full disk is no fault of the path that a backup is to have: 500, and 200 when there is room', { timeout: CHECK_MS }, async () => {
	const to = `/admin/backup?to=${encodeURIComponent(broken)}`;
	say('full');
	try {
		const answer = await hub.rest('POST', to);
		assert.equal(`${answer.status} ${answer.headers['iothub-errorcode']}`, '500 ServerError');
		assert.match(answer.body.Message, /broken cannot be made: No space left on device/);
	} finally {
		unsay('full');
	}
	assert.equal((await hub.rest('POST', to)).status, 200);
	fs.rmSync(broken, { recursive: true });
});

test('a restore whose renames or syncs fail says so and leaves nothing', { timeout: 2 * CHECK_MS }, async () => {
	const from = await backup();
	for (const word of ['fail-rename', 'fail'])
		for (const there of [false, true]) {
			if (there) fs.mkdirSync(broken);
			say(word);
			const failed = await hub.cli(['restore', from, '--data', broken], { timeout: CHECK_MS, data: false });
			unsay(word);
			assert.equal(failed.code, 1, `${word}: ${failed.stdout}${failed.stderr}`);
			assert.match(failed.stderr, /^twinhub: [^\n]+\n$/);
			assert.deepEqual(there ? fs.readdirSync(broken) : fs.existsSync(broken), there ? [] : false);
			if (there) fs.rmdirSync(broken);
		}
	const whole = await hub.cli(['restore', from, '--data', broken], { timeout: CHECK_MS, data: false });
	assert.equal(whole.code, 0, whole.stderr);
});
