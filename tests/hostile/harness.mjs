// What the hostile tests share. A row is one input and the exact answer to it; after each row the harness
// checks that no twin and no identity has changed and that a well-behaved device is served.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import https from 'node:https';
import tls from 'node:tls';
import { PACKET, RawMqtt, deviceLogin, mqttDevice, packet, startHub, until, within, WAIT_MS } from '../lib/hub.mjs';

export const SLOW = Number(process.env.TWINHUB_TEST_SLOW ?? 1);
export const TRANSPORTS = { tls: {}, plain: { plain: true }, ws: { ws: true } };

// Memory that the allocator and the caches may keep after a group of inputs. A leak per input, or a buffer
// for what a client merely announced, is far more.
const RSS_SLACK = 48 * 2 ** 20;
const VOLATILE = new Set(['connectionState', 'connectionStateUpdatedTime', 'lastActivityTime']);

const steady = (value) => JSON.stringify(value, (key, v) => (VOLATILE.has(key) ? undefined : v));

export const rssBytes = (pid) => Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024;
// Processor time used so far, in seconds: what is costly shows there, however busy the machine is.
export function cpuSeconds(pid) {
	const stat = fs.readFileSync(`/proc/${pid}/stat`, 'latin1');
	const [user, system] = stat.slice(stat.lastIndexOf(')') + 2).split(' ').slice(11, 13).map(Number);
	return (user + system) / 100;
}
export const descriptors = (pid) => fs.readdirSync(`/proc/${pid}/fd`).length;

// A hub with some devices, one of them the good client's.
export class Scene {
	// devices are watched; busy ones are there too, for inputs that are allowed. lists: more paths that are watched, whole;
	// prepare(scene) makes what stands there.
	static async start({ args = [], devices = [], busy = [], lists = [], prepare } = {}) {
		const scene = new Scene();
		scene.hub = await startHub({ args: ['--mqtt-port', '1883', ...args] });
		scene.agent = new https.Agent({ keepAlive: true, maxSockets: 2 });
		scene.keys = {};
		scene.etags = {};
		for (const id of [...devices, ...busy, 'other']) {
			const identity = await scene.hub.createDevice(id);
			scene.keys[id] = identity.authentication.symmetricKey.primaryKey;
			scene.etags[id] = identity.etag;
			const twin = await scene.rest('PATCH', `/twins/${id}`, { body: { tags: { place: 'here' }, properties: { desired: { rate: 1, deep: { er: [1, 'x'] } } } } });
			assert.equal(twin.status, 200);
		}
		scene.good = await mqttDevice(scene.hub, 'good');
		assert.equal((await scene.good.report({ hello: true })).status, 204);
		scene.watched = [...devices, 'other', 'good'];
		scene.lists = lists;
		await prepare?.(scene);
		scene.before = await scene.snapshot();
		return scene;
	}

	async stop() {
		this.good?.destroy();
		this.agent?.destroy();
		await this.hub?.stop();
	}

	rest(method, target, options = {}) { return this.hub.rest(method, target, { agent: this.agent, ...options }); }

	// Everything that a hostile input must not change.
	async snapshot() {
		const list = await this.rest('GET', '/devices?top=1000');
		const twins = await Promise.all(this.watched.map((id) => this.rest('GET', `/twins/${id}`)));
		const lists = await Promise.all(this.lists.map((path) => this.rest('GET', path)));
		for (const answer of [list, ...twins, ...lists]) assert.equal(answer.status, 200, answer.text);
		return Object.fromEntries([...list.body.map((identity) => [`device ${identity.deviceId}`, steady(identity)]),
			...twins.map(({ body }) => [`twin ${body.deviceId}`, steady(body)]), ...lists.map(({ text }, i) => [this.lists[i], text])]);
	}

