// Quotas: rates and shares among the hub's settings, in force at once (operate.md 11). Rates are of an hour or a day where the time of a test must not matter.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import http from 'node:http';
import path from 'node:path';
import { mqttDevice, publishPacket, sasToken, startHub, stopAll, tempDir, until } from '../lib/hub.mjs';

const dir = path.join(tempDir('quotas'), 'data');
let hub;

before(async () => { hub = await startHub({ dir, args: ['--rate-limit', 'policy:jobs=1/d,2', '--rate-limit', 'address:configurations=1/d,2'] }); });
after(() => stopAll(hub));

const ok = (answer, status = 200) => { assert.equal(answer.status, status, answer.text); return answer; };
const limits = async (patch, h = hub) => ok(await h.rest('PATCH', '/settings', { body: { limits: patch } })).body.limits;
const refused = async (patch) => ok(await hub.rest('PATCH', '/settings', { body: { limits: patch } }), 400).body.Message;
const statistics = async (h = hub) => ok(await h.rest('GET', '/statistics/limits', { policy: 'service' })).body;
const query = (policy, h = hub) => h.rest('POST', '/devices/query', { policy, body: { query: 'SELECT * FROM devices' } });
const job = (h = hub) => h.rest('GET', '/jobs/v2/none');
async function times(n, act) {
	const seen = {};
	for (let i = 0; i < n; i++) {
		const { status } = await act();
		seen[status] = (seen[status] ?? 0) + 1;
	}
	return seen;
}
const metrics = (h) => new Promise((resolve, reject) => {
	http.get({ host: h.addr, port: 9464, path: '/metrics' }, (answer) => {
		let text = '';
		answer.on('data', (piece) => { text += piece; }).on('end', () => resolve(text));
	}).on('error', reject);
});

test('O-150 a rate among the settings is in force at once, for a link that is there, too, and goes again', async () => {
	const c = await mqttDevice(hub, 'q1');
	assert.deepEqual(await times(5, () => c.report({ a: 1 })), { 204: 5 });
	assert.deepEqual((await limits({ rates: { 'device:updates': '1/d,2', 'policy:queries': '2/d,2' } })).rates, { 'device:updates': '1/d,2', 'policy:queries': '2/d,2' });
	assert.deepEqual(await times(5, () => c.report({ a: 2 })), { 204: 2, 429: 3 });
	assert.deepEqual(await times(3, () => query('service')), { 200: 2, 429: 1 });
	assert.deepEqual((await limits({ rates: { 'device:updates': null } })).rates, { 'policy:queries': '2/d,2' });
	assert.deepEqual(await times(5, () => c.report({ a: 3 })), { 204: 5 });
	assert.deepEqual((await limits({ rates: null })).rates, {});
	assert.deepEqual(await times(5, () => query('service')), { 200: 5 });
	await c.disconnect();
});

test('O-150 over the rates of the options; a change of limits fills all buckets, another one none', async () => {
	assert.deepEqual(await times(3, job), { 404: 2, 429: 1 });
	ok(await hub.rest('PATCH', '/settings', { body: { log: { methods: true } } }));
	assert.equal((await job()).status, 429);
	await limits({ rates: { 'policy:queries': '7/d' } });
	assert.deepEqual(await times(3, job), { 404: 2, 429: 1 });
	await limits({ rates: { 'policy:jobs': 'none' } });
	assert.deepEqual(await times(5, job), { 404: 5 });
	await limits({ rates: { 'policy:jobs': '1/d,3' } });
	assert.deepEqual(await times(5, job), { 404: 3, 429: 2 });
	await limits({ rates: null });
});

