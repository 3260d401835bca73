// Edge deployments by the service SDK's Configuration calls: what the modules of edge devices have.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { startHub, stopAll, until } from '../lib/hub.mjs';
import { Client, Mqtt, SdkDevice, registryOf, rejection } from '../lib/sdk.mjs';

let hub, registry;
const open = new Set();

before(async () => {
	hub = await startHub();
	registry = await registryOf(hub);
});
after(async () => {
	for (const d of open) await d.close().catch(() => {});
	await stopAll(hub);
});

const BARE = 'properties.desired';
const agent = (modules = {}) => ({ schemaVersion: '1.1', runtime: { type: 'docker' }, systemModules: { edgeAgent: {}, edgeHub: {} }, modules });
const base = (modules, more = {}) => ({ $edgeAgent: { [BARE]: agent(modules) }, $edgeHub: { [BARE]: { routes: {} } }, ...more });
const deployment = (id, targetCondition, modulesContent, more = {}) => ({ id, content: { modulesContent }, targetCondition, priority: 1, ...more });

async function edge(id, tags) {
	await registry.create({ deviceId: id, capabilities: { iotEdge: true } });
	if (tags) await registry.updateTwin(id, { tags }, '*');
}

async function add(...args) { return (await registry.addConfiguration(deployment(...args))).responseBody; }
async function get(id) { return (await registry.getConfiguration(id)).responseBody; }
async function twin(id, module) { return (await registry.getModuleTwin(id, module)).responseBody; }
async function desired(id, module) {
	const { $metadata, $version, ...rest } = (await twin(id, module)).properties.desired;
	return rest;
}
async function state(id, name) { return (await twin(id, '$edgeAgent')).configurations?.[name]?.status; }

function becomes(what, want, told) {
	return until(async () => {
		try {
			assert.deepEqual(await what(), want);
			return true;
		} catch {
			return false;
		}
	}, `${told} becomes ${JSON.stringify(want)}`);
}

test('J-35 J-38 J-44 J-58 a deployment is applied to the modules of edge devices, whole', async () => {
	await edge('e44', { env: 't' });
	await edge('e44-other', { env: 'p' });
	await registry.create({ deviceId: 'leaf44' });
	await registry.updateTwin('leaf44', { tags: { env: 't' } }, '*');
	const content = base({ filter: { settings: { image: 'filter:1' } } }, { filter: { [BARE]: { threshold: 25 } } });
	const made = await add('d44', "tags.env = 't'", content);
	assert.deepEqual(made.content, { modulesContent: content });
	assert.equal(made.etag, 'MQ==');
	assert.deepEqual(Object.keys(made.systemMetrics.queries).sort(), ['appliedCount', 'reportedFailedCount', 'reportedSuccessfulCount', 'targetedCount']);
	await becomes(() => state('e44', 'd44'), 'Applied', 'the state of d44');
	assert.deepEqual(await desired('e44', '$edgeAgent'), agent({ filter: { settings: { image: 'filter:1' } } }));
	assert.deepEqual(await desired('e44', '$edgeHub'), { routes: {} });
	assert.deepEqual(await desired('e44', 'filter'), { threshold: 25 });
	assert.equal((await registry.getModule('e44', 'filter')).responseBody.managedBy, 'IotEdge');
	assert.equal(await state('e44-other', 'd44'), undefined);
	assert.equal((await rejection(registry.getModule('leaf44', 'filter'))).response.statusCode, 404);
	const shown = await get('d44');
	assert.deepEqual(shown.systemMetrics.results, { targetedCount: 1, appliedCount: 1, reportedSuccessfulCount: 0, reportedFailedCount: 0 });
	for (const text of Object.values(shown.systemMetrics.queries))
		assert.equal((await hub.rest('POST', '/devices/query', { body: { query: text } })).status, 200, text);
	await registry.removeConfiguration('d44');
	await becomes(() => desired('e44', '$edgeAgent'), {}, 'desired of $edgeAgent');
	assert.deepEqual(await desired('e44', 'filter'), {});
	assert.equal((await twin('e44', '$edgeAgent')).configurations, undefined);
});

test('J-44 J-45 the highest base counts, layers lie on top of it; what goes is taken back in one step', async () => {
	await edge('e45', { env: 'layers' });
	await add('low', "tags.env = 'layers'", base({}, { m: { [BARE]: { a: 1 } } }), { priority: 1 });
	await add('high', "tags.env = 'layers'", base({ m: {} }, { m: { [BARE]: { a: 2, b: 2 } } }), { priority: 5 });
	await add('layer', "tags.env = 'layers'", { $edgeAgent: { 'properties.desired.modules.x': { image: 'x:1' } }, m: { 'properties.desired.b': 3 }, x: { [BARE]: { c: 4 } } }, { priority: 9 });
	await add('under', "tags.env = 'layers'", { m: { 'properties.desired.z': 1 } }, { priority: 2 });
	await becomes(() => desired('e45', 'x'), { c: 4 }, 'desired of x');
	await becomes(async () => (await twin('e45', '$edgeAgent')).configurations,
		{ high: { status: 'Applied' }, layer: { status: 'Applied' }, low: { status: 'Targeted' }, under: { status: 'Targeted' } }, 'configurations');
	assert.deepEqual(await desired('e45', '$edgeAgent'), agent({ m: {}, x: { image: 'x:1' } }));
	assert.deepEqual(await desired('e45', 'm'), { a: 2, b: 3 });
	await registry.removeConfiguration('layer');
	await becomes(() => desired('e45', 'm'), { a: 2, b: 2 }, 'desired of m');
	await registry.removeConfiguration('high');
	await becomes(() => desired('e45', 'm'), { a: 1, z: 1 }, 'desired of m'); // under lies above low
	await registry.updateTwin('e45', { tags: { env: 'gone' } }, '*'); // in the commit of the change itself
	assert.deepEqual(await desired('e45', 'm'), {});
	for (const id of ['low', 'under']) await registry.removeConfiguration(id);
});

