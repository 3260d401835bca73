// Inputs as users and programs in the field send them, that a hub of this kind once turned away or took without effect. The
// values are made up; the shapes are not.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { connectPacket, deviceLogin, mqttDevice, mqttUsername, PACKET, publishPacket, RawMqtt, sasToken, startHub, stopAll, tempDir, TWIN_RESPONSES, until } from '../lib/hub.mjs';
import { walHolds } from '../lib/wal.mjs';

const hubs = [];
let hub;
before(async () => {
	hubs.push(hub = await startHub());
	for (const id of ['dev1', 'd1']) await hub.createDevice(id);
	await hub.createDevice('edge1', { capabilities: { iotEdge: true } });
});
after(() => stopAll(...hubs));

const ok = (answer, status = 200) => { assert.equal(answer.status, status, answer.text); return answer.body; };
const refused = (answer, status, name, text) => {
	assert.equal(answer.status, status, answer.text);
	assert.match(answer.body.Message, new RegExp(`ErrorCode:${name};`));
	assert.match(answer.body.Message, text);
};
const keyOf = async (id) => ok(await hub.rest('GET', `/devices/${id}`)).authentication.symmetricKey.primaryKey;
const own = async (id, path = `/devices/${id}`) => sasToken({ resource: `${hub.addr}${path}`, key: await keyOf(id) });

test('R-107 paths with encoded slashes', async () => {
	assert.equal(ok(await hub.rest('GET', '/twins%2Fdev1?api-version=2020-09-30')).deviceId, 'dev1');
	assert.equal(ok(await hub.rest('POST', '/devices%2Fquery?api-version=2020-09-30', { body: { query: "SELECT deviceId FROM devices WHERE deviceId = 'dev1'" } })).length, 1);
	assert.deepEqual(ok(await hub.rest('GET', '/devices%2Fdev1%2Fmodules')), []);
});

test('D-56 R-108 methods: timeouts as text; without a payload, with null', async () => {
	const d = await mqttDevice(hub, 'dev1', { filters: ['$iothub/methods/POST/#'] });
	for (const [body, bytes] of [['{"methodName":"reboot","payload":{"a":1},"responseTimeoutInSeconds":"30","connectTimeoutInSeconds":"30"}', '{"a":1}'],
		['{"methodName":"go","responseTimeoutInSeconds":60}', ''], ['{"methodName":"go","payload":null,"responseTimeoutInSeconds":30.0}', 'null']]) {
		const call = hub.rest('POST', '/twins/dev1/methods', { body });
		const p = await d.next(PACKET.PUBLISH, 'the call');
		assert.equal(p.payload.toString(), bytes);
		d.publish(`$iothub/methods/res/200/?$rid=${/rid=(.*)$/.exec(p.topic)[1]}`, '');
		ok(await call);
	}
	d.destroy();
});

test('R-108 numbers and booleans as text elsewhere', async () => {
	for (const [i, priority] of ['"5"', '5.0'].entries())
		assert.equal(ok(await hub.rest('PUT', `/configurations/text${i}`, { body: `{"id":"text${i}","priority":${priority},"targetCondition":"tags.none = '1'","content":{"deviceContent":{"properties.desired.text${i}":1}}}` })).priority, 5);
	assert.equal(ok(await hub.rest('PUT', '/devices/textual', { body: '{"deviceId":"textual","capabilities":{"iotEdge":"true"}}' })).capabilities.iotEdge, true);
});

test('D-82 everything is subscribed to', async () => {
	const c = await mqttDevice(hub, 'dev1', { filters: [] });
	for (const qos of [0, 1]) assert.deepEqual(await c.subscribe({ filter: '#', qos }), [qos]);
	c.destroy();
});

test('R-105 D-79 a device makes its module, which connects with the device\'s key', async () => {
	const token = await own('d1');
	assert.ok(!token.includes('skn='));
	ok(await hub.rest('PUT', '/devices/d1/modules/m1?api-version=2020-09-30', { token, body: { moduleId: 'm1', managedBy: 'IotEdge', deviceId: 'd1', authentication: { type: 'sas', symmetricKey: {} } } }));
	const c = await RawMqtt.open(hub);
	assert.equal((await c.connect({ clientId: 'd1/m1', username: mqttUsername(hub.addr, 'd1/m1'), password: sasToken({ sr: `${hub.addr}/devices/d1/modules/m1`, key: await keyOf('d1') }) })).code, 0);
	c.destroy();
});

