// What the hub remembers of connections (docs/spec/operate.md 4), over real links.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { mqttDevice, mqttUsername, RawMqtt, sasToken, startHub, stopAll, until } from '../lib/hub.mjs';
import { commands } from '../cli/lib.mjs';

let hub, run;
before(async () => {
	hub = await startHub();
	run = commands(hub);
	await run(['policy', 'create', 'reader', '--rights', 'RegistryRead']);
	await run(['policy', 'create', 'writer', '--rights', 'RegistryWrite']);
});
after(() => stopAll(hub));

const connection = async (id, options) => (await hub.rest('GET', `/devices/${id}/connection`, options));
const story = async (id) => (await connection(id)).body;
const gone = (id) => until(async () => !(await story(id)).connected, `${id} is gone`);

async function refused(id, key = Buffer.alloc(32, 9).toString('base64')) {
	const c = await RawMqtt.open(hub);
	const { code } = await c.connect({ clientId: id, username: mqttUsername(hub.addr, id), password: sasToken({ resource: `${hub.addr}/devices/${id}`, key }) });
	assert.equal(code, 5);
}

test('O-10 a live connection: since when, from where, by what, how much', async () => {
	await hub.createDevice('live');
	assert.equal((await connection('nobody')).status, 404);
	const before = await story('live');
	assert.equal(before.connected, false);
	assert.equal(before.connectsLastHour, 0);
	assert.equal(before.lastDisconnect, undefined);

	const key = (await hub.rest('GET', '/devices/live')).body.authentication.symmetricKey.primaryKey;
	const c = await RawMqtt.open(hub);
	const username = `${hub.addr}/live/?api-version=2021-04-12&DeviceClientType=${encodeURIComponent('py-iot/1.2 (é)')}`;
	assert.equal((await c.connect({ clientId: 'live', username, password: sasToken({ resource: `${hub.addr}/devices/live`, key }) })).code, 0);
	await c.subscribe('$iothub/twin/PATCH/properties/desired/#', '$iothub/twin/res/#');
	const s = await story('live');
	assert.equal(s.connected, true);
	assert.ok(Math.abs(Date.parse(s.connectedSince) - Date.now()) < 60_000, s.connectedSince);
	assert.match(s.address, /^127\.0\.0\.1:\d+$|^127\./);
	assert.equal(s.protocol, 'MQTT');
	assert.match(s.tls, /^TLSv1\.[23]$/);
	assert.equal(s.client, 'py-iot/1.2 (é)');
	assert.deepEqual(s.subscriptions.map((f) => f.to).sort(), ['desiredProperties', 'twinAnswers']);
	assert.equal(s.connectsLastHour, 1);
	assert.equal(s.inFlight, 0);
	assert.equal(s.desiredVersionDelivered, undefined);
	assert.ok(s.received.bytes > 0);
	assert.equal(s.received.messages, 0);

	await c.publish('devices/live/messages/events/', 'x'.repeat(1000), { qos: 1 });
	await hub.rest('PATCH', '/twins/live', { body: { properties: { desired: { a: 1 } } } });
	await until(async () => (await story('live')).desiredVersionDelivered === 2, 'the version that was delivered');
	const later = await story('live');
	assert.equal(later.received.messages, 1);
	assert.ok(later.received.bytes > s.received.bytes + 1000);
	assert.equal(later.sent.messages, 1);
	assert.equal(later.desiredVersion, 2);
	assert.equal(later.pendingCount, 1);
	await c.disconnect();
	await gone('live');
	assert.equal((await story('live')).lastDisconnect.reason, 'goodbye');
});

