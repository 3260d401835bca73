// The commands that speak to a running hub.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { execFileSync, spawnSync } from 'node:child_process';
import { BINARY, startHub, stopAll, tempDir, freeAddress, parseConnectionString } from '../lib/hub.mjs';
import { commands } from './lib.mjs';

let hub, cli;
before(async () => {
	hub = await startHub();
	cli = commands(hub);
});
after(() => stopAll(hub));

const KEY = 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA';
const PRINT = '0123456789abcdef0123456789ABCDEF01234567';

test('device create: keys, thumbprints, CA, edge, status; keys are not shown', async () => {
	const made = await cli(['device', 'create', 'plain']);
	assert.equal(made.deviceId, 'plain');
	assert.equal(made.status, 'enabled');
	assert.equal(made.authentication.type, 'sas');
	assert.ok(!('symmetricKey' in made.authentication));
	await cli(['device', 'create', 'keys', '--primary-key', KEY, '--secondary-key', `B${KEY.slice(1)}`]);
	assert.deepEqual((await cli(['device', 'show', 'keys'])).authentication.symmetricKey, { primaryKey: KEY, secondaryKey: `B${KEY.slice(1)}` });
	const x509 = await cli(['device', 'create', 'x509', '--thumbprint', PRINT, '--secondary-thumbprint', PRINT, '--disabled', '--status-reason', 'not yet']);
	assert.deepEqual(x509.authentication, { x509Thumbprint: { primaryThumbprint: PRINT, secondaryThumbprint: PRINT }, type: 'selfSigned' });
	assert.deepEqual([x509.status, x509.statusReason], ['disabled', 'not yet']);
	assert.equal((await cli(['device', 'create', 'ca', '--x509-ca'])).authentication.type, 'certificateAuthority');
	assert.equal((await cli(['device', 'create', 'edge', '--edge'])).capabilities.iotEdge, true);
	assert.equal((await cli(['device', 'create', 'odd%2F#?:@'])).deviceId, 'odd%2F#?:@');
	assert.match(await cli(['device', 'create', 'plain'], { code: 7 }), /DeviceAlreadyExists/);
	for (const wrong of [['a/b'], ['a', '--primary-key', KEY], ['a', '--thumbprint', PRINT, '--x509-ca'], ['a', '--secondary-thumbprint', PRINT], []])
		await cli(['device', 'create', ...wrong], { code: 2 });
	assert.match(await cli(['device', 'create', 'a', '--thumbprint', 'zz'], { code: 1 }), /ArgumentInvalid/);
});

test('device update changes what is named and nothing else', async () => {
	await cli(['device', 'create', 'upd', '--edge', '--status-reason', 'fresh']);
	const before = (await hub.rest('GET', '/devices/upd')).body;
	await cli(['device', 'update', 'upd', '--status', 'disabled']);
	const after = (await hub.rest('GET', '/devices/upd')).body;
	assert.equal(after.status, 'disabled');
	for (const same of ['statusReason', 'authentication', 'capabilities', 'deviceScope', 'generationId']) assert.deepEqual(after[same], before[same], same);
	await cli(['device', 'update', 'upd', '--primary-key', KEY, '--etag', after.etag]);
	const keyed = (await hub.rest('GET', '/devices/upd')).body.authentication.symmetricKey;
	assert.deepEqual(keyed, { primaryKey: KEY, secondaryKey: before.authentication.symmetricKey.secondaryKey });
	assert.match(await cli(['device', 'update', 'upd', '--status', 'enabled', '--etag', after.etag], { code: 7 }), /etag/);
	assert.equal((await cli(['device', 'update', 'upd', '--thumbprint', PRINT])).authentication.type, 'selfSigned');
	await cli(['device', 'update', 'upd', '--status', 'perhaps'], { code: 2 });
	assert.match(await cli(['device', 'update', 'nobody', '--status', 'enabled'], { code: 4 }), /nobody/);
});

test('device list and delete', async () => {
	const list = await cli(['device', 'list', '--page-size', '2']);
	const one = list.find((d) => d.deviceId === 'x509');
	assert.deepEqual([one.status, one.authenticationType], ['disabled', 'selfSigned']);
	assert.ok(!JSON.stringify(list).includes(KEY), 'no secrets');
	await cli(['device', 'create', 'gone']);
	assert.match(await cli(['device', 'delete', 'gone', '--etag', 'b3RoZXI='], { code: 7 }), /etag/);
	await cli(['device', 'delete', 'gone']);
	assert.equal((await hub.rest('GET', '/devices/gone')).status, 404);
	await cli(['device', 'delete', 'gone'], { code: 4 });
});

