// kill -9 while backups are made, again and again: what bears the name of a backup is whole, and nothing is left of the others. O-161.
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { startHub, tempDir, until } from '../lib/hub.mjs';
import { chooseSeed, randomFrom } from './fleet.mjs';

const SLOW = Number(process.env.TWINHUB_TEST_SLOW ?? 1);
const ROUNDS = Math.min(Number(process.env.TWINHUB_CRASH_ROUNDS ?? 2), 30);
const sha256 = (file) => crypto.createHash('sha256').update(fs.readFileSync(file)).digest('hex');
const named = (dir) => fs.readdirSync(dir).filter((name) => /^twinhub-\d{8}T\d{6}Z$/.test(name)).sort();
const partial = (dir) => fs.readdirSync(dir).filter((name) => name.endsWith('.partial'));

let hub;
after(() => hub?.stop());

function whole(dir) {
	const m = JSON.parse(fs.readFileSync(path.join(dir, 'backup.json')));
	for (const file of m.files) assert.deepEqual([file.name, sha256(path.join(dir, file.name))], [file.name, file.sha256], dir);
	return m;
}

// On the hub's own file system, and on another one, where tables are copied.
const other = fs.existsSync('/dev/shm') && fs.statSync('/dev/shm').dev !== fs.statSync(tempDir('disk')).dev && fs.mkdtempSync('/dev/shm/twinhub-test-');
after(() => other && fs.rmSync(other, { recursive: true, force: true }));

for (const dir of [path.join(tempDir('killed'), 'backups'), other].filter(Boolean))
	test(`O-161 ${ROUNDS} times SIGKILL while backups are made in ${path.dirname(dir)}`, { timeout: ROUNDS * 60_000 * SLOW }, async (t) => {
		const random = randomFrom(chooseSeed('backup-kill'));
		await hub?.stop();
		hub = await startHub({ args: ['--backup-dir', dir, '--backup-every', '1', '--backup-keep', '3', '--memory', '64M'] });
		let ncut = 0, nstage = 0, nwhole = 0, made = 0;
		for (let round = 0; round < ROUNDS; round++) {
			for (let i = 0; i < 20; i++) await hub.createDevice(`r${round}-${i}`);
			made += 20;
			// Now and then in the midst of one, now and then at any time.
			if (round % 2 === 0) await until(() => partial(dir).length > 0, 'one is under way', { pauseMs: 1 });
			await new Promise((resolve) => setTimeout(resolve, random() * (round % 2 === 0 ? 300 : 1200) * SLOW));
			await hub.kill();
			ncut += partial(dir).length;
			nstage += Number(fs.existsSync(path.join(hub.dir, 'backup.stage')) || fs.existsSync(path.join(hub.dir, 'backup.stage.partial')));
			const there = named(dir);
			for (const name of there) whole(path.join(dir, name));
			nwhole += there.length;
			await hub.start();
		}
		// Left alone, it makes one of all there is, and cleans up.
		const last = named(dir).at(-1) ?? '';
		const fresh = await until(() => named(dir).find((name) => name > last && whole(path.join(dir, name)).identities === made), 'one of all');
		const target = path.join(tempDir('killed'), 'restored');
		const checked = await hub.cli(['check', '--data', path.join(dir, fresh)], { data: false });
		assert.ok(checked.code === 0 || !fs.existsSync(path.join(dir, fresh)), checked.stderr);
		await hub.stop();
		assert.deepEqual(partial(dir), []);
		assert.ok(named(dir).length <= 4 && named(dir).length >= 1, named(dir).join());
		assert.ok(!fs.existsSync(path.join(hub.dir, 'backup.stage')));
		const restored = await hub.cli(['restore', path.join(dir, named(dir).at(-1)), '--data', target], { data: false });
		assert.equal(restored.code, 0, restored.stderr);
		t.diagnostic(`${ncut} cut short in the directory, ${nstage} in the data directory, ${nwhole} whole ones looked at`);
		assert.ok(ncut > 0 || ROUNDS < 4, 'none was ever hit');
	});
