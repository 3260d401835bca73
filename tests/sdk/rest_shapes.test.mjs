// What docs/reference/openapi.json says of requests and answers is so: each route is called with what it says, and what is answered has that shape. O-92.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { mqttDevice, mqttUsername, onPostgres, PACKET, RawMqtt, REPOSITORY, sasToken, startHub, stopAll, tempDir, until } from '../lib/hub.mjs';
import { endAll, testHub } from '../lib/ephemeral.mjs';

const api = JSON.parse(fs.readFileSync(path.join(REPOSITORY, 'docs/reference/openapi.json'), 'utf8'));
const at = (ref) => ref.slice(2).split('/').reduce((o, key) => o[key], api);

// ---- a schema, and whether a value is of it: as far as openapi.json goes ----

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;
const KINDS = { string: (v) => typeof v === 'string', number: (v) => typeof v === 'number', integer: Number.isInteger, boolean: (v) => typeof v === 'boolean', array: Array.isArray, object: (v) => v !== null && typeof v === 'object' && !Array.isArray(v) };
const KNOWN = new Set(['$ref', 'type', 'format', 'nullable', 'oneOf', 'enum', 'items', 'required', 'properties', 'additionalProperties', 'description', 'minimum', 'maximum', 'default']);

// What is wrong, with its place; nothing: [].
function wrong(schema, v, where) {
	for (const key of Object.keys(schema)) assert.ok(KNOWN.has(key), `${key} is not understood here`);
	if (schema.$ref) return wrong(at(schema.$ref), v, where);
	if (schema.oneOf) {
		const all = schema.oneOf.map((one) => wrong(one, v, where));
		return all.some((one) => one.length === 0) ? [] : all.flat();
	}
	if (v === null && schema.nullable) return [];
	if (schema.type && !KINDS[schema.type](v)) return [`${where} is no ${schema.type}: ${JSON.stringify(v)}`];
	const found = [];
	if (schema.enum && !schema.enum.includes(v)) found.push(`${where} is none of ${schema.enum}: ${v}`);
	if (schema.format === 'date-time' && !TIME.test(v)) found.push(`${where} is no time: ${v}`);
	if (schema.minimum > v || schema.maximum < v) found.push(`${where} is out of bounds: ${v}`);
	if (schema.items) v.forEach((one, i) => found.push(...wrong(schema.items, one, `${where}[${i}]`)));
	for (const name of schema.required ?? []) if (!Object.hasOwn(v, name)) found.push(`${where} has no ${name}`);
	if (schema.type === 'object')
		for (const [name, one] of Object.entries(v)) {
			const of = Object.hasOwn(schema.properties ?? {}, name) ? schema.properties[name] : schema.additionalProperties;
			if (of === false) found.push(`${where}.${name} is not told of`);
			else if (typeof of === 'object') found.push(...wrong(of, one, `${where}.${name}`));
		}
	return found;
}

const called = new Map(); // "GET /devices": statuses
const patterns = Object.entries(api.paths).map(([of, methods]) => ({ of, methods, literal: of.split('{').length, is: new RegExp(`^${of.replaceAll('$', '\\$').replace(/\{[^}]*\}/g, '[^/]+')}$`) })).sort((a, b) => a.literal - b.literal);

// The answer, once it and the request are as openapi.json has them.
async function ask(hub, method, target, { code = 200, ...options } = {}) {
	const [where, query = ''] = target.split('?'), what = `${method} ${target}`;
	const found = patterns.find((p) => p.is.test(where) && p.methods[method.toLowerCase()]);
	assert.ok(found, `${what} is not in openapi.json`);
	const o = found.methods[method.toLowerCase()], has = (kind, name) => o.parameters.some((p) => p.in === kind && p.name.toLowerCase() === name.toLowerCase());
	for (const [name] of new URLSearchParams(query)) assert.ok(has('query', name), `${what}: the parameter ${name} is not told of`);
	for (const name of Object.keys(options.headers ?? {})) assert.ok(name === 'Accept' || name === 'Content-Type' || has('header', name), `${what}: the header ${name} is not told of`);
	for (const p of o.parameters) if (p.required && p.in === 'query' && p.name !== 'api-version') assert.ok(code !== 200 || new URLSearchParams(query).has(p.name), `${what} without ${p.name}`);
	if (options.body !== undefined) {
		const [[type, { schema }]] = Object.entries(o.requestBody.content);
		if (type === 'application/json') assert.deepEqual(wrong(schema, options.body, 'body'), [], what);
	}
	const r = await hub.rest(method, target, options);
	assert.equal(r.status, code, `${what}: ${r.text}`);
	judge(o, r, what);
	called.set(`${method} ${found.of}`, [...called.get(`${method} ${found.of}`) ?? [], code]);
	return r;
}

