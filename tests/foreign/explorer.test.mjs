// Azure IoT Explorer's calls, as its request layer puts them on the wire: the path encoded whole, slashes too, and its own
// headers (service-rest.md 1.1). The layer below is written from what that program sends; none of its code is here.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { mqttDevice, PACKET, startHub, stopAll } from '../lib/hub.mjs';

const hubs = [];
let hub;
before(async () => { hubs.push(hub = await startHub()); });
after(() => stopAll(...hubs));

const API = '2020-09-30';
const LIST = `
    SELECT deviceId as DeviceId,
    status as Status,
    lastActivityTime as LastActivityTime,
    statusUpdatedTime as StatusUpdatedTime,
    authenticationType as AuthenticationType,
    cloudToDeviceMessageCount as CloudToDeviceMessageCount,
    connectionState as ConnectionState,
    capabilities.iotEdge as IotEdge,
    modelId as ModelId
    FROM devices`;

async function explorer(method, path, { body, headers, query } = {}) {
	const target = `/${encodeURIComponent(path)}${query ? `?${query}&api-version=${API}` : `?api-version=${API}`}`;
	return hub.rest(method, target, { apiVersion: null, body: body === undefined ? undefined : JSON.stringify(body),
		headers: { Accept: 'application/json', 'Content-Type': 'application/json', ...headers } });
}

const authentication = { symmetricKey: { primaryKey: null, secondaryKey: null }, type: 'sas', x509Thumbprint: null };
const identity = (deviceId) => ({ authentication, capabilities: { iotEdge: false }, cloudToDeviceMessageCount: null, deviceId, etag: null,
	lastActivityTime: null, status: 'enabled', statusReason: null, statusUpdatedTime: null });
const ok = (answer, status = 200) => { assert.equal(answer.status, status, answer.text); return answer.body; };

// One answer of a device that says what it was asked.
async function answering(id) {
	const device = await mqttDevice(hub, id, { filters: ['$iothub/methods/POST/#'] });
	return { device, async reply(status, payload) {
		const p = await device.next(PACKET.PUBLISH, 'a method call', (q) => q.topic.startsWith('$iothub/methods/POST/'));
		const [, name, rid] = /^\$iothub\/methods\/POST\/([^/]+)\/\?\$rid=([0-9a-z]+)$/.exec(p.topic);
		device.publish(`$iothub/methods/res/${status}/?$rid=${rid}`, payload);
		return { name, payload: p.payload.toString() };
	} };
}

test('R-107 Explorer: devices are made, read, changed, listed, deleted', async () => {
	assert.equal(ok(await explorer('PUT', 'devices/dev1', { body: identity('dev1') })).deviceId, 'dev1');
	const read = ok(await explorer('GET', 'devices/dev1'));
	const changed = ok(await explorer('PUT', 'devices/dev1', { body: { ...read, status: 'disabled' }, headers: { 'If-Match': `"${read.etag}"` } }));
	assert.equal(changed.status, 'disabled');
	for (const id of ['dev2', 'dev3']) ok(await explorer('PUT', 'devices/' + id, { body: identity(id) }));
	const query = (text, headers = {}) => explorer('POST', 'devices/query', { body: { query: text }, headers: { 'x-ms-max-item-count': 100, ...headers } });
	assert.deepEqual(ok(await query(LIST)).map((d) => d.DeviceId).sort(), ['dev1', 'dev2', 'dev3']);
	assert.equal(ok(await query(`${LIST} WHERE STARTSWITH(devices.deviceId, 'dev2')`))[0].IotEdge, false);
	assert.equal(ok(await query(`${LIST} WHERE (capabilities.iotEdge=false AND status='enabled')`)).length, 2);
	const page = await query(LIST, { 'x-ms-max-item-count': 2 });
	assert.equal(ok(page).length, 2);
	assert.equal(ok(await query(LIST, { 'x-ms-max-item-count': 2, 'x-ms-continuation': page.headers['x-ms-continuation'] })).length, 1);
	const gone = ok(await explorer('POST', 'devices', { body: ['dev2', 'dev3'].map((id) => ({ etag: '*', id, importMode: 'deleteIfMatchEtag' })) }));
	assert.equal(gone.isSuccessful, true);
	assert.equal((await explorer('GET', 'devices/dev2')).status, 404);
});

test('R-107 Explorer: twins are read and changed', async () => {
	await hub.createDevice('twin1');
	const twin = ok(await explorer('GET', 'twins/twin1'));
	twin.tags = { site: 'a' };
	twin.properties.desired.on = true;
	const changed = ok(await explorer('PATCH', 'twins/twin1', { body: twin }));
	assert.equal(changed.tags.site, 'a');
	assert.equal(changed.properties.desired.on, true);
});

