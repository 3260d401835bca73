// Partitions of the built-in endpoint (events.md 10): dense, each event once, in order of a device, over kills under load.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import path from 'node:path';
import { startHub, stopAll, tempDir, until } from '../lib/hub.mjs';

const PARTITIONS = 4, DEVICES = 12;
let hub;

before(async () => {
	hub = await startHub({ dir: path.join(tempDir('partitions'), 'data'), args: ['--workers', '2'] });
	for (let i = 0; i < DEVICES; i++) await hub.createDevice(`d${i}`);
});
after(() => stopAll(hub));

const ok = (answer, status = 200) => { assert.equal(answer.status, status, answer.text); return answer; };
const infos = async () => ok(await hub.rest('GET', '/events/partitions', { policy: 'service' })).body;

async function readAll(partition) {
	const all = [];
	for (let from = 0; ;) {
		const page = ok(await hub.rest('GET', `/events/partitions/${partition}?sequence=${from}`)).body;
		if (page.length === 0) return all;
		all.push(...page);
		from = page.at(-1).sequence + 1;
	}
}

const everything = async () => Promise.all(Array.from({ length: PARTITIONS }, (_, i) => readAll(i)));
const text = (e) => JSON.parse(Buffer.from(e.event.data.body, 'base64').toString());
const send = (device, n) => hub.rest('POST', `/devices/${device}/messages/events`, { body: { n } });

test('E-101 a partition that nobody has sent to is empty', async () => {
	assert.deepEqual(await infos(), Array.from({ length: PARTITIONS }, (_, partition) => ({ partition, beginSequence: 0, lastSequence: -1, isEmpty: true })));
	ok(await hub.rest('GET', '/events/partitions/4'), 404);
	assert.match(ok(await hub.rest('GET', '/events/partitions/0?sequence=x'), 400).text, /sequence is a number, not x/);
});

