// Device identities over REST (service-rest.md 5, 6; ).
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { startHub, stopAll } from '../lib/hub.mjs';

let hub;
before(async () => { hub = await startHub(); });
after(() => stopAll(hub));

const UNSET = '0001-01-01T00:00:00Z';
const key = (fill, length = 32) => Buffer.alloc(length, fill).toString('base64');
const put = (id, body = {}, headers = {}) => hub.rest('PUT', `/devices/${encodeURIComponent(id)}`, { body: { deviceId: id, ...body }, headers });
const get = (id) => hub.rest('GET', `/devices/${encodeURIComponent(id)}`);
const any = { 'If-Match': '*' };

function assertError(answer, status, name) {
	assert.equal(answer.status, status, answer.text);
	assert.equal(answer.headers['iothub-errorcode'], name);
	assert.ok(answer.body.Message.startsWith(`ErrorCode:${name};`), answer.text);
}

test('R-20 a new device, member by member', async () => {
	const { status, body, headers } = await put('d1', { authentication: { type: 'sas', symmetricKey: { primaryKey: '', secondaryKey: '' } } });
	assert.equal(status, 200);
	const { generationId, etag, authentication, ...rest } = body;
	assert.deepEqual(rest, { deviceId: 'd1', connectionState: 'Disconnected', status: 'enabled', statusReason: null, connectionStateUpdatedTime: UNSET,
		statusUpdatedTime: UNSET, lastActivityTime: UNSET, cloudToDeviceMessageCount: 0, capabilities: { iotEdge: false } });
	assert.match(generationId, /^\S+$/);
	assert.equal(headers.etag, `"${etag}"`);
	assert.match(Buffer.from(etag, 'base64').toString(), /^\d+$/);
	assert.deepEqual(authentication.x509Thumbprint, { primaryThumbprint: null, secondaryThumbprint: null });
	assert.equal(authentication.type, 'sas');
	for (const k of Object.values(authentication.symmetricKey)) assert.equal(Buffer.from(k, 'base64').length, 32);
	assert.deepEqual((await get('d1')).body, body);
});

test('R-32 type is the last member of authentication', async () => {
	const { text } = await put('order');
	assert.match(text, /"authentication":\{"symmetricKey":\{[^}]*\},"x509Thumbprint":\{[^}]*\},"type":"sas"\}/);
});

test('R-21 L-41 O-91 an existing device without If-Match: 409', async () => {
	await put('exists');
	assertError(await put('exists'), 409, 'DeviceAlreadyExists');
	assert.equal((await put('exists')).body.Message, 'ErrorCode:DeviceAlreadyExists;Conflict: the device exists exists, and to change it the header If-Match is missing (its etag in quotes, or *)');
	const module = () => hub.rest('PUT', '/devices/exists/modules/m', { body: { deviceId: 'exists', moduleId: 'm' } });
	assert.equal((await module()).status, 200);
	assertError(await module(), 409, 'ModuleAlreadyExistsOnDevice', 'If-Match is missing');
});

test('R-22 R-23 L-88 R-24 If-Match in every spelling', async () => {
	let { etag } = (await put('match')).body;
	for (const form of [() => '*', () => '"*"', () => `"${etag}"`, () => etag, () => `W/"${etag}"`]) {
		const answer = await put('match', {}, { 'If-Match': form() });
		assert.equal(answer.status, 200, form());
		assert.notEqual(answer.body.etag, etag);
		etag = answer.body.etag;
	}
	assertError(await put('match', {}, { 'If-Match': '"c3RhbGU="' }), 412, 'PreconditionFailed');
	assertError(await put('match', {}, { 'If-Match': '""' }), 412, 'PreconditionFailed');
	assertError(await put('match-none', {}, any), 404, 'DeviceNotFound');
	assertError(await put('match-none', {}, { 'If-Match': '"x"' }), 404, 'DeviceNotFound');
	assert.equal((await get('match')).body.etag, etag);
});

test('R-25 an update replaces: what is absent falls back; a change of status has its time', async () => {
	const made = (await put('back', { status: 'disabled', statusReason: 'r' })).body;
	assert.equal(made.status, 'disabled');
	const { body } = await put('back', { authentication: made.authentication }, any);
	assert.equal(body.status, 'enabled');
	assert.equal(body.statusReason, null);
	assert.notEqual(body.statusUpdatedTime, UNSET);
	assert.equal(body.generationId, made.generationId);
	assert.deepEqual(body.authentication, made.authentication);
});

test('an update without keys makes new ones', async () => {
	const old = (await put('newkeys')).body.authentication.symmetricKey;
	const young = (await put('newkeys', {}, any)).body.authentication.symmetricKey;
	assert.notEqual(young.primaryKey, old.primaryKey);
});

