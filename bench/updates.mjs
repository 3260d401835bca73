// What a durable reported update costs beside a plain broker's QoS 1 acknowledgement.
//
// Hub and mosquitto run side by side with the same certificate and get the same publishes from the same
// generator in turn: hub, peer, hub, peer. The hub's update counts when its 204 has come, which is after
// the commit; mosquitto's when the PUBACK has come, and it stores nothing. A case's figure is the
// median of the rounds.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import tls from 'node:tls';
import { fileURLToPath } from 'node:url';
import { parseArgs } from './lib/args.mjs';
import { BenchHub, makeCertificates, policyOf, PORTS as HUB_PORTS } from './lib/hub.mjs';
import { machineFacts } from './lib/machine.mjs';
import { mosquittoVersion, startMosquitto } from './lib/mosquitto.mjs';
import { medianRun, printMachine, printResult, printTable, round } from './lib/report.mjs';
import { generator, runGenerator } from './lib/run.mjs';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const HOST = '127.0.2.1';
const PORTS = { ...HUB_PORTS, peer: 31883, peerTls: 38883 };

const options = parseArgs({
	devices: 1_000_000, seconds: 8, warmup: 2, rounds: 3, threads: 1, qos: 1, rotate: 1,
	cases: '50,1 50,8 1000,1', only: 'both', dir: os.tmpdir(), bin: path.join(ROOT, 'build/release/bin'),
	hubArgs: '', skipTwins: false, twinsTls: false, peerOnly: false,
}, `bench/updates [options]
  --devices N       twins in the registry, all touched in the last case (1000000)
  --seconds N       measured per run (8)        --warmup N   before that (2)
  --rounds N        runs per case and server (3)
  --cases 'C,W ..'  connections, patches in flight on each (50,1 50,8 1000,1)
  --only plain|tls|both                         --qos 0|1    of the hub's patches (1)
  --rotate N        patches per device in the last case (1)
  --skip-twins      leave out the last case     --twins-tls  run it over TLS too
  --threads N       of the generator (1)        --dir DIR    where the data goes (${os.tmpdir()})
  --bin DIR         programs (build/release/bin)
  --hub-args 'A B'  more arguments of twinhub serve
  --peer-only       without a hub, to try the bench itself
example: bench/updates --devices 10000 --seconds 3 --rounds 1`);

async function startHub(dir, certs) {
	const hub = new BenchHub({ addr: HOST, dir: path.join(dir, 'data'), bin: options.bin, certs, args: options.hubArgs.split(' ').filter(Boolean) });
	await hub.start();
	return hub;
}

async function fill(hub, caFile) {
	const { name, key } = await policyOf(hub, 'iothubowner');
	const result = await runGenerator(generator('bench_fill', options.bin),
		{ host: HOST, port: PORTS.https, ca: caFile, name, devices: options.devices }, { BENCH_KEY: key });
	console.log(`registered ${result.created} devices in ${result.seconds.toFixed(1)} s, ${result.per_s} a second by PUT over HTTPS\n`);
	return result;
}

// What the two servers really negotiate, as "TLSv1.3 TLS_AES_256_GCM_SHA384".
function negotiated(port, caFile) {
	return new Promise((resolve, reject) => {
		const socket = tls.connect({ host: HOST, port, ca: fs.readFileSync(caFile) }, () => {
			resolve(`${socket.getProtocol()} ${socket.getCipher().name}`);
			socket.destroy();
		});
		socket.on('error', reject);
	});
}

function casesWanted() {
	const sides = { plain: [false], tls: [true], both: [false, true] }[options.only];
	const steady = sides.flatMap((useTls) => options.cases.split(' ').filter(Boolean).map((text) => {
		const [conns, inflight] = text.split(',').map(Number);
		return { conns, inflight, tls: useTls };
	}));
	const twins = sides.filter((useTls) => !useTls || options.twinsTls || options.only === 'tls')
		.map((useTls) => ({ conns: 64, inflight: 1, tls: useTls, twins: options.devices }));
	return options.skipTwins ? steady : [...steady, ...twins];
}

function runOnce(what, server, caFile) {
	return runGenerator(generator('bench_updates', options.bin), {
		target: server.target, host: HOST, port: what.tls ? server.tlsPort : server.port, ca: what.tls ? caFile : undefined,
		name: server.name, conns: what.conns, inflight: what.inflight, qos: server.target === 'hub' ? options.qos : 1,
		devices: options.devices, threads: options.threads, pid: server.pid, warmup: options.warmup,
		...(what.twins ? { rotate: options.rotate, seconds: 3600 } : { seconds: options.seconds }),
	}, server.key ? { BENCH_KEY: server.key } : {});
}

