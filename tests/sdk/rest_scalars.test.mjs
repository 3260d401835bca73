// Names, numbers, booleans and texts in request bodies, however a client writes them (service-rest.md 5.4).
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { mqttDevice, PACKET, startHub, stopAll } from '../lib/hub.mjs';

const hubs = [];
let hub;
before(async () => { hubs.push(hub = await startHub()); });
after(() => stopAll(...hubs));

const ok = (answer, status = 200) => { assert.equal(answer.status, status, answer.text); return answer.body; };
const refused = (answer, text) => {
	assert.equal(answer.status, 400, answer.text);
	assert.equal(answer.headers['iothub-errorcode'], 'ArgumentInvalid');
	assert.match(answer.body.Message, text);
};

test('R-108 methods: timeouts as az sends them', async () => {
	await hub.createDevice('dev1');
	const device = await mqttDevice(hub, 'dev1', { filters: ['$iothub/methods/POST/#'] });
	// the bytes of `az iot hub invoke-device-method` without --timeout
	for (const body of ['{"methodName":"reboot","payload":{"a":1},"responseTimeoutInSeconds":"30","connectTimeoutInSeconds":"30"}',
		'{"methodName": "reboot", "payload": {"a": 1}, "responseTimeoutInSeconds": 30.0, "connectTimeoutInSeconds": "0"}']) {
		const call = hub.rest('POST', '/twins/dev1/methods', { body });
		const p = await device.next(PACKET.PUBLISH, 'a method call', (q) => q.topic.startsWith('$iothub/methods/POST/reboot/'));
		assert.equal(p.payload.toString(), '{"a":1}');
		device.publish(`$iothub/methods/res/200/?$rid=${/rid=(.*)$/.exec(p.topic)[1]}`, '{}');
		assert.deepEqual(ok(await call), { status: 200, payload: {} });
	}
	const call = (body) => hub.rest('POST', '/twins/dev1/methods', { body: { methodName: 'm', ...body } });
	refused(await call({ responseTimeoutInSeconds: '4' }), /responseTimeoutInSeconds is not an integer from 5 to 300, it is "4"/);
	for (const text of ['10\0', '\x0010', '1\x000']) refused(await call({ responseTimeoutInSeconds: text }), /responseTimeoutInSeconds is not an integer/);
	refused(await call({ connectTimeoutInSeconds: 30.5 }), /connectTimeoutInSeconds is not an integer from 0 to 300, it is 30\.5/);
	refused(await call({ methodName: ['m'] }), /methodName is not a string, it is an array/);
	// the payload's own values stay as they are
	const kept = call({ payload: { n: '30', b: 'true', f: 1.0 }, responseTimeoutInSeconds: '10' });
	const p = await device.next(PACKET.PUBLISH, 'a method call');
	assert.equal(p.payload.toString(), '{"n":"30","b":"true","f":1}');
	device.publish(`$iothub/methods/res/200/?$rid=${/rid=(.*)$/.exec(p.topic)[1]}`, '{}');
	ok(await kept);
});

test('R-108 identities: capabilities, ids and reasons', async () => {
	const edge = ok(await hub.rest('PUT', '/devices/5', { body: '{"deviceId":5,"statusReason":12.5,"capabilities":{"iotEdge":"true"}}' }));
	assert.deepEqual(edge.capabilities, { iotEdge: true });
	assert.equal(edge.statusReason, '12.5');
	const module = ok(await hub.rest('PUT', '/devices/5/modules/7', { body: { deviceId: '5', moduleId: 7, managedBy: true } }));
	assert.equal(module.managedBy, 'true');
	refused(await hub.rest('PUT', '/devices/d2', { body: { deviceId: 'd2', capabilities: { iotEdge: 'maybe' } } }), /capabilities\.iotEdge is not a boolean, it is "maybe"/);
	refused(await hub.rest('PUT', '/devices/d2', { body: { deviceId: 'd2', authentication: { symmetricKey: { primaryKey: {} } } } }),
		/authentication\.symmetricKey\.primaryKey is not a string, it is an object/);
	assert.equal((await hub.rest('GET', '/devices/d2')).status, 404);
});

