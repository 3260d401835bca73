// HTTPS for devices: telemetry, and what is not served (service-rest.md 3.5), with the SDK's own HTTP transport and bare requests.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import https from 'node:https';
import { makeCertificate, sasToken, startHub, stopAll, tempDir, within } from '../lib/hub.mjs';
import { Client, Message } from '../lib/sdk.mjs';
import { walHolds, walProperty } from '../lib/wal.mjs';

const { Http } = createRequire(import.meta.url)('azure-iot-device-http');
const BATCH = 'application/vnd.microsoft.iothub.json';
const dir = tempDir('events');
let hub, key;

before(async () => {
	hub = await startHub();
	key = (await hub.createDevice('d1')).authentication.symmetricKey.primaryKey;
});
after(() => stopAll(hub));

const token = (id = 'd1', k = key) => sasToken({ resource: `${hub.addr}/devices/${id}`, key: k });
const post = (body, { target = '/devices/d1/messages/events', headers = {}, ...options } = {}) => hub.rest('POST', target, { token: token(), body, headers, ...options });
const batch = (items, options = {}) => post(typeof items === 'string' ? items : JSON.stringify(items), { headers: { 'Content-Type': BATCH }, ...options });

const logged = (text) => walHolds(hub, text);

async function call(client, name, ...args) {
	return within(new Promise((resolve, reject) => client[name](...args, (error, result) => error ? reject(error) : resolve(result))), name);
}

test('R-106 the SDK\'s HTTP transport sends messages and batches; their properties are kept', async () => {
	const client = Client.fromConnectionString(await hub.deviceConnectionString('d1'), Http);
	const message = new Message('by the SDK');
	message.messageId = 'm-1';
	message.contentType = 'text/plain';
	message.properties.add('Temp', 'high');
	assert.equal((await call(client, 'sendEvent', message)).constructor.name, 'MessageEnqueued');
	for (const want of ['by the SDK', walProperty('Temp', 'high'), walProperty('message-id', 'm-1'), walProperty('content-type', 'text/plain')]) assert.ok(logged(want), `${want}`);
	const second = new Message('two of a batch');
	second.properties.add('n', '2');
	await call(client, 'sendEventBatch', [new Message('one of a batch'), second]);
	for (const want of ['one of a batch', 'two of a batch', walProperty('n', '2')]) assert.ok(logged(want), `${want}`);
	await call(client, 'close');
});

test('R-106 D-18 the SDK sends with a certificate', async () => {
	const leaf = makeCertificate({ dir, cn: 'x1' });
	await hub.createDevice('x1', { authentication: { type: 'selfSigned', x509Thumbprint: { primaryThumbprint: leaf.sha1 } } });
	const client = Client.fromConnectionString(`HostName=${hub.addr};DeviceId=x1;x509=true`, Http);
	client.setOptions({ cert: leaf.cert, key: leaf.key }); // done at once; this transport never calls back
	await call(client, 'sendEvent', new Message('by a certificate'));
	assert.ok(logged('by a certificate'));
	await call(client, 'close');
});

test('R-106 any bytes are a message; activity shows; a policy with DeviceConnect may send, others not', async () => {
	const bytes = Buffer.from([0, 255, 10, 13, 1, 2, 3, 254, 77, 77]);
	assert.equal((await post(bytes, { headers: { 'Content-Type': 'application/octet-stream' } })).status, 204);
	assert.ok(logged(bytes));
	assert.equal((await post('')).status, 204);
	assert.notEqual((await hub.rest('GET', '/devices/d1')).body.lastActivityTime, '0001-01-01T00:00:00Z');
	for (const [policy, want] of [['device', 204], ['iothubowner', 204], ['service', 401], ['registryReadWrite', 401]])
		assert.equal((await post('x', { token: await hub.token({ policy }) })).status, want, policy);
	assert.equal((await post('x', { token: await hub.token({ policy: 'device' }), target: '/devices/nobody/messages/events' })).status, 404);
	assert.equal((await post('x', { apiVersion: null })).status, 400);
});

test('R-106 D-79 modules send with their own key and with their device\'s', async () => {
	await hub.rest('PUT', '/devices/d1/modules/m1', { body: { deviceId: 'd1', moduleId: 'm1' } });
	const own = (await hub.rest('GET', '/devices/d1/modules/m1')).body.authentication.symmetricKey.primaryKey;
	const target = '/devices/d1/modules/m1/messages/events';
	assert.equal((await post('from m1', { target, token: sasToken({ resource: `${hub.addr}/devices/d1/modules/m1`, key: own }) })).status, 204);
	assert.equal((await post('for m1', { target })).status, 204);
	assert.ok(logged('from m1') && logged('for m1'));
	assert.equal((await post('x', { token: sasToken({ resource: `${hub.addr}/devices/d1/modules/m1`, key: own }) })).status, 401, 'a module is not its device');
});

test('T-57 T-105 over HTTPS a device has no twin, stays Disconnected, and asking for messages is no activity', async () => {
	const { primaryKey } = (await hub.createDevice('quiet')).authentication.symmetricKey;
	const own = (method, target) => hub.rest(method, target, { token: token('quiet', primaryKey), ...(method === 'GET' ? {} : { body: {} }) });
	const twin = async () => { const { connectionState, lastActivityTime } = (await hub.rest('GET', '/twins/quiet')).body; return [connectionState, lastActivityTime]; };
	for (const [method, target] of [['GET', '/twins/quiet'], ['PATCH', '/twins/quiet'], ['GET', '/devices/quiet/twin']]) assert.ok([401, 404].includes((await own(method, target)).status), target);
	assert.equal((await own('GET', '/devices/quiet/messages/deviceBound')).status, 204);
	assert.deepEqual(await twin(), ['Disconnected', '0001-01-01T00:00:00Z']);
	assert.equal((await post('x', { target: '/devices/quiet/messages/events', token: token('quiet', primaryKey) })).status, 204);
	const [state, time] = await twin();
	assert.deepEqual([state, time > '2020'], ['Disconnected', true]);
});

