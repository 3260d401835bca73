// A hub goes from its directory into PostgreSQL and comes out again: with all that it shows, of each stored format; and whatever is killed on the
// way, it is in the one place or in the other. docs/spec/operate.md, O-283 to O-286.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { BINARY, Hub, REPOSITORY, freeAddress, mqttDevice, startHub, stopAll, tempDir } from '../lib/hub.mjs';
import { Postgres, hasPostgres } from '../lib/postgres.mjs';
import { show } from './former/fleet.mjs';

const SLOW = Number(process.env.TWINHUB_TEST_SLOW ?? 1);
const LIMIT = 240_000 * SLOW;
const LIBRARY = path.join(path.dirname(BINARY), 'libset_clock.so');
const scratch = tempDir('moved');
const hubs = [];
let server; // of today's clock
let database = 0;

before(async () => {
	if (!hasPostgres) throw new Error('postgresql-15 is not installed: scripts/setup --test');
	assert.ok(fs.existsSync(LIBRARY), `no ${LIBRARY}: build the target set_clock`);
	process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'; // certificates of then end a year later
	server = await Postgres.start();
});
after(async () => {
	await stopAll(...hubs);
	server?.stop();
});

function fresh(on = server) {
	const name = `moved${++database}`;
	on.sql('postgres', `CREATE DATABASE ${name}`);
	return name;
}

