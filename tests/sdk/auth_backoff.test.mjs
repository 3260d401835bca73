// --auth-backoff: who fails to authenticate again and again waits (docs/spec/operate.md, O-33 to O-35), over MQTT and HTTPS.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { deviceLogin, mqttDevice, RawMqtt, sasToken, startHub, stopAll, until } from '../lib/hub.mjs';
import { commands } from '../cli/lib.mjs';

let hub, run;
before(async () => {
	hub = await startHub({ args: ['--auth-backoff', '8'] });
	run = commands(hub);
});
after(() => stopAll(hub));

const wrong = Buffer.alloc(32, 5).toString('base64');
const key = async (id) => (await hub.rest('GET', `/devices/${id}`)).body.authentication.symmetricKey.primaryKey;
async function code(id, k, from) {
	const c = await RawMqtt.open(hub, from ? { tls: { localAddress: from } } : {});
	const { code: answer } = await c.connect(deviceLogin(hub, id, k));
	c.destroy();
	return answer;
}

test('O-33 O-34 MQTT: from the fifth failure on it waits; another address and another device do not', async () => {
	await hub.createDevice('target');
	await hub.createDevice('neighbour');
	const good = await key('target');
	for (let i = 0; i < 5; i++) assert.equal(await code('target', wrong), 5);
	assert.equal(await code('target', good), 3, 'held off, whatever it shows');
	assert.equal(await code('target', good, '127.0.0.77'), 0, 'the right key from elsewhere');
	assert.equal(await code('neighbour', await key('neighbour')), 0, 'another device from there');
	await until(() => /level=info msg="CONNECT refused" reason=auth-backoff by=peer why=".*?--auth-backoff\)" device=target address=127\.\S+ detail="5 attempts have failed, the last one for key-signature, the next is judged in 1 s"/.test(hub.logs), 'the line');
	const s = (await hub.rest('GET', '/devices/target/connection')).body;
	await until(async () => await code('target', good) === 0, 'it is judged again, and let in');
	await mqttDevice(hub, 'target');
	assert.ok(s);
});

test('O-35 device why and the story say why it waits, and until when', async () => {
	await hub.createDevice('told');
	for (let i = 0; i < 5; i++) await code('told', wrong);
	await code('told', wrong);
	const { lastRefusal } = (await hub.rest('GET', '/devices/told/connection')).body;
	assert.equal(lastRefusal.reason, 'auth-backoff');
	assert.equal(lastRefusal.cause, 'key-signature');
	assert.ok(Date.parse(lastRefusal.until) > Date.parse(lastRefusal.time) && Date.parse(lastRefusal.until) <= Date.parse(lastRefusal.time) + 1000);
	assert.match((await run(['device', 'why', 'told', '--json'])).why, /\(auth-backoff\)\. It had failed before for key-signature, and is judged again from \d{4}-\S+ on\./);
});

test('O-33 HTTPS: 429 with Retry-After, of a policy and of a device; other policies go on', async () => {
	const token = sasToken({ resource: hub.addr, key: wrong, policy: 'service' });
	for (let i = 0; i < 5; i++) assert.equal((await hub.rest('GET', '/twins/target', { token })).status, 401);
	const held = await hub.rest('GET', '/twins/target', { token });
	assert.equal(held.status, 429);
	assert.equal(held.headers['retry-after'], '1');
	assert.match(held.body.Message, /authentication has failed again and again, wait 1 seconds/);
	assert.equal((await hub.rest('GET', '/twins/target')).status, 200);
	await until(() => /msg="request refused" reason=auth-backoff .*policy=service status=429 .*detail="5 attempts have failed, the last one for policy-signature/.test(hub.logs), 'the line');
	const own = sasToken({ resource: `${hub.addr}/devices/neighbour`, key: wrong });
	for (let i = 0; i < 5; i++) assert.equal((await hub.rest('POST', '/devices/neighbour/messages/events', { token: own, body: {} })).status, 401);
	assert.equal((await hub.rest('POST', '/devices/neighbour/messages/events', { token: own, body: {} })).status, 429);
	assert.equal((await hub.rest('GET', '/twins/target', { token })).status, 429, 'still');
	assert.equal((await hub.rest('GET', '/twins/target', { policy: 'service' })).status, 200, 'O-34 the right key of the policy, from there');
});

test('O-34 an address that tries many names is held for each at once, and a right key from there is let in', async () => {
	await hub.createDevice('newcomer');
	for (let i = 0; i < 55; i++) await code(`name${i}`, wrong, '127.0.0.78');
	assert.equal(await code('name-last', wrong, '127.0.0.78'), 3);
	assert.equal(await code('newcomer', await key('newcomer'), '127.0.0.78'), 0);
	assert.equal(await code('newcomer', await key('newcomer')), 0);
	await until(() => /reason=auth-backoff .*device=name\S+ address=127\.0\.0\.78:\d+ detail="1 attempts have failed, and many more of its address, the last one for identity-unknown/.test(hub.logs), 'the line');
});

test('O-35 metrics: how many wait, and refusals by the reason', async () => {
	await code('told', wrong);
	const text = await (await fetch(`http://${hub.addr}:9464/metrics`)).text();
	assert.match(text, /^twinhub_auth_backoff_waiting \d+$/m);
	assert.match(text, /^twinhub_connects_refused_total\{reason="auth-backoff"\} [1-9]\d*$/m);
	assert.match(text, /^twinhub_http_requests_refused_total\{reason="auth-backoff"\} [1-9]\d*$/m);
});

test('O-33 it is off by default', async () => {
	const off = await startHub();
	await off.createDevice('d1');
	for (let i = 0; i < 12; i++) {
		const c = await RawMqtt.open(off);
		assert.equal((await c.connect(deviceLogin(off, 'd1', wrong))).code, 5);
		c.destroy();
	}
	await stopAll(off);
});

test('O-34 wrong keys from behind the same address, however many, keep nobody out who was in', async () => {
	await hub.createDevice('native');
	const good = await key('native');
	assert.equal(await code('native', good), 0);
	const answers = [];
	for (let i = 0; i < 30; i++) answers.push(await code('native', wrong));
	assert.deepEqual(answers.slice(0, 5), [5, 5, 5, 5, 5]);
	assert.ok(answers.slice(5).every((a) => a === 3 || a === 5) && answers.includes(3), answers.join());
	assert.equal(await code('native', good), 0);
});
