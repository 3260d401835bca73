// Inputs as users and programs in the field send them, that a hub of this kind once turned away or took without effect. The
// values are made up; the shapes are not.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { mqttDevice, mqttUsername, PACKET, RawMqtt, sasToken, startHub, stopAll, tempDir, until } from '../lib/hub.mjs';
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
