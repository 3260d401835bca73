// The service API's HTTP: versions, tokens, rights, errors, routes (service-rest.md 1, 3, 4; R-01 to R-19, R-102 to R-104).
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import https from 'node:https';
import { parseConnectionString, sasSignature, startHub, stopAll, until, WAIT_MS } from '../lib/hub.mjs';

const ID = 'h1';
let hub, key;

before(async () => {
	hub = await startHub();
	await hub.createDevice(ID);
	key = parseConnectionString(await hub.connectionString()).SharedAccessKey;
});
after(() => stopAll(hub));

// Every error looks the same.
function assertError(answer, status, name, message) {
	assert.equal(answer.status, status, answer.text);
	assert.equal(answer.headers['iothub-errorcode'], name);
	assert.match(answer.headers['content-type'], /^application\/json; charset=utf-8/);
	assert.deepEqual(Object.keys(answer.body), ['Message', 'ExceptionMessage']);
	assert.match(answer.body.Message, new RegExp(`^ErrorCode:${name};[^;]+$`));
	if (message !== undefined) assert.equal(answer.body.Message, `ErrorCode:${name};${message}`);
	assert.match(answer.body.ExceptionMessage, /^Tracking ID:\S+-TimeStamp:\d\d\/\d\d\/\d{4} \d\d:\d\d:\d\d$/);
	assert.match(answer.headers['x-ms-request-id'], /^[0-9a-f]{8}-[0-9a-f]{4}-/i);
}

function token({ sr = hub.addr, se = Math.floor(Date.now() / 1000) + 600, skn = 'iothubowner', k = key, order = ['sr', 'sig', 'se', 'skn'], extra = '' } = {}) {
	const fields = { sr, sig: encodeURIComponent(sasSignature(sr, se, k)), se, skn };
	return `SharedAccessSignature ${order.filter((n) => fields[n] !== undefined).map((n) => `${n}=${fields[n]}`).join('&')}${extra}`;
}

async function status(path, authorization) { return (await hub.rest('GET', path, { token: authorization })).status; }

test('R-01 without api-version: 400 InvalidProtocolVersion', async () => {
	assertError(await hub.rest('GET', `/devices/${ID}`, { apiVersion: null }), 400, 'InvalidProtocolVersion');
	assertError(await hub.rest('GET', `/devices/${ID}`, { apiVersion: 'latest' }), 400, 'InvalidProtocolVersion');
});

test('R-02 every dated api-version is accepted', async () => {
	for (const apiVersion of ['2020-09-30', '2021-04-12', '2024-03-31', '2018-06-30', '2020-05-31-preview'])
		assert.equal((await hub.rest('GET', `/devices/${ID}`, { apiVersion })).status, 200, apiVersion);
});

test('R-03 R-14 T-114 L-90 without a token: 401 in the usual form', async () => {
	assertError(await hub.rest('GET', `/devices/${ID}`, { token: null }), 401, 'IotHubUnauthorizedAccess', 'Unauthorized');
	assertError(await hub.rest('GET', '/nowhere', { token: null, apiVersion: null }), 401, 'IotHubUnauthorizedAccess');
});

test('R-04 bad signatures, unknown policies and broken tokens: 401', async () => {
	const good = token();
	for (const bad of [token({ k: Buffer.alloc(32, 1).toString('base64') }), token({ skn: 'nobody' }), 'SharedAccessSignature', 'Bearer abc', 'Basic YTpi', good.replace(/sig=[^&]*/, 'sig=x'),
		good.replace('SharedAccessSignature ', ''), `${good}&sr=${hub.addr}`, good.replace(/&se=\d+/, ''), good.replace(/se=\d+/, 'se=soon'), 'SharedAccessSignature sr=&sig=&se=&skn='])
		assertError(await hub.rest('GET', `/devices/${ID}`, { token: bad }), 401, 'IotHubUnauthorizedAccess');
});

