// Requests of `az iot` (the extension azure-iot), byte by byte: bodies as Python's json writes them, members in the order and with
// the quirks of its models, headers as its HTTP library sends them. None of its code is here.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { mqttDevice, PACKET, startHub, stopAll, until } from '../lib/hub.mjs';
import { walHolds } from '../lib/wal.mjs';

const hubs = [];
let hub;
before(async () => { hubs.push(hub = await startHub()); });
after(() => stopAll(...hubs));

const CLIENT = { 'User-Agent': 'python/3.11.2 (Linux-6.1-x86_64) msrest/0.6.21 msrest_azure/0.6.4 IotHubGatewayServiceAPIs/2021-04-12 IoTPlatformCliExtension/0.25.0',
	'Accept-Encoding': 'gzip, deflate', Accept: 'application/json', Connection: 'keep-alive', 'accept-language': 'en-US' };

// As json.dumps writes it: blanks behind commas and colons, nothing but ASCII.
function dumps(value) {
	if (Array.isArray(value)) return `[${value.map(dumps).join(', ')}]`;
	if (value !== null && typeof value === 'object') return `{${Object.entries(value).filter(([, v]) => v !== undefined).map(([k, v]) => `${dumps(k)}: ${dumps(v)}`).join(', ')}}`;
	return JSON.stringify(value).replace(/[\u007f-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

let nrequest = 0;
function az(method, target, body, headers = {}) {
	const id = `00000000-0000-11ef-8000-${String(++nrequest).padStart(12, '0')}`;
	return hub.rest(method, target, { body: body === undefined ? undefined : typeof body === 'string' ? body : dumps(body),
		headers: { ...CLIENT, 'x-ms-client-request-id': id, ...(body === undefined ? { 'Content-Length': '0' } : { 'Content-Type': 'application/json; charset=utf-8' }), ...headers } });
}
const ok = (answer, status = 200) => { assert.equal(answer.status, status, answer.text); return answer.body; };
const match = (etag) => ({ 'If-Match': `"${etag}"` });

const sas = (symmetricKey = {}) => ({ symmetricKey, type: 'sas' });
const device = (deviceId, more = {}) => ({ deviceId, status: 'enabled', authentication: sas(), capabilities: { iotEdge: false }, ...more });
const create = async (id, more) => ok(await az('PUT', `/devices/${id}`, device(id, more)));

// What `az` does for each list: page by page, the page size as a header, the token as it came.
async function query(text, top) {
	const rows = [];
	let token;
	do {
		const answer = await az('POST', '/devices/query', { query: text }, { ...(top ? { 'x-ms-max-item-count': String(top - rows.length) } : {}), ...(token ? { 'x-ms-continuation': token } : {}) });
		rows.push(...ok(answer));
		token = answer.headers['x-ms-continuation'];
	} while (token && (!top || rows.length < top));
	return rows;
}

test('R-22 R-36 R-100 az iot hub device-identity create, show, update, renew-key, delete', async () => {
	const made = await create('id1');
	assert.match(made.authentication.symmetricKey.primaryKey, /^[A-Za-z0-9+/]{43}=$/);
	const shown = ok(await az('GET', '/devices/id1'));
	const updated = ok(await az('PUT', '/devices/id1', { deviceId: 'id1', status: 'disabled', statusReason: 'z\u00e4h', authentication: sas(shown.authentication.symmetricKey), capabilities: { iotEdge: false } }, match(shown.etag)));
	assert.deepEqual([updated.status, updated.statusReason, updated.authentication.symmetricKey], ['disabled', 'z\u00e4h', shown.authentication.symmetricKey]);
	const { primaryKey, secondaryKey } = updated.authentication.symmetricKey;
	const swapped = ok(await az('PUT', '/devices/id1', { ...device('id1'), authentication: sas({ primaryKey: secondaryKey, secondaryKey: primaryKey }) }, match(updated.etag)));
	assert.equal(swapped.authentication.symmetricKey.primaryKey, secondaryKey);
	const renewed = ok(await az('POST', '/devices/keys/regenerate', { policyKey: 'both', devices: [{ id: 'id1' }] }));
	assert.equal(renewed.rotatedKeys[0].id, 'id1');
	const last = ok(await az('GET', '/devices/id1'));
	assert.equal((await az('DELETE', '/devices/id1', undefined, match('AAAAAAAAAAE='))).status, 412);
	ok(await az('DELETE', '/devices/id1', undefined, match(last.etag)), 204);
	const gone = await az('GET', '/devices/id1');
	assert.equal(gone.status, 404);
	assert.match(gone.body.Message, /ErrorCode:DeviceNotFound/);
});

test('R-26 R-27 --auth-method x509_thumbprint and x509_ca', async () => {
	const thumb = 'A'.repeat(40);
	const self = await create('x1', { authentication: { x509Thumbprint: { primaryThumbprint: thumb, secondaryThumbprint: thumb.replace('A', 'B') }, type: 'selfSigned' } });
	assert.equal(self.authentication.x509Thumbprint.primaryThumbprint, thumb);
	const ca = await create('x2', { authentication: { type: 'certificateAuthority' } });
	assert.equal(ca.authentication.type, 'certificateAuthority');
});

test('R-29 R-30 --edge-enabled; parent set, children list and remove', async () => {
	const edge = await create('edge1', { capabilities: { iotEdge: true } });
	for (const id of ['leaf1', 'leaf2']) {
		const leaf = await create(id);
		// the device as it was shown goes back, with what the tool has added of its own
		const child = ok(await az('PUT', `/devices/${id}`, { ...leaf, hub: hub.addr, deviceScope: edge.deviceScope, parentScopes: [edge.deviceScope] }, match(leaf.etag)));
		assert.equal(child.deviceScope, edge.deviceScope);
	}
	const children = await query(`select * from devices where capabilities.iotEdge=false and deviceScope='${edge.deviceScope}'`);
	assert.deepEqual(children.map((d) => d.deviceId).sort(), ['leaf1', 'leaf2']);
	assert.deepEqual((await query(`select deviceId from devices where array_contains(parentScopes, '${edge.deviceScope}')`)).map((d) => d.deviceId).sort(), ['leaf1', 'leaf2']);
	const leaf = ok(await az('GET', '/devices/leaf1'));
	assert.equal(ok(await az('PUT', '/devices/leaf1', { ...leaf, deviceScope: '', parentScopes: [] }, match(leaf.etag))).deviceScope ?? '', '');
});

test('R-59 device-identity list: pages until --top', async () => {
	for (let i = 0; i < 7; i++) await create(`list${i}`);
	assert.equal((await query("select * from devices where startswith(deviceId, 'list')", 1000)).length, 7);
	assert.equal((await query("select * from devices where startswith(deviceId, 'list')", 3)).length, 3);
	assert.equal((await query('select * from devices where capabilities.iotEdge = true', 1000)).length, 1);
	assert.equal((await query("select * from devices.modules where devices.deviceId = 'edge1'", 10)).length, 2);
	assert.equal((await query("SELECT * FROM devices where devices.deviceId='list1'"))[0].deviceId, 'list1');
});

test('R-38 R-40 module-identity create, list, update, delete', async () => {
	await create('md');
	const module = (more) => ({ moduleId: 'm1', deviceId: 'md', authentication: sas(), ...more });
	const made = ok(await az('PUT', '/devices/md/modules/m1', module()));
	assert.deepEqual(ok(await az('GET', '/devices/md/modules')).map((m) => m.moduleId), ['m1']);
	const updated = ok(await az('PUT', '/devices/md/modules/m1', module({ authentication: sas(made.authentication.symmetricKey) }), match(made.etag)));
	assert.deepEqual(updated.authentication.symmetricKey, made.authentication.symmetricKey);
	ok(await az('DELETE', '/devices/md/modules/m1', undefined, match(updated.etag)), 204);
});

test('R-51 R-55 R-56 R-58 device-twin and module-twin show, update, replace', async () => {
	await create('tw');
	ok(await az('PUT', '/devices/tw/modules/m1', { moduleId: 'm1', deviceId: 'tw', authentication: sas() }));
	for (const target of ['/twins/tw', '/twins/tw/modules/m1']) {
		const patched = ok(await az('PATCH', target, { properties: { desired: { temp: 20.0, 'gr\u00f6\u00dfe': null, list: [1, 'a', null].slice(0, 2) } }, tags: { site: { name: '\u2603' } } }, { 'If-Match': '"*"' }));
		assert.deepEqual([patched.tags, patched.properties.desired.list], [{ site: { name: '\u2603' } }, [1, 'a']]);
		// --set and --remove send the whole twin back
		const shown = ok(await az('GET', target));
		shown.properties.desired.temp = 21.5;
		assert.equal(ok(await az('PATCH', target, shown, { 'If-Match': '"*"' })).properties.desired.temp, 21.5);
		const now = ok(await az('GET', target));
		const replaced = ok(await az('PUT', target, { tags: { only: true }, properties: { desired: { only: 1 } } }, match(now.etag)));
		assert.deepEqual([replaced.tags, replaced.properties.desired.only, replaced.properties.desired.temp], [{ only: true }, 1, undefined]);
		assert.equal((await az('PUT', target, { tags: {} }, match('AAAAAAAAAAE='))).status, 412);
	}
});

// Answers one method call of a device and tells what it was asked.
async function answer(d, status, payload) {
	const p = await d.next(PACKET.PUBLISH, 'a method call', (q) => q.topic.startsWith('$iothub/methods/POST/'));
	const [, name, rid] = /^\$iothub\/methods\/POST\/([^/]+)\/\?\$rid=([0-9a-z]+)$/.exec(p.topic);
	d.publish(`$iothub/methods/res/${status}/?$rid=${rid}`, payload);
	return { name, payload: p.payload.toString() };
}

test('R-64 R-65 R-69 R-108 invoke-device-method and invoke-module-method, with --timeout and without', async () => {
	await create('me');
	const d = await mqttDevice(hub, 'me', { filters: ['$iothub/methods/POST/#'] });
	// without --timeout its default goes as the text that the command line had
	for (const body of ['{"methodName": "reboot", "payload": {"delay": 5}, "responseTimeoutInSeconds": "30", "connectTimeoutInSeconds": "30"}',
		'{"methodName": "reboot", "payload": {"delay": 5}, "responseTimeoutInSeconds": 30, "connectTimeoutInSeconds": 30}']) {
		const call = az('POST', '/twins/me/methods', body);
		assert.deepEqual(await answer(d, 200, '{"done":true}'), { name: 'reboot', payload: '{"delay":5}' });
		assert.deepEqual(ok(await call), { status: 200, payload: { done: true } });
	}
	const empty = az('POST', '/twins/me/methods', '{"methodName": "reboot", "payload": {}, "responseTimeoutInSeconds": "30", "connectTimeoutInSeconds": "30"}');
	assert.deepEqual(await answer(d, 404, 'null'), { name: 'reboot', payload: '{}' });
	assert.deepEqual(ok(await empty), { status: 404, payload: null });
	const nobody = await az('POST', '/twins/me/modules/none/methods', '{"methodName": "reboot", "payload": {}, "responseTimeoutInSeconds": "30", "connectTimeoutInSeconds": "30"}');
	assert.equal(nobody.status, 404);
	d.destroy();
});

const metrics = (queries) => ({ queries });
const configuration = (id, content, more = {}) => ({ id, schemaVersion: '2.0', labels: { maker: 'me' }, content, contentType: 'assignment', targetCondition: "tags.az='yes'", priority: 0,
	metrics: metrics({ mymetric: 'select deviceId from devices where tags.az=\'yes\'' }), etag: '*', ...more });

test('R-85 R-86 R-93 R-95 configuration create, show, list, update, show-metric, delete', async () => {
	await create('cf');
	ok(await az('PATCH', '/twins/cf', { tags: { az: 'yes' } }, { 'If-Match': '"*"' }));
	const made = ok(await az('PUT', '/configurations/cfg-1', configuration('cfg-1', { deviceContent: { 'properties.desired.settings': { a: 1 } } })));
	assert.equal(made.contentType, 'assignment');
	const shown = ok(await az('GET', '/configurations/cfg-1'));
	assert.deepEqual([shown.systemMetrics.results.targetedCount, shown.metrics.queries], [1, made.metrics.queries]);
	assert.deepEqual(ok(await az('GET', '/configurations?top=10')).map((c) => c.id), ['cfg-1']);
	for (const text of [shown.metrics.queries.mymetric, shown.systemMetrics.queries.targetedCount, shown.systemMetrics.queries.appliedCount]) assert.deepEqual((await query(text)).map((r) => r.deviceId), ['cf']);
	const { createdTimeUtc, lastUpdatedTimeUtc, systemMetrics, etag, ...sent } = shown;
	assert.equal(ok(await az('PUT', '/configurations/cfg-1', { ...sent, priority: 7 }, match(etag))).priority, 7);
	assert.equal((await az('PUT', '/configurations/cfg-1', { ...sent, priority: 8 }, match(etag))).status, 412);
	// without metrics: `"metrics": {}`
	ok(await az('PUT', '/configurations/cfg-2', configuration('cfg-2', { moduleContent: { 'properties.desired.x': 1 } }, { metrics: {}, labels: undefined, targetCondition: "from devices.modules where moduleId='m1'" })));
	for (const id of ['cfg-1', 'cfg-2']) ok(await az('DELETE', `/configurations/${id}`, undefined, match(ok(await az('GET', `/configurations/${id}`)).etag)), 204);
});

const AGENT = { 'properties.desired': { schemaVersion: '1.1', runtime: { type: 'docker', settings: { minDockerVersion: 'v1.25', loggingOptions: '', registryCredentials: {} } },
	systemModules: { edgeAgent: { type: 'docker', settings: { image: 'mcr.microsoft.com/azureiotedge-agent:1.4', createOptions: '{}' } },
		edgeHub: { type: 'docker', status: 'running', restartPolicy: 'always', settings: { image: 'mcr.microsoft.com/azureiotedge-hub:1.4', createOptions: '{"HostConfig":{"PortBindings":{"8883/tcp":[{"HostPort":"8883"}]}}}' } } },
	modules: { sensor: { version: '1.0', type: 'docker', status: 'running', restartPolicy: 'always', settings: { image: 'mcr.microsoft.com/sensor:1.0', createOptions: '{}' } } } } };
const EDGE_HUB = { 'properties.desired': { schemaVersion: '1.1', routes: { up: 'FROM /messages/* INTO $upstream' }, storeAndForwardConfiguration: { timeToLiveSecs: 7200 } } };

test('R-92 R-94 az iot edge set-modules, deployment create and a layered one', async () => {
	await create('edge2', { capabilities: { iotEdge: true } });
	const modulesContent = { $edgeAgent: AGENT, $edgeHub: EDGE_HUB, sensor: { 'properties.desired': { interval: 5 } } };
	assert.ok((await az('POST', '/devices/edge2/applyConfigurationContent', { modulesContent })).status < 300);
	assert.deepEqual(ok(await az('GET', '/devices/edge2/modules')).map((m) => m.moduleId).sort(), ['$edgeAgent', '$edgeHub', 'sensor']);
	assert.equal(ok(await az('GET', '/twins/edge2/modules/sensor')).properties.desired.interval, 5);
	ok(await az('PATCH', '/twins/edge2', { tags: { az: 'edge' } }, { 'If-Match': '"*"' }));
	const deployment = (id, content, priority) => az('PUT', `/configurations/${id}`, configuration(id, content, { priority, targetCondition: "tags.az='edge'", metrics: {}, labels: {} }));
	ok(await deployment('base', { modulesContent }, 1));
	ok(await deployment('layer', { modulesContent: { $edgeAgent: { 'properties.desired.modules.extra': { type: 'docker', status: 'running', restartPolicy: 'always', settings: { image: 'x:1' }, version: '1.0' } }, extra: { 'properties.desired.layered.one': 1 } } }, 2));
	await until(async () => (await az('GET', '/twins/edge2/modules/extra')).body.properties?.desired?.layered?.one === 1, 'the layer is applied');
	assert.deepEqual(Object.keys(ok(await az('GET', '/twins/edge2/modules/$edgeAgent')).properties.desired.modules).sort(), ['extra', 'sensor']);
});

test('R-73 R-74 R-79 az iot hub job create, show, list, cancel', async () => {
	await create('jb');
	const twin = ok(await az('PUT', '/jobs/v2/az-job-1', { jobId: 'az-job-1', type: 'scheduleUpdateTwin', updateTwin: { tags: { batch: 1 }, properties: { desired: { j: 1 } }, etag: '*' }, queryCondition: "deviceId='jb'", maxExecutionTimeInSeconds: 3600 }));
	assert.equal(twin.type, 'scheduleUpdateTwin');
	await until(async () => (await az('GET', '/jobs/v2/az-job-1')).body.status === 'completed', 'the job has ended');
	assert.equal(ok(await az('GET', '/twins/jb')).tags.batch, 1);
	ok(await az('PUT', '/jobs/v2/az-job-2', { jobId: 'az-job-2', type: 'scheduleDeviceMethod', cloudToDeviceMethod: { methodName: 'reboot', payload: null, responseTimeoutInSeconds: 30, connectTimeoutInSeconds: 30 },
		queryCondition: '*', startTime: '2099-01-08T12:19:56.868Z', maxExecutionTimeInSeconds: 3600 }));
	const listed = ok(await az('GET', '/jobs/v2/query?jobType=scheduleDeviceMethod&jobStatus=scheduled', undefined, { 'x-ms-max-item-count': '10' }));
	assert.deepEqual(listed.map((j) => j.jobId), ['az-job-2']);
	assert.equal(ok(await az('GET', '/jobs/v2/query')).length, 2);
	ok(await az('GET', '/jobs'));
	assert.equal(ok(await az('POST', '/jobs/v2/az-job-2/cancel')).status, 'cancelled');
});

test('R-109 az iot hub digital-twin show, update, invoke-command', async () => {
	await create('dt');
	assert.equal(ok(await az('GET', '/digitaltwins/dt')).$dtId, 'dt');
	const patched = await az('PATCH', '/digitaltwins/dt', [{ op: 'add', path: '/targetTemperature', value: 54 }], { 'If-Match': '*' });
	assert.equal(patched.status, 202, patched.text);
	assert.equal(ok(await az('GET', '/digitaltwins/dt')).$metadata.targetTemperature.desiredValue, 54);
	const d = await mqttDevice(hub, 'dt', { filters: ['$iothub/methods/POST/#'] });
	const root = az('POST', '/digitaltwins/dt/commands/reboot?connectTimeoutInSeconds=5&responseTimeoutInSeconds=10', '5');
	assert.deepEqual(await answer(d, 202, '{"ok": 1}'), { name: 'reboot', payload: '5' });
	const done = await root;
	assert.deepEqual([ok(done), done.headers['x-ms-command-statuscode']], [{ ok: 1 }, '202']);
	const part = az('POST', '/digitaltwins/dt/components/thermostat1/commands/getMaxMinReport', '"2021-01-01T00:00:00Z"');
	assert.deepEqual(await answer(d, 200, '{}'), { name: 'thermostat1*getMaxMinReport', payload: '"2021-01-01T00:00:00Z"' });
	ok(await part);
	d.destroy();
});

test('R-106 R-110 R-96 R-97 az iot device send-d2c-message and simulate over HTTP; upload says that it is not served, c2d-message is', async () => {
	await create('http');
	const token = await hub.token({ resource: `${hub.addr}/devices/http` });
	const send = (method, target, body, headers = {}) => hub.rest(method, target, { token, body, headers: { ...CLIENT, ...(body === undefined ? { 'Content-Length': '0' } : { 'Content-Type': 'application/json; charset=utf-8' }), ...headers } });
	assert.equal((await send('POST', '/devices/http/messages/events', '"Ping from Az CLI IoT Extension"')).status, 204);
	assert.ok(walHolds(hub, '"Ping from Az CLI IoT Extension"'));
	const simulated = dumps({ id: '3d4e', timestamp: '2024-05-01 10:00:00.000001', data: 'Ping from Az CLI IoT Extension #1' });
	const answered = await send('POST', '/devices/http/messages/events', simulated, { 'content-type': 'application/json', 'content-encoding': 'utf-8' });
	assert.equal(answered.status, 204, answered.text);
	assert.ok(walHolds(hub, simulated));
	for (const [method, target, body] of [['POST', '/devices/http/files', '{"blobName": "a.txt"}']]) {
		const told = await send(method, target, body, method === 'GET' ? { 'IotHub-MessageLockTimeout': '60' } : {});
		assert.equal(told.status, 501, `${method} ${target}: ${told.text}`);
		assert.match(told.body.Message, /not served here/);
	}
	const bound = '/devices/http/messages/deviceBound';
	for (const body of ['one', 'two', 'three']) assert.equal((await hub.rest('POST', bound, { body })).status, 204);
	const receive = async (seconds) => send('GET', bound, undefined, { 'IotHub-MessageLockTimeout': seconds });
	assert.equal((await receive('4')).status, 400);
	for (const [text, method, more] of [['one', 'DELETE', ''], ['two', 'DELETE', '?reject='], ['three', 'POST', '/abandon']]) {
		const got = await receive('60');
		assert.deepEqual([got.status, got.text, got.headers['iothub-deliverycount']], [200, text, '0']);
		const settled = await send(method, `${bound}/${got.headers.etag.replaceAll('"', '')}${more}`);
		assert.equal(settled.status, 204, settled.text);
	}
	for (const [method, more] of [['DELETE', ''], ['DELETE', '?reject='], ['POST', '/abandon']]) assert.equal((await send(method, `${bound}/lock${more}`)).status, 412);
	assert.equal(ok(await az('DELETE', '/devices/http/commands')).totalMessagesPurged, 1);
	ok(await az('GET', '/statistics/devices'));
	ok(await az('GET', '/statistics/service'));
});
