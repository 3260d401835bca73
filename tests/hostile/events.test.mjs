// Readers of events, histories, twins and fleets as they were, partitions, sinks and routes, messages to devices, against what is none. Rules: events.md.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import https from 'node:https';
import { randomBytes } from 'node:crypto';
import { mqttDevice, until } from '../lib/hub.mjs';
import { API_VERSION } from '../lib/hub.mjs';
import { notObjects } from './documents.mjs';
import { SLOW, Scene, descriptors, expectFault, rssBytes } from './harness.mjs';

const MB = 2 ** 20;
const e = encodeURIComponent;

let scene;
before(async () => {
	scene = await Scene.start({ devices: ['h'], busy: ['b'], lists: ['/sinks', '/routes'], prepare: async (s) => {
		assert.equal((await s.rest('PUT', '/sinks/s', { body: { kind: 'webhook', url: 'https://hooks.example.test/x', enabled: false } })).status, 200);
	} });
});
after(() => scene?.stop());

const reading = (parameters) => ['GET', `/events?follow=false&${parameters}`];
const when = (text, options = {}) => ['POST', '/devices/query', { body: { query: `SELECT * FROM devices AS OF ${text}` }, ...options }];
const sink = (body) => ['PUT', '/sinks/n', { body }];
const route = (body) => ['PUT', '/routes/n', { body }];
const message = (headers, body = 'x') => ['POST', '/devices/h/messages/deviceBound', { body, headers }];
const hook = { kind: 'webhook', url: 'https://hooks.example.test/x' };
const A = 'ArgumentInvalid';

