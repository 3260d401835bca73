// What one more layered configuration costs, the more there are: PUT of the 1st, the 30th and the 100th that matches all of the fleet, each
// with a path of its own, from the request until it is Applied everywhere (those between are made without waiting), and of one in the place of
// the last that matches few. The hub's CPU time has the questions in it that look how far it is.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from './lib/args.mjs';
import { BenchHub, pause } from './lib/hub.mjs';
import { machineFacts } from './lib/machine.mjs';
import { printMachine, printResult, printTable, round } from './lib/report.mjs';
import { generator, runGenerator } from './lib/run.mjs';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const HOST = '127.0.2.5';
const LOOK_MS = 250;

const options = parseArgs({
	twins: 100_000, timed: '1,30,100', seed: 20260101, dir: os.tmpdir(), bin: path.join(ROOT, 'build/release/bin'),
}, `bench/layers [options]
  --twins N      in the fleet (100000)               --timed A,B  which of the configurations are timed (1,30,100)
  --dir DIR      where the data goes (${os.tmpdir()})     --bin DIR    programs (build/release/bin)
  --seed N       of the twins' content (20260101)
example: bench/layers --twins 5000`);

const FEW = "tags.location.plant = 'plant-07'";

const put = (hub, n, targetCondition = '*') => hub.ask('PUT', `/configurations/layer-${n}`, { body: { id: `layer-${n}`, targetCondition, priority: n,
	content: { deviceContent: { [`properties.desired.layers.l${n}`]: { level: 'info', batch: n } } } } } );

// The kernel's clock ticks are 10 ms.
function cpuMs(hub) {
	const [user, system] = fs.readFileSync(`/proc/${hub.pid}/stat`, 'utf8').split(') ')[1].split(' ').slice(11, 13);
	return (Number(user) + Number(system)) * 10;
}

const count = async (hub, condition) => (await hub.sql(`SELECT COUNT() AS n FROM devices WHERE ${condition}`)).body[0].n;

async function applied(hub, n, twins) {
	while (await count(hub, `configurations.[[layer-${n}]].status = 'Applied'`) !== twins) await pause(LOOK_MS);
}

async function timed(hub, name, twins, change) {
	const begin = performance.now(), cpu = cpuMs(hub);
	await change();
	const ms = performance.now() - begin, cpu_ms = cpuMs(hub) - cpu;
	return { name, twins, ms: round(ms), cpu_ms, cpu_us_per_twin: round(cpu_ms / options.twins * 1e3, 1) };
}

async function main() {
	const dir = fs.mkdtempSync(path.join(options.dir, 'twinhub-bench-'));
	process.on('exit', () => fs.rmSync(dir, { recursive: true, force: true }));
	const machine = machineFacts(dir, ROOT), lines = path.join(dir, 'import.ndjson'), cases = [];
	printMachine(machine);
	await runGenerator(generator('bench_fleet', options.bin), { twins: options.twins, seed: options.seed, import: lines, lines: null });
	const hub = new BenchHub({ addr: HOST, dir: path.join(dir, 'data'), bin: options.bin, args: ['--max-devices', options.twins + 1000, '--query-timeout', 600] });
	await hub.start();
	await hub.transfer('import', lines);
	let made = 0;
	for (const n of options.timed.split(',').map(Number)) {
		while (made < n - 1) await put(hub, ++made);
		if (made > 0) await applied(hub, made, options.twins);
		cases.push(await timed(hub, `layer_${n}`, options.twins, async () => {
			await put(hub, ++made);
			await applied(hub, made, options.twins);
		}));
	}
	await hub.ask('DELETE', `/configurations/layer-${made}`, { headers: { 'if-match': '*' } });
	await applied(hub, made, 0);
	const few = await count(hub, FEW);
	cases.push(await timed(hub, `few_${made}`, few, async () => {
		await put(hub, made, FEW);
		await applied(hub, made, few);
	}));
	const memory = hub.memoryMb;
	await hub.stop();
	printTable([['case', (c) => c.name], ['twins', (c) => c.twins], ['ms', (c) => c.ms], ['CPU ms', (c) => c.cpu_ms], ['CPU us a twin of all', (c) => c.cpu_us_per_twin]], cases);
	console.log();
	printResult('layers', machine, cases, { twins: options.twins, memory_mb: memory });
}

await main();
process.exit(0);