	async unchanged() {
		const was = this.before, now = await this.snapshot();
		this.before = now; // one row's damage is not the next one's fault
		for (const what of Object.keys({ ...was, ...now })) {
			if (was[what] === now[what]) continue;
			const at = [...(was[what] ?? '')].findIndex((c, i) => c !== now[what]?.[i]);
			const part = (all) => all?.slice(Math.max(0, at - 60), at + 100);
			assert.fail(`${what} has changed: from ...${part(was[what])}... to ...${part(now[what])}...`);
		}
	}

	async servesOthers() {
		const twin = await this.good.twinGet();
		assert.equal(twin.status, 200);
		assert.equal(twin.body.reported.hello, true);
		this.good.inbox.take();
	}

	async holds() {
		await this.servesOthers();
		await this.unchanged();
	}

	login(id, options = {}) { return deviceLogin(this.hub, id, this.keys[id], options); }

	// A connected device that listens to its twin's answers.
	async device(id, transport = {}) {
		const client = await RawMqtt.open(this.hub, transport);
		const answer = await client.connect(this.login(id, { clean: true }));
		assert.equal(answer.code, 0, `CONNECT of ${id}`);
		assert.deepEqual(await client.subscribe('$iothub/twin/res/#'), [0]);
		return client;
	}

	// Run `inputs` twice: what the first run leaves in caches and arenas the second finds there.
	async keepsMemory(inputs) {
		await inputs();
		const first = await this.settled();
		await inputs();
		const second = await this.settled();
		if (SLOW > 1) return; // a sanitizer keeps what was freed
		assert.ok(second < first + RSS_SLACK, `resident memory grew from ${first} to ${second} bytes`);
	}

	// Resident memory once the closed connections are gone.
	async settled() {
		const limit = () => descriptors(this.hub.pid) < 120;
		await until(limit, 'the hub has closed the connections that its clients closed');
		await this.servesOthers();
		return rssBytes(this.hub.pid);
	}
}

// ---- answers of an MQTT row ----

// The connection is closed; nothing was said before, or just these packets.
export const closed = (...packets) => ({ closes: true, packets });
// The connection stays; exactly these packets came.
export const stays = (...packets) => ({ closes: false, packets });
export const connack = (code, sessionPresent = 0) => hex(PACKET.CONNACK, [sessionPresent, code]);
export const suback = (id, ...codes) => hex(PACKET.SUBACK, [id >> 8, id & 255, ...codes]);
export const unsuback = (id) => hex(PACKET.UNSUBACK, [id >> 8, id & 255]);
export const puback = (id) => hex(PACKET.PUBACK, [id >> 8, id & 255]);
// The answer to a twin request: its status, and the errorCode of its body.
export const twin = (status, errorCode, rid = '1') => ({ status, errorCode, rid });

const hex = (type, bytes) => packet(type, 0, Buffer.from(bytes)).toString('hex');

function describe(p) {
	if (p.type !== PACKET.PUBLISH) return packet(p.type, p.flags, p.raw).toString('hex');
	const [, status, rid] = /^\$iothub\/twin\/res\/(\d{3})\/\?\$rid=([^&]*)/.exec(p.topic) ?? [];
	if (!status) return p.topic;
	const body = status === '200' || p.payload.length === 0 ? {} : JSON.parse(p.payload.toString('utf8'));
	if (Number(status) >= 400) checkTwinError(body, p);
	return { status: Number(status), errorCode: body.errorCode, rid };
}

function checkTwinError(body, p) { // device-mqtt.md 4.2
	assert.equal(Math.floor(body.errorCode / 1000), Number(p.topic.split('/')[3]), 'errorCode belongs to the status');
	assert.equal(typeof body.message, 'string');
	assert.ok(body.message.length > 0, 'node.js shows the message');
	assert.equal(typeof body.trackingId, 'string');
	assert.ok(!p.topic.includes('$version'), 'an error has no version');
}