test('R-04 an end that is no whole number is named, as it depends on no key', async () => {
	for (const se of ['1893456000.123', '1.893456e9', '-1', 'soon']) {
		const answer = await hub.rest('GET', `/devices/${ID}`, { token: token().replace(/se=\d+/, `se=${se}`) });
		assertError(answer, 401, 'IotHubUnauthorizedAccess');
		assert.match(answer.body.Message, /Unauthorized: the end of the SAS token, se, is not a whole number of seconds$/);
	}
});

test('R-05 L-79 expired by more than 300 s is refused, within it accepted', async () => {
	const now = Math.floor(Date.now() / 1000);
	assert.equal(await status(`/devices/${ID}`, token({ se: now - 305 })), 401);
	assert.equal(await status(`/devices/${ID}`, token({ se: now - 280 })), 200);
});

test('R-06 the secondary key signs as well', async () => {
	const shown = await hub.cli(['policy', 'show', 'iothubowner', '--keys']);
	assert.equal(shown.code, 0, shown.stderr);
	const others = (shown.stdout.match(/[A-Za-z0-9+/]{43}=/g) ?? []).filter((k) => k !== key);
	assert.equal(others.length, 1, shown.stdout);
	assert.equal(await status(`/devices/${ID}`, token({ k: others[0] })), 200);
});

test('R-07 sr: plain host, with port, encoded, other case', async () => {
	for (const sr of [hub.addr, `${hub.addr}:443`, `${hub.addr}%3A443`, `${hub.addr}%3a443`, `${hub.addr}/`, `${hub.addr}%2F`])
		assert.equal(await status(`/devices/${ID}`, token({ sr })), 200, sr);
	assert.equal(await status(`/devices/${ID}`, token({ sr: 'other.example.test' })), 401);
});

test('R-08 R-09 sr covers whole segments of the path only', async () => {
	const h = hub.addr;
	assert.equal(await status(`/twins/${ID}`, token({ sr: `${h}/devices` })), 401);
	assert.equal(await status(`/devices/${ID}`, token({ sr: `${h}/devices` })), 200);
	assert.equal(await status(`/devices/${ID}`, token({ sr: `${h}%2Fdevices%2F${ID}` })), 200);
	assert.equal(await status(`/devices/${ID}`, token({ sr: `${h}/dev` })), 401);
	assert.equal(await status(`/devices/${ID}`, token({ sr: `${h}/devices/h` })), 401);
});

test('R-10 the fields of a token come in any order; unknown ones are ignored', async () => {
	for (const order of [['sr', 'sig', 'skn', 'se'], ['sig', 'se', 'skn', 'sr'], ['skn', 'se', 'sig', 'sr']]) assert.equal(await status(`/devices/${ID}`, token({ order })), 200, order);
	assert.equal(await status(`/devices/${ID}`, token({ extra: '&x=1' })), 200);
	assert.equal(await status(`/devices/${ID}`, token().replace('SharedAccessSignature', 'sharedaccesssignature')), 200);
});

