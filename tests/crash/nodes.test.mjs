// Several nodes of one hub over one PostgreSQL: shards are shared out, go on to a node that joins, and are taken from one that dies; nothing that
// was acknowledged is lost. docs/cluster-design.md, 4; docs/spec/operate.md, O-240 to O-244.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { Hub, freeAddress, startHub, tempDir } from '../lib/hub.mjs';
import { Postgres, hasPostgres } from '../lib/postgres.mjs';
import { until } from '../lib/wait.mjs';

const SLOW = Number(process.env.TWINHUB_TEST_SLOW ?? 1);
const SETTLE_MS = 1500; // instead of 30 s
const DEVICES = 40;

let server;
const hubs = [];
before(async () => {
	if (!hasPostgres) throw new Error('postgresql-15 is not installed: scripts/setup --test');
	server = await Postgres.start();
});
after(async () => {
	for (const hub of hubs) if (hub.running) await hub.kill();
	server?.stop();
});

async function node(database, name, { more = [], settleMs = SETTLE_MS, ...options } = {}) {
	if (server.sql('postgres', `SELECT count(*) FROM pg_database WHERE datname = '${database}'`) === '0') server.sql('postgres', `CREATE DATABASE ${database}`);
	const addr = await freeAddress();
	const hub = await startHub({ addr, dir: path.join(tempDir('node'), 'data'), env: { TWINHUB_TEST_SETTLE_MS: String(settleMs) },
		args: ['--cluster', server.url(database), '--node', name, '--mesh', `${addr}:7443`, ...more], ...options });
	hubs.push(hub);
	return hub;
}

// {a: 32, b: 32}: shards by the node that has them and lives.
function shards(database) {
	const rows = server.sql(database, `SELECT n.id, count(*) FROM shard s JOIN node n ON n.id = s.node AND n.generation = s.generation
		WHERE n.state IN ('live', 'draining') GROUP BY 1 ORDER BY 1`);
	return Object.fromEntries(rows.split('\n').filter(Boolean).map((row) => row.split('|')).map(([id, n]) => [id, Number(n)]));
}

const shared = (database, ...counts) => until(() => JSON.stringify(Object.values(shards(database)).sort()) === JSON.stringify(counts.sort()),
	`shards are shared out as ${counts}, not ${JSON.stringify(shards(database))}`, { ms: 60_000 * SLOW });

// Writers, one a device, each on whatever node answers; what was acknowledged is kept.
class Writers {
	constructor(nodes) {
		Object.assign(this, { nodes, acknowledged: new Map(), last: new Map(), worst: new Map(), turn: 0, stopped: false });
	}

	async prepare() {
		await Promise.all(Array.from({ length: DEVICES }, async (_, i) => {
			await this.nodes[0].createDevice(`d${i}`);
			this.acknowledged.set(`d${i}`, 0);
		}));
	}

	// By one node after the other; true: it was acknowledged.
	async write(id, n) {
		const hubs = this.nodes.filter((hub) => hub.running);
		const answer = await hubs[this.turn++ % hubs.length].rest('PATCH', `/twins/${id}`, { body: { tags: { n } } }).catch(() => ({}));
		return answer.status === 200;
	}

	async #run(id) {
		for (let n = 1; !this.stopped; n++) {
			if (!await this.write(id, n)) continue;
			const now = performance.now();
			this.worst.set(id, Math.max(this.worst.get(id) ?? 0, now - (this.last.get(id) ?? now)));
			this.last.set(id, now);
			this.acknowledged.set(id, n);
		}
	}

	start() {
		this.running = [...this.acknowledged.keys()].map((id) => this.#run(id));
	}

	async stop() {
		this.stopped = true;
		await Promise.all(this.running);
	}

	// How long each device had to wait at the most: the median of them, and the longest.
	get waits() {
		const all = [...this.worst.values()].sort((x, y) => x - y);
		return `${all[all.length >> 1].toFixed(0)} ms, one ${all.at(-1).toFixed(0)} ms`;
	}

	// All devices have been written since.
	async everybody() {
		const since = performance.now();
		await until(() => [...this.acknowledged.keys()].every((id) => this.last.get(id) > since), 'each device is written', { ms: 60_000 * SLOW });
		return performance.now() - since;
	}

	// A read by any node.
	async verify() {
		for (const [id, n] of this.acknowledged) {
			const read = await Promise.any(this.nodes.filter((hub) => hub.running).map(async (hub) => {
				const answer = await hub.rest('GET', `/twins/${id}`);
				if (answer.status !== 200) throw new Error(`${answer.status}`);
				return answer.body.tags?.n ?? 0;
			}));
			assert.ok(read >= n, `${id} has ${read}, ${n} was acknowledged`);
		}
	}
}

