// serve --ephemeral --clock: what gets old by order, and what does not.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import https from 'node:https';
import { PACKET, mqttDevice, parseConnectionString, sasToken, until, within } from '../lib/hub.mjs';
import { endAll, ephemeral, testHub } from '../lib/ephemeral.mjs';
import { sdkDevice } from '../lib/sdk.mjs';

let hub;
before(async () => { hub = await testHub('--clock', '--log-max-age', '600'); });
after(async () => { await hub?.stop(); endAll(); });

const HOUR = 3600;
let ahead = 0;
const post = (body) => hub.rest('POST', '/admin/clock', { body });
async function advance(by, seconds) {
	const answer = await post({ advance: by });
	assert.equal(answer.status, 200, answer.text);
	ahead += seconds;
	assert.equal(answer.body.aheadSeconds, ahead);
	return answer.body;
}
const now = async () => Date.parse((await hub.rest('GET', '/admin/clock')).body.now);
const ok = (answer, status = 200) => { assert.equal(answer.status, status, answer.text); return answer.body; };
const path = (id) => `/devices/${id}/messages/deviceBound`;
const queued = async (id) => (await hub.rest('GET', `/twins/${id}`)).body.cloudToDeviceMessageCount;

test('O-147 the clock goes ahead, by durations or seconds, to an end, and never back', async () => {
	assert.equal(ok(await hub.rest('GET', '/admin/clock')).aheadSeconds, 0);
	const first = await advance('PT1M', 60), last = await advance(60, 60);
	for (const { now: at, aheadSeconds } of [first, last]) assert.ok(Math.abs(Date.parse(at) - Date.now() - aheadSeconds * 1000) < 30_000, at);
	for (const bad of [0, -60, 1.5, '', 'P', 'PT', '1H', 'P1M', 'P1Y', 'PT1H30', 'PT1S1M', 'P1DT', '-PT1H', 'PT99999999999S', null, true, 'P3651D', 315_360_000, 9e15]) {
		const answer = await post({ advance: bad });
		assert.deepEqual([answer.status, answer.headers['iothub-errorcode']], [400, 'ArgumentInvalid'], `${bad}: ${answer.text}`);
	}
	assert.match((await post({ advance: 1, back: 1 })).text, /back is no member/);
	assert.match((await post({})).text, /advance is neither/);
	assert.match((await post([1])).text, /not a JSON object/);
	assert.equal(ok(await hub.rest('GET', '/admin/clock')).aheadSeconds, ahead);
});

test('O-147 without the option there is none', async () => {
	const plain = await ephemeral('--ports', 'any');
	for (const method of ['GET', 'POST']) {
		const answer = await plain.rest(method, '/admin/clock', method === 'POST' ? { body: { advance: 1 } } : {});
		assert.equal(answer.status, 404);
		assert.match(answer.text, /serve --ephemeral --clock/);
	}
	plain.hub.stdin.end();
});

test('O-149 O-148 the device SDK: its token ends, it comes again by itself, with one that is good', async () => {
	const device = await sdkDevice(hub, 'sdk');
	await device.listen();
	await advance('PT2H', 2 * HOUR);
	const story = await until(async () => { const { body } = await hub.rest('GET', '/devices/sdk/connection'); return body.lastDisconnect && body.connected && body; }, 'the end of the link, and the next one');
	assert.equal(story.lastDisconnect.reason, 'token-end');
	await device.readTwin();
	await hub.rest('PATCH', '/twins/sdk', { body: { properties: { desired: { a: 1 } } } });
	await until(async () => (await device.notification()).a === 1, 'the change');
	const { $metadata } = (await hub.rest('GET', '/twins/sdk')).body.properties.desired;
	assert.ok(Math.abs(Date.parse($metadata.$lastUpdated) - Date.now() - ahead * 1000) < 30_000, 'times are of the clock');
	await device.close();
});

test('O-149 a token is judged by the clock of who has made it', async () => {
	await hub.createDevice('t');
	const ask = async (ttl) => (await hub.rest('GET', path('t'), { authorization: sasToken({ resource: `${hub.addr}/devices/t`, key: await hub.key('t'), ttl }) })).status;
	assert.deepEqual([await ask(60), await ask(-HOUR)], [204, 401]);
});

test('O-148 keep-alive is no matter of the clock', async () => {
	const device = await mqttDevice(hub, 'quiet', { login: { keepAlive: 20 } });
	await advance('PT10M', 600);
	device.publish('$iothub/twin/GET/?$rid=1', '');
	assert.match((await device.next(PACKET.PUBLISH, 'the twin')).topic, /res\/200/);
	await device.disconnect();
});