test('R-11 R-12 T-12 rights of the policies', async () => {
	const put = (policy) => hub.rest('PUT', '/devices/h-new', { policy, body: { deviceId: 'h-new' } });
	const cases = [
		['registryRead', () => put('registryRead'), 401],
		['registryRead', () => hub.rest('GET', `/devices/${ID}`, { policy: 'registryRead' }), 200],
		['registryRead', () => hub.rest('GET', '/devices', { policy: 'registryRead' }), 200],
		['registryRead', () => hub.rest('PATCH', `/twins/${ID}`, { policy: 'registryRead', body: { tags: { a: 1 } } }), 401],
		['registryRead', () => hub.rest('GET', `/twins/${ID}`, { policy: 'registryRead' }), 401],
		['registryRead', () => hub.rest('DELETE', `/devices/${ID}`, { policy: 'registryRead' }), 401],
		['service', () => hub.rest('GET', `/devices/${ID}`, { policy: 'service' }), 401],
		['service', () => hub.rest('GET', `/twins/${ID}`, { policy: 'service' }), 200],
		['service', () => hub.rest('PATCH', `/twins/${ID}`, { policy: 'service', body: { tags: { a: 1 } } }), 200],
		['device', () => hub.rest('GET', `/devices/${ID}`, { policy: 'device' }), 401],
		['device', () => hub.rest('GET', `/twins/${ID}`, { policy: 'device' }), 401],
		['registryReadWrite', () => put('registryReadWrite'), 200],
		['registryReadWrite', () => hub.rest('GET', '/devices/h-new', { policy: 'registryReadWrite' }), 200],
		['registryReadWrite', () => hub.rest('GET', '/twins/h-new', { policy: 'registryReadWrite' }), 401],
	];
	for (const [i, [policy, call, wanted]] of cases.entries()) {
		const answer = await call();
		assert.equal(answer.status, wanted, `case ${i}, ${policy}: ${answer.text.slice(0, 200)}`);
		if (wanted === 401) assertError(answer, 401, 'IotHubUnauthorizedAccess');
	}
});

test('R-115 T-116 who lacks a right of those that are all asked for is 401 before anything else is looked at, and the log says why', async () => {
	const routes = [['GET', '/admin/policies'], ['GET', '/admin/policies/service'], ['POST', '/admin/policies/service/rotate'], ['POST', '/admin/backup'], ['GET', '/admin/export'], ['POST', '/admin/import']];
	for (const policy of ['registryReadWrite', 'service']) {
		for (const [method, path] of routes) assertError(await hub.rest(method, path, { policy, apiVersion: null }), 401, 'IotHubUnauthorizedAccess');
		await until(() => new RegExp(`reason=policy-rights .*policy=${policy} `).test(hub.logs), 'the line of the refusal');
	}
});

test('R-13 a device\'s own token opens nothing here', async () => {
	const device = (await hub.rest('GET', `/devices/${ID}`)).body.authentication.symmetricKey.primaryKey;
	assert.equal(await status(`/devices/${ID}`, token({ sr: `${hub.addr}/devices/${ID}`, k: device, skn: undefined })), 401);
	assert.equal(await status(`/twins/${ID}`, token({ sr: hub.addr, k: device, skn: '' })), 401);
});

test('R-15 every answer bears x-ms-request-id', async () => {
	const seen = new Set();
	for (const path of [`/devices/${ID}`, `/twins/${ID}`, '/devices/nobody', '/devices', '/nowhere']) seen.add((await hub.rest('GET', path)).headers['x-ms-request-id']);
	assert.equal(seen.size, 5);
	assert.equal(seen.has(undefined), false);
});

test('R-16 POST with X-HTTP-Method-Override: PATCH', async () => {
	const answer = await hub.rest('POST', `/twins/${ID}`, { headers: { 'X-HTTP-Method-Override': 'PATCH' }, body: { tags: { java: true } } });
	assert.equal(answer.status, 200, answer.text);
	assert.equal(answer.body.tags.java, true);
	assertError(await hub.rest('POST', `/twins/${ID}`, { body: { tags: { java: 2 } } }), 405, 'GenericMethodNotAllowed');
});

test('R-17 R-18 a slash at the end is the same route', async () => {
	const [bare, slash] = [await hub.rest('POST', '/devices', { body: '{' }), await hub.rest('POST', '/devices/', { body: '{' })];
	assert.equal(slash.status, bare.status);
	assert.equal(slash.headers['iothub-errorcode'], bare.headers['iothub-errorcode']);
	assert.deepEqual((await hub.rest('GET', '/devices/')).body.map((d) => d.deviceId), (await hub.rest('GET', '/devices')).body.map((d) => d.deviceId));
});