test('O-240 O-241 a node that joins gets its share of the shards, one at a time, under load; nothing acknowledged is lost', { timeout: 180_000 * SLOW }, async (t) => {
	const a = await node('joins', 'a', { settleMs: 3 * SETTLE_MS });
	assert.deepEqual(shards('joins'), { a: 64 });
	const writers = new Writers([a]);
	await writers.prepare();
	writers.start();
	const b = await node('joins', 'b', { settleMs: 3 * SETTLE_MS });
	writers.nodes.push(b);
	await writers.everybody();
	writers.worst.clear(); // a start and first connections take the processor for themselves
	await shared('joins', 32, 32);
	await writers.everybody();
	await writers.stop();
	await writers.verify();
	t.diagnostic(`${[...writers.acknowledged.values()].reduce((x, y) => x + y)} acknowledged writes; longest waits while 32 shards moved: half of the devices up to ${writers.waits}`);
	assert.equal(server.sql('joins', 'SELECT count(DISTINCT address) FROM node'), '2');
	for (const hub of [a, b]) {
		for (const id of writers.acknowledged.keys()) {
			assert.equal((await hub.rest('PATCH', `/twins/${id}`, { body: { tags: { node: hub.addr } } })).status, 200, `${id}, by ${hub.addr}`);
			assert.equal((await hub.rest('GET', `/twins/${id}`)).body.tags.node, hub.addr);
		}
		const query = await hub.rest('POST', '/devices/query', { body: { query: `SELECT COUNT() AS n FROM devices WHERE tags.node = '${hub.addr}'` } });
		assert.deepEqual([query.status, query.body], [200, [{ n: DEVICES }]], query.text);
	}
});

test('O-242 O-243 the shards of a node that is killed, and of one that leaves, are served by the others', { timeout: 240_000 * SLOW }, async (t) => {
	const a = await node('dies', 'a');
	const writers = new Writers([a]);
	await writers.prepare();
	const b = await node('dies', 'b'), c = await node('dies', 'c');
	writers.nodes.push(b, c);
	await shared('dies', 21, 21, 22);
	writers.start();
	await writers.everybody();
	await c.kill();
	const killedMs = await writers.everybody();
	await shared('dies', 32, 32);
	t.diagnostic(`killed: each device is written again after ${killedMs.toFixed(0)} ms`);
	assert.ok(killedMs < 10_000 * SLOW);
	await b.stop();
	const leftMs = await writers.everybody();
	t.diagnostic(`left: each device is written again after ${leftMs.toFixed(0)} ms`);
	assert.ok(leftMs < 5_000 * SLOW);
	assert.deepEqual(shards('dies'), { a: 64 });
	await writers.stop();
	await writers.verify();
});

// All of the log from a position on, as a node reads it: events, and where it ends.
async function log(hub, from) {
	const answer = await hub.rest('GET', `/events?follow=false&from=${from}`);
	assert.equal(answer.status, 200, answer.text);
	const lines = answer.text.trimEnd().split('\n').map((line) => JSON.parse(line));
	return { events: lines.filter((e) => e.id !== undefined), end: lines.at(-1).position };
}

const fileLines = (hub) => {
	const file = path.join(hub.files, 'events.ndjson');
	return fs.existsSync(file) ? fs.readFileSync(file, 'utf8').trimEnd().split('\n').filter(Boolean).map((line) => JSON.parse(line)) : [];
};

