// Devices with certificates: by thumbprint (self-signed) and by a certificate authority, also with an
// intermediate authority between. The device shows its certificate in the handshake and sends no password.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { makeCertificate, mqttUsername, RawMqtt, startHub, stopAll, tempDir, until, within } from '../lib/hub.mjs';
import { Client, Mqtt, MqttWs, desire, registryOf, rejection, SdkDevice, twinOf } from '../lib/sdk.mjs';

let hub, registry, certs, root, intermediate, strangeRoot;
const open = new Set();

before(async () => {
	certs = tempDir('certs');
	root = makeCertificate({ dir: certs, cn: 'Fleet root', ca: true });
	intermediate = makeCertificate({ dir: certs, cn: 'Fleet plant 7', ca: true, issuer: root });
	strangeRoot = makeCertificate({ dir: certs, cn: 'Somebody else', ca: true });
	hub = await startHub({ args: ['--client-ca', root.certFile] });
	registry = await registryOf(hub);
});
after(async () => {
	for (const d of open) await d.close().catch(() => {});
	await stopAll(hub);
});

function clientOf(id, certificate, transport = Mqtt) {
	const client = Client.fromConnectionString(`HostName=${hub.addr};DeviceId=${id};x509=true`, transport);
	return client.setOptions({ cert: certificate.chain, key: certificate.key, ca: hub.ca }).then(() => client);
}

async function connected(id, certificate, transport) {
	const d = await SdkDevice.open(await clientOf(id, certificate, transport));
	open.add(d);
	return d;
}

async function refused(id, certificate) {
	const client = await clientOf(id, certificate);
	const error = await rejection(within(client.open(), `${id} to be refused`));
	await client.close().catch(() => {});
	return error;
}

function selfSigned(id, primaryThumbprint, secondaryThumbprint) {
	return registry.create({ deviceId: id, authentication: { type: 'selfSigned', x509Thumbprint: { primaryThumbprint, secondaryThumbprint } } });
}

// CONNECT of a bare client with this certificate: the CONNACK code.
async function connackOf(id, certificate, password) {
	const c = await RawMqtt.open(hub, { cert: certificate?.chain, key: certificate?.key });
	const { code } = await c.connect({ clientId: id, username: mqttUsername(hub.addr, id), password });
	c.destroy();
	return code;
}

test('D-18 R-26 a device is known by the SHA-1 thumbprint of its certificate', async () => {
	const cert = makeCertificate({ dir: certs, cn: 'thumb-1' });
	await selfSigned('thumb-1', cert.sha1, null);
	const d = await connected('thumb-1', cert);
	await d.listen();
	await d.report({ by: 'certificate' });
	const twin = await twinOf(registry, 'thumb-1');
	assert.equal(twin.properties.reported.by, 'certificate');
	assert.equal(twin.authenticationType, 'selfSigned');
	assert.equal(twin.x509Thumbprint.primaryThumbprint.toUpperCase(), cert.sha1);
	await desire(registry, 'thumb-1', { hello: true });
	assert.deepEqual(await d.notification(), { hello: true, $version: 2 });
});

test('D-18 the SHA-256 thumbprint, the secondary one and small letters do as well', async () => {
	const cert = makeCertificate({ dir: certs, cn: 'thumb-2' });
	const other = makeCertificate({ dir: certs, cn: 'thumb-2b', rsa: true });
	await selfSigned('thumb-2', other.sha256.toLowerCase(), cert.sha1.toLowerCase());
	assert.equal(await connackOf('thumb-2', cert), 0);
	assert.equal(await connackOf('thumb-2', other), 0);
});

test('D-18 D-15 another certificate is refused with 5', async () => {
	const cert = makeCertificate({ dir: certs, cn: 'thumb-3' });
	const wrong = makeCertificate({ dir: certs, cn: 'thumb-3' });
	await selfSigned('thumb-3', cert.sha1, null);
	assert.equal(await connackOf('thumb-3', wrong), 5);
	assert.match((await refused('thumb-3', wrong)).message, /Not authorized/);
});

test('D-19 neither password nor certificate is refused with 5', async () => {
	const cert = makeCertificate({ dir: certs, cn: 'thumb-4' });
	await selfSigned('thumb-4', cert.sha1, null);
	assert.equal(await connackOf('thumb-4', null), 5);
	await registry.create({ deviceId: 'sas-4' });
	assert.equal(await connackOf('sas-4', null), 5);
});

test('D-18 a certificate for a device with keys, and a token for a device with a certificate, are refused', async () => {
	const cert = makeCertificate({ dir: certs, cn: 'mixed', issuer: root });
	await registry.create({ deviceId: 'mixed' });
	assert.equal(await connackOf('mixed', cert), 5);
	const thumb = makeCertificate({ dir: certs, cn: 'mixed-2' });
	await selfSigned('mixed-2', thumb.sha1, null);
	assert.equal(await connackOf('mixed-2', thumb, 'SharedAccessSignature sr=x&sig=y&se=1'), 5);
});