test('O-150 E-81 what is no rule, or one too many, changes nothing, and is told', async () => {
	const before = await limits({ rates: { 'policy(team-a):updates': '100/s,200' } });
	assert.match(await refused({ rates: { 'policy:queries': '2/x' } }), /policy:queries: '2\/x' is no rate as 10\/s, 20\/m,5 or none/);
	assert.match(await refused({ rates: { 'polic:queries': '2/s' } }), /'polic:queries' is no rate limit as/);
	assert.match(await refused({ rates: { 'policy:queries': 5 } }), /limits\.rates\.policy:queries is a text as/);
	assert.match(await refused({ rates: { 'device:queries': '1/s' } }), /no device asks for queries/);
	assert.match(await refused({ rates: { 'address(10.0.0.1/8):reads': '1/s' } }), /neither an address nor a net/);
	assert.match(await refused({ rates: { 'address(10.0.0.1/32):reads': '1/s', 'address(10.0.0.1):reads': '2/s' } }), /two rate limits/);
	assert.match(await refused({ rates: { ['policy(' + 'x'.repeat(120) + '):reads']: '1/s' } }), /too long/);
	assert.match(await refused({ rates: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`policy(p${i}):reads`, '1/s'])) }), /more than 64 policies and nets/);
	assert.match(await refused({ rates: 7 }), /limits\.rates is not an object/);
	assert.match(await refused({ shares: { 'policy(a)': '30' } }), /limits\.shares\.policy\(a\) is a number of percent/);
	assert.match(await refused({ shares: { 'policy(a)': 60, 'policy(b)': 40 } }), /all together at most 99/);
	assert.match(await refused({ shares: { policy: 60 } }), /nobody who may have a share/);
	assert.match(await refused({ dailyMessages: -1 }), /limits\.dailyMessages is a number from 1 to/);
	assert.match(await refused({ messageBlock: 511 }), /limits\.messageBlock is a number from 512 to 262144/);
	assert.match(await refused({ quotas: {} }), /there is no setting limits\.quotas/);
	assert.deepEqual((await hub.rest('GET', '/settings')).body.limits, before);
	await limits({ rates: null });
});

test('O-151 a policy with a share has it, whatever the others ask', async () => {
	await limits({ rates: { 'hub:queries': '10/d,10' }, shares: { 'policy(service)': 30, 'policy(registryRead)': 20 } });
	assert.deepEqual(await times(20, () => query('iothubowner')), { 200: 5, 429: 15 });
	assert.deepEqual(await times(5, () => query('service')), { 200: 3, 429: 2 });
	assert.deepEqual(await times(5, () => query('registryRead')), { 200: 2, 429: 3 });
	const answer = await query('service');
	assert.equal(answer.headers['iothub-errorcode'], 'ThrottlingException');
	assert.match(answer.text, /by the rate limit of the hub/);
	await limits({ rates: null, shares: null });
});

test('O-151 a net with a share has it, over MQTT, too', async () => {
	await limits({ rates: { 'hub:updates': '10/d,10' }, shares: { 'address(127.0.0.0/8)': 40 } });
	const c = await mqttDevice(hub, 'q2');
	assert.deepEqual(await times(12, () => c.report({ a: 1 })), { 204: 10, 429: 2 });
	await limits({ shares: { 'address(127.0.0.0/8)': null, 'address(10.0.0.0/8)': 40 } });
	assert.deepEqual(await times(12, () => c.report({ a: 1 })), { 204: 6, 429: 6 });
	await limits({ rates: null, shares: null });
	await c.disconnect();
});

