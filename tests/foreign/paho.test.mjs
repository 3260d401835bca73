// Debian's python3-paho-mqtt as a device, over TCP and over WebSocket.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeCertificate, mqttUsername, sasToken, startHub, stopAll, tempDir, until } from '../lib/hub.mjs';
import { Program, runProgram } from '../lib/program.mjs';
import { walHolds, walProperty } from '../lib/wal.mjs';

const PYTHON = '/usr/bin/python3'; // Debian's, which has Debian's packages
const here = (name) => fileURLToPath(new URL(name, import.meta.url));
let hub;
before(async () => { hub = await startHub(); });
after(() => stopAll(hub));

class PahoDevice {
	constructor(configuration) { this.program = new Program(PYTHON, [here('paho_device.py'), JSON.stringify(configuration)]); }

	static async open(id, transport, more = {}) {
		const known = await hub.rest('GET', `/devices/${id}`);
		const key = (known.status === 200 ? known.body : await hub.createDevice(id)).authentication.symmetricKey?.primaryKey;
		const device = new PahoDevice({ host: hub.addr, port: transport === 'tcp' ? 8883 : 443, ca: hub.ca, transport, id, username: mqttUsername(hub.addr, id),
			...(key ? { password: sasToken({ resource: `${hub.addr}/devices/${id}`, key }) } : {}), ...more });
		device.connected = await device.heard('connect');
		return device;
	}

	tell(...command) { this.program.write(`${JSON.stringify(command)}\n`); }

	async heard(kind, test = () => true) {
		return JSON.parse(await this.program.line((line) => { const said = JSON.parse(line); return said.kind === kind && test(said); }, kind));
	}

	async subscribe(...filters) {
		this.tell('subscribe', ...filters.map((f) => [f, 0]));
		return (await this.heard('granted')).qos;
	}

	message(start) { return this.heard('message', (m) => m.topic.startsWith(start)); }

	async close() {
		this.tell('disconnect');
		assert.equal((await this.heard('disconnect')).code, 0);
		this.program.child.stdin.end();
		return this.program.end();
	}
}

for (const transport of ['tcp', 'websockets']) {
	test(`D-43 D-45 D-50 D-52 D-55 D-57 paho over ${transport}: twin, reported, desired, methods, telemetry`, async () => {
		const id = `paho-${transport}`, d = await PahoDevice.open(id, transport);
		assert.deepEqual([d.connected.code, d.connected.session], [0, 0]);
		assert.deepEqual(await d.subscribe('$iothub/twin/res/#', '$iothub/twin/PATCH/properties/desired/#', '$iothub/methods/POST/#'), [0, 0, 0]);
		d.tell('publish', '$iothub/twin/GET/?$rid=1', '');
		const twin = await d.message('$iothub/twin/res/200/?$rid=1');
		assert.deepEqual(JSON.parse(twin.payload), { desired: { $version: 1 }, reported: { $version: 1 } });
		d.tell('publish', '$iothub/twin/PATCH/properties/reported/?$rid=2', '{"é":"ü"}', 1);
		assert.match((await d.message('$iothub/twin/res/')).topic, /^\$iothub\/twin\/res\/204\/\?\$rid=2&\$version=2$/);
		await hub.rest('PATCH', `/twins/${id}`, { body: { properties: { desired: { ß: 1 } } } });
		assert.deepEqual(JSON.parse((await d.message('$iothub/twin/PATCH/')).payload), { ß: 1, $version: 2 });
		const call = hub.rest('POST', `/twins/${id}/methods`, { body: { methodName: 'go', payload: [1] } });
		const asked = await d.message('$iothub/methods/POST/go/');
		assert.equal(asked.payload, '[1]');
		d.tell('publish', `$iothub/methods/res/201/?$rid=${/rid=(.*)$/.exec(asked.topic)[1]}`, '{"ok":true}');
		assert.deepEqual((await call).body, { status: 201, payload: { ok: true } });
		d.tell('publish', `devices/${id}/messages/events/a=b`, `telemetry of ${id}`, 1);
		await until(() => walHolds(hub, `telemetry of ${id}`), 'the telemetry in the log');
		await d.close();
	});

	test(`D-22 paho over ${transport} comes back by itself after a restart of the hub, with its session`, async () => {
		const id = `paho-back-${transport}`, d = await PahoDevice.open(id, transport, { clean: false });
		await d.subscribe('$iothub/twin/PATCH/properties/desired/#');
		await hub.restart();
		await d.heard('disconnect');
		const again = await d.heard('connect');
		assert.deepEqual([again.code, again.session], [0, 1]);
		await hub.rest('PATCH', `/twins/${id}`, { body: { properties: { desired: { back: true } } } });
		assert.deepEqual(JSON.parse((await d.message('$iothub/twin/PATCH/')).payload), { back: true, $version: 2 });
		await d.close();
	});

	test(`D-18 paho over ${transport} with a certificate`, async () => {
		const id = `paho-x509-${transport}`, dir = tempDir('paho'), leaf = makeCertificate({ dir, cn: id });
		fs.writeFileSync(path.join(dir, 'leaf.pem'), leaf.cert);
		fs.writeFileSync(path.join(dir, 'leaf.key'), leaf.key);
		await hub.createDevice(id, { authentication: { type: 'selfSigned', x509Thumbprint: { primaryThumbprint: leaf.sha1 } } });
		const d = await PahoDevice.open(id, transport, { cert: path.join(dir, 'leaf.pem'), key: path.join(dir, 'leaf.key') });
		assert.equal(d.connected.code, 0);
		await d.close();
	});

	test(`D-15 D-35 D-82 paho over ${transport}: a wrong key is code 5; # is granted, $SYS is not`, async () => {
		const id = `paho-no-${transport}`;
		await hub.createDevice(id);
		const key = Buffer.alloc(32, 3).toString('base64');
		const refused = await PahoDevice.open(id, transport, { password: sasToken({ resource: `${hub.addr}/devices/${id}`, key }) });
		assert.equal(refused.connected.code, 5);
		refused.program.child.stdin.end();
		await refused.program.end('SIGTERM');
		const d = await PahoDevice.open(id, transport);
		assert.deepEqual(await d.subscribe('#', '$SYS/#'), [0, 128]);
		await d.close();
	});
}

test('D-13 D-61 `az iot device send-d2c-message`: several messages with the token of a policy, by paho.mqtt.publish', async () => {
	await hub.createDevice('az-mqtt');
	for (const [policy, works] of [['iothubowner', true], ['device', true], ['service', false]]) {
		const end = await runProgram(PYTHON, [here('paho_publish.py'), JSON.stringify({ host: hub.addr, ca: hub.ca, id: 'az-mqtt', username: `${hub.addr}/az-mqtt/?api-version=2020-09-30`,
			password: await hub.token({ policy }), topic: 'devices/az-mqtt/messages/events/%24.ct=application%2Fjson&%24.ce=utf-8&key0=value0', payloads: [`one by ${policy}`, `two by ${policy}`], qos: 1 })]);
		assert.equal(end.code === 0, works, end.stderr);
		for (const n of ['one', 'two']) assert.equal(walHolds(hub, `${n} by ${policy}`), works);
	}
	assert.ok(walHolds(hub, walProperty('key0', 'value0')));
});
