// Webhooks and what they may meet: a log that has gone past the cursor, and a receiver of somebody else's (events.md 4).
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { HTTP } from 'cloudevents';
import { mqttDevice, startHub, stopAll, until } from '../lib/hub.mjs';
import { Receiver } from '../lib/receiver.mjs';

let hub, receiver;

const ok = (answer, status = 200) => { assert.equal(answer.status, status, answer.text); return answer; };
const put = (target, body) => hub.rest('PUT', target, { body });
const webhook = (more = {}) => ({ kind: 'webhook', url: receiver.url, ca: hub.pem, ...more });
const status = async (sink) => ok(await hub.rest('GET', `/sinks/${sink}`)).body.status;
const send = async (device, body, headers = {}) => ok(await hub.rest('POST', `/devices/${device}/messages/events`, { body, headers }), 204);

before(async () => {
	hub = await startHub({ args: ['--sink-allow', '127.0.0.0/8'] });
	ok(await hub.rest('PATCH', '/settings', { body: { retention: { logMaxSize: 1 << 20 } } }));
	receiver = await new Receiver().start(hub.dir, hub.addr);
});
after(async () => {
	receiver?.stop();
	await stopAll(hub);
});

test('E-40 E-23 E-24 a receiver made with the CloudEvents SDK takes each event of a batch', async () => {
	ok(await put('/sinks/sdk', webhook()));
	for (const source of ['DeviceMessages', 'TwinChangeEvents', 'DeviceLifecycleEvents']) ok(await put(`/routes/sdk-${source}`, { source, endpointNames: ['sdk'] }));
	const from = Date.now();
	await hub.createDevice('ce');
	ok(await hub.rest('PUT', '/devices/ce/modules/m', { body: { deviceId: 'ce', moduleId: 'm' } }));
	await hub.rest('PATCH', '/twins/ce', { body: { tags: { a: 1, 'k\u00e9y': '\u{1f600}' } } });
	await hub.rest('PUT', '/twins/ce', { body: { tags: { b: 2 } } });
	const device = await mqttDevice(hub, 'ce');
	await device.report({ r: [1, 'x'] });
	await device.disconnect();
	await send('ce', '{"t":21.5}', { 'iothub-contenttype': 'application/json', 'iothub-contentencoding': 'utf-8', 'iothub-app-level': 'hot' });
	await send('ce', Buffer.from([0, 255, 10, 13]));
	await hub.rest('DELETE', '/devices/ce', { headers: { 'If-Match': '*' } });
	const events = () => receiver.requests.filter((r) => r.method === 'POST').flatMap((r) => HTTP.toEvent({ headers: r.headers, body: r.body }));
	await until(() => events().filter((e) => e.type === 'Microsoft.Devices.DeviceDeleted').length === 2, 'the deletions are there');
	const types = { 'devices/ce': [], 'devices/ce/modules/m': [] };
	for (const e of events()) {
		assert.equal(e.validate(), true);
		assert.equal(e.specversion, '1.0');
		assert.match(e.source, /^\/hubs\/./);
		assert.match(e.id, /^\d+-\d+$/);
		assert.ok(Date.parse(e.time) >= from - 1000 && Date.parse(e.time) <= Date.now() + 1000, e.time);
		assert.match(e.twinhubactor, /^(device|policy):/);
		types[e.subject].push(e.type);
	}
	const device_types = ['DeviceCreated', 'changed', 'replaced', 'changed', 'DeviceTelemetry', 'DeviceTelemetry', 'DeviceDeleted'];
	assert.deepEqual(types['devices/ce'].map((t) => t.split('.').at(-1)), device_types);
	assert.deepEqual(types['devices/ce/modules/m'].map((t) => t.split('.').at(-1)), ['DeviceCreated', 'DeviceDeleted']);
	const told = events().filter((e) => e.type.endsWith('DeviceTelemetry')).map((e) => e.data.body);
	assert.deepEqual(told, [{ t: 21.5 }, Buffer.from([0, 255, 10, 13]).toString('base64')]);
	assert.equal(new Set(events().map((e) => e.id)).size, events().length);
	for (const source of ['DeviceMessages', 'TwinChangeEvents', 'DeviceLifecycleEvents']) await hub.rest('DELETE', `/routes/sdk-${source}`);
	await hub.rest('DELETE', '/sinks/sdk');
});

test('E-37 E-12 a cursor that retention has passed goes on with what is left, behind an event that counts the gap', { timeout: 240_000 }, async () => {
	await hub.createDevice('gap');
	receiver.requests.length = receiver.events.length = 0;
	receiver.answer = () => 503;
	ok(await put('/sinks/gap', webhook()));
	ok(await put('/routes/gap', { source: 'DeviceMessages', endpointNames: ['gap'] }));
	let sent = 0;
	const fill = async (n) => {
		for (let i = 0; i < n; i++) await send('gap', randomBytes(60_000), { 'iothub-app-n': String(sent++) });
	};
	const oldest = async () => {
		const lines = (await hub.rest('GET', '/events?from=earliest&follow=false&source=DeviceMessages&device=gap')).text.trim().split('\n').map((l) => JSON.parse(l));
		return Number(lines.find((l) => l.subject === 'devices/gap')?.data.properties.n ?? -1);
	};
	await fill(1);
	await until(async () => (await status('gap')).attempts > 0, 'it has been tried');
	await until(async () => {
		await fill(8);
		await hub.restart(); // what is in memory of the log goes to files
		return (await oldest()) > 3;
	}, 'the oldest messages are dropped');
	await until(async () => (await status('gap')).attempts > 0, 'it is tried again');
	const left = await oldest();
	receiver.events.length = 0;
	receiver.answer = () => 200;
	await until(async () => {
		const now = await status('gap');
		return now.lag === 0 && now.delivered > 0;
	}, 'all that is left is delivered');
	const events = receiver.events, gaps = events.filter((e) => e.type === 'twinhub.events.dropped');
	assert.equal(gaps.length, 1, JSON.stringify(gaps));
	assert.deepEqual(Object.keys(gaps[0].data).sort(), ['positions', 'shards']);
	assert.equal(gaps[0].data.shards, 1);
	// What it had read before that was dropped may come before it; then the gap, where it is, and all that is left.
	const at = events.indexOf(gaps[0]), n = (some) => some.filter((e) => e.subject === 'devices/gap').map((e) => Number(e.data.properties.n));
	const before = n(events.slice(0, at)), behind = n(events.slice(at + 1));
	assert.deepEqual(before, Array.from({ length: before.length }, (_, i) => i));
	assert.deepEqual(behind, Array.from({ length: sent - behind[0] }, (_, i) => behind[0] + i), 'all that is left, in order');
	assert.ok(behind[0] >= left && behind[0] > before.length, `${behind[0]} of ${left}, behind ${before.length}`);
	assert.equal(gaps[0].data.positions, behind[0] - before.length, 'each position between is counted');
	assert.equal((await status('gap')).dropped, gaps[0].data.positions);
});
