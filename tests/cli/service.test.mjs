// What a service manager hears of the hub, and what a control group lets it have.
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { BINARY, Hub, REPOSITORY, freeAddress, stopAll, tempDir, until } from '../lib/hub.mjs';
import { holding } from '../lib/hold.mjs';

after(() => stopAll());

// Node knows no datagrams of AF_UNIX.
const LISTEN = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print('bound', flush=True)
while True:
    print(repr(s.recv(4096).decode()), flush=True)
`;

test('O-102 O-103 the manager hears READY, a status, the watchdog fed, RELOADING and STOPPING', async () => {
	const dir = tempDir('service'), socket = path.join(dir, 'notify');
	const manager = spawn('python3', ['-c', LISTEN, socket], { stdio: ['ignore', 'pipe', 'inherit'] });
	let heard = '';
	manager.stdout.on('data', (text) => { heard += text; });
	await until(() => heard.includes('bound'), 'told');
	const hub = spawn(BINARY, ['serve', '--data', path.join(dir, 'data'), '--bind', await freeAddress(), '--https-port', '0'], {
		stdio: 'ignore',
		env: { ...process.env, NOTIFY_SOCKET: socket, WATCHDOG_USEC: '4000000' },
	});
	try {
		await until(() => /READY=1\\nSTATUS=serves 0 identities, 0 connections/.test(heard), 'told');
		assert.ok(heard.indexOf('STATUS=starts: ') < heard.indexOf('READY=1') && heard.includes('STATUS=starts: '), heard);
		await until(() => (heard.match(/WATCHDOG=1/g) ?? []).length >= 2, 'fed', { ms: 15_000 });
		hub.kill('SIGHUP');
		await until(() => /RELOADING=1\\nMONOTONIC_USEC=\d+/.test(heard), 'told');
		await until(() => (heard.match(/READY=1/g) ?? []).length === 2, 'told');
		const ended = new Promise((resolve) => { hub.once('exit', resolve); });
		hub.kill('SIGTERM');
		assert.equal(await ended, 0);
		await until(() => /STOPPING=1/.test(heard), 'told');
		// which cannot start says why, and never that it is ready
		heard = '';
		const failed = spawnSync(BINARY, ['serve', '--data', path.join(dir, 'data'), '--bind', await freeAddress(), '--https-port', '0', '--cert', '/nowhere/at\nREADY=1', '--key', '/nowhere'], { env: { ...process.env, NOTIFY_SOCKET: socket } });
		assert.equal(failed.status, 1);
		await until(() => /STATUS=cannot start: .*nowhere/.test(heard), 'told');
		assert.doesNotMatch(heard, /^'READY|\\nREADY/m);
		// changes that are refused are in the status
		heard = '';
		const full = spawn(BINARY, ['serve', '--data', path.join(dir, 'data'), '--bind', await freeAddress(), '--https-port', '0', '--free-space', String(2 ** 50)], { stdio: 'ignore', env: { ...process.env, NOTIFY_SOCKET: socket } });
		try {
			await until(() => /STATUS=serves 0 identities, 0 connections, takes no changes/.test(heard), 'told', { ms: 25_000 });
		} finally {
			full.kill('SIGKILL');
		}
	} finally {
		hub.kill('SIGKILL');
		manager.kill('SIGKILL');
	}
});

test('O-102 a signal ends a hub that still starts', async () => {
	const dir = tempDir('early'), fifo = path.join(dir, 'token');
	spawnSync('mkfifo', [fifo]); // nobody writes into it: the start stands still there
	for (const signal of ['SIGTERM', 'SIGINT']) {
		const hub = spawn(BINARY, ['serve', '--data', path.join(dir, 'data'), '--bind', await freeAddress(), '--metrics-token-file', fifo], { stdio: ['ignore', 'ignore', 'pipe'] });
		let said = '';
		hub.stderr.on('data', (text) => { said += text; });
		const ended = new Promise((resolve) => { hub.once('close', (code, by) => resolve(by)); });
		await until(() => fs.existsSync(path.join(dir, 'data')) && /^State:\s*S/m.test(fs.readFileSync(`/proc/${hub.pid}/status`, 'utf8')), 'it has begun');
		await new Promise((resolve) => { setTimeout(resolve, 300); });
		hub.kill(signal);
		const late = setTimeout(() => hub.kill('SIGKILL'), 10_000);
		assert.equal(await ended, signal);
		clearTimeout(late);
		assert.match(said, /ended while it started: signal \d+/);
	}
});

test('O-111 systemd finds nothing wrong with the unit and little to hold against it; the documentation has it as it is', () => {
	const unit = fs.readFileSync(path.join(REPOSITORY, 'packaging/twinhub.service'), 'utf8');
	const printed = /```ini\n([^]*?)```/.exec(fs.readFileSync(path.join(REPOSITORY, 'docs/install.md'), 'utf8'))[1];
	assert.equal(printed, unit);
	// Where the package has the program, this tree has its own; pages of the manual are not installed.
	const file = path.join(tempDir('unit'), 'twinhub.service');
	fs.writeFileSync(file, unit.replace('/usr/bin/twinhub', BINARY));
	const analyze = (...args) => spawnSync('systemd-analyze', [...args, file], { encoding: 'utf8' });
	const verified = analyze('verify', '--man=no');
	assert.deepEqual([verified.error, verified.status, verified.stderr], [undefined, 0, '']);
	const judged = analyze('security', '--offline=yes', '--no-pager', '--threshold=20'); // tenths
	assert.equal(judged.status, 0, judged.stdout);
	assert.match(judged.stdout, /exposure level for twinhub\.service: [01]\.\d OK/);
});

test('O-103 a loop or a worker that is really held is named in the log, the watchdog goes hungry, and is fed when it turns again', { skip: process.getuid() !== 0 && 'takes root' }, async () => {
	const dir = tempDir('held'), socket = path.join(dir, 'notify');
	const manager = spawn('python3', ['-c', LISTEN, socket], { stdio: ['ignore', 'pipe', 'inherit'] });
	let heard = '';
	manager.stdout.on('data', (text) => { heard += text; });
	await until(() => heard.includes('bound'), 'told');
	// Half of the watchdog's time is how long a thread may stand: 1 s.
	const hub = new Hub({ addr: await freeAddress(), dir: path.join(dir, 'data'), args: ['--workers', '1', '--io-threads', '2'],
		env: { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '2000000' } });
	let busy = true;
	try {
		await hub.start();
		for (let n = 0; n < 20; n++) {
			const body = Array.from({ length: 100 }, (_, i) => ({ id: `d${n}-${i}`, importMode: 'create', tags: { text: `${n} ${'x'.repeat(200)} ${i}` } }));
			assert.equal((await hub.rest('POST', '/devices', { body })).status, 200);
		}
		const fed = () => (heard.match(/WATCHDOG=1/g) ?? []).length;
		const named = (what, how) => (hub.logs.match(new RegExp(`${what} has not turned for \\d+ s|${what} turns again`, 'g')) ?? []).filter((line) => line.includes(how)).length;
		const held = (what) => holding(hub.pid, what, async () => {
			const seen = await until(() => named(what, 'has not turned') > 0, `${what} is named`, { ms: 3_000 }).catch(() => false);
			if (!seen) return false;
			const last = fed();
			await new Promise((resolve) => { setTimeout(resolve, 1250); }); // two and a half times what feeds it otherwise
			assert.equal(fed(), last, `the watchdog is fed while ${what} is held`);
			return true;
		});
		assert.ok(await held('loop 1'));
		await until(() => named('loop 1', 'turns again') > 0, 'loop 1 turns again');

		// A worker that rests is not stuck: it has to be held in a turn. There is always one with this going on, or nearly.
		const ask = async () => { while (busy) await hub.rest('POST', '/devices/query', { body: { query: "SELECT * FROM devices WHERE ENDSWITH(tags.text, 'y')" } }).catch(() => {}); };
		const asking = Array.from({ length: 8 }, ask);
		let seen = false;
		for (let tries = 0; tries < 10 && !seen; tries++) seen = await held('worker 0');
		assert.ok(seen, hub.logs.slice(-2000));
		await until(() => named('worker 0', 'turns again') > 0, 'worker 0 turns again');
		busy = false;
		await Promise.all(asking);
		const last = fed();
		await until(() => fed() > last, 'it is fed again');
	} finally {
		busy = false;
		await hub.stop();
		manager.kill('SIGKILL');
	}
});
