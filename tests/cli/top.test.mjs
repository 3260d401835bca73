// twinhub top (operate.md, O-127, O-128): a look, looks one after the other, and a terminal that is given back.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { startHub, stopAll } from '../lib/hub.mjs';
import { commands, endWatching, watching } from './lib.mjs';

let hub, run;
before(async () => {
	hub = await startHub();
	run = commands(hub);
	await run(['device', 'create', 'd1']);
});
after(async () => { endWatching(); await stopAll(hub); });

const LABELS = ['Connections', 'Traffic', 'Operations', 'HTTP', 'Queries', 'Commits', 'Queues', 'In memory', 'Events', 'Disk', 'Fleet', 'Process'];
const ENTER = '\x1b[?1049h', LEAVE = '\x1b[?25h\x1b[?1049l';

test('O-127 --once: all figures as JSON, or for people', async () => {
	const now = await run(['top', '--once', '-o', 'json']);
	assert.ok(Math.abs(Date.parse(now.time) - Date.now()) < 5000);
	assert.equal(now.identities, 1);
	assert.ok(now.freeBytes > 0 && 'operationP99' in now && 'sinkLag' in now);
	assert.deepEqual(Object.keys(await run(['top', '--once'])), Object.keys(now), 'piped');
	const table = await run(['top', '--once', '-o', 'table']);
	for (const label of LABELS) assert.match(table, new RegExp(`^${label} `, 'm'));
	assert.match(table, /^Fleet +1 identities/m);
	assert.match(table, /^Disk +free [\d.]+ [KMGT]B .* takes changes: yes$/m);
	assert.ok(!table.includes('\x1b'));
});

test('O-127 by a connection string, and by the environment; not without ServiceConnect', async () => {
	const line = await hub.connectionString('service');
	for (const r of [await hub.cli(['top', '--once', '--connection-string', line, '--ca', hub.ca], { data: false }),
		await hub.cli(['top', '--once'], { data: false, env: { TWINHUB_CONNECTION_STRING: line, TWINHUB_CA: hub.ca } })]) {
		assert.equal(r.code, 0, r.stderr);
		assert.equal(JSON.parse(r.stdout).identities, 1);
	}
	const no = await hub.cli(['top', '--once', '--connection-string', await hub.connectionString('registryRead'), '--ca', hub.ca], { data: false });
	assert.notEqual(no.code, 0);
	assert.match(no.stderr, /^twinhub: [^\n]+\n$/);
	assert.match(await run(['top', '--watch', '0'], { code: 2 }), /--watch/);
});

test('O-127 piped it goes on: a line of JSON each time', async () => {
	const top = watching(hub, ['top', '--watch', '1', '--json']);
	await top.until((text) => text.split('\n').length > 2, 'two looks');
	for (const line of top.text.split('\n').slice(0, 2)) assert.equal(JSON.parse(line).identities, 1);
	top.child.kill('SIGINT');
	const { code, signal } = await top.ended();
	assert.ok(code === 0 || signal === 'SIGINT');
});

test('O-128 on a terminal: drawn in its place, ended by a key', async () => {
	const top = watching(hub, ['top', '--watch', '1'], { terminal: true });
	await top.until((text) => text.split('Operations').length > 2, 'two looks');
	assert.ok(top.text.startsWith(ENTER));
	top.child.stdin.write('x');
	top.child.stdin.write('q');
	assert.equal((await top.ended()).code, 0);
	assert.ok(top.text.endsWith(LEAVE), JSON.stringify(top.text.slice(-60)));
});

test('O-128 a signal gives the terminal back, and is what it is to others', async () => {
	for (const [keys, name] of [['\x03', 'SIGINT'], ['\x1c', 'SIGQUIT']]) {
		const top = watching(hub, ['top'], { terminal: true });
		await top.until((text) => text.includes('Operations'), 'a look');
		top.child.stdin.write(keys);
		const { code } = await top.ended();
		assert.equal(code, name === 'SIGINT' ? 0 : 131, name); // script -e: 128 + the signal
		assert.ok(top.text.includes(LEAVE), name);
	}
});

test('O-128 while it is stopped the terminal is what it was, and it goes on', async () => {
	const top = watching(hub, ['top', '--watch', '1'], { terminal: true, then: 'echo it stands; fg' });
	await top.until((text) => text.includes('Operations'), 'a look');
	top.child.stdin.write('\x1a'); // Ctrl-Z
	await top.until((text) => /it stands[^]*Operations/.test(text), 'the next look');
	top.child.stdin.write('q');
	assert.equal((await top.ended()).code, 0);
	const [first, second] = top.text.split('it stands');
	assert.ok(first.includes(LEAVE) && !first.slice(first.indexOf(LEAVE)).includes('Operations'), 'given back before');
	assert.ok(second.includes(ENTER) && second.indexOf(ENTER) < second.indexOf('Operations'));
	assert.ok(second.endsWith(LEAVE));
});

test('O-127 a hub that goes away is said, and waited for', async () => {
	const other = await startHub();
	const top = watching(other, ['top', '--watch', '1', '-o', 'table']);
	await top.until((text) => text.includes('Operations'), 'a look');
	await other.stop();
	await top.until(() => /twinhub: /.test(top.errors), 'why there is none');
	await other.start();
	const before = top.text.length;
	await top.until((text) => text.slice(before).includes('Operations'), 'the next look');
	top.child.kill('SIGKILL');
	await other.stop();
});
