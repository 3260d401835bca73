// Digital twins: the service SDK's own client, a device of the device SDK that follows the conventions of plug and play, and
// bare requests for what no SDK shows (service-rest.md 16).
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { startHub, stopAll, within } from '../lib/hub.mjs';
import { Client, Mqtt, rejection, SdkDevice } from '../lib/sdk.mjs';

const require = createRequire(import.meta.url);
const { DigitalTwinClient, IoTHubTokenCredentials } = require('azure-iothub');
const hubs = [], open = new Set();
let hub, client;

before(async () => {
	hubs.push(hub = await startHub());
	client = new DigitalTwinClient(new IoTHubTokenCredentials(await hub.connectionString('service')));
});
after(async () => {
	for (const c of open) await c.close().catch(() => {});
	await stopAll(...hubs);
});

const MODEL = 'dtmi:com:example:TemperatureController;2';
const ISO = /^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z$/;

// A temperature controller: it acknowledges what is desired, answers commands, and says which model it follows.
async function controller(id) {
	await hub.createDevice(id);
	const raw = Client.fromConnectionString(await hub.deviceConnectionString(id), Mqtt);
	await raw.setOptions({ ca: hub.ca, modelId: MODEL });
	const device = await SdkDevice.open(raw);
	open.add(device);
	await device.listen();
	await device.report({ serialNumber: 'alwinexlepaho8329', thermostat1: { __t: 'c', maxTempSinceLastReboot: 25.3 } });
	return device;
}

const rest = (method, path, options) => hub.rest(method, path, { policy: 'service', ...options });
const patch = (id, ops, options = {}) => rest('PATCH', `/digitaltwins/${id}`, { body: ops, ...options });
const code = (answer) => /ErrorCode:(\w+);(.*)$/.exec(answer.body.Message)?.slice(1);