test('R-111 an edge device asks for its scope', async () => {
	const body = ok(await hub.rest('GET', '/devices/edge1/modules/$edgeHub/devicesAndModulesInDeviceScope?deviceCount=10&continuationToken=&api-version=2018-08-30-preview', { token: await own('edge1') }));
	assert.deepEqual([body.devices.map((d) => d.deviceId), body.modules.map((m) => m.moduleId).sort(), body.continuationLink], [['edge1'], ['$edgeAgent', '$edgeHub'], null]);
	assert.ok(body.devices[0].authentication.symmetricKey.primaryKey);
});

test('R-92 content that is wrapped', async () => {
	ok(await hub.rest('POST', '/devices/edge1/applyConfigurationContent', { body: { content: { modulesContent: { $edgeAgent: { 'properties.desired': {} } } } } }), 204);
});

test('D-80 an audience in lower case', async () => {
	const key = (await hub.createDevice('Dev1')).authentication.symmetricKey.primaryKey;
	const policy = ok(await hub.rest('GET', '/admin/policies/device')).primaryKey;
	for (const [token, code] of [[{ key }, 0], [{ key: policy, policy: 'device' }, 5]]) {
		const c = await RawMqtt.open(hub);
		assert.equal((await c.connect({ clientId: 'Dev1', username: mqttUsername(hub.addr, 'Dev1'), password: sasToken({ sr: `${hub.addr}%2fdevices%2fdev1`, ...token }) })).code, code);
		c.destroy();
	}
});

test('R-106 telemetry by HTTPS', async () => {
	assert.equal((await hub.rest('POST', '/devices/dev1/messages/events?api-version=2020-03-13', { token: await own('dev1'), body: '{"t":1,"from":"the field"}' })).status, 204);
	assert.ok(walHolds(hub, '{"t":1,"from":"the field"}'));
});

const CONDITIONS = [['deviceId=edgeDeviceVM', /edgeDeviceVM/], ['"tags.environment = \'test\'"', /condition|constant/i], ["tag.environment = 'test'", /\btag\b/]];

test('J-07 J-35 Q-90 target conditions that can never be met are refused by name', async () => {
	for (const [targetCondition, text] of CONDITIONS) {
		refused(await hub.rest('PUT', '/configurations/never', { body: { id: 'never', targetCondition, priority: 1, content: { deviceContent: { 'properties.desired.x': 1 } } } }), 400, 'InvalidConfigurationTargetCondition', text);
		const tested = ok(await hub.rest('POST', '/configurations/testQueries', { body: { targetCondition, customMetricQueries: {} } }));
		assert.match(tested.targetConditionError, text);
		refused(await hub.rest('PUT', '/jobs/v2/never', { body: { jobId: 'never', type: 'scheduleUpdateTwin', queryCondition: targetCondition, updateTwin: { etag: '*', tags: { a: 1 } } } }), 400, 'ArgumentInvalid', text);
	}
	assert.equal((await hub.rest('GET', '/configurations/never')).status, 404);
});

test('J-06 a patch beside its place in a job', async () => {
	refused(await hub.rest('PUT', '/jobs/v2/beside', { body: { type: 'scheduleUpdateTwin', queryCondition: "deviceId IN ['dev1']", updateTwin: { etag: '*', desired: { building: '43' } } } }), 400, 'ArgumentInvalid', /updateTwin\.desired/);
});

test('Q-90 R-113 what is taken without effect says so in a header', async () => {
	const warned = (answer, text) => { ok(answer); assert.match(answer.headers['x-twinhub-warning'], text); };
	warned(await hub.rest('PATCH', '/twins/dev1', { body: { desired: { a: 1 } } }), /desired/);
	const query = async (text) => hub.rest('POST', '/devices/query', { body: { query: text } });
	warned(await query('SELECT * FROM devices WHERE deviceId = pump01'), /pump01/);
	warned(await query('SELECT * FROM devices WHERE properties.reported.bathroom-light = true'), /\[\[bathroom-light\]\]/);
	assert.equal((await query("SELECT * FROM devices WHERE deviceId = 'pump01'")).headers['x-twinhub-warning'], undefined);
});

