// CONNECT with a bare client: what is accepted, what is refused and with which code (device-mqtt.md 1, 2).
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import tls from 'node:tls';
import { connectPacket, deviceLogin, mqttDevice, mqttUsername, packet, PACKET, publishPacket, RawMqtt, sasSignature, sasToken,
	startHub, stopAll, subscribePacket, TWIN_RESPONSES, until, within } from '../lib/hub.mjs';

let hub;
const keys = new Map();

before(async () => { hub = await startHub(); });
after(() => stopAll(hub));

async function device(id, identity) {
	const made = await hub.createDevice(id, identity);
	keys.set(id, made.authentication.symmetricKey);
	return made.authentication.symmetricKey.primaryKey;
}

// The CONNACK code for this CONNECT.
async function code(options, transport = {}) {
	const c = await RawMqtt.open(hub, transport);
	const answer = await c.connect(options);
	if (answer.code !== 0) {
		assert.equal(answer.sessionPresent, false, 'session present only with code 0');
		await c.closed('the hub to close after a refusal');
	}
	c.destroy();
	return answer.code;
}

function tokenOf(id, options = {}) { return sasToken({ resource: `${hub.addr}/devices/${id}`, key: keys.get(id).primaryKey, ...options }); }
function login(id, password, options = {}) { return { clientId: id, username: mqttUsername(hub.addr, id), password, ...options }; }

function handshake(options) {
	return within(new Promise((resolve, reject) => {
		const s = tls.connect({ host: hub.addr, port: 8883, ca: hub.pem, ...options }, () => {
			resolve({ protocol: s.getProtocol(), cipher: s.getCipher().name, cert: s.getPeerCertificate() });
			s.destroy();
		});
		s.on('error', reject);
	}), 'the handshake');
}

