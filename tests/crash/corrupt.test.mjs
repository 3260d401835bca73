// A disk that lies: one flipped byte is found and the file named, by `twinhub check` and by the hub, and so is a file that was cut;
// a tail that was torn by a crash is no corruption.
import { before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { BINARY, Hub, startHub, tempDir, freeAddress, until } from '../lib/hub.mjs';
import { chooseSeed, randomFrom } from './fleet.mjs';

const SLOW = Number(process.env.TWINHUB_TEST_SLOW ?? 1);
const DEVICES = 40;
const CHECK_MS = 120_000 * SLOW;

let addr, clean, twins;
const random = randomFrom(chooseSeed('corrupt'));

function filesOf(dir, pattern) {
	return fs.readdirSync(dir, { recursive: true }).map(String).filter((name) => pattern.test(name) && fs.statSync(path.join(dir, name)).size > 0).sort();
}
const walFiles = (dir) => filesOf(dir, /\d+\.log$/);
const tableFiles = (dir) => filesOf(dir, /\d+\.sst$/);

// A copy of the clean directory, to be damaged.
function copy() {
	const dir = path.join(tempDir('damaged'), 'data');
	fs.cpSync(clean, dir, { recursive: true, preserveTimestamps: true });
	return new Hub({ addr, dir });
}

function flip(file, at) {
	const fd = fs.openSync(file, 'r+');
	const byte = Buffer.alloc(1);
	fs.readSync(fd, byte, 0, 1, at);
	byte[0] ^= 0x10;
	fs.writeSync(fd, byte, 0, 1, at);
	fs.closeSync(fd);
}

async function fill(hub, round) {
	for (let i = 0; i < DEVICES; i++) {
		if (round === 0) await hub.createDevice(`c${i}`);
		const body = { tags: { round, text: `tag ${i} `.repeat(20) }, properties: { desired: { round, text: `desired ${i} `.repeat(50) } } };
		const answer = await hub.rest('PATCH', `/twins/c${i}`, { body });
		assert.equal(answer.status, 200);
		twins.set(`c${i}`, answer.body);
	}
}

// Each file with its hash, and the directories.
function printOf(dir) {
	return fs.readdirSync(dir, { recursive: true }).map(String).sort().map((name) => {
		const at = path.join(dir, name);
		return `${name} ${fs.statSync(at).isDirectory() ? 'directory' : createHash('sha256').update(fs.readFileSync(at)).digest('hex')}`;
	});
}

before(async () => {
	addr = await freeAddress();
	twins = new Map();
	clean = path.join(tempDir('clean'), 'data');
	delete process.env.TWINHUB_TEST_DIR;
	const hub = await startHub({ addr, dir: clean });
	for (let round = 0; round < 3; round++) { // a log is replayed into tables at each start after a crash
		await fill(hub, round);
		await hub.kill();
		if (round < 2) await hub.start();
	}
	assert.ok(walFiles(clean).length > 0 && tableFiles(clean).length > 0, 'there are logs and tables to damage');
});

// Every twin that is given must be the one that was written; returns how many could not be read.
async function readAll(hub) {
	let refused = 0;
	for (const [id, twin] of twins) {
		const answer = await hub.rest('GET', `/twins/${id}`);
		if (answer.status === 200) {
			assert.deepEqual(answer.body.tags, twin.tags, id);
			assert.deepEqual(answer.body.properties, twin.properties, id);
		} else {
			assert.ok(answer.status >= 500, `${id}: ${answer.status}`);
			refused++;
		}
	}
	return refused;
}

test('the directory of a killed hub passes the check, which changes no byte of it, and opens', async () => {
	const hub = copy(), before = printOf(hub.dir);
	const check = await hub.cli(['check', '--json'], { timeout: CHECK_MS });
	assert.equal(check.code, 0, check.stdout + check.stderr);
	assert.deepEqual(JSON.parse(check.stdout).notes, []);
	assert.equal((await hub.cli(['connection-string', '--device', 'c3'], { timeout: CHECK_MS })).code, 0, 'nor do keys read beside the hub');
	assert.deepEqual(printOf(hub.dir), before);
	await hub.start();
	assert.equal(await readAll(hub), 0);
	await hub.stop();
});

test('the check tells what a start makes anew, and changes no byte', async () => {
	const hub = copy(), library = path.join(path.dirname(BINARY), 'libset_clock.so');
	const notes = async (env) => {
		const before = printOf(hub.dir);
		const check = await hub.cli(['check', '--json'], { timeout: CHECK_MS, env });
		assert.equal(check.code, 0, check.stdout + check.stderr);
		assert.deepEqual(printOf(hub.dir), before);
		return JSON.parse(check.stdout).notes.map((n) => n.file);
	};
	assert.deepEqual(await notes(), []);
	fs.rmSync(path.join(hub.dir, 'twinhub.conf'));
	for (const name of ['hub.json', 'policies.json']) { // as a former program wrote them
		const file = path.join(hub.dir, name);
		fs.writeFileSync(file, fs.readFileSync(file, 'utf8').replace(/,"sum":"[0-9a-f]+"/, ''));
	}
	assert.deepEqual(await notes(), ['hub.json', 'policies.json', 'twinhub.conf']);
	await hub.start();
	await hub.stop();
	assert.deepEqual(await notes(), []);
	const later = { LD_PRELOAD: library, TWINHUB_CLOCK: String(Math.floor(Date.now() / 1000) + 380 * 86400), ASAN_OPTIONS: `${process.env.ASAN_OPTIONS ?? ''}:verify_asan_link_order=0` };
	assert.deepEqual(await notes(later), ['server-ecdsa.pem', 'server-rsa.pem']);
});

describe('a flipped byte in a log', () => {
	for (const share of [0.02, 0.3, 0.6, 0.9]) {
		test(`at ${share * 100} %`, async () => {
			const hub = copy();
			const name = walFiles(hub.dir).map((n) => [fs.statSync(path.join(hub.dir, n)).size, n]).sort((a, b) => b[0] - a[0])[0][1];
			const size = fs.statSync(path.join(hub.dir, name)).size;
			flip(path.join(hub.dir, name), Math.floor(size * share));
			const check = await hub.cli(['check'], { timeout: CHECK_MS });
			assert.notEqual(check.code, 0, 'the check found nothing');
			assert.match(check.stdout + check.stderr, new RegExp(path.basename(name)), 'the check names the file');
			await assert.rejects(hub.start(), (error) => error.exitCode > 0 && error.message.includes(path.basename(name)), 'the hub refuses to start and names the file');
		});
	}
});

describe('a flipped byte in a table', () => {
	for (let i = 0; i < 8; i++) {
		const share = random();
		test(`number ${i + 1}`, async () => {
			const hub = copy();
			const names = tableFiles(hub.dir);
			const name = names[i % names.length];
			const size = fs.statSync(path.join(hub.dir, name)).size;
			flip(path.join(hub.dir, name), Math.floor(size * share));
			const check = await hub.cli(['check'], { timeout: CHECK_MS });
			assert.notEqual(check.code, 0, `the check found nothing in ${name} at ${share}`);
			assert.match(check.stdout + check.stderr, new RegExp(path.basename(name)), 'the check names the file');
			try {
				await hub.start();
			} catch (error) {
				assert.ok(error.exitCode > 0, error.message);
				assert.ok(error.message.includes(path.basename(name)), `the hub names the file: ${error.message}`);
				return;
			}
			// It may be met later only: then no wrong answer is given, and the file is named.
			if (await readAll(hub) > 0) assert.ok(hub.logs.includes(path.basename(name)), 'the hub names the file');
			await hub.kill();
		});
	}
});

test('a missing log is noticed', async () => {
	const hub = copy();
	for (const name of walFiles(hub.dir)) fs.rmSync(path.join(hub.dir, name));
	const check = await hub.cli(['check'], { timeout: CHECK_MS });
	assert.notEqual(check.code, 0);
	await assert.rejects(hub.start(), (error) => error.exitCode > 0);
});

test('a missing table is noticed', async () => {
	const hub = copy();
	const name = tableFiles(hub.dir)[0];
	fs.rmSync(path.join(hub.dir, name));
	const check = await hub.cli(['check'], { timeout: CHECK_MS });
	assert.notEqual(check.code, 0);
	assert.match(check.stdout + check.stderr, new RegExp(path.basename(name)));
	await assert.rejects(hub.start(), (error) => error.exitCode > 0 && error.message.includes(path.basename(name)));
});

// What a kill leaves of a record whose write was under way: it begins like one and ends with the file.
describe('a torn tail', () => {
	for (const torn of [1, 7, 50, 200]) {
		test(`of ${torn} bytes is accepted, and costs nothing that was acknowledged`, async () => {
			const hub = copy();
			const file = path.join(hub.dir, walFiles(hub.dir).at(-1)), bytes = fs.readFileSync(file);
			assert.ok(bytes.readUInt16LE(4) + 7 > torn, 'the first record is longer');
			fs.appendFileSync(file, bytes.subarray(0, torn));
			const check = await hub.cli(['check'], { timeout: CHECK_MS });
			assert.equal(check.code, 0, check.stdout + check.stderr);
			const told = new RegExp(`${path.basename(file)}.*its last ${torn} bytes were never acknowledged`);
			assert.match(check.stdout, told);
			await hub.start();
			await until(() => told.test(hub.logs), 'the log says so');
			assert.equal(await readAll(hub), 0);
			await hub.stop();
		});
	}
});

// Whole to RocksDB, as they end with a record: it would start with what was before, and delete what it does not know.
describe('a file cut between its records is refused by name, and nothing is changed', () => {
	const manifest = (dir) => path.join('store', fs.readFileSync(path.join(dir, 'store', 'CURRENT'), 'utf8').trim());
	const log = (dir) => walFiles(dir).at(-1);
	// Ends of records, in the first block.
	function endsOf(file) {
		const bytes = fs.readFileSync(file).subarray(0, 32768), ends = [];
		for (let at = 0; at + 7 <= bytes.length;) ends.push(at += 7 + bytes.readUInt16LE(at + 4));
		return ends;
	}
	const cuts = { 'the manifest by 90 bytes': (dir) => [manifest(dir), (size) => size - 90], 'the manifest to nothing': (dir) => [manifest(dir), () => 0],
		'the log to nothing': (dir) => [log(dir), () => 0] };
	for (const back of [1, 2, 3]) cuts[`the manifest by ${back} records`] = (dir) => [manifest(dir), (size, ends) => ends.at(-1 - back)];
	for (const [what, cut] of Object.entries(cuts))
		test(what, async () => {
			const hub = copy(), [name, to] = cut(hub.dir), file = path.join(hub.dir, name);
			fs.truncateSync(file, to(fs.statSync(file).size, endsOf(file)));
			const before = printOf(hub.dir);
			const check = await hub.cli(['check'], { timeout: CHECK_MS });
			assert.equal(check.code, 5, check.stdout + check.stderr);
			assert.match(check.stderr, new RegExp(path.basename(name)));
			await refused(hub, new RegExp(path.basename(name)));
			assert.deepEqual(printOf(hub.dir), before);
		});
});

describe('damaged files of the hub itself are refused in one line that names them', () => {
	const damages = { half: (was) => was.subarray(0, was.length >> 1), empty: () => Buffer.alloc(0), other: () => Buffer.from('\0\xff { "format') };
	for (const name of ['hub.json', 'policies.json', 'ca.pem', 'ca.key']) {
		for (const [damage, change] of Object.entries(damages)) {
			test(`${name}: ${damage}`, async () => {
				const hub = copy(), file = path.join(hub.dir, name);
				fs.writeFileSync(file, change(fs.readFileSync(file)));
				await refused(hub, new RegExp(name.replace('.', '\\.')));
			});
		}
	}

	test('one character of a policy\'s key', async () => {
		const hub = copy(), file = path.join(hub.dir, 'policies.json'), text = fs.readFileSync(file, 'utf8');
		const at = text.indexOf('primaryKey":"') + 20;
		fs.writeFileSync(file, text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1));
		await refused(hub, /policies\.json is damaged: it is not what its checksum says/);
		assert.match((await hub.cli(['check'])).stderr, /policies\.json.*checksum.*twinhub policy reset/);
		assert.match((await hub.cli(['connection-string'])).stderr, /policies\.json.*checksum/);
	});

	test('a server certificate can be made again, so it is', async () => {
		const hub = copy();
		for (const name of ['server-ecdsa.pem', 'server-rsa.key']) fs.writeFileSync(path.join(hub.dir, name), 'x');
		const check = await hub.cli(['check', '--json'], { timeout: CHECK_MS });
		assert.equal(check.code, 0, check.stdout + check.stderr);
		assert.deepEqual(JSON.parse(check.stdout).notes.map((n) => n.file), ['server-ecdsa.pem', 'server-rsa.key']);
		await hub.start();
		assert.equal(await readAll(hub), 0);
		await hub.stop();
	});

	test('a newer format', async () => {
		const hub = copy(), file = path.join(hub.dir, 'hub.json');
		fs.writeFileSync(file, JSON.stringify({ ...JSON.parse(fs.readFileSync(file, 'utf8')), format: 999 }));
		await refused(hub, /hub\.json.*999.*newer/);
	});

	test('a directory that another hub has open, of which nothing is changed', async () => {
		const hub = copy();
		await hub.start();
		const files = () => fs.readdirSync(hub.dir).filter((name) => name !== 'store').map((name) => [name, fs.readFileSync(path.join(hub.dir, name), 'utf8')]), before = files();
		await refused(new Hub({ addr: await freeAddress(), dir: hub.dir, args: ['--hostname', 'another.example'] }), /is in use by another hub/);
		assert.deepEqual(files(), before);
		const check = await hub.cli(['check'], { timeout: CHECK_MS });
		assert.notEqual(check.code, 0, 'a running hub is not checked');
		assert.equal(await readAll(hub), 0, 'the first one goes on');
		await hub.stop();
	});
});