test('T-04 a local time with an offset', async () => {
	const job = ok(await hub.rest('PUT', '/jobs/v2/local', { body: { jobId: 'local', type: 'scheduleUpdateTwin', queryCondition: "deviceId IN ['dev1']", startTime: '2019-04-16T12:19:56.8680000+02:00', updateTwin: { etag: '*', tags: { local: 1 } } } }));
	assert.match(job.startTime, /^2019-04-16T10:19:56\.868/);
	const local = '2019-04-16T12:19:56.8680000+02:00', utc = '2019-04-16T10:19:56.8680000Z';
	const line = { id: 'local', eTag: 'MQ==', twinETag: 'AAAAAAAAAAI=', generationId: '1', status: 'enabled', statusUpdatedTime: local, lastActivityTime: local, properties: { desired: { a: 1, $metadata: { $lastUpdated: local, a: { $lastUpdated: local } }, $version: 2 }, reported: { $metadata: { $lastUpdated: local }, $version: 1 } } };
	assert.deepEqual(ok(await hub.rest('POST', '/admin/import', { body: `${JSON.stringify(line)}\n` })).errors, []);
	const twin = ok(await hub.rest('GET', '/twins/local'));
	assert.deepEqual([twin.statusUpdateTime, twin.lastActivityTime, twin.properties.desired.$metadata.a.$lastUpdated, twin.properties.reported.$metadata.$lastUpdated].map((t) => t.replace(/0+Z$/, 'Z')), Array(4).fill(utc.replace(/0+Z$/, 'Z')));
	for (const [condition, n] of [[`lastActivityTime = '${local}'`, 1], [`lastActivityTime > '${local}'`, 0], [`lastActivityTime >= '2019-04-16T04:19:56.868-06:00' AND lastActivityTime < '2019-04-16T12:20:00+02:00'`, 1]])
		assert.equal(ok(await hub.rest('POST', '/devices/query', { body: { query: `SELECT deviceId FROM devices WHERE deviceId = 'local' AND ${condition}` } })).length, n, condition);
});

test('J-30a L-43 T-63 desired, reported and contents over the limit', async () => {
	const big = Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`k${i}`, 'x'.repeat(1000)]));
	refused(await hub.rest('PATCH', '/twins/dev1', { body: { properties: { desired: big } } }), 403, 'DeviceModelMaxPropertiesExceeded', /3\d,?\d{3}.*32,?768/);
	const c = await mqttDevice(hub, 'dev1', { filters: [TWIN_RESPONSES] });
	const answer = await c.report(big);
	assert.deepEqual([answer.status, answer.body.errorCode], [403, 403100]);
	c.destroy();
	const over = [403, 'DeviceModelMaxPropertiesExceeded', /32,?768/];
	refused(await hub.rest('PUT', '/configurations/big', { body: { id: 'big', priority: 1, targetCondition: "tags.none = '1'", content: { deviceContent: { 'properties.desired.big': big } } } }), ...over);
	const apply = (desired) => hub.rest('POST', '/devices/edge1/applyConfigurationContent', { body: { modulesContent: { filled: desired } } });
	refused(await apply({ 'properties.desired': big }), ...over);
	const { k0, k1, ...fits } = big;
	ok(await apply({ 'properties.desired': fits }), 204);
	refused(await apply({ 'properties.desired.more': { k0, k1 } }), ...over);
	refused(await hub.rest('PATCH', '/twins/dev1', { body: { tags: Object.fromEntries(Object.entries(big).slice(0, 9)) } }), 403, 'DeviceModelMaxPropertiesExceeded', /9,?\d{3} .*8,?192.*tags/);
});

test('J-61 J-64 J-66 a configuration that would pass the limit says by how much, wherever it is looked for', async () => {
	await hub.createDevice('full');
	const filled = Object.fromEntries(Array.from({ length: 31 }, (_, i) => [`k${i}`, 'x'.repeat(1020)]));
	ok(await hub.rest('PATCH', '/twins/full', { body: { tags: { full: 1 }, properties: { desired: filled } } }));
	const body = { id: 'more', priority: 1, targetCondition: 'tags.full = 1', content: { deviceContent: { 'properties.desired.more': 'y'.repeat(3000) } } };
	const size = ({ reasons: [{ reason, limit, size: found, text }], ...entry }, who) => {
		assert.deepEqual([reason, limit, entry.patch], ['size', 32768, undefined], who);
		assert.ok(found > 34000 && text.includes('32768') && text.includes(`${found}`), `${who}: ${text}`);
	};
	const dry = ok(await hub.rest('PUT', '/configurations/more?dryRun=true', { body }));
	assert.equal(dry.changedDesiredCount, 0);
	size(dry.sample[0], 'dry run');
	ok(await hub.rest('PUT', '/configurations/more', { body }));
	const left = await until(async () => { const rows = ok(await hub.rest('GET', '/configurations/more/devices?state=notApplied')); return rows.length > 0 && rows; }, 'it is targeted');
	assert.deepEqual(left.map((d) => [d.deviceId, d.targeted, d.applied]), [['full', true, false]]);
	size(left[0], 'its devices');
	size(ok(await hub.rest('GET', '/twins/full/configurations')).find((c) => c.configurationId === 'more'), 'the twin');
	const why = await hub.cli(['configuration', 'why', 'more', 'full']);
	assert.match(why.stdout, /32768/, why.stderr);
});

