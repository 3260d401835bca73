// A hub whose data is in PostgreSQL: whatever dies - the hub, the server, a connection in the middle of a commit - nothing acknowledged is lost,
// and a hub that has been replaced, or whose database has lost something, ends and says so. docs/cluster-design.md, 1 to 5.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { BINARY, Hub, freeAddress, startHub, tempDir } from '../lib/hub.mjs';
import { Postgres, hasPostgres } from '../lib/postgres.mjs';
import { until } from '../lib/wait.mjs';
import { Fleet, chooseSeed, randomFrom } from './fleet.mjs';

const SLOW = Number(process.env.TWINHUB_TEST_SLOW ?? 1);
const ROUNDS = Number(process.env.TWINHUB_CRASH_ROUNDS ?? 10);

let server;
const hubs = [];
before(async () => {
	if (!hasPostgres) throw new Error('postgresql-15 is not installed: scripts/setup --test');
	server = await Postgres.start();
});
after(async () => {
	for (const hub of hubs) if (hub.running) await hub.stop();
	server?.stop();
});

// 4 KB that cannot be pressed, of a number.
function randomText(n) {
	const random = randomFrom(n + 1);
	return Array.from({ length: 4000 }, () => String.fromCharCode(97 + Math.floor(random() * 26))).join('');
}

async function hubOn(database, options = {}) {
	if (server.sql('postgres', `SELECT count(*) FROM pg_database WHERE datname = '${database}'`) === '0') server.sql('postgres', `CREATE DATABASE ${database}`);
	const hub = await startHub({ dir: path.join(tempDir('node'), 'data'), args: ['--cluster', server.url(database)], ...options });
	hubs.push(hub);
	return hub;
}

const WEATHER = {
	'the hub is killed': async (fleet, hub) => {
		await fleet.crash();
		await hub.start();
	},
	'the server crashes and is back': async (fleet, hub) => {
		server.crash();
		server.begin();
		await until(async () => (await hub.rest('GET', '/readyz')).status === 200, 'the hub takes changes again', 60_000 * SLOW);
		await fleet.during(300 * SLOW);
		await fleet.stop();
	},
	'the connection is cut in the middle of commits': async (fleet, hub) => {
		for (let i = 0; i < 10; i++) {
			server.sql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'twinhub/%/commit'");
			await fleet.during(50);
		}
		await until(async () => (await hub.rest('GET', '/readyz')).status === 200, 'the hub takes changes again', 60_000 * SLOW);
		await fleet.stop();
	},
	'both are killed': async (fleet, hub) => {
		server.crash();
		await fleet.crash();
		server.begin();
		await hub.start();
	},
};

test(`O-191 ${ROUNDS} times something dies under load`, { timeout: ROUNDS * 120_000 * SLOW }, async (t) => {
	const seed = chooseSeed('postgres');
	const random = randomFrom(seed);
	const hub = await hubOn('load');
	const fleet = new Fleet(hub, { seed, events: true });
	t.after(() => fleet.close());
	await fleet.prepare();
	fleet.mayRefuse = true;
	const kinds = Object.entries(WEATHER);
	for (let round = 0; round < ROUNDS; round++) {
		const [what, happens] = kinds[round % kinds.length];
		const before = fleet.acknowledged;
		fleet.start();
		await fleet.during(300 + random() * 1000 * SLOW);
		await happens(fleet, hub);
		await fleet.verify();
		t.diagnostic(`round ${round + 1}, ${what}: ${fleet.acknowledged - before} acknowledged writes are there`);
	}
	assert.ok(fleet.acknowledged > ROUNDS * 20, `only ${fleet.acknowledged} writes were acknowledged: no load`);
});

