// A twin's past (events.md 7): its history, the twin as it was, and `twinhub twin log|diff|show --at|restore`.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { mqttDevice, startHub, stopAll } from '../lib/hub.mjs';

let hub;

before(async () => { hub = await startHub(); });
after(() => stopAll(hub));

const patch = (id, body) => hub.rest('PATCH', `/twins/${id}`, { body });
const read = async (target) => {
	const answer = await hub.rest('GET', target);
	assert.equal(answer.status, 200, answer.text);
	return answer.body;
};
const what = ({ version, etag, tags, properties }) => ({ version, etag, tags, properties });

// A small generator: the same run each time.
function random(seed) {
	let s = seed;
	return (n) => { s = (s * 1103515245 + 12345) % 2147483648; return Math.floor(s / 65536) % n; };
}

function draw(below, depth = 0) {
	const object = {};
	for (let i = below(4); i >= 0; i--) {
		const kind = below(5);
		object[`k${below(4)}`] = kind === 0 ? null : kind === 1 && depth < 3 ? draw(below, depth + 1) : kind === 2 ? [below(3), 'x'] : kind === 3 ? `t${below(3)}` : below(100);
	}
	return object;
}

test('E-70 E-71 each state that a twin ever had is given back, to the last stamp, whoever changed it', async () => {
	const below = random(7), states = [];
	await hub.createDevice('each');
	states.push(await read('/twins/each'));
	const device = await mqttDevice(hub, 'each');
	for (let i = 0; i < 120; i++) {
		const kind = below(4);
		if (i === 60) await hub.restart();
		if (kind === 0 && i < 60) await device.report(draw(below));
		else if (kind === 1) await hub.rest('PUT', '/twins/each', { body: { tags: JSON.parse(JSON.stringify(draw(below), (k, v) => v ?? undefined)), properties: { desired: {} } } });
		else await patch('each', { tags: draw(below), properties: { desired: draw(below) } });
		states.push(await read('/twins/each'));
	}
	const kept = new Map(states.map((s) => [s.version, s]));
	assert.ok(kept.size > 60, `${kept.size} versions`);
	for (const [version, state] of kept) assert.deepEqual(what(await read(`/twins/each?atVersion=${version}`)), what(state), `version ${version}`);
	const history = await read('/twins/each/history');
	for (const entry of history.filter((e) => e.version)) {
		if (!kept.has(entry.version)) continue;
		assert.equal((await read(`/twins/each?at=${entry.time}`)).version >= entry.version, true);
	}
});

test('E-70 a history names who, what and what was before, page by page', async () => {
	await hub.createDevice('told');
	await patch('told', { tags: { a: { b: 1, c: 2 } } });
	await patch('told', { tags: { a: { b: null, d: 3 } } });
	await hub.rest('PUT', '/devices/told', { body: { deviceId: 'told', status: 'disabled' }, headers: { 'If-Match': '*' } });
	const history = await read('/twins/told/history');
	assert.deepEqual(history.map((e) => e.change), ['identityChanged', 'changed', 'changed', 'created']);
	assert.deepEqual(history[1].patch, { tags: { a: { b: null, d: 3 } } });
	assert.deepEqual(history[1].before, { tags: { a: { b: 1, d: null } } });
	assert.equal(history[0].identity.status, 'disabled');
	assert.equal(history[0].before.status, 'enabled');
	for (const e of history) assert.equal(e.actor, 'policy:iothubowner');
	let all = [], mark;
	do {
		const page = await hub.rest('GET', '/twins/told/history', { headers: { 'x-ms-max-item-count': '1', ...(mark ? { 'x-ms-continuation': mark } : {}) } });
		assert.equal(page.status, 200, page.text);
		assert.ok(page.body.length <= 1);
		all = all.concat(page.body);
		mark = page.headers['x-ms-continuation'];
	} while (mark);
	assert.deepEqual(all, history);
	assert.equal((await read(`/twins/told?at=${history[1].time}`)).status, 'enabled');
});

