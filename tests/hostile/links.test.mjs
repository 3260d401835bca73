// Very many links, each of which holds no more than it may: half a packet, answers that it does not read. What all of them
// hold together is bounded, who holds most is closed and the log says so. Architecture.md "Bounds".
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { publishPacket, until } from '../lib/hub.mjs';
import { SLOW, Scene, rssBytes } from './harness.mjs';

const MB = 2 ** 20, HELD = 64 * MB, LINKS = 600;

let scene;
before(async () => {
	const devices = Array.from({ length: LINKS }, (_, i) => `d${i}`);
	scene = await Scene.start({ args: ['--memory', '64M'], lists: ['/statistics/devices'], prepare: async (s) => {
		for (let i = 0; i < LINKS; i += 100) {
			const added = await s.rest('POST', '/devices', { body: devices.slice(i, i + 100).map((id) => ({ id, importMode: 'create' })) });
			assert.equal(added.status, 200, added.text);
		}
		const big = Object.fromEntries(Array.from({ length: 7 }, (_, i) => [`big${i}`, 'x'.repeat(3900)]));
		const job = await s.rest('POST', '/admin/import', { headers: { 'content-type': 'application/x-ndjson' },
			body: devices.slice(0, 300).map((id) => JSON.stringify({ id, importMode: 'updateTwin', properties: { desired: big } })).join('\n') });
		assert.equal(job.status, 200, job.text);
		for (const identity of (await s.rest('GET', '/devices?top=1000')).body) s.keys[identity.deviceId] = identity.authentication.symmetricKey.primaryKey;
	} });
});
after(() => scene?.stop());

const cut = () => (scene.hub.logs.match(/reason=link-bytes/g) ?? []).length;

// Links of d[from] to d[to]; each is left as `act` leaves it.
async function links(made, from, to, act) {
	for (let i = from; i < to; i++) {
		const link = await scene.device(`d${i}`, { plain: true });
		link.socket.pause();
		act(link);
		made.push(link);
	}
}

async function held(from, to, act) {
	const before = await scene.settled(), was = cut();
	let most = 0;
	const look = setInterval(() => { most = Math.max(most, rssBytes(scene.hub.pid) - before); }, 20);
	const made = [];
	try {
		await links(made, from, to, act);
		await until(() => cut() > was, 'the first link to be closed for what all hold', 60_000 * SLOW);
		await scene.servesOthers();
	} finally { clearInterval(look); }
	if (SLOW === 1) assert.ok(most < HELD + 80 * MB, `${most} bytes for ${to - from} links`);
	for (const link of made) link.destroy();
	await scene.holds();
}

describe('what all links hold together', () => {
	test('half a packet each, more in all than there is room for', () =>
		held(300, 600, (link) => link.send(Buffer.concat([Buffer.from([0x30, 0xff, 0xff, 0x12]), Buffer.alloc(300_000, 'x')])))); // of 311,295 bytes
	test('answers that nobody reads, each less than one link may leave', () =>
		held(0, 300, (link) => link.send(Buffer.concat(Array.from({ length: 25 }, (_, i) => publishPacket(`$iothub/twin/GET/?$rid=${i}`, ''))))));
});
