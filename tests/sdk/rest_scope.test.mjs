// What the runtime of an edge device asks the hub: who is in its scope (service-rest.md 3.7), as IoT Edge's EdgeHub sends it.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { sasToken, startHub, stopAll } from '../lib/hub.mjs';

const API = '2018-08-30-preview';
const EDGE = "Edge'1";
const at = `/devices/${encodeURIComponent(EDGE)}/modules/%24edgeHub`;
let hub, edge, edgeHub;

before(async () => {
	hub = await startHub({ args: ['--workers', '2'] });
	edge = await hub.createDevice(EDGE, { capabilities: { iotEdge: true } });
	const other = await hub.createDevice('other', { capabilities: { iotEdge: true } });
	edgeHub = (await hub.rest('GET', at)).body.authentication.symmetricKey.primaryKey;
	for (let i = 0; i < 25; i++) await hub.createDevice(`leaf${i}`, { deviceScope: edge.deviceScope });
	for (const m of ['m1', 'm2']) await hub.rest('PUT', `/devices/leaf3/modules/${m}`, { body: { deviceId: 'leaf3', moduleId: m } });
	await hub.createDevice('stranger', { deviceScope: other.deviceScope });
	await hub.createDevice('alone');
	await hub.createDevice('child', { capabilities: { iotEdge: true }, parentScopes: [edge.deviceScope] });
});
after(() => stopAll(hub));

// The Edge runtime's token: its own module's key, everything in small letters.
const token = () => sasToken({ sr: encodeURIComponent(`${hub.addr}/devices/${EDGE}/modules/$edgeHub`.toLowerCase()).toLowerCase(), key: edgeHub });
const ask = (target, { method = 'GET', ...options } = {}) => hub.rest(method, target, { token: token(), apiVersion: null, ...options });
const listed = (query = `?deviceCount=100&continuationToken=&api-version=${API}`) => ask(`${at}/devicesAndModulesInDeviceScope${query}`);
const ids = (list) => list.map((d) => d.moduleId ? `${d.deviceId}/${d.moduleId}` : d.deviceId).sort();

test('R-111 D-80 all in scope: the edge device, its leaves, their modules, with keys; three members always', async () => {
	const answer = await listed();
	assert.equal(answer.status, 200, answer.text);
	assert.deepEqual(Object.keys(answer.body), ['devices', 'modules', 'continuationLink']);
	assert.equal(answer.body.continuationLink, null);
	assert.deepEqual(ids(answer.body.devices), [EDGE, ...Array.from({ length: 25 }, (_, i) => `leaf${i}`)].sort());
	assert.deepEqual(ids(answer.body.modules), [`${EDGE}/$edgeAgent`, `${EDGE}/$edgeHub`, 'leaf3/m1', 'leaf3/m2'].sort());
	const leaf = answer.body.devices.find((d) => d.deviceId === 'leaf3');
	assert.deepEqual(leaf, (await hub.rest('GET', '/devices/leaf3')).body);
	assert.ok(leaf.authentication.symmetricKey.primaryKey && leaf.generationId && leaf.parentScopes.includes(edge.deviceScope));
});

test('R-111 pages: the link is a path to ask next; everybody comes once', async () => {
	let link = `${at}/devicesAndModulesInDeviceScope?deviceCount=4&continuationToken=&api-version=${API}`;
	const devices = [], modules = [];
	for (let pages = 0; link !== null; pages++) {
		assert.ok(pages < 10);
		const { status, body, text } = await ask(link);
		assert.equal(status, 200, text);
		assert.ok(body.devices.length <= 4);
		devices.push(...body.devices);
		modules.push(...body.modules);
		link = body.continuationLink;
		if (link !== null) assert.match(link, /^\/devices\/.*\/modules\/%24edgeHub\/devicesAndModulesInDeviceScope\?deviceCount=4&continuationToken=.+&api-version=2018-08-30-preview$/);
	}
	assert.equal(new Set(ids(devices)).size, 26);
	assert.equal(devices.length, 26);
	assert.equal(modules.length, 4);
	assert.equal((await ask(`${at.replace('%24', '$')}/devicesAndModulesInDeviceScope?deviceCount=10&continuationToken=&api-version=${API}`)).status, 200, 'as the runtime begins');
	for (const bad of ['deviceCount=0', 'deviceCount=x', 'continuationToken=abc']) assert.equal((await listed(`?${bad}&api-version=${API}`)).status, 400, bad);
	assert.equal((await listed(`?deviceCount=100000&api-version=${API}`)).status, 200);
});

