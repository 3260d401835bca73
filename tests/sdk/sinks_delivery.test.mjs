// Events on their way to sinks: at least once, in the order of each device, whatever ends (events.md 4).
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { startHub, stopAll, tempDir, until } from '../lib/hub.mjs';
import { Receiver } from '../lib/receiver.mjs';

let hub, receiver;
const files = tempDir('sinks');
const SECRET = Buffer.alloc(32, 7);

const ok = (answer, status = 200) => { assert.equal(answer.status, status, answer.text); return answer; };
const put = (target, body, options = {}) => hub.rest('PUT', target, { body, ...options });
const webhook = (more = {}) => ({ kind: 'webhook', url: receiver.url, ca: hub.pem, ...more });
const status = async (sink) => ok(await hub.rest('GET', `/sinks/${sink}`)).body.status;
const send = async (device, n, more = {}) => ok(await hub.rest('POST', `/devices/${device}/messages/events`, {
	body: JSON.stringify({ n }), headers: { 'iothub-contenttype': 'application/json', 'iothub-contentencoding': 'utf-8', ...more } }), 204);
const lines = (name) => fs.existsSync(path.join(files, name))
	? fs.readFileSync(path.join(files, name), 'utf8').trim().split('\n').filter(Boolean).map((line) => JSON.parse(line)) : [];

before(async () => {
	hub = await startHub({ args: ['--workers', '2', '--sink-dir', files, '--sink-allow', '127.0.0.0/8'] });
	receiver = await new Receiver().start(hub.dir, hub.addr);
	for (const id of ['d1', 'd2', 'd3']) await hub.createDevice(id);
});
after(async () => {
	receiver?.stop();
	await stopAll(hub);
});

test('E-33 E-40 E-41 a webhook gets what its route says, as signed CloudEvents', async () => {
	ok(await put('/sinks/w', webhook({ secret: `whsec_${SECRET.toString('base64')}` })));
	ok(await put('/routes/w', { source: 'DeviceMessages', condition: "level = 'hot' AND $body.n > 1", endpointNames: ['w'] }));
	await send('d1', 1, { 'iothub-app-level': 'hot' });
	await send('d1', 2, { 'iothub-app-level': 'cold' });
	await send('d1', 3, { 'iothub-app-level': 'hot' });
	await until(() => receiver.of('d1').length > 0);
	assert.deepEqual(receiver.of('d1').map((e) => e.data.body.n), [3]);
	assert.equal(receiver.of('d1')[0].type, 'Microsoft.Devices.DeviceTelemetry');
	assert.equal(receiver.of('d1')[0].specversion, '1.0');
	const post = receiver.requests.find((r) => r.method === 'POST');
	assert.equal(post.headers['content-type'], 'application/cloudevents-batch+json; charset=utf-8');
	const { 'webhook-id': id, 'webhook-timestamp': time, 'webhook-signature': signature } = post.headers;
	assert.equal(signature, `v1,${createHmac('sha256', SECRET).update(`${id}.${time}.${post.body}`).digest('base64')}`);
	assert.equal(receiver.requests[0].method, 'OPTIONS');
	await until(async () => (await status('w')).lag === 0);
	assert.equal((await status('w')).delivered, 1);
});

test('E-33 E-45 a file gets changes of twins and life cycle, each by its own route', async () => {
	ok(await put('/sinks/f', { kind: 'file', path: 'a/events.ndjson' }));
	ok(await put('/routes/twins', { source: 'TwinChangeEvents', condition: "opType = 'updateTwin'", endpointNames: ['f'] }));
	ok(await put('/routes/life', { source: 'DeviceLifecycleEvents', endpointNames: ['f'] }));
	ok(await put('/routes/off', { source: 'DeviceMessages', endpointNames: ['f'], isEnabled: false }));
	await hub.createDevice('new');
	ok(await hub.rest('PATCH', '/twins/new', { body: { tags: { a: 1 } } }));
	await send('d2', 1);
	ok(await hub.rest('DELETE', '/devices/new'), 204);
	await until(() => lines('a/events.ndjson').length >= 3);
	assert.deepEqual(lines('a/events.ndjson').map((e) => [e.subject, e.type]), [['devices/new', 'Microsoft.Devices.DeviceCreated'],
		['devices/new', 'twinhub.twin.changed'], ['devices/new', 'Microsoft.Devices.DeviceDeleted']]);
});

