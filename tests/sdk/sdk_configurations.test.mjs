// Automatic configurations through both SDKs: the back end says what a target has, the devices hear of it.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { startHub, stopAll, until } from '../lib/hub.mjs';
import { desire, registryOf, rejection, sdkDevice, twinOf } from '../lib/sdk.mjs';

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

async function device(id, tags) {
	await registry.create({ deviceId: id });
	if (tags) await registry.updateTwin(id, { tags }, '*');
}

async function client(id) {
	const d = await sdkDevice(hub, id);
	open.add(d);
	return d;
}

function configuration(id, targetCondition, deviceContent, more = {}) {
	return { id, content: { deviceContent }, targetCondition, priority: 1, ...more };
}

async function add(...args) { return (await registry.addConfiguration(configuration(...args))).responseBody; }
async function get(id) { return (await registry.getConfiguration(id)).responseBody; }
async function remove(id) { await registry.removeConfiguration(id); }

async function desired(id) {
	const { $metadata, $version, ...rest } = (await twinOf(registry, id)).properties.desired;
	return rest;
}

// Rows that exist already are brought in line soon, not within the answer.
function becomes(id, want) {
	return until(async () => {
		try {
			assert.deepEqual(await desired(id), want);
			return true;
		} catch {
			return false;
		}
	}, `desired of ${id} becomes ${JSON.stringify(want)}`);
}

test('R-84 R-88 R-90 a configuration is made, read and listed as it was sent', async () => {
	const content = { deviceContent: { 'properties.desired.chiller-water': { temperature: 66, list: [1, 'x', { a: 2 }] } } };
	const sent = { id: 'r84', schemaVersion: '1.0', labels: { app: 'Mongo' }, content, targetCondition: "tags.r84 = 'yes'", priority: 20,
		metrics: { queries: { waiting: "select deviceId from devices where tags.r84 = 'yes'" } } };
	const made = (await registry.addConfiguration(sent)).responseBody;
	assert.equal(made.etag, 'MQ==');
	assert.deepEqual(made.content, content);
	assert.deepEqual(made.systemMetrics.results, { targetedCount: 0, appliedCount: 0 });
	const read = await get('r84');
	assert.deepEqual(read.content, content);
	assert.deepEqual(read.labels, { app: 'Mongo' });
	assert.equal(read.priority, 20);
	assert.equal(read.targetCondition, "tags.r84 = 'yes'");
	assert.deepEqual(read.metrics, { results: { waiting: 0 }, queries: sent.metrics.queries });
	assert.match(read.createdTimeUtc, /^\d{4}-\d\d-\d\dT.*Z$/);
	assert.deepEqual((await registry.getConfigurations()).responseBody.map((c) => c.id), ['r84']);
	for (const path of ['/configurations?top=20', '/configurations/?top=20'])
		assert.equal((await hub.rest('GET', path)).body.length, 1);
	await remove('r84');
	const gone = await hub.rest('GET', '/configurations/r84');
	assert.equal(gone.status, 404);
	assert.match(gone.body.Message, /^ErrorCode:ConfigurationNotFound;/);
});

test('R-85 R-86 R-87 R-89 J-29 update, etags, immutable content, delete', async () => {
	await add('r86', '', { 'properties.desired.a': 1 });
	assert.equal((await hub.rest('PUT', '/configurations/r86', { body: { ...configuration('r86', '', { 'properties.desired.a': 1 }), etag: '*' } })).status, 409);
	// as the answer of GET is sent back by those who do not know of the header
	const again = await hub.rest('PUT', '/configurations/r86', { body: (await hub.rest('GET', '/configurations/r86')).body });
	assert.equal(again.body.Message, 'ErrorCode:ConfigurationAlreadyExists;Conflict: the configuration r86 exists, and to change it the header If-Match is missing (its etag in quotes, or *)');
	const read = await get('r86');
	read.priority = 7;
	const updated = (await registry.updateConfiguration(read)).responseBody;
	assert.equal(updated.etag, 'Mg==');
	assert.equal(updated.priority, 7);
	assert.equal((await hub.rest('PUT', '/configurations/r86', { body: read, headers: { 'If-Match': '"MQ=="' } })).status, 412);
	const other = await hub.rest('PUT', '/configurations/r86',
		{ body: { ...updated, content: { deviceContent: { 'properties.desired.a': 2 } } }, headers: { 'If-Match': '*' } });
	assert.equal(other.status, 400);
	assert.match(other.body.Message, /CannotModifyImmutableConfigurationContent/);
	assert.equal((await hub.rest('PUT', '/configurations/unknown', { body: read, headers: { 'If-Match': '*' } })).status, 404);
	assert.equal((await hub.rest('DELETE', '/configurations/r86')).status, 204);
	assert.equal((await hub.rest('DELETE', '/configurations/r86')).status, 404);
});

