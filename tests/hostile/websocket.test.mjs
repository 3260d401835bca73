// WebSocket itself, frame by frame, below MQTT: RFC 6455; device-mqtt.md 1.1.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import tls from 'node:tls';
import { randomBytes } from 'node:crypto';
import { connectPacket, packet, within } from '../lib/hub.mjs';
import { Scene, connack, expectFault, rawHttp } from './harness.mjs';

let scene;
before(async () => { scene = await Scene.start({ devices: ['w'] }); });
after(() => scene?.stop());

const BINARY = 2, TEXT = 1, CONTINUATION = 0, CLOSE = 8, PING = 9, PONG = 10;

// One frame; `length` lies about the payload's.
function frame(opcode, payload = Buffer.alloc(0), { fin = true, reserved = 0, masked = true, length = payload.length, wide = 0 } = {}) {
	const head = [(fin ? 0x80 : 0) | reserved << 4 | opcode];
	const mask = masked ? 0x80 : 0;
	let tail = Buffer.alloc(0);
	if (wide === 8 || length > 65_535) {
		head.push(mask | 127);
		tail = Buffer.alloc(8);
		tail.writeBigUInt64BE(BigInt(length));
	} else if (wide === 2 || length > 125) {
		head.push(mask | 126);
		tail = Buffer.from([length >> 8, length & 255]);
	} else {
		head.push(mask | length);
	}
	const key = masked ? randomBytes(4) : Buffer.alloc(0);
	const body = masked ? Buffer.from(payload.map((byte, i) => byte ^ key[i % 4])) : payload;
	return Buffer.concat([Buffer.from(head), tail, key, body]);
}

const request = (change = {}) => {
	const headers = { Host: scene.hub.addr, Upgrade: 'websocket', Connection: 'Upgrade', 'Sec-WebSocket-Version': '13',
		'Sec-WebSocket-Key': randomBytes(16).toString('base64'), 'Sec-WebSocket-Protocol': 'mqtt', ...change.headers };
	return `${change.method ?? 'GET'} ${change.path ?? '/$iothub/websocket'} HTTP/1.1\r\n` +
		Object.entries(headers).filter(([, v]) => v !== null).map(([k, v]) => `${k}: ${v}\r\n`).join('') + '\r\n';
};

class Wire {
	static async open(change = {}, extra = Buffer.alloc(0)) {
		const wire = new Wire();
		wire.bytes = Buffer.alloc(0);
		wire.socket = tls.connect({ host: scene.hub.addr, port: scene.hub.httpsPort, ca: scene.hub.pem });
		wire.socket.on('error', () => {});
		wire.ended = new Promise((resolve) => wire.socket.on('close', resolve));
		wire.socket.on('data', (part) => { wire.bytes = Buffer.concat([wire.bytes, part]); wire.wake?.(); });
		await within(new Promise((resolve, reject) => wire.socket.once('secureConnect', resolve).once('error', reject)), 'the TLS handshake');
		wire.socket.write(Buffer.concat([Buffer.from(request(change)), extra]));
		await wire.until(() => wire.bytes.includes('\r\n\r\n'), 'the answer to the upgrade');
		const end = wire.bytes.indexOf('\r\n\r\n') + 4;
		wire.head = wire.bytes.subarray(0, end).toString();
		wire.bytes = wire.bytes.subarray(end);
		return wire;
	}

	async until(test, what) {
		while (!test()) await within(Promise.race([new Promise((resolve) => { this.wake = resolve; }), this.ended.then(() => { throw new Error(`closed before ${what}`); })]), what);
	}

	// The next frame of the hub, {opcode, payload}; the hub's are never masked.
	async frame() {
		let size = 2, length;
		const whole = () => {
			if (this.bytes.length < 2) return false;
			assert.equal(this.bytes[1] & 0x80, 0, 'a server does not mask');
			length = this.bytes[1] & 127;
			if (length === 126) {
				if (this.bytes.length < 4) return false;
				length = this.bytes.readUInt16BE(2);
				size = 4;
			}
			return this.bytes.length >= size + length;
		};
		await this.until(whole, 'a frame');
		const one = { opcode: this.bytes[0] & 15, payload: this.bytes.subarray(size, size + length) };
		this.bytes = this.bytes.subarray(size + length);
		return one;
	}

	// The hub says Close with this code, or (null) nothing at all, and the connection ends.
	async closes(code) {
		if (code !== null) {
			let one;
			do one = await this.frame(); while (one.opcode !== CLOSE);
			assert.equal(one.payload.readUInt16BE(0), code);
		}
		await within(this.ended, 'the connection to end');
		assert.equal(this.bytes.length, 0);
	}
}

const login = () => connectPacket({ ...scene.login('w'), clean: true });
const PINGREQ = packet(12, 0);

