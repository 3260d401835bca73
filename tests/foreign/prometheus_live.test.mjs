// A real Prometheus that scrapes a hub under load, and then in one trouble after the other: each panel of the dashboard has figures that move, each rule is
// evaluated, and the conditions of alerts become true. O-135, O-136. It takes a minute, so it runs with TWINHUB_LONG=1 (./check --long).
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import path from 'node:path';
import { freeAddress, makeCertificate, mqttDevice, RawMqtt, REPOSITORY, startHub, stopAll, tempDir, until } from '../lib/hub.mjs';
import { Receiver } from '../lib/receiver.mjs';

const missing = spawnSync('prometheus', ['--version']).error && 'prometheus is not installed: apt-get install prometheus (scripts/setup --test)';
if (missing) console.error(`NOT TESTED, ${missing}`);
const skip = missing || (!process.env.TWINHUB_LONG && 'it takes a minute: TWINHUB_LONG=1');

const DEVICES = 20, WEBSOCKETS = 4, ROOM = 256 << 20, FLOOR = 24 << 20, CONNECTIONS = 80;
const scratch = tempDir('live');
const mount = path.join(scratch, 'disk'), ballast = path.join(mount, 'ballast'), sinks = path.join(scratch, 'sinks');
const panels = JSON.parse(fs.readFileSync(path.join(REPOSITORY, 'deploy/grafana/twinhub.json'), 'utf8')).panels.filter((one) => one.type !== 'row');
// What stands still unless a disk, RocksDB or a reader of the log is in a trouble that is not made here.
const STILL = /stall_seconds|events_dropped|log_lines_dropped|open_files_max|memtables_waiting|flushes_running|compactions_running/;

let hub, other, prometheus, mounted = false, load;

// ---- Prometheus ----

class Prometheus {
	async start(targets) {
		const file = path.join(scratch, 'prometheus.yml');
		const address = await freeAddress([9090]);
		fs.writeFileSync(file, JSON.stringify({ global: { scrape_interval: '1s', evaluation_interval: '1s' }, rule_files: [path.join(REPOSITORY, 'deploy/prometheus/alerts.yml')],
			scrape_configs: [{ job_name: 'twinhub', static_configs: [{ targets }] }] }));
		this.base = `http://${address}:9090`;
		this.child = spawn('prometheus', [`--config.file=${file}`, `--storage.tsdb.path=${path.join(scratch, 'tsdb')}`, `--web.listen-address=${address}:9090`, '--log.level=warn'],
			{ stdio: ['ignore', 'ignore', 'pipe'] });
		this.child.stderr.setEncoding('utf8').on('data', (text) => { this.errors = ((this.errors ?? '') + text).slice(-4000); });
		await until(async () => (await this.get('/-/ready').catch(() => ({}))).status === 200, `Prometheus is ready ${this.errors ?? ''}`);
		return this;
	}

	get(target) {
		return new Promise((resolve, reject) => {
			http.get(this.base + target, { agent: false }, (answer) => {
				let text = '';
				answer.setEncoding('utf8').on('data', (part) => { text += part; }).on('end', () => resolve({ status: answer.statusCode, text }));
			}).on('error', reject);
		});
	}

	async api(what, parameters = {}) {
		const { status, text } = await this.get(`/api/v1/${what}?${new URLSearchParams(parameters)}`);
		assert.equal(status, 200, `${JSON.stringify(parameters)}: ${text}`);
		return JSON.parse(text).data;
	}

	async rules() { return (await this.api('rules')).groups.flatMap((group) => group.rules); }

	// The alert's condition is true, whatever its `for` says.
	async becomesTrue(alert) {
		const { query } = (await this.rules()).find((rule) => rule.name === alert);
		await until(async () => (await this.api('query', { query })).result.length > 0, `${alert} is true: ${query}`, { pauseMs: 300 });
	}

	stop() {
		return new Promise((resolve) => {
			this.child.once('close', resolve);
			this.child.kill('SIGTERM');
		});
	}
}

// ---- load ----

const ok = (answer) => { assert.ok(answer.status < 300, answer.text); return answer; };
const put = async (target, body) => ok(await hub.rest('PUT', target, { body }));

// What runs over and over until stop(); an error of a hub that is in trouble ends nothing.
class Load {
	running = true;
	loops = [];
	sockets = new Set();

