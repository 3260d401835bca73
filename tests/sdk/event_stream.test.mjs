// Events as they happen (events.md): GET /events with EventSource and as lines, and `twinhub monitor`.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import https from 'node:https';
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { BINARY, Inbox, mqttDevice, startHub, stopAll, until, within } from '../lib/hub.mjs';
import { Client, Message, Mqtt } from '../lib/sdk.mjs';

const EventSource = createRequire(import.meta.url)('eventsource');
const API = 'api-version=2021-04-12';
let hub;

before(async () => { hub = await startHub(); });
after(() => stopAll(hub));

// All events that are there, by lines of JSON.
async function lines(parameters = 'from=earliest') {
	const answer = await hub.rest('GET', `/events?follow=false&${parameters}`);
	assert.equal(answer.status, 200, answer.text);
	const all = answer.text.trimEnd().split('\n').map((line) => JSON.parse(line));
	return { events: all.filter((e) => e.specversion), position: all.at(-1).position };
}

async function listen(parameters, { lastEventId } = {}) {
	const inbox = new Inbox();
	const headers = { Authorization: await hub.token(), ...(lastEventId ? { 'Last-Event-ID': lastEventId } : {}) };
	const source = new EventSource(`https://${hub.addr}/events?${API}&${parameters}`, { headers, https: { ca: hub.pem } });
	source.onmessage = (message) => inbox.push({ ...JSON.parse(message.data), lastEventId: message.lastEventId });
	source.onerror = (error) => { if (error.status) inbox.end(new Error(`status ${error.status}`)); };
	await within(new Promise((resolve) => { source.onopen = resolve; }), 'the stream opens');
	return { inbox, source, next: (what) => inbox.next(undefined, what), close: () => source.close() };
}

const patch = (id, body) => hub.rest('PATCH', `/twins/${id}`, { body });

test('T-93 T-94 T-95 T-99 E-01 E-20 E-23 E-24 each thing that happened is an event, in the order of its device', async () => {
	await hub.createDevice('all');
	await patch('all', { tags: { floor: 3 }, properties: { desired: { a: { b: 1 }, c: 2 } } });
	await patch('all', { properties: { desired: { c: null } } });
	await hub.rest('PUT', '/twins/all', { body: { tags: { floor: 4 }, properties: { desired: { d: 1 } } } });
	await patch('all', { tags: { floor: 4 } }); // nothing changes
	assert.equal((await hub.rest('DELETE', '/devices/all', { headers: { 'If-Match': '*' } })).status, 204);
	const { events } = await lines('from=earliest&device=all');
	assert.deepEqual(events.map((e) => e.type), ['Microsoft.Devices.DeviceCreated', 'twinhub.twin.changed', 'twinhub.twin.changed',
		'twinhub.twin.replaced', 'Microsoft.Devices.DeviceDeleted']);
	for (const e of events) {
		assert.equal(e.specversion, '1.0');
		assert.equal(e.subject, 'devices/all');
		assert.equal(e.source, `/hubs/${hub.addr}`);
		assert.equal(e.twinhubactor, 'policy:iothubowner');
		assert.match(e.id, /^\d+-\d+$/);
		assert.ok(Math.abs(Date.parse(e.time) - Date.now()) < 600_000);
	}
	const [created, first, removed, replaced, deleted] = events.map((e) => e.data);
	assert.equal(created.twin.version, 2);
	assert.equal(created.deviceId, 'all');
	assert.equal(created.twin.symmetricKey, undefined);
	assert.deepEqual({ ...first, properties: { desired: { ...first.properties.desired, $metadata: 0 } } },
		{ version: 3, tags: { floor: 3 }, properties: { desired: { a: { b: 1 }, c: 2, $metadata: 0, $version: 2 } } });
	assert.equal(first.properties.desired.$metadata.a.b.$lastUpdatedVersion, 2);
	assert.equal(removed.properties.desired.c, null);
	assert.equal(removed.properties.desired.$metadata.c, undefined);
	assert.deepEqual(Object.keys(replaced), ['deviceId', 'etag', 'version', 'tags', 'properties']);
	assert.equal(replaced.tags.floor, 4);
	assert.equal(replaced.properties.desired.a, undefined);
	assert.equal(deleted.twin.tags.floor, 4);
	assert.equal(deleted.twin.properties.desired.d, 1);
});

