// A bare MQTT 3.1.1 client for tests: it sends what it is told, also what no library would send, and shows
// every packet that comes. The packet format is OASIS MQTT 3.1.1, chapters 2 and 3.
//
//   const c = await RawMqtt.open(hub);                       TLS (or {plain: true}, {ws: true}, {cert, key})
//   const {code, sessionPresent} = await c.connect({...});   or: const c = await mqttDevice(hub, 'd1')
//   await c.subscribe('$iothub/twin/res/#'); const {status, body} = await c.twinGet();
import net from 'node:net';
import tls from 'node:tls';
import { WebSocket } from 'ws';
import { Inbox, WAIT_MS, within } from './wait.mjs';
import { sasToken } from './sas.mjs';

export const PACKET = { CONNECT: 1, CONNACK: 2, PUBLISH: 3, PUBACK: 4, PUBREC: 5, PUBREL: 6, PUBCOMP: 7, SUBSCRIBE: 8,
	SUBACK: 9, UNSUBSCRIBE: 10, UNSUBACK: 11, PINGREQ: 12, PINGRESP: 13, DISCONNECT: 14 };

const u16 = (n) => Buffer.from([n >> 8, n & 255]);
const string = (text) => {
	const bytes = Buffer.isBuffer(text) ? text : Buffer.from(text, 'utf8');
	return Buffer.concat([u16(bytes.length), bytes]);
};

// One control packet: first byte, remaining length, the parts.
export function packet(type, flags, ...parts) {
	const body = Buffer.concat(parts);
	const length = [];
	let left = body.length;
	do {
		length.push((left % 128) | (left >= 128 ? 128 : 0));
		left = Math.floor(left / 128);
	} while (left > 0);
	return Buffer.concat([Buffer.from([type << 4 | flags, ...length]), body]);
}

export function connectPacket({ clientId, username, password, clean = false, keepAlive = 60, level = 4, protocol = 'MQTT', will }) {
	let flags = clean ? 2 : 0;
	const payload = [string(clientId)];
	if (will) {
		flags |= 4 | (will.qos ?? 0) << 3 | (will.retain ? 32 : 0);
		payload.push(string(will.topic), string(will.payload ?? ''));
	}
	if (username !== undefined) { flags |= 128; payload.push(string(username)); }
	if (password !== undefined) { flags |= 64; payload.push(string(password)); }
	return packet(PACKET.CONNECT, 0, string(protocol), Buffer.from([level, flags]), u16(keepAlive), ...payload);
}

export function publishPacket(topic, payload = '', { qos = 0, retain = false, dup = false, id = 0 } = {}) {
	return packet(PACKET.PUBLISH, (dup ? 8 : 0) | qos << 1 | (retain ? 1 : 0), string(topic), qos ? u16(id) : Buffer.alloc(0),
		Buffer.isBuffer(payload) ? payload : Buffer.from(payload, 'utf8'));
}

export function subscribePacket(id, filters) {
	return packet(PACKET.SUBSCRIBE, 2, u16(id), ...filters.flatMap(({ filter, qos }) => [string(filter), Buffer.from([qos])]));
}

export function unsubscribePacket(id, filters) {
	return packet(PACKET.UNSUBSCRIBE, 2, u16(id), ...filters.map(string));
}

// The first packet in `bytes` and its length on the wire, or null when there is only a part of one.
function parsePacket(bytes) {
	let length = 0, shift = 1, at = 1;
	for (;; at++) {
		if (at >= bytes.length) return null;
		length += (bytes[at] & 127) * shift;
		if (bytes[at] < 128) break;
		shift *= 128;
	}
	const end = ++at + length;
	if (bytes.length < end) return null;
	return { size: end, packet: describePacket(bytes[0], bytes.subarray(at, end)) };
}

function describePacket(first, body) {
	const type = first >> 4;
	const p = { type, flags: first & 15, raw: Buffer.from(body) };
	if (type === PACKET.CONNACK) return { ...p, sessionPresent: body[0] === 1, code: body[1] };
	if (type !== PACKET.PUBLISH) return { ...p, id: body.length >= 2 ? body.readUInt16BE(0) : 0, codes: [...body.subarray(2)] };
	const qos = (first >> 1) & 3, at = 2 + body.readUInt16BE(0);
	return { ...p, qos, dup: (first & 8) !== 0, retain: (first & 1) !== 0, topic: body.toString('utf8', 2, at),
		id: qos ? body.readUInt16BE(at) : 0, payload: Buffer.from(body.subarray(at + (qos ? 2 : 0))) };
}

