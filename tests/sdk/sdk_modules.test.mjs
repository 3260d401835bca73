// Modules: identities, connections, twins, queries; through the SDKs of both sides and bare.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { DESIRED_CHANGES, makeCertificate, mqttDevice, mqttUsername, RawMqtt, sasToken, startHub, stopAll, tempDir,
	TWIN_RESPONSES, until, within } from '../lib/hub.mjs';
import { Mqtt, MqttWs, registryOf, rejection, SdkDevice } from '../lib/sdk.mjs';

const { ModuleClient } = createRequire(import.meta.url)('azure-iot-device');
const hubs = [];
const open = new Set();
let hub, registry, certs, root;

before(async () => {
	certs = tempDir('certs');
	root = makeCertificate({ dir: certs, cn: 'Module root', ca: true });
	hub = await startHub({ args: ['--client-ca', root.certFile] });
	hubs.push(hub);
	registry = await registryOf(hub);
});
after(async () => {
	for (const c of open) await c.close().catch(() => {});
	await stopAll(...hubs);
});

const putModule = (d, m, body = {}, options = {}) =>
	hub.rest('PUT', `/devices/${d}/modules/${encodeURIComponent(m)}`, { body: { deviceId: d, moduleId: m, ...body }, ...options });
const code = (answer) => /ErrorCode:(\w+);/.exec(answer.body.Message)?.[1];

async function moduleKey(d, m) {
	return (await hub.rest('GET', `/devices/${d}/modules/${encodeURIComponent(m)}`)).body.authentication.symmetricKey.primaryKey;
}

async function sdkModule(d, m, transport = Mqtt) {
	const key = await moduleKey(d, m);
	const client = ModuleClient.fromConnectionString(`HostName=${hub.addr};DeviceId=${d};ModuleId=${m};SharedAccessKey=${key}`, transport);
	await client.setOptions({ ca: hub.ca });
	const opened = await SdkDevice.open(client);
	open.add(opened);
	return opened;
}

async function rawModule(d, m, { password, filters = [TWIN_RESPONSES, DESIRED_CHANGES], ...transport } = {}) {
	const c = await RawMqtt.open(hub, transport);
	const answer = await c.connect({ clientId: `${d}/${m}`, username: mqttUsername(hub.addr, `${d}/${m}`), password });
	assert.equal(answer.code, 0);
	if (filters.length > 0) await c.subscribe(...filters);
	return c;
}

test('R-38 R-40 identity CRUD through the service SDK', async () => {
	await hub.createDevice('crud');
	assert.deepEqual((await registry.getModulesOnDevice('crud')).responseBody, []);
	const made = (await registry.addModule({ deviceId: 'crud', moduleId: 'm1', managedBy: 'me' })).responseBody;
	assert.equal(made.moduleId, 'm1');
	assert.equal(made.deviceId, 'crud');
	assert.equal(made.managedBy, 'me');
	assert.equal(Buffer.from(made.authentication.symmetricKey.primaryKey, 'base64').length, 32);
	for (const name of ['status', 'statusReason', 'capabilities', 'deviceScope', 'parentScopes']) assert.equal(name in made, false, name);
	const read = (await registry.getModule('crud', 'm1')).responseBody;
	assert.deepEqual(read, made);
	assert.equal((await rejection(registry.addModule({ deviceId: 'crud', moduleId: 'm1' }))).response.statusCode, 409);
	const updated = (await registry.updateModule({ ...read, managedBy: 'you' })).responseBody;
	assert.equal(updated.managedBy, 'you');
	assert.notEqual(updated.etag, read.etag);
	assert.equal(updated.generationId, read.generationId);
	assert.equal((await rejection(registry.updateModule({ ...read, managedBy: 'late' }))).name, 'InvalidEtagError');
	await registry.addModule({ deviceId: 'crud', moduleId: 'a0' });
	assert.deepEqual((await registry.getModulesOnDevice('crud')).responseBody.map((m) => m.moduleId), ['a0', 'm1']);
	await registry.removeModule('crud', 'a0');
	assert.deepEqual((await registry.getModulesOnDevice('crud')).responseBody.map((m) => m.moduleId), ['m1']);
});

