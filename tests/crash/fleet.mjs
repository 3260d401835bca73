// A fleet under load that keeps its own books: what each client has sent, what the hub has acknowledged, what it has
// shown to readers. After a crash, verify() compares the hub with the books:
//
//   acknowledged          must be there, exactly once, whole
//   sent, not answered    may be there or not, but whole or not at all
//   shown to a reader     must be there: reads show only what is durable
//
// With `events`, the event log is held against the same books (events.mjs).
//
// Everything random comes from one seed.
import assert from 'node:assert/strict';
import https from 'node:https';
import { randomUUID } from 'node:crypto';
import mqtt from 'mqtt';
import { EventBooks } from './events.mjs';
import { mqttUsername, sasToken, within, TWIN_RESPONSES, DESIRED_CHANGES } from '../lib/hub.mjs';

const SLOW = Number(process.env.TWINHUB_TEST_SLOW ?? 1);
const WINDOW = 4; // reported patches in flight per device
const TRACE = 12; // how many patches leave their mark in a document
const IDENTITIES = 100; // that a registrar keeps at most: all are listed in one answer
const ANSWER_MS = 60_000 * SLOW;

// mulberry32: small, seedable, good enough to choose moments
export function randomFrom(seed) {
	let state = seed >>> 0;
	return () => {
		state = (state + 0x6d2b79f5) >>> 0;
		let t = Math.imul(state ^ (state >>> 15), state | 1);
		t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
		return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
	};
}

// The seed of this run: TWINHUB_SEED, or a new one; printed, so that a failure can be repeated.
export function chooseSeed(name) {
	const seed = Number(process.env.TWINHUB_SEED ?? Date.now() % 1_000_000_007);
	console.log(`# ${name}: TWINHUB_SEED=${seed}`);
	return seed;
}

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);

// Merge as twins.md 4.2 says, into a copy.
export function merge(target, patch) {
	const out = { ...target };
	for (const [key, value] of Object.entries(patch)) {
		if (value === null) delete out[key];
		else if (isObject(value)) out[key] = merge(isObject(out[key]) ? out[key] : {}, value);
		else out[key] = value;
	}
	return out;
}

// The nth change: scalars, a nested object, an array, a deletion, and a mark of its own that later ones remove.
function change(n, random) {
	const patch = { seq: n, [`mark${n}`]: n, [`mark${n - TRACE}`]: null, state: { even: n % 2 === 0, [`slot${n % 5}`]: random() },
		list: [n, { n }, `text ${n}`], [`gone${n % 3}`]: n % 2 ? null : { n } };
	if (n % 10 === 0) patch.filler = 'x'.repeat(Math.floor(random() * 2000));
	return patch;
}

const plain = (section) => {
	const { $metadata, $version, ...rest } = section ?? {};
	return rest;
};
const etagCounter = (etag) => Number(Buffer.from(etag, 'base64').readBigUInt64BE());

// One device: reports over MQTT with a window, on a durable session that it subscribes on once only.
class Device {
	constructor(fleet, id, key) {
		Object.assign(this, { fleet, id, key, n: 0, base: {}, version: 1, sent: [], subscribed: false, shownSeq: 0, notified: 0, reports: 0, messages: [] });
		this.random = fleet.fork();
	}

