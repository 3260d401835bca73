// Target conditions, queries and deployment manifests in the shapes that programs, documents and templates of others have, each
// with what it comes to. Names and values are made up.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { startHub, stopAll } from '../lib/hub.mjs';

const hubs = [];
let hub;
before(async () => {
	hubs.push(hub = await startHub());
	for (const [id, tags, desired, more] of [['pump-1', { env: 'prod', building: 9, site: { plant: 'P1', floor: 2 }, role: 'heat&humidity', on: true }, { model: '4000x', rate: 10 }], ['pump-2', { env: 'test', building: 9 }, { model: '4000x' }],
		['pump-3', { env: 'prod', building: 43, 'my-tag': 'x', list: ['a', 'b'] }, { rate: 2.5 }], ['edge-1', { env: 'prod' }, {}, { capabilities: { iotEdge: true } }], ['EDGE-2', {}, {}, { capabilities: { iotEdge: true }, status: 'disabled' }]]) {
		await hub.createDevice(id, more);
		ok(await hub.rest('PATCH', `/twins/${id}`, { body: { tags, properties: { desired } } }));
	}
	for (const [id, moduleId, tags] of [['pump-1', 'cam', { env: 'prod' }], ['pump-2', 'cam', { building: 9 }]]) {
		ok(await hub.rest('PUT', `/devices/${id}/modules/${moduleId}`, { body: { deviceId: id, moduleId } }));
		ok(await hub.rest('PATCH', `/twins/${id}/modules/${moduleId}`, { body: { tags } }));
	}
});
after(() => stopAll(...hubs));

const ok = (answer, status = 200) => { assert.equal(answer.status, status, answer.text); return answer.body; };

// ---- conditions: how many are targeted, or what the refusal names ----

const CONDITIONS = [
	['', 0], ['*', 5], [' ', 0], ["deviceId='edge-1'", 1], ["deviceid='edge-1'", 1], ["DeviceId = 'EDGE-2'", 1], ["deviceId='edge-2'", 0], ["deviceId=\"edge-1\"", 1], ["deviceId IN ['pump-1','pump-2','nobody']", 2], ["deviceId in ('pump-1')", 1],
	["deviceId != 'pump-1'", 4], ["NOT deviceId = 'pump-1'", 4], ["STARTSWITH(deviceId,'pump')", 3], ["startswith(deviceId, 'pump') and tags.building=9", 2], ["tags.env='prod'", 3], ["tags.env = 'prod' ", 3], ["tags.env='prod';", 3], ['tags.env="prod"', 3],
	["Tags.env = 'prod'", 3], ["tags.Env = 'prod'", 0], ["devices.tags.env='prod'", 3], ["tags.building=9 and tags.env='test'", 1], ["tags.building=9 AND (tags.env='test' OR tags.env='prod')", 2], ["tags.env='prod' AND NOT tags.building=9", 1],
	["tags.env='test' OR tags.building=43", 2], ["tags.site.plant='P1'", 1], ["tags.site.plant='P1' and properties.desired.model='4000x'", 1], ["properties.desired.model = '4000x'", 2], ['properties.desired.rate >= 2.5', 2], ['tags.building > 8 AND tags.building < 44', 3],
	['tags.building IN [9, 43]', 3], ['tags.on = true', 1], ['tags.on', 1], ["tags.role = 'heat&humidity'", 1], ["tags.[[my-tag]] = 'x'", 1], ['is_defined(tags.building)', 3], ['NOT is_defined(tags.building)', 2], ["tags.env <> 'prod'", 1], ["tags.env != 'prod'", 1],
	['tags.nothing = null', 0], ['capabilities.iotEdge = true', 2], ["capabilities.iotEdge=true AND tags.env='prod'", 1], ["status = 'enabled'", 4], ["connectionState = 'Connected'", 0], ["lastActivityTime < '2001-01-01T00:00:00Z'", 5], ["authenticationType = 'sas'", 5],
	["configurations.[[none]].status = 'Applied'", 0], ['properties.reported.$version >= 1', 5], ['from devices where tags.building=9', 2], ['true', 5], ['1=1', 5],
	['from devices.modules where tags.building=9', 1], ["FROM devices.modules WHERE tags.env = 'prod'", 1], ["from devices.modules where moduleId = '$edgeAgent'", 2], ["FROM devices.modules WHERE devices.modules.moduleId = 'cam' AND deviceId = 'pump-1'", 1],
	['deviceId=edgeDeviceVM', /edgeDeviceVM/], ['deviceId = pump-1', /pump-1/], ["tag.env = 'prod'", /\btag\.env\b/], ["\"tags.env = 'prod'\"", /constant/], ["'tags.env'", /constant/], ["env = 'prod'", /\benv\b/], ["properties.env = 'prod'", /properties\.env/], ["desired.model = '4000x'", /desired\.model/],
	["twin.tags.env = 'prod'", /twin\.tags\.env/], ["tags.my-tag = 'x'", /\[\[my-tag\]\]/], ["moduleId = 'cam'", /moduleId/], ["deviceId='edge-1", /string without end/], ["tags.env == 'prod'", /'='/], ["tags.env = 'a' && tags.b = 'c'", /no meaning here/], ['tags.site=\u2019x\u2019', /no meaning here/],
	["tags.env LIKE 'p%'", /LIKE is not supported/], ["select * from devices where tags.env='prod'", /'select'/i], ["WHERE tags.env='prod'", /'WHERE'/], ["tags.env = 'prod' AND", /text ends/], ["tags['env'] = 'prod'", /'\['/], ['tags.env', 0], ['5', /constant/], ["tags.building + 1", /number/],
];

