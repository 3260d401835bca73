// What is accepted and has no effect is said (Q-90, service-rest.md 1.2); where nobody can have meant it, it is refused.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import https from 'node:https';
import { createRequire } from 'node:module';
import { mqttDevice, PACKET, startHub, stopAll } from '../lib/hub.mjs';
import { until } from '../lib/wait.mjs';

let hub;
before(async () => {
	hub = await startHub();
	await hub.createDevice('pump01');
});
after(() => stopAll(hub));

const header = (answer) => answer.headers['x-twinhub-warning'];
const query = (text, path = '/devices/query') => hub.rest('POST', path, { body: { query: text } });

// An answer of success that bears this warning; without a pattern: none.
function warned(answer, pattern) {
	assert.ok(answer.status >= 200 && answer.status < 300, answer.text);
	if (pattern === undefined) assert.equal(header(answer), undefined);
	else assert.match(header(answer) ?? 'none', pattern);
	return answer.body;
}

function refused(answer, name, pattern) {
	assert.equal(answer.status, 400, answer.text);
	assert.equal(answer.headers['iothub-errorcode'], name);
	assert.match(answer.body.Message, pattern);
	assert.equal(header(answer), undefined);
}

const configuration = (id, targetCondition, rest = {}) => hub.rest('PUT', `/configurations/${id}`,
	{ body: { id, targetCondition, priority: 1, content: { deviceContent: { 'properties.desired.x': 1 } }, ...rest } });
const job = (id, rest) => hub.rest('PUT', `/jobs/v2/${id}`,
	{ body: { jobId: id, type: 'scheduleUpdateTwin', queryCondition: '*', updateTwin: { etag: '*', tags: {} }, ...rest } });

test('Q-90 R-113 queries keep their answer, and say what can have no effect', async () => {
	const none = [
		['SELECT * FROM devices WHERE deviceId = pump01', /^pump01 is taken for a path, and no device has it: a value needs quotes, 'pump01'$/],
		['SELECT * FROM devices WHERE properties.reported.bathroom-light = true', /a name with a dash is written \[\[bathroom-light\]\]$/],
		["SELECT * FROM devices WHERE tag.environment = 'test'", /^no device has tag\.environment: a path begins with tags, /],
		["SELECT * FROM devices WHERE \"tags.environment = 'test'\"", /^the text 'tags\.environment = 'test'' in quotes is a constant, and no condition$/],
		["SELECT * FROM devices.modules WHERE capabilities.iotEdge = true", /^no module has capabilities\.iotEdge: /],
	];

	for (const [text, pattern] of none) assert.deepEqual(warned(await query(text), pattern), []);
	assert.equal(warned(await query("SELECT * FROM devices WHERE deviceId = 'pump01'")).length, 1);
	assert.equal(warned(await query('SELECT nosuch FROM devices'), /^no device has nosuch/).length, 1);
	warned(await query('SELECT * FROM devices WHERE tags.a-1 = 2'), /\[\[a-1\]\]$/);
	warned(await query('SELECT * FROM devices WHERE tags.a - 1 = 2'));
	const bad = await query('SELECT * FROM devices WHERE tag.x =');
	assert.equal(bad.status, 400);
	assert.equal(header(bad), undefined);
});

test('R-113 every page of an answer bears the warning, and an explanation has it', async () => {
	for (const id of ['p2', 'p3']) await hub.createDevice(id);
	const text = "SELECT * FROM devices WHERE NOT is_defined(tag.site)";
	const headers = { 'x-ms-max-item-count': '2' };
	const first = await hub.rest('POST', '/devices/query', { body: { query: text }, headers });
	assert.equal(warned(first, /^no device has tag\.site/).length, 2);
	headers['x-ms-continuation'] = first.headers['x-ms-continuation'];
	warned(await hub.rest('POST', '/devices/query', { body: { query: text }, headers }), /^no device has tag\.site/);
	assert.equal(warned(await query(text, '/devices/query?explain=true'), /^no device/).warning, header(first));
	assert.equal(warned(await query('SELECT * FROM devices', '/devices/query?explain=true')).warning, undefined);
});

test('R-113 the header is one line of printable ASCII, and bounded', async () => {
	const strange = await query(`SELECT * FROM devices WHERE [[${'a\r\nx-evil: 1\u0007ü😀'}]] = 1`);
	assert.equal(header(strange), 'no device has [[a\\u000d\\u000ax-evil: 1\\u0007\\u00fc\\ud83d\\ude00]]: a path begins with tags, properties.desired, ' +
		'properties.reported or another member of the twin');
	assert.equal(strange.headers['x-evil'], undefined);
	const queries = Object.fromEntries(Array.from({ length: 5 }, (_, i) => [`${'ü'.repeat(100)}${i}`, `SELECT deviceId FROM devices WHERE ${'ü'.repeat(300)} = 1`]));
	const long = await configuration('long', "tags.a = 'x'", { metrics: { queries } });
	warned(long, /^the metric .*\.\.\.$/);
	assert.equal(header(long).length, 1024);
});

