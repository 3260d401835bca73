// kit/node as somebody has it who knows nothing of this repository: packed, installed into an empty project, with the unmodified SDKs.
import { before, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { BINARY, REPOSITORY, tempDir, until } from '../lib/hub.mjs';

const SDKS = path.join(REPOSITORY, 'node_modules');
const project = tempDir('kit');
const npx = (...args) => [path.join(project, 'node_modules/.bin/twinhub-kit'), args];
let tmp; // what hubs leave behind would be here
let env;

function npm(args, cwd) {
	const end = spawnSync('npm', [...args, '--offline', '--no-audit', '--no-fund', '--loglevel=error'], { cwd, encoding: 'utf8', timeout: 120_000 });
	assert.equal(end.status, 0, end.stderr);
	return end.stdout;
}

function run(args, more = {}, cwd = project) {
	const [program, argv] = npx(...args);
	const end = spawnSync(program, argv, { cwd, encoding: 'utf8', timeout: 60_000, env: { ...env, ...more } });
	assert.deepEqual(fs.readdirSync(tmp), [], 'nothing is left');
	return end;
}

const write = (name, text) => fs.writeFileSync(path.join(project, name), text);

before(() => {
	const [{ filename }] = JSON.parse(npm(['pack', path.join(REPOSITORY, 'kit/node'), '--json'], project));
	npm(['init', '-y'], project);
	npm(['install', path.join(project, filename)], project);
	assert.deepEqual(fs.readdirSync(path.join(project, 'node_modules')).filter((name) => !name.startsWith('.')), ['twinhub-kit'], 'it needs nothing');
	for (const name of fs.readdirSync(SDKS).filter((n) => !n.startsWith('.'))) fs.symlinkSync(path.join(SDKS, name), path.join(project, 'node_modules', name));
	tmp = tempDir('kit-tmp');
	env = { ...process.env, TWINHUB_BIN: BINARY, TMPDIR: tmp };
	for (const name of ['NODE_EXTRA_CA_CERTS', 'NODE_TEST_CONTEXT', 'TWINHUB_TEST_DIR', 'TWINHUB_TEST_ADDR']) delete env[name];
});

test('O-170 a device and a back end with the unmodified SDKs, run by the wrapper', () => {
	write('fleet.ndjson', '{"id":"seeded","tags":{"floor":3}}\n');
	write('twin.test.js', `
const { test } = require('node:test');
const assert = require('node:assert');
const { once } = require('node:events');
const { Registry, Client: ServiceClient } = require('azure-iothub');
const { Client } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');
const { wrappedHub } = require('twinhub-kit');
test('twin and method', async () => {
	const registry = Registry.fromConnectionString(process.env.IOTHUB_CONNECTION_STRING);
	assert.equal((await registry.getTwin('seeded')).responseBody.tags.floor, 3);
	const { connectionString } = await wrappedHub().createDevice('d1');
	const client = Client.fromConnectionString(connectionString, Mqtt);
	await client.open();
	const twin = await client.getTwin();
	client.onDeviceMethod('hello', (request, response) => response.send(200, { to: request.payload }));
	const patched = new Promise((resolve) => twin.on('properties.desired.interval', resolve));
	await registry.updateTwin('d1', { properties: { desired: { interval: '5m' } } }, '*');
	assert.equal(await patched, '5m');
	await new Promise((resolve, reject) => twin.properties.reported.update({ firmware: '1' }, (e) => e ? reject(e) : resolve()));
	assert.equal((await registry.getTwin('d1')).responseBody.properties.reported.firmware, '1');
	const answer = await ServiceClient.fromConnectionString(process.env.IOTHUB_CONNECTION_STRING).invokeDeviceMethod('d1', { methodName: 'hello', payload: 'you' });
	assert.deepEqual(answer.result.payload, { to: 'you' });
	await client.close();
});
`);
	const end = run(['--seed', 'fleet.ndjson', '--', process.execPath, '--test', 'twin.test.js']);
	assert.equal(end.status, 0, end.stdout + end.stderr);
	assert.match(end.stdout, /pass 1/);
	assert.equal(end.stderr, '');
});

test('O-170 what the command finds: the CA beside one of before, the directory for twinhub, no other hub, no proxy', () => {
	const before = path.join(tempDir('ca'), 'before.pem');
	fs.writeFileSync(before, '-----BEFORE-----\n');
	const end = run(['--', 'sh', '-c', 'cat "$NODE_EXTRA_CA_CERTS"; diff "$TWINHUB_CA" "$TWINHUB_DATA/ca.pem" && "$TWINHUB_BIN" device create x --table && echo "$no_proxy"'],
		{ NODE_EXTRA_CA_CERTS: before, TWINHUB_CONNECTION_STRING: 'HostName=other;SharedAccessKeyName=x;SharedAccessKey=eA==', no_proxy: 'example.org' });
	assert.equal(end.status, 0, end.stderr);
	assert.match(end.stdout, /^-----BEFORE-----\n\n-----BEGIN CERTIFICATE-----[^]*deviceId +x\n[^]*^example\.org,127\./m);
});

test('O-170 exit codes and signals of the command are the wrapper\'s', async () => {
	assert.equal(run(['--', 'sh', '-c', 'exit 7']).status, 7);
	assert.equal(run(['--', 'sh', '-c', 'kill -KILL $$']).signal, 'SIGKILL');
	assert.equal(run(['--', 'sh', '-c', 'kill -PIPE $$']).status, 128 + 13); // which Node itself does not heed
	assert.equal(run(['--', 'no-such-program']).status, 127);
	assert.equal(run(['node', '--test']).status, 2);
	assert.equal(run([]).status, 2);
	assert.equal(run(['--help']).status, 0);
	const [program, argv] = npx('--', process.execPath, '-e', 'process.on("SIGTERM", () => { console.log("told"); process.exit(9); }); console.log("runs"); setInterval(() => {}, 1000)');
	const child = spawn(program, argv, { env, cwd: project, stdio: ['ignore', 'pipe', 'inherit'] });
	let out = '';
	child.stdout.on('data', (d) => { out += d; });
	const closed = new Promise((resolve) => child.on('close', (code) => resolve(code)));
	await until(() => out === 'runs\n', 'the command runs');
	child.kill('SIGTERM');
	assert.equal(await closed, 9);
	assert.equal(out, 'runs\ntold\n');
	assert.deepEqual(fs.readdirSync(tmp), []);
});

test('O-170 a wrapper that is killed leaves nothing behind, neither a hub nor a file', async () => {
	const before = path.join(tempDir('ca'), 'before.pem');
	fs.writeFileSync(before, '-----BEFORE-----\n');
	const child = spawn(process.execPath, [path.join(project, 'node_modules', 'twinhub-kit', 'bin.js'), '--', 'sh', '-c', 'echo "$NODE_EXTRA_CA_CERTS"; exec sleep 5'],
		{ env: { ...env, NODE_EXTRA_CA_CERTS: before }, cwd: project, stdio: ['ignore', 'pipe', 'inherit'] });
	let out = '';
	child.stdout.on('data', (d) => { out += d; });
	await until(() => out.endsWith('\n'), 'the command runs');
	assert.ok(fs.existsSync(out.trim()), out);
	child.kill('SIGKILL');
	await until(() => fs.readdirSync(tmp).length === 0, 'all has gone');
});

test('O-170 a hub that ends before the command is told, and success is none', () => {
	const end = run(['--', 'sh', '-c', `kill -TERM $(echo "$TWINHUB_KIT" | sed 's/.*"pid":\\([0-9]*\\).*/\\1/'); sleep 2`]);
	assert.equal(end.status, 125);
	assert.match(end.stderr, /the hub has ended before the command \(exit code 0\)/);
});

test('O-171 the program is TWINHUB_BIN, else in PATH; what is wrong is said, with exit code 125', () => {
	const bin = tempDir('bin');
	fs.symlinkSync(BINARY, path.join(bin, 'twinhub'));
	assert.equal(run(['--', 'true'], { TWINHUB_BIN: '', PATH: `${bin}:${env.PATH}` }).status, 0);
	for (const [args, more, said] of [
		[[], { TWINHUB_BIN: '/nowhere/twinhub' }, /TWINHUB_BIN is \/nowhere\/twinhub, which is no program/],
		[[], { TWINHUB_BIN: '', PATH: `${path.dirname(process.execPath)}:/usr/bin:/bin` }, /no program twinhub in PATH: install it, or set TWINHUB_BIN/],
		[['--seed', '/nowhere/fleet'], {}, /the hub has not started \(exit code 1\)\ntwinhub: --seed \/nowhere\/fleet cannot be opened/],
		[['--nothing'], {}, /serve has no option '--nothing'/],
	]) {
		const end = run([...args, '--', 'true'], more);
		assert.equal(end.status, 125, end.stderr);
		assert.match(end.stderr, said);
	}
});

test('O-178 O-147 the service SDK meets what was ordered, and the time that was advanced', () => {
	write('ordered.js', `
const assert = require('node:assert');
const { Registry } = require('azure-iothub');
const { wrappedHub } = require('twinhub-kit');
(async () => {
	const hub = wrappedHub(), registry = Registry.fromConnectionString(process.env.IOTHUB_CONNECTION_STRING);
	await hub.createDevice('d1');
	await hub.faults.add({ fault: 'unavailable', device: 'd1', count: 1 });
	assert.deepEqual(await hub.faults.list(), [{ fault: 'unavailable', device: 'd1', count: 1, met: 0 }]);
	await assert.rejects(registry.getTwin('d1'), (e) => e.name === 'ServiceUnavailableError');
	assert.equal((await registry.getTwin('d1')).responseBody.deviceId, 'd1');
	await hub.faults.add({ fault: 'dropLink' });
	await hub.faults.clear();
	assert.deepEqual(await hub.faults.list(), []);
	assert.equal((await hub.clock.advance('P1D')).aheadSeconds, 86400);
	assert.equal((await hub.clock.advance(60)).aheadSeconds, 86460);
	await registry.updateTwin('d1', { tags: { a: 1 } }, '*');
	assert.ok(Date.parse((await hub.clock.now()).now) > Date.now() + 86_000_000);
})();
`);
	const end = run(['--', process.execPath, 'ordered.js']);
	assert.equal(end.status, 0, end.stderr);
});

test('O-172 startHub: devices in one program, a seed of values, two hubs side by side, an end without stop', () => {
	write('own.mjs', `
import { startHub } from 'twinhub-kit';
import device from 'azure-iot-device';
import mqtt from 'azure-iot-device-mqtt';
import assert from 'node:assert';
const [one, two] = await Promise.all([startHub({ seed: [{ id: 's', tags: { floor: 3 } }, { id: 's', moduleId: 'm' }] }), startHub()]);
assert.notEqual(one.address, two.address);
const client = device.Client.fromConnectionString((await one.device('s')).connectionString, mqtt.Mqtt);
await client.setOptions({ ca: one.caPem });
await client.open();
const twin = await client.getTwin();
await new Promise((resolve, reject) => twin.properties.reported.update({ a: 1 }, (e) => e ? reject(e) : resolve()));
assert.equal((await one.getTwin('s')).properties.reported.a, 1);
await one.updateTwin('s', { properties: { desired: { b: 2 } } });
assert.match((await one.createModule('s', 'n')).connectionString, /^HostName=127\\..*;DeviceId=s;ModuleId=n;SharedAccessKey=/);
assert.match((await one.createDevice('x', { authentication: { type: 'selfSigned', x509Thumbprint: { primaryThumbprint: 'A'.repeat(40) } } })).connectionString, /;DeviceId=x;x509=true$/);
await assert.rejects(two.getTwin('s'), (e) => e.status === 404 && e.body.Message.includes('DeviceNotFound'));
await client.close();
await one.stop();
await one.stop();
console.log('two is forgotten');
`);
	const end = spawnSync(process.execPath, ['own.mjs'], { cwd: project, encoding: 'utf8', timeout: 60_000, env });
	assert.equal(end.status, 0, end.stderr);
	assert.equal(end.stdout, 'two is forgotten\n');
	return until(() => fs.readdirSync(tmp).length === 0, 'the forgotten hub has ended');
});

test('O-172 startHub of what cannot start rejects, and says why', () => {
	write('bad.mjs', `
import { startHub, wrappedHub } from 'twinhub-kit';
import assert from 'node:assert';
await assert.rejects(startHub({ seed: [{ id: 'a', tag: 1 }] }), /the hub has not started \\(exit code 1\\)[^]*line 1: device a: .*tag is no member/);
await assert.rejects(startHub({ args: ['--nothing'] }), /no option '--nothing'/);
await assert.rejects(startHub({ timeoutMs: 1 }), /not ready in 0.001 s/);
assert.throws(() => wrappedHub(), /not started by twinhub-kit/);
`);
	const end = spawnSync(process.execPath, ['bad.mjs'], { cwd: project, encoding: 'utf8', timeout: 60_000, env });
	assert.equal(end.status, 0, end.stderr);
});

