// The identity registry through the service SDK.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { startHub, stopAll } from '../lib/hub.mjs';
import { registryOf, rejection, sdkDevice } from '../lib/sdk.mjs';

let hub, registry;

before(async () => {
	hub = await startHub();
	registry = await registryOf(hub);
});
after(() => stopAll(hub));

const key = (fill) => Buffer.alloc(32, fill).toString('base64');

test('R-20 create makes keys, etag and generation id', async () => {
	const device = (await registry.create({ deviceId: 'made' })).responseBody;
	assert.equal(device.deviceId, 'made');
	assert.equal(device.status, 'enabled');
	assert.match(device.etag, /^\S+$/);
	assert.match(device.generationId, /^\S+$/);
	const { primaryKey, secondaryKey } = device.authentication.symmetricKey;
	assert.equal(Buffer.from(primaryKey, 'base64').length, 32);
	assert.equal(Buffer.from(secondaryKey, 'base64').length, 32);
	assert.notEqual(primaryKey, secondaryKey);
	const read = (await registry.get('made')).responseBody;
	assert.equal(read.etag, device.etag);
	assert.deepEqual(read.authentication, device.authentication);
});

test('R-21 create of an existing device is DeviceAlreadyExistsError', async () => {
	await registry.create({ deviceId: 'twice' });
	assert.equal((await rejection(registry.create({ deviceId: 'twice' }))).name, 'DeviceAlreadyExistsError');
});

test('R-22 R-25 update replaces the writable fields; what is absent falls back', async () => {
	await registry.create({ deviceId: 'update', status: 'disabled', statusReason: 'not yet' });
	let device = (await registry.get('update')).responseBody;
	assert.equal(device.status, 'disabled');
	assert.equal(device.statusReason, 'not yet');
	const before = device.etag;
	await registry.update({ deviceId: 'update', authentication: device.authentication });
	device = (await registry.get('update')).responseBody;
	assert.equal(device.status, 'enabled');
	assert.equal(device.statusReason, null);
	assert.notEqual(device.etag, before);
});

test('R-06 keys of the caller\'s own are kept, and a device connects with either', async () => {
	const symmetricKey = { primaryKey: key(1), secondaryKey: key(2) };
	await registry.create({ deviceId: 'own', authentication: { type: 'sas', symmetricKey } });
	for (const k of [symmetricKey.primaryKey, symmetricKey.secondaryKey]) {
		const d = await sdkDevice(hub, 'own', { connectionString: `HostName=${hub.addr};DeviceId=own;SharedAccessKey=${k}` });
		await d.readTwin();
		await d.close();
	}
});

test('R-33 R-35 get and delete of a missing device are DeviceNotFoundError', async () => {
	assert.equal((await rejection(registry.get('missing'))).name, 'DeviceNotFoundError');
	assert.equal((await rejection(registry.delete('missing'))).name, 'DeviceNotFoundError');
	assert.equal((await rejection(registry.getTwin('missing'))).name, 'DeviceNotFoundError');
	assert.equal((await rejection(registry.updateTwin('missing', { tags: { a: 1 } }, '*'))).name, 'DeviceNotFoundError');
});

test('R-34 delete removes the device', async () => {
	await registry.create({ deviceId: 'doomed' });
	await registry.delete('doomed');
	assert.equal((await rejection(registry.get('doomed'))).name, 'DeviceNotFoundError');
});

test('R-37 list gives every device, in order of their ids', async () => {
	const ids = Array.from({ length: 12 }, (_, i) => `list-${String(i).padStart(2, '0')}`);
	for (const deviceId of ids) await registry.create({ deviceId });
	const all = (await registry.list()).responseBody.map((d) => d.deviceId);
	assert.deepEqual(all.filter((id) => id.startsWith('list-')), ids);
	assert.deepEqual(all, [...all].sort());
});

test('R-28 what the hub refuses is ArgumentError', async () => {
	assert.equal((await rejection(registry.create({ deviceId: 'a b' }))).name, 'ArgumentError');
	assert.equal((await rejection(registry.create({ deviceId: 'x'.repeat(129) }))).name, 'ArgumentError');
	const symmetricKey = { primaryKey: 'not base64!', secondaryKey: 'nor this!' };
	assert.equal((await rejection(registry.create({ deviceId: 'badkey', authentication: { type: 'sas', symmetricKey } }))).name, 'ArgumentError');
});

test('R-19 ids with every legal character go through path and body', async () => {
	const deviceId = 'Az09-:.+%_#*?!(),=@;$\'';
	await registry.create({ deviceId });
	assert.equal((await registry.get(deviceId)).responseBody.deviceId, deviceId);
	assert.equal((await registry.getTwin(deviceId)).responseBody.deviceId, deviceId);
	await registry.delete(deviceId);
});

test('R-11 R-12 a policy without the right is UnauthorizedError', async () => {
	await registry.create({ deviceId: 'rights' });
	const reader = await registryOf(hub, 'registryRead');
	assert.equal((await reader.get('rights')).responseBody.deviceId, 'rights');
	assert.equal((await rejection(reader.create({ deviceId: 'rights-2' }))).name, 'UnauthorizedError');
	assert.equal((await rejection(reader.updateTwin('rights', { tags: { a: 1 } }, '*'))).name, 'UnauthorizedError');
	const service = await registryOf(hub, 'service');
	assert.equal((await service.getTwin('rights')).responseBody.deviceId, 'rights');
	assert.equal((await rejection(service.get('rights'))).name, 'UnauthorizedError');
});
