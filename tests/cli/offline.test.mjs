// of the store alone
// The commands that work on a data directory, and the help.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { execFile } from 'node:child_process';
import { BINARY, startHub, stopAll, tempDir } from '../lib/hub.mjs';

let hub, twins;
const scratch = tempDir('cli');

// Runs the program: {code, stdout, stderr}.
const run = (...args) => new Promise((resolve) => execFile(BINARY, args, (error, stdout, stderr) =>
	resolve({ code: error ? error.code : 0, stdout, stderr })));

async function expect(code, ...args) {
	const r = await run(...args);
	assert.equal(r.code, code, `${args.join(' ')}: ${r.stdout}${r.stderr}`);
	return code === 0 ? r.stdout : r.stderr;
}

before(async () => {
	hub = await startHub();
	for (let i = 0; i < 20; i++) {
		await hub.createDevice(`d${i}`);
		await hub.rest('PATCH', `/twins/d${i}`, { body: { tags: { i }, properties: { desired: { text: 'x'.repeat(i) } } } });
	}
	twins = JSON.parse(await expect(0, 'query', 'SELECT * FROM devices', '--data', hub.dir));
});
after(() => stopAll(hub));

test('--help of every command has its options and an example; families and exit codes are listed', async () => {
	const help = await expect(0, '--help');
	const commands = [...help.matchAll(/^ {2}([a-z][a-z-]*(?: [a-z][a-z-]*)?)(?= )/gm)].map((m) => m[1].trim()).filter((name) => !['help', 'completion', 'version'].includes(name));
	assert.ok(commands.length >= 24, commands.join());
	for (const name of commands) {
		const text = await expect(0, ...name.split(' '), '--help');
		assert.ok(text.startsWith(`usage: twinhub ${name}`), text);
		assert.match(text, name === 'migrate' ? /--from TEXT/ : name.startsWith('cluster ') ? /--db URL/ : /--data DIR/);
		assert.match(text, new RegExp(`\\nexample:\\n {2}twinhub ${name} `));
		assert.equal(await expect(0, 'help', ...name.split(' ')), text);
	}
	for (let code = 0; code <= 9; code++) assert.match(help, new RegExp(`^ {2}${code} {2}\\w`, 'm'));
	assert.match(await expect(0, '--version'), /^twinhub \d+\.\d+\.\d+\n$/);
	assert.match(await expect(0, 'device', '--help'), /device create/);
	for (const wrong of [[], ['nothing'], ['device'], ['device', 'nothing'], ['check', '--nothing'], ['check'], ['restore', 'x'], ['serve', 'x'], ['query']]) await expect(2, ...wrong);
});

test('a running hub has its directory for itself', async () => {
	assert.match(await expect(6, 'check', '--data', hub.dir), /in use/);
});

test('backup and restore: the same hub, keys, certificates and twins', async () => {
	const backup = path.join(scratch, 'backup'), data = path.join(scratch, 'restored');
	assert.equal(JSON.parse(await expect(0, 'backup', backup, '--data', hub.dir)).backup, backup);
	await expect(1, 'backup', backup, '--data', hub.dir); // it is there already
	await hub.rest('DELETE', '/devices/d3', { headers: { 'If-Match': '*' } }); // after the backup
	await hub.stop();
	await expect(0, 'restore', backup, '--data', data);
	for (const secret of ['policies.json', 'ca.key', 'server-ecdsa.key', 'server-rsa.key']) {
		assert.equal(fs.statSync(path.join(data, secret)).mode & 0o777, 0o600, secret);
		assert.deepEqual(fs.readFileSync(path.join(data, secret)), fs.readFileSync(path.join(hub.dir, secret)), secret);
	}
	assert.equal(JSON.parse(await expect(0, 'check', '--data', data)).damaged, 0);
	try {
		await sameFleet(data, twins, hub.addr);
	} finally {
		await hub.start();
	}
});

const fleetOf = async (data) => new Map(JSON.parse(await expect(0, 'query', 'SELECT * FROM devices', '--data', data)).map((t) => [t.deviceId, t]));

// A backup is good when a hub has started on it, and shows what it is of.
async function sameFleet(data, expected, addr) {
	const restored = await startHub({ addr, dir: data });
	try {
		assert.deepEqual(await fleetOf(data), new Map(expected.map((t) => [t.deviceId, t])));
		assert.equal((await restored.connectionString()).replace(/HostName=[^;]*/, ''), (await hub.connectionString()).replace(/HostName=[^;]*/, ''));
	} finally {
		await restored.stop();
	}
}

