// Desired notifications as the device SDK gets them: live, after reconnection, after restarts of the hub.
// The SDK never subscribes to twin topics a second time; that they come all the same is the hub's stored session.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { startHub, stopAll, until } from '../lib/hub.mjs';
import { desire, registryOf, sdkDevice, twinOf } from '../lib/sdk.mjs';

let hub, registry;
const open = new Set();

before(async () => {
	hub = await startHub();
	registry = await registryOf(hub);
});
after(async () => {
	for (const d of open) await d.close().catch(() => {});
	await stopAll(hub);
});

async function listener(id) {
	const d = await sdkDevice(hub, id);
	open.add(d);
	await d.listen();
	return d;
}

// The link is up again as the hub sees it.
function connected(id) {
	return until(async () => (await twinOf(registry, id)).connectionState === 'Connected', `${id} is connected again`, { ms: 60_000 });
}

test('D-52 T-66 R-51 a desired change is notified as it was sent, with $version', async () => {
	const d = await listener('live');
	await desire(registry, 'live', { a: 1, deep: { x: [1, 2], gone: null } });
	assert.deepEqual(await d.notification(), { a: 1, deep: { x: [1, 2], gone: null }, $version: 2 });
	assert.equal(d.twin.properties.desired.a, 1);
	await desire(registry, 'live', { a: null });
	assert.deepEqual(await d.notification(), { a: null, $version: 3 });
});

test('T-67 T-38 an unchanged value is notified like a changed one', async () => {
	const d = await listener('same');
	await desire(registry, 'same', { a: 1 });
	await desire(registry, 'same', { a: 1 });
	assert.deepEqual(await d.notification(), { a: 1, $version: 2 });
	assert.deepEqual(await d.notification(), { a: 1, $version: 3 });
});

test('T-48 T-66 D-53 R-56 PUT notifies removed keys as null; tags are not notified', async () => {
	const d = await listener('put');
	await desire(registry, 'put', { a: 1, b: { c: 1, d: 2 } });
	assert.equal((await d.notification()).$version, 2);
	await registry.updateTwin('put', { tags: { quiet: true } }, '*');
	await hub.rest('PUT', '/twins/put', { body: { properties: { desired: { b: { d: 3 }, e: 'new' } } } });
	assert.deepEqual(await d.notification(), { a: null, b: { c: null, d: 3 }, e: 'new', $version: 3 });
	await hub.rest('PUT', '/twins/put', { body: { tags: { k: 1 } } });
	assert.deepEqual(await d.notification(), { b: null, e: null, $version: 4 });
});

test('T-69 a hundred changes come in order and none twice', async () => {
	const d = await listener('order');
	for (let n = 2; n <= 101; n++) await desire(registry, 'order', { n });
	for (let n = 2; n <= 101; n++) assert.deepEqual(await d.notification(), { n, $version: n });
	assert.equal(d.notifications.length, 0);
});

test('T-65 D-54 D-21 changes made while the device is away are not queued; its subscription is still there', async () => {
	const d = await listener('away');
	await d.close();
	await desire(registry, 'away', { missed: true });
	await d.client.open();
	await desire(registry, 'away', { seen: true });
	assert.deepEqual(await d.notification(), { seen: true, $version: 3 });
	const twin = await d.readTwin();
	assert.equal(twin.properties.desired.missed, true);
});

test('D-22 T-72 after a restart of the hub notifications go on without a new subscription', async () => {
	const d = await listener('restart');
	await hub.restart();
	await connected('restart');
	await desire(registry, 'restart', { after: 'restart' });
	assert.deepEqual(await d.notification(), { after: 'restart', $version: 2 });
});

test('D-22 T-72 after kill -9 of the hub notifications go on without a new subscription', async () => {
	const d = await listener('crash');
	await hub.kill();
	await hub.start();
	await connected('crash');
	await desire(registry, 'crash', { after: 'crash' });
	assert.deepEqual(await d.notification(), { after: 'crash', $version: 2 });
	await d.report({ alive: true });
	assert.equal((await twinOf(registry, 'crash')).properties.reported.alive, true);
});

test('T-70 T-111 reconnection flow: with writes racing it, document and notifications together miss nothing', async () => {
	const d = await listener('race');
	let last = 1;
	let writing = true;
	const writer = (async () => {
		while (writing) last = (await desire(registry, 'race', { [`k${last % 7}`]: last })).properties.desired.$version;
	})();
	for (let round = 0; round < 8; round++) {
		await d.close();
		await d.client.open();
		d.notifications.take();
		// The stored subscription is active already: read, then take only what is newer than the document.
		let { $version: known, ...document } = structuredClone((await d.readTwin()).properties.desired);
		for (let seen = 0; seen < 5;) {
			const { $version, ...patch } = await d.notification();
			if ($version <= known) continue;
			assert.equal($version, known + 1, 'no notification may be missing after the document');
			known = $version;
			Object.assign(document, patch);
			seen++;
		}
	}
	writing = false;
	await writer;
});
