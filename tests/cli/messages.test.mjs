// message send, purge, feedback: messages to devices from the command line.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { sasToken, startHub, stopAll, tempDir, until } from '../lib/hub.mjs';

let hub;
const dir = tempDir('messages');
before(async () => { hub = await startHub(); });
after(() => stopAll(hub));

async function cli(words, { code = 0 } = {}) {
	const end = await hub.cli(words);
	assert.equal(end.code, code, `${words.join(' ')}: ${end.stderr}`);
	return code === 0 ? end.stdout : end.stderr;
}
const json = async (words) => JSON.parse(await cli([...words, '--json']));

test('message send: text, file, properties, terms; the device gets them as they are', async () => {
	const { primaryKey } = (await hub.createDevice('d1')).authentication.symmetricKey;
	const own = (method, target) => hub.rest(method, target, { token: sasToken({ resource: `${hub.addr}/devices/d1`, key: primaryKey }) });
	const at = '/devices/d1/messages/deviceBound';
	assert.equal(await cli(['message', 'send', 'd1', '--text', 'turn on', '--properties', '{"level":"7","Empty":""}', '--message-id', 'on-1', '--correlation-id', 'c', '--content-type', 'text/plain', '--ack', 'full', '--expires-in', '600']), '');
	const got = await own('GET', at);
	assert.deepEqual([got.text, got.headers['iothub-messageid'], got.headers['iothub-correlationid'], got.headers['content-type'], got.headers['iothub-ack'], got.headers['iothub-app-level'], got.headers['iothub-app-empty']],
		['turn on', 'on-1', 'c', 'text/plain', 'full', '7', '']);
	assert.ok(Math.abs(new Date(got.headers['iothub-expiry']) - Date.now() - 600_000) < 60_000);
	assert.equal((await own('DELETE', `${at}/${got.headers.etag.slice(1, -1)}`)).status, 204);
	const bytes = Buffer.from([0, 1, 255, 10, 13]);
	fs.writeFileSync(path.join(dir, 'body'), bytes);
	await cli(['message', 'send', 'd1', '--file', path.join(dir, 'body')]);
	await cli(['message', 'send', 'd1']);
	assert.deepEqual([...Buffer.from((await own('GET', at)).text, 'utf8').subarray(0, 2)], [0, 1]);
	assert.equal((await own('GET', at)).text, '');
});

test('message feedback shows what there is and takes it out; statistics --messages; message purge', async () => {
	assert.deepEqual((await json(['message', 'feedback', '--keep'])).map((f) => [f.originalMessageId, f.statusCode]), [['on-1', 'Success']]);
	await hub.restart(); // locks end with the hub
	assert.deepEqual((await json(['message', 'feedback'])).map((f) => [f.originalMessageId, f.statusCode]), [['on-1', 'Success']]);
	assert.deepEqual(await json(['message', 'feedback']), []);
	await hub.createDevice('d2');
	for (let i = 0; i < 3; i++) await cli(['message', 'send', 'd2', '--text', 'x']);
	assert.deepEqual((await json(['statistics', '--messages'])).queued, 5);
	assert.deepEqual(await json(['message', 'purge', 'd2']), { deviceId: 'd2', moduleId: null, totalMessagesPurged: 3 });
	assert.deepEqual((await json(['statistics', '--messages'])).deadLettered, { Expired: 0, DeliveryCountExceeded: 0, Rejected: 0, Purged: 3 });
});

test('message: what is wrong is told, and nothing is sent', async () => {
	for (const [words, code, text] of [[['d1', '--text', 'a', '--file', 'b'], 2, /--text and --file/], [['d1', '--properties', '[]'], 2, /--properties is not an object/], [['d1', '--properties', '{"a":1}'], 2, /a is not a text/],
		[['d1', '--ack', 'some'], 2, /--ack some/], [['d1', '--expires-in', '172801'], 2, /--expires-in/], [['d1', '--file', path.join(dir, 'nothing')], 4, /no such file/], [['nobody', '--text', 'x'], 4, /DeviceNotFound/], [['d1', '--text', 'y'.repeat(66000)], 1, /MessageTooLarge/]])
		assert.match(await cli(['message', 'send', ...words], { code }), text);
	assert.match(await cli(['message', 'purge', 'nobody'], { code: 4 }), /DeviceNotFound/);
});

test('job create message: text, bytes and terms, for many devices; what does not belong to it is refused', async () => {
	for (const id of ['j1', 'j2']) {
		await hub.createDevice(id);
		await hub.rest('PATCH', `/twins/${id}`, { body: { tags: { floor: 3 } } });
	}
	const made = await json(['job', 'create', 'message', 'notice-1', '--condition', 'tags.floor = 3', '--text', 'closed', '--properties', '{"a":"b"}', '--ack', 'full', '--expires-in', '600', '--message-id', 'n']);
	assert.deepEqual(made.cloudToDeviceMessage, { body: 'closed', messageId: 'n', ack: 'full', timeToLiveInSeconds: 600, properties: { a: 'b' } });
	await until(async () => (await json(['job', 'show', 'notice-1'])).status === 'completed', 'the job has ended');
	for (const id of ['j1', 'j2']) assert.equal((await hub.rest('GET', `/twins/${id}`)).body.cloudToDeviceMessageCount, 1);
	assert.deepEqual((await json(['job', 'list', '--type', 'message'])).map((j) => j.jobId), ['notice-1']);
	assert.match(await cli(['job', 'show', 'notice-1', '--table']), /^sends +\{\n +"body": "closed"/m);
	assert.deepEqual((await json(['job', 'create', 'message', 'bytes', '--condition', "deviceId = 'none'", '--file', path.join(dir, 'body')])).cloudToDeviceMessage, { ack: 'none', body: 'AAH/Cg0=', base64Encoded: true });
	assert.match(await cli(['job', 'create', 'message', 'x', '--condition', '*', '--method', 'm'], { code: 2 }), /--method does not belong to a job of type message/);
	assert.match(await cli(['job', 'create', 'method', 'x', '--condition', '*', '--method', 'm', '--text', 'a'], { code: 2 }), /--text does not belong to a job of type method/);
});
