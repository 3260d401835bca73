// What quiet devices feel of those that flood the hub: the times of their patches alone, and beside 1, 2 and 50 floods.
//
// A quiet device's patch is about 100 bytes, and its time begins when it was due. A flood is a device that has always so many patches
// in flight: large ones, of 1,100 keys that all change, or small ones, as the quiet devices'.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from './lib/args.mjs';
import { BenchHub, Load, pause, policyOf } from './lib/hub.mjs';
import { machineFacts } from './lib/machine.mjs';
import { printMachine, printResult, printTable, round } from './lib/report.mjs';
import { generator, runGenerator } from './lib/run.mjs';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const HOST = '127.0.2.6';
const WARMUP_MS = 1000;

const options = parseArgs({
	quiet: 100, rate: 400, floods: '1,2,50', keys: 1100, inflight: 64, small: 256, seconds: 5, rounds: 3,
	dir: os.tmpdir(), bin: path.join(ROOT, 'build/release/bin'), hubArgs: '',
}, `bench/fairness [options]
  --quiet N        quiet devices (100)                --rate N     their patches a second, together (400)
  --floods N,N..   devices that flood (1,2,50)        --keys N     of a large patch (1100)
  --inflight N     large patches of each (64)         --small N    small patches of each (256)
  --seconds N      of each measurement (5)            --rounds N   all in turn; medians are reported (3)
  --dir DIR        where the data goes (${os.tmpdir()})      --bin DIR    programs (build/release/bin)
  --hub-args 'A B'  more arguments of twinhub serve
example: bench/fairness --seconds 2 --rounds 1`);

const floods = options.floods.split(',').map(Number);
const devices = options.quiet + Math.max(...floods) + 1;
const kinds = [['large', { inflight: options.inflight, keys: options.keys }], ['small', { inflight: options.small }]];
const cases = [{ n: 0 }, ...kinds.flatMap(([kind, load]) => floods.map((n) => ({ kind, n, load })))];

async function runCase(hub, what) {
	const quiet = await Load.start(hub, { conns: options.quiet, devices, rate: options.rate });
	const flood = what.n > 0 && await Load.start(hub, { conns: what.n, devices, first: options.quiet, ...what.load });
	await pause(WARMUP_MS);
	quiet.section('quiet');
	if (flood) flood.section('flood');
	await pause(options.seconds * 1000);
	const ends = await Promise.all([quiet.end(), flood && flood.end()]);
	return { ...ends[0].sections.quiet, flood_per_s: flood ? ends[1].sections.flood.per_s : null };
}

// One large patch at a time, and nothing else: what one large operation takes.
async function timeLarge(hub) {
	const load = await Load.start(hub, { conns: 1, devices, first: devices - 1, inflight: 1, keys: options.keys });
	load.section('one');
	await pause(options.seconds * 1000);
	return (await load.end()).sections.one;
}

const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];

function summary(what, runs) {
	const of = (name, digits = 3) => round(median(runs.map((r) => r[name])), digits);
	return { floods: what.n, kind: what.kind ?? null, p50_ms: of('p50_ms'), p99_ms: of('p99_ms'), max_ms: of('max_ms'),
		flood_per_s: what.n > 0 ? of('flood_per_s', 0) : null };
}

async function main() {
	const dir = fs.mkdtempSync(path.join(options.dir, 'twinhub-bench-'));
	process.on('exit', () => fs.rmSync(dir, { recursive: true, force: true }));
	const machine = machineFacts(dir, ROOT);
	printMachine(machine);
	const hub = new BenchHub({ addr: HOST, dir: path.join(dir, 'data'), bin: options.bin, args: options.hubArgs.split(' ').filter(Boolean) });
	await hub.start();
	const { name, key } = await policyOf(hub, 'iothubowner');
	await runGenerator(generator('bench_fill', options.bin), { host: HOST, port: hub.httpsPort, ca: hub.ca, name, devices }, { BENCH_KEY: key });
	const large = await timeLarge(hub), runs = cases.map(() => []);
	for (let nth = 0; nth < options.rounds; nth++)
		for (const [i, what] of cases.entries()) runs[i].push(await runCase(hub, what));
	await hub.stop();
	const results = cases.map((what, i) => summary(what, runs[i]));
	printTable([['floods', (c) => c.floods], ['of', (c) => c.kind], ['quiet p50 ms', (c) => c.p50_ms], ['p99 ms', (c) => c.p99_ms],
		['max ms', (c) => c.max_ms], ['flood patches/s', (c) => c.flood_per_s]], results);
	console.log(`\none large patch at a time: p50 ${large.p50_ms} ms, p99 ${large.p99_ms} ms\n`);
	printResult('fairness', machine, results, { quiet: options.quiet, rate: options.rate, keys: options.keys, large_p50_ms: large.p50_ms, large_p99_ms: large.p99_ms });
}

await main();
process.exit(0);