const bad = [
	...['x', 'A', 'A'.repeat(300), 'A'.repeat(301), 'A'.repeat(5000), '-', '_'.repeat(64), 'AAAA AAAA', 'AAAA=', '\u0000', 'ü', '%', '../..', '1', '-1', '18446744073709551616',
		'2026-13-01T00:00:00Z', '2026-02-30T00:00:00Z', '2026-01-01T25:00:00Z', '99999-01-01T00:00:00Z', '2026', 'now earliest', 'earliest,now']
		.map((from) => [`from ${from.slice(0, 30)} (${from.length})`, ...reading(`from=${e(from)}`), {}, 400, A]),
	...['x', '0', '*', '"', 'A'.repeat(300), 'A'.repeat(4000), '2026-11-30T10:00:00Z', 'now', 'earliest', '{"position":"x"}', '-'.repeat(299)]
		.map((id) => [`Last-Event-ID ${id.slice(0, 30)} (${id.length})`, ...reading('from=now'), { headers: { 'Last-Event-ID': id } }, 400, A]),
	...['(', ')', '('.repeat(65) + 'true' + ')'.repeat(65), 'NOT '.repeat(70) + 'true', "'", '"', '$body.[0', '$twin.', '$', '\u0000', 'a = ', '= a', 'a == b', 'x'.repeat(8193),
		Array(1100).fill('a = 1').join(' OR '), `concat(${Array(40).fill("'a'").join()}) = 'a'`, '$body.' + 'a.'.repeat(70) + 'a = 1', "a LIKE 'x'", 'nothing(1)', '/* open', '0x10 = a']
		.map((where) => [`where ${where.slice(0, 30)} (${where.length})`, ...reading(`where=${e(where)}`), {}, 400, A]),
	['a source that is none', ...reading('source=DeviceMessages,x'), {}, 400, A],
	['a thousand commas', ...reading(`source=${','.repeat(1000)}`), {}, 400, A],
	['a path of 17 steps', ...reading(`path=tags${'.a'.repeat(16)}`), {}, 400, A],
	['a path of 4,000 steps', ...reading(`path=tags${'.a'.repeat(4000)}`), {}, 400, A],
	['a path that is none', ...reading('path=properties.other'), {}, 400, A],
	['twin_change_includes of messages', ...reading(`source=DeviceMessages&where=${e('twin_change_includes(tags.a)')}`), {}, 400, A],
	...['', '-1', '4', '32', '99999999999', 'x', '0x0', '%00', '1.0', ' 1', '+1'].filter(Boolean).map((n) => [`partition ${n}`, 'GET', `/events/partitions/${e(n)}`, {}, [400, 404], undefined]),
	...['-1', 'x', '18446744073709551616', '1.5', '', '0x1', ' 1'].map((n) => [`sequence '${n}'`, 'GET', `/events/partitions/0?sequence=${e(n)}`, {}, n === '' ? [200, 400] : 400, undefined]),
	...['x', 'A'.repeat(5000), '"', '0', '-1', '\u00ff'.repeat(3), 'bnVsbA=='].map((token) => [`a continuation ${token.slice(0, 20)}`, 'GET', '/twins/h/history', { headers: { 'x-ms-continuation': token } }, 400, A]),
	...['0', '-1', 'x', '99999999999999999999', '1e3'].map((n) => [`${n} items`, 'GET', '/twins/h/history', { headers: { 'x-ms-max-item-count': n } }, 400, A]),
	...['0', '-1', 'x', '18446744073709551616', '1.5', '1e3'].map((n) => [`version ${n}`, 'GET', `/twins/h?atVersion=${e(n)}`, {}, [400, 404], undefined]),
	...['x', '0', '2026-02-30T00:00:00Z', '99999-01-01T00:00:00Z', 'now', '\u0000', 'A'.repeat(3000)].map((at) => [`at ${at.slice(0, 20)}`, 'GET', `/twins/h?at=${e(at)}`, {}, 400, A]),
	['at before anything', 'GET', '/twins/h?at=0001-01-01T00:00:00Z', {}, [404, 410], undefined],
	['at 1970', 'GET', '/twins/h?at=1970-01-01T00:00:00Z', {}, [404, 410], undefined],
	['at and atVersion', 'GET', '/twins/h?at=2026-01-01T00:00:00Z&atVersion=1', {}, 400, A],
	...["'x'", "''", "'2026-02-30T00:00:00Z'", '2026', 'now', "'2026-01-01T00:00:00Z", "'2026-01-01T00:00:00Z' '2026-01-01T00:00:00Z'", "'2026-01-01T00:00:00Z' AS OF '2026-01-01T00:00:00Z'", "'99999-01-01T00:00:00Z'"]
		.map((text) => [`AS OF ${text.slice(0, 40)}`, ...when(text), 400, A]),
	...notObjects.map(([name, body]) => [`a sink that is ${name}`, 'PUT', '/sinks/n', { body }, 400, undefined]),
	...notObjects.map(([name, body]) => [`a route that is ${name}`, 'PUT', '/routes/n', { body }, 400, undefined]),
	...['http://a.test/', 'https://', 'https://u:p@a.test/', 'https://a.test/#x', 'file:///etc/passwd', 'gopher://a.test/', 'https://a.test/\r\nX: y', 'https://a.test:99999/', 'https://a.test:0/', 'https://a.test:x/', 'https://a.test:1:2/', 'https://[::1', 'https://[::1]x/', 'https://:443/', 'HTTPS:/a', `https://a.test/${'x'.repeat(5000)}`, 'https://a b/']
		.map((url) => [`a webhook at ${url.slice(0, 40)}`, ...sink({ ...hook, url }), 400, A]),
	...['../x', '/etc/passwd', 'a/../b', '.', '..', 'a//b', 'a\u0000b', 'a/', 'x'.repeat(300), 'a/'.repeat(20) + 'b', 'ü', 'a\\b'].map((path) => [`a file ${path.slice(0, 30)}`, ...sink({ kind: 'file', path }), 400, A]),
	['a token with a line break', ...sink({ ...hook, token: 'a\r\nX-Evil: 1' }), 400, A],
	['a certificate of 900 KB', ...sink({ ...hook, ca: 'x'.repeat(900_000) }), 400, A],
	['a sink with 50,000 members', ...sink({ ...hook, ...Object.fromEntries(Array.from({ length: 50_000 }, (_, i) => [`m${i}`, i])) }), 400, A],
	['a sink with a name of 65', 'PUT', `/sinks/${'x'.repeat(65)}`, { body: hook }, 400, undefined],
	['the sink of the hub', 'PUT', '/sinks/events', { body: hook }, [400, 403], undefined],
	['a route to nowhere', ...route({ source: 'DeviceMessages', endpointNames: ['nobody'] }), 400, A],
	['a route to two', ...route({ source: 'DeviceMessages', endpointNames: ['s', 's'] }), 400, A],
	['a route to 100,000', ...route({ source: 'DeviceMessages', endpointNames: Array(100_000).fill('s') }), 400, A],
	['a route with a condition of 8,193', ...route({ source: 'DeviceMessages', endpointNames: ['s'], condition: `a = '${'x'.repeat(8187)}'` }), 400, undefined],
	['a route that is 65 deep', ...route({ source: 'DeviceMessages', endpointNames: ['s'], condition: `${'('.repeat(65)}true${')'.repeat(65)}` }), 400, undefined],
	['the fallback with a condition', 'PUT', '/routes/$fallback', { body: { condition: 'false' } }, 400, undefined],
	['101 properties', ...message(Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`iothub-app-p${i}`, 'x']))), 413, 'MessageTooLarge'],
	['a property of 17,000', ...message({ 'iothub-app-p': 'x'.repeat(17_000) }), [400, 431], undefined],
	['an expiry that is none', ...message({ 'iothub-expiry': 'soon' }), 400, A],
	['an expiry in 1970', ...message({ 'iothub-expiry': '1970-01-01T00:00:00Z' }), 400, A],
	['an acknowledgement that is none', ...message({ 'iothub-ack': 'yes' }), 400, A],
	['an id of 200', ...message({ 'iothub-messageid': 'x'.repeat(200) }), 400, A],
	['70 KB', ...message({}, 'x'.repeat(70_000)), 413, undefined],
	['a lock that is none', 'DELETE', '/devices/h/messages/deviceBound/x', { policy: 'device' }, [400, 412], undefined],
	['a lock of 9,000', 'DELETE', `/messages/serviceBound/feedback/${'A'.repeat(4000)}`, {}, [400, 404, 412], undefined],
	...['{}', '{"retention":{"changesMaxAge":-1}}', '{"retention":{"changesMaxAge":1e99}}', '{"events":{"partitions":3}}', '{"log":{"telemetry":1}}', '{"log":[]}', '{"log":{"":true}}'].slice(1)
		.map((body) => [`settings ${body}`, 'PATCH', '/settings', { body }, 400, A]),
];

