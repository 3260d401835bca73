// What one hub costs on one node and on several: a node of its own store (RocksDB), one over PostgreSQL without and with a synchronous standby, and three nodes over the
// same PostgreSQL as the one. All of them are up at once and are measured in turn, so that figures of one run can be compared; those of two runs can not.
//
// CPU is what /proc says of each process: hubs, primary and standby apart. Load, devices and servers share the machine.
import { execFileSync } from 'node:child_process';
import { setMaxListeners } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from './lib/args.mjs';
import { cpuOf } from './lib/cpu.mjs';
import { Devices } from './lib/devices.mjs';
import { BenchHub, Load, median, pause, policyOf, quantile } from './lib/hub.mjs';
import { machineFacts } from './lib/machine.mjs';
import { printMachine, printResult, printTable, round } from './lib/report.mjs';
import { generator, runGenerator } from './lib/run.mjs';
import { Servers } from './lib/servers.mjs';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const ADDRESSES = { own: ['127.0.2.21'], bare: ['127.0.2.22'], one: ['127.0.2.23'], three: ['127.0.2.24', '127.0.2.25', '127.0.2.26'] };
const DATABASES = { bare: ['127.0.2.27'], pair: ['127.0.2.28', '127.0.2.29'] };
const SPARES = { bare: '127.0.2.30', one: '127.0.2.31' };
const MESH_PORT = 27443;
const SHARDS = 64;
const QUIET_MS = 2000;
const SETTLED_MS = 180_000; // until shards are spread evenly
const BACK_MS = 90_000; // until all must be back
const WHAT = { own: 'one node, RocksDB', bare: 'one node, PostgreSQL alone', one: 'one node, PostgreSQL and standby', three: 'three nodes, PostgreSQL and standby' };
const PARTS = ['updates', 'connections', 'hop', 'queries', 'copy', 'kill', 'drain'];

const options = parseArgs({
	twins: 10_000, conns: 150, inflight: 4, seconds: 4, rounds: 2, devices: 300, every: 1000, queryRounds: 31, parts: PARTS.join(','), on: Object.keys(WHAT).join(','), seed: 20260101, plain: false,
	dir: os.tmpdir(), bin: path.join(ROOT, 'build/release/bin'), hubArgs: '',
}, `bench/cluster [options]
  --twins N         of each hub (10000)
  --conns N         connections that report (150)     --inflight N   reports in flight on each (4)
  --seconds N       of each round (4)                 --rounds N     on each in turn (2)
  --devices N       that come back after a kill (300) --every MS     between a device's reports (1000)
  --plain           these without TLS                 --query-rounds N  of each question (31)
  --parts A,B       of ${PARTS}
  --on A,B          of ${Object.keys(WHAT)}: ${Object.values(WHAT).join('; ')}
  --hub-args 'A B'  more arguments of twinhub serve
  --dir DIR         where the data goes (${os.tmpdir()})   --bin DIR  programs (build/release/bin)
example: bench/cluster --twins 100000 --devices 3000 --parts kill`);

const wanted = (part) => options.parts.split(',').includes(part);
const idOf = (n) => `bench-${String(n).padStart(7, '0')}`;

// ---- what is measured: {name, hubs, servers, database} ----

function makeHub(dir, name, address, args) {
	return new BenchHub({ addr: address, dir: path.join(dir, name), bin: options.bin,
		args: ['--max-devices', options.twins + 1000, '--max-connections-per-address', 100_000, ...args, ...options.hubArgs.split(' ').filter(Boolean)] });
}

// Why there are no several nodes, or nothing.
async function noMesh(hub) {
	const { stdout } = await hub.cli(['serve', '--help'], { data: false });
	return stdout.includes('--mesh') ? null : 'this twinhub serves a hub with one node: there is no --mesh';
}

function nodeOf(place, dir, address, node) {
	const names = [address, ...ADDRESSES[place.name].filter((name) => name !== address)]; // each knows all of them
	return makeHub(dir, `${place.name}-${node}`, address, [...names.flatMap((name) => ['--hostname', name]), ...(place.database ? ['--cluster', place.database, '--node', node] : []),
		...(ADDRESSES[place.name].length > 1 ? ['--mesh', `${address}:${MESH_PORT}`] : [])]);
}

