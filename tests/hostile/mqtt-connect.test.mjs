// Before a client is known: whatever comes first, over TLS, plain TCP and WebSocket. device-mqtt.md 2, D-10 to D-19, D-28.
import { after, before, describe, test } from 'node:test';
import net from 'node:net';
import assert from 'node:assert/strict';
import { RawMqtt, connectPacket, mqttUsername, packet, publishPacket, sasSignature, sasToken, subscribePacket, unsubscribePacket, within } from '../lib/hub.mjs';
import { TRANSPORTS, Scene, closed, connack, expectAnswer, stays } from './harness.mjs';

let scene;
before(async () => {
	scene = await Scene.start({ devices: ['d', 'dx', 'off', 'cert'] });
	await scene.rest('PUT', '/devices/off', { headers: { 'If-Match': '*' }, body: { deviceId: 'off', status: 'disabled',
		authentication: { type: 'sas', symmetricKey: { primaryKey: scene.keys.off, secondaryKey: scene.keys.off } } } });
	await scene.rest('PUT', '/devices/cert', { headers: { 'If-Match': '*' }, body: { deviceId: 'cert',
		authentication: { type: 'selfSigned', x509Thumbprint: { primaryThumbprint: 'ab'.repeat(20), secondaryThumbprint: '' } } } });
	scene.before = await scene.snapshot();
});
after(() => scene?.stop());

const text = (s) => {
	const bytes = Buffer.isBuffer(s) ? s : Buffer.from(s);
	return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
};
// A CONNECT from its parts, as wrong as wanted.
const connect = ({ first = 0x10, name = text('MQTT'), level = 4, flags = 0xc2, keepAlive = [0, 60], payload }) => {
	const body = Buffer.concat([name, Buffer.from([level, flags, ...keepAlive]), ...payload]);
	return Buffer.concat([Buffer.from([first]), packet(1, 0, body).subarray(1)]);
};
const good = (change = {}) => {
	const { clientId, username, password } = scene.login('d');
	return connect({ payload: [text(clientId), text(username), text(password)], ...change });
};
const login = (change) => connectPacket({ ...scene.login('d'), clean: true, ...change });
const user = (id = 'd') => mqttUsername(scene.hub.addr, id);
const token = (change = {}) => sasToken({ resource: `${scene.hub.addr}/devices/d`, key: scene.keys.d, ...change });
const withToken = (password) => login({ password });
const cut = (bytes, from, to) => bytes.subarray(from, to);
const DENIED = () => closed(connack(5));
const SILENT = () => closed();

