// Lines of the log: what has one, in both forms, and what is in none (docs/spec/operate.md 5).
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { Hub, keepSecret, mqttDevice, mqttUsername, RawMqtt, sasToken, startHub, stopAll, until } from '../lib/hub.mjs';
import { secretIn } from '../lib/secrets.mjs';

const hubs = [];
after(() => stopAll(...hubs));

async function start(args = []) {
	const hub = await startHub({ args });
	hubs.push(hub);
	return hub;
}

async function refused(hub, id) {
	const c = await RawMqtt.open(hub);
	const password = sasToken({ resource: `${hub.addr}/devices/${id}`, key: Buffer.alloc(32, 3).toString('base64') });
	assert.equal((await c.connect({ clientId: id, username: mqttUsername(hub.addr, id), password })).code, 5);
}

const lines = (hub) => hub.logs.split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));

test('O-17 --log-format json: an object a line, with the keys of logfmt', async () => {
	const hub = await start(['--log-format', 'json', '--log-level', 'debug']);
	await hub.createDevice('d"1'.replace('"', '!'));
	await refused(hub, 'nobody');
	await until(() => lines(hub).some((l) => l.reason === 'identity-unknown'), 'the refusal');
	const l = lines(hub).find((line) => line.reason === 'identity-unknown');
	assert.equal(l.level, 'info');
	assert.equal(l.msg, 'CONNECT refused');
	assert.equal(l.device, 'nobody');
	assert.equal(l.by, 'peer');
	assert.match(l.address, /^127\..*:\d+$/);
	assert.match(l.ts, /^\d{4}-\d\d-\d\dT/);
	assert.equal(hub.logs.split('\n').filter((line) => line !== '' && !line.startsWith('{') && !line.startsWith('twinhub ready')).length, 0);
});

test('O-20 debug shows each session and request, and info does not', async () => {
	const hub = await start(['--log-level', 'debug']);
	await mqttDevice(hub, 'seen');
	await hub.rest('GET', '/devices/seen?x=secret-of-a-query');
	await until(() => /msg="connection accepted" device=seen address=127\.\S+ protocol=mqtt tls=TLSv1\.\d/.test(hub.logs), 'the session');
	await until(() => /level=debug msg=request method=GET path=\/devices\/seen route="devices\/\{device\}" policy=iothubowner address=127\.\S+ status=200 ms=\d+/.test(hub.logs), 'the request');
	assert.doesNotMatch(hub.logs, /secret-of-a-query/);
	const quiet = await start();
	await mqttDevice(quiet, 'unseen');
	assert.doesNotMatch(quiet.logs, /device=unseen|msg=request/);
});

test('O-19 an administrative act has a line: who, what, from where', async () => {
	const hub = await start();
	const act = async (method, path, body) => {
		const r = await hub.rest(method, path, body === undefined ? {} : { body });
		assert.ok(r.status < 300, `${method} ${path}: ${r.status} ${r.text}`);
		const route = `level=info msg="administrative act" method=${method} path=${path.split('?')[0]} `;
		await until(() => hub.logs.includes(route), route);
		const line = hub.logs.split('\n').find((l) => l.includes(route));
		assert.match(line, /policy=iothubowner address=127\.\S+:\d+ status=20\d/);
		return line;
	};
	await hub.createDevice('gone');
	assert.match(await act('POST', '/admin/policies/service/rotate?key=secondary'), /query="key=secondary&api-version=/);
	await act('PUT', '/admin/policies/p1?rights=RegistryRead');
	await act('DELETE', '/admin/policies/p1');
	await act('PATCH', '/settings', { log: { methods: true } });
	await act('PUT', '/routes/r1', { source: 'DeviceMessages', endpointNames: ['events'] });
	await act('DELETE', '/routes/r1');
	await act('POST', '/admin/import', '{"id":"new"}\n');
	await act('POST', '/devices/keys/regenerate', { policyKey: 'primaryKey', devices: [{ id: 'gone' }] });
	await act('PUT', '/configurations/c1', { id: 'c1', priority: 1, targetCondition: '*', content: { deviceContent: { 'properties.desired.a': 1 } } });
	await act('PUT', '/jobs/v2/j1', { jobId: 'j1', type: 'scheduleUpdateTwin', queryCondition: '*', updateTwin: { etag: '*', tags: { a: 1 } }, startTime: new Date().toISOString(), maxExecutionTimeInSeconds: 60 });
	const d = await mqttDevice(hub, 'gone');
	await act('DELETE', '/devices/gone/connection');
	await d.closed('the link');
	await act('DELETE', '/devices/gone');
	const before = hub.logs.split('administrative act').length;
	await hub.rest('GET', '/admin/policies');
	await hub.rest('PATCH', '/twins/new', { body: { tags: { a: 1 } } });
	await hub.rest('POST', '/devices/query', { body: { query: 'SELECT * FROM devices' } });
	await hub.rest('DELETE', '/admin/policies/none');
	await hub.rest('POST', '/routes/$fallback/test', { body: {} });
	assert.equal(hub.logs.split('administrative act').length, before, 'no act: reading, twins, what was refused');
});

test('O-18 a key or token in a log is found', () => {
	const key = Buffer.alloc(32, 200).toString('base64');
	keepSecret('a secret of a test 1');
	assert.equal(secretIn('a\nb x=a secret of a test 1 y\nc', '/nowhere'), 'b x=a secret of a test 1 y');
	assert.equal(secretIn(`x key=${key}`, '/nowhere'), `x key=${key}`);
	assert.equal(secretIn('x sig=abcdefghij&se=1', '/nowhere'), 'x sig=abcdefghij&se=1');
	assert.equal(secretIn('ts=1 msg="connection closed" reason=left device=d1', '/nowhere'), null);
	assert.ok(Hub.prototype.stop.toString().includes('secretIn'));
});
