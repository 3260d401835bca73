// What has a line in the log, one test for each kind, and how repeats are folded (docs/spec/operate.md 5, O-24 to O-27).
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { connectPacket, deviceLogin, mqttDevice, RawMqtt, sasToken, startHub, stopAll, until } from '../lib/hub.mjs';
import { commands } from '../cli/lib.mjs';

let hub, talkative; // talkative: tells all, and what takes longer than a millisecond
const others = [];
before(async () => {
	hub = await startHub();
	talkative = await another(['--log-level', 'debug', '--slow-query', '1', '--slow-sweep', '1', '--workers', '1']);
});
after(() => stopAll(hub, ...others));

async function another(args) {
	const own = await startHub({ args });
	others.push(own);
	return own;
}

const escape = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
const lines = (what, from = 0) => hub.logs.slice(from).split('\n').filter((l) => what.test(l));
const line = async (what) => { await until(() => lines(what).length > 0, `a line like ${what}`); return lines(what)[0]; };
const wrong = Buffer.alloc(32, 7).toString('base64');

async function refused(id, key = wrong) {
	const c = await RawMqtt.open(hub);
	assert.equal((await c.connect(deviceLogin(hub, id, key))).code, 5);
	await c.closed('the refused connection');
}

const key = async (id) => (await hub.rest('GET', `/devices/${id}`)).body.authentication.symmetricKey.primaryKey;

test('O-24 repeats are folded by reason and device, none is missing in the sum, others keep their lines', async () => {
	await hub.createDevice('loud');
	await hub.createDevice('quiet');
	for (let i = 0; i < 30; i++) await refused('loud');
	await refused('quiet');
	await line(/msg="CONNECT refused" reason=key-signature .*device=quiet /);
	const told = lines(/msg="CONNECT refused" reason=key-signature .*device=loud /).length;
	assert.ok(told >= 3 && told <= 6, `${told} lines`);
	const counts = () => lines(/msg="more lines of this reason" reason=key-signature device=loud count=\d+/).reduce((sum, l) => sum + Number(/count=(\d+)/.exec(l)[1]), 0);
	await until(() => lines(/msg="CONNECT refused" reason=key-signature .*device=loud /).length + counts() === 30, 'the counts');
	assert.match(lines(/more lines.*device=loud/)[0], /^ts=\S+ level=info msg="more lines of this reason" reason=key-signature device=loud count=\d+ seconds=1\d$/);
});

test('O-24 with --log-level debug nothing is folded', async () => {
	const open = talkative;
	await open.createDevice('loud');
	for (let i = 0; i < 20; i++) {
		const c = await RawMqtt.open(open);
		await c.connect(deviceLogin(open, 'loud', wrong));
		c.destroy();
	}
	await until(() => open.logs.split('msg="CONNECT refused" reason=key-signature').length === 21, 'twenty lines');
});

test('O-25 HTTP 401, 403, 429 and 5xx: policy, route and reason', async () => {
	const head = (status, reason) => `msg="request refused" reason=${reason} by=\\S+ why=".*?"`;
	await hub.rest('GET', '/devices/loud', { token: sasToken({ resource: hub.addr, key: wrong, policy: 'registryRead' }) });
	await line(new RegExp(`${head(401, 'policy-signature')} policy=registryRead status=401 route="devices/\\{device\\}" request=/devices/loud address=127\\.\\S+:\\d+$`));
	await hub.rest('PUT', '/devices/none', { policy: 'service', body: { deviceId: 'none' } });
	await line(new RegExp(`${head(401, 'policy-rights')} policy=service status=401 route="devices/\\{device\\}" request=/devices/none `));
	await hub.rest('GET', '/devices/loud/modules', { token: '' });
	await line(new RegExp(`${head(401, 'no-credentials')} device=loud status=401 route="devices/\\{device\\}/modules" `));
	await hub.rest('POST', '/devices/loud/messages/events', { token: sasToken({ resource: `${hub.addr}/devices/loud`, key: wrong }), body: {} });
	await line(new RegExp(`${head(401, 'key-signature')} device=loud status=401 route="devices/\\{device\\}/messages/events" `));
	// 403: more routes than there may be
	for (let i = 0; i < 100; i++) await hub.rest('PUT', `/routes/r${i}`, { body: { source: 'DeviceMessages', endpointNames: ['events'] } });
	assert.equal((await hub.rest('PUT', '/routes/one-more', { body: { source: 'DeviceMessages', endpointNames: ['events'] } })).status, 403);
	await line(new RegExp(`${head(403, 'quota')} policy=iothubowner status=403 route="routes/\\{route\\}" request=/routes/one-more .*detail=`));
	// 504: a device that listens and does not answer
	const d = await mqttDevice(hub, 'mute', { filters: ['$iothub/methods/POST/#'] });
	assert.equal((await hub.rest('POST', '/twins/mute/methods', { body: { methodName: 'm', responseTimeoutInSeconds: 5 } })).status, 504);
	await line(new RegExp(`${head(504, 'device-late')} device=mute policy=iothubowner status=504 route="twins/\\{device\\}/methods" `));
	d.destroy();
	assert.equal((await hub.rest('POST', '/devices/loud/files', { body: {} })).status, 501);
	await line(new RegExp(`${head(501, 'not-served')} .*status=501 `));
});