async function runCase(what, servers, caFile) {
	const runs = { hub: [], broker: [] };
	const rounds = what.twins ? 1 : options.rounds;
	for (let i = 0; i < rounds; i++)
		for (const server of servers) runs[server.target].push(await runOnce(what, server, caFile));
	const hub = runs.hub.length > 0 ? medianRun(runs.hub) : {};
	const peer = medianRun(runs.broker);
	return { conns: what.conns, inflight: what.inflight, tls: what.tls, ...(what.twins ? { twins: what.twins, per_session: options.rotate } : {}),
		hub_per_s: hub.per_s ?? null, peer_per_s: peer.per_s, ratio: hub.per_s ? round(hub.per_s / peer.per_s, 3) : null,
		p50_ms: hub.p50_ms ?? null, p99_ms: hub.p99_ms ?? null, p999_ms: hub.p999_ms ?? null,
		peer_p50_ms: peer.p50_ms, peer_p99_ms: peer.p99_ms, peer_p999_ms: peer.p999_ms,
		hub_cpu_s_per_100k: hub.cpu_s_per_100k ?? null, hub_disk_bytes_each: hub.disk_bytes_each ?? null, peer_cpu_s_per_100k: peer.cpu_s_per_100k,
		hub_runs: runs.hub.map((r) => r.per_s), peer_runs: runs.broker.map((r) => r.per_s),
		errors: runs.hub.reduce((n, r) => n + r.errors, 0) };
}

function printCases(cases) {
	printTable([
		['connections', (c) => c.conns], ['in flight', (c) => c.inflight], ['over', (c) => (c.tls ? 'TLS' : 'plain')],
		['twins', (c) => c.twins ?? c.conns], ['hub/s', (c) => c.hub_per_s], ['mosquitto/s', (c) => c.peer_per_s],
		['ratio', (c) => c.ratio], ['p50 ms', (c) => c.p50_ms], ['p99 ms', (c) => c.p99_ms], ['p99.9 ms', (c) => c.p999_ms],
		['peer p99', (c) => c.peer_p99_ms], ['hub CPU s/100k', (c) => c.hub_cpu_s_per_100k], ['hub disk bytes each', (c) => c.hub_disk_bytes_each],
		['peer CPU s/100k', (c) => c.peer_cpu_s_per_100k], ['errors', (c) => c.errors]], cases);
	if (cases.some((c) => c.twins))
		console.log(`\nthe rows with more twins than connections: each device connects, sends ${options.rotate === 1 ? 'one patch' : `${options.rotate} patches`}, disconnects;\n` +
			'their times begin with the connection, which is most of them');
}

async function main() {
	const dir = fs.mkdtempSync(path.join(options.dir, 'twinhub-bench-'));
	process.on('exit', () => fs.rmSync(dir, { recursive: true, force: true }));
	const machine = machineFacts(dir, ROOT);
	printMachine(machine);
	const certs = makeCertificates(dir, HOST);
	const caFile = certs.ca.certFile;
	const peer = await startMosquitto({ dir, host: HOST, port: PORTS.peer, tlsPort: PORTS.peerTls,
		certFile: certs.server.certFile, keyFile: certs.server.keyFile });
	const servers = [{ target: 'broker', name: HOST, port: peer.port, tlsPort: peer.tlsPort, pid: peer.pid }];
	const sizes = { devices: options.devices, patch_bytes: 105 };
	let hub = null;
	machine.peer = `mosquitto ${mosquittoVersion()}`;
	machine.peer_tls = await negotiated(PORTS.peerTls, caFile);
	if (!options.peerOnly) {
		hub = await startHub(dir, certs);
		sizes.fill_per_s = (await fill(hub, caFile)).per_s;
		servers.unshift({ target: 'hub', port: PORTS.mqtt, tlsPort: PORTS.mqtts, pid: hub.pid, ...await policyOf(hub, 'device') });
		machine.tls = await negotiated(PORTS.mqtts, caFile);
	}
	const cases = [];
	for (const what of casesWanted()) {
		cases.push(await runCase(what, servers, caFile));
		if (process.stderr.isTTY) process.stderr.write(`\r${cases.length} of ${casesWanted().length} cases measured\x1b[K${cases.length === casesWanted().length ? '\n' : ''}`);
	}
	printCases(cases);
	await hub?.stop();
	peer.stop();
	console.log();
	printResult('updates', machine, cases, { sizes });
}

await main();
process.exit(0);