test('O-245 O-246 O-247 log, sinks and partitions of a hub of several nodes, and of what is left of it', { timeout: 240_000 * SLOW }, async (t) => {
	const open = async (name) => {
		const files = tempDir('sinks');
		return Object.assign(await node('logs', name, { more: ['--sink-dir', files] }), { files });
	};
	const a = await open('a'), b = await open('b');
	await shared('logs', 32, 32);
	assert.equal((await b.rest('PUT', '/sinks/file', { body: { kind: 'file', path: 'events.ndjson' } })).status, 200);
	for (const to of ['file', 'events']) {
		const route = await a.rest('PUT', `/routes/${to}`, { body: { source: 'DeviceLifecycleEvents', endpointNames: [to] } });
		assert.equal(route.status, 200, route.text);
	}
	assert.equal((await a.rest('GET', '/events/partitions')).status, 200); // numbering begins
	const { end } = await log(b, 'now');
	const ids = Array.from({ length: DEVICES }, (_, i) => `e${i}`);
	for (const id of ids) await b.createDevice(id);
	const created = (events) => events.filter((e) => e.type.endsWith('DeviceCreated')).map((e) => e.data.deviceId ?? e.subject.split('/')[1]).sort();
	for (const hub of [a, b]) {
		const events = await until(async () => {
			const read = (await log(hub, end)).events;
			return created(read).length >= DEVICES && read;
		}, `${hub.addr} has read all that was created`);
		assert.deepEqual(created(events), [...ids].sort());
		assert.equal(new Set(events.map((e) => e.id)).size, events.length, 'each once');
	}
	const sent = () => new Set([a, b].flatMap((hub) => created(fileLines(hub))));
	await until(() => ids.every((id) => sent().has(id)), 'all were sent');
	assert.equal([a, b].filter((hub) => fileLines(hub).length > 0).length, 1, 'by one node');

	const partitions = async (hub) => (await Promise.all([0, 1, 2, 3].map(async (p) => (await hub.rest('GET', `/events/partitions/${p}`)).body)));
	const numbered = (hub, n) => until(async () => {
		const all = await partitions(hub);
		return created(all.flat().map((e) => e.event)).length >= n && all;
	}, `${hub.addr} has ${n} numbered`, { ms: 60_000 * SLOW });
	const dense = (all) => all.forEach((events) => events.forEach((e, i) => assert.equal(e.sequence, events[0].sequence + i)));
	for (const hub of [a, b]) dense(await numbered(hub, DEVICES));

	const [sender, other] = fileLines(a).length > 0 ? [a, b] : [b, a];
	await sender.kill();
	const later = Array.from({ length: 10 }, (_, i) => `f${i}`);
	for (const id of later) await until(async () => (await other.rest('PUT', `/devices/${id}`, { body: { deviceId: id } })).status === 200, `${id} is made`, { ms: 20_000 * SLOW });
	await until(() => later.every((id) => sent().has(id)), 'what came later was sent, by the other one', { ms: 30_000 * SLOW });
	const all = await numbered(other, DEVICES + later.length);
	dense(all);
	assert.deepEqual(created(all.flat().map((e) => e.event)), [...ids, ...later].sort(), 'each is numbered once');
	assert.deepEqual(created((await log(other, end)).events), [...ids, ...later].sort());
});

test('O-248 a shard that cannot be read is told and refused, and the others are served; so it is at a start', { timeout: 120_000 * SLOW }, async () => {
	const a = await node('damaged', 'a'), ids = Array.from({ length: 8 }, (_, i) => `g${i}`);
	for (const id of ids) await a.createDevice(id);
	const b = await node('damaged', 'b');
	await shared('damaged', 32, 32);
	const shard = Number(server.sql('damaged', "SELECT r.shard FROM rec r JOIN shard s USING (shard) WHERE r.tbl = 0 AND s.node = 'b' ORDER BY 1 LIMIT 1"));
	const bad = server.sql('damaged', `SELECT replace(encode(substr(key, 3), 'escape'), '\\000', '') FROM rec WHERE shard = ${shard} AND tbl = 0`).split('\n');
	server.sql('damaged', `UPDATE rec SET value = '\\xff' WHERE shard = ${shard} AND tbl = 0`);
	await b.kill();
	await until(() => a.logs.includes(`shard ${shard} cannot be served: the identity record of`), 'it is told', { ms: 30_000 * SLOW });
	const good = ids.filter((id) => !bad.includes(id));
	assert.ok(good.length > 0 && bad.length > 0);
	const asks = async (hub) => {
		for (const id of good) await until(async () => (await hub.rest('GET', `/twins/${id}`)).status === 200, `${id} is served`, { ms: 30_000 * SLOW });
		assert.equal((await hub.rest('GET', `/twins/${bad[0]}`)).status, 503);
	};
	await asks(a);
	await a.stop();
	await a.start();
	await asks(a);
});

test('O-244 a database of a newer program is left as it is', async () => {
	const a = await node('newer', 'a');
	await a.stop();
	server.sql('newer', 'UPDATE hub SET schema = 1000; DROP PROCEDURE th_leave');
	await assert.rejects(a.start(), /schema 1000, this program knows \d+: it is of a newer one/);
	assert.equal(server.sql('newer', "SELECT count(*) FROM pg_proc WHERE proname = 'th_leave'"), '0');
});

test('O-240 a place for the mesh is an address, and of a node of several', async () => {
	const refused = async (text, ...args) => assert.rejects(new Hub({ addr: await freeAddress(), dir: path.join(tempDir('node'), 'data'), args }).start(), text);
	await refused(/--mesh somewhere:7443: not ADDRESS:PORT/, '--cluster', server.url('x'), '--mesh', 'somewhere:7443');
	await refused(/--mesh is for a node of several/, '--mesh', '127.0.0.1:7443');
});

test('E-10 a position that one node gave is good on another at once', { timeout: 120_000 * SLOW }, async () => {
	const a = await node('positions', 'a'), b = await node('positions', 'b');
	await shared('positions', 32, 32);
	const read = (hub, from) => hub.rest('GET', `/events?follow=false&from=${from}`);
	for (let i = 0; i < 20; i++) {
		await a.createDevice(`p${i}`);
		const { position } = (await read(a, 'earliest')).text.trimEnd().split('\n').map((line) => JSON.parse(line)).findLast((event) => event.position !== undefined);
		const answer = await read(b, position);
		assert.equal(answer.status, 200, answer.text);
	}
});
