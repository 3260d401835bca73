// Bulk registry calls, key regeneration, statistics, purging.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { mqttDevice, startHub, stopAll, until } from '../lib/hub.mjs';
import { registryOf, rejection } from '../lib/sdk.mjs';

const hubs = [];
let hub, registry;

before(async () => {
	hub = await startHub();
	hubs.push(hub);
	registry = await registryOf(hub);
});
after(() => stopAll(...hubs));

const bulk = (items, options = {}) => hub.rest('POST', '/devices', { body: items, ...options });
const twin = async (id) => (await hub.rest('GET', `/twins/${id}`)).body;
const device = async (id) => (await hub.rest('GET', `/devices/${id}`)).body;
const good = { isSuccessful: true, errors: [], warnings: [] };

function failed(answer, ...wanted) {
	assert.equal(answer.status, 400);
	assert.equal(answer.headers['iothub-errorcode'], 'BulkRegistryOperationFailure');
	assert.equal(answer.headers.iothuberrorcode, 'BulkRegistryOperationFailure');
	assert.equal(answer.body.isSuccessful, false);
	assert.deepEqual(answer.body.warnings, []);
	assert.deepEqual(answer.body.errors.map((e) => [e.deviceId, e.errorCode]), wanted);
	for (const e of answer.body.errors) assert.equal(typeof e.errorStatus, 'string');
	return answer.body.errors;
}

test('R-44 R-41 the service SDK adds, updates and removes devices in bulk', async () => {
	const ids = Array.from({ length: 100 }, (_, i) => `sdk-${String(i).padStart(3, '0')}`);
	const { responseBody } = await registry.addDevices(ids.map((deviceId) => ({ deviceId })));
	assert.deepEqual(responseBody, good);
	assert.equal((await device('sdk-042')).status, 'enabled');
	await registry.updateDevices(ids.slice(0, 5).map((deviceId) => ({ deviceId, status: 'disabled' })), true);
	assert.equal((await device('sdk-004')).status, 'disabled');
	const stale = (await device('sdk-005')).etag;
	await registry.updateDevices([{ deviceId: 'sdk-005', status: 'disabled', etag: stale }], false);
	const late = await rejection(registry.updateDevices([{ deviceId: 'sdk-005', etag: stale }], false));
	assert.equal(late.name, 'ArgumentError');
	assert.equal(JSON.parse(late.responseBody ?? '{}').errors?.[0]?.errorCode ?? 412001, 412001);
	await registry.removeDevices(ids.map((deviceId) => ({ deviceId })), true);
	assert.equal((await hub.rest('GET', '/devices/sdk-042')).status, 404);
});

test('R-42 T-10 bulk create initialises the twin; both $version are 1', async () => {
	const answer = await bulk([{ id: 'with-twin', importMode: 'create', tags: { site: 'a', none: null },
		properties: { desired: { rate: 5, deep: { x: [1, 2] }, $version: 77, $metadata: {} }, reported: { ignored: true } } }]);
	assert.equal(answer.status, 200);
	assert.deepEqual(answer.body, good);
	const t = await twin('with-twin');
	assert.deepEqual(t.tags, { site: 'a' });
	assert.equal(t.properties.desired.rate, 5);
	assert.deepEqual(t.properties.desired.deep, { x: [1, 2] });
	assert.equal(t.properties.desired.$version, 1);
	assert.equal(t.properties.reported.$version, 1);
	assert.equal('ignored' in t.properties.reported, false);
	assert.equal(t.version, 2);
	assert.equal(t.etag, 'AAAAAAAAAAE=');
});

test('R-43 one item that exists: 400, the others are made, both header names', async () => {
	await hub.createDevice('there');
	const answer = await bulk([{ id: 'new-1', importMode: 'create' }, { id: 'there', importMode: 'create' }, { id: 'new-2', importMode: 'create' }]);
	const [error] = failed(answer, ['there', 409001]);
	assert.equal(error.operation, 'create');
	assert.equal((await device('new-1')).deviceId, 'new-1');
	assert.equal((await device('new-2')).deviceId, 'new-2');
});

test('R-18 R-41 R-48 modes without case, the default is createOrUpdate, a slash after devices', async () => {
	for (const importMode of ['CREATE', undefined, 'Update', 'CreateOrUpdate', null])
		assert.equal((await hub.rest('POST', '/devices/', { body: [{ id: 'modes', importMode, statusReason: String(importMode) }] })).status, 200, importMode);
	assert.equal((await device('modes')).statusReason, 'null');
	failed(await bulk([{ id: 'modes', importMode: 'upsert' }, { id: 'other-mode', importMode: 7 }]), ['modes', 400004], ['other-mode', 400004]);
});