test('Q-90 J-35 target conditions that can never be true are refused, and name why', async () => {
	const bad = [
		['deviceId=edgeDeviceVM', /edgeDeviceVM/],
		["\"tags.environment = 'test'\"", /in quotes is a constant, and no condition/],
		["tag.environment = 'test'", /no device has tag\.environment/],
		["tags.my-tag = 'x'", /\[\[my-tag\]\]/],
		['properties.desird.a = 1', /properties\.desird\.a/],
	];

	for (const [condition, pattern] of bad) {
		refused(await configuration('never', condition), 'InvalidConfigurationTargetCondition', pattern);
		refused(await hub.rest('PUT', '/configurations/never?dryRun=true', { body: { id: 'never', targetCondition: condition,
			content: { deviceContent: { 'properties.desired.x': 1 } } } }), 'InvalidConfigurationTargetCondition', pattern);
		const tried = warned(await hub.rest('POST', '/configurations/testQueries', { body: { targetCondition: condition } }));
		assert.match(tried.targetConditionError, pattern);
	}
	assert.equal((await hub.rest('GET', '/configurations/never')).status, 404);
	warned(await configuration('dash', 'tags.a-1 = 2'), /^targetCondition: tags\.a-1 is a subtraction/);
	warned(await configuration('fine', "tags.environment = 'test' AND NOT is_defined(properties.reported.[[a-b]])"));
	warned(await configuration('metric', "tags.a = 'x'", { metrics: { queries: { bad: 'SELECT deviceId FROM devices WHERE tag.x = 1', good: 'SELECT deviceId FROM devices' } } }),
		/^the metric bad: no device has tag\.x/);
	const tried = await hub.rest('POST', '/configurations/testQueries', { body: { targetCondition: '*', customMetricQueries: { m: 'SELECT deviceId FROM devices WHERE site = 1' } } });
	assert.deepEqual(warned(tried, /^the metric m: no device has site/), { targetConditionError: null, customMetricQueryErrors: {} });
});

test('Q-90 J-06 J-07 jobs: conditions that can never be true, members that no twin has', async () => {
	refused(await job('j1', { queryCondition: 'deviceId=pump01' }), 'ArgumentInvalid', /needs quotes, 'pump01'/);
	refused(await job('j1', { queryCondition: "tag.x = 'y'" }), 'ArgumentInvalid', /no device has tag\.x/);
	refused(await job('j1', { queryCondition: '"deviceId = 1"' }), 'ArgumentInvalid', /constant/);
	refused(await job('j1', { updateTwin: { etag: '*', desired: { building: '43' } } }), 'ArgumentInvalid',
		/updateTwin\.desired is no member of a twin, properties\.desired is/);
	refused(await job('j1', { updateTwin: { etag: '*', properties: { building: '43' } } }), 'ArgumentInvalid',
		/updateTwin\.properties\.building is no member of a twin/);
	refused(await hub.rest('POST', '/jobs/v2/j1?dryRun=true', { body: { type: 'scheduleUpdateTwin', queryCondition: '*', updateTwin: { etag: '*', tag: {} } } }),
		'ArgumentInvalid', /updateTwin\.tag is no member/);
	assert.equal((await hub.rest('GET', '/jobs/v2/j1')).status, 404);
	// as the C# SDK writes a Twin, and as one that was read
	warned(await job('j2', { updateTwin: { deviceId: null, etag: '*', version: null, properties: { desired: { a: 1 } } } }));
	const read = warned(await hub.rest('GET', '/twins/pump01'));
	warned(await job('j3', { updateTwin: { ...read, etag: '*' } }));
	warned(await job('j4', { updateTwin: { etag: '*', properties: { desired: { b: 1 }, reported: { c: 1 } } } }), /^updateTwin\.properties\.reported is written by the device alone/);
	for (const id of ['j2', 'j3', 'j4'])
		await until(async () => (await hub.rest('GET', `/jobs/v2/${id}`)).body.status === 'completed', `job ${id}`);
});

test('R-113 T-13 T-34 twin bodies with members at the wrong place', async () => {
	const write = (method, body, module = '') => hub.rest(method, `/twins/pump01${module}`, { body });
	for (const method of ['PATCH', 'PUT']) {
		warned(await write(method, { desired: { a: 1 } }), /^desired is no member of a twin, properties\.desired is$/);
		warned(await write(method, { tags: {}, properties: { tags: { a: 1 }, desired: {} } }), /^properties\.tags is no member of a twin/);
		warned(await write(method, { properties: { reported: { a: 1 } } }), /^properties\.reported is written by the device alone, it was left out$/);
		warned(await write(method, { 'täg\n': 1 }), /^t\\u00e4g\\u000a is no member of a twin$/);
		warned(await write(method, { tags: { a: 1 }, properties: { desired: {}, reported: {} } }));
		warned(await write(method, warned(await hub.rest('GET', '/twins/pump01'))));
	}
	const missing = await hub.rest('PATCH', '/twins/nobody', { body: { desired: {} } });
	assert.equal(missing.status, 404);
	assert.equal(header(missing), undefined);
});

