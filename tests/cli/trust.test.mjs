// Whom the command line trusts, what clients will hold against certificates, and connection strings from anywhere.
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { BINARY, makeCertificate, onPostgres, startHub, stopAll, tempDir, until } from '../lib/hub.mjs';

const hubs = [];
after(() => stopAll(...hubs));

async function hubOf(options) {
	const hub = await startHub(options);
	hubs.push(hub);
	return hub;
}

function run(args, env = {}) {
	const r = spawnSync(BINARY, args, { encoding: 'utf8', timeout: 60_000, env: { ...process.env, ...env } });
	assert.equal(r.error, undefined);
	return r;
}

const dir = tempDir('trust');
const root = makeCertificate({ dir, cn: 'some CA', ca: true });
const served = (cert) => ['--cert', cert.chainFile, '--key', cert.keyFile];

test('O-70 connection-string and sas work from anywhere, with the CA of the hub', async () => {
	const hub = await hubOf({ args: ['--hostname', 'hub.example.test', '--https-port', '8443'] });
	await hub.createDevice('d');
	const here = async (...args) => (await hub.cli(args)).stdout;
	const owner = `HostName=${hub.addr}:8443;${(await here('connection-string')).trim().replace(/^[^;]*;/, '')}`;
	const there = (...args) => run([...args, '--connection-string', owner, '--ca', hub.ca]);
	const host = (text) => text.replace(/HostName=[^;]*/, 'HostName=H');
	for (const of of [['--device', 'd'], ['--device', 'd', '--key', 'secondary'], ['--policy', 'service'], []]) {
		const r = there('connection-string', ...of);
		assert.equal(r.status, 0, r.stderr);
		assert.equal(host(r.stdout), host(await here('connection-string', ...of)), of.join(' '));
	}
	assert.match(there('connection-string', '--device', 'd', '--hostname', 'other').stdout, /^HostName=other;DeviceId=d;/);
	const token = there('sas', '--device', 'd').stdout;
	assert.ok(token.startsWith(`SharedAccessSignature sr=${hub.addr}%2Fdevices%2Fd&sig=`), token);
	assert.doesNotMatch(token, /skn=/);
	assert.match(there('sas', '--policy', 'service').stdout, /&skn=service$/m);
	assert.equal(there('connection-string', '--device', 'nobody').status, 4);
	assert.equal(run(['connection-string', '--device', 'd', '--connection-string', owner]).status, 3, 'without the CA');
	assert.equal(run(['connection-string', '--device', 'd'], { TWINHUB_CONNECTION_STRING: owner, TWINHUB_CA: hub.ca }).status, 0);
	const service = there('connection-string', '--policy', 'service').stdout.trim();
	const stray = (...args) => run([...args, '--connection-string', owner, '--ca', hub.ca]).stderr;
	assert.match(stray('sas', '--resource', 'x/devices/d'), /^twinhub: warning: the connection string has HostName=[^ ]+: the hub refuses what is for 'x', [^\n]*\n$/);
	assert.match(stray('connection-string', '--hostname', 'other'), /the hub refuses what is for 'other'/);
	assert.equal(stray('sas', '--resource', `${hub.addr}/devices/d`), '');
	const denied = run(['connection-string', '--device', 'd', '--connection-string', service, '--ca', hub.ca]);
	assert.equal(denied.status, 1);
	assert.match(denied.stderr, /^twinhub: [^\n]+\n$/);
});

test('O-71 what the hub will refuse is warned of: another name, a resource that is not its', async () => {
	const hub = await hubOf({ args: ['--hostname', 'hub.example.test'] });
	await hub.createDevice('d');
	const warned = async (text, ...args) => assert.match((await hub.cli(args)).stderr, text, args.join(' '));
	await warned(/^twinhub: warning: the hub does not know the name other [^\n]*\n$/, 'sas', '--hostname', 'other');
	await warned(/the hub does not know the name other/, 'connection-string', '--hostname', 'other');
	await warned(/^twinhub: warning: the hub refuses tokens for 'x': [^\n]*\n$/, 'sas', '--resource', 'x');
	await warned(/^$/, 'sas', '--resource', 'hub.example.test/devices/d');
	await warned(/^$/, 'sas', '--hostname', 'HUB.example.test');
	await warned(/^$/, 'connection-string', '--hostname', 'localhost');
});

