// The clients: devices over MQTT, back ends over HTTP, a reader of the log; each writes into the history what it does and what it is told.
// A client that is refused or cut off tries again, at the next node.
import https from 'node:https';
import { randomFrom } from '../crash/fleet.mjs';
import { DESIRED_CHANGES, RawMqtt, TWIN_RESPONSES, deviceLogin, restRequest, sasToken, parseConnectionString } from '../lib/hub.mjs';
import { within } from '../lib/wait.mjs';

const PATIENCE_MS = 5000; // for an answer; then it is unknown, and the connection is given up
const TTL = 10 * 3600; // of tokens: a clock that is stepped does not end them

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
export const etagCounter = (etag) => Number(Buffer.from(etag, 'base64').readBigUInt64BE());

class Client {
	constructor(fleet, name) {
		Object.assign(this, { fleet, name, history: fleet.history, random: randomFrom(Math.floor(fleet.random() * 2 ** 32)), at: 0 });
	}

	get node() { return this.fleet.nodes[this.at % this.fleet.nodes.length]; }
	next() { this.at++; }
	pause() { return sleep(100 + this.random() * 200); }
}

// Stays connected when it is told to stop: what it has been told by then, is checked.
class Device extends Client {
	async run() {
		while (this.fleet.busy)
			try {
				if (!this.link) await this.#connect();
				while (this.fleet.busy && this.link) await this.#work(this.link);
				if (this.fleet.busy) await this.pause();
			} catch (error) {
				this.why = error;
				this.close();
				this.next();
				await this.pause();
			}
	}

	close() {
		if (this.session) this.session.closed = true;
		this.session = null;
		this.link?.destroy();
		this.link = null;
	}

	async #connect() {
		const { hub } = this.node;
		const link = this.link = await within(RawMqtt.open(hub, { ca: this.fleet.pem }), 'a connection', PATIENCE_MS);
		link.ended.then(() => { if (this.link === link) this.close(); }, () => {});
		const session = { twin: this.name, base: null, notes: [], closed: false };
		this.#listen(link, session);
		const { code } = await within(link.connect(deviceLogin(hub, this.name, this.key, { clean: true, password: sasToken({ resource: `${hub.addr}/devices/${this.name}`, key: this.key, ttl: TTL }) })),
			'CONNACK', PATIENCE_MS);
		if (code !== 0) throw new Error(`CONNECT was answered ${code}`);
		await within(link.subscribe(TWIN_RESPONSES, DESIRED_CHANGES), 'SUBACK', PATIENCE_MS);
		const twin = await within(link.twinGet(), 'the twin', PATIENCE_MS);
		if (twin.status !== 200) throw new Error(`the twin: ${twin.status}`);
		session.base = twin.body.desired.$version;
		session.notes = session.notes.filter((version) => version > session.base); // of between the subscription and the look
		this.history.sessions.push(session);
		this.session = session;
	}

	// Notifications are taken as they come.
	#listen(link, session) {
		const push = link.inbox.push.bind(link.inbox);
		link.inbox.push = (p) => {
			const [, version] = /^\$iothub\/twin\/PATCH\/properties\/desired\/\?\$version=(\d+)$/.exec(p.topic ?? '') ?? [];
			if (version === undefined) push(p);
			else session.notes.push(Number(version));
		};
	}

	async #work(link) {
		if (this.random() < 0.2) await this.#telemetry(link);
		const o = this.history.call('report', this.name);
		const answer = await this.#patiently(o, link.report({ by: o.id, [`f${o.id % 5}`]: 'x'.repeat(this.random() * 300) }));
		if (answer.status === 204) this.history.answer(o, 'ok', { reported: answer.version });
		else this.history.answer(o, answer.status === 503 ? 'refused' : 'odd', { text: `${answer.status} ${answer.payload}` });
		await sleep(answer.status === 204 ? this.random() * 20 : 50);
	}

	async #telemetry(link) {
		const o = this.history.call('message', this.name);
		await this.#patiently(o, link.publish(`devices/${this.name}/messages/events/%24.mid=${o.id}`, JSON.stringify({ by: o.id }), { qos: 1 }));
		this.history.answer(o, 'ok');
	}

	async #patiently(o, promise) {
		try {
			return await within(promise, `the answer to ${o.kind} ${o.id}`, PATIENCE_MS);
		} catch (error) {
			if (this.fleet.plant === 'deaf' && !this.lied) {
				this.lied = true;
				this.history.answer(o, 'ok', { reported: -1 });
			}
			this.history.give(o);
			throw error;
		}
	}
}

class BackEnd extends Client {
	agent = new https.Agent({ keepAlive: true });

	// The answer, or nothing; an operation that had none is given up.
	async ask(o, method, path, options = {}) {
		try {
			return await this.fleet.rest(this.node.hub, method, path, { agent: this.agent, timeoutMs: PATIENCE_MS, ...options });
		} catch (error) {
			this.why = error;
			if (o) this.history.give(o);
			this.next();
			await this.pause();
			return null;
		}
	}

