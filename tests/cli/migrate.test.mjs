// migrate and diff: from a hub that is read by Azure's service API alone, behind a door that lets few requests through.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import tls from 'node:tls';
import { BINARY, mqttDevice, startHub, stopAll, tempDir } from '../lib/hub.mjs';
import { commands } from './lib.mjs';

let from, to, cli;
const dir = tempDir('migrate');
const file = (name) => path.join(dir, name);
const ndjson = (name) => fs.readFileSync(file(name), 'utf8').trim().split('\n').map((line) => JSON.parse(line));
const N = 250;

before(async () => {
	[from, to] = await Promise.all([startHub(), startHub()]);
	cli = commands(to);
	const edge = async (id, parents) => (await from.rest('PUT', `/devices/${id}`, { body: { deviceId: id, capabilities: { iotEdge: true }, ...(parents && { parentScopes: parents }) } })).body.deviceScope;
	// the child's id comes first in every listing
	const top = await edge('z-top');
	const middle = await edge('m-middle', [top]);
	await edge('a-bottom', [middle]);
	await from.rest('PUT', '/devices/leaf', { body: { deviceId: 'leaf', deviceScope: middle, status: 'disabled', statusReason: 'spare' } });
	await from.rest('PUT', '/devices/leaf/modules/m', { body: { deviceId: 'leaf', moduleId: 'm', managedBy: 'us' } });
	await from.rest('PATCH', '/twins/leaf', { body: { tags: { site: 'a', 'ü': [1, 'x'] }, properties: { desired: { rate: 5, deep: { a: 1.5 } } } } });
	await from.rest('PATCH', '/twins/leaf/modules/m', { body: { properties: { desired: { of: 'm' } } } });
	for (let i = 0; i < N; i += 100)
		await from.rest('POST', '/devices', { body: Array.from({ length: Math.min(100, N - i) }, (_, k) => ({ id: `dev-${i + k}`, importMode: 'create', tags: { n: i + k } })) });
	const device = await mqttDevice(from, 'dev-7', { clean: true });
	await device.report({ temperature: 21.5 });
	await device.disconnect();
	await from.rest('PUT', '/configurations/winter', { body: { id: 'winter', content: { deviceContent: { 'properties.desired.season': 'winter' } }, targetCondition: "tags.n = 9", priority: 3, labels: { a: 'b' } } });
});
after(() => stopAll(from, to));

// A door of TLS before the hub: after so many requests the next one is 429 with Retry-After, as Azure's throttle answers. It counts.
async function door({ most = Infinity } = {}) {
	const state = { served: 0, refused: 0, paths: [], methods: new Set() };
	let left = most;
	const server = https.createServer({ cert: fs.readFileSync(path.join(from.dir, 'server-ecdsa.pem')), key: fs.readFileSync(path.join(from.dir, 'server-ecdsa.key')) }, (req, res) => {
		state.paths.push(req.url);
		state.methods.add(req.method);
		if (left-- <= 0) {
			state.refused++;
			left = most;
			res.writeHead(429, { 'Retry-After': '1', 'Content-Type': 'application/json' });
			res.end('{"Message":"ErrorCode:ThrottlingException;slower"}');
			return;
		}
		state.served++;
		const on = https.request({ host: from.addr, port: from.httpsPort, path: req.url, method: req.method, headers: req.headers, ca: from.pem, checkServerIdentity: () => undefined }, (answer) => {
			res.writeHead(answer.statusCode, answer.headers);
			answer.pipe(res);
		});
		on.on('error', () => res.destroy());
		req.pipe(on);
	});
	await new Promise((resolve) => server.listen(0, from.addr, resolve));
	state.port = server.address().port;
	state.close = () => { server.closeAllConnections(); server.close(); };
	return state;
}

function run(args, input) {
	return new Promise((resolve) => {
		const child = spawn(BINARY, args, { stdio: ['ignore', 'pipe', 'pipe'] });
		const out = { stdout: '', stderr: '', child };
		child.stdout.on('data', (d) => { out.stdout += d; });
		child.stderr.on('data', (d) => { out.stderr += d; });
		child.on('exit', (code, signal) => resolve({ ...out, code, signal }));
		input?.(child);
	});
}

async function source(port, policy = 'iothubowner') {
	const text = (await from.cli(['connection-string', '--policy', policy])).stdout.trim();
	return ['--from', text.replace(/HostName=[^;]*/, `HostName=${from.addr}:${port}`), '--from-ca', path.join(from.dir, 'ca.pem')];
}

