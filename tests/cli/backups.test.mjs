// of the store alone
// Directories that are not what somebody takes them for: another user's, a backup, one whose certificates were elsewhere.
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { BINARY, freeAddress, makeCertificate, startHub, stopAll, tempDir, until } from '../lib/hub.mjs';

const hubs = [];
after(() => stopAll(...hubs));

async function hubOf(options) {
	const hub = await startHub(options);
	hubs.push(hub);
	return hub;
}

function run(args, { as = [] } = {}) {
	const [program, ...words] = [...as, BINARY, ...args];
	const r = spawnSync(program, words, { encoding: 'utf8', timeout: 60_000 });
	assert.equal(r.error, undefined);
	return r;
}

const NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--'];
const possible = process.getuid() === 0 && spawnSync(NOBODY[0], [...NOBODY.slice(1), BINARY, '--version']).status === 0;

test('O-80 a directory that the user may not read is called so, and not damaged', { skip: !possible && 'needs root, and a program that others may run' }, async () => {
	const hub = await hubOf();
	await hub.stop();
	fs.chmodSync(path.dirname(hub.dir), 0o755);
	const said = (...args) => run([...args, '--data', hub.dir], { as: NOBODY });
	for (const args of [['check'], ['device', 'list'], ['connection-string'], ['policy', 'reset'], ['stop']]) {
		const r = said(...args);
		assert.equal(r.status, 9, `${args}: ${r.stdout}${r.stderr}`);
		assert.match(r.stderr, /^twinhub: \S+ may not be read by this user: try as its owner, sudo -u root twinhub \.\.\.\n$/);
	}
	fs.chmodSync(hub.dir, 0o755);
	const r = said('check');
	assert.equal(r.status, 9);
	assert.match(r.stderr, /\/data\/\S+ may not be read/);
	assert.equal(run(['check', '--data', hub.dir]).status, 0);
	const backup = path.join(tempDir('denied'), 'b');
	fs.cpSync(hub.dir, backup, { recursive: true });
	fs.chmodSync(backup, 0o700);
	assert.equal(run(['restore', backup, '--data', path.join(tempDir('denied'), 'new')], { as: NOBODY }).status, 9);
});

test('O-81 serve refuses a backup and changes nothing in it; restore makes a directory of it', async () => {
	const hub = await hubOf();
	await hub.createDevice('d');
	const backup = path.join(tempDir('backup'), 'b'), fresh = path.join(tempDir('backup'), 'new');
	assert.equal((await hub.cli(['backup', backup])).code, 0);
	const before = fs.readdirSync(backup).sort();
	for (const more of [[], ['--background'], ['--check']]) {
		const r = run(['serve', '--data', backup, '--bind', await freeAddress(), ...more]);
		assert.equal(r.status, 1);
		if (more[0] !== '--check') assert.equal(r.stdout, ''); // which tells the settings first (O-100)
		assert.match(r.stderr, /^twinhub: \S+ is a backup, and stays one: make a data directory of it with `twinhub restore \S+ --data NEW`\n$/);
		assert.deepEqual(fs.readdirSync(backup).sort(), before);
	}
	assert.equal(run(['check', '--data', backup]).status, 0);
	assert.equal(run(['restore', backup, '--data', fresh]).status, 0);
	const none = run(['restore', `${backup}-no`, '--data', `${fresh}-no`]);
	assert.deepEqual([none.status, none.stderr], [4, `twinhub: there is no backup ${backup}-no\n`]);
	assert.equal(fs.existsSync(`${fresh}-no`), false);
	const restored = await hubOf({ dir: fresh });
	assert.equal((await restored.rest('GET', '/devices/d')).status, 200);
});

test('O-82 a restored hub without its former --cert says what it needs', async () => {
	const dir = tempDir('cert'), cert = makeCertificate({ dir, cn: 'hub' });
	const hub = await hubOf({ dir: path.join(dir, 'data'), args: ['--cert', cert.certFile, '--key', cert.keyFile] });
	const backup = path.join(dir, 'backup'), fresh = path.join(dir, 'new');
	assert.equal((await hub.cli(['backup', backup])).code, 0);
	assert.equal(run(['restore', backup, '--data', fresh]).status, 0);
	const r = run(['serve', '--data', fresh, '--bind', await freeAddress()]);
	assert.equal(r.status, 1);
	assert.match(r.stderr, /ca\.pem is missing: the hub had certificates from elsewhere, and is started without: give the former --cert and --key, or make a CA with `twinhub ca renew`/);
	assert.equal(run(['ca', 'renew', '--data', fresh]).status, 0);
	await hubOf({ dir: fresh });
});

test('O-83 the ready line tells the limits in force; a refusal by one names it', async () => {
	const hub = await hubOf({ args: ['--max-connections', '50', '--max-connections-per-address', '1', '--memory', '128M'] });
	assert.match(hub.logs, /^twinhub ready: .*, 50 connections, 1 of one address.*, memory 128 MB, data /m);
	const net = await import('node:net');
	const first = net.connect(hub.httpsPort, hub.addr), second = net.connect(hub.httpsPort, hub.addr);
	await new Promise((resolve) => second.once('close', resolve).once('error', () => {}));
	first.destroy();
	await until(() => /reason=too-many-of-address .*NAT.*the limit is 1\b/.test(hub.logs), 'the log, which has a thread of its own, says so');
});