test('R-45 L-38 101 items: 413; none: 400; the same id twice: 400, nothing is done', async () => {
	const many = await bulk(Array.from({ length: 101 }, (_, i) => ({ id: `m${i}` })));
	assert.equal(many.status, 413);
	assert.equal(many.headers['iothub-errorcode'], 'TooManyDevices');
	for (const body of [[], {}, 'x', 7, [7], [{}], [{ deviceId: 'd' }], [{ id: [7] }], [{ id: '' }]]) assert.equal((await bulk(body)).status, 400, JSON.stringify(body));
	const twice = await bulk([{ id: 'same' }, { id: 'between' }, { id: 'same' }]);
	assert.equal(twice.status, 400);
	assert.equal(twice.headers['iothub-errorcode'], 'DeviceDefinedMultipleTimes');
	assert.equal((await hub.rest('GET', '/devices/between')).status, 404);
	failed(await bulk([{ id: 'a/b' }, { id: 'fine' }]), ['a/b', 400004]);
	assert.equal((await device('fine')).deviceId, 'fine');
});

test('R-46 conditional modes: eTag decides', async () => {
	const made = await hub.createDevice('cond');
	failed(await bulk([{ id: 'cond', importMode: 'updateIfMatchETag', eTag: 'c3RhbGU=', status: 'disabled' }]), ['cond', 412001]);
	failed(await bulk([{ id: 'cond', importMode: 'updateIfMatchETag', status: 'disabled' }]), ['cond', 412001]);
	failed(await bulk([{ id: 'nobody', importMode: 'updateIfMatchETag', eTag: made.etag }]), ['nobody', 404001]);
	assert.equal((await bulk([{ id: 'cond', importMode: 'updateIfMatchETag', eTag: `"${made.etag}"`, status: 'disabled' }])).status, 200);
	const next = await device('cond');
	assert.equal(next.status, 'disabled');
	failed(await bulk([{ id: 'cond', importMode: 'createOrUpdateIfMatchETag', eTag: made.etag }]), ['cond', 412001]);
	assert.equal((await bulk([{ id: 'cond', importMode: 'createOrUpdateIfMatchETag', etag: next.etag }])).status, 200);
	assert.equal((await bulk([{ id: 'cond-new', importMode: 'createOrUpdateIfMatchETag', eTag: 'eA==' }])).status, 200);
	failed(await bulk([{ id: 'cond', importMode: 'deleteIfMatchETag', eTag: next.etag }]), ['cond', 412001]);
	assert.equal((await bulk([{ id: 'cond', importMode: 'deleteIfMatchETag', eTag: (await device('cond')).etag }])).status, 200);
	failed(await bulk([{ id: 'cond', importMode: 'delete' }, { id: 'cond-x', importMode: 'update' }]), ['cond', 404001], ['cond-x', 404001]);
});

test('R-47 twin modes merge, and notify; the identity stays', async () => {
	const made = await hub.createDevice('twins');
	const d = await mqttDevice(hub, 'twins');
	await hub.rest('PATCH', '/twins/twins', { body: { tags: { a: 1, b: 2 } } });
	assert.equal((await bulk([{ id: 'twins', importMode: 'updateTwin', tags: { b: null, c: 3 }, properties: { desired: { x: 1 } }, status: 'disabled' }])).status, 200);
	assert.deepEqual((await d.notification()).body, { x: 1, $version: 2 });
	let t = await twin('twins');
	assert.deepEqual(t.tags, { a: 1, c: 3 });
	assert.equal(t.status, 'enabled');
	assert.equal((await device('twins')).etag, made.etag);
	failed(await bulk([{ id: 'twins', importMode: 'updateTwinIfMatchETag', twinETag: 'AAAAAAAAAAE=', tags: { d: 4 } }]), ['twins', 412001]);
	assert.equal((await bulk([{ id: 'twins', importMode: 'updateTwinIfMatchETag', twinETag: t.etag, tags: { d: 4 } }])).status, 200);
	t = await twin('twins');
	assert.deepEqual(t.tags, { a: 1, c: 3, d: 4 });
	failed(await bulk([{ id: 'nobody', importMode: 'updateTwin', tags: {} }, { id: 'twins', moduleId: 'm', importMode: 'updateTwin', tags: {} }]),
		['nobody', 404001], ['twins', 404010]);
	d.destroy();
});

