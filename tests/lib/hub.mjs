// Starts real hubs for tests. Every hub has a loopback address of its own and listens on 8883 and 443
// there, because the SDKs dial these ports and no others. Everything made here goes when the process ends.
//
//   const hub = await startHub();                 a fresh hub, ready to serve
//   await hub.rest('PUT', '/devices/d1', {body})  the service API, with a token made here
//   await hub.restart(); await hub.kill(); await hub.start(); await hub.stop();
//
// Trust: the Azure service SDK takes another CA only from NODE_EXTRA_CA_CERTS, which Node reads when it starts.
// So tests/run.mjs starts each file with a data directory that already has its CA, and the first startHub()
// of the process uses it. Any other hub has a CA of its own (hub.ca, hub.pem): give it to the client.
import { spawn, spawnSync, execFile } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createHash, randomInt } from 'node:crypto';
import { restRequest } from './rest.mjs';
import { parseConnectionString, sasToken } from './sas.mjs';
import { Nodes } from './nodes.mjs';
import { secretIn } from './secrets.mjs';

export * from './mqtt.mjs';
export * from './rest.mjs';
export * from './sas.mjs';
export * from './secrets.mjs';
export * from './wait.mjs';
export * from './x509.mjs';

export const REPOSITORY = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
export const BINARY = path.resolve(REPOSITORY, process.env.TWINHUB_BIN ?? 'build/release/bin/twinhub');

const SLOW = Number(process.env.TWINHUB_TEST_SLOW ?? 1); // sanitizers: everything takes longer
const READY_MS = 60_000 * SLOW; // these are for a machine that is busy with something else
const STOP_MS = 30_000 * SLOW;
const LOG_MAX = 1 << 20; // characters of output kept per hub
const SANITIZER = /ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:/;

const run = promisify(execFile);
const dirs = new Set();
const children = new Set();