test('R-19 ids in the path are decoded once', async () => {
	const answer = await hub.rest('PUT', '/devices/a%23b%2Bc%25d', { body: { deviceId: 'a#b+c%d' } });
	assert.equal(answer.body.deviceId, 'a#b+c%d');
	assert.equal((await hub.rest('GET', '/devices/a%23b+c%25d')).body.deviceId, 'a#b+c%d');
	assert.equal((await hub.rest('GET', '/twins/a%23b%2bc%25d')).body.deviceId, 'a#b+c%d');
	assert.equal((await hub.rest('GET', '/devices/a%2523b%2Bc%25d')).status, 404);
});

test('R-102 unknown path 404, wrong verb 405, both as JSON', async () => {
	const unknown = await hub.rest('GET', '/nowhere');
	assert.equal(unknown.status, 404);
	assertError(unknown, 404, unknown.headers['iothub-errorcode']);
	assertError(await hub.rest('POST', `/devices/${ID}`, { body: {} }), 405, 'GenericMethodNotAllowed');
	assertError(await hub.rest('DELETE', `/twins/${ID}`), 405, 'GenericMethodNotAllowed');
});

test('R-103 Host with and without port, or something else', async () => {
	for (const Host of [hub.addr, `${hub.addr}:443`, 'whatever.example.test']) assert.equal((await hub.rest('GET', `/devices/${ID}`, { headers: { Host } })).status, 200, Host);
});

test('R-104 two requests on one connection', async () => {
	const agent = new https.Agent({ keepAlive: true, maxSockets: 1, ca: hub.pem });
	let connections = 0;
	const create = agent.createConnection;
	agent.createConnection = function (...args) { connections++; return create.apply(this, args); };
	for (let i = 0; i < 5; i++) assert.equal((await hub.rest('GET', `/twins/${ID}`, { agent })).status, 200);
	assert.equal((await hub.rest('GET', '/devices/nobody', { agent })).status, 404);
	assert.equal((await hub.rest('DELETE', '/devices/nobody', { agent })).status, 404);
	assert.equal(connections, 1);
	agent.destroy();
});

test('L-90 bodies that are not JSON, or no object, have their own codes', async () => {
	assertError(await hub.rest('PATCH', `/twins/${ID}`, { body: '{"tags":' }), 400, 'IotHubFormatError');
	assertError(await hub.rest('PATCH', `/twins/${ID}`, { body: '[1]' }), 400, 'ArgumentInvalid');
	assertError(await hub.rest('PATCH', `/twins/${ID}`), 400, 'ArgumentNull');
	assertError(await hub.rest('PUT', '/devices/h-bad', { body: '{' }), 400, 'IotHubFormatError');
	assertError(await hub.rest('POST', '/devices/query', { body: 'SELECT' }), 400, 'IotHubFormatError');
});

test('a body needs no Content-Type, and a large one is announced with Expect', async () => {
	const answer = await hub.rest('PATCH', `/twins/${ID}`, { body: '{"tags":{"x":1}}', headers: { 'Content-Type': 'text/plain' } });
	assert.equal(answer.status, 200);
	const big = JSON.stringify({ tags: { big: 'x'.repeat(3000) } });
	const status = await new Promise((resolve, reject) => {
		hub.token().then((Authorization) => {
			const request = https.request({ host: hub.addr, ca: hub.pem, method: 'PATCH', path: `/twins/${ID}?api-version=2021-04-12`, agent: false,
				headers: { Authorization, Expect: '100-continue', 'Content-Length': big.length } }, (r) => { r.resume(); resolve(r.statusCode); });
			request.on('continue', () => request.end(big));
			request.on('error', reject);
			request.setTimeout(WAIT_MS, () => request.destroy(new Error('no 100 Continue')));
			request.flushHeaders();
		}, reject);
	});
	assert.equal(status, 200);
});

test('L-89 more than 1 MB of body is 413', async () => {
	assertError(await hub.rest('PATCH', `/twins/${ID}`, { body: Buffer.alloc(1048577, 32) }), 413, 'GenericRequestEntityTooLarge');
});
