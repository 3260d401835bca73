// Sinks and routes as they are kept: written, shown, refused, and there after any end of the hub (events.md 4).
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { startHub, stopAll, tempDir } from '../lib/hub.mjs';

let hub;
const files = tempDir('sinks');

before(async () => {
	hub = await startHub({ args: ['--workers', '2', '--sink-dir', files, '--sink-allow', '127.0.0.0/8'] });
});
after(() => stopAll(hub));

const WEBHOOK = { kind: 'webhook', url: 'https://127.0.0.1:9/x', enabled: false };
const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const ok = (answer, status = 200) => { assert.equal(answer.status, status, answer.text); return answer; };
const put = (target, body, options = {}) => hub.rest('PUT', target, { body, ...options });

test('E-30 E-32 a sink is made, shown with its defaults, replaced with its etag, listed, deleted', async () => {
	const made = ok(await put('/sinks/a', WEBHOOK));
	assert.equal(made.headers.etag, '"MQ=="');
	const { createdTime, lastUpdatedTime, from, ...rest } = made.body;
	assert.ok(createdTime === lastUpdatedTime && createdTime === from);
	assert.deepEqual(rest, { id: 'a', kind: 'webhook', enabled: false, batchEvents: 100, url: WEBHOOK.url, timeoutSeconds: 30,
		handshake: true, etag: 'MQ==', status: { state: 'disabled' } });
	assert.deepEqual(ok(await hub.rest('GET', '/sinks/a')).body, made.body);
	assert.equal(ok(await put('/sinks/a', { ...made.body, batchEvents: '7' }, { headers: { 'If-Match': made.headers.etag } })).body.batchEvents, 7);
	ok(await put('/sinks/a', WEBHOOK, { headers: { 'If-Match': made.headers.etag } }), 412);
	assert.deepEqual(ok(await hub.rest('GET', '/sinks')).body.map((s) => [s.id, s.kind]), [['events', 'builtin'], ['a', 'webhook']]);
	assert.deepEqual(ok(await hub.rest('GET', '/statistics/sinks')).body, [{ id: 'a', kind: 'webhook', status: { state: 'disabled' } }]);
	ok(await put('/sinks/events', WEBHOOK), 400);
	ok(await hub.rest('DELETE', '/sinks/events'), 400);
	ok(await hub.rest('DELETE', '/sinks/a'), 204);
	ok(await hub.rest('GET', '/sinks/a'), 404);
});

test('E-33 E-34 routes lead to sinks; the fallback route is always there', async () => {
	const fallback = { id: '$fallback', source: 'DeviceMessages', condition: 'true', endpointNames: ['events'], isEnabled: true };
	assert.deepEqual(ok(await hub.rest('GET', '/routes')).body, [fallback]);
	ok(await put('/routes/r', { source: 'DeviceMessages', endpointNames: ['b'] }), 400);
	ok(await put('/sinks/b', WEBHOOK));
	const made = ok(await put('/routes/r', { source: 'devicemessages', condition: "level = 'hot'", endpointNames: ['b'], isEnabled: 'false' }));
	assert.deepEqual({ ...made.body, createdTime: 0, lastUpdatedTime: 0 }, { id: 'r', source: 'DeviceMessages', condition: "level = 'hot'",
		endpointNames: ['b'], isEnabled: false, etag: 'MQ==', createdTime: 0, lastUpdatedTime: 0 });
	const refused = ok(await hub.rest('DELETE', '/sinks/b'), 409);
	assert.match(refused.text, /GenericConflict.*a route leads/);
	assert.equal(ok(await put('/routes/$fallback', { isEnabled: false })).body.isEnabled, false);
	ok(await hub.rest('DELETE', '/routes/$fallback'), 400);
	ok(await put('/routes/$fallback', { isEnabled: true }));
	ok(await hub.rest('DELETE', '/routes/r'), 204);
	ok(await hub.rest('DELETE', '/sinks/b'), 204);
});

test('E-35 a route is tested on a sample, with the place of an error', async () => {
	const ask = (body, id = 'none') => hub.rest('POST', `/routes/${id}/test`, { body });
	const message = { body: '{"t":31}', appProperties: { level: 'hot' }, systemProperties: { contentType: 'application/json', contentEncoding: 'utf-8' } };
	const route = { source: 'DeviceMessages', condition: "level = 'hot' AND $body.t > 30 AND $twin.tags.a = 'x'" };
	const says = async (body) => ok(await ask(body)).body;
	assert.deepEqual(await says({ message, route, twin: { tags: { a: 'x' } } }), { result: 'true', details: { compilationErrors: [] } });
	assert.equal((await says({ message, route, twin: { tags: { a: 'y' } } })).result, 'false');
	const wrong = await says({ message, route: { condition: "level = 'hot'\n AND )" } });
	assert.equal(wrong.result, 'undefined');
	assert.deepEqual(wrong.details.compilationErrors[0].location.start, { line: 2, column: 6 });
	ok(await ask({ message }), 404);
	ok(await put('/routes/x', { source: 'DeviceMessages', endpointNames: ['events'], condition: 'level = = 1' }), 400);
});