const firstPackets = [
	['CONNACK', () => packet(2, 0, Buffer.from([0, 0]))],
	['PUBLISH', () => publishPacket('devices/d/messages/events/', 'x')],
	['PUBLISH with QoS 1', () => publishPacket('devices/d/messages/events/', 'x', { qos: 1, id: 1 })],
	['PUBACK', () => packet(4, 0, Buffer.from([0, 1]))],
	['PUBREC', () => packet(5, 0, Buffer.from([0, 1]))],
	['PUBREL', () => packet(6, 2, Buffer.from([0, 1]))],
	['PUBCOMP', () => packet(7, 0, Buffer.from([0, 1]))],
	['SUBSCRIBE', () => subscribePacket(1, [{ filter: '$iothub/twin/res/#', qos: 0 }])],
	['SUBACK', () => packet(9, 0, Buffer.from([0, 1, 0]))],
	['UNSUBSCRIBE', () => unsubscribePacket(1, ['a'])],
	['UNSUBACK', () => packet(11, 0, Buffer.from([0, 1]))],
	['PINGREQ', () => packet(12, 0)],
	['PINGRESP', () => packet(13, 0)],
	['DISCONNECT', () => packet(14, 0)],
	['the reserved type 0', () => packet(0, 0)],
	['the reserved type 15', () => packet(15, 0)],
	['an HTTP request', () => Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
	['zeros', () => Buffer.alloc(64)],
	['ones', () => Buffer.alloc(64, 255)],
].map(([name, bytes]) => [`${name} as the first packet`, bytes, SILENT]);

const headers = [
	['flags in the first byte', () => good({ first: 0x11 }), SILENT],
	['remaining length 0', () => Buffer.from([0x10, 0]), SILENT],
	['remaining length of less than the fixed part', () => Buffer.from([0x10, 4, 0, 4, 0x4d, 0x51]), SILENT],
	['a remaining length of five bytes', () => Buffer.from([0x10, 0xff, 0xff, 0xff, 0xff, 1]), SILENT],
	['a remaining length of 268 million, and nothing else', () => Buffer.from([0x10, 0xff, 0xff, 0xff, 0x7f]), SILENT],
	['a remaining length over the largest CONNECT', () => Buffer.from([0x10, 0xff, 0xff, 0x7f]), SILENT],
	['a remaining length one too small', () => { const b = login(); b[1] -= 1; return b; }, SILENT],
	['bytes behind the password', () => good({ payload: [...['d', user(), token()].map(text), Buffer.from('x')] }), SILENT],
	['the protocol name MQTX', () => good({ name: text('MQTX') }), SILENT],
	['an empty protocol name', () => good({ name: text('') }), SILENT],
	['a protocol name with a false length', () => good({ name: Buffer.from([0xff, 0xff, 0x4d, 0x51, 0x54, 0x54]) }), SILENT],
	['level 3', () => good({ level: 3 }), () => closed(connack(1))],
	['level 3 under its old name', () => good({ name: text('MQIsdp'), level: 3 }), () => closed(connack(1))],
	['level 5', () => good({ level: 5 }), () => closed(connack(1))],
	['level 0', () => good({ level: 0 }), () => closed(connack(1))],
	['level 255', () => good({ level: 255 }), () => closed(connack(1))],
	['the reserved connect flag', () => good({ flags: 0xc3 }), SILENT],
	['a will QoS without will', () => good({ flags: 0xca }), SILENT],
	['a will retain without will', () => good({ flags: 0xe2 }), SILENT],
	['a password without user name', () => connect({ flags: 0x42, payload: [text('d'), text(token())] }), SILENT],
	['will QoS 3', () => connect({ flags: 0xde, payload: ['d', 'devices/d/messages/events/', 'x', user(), token()].map(text) }), SILENT],
	['will QoS 2', () => login({ will: { topic: 'devices/d/messages/events/', qos: 2 } }), SILENT],
	['a client id longer than the packet', () => connect({ payload: [Buffer.from([0xff, 0xff, 0x64])] }), SILENT],
	['a user name longer than the packet', () => connect({ payload: [text('d'), Buffer.from([0x10, 0, 0x64])] }), SILENT],
	['a password longer than the packet', () => connect({ payload: [text('d'), text(user()), Buffer.from([0, 5, 0x64])] }), SILENT],
	['a missing password', () => connect({ payload: [text('d'), text(user())] }), SILENT],
	['a client id with a NUL', () => login({ clientId: 'd\0' }), SILENT],
	['a client id that is not UTF-8', () => login({ clientId: Buffer.from('ff', 'hex') }), SILENT],
	['a client id with a surrogate', () => login({ clientId: Buffer.from('eda080', 'hex') }), SILENT],
	['a client id in overlong UTF-8', () => login({ clientId: Buffer.from('c180', 'hex') }), SILENT],
	['a user name that is not UTF-8', () => login({ username: Buffer.from('c328', 'hex') }), SILENT],
	['a user name of 4,097 bytes', () => login({ username: user() + '&x='.padEnd(4097 - user().length, 'x') }), SILENT],
	['a user name of 65,535 bytes', () => login({ username: 'u'.repeat(65_535) }), SILENT],
	['a password of 4,097 bytes', () => login({ password: 'p'.repeat(4097) }), SILENT],
	['an empty client id', () => login({ clientId: '' }), () => closed(connack(2))],
	['an empty client id and a durable session', () => login({ clientId: '', clean: false }), () => closed(connack(2))],
];

const identities = [
	['no user name', () => login({ username: undefined, password: undefined }), DENIED],
	['an empty user name', () => login({ username: '' }), DENIED],
	['a user name that is no path', () => login({ username: 'd' }), DENIED],
	['a user name of four segments', () => login({ username: `${scene.hub.addr}/d/m/x/?api-version=2021-04-12` }), DENIED],
	['a user name of slashes', () => login({ username: '/'.repeat(4000) }), DENIED],
	['a foreign host', () => login({ username: 'elsewhere.example/d/?api-version=2021-04-12' }), DENIED],
	['another client id than in the user name', () => login({ clientId: 'other' }), DENIED],
	['a client id in another case', () => login({ clientId: 'D' }), DENIED],
	['a client id of 60,000 bytes', () => login({ clientId: 'd'.repeat(60_000) }), DENIED],
	['an id that cannot be one', () => login({ clientId: 'd d', username: user('d d') }), DENIED],
	['an id of 129 characters', () => login({ clientId: 'd'.repeat(129), username: user('d'.repeat(129)) }), DENIED],
	['an unknown device', () => login({ clientId: 'nobody', username: user('nobody') }), DENIED],
	['an unknown module', () => login({ clientId: 'd/m', username: user('d/m') }), DENIED],
	['a disabled device', () => connectPacket({ ...scene.login('off'), clean: true }), DENIED],
	['a will outside the telemetry tree', () => login({ will: { topic: '$iothub/twin/PATCH/properties/reported/?$rid=1', payload: '{}' } }), DENIED],
	['a will in another device\'s tree', () => login({ will: { topic: 'devices/other/messages/events/', payload: '{}' } }), DENIED],
	['a will with an empty topic', () => login({ will: { topic: '', payload: '{}' } }), DENIED],
	['neither password nor certificate', () => login({ password: undefined }), DENIED],
	['a token for a device that has a thumbprint', () => connectPacket({ ...scene.login('cert'), clean: true }), DENIED],
	['no certificate for a device that has a thumbprint', () => connectPacket({ ...scene.login('cert'), clean: true, password: undefined }), DENIED],
];

const tokens = [
	['an empty password', () => ''],
	['a word', () => 'secret'],
	['another scheme', () => token().replace('SharedAccessSignature', 'Bearer')],
	['bytes that are no text', () => Buffer.from('ff00fe01', 'hex')],
	['4,096 ampersands', () => `SharedAccessSignature ${'&'.repeat(4000)}`],
	['no sr', () => token().replace(/sr=[^&]*&/, '')],
	['no sig', () => token().replace(/sig=[^&]*&/, '')],
	['no se', () => token().replace(/&se=[^&]*/, '')],
	['sr twice', () => `${token()}&sr=x`],
	['se twice', () => `${token()}&se=1`],
	['sig twice', () => `${token()}&sig=x`],
	['an empty signature', () => token().replace(/sig=[^&]*/, 'sig=')],
	['a signature of other bytes', () => token().replace(/sig=[^&]*/, `sig=${encodeURIComponent(Buffer.alloc(32).toString('base64'))}`)],
	['half a signature', () => token().replace(/sig=([^&]{20})[^&]*/, 'sig=$1')],
	['a signature that is not base64', () => token().replace(/sig=[^&]*/, 'sig=%20%20%20%20')],
	['the key of another device', () => token({ key: scene.keys.other })],
	['the right key over another resource', () => token({ resource: `${scene.hub.addr}/devices/other` })],
	['a resource whose id merely begins like this one', () => token({ resource: `${scene.hub.addr}/devices/dx` })],
	['a resource on another host', () => token({ resource: 'elsewhere.example/devices/d' })],
	['a resource under /twins', () => token({ resource: `${scene.hub.addr}/twins/d` })],
	['a deeper resource', () => token({ resource: `${scene.hub.addr}/devices/d/modules/m` })],
	['an empty resource', () => token({ resource: '' })],
	['an expiry an hour ago', () => token({ ttl: -3600 })],
	['an expiry in 1970', () => token({ expires: 0 })],
	['a negative expiry', () => token({ expires: -1 })],
	['an expiry that is no number', () => token({ expires: 'tomorrow' })],
	['an expiry in hexadecimal', () => token({ expires: '0xffffffff' })],
	['an expiry that was moved', () => token({ expires: 1 }).replace('se=1', 'se=4102444800')],
	['an unknown policy', () => token({ policy: 'nobody' })],
	['a policy\'s name over the device\'s key', () => token({ policy: 'device' })],
	['a policy of 3,000 characters', () => token({ policy: 'p'.repeat(3000) })],
].map(([name, password]) => [`password: ${name}`, () => withToken(password()), DENIED]);

const sequences = [
	['CONNECT twice in one write', () => Buffer.concat([login(), login()]), () => closed(connack(0))],
	['CONNECT, then garbage', () => Buffer.concat([login(), Buffer.from('ffff', 'hex')]), () => closed(connack(0))],
	['CONNECT, then QoS 2', () => Buffer.concat([login(), publishPacket('devices/d/messages/events/', 'x', { qos: 2, id: 1 })]), () => closed(connack(0))],
	['CONNECT, then DISCONNECT', () => Buffer.concat([login(), packet(14, 0)]), () => closed(connack(0))],
];

const all = [...firstPackets, ...headers, ...identities, ...tokens, ...sequences];

for (const [transport, options] of Object.entries(TRANSPORTS)) {
	describe(`${transport}: nothing is said to a stranger but a refusal`, () => {
		for (const [name, bytes, answer] of all) {
			test(name, async () => {
				const client = await RawMqtt.open(scene.hub, options);
				client.send(bytes());
				await expectAnswer(client, answer());
				await scene.holds();
			});
		}
	});

	test(`${transport}: a CONNECT cut at every byte leaves nothing behind`, async () => {
		const bytes = login();
		for (let at = 0; at < bytes.length; at++) {
			const client = await RawMqtt.open(scene.hub, options);
			client.send(cut(bytes, 0, at));
			client.destroy();
			await client.closed();
			assert.deepEqual(client.inbox.take(), [], `cut at ${at}`);
		}
		await scene.holds();
	});

	test(`${transport}: a CONNECT in two writes, split at every byte, is accepted`, async () => {
		const bytes = login();
		for (let at = 1; at < bytes.length; at += 3) {
			const client = await RawMqtt.open(scene.hub, options);
			client.send(cut(bytes, 0, at));
			await new Promise(setImmediate);
			client.send(cut(bytes, at));
			await expectAnswer(client, stays(connack(0)));
		}
		await scene.holds();
	});

	test(`${transport}: a CONNECT byte by byte is accepted`, async () => {
		const client = await RawMqtt.open(scene.hub, options);
		for (const byte of login()) {
			client.send(Buffer.from([byte]));
			await new Promise(setImmediate);
		}
		await expectAnswer(client, stays(connack(0)));
		await scene.holds();
	});
}

test('a policy without DeviceConnect does not let devices in', async () => {
	for (const policy of ['service', 'registryRead', 'registryReadWrite']) {
		const client = await RawMqtt.open(scene.hub);
		client.send(withToken(await scene.hub.token({ policy })));
		await expectAnswer(client, DENIED());
	}
	await scene.holds();
});

test('a refused CONNECT does not disturb the live connection', async () => {
	const live = await scene.device('dx');
	for (let i = 0; i < 5; i++) {
		const client = await RawMqtt.open(scene.hub);
		client.send(connectPacket({ ...scene.login('dx'), password: 'SharedAccessSignature sr=x&sig=x&se=1' }));
		await expectAnswer(client, DENIED());
	}
	assert.equal((await live.twinGet()).status, 200);
	await live.disconnect();
});

test('a signature is compared as a whole, not up to its first difference', async () => {
	const se = 4102444800, sr = encodeURIComponent(`${scene.hub.addr}/devices/d`);
	const right = Buffer.from(sasSignature(sr, se, scene.keys.d), 'base64');
	for (const at of [0, 15, 31]) {
		const wrong = Buffer.from(right);
		wrong[at] ^= 1;
		const client = await RawMqtt.open(scene.hub);
		client.send(withToken(`SharedAccessSignature sr=${sr}&sig=${encodeURIComponent(wrong.toString('base64'))}&se=${se}`));
		await expectAnswer(client, DENIED());
	}
});

// What a TCP client that speaks something else gets: bytes until the end.
async function talk(port, bytes, { end = false } = {}) {
	const socket = net.connect({ host: scene.hub.addr, port });
	const parts = [];
	const over = new Promise((resolve) => {
		socket.on('data', (part) => parts.push(part));
		socket.on('error', () => {});
		socket.on('close', resolve);
	});
	socket.write(bytes);
	if (end) socket.end();
	await within(over, 'the hub to close the connection');
	return Buffer.concat(parts);
}

test('plain MQTT on the TLS port is refused without an MQTT packet', async () => {
	const got = await talk(scene.hub.mqttsPort, login());
	assert.ok(got.length === 0 || got[0] === 21, 'nothing, or a TLS alert');
	await scene.holds();
});

test('a TLS greeting on the plain port closes it', async () => {
	const hello = Buffer.concat([Buffer.from('16030100c8010000c40303', 'hex'), Buffer.alloc(194, 7)]);
	assert.equal((await talk(scene.hub.mqttPort, hello)).length, 0);
	await scene.holds();
});

test('garbage on the TLS ports closes them', async () => {
	for (const port of [scene.hub.mqttsPort, scene.hub.httpsPort])
		for (const bytes of [Buffer.alloc(1000), Buffer.alloc(1000, 0xff), Buffer.from('\x16\x03\x01\xff\xff'.padEnd(4000, 'x'), 'latin1')]) {
			const got = await talk(port, bytes, { end: true });
			assert.ok(got.length === 0 || got[0] === 21, 'nothing, or a TLS alert');
		}
	await scene.holds();
});

test('memory is back after 600 refused clients', async () => {
	await scene.keepsMemory(async () => {
		for (let i = 0; i < 300; i++) {
			const [, bytes, answer] = all[i % all.length];
			const client = await RawMqtt.open(scene.hub, TRANSPORTS.plain);
			client.send(bytes());
			await expectAnswer(client, answer());
		}
	});
	await scene.holds();
});
