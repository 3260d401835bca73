// Back ends over HTTPS: writers and readers of twins, who asks page by page, who plans jobs, sets configurations and calls methods, who follows the log.
import https from 'node:https';
import { Client, PATIENCE_MS, etagCounter, sleep } from './client.mjs';

const ILL_MS = 1000;
const PAGE = 2;

class BackEnd extends Client {
	agent = new https.Agent({ keepAlive: true });

	// Any place, but none that was found not to answer just now.
	get place() {
		const { places } = this.fleet, well = places.filter((hub) => !(this.ill.get(hub) > performance.now()));
		return this.asked = (well.length > 0 ? well : places)[Math.floor(this.random() * (well.length || places.length))];
	}

	ill = new Map(); // hub: until when

	// The answer, or nothing; an operation that had none is given up.
	async ask(o, method, path, options = {}) {
		try {
			return await this.fleet.rest(this.place, method, path, { agent: this.agent, timeoutMs: PATIENCE_MS, ...options });
		} catch (error) {
			this.why = error;
			if (o && error.code === 'ECONNREFUSED') this.history.answer(o, 'refused'); // nobody was there
			else if (o) this.history.give(o);
			this.ill.set(this.asked, performance.now() + ILL_MS);
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
export class Writer extends BackEnd {
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

// One that stays with a node as long as that answers.
class Pinned extends BackEnd {
	get place() { return this.fleet.nodes[this.at % this.fleet.nodes.length].hub; }
}

// Of a twin that is hardly ever written: no commit is in doubt that a read of it would have to wait for, so it is answered under the lease alone.
export class Watcher extends Pinned {
	async run() {
		while (this.fleet.running) {
			await this.read();
			await sleep(50 + this.random() * 100);
		}
	}
}

// Writes it now and then, where changes are taken.
export class Visitor extends Pinned {
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

// x-twinhub-reflects, by shard: varints: the first shard, how many, the least position, what each is above it.
export function reflected(header) {
	const numbers = [];
	let value = 0n, shift = 0n;
	for (const byte of Buffer.from(header, 'base64')) {
		value |= BigInt(byte & 127) << shift;
		shift += 7n;
		if (byte < 128) {
			numbers.push(value);
			value = shift = 0n;
		}
	}
	const [first, , least, ...above] = numbers;
	return new Map(above.map((n, i) => [Number(first) + i, Number(least + n)]));
}

// Reads all twins by query.
export class Reader extends BackEnd {
	async run() {
		while (this.fleet.busy) {
			const look = this.history.call('look', '');
			const open = this.fleet.devices.map((d) => this.history.call('read', d.name));
			const answer = await this.ask(look, 'POST', '/devices/query', { body: { query: 'SELECT * FROM devices' } });
			const rows = new Map(answer?.status === 200 ? answer.body.map((row) => [row.deviceId, row]) : []);
			if (answer) this.history.answer(look, { 200: 'ok', 503: 'refused' }[answer.status] ?? 'odd', answer.status === 200 ? { reflects: reflected(answer.headers['x-twinhub-reflects']) } : { text: `${answer.status} ${answer.text}` });
			for (const o of open)
				if (!answer) this.history.give(o);
				else if (answer.status === 503) this.history.answer(o, 'refused');
				else if (!rows.has(o.twin)) this.history.answer(o, 'odd', { text: `${answer.status}, without ${o.twin}` });
				else this.history.answer(o, 'ok', { saw: shown(rows.get(o.twin)) });
			await sleep(30 + this.random() * 50);
		}
	}
}

// Reads all twins page by page; a page that is refused is asked for again, with the same token, wherever.
export class Pager extends BackEnd {
	async run() {
		while (this.fleet.busy) {
			const o = this.history.call('pages', '');
			const rows = [];
			let token = '';
			while (token !== undefined && this.fleet.busy) token = await this.#page(o, token, rows);
			if (token === undefined && o.outcome !== 'odd') this.history.answer(o, 'ok', { rows });
			else this.history.give(o);
			await sleep(this.random() * 100);
		}
	}

	// The token of the next page; nothing behind the last one.
	async #page(o, token, rows) {
		const answer = await this.ask(null, 'POST', '/devices/query', { body: { query: "SELECT deviceId FROM devices WHERE deviceId != 'nobody'" },
			headers: { 'x-ms-max-item-count': String(PAGE), ...(token ? { 'x-ms-continuation': token } : {}) } });
		if (!answer) return token;
		if (answer.status === 503) {
			await this.pause();
			return token;
		}
		if (answer.status !== 200) {
			this.history.answer(o, 'odd', { text: `${answer.status} ${answer.text}` });
			return undefined;
		}
		rows.push(...answer.body.map((row) => row.deviceId));
		await sleep(this.random() * 30);
		return answer.headers['x-ms-continuation'];
	}
}

// Calls a method of a device.
export class Caller extends BackEnd {
	async run() {
		while (this.fleet.busy) {
			const { name } = this.fleet.devices[Math.floor(this.random() * this.fleet.devices.length)];
			const o = this.history.call('call', name);
			const answer = await this.ask(o, 'POST', `/twins/${name}/methods`, { body: { methodName: 'count', payload: { by: o.id }, responseTimeoutInSeconds: 5, connectTimeoutInSeconds: 0 }, timeoutMs: 2 * PATIENCE_MS });
			if (answer?.status === 200) this.history.answer(o, 'ok', { said: answer.body.payload?.by });
			else if (answer?.status === 404 || answer?.status === 503 || answer?.status === 504) this.history.give(o); // heard or not
			else if (answer) this.history.answer(o, 'odd', { text: `${answer.status} ${answer.text}` });
			await sleep(this.random() * 100);
		}
	}
}

// Writes a twin that configurations write, too.
export class Toucher extends BackEnd {
	async run() {
		while (this.fleet.busy) {
			const twin = this.fleet.set[Math.floor(this.random() * this.fleet.set.length)];
			const o = this.history.call('write', twin);
			const answer = await this.ask(o, 'PATCH', `/twins/${twin}`, { body: { tags: { by: o.id } } });
			if (answer) this.history.answer(o, { 200: 'ok', 503: 'refused' }[answer.status] ?? 'odd', { text: `${answer.status} ${answer.text}` });
			await sleep(this.random() * 100);
		}
	}
}

// One configuration for the twins `set0` on after the other; each goes before those that were there, which are removed behind it.
export class Setter extends BackEnd {
	former = [];

	async run() {
		while (this.fleet.busy) {
			const o = this.history.call('configure', '');
			const answer = await this.ask(o, 'PUT', `/configurations/conf${o.id}`, { body: { id: `conf${o.id}`, targetCondition: 'tags.set = true', priority: o.id, content: { deviceContent: { 'properties.desired.conf': o.id } } } });
			if (answer) this.history.answer(o, { 200: 'ok', 503: 'refused' }[answer.status] ?? 'odd', { text: `${answer.status} ${answer.text}` });
			if (o.outcome === 'ok') await this.#remove();
			this.former.push(o.id);
			await sleep(500 + this.random() * 1500);
		}
	}

	async #remove() {
		for (const id of this.former.splice(0)) {
			const answer = await this.ask(null, 'DELETE', `/configurations/conf${id}`);
			if (answer?.status !== 204 && answer?.status !== 404) this.former.push(id);
		}
	}

	// Is the newest one in all twins?
	async settled() {
		const all = await this.ask(null, 'GET', '/configurations?top=100'), twins = await this.ask(null, 'POST', '/devices/query', { body: { query: "SELECT properties.desired.conf AS conf FROM devices WHERE tags.set = true" } });
		if (all?.status !== 200 || twins?.status !== 200) return false;
		const newest = Math.max(0, ...all.body.map(({ id }) => Number(id.slice(4))));
		return newest === 0 || twins.body.every(({ conf }) => conf === newest);
	}
}

// One job after the other, on all twins but the quiet ones.
export class Planner extends BackEnd {
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
export class Follower extends BackEnd {
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
		const hub = this.place;
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