test('O-150 L-94 a rate of one policy, and of one net', async () => {
	await limits({ rates: { 'policy:queries': '1/d', 'policy(service):queries': '1/d,3', 'address(127.0.0.0/8):reads': '1/d,2' } });
	assert.deepEqual(await times(5, () => query('service')), { 200: 3, 429: 2 });
	assert.match((await query('service')).text, /by the rate limit of policy service/);
	assert.deepEqual(await times(3, () => query('iothubowner')), { 200: 1, 429: 2 });
	const c = await mqttDevice(hub, 'q3');
	assert.deepEqual(await times(3, () => c.twinGet()), { 200: 2, 429: 1 });
	await until(async () => (await c.twinGet()).status === 429 && /msg="refused, the connection stays" reason=rate-limit .*device=q3 .*of address 127\.0\.0\.0\/8"/.test(hub.logs), 'O-158: the log names it');
	await limits({ rates: null });
	await c.disconnect();
});

test('L-96 messages to devices, what is fetched of them, and methods have kinds of their own; a large call counts as many', async () => {
	await limits({ rates: { 'policy:messages': '1/d,2', 'device:receives': '1/d,1', 'policy:methods': '1/d,5' } });
	await hub.createDevice('q4');
	assert.deepEqual(await times(3, () => hub.rest('POST', '/devices/q4/messages/deviceBound', { policy: 'service', body: { a: 1 } })), { 204: 2, 429: 1 });
	const key = (await hub.rest('GET', '/devices/q4')).body.authentication.symmetricKey.primaryKey;
	const poll = () => hub.rest('GET', '/devices/q4/messages/deviceBound', { authorization: sasToken({ resource: `${hub.addr}/devices/q4`, key }) });
	assert.deepEqual(await times(2, poll), { 200: 1, 429: 1 });
	const call = (payload) => hub.rest('POST', '/twins/q4/methods', { policy: 'service', body: { methodName: 'm', payload } });
	assert.equal((await call('x'.repeat(15000))).status, 404);
	assert.deepEqual(await times(3, () => call(1)), { 404: 1, 429: 2 });
	await limits({ rates: null });
});

test('O-153 L-23 the day\'s messages: 403, and telemetry ends its link', async () => {
	const h = await startHub();
	const c = await mqttDevice(h, 'd1'), other = await mqttDevice(h, 'd2');
	assert.deepEqual((await statistics(h)).dailyMessages, { used: 0, max: 0 });
	await limits({ dailyMessages: 10, messageBlock: 512 }, h);
	await c.publish('devices/d1/messages/events/', 'x'.repeat(513), { qos: 1 });
	assert.equal((await c.report({ a: 1 })).status, 204);
	const daily = (await statistics(h)).dailyMessages;
	assert.deepEqual({ ...daily, resetTime: 0 }, { used: 3, max: 10, block: 512, resetTime: 0 });
	assert.match(daily.resetTime, /T00:00:00/);
	for (const text of ['twinhub_daily_messages 3', 'twinhub_daily_messages_max 10']) assert.ok((await metrics(h)).includes(`\n${text}\n`), text);
	assert.equal((await other.report({ a: 'x'.repeat(4000) })).status, 204, 'the one that passes it is done');
	const answer = await c.report({ a: 2 });
	assert.equal(answer.status, 403);
	assert.equal(JSON.parse(answer.payload).errorCode, 403002);
	const rest = await h.rest('GET', '/twins/d1', { policy: 'service' });
	assert.equal(rest.status, 403);
	assert.equal(rest.headers['iothub-errorcode'], 'IotHubQuotaExceeded');
	assert.match(rest.text, /Max allowed message count : '10', current message count : '11'/);
	assert.equal((await h.rest('GET', '/devices/d1')).status, 200, 'identities do not count');
	c.send(publishPacket('devices/d1/messages/events/', 'y', { qos: 1, id: 9 }));
	await c.closed();
	await until(() => /msg="connection closed" reason=quota .*device=d1 /.test(h.logs), 'the log says why');
	assert.equal((await query('service', h)).status, 403);
	await limits({ dailyMessages: 1000 }, h);
	assert.equal((await query('service', h)).status, 200);
	await other.disconnect();
	await h.stop();
});

test('O-155 L-20 what counts as a message, and as how many', async () => {
	const h = await startHub();
	const c = await mqttDevice(h, 'd1');
	await limits({ dailyMessages: 100000 }, h);
	let last = 0;
	const costs = async (act) => {
		await act();
		const { used } = (await statistics(h)).dailyMessages, cost = used - last;
		last = used;
		return cost;
	};
	assert.equal(await costs(() => h.rest('GET', '/devices/d1')), 0);
	assert.equal(await costs(() => h.rest('GET', '/twins/d1')), 1);
	assert.equal(await costs(() => c.twinGet()), 1);
	assert.equal(await costs(() => c.report({ a: 'x'.repeat(3000), b: 'x'.repeat(3000) })), 2);
	assert.equal(await costs(() => c.twinGet()), 2);
	assert.equal(await costs(() => c.publish('devices/d1/messages/events/', '', { qos: 1 })), 1);
	assert.equal(await costs(async () => { await h.rest('PATCH', '/twins/d1', { body: { properties: { desired: { x: 1 } } } }); await c.notifications?.next?.(); }), 2, 'the update and its notification');
	assert.equal(await costs(() => h.rest('POST', '/devices/d1/messages/deviceBound', { body: { a: 1 } })), 1);
	assert.equal(await costs(() => query('service', h)), 2);
	assert.equal(await costs(() => h.rest('POST', '/twins/none/methods', { body: { methodName: 'm', payload: 'x'.repeat(5000) } })), 2, 'a request of two blocks, and no response');
	assert.equal(await costs(() => h.rest('GET', '/jobs/v2/none')), 0);
	await c.disconnect();
	await h.stop();
});

test('O-156 O-157 what is in force and what it has refused, in figures without names', async () => {
	const h = await startHub({ args: ['--throttle', 'S2', '--units', '20', '--rate-limit', 'hub:queries=1/d'] });
	const first = await statistics(h);
	assert.deepEqual(first.throttle, { edition: 'S2', units: 20 });
	assert.equal(first.rates['hub:updates'], '100/s');
	assert.equal(first.rates['hub:registry'], '2000/m,2000');
	assert.equal(first.rates['hub:queries'], '1/d');
	assert.equal(first.dailyMessages.max, 120_000_000);
	assert.deepEqual([first.throttled, first.shares, first.buckets], [{}, {}, 0]);
	await limits({ rates: { 'policy:methods': '1/d', 'hub:updates': 'none' }, shares: { 'policy(service)': 50 } }, h);
	assert.deepEqual(await times(3, () => query('iothubowner', h)), { 200: 1, 429: 2 });
	const call = () => h.rest('POST', '/twins/none/methods', { policy: 'service', body: { methodName: 'm' } });
	assert.deepEqual(await times(2, call), { 404: 1, 429: 1 });
	const now = await statistics(h);
	assert.deepEqual(now.throttled, { methods: { policy: 1 }, queries: { hub: 2 } });
	assert.equal(now.rates['hub:updates'], 'none');
	assert.deepEqual(now.shares, { 'policy(service)': 50 });
	assert.ok(now.buckets >= 65536 && now.bucketsLost === 0);
	const text = await metrics(h);
	assert.ok(text.includes('\ntwinhub_throttled_total{operation="queries",limit="hub"} 2\n'));
	assert.ok(text.includes('\ntwinhub_throttled_total{operation="sends",limit="daily"} 0\n'));
	assert.doesNotMatch(text, /throttled_total\{[^}]*service/);
	for (let i = 0; i < 150; i++) await h.rest('GET', '/statistics/limits'); // has no limit itself
	await h.stop();
});

test('O-150 E-80 limits are there after any end of the hub', async () => {
	await limits({ rates: { 'policy(service):queries': '1/d,2' }, shares: { 'policy(service)': 30 }, dailyMessages: 5000 });
	const before = (await hub.rest('GET', '/settings')).body.limits;
	await hub.kill();
	hub = await startHub({ dir });
	assert.deepEqual((await hub.rest('GET', '/settings')).body.limits, before);
	assert.deepEqual(await times(3, () => query('service')), { 200: 2, 429: 1 });
	assert.equal((await statistics()).dailyMessages.max, 5000);
});

test('O-150 O-156 the command line sets and shows them', async () => {
	const run = async (...args) => { const r = await hub.cli(args); assert.equal(r.code, 0, r.stderr); return r.stdout; };
	await run('settings', 'set', 'limits.rates.policy(team.b):updates', '20/m,5');
	await run('settings', 'set', 'limits.rates.address(10.1.0.0/16):sends', '500/s');
	await run('settings', 'set', 'limits.shares.address(10.1.0.0/16)', '20');
	const { rates, shares } = (await hub.rest('GET', '/settings')).body.limits;
	assert.equal(rates['policy(team.b):updates'], '20/m,5');
	assert.equal(rates['address(10.1.0.0/16):sends'], '500/s');
	assert.equal(shares['address(10.1.0.0/16)'], 20);
	await run('settings', 'set', 'limits.rates.policy(team.b):updates', 'default');
	assert.equal('policy(team.b):updates' in (await hub.rest('GET', '/settings')).body.limits.rates, false);
	const shown = JSON.parse(await run('statistics', '--limits', '--json'));
	assert.equal(shown.rates['address(10.1.0.0/16):sends'], '500/s');
	assert.match(await run('statistics', '--limits'), /address\(10\.1\.0\.0\/16\):sends/);
});
