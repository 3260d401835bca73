// Modules, direct methods and statistics from the command line.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';
import { mqttDevice, onPostgres, startHub, stopAll, tempDir } from '../lib/hub.mjs';
import { Mqtt, SdkDevice, sdkDevice } from '../lib/sdk.mjs';
import { commands } from './lib.mjs';

const { ModuleClient } = createRequire(import.meta.url)('azure-iot-device');
const KEY = 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA';
const PRINT = '0123456789abcdef0123456789ABCDEF01234567';
const open = new Set();
let hub, cli;

before(async () => {
	hub = await startHub();
	cli = commands(hub);
	await hub.createDevice('d1');
});
after(async () => {
	for (const c of open) await c.close().catch(() => {});
	await stopAll(hub);
});

test('module create, show, update, delete', async () => {
	const made = await cli(['module', 'create', 'd1', 'm1']);
	assert.deepEqual([made.deviceId, made.moduleId, made.authentication.type], ['d1', 'm1', 'sas']);
	assert.ok(!('symmetricKey' in made.authentication), 'no secrets');
	assert.match(await cli(['module', 'create', 'd1', 'm1'], { code: 7 }), /ModuleAlreadyExistsOnDevice/);
	assert.match(await cli(['module', 'create', 'nobody', 'm1'], { code: 4 }), /DeviceNotFound/);
	const odd = await cli(['module', 'create', 'd1', 'odd%2F#?:@', '--primary-key', KEY, '--secondary-key', `B${KEY.slice(1)}`]);
	assert.equal(odd.moduleId, 'odd%2F#?:@');
	const shown = await cli(['module', 'show', 'd1', 'odd%2F#?:@']);
	assert.deepEqual(shown.authentication.symmetricKey, { primaryKey: KEY, secondaryKey: `B${KEY.slice(1)}` });
	await hub.rest('PUT', '/devices/d1/modules/managed', { body: { deviceId: 'd1', moduleId: 'managed', managedBy: 'me' } });
	const updated = await cli(['module', 'update', 'd1', 'managed', '--thumbprint', PRINT]);
	assert.deepEqual([updated.authentication.type, updated.managedBy], ['selfSigned', 'me']);
	assert.match(await cli(['module', 'update', 'd1', 'managed', '--x509-ca', '--etag', shown.etag], { code: 7 }), /etag/);
	assert.match(await cli(['module', 'update', 'd1', 'none', '--x509-ca'], { code: 4 }), /ModuleNotFound: d1\/none/);
	await cli(['module', 'delete', 'd1', 'managed', '--etag', updated.etag]);
	await cli(['module', 'delete', 'd1', 'managed'], { code: 4 });
	assert.equal(await cli(['module', 'delete', 'd1', 'odd%2F#?:@', '--table']), 'deleted d1/odd%2F#?:@\n');
	assert.equal((await hub.rest('GET', '/devices/d1')).status, 200);
	for (const wrong of [['create', 'd1'], ['create', 'd1', 'a/b'], ['show', 'd1'], ['list'], ['list', 'd1', 'm1'], ['create', 'd1', 'm2', '--edge']])
		await cli(['module', ...wrong], { code: 2 });
});

test('module list: JSON, a table, CSV, no secrets', async () => {
	await hub.createDevice('listed');
	assert.deepEqual(await cli(['module', 'list', 'listed']), []);
	await cli(['module', 'create', 'listed', 'b', '--x509-ca']);
	await cli(['module', 'create', 'listed', 'a', '--primary-key', KEY, '--secondary-key', KEY]);
	const list = await cli(['module', 'list', 'listed']);
	assert.deepEqual(list.map((m) => [m.moduleId, m.authenticationType, m.connectionState]).sort(),
		[['a', 'sas', 'Disconnected'], ['b', 'certificateAuthority', 'Disconnected']]);
	assert.ok(!JSON.stringify(list).includes(KEY));
	assert.match(await cli(['module', 'list', 'listed', '--table']), /^moduleId .*\n(.*\n){2}\n2 rows\n$/);
	assert.match(await cli(['module', 'list', 'listed', '--csv']), /^moduleId,connectionState,managedBy,lastActivityTime,authenticationType\r\n/);
	await cli(['module', 'list', 'nobody'], { code: 4 });
});

test('twin show, update and replace of a module; the device\'s twin stays', async () => {
	await cli(['module', 'create', 'd1', 'twin']);
	const before = await cli(['twin', 'show', 'd1']);
	const twin = await cli(['twin', 'update', 'd1', '--module', 'twin', '--tags', '{"a":1}', '--desired', '{"b":2}']);
	assert.deepEqual([twin.deviceId, twin.moduleId, twin.tags, twin.properties.desired.b], ['d1', 'twin', { a: 1 }, 2]);
	assert.deepEqual(await cli(['twin', 'show', 'd1', '--module', 'twin']), twin);
	assert.ok(!('tags' in await cli(['twin', 'replace', 'd1', '{"properties":{"desired":{}}}', '--module', 'twin'])));
	assert.deepEqual(await cli(['twin', 'show', 'd1']), before);
	assert.match(await cli(['twin', 'show', 'd1', '--module', 'none'], { code: 4 }), /ModuleNotFound/);
	await cli(['twin', 'show', 'd1', '--module', 'a/b'], { code: 2 });
});

