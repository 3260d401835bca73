// of the store alone
// Backups that can be trusted: O-160 to O-169. What comes out of one is in tests/crash/backup.test.mjs, kills are in backup_kill.test.mjs.
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { spawnSync } from 'node:child_process';
import { BINARY, REPOSITORY, freeAddress, startHub, stopAll, tempDir, until } from '../lib/hub.mjs';

const SLOW = Number(process.env.TWINHUB_TEST_SLOW ?? 1);
const hubs = [];
after(() => stopAll(...hubs));

async function hubOf(options) {
	const hub = await startHub(options);
	hubs.push(hub);
	return hub;
}

const run = (...args) => {
	const r = spawnSync(BINARY, args, { encoding: 'utf8', timeout: 120_000 * SLOW });
	return { code: r.status, stdout: r.stdout, stderr: r.stderr };
};
const expect = (code, ...args) => {
	const r = run(...args);
	assert.equal(r.code, code, `${args.join(' ')}: ${r.stdout}${r.stderr}`);
	return code === 0 ? r.stdout : r.stderr;
};
const sha256 = (bytes) => crypto.createHash('sha256').update(bytes).digest('hex');
const manifest = (dir) => JSON.parse(fs.readFileSync(path.join(dir, 'backup.json')));
const state = async (hub) => (await hub.rest('GET', '/admin/backups')).body;
const scheduled = (dir) => fs.readdirSync(dir).filter((name) => /^twinhub-\d{8}T\d{6}Z$/.test(name)).sort();
const files = (dir) => fs.readdirSync(dir, { recursive: true }).map(String).filter((name) => fs.statSync(path.join(dir, name)).isFile()).sort();

// A copy of its own: files of a backup may be the hub's, by links.
function copyOf(backup) {
	const copy = path.join(tempDir('copy'), 'backup');
	fs.cpSync(backup, copy, { recursive: true });
	return copy;
}

function flip(file) {
	const bytes = fs.readFileSync(file);
	bytes[Math.floor(bytes.length / 2)] ^= 0x10;
	fs.writeFileSync(file, bytes);
}

test('O-160 O-167 a manifest says what is in a backup; each file that is not so is named, and refused', async () => {
	const hub = await hubOf();
	for (let i = 0; i < 5; i++) await hub.createDevice(`d${i}`);
	assert.equal((await hub.rest('PUT', '/devices/d0/modules/m', { body: { deviceId: 'd0', moduleId: 'm' } })).status, 200);
	const backup = path.join(tempDir('backup'), 'b'), before = Date.now();
	const made = JSON.parse(expect(0, 'backup', backup, '--data', hub.dir));
	const m = manifest(backup);
	assert.deepEqual(m.files.map((f) => f.name), [...m.files.map((f) => f.name)].sort());
	assert.deepEqual(m.files.map((f) => f.name), files(backup).filter((name) => name !== 'backup.json'));
	for (const f of m.files) {
		const bytes = fs.readFileSync(path.join(backup, f.name));
		assert.deepEqual([f.bytes, f.sha256], [bytes.length, sha256(bytes)], f.name);
		assert.equal(fs.statSync(path.join(backup, f.name)).mode & 0o777, 0o600, f.name);
	}
	assert.equal(fs.statSync(backup).mode & 0o777, 0o700);
	assert.equal(m.sha256, sha256(m.files.map((f) => `${f.sha256}  ${f.name}\n`).join('')));
	assert.deepEqual([m.identities, m.bytes, m.format], [6, m.files.reduce((sum, f) => sum + f.bytes, 0), JSON.parse(fs.readFileSync(path.join(hub.dir, 'hub.json'))).format]);
	assert.equal(`twinhub ${m.program}\n`, run('--version').stdout);
	assert.equal(m.hubId, JSON.parse(fs.readFileSync(path.join(hub.dir, 'hub.json'))).hubId);
	assert.ok(Math.abs(Date.parse(m.made) - before) < 60_000);
	assert.deepEqual([made.backup, made.files, made.bytes, made.identities], [backup, m.files.length, m.bytes, 6]);

	const good = JSON.parse(expect(0, 'check', '--data', backup));
	assert.deepEqual([good.damaged, good.backup.identities, good.backup.manifest, good.notes], [0, 6, true, []]);
	const target = path.join(tempDir('target'), 'data');
	const damages = [...m.files.map((f) => [f.name, flip]),
		['backup.json', flip],
		['hub.json', (f) => fs.appendFileSync(f, ' ')],
		['store/CURRENT', (f) => fs.rmSync(f)],
		['ca.pem', (f) => fs.rmSync(f)],
		['twinhub.conf', (f) => fs.truncateSync(f, 0)],
		['policies.json.new', (f) => fs.writeFileSync(f, '{}')],
		['store/000001.sst', (f) => fs.writeFileSync(f, '')]];
	for (const [name, damage] of damages) {
		const copy = copyOf(backup);
		damage(path.join(copy, name));
		// Both read all of it by the same function: restore is asked of some.
		const asked = [['check', '--data', copy], ['restore', copy, '--data', target]].slice(0, damages.findIndex(([other]) => other === name) % 3 === 0 ? 2 : 1);
		for (const args of asked) {
			const r = run(...args);
			assert.equal(r.code, 5, `${args[0]} ${name}: ${r.stdout}${r.stderr}`);
			assert.ok(r.stderr.includes(path.join(copy, name)), `${args[0]} ${name}: ${r.stderr}`);
			if (args[0] === 'check') assert.ok(JSON.parse(r.stdout).bad.some((b) => b.file === name), r.stdout);
		}
		assert.ok(!fs.existsSync(target), name);
		fs.rmSync(copy, { recursive: true });
	}
	// A manifest of another one: every file is as it says, or not, and it counts what is in the store.
	const copy = copyOf(backup);
	fs.writeFileSync(path.join(copy, 'backup.json'), fs.readFileSync(path.join(copy, 'backup.json'), 'utf8').replace(/,"sum":.*/, '}'));
	assert.match(expect(5, 'check', '--data', copy), /backup\.json is damaged: it is no manifest of a backup/);
});