// Made anew they would look as after a first start, and nobody who has the old keys or trusts the old CA could connect.
describe('a file that is missing beside a store with data is refused by name, not made anew, and mended by a command', () => {
	const missing = [
		[['hub.json'], /hub\.json is missing.*twinhub restore/],
		[['policies.json'], /policies\.json is missing.*twinhub policy reset/, ['policy', 'reset']],
		[['ca.pem'], /ca\.pem is missing.*twinhub ca renew/, ['ca', 'renew']],
		[['ca.key'], /ca\.key is missing.*twinhub ca renew/, ['ca', 'renew']],
		[['ca.pem', 'ca.key'], /ca\.pem is missing.*twinhub ca renew/, ['ca', 'renew']],
		[['ca.pem', 'ca.key', 'policies.json', 'hub.json'], /hub\.json is missing/],
	];
	for (const [names, why, mend] of missing) {
		test(names.join(', '), async () => {
			const hub = copy();
			for (const name of names) fs.rmSync(path.join(hub.dir, name));
			const before = printOf(hub.dir);
			await refused(hub, why);
			const check = await hub.cli(['check'], { timeout: CHECK_MS });
			assert.equal(check.code, 5, check.stdout);
			assert.match(check.stderr, why);
			const restored = await hub.cli(['restore', hub.dir, '--data', `${hub.dir}-restored`], { timeout: CHECK_MS, data: false });
			assert.notEqual(restored.code, 0);
			assert.match(restored.stderr, why);
			assert.ok(!fs.existsSync(`${hub.dir}-restored`));
			assert.deepEqual(printOf(hub.dir), before);
			if (!mend) return;
			const mended = await hub.cli(mend);
			assert.equal(mended.code, 0, mended.stderr);
			await hub.start();
			assert.equal(await readAll(hub), 0);
			assert.equal((await hub.cli(mend)).code, 6, 'not while a hub runs');
			await hub.stop();
			assert.equal((await hub.cli(['check'], { timeout: CHECK_MS })).code, 0);
		});
	}

	test('the store itself', async () => {
		const hub = copy();
		fs.rmSync(path.join(hub.dir, 'store'), { recursive: true });
		await refused(hub, /\/store is missing, and a hub has served from here/);
		assert.ok(!fs.existsSync(path.join(hub.dir, 'store')));
	});

	test('with --cert no CA is missed', async () => {
		const elsewhere = tempDir('elsewhere'), hub = copy();
		for (const name of ['server-ecdsa.pem', 'server-ecdsa.key', 'ca.pem']) fs.copyFileSync(path.join(hub.dir, name), path.join(elsewhere, name));
		for (const name of fs.readdirSync(hub.dir)) if (/^(ca|server)/.test(name)) fs.rmSync(path.join(hub.dir, name));
		fs.appendFileSync(path.join(hub.dir, 'twinhub.conf'), `cert ${elsewhere}/server-ecdsa.pem\nkey ${elsewhere}/server-ecdsa.key\n`);
		assert.equal((await hub.cli(['check'], { timeout: CHECK_MS })).code, 0);
		await hub.start();
		assert.ok(!fs.existsSync(path.join(hub.dir, 'ca.pem')));
		const backup = path.join(elsewhere, 'backup');
		assert.equal((await hub.cli(['backup', backup, '--ca', path.join(elsewhere, 'ca.pem')])).code, 0);
		await hub.stop();
		const restored = await hub.cli(['restore', backup, '--data', path.join(elsewhere, 'data')], { timeout: CHECK_MS, data: false });
		assert.equal(restored.code, 0, restored.stderr);
		const again = new Hub({ addr, dir: path.join(elsewhere, 'data') });
		await again.start();
		const shown = JSON.parse((await again.cli(['query', 'SELECT * FROM devices', '--ca', path.join(elsewhere, 'ca.pem')])).stdout);
		assert.deepEqual(new Map(shown.map((t) => [t.deviceId, [t.tags, t.properties]])), new Map([...twins].map(([id, t]) => [id, [t.tags, t.properties]])));
		await again.stop();
	});

	test('settings: the defaults are in force, and that is said', async () => {
		const hub = copy();
		fs.rmSync(path.join(hub.dir, 'twinhub.conf'));
		await hub.start();
		await until(() => /twinhub\.conf was missing/.test(hub.logs), 'the log says so');
		assert.ok(fs.existsSync(path.join(hub.dir, 'twinhub.conf')));
		await hub.stop();
	});
});

