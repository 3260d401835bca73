// A backup is what comes out of `restore`: each one that is made here is restored, and its fleet compared with the one it was
// made of; at rest, under load, and when the store's manifest tracks many logs. What fails leaves nothing behind.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { BINARY, Hub, freeAddress, startHub, tempDir } from '../lib/hub.mjs';
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

let hub, nbackup = 0;
before(async () => {
	assert.ok(fs.existsSync(LIBRARY), `no ${LIBRARY}: build the target hold_sync`);
	delete process.env.TWINHUB_TEST_DIR;
	hub = await startHub({ dir: path.join(tempDir('source'), 'data'), args: ['--memory', '64M'], env });
});
after(async () => {
	for (const word of ['fail', 'fail-rename']) unsay(word);
	await hub?.stop();
});

async function rows(of) {
	const found = [];
	let continuation;
	do {
		const answer = await of.rest('POST', '/devices/query', { body: { query: 'SELECT * FROM devices' },
			headers: { 'x-ms-max-item-count': '1000', ...(continuation ? { 'x-ms-continuation': continuation } : {}) } });
		assert.equal(answer.status, 200, answer.text);
		found.push(...answer.body);
		continuation = answer.headers['x-ms-continuation'];
	} while (continuation);
	return new Map(found.map((twin) => [twin.deviceId, twin]));
}

async function backup() {
	const to = path.join(scratch, `backup-${nbackup++}`);
	const made = await hub.cli(['backup', to], { timeout: CHECK_MS });
	assert.equal(made.code, 0, made.stderr);
	return to;
}

// A hub on what has become of a backup.
async function restored(from) {
	const dir = `${from}-restored`;
	const restore = await hub.cli(['restore', from, '--data', dir], { timeout: CHECK_MS, data: false });
	assert.equal(restore.code, 0, `${restore.code} ${restore.stderr}`);
	const copy = new Hub({ addr: await freeAddress(), dir });
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

test('a backup at rest, restored: the same fleet', { timeout: 2 * CHECK_MS }, async () => {
	await importLines(2000, 1000, 0);
	const before = await rows(hub), copy = await restored(await backup());
	assert.deepEqual(await rows(copy), before);
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
		for (const [id, twin] of before) {
			if (/-made\d/.test(id)) continue; // these come and go
			const was = found.get(id), later = behind.get(id);
			assert.ok(was, `${id} is missing`);
			for (const section of ['desired', 'reported']) {
				const version = was.properties[section].$version;
				assert.ok(version >= twin.properties[section].$version && version <= later.properties[section].$version, `${id} ${section} ${version}`);
				if (version === twin.properties[section].$version) assert.deepEqual(was.properties[section], twin.properties[section], id);
				if (version === later.properties[section].$version) assert.deepEqual(was.properties[section], later.properties[section], id);
			}
		}
		t.diagnostic(`round ${round + 1}: ${fleet.acknowledged - then} acknowledged meanwhile, ${found.size} twins restored`);
		await copy.stop();
	}
	await fleet.stop();
	fleet.close();
});

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
