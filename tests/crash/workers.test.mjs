// The number of workers may change from start to start; the data stays the same.
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { startHub } from '../lib/hub.mjs';
import { Fleet, chooseSeed } from './fleet.mjs';

let hub, fleet;
after(async () => {
	fleet?.close();
	await hub?.stop();
});

test('2, 1 and 16 workers open the same data', { timeout: 300_000 }, async () => {
	hub = await startHub({ args: ['--workers', '2'] });
	fleet = new Fleet(hub, { seed: chooseSeed('workers'), events: true });
	await fleet.prepare();
	for (const workers of [2, 1, 16, 3, 1]) {
		fleet.start();
		const before = fleet.acknowledged;
		await fleet.during(10_000, () => fleet.acknowledged > before + 300);
		await fleet.stop();
		await hub.stop();
		hub.args = ['--workers', String(workers)];
		await hub.start();
		await fleet.verify();
		assert.ok(fleet.acknowledged > before);
	}
});

for (const count of ['65', 'many', '-1'])
	test(`${count} workers are refused`, async () => {
		const hub = startHub({ args: ['--workers', count] });
		await assert.rejects(hub, (error) => error.exitCode === 2 && /--workers/.test(error.message));
	});
