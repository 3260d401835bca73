// What all nodes of a hub over PostgreSQL share is there, not in a node's directory: the hub's id and its policies outlive the directory.
// docs/cluster-design.md, 10 and 11.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import tls from 'node:tls';
import { BINARY, Hub, freeAddress, startHub, tempDir } from '../lib/hub.mjs';
import { Postgres, hasPostgres } from '../lib/postgres.mjs';
import { until } from '../lib/wait.mjs';

const SLOW = Number(process.env.TWINHUB_TEST_SLOW ?? 1);

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

const fresh = () => path.join(tempDir('node'), 'data');
const file = (hub, name) => fs.readFileSync(path.join(hub.dir, name), 'utf8');
const hubId = (hub) => JSON.parse(file(hub, 'hub.json')).hubId;
const policiesOf = (hub) => JSON.parse(file(hub, 'policies.json')).policies;

async function hubOn(database, dir = fresh(), ...args) {
	if (server.sql('postgres', `SELECT count(*) FROM pg_database WHERE datname = '${database}'`) === '0') server.sql('postgres', `CREATE DATABASE ${database}`);
	const hub = await startHub({ dir, args: ['--cluster', server.url(database), ...args] });
	hubs.push(hub);
	return hub;
}

// A TLS connection: was a session resumed, and which one comes.
async function visit(hub, ca, session) {
	const socket = tls.connect({ host: hub.addr, port: hub.httpsPort, servername: 'localhost', ca, session });
	const [next] = await once(socket, 'session');
	const reused = socket.isSessionReused();
	socket.destroy();
	return { reused, session: next };
}

async function refused(text, dir, ...args) {
	const other = new Hub({ addr: await freeAddress(), dir, args });
	await assert.rejects(other.start(), text);
}

test('O-221 O-222 O-223 O-224 id, policies, CA and ticket keys outlive the directory: a new one joins the hub', { timeout: 120_000 * SLOW }, async () => {
	const first = await hubOn('shared');
	const made = await first.rest('PUT', '/admin/policies/line7?rights=ServiceConnect');
	assert.equal(made.status, 200, made.text);
	await first.rest('POST', '/admin/policies/service/rotate?key=primary');
	const [id, policies, ca, leaf] = [hubId(first), policiesOf(first), file(first, 'ca.pem'), file(first, 'server-ecdsa.pem')];
	assert.ok(policies.some((p) => p.name === 'line7' && p.primaryKey === made.body.primaryKey), 'the copy in the directory has it');
	const session = (await visit(first, ca)).session;
	await first.stop();
	fs.rmSync(first.dir, { recursive: true });
	const next = await hubOn('shared');
	assert.equal(hubId(next), id);
	assert.deepEqual([(await visit(next, ca, session)).reused, (await visit(next, ca)).reused], [true, false], 'O-224');
	assert.deepEqual(policiesOf(next), policies);
	for (const name of ['policies.json', 'ca.key', 'server-ecdsa.key']) assert.equal(fs.statSync(path.join(next.dir, name)).mode & 0o777, 0o600);
	assert.equal(file(next, 'ca.pem'), ca, 'O-223: clients go on trusting');
	assert.notEqual(file(next, 'server-ecdsa.pem'), leaf, 'its own');
	assert.ok(new X509Certificate(file(next, 'server-ecdsa.pem')).verify(new X509Certificate(ca).publicKey));
	assert.equal((await next.rest('GET', '/admin/policies/line7')).body.primaryKey, made.body.primaryKey);
	assert.doesNotMatch(first.logs + next.logs, new RegExp(made.body.primaryKey.replaceAll(/[+/=]/g, '\\$&')));
	await next.stop();
	await next.start(); // its directory is its own
	assert.equal(hubId(next), id);
});

