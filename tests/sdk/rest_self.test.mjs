// What an identity may ask for itself over HTTPS, with its own token or certificate (service-rest.md 3.5).
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import https from 'node:https';
import { makeCertificate, sasToken, startHub, stopAll, tempDir } from '../lib/hub.mjs';

const KEY = Buffer.alloc(32, 7).toString('base64');
const dir = tempDir('self');
let hub, key, edge;

before(async () => {
	hub = await startHub();
	key = (await hub.createDevice('d1')).authentication.symmetricKey.primaryKey;
	edge = (await hub.createDevice('Edge1', { capabilities: { iotEdge: true } })).authentication.symmetricKey.primaryKey;
	await hub.createDevice('d2');
});
after(() => stopAll(hub));

const tokenOf = (id, k, options = {}) => sasToken({ resource: `${hub.addr}/devices/${id}`, key: k, ...options });
const ask = (method, path, options = {}) => hub.rest(method, path, { token: tokenOf('d1', key), ...options });
const module = (id, m, more = {}) => ({ deviceId: id, moduleId: m, ...more });

test('R-105 a device makes, reads, lists, updates and deletes its modules with its own token', async () => {
	const made = await ask('PUT', '/devices/d1/modules/m1', { body: module('d1', 'm1', { managedBy: 'iotEdge' }) });
	assert.equal(made.status, 200, made.text);
	assert.equal((await ask('PUT', '/devices/d1/modules/m1', { body: module('d1', 'm1') })).status, 409);
	assert.equal((await ask('GET', '/devices/d1/modules/m1')).body.etag, made.body.etag);
	assert.deepEqual((await ask('GET', '/devices/d1/modules')).body.map((m) => m.moduleId), ['m1']);
	const keys = { authentication: { type: 'sas', symmetricKey: { primaryKey: KEY, secondaryKey: KEY } } };
	const stale = await ask('PUT', '/devices/d1/modules/m1', { body: module('d1', 'm1', keys), headers: { 'If-Match': '"bm8="' } });
	assert.equal(stale.status, 412);
	const updated = await ask('PUT', '/devices/d1/modules/m1', { body: module('d1', 'm1', keys), headers: { 'If-Match': `"${made.body.etag}"` } });
	assert.equal(updated.status, 200);
	assert.equal(updated.body.authentication.symmetricKey.primaryKey, KEY);
	assert.equal((await ask('DELETE', '/devices/d1/modules/m1', { headers: { 'If-Match': '*' } })).status, 204);
	assert.equal((await ask('GET', '/devices/d1/modules/m1')).status, 404);
});

test('R-105 nothing else is open to it: other devices, other paths, other keys', async () => {
	assert.equal((await hub.rest('PUT', '/devices/d1/modules/own', { body: module('d1', 'own') })).status, 200);
	const own = (await hub.rest('GET', '/devices/d1/modules/own')).body.authentication.symmetricKey.primaryKey;
	for (const [method, path] of [['GET', '/devices/d2/modules'], ['GET', '/devices/d1'], ['PUT', '/devices/d1'], ['GET', '/twins/d1'], ['GET', '/devices'], ['GET', '/admin/policies'],
		['POST', '/devices/query'], ['GET', '/devices/nobody/modules'], ['GET', '/devices/%00/modules']])
		assert.equal((await ask(method, path, method === 'GET' ? {} : { body: {} })).status, 401, `${method} ${path}`);
	const resource = `${hub.addr}/devices/d1/modules/own`;
	for (const token of [null, tokenOf('d1', KEY), tokenOf('d2', key), tokenOf('d1', key, { ttl: -301 }), sasToken({ resource, key: own }), 'SharedAccessSignature x'])
		assert.equal((await ask('GET', '/devices/d1/modules/own', { token })).status, 401, `${token}`);
	await hub.rest('PUT', '/devices/d2', { headers: { 'If-Match': '*' }, body: { deviceId: 'd2', status: 'disabled', authentication: { symmetricKey: { primaryKey: KEY, secondaryKey: KEY } } } });
	assert.equal((await ask('GET', '/devices/d2/modules', { token: tokenOf('d2', KEY) })).status, 401);
});

test('R-105 D-80 the Edge runtime gives $edgeAgent and $edgeHub keys, with a token in small letters; it cannot delete them', async () => {
	const token = sasToken({ sr: `${hub.addr}%2fdevices%2fedge1`, key: edge });
	for (const m of ['$edgeAgent', '$edgeHub']) {
		const path = `/devices/Edge1/modules/${encodeURIComponent(m)}`;
		assert.equal((await ask('GET', path, { token })).status, 200);
		const body = module('Edge1', m, { authentication: { type: 'sas', symmetricKey: { primaryKey: KEY, secondaryKey: KEY } } });
		assert.equal((await ask('PUT', path, { token, body })).status, 409);
		const put = await ask('PUT', path, { token, body, headers: { 'If-Match': '*' } });
		assert.equal(put.status, 200, put.text);
		assert.equal((await ask('GET', path, { token })).body.authentication.symmetricKey.primaryKey, KEY);
		assert.match((await ask('DELETE', path, { token, headers: { 'If-Match': '*' } })).text, /SystemModuleModifyUnauthorizedAccess/);
	}
	assert.match((await hub.rest('PUT', '/devices/Edge1/modules/$edgeAgent', { body: module('Edge1', '$edgeAgent'), headers: { 'If-Match': '*' } })).text, /SystemModuleModifyUnauthorizedAccess/);
});

// A request with a client certificate and without a token.
function withCertificate(path, { cert, key: k }) {
	return new Promise((resolve, reject) => {
		https.get({ host: hub.addr, port: 443, path: `${path}?api-version=2021-04-12`, ca: hub.pem, cert, key: k, servername: '', agent: false }, (answer) => {
			answer.resume().on('end', () => resolve(answer.statusCode));
		}).on('error', reject);
	});
}

test('R-105 D-79 a device\'s certificate does the same', async () => {
	const leaf = makeCertificate({ dir, cn: 'x1' }), other = makeCertificate({ dir, cn: 'x1' });
	await hub.createDevice('x1', { authentication: { type: 'selfSigned', x509Thumbprint: { primaryThumbprint: leaf.sha256 } } });
	assert.equal(await withCertificate('/devices/x1/modules', leaf), 200);
	assert.equal(await withCertificate('/devices/x1/modules', other), 401);
	assert.equal(await withCertificate('/devices/d1/modules', leaf), 401);
	assert.equal(await withCertificate('/twins/x1', leaf), 401);
});