test('R-91 J-30 testQueries tells what is wrong and changes nothing', async () => {
	const ask = async (body) => (await hub.rest('POST', '/configurations/testQueries', { body })).body;
	assert.deepEqual(await ask({ targetCondition: "tags.a = 'b'", customMetricQueries: { good: 'select deviceId from devices' } }),
		{ targetConditionError: null, customMetricQueryErrors: {} });
	const bad = await ask({ targetCondition: 'tags.a =', customMetricQueries: { good: 'select deviceId from devices', bad: 'select from' } });
	assert.match(bad.targetConditionError, /Line 1/);
	assert.deepEqual(Object.keys(bad.customMetricQueryErrors), ['bad']);
});

test('J-31 rights: reading with registryRead, writing not', async () => {
	assert.equal((await hub.rest('GET', '/configurations', { policy: 'registryRead' })).status, 200);
	assert.equal((await hub.rest('PUT', '/configurations/x', { policy: 'registryRead', body: {} })).status, 401);
	assert.equal((await hub.rest('GET', '/configurations', { policy: 'device' })).status, 401);
});

test('R-92 J-58 applyConfigurationContent writes the modules of an edge device, all or none', async () => {
	await device('leaf');
	const content = { modulesContent: {
		$edgeAgent: { 'properties.desired': { schemaVersion: '1.1' } },
		filter: { 'properties.desired.limits': { high: 9 }, 'properties.desired.on': true } } };
	assert.equal((await rejection(registry.applyConfigurationContentOnDevice('nobody', content))).name, 'DeviceNotFoundError');
	const apply = (id, body) => hub.rest('POST', `/devices/${id}/applyConfigurationContent`, { body });
	const answer = await apply('leaf', content);
	assert.equal(answer.status, 400);
	assert.match(answer.body.Message, /InvalidConfigurationContent/);
	await registry.create({ deviceId: 'edge', capabilities: { iotEdge: true } });
	await registry.updateModuleTwin('edge', '$edgeAgent', { properties: { desired: { old: 1 } } }, '*');
	assert.equal((await apply('edge', { deviceContent: { 'properties.desired.a': 1 } })).status, 400);
	assert.equal((await apply('edge', { modulesContent: { ...content.modulesContent, bad: { 'tags.a': 1 } } })).status, 400);
	const module = async (id) => (await registry.getModuleTwin('edge', id)).responseBody.properties.desired;
	assert.equal((await module('$edgeAgent')).old, 1);
	await registry.applyConfigurationContentOnDevice('edge', content);
	assert.equal((await apply('edge', content)).status, 204);
	const { $metadata, ...agent } = await module('$edgeAgent');
	assert.deepEqual(agent, { schemaVersion: '1.1', $version: 4 });
	const filter = await module('filter');
	assert.deepEqual(filter.limits, { high: 9 });
	assert.equal(filter.on, true);
	assert.equal((await hub.rest('GET', '/devices/edge/modules/filter')).body.managedBy, 'IotEdge');
});

test('R-92 applyConfigurationContent is taken wrapped, too', async () => {
	await registry.create({ deviceId: 'wrapped', capabilities: { iotEdge: true } });
	const modulesContent = { $edgeAgent: { 'properties.desired': { a: 1 } }, $edgeHub: { 'properties.desired': { b: 2 } } };
	for (const body of [{ content: { modulesContent } }, { modulesContent }]) {
		const answer = await hub.rest('POST', '/devices/wrapped/applyConfigurationContent', { body });
		assert.equal(answer.status, 204, answer.text);
	}
	assert.deepEqual((await hub.rest('GET', '/twins/wrapped/modules/$edgeHub')).body.properties.desired.b, 2);
	assert.equal((await hub.rest('POST', '/devices/wrapped/applyConfigurationContent', { body: { content: { a: 1 } } })).status, 400);
	// "Failed To Set Modules Forbidden", as the portal says it
	const large = await hub.rest('POST', '/devices/wrapped/applyConfigurationContent',
		{ body: { modulesContent: { $edgeAgent: { 'properties.desired': Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`k${i}`, 'x'.repeat(4000)])) } } } });
	assert.deepEqual([large.status, large.headers['iothub-errorcode']], [403, 'DeviceModelMaxPropertiesExceeded']);
	assert.match(large.body.Message, /over the limit of 32768: properties\.desired/);
});

