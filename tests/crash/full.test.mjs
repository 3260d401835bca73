// A disk that runs full: changes are refused with clear errors, reads go on, nothing is torn, and when space is back the
// hub goes on by itself. On a small tmpfs of its own; needs root to mount it.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { BINARY, mqttDevice, startHub, tempDir, until, within } from '../lib/hub.mjs';
import { Fleet, chooseSeed } from './fleet.mjs';

const SLOW = Number(process.env.TWINHUB_TEST_SLOW ?? 1);
const SIZE = '256m', FLOOR = '24M';
const LIMIT_MS = 60_000 * SLOW;

const mount = tempDir('full');
const data = path.join(mount, 'data');
const ballast = path.join(mount, 'ballast');
let mounted = false, why = false, hub, fleet;
try {
	execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${SIZE}`, 'tmpfs', mount], { stdio: 'pipe' });
	mounted = true;
} catch (error) {
	why = `no right to mount a small file system (${String(error.stderr ?? error).trim()}): run as root`;
}

before(async () => {
	if (!mounted) return;
	delete process.env.TWINHUB_TEST_DIR;
	hub = await startHub({ dir: data, args: ['--free-space', FLOOR, '--memory', '64M'] });
});
after(async () => {
	fleet?.close();
	fs.rmSync(ballast, { force: true });
	try {
		await hub?.stop();
	} finally {
		if (mounted) execFileSync('umount', ['-l', mount]);
	}
});

// Take all space but `leave` bytes; what the hub takes between the look and the taking is looked for again.
function fillUp(leave) {
	for (let tries = 0; ; tries++) {
		const { bavail, bsize } = fs.statfsSync(mount);
		const size = fs.existsSync(ballast) ? fs.statSync(ballast).size : 0;
		const { status, stderr } = spawnSync('fallocate', ['-l', String(Math.max(4096, size + bavail * bsize - leave)), ballast], { encoding: 'utf8' });
		if (status === 0) return;
		if (tries === 20) throw new Error(stderr);
	}
}
const makeRoom = () => fs.rmSync(ballast, { force: true });

// A line for each change of state, and none while it lasts.
async function told(of, what, times, from = 0) {
	const n = () => of.logs.slice(from).split('\n').filter((line) => what.test(line)).length;
	await until(() => n() >= times, `a line like ${what}`, { ms: LIMIT_MS });
	assert.equal(n(), times, of.logs);
}

const ready = () => hub.rest('GET', '/readyz', { token: null, apiVersion: null });
const writable = () => until(async () => (await hub.rest('PATCH', '/twins/full', { body: { tags: { probe: 1 } } })).status === 200, 'changes are taken again', { ms: LIMIT_MS });

test('O-27 clear errors while the disk is full, reads go on, and it heals by itself', { skip: why }, async () => {
	const d = await mqttDevice(hub, 'full');
	const other = await mqttDevice(hub, 'talker');
	assert.equal((await d.report({ x: 'before' })).status, 204);
	assert.equal((await ready()).status, 200);
	for (const leave of [8 << 20, 0]) {
		fillUp(leave);
		await until(async () => (await hub.rest('PATCH', '/twins/full', { body: { tags: { a: 1 } } })).status === 503, 'changes are refused', { ms: LIMIT_MS });
		const before = (await hub.rest('GET', '/twins/full')).body;

		const put = await hub.rest('PUT', '/devices/new', { body: { deviceId: 'new' } });
		assert.equal(`${put.status} ${put.headers['iothub-errorcode']}`, '503 ServiceUnavailable');
		assert.match(put.body.Message, /^ErrorCode:ServiceUnavailable;./);
		assert.equal((await hub.rest('DELETE', '/devices/talker')).status, 503);
		const report = await d.report({ x: 'during' });
		assert.equal(report.status, 503);
		assert.equal(report.body.errorCode, 503001);
		const readiness = await ready();
		assert.equal(readiness.status, 503);
		assert.match(readiness.text, /space|full/i);

		assert.deepEqual((await hub.rest('GET', '/twins/full')).body.properties, before.properties);
		assert.equal((await d.twinGet()).body.reported.x, 'before');
		assert.equal((await hub.rest('GET', '/devices/new')).status, 404);
		const rows = await hub.rest('POST', '/devices/query', { body: { query: "SELECT deviceId FROM devices WHERE deviceId = 'full'" } });
		assert.deepEqual(rows.body, [{ deviceId: 'full' }]);

		makeRoom();
		await writable();
		assert.equal((await ready()).status, 200);
	}
	assert.equal((await d.report({ x: 'after' })).status, 204);
	assert.equal((await d.twinGet()).body.reported.x, 'after');
	// a line for each change, and none for each refusal
	assert.equal(hub.logs.split(/level=warn msg="the disk is full, changes are refused: \d+ bytes are free, and \d+ are to stay \(--free-space\)"/).length, 3, hub.logs);
	await until(() => hub.logs.split('msg="the disk has room again: changes are taken"').length === 3, 'both ends');
	d.destroy();
	other.destroy();
});

test('D-30 telemetry is not acknowledged while it cannot be kept, and a will that is lost is told in the log', { skip: why }, async () => {
	const d = await mqttDevice(hub, 'telemetry', { filters: [] });
	const leaving = await mqttDevice(hub, 'leaving', { filters: [], login: { will: { topic: 'devices/leaving/messages/events/', payload: 'gone' } } });
	fillUp(0);
	await until(async () => (await ready()).status === 503, 'the hub says so', { ms: LIMIT_MS });
	const ack = d.publish('devices/telemetry/messages/events/', 'x', { qos: 1 }).then(() => 'acknowledged', () => 'not acknowledged');
	await within(Promise.race([d.ended, ack]), 'the connection to end'); // MQTT has no other "no" (device-mqtt.md 3.4)
	assert.equal(await ack, 'not acknowledged');
	leaving.destroy();
	await until(() => /msg="will not published" reason=no-writes .*device=leaving/.test(hub.logs), 'the log tells of the will', { ms: LIMIT_MS });
	makeRoom();
	await writable();
	const again = await mqttDevice(hub, 'telemetry', { filters: [] });
	await again.publish('devices/telemetry/messages/events/', 'x', { qos: 1 });
	again.destroy();
});

// With the floor changes are refused before the disk is full; without it writes fail half-way, are undone, and the store
// opens itself again.
for (const floor of [FLOOR, '0'])
	test(`three times full under load, ${floor} kept free: every acknowledged write is there, no refused one is seen`, { skip: why, timeout: 600_000 }, async (t) => {
		await hub.stop();
		hub.args = ['--free-space', floor, '--memory', '64M'];
		await hub.start();
		fleet = new Fleet(hub, { seed: chooseSeed('full'), prefix: `floor${floor}-`, operators: 3, registrars: 1 });
		await fleet.prepare();
		fleet.mayRefuse = fleet.mayReappear = true;
		for (let round = 0; round < 3; round++) {
			const acknowledged = fleet.acknowledged, refused = fleet.refused;
			fleet.start();
			await fleet.during(LIMIT_MS, () => fleet.acknowledged > acknowledged + 200);
			fillUp(round === 0 ? 4 << 20 : 0);
			const reads = fleet.readers[0].reads;
			await fleet.during(LIMIT_MS, () => fleet.refused > refused + 50 && fleet.readers[0].reads > reads + 2);
			makeRoom();
			const then = fleet.acknowledged;
			await fleet.during(LIMIT_MS, () => fleet.acknowledged > then + 200);
			await fleet.stop();
			await fleet.verify();
			t.diagnostic(`round ${round + 1}: ${fleet.acknowledged - acknowledged} acknowledged, ${fleet.refused - refused} refused`);
			assert.ok(fleet.refused > refused + 50 && fleet.acknowledged > then + 200 && fleet.readers[0].reads > reads + 2);
		}
		fillUp(0);
		fleet.start();
		await fleet.during(2000);
		await fleet.crash();
		makeRoom();
		await hub.start();
		await fleet.verify();
		fleet.close();
	});

// What can be read is, what cannot be written is refused with its reason, and nobody starts it again when the disk is well.
async function readsOnly(why) {
	const readiness = await ready();
	assert.equal(readiness.status, 503);
	assert.match(readiness.text, /takes no writes/);
	assert.match(readiness.text, why);
	assert.equal((await hub.rest('GET', '/healthz', { token: null, apiVersion: null })).status, 200);
	assert.equal((await hub.rest('GET', '/twins/full')).body.properties.reported.x, 'after');
	assert.ok((await hub.rest('POST', '/devices/query', { body: { query: 'SELECT deviceId FROM devices' } })).body.length >= 3);
	const put = await hub.rest('PUT', '/devices/new', { body: { deviceId: 'new' } });
	assert.equal(`${put.status} ${put.headers['iothub-errorcode']}`, '503 ServiceUnavailable');
	assert.match(put.body.Message, /^ErrorCode:ServiceUnavailable;./);
	const d = await mqttDevice(hub, 'full', { filters: [] }); // its session is stored, so nothing has to be
	assert.equal((await d.twinGet()).body.reported.x, 'after');
	assert.equal((await d.report({ x: 'during' })).status, 503);
	return d;
}

for (const end of ['stop', 'kill'])
	test(`O-01 O-02 a start on a full disk, after a ${end}: for reading, and it heals`, { skip: why, timeout: 4 * LIMIT_MS }, async () => {
		await hub[end]();
		fillUp(0);
		await hub.start();
		const d = await readsOnly(/No space left|full/);
		makeRoom();
		await writable();
		assert.equal((await ready()).status, 200);
		assert.equal((await d.report({ x: 'again' })).status, 204);
		assert.equal((await d.report({ x: 'after' })).status, 204);
		d.destroy();
	});

test('O-01 O-02 a start on a disk that is read-only: for reading, with the certificates that are there, and it heals', { skip: why, timeout: 4 * LIMIT_MS }, async () => {
	const log = path.join(mount, 'log'), before = hub.args;
	await hub.stop();
	hub.args = [...before, '--log-file', log, '--hostname', 'renamed.example']; // neither can be written
	execFileSync('mount', ['-o', 'remount,ro', mount]);
	try {
		await hub.start();
		const d = await readsOnly(/Read-only file system/);
		d.destroy();
		assert.ok(!fs.existsSync(log));
	} finally {
		execFileSync('mount', ['-o', 'remount,rw', mount]);
	}
	await writable();
	assert.equal((await ready()).status, 200);
	await until(() => fs.existsSync(log), 'the log has its file', { ms: LIMIT_MS });
	hub.args = before;
	await hub.restart();
});

test('O-27 its directory vanishes and returns, as a disk that is plugged out and in: nothing acknowledged is lost', { skip: why, timeout: 8 * LIMIT_MS }, async (t) => {
	const store = path.join(data, 'store'), away = path.join(data, 'away'), from = hub.logs.length;
	fleet = new Fleet(hub, { seed: chooseSeed('away'), prefix: 'away-', operators: 3, registrars: 1, readers: 0 });
	await fleet.prepare();
	fleet.mayRefuse = fleet.mayReappear = true;
	for (let round = 0; round < 2; round++) {
		fleet.start();
		const { acknowledged, refused } = fleet;
		await fleet.during(LIMIT_MS, () => fleet.acknowledged > acknowledged + 100);
		fs.renameSync(store, away);
		await fleet.during(4 * LIMIT_MS, () => fleet.refused > refused + 20); // files that are open take writes until one is full
		const readiness = await ready();
		assert.equal(readiness.status, 503);
		assert.match(readiness.text, /is not there/);
		fs.renameSync(away, store);
		const then = fleet.acknowledged;
		await fleet.during(LIMIT_MS, () => fleet.acknowledged > then + 100);
		await fleet.stop();
		await fleet.verify();
		t.diagnostic(`${fleet.acknowledged - acknowledged} acknowledged, ${fleet.refused - refused} refused`);
		assert.equal((await ready()).status, 200);
		await told(hub, /level=warn msg="the store has failed, changes are refused: [^"]*is not there/, round + 1, from);
		await told(hub, /level=warn msg="the store works again"/, round + 1, from);
	}
	await hub.restart();
	await fleet.verify();
	fleet.close();
});

// By the wall clock its second may be an hour.
test('an import job waits for room by the monotonic clock', { skip: why, timeout: 8 * LIMIT_MS }, async () => {
	const files = tempDir('files'), library = path.join(path.dirname(BINARY), 'libset_clock.so');
	assert.ok(fs.existsSync(library), `no ${library}: build the target set_clock`);
	fs.writeFileSync(path.join(files, 'devices.txt'), Array.from({ length: 50 }, (_, i) => `${JSON.stringify({ id: `job${i}`, importMode: 'create' })}\n`).join(''));
	const before = { args: hub.args, env: hub.env };
	await hub.stop();
	Object.assign(hub, { args: ['--free-space', FLOOR, '--memory', '64M', '--import-export-dir', files],
		env: { LD_PRELOAD: library, TWINHUB_CLOCK: String(Math.floor(Date.now() / 1000) + 2400), ASAN_OPTIONS: `${process.env.ASAN_OPTIONS ?? ''}:verify_asan_link_order=0` } });
	await hub.start();
	fillUp(0);
	await until(async () => (await ready()).status === 503, 'the hub says so', { ms: LIMIT_MS });
	const created = await hub.rest('POST', '/jobs/create', { body: { type: 'import', inputBlobContainerUri: `file://${files}`, outputBlobContainerUri: `file://${files}` } });
	assert.equal(created.status, 200, created.text);
	const job = async () => (await hub.rest('GET', `/jobs/${created.body.jobId}`)).body;
	for (let i = 0; i < 20; i++) assert.equal((await job()).status, 'running'); // it has been refused, and waits
	makeRoom();
	await until(async () => (await job()).status === 'completed', 'the job goes on', { ms: 4 * LIMIT_MS });
	assert.equal((await hub.rest('GET', '/devices/job49')).status, 200);
	await hub.stop();
	Object.assign(hub, before);
	await hub.start();
});

test('O-27 a limit of file sizes is a write that fails, and not the end of the hub', async () => {
	const dir = tempDir('fsize');
	const small = await startHub({ dir: path.join(dir, 'data'), args: ['--io-threads', '1', '--workers', '1'] });
	const limit = (bytes) => execFileSync('prlimit', ['--pid', String(small.pid), `--fsize=${bytes}:unlimited`]);
	const patch = async (v) => (await small.rest('PATCH', '/twins/d1', { body: { tags: { v } } })).status;
	try {
		await small.createDevice('d1');
		assert.equal(await patch('before'), 200);
		limit(1); // the log has that already
		await until(async () => await patch('not kept') === 503, 'changes are refused', { ms: LIMIT_MS });
		assert.equal((await small.rest('GET', '/twins/d1')).body.tags.v, 'before');
		limit('unlimited');
		await until(async () => await patch('after') === 200, 'changes are taken again', { ms: LIMIT_MS });
		assert.equal((await small.rest('GET', '/twins/d1')).body.tags.v, 'after');
		await told(small, /level=warn msg="the store has failed, changes are refused: [^"]*File too large/, 1);
		await told(small, /level=warn msg="the store works again"/, 1);
	} finally {
		await small.stop();
	}
});
