// A stored record that is damaged while its hub serves: who asks for it gets 500, the log has who and which file, and is not filled with it.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { startHub, until } from '../lib/hub.mjs';

const DEVICES = 40;

// The table file of the sections, which RocksDB names in it, with a byte of its first block changed.
function damage(store) {
	for (const name of fs.readdirSync(store).filter((n) => n.endsWith('.sst'))) {
		const file = path.join(store, name), bytes = fs.readFileSync(file);
		if (!bytes.includes('wanted')) continue;
		bytes[100] ^= 0x10;
		fs.writeFileSync(file, bytes);
		return name;
	}
	throw new Error('no table file of sections');
}

test('O-05 O-24 a read that meets damage names file and record in the log, once and folded', async () => {
	const hub = await startHub({ args: ['--scrub-rate', '0', '--workers', '1'] });
	for (let i = 0; i < DEVICES; i++) {
		await hub.createDevice(`c${i}`);
		assert.equal((await hub.rest('PATCH', `/twins/c${i}`, { body: { properties: { desired: { text: `desired ${i} `.repeat(50) } } } })).status, 200);
	}
	await hub.kill();
	await hub.start(); // the log becomes a table
	await hub.stop();
	const name = damage(path.join(hub.dir, 'store'));
	await hub.start();
	const met = [];
	for (let i = 0; i < DEVICES; i++) if ((await hub.rest('GET', `/twins/c${i}`)).status === 500) met.push(`c${i}`);
	assert.ok(met.length > 0, 'a record is met');
	for (let i = 0; i < 20; i++) assert.equal((await hub.rest('GET', `/twins/${met[0]}`)).status, 500);
	const lines = (what) => hub.logs.split('\n').filter((line) => what.test(line)).length;
	const record = new RegExp(`level=error msg="a stored record is damaged" reason=failed by=hub why="[^"]+" device=${met[0]}$`);
	await until(() => lines(record) > 0, 'the line of the record');
	assert.ok(lines(record) <= 3, `${lines(record)} lines of 21 reads`);
	assert.equal(lines(new RegExp(`level=warn msg="Corruption: [^"]*${name}`)), 1, hub.logs);
	assert.match((await hub.rest('GET', '/statistics/store')).body.damagedFiles[0], new RegExp(`${name}$`));
	await hub.stop();
});