test('O-167 a backup of a former program is restored, and both say that it has no list of files', async () => {
	const hub = await hubOf();
	await hub.createDevice('d');
	const backup = path.join(tempDir('backup'), 'b');
	expect(0, 'backup', backup, '--data', hub.dir);
	for (const former of [() => fs.writeFileSync(path.join(backup, 'backup.json'), `{"made":"2026-11-01T00:00:00Z"}\n`), () => fs.rmSync(path.join(backup, 'backup.json'))]) {
		former();
		const marked = fs.existsSync(path.join(backup, 'backup.json')), target = path.join(tempDir('former'), 'data');
		const check = JSON.parse(expect(0, 'check', '--data', backup));
		assert.equal(check.notes.some((note) => note.file === 'backup.json' && /lists no files/.test(note.what)), marked);
		const r = run('restore', backup, '--data', target);
		assert.equal(r.code, 0, r.stderr);
		assert.match(r.stderr, /backup\.json: it lists no files, as those of former programs/);
		assert.equal(run('check', '--data', target).code, 0);
	}
});

test('O-167 a backup in a former stored format is restored, served, and backed up in this one', async () => {
	const root = tempDir('format'), former = path.join(root, 'stopped'), target = path.join(root, 'data');
	assert.equal(spawnSync('tar', ['-C', root, '-xf', path.join(REPOSITORY, 'tests/crash/former/format1.tar.xz')]).status, 0);
	fs.writeFileSync(path.join(former, 'backup.json'), '{"made":"2026-01-01T00:00:00Z"}\n');
	expect(0, 'check', '--data', former);
	expect(0, 'restore', former, '--data', target);
	const hub = await hubOf({ dir: target });
	assert.equal(JSON.parse(expect(0, 'backup', path.join(root, 'now'), '--data', target)).identities, 31);
	assert.equal(manifest(path.join(root, 'now')).format, JSON.parse(fs.readFileSync(path.join(target, 'hub.json'))).format);
	await hub.stop();
});

