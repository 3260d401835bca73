// Dry runs of configurations over REST and on the command line: what is foretold comes true, and nothing happens before.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { startHub, stopAll, tempDir, until } from '../lib/hub.mjs';
import { commands } from '../cli/lib.mjs';

const COUNT = 25;
let hub;

before(async () => {
	hub = await startHub();
	for (let i = 0; i < COUNT; i++) {
		await hub.createDevice(`dry-${i}`);
		await hub.rest('PATCH', `/twins/dry-${i}`, { body: { tags: { odd: i % 2 === 1 }, properties: { desired: { own: i } } } });
	}
});
after(() => stopAll(hub));

const configuration = (targetCondition, value, more = {}) => ({ content: { deviceContent: { 'properties.desired.dry': value } }, targetCondition, priority: 1, ...more });
const dry = (id, body, { params = '', ...more } = {}) => hub.rest(more.method ?? 'PUT', `/configurations/${id}?dryRun=true${params}`, { body, headers: more.headers });
const twins = async () => (await hub.rest('POST', '/devices/query', { body: { query: 'SELECT * FROM devices' }, headers: { 'x-ms-max-item-count': '1000' } })).body;

async function put(id, body, headers) {
	const answer = await hub.rest('PUT', `/configurations/${id}`, { body, headers });
	assert.equal(answer.status, 200, JSON.stringify(answer.body));
}

// A twin without the times of the change.
function timeless(twin) {
	const { properties: { desired: { $metadata, ...desired }, reported }, connectionState, lastActivityTime, ...rest } = twin;
	return { ...rest, desired, reported };
}

test('J-61 J-62 counts, devices, patches and twins are what the change then makes; nothing is changed', async () => {
	const before = await twins();
	const { status, body } = await dry('j61', configuration('tags.odd = true', { on: true }), { params: '&sample=100' });
	assert.equal(status, 200);
	const odd = before.filter((t) => t.tags?.odd).map((t) => t.deviceId);
	assert.deepEqual({ ...body, devices: null, sample: null }, { targetedCount: 12, changedCount: 12, changedTwinCount: 12, changedDesiredCount: 12, devices: null, sample: null });
	assert.deepEqual(body.devices.map((d) => d.deviceId).sort(), odd.sort());
	assert.ok(body.devices.every((d) => d.targeted === true));
	assert.ok(body.sample.every((s) => JSON.stringify(s.patch) === '{"dry":{"on":true}}'));
	assert.deepEqual(await twins(), before);
	assert.equal((await hub.rest('GET', '/configurations/j61')).status, 404);
	await put('j61', configuration('tags.odd = true', { on: true }));
	for (const { deviceId, twin } of body.sample) {
		const now = await until(async () => {
			const t = (await hub.rest('GET', `/twins/${deviceId}`)).body;
			return t.configurations ? t : null;
		}, `${deviceId} has the configuration`);
		assert.deepEqual(timeless(now), timeless(twin));
	}
	// with a rollout: what is in the end
	const waves = [{ count: 1 }, { percent: 100 }];
	const rolled = await dry('j61-waves', configuration('tags.odd = true', { on: false }, { priority: 2, rollout: { waves } }));
	assert.deepEqual([rolled.status, rolled.body.changedCount], [200, 12]);
	// who leaves the target is not targeted, and changes
	const update = await dry('j61', { ...configuration('tags.odd = false', { on: true }) }, { headers: { 'If-Match': '*' } });
	assert.deepEqual([update.body.targetedCount, update.body.changedCount], [13, 25]);
	const leaving = update.body.devices.filter((d) => !d.targeted).map((d) => d.deviceId);
	assert.deepEqual(leaving.sort(), odd.sort());
	assert.equal(update.body.sample.length, 10);
	for (const s of update.body.sample) assert.deepEqual(s.patch, leaving.includes(s.deviceId) ? { dry: null } : { dry: { on: true } });
	await hub.rest('DELETE', '/configurations/j61');
});

test('J-63 pages: the first one counts, a token goes on, and is of one question only', async () => {
	const body = configuration('*', 1);
	const seen = [];
	let token, pages = 0;
	do {
		const answer = await dry('j63', body, { headers: { 'x-ms-max-item-count': '10', ...(token ? { 'x-ms-continuation': token } : {}) } });
		assert.equal(answer.status, 200, JSON.stringify(answer.body));
		assert.equal('targetedCount' in answer.body, token === undefined);
		assert.equal('sample' in answer.body, token === undefined);
		if (token === undefined) assert.equal(answer.body.changedCount, COUNT);
		seen.push(...answer.body.devices.map((d) => d.deviceId));
		token = answer.headers['x-ms-continuation'];
		pages++;
		if (token && pages === 1) {
			const other = await dry('j63', configuration('*', 2), { headers: { 'x-ms-continuation': token } });
			assert.match(other.body.Message, /^ErrorCode:ArgumentInvalid;/);
		}
	} while (token);
	assert.equal(pages, 3);
	assert.deepEqual(seen.sort(), Array.from({ length: COUNT }, (_, i) => `dry-${i}`).sort());
	const all = await dry('j63', body, { headers: { 'x-ms-max-item-count': String(COUNT) } });
	assert.equal(all.headers['x-ms-continuation'], undefined, 'a full last page carries no token');
});