describe('what is none', () => {
	for (const [name, method, path, options, status, code] of bad)
		test(name, async () => {
			const answer = await scene.rest(method, path, options);
			if (Array.isArray(status)) assert.ok(status.includes(answer.status), `${answer.status} ${answer.text}`);
			else if (code === undefined) assert.equal(answer.status, status, answer.text);
			else expectFault(answer, status, code);
			await scene.servesOthers();
		});
});

// A bare answer of events, read as it comes: take(line) for each line; ended resolves with the time.
async function stream(parameters, take = () => {}) {
	const headers = { Authorization: await scene.hub.token() };
	const answer = await new Promise((resolve, reject) => https.get({ host: scene.hub.addr, path: `/events?api-version=${API_VERSION}&${parameters}`, headers, ca: scene.hub.pem, agent: false }, resolve)
		.on('error', reject));
	let rest = '';
	assert.equal(answer.statusCode, 200);
	answer.setEncoding('utf8').on('data', (piece) => {
		const lines = (rest + piece).split('\n');
		rest = lines.pop();
		for (const line of lines) take(JSON.parse(line));
	});
	answer.ended = new Promise((resolve) => { answer.on('end', () => resolve(performance.now())).on('error', () => {}); });
	return answer;
}

test('E-10 400 positions that are nearly some are positions of the hub, or refused', { timeout: 240_000 * SLOW }, async () => {
	const { position } = JSON.parse((await scene.rest('GET', '/events?follow=false&from=earliest')).text.trimEnd().split('\n').at(-1));
	const bytes = Buffer.from(position, 'base64url');
	for (let i = 0; i < 400; i++) {
		const near = Buffer.from(bytes);
		if (i % 3 === 0) near[i % near.length] ^= 1 << i % 8;
		else if (i % 3 === 1) near.set(randomBytes(1 + i % 8), i % Math.max(1, near.length - 8));
		const text = (i % 3 === 2 ? randomBytes(i % 220) : near).toString('base64url');
		const answer = await scene.rest('GET', `/events?follow=false&from=${text || 'x'}`);
		assert.ok([200, 400].includes(answer.status), `${answer.status} for ${text}`);
	}
	await scene.servesOthers();
});

