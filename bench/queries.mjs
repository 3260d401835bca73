// What a question to the whole fleet costs, inside the hub and in PostgreSQL, on the same twins in the same run; and what it is like
// from outside: over HTTPS, beside devices that report, and just after a start.
//
// The hub's figure is the time of a walk inside the engine: sent to the workers, back with its answer. PostgreSQL's is psql's \timing
// over a Unix socket, with the document as jsonb under a GIN index (jsonb_path_ops). Warm, medians.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from './lib/args.mjs';
import { BenchHub, Load, median, pause, quantile } from './lib/hub.mjs';
import { machineFacts } from './lib/machine.mjs';
import { startPostgres } from './lib/postgres.mjs';
import { printMachine, printResult, printTable, round } from './lib/report.mjs';
import { generator, runGenerator } from './lib/run.mjs';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const HOST = '127.0.2.3';
const ALL_TWINS = 10_000; // of SELECT *
const PAGE = 1000;
const ALONE_MS = 5000;
const EXPLAINED = 21;

const options = parseArgs({
	twins: '1000000', workers: os.availableParallelism(), rounds: 1000, peerRounds: 9, httpsRounds: 101, starts: 3, conns: 1000, rate: 5000,
	seed: 20260101, dir: os.tmpdir(), bin: path.join(ROOT, 'build/release/bin'), noPeer: false, noHub: false,
}, `bench/queries [options]
  --twins N,N..    in the fleet (1000000); further sizes are for growth: without PostgreSQL
  --workers N      of the engine (its cores)         --rounds N       of each question to it (1000)
  --peer-rounds N  to PostgreSQL (9)                 --https-rounds N over HTTPS (101)
  --conns N        devices that report beside (1000) --rate N         their patches a second (5000)
  --starts N       of the hub, timed (3)             --seed N         of the twins (20260101)
  --no-peer        without PostgreSQL                --no-hub         the engine alone
  --dir DIR        where the data goes (${os.tmpdir()})   --bin DIR        programs (build/release/bin)
example: bench/queries --twins 100000 --rounds 100`);

const reported = (...steps) => `properties.reported.${steps.join('.')}`;
const questions = {
	count_by_status: `SELECT ${reported('telemetryConfig.status')} AS status, COUNT() AS n FROM devices GROUP BY ${reported('telemetryConfig.status')}`,
	region_status_count: `SELECT COUNT() AS n FROM devices WHERE tags.location.region = 'eu-west' AND ${reported('telemetryConfig.status')} = 'Pending'`,
	temperature_count: `SELECT COUNT() AS n FROM devices WHERE ${reported('temperature')} > 60`,
	avg_filtered: `SELECT AVG(${reported('temperature')}) AS t FROM devices WHERE ${reported('connectivity.type')} = 'cellular'`,
	first_page: `SELECT * FROM devices WHERE tags.customer = 'customer-042' AND ${reported('batteryLevel')} < 5`,
	cold_column: `SELECT COUNT() AS n FROM devices WHERE ${reported('connectivity.rssi')} > -60`,
};
// Paths that nothing has asked for when devices report beside.
const coldPaths = ['tags.location.plant', 'properties.desired.telemetryConfig.sendFrequency', 'properties.desired.firmware.version',
	reported('firmware.version'), reported('telemetryConfig.configId'), reported('batteryLevel'), reported('connectivity.rssi')];

const at = (...steps) => `doc#>>'{properties,reported,${steps.join(',')}}'`;
const holds = (what) => `doc @> '${JSON.stringify(what)}'`;

const peerQueries = {
	count_by_status: `SELECT ${at('telemetryConfig', 'status')} AS status, count(*) FROM twins GROUP BY 1`,
	region_status_count: `SELECT count(*) FROM twins WHERE ${holds({ tags: { location: { region: 'eu-west' } },
		properties: { reported: { telemetryConfig: { status: 'Pending' } } } })}`,
	temperature_count: `SELECT count(*) FROM twins WHERE (${at('temperature')})::float8 > 60`,
	avg_filtered: `SELECT avg((${at('temperature')})::float8) FROM twins WHERE ${holds({ properties: { reported: { connectivity: { type: 'cellular' } } } })}`,
	first_page: `SELECT doc FROM twins WHERE ${holds({ tags: { customer: 'customer-042' } })} AND (${at('batteryLevel')})::int < 5 LIMIT 100`,
	cold_column: `SELECT count(*) FROM twins WHERE (${at('connectivity', 'rssi')})::int > -60`,
};

const timed = async (run) => {
	const begin = performance.now();
	const value = await run();
	return { value, ms: performance.now() - begin };
};

// ---- the engine ----

