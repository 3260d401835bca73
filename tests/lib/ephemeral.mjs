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

// The same with what mqttDevice and sdkDevice ask of a hub; stop() fails unless it ends well.
export async function testHub(...args) {
	const { hub, ready, rest, log } = await ephemeral(...args);
	const addr = ready.address;
	const createDevice = async (id) => {
		const answer = await rest('PUT', `/devices/${id}`, { body: { deviceId: id } });
		assert.equal(answer.status, 200, answer.text);
		return answer.body;
	};
	const key = async (id) => (await rest('GET', `/devices/${id}`)).body.authentication.symmetricKey.primaryKey;
	return { addr, mqttsPort: ready.mqttsPort, httpsPort: ready.httpsPort, ca: ready.ca, connectionStrings: ready.connectionStrings, pem: fs.readFileSync(ready.ca, 'utf8'), rest, log, createDevice, key,
		deviceConnectionString: async (id) => `HostName=${addr};DeviceId=${id};SharedAccessKey=${await key(id)}`,
		async stop() {
			const end = new Promise((resolve) => hub.once('exit', (code, signal) => resolve([code, signal])));
			hub.stdin.end();
			assert.deepEqual(await end, [0, null], log());
			assert.doesNotMatch(log(), /ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:/);
		} };
}
