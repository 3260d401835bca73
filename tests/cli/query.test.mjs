// What `query` prints: CSV, and answers that follow each other.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { startHub, stopAll, tempDir } from '../lib/hub.mjs';
import { commands, endWatching, watching as watchingOn } from './lib.mjs';

let hub, cli;
const watching = (args, options) => watchingOn(hub, args, options);

before(async () => {
	hub = await startHub();
	cli = commands(hub);
});
after(async () => {
	endWatching();
	await stopAll(hub);
});

const tag = (id, tags) => hub.rest('PATCH', `/twins/${id}`, { body: { tags } });

// A CSV reader, strict on RFC 4180: rows of fields, null where nothing stands and '' where "" does.
function readCsv(text) {
	const rows = [];
	for (let at = 0; at < text.length;) {
		const row = [];
		for (;;) {
			const m = /"((?:[^"]|"")*)"|([^,"\r\n]*)/y;
			m.lastIndex = at;
			const [all, quoted, bare] = m.exec(text);
			row.push(quoted !== undefined ? quoted.replaceAll('""', '"') : bare === '' ? null : bare);
			at += all.length;
			if (text[at] !== ',') break;
			at++;
		}
		assert.equal(text.slice(at, at + 2), '\r\n', `the end of a line at ${at} in ${JSON.stringify(text)}`);
		at += 2;
		rows.push(row);
	}
	return rows;
}

test('--csv: every page, every column, quoting', async () => {
	const want = new Map();
	for (let i = 0; i < 7; i++) {
		await hub.createDevice(`csv-${i}`);
		want.set(`csv-${i}`, [null, null, null]);
	}
	await tag('csv-2', { text: 'say "hi", then\r\nleave', list: [1, { a: 'x,y' }] });
	want.set('csv-2', ['say "hi", then\r\nleave', '[1,{"a":"x,y"}]', null]);
	await tag('csv-6', { text: '', late: -1.5 });
	want.set('csv-6', ['', null, '-1.5']);
	const query = ['query', "SELECT deviceId, tags.text, tags.list, tags.late FROM devices WHERE STARTSWITH(deviceId, 'csv-')", '--csv'];
	const tmp = tempDir('csv');
	for (const size of ['1', '2', '3', '100']) {
		const [head, ...rows] = readCsv(await cli([...query, '--page-size', size], { env: { TMPDIR: tmp } }));
		assert.deepEqual([...head].sort(), ['deviceId', 'late', 'list', 'text']);
		const cell = (row, name) => row[head.indexOf(name)];
		assert.deepEqual(new Map(rows.map((r) => [cell(r, 'deviceId'), [cell(r, 'text'), cell(r, 'list'), cell(r, 'late')]])), want, `pages of ${size}`);
		for (const row of rows) assert.equal(row.length, head.length);
	}
	assert.deepEqual(fs.readdirSync(tmp), [], 'what waited is gone');
	assert.equal(await cli(['query', "SELECT deviceId FROM devices WHERE deviceId = 'none'", '--csv']), '');
	assert.equal(await cli(['query', "SELECT COUNT() AS n FROM devices WHERE STARTSWITH(deviceId, 'csv-')", '--csv']), 'n\r\n7\r\n');
	assert.match(await cli([...query, '--page-size', '2'], { code: 1, env: { TMPDIR: '/nowhere' } }), /temporary file cannot be written: .*TMPDIR/);
	for (const other of [['--json'], ['--table'], ['--watch', '1']]) await cli([...query, ...other], { code: 2 });
	assert.match(await cli(['device', 'list', '--csv']), /^deviceId,status,/);
});

test('--watch piped: one answer after the other, each fresh, until SIGINT', async () => {
	await hub.createDevice('w');
	const w = watching(['query', "SELECT tags.n FROM devices WHERE deviceId = 'w'", '--watch', '1']);
	await w.until((text) => text === '[\n{}\n]\n', 'the first answer');
	await tag('w', { n: 1 });
	await w.until((text) => text.endsWith('[\n{"n":1}\n]\n'), 'an answer with the change');
	w.child.kill('SIGINT');
	assert.deepEqual(await w.ended(), { code: 0, signal: null });
	assert.equal(w.errors, '');
});

test('--watch --table piped: plain blocks with a line between them', async () => {
	const w = watching(['query', "SELECT deviceId FROM devices WHERE deviceId = 'w'", '--watch', '1', '--table']);
	const block = 'deviceId\nw\n\n1 row\n';
	await w.until((text) => text === `${block}\n${block}`, 'two answers');
	w.child.kill('SIGINT');
	assert.deepEqual(await w.ended(), { code: 0, signal: null });
});