test('migrate: a throttled hub is read whole by queries and the registry, and its lines make the same fleet', async () => {
	const d = await door({ most: 80 });
	const read = await run(['migrate', file('fleet.ndjson'), ...await source(d.port)]);
	d.close();
	assert.equal(read.code, 0, read.stderr);
	assert.ok(d.refused >= 3, `the throttle struck ${d.refused} times`);
	assert.deepEqual(JSON.parse(read.stdout), { identities: N + 4 + 1 + 6, configurations: 1 });
	assert.deepEqual([...d.methods].sort(), ['GET', 'POST']);
	assert.ok(d.paths.every((p) => /^\/(devices\/query|devices\/[^/?]+(\/modules\/[^/?]+)?|configurations)\?/.test(p)), d.paths.find((p) => p.includes('admin')));
	assert.equal(fs.statSync(file('fleet.ndjson')).mode & 0o777, 0o600);
	assert.equal(fs.existsSync(file('fleet.ndjson.progress')), false);
	assert.deepEqual(ndjson('fleet.ndjson').slice(0, 3).map((l) => l.id), ['z-top', 'm-middle', 'a-bottom'], 'parents first');
	const made = await cli(['import', file('fleet.ndjson')]);
	assert.equal(made.failed, 0);
	for (const target of ['/devices/leaf', '/devices/leaf/modules/m', '/devices/dev-7']) {
		const [a, b] = [(await from.rest('GET', target)).body, (await to.rest('GET', target)).body];
		assert.deepEqual(b.authentication, a.authentication, target);
		assert.deepEqual([b.status, b.statusReason, b.deviceScope, b.managedBy], [a.status, a.statusReason, a.deviceScope, a.managedBy]);
	}
	for (const target of ['/twins/leaf', '/twins/leaf/modules/m', '/twins/dev-7']) {
		const [a, b] = [(await from.rest('GET', target)).body, (await to.rest('GET', target)).body];
		for (const part of ['desired', 'reported']) { delete a.properties[part].$metadata; delete b.properties[part].$metadata; }
		assert.deepEqual([b.tags, b.properties], [a.tags, a.properties], target);
	}
});

test('diff: nothing differs after a migration; then each difference is told with its path and both values', async () => {
	const args = ['diff', ...await source(from.httpsPort), '--data', to.dir];
	const same = await run(args);
	assert.equal(same.code, 0, same.stdout + same.stderr);
	assert.deepEqual(JSON.parse(same.stdout), { identities: N + 11, configurations: 1, different: 0 });
	await to.rest('PATCH', '/twins/dev-3', { body: { tags: { n: 'three', own: true } } });
	await to.rest('DELETE', '/devices/dev-4', { headers: { 'If-Match': '*' } });
	await to.rest('PUT', '/devices/only-here', { body: { deviceId: 'only-here' } });
	await to.rest('PUT', '/configurations/summer', { body: { id: 'summer', content: { deviceContent: { 'properties.desired.season': 'summer' } }, targetCondition: "tags.n = -1" } });
	const other = await run(args);
	assert.equal(other.code, 1, other.stderr);
	const rows = other.stdout.trim().split('\n').map((line) => JSON.parse(line));
	const told = rows.slice(0, -1).map((r) => [r.deviceId ?? r.configuration, r.path ?? r.only, r.there, r.here].filter((v) => v !== undefined));
	assert.ok(!/"(primary|secondary)Key":"[^"]/.test(other.stdout), 'no key is shown');
	for (const row of [['dev-3', 'tags.n', 3, 'three'], ['dev-3', 'tags.own', true], ['dev-4', 'there'], ['only-here', 'here'], ['summer', 'here']])
		assert.ok(told.some((t) => JSON.stringify(t) === JSON.stringify(row)), `${JSON.stringify(row)} among ${JSON.stringify(told)}`);
	assert.equal(rows.at(-1).different, 4);
	const people = await run([...args, '--table']);
	assert.match(people.stdout, /^dev-3 tags\.n: there 3, here three$/m);
	assert.match(people.stdout, /, 4 differ\n$/);
});

test('migrate: a run that was killed goes on where it was, and nothing is in the file twice', async () => {
	const d = await door();
	const args = ['migrate', file('cut.ndjson'), ...await source(d.port)];
	const cut = await run(args, (child) => {
		const timer = setInterval(() => {
			if (d.served > 170) { clearInterval(timer); child.kill('SIGKILL'); }
		}, 1);
	});
	assert.equal(cut.signal, 'SIGKILL');
	fs.appendFileSync(file('cut.ndjson'), '{"id":"half');
	const again = await run(args);
	assert.equal(again.code, 7, again.stderr);
	const before = d.served;
	const on = await run([...args, '--resume']);
	d.close();
	assert.equal(on.code, 0, on.stderr);
	assert.ok(d.served - before < 250, `${d.served - before} requests: it went on, and did not begin anew`);
	const names = ndjson('cut.ndjson').map((l) => l.configuration?.id ?? `${l.id}/${l.moduleId ?? ''}`);
	assert.deepEqual(names.slice().sort(), ndjson('fleet.ndjson').map((l) => l.configuration?.id ?? `${l.id}/${l.moduleId ?? ''}`).sort());
});

test('migrate: a policy that may not read the registry gets all but keys, and says so; wrong words are refused', async () => {
	const d = await door();
	const read = await run(['migrate', file('bare.ndjson'), ...await source(d.port, 'service')]);
	d.close();
	assert.match(read.stderr, /may not read identities \(RegistryRead\): going on without keys/);
	assert.equal(read.stderr.match(/RegistryRead/g).length, 1);
	if (read.code === 0) assert.ok(ndjson('bare.ndjson').every((l) => l.authentication?.symmetricKey === undefined));
	else assert.match(read.stderr, /configurations|Unauthorized/);
	assert.equal((await run(['migrate', file('none.ndjson')])).code, 2);
	assert.equal((await run(['migrate', file('none.ndjson'), '--from', 'HostName=x'])).code, 2);
	assert.equal((await run(['migrate', file('none.ndjson'), ...await source(1), '--resume'])).code, 4);
	const keyless = await run(['migrate', file('keyless.ndjson'), ...await source(from.httpsPort), '--no-keys', '--rate', '1000']);
	assert.equal(keyless.code, 0, keyless.stderr);
	assert.ok(!fs.readFileSync(file('keyless.ndjson'), 'utf8').includes('primaryKey'));
});
