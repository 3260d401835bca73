// The fleet as it was (events.md 7, query-language.md Q-94): queries with AS OF, against states that were recorded when they were there.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { mqttDevice, startHub, stopAll } from '../lib/hub.mjs';

let hub;

before(async () => { hub = await startHub(); });
after(() => stopAll(hub));

const ask = (query, headers = {}, target = '/devices/query') => hub.rest('POST', target, { body: { query }, headers });

async function all(query, page = '7') {
	const rows = [];
	let token;
	do {
		const answer = await ask(query, { 'x-ms-max-item-count': page, ...(token ? { 'x-ms-continuation': token } : {}) });
		assert.equal(answer.status, 200, `${query}: ${answer.text}`);
		assert.ok(answer.body.length <= Number(page));
		rows.push(...answer.body);
		token = answer.headers['x-ms-continuation'];
	} while (token);
	return rows;
}

// A moment behind all that has been answered and before all that is asked next.
async function moment() {
	const now = Date.now() + 1;
	while (Date.now() <= now + 1) await sleep(1);
	return new Date(now).toISOString();
}

function random(seed) {
	let s = seed;
	return (n) => { s = (s * 1103515245 + 12345) % 2147483648; return Math.floor(s / 65536) % n; };
}

const known = ({ connectionState, lastActivityTime, cloudToDeviceMessageCount, configurations, ...twin }) => twin;
const id = (t) => `${t.deviceId}/${t.moduleId ?? ''}`;
const sorted = (rows) => rows.map(known).sort((a, b) => (id(a) < id(b) ? -1 : 1));
// Groups and rows in their order come in the same one; others in the order of keys then and of rows now.
const QUERIES = [
	'SELECT tags.a AS a, COUNT() AS n, SUM(properties.desired.b) AS s FROM devices GROUP BY tags.a',
	"SELECT deviceId, version FROM devices WHERE tags.a > 2 AND NOT is_defined(properties.reported.r) ORDER BY version DESC, deviceId",
	'SELECT DISTINCT tags.a FROM devices.modules',
	"SELECT deviceId, status, etag FROM devices WHERE status = 'disabled' ORDER BY deviceId",
	"SELECT COUNT() AS n, MAX(properties.reported.r) AS r FROM devices WHERE deviceId IN ['d1', 'd4', 'd7']",
	"SELECT deviceId FROM devices WHERE properties.desired.$version > 3 ORDER BY deviceId",
];

test('E-74 E-75 Q-94 AS OF gives at each moment what was there then: changed, deleted and made anew since, over restarts', async () => {
	const below = random(11), moments = [], devices = new Map();
	const name = () => `d${below(12)}`;
	const step = async () => {
		const d = name(), kind = below(10), target = below(3) === 0 ? `/modules/m${below(2)}` : '';
		if (kind === 0) return hub.rest('PUT', `/devices/${d}`, { body: { deviceId: d } });
		if (kind === 1) return hub.rest('DELETE', `/devices/${d}${target}`, { headers: { 'If-Match': '*' } });
		if (kind === 2) return hub.rest('PUT', `/devices/${d}/modules/m${below(2)}`, { body: { deviceId: d, moduleId: `m${below(2)}` } });
		if (kind === 3) return hub.rest('PUT', `/devices/${d}`, { body: { deviceId: d, status: below(2) ? 'disabled' : 'enabled' }, headers: { 'If-Match': '*' } });
		if (kind === 4) return hub.rest('PUT', `/twins/${d}${target}`, { body: { tags: { a: below(5) }, properties: { desired: { b: below(9) } } } });
		return hub.rest('PATCH', `/twins/${d}${target}`, { body: { tags: { a: below(6) || null }, properties: { desired: { b: below(9) || null, c: { d: below(2) } } } } });
	};
	for (let i = 0; i < 12; i += 2) await hub.rest('PUT', `/devices/d${i}`, { body: { deviceId: `d${i}` } });
	await hub.createDevice('reports');
	const device = await mqttDevice(hub, 'reports');
	for (let round = 0; round < 25; round++) {
		if (round === 12) {
			await device.report({ r: -1 });
			await hub.restart();
		}
		for (let i = below(20); i >= 0; i--) await step();
		if (round < 12) await device.report({ r: round, s: { t: below(3) } });
		moments.push({
			at: await moment(),
			devices: sorted(await all('SELECT * FROM devices')),
			modules: sorted(await all('SELECT * FROM devices.modules')),
			results: await Promise.all(QUERIES.map((q) => all(q))),
		});
		await sleep(2);
	}
	for (const m of moments) {
		const twins = await all(`SELECT * FROM devices AS OF '${m.at}'`);
		assert.deepEqual(sorted(twins), m.devices, m.at);
		for (const t of twins) assert.ok(!('connectionState' in t) && !('lastActivityTime' in t));
		assert.deepEqual(sorted(await all(`SELECT * FROM devices.modules AS OF '${m.at}'`)), m.modules, m.at);
		for (const [i, q] of QUERIES.entries()) assert.deepEqual(await all(`${q} AS OF '${m.at}'`), m.results[i], `${q} at ${m.at}`);
		devices.set(m.devices.length, true);
	}
	assert.ok(devices.size > 3, 'devices came and went');
	// one that is there now is the same by GET
	const some = moments[5].devices.find((d) => d.deviceId === 'reports');
	assert.deepEqual((await hub.rest('GET', `/twins/reports?at=${moments[5].at}`)).body, some);
	assert.deepEqual(await all(`SELECT deviceId FROM devices AS OF '2020-01-01T00:00:00Z'`), []);
	assert.deepEqual(await all(`SELECT COUNT() AS n FROM devices AS OF '2020-01-01T00:00:00Z'`), [{ n: 0 }]);
});

