// What Azure's query language lacks, over REST: right answers, pages, and refused with --strict-queries.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { REPOSITORY, startHub, stopAll } from '../lib/hub.mjs';

const COUNT = 60;
const devices = [];
let hub, strict;

before(async () => {
	hub = await startHub();
	for (let i = 0; i < COUNT; i++) {
		const d = { id: `x${i}`, rank: (i * 37) % 23, site: ['north', 'south', 'East_1'][i % 3], model: i % 4 ? `m${i % 4}` : undefined };
		devices.push(d);
		await hub.rest('PUT', `/devices/${d.id}`, { body: { deviceId: d.id } });
		await hub.rest('PATCH', `/twins/${d.id}`, { body: { tags: { rank: d.rank, site: d.site, model: d.model, order: i, like: 'x' } } });
	}
	strict = await startHub({ args: ['--strict-queries'] });
});
after(() => stopAll(hub, strict));

function post(text, headers = {}, of = hub) { return of.rest('POST', '/devices/query', { body: { query: text }, headers }); }

async function all(text, size = 7) {
	const rows = [], sizes = [];
	let token;
	do {
		const answer = await post(text, { 'x-ms-max-item-count': String(size), ...(token ? { 'x-ms-continuation': token } : {}) });
		assert.equal(answer.status, 200, `${text}: ${JSON.stringify(answer.body)}`);
		rows.push(...answer.body);
		sizes.push(answer.body.length);
		token = answer.headers['x-ms-continuation'];
	} while (token);
	assert.ok(sizes.slice(0, -1).every((n) => n === size), 'full pages before the last');
	return rows;
}

const ids = async (condition) => (await all(`SELECT deviceId FROM devices WHERE ${condition}`)).map((r) => r.deviceId).sort();
const expected = (keep) => devices.filter(keep).map((d) => d.id).sort();

test('Q-88 conditions: LIKE, ILIKE, BETWEEN, CONTAINS, STARTS_WITH, ENDS_WITH', async () => {
	// twice and again: from documents, and from columns
	for (let turn = 0; turn < 3; turn++) {
		assert.deepEqual(await ids("tags.site LIKE '%th'"), expected((d) => d.site.endsWith('th')));
		assert.deepEqual(await ids("tags.site NOT LIKE 'nor__'"), expected((d) => d.site !== 'north'));
		assert.deepEqual(await ids("tags.site ILIKE 'east\\_%'"), expected((d) => d.site === 'East_1'));
		assert.deepEqual(await ids('tags.rank BETWEEN 5 AND 9'), expected((d) => d.rank >= 5 && d.rank <= 9));
		assert.deepEqual(await ids('tags.rank NOT BETWEEN 5 AND 9'), expected((d) => d.rank < 5 || d.rank > 9));
		assert.deepEqual(await ids("CONTAINS(tags.site, 'out')"), expected((d) => d.site === 'south'));
		assert.deepEqual(await ids("STARTS_WITH(deviceId, 'x1') AND ENDS_WITH(deviceId, '7')"), ['x17']);
		assert.deepEqual(await ids("tags.order < 2 AND tags.like LIKE 'x'"), ['x0', 'x1']);
	}
});

test('Q-88 ORDER BY: several paths, pages join to the whole, TOP, equal keys by row order', async () => {
	const rows = await all('SELECT deviceId, tags.rank, tags.model FROM devices ORDER BY tags.model DESC, tags.rank, deviceId');
	const want = devices.slice().sort((a, b) => (a.model ?? '') < (b.model ?? '') ? 1 : (a.model ?? '') > (b.model ?? '') ? -1
		: a.rank - b.rank || (a.id < b.id ? -1 : 1));
	assert.deepEqual(rows.map((r) => r.deviceId), want.map((d) => d.id));
	assert.deepEqual(await all('SELECT deviceId FROM devices ORDER BY tags.rank', 60), await all('SELECT deviceId FROM devices ORDER BY tags.rank', 11));
	const order = (await all('SELECT deviceId FROM devices')).map((r) => r.deviceId);
	const south = (await all("SELECT deviceId FROM devices WHERE tags.site = 'south' ORDER BY tags.site")).map((r) => r.deviceId);
	assert.deepEqual(south, order.filter((id) => devices.find((d) => d.id === id).site === 'south'));
	const top = await all('SELECT TOP 9 * FROM devices WHERE tags.rank > 3 ORDER BY tags.rank DESC, deviceId DESC', 4);
	assert.deepEqual(top.map((t) => t.deviceId), devices.filter((d) => d.rank > 3).sort((a, b) => b.rank - a.rank || (a.id < b.id ? 1 : -1)).slice(0, 9).map((d) => d.id));
	assert.equal((await post('SELECT * FROM devices ORDER BY deviceId')).headers['x-ms-item-type'], 'Twin');
	assert.deepEqual(await all("SELECT * FROM devices WHERE deviceId IN ['x3', 'x1'] ORDER BY deviceId").then((r) => r.map((t) => t.deviceId)), ['x1', 'x3']);
	assert.deepEqual(await all("SELECT * FROM devices WHERE deviceId = 'nobody' ORDER BY deviceId"), []);
});