test('E-100 E-103 E-34 telemetry goes there by the fallback route, twin changes where a route says so', async () => {
	ok(await send('d0', 'first'), 204);
	ok(await hub.rest('PATCH', '/twins/d0', { body: { tags: { a: 1 } } }));
	await until(async () => (await infos()).some((p) => !p.isEmpty), 'the message is numbered');
	ok(await hub.rest('PUT', '/routes/t', { body: { source: 'TwinChangeEvents', endpointNames: ['events'] } }));
	await until(async () => { // whoever numbers has learned of it
		ok(await hub.rest('PATCH', '/twins/d0', { body: { tags: { a: Date.now() } } }));
		return (await everything()).flat().some((e) => e.event.type === 'twinhub.twin.changed');
	}, 'a change is numbered');
	const all = (await everything()).flat();
	assert.equal(all[0].event.data !== undefined && text(all[0]).n, 'first');
	assert.ok(!all.some((e) => e.event.data.tags?.a === 1), 'what came before the route stays what it was judged to be');
	assert.match(all[0].event.source, /^\/hubs\//);
	ok(await hub.rest('DELETE', '/routes/t'), 204);
});

test('E-104 numbering begins with the oldest that is kept, when it is asked for', async () => {
	const other = await startHub({ dir: path.join(tempDir('partitions'), 'late') });
	await other.createDevice('d');
	for (let n = 0; n < 3; n++) ok(await other.rest('POST', '/devices/d/messages/events', { body: { n } }), 204);
	await other.restart();
	const all = async () => (await Promise.all([0, 1, 2, 3].map(async (p) => ok(await other.rest('GET', `/events/partitions/${p}`)).body))).flat();
	await until(async () => (await all()).length === 3, 'they are numbered');
	assert.deepEqual((await all()).map((e) => [e.sequence, text(e).n]), [[0, 0], [1, 1], [2, 2]]);
	await stopAll(other);
});

test('E-100 E-102 killed under load: sequences are dense, each event once, in the order of its device, times never fall', async () => {
	const acknowledged = Array.from({ length: DEVICES }, () => []);
	let stopped = false;
	const load = (i) => (async () => {
		for (let n = 0; !stopped; n++) {
			const answer = await send(`d${i}`, n).catch(() => null);
			if (answer?.status === 204) acknowledged[i].push(n);
			else await new Promise((resolve) => { setTimeout(resolve, 20); });
		}
	})();
	const loads = acknowledged.map((_, i) => load(i));

	for (let round = 0; round < 4; round++) {
		await new Promise((resolve) => { setTimeout(resolve, 300 + 150 * round); });
		await hub.kill();
		await hub.start();
	}
	await new Promise((resolve) => { setTimeout(resolve, 300); });
	stopped = true;
	await Promise.all(loads);
	const log = ok(await hub.rest('GET', '/events?from=earliest&follow=false&source=DeviceMessages')).text.split('\n').filter((l) => l.includes('"specversion"')).map((l) => JSON.parse(l));
	await until(async () => (await everything()).flat().filter((e) => e.event.data.body).length >= log.length, 'all of it is numbered');
	const parts = await everything();
	for (const [p, events] of parts.entries()) {
		assert.deepEqual(events.map((e) => e.sequence), events.map((_, i) => i), `partition ${p} is dense`);
		for (let i = 1; i < events.length; i++) assert.ok(events[i].enqueuedTime >= events[i - 1].enqueuedTime, 'time never falls');
		const info = (await infos())[p];
		assert.deepEqual([info.beginSequence, info.lastSequence, info.isEmpty], [0, events.length - 1, events.length === 0]);
		assert.equal(info.lastEnqueuedTime, events.at(-1)?.enqueuedTime);
	}
	const largest = parts.reduce((best, events, i) => (events.length > parts[best].length ? i : best), 0);
	const page = ok(await hub.rest('GET', `/events/partitions/${largest}?sequence=3`)).body;
	assert.deepEqual(page, parts[largest].slice(3, 103), 'a page has 100, from that sequence on');
	const messages = parts.flat().map((e) => e.event).filter((e) => e.type === 'Microsoft.Devices.DeviceTelemetry');
	assert.deepEqual(messages.map((e) => e.id).sort(), log.map((e) => e.id).sort(), 'each message of the log once');
	for (let i = 0; i < DEVICES; i++) {
		const mine = parts.map((events) => events.filter((e) => e.event.subject === `devices/d${i}` && e.event.data.body)).filter((v) => v.length > 0);
		assert.equal(mine.length, 1, 'a device is in one partition');
		const numbers = mine[0].map((e) => text(e).n).filter((n) => n !== 'first');
		assert.deepEqual(numbers, [...numbers].sort((a, b) => a - b), 'in its order');
		assert.ok(acknowledged[i].every((n) => numbers.includes(n)), 'all that was acknowledged');
	}
	assert.ok(messages.length > 100, `${messages.length} messages`);
});

test('E-105 what retention has dropped goes from the front, and sequences go on', async () => {
	const was = await infos();
	ok(await hub.rest('PATCH', '/settings', { body: { retention: { logMaxAge: 1, changesMaxAge: 1 } } }));
	await until(async () => (await infos()).every((p) => p.isEmpty), 'all partitions are empty', { ms: 40_000 });
	assert.deepEqual((await infos()).map((p) => [p.beginSequence, p.lastSequence]), was.map((p) => [p.lastSequence + 1, p.lastSequence]));
	ok(await hub.rest('PATCH', '/settings', { body: { retention: { logMaxAge: 3600, changesMaxAge: 3600 } } }));
	ok(await send('d3', 'after'), 204);
	await until(async () => (await everything()).flat().length === 1, 'it is numbered');
	const [one] = (await everything()).flat();
	assert.equal(text(one).n, 'after');
	assert.ok(was.some((p) => p.lastSequence + 1 === one.sequence));
	await hub.kill();
	await hub.start();
	assert.deepEqual((await everything()).flat(), [one]);
});