test('E-74 pages go on where they ended whatever happens between them', async () => {
	for (let i = 0; i < 30; i++) await hub.rest('PUT', `/devices/page${i}`, { body: { deviceId: `page${i}` } });
	const at = await moment(), query = `SELECT deviceId FROM devices WHERE startswith(deviceId, 'page') AS OF '${at}'`;
	const seen = [];
	let token;
	for (let n = 0; n === 0 || token; n++) {
		const answer = await ask(query, { 'x-ms-max-item-count': '4', ...(token ? { 'x-ms-continuation': token } : {}) });
		assert.equal(answer.status, 200, answer.text);
		assert.equal(answer.headers['x-ms-item-type'], 'Raw');
		seen.push(...answer.body.map((r) => r.deviceId));
		token = answer.headers['x-ms-continuation'];
		for (const d of [`page${n}`, `page${29 - n}`]) await hub.rest('DELETE', `/devices/${d}`, { headers: { 'If-Match': '*' } });
		await hub.rest('PUT', `/devices/page${n}`, { body: { deviceId: `page${n}` } });
		await hub.rest('PUT', `/devices/pagenew${n}`, { body: { deviceId: `pagenew${n}` } });
	}
	assert.deepEqual(seen.sort(), Array.from({ length: 30 }, (_, i) => `page${i}`).sort());
	assert.equal((await all(`SELECT TOP 5 deviceId FROM devices WHERE startswith(deviceId, 'page') AS OF '${at}'`, '2')).length, 5);
	const first = await ask(query, { 'x-ms-max-item-count': '4' });
	const other = await ask(query.replace(at, '2021-01-01T00:00:00Z'), { 'x-ms-continuation': first.headers['x-ms-continuation'] });
	assert.equal(other.status, 400);
	assert.match(other.text, /of another query/);
	assert.match((await ask(query, { 'x-ms-continuation': 'AAAA' })).text, /damaged/);
});

test('Q-94 what is asked for wrongly is 400, with its reason', async () => {
	const refused = async (query, says, target) => {
		const answer = await ask(query, {}, target);
		assert.equal(answer.status, 400, answer.text);
		assert.match(answer.text, says, query);
	};
	const at = "AS OF '2026-01-01T00:00:00Z'";
	await refused(`SELECT * FROM devices WHERE connectionState = 'Connected' ${at}`, /connectionState is not in the log/);
	await refused(`SELECT lastActivityTime FROM devices ${at}`, /lastActivityTime is not in the log/);
	await refused(`SELECT deviceId FROM devices ORDER BY cloudToDeviceMessageCount ${at}`, /cloudToDeviceMessageCount is not/);
	await refused(`SELECT * FROM devices.modules WHERE is_defined(configurations.a) ${at}`, /is not in the log/);
	await refused(`SELECT * FROM devices.jobs ${at}`, /AS OF is for devices and devices.modules/);
	await refused("SELECT * FROM devices AS OF 'yesterday'", /a time, as '2026-11-29T10:00:00Z'/);
	await refused('SELECT * FROM devices AS OF', /a time, as/);
	await refused('SELECT * FROM devices AS x', /where OF should be/);
	await refused("SELECT * FROM devices AS OF '2099-01-01T00:00:00Z'", /a time to come/);
	await refused(`SELECT * FROM devices ${at} WHERE tags.a = 1`, /the end of the query/);
	// an alias named so is one
	assert.deepEqual(await all('SELECT COUNT() AS of FROM devices WHERE tags.nosuch = 1'), [{ of: 0 }]);
});

test('E-76 explain=true says what it has cost', async () => {
	const at = await moment();
	await hub.rest('PUT', '/devices/costs', { body: { deviceId: 'costs' } });
	await hub.rest('DELETE', '/devices/costs', { headers: { 'If-Match': '*' } });
	const cost = (await ask(`SELECT COUNT() AS n FROM devices AS OF '${at}'`, {}, '/devices/query?explain=true')).body;
	assert.ok(cost.changesRead >= 2 && cost.rowsJudged > 0 && cost.engineMs > 0, JSON.stringify(cost));
	assert.equal(cost.rowsGoneSince, 1);
	assert.equal(cost.more, false);
});

test('E-74 `twinhub query --at`', async () => {
	await hub.rest('PUT', '/devices/cli', { body: { deviceId: 'cli' } });
	const at = await moment();
	await hub.rest('DELETE', '/devices/cli', { headers: { 'If-Match': '*' } });
	const run = (...args) => hub.cli(['query', "SELECT deviceId FROM devices WHERE deviceId = 'cli' ;", ...args]);
	const done = await run('--at', at, '--json');
	assert.equal(done.code, 0, done.stderr);
	assert.deepEqual(JSON.parse(done.stdout), [{ deviceId: 'cli' }]);
	assert.deepEqual(JSON.parse((await run('--json')).stdout), []);
	const explained = await run('--at', at, '--explain', '--json');
	assert.match(explained.stdout, /"rowsGoneSince": ?1/, explained.stderr);
	assert.equal((await run('--at', "x' OR")).code, 2);
});

test('E-77 of one policy two are under way at a time', async () => {
	const at = await moment(), many = await Promise.all(Array.from({ length: 12 }, () => ask(`SELECT COUNT() AS n FROM devices AS OF '${at}'`)));
	for (const answer of many) if (answer.status !== 200) assert.match(answer.text, /2 queries AS OF a time are under way for this policy/);
	assert.ok(many.some((a) => a.status === 200));
	assert.equal((await ask(`SELECT COUNT() AS n FROM devices AS OF '${at}'`)).status, 200);
});