function command(args, env = {}) {
	return new Promise((resolve) => {
		const child = spawn(BINARY, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
		let stdout = '', stderr = '';
		child.stdout.on('data', (text) => { stdout += text; });
		child.stderr.on('data', (text) => { stderr += text; });
		child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
	});
}

async function done(args, env) {
	const r = await command(args, env);
	assert.equal(r.code, 0, `${args.join(' ')}: ${r.stdout}${r.stderr}`);
	return r;
}

// addr: its name, too, which events have.
async function serve(dir, { addr, args = [], env = {} }) {
	const hub = new Hub({ addr, dir, args, env });
	hubs.push(hub);
	await hub.start();
	return hub;
}

// All that is in the log, and where it stands: positions of each shard, dense.
async function story(hub) {
	const answer = await hub.rest('GET', '/events?follow=false&from=earliest');
	assert.equal(answer.status, 200, answer.text);
	return answer.text.trimEnd().split('\n').map((line) => JSON.parse(line)).filter((event) => event.id !== undefined);
}

const ofThen = (events, ids) => events.filter((event) => ids.has(event.id)).sort((a, b) => (a.id < b.id ? -1 : 1));

// A session that a kill has ended is told as ended at the next start; all else is as it was.
const MEMORY_ONLY = ['connectionStateUpdatedTime', 'lastActivityTime', 'statusUpdatedTime'];
const plain = (value) => JSON.parse(JSON.stringify(value, (key, v) => (MEMORY_ONLY.includes(key) ? undefined : v)));

for (const [format, name] of [1, 2, 3].flatMap((f) => [[f, 'stopped'], [f, 'killed']])) {
	test(`O-283 O-285 O-286 a directory of format ${format} that was ${name} goes into a database and comes out as it was`, { timeout: LIMIT }, async (t) => {
		const box = path.join(scratch, `${format}-${name}`), from = path.join(box, name), alone = path.join(box, 'alone');
		fs.mkdirSync(box);
		execFileSync('tar', ['-C', box, '-xf', path.join(REPOSITORY, `tests/crash/former/format${format}.tar.xz`)]);
		execFileSync('cp', ['-a', from, alone]);
		const { clock } = JSON.parse(fs.readFileSync(path.join(box, `${name}.json`), 'utf8'));
		const begun = Date.now();
		const then = () => ({ LD_PRELOAD: LIBRARY, TWINHUB_CLOCK: String(clock + 60 + Math.round((Date.now() - begun) / 1000)),
			ASAN_OPTIONS: `${process.env.ASAN_OPTIONS ?? ''}:verify_asan_link_order=0` });
		const of = await Postgres.start({ env: then() });
		t.after(() => of.stop());
		const url = of.url(fresh(of)), addr = await freeAddress();

		const first = await serve(alone, { addr, env: then() });
		const shown = plain(await show(first, format)), events = await story(first), ids = new Set(events.map((event) => event.id));
		await first.stop();
		assert.ok(ids.size > 5, `only ${ids.size} events`);

		await done(['cluster', 'init', '--db', url, '--from', from], then());
		const refused = await command(['serve', '--data', from, '--bind', '127.0.0.1'], then());
		assert.notEqual(refused.code, 0);
		assert.match(refused.stderr, /the hub of .* is in the database 'moved\d+' of 127\.0\.0\.1, and served from there/);
		assert.match((await command(['cluster', 'init', '--db', url, '--from', from], then())).stderr, /served from there/);

		const many = await serve(path.join(box, 'node'), { addr, args: ['--cluster', url], env: then() });
		assert.deepEqual(plain(await show(many, format)), shown, 'as PostgreSQL shows it');
		const now = await story(many);
		const common = new Set(now.map((event) => event.id).filter((id) => ids.has(id)));
		assert.ok(common.size > 5 && (name === 'killed' || common.size === ids.size), `${common.size} of ${ids.size} events`);
		assert.deepEqual(ofThen(now, common), ofThen(events, common), 'the log, with its ids');
		const device = await mqttDevice(many, 'plain', { filters: [], login: { clean: false } });
		assert.equal(device.sessionPresent, true, 'the durable session is there');
		assert.equal((await many.rest('PATCH', '/twins/plain', { body: { properties: { desired: { after: 1 } } } })).status, 200);
		assert.equal((await device.notification()).body.after, 1, 'on the filter of then');
		await device.disconnect();
		const busy = await command(['cluster', 'export', '--db', url, '--to', path.join(box, 'busy')], then());
		assert.deepEqual([busy.code, /a node serves this database/.test(busy.stderr)], [6, true], busy.stderr);
		assert.ok(!fs.existsSync(path.join(box, 'busy')));
		const last = plain(await show(many, format)), lastEvents = await story(many), lastIds = new Set(lastEvents.map((event) => event.id));
		await many.stop();

		const to = path.join(box, 'out');
		await done(['cluster', 'export', '--db', url, '--to', to], then());
		await done(['check', '--data', to], then());
		const again = await serve(to, { addr, env: then() });
		assert.deepEqual(plain(await show(again, format)), last, 'as the directory shows it');
		assert.deepEqual(ofThen(await story(again), lastIds), ofThen(lastEvents, lastIds), 'the log, with its ids');
		if (format >= 2) {
			const deaf = await mqttDevice(again, 'deaf', { filters: ['devices/deaf/messages/devicebound/#'] });
			assert.ok(deaf, 'it connects');
			await deaf.disconnect();
		}
		await again.stop();
	});
}

// ---- a hub of today with some data: what is killed when ----

const DEVICES = 300;

async function filled() {
	const hub = await startHub({ dir: path.join(tempDir('moved'), 'data') });
	hubs.push(hub);
	const lines = Array.from({ length: DEVICES }, (_, i) => ({ id: `d${i}`, importMode: 'create', tags: { i, filler: 'x'.repeat(2000) }, properties: { desired: { i } } }));
	const file = path.join(tempDir('lines'), 'lines');
	fs.writeFileSync(file, lines.map((line) => JSON.stringify(line)).join('\n'));
	const r = await hub.cli(['import', file]);
	assert.equal(r.code, 0, r.stdout + r.stderr);
	await hub.rest('POST', '/devices/d1/messages/deviceBound', { headers: { 'iothub-messageid': 'm1' } });
	await hub.stop();
	return hub;
}

async function twinsOf(hub) {
	const answer = await hub.rest('POST', '/devices/query', { body: { query: 'SELECT * FROM devices' }, headers: { 'x-ms-max-item-count': '1000' } });
	assert.equal(answer.status, 200, answer.text);
	return plain(answer.body.sort((a, b) => (a.deviceId < b.deviceId ? -1 : 1)));
}

const hubIn = (name) => {
	const there = server.sql(name, "SELECT to_regclass('hub') IS NOT NULL") === 't';
	return there && server.sql(name, 'SELECT count(*) FROM hub') === '1';
};

test('O-284 init that is killed at any instant is done again, and until then the directory is served or refused as the database has nothing or all', { timeout: LIMIT }, async () => {
	const hub = await filled();
	await hub.start();
	const shown = await twinsOf(hub);
	await hub.stop();
	const started = Date.now();
	await done(['cluster', 'init', '--db', server.url(fresh()), '--from', (execFileSync('cp', ['-a', hub.dir, `${hub.dir}-timed`]), `${hub.dir}-timed`)]);
	const whole = Date.now() - started;
	const seen = new Set();
	for (let round = 0; round < 8; round++) {
		const dir = `${hub.dir}-${round}`, name = fresh();
		execFileSync('cp', ['-a', hub.dir, dir]);
		const child = spawn(BINARY, ['cluster', 'init', '--db', server.url(name), '--from', dir], { stdio: 'ignore' });
		const ended = new Promise((resolve) => { child.once('close', resolve); });
		await new Promise((resolve) => { setTimeout(resolve, (whole * 1.1 * (round + 0.5)) / 8); });
		if (round % 4 === 3) {
			server.crash();
			await ended;
			server.begin();
		} else {
			child.kill('SIGKILL');
			await ended;
		}
		// a server that was told to commit may do so a moment after its client's death
		await new Promise((resolve) => { setTimeout(resolve, 300 * SLOW); });
		const marked = fs.existsSync(path.join(dir, 'moved.json'));
		if (!marked) {
			assert.equal(hubIn(name), false, 'without a mark nothing of it is there');
			seen.add('nothing');
		} else {
			const r = await command(['serve', '--data', dir, '--bind', '127.0.0.1', '--https-port', '1', '--mqtts-port', '2']);
			assert.match(r.stderr, /the hub of .* (may be in the database|is in the database)/);
			seen.add(hubIn(name) ? 'all' : 'marked');
			const other = await command(['cluster', 'init', '--db', server.url(fresh()), '--from', dir]);
			assert.equal(other.code, 7, 'it goes nowhere else meanwhile');
		}
		const again = await command(['cluster', 'init', '--db', server.url(name), '--from', dir]);
		assert.ok(again.code === 0 || /served from there/.test(again.stderr), again.stderr);
		const node = await startHub({ dir: path.join(tempDir('node'), 'data'), args: ['--cluster', server.url(name)] });
		hubs.push(node);
		assert.deepEqual(await twinsOf(node), shown);
		await node.stop();
	}
	assert.ok(seen.size >= 2, `only ${[...seen]} was met`);
});

test('O-286 export that is killed leaves no directory that is served; it is made again elsewhere', { timeout: LIMIT }, async () => {
	const hub = await filled(), name = fresh(), box = tempDir('out');
	await done(['cluster', 'init', '--db', server.url(name), '--from', hub.dir]);
	const started = Date.now();
	await done(['cluster', 'export', '--db', server.url(name), '--to', path.join(box, 'timed')]);
	const whole = Date.now() - started;
	for (let round = 0; round < 6; round++) {
		const to = path.join(box, String(round));
		const child = spawn(BINARY, ['cluster', 'export', '--db', server.url(name), '--to', to], { stdio: 'ignore' });
		const ended = new Promise((resolve) => { child.once('close', resolve); });
		await new Promise((resolve) => { setTimeout(resolve, (whole * (round + 0.5)) / 6); });
		child.kill('SIGKILL');
		await ended;
		if (fs.existsSync(path.join(to, 'hub.json'))) continue;
		if (!fs.existsSync(path.join(to, '.restore'))) continue; // nothing is in it: any hub may begin there
		const r = await command(['serve', '--data', to, '--bind', '127.0.0.1', '--https-port', '1', '--mqtts-port', '2']);
		assert.equal(r.code, 1);
		assert.match(r.stderr, /is not empty/);
		assert.match((await command(['cluster', 'export', '--db', server.url(name), '--to', to])).stderr, /an export into it was cut short/);
	}
});

test('O-283 init makes a hub that nodes join; a database that has one, and a directory that is no hub, are refused', { timeout: LIMIT }, async () => {
	const name = fresh(), made = JSON.parse((await done(['cluster', 'init', '--db', server.url(name), '--json'])).stdout);
	assert.match(made.hubId, /^[0-9a-f]{32}$/);
	assert.equal(server.sql(name, "SELECT string_agg(name, ' ' ORDER BY name) FROM secret"), 'ca policies');
	assert.equal(server.sql(name, 'SELECT count(*) FROM shard'), '64');
	const again = await command(['cluster', 'init', '--db', server.url(name)]);
	assert.equal(again.code, 7);
	assert.match(again.stderr, new RegExp(`the database has a hub already: ${made.hubId}`));
	const node = await startHub({ dir: path.join(tempDir('node'), 'data'), args: ['--cluster', server.url(name)] });
	hubs.push(node);
	assert.equal(JSON.parse(fs.readFileSync(path.join(node.dir, 'hub.json'), 'utf8')).hubId, made.hubId);
	await node.createDevice('d');
	const of = await command(['cluster', 'init', '--db', server.url(fresh()), '--from', node.dir]);
	assert.equal(of.code, 6, 'it is in use');
	await node.stop();
	assert.match((await command(['cluster', 'init', '--db', server.url(fresh()), '--from', node.dir])).stderr, /is that of a node of several/);
	const bare = fresh();
	await done(['cluster', 'init', '--no-ca', '--db', server.url(bare)]);
	assert.equal(server.sql(bare, "SELECT string_agg(name, ' ') FROM secret"), 'policies');
	for (const [args, what] of [[['--db', 'postgresql://nobody@127.0.0.1:1/x'], /refused/], [[], /--db URL is needed/], [['--db', server.url(bare), '--from', tempDir('no')], /was never|missing|damaged|not be read/]])
		assert.match((await command(['cluster', 'init', ...args], { TWINHUB_CLUSTER: '' })).stderr, what);
	const secret = await command(['cluster', 'init', '--db', 'postgresql://u:pass word@h/x']);
	assert.doesNotMatch(secret.stderr, /pass word/);
	const none = fresh();
	assert.match((await command(['cluster', 'export', '--db', server.url(none), '--to', path.join(tempDir('x'), 'y')])).stderr, /the database has no hub/);
});
