// Clients that are slow, many, greedy or deaf: deadlines are absolute, connections per address are counted, and no
// stranger makes the hub remember more than a little. Device-mqtt.md 2.5, 9; service-rest.md 1.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import net from 'node:net';
import tls from 'node:tls';
import { RawMqtt, connectPacket, publishPacket, until, within } from '../lib/hub.mjs';
import { TRANSPORTS, SLOW, Scene, descriptors, rssBytes } from './harness.mjs';

const CONNECT_S = 2, REQUEST_S = 2, PER_ADDRESS = 40;
const DEADLINE_MS = 45_000 * SLOW; // when it must surely have struck, had it not been moved by each byte
const STRANGER = '127.77.7.7';

let scene;
before(async () => {
	scene = await Scene.start({ devices: ['l'], args: ['--connect-timeout', String(CONNECT_S * SLOW), '--request-timeout', String(REQUEST_S * SLOW),
		'--max-connections-per-address', String(PER_ADDRESS)] });
});
after(() => scene?.stop());

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const login = () => connectPacket({ ...scene.login('l'), clean: true });

// A TCP connection to a port; `ended` resolves when the hub has closed it, with the seconds it lasted.
async function dial(port, { secure = true, localAddress } = {}) {
	const at = { host: scene.hub.addr, port, localAddress };
	const socket = secure ? tls.connect({ ...at, ca: scene.hub.pem }) : net.connect(at);
	const begin = Date.now();
	let got = 0;
	socket.on('data', (bytes) => { got += bytes.length; });
	const ended = new Promise((resolve) => { socket.on('error', () => {}).on('close', () => resolve({ seconds: (Date.now() - begin) / 1000, got })); });
	await within(Promise.race([new Promise((resolve) => socket.once(secure ? 'secureConnect' : 'connect', resolve)), ended]), 'the connection');
	return { socket, ended };
}

// The deadline strikes, not before its time, although a byte comes five times in its span.
async function expectDeadline(wire, bytes, seconds) {
	const writer = (async () => {
		for (let i = 0; !wire.socket.destroyed; i++) {
			if (bytes) wire.socket.write(bytes.subarray(i % bytes.length, i % bytes.length + 1));
			await pause(seconds * 200);
		}
	})();
	const { seconds: lasted, got } = await within(wire.ended, 'the deadline', DEADLINE_MS);
	wire.socket.destroy();
	await writer;
	assert.ok(lasted > seconds * 0.7, `closed after ${lasted} s, much too early`);
	return got;
}

describe('deadlines', () => {
	const s = CONNECT_S * SLOW, r = REQUEST_S * SLOW;
	const slowConnect = () => Buffer.concat([Buffer.from([0x10, 0xff, 0x01]), Buffer.alloc(255, 1)]);
	const HELLO = Buffer.from('16030100c8010000c40303'.padEnd(410, '0'), 'hex');
	const rows = [
		['MQTT: nothing at all', () => [scene.hub.mqttsPort, {}], null, s],
		['MQTT: a CONNECT byte by byte', () => [scene.hub.mqttsPort, {}], slowConnect, s],
		['plain MQTT: nothing at all', () => [scene.hub.mqttPort, { secure: false }], null, s],
		['plain MQTT: a CONNECT byte by byte', () => [scene.hub.mqttPort, { secure: false }], slowConnect, s],
		['MQTT: no TLS handshake', () => [scene.hub.mqttsPort, { secure: false }], null, s],
		['MQTT: a TLS handshake byte by byte', () => [scene.hub.mqttsPort, { secure: false }], () => HELLO, s],
		['HTTPS: no TLS handshake', () => [scene.hub.httpsPort, { secure: false }], null, r],
		['HTTPS: a TLS handshake byte by byte', () => [scene.hub.httpsPort, { secure: false }], () => HELLO, r],
		['HTTPS: no request', () => [scene.hub.httpsPort, {}], null, r],
		['HTTPS: headers byte by byte', () => [scene.hub.httpsPort, {}], () => Buffer.from(`GET /twins/l HTTP/1.1\r\nX: ${'x'.repeat(400)}`), r],
	];
	for (const [name, where, bytes, seconds] of rows) {
		test(name, async () => {
			const [port, options] = where();
			await expectDeadline(await dial(port, options), bytes?.(), seconds);
			await scene.holds();
		});
	}

	test('HTTPS: a body byte by byte', async () => {
		const wire = await dial(scene.hub.httpsPort);
		wire.socket.write(`PATCH /twins/l?api-version=2021-04-12 HTTP/1.1\r\nHost: h\r\nAuthorization: ${await scene.hub.token()}\r\nContent-Length: 1000\r\n\r\n`);
		await expectDeadline(wire, Buffer.from('{"tags":{"x":1}}'.padEnd(100)), r);
		await scene.holds();
	});

	test('WebSocket: an upgrade without CONNECT', async () => {
		const client = await RawMqtt.open(scene.hub, { ws: true });
		await client.closed('the deadline', DEADLINE_MS);
		await scene.holds();
	});

	test('a device that has been let in stays beyond them', async () => {
		const device = await scene.device('l');
		await pause((s + 1) * 1000);
		assert.equal((await device.twinGet()).status, 200);
		device.destroy();
	});

	test('keep-alive: silence for one and a half intervals ends it (D-26)', async () => {
		const client = await RawMqtt.open(scene.hub);
		await client.connect({ ...scene.login('l'), clean: true, keepAlive: 1 });
		await client.closed('the keep-alive to end', DEADLINE_MS);
		await scene.holds();
	});
});