test('J-35 Q-90 target conditions of programs and documents: whom they target, or what they are refused for', async () => {
	let i = 0;
	for (const [targetCondition, want] of CONDITIONS) {
		const content = /from devices\.modules/i.test(targetCondition) ? { moduleContent: { 'properties.desired.c': 1 } } : { deviceContent: { 'properties.desired.c': 1 } };
		const answer = await hub.rest('PUT', `/configurations/c${i++}?dryRun=true`, { body: { id: `c${i - 1}`, priority: 1, targetCondition, content } });
		const tested = ok(await hub.rest('POST', '/configurations/testQueries', { body: { targetCondition } }));
		if (want instanceof RegExp) {
			assert.deepEqual([targetCondition, answer.status, answer.headers['iothub-errorcode']], [targetCondition, 400, 'InvalidConfigurationTargetCondition'], answer.text);
			assert.match(answer.body.Message, want);
			assert.match(tested.targetConditionError, want, targetCondition);
		} else {
			assert.deepEqual([targetCondition, answer.body.targetedCount], [targetCondition, want]);
			assert.equal(tested.targetConditionError, null, targetCondition);
		}
	}
});

// ---- queries: how many rows, or what the refusal names ----

const QUERIES = [
	['SELECT * FROM DEVICES where properties.desired.rate >= 10', 1], ["select * from devices.modules where devices.deviceId = 'pump-1'", 1], ["SELECT * FROM devices where properties.desired.$metadata.$lastUpdated >= '2001-01-01T00:00:00.0000000Z' OR properties.reported.$metadata.DevAddr.$lastUpdated >= '2001-01-01T00:00:00Z'", 5],
	['select deviceId, modelId, connectionState, lastActivityTime   from devices where capabilities.iotEdge != true', 3], ['SELECT * FROM devices WHERE capabilities.iotEdge = false', 3], ["SELECT * FROM devices.jobs WHERE devices.jobs.deviceId IN ('pump-1', 'pump-2')", 0], ["SELECT * FROM jobs WHERE type = 'scheduleUpdateTwin'", 0],
	['SELECT COUNT() FROM devices', 1], ['SELECT COUNT() AS total FROM devices.modules', 1], ['SELECT COUNT(*) AS c FROM devices', 400], ['SELECT COUNT(1) FROM devices', 400], ['SELECT * FROM devices;', 5], ['SELECT d.deviceId FROM devices d', 400], ["SELECT * FROM c WHERE c.deviceId='x'", 400],
	['SELECT deviceId as id, tags FROM devices', 5], ['SELECT properties.reported FROM devices', 5], ["select deviceId from devices where tags.site.plant='P1'", 1], ["SELECT tags.site.plant, COUNT() AS n FROM devices GROUP BY tags.site.plant", 2], ["SELECT TOP 10 deviceId FROM devices", 5], ['select top 1 * from devices', 1],
	["SELECT * FROM devices WHERE tags.role = 'heat&humidity'", 1], ["SELECT * FROM devices WHERE NOT tags.role = 'heat&humidity'", 0], ["SELECT * FROM devices WHERE tags.env = 'prod' AND tags.building = 9", 1], ["SELECT * FROM devices WHERE tags.env != 'prod'", 1], ["SELECT * FROM devices WHERE tags.building = '9'", 0],
	["SELECT * FROM devices WHERE tags.site.floor = 2.0", 1], ["SELECT * FROM devices WHERE (tags.env = 'prod' OR tags.env = 'test') AND status = 'enabled'", 4], ["SELECT * FROM devices WHERE status = 'disabled'", 1], ["SELECT * FROM devices WHERE status != 'enabled'", 1], ["SELECT DeviceId FROM devices WHERE ConnectionState = 'Disconnected'", 5],
	["SELECT deviceId, lastActivityTime FROM devices WHERE lastActivityTime >= '2001-01-01T00:00:00Z' and connectionState = 'Disconnected'", 0], ["SELECT * FROM devices WHERE lastActivityTime < '2019-01-01'", 5], ["SELECT * FROM devices WHERE statusUpdateTime < '2001-01-01T00:00:00Z'", 5],
	["SELECT * FROM devices WHERE is_string(tags.env) AND IS_NUMBER(tags.building)", 3], ["SELECT * FROM devices WHERE IS_BOOL(tags.on) OR IS_OBJECT(tags.site) OR IS_NULL(tags.none)", 1], ["SELECT * FROM devices WHERE IS_PRIMITIVE(tags.env)", 4], ["SELECT * FROM devices WHERE NOT IS_DEFINED(tags.site) and (tags.env = 'prod' or tags.env = 'x')", 2],
	["SELECT * FROM devices WHERE ENDSWITH(deviceId, '1')", 2], ["SELECT * FROM devices WHERE CONTAINS(deviceId,'ump')", 3], ["SELECT * FROM devices WHERE LENGTH(deviceId) = 6", 5], ["SELECT * FROM devices WHERE LOWER(deviceId) = 'edge-2'", 1], ["SELECT * FROM devices WHERE SUBSTRING(deviceId, 0, 4) = 'pump'", 3],
	['SELECT AVG(tags.building) AS a, MIN(tags.building) AS b, MAX(tags.building) AS c, SUM(tags.building) AS d FROM devices', 1], ["SELECT tags.env AS env, AVG(tags.building) AS a FROM devices GROUP BY tags.env", 3], ["SELECT * FROM devices WHERE tags.[[my-tag]] = 'x'", 1], ["SELECT * FROM devices WHERE tags.my-tag = 'x'", 0],
	["SELECT * FROM devices WHERE tags.note = 'it''s'", 400], ["SELECT * FROM devices WHERE tags.note = 'it\\'s'", 0], ["SELECT * FROM devices.configurations", 400], ["select * from devices where deviceId='pump-1' limit 10", 400], ["SELECT * FROM devices WHERE properties.reported['a'] = 1", 400], ["SELECT * FROM devices WHERE deviceId = @id", 400],
	["select * from devices.modules where moduleId = 'cam' and deviceId in ['pump-1'] and connectionState = 'Disconnected'", 1], ["SELECT deviceId, moduleId FROM devices.modules WHERE tags.env = 'prod'", 1], ["SELECT * FROM devices.modules WHERE moduleId IN ['$edgeAgent', '$edgeHub']", 4], ["SELECT COUNT() AS n FROM devices.modules WHERE moduleId = '$edgeHub'", 1],
	["SELECT deviceId FROM devices WHERE tags.building IN [9, 10] AND deviceId IN ['pump-2']", 1], ["SELECT deviceId FROM devices WHERE tags.building NIN [9]", 1], ["SELECT deviceId FROM devices WHERE deviceId NIN ['pump-1']", 4], ['SELECT *, deviceId FROM devices', 400], ['FROM devices', 400], ['DELETE FROM devices', 400], ["SELECT * FROM devices WHERE", 400],
];