async function setUp(dir, name, servers) {
	const place = { name, servers, database: servers?.database(`hub_${name}`) };
	place.hubs = ADDRESSES[name].map((address, i) => nodeOf(place, dir, address, `node${i + 1}`));
	for (const hub of place.hubs) await hub.start();
	place.key = (await policyOf(place.hubs[0], 'device')).key;
	return place;
}

async function fill(places, dir) {
	const file = path.join(dir, 'import.ndjson');
	await runGenerator(generator('bench_fleet', options.bin), { twins: options.twins, seed: options.seed, import: file });
	for (const place of places) {
		const before = cpuNow(place);
		place.fill_s = round(await place.hubs[0].transfer('import', file) / 1000, 1);
		place.fill = usEach(before, cpuNow(place), options.twins);
	}
	fs.rmSync(file);
}

const usEach = (before, after, n) => Object.fromEntries(Object.entries(after).map(([name, s]) => [`${name}_us`, s === null ? null : round((s - before[name]) * 1e6 / n, 1)]));
const rssKb = (hub) => Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${hub.pid}/status`, 'utf8'))[1]);

function cpuNow(place) {
	return { hubs: place.hubs.reduce((all, hub) => all + cpuOf(hub.pid), 0), ...(place.servers?.cpu ?? { primary: null, standby: null }) };
}

// ---- updates ----

// As many generators as the most nodes, on each place alike; CPU of what serves it between the same two moments.
async function load(place, conns, inflight) {
	const parts = Math.min(conns, ADDRESSES.three.length), each = Math.floor(conns / parts);
	const loads = await Promise.all(Array.from({ length: parts }, (_, i) =>
		Load.start(place.hubs[i % place.hubs.length], { conns: each, devices: options.twins, inflight, ...(i > 0 ? { first: i * each } : {}) })));
	await pause(1000);
	for (const one of loads) one.section('measured');
	const before = cpuNow(place), wal = place.servers?.wal, begin = performance.now();
	await pause(options.seconds * 1000);
	const after = cpuNow(place), walAfter = place.servers?.wal, seconds = (performance.now() - begin) / 1000;
	for (const one of loads) one.section('rest');
	const results = await Promise.all(loads.map((one) => one.end()));
	const sum = (value) => results.reduce((all, r) => all + value(r), 0);
	const acked = sum((r) => r.sections.measured.acked);
	const each100k = (name) => (after[name] === null ? null : round((after[name] - before[name]) * 1e5 / acked, 2));
	return { acked, per_s: round(acked / seconds), errors: sum((r) => r.errors), p50_ms: median(results.map((r) => r.sections.measured.p50_ms)), p99_ms: Math.max(...results.map((r) => r.sections.measured.p99_ms)),
		hub_cpu_s_per_100k: each100k('hubs'), primary_cpu_s_per_100k: each100k('primary'), standby_cpu_s_per_100k: each100k('standby'),
		wal_bytes_each: place.servers ? round((walAfter - wal) / acked) : null };
}

async function measureUpdates(places) {
	const cases = [];
	for (const [conns, inflight] of [[options.conns, options.inflight], [3, 1]]) {
		const runs = new Map(places.map((place) => [place, []]));
		for (let i = 0; i < options.rounds; i++) for (const place of places) runs.get(place).push(await load(place, conns, inflight));
		for (const [place, all] of runs)
			cases.push({ name: 'updates', on: place.name, conns, inflight, ...Object.fromEntries(Object.keys(all[0]).map((key) => [key, all[0][key] === null ? null : median(all.map((r) => r[key]))])), runs: all.map((r) => r.per_s) });
	}
	for (const c of cases) c.of_one = ratio(c, cases.find((o) => o.on === 'one' && o.conns === c.conns));
	console.log('reported updates:');
	printTable([['on', (c) => WHAT[c.on]], ['connections', (c) => c.conns], ['in flight', (c) => c.inflight], ['updates/s', (c) => c.per_s], ['of one', (c) => c.of_one], ['p50 ms', (c) => c.p50_ms], ['p99 ms', (c) => c.p99_ms],
		['hubs CPU s/100k', (c) => c.hub_cpu_s_per_100k], ['primary', (c) => c.primary_cpu_s_per_100k], ['standby', (c) => c.standby_cpu_s_per_100k], ['WAL bytes', (c) => c.wal_bytes_each], ['errors', (c) => c.errors]], cases);
	return cases;
}

const ratio = (c, one) => (one ? round(c.per_s / one.per_s, 2) : null);

// ---- identities and connections ----

// Devices that connect, subscribe and report once, all at once: CPU and memory of each.
async function connect(place, tls) {
	const before = cpuNow(place), kb = place.hubs.reduce((all, hub) => all + rssKb(hub), 0), begin = performance.now();
	const fleet = new Devices(place.hubs, place.key, Array.from({ length: Math.min(options.devices, options.twins) }, (_, i) => idOf(i)), { everyMs: 1e9, tls });
	await fleet.start();
	const row = { name: 'connect', on: place.name, tls, devices: fleet.all.length, s: round((performance.now() - begin) / 1000, 1), ...usEach(before, cpuNow(place), fleet.all.length),
		kb_each: round((place.hubs.reduce((all, hub) => all + rssKb(hub), 0) - kb) / fleet.all.length, 1) };
	await fleet.end();
	await pause(QUIET_MS);
	return row;
}

async function measureConnections(places) {
	const cases = places.map((place) => ({ name: 'import', on: place.name, devices: options.twins, s: place.fill_s, ...place.fill,
		stored_bytes_each: place.servers ? round(Number(place.servers.primary.sql("SELECT pg_total_relation_size('rec')", `hub_${place.name}`)) / options.twins) : null }));
	for (const tls of [false, true]) for (const place of places) cases.push(await connect(place, tls));
	console.log('\nwhat an identity that is imported, and a device that connects, subscribes and reports once, cost:');
	printTable([['what', (c) => (c.name === 'import' ? 'import' : c.tls ? 'connect, TLS' : 'connect, plain')], ['on', (c) => WHAT[c.on]], ['so many', (c) => c.devices], ['s', (c) => c.s], ['hubs CPU us each', (c) => c.hubs_us],
		['primary', (c) => c.primary_us], ['standby', (c) => c.standby_us], ['memory KB each', (c) => c.kb_each], ['rec bytes each', (c) => c.stored_bytes_each]], cases);
	return cases;
}

// ---- who has what ----

const shardsOf = (place) => new Map(place.servers.primary.sql(`SELECT convert_from(substring(key FROM 3 FOR length(key) - 3), 'UTF8'), shard FROM rec WHERE tbl = 0 AND position('\\x00'::bytea IN substring(key FROM 3)) = length(key) - 2`,
	`hub_${place.name}`).split('\n').map((line) => line.split('|')).map(([id, shard]) => [id, Number(shard)]));
const ownersOf = (place) => new Map(place.servers.primary.sql('SELECT shard, node FROM shard', `hub_${place.name}`).split('\n').map((line) => line.split('|')).map(([shard, node]) => [Number(shard), node]));

// A device of each shard.
function onePerShard(place) {
	const first = new Map();
	for (const [id, shard] of shardsOf(place)) if (id.startsWith('bench-') && !first.has(shard)) first.set(shard, id);
	return first;
}

// ---- the hop ----

// Devices of each shard, on each node, one report at a time: those whose shard is this node's, and the others.
async function measureHop(place) {
	const shards = onePerShard(place), owners = ownersOf(place);
	const times = { here: [], elsewhere: [] };
	for (const [at, hub] of place.hubs.entries()) {
		const fleet = new Devices([hub], place.key, [...shards.values()], { everyMs: 20 });
		fleet.latencies = [];
		await fleet.start();
		fleet.latencies.length = 0;
		await pause(options.seconds * 1000 / place.hubs.length);
		const byId = new Map([...shards].map(([shard, id]) => [id, owners.get(shard)]));
		for (const { id, ms } of fleet.latencies) times[byId.get(id) === `node${at + 1}` ? 'here' : 'elsewhere'].push(ms);
		await fleet.end();
	}
	const row = { name: 'hop', on: place.name, here_p50_ms: round(median(times.here), 2), here_p99_ms: round(quantile(times.here, 0.99), 2), elsewhere_p50_ms: round(median(times.elsewhere), 2), elsewhere_p99_ms: round(quantile(times.elsewhere, 0.99), 2) };
	row.hop_ms = round(row.elsewhere_p50_ms - row.here_p50_ms, 2);
	console.log(`\none report at a time, three nodes: shard on the device's node p50 ${row.here_p50_ms} ms, p99 ${row.here_p99_ms}; on another p50 ${row.elsewhere_p50_ms}, p99 ${row.elsewhere_p99_ms}: the hop is ${row.hop_ms} ms`);
	return row;
}

