// What a query cost: POST /devices/query?explain=true, and GET /statistics/columns.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { startHub, stopAll } from '../lib/hub.mjs';

const COUNT = 30;
let hub;

before(async () => {
	hub = await startHub();
	for (let i = 0; i < COUNT; i++) {
		await hub.createDevice(`e${i}`);
		const set = await hub.rest('PATCH', `/twins/e${i}`, { body: { tags: { site: ['north', 'south', 'east'][i % 3], n: i, 'a-b': i % 2 } } });
		assert.equal(set.status, 200, set.text);
	}
});
after(() => stopAll(hub));

async function explain(query, headers = {}) {
	const answer = await hub.rest('POST', '/devices/query?explain=true', { body: { query }, headers });
	assert.equal(answer.status, 200, answer.text);
	return answer.body;
}

const column = (explained, path) => explained.columns.find((c) => c.path === path);

test('explain runs the whole aggregate and says what it cost, not what it found', async () => {
	const query = "SELECT COUNT() AS c FROM devices WHERE tags.site = 'north' AND tags.n >= 3";
	for (let turn = 0; turn < 2; turn++) await explain(query);
	const e = await explain(query);
	assert.deepEqual(Object.keys(e), ['engineMs', 'workers', 'rowsReturned', 'more', 'rowsJudged', 'rowsAsked', 'rowsShown', 'steps', 'columns']);
	assert.equal(e.rowsReturned, 1);
	assert.equal(e.more, false);
	assert.deepEqual([e.rowsJudged, e.rowsAsked, e.rowsShown], [COUNT, 0, 0]);
	assert.deepEqual(e.steps.map((s) => s.step), ['parse', 'wait', 'build', 'judge', 'load', 'ask', 'output', 'finish']);
	for (const s of e.steps) assert.ok(s.ms >= 0);
	assert.ok(e.engineMs > 0);
	assert.deepEqual(e.columns.map((c) => c.path).sort(), ['tags.n', 'tags.site']);
	for (const c of e.columns) {
		assert.equal(c.from, 'columns');
		assert.deepEqual([c.shards, c.held, c.made], [64, 64, 0]);
		assert.ok(c.bytes > 0);
		assert.notEqual(c.form, 'none');
	}
});

test('explain tells columns that are made from those that were there, and paths that have none', async () => {
	const query = "SELECT tags.[[a-b]], COUNT() AS c FROM devices WHERE lastActivityTime >= '0' GROUP BY tags.[[a-b]]";
	const seen = [];
	for (let turn = 0; turn < 3; turn++) seen.push(column(await explain(query), 'tags.[[a-b]]'));
	assert.ok(seen.some((c) => c.made === 64), 'it is made');
	assert.deepEqual([seen[2].held, seen[2].made], [64, 0]);
	const e = await explain(query);
	const time = column(e, 'lastActivityTime');
	assert.deepEqual([time.from, time.form, time.held, time.bytes], ['documents', 'none', 0, 0]);
	assert.equal(e.rowsAsked, COUNT);
	assert.equal(e.rowsReturned, 2);
});

test('explain of a page: so many rows, and more to come; ids are looked up', async () => {
	const page = await explain("SELECT * FROM devices WHERE tags.n >= 0", { 'x-ms-max-item-count': '7' });
	assert.deepEqual([page.rowsReturned, page.more], [7, true]);
	const one = await explain("SELECT * FROM devices WHERE deviceId = 'e1'");
	assert.deepEqual([one.rowsReturned, one.rowsJudged, one.rowsAsked], [1, 1, 1]);
	assert.equal(column(one, 'deviceId').from, 'documents');
	const ordered = await explain('SELECT deviceId FROM devices ORDER BY tags.n DESC');
	assert.equal(ordered.rowsReturned, COUNT);
});

test('explain=false is a query; another value and a wrong query are refused', async () => {
	const ask = (params, query) => hub.rest('POST', `/devices/query?${params}`, { body: { query } });
	assert.deepEqual((await ask('explain=false', "SELECT deviceId FROM devices WHERE deviceId = 'e1'")).body, [{ deviceId: 'e1' }]);
	const wrong = await ask('explain=maybe', 'SELECT * FROM devices');
	assert.equal(wrong.status, 400);
	assert.match(wrong.body.Message, /explain is neither true nor false/);
	assert.equal((await ask('explain=true', 'SELECT FROM')).status, 400);
});

test('statistics/columns: memory of all columns, path by path, and the limit', async () => {
	const { status, body } = await hub.rest('GET', '/statistics/columns');
	assert.equal(status, 200);
	assert.ok(body.bytes > 0 && body.bytes <= body.limitBytes);
	const site = column(body, 'tags.site');
	assert.deepEqual(Object.keys(site), ['path', 'form', 'shards', 'held', 'rows', 'values', 'bytes']);
	assert.equal(site.held, 64);
	assert.ok(body.columns.reduce((n, c) => n + c.bytes, 0) <= body.bytes);
});