	async run() {
		const { hub } = this.fleet;
		this.waiting = new Map();
		this.linked = true;
		this.client = mqtt.connect({ protocol: 'mqtts', host: hub.addr, port: hub.mqttsPort, ca: hub.pem, clientId: this.id, clean: false,
			username: mqttUsername(hub.addr, this.id), password: sasToken({ resource: `${hub.addr}/devices/${this.id}`, key: this.key }),
			reconnectPeriod: 0, connectTimeout: ANSWER_MS, resubscribe: false, keepalive: 60 });
		const ended = new Promise((_, reject) => {
			this.client.on('error', (error) => { this.why = error; });
			this.client.once('close', () => reject(this.why ?? new Error(`${this.id}: connection closed`)));
		});
		ended.catch((error) => {
			this.linked = false;
			for (const { reject } of this.waiting.values()) reject(error);
		});
		this.client.on('message', (topic, payload) => this.#arrived(topic, payload));
		const connack = await Promise.race([new Promise((resolve) => this.client.once('connect', resolve)), ended]);
		if (this.subscribed) assert.equal(connack.sessionPresent, true, `${this.id}: the durable session has been lost`);
		else await Promise.race([this.#subscribe(), ended]);
		await Promise.race([Promise.all(Array.from({ length: WINDOW }, () => this.#reportOn())), ended]);
		this.client.removeAllListeners('close').end(true);
	}

	async #subscribe() {
		await within(new Promise((resolve, reject) => this.client.subscribe([TWIN_RESPONSES, DESIRED_CHANGES], (error) => (error ? reject(error) : resolve()))), 'SUBACK', ANSWER_MS);
		this.subscribed = true;
	}

	#arrived(topic, payload) {
		const [, version] = /properties\/desired\/\?\$version=(\d+)/.exec(topic) ?? [];
		if (version) {
			this.notified = Math.max(this.notified, Number(version));
			return;
		}
		const [, status, rid, now] = /res\/(\d+)\/\?\$rid=(\d+)(?:&\$version=(\d+))?/.exec(topic);
		this.waiting.get(Number(rid))?.resolve({ status: Number(status), version: Number(now), payload });
		this.waiting.delete(Number(rid));
	}

	async #reportOn() {
		while (this.fleet.running && this.linked) {
			const n = ++this.n;
			const entry = { n, patch: change(n, this.random), acknowledged: false };
			this.sent.push(entry);
			const answer = new Promise((resolve, reject) => this.waiting.set(n, { resolve, reject }));
			this.client.publish(`$iothub/twin/PATCH/properties/reported/?$rid=${n}`, JSON.stringify(entry.patch), { qos: n % 2 });
			if (n % 7 === 0 && !this.fleet.mayRefuse) this.#telemetry(n); // refused telemetry ends the connection
			this.#judge(entry, await within(answer, `${this.id}: the answer to report ${n}`, ANSWER_MS));
			if (entry.refused) await new Promise((resolve) => setTimeout(resolve, 20));
		}
	}

	#telemetry(n) {
		const message = { n, acknowledged: false };
		this.messages.push(message);
		this.client.publish(`devices/${this.id}/messages/events/%24.mid=${n}`, JSON.stringify({ n }), { qos: 1 }, (error) => { message.acknowledged = !error; });
	}

	#judge(entry, { status, version, payload }) {
		if (status === 204) {
			entry.acknowledged = true;
			entry.version = version;
			this.reports++;
			this.fleet.acknowledged++;
		} else if (status === 503 && this.fleet.mayRefuse) {
			assert.equal(JSON.parse(payload).errorCode, 503001);
			entry.refused = true;
			this.fleet.refused++;
		} else {
			throw new Error(`${this.id}: report ${entry.n} was answered ${status} ${payload}`);
		}
	}

	verify(twin) {
		const actual = plain(twin.properties.reported);
		const applied = this.sent.filter((e) => e.acknowledged || actual[`mark${e.n}`] === e.n);
		const surprise = applied.filter((e) => e.refused);
		if (!this.fleet.afterCrash) assert.deepEqual(surprise.map((e) => e.n), [], `${this.id}: refused reports are visible`);
		let expected = this.base, version = this.version;
		for (const entry of applied) {
			expected = merge(expected, entry.patch);
			version++;
			if (entry.acknowledged) assert.equal(entry.version, version, `${this.id}: $version in the 204 of report ${entry.n}`);
		}
		assert.deepEqual(actual, expected, `${this.id}: reported`);
		assert.equal(twin.properties.reported.$version, version, `${this.id}: reported.$version`);
		assert.ok((actual.seq ?? 0) >= this.shownSeq, `${this.id}: seq ${actual.seq} after ${this.shownSeq} had been shown`);
		assert.ok(twin.properties.desired.$version >= this.notified, `${this.id}: desired.$version ${twin.properties.desired.$version} after ${this.notified} had been notified`);
		this.fleet.events?.verifyDevice(this.id, twin, applied.filter((e) => e.acknowledged), this.messages);
		Object.assign(this, { base: actual, version, sent: [], messages: [], shownSeq: 0, notified: 0 });
	}
}

// One back end that changes the wanted side of one twin, one request at a time.
class Operator {
	constructor(fleet, id) {
		Object.assign(this, { fleet, id, n: 0, state: { tags: {}, desired: {}, E: 1, version: 1 }, open: [], writes: 0 });
		this.random = fleet.fork();
	}

	async run() {
		while (this.fleet.running) {
			const n = ++this.n;
			const [method, body, after] = this.#next(n);
			this.open.push(after);
			const answer = await this.fleet.rest(method, `/twins/${this.id}`, { body });
			if (answer.status === 200) {
				this.open = [];
				this.state = after;
				this.writes++;
				this.fleet.acknowledged++;
				this.#compare(answer.body, after, `${this.id}: the answer to ${method} ${n}`);
			} else if (answer.status === 503 && this.fleet.mayRefuse) {
				this.fleet.refused++;
				this.open = [];
				this.ghost = after;
				await new Promise((resolve) => setTimeout(resolve, 20));
			} else {
				throw new Error(`${method} ${this.id}: ${answer.status} ${answer.text}`);
			}
		}
	}

	#next(n) {
		const { tags, desired, E, version } = this.state;
		if (n % 13 === 0) {
			const body = { tags: { seq: n }, properties: { desired: { seq: n, whole: { n } } } };
			return ['PUT', body, { tags: body.tags, desired: body.properties.desired, E: E + 1, version: version + 1 }];
		}
		const withTags = n % 3 !== 0, withDesired = n % 3 !== 1;
		const body = {};
		if (withTags) body.tags = { seq: n, [`t${n % 4}`]: n % 2 ? null : `tag ${n}` };
		if (withDesired) body.properties = { desired: change(n, this.random) };
		return ['PATCH', body, { tags: withTags ? merge(tags, body.tags) : tags, desired: withDesired ? merge(desired, body.properties.desired) : desired,
			E: E + 1, version: version + (withDesired ? 1 : 0) }];
	}

	#compare(twin, state, what) {
		assert.deepEqual({ tags: twin.tags ?? {}, desired: plain(twin.properties.desired), E: etagCounter(twin.etag), version: twin.properties.desired.$version },
			state, what);
		assert.equal(twin.version, state.E + twin.properties.reported.$version, `${what}: version is the sum (T-18)`);
	}