const violations = [
	['a text frame', () => frame(TEXT, login()), 1003],
	['a frame that is not masked', () => frame(BINARY, login(), { masked: false }), 1002],
	['the first reserved bit', () => frame(BINARY, login(), { reserved: 4 }), 1002],
	['the third reserved bit', () => frame(BINARY, login(), { reserved: 1 }), 1002],
	['the unknown opcode 3', () => frame(3, login()), 1002],
	['the unknown opcode 11', () => frame(11), 1002],
	['a ping in fragments', () => frame(PING, Buffer.from('x'), { fin: false }), 1002],
	['a ping of 126 bytes', () => frame(PING, Buffer.alloc(126)), 1002],
	['a continuation of nothing', () => frame(CONTINUATION, login()), 1002],
	['a new message inside a message', () => Buffer.concat([frame(BINARY, login().subarray(0, 5), { fin: false }), frame(BINARY, login().subarray(5))]), 1002],
	['a length in more bytes than it needs', () => frame(BINARY, login(), { wide: 8 }), 1002],
	['a length of 2^63', () => Buffer.from('82ff8000000000000000', 'hex'), 1002],
	['a Close with half a code', () => frame(CLOSE, Buffer.from([3])), 1002],
];

describe('frames', () => {
	for (const [name, bytes, code] of violations) {
		test(`${name}: Close ${code}`, async () => {
			const wire = await Wire.open();
			wire.socket.write(bytes());
			await wire.closes(code);
			await scene.holds();
		});
	}

	test('Close is answered with Close', async () => {
		const wire = await Wire.open();
		wire.socket.write(frame(CLOSE, Buffer.from([3, 0xe8])));
		await wire.closes(1000);
	});

	test('an MQTT violation closes the WebSocket too', async () => {
		const wire = await Wire.open();
		wire.socket.write(frame(BINARY, PINGREQ));
		await within(wire.ended, 'the connection to end');
		await scene.holds();
	});

	test('packets of MQTT need not fit frames (D-05)', async () => {
		for (const cut of [
			(bytes) => [...bytes].map((byte) => frame(BINARY, Buffer.from([byte]))),
			(bytes) => [...bytes].map((byte, i) => frame(i === 0 ? BINARY : CONTINUATION, Buffer.from([byte]), { fin: i === bytes.length - 1 })),
			(bytes) => [frame(BINARY), frame(BINARY, bytes), frame(BINARY)],
			(bytes) => [frame(BINARY, bytes.subarray(0, 9), { fin: false }), frame(PING, Buffer.from('p')), frame(CONTINUATION, bytes.subarray(9))],
		]) {
			const wire = await Wire.open();
			wire.socket.write(Buffer.concat(cut(Buffer.concat([login(), PINGREQ]))));
			let mqtt = '';
			while (mqtt.length < 12) {
				const one = await wire.frame();
				if (one.opcode === BINARY) mqtt += one.payload.toString('hex');
				else assert.equal(one.opcode, PONG);
			}
			assert.equal(mqtt, `${connack(0)}d000`);
			wire.socket.destroy();
		}
		await scene.holds();
	});

	test('frames that come with the upgrade request are read', async () => {
		const wire = await Wire.open({}, frame(BINARY, login()));
		assert.equal((await wire.frame()).payload.toString('hex'), connack(0));
		wire.socket.destroy();
	});

	test('a frame cut at every byte leaves nothing behind', async () => {
		const bytes = frame(BINARY, login());
		for (let at = 0; at < bytes.length; at += 7) {
			const wire = await Wire.open();
			wire.socket.write(bytes.subarray(0, at));
			wire.socket.destroy();
		}
		await scene.holds();
	});
});

const refusals = [
	['version 8', { headers: { 'Sec-WebSocket-Version': '8' } }, 400, 'InvalidProtocolVersion'],
	['no version', { headers: { 'Sec-WebSocket-Version': null } }, 400, 'InvalidProtocolVersion'],
	['no key', { headers: { 'Sec-WebSocket-Key': null } }, 400, 'ArgumentInvalid'],
	['an empty key', { headers: { 'Sec-WebSocket-Key': '' } }, 400, 'ArgumentInvalid'],
	['a key of the wrong length', { headers: { 'Sec-WebSocket-Key': 'eA==' } }, 400, 'ArgumentInvalid'],
	['another subprotocol', { headers: { 'Sec-WebSocket-Protocol': 'chat' } }, 400, 'InvalidOperation'],
	['a POST', { method: 'POST', headers: { 'Content-Length': '0' } }, 400, 'InvalidOperation'],
];

describe('upgrades', () => {
	for (const [name, change, status, code] of refusals) {
		test(`${name} is refused`, async () => {
			const { responses } = await rawHttp(scene.hub, request(change));
			expectFault(responses[0], status, code);
			await scene.holds();
		});
	}

	test('another path is no WebSocket', async () => {
		const { responses } = await rawHttp(scene.hub, request({ path: '/devices' }));
		assert.equal(responses[0].status, 401);
	});

	test('the spelling of the subprotocol is echoed, and only one of those offered', async () => {
		for (const offered of ['MQTT', 'mqtt', 'chat, mQtT']) {
			const wire = await Wire.open({ headers: { 'Sec-WebSocket-Protocol': offered } });
			assert.match(wire.head, /^HTTP\/1.1 101 /);
			assert.match(wire.head, new RegExp(`\r\nSec-WebSocket-Protocol: ${offered.split(', ').at(-1)}\r\n`, 'i'));
			assert.ok(wire.head.includes(offered.split(', ').at(-1)));
			wire.socket.destroy();
		}
	});
});