test('E-24 T-102 a message of the SDK comes with properties, system properties and body', async () => {
	await hub.createDevice('talks');
	const client = Client.fromConnectionString(await hub.deviceConnectionString('talks'), Mqtt);
	client.setOptions({ ca: hub.pem });
	await client.open();
	const json = new Message(JSON.stringify({ temperature: 21.5 }));
	json.contentType = 'application/json';
	json.contentEncoding = 'utf-8';
	json.messageId = 'm-1';
	json.properties.add('alert', 'yes');
	json.properties.add('message-id', 'its own');
	await client.sendEvent(json);
	await client.sendEvent(new Message('{"not": "said to be JSON"}'));
	await client.close();
	const [first, second] = (await lines('from=earliest&device=talks&source=devicemessages')).events;
	assert.equal(first.type, 'Microsoft.Devices.DeviceTelemetry');
	assert.deepEqual(first.data.body, { temperature: 21.5 });
	assert.deepEqual(first.data.properties, { alert: 'yes', 'message-id': 'its own' });
	assert.equal(first.data.systemProperties['message-id'], 'm-1');
	assert.equal(first.data.systemProperties['iothub-connection-device-id'], 'talks');
	assert.equal(first.twinhubactor, 'device:talks');
	assert.equal(Buffer.from(second.data.body, 'base64').toString(), '{"not": "said to be JSON"}');
});

test('E-21 E-25 EventSource hears of a change, and goes on where it was after a restart', async () => {
	await hub.createDevice('heard');
	const stream = await listen('source=TwinChangeEvents&device=heard&from=now');
	await patch('heard', { tags: { n: 1 } });
	assert.equal((await stream.next('the first change')).data.tags.n, 1);
	await hub.restart(); // EventSource connects anew by itself, with the last id
	await until(async () => (await patch('heard', { tags: { n: 2 } })).status === 200, 'the hub is there again');
	assert.equal((await stream.next('the second change')).data.tags.n, 2);
	await patch('heard', { tags: { n: 3 } });
	const third = await stream.next('the third change');
	assert.equal(third.data.tags.n, 3);
	stream.close();
	assert.notEqual(third.lastEventId, '');
	const again = await listen('source=TwinChangeEvents&device=heard', { lastEventId: third.lastEventId });
	await patch('heard', { tags: { n: 4 } });
	for (let n = third.data.tags.n; n !== 4;) n = (await again.next('the fourth change')).data.tags.n;
	again.close();
});

test('E-11 what comes behind a position comes once', async () => {
	for (let i = 0; i < 30; i++) await hub.createDevice(`once${i}`);
	const { position } = await lines();
	assert.ok(position.length <= 300);
	for (let i = 0; i < 30; i++) await patch(`once${i}`, { tags: { i } });
	await hub.restart();
	const { events } = await lines(`from=${position}`);
	assert.deepEqual(events.map((e) => e.subject).sort(), Array.from({ length: 30 }, (_, i) => `devices/once${i}`).sort());
	assert.equal(new Set(events.map((e) => e.id)).size, 30);
	assert.deepEqual((await lines(`from=${(await lines(`from=${position}`)).position}`)).events, []);
});

test('E-21 from a time, what is older does not come', async () => {
	await hub.createDevice('timed');
	await patch('timed', { tags: { when: 'before' } });
	const { body } = await hub.rest('GET', '/twins/timed');
	await patch('timed', { properties: { desired: { when: 'between' } } });
	const between = (await hub.rest('GET', '/twins/timed')).body.properties.desired.$metadata.when.$lastUpdated;
	assert.ok(body);
	const { events } = await lines(`device=timed&from=${encodeURIComponent(between)}`);
	assert.deepEqual(events.map((e) => e.data.properties?.desired?.when), ['between']);
});