test('E-33 Q-66 Q-70 Q-80 a route sees what a reader of events sees: the twin, the envelope, system properties', async () => {
	ok(await put('/sinks/seen', { kind: 'file', path: 'seen.ndjson' }));
	const routes = {
		twin: { source: 'DeviceMessages', condition: "$twin.tags.floor = 5 AND seen = 'yes'" },
		envelope: { source: 'TwinChangeEvents', condition: "iothub-message-schema = 'twinChangeNotification' AND opType = 'updateTwin' AND twin_change_includes(tags.seen)" },
		device: { source: 'DeviceMessages', condition: "$connectionDeviceId = 'd2' AND seen = 'too'" },
	};
	for (const [id, route] of Object.entries(routes)) ok(await put(`/routes/seen-${id}`, { ...route, endpointNames: ['seen'] }));
	await hub.rest('PATCH', '/twins/d1', { body: { tags: { floor: 5, seen: 1 } } });
	await send('d1', 1, { 'iothub-app-seen': 'yes' });
	await send('d2', 2, { 'iothub-app-seen': 'yes' }); // on no floor
	await send('d2', 3, { 'iothub-app-seen': 'too' });
	await until(() => lines('seen.ndjson').length === 3, 'three events are in the file');
	assert.deepEqual(lines('seen.ndjson').map((e) => e.data.body?.n ?? e.data.tags.seen).sort(), [1, 1, 3]);
	for (const id of Object.keys(routes)) await hub.rest('DELETE', `/routes/seen-${id}`);
	await hub.rest('DELETE', '/sinks/seen');
});

test('E-36 E-38 a sink that is down holds up nobody, and gets all in order when it is back', async () => {
	ok(await put('/sinks/down', webhook({ batchEvents: 3 })));
	ok(await put('/routes/down', { source: 'DeviceMessages', endpointNames: ['down'] }));
	receiver.answer = () => 503;
	receiver.events.length = 0;
	await send('d3', 0);
	await until(async () => (await status('down')).attempts > 0);
	for (let n = 1; n < 20; n++) await send('d3', n);
	const seen = await status('down');
	assert.match(seen.lastError.message, /503/);
	assert.ok(seen.lag >= 19 && seen.delivered === 0, JSON.stringify(seen));
	receiver.answer = () => 200;
	await until(() => receiver.of('d3').length >= 20);
	assert.deepEqual(receiver.of('d3').map((e) => e.data.body.n), Array.from({ length: 20 }, (_, n) => n));
	await until(async () => (await status('down')).lag === 0);
});

test('E-36 what was acknowledged arrives at least once, in order of each device, over kills of the hub', async () => {
	receiver.events.length = 0;
	const sent = { k1: 0, k2: 0 }; // of their own: what others have sent may come again after a kill
	for (const device of Object.keys(sent)) await hub.createDevice(device);
	for (let round = 0; round < 3; round++) {
		const load = Object.keys(sent).map(async (device) => {
			for (let i = 0; i < 15; i++) {
				try {
					await send(device, sent[device] + 1);
				} catch {
					return; // it was not acknowledged; it may have been taken all the same
				}
				sent[device]++;
			}
		});
		await until(() => receiver.events.length > round * 10);
		await hub.kill();
		await Promise.all(load);
		await hub.start();
	}
	for (const device of Object.keys(sent)) {
		await until(() => new Set(receiver.of(device).map((e) => e.data.body.n)).size >= sent[device]);
		const first = new Map(); // n -> where it came first
		receiver.of(device).forEach((e, at) => { if (!first.has(e.data.body.n)) first.set(e.data.body.n, at); });
		const places = Array.from({ length: sent[device] }, (_, i) => first.get(i + 1));
		assert.ok(places.every((p) => p !== undefined), `${device}: ${places}`);
		assert.deepEqual(places, places.toSorted((a, b) => a - b), device);
	}
});

test('E-36 a sink goes on where it was, disabled or written anew; one that is new begins as it says', async () => {
	await until(async () => (await status('f')).lag === 0);
	const was = lines('a/events.ndjson').length;
	const { body } = ok(await hub.rest('GET', '/sinks/f'));
	ok(await put('/sinks/f', { ...body, enabled: false }));
	ok(await hub.rest('PATCH', '/twins/d1', { body: { tags: { b: 1 } } }));
	ok(await hub.rest('PATCH', '/twins/d1', { body: { tags: { b: 2 } } }));
	assert.equal((await status('f')).state, 'disabled');
	ok(await put('/sinks/f', { ...body, enabled: true }));
	await until(() => lines('a/events.ndjson').length >= was + 2);
	assert.deepEqual(lines('a/events.ndjson').slice(was).map((e) => e.data.tags.b), [1, 2]);
	const all = { kind: 'file', path: 'all.ndjson', from: 'earliest' };
	ok(await put('/sinks/all', { ...all, enabled: false }));
	ok(await put('/routes/all', { source: 'DeviceLifecycleEvents', endpointNames: ['all'] }));
	ok(await put('/sinks/all', all));
	await until(() => lines('all.ndjson').some((e) => e.type === 'Microsoft.Devices.DeviceDeleted'));
});

