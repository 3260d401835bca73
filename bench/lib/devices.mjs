// Devices that report and come back: each keeps one connection to one of several hubs; when it ends it tries the next, behind a pause as SDKs make them.
// What each was told, and when, is kept: acks [ms], refusals, ends.
import { RawMqtt, TWIN_RESPONSES, DESIRED_CHANGES, mqttUsername, sasToken, within } from '../../tests/lib/hub.mjs';
import { pause } from './hub.mjs';

const PATIENCE_MS = 5000;
const PAUSE_MS = [100, 4000]; // at first, and at most; by chance half to all of it
const CONNECTING = 128; // at a time

class Device {
	acks = [];
	refused = [];
	ends = []; // of connections that were there
	connected = null; // to which hub, of the list

	constructor(fleet, id, at) { Object.assign(this, { fleet, id, at, pauseMs: PAUSE_MS[0] }); }

	async run() {
		while (!this.fleet.ended)
			try {
				await this.#connect();
				while (!this.fleet.ended) await this.#report();
			} catch (error) {
				this.why = error;
				if (this.connected !== null && !this.fleet.ended) this.ends.push(performance.now());
				this.connected = null;
				this.link?.destroy();
				if (this.fleet.ended) return;
				this.at++;
				await pause(this.pauseMs * (0.5 + Math.random() / 2));
				this.pauseMs = Math.min(PAUSE_MS[1], this.pauseMs * 2);
			}
	}

	async #connect() {
		const { fleet } = this, at = this.at % fleet.hubs.length, hub = fleet.hubs[at];
		await fleet.turn();
		try {
			const link = this.link = await within(RawMqtt.open(hub, fleet.tls ? { ca: fleet.hubs[0].pem } : { plain: true }), 'a connection', PATIENCE_MS);
			link.ended.catch(() => {});
			const { code } = await within(link.connect({ clientId: this.id, username: mqttUsername(hub.addr, this.id), password: fleet.passwords[at], clean: true, keepAlive: 240 }), 'CONNACK', PATIENCE_MS);
			if (code !== 0) throw new Error(`CONNECT was answered ${code}`);
			await within(link.subscribe(TWIN_RESPONSES, ...(fleet.listens ? [DESIRED_CHANGES] : [])), 'SUBACK', PATIENCE_MS);
		} finally {
			fleet.done();
		}
		this.connected = at;
		this.pauseMs = PAUSE_MS[0];
	}

	async #report() {
		const begin = performance.now();
		const answer = await within(this.link.report({ at: begin }), 'the answer', PATIENCE_MS * 2);
		const now = performance.now();
		if (answer.status === 204) this.acks.push(now);
		else this.refused.push(now);
		if (answer.status === 204 && this.fleet.latencies) this.fleet.latencies.push({ id: this.id, at: this.connected, ms: now - begin });
		await Promise.race([pause(this.fleet.everyMs * (answer.status === 204 ? 0.5 + Math.random() : 1)), this.link.ended]);
		if (this.link.isClosed) throw new Error('the connection has ended');
	}
}

export class Devices {
	#waiting = [];
	#connecting = 0;

	// hubs: BenchHub, with their addresses as host names; key: of the policy `device`; ids; everyMs: between an answer and the next report; of: which hub (number) a device begins with
	constructor(hubs, key, ids, { everyMs = 1000, tls = false, listens = true, of = (i) => i } = {}) {
		Object.assign(this, { hubs, everyMs, tls, listens, passwords: hubs.map((hub) => sasToken({ resource: hub.addr, key, policy: 'device', ttl: 86_400 })) });
		this.all = ids.map((id, i) => new Device(this, id, of(i)));
	}

	async turn() {
		if (this.#connecting >= CONNECTING) await new Promise((resolve) => { this.#waiting.push(resolve); });
		this.#connecting++;
	}

	done() {
		this.#connecting--;
		this.#waiting.shift()?.();
	}

	// Until all have been acknowledged once.
	async start(ms = 120_000) {
		this.loops = this.all.map((d) => d.run());
		const end = performance.now() + ms;
		for (let missing; (missing = this.all.filter((d) => d.acks.length === 0)).length > 0; await pause(20))
			if (performance.now() > end) throw new Error(`${missing.length} of ${this.all.length} devices, ${missing[0].id} among them, were not acknowledged in ${ms} ms: ${missing[0].why?.message}`);
	}

	async end() {
		this.ended = true;
		for (const d of this.all) d.link?.destroy();
		await Promise.all(this.loops);
	}
}