test('R-47 createOrUpdate applies given parts, all or nothing', async () => {
	await hub.createDevice('parts');
	await hub.rest('PATCH', '/twins/parts', { body: { tags: { keep: 1 }, properties: { desired: { keep: 1 } } } });
	assert.equal((await bulk([{ id: 'parts', status: 'disabled', tags: { more: 2 } }])).status, 200);
	let t = await twin('parts');
	assert.deepEqual(t.tags, { keep: 1, more: 2 });
	assert.equal(t.properties.desired.$version, 2);
	assert.equal(t.status, 'disabled');
	failed(await bulk([{ id: 'parts', status: 'enabled', tags: { 'bad key.': 1 } }]), ['parts', 400004]);
	failed(await bulk([{ id: 'parts', status: 'enabled', twinETag: 'AAAAAAAAAAE=' }]), ['parts', 412001]);
	failed(await bulk([{ id: 'parts-new', tags: { $bad: 1 } }, { id: 'parts-new-2', properties: 5 }]), ['parts-new', 400004], ['parts-new-2', 400004]);
	assert.equal((await hub.rest('GET', '/devices/parts-new')).status, 404);
	t = await twin('parts');
	assert.equal(t.status, 'disabled');
	assert.deepEqual(t.tags, { keep: 1, more: 2 });
});

test('R-42 modules in a bulk call, also behind their device', async () => {
	const answer = await bulk([{ id: 'bm', importMode: 'create' }, { id: 'bm', moduleId: 'm1', importMode: 'create', managedBy: 'me', tags: { a: 1 } },
		{ id: 'nobody', moduleId: 'm1', importMode: 'create' }]);
	failed(answer, ['nobody', 404001]);
	assert.equal(answer.body.errors[0].moduleId, 'm1');
	assert.deepEqual((await hub.rest('GET', '/devices/bm/modules')).body.map((m) => [m.moduleId, m.managedBy]), [['m1', 'me']]);
	assert.deepEqual((await hub.rest('GET', '/twins/bm/modules/m1')).body.tags, { a: 1 });
	failed(await bulk([{ id: 'bm', moduleId: 'm1', importMode: 'create' }]), ['bm', 409301]);
	assert.equal((await bulk([{ id: 'bm', moduleId: 'm1', importMode: 'delete' }])).status, 200);
	assert.equal((await hub.rest('GET', '/twins/bm/modules/m1')).status, 404);
});

test('R-31 R-30 scopes of bulk items are checked', async () => {
	const edge = await hub.createDevice('gateway', { capabilities: { iotEdge: true } });
	const answer = await bulk([{ id: 'leaf-1', deviceScope: edge.deviceScope }, { id: 'leaf-2', deviceScope: 'ms-azure-iot-edge://gateway-1' },
		{ id: 'leaf-3', deviceScope: 'anything' }, { id: 'leaf-4', deviceScope: null }]);
	failed(answer, ['leaf-2', 400004], ['leaf-3', 400004]);
	assert.equal((await device('leaf-1')).deviceScope, edge.deviceScope);
	assert.equal((await device('leaf-4')).deviceId, 'leaf-4');
});

test('L-38 a bulk call may be 8 MB: 100 full twins', async () => {
	const full = Object.fromEntries(Array.from({ length: 8 }, (_, i) => [`k${i}`, 'x'.repeat(4000)]));
	const items = Array.from({ length: 100 }, (_, i) => ({ id: `full-${i}`, importMode: 'create', properties: { desired: full } }));
	const answer = await bulk(items);
	assert.deepEqual(answer.body, good);
	assert.equal((await twin('full-99')).properties.desired.k7.length, 4000);
	const spaces = ' '.repeat(8 * 1024 * 1024);
	assert.equal((await hub.rest('POST', '/devices', { body: `[${spaces}]` })).status, 413);
	await bulk(items.map(({ id }) => ({ id, importMode: 'delete' })));
});

test('R-11 bulk calls need RegistryWrite', async () => {
	assert.equal((await bulk([{ id: 'x' }], { policy: 'registryRead' })).status, 401);
	assert.equal((await bulk([{ id: 'x' }], { policy: 'registryReadWrite' })).status, 200);
});