test('--watch on a terminal: cleared and drawn again, until Ctrl-C', async () => {
	const w = watching(['query', 'SELECT deviceId FROM devices WHERE deviceId = "w"', '--watch', '1'], { terminal: true });
	const text = await w.until((t) => t.split('1 row').length > 2 && t, 'two answers');
	const [before, first, second] = text.replaceAll('\r', '').split('\x1b[H\x1b[J');
	assert.equal(before, '');
	for (const screen of [first, second]) assert.match(screen, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d, every 1 s, Ctrl-C ends\n\ndeviceId\nw\n\n1 row/);
	w.child.stdin.write('\x03');
	assert.deepEqual(await w.ended(), { code: 0, signal: null });
});

test('--watch lives through a restart of the hub; what is wrong at first ends it', async () => {
	const w = watching(['query', "SELECT deviceId FROM devices WHERE deviceId = 'w'", '--watch', '1']);
	await w.until((text) => text.length > 0, 'the first answer');
	await hub.stop();
	await w.until(() => /^twinhub: no hub answers/m.test(w.errors), 'a word about the hub');
	await hub.start();
	const printed = await w.until((text) => text, 'what is there');
	await w.until((text) => text.length > printed.length, 'another answer');
	w.child.kill('SIGINT');
	assert.equal((await w.ended()).code, 0);
	await cli(['query', 'SELECT FROM', '--watch', '1'], { code: 1 });
	for (const seconds of ['0', 'x', '100000']) await cli(['query', 'SELECT * FROM devices', '--watch', seconds], { code: 2 });
});

test('--watch ends when nobody reads', async () => {
	const w = watching(['query', "SELECT deviceId FROM devices WHERE deviceId = 'w'", '--watch', '1']);
	await w.until((text) => text.length > 0, 'the first answer');
	w.child.stdout.destroy();
	assert.equal((await w.ended()).code, 1);
});

test('--explain: JSON when piped, tables on a terminal; statistics --columns', async () => {
	const query = ['query', "SELECT COUNT() AS n FROM devices WHERE tags.floor = 3", '--explain'];
	for (let turn = 0; turn < 2; turn++) await cli(query);
	const e = await cli(query);
	assert.equal(e.rowsReturned, 1);
	assert.deepEqual(e.columns.map((c) => [c.path, c.held]), [['tags.floor', 64]]);
	const text = await cli([...query, '--table']);
	assert.match(text, /^engineMs +[\d.]+$/m);
	assert.match(text, /^step +ms$/m);
	assert.match(text, /^judge +[\d.]+$/m);
	assert.match(text, /^path +from +form +shards +held +made +rows +values +bytes$/m);
	assert.match(text, /^tags\.floor +columns +\w+ +64 +64 +0 /m);
	const page = await cli(['query', 'SELECT * FROM devices', '--explain', '--page-size', '1']);
	assert.deepEqual([page.rowsReturned, page.more], [1, true]);
	for (const other of [['--csv'], ['--watch', '1']]) await cli([...query, ...other], { code: 2 });
	await cli(['query', 'SELECT FROM', '--explain'], { code: 1 });
	const all = await cli(['statistics', '--columns']);
	assert.ok(all.columns.some((c) => c.path === 'tags.floor' && c.bytes > 0));
	assert.match(await cli(['statistics', '--columns', '--table']), /^tags\.floor +\w+ +64 /m);
});

test('what has no effect is a line on stderr, once for all pages, and part of an explanation', async () => {
	for (const id of ['wa1', 'wa2', 'wa3']) await hub.createDevice(id);
	const line = /^twinhub: warning: wa1 is taken for a path, and no device has it: a value needs quotes, 'wa1'\n$/;
	const empty = await hub.cli(['query', 'SELECT * FROM devices WHERE deviceId = wa1']);
	assert.deepEqual([empty.code, JSON.parse(empty.stdout)], [0, []]);
	assert.match(empty.stderr, line);
	const pages = await hub.cli(['query', "SELECT deviceId FROM devices WHERE STARTSWITH(deviceId, 'wa') AND NOT IS_DEFINED(tag.x)", '--page-size', '1']);
	assert.equal(JSON.parse(pages.stdout).length, 3);
	assert.match(pages.stderr, /^twinhub: warning: no device has tag\.x[^\n]*\n$/);
	const explained = await cli(['query', 'SELECT * FROM devices WHERE deviceId = wa1', '--explain']);
	assert.match(explained.warning, /needs quotes, 'wa1'/);
	await cli(['twin', 'update', 'wa1', '--tags', '{"a-b":1}']);
});

