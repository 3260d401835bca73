// What would change nothing, match nothing or remove much does not pass in silence.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { startHub, stopAll, tempDir } from '../lib/hub.mjs';
import { commands, endWatching, watching } from './lib.mjs';

let hub, cli;
before(async () => {
	hub = await startHub();
	cli = commands(hub);
	await hub.createDevice('d');
});
after(async () => {
	endWatching();
	await stopAll(hub);
});

const dir = tempDir('silence');
function file(name, ...lines) {
	const at = path.join(dir, name);
	fs.writeFileSync(at, lines.map((l) => `${typeof l === 'string' ? l : JSON.stringify(l)}\n`).join(''));
	return at;
}

test('O-75 twin update and replace refuse members that mean nothing, and say where they belong', async () => {
	const refused = async (document, text, code = 2) => assert.match(await cli(['twin', 'update', 'd', JSON.stringify(document)], { code }), text);
	await refused({ desired: { a: 1 } }, /desired is no member of a twin, properties\.desired is/);
	await refused({ tag: { a: 1 } }, /tag is no member of a twin/);
	await refused({ tags: { a: 1 }, Desired: {} }, /no member of a twin/);
	await refused({ properties: { wanted: { a: 1 } } }, /properties\.wanted is no member/);
	await refused({ properties: { reported: { a: 1 } } }, /written by the device alone/);
	for (const nothing of [{}, { etag: '*' }, { properties: {} }]) await refused(nothing, /nothing to change: neither tags nor properties\.desired/);
	assert.match(await cli(['twin', 'replace', 'd', '{"tag":{"a":1}}'], { code: 2 }), /tag is no member of a twin/);
	assert.equal((await hub.rest('GET', '/twins/d')).body.version, 2, 'nothing was changed');
	const read = await cli(['twin', 'show', 'd']);
	read.tags = { floor: 3 };
	assert.deepEqual((await cli(['twin', 'replace', 'd', JSON.stringify(read)])).tags, { floor: 3 }, 'what was read and changed is taken');
});

test('O-76 import refuses lines with members that mean nothing, and takes the others', async () => {
	const lines = file('stray.ndjson', { id: 'i1', tags: { a: 1 } }, { id: 'i2', tag: { a: 1 } }, { deviceId: 'i3' }, { id: 'i4', desired: { a: 1 } });
	assert.match(await cli(['import', lines], { code: 1 }), /3 lines were refused/);
	const errors = fs.readFileSync(`${lines}.errors`, 'utf8').trim().split('\n').map((l) => JSON.parse(l));
	assert.deepEqual(errors.map((e) => e.line), [2, 3, 4]);
	assert.match(JSON.stringify(errors[0]), /tag is no member/);
	assert.match(JSON.stringify(errors[1]), /deviceId is no member of a line, id is/);
	assert.match(JSON.stringify(errors[2]), /desired is no member/);
	assert.equal((await hub.rest('GET', '/twins/i1')).status, 200);
	for (const id of ['i2', 'i3', 'i4']) assert.equal((await hub.rest('GET', `/twins/${id}`)).status, 404);
	const none = await hub.cli(['import', file('none.ndjson')]);
	assert.deepEqual([none.code, none.stderr], [0, 'twinhub: warning: the file has no lines: nothing was done\n']);
	const exported = path.join(dir, 'exported.ndjson');
	await cli(['export', exported]);
	await cli(['import', exported], { code: 0 });
});

test('O-77 import --mode delete wants --yes, or asks on a terminal', async () => {
	const lines = file('gone.ndjson', { id: 'gone1' }, { id: 'gone2' });
	await cli(['import', lines]);
	const there = async () => (await hub.rest('GET', '/devices/gone1')).status === 200;
	assert.match(await cli(['import', lines, '--mode', 'delete'], { code: 2 }), /--mode delete removes what the file names: give --yes, or --dry-run/);
	assert.ok(await there());
	assert.match((await hub.cli(['import', lines, '--mode', 'delete', '--dry-run'])).stdout, /gone1/);
	assert.ok(await there());
	const asked = watching(hub, ['import', lines, '--mode', 'delete'], { terminal: true });
	await asked.until((text) => text.includes('yes or no: '), 'the question');
	asked.child.stdin.write('no\n');
	assert.equal((await asked.ended()).code, 1);
	assert.ok(await there());
	const again = watching(hub, ['import', lines, '--mode', 'delete'], { terminal: true });
	await again.until((text) => text.includes('yes or no: '), 'the question');
	again.child.stdin.write('yes\n');
	assert.equal((await again.ended()).code, 0);
	assert.ok(!await there());
	await cli(['import', lines]);
	await cli(['import', lines, '--mode', 'deleteIfMatchETag'], { code: 2 });
	await cli(['import', lines, '--mode', 'delete', '--yes']);
	assert.ok(!await there());
});

test('O-78 a condition that matches nothing is told when a job or configuration is made with it', async () => {
	const warned = async (args, text) => {
		const r = await hub.cli(args);
		assert.equal(r.code, 0, r.stderr);
		assert.match(r.stderr, text, args.join(' '));
	};
	const job = (id, condition, ...more) => ['job', 'create', 'twin-update', id, '--condition', condition, '--tags', '{"x":1}', ...more];
	await warned(job('none', "tags.florr = 3"), /^twinhub: warning: the condition matches nothing at present\n$/);
	await warned(job('some', '*'), /^$/);
	await warned(job('modules', "FROM devices.modules WHERE moduleId = 'no'"), /^twinhub: warning: the condition matches nothing at present\n$/);
	const content = file('c.json', { content: { deviceContent: { 'properties.desired.c': 1 } } });
	const configuration = (id, ...more) => ['configuration', 'create', id, '--file', content, ...more];
	await warned(configuration('typo', '--condition', "tags.florr = 3"), /matches nothing at present/);
	await warned(configuration('unconditional'), /without a condition nothing has it/);
	await warned(configuration('all', '--condition', '*'), /^$/);
});

test('O-79 an update of an identity that names nothing to change is an error', async () => {
	assert.match(await cli(['device', 'update', 'd'], { code: 2 }), /nothing to change: give --status/);
	assert.match(await cli(['device', 'update', 'd', '--etag', 'x'], { code: 2 }), /nothing to change/);
	await cli(['module', 'create', 'd', 'm']);
	assert.match(await cli(['module', 'update', 'd', 'm'], { code: 2 }), /nothing to change: give keys, thumbprints or --x509-ca/);
});