function judge(o, r, what) {
	assert.ok(o.responses[r.status], `${what}: ${r.status} is not told of`);
	const told = o.responses[r.status].$ref ? at(o.responses[r.status].$ref) : o.responses[r.status];
	if (!told.content) return assert.equal(r.text, '', what);
	const type = r.headers['content-type'].split(';')[0];
	assert.ok(told.content[type], `${what}: ${type} is not told of`);
	if (type === 'application/json') assert.deepEqual(wrong(told.content[type].schema, r.body, 'answer'), [], what);
	for (const name of Object.keys(r.headers).filter((h) => /^(etag|x-ms-continuation|x-ms-item-type)$/.test(h)))
		assert.ok(Object.keys(told.headers ?? {}).some((h) => h.toLowerCase() === name), `${what}: the header ${name} is not told of`);
}

// ---- calls ----

let hub;
const files = tempDir('files');
before(async () => { hub = await startHub({ args: ['--backup-dir', path.join(files, 'backups'), '--sink-dir', files, '--import-export-dir', files] }); });
after(() => { endAll(); return stopAll(hub); });
const on = (method, target, options) => ask(hub, method, target, options);
const configuration = (id, more = {}) => ({ id, priority: 1, targetCondition: "deviceId = 'd1'", content: { deviceContent: { 'properties.desired.c': 1 } }, metrics: { queries: { m: 'SELECT deviceId FROM devices' } }, ...more });

test('O-92 identities, twins, queries: requests and answers are as openapi.json has them', async () => {
	await on('PUT', '/devices/d1', { body: { deviceId: 'd1' } });
	await on('PUT', '/devices/edge', { body: { deviceId: 'edge', capabilities: { iotEdge: true }, status: 'disabled', statusReason: 'why' } });
	await on('PUT', '/devices/d1', { body: { deviceId: 'd1' }, code: 409 });
	await on('PUT', '/devices/d1', { body: { deviceId: 'd1' }, headers: { 'If-Match': '"x"' }, code: 412 });
	await on('PUT', '/devices/x', { body: { deviceId: 'y' }, code: 400 });
	await on('GET', '/devices?top=2');
	await on('GET', '/devices/edge');
	await on('GET', '/devices/none', { code: 404 });
	await on('GET', '/devices/d1', { token: null, code: 401 });
	await on('POST', '/devices', { body: [{ id: 'd2', importMode: 'create', tags: { a: 1 } }, { id: 'd3' }] });
	await on('POST', '/devices', { body: [{ id: 'd1', importMode: 'create' }], code: 400 });
	await on('POST', '/devices', { body: Array.from({ length: 101 }, (_, i) => ({ id: `x${i}` })), code: 413 });
	await on('POST', '/devices/keys/regenerate', { body: { policyKey: 'both', devices: [{ id: 'd3' }] } });
	await on('PUT', '/devices/d1/modules/m', { body: { deviceId: 'd1', moduleId: 'm' } });
	await on('GET', '/devices/d1/modules');
	await on('GET', '/devices/d1/modules/m');
	await on('DELETE', '/devices/d3', { headers: { 'If-Match': '*' }, code: 204 });
	await on('DELETE', '/devices/d3', { code: 404 });
	const first = await on('POST', '/devices/query', { body: { query: 'SELECT * FROM devices' }, headers: { 'x-ms-max-item-count': '1' } });
	await on('POST', '/devices/query', { body: { query: 'SELECT * FROM devices' }, headers: { 'x-ms-continuation': first.headers['x-ms-continuation'] } });
	await on('POST', '/devices/query?explain=true', { body: { query: "SELECT COUNT() AS n FROM devices WHERE tags.a = 1" } });
	await on('POST', '/devices/query', { body: { query: 'SELEC' }, code: 400 });
	await on('POST', '/devices/query/watch', { body: { query: 'SELECT COUNT() AS n FROM devices' }, code: 400 });
	for (const of of ['d1', 'd1/modules/m']) {
		const was = (await on('GET', `/twins/${of}`)).body;
		await on('PATCH', `/twins/${of}`, { body: { tags: { a: 1 }, properties: { desired: { x: { y: 1 } } } } });
		await on('PATCH', `/twins/${of}`, { body: { tags: { a: 'x'.repeat(9000) } }, code: 400 });
		await on('PATCH', `/twins/${of}`, { body: { tags: Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`a${i}`, 'x'.repeat(4000)])) }, code: 403 });
		await on('PUT', `/twins/${of}`, { body: { tags: { b: 1 }, properties: { desired: { z: 1 } } } });
		await on('PATCH', `/twins/${of}`, { body: { tags: { a: 2 } }, headers: { 'If-Match': '"x"' }, code: 412 });
		await on('GET', `/twins/${of}?atVersion=${was.version}`);
		await on('GET', `/twins/${of}?at=${new Date().toISOString()}`);
		await on('GET', `/twins/${of}/history`, { headers: { 'x-ms-max-item-count': '1' } });
		await on('GET', `/twins/${of}/convergence`);
		await on('GET', `/twins/${of}/configurations`);
		await on('POST', `/twins/${of}/methods`, { body: { methodName: 'x' }, code: 404 });
		await on('GET', `/devices/${of}/connection`);
		await on('DELETE', `/devices/${of}/connection`, { code: 404 });
		await on('POST', `/devices/${of}/messages/events`, { body: 'x', code: 204 });
	}
	for (const of of ['none', 'd1/modules/none']) await on('GET', `/twins/${of}/watch`, { code: 404 });
	await on('PUT', '/devices/d1/modules/gone', { body: { deviceId: 'd1', moduleId: 'gone' } });
	await on('DELETE', '/devices/d1/modules/gone', { code: 204 });
	await on('GET', '/digitaltwins/d1');
	await on('PATCH', '/digitaltwins/d1', { body: [{ op: 'add', path: '/w', value: 1 }], code: 202 });
});

