// Jobs that send messages to many devices (jobs-and-configurations.md 15), over bare HTTPS and MQTT.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { PACKET, mqttDevice, sasToken, startHub, stopAll } from '../lib/hub.mjs';
import { counts, Jobs, ok, refused } from '../lib/jobs.mjs';

let hub, jobs;
before(async () => { hub = await startHub(); jobs = new Jobs(hub); });
after(async () => { jobs?.close(); await stopAll(hub); });

const message = (condition, cloudToDeviceMessage, more = {}) => ({ type: 'scheduleDeviceMessage', queryCondition: condition, cloudToDeviceMessage, ...more });

test('J-69 J-70 a job puts one message into the queue of each device; who listens has it at once; who has no room fails', async () => {
	const keys = {};
	for (let i = 0; i < 6; i++) {
		const { primaryKey } = (await hub.createDevice(`m${i}`)).authentication.symmetricKey;
		keys[`m${i}`] = primaryKey;
		await hub.rest('PATCH', `/twins/m${i}`, { body: { tags: { ring: 'a' } } });
	}
	for (let i = 0; i < 50; i++) assert.equal((await hub.rest('POST', '/devices/m5/messages/deviceBound', { body: 'x' })).status, 204);
	const device = await mqttDevice(hub, 'm0', { filters: [{ filter: 'devices/m0/messages/devicebound/#', qos: 1 }] });
	const body = message("tags.ring = 'a'", { body: 'turn on', properties: { level: '7' }, contentType: 'text/plain', ack: 'full', timeToLiveInSeconds: 600 });
	const made = ok(await jobs.put('msg', body)).body;
	assert.deepEqual([made.type, made.cloudToDeviceMessage], ['scheduleDeviceMessage', body.cloudToDeviceMessage]);
	const got = await device.next(PACKET.PUBLISH, 'the message');
	assert.equal(got.payload.toString(), 'turn on');
	assert.match(got.topic, /%24\.mid=[0-9a-f-]{36}&%24\.to=.*&%24\.ct=text%2Fplain&%24\.exp=.*&iothub-ack=full&level=7$/);
	assert.deepEqual((await jobs.ended('msg')).deviceJobStatistics, counts(6, 5, 1));
	const polled = await hub.rest('GET', '/devices/m1/messages/deviceBound', { token: sasToken({ resource: `${hub.addr}/devices/m1`, key: keys.m1 }) });
	assert.deepEqual([polled.text, polled.headers['iothub-app-level']], ['turn on', '7']);
	assert.notEqual(polled.headers['iothub-messageid'], /mid=([0-9a-f-]+)/.exec(got.topic)[1], 'each has an id of its own');
	const failed = (await jobs.results('msg')).filter((r) => r.status === 'failed');
	assert.deepEqual(failed.map((r) => [r.deviceId, r.error.code]), [['m5', 'DeviceMaximumQueueDepthExceeded']]);
	for (const id of ['m1', 'm2', 'm3', 'm4']) assert.equal((await hub.rest('GET', `/twins/${id}`)).body.cloudToDeviceMessageCount, 1);
	assert.deepEqual(ok(await hub.rest('GET', '/jobs/v2/query?jobType=scheduleDeviceMessage')).body.map((j) => j.jobId), ['msg']);
	await device.disconnect();
});

test('J-69 J-06 what is wrong with a message is told when the job is created', async () => {
	for (const [work, text] of [[undefined, /cloudToDeviceMessage is not an object/], [{ body: 7, ack: 'some' }, /ack is not none/], [{ properties: { a: {} } }, /properties\.a/], [{ body: '!', base64Encoded: true }, /not base64/],
		[{ timeToLiveInSeconds: 172801 }, /timeToLiveInSeconds/], [{ body: 'y'.repeat(65537) }, /65537 bytes.*65536/], [{ messageId: 'i'.repeat(129) }, /129 bytes/]])
		refused(await jobs.put('wrong', message('*', work)), 400, 'ArgumentInvalid', text);
	refused(await jobs.put('wrong', message('*', { body: 'x' }, { updateTwin: { etag: '*' } })), 400, 'ArgumentInvalid', /updateTwin does not belong/);
	refused(await jobs.put('wrong', { type: 'scheduleUpdateTwin', queryCondition: '*', updateTwin: { etag: '*', tags: { a: 1 } }, cloudToDeviceMessage: { body: 'x' } }), 400, 'ArgumentInvalid', /cloudToDeviceMessage does not belong/);
});

test('J-69 a job with a message id gives it to all; bytes are base64; modules fail', async () => {
	await hub.createDevice('b1');
	await hub.rest('PUT', '/devices/b1/modules/m', { body: { deviceId: 'b1', moduleId: 'm' } });
	const device = await mqttDevice(hub, 'b1', { filters: [{ filter: 'devices/b1/messages/devicebound/#', qos: 1 }] });
	ok(await jobs.put('bytes', message("deviceId = 'b1'", { body: 'AP8K', base64Encoded: true, messageId: 'same' })));
	const got = await device.next(PACKET.PUBLISH, 'the message');
	assert.deepEqual([...got.payload], [0, 255, 10]);
	assert.match(got.topic, /%24\.mid=same&/);
	await jobs.ended('bytes');
	ok(await jobs.put('modules', message('FROM devices.modules', { body: 'x' })));
	assert.deepEqual((await jobs.ended('modules')).deviceJobStatistics, counts(1, 0, 1));
	await device.disconnect();
});
