// The configuration tutorial, run as a user runs it: examples/tutorial/*.js as processes of their own.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import path from 'node:path';
import { startHub, stopAll, REPOSITORY, within, until, Inbox } from '../lib/hub.mjs';

const TUTORIAL = path.join(REPOSITORY, 'examples/tutorial');
let hub, owner;
const programs = new Set();

before(async () => {
	hub = await startHub();
	owner = await hub.connectionString();
});
after(async () => {
	for (const p of programs) p.kill('SIGKILL');
	await stopAll(hub);
});

// A tutorial program: its lines as they come, its end.
function start(name, args, env = {}) {
	const child = spawn(process.execPath, [path.join(TUTORIAL, name), ...args],
		{ env: { ...process.env, ...env, NODE_EXTRA_CA_CERTS: hub.ca }, stdio: ['ignore', 'pipe', 'pipe'] });
	const lines = new Inbox(), all = [];
	let rest = '';
	const read = (text) => {
		const parts = (rest + text).split('\n');
		rest = parts.pop();
		for (const line of parts) { all.push(line); lines.push(line); }
	};
	child.stdout.setEncoding('utf8').on('data', read);
	child.stderr.setEncoding('utf8').on('data', read);
	programs.add(child);
	const ended = new Promise((resolve) => child.on('close', (code) => { programs.delete(child); resolve(code); }));
	return {
		all,
		kill: (signal = 'SIGKILL') => { child.kill(signal); return ended; },
		line: (part) => lines.next((l) => l.includes(part), `"${part}" from ${name}; it said:\n${all.join('\n')}\n`, 30_000),
		end: () => within(ended, `${name} to end`, 60_000),
	};
}

async function register(id) {
	const program = start('register.js', [owner, id]);
	assert.equal(await program.end(), 0, program.all.join('\n'));
	return program.all[0];
}

async function reported(id) {
	return (await hub.rest('GET', `/twins/${id}`)).body.properties.reported.telemetryConfig;
}

test('register.js registers a device once and finds it again', async () => {
	const first = await register('tutorial-0');
	assert.match(first, /^HostName=127\.[\d.]+;DeviceId=tutorial-0;SharedAccessKey=\S{44}$/);
	assert.equal(await register('tutorial-0'), first);
});

test('T-109 T-111 T-112 the tutorial: Pending with pendingConfig; killed there the device goes on, to Success without it', async () => {
	const connectionString = await register('tutorial-1');
	const first = start('device.js', [connectionString], { APPLY_SECONDS: '600' });
	await first.line('following');
	const backend = start('backend.js', [owner, 'tutorial-1', '5m']);
	await first.line('reported Pending');
	const pending = await reported('tutorial-1');
	assert.equal(pending.status, 'Pending');
	assert.equal(pending.pendingConfig.sendFrequency, '5m');
	assert.equal('sendFrequency' in pending, false, 'the old values stay in force until the end');
	await first.kill('SIGKILL');
	const second = start('device.js', [connectionString], { APPLY_SECONDS: '0.2' });
	await second.line('reported Success');
	assert.equal(await backend.end(), 0, backend.all.join('\n'));
	const done = await reported('tutorial-1');
	assert.deepEqual(Object.keys(done).sort(), ['configId', 'sendFrequency', 'status']);
	assert.equal(done.status, 'Success');
	assert.equal(done.sendFrequency, '5m');
	assert.ok(backend.all.some((l) => l.includes('query: tutorial-1 has status Success')), backend.all.join('\n'));
	await second.kill('SIGTERM');
});

test('T-109 the tutorial: Failed with the reason on a value that the device cannot use; old values stay', async () => {
	const device = start('device.js', [await register('tutorial-2')], { APPLY_SECONDS: '0.2' });
	await device.line('following');
	assert.equal(await start('backend.js', [owner, 'tutorial-2', '24h']).end(), 0);
	const backend = start('backend.js', [owner, 'tutorial-2', 'sometimes']);
	assert.equal(await backend.end(), 1, backend.all.join('\n'));
	const failed = await reported('tutorial-2');
	assert.equal(failed.status, 'Failed');
	assert.match(failed.reason, /"sometimes"/);
	assert.equal(failed.sendFrequency, '24h');
	assert.equal(failed.pendingConfig.sendFrequency, 'sometimes');
	assert.equal(await start('backend.js', [owner, 'tutorial-2', '10m']).end(), 0);
	const mended = await reported('tutorial-2');
	assert.deepEqual(Object.keys(mended).sort(), ['configId', 'sendFrequency', 'status']);
	await device.kill('SIGTERM');
});

test('T-111 T-110 a newer configuration that comes while one is pending replaces it', async () => {
	const connectionString = await register('tutorial-4');
	const first = start('device.js', [connectionString], { APPLY_SECONDS: '600' });
	await first.line('following');
	const older = start('backend.js', [owner, 'tutorial-4', '1m']);
	await first.line('reported Pending');
	const newer = start('backend.js', [owner, 'tutorial-4', '2m']);
	await first.line('a newer configuration');
	await first.line('reported Pending');
	const pending = await reported('tutorial-4');
	assert.deepEqual([pending.status, pending.pendingConfig.sendFrequency], ['Pending', '2m']);
	await first.kill('SIGKILL');
	const second = start('device.js', [connectionString], { APPLY_SECONDS: '0.2' });
	assert.equal(await newer.end(), 0, newer.all.join('\n'));
	assert.equal((await reported('tutorial-4')).sendFrequency, '2m');
	assert.notEqual(await older.kill(), 0);
	assert.ok(!older.all.some((l) => l.includes('applied')), older.all.join('\n'));
	await second.kill('SIGTERM');
});

test('T-111 a change made while hub and device were apart is fetched on reconnection', async () => {
	const device = start('device.js', [await register('tutorial-5')], { APPLY_SECONDS: '0.2' });
	await device.line('following');
	await hub.kill();
	await hub.start();
	const patch = { properties: { desired: { telemetryConfig: { configId: 'after-crash', sendFrequency: '7m' } } } };
	assert.equal((await hub.rest('PATCH', '/twins/tutorial-5', { body: patch })).status, 200);
	await until(async () => (await reported('tutorial-5'))?.status === 'Success', 'the device has applied after-crash', { ms: 60_000 });
	assert.equal((await reported('tutorial-5')).configId, 'after-crash');
	await device.kill('SIGTERM');
});
