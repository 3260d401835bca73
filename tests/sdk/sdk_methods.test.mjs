// Direct methods: through the SDKs of both sides, and bare for what no SDK does.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import tls from 'node:tls';
import { DESIRED_CHANGES, Inbox, mqttDevice, PACKET, startHub, stopAll, until, within } from '../lib/hub.mjs';
import { Mqtt, MqttWs, rejection, SdkDevice, sdkDevice } from '../lib/sdk.mjs';

const require = createRequire(import.meta.url);
const { Client: ServiceClient } = require('azure-iothub');
const { ModuleClient } = require('azure-iot-device');
const METHODS = '$iothub/methods/POST/#';
const hubs = [], open = new Set();
let hub, service;

before(async () => {
	hub = await startHub();
	hubs.push(hub);
	service = ServiceClient.fromConnectionString(await hub.connectionString('service'));
});
after(async () => {
	for (const c of open) await c.close().catch(() => {});
	await stopAll(...hubs);
});

const call = (id, body, options = {}) => hub.rest('POST', `/twins/${id}/methods`, { body, ...options });
const code = (answer) => /ErrorCode:(\w+);/.exec(answer.body.Message)?.[1];
// Format B: what a device did wrong.
const inner = (answer) => {
	assert.equal(answer.body.ExceptionMessage, '');
	const text = JSON.parse(answer.body.Message);
	assert.equal('info' in text, false);
	assert.match(text.timestampUtc, /Z$/);
	assert.ok(text.trackingId.length > 0 && text.message.length > 0);
	return text;
};

// What a bare device is asked: {name, rid, topic, payload (text), qos}.
async function asked(device, ms) {
	const p = await device.next(PACKET.PUBLISH, 'a method call', (q) => q.topic.startsWith('$iothub/methods/POST/'), ms);
	const [, name, rid] = /^\$iothub\/methods\/POST\/([^/]+)\/\?\$rid=([0-9a-z]+)$/.exec(p.topic);
	return { name, rid, topic: p.topic, payload: p.payload.toString(), qos: p.qos };
}
const answer = (device, rid, status, payload = '', options = {}) => device.publish(`$iothub/methods/res/${status}/?$rid=${rid}`, payload, options);

for (const [name, transport] of [['MQTT', Mqtt], ['MQTT over WebSocket', MqttWs]]) {
	test(`R-64 D-55 the SDKs: a device answers over ${name}`, async () => {
		const id = `sdk-${transport.name}`;
		const d = await sdkDevice(hub, id, { transport });
		open.add(d);
		const seen = new Inbox();
		d.client.onDeviceMethod('reboot', (request, response) => {
			seen.push(request.payload);
			response.send(201, { in: 5, said: request.payload }, (error) => assert.ifError(error));
		});
		const { result } = await until(() => service.invokeDeviceMethod(id, { methodName: 'reboot',
			payload: { delay: 1.5 }, responseTimeoutInSeconds: 10, connectTimeoutInSeconds: 10 }), 'the method is answered');
		assert.deepEqual(result, { status: 201, payload: { in: 5, said: { delay: 1.5 } } });
		assert.deepEqual(await seen.next(), { delay: 1.5 });
	});
}

test('R-71 a module answers its own methods, and not its device\'s', async () => {
	await hub.createDevice('mod');
	const made = await hub.rest('PUT', '/devices/mod/modules/m', { body: { deviceId: 'mod', moduleId: 'm' } });
	const key = made.body.authentication.symmetricKey.primaryKey;
	const client = ModuleClient.fromConnectionString(`HostName=${hub.addr};DeviceId=mod;ModuleId=m;SharedAccessKey=${key}`, Mqtt);
	await client.setOptions({ ca: hub.ca });
	const m = await SdkDevice.open(client);
	open.add(m);
	client.onMethod('where', (request, response) => response.send(200, { module: true }));
	const { result } = await service.invokeDeviceMethod('mod', 'm', { methodName: 'where', connectTimeoutInSeconds: 10, responseTimeoutInSeconds: 10 });
	assert.deepEqual(result, { status: 200, payload: { module: true } });
	assert.equal((await call('mod', { methodName: 'where' })).headers['iothub-errorcode'], 'DeviceNotOnline');
});

