// What has been answered is in force on all nodes (docs/cluster-design.md, G8), also where one of them stands still.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import path from 'node:path';
import { freeAddress, startHub, tempDir } from '../lib/hub.mjs';
import { mqttDevice } from '../lib/mqtt.mjs';
import { Postgres, hasPostgres } from '../lib/postgres.mjs';
import { sasToken } from '../lib/sas.mjs';
import { until } from '../lib/wait.mjs';

const SLOW = Number(process.env.TWINHUB_TEST_SLOW ?? 1);

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

// Who a token is for is judged by the node that has the shard: to all it is the same hub.
const addresses = {};
async function node(database, name, ...args) {
	const both = addresses[database] ??= [await freeAddress(), await freeAddress()];
	if (server.sql('postgres', `SELECT count(*) FROM pg_database WHERE datname = '${database}'`) === '0') server.sql('postgres', `CREATE DATABASE ${database}`);
	const addr = both['ab'.indexOf(name)];
	const hub = await startHub({ addr, dir: path.join(tempDir('node'), 'data'), env: { TWINHUB_TEST_SETTLE_MS: '1500' },
		args: ['--cluster', server.url(database), '--node', name, '--mesh', `${addr}:7443`,
			...[addr, ...both.filter((other) => other !== addr)].flatMap((host) => ['--hostname', host]), ...args] });
	hub.name = name;
	hubs.push(hub);
	return hub;
}

async function two(database, ...args) {
	const nodes = [await node(database, 'a', ...args), await node(database, 'b', ...args)];
	await until(() => server.sql(database, 'SELECT count(DISTINCT (node, generation)) FROM shard') === '2'
		&& server.sql(database, "SELECT max(n) FROM (SELECT count(*) n FROM shard GROUP BY node) x") === '32', 'each has its shards', 90_000 * SLOW);
	return nodes;
}

const ownerOf = (database, nodes, shard) => {
	const name = server.sql(database, `SELECT node FROM shard WHERE shard = ${shard}`);
	return nodes.find((hub) => hub.name === name);
};
const median = (times) => times.sort((x, y) => x - y)[times.length >> 1];

// Each node has a name of its own, which its tokens are for.
const tokenFor = (hub, name, key) => sasToken({ resource: hub.addr, key, policy: name });

test('O-274 when a rotation is answered the old key opens nothing on any node', { timeout: 240_000 * SLOW }, async (t) => {
	const nodes = await two('rotate');
	const made = await nodes[0].rest('PUT', '/admin/policies/line1?rights=RegistryRead,ServiceConnect');
	assert.equal(made.status, 200, made.text);
	const times = [];
	for (let i = 0; i < 12; i++) {
		const [on, other] = i % 2 ? nodes : [nodes[1], nodes[0]];
		const old = (await on.rest('GET', '/admin/policies/line1')).body.primaryKey;
		const opens = async (hub) => (await hub.rest('GET', '/settings', { token: tokenFor(hub, 'line1', old) })).status;
		assert.equal(await opens(other), 200, 'the key is good on the other node');
		const since = performance.now();
		const answer = await on.rest('POST', '/admin/policies/line1/rotate?key=primary');
		times.push(performance.now() - since);
		assert.equal(answer.status, 200, answer.text);
		const after = await Promise.all([0, 1, 2, 3].map((n) => opens(n % 2 ? on : other)));
		assert.deepEqual(after, [401, 401, 401, 401], `round ${i}`);
		assert.equal((await other.rest('GET', '/admin/policies/line1')).body.primaryKey, answer.body.primaryKey);
	}
	t.diagnostic(`a rotation takes ${median(times).toFixed(0)} ms (median), ${times.at(-1).toFixed(0)} ms at the most`);
	assert.ok(times.at(-1) < 5000 * SLOW, 'nobody waited for the time of a lease');
});

test('O-274 of two nodes that change the policies at once one is told, and nothing is lost', { timeout: 240_000 * SLOW }, async () => {
	const nodes = await two('race');
	const names = [];
	for (let i = 0; i < 10; i++) {
		const answers = await Promise.all(nodes.map((hub) => hub.rest('PUT', `/admin/policies/p${i}${hub.name}?rights=ServiceConnect`)));
		for (const [n, answer] of answers.entries()) {
			if (answer.status === 200) names.push(`p${i}${nodes[n].name}`);
			else assert.match(answer.text, /another node has changed the policies meanwhile: try again/);
		}
		assert.ok(answers.some((answer) => answer.status === 200), 'one of them wins');
	}
	for (const hub of nodes) {
		const there = (await hub.rest('GET', '/admin/policies')).body.map((p) => p.name).filter((name) => /^p\d/.test(name));
		assert.deepEqual(there.sort(), names.sort());
	}
});

