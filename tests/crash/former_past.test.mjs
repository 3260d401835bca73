// A directory of format 1, whose twins have no past: questions about it say so, and what happens from then on is known (events.md E-72, E-77).
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BINARY, Hub, REPOSITORY, freeAddress, stopAll, tempDir } from '../lib/hub.mjs';
import { counts, Jobs } from '../lib/jobs.mjs';

const LIBRARY = path.join(path.dirname(BINARY), 'libset_clock.so');
const scratch = tempDir('former-past');
let hub, clock, jobs;

before(async () => {
	process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'; // certificates of then end a year later
	execFileSync('tar', ['-C', scratch, '-xf', path.join(REPOSITORY, 'tests/crash/former/format1.tar.xz')]);
	const dir = path.join(scratch, 'stopped');
	clock = JSON.parse(fs.readFileSync(`${dir}.json`, 'utf8')).clock;
	hub = new Hub({ addr: await freeAddress(), dir, env: { LD_PRELOAD: LIBRARY, TWINHUB_CLOCK: String(clock + 60), ASAN_OPTIONS: `${process.env.ASAN_OPTIONS ?? ''}:verify_asan_link_order=0` } });
	await hub.start();
	jobs = new Jobs(hub);
});
after(async () => { jobs?.close(); await stopAll(hub); });

const ask = (query) => hub.rest('POST', '/devices/query', { body: { query } });

test('E-72 E-77 of before the raising nothing is known: 410; from the first change on all of it is', async () => {
	const at = (s) => new Date((clock + s) * 1000).toISOString();
	const gone = async (target) => {
		const answer = await hub.rest('GET', target);
		assert.deepEqual([answer.status, answer.headers['iothub-errorcode']], [410, 'HistoryNotKept'], answer.text);
	};
	const before = (await hub.rest('GET', '/twins/plain')).body;
	assert.deepEqual((await hub.rest('GET', '/twins/plain/history')).body, []);
	await gone(`/twins/plain?at=${at(-100)}`);
	await gone('/twins/plain?atVersion=1');
	assert.equal((await ask(`SELECT * FROM devices AS OF '${at(-100)}'`)).status, 410);
	await hub.createDevice('new');
	const { time } = (await hub.rest('GET', '/twins/new/history')).body[0];
	await sleep(20);
	assert.equal((await hub.rest('PATCH', '/twins/plain', { body: { tags: { since: true } } })).status, 200);
	const history = (await hub.rest('GET', '/twins/plain/history')).body;
	assert.deepEqual(history.map((e) => e.change), ['changed']);
	const was = (await hub.rest('GET', `/twins/plain?at=${time}`)).body;
	assert.deepEqual([was.version, was.etag, was.tags], [before.version, before.etag, before.tags]);
	await gone(`/twins/plain?at=${at(-100)}`);
	const all = await ask(`SELECT deviceId, version FROM devices WHERE deviceId = 'plain' AS OF '${time}'`);
	assert.deepEqual(all.body, [{ deviceId: 'plain', version: before.version }]);
	assert.equal((await ask(`SELECT COUNT() AS n FROM devices AS OF '${at(-100)}'`)).status, 410);
	await jobs.put('past', { type: 'scheduleRestoreTwin', queryCondition: "deviceId IN ['plain', 'new']", restoreTwin: { at: at(-100) } });
	assert.deepEqual((await jobs.ended('past')).deviceJobStatistics, counts(2, 0, 2));
	assert.deepEqual((await jobs.results('past')).map((r) => r.error.code).sort(), ['GenericNotFound', 'HistoryNotKept']);
	await jobs.put('since', { type: 'scheduleRestoreTwin', queryCondition: "deviceId = 'plain'", restoreTwin: { at: time } });
	assert.deepEqual((await jobs.ended('since')).deviceJobStatistics, counts(1, 1, 0));
	assert.deepEqual((await hub.rest('GET', '/twins/plain')).body.tags, before.tags);
});
