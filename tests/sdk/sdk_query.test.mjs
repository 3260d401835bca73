// Queries through the service SDK and bare: paging, item types, what an acknowledged write means to a query.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { mqttDevice, startHub, stopAll } from '../lib/hub.mjs';
import { registryOf, rejection } from '../lib/sdk.mjs';

const COUNT = 25;
let hub, registry;

before(async () => {
	hub = await startHub();
	registry = await registryOf(hub);
	for (let i = 0; i < COUNT; i++) {
		await registry.create({ deviceId: `q${i}` });
		await registry.updateTwin(`q${i}`, { tags: { floor: i % 5, site: i < 10 ? 'north' : 'south' }, properties: { desired: { level: i } } }, '*');
	}
});
after(() => stopAll(hub));

async function all(text, pageSize) {
	const query = registry.createQuery(text, pageSize);
	const pages = [];
	while (query.hasMoreResults) pages.push((await query.next(query.continuationToken)).result); // next() alone begins anew
	return pages;
}

function post(text, headers = {}, options = {}) { return hub.rest('POST', '/devices/query', { body: { query: text }, headers, ...options }); }

test('R-59 Q-01 Q-02 Q-03 Q-06 the SDK pages through the fleet: every device once', async () => {
	const pages = await all('SELECT * FROM devices', 7);
	assert.deepEqual(pages.slice(0, -1).map((p) => p.length), [7, 7, 7]);
	const ids = pages.flat().map((t) => t.deviceId);
	assert.equal(new Set(ids).size, COUNT);
	assert.equal(ids.length, COUNT);
});

test('R-60 Q-39 Q-53 nextAsTwin gives twins that can be updated', async () => {
	const { result } = await registry.createQuery("SELECT * FROM devices WHERE deviceId = 'q3'", 10).nextAsTwin();
	assert.equal(result.length, 1);
	assert.equal(result[0].properties.desired.level, 3);
	await result[0].update({ tags: { found: true } });
	assert.equal(result[0].tags.found, true);
});

test('R-59 Q-04 Q-05 Q-87 L-52 page size 2 of 5 rows is three pages; the size may change on the way', async () => {
	const text = "SELECT deviceId FROM devices WHERE tags.floor = 1";
	const first = await post(text, { 'x-ms-max-item-count': '2' });
	assert.equal(first.body.length, 2);
	const second = await post(text, { 'x-ms-max-item-count': '2', 'x-ms-continuation': first.headers['x-ms-continuation'] });
	assert.equal(second.body.length, 2);
	const third = await post(text, { 'x-ms-max-item-count': '1', 'x-ms-continuation': second.headers['x-ms-continuation'] });
	assert.equal(third.body.length, 1);
	assert.equal('x-ms-continuation' in third.headers, false);
	const rows = [...first.body, ...second.body, ...third.body].map((r) => r.deviceId).sort();
	assert.deepEqual(rows, ['q1', 'q11', 'q16', 'q21', 'q6']);
});

test('R-60 R-61 Q-08 Q-43 the item type is Twin or Raw', async () => {
	assert.equal((await post('SELECT * FROM devices')).headers['x-ms-item-type'], 'Twin');
	assert.equal((await post('SELECT deviceId FROM devices')).headers['x-ms-item-type'], 'Raw');
	assert.equal((await post('SELECT COUNT() AS n FROM devices')).headers['x-ms-item-type'], 'Raw');
});

test('R-63 no rows: an empty array, no continuation', async () => {
	const { status, body, headers } = await post("SELECT * FROM devices WHERE deviceId = 'nobody'");
	assert.equal(status, 200);
	assert.deepEqual(body, []);
	assert.equal('x-ms-continuation' in headers, false);
});

test('R-62 Q-07 Q-13 Q-05 Q-55 L-53 what cannot be asked is 400', async () => {
	for (const text of ['SELECT', 'SELECT * FROM nowhere', 'SELECT * FROM devices LIMIT 5', 'SELECT COUNT(*) FROM devices',
		'SELECT * FROM devices WHERE', 'SELECT * FROM devices WHERE tags.a LIKE tags.b', 'x'.repeat(8193), '']) {
		const { status, body } = await post(text);
		assert.equal(status, 400, text.slice(0, 60));
		assert.match(body.Message, /^ErrorCode:Argument(Invalid|Null);/);
	}
	for (const size of ['0', '-1', 'many']) assert.equal((await post('SELECT * FROM devices', { 'x-ms-max-item-count': size })).status, 400, size);
	assert.equal((await post('SELECT * FROM devices', { 'x-ms-continuation': 'damaged' })).status, 400);
	assert.equal((await post('SELECT * FROM devices', { 'x-ms-max-item-count': '100000' })).status, 200);
});

