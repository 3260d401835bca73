// import: files of other programs. State files of az iot hub state export, CSV, and what is recognised and refused.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { BINARY, mqttDevice, startHub, stopAll, tempDir } from '../lib/hub.mjs';
import { commands } from './lib.mjs';

let hub, cli;
const dir = tempDir('foreign');
const KEY = (n) => Buffer.alloc(32, n).toString('base64');
const get = async (target) => (await hub.rest('GET', target)).body;

before(async () => {
	hub = await startHub();
	cli = commands(hub);
});
after(() => stopAll(hub));

function write(name, content) {
	const file = path.join(dir, name);
	fs.writeFileSync(file, content);
	return file;
}
const errors = (file) => fs.readFileSync(`${file}.errors`, 'utf8').trim().split('\n').map((line) => JSON.parse(line));

const sas = (n) => ({ type: 'sas', symmetricKey: { primaryKey: KEY(n), secondaryKey: KEY(n + 1) } });
// As the tool writes it today: json.dump of identities, twins, modules, parents, and configurations by kind.
const STATE = {
	arm: { resources: [{ name: 'hub }]"' }] },
	configurations: {
		admConfigurations: {
			winter: { id: 'winter', content: { deviceContent: { 'properties.desired.season': 'winter' } }, contentType: 'assignment', labels: {}, metrics: { queries: { all: 'SELECT deviceId FROM devices' }, results: {} }, priority: 3, systemMetrics: { queries: {}, results: {} }, targetCondition: "tags.site='a'" },
		},
		edgeDeployments: {},
	},
	devices: {
		gateway: { identity: { authentication: sas(1), capabilities: { iotEdge: true }, status: 'enabled' }, twin: { tags: { site: 'a' }, properties: { desired: { x: 1 } } }, modules: { m1: { identity: { authentication: sas(3), managedBy: 'me' }, twin: { tags: {}, properties: { desired: { of: 'm1' } } } } } },
		leaf: { identity: { authenticationType: 'selfSigned', x509Thumbprint: { primaryThumbprint: 'A'.repeat(40), secondaryThumbprint: null }, status: 'disabled', statusReason: 'lost', capabilities: { iotEdge: false } }, twin: { tags: { site: 'b' } }, parent: 'gateway' },
		broken: { identity: { authentication: { type: 'sas', symmetricKey: { primaryKey: 'short', secondaryKey: 'short' } } }, twin: {} },
	},
};

test('a state file of az: identities, twins, modules, parents, configurations; the line of each fault; again changes nothing', async () => {
	const file = write('state.json', JSON.stringify(STATE, null, 4));
	const dry = await hub.cli(['import', file, '--dry-run']);
	assert.equal(dry.code, 0, dry.stderr);
	assert.deepEqual(dry.stdout.trim().split('\n').map((l) => JSON.parse(l)).map((l) => l.moduleId ?? l.id ?? l.configuration.id), ['gateway', 'm1', 'leaf', 'broken', 'winter']);
	assert.equal((await hub.rest('GET', '/devices/gateway')).status, 404, 'a dry run makes nothing');
	assert.match(await cli(['import', file], { code: 1 }), /1 lines were refused/);
	const line = JSON.stringify(STATE, null, 4).split('\n').findIndex((l) => l.includes('"broken"')) + 1;
	assert.deepEqual(errors(file).map((e) => [e.line, e.deviceId]), [[line, 'broken']]);
	const gateway = await get('/devices/gateway');
	assert.deepEqual(gateway.authentication.symmetricKey, sas(1).symmetricKey);
	assert.equal(gateway.capabilities.iotEdge, true);
	const leaf = await get('/devices/leaf');
	assert.deepEqual([leaf.status, leaf.statusReason, leaf.authentication.type, leaf.deviceScope], ['disabled', 'lost', 'selfSigned', gateway.deviceScope]);
	assert.deepEqual((await get('/twins/gateway/modules/m1')).properties.desired.of, 'm1');
	assert.equal((await get('/devices/gateway/modules/m1')).managedBy, 'me');
	const winter = await get('/configurations/winter');
	assert.deepEqual([winter.priority, winter.targetCondition, winter.metrics.queries.all], [3, "tags.site='a'", 'SELECT deviceId FROM devices']);
	// again, without the broken one: what is there stays as it is
	const { broken, ...devices } = STATE.devices;
	const again = await cli(['import', write('again.json', JSON.stringify({ ...STATE, devices }))]);
	assert.deepEqual([again.done, again.there, again.failed, again.passedOver], [4, 1, 0, ['arm']]);
	assert.equal((await get('/devices/gateway')).etag, gateway.etag);
	assert.equal((await get('/devices/leaf')).deviceScope, gateway.deviceScope);
	// a configuration that says something else is not touched
	const other = structuredClone({ ...STATE, devices: {} });
	other.configurations.admConfigurations.winter.priority = 4;
	const clash = write('clash.json', JSON.stringify(other));
	await cli(['import', clash], { code: 1 });
	assert.match(errors(clash)[0].errorStatus, /ConfigurationAlreadyExists/);
	assert.equal((await get('/configurations/winter')).priority, 3);
	// a device of it connects with its key
	const device = await mqttDevice(hub, 'gateway', { clean: true });
	assert.equal((await device.twinGet()).body.desired.x, 1);
	await device.disconnect();
});

test('CSV: typed cells, nested paths, quotes, semicolons; faults name the line of the file', async () => {
	const file = write('fleet.csv', 'deviceId;status;primaryKey;secondaryKey;tags.site;tags.floor;desired.rate.ms;desired.note\r\n' +
		`c1;enabled;${KEY(5)};${KEY(6)};plant 1;3;250;"a;""b""\r\nc"\r\n` +
		'c2;disabled;;;"3";;;\r\nc 3;;;;;;;\r\nc4;;\r\n');
	assert.match(await cli(['import', file], { code: 1 }), /2 lines were refused/);
	assert.deepEqual(errors(file).map((e) => e.line), [6, 5]);
	const c1 = await get('/twins/c1');
	assert.deepEqual(c1.tags, { site: 'plant 1', floor: 3 });
	assert.deepEqual([c1.properties.desired.rate.ms, c1.properties.desired.note], [250, 'a;"b"\r\nc']);
	assert.equal((await get('/devices/c1')).authentication.symmetricKey.primaryKey, KEY(5));
	assert.deepEqual([(await get('/twins/c2')).tags, (await get('/devices/c2')).status], [{ site: '3' }, 'disabled']);
});

test('what a file is stands in its refusal, and nothing is made', async () => {
	const cases = [
		['array.json', '[{"deviceId":"x1"}]', 2, /a JSON array/],
		['pretty.json', '{\n  "id": "x1"\n}\n', 2, /JSON over several lines/],
		['utf16.json', Buffer.from('\ufeff{"id":"x1"}\n', 'utf16le'), 2, /UTF-16/],
		['bad.csv', 'deviceId,colour\nx1,red\n', 1, /column colour/],
		['cut.json', '{"devices":{"x1":{"identity":{}}', 1, /line 1/],
	];
	for (const [name, content, code, why] of cases) assert.match(await cli(['import', write(name, content)], { code }), why, name);
	const piped = spawnSync(BINARY, ['import', '-', '--data', hub.dir], { input: 'deviceId,tags.a\nx1,2\n', encoding: 'utf8' });
	assert.equal(piped.status, 2);
	assert.match(piped.stderr, /stdin is CSV/);
	assert.equal((await hub.rest('GET', '/devices/x1')).status, 404);
});