test('R-26 thumbprints', async () => {
	const [a, b] = ['AB'.repeat(20), 'cd'.repeat(32)];
	const { status, body } = await put('thumb', { authentication: { type: 'selfSigned', x509Thumbprint: { primaryThumbprint: a, secondaryThumbprint: b } } });
	assert.equal(status, 200);
	assert.equal(body.authentication.type, 'selfSigned');
	assert.deepEqual(body.authentication.symmetricKey, { primaryKey: null, secondaryKey: null });
	assert.equal(body.authentication.x509Thumbprint.primaryThumbprint.toUpperCase(), a);
	const inferred = await put('thumb-inferred', { authentication: { x509Thumbprint: { primaryThumbprint: a } } });
	assert.equal(inferred.body.authentication.type, 'selfSigned');
	for (const bad of ['AB', 'G'.repeat(40), 'A'.repeat(41), '']) assertError(await put('thumb-bad', { authentication: { type: 'selfSigned', x509Thumbprint: { primaryThumbprint: bad } } }), 400, 'ArgumentInvalid');
	assertError(await put('thumb-bad', { authentication: { symmetricKey: { primaryKey: key(1), secondaryKey: key(2) }, x509Thumbprint: { primaryThumbprint: a } } }), 400, 'ArgumentInvalid');
});

test('R-27 certificateAuthority and none have no credentials of their own', async () => {
	for (const type of ['certificateAuthority', 'none']) {
		const { body } = await put(`ca-${type}`, { authentication: { type } });
		assert.deepEqual(body.authentication, { symmetricKey: { primaryKey: null, secondaryKey: null }, x509Thumbprint: { primaryThumbprint: null, secondaryThumbprint: null }, type });
	}
});

test('R-28 L-36 L-39 what is not a device', async () => {
	const sas = (primaryKey, secondaryKey) => ({ authentication: { type: 'sas', symmetricKey: { primaryKey, secondaryKey } } });
	for (const [id, body] of [['one', sas(key(1), '')], ['one', sas(null, key(1))], ['b64', sas('%%%', key(1))], ['short', sas(key(1, 15), key(2, 15))], ['long', sas(key(1, 65), key(2, 65))],
		['status', { status: 'asleep' }], ['reason', { statusReason: 'x'.repeat(129) }], ['auth', { authentication: { type: 'password' } }], ['auth2', { authentication: 5 }]])
		assertError(await put(id, body), 400, 'ArgumentInvalid');
	assertError(await hub.rest('PUT', '/devices/mine', { body: { deviceId: 'yours' } }), 400, 'ArgumentInvalid');
	assertError(await hub.rest('PUT', '/devices/mine', { body: {} }), 400, 'ArgumentInvalid');
	assertError(await hub.rest('PUT', '/devices/mine', { body: '[]' }), 400, 'ArgumentInvalid');
	for (const id of ['a b', 'a"b', 'x'.repeat(129), 'ä', 'a&b', 'a\\b']) assertError(await put(id), 400, 'ArgumentInvalid');
	assertError(await hub.rest('PUT', '/devices/a%2Fb', { body: { deviceId: 'a/b' } }), 400, 'ArgumentInvalid');
	for (const [id, body] of [['k16', sas(key(1, 16), key(2, 16))], ['k64', sas(key(1, 64), key(2, 64))], ['x'.repeat(128), {}]]) assert.equal((await put(id, body)).status, 200);
});

test('unknown and server-owned members are ignored', async () => {
	const { status, body } = await put('extra', { connectionState: 'Connected', lastActivityTime: '2020-01-01T00:00:00Z', generationId: 'mine', etag: 'mine', what: [1, { ever: null }] });
	assert.equal(status, 200);
	assert.equal(body.connectionState, 'Disconnected');
	assert.equal(body.lastActivityTime, UNSET);
	assert.notEqual(body.generationId, 'mine');
});

test('R-29 R-30 R-31 scopes of edge devices and their leaves', async () => {
	const edge = (await put('edge', { capabilities: { iotEdge: true } })).body;
	assert.equal(edge.capabilities.iotEdge, true);
	assert.match(edge.deviceScope, /^ms-azure-iot-edge:\/\/edge-\d+$/);
	const again = (await put('edge', { capabilities: { iotEdge: true }, authentication: edge.authentication, deviceScope: 'ms-azure-iot-edge://other-1' }, any)).body;
	assert.equal(again.deviceScope, edge.deviceScope);
	const leaf = (await put('leaf', { deviceScope: edge.deviceScope })).body;
	assert.equal(leaf.deviceScope, edge.deviceScope);
	assert.deepEqual(leaf.parentScopes, [edge.deviceScope]);
	assertError(await put('stray', { deviceScope: 'ms-azure-iot-edge://nobody-1' }), 400, 'ArgumentInvalid');
	const detached = (await put('leaf', { deviceScope: '', authentication: leaf.authentication }, any)).body;
	assert.equal('parentScopes' in detached, false);
});

