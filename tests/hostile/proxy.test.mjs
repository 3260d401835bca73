// Behind a balancer: who connects from --proxy names its client first, by PROXY protocol version 2, and that client is the one that
// limits, logs and sessions know. Nets that are free of the limit by address. docs/operations.md, "Behind a balancer".
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import net from 'node:net';
import tls from 'node:tls';
import { connectPacket, startHub, tempDir, until, within } from '../lib/hub.mjs';
import { SLOW, Scene } from './harness.mjs';

const BALANCER = '127.200.0.7', FREE = '127.201.0.7', STRANGER = '127.202.0.7';
const PER_ADDRESS = 8, TIMEOUT_S = 3;
const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');

let scene;
before(async () => {
	scene = await Scene.start({ devices: ['b'], args: ['--proxy', '127.200.0.0/16', '--rate-limit', 'address:configurations=2/d,2', '--address-free', '127.201.0.0/16', '--max-connections-per-address', String(PER_ADDRESS),
		'--connect-timeout', String(TIMEOUT_S * SLOW), '--request-timeout', String(TIMEOUT_S * SLOW), '--log-level', 'debug'] }); // each line is awaited: none is folded
});
after(() => scene?.stop());

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function header({ client = '192.0.2.9', port = 4660, command = 0x21, family = client.includes(':') ? 0x21 : 0x11, tlvs = Buffer.alloc(0), length } = {}) {
	const address = family === 0x21
		? Buffer.concat([Buffer.from('20010db8000000000000000000000009', 'hex'), Buffer.alloc(16, 1)])
		: Buffer.concat([Buffer.from(client.split('.').map(Number)), Buffer.from([10, 0, 0, 1])]);
	const ports = Buffer.alloc(4);
	ports.writeUInt16BE(port, 0);
	ports.writeUInt16BE(443, 2);
	const body = command === 0x20 ? tlvs : Buffer.concat([address, ports, tlvs]);
	const fixed = Buffer.from([command, command === 0x20 ? 0 : family, 0, 0]);
	fixed.writeUInt16BE(length ?? body.length, 2);
	return Buffer.concat([SIGNATURE, fixed, body]);
}

async function dial(port, localAddress) {
	const socket = net.connect({ host: scene.hub.addr, port, localAddress });
	socket.on('error', () => {});
	const ended = new Promise((resolve) => { socket.on('close', resolve); });
	await within(new Promise((resolve) => socket.once('connect', resolve)), 'the connection');
	return { socket, ended };
}

// What the hub says to a device, or to a request, whose bytes are sent behind `first`, piece by piece.
async function speak(listener, { from = BALANCER, first = header(), pieces = 1, path } = {}) {
	const { port, secure, send } = listeners[listener]();
	const { socket, ended } = await dial(port, from);
	socket.setNoDelay(true);
	for (let i = 0; i < pieces; i++) {
		socket.write(first.subarray(Math.floor(first.length * i / pieces), Math.floor(first.length * (i + 1) / pieces)));
		if (pieces > 1) await pause(20);
	}
	const stream = secure ? tls.connect({ socket, ca: scene.hub.pem, servername: '', checkServerIdentity: () => undefined }) : socket;
	stream.on('error', () => {});
	stream.write(await send(path));
	const answer = await within(Promise.race([ended.then(() => ''), new Promise((resolve) => stream.once('data', (bytes) => resolve(bytes.toString('latin1'))))]), `${listener}: an answer or the end`);
	return { answer, socket, stream, ended };
}

const connect = () => connectPacket({ ...scene.login('b'), clean: true });
const CONNACK = '\x20\x02\x00\x00';
const listeners = {
	'MQTT over TLS': () => ({ port: scene.hub.mqttsPort, secure: true, send: connect, good: CONNACK }),
	'plain MQTT': () => ({ port: scene.hub.mqttPort, secure: false, send: connect, good: CONNACK }),
	HTTPS: () => ({ port: scene.hub.httpsPort, secure: true, good: 'HTTP/1.1 200',
		send: async (path = '/twins/b?') => `GET ${path}&api-version=2021-04-12 HTTP/1.1\r\nHost: x\r\nAuthorization: ${await scene.hub.token()}\r\n\r\n` }),
	'MQTT over WebSocket': () => ({ port: scene.hub.httpsPort, secure: true, good: 'HTTP/1.1 101',
		send: () => 'GET /$iothub/websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n' }),
};