test('restore takes nothing but a good backup, and fills nothing but an empty directory', async () => {
	const backup = path.join(scratch, 'bad'), data = path.join(scratch, 'target');
	await expect(0, 'backup', `${backup}-links`, '--data', hub.dir);
	fs.cpSync(`${backup}-links`, backup, { recursive: true }); // its files are the hub's own, by hard links
	assert.match(await expect(7, 'restore', backup, '--data', hub.dir), /not empty/);
	await expect(4, 'restore', path.join(scratch, 'nowhere'), '--data', data);
	const table = fs.readdirSync(path.join(backup, 'store')).find((name) => name.endsWith('.sst'));
	flip(path.join(backup, 'store', table));
	assert.match(await expect(5, 'restore', backup, '--data', data), new RegExp(table));
	assert.ok(!fs.existsSync(data), 'nothing is left of it');
	await expect(0, 'restore', `${backup}-links`, '--data', data);
	await sameFleet(data, [...(await fleetOf(hub.dir)).values()]);
});

test('an empty directory, perhaps a mount point, is filled', async () => {
	const backup = path.join(scratch, 'again'), data = path.join(scratch, 'empty');
	await expect(0, 'backup', backup, '--data', hub.dir);
	fs.mkdirSync(data);
	const inode = fs.statSync(data).ino;
	await expect(0, 'restore', backup, '--data', data);
	assert.equal(fs.statSync(data).ino, inode);
	assert.ok(!fs.existsSync(path.join(data, '.restore')));
	assert.ok(fs.existsSync(path.join(data, 'hub.json')));
	await sameFleet(data, [...(await fleetOf(hub.dir)).values()]);
});

function flip(file) {
	const fd = fs.openSync(file, 'r+'), byte = Buffer.alloc(1), at = Math.floor(fs.fstatSync(fd).size / 2);
	fs.readSync(fd, byte, 0, 1, at);
	byte[0] ^= 0x10;
	fs.writeSync(fd, byte, 0, 1, at);
	fs.closeSync(fd);
}

test('check: all good, or each bad file by its name', async () => {
	await hub.stop();
	const good = JSON.parse(await expect(0, 'check', '--data', hub.dir));
	assert.equal(good.data, hub.dir);
	assert.equal(good.damaged, 0);
	assert.ok(good.records >= 3 * 19 && good.files > 9, JSON.stringify(good));
	assert.match(await expect(0, 'check', '--data', hub.dir, '--table'), /all good/);
	const table = fs.readdirSync(path.join(hub.dir, 'store')).find((name) => name.endsWith('.sst'));
	const damages = [
		['hub.json', (f) => fs.writeFileSync(f, '{}')],
		['policies.json', (f) => fs.truncateSync(f, 50)],
		['policies.json', (f) => fs.rmSync(f)],
		['twinhub.conf', (f) => fs.appendFileSync(f, 'workers many\n')],
		['ca.pem', (f) => fs.truncateSync(f, 100)],
		['ca.key', (f) => fs.rmSync(f)],
		[`store/${table}`, flip],
		[`store/${table}`, (f) => fs.rmSync(f)],
		['store', (f) => fs.rmSync(f, { recursive: true })],
	];
	for (const [name, damage] of damages) {
		const copy = path.join(scratch, 'damaged');
		fs.cpSync(hub.dir, copy, { recursive: true });
		damage(path.join(copy, name));
		const r = await run('check', '--data', copy);
		assert.equal(r.code, 5, `${name}: ${r.stdout}${r.stderr}`);
		assert.ok(JSON.parse(r.stdout).bad.some((b) => b.file === name), r.stdout);
		assert.ok(r.stderr.includes(path.join(copy, name)), r.stderr);
		fs.rmSync(copy, { recursive: true });
	}
	const copy = path.join(scratch, 'to-be-mended');
	fs.cpSync(hub.dir, copy, { recursive: true });
	fs.copyFileSync(path.join(hub.dir, 'ca.key'), path.join(copy, 'server-rsa.key'));
	assert.deepEqual(JSON.parse(await expect(0, 'check', '--data', copy)).notes.map((n) => n.file), ['server-rsa.key']);
	await expect(4, 'check', '--data', path.join(scratch, 'nowhere'));
	await hub.start();
});

test('a directory of a newer format is left alone', async () => {
	const dir = path.join(scratch, 'newer');
	fs.mkdirSync(dir);
	fs.writeFileSync(path.join(dir, 'hub.json'), '{"format":99,"shards":64,"hash":"xxh3-64"}');
	assert.match(await expect(5, 'check', '--data', dir), /format 99 is newer/);
	assert.deepEqual(fs.readdirSync(dir), ['hub.json']);
});

test('connection-string --device without a running hub reads the store', async () => {
	const running = await expect(0, 'connection-string', '--device', 'd1', '--data', hub.dir);
	await hub.stop();
	assert.equal(await expect(0, 'connection-string', '--device', 'd1', '--data', hub.dir), running);
	assert.match(await expect(4, 'connection-string', '--device', 'nobody', '--data', hub.dir), /nobody/);
	assert.match(await expect(3, 'device', 'show', 'd1', '--data', hub.dir), /refused/);
	await hub.start();
});
