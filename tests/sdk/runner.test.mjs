// Files of tests end with their last test: a client that is left open would keep one alive, and ./check with it.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { REPOSITORY, tempDir } from '../lib/hub.mjs';

test('a file that stays alive after its last test has failed', () => {
	const dir = tempDir('runner');
	const write = (name, text) => fs.writeFileSync(path.join(dir, name), `import { test } from 'node:test';\ntest('one', () => {});\n${text}`);
	write('ends.test.mjs', "test('slow', () => new Promise((resolve) => setTimeout(resolve, 3500)));");
	write('stays.test.mjs', 'setTimeout(() => {}, 5000);');
	const r = spawnSync(process.execPath, [path.join(REPOSITORY, 'tests/run.mjs'), '--linger', '3', '--jobs', '2', dir], { encoding: 'utf8' });
	assert.equal(r.status, 1, r.stdout);
	assert.match(r.stdout, /ends\.test\.mjs: 2 passed, 0 failed/);
	assert.match(r.stdout, /alive for \d+ s after its last test: something is left open[^]*stays\.test\.mjs: 1 passed, 1 failed/);
});
