// A hub for tests: its directory, address, ready line and end.
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import tls from 'node:tls';
import { BINARY, tempDir, until } from '../lib/hub.mjs';
import { endAll, endLater, ephemeral } from '../lib/ephemeral.mjs';

after(endAll);

const command = (data, ...args) => spawnSync(BINARY, [...args, '--data', data], { encoding: 'utf8', timeout: 60_000 });
const greeted = ({ ready: { address, ca } }, port) => new Promise((resolve, reject) => {
	const link = tls.connect({ host: address, port, ca: fs.readFileSync(ca) }, () => { link.destroy(); resolve(); });
	link.on('error', reject);
});

test('O-140 O-141 O-143 two ephemeral hubs side by side, each on the ports of SDKs, in a directory that goes with it', async () => {
	const both = await Promise.all([ephemeral(), ephemeral()]);
	assert.notEqual(both[0].ready.address, both[1].ready.address);
	for (const one of both) {
		const { ready, tmp, hub, log } = one;
		assert.deepEqual([ready.httpsPort, ready.mqttsPort, ready.hostName, ready.pid], [443, 8883, ready.address, hub.pid]);
		await greeted(one, 443);
		await greeted(one, 8883);
		assert.deepEqual(fs.readdirSync(tmp).map((name) => `${tmp}/${name}`), [ready.data]);
		assert.equal(command(ready.data, 'device', 'create', 'd').status, 0);
		const named = command(ready.data, 'connection-string', '--policy', 'service').stdout;
		assert.ok(named.includes(ready.connectionStrings.service), named);
		hub.kill('SIGTERM');
		assert.deepEqual(await once(hub, 'exit'), [0, null]);
		assert.deepEqual(fs.readdirSync(tmp), []);
		for (const text of Object.values(ready.connectionStrings)) assert.ok(!log().includes(text.split('SharedAccessKey=')[1]));
	}
});

test('O-141 --ports any takes others', async () => {
	const one = await ephemeral('--ports', 'any');
	assert.ok(one.ready.httpsPort > 1023 && one.ready.mqttsPort > 1023 && one.ready.mqttsPort !== 8883);
	await greeted(one, one.ready.httpsPort);
	await greeted(one, one.ready.mqttsPort);
	assert.match(one.ready.connectionStrings.iothubowner, new RegExp(`^HostName=${one.ready.address}:${one.ready.httpsPort};`));
});

test('O-144 it ends when its standard input is closed', async () => {
	const { hub, tmp } = await ephemeral('--ports', 'any');
	hub.stdin.end();
	assert.deepEqual(await once(hub, 'exit'), [0, null]);
	assert.deepEqual(fs.readdirSync(tmp), []);
});

test('O-140 O-144 closed descriptors are nobody else\'s, and tell nothing; a relative TMPDIR is told as a whole path', async () => {
	const tmp = tempDir('ephemeral');
	const hub = endLater(spawn('sh', ['-c', `exec "${BINARY}" serve --ephemeral --ports any <&- 2>&-`], { cwd: path.dirname(tmp), stdio: ['ignore', 'pipe', 'ignore'], env: { ...process.env, TMPDIR: path.basename(tmp) } }));
	let out = '';
	hub.stdout.on('data', (d) => { out += d; });
	await until(() => out.endsWith('\n'), 'the hub serves');
	const { pid, data, ca } = JSON.parse(out);
	assert.equal(path.dirname(data), tmp);
	assert.ok(fs.existsSync(ca));
	assert.equal(pid, hub.pid);
	for (const fd of [0, 2]) assert.equal(fs.readlinkSync(`/proc/${pid}/fd/${fd}`), '/dev/null');
	await new Promise((resolve) => setTimeout(resolve, 1500)); // it looks each second
	assert.equal(hub.exitCode, null);
	hub.kill('SIGTERM');
	assert.deepEqual(await once(hub, 'exit'), [0, null]);
	assert.deepEqual(fs.readdirSync(tmp), []);
});

test('O-144 it ends with who started it', async () => {
	const tmp = tempDir('ephemeral');
	const parent = spawn('sh', ['-c', `"${BINARY}" serve --ephemeral --ports any </dev/null & wait`], { stdio: ['ignore', 'pipe', 'ignore'], env: { ...process.env, TMPDIR: tmp } });
	endLater(parent);
	let out = '';
	parent.stdout.on('data', (d) => { out += d; });
	await until(() => out.endsWith('\n'), 'the hub serves');
	const { pid } = JSON.parse(out);
	parent.kill('SIGKILL');
	await until(() => fs.readdirSync(tmp).length === 0, 'its directory has gone');
	await until(() => !fs.existsSync(`/proc/${pid}`) || fs.readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')[2] === 'Z', 'it has ended');
});

test('O-140 what has a directory elsewhere, or no parent, is no ephemeral hub', () => {
	for (const more of [['--ephemeral', '--data', tempDir('e')], ['--ephemeral', '--background'], ['--ephemeral', '--check'], ['--ephemeral', '--config', '/nowhere'],
		['--ephemeral', '--ports', 'any', '--bind', '127.0.0.1'], ['--data', tempDir('e'), '--ports', 'any']])
		assert.equal(spawnSync(BINARY, ['serve', ...more], { timeout: 60_000 }).status, 2, more.join(' '));
});

test('O-142 without the right to 443 HTTPS is on a free port, devices on 8883', { skip: process.getuid() !== 0 && 'needs root, to give rights up' }, async () => {
	const tmp = tempDir('ephemeral');
	const hub = spawn('setpriv', ['--bounding-set', '-net_bind_service', '--inh-caps', '-net_bind_service', BINARY, 'serve', '--ephemeral'],
		{ stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, TMPDIR: tmp } });
	endLater(hub);
	let out = '', err = '';
	hub.stdout.on('data', (d) => { out += d; });
	hub.stderr.on('data', (d) => { err += d; });
	await until(() => out.endsWith('\n') || hub.exitCode !== null, 'the hub serves');
	if (Number(fs.readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8')) <= 443) return;
	const one = { ready: JSON.parse(out) };
	assert.ok(one.ready.httpsPort > 1023, out);
	assert.equal(one.ready.mqttsPort, 8883);
	await greeted(one, 8883);
	await greeted(one, one.ready.httpsPort);
	assert.match(err, /port 443 may not be taken/);
	hub.stdin.end();
	await once(hub, 'exit');
});