for (const listener of Object.keys(listeners)) {
	describe(listener, () => {
		const good = [
			['a client over IPv4', {}],
			['a client over IPv6', { first: header({ client: '2001:db8::9' }) }],
			['TLVs are passed over', { first: header({ tlvs: Buffer.concat([Buffer.from([4, 7, 200]), Buffer.alloc(1992)]) }) }],
			['the header byte by byte', { pieces: 28 }],
			['the balancer for itself', { first: header({ command: 0x20 }) }],
			['a balancer that does not know its client', { first: header({ family: 0 }) }],
			['who is no balancer says nothing before', { from: STRANGER, first: Buffer.alloc(0) }],
		];
		for (const [name, options] of good) {
			test(`L-99 ${name}`, async () => {
				const { answer, socket } = await speak(listener, options);
				assert.ok(answer.startsWith(listeners[listener]().good), JSON.stringify(answer));
				socket.destroy();
				await scene.holds();
			});
		}

		const bad = [
			['no header', Buffer.alloc(0), 'no header of PROXY protocol version 2'],
			['version 1', Buffer.from('PROXY TCP4 192.0.2.9 10.0.0.1 4660 443\r\n'), 'a header of PROXY protocol version 1: version 2 is needed'],
			['another command', header({ command: 0x22 }), 'with an unknown command'],
			['UDP', header({ family: 0x12 }), 'something other than TCP'],
			['too short for its addresses', header({ length: 11 }), 'without room for its addresses'],
			['too long', header({ length: 2049 }), 'longer than 2,064 bytes'],
		];
		for (const [name, first, why] of bad) {
			test(`L-99 closed, with the reason in the log: ${name}`, async () => {
				const seen = scene.hub.logs.length;
				const { answer } = await speak(listener, { first });
				assert.equal(answer, '');
				const line = new RegExp(`reason=proxy-header .*address=${BALANCER.replaceAll('.', '\\.')}:\\d+ detail="[^"]*${why}`);
				await until(() => line.test(scene.hub.logs.slice(seen)), `a line of the log: ${line}`);
				await scene.holds();
			});
		}

		test('L-99 closed in time, if the header does not come to its end', async () => {
			const seen = scene.hub.logs.length;
			const { socket, ended } = await dial(listeners[listener]().port, BALANCER);
			const first = header();
			const drip = setInterval(() => socket.write(Buffer.alloc(0)), 500);
			socket.write(first.subarray(0, 20));
			await within(ended, 'the deadline');
			clearInterval(drip);
			await until(() => /reason=proxy-header .*not there in time/.test(scene.hub.logs.slice(seen)), 'a line of the log');
			await scene.holds();
		});

		test('L-99 a header of who is no balancer is none', async () => {
			const { answer } = await speak(listener, { from: STRANGER });
			assert.equal(answer, '');
			await scene.holds();
		});

		test('L-98 L-99 limits and the log know the client, not the balancer', async () => {
			const seen = scene.hub.logs.length, held = [];
			const one = () => dial(listeners[listener]().port, BALANCER);
			for (let i = 0; i < PER_ADDRESS; i++) {
				held.push(await one());
				held.at(-1).socket.write(header({ client: '192.0.2.77' }));
			}
			const over = await one();
			over.socket.write(header({ client: '192.0.2.77', port: 999 }));
			await within(over.ended, 'the hub to refuse one connection too many');
			await until(() => /reason=too-many-of-address .*address=192\.0\.2\.77:999/.test(scene.hub.logs.slice(seen)), 'a line of the log');
			const other = await speak(listener, { first: header({ client: '192.0.2.78' }) });
			assert.ok(other.answer.startsWith(listeners[listener]().good));
			other.socket.destroy();
			for (const { socket } of held) socket.destroy();
			await until(async () => {
				const again = await speak(listener, { first: header({ client: '192.0.2.77' }) });
				again.socket.destroy();
				return again.answer !== '';
			}, 'the client is let in again');
			await scene.holds();
		});

		test('L-98 a net that is free of the limit', async () => {
			const held = [];
			for (let i = 0; i < 3 * PER_ADDRESS; i++) held.push(await dial(listeners[listener]().port, FREE));
			const { answer, socket } = await speak(listener, { from: FREE, first: Buffer.alloc(0) });
			assert.ok(answer.startsWith(listeners[listener]().good));
			for (const wire of held) assert.equal(wire.socket.destroyed, false);
			for (const wire of [...held, { socket }]) wire.socket.destroy();
			await scene.holds();
		});
	});
}

