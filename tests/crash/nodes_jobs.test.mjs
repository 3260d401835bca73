// Jobs of a hub on several nodes, one of which is killed in the middle: each device has its change once (docs/cluster-design.md, G7).
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import path from 'node:path';
import { freeAddress, startHub, tempDir } from '../lib/hub.mjs';
import { Postgres, hasPostgres } from '../lib/postgres.mjs';
import { Jobs } from '../lib/jobs.mjs';
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

// A device's token is judged by the node that has its shard: all are the same hub to it.
let addresses;
async function node(name) {
	addresses ??= [await freeAddress(), await freeAddress(), await freeAddress()];
	const addr = addresses['abc'.indexOf(name)];
	const hub = await startHub({ addr, dir: path.join(tempDir('node'), 'data'), env: { TWINHUB_TEST_SETTLE_MS: '1500' },
		args: ['--cluster', server.url('jobs'), '--node', name, '--mesh', `${addr}:7443`,
			...[addr, ...addresses.filter((other) => other !== addr)].flatMap((host) => ['--hostname', host])] });
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

async function ended(hub, id) {
	let last;
	await until(async () => (last = await hub.rest('GET', `/jobs/v2/${id}`)).body?.status === 'completed', `${id} has ended`, 90_000 * SLOW);
	return last.body.deviceJobStatistics;
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

test('O-276 a job that calls devices calls none twice, whatever node dies', { timeout: 300_000 * SLOW }, async (t) => {
	for (const hub of hubs) if (hub.running) await hub.kill();
	hubs.length = 0;
	server.sql('postgres', 'DROP DATABASE jobs WITH (FORCE)');
	server.sql('postgres', 'CREATE DATABASE jobs');
	for (const name of ['a', 'b', 'c']) await node(name);
	await shared(3);
	const dies = ownerOf(0), lives = others(dies)[0], jobs = new Jobs(lives), heard = new Map();
	for (let i = 0; i < 30; i++) {
		const d = await jobs.listener(`m${i}`);
		heard.set(`m${i}`, 0);
		void (async () => {
			for (;;) {
				const call = await d.call();
				heard.set(`m${i}`, heard.get(`m${i}`) + 1);
				call.answer(200, '{}');
			}
		})().catch(() => {}); // its link is gone
	}
	const put = await lives.rest('PUT', '/jobs/v2/calls', { body: { jobId: 'calls', type: 'scheduleDeviceMethod', queryCondition: '*', maxExecutionTimeInSeconds: 300, maxUpdatesPerSecond: 10,
		cloudToDeviceMethod: { methodName: 'reboot', payload: null, responseTimeoutInSeconds: 10, connectTimeoutInSeconds: 10 } } });
	assert.equal(put.status, 200, put.text);
	await until(() => [...heard.values()].some((n) => n > 0), 'the first is called', 20_000 * SLOW);
	await new Promise((later) => setTimeout(later, 700));
	await dies.kill();
	const stats = await ended(lives, 'calls');
	const calls = [...heard.values()];
	t.diagnostic(`${calls.filter((n) => n === 1).length} of ${calls.length} devices were called; ${JSON.stringify(stats)}`);
	assert.ok(calls.every((n) => n <= 1), `some were called twice: ${calls}`);
	assert.equal(stats.succeededCount + stats.failedCount, 30);
	assert.ok(stats.succeededCount <= calls.filter((n) => n === 1).length, 'who succeeded was called');
	jobs.close();
});
