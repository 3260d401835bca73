// What numbering events in partitions costs (events.md 10): updates of twins and telemetry, with it and without.
//
// Two hubs side by side, alike but for this: of one somebody has asked for partitions. In both a route sends changes of twins to the built-in endpoint, where
// telemetry goes anyway. They get the same from the same generator in turn: without, with, without, with. A run's CPU is the process's from before it until
// nothing is left to be numbered, and as long in the hub without: numbering that comes later is not for nothing.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from './lib/args.mjs';
import { BenchHub, pause, policyOf, PORTS } from './lib/hub.mjs';
import { machineFacts } from './lib/machine.mjs';
import { printMachine, printResult, printTable, round } from './lib/report.mjs';
import { generator, runGenerator } from './lib/run.mjs';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const HOSTS = { without: '127.0.2.6', with: '127.0.2.7' };
const TICK = 100; // of /proc/PID/stat, a second

const options = parseArgs({ seconds: 5, rounds: 4, conns: 50, inflight: 8, what: 'updates telemetry', dir: os.tmpdir(), bin: path.join(ROOT, 'build/release/bin'), hubArgs: '' },
	`bench/partitions [options]
  --seconds N    of each run (5)                 --rounds N    of each, in turn (4)
  --conns N      devices that send (50)          --inflight N  of each (8)
  --what 'W ..'  updates, telemetry (both)
  --dir DIR      where the data goes (${os.tmpdir()})     --bin DIR      programs (build/release/bin)
  --hub-args 'A B'  more arguments of twinhub serve
example: bench/partitions --seconds 2 --rounds 2`);

async function startHub(dir, side) {
	const hub = new BenchHub({ addr: HOSTS[side], dir: path.join(dir, side), bin: options.bin, args: options.hubArgs.split(' ').filter(Boolean) });
	await hub.start();
	for (let i = 0; i < options.conns; i++) {
		const deviceId = `bench-${String(i).padStart(7, '0')}`;
		await hub.ask('PUT', `/devices/${deviceId}`, { body: { deviceId } });
	}
	await hub.ask('PUT', '/routes/changes', { body: { source: 'TwinChangeEvents', endpointNames: ['events'] } });
	if (side === 'with') await hub.ask('GET', '/events/partitions');
	return { side, hub, ...await policyOf(hub, 'device') };
}

function used({ hub }) {
	const stat = fs.readFileSync(`/proc/${hub.pid}/stat`, 'utf8').split(') ').at(-1).split(' ');
	const io = fs.readFileSync(`/proc/${hub.pid}/io`, 'utf8');
	return { cpu: (Number(stat[11]) + Number(stat[12])) / TICK, written: Number(/^write_bytes: (\d+)$/m.exec(io)[1]) };
}

async function numbered({ hub }) {
	return (await hub.ask('GET', '/events/partitions')).body.reduce((n, p) => n + p.lastSequence + 1, 0);
}

// Until their number stands still; milliseconds.
async function numberedAll(server) {
	const begin = performance.now();
	for (let n = -1, now; n !== (now = await numbered(server)); n = now) await pause(300);
	return performance.now() - begin;
}

async function run(server, what) {
	const before = used(server), load = os.loadavg()[0];
	const result = await runGenerator(generator('bench_updates', options.bin), { target: 'hub', host: server.hub.addr, port: PORTS.mqtt, name: server.name, conns: options.conns,
		inflight: options.inflight, devices: options.conns, seconds: options.seconds, warmup: 0, pid: server.hub.pid, what }, { BENCH_KEY: server.key });
	const later_ms = server.side === 'with' ? await numberedAll(server) : 0;
	await pause(2000 - Math.min(2000, later_ms)); // what is written behind belongs to it
	const after = used(server);
	return { what, side: server.side, acked: result.acked, per_s: result.per_s, p99_ms: result.p99_ms, cpu_s_per_100k: round((after.cpu - before.cpu) * 1e5 / result.acked, 3),
		bytes_each: round((after.written - before.written) / result.acked), later_ms: round(later_ms), load: round(load, 2) };
}

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) / 2)];

function summary(what, runs) {
	const of = (side, field) => median(runs.filter((r) => r.side === side).map((r) => r[field]));
	const row = { what };
	for (const field of ['cpu_s_per_100k', 'bytes_each', 'per_s']) Object.assign(row, { [`${field}_without`]: of('without', field), [`${field}_with`]: of('with', field) });
	return { ...row, cpu_more_percent: round((row.cpu_s_per_100k_with / row.cpu_s_per_100k_without - 1) * 100, 1) };
}

async function main() {
	const dir = fs.mkdtempSync(path.join(options.dir, 'twinhub-bench-'));
	process.on('exit', () => fs.rmSync(dir, { recursive: true, force: true }));
	const machine = machineFacts(dir, ROOT);
	const servers = [];
	const runs = [];
	printMachine(machine);
	for (const side of Object.keys(HOSTS)) servers.push(await startHub(dir, side));
	for (const what of options.what.split(' '))
		for (let i = 0; i < options.rounds; i++)
			for (const server of servers) runs.push(await run(server, what));
	printTable([['', (r) => r.what], ['numbered', (r) => (r.side === 'with' ? 'yes' : 'no')], ['acknowledged', (r) => r.acked], ['a second', (r) => r.per_s], ['p99 ms', (r) => r.p99_ms],
		['CPU s/100k', (r) => r.cpu_s_per_100k], ['bytes each', (r) => r.bytes_each], ['all numbered, ms later', (r) => (r.side === 'with' ? r.later_ms : null)], ['load before', (r) => r.load]], runs);
	const cases = options.what.split(' ').map((what) => summary(what, runs.filter((r) => r.what === what)));
	for (const c of cases)
		console.log(`\n${c.what}: median CPU for 100,000 ${c.cpu_s_per_100k_without} s without, ${c.cpu_s_per_100k_with} s with (${c.cpu_more_percent} % more); ${c.bytes_each_without} and ${c.bytes_each_with} bytes each`);
	const all = await numbered(servers[1]), sent = runs.filter((r) => r.side === 'with').reduce((n, r) => n + r.acked, 0);
	if (all < sent) throw new Error(`${all} events are numbered, of ${sent} that were acknowledged`);
	for (const { hub } of servers) await hub.stop();
	console.log();
	printResult('partitions', machine, cases, { runs });
}

await main();
process.exit(0);