test('R-93 T-68 T-30 Q-58 J-40 J-41 J-56 a matching device is told, its twin shows who wrote, the metrics count it', async () => {
	await device('r93', { room: 'r93' });
	const d = await client('r93');
	await d.listen();
	await add('r93', "tags.room = 'r93'", { 'properties.desired.fan': { speed: 3 } }, { metrics: { queries: {
		applied: "select deviceId from devices where configurations.[[r93]].status = 'Applied'", rooms: 'select tags.room, count() as n from devices group by tags.room' } } });
	assert.deepEqual(await d.notification(), { fan: { speed: 3 }, $version: 2 });
	const twin = await twinOf(registry, 'r93');
	assert.deepEqual(twin.configurations, { r93: { status: 'Applied' } });
	const entry = twin.properties.desired.$metadata.fan.speed;
	assert.equal(entry.$lastUpdatedBy, 'r93');
	assert.match(entry.$lastUpdatedByDigest, /^6\d{17}$/);
	const shown = await get('r93');
	assert.deepEqual(shown.systemMetrics.results, { targetedCount: 1, appliedCount: 1 });
	assert.equal(shown.metrics.results.applied, 1);
	assert.ok(shown.metrics.results.rooms >= 1);
	await registry.create({ deviceId: 'j56' });
	await registry.updateTwin('j56', { tags: { room: 'r93' } }, '*');
	assert.equal((await get('r93')).systemMetrics.results.appliedCount, 2);
	await registry.delete('j56');
	assert.equal((await get('r93')).systemMetrics.results.appliedCount, 1);
	await remove('r93');
	assert.deepEqual(await d.notification(), { fan: null, $version: 3 });
	assert.equal('configurations' in await twinOf(registry, 'r93'), false);
});

test('T-07a a new device has its configuration before its first GET', async () => {
	await add('t07a', "deviceId = 't07a'", { 'properties.desired.first': true });
	await registry.create({ deviceId: 't07a' });
	const d = await client('t07a');
	const twin = await d.readTwin();
	assert.equal(twin.properties.desired.first, true);
	assert.equal(twin.properties.desired.$version, 2);
	await remove('t07a');
});

test('R-94 J-43 J-52 the test vector: priorities, layers, a change by hand, leaving, no target', async () => {
	await device('v1', { env: 't' });
	const d = await client('v1');
	await d.listen();
	const notified = async (want) => assert.deepEqual(await d.notification(JSON.stringify(want)), want);
	const states = async (want) => assert.deepEqual(Object.fromEntries(Object.entries((await twinOf(registry, 'v1')).configurations ?? {})
		.map(([id, { status }]) => [id, status])), want);
	await add('v-a', "tags.env = 't'", { 'properties.desired.cfg': { a: 1 } }, { priority: 1 });
	await notified({ cfg: { a: 1 }, $version: 2 });
	let twin = await twinOf(registry, 'v1');
	assert.equal(twin.version, 5);
	assert.equal(twin.etag, 'AAAAAAAAAAQ=');
	await add('v-c', 'is_defined(tags.env)', { 'properties.desired.other': 7 }, { priority: 0 });
	await notified({ other: 7, $version: 3 });
	await add('v-b', "tags.env = 't'", { 'properties.desired.cfg': { a: 2 } }, { priority: 5 });
	await notified({ cfg: { a: 2 }, $version: 4 });
	await states({ 'v-a': 'Targeted', 'v-b': 'Applied', 'v-c': 'Applied' });
	await desire(registry, 'v1', { cfg: { a: 9 } });
	await notified({ cfg: { a: 9 }, $version: 5 });
	await notified({ cfg: { a: 2 }, $version: 6 });
	await remove('v-b');
	await notified({ cfg: { a: 1 }, $version: 7 });
	await states({ 'v-a': 'Applied', 'v-c': 'Applied' });
	await registry.updateTwin('v1', { tags: { env: 'p' } }, '*');
	await notified({ cfg: null, $version: 8 });
	await registry.updateConfiguration({ ...await get('v-c'), targetCondition: '' });
	await notified({ other: null, $version: 9 });
	await states({});
	await remove('v-a');
	await remove('v-c');
});

