// Several nodes of one hub over one PostgreSQL: shards are shared out, go on to a node that joins, and are taken from one that dies; nothing that
// was acknowledged is lost. docs/cluster-design.md, 4; docs/spec/operate.md, O-240 to O-244.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
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

async function node(database, name, options = {}) {
	if (server.sql('postgres', `SELECT count(*) FROM pg_database WHERE datname = '${database}'`) === '0') server.sql('postgres', `CREATE DATABASE ${database}`);
	const addr = await freeAddress();
	const hub = await startHub({ addr, dir: path.join(tempDir('node'), 'data'), env: { TWINHUB_TEST_SETTLE_MS: String(SETTLE_MS) },
		args: ['--cluster', server.url(database), '--node', name, '--mesh', `${addr}:7443`], ...options });
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
		Object.assign(this, { nodes, acknowledged: new Map(), last: new Map(), worstMs: 0, stopped: false });
	}

	async prepare() {
		await Promise.all(Array.from({ length: DEVICES }, async (_, i) => {
			await this.nodes[0].createDevice(`d${i}`);
			this.acknowledged.set(`d${i}`, 0);
		}));
	}

	// true: somebody has acknowledged it.
	async write(id, n) {
		const tries = this.nodes.filter((hub) => hub.running).map(async (hub) => {
			const answer = await hub.rest('PATCH', `/twins/${id}`, { body: { tags: { n } } });
			if (answer.status !== 200) throw new Error(`${answer.status}`);
		});
		return Promise.any(tries).then(() => true, () => false);
	}

	async #run(id) {
		for (let n = 1; !this.stopped; n++) {
			if (!await this.write(id, n)) continue;
			const now = performance.now();
			this.worstMs = Math.max(this.worstMs, now - (this.last.get(id) ?? now));
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

	// All devices have been written since.
	async everybody() {
		const since = performance.now();
		await until(() => [...this.acknowledged.keys()].every((id) => this.last.get(id) > since), 'each device is written', { ms: 60_000 * SLOW });
		return performance.now() - since;
	}

	// A read by whoever has the device.
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
	const a = await node('joins', 'a');
	assert.deepEqual(shards('joins'), { a: 64 });
	const writers = new Writers([a]);
	await writers.prepare();
	writers.start();
	const b = await node('joins', 'b');
	writers.nodes.push(b);
	await shared('joins', 32, 32);
	await writers.everybody();
	await writers.stop();
	await writers.verify();
	t.diagnostic(`${[...writers.acknowledged.values()].reduce((x, y) => x + y)} acknowledged writes; a device had to wait ${writers.worstMs.toFixed(0)} ms at the most`);
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
