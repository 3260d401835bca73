// The log under attack: a reader that stalls, clients that write lines of their own; files that are moved; signals.
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import tls from 'node:tls';
import { BINARY, deviceLogin, mqttDevice, RawMqtt, startHub, stopAll, tempDir, until, WAIT_MS, within } from '../lib/hub.mjs';

const hubs = [];
after(() => stopAll(...hubs));

async function start(options) {
	const hub = await startHub(options);
	hubs.push(hub);
	return hub;
}

// A hub whose stderr is a pipe that is full and that nobody reads.
async function stalledHub(args) {
	const dir = tempDir('stalled'), pipe = path.join(dir, 'stderr'), binary = path.join(dir, 'twinhub');
	execFileSync('mkfifo', [pipe]);
	// Opened for both directions it never lacks a reader; 64 KB are what a pipe holds.
	fs.writeFileSync(binary, `#!/bin/sh\n[ "$1" = serve ] || exec '${BINARY}' "$@"\nexec 3<>'${pipe}'\nhead -c 65536 /dev/zero >&3\nexec '${BINARY}' "$@" 2>&3\n`, { mode: 0o755 });
	return Object.assign(await start({ binary, args }), { pipe });
}

async function refused(hub, clientId, username = `x/${clientId}/?api-version=2021-04-12`) {
	const c = await RawMqtt.open(hub);
	const { code } = await c.connect({ clientId, username, password: 'x' });
	assert.notEqual(code, 0);
	await c.closed('the refused connection');
}

test('a reader of the log that stalls stops nobody, and what was said meanwhile is there afterwards', async () => {
	const hub = await stalledHub(['--io-threads', '1', '--workers', '1']);
	const device = await mqttDevice(hub, 'd1');
	for (let i = 0; i < 30; i++) await refused(hub, `nobody-${i}`);
	assert.equal((await device.report({ a: 1 })).status, 204);
	assert.equal((await hub.rest('GET', '/twins/d1')).body.properties.reported.a, 1);
	const reader = spawn('cat', [hub.pipe], { stdio: ['ignore', 'pipe', 'ignore'] });
	let text = '';
	reader.stdout.setEncoding('utf8').on('data', (more) => { text += more; });
	await until(() => /reason=host-name .*device=nobody-0 /.test(text), 'the first refusal');
	await until(() => /msg="more lines of this reason" reason=host-name count=\d+/.test(text), 'the count of the repeats');
	reader.kill();
	device.destroy();
	await hub.stop();
});

test('a hub whose log nobody reads stops in time', async () => {
	const hub = await stalledHub(['--io-threads', '1', '--workers', '1']);
	await refused(hub, 'nobody');
	await hub.stop();
});

test('a log file that is a pipe without a reader is refused at start, and one with a reader is written to', async () => {
	const dir = tempDir('named'), pipe = path.join(dir, 'log');
	execFileSync('mkfifo', [pipe]);
	const args = ['serve', '--data', path.join(dir, 'data'), '--bind', '127.0.0.1', '--https-port', '0', '--mqtts-port', '0', '--log-file', pipe];
	const { status, signal, stderr } = spawnSync(BINARY, args, { encoding: 'utf8', timeout: WAIT_MS, killSignal: 'SIGKILL' });
	assert.deepEqual([status, signal], [1, null]);
	assert.match(stderr, /^twinhub: the log .* cannot be opened: No such device or address\n$/);
	const held = fs.openSync(pipe, 'r+'), reader = spawn('cat', { stdio: [held, 'pipe', 'ignore'] }); // opened for both it is there at once
	let text = '';
	reader.stdout.setEncoding('utf8').on('data', (more) => { text += more; });
	const hub = await start({ args: ['--log-file', pipe] });
	await refused(hub, 'one');
	await until(() => text.includes('device=one'), 'the line');
	await hub.stop();
	fs.closeSync(held);
	reader.kill();
});