test('Q-01 Q-13 Q-90 more queries of programs and documents', async () => {
	for (const [query, want] of QUERIES) {
		const answer = await hub.rest('POST', '/devices/query', { body: { query } });
		assert.deepEqual([query, answer.status === 200 ? answer.body.length : answer.status], [query, want]);
	}
});

// ---- manifests: the modules that a device has then, or what the refusal names ----

const image = (settings, more = {}) => ({ version: '1.0', type: 'docker', status: 'running', restartPolicy: 'always', settings: { image: 'registry.example/m:1.0', createOptions: '', ...settings }, ...more });
const runtime = (more = {}) => ({ type: 'docker', settings: { minDockerVersion: 'v1.25', loggingOptions: '', ...more } });
const agent = (modules = {}, more = {}) => ({ 'properties.desired': { schemaVersion: '1.0', runtime: runtime(), systemModules: { edgeAgent: { type: 'docker', settings: { image: 'registry.example/agent:1.0', createOptions: '{}' } }, edgeHub: image({ createOptions: '{"HostConfig":{"PortBindings":{"8883/tcp":[{"HostPort":"8883"}]}}}' }) }, modules, ...more } });
const edgeHub = (more = {}) => ({ 'properties.desired': { schemaVersion: '1.0', routes: { up: 'FROM /messages/* INTO $upstream' }, storeAndForwardConfiguration: { timeToLiveSecs: 7200 }, ...more } });
const manifest = (modules, more = {}) => ({ $edgeAgent: agent(modules), $edgeHub: edgeHub(), ...more });
const nested = (depth) => (depth === 0 ? 1 : { n: nested(depth - 1) });
const SENSOR = { sensor: image({}) };