test('E-27 500 readers that do not read: so many are let in, the others are told, and memory and descriptors come back', { timeout: 120_000 * SLOW }, async () => {
	const device = await scene.hub.rest('GET', '/devices/b');
	for (let i = 0; i < 40; i++) assert.equal((await scene.rest('POST', '/devices/b/messages/events', { body: 'x'.repeat(200_000) })).status, 204);
	assert.equal(device.status, 200);
	const before = { rss: rssBytes(scene.hub.pid), fds: descriptors(scene.hub.pid) };
	const headers = { Authorization: await scene.hub.token() };
	const statuses = await Promise.all(Array.from({ length: 500 }, () => new Promise((resolve) => {
		https.get({ host: scene.hub.addr, path: `/events?api-version=${API_VERSION}&from=earliest`, headers, ca: scene.hub.pem, agent: false }, (answer) => {
			answer.pause();
			resolve([answer.statusCode, answer]);
		}).on('error', () => resolve([0]));
	})));
	const open = statuses.filter(([status]) => status === 200), refused = statuses.filter(([status]) => status === 429);
	assert.equal(open.length, 16);
	assert.equal(open.length + refused.length, 500);
	assert.ok(rssBytes(scene.hub.pid) - before.rss < 120 * MB, `${Math.round((rssBytes(scene.hub.pid) - before.rss) / MB)} MB more`);
	await scene.servesOthers();
	for (const [, answer] of statuses) answer?.destroy();
	await until(() => descriptors(scene.hub.pid) <= before.fds + 8, 'their connections are gone');
	const again = await stream('from=now');
	again.destroy();
});

test('E-28 a reader whose condition costs milliseconds an event holds up no other one', { timeout: 120_000 * SLOW }, async () => {
	const body = JSON.stringify({ t: 'a'.repeat(240_000) });
	for (let i = 0; i < 60; i++)
		assert.equal((await scene.rest('POST', '/devices/b/messages/events', { body, headers: { 'iothub-contenttype': 'application/json', 'iothub-contentencoding': 'utf-8' } })).status, 204);
	const where = Array.from({ length: 60 }, (_, i) => `CONTAINS($body.t,'${'a'.repeat(20)}b${i}')`).join(' OR ');
	let quick;
	const other = await stream('from=now&source=TwinChangeEvents', (line) => { if (line.type) quick ??= performance.now(); });
	const begin = performance.now();
	const costly = await stream(`from=earliest&follow=false&device=b&where=${e(where)}`);
	assert.equal((await scene.rest('PATCH', '/twins/b', { body: { tags: { quick: true } } })).status, 200);
	const end = await costly.ended;
	await until(() => quick !== undefined, 'the change is heard of');
	other.destroy();
	assert.ok(end - begin > 200, `the condition costs ${Math.round(end - begin)} ms in all, too little to see anything`);
	assert.ok(quick - begin < (end - begin) / 2, `heard after ${Math.round(quick - begin)} ms, when the other one was through after ${Math.round(end - begin)} ms`);
});