// A database on a small file system of its own, where the server's log is not.
function smallDatabase(name) {
	const mount = tempDir('small');
	execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64m,mode=0777', 'tmpfs', mount], { stdio: 'pipe' });
	fs.chmodSync(path.dirname(mount), 0o755);
	const dir = path.join(mount, 'tables');
	fs.mkdirSync(dir, { mode: 0o700 });
	execFileSync('chown', ['postgres:', dir]);
	server.sql('postgres', `CREATE TABLESPACE small LOCATION '${dir}'`);
	server.sql('postgres', `CREATE DATABASE ${name} TABLESPACE small`);
	return mount;
}

test('O-191 a server that is full is away until it has room, and both are told once', { skip: process.getuid() !== 0 && 'mounting takes root' }, async (t) => {
	const mount = smallDatabase('small');
	t.after(() => execFileSync('umount', ['-l', mount]));
	const hub = await hubOn('small');
	const times = (what) => hub.logs.split(what).length - 1;
	const change = async (n) => (await hub.rest('PATCH', '/twins/d', { body: { tags: { [`a${n % 20}`]: randomText(n) } } })).status;
	await hub.createDevice('d');
	const { bavail, bsize } = fs.statfsSync(mount);
	execFileSync('fallocate', ['-l', String(bavail * bsize - 65536), path.join(mount, 'ballast')]);
	let n = 0, last = 0, refused = 0;
	await until(async () => {
		const status = await change(n++);
		if (status === 200) last = n - 1;
		return status === 503;
	}, 'changes are refused', 60_000 * SLOW);
	for (let i = 0; i < 40; i++, n++) {
		const status = await change(n);
		refused += status === 503;
		if (status === 200) last = n;
		await new Promise((resolve) => setTimeout(resolve, 100));
	}
	assert.equal(refused, 40, hub.logs.slice(-2000));
	assert.equal(times('No space left'), 1, hub.logs.slice(-2000));
	assert.equal(times('the store works again'), 0);
	assert.equal((await hub.rest('GET', '/twins/d')).body.tags[`a${last % 20}`], randomText(last), 'what was acknowledged is read');
	fs.rmSync(path.join(mount, 'ballast'));
	await until(async () => (await change(n++)) === 200, 'changes are taken again', 60_000 * SLOW);
	assert.equal(times('the store works again'), 1);
});

