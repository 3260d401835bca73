// kill -9 at any moment: nothing acknowledged is lost, no document is torn, nothing shown is taken back, and the log tells of each change once.
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { startHub } from '../lib/hub.mjs';
import { Fleet, chooseSeed, randomFrom } from './fleet.mjs';

const SLOW = Number(process.env.TWINHUB_TEST_SLOW ?? 1);
const ROUNDS = Number(process.env.TWINHUB_CRASH_ROUNDS ?? 10);
const WORKERS = [2, 1, 3, 2, 16];

let hub, fleet;
after(async () => {
	fleet?.close();
	await hub?.stop();
});

test(`E-01 E-02 E-03 E-28 ${ROUNDS} times SIGKILL under load`, { timeout: ROUNDS * 120_000 * SLOW }, async (t) => {
	const seed = chooseSeed('kill');
	const random = randomFrom(seed);
	hub = await startHub();
	fleet = new Fleet(hub, { seed, events: true });
	await fleet.prepare();
	for (let round = 1; round <= ROUNDS; round++) {
		const before = fleet.acknowledged, times = [Date.now()];
		fleet.start();
		await fleet.during(100 + random() * 1500 * SLOW);
		await fleet.crash();
		times.push(Date.now());
		if (round % 5 === 1) {
			const check = await hub.cli(['check'], { timeout: 120_000 * SLOW });
			assert.equal(check.code, 0, `check after round ${round}: ${check.stdout}${check.stderr}`);
		}
		hub.args = ['--workers', String(WORKERS[round % WORKERS.length])];
		times.push(Date.now());
		await hub.start();
		times.push(Date.now());
		await fleet.verify();
		times.push(Date.now());
		const [load, check, start, verify] = times.slice(1).map((time, i) => time - times[i]);
		t.diagnostic(`round ${round}: ${fleet.acknowledged - before} acknowledged writes are there; ` +
			`load ${load} ms, check ${check} ms, start ${start} ms, comparison ${verify} ms`);
	}
	t.diagnostic(`${fleet.events.events} events`);
	assert.ok(fleet.events.events > fleet.acknowledged, 'each change has its event');
	assert.ok(fleet.acknowledged > ROUNDS * 20, `only ${fleet.acknowledged} writes were acknowledged: no load`);
});