	over(round) {
		this.loops.push((async () => {
			for (let n = 0; this.running; n++) {
				await Promise.resolve(round(n)).catch(() => {});
				await new Promise((resolve) => setTimeout(resolve, 10));
			}
		})());
	}

	async device(id, options) {
		let client;
		this.over(async (n) => {
			if (!client || client.isClosed) client = await mqttDevice(hub, id, options);
			this.sockets.add(client);
			await client.report({ n, text: 'x'.repeat(n % 50) });
			await client.publish(`devices/${id}/messages/events/`, JSON.stringify({ n }), { qos: 1 });
			await new Promise((resolve) => setTimeout(resolve, 50));
		});
	}

	// A stream that stays open: events as they happen, a live query.
	stream(method, target, body) {
		this.over(async () => {
			const authorization = await hub.token();
			await new Promise((resolve) => {
				const request = https.request({ host: hub.addr, method, path: target, ca: hub.pem, agent: false, headers: { authorization, 'content-type': 'application/json' } }, (answer) => {
					answer.resume().on('close', resolve);
				});
				request.on('error', resolve).end(body && JSON.stringify(body));
				setTimeout(() => request.destroy(), 4000);
			});
			await new Promise((resolve) => setTimeout(resolve, 1000));
		});
	}

	async stop() {
		this.running = false;
		for (const socket of this.sockets) socket.destroy();
		await Promise.all(this.loops);
	}
}

async function everything() {
	const name = (n) => `p${n % DEVICES}`;
	load = new Load();
	for (let i = 0; i < DEVICES; i++) await load.device(`p${i}`);
	for (let i = 0; i < WEBSOCKETS; i++) await load.device(`w${i}`, { ws: true });
	load.over(async (n) => { await hub.rest('PATCH', `/twins/${name(n)}`, { body: { tags: { n, hall: n % 7 }, properties: { desired: { n } } } }); });
	load.over(async (n) => { await hub.rest('GET', n % 3 ? `/twins/${name(n)}` : '/twins/nobody'); });
	load.over(async (n) => { await hub.rest('POST', '/devices/query', { body: { query: [`SELECT * FROM devices WHERE deviceId = '${name(n)}'`, 'SELECT tags.hall, COUNT() AS n FROM devices GROUP BY tags.hall',
		`SELECT deviceId FROM devices WHERE tags.n > ${n} AND lastActivityTime > '0'`][n % 3] } }); });
	load.over(async (n) => { await hub.rest('POST', `/devices/${name(n)}/messages/deviceBound`, { body: 'a message', headers: { 'iothub-ack': 'full' } }); });
	load.over(async (n) => { // devices that come and go, are disabled, are refused
		const { body } = await hub.rest('PUT', `/devices/g${n}`, { body: { deviceId: `g${n}`, status: n % 2 ? 'disabled' : 'enabled' } });
		const client = await mqttDevice(hub, `g${n}`, { key: n % 3 ? body.authentication.symmetricKey.primaryKey : 'd3Jvbmc=' });
		if (n % 2) client.destroy(); else await client.disconnect();
	});
	load.over(async (n) => { // a call that nobody answers
		await hub.rest('POST', '/twins/p0/methods', { body: { methodName: 'm', responseTimeoutInSeconds: 5, connectTimeoutInSeconds: n % 2 } });
	});
	load.over(async (n) => { // jobs, configurations
		await hub.rest('PUT', `/jobs/v2/job${n}`, { body: { jobId: `job${n}`, type: 'scheduleUpdateTwin', queryCondition: '*', updateTwin: { etag: '*', tags: { job: n } } } });
		await hub.rest('PUT', `/configurations/c${n % 5}`, { body: { id: `c${n % 5}`, targetCondition: '*', priority: n, content: { deviceContent: { [`properties.desired.c${n % 5}`]: n } } }, headers: { 'If-Match': '*' } });
		if (n % 5 === 4) await hub.rest('DELETE', '/configurations/c0', { headers: { 'If-Match': '*' } });
		await new Promise((resolve) => setTimeout(resolve, 500));
	});
	load.stream('GET', '/events?api-version=2021-04-12');
	load.stream('POST', '/devices/query/watch?api-version=2021-04-12', { query: 'SELECT * FROM devices WHERE tags.hall = 3' });
}

// ---- the tests ----