test('twin update and replace: parts, a document, a file, stdin, an etag', async () => {
	await cli(['device', 'create', 't1']);
	let twin = await cli(['twin', 'update', 't1', '--tags', '{"floor":3,"room":"ä"}', '--desired', '{"a":{"b":1.0}}']);
	assert.deepEqual(twin.tags, { floor: 3, room: 'ä' });
	twin = await cli(['twin', 'update', 't1', '{"tags":{"floor":null},"properties":{"desired":{"c":[1]}}}', '--etag', twin.etag]);
	assert.deepEqual(twin.tags, { room: 'ä' });
	assert.deepEqual([twin.properties.desired.a.b, twin.properties.desired.c], [1, [1]]);
	assert.deepEqual(await cli(['twin', 'show', 't1']), twin);
	assert.match(await cli(['twin', 'update', 't1', '--tags', '{"x":1}', '--etag', 'AAAAAAAAAAE='], { code: 7 }), /etag/);
	const file = path.join(tempDir('cli'), 'twin.json');
	fs.writeFileSync(file, '{"properties":{"desired":{"only":true}}}');
	const replaced = await cli(['twin', 'replace', 't1', '--file', file]);
	assert.ok(!('tags' in replaced));
	assert.deepEqual(Object.keys(replaced.properties.desired).filter((k) => !k.startsWith('$')), ['only']);
	const piped = spawnSync(BINARY, ['twin', 'update', 't1', '--file', '-', '--data', hub.dir], { input: '{"tags":{"from":"stdin"}}' });
	assert.equal(piped.status, 0, piped.stderr);
	assert.deepEqual(JSON.parse(piped.stdout).tags, { from: 'stdin' });
	for (const wrong of [[], ['{"a":1}', '--tags', '{}'], ['not json'], ['[]'], ['--tags', '{"a":}'], ['--desired', '3']])
		await cli(['twin', 'update', 't1', ...wrong], { code: 2 });
	await cli(['twin', 'update', 't1', '--file', '/nowhere/twin.json'], { code: 4 });
	assert.match(await cli(['twin', 'show', 'nobody'], { code: 4 }), /DeviceNotFound: nobody/);
});

test('query: all pages, in the order they come, and the hub\'s own words on errors', async () => {
	for (let i = 0; i < 7; i++) await hub.createDevice(`page-${i}`);
	const rows = await cli(['query', "SELECT deviceId FROM devices WHERE STARTSWITH(deviceId, 'page-')", '--page-size', '2']);
	assert.deepEqual(rows.map((r) => r.deviceId).sort(), [0, 1, 2, 3, 4, 5, 6].map((i) => `page-${i}`));
	assert.deepEqual(await cli(['query', "SELECT deviceId FROM devices WHERE deviceId = 'none'"]), []);
	assert.match(await cli(['query', 'SELECT FROM'], { code: 1 }), /unexpected 'FROM'/);
	await cli(['query', 'SELECT * FROM devices', '--page-size', '0'], { code: 2 });
});