test('O-72 --data trusts what the running hub serves, whoever signed it, and after a reload', async () => {
	const first = makeCertificate({ dir, cn: 'first', issuer: root, san: 'DNS:elsewhere.test' });
	const hub = await hubOf({ args: [] });
	assert.equal((await hub.cli(['device', 'list'])).code, 0, 'with a CA of its own, which stays in the directory');
	await hub.stop();
	const file = path.join(dir, 'served.pem'), key = path.join(dir, 'served.key');
	const use = (cert) => { fs.copyFileSync(cert.chainFile, file); fs.copyFileSync(cert.keyFile, key); };
	use(first);
	hub.args = ['--cert', file, '--key', key];
	await hub.start();
	assert.equal((await hub.cli(['device', 'list'])).code, 0);
	use(makeCertificate({ dir, cn: 'second', san: 'DNS:elsewhere.test' }));
	assert.equal((await hub.cli(['device', 'list'])).code, 0, 'not loaded yet');
	hub.signal('SIGHUP');
	await until(() => /certificates loaded anew/.test(hub.logs), 'the reload');
	assert.equal((await hub.cli(['device', 'list'])).code, 0);
	assert.equal((await hub.cli(['device', 'list', '--ca', root.certFile])).code, 3, '--ca is what is asked for');
});

test('O-73 certificates are judged at start and reload: name, chain, days, purpose', async () => {
	const middle = makeCertificate({ dir, cn: 'middle', issuer: root, ca: true });
	const good = makeCertificate({ dir, cn: 'good', issuer: middle, san: 'DNS:hub.example.test' });
	const flaw = (hub) => [...hub.logs.matchAll(/msg="clients may refuse a server certificate" subject="?([^"\s]+)"? why="([^"]*)"/g)].map((m) => `${m[1]} ${m[2]}`);
	const args = (cert) => ['--hostname', 'hub.example.test', ...served(cert)];
	assert.deepEqual(flaw(await hubOf({ args: args(good) })), []);
	const unnamed = makeCertificate({ dir, cn: 'unnamed', issuer: middle, san: 'DNS:other.test' });
	assert.deepEqual(flaw(await hubOf({ args: args(unnamed) })), ['/CN=unnamed it has not the name hub.example.test: clients that dial it refuse the hub']);
	const file = path.join(dir, 'judged.pem'), key = path.join(dir, 'judged.key');
	fs.writeFileSync(file, good.chain);
	fs.writeFileSync(key, good.key);
	const hub = await hubOf({ args: ['--hostname', 'hub.example.test', '--cert', file, '--key', key] });
	assert.deepEqual(flaw(hub), []);
	fs.writeFileSync(file, good.cert);
	hub.signal('SIGHUP');
	await until(() => flaw(hub).length > 0, 'a line about the chain that is not there');
	assert.match(flaw(hub)[0], /^\/CN=good its issuer \/CN=middle is not in the file/);
});