test('J-38 J-50 a connected module hears of it; $edgeAgent reports; by hand is undone', async () => {
	await edge('e38', { env: 'agent' });
	await add('d38', "tags.env = 'agent'", base({}, { worker: { [BARE]: { speed: 1 } } }));
	await becomes(() => state('e38', 'd38'), 'Applied', 'the state of d38');
	const key = (await registry.getModule('e38', 'worker')).responseBody.authentication.symmetricKey.primaryKey;
	const client = Client.fromConnectionString(`HostName=${hub.addr};DeviceId=e38;ModuleId=worker;SharedAccessKey=${key}`, Mqtt);
	await client.setOptions({ ca: hub.ca });
	const worker = await SdkDevice.open(client);
	open.add(worker);
	assert.equal((await worker.listen()).properties.desired.speed, 1);
	await registry.updateModuleTwin('e38', 'worker', { properties: { desired: { speed: 9, extra: true } } }, '*');
	const heard = [await worker.notification(), await worker.notification()];
	assert.deepEqual(heard.map(({ $version, ...rest }) => rest), [{ speed: 9, extra: true }, { speed: 1, extra: null }]);
	assert.deepEqual(await desired('e38', 'worker'), { speed: 1 });
	await add('d38-2', "tags.env = 'agent'", base({}, { worker: { [BARE]: { speed: 2 } } }), { priority: 2 });
	const { $version, ...patch } = await worker.notification();
	assert.deepEqual(patch, { speed: 2 });
	const agentKey = (await registry.getModule('e38', '$edgeAgent')).responseBody.authentication.symmetricKey.primaryKey;
	const agentClient = Client.fromConnectionString(`HostName=${hub.addr};DeviceId=e38;ModuleId=$edgeAgent;SharedAccessKey=${agentKey}`, Mqtt);
	await agentClient.setOptions({ ca: hub.ca });
	const edgeAgent = await SdkDevice.open(agentClient);
	open.add(edgeAgent);
	const { properties } = await edgeAgent.readTwin();
	await edgeAgent.report({ lastDesiredVersion: properties.desired.$version, lastDesiredStatus: { code: 200 } });
	assert.deepEqual((await get('d38-2')).systemMetrics.results, { targetedCount: 1, appliedCount: 1, reportedSuccessfulCount: 1, reportedFailedCount: 0 });
	await edgeAgent.report({ lastDesiredStatus: { code: 406 } });
	assert.deepEqual((await get('d38-2')).systemMetrics.results, { targetedCount: 1, appliedCount: 1, reportedSuccessfulCount: 0, reportedFailedCount: 1 });
	for (const id of ['d38', 'd38-2']) await registry.removeConfiguration(id);
});

test('J-29 J-31 J-32 J-57 deployments that are refused; etags; content never changes', async () => {
	const refused = async (modulesContent, name) => {
		const error = await rejection(registry.addConfiguration(deployment('bad', '', modulesContent)));
		assert.equal(error.response.statusCode, 400);
		assert.match(JSON.parse(error.responseBody).Message, new RegExp(`^ErrorCode:${name};`));
	};
	await refused({ $edgeAgent: { [BARE]: agent() } }, 'InvalidConfigurationContent');
	await refused({ m: { [BARE]: { a: 1 }, 'properties.desired.a': 2 } }, 'InvalidConfigurationContent');
	await refused({ m: { 'properties.reported': { a: 1 } } }, 'InvalidConfigurationContent');
	await refused({ 'm m': { [BARE]: { a: 1 } } }, 'InvalidConfigurationContent');
	await refused({ m: [] }, 'InvalidConfigurationContent');
	const made = await add('d29', '', base());
	assert.equal((await rejection(registry.addConfiguration(deployment('d29', '', base())))).response.statusCode, 409);
	const updated = (await registry.updateConfiguration({ ...made, priority: 3 })).responseBody;
	assert.deepEqual([updated.priority, updated.etag], [3, 'Mg==']);
	const other = await hub.rest('PUT', '/configurations/d29', { body: { ...updated, content: { modulesContent: base({ more: {} }) } }, headers: { 'If-Match': '*' } });
	assert.match(other.body.Message, /^ErrorCode:CannotModifyImmutableConfigurationContent;/);
	await registry.removeConfiguration('d29');
});

test('J-42 over a restart deployments hold, for devices made before and after', async () => {
	await add('d42', '*', base({}, { m: { [BARE]: { a: 1 } } }));
	await edge('e42');
	assert.deepEqual(await desired('e42', 'm'), { a: 1 }, 'in the commit that made the device');
	await hub.restart();
	await edge('e42-2');
	assert.deepEqual(await desired('e42-2', 'm'), { a: 1 });
	const { $version } = (await twin('e42', 'm')).properties.desired;
	assert.equal($version, 2, 'what is in line is not written again');
	await registry.delete('e42');
	await registry.removeConfiguration('d42');
	await becomes(() => desired('e42-2', 'm'), {}, 'desired of m');
});