test('O-92 devices that are connected, messages to them: requests and answers are as openapi.json has them', async () => {
	const device = await mqttDevice(hub, 'd1', { filters: ['$iothub/methods/POST/#'] }), module = await RawMqtt.open(hub);
	const { authentication } = (await on('GET', '/devices/d1/modules/m')).body;
	assert.equal((await module.connect({ clientId: 'd1/m', username: mqttUsername(hub.addr, 'd1/m'), password: sasToken({ resource: `${hub.addr}/devices/d1/modules/m`, key: authentication.symmetricKey.primaryKey }) })).code, 0);
	await module.subscribe('$iothub/methods/POST/#');
	for (const [client, where, body] of [[device, '/twins/d1/methods', { methodName: 'go', payload: 1, responseTimeoutInSeconds: 30 }], [module, '/twins/d1/modules/m/methods', { methodName: 'go' }],
		[device, '/digitaltwins/d1/commands/go', 1], [device, '/digitaltwins/d1/components/c/commands/go', 1]]) {
		const answer = client.next(PACKET.PUBLISH).then((m) => client.publish(`$iothub/methods/res/200/?$rid=${/\$rid=([^&]+)/.exec(m.topic)[1]}`, '{"a":1}'));
		await on('POST', where, { body });
		await answer;
	}
	await on('DELETE', '/devices/d1/modules/m/connection', { code: 204 });
	const s = (await on('GET', '/devices/d1/connection')).body;
	assert.ok(s.connected && s.subscriptions.length === 1);
	await on('GET', '/connections?order=connects&state=connected&top=10');
	await on('GET', '/connections?order=none', { code: 400 });
	await on('DELETE', '/devices/d1/connection', { code: 204 });
	await until(async () => !(await on('GET', '/devices/d1/connection')).body.connected, 'it is gone');

	await on('POST', '/devices/d2/messages/deviceBound', { body: 'hello', headers: { 'iothub-ack': 'full', 'iothub-messageid': 'm1' }, code: 204 });
	await on('POST', '/devices/d2/messages/deviceBound', { body: 'again', headers: { 'iothub-ack': 'full' }, code: 204 });
	await on('POST', '/devices/d2/messages/deviceBound', { body: 'last', code: 204 });
	for (const [end, method, suffix] of [['', 'DELETE', ''], ['?reject=', 'DELETE', ''], ['', 'POST', '/abandon']]) {
		const lock = JSON.parse((await on('GET', '/devices/d2/messages/deviceBound')).headers.etag);
		await on(method, `/devices/d2/messages/deviceBound/${lock}${suffix}${end}`, { code: 204 });
	}
	await on('DELETE', '/devices/d2/commands');
	await on('GET', '/devices/d2/messages/deviceBound', { code: 204 });
	const feedback = async () => JSON.parse((await on('GET', '/messages/serviceBound/feedback')).headers.etag);
	await on('POST', `/messages/serviceBound/feedback/${await feedback()}/abandon`, { code: 204 });
	await on('DELETE', `/messages/serviceBound/feedback/${await feedback()}`, { code: 204 });
	await on('GET', '/statistics/messages');
});

