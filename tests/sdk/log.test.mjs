// Lines of the log: what has one, in both forms, and what is in none (docs/spec/operate.md 5).
import { after, test } from 'node:test';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import assert from 'node:assert/strict';
import { BINARY, Hub, REPOSITORY, freeAddress, tempDir, keepSecret, mqttDevice, mqttUsername, RawMqtt, sasToken, startHub, stopAll, until } from '../lib/hub.mjs';
import { secretIn } from '../lib/secrets.mjs';

const hubs = [];
after(() => stopAll(...hubs));

async function start(args = []) {
	const hub = await startHub({ args });
	hubs.push(hub);
	return hub;
}

async function refused(hub, id) {
	const c = await RawMqtt.open(hub);
	const password = sasToken({ resource: `${hub.addr}/devices/${id}`, key: Buffer.alloc(32, 3).toString('base64') });
	assert.equal((await c.connect({ clientId: id, username: mqttUsername(hub.addr, id), password })).code, 5);
}

const lines = (hub) => hub.logs.split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));

test('O-17 --log-format json: an object a line, with the keys of logfmt', async () => {
	const hub = await start(['--log-format', 'json', '--log-level', 'debug']);
	await hub.createDevice('d"1'.replace('"', '!'));
	await refused(hub, 'nobody');
	await until(() => lines(hub).some((l) => l.reason === 'identity-unknown'), 'the refusal');
	const l = lines(hub).find((line) => line.reason === 'identity-unknown');
	assert.equal(l.level, 'info');
	assert.equal(l.msg, 'CONNECT refused');
	assert.equal(l.device, 'nobody');
	assert.equal(l.by, 'peer');
	assert.match(l.address, /^127\..*:\d+$/);
	assert.match(l.ts, /^\d{4}-\d\d-\d\dT/);
	assert.equal(hub.logs.split('\n').filter((line) => line !== '' && !line.startsWith('{') && !line.startsWith('twinhub ready')).length, 0);
});

test('O-20 debug shows each session and request, and info does not', async () => {
	const hub = await start(['--log-level', 'debug']);
	await mqttDevice(hub, 'seen');
	await hub.rest('GET', '/devices/seen?x=secret-of-a-query');
	await until(() => /msg="connection accepted" device=seen address=127\.\S+ protocol=mqtt tls=TLSv1\.\d/.test(hub.logs), 'the session');
	await until(() => /level=debug msg=request method=GET path=\/devices\/seen route="devices\/\{device\}" policy=iothubowner address=127\.\S+ status=200 ms=\d+/.test(hub.logs), 'the request');
	assert.doesNotMatch(hub.logs, /secret-of-a-query/);
	const quiet = await start();
	await mqttDevice(quiet, 'unseen');
	assert.doesNotMatch(quiet.logs, /device=unseen|msg=request/);
});