test('R-108 bulk calls and imports: an item is read as its PUT is, and stands alone', async () => {
	const items = [{ id: 11, importMode: 'create', capabilities: { iotEdge: 'true' } }, { id: 'b12', capabilities: { iotEdge: {} } }, { id: 'b13', tags: { n: '1' } }];
	const answer = await hub.rest('POST', '/devices', { body: items });
	assert.equal(answer.status, 400, answer.text);
	assert.deepEqual(answer.body.errors.map((e) => [e.deviceId, e.errorStatus]), [['b12', 'ArgumentInvalid: capabilities.iotEdge is not a boolean, it is an object']]);
	assert.equal(ok(await hub.rest('GET', '/devices/11')).capabilities.iotEdge, true);
	assert.deepEqual(ok(await hub.rest('GET', '/twins/b13')).tags, { n: '1' });
	const lines = '{"id":21,"capabilities":{"iotEdge":"True"}}\n{"id":"i22","status":{}}\n';
	const imported = ok(await hub.rest('POST', '/admin/import', { body: lines }));
	assert.deepEqual(imported.errors.map((e) => [e.line, e.errorStatus]), [[2, 'ArgumentInvalid: status is not a string, it is an object']]);
	assert.equal(ok(await hub.rest('GET', '/devices/21')).capabilities.iotEdge, true);
	ok(await hub.rest('POST', '/devices/keys/regenerate', { body: { policyKey: 'primaryKey', devices: [{ id: 21 }] } }));
});

test('R-108 configurations: priorities as text or with a fraction of nothing', async () => {
	const put = (id, more) => hub.rest('PUT', `/configurations/${id}`, { body: { id, content: { deviceContent: { 'properties.desired.p': '5' } }, targetCondition: "tags.none = '1'", ...more } });
	assert.equal(ok(await put('c1', { priority: '5', labels: { n: 1, b: true } })).priority, 5);
	const shown = ok(await hub.rest('GET', '/configurations/c1'));
	assert.deepEqual(shown.labels, { n: '1', b: 'true' });
	assert.deepEqual(shown.content, { deviceContent: { 'properties.desired.p': '5' } });
	assert.equal(ok(await hub.rest('PUT', '/configurations/c2', { body: '{"id":"c2","priority":5.0,"content":{"deviceContent":{"properties.desired.q":1}},"targetCondition":"*"}' })).priority, 5);
	refused(await put('c3', { priority: 'high' }), /priority is not an integer from 0 to 2147483647, it is "high"/);
	refused(await put('c3', { rollout: { waves: [{ percent: '50', soakSeconds: '60' }, { percent: 100, count: 'x' }] } }),
		/rollout\.waves\[1\]\.count is not an integer from 1 to 1000000000, it is "x"/);
});

test('R-108 jobs: seconds as text, types in any case; values of twins stay strict', async () => {
	const put = (id, body) => hub.rest('PUT', `/jobs/v2/${id}`, { body: { jobId: id, type: 'scheduleUpdateTwin', queryCondition: "deviceId IN ['none']", ...body } });
	const job = ok(await put('j1', { type: 'ScheduleUpdateTwin', maxExecutionTimeInSeconds: '300', updateTwin: { etag: '*', tags: { n: '1' } } }));
	assert.equal(job.maxExecutionTimeInSeconds, 300);
	assert.deepEqual(job.updateTwin.tags, { n: '1' });
	ok(await put('j2', { type: 'scheduleDeviceMethod', cloudToDeviceMethod: { methodName: 'm', responseTimeoutInSeconds: '30', connectTimeoutInSeconds: '5' } }));
	refused(await put('j3', { type: 'scheduleDeviceMethod', cloudToDeviceMethod: { methodName: 'm', responseTimeoutInSeconds: '301' } }),
		/cloudToDeviceMethod\.responseTimeoutInSeconds is not an integer from 5 to 300, it is "301"/);
	refused(await put('j3', { maxExecutionTimeInSeconds: '0', updateTwin: { etag: '*', tags: {} } }), /maxExecutionTimeInSeconds is not an integer from 1 to 2147483647/);
});