describe('one address has so many connections and no more', () => {
	const ports = { 'MQTT over TLS': () => [scene.hub.mqttsPort, {}], 'plain MQTT': () => [scene.hub.mqttPort, { secure: false }], HTTPS: () => [scene.hub.httpsPort, {}] };
	for (const [name, where] of Object.entries(ports)) {
		test(name, async () => {
			const [port, options] = where();
			const from = { ...options, localAddress: STRANGER };
			const held = await Promise.all(Array.from({ length: PER_ADDRESS }, () => dial(port, from)));
			const extra = await dial(port, from);
			const { got } = await within(extra.ended, 'the hub to refuse one connection too many');
			assert.equal(got, 0);
			await scene.servesOthers(); // comes from another address
			assert.equal((await scene.rest('GET', '/twins/l')).status, 200);
			for (const { socket } of held) socket.destroy();
			await until(async () => {
				const again = await dial(port, from);
				const end = await Promise.race([again.ended, pause(300)]);
				again.socket.destroy();
				return end === undefined;
			}, 'the address is let in again');
			await scene.holds();
		});
	}
});

describe('memory', () => {
	test('strangers that announce much and send half of it', async () => {
		const before = await scene.settled();
		const announced = Buffer.concat([Buffer.from([0x10, 0x80, 0x80, 0x0c]), Buffer.from('00044d51545404c2003c', 'hex')]);
		const clients = [];
		for (let i = 0; i < 150; i++) {
			const wire = await dial(scene.hub.mqttPort, { secure: false, localAddress: `127.78.${i >> 4}.${1 + (i & 15)}` });
			wire.socket.write(Buffer.concat([announced, Buffer.alloc(150_000, 'x')]));
			clients.push(wire);
		}
		await pause(200);
		const grown = rssBytes(scene.hub.pid) - before;
		if (SLOW === 1) assert.ok(grown < 64 * 2 ** 20, `${grown} bytes for 150 strangers`);
		await Promise.all(clients.map((wire) => within(wire.ended, 'their deadline', DEADLINE_MS)));
		await scene.holds();
	});

	test('a device that never reads is let go, and others are served meanwhile', async () => {
		assert.equal((await scene.rest('PATCH', '/twins/other', { body: { properties: { desired: Object.fromEntries(Array.from({ length: 7 }, (_, i) => [`big${i}`, 'x'.repeat(4000)])) } } })).status, 200);
		scene.before = await scene.snapshot();
		const before = await scene.settled();
		for (const [name, transport] of Object.entries(TRANSPORTS)) {
			const deaf = await scene.device('other', transport);
			(deaf.socket._socket ?? deaf.socket).pause();
			const reads = Buffer.concat(Array.from({ length: 500 }, (_, i) => publishPacket(`$iothub/twin/GET/?$rid=${i}`, '')));
			for (let i = 0; i < 40 && !deaf.isClosed; i++) { // answers of 560 MB in all
				deaf.send(reads);
				await scene.servesOthers();
			}
			const grown = rssBytes(scene.hub.pid) - before;
			if (SLOW === 1) assert.ok(grown < 96 * 2 ** 20, `${name}: ${grown} bytes for one deaf client`);
			(deaf.socket._socket ?? deaf.socket).resume();
			await deaf.closed(`${name}: the hub to let the deaf client go`, 60_000 * SLOW);
		}
		await scene.holds();
	});

	test('an HTTPS client that asks and never reads', async () => {
		const before = await scene.settled();
		const wire = await dial(scene.hub.httpsPort);
		wire.socket.pause();
		const one = `GET /twins/other?api-version=2021-04-12 HTTP/1.1\r\nHost: x\r\nAuthorization: ${await scene.hub.token()}\r\n\r\n`;
		wire.socket.write(one.repeat(2000));
		await pause(500);
		await scene.servesOthers();
		const grown = rssBytes(scene.hub.pid) - before;
		if (SLOW === 1) assert.ok(grown < 32 * 2 ** 20, `${grown} bytes for one deaf client`);
		wire.socket.destroy();
		await scene.holds();
	});

	test('connections that come and go leave nothing', async () => {
		await scene.keepsMemory(async () => {
			for (let i = 0; i < 300; i++) {
				const wire = await dial([scene.hub.mqttsPort, scene.hub.httpsPort, scene.hub.mqttPort][i % 3], { secure: i % 3 < 2 });
				if (i % 2) wire.socket.write(login().subarray(0, i % 100));
				wire.socket.destroy();
			}
		});
		const before = descriptors(scene.hub.pid);
		assert.ok(before < 120, `${before} descriptors open`);
		await scene.holds();
	});
});
