// A hub that waits for room waits: no thread turns in vain. On a small tmpfs of its own; needs root to mount it.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { startHub, tempDir, until } from '../lib/hub.mjs';

const SLOW = Number(process.env.TWINHUB_TEST_SLOW ?? 1);
const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

// Of all threads, in seconds.
function cpuSeconds(pid) {
	const fields = fs.readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
	return (Number(fields[11]) + Number(fields[12])) / 100;
}

test('O-02 a hub that waits for room costs next to nothing', { skip: process.getuid() !== 0 && 'no right to mount: run as root' }, async (t) => {
	const mount = tempDir('full-idle');
	execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=200m', 'tmpfs', mount]);
	t.after(() => execFileSync('umount', ['-l', mount]));
	const hub = await startHub({ dir: path.join(mount, 'data'), args: ['--memory', '64M'] });
	const { bavail, bsize } = fs.statfsSync(mount);
	execFileSync('fallocate', ['-l', String(bavail * bsize - (8 << 20)), path.join(mount, 'ballast')]);
	await until(async () => (await hub.rest('GET', '/readyz', { token: null, apiVersion: null })).status === 503, 'changes are refused');
	await pause(12_000); // what is due is looked at every ten seconds
	const before = cpuSeconds(hub.pid);
	await pause(2000);
	const took = cpuSeconds(hub.pid) - before;
	await hub.kill();
	assert.ok(took < 0.6 * SLOW, `${took} s of CPU in 2 s`);
});