test('Q-88 DISTINCT, COUNT(DISTINCT), HAVING, ORDER BY of groups', async () => {
	assert.deepEqual(await all('SELECT DISTINCT tags.model FROM devices ORDER BY tags.model', 2), [{}, { model: 'm1' }, { model: 'm2' }, { model: 'm3' }]);
	assert.deepEqual(await all('SELECT COUNT(DISTINCT tags.rank) AS n, COUNT(DISTINCT tags.model) AS m FROM devices'),
		[{ n: new Set(devices.map((d) => d.rank)).size, m: 3 }]);
	const count = new Map();
	for (const d of devices) count.set(d.rank, (count.get(d.rank) ?? 0) + 1);
	const want = [...count].filter(([rank, n]) => n > 2 && rank !== 4).sort(([a, n], [b, m]) => m - n || a - b).map(([rank, n]) => ({ rank, n }));
	assert.deepEqual(await all('SELECT tags.rank, COUNT() AS n FROM devices GROUP BY tags.rank HAVING n > 2 AND tags.rank != 4 ORDER BY COUNT() DESC, tags.rank', 5), want);
	assert.ok(want.length > 5);
});

test('Q-88 Q-94 Q-41 Q-13 with --strict-queries each is 400, and everything else as before', async () => {
	const refused = ["tags.a LIKE 'x'", "tags.a NOT ILIKE 'x'", 'tags.a BETWEEN 1 AND 2', "CONTAINS(tags.a, 'x')", "STARTS_WITH(tags.a, 'x')", "ENDS_WITH(tags.a, 'x')"]
		.map((c) => `SELECT * FROM devices WHERE ${c}`)
		.concat('SELECT * FROM devices ORDER BY deviceId', 'SELECT DISTINCT tags.a FROM devices', 'SELECT COUNT(DISTINCT tags.a) FROM devices',
			'SELECT tags.a FROM devices GROUP BY tags.a HAVING COUNT() > 1', "SELECT * FROM devices AS OF '2025-01-01T00:00:00Z'");
	for (const text of refused) {
		assert.equal((await post(text)).status, 200, text);
		const { status, body } = await post(text, {}, strict);
		assert.equal(status, 400, text);
		assert.match(body.Message, /^ErrorCode:ArgumentInvalid;/);
	}
	assert.equal((await post("SELECT * FROM devices WHERE STARTSWITH(deviceId, 'x') AND tags.order = 1", {}, strict)).status, 200);
});

test('Q-88 every example of docs/query-language.md can be asked; those marked + only without --strict-queries', async () => {
	const rows = fs.readFileSync(path.join(REPOSITORY, 'docs/query-language.md'), 'utf8').match(/^\| .*? \| `(SELECT|… WHERE) .*$/gm)
		.map((line) => line.match(/^\| (.*?) \| `(.*?)` \|/));
	assert.ok(rows.length >= 25);
	for (const [, production, example] of rows) {
		const text = example.replace('…', 'SELECT * FROM devices');
		assert.equal((await post(text)).status, 200, text);
		assert.equal((await post(text, {}, strict)).status, production.includes('+') ? 400 : 200, text);
	}
});

// x-twinhub-reflects: base64 of varints: first shard, how many, least position, what each is above it.
function positions(header) {
	const numbers = [];
	let value = 0n, shift = 0n;
	for (const byte of Buffer.from(header, 'base64')) {
		value |= BigInt(byte & 127) << shift;
		shift += 7n;
		if (byte < 128) { numbers.push(value); value = shift = 0n; }
	}
	const [first, count, least, ...above] = numbers;
	assert.equal(Number(count), above.length);
	return new Map(above.map((n, i) => [Number(first) + i, least + n]));
}

test('every page says what it reflects: a position per shard, which grows with each write, over restarts too', async () => {
	for (const text of ['SELECT * FROM devices', 'SELECT COUNT() FROM devices', 'SELECT deviceId FROM devices ORDER BY deviceId', "SELECT * FROM devices WHERE deviceId = 'nobody'"]) {
		const ask = async () => positions((await post(text, { 'x-ms-max-item-count': '1000' })).headers['x-twinhub-reflects']);
		const before = await ask();
		assert.deepEqual([...before.keys()], [...Array(64).keys()], text);
		assert.deepEqual(await ask(), before, 'nothing has been written');
		assert.equal((await hub.rest('PATCH', '/twins/x5', { body: { tags: { turn: text } } })).status, 200);
		const then = await ask();
		const grown = [...then].filter(([shard, at]) => at !== before.get(shard));
		assert.equal(grown.length, 1, 'one shard has changed');
		assert.ok(grown[0][1] > before.get(grown[0][0]));
	}
	const last = positions((await post('SELECT * FROM devices', { 'x-ms-max-item-count': '1000' })).headers['x-twinhub-reflects']);
	const page = positions((await post('SELECT * FROM devices', { 'x-ms-max-item-count': '1' })).headers['x-twinhub-reflects']);
	assert.ok(page.size < 64, 'a page tells of the shards it has seen');
	await hub.restart();
	const after = positions((await post('SELECT * FROM devices', { 'x-ms-max-item-count': '1000' })).headers['x-twinhub-reflects']);
	for (const [shard, at] of last) assert.ok(after.get(shard) > at);
});
