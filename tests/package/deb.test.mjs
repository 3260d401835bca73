// The Debian package in a Debian of its own: installed, a hub on its settings, upgraded over data of this release and of each former one,
// refused when it is older, removed, purged.
import { after, afterEach, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { REPOSITORY, freeAddress, tempDir, until } from '../lib/hub.mjs';
import { ARCH, NEEDS_ROOT, Root, built, must, run } from './lib.mjs';

const DATA = '/var/lib/twinhub', CONF = '/etc/twinhub/twinhub.conf';
const LATER = '9.0.0', LATEST = '9.0.1';
const FORMATS = fs.readdirSync(path.join(REPOSITORY, 'tests/crash/former')).flatMap((name) => /^format(\d+)\.tar\.xz$/.exec(name)?.[1] ?? []);
let root, deb, version, address, hub;
const options = { skip: NEEDS_ROOT };

before(async () => {
	if (NEEDS_ROOT) return;
	deb = built(new RegExp(`^twinhub_.*_${ARCH}\\.deb$`));
	version = must('dpkg-deb', ['-f', deb, 'Version']).trim();
	address = await freeAddress([443, 8883, 9464]);
	root = new Root();
	fs.copyFileSync(deb, root.at('tmp', 'now.deb'));
	asVersion(LATER, 'later.deb');
});
after(() => root?.close());

// A hub that a failed test has left.
afterEach(async () => {
	hub?.child.kill('SIGKILL');
	await hub?.ended;
	hub = undefined;
});

// The same package under another version.
function asVersion(other, name, change = () => {}) {
	const dir = path.join(tempDir('deb'), 'deb'), control = path.join(dir, 'DEBIAN/control');
	must('dpkg-deb', ['-R', deb, dir]);
	fs.writeFileSync(control, fs.readFileSync(control, 'utf8').replace(/^Version: .*/m, `Version: ${other}`));
	change(dir);
	must('dpkg-deb', ['--root-owner-group', '-b', dir, root.at('tmp', name)]);
}

const installed = () => root.must('dpkg-query', '-f', '${Version} ${db:Status-Status}', '-W', 'twinhub');
const hubs = (...words) => root.must('twinhub', ...words, '--data', DATA);

// As the unit starts it, on a loopback address. Waits until it serves.
async function start() {
	const child = root.spawn('setpriv', '--reuid', 'twinhub', '--regid', 'twinhub', '--clear-groups', '--inh-caps', '+net_bind_service', '--ambient-caps', '+net_bind_service',
		'twinhub', 'serve', '--config', CONF, '--bind', address);
	hub = { child, said: '', ended: new Promise((resolve) => { child.once('exit', resolve); }) };
	for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => { hub.said += text; });
	await until(() => /^twinhub ready/m.test(hub.said) || child.exitCode !== null, 'the hub serves or has ended');
	assert.equal(child.exitCode, null, hub.said);
}

async function stop() {
	hub.child.kill('SIGTERM');
	assert.equal(await hub.ended, 0, hub.said);
	hub = undefined;
}

test('O-105 O-107 O-108 lintian has no error to tell; program, unit, user, settings, places, pages and completions are there', options, () => {
	must('lintian', ['--fail-on', 'error', '--allow-root', ...fs.readdirSync(path.dirname(deb)).filter((name) => name.endsWith('.deb')).map((name) => path.join(path.dirname(deb), name))]);
	root.must('apt-get', 'install', '-y', '-q', '--no-install-recommends', '/tmp/now.deb');
	assert.equal(installed(), `${version} installed`);
	for (const dir of [DATA, '/var/lib/twinhub-backup']) assert.equal(root.must('stat', '-c', '%U %G %a', dir).trim(), 'twinhub twinhub 700');
	assert.equal(root.must('stat', '-c', '%U %G %a', CONF).trim(), 'root twinhub 640');
	assert.equal(fs.readFileSync(root.at(CONF), 'utf8'), fs.readFileSync(path.join(REPOSITORY, 'packaging/twinhub.conf'), 'utf8'));
	assert.match(root.must('dpkg-query', '-f', '${Conffiles}', '-W', 'twinhub'), /\/etc\/twinhub\/twinhub\.conf/);
	for (const file of ['lib/systemd/system/twinhub.service', 'usr/share/doc/twinhub/copyright', 'usr/share/doc/twinhub/changelog.gz', 'usr/share/bash-completion/completions/twinhub',
		'usr/share/zsh/vendor-completions/_twinhub', 'usr/share/fish/vendor_completions.d/twinhub.fish', 'usr/share/man/man5/twinhub.conf.5.gz', 'usr/share/man/man8/twinhub-serve.8.gz'])
		assert.ok(fs.statSync(root.at(file)).size > 100, file);
	const names = root.must('twinhub', 'help', '--markdown', 'pages').trim().split('\n').map((line) => line.split(' ')[0]);
	for (const name of names) assert.ok(fs.existsSync(root.at(`usr/share/man/man${name.at(-1)}/${name}.gz`)), name);
	assert.equal(root.must('twinhub', 'version').trim(), `twinhub ${version}`);
	assert.doesNotMatch(fs.readFileSync(root.at('etc/passwd'), 'utf8').match(/^twinhub:.*$/m)[0], /bash$/);
});