test('tables: on a terminal and with --table; JSON: when piped and with --json', async () => {
	const onTerminal = (...args) => execFileSync('script', ['-qec', [BINARY, ...args, '--data', hub.dir].map((w) => `'${w}'`).join(' '), '/dev/null'],
		{ encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).replaceAll('\r', '');
	const text = 'SELECT deviceId, status FROM devices WHERE deviceId = "plain"';
	const table = 'deviceId  status\nplain     enabled\n\n1 row\n';
	assert.equal(onTerminal('query', text), table);
	assert.equal(await cli(['query', text, '--table']), table);
	assert.equal(onTerminal('query', text, '--json'), '[\n{"deviceId":"plain","status":"enabled"}\n]\n');
	const record = await cli(['twin', 'show', 't1', '--table']);
	assert.match(record, /^deviceId {2,}t1$/m);
	assert.match(record, /"from": "stdin"/);
	assert.doesNotMatch(record, /\$metadata/);
	await cli(['query', text, '--table', '--json'], { code: 2 });
});

test('device reports cannot drive the terminal', async () => {
	await cli(['twin', 'update', 'plain', '--tags', '{"evil":"\\u001b[2J\\u009b"}']);
	const table = await cli(['query', 'SELECT tags.evil FROM devices WHERE deviceId = "plain"', '--table']);
	assert.match(table, /\?\[2J\?/);
	assert.doesNotMatch(table, /[\u001b\u009b]/);
});

test('policy show and rotate; a rotated key is refused at once', async () => {
	const all = await cli(['policy', 'show', '--keys']);
	assert.deepEqual(all.map((p) => p.name).sort(), ['device', 'iothubowner', 'registryRead', 'registryReadWrite', 'service']);
	const old = await cli(['policy', 'show', 'registryRead', '--keys']);
	const string = (await cli(['connection-string', '--policy', 'registryRead'])).trim();
	const list = (code) => cli(['device', 'show', 'plain', '--connection-string', string, '--ca', hub.ca], { code, data: false });
	await list(0);
	assert.deepEqual(await cli(['policy', 'rotate', 'registryRead', '--key', 'primary']), { name: 'registryRead', rotated: 'primary' });
	const now = await cli(['policy', 'show', 'registryRead', '--keys']);
	assert.notEqual(now.primaryKey, old.primaryKey);
	assert.equal(now.secondaryKey, old.secondaryKey);
	assert.match(await list(1), /IotHubUnauthorizedAccess/);
	await cli(['policy', 'rotate', 'registryRead'], { code: 2 });
	await cli(['policy', 'rotate', 'registryRead', '--key', 'both'], { code: 2 });
	await cli(['policy', 'rotate', 'nobody', '--key', 'primary'], { code: 4 });
	await cli(['policy', 'show', 'nobody'], { code: 4 });
});

test('connection strings and tokens are good for what they say', async () => {
	const string = (await cli(['connection-string', '--policy', 'service', '--key', 'secondary'])).trim();
	const parts = parseConnectionString(string);
	assert.deepEqual([parts.HostName, parts.SharedAccessKeyName], [hub.addr, 'service']);
	assert.equal(parts.SharedAccessKey, (await cli(['policy', 'show', 'service', '--keys'])).secondaryKey);
	assert.equal((await cli(['connection-string', '--device', 'keys'])).trim(), `HostName=${hub.addr};DeviceId=keys;SharedAccessKey=${KEY}`);
	assert.equal((await cli(['connection-string', '--device', 'x509'])).trim(), `HostName=${hub.addr};DeviceId=x509;x509=true`);
	assert.match(await cli(['connection-string', '--hostname', 'localhost']), /^HostName=localhost;/);
	const ask = async (args, target) => (await hub.rest('GET', target, { token: (await cli(['sas', ...args])).trim() })).status;
	assert.equal(await ask([], '/devices/plain'), 200);
	assert.equal(await ask(['--policy', 'service'], '/twins/plain'), 200);
	assert.equal(await ask(['--policy', 'service'], '/devices/plain'), 401);
	assert.equal(await ask(['--resource', `${hub.addr}/twins`], '/twins/plain'), 200);
	assert.equal(await ask(['--resource', `${hub.addr}/twins`], '/devices/plain'), 401);
	const token = await cli(['sas', '--device', 'keys', '--ttl', '60']);
	assert.match(token, new RegExp(`^SharedAccessSignature sr=${hub.addr}%2Fdevices%2Fkeys&sig=[^&]+&se=\\d+\\n$`));
	assert.ok(Math.abs(/se=(\d+)/.exec(token)[1] - Date.now() / 1000 - 60) < 30);
	await cli(['sas', '--device', 'x509'], { code: 1 });
	await cli(['sas', '--device', 'plain', '--policy', 'service'], { code: 2 });
	await cli(['connection-string', '--device', 'nobody'], { code: 4 });
	await cli(['connection-string', '--policy', 'nobody'], { code: 4 });
});

test('the hub\'s certificate is verified, against a CA and for the name', async () => {
	const string = await hub.connectionString();
	const list = (args, options) => cli(['device', 'show', 'plain', ...args], { data: false, ...options });
	assert.equal((await list(['--connection-string', string, '--ca', hub.ca])).deviceId, 'plain');
	assert.equal((await list(['--ca', hub.ca], { env: { TWINHUB_CONNECTION_STRING: string } })).deviceId, 'plain');
	assert.match(await list(['--connection-string', string], { code: 3, env: { SSL_CERT_FILE: '/dev/null', SSL_CERT_DIR: '/nowhere' } }), /not to be trusted: .*--ca/);
	const other = await startHub({ addr: await freeAddress(), dir: path.join(tempDir('other'), 'data') });
	try {
		assert.match(await list(['--connection-string', string, '--ca', other.ca], { code: 3 }), /not to be trusted/);
	} finally {
		await other.stop();
	}
	const hexadecimal = hub.addr.split('.').map((part) => `0x${Number(part).toString(16)}`).join('.');
	const elsewhere = string.replace(hub.addr, hexadecimal); // reaches the hub under a name it has no certificate for
	assert.match(await list(['--connection-string', elsewhere, '--ca', hub.ca], { code: 3 }), /not to be trusted: .*mismatch/);
	await list(['--connection-string', string, '--ca', '/nowhere/ca.pem'], { code: 3 });
	await list([], { code: 2 });
	await list(['--connection-string', 'HostName=h', '--ca', hub.ca], { code: 2 });
	await list(['--connection-string', string, '--data', hub.dir], { code: 2 });
	await list(['--connection-string', (await cli(['connection-string', '--device', 'plain'])).trim()], { code: 2 });
});

test('no hub, a silent one, one that speaks something else: exit code 3 in time', async () => {
	const addr = await freeAddress();
	const at = (port) => ['device', 'show', 'plain', '--connection-string', `HostName=${addr}:${port};SharedAccessKeyName=service;SharedAccessKey=${KEY}`, '--timeout', '1'];
	assert.match(await cli(at(443), { code: 3, data: false }), /refused/);
	for (const [answer, words] of [[(socket) => socket.resume(), /not answered within 1 s/], [(socket) => socket.end('HTTP/1.1 200 OK\r\n\r\n'), /no hub answers/]]) {
		const server = net.createServer((socket) => { socket.on('error', () => {}); answer(socket); });
		await new Promise((resolve) => server.listen({ host: addr, port: 0 }, resolve));
		assert.match(await cli(at(server.address().port), { code: 3, data: false }), words);
		server.close();
	}
});