test('R-109 a digital twin as its client reads it, before and after a property is set and acknowledged', async () => {
	const device = await controller('tc1');
	let got = await within(client.getDigitalTwin('tc1'), 'the digital twin');
	const { $metadata, thermostat1, ...root } = got;
	assert.equal(root.$dtId, 'tc1');
	assert.equal(root.serialNumber, 'alwinexlepaho8329');
	assert.equal($metadata.$model, MODEL);
	assert.match($metadata.serialNumber.lastUpdateTime, ISO);
	assert.deepEqual(Object.keys($metadata.serialNumber), ['lastUpdateTime']);
	assert.equal(thermostat1.maxTempSinceLastReboot, 25.3);
	assert.deepEqual(Object.keys(thermostat1), ['maxTempSinceLastReboot', '$metadata']);
	assert.match(got._response.headers.get('etag'), /^"AAAA/);

	await within(client.updateDigitalTwin('tc1', [{ op: 'add', path: '/thermostat1/targetTemperature', value: 21.8 }], got._response.headers.get('etag')), 'the patch');
	const wanted = await device.notification();
	assert.deepEqual(wanted, { thermostat1: { __t: 'c', targetTemperature: 21.8 }, $version: 2 });
	got = await within(client.getDigitalTwin('tc1'), 'the digital twin');
	assert.deepEqual(got.thermostat1.$metadata.targetTemperature, { desiredValue: 21.8, desiredVersion: 2 });
	assert.ok(!('targetTemperature' in got.thermostat1));

	await device.report({ thermostat1: { __t: 'c', targetTemperature: { value: 21.8, ac: 200, av: wanted.$version, ad: 'Successfully executed patch' } } });
	got = await within(client.getDigitalTwin('tc1'), 'the digital twin');
	assert.equal(got.thermostat1.targetTemperature, 21.8);
	const { lastUpdateTime, ...ack } = got.thermostat1.$metadata.targetTemperature;
	assert.deepEqual(ack, { desiredValue: 21.8, desiredVersion: 2, ackVersion: 2, ackCode: 200, ackDescription: 'Successfully executed patch' });
	assert.match(lastUpdateTime, ISO);

	const twin = (await hub.rest('GET', '/twins/tc1')).body;
	assert.deepEqual(twin.properties.desired.thermostat1, { __t: 'c', targetTemperature: 21.8 });
	assert.equal(twin.modelId, MODEL);
});

test('R-109 commands of the device and of a component, by the client', async () => {
	const device = await controller('tc2');
	device.client.onDeviceMethod('reboot', (request, response) => response.send(200, { in: request.payload }, () => {}));
	device.client.onDeviceMethod('thermostat1*getMaxMinReport', (request, response) => response.send(404, { since: request.payload }, () => {}));
	const root = await within(client.invokeCommand('tc2', 'reboot', 3, { connectTimeoutInSeconds: 5, responseTimeoutInSeconds: 10 }), 'the command');
	assert.equal(root.xMsCommandStatuscode ?? root.statusCode, 200);
	assert.deepEqual(root._response.parsedBody, { in: 3 });
	const part = await within(client.invokeComponentCommand('tc2', 'thermostat1', 'getMaxMinReport', '2020-01-01', { responseTimeoutInSeconds: 10 }), 'the command');
	assert.equal(part._response.headers.get('x-ms-command-statuscode'), '404');
	assert.match(part._response.headers.get('x-ms-request-id'), /^[0-9a-f-]{36}$/);
	assert.deepEqual(part._response.parsedBody, { since: '2020-01-01' });
	// without a payload the device gets null, which every device SDK can parse
	const bare = await rest('POST', '/%2FdigitalTwins%2Ftc2%2Fcommands%2Freboot?connectTimeoutInSeconds=20&responseTimeoutInSeconds=20');
	assert.equal(bare.status, 200, bare.text);
	assert.equal(bare.headers['x-ms-command-statuscode'], '200');
});

test('R-109 commands that nobody answers, or that cannot be', async () => {
	await hub.createDevice('tc3');
	for (const [path, status, name] of [['/digitaltwins/nobody/commands/c', 404, 'DeviceNotFound'], ['/digitaltwins/tc3/commands/c', 404, 'DeviceNotOnline'],
		['/digitaltwins/tc3/components/p/commands/c', 404, 'DeviceNotOnline'], ['/digitaltwins/tc3/commands/a%20b', 400, 'ArgumentInvalid'], ['/digitaltwins/tc3/commands/a%00b', 400, 'ArgumentInvalid'],
		['/digitaltwins/tc3/components/p%00q/commands/c', 400, 'ArgumentInvalid'], ['/digitaltwins/tc3/commands/c?connectTimeoutInSeconds=&responseTimeoutInSeconds=', 404, 'DeviceNotOnline'],
		['/digitaltwins/tc3/commands/c?responseTimeoutInSeconds=4', 400, 'ArgumentInvalid'], ['/digitaltwins/tc3/commands/c?connectTimeoutInSeconds=x', 400, 'ArgumentInvalid'],
		['/digitaltwins/tc3/commands', 404, 'GenericNotFound'], ['/digitaltwins/tc3/components/p', 404, 'GenericNotFound'], ['/digitaltwins/a%20b/commands/c', 400, 'ArgumentInvalid']]) {
		const answer = await rest('POST', path, { body: '{}' });
		assert.deepEqual([answer.status, answer.headers['iothub-errorcode']], [status, name], path);
	}
	assert.equal((await rest('POST', '/digitaltwins/tc3/commands/c', { body: '{' })).headers['iothub-errorcode'], 'IotHubFormatError');
	assert.equal((await hub.rest('POST', '/digitaltwins/tc3/commands/c', { policy: 'registryRead', body: '{}' })).status, 401);
});

test('R-99 R-109 patches: 202, an etag, If-Match', async () => {
	await hub.createDevice('tc4');
	const first = await patch('tc4', [{ op: 'add', path: '/fanSpeed', value: 2.5 }]);
	assert.equal(first.status, 202, first.text);
	assert.equal(first.text, '');
	assert.equal(first.headers.location, '/digitaltwins/tc4');
	assert.equal((await patch('tc4', [{ op: 'replace', path: '/fanSpeed', value: 3 }], { headers: { 'If-Match': first.headers.etag } })).status, 202);
	const stale = await patch('tc4', [{ op: 'replace', path: '/fanSpeed', value: 4 }], { headers: { 'If-Match': first.headers.etag } });
	assert.deepEqual([stale.status, stale.headers['iothub-errorcode']], [412, 'PreconditionFailed']);
	const got = await rest('GET', '/digitaltwins/tc4');
	assert.equal(got.body.$metadata.fanSpeed.desiredValue, 3);
	assert.equal(got.body.$metadata.$model, '');
	assert.equal(got.headers.etag, `"${(await hub.rest('GET', '/twins/tc4')).body.etag}"`);
	const missing = await rejection(client.getDigitalTwin('nobody'));
	assert.equal(missing.statusCode, 404);
	assert.equal((await patch('nobody', [{ op: 'add', path: '/a', value: 1 }])).headers['iothub-errorcode'], 'DeviceNotFound');
});

test('R-109 a patch that cannot be is refused with its place, and changes nothing', async () => {
	await hub.createDevice('tc5');
	assert.equal((await patch('tc5', [{ op: 'add', path: '/a', value: { b: 1 } }])).status, 202);
	const before_ = (await hub.rest('GET', '/twins/tc5')).text;
	const good = { op: 'add', path: '/x', value: 1 };
	for (const [body, name, text] of [
		[{}, 'InvalidDigitalTwinPatch', /not an array/], [[5], 'InvalidDigitalTwinPatch', /^\[0\] is not an operation/],
		[[good, { op: 'move', path: '/a', from: '/b' }], 'InvalidDigitalTwinPatch', /^\[1\]\.op is none of add, replace, remove/],
		[[good, { op: 'add', path: '/y' }], 'InvalidDigitalTwinPatch', /^\[1\]\.value is missing/], [[{ op: 'add', path: 5, value: 1 }], 'InvalidDigitalTwinPatch', /^\[0\]\.path is not a string/],
		[Array.from({ length: 101 }, () => good), 'InvalidDigitalTwinPatch', /101 operations, the limit is 100/],
		[[good, { op: 'replace', path: '/nothing', value: 1 }], 'InvalidDigitalTwinPatchPath', /^\[1\]\.path \/nothing leads to nothing/],
		[[{ op: 'remove', path: '/a/c' }], 'InvalidDigitalTwinPatchPath', /^\[0\]\.path \/a\/c leads to nothing/],
		[[{ op: 'add', path: '/a/b/c', value: 1 }], 'InvalidDigitalTwinPatchPath', /is below what is not an object/],
		[[{ op: 'add', path: '/$metadata/a', value: 1 }], 'InvalidDigitalTwinPatchPath', /is read-only/], [[{ op: 'add', path: '', value: 1 }], 'InvalidDigitalTwinPatchPath', /is not a slash and a name/],
		[[{ op: 'add', path: 'a', value: 1 }], 'InvalidDigitalTwinPatchPath', /is not a slash and a name/], [[{ op: 'add', path: '/a/', value: 1 }], 'InvalidDigitalTwinPatchPath', /name of nothing/],
		[[{ op: 'add', path: '/~2', value: 1 }], 'InvalidDigitalTwinPatchPath', /neither ~0 nor ~1/], [[{ op: 'add', path: '/a'.repeat(11), value: 1 }], 'InvalidDigitalTwinPatchPath', /deeper/],
		[[{ op: 'add', path: '/k.k', value: 1 }], 'ArgumentInvalid', /properties\.desired\.k/], [[{ op: 'add', path: '/k', value: 'x'.repeat(4097) }], 'ArgumentInvalid', /properties\.desired\.k/],
	]) {
		const answer = await patch('tc5', body);
		assert.equal(answer.status, 400, answer.text);
		const [found, why] = code(answer);
		assert.equal(found, name, answer.text);
		assert.match(why, text);
	}
	assert.equal((await hub.rest('GET', '/twins/tc5')).text, before_);
	assert.equal((await patch('tc5', undefined)).headers['iothub-errorcode'], 'ArgumentNull');
});