// A column is made by the first question for its path: that is what cold_column measures.
function makeCase(hub, peerTimes, client) {
	const hubMs = hub.name === 'cold_column' ? hub.first_ms : hub.hub_ms;
	const peerMs = peerTimes && median(peerTimes.slice(1));
	return { name: hub.name, hub_ms: round(hubMs, 2), peer_ms: round(peerMs, 1), ratio: peerMs ? round(hubMs / peerMs, 4) : null,
		hub_p99_ms: round(hub.p99_ms, 2), hub_cpu_ms: round(hub.cpu_ms, 2), never_asked_ms: round(hub.first_ms, 1),
		second_ms: round(hub.second_ms, 1), warm_ms: round(hub.hub_ms, 2), asked_rows: hub.asked, ...client?.[hub.name] };
}

function printCases(cases) {
	printTable([['question', (c) => c.name], ['hub ms', (c) => c.hub_ms], ['PostgreSQL ms', (c) => c.peer_ms], ['ratio', (c) => c.ratio],
		['hub p99', (c) => c.hub_p99_ms], ['CPU ms', (c) => c.hub_cpu_ms], ['never asked', (c) => c.never_asked_ms],
		['asked again', (c) => c.second_ms], ['from then on', (c) => c.warm_ms], ['served: engine', (c) => c.served_engine_ms],
		['client', (c) => c.client_ms], ['client p99', (c) => c.client_p99_ms], ['never asked', (c) => c.client_never_asked_ms]], cases);
}

function printColumns(columns) {
	console.log();
	printTable([['column', (c) => c.path], ['form', (c) => c.form], ['KB', (c) => Math.round(c.bytes / 1024)]], columns);
}

// ---- the whole hub ----

// Milliseconds from exec to the first request that is served.
async function timeStart(hub) {
	const begin = performance.now();
	const started = hub.start();
	let ms = 0;
	while (ms === 0) {
		try {
			await hub.ask('GET', '/twins/bench-0000000');
			ms = performance.now() - begin;
		} catch (error) {
			if (!/ECONNREFUSED|ECONNRESET|socket hang up/.test(`${error.code} ${error.message}`)) throw error;
			await pause(2);
		}
	}
	await started;
	return ms;
}

async function timeStarts(hub) {
	const times = [];
	for (let i = 0; i < options.starts; i++) {
		if (i > 0) await hub.stop();
		times.push(await timeStart(hub));
	}
	return round(median(times));
}

// Wall time of the client, the connection being there.
async function askOverHttps(hub) {
	const all = {};
	for (const [name, text] of Object.entries(questions)) {
		const first = (await timed(() => hub.sql(text))).ms;
		const second = (await timed(() => hub.sql(text))).ms;
		const times = [];
		for (let i = 0; i < options.httpsRounds; i++) times.push((await timed(() => hub.sql(text))).ms);
		const engine = [];
		for (let i = 0; i < EXPLAINED; i++) engine.push((await hub.ask('POST', '/devices/query?explain=true', { body: { query: text } })).body.engineMs);
		all[name] = { served_engine_ms: round(median(engine), 2), client_ms: round(median(times), 2), client_p99_ms: round(quantile(times, 0.99), 2),
			client_never_asked_ms: round(first, 1), client_second_ms: round(second, 1) };
	}
	return all;
}

// Whole twins, page after page.
async function selectAll(hub, ntwin) {
	const customers = Math.min(500, Math.ceil(500 * 1.05 * ALL_TWINS / ntwin));
	const names = Array.from({ length: customers }, (_, i) => `'customer-${String(i).padStart(3, '0')}'`);
	const text = `SELECT TOP ${ALL_TWINS} * FROM devices WHERE tags.customer IN [${names.join(', ')}]`;
	const pages = async (page) => {
		let bytes = 0, rows = 0, token;
		do {
			const answer = await page(text, { 'x-ms-max-item-count': String(PAGE), ...(token ? { 'x-ms-continuation': token } : {}) });
			bytes += answer.bytes ?? Buffer.byteLength(answer.text);
			rows += answer.body?.length ?? 0;
			token = answer.headers['x-ms-continuation'];
		} while (token);
		return { bytes, rows };
	};
	const { bytes, rows } = await pages((...args) => hub.sql(...args));
	const times = [];
	for (let i = 0; i < 5; i++) times.push((await timed(() => pages((...args) => hub.read(...args)))).ms);
	const ms = median(times);
	return { twins: rows, bytes, ms: round(ms, 1), mb_per_s: round(bytes / 1e3 / ms, 1) };
}