test('E-70 pages of a history end where its twin is another one; E-71 what was before it is not shown', async () => {
	for (let round = 0; round < 3; round++) {
		await scene.hub.createDevice('again');
		for (let n = 0; n < 5; n++) assert.equal((await scene.rest('PATCH', '/twins/again', { body: { tags: { n, round } } })).status, 200);
		const page = await scene.rest('GET', '/twins/again/history', { headers: { 'x-ms-max-item-count': '2' } });
		assert.equal(page.body.length, 2);
		const token = page.headers['x-ms-continuation'];
		assert.equal((await scene.rest('GET', '/twins/b/history', { headers: { 'x-ms-continuation': token } })).status, 400, 'of another twin');
		assert.equal((await scene.rest('DELETE', '/devices/again', { headers: { 'If-Match': '*' } })).status, 204);
		assert.equal((await scene.rest('GET', '/twins/again/history', { headers: { 'x-ms-continuation': token } })).status, 404);
		await scene.hub.createDevice('again');
		assert.equal((await scene.rest('GET', '/twins/again/history', { headers: { 'x-ms-continuation': token } })).status, 400, 'of a former one');
		const all = await scene.rest('GET', '/twins/again/history');
		assert.deepEqual(all.body.map((c) => c.change), ['created']);
		assert.equal((await scene.rest('GET', '/twins/again?atVersion=4')).status, 404);
		assert.equal((await scene.rest('DELETE', '/devices/again', { headers: { 'If-Match': '*' } })).status, 204);
	}
});

test('Q-94 E-74 AS OF at both ends of time', async () => {
	const ask = (at) => scene.rest('POST', '/devices/query', { body: { query: `SELECT deviceId FROM devices AS OF '${at}'` } });
	for (const at of ['0001-01-01T00:00:00Z', '1969-12-31T23:59:59.9999999Z', '1970-01-01T00:00:00Z', '2000-02-29T12:00:00+14:00']) {
		const answer = await ask(at);
		assert.ok(answer.status === 410 || (answer.status === 200 && answer.body.length === 0), `${at}: ${answer.status} ${answer.text}`);
	}
	for (const at of ['9999-12-31T23:59:59.9999999Z', '2999-01-01T00:00:00-12:00']) {
		const answer = await ask(at);
		assert.ok(answer.status === 400 || (answer.status === 200 && answer.body.length >= 3), `${at}: ${answer.status} ${answer.text}`);
	}
	await scene.servesOthers();
});

test('E-51 E-58 a watch that every twin meets, opened 200 times, hears each change once', async () => {
	const { watchQuery } = await import('../lib/watch.mjs');
	const all = await Promise.all(Array.from({ length: 200 }, () => watchQuery(scene.hub, 'SELECT deviceId, tags.every FROM devices WHERE NOT IS_DEFINED(tags.nowhere)')));
	for (const w of all) await w.ready();
	for (let n = 1; n <= 5; n++) assert.equal((await scene.rest('PATCH', '/twins/b', { body: { tags: { every: n } } })).status, 200);
	for (const w of all)
		for (let n = 1; n <= 5; n++) assert.equal((await w.next('change')).row.every, n);
	for (const w of all) w.close();
	await scene.servesOthers();
});

test('M-04 properties of messages to devices that would end a topic, a header or a line arrive as they are, or are refused', async () => {
	const device = await mqttDevice(scene.hub, 'bombed', { filters: ['devices/bombed/messages/devicebound/#'] });
	let taken = 0;
	for (const value of ['a&b=c', '%26', '../../x', '#', '+', '$.mid=evil', 'x%00y', '"', "'", ';', 'a\tb', '=', '&', '/'.repeat(3000), '%'.repeat(3000)]) {
		const answer = await scene.rest('POST', '/devices/bombed/messages/deviceBound', { body: 'x', headers: { 'iothub-app-p': Buffer.from(value, 'utf8').toString('latin1') } });
		assert.ok([204, 400].includes(answer.status), `${value.slice(0, 20)}: ${answer.status} ${answer.text}`);
		taken += answer.status === 204;
		if (answer.status !== 204) continue;
		const publish = await device.inbox.next((p) => p.topic?.startsWith('devices/bombed/messages/devicebound/'), 'the message');
		assert.equal(new URLSearchParams(publish.topic.split('/').slice(4).join('/').replaceAll('+', '%2B')).get('p'), value);
		device.inbox.take();
	}
	assert.ok(taken > 8, `${taken} were taken`);
	device.destroy();
	await scene.servesOthers();
});
