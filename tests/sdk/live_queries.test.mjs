// Live queries (events.md 6): POST /devices/query/watch and GET /twins/{id}/watch, with EventSource and bare clients.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { Inbox, mqttDevice, startHub, stopAll, until, within } from '../lib/hub.mjs';
import { watchQuery, watchRoute } from '../lib/watch.mjs';

const EventSource = createRequire(import.meta.url)('eventsource');
const API = 'api-version=2021-04-12';
let hub;

before(async () => { hub = await startHub(); });
after(() => stopAll(hub));

const patch = (id, body) => hub.rest('PATCH', `/twins/${id}`, { body });
const remove = (id) => hub.rest('DELETE', `/devices/${id}`, { headers: { 'If-Match': '*' } });

test('E-50 E-60 first the rows that match, then who enters, changes and leaves', async () => {
	for (const id of ['a1', 'a2', 'a3']) await hub.createDevice(id);
	await patch('a1', { tags: { site: 'x', n: 1 } });
	await patch('a2', { tags: { site: 'y', n: 1 } });
	const watch = await watchQuery(hub, "SELECT deviceId, tags.n FROM devices WHERE tags.site = 'x'");
	assert.equal(watch.type, 'text/event-stream');
	assert.deepEqual(await watch.any(), { event: 'row', deviceId: 'a1', row: { deviceId: 'a1', n: 1 } });
	const ready = await watch.any();
	assert.equal(ready.event, 'ready');
	assert.equal(ready.rows, 1);
	assert.match(ready.id, /^[A-Za-z0-9_-]{1,300}$/);
	await patch('a2', { tags: { site: 'x' } });
	const enter = await watch.any();
	assert.deepEqual({ ...enter, id: '' }, { event: 'enter', id: '', deviceId: 'a2', row: { deviceId: 'a2', n: 1 } });
	await patch('a2', { tags: { n: 2 } });
	assert.deepEqual({ ...await watch.any(), id: '' }, { event: 'change', id: '', deviceId: 'a2', row: { deviceId: 'a2', n: 2 } });
	await patch('a2', { tags: { other: 2 } }); // nobody looks at it
	await patch('a1', { tags: { site: null } });
	assert.deepEqual({ ...await watch.any(), id: '' }, { event: 'leave', id: '', deviceId: 'a1' });
	await remove('a2');
	const last = await watch.any();
	assert.deepEqual({ ...last, id: '' }, { event: 'leave', id: '', deviceId: 'a2' });
	assert.equal(watch.rows.size, 0);
	// the position is one of the event log: what happened behind it is not in what was told
	await patch('a3', { tags: { site: 'x' } });
	const { text } = await hub.rest('GET', `/events?follow=false&source=TwinChangeEvents&from=${last.id}`);
	assert.deepEqual(text.trimEnd().split('\n').map((line) => JSON.parse(line)).filter((e) => e.specversion).map((e) => e.subject), ['devices/a3']);
	watch.close();
});