test('R-111 one in scope, with its module; out of scope, or unknown: three empty members', async () => {
	const target = (device, module = '') => ask(`${at}/deviceAndModuleInDeviceScope?targetDeviceId=${encodeURIComponent(device)}&targetModuleId=${module}&api-version=${API}`);
	const leaf = await target('leaf3');
	assert.deepEqual([ids(leaf.body.devices), leaf.body.modules, leaf.body.continuationLink], [['leaf3'], [], null]);
	assert.deepEqual(ids((await target('leaf3', 'm2')).body.modules), ['leaf3/m2']);
	assert.deepEqual(ids((await target(EDGE, '%24edgeAgent')).body.modules), [`${EDGE}/$edgeAgent`]);
	for (const device of ['stranger', 'alone', 'nobody', 'other', 'child'])
		assert.deepEqual((await target(device)).body, { devices: [], modules: [], continuationLink: null }, device);
	assert.equal((await target('')).status, 400);
});

test('R-111 keys of others are for $edgeHub and its device only', async () => {
	await hub.rest('PUT', `/devices/${encodeURIComponent(EDGE)}/modules/mine`, { body: { deviceId: EDGE, moduleId: 'mine' } });
	const mine = (await hub.rest('GET', `/devices/${encodeURIComponent(EDGE)}/modules/mine`)).body.authentication.symmetricKey.primaryKey;
	const list = `${at}/devicesAndModulesInDeviceScope?api-version=${API}`;
	const signed = (resource, key) => sasToken({ resource: `${hub.addr}/devices/${resource}`, key });
	assert.equal((await ask(list, { token: signed(EDGE, edge.authentication.symmetricKey.primaryKey) })).status, 200);
	assert.equal((await ask(list, { token: signed(`${EDGE}/modules/mine`, mine) })).status, 401);
	assert.equal((await ask(list.replace('%24edgeHub', 'mine'), { token: signed(`${EDGE}/modules/mine`, mine) })).status, 404);
	assert.equal((await ask(list, { token: await hub.token({ policy: 'device' }) })).status, 401);
	const leafKey = (await hub.rest('GET', '/devices/leaf1')).body.authentication.symmetricKey.primaryKey;
	assert.equal((await ask(list, { token: signed('leaf1', leafKey) })).status, 401);
	assert.equal((await ask(list.replace(encodeURIComponent(EDGE), 'leaf1'), { token: signed('leaf1', leafKey) })).status, 400, 'no edge device');
});

test('R-112 nested edge is 501, and says so and what to do, to who may know', async () => {
	const chain = 'leaf3;child;' + EDGE;
	for (const [name, body] of [['devicesAndModulesInTargetDeviceScope', { pageSize: 100, continuationLink: '', authChain: chain }],
		['getDeviceAndModuleOnBehalfOf', { targetDeviceId: 'leaf3', targetModuleId: 'm1', authChain: chain }],
		['putModuleOnBehalfOf', { authChain: chain, module: { deviceId: 'child', moduleId: 'm9', managedBy: 'IotEdge' } }],
		['getModuleOnBehalfOf', { authChain: chain, targetModuleId: 'm9' }], ['getModulesOnTargetDevice', { authChain: chain }], ['deleteModuleOnBehalfOf', { authChain: chain, moduleId: 'm9' }]]) {
		const answer = await ask(`${at}/${name}?api-version=2020-06-30-preview`, { method: 'POST', body });
		assert.equal(answer.status, 501, name);
		assert.match(answer.body.Message, /nested edge.*NestedEdgeEnabled=false/);
		assert.equal((await ask(`${at}/${name}?api-version=2020-06-30-preview`, { method: 'POST', body, token: await hub.token({ policy: 'device' }) })).status, 401, name);
	}
	assert.equal((await hub.rest('GET', '/devices/child/modules/m9')).status, 404);
});