test('R-21 an update without If-Match says what is missing', async () => {
	const body = { id: 'again', targetCondition: "tags.none = '1'", priority: 1, content: { deviceContent: { 'properties.desired.again': 1 } } };
	ok(await hub.rest('PUT', '/configurations/again', { body }));
	const shown = ok(await hub.rest('GET', '/configurations/again'));
	const answer = await hub.rest('PUT', '/configurations/again', { body: shown });
	assert.equal(answer.status, 409);
	assert.match(answer.body.Message, /If-Match/);
	const device = await hub.rest('PUT', '/devices/dev1', { body: ok(await hub.rest('GET', '/devices/dev1')) });
	assert.equal(device.status, 409);
	assert.match(device.body.Message, /If-Match/);
});

test('J-52 what configurations made and nobody owns any more goes', async () => {
	await hub.createDevice('residue', {});
	ok(await hub.rest('PATCH', '/twins/residue', { body: { tags: { residue: 1 } } }));
	const put = (id, priority, path, value) => hub.rest('PUT', `/configurations/${id}`, { body: { id, priority, targetCondition: 'tags.residue = 1', content: { deviceContent: { [path]: value } } } });
	ok(await put('base', 1, 'properties.desired.cfg', { b: {} }));
	ok(await put('layer', 2, 'properties.desired.cfg.b', { x: 42 }));
	const desired = async () => ok(await hub.rest('GET', '/twins/residue')).properties.desired;
	await until(async () => (await desired()).cfg?.b?.x === 42, 'both are applied');
	for (const id of ['layer', 'base']) ok(await hub.rest('DELETE', `/configurations/${id}`), 204);
	await until(async () => (await desired()).cfg === undefined, 'nothing is left of them');
});

test('import files that are no lines of JSON are named, and taken where that is possible', async () => {
	const dir = tempDir('field'), file = (name, content) => { const p = path.join(dir, name); fs.writeFileSync(p, content); return p; };
	const utf16 = Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from('{"id":"u16"}\n', 'utf16le')]);
	for (const [name, content, text] of [['array.json', '[{"id":"a1"},{"id":"a2"}]', /array/i], ['utf16.txt', utf16, /UTF-16/]]) {
		const end = await hub.cli(['import', file(name, content)]);
		assert.notEqual(end.code, 0);
		assert.match(end.stderr, text);
	}
	const csv = await hub.cli(['import', file('fleet.csv', 'deviceId,tags.site,desired.level\ncsv1,a,4\n')]);
	assert.equal(csv.code, 0, csv.stderr);
	assert.equal(ok(await hub.rest('GET', '/twins/csv1')).properties.desired.level, 4);
});