test('O-192 who has been replaced ends, and says so', async () => {
	const hub = await hubOn('replaced');
	await hub.createDevice('d');
	server.sql('replaced', "UPDATE shard SET epoch = epoch + 1, node = 'other', generation = 1; INSERT INTO node (id, slot, generation, dir) VALUES ('other', 7, 1, 'x')");
	const ended = hub.ended();
	await hub.rest('PATCH', '/twins/d', { body: { tags: { a: 1 } } }).catch(() => {});
	assert.equal((await ended).code, 75);
	assert.match(hub.logs, /shard \d+ is another node's/);
	assert.equal(server.sql('replaced', "SELECT count(*) FROM changes"), '1', 'its last change is not there');
});

test('O-192 a database that has lost what was acknowledged is not served on', async () => {
	const hub = await hubOn('lost');
	await hub.createDevice('d');
	server.sql('lost', 'UPDATE shard SET pos = pos - 1 WHERE pos > 1');
	server.sql('lost', 'UPDATE shard SET pos = pos - 1 WHERE pos > 0');
	const ended = hub.ended();
	await hub.rest('PATCH', '/twins/d', { body: { tags: { a: 1 } } }).catch(() => {});
	assert.equal((await ended).code, 76);
	assert.match(hub.logs, /the database has lost what was acknowledged: shard \d+, epoch \d+, has had \d+ commits, of which \d+ are there/);
});

test('O-190 O-193 a database is one hub\'s, a node one directory\'s, and a directory of one kind', async () => {
	const hub = await hubOn('mine');
	const refused = async (text, dir, ...args) => {
		const other = new Hub({ addr: await freeAddress(), dir, args });
		await assert.rejects(other.start(), text);
	};
	const fresh = () => path.join(tempDir('node'), 'data');
	const check = spawnSync(BINARY, ['serve', '--check', '--data', fresh(), '--cluster', 'postgresql://u:word@h/d'], { encoding: 'utf8' });
	assert.match(check.stdout, /^cluster \*\*\*: /m);
	assert.doesNotMatch(check.stdout + check.stderr, /word/);
	await refused(/PostgreSQL: .*does not exist/, fresh(), '--cluster', server.url('nothing'));
	await hub.stop();
	await refused(/is that of a node of several: serve it with --cluster/, hub.dir);
	fs.rmSync(path.join(hub.dir, 'scratch'), { recursive: true }); // its disk need not be durable
	await refused(/is that of a node of several: serve it with --cluster/, hub.dir);
	const alone = await startHub();
	await alone.stop();
	await refused(/has a store of its own: a hub by itself/, alone.dir, '--cluster', server.url('mine'));
	await hub.start();
	await hub.createDevice('still');
	assert.match((await hub.rest('POST', `/admin/backup?to=${encodeURIComponent(path.join(hub.dir, '../b'))}`)).text, /it is backed up there/);
});

// All of the server's processes.
function signalServer(name) {
	const children = spawnSync('pgrep', ['-P', String(server.pid)], { encoding: 'utf8' }).stdout.trim().split('\n').map(Number);
	for (const pid of [server.pid, ...children]) try { process.kill(pid, name); } catch { /* it has ended */ }
}

test('O-195 a node beats, holds a lease, says nothing when that is over, and ends when it is buried', async (t) => {
	const hub = await hubOn('lease');
	await hub.createDevice('d');
	const status = async () => (await hub.rest('GET', '/twins/d')).status;
	const beats = () => Number(server.sql('lease', "SELECT beat FROM node WHERE state = 'live' AND takes"));
	const first = beats();
	await until(() => beats() >= first + 2, 'it beats each second', 10_000 * SLOW);
	assert.equal(server.sql('lease', 'SELECT count(*) FROM shard s JOIN node n ON n.id = s.node AND n.generation = s.generation'), '64');
	t.after(() => signalServer('SIGCONT'));
	signalServer('SIGSTOP');
	assert.equal(await status(), 200, 'reads go on within the lease');
	await until(async () => (await status()) === 503, 'the lease is over', 20_000 * SLOW);
	assert.match((await hub.rest('GET', '/readyz')).text, /PostgreSQL has taken no beat for as long as a lease lasts/);
	signalServer('SIGCONT');
	await until(async () => (await status()) === 200, 'it has a lease again', 30_000 * SLOW);
	assert.equal((await hub.rest('PATCH', '/twins/d', { body: { tags: { a: 1 } } })).status, 200);
	const ended = hub.ended();
	server.sql('lease', "UPDATE node SET state = 'buried'");
	assert.equal((await ended).code, 75);
	assert.match(hub.logs, /this node was taken for dead, and its shards are others'/);
});

test('O-190 O-196 a node that beats is not disturbed, one that does not is buried and its shards are taken', async () => {
	const hub = await hubOn('next');
	await hub.createDevice('d');
	const dir = path.join(tempDir('node'), 'data');
	fs.cpSync(hub.dir, dir, { recursive: true, filter: (file) => path.basename(file) !== 'scratch' });
	const next = new Hub({ addr: await freeAddress(), dir, args: ['--cluster', server.url('next'), '--node', 'next'] });
	await assert.rejects(next.start(), /another node has 64 of the hub's shards/);
	await hub.kill();
	hubs.push(next);
	await next.start();
	assert.equal((await next.rest('GET', '/twins/d')).status, 200);
	assert.equal(server.sql('next', 'SELECT string_agg(id || state, chr(32) ORDER BY id) FROM node'), 'next' + 'live node1' + 'buried');
	await assert.rejects(hub.start(), /another node has 64 of the hub's shards/);
});