test('a hub whose ready line nobody takes serves, says so, and stops', async () => {
	const dir = tempDir('unread'), pipe = path.join(dir, 'stdout');
	execFileSync('mkfifo', [pipe]);
	const child = spawn('sh', ['-c', `exec 3<>'${pipe}'; head -c 65536 /dev/zero >&3; exec '${BINARY}' serve --data '${dir}/data' --bind 127.0.0.1 --https-port 0 --mqtts-port 0 >&3`], { stdio: ['ignore', 'ignore', 'pipe'] });
	let said = '';
	child.stderr.setEncoding('utf8').on('data', (more) => { said += more; });
	const ended = new Promise((resolve) => child.once('close', (code, signal) => resolve({ code, signal })));
	try {
		await until(() => /level=warn msg="nobody takes from stdout: twinhub ready: /.test(said), 'a line about it');
		child.kill('SIGTERM');
		assert.deepEqual(await within(ended, 'its end'), { code: 0, signal: null });
	} finally {
		child.kill('SIGKILL');
	}
});

test('nothing that a client sends makes a line, a key or a terminal sequence of its own', async () => {
	const hub = await start({ args: ['--io-threads', '1', '--log-level', 'debug'] });
	const nasty = 'evil\nts=2026-01-01T00:00:00Z level=error msg="forged"\r\x1b[31m\x7f\u0085\u009b1m\u202e\u2066\u2028" device="victim\\';
	await refused(hub, nasty);
	await refused(hub, 'evil', nasty);
	const line = await until(() => hub.logs.split('\n').find((l) => l.includes('reason=user-name') && l.includes('forged')), 'the refusal');
	assert.ok(line.includes('device="evil\\nts=2026-01-01T00:00:00Z level=error msg=\\"forged\\"\\r\\u001b[31m\\u007f\\u0085\\u009b1m\\u202e\\u2066\\u2028\\" device=\\"victim\\\\"'), line);
	const got = await new Promise((resolve, reject) => {
		const request = `GET /devices/%0a%1b[31mforged?api-version=2021-04-12 HTTP/1.1\r\nHost: x\r\nAuthorization: SharedAccessSignature sr=x\x1b[31m&sig=x&se=1&skn=a\x1bb\r\n\r\n`;
		const socket = tls.connect({ host: hub.addr, port: hub.httpsPort, ca: hub.pem }, () => socket.write(request));
		socket.once('data', (bytes) => { resolve(bytes.toString()); socket.destroy(); }).once('error', reject);
	});
	assert.match(got, /^HTTP\/1.1 (400|401) /);
	await hub.stop();
	for (const l of hub.logs.split('\n'))
		assert.match(l, /^(ts=[0-9T:.-]+Z level=(error|warn|info|debug) msg=[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*|twinhub ready: .*|)$/);
});

test('SIGUSR1 and SIGHUP open the log file anew, SIGUSR2 does nothing, levels hold', async () => {
	const dir = tempDir('logfile'), file = path.join(dir, 'log');
	const hub = await start({ args: ['--log-file', file, '--log-level', 'info'] });
	const kill = (signal) => process.kill(hub.pid, signal);
	const text = (name) => fs.readFileSync(name, 'utf8');
	await refused(hub, 'one');
	await until(() => text(file).includes('device=one'), 'the first line');
	fs.renameSync(file, `${file}.1`);
	kill('SIGUSR2');
	kill('SIGUSR1');
	await until(() => fs.existsSync(file), 'a new file');
	await refused(hub, 'two');
	await until(() => text(file).includes('device=two'), 'the second line');
	assert.ok(!text(`${file}.1`).includes('device=two'));
	fs.renameSync(file, `${file}.2`);
	kill('SIGHUP');
	await until(() => fs.existsSync(file), 'a new file');
	fs.renameSync(file, `${file}.3`);
	fs.mkdirSync(file); // cannot be opened: the old one stays, and says so
	kill('SIGUSR1');
	await until(() => text(`${file}.3`).includes('cannot be opened, the old one stays'), 'a line about it');
	await hub.stop();
	assert.ok(!text(`${file}.3`).includes('level=debug'));
	assert.doesNotMatch(hub.logs, /ts=/, 'nothing of it on stderr');
});

test('every close of a session tells who closed it, and why', async () => {
	const hub = await start({ args: ['--connect-timeout', '5', '--log-level', 'debug'] });
	const line = (what) => until(() => what.test(hub.logs), `a line like ${what}`);
	const first = await mqttDevice(hub, 'd1');
	const second = await mqttDevice(hub, 'd1');
	await first.closed('the link that was taken over');
	await line(/msg="connection closed" reason=taken-over by=peer why=".*" device=d1 address=127\.\S+/);
	second.send(Buffer.from([0xf0, 0])); // a reserved packet type
	await line(/msg="connection closed" reason=malformed by=peer .*device=d1 /);
	const third = await mqttDevice(hub, 'd1');
	third.destroy();
	await line(/msg="connection closed" reason=left by=peer .*device=d1 /);
	const fourth = await mqttDevice(hub, 'd1');
	assert.equal((await hub.rest('DELETE', '/devices/d1', { headers: { 'If-Match': '*' } })).status, 204);
	await fourth.closed('the link of the deleted device');
	await line(/msg="connection closed" reason=deleted by=operator .*device=d1 /);
	const key = (await hub.createDevice('d2')).authentication.symmetricKey.primaryKey;
	const fifth = await RawMqtt.open(hub);
	assert.notEqual((await fifth.connect(deviceLogin(hub, 'd2', Buffer.from('another key, 32 bytes long......').toString('base64')))).code, 0);
	await line(/msg="CONNECT refused" reason=key-signature by=peer .*device=d2 /);
	assert.ok(!hub.logs.includes(key));
	// a probe of the port, as balancers and our own commands make them: no failure
	for (const port of [hub.mqttsPort, hub.httpsPort]) {
		const probe = net.connect({ host: hub.addr, port }, () => probe.end());
		await within(new Promise((resolve) => probe.resume().on('error', () => {}).once('close', resolve)), 'the end of a probe');
	}
	await until(() => (hub.logs.match(/reason=tls-left /g) ?? []).length >= 2, 'both probes are told as such');
	assert.ok(!hub.logs.includes('reason=tls-failed'), hub.logs);
	const raw = net.connect({ host: hub.addr, port: hub.mqttsPort });
	raw.write('GET / HTTP/1.0\r\n\r\n');
	await line(/msg="TLS handshake failed" reason=tls-failed by=peer .*detail="?http request/);
	raw.destroy();
	assert.equal((await hub.rest('GET', '/devices/d2', { token: 'SharedAccessSignature sr=x&sig=x&se=9999999999&skn=iothubowner' })).status, 401);
	await line(/msg="request refused" reason=policy-signature by=peer .*request=\/devices\/d2 /);
	const odd = tls.connect({ host: hub.addr, port: hub.httpsPort, ca: hub.pem }, () => odd.write('GET / HTTP/1.1\r\nHost: x\r\nContent-Length: +2\r\n\r\n'));
	odd.on('error', () => {}).resume();
	await line(/msg="request refused" reason=request-framing by=peer .*address=127\.\S+ detail="the Content-Length is not digits alone"/);
	odd.destroy();
	await hub.stop();
});

test('every HTTPS connection that ends has its reason, too', async () => {
	const hub = await start({ args: ['--log-level', 'debug', '--io-threads', '1'] });
	const ALIVE = 'GET /healthz HTTP/1.1\r\nHost: x\r\n', closed = (reason) => hub.logs.split(`msg="connection closed" reason=${reason} by=`).length - 1;
	// What is sent, what must have come before the client leaves, how often which reason stands in the log.
	const rows = [['', '', 'requests-done', 1], [`${ALIVE}\r\n`, 'alive', 'requests-done', 2], [`${ALIVE}Connection: close\r\n\r\n`, 'alive', 'requests-done', 3],
		[ALIVE, '', 'request-cut', 1], [`${ALIVE}\r\nPOST /devices/query HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{`, 'alive', 'request-cut', 2]];
	for (const [bytes, answer, reason, count] of rows) {
		const socket = tls.connect({ host: hub.addr, port: hub.httpsPort, ca: hub.pem });
		let got = '';
		socket.on('data', (more) => { got += more; }).on('error', () => {});
		await within(new Promise((resolve) => socket.once('secureConnect', resolve)), 'the handshake');
		if (bytes) await new Promise((resolve) => socket.write(bytes, resolve));
		await until(() => got.includes(answer), 'the answer');
		socket.end();
		await until(() => closed(reason) === count, `${count} lines of ${reason}`);
	}
	const last = tls.connect({ host: hub.addr, port: hub.httpsPort, ca: hub.pem });
	await within(new Promise((resolve) => last.on('error', () => {}).once('secureConnect', resolve)), 'the handshake');
	await hub.rest('GET', '/healthz'); // the loop has seen the one before
	await hub.stop();
	await until(() => /msg="connection closed" reason=stopping by=operator why=".*" address=127\.\S+/.test(hub.logs), 'the log says so');
});

test('one time limit from accept through the handshake to CONNECT', async () => {
	const hub = await start({ args: ['--io-threads', '1', '--connect-timeout', '3'] });
	const ended = [];
	const open = (name) => new Promise((resolve, reject) => {
		const socket = net.connect({ host: hub.addr, port: hub.mqttsPort }, () => resolve(socket));
		socket.once('error', reject).once('close', () => ended.push(name));
	});
	const first = await open('first');
	await new Promise((resolve) => setTimeout(resolve, 1000)); // what is tested is when: the second one is a second younger
	const second = await open('second');
	second.resume();
	// The first one's handshake comes after the second one's accept. If it began the time anew, it would outlive that.
	const secure = tls.connect({ socket: first, ca: hub.pem, host: hub.addr });
	secure.on('error', () => {});
	await within(new Promise((resolve) => secure.once('secureConnect', resolve)), 'the handshake');
	await until(() => ended.length === 2, 'the end of both');
	assert.deepEqual(ended, ['first', 'second']);
	await until(() => /reason=connect-late /.test(hub.logs) && /reason=tls-late /.test(hub.logs), 'a line for each');
	await hub.stop();
});
