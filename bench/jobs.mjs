// What it takes to change a whole fleet: import, a twin-update job, configurations, export; beside PostgreSQL with the same twins in the
// same run, every commit of both synced.
//
// Connected devices report at a fixed rate meanwhile; a patch's time begins when it was due, so a stall is seen in full.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { mqttDevice } from '../tests/lib/hub.mjs';
import { parseArgs } from './lib/args.mjs';
import { BenchHub, Load, median, pause, quantile } from './lib/hub.mjs';
import { machineFacts } from './lib/machine.mjs';
import { startPostgres } from './lib/postgres.mjs';
import { printMachine, printResult, printTable, round } from './lib/report.mjs';
import { generator, runGenerator } from './lib/run.mjs';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const HOST = '127.0.2.4';
const ALONE_MS = 5000;
const QUIET_MS = 3000; // after each case: the store flushes and compacts
const LOOK_MS = 250;
const OBSERVER = 'observer';

const options = parseArgs({
	twins: 1_000_000, conns: 10_000, rate: 2000, singles: 1000, seed: 20260101, dir: os.tmpdir(), bin: path.join(ROOT, 'build/release/bin'),
	hubArgs: '', noPeer: false,
}, `bench/jobs [options]
  --twins N      in the fleet (1000000)              --seed N     of their content (20260101)
  --conns N      devices that report beside (10000)  --rate N     their patches a second (2000)
  --singles N    changes of one twin, timed (1000)   --no-peer    without PostgreSQL
  --dir DIR      where the data goes (${os.tmpdir()})     --bin DIR    programs (build/release/bin)
  --hub-args 'A B'  more arguments of twinhub serve
example: bench/jobs --twins 50000 --conns 1000`);

const since = (begin) => performance.now() - begin;

// ---- the hub ----

async function runImport(hub, lines) {
	const ms = await hub.transfer('import', lines);
	return { name: 'import', ms: round(ms), per_s: round(options.twins / ms * 1e3), mb_per_s: round(fs.statSync(lines).size / 1e3 / ms, 1) };
}

async function runExport(hub, file) {
	const ms = await hub.transfer('export', file);
	return { name: 'export', ms: round(ms), per_s: round(options.twins / ms * 1e3), mb_per_s: round(fs.statSync(file).size / 1e3 / ms, 1) };
}

async function runJob(hub) {
	const begin = performance.now();
	await hub.ask('PUT', '/jobs/v2/rollout', { body: { jobId: 'rollout', type: 'scheduleUpdateTwin', queryCondition: '*', maxExecutionTimeInSeconds: 86_400,
		updateTwin: { etag: '*', tags: { wave: 1 }, properties: { desired: { rollout: { build: 8, channel: 'stable' } } } } } });
	let job;
	do {
		await pause(LOOK_MS);
		job = (await hub.ask('GET', '/jobs/v2/rollout')).body;
	} while (job.status !== 'completed');
	const ms = since(begin);
	const done = job.deviceJobStatistics.succeededCount;
	if (done < options.twins) throw new Error(`the job has changed ${done} of ${options.twins} twins`);
	return { name: 'twin_update_job', ms: round(ms), per_s: round(done / ms * 1e3) };
}

async function applied(hub, id) {
	return (await hub.sql(`SELECT COUNT() AS n FROM devices WHERE configurations.[[${id}]].status = 'Applied'`)).body[0].n;
}

async function runConfiguration(hub) {
	const begin = performance.now();
	await hub.ask('PUT', '/configurations/everywhere', { body: { id: 'everywhere', targetCondition: '*', priority: 1,
		content: { deviceContent: { 'properties.desired.telemetry': { level: 'info', batch: 50 } } } } });
	while (await applied(hub, 'everywhere') < options.twins) await pause(LOOK_MS);
	const ms = since(begin);
	return { name: 'configuration_all', ms: round(ms), per_s: round(options.twins / ms * 1e3) };
}

// From the sending of a tag's change by the back end to the notification at the device: applied, and durable.
async function timeSingles(hub, device) {
	const times = [];
	device.inbox.take(); // what other cases have written
	for (let i = 0; i < options.singles; i++) {
		const begin = performance.now();
		const [{ body }] = await Promise.all([device.notification(), hub.ask('PATCH', `/twins/${OBSERVER}`, { body: { tags: { canary: i % 2 === 0 } } })]);
		times.push(since(begin));
		if (!('canary' in body)) throw new Error(`not the configuration's content: ${JSON.stringify(body)}`);
	}
	return { ms: round(median(times), 2), p99_ms: round(quantile(times, 0.99), 2) };
}

async function watchOne(hub) {
	const device = await mqttDevice(hub, OBSERVER, { plain: true, login: { keepAlive: 0 } });
	await hub.ask('PUT', '/configurations/canary', { body: { id: 'canary', targetCondition: 'tags.canary = true', priority: 10,
		content: { deviceContent: { 'properties.desired.canary': { level: 'debug' } } } } });
	return device;
}

