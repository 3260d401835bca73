// What a data directory of a former program is filled with, one record of each kind at the least, and how a hub shows it.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { DESIRED_CHANGES, TWIN_RESPONSES, mqttDevice, until } from '../../lib/hub.mjs';

const PAGE = { 'x-ms-max-item-count': '1000' };

async function ask(hub, method, where, body, headers) {
	const answer = await hub.rest(method, where, { body, headers });
	assert.ok(answer.status === 200 || answer.status === 204, `${method} ${where}: ${answer.status} ${answer.text}`);
	return answer.body;
}

const query = (hub, text) => ask(hub, 'POST', '/devices/query', { query: text }, PAGE);

async function identities(hub) {
	const thumbprint = 'A'.repeat(39);
	for (const [id, more] of [
		['plain', {}],
		['keys', { authentication: { type: 'sas', symmetricKey: { primaryKey: Buffer.alloc(32, 1).toString('base64'), secondaryKey: Buffer.alloc(32, 2).toString('base64') } } }],
		['off', { status: 'disabled', statusReason: 'lost, "stolen" or \u00fc\u{1F600}' }],
		['print', { authentication: { type: 'selfSigned', x509Thumbprint: { primaryThumbprint: `${thumbprint}1`, secondaryThumbprint: `${thumbprint}2` } } }],
		['ca', { authentication: { type: 'certificateAuthority' } }],
		['edge', { capabilities: { iotEdge: true } }],
		['a-=+%_#*?!(),:@$\'.b', {}],
		...Array.from({ length: 20 }, (_, i) => [`many${i}`, {}]),
	]) await ask(hub, 'PUT', `/devices/${encodeURIComponent(id)}`, { deviceId: id, ...more });
	await ask(hub, 'PUT', '/devices/plain/modules/m1', { deviceId: 'plain', moduleId: 'm1' });
	await ask(hub, 'PUT', '/devices/plain/modules/m2', { deviceId: 'plain', moduleId: 'm2' });
	await ask(hub, 'PUT', '/devices/gone', { deviceId: 'gone' });
	await ask(hub, 'DELETE', '/devices/gone', undefined, { 'If-Match': '*' });
}

async function twins(hub) {
	const values = { int: 1, big: 4503599627370495, negative: -7, real: 0.1, tiny: 5e-324, huge: 1.5e300, text: 'x\ny "\u{1F600}', empty: '',
		yes: true, no: false, list: [1, 'two', [3], { four: 4 }], deep: { a: { b: { c: { d: { e: 1 } } } } }, none: {} };
	await ask(hub, 'PATCH', '/twins/plain', { tags: { site: 'a', values }, properties: { desired: { values, gone: 1 } } });
	await ask(hub, 'PATCH', '/twins/plain', { properties: { desired: { gone: null } } });
	await ask(hub, 'PATCH', '/twins/plain/modules/m1', { tags: { of: 'module' }, properties: { desired: { n: 1 } } });
	await ask(hub, 'PUT', '/twins/keys', { tags: { whole: true }, properties: { desired: { whole: { n: 1 } } } });
	for (let i = 0; i < 20; i++) await ask(hub, 'PATCH', `/twins/many${i}`, { tags: { wave: i < 10 ? 'a' : 'b', i }, properties: { desired: { fw: 'v1', filler: 'x'.repeat(30 * i) } } });
}

// A durable session with filters, reported properties, telemetry, and a will for when its link is cut.
async function device(hub) {
	const link = await mqttDevice(hub, 'plain', { filters: [TWIN_RESPONSES, { filter: DESIRED_CHANGES, qos: 1 }],
		login: { clean: false, will: { topic: 'devices/plain/messages/events/', payload: 'the end', qos: 1 } } });
	assert.equal((await link.report({ fw: 'v1', state: { on: true, list: [1, 2] }, gone: 1 })).status, 204);
	assert.equal((await link.report({ gone: null })).status, 204);
	for (let n = 0; n < 5; n++) await link.publish('devices/plain/messages/events/%24.mid=m&key=value', `message ${n}`, { qos: 1 });
	return link;
}

