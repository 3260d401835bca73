// The package under a systemd that has booted in a namespace (systemd-nspawn): the unit as it is, with all that it forbids. Where nspawn cannot boot one
// (a container without the right to mount), the tests are skipped and say so.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { tempDir, until } from '../lib/hub.mjs';
import { holding } from '../lib/hold.mjs';
import { ARCH, NEEDS_ROOT, Root, built, must, run } from './lib.mjs';

const options = { skip: NEEDS_ROOT };
const LATER = '9.0.0';
let root, machine, said = '', leader;

// A command in the machine.
const words = (args) => ['-a', '-t', String(leader), 'env', '-i', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'LC_ALL=C', ...args];
const inside = (...args) => must('nsenter', words(args));
const tried = (...args) => run('nsenter', words(args));
const property = (name) => inside('systemctl', 'show', '-P', name, 'twinhub').trim();
const journal = () => inside('journalctl', '-u', 'twinhub', '--no-pager', '-o', 'cat');

before(async () => {
	if (NEEDS_ROOT) return;
	root = new Root({ include: ['systemd', 'systemd-sysv', 'dbus'] });
	// Not in /tmp, over which systemd mounts its own.
	fs.copyFileSync(built(new RegExp(`^twinhub_.*_${ARCH}\\.deb$`)), root.at('opt/hub.deb'));
	root.must('apt-get', 'install', '-y', '-q', '--no-install-recommends', '/opt/hub.deb');
	const later = path.join(tempDir('deb'), 'deb'), control = path.join(later, 'DEBIAN/control');
	must('dpkg-deb', ['-R', root.at('opt/hub.deb'), later]);
	fs.writeFileSync(control, fs.readFileSync(control, 'utf8').replace(/^Version: .*/m, `Version: ${LATER}`));
	must('dpkg-deb', ['--root-owner-group', '-b', later, root.at('opt/later.deb')]);
	fs.rmSync(root.at('usr/sbin/policy-rc.d'));
	root.unmount();
	// It hears of a watchdog that is not fed sooner than the package's minute.
	fs.mkdirSync(root.at('etc/systemd/system/twinhub.service.d'), { recursive: true });
	fs.writeFileSync(root.at('etc/systemd/system/twinhub.service.d/test.conf'), '[Service]\nWatchdogSec=6\n');
	machine = spawn('systemd-nspawn', ['-q', '-D', root.dir, '--register=no', '--keep-unit', '--private-network', '--console=pipe', '-b'],
		{ stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, SYSTEMD_NSPAWN_UNIFIED_HIERARCHY: '1' } });
	for (const stream of [machine.stdout, machine.stderr]) stream.on('data', (text) => { said += text; });
	leader = await until(() => {
		if (machine.exitCode !== null) throw new Error(`systemd does not boot here: ${said}`);
		return run('pgrep', ['-P', String(machine.pid)]).text.trim().split('\n')[0];
	}, 'nspawn has a child');
	await until(() => /^(running|degraded)/.test(tried('systemctl', 'is-system-running').text), 'systemd has booted', { ms: 90_000 });
});
after(() => {
	if (leader) run('kill', ['-KILL', String(leader)]);
	machine?.kill('SIGKILL');
	root?.close();
});

test('O-102 O-105 O-111 the unit serves under systemd: ready, its status told, the hub its own user with one capability', options, async () => {
	await until(() => property('ActiveState') === 'active', 'it is active', { ms: 60_000 });
	assert.match(property('StatusText'), /^serves 0 identities, 0 connections/);
	assert.equal(property('NRestarts'), '0');
	const status = inside('cat', `/proc/${property('MainPID')}/status`);
	assert.match(status, /^CapEff:\s*0000000000000400$/m); // CAP_NET_BIND_SERVICE
	assert.match(status, /^CapBnd:\s*0000000000000400$/m);
	assert.match(status, /^NoNewPrivs:\s*1$/m);
	assert.match(status, /^Seccomp:\s*2$/m);
	assert.equal(/^Uid:\s*(\d+)/m.exec(status)[1], inside('id', '-u', 'twinhub').trim());
	inside('setpriv', '--reuid', 'twinhub', '--regid', 'twinhub', '--clear-groups', 'twinhub', 'device', 'create', 'thermostat-1', '--data', '/var/lib/twinhub');
	inside('twinhub', 'backup', '/var/lib/twinhub-backup/first', '--data', '/var/lib/twinhub');
	assert.ok(fs.existsSync(root.at('var/lib/twinhub-backup/first/hub.json')), 'backups may go to where the package has a place for them');
	const refused = tried('twinhub', 'backup', '/var/first', '--data', '/var/lib/twinhub');
	assert.notEqual(refused.status, 0, 'and nowhere else');
});