async function useHub(hub, lines) {
	const cases = [], beside = {};
	await hub.start();
	cases.push(await runImport(hub, lines));
	const device = await watchOne(hub);
	await pause(QUIET_MS);
	const idle = await timeSingles(hub, device);
	const load = await Load.start(hub, { conns: Math.min(options.conns, options.twins), rate: options.rate, devices: options.twins });
	const section = async (name, work) => {
		load.section(name);
		const value = await work();
		load.section('pause');
		await pause(QUIET_MS);
		return value;
	};
	await pause(QUIET_MS);
	await section('alone', () => pause(ALONE_MS));
	cases.push(await section('twin_update_job', () => runJob(hub)));
	for (let i = 0; i < 2; i++) await applied(hub, 'everywhere'); // from now on a column answers: looking costs nothing
	cases.push(await section('configuration_all', () => runConfiguration(hub)));
	const busy = await section('configuration_one', () => timeSingles(hub, device));
	cases.push({ name: 'configuration_one', ...idle, beside_load_ms: busy.ms, beside_load_p99_ms: busy.p99_ms });
	const { sections, errors, notifications } = await load.end();
	delete sections.pause;
	for (const [name, s] of Object.entries(sections)) beside[name] = { per_s: s.per_s, p50_ms: s.p50_ms, p99_ms: s.p99_ms, max_ms: s.max_ms };
	device.destroy();
	cases.push(await runExport(hub, `${lines}.out`));
	fs.rmSync(`${lines}.out`);
	for (const c of cases) if (beside[c.name]) c.others_p99_ms = beside[c.name].p99_ms;
	return { cases, beside: { conns: load.conns, rate: options.rate, errors, notifications, ...beside }, memory_mb: hub.memoryMb };
}

// ---- PostgreSQL ----

const setAll = `jsonb_set(jsonb_set(doc, '{tags,wave}', '1'), '{properties,desired,rollout}', '{"build":8,"channel":"stable"}')`;

// Milliseconds of the same work; each statement is a transaction that is synced.
function usePeer(dir, lines, machine) {
	const peer = startPostgres(dir, { durable: true });
	machine.peer = peer.version;
	const once = (query) => peer.time(query, 1)[0];
	try {
		const load = peer.load(lines);
		const job = once(`UPDATE twins SET doc = ${setAll}`);
		peer.psql('VACUUM twins');
		const configuration = once(`UPDATE twins SET doc = jsonb_set(doc, '{properties,desired,telemetry}', '{"level":"info","batch":50}')`);
		peer.psql('VACUUM twins');
		const singles = peer.time(`UPDATE twins SET doc = jsonb_set(jsonb_set(doc, '{tags,canary}', 'true'), '{properties,desired,canary}', '{"level":"debug"}')
			WHERE id = 'bench-0000000'`, options.singles);
		const out = once(`COPY (SELECT doc FROM twins) TO '${path.join(peer.dir, 'export.json')}'`);
		return { import: load, twin_update_job: job, configuration_all: configuration, configuration_one: median(singles), export: out };
	} finally {
		peer.stop();
	}
}

// ---- all ----

function addPeer(cases, peer) {
	for (const c of cases) {
		c.peer_ms = round(peer[c.name], c.name === 'configuration_one' ? 2 : 0);
		if (c.per_s) c.peer_per_s = round(options.twins / peer[c.name] * 1e3);
		c.ratio = round(c.per_s ? c.per_s / c.peer_per_s : c.ms / c.peer_ms, 3);
	}
}

function print(cases, beside) {
	printTable([['case', (c) => c.name], ['ms', (c) => c.ms], ['p99 ms', (c) => c.p99_ms], ['twins/s', (c) => c.per_s], ['MB/s', (c) => c.mb_per_s],
		['PostgreSQL ms', (c) => c.peer_ms], ['PostgreSQL/s', (c) => c.peer_per_s], ['ratio', (c) => c.ratio], ["others' p99 ms", (c) => c.others_p99_ms]], cases);
	const { errors, notifications, conns, rate, ...sections } = beside;
	console.log(`\n${conns} connected devices, ${rate} reported patches a second, ${errors} errors, ${notifications} notifications; the patches:`);
	printTable([['while', (r) => r[0]], ['per s', (r) => r[1].per_s], ['p50 ms', (r) => r[1].p50_ms], ['p99 ms', (r) => r[1].p99_ms],
		['max ms', (r) => r[1].max_ms]], Object.entries(sections));
}

async function main() {
	const dir = fs.mkdtempSync(path.join(options.dir, 'twinhub-bench-'));
	process.on('exit', () => fs.rmSync(dir, { recursive: true, force: true }));
	const machine = machineFacts(dir, ROOT);
	printMachine(machine);
	const lines = path.join(dir, 'twins.json'), forImport = path.join(dir, 'import.ndjson');
	await runGenerator(generator('bench_fleet', options.bin), { twins: options.twins, seed: options.seed, import: forImport, lines: options.noPeer ? null : lines });
	const hub = new BenchHub({ addr: HOST, dir: path.join(dir, 'data'), bin: options.bin,
		args: ['--max-devices', options.twins + 1000, ...options.hubArgs.split(' ').filter(Boolean)] });
	const { cases, beside, memory_mb } = await useHub(hub, forImport);
	await hub.stop();
	if (!options.noPeer) addPeer(cases, usePeer(dir, lines, machine));
	print(cases, beside);
	console.log();
	printResult('jobs', machine, cases, { twins: options.twins, beside, memory_mb });
}

await main();
process.exit(0);