	verify(twin) {
		const E = etagCounter(twin.etag);
		const candidates = [this.state, ...this.open, ...(this.fleet.afterCrash && this.ghost ? [this.ghost] : [])];
		const mine = candidates.find((state) => state.E === E && state.tags.seq === twin.tags?.seq && state.desired.seq === twin.properties.desired.seq) ?? this.state;
		this.#compare(twin, mine, `${this.id}: wanted, after ${this.writes} acknowledged writes`);
		Object.assign(this, { state: mine, open: [], ghost: null });
	}
}

// One registrar that creates, changes and deletes identities of its own.
class Registrar {
	constructor(fleet, name) {
		Object.assign(this, { fleet, name, n: 0, there: new Map(), open: [], writes: 0 });
		this.random = fleet.fork();
	}

	async run() {
		while (this.fleet.running) {
			const ids = [...this.there.keys()];
			const dice = this.random();
			if (ids.length < 5 || (dice < 0.5 && ids.length < IDENTITIES)) await this.#write('PUT', `${this.name}-${++this.n}`, {});
			else if (dice > 0.75) await this.#write('PUT', ids[Math.floor(this.random() * ids.length)], { 'If-Match': '*' });
			else await this.#write('DELETE', ids[Math.floor(this.random() * ids.length)], { 'If-Match': '*' });
		}
	}

