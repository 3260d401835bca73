// Questions to several nodes of one hub over one PostgreSQL: each answers as one with the same data, byte for byte; while shards move and after a
// node's death whole or 503, never less. docs/cluster-design.md, 9; docs/spec/operate.md, O-265 to O-267.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import path from 'node:path';
import { freeAddress, startHub, tempDir } from '../lib/hub.mjs';
import { Postgres, hasPostgres } from '../lib/postgres.mjs';
import { until } from '../lib/wait.mjs';

const SLOW = Number(process.env.TWINHUB_TEST_SLOW ?? 1);
const DEVICES = 150;

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

async function node(database, name) {
	if (server.sql('postgres', `SELECT count(*) FROM pg_database WHERE datname = '${database}'`) === '0') server.sql('postgres', `CREATE DATABASE ${database}`);
	const addr = await freeAddress();
	const hub = await startHub({ addr, dir: path.join(tempDir('node'), 'data'), env: { TWINHUB_TEST_SETTLE_MS: '1500' },
		args: ['--cluster', server.url(database), '--node', name, '--mesh', `${addr}:7443`] });
	hubs.push(hub);
	return hub;
}

const owners = (database) => server.sql(database, `SELECT count(*) FROM shard s JOIN node n ON n.id = s.node AND n.generation = s.generation
	WHERE n.state = 'live' GROUP BY n.id ORDER BY 1`).split('\n').map(Number).sort((a, b) => a - b);
const shared = (database, ...counts) => until(() => JSON.stringify(owners(database)) === JSON.stringify(counts), `shards are shared out as ${counts}, not ${owners(database)}`, { ms: 90_000 * SLOW });

async function fill(hub) {
	const all = Array.from({ length: DEVICES }, (_, i) => i);
	for (let at = 0; at < DEVICES; at += 25)
		await Promise.all(all.slice(at, at + 25).map(async (i) => {
			await hub.createDevice(`d${i}`);
			const patch = await hub.rest('PATCH', `/twins/d${i}`, { body: { tags: { n: i, kind: 'abc'[i % 3] }, properties: { desired: { level: i % 7 } } } });
			assert.equal(patch.status, 200, patch.text);
			if (i % 5 === 0) assert.equal((await hub.rest('PUT', `/devices/d${i}/modules/m`, { body: { deviceId: `d${i}`, moduleId: 'm' } })).status, 200);
		}));
}

const queries = [
	'SELECT * FROM devices', "SELECT deviceId, tags.n FROM devices WHERE tags.kind = 'a'", 'SELECT TOP 17 deviceId FROM devices WHERE tags.n > 3',
	"SELECT deviceId FROM devices WHERE deviceId IN ['d3', 'd77', 'none']", 'SELECT COUNT() AS n FROM devices', 'SELECT * FROM devices.modules',
	'SELECT tags.kind AS kind, COUNT() AS n, MAX(tags.n) AS most FROM devices GROUP BY tags.kind', 'SELECT COUNT(DISTINCT properties.desired.level) AS levels FROM devices',
	'SELECT deviceId, tags.n FROM devices ORDER BY tags.kind, tags.n DESC', 'SELECT DISTINCT tags.kind FROM devices', 'SELECT * FROM devices.jobs',
];

// All pages, as they came, with their tokens; null: one was 503.
async function ask(hub, query, size) {
	const pages = [];
	for (let token = null; token !== undefined;) {
		const answer = await hub.rest('POST', '/devices/query', { body: { query }, headers: { 'x-ms-max-item-count': String(size), ...(token ? { 'x-ms-continuation': token } : {}) } });
		if (answer.status === 503) return null;
		assert.equal(answer.status, 200, answer.text);
		token = answer.headers['x-ms-continuation'];
		pages.push(answer.text, token ?? '');
	}
	return pages.join('\n');
}

const gets = ['/devices?top=40', '/statistics/devices', '/jobs/v2/query', '/statistics/paths?prefix=tags', '/configurations/c/devices'];
const timeless = (text) => text.replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'then').replace(/"(bytes|\$lastUpdatedByDigest)":"?\d+"?/g, '"$1":0');

