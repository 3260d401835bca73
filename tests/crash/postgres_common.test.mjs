// What is hub-wide and others change: a node has it in force before its lease goes on. docs/cluster-design.md, 10, G8.
// Here one node and a hand in the database; two nodes: tests/cluster.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import path from 'node:path';
import tls from 'node:tls';
import { startHub, tempDir } from '../lib/hub.mjs';
import { Postgres, hasPostgres } from '../lib/postgres.mjs';
import { until } from '../lib/wait.mjs';

const SLOW = Number(process.env.TWINHUB_TEST_SLOW ?? 1);

let server, hub;
before(async () => {
	if (!hasPostgres) throw new Error('postgresql-15 is not installed: scripts/setup --test');
	server = await Postgres.start();
	server.sql('postgres', 'CREATE DATABASE common');
	hub = await startHub({ dir: path.join(tempDir('node'), 'data'), args: ['--cluster', server.url('common')] });
});
after(async () => {
	if (hub?.running) await hub.stop();
	server?.stop();
});

const sql = (text) => server.sql('common', text);
const common = () => Number(sql('SELECT common FROM hub'));
const bump = () => sql('UPDATE hub SET common = common + 1');
const stored = (name) => Buffer.from(sql(`SELECT encode(value, 'hex') FROM secret WHERE name = '${name}'`), 'hex').toString();
const store = (name, text) => sql(`UPDATE secret SET value = decode('${Buffer.from(text).toString('hex')}', 'hex') WHERE name = '${name}'`);

test('O-273 each change of what is hub-wide raises its version, and nothing else does', { timeout: 120_000 * SLOW }, async () => {
	const raised = async (what, status, method, target, options) => {
		const was = common(), answer = await hub.rest(method, target, options);
		assert.equal(answer.status, status, `${what}: ${answer.text}`);
		return common() - was;
	};

	assert.equal(await raised('a configuration', 200, 'PUT', '/configurations/c1', { body: { id: 'c1', content: { deviceContent: { 'properties.desired.c1': 1 } }, targetCondition: '*', priority: 1 } }), 1);
	assert.equal(await raised('settings', 200, 'PATCH', '/settings', { body: { retention: { logMaxAge: 7200 } } }), 1);
	assert.equal(await raised('a policy', 200, 'PUT', '/admin/policies/line1?rights=ServiceConnect'), 1);
	assert.equal(await raised('a key', 200, 'POST', '/admin/policies/line1/rotate?key=primary'), 1);
	assert.equal(await raised('a device', 200, 'PUT', '/devices/d1', { body: { deviceId: 'd1' } }), 0);
	assert.equal(await raised('a twin', 200, 'PATCH', '/twins/d1', { body: { properties: { desired: { a: 1 } } } }), 0);
	assert.equal(await raised('the end of a configuration', 204, 'DELETE', '/configurations/c1'), 1);
});

test('O-273 policies that another node has changed are in force with the next beat', { timeout: 120_000 * SLOW }, async () => {
	const { body: policy } = await hub.rest('PUT', '/admin/policies/line2?rights=RegistryRead');
	const former = stored('policies');
	await hub.rest('POST', '/admin/policies/line2/rotate?key=primary');
	const token = await hub.token({ policy: 'line2' });
	const reads = async () => (await hub.rest('GET', '/devices', { token })).status;
	assert.equal(await reads(), 200);
	store('policies', former);
	bump();
	await until(async () => await reads() === 401, 'the other key opens nothing', 5000 * SLOW);
	assert.equal((await hub.rest('GET', '/admin/policies/line2')).body.primaryKey, policy.primaryKey);
	assert.equal((await hub.rest('PUT', '/admin/policies/line3?rights=RegistryRead')).status, 200, 'and the next change is on top of them');
});

test('O-273 other keys of tickets are taken soon', { timeout: 120_000 * SLOW }, async () => {
	const visit = async (session) => {
		const socket = tls.connect({ host: hub.addr, port: hub.httpsPort, servername: 'localhost', ca: hub.pem, session });
		const [next] = await once(socket, 'session');
		const reused = socket.isSessionReused();
		socket.destroy();
		return { reused, next };
	};
	const { next } = await visit();
	assert.equal((await visit(next)).reused, true);
	const value = Buffer.from(sql("SELECT encode(value, 'hex') FROM secret WHERE name = 'tickets'"), 'hex'), keys = value.indexOf(10) + 1;
	value.subarray(keys).reverse();
	sql(`UPDATE secret SET value = decode('${value.toString('hex')}', 'hex') WHERE name = 'tickets'`);
	bump();
	await until(async () => !(await visit(next)).reused, 'a ticket of the former keys is none any more', 25_000 * SLOW);
});

test('O-273 a node that cannot read what is hub-wide has no lease: it answers nothing, says why, and goes on by itself', { timeout: 120_000 * SLOW }, async () => {
	const good = stored('policies');
	store('policies', 'no policies');
	bump();
	await until(async () => (await hub.rest('GET', '/devices/d1')).status === 503, 'nothing is answered', 15_000 * SLOW);
	assert.match(hub.logs, /what is hub-wide cannot be read: .*; without it the node's lease ends/);
	store('policies', good);
	await until(async () => (await hub.rest('GET', '/devices/d1')).status === 200, 'it goes on', 15_000 * SLOW);
});

test('O-274 one node waits for nobody', { timeout: 120_000 * SLOW }, async () => {
	const times = [];
	for (let i = 0; i < 10; i++) {
		const since = performance.now();
		assert.equal((await hub.rest('PATCH', '/settings', { body: { retention: { logMaxAge: 7200 + i % 2 } } })).status, 200);
		times.push(performance.now() - since);
	}
	times.sort((a, b) => a - b);
	assert.ok(times[5] < 500 * SLOW, `half of the changes took more than ${times[5]} ms`);
});