test('R-38 L-41 an existing module is ModuleAlreadyExistsOnDevice', async () => {
	await hub.createDevice('again');
	const first = await putModule('again', 'm');
	assert.equal(first.status, 200);
	assert.equal(first.headers.etag, `"${first.body.etag}"`);
	const second = await putModule('again', 'm');
	assert.equal(second.status, 409);
	assert.equal(code(second), 'ModuleAlreadyExistsOnDevice');
	assert.equal((await putModule('again', 'm', {}, { headers: { 'If-Match': '*' } })).status, 200);
	assert.equal((await putModule('again', 'm', {}, { headers: { 'If-Match': '"AA=="' } })).status, 412);
	assert.equal((await putModule('again', 'm', { moduleId: 'x' })).status, 400);
});

test('R-39 a missing device is DeviceNotFound, a missing module ModuleNotFound', async () => {
	await hub.createDevice('lone');
	for (const [method, path, options] of [['GET', '', {}], ['DELETE', '', {}], ['PUT', '', { headers: { 'If-Match': '*' } }]]) {
		const body = method === 'PUT' ? { deviceId: 'nobody', moduleId: 'm' } : undefined;
		const noDevice = await hub.rest(method, `/devices/nobody/modules/m${path}`, { body, ...options });
		assert.equal(noDevice.status, 404, method);
		assert.equal(noDevice.headers['iothub-errorcode'], 'DeviceNotFound', method);
		const noModule = await hub.rest(method, `/devices/lone/modules/m${path}`, { body: body && { deviceId: 'lone', moduleId: 'm' }, ...options });
		assert.equal(noModule.status, 404, method);
		assert.equal(noModule.headers['iothub-errorcode'], 'ModuleNotFound', method);
	}
	assert.equal((await putModule('nobody', 'm')).headers['iothub-errorcode'], 'DeviceNotFound');
	assert.equal((await hub.rest('GET', '/devices/nobody/modules')).headers['iothub-errorcode'], 'DeviceNotFound');
	assert.equal((await hub.rest('GET', '/twins/lone/modules/m')).headers['iothub-errorcode'], 'ModuleNotFound');
	assert.equal((await hub.rest('PATCH', '/twins/nobody/modules/m', { body: {} })).headers['iothub-errorcode'], 'DeviceNotFound');
});

test('L-25 T-86 a device has at most 50 modules', async () => {
	await hub.createDevice('full');
	for (let i = 0; i < 50; i++) assert.equal((await putModule('full', `m${i}`)).status, 200);
	const more = await putModule('full', 'more');
	assert.equal(more.status, 413);
	assert.equal(code(more), 'TooManyModulesOnDevice');
	assert.equal((await hub.rest('GET', '/devices/full/modules')).body.length, 50);
	assert.equal((await hub.rest('DELETE', '/devices/full/modules/m7')).status, 204);
	assert.equal((await putModule('full', 'more')).status, 200);
});

test('R-58 T-87 T-89 module twins: GET, PATCH, PUT, independent of the device\'s', async () => {
	await hub.createDevice('tw');
	await putModule('tw', 'm');
	const first = (await registry.getModuleTwin('tw', 'm')).responseBody;
	assert.equal(first.moduleId, 'm');
	assert.equal(first.version, 2);
	assert.equal(first.etag, 'AAAAAAAAAAE=');
	assert.equal('capabilities' in first || 'deviceScope' in first, false);
	const device = await hub.rest('GET', '/twins/tw');
	const patched = (await registry.updateModuleTwin('tw', 'm', { tags: { site: 'b' }, properties: { desired: { rate: 5 } } }, '*')).responseBody;
	assert.deepEqual(patched.tags, { site: 'b' });
	assert.equal(patched.properties.desired.rate, 5);
	assert.equal(patched.properties.desired.$version, 2);
	const put = await hub.rest('PUT', '/twins/tw/modules/m', { body: { properties: { desired: { other: 1 } } } });
	assert.equal(put.status, 200);
	assert.equal('tags' in put.body, false);
	assert.deepEqual(Object.keys(put.body.properties.desired).filter((k) => !k.startsWith('$')), ['other']);
	assert.deepEqual((await hub.rest('GET', '/twins/tw')).body, device.body);
	assert.equal((await hub.rest('PATCH', '/twins/tw/modules/m', { body: { tags: { a: 1 } }, headers: { 'If-Match': '"AAAAAAAAAAE="' } })).status, 412);
});