async function answers(hub) {
	const all = {};
	for (const query of queries) for (const size of [9, 1000]) all[`${query} by ${size}`] = await ask(hub, query, size);
	for (const get of gets) {
		const answer = await hub.rest('GET', get);
		all[get] = `${answer.status} ${timeless(answer.text)}`;
	}
	const dry = await hub.rest('PUT', '/configurations/dry?dryRun=true&sample=3', { body: { id: 'dry', targetCondition: 'tags.n > 40', priority: 3, content: { deviceContent: { 'properties.desired.x': 1 } } } });
	all['a dry run'] = `${dry.status} ${timeless(dry.text)}`;
	return all;
}

// Said from where they differ.
function same(got, expected, what) {
	let at = 0;
	while (at < expected.length && got?.[at] === expected[at]) at++;
	const from = Math.max(0, at - 80);
	assert.ok(got === expected, `${what}: ...${got?.slice(from, from + 300)}\ninstead of ...${expected.slice(from, from + 300)}`);
}

test('O-265 each of three nodes answers what one node with the same data does, byte for byte', { timeout: 240_000 * SLOW }, async () => {
	const a = await node('questions', 'a');
	await fill(a);
	assert.equal((await a.rest('PUT', '/configurations/c', { body: { id: 'c', targetCondition: "tags.kind = 'b'", priority: 1, content: { deviceContent: { 'properties.desired.c': 1 } } } })).status, 200);
	await until(async () => (await ask(a, "SELECT deviceId FROM devices WHERE configurations.[[c]].status = 'Applied'", 1000))?.split('d1').length > 10, 'the configuration is applied', { ms: 30_000 * SLOW });
	const alone = await answers(a);
	const b = await node('questions', 'b'), c = await node('questions', 'c');
	await shared('questions', 21, 21, 22);
	for (const hub of [a, b, c]) {
		const now = await answers(hub);
		for (const question of Object.keys(alone)) same(now[question], alone[question], `${question}, by ${hub === a ? 'a' : hub === b ? 'b' : 'c'}`);
	}
});

test('O-266 O-267 while shards move, and when nodes die or leave, an answer is whole or 503', { timeout: 240_000 * SLOW }, async (t) => {
	const a = await node('moves', 'a');
	await fill(a);
	const asked = [['SELECT deviceId FROM devices', 40], ['SELECT tags.kind AS kind, COUNT() AS n FROM devices GROUP BY tags.kind', 100], ['SELECT deviceId FROM devices ORDER BY tags.n', 100]];
	const whole = await Promise.all(asked.map(([query, size]) => ask(a, query, size)));
	let stopped = false, answered = 0, refused = 0, worstMs = 0;
	const nodes = [a];
	const asker = (async () => {
		for (let n = 0; !stopped; n++) {
			const living = nodes.filter((hub) => hub.running), hub = living[n % living.length], [query, size] = asked[n % asked.length], began = performance.now();
			const got = await ask(hub, query, size).catch((error) => { // it may have left meanwhile
				if (error.code === 'ERR_ASSERTION') throw error;
				return null;
			});
			worstMs = Math.max(worstMs, performance.now() - began);
			if (got === null) refused++;
			else assert.equal(got, whole[n % asked.length], `${query}, by ${hub.addr}`);
			answered += got !== null;
		}
	})();
	nodes.push(await node('moves', 'b'));
	const c = await node('moves', 'c');
	await shared('moves', 21, 21, 22);
	const moved = answered;
	await c.kill();
	await shared('moves', 32, 32);
	const before = answered;
	await until(() => answered > before + 10, 'questions are answered again', { ms: 30_000 * SLOW });
	// one that leaves, asked until the end
	const leaving = performance.now(), b = nodes[1];
	await b.stop();
	const leftMs = performance.now() - leaving;
	const rest = answered;
	await until(() => answered > rest + 10, 'the last one answers', { ms: 30_000 * SLOW });
	stopped = true;
	await asker;
	t.diagnostic(`a node left within ${leftMs.toFixed(0)} ms`);
	t.diagnostic(`${answered} answers, ${refused} refused, the slowest took ${worstMs.toFixed(0)} ms`);
	assert.ok(moved > 0);
});
