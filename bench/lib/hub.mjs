// The hub of a benchmark: on a loopback address of its own, on ports above 20,000, with the release build's programs.
import { execFile, spawn } from 'node:child_process';
import https from 'node:https';
import fs from 'node:fs';
import path from 'node:path';
import readline from 'node:readline';
import { promisify } from 'node:util';
import { API_VERSION, Hub, makeCertificate, parseConnectionString, restRequest } from '../../tests/lib/hub.mjs';
import { generator } from './run.mjs';

export const PORTS = { mqtt: 21883, mqtts: 28883, https: 20443 };
const REQUEST_MS = 900_000;
const run = promisify(execFile);

export function makeCertificates(dir, host) {
	const ca = makeCertificate({ dir, cn: 'benchmark CA', ca: true });
	return { ca, server: makeCertificate({ dir, cn: host, issuer: ca, san: `IP:${host},DNS:localhost` }) };
}

// {name, key} of a policy, as the load generators want them.
export async function policyOf(hub, policy) {
	const { HostName, SharedAccessKey } = parseConnectionString(await hub.connectionString(policy));
	return { name: HostName.replace(/:\d+$/, ''), key: SharedAccessKey }; // the port belongs to the address
}

export class BenchHub extends Hub {
	#agent = new https.Agent({ keepAlive: true, maxSockets: 1 });

	// bin: where the programs are; certs: as makeCertificates made them, or none
	constructor({ addr, dir, bin, certs = null, args = [] }) {
		super({ addr, dir, binary: path.join(bin, 'twinhub'), args: ['--mqtt-port', PORTS.mqtt, '--mqtts-port', PORTS.mqtts,
			'--https-port', PORTS.https, ...(certs ? ['--cert', certs.server.certFile, '--key', certs.server.keyFile] : []), ...args].map(String) });
		this.bin = bin;
	}

	// One request on a connection that is kept; anything but success ends the benchmark.
	async ask(method, target, { body, headers } = {}) {
		this.authorization ??= await this.token({ ttl: 86_400 });
		const answer = await restRequest({ host: this.addr, port: this.httpsPort, ca: this.pem, method, path: target, body, headers,
			authorization: this.authorization, agent: this.#agent, timeoutMs: REQUEST_MS });
		if (answer.status >= 300) throw new Error(`${method} ${target}: ${answer.status} ${answer.text.slice(0, 500)}`);
		return answer;
	}

	// A command of the program that moves the whole fleet. Milliseconds.
	async transfer(...args) {
		const begin = performance.now();
		await run(this.binary, [...args, '--data', this.dir], { maxBuffer: 1 << 26 });
		return performance.now() - begin;
	}

	// A page of a query, read and not looked at: {bytes, headers}.
	read(query, headers = {}) {
		const body = JSON.stringify({ query });
		return new Promise((resolve, reject) => {
			const request = https.request({ host: this.addr, port: this.httpsPort, ca: this.pem, servername: '', method: 'POST',
				path: `/devices/query?api-version=${API_VERSION}`, agent: this.#agent,
				headers: { ...headers, Authorization: this.authorization, 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) } },
			(response) => {
				let bytes = 0;
				response.on('data', (part) => { bytes += part.length; });
				response.on('error', reject);
				response.on('end', () => resolve({ bytes, headers: response.headers }));
			});
			request.on('error', reject);
			request.end(body);
		});
	}

	async sql(query, headers = {}) {
		return this.ask('POST', '/devices/query', { body: { query }, headers });
	}

	get memoryMb() {
		const line = fs.readFileSync(`/proc/${this.pid}/status`, 'utf8').split('\n').find((l) => l.startsWith('VmRSS'));
		return Math.round(Number(line.split(/\s+/)[1]) / 1024);
	}
}

// bench_load beside what is measured: connected devices that report at a fixed rate.
export class Load {
	#child;
	#lines;
	#failed;

	// rate: patches a second; or inflight: so many of each at any time. keys: of each patch; first: device to begin with
	static async start(hub, { conns, devices, ...more }) {
		const load = new Load();
		load.conns = conns;
		const { name, key } = await policyOf(hub, 'device');
		load.#child = spawn(generator('bench_load', hub.bin), ['--host', hub.addr, '--port', PORTS.mqtt, '--name', name,
			'--conns', conns, '--devices', devices, ...Object.entries(more).flatMap(([option, value]) => [`--${option}`, value])].map(String), { env: { ...process.env, BENCH_KEY: key }, stdio: ['pipe', 'pipe', 'inherit'] });
		load.#failed = new Promise((_, reject) => load.#child.once('close', (code) => code && reject(new Error(`bench_load ended with ${code}`))));
		load.#failed.catch(() => {});
		const kill = () => load.#child.kill('SIGKILL');
		process.on('exit', kill);
		load.#child.once('close', () => process.off('exit', kill));
		load.#lines = readline.createInterface({ input: load.#child.stdout })[Symbol.asyncIterator]();
		await load.#line();
		return load;
	}

	async #line() {
		return (await Promise.race([this.#lines.next(), this.#failed])).value;
	}

	// From now on samples belong to this section.
	section(name) {
		this.#child.stdin.write(`${name}\n`);
	}

	// {conns, errors, notifications, sections: {name: {p50_ms, p99_ms, ...}}}
	async end() {
		this.#child.stdin.end();
		const result = JSON.parse(await this.#line());
		return { ...result, sections: Object.fromEntries(result.sections.map((s) => [s.name, s])) };
	}
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export function quantile(times, share) {
	const sorted = [...times].sort((a, b) => a - b);
	return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

export const median = (times) => quantile(times, 0.5);