test('R-100 T-11 keys are regenerated, one, the other, both', async () => {
	const regenerate = (policyKey, ...devices) => hub.rest('POST', '/devices/keys/regenerate', { body: { policyKey, devices } });
	await hub.createDevice('keys');
	await hub.rest('PUT', '/devices/keys/modules/m', { body: { deviceId: 'keys', moduleId: 'm' } });
	await hub.createDevice('ca-keys', { authentication: { type: 'certificateAuthority' } });
	const before = await device('keys'), old = before.authentication.symmetricKey, first = await twin('keys');
	const one = await regenerate('primaryKey', { id: 'keys' });
	assert.equal(one.status, 200);
	assert.equal(one.body.policyKey, 'primaryKey');
	assert.deepEqual(one.body.errors, []);
	const [rotated] = one.body.rotatedKeys;
	assert.equal(rotated.id, 'keys');
	assert.notEqual(rotated.primaryKey, old.primaryKey);
	assert.equal(rotated.secondaryKey, old.secondaryKey);
	const next = await device('keys');
	assert.equal(next.authentication.symmetricKey.primaryKey, rotated.primaryKey);
	assert.notEqual(next.etag, before.etag);
	assert.equal(next.generationId, before.generationId);
	const { deviceEtag, ...rest } = await twin('keys'), { deviceEtag: oldTag, ...oldRest } = first;
	assert.notEqual(deviceEtag, oldTag);
	assert.deepEqual(rest, oldRest);
	const both = await regenerate('both', { id: 'keys', moduleId: 'm' }, { id: 'nobody' }, { id: 'ca-keys' });
	assert.equal(both.status, 207);
	assert.deepEqual(both.body.rotatedKeys.map((k) => [k.id, k.moduleId]), [['keys', 'm']]);
	assert.deepEqual(both.body.errors.map((e) => [e.id, e.errorCode]), [['nobody', 404001], ['ca-keys', 400004]]);
	assert.equal((await regenerate('secondaryKey', { id: 'nobody' })).status, 400);
	assert.equal((await regenerate('tertiaryKey', { id: 'keys' })).status, 400);
	assert.equal((await regenerate('both')).status, 400);
	const d = await mqttDevice(hub, 'keys');
	await d.disconnect();
});

test('R-96 statistics count devices, enabled, disabled, connected', async () => {
	const other = await startHub();
	hubs.push(other);
	const stats = async () => [(await other.rest('GET', '/statistics/devices')).body, (await other.rest('GET', '/statistics/service')).body];
	assert.deepEqual(await stats(), [{ totalDeviceCount: 0, enabledDeviceCount: 0, disabledDeviceCount: 0 }, { connectedDeviceCount: 0 }]);
	await other.rest('POST', '/devices', { body: Array.from({ length: 30 }, (_, i) => ({ id: `s${i}`, status: i % 3 ? 'enabled' : 'disabled' })) });
	await other.rest('PUT', '/devices/s1/modules/m', { body: { deviceId: 's1', moduleId: 'm' } });
	const d = await mqttDevice(other, 's1');
	assert.deepEqual(await stats(), [{ totalDeviceCount: 30, enabledDeviceCount: 20, disabledDeviceCount: 10 }, { connectedDeviceCount: 1 }]);
	await other.rest('DELETE', '/devices/s0');
	d.destroy();
	await until(async () => (await stats())[1].connectedDeviceCount === 0, 'the device is gone');
	await other.kill();
	await other.start();
	assert.deepEqual(await stats(), [{ totalDeviceCount: 29, enabledDeviceCount: 20, disabledDeviceCount: 9 }, { connectedDeviceCount: 0 }]);
	assert.equal((await other.rest('GET', '/statistics/devices', { policy: 'device' })).status, 401);
	assert.equal((await other.rest('GET', '/statistics/devices', { policy: 'service' })).status, 200);
});

test('R-97 R-98 purging and feedback where there are no messages', async () => {
	await hub.createDevice('purge');
	const purged = await hub.rest('DELETE', '/devices/purge/commands');
	assert.equal(purged.status, 200);
	assert.deepEqual(purged.body, { deviceId: 'purge', moduleId: null, totalMessagesPurged: 0 });
	assert.equal((await hub.rest('DELETE', '/devices/nobody/commands')).headers['iothub-errorcode'], 'DeviceNotFound');
	const feedback = await hub.rest('GET', '/messages/serviceBound/feedback');
	assert.equal(feedback.status, 204);
	assert.equal(feedback.text, '');
});