export class RawMqtt {
	#socket;
	#pending = Buffer.alloc(0);
	#id = 0;
	#rid = 0;
	inbox = new Inbox();
	isClosed = false;

	// Open the connection only. Options: plain, ws (path or true), protocols, cert, key, ca, host, port, tls (more of tls.connect).
	static async open(hub, options = {}) {
		const client = new RawMqtt();
		await within(options.ws ? client.#openWebSocket(hub, options) : client.#openSocket(hub, options), `a connection to ${hub.addr}`);
		return client;
	}

	#openSocket(hub, { plain = false, cert, key, ca = hub.ca && !plain ? hub.pem : undefined, host = hub.addr,
		port = plain ? hub.mqttPort : hub.mqttsPort, tls: more = {} }) {
		const socket = plain ? net.connect({ host, port }) : tls.connect({ host, port, ca, cert, key, ...more });
		this.#socket = socket;
		this.socket = socket;
		socket.on('data', (bytes) => this.#arrived(bytes));
		this.#watchEnd((done) => socket.on('error', done).on('close', () => done()));
		return new Promise((resolve, reject) => {
			socket.once(plain ? 'connect' : 'secureConnect', resolve);
			socket.once('error', reject);
		});
	}

	#openWebSocket(hub, { ws, protocols = ['mqtt'], cert, key, ca = hub.pem, host = hub.addr, port = hub.httpsPort }) {
		const path = ws === true ? '/$iothub/websocket' : ws;
		const socket = new WebSocket(`wss://${host}:${port}${path}`, protocols, { ca, cert, key });
		this.socket = socket;
		this.#socket = { write: (bytes) => socket.send(bytes), destroy: () => socket.terminate(), end: () => socket.close() };
		socket.on('message', (bytes) => this.#arrived(Buffer.from(bytes)));
		this.#watchEnd((done) => socket.on('error', done).on('close', () => done()));
		return new Promise((resolve, reject) => {
			socket.once('open', resolve);
			socket.once('error', reject);
		});
	}

	#watchEnd(listen) {
		this.ended = new Promise((resolve) => {
			let cause;
			listen((error) => {
				if (error) { cause = error; return; }
				this.isClosed = true;
				this.inbox.end(new Error(`the connection was closed${cause ? `: ${cause.message}` : ''}`));
				resolve();
			});
		});
	}

	#arrived(bytes) {
		this.#pending = Buffer.concat([this.#pending, bytes]);
		for (let one; (one = parsePacket(this.#pending)) !== null;) {
			this.#pending = this.#pending.subarray(one.size);
			this.inbox.push(one.packet);
		}
	}

	send(...packets) { this.#socket.write(Buffer.concat(packets)); }
	nextId() { return this.#id = this.#id % 65535 + 1; }

	// The next packet of a type (and, if given, one that passes the test).
	next(type, what = `packet type ${type}`, test = () => true, ms = WAIT_MS) {
		return this.inbox.next((p) => p.type === type && test(p), what, ms);
	}

	// Resolves when the other side has closed the connection.
	closed(what = 'the hub to close the connection', ms = WAIT_MS) { return within(this.ended, what, ms); }

	async connect(options) {
		this.send(connectPacket(options));
		return this.next(PACKET.CONNACK, 'CONNACK');
	}

	// One SUBSCRIBE; filters are texts or {filter, qos}. The return codes.
	async subscribe(...filters) {
		const id = this.nextId();
		this.send(subscribePacket(id, filters.map((f) => typeof f === 'string' ? { filter: f, qos: 0 } : f)));
		return (await this.next(PACKET.SUBACK, `SUBACK of ${JSON.stringify(filters)}`, (p) => p.id === id)).codes;
	}

	async unsubscribe(...filters) {
		const id = this.nextId();
		this.send(unsubscribePacket(id, filters));
		return this.next(PACKET.UNSUBACK, `UNSUBACK of ${filters}`, (p) => p.id === id);
	}

	// Sends; with QoS 1 resolves at the PUBACK.
	async publish(topic, payload, options = {}) {
		const id = options.qos ? options.id ?? this.nextId() : 0;
		this.send(publishPacket(topic, payload, { ...options, id }));
		if (options.qos === 1) return this.next(PACKET.PUBACK, `PUBACK of ${topic}`, (p) => p.id === id);
	}

	async ping() {
		this.send(packet(PACKET.PINGREQ, 0));
		return this.next(PACKET.PINGRESP, 'PINGRESP');
	}

	// The answer to a twin request: {status, version, topic, payload, body}. Needs the subscription to $iothub/twin/res/#.
	async #twinAnswer(topic, payload, rid, qos) {
		const sent = this.publish(topic, payload, { qos });
		const answer = await this.next(PACKET.PUBLISH, `the answer to ${topic}`,
			(p) => new RegExp(`^\\$iothub/twin/res/\\d+/\\?\\$rid=${rid.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}(&|$)`).test(p.topic));
		await sent;
		const version = /&\$version=(\d+)$/.exec(answer.topic);
		const text = answer.payload.toString('utf8');
		return { status: Number(answer.topic.split('/')[3]), version: version ? Number(version[1]) : undefined, topic: answer.topic,
			qos: answer.qos, payload: answer.payload, body: text === '' ? undefined : JSON.parse(text) };
	}

	twinGet({ payload = '', qos = 0, rid = `r${++this.#rid}` } = {}) {
		return this.#twinAnswer(`$iothub/twin/GET/?$rid=${rid}`, payload, rid, qos);
	}

	// version: the condition of T-61.
	report(patch, { version, qos = 0, rid = `r${++this.#rid}` } = {}) {
		const payload = typeof patch === 'string' || Buffer.isBuffer(patch) ? patch : JSON.stringify(patch);
		const condition = version === undefined ? '' : `&$version=${version}`;
		return this.#twinAnswer(`$iothub/twin/PATCH/properties/reported/?$rid=${rid}${condition}`, payload, rid, qos);
	}

	// The next desired notification: {version (of the topic), body, qos}.
	async notification(what = 'a desired notification', ms = WAIT_MS) {
		const p = await this.next(PACKET.PUBLISH, what, (q) => q.topic.startsWith('$iothub/twin/PATCH/properties/desired/'), ms);
		return { topic: p.topic, version: Number(/\?\$version=(\d+)$/.exec(p.topic)?.[1]), qos: p.qos, body: JSON.parse(p.payload.toString('utf8')) };
	}

	// Notifications that have come and were not taken. A twin GET's answer came after all that were sent before
	// it (one ordered history), so this is how to show that there was none.
	async pendingNotifications() {
		await this.twinGet();
		const left = this.inbox.take();
		const mine = (p) => p.type === PACKET.PUBLISH && p.topic.startsWith('$iothub/twin/PATCH/properties/desired/');
		for (const p of left) if (!mine(p)) this.inbox.push(p);
		return left.filter(mine).map((p) => JSON.parse(p.payload.toString('utf8')));
	}

	async disconnect() {
		if (this.isClosed) return;
		this.send(packet(PACKET.DISCONNECT, 0));
		await this.closed();
	}

	// Cut the connection without DISCONNECT.
	destroy() { this.#socket.destroy(); }
}

export const TWIN_RESPONSES = '$iothub/twin/res/#';
export const DESIRED_CHANGES = '$iothub/twin/PATCH/properties/desired/#';

export function mqttUsername(host, id, parameters = 'api-version=2021-04-12') { return `${host}/${id}/?${parameters}`; }

// What a device with a symmetric key sends in CONNECT.
export function deviceLogin(hub, id, key, options = {}) {
	return { clientId: id, username: mqttUsername(hub.addr, id), password: sasToken({ resource: `${hub.addr}/devices/${id}`, key }), ...options };
}

// A connected device (created when it does not exist), subscribed to twin answers and desired changes unless
// told otherwise. Options: those of RawMqtt.open and of connect, and filters.
export async function mqttDevice(hub, id, { filters = [TWIN_RESPONSES, DESIRED_CHANGES], login = {}, key, ...transport } = {}) {
	const known = await hub.rest('GET', `/devices/${encodeURIComponent(id)}`);
	const identity = known.status === 200 ? known.body : await hub.createDevice(id);
	const client = await RawMqtt.open(hub, transport);
	const answer = await client.connect(deviceLogin(hub, id, key ?? identity.authentication.symmetricKey.primaryKey, login));
	if (answer.code !== 0) throw new Error(`CONNECT of ${id} was refused with ${answer.code}`);
	client.sessionPresent = answer.sessionPresent;
	if (filters.length > 0) {
		const codes = await client.subscribe(...filters);
		if (codes.some((code) => code > 1)) throw new Error(`SUBSCRIBE of ${filters} was refused: ${codes}`);
	}
	return client;
}