test('R-108 query parameters are read the same way', async () => {
	for (const top of ['1', '%201', '%2B1']) assert.equal(ok(await hub.rest('GET', `/devices?top=${top}`)).length, 1, top);
	ok(await hub.rest('POST', '/devices/query?explain=True', { body: { query: 'SELECT * FROM devices' } }));
	refused(await hub.rest('POST', '/devices/query?explain=yes', { body: { query: 'SELECT * FROM devices' } }), /explain is neither true nor false/);
});

test('R-114 identities, bulk items and import lines: members in any case', async () => {
	const made = ok(await hub.rest('PUT', '/devices/case1', { body: '{"DeviceId":"case1","Status":"disabled","StatusReason":"x","Capabilities":{"IotEdge":true},"Authentication":{"Type":"selfSigned","X509Thumbprint":{"PrimaryThumbprint":"' + 'A'.repeat(40) + '"}}}' }));
	assert.deepEqual([made.status, made.statusReason, made.capabilities.iotEdge, made.authentication.type, made.authentication.x509Thumbprint.primaryThumbprint], ['disabled', 'x', true, 'selfSigned', 'A'.repeat(40)]);
	refused(await hub.rest('PUT', '/devices/case1', { body: { DeviceId: 'another' } }), /id in the body/);
	const module = ok(await hub.rest('PUT', '/devices/case1/modules/m', { body: { DeviceID: 'case1', MODULEID: 'm', ManagedBy: 'me' } }));
	assert.equal(module.managedBy, 'me');
	const items = [{ Id: 'case2', ImportMode: 'Create', Tags: { Site: 'A', site: 'b' }, Properties: { Desired: { On: 1, on: 2 } } }, { ID: 'case3', Capabilities: { IOTEDGE: [] } }];
	const answer = await hub.rest('POST', '/devices', { body: items });
	assert.deepEqual(answer.body.errors.map((e) => [e.deviceId, e.errorStatus]), [['case3', 'ArgumentInvalid: Capabilities.IOTEDGE is not a boolean, it is an array']]);
	const twin = ok(await hub.rest('GET', '/twins/case2'));
	assert.deepEqual([twin.tags, twin.properties.desired.On, twin.properties.desired.on], [{ Site: 'A', site: 'b' }, 1, 2]);
	const imported = ok(await hub.rest('POST', '/admin/import', { body: '{"Id":"case4","Tags":{"N":1}}\n{"ID":"case5","Status":{}}\n' }));
	assert.deepEqual(imported.errors.map((e) => [e.line, e.deviceId, e.errorStatus]), [[2, 'case5', 'ArgumentInvalid: Status is not a string, it is an object']]);
	assert.deepEqual(ok(await hub.rest('GET', '/twins/case4')).tags, { N: 1 });
	assert.deepEqual(ok(await hub.rest('POST', '/devices/keys/regenerate', { body: { PolicyKey: 'both', Devices: [{ Id: 'case4' }] } })).rotatedKeys.map((k) => k.id), ['case4']);
});

test('R-114 twins: members in any case, the last of several; keys of sections keep theirs', async () => {
	await hub.createDevice('case6');
	const patched = await hub.rest('PATCH', '/twins/case6', { body: '{"DeviceId":"case6","Tags":{"Tags":1,"tags":2},"Properties":{"Desired":{"Desired":1,"desired":{"X":1,"x":2}}}}' });
	assert.deepEqual([ok(patched).tags, patched.headers['x-twinhub-warning']], [{ Tags: 1, tags: 2 }, undefined]);
	const { Desired, desired } = patched.body.properties.desired;
	assert.deepEqual([Desired, desired], [1, { X: 1, x: 2 }]);
	assert.deepEqual(ok(await hub.rest('PATCH', '/twins/case6', { body: '{"tags":{"a":1},"TAGS":{"b":1}}' })).tags, { Tags: 1, tags: 2, b: 1 });
	assert.deepEqual(ok(await hub.rest('PUT', '/twins/case6', { body: { Tags: { c: 1 } } })).tags, { c: 1 });
	refused(await hub.rest('PATCH', '/twins/case6', { body: { DeviceID: 'another' } }), /deviceId|id in the body/);
	assert.match((await hub.rest('PATCH', '/twins/case6', { body: { Desired: { a: 1 } } })).headers['x-twinhub-warning'], /Desired is no member of a twin/);
});