test('L-99 the line of a session has its client', async () => {
	const seen = scene.hub.logs.length;
	const { socket } = await speak('MQTT over TLS', { first: header({ client: '192.0.2.80', port: 1234 }) });
	socket.destroy();
	await until(() => /device=b .*address=192\.0\.2\.80:1234/.test(scene.hub.logs.slice(seen)), 'the line of its end');
	await scene.holds();
});

test('L-98 L-99 rate limits by address are the client\'s, and a free net has none', async () => {
	const ask = async (options) => {
		const { answer, socket } = await speak('HTTPS', { path: '/configurations?top=1', ...options });
		socket.destroy();
		return Number(answer.split(' ')[1]);
	};
	const statuses = async (n, options) => {
		const all = [];
		while (all.length < n) all.push(await ask(options));
		return all;
	};
	assert.deepEqual(await statuses(3, { first: header({ client: '192.0.2.60' }) }), [200, 200, 429]);
	assert.deepEqual(await statuses(3, { first: header({ client: '192.0.2.61' }) }), [200, 200, 429]);
	assert.deepEqual(await statuses(4, { from: FREE, first: Buffer.alloc(0) }), [200, 200, 200, 200]);
	assert.deepEqual(await statuses(4, { first: header({ client: '127.201.0.9' }) }), [200, 200, 200, 200]);
	await scene.holds();
});

test('L-99 a WebSocket has its client', async () => {
	const seen = scene.hub.logs.length;
	const { answer, stream, socket } = await speak('MQTT over WebSocket', { first: header({ client: '192.0.2.81', port: 1234 }) });
	assert.ok(answer.startsWith('HTTP/1.1 101'), answer);
	const packet = connect(), frame = Buffer.alloc(8);
	frame.set([0x82, 0xfe, packet.length >> 8, packet.length & 255]); // masked by 0
	stream.write(Buffer.concat([frame, packet]));
	const connack = await within(new Promise((resolve) => stream.once('data', resolve)), 'a CONNACK');
	assert.equal(connack.subarray(-4).toString('latin1'), CONNACK);
	socket.destroy();
	await until(() => /device=b .*address=192\.0\.2\.81:1234/.test(scene.hub.logs.slice(seen)), 'the line of its end');
	await scene.holds();
});

test('L-98 L-99 the ready line says what is in force', () => {
	assert.match(scene.hub.logs, new RegExp(`^twinhub ready: .*, ${PER_ADDRESS} of one address but any number from 127\\.201\\.0\\.0/16, PROXY v2 from 127\\.200\\.0\\.0/16, memory [0-9]+ MB, data `, 'm'));
});

test('L-98 L-99 a net that is none is refused at start', async () => {
	for (const [option, value] of [['--proxy', '10.0.0.1/8'], ['--address-free', '10.0.0.0/33'], ['--proxy', 'balancer']])
		await assert.rejects(startHub({ dir: `${tempDir('proxy')}/data`, args: [option, value] }), (error) => error.message.includes(`${option} ${value}: not an address or a net`));
});