test('D-01 TLS 1.2 with ECDHE-RSA, TLS 1.2 with ECDSA and TLS 1.3 are all served', async () => {
	const python = await handshake({ minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384' });
	assert.equal(python.protocol, 'TLSv1.2');
	assert.match(python.cipher, /^ECDHE-RSA-/);
	assert.equal((await handshake({ maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' })).protocol, 'TLSv1.2');
	assert.equal((await handshake({ minVersion: 'TLSv1.3' })).protocol, 'TLSv1.3');
	await assert.rejects(handshake({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }));
});

test('D-83 CBC suites of TLS 1.2 are refused, and served with --tls-legacy', async () => {
	const cbc = { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES128-SHA256:ECDHE-RSA-AES256-SHA384:ECDHE-ECDSA-AES128-SHA256' };
	await assert.rejects(handshake(cbc), { code: 'ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE' });
	await until(() => /msg="TLS handshake failed" reason=tls-failed .*no shared cipher/.test(hub.logs), 'a line about it');
	const legacy = await startHub({ args: ['--tls-legacy'] });
	try {
		for (const port of [8883, 443])
			assert.match((await handshake({ ...cbc, host: legacy.addr, port, ca: legacy.pem })).cipher, /^ECDHE-.*-SHA(256|384)$/);
	} finally {
		await legacy.stop();
	}
});

test('the certificate holds for the address, for localhost and for loopback', async () => {
	const { cert } = await handshake({});
	assert.ok(cert.subjectaltname.includes(`IP Address:${hub.addr}`), cert.subjectaltname);
	assert.ok(cert.subjectaltname.includes('DNS:localhost'), cert.subjectaltname);
});

test('D-02 a certificate is asked for and not needed', async () => {
	await device('d02');
	assert.equal(await code(login('d02', tokenOf('d02'))), 0);
});

test('D-06 D-07 the host in user name and token may carry the port, and its case does not matter', async () => {
	await device('d06');
	const withPort = `${hub.addr}:8883`;
	const password = sasToken({ resource: `${withPort}/devices/d06`, key: keys.get('d06').primaryKey });
	assert.equal(await code({ clientId: 'd06', username: mqttUsername(withPort, 'd06'), password }), 0);
});

test('D-08 the parameters of the user name: any order, raw model id, unknown ones; the model id is kept', async () => {
	await device('d08');
	for (const parameters of ['api-version=2021-04-12&model-id=dtmi:com:example:T;1&DeviceClientType=azure-iot-device%2F1.18%20(x)',
		'DeviceClientType=c&api-version=2019-10-01', 'api-version=2020-09-30&what=ever&what=again', 'model-id=dtmi%3Acom%3Aexample%3AT%3B1&api-version=x', ''])
		assert.equal(await code({ ...login('d08', tokenOf('d08')), username: mqttUsername(hub.addr, 'd08', parameters) }), 0, parameters);
	assert.equal((await hub.rest('GET', '/twins/d08')).body.modelId, 'dtmi:com:example:T;1');
});

test('T-55 without an api-version twin operations work as ever', async () => {
	const c = await mqttDevice(hub, 't55', { login: { username: mqttUsername(hub.addr, 't55', 'DeviceClientType=x') } });
	assert.equal((await c.twinGet()).status, 200);
	assert.equal((await c.report({ a: 1 })).status, 204);
	await c.disconnect();
});

test('D-09 old user names without "?" or without parameters', async () => {
	await device('d09');
	for (const username of [`${hub.addr}/d09/api-version=2016-11-14`, `${hub.addr}/d09/api-version=2016-11-14&DeviceClientType=x`, `${hub.addr}/d09`, `${hub.addr}/d09/`])
		assert.equal(await code({ ...login('d09', tokenOf('d09')), username }), 0, username);
});

test('D-10 client id and user name must name the same identity', async () => {
	await device('d10');
	await device('d10b');
	assert.equal(await code({ ...login('d10', tokenOf('d10')), clientId: 'd10b' }), 5);
	assert.equal(await code({ ...login('d10', tokenOf('d10')), clientId: 'D10' }), 5);
	assert.equal(await code({ ...login('d10', tokenOf('d10')), username: `${hub.addr}/d10/x/y/z/?api-version=1` }), 5);
	assert.equal(await code({ ...login('d10', tokenOf('d10')), username: 'd10' }), 5);
	assert.equal(await code({ ...login('d10', tokenOf('d10')), username: mqttUsername('other.example.test', 'd10') }), 5);
});

test('D-11 every spelling of sr: encoded, small hex, raw, once per segment, twice', async () => {
	await device('d:1');
	const h = hub.addr;
	for (const sr of [`${h}%2Fdevices%2Fd%3A1`, `${h}%2fdevices%2fd%3a1`, `${h}/devices/d:1`, `${h}/devices/d%3A1`, `${h}%2Fdevices%2Fd%253A1`,
		`${h}%2Fdevices%2Fd%3A1%2Fapi-version%3D2016-11-14`, `${h}/devices/`, h])
		assert.equal(await code(login('d:1', tokenOf('d:1', { sr }))), 0, sr);
	for (const sr of [`${h}/devices/d:12`, `${h}/devices/d`, `${h}/device`, `other.example.test/devices/d:1`, `${h}/devices/d:1/modules/m`, ''])
		assert.equal(await code(login('d:1', tokenOf('d:1', { sr }))), 5, sr);
});

test('D-12 the signature: small percent digits, raw plus, either key, any order of the fields', async () => {
	await device('d12');
	const sr = `${hub.addr}/devices/d12`;
	let se = Math.floor(Date.now() / 1000) + 3600;
	while (!/\+.*\//.test(sasSignature(sr, se, keys.get('d12').primaryKey))) se++; // one with "+" and "/"
	const sig = sasSignature(sr, se, keys.get('d12').primaryKey);
	const small = encodeURIComponent(sig).replace(/%[0-9A-F]{2}/g, (x) => x.toLowerCase());
	for (const text of [encodeURIComponent(sig), small, sig.replace('/', '%2F').replace('=', '%3D'), sig])
		assert.equal(await code(login('d12', `SharedAccessSignature sr=${sr}&sig=${text}&se=${se}`)), 0, text);
	assert.equal(await code(login('d12', tokenOf('d12', { key: keys.get('d12').secondaryKey }))), 0);
	assert.equal(await code(login('d12', tokenOf('d12', { order: ['se', 'sr', 'sig'] }))), 0);
	assert.equal(await code(login('d12', `${tokenOf('d12')}&unknown=1`)), 0);
});

test('D-14 an empty skn counts as none', async () => {
	await device('d14');
	assert.equal(await code(login('d14', `${tokenOf('d14')}&skn=`)), 0);
});

test('D-15 L-87 bad tokens, unknown and disabled devices are refused with 5', async () => {
	await device('d15');
	const good = tokenOf('d15');
	const wrongKey = sasToken({ resource: `${hub.addr}/devices/d15`, key: Buffer.alloc(32, 9).toString('base64') });
	for (const password of [wrongKey, '', 'x', 'SharedAccessSignature ', good.replace('SharedAccessSignature ', ''), `${good}&se=99999999999`, good.replace(/se=\d+/, 'se=12x'),
		good.replace(/se=(\d+)/, (_, se) => `se=${Number(se) + 1}`), good.replace(/sig=[^&]+/, 'sig='), good.replace(/&se=\d+/, ''), `${good}&skn=iothubowner`, `${good}&skn=nobody`])
		assert.equal(await code(login('d15', password)), 5, password);
	keys.set('unknown', keys.get('d15'));
	assert.equal(await code(login('unknown', tokenOf('unknown'))), 5);
	await device('d15off', { status: 'disabled' });
	assert.equal(await code(login('d15off', tokenOf('d15off'))), 5);
});

test('D-16 protocol levels other than 4 are refused with 1', async () => {
	await device('d16');
	assert.equal(await code({ ...login('d16', tokenOf('d16')), level: 3, protocol: 'MQIsdp' }), 1);
	assert.equal(await code({ ...login('d16', tokenOf('d16')), level: 3 }), 1);
	const c = await RawMqtt.open(hub);
	c.send(connectPacket({ ...login('d16', tokenOf('d16')), level: 5 }));
	assert.equal((await c.next(PACKET.CONNACK)).code, 1);
	await c.closed();
});

test('D-28 an empty client id is refused with 2 and nothing else is', async () => {
	await device('d17');
	assert.equal(await code({ ...login('d17', tokenOf('d17')), clientId: '' }), 2);
});

test('D-19 no password and no certificate: 5', async () => {
	await device('d19');
	assert.equal(await code(login('d19', undefined)), 5);
	assert.equal(await code({ clientId: 'd19' }), 5);
});

test('D-23 clean session drops what was stored', async () => {
	await device('d23');
	const options = (clean) => login('d23', tokenOf('d23'), { clean });
	const open = async (clean) => {
		const c = await RawMqtt.open(hub);
		return [c, (await c.connect(options(clean))).sessionPresent];
	};
	let [c, present] = await open(false);
	await c.subscribe(TWIN_RESPONSES);
	await c.disconnect();
	[c, present] = await open(false);
	assert.equal(present, true);
	assert.equal((await c.twinGet()).status, 200, 'the filter is still there');
	await c.disconnect();
	[c, present] = await open(true);
	assert.equal(present, false);
	await c.subscribe(TWIN_RESPONSES);
	await c.disconnect();
	[c, present] = await open(false);
	assert.equal(present, false, 'a clean session leaves nothing behind');
	await c.disconnect();
});

test('D-25 L-76 T-106 take-over closes the old link after authentication only; the state stays Connected', async () => {
	await device('d25');
	const old = await mqttDevice(hub, 'd25');
	assert.equal(await code(login('d25', 'SharedAccessSignature sr=x&sig=y&se=1')), 5);
	assert.equal((await old.twinGet()).status, 200, 'a refused CONNECT leaves the old link alone');
	const young = await mqttDevice(hub, 'd25', { filters: [] });
	assert.equal(young.sessionPresent, true);
	await old.closed('the old link to be closed');
	assert.equal((await young.twinGet()).status, 200);
	assert.equal((await hub.rest('GET', '/twins/d25')).body.connectionState, 'Connected');
	await young.disconnect();
	await until(async () => (await hub.rest('GET', '/twins/d25')).body.connectionState === 'Disconnected', 'd25 is shown as disconnected');
});

test('D-26 L-74 T-103 T-104 a silent client is closed after one and a half keep-alives', async () => {
	await device('d26');
	const c = await RawMqtt.open(hub);
	assert.equal((await c.connect(login('d26', tokenOf('d26'), { keepAlive: 2 }))).code, 0);
	const begun = Date.now();
	await c.ping();
	await c.closed('the hub to close a silent link');
	const seconds = (Date.now() - begun) / 1000;
	assert.ok(seconds > 2.5, `closed after ${seconds} s`);
	await until(async () => (await hub.rest('GET', '/twins/d26')).body.connectionState === 'Disconnected', 'd26 is shown as disconnected');
});

test('D-27 PINGREQ is answered, and keeps the link', async () => {
	const c = await mqttDevice(hub, 'd27', { login: { keepAlive: 3 } });
	for (let i = 0; i < 5; i++) {
		await new Promise((resolve) => setTimeout(resolve, 1000)); // what is tested is the passing of time itself
		await c.ping();
	}
	await c.disconnect();
});

test('D-28 a second CONNECT, another packet first, and garbage close the link without a word', async () => {
	await device('d28');
	const first = async (bytes) => {
		const c = await RawMqtt.open(hub);
		c.send(bytes);
		await c.closed();
		assert.equal(c.inbox.length, 0);
	};
	await first(packet(PACKET.PINGREQ, 0));
	await first(subscribePacket(1, [{ filter: TWIN_RESPONSES, qos: 0 }]));
	await first(Buffer.from('GET / HTTP/1.1\r\n\r\n'));
	await first(Buffer.from([0x10, 0xff, 0xff, 0xff, 0xff, 0x7f]));
	await first(packet(PACKET.CONNECT, 1, Buffer.from([0, 4, 77, 81, 84, 84, 4, 2, 0, 0, 0, 0])));
	const c = await mqttDevice(hub, 'd28');
	c.send(connectPacket(login('d28', tokenOf('d28'))));
	await c.closed('the hub to close after a second CONNECT');
});

test('D-29 packets sent before CONNACK are answered after it, in order', async () => {
	await device('d29');
	const c = await RawMqtt.open(hub);
	c.send(connectPacket(login('d29', tokenOf('d29'))), subscribePacket(9, [{ filter: TWIN_RESPONSES, qos: 0 }]),
		publishPacket('$iothub/twin/GET/?$rid=1', ' '), publishPacket('devices/d29/messages/events/', 'x', { qos: 1, id: 10 }), packet(PACKET.PINGREQ, 0));
	const types = new Set();
	const firstPacket = await c.inbox.next();
	assert.equal(firstPacket.type, PACKET.CONNACK);
	for (let i = 0; i < 4; i++) types.add((await c.inbox.next(undefined, 'four more answers')).type);
	assert.deepEqual([...types].sort((a, b) => a - b), [PACKET.PUBLISH, PACKET.PUBACK, PACKET.SUBACK, PACKET.PINGRESP]);
	await c.disconnect();
});

test('D-30 a will on the telemetry topic is accepted, on another topic refused with 5', async () => {
	await device('d30');
	const will = (topic, qos = 1) => login('d30', tokenOf('d30'), { will: { topic, qos, payload: 'gone', retain: true } });
	assert.equal(await code(will('devices/d30/messages/events/')), 0);
	assert.equal(await code(will('devices/d30/messages/events/kind=last', 0)), 0);
	assert.equal(await code(will('devices/d25/messages/events/')), 5);
	assert.equal(await code(will('$iothub/twin/GET/?$rid=1')), 5);
});

test('D-75 a hundred reconnections in a row are all accepted', async () => {
	await device('d75');
	for (let i = 0; i < 100; i++) assert.equal(await code(login('d75', tokenOf('d75'))), 0);
});

test('D-76 T-09 disabling and deleting close the link', async () => {
	const disabled = await mqttDevice(hub, 'd76');
	const identity = (await hub.rest('GET', '/devices/d76')).body;
	await hub.rest('PUT', '/devices/d76', { headers: { 'If-Match': '*' }, body: { ...identity, status: 'disabled' } });
	await disabled.closed('the link of a disabled device to be closed');
	assert.equal((await hub.rest('GET', '/twins/d76')).status, 200);
	assert.equal((await hub.rest('PATCH', '/twins/d76', { body: { properties: { desired: { a: 1 } } } })).status, 200);
	const deleted = await mqttDevice(hub, 'd76b');
	await hub.rest('DELETE', '/devices/d76b', { headers: { 'If-Match': '*' } });
	await deleted.closed('the link of a deleted device to be closed');
	const again = await mqttDevice(hub, 'd76b', { filters: [] });
	assert.equal(again.sessionPresent, false, 'the session went with the identity');
	await again.disconnect();
});

test('D-77 keep alive 0 is accepted', async () => {
	const c = await mqttDevice(hub, 'd77', { login: { keepAlive: 0 } });
	await c.ping();
	await c.disconnect();
});

test('an id with every legal character connects, reports and is notified', async () => {
	const id = 'Az09-:.%_*!(),=@;$\'?+#';
	const c = await mqttDevice(hub, id);
	assert.equal((await c.report({ a: 1 })).status, 204);
	await hub.rest('PATCH', `/twins/${encodeURIComponent(id)}`, { body: { properties: { desired: { b: 2 } } } });
	assert.equal((await c.notification()).body.b, 2);
	await c.disconnect();
});

test('D-17 a hub that stops does not answer 2 or 4', async () => {
	const other = await startHub();
	const made = await other.createDevice('stopping');
	const c = await RawMqtt.open(other);
	const stopped = other.stop();
	c.send(connectPacket(deviceLogin(other, 'stopping', made.authentication.symmetricKey.primaryKey)));
	const answer = await c.next(PACKET.CONNACK).catch(() => null);
	assert.ok(answer === null || answer.code === 0 || answer.code === 3, `CONNACK ${answer?.code}`);
	await stopped;
});
