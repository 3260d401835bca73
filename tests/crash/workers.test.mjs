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
	fleet = new Fleet(hub, { seed: chooseSeed('workers') });
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

for (const [args, code] of [[['--workers', '0'], 2], [['--workers', 'many'], 2], [['--workers', '-1'], 2]])
	test(`${args.join(' ')} is refused`, async () => {
		await assert.rejects(startHub({ args }), (error) => error.exitCode !== 0 && error.exitCode !== undefined, `exit code like ${code}`);
	});