// ---- queries ----

const QUESTIONS = {
	count: "SELECT COUNT() AS n FROM devices WHERE tags.location.region = 'eu-west'",
	groups: 'SELECT properties.reported.telemetryConfig.status AS status, COUNT() AS n FROM devices GROUP BY properties.reported.telemetryConfig.status',
	page: "SELECT * FROM devices WHERE tags.location.region = 'eu-west'",
	rare: "SELECT * FROM devices WHERE tags.customer = 'customer-042'",
};

async function measureQueries(places) {
	const cases = [];
	for (const [question, text] of Object.entries(QUESTIONS)) {
		const times = new Map(places.map((place) => [place, []])), cpu = new Map(places.map((place) => [place, 0]));
		for (const place of places) for (let i = 0; i < 2; i++) await place.hubs[0].sql(text); // columns are made by the first questions
		for (let turn = 0; turn < options.rounds; turn++)
			for (const place of places) {
				const before = cpuNow(place).hubs;
				for (let i = 0; i < options.queryRounds; i++) {
					const begin = performance.now();
					await place.hubs[0].sql(text);
					times.get(place).push(performance.now() - begin);
				}
				cpu.set(place, cpu.get(place) + cpuNow(place).hubs - before);
			}
		for (const place of places)
			cases.push({ name: 'query', question, on: place.name, p50_ms: round(median(times.get(place)), 2), p99_ms: round(quantile(times.get(place), 0.99), 2), hub_cpu_ms: round(cpu.get(place) * 1000 / times.get(place).length, 2) });
	}
	console.log('\nqueries over HTTPS, asked of one node:');
	printTable([['question', (c) => c.question], ['on', (c) => WHAT[c.on]], ['p50 ms', (c) => c.p50_ms], ['p99 ms', (c) => c.p99_ms], ['hubs CPU ms', (c) => c.hub_cpu_ms]], cases);
	return cases;
}

