// A hub that is killed again and again, each time with its clock set back by a year: what its answers reflect, generations of identities
// and the times of the log grow all the same.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { BINARY, Hub, freeAddress, stopAll, tempDir } from '../lib/hub.mjs';

const LIBRARY = path.join(path.dirname(BINARY), 'libset_clock.so');
const YEAR = 365 * 86400;
let hub;

before(async () => {
	assert.ok(fs.existsSync(LIBRARY), `no ${LIBRARY}: build the target set_clock`);
	process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'; // certificates are of a later year
	hub = new Hub({ addr: await freeAddress(), dir: tempDir('epochs') });
});
after(() => stopAll(hub));

// x-twinhub-reflects (docs/query-language.md, Freshness): by shard
function reflected(header) {
	const numbers = [];
	let value = 0n, shift = 0n;
	for (const byte of Buffer.from(header, 'base64')) {
		value |= BigInt(byte & 127) << shift;
		shift += 7n;
		if (byte < 128) { numbers.push(value); value = shift = 0n; }
	}
	return numbers.slice(3).map((above) => numbers[2] + above);
}

async function look() {
	const answer = await hub.rest('POST', '/devices/query', { body: { query: 'SELECT deviceId FROM devices' }, headers: { 'x-ms-max-item-count': '1000' } });
	assert.equal(answer.status, 200, answer.text);
	return reflected(answer.headers['x-twinhub-reflects']);
}

test('E-106 E-107 killed, and its clock set back by a year: nothing goes back', { timeout: 300_000 }, async () => {
	let marks = Array(64).fill(0n), generation = 0n;
	for (let life = 0; life < 5; life++) {
		const now = Math.floor(Date.now() / 1000) - life * YEAR;
		hub.env = { LD_PRELOAD: LIBRARY, TWINHUB_CLOCK: String(now), ASAN_OPTIONS: `${process.env.ASAN_OPTIONS ?? ''}:verify_asan_link_order=0` };
		await hub.start();
		const first = await look();
		first.forEach((mark, s) => assert.ok(mark > marks[s], `shard ${s} reflects ${mark}, and had ${marks[s]}`));
		const made = await hub.rest('PUT', '/devices/d1', { body: { deviceId: 'd1' } });
		assert.equal(made.status, 200, made.text);
		assert.ok(BigInt(made.body.generationId) > generation, `generation ${made.body.generationId} behind ${generation}`);
		generation = BigInt(made.body.generationId);
		assert.equal((await hub.rest('PATCH', '/twins/d1', { body: { tags: { life } } })).status, 200);
		const events = await hub.rest('GET', '/events?follow=false&from=earliest&device=d1');
		const told = events.text.split('\n').filter((line) => line.startsWith('{"id"')).map((line) => JSON.parse(line));
		const times = told.map((event) => Date.parse(event.time));
		assert.ok(times.length >= 2 * (life + 1), events.text);
		times.slice(1).forEach((time, i) => assert.ok(time >= times[i], `${told[i + 1].time} behind ${told[i].time}`));
		assert.equal((await hub.rest('DELETE', '/devices/d1', { headers: { 'If-Match': '*' } })).status, 204);
		marks = await look();
		marks.forEach((mark, s) => assert.ok(mark >= first[s]));
		await hub.kill();
	}
});