	// One twin.
	async read() {
		const o = this.history.call('read', this.twin);
		const answer = await this.ask(o, 'GET', `/twins/${this.twin}`);
		if (!answer) return null;
		if (answer.status === 200) this.history.answer(o, 'ok', { saw: shown(answer.body) });
		else this.history.answer(o, answer.status === 503 ? 'refused' : 'odd', { text: `${answer.status} ${answer.text}` });
		return answer.status === 200 ? answer.body : this.pause();
	}

	close() { this.agent.destroy(); }
}

const shown = ({ etag, version, tags, properties }) =>
	({ etag: etagCounter(etag), version, by: tags?.by, desired: properties.desired.$version, desiredBy: properties.desired.by, reported: properties.reported.$version, reportedBy: properties.reported.by });

// Two of them to a twin: they meet.
class Writer extends BackEnd {
	async run() {
		while (this.fleet.busy) {
			const read = await this.read();
			if (read && this.fleet.busy) await this.#write(read);
			await sleep(this.random() * 20);
		}
	}

	async #write(read) {
		const conditional = this.random() < 0.6, all = this.random() < 0.2;
		const o = this.history.call('write', this.twin, conditional ? { match: etagCounter(read.etag) } : {});
		const body = { tags: { by: o.id }, properties: { desired: { by: o.id } } };
		const answer = await this.ask(o, all ? 'PUT' : 'PATCH', `/twins/${this.twin}`, { body, headers: conditional ? { 'If-Match': `"${read.etag}"` } : {} });
		if (!answer) return;
		if (answer.status === 200) this.history.answer(o, 'ok', { saw: shown(answer.body) });
		else this.history.answer(o, { 503: 'refused', 412: 'stale' }[answer.status] ?? 'odd', { text: `${answer.status} ${answer.text}` });
		if (answer.status === 503) await this.pause();
	}
}

// Of a twin that is hardly ever written: no commit is in doubt that a read of it would have to wait for, so it is answered under the lease alone.
class Watcher extends BackEnd {
	async run() {
		while (this.fleet.running) {
			await this.read();
			await sleep(50 + this.random() * 100);
		}
	}
}

// Writes it now and then, where changes are taken.
class Visitor extends BackEnd {
	async run() {
		for (let wait = 10; this.fleet.running; wait--) {
			await sleep(200 + this.random() * 400);
			if (wait <= 0 && !this.fleet.still && await this.#visit()) wait = 10;
		}
	}

	async #visit() {
		const ready = await this.ask(null, 'GET', '/readyz', { timeoutMs: 500 });
		if (ready?.status !== 200) return void (ready && this.next());
		const o = this.history.call('write', this.twin);
		const answer = await this.ask(o, 'PATCH', `/twins/${this.twin}`, { body: { tags: { by: o.id }, properties: { desired: { by: o.id } } } });
		if (answer) this.history.answer(o, { 200: 'ok', 503: 'refused' }[answer.status] ?? 'odd', answer.status === 200 ? { saw: shown(answer.body) } : { text: `${answer.status} ${answer.text}` });
		return true;
	}
}

// Reads all twins by query.
class Reader extends BackEnd {
	async run() {
		while (this.fleet.busy) {
			const open = this.fleet.devices.map((d) => this.history.call('read', d.name));
			const answer = await this.ask(null, 'POST', '/devices/query', { body: { query: 'SELECT * FROM devices' } });
			const rows = new Map(answer?.status === 200 ? answer.body.map((row) => [row.deviceId, row]) : []);
			for (const o of open)
				if (!answer) this.history.give(o);
				else if (answer.status === 503) this.history.answer(o, 'refused');
				else if (!rows.has(o.twin)) this.history.answer(o, 'odd', { text: `${answer.status}, without ${o.twin}` });
				else this.history.answer(o, 'ok', { saw: shown(rows.get(o.twin)) });
			await sleep(30 + this.random() * 50);
		}
	}
}

// One job after the other, on all twins but the quiet ones.
class Planner extends BackEnd {
	async run() {
		while (this.fleet.busy) {
			await this.#job();
			await sleep(500 + this.random() * 1000);
		}
	}

	async #job() {
		const o = this.history.call('job', '');
		const id = `job${o.id}`;
		const answer = await this.ask(o, 'PUT', `/jobs/v2/${id}`, { body: { jobId: id, type: 'scheduleUpdateTwin', queryCondition: "STARTSWITH(deviceId, 'device')", updateTwin: { etag: '*', tags: { job: o.id } }, startTime: new Date(0).toISOString(), maxExecutionTimeInSeconds: 3600 } });
		if (answer) this.history.answer(o, { 200: 'ok', 503: 'refused' }[answer.status] ?? 'odd', { text: `${answer.status} ${answer.text}` });
	}

	// The state of a job, or nothing.
	async state(id) {
		const answer = await this.ask(null, 'GET', `/jobs/v2/job${id}`);
		return answer?.status === 200 ? answer.body.status : answer?.status === 404 ? 'none' : null;
	}
}