test('O-19 an administrative act has a line: who, what, from where', async () => {
	const hub = await start();
	const act = async (method, path, body) => {
		const r = await hub.rest(method, path, body === undefined ? {} : { body });
		assert.ok(r.status < 300, `${method} ${path}: ${r.status} ${r.text}`);
		const route = `level=info msg="administrative act" method=${method} path=${path.split('?')[0]} `;
		await until(() => hub.logs.includes(route), route);
		const line = hub.logs.split('\n').find((l) => l.includes(route));
		assert.match(line, /policy=iothubowner address=127\.\S+:\d+ status=20\d/);
		return line;
	};
	await hub.createDevice('gone');
	assert.match(await act('POST', '/admin/policies/service/rotate?key=secondary'), /query="key=secondary&api-version=/);
	await act('PUT', '/admin/policies/p1?rights=RegistryRead');
	await act('DELETE', '/admin/policies/p1');
	await act('PATCH', '/settings', { log: { methods: true } });
	await act('PUT', '/routes/r1', { source: 'DeviceMessages', endpointNames: ['events'] });
	await act('DELETE', '/routes/r1');
	await act('POST', '/admin/import', '{"id":"new"}\n');
	await act('POST', '/devices/keys/regenerate', { policyKey: 'primaryKey', devices: [{ id: 'gone' }] });
	await act('PUT', '/configurations/c1', { id: 'c1', priority: 1, targetCondition: '*', content: { deviceContent: { 'properties.desired.a': 1 } } });
	await act('PUT', '/jobs/v2/j1', { jobId: 'j1', type: 'scheduleUpdateTwin', queryCondition: '*', updateTwin: { etag: '*', tags: { a: 1 } }, startTime: new Date().toISOString(), maxExecutionTimeInSeconds: 60 });
	const d = await mqttDevice(hub, 'gone');
	await act('DELETE', '/devices/gone/connection');
	await d.closed('the link');
	await act('DELETE', '/devices/gone');
	const before = hub.logs.split('administrative act').length;
	await hub.rest('GET', '/admin/policies');
	await hub.rest('PATCH', '/twins/new', { body: { tags: { a: 1 } } });
	await hub.rest('POST', '/devices/query', { body: { query: 'SELECT * FROM devices' } });
	await hub.rest('DELETE', '/admin/policies/none');
	await hub.rest('POST', '/routes/$fallback/test', { body: {} });
	assert.equal(hub.logs.split('administrative act').length, before, 'no act: reading, twins, what was refused');
});

test('O-18 a key or token in a log is found', () => {
	const key = Buffer.alloc(32, 200).toString('base64');
	keepSecret('a secret of a test 1');
	assert.equal(secretIn('a\nb x=a secret of a test 1 y\nc', '/nowhere'), 'b x=a secret of a test 1 y');
	assert.equal(secretIn(`x key=${key}`, '/nowhere'), `x key=${key}`);
	assert.equal(secretIn('x sig=abcdefghij&se=1', '/nowhere'), 'x sig=abcdefghij&se=1');
	assert.equal(secretIn('ts=1 msg="connection closed" reason=left device=d1', '/nowhere'), null);
	assert.ok(Hub.prototype.stop.toString().includes('secretIn'));
});

test('O-18 a secret where none belongs: a connection string as client id, tokens in topics, paths and queries', async () => {
	const hub = await start(['--log-level', 'debug']);
	const key = Buffer.alloc(32, 77).toString('base64'), secret = 'sekret0123456789';
	const string = `HostName=${hub.addr};DeviceId=d1;SharedAccessKey=${key}`, token = `SharedAccessSignature sr=${hub.addr}&sig=${secret}&se=9999999999`;
	for (const text of [string, token])
		for (const login of [{ clientId: text, username: text, password: text }, { clientId: text, username: `${hub.addr}/${text}/?api-version=2021-04-12`, password: 'x' }, { clientId: 'd1', username: `${hub.addr}/d1/?api-version=2021-04-12&${text}`, password: text }]) {
			const c = await RawMqtt.open(hub);
			assert.equal((await c.connect(login)).code, 5);
		}
	const d = await mqttDevice(hub, 'd1', { filters: [] });
	await d.subscribe(`devices/d1/${token}`).catch(() => {});
	await d.publish(`devices/other/messages/${token}`, 'x');
	await d.closed('the link with another one\'s topic');
	assert.equal((await hub.rest('POST', `/admin/policies/service/rotate?key=secondary&sig=${secret}`)).status, 200);
	await hub.rest('GET', `/devices/${encodeURIComponent(token)}`);
	await hub.rest('GET', `/other/${string}`);
	await until(() => /path="\/other\/HostName=\S+;SharedAccessKey=\*\*\*"/.test(hub.logs), 'the last line');
	assert.match(hub.logs, /msg="CONNECT refused" .*device="HostName=\S+;DeviceId=d1;SharedAccessKey=\*\*\*"/);
	assert.match(hub.logs, /msg="administrative act" .*query="key=secondary&sig=\*\*\*&api-version=/);
	assert.match(hub.logs, /reason=topic .*detail="devices\/other\/messages\/SharedAccessSignature sr=\S+&sig=\*\*\*&se=9999999999"/);
	assert.match(hub.logs, /reason=filter .*detail="devices\/d1\/SharedAccessSignature sr=\S+&sig=\*\*\*&se=9999999999"/);
	assert.ok(!hub.logs.includes(secret) && !hub.logs.includes(key));
});

test('O-18 what is wrong with --cluster is told without its password, by a start and by --check', async () => {
	for (const url of ['postgresql://u:sekret-of-a-server@[::1/db', 'postgresql://u:sekret%of-a-server@127.0.0.1:1/db', 'host=127.0.0.1 password=sekret-of-a-server port', 'postgresql://u:sekret-of-a-server@127.0.0.1:1/db?sekret-of=a',
		'postgresql://u:sekret-of-a-server@127.0.0.1:1/db']) {
		const dir = path.join(tempDir('cluster'), 'data');
		const args = ['--data', dir, '--bind', await freeAddress(), '--cluster', url];
		const start = spawnSync(BINARY, ['serve', ...args], { encoding: 'utf8', timeout: 60_000 }), check = spawnSync(BINARY, ['serve', '--check', ...args], { encoding: 'utf8', timeout: 60_000 });
		assert.equal(start.status, 1, start.stderr);
		assert.match(start.stderr, url.endsWith('@127.0.0.1:1/db') && !url.includes('%') ? /PostgreSQL: .*Connection refused/ : /--cluster is not of the form postgresql:/);
		if (!start.stderr.includes('Connection refused')) assert.match(check.stderr, /--cluster is not of the form postgresql:/);
		for (const text of [start.stdout, start.stderr, check.stdout, check.stderr]) assert.doesNotMatch(text, /sekret/);
	}
});

test('O-36 each line that the code can log has its entry in docs/troubleshooting.md, and no other', () => {
	const check = (root) => spawnSync('node', [path.join(root, 'scripts/log-lines'), '--check'], { encoding: 'utf8' });
	const { status, stderr } = check(REPOSITORY);
	assert.equal(status, 0, stderr);
	// a line more in the code, an entry more on the page
	const root = tempDir('lines');
	for (const part of ['src', 'docs', 'scripts']) fs.cpSync(path.join(REPOSITORY, part), path.join(root, part), { recursive: true });
	fs.appendFileSync(path.join(root, 'src/server/pulse.c'), '\nvoid x(void) { log_text(LOG_WARN, "a line that nobody explains: %s", "x"); }\n');
	const page = path.join(root, 'docs/troubleshooting.md');
	fs.writeFileSync(page, fs.readFileSync(page, 'utf8').replace('| `slow query` |', '| `slow query`, `a line that nothing logs` |'));
	const bad = check(root);
	assert.equal(bad.status, 1);
	assert.match(bad.stderr, /no entry for "a line that nobody explains: \.\.\." \(src\/server\/pulse\.c\)/);
	assert.match(bad.stderr, /an entry for "a line that nothing logs", which nothing logs/);
});

test('O-31 no line is lost when the log file is moved under load and SIGUSR1 is sent', async () => {
	const dir = tempDir('moved'), file = path.join(dir, 'log');
	const hub = await start(['--log-file', file, '--log-level', 'debug']);
	await hub.createDevice('d1');
	const asked = 400, moves = 4;
	for (let i = 0; i < asked; i += 20) {
		await Promise.all(Array.from({ length: 20 }, (_, k) => hub.rest('GET', `/devices/d1?n=${i + k}`)));
		if ((i / 20) % 5 === 4) {
			const to = `${file}.${Math.floor(i / 100)}`;
			const under = hub.rest('GET', '/devices/d1');
			fs.renameSync(file, to);
			hub.signal('SIGUSR1');
			await under;
			await until(() => fs.existsSync(file), 'a new file');
		}
	}
	await hub.rest('GET', '/devices/last');
	const all = () => fs.readdirSync(dir).filter((name) => name.startsWith('log')).map((name) => fs.readFileSync(path.join(dir, name), 'utf8')).join('');
	await until(() => all().includes('path=/devices/last '), 'the last line');
	assert.equal(fs.readdirSync(dir).filter((name) => name.startsWith('log')).length, moves + 1);
	assert.equal(all().split('msg=request method=GET path=/devices/d1 ').length - 1, asked + moves, 'each has its line');
	for (const l of all().split('\n')) assert.match(l, /^(ts=.*|)$/, 'no line is torn');
});
