// Hubs for tests as users start them: serve --ephemeral, with a pipe for standard input.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { BINARY, restRequest, parseConnectionString, sasToken, tempDir, until } from './hub.mjs';

const started = [];

export const endAll = () => started.forEach((p) => p.kill('SIGKILL'));
// What ends with the test.
export function endLater(child) {
	started.push(child);
	return child;
}

// A hub and its ready line; rest(method, path, {body}) asks it in the name of its owner.
export async function ephemeral(...args) {
	const tmp = tempDir('ephemeral');
	const hub = endLater(spawn(BINARY, ['serve', '--ephemeral', ...args], { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, TMPDIR: tmp, TWINHUB_DATA: '/nowhere', TWINHUB_MEMORY: 'nonsense' } }));
	let out = '', err = '';
	hub.stdout.on('data', (d) => { out += d; });
	hub.stderr.on('data', (d) => { err += d; });
	await until(() => out.endsWith('\n') || hub.exitCode !== null, 'the hub serves');
	assert.equal(hub.exitCode, null, err);
	const ready = JSON.parse(out);
	const { SharedAccessKey: key } = parseConnectionString(ready.connectionStrings.iothubowner);
	const ca = fs.readFileSync(ready.ca, 'utf8');
	const rest = (method, target, { skew = 0, ...options } = {}) => restRequest({ host: ready.address, port: ready.httpsPort, ca, method, path: target,
		authorization: sasToken({ resource: ready.hostName, key, policy: 'iothubowner', ttl: 3600 + skew }), ...options });
	return { hub, tmp, ready, ca, rest, log: () => err };
}