test('E-30 E-33 E-35 the commands sink and route', async () => {
	const file = (value) => {
		const name = path.join(tempDir('document'), 'document.json');
		fs.writeFileSync(name, JSON.stringify(value));
		return name;
	};
	const run = async (code, ...args) => {
		const answer = await hub.cli([...args, '--json']);
		assert.equal(answer.code, code, answer.stderr);
		return answer.stdout.trim() === '' ? null : JSON.parse(answer.stdout);
	};
	const sink = file({ ...WEBHOOK, secret: SECRET });
	assert.equal((await run(0, 'sink', 'create', 'c', '--file', sink)).secret, '***');
	await run(7, 'sink', 'create', 'c', '--file', sink);
	assert.equal((await run(0, 'sink', 'update', 'c', '--file', file({ ...WEBHOOK, batchEvents: 5 }), '--etag', 'MQ==')).batchEvents, 5);
	await run(7, 'sink', 'update', 'c', '--file', sink, '--etag', 'MQ==');
	const route = file({ source: 'DeviceMessages', condition: "level = 'hot'", endpointNames: ['c'] });
	assert.equal((await run(0, 'route', 'create', 'c', '--file', route)).condition, "level = 'hot'");
	assert.equal((await run(0, 'route', 'test', 'c', '--file', file({ message: { appProperties: { level: 'hot' } } }))).result, 'true');
	assert.deepEqual((await run(0, 'sink', 'show', 'c')).status, { state: 'disabled' });
	assert.deepEqual((await run(0, 'sink', 'list')).map((s) => s.id), ['events', 'c']);
	assert.deepEqual((await run(0, 'route', 'list')).map((r) => r.id), ['$fallback', 'c']);
	await run(7, 'sink', 'delete', 'c');
	await run(0, 'route', 'delete', 'c');
	await run(0, 'sink', 'delete', 'c');
	await run(4, 'sink', 'show', 'c');
	await run(2, 'sink', 'create', 'c');
});

test('E-31 secrets go in and never come out: not in answers, lists, exports or the log', async () => {
	ok(await put('/sinks/s', { ...WEBHOOK, secret: SECRET, token: 'token-of-the-sink' }));
	ok(await put('/sinks/s', { ...WEBHOOK, secret: 'not-base64-but-secret' }), 400);
	const seen = [];
	for (const target of ['/sinks/s', '/sinks', '/statistics/sinks', '/admin/export', '/routes']) seen.push((await hub.rest('GET', target)).text);
	assert.match(seen[0], /"secret":"\*\*\*","token":"\*\*\*"/);
	seen.push(hub.logs);
	for (const text of seen) assert.doesNotMatch(text, /whsec_|BwcHBwcH|token-of-the-sink|not-base64-but-secret/);
	ok(await hub.rest('DELETE', '/sinks/s'), 204);
});

test('E-31 reading takes ServiceConnect, writing all rights', async () => {
	for (const [policy, read, write] of [['service', 200, 401], ['registryReadWrite', 401, 401], ['device', 401, 401], ['iothubowner', 200, 400]]) {
		const as = { policy };
		assert.equal((await hub.rest('GET', '/sinks', as)).status, read, policy);
		assert.equal((await hub.rest('GET', '/routes', as)).status, read, policy);
		assert.equal((await put('/sinks/x', { enabled: false }, as)).status, write, policy);
		assert.equal((await put('/routes/x', {}, as)).status, write, policy);
	}
});

test('E-30 E-36 what was acknowledged is there after a kill', async () => {
	const made = ok(await put('/sinks/k', { kind: 'file', path: 'k/events.ndjson', enabled: false, from: 'earliest' }));
	ok(await put('/routes/k', { source: 'TwinChangeEvents', endpointNames: ['k'] }));
	await hub.kill();
	await hub.start();
	assert.deepEqual(ok(await hub.rest('GET', '/sinks/k')).body, made.body);
	assert.equal(made.body.from, 'earliest');
	assert.deepEqual(ok(await hub.rest('GET', '/routes')).body.map((r) => r.id), ['$fallback', 'k']);
	assert.ok(!fs.existsSync(path.join(files, 'k')));
});