test('O-11 the last end and the last refusal, with their reasons', async () => {
	await hub.createDevice('ends');
	const d = await mqttDevice(hub, 'ends'), port = d.socket.localPort;
	const e = await mqttDevice(hub, 'ends');
	await d.closed('the link that was taken over');
	await until(async () => (await story('ends')).lastDisconnect?.reason === 'taken-over', 'the end');
	const after = await story('ends');
	assert.equal(after.connected, true, 'the end of an older link is not the end of the newer one');
	assert.equal(after.lastDisconnect.address, `127.0.0.1:${port}`, 'its own address');
	assert.equal(after.address, `127.0.0.1:${e.socket.localPort}`);
	for (let i = 0; i < 3; i++) await refused('ends');
	const s = await story('ends');
	assert.equal(s.lastRefusal.reason, 'key-signature');
	assert.equal(s.lastRefusal.by, 'peer');
	assert.equal(s.lastRefusal.count, 3);
	assert.match(s.lastRefusal.address, /^127\./);
	assert.equal(s.connectsLastHour, 2);
	assert.ok(e);
});

test('O-11 O-16 a request over HTTPS that is refused is an attempt, too; a device that needs no connection is told as one', async () => {
	const why = async () => (await run(['device', 'why', 'https', '--json'])).why;
	const { authentication: { symmetricKey } } = await hub.createDevice('https');
	const send = (key) => hub.rest('POST', '/devices/https/messages/events', { token: key === null ? null : sasToken({ resource: `${hub.addr}/devices/https`, key }), body: 'x' });
	assert.equal((await send(null)).status, 401);
	assert.equal((await story('https')).lastRefusal, undefined, 'who shows nothing may be anybody');
	assert.equal((await send(symmetricKey.primaryKey)).status, 204);
	assert.match(await why(), /It is not connected\. The hub remembers no attempt\. It was heard of last at \S+, over HTTPS/);
	assert.equal((await send(Buffer.alloc(32, 9).toString('base64'))).status, 401);
	const { lastRefusal } = await story('https');
	assert.deepEqual([lastRefusal.reason, lastRefusal.count], ['key-signature', 1]);
	assert.match(lastRefusal.address, /^127\./);
	assert.match(await why(), /last attempt, one of 1, was refused at \S+ from 127\.\S+: the signature is not the identity's \(key-signature\)/);
	await hub.createDevice('parent');
	await hub.rest('PUT', '/devices/parent/modules/m', { body: { deviceId: 'parent', moduleId: 'm' } });
	await hub.rest('POST', '/devices/parent/modules/m/messages/events', { token: sasToken({ resource: `${hub.addr}/devices/parent/modules/m`, key: symmetricKey.primaryKey }), body: 'x' });
	assert.equal((await hub.rest('GET', '/devices/parent/modules/m/connection')).body.lastRefusal.reason, 'key-signature');
});

test('O-15 the line of a link that is taken over says by whom', async () => {
	await hub.createDevice('over');
	const d = await mqttDevice(hub, 'over');
	await mqttDevice(hub, 'over');
	await d.closed('the link that was taken over');
	const now = (await story('over')).address;
	await until(() => hub.logs.includes(`detail="by ${now}"`), 'the line');
});

test('O-13 kick ends the connection, which takes RegistryWrite', async () => {
	await hub.createDevice('kicked');
	assert.equal((await hub.rest('DELETE', '/devices/kicked/connection')).status, 404);
	const d = await mqttDevice(hub, 'kicked');
	assert.equal((await hub.rest('DELETE', '/devices/kicked/connection', { policy: 'reader' })).status, 401);
	assert.equal((await connection('kicked', { policy: 'reader' })).body.connected, true);
	assert.equal((await connection('kicked', { policy: 'device' })).status, 401);
	assert.equal((await hub.rest('DELETE', '/devices/kicked/connection', { policy: 'writer' })).status, 204);
	await d.closed('the link that was kicked');
	await until(async () => (await story('kicked')).lastDisconnect?.reason === 'kicked', 'the reason');
	const again = await mqttDevice(hub, 'kicked');
	await run(['connection', 'kick', 'kicked']);
	await again.closed('the link that the command kicked');
});

test('O-10 O-13 a module has a connection of its own', async () => {
	await hub.createDevice('md');
	const m = (await hub.rest('PUT', '/devices/md/modules/m1', { body: { deviceId: 'md', moduleId: 'm1' } })).body;
	const c = await RawMqtt.open(hub);
	assert.equal((await c.connect({ clientId: 'md/m1', username: mqttUsername(hub.addr, 'md/m1'),
		password: sasToken({ resource: `${hub.addr}/devices/md/modules/m1`, key: m.authentication.symmetricKey.primaryKey }) })).code, 0);
	const s = (await hub.rest('GET', '/devices/md/modules/m1/connection')).body;
	assert.equal(s.moduleId, 'm1');
	assert.equal(s.connected, true);
	assert.equal((await story('md')).connected, false);
	assert.equal((await hub.rest('DELETE', '/devices/md/modules/m1/connection')).status, 204);
	await c.closed('the module\'s link');
});

test('O-12 all of them: pages, filters, by connects', async () => {
	await Promise.all(Array.from({ length: 7 }, (_, i) => hub.createDevice(`page${i}`)));
	for (let i = 0; i < 7; i++) await mqttDevice(hub, `page${i}`);
	for (let n = 0; n < 9; n++) await mqttDevice(hub, 'page5');
	const all = (await hub.rest('GET', '/connections?top=1000')).body;
	const ids = all.map((c) => `${c.deviceId}/${c.moduleId ?? ''}`);
	assert.deepEqual(ids, [...ids].sort(), 'in order');
	let token, met = [];
	do {
		const r = await hub.rest('GET', '/connections?top=3', { headers: token ? { 'x-ms-continuation': token } : {} });
		assert.equal(r.status, 200, r.text);
		met.push(...r.body.map((c) => `${c.deviceId}/${c.moduleId ?? ''}`));
		token = r.headers['x-ms-continuation'];
	} while (token);
	assert.deepEqual(met, ids, 'page by page the same');
	const most = (await hub.rest('GET', '/connections?order=connects&top=1')).body;
	assert.equal(most[0].deviceId, 'page5');
	assert.equal(most[0].connectsLastHour, 10);
	const kicked = (await hub.rest('GET', '/connections?reason=kicked')).body;
	assert.deepEqual(kicked.map((c) => c.deviceId), ['kicked', 'md']);
	const there = (await hub.rest('GET', '/connections?state=connected&top=1000')).body;
	assert.ok(there.length >= 7 && there.every((c) => c.connected));
	assert.equal((await hub.rest('GET', '/connections?address=10.1.1.1')).body.length, 0);
	for (const bad of ['order=x', 'state=x', 'reason=x', 'address=x', 'top=0', 'top=1001', 'other=1'])
		assert.equal((await hub.rest('GET', `/connections?${bad}`)).status, 400, bad);
	assert.equal((await hub.rest('GET', '/connections', { headers: { 'x-ms-continuation': 'x/y' } })).status, 400);
	const rows = await run(['connection', 'list', '--order', 'connects', '--top', '1', '--json']);
	assert.equal(rows[0].deviceId, 'page5');
});

test('O-14 who tries many names takes no story away', async () => {
	for (let i = 0; i < 20; i++) await refused(`nobody${i}`);
	assert.equal((await story('page5')).connectsLastHour, 10);
	assert.equal((await connection('nobody1')).status, 404, 'a claim makes no identity');
});

test('O-16 device why: in a sentence', async () => {
	const why = async (id) => (await run(['device', 'why', id, '--json'])).why;
	await hub.createDevice('shy');
	assert.match(await why('shy'), /not connected.*remembers no attempt.*reports all that is desired/);
	await refused('shy');
	assert.match(await why('shy'), /last attempt, one of 1, was refused at .* from 127\..*: the signature is not the identity's \(key-signature\)/);
	await hub.rest('PATCH', '/twins/shy', { body: { properties: { desired: { a: 1, b: 2 } } } });
	assert.match(await why('shy'), /2 desired properties are not as it reports them; it gets version 2 when it connects/);
	await mqttDevice(hub, 'shy', { filters: [] });
	assert.match(await why('shy'), /It is connected since .*: it has not subscribed to changes, and has not read version 2/);
	await hub.createDevice('off', { status: 'disabled', statusReason: 'stolen' });
	assert.match(await why('off'), /disabled \(stolen\), so it may not connect/);
	for (let i = 0; i < 7; i++) await mqttDevice(hub, 'shy');
	assert.match(await why('shy'), /has connected 8 times in the last hour; the connection before ended at .* \(taken-over\)/);
});

test('O-32 after a start the last disconnect comes from the log; device why has it, too', async () => {
	const own = await startHub();
	try {
		const last = async (id) => (await own.rest('GET', `/devices/${id}/connection`)).body.lastDisconnect;
		for (const id of ['said', 'killed', 'deleted', 'never']) await own.createDevice(id);
		const d = await mqttDevice(own, 'said');
		await d.disconnect();
		await until(async () => (await last('said'))?.reason === 'goodbye', 'the end');
		const ended = await last('said');
		const stopped = await mqttDevice(own, 'stopped');
		await own.restart();
		stopped.destroy();
		const said = await last('said');
		assert.deepEqual([said.reason, said.by], ['goodbye', 'peer']);
		assert.ok(Math.abs(Date.parse(said.time) - Date.parse(ended.time)) < 3000, `${said.time} ${ended.time}`);
		assert.equal(said.address, undefined, 'the log has none');
		assert.equal((await last('stopped')).reason, 'stopping');
		assert.equal(await last('never'), undefined);
		assert.match((await commands(own)(['device', 'why', 'said', '--json'])).why, /Its last connection ended at \S+: DISCONNECT.* \(goodbye\)/);
		// a kill: the end that nobody has written, and one that was
		const k = await mqttDevice(own, 'killed');
		await mqttDevice(own, 'deleted');
		await new Promise((resolve) => setTimeout(resolve, 1500)); // E-94: a second of it may be lost
		await own.kill();
		k.destroy();
		await own.start();
		await until(async () => (await last('killed'))?.reason === 'hub-ended', 'the end that the start writes');
		assert.equal((await last('said')).reason, 'goodbye', 'two starts later');
		// connected again: what was before is still the last end
		await mqttDevice(own, 'killed');
		assert.equal((await last('killed')).reason, 'hub-ended');
		// another identity of the same name has no past
		await own.rest('DELETE', '/devices/deleted', { headers: { 'If-Match': '*' } });
		await own.createDevice('deleted');
		await own.restart();
		assert.equal(await last('deleted'), undefined);
	} finally {
		await stopAll(own);
	}
});

test('O-32 ends in all shards, those that have a partition of events among them, do not hinder a start', async () => {
	const own = await startHub();
	try {
		const ids = Array.from({ length: 200 }, (_, i) => `gone${i}`);
		for (let i = 0; i < ids.length; i += 20)
			await Promise.all(ids.slice(i, i + 20).map(async (id) => {
				await own.createDevice(id);
				await (await mqttDevice(own, id)).disconnect();
			}));
		const last = async (id) => (await own.rest('GET', `/devices/${id}/connection`)).body.lastDisconnect?.reason;
		for (const id of ids) await until(async () => await last(id) === 'goodbye', `the end of ${id}`);
		await own.restart();
		for (const id of ids) assert.equal(await last(id), 'goodbye');
	} finally {
		await stopAll(own);
	}
});

test('O-32 of a module, too', async () => {
	const own = await startHub();
	try {
		await own.createDevice('md');
		const m = (await own.rest('PUT', '/devices/md/modules/m1', { body: { deviceId: 'md', moduleId: 'm1' } })).body;
		const c = await RawMqtt.open(own);
		await c.connect({ clientId: 'md/m1', username: mqttUsername(own.addr, 'md/m1'), password: sasToken({ resource: `${own.addr}/devices/md/modules/m1`, key: m.authentication.symmetricKey.primaryKey }) });
		c.destroy();
		const story = async () => (await own.rest('GET', '/devices/md/modules/m1/connection')).body;
		await until(async () => (await story()).lastDisconnect?.reason === 'left', 'the end');
		await own.restart();
		assert.equal((await story()).lastDisconnect.reason, 'left');
		assert.equal((await own.rest('GET', '/devices/md/connection')).body.lastDisconnect, undefined);
	} finally {
		await stopAll(own);
	}
});
