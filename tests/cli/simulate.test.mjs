// twinhub simulate: devices that behave like real ones, against a real hub. O-180 to O-186.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import tls from 'node:tls';
import { BINARY, freeAddress, startHub, stopAll, tempDir, until, within } from '../lib/hub.mjs';
import { makeCertificate } from '../lib/x509.mjs';

const SLOW = Number(process.env.TWINHUB_TEST_SLOW ?? 1);
let hub;
before(async () => { hub = await startHub(); });
const started = [], others = []; // what a test that fails would leave behind
after(async () => {
	for (const child of started) child.kill('SIGKILL');
	await stopAll(hub, ...others);
});

// One that runs: its summary is there when it has ended.
function simulate(...args) {
	const child = spawn(BINARY, ['simulate', ...args], { env: { ...process.env, TWINHUB_DATA: '', TWINHUB_CONNECTION_STRING: '' } });
	started.push(child);
	const r = { child, stdout: '', stderr: '' };
	child.stdout.on('data', (part) => { r.stdout += part; });
	child.stderr.on('data', (part) => { r.stderr += part; });
	r.ended = new Promise((resolve) => child.on('exit', (code, signal) => setImmediate(() => resolve(Object.assign(r, { code, signal })))));
	r.end = async (signal = 'SIGINT') => {
		child.kill(signal);
		await r.ended;
		assert.equal(r.code, 0, `${r.signal} ${r.stdout}${r.stderr}`);
		return JSON.parse(r.stdout);
	};
	return r;
}
const crowd = (...args) => simulate('--data', hub.dir, ...args);
const rows = async (query) => {
	const answer = await hub.rest('POST', '/devices/query', { body: { query } });
	assert.equal(answer.status, 200, answer.text);
	return answer.body;
};
const connected = async (prefix) => (await rows(`SELECT deviceId FROM devices WHERE STARTSWITH(deviceId, '${prefix}') AND connectionState = 'Connected'`)).length;

test('O-180 O-182 O-185 O-187 O-188 sensors send and report; Ctrl-C ends them, and --cleanup removes what was made', { timeout: 60_000 * SLOW }, async () => {
	await hub.createDevice('s-000003'); // was there before, with its own key
	const s = crowd('--devices', '20', '--prefix', 's-', '--rate', '100', '--tls', '--cleanup');
	await until(async () => await connected('s-') === 20, 'all are connected');
	await until(async () => (await rows("SELECT deviceId FROM devices WHERE STARTSWITH(deviceId, 's-') AND is_defined(properties.reported.sent)")).length === 20, 'each has reported');
	const story = (await hub.rest('GET', '/devices/s-000000/connection')).body;
	assert.match(story.tls, /TLSv1\.[23]/);
	assert.equal(story.client, 'twinhub-simulate');
	const sum = await s.end();
	assert.deepEqual([sum.devices, sum.connectedMost, sum.connects], [20, 20, 20]);
	assert.ok(sum.messages >= 20 && sum.updates >= 20, s.stdout);
	assert.ok(Object.values(sum.errors).every((n) => n === 0), s.stdout);
	assert.ok(sum.memoryBytes > 1e6 && sum.memoryBytes < 100e6, s.stdout);
	assert.ok(sum.latencyMilliseconds.p50 > 0 && sum.latencyMilliseconds.p99 >= sum.latencyMilliseconds.p50);
	assert.match(s.stderr, /20 of 20 connected, messages \d+ \(\d+\/s\), updates \d+, errors 0, latency p50 [\d.]+ p99 [\d.]+ ms/);
	assert.match(s.stderr, /19 devices are removed/);
	assert.deepEqual((await rows("SELECT deviceId FROM devices WHERE STARTSWITH(deviceId, 's-')")).map((d) => d.deviceId), ['s-000003']);
});

test('O-181 O-185 they are taken over by the next run with the keys they have; only what simulate has made is removed', { timeout: 60_000 * SLOW }, async () => {
	const first = crowd('--devices', '5', '--prefix', 't-');
	await until(async () => await connected('t-') === 5, 'all are connected');
	await first.end('SIGTERM');
	const key = (await hub.rest('GET', '/devices/t-000001')).body.authentication.symmetricKey.primaryKey;
	const second = crowd('--devices', '5', '--prefix', 't-', '--for', '1', '--cleanup');
	await second.ended;
	assert.equal(second.code, 0, second.stderr);
	assert.equal(JSON.parse(second.stdout).connectedMost, 5);
	assert.ok(key.length > 0);
	assert.equal((await rows("SELECT deviceId FROM devices WHERE STARTSWITH(deviceId, 't-')")).length, 0);
	// One device by its own connection string; a policy's from elsewhere.
	await hub.createDevice('alone');
	const one = simulate('--connection-string', await hub.deviceConnectionString('alone'), '--ca', hub.ca, '--devices', '1');
	await until(async () => await connected('alone') === 1, 'it is connected');
	await one.end();
	const two = simulate('--connection-string', await hub.deviceConnectionString('alone'), '--ca', hub.ca, '--devices', '2');
	await two.ended;
	assert.equal(two.code, 2);
	const far = simulate('--connection-string', await hub.connectionString(), '--ca', hub.ca, '--devices', '2', '--prefix', 'far-', '--for', '1', '--cleanup');
	await far.ended;
	assert.equal(far.code, 0, far.stderr);
});