test('a module\'s connection string and token: from the running hub, and from the store', async () => {
	await cli(['module', 'create', 'd1', 'signs', '--primary-key', KEY, '--secondary-key', `B${KEY.slice(1)}`]);
	await cli(['module', 'create', 'd1', 'cert', '--x509-ca']);
	const string = ['connection-string', '--device', 'd1', '--module', 'signs'];
	const running = await cli(string);
	assert.equal(running, `HostName=${hub.addr};DeviceId=d1;ModuleId=signs;SharedAccessKey=${KEY}\n`);
	assert.match(await cli([...string, '--key', 'secondary']), /SharedAccessKey=BAAA/);
	assert.match(await cli(['connection-string', '--device', 'd1', '--module', 'cert']), /;ModuleId=cert;x509=true\n$/);
	assert.match(await cli(['sas', '--device', 'd1', '--module', 'signs']), new RegExp(`sr=${hub.addr}%2Fdevices%2Fd1%2Fmodules%2Fsigns&`));
	assert.match(await cli(['connection-string', '--device', 'd1', '--module', 'none'], { code: 4 }), /d1\/none/);
	await cli(['connection-string', '--module', 'signs'], { code: 2 });
	if (onPostgres) return; // there is no store to be read
	await hub.stop();
	assert.equal(await cli(string), running);
	assert.match(await cli(['connection-string', '--device', 'd1', '--module', 'none'], { code: 4 }), /d1\/none/);
	await hub.start();
});

test('method invoke: payloads of every kind there and back, on a device of the SDK', async () => {
	const d = await sdkDevice(hub, 'methods');
	open.add(d);
	d.client.onDeviceMethod('echo', (request, response) => response.send(201, { got: request.payload }, (error) => assert.ifError(error)));
	const echo = (...args) => cli(['method', 'invoke', 'methods', 'echo', '--connect-timeout', '10', '--timeout', '10', ...args]);
	assert.deepEqual(await echo(), { status: 201, payload: { got: null } });
	for (const value of [{ a: [1, 'ä'] }, [], 'text', 7.5, false, null])
		assert.deepEqual(await echo('--payload', JSON.stringify(value)), { status: 201, payload: { got: value } });
	const file = path.join(tempDir('cli'), 'payload.json');
	fs.writeFileSync(file, '{"from":"file"}');
	assert.deepEqual((await echo('--file', file)).payload.got, { from: 'file' });
	assert.equal(await echo('--table', '--payload', '1'), 'status   201\npayload  {\n           "got": 1\n         }\n');
});

test('method invoke --module', async () => {
	await cli(['module', 'create', 'd1', 'called']);
	const client = ModuleClient.fromConnectionString((await cli(['connection-string', '--device', 'd1', '--module', 'called'])).trim(), Mqtt);
	await client.setOptions({ ca: hub.ca });
	open.add(await SdkDevice.open(client));
	client.onMethod('where', (request, response) => response.send(200, 'module', (error) => assert.ifError(error)));
	assert.deepEqual(await cli(['method', 'invoke', 'd1', 'where', '--module', 'called', '--connect-timeout', '10']), { status: 200, payload: 'module' });
	await cli(['method', 'invoke', 'd1', 'where'], { code: 8 });
});

test('method invoke: what goes wrong, and whose fault it is', async () => {
	assert.match(await cli(['method', 'invoke', 'd1', 'none'], { code: 8 }), /^twinhub: DeviceNotOnline: \w/);
	assert.match(await cli(['method', 'invoke', 'd1', 'none', '--connect-timeout', '1'], { code: 8 }), /DeviceNotOnline: Timed out waiting/);
	const silent = await mqttDevice(hub, 'silent', { filters: ['$iothub/methods/POST/#'] });
	open.add({ close: async () => silent.destroy() });
	assert.match(await cli(['method', 'invoke', 'silent', 'none', '--timeout', '5'], { code: 8 }), /GatewayTimeout: .*within 5 s/);
	assert.match(await cli(['method', 'invoke', 'nobody', 'none'], { code: 4 }), /DeviceNotFound: nobody/);
	assert.match(await cli(['method', 'invoke', 'd1', 'none', '--module', 'none'], { code: 4 }), /ModuleNotFound/);
	assert.match(await cli(['method', 'invoke', 'd1', 'a b'], { code: 1 }), /ArgumentInvalid: methodName/);
	for (const wrong of [[], ['none', '--payload', '{'], ['none', '--payload', '1', '--file', '-'], ['none', '--timeout', '4'],
		['none', '--timeout', '301'], ['none', '--connect-timeout', '301'], ['none', '--connect-timeout', 'x']])
		await cli(['method', 'invoke', 'd1', ...wrong], { code: 2 });
	await cli(['method', 'invoke', 'd1', 'none', '--file', '/nowhere'], { code: 4 });
});

test('statistics counts devices, not modules', async () => {
	const before = await cli(['statistics']);
	await cli(['device', 'create', 'counted', '--disabled']);
	await cli(['module', 'create', 'counted', 'm']);
	const device = await mqttDevice(hub, 'connected');
	const now = await cli(['statistics']);
	assert.deepEqual(now, { totalDeviceCount: before.totalDeviceCount + 2, enabledDeviceCount: before.enabledDeviceCount + 1,
		disabledDeviceCount: before.disabledDeviceCount + 1, connectedDeviceCount: before.connectedDeviceCount + 1, configurationLoopCount: 0 });
	assert.match(await cli(['statistics', '--table']), /^totalDeviceCount +\d+\n(\w+ +\d+\n){4}$/);
	device.destroy();
	await cli(['statistics', 'x'], { code: 2 });
});