// Queries as they stand in programs and documents of others, and how many rows each gives here.
const QUERIES = [
	['select * from devices', 6], ['SELECT * FROM devices', 6], ['SELECT * FROM devices ', 6], ["\tSELECT *\r\n\tFROM devices\r\n\tWHERE tags.location.plant = 'P43'\r\n", 2],
	["SELECT * FROM devices WHERE tags.location.plant = 'P43'", 2], ["SELECT * FROM devices WHERE tags.location.plant = 'P43' AND properties.reported.connectivity.type = 'cellular'", 1],
	["select * from devices where tags.userId='u-1' and deviceId='q1'", 1], ['SELECT * FROM devices WHERE tags.proxy=1', 1], ["SELECT * FROM devices where is_defined(tags.userId)", 1],
	["SELECT deviceId FROM devices WHERE properties.reported.fw.status='Current' AND properties.reported.fw.type='kit'", 1], ["SELECT * FROM devices where deviceid='q1'", 1],
	['SELECT * FROM devices WHERE properties.reported.cfg.sendFrequencyInSecs = 60', 1], ["SELECT * FROM devices WHERE deviceId IN ['q1', 'q2', 'nobody']", 2], ["SELECT * FROM c WHERE deviceId = 'q1'", 400],
	["select deviceId, tags.location, connectionState from devices where connectionState = 'Disconnected'", 6], ["SELECT COUNT() AS numberOfDevices FROM devices", 1], ['SELECT COUNT() as totalNumber FROM devices WHERE capabilities.iotEdge = true', 1],
	["SELECT properties.reported.fw.status AS status, COUNT() AS numberOfDevices FROM devices GROUP BY properties.reported.fw.status", 2], ["SELECT TOP 2 * FROM devices", 2], ['SELECT * FROM devices WHERE properties.reported.battery < 20 OR properties.reported.battery > 90', 1],
	["select * from devices where status = 'enabled' and statusUpdateTime > '2000-01-01T00:00:00.0000000Z'", 0], ["SELECT * FROM devices WHERE lastActivityTime > '2000-01-01T00:00:00Z'", 1], ["SELECT * FROM devices WHERE STARTSWITH(deviceId, 'q')", 3],
	["SELECT * FROM devices WHERE NOT is_defined(properties.reported.fw.status) AND deviceId <> 'edge'", 4], ["SELECT * FROM devices WHERE tags.location.plant != 'P43'", 0], ['SELECT * FROM devices WHERE tags.none = null', 0],
	["SELECT * FROM devices.modules WHERE properties.reported.status = 'scanning'", 1], ["SELECT * FROM devices.modules WHERE properties.reported.status = 'scanning' AND deviceId IN ['q1', 'q2']", 1],
	["select properties.reported.State from devices.modules where devices.modules.moduleId = 'm1' and devices.deviceId = 'q1'", 1], ["SELECT * FROM devices.modules WHERE devices.modules.moduleId = '$edgeAgent' AND deviceId in ['edge']", 1],
	["SELECT * FROM devices.modules Where moduleId='$edgeHub'", 1], ["SELECT * FROM devices.jobs WHERE devices.jobs.deviceId = 'q1'", 1], ["select * from devices.jobs where devices.jobs.jobId = 'fj' and devices.jobs.status = 'completed'", 1],
	["SELECT * FROM devices.jobs WHERE devices.jobs.jobId = 'fj' AND devices.jobs.deviceId IN ['q1', 'q2']", 1], ["select * from devices where configurations.[[fc]].status='Applied' and properties.reported.fw.status = 'Current'", 1],
	["select deviceId from devices where configurations.[[fc]].status='Applied'", 2], ["SELECT deviceId FROM devices.modules WHERE moduleId = '$edgeAgent' AND configurations.[[none]].status = 'Applied'", 0], ["SELECT deviceId FROM devices WHERE properties.reported.lastDesiredStatus.code = 200", 0],
	["SELECT deviceId FROM devices WHERE properties.reported.fw.status='pending'}", 400], ["SELECT * FROM devices WHERE deviceId IN ('q1', 'q2')", 2], ["SELECT * FROM devices WHERE tags.location.plant = 'P43", 400], ['', 400],
];