test('O-148 messages: their expiry, and their locks', async () => {
	const key = (await hub.createDevice('m')).authentication.symmetricKey.primaryKey;
	const poll = () => hub.rest('GET', path('m'), { authorization: sasToken({ resource: `${hub.addr}/devices/m`, key }) });
	const send = async (body, expiry) => ok(await hub.rest('POST', path('m'), { body, headers: { 'iothub-ack': 'full', 'iothub-expiry': new Date(await now() + expiry * 1000).toISOString() } }), 204);
	await send('stays', 30 * HOUR);
	await send('goes', HOUR);
	assert.equal((await poll()).text, 'stays');
	assert.equal((await poll()).text, 'goes');
	assert.equal((await poll()).status, 204, 'both are locked');
	await advance('PT2M', 120);
	await until(async () => (await poll()).text === 'stays', 'the lock has run out');
	assert.equal(await queued('m'), 2);
	await advance('PT2H', 2 * HOUR);
	await until(async () => await queued('m') === 1, 'one has expired');
	const feedback = await until(async () => { const answer = await hub.rest('GET', '/messages/serviceBound/feedback'); return answer.status === 200 && answer.body; }, 'its feedback');
	assert.deepEqual(feedback.map((f) => f.statusCode ?? f.description), ['Expired']);
});

test('O-148 a job starts when its time has come', async () => {
	await hub.createDevice('j');
	const startTime = new Date(await now() + 5 * HOUR * 1000).toISOString();
	ok(await hub.rest('PUT', '/jobs/v2/later', { body: { type: 'scheduleUpdateTwin', queryCondition: "deviceId = 'j'", startTime, maxExecutionTimeInSeconds: 600, updateTwin: { etag: '*', tags: { done: true } } } }));
	const status = async () => (await hub.rest('GET', '/jobs/v2/later')).body.status;
	await until(async () => await status() === 'scheduled', 'it is scheduled');
	await advance('PT6H', 6 * HOUR);
	await until(async () => await status() === 'completed', 'it has run');
	assert.equal((await hub.rest('GET', '/twins/j')).body.tags.done, true);
});

test('O-148 the log gets old', async () => {
	const device = await mqttDevice(hub, 'e');
	await device.publish('devices/e/messages/events/', 'old', { qos: 1 });
	const left = async () => ok(await hub.rest('GET', '/statistics/events')).telemetry.oldestTime;
	assert.ok(await left());
	await advance('PT1H', HOUR);
	await until(async () => await left() === undefined, 'nothing is left of it');
	await device.disconnect();
});

test('O-148 a rollout has soaked', async () => {
	for (const id of ['r1', 'r2']) {
		await hub.createDevice(id);
		ok(await hub.rest('PATCH', `/twins/${id}`, { body: { tags: { fleet: 'r' } } }));
	}
	const wave = { successQuery: "tags.fleet = 'r'" };
	ok(await hub.rest('PUT', '/configurations/soak', { body: { id: 'soak', targetCondition: "tags.fleet = 'r'", content: { deviceContent: { 'properties.desired.fw': 'v2' } },
		rollout: { waves: [{ ...wave, count: 1, soakSeconds: 7200 }, { ...wave, percent: 100 }] } } }));
	const state = async () => (await hub.rest('GET', '/configurations/soak')).body.rollout.state;
	await until(async () => (await state()).status === 'soaking', 'it soaks');
	await advance('PT3H', 3 * HOUR);
	await until(async () => (await state()).status === 'completed', 'the last wave');
});

test('O-148 O-149 an answer without an end, too, ends with its token', async () => {
	const { SharedAccessKey: key } = parseConnectionString(hub.connectionStrings.service);
	const headers = { Authorization: sasToken({ resource: hub.addr, key, policy: 'service', ttl: HOUR }) };
	const answer = await new Promise((resolve, reject) => https.get({ host: hub.addr, path: '/events?api-version=2021-04-12', headers, ca: hub.pem, agent: false }, resolve).on('error', reject));
	assert.equal(answer.statusCode, 200);
	let text = '';
	answer.setEncoding('utf8').on('data', (d) => { text += d; });
	const ended = new Promise((resolve) => answer.on('end', resolve));
	await advance('PT2H', 2 * HOUR);
	await within(ended, 'its end');
	assert.match(text, /"closed":"token-end"/);
});