test('O-163 O-164 O-165 one at its time, the newest stay, and what is not ours is left alone', { timeout: 120_000 * SLOW }, async () => {
	const dir = path.join(tempDir('schedule'), 'backups');
	const hub = await hubOf({ args: ['--backup-dir', dir, '--backup-every', '1', '--backup-keep', '2'] });
	await until(() => fs.existsSync(dir) && scheduled(dir).length > 0, 'the first one');
	assert.equal(fs.statSync(dir).mode & 0o777, 0o700);
	// Other things that bear, or nearly bear, such a name: another hub's, a damaged one, a file, one that was cut short.
	const one = copyOf(path.join(dir, scheduled(dir).at(-1))), foreign = path.join(dir, 'twinhub-20010101T000000Z');
	const other = await hubOf();
	expect(0, 'backup', foreign, '--data', other.dir);
	fs.cpSync(one, path.join(dir, 'twinhub-20010101T000001Z'), { recursive: true });
	flip(path.join(dir, 'twinhub-20010101T000001Z', 'backup.json'));
	fs.writeFileSync(path.join(dir, 'twinhub-20010101T000002Z'), 'a file');
	fs.cpSync(one, path.join(dir, 'by-hand'), { recursive: true });
	fs.cpSync(one, path.join(dir, 'twinhub-20010101T000003Z.old'), { recursive: true });
	fs.mkdirSync(path.join(dir, 'twinhub-20010101T000004Z.partial'));
	fs.writeFileSync(path.join(dir, 'twinhub-20010101T000004Z.partial', 'backup.part'), '');
	fs.mkdirSync(path.join(dir, 'twinhub-20010101T000005Z.partial'));
	fs.writeFileSync(path.join(dir, 'twinhub-20010101T000005Z.partial', 'mine'), 'not the hub\'s');
	fs.symlinkSync(path.join(dir, 'by-hand'), path.join(dir, 'twinhub-20010101T000006Z.partial'));
	const ours = () => scheduled(dir).filter((name) => !name.startsWith('twinhub-2001'));
	const first = ours()[0];
	await until(() => !ours().includes(first), 'the oldest has gone');
	assert.ok(ours().length <= 3, ours().join());
	for (const name of ['twinhub-20010101T000000Z', 'twinhub-20010101T000001Z', 'twinhub-20010101T000002Z', 'twinhub-20010101T000003Z.old', 'by-hand/backup.json', 'by-hand/hub.json', 'twinhub-20010101T000005Z.partial/mine'])
		assert.ok(fs.existsSync(path.join(dir, name)), name);
	await until(() => /20010101T000004Z\.partial was cut short, and is removed/.test(hub.logs), 'the log tells');
	assert.ok(!fs.existsSync(path.join(dir, 'twinhub-20010101T000004Z.partial')));
	const s = await state(hub);
	assert.deepEqual([s.directory, s.everySeconds, s.keep], [dir, 1, 2]);
	assert.ok(s.successes >= 3 && s.failures === 0 && s.lastFailure === undefined, JSON.stringify(s));
	assert.equal(s.lastSuccess.scheduled, true);
	assert.ok(s.backups.length >= 2 && s.backups.every((b) => path.dirname(b.path) === dir && !b.path.includes('2001')), JSON.stringify(s));
	assert.match(hub.logs, /level=info msg="backup made: \S+, \d+ bytes in \d+ files/);
	await hub.stop();
	assert.deepEqual(fs.readdirSync(dir).filter((name) => name.endsWith('.partial') && !name.includes('2001')), []);
	// Over a restart the time goes on: none is made that is not due, and the last one is known.
	hub.args = ['--backup-dir', dir, '--backup-every', '3600'];
	const there = ours();
	await hub.start();
	await until(async () => (await state(hub)).next !== undefined, 'it has looked');
	const again = await state(hub);
	assert.equal(path.basename(again.lastSuccess.path), there.at(-1));
	assert.ok(Date.parse(again.next) > Date.now() + 3_000_000, again.next);
	assert.deepEqual(ours(), there);
	await hub.stop();
	expect(1, 'serve', '--data', hub.dir, '--backup-dir', path.join(hub.dir, 'b'), '--check');
});

test('O-162 on the hub\'s file system tables are its own; elsewhere they are shared with the backup before, if that is good', { skip: !otherDisk() && 'no second file system' }, async () => {
	const here = path.join(tempDir('here'), 'b'), there = fs.mkdtempSync('/dev/shm/twinhub-test-');
	try {
		const hub = await hubOf({ args: ['--backup-dir', there, '--backup-every', '1', '--backup-keep', '1000'] });
		for (let i = 0; i < 20; i++) await hub.createDevice(`d${i}`);
		expect(0, 'backup', here, '--data', hub.dir);
		const inode = (file) => fs.statSync(file).ino, tables = (dir) => fs.readdirSync(path.join(dir, 'store')).filter((name) => name.endsWith('.sst'));
		for (const name of tables(here))
			assert.ok(!fs.existsSync(path.join(hub.dir, 'store', name)) || inode(path.join(here, 'store', name)) === inode(path.join(hub.dir, 'store', name)), name);
		const two = await until(() => scheduled(there).length >= 3 && scheduled(there).slice(-2).map((name) => path.join(there, name)), 'three of them');
		const both = tables(two[1]).filter((name) => tables(two[0]).includes(name));
		assert.ok(both.length > 0);
		for (const name of both) assert.equal(inode(path.join(two[1], 'store', name)), inode(path.join(two[0], 'store', name)), name);
		// What the other disk has changed is not shared on.
		await hub.stop();
		const last = path.join(there, scheduled(there).at(-1));
		for (const name of tables(last)) flip(path.join(last, 'store', name)); // not all of them need be the hub's any more
		await hub.start();
		const next = await until(() => scheduled(there).map((name) => path.join(there, name)).find((dir) => dir > last), 'a new one');
		assert.equal(run('check', '--data', next).code, 0);
		assert.equal(run('check', '--data', last).code, 5);
		await until(() => tables(last).some((name) => hub.logs.includes(`${path.join(last, 'store', name)} is damaged`)), 'the log tells');
		await hub.stop();
	} finally {
		fs.rmSync(there, { recursive: true, force: true });
	}
});

function otherDisk() {
	return fs.existsSync('/dev/shm') && fs.statSync('/dev/shm').dev !== fs.statSync(tempDir('disk')).dev;
}

async function metric(hub, name) {
	const page = await (await fetch(`http://${hub.addr}:9464/metrics`)).text();
	return Number(page.match(new RegExp(`^twinhub_${name} (\\S+)$`, 'm'))[1]);
}

test('O-165 O-168 a failure is told in the log, /readyz, GET /admin/backups and metrics, removes none, and is over with the next good one', { timeout: 120_000 * SLOW }, async () => {
	const root = tempDir('failing'), dir = path.join(root, 'backups');
	const hub = await hubOf({ args: ['--backup-dir', dir, '--backup-every', '1', '--backup-keep', '1'] });
	await until(async () => (await state(hub)).successes > 0, 'a good one');
	assert.ok(await metric(hub, 'backup_last_success_timestamp_seconds') > Date.now() / 1000 - 60);
	assert.ok(await metric(hub, 'backup_last_bytes') > 1000 && await metric(hub, 'backup_last_duration_seconds') > 0);
	assert.equal(JSON.parse(expect(0, 'check', '--online', '--data', hub.dir)).damaged, 0);
	// The disk has gone: a file stands where it was mounted.
	fs.renameSync(dir, path.join(root, 'away'));
	fs.writeFileSync(dir, '');
	await until(async () => (await state(hub)).failingSince !== undefined, 'a failure');
	const s = await state(hub), ready = await hub.rest('GET', '/readyz');
	assert.equal(ready.status, 200);
	assert.equal(ready.body.backupsFailingSince, s.failingSince);
	assert.match(s.lastFailure.why, /backups/);
	assert.ok(s.failures >= 1);
	assert.ok(await metric(hub, 'backup_failures_total') >= 1 && await metric(hub, 'backups_total') >= 1);
	await until(() => /level=error msg="backup failed: \S+backups: /.test(hub.logs), 'the log tells');
	assert.match(expect(4, 'check', '--online', '--data', hub.dir), /not on this machine, or are gone/);
	fs.rmSync(dir);
	fs.renameSync(path.join(root, 'away'), dir);
	const online = run('check', '--online', '--data', hub.dir);
	assert.ok(online.code === 1 ? /the hub's backups fail since/.test(online.stderr) : online.code === 0, `${online.code} ${online.stderr}`);
	await until(async () => (await state(hub)).failingSince === undefined, 'it is over');
	assert.equal((await hub.rest('GET', '/readyz')).body.backupsFailingSince, undefined);
	assert.equal(run('check', '--online', '--data', hub.dir).code, 0);
	await hub.stop();
	expect(3, 'check', '--online', '--data', hub.dir);
});

test('O-168 check --online has an exit code for each thing that may be', async () => {
	const hub = await hubOf(), root = tempDir('online'), backup = path.join(root, 'b');
	assert.match(expect(4, 'check', '--online', '--data', hub.dir), /has no backup yet/);
	expect(0, 'backup', backup, '--data', hub.dir);
	assert.equal(JSON.parse(expect(0, 'check', '--online', '--data', hub.dir)).data, backup);
	const table = fs.readdirSync(path.join(backup, 'store')).find((name) => name.startsWith('MANIFEST'));
	flip(path.join(backup, 'store', table));
	assert.match(expect(5, 'check', '--online', '--data', hub.dir), new RegExp(table));
	fs.rmSync(backup, { recursive: true });
	assert.match(expect(4, 'check', '--online', '--data', hub.dir), /not on this machine, or are gone/);
});

const NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--'];
const possible = process.getuid() === 0 && spawnSync(NOBODY[0], [...NOBODY.slice(1), BINARY, '--version']).status === 0;

test('O-168 check --online: 9 to a user who may not read the backup, wherever that is refused', { skip: !possible && 'needs root, and a program that others may run' }, async () => {
	const hub = await hubOf(), root = tempDir('denied'), backup = path.join(root, 'b'), ca = path.join(tempDir('ca'), 'ca.pem');
	expect(0, 'backup', backup, '--data', hub.dir);
	fs.chmodSync(path.dirname(ca), 0o755);
	fs.copyFileSync(hub.ca, ca);
	fs.chmodSync(ca, 0o644);
	const text = await hub.connectionString('iothubowner'), args = ['check', '--online', '--connection-string', text, '--ca', ca];
	assert.equal(run(...args).code, 0);
	for (const [at, mode] of [[root, 0o700], [root, 0o755], [backup, 0o755], [path.join(backup, 'store'), 0o755]]) {
		fs.chmodSync(at, mode);
		const r = spawnSync(NOBODY[0], [...NOBODY.slice(1), BINARY, ...args], { encoding: 'utf8' });
		assert.equal(r.status, 9, `${at} ${mode}: ${r.stdout}${r.stderr}`);
		assert.match(r.stderr, /^twinhub: \S+ may not be read by this user/);
	}
	for (const file of files(backup)) fs.chmodSync(path.join(backup, file), 0o644);
	const r = spawnSync(NOBODY[0], [...NOBODY.slice(1), BINARY, ...args], { encoding: 'utf8' });
	assert.equal(r.status, 0, r.stderr);
});

test('O-168 O-166 check --online: 1 when the newest is overdue; one that is being made excuses it for a while, not for ever', { timeout: 120_000 * SLOW }, async () => {
	const [clock, hold] = ['set_clock', 'hold_sync'].map((name) => path.join(path.dirname(BINARY), `lib${name}.so`));
	const control = tempDir('words'), root = tempDir('overdue'), slow = path.join(root, 'slow');
	const hub = await hubOf({ args: ['--backup-dir', path.join(root, 'backups'), '--backup-every', '600'],
		env: { LD_PRELOAD: hold, TWINHUB_HOLD_CONTROL: control, TWINHUB_HOLD_DATA: slow, ASAN_OPTIONS: `${process.env.ASAN_OPTIONS ?? ''}:verify_asan_link_order=0` } });
	await until(async () => (await state(hub)).successes > 0, 'the first one');
	// In so many seconds, by the clock of who asks.
	const online = (s) => spawnSync(BINARY, ['check', '--online', '--data', hub.dir], { encoding: 'utf8',
		env: { ...process.env, LD_PRELOAD: clock, TWINHUB_CLOCK: String(Math.floor(Date.now() / 1000) + s), ASAN_OPTIONS: `${process.env.ASAN_OPTIONS ?? ''}:verify_asan_link_order=0` } });
	assert.equal(online(1000).status, 0);
	const late = online(1900);
	assert.equal(late.status, 1, late.stderr);
	assert.match(late.stderr, /^twinhub: the latest backup is (18|19)\d\d s old, and one is due every 600 s\n$/);
	fs.writeFileSync(path.join(control, 'hold'), '');
	const making = hub.rest('POST', `/admin/backup?to=${encodeURIComponent(slow)}`);
	await until(async () => (await state(hub)).running, 'one is being made');
	assert.ok(Math.abs(Date.parse((await state(hub)).runningSince) - Date.now()) < 60_000 * SLOW);
	assert.equal(online(1900).status, 0);
	assert.equal(online(7200).status, 1);
	// One more waits for it; others are refused, so that what is asked beside them is answered.
	const waits = hub.rest('POST', `/admin/backup?to=${encodeURIComponent(path.join(root, 'waits'))}`);
	await until(async () => (await hub.rest('POST', `/admin/backup?to=${encodeURIComponent(path.join(root, 'more'))}`)).status === 429, 'the third');
	assert.equal((await hub.rest('GET', '/admin/policies')).status, 200);
	fs.rmSync(path.join(control, 'hold'));
	assert.deepEqual([(await making).status, (await waits).status], [200, 200]);
	assert.ok(!fs.existsSync(path.join(root, 'more')));
	assert.equal((await state(hub)).runningSince, undefined);
});

test('O-164 O-168 a clock that was set back: what it has dated later is neither the newest nor kept for it', { timeout: 120_000 * SLOW }, async () => {
	const dir = path.join(tempDir('back'), 'backups'), args = ['--backup-dir', dir, '--backup-every', '3600'];
	const hub = await hubOf();
	await hub.stop();
	Object.assign(hub, { args, env: { LD_PRELOAD: path.join(path.dirname(BINARY), 'libset_clock.so'), TWINHUB_CLOCK: String(Math.floor(Date.now() / 1000) + 86_400), ASAN_OPTIONS: `${process.env.ASAN_OPTIONS ?? ''}:verify_asan_link_order=0` } });
	await hub.start();
	const [later] = await until(() => fs.existsSync(dir) && scheduled(dir).length > 0 && scheduled(dir), 'one of tomorrow');
	await hub.stop();
	Object.assign(hub, { args: [...args.slice(0, 3), '1', '--backup-keep', '2'], env: {} });
	await hub.start();
	const now = await until(() => scheduled(dir).find((name) => name < later), 'one of today');
	assert.notEqual(JSON.parse(expect(0, 'check', '--online', '--data', hub.dir)).data, path.join(dir, later));
	await until(() => !fs.existsSync(path.join(dir, later)), 'it goes first');
	assert.ok(now < later && scheduled(dir).length >= 1);
	await hub.stop();
});

test('O-161 what is not whole yet is no backup, and no hub\'s data', async () => {
	const hub = await hubOf(), backup = path.join(tempDir('half'), 'b'), target = path.join(tempDir('half'), 'data');
	expect(0, 'backup', backup, '--data', hub.dir);
	fs.rmSync(path.join(backup, 'backup.json'));
	fs.writeFileSync(path.join(backup, 'backup.part'), '');
	assert.match(expect(5, 'check', '--data', backup), /it was cut short, or is being made/);
	assert.match(expect(5, 'restore', backup, '--data', target), /it was cut short, or is being made/);
	assert.match(expect(1, 'serve', '--data', backup, '--bind', await freeAddress()), /a backup that was cut short, or is being made/);
	assert.ok(!fs.existsSync(target));
});

test('O-163 a directory in the data directory is refused, whatever link leads there', async () => {
	const hub = await hubOf(), root = tempDir('within');
	await hub.stop();
	fs.symlinkSync(hub.dir, path.join(root, 'data'));
	fs.symlinkSync(path.join(hub.dir, 'store'), path.join(root, 'store'));
	fs.symlinkSync(root, path.join(root, 'elsewhere'));
	for (const dir of [hub.dir, `${hub.dir}/`, path.join(hub.dir, 'b'), path.join(hub.dir, 'store'), path.join(root, 'data'), path.join(root, 'data', 'b'), path.join(root, 'store')])
		assert.match(expect(1, 'serve', '--data', hub.dir, '--bind', hub.addr, '--backup-dir', dir), /--backup-dir \S+ is in the hub's data directory/);
	expect(0, 'serve', '--data', hub.dir, '--bind', hub.addr, '--backup-dir', path.join(root, 'elsewhere'), '--check');
});

test('O-164 two hubs with one directory: each makes its own, and takes away nothing of the other\'s', { timeout: 120_000 * SLOW }, async () => {
	const dir = path.join(tempDir('two'), 'backups'), args = ['--backup-dir', dir, '--backup-every', '1', '--backup-keep', '2'];
	const two = [await hubOf({ args }), await hubOf({ args })];
	for (const hub of two) await until(async () => (await state(hub)).successes >= 4, 'four of each');
	for (const hub of two) {
		const s = await state(hub);
		assert.deepEqual([s.failures, s.lastFailure], [0, undefined]);
		assert.doesNotMatch(hub.logs, /was cut short/);
	}
	await stopAll(...two);
	const of = new Map();
	for (const name of scheduled(dir)) {
		expect(0, 'check', '--data', path.join(dir, name));
		of.set(manifest(path.join(dir, name)).hubId, (of.get(manifest(path.join(dir, name)).hubId) ?? 0) + 1);
	}
	assert.deepEqual([...of.values()], [2, 2]);
});

test('O-163 a directory that has gone is made again, and the log tells', { timeout: 120_000 * SLOW }, async () => {
	const dir = path.join(tempDir('gone'), 'backups');
	const hub = await hubOf({ args: ['--backup-dir', dir, '--backup-every', '1'] });
	await until(async () => (await state(hub)).successes > 0, 'the first one');
	fs.rmSync(dir, { recursive: true, force: true });
	const { successes } = await until(async () => { const s = await state(hub); return s.backups.length === 0 && s; }, 'it has gone');
	await until(async () => (await state(hub)).successes > successes, 'the next one');
	assert.equal(hub.logs.match(/level=warn msg="\S+backups was not there, and is made for backups"/g)?.length, 2, hub.logs);
	await hub.stop();
});

function importMany(hub, n, bytes) {
	const file = path.join(tempDir('lines'), 'lines');
	fs.writeFileSync(file, Array.from({ length: n }, (_, i) => `${JSON.stringify({ id: `d${i}`, tags: { a: crypto.randomBytes(bytes).toString('base64') } })}\n`).join(''));
	expect(0, 'import', file, '--data', hub.dir);
}

test('O-162 what a backup shares with the hub by links the hub never writes to again', async () => {
	const hub = await hubOf({ args: ['--memory', '64M'] }), backup = path.join(tempDir('linked'), 'b'), shared = (dir) => files(dir).filter((name) => fs.statSync(path.join(dir, name)).nlink > 1);
	importMany(hub, 500, 500);
	expect(0, 'backup', backup, '--data', hub.dir);
	const linked = shared(backup);
	assert.ok(linked.length > 3 && linked.every((name) => /^store\/\d+\.sst$/.test(name)), linked.join());
	for (let i = 0; i < 5; i++) importMany(hub, 500, 500);
	await hub.restart();
	importMany(hub, 500, 500);
	expect(0, 'backup', path.join(path.dirname(backup), 'another'), '--data', hub.dir); // which writes what is in memory, and compacts
	assert.equal(JSON.parse(expect(0, 'check', '--data', backup)).damaged, 0);
});

test('O-161 O-164 a disk that is full: the failure is told, nothing is left of it, what was there stays good', { skip: process.getuid() !== 0 && 'needs root, to mount a small disk', timeout: 120_000 * SLOW }, async () => {
	const disk = tempDir('disk');
	if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk]).status !== 0) return;
	try {
		const dir = path.join(disk, 'backups'), hub = await hubOf({ args: ['--backup-dir', dir, '--backup-every', '1', '--backup-keep', '1'] });
		await until(async () => (await state(hub)).successes > 0, 'a good one');
		importMany(hub, 400, 1500);
		await until(async () => (await state(hub)).failures > 1, 'failures');
		const s = await state(hub);
		assert.match(s.lastFailure.why, /No space left on device/);
		assert.deepEqual(s.backups.map((b) => path.basename(b.path)), scheduled(dir));
		assert.match(expect(1, 'check', '--online', '--data', hub.dir), /the hub's backups fail since \S+: .*No space left/);
		await hub.stop();
		assert.equal(fs.readdirSync(dir).length, 1);
		expect(0, 'check', '--data', path.join(dir, scheduled(dir)[0]));
	} finally {
		await stopAll(...hubs);
		spawnSync('umount', [disk]);
	}
});

test('O-167 a directory that is all of a file system is filled, and checked: lost+found is nobody\'s', { skip: !possible && 'needs root, and a program that others may run' }, async () => {
	const hub = await hubOf(), root = tempDir('mount'), backup = path.join(root, 'b'), target = path.join(root, 'data');
	expect(0, 'backup', backup, '--data', hub.dir);
	fs.mkdirSync(path.join(target, 'lost+found'), { recursive: true });
	fs.mkdirSync(path.join(target, 'other'));
	assert.match(expect(7, 'restore', backup, '--data', target), /data is not empty/);
	fs.rmdirSync(path.join(target, 'other'));
	fs.mkdirSync(path.join(target, '.restore'));
	assert.match(expect(7, 'restore', backup, '--data', target), /data is not empty: a restore into it was cut short\. What is in it is no hub yet/);
	fs.rmdirSync(path.join(target, '.restore'));
	fs.writeFileSync(path.join(target, 'lost+found', '#12'), 'x');
	expect(0, 'restore', backup, '--data', target);
	assert.equal(fs.readFileSync(path.join(target, 'lost+found', '#12'), 'utf8'), 'x');
	for (const at of [root, target, ...files(target).map((name) => path.join(target, name)), path.join(target, 'store')]) spawnSync('chown', ['65534:65534', at]);
	fs.chmodSync(path.join(target, 'lost+found'), 0o700);
	fs.chownSync(path.join(target, 'lost+found'), 0, 0);
	const r = spawnSync(NOBODY[0], [...NOBODY.slice(1), BINARY, 'check', '--data', target], { encoding: 'utf8' });
	assert.equal(r.status, 0, r.stderr);
});

test('O-166 O-161 a backup is paced; a hub that stops gives it up and leaves nothing of it', { timeout: 120_000 * SLOW }, async () => {
	const hub = await hubOf({ args: ['--backup-rate', '1M'] }), root = tempDir('paced');
	const text = () => crypto.randomBytes(3000).toString('base64');
	const lines = Array.from({ length: 500 }, (_, i) => JSON.stringify({ id: `d${i}`, tags: { a: text() } })).join('\n');
	const file = path.join(root, 'lines');
	fs.writeFileSync(file, `${lines}\n`);
	expect(0, 'import', file, '--data', hub.dir);
	const began = Date.now(), made = JSON.parse(expect(0, 'backup', path.join(root, 'b'), '--data', hub.dir));
	assert.ok(made.bytes > 3 << 19, String(made.bytes));
	assert.ok(Date.now() - began > (made.bytes - (1 << 20)) / (1 << 20) * 1000, `${Date.now() - began} ms for ${made.bytes} bytes`);
	const second = hub.rest('POST', `/admin/backup?to=${encodeURIComponent(path.join(root, 'c'))}`).catch((error) => error);
	await until(() => fs.existsSync(path.join(root, 'c.partial', 'store')), 'it is under way');
	const stopped = Date.now();
	await hub.stop();
	assert.ok(Date.now() - stopped < 5000 * SLOW, 'nobody waits for it');
	await second;
	assert.deepEqual(fs.readdirSync(root).sort(), ['b', 'lines']);
	assert.ok(!fs.existsSync(path.join(hub.dir, 'backup.stage')));
});

test('O-169 the drill of docs/backup.md, to the letter; the rehearsed hub is nobody\'s', { timeout: 120_000 * SLOW }, async () => {
	const dir = path.join(tempDir('drill'), 'backups'), home = tempDir('drill-home');
	const hub = await hubOf({ args: ['--backup-dir', dir, '--backup-every', '3600'] });
	for (let i = 0; i < 3; i++) await hub.createDevice(`d${i}`);
	fs.appendFileSync(path.join(hub.dir, 'twinhub.conf'), `backup-dir ${dir}\nbackup-every 1\nbackup-keep 1\nbind ${hub.addr}\nlog-file ${home}/hub.log\n`);
	await hub.restart();
	await until(() => scheduled(dir).length > 0, 'the first one');
	expect(0, 'backup', path.join(home, 'newer'), '--data', hub.dir);
	const [, drill] = fs.readFileSync(path.join(REPOSITORY, 'docs/backup.md'), 'utf8').split('## The drill')[1].match(/^```sh\n(.*?)^```$/ms);
	fs.mkdirSync(path.join(home, 'bin'));
	fs.symlinkSync(BINARY, path.join(home, 'bin/twinhub'));
	const before = scheduled(dir);
	const r = spawnSync('sh', ['-euc', drill], { encoding: 'utf8', timeout: 60_000 * SLOW, cwd: home, env: { PATH: `${home}/bin:/usr/bin:/bin`, HOME: home, TMPDIR: tempDir('drill-tmp'), TWINHUB_DATA: hub.dir } });
	assert.equal(r.status, 0, `${r.stdout}${r.stderr}`);
	assert.match(r.stdout, new RegExp(`the backup ${home}/newer has 3 devices\\n$`));
	assert.match(r.stdout, /twinhub ready: \S+, https \d+, mqtts 0, 3 identities/);
	assert.deepEqual(scheduled(dir), before, 'it makes no backups, whatever its settings say');
	assert.doesNotMatch(fs.readFileSync(path.join(home, 'hub.log'), 'utf8'), /rehears|tmp\.[A-Za-z0-9]+\/data/);
	assert.equal((await hub.rest('GET', '/devices/d0')).status, 200, 'the hub has not noticed');
	expect(2, 'serve', '--ephemeral', '--rehearse');
});
