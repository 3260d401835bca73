// GET /metrics: O-120 to O-123.
import test from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
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
		['127.0.0.1', /ADDRESS:PORT/], ['::1:9464', /ADDRESS:PORT/], ['127.0.0.1:0', /ADDRESS:PORT/]]) {
		const run = serve('--metrics-bind', place);
		assert.notEqual(run.status, 0, place);
		assert.match(run.stderr, why, place);
	}
	const off = await startHub({ args: ['--metrics-bind', 'off'] });
	await assert.rejects(ask(off.addr), /ECONNREFUSED/);
	await off.stop();
});