// ---- a shard's copy ----

function measureCopy(place) {
	const copies = [];
	for (let shard = 0; shard < SHARDS; shard += 5) {
		const text = execFileSync('psql', [place.database, '-X', '-f', '-'], { encoding: 'utf8', input: `\\timing on\n\\copy (SELECT tbl, key, value FROM rec WHERE shard = ${shard}) TO '/dev/null' BINARY\n` });
		copies.push(Number(/^Time: ([\d.]+) ms/m.exec(text)[1]));
	}
	const [rows, bytes] = place.servers.primary.sql('SELECT count(*) / 64, sum(length(key) + length(value)) / 64 FROM rec', `hub_${place.name}`).split('|').map(Number);
	const row = { name: 'copy', on: place.name, twins: round(options.twins / SHARDS), rows, bytes, ms: round(median(copies), 2) };
	console.log(`\na shard's copy out of PostgreSQL: ${row.twins} twins, ${rows} rows, ${bytes} bytes, ${row.ms} ms`);
	return row;
}

// ---- death ----

const seconds = (ms) => (Number.isFinite(ms) ? round(ms / 1000, 2) : null);
const sorted = (times) => times.filter((t) => !Number.isNaN(t)).sort((a, b) => a - b);

// The longest time without an acknowledgement: {ms, end}.
function longestGap(times) {
	let gap = { ms: NaN, end: NaN };
	for (const [i, t] of times.slice(1).entries()) if (!(t - times[i] <= gap.ms)) gap = { ms: t - times[i], end: t };
	return gap;
}

// One probing device a shard, which reports 20 times a second, on a node that stays where there is one; and the fleet, over all that serve.
async function underWay(place, goes, serving) {
	const shards = place.servers ? onePerShard(place) : new Map(Array.from({ length: SHARDS }, (_, i) => [i, idOf(i)]));
	const taken = new Set(shards.values()), ids = [];
	for (let n = 0; ids.length < Math.min(options.devices, options.twins - taken.size); n++) if (!taken.has(idOf(n))) ids.push(idOf(n));
	const stay = serving.filter((at) => at !== goes);
	const over = (list) => (i) => list[i % list.length];
	const probes = new Devices(place.hubs, place.key, [...shards.values()], { everyMs: 50, of: over(stay.length > 0 ? stay : serving) });
	const fleet = new Devices(place.hubs, place.key, ids, { everyMs: options.every, tls: !options.plain, of: over(serving) });
	await probes.start();
	await fleet.start();
	await pause(QUIET_MS);
	return { shards, probes, fleet };
}

