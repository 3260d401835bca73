// Live queries: how soon who watches hears of a change, and what they cost the updates.
//
// Connected devices report at a fixed rate; a patch's time begins when it was due, so a stall is seen in full. Without watchers, with them, and
// without them again, in one run: the figures are beside each other. A delivery's time begins when the hub applies the change (its
// $lastUpdated), and ends when the watcher has read it: the commit is in it, as are this program and the load, on the same machine.
import fs from 'node:fs';
import https from 'node:https';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { API_VERSION } from '../tests/lib/hub.mjs';
import { parseArgs } from './lib/args.mjs';
import { BenchHub, Load, pause, quantile } from './lib/hub.mjs';
import { machineFacts } from './lib/machine.mjs';
import { printMachine, printResult, printTable, round } from './lib/report.mjs';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const HOST = '127.0.2.5';
const QUIET_MS = 2000;

const options = parseArgs({
	twins: 100_000, conns: 5000, rate: 5000, watchers: 1000, seconds: 10, dir: os.tmpdir(), bin: path.join(ROOT, 'build/release/bin'), hubArgs: '', unkeyed: false,
}, `bench/live [options]
  --twins N      in the fleet (100000)                --watchers N   of a site each (1000)
  --conns N      devices that are connected (5000)    --rate N       their patches a second, all together (5000)
  --seconds N    measured each time (10)
  --unkeyed      conditions by which no watcher can be found: each is asked at each change
  --dir DIR      where the data goes (${os.tmpdir()})     --bin DIR      programs (build/release/bin)
  --hub-args 'A B'  more arguments of twinhub serve
example: bench/live --twins 10000 --conns 500 --rate 1000 --watchers 100 --seconds 3`);

const now = () => performance.timeOrigin + performance.now();

function writeFleet(file) {
	const out = fs.openSync(file, 'w');
	for (let i = 0; i < options.twins; i += 1000) {
		const lines = Array.from({ length: Math.min(1000, options.twins - i) }, (_, k) =>
			JSON.stringify({ id: `bench-${String(i + k).padStart(7, '0')}`, tags: { site: `s${(i + k) % options.watchers}` } }));
		fs.writeSync(out, `${lines.join('\n')}\n`);
	}
	fs.closeSync(out);
}

// One that watches the twins of a site. Its events: onready(rows), onchange(ms since it was applied).
class Watcher {
	ready = false;

	constructor(hub, site, agent, { onready, onchange, onend }) {
		const body = JSON.stringify({ query: 'SELECT properties.reported.telemetry.uptime AS uptime, properties.reported.$metadata.$lastUpdated AS at FROM devices ' +
			(options.unkeyed ? `WHERE tags.site >= '${site}' AND tags.site <= '${site}'` : `WHERE tags.site = '${site}'`) });
		this.request = https.request({ host: hub.addr, port: hub.httpsPort, ca: hub.pem, servername: '', method: 'POST', agent,
			path: `/devices/query/watch?api-version=${API_VERSION}`, headers: { Authorization: hub.authorization, 'Content-Type': 'application/json',
				'Content-Length': Buffer.byteLength(body) } }, (response) => {
			let rest = '';
			if (response.statusCode !== 200) throw new Error(`a watcher is answered with ${response.statusCode}`);
			response.setEncoding('utf8').on('data', (piece) => {
				const lines = (rest + piece).split('\n');
				rest = lines.pop();
				for (const line of lines) this.#take(line, onready, onchange, onend);
			});
		});
		this.request.on('error', (error) => this.over || onend(error.message));
		this.request.end(body);
	}

	#take(line, onready, onchange, onend) {
		const event = JSON.parse(line);
		if (event.closed) onend(event.text);
		else if (event.event === 'ready') onready(event.rows);
		else if (event.event === 'change') onchange(now() - Date.parse(event.row.at));
	}

	close() {
		this.over = true;
		this.request.destroy();
	}
}