test('O-102 it is reloaded and stopped by systemd', options, async () => {
	inside('systemctl', 'reload', 'twinhub');
	await until(() => property('ActiveState') === 'active', 'it is active again');
	inside('systemctl', 'stop', 'twinhub');
	assert.deepEqual([property('Result'), property('ExecMainStatus')], ['success', '0']);
	inside('systemctl', 'start', 'twinhub');
	assert.equal(property('ActiveState'), 'active', 'start has waited for it');
	assert.match(inside('twinhub', 'device', 'list', '-o', 'name', '--data', '/var/lib/twinhub'), /thermostat-1/);
});

test('O-103 a loop that is held is named in the journal before systemd ends the hub, and then it serves again', options, async () => {
	const before = property('MainPID');
	const outer = run('pgrep', ['-f', '^/usr/bin/twinhub serve --config /etc/twinhub/twinhub.conf']).text.trim().split('\n')
		.find((pid) => new RegExp(`^NSpid:\\s.*\\s${before}$`, 'm').test(fs.readFileSync(`/proc/${pid}/status`, 'utf8')));
	// A thread that is held cannot be ended either, so it is let go once systemd has lost its patience.
	await holding(outer, 'loop 0', () => until(() => /Watchdog timeout/.test(journal()), 'systemd has lost patience', { ms: 60_000 }));
	await until(() => property('NRestarts') === '1', 'systemd has ended it');
	await until(() => property('ActiveState') === 'active' && property('MainPID') !== before, 'it serves again');
	const lines = journal().split('\n');
	const named = lines.findIndex((line) => /loop 0 has not turned for \d+ s/.test(line)), ended = lines.findIndex((line) => /Watchdog timeout/.test(line));
	assert.ok(named >= 0 && named < ended, lines.join('\n'));
});

test('O-105 an upgrade restarts a hub that runs, an older package that is refused does not; remove stops it, the next one starts it, purge takes all', options, async () => {
	const main = () => property('MainPID'), first = main();
	const devices = () => inside('twinhub', 'device', 'list', '-o', 'name', '--data', '/var/lib/twinhub');
	inside('dpkg', '-i', '/opt/later.deb');
	await until(() => property('ActiveState') === 'active' && main() !== first, 'the later one serves');
	assert.match(devices(), /thermostat-1/);
	const second = main(), refused = tried('dpkg', '-i', '/opt/hub.deb');
	assert.notEqual(refused.status, 0);
	assert.match(refused.text, /9\.0\.0 has been here/);
	assert.deepEqual([property('ActiveState'), main()], ['active', second], 'it goes on as it was');
	inside('dpkg', '-r', 'twinhub');
	assert.notEqual(tried('systemctl', 'is-active', 'twinhub').status, 0);
	inside('dpkg', '-i', '/opt/later.deb');
	await until(() => property('ActiveState') === 'active', 'it serves again');
	assert.equal(property('UnitFileState'), 'enabled');
	assert.match(devices(), /thermostat-1/);
	inside('dpkg', '-P', 'twinhub');
	assert.ok(!fs.existsSync(root.at('var/lib/twinhub')) && fs.existsSync(root.at('var/lib/twinhub-backup/first/hub.json')));
	assert.equal(tried('systemctl', 'list-unit-files', '--no-legend', 'twinhub.service').text.trim(), '');
});