// harm(hub): what is done to node `goes` of place.hubs, of which `serving` serve.
async function measureLoss(place, name, harm, { goes = place.hubs.length - 1, serving = place.hubs.map((_, i) => i) } = {}) {
	const owners = place.servers && serving.length > 1 ? ownersOf(place) : null;
	const { shards, probes, fleet } = await underWay(place, goes, serving);
	const probe = new Map([...shards].map(([shard, id]) => [shard, probes.all.find((p) => p.id === id)]));
	const moved = [...shards.keys()].filter((shard) => !owners || owners.get(shard) === `node${goes + 1}`).map((shard) => probe.get(shard));
	const theirs = fleet.all.filter((d) => d.connected === goes), others = fleet.all.filter((d) => d.connected !== goes);
	const begin = performance.now();
	await harm(place.hubs[goes]);
	const there = (d) => d.connected !== null && d.acks.some((t) => t > begin && (d.ends.length === 0 || t > d.ends.at(-1)));
	while (![...theirs, ...moved].every((d) => there(d) && (!theirs.includes(d) || d.ends.length > 0)) && performance.now() < begin + BACK_MS) await pause(50);
	await pause(QUIET_MS);
	const silences = moved.map((p) => longestGap(p.acks.filter((t) => t > begin - 1000)));
	const first = sorted(silences.map((s) => s.end - begin)), gaps = sorted(silences.map((s) => s.ms));
	const home = sorted(theirs.map((d) => d.acks.find((t) => t > d.ends[0]) - begin));
	const row = { name, on: place.name, twins: options.twins, devices: fleet.all.length, shards: moved.length, first_s: seconds(first[0]), last_s: seconds(first.at(-1)), gap_p50_s: seconds(median(gaps)), gap_max_s: seconds(gaps.at(-1)),
		devices_of_node: theirs.length, came_back: home.length, back_p50_s: seconds(median(home)), back_last_s: seconds(home.at(-1)),
		others: others.length, others_reconnected: others.filter((d) => d.ends.some((t) => t > begin)).length,
		refused: [...probes.all, ...fleet.all].reduce((all, d) => all + d.refused.filter((t) => t > begin).length, 0) };
	await Promise.all([probes.end(), fleet.end()]);
	return row;
}

function printLosses(rows) {
	console.log('\na node that goes, seconds: its shards, from then until the first is written to again and until all are, and each one\'s longest time without an acknowledgement; its devices, until they are acknowledged again\n' +
		'(each tries the next node, at first after 50 to 100 ms, then twice that, up to 4 s):');
	printTable([['what', (r) => r.name], ['on', (r) => WHAT[r.on]], ['shards', (r) => r.shards], ['first', (r) => r.first_s], ['all', (r) => r.last_s], ['gap p50', (r) => r.gap_p50_s], ['gap max', (r) => r.gap_max_s],
		['devices', (r) => r.devices_of_node], ['back', (r) => r.came_back], ['p50', (r) => r.back_p50_s], ['last', (r) => r.back_last_s], ['other devices', (r) => r.others], ['connect anew', (r) => r.others_reconnected], ['refused', (r) => r.refused]], rows);
}

const killAndAgain = async (hub) => {
	await hub.kill();
	await hub.start();
};

async function lossesOfOne(place) {
	const rows = [];
	if (wanted('kill')) rows.push(await measureLoss(place, 'killed, begins again at once', killAndAgain));
	if (wanted('drain')) rows.push(await measureLoss(place, 'stopped, begins again at once', (hub) => hub.restart()));
	if (!wanted('kill') || !place.servers) return rows;
	const spare = nodeOf(place, path.dirname(place.hubs[0].dir), SPARES[place.name], 'spare');
	place.hubs.push(spare);
	rows.push(await measureLoss(place, 'killed, another in its place', async (hub) => {
		await hub.kill();
		await spare.start();
	}, { goes: 0, serving: [0] }));
	return rows;
}

