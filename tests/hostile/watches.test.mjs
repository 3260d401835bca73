// Live queries against what is no watch, too many of them, and clients that do not read. Rules: events.md 5 (E-51, E-58 to E-62).
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { until } from '../lib/hub.mjs';
import { watchQuery, watchRoute } from '../lib/watch.mjs';
import { notObjects } from './documents.mjs';
import { SLOW, Scene, cpuSeconds, expectFault, rssBytes } from './harness.mjs';

const MB = 2 ** 20, ASKER_MAX = 1024;

let scene;
before(async () => { scene = await Scene.start({ devices: ['h'], busy: ['b1', 'b2'] }); });
after(() => scene?.stop());

const query = (text) => ({ body: { query: text } });
const POST = ['POST', '/devices/query/watch'];
const bad = [
	['no body', ...POST, {}, 400, 'ArgumentNull'],
	['an empty body', ...POST, { body: '' }, 400, 'ArgumentNull'],
	['half a body', ...POST, { body: '{"query": "SELECT' }, 400, 'IotHubFormatError'],
	['no query', ...POST, { body: {} }, 400, 'ArgumentNull'],
	['an empty query', ...POST, query(''), 400, 'ArgumentNull'],
	['a query that is a number', ...POST, query(7), 400, 'ArgumentNull'],
	['a query of 9,000 characters', ...POST, query(`SELECT * FROM devices WHERE tags.a = '${'x'.repeat(9000)}'`), 400, 'ArgumentInvalid'],
	['200 opening brackets', ...POST, query(`SELECT * FROM devices WHERE ${'('.repeat(200)}`), 400, 'ArgumentInvalid'],
	['an unknown parameter', 'POST', '/devices/query/watch?top=5', query('SELECT * FROM devices'), 400, 'ArgumentInvalid'],
	['an unknown parameter of a twin', 'GET', '/twins/h/watch?from=now', {}, 400, 'ArgumentInvalid'],
	['a body of 2 MB', ...POST, { body: `{"query":"${'x'.repeat(2 * MB)}"}` }, 413, 'GenericRequestEntityTooLarge'],
	['GET of what is a POST', 'GET', '/devices/query/watch', {}, 405, 'GenericMethodNotAllowed'],
	['POST of what is a GET', 'POST', '/twins/h/watch', { body: {} }, 405, 'GenericMethodNotAllowed'],
	['a twin that is not there', 'GET', '/twins/nobody/watch', {}, 404, 'DeviceNotFound'],
	['a module that is not there', 'GET', '/twins/h/modules/m/watch', {}, 404, 'ModuleNotFound'],
	['a device\'s id that cannot be one', 'GET', '/twins/a%20b/watch', {}, 400, 'ArgumentInvalid'],
	['an id that would end a text in quotes', 'GET', `/twins/${encodeURIComponent("x' OR 'a' = 'a")}/watch`, {}, 400, 'ArgumentInvalid'],
	['a policy without the right', 'GET', '/twins/h/watch', { policy: 'registryRead' }, 401, 'IotHubUnauthorizedAccess'],
	['a policy of devices', ...POST, { ...query('SELECT * FROM devices'), policy: 'device' }, 401, 'IotHubUnauthorizedAccess'],
	['no token', ...POST, { ...query('SELECT * FROM devices'), token: null }, 401, 'IotHubUnauthorizedAccess'],
	...['COUNT()', 'tags.a, COUNT() AS n', 'DISTINCT tags.a', 'TOP 1 *', 'lastActivityTime', 'version', 'cloudToDeviceMessageCount']
		.map((list) => [`SELECT ${list}`, ...POST, query(`SELECT ${list} FROM devices${list.includes('tags.a, ') ? ' GROUP BY tags.a' : ''}`), 400, 'ArgumentInvalid']),
	...['devices.jobs', 'jobs', 'enrollments'].map((from) => [`FROM ${from}`, ...POST, query(`SELECT * FROM ${from}`), 400, 'ArgumentInvalid']),
	...notObjects.map(([name, body]) => [`a body that is ${name}`, ...POST, { body }, 400, undefined]),
];

describe('what is no watch', () => {
	for (const [name, method, path, options, status, code] of bad)
		test(name, async () => {
			const answer = await scene.rest(method, path, options);
			if (code === undefined) assert.equal(answer.status, status, answer.text);
			else expectFault(answer, status, code);
			await scene.servesOthers();
		});
});