test('R-107 Explorer: modules are made, listed, read, deleted, and their twins', async () => {
	await hub.createDevice('edge1');
	const module = { authentication, cloudToDeviceMessageCount: null, deviceId: 'edge1', moduleId: 'm1', etag: null, lastActivityTime: null };
	ok(await explorer('PUT', 'devices/edge1/modules/m1', { body: module }));
	assert.deepEqual(ok(await explorer('GET', 'devices/edge1/modules')).map((m) => m.moduleId), ['m1']);
	const list = await explorer('POST', 'devices/query', { body: { query: "SELECT * FROM devices.modules WHERE deviceId in ['edge1']" } });
	assert.deepEqual(ok(list).map((m) => m.moduleId), ['m1']);
	ok(await explorer('GET', 'devices/edge1/modules/m1'));
	const twin = ok(await explorer('GET', 'twins/edge1/modules/m1'));
	twin.properties.desired.level = 4;
	assert.equal(ok(await explorer('PATCH', 'twins/edge1/modules/m1', { body: twin })).properties.desired.level, 4);
	ok(await explorer('DELETE', 'devices/edge1/modules/m1', { headers: { 'If-Match': '*' } }), 204);
	assert.equal((await explorer('GET', 'devices/edge1/modules/m1')).status, 404);
});

test('R-107 Explorer: methods are called', async () => {
	await hub.createDevice('meth1');
	const { device, reply } = await answering('meth1');
	const call = explorer('POST', 'twins/meth1/methods', { body: { connectTimeoutInSeconds: 10, methodName: 'reboot', payload: { a: 1 }, responseTimeoutInSeconds: 10 } });
	assert.deepEqual(await reply(200, '{"b":2}'), { name: 'reboot', payload: '{"a":1}' });
	assert.deepEqual(ok(await call), { status: 200, payload: { b: 2 } });
	const body = { connectTimeoutInSeconds: 0, methodName: 'reboot', payload: {}, responseTimeoutInSeconds: 10 };
	assert.equal((await explorer('POST', 'twins/meth1/modules/m1/methods', { body })).status, 404);
	ok(await explorer('PUT', 'devices/meth1/modules/m1', { body: { authentication, deviceId: 'meth1', moduleId: 'm1' } }));
	const offline = await explorer('POST', 'twins/meth1/modules/m1/methods', { body });
	assert.equal(offline.status, 404);
	assert.equal(JSON.parse(offline.body.Message).errorCode, 404103); // this program shows the text of `Message`
	await device.close?.();
});

test('R-107 R-109 Explorer: digital twins are read and changed, commands called', async () => {
	await hub.createDevice('dt1');
	const { device, reply } = await answering('dt1');
	assert.equal(ok(await explorer('GET', '/digitalTwins/dt1')).$dtId, 'dt1');
	const patched = await explorer('PATCH', '/digitalTwins/dt1', { body: [{ op: 'add', path: '/environmentalSensor/state', value: false }] });
	assert.equal(patched.status, 202, patched.text);
	assert.deepEqual(ok(await explorer('GET', '/digitalTwins/dt1')).environmentalSensor.$metadata.state, { desiredValue: false, desiredVersion: 2 });
	const query = 'connectTimeoutInSeconds=20&responseTimeoutInSeconds=20';
	const root = explorer('POST', '/digitalTwins/dt1/commands/turnOn', { query });
	assert.deepEqual(await reply(200, '{"on":true}'), { name: 'turnOn', payload: 'null' });
	assert.deepEqual(ok(await root), { on: true });
	const part = explorer('POST', '/digitalTwins/dt1/components/environmentalSensor/commands/blink', { query, body: { interval: 5 } });
	assert.deepEqual(await reply(203, '"done"'), { name: 'environmentalSensor*blink', payload: '{"interval":5}' });
	assert.equal(ok(await part), 'done');
	assert.equal((await part).headers['x-ms-command-statuscode'], '203');
	await device.close?.();
});

test('R-107 R-19 slashes are cut in the raw path, segments decoded once', async () => {
	await hub.createDevice('a%b');
	await hub.createDevice('x%2Fy');
	assert.equal(ok(await hub.rest('GET', '/devices%2Fa%25b')).deviceId, 'a%b');
	assert.equal(ok(await hub.rest('GET', '/twins%2fx%252Fy')).deviceId, 'x%2Fy');
	assert.equal(ok(await hub.rest('GET', '/%2Ftwins%2Fx%252Fy')).deviceId, 'x%2Fy');
	assert.equal((await hub.rest('GET', '/twins%252Fa')).status, 404);
	for (const path of ['/twins%2Fdev1/modules', '//twins/dev1', '/%2F%2Ftwins%2Fdev1']) assert.equal((await hub.rest('GET', path)).status, 404, path);
	for (const [method, path] of [['PUT', '/devices/a%2Fb'], ['GET', '/twins/%2Fdev1']]) {
		const refused = await hub.rest(method, path, { body: { deviceId: 'a/b' } });
		assert.equal(refused.status, 400, refused.text);
		assert.equal(refused.headers['iothub-errorcode'], 'ArgumentInvalid');
	}
});

test('R-107 R-08 a scope covers a path however its slashes are written', async () => {
	const token = (resource) => hub.token({ resource: `${hub.addr}${resource}` });
	assert.equal((await hub.rest('GET', '/devices%2Fdev1', { token: await token('/devices/dev1') })).status, 200);
	assert.equal((await hub.rest('GET', '/twins%2Fdev1', { token: await token('/devices') })).status, 401);
});