test('R-62 Q-04 L-55 a token of another query is 400', async () => {
	const first = await post('SELECT deviceId FROM devices', { 'x-ms-max-item-count': '2' });
	const token = first.headers['x-ms-continuation'];
	assert.equal((await post('SELECT deviceId FROM devices WHERE tags.floor = 1', { 'x-ms-continuation': token })).status, 400);
});

test('Q-48 Q-49 groups and aggregates', async () => {
	const [rows] = await all('SELECT tags.site AS site, COUNT() AS n, MAX(properties.desired.level) AS highest FROM devices GROUP BY tags.site', 100);
	assert.deepEqual(rows.sort((a, b) => a.site.localeCompare(b.site)), [{ site: 'north', n: 10, highest: 9 }, { site: 'south', n: 15, highest: 24 }]);
});

test('Q-46 an unnamed aggregate is called $1', async () => {
	const [[row]] = await all("SELECT COUNT(), MIN(properties.desired.level) FROM devices WHERE tags.site = 'north'", 100);
	assert.deepEqual(row, { $1: 10, $2: 0 });
});

test('Q-27 Q-29 the kinds of values', async () => {
	await registry.create({ deviceId: 'kinds' });
	await registry.updateTwin('kinds', { tags: { kinds: { b: true, n: 1.5, s: 'x', a: [1], o: { k: 1 } } } }, '*');
	const found = async (condition) => (await post(`SELECT deviceId FROM devices WHERE deviceId = 'kinds' AND ${condition}`)).body.length === 1;
	for (const [name, path] of [['IS_BOOL', 'b'], ['IS_NUMBER', 'n'], ['IS_STRING', 's'], ['IS_ARRAY', 'a'], ['IS_OBJECT', 'o']]) {
		for (const other of ['b', 'n', 's', 'a', 'o']) assert.equal(await found(`${name}(tags.kinds.${other})`), other === path, `${name} of ${other}`);
	}
	assert.equal(await found('IS_NULL(x509Thumbprint.primaryThumbprint)'), true);
	assert.equal(await found('NOT IS_DEFINED(tags.kinds.missing)'), true);
	await registry.delete('kinds');
});

test('R-11 R-12 Q-10 service and registryRead may ask, device may not', async () => {
	assert.equal((await post('SELECT * FROM devices', {}, { policy: 'service' })).status, 200);
	assert.equal((await post('SELECT * FROM devices', {}, { policy: 'registryRead' })).status, 200);
	assert.equal((await post('SELECT * FROM devices', {}, { policy: 'device' })).status, 401);
});

test('Q-09 L-54 a query sees every write acknowledged before it: reported, tags, creation, deletion', async () => {
	const c = await mqttDevice(hub, 'fresh');
	const found = async (condition) => (await post(`SELECT deviceId FROM devices WHERE ${condition}`)).body.map((r) => r.deviceId);
	for (let i = 0; i < 50; i++) {
		assert.equal((await c.report({ step: i })).status, 204);
		assert.deepEqual(await found(`properties.reported.step = ${i}`), ['fresh']);
		await hub.rest('PATCH', '/twins/fresh', { body: { tags: { turn: i } } });
		assert.deepEqual(await found(`tags.turn = ${i}`), ['fresh']);
	}
	await c.disconnect();
	await hub.rest('DELETE', '/devices/fresh');
	assert.deepEqual(await found("deviceId = 'fresh'"), []);
});

test('Q-06 paging gives each device once while others come and go', async () => {
	const text = 'SELECT deviceId FROM devices';
	const seen = [];
	let token, page = 0;
	do {
		const answer = await post(text, { 'x-ms-max-item-count': '3', ...(token ? { 'x-ms-continuation': token } : {}) });
		seen.push(...answer.body.map((r) => r.deviceId));
		token = answer.headers['x-ms-continuation'];
		await registry.create({ deviceId: `late${page}` });
		if (page > 0) await registry.delete(`late${page - 1}`);
		page++;
	} while (token);
	assert.equal(new Set(seen).size, seen.length, 'no device twice');
	for (let i = 0; i < COUNT; i++) assert.ok(seen.includes(`q${i}`), `q${i} is missing`);
});

test('the SDK reports a bad query as ArgumentError', async () => {
	assert.equal((await rejection(registry.createQuery('SELECT nonsense FROM').next())).name, 'ArgumentError');
});
