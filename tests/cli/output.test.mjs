// What is printed, and in which form: tables that fit, one option for the form, keys to who asks for them; and the commands of az's habits.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { BINARY, startHub, stopAll, tempDir } from '../lib/hub.mjs';
import { commands } from './lib.mjs';

let hub, cli;
before(async () => {
	hub = await startHub();
	cli = commands(hub);
	for (const [i, id] of ['a1', 'a2', 'a3'].entries()) {
		await hub.createDevice(id);
		await hub.rest('PATCH', `/twins/${id}`, { body: { tags: { floor: i, text: 'word '.repeat(30), list: 'x'.repeat(200) } } });
	}
});
after(() => stopAll(hub));

const onTerminal = (columns, ...args) => {
	const words = [BINARY, ...args, '--data', hub.dir].map((w) => `'${w.replaceAll("'", "'\\''")}'`).join(' ');
	const r = spawnSync('script', ['-qec', `stty cols ${columns}; exec ${words}`, '/dev/null'], { encoding: 'utf8', timeout: 60_000, input: '' });
	assert.equal(r.status, 0, r.stdout);
	return r.stdout.replaceAll('\r\n', '\n');
};

test('O-84 a table fits the terminal: wide columns are cut, the last ones left out and named, rows are never wrapped', () => {
	const query = 'SELECT deviceId, tags.floor, tags.text, tags.list, etag, version FROM devices ORDER BY deviceId';
	for (const columns of [200, 100, 60, 40, 20]) {
		const lines = onTerminal(columns, 'query', query).split('\n'), table = lines.slice(0, lines.indexOf(''));
		assert.equal(table.length, 4, `a line for each row at ${columns}: ${lines.join('\n')}`);
		for (const line of table) assert.ok(line.length <= columns, `${columns}: ${line}`);
		assert.match(table[1], /^a1\b/);
	}
	assert.match(onTerminal(60, 'query', query), /\.\.\./);
	assert.doesNotMatch(onTerminal(100, 'query', query), /not shown/);
	assert.match(onTerminal(40, 'query', query), /^not shown for want of room: [a-z, ]*version[a-z, ]* \(--json has all\)$/m);
	const piped = spawnSync(BINARY, ['query', query, '--table', '--data', hub.dir], { encoding: 'utf8' }).stdout;
	assert.doesNotMatch(piped, /not shown/, 'a pipe has no width');
});