	async #write(method, id, headers) {
		const body = method === 'PUT' ? { deviceId: id, statusReason: randomUUID() } : undefined;
		this.open.push({ method, id, body });
		const answer = await this.fleet.rest(method, `/devices/${id}`, { body, headers });
		if (answer.status === 503 && this.fleet.mayRefuse) {
			this.fleet.refused++;
			if (!this.fleet.mayReappear) this.open = [];
			await new Promise((resolve) => setTimeout(resolve, 20));
			return;
		}
		if (answer.status !== 200 && answer.status !== 204) throw new Error(`${method} ${id}: ${answer.status} ${answer.text}`);
		this.open = this.open.filter((o) => o.id !== id);
		if (method === 'PUT') this.there.set(id, answer.body);
		else this.there.delete(id);
		this.writes++;
		this.fleet.acknowledged++;
	}

	async verify() {
		const list = await this.fleet.list(`${this.name}-`);
		for (const { method, id, body } of this.open) {
			const now = list.get(id);
			if (method === 'DELETE' && now === undefined) this.there.delete(id);
			if (method === 'PUT' && now?.statusReason === body.statusReason) this.there.set(id, now);
		}
		this.open = [];
		assert.deepEqual([...list.keys()].sort(), [...this.there.keys()].sort(), `${this.name}: identities`);
		for (const [id, was] of this.there) {
			const now = list.get(id);
			for (const member of ['etag', 'generationId', 'statusReason', 'authentication']) assert.deepEqual(now[member], was[member], `${id}: ${member}`);
		}
		this.fleet.events?.verifyIdentities(`${this.name}-`, this.there.keys());
		for (const id of [...this.there.keys()].slice(0, 3)) assert.equal((await this.fleet.rest('GET', `/twins/${id}`)).status, 200, `the twin of ${id}`);
	}
}

// A reader: what it has seen must not be taken back.
class Reader {
	constructor(fleet) { Object.assign(this, { fleet, reads: 0 }); }

	async run() {
		while (this.fleet.running) {
			const sql = `SELECT deviceId, properties.reported.seq AS seq FROM devices WHERE STARTSWITH(deviceId, '${this.fleet.prefix}device')`;
			const answer = await this.#read('POST', '/devices/query', { body: { query: sql }, headers: { 'x-ms-max-item-count': '1000' } });
			for (const { deviceId, seq } of answer?.body ?? []) this.#saw(deviceId, seq);
			for (const device of this.fleet.devices) {
				const twin = await this.#read('GET', `/twins/${device.id}`);
				if (twin) this.#saw(device.id, twin.body.properties.reported.seq);
			}
			if (!this.refused) this.reads++;
			this.refused = false;
		}
	}

	// A read that waits behind a commit shares its fate, so one may be refused in the moment of a failure.
	async #read(method, path, options) {
		const answer = await this.fleet.rest(method, path, options);
		if (answer.status === 200) return answer;
		if (answer.status !== 503 || !this.fleet.mayRefuse) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
		await new Promise((resolve) => setTimeout(resolve, 20));
		this.refused = true;
		return null;
	}

	#saw(id, seq = 0) {
		const device = this.fleet.devices.find((d) => d.id === id);
		device.shownSeq = Math.max(device.shownSeq, seq);
	}
}

export class Fleet {
	constructor(hub, { seed = 1, prefix = '', devices = 6, operators = 3, registrars = 2, readers = 1, events = false } = {}) {
		Object.assign(this, { hub, prefix, size: { devices, operators, registrars, readers }, acknowledged: 0, refused: 0, running: false, mayRefuse: false,
			mayReappear: false, afterCrash: false });
		this.random = randomFrom(seed);
		this.events = events ? new EventBooks(this) : null;
	}