async function configurations(hub) {
	const put = (id, more) => ask(hub, 'PUT', `/configurations/${id}`, { id, labels: { of: 'a former program' }, ...more });
	await put('low', { priority: 1, targetCondition: "tags.wave = 'a'", content: { deviceContent: { 'properties.desired.laid': { low: 1 }, 'properties.desired.both': 'low' } },
		metrics: { queries: { all: "SELECT deviceId FROM devices WHERE configurations.[[low]].status = 'Applied'" } } });
	await put('high', { priority: 9, targetCondition: 'tags.i < 5', content: { deviceContent: { 'properties.desired.both': 'high' } } });
	await put('waves', { priority: 2, targetCondition: "tags.wave = 'b'", content: { deviceContent: { 'properties.desired.fw': 'v2' } },
		rollout: { waves: [{ count: 3, successQuery: "properties.reported.fw = 'v2'" }, { percent: 100 }] } });
	await put('modules', { priority: 3, targetCondition: "FROM devices.modules WHERE tags.of = 'module'", content: { moduleContent: { 'properties.desired.laid': 1 } } });
	await until(async () => (await query(hub, "SELECT deviceId FROM devices WHERE properties.desired.both = 'low' OR properties.desired.both = 'high'")).length === 10, 'the configurations');
	await until(async () => (await query(hub, "SELECT deviceId FROM devices WHERE properties.desired.fw = 'v2'")).length === 3, 'the first wave');
}

async function jobs(hub) {
	const put = (id, more) => ask(hub, 'PUT', `/jobs/v2/${id}`, more);
	await put('update', { type: 'scheduleUpdateTwin', queryCondition: "tags.wave = 'a'", updateTwin: { etag: '*', tags: { job: 1 } } });
	await put('method', { type: 'scheduleDeviceMethod', queryCondition: "tags.wave = 'b'", cloudToDeviceMethod: { methodName: 'm', payload: { n: 1 } } });
	await put('later', { type: 'scheduleUpdateTwin', queryCondition: '*', updateTwin: { etag: '*', tags: { job: 2 } }, startTime: new Date(Date.now() + 86_400_000).toISOString() });
	await put('cancelled', { type: 'scheduleUpdateTwin', queryCondition: '*', updateTwin: { etag: '*', tags: { job: 3 } }, startTime: new Date(Date.now() + 86_400_000).toISOString() });
	await ask(hub, 'POST', '/jobs/v2/cancelled/cancel');
	for (const id of ['update', 'method', 'cancelled'])
		await until(async () => ['completed', 'failed', 'cancelled'].includes((await ask(hub, 'GET', `/jobs/v2/${id}`)).status), `the job ${id}`);
}

// What format 2 has brought: changes in the log, and messages that wait for their devices.
async function sinceFormat2(hub) {
	await ask(hub, 'PUT', '/devices/changed', { deviceId: 'changed' });
	await ask(hub, 'PUT', '/devices/deaf', { deviceId: 'deaf' });
	for (let n = 1; n <= 5; n++) await ask(hub, 'PATCH', '/twins/changed', { tags: { n }, properties: { desired: { n: { of: n }, odd: n % 2 ? true : null } } });
	await ask(hub, 'POST', '/devices/deaf/messages/deviceBound', undefined, { 'iothub-messageid': 'm1' });
}

// Fill a hub, which writes this format; the result is its device, still connected.
export async function fill(hub, format) {
	if (format >= 2) await sinceFormat2(hub);
	await identities(hub);
	await twins(hub);
	const link = await device(hub);
	await configurations(hub);
	await jobs(hub);
	return link;
}

const by = (list, ...keys) => Object.fromEntries(list.map((one) => [keys.map((key) => one[key]).join('/'), one]));

async function shownSinceFormat2(hub) {
	const { tags, properties, version, etag } = await ask(hub, 'GET', '/twins/changed?atVersion=4');
	return {
		history: by(await ask(hub, 'GET', '/twins/changed/history'), 'id'),
		former: { tags, properties, version, etag },
		messages: await ask(hub, 'GET', '/statistics/messages'),
	};
}

// Everything that a hub shows of it.
export async function show(hub, format) {
	return {
		...(format >= 2 ? await shownSinceFormat2(hub) : {}),
		identities: by(await ask(hub, 'GET', '/devices?top=1000'), 'deviceId'),
		modules: by(await ask(hub, 'GET', '/devices/plain/modules'), 'moduleId'),
		twins: by(await query(hub, 'SELECT * FROM devices'), 'deviceId'),
		moduleTwins: by(await query(hub, 'SELECT * FROM devices.modules'), 'deviceId', 'moduleId'),
		configurations: by(await ask(hub, 'GET', '/configurations?top=100'), 'id'),
		jobs: by(await ask(hub, 'GET', '/jobs/v2/query?pageSize=100'), 'jobId'),
		results: by(await query(hub, 'SELECT * FROM devices.jobs'), 'jobId', 'deviceId'),
		policies: by(JSON.parse(fs.readFileSync(path.join(hub.dir, 'policies.json'), 'utf8')).policies, 'name'),
	};
}