for (const [name, transport] of [['MQTT', Mqtt], ['MQTT over WebSocket', MqttWs]]) {
	test(`D-52 T-87 T-108 a ModuleClient over ${name} reports and hears desired changes`, async () => {
		const d = `mc-${transport.name}`;
		await hub.createDevice(d);
		await putModule(d, 'm');
		const m = await sdkModule(d, 'm', transport);
		await m.listen();
		await m.report({ temperature: 21 });
		await registry.updateTwin(d, { properties: { desired: { forDevice: 1 } } }, '*');
		await registry.updateModuleTwin(d, 'm', { properties: { desired: { forModule: 2 } } }, '*');
		assert.deepEqual(await m.notification(), { forModule: 2, $version: 2 });
		const twin = (await registry.getModuleTwin(d, 'm')).responseBody;
		assert.equal(twin.properties.reported.temperature, 21);
		assert.equal(twin.connectionState, 'Connected');
		assert.equal((await hub.rest('GET', `/twins/${d}`)).body.connectionState, 'Disconnected');
		await m.close();
		await until(async () => (await hub.rest('GET', `/devices/${d}/modules/m`)).body.connectionState === 'Disconnected', 'the module is gone');
	});
}

test('D-13 D-79 a module connects with its key, its device\'s, or a policy\'s with DeviceConnect', async () => {
	const device = await hub.createDevice('auth');
	await putModule('auth', 'm');
	const resource = `${hub.addr}/devices/auth/modules/m`;
	const connack = async (password) => {
		const c = await RawMqtt.open(hub);
		const { code: answer } = await c.connect({ clientId: 'auth/m', username: mqttUsername(hub.addr, 'auth/m'), password });
		c.destroy();
		return answer;
	};
	assert.equal(await connack(sasToken({ resource, key: await moduleKey('auth', 'm') })), 0);
	assert.equal(await connack(sasToken({ resource, key: device.authentication.symmetricKey.primaryKey })), 0);
	const policy = /SharedAccessKey=(.*)$/.exec(await hub.connectionString('device'))[1];
	assert.equal(await connack(sasToken({ resource: hub.addr, key: policy, policy: 'device' })), 0);
	const service = /SharedAccessKey=(.*)$/.exec(await hub.connectionString('service'))[1];
	assert.equal(await connack(sasToken({ resource: hub.addr, key: service, policy: 'service' })), 5);
});

test('D-18 modules connect with certificates: by thumbprint and by authority', async () => {
	await hub.createDevice('cert');
	const own = makeCertificate({ dir: certs, cn: 'cert/thumb' });
	await putModule('cert', 'thumb', { authentication: { type: 'selfSigned', x509Thumbprint: { primaryThumbprint: own.sha256 } } });
	await putModule('cert', 'ca', { authentication: { type: 'certificateAuthority' } });
	const signed = makeCertificate({ dir: certs, cn: 'cert/ca', issuer: root });
	const foreign = makeCertificate({ dir: certs, cn: 'cert', issuer: root });
	for (const [m, certificate, want] of [['thumb', own, 0], ['thumb', signed, 5], ['ca', signed, 0], ['ca', own, 5], ['ca', foreign, 5]]) {
		const c = await RawMqtt.open(hub, { cert: certificate.chain, key: certificate.key });
		const answer = await c.connect({ clientId: `cert/${m}`, username: mqttUsername(hub.addr, `cert/${m}`) });
		assert.equal(answer.code, want, `${m} with ${certificate.cn}`);
		c.destroy();
	}
});

test('D-33 D-78 filters of a module are granted; its telemetry is taken', async () => {
	await hub.createDevice('filters');
	await putModule('filters', 'm');
	const password = sasToken({ resource: `${hub.addr}/devices/filters/modules/m`, key: await moduleKey('filters', 'm') });
	const c = await rawModule('filters', 'm', { password, filters: [] });
	assert.deepEqual(await c.subscribe('devices/filters/modules/m/#', 'devices/filters/modules/m/inputs/#',
		'devices/filters/modules/m/messages/devicebound/#', 'devices/filters/messages/devicebound/#'), [0, 0, 0, 128]);
	await c.publish('devices/filters/modules/m/messages/events/%24.on=out', 'hello', { qos: 1 });
	await c.disconnect();
});

test('T-88 D-76 disabling a device cuts its modules', async () => {
	const device = await hub.createDevice('cut');
	await putModule('cut', 'm');
	const password = sasToken({ resource: `${hub.addr}/devices/cut/modules/m`, key: await moduleKey('cut', 'm') });
	const c = await rawModule('cut', 'm', { password });
	await hub.rest('PUT', '/devices/cut', { body: { ...device, status: 'disabled' }, headers: { 'If-Match': '*' } });
	await c.closed();
	const again = await RawMqtt.open(hub);
	assert.equal((await again.connect({ clientId: 'cut/m', username: mqttUsername(hub.addr, 'cut/m'), password })).code, 5);
	again.destroy();
	assert.equal((await hub.rest('GET', '/twins/cut/modules/m')).status, 200);
});