test('O-183 the tutorial\'s devices report Pending, then Success or Failed, and follow what comes while they work', { timeout: 60_000 * SLOW }, async () => {
	const s = crowd('--devices', '6', '--prefix', 'u-', '--pattern', 'tutorial');
	await until(async () => await connected('u-') === 6, 'all are connected');
	const wish = (i, body) => hub.rest('PATCH', `/twins/u-00000${i}`, { body: { properties: { desired: { telemetryConfig: body } } } });
	const known = async (i) => (await hub.rest('GET', `/twins/u-00000${i}`)).body.properties.reported.telemetryConfig ?? {};
	for (let i = 0; i < 5; i++) await wish(i, { configId: `c${i}`, sendFrequency: '30s' });
	await wish(5, { configId: 'bad', sendFrequency: 'often' });
	await until(async () => (await known(0)).status === 'Pending', 'Pending comes first', { pauseMs: 5 });
	assert.equal((await known(0)).pendingConfig?.configId, 'c0');
	await wish(1, { configId: 'newer', sendFrequency: '5m' });
	for (const [i, id] of [[0, 'c0'], [1, 'newer'], [2, 'c2']]) {
		const end = await until(async () => { const k = await known(i); return k.status === 'Success' && k.configId === id && k; }, `${i} has ${id}`);
		assert.equal(end.pendingConfig, undefined);
		assert.equal(end.sendFrequency, id === 'newer' ? '5m' : '30s');
	}
	const bad = await until(async () => { const k = await known(5); return k.status === 'Failed' && k; }, 'Failed');
	assert.match(bad.reason, /sendFrequency/);
	assert.equal(bad.pendingConfig.configId, 'bad');
	// One that is thrown out comes back, reads its twin, and goes on.
	await hub.rest('DELETE', '/devices/u-000002/connection');
	await wish(2, { configId: 'while-away', sendFrequency: '1h' });
	await until(async () => (await known(2)).configId === 'while-away', 'it has caught up');
	const sum = await s.end();
	assert.ok(sum.settled >= 7 && sum.updates >= 14, s.stdout);
	assert.equal(sum.errors.closed, 1);
});

test('O-184 O-186 O-187 flaky ones come and go by themselves; errors have their reasons, and nobody hammers', { timeout: 90_000 * SLOW }, async () => {
	const s = crowd('--devices', '30', '--prefix', 'f-', '--pattern', 'flaky');
	await until(async () => (await hub.rest('GET', '/connections?state=disconnected')).body.some((c) => c.deviceId.startsWith('f-')), 'some have gone', { ms: 60_000 * SLOW });
	const gone = (await hub.rest('GET', '/devices/f-000000')).body;
	await hub.rest('PUT', '/devices/f-000000', { body: { ...gone, status: 'disabled' }, headers: { 'If-Match': '*' } });
	await hub.rest('DELETE', '/devices/f-000001', { headers: { 'If-Match': '*' } });
	await new Promise((resolve) => setTimeout(resolve, 4000 * SLOW));
	const sum = await s.end();
	assert.ok(sum.connects > 30, s.stdout);
	assert.ok(sum.errors.denied + sum.errors.closed >= 2 && sum.errors.denied < 20, s.stdout);
	assert.ok(sum.errors.protocol === 0 && sum.errors.answer === 0, s.stdout);
});

test('O-180 L-79 each comes with a new token before the old one has ended, and says DISCONNECT before', { timeout: 60_000 * SLOW }, async () => {
	const h = await startHub({ args: ['--token-skew', '0'] });
	others.push(h);
	const s = simulate('--data', h.dir, '--devices', '8', '--rate', '16', '--ttl', `${3 * SLOW}`);
	await until(async () => (await h.rest('GET', '/connections?order=connects')).body.filter((c) => c.connectsLastHour >= 3).length === 8, 'each has come three times');
	const sum = await s.end();
	assert.ok(sum.connects >= 24, s.stdout);
	assert.deepEqual([sum.connectedMost, Object.values(sum.errors).filter((n) => n > 0)], [8, []], s.stdout);
	assert.match(h.logs, /msg="connection closed" reason=goodbye/);
	assert.doesNotMatch(h.logs, /msg="connection closed" reason=(?!goodbye|stopping)/);
	await h.stop();
});