async function watchAll(hub) {
	const agent = new https.Agent({ keepAlive: false, maxSockets: Infinity });
	const all = { watchers: [], times: [], rows: 0, ready: 0, ended: 0 };
	const begin = performance.now();
	for (let i = 0; i < options.watchers; i++) {
		all.watchers.push(new Watcher(hub, `s${i}`, agent, {
			onready: (rows) => { all.ready++; all.rows += rows; },
			onchange: (ms) => all.times.push(ms),
			onend: (why) => { all.ended++; console.error(`a watch has ended: ${why}`); },
		}));
		if (i % 50 === 49) await pause(20); // handshakes, not a storm
	}
	while (all.ready < options.watchers) {
		if (performance.now() - begin > 120_000) throw new Error(`${all.ready} of ${options.watchers} watchers have their first rows`);
		await pause(20);
	}
	all.firstMs = performance.now() - begin;
	return all;
}

async function measure(hub, load) {
	const section = async (name, work = () => pause(options.seconds * 1000)) => {
		load.section(name);
		const value = await work();
		load.section('pause');
		await pause(QUIET_MS);
		return value;
	};
	await pause(QUIET_MS);
	await section('without');
	const memoryBefore = hub.memoryMb;
	const all = await section('opening', () => watchAll(hub));
	all.times.length = 0;
	const heardBegin = performance.now();
	await section('with');
	const heard = { n: all.times.length, s: (performance.now() - heardBegin) / 1000, p50: quantile(all.times, 0.5), p99: quantile(all.times, 0.99), max: Math.max(0, ...all.times.slice(-100_000)) };
	const memoryWith = hub.memoryMb;
	all.watchers.forEach((w) => w.close());
	await pause(QUIET_MS);
	await section('without again');
	return { all, heard, memory: { before_mb: memoryBefore, with_mb: memoryWith, each_kb: round((memoryWith - memoryBefore) * 1024 / options.watchers, 1) } };
}

async function main() {
	const dir = fs.mkdtempSync(path.join(options.dir, 'twinhub-bench-'));
	process.on('exit', () => fs.rmSync(dir, { recursive: true, force: true }));
	const machine = machineFacts(dir, ROOT);
	printMachine(machine);
	const fleet = path.join(dir, 'fleet.ndjson');
	writeFleet(fleet);
	const hub = new BenchHub({ addr: HOST, dir: path.join(dir, 'data'), bin: options.bin, args: options.hubArgs.split(' ').filter(Boolean) });
	await hub.start();
	await hub.transfer('import', fleet);
	await hub.ask('GET', '/statistics/devices'); // the token that all have
	const load = await Load.start(hub, { conns: options.conns, rate: options.rate, devices: options.twins });
	const { all, heard, memory } = await measure(hub, load);
	const { sections, errors } = await load.end();
	await hub.stop();
	const cases = ['without', 'opening', 'with', 'without again'].map((name) => ({ name, ...sections[name] }));
	const base = (sections.without.p99_ms + sections['without again'].p99_ms) / 2;
	const delivery = { watchers: options.watchers, rows: all.rows, first_rows_ms: round(all.firstMs), heard_per_s: round(heard.n / heard.s),
		p50_ms: round(heard.p50, 1), p99_ms: round(heard.p99, 1), max_ms: round(heard.max, 1), ended: all.ended,
		updates_p99_ratio: round(sections.with.p99_ms / base, 2) };
	printTable([['updates', (c) => c.name], ['a second', (c) => c.per_s], ['p50 ms', (c) => c.p50_ms], ['p99 ms', (c) => c.p99_ms], ['max ms', (c) => c.max_ms]], cases);
	console.log();
	printTable([['watchers', (d) => d.watchers], ['rows', (d) => d.rows], ['first rows ms', (d) => d.first_rows_ms], ['heard a second', (d) => d.heard_per_s],
		['p50 ms', (d) => d.p50_ms], ['p99 ms', (d) => d.p99_ms], ['max ms', (d) => d.max_ms], ['ended', (d) => d.ended], ["updates' p99, with / without", (d) => d.updates_p99_ratio],
		['KB each', () => memory.each_kb]], [delivery]);
	console.log();
	printResult('live', machine, cases, { twins: options.twins, conns: options.conns, rate: options.rate, errors, delivery, memory });
}

await main();
process.exit(0);
