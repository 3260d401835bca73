// What is said to a hub's database, with no node between: docs/spec/operate.md, O-287 to O-295.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { BINARY, freeAddress, startHub, stopAll, tempDir } from '../lib/hub.mjs';
import { Postgres, hasPostgres } from '../lib/postgres.mjs';
import { until } from '../lib/wait.mjs';

const SLOW = Number(process.env.TWINHUB_TEST_SLOW ?? 1);
const hubs = [];
let server, n = 0;

before(async () => {
	if (!hasPostgres) throw new Error('postgresql-15 is not installed: scripts/setup --test');
	server = await Postgres.start();
});
after(async () => {
	await stopAll(...hubs);
	server?.stop();
});

function fresh() {
	const name = `operated${++n}`;
	server.sql('postgres', `CREATE DATABASE ${name}`);
	return name;
}

function run(args) {
	return new Promise((resolve) => {
		const child = spawn(BINARY, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, TWINHUB_CLUSTER: '' } });
		let stdout = '', stderr = '';
		child.stdout.on('data', (text) => { stdout += text; });
		child.stderr.on('data', (text) => { stderr += text; });
		child.on('close', (code) => resolve({ code, stdout, stderr }));
	});
}
const cluster = (name, ...args) => run(['cluster', ...args, '--db', server.url(name)]);
async function status(name) {
	const r = await cluster(name, 'status', '--json');
	assert.equal(r.code, 0, r.stderr);
	return JSON.parse(r.stdout);
}

async function nodeOn(name, node = 'a') {
	const hub = await startHub({ dir: path.join(tempDir('node'), 'data'), args: ['--cluster', server.url(name), '--node', node] });
	hubs.push(hub);
	return hub;
}