function fillUp(leave) {
	const { bavail, bsize } = fs.statfsSync(mount);
	const size = fs.existsSync(ballast) ? fs.statSync(ballast).size : 0;
	execFileSync('fallocate', ['-l', String(Math.max(4096, size + bavail * bsize - leave)), ballast]);
}
const makeRoom = () => fs.rmSync(ballast, { force: true });
const works = () => until(async () => (await hub.rest('PATCH', '/twins/p1', { body: { tags: { probe: 1 } } }).catch(() => ({}))).status === 200, 'changes are taken');

let receiver;
before(async () => {
	if (skip) return;
	delete process.env.TWINHUB_TEST_DIR;
	for (const dir of [mount, sinks]) fs.mkdirSync(dir);
	execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${ROOM}`, 'tmpfs', mount]);
	mounted = true;
	hub = await startHub({ dir: path.join(mount, 'data'), args: ['--free-space', String(FLOOR), '--memory', '64M', '--max-connections', String(CONNECTIONS), '--max-connections-per-address', String(CONNECTIONS),
		'--sink-dir', sinks, '--sink-allow', '127.0.0.0/8', '--scrub-rate', '4M'] });
	const addr = await freeAddress();
	const ends = [2, 10].map((days) => makeCertificate({ dir: scratch, cn: `ends in ${days} days`, ca: days === 10, san: `IP:${addr}`, days }));
	other = await startHub({ addr, dir: path.join(scratch, 'other'), args: ['--cert', ends[0].chainFile, '--key', ends[0].keyFile, '--client-ca', ends[1].certFile] });
	prometheus = await new Prometheus().start([`${hub.addr}:9464`, `${other.addr}:9464`]);
	receiver = await new Receiver().start(hub.dir, hub.addr);
});
after(async () => {
	await load?.stop();
	await prometheus?.stop();
	receiver?.stop();
	makeRoom();
	try {
		await stopAll(hub, other);
	} finally {
		if (mounted) execFileSync('umount', ['-l', mount]);
	}
});

test('O-135 O-136 under load and in trouble panels have figures that move, rules are evaluated, conditions become true', { skip }, async (t) => {
	const from = Date.now() / 1000;
	await put('/sinks/file', { kind: 'file', path: 'all.ndjson' });
	for (const source of ['DeviceMessages', 'TwinChangeEvents']) await put(`/routes/file-${source}`, { source, endpointNames: ['file'] });
	await everything();
	await new Promise((resolve) => setTimeout(resolve, 12_000));

	const provoke = (alert, how) => t.test(`O-135 ${alert} on a real hub`, async () => {
		await how();
		await prometheus.becomesTrue(alert);
	});
	await provoke('TwinhubCertificateEnds', () => {});
	await provoke('TwinhubCertificateEndsSoon', () => {});
	await provoke('TwinhubDescriptorsFull', async () => {
		execFileSync('prlimit', ['--pid', String(other.pid), `--nofile=${Math.floor(fs.readdirSync(`/proc/${other.pid}/fd`).length / 0.92)}:`]);
	});
	execFileSync('prlimit', ['--pid', String(other.pid), '--nofile=1024:']);
	const strace = spawn('strace', ['-f', '-qq', '-e', 'trace=fdatasync', '-e', 'inject=fdatasync:delay_enter=700000', '-o', path.join(scratch, 'strace'), '-p', String(other.pid)]);
	await provoke('TwinhubFsyncSlow', async () => {
		await new Promise((resolve) => setTimeout(resolve, 1000));
		for (let i = 0; i < 4; i++) assert.equal((await other.cli(['device', 'create', `slow${i}`])).code, 0);
	});
	strace.kill('SIGINT');
	await provoke('TwinhubSinkFailing', async () => {
		await put('/sinks/nobody', { kind: 'webhook', url: `https://${hub.addr}:1/`, ca: hub.pem });
		await put('/routes/nobody', { source: 'DeviceMessages', endpointNames: ['nobody'] });
	});
	await provoke('TwinhubSinkGivesUp', async () => {
		receiver.answer = () => 413; // each batch is too large, and in the end each event
		await put('/sinks/refuses', { kind: 'webhook', url: receiver.url, ca: hub.pem });
		await put('/routes/refuses', { source: 'DeviceMessages', endpointNames: ['refuses'] });
	});
	await provoke('TwinhubRolloutHalted', async () => {
		await hub.rest('PATCH', '/twins/p2', { body: { tags: { waves: true } } });
		await put('/configurations/waves', { id: 'waves', targetCondition: 'tags.waves = true', content: { deviceContent: { 'properties.desired.fw': 2 } },
			rollout: { waves: [{ count: 1, successQuery: 'properties.reported.fw = 2' }, { percent: 100 }] } });
		ok(await hub.rest('POST', '/configurations/waves/rollout/halt'));
	});
	await provoke('TwinhubMessagesUndelivered', async () => {
		const headers = { 'iothub-ack': 'negative', 'iothub-expiry': new Date(Date.now() + 10_000).toISOString() };
		for (let i = 0; i < 120; i++) {
			if (i % 40 === 0) await hub.createDevice(`away${i}`);
			ok(await hub.rest('POST', `/devices/away${i - i % 40}/messages/deviceBound`, { body: 'too late', headers }));
		}
	});
	await provoke('TwinhubConnectsRefused', async () => {
		for (let i = 0; i < 400; i++) await mqttDevice(hub, 'p3', { key: 'd3Jvbmc=' }).then(() => assert.fail('it was accepted'), () => {});
	});
	await provoke('TwinhubFlapping', async () => {
		await hub.createDevice('flaps');
		for (let i = 0; i < 120; i++) (await mqttDevice(hub, 'flaps', { filters: [] })).destroy();
	});
	const many = [];
	await provoke('TwinhubConnectionsFull', async () => {
		while (many.length < CONNECTIONS) many.push(await RawMqtt.open(hub).catch(() => null));
	});
	for (const one of many) one?.destroy();
	await provoke('TwinhubDiskFilling', async () => {
		for (const megabytes of [180, 165, 150, 135]) {
			fillUp(megabytes << 20);
			await new Promise((resolve) => setTimeout(resolve, 1100));
		}
	});
	await provoke('TwinhubDiskNearlyFull', () => fillUp(3 * FLOOR));
	await provoke('TwinhubDiskFull', () => fillUp(8 << 20));
	makeRoom();
	await works();
	// as a disk that is plugged out, and in again
	const store = path.join(hub.dir, 'store'), away = path.join(hub.dir, 'away');
	await provoke('TwinhubStoreFailed', () => fs.renameSync(store, away));
	await provoke('TwinhubCommitsFailed', async () => {
		fs.rmSync(store, { recursive: true, force: true });
		fs.renameSync(away, store);
		await works();
	});
	await provoke('TwinhubDown', () => hub.kill());
	await provoke('TwinhubRestarts', async () => {
		for (let i = 0; i < 3; i++) {
			if (!hub.running) await hub.start();
			await new Promise((resolve) => setTimeout(resolve, 2500));
			if (i < 2) await hub.kill();
		}
	});
	await provoke('TwinhubDamagedFiles', async () => {
		await hub.kill();
		const tables = fs.readdirSync(hub.dir, { recursive: true }).map(String).filter((name) => name.endsWith('.sst')).map((name) => path.join(hub.dir, name));
		assert.ok(tables.length > 0);
		const fd = fs.openSync(tables.sort((a, b) => fs.statSync(b).size - fs.statSync(a).size)[0], 'r+');
		const byte = Buffer.alloc(1);
		fs.readSync(fd, byte, 0, 1, 100);
		byte[0] ^= 0x10;
		fs.writeSync(fd, byte, 0, 1, 100);
		fs.closeSync(fd);
		await hub.start();
	});

	await t.test('O-135 every rule is evaluated without an error', async () => {
		for (const rule of await prometheus.rules()) assert.deepEqual([rule.name, rule.health, rule.lastError ?? ''], [rule.name, 'ok', '']);
	});

	await t.test("O-136 each panel's expression has figures that move", async () => {
		const still = [];
		for (const { title, targets } of panels) {
			let moving = 0;
			for (const { expr } of targets) {
				const query = expr.replaceAll('$instance', '.*').replaceAll('$__rate_interval', '5s');
				const { result } = await prometheus.api('query_range', { query, start: from, end: Date.now() / 1000, step: 1 });
				assert.ok(result.length > 0, `${title}: ${query} has no figure`);
				const moves = result.some(({ values }) => new Set(values.map(([, value]) => value)).size > 1);
				moving += moves;
				if (!moves && !STILL.test(expr)) still.push(`${title}: ${query} stands still at ${result[0].values[0][1]}`);
			}
			if (moving === 0) still.push(`${title}: nothing of it moves`);
		}
		assert.deepEqual(still, []);
	});
});