// [what, content, modules beside the system's, or a refusal of both ways; of set-modules; of a deployment]
const MANIFESTS = [
	['no module at all', manifest({}), []], ['one module', manifest(SENSOR), []], ['one with desired properties', manifest(SENSOR, { sensor: { 'properties.desired': { SendData: true, SendInterval: 5 } } }), ['sensor']], ['empty desired properties', manifest(SENSOR, { sensor: { 'properties.desired': {} } }), ['sensor']],
	['a module without content', manifest(SENSOR, { sensor: {} }), ['sensor']], ['two modules', manifest({ a: image(), b: image() }, { a: { 'properties.desired': { x: 1 } }, b: { 'properties.desired': { y: 'z' } } }), ['a', 'b']], ['registry credentials', { $edgeAgent: agent(SENSOR, { runtime: runtime({ registryCredentials: { myreg: { username: '$REGISTRY_USER', password: '${REGISTRY_PASSWORD}', address: 'r.example' } } }) }), $edgeHub: edgeHub() }, []],
	['environment of texts', manifest({ s: image({}, { env: { A: { value: 'b' }, 'B_C': { value: '' } } }) }), []], ['environment of numbers and booleans', manifest({ s: image({}, { env: { A: { value: 5 }, B: { value: true } } }) }), []], ['start-up order and pull policy', manifest({ s: image({}, { startupOrder: 1, imagePullPolicy: 'on-create' }) }), []],
	['createOptions as an object', manifest({ s: image({ createOptions: { HostConfig: { Binds: ['/a:/b'], Privileged: true } } }) }), []], ['createOptions in parts', manifest({ s: image({ createOptions: 'x'.repeat(512), createOptions01: 'y'.repeat(512), createOptions02: 'z' }) }), []], ['createOptions of 4 KB', manifest({ s: image({ createOptions: 'x'.repeat(4096) }) }), []],
	['createOptions left out', manifest({ s: { type: 'docker', settings: { image: 'x' } } }), []], ['status stopped', manifest({ s: image({}, { status: 'stopped', restartPolicy: 'never' }) }), []], ['image of an edge hub with environment', { $edgeAgent: agent({}, { systemModules: { edgeAgent: { type: 'docker', settings: { image: 'a' }, env: { UpstreamProtocol: { value: 'AmqpWs' } } }, edgeHub: image({}, { env: { OptimizeForPerformance: { value: 'false' } } }) } }), $edgeHub: edgeHub() }, []],
	['schema 1.1', { $edgeAgent: agent({}, { schemaVersion: '1.1' }), $edgeHub: edgeHub({ schemaVersion: '1.1' }) }, []], ['routes with priorities', { $edgeAgent: agent(), $edgeHub: edgeHub({ schemaVersion: '1.1', routes: { a: { route: 'FROM /* INTO $upstream', priority: 0, timeToLiveSecs: 86400 } } }) }, []], ['schema 1.2 with a broker', { $edgeAgent: agent(), $edgeHub: edgeHub({ schemaVersion: '1.2', mqttBroker: { authorizations: [{ identities: ['{{iot:identity}}'], allow: [{ operations: ['mqtt:publish'], resources: ['a/#'] }] }] } }) }, []],
	['no routes', { $edgeAgent: agent(), $edgeHub: edgeHub({ routes: {} }) }, []], ['routes between modules', { $edgeAgent: agent(), $edgeHub: edgeHub({ routes: { 'a-to-b': 'FROM /messages/modules/a/outputs/out INTO BrokeredEndpoint("/modules/b/inputs/in")' } }) }, []], ['a route with a condition', { $edgeAgent: agent(), $edgeHub: edgeHub({ routes: { alert: "FROM /messages/modules/f/outputs/* WHERE temperature > 25 AND $body.a = 'b' INTO $upstream" } }) }, []],
	['arrays in desired properties', manifest({}, { m: { 'properties.desired': { list: [1, 'a', { b: 2 }], empty: [] } } }), ['m']], ['an array of arrays', manifest({}, { m: { 'properties.desired': { list: [[1], []] } } }), ['m']], ['numbers of all kinds', manifest({}, { m: { 'properties.desired': { a: 0, b: -1.5, c: 1e10, d: 4503599627370495 } } }), ['m']], ['texts with quotes and lines', manifest({}, { m: { 'properties.desired': { sql: 'SELECT *\r\nINTO "x" FROM \'y\'', u: 'ü😀' } } }), ['m']],
	['a job of analytics, as text', manifest({}, { asa: { 'properties.desired': { ASAJobInfo: 'https://store.example/job.zip?sv=1&sig=a%2Bb', ASAJobEtag: 'W/"5"', PublishTimestamp: '4/4/2019 6:06:46 AM' } } }), ['asa']], ['ten levels', manifest({}, { m: { 'properties.desired': nested(10) } }), ['m']], ['module ids with dots, dashes and capitals', manifest({}, { 'my.module': { 'properties.desired': { a: 1 } }, 'Other-Module_2': { 'properties.desired': { a: 2 } } }), ['Other-Module_2', 'my.module']],
	['names with dashes and underscores', manifest({ 'my-module_1': image() }, { 'my-module_1': { 'properties.desired': { 'a-b': 1, a_b: 2, 'ä': 3 } } }), ['my-module_1']], ['a schema beside the content', { content: { $schema: 'http://schema.example/deployment-2.0', modulesContent: manifest(SENSOR) } }, []], ['the mark of a template beside the content', { content: { '$schema-template': '2.0.0', modulesContent: manifest(SENSOR) } }, []],
	['the edge hub without properties', { $edgeAgent: agent(SENSOR), $edgeHub: {} }, []], ['a path below desired for the edge hub', { $edgeAgent: agent(SENSOR), $edgeHub: { 'properties.desired.routes.up': 'FROM /* INTO $upstream' } }, []], ['a path below desired for a module', manifest({}, { m: { 'properties.desired.settings.level': 4 } }), ['m']],
	['a layer: one module', { $edgeAgent: { 'properties.desired.modules.layered': image() }, layered: { 'properties.desired': { l: 1 } } }, ['layered']], ['a layer: modules, a route, properties below a path', { $edgeAgent: { 'properties.desired.modules.l1': image(), 'properties.desired.modules.l2': image() }, $edgeHub: { 'properties.desired.routes.l1': 'FROM /messages/modules/l1/* INTO $upstream' }, l1: { 'properties.desired.extra': { A: 1 } } }, ['l1']],
	['a layer: credentials', { $edgeAgent: { 'properties.desired.runtime.settings.registryCredentials.two': { username: 'u', password: 'p', address: 'two.example' } } }, []], ['a layer: environment of the agent', { $edgeAgent: { 'properties.desired.systemModules.edgeAgent.env.LogLevel': { value: 'debug' } } }, []], ['a layer: only a module\'s properties', { only: { 'properties.desired.x': { y: [1] } } }, ['only']],
	['the agent alone', { $edgeAgent: agent() }, [], { deployment: /\$edgeHub/ }], ['a null in desired', manifest({}, { m: { 'properties.desired': { a: null } } }), ['m'], { apply: /null/ }], ['twelve levels', manifest({}, { m: { 'properties.desired': nested(12) } }), /depth|levels|deep/i], ['a name with a dot', manifest({ 'a.b': image() }), /illegal character.*a\.b/], ['a name with a dollar', manifest({}, { m: { 'properties.desired': { $x: 1 } } }), /\$x/],
	['a name with a blank', manifest({}, { m: { 'properties.desired': { 'a b': 1 } } }), /a b/], ['a text over 4 KB', manifest({ s: image({ createOptions: 'x'.repeat(4097) }) }), /4,?096|4097/], ['a module that is null', manifest({}, { m: null }), /\bm\b/], ['properties nested, not with a dot', manifest({}, { m: { properties: { desired: { a: 1 } } } }), /properties/], ['tags of a module', manifest({}, { m: { 'tags.a': 1 } }), /tags/],
	['reported properties', manifest({}, { m: { 'properties.reported': { a: 1 } } }), /reported/], ['more than a section holds', manifest({}, { m: { 'properties.desired': Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`k${i}`, 'x'.repeat(1000)])) } }), /32,?768/], ['a list of modules', [{ $edgeAgent: agent() }], /./],
];