test('O-74 serve --check tells what is wrong with settings, files and certificates, and starts nothing', async () => {
	const data = path.join(tempDir('checked'), 'data'), name = ['--hostname', 'hub.example.test'];
	// What it says beside the settings that are given (O-100).
	const check = (...args) => {
		const r = run(['serve', '--check', '--data', data, ...args]);
		return { ...r, stdout: r.stdout.replace(/^.*: the command line\n/gm, '') };
	};
	const good = check();
	assert.deepEqual([good.status, good.stdout, good.stderr], [0, 'the configuration is good\n', '']);
	assert.equal(fs.existsSync(data), false, 'nothing is made');
	const wrong = (text, args, code = 1) => {
		const r = check(...args);
		assert.deepEqual([r.status, r.stdout], [code, ''], r.stderr);
		assert.match(r.stderr, text);
	};
	const cert = makeCertificate({ dir, cn: 'checked', days: 90, san: 'DNS:hub.example.test' }), other = makeCertificate({ dir, cn: 'other', days: 90, san: 'DNS:other.test' });
	assert.equal(check(...name, ...served(cert)).status, 0);
	wrong(/^twinhub: --bind 192\.0\.2\.1: this machine has no such address\n$/, ['--bind', '192.0.2.1']);
	wrong(/^twinhub: --metrics-bind 192\.0\.2\.1: this machine has no such address\n[^\n]*\/nowhere\/token[^\n]*\n$/,
		['--metrics-bind', '192.0.2.1:9464', '--metrics-token-file', '/nowhere/token']);
	wrong(/^twinhub: --log-file \/nowhere\/: No such file or directory\n$/, ['--log-file', '/nowhere/hub.log']);
	wrong(/^twinhub: --sink-dir \/nowhere: No such file or directory\n$/, ['--sink-dir', '/nowhere']);
	wrong(/^twinhub: \/nowhere\/cert.pem is missing\n$/, ['--cert', '/nowhere/cert.pem', '--key', cert.keyFile]);
	wrong(/^twinhub: \/nowhere\/key.pem is missing\n$/, ['--cert', cert.certFile, '--key', '/nowhere/key.pem']);
	wrong(/not the key of the certificate/, ['--cert', cert.certFile, '--key', other.keyFile]);
	wrong(/^twinhub: warning: server certificate \/CN=other: it has not the name hub\.example\.test[^\n]*\n$/, [...name, ...served(other)]);
	const middle = makeCertificate({ dir, cn: 'between', issuer: root, ca: true, days: 90 });
	const last = makeCertificate({ dir, cn: 'last', issuer: middle, days: 90, san: 'DNS:hub.example.test' });
	const written = (file, text) => {
		fs.writeFileSync(path.join(dir, file), text);
		return path.join(dir, file);
	};
	wrong(/turned\.pem: the certificate of the key \S+ has to be the first in it/, ['--cert', written('turned.pem', middle.cert + last.cert), '--key', last.keyFile]);
	wrong(/torn\.pem: certificate 2 cannot be read/, ['--cert', written('torn.pem', last.cert + middle.cert.slice(0, 200)), '--key', last.keyFile]);
	const locked = path.join(dir, 'locked.key');
	execFileSync('openssl', ['pkey', '-in', last.keyFile, '-aes128', '-passout', 'pass:x', '-out', locked], { stdio: 'ignore' });
	wrong(/locked\.key: the key is encrypted/, ['--cert', last.chainFile, '--key', locked]);
	wrong(/^twinhub: \S+ is a directory\n$/, ['--cert', dir, '--key', last.keyFile]);
	wrong(/^twinhub: \S+ is a directory\n$/, ['--cert', last.chainFile, '--key', dir]);
	wrong(/: no private key in PEM\n$/, ['--cert', last.chainFile, '--key', last.chainFile]);
	assert.equal(check(...name, '--cert', written('wordy.pem', `of last\n${last.cert}of between\n${middle.cert}end`), '--key', last.keyFile).status, 0, 'what openssl prints between');
	const early = spawnSync(BINARY, ['serve', '--check', '--data', data, ...name, ...served(cert)], { encoding: 'utf8', env: { ...process.env, LD_PRELOAD: path.join(path.dirname(BINARY), 'libset_clock.so'), TWINHUB_CLOCK: '1577836800', ASAN_OPTIONS: `${process.env.ASAN_OPTIONS ?? ''}:verify_asan_link_order=0` } });
	assert.match(early.stderr, /\/CN=checked is not valid yet: its first day is 20[23]\d-/);
	wrong(/--client-ca \/nowhere is missing/, ['--client-ca', '/nowhere']);
	wrong(/--client-ca \/\S+: no PEM certificate that may sign others/, ['--client-ca', cert.keyFile]);
	wrong(/\/nowhere/, ['--import-export-dir', '/nowhere']);
	wrong(/--workers 65/, ['--workers', '65'], 2);
	const hub = await hubOf();
	assert.equal(run(['serve', '--check', '--data', hub.dir]).status, 0, 'while a hub runs there');
	fs.writeFileSync(path.join(hub.dir, 'policies.json'), '{');
	const damaged = run(['serve', '--check', '--data', hub.dir]);
	assert.equal(damaged.status, onPostgres ? 0 : 1, 'O-222: there it is a copy, which a start writes');
	if (!onPostgres) assert.match(damaged.stderr, /policies\.json is damaged/);
});