test('O-221 a directory that was served from stays its own hub\'s', { timeout: 120_000 * SLOW }, async () => {
	const one = await hubOn('one'), two = await hubOn('two');
	await two.stop();
	await refused(/the database is that of the hub [0-9a-f]+, not of [0-9a-f]+, whose directory/, two.dir, '--cluster', server.url('one'));
	await refused(/another node has 64 of the hub's shards/, fresh(), '--cluster', server.url('one'), '--node', 'other');
	assert.ok(one.running);
	const alone = await startHub();
	await alone.stop();
	server.sql('postgres', 'CREATE DATABASE untouched');
	await refused(/has a store of its own: a hub by itself/, alone.dir, '--cluster', server.url('untouched'));
	assert.equal(server.sql('untouched', "SELECT count(*) FROM pg_tables WHERE tablename = 'secret'"), '0', 'nothing of it is carried over');
});

test('O-222 O-223 what a directory of before has is carried over once, then the database counts', { timeout: 120_000 * SLOW }, async () => {
	const hub = await hubOn('carried');
	await hub.createDevice('d');
	const policies = policiesOf(hub), ca = file(hub, 'ca.pem');
	await hub.stop();
	// as a former program left both
	server.sql('carried', 'DELETE FROM secret; UPDATE hub SET schema = 2');
	fs.rmSync(path.join(hub.dir, 'node.json'));
	server.sql('carried', `UPDATE node SET dir = '${hubId(hub)}'`);
	await hub.start();
	assert.deepEqual(policiesOf(hub), policies);
	assert.equal(server.sql('carried', "SELECT string_agg(name, ' ' ORDER BY name) FROM secret WHERE name IN ('policies', 'ca')"), 'ca policies');
	assert.equal(file(hub, 'ca.pem'), ca);
	assert.equal(server.sql('carried', 'SELECT schema FROM hub'), '5');
	assert.equal((await hub.rest('GET', '/twins/d')).status, 200);
	await hub.stop();
	const reset = spawnSync(BINARY, ['policy', 'reset', '--data', hub.dir], { encoding: 'utf8' });
	assert.notEqual(reset.status, 0, reset.stdout);
	assert.match(reset.stderr, /is in PostgreSQL/);
	const changed = file(hub, 'policies.json').replace(policies[1].primaryKey, policies[2].primaryKey).replace(/,"sum".*/, '}\n');
	fs.writeFileSync(path.join(hub.dir, 'policies.json'), changed);
	fs.rmSync(path.join(hub.dir, 'ca.pem'));
	fs.writeFileSync(path.join(hub.dir, 'ca.key'), 'damaged');
	await hub.start();
	assert.deepEqual(policiesOf(hub), policies);
	assert.equal(file(hub, 'ca.pem'), ca);
	assert.match(file(hub, 'ca.key'), /PRIVATE KEY/);
	assert.doesNotMatch(hub.logs, /PRIVATE KEY/);
	assert.match(hub.logs, /policies\.json is not what the database has, which counts/);
});

test('O-223 with certificates from elsewhere there is no CA, here or there', { timeout: 60_000 * SLOW }, async () => {
	const dir = tempDir('pair');
	const pair = ['cert.pem', 'key.pem'].map((name) => path.join(dir, name));
	execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30', '-subj', '/CN=localhost',
		'-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-keyout', pair[1], '-out', pair[0]], { stdio: 'pipe' });
	server.sql('postgres', 'CREATE DATABASE given');
	const hub = new Hub({ addr: await freeAddress(), dir: fresh(), args: ['--cluster', server.url('given'), '--cert', pair[0], '--key', pair[1]] });
	hubs.push(hub);
	await hub.start();
	assert.deepEqual(['ca.pem', 'ca.key'].filter((name) => fs.existsSync(path.join(hub.dir, name))), []);
	assert.equal(server.sql('given', "SELECT count(*) FROM secret WHERE name = 'ca'"), '0');
});

test('O-222 a change finds what others have changed, and while the database is away there is none', { timeout: 120_000 * SLOW }, async () => {
	const hub = await hubOn('changed');
	const common = () => Number(server.sql('changed', 'SELECT common FROM hub'));
	const before = common();
	const create = (name) => hub.rest('PUT', `/admin/policies/${name}?rights=ServiceConnect`);
	assert.equal((await create('a')).status, 200);
	assert.equal(common(), before + 1, 'in the same transaction');
	const kept = server.sql('changed', "SELECT encode(value, 'hex') FROM secret WHERE name = 'policies'");
	assert.equal((await hub.rest('DELETE', '/admin/policies/a')).status, 204);
	server.sql('changed', `UPDATE secret SET value = decode('${kept}', 'hex') WHERE name = 'policies'`); // by another node: 'a' is there again
	const late = await create('b');
	assert.equal(late.status, 503, late.text);
	assert.match(late.text, /another node has changed the policies meanwhile/);
	assert.equal((await hub.rest('GET', '/admin/policies/a')).status, 200, 'its policies are in force here');
	assert.equal((await create('b')).status, 200);
	server.crash();
	const away = await create('c');
	assert.equal(away.status, 503, away.text);
	server.begin();
	await until(async () => (await create('c')).status === 200, 'policies can be made again', 60_000 * SLOW);
	assert.deepEqual(policiesOf(hub).slice(-3).map((p) => p.name), ['a', 'b', 'c']);
});

// The row is held for longer than both attempts wait for an answer, and for less than the second attempt waits at the server: it is made after
// its maker has been told that nobody knows.
test('O-222 a change that is made after all comes in force', { timeout: 120_000 * SLOW, skip: !process.env.TWINHUB_LONG && './check --long' }, async () => {
	const hub = await hubOn('late');
	const holds = once(spawn('psql', [server.url('late'), '-qc', "BEGIN; SELECT 1 FROM secret WHERE name = 'policies' FOR UPDATE; SELECT pg_sleep(7); ROLLBACK"],
		{ stdio: 'ignore' }), 'close');
	await until(() => server.sql('late', "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(7)%' AND wait_event = 'PgSleep'") === '1', 'the row is held');
	const made = await hub.rest('PUT', '/admin/policies/late?rights=ServiceConnect');
	assert.equal(made.status, 503, made.text);
	assert.match(made.text, /it is not known whether the policies could be stored/);
	await holds;
	await until(async () => (await hub.rest('GET', '/admin/policies/late')).status === 200, 'it is in force', 30_000 * SLOW);
	assert.ok(policiesOf(hub).some((p) => p.name === 'late'));
});
