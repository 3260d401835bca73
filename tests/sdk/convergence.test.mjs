// Which desired properties a device has not made its own yet: of one twin, of a module, of the fleet, on the command line.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { startHub, stopAll } from '../lib/hub.mjs';
import { desire, registryOf, sdkDevice } from '../lib/sdk.mjs';
import { commands } from '../cli/lib.mjs';

let hub, registry, strict;
const open = new Set();

before(async () => {
	hub = await startHub();
	registry = await registryOf(hub);
	strict = await startHub({ args: ['--strict-queries'] });
});
after(async () => {
	for (const d of open) await d.close().catch(() => {});
	await stopAll(hub, strict);
});

async function device(id) {
	const d = await sdkDevice(hub, id);
	open.add(d);
	await d.readTwin();
	return d;
}

async function convergence(path) {
	const answer = await hub.rest('GET', `/twins/${path}/convergence`);
	assert.equal(answer.status, 200);
	return answer.body;
}

async function count(condition) {
	const { status, body } = await hub.rest('POST', '/devices/query', { body: { query: `SELECT COUNT() AS n FROM devices WHERE ${condition}` } });
	assert.equal(status, 200, JSON.stringify(body));
	return body[0].n;
}

test('T-117 T-118 T-120 pending until the device reports it, or acknowledges this very write', async () => {
	const d = await device('conv-1');
	assert.deepEqual(await convergence('conv-1'), { deviceId: 'conv-1', converged: true, desiredVersion: 1, reportedVersion: 1, pendingCount: 0, truncated: false, pending: [] });
	await desire(registry, 'conv-1', { telemetryConfig: { interval: '5m', 'x-mode': 1 }, target: 21, list: [1, 2] });
	await d.report({ telemetryConfig: { interval: '5m' }, target: { value: 21, ac: 202, av: 1, ad: 'heating' }, list: [1] });
	assert.deepEqual(await convergence('conv-1'), { deviceId: 'conv-1', converged: false, desiredVersion: 2, reportedVersion: 2, pendingCount: 3, truncated: false,
		pending: [{ path: 'properties.desired.telemetryConfig.[[x-mode]]', desired: 1 },
			{ path: 'properties.desired.target', desired: 21, reported: 21, ack: { status: 202, version: 1, description: 'heating' } },
			{ path: 'properties.desired.list', desired: [1, 2], reported: [1] }] });
	await d.report({ telemetryConfig: { 'x-mode': 1.0 }, target: { av: 2, ac: 200 }, list: [1, 2] });
	assert.equal((await convergence('conv-1')).converged, true);
	await desire(registry, 'conv-1', { target: 21 });
	assert.deepEqual((await convergence('conv-1')).pending, [{ path: 'properties.desired.target', desired: 21, reported: 21, ack: { status: 200, version: 2, description: 'heating' } }]);
	await d.report({ target: { av: 3 } });
	assert.equal((await convergence('conv-1')).converged, true);
});

test('T-120 of a module; of nobody 404; the list is bounded', async () => {
	await hub.createDevice('conv-2');
	await hub.rest('PUT', '/devices/conv-2/modules/m', { body: { deviceId: 'conv-2', moduleId: 'm' } });
	await hub.rest('PATCH', '/twins/conv-2/modules/m', { body: { properties: { desired: { a: 1 } } } });
	assert.deepEqual(await convergence('conv-2/modules/m'), { deviceId: 'conv-2', moduleId: 'm', converged: false, desiredVersion: 2, reportedVersion: 1, pendingCount: 1,
		truncated: false, pending: [{ path: 'properties.desired.a', desired: 1 }] });
	assert.equal((await convergence('conv-2')).converged, true);
	assert.equal((await hub.rest('GET', '/twins/nobody/convergence')).status, 404);
	assert.equal((await hub.rest('POST', '/twins/conv-2/convergence', { body: {} })).status, 405);
	await hub.rest('PATCH', '/twins/conv-2', { body: { properties: { desired: Object.fromEntries(Array.from({ length: 1500 }, (_, i) => [`k${i}`, i])) } } });
	const many = await convergence('conv-2');
	assert.deepEqual([many.pendingCount, many.pending.length, many.truncated], [1500, 1000, true]);
	await hub.rest('PATCH', '/twins/conv-2', { body: { properties: { desired: null } } });
});

test('Q-89 IS_CONVERGED in queries: what every acknowledged write has made of it, from columns too', async () => {
	const devices = await Promise.all(Array.from({ length: 12 }, (_, i) => device(`conv-q${i}`)));
	const pending = new Set();
	const all = await count("STARTSWITH(deviceId, 'conv-q')");
	for (let turn = 0; turn < 40; turn++) { // by documents first, then by columns as they change
		const i = (turn * 7) % devices.length, id = `conv-q${i}`;
		if (turn % 3 < 2) {
			await desire(registry, id, { speed: turn });
			pending.add(id);
		} else {
			const behind = [...pending][0];
			const { speed } = (await hub.rest('GET', `/twins/${behind}`)).body.properties.desired;
			await devices[Number(behind.slice(6))].report({ speed });
			pending.delete(behind);
		}
		assert.equal(await count("NOT IS_CONVERGED() AND STARTSWITH(deviceId, 'conv-q')"), pending.size, `turn ${turn}`);
		assert.equal(await count("NOT IS_CONVERGED(properties.desired.speed) AND STARTSWITH(deviceId, 'conv-q')"), pending.size, `turn ${turn}`);
	}
	assert.equal(await count("IS_CONVERGED() AND STARTSWITH(deviceId, 'conv-q')"), all - pending.size);
	await hub.restart();
	assert.equal(await count('NOT IS_CONVERGED(properties.desired.speed)'), pending.size);
});

test('Q-89 with --strict-queries, and in conditions of configurations, it is refused', async () => {
	const query = 'SELECT * FROM devices WHERE NOT IS_CONVERGED()';
	const { status, body } = await strict.rest('POST', '/devices/query', { body: { query } });
	assert.equal(status, 400);
	assert.match(body.Message, /^ErrorCode:ArgumentInvalid;.*no function 'IS_CONVERGED'/);
	const put = await hub.rest('PUT', '/configurations/q89', { body: { id: 'q89', content: { deviceContent: { 'properties.desired.a': 1 } }, targetCondition: 'IS_CONVERGED()' } });
	assert.equal(put.status, 400);
	assert.match(put.body.Message, /^ErrorCode:InvalidConfigurationTargetCondition;/);
});

test('twin convergence: JSON for programs, lines and a table for people', async () => {
	const cli = commands(hub);
	await hub.createDevice('conv-cli');
	await hub.rest('PATCH', '/twins/conv-cli', { body: { properties: { desired: { a: { b: 'x' } } } } });
	assert.deepEqual((await cli(['twin', 'convergence', 'conv-cli'])).pending, [{ path: 'properties.desired.a.b', desired: 'x' }]);
	const table = await cli(['twin', 'convergence', 'conv-cli', '--table']);
	assert.match(table, /^converged +false$/m);
	assert.match(table, /^path +desired\nproperties\.desired\.a\.b +x\n\n1 row\n$/m);
	await hub.rest('PATCH', '/twins/conv-cli', { body: { properties: { desired: { a: null } } } });
	assert.ok(!(await cli(['twin', 'convergence', 'conv-cli', '--table'])).includes('path'));
	assert.match(await cli(['twin', 'convergence', 'nobody'], { code: 4 }), /nobody/);
});