	fork() { return randomFrom(Math.floor(this.random() * 2 ** 32)); }
	rest(method, path, options = {}) { return this.hub.rest(method, path, { agent: this.agent, timeoutMs: ANSWER_MS, ...options }); }

	// The identities whose id begins so, by id.
	async list(prefix) {
		const answer = await this.rest('GET', '/devices?top=1000');
		assert.equal(answer.status, 200);
		return new Map(answer.body.filter((d) => d.deviceId.startsWith(prefix)).map((d) => [d.deviceId, d]));
	}

	async prepare() {
		this.agent = new https.Agent({ keepAlive: true });
		this.devices = [];
		this.strangers = (await this.list('')).size; // identities that others have made
		for (let i = 0; i < this.size.devices; i++) {
			const identity = await this.hub.createDevice(`${this.prefix}device${i}`);
			this.devices.push(new Device(this, identity.deviceId, identity.authentication.symmetricKey.primaryKey));
		}
		this.operators = this.devices.slice(0, this.size.operators).map((device) => new Operator(this, device.id));
		this.registrars = Array.from({ length: this.size.registrars }, (_, i) => new Registrar(this, `${this.prefix}made${i}`));
		this.readers = Array.from({ length: this.size.readers }, () => new Reader(this));
	}

	// Start all clients. A client that fails while the hub is meant to serve makes `failed` reject.
	start() {
		this.events?.listen();
		this.running = true;
		this.dying = false;
		this.agent.destroy();
		this.agent = new https.Agent({ keepAlive: true });
		const all = [...this.devices, ...this.operators, ...this.registrars, ...this.readers];
		this.failed = new Promise((_, reject) => { this.onFailure = reject; });
		this.failed.catch(() => {});
		this.loops = all.map((one) => one.run().catch((error) => {
			if (error.code === 'ERR_ASSERTION' || !this.dying) this.failure ??= error;
			if (this.failure) this.onFailure(this.failure);
		}));
	}

	// Let the load run for some time, or until `test` says it is enough.
	async during(ms, test = () => false) {
		const end = Date.now() + ms;
		while (Date.now() < end && !test() && !this.failure) await Promise.race([new Promise((resolve) => setTimeout(resolve, 5)), this.failed.catch(() => {})]);
		if (this.failure) throw this.failure;
	}

	// Finish what is in hand and stop.
	async stop() {
		this.running = false;
		await within(Promise.all(this.loops), 'all clients to finish', ANSWER_MS);
		if (this.failure) throw this.failure;
	}

	// SIGKILL under full load; every client notices by itself.
	async crash() {
		this.dying = true;
		await this.hub.kill();
		this.running = false;
		await within(Promise.all(this.loops), 'all clients to notice', ANSWER_MS);
		for (const device of this.devices) device.client?.end(true);
		if (this.failure) throw this.failure;
		this.afterCrash = true;
	}

	async verify() {
		await this.events?.read();
		for (const device of this.devices) {
			const answer = await this.rest('GET', `/twins/${device.id}`);
			assert.equal(answer.status, 200, `the twin of ${device.id}: ${answer.text}`);
			device.verify(answer.body);
			this.operators.find((o) => o.id === device.id)?.verify(answer.body);
		}
		for (const registrar of this.registrars) await registrar.verify();
		await this.#verifyQuery();
		this.afterCrash = false;
	}

	async #verifyQuery() {
		const answer = await this.rest('POST', '/devices/query', { body: { query: 'SELECT COUNT() AS n FROM devices' } });
		const known = this.strangers + this.devices.length + this.registrars.reduce((n, r) => n + r.there.size, 0);
		assert.equal(answer.status, 200, answer.text);
		assert.equal(answer.body[0].n, known, 'the query counts the identities that are there');
	}

	close() {
		for (const device of this.devices ?? []) device.client?.end(true);
		this.agent?.destroy();
	}
}
