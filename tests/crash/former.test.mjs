// Data directories of former programs, of each stored format, open on this one, and show what they showed. They were made by
// former/make.mjs: one was stopped, one killed with all of it in its log. The hub's clock says what it said then, for jobs are
// forgotten after a month.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { BINARY, Hub, REPOSITORY, freeAddress, mqttDevice, stopAll, tempDir } from '../lib/hub.mjs';
import { show } from './former/fleet.mjs';

const CHECK_MS = 180_000 * Number(process.env.TWINHUB_TEST_SLOW ?? 1);
const LIBRARY = path.join(path.dirname(BINARY), 'libset_clock.so');
const scratch = tempDir('former');
const hubs = [];
const FORMATS = [1, 2, 3];
const read = (dir) => JSON.parse(fs.readFileSync(`${dir}.json`, 'utf8'));

before(() => {
	assert.ok(fs.existsSync(LIBRARY), `no ${LIBRARY}: build the target set_clock`);
	process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'; // certificates of then end a year later
	for (const format of FORMATS) {
		fs.mkdirSync(path.join(scratch, String(format)));
		execFileSync('tar', ['-C', path.join(scratch, String(format)), '-xf', path.join(REPOSITORY, `tests/crash/former/format${format}.tar.xz`)]);
	}
});
after(() => stopAll(...hubs));

async function open(dir, clock) {
	const hub = new Hub({ addr: await freeAddress(), dir, env: { LD_PRELOAD: LIBRARY, TWINHUB_CLOCK: String(clock + 60),
		ASAN_OPTIONS: `${process.env.ASAN_OPTIONS ?? ''}:verify_asan_link_order=0` } });
	hubs.push(hub);
	await hub.start();
	return hub;
}

const MEMORY_ONLY = ['connectionStateUpdatedTime', 'lastActivityTime']; // lost by a kill, as they move without a record

// Where what is shown now lacks or contradicts what was shown then. It may say more.
function differences(then, now, at = '') {
	if (typeof then !== 'object' || then === null) return Object.is(then, now) ? [] : [`${at}: ${JSON.stringify(then)}, now ${JSON.stringify(now)}`];
	if (typeof now !== 'object' || now === null || Array.isArray(then) !== Array.isArray(now)) return [`${at}: ${JSON.stringify(then)}, now ${JSON.stringify(now)}`];
	if (Array.isArray(then) && then.length !== now.length) return [`${at}: ${then.length} elements, now ${now.length}`];
	return Object.keys(then).filter((key) => !MEMORY_ONLY.includes(key)).flatMap((key) => differences(then[key], now[key], `${at}/${key}`));
}

for (const [format, name] of FORMATS.flatMap((format) => [[format, 'stopped'], [format, 'killed']])) {
	test(`a directory of format ${format} that was ${name} shows what it showed, is written, backed up and restored`, { timeout: 4 * CHECK_MS }, async () => {
		const dir = path.join(scratch, String(format), name), { clock, shown } = read(dir);
		const env = { LD_PRELOAD: LIBRARY, TWINHUB_CLOCK: String(clock + 60) };
		const checked = new Hub({ addr: '127.0.0.1', dir, env });
		const check = await checked.cli(['check', '--json'], { timeout: CHECK_MS });
		assert.equal(check.code, 0, check.stdout + check.stderr);
		assert.ok(JSON.parse(check.stdout).records > 90, check.stdout);

		const hub = await open(dir, clock);
		const now = await show(hub, format);
		for (const part of Object.keys(shown)) {
			assert.deepEqual(Object.keys(now[part]).sort(), Object.keys(shown[part]).sort(), part);
			assert.deepEqual(differences(shown[part], now[part], part), []);
		}
		const device = await mqttDevice(hub, 'plain', { filters: [], login: { clean: false } });
		assert.equal(device.sessionPresent, true, 'the durable session is there');
		assert.equal((await hub.rest('PATCH', '/twins/plain', { body: { properties: { desired: { after: 1 } } } })).status, 200);
		const told = await device.notification();
		assert.equal(told.body.after, 1, 'on the filter of then');
		await device.disconnect();

		const to = `${dir}-backup`, restored = `${dir}-restored`;
		assert.equal((await hub.cli(['backup', to], { timeout: CHECK_MS })).code, 0);
		const last = await show(hub, format);
		await hub.stop();
		assert.ok(/"sum"/.test(fs.readFileSync(path.join(dir, 'policies.json'), 'utf8')), 'it has a checksum now');
		assert.equal((await hub.cli(['check'], { timeout: CHECK_MS })).code, 0);
		assert.equal((await hub.cli(['restore', to, '--data', restored], { timeout: CHECK_MS, data: false })).code, 0);
		const again = await open(restored, clock);
		const found = await show(again, format);
		for (const part of ['identities', 'modules', 'configurations', 'jobs', 'results']) assert.deepEqual(differences(last[part], found[part], part), []);
		await again.stop();
	});
}