test('E-22 only what was asked for: sources, modules, paths', async () => {
	await hub.createDevice('picked');
	await hub.rest('PUT', '/devices/picked/modules/m1', { body: { deviceId: 'picked', moduleId: 'm1' } });
	await patch('picked', { tags: { a: { b: 1 } } });
	await patch('picked', { properties: { desired: { a: 1 } } });
	await hub.rest('PATCH', '/twins/picked/modules/m1', { body: { properties: { desired: { a: { b: 2, c: 3 } } } } });
	const types = async (parameters) => (await lines(`from=earliest&device=picked&${parameters}`)).events.map((e) => `${e.subject.slice('devices/picked'.length)} ${e.type.split('.').at(-1)}`);
	assert.deepEqual(await types('source=DeviceLifecycleEvents'), [' DeviceCreated', '/modules/m1 DeviceCreated']);
	assert.deepEqual(await types('module=m1'), ['/modules/m1 DeviceCreated', '/modules/m1 changed']);
	assert.deepEqual(await types('path=tags.a.b'), [' changed']);
	assert.deepEqual(await types('path=tags.a.c'), []);
	assert.deepEqual(await types('path=properties.desired.a.b'), [' changed', '/modules/m1 changed']); // a became 1: what was below is gone
	assert.deepEqual(await types('path=properties.reported'), []);
	await hub.rest('PUT', '/twins/picked', { body: { tags: { a: { b: 9 } }, properties: { desired: { a: 1 } } } });
	assert.deepEqual(await types('path=tags.z'), []); // a twin that was replaced is no change of every path
	assert.deepEqual(await types('path=tags.a.b'), [' changed', ' replaced']);
});

test('E-22 Q-66 Q-67 Q-80 Q-92 by a routing condition: properties, body, twin, what a change includes', async () => {
	await hub.createDevice('judged');
	await patch('judged', { tags: { floor: 3 } });
	await patch('judged', { properties: { desired: { a: 1 } } });
	const device = await mqttDevice(hub, 'judged', { filters: [] });
	const send = (bag, body) => device.publish(`devices/judged/messages/events/${bag}`, body, { qos: 1 });
	await send('$.ct=application%2Fjson&$.ce=utf-8&level=alarm', '{"t":90}');
	await send('$.ct=application%2Fjson&$.ce=utf-8&level=info', '{"t":95}');
	await send('level=alarm', '{"t":99}'); // not said to be JSON
	await hub.rest('DELETE', '/devices/judged', { headers: { 'If-Match': '*' } });
	const found = async (where, more = '') => (await lines(`from=earliest&device=judged${more}&where=${encodeURIComponent(where)}`)).events
		.map((e) => e.data.body?.t ?? e.data.version ?? e.type.split('.').at(-1));
	assert.deepEqual(await found("level = 'alarm' AND $body.t > 80"), [90]);
	assert.deepEqual(await found('$body.t > 80'), [90, 95]);
	assert.deepEqual(await found("$connectionDeviceId = 'judged' AND level = 'info'"), [95]);
	assert.deepEqual(await found('twin_change_includes(tags.floor)', '&source=TwinChangeEvents'), [3]);
	assert.deepEqual(await found("opType = 'deleteDeviceIdentity'"), ['DeviceDeleted']);
	assert.deepEqual(await found('$body.properties.desired.a = 1', '&source=TwinChangeEvents'), [4]);
	await hub.createDevice('judged2');
	await patch('judged2', { tags: { floor: 5 } });
	const other = await lines(`from=earliest&device=judged2&where=${encodeURIComponent('$twin.tags.floor = 5')}`);
	assert.equal(other.events.length, 2);
	const wrong = await hub.rest('GET', `/events?where=${encodeURIComponent("level = 'alarm' AND (")}`);
	assert.equal(wrong.status, 400);
	assert.match(wrong.text, /where, line 1, column \d+: /);
});

test('E-10 E-21 E-22 what is no position, source, path or parameter is refused by name', async () => {
	const refused = async (parameters, says, headers = {}) => {
		const answer = await hub.rest('GET', `/events?${parameters}`, { headers });
		assert.equal(answer.status, 400, parameters);
		assert.match(answer.text, says);
	};
	await refused('source=Telemetry', /Telemetry is none of DeviceMessages/);
	await refused('path=desired.a', /desired\.a does not begin with tags/);
	await refused('from=yesterday', /no position of the event log, nor now, earliest or a time/);
	await refused('frm=now', /frm is no parameter/);
	await refused('', /no position/, { 'Last-Event-ID': 'x' });
	await refused('follow=perhaps', /follow/);
	const other = await startHub();
	const { position } = JSON.parse((await other.rest('GET', '/events?follow=false')).text.trim().split('\n').at(-1));
	await stopAll(other);
	await refused(`from=${position}`, /another hub/);
	assert.equal((await hub.rest('GET', '/events', { policy: 'registryRead' })).status, 401);
});

