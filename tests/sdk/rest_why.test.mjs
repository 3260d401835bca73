// Why a configuration is not applied, over REST: of its devices, of one twin, and in a dry run.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { startHub, stopAll, until } from '../lib/hub.mjs';

const COUNT = 30;
let hub;

before(async () => {
	hub = await startHub();
	for (let i = 0; i < COUNT; i++) {
		await hub.createDevice(`why-${i}`);
		await hub.rest('PATCH', `/twins/why-${i}`, { body: { tags: { odd: i % 2 === 1 } } });
	}
	await put('low', '*', 1);
	await put('high', 'tags.odd = true', 5);
	await until(async () => (await devices('low', 'applied')).length === COUNT / 2 && (await devices('high', 'applied')).length === COUNT / 2, 'both are applied');
});
after(() => stopAll(hub));

const body = (targetCondition, priority, value = priority) => ({ targetCondition, priority, content: { deviceContent: { 'properties.desired.cfg': value } } });

async function put(id, targetCondition, priority) {
	const answer = await hub.rest('PUT', `/configurations/${id}`, { body: body(targetCondition, priority) });
	assert.equal(answer.status, 200, JSON.stringify(answer.body));
}

async function devices(id, state, headers) {
	const answer = await hub.rest('GET', `/configurations/${id}/devices${state ? `?state=${state}` : ''}`, { headers });
	assert.equal(answer.status, 200, JSON.stringify(answer.body));
	return answer.body;
}

const owned = (id, priority) => ({ reason: 'owned', path: 'properties.desired.cfg', configurationId: id, priority,
	text: `properties.desired.cfg is owned by the configuration '${id}' (priority ${priority})` });

test('J-64 J-65 the devices of a configuration, by state, and what stands in the way', async () => {
	assert.equal((await devices('low')).length, COUNT);
	assert.equal((await devices('low', 'targeted')).length, COUNT);
	assert.equal((await devices('high')).length, COUNT / 2);
	assert.deepEqual(await devices('low', 'notReached'), []);
	const left = await devices('low', 'notApplied');
	assert.equal(left.length, COUNT / 2);
	for (const { deviceId, ...rest } of left) {
		assert.equal(Number(deviceId.slice(4)) % 2, 1);
		assert.deepEqual(rest, { configurationId: 'low', priority: 1, targeted: true, reached: true, applied: false, reasons: [owned('high', 5)] });
	}
});

test('J-64 the devices come in pages, each of them once', async () => {
	const seen = [];
	let token;
	do {
		const answer = await hub.rest('GET', '/configurations/low/devices?state=notApplied', { headers: { 'x-ms-max-item-count': '4', ...(token && { 'x-ms-continuation': token }) } });
		assert.equal(answer.status, 200);
		assert.ok(answer.body.length <= 4);
		seen.push(...answer.body.map((d) => d.deviceId));
		token = answer.headers['x-ms-continuation'];
		if (token) assert.equal((await hub.rest('GET', '/configurations/low/devices', { headers: { 'x-ms-continuation': token } })).status, 400);
	} while (token);
	assert.deepEqual([seen.length, new Set(seen).size], [COUNT / 2, COUNT / 2]);
});

test('J-64 the configurations of a twin, and of a module', async () => {
	const of = async (path) => {
		const { status, body: entries } = await hub.rest('GET', `/twins/${path}/configurations`);
		assert.equal(status, 200);
		return entries.map(({ configurationId, targeted, applied, reasons }) => [configurationId, targeted, applied, reasons.map((r) => r.reason).join()]);
	};
	assert.deepEqual(await of('why-1'), [['high', true, true, ''], ['low', true, false, 'owned']]);
	assert.deepEqual(await of('why-2'), [['high', false, false, 'condition'], ['low', true, true, '']]);
	await hub.rest('PUT', '/devices/why-2/modules/m', { body: { deviceId: 'why-2', moduleId: 'm' } });
	assert.deepEqual(await of('why-2/modules/m'), []);
	assert.equal((await hub.rest('PUT', '/configurations/of-modules', { body: { targetCondition: "from devices.modules where moduleId = 'm'", priority: 1,
		content: { moduleContent: { 'properties.desired.x': 1 } } } })).status, 200);
	await until(async () => (await of('why-2/modules/m'))[0][2], 'the module has it');
	assert.deepEqual((await devices('of-modules')).map(({ deviceId, moduleId, applied }) => [deviceId, moduleId, applied]), [['why-2', 'm', true]]);
});

test('J-64 what is not there, or no state', async () => {
	const get = async (path) => {
		const { status, body: b } = await hub.rest('GET', path);
		return `${status} ${b.Message ?? ''}`;
	};
	assert.match(await get('/configurations/none/devices'), /^404 .*ConfigurationNotFound/);
	assert.match(await get('/twins/none/configurations'), /^404 .*DeviceNotFound/);
	assert.match(await get('/twins/why-1/modules/none/configurations'), /^404 .*ModuleNotFound;why-1\/none/);
	assert.match(await get('/configurations/low/devices?state=sad'), /^400 .*state is 'sad', not targeted, reached, applied, notReached or notApplied/);
});

test('J-62 J-65 a dry run says why in the place of an empty patch', async () => {
	const { status, body: b } = await hub.rest('PUT', '/configurations/lowest?dryRun=true&sample=100', { body: body('tags.odd = true', 0) });
	assert.equal(status, 200);
	assert.deepEqual([b.targetedCount, b.changedDesiredCount, b.sample.length], [COUNT / 2, 0, COUNT / 2]);
	for (const { patch, reasons } of b.sample) assert.deepEqual([patch, reasons], [undefined, [owned('high', 5)]]);
});

test('J-68 a PATCH of a path that a configuration owns is 200, with whose it is', async () => {
	const patch = async (id, desired) => {
		const answer = await hub.rest('PATCH', `/twins/${id}`, { body: { properties: { desired } } });
		assert.equal(answer.status, 200);
		return [answer.body.properties.desired.cfg, answer.headers['x-twinhub-warning']];
	};
	assert.deepEqual(await patch('why-1', { cfg: 9 }), [5, "properties.desired.cfg is owned by the configuration 'high' (priority 5), and its value was put back"]);
	assert.deepEqual(await patch('why-1', { cfg: null }), [5, "properties.desired.cfg is owned by the configuration 'high' (priority 5), and its value was put back"]);
	assert.deepEqual(await patch('why-1', { cfg: 5, own: 1 }), [5, undefined]);
	const digital = await hub.rest('PATCH', '/digitaltwins/why-1', { body: [{ op: 'replace', path: '/cfg', value: 8 }] });
	assert.equal(digital.status, 202);
	assert.match(digital.headers['x-twinhub-warning'], /^properties\.desired\.cfg is owned by the configuration 'high'/);
});