test('D-55 the call on the wire: topic, QoS 0, the payload alone', async () => {
	const d = await mqttDevice(hub, 'wire', { filters: [METHODS] });
	const pending = call('wire', { methodName: 'do-it', payload: { a: [1, 1.0, 'x'], b: null } });
	const request = await asked(d);
	assert.equal(request.name, 'do-it');
	assert.equal(request.qos, 0);
	assert.equal(request.payload, '{"a":[1,1.0,"x"],"b":null}'.replace('1.0', JSON.stringify(1.0)));
	await answer(d, request.rid, 200, '{"ok":true}');
	assert.deepEqual((await pending).body, { status: 200, payload: { ok: true } });
	d.destroy();
});

test('D-56 without a payload the device gets no byte, with null the four bytes null; as the job says, as the command does', async () => {
	const d = await mqttDevice(hub, 'nulls', { filters: [METHODS] });
	const job = (id, more) => () => hub.rest('PUT', `/jobs/v2/${id}`, { body: { jobId: id, type: 'scheduleDeviceMethod', queryCondition: "deviceId = 'nulls'",
		cloudToDeviceMethod: { methodName: 'm', ...more } } });
	for (const [send, text] of [[() => call('nulls', { methodName: 'm' }), ''], [() => call('nulls', { methodName: 'm', payload: null }), 'null'],
		[job('d56-absent', {}), ''], [job('d56-null', { payload: null }), 'null'],
		[() => hub.cli(['method', 'invoke', 'nulls', 'm']).then(({ code }) => ({ status: code === 0 ? 200 : code })), 'null']]) {
		const pending = send();
		const request = await asked(d);
		assert.equal(request.payload, text);
		await answer(d, request.rid, 200);
		assert.equal((await pending).status, 200);
	}
	for (const payload of [0, 7, 'text', false, [], {}]) {
		const pending = call('nulls', { methodName: 'm', payload });
		const request = await asked(d);
		assert.equal(request.payload, JSON.stringify(payload));
		await answer(d, request.rid, 200, JSON.stringify(payload));
		assert.deepEqual((await pending).body, { status: 200, payload });
	}
	d.destroy();
});

test('R-65 D-57 both members are always there; the device\'s status is its own', async () => {
	const d = await mqttDevice(hub, 'members', { filters: [METHODS] });
	for (const [status, payload, want] of [[200, '', null], [404, 'null', null], [-1, '{}', {}], [0, '[1]', [1]], [2147483647, '"x"', 'x']]) {
		const pending = call('members', { methodName: 'm' });
		await answer(d, (await asked(d)).rid, status, payload);
		const got = await pending;
		assert.equal(got.status, 200);
		assert.match(got.text, /^\{"status":-?\d+,"payload":.+\}$/);
		assert.deepEqual(got.body, { status, payload: want });
	}
	d.destroy();
});

test('R-66 D-59 offline, or not subscribed: 404103 at once, in format B', async () => {
	await hub.createDevice('offline');
	const off = await call('offline', { methodName: 'm', responseTimeoutInSeconds: 300 }); // call() waits for less
	assert.equal(off.status, 404);
	assert.equal(off.headers['iothub-errorcode'], 'DeviceNotOnline');
	assert.equal(inner(off).errorCode, 404103);
	const d = await mqttDevice(hub, 'deaf', { filters: [DESIRED_CHANGES] });
	assert.equal(inner(await call('deaf', { methodName: 'm' })).errorCode, 404103);
	d.destroy();
	const error = await rejection(service.invokeDeviceMethod('offline', { methodName: 'm' }));
	assert.equal(error.response.statusCode, 404);
});

test('R-67 L-71 a call waits for its device to connect and to subscribe', async () => {
	await hub.createDevice('later');
	const pending = call('later', { methodName: 'm', connectTimeoutInSeconds: 30, responseTimeoutInSeconds: 30, payload: 1 });
	const d = await mqttDevice(hub, 'later', { filters: [DESIRED_CHANGES] });
	const [codes, request] = await Promise.all([d.subscribe(METHODS), asked(d)]);
	assert.deepEqual(codes, [0]);
	assert.equal(request.payload, '1');
	await answer(d, request.rid, 202, '2');
	assert.deepEqual((await pending).body, { status: 202, payload: 2 });
	d.destroy();
});

