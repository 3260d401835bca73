// The image of scripts/image, unpacked, and its hub in namespaces of its own (user, mount, network, processes): as the image's user, without any
// capability, on a root that is read-only, its data on a volume. A device and a back end use it there, and its health is asked as docker asks it.
import { after, afterEach, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { REPOSITORY, tempDir, until } from '../lib/hub.mjs';
import { ARCH, NEEDS_ROOT, built, must, run } from './lib.mjs';

const options = { skip: NEEDS_ROOT };
const work = tempDir('image'), image = path.join(work, 'image'), root = path.join(work, 'root');
const blob = (digest) => path.join(image, 'blobs', digest.replace(':', '/'));
const json = (file) => JSON.parse(fs.readFileSync(file, 'utf8'));
const sha256 = (file) => createHash('sha256').update(fs.readFileSync(file)).digest('hex');
let manifest, config, container;

before(() => {
	if (NEEDS_ROOT) return;
	for (const dir of [image, root]) fs.mkdirSync(dir);
	must('tar', ['-C', image, '-xf', built(/^twinhub-.*-oci\.tar$/)]);
	manifest = json(blob(json(path.join(image, 'index.json')).manifests[0].digest));
	config = json(blob(manifest.config.digest));
	for (const layer of manifest.layers) must('tar', ['-C', root, '--numeric-owner', '-xpf', blob(layer.digest)]);
});
afterEach(() => container?.end());
after(() => fs.rmSync(work, { recursive: true, force: true }));

test('O-106 digests are true, the user is a number that is not root, and no file gives more rights than who runs it has', options, () => {
	for (const name of fs.readdirSync(path.join(image, 'blobs/sha256'))) assert.equal(sha256(path.join(image, 'blobs/sha256', name)), name);
	for (const part of [manifest.config, ...manifest.layers]) assert.equal(fs.statSync(blob(part.digest)).size, part.size);
	assert.equal(config.architecture, ARCH);
	// Docker's own form names the same blobs, and both the same tags.
	const index = json(path.join(image, 'index.json')), [docker] = json(path.join(image, 'manifest.json')), version = config.config.Labels['org.opencontainers.image.version'];
	assert.deepEqual(new Set(index.manifests.map((m) => m.digest)).size, 1);
	const names = index.manifests.map((m) => m.annotations['io.containerd.image.name']);
	assert.deepEqual(names, [`docker.io/library/twinhub:${version}`, 'docker.io/library/twinhub:latest']);
	assert.deepEqual(docker.RepoTags.map((tag) => `docker.io/library/${tag}`), names);
	assert.deepEqual([docker.Config, ...docker.Layers].map((name) => name.replace('blobs/sha256/', 'sha256:')), [manifest.config.digest, ...manifest.layers.map((l) => l.digest)]);
	const id = /runAsUser: (\d+)/.exec(fs.readFileSync(path.join(REPOSITORY, 'deploy/kubernetes.yaml'), 'utf8'))[1];
	assert.equal(config.config.User, `${id}:${id}`);
	assert.match(fs.readFileSync(path.join(root, 'etc/passwd'), 'utf8'), new RegExp(`^twinhub:x:${id}:${id}:`, 'm'));
	assert.match(fs.readFileSync(path.join(root, 'etc/apt/sources.list'), 'utf8'), /bookworm-security/);
	for (const name of ['twinhub', 'libssl3']) assert.ok(fs.statSync(path.join(root, 'usr/share/doc', name, 'copyright')).size > 0);
	assert.deepEqual([config.config.Entrypoint, config.config.Cmd], [['twinhub'], ['serve']]);
	assert.deepEqual(Object.keys(config.config.ExposedPorts), ['443/tcp', '8883/tcp']);
	assert.deepEqual(Object.keys(config.config.Volumes), ['/data']);
	assert.equal(must('find', [root, '-xdev', '-type', 'f', '-perm', '/6000']), '');
	assert.equal(must('getcap', ['-r', root]), '');
});

test('O-106 nothing of the machine that made it is in it', options, () => {
	for (const name of ['etc/resolv.conf', 'etc/hostname', 'etc/machine-id']) assert.equal(fs.existsSync(path.join(root, name)) ? fs.readFileSync(path.join(root, name), 'utf8') : '', '', name);
	for (const dir of ['tmp', 'var/log', 'var/lib/apt/lists', 'var/cache']) assert.deepEqual(fs.readdirSync(path.join(root, dir)), [], dir);
});

// In the namespaces, as root of them: mounts, network; then as the user, with nothing.
const OUTSIDE = `
set -eu
mount --make-rprivate /
mount --rbind "$ROOT" "$ROOT"
mount --bind "$VOLUME" "$ROOT/data"
mount -t proc proc "$ROOT/proc"
mount --rbind /dev "$ROOT/dev"
mount -t tmpfs tmpfs "$ROOT/tmp"
mount -o remount,ro,bind "$ROOT"
ip link set lo up
echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start
exec chroot "$ROOT" setpriv --reuid "$ID" --regid "$GROUP" --clear-groups --bounding-set -all --inh-caps -all --no-new-privs env -i $ENVIRONMENT /bin/sh -c "$INSIDE"
`;
// The process that the image names, and beside it what is asked of it from the outside by a file on the volume.
const INSIDE = `
grep -q '^CapEff:.0000000000000000$' /proc/self/status || { echo "there are capabilities"; exit 1; }
grep -q '^CapBnd:.0000000000000000$' /proc/self/status || { echo "capabilities may be had"; exit 1; }
! touch /etc/anything 2>/dev/null || { echo "the root can be written"; exit 1; }
"$@" & hub=$!
trap 'kill $hub' TERM
until [ -e /data/asked ]; do kill -0 $hub 2>/dev/null || exit 1; sleep 0.1; done
sh /data/asked >/data/answer 2>&1; echo $? >>/data/answer; mv /data/answer /data/answered
until [ -e /data/over ]; do sleep 0.1; done
kill $hub; wait $hub; echo "hub ended with $?"
`;

// The ids of the namespace are written from outside of it: all that the layer may have.
class Container {
	said = '';

	constructor({ user, environment }) {
		const [id, group] = user.split(':'), quoted = (word) => `'${word}'`;
		this.volume = path.join(tempDir('volume'), 'data');
		fs.mkdirSync(this.volume, { mode: 0o700 });
		fs.chownSync(this.volume, Number(id), Number(group));
		const words = [...config.config.Entrypoint, ...config.config.Cmd].map(quoted).join(' ');
		const env = { ...process.env, ROOT: root, VOLUME: this.volume, ID: id, GROUP: group, ENVIRONMENT: environment.join(' '), INSIDE: `set -- ${words}\n${INSIDE}`,
			OUTSIDE };
		this.child = spawn('unshare', ['--user', 'sh', '-c', 'read -r go; exec unshare --mount --net --pid --fork --kill-child sh -c "$OUTSIDE"'], { env, stdio: ['pipe', 'pipe', 'pipe'] });
		for (const stream of [this.child.stdout, this.child.stderr]) stream.on('data', (text) => { this.said += text; });
		this.ended = new Promise((resolve) => { this.child.once('exit', resolve); });
	}

	async start() {
		const own = fs.readlinkSync('/proc/self/ns/user');
		await until(() => fs.readlinkSync(`/proc/${this.child.pid}/ns/user`) !== own, 'there is a namespace');
		for (const map of ['uid_map', 'gid_map']) fs.writeFileSync(`/proc/${this.child.pid}/${map}`, '0 0 65536');
		this.child.stdin.write('go\n');
		await until(() => /^twinhub ready/m.test(this.said) || this.child.exitCode !== null, 'the hub serves or has ended');
		assert.equal(this.child.exitCode, null, this.said);
	}

	// Whose network it is: of the process below that unshare has made.
	get pid() { return Number(must('pgrep', ['-P', String(this.child.pid)]).trim().split('\n')[0]); }

	// What a shell in it says of these lines, and its exit code.
	async ask(lines) {
		const to = path.join(this.volume, 'asked');
		fs.writeFileSync(`${to}.part`, lines);
		fs.chmodSync(`${to}.part`, 0o644);
		fs.renameSync(`${to}.part`, to);
		await until(() => fs.existsSync(path.join(this.volume, 'answered')), 'it has answered');
		return fs.readFileSync(path.join(this.volume, 'answered'), 'utf8');
	}

	async stop() {
		fs.writeFileSync(path.join(this.volume, 'over'), '');
		return this.ended;
	}

	end() { this.child.kill('SIGKILL'); }
}

const words = (list) => list.map((word) => `'${word}'`).join(' ');

test('O-106 a device and a back end use a hub of the image: no capability, a read-only root, ports 443 and 8883, and docker would call it healthy', options, async () => {
	container = new Container({ user: config.config.User, environment: config.config.Env });
	await container.start();
	const [how, ...health] = config.config.Healthcheck.Test;
	assert.equal(how, 'CMD');
	// Its words are those of the container; TWINHUB_DATA is the image's own.
	const answer = await container.ask(`${words(health)} && twinhub connection-string --hostname localhost`);
	const connectionString = /HostName=localhost;\S+/.exec(answer)?.[0];
	assert.ok(connectionString && /\n0\n$/.test(answer), answer);
	const used = run('nsenter', ['--net', '-t', String(container.pid), process.execPath, path.join(REPOSITORY, 'tests/package/clients.mjs'), connectionString, 'thermostat-1'],
		{ env: { ...process.env, NODE_EXTRA_CA_CERTS: path.join(container.volume, 'ca.pem') }, timeout: 120_000 });
	assert.deepEqual([used.status, used.text], [0, 'used\n'], container.said);
	assert.equal(await container.stop(), 0, container.said);
	assert.match(container.said, /hub ended with 0/);
});

test('O-106 O-110 it runs as any other user, too, with its data below the volume, as in Kubernetes', options, async () => {
	container = new Container({ user: '20002:20002', environment: [config.config.Env[0], 'TWINHUB_DATA=/data/hub', 'TWINHUB_METRICS_BIND=off'] });
	await container.start();
	const answer = await container.ask('twinhub device create pump-7 >/dev/null && twinhub device list -o name');
	assert.equal(answer, 'pump-7\n0\n');
	assert.equal(await container.stop(), 0, container.said);
});