// Columns are made while devices report. The hub has just been started: nothing is in memory.
async function buildBeside(hub, ntwin) {
	const load = await Load.start(hub, { conns: Math.min(options.conns, ntwin), rate: options.rate, devices: ntwin });
	await pause(1000);
	load.section('alone');
	await pause(ALONE_MS);
	load.section('building');
	const ask = (what) => timed(() => hub.sql(`SELECT COUNT() AS n FROM devices WHERE is_defined(${what})`));
	const builds = [];
	for (const what of coldPaths) builds.push((await ask(what)).ms);
	load.section('after');
	await pause(ALONE_MS / 5);
	const { sections, errors } = await load.end();
	const of = (name) => ({ p50_ms: sections[name].p50_ms, p99_ms: sections[name].p99_ms, max_ms: sections[name].max_ms, per_s: sections[name].per_s });
	return { rate: options.rate, conns: Math.min(options.conns, ntwin), errors, build_ms: round(median(builds), 1),
		build_max_ms: round(Math.max(...builds), 1), alone: of('alone'), building: of('building') };
}

async function useHub(hub, ntwin) {
	const result = { start_ms: await timeStarts(hub), memory_started_mb: hub.memoryMb };
	result.client = await askOverHttps(hub);
	result.select_all = await selectAll(hub, ntwin);
	result.memory_asked_mb = hub.memoryMb;
	await hub.stop();
	await hub.start();
	result.beside = await buildBeside(hub, ntwin);
	await hub.kill();
	result.start_after_kill_ms = round(await timeStart(hub));
	await hub.stop();
	return result;
}

function printHub(h) {
	console.log(`\nstart: ${h.start_ms} ms from exec to the first answer; after a kill, with logs to replay, ${h.start_after_kill_ms} ms`);
	console.log(`memory: ${h.memory_started_mb} MB just started, ${h.memory_asked_mb} MB after the questions`);
	console.log(`SELECT * of ${h.select_all.twins} twins over HTTPS: ${h.select_all.ms} ms, ${h.select_all.mb_per_s} MB/s`);
	console.log(`\ncolumns made beside ${h.beside.rate} reported patches a second (${h.beside.build_ms} ms each, at most ${h.beside.build_max_ms} ms); the patches:`);
	printTable([['while', (r) => r[0]], ['p50 ms', (r) => r[1].p50_ms], ['p99 ms', (r) => r[1].p99_ms], ['max ms', (r) => r[1].max_ms]],
		[['nothing is asked', h.beside.alone], ['paths are asked for the first time, and their columns made', h.beside.building]]);
}

// ---- one size ----

async function measure(dir, ntwin, withPeer, machine) {
	const lines = path.join(dir, 'twins.json'), forImport = path.join(dir, 'import.ndjson');
	const hub = new BenchHub({ addr: HOST, dir: path.join(dir, 'data'), bin: options.bin, args: ['--max-devices', ntwin + 1000] });
	await runGenerator(generator('bench_fleet', options.bin), { twins: ntwin, seed: options.seed, import: forImport, lines: withPeer ? lines : null });
	await hub.start();
	const importS = await hub.transfer('import', forImport) / 1e3;
	await hub.stop();
	fs.rmSync(forImport);
	const engine = await runGenerator(generator('bench_queries', options.bin),
		{ store: path.join(hub.dir, 'store'), workers: options.workers, rounds: options.rounds });
	const served = options.noHub ? null : await useHub(hub, ntwin);
	const times = {};
	let peerLoadS = null;
	if (withPeer) {
		const peer = startPostgres(dir);
		machine.peer = peer.version;
		try {
			peerLoadS = round((await timed(() => peer.load(lines))).ms / 1e3, 1);
			for (const [name, query] of Object.entries(peerQueries)) times[name] = peer.time(query, options.peerRounds + 1);
		} finally {
			peer.stop();
		}
	}
	const cases = engine.queries.map((q) => makeCase(q, times[q.name], served?.client));
	console.log(`${ntwin.toLocaleString('en')} twins, imported in ${round(importS, 1)} s${withPeer ? `; into PostgreSQL in ${peerLoadS} s` : ''}\n`);
	printCases(cases);
	printColumns(engine.columns);
	if (served) printHub(served);
	console.log();
	delete served?.client;
	return { twins: engine.twins, workers: engine.workers, import_s: round(importS, 1), peer_load_s: peerLoadS, identities_load_ms: engine.load_ms,
		columns: engine.columns, ...served, cases };
}

async function main() {
	const top = fs.mkdtempSync(path.join(options.dir, 'twinhub-bench-'));
	process.on('exit', () => fs.rmSync(top, { recursive: true, force: true }));
	const machine = machineFacts(top, ROOT);
	printMachine(machine);
	const sizes = [];
	for (const [i, ntwin] of options.twins.split(',').map(Number).entries()) {
		const dir = path.join(top, String(i));
		fs.mkdirSync(dir);
		fs.chmodSync(top, 0o755);
		sizes.push(await measure(dir, ntwin, i === 0 && !options.noPeer, machine));
		fs.rmSync(dir, { recursive: true });
	}
	const [{ cases, ...more }, ...growth] = sizes;
	printResult('queries', machine, cases, { ...more, growth });
}

await main();
process.exit(0);