// The hub ends with a code of its own and one line that says why.
async function refused(hub, why) {
	await assert.rejects(hub.start(), (error) => {
		assert.ok(error.exitCode > 0, error.message);
		assert.match(hub.logs, why);
		assert.equal(hub.logs.trim().split('\n').length, 1, hub.logs);
		return true;
	});
}

describe('a flipped byte in a table file that nobody reads', () => {
	// One of sections, which RocksDB names in it: they are not read at a start.
	const damaged = () => {
		const hub = copy();
		const name = tableFiles(hub.dir).find((n) => fs.readFileSync(path.join(hub.dir, n)).includes('wanted'));
		flip(path.join(hub.dir, name), 100);
		return { hub, name };
	};
	const readyz = async (hub) => (await hub.rest('GET', '/readyz', { token: null, apiVersion: null }));

	test('O-03 O-04 the scrub names the file in log, /readyz and statistics; the hub serves on', async () => {
		const { hub, name } = damaged();
		await hub.start();
		await until(async () => (await readyz(hub)).body.damagedFiles, 'the file is named');
		const { status, body } = await readyz(hub);
		assert.deepEqual([status, body], [200, { status: 'ready', damagedFiles: [name], moreDamagedFiles: false }]);
		await until(() => hub.logs.includes(`${path.basename(name)}, found by the scrub`), 'a line in the log');
		const figures = (await hub.rest('GET', '/statistics/store')).body;
		assert.deepEqual(figures.damagedFiles, [name]);
		assert.ok(figures.scrubbedBytes > 0 && figures.scrubbedFiles > 0);
		const shown = await hub.cli(['statistics', '--store', '--json']);
		assert.deepEqual(JSON.parse(shown.stdout).damagedFiles, [name]);
		assert.equal((await hub.rest('PUT', '/devices/new', { body: { deviceId: 'new' } })).status, 200);
		await readAll(hub); // refused or as it was written
		await hub.stop();
	});

	test('O-04 without a scrub nothing is read, and nothing found', async () => {
		const { hub } = damaged();
		hub.args = ['--scrub-rate', '0'];
		await hub.start();
		const figures = (await hub.rest('GET', '/statistics/store')).body;
		assert.deepEqual([figures.scrubbedBytes, figures.scrubPasses, figures.damagedFiles], [0, 0, []]);
		assert.deepEqual((await readyz(hub)).body, { status: 'ready' });
		await hub.stop();
	});

	test('O-05 --verify refuses the start by the name of the file, and finds nothing in good ones', async () => {
		const { hub, name } = damaged();
		hub.args = ['--verify'];
		await assert.rejects(hub.start(), (error) => error.exitCode === 1 && error.message.includes(path.basename(name)));
		const good = copy();
		good.args = ['--verify'];
		await good.start();
		assert.equal(await readAll(good), 0);
		await good.stop();
	});

	test('O-04 statistics of the store are for who reads the registry, or serves', async () => {
		const hub = copy();
		await hub.start();
		await until(async () => (await hub.rest('GET', '/statistics/store')).body.scrubPasses === 1, 'a pass is over');
		const { body } = await hub.rest('GET', '/statistics/store', { policy: 'service' });
		assert.equal(body.state, 'ready');
		assert.ok(body.tableFiles > 0 && body.scrubbedFiles > 0 && body.commits >= 0);
		assert.deepEqual(body.damagedFiles, []);
		assert.equal((await hub.rest('GET', '/statistics/store', { policy: 'device' })).status, 401);
		await hub.stop();
	});
});