test('Q-01 queries of programs and documents', async () => {
	const other = hubs[hubs.push(await startHub()) - 1];
	const rest = async (method, target, body) => ok(await other.rest(method, target, { body }));
	for (const id of ['q1', 'q2', 'q3', 'other1', 'other2']) await other.createDevice(id);
	await other.createDevice('edge', { capabilities: { iotEdge: true } });
	await rest('PATCH', '/twins/q1', { tags: { userId: 'u-1', proxy: 1, location: { plant: 'P43' } } });
	await rest('PATCH', '/twins/q2', { tags: { location: { plant: 'P43' } } });
	await rest('PUT', '/devices/q1/modules/m1', { deviceId: 'q1', moduleId: 'm1' });
	const reports = async (id, resource, keys, reported) => {
		const c = await RawMqtt.open(other);
		assert.equal((await c.connect({ clientId: id, username: mqttUsername(other.addr, id), password: sasToken({ resource: `${other.addr}/devices/${resource}`, key: keys.symmetricKey.primaryKey }), clean: true })).code, 0);
		await c.subscribe(TWIN_RESPONSES);
		assert.equal((await c.report(reported)).status, 204);
		await c.disconnect();
		await until(async () => (await rest('GET', `/twins/${resource}`)).connectionState === 'Disconnected', `${id} has gone`);
	};
	await reports('q1', 'q1', (await rest('GET', '/devices/q1')).authentication, { connectivity: { type: 'cellular' }, fw: { status: 'Current', type: 'kit' }, cfg: { sendFrequencyInSecs: 60 }, battery: 10 });
	await reports('q1/m1', 'q1/modules/m1', (await rest('GET', '/devices/q1/modules/m1')).authentication, { status: 'scanning', State: 'Running' });
	await rest('PUT', '/configurations/fc', { id: 'fc', targetCondition: "tags.location.plant='P43'", priority: 1, content: { deviceContent: { 'properties.desired.fc': 1 } } });
	await rest('PUT', '/jobs/v2/fj', { jobId: 'fj', type: 'scheduleUpdateTwin', queryCondition: "deviceId IN ['q1']", updateTwin: { etag: '*', tags: { job: 1 } } });
	await until(async () => (await rest('GET', '/jobs/v2/fj')).status === 'completed', 'the job has ended');
	for (const [query, want] of QUERIES) {
		const answer = await other.rest('POST', '/devices/query', { body: { query } });
		assert.deepEqual([query, answer.status === 200 ? answer.body.length : answer.status], [query, want], answer.text);
	}
});

test('what is refused, closed or dropped leaves one line each, with its reason', async () => {
	const other = hubs[hubs.push(await startHub({ args: ['--token-skew', '0'] })) - 1];
	const key = (await other.createDevice('gone')).authentication.symmetricKey.primaryKey;
	const line = async (msg, reason, more = '') => until(() => new RegExp(`msg="${msg}" reason=${reason} .*${more}`).test(other.logs), `a line of ${reason}`);
	const login = (options) => deviceLogin(other, 'gone', key, { clean: true, ...options });
	const live = () => mqttDevice(other, 'gone', { filters: [] });
	for (const [reason, send] of [['topic', (c) => c.publish('tele/gone/LWT', 'Online')], ['malformed', (c) => c.send(publishPacket('devices/gone/messages/events/', 'x', { qos: 2, id: 1 }))],
		['(malformed|message-size)', (c) => c.publish('devices/gone/messages/events/', Buffer.alloc(300_000))], ['taken-over', () => live()]]) {
		const c = await live();
		await send(c);
		await c.closed();
		await line('connection closed', reason, 'device=gone ');
	}
	const c = await live();
	assert.deepEqual(await c.subscribe('$SYS/#'), [0x80]);
	await line('.*', 'filter', 'device=gone ');
	const late = Math.floor(Date.now() / 1000) + 2;
	for (const [reason, options, code] of [['connect-level', { level: 5 }, 1], ['client-id-empty', { clientId: '' }, 2], ['will', { will: { topic: 'tele/gone/LWT', payload: 'Offline' } }, 5],
		['token-expired', { password: sasToken({ resource: `${other.addr}/devices/gone`, key, expires: 1_000_000 }) }, 5]]) {
		const refusedOne = await RawMqtt.open(other);
		assert.equal((await refusedOne.connect(login(options))).code, code, reason);
		await line('CONNECT refused', reason);
		refusedOne.destroy();
	}
	const short = await RawMqtt.open(other);
	assert.equal((await short.connect(login({ password: sasToken({ resource: `${other.addr}/devices/gone`, key, expires: late }) }))).code, 0);
	await short.closed('the end of the token');
	await line('connection closed', 'token-end', 'device=gone ');
	const plain = net.connect({ host: other.addr, port: 8883 });
	plain.on('error', () => {}).write(connectPacket(login({})));
	await line('TLS handshake failed', 'tls-failed');
	plain.destroy();
	const owner = ok(await other.rest('GET', '/admin/policies/iothubowner')).primaryKey;
	for (const [reason, token] of [['token-expired', sasToken({ resource: other.addr, key: owner, policy: 'iothubowner', expires: 1_000_000 })], ['policy-unknown', sasToken({ resource: other.addr, key: owner, policy: 'nobody' })],
		['token-resource', sasToken({ resource: 'other.example', key: owner, policy: 'iothubowner' })], ['token-form', 'Bearer eyJ0eXAiOiJKV1QifQ.e30.x']]) {
		assert.equal((await other.rest('GET', '/devices/gone', { token })).status, 401, reason);
		await line('request refused', reason);
	}
});