test('J-42 a device that reports itself into a target, and out of it', async () => {
	await device('j42');
	const d = await client('j42');
	await d.listen();
	await add('j42', 'properties.reported.fw < 2', { 'properties.desired.update': 'v2' });
	await d.report({ fw: 1 });
	assert.deepEqual(await d.notification(), { update: 'v2', $version: 2 });
	await d.report({ fw: 2 });
	assert.deepEqual(await d.notification(), { update: null, $version: 3 });
	await remove('j42');
});

test('J-35 Q-57 module twins', async () => {
	await device('j35');
	await registry.addModule({ deviceId: 'j35', moduleId: 'm' });
	await registry.addConfiguration({ id: 'j35', content: { moduleContent: { 'properties.desired.a': 1 } },
		targetCondition: "from devices.modules where moduleId = 'm'" });
	await until(async () => (await registry.getModuleTwin('j35', 'm')).responseBody.properties.desired.a === 1, 'the module has it');
	assert.deepEqual((await get('j35')).systemMetrics.results, { targetedCount: 1, appliedCount: 1 });
	assert.equal('a' in await desired('j35'), false);
	await remove('j35');
});

test('R-95 J-38 the texts of the system metrics are queries that can be asked', async () => {
	await device('r95', { a: 1 });
	await add('r95', "deviceId = 'r95'", { 'properties.desired.x': 1 });
	await becomes('r95', { x: 1 });
	const { queries } = (await get('r95')).systemMetrics;
	for (const text of Object.values(queries)) {
		const answer = await hub.rest('POST', '/devices/query', { body: { query: text } });
		assert.equal(answer.status, 200, text);
		assert.deepEqual(answer.body, [{ deviceId: 'r95' }]);
	}
	await remove('r95');
});

test('L-32 at most 100 configurations', async () => {
	const put = (i) => hub.rest('PUT', `/configurations/l32-${i}`, { body: configuration(`l32-${i}`, '', { 'properties.desired.a': 1 }) });
	for (let i = 0; i < 100; i++) assert.equal((await put(i)).status, 200);
	const over = await put(100);
	assert.equal(over.status, 413);
	assert.match(over.body.Message, /ConfigurationCountLimitExceeded/);
	assert.equal((await registry.getConfigurations()).responseBody.length, 100);
	for (let i = 0; i < 100; i++) await remove(`l32-${i}`);
});

test('J-42 J-54 many devices are brought in line, also over kills in the middle', async () => {
	const ids = Array.from({ length: 500 }, (_, i) => `many${i}`);
	const each = async (run) => {
		const rest = [...ids];
		await Promise.all(Array.from({ length: 8 }, async () => { for (let id; (id = rest.pop());) await run(id); }));
	};
	await each((id) => hub.rest('PUT', `/devices/${id}`, { body: { deviceId: id } }));
	const count = async (condition) => (await hub.rest('POST', '/devices/query', { body: { query: `select count() as n from devices where ${condition}` } })).body[0].n;
	for (let round = 1; round <= 4; round++) {
		await add(`many-${round}`, "startswith(deviceId, 'many')", { 'properties.desired.round': round }, { priority: round });
		await hub.kill();
		await hub.start();
		await until(async () => await count(`properties.desired.round = ${round}`) === 500, `all are at round ${round}`);
		assert.deepEqual((await get(`many-${round}`)).systemMetrics.results, { targetedCount: 500, appliedCount: 500 });
	}
	const twin = await twinOf(registry, 'many7');
	assert.equal(twin.properties.desired.$version, 5);
	for (let round = 1; round <= 4; round++) await remove(`many-${round}`);
	await hub.kill();
	await hub.start();
	await until(async () => await count('is_defined(properties.desired.round)') === 0, 'nothing is left');
	assert.equal(await count('is_defined(configurations)'), 0);
	assert.equal((await registry.getConfigurations()).responseBody.length, 0);
});

test('J-36 a configuration that changes its own target is counted where an operator sees it', async () => {
	const count = async () => (await hub.rest('GET', '/statistics/configurations')).body.configurationLoopCount;
	await device('j36', { j36: true });
	const before = await count();
	await add('j36', 'tags.j36 = true AND NOT IS_DEFINED(properties.desired.loop)', { 'properties.desired.loop': 1 });
	await until(async () => (await count()) > before, 'the loop is counted');
	await remove('j36');
	await becomes('j36', {});
});
