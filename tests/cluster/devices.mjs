// A device over MQTT: reports, sends, hears what is desired and what is called, and writes down all of it.
import { DESIRED_CHANGES, RawMqtt, TWIN_RESPONSES, deviceLogin, sasToken } from '../lib/hub.mjs';
import { within } from '../lib/wait.mjs';
import { Client, PATIENCE_MS, TTL, sleep } from './client.mjs';

const CALLS = '$iothub/methods/POST/#';

// Stays connected when it is told to stop: what it has been told by then, is checked.
export class Device extends Client {
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
		const hub = this.place;
		const link = this.link = await within(RawMqtt.open(hub, { ca: this.fleet.pem }), 'a connection', PATIENCE_MS);
		link.ended.then(() => { if (this.link === link) this.close(); }, () => {});
		const session = { twin: this.name, base: null, notes: [], closed: false };
		this.#listen(link, session);
		const { code } = await within(link.connect(deviceLogin(hub, this.name, this.key, { clean: true, password: sasToken({ resource: `${hub.addr}/devices/${this.name}`, key: this.key, ttl: TTL }) })),
			'CONNACK', PATIENCE_MS);
		if (code !== 0) throw new Error(`CONNECT was answered ${code}`);
		await within(link.subscribe(TWIN_RESPONSES, DESIRED_CHANGES, CALLS), 'SUBACK', PATIENCE_MS);
		const twin = await within(link.twinGet(), 'the twin', PATIENCE_MS);
		if (twin.status !== 200) throw new Error(`the twin: ${twin.status}`);
		session.base = twin.body.desired.$version;
		session.notes = session.notes.filter((version) => version > session.base); // of between the subscription and the look
		this.history.sessions.push(session);
		this.session = session;
	}

	// Notifications and calls are taken as they come.
	#listen(link, session) {
		const push = link.inbox.push.bind(link.inbox);
		link.inbox.push = (p) => {
			const [, version] = /^\$iothub\/twin\/PATCH\/properties\/desired\/\?\$version=(\d+)$/.exec(p.topic ?? '') ?? [];
			const [, rid] = /^\$iothub\/methods\/POST\/[^/]+\/\?\$rid=(.+)$/.exec(p.topic ?? '') ?? [];
			if (version !== undefined) session.notes.push(Number(version));
			else if (rid !== undefined) this.#called(link, rid, JSON.parse(p.payload));
			else push(p);
		};
	}

	#called(link, rid, { by }) {
		this.history.hear(by, this.name);
		link.publish(`$iothub/methods/res/200/?$rid=${rid}`, JSON.stringify({ by }));
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
