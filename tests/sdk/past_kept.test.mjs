// What retention has dropped of the log of changes (events.md E-72, E-77; J-72): each question about the past says how far it goes back.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { startHub, stopAll, until } from '../lib/hub.mjs';
import { counts, Jobs } from '../lib/jobs.mjs';

let hub, jobs, then, kept, goes_back;

const read = (target) => hub.rest('GET', target);
const ask = (query) => hub.rest('POST', '/devices/query', { body: { query } });
async function moment() {
	const now = Date.now() + 1;
	while (Date.now() <= now + 1) await sleep(1);
	return new Date(now).toISOString();
}
const fill = async (id) => {
	for (let i = 0; i < 8; i++) {
		const answer = await hub.rest('PATCH', `/twins/${id}`, { body: { properties: { desired: Object.fromEntries(Array.from({ length: 7 }, (_, k) => [`k${k}`, randomBytes(2900).toString('base64')])) } } });
		assert.equal(answer.status, 200, answer.text);
	}
};
const oldest = (answer) => {
	assert.equal(answer.status, 410, answer.text);
	assert.equal(answer.headers['iothub-errorcode'], 'HistoryNotKept');
	return /goes back to (\S+Z)/.exec(answer.text)[1];
};

before(async () => {
	hub = await startHub();
	assert.equal((await hub.rest('PATCH', '/settings', { body: { retention: { changesMaxSize: 1 << 20 } } })).status, 200);
	jobs = new Jobs(hub);
	for (const id of ['busy', 'quiet', 'gone']) {
		await hub.createDevice(id);
		await hub.rest('PATCH', `/twins/${id}`, { body: { tags: { first: true } } });
	}
	then = await moment();
	await hub.rest('DELETE', '/devices/gone', { headers: { 'If-Match': '*' } });
	await until(async () => {
		await fill('busy');
		await hub.restart();
		return (await read(`/twins/busy?at=${then}`)).status === 410;
	}, 'the oldest changes are dropped');
	goes_back = oldest(await read(`/twins/busy?at=${then}`));
	kept = await moment();
	await hub.rest('PATCH', '/twins/busy', { body: { tags: { first: null, last: true } } });
}, { timeout: 240_000 });
after(async () => { jobs?.close(); await stopAll(hub); });

test('E-72 a time and a version of before what is kept are 410, with the oldest time; the history ends there', async () => {
	assert.ok(goes_back > then && goes_back <= kept, goes_back);
	assert.equal(oldest(await read(`/twins/busy?atVersion=3`)), goes_back);
	const history = (await read('/twins/busy/history')).body;
	assert.ok(history.length > 1);
	assert.notEqual(history.at(-1).change, 'created');
	assert.equal((await read(`/twins/busy?at=${goes_back}`)).status, 200);
	assert.equal((await read(`/twins/busy?at=${kept}`)).body.tags.first, true);
});

test('E-72 a twin that has not changed since what is kept was then as it is now', async () => {
	assert.deepEqual((await read('/twins/quiet/history')).body, []);
	const now = (await read('/twins/quiet')).body, was = await read(`/twins/quiet?at=${kept}`);
	assert.equal(was.status, 200, was.text);
	assert.deepEqual([was.body.version, was.body.etag, was.body.tags], [now.version, now.etag, now.tags]);
	assert.equal((await read(`/twins/quiet?atVersion=${now.version}`)).status, 200);
	oldest(await read(`/twins/quiet?at=${then}`));
	oldest(await read('/twins/quiet?atVersion=1'));
});

test('E-77 AS OF a time before what is kept is 410, whatever is asked', async () => {
	for (const query of ['SELECT * FROM devices', 'SELECT COUNT() AS n FROM devices', 'SELECT deviceId FROM devices ORDER BY deviceId', "SELECT * FROM devices WHERE deviceId = 'busy'"])
		assert.ok(oldest(await ask(`${query} AS OF '${then}'`)) <= goes_back, query);
	const answer = await ask(`SELECT deviceId, tags.first, tags.last FROM devices ORDER BY deviceId AS OF '${kept}'`);
	assert.deepEqual(answer.body, [{ deviceId: 'busy', first: true }, { deviceId: 'quiet', first: true }]);
});

test('J-72 a job that restores what is not kept fails for each device, and says so', async () => {
	const restore = (at) => ({ type: 'scheduleRestoreTwin', queryCondition: '*', restoreTwin: { at } });
	await jobs.put('before', restore(then));
	assert.deepEqual((await jobs.ended('before')).deviceJobStatistics, counts(2, 0, 2));
	for (const r of await jobs.results('before')) assert.deepEqual([r.error.code, /goes back to \S+Z/.test(r.error.description)], ['HistoryNotKept', true]);
	const tried = await hub.rest('POST', '/jobs/v2/x?dryRun=true', { body: restore(then) });
	assert.deepEqual(tried.body.sample.map((s) => s.error.code), ['HistoryNotKept', 'HistoryNotKept']);
	assert.equal((await read('/twins/busy')).body.tags.last, true);
	await jobs.put('since', restore(kept));
	assert.deepEqual((await jobs.ended('since')).deviceJobStatistics, counts(2, 2, 0));
	assert.deepEqual((await read('/twins/busy')).body.tags, { first: true });
	const done = await hub.cli(['twin', 'restore', 'busy', '--at', then]);
	assert.notEqual(done.code, 0);
	assert.match(done.stderr, /HistoryNotKept|goes back to/);
});