test('O-94 columns are as wide as a terminal draws them, and COLUMNS says how many there are', async () => {
	const texts = { wa: '計画計画', wb: '😀😀', wc: 'e\u0301e\u0301', wd: 'x\u001b[31my\nz', we: 'a' + '\u0301'.repeat(50) };
	for (const [id, text] of Object.entries(texts)) {
		await hub.createDevice(id);
		await hub.rest('PATCH', `/twins/${id}`, { body: { tags: { text, behind: 'end' } } });
	}
	const width = (text) => [...text].reduce((n, c) => n + (/\p{M}/u.test(c) ? 0 : /[\u1100-\u115f\u2e80-\uffdc]|\p{Emoji_Presentation}/u.test(c) ? 2 : 1), 0);
	const query = "SELECT deviceId, tags.text, tags.behind FROM devices WHERE STARTSWITH(deviceId, 'w') ORDER BY deviceId";
	const lines = onTerminal(80, 'query', query).split('\n').slice(0, 6);
	const at = width(lines[0].split('behind')[0]);
	for (const line of lines.slice(1)) assert.equal(width(line.split('end')[0]), at, lines.join('\n'));
	assert.match(lines[4], /x\?\[31my\?z/);
	assert.ok(lines[5].length < 80, 'a tower of accents is cut');
	const told = (columns) => spawnSync('script', ['-qec', `stty cols 0; exec ${BINARY} device list --data ${hub.dir}`, '/dev/null'], { encoding: 'utf8', input: '', env: { ...process.env, COLUMNS: columns } }).stdout.split('\r\n');
	for (const line of told('40').slice(0, -4)) assert.ok(line.length <= 40, line);
	for (const columns of ['200', '0', 'many', '-5', '99999999999']) assert.match(told(columns)[0], /^deviceId .*lastActivityTime$/, columns);
	for (const id of Object.keys(texts)) await cli(['device', 'delete', id]);
});

test('O-85 -o json, table, csv and name are the forms of an output', async () => {
	const of = async (...args) => (await hub.cli(args)).stdout;
	const list = ['device', 'list', '--order', 'deviceId'];
	for (const [form, flag] of [['json', '--json'], ['table', '--table'], ['csv', '--csv']]) {
		const plain = await of(...list, flag);
		for (const words of [['-o', form], ['--output', form], [`--output=${form}`]]) assert.equal(await of(...list, ...words), plain, words.join(' '));
	}
	assert.equal(await of(...list, '-o', 'name'), 'a1\na2\na3\n');
	assert.equal(await of('query', 'SELECT tags.floor FROM devices WHERE deviceId = \'a2\'', '-o', 'name'), '1\n');
	await hub.rest('PATCH', '/twins/a2', { body: { tags: { evil: 'one\ntwo' } } });
	assert.equal(await of('query', 'SELECT tags.evil FROM devices WHERE deviceId = \'a2\'', '-o', 'name'), '"one\\ntwo"\n', 'a row is a line');
	assert.match(await of('policy', 'show', '-o', 'name'), /^iothubowner$/m);
	assert.equal(await of('policy', 'show', 'service', '-o', 'name'), 'service\n');
	assert.match(await of('device', 'show', 'a1', '-o', 'table'), /^deviceId +a1$/m);
	assert.match(await cli(['device', 'list', '-o', 'json', '--csv'], { code: 2 }), /--output excludes/);
	assert.match(await cli(['device', 'show', 'a1', '-o', 'name'], { code: 2 }), /--output name: not json or table/);
	await cli(['device', 'list', '-o'], { code: 2 });
});

test('the content of a configuration alone, as az takes it, is told where it belongs', async () => {
	const at = path.join(tempDir('content'), 'content.json');
	fs.writeFileSync(at, '{"deviceContent":{"properties.desired.c":1}}');
	assert.match(await cli(['configuration', 'create', 'c', '--file', at], { code: 2 }), /'deviceContent' belongs into the content: \{"content":\{"deviceContent":\.\.\.\}\}/);
});

test('O-86 policy show hides keys unless they are asked for', async () => {
	for (const args of [['policy', 'show'], ['policy', 'show', 'service']]) {
		assert.doesNotMatch((await hub.cli(args)).stdout, /Key/);
		assert.match((await hub.cli([...args, '--keys'])).stdout, /"primaryKey":"[^"]{44}"/);
	}
	assert.match((await hub.cli(['policy', 'show', '-o', 'csv'])).stdout, /^name,rights\r$/m);
});

test('O-87 device list takes a condition, an order and a number', async () => {
	const ids = async (...args) => (await cli(['device', 'list', ...args])).map((d) => d.deviceId);
	assert.deepEqual(await ids('--where', 'tags.floor > 0', '--order', 'tags.floor DESC'), ['a3', 'a2']);
	assert.deepEqual(await ids('--order', 'deviceId', '--top', '2'), ['a1', 'a2']);
	assert.deepEqual(await ids('--where', "deviceId = 'no'"), []);
	assert.match(await cli(['device', 'list', '--where', 'tags.floor >'], { code: 1 }), /query/i);
});

test('O-88 renew-key makes other keys, of a device or module, one side or both', async () => {
	await hub.createDevice('r');
	await cli(['module', 'create', 'r', 'm']);
	const keys = async (...of) => (await cli([of.length > 1 ? 'module' : 'device', 'show', ...of])).authentication.symmetricKey;
	for (const [kind, of] of [['device', ['r']], ['module', ['r', 'm']]]) {
		const was = await keys(...of);
		const renewed = await cli([kind, 'renew-key', ...of, '--key', 'secondary']), now = await keys(...of);
		assert.equal(now.primaryKey, was.primaryKey);
		assert.notEqual(now.secondaryKey, was.secondaryKey);
		assert.ok(renewed.connectionString.endsWith(`SharedAccessKey=${was.primaryKey}`));
		await cli([kind, 'renew-key', ...of, '--key', 'both']);
		const both = await keys(...of);
		assert.ok(both.primaryKey !== now.primaryKey && both.secondaryKey !== now.secondaryKey);
	}
	assert.match(await cli(['device', 'renew-key', 'r'], { code: 2 }), /which key\?/);
	await cli(['device', 'create', 'x', '--x509-ca']);
	assert.match(await cli(['device', 'renew-key', 'x', '--key', 'primary'], { code: 1 }), /signs in by certificate/);
	assert.equal((await cli(['device', 'show', 'x'])).authentication.type, 'certificateAuthority');
	await cli(['device', 'renew-key', 'nobody', '--key', 'primary'], { code: 4 });
});

test('O-89 children and parent of edge devices', async () => {
	await cli(['device', 'create', 'gw', '--edge']);
	await cli(['device', 'create', 'leaf']);
	assert.equal((await cli(['device', 'parent', 'leaf'])).parentScope, null);
	const { deviceScope } = await cli(['device', 'show', 'gw']);
	assert.equal((await cli(['device', 'parent', 'leaf', 'gw'])).parentScope, deviceScope);
	assert.equal((await cli(['device', 'parent', 'leaf'])).parentScope, deviceScope);
	assert.equal((await hub.cli(['device', 'children', 'gw', '-o', 'name'])).stdout, 'leaf\n');
	assert.match(await cli(['device', 'children', 'leaf'], { code: 1 }), /no edge device/);
	assert.match(await cli(['device', 'parent', 'leaf', 'a1'], { code: 1 }), /no edge device/);
	assert.equal((await cli(['device', 'parent', 'leaf', '--none'])).parentScope, null);
	assert.deepEqual(await cli(['device', 'children', 'gw']), []);
	await cli(['device', 'parent', 'leaf', 'gw', '--none'], { code: 2 });
});

test('twinhub version', () => {
	const said = (word) => spawnSync(BINARY, [word], { encoding: 'utf8' }).stdout;
	assert.match(said('version'), /^twinhub \d+\.\d+\.\d+\n$/);
	assert.equal(said('version'), said('--version'));
});

test('O-90 policies are made and removed; what they may is what was said, and their keys end with them', async () => {
	const made = await cli(['policy', 'create', 'dash', '--rights', 'RegistryRead,ServiceConnect']);
	assert.deepEqual(made, { name: 'dash', rights: ['RegistryRead', 'ServiceConnect'] });
	const text = (await hub.cli(['connection-string', '--policy', 'dash'])).stdout.trim();
	const as = (...args) => spawnSync(BINARY, [...args, '--connection-string', text, '--ca', hub.ca], { encoding: 'utf8' });
	assert.equal(as('device', 'show', 'a1').status, 0);
	assert.equal(as('device', 'create', 'no').status, 1);
	assert.match(await cli(['policy', 'create', 'dash', '--rights', 'RegistryRead'], { code: 1 }), /there is a policy 'dash' already/);
	assert.match(await cli(['policy', 'create', 'more', '--rights', 'Everything'], { code: 1 }), /rights are not RegistryRead/);
	assert.match(await cli(['policy', 'create', 'more'], { code: 2 }), /--rights is missing/);
	await hub.restart();
	assert.equal(as('device', 'show', 'a1').status, 0, 'it is on disk');
	await cli(['policy', 'delete', 'dash']);
	assert.equal(as('device', 'show', 'a1').status, 1);
	await cli(['policy', 'delete', 'dash'], { code: 4 });
	assert.match(await cli(['policy', 'delete', 'iothubowner'], { code: 1 }), /stays/);
	for (let i = 0; i < 59; i++) assert.equal((await hub.rest('PUT', `/admin/policies/p${i}?rights=RegistryRead`)).status, 200);
	assert.match((await hub.rest('PUT', '/admin/policies/p59?rights=RegistryRead')).text, /there are 64 policies, the limit/);
});
