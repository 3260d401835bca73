// What twins hold, and what queries cost: GET /statistics/paths, GET /statistics/queries. O-130 to O-134.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { startHub, stopAll } from '../lib/hub.mjs';

const COUNT = 12;
let hub;

before(async () => {
	hub = await startHub();
	for (let i = 0; i < COUNT; i++) {
		await hub.createDevice(`p${i}`);
		const set = await hub.rest('PATCH', `/twins/p${i}`, { body: {
			tags: { site: `s${i % 3}`, 'a-b': { n: i } }, properties: { desired: { fw: i < 2 ? 1 : '1.0', on: true, list: [{ x: 1 }] } } } });
		assert.equal(set.status, 200, set.text);
	}
	await hub.rest('PUT', '/devices/p0/modules/m', { body: { deviceId: 'p0', moduleId: 'm' } });
	await hub.rest('PATCH', '/twins/p0/modules/m', { body: { tags: { site: 's9' } } });
});
after(() => stopAll(hub));

const query = (text, { headers, params = '' } = {}) => hub.rest('POST', `/devices/query${params}`, { body: { query: text }, headers });
async function statistics(what, options) {
	const answer = await hub.rest('GET', `/statistics/${what}`, options);
	assert.equal(answer.status, 200, answer.text);
	return answer.body;
}

test('O-130 paths: how many twins have each, of which kinds, with the memory of a column', async () => {
	for (let turn = 0; turn < 3; turn++) await query("SELECT COUNT() AS n FROM devices WHERE tags.site = 's1'");
	const all = await statistics('paths');
	assert.deepEqual([all.twins, all.damagedTwins, all.morePaths, all.uncounted], [COUNT + 1, 0, 0, 0]);
	const of = (path) => all.paths.find((one) => one.path === path);
	const site = of('tags.site');
	assert.deepEqual([site.twins, site.modules, site.kinds], [COUNT + 1, 1, { string: COUNT + 1 }]);
	assert.ok(site.column.bytes > 0 && site.column.form !== 'none');
	assert.deepEqual(of('tags.[[a-b]].n'), { path: 'tags.[[a-b]].n', twins: COUNT, modules: 0, kinds: { number: COUNT } });
	assert.deepEqual(of('properties.desired.fw').kinds, { number: 2, string: COUNT - 2 });
	assert.deepEqual(of('properties.desired.on').kinds, { boolean: COUNT });
	assert.deepEqual(of('properties.desired.list').kinds, { array: COUNT });
	assert.ok(!all.paths.some((one) => /\$|list\.|reported/.test(one.path)));
	const counts = all.paths.map((one) => one.twins);
	assert.deepEqual(counts, [...counts].sort((a, b) => b - a));
});

test('O-130 prefix and top; what is neither is refused', async () => {
	const some = await statistics('paths?prefix=properties.desired.&top=2');
	assert.deepEqual(some.paths.map((one) => one.path), ['properties.desired.fw', 'properties.desired.list']);
	assert.equal(some.morePaths, 1);
	assert.deepEqual((await statistics('paths?prefix=tags.%5B%5Ba-b')).paths.map((one) => one.path), ['tags.[[a-b]]', 'tags.[[a-b]].n']);
	assert.deepEqual((await statistics('paths?prefix=nothing')).paths, []);
	for (const [wrong, why] of [['top=0', /top/], ['top=1001', /top/], ['top=x', /top/], ['page=1', /page/], [`prefix=${'x'.repeat(1025)}`, /1025 bytes, over the limit of 1024/]]) {
		const answer = await hub.rest('GET', `/statistics/paths?${wrong}`);
		assert.equal(answer.status, 400, wrong);
		assert.match(answer.body.Message, why);
	}
	for (const policy of ['registryRead', 'service']) assert.equal((await hub.rest('GET', '/statistics/paths', { policy })).status, 200);
	assert.equal((await hub.rest('GET', '/statistics/paths', { policy: 'device' })).status, 401);
});