test('R-67 D-21 a durable session that listens is called after its CONNACK', async () => {
	const first = await mqttDevice(hub, 'durable', { filters: [METHODS] });
	await first.disconnect();
	await until(async () => (await hub.rest('GET', '/devices/durable')).body.connectionState === 'Disconnected', 'it is gone');
	const pending = call('durable', { methodName: 'm', connectTimeoutInSeconds: 30 });
	const again = await mqttDevice(hub, 'durable', { filters: [] });
	assert.equal(again.sessionPresent, true);
	const request = await asked(again);
	await answer(again, request.rid, 200, '{}');
	assert.equal((await pending).status, 200);
	again.destroy();
});

test('R-67 the connect timeout ends the wait with 404103', async () => {
	await hub.createDevice('never');
	const begun = Date.now();
	const got = await call('never', { methodName: 'm', connectTimeoutInSeconds: 1 });
	assert.ok(Date.now() - begun >= 1000);
	assert.equal(inner(got).errorCode, 404103);
	const d = await mqttDevice(hub, 'never', { filters: [METHODS] }); // nothing is sent to it now
	await d.ping();
	assert.equal(d.inbox.take().filter((p) => p.type === PACKET.PUBLISH).length, 0);
	d.destroy();
});

test('R-68 D-60 T-115 no answer: 504101 after the response timeout; a late one is nobody\'s (D-58)', async () => {
	const d = await mqttDevice(hub, 'silent', { filters: [METHODS] });
	const begun = Date.now();
	const pending = call('silent', { methodName: 'm', responseTimeoutInSeconds: 5 });
	const request = await asked(d);
	const got = await pending;
	assert.ok(Date.now() - begun >= 5000);
	assert.equal(got.status, 504);
	assert.equal(got.headers['iothub-errorcode'], 'GatewayTimeout');
	assert.equal(inner(got).errorCode, 504101);
	await answer(d, request.rid, 200, '{}', { qos: 1 }); // the PUBACK comes all the same
	await answer(d, 'zz', 200, '{}', { qos: 1 });
	await d.ping();
	d.destroy();
});

test('R-69 O-91 unknown or disabled device, unknown module: 404 in format A', async () => {
	const unknown = await call('nobody', { methodName: 'm', connectTimeoutInSeconds: 100 });
	assert.equal(unknown.status, 404);
	assert.equal(code(unknown), 'DeviceNotFound');
	assert.match(unknown.body.Message, /;nobody$/);
	await hub.createDevice('off', { status: 'disabled' });
	const off = await call('off', { methodName: 'm', connectTimeoutInSeconds: 100 });
	assert.equal(off.status, 404);
	assert.equal(code(off), 'DeviceNotFound');
	assert.match(off.body.Message, /;off: the device is disabled$/);
	await hub.createDevice('nomod');
	const module = await hub.rest('POST', '/twins/nomod/modules/m/methods', { body: { methodName: 'm' } });
	assert.equal(module.status, 404);
	assert.equal(code(module), 'ModuleNotFound');
	assert.equal(code(await call('nobody', 'no JSON', {})), 'DeviceNotFound'); // T-116
	assert.equal((await rejection(service.invokeDeviceMethod('nobody', { methodName: 'm' }))).name, 'DeviceNotFoundError');
});

test('R-69 a device that is deleted or disabled while a call waits for it', async () => {
	for (const [id, end] of [['dies', () => hub.rest('DELETE', '/devices/dies')],
		['stopped', () => hub.rest('PUT', '/devices/stopped', { body: { deviceId: 'stopped', status: 'disabled' }, headers: { 'If-Match': '*' } })]]) {
		await hub.createDevice(id);
		const pending = call(id, { methodName: 'm', connectTimeoutInSeconds: 100 });
		await call(id, { methodName: 'other' }); // behind the first, in the shard's order
		await end();
		const got = await pending;
		assert.equal(got.status, 404);
		assert.equal(code(got), 'DeviceNotFound');
	}
});

test('R-70 L-70 no name, a bad name, bad timeouts: 400', async () => {
	await hub.createDevice('bad');
	for (const body of [{}, { methodName: '' }, { methodName: [7] }, { methodName: 'a/b' }, { methodName: 'a b' }, { methodName: 'a$b' },
		{ methodName: 'x'.repeat(129) }, { methodName: 'm', responseTimeoutInSeconds: 4 }, { methodName: 'm', responseTimeoutInSeconds: 301 },
		{ methodName: 'm', responseTimeoutInSeconds: 'x' }, { methodName: 'm', connectTimeoutInSeconds: -1 },
		{ methodName: 'm', connectTimeoutInSeconds: 301 }, { methodName: 'm', responseTimeoutInSeconds: 5.5 }])
		assert.equal((await call('bad', body)).status, 400, JSON.stringify(body));
	for (const body of [{ methodName: 'm', responseTimeoutInSeconds: 5 }, { methodName: 'm', responseTimeoutInSeconds: 300 },
		{ methodName: 'x'.repeat(128) }, { methodName: 'm', timeoutInSeconds: 100000 }, { methodName: 'm', responseTimeoutInSeconds: null }])
		assert.equal(inner(await call('bad', body)).errorCode, 404103, JSON.stringify(body));
});