test('R-33 a missing device: 404 with its id', async () => {
	const answer = await get('no-one');
	assertError(answer, 404, 'DeviceNotFound');
	assert.equal(answer.body.Message, 'ErrorCode:DeviceNotFound;no-one');
});

test('R-34 R-35 R-36 delete', async () => {
	await put('gone');
	assertError(await hub.rest('DELETE', '/devices/gone', { headers: { 'If-Match': '"wrong"' } }), 412, 'PreconditionFailed');
	const answer = await hub.rest('DELETE', '/devices/gone', { headers: { 'If-Match': '"*"' } });
	assert.equal(answer.status, 204);
	assert.equal(answer.text, '');
	assert.equal('content-type' in answer.headers, false);
	assertError(await get('gone'), 404, 'DeviceNotFound');
	assertError(await hub.rest('DELETE', '/devices/gone', { headers: any }), 404, 'DeviceNotFound');
	const { etag } = (await put('gone')).body;
	assert.equal((await hub.rest('DELETE', '/devices/gone', { headers: { 'If-Match': `"${etag}"` } })).status, 204);
	await put('gone');
	assert.equal((await hub.rest('DELETE', '/devices/gone')).status, 204, 'without If-Match');
});

test('R-37 L-37 list: top bounds it, ids in order, an array without continuation', async () => {
	for (let i = 0; i < 7; i++) await put(`l${i}`);
	const all = await hub.rest('GET', '/devices');
	assert.equal(all.status, 200);
	assert.ok(all.body.length >= 7);
	assert.equal('x-ms-continuation' in all.headers, false);
	assert.equal((await hub.rest('GET', '/devices?top=5')).body.length, 5);
	for (const top of ['0', '5000', '-1']) assert.equal((await hub.rest('GET', `/devices?top=${top}`)).body.length, all.body.length, top);
	const ids = all.body.map((d) => d.deviceId);
	assert.deepEqual(ids, [...ids].sort());
	assert.equal((await hub.rest('GET', '/devices/?top=1')).body[0].deviceId, ids[0]);
});

test('L-36 L-59 the ids . and .. are refused for whatever is made: nobody could reach it', async () => {
	const modules = (id) => ({ modulesContent: { $edgeAgent: { 'properties.desired': { a: 1 } }, $edgeHub: { 'properties.desired': {} }, [id]: { 'properties.desired': { a: 1 } } } });
	await hub.createDevice('dots', { capabilities: { iotEdge: true } });
	for (const id of ['.', '..']) {
		const raw = id.replaceAll('.', '%2E');
		for (const path of [id, raw]) {
			const made = await hub.rest('PUT', `/devices/${path}`, { body: { deviceId: id } });
			assert.equal(made.status, 400, made.text);
			assert.match(made.text, /which paths of URLs leave out/);
		}
		assert.equal((await hub.rest('PUT', `/devices/dots/modules/${raw}`, { body: { deviceId: 'dots', moduleId: id } })).status, 400);
		for (const importMode of ['create', 'createOrUpdate']) {
			const bulk = await hub.rest('POST', '/devices', { body: [{ id, importMode }, { id: 'dots', moduleId: id, importMode }] });
			assert.equal(bulk.status, 400);
			assert.equal(bulk.body.errors.length, 2, bulk.text);
		}
		const imported = await hub.rest('POST', '/admin/import', { body: `${JSON.stringify({ id, importMode: 'createOrUpdate' })}\n` });
		assert.match(imported.text, /which paths of URLs leave out/);
		assert.equal((await hub.rest('PUT', `/jobs/v2/${raw}`, { body: { jobId: id, type: 'scheduleUpdateTwin', queryCondition: "deviceId = 'x'", updateTwin: { etag: '*', tags: {} } } })).status, 400);
		assert.equal((await hub.rest('PUT', `/configurations/${raw}`, { body: { id, content: { deviceContent: { 'properties.desired.a': 1 } } } })).status, 400);
		const content = await hub.rest('POST', '/devices/dots/applyConfigurationContent', { body: modules(id) });
		assert.equal(content.status, 400, content.text);
		const deployment = await hub.rest('PUT', `/configurations/dots-${id.length}`, { body: { id: `dots-${id.length}`, content: modules(id) } });
		assert.equal(deployment.status, 400, deployment.text);
	}
	assert.equal((await hub.rest('PUT', '/devices/...', { body: { deviceId: '...' } })).status, 200);
	assert.equal((await hub.rest('PUT', '/devices/.a', { body: { deviceId: '.a' } })).status, 200);
});