// A bare request, whose answer is read as far as one likes.
async function raw(parameters) {
	const headers = { Authorization: await hub.token() };
	return new Promise((resolve, reject) => https.get({ host: hub.addr, path: `/events?${API}&${parameters}`, headers, ca: hub.pem, agent: false }, resolve).on('error', reject));
}

test('E-20 answers come whole, on connections that are not kept, while the log grows', async () => {
	await hub.createDevice('grows');
	let over = false;
	const writes = (async () => { for (let n = 0; !over; n++) await patch('grows', { tags: { n } }); })();
	for (let round = 0; round < 60; round++) {
		const texts = await Promise.all(Array.from({ length: 4 }, async () => {
			const answer = await raw('from=earliest&follow=false&device=grows');
			let text = '';
			answer.on('data', (piece) => { text += piece; });
			await new Promise((resolve, reject) => { answer.on('end', resolve).on('error', reject); }); // an answer that is cut is an error
			return text;
		}));
		for (const text of texts) assert.ok(JSON.parse(text.trimEnd().split('\n').at(-1)).position, 'the last line is a position');
	}
	over = true;
	await writes;
});

test('E-08 an identity that has changed is in its history, and no event', async () => {
	const identity = await hub.createDevice('other');
	const put = await hub.rest('PUT', '/devices/other', { body: { ...identity, status: 'disabled' }, headers: { 'If-Match': '*' } });
	assert.equal(put.status, 200, put.text);
	await patch('other', { tags: { a: 1 } });
	assert.deepEqual((await lines('from=earliest&device=other')).events.map((e) => e.type), ['Microsoft.Devices.DeviceCreated', 'twinhub.twin.changed']);
	assert.deepEqual((await hub.rest('GET', '/twins/other/history')).body.map((e) => e.change), ['changed', 'identityChanged', 'created']);
});

test('E-27 the readers of one policy have a bound, and one that leaves makes room', async () => {
	const open = [];
	for (let i = 0; i < 16; i++) open.push(await raw('from=now'));
	for (const answer of open) assert.equal(answer.statusCode, 200);
	const refused = await hub.rest('GET', '/events');
	assert.equal(refused.status, 429);
	assert.match(refused.text, /16 readers of events are open for this policy/);
	open[0].destroy();
	await until(async () => (await raw('follow=false')).statusCode === 200, 'there is room again');
	for (const answer of open) answer.destroy();
});

test('E-26 one that does not read is cut, others hear all the same', async () => {
	await hub.createDevice('many');
	const slow = await raw('from=now&source=DeviceMessages');
	slow.pause();
	slow.on('error', () => {});
	const other = await listen('from=now&source=DeviceMessages&device=many');
	const device = await mqttDevice(hub, 'many', { filters: [] });
	const body = Buffer.alloc(200_000, 'x');
	for (let i = 0; i < 80; i++) await device.publish('devices/many/messages/events/', body, { qos: 1 });
	for (let i = 0; i < 80; i++) await other.next(`message ${i}`);
	other.close();
	await until(() => /slow-reader/.test(hub.logs), 'the log says why it is closed');
	slow.destroy();
	device.end?.();
});

// What a stream of lines says of its end; its policy is made for it.
async function farewell(policy, ends, { ttl = 3600 } = {}) {
	assert.equal((await hub.rest('PUT', `/admin/policies/${policy}?rights=ServiceConnect`)).status, 200);
	const headers = { Authorization: await hub.token({ policy, ttl }) };
	const answer = await new Promise((resolve, reject) => https.get({ host: hub.addr, path: `/events?${API}`, headers, ca: hub.pem, agent: false }, resolve).on('error', reject));
	assert.equal(answer.statusCode, 200);
	let text = '';
	answer.on('data', (piece) => { text += piece; });
	const over = new Promise((resolve) => { answer.on('close', resolve); });
	await ends(policy);
	await within(over, 'the stream ends');
	await until(() => hub.logs.includes(`policy=${policy}`), 'the log tells of it');
	return JSON.parse(text.trimEnd().split('\n').at(-1));
}