test('O-25 HTTP 429 and 503 have their lines', async () => {
	const own = await another(['--rate-limit', 'policy:queries=1/m,1', '--free-space', '900T']);
	const seen = (what) => until(() => what.test(own.logs), `a line like ${what}`);
	const query = () => own.rest('POST', '/devices/query', { body: { query: 'SELECT * FROM devices' } });
	await query();
	assert.equal((await query()).status, 429);
	await seen(/level=warn msg="request refused" reason=rate-limit .*policy=iothubowner status=429 route=devices\/query request=\/devices\/query /);
	assert.equal((await own.rest('PUT', '/devices/d1', { body: { deviceId: 'd1' } })).status, 503);
	await seen(/level=warn msg="request refused" reason=unavailable .*policy=iothubowner status=503 route="devices\/\{device\}" /);
});

test('O-26 a subscription that is refused names its filter', async () => {
	const d = await mqttDevice(hub, 'subscriber', { filters: [] });
	await d.subscribe('devices/other/messages/devicebound/#').catch(() => {});
	await line(/level=info msg="subscription refused" reason=filter by=peer why=".*?" device=subscriber address=127\.\S+ detail=devices\/other\/messages\/devicebound\/#$/);
	d.destroy();
});

// What is done to a live link of the device `id`, and what its line says.
const ends = [
	['a packet that MQTT does not have', 'malformed by=peer', (d) => d.send(Buffer.from([0xf0, 0])), ' detail="no packet, first byte 0xf0"'],
	['a PUBLISH of QoS 2', 'malformed by=peer', (d) => d.send(Buffer.from([0x34, 7, 0, 1, 0x61, 0, 1, 0x62, 0x63])), ' detail="PUBLISH, first byte 0x34"'],
	['a second CONNECT', 'out-of-turn by=peer', (d, id) => d.send(connectPacket({ clientId: id, username: 'x' })), ' detail="CONNECT after CONNECT"'],
	['a topic of another one', 'topic by=peer', (d) => d.send(Buffer.concat([Buffer.from([0x30, 10, 0, 8]), Buffer.from('elsewher')])), ' detail=elsewher'],
	['a link that breaks', 'left by=peer', (d) => d.destroy(), ''],
	['DISCONNECT', 'goodbye by=peer', (d) => d.disconnect(), ''],
	['disabled', 'disabled by=operator', async (d, id) => hub.rest('PUT', `/devices/${id}`, { headers: { 'If-Match': '*' }, body: { deviceId: id, status: 'disabled', authentication: { symmetricKey: { primaryKey: await key(id), secondaryKey: wrong } } } }), ''],
	['a new key', '(key-changed) by=operator', (d, id) => hub.rest('PUT', `/devices/${id}`, { headers: { 'If-Match': '*' }, body: { deviceId: id, authentication: { symmetricKey: { primaryKey: Buffer.alloc(32, 8).toString('base64'), secondaryKey: Buffer.alloc(32, 9).toString('base64') } } } }), ''],
	['deleted', 'deleted by=operator', (d, id) => hub.rest('DELETE', `/devices/${id}`, { headers: { 'If-Match': '*' } }), ''],
	['kicked', 'kicked by=operator', (d, id) => hub.rest('DELETE', `/devices/${id}/connection`), ''],
];
for (const [name, reason, act, detail] of ends)
	test(`O-26 who closed a connection and why: ${name}`, async () => {
		const id = `end-${ends.findIndex((row) => row[0] === name)}`;
		const d = await mqttDevice(hub, id);
		await act(d, id);
		await line(new RegExp(`msg="connection closed" reason=${reason} why=".*?" device=${id} address=127\\.\\S+:\\d+${detail}$`));
		d.destroy();
	});

test('O-26 who closed a connection and why: taken over, by whom', async () => {
	const first = await mqttDevice(hub, 'twice');
	await mqttDevice(hub, 'twice');
	await first.closed('the link that was taken over');
	const { address } = (await hub.rest('GET', '/devices/twice/connection')).body;
	await line(new RegExp(`msg="connection closed" reason=taken-over by=peer why=".*?" device=twice address=127\\.\\S+ detail="by ${escape(address)}"$`));
});

test('O-26 who closed a connection and why: keep-alive, end of the token, a stop', async () => {
	const own = await another(['--token-skew', '0', '--io-threads', '1']);
	const seen = (what) => until(() => what.test(own.logs), `a line like ${what}`);
	for (const id of ['still', 'brief', 'stays']) await own.createDevice(id);
	const k = async (id) => (await own.rest('GET', `/devices/${id}`)).body.authentication.symmetricKey.primaryKey;
	const still = await RawMqtt.open(own);
	assert.equal((await still.connect({ ...deviceLogin(own, 'still', await k('still')), keepAlive: 1 })).code, 0);
	const brief = await RawMqtt.open(own);
	const login = deviceLogin(own, 'brief', await k('brief'));
	login.password = sasToken({ resource: `${own.addr}/devices/brief`, key: await k('brief'), expires: Math.floor(Date.now() / 1000) + 2 });
	assert.equal((await brief.connect(login)).code, 0);
	await mqttDevice(own, 'stays');
	await seen(/msg="connection closed" reason=keep-alive by=peer why=".*?" device=still /);
	await seen(/msg="connection closed" reason=token-end by=peer why=".*?" device=brief /);
	await own.stop();
	await seen(/msg="connection closed" reason=stopping by=operator why=".*?" device=stays /);
});

test('O-26 who closed a connection and why: it does not read what is sent to it', async () => {
	const d = await mqttDevice(hub, 'deaf');
	d.socket.pause();
	const text = Array.from({ length: 7 }, (_, i) => [`k${i}`, 'x'.repeat(4000)]);
	const seen = /level=warn msg="connection closed" reason=slow-reader by=peer why="the peer does not read what is sent to it" device=deaf address=127\.\S+:\d+$/;
	for (let i = 0; i < 400 && lines(seen).length === 0; i++)
		await hub.rest('PATCH', '/twins/deaf', { body: { properties: { desired: Object.fromEntries([...text, ['i', i]]) } } });
	await line(seen);
	assert.equal((await hub.rest('GET', '/devices/deaf/connection')).body.lastDisconnect.reason, 'slow-reader');
	assert.match((await commands(hub)(['device', 'why', 'deaf', '--json'])).why, /ended at \S+ from 127\.\S+: the peer does not read what is sent to it \(slow-reader\)/);
	d.destroy();
});

test('O-28 a slow query has a line: who, its text, cut, and how long', async () => {
	const own = talkative;
	const seen = (what) => until(() => what.test(own.logs), `a line like ${what}`);
	const fleet = Array.from({ length: 4000 }, (_, i) => JSON.stringify({ id: `d${i}`, tags: { a: `text ${i}` } })).join('\n');
	assert.equal((await own.rest('POST', '/admin/import', { body: `${fleet}\n` })).status, 200);
	const condition = Array.from({ length: 60 }, (_, i) => `tags.a != 'literal ${i}'`).join(' AND ');
	assert.equal((await own.rest('POST', '/devices/query', { policy: 'service', body: { query: `SELECT COUNT() AS n FROM devices WHERE ${condition} AND STARTSWITH(tags.a, 'text')` } })).status, 200);
	await seen(/level=warn msg="slow query" reason=slow-query by=peer why="a query took longer than --slow-query" policy=service address=127\.\S+:\d+ ms=\d+ query="SELECT COUNT\(\) AS n FROM devices WHERE tags.a != 'literal 0' [^"]*\.\.\."$/m);
	assert.doesNotMatch(hub.logs, /slow query/, 'none without the option that takes so little');
});

test('O-29 a slow sweep of configurations has a line, and one when it is through', async () => {
	const own = talkative; // with the fleet of the test before
	await own.rest('PUT', '/configurations/c1', { body: { id: 'c1', priority: 1, targetCondition: '*', content: { deviceContent: { 'properties.desired.a': 1 } } } });
	await until(() => /level=warn msg="the slow sweep of configurations is through" worker=0 seconds=\d+\.\d{3}$/m.test(own.logs), 'its end');
	assert.match(own.logs, /level=warn msg="a sweep of configurations is slow" worker=0 seconds=\d+\.\d{3}$/m);
	assert.equal(own.logs.split('a sweep of configurations is slow').length, own.logs.split('the slow sweep of configurations is through').length, 'each has its end');
});

test('O-30 a rollout that halts, or comes to its end, has one line', async () => {
	await hub.createDevice('rolled');
	await hub.rest('PATCH', '/twins/rolled', { body: { tags: { rolls: true } } });
	const put = (id, wave) => hub.rest('PUT', `/configurations/${id}`, { body: { id, priority: 1, targetCondition: 'tags.rolls = true', content: { deviceContent: { [`properties.desired.${id}`]: 1 } },
		rollout: { waves: [{ percent: 100, ...wave }] } } });
	assert.equal((await put('bad', { failureQuery: 'properties.desired.bad = 1', maxFailurePercent: 10 })).status, 200);
	await line(/level=warn msg="rollout halted" configuration=bad wave=1 why="1 of 1 devices fail, over 10 %"$/);
	assert.equal((await put('good', {})).status, 200);
	await line(/level=info msg="rollout completed" configuration=good wave=1/);
	await new Promise((resolve) => setTimeout(resolve, 1500)); // one more look
	assert.equal(lines(/msg="rollout halted"/).length, 1);
});