test('R-114 methods, queries and jobs: members in any case; payloads keep theirs', async () => {
	await hub.createDevice('case7');
	const device = await mqttDevice(hub, 'case7', { filters: ['$iothub/methods/POST/#'] });
	const call = hub.rest('POST', '/twins/case7/methods', { body: '{"MethodName":"go","Payload":{"A":1,"a":2},"ResponseTimeoutInSeconds":"10","methodname":"went"}' });
	const p = await device.next(PACKET.PUBLISH, 'a method call', (q) => q.topic.startsWith('$iothub/methods/POST/went/'));
	assert.equal(p.payload.toString(), '{"A":1,"a":2}');
	device.publish(`$iothub/methods/res/200/?$rid=${/rid=(.*)$/.exec(p.topic)[1]}`, '{}');
	ok(await call);
	assert.equal(ok(await hub.rest('POST', '/devices/query', { body: { Query: "SELECT deviceId FROM devices WHERE deviceId = 'case7'" } })).length, 1);
	const job = ok(await hub.rest('PUT', '/jobs/v2/case1', { body: { JobId: 'case1', Type: 'scheduleUpdateTwin', QueryCondition: "deviceId IN ['case7']", UpdateTwin: { ETag: '*', Tags: { Job: 1 }, Properties: { Desired: { J: 1 } } }, StartTime: null, MaxExecutionTimeInSeconds: '300' } }));
	assert.deepEqual([job.maxExecutionTimeInSeconds, job.updateTwin], [300, { etag: '*', tags: { Job: 1 }, properties: { desired: { J: 1 } } }]);
	const calls = ok(await hub.rest('PUT', '/jobs/v2/case2', { body: { jobId: 'case2', type: 'scheduleDeviceMethod', queryCondition: "deviceId IN ['none']", CloudToDeviceMethod: { MethodName: 'm', Payload: { P: 1 } } } }));
	assert.deepEqual([calls.cloudToDeviceMethod.methodName, calls.cloudToDeviceMethod.payload], ['m', { P: 1 }]);
	refused(await hub.rest('PUT', '/jobs/v2/case3', { body: { jobId: 'case3', type: 'scheduleUpdateTwin', queryCondition: "deviceId IN ['case7']", updateTwin: { etag: '*', Desired: { a: 1 } } } }), /updateTwin.*Desired/);
	device.destroy();
});

test('R-114 configurations, their tests and contents that are applied: members in any case, paths and ids as they are', async () => {
	const body = { Id: 'case1', SchemaVersion: '1.0', Priority: '7', Labels: { Env: 'x' }, TargetCondition: "tags.none = '1'", Metrics: { Queries: { Mine: "SELECT deviceId FROM devices WHERE tags.none = '1'" } }, Content: { DeviceContent: { 'properties.desired.P': { Q: 1, q: 2 } } } };
	const made = ok(await hub.rest('PUT', '/configurations/case1', { body }));
	assert.deepEqual([made.id, made.priority, made.labels, made.targetCondition, made.content, Object.keys(made.metrics.queries)], ['case1', 7, { Env: 'x' }, "tags.none = '1'", { deviceContent: { 'properties.desired.P': { Q: 1, q: 2 } } }, ['Mine']]);
	const tested = ok(await hub.rest('POST', '/configurations/testQueries', { body: { TargetCondition: 'tag.x = 1', CustomMetricQueries: { Bad: 'SELECT' } } }));
	assert.match(tested.targetConditionError, /\btag\b/);
	assert.ok(tested.customMetricQueryErrors.Bad);
	await hub.createDevice('case8', { capabilities: { iotEdge: true } });
	for (const wrap of [(c) => c, (Content) => ({ Content })])
		ok(await hub.rest('POST', '/devices/case8/applyConfigurationContent', { body: wrap({ ModulesContent: { Own: { 'properties.desired': { A: 1 } } } }) }), 204);
	assert.equal(ok(await hub.rest('GET', '/twins/case8/modules/Own')).properties.desired.A, 1);
});