test('O-92 configurations and jobs: requests and answers are as openapi.json has them', async () => {
	await on('PUT', '/configurations/c1', { body: configuration('c1') });
	await on('PUT', '/configurations/c1', { body: configuration('c1'), code: 409 });
	await on('PUT', '/configurations/c2?dryRun=true', { body: configuration('c2') });
	await on('POST', '/configurations/c2?dryRun=true', { body: configuration('c2') });
	await on('POST', '/configurations/testQueries', { body: { targetCondition: 'bad bad', customMetricQueries: { m: 'SELEC' } } });
	await on('PUT', '/configurations/r', { body: configuration('r', { rollout: { waves: [{ percent: 50, soakSeconds: 1000 }, { percent: 100 }] } }) });
	await on('POST', '/configurations/r/rollout/halt');
	await on('POST', '/configurations/r/rollout/pause', { code: 404 });
	await until(async () => (await on('GET', '/twins/d1/configurations')).body.some((w) => w.applied), 'it is applied');
	await on('GET', '/configurations/c1');
	await on('GET', '/configurations/r');
	await on('GET', '/configurations?top=20');
	await on('GET', '/configurations/c1/devices', { headers: { 'x-ms-max-item-count': '1' } });
	await on('GET', '/twins/d1');
	await on('DELETE', '/configurations/r', { code: 204 });
	await on('POST', '/devices/edge/applyConfigurationContent', { body: { modulesContent: { $edgeAgent: { 'properties.desired': { a: 1 } } } }, code: 204 });
	const update = { type: 'scheduleUpdateTwin', queryCondition: '*', updateTwin: { etag: '*', tags: { j: 1 } } };
	await on('POST', '/jobs/v2/j?dryRun=true', { body: update });
	await on('PUT', '/jobs/v2/j?dryRun=true', { body: update });
	await on('PUT', '/jobs/v2/j', { body: update });
	await on('PUT', '/jobs/v2/j', { body: update, code: 409 });
	await until(async () => (await on('GET', '/jobs/v2/j')).body.status === 'completed', 'the job');
	await on('PUT', '/jobs/v2/later', { body: { type: 'scheduleDeviceMethod', queryCondition: '*', cloudToDeviceMethod: { methodName: 'x' }, startTime: new Date(Date.now() + 3_600_000).toISOString() } });
	await on('POST', '/jobs/v2/later/cancel');
	await on('POST', '/jobs/v2/j/cancel', { code: 405 });
	await on('GET', '/jobs/v2/query?jobStatus=completed', { headers: { 'x-ms-max-item-count': '1' } });
	await on('GET', '/jobs/v2/none', { code: 404 });
	const made = (await on('POST', '/jobs/create', { body: { type: 'export', outputBlobContainerUri: `file://${files}`, excludeKeysInExport: true } })).body;
	await on('GET', '/jobs');
	await until(async () => (await on('GET', `/jobs/${made.jobId}`)).body.status === 'completed', 'the export');
	await on('DELETE', `/jobs/${made.jobId}`, { code: 204 });
	await on('DELETE', '/jobs/none', { code: 404 });
});