test('O-287 O-293 status tells of the hub and its nodes, while they live and while none does', async () => {
	const name = fresh();
	assert.equal((await cluster(name, 'status')).code, 4, 'no hub is there');
	const hub = await nodeOn(name);
	await hub.createDevice('d');
	await until(() => /level=warn msg="PostgreSQL's settings: synchronous_standby_names is empty/.test(hub.logs), 'the start tells of settings');
	assert.match(hub.logs, /level=info msg="PostgreSQL's settings: checkpoint_timeout is under 15 minutes/);
	const now = await status(name);
	assert.equal(now.hubId, JSON.parse(fs.readFileSync(path.join(hub.dir, 'hub.json'), 'utf8')).hubId);
	assert.equal(now.database, name);
	assert.match(now.server, /^PostgreSQL 15/);
	assert.equal(now.synchronous, 'NOT');
	assert.deepEqual([now.level, now.lost, now.shardsWithoutOwner], [1, null, []]);
	assert.ok(now.advice.some((line) => /synchronous_standby_names is empty/.test(line)), now.advice.join('\n'));
	const { node, state, beats, shards, clockRight, version } = now.nodes[0];
	assert.deepEqual({ node, state, beats, shards, clockRight }, { node: 'a', state: 'live', beats: true, shards: 64, clockRight: true });
	assert.match(version, /^\d+\.\d+\.\d+$/);
	const table = await cluster(name, 'status', '--table');
	assert.match(table.stdout, /synchronous +NOT/);
	assert.match(table.stdout, /\na +live/);
	assert.match(table.stderr, /warning: synchronous_standby_names is empty/);
	await hub.kill();
	const dead = await status(name);
	assert.deepEqual([dead.nodes[0].state, dead.nodes[0].beats], ['live', false]);
	assert.match((await cluster(name, 'status', '--db', 'postgresql://u:hid den@h/x')).stderr, /given twice|not of the form/);
});

test('O-288 drain says it in the row, and takes it back; a node that is none is named', async () => {
	const name = fresh(), hub = await nodeOn(name);
	assert.equal((await cluster(name, 'drain', 'b')).code, 4);
	assert.equal((await cluster(name, 'drain', 'a')).code, 0);
	assert.equal((await status(name)).nodes[0].state, 'draining');
	assert.equal((await cluster(name, 'drain', 'a')).code, 0, 'twice does no harm');
	assert.equal((await hub.rest('GET', '/readyz')).status, 200, 'alone it goes on');
	await hub.createDevice('d');
	assert.equal((await cluster(name, 'drain', 'a', '--undo')).code, 0);
	assert.equal((await status(name)).nodes[0].state, 'live');
});

test('O-289 O-290 a node that is revoked answers nothing more and does not begin again; it is removed', async () => {
	const name = fresh(), hub = await nodeOn(name);
	const alive = await cluster(name, 'remove', 'a');
	assert.deepEqual([alive.code, /lives/.test(alive.stderr)], [6, true], alive.stderr);
	const before = (await status(name)).common, ended = hub.ended();
	const r = await cluster(name, 'revoke', 'a');
	assert.equal(r.code, 0, r.stderr);
	assert.equal(hub.running, false, 'it has ended by then');
	assert.ok([75, 77].includes((await ended).code));
	const now = await status(name);
	assert.equal(now.nodes[0].state, 'revoked');
	assert.equal(now.common, before + 1);
	assert.equal((await cluster(name, 'drain', 'a')).code, 1);
	await assert.rejects(nodeOn(name, 'a'), /has been revoked/);
	const held = await cluster(name, 'remove', 'a');
	assert.deepEqual([held.code, /64 shards that no other has taken/.test(held.stderr)], [1, true], held.stderr);
	const other = await nodeOn(name, 'b');
	assert.equal((await cluster(name, 'remove', 'a')).code, 0);
	assert.deepEqual((await status(name)).nodes.map((node) => node.node), ['b']);
	await other.kill();
	assert.equal((await cluster(name, 'remove', 'b')).code, 0, 'nobody else has found it dead: it is waited for');
	assert.equal((await status(name)).nodes.length, 0);
	assert.equal((await cluster(name, 'remove', 'b')).code, 4);
	server.sql(name, "INSERT INTO node (id, slot, generation, dir, state) SELECT 'gone' || n, n, 1, 'x', 'buried' FROM generate_series(0, 63) n");
	await assert.rejects(nodeOn(name, 'b'), /the hub has 64 nodes, and cannot have more/);
	assert.equal((await cluster(name, 'remove', 'gone7')).code, 0);
	await nodeOn(name, 'b');
	assert.equal((await status(name)).nodes.find((node) => node.node === 'b').slot, 7, 'the number that is free');
});

test('O-291 an upgrade is finished when each node has the program', async () => {
	const name = fresh();
	const hub = await nodeOn(name);
	const r = await cluster(name, 'finish-upgrade', '--json');
	assert.equal(r.code, 0, r.stderr);
	assert.match(JSON.parse(r.stdout).finished, /level is 1/);
	server.sql(name, `UPDATE node SET info = '{"level": 0}'`);
	assert.match((await cluster(name, 'finish-upgrade')).stderr, /the node 'a' has a former program/);
	await hub.stop();
	server.sql(name, 'UPDATE hub SET level = 2');
	const newer = await startHub({ dir: path.join(tempDir('node'), 'data'), args: ['--cluster', server.url(name), '--node', 'b'] }).catch((error) => error);
	assert.match(String(newer), /level is 2, this program knows 1/);
});

test('O-292 what is lost is accepted: epochs go up while no node lives, and stay while one does', async () => {
	const name = fresh(), hub = await nodeOn(name);
	await hub.createDevice('d');
	server.sql(name, 'UPDATE shard SET pos = pos - 1 WHERE pos > 0'); // as if a server had been promoted that lacked something
	const ended = hub.ended();
	await hub.rest('PATCH', '/twins/d', { body: { tags: { a: 0 } } }).catch(() => {});
	assert.equal((await ended).code, 76);
	await hub.start();
	assert.match((await status(name)).lost, /the database has lost what was acknowledged: shard \d+/);
	const epochs = () => Number(server.sql(name, 'SELECT min(epoch) FROM shard'));
	const first = epochs();
	assert.match((await cluster(name, 'accept-loss', '--table')).stdout, /stay as they are, as nodes serve/);
	assert.deepEqual([epochs(), (await status(name)).lost], [first, null]);
	assert.equal((await hub.rest('PATCH', '/twins/d', { body: { tags: { a: 1 } } })).status, 200, 'it goes on');
	await hub.stop();
	assert.match((await cluster(name, 'accept-loss', '--table')).stdout, /above all that may have been given/);
	assert.equal(epochs(), first + 1000);
	await hub.start();
	assert.deepEqual((await hub.rest('GET', '/twins/d')).body.tags, { a: 1 });
});

test('O-286 O-288 O-295 two nodes: one that is drained has no shards left; one that reaches nobody while the other lives is not ready', { timeout: 300_000 * SLOW }, async () => {
	const name = fresh();
	const nodeAt = async (node) => {
		const addr = await freeAddress();
		const hub = await startHub({ addr, dir: path.join(tempDir('node'), 'data'), env: { TWINHUB_TEST_SETTLE_MS: '1000' },
			args: ['--cluster', server.url(name), '--node', node, '--mesh', `${addr}:7443`] });
		hubs.push(hub);
		return hub;
	};
	const a = await nodeAt('a'), b = await nodeAt('b');
	const shards = async () => Object.fromEntries((await status(name)).nodes.map((node) => [node.node, node.shards]));
	const eventually = (want) => until(async () => JSON.stringify(await shards()) === JSON.stringify(want), `shards are ${JSON.stringify(want)}`, 120_000 * SLOW);
	await eventually({ a: 32, b: 32 });
	await a.createDevice('d');
	const ids = ['d', ...Array.from({ length: 40 }, (_, i) => `e${i}`)].sort();
	for (const id of ids.slice(1)) await b.createDevice(id);
	const exported = async (node) => {
		const file = path.join(tempDir('exported'), 'lines');
		const r = await node.cli(['export', file]);
		assert.equal(r.code, 0, r.stderr);
		return fs.readFileSync(file, 'utf8').trim().split('\n').map((line) => JSON.parse(line).id).sort();
	};
	for (const node of [a, b]) assert.deepEqual(await exported(node), ids, 'an export has the shards of all nodes');
	const live = (node) => node.rest('POST', '/devices/query/watch', { body: { query: 'SELECT deviceId FROM devices' } });
	for (const node of [a, b]) assert.deepEqual([(await live(node)).status, /several nodes/.test((await live(node)).text)], [501, true], 'a part of the fleet is no answer');
	assert.equal((await cluster(name, 'drain', 'a')).code, 0);
	await eventually({ a: 0, b: 64 });
	assert.equal((await a.rest('GET', '/devices/d')).status, 200, 'it asks the other one');
	assert.deepEqual(await exported(a), ids, 'and so does an export');
	assert.equal((await cluster(name, 'drain', 'a', '--undo')).code, 0);
	await eventually({ a: 32, b: 32 });
	assert.equal((await a.rest('GET', '/readyz')).status, 200);
	b.signal('SIGSTOP');
	const not = await until(async () => {
		const r = await a.rest('GET', '/readyz');
		return r.status === 503 && r;
	}, 'a is not ready', 20_000 * SLOW);
	assert.match(not.text, /none of the 1 other nodes is reached/);
	await until(async () => (await a.rest('GET', '/readyz')).status === 200, 'a is ready again, when the other one is dead', 30_000 * SLOW);
	await eventually({ a: 64, b: 0 });
	const ended = b.ended();
	b.signal('SIGCONT');
	assert.equal((await ended).code, 75);
});