test('O-105 a hub serves by /etc/twinhub/twinhub.conf, and by no other file', options, async () => {
	await start();
	hubs('device', 'create', 'thermostat-1');
	await stop();
	assert.ok(!fs.existsSync(root.at(DATA, 'twinhub.conf')), 'there is one file of settings');
});

test('O-105 an upgrade keeps data and settings', options, async () => {
	fs.appendFileSync(root.at(CONF), 'max-devices 77\n');
	root.must('dpkg', '-i', '/tmp/later.deb');
	assert.match(fs.readFileSync(root.at(CONF), 'utf8'), /^max-devices 77$/m);
	await start();
	assert.equal(hubs('device', 'list', '-o', 'name').trim(), 'thermostat-1');
	await stop();
});

test('O-105 settings that somebody has changed stay when those of the package change, and so do rights that somebody has chosen', options, () => {
	const changed = fs.readFileSync(root.at(CONF), 'utf8');
	root.must('chmod', '644', CONF);
	asVersion(LATEST, 'conf.deb', (dir) => fs.appendFileSync(path.join(dir, CONF), '# one more option\n'));
	root.must('dpkg', '-i', '--force-confdef', '--force-confold', '/tmp/conf.deb');
	assert.equal(fs.readFileSync(root.at(CONF), 'utf8'), changed);
	assert.match(fs.readFileSync(root.at(`${CONF}.dpkg-dist`), 'utf8'), /# one more option\n$/);
	assert.equal(root.must('stat', '-c', '%U %G %a', CONF).trim(), 'root twinhub 644');
});

test('O-105 an older package is refused where there is data, with the way back, and changes nothing', options, async () => {
	const refused = (place, was) => {
		const r = root.run('dpkg', '-i', '/tmp/now.deb');
		assert.notEqual(r.status, 0);
		assert.match(r.text, new RegExp(`${LATEST} has been here, and its data in ${place} may be of a format that ${version} does not know`));
		assert.match(r.text, /restore a backup/);
		assert.equal(root.must('dpkg-query', '-f', '${Version} ${db:Status-Status}', '-W', 'twinhub'), was);
		assert.equal(root.must('dpkg', '--audit'), '');
	};
	refused(DATA, `${LATEST} installed`);
	// Where the settings say that data is, too.
	const conf = fs.readFileSync(root.at(CONF), 'utf8');
	root.must('mv', DATA, '/srv/hub');
	fs.writeFileSync(root.at(CONF), conf.replace(/^data .*$/m, '  data\t/srv/hub \r'));
	refused('/srv/hub', `${LATEST} installed`);
	root.must('mv', '/srv/hub', DATA);
	fs.writeFileSync(root.at(CONF), conf);
	await start();
	assert.equal(hubs('device', 'list', '-o', 'name').trim(), 'thermostat-1');
	await stop();
	// And where the newer one has been removed.
	root.must('dpkg', '-r', 'twinhub');
	refused(DATA, `${LATEST} config-files`);
	root.must('dpkg', '-i', '--force-confdef', '--force-confold', '/tmp/conf.deb');
	await start();
	assert.equal(hubs('device', 'list', '-o', 'name').trim(), 'thermostat-1');
	await stop();
});

for (const [format, name] of FORMATS.flatMap((n) => [[n, 'stopped'], [n, 'killed']]))
	test(`O-105 an upgrade over the data of a former release, of format ${format}, that was ${name}: identities and twins are there`, options, async () => {
		root.must('dpkg', '-P', 'twinhub');
		root.must('dpkg', '-i', '/tmp/now.deb');
		const from = tempDir('former');
		execFileSync('tar', ['-C', from, '-xf', path.join(REPOSITORY, `tests/crash/former/format${format}.tar.xz`)]);
		const { shown } = JSON.parse(fs.readFileSync(path.join(from, `${name}.json`), 'utf8'));
		fs.rmSync(root.at(DATA), { recursive: true });
		fs.cpSync(path.join(from, name), root.at(DATA), { recursive: true });
		root.must('chown', '-R', 'twinhub:twinhub', DATA);
		root.must('chmod', '700', DATA);
		root.must('dpkg', '-i', '/tmp/later.deb');
		await start();
		const ids = hubs('device', 'list', '-o', 'name').trim().split('\n').sort();
		assert.deepEqual(ids, Object.keys(shown.identities).sort());
		const twin = JSON.parse(hubs('twin', 'show', 'plain', '-o', 'json'));
		const was = shown.twins.plain, withoutJobs = ({ job, ...tags }) => tags; // one that was to run later has run by now
		assert.deepEqual([withoutJobs(twin.tags), twin.properties.reported], [withoutJobs(was.tags), was.properties.reported]);
		await stop();
		root.must('twinhub', 'check', '--data', DATA);
	});

test('O-105 remove keeps data and settings, purge takes both, but no backup', options, () => {
	fs.writeFileSync(root.at('var/lib/twinhub-backup/kept'), 'a backup');
	root.must('dpkg', '-r', 'twinhub');
	assert.ok(fs.existsSync(root.at(DATA, 'hub.json')) && fs.existsSync(root.at(CONF)));
	root.must('dpkg', '-P', 'twinhub');
	assert.ok(!fs.existsSync(root.at(DATA)) && !fs.existsSync(root.at('etc/twinhub')));
	assert.ok(fs.existsSync(root.at('var/lib/twinhub-backup/kept')));
	assert.equal(run('grep', ['-c', '^twinhub:', root.at('etc/passwd')]).text.trim(), '1', 'the user stays');
	assert.equal(root.must('dpkg', '--audit'), '');
});

test('O-105 it is installed again after purge; purge leaves data that a link leads to, and says where, and empties what is mounted', options, () => {
	fs.rmSync(root.at('var/lib/twinhub-backup/kept'));
	root.must('dpkg', '-i', '/tmp/now.deb');
	assert.equal(installed(), `${version} installed`);
	assert.equal(root.must('stat', '-c', '%U %G %a', DATA).trim(), 'twinhub twinhub 700');
	root.must('mv', DATA, '/srv/hub');
	root.must('ln', '-s', '/srv/hub', DATA);
	fs.writeFileSync(root.at('srv/hub/hub.json'), '{}');
	assert.match(root.must('dpkg', '-P', 'twinhub'), /the data stays in \/srv\/hub, where \/var\/lib\/twinhub has led to/);
	assert.deepEqual([fs.existsSync(root.at('srv/hub/hub.json')), fs.existsSync(root.at(DATA))], [true, false]);
	assert.ok(!fs.existsSync(root.at('var/lib/twinhub-backup')), 'a place for backups without any goes');
	root.must('dpkg', '-i', '/tmp/now.deb');
	must('mount', ['-t', 'tmpfs', 'tmpfs', root.at(DATA)]);
	try {
		fs.mkdirSync(root.at(DATA, 'store'));
		fs.writeFileSync(root.at(DATA, 'hub.json'), '{}');
		root.must('dpkg', '-P', 'twinhub');
		assert.deepEqual(fs.readdirSync(root.at(DATA)), []);
	} finally {
		must('umount', [root.at(DATA)]);
	}
	assert.equal(root.must('dpkg', '--audit'), '');
});
