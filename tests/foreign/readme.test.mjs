// What the README shows, as it stands there.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';
import { REPOSITORY, startHub, stopAll, until } from '../lib/hub.mjs';
import { Program } from '../lib/program.mjs';
import { registryOf } from '../lib/sdk.mjs';

const require = createRequire(import.meta.url);
const blocks = [...fs.readFileSync(path.join(REPOSITORY, 'README.md'), 'utf8').matchAll(/^```js\n(.*?)^```$/gms)].map((m) => m[1]);
const block = (text) => blocks.find((b) => b.includes(text));
const hubs = [];
let hub;
before(async () => { hubs.push(hub = await startHub()); });
after(() => stopAll(...hubs));

test('R-59 the loop over pages reaches every twin once', async () => {
	const eachTwin = new Function(`${block('async function eachTwin')}; return eachTwin;`)();
	const lines = Array.from({ length: 250 }, (_, i) => `{"id":"page${i}"}\n`).join('');
	assert.equal((await hub.rest('POST', '/admin/import', { body: lines })).status, 200);
	const registry = await registryOf(hub), seen = [];
	await eachTwin(registry, "SELECT * FROM devices WHERE STARTSWITH(deviceId, 'page')", (twin) => seen.push(twin.deviceId));
	assert.deepEqual([seen.length, new Set(seen).size], [250, 250]);
	const query = registry.createQuery('SELECT deviceId FROM devices', 100);
	const [first, second] = [(await query.next()).result, (await query.next()).result];
	assert.deepEqual(second, first, 'next() of the SDK begins anew: if this fails, the README may say less');
});

test('the device and the back end of "In a minute" work as they are', async () => {
	await hub.createDevice('dev1');
	const env = { NODE_PATH: path.join(REPOSITORY, 'node_modules'), NODE_EXTRA_CA_CERTS: hub.ca, OWNER: await hub.connectionString('iothubowner'), DEVICE: await hub.deviceConnectionString('dev1') };
	const device = new Program(process.execPath, ['-e', block("Client.fromConnectionString(process.env.DEVICE")], env);
	assert.equal(await device.line((l) => l.startsWith('reported'), 'that it has reported'), 'reported, on disk');
	const backEnd = await new Program(process.execPath, ['-e', block('Registry.fromConnectionString')], env).end();
	assert.match(backEnd.stdout, /firmware: '1\.4\.2'/, backEnd.stderr);
	assert.match(await device.line((l) => l.includes('interval'), 'the desired change'), /5m/);
	await device.end('SIGTERM');
});

test('D-55 Client calls methods without open()', async () => {
	const { Client } = require('azure-iothub');
	const answer = await Client.fromConnectionString(await hub.connectionString('service')).invokeDeviceMethod('dev1', { methodName: 'm', responseTimeoutInSeconds: 5, connectTimeoutInSeconds: 0 }).catch((error) => error);
	assert.equal(answer.response.statusCode, 404); // it is offline by now, or has no such listener: HTTPS has answered
	await until(async () => (await hub.rest('GET', '/twins/dev1')).body.connectionState === 'Disconnected', 'dev1 has gone');
});

test('./up says how each SDK trusts the CA in the words of the README', () => {
	const readme = fs.readFileSync(path.join(REPOSITORY, 'README.md'), 'utf8').split('## Trusting')[1].split('\n## ')[0];
	const rows = [...readme.matchAll(/^\| (.*) \| (.*) \|$/gm)].map((m) => [m[1], m[2]].map((cell) => cell.replaceAll('`', ''))).slice(2);
	const said = execFileSync(path.join(REPOSITORY, 'scripts/trust'), ['/data & more/ca.pem'], { encoding: 'utf8' }).trimEnd().split('\n');
	assert.ok(rows.length > 5);
	assert.deepEqual(said, rows.map(([sdk, how]) => `  ${sdk.padEnd(20)}${how.replaceAll('/etc/twinhub-ca.pem', '/data & more/ca.pem')}`));
	assert.match(fs.readFileSync(path.join(REPOSITORY, 'up'), 'utf8'), /scripts\/trust \$ca/);
});