test('R-92 J-40 manifests of templates and documents: set on a device, and as a deployment', async () => {
	for (const [i, [what, sent, want, refused = {}]] of MANIFESTS.entries()) {
		const id = `manifest-${i}`, content = sent.content ?? { modulesContent: sent };
		await hub.createDevice(id, { capabilities: { iotEdge: true } });
		const applied = await hub.rest('POST', `/devices/${id}/applyConfigurationContent`, { body: content });
		const deployed = await hub.rest('PUT', `/configurations/d${i}?dryRun=true`, { body: { id: `d${i}`, priority: 1, targetCondition: `deviceId='${id}'`, content, labels: {}, metrics: { queries: {} } } });
		for (const [way, answer, good, why] of [['apply', applied, 204, refused.apply], ['deployment', deployed, 200, refused.deployment]]) {
			const wrong = want instanceof RegExp ? want : why;
			assert.ok(wrong ? answer.status === 400 || answer.status === 403 : answer.status === good, `${what}, ${way}: ${answer.status} ${answer.text}`);
			if (wrong) assert.match(answer.body.Message, wrong, `${what}, ${way}`);
		}
		const there = ok(await hub.rest('GET', `/devices/${id}/modules`)).map((m) => m.moduleId).filter((m) => !m.startsWith('$')).sort();
		assert.deepEqual([what, there], [what, want instanceof RegExp || refused.apply ? [] : want]);
		for (const [module, parts] of Object.entries(applied.status === 204 ? content.modulesContent : {})) {
			if (!parts['properties.desired']) continue;
			const { $metadata, $version, ...desired } = ok(await hub.rest('GET', `/twins/${id}/modules/${encodeURIComponent(module)}`)).properties.desired;
			assert.deepEqual(desired, parts['properties.desired'], `${what}: ${module}`);
		}
	}
});
