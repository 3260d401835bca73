// The first minutes: a hub started by hand, waited for, asked from the environment, and stopped.
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { BINARY, freeAddress, startHub, stopAll, tempDir, until } from '../lib/hub.mjs';

const hubs = [], started = new Set();
after(async () => {
	for (const dir of started) run(['stop', '--data', dir]);
	await stopAll(...hubs);
});

function run(args, { env = {}, timeout = 60_000 } = {}) {
	const r = spawnSync(BINARY, args, { encoding: 'utf8', timeout, env: { ...process.env, ...env } });
	assert.equal(r.error, undefined);
	return r;
}

async function serve(dir, ...more) {
	started.add(dir);
	return run(['serve', '--background', '--data', dir, '--bind', await freeAddress(), ...more]);
}

const fresh = () => path.join(tempDir('first'), 'data');

test('O-60 O-62 serve --background ends when the hub serves, and stop when it has ended', async () => {
	const dir = fresh();
	const r = await serve(dir);
	assert.equal(r.status, 0, r.stderr);
	assert.match(r.stdout, /^twinhub ready: [^\n]*\n$/);
	assert.equal(r.stderr, '');
	assert.equal(run(['device', 'create', 'd', '--data', dir]).status, 0, 'at once, without waiting');
	const { pid } = JSON.parse(fs.readFileSync(path.join(dir, 'endpoint.json'), 'utf8'));
	assert.equal(fs.readlinkSync(`/proc/${pid}/fd/2`), path.join(fs.realpathSync(dir), 'hub.log'));
	assert.notEqual(fs.readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')[5], fs.readFileSync('/proc/self/stat', 'utf8').split(' ')[5], 'a session of its own');
	const stop = run(['stop', '--data', dir]);
	assert.deepEqual([stop.status, stop.stdout, stop.stderr], [0, '{"status":"stopped"}\n', '']);
	assert.equal(fs.existsSync(`/proc/${pid}`) && fs.readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')[2] !== 'Z', false);
	const again = run(['stop', '--data', dir]);
	assert.deepEqual([again.status, again.stdout], [3, '']);
	assert.match(again.stderr, /^twinhub: no hub runs on /);
});

test('O-60 what keeps a hub from starting is said by serve --background, too', async () => {
	const dir = fresh();
	assert.equal((await serve(dir)).status, 0);
	const second = run(['serve', '--background', '--data', dir, '--bind', await freeAddress()]);
	assert.deepEqual([second.status, second.stdout], [1, '']);
	assert.match(second.stderr, /^twinhub: \S+ is in use by another hub\n$/);
	const wrong = run(['serve', '--background', '--data', dir, '--workers', '65']);
	assert.equal(wrong.status, 2);
});

test('O-62 stop sends nothing to a process that is no hub', async () => {
	const dir = fresh();
	assert.equal((await serve(dir)).status, 0);
	const file = path.join(dir, 'endpoint.json'), { pid } = JSON.parse(fs.readFileSync(file, 'utf8'));
	const stranger = spawn('sleep', ['1000']);
	fs.writeFileSync(file, JSON.stringify({ ...JSON.parse(fs.readFileSync(file, 'utf8')), sum: undefined, pid: stranger.pid }));
	const r = run(['stop', '--data', dir]);
	assert.deepEqual([r.status, r.stdout], [6, '']);
	assert.equal(stranger.exitCode, null);
	stranger.kill('SIGKILL');
	process.kill(pid, 'SIGTERM');
	await until(() => run(['stop', '--data', dir]).status === 3, 'the hub has gone');
});

test('O-61 wait waits for a directory that is not there, and for the hub on it', async () => {
	const dir = fresh();
	const waiting = spawn(BINARY, ['wait', '--data', dir], { stdio: ['ignore', 'pipe', 'pipe'] });
	let said = '';
	waiting.stdout.on('data', (d) => { said += d; });
	waiting.stderr.on('data', (d) => { said += d; });
	const ended = new Promise((resolve) => waiting.once('close', resolve));
	assert.equal((await serve(dir)).status, 0);
	assert.equal(await ended, 0);
	assert.equal(said, '{"status":"ready"}\n');
	assert.equal(run(['stop', '--data', dir]).status, 0);
	const late = run(['wait', '--timeout', '1', '--data', dir]);
	assert.deepEqual([late.status, late.stdout], [3, '']);
	assert.match(late.stderr, /^twinhub: not ready after 1 s: no hub answers at \S+: Connection refused\n$/);
	assert.equal(run(['wait', '--timeout', '1', '--data', fresh()]).status, 3);
	assert.equal(run(['wait', '--connection-string', 'x']).status, 2, 'what is wrong does not become right by waiting');
});

test('O-63 the hub is found by the environment, and two variables are not chosen between', async () => {
	const dir = fresh();
	const env = { TWINHUB_DATA: dir };
	started.add(dir);
	assert.equal(run(['serve', '--background', '--bind', await freeAddress()], { env }).status, 0);
	assert.equal(run(['device', 'create', 'd'], { env }).status, 0);
	const owner = run(['connection-string'], { env }).stdout.trim();
	const elsewhere = { TWINHUB_CONNECTION_STRING: owner, TWINHUB_CA: path.join(dir, 'ca.pem'), TWINHUB_DATA: '' };
	assert.equal(run(['device', 'show', 'd'], { env: elsewhere }).status, 0);
	assert.equal(run(['device', 'show', 'd'], { env: { ...elsewhere, TWINHUB_CA: '' } }).status, 3, 'not trusted');
	const both = run(['device', 'show', 'd'], { env: { ...elsewhere, ...env } });
	assert.equal(both.status, 2);
	assert.match(both.stderr, /TWINHUB_DATA and TWINHUB_CONNECTION_STRING are both set/);
	assert.equal(run(['device', 'show', 'd', '--data', dir], { env: { ...elsewhere, TWINHUB_DATA: '/nowhere', TWINHUB_CA: '/nowhere' } }).status, 0, 'the command line wins');
	assert.equal(run(['stop'], { env }).status, 0);
	assert.equal(run(['check'], { env }).status, 0);
	assert.match(run(['device', 'show', 'd']).stderr, /^twinhub: which hub\? give --data DIR or --connection-string TEXT, or set TWINHUB_DATA or TWINHUB_CONNECTION_STRING\n$/);
});

test('O-64 a folder that holds something else is not filled', async () => {
	const dir = tempDir('first'), bind = ['--bind', await freeAddress()];
	fs.writeFileSync(path.join(dir, 'letter.txt'), 'dear');
	for (const more of [[], ['--background']]) {
		const r = run(['serve', '--data', dir, ...bind, ...more]);
		assert.deepEqual([r.status, r.stdout], [1, '']);
		assert.match(r.stderr, /^twinhub: \S+ is not empty \(there is 'letter.txt'\) and was never a hub's/);
		assert.deepEqual(fs.readdirSync(dir), ['letter.txt']);
	}
	fs.rmSync(path.join(dir, 'letter.txt'));
	fs.mkdirSync(path.join(dir, 'lost+found'));
	fs.writeFileSync(path.join(dir, 'twinhub.conf'), 'token-skew 10\n');
	started.add(dir);
	assert.equal(run(['serve', '--background', '--data', dir, ...bind]).status, 0, 'a file system of its own, with settings');
	assert.equal(run(['stop', '--data', dir]).status, 0);
	fs.writeFileSync(path.join(dir, 'letter.txt'), 'dear');
	assert.equal(run(['serve', '--background', '--data', dir, ...bind]).status, 0, 'once it is a hub\'s, notes may lie in it');
});

test('O-65 a connection string for a port that SDKs do not dial is told as such', async () => {
	const hub = await startHub({ args: ['--https-port', '8443', '--mqtts-port', '8884'] });
	hubs.push(hub);
	await hub.createDevice('d');
	assert.match((await hub.cli(['connection-string'])).stderr, /^twinhub: warning: HTTPS is not on port 443[^\n]*\n$/);
	assert.match((await hub.cli(['connection-string', '--device', 'd'])).stderr, /^twinhub: warning: MQTT is not on port 8883[^\n]*\n$/);
	const usual = await startHub();
	hubs.push(usual);
	await usual.createDevice('d');
	for (const of of [[], ['--device', 'd']]) assert.equal((await usual.cli(['connection-string', ...of])).stderr, '');
});

test('O-67 create shows what the device or module connects with', async () => {
	const hub = await startHub({ args: ['--hostname', 'hub.example.test'] });
	hubs.push(hub);
	const made = async (...args) => JSON.parse((await hub.cli([...args])).stdout).connectionString;
	const shown = async (...args) => (await hub.cli(['connection-string', ...args])).stdout.trim();
	const device = await made('device', 'create', 'd');
	assert.match(device, /^HostName=hub\.example\.test;DeviceId=d;SharedAccessKey=[A-Za-z0-9+/]{43}=$/);
	assert.equal(device, await shown('--device', 'd'));
	assert.equal(await made('module', 'create', 'd', 'm'), await shown('--device', 'd', '--module', 'm'));
	assert.equal(await made('device', 'create', 'x', '--x509-ca'), 'HostName=hub.example.test;DeviceId=x;x509=true');
	assert.match((await hub.cli(['device', 'create', 't', '--table'])).stdout, /^connectionString +HostName=hub\.example\.test;DeviceId=t;SharedAccessKey=\S+$/m);
	assert.equal(await made('device', 'update', 'd', '--status', 'disabled'), undefined, 'who has it knows it');
});

test('O-69 what has never been is never, in tables', async () => {
	const hub = await startHub();
	hubs.push(hub);
	await hub.createDevice('d');
	assert.match((await hub.cli(['device', 'show', 'd', '--table'])).stdout, /^lastActivityTime +never$/m);
	assert.doesNotMatch((await hub.cli(['device', 'list', '--table'])).stdout, /0001-/);
	assert.match((await hub.cli(['device', 'list', '--csv'])).stdout, /0001-01-01T00:00:00Z/, 'programs get what the hub says');
});

test('O-100 O-101 serve --check tells where settings come from, and which file is ignored', () => {
	const dir = tempDir('first'), file = path.join(dir, 'named.conf'), data = path.join(dir, 'data');
	fs.mkdirSync(data);
	fs.writeFileSync(path.join(data, 'twinhub.conf'), 'workers 3\n');
	fs.writeFileSync(file, `data ${data}\nworkers 1\nmax-devices 5\n`);
	const r = run(['serve', '--check', '--config', file, '--https-port', '0'], { env: { TWINHUB_WORKERS: '2' } });
	assert.equal(r.status, 1, r.stderr);
	assert.match(r.stdout, /^max-devices 5: the file$/m);
	assert.match(r.stdout, /^workers 2: the environment$/m);
	assert.match(r.stdout, /^https-port 0: the command line$/m);
	assert.match(r.stderr, /^twinhub: warning: \S+\/data\/twinhub\.conf is ignored: the settings are in \S+$/m);
});