test('R-106 L-62 batches: text and base64, prefixed names or not; faults name the place and nothing is taken', async () => {
	const good = [{ body: 'plain text', base64Encoded: false, properties: { 'iothub-app-a': '1', b: 2, 'iothub-correlationid': 'c' } }, { body: 'as text too', base64Encoded: 'false' }, { body: Buffer.from('coded').toString('base64') }, { body: '' }];
	assert.equal((await batch(good)).status, 204);
	for (const want of ['plain text', 'coded', 'as text too', walProperty('a', '1'), walProperty('b', '2'), walProperty('correlation-id', 'c')]) assert.ok(logged(want), `${want}`);
	assert.equal((await batch(good, { headers: { 'Content-Type': `${BATCH}; charset=utf-8` } })).status, 204);
	for (const [items, status, text] of [['{', 400, /./], ['{}', 400, /array/], ['[]', 400, /array/], [[{ body: 'not taken', base64Encoded: false }, { body: '!' }], 400, /\[1\]\.body is not base64/], [[{ body: 7 }], 400, /\[0\]\.body/],
		[[7], 400, /\[0\]/], [[{ body: '', properties: { a: {} } }], 400, /\[0\]\.properties\.a/], [[{ body: '' }, { body: '', base64Encoded: 'perhaps' }], 400, /\[1\]\.base64Encoded/], [[{ body: '', properties: [] }], 400, /\[0\]\.properties/],
		[Array.from({ length: 501 }, () => ({ body: '' })), 413, /501.*500/]]) {
		const answer = await batch(items);
		assert.equal(answer.status, status, answer.text);
		assert.match(answer.body.Message, text);
	}
	assert.ok(!logged('not taken'));
});

test('R-106 L-61 a message, or a batch, of more than 256 KB with its properties is 413', async () => {
	const most = Buffer.alloc(262144, 'y');
	assert.equal((await post(most)).status, 204);
	assert.equal((await post(most, { headers: { 'iothub-app-a': 'b' } })).status, 413);
	assert.equal((await post(Buffer.alloc(262145))).status, 413);
	const half = { body: Buffer.alloc(131073).toString('base64') };
	assert.equal((await batch([half])).status, 204);
	const big = await batch([half, half]);
	assert.equal(big.status, 413);
	assert.match(big.body.Message, /262146 bytes.*262144/);
});

test('R-106 a disabled device sends nothing more', async () => {
	const off = (await hub.createDevice('off')).authentication.symmetricKey;
	const send = (t) => post('x', { target: '/devices/off/messages/events', token: t });
	assert.equal((await send(token('off', off.primaryKey))).status, 204);
	await hub.rest('PUT', '/devices/off', { headers: { 'If-Match': '*' }, body: { deviceId: 'off', status: 'disabled', authentication: { symmetricKey: off } } });
	assert.equal((await send(token('off', off.primaryKey))).status, 401);
	assert.equal((await send(await hub.token({ policy: 'device' }))).status, 401);
});

test('R-110 what is not served says so in clear words, to who has shown a good token', async () => {
	const at = (method, target, options = {}) => hub.rest(method, target, { token: token(), ...(method === 'POST' ? { body: {} } : {}), ...options });
	for (const [method, target, text] of [['POST', '/devices/d1/files', /uploads of files are not served here/], ['POST', '/devices/d1/files/notifications', /uploads/]]) {
		const answer = await at(method, target);
		assert.equal(answer.status, 501, `${method} ${target}: ${answer.text}`);
		assert.match(answer.body.Message, text);
		assert.equal((await at(method, target, { token: token('d1', Buffer.alloc(32).toString('base64')) })).status, 401);
	}
	for (const target of ['/devices/d1/mqtt', '/devices/d1/registrations', '/devices/d1/a/b/c/d/e/f/g/h/i']) {
		const answer = await at('GET', target);
		assert.equal(answer.status, 404);
		assert.match(answer.body.Message, /not served here/);
	}
	assert.equal((await at('PUT', '/devices/d1/messages/events')).status, 405);
	const client = Client.fromConnectionString(await hub.deviceConnectionString('d1'), Http);
	const error = await within(new Promise((resolve) => client.getBlobSharedAccessSignature('blob', resolve)), 'the upload\'s answer').catch((e) => e);
	assert.ok(error instanceof Error, 'the SDK is told');
	await call(client, 'close').catch(() => {});
});

test('R-110 a WebSocket at another path is told where MQTT is', async () => {
	const answer = await within(new Promise((resolve, reject) => {
		const request = https.get({ host: hub.addr, port: 443, path: '/mqtt', ca: hub.pem, servername: '', agent: false,
			headers: { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAAAA==', 'Sec-WebSocket-Protocol': 'mqtt' } }, (response) => {
			let text = '';
			response.on('data', (part) => { text += part; }).on('end', () => resolve({ status: response.statusCode, text }));
		});
		request.on('error', reject);
	}), 'an answer');
	assert.equal(answer.status, 404);
	assert.match(answer.text, /\/\$iothub\/websocket/);
});