test('O-274 when a configuration is put no node works by the former ones', { timeout: 240_000 * SLOW }, async (t) => {
	const nodes = await two('config');
	const owner = ownerOf('config', nodes, 0), times = [];
	for (let i = 0; i < 20; i++) await owner.createDevice(`d${i}`);
	for (let i = 0; i < 10; i++) {
		const since = performance.now();
		const put = await owner.rest('PUT', `/configurations/c${i}`, { body: { id: `c${i}`, content: { deviceContent: { [`properties.desired.c${i}`]: i } }, targetCondition: `tags.n=${i}`, priority: i + 1 } });
		times.push(performance.now() - since);
		assert.equal(put.status, 200, put.text);
		const changed = await Promise.all(Array.from({ length: 20 }, (_, d) => nodes[d % 2].rest('PATCH', `/twins/d${d}`, { body: { tags: { n: i } } })));
		for (const [d, answer] of changed.entries()) {
			assert.equal(answer.status, 200, answer.text);
			const twin = await nodes[(d + 1) % 2].rest('GET', `/twins/d${d}`);
			assert.equal(twin.body.properties.desired[`c${i}`], i, `d${d} was written by a set without c${i}`);
			assert.equal(answer.body.properties.desired[`c${i}`], i, 'in the change of its tags');
		}
		for (const hub of nodes) assert.ok((await hub.rest('GET', '/configurations')).body.some((c) => c.id === `c${i}`), 'each node shows it');
	}
	t.diagnostic(`a configuration takes ${median(times).toFixed(0)} ms (median), ${times.at(-1).toFixed(0)} ms at the most`);
	const settings = await owner.rest('PATCH', '/settings', { body: { retention: { logMaxAge: 7201 } } });
	assert.equal(settings.status, 200, settings.text);
	for (const hub of nodes) assert.equal((await hub.rest('GET', '/settings')).body.retention.logMaxAge, 7201);
});

test('O-273 a link that a key has opened is closed wherever it is, when another node rotates the key', { timeout: 240_000 * SLOW }, async () => {
	const [a, b] = await two('links');
	const { primaryKey, secondaryKey } = (await a.rest('GET', '/admin/policies/device')).body;
	const link = async (id, key) => {
		const d = await mqttDevice(b, id, { login: { password: sasToken({ resource: b.addr, key, policy: 'device' }) } });
		const shown = { id, closed: false };
		void d.ended.then(() => { shown.closed = true; });
		return Object.assign(shown, { d });
	};
	const old = [], kept = [];
	for (let i = 0; i < 6; i++) old.push(await link(`p${i}`, primaryKey));
	for (let i = 0; i < 2; i++) kept.push(await link(`s${i}`, secondaryKey));
	assert.equal((await a.rest('POST', '/admin/policies/device/rotate?key=primary')).status, 200);
	await until(() => old.every((l) => l.closed), 'links of the former key are closed', 5000 * SLOW);
	assert.ok(kept.every((l) => !l.closed), 'those of the other key stay');
	await assert.rejects(link('p0', primaryKey), /refused with 5/);
	for (const l of kept) l.d.destroy();
});

test('O-279 identities are counted for the hub, not for a node', { timeout: 240_000 * SLOW }, async () => {
	const nodes = await two('count', '--max-devices', '10');
	for (let i = 0; i < 10; i++) await nodes[i % 2].createDevice(`d${i}`);
	const more = (hub, id) => hub.rest('PUT', `/devices/${id}`, { body: { deviceId: id } });
	await until(() => server.sql('count', 'SELECT sum(identities) FROM node') === '10', 'both have said how many they have', 10_000 * SLOW);
	await new Promise((later) => setTimeout(later, 1200)); // and have heard it
	for (let i = 0; i < 10; i++) assert.equal((await more(nodes[i % 2], `e${i}`)).status, 403, 'there are ten');
	assert.equal((await nodes[1].rest('DELETE', '/devices/d0')).status, 204);
	await until(async () => (await more(nodes[0], 'e0')).status === 200, 'there is room for one', 10_000 * SLOW);
});

test('O-274 O-278 a rotation is answered although a node stands still, which answers nothing by the old key when it goes on', { timeout: 240_000 * SLOW }, async (t) => {
	const [a, b] = await two('stopped');
	const made = await a.rest('PUT', '/admin/policies/line1?rights=RegistryRead,ServiceConnect');
	const old = tokenFor(b, 'line1', made.body.primaryKey);
	assert.equal((await b.rest('GET', '/settings', { token: old })).status, 200);
	process.kill(b.pid, 'SIGSTOP');
	// these wait in its sockets, and it has judged nothing yet
	const waiting = Array.from({ length: 8 }, () => b.rest('GET', '/settings', { token: old }).then((answer) => answer.status, () => 'closed'));
	const since = performance.now();
	const answer = await a.rest('POST', '/admin/policies/line1/rotate?key=primary');
	const ms = performance.now() - since;
	assert.equal(answer.status, 200, answer.text);
	t.diagnostic(`answered after ${ms.toFixed(0)} ms`);
	assert.ok(ms > 1000 && ms < 12_000 * SLOW, `${ms} ms`);
	process.kill(b.pid, 'SIGCONT');
	const seen = new Set(await Promise.all(waiting));
	for (const until = performance.now() + 2000; performance.now() < until;) seen.add(await b.rest('GET', '/settings', { token: old }).then((r) => r.status, () => 'closed'));
	assert.ok(!seen.has(200), `it was opened by the old key: ${[...seen]}`);
	t.diagnostic(`the node that stood still said ${[...seen]}`);
});