test('E-29 a stream ends with what opened it, and says why', async () => {
	assert.deepEqual(await farewell('rotated', (name) => hub.rest('POST', `/admin/policies/${name}/rotate?key=primary`)),
		{ closed: 'policy-key-changed', text: 'the key of its token is the policy\'s no more' });
	assert.equal((await farewell('kept', async (name) => { // as long as all of it counts it goes on
		await hub.rest('POST', `/admin/policies/${name}/rotate?key=secondary`);
		await new Promise((resolve) => { setTimeout(resolve, 2500); });
		assert.doesNotMatch(hub.logs, /policy=kept/);
		await hub.rest('DELETE', `/admin/policies/${name}`);
	})).closed, 'policy-key-changed');
	assert.equal((await farewell('removed', (name) => hub.rest('DELETE', `/admin/policies/${name}`))).closed, 'policy-key-changed');
	assert.equal((await farewell('short', () => {}, { ttl: -298 })).closed, 'token-end'); // 300 s are forgiven
});

test('E-29 one that goes on is told when the hub stops', async () => {
	const other = await startHub();
	const headers = { Authorization: await other.token() };
	const source = new EventSource(`https://${other.addr}/events?${API}`, { headers, https: { ca: other.pem } });
	const closed = new Promise((resolve) => { source.addEventListener('closed', (message) => resolve(JSON.parse(message.data))); });
	await within(new Promise((resolve) => { source.onopen = resolve; }), 'the stream opens');
	await stopAll(other);
	assert.equal((await within(closed, 'the last word')).reason, 'stopping');
	source.close();
});

test('E-29 clients that leave in the moment in which the hub stops', async () => {
	for (let round = 0; round < 4; round++) {
		const other = await startHub();
		const headers = { Authorization: await other.token() };
		const open = await Promise.all(Array.from({ length: 12 }, () => new Promise((resolve, reject) => {
			const request = https.get({ host: other.addr, path: `/events?${API}`, headers, ca: other.pem, agent: false }, () => resolve(request)).on('error', reject);
		})));
		for (const request of open) request.on('error', () => {});
		const over = stopAll(other); // fails if the hub does not end as it should
		for (const request of open) {
			request.destroy();
			await new Promise((resolve) => { setTimeout(resolve, Math.random()); });
		}
		await over;
	}
});

test('`twinhub monitor` shows them on a line each, and as CloudEvents', async () => {
	await hub.createDevice('watched');
	await patch('watched', { properties: { desired: { a: 1 } } });
	const shown = await hub.cli(['monitor', '--device', 'watched', '--from', 'earliest', '--no-follow', '--table']);
	assert.equal(shown.code, 0, shown.stderr);
	assert.match(shown.stdout, /watched {2}DeviceCreated {2}policy:iothubowner/);
	assert.match(shown.stdout, /watched {2}twin\.changed {2}policy:iothubowner {2}\{"version":3,"properties":\{"desired":\{"a":1,"\$version":2\}\}\}/);
	const json = await hub.cli(['monitor', '--device', 'watched', '--from', 'earliest', '--no-follow', '--json']);
	assert.deepEqual(json.stdout.trimEnd().split('\n').map((line) => JSON.parse(line).type), ['Microsoft.Devices.DeviceCreated', 'twinhub.twin.changed']);
	const wrong = await hub.cli(['monitor', '--source', 'x', '--no-follow']);
	assert.equal(wrong.code, 1);
	assert.match(wrong.stderr, /x is none of DeviceMessages/);
});

test('`twinhub monitor` goes on after the hub was away', async () => {
	await hub.createDevice('away');
	const monitor = spawn(BINARY, ['monitor', '--data', hub.dir, '--device', 'away', '--from', 'earliest', '--json'], { stdio: ['ignore', 'pipe', 'pipe'] });
	const inbox = new Inbox();
	let rest = '';
	monitor.stdout.on('data', (text) => {
		rest += text;
		const all = rest.split('\n');
		rest = all.pop();
		for (const line of all) inbox.push(JSON.parse(line));
	});
	try {
		assert.match((await inbox.next(undefined, 'the device')).type, /DeviceCreated/);
		await hub.restart();
		await until(async () => (await patch('away', { tags: { n: 1 } })).status === 200, 'the hub is there again');
		assert.equal((await inbox.next(undefined, 'the change')).data.tags.n, 1);
	} finally {
		monitor.kill();
	}
});