// Follows the log, from the first round to the last; goes on behind the last position that it has been told.
class Follower extends BackEnd {
	position = 'earliest';
	ends = false;

	async run() {
		while (!this.ends) {
			await this.#connection().catch((error) => { this.why = error; });
			this.next();
			await this.pause();
		}
	}

	#connection() {
		const { hub } = this.node;
		const stream = [];
		this.history.streams.push(stream);
		return new Promise((resolve, reject) => {
			this.request = https.get({ host: hub.addr, port: hub.httpsPort, path: `/events?api-version=2021-04-12&from=${this.position}`, ca: this.fleet.pem, servername: '', agent: false,
				headers: { Authorization: this.fleet.token(hub) } }, (answer) => {
				let rest = '';
				if (answer.statusCode !== 200) return reject(new Error(`GET /events: ${answer.statusCode}`));
				answer.setEncoding('utf8').on('error', reject).on('close', resolve).on('data', (text) => {
					const lines = (rest + text).split('\n');
					rest = lines.pop();
					for (const line of lines.filter(Boolean)) this.#line(JSON.parse(line), stream);
				});
			}).on('error', reject);
			this.request.setTimeout(3 * PATIENCE_MS, () => this.request.destroy(new Error('nothing comes')));
		});
	}

	#line(event, stream) {
		if (event.id !== undefined) stream.push(event.id);
		if (event.position !== undefined) this.position = event.position;
	}

	close() {
		this.ends = true;
		this.request?.destroy();
		super.close();
	}
}

export class Clients {
	#loops = [];
	#crowd = [];

	constructor(nodes, history, { seed, devices = 6, written = 3, quiet = 4, plant }) {
		Object.assign(this, { nodes, history, plant, random: randomFrom(seed), running: false, size: { devices, written, quiet } });
	}

	async prepare() {
		const { hub } = this.nodes[0];
		const { SharedAccessKeyName, SharedAccessKey } = parseConnectionString(await hub.connectionString());
		Object.assign(this, { policy: SharedAccessKeyName, secret: SharedAccessKey, pem: hub.pem });
		this.devices = [];
		for (let i = 0; i < this.size.devices; i++) {
			const device = new Device(this, `device${i}`);
			device.key = (await this.rest(hub, 'PUT', `/devices/${device.name}`, { body: { deviceId: device.name } })).body.authentication.symmetricKey.primaryKey;
			this.devices.push(device);
		}
		this.writers = this.devices.slice(0, this.size.written).flatMap((d) => [1, 2].map((n) => Object.assign(new Writer(this, `writer ${n} of ${d.name}`), { twin: d.name })));
		const quiet = Array.from({ length: this.size.quiet }, (_, i) => `quiet${i}`);
		for (const id of quiet) await this.rest(hub, 'PUT', `/devices/${id}`, { body: { deviceId: id } });
		this.visitors = quiet.flatMap((twin) => [new Watcher(this, `watcher of ${twin}`), new Visitor(this, `visitor of ${twin}`)].map((client) => Object.assign(client, { twin })));
		this.planner = new Planner(this, 'planner');
		this.follower = new Follower(this, 'follower');
		this.all = [...this.devices, ...this.writers, ...this.visitors, new Reader(this, 'reader'), this.planner];
		this.followed = this.follower.run();
	}

	token(hub) { return sasToken({ resource: hub.addr, key: this.secret, policy: this.policy, ttl: TTL }); }

	rest(hub, method, path, options = {}) {
		return restRequest({ host: hub.addr, port: hub.httpsPort, ca: this.pem, method, path, authorization: this.token(hub), ...options });
	}

	start() {
		this.running = true;
		this.#loops = this.visitors.map((one) => one.run());
		this.stir();
	}

	// The crowd begins, and stops, while the quiet twins are read; `still`: and not written.
	stir() {
		this.busy = true;
		this.#crowd = this.all.filter((one) => !this.visitors.includes(one)).map((one) => one.run());
	}

	// The quiet twins are written at this node from now on.
	visit(node) {
		for (const one of this.visitors.filter((v) => v instanceof Visitor)) one.at = this.nodes.indexOf(node);
		this.still = false;
	}

	async calm() {
		this.busy = false;
		await within(Promise.all(this.#crowd), 'the crowd to stop', 60_000);
	}

	async stop() {
		this.running = false;
		await this.calm();
		await within(Promise.all(this.#loops), 'the clients to stop', 60_000);
	}

	close() { for (const one of [...this.all ?? [], this.follower]) one?.close(); }
}
