// Reasons and their lines: who, why, from where, one each (docs/spec/operate.md O-25, O-26). Those that other files show are not here.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import tls from 'node:tls';
import { deviceLogin, makeCertificate, mqttDevice, mqttUsername, publishPacket, RawMqtt, sasToken, startHub, stopAll, tempDir, until } from '../lib/hub.mjs';

const dir = tempDir('reasons');
let hub, ca;
const key = Buffer.alloc(32, 5).toString('base64'), other = Buffer.alloc(32, 6).toString('base64');
before(async () => {
	ca = makeCertificate({ dir, cn: 'reasons CA', ca: true });
	hub = await startHub({ args: ['--client-ca', ca.certFile, '--max-connections-per-address', '40', '--request-timeout', '2'] });
	for (const [id, authentication] of [['by-key', { symmetricKey: { primaryKey: key, secondaryKey: other } }], ['by-ca', { type: 'certificateAuthority' }],
		['by-print', { type: 'selfSigned', x509Thumbprint: { primaryThumbprint: 'A'.repeat(40), secondaryThumbprint: 'B'.repeat(40) } }]])
		await hub.createDevice(id, { authentication });
});
after(() => stopAll(hub));

// One line more of this reason, with the reason's own words, and no other.
async function oneLine(what, reason, who, act) {
	const head = new RegExp(`msg="?${what}"? reason=${reason} by=(peer|hub|operator) why="[^"]+"${who} ?.*address=127\\.\\S+:\\d+`);
	const n = () => hub.logs.split('\n').filter((line) => head.test(line)).length, before = n();
	await act();
	await until(() => n() > before, `a line like ${head}`);
	await new Promise((resolve) => setTimeout(resolve, 50));
	assert.equal(n(), before + 1, reason);
}

async function refused(login, options = {}) {
	const c = await RawMqtt.open(hub, options);
	assert.notEqual((await c.connect(login)).code, 0);
	c.destroy();
}
const withToken = (id, password) => ({ clientId: id, username: mqttUsername(hub.addr, id), password });
const leaf = (cn, issuer) => {
	const c = makeCertificate({ dir, cn, issuer });
	return { cert: c.cert, key: c.key };
};

const rows = [
	['client-id-other', ' device=another', () => refused({ ...deviceLogin(hub, 'by-key', key), clientId: 'another' })],
	['user-name', ' device=by-key', () => refused({ clientId: 'by-key', username: 'by-key', password: 'x' })],
	['host-name', ' device=by-key', () => refused({ ...deviceLogin(hub, 'by-key', key), username: mqttUsername('hub.elsewhere', 'by-key') })],
	['no-credentials', ' device=by-key', () => refused({ clientId: 'by-key', username: mqttUsername(hub.addr, 'by-key') })],
	['token-form', ' device=by-key', () => refused(withToken('by-key', 'SharedAccessSignature x'))],
	['token-seconds', ' device=by-key', () => refused(withToken('by-key', sasToken({ resource: `${hub.addr}/devices/by-key`, key }).replace(/se=\d+/, '$&.5')))],
	['token-expired', ' device=by-key', () => refused(withToken('by-key', sasToken({ resource: `${hub.addr}/devices/by-key`, key, expires: 1000 })))],
	['token-resource', ' device=by-key', () => refused(withToken('by-key', sasToken({ resource: `${hub.addr}/devices/another`, key })))],
	['policy-unknown', ' device=by-key', () => refused(withToken('by-key', sasToken({ resource: `${hub.addr}/devices/by-key`, key, policy: 'none' })))],
	['policy-signature', ' device=by-key', () => refused(withToken('by-key', sasToken({ resource: `${hub.addr}/devices/by-key`, key, policy: 'device' })))],
	['key-not-used', ' device=by-ca', () => refused(deviceLogin(hub, 'by-ca', key))],
	['key-signature', ' device=by-key', () => refused(deviceLogin(hub, 'by-key', Buffer.alloc(32, 1).toString('base64')))],
	['certificate-not-used', ' device=by-key', () => refused({ clientId: 'by-key', username: mqttUsername(hub.addr, 'by-key') }, leaf('by-key', ca))],
	['certificate-print', ' device=by-print', () => refused({ clientId: 'by-print', username: mqttUsername(hub.addr, 'by-print') }, leaf('by-print', ca))],
	['certificate-name', ' device=by-ca', () => refused({ clientId: 'by-ca', username: mqttUsername(hub.addr, 'by-ca') }, leaf('someone', ca))],
	['certificate-ca', ' device=by-ca', () => refused({ clientId: 'by-ca', username: mqttUsername(hub.addr, 'by-ca') }, leaf('by-ca', null))],
	['identity-unknown', ' device=nobody', () => refused(deviceLogin(hub, 'nobody', key))],
	['identity-unknown', ' device=by-key module=nobody', () => refused({ ...deviceLogin(hub, 'by-key', key), clientId: 'by-key/nobody', username: mqttUsername(hub.addr, 'by-key/nobody') })],
];
for (const [reason, who, act] of rows)
	test(`O-26 CONNECT refused: ${reason}${who.includes('module') ? ', a module' : ''}`, () => oneLine('CONNECT refused', reason, who, act));