test('L-69 payloads: 128 KB each way, 413 and 502 above; no JSON is 502', async () => {
	const d = await mqttDevice(hub, 'large', { filters: [METHODS] });
	const most = 'x'.repeat(128 * 1024 - 2);
	let pending = call('large', { methodName: 'm', payload: most });
	let request = await asked(d);
	assert.equal(request.payload.length, 128 * 1024);
	await answer(d, request.rid, 200, JSON.stringify(most));
	assert.equal((await pending).body.payload, most);
	const over = await call('large', { methodName: 'm', payload: most + 'x' });
	assert.equal(over.status, 413);
	assert.equal(code(over), 'MessageTooLarge');
	for (const bytes of [JSON.stringify(most + 'x'), 'no JSON', '{"a":', '{} {}', Buffer.from([0x22, 0xff, 0x22])]) {
		pending = call('large', { methodName: 'm' });
		request = await asked(d);
		await answer(d, request.rid, 200, bytes);
		const got = await pending;
		assert.equal(got.status, 502);
		assert.equal(got.headers['iothub-errorcode'], 'GenericBadGateway');
		assert.equal(inner(got).errorCode, 502000);
	}
	d.destroy();
});

test('T-115 the link is lost while the call waits: 404104 at once, never sent again', async () => {
	for (const end of ['destroy', 'takeover', 'disconnect']) {
		const id = `lost-${end}`;
		const d = await mqttDevice(hub, id, { filters: [METHODS] });
		const pending = call(id, { methodName: 'm', responseTimeoutInSeconds: 300, connectTimeoutInSeconds: 300 });
		await asked(d);
		let next;
		if (end === 'destroy') d.destroy();
		else if (end === 'disconnect') await d.disconnect();
		else next = await mqttDevice(hub, id, { filters: [METHODS] });
		const got = await pending;
		assert.equal(got.status, 404);
		assert.equal(got.headers['iothub-errorcode'], 'DeviceConnectionClosedRemotely');
		assert.equal(inner(got).errorCode, 404104);
		next ??= await mqttDevice(hub, id, { filters: [METHODS] });
		await next.ping();
		assert.equal(next.inbox.take().filter((p) => p.type === PACKET.PUBLISH).length, 0);
		next.destroy();
	}
});

test('D-55 D-58 several at once, answered in any order, each once', async () => {
	const d = await mqttDevice(hub, 'many', { filters: [METHODS] });
	const pending = Array.from({ length: 40 }, (_, i) => call('many', { methodName: `m${i}`, payload: i }));
	const requests = [];
	for (let i = 0; i < 40; i++) requests.push(await asked(d));
	assert.equal(new Set(requests.map((r) => r.rid)).size, 40);
	for (const r of requests.reverse()) {
		await answer(d, r.rid, 200, JSON.stringify({ name: r.name, payload: r.payload }));
		await answer(d, r.rid, 500, '"again"');
	}
	for (const [i, p] of pending.entries())
		assert.deepEqual((await p).body, { status: 200, payload: { name: `m${i}`, payload: String(i) } });
	d.destroy();
});

test('L-84 calls of one device are bounded: 429 for the 65th; the others go on', async () => {
	const d = await mqttDevice(hub, 'bound', { filters: [METHODS] });
	const pending = [];
	for (let i = 0; i < 64; i++) {
		pending.push(call('bound', { methodName: 'm' }));
		await asked(d);
	}
	const more = await call('bound', { methodName: 'm' });
	assert.equal(more.status, 429);
	assert.equal(code(more), 'DeviceThrottlingLimitExceeded');
	const other = await mqttDevice(hub, 'free', { filters: [METHODS] });
	const one = call('free', { methodName: 'm' });
	await answer(other, (await asked(other)).rid, 200);
	assert.equal((await one).status, 200);
	assert.equal((await hub.rest('GET', '/twins/bound')).status, 200);
	d.destroy();
	for (const p of pending) assert.equal((await p).status, 404);
	other.destroy();
});