async function lossesOfThree(place) {
	const rows = [];
	if (wanted('kill')) {
		rows.push(await measureLoss(place, 'killed', (hub) => hub.kill()));
		await place.hubs.at(-1).start();
		await settled(place);
		rows.push(await measureLoss(place, 'killed, begins again at once', killAndAgain));
	}
	if (wanted('drain')) {
		await settled(place);
		rows.push(await measureLoss(place, 'drained', (hub) => hub.stop()));
	}
	return rows;
}

// Until each node has shards, as many as the others.
async function settled(place) {
	for (const end = performance.now() + SETTLED_MS; performance.now() < end; await pause(1000)) {
		const count = new Map();
		for (const node of ownersOf(place).values()) count.set(node, (count.get(node) ?? 0) + 1);
		if (count.size === place.hubs.length && Math.max(...count.values()) - Math.min(...count.values()) <= 1) return;
	}
	throw new Error(`after ${SETTLED_MS} ms the shards are not spread evenly: ${JSON.stringify([...ownersOf(place)])}`);
}

// ---- all ----

// A part that fails is told, and the others go on.
async function part(name, cases, run) {
	try {
		const rows = await run();
		cases.push(...[rows].flat());
		return rows;
	} catch (error) {
		console.log(`\nFAILED: ${name}: ${error.stack.slice(0, 2000)}`);
		process.exitCode = 1;
		return [];
	}
}

async function main() {
	setMaxListeners(0);
	process.setMaxListeners(0);
	const dir = fs.mkdtempSync(path.join(options.dir, 'twinhub-bench-'));
	fs.chmodSync(dir, 0o755); // PostgreSQL is somebody else
	process.on('exit', () => fs.rmSync(dir, { recursive: true, force: true }));
	const machine = machineFacts(dir, ROOT);
	printMachine(machine);
	if (!Servers.there) throw new Error('postgresql-15 is not installed: scripts/setup --test');
	machine.postgres = Servers.version();
	const names = options.on.split(','), cases = [], leftOut = {};
	const bare = names.includes('bare') && await Servers.start(dir, 'bare', DATABASES.bare);
	const pair = (names.includes('one') || names.includes('three')) && await Servers.start(dir, 'pair', DATABASES.pair);
	const why = await noMesh(makeHub(dir, 'none', ADDRESSES.own[0], []));
	const places = [];
	for (const name of names)
		if (name === 'three' && why) console.log(`left out: ${WHAT[name]}: ${leftOut[name] = why}\n`);
		else places.push(await setUp(dir, name, { bare, one: pair, three: pair }[name]));
	const three = places.find((place) => place.name === 'three');
	await fill(places, dir);
	if (three) await part('shards over three nodes', [], async () => { await settled(three); return []; });
	if (wanted('updates')) await part('updates', cases, () => measureUpdates(places));
	if (wanted('connections')) await part('connections', cases, () => measureConnections(places));
	if (wanted('hop') && three) await part('hop', cases, () => measureHop(three));
	if (wanted('queries')) await part('queries', cases, () => measureQueries(places));
	if (wanted('copy')) for (const place of places.filter((p) => p.name === 'one')) await part('copy', cases, () => measureCopy(place));
	if (wanted('kill') || wanted('drain')) {
		const rows = [];
		for (const place of places) rows.push(...await part(`a node of "${WHAT[place.name]}" that goes`, cases, () => (place.hubs.length > 1 ? lossesOfThree(place) : lossesOfOne(place))));
		printLosses(rows);
	}
	for (const place of places) await Promise.allSettled(place.hubs.map((hub) => hub.kill()));
	for (const servers of [bare, pair]) if (servers) servers.stop();
	machine.load_after = Number(os.loadavg()[0].toFixed(2));
	console.log(`\nload of the machine: ${machine.load_before} before, ${machine.load_after} after; ${options.twins} twins each, imported in ${places.map((p) => `${p.fill_s} s (${p.name})`).join(', ')}`);
	printResult('cluster', machine, cases, { sizes: { twins: options.twins, conns: options.conns, inflight: options.inflight, devices: options.devices, every_ms: options.every, tls: !options.plain }, left_out: leftOut });
}

await main();
process.exit();