// A hub that says what it likes after a SUBACK: to what it says the device answers by leaving.
async function wayward(bytes) {
	const addr = await freeAddress();
	const dir = tempDir('wayward'), issuer = makeCertificate({ dir, cn: 'issuer', ca: true });
	const certificate = makeCertificate({ dir, cn: 'wayward', issuer, san: `IP:${addr}` });
	let said, gone;
	const answered = new Promise((resolve) => { said = resolve; }), left = new Promise((resolve) => { gone = resolve; });
	const server = tls.createServer({ key: certificate.key, cert: certificate.cert }, (link) => {
		link.on('error', () => {}).on('close', gone);
		link.once('data', () => link.write(Buffer.concat([Buffer.from([0x20, 2, 0, 0, 0x90, 4, 0xff, 0xff, 1, 1]), bytes]), said));
	});
	await new Promise((resolve) => server.listen(8883, addr, resolve));
	const s = simulate('--connection-string', `HostName=${addr};DeviceId=d;SharedAccessKey=${Buffer.alloc(32, 7).toString('base64')}`, '--ca', issuer.certFile, '--devices', '1');
	return { s, answered, left, close: () => server.close() };
}

test('O-188 a packet of over 512 KB is an error, at its header; so are bytes that are no packet', { timeout: 60_000 * SLOW }, async () => {
	const length = (n) => Buffer.from([0x30, (n & 127) | 128, ((n >> 7) & 127) | 128, (n >> 14) & 127]);
	const endless = Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff]);
	for (const [bytes, fails] of [[length((512 << 10) - 4), false], [length((512 << 10) - 3), true], [endless, true], [Buffer.from([0x30, 1, 7]), true], [Buffer.from([0x10, 0]), true]]) {
		const { s, answered, left, close } = await wayward(bytes);
		await within(answered, 'a link');
		if (fails) await within(left, `the device leaves for ${bytes.toString('hex')}`);
		else assert.equal(await Promise.race([left.then(() => 'left'), new Promise((resolve) => setTimeout(resolve, 300, 'waits'))]), 'waits');
		const sum = await s.end();
		assert.equal(sum.errors.protocol > 0, fails, `${bytes.toString('hex')}: ${s.stdout}`);
		close();
	}
});

test('O-188 a configuration of over 4 KB is an error, and nothing is reported of it', { timeout: 60_000 * SLOW }, async () => {
	const s = crowd('--devices', '2', '--prefix', 'k-', '--pattern', 'tutorial');
	await until(async () => await connected('k-') === 2, 'both are connected');
	const wish = (id, more) => hub.rest('PATCH', `/twins/${id}`, { body: { properties: { desired: { telemetryConfig: { configId: 'c', sendFrequency: '30s', ...more } } } } });
	const around = JSON.stringify({ configId: 'c', sendFrequency: '30s', a: '', b: '' }).length;
	assert.equal((await wish('k-000000', { a: 'x'.repeat(2000), b: 'x'.repeat(4096 - around - 2000) })).status, 200);
	assert.equal((await wish('k-000001', { a: 'x'.repeat(2000), b: 'x'.repeat(4097 - around - 2000) })).status, 200);
	const known = async (id) => (await hub.rest('GET', `/twins/${id}`)).body.properties.reported.telemetryConfig;
	await until(async () => (await known('k-000000'))?.status === 'Success', 'the one of 4 KB is applied');
	assert.equal(await known('k-000001'), undefined);
	const sum = await s.end();
	assert.deepEqual([sum.errors.answer, sum.settled], [1, 1], s.stdout);
});

test('O-188 memory goes with the number of devices: about 25 KB each', { timeout: 60_000, skip: SLOW > 1 && 'sanitizers have memory of their own' }, async () => {
	const used = [];
	for (const n of [20, 420]) {
		const s = crowd('--devices', `${n}`, '--prefix', 'm-', '--cleanup');
		await until(async () => (await hub.rest('GET', '/statistics/service')).body.connectedDeviceCount >= n, 'all are connected', { pauseMs: 50 });
		used.push((await s.end()).memoryBytes);
	}
	const each = (used[1] - used[0]) / 400;
	assert.ok(each < 40_000, `${each} bytes for a device`);
});

test('O-180 what cannot be is said', async () => {
	for (const [code, args, what] of [[2, [], /--devices/], [2, ['--devices', '0'], /1 to 100000/], [2, ['--devices', '2', '--pattern', 'x'], /tutorial, sensor or flaky|tutorial/],
		[2, ['--devices', '2', '--prefix', 'a b'], /--prefix/], [2, ['--devices', '2', '--prefix', 'x'.repeat(60)], /--prefix/]]) {
		const r = crowd(...args);
		await r.ended;
		assert.equal(r.code, code, `${args}: ${r.stdout}${r.stderr}`);
		assert.match(r.stderr, what);
	}
});