test('O-26 connection not admitted: too many of one address', async () => {
	const links = [];
	await oneLine('connection not admitted', 'too-many-of-address', '', async () => {
		for (let i = 0; i < 41; i++) {
			const s = tls.connect({ host: hub.addr, port: hub.mqttsPort, ca: hub.pem });
			s.on('error', () => {});
			links.push(s);
		}
	}).finally(() => links.forEach((s) => s.destroy()));
});

test('O-26 connection closed: a message that is too large, a module whose device has a new key', async () => {
	await until(async () => { try { (await mqttDevice(hub, 'by-key', { key })).destroy(); return true; } catch { return false; } }, 'room for a connection');
	const d = await mqttDevice(hub, 'by-key', { key });
	await oneLine('connection closed', 'message-size', ' device=by-key', () => d.send(publishPacket('devices/by-key/messages/events/', Buffer.alloc(262145))));
	await d.closed('the link');
	await hub.createDevice('parent', { authentication: { symmetricKey: { primaryKey: key, secondaryKey: other } } });
	await hub.rest('PUT', '/devices/parent/modules/m', { body: { deviceId: 'parent', moduleId: 'm' } });
	const m = await RawMqtt.open(hub);
	assert.equal((await m.connect({ clientId: 'parent/m', username: mqttUsername(hub.addr, 'parent/m'), password: sasToken({ resource: `${hub.addr}/devices/parent/modules/m`, key }) })).code, 0);
	await oneLine('connection closed', 'parent-key-changed', ' device=parent module=m', () => hub.rest('PUT', '/devices/parent', { headers: { 'If-Match': '*' },
		body: { deviceId: 'parent', authentication: { symmetricKey: { primaryKey: other, secondaryKey: other } } } }));
	await m.closed('the module\'s link');
});

test('O-25 O-26 HTTPS: a request that is cut, that comes too late, that is none, and an answer of a method that cannot be passed on', async () => {
	const https = (text) => new Promise((resolve) => {
		const s = tls.connect({ host: hub.addr, port: hub.httpsPort, ca: hub.pem }, () => { s.write(text); resolve(s); });
		s.on('error', () => {});
	});
	const head = `POST /devices/query?api-version=2021-04-12 HTTP/1.1\r\nHost: ${hub.addr}\r\nContent-Length: 10\r\n\r\n{`;
	await oneLine('connection closed', 'request-cut', '', async () => { const s = await https(head); setTimeout(() => s.destroy(), 100); });
	await oneLine('connection closed', 'request-late', '', () => https(head));
	await oneLine('request refused', 'request-framing', ' status=400', () => https('nonsense\r\n\r\n'));
	const d = await mqttDevice(hub, 'by-key', { key, filters: ['$iothub/methods/POST/#'] });
	await oneLine('request refused', 'device-answer', ' device=by-key policy=iothubowner status=502', async () => {
		const call = hub.rest('POST', '/twins/by-key/methods', { body: { methodName: 'm', responseTimeoutInSeconds: 10 } });
		const ask = await d.next(3, 'the call');
		await d.publish(`$iothub/methods/res/200/?$rid=${/\$rid=(\S+)/.exec(ask.topic)[1]}`, 'no JSON');
		assert.equal((await call).status, 502);
	});
	d.destroy();
});