// Compare what `client` got with the answer; afterwards the connection is closed.
export async function expectAnswer(client, answer) {
	const got = [];
	try {
		if (answer.closes) {
			await client.closed();
		} else {
			while (got.length < answer.packets.length) got.push(describe(await client.inbox.next(undefined, `answer ${got.length + 1}`)));
			await client.ping(); // it still is a connection
		}
		got.push(...client.inbox.take().map(describe));
	} catch (error) {
		got.push(...client.inbox.take().map(describe), error.message);
	}
	client.destroy();
	assert.deepEqual(got, answer.packets.map((p) => (typeof p === 'object' && p.errorCode === undefined ? { ...p, errorCode: undefined } : p)));
}

// ---- HTTP over a socket of our own ----

// Send the parts, each as a write of its own, and gather what comes until `count` responses are complete or the
// hub closes. {responses: [{status, headers, text, body}], closed, rest}
export async function rawHttp(hub, parts, { count = 1, untilClosed = false, pauseMs = 0, ms = WAIT_MS, localAddress } = {}) {
	const socket = tls.connect({ host: hub.addr, port: hub.httpsPort, ca: hub.pem, localAddress });
	const got = { responses: [], closed: false, rest: Buffer.alloc(0) };
	let failure;
	const done = new Promise((resolve) => {
		socket.on('data', (bytes) => {
			got.rest = Buffer.concat([got.rest, bytes]);
			takeResponses(got);
			if (!untilClosed && got.responses.length >= count) resolve();
		});
		socket.on('error', (error) => { failure = error; });
		socket.on('close', () => { got.closed = true; resolve(); });
	});
	try {
		await within(new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject)), 'the TLS handshake', ms);
		for (const part of [parts].flat()) {
			if (socket.destroyed) break;
			socket.write(part);
			if (pauseMs) await new Promise((resolve) => setTimeout(resolve, pauseMs));
		}
		await within(done, `${count} HTTP responses${untilClosed ? ' and the end' : ''}; so far ${got.responses.map((r) => r.status)}`, ms);
	} finally {
		socket.destroy();
	}
	if (failure) got.failure = failure.code;
	return got;
}

// Send some bytes and leave.
export async function abandonHttp(hub, bytes) {
	const socket = tls.connect({ host: hub.addr, port: hub.httpsPort, ca: hub.pem });
	await within(new Promise((resolve, reject) => {
		socket.on('error', reject);
		socket.once('secureConnect', () => socket.write(bytes, () => { socket.destroy(); resolve(); }));
	}), 'the bytes to be sent');
}

function takeResponses(got) {
	for (;;) {
		const end = got.rest.indexOf('\r\n\r\n');
		if (end < 0) return;
		const [first, ...lines] = got.rest.subarray(0, end).toString('latin1').split('\r\n');
		const headers = Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]));
		const status = Number(first.split(' ')[1]);
		const length = Number(headers['content-length'] ?? 0);
		if (got.rest.length < end + 4 + length) return;
		const text = got.rest.subarray(end + 4, end + 4 + length).toString('utf8');
		got.rest = got.rest.subarray(end + 4 + length);
		if (status === 100) continue;
		got.responses.push({ status, headers, text, body: /json/.test(headers['content-type'] ?? '') && text ? JSON.parse(text) : text });
	}
}

// service-rest.md 1.2 and 4.1, format A
export function expectFault(answer, status, name) {
	assert.equal(`${answer.status} ${answer.headers['iothub-errorcode']}`, `${status} ${name}`, answer.text);
	assert.match(answer.headers['content-type'], /^application\/json/);
	assert.match(answer.headers['x-ms-request-id'], /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i);
	assert.match(answer.body.Message, new RegExp(`^ErrorCode:${name};[^;]+$`));
	assert.match(answer.body.ExceptionMessage, /^Tracking ID:.+TimeStamp:\d\d\/\d\d\/\d{4} \d\d:\d\d:\d\d$/);
}
