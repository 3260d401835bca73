// GET /metrics: O-120 to O-123.
import test from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { spawnSync } from 'node:child_process';
import { BINARY, startHub, tempDir } from '../lib/hub.mjs';

function ask(addr, { port = 9464, at = '/metrics', headers = {}, method = 'GET' } = {}) {
	return new Promise((resolve, reject) => {
		const request = http.request({ host: addr, port, path: at, headers, method, agent: false }, (answer) => {
			let body = '';
			answer.setEncoding('utf8').on('data', (part) => { body += part; }).on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, body }));
		});
		request.on('error', reject).end();
	});
}
const value = (body, series) => {
	const line = body.split('\n').find((one) => one.startsWith(`${series} `));
	return line === undefined ? undefined : Number(line.slice(series.length + 1));
};

test('O-120 O-121 what clients do is counted, without their names', async () => {
	const hub = await startHub();
	const before = (await ask(hub.addr)).body;

	await hub.rest('PUT', '/devices/pump-with-a-name', { body: { deviceId: 'pump-with-a-name' } });
	await hub.rest('GET', '/twins/nobody-at-all');
	const after = await ask(hub.addr);
	assert.equal(after.status, 200);
	assert.match(after.headers['content-type'], /^text\/plain; version=0\.0\.4/);
	const rose = (series) => value(after.body, series) - value(before, series);
	assert.equal(rose('twinhub_operations_total{operation="identity-put",result="ok"}'), 1);
	assert.equal(rose('twinhub_operations_total{operation="twin-read",result="refused"}'), 1);
	assert.equal(rose('twinhub_identities'), 1);
	assert.ok(value(after.body, 'twinhub_commit_seconds_count') >= 1);
	assert.ok(value(after.body, 'twinhub_resident_memory_bytes') > 1e6);
	assert.equal(value(after.body, 'twinhub_store_takes_writes'), 1);
	assert.ok(!/pump-with-a-name|nobody-at-all|iothubowner/.test(after.body));
	const open = await ask(hub.addr, { headers: { accept: 'application/openmetrics-text;version=1.0.0,text/plain;q=0.5' } });
	assert.match(open.headers['content-type'], /^application\/openmetrics-text/);
	assert.ok(open.body.endsWith('# EOF\n'));
	await hub.stop();
});

test('O-122 nothing else is served there', async () => {
	const hub = await startHub();

	assert.equal((await ask(hub.addr, { at: '/devices' })).status, 404);
	assert.equal((await ask(hub.addr, { method: 'POST' })).status, 405);
	assert.equal((await ask(hub.addr, { headers: { cookie: 'x'.repeat(9000) } })).status, 431);
	const head = await ask(hub.addr, { method: 'HEAD' });
	assert.equal(head.status, 200);
	assert.equal(head.body, '');
	assert.equal((await ask(hub.addr, { method: 'HEAD', at: '/devices' })).status, 404);
	await hub.stop();
});

// What comes back of some bytes, until the other side closes; how long that took, in ms.
function exchange(addr, bytes) {
	const begin = Date.now();
	return new Promise((resolve) => {
		const socket = net.connect(9464, addr, () => socket.end(bytes));
		let text = '';
		socket.on('error', () => {}).on('data', (part) => { text += part; }).on('close', () => resolve({ text, ms: Date.now() - begin }));
	});
}

test('O-122 who says nothing, too much or takes nothing holds up nobody', async () => {
	const hub = await startHub();
	const idle = [], open = () => new Promise((resolve) => { const socket = net.connect(9464, hub.addr, () => resolve(socket)); idle.push(socket.on('error', () => {})); });

	for (let i = 0; i < 40; i++) await open();
	for (let i = 0; i < 8; i++) (await open()).write('GET /metrics HTTP/1.1\r\n\r\n'); // whose answer is not read
	for (const socket of idle) socket.pause();
	const one = await exchange(hub.addr, 'GET /metrics HTTP/1.1\r\n\r\n');
	assert.match(one.text, /^HTTP\/1\.1 200 /);
	assert.ok(one.ms < 1500, `${one.ms} ms`);
	for (let i = 0; i < 100; i++) await open(); // more than are served side by side
	assert.match((await exchange(hub.addr, 'GET /metrics HTTP/1.1\r\n\r\n')).text, /^HTTP\/1\.1 200 /);
	for (const socket of idle) socket.destroy();
	const many = await Promise.all(Array.from({ length: 100 }, () => ask(hub.addr)));
	assert.deepEqual([...new Set(many.map((answer) => answer.status))], [200]);
	// the answer comes, however much is still on its way to the hub
	assert.match((await exchange(hub.addr, `GET /metrics HTTP/1.1\r\nX: ${'x'.repeat(5_000_000)}\r\n\r\n`)).text, /^HTTP\/1\.1 431 /);
	assert.match((await exchange(hub.addr, `POST /metrics HTTP/1.1\r\nContent-Length: 5000000\r\n\r\n${'x'.repeat(5_000_000)}`)).text, /^HTTP\/1\.1 405 /);
	assert.equal((await exchange(hub.addr, 'GET /metrics HTTP/1.1\r\nHalf: ')).text, '');
	await hub.stop();
});

test('O-123 with a token, and not beyond loopback without one', async () => {
	const file = path.join(tempDir('token'), 'token');
	const serve = (...args) => spawnSync(BINARY, ['serve', '--data', path.join(tempDir('refused'), 'd'), ...args], { encoding: 'utf8' });

	fs.writeFileSync(file, 'a-token-of-a-scraper\n');
	const hub = await startHub({ args: ['--metrics-token-file', file] });
	assert.equal((await ask(hub.addr)).status, 401);
	assert.equal((await ask(hub.addr, { headers: { authorization: 'Bearer a-token-of-a-scrapes' } })).status, 401);
	assert.equal((await ask(hub.addr, { headers: { authorization: 'Bearer a-token-of-a-scraper' } })).status, 200);
	await hub.stop();
	for (const [place, why] of [['0.0.0.0:9464', /--metrics-token-file is needed/], ['localhost.example:1', /--metrics-token-file is needed/],
		['[::]:9464', /--metrics-token-file is needed/], ['[::ffff:10.0.0.1]:9464', /--metrics-token-file is needed/], ['9464', /ADDRESS:PORT/], ['', /ADDRESS:PORT|metrics-bind/],
		['127.0.0.1:65536', /ADDRESS:PORT/], ['[::1]', /ADDRESS:PORT/], ['127.0.0.1', /ADDRESS:PORT/], ['::1:9464', /ADDRESS:PORT/], ['127.0.0.1:0', /ADDRESS:PORT/]]) {
		const run = serve('--metrics-bind', place);
		assert.notEqual(run.status, 0, place);
		assert.match(run.stderr, why, place);
	}
	const six = await startHub({ args: ['--metrics-bind', '[::1]:9465'] });
	assert.equal((await ask('::1', { port: 9465 })).status, 200);
	await six.stop();
	const off = await startHub({ args: ['--metrics-bind', 'off'] });
	await assert.rejects(ask(off.addr), /ECONNREFUSED/);
	await off.stop();
});