test('D-18 R-27 a certificate of the fleet\'s authority with the device id as its name', async () => {
	await registry.create({ deviceId: 'ca-1', authentication: { type: 'certificateAuthority' } });
	const d = await connected('ca-1', makeCertificate({ dir: certs, cn: 'ca-1', issuer: root }));
	await d.readTwin();
	await d.report({ ok: true });
	assert.equal((await twinOf(registry, 'ca-1')).authenticationType, 'certificateAuthority');
});

test('D-18 a chain with an intermediate authority that only the device has', async () => {
	await registry.create({ deviceId: 'ca-2', authentication: { type: 'certificateAuthority' } });
	const d = await connected('ca-2', makeCertificate({ dir: certs, cn: 'ca-2', issuer: intermediate }));
	await d.readTwin();
	await d.report({ ok: true });
});

test('D-18 D-15 another name, another authority, or no authority is refused', async () => {
	await registry.create({ deviceId: 'ca-3', authentication: { type: 'certificateAuthority' } });
	assert.equal(await connackOf('ca-3', makeCertificate({ dir: certs, cn: 'ca-1', issuer: root })), 5);
	assert.equal(await connackOf('ca-3', makeCertificate({ dir: certs, cn: 'ca-3', issuer: strangeRoot })), 5);
	assert.equal(await connackOf('ca-3', makeCertificate({ dir: certs, cn: 'ca-3' })), 5);
	const notAnAuthority = makeCertificate({ dir: certs, cn: 'ca-1', issuer: root });
	assert.equal(await connackOf('ca-3', makeCertificate({ dir: certs, cn: 'ca-3', issuer: notAnAuthority })), 5);
	assert.equal(await connackOf('ca-3', makeCertificate({ dir: certs, cn: 'ca-3', issuer: root })), 0);
});

test('D-18 the intermediate authority is needed: without it the chain ends nowhere', async () => {
	await registry.create({ deviceId: 'ca-4', authentication: { type: 'certificateAuthority' } });
	const leaf = makeCertificate({ dir: certs, cn: 'ca-4', issuer: intermediate });
	assert.equal(await connackOf('ca-4', { ...leaf, chain: leaf.cert }), 5);
	assert.equal(await connackOf('ca-4', leaf), 0);
});

test('D-84 a certificate that has ended, and one whose authority has, are refused, and the log says which', async () => {
	const line = (reason, id) => until(() => hub.logs.split('\n').find((l) => l.includes(`reason=${reason} `) && l.includes(`device=${id} `)), `${reason} of ${id}`);
	await registry.create({ deviceId: 'ca-9', authentication: { type: 'certificateAuthority' } });
	assert.equal(await connackOf('ca-9', makeCertificate({ dir: certs, cn: 'ca-9', issuer: root, days: -1 })), 5);
	await line('certificate-expired', 'ca-9');
	const ended = makeCertificate({ dir: certs, cn: 'Fleet plant 8', ca: true, issuer: root, days: -1 });
	assert.equal(await connackOf('ca-9', makeCertificate({ dir: certs, cn: 'ca-9', issuer: ended })), 5);
	await line('certificate-ca-days', 'ca-9');
	const self = makeCertificate({ dir: certs, cn: 'thumb-6', days: -1 });
	await selfSigned('thumb-6', self.sha1, null);
	assert.equal(await connackOf('thumb-6', self), 5);
	await line('certificate-expired', 'thumb-6');
});

test('D-18 certificates over WebSocket', async () => {
	await registry.create({ deviceId: 'ca-5', authentication: { type: 'certificateAuthority' } });
	const d = await connected('ca-5', makeCertificate({ dir: certs, cn: 'ca-5', issuer: root }), MqttWs);
	await d.readTwin();
	await d.report({ over: 'websocket' });
	assert.equal((await twinOf(registry, 'ca-5')).properties.reported.over, 'websocket');
});

test('D-18 a resumed TLS session carries what its handshake verified', async () => {
	await registry.create({ deviceId: 'ca-6', authentication: { type: 'certificateAuthority' } });
	const leaf = makeCertificate({ dir: certs, cn: 'ca-6', issuer: intermediate });
	for (const maxVersion of ['TLSv1.2', 'TLSv1.3']) {
		const first = await RawMqtt.open(hub, { cert: leaf.chain, key: leaf.key, tls: { maxVersion } });
		const ticket = new Promise((resolve) => first.socket.on('session', resolve)); // with TLS 1.3 it comes after the handshake
		assert.equal((await first.connect({ clientId: 'ca-6', username: mqttUsername(hub.addr, 'ca-6') })).code, 0);
		const session = maxVersion === 'TLSv1.3' ? await within(ticket, 'a TLS session') : first.socket.getSession();
		first.destroy();
		const second = await RawMqtt.open(hub, { cert: leaf.chain, key: leaf.key, tls: { maxVersion, session } });
		assert.equal((await second.connect({ clientId: 'ca-6', username: mqttUsername(hub.addr, 'ca-6') })).code, 0, `${maxVersion}, resumed: ${second.socket.isSessionReused()}`);
		second.destroy();
	}
});
