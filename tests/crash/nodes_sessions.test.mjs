// Devices' links outlive the moves of their shards between the nodes of a hub, and the death of the node that has them (O-260, O-237); what they
// are told goes on behind that, without a gap. docs/cluster-design.md, 8.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import path from 'node:path';
import { freeAddress, mqttDevice, startHub, tempDir } from '../lib/hub.mjs';
import { Postgres, hasPostgres } from '../lib/postgres.mjs';
import { until } from '../lib/wait.mjs';

const SLOW = Number(process.env.TWINHUB_TEST_SLOW ?? 1);
const DEVICES = 120;

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

// All know each other's names, as tokens are judged by who has the device.
async function node(database, name, addr, names) {
	if (server.sql('postgres', `SELECT count(*) FROM pg_database WHERE datname = '${database}'`) === '0') server.sql('postgres', `CREATE DATABASE ${database}`);
	const hub = await startHub({ addr, dir: path.join(tempDir('node'), 'data'), env: { TWINHUB_TEST_SETTLE_MS: '1500' },
		args: ['--cluster', server.url(database), '--node', name, '--mesh', `${addr}:7443`, ...names.flatMap((host) => ['--hostname', host])] });
	hubs.push(hub);
	return hub;
}

const owners = (database) => Object.fromEntries(server.sql(database, `SELECT s.shard, n.id FROM shard s JOIN node n ON n.id = s.node AND n.generation = s.generation
	WHERE n.state IN ('live', 'draining')`).split('\n').filter(Boolean).map((row) => row.split('|')));
const counts = (database) => Object.values(owners(database)).reduce((all, id) => ({ ...all, [id]: (all[id] ?? 0) + 1 }), {});
const shared = (database, want) => until(() => JSON.stringify(Object.values(counts(database)).sort()) === JSON.stringify(want), `shards are shared out as ${want}, not ${JSON.stringify(counts(database))}`, { ms: 90_000 * SLOW });

// A device with its link, and all that it was told.
class Device {
	told = [];

	static async open(hub, id) {
		const device = new Device();
		device.id = id;
		device.hub = hub;
		device.link = await mqttDevice(hub, id);
		device.link.ended.then(() => { device.closed = true; });
		device.#listen();
		return device;
	}

	async #listen() {
		for (;;) {
			try { this.told.push((await this.link.notification('a notification', 600_000)).body); } catch { return; }
		}
	}
}

// By whoever takes it, as a back end would try again: ms until then.
async function desire(hub, id, n) {
	const since = performance.now();
	await until(async () => (await hub.rest('PATCH', `/twins/${id}`, { body: { properties: { desired: { n } } } })).status === 200, `${id} is changed`, { ms: 60_000 * SLOW });
	return performance.now() - since;
}

// Each live link hears of n; versions rise by one.
async function heard(devices, n) {
	await until(() => devices.every((d) => d.closed || d.told.at(-1)?.n === n), () => `all hear of ${n}: ${devices.filter((d) => !d.closed && d.told.at(-1)?.n !== n).map((d) => d.id)} do not`, { ms: 30_000 * SLOW });
	for (const { told, closed, id } of devices) {
		if (closed) continue;
		told.forEach((body, i) => { if (i > 0) assert.equal(body.$version, told[i - 1].$version + 1, `${id}: ${JSON.stringify(told)}`); });
	}
}

const closed = (devices) => devices.filter((d) => d.closed).length;

// "+" and "-" of each device, as the log has them, whichever node shows it.
async function told(...nodes) {
	const all = new Map(), seen = new Map();
	for (const hub of nodes) {
		const { text } = await hub.rest('GET', '/events?from=earliest&follow=false&source=DeviceConnectionStateEvents');
		for (const e of text.trimEnd().split('\n').filter(Boolean).map((line) => JSON.parse(line))) if (e.specversion) seen.set(e.id, e);
	}
	const place = ({ id }) => Number(id.split('-')[1]);
	for (const e of [...seen.values()].sort((x, y) => place(x) - place(y))) {
		const id = e.subject.split('/')[1], { reason } = e.data.deviceConnectionStateEventInfo;
		all.set(id, `${all.get(id) ?? ''}${e.type.endsWith('DeviceConnected') ? '+' : `-${reason}`}`);
	}
	return all;
}

test('O-260 O-261 O-237 links stay over moves and over SIGKILL of the node that has their shards; the next change is heard; of others the end is told once', { timeout: 300_000 * SLOW }, async (t) => {
	const names = [await freeAddress(), await freeAddress(), await freeAddress()], join = (name, i) => node('links', name, names[i], names);
	const a = await join('a', 0);
	const devices = [];
	for (let i = 0; i < DEVICES; i += 20)
		devices.push(...await Promise.all(Array.from({ length: 20 }, (_, k) => Device.open(a, `d${i + k}`))));
	const b = await join('b', 1), c = await join('c', 2);
	await shared('links', [21, 21, 22]); // two thirds have moved
	assert.equal(closed(devices), 0);
	await Promise.all(devices.map(({ id }) => desire(c, id, 1)));
	await heard(devices, 1);
	assert.equal(closed(devices), 0);
	const gone = await Promise.all(Array.from({ length: 10 }, (_, k) => Device.open(b, `gone${k}`)));
	await until(async () => (await told(a, b, c)).size === DEVICES + gone.length, 'all begins are told');
	const since = performance.now();
	await b.kill();
	const changes = Promise.all(devices.map(({ id }) => desire(c, id, 2))); // they wait for the shards' next owners, and must not come before the sessions
	await Promise.all(devices.map(({ id, link }) => until(async () => (await link.report({ after: 'death' })).status === 204, `${id} reports`, { ms: 60_000 * SLOW })));
	const reportedMs = performance.now() - since;
	await changes;
	await heard(devices, 2);
	t.diagnostic(`node b killed: all of ${DEVICES} devices have reported after ${reportedMs.toFixed(0)} ms; ${closed(devices)} links closed`);
	assert.equal(closed(devices), 0);
	await until(async () => gone.length === [...await told(a, c)].filter(([id, what]) => id.startsWith('gone') && what === '+-hub-ended').length, 'the ends of who was on b are told', { ms: 40_000 * SLOW });
	for (const [id, what] of await told(a, c)) if (id.startsWith('d')) assert.equal(what, '+', id);
	for (const d of devices) d.link.destroy();
});
