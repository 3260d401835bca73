// Jobs of a hub on several nodes, one of which is killed in the middle: each device has its change once (docs/cluster-design.md, G7).
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import path from 'node:path';
import { freeAddress, startHub, tempDir } from '../lib/hub.mjs';
import { Postgres, hasPostgres } from '../lib/postgres.mjs';
import { until } from '../lib/wait.mjs';

const SLOW = Number(process.env.TWINHUB_TEST_SLOW ?? 1);
const DEVICES = 60;

let server;
const hubs = [];
before(async () => {
	if (!hasPostgres) throw new Error('postgresql-15 is not installed: scripts/setup --test');
	server = await Postgres.start();
	server.sql('postgres', 'CREATE DATABASE jobs');
});
after(async () => {
	for (const hub of hubs) if (hub.running) await hub.kill();
	server?.stop();
});

async function node(name) {
	const addr = await freeAddress();
	const hub = await startHub({ addr, dir: path.join(tempDir('node'), 'data'), env: { TWINHUB_TEST_SETTLE_MS: '1500' },
		args: ['--cluster', server.url('jobs'), '--node', name, '--mesh', `${addr}:7443`] });
	hub.name = name;
	hubs.push(hub);
	return hub;
}

const ownerOf = (shard) => hubs.find((hub) => hub.running && hub.name === server.sql('jobs', `SELECT node FROM shard WHERE shard = ${shard}`));
const others = (hub) => hubs.filter((other) => other.running && other !== hub);
const shared = (n) => until(() => server.sql('jobs', `SELECT count(*) FROM (SELECT n.id FROM shard s JOIN node n ON n.id = s.node AND n.generation = s.generation
	WHERE n.state = 'live' GROUP BY 1 HAVING count(*) BETWEEN ${Math.floor(64 / n)} AND ${Math.ceil(64 / n)}) x`) === String(n), `${n} nodes have their shards`, 90_000 * SLOW);

async function job(hub, id, n) {
	const answer = await hub.rest('PUT', `/jobs/v2/${id}`, { body: { jobId: id, type: 'scheduleUpdateTwin', queryCondition: '*', maxExecutionTimeInSeconds: 300,
		maxUpdatesPerSecond: 20, updateTwin: { etag: '*', properties: { desired: { n } } } } });
	assert.equal(answer.status, 200, answer.text);
}

async function completed(hub, id) {
	let last;
	await until(async () => {
		last = await hub.rest('GET', `/jobs/v2/${id}`);
		return last.status === 200 && last.body.status === 'completed';
	}, `${id} is completed`, 90_000 * SLOW);
	assert.equal(last.body.deviceJobStatistics.succeededCount, DEVICES, last.text);
}

async function each(hub, version, n) {
	for (let i = 0; i < DEVICES; i++) {
		const { body } = await hub.rest('GET', `/twins/d${i}`);
		assert.deepEqual([body.properties.desired.n, body.properties.desired.$version], [n, version], `d${i}`);
	}
}

test('O-275 O-276 a job goes on over the death of a node, of shard 0\'s too, and changes each device once', { timeout: 300_000 * SLOW }, async () => {
	for (const name of ['a', 'b', 'c']) await node(name);
	await shared(3);
	for (let i = 0; i < DEVICES; i++) await hubs[i % 3].createDevice(`d${i}`);
	await job(hubs[1], 'all', 1);
	await completed(hubs[2], 'all');
	await each(hubs[0], 2, 1);
	// shard 0's node dies, then another one
	for (const [round, victim] of [[2, () => ownerOf(0)], [3, () => others(ownerOf(0))[0]]]) {
		const dies = victim(), asks = others(dies)[0];
		await job(asks, `job${round}`, round);
		await new Promise((later) => setTimeout(later, 1200));
		await dies.kill();
		await completed(asks, `job${round}`);
		await each(asks, round + 1, round);
	}
});
