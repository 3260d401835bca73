// What a question to the whole fleet costs, inside the hub and in PostgreSQL, on the same twins in the same run.
//
// The hub's figure is the time of a walk inside the engine: sent to the workers, back with its answer. PostgreSQL's is psql's \timing
// over a Unix socket, with the document as jsonb under a GIN index (jsonb_path_ops). Warm, medians.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from './lib/args.mjs';
import { machineFacts } from './lib/machine.mjs';
import { startPostgres } from './lib/postgres.mjs';
import { printMachine, printResult, printTable, round } from './lib/report.mjs';
import { generator, runGenerator } from './lib/run.mjs';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

const options = parseArgs({
	twins: 1_000_000, workers: os.availableParallelism(), rounds: 51, peerRounds: 9, seed: 20260101, dir: os.tmpdir(),
	bin: path.join(ROOT, 'build/release/bin'), noPeer: false,
}, `bench/queries [options]
  --twins N        in the fleet (1000000)            --seed N         of their content (20260101)
  --workers N      of the hub (its cores)            --rounds N       of each question to the hub (51)
  --peer-rounds N  to PostgreSQL (9)                 --no-peer        without it
  --dir DIR        where the data goes (${os.tmpdir()})   --bin DIR        programs (build/release/bin)
example: bench/queries --twins 100000 --rounds 21`);

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

const median = (times) => [...times].sort((a, b) => a - b)[Math.floor((times.length - 1) / 2)];

// A column is made by the second question for its path: that is what cold_column measures.
function makeCase(hub, peerTimes) {
	const hubMs = hub.name === 'cold_column' ? hub.second_ms : hub.hub_ms;
	const peerMs = peerTimes && median(peerTimes.slice(1));
	return { name: hub.name, hub_ms: round(hubMs, 2), peer_ms: round(peerMs, 1), ratio: peerMs ? round(hubMs / peerMs, 4) : null,
		hub_p99_ms: round(hub.p99_ms, 2), hub_cpu_ms: round(hub.cpu_ms, 2), never_asked_ms: round(hub.first_ms, 1),
		second_ms: round(hub.second_ms, 1), warm_ms: round(hub.hub_ms, 2), asked_rows: hub.asked };
}

function printCases(cases) {
	printTable([['question', (c) => c.name], ['hub ms', (c) => c.hub_ms], ['PostgreSQL ms', (c) => c.peer_ms], ['ratio', (c) => c.ratio],
		['hub p99', (c) => c.hub_p99_ms], ['CPU ms', (c) => c.hub_cpu_ms], ['never asked', (c) => c.never_asked_ms],
		['asked again', (c) => c.second_ms], ['from then on', (c) => c.warm_ms]], cases);
}

function printColumns(columns) {
	console.log();
	printTable([['column', (c) => c.path], ['form', (c) => c.form], ['KB', (c) => Math.round(c.bytes / 1024)]], columns);
}

async function main() {
	const dir = fs.mkdtempSync(path.join(options.dir, 'twinhub-bench-'));
	process.on('exit', () => fs.rmSync(dir, { recursive: true, force: true }));
	const machine = machineFacts(dir, ROOT);
	printMachine(machine);
	const lines = path.join(dir, 'twins.json');
	const hub = await runGenerator(generator('bench_queries', options.bin), { dir: path.join(dir, 'rows'), json: options.noPeer ? null : lines,
		twins: options.twins, seed: options.seed, workers: options.workers, rounds: options.rounds });
	const times = {};
	if (!options.noPeer) {
		const peer = startPostgres(dir);
		machine.peer = peer.version;
		try {
			peer.load(lines);
			for (const [name, query] of Object.entries(peerQueries)) times[name] = peer.time(query, options.peerRounds + 1);
		} finally {
			peer.stop();
		}
	}
	const cases = hub.queries.map((q) => makeCase(q, times[q.name]));
	printCases(cases);
	printColumns(hub.columns);
	console.log();
	printResult('queries', machine, cases, { twins: hub.twins, workers: hub.workers, load_ms: hub.load_ms, columns: hub.columns });
}

await main();
process.exit(0);