test('O-92 events, statistics, administration: requests and answers are as openapi.json has them', async () => {
	await on('PUT', '/sinks/s', { body: { kind: 'file', path: 'events.ndjson' } });
	await on('PUT', '/sinks/x', { body: { kind: 'file', path: '../x' }, code: 400 });
	await on('GET', '/sinks/s');
	await on('GET', '/sinks');
	await on('PUT', '/routes/r', { body: { source: 'DeviceMessages', condition: 'true', endpointNames: ['s'], isEnabled: true } });
	await on('GET', '/routes/r');
	await on('GET', '/routes');
	await on('POST', '/routes/r/test', { body: { message: { body: 'x', appProperties: { a: 'b' } } } });
	await on('DELETE', '/sinks/s', { code: 409 });
	await on('GET', '/statistics/sinks');
	await on('DELETE', '/routes/r', { code: 204 });
	await on('DELETE', '/sinks/s', { code: 204 });
	await on('GET', '/events?from=nowhere', { code: 400 });
	const parts = (await on('GET', '/events/partitions')).body;
	for (const { partition } of parts) await on('GET', `/events/partitions/${partition}?sequence=0`);
	for (const of of ['devices', 'service', 'configurations', 'columns', 'paths?prefix=tags&top=5', 'queries', 'store', 'metrics', `metrics?from=${encodeURIComponent(new Date(Date.now() - 60_000).toISOString())}&step=10`, 'events', 'limits']) await on('GET', `/statistics/${of}`);
	await on('GET', '/statistics/metrics?step=1', { code: 400 });
	await on('GET', '/settings');
	await on('PATCH', '/settings', { body: { limits: { rates: { 'policy:queries': '100/s' } } } });
	await on('GET', '/statistics/limits');
	await on('PATCH', '/settings', { body: { nothing: 1 }, code: 400 });
	await on('PUT', '/admin/policies/p?rights=RegistryRead,ServiceConnect');
	await on('GET', '/admin/policies/p');
	await on('GET', '/admin/policies');
	await on('POST', '/admin/policies/p/rotate?key=primary');
	await on('DELETE', '/admin/policies/p', { code: 204 });
	await on('DELETE', '/admin/policies/p', { code: 404 });
	if (!onPostgres) await on('POST', `/admin/backup?to=${encodeURIComponent(path.join(files, 'b'))}`);
	if (!onPostgres) await on('POST', `/admin/backup?to=${encodeURIComponent(path.join(hub.dir, 'b'))}`, { code: 400 });
	await on('GET', '/admin/backups');
	await on('GET', '/admin/export?keys=no', { headers: { 'x-ms-max-item-count': '1' } });
	await on('POST', '/admin/import?importMode=createOrUpdate', { body: '{"id":"i1"}\n{"id":"i1","importMode":"create"}\n' });
	await on('GET', '/healthz', { token: null });
	await on('GET', '/livez', { token: null });
	await on('GET', '/readyz', { token: null });
	for (const accept of ['text/plain', 'application/openmetrics-text']) {
		const r = await fetch(`http://${hub.addr}:9464/metrics`, { headers: { Accept: accept } });
		judge(api.paths['/metrics'].get, { status: r.status, headers: { 'content-type': r.headers.get('content-type') }, text: await r.text() }, `metrics as ${accept}`);
		assert.ok(r.headers.get('content-type').startsWith(accept));
		called.set('GET /metrics', [r.status]);
	}
	for (const method of ['GET', 'POST', 'DELETE']) for (const of of ['clock', 'faults']) if (api.paths[`/admin/${of}`][method.toLowerCase()]) await on(method, `/admin/${of}`, { ...(method === 'POST' ? { body: { advance: 1, fault: 'dropLink' } } : {}), code: 404 });
});

test('O-92 what only a device may ask: requests and answers are as openapi.json has them', async () => {
	await on('PUT', '/devices/edge', { body: { deviceId: 'edge', capabilities: { iotEdge: true } }, headers: { 'If-Match': '*' } });
	const { authentication } = (await on('GET', '/devices/edge')).body;
	const as = { token: sasToken({ resource: `${hub.addr}/devices/edge`, key: authentication.symmetricKey.primaryKey }) };
	await on('GET', '/devices/edge/modules/$edgeHub/devicesAndModulesInDeviceScope', as);
	await on('GET', '/devices/edge/modules/$edgeHub/deviceAndModuleInDeviceScope?targetDeviceId=edge&targetModuleId=%24edgeAgent', as);
	for (const [of, { post }] of Object.entries(api.paths)) if (post && post.responses[501]) await on('POST', of.replace('{device}', 'edge').replace('{module}', 'm'), { ...as, body: {}, code: 501 });
});

test('O-92 a hub for tests: requests and answers are as openapi.json has them', async () => {
	const { rest } = await testHub('--clock'), other = { rest };
	await ask(other, 'POST', '/admin/clock', { body: { advance: 'PT1M' } });
	await ask(other, 'GET', '/admin/clock');
	await ask(other, 'POST', '/admin/faults', { body: { fault: 'refuseTwin', count: 1 } });
	await ask(other, 'GET', '/admin/faults');
	await ask(other, 'DELETE', '/admin/faults', { code: 204 });
});

// Streams have no end; the others are not served.
const WITHOUT = (o) => Object.keys(o.responses[200]?.content ?? {}).includes('text/event-stream') || o.responses[501];
test('O-92 every route was called, and has answered with what it is for', () => {
	const missing = [];
	for (const [of, methods] of Object.entries(api.paths))
		for (const [method, o] of Object.entries(methods)) {
			const codes = called.get(`${method.toUpperCase()} ${of}`);
			if (onPostgres && of === '/admin/backup') continue;
			if (!codes || (!WITHOUT(o) && !codes.some((code) => code < 300))) missing.push(`${method} ${of}: ${codes}`);
		}
	assert.deepEqual(missing, []);
});