test('E-59 a quote in an id is the id\'s', async () => {
	await scene.hub.createDevice("q'");
	await scene.hub.createDevice('q');
	const watch = await watchRoute(scene.hub, 'GET', `/twins/${encodeURIComponent("q'")}/watch`);
	assert.equal((await watch.ready()).rows, 1);
	assert.deepEqual([...watch.rows.keys()], ["q'"]);
	watch.close();
});

test('E-58 so many of one policy, and then 429; who leaves makes room', async () => {
	const text = "SELECT deviceId FROM devices WHERE deviceId = 'b1'", all = [];
	for (let i = 0; i < ASKER_MAX; i += 32) // as many as there may be, a few at a time
		all.push(...await Promise.all(Array.from({ length: 32 }, () => watchQuery(scene.hub, text))));
	await all.at(-1).ready();
	const refused = await watchQuery(scene.hub, text);
	assert.equal(refused.status, 429, JSON.stringify(refused.body));
	assert.match(refused.body.Message, /1024/);
	const other = await watchQuery(scene.hub, text, { policy: 'service' }); // has a share of its own
	await other.ready();
	all.pop().close();
	await until(async () => {
		const again = await watchQuery(scene.hub, text);
		again.close?.();
		return again.status === undefined;
	}, 'there is room again');
	for (const w of [...all, other]) w.close();
	await scene.servesOthers();
});

test('E-62 clients that open and do not read cost a bounded amount of memory', async () => {
	const big = Object.fromEntries(Array.from({ length: 14 }, (_, i) => [`t${i}`, 'x'.repeat(500)]));
	const patch = (id, n) => scene.rest('PATCH', `/twins/${id}`, { body: { tags: { n, ...big } } });
	await patch('b1', 0);
	const before = rssBytes(scene.hub.pid);
	const all = await Promise.all(Array.from({ length: 100 }, () => watchQuery(scene.hub, "SELECT tags FROM devices WHERE deviceId IN ['b1', 'b2']")));
	for (const w of all) w.pause();
	for (let n = 1; n <= 400; n++) await patch(n % 2 ? 'b1' : 'b2', n); // 280 MB in all
	assert.ok(rssBytes(scene.hub.pid) - before < 200 * MB, `${Math.round((rssBytes(scene.hub.pid) - before) / MB)} MB more`);
	await scene.servesOthers();
	for (const w of all) w.close();
});

test('E-62 watches whose conditions cost milliseconds a row end as overloaded, and hold up neither devices nor other watches', { timeout: 120_000 * SLOW }, async () => {
	const long = 'a'.repeat(4000);
	const costly = Array.from({ length: 55 }, (_, i) => `properties.desired.x LIKE '%${'a_'.repeat(50)}b${i}%'`).join(' OR ');
	const set = (id, n) => scene.rest('PATCH', `/twins/${id}`, { body: { properties: { desired: { x: `${long}${n}` } } } });
	assert.equal((await set('b1', 0)).status, 200);
	const quick = await watchQuery(scene.hub, 'SELECT properties.desired.x AS x FROM devices WHERE is_defined(properties.desired.x)');
	await quick.ready();
	const all = await Promise.all(Array.from({ length: 40 }, () => watchQuery(scene.hub, `SELECT deviceId FROM devices WHERE ${costly}`)));
	for (const w of all) await w.ready();
	const before = cpuSeconds(scene.hub.pid);
	assert.equal((await set('b1', 1)).status, 200);
	assert.equal((await set('b1', 2)).status, 200);
	const spent = cpuSeconds(scene.hub.pid) - before;
	assert.ok(spent < 1, `two changes have cost ${spent} s`);
	assert.match((await quick.next('change')).row.x, /1$/);
	assert.match((await quick.next('change')).row.x, /2$/);
	const ended = () => all.filter((w) => w.seen.some((e) => e.event === 'closed' && e.reason === 'overloaded')).length;
	await until(() => ended() > 25, 'most of them have ended');
	for (const w of [...all, quick]) w.close();
	await scene.servesOthers();
});

test('E-59 watches that are opened and left at once leave nothing', { timeout: 120_000 * SLOW }, async () => {
	for (let i = 0; i < 300; i++) {
		const watch = await watchQuery(scene.hub, i % 2 ? 'SELECT * FROM devices' : 'SELECT * FROM devices.modules', { sse: i % 3 === 0 });
		watch.close();
	}
	await scene.servesOthers();
	const last = await watchQuery(scene.hub, "SELECT tags FROM devices WHERE deviceId = 'b1'");
	await last.ready();
	assert.equal((await scene.rest('PATCH', '/twins/b1', { body: { tags: { done: true } } })).status, 200);
	assert.equal((await last.next('change')).row.tags.done, true);
	last.close();
});