test('E-64 --live and twin watch: what is found, and then what becomes of it, over a restart too', async () => {
	await hub.createDevice('live1');
	await tag('live1', { hall: 'a', n: 1 });
	const w = watching(['query', "SELECT tags.n FROM devices WHERE tags.hall = 'a'", '--live']);
	const events = (text) => text.trimEnd().split('\n').filter((line) => line !== '').map((line) => JSON.parse(line));
	await w.until((text) => text.includes('"ready"'), 'the first rows');
	assert.deepEqual(events(w.text)[0], { event: 'row', deviceId: 'live1', row: { n: 1 } });
	await tag('live1', { n: 2 });
	await w.until((text) => text.includes('"n":2'), 'the change');
	assert.equal(events(w.text).at(-1).event, 'change');
	const people = watching(['query', "SELECT tags.n FROM devices WHERE tags.hall = 'a'", '--live', '--table']);
	await people.until((text) => text === 'row     live1  {"n":2}\nready   1 rows\n', 'lines for people');
	const one = watching(['twin', 'watch', 'live1', '--table']);
	await one.until((text) => /^row     live1  \{"deviceId":"live1",.*\nready   1 rows\n$/.test(text) && !text.includes('$metadata'), 'the twin');
	await hub.restart();
	await tag('live1', { hall: 'b' });
	await w.until((text) => text.split('"ready"').length === 3, 'it begins anew');
	await one.until((text) => text.split('ready').length === 3, 'it begins anew');
	await tag('live1', { hall: 'a' });
	await w.until((text) => events(text).at(-1).event === 'enter', 'who enters then');
	assert.match(w.errors, /the hub ends it: the hub stops\ntwinhub: the connection has ended; again in 1 s, from the first row/);
	for (const each of [w, people, one]) each.child.kill('SIGINT');
	await w.ended();
	const refused = await hub.cli(['query', 'SELECT COUNT() FROM devices', '--live']);
	assert.equal(refused.code, 1);
	assert.match(refused.stderr, /cannot be watched/);
	assert.equal((await hub.cli(['query', 'SELECT * FROM devices', '--live', '--csv'])).code, 2);
	assert.equal((await hub.cli(['twin', 'watch', 'nobody'])).code, 4);
});

// Whatever drives a terminal, reverses text or is not seen, by whichever command and in whichever form: on a terminal it is escaped,
// and JSON stays the same JSON. A pipe gets it as it is.
const HIDDEN = '\u001b[31m\u009b2J\u202e\u2066\u2028\u200b\u00ad\u{e0041}\r';
test('nothing that a device or back end has stored drives the terminal, or hides on it', async () => {
	const id = 'hides', value = `a${HIDDEN}z`;
	await hub.createDevice(id);
	assert.equal((await hub.rest('PATCH', `/twins/${id}`, { body: { tags: { v: value, [`k${HIDDEN.replaceAll(/[\u0000-\u009f.$# ]/g, '')}`]: 1 } } })).status, 200);
	const made = await hub.rest('PUT', '/configurations/hides', { body: { id, labels: { l: 'a\u001b[31m' }, targetCondition: "tags.v = 'none'", priority: 1, content: { deviceContent: { 'properties.desired.v': value } } } });
	assert.equal(made.status, 200, made.text);
	const text = "SELECT deviceId, tags FROM devices WHERE deviceId = 'hides'";
	for (const args of [['twin', 'show', id], ['query', text], ['configuration', 'show', 'hides'], ['configuration', 'list'], ['export', '-']]) {
		for (const form of args[0] === 'export' ? [[]] : args[0] === 'query' ? [['--json'], ['--table'], ['--csv']] : [['--json'], ['--table']]) {
			const shown = watching([...args, ...form], { terminal: true }), what = [...args, ...form].join(' ');
			assert.equal((await shown.ended()).code, 0, what);
			assert.ok(shown.text.includes('a'), what);
			assert.doesNotMatch(shown.text.replaceAll(/\r+\n/g, '\n'), /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufffd\u{e0000}-\u{e007f}]/u, what);
			if (form[0] === '--json') assert.deepEqual(JSON.parse(shown.text), await cli([...args, ...form]), what);
		}
	}
	assert.ok(JSON.stringify(await cli(['twin', 'show', id])).includes('\u202e'), 'a pipe');
	const refused = watching(['twin', 'show', `x${HIDDEN}`], { terminal: true });
	await refused.ended();
	assert.match(refused.text, /^twinhub: [^\u0000-\u001f\u007f-\u009f\u202e]+\r\n$/u, refused.text);
});