process.on('exit', () => {
	for (const child of children) child.kill('SIGKILL');
	for (const dir of dirs) fs.rmSync(dir, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(130));

// A directory that is removed when the process ends.
export function tempDir(name = 'test') {
	const dir = fs.mkdtempSync(path.join(os.tmpdir(), `twinhub-${name}-`));
	dirs.add(dir);
	return dir;
}

function listenOnce(host, port) {
	return new Promise((resolve, reject) => {
		const server = net.createServer();
		server.once('error', reject);
		server.listen({ host, port, exclusive: true }, () => server.close(() => resolve()));
	});
}

// A loopback address on which nothing listens at 8883 and 443. Drawn at random, so that test processes
// running side by side do not meet; 127.0.x.x is left to people.
export async function freeAddress(ports = [8883, 443]) {
	for (let tries = 0; tries < 50; tries++) {
		const addr = `127.${randomInt(1, 255)}.${randomInt(1, 255)}.${randomInt(2, 255)}`;
		try {
			for (const port of ports) await listenOnce(addr, port);
			return addr;
		} catch (error) {
			if (error.code === 'EACCES')
				throw new Error(`no right to listen on port ${ports.join(' or ')}: run as root, or ` +
					'`sudo sysctl net.ipv4.ip_unprivileged_port_start=443`', { cause: error });
			if (error.code !== 'EADDRINUSE') throw error;
		}
	}
	throw new Error('no free loopback address found in 50 tries');
}

// Start a hub and wait until it is ready.
//   addr    loopback address to bind; a free one if absent
//   dir     data directory; a temporary one if absent
//   args    more arguments of `twinhub serve`
//   env     more environment
//   binary  path of the program; default TWINHUB_BIN or build/release/bin/twinhub
export async function startHub(options = {}) {
	let { addr, dir } = options;
	if (!dir && process.env.TWINHUB_TEST_DIR) {
		dir = process.env.TWINHUB_TEST_DIR;
		addr ??= process.env.TWINHUB_TEST_ADDR;
		delete process.env.TWINHUB_TEST_DIR;
	}
	const hub = new Hub({ ...options, addr: addr ?? await freeAddress(), dir: dir ?? path.join(tempDir('hub'), 'data') });
	await hub.start();
	return hub;
}

// TWINHUB_TEST_POSTGRES: a server, as postgresql://USER@HOST:PORT, on which each hub gets a database of its own. What is about the store that is
// a hub's own, its files and backups, is skipped then: test('...', { skip: onPostgres }, ...).
export const onPostgres = process.env.TWINHUB_TEST_POSTGRES ? 'the data is in PostgreSQL' : false;

// Several nodes behind one address (tests/lib/nodes.mjs): what is about the one process that serves a hub is skipped then.
export const onNodes = Nodes.wanted > 1 ? 'several nodes serve the hub' : false;

// The URL of that of a data directory.
export function databaseOf(dir) {
	return `${process.env.TWINHUB_TEST_POSTGRES}/hub_${createHash('sha256').update(dir).digest('hex').slice(0, 24)}`;
}

function clusterOf(dir) {
	if (!onPostgres) return [];
	const url = databaseOf(dir);
	const made = spawnSync('psql', [`${process.env.TWINHUB_TEST_POSTGRES}/postgres`, '-qc', `CREATE DATABASE ${url.split('/').at(-1)}`], { encoding: 'utf8' });
	if (made.status !== 0 && !/already exists/.test(made.stderr)) throw new Error(`no database: ${made.stderr}`);
	return ['--cluster', url];
}

export class Hub {
	#keys = new Map();
	#child = null;
	#exit = null; // promise of {code, signal}
	#log = '';
	#asked = false; // did a test end it?
	#died = null; // how it ended, if nobody asked

	#nodes = null; // where several serve it
	#of; // the directory of the hub that it is a node of

	constructor({ addr, dir, args = [], env = {}, binary = BINARY, of = null }) {
		Object.assign(this, { addr, dir, args, env, binary });
		this.#of = of;
		this.mqttsPort = this.#port('--mqtts-port', 8883);
		this.httpsPort = this.#port('--https-port', 443);
		this.mqttPort = this.#port('--mqtt-port', null);
	}

	#port(flag, fallback) {
		const at = this.args.indexOf(flag);
		return at < 0 ? fallback : Number(this.args[at + 1]);
	}

	get ca() { return path.join(this.dir, 'ca.pem'); }
	get pem() { return fs.readFileSync(this.ca, 'utf8'); }
	get pid() { return this.#nodes?.all[0].pid ?? this.#child?.pid; }
	get logs() { return this.#nodes?.logs ?? this.#log; }
	get running() { return this.#nodes?.all.some((node) => node.running) ?? this.#child !== null; }

	// What went wrong, with what the hub said about it.
	#failure(text) {
		return new Error(`${text}\n--- ${this.binary} on ${this.addr}, data ${this.dir}, its last output:\n` +
			`${this.#log.slice(-8000) || '(none)'}\n---`);
	}

	// Several that share the hub's database, each with an address and a directory of its own, but the first one has the hub's.
	async #several() {
		const addresses = [];
		while (addresses.length < Nodes.wanted) addresses.push(await freeAddress());
		const all = addresses.map((addr, i) => new Hub({ addr, dir: i === 0 ? this.dir : `${this.dir}-node${i + 1}`, args: [...this.args, ...Nodes.args(i + 1, addresses, this)], env: this.env, binary: this.binary, of: this.dir }));
		return new Nodes(this, all);
	}

	async start() {
		if (Nodes.wanted > 1 && this.#of === null) {
			if (this.running) throw new Error('the hub runs already');
			this.#nodes ??= await this.#several();
			for (const node of this.#nodes.all) Object.assign(node, { env: this.env });
			return this.#nodes.start();
		}
		if (this.#child) throw new Error('the hub runs already');
		if (!fs.existsSync(this.binary)) throw new Error(`no ${this.binary}: build first, or set TWINHUB_BIN`);
		const child = spawn(this.binary, ['serve', '--data', this.dir, '--bind', this.addr, ...clusterOf(this.#of ?? this.dir), ...this.args], {
			env: { ...process.env, ...this.env }, stdio: ['ignore', 'pipe', 'pipe'] });
		this.#child = child;
		this.#asked = false;
		this.#died = null;
		children.add(child);
		this.#exit = new Promise((resolve) => {
			child.once('error', (error) => resolve({ code: null, signal: null, error }));
			child.once('close', (code, signal) => resolve({ code, signal }));
		}).then((end) => {
			children.delete(child);
			this.#child = null;
			if (!this.#asked) this.#died = end;
			return end;
		});
		await this.#ready(child);
	}

	async #ready(child) {
		let timer, out = '';
		const ready = new Promise((resolve) => {
			child.stderr.setEncoding('utf8').on('data', (text) => this.#keep(text));
			child.stdout.setEncoding('utf8').on('data', (text) => {
				this.#keep(text);
				out = (out + text).slice(-65536);
				if (/^twinhub ready.*\n/m.test(out)) resolve('ready');
			});
		});
		const late = new Promise((resolve) => { timer = setTimeout(resolve, READY_MS, 'late'); });
		const end = await Promise.race([ready, late, this.#exit]);
		clearTimeout(timer);
		if (end === 'ready') return;
		if (end === 'late') {
			await this.kill();
			throw this.#failure(`the hub was not ready after ${READY_MS} ms`);
		}
		const error = this.#failure(`the hub ended instead of starting (${describeEnd(end)})`);
		throw Object.assign(error, { exitCode: end.code });
	}

	#keep(text) {
		this.#log = (this.#log + text).slice(-LOG_MAX);
		if (process.env.TWINHUB_TEST_VERBOSE) process.stderr.write(text);
	}

	// What is in its --log-file.
	#file() {
		const at = this.args.indexOf('--log-file');
		return at >= 0 && fs.statSync(this.args[at + 1], { throwIfNoEntry: false })?.isFile() ? fs.readFileSync(this.args[at + 1], 'utf8') : '';
	}

	// SIGTERM; fails unless the hub ends, with code 0, no sanitizer complained, and no key or token is in its log (O-18).
	async stop() {
		if (this.#nodes) return this.#nodes.stop();
		const secret = secretIn(this.#log + this.#file(), this.dir);
		if (secret) throw this.#failure(`a secret is in the log: ${secret}`);
		const died = this.#died;
		this.#died = null;
		if (died) throw this.#failure(`the hub had ended by itself (${describeEnd(died)})`);
		if (!this.#child) return;
		const child = this.#child;
		this.#asked = true;
		child.kill('SIGTERM');
		let timer;
		const late = new Promise((resolve) => { timer = setTimeout(resolve, STOP_MS, 'late'); });
		const end = await Promise.race([this.#exit, late]);
		clearTimeout(timer);
		if (end === 'late') {
			await this.kill();
			throw this.#failure(`the hub had not stopped ${STOP_MS} ms after SIGTERM`);
		}
		if (end.code !== 0 || SANITIZER.test(this.#log)) throw this.#failure(`the hub ended badly (${describeEnd(end)})`);
	}

	// SIGKILL, as a crash does it.
	async kill() {
		if (this.#nodes) return this.#nodes.kill();
		this.#asked = true;
		this.#child?.kill('SIGKILL');
		return this.#exit;
	}

	async restart() {
		await this.stop();
		await this.start();
	}

	// Resolves to {code, signal} when the hub ends, for tests in which it is to end by itself.
	ended() {
		if (this.#nodes) return this.#nodes.ended();
		this.#asked = true;
		return this.#exit;
	}

	// Send a signal, e.g. SIGHUP to reload certificates.
	signal(name) { this.#nodes ? this.#nodes.signal(name) : this.#child?.kill(name); }

	// Run a subcommand of the program on this hub's data directory: {stdout, stderr, code}.
	async cli(args, { env = {}, timeout = 60_000 * SLOW, data = true } = {}) {
		const argv = data ? [...args, '--data', this.dir] : args;
		try {
			const { stdout, stderr } = await run(this.binary, argv, { env: { ...process.env, ...this.env, ...env }, timeout });
			return { stdout, stderr, code: 0 };
		} catch (error) {
			if (typeof error.code !== 'number') throw error;
			return { stdout: error.stdout, stderr: error.stderr, code: error.code };
		}
	}

	// The service connection string of a shared access policy.
	async connectionString(policy = 'iothubowner') {
		if (!this.#keys.has(policy)) {
			const { stdout, stderr, code } = await this.cli(['connection-string', '--policy', policy]);
			if (code !== 0) throw this.#failure(`connection-string --policy ${policy} failed with ${code}: ${stderr}`);
			this.#keys.set(policy, stdout.trim());
		}
		return this.#keys.get(policy);
	}

	// A service token for this hub. Options as sasToken(), plus policy.
	async token({ policy = 'iothubowner', ...options } = {}) {
		const { HostName, SharedAccessKey } = parseConnectionString(await this.connectionString(policy));
		return sasToken({ resource: HostName, key: SharedAccessKey, policy, ...options });
	}

	// One request to the service API, with api-version and token unless told otherwise:
	// {status, headers, body (parsed JSON, else text), text}. See restRequest() for the options.
	async rest(method, target, { policy = 'iothubowner', token, ...options } = {}) {
		const authorization = token === undefined ? await this.token({ policy }) : token;
		return restRequest({ host: this.addr, port: this.httpsPort, ca: this.pem, method, path: target, authorization, ...options });
	}

	// Create a device (keys generated by the hub unless given) and return its identity.
	async createDevice(id, identity = {}) {
		const answer = await this.rest('PUT', `/devices/${encodeURIComponent(id)}`, { body: { deviceId: id, ...identity } });
		if (answer.status !== 200) throw this.#failure(`creating ${id} failed: ${answer.status} ${answer.text}`);
		return answer.body;
	}

	// The device's connection string; the device must exist and have symmetric keys.
	async deviceConnectionString(id) {
		const answer = await this.rest('GET', `/devices/${encodeURIComponent(id)}`);
		if (answer.status !== 200) throw this.#failure(`reading ${id} failed: ${answer.status} ${answer.text}`);
		return `HostName=${this.addr};DeviceId=${id};SharedAccessKey=${answer.body.authentication.symmetricKey.primaryKey}`;
	}
}

function describeEnd({ code, signal, error }) {
	return error ? error.message : signal ? `signal ${signal}` : `exit code ${code}`;
}

// Ends every hub given, also when one of them fails; for `after()`.
export async function stopAll(...hubs) {
	const ends = await Promise.allSettled(hubs.filter(Boolean).map((hub) => hub.stop()));
	for (const end of ends) if (end.status === 'rejected') throw end.reason;
}