test('E-70 modules have one, and a twin that was made anew has no other\'s', async () => {
	await hub.createDevice('home');
	const make = () => hub.rest('PUT', '/devices/home/modules/m', { body: { deviceId: 'home', moduleId: 'm' } });
	await make();
	await hub.rest('PATCH', '/twins/home/modules/m', { body: { tags: { old: true } } });
	const old = await hub.rest('GET', '/twins/home/modules/m/history', { headers: { 'x-ms-max-item-count': '1' } });
	await hub.rest('DELETE', '/devices/home/modules/m', { headers: { 'If-Match': '*' } });
	assert.equal((await hub.rest('GET', '/twins/home/modules/m/history')).status, 404);
	await make();
	assert.deepEqual((await read('/twins/home/modules/m/history')).map((e) => e.change), ['created']);
	const stale = await hub.rest('GET', '/twins/home/modules/m/history', { headers: { 'x-ms-continuation': old.headers['x-ms-continuation'] } });
	assert.equal(stale.status, 400);
	assert.match(stale.text, /made anew/);
});

test('E-72 what never was is 404, what is asked for wrongly 400, each says why', async () => {
	await hub.createDevice('wrong');
	const refused = async (target, status, says) => {
		const answer = await hub.rest('GET', target);
		assert.equal(answer.status, status, answer.text);
		assert.match(answer.text, says);
	};
	await refused('/twins/wrong?atVersion=1', 404, /was made at/);
	await refused('/twins/wrong?at=2020-01-01T00:00:00Z', 404, /was made at/);
	await refused('/twins/wrong?at=soon', 400, /at is not a time/);
	await refused('/twins/wrong?atVersion=x', 400, /atVersion is not a positive number/);
	await refused('/twins/wrong?atVersion=2&at=2030-01-01T00:00:00Z', 400, /exclude each other/);
	await refused('/twins/wrong?atVersion=99', 404, /no step had version 99/);
	await refused('/twins/nobody?atVersion=2', 404, /DeviceNotFound/);
	await refused('/twins/nobody/modules/m/history', 404, /DeviceNotFound/);
	await refused('/twins/wrong/modules/m/history', 404, /ModuleNotFound.*wrong\/m/);
	await refused('/twins/wrong/modules/m?at=2020-01-01T00:00:00Z', 404, /ModuleNotFound.*wrong\/m/);
	assert.equal((await hub.rest('GET', '/twins/wrong/history', { policy: 'device' })).status, 401);
	assert.equal((await hub.rest('GET', '/twins/wrong/history', { headers: { 'x-ms-continuation': 'x' } })).status, 400);
});

test('E-73 `twinhub twin log`, `show --at-version`, `diff` and `restore`', async () => {
	await hub.createDevice('kept');
	await patch('kept', { tags: { a: 1 }, properties: { desired: { x: { y: 1 } } } });
	await patch('kept', { tags: { a: 2, b: 1 }, properties: { desired: { x: { y: 2 } } } });
	const run = async (...args) => {
		const done = await hub.cli(args);
		assert.equal(done.code, 0, done.stderr);
		return done.stdout;
	};
	assert.match(await run('twin', 'log', 'kept', '--table'), /^\S+ {2}v4 {2}changed {2}policy:iothubowner {2}\{.*\}\n/);
	assert.equal(JSON.parse(await run('twin', 'show', 'kept', '--at-version', '3', '--json')).tags.a, 1);
	assert.deepEqual((await run('twin', 'diff', 'kept', '--at-version', '3')).trim().split('\n'), ['tags.a: 1 -> 2', 'tags.b: (none) -> 1', 'properties.desired.x.y: 1 -> 2']);
	await run('twin', 'restore', 'kept', '--at-version', '3', '--dry-run');
	assert.equal((await read('/twins/kept')).tags.a, 2);
	await run('twin', 'restore', 'kept', '--at-version', '3');
	const { tags, properties } = await read('/twins/kept');
	assert.deepEqual(tags, { a: 1 });
	assert.deepEqual(properties.desired.x, { y: 1 });
	assert.equal(await run('twin', 'diff', 'kept', '--at-version', '3'), '');
	assert.equal((await hub.cli(['twin', 'diff', 'kept'])).code, 2);
});