test('O-132 queries: each text once, the slowest first, with what it cost', async () => {
	const slow = "SELECT deviceId FROM devices WHERE lastActivityTime >= '0' AND tags.site != 'a value of a user'";
	for (let turn = 0; turn < 3; turn++) await query(slow);
	for (let page = 0, token; page < 2; page++) token = (await query('SELECT deviceId FROM devices', { headers: { 'x-ms-max-item-count': '5', ...(token && { 'x-ms-continuation': token }) } })).headers['x-ms-continuation'];
	assert.equal((await query('SELECT FROM')).status, 400);
	assert.match((await hub.rest('GET', '/statistics/queries?top=5')).body.Message, /ArgumentInvalid;top is no parameter/);
	const { queries } = await statistics('queries');
	const of = (text) => queries.filter((one) => one.query === text);
	assert.equal(of(slow).length, 1);
	const [one] = of(slow);
	assert.deepEqual([one.runs, one.failures, one.rowsJudged, one.rowsAsked, one.rowsReturned, one.queryCut], [3, 0, 3 * (COUNT + 1), 3 * COUNT, 3 * COUNT, false]);
	assert.ok(one.slowestMs > 0 && one.totalMs >= one.slowestMs);
	assert.ok(one.firstTime <= one.slowestTime && one.slowestTime <= one.lastTime);
	const explained = (await query(slow, { params: '?explain=true' })).body;
	assert.deepEqual(Object.keys(one.explain), Object.keys(explained));
	assert.deepEqual(one.explain.steps.map((s) => s.step), explained.steps.map((s) => s.step));
	assert.deepEqual(one.explain.columns.map((c) => c.path).sort(), ['deviceId', 'lastActivityTime', 'tags.site']);
	assert.ok(Math.abs(one.slowestMs - one.explain.engineMs - one.explain.steps[0].ms) < 0.01);
	assert.deepEqual([of('SELECT deviceId FROM devices')[0].runs, of('SELECT deviceId FROM devices')[0].rowsReturned], [2, 10]);
	assert.deepEqual(of('SELECT FROM'), []);
	const times = queries.map((q) => q.slowestMs);
	assert.deepEqual(times, [...times].sort((a, b) => b - a));
});

test('O-132 of the fleet as it was, too; a long text is cut, its explanation bounded', async () => {
	const past = `SELECT deviceId FROM devices AS OF '${new Date(Date.now() - 50).toISOString()}'`;
	assert.equal((await query(past)).status, 200);
	const long = `SELECT COUNT() AS n FROM devices WHERE tags.site != '${'é'.repeat(1500)}'`;
	assert.equal((await query(long)).status, 200);
	const wide = `SELECT COUNT() AS n FROM devices WHERE ${Array.from({ length: 30 }, (_, i) => `tags.${'w'.repeat(250)}${i} = 1`).join(' OR ')}`;
	assert.equal((await query(wide)).status, 200);
	const { queries } = await statistics('queries');
	const then = queries.find((one) => one.query === past);
	assert.equal(then.explain.rowsReturned, then.rowsReturned);
	assert.ok('changesRead' in then.explain);
	const cut = queries.find((one) => one.queryCut && long.startsWith(one.query));
	assert.ok(Buffer.byteLength(cut.query) <= 2048 && Buffer.byteLength(cut.query) > 2044);
	const whole = queries.find((one) => wide.startsWith(one.query));
	assert.ok(!('columns' in whole.explain) && whole.explain.steps.length > 0);
});

test('O-133 who may not query may not read them; a hundred texts at most', async () => {
	for (const policy of ['registryRead', 'device']) assert.equal((await hub.rest('GET', '/statistics/queries', { policy })).status, 401);
	assert.equal((await hub.rest('GET', '/statistics/queries', { policy: 'service' })).status, 200);
	for (let i = 0; i < 130; i++) await query(`SELECT deviceId FROM devices WHERE deviceId = 'p${i}'`);
	const before = (await statistics('queries')).queries;
	assert.equal(before.length, 100);
	const slow = `SELECT deviceId FROM devices WHERE ${Array.from({ length: 200 }, (_, i) => `lastActivityTime != '${i}'`).join(' AND ')}`;
	await query(slow);
	const now = (await statistics('queries')).queries;
	assert.equal(now.length, 100);
	assert.ok(now.some((one) => slow.startsWith(one.query)), 'what is slower takes the place of the last');
	assert.ok(!/a value of a user/.test(hub.logs));
});

test('O-134 from the command line', async () => {
	const run = async (...args) => {
		const r = await hub.cli(['statistics', ...args]);
		return { ...r, json: r.stdout.startsWith('{') ? JSON.parse(r.stdout) : undefined };
	};
	const paths = await run('paths', '--prefix', 'tags.[[a', '--top', '1');
	assert.deepEqual([paths.code, paths.json.paths.map((one) => one.path), paths.json.morePaths], [0, ['tags.[[a-b]]'], 1]);
	assert.match((await run('paths', '--table')).stdout, /^path +twins +modules +kinds/m);
	assert.ok((await run('queries')).json.queries.length > 50);
	assert.match((await run('queries', '--table')).stdout, /^slowestMs +runs +failures/m);
	for (const wrong of [['path'], ['queries', '--top', '5'], ['--prefix', 'tags'], ['paths', '--columns'], ['paths', 'queries']])
		assert.equal((await run(...wrong)).code, 2, wrong.join(' '));
	assert.match((await run('paths', '--top', '1001')).stderr, /top/);
});