test('J-61 refused as the change would be; parameters; POST', async () => {
	await put('j64', configuration('', 1));
	const refused = async (answer, status, name) => {
		const { status: got, body } = await answer;
		assert.equal(got, status);
		assert.match(body.Message, new RegExp(`^ErrorCode:${name};`));
	};
	await refused(dry('j64', configuration('*', 1)), 409, 'ConfigurationAlreadyExists');
	await refused(dry('j64', configuration('*', 2), { headers: { 'If-Match': '*' } }), 400, 'CannotModifyImmutableConfigurationContent');
	await refused(dry('j64', configuration('*', 1), { headers: { 'If-Match': '"x"' } }), 412, 'PreconditionFailed');
	await refused(dry('j65', configuration('*', 1), { headers: { 'If-Match': '*' } }), 404, 'ConfigurationNotFound');
	await refused(dry('j65', configuration('tags.', 1)), 400, 'InvalidConfigurationTargetCondition');
	await refused(dry('J65', configuration('*', 1)), 400, 'ArgumentInvalid');
	await refused(dry('j65', { targetCondition: '*' }), 400, 'InvalidConfigurationContent');
	for (const sample of ['101', '-1', 'x', '99999999999999999999999'])
		await refused(dry('j65', configuration('*', 1), { params: `&sample=${sample}` }), 400, 'ArgumentInvalid');
	await refused(hub.rest('PUT', '/configurations/j65?dryRun=perhaps', { body: configuration('*', 1) }), 400, 'ArgumentInvalid');
	await refused(hub.rest('POST', '/configurations/j65', { body: configuration('*', 1) }), 405, 'GenericMethodNotAllowed');
	await refused(dry('j65', configuration('*', 1), { headers: { 'x-ms-continuation': 'x' } }), 400, 'ArgumentInvalid');
	assert.equal((await dry('j65', configuration('*', 1), { params: '&sample=' })).status, 200, 'an empty parameter is none');
	const posted = await dry('j65', configuration('*', 1), { method: 'POST', params: '&sample=3' });
	assert.deepEqual([posted.status, posted.body.changedCount, posted.body.sample.length], [200, COUNT, 3]);
	assert.deepEqual((await dry('j65', configuration('*', 1), { params: '&sample=0' })).body.sample, []);
	assert.equal((await hub.rest('PUT', '/configurations/j65?dryRun=false', { body: configuration('', 1) })).status, 200);
	for (const id of ['j64', 'j65']) await hub.rest('DELETE', `/configurations/${id}`);
});

test('J-62 a deployment: the modules of each device, those that would be made too', async () => {
	await hub.rest('PUT', '/devices/dry-edge', { body: { deviceId: 'dry-edge', capabilities: { iotEdge: true } } });
	const content = { modulesContent: { $edgeAgent: { 'properties.desired': { v: 1 } }, $edgeHub: { 'properties.desired': {} }, m: { 'properties.desired': { x: 1 } } } };
	const { body } = await dry('j62', { content, targetCondition: '*' });
	assert.deepEqual({ ...body, sample: null }, { targetedCount: 1, changedCount: 1, changedTwinCount: 2, changedDesiredCount: 2,
		devices: [{ deviceId: 'dry-edge', targeted: true, modules: ['m', '$edgeAgent'] }], sample: null });
	assert.deepEqual(body.sample[0], { deviceId: 'dry-edge', moduleId: 'm', created: true, patch: { x: 1 } });
	assert.deepEqual(body.sample[1].twin.configurations, { j62: { status: 'Applied' } });
	assert.equal((await hub.rest('GET', '/twins/dry-edge/modules/m')).status, 404);
	await hub.rest('DELETE', '/devices/dry-edge');
});

test('configuration create and update --dry-run', async () => {
	const cli = commands(hub);
	const file = path.join(tempDir('dry'), 'c.json');
	fs.writeFileSync(file, JSON.stringify(configuration('tags.odd = true', 7)));
	const answer = await cli(['configuration', 'create', 'cli-dry', '--file', file, '--dry-run']);
	assert.deepEqual([answer.changedCount, answer.devices.length, answer.sample.length], [12, 12, 10]);
	const table = await cli(['configuration', 'create', 'cli-dry', '--file', file, '--dry-run', '--table']);
	assert.match(table, /^targetedCount +12$/m);
	assert.match(table, /^dry-\d+ +\{"dry":7\}$/m);
	assert.equal((await hub.rest('GET', '/configurations/cli-dry')).status, 404);
	const made = await hub.cli(['configuration', 'create', 'cli-dry', '--file', file, '--condition', '']);
	assert.equal(made.code, 0, made.stderr);
	assert.match(made.stderr, /without a condition nothing has it/);
	const update = await cli(['configuration', 'update', 'cli-dry', '--condition', '*', '--dry-run']);
	assert.equal(update.changedCount, COUNT);
	assert.equal((await hub.rest('GET', '/configurations/cli-dry')).body.targetCondition, '');
	await hub.rest('DELETE', '/configurations/cli-dry');
});