test('R-113 members that a body does not have, or has elsewhere: identities, items, methods, jobs, configurations', async () => {
	const put = (id, body) => hub.rest('PUT', `/devices/${id}`, { body: { deviceId: id, ...body } });
	warned(await put('m1', { iotEdge: true }), /^iotEdge is no member of an identity, capabilities\.iotEdge is$/);
	warned(await put('m2', { primaryKey: 'x' }), /^primaryKey is no member of an identity, authentication\.symmetricKey\.primaryKey is$/);
	warned(await put('m3', { tags: { a: 1 } }), /^tags is no member of an identity$/);
	const read = warned(await hub.rest('GET', '/devices/m1'));
	warned(await hub.rest('PUT', '/devices/m1', { body: read, headers: { 'If-Match': '*' } })); // as every SDK sends it back
	const module = warned(await hub.rest('PUT', '/devices/m1/modules/m', { body: { deviceId: 'm1', moduleId: 'm', status: 'enabled' } })); // as the C SDK does
	warned(await hub.rest('PUT', '/devices/m1/modules/m', { body: module, headers: { 'If-Match': '*' } }));
	const items = await hub.rest('POST', '/devices', { body: [{ id: 'm4', tags: {} }, { id: 'm5', desired: { a: 1 } }, { id: 'm6', properties: { tags: { a: 1 } } }] });
	warned(items, /^\[1\]\.desired is no member of an item, properties\.desired is; \[2\]\.properties\.tags is no member of a twin, properties\.desired\.tags may be$/);
	const lines = await hub.rest('POST', '/admin/import?firstLine=8', { body: '{"id":"m7"}\n{"id":"m8","reported":{"a":1}}\n{"id":"m9","x":1}\n' });
	assert.equal(warned(lines, /^line 9: reported is no member of an item, properties\.reported is$/).done, 3);
	const exported = await hub.rest('GET', '/admin/export');
	warned(await hub.rest('POST', '/admin/import?importMode=createOrUpdate', { body: exported.text }));
	warned(await configuration('members', "tags.a = 'x'", { metrics: { mine: 'SELECT deviceId FROM devices' } }), /^metrics\.mine is no member of a configuration, metrics\.queries\.mine may be$/);
	warned(await configuration('members2', "tags.a = 'x'", { deviceContent: {} }), /^deviceContent is no member of a configuration, content\.deviceContent is$/);
	const kept = warned(await hub.rest('GET', '/configurations/members'));
	warned(await hub.rest('PUT', '/configurations/members', { body: kept, headers: { 'If-Match': '*' } }));
	warned(await job('m1', { methodName: 'x', timeout: 5 }), /^methodName is no member of a job, cloudToDeviceMethod\.methodName is$/);
	const device = await mqttDevice(hub, 'pump01', { filters: ['$iothub/methods/POST/#'] });
	const call = hub.rest('POST', '/twins/pump01/methods', { body: { methodName: 'go', timeout: 5 } });
	const p = await device.next(PACKET.PUBLISH, 'a method call');
	device.publish(`$iothub/methods/res/200/?$rid=${/rid=(.*)$/.exec(p.topic)[1]}`, '{}');
	warned(await call, /^timeout is no member of a method call$/);
	device.destroy();
});

test('R-113 what the service SDK sends of itself, and what was read and is sent back, gets no warning', async () => {
	const { Registry, JobClient } = createRequire(import.meta.url)('azure-iothub');
	const request = https.request, warnings = [];
	let n = 0;
	https.request = (...args) => request(...args).on('response', (m) => { n++; if (m.headers['x-twinhub-warning']) warnings.push([m.req.method, m.req.path, m.headers['x-twinhub-warning']]); });
	try {
		const owner = await hub.connectionString('iothubowner');
		const registry = Registry.fromConnectionString(owner), jobs = JobClient.fromConnectionString(owner);
		await registry.create({ deviceId: 's1', status: 'enabled' });
		await registry.update((await registry.get('s1')).responseBody);
		await registry.addDevices([{ deviceId: 's2' }, { deviceId: 's3', status: 'disabled' }]);
		await registry.updateDevices([(await registry.get('s2')).responseBody], true);
		await registry.addModule({ deviceId: 's1', moduleId: 'm' });
		await registry.updateModule((await registry.getModule('s1', 'm')).responseBody);
		await (await registry.getTwin('s1')).responseBody.update({ tags: { a: 1 } });
		await registry.addConfiguration({ id: 's', content: { deviceContent: { 'properties.desired.y': 1 } }, targetCondition: "tags.q='1'", priority: 2, metrics: { queries: { m: 'SELECT deviceId FROM devices' } } });
		await registry.updateConfiguration((await registry.getConfiguration('s')).responseBody);
		await jobs.scheduleTwinUpdate('s1', "deviceId IN ['s1']", { etag: '*', tags: { j: 1 } }, new Date(), 30);
		await jobs.scheduleDeviceMethod('s2', "deviceId IN ['s1']", { methodName: 'x', payload: 1, responseTimeoutInSeconds: 5 }, new Date(), 30);
		await registry.removeDevices([{ deviceId: 's2' }], true);
	} finally {
		https.request = request;
	}
	assert.deepEqual([warnings, n > 15], [[], true]);
});