test('D-59 a filter of one method hears that method only', async () => {
	const d = await mqttDevice(hub, 'one', { filters: ['$iothub/methods/POST/reboot/#'] });
	assert.equal(inner(await call('one', { methodName: 'update' })).errorCode, 404103);
	const waiting = call('one', { methodName: 'update', connectTimeoutInSeconds: 30 });
	const pending = call('one', { methodName: 'reboot' });
	const request = await asked(d);
	assert.equal(request.name, 'reboot');
	await answer(d, request.rid, 200);
	assert.equal((await pending).status, 200);
	await d.subscribe('$iothub/methods/POST/update/#');
	await answer(d, (await asked(d)).rid, 200);
	assert.equal((await waiting).status, 200);
	await d.unsubscribe('$iothub/methods/POST/reboot/#');
	assert.equal(inner(await call('one', { methodName: 'reboot' })).errorCode, 404103);
	d.destroy();
});

test('R-64 an answer with another\'s rid is not taken', async () => {
	const one = await mqttDevice(hub, 'thief-1', { filters: [METHODS] });
	const two = await mqttDevice(hub, 'thief-2', { filters: [METHODS] });
	const pending = call('thief-1', { methodName: 'm' });
	const request = await asked(one);
	await answer(two, request.rid, 200, '"stolen"', { qos: 1 });
	await answer(one, request.rid, 200, '"mine"', { qos: 1 });
	assert.equal((await pending).body.payload, 'mine');
	one.destroy();
	two.destroy();
});

test('R-68 a caller that leaves: the device answers nobody, and the hub goes on', async () => {
	const d = await mqttDevice(hub, 'left', { filters: [METHODS] });
	const authorization = await hub.token();
	for (const cut of ['before', 'after']) {
		const socket = tls.connect({ host: hub.addr, port: hub.httpsPort, ca: hub.pem });
		await once(socket, 'secureConnect');
		const body = '{"methodName":"m"}';
		socket.write(`POST /twins/left/methods?api-version=2021-04-12 HTTP/1.1\r\nHost: ${hub.addr}\r\nAuthorization: ${authorization}\r\n` +
			`Content-Length: ${body.length}\r\n\r\n${body}`);
		const request = await asked(d);
		if (cut === 'before') socket.destroy();
		await answer(d, request.rid, 200, '{}', { qos: 1 });
		socket.destroy();
	}
	const pending = call('left', { methodName: 'm' });
	await answer(d, (await asked(d)).rid, 200);
	assert.equal((await pending).status, 200);
	d.destroy();
});

test('R-12 methods need ServiceConnect', async () => {
	await hub.createDevice('rights');
	assert.equal((await call('rights', { methodName: 'm' }, { policy: 'registryReadWrite' })).status, 401);
	assert.equal((await call('rights', { methodName: 'm' }, { policy: 'service' })).status, 404);
});

test('R-69 a call of a module of a disabled device is DeviceNotFound', async () => {
	await hub.createDevice('offmod');
	await hub.rest('PUT', '/devices/offmod/modules/m', { body: { deviceId: 'offmod', moduleId: 'm' } });
	await hub.rest('PUT', '/devices/offmod', { body: { deviceId: 'offmod', status: 'disabled' }, headers: { 'If-Match': '*' } });
	const got = await hub.rest('POST', '/twins/offmod/modules/m/methods', { body: { methodName: 'm' } });
	assert.equal(code(got), 'DeviceNotFound');
});

test('L-91 a hub that stops answers 503 to those who wait', async () => {
	const other = await startHub();
	hubs.push(other);
	await other.createDevice('wait');
	const d = await mqttDevice(other, 'there', { filters: [METHODS] });
	const calls = [other.rest('POST', '/twins/wait/methods', { body: { methodName: 'm', connectTimeoutInSeconds: 300 } }),
		other.rest('POST', '/twins/there/methods', { body: { methodName: 'm', responseTimeoutInSeconds: 300 } })];
	await asked(d);
	await other.rest('POST', '/twins/wait/methods', { body: { methodName: 'm' } });
	const stopped = within(other.stop(), 'the hub to stop');
	for (const c of calls) assert.equal((await c).status, 503);
	await stopped;
});