test('T-91 R-34 deleting a device deletes its modules and ends their connections, for good', async () => {
	const other = await startHub();
	hubs.push(other);
	const rest = (...args) => other.rest(...args);
	await other.createDevice('gone');
	await other.createDevice('stays');
	for (const [d, m] of [['gone', 'm1'], ['gone', 'm2'], ['stays', 'm1']])
		await rest('PUT', `/devices/${d}/modules/${m}`, { body: { deviceId: d, moduleId: m } });
	const key = (await rest('GET', '/devices/gone/modules/m2')).body.authentication.symmetricKey.primaryKey;
	const c = await RawMqtt.open(other);
	await c.connect({ clientId: 'gone/m2', username: mqttUsername(other.addr, 'gone/m2'),
		password: sasToken({ resource: `${other.addr}/devices/gone/modules/m2`, key }) });
	assert.equal((await rest('DELETE', '/devices/gone')).status, 204);
	await c.closed();
	await other.kill();
	await other.start();
	assert.equal((await rest('GET', '/twins/gone/modules/m1')).headers['iothub-errorcode'], 'DeviceNotFound');
	await other.createDevice('gone');
	assert.deepEqual((await rest('GET', '/devices/gone/modules')).body, []);
	assert.deepEqual((await rest('GET', '/devices/stays/modules')).body.map((m) => m.moduleId), ['m1']);
});

test('T-90 an edge device has $edgeAgent and $edgeHub, which only the hub makes and deletes', async () => {
	await hub.createDevice('edge', { capabilities: { iotEdge: true } });
	assert.deepEqual((await hub.rest('GET', '/devices/edge/modules')).body.map((m) => m.moduleId), ['$edgeAgent', '$edgeHub']);
	for (const answer of [await putModule('edge', '$edgeAgent', {}, { headers: { 'If-Match': '*' } }),
		await hub.rest('DELETE', '/devices/edge/modules/%24edgeHub')]) {
		assert.equal(answer.status, 401);
		assert.equal(code(answer), 'SystemModuleModifyUnauthorizedAccess');
	}
	const twin = await hub.rest('PATCH', '/twins/edge/modules/%24edgeAgent', { body: { properties: { desired: { a: 1 } } } });
	assert.equal(twin.status, 200);
	const m = await sdkModule('edge', '$edgeAgent');
	assert.equal((await m.readTwin()).properties.desired.a, 1);
	await m.close();
	assert.equal((await hub.rest('DELETE', '/devices/edge')).status, 204);
});

test('Q-19 Q-23 devices.modules finds modules, devices does not', async () => {
	for (const d of ['q1', 'q2']) {
		await hub.createDevice(d);
		await putModule(d, 'qm');
		await hub.rest('PATCH', `/twins/${d}/modules/qm`, { body: { tags: { kind: 'sensor', of: d } } });
	}
	const rows = async (query) => (await hub.rest('POST', '/devices/query', { body: { query } })).body;
	const found = await rows("SELECT * FROM devices.modules WHERE tags.kind = 'sensor'");
	assert.deepEqual(found.map((t) => `${t.deviceId}/${t.moduleId}`).sort(), ['q1/qm', 'q2/qm']);
	assert.deepEqual(await rows("SELECT * FROM devices WHERE tags.kind = 'sensor'"), []);
	const named = await rows("SELECT deviceId, tags.of FROM devices.modules WHERE moduleId = 'qm' AND deviceId = 'q2'");
	assert.deepEqual(named, [{ deviceId: 'q2', of: 'q2' }]);
});

test('T-108 D-25 module and device of one id live side by side', async () => {
	await hub.createDevice('both');
	await putModule('both', 'm');
	const device = await mqttDevice(hub, 'both');
	const password = sasToken({ resource: `${hub.addr}/devices/both/modules/m`, key: await moduleKey('both', 'm') });
	const module = await rawModule('both', 'm', { password });
	await device.report({ who: 'device' });
	await module.report({ who: 'module' });
	assert.equal((await device.twinGet()).body.reported.who, 'device');
	assert.equal((await module.twinGet()).body.reported.who, 'module');
	await within(Promise.all([device.disconnect(), module.disconnect()]), 'both to leave');
});
