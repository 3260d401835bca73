// The service API against requests that are wrong in every way. Rules: service-rest.md 1 to 9 and 20, twins.md 4, 6, 11.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import tls from 'node:tls';
import { sasToken, parseConnectionString, until, within } from '../lib/hub.mjs';
import { allBad, malformed, malformedWhole, notObjects } from './documents.mjs';
import { SLOW, Scene, abandonHttp, cpuSeconds, expectFault, rawHttp, rssBytes } from './harness.mjs';

let scene, owner, token;
before(async () => {
	scene = await Scene.start({ devices: ['h', 'edge'] });
	owner = parseConnectionString(await scene.hub.connectionString('iothubowner'));
	token = await scene.hub.token();
});
after(() => scene?.stop());

const NAMES = { 400001: 'InvalidProtocolVersion', 400004: 'ArgumentInvalid', 400005: 'ArgumentNull', 400006: 'IotHubFormatError', 403100: 'DeviceModelMaxPropertiesExceeded' };

// Rows: [name, method, path, options of rest(), status, error name]
async function refuse([, method, path, options, status, name]) {
	const made = typeof options === 'function' ? await options() : options;
	expectFault(await scene.rest(method, path, made), status, name);
	await scene.holds();
}

const sign = (change) => () => ({ token: sasToken({ resource: owner.HostName, key: owner.SharedAccessKey, policy: 'iothubowner', ...change }) });
const DENIED = [401, 'IotHubUnauthorizedAccess'];
const auth = [
	['no Authorization', { token: null }],
	['an empty Authorization', { token: '' }],
	['a word', { token: 'x' }],
	['only the scheme', { token: 'SharedAccessSignature' }],
	['the scheme and a blank', { token: 'SharedAccessSignature ' }],
	['basic authentication', { token: 'Basic dXNlcjpwYXNz' }],
	['a bearer token', { token: 'Bearer eyJhbGciOiJub25lIn0.e30.' }],
	['4,000 ampersands', { token: `SharedAccessSignature ${'&'.repeat(4000)}` }],
	['no signature', () => ({ token: token.replace(/sig=[^&]*&/, '') })],
	['a signature of zeros', () => ({ token: token.replace(/sig=[^&]*/, `sig=${'A'.repeat(43)}%3D`) })],
	['a signature cut short', () => ({ token: token.replace(/sig=([^&]{10})[^&]*/, 'sig=$1') })],
	['no resource', () => ({ token: token.replace(/sr=[^&]*&/, '') })],
	['no expiry', () => ({ token: token.replace(/&se=\d+/, '') })],
	['an expiry that was moved', () => ({ token: token.replace(/se=\d+/, 'se=4102444800') })],
	['an expiry an hour ago', sign({ ttl: -3600 })],
	['an expiry that is no number', sign({ expires: 'never' })],
	['a field twice', () => ({ token: `${token}&skn=iothubowner` })],
	['an unknown policy', sign({ policy: 'nobody' })],
	['no policy', sign({ policy: undefined })],
	['another policy\'s key', sign({ policy: 'service' })],
	['a wrong key', sign({ key: Buffer.alloc(32).toString('base64') })],
	['a device\'s token', () => ({ token: sasToken({ resource: `${scene.hub.addr}/devices/h`, key: scene.keys.h }) })],
	['another host', sign({ resource: 'elsewhere.example' })],
	['a resource that does not cover the path', () => sign({ resource: `${owner.HostName}/devices` })()],
	['a resource that begins like the path', () => sign({ resource: `${owner.HostName}/twin` })()],
	['a policy without the right', { policy: 'registryRead' }],
	['a policy for devices only', { policy: 'device' }],
].map(([name, options]) => [name, 'GET', '/twins/h', options, ...DENIED]);

const versions = [
	['no api-version', 'GET', '/twins/h', { apiVersion: null }, 400, 'InvalidProtocolVersion'],
	['an empty api-version', 'GET', '/twins/h?api-version=', {}, 400, 'InvalidProtocolVersion'],
	['an api-version that is a word', 'GET', '/twins/h?api-version=latest', {}, 400, 'InvalidProtocolVersion'],
	['an api-version with something behind it', 'GET', '/twins/h?api-version=2021-04-12x', {}, 400, 'InvalidProtocolVersion'],
	['an api-version of 2,000 digits', 'GET', `/twins/h?api-version=${'1'.repeat(2000)}`, {}, 400, 'InvalidProtocolVersion'],
	['authentication before api-version (T-116)', 'GET', '/twins/h', { apiVersion: null, token: 'x' }, ...DENIED],
];

const paths = [
	['an unknown path', 'GET', '/nothing', {}, 404, 'GenericNotFound'],
	['the root', 'GET', '/', {}, 404, 'GenericNotFound'],
	['a path below a device', 'GET', '/devices/h/nothing', {}, 404, 'GenericNotFound'],
	['four segments', 'GET', '/devices/h/modules/m/x', {}, 404, 'GenericNotFound'],
	['an empty segment', 'GET', '/twins//h', {}, 404, 'GenericNotFound'],
	['parent directories', 'GET', '/twins/../twins/h', {}, 404, 'GenericNotFound'],
	['encoded parent directories', 'GET', '/twins/%2e%2e%2ftwins%2fh', {}, 400, 'ArgumentInvalid'],
	['a NUL in an id', 'GET', '/twins/h%00', {}, 400, 'ArgumentInvalid'],
	['a slash in an id', 'GET', '/twins/a%2Fb', {}, 400, 'ArgumentInvalid'],
	['a blank in an id', 'GET', '/twins/a%20b', {}, 400, 'ArgumentInvalid'],
	['a control character in an id', 'GET', '/twins/a%0Ab', {}, 400, 'ArgumentInvalid'],
	['an id that is not ASCII', 'GET', '/twins/%C3%A9', {}, 400, 'ArgumentInvalid'],
	['an id that is not UTF-8', 'GET', '/twins/%ff', {}, 400, 'ArgumentInvalid'],
	['an id of 129 characters', 'GET', `/twins/${'a'.repeat(129)}`, {}, 400, 'ArgumentInvalid'],
	['a segment of 4,000 characters', 'GET', `/twins/${'a'.repeat(4000)}`, {}, 404, 'GenericNotFound'],
	['an id encoded twice is another id', 'GET', '/twins/%2568', {}, 404, 'DeviceNotFound'],
	['an id in another case', 'GET', '/twins/H', {}, 404, 'DeviceNotFound'],
	['an unknown device', 'GET', '/twins/nobody', {}, 404, 'DeviceNotFound'],
];

const verbs = [
	['POST on a device', 'POST', '/devices/h', { body: {} }],
	['PATCH on a device', 'PATCH', '/devices/h', { body: {} }],
	['DELETE on a twin', 'DELETE', '/twins/h', {}],
	['POST on a twin', 'POST', '/twins/h', { body: { tags: { a: 1 } } }],
	['OPTIONS', 'OPTIONS', '/twins/h', {}],
	['TRACE', 'TRACE', '/twins/h', {}],
	['DELETE on the list', 'DELETE', '/devices', {}],
	['an override to nonsense', 'POST', '/twins/h', { body: {}, headers: { 'X-HTTP-Method-Override': 'BREW' } }],
	['an override to DELETE', 'POST', '/twins/h', { body: {}, headers: { 'X-HTTP-Method-Override': 'DELETE' } }],
].map((row) => [...row, 405, 'GenericMethodNotAllowed']);

const desired = (text) => Buffer.concat([Buffer.from('{"properties":{"desired":'), Buffer.from(text), Buffer.from('}}')]);
const tags = (text) => Buffer.concat([Buffer.from('{"tags":'), Buffer.from(text), Buffer.from('}')]);
const patchRows = [
	...allBad.map(([name, text, code]) => [`desired: ${name}`, 'PATCH', '/twins/h', { body: desired(text) }, Math.trunc(code / 1000), NAMES[code]]),
	...[...malformed, ...malformedWhole].slice(-6).map(([name, text, code]) => [`the body: ${name}`, 'PATCH', '/twins/h', { body: Buffer.from(text) }, 400, NAMES[code]]),
	...notObjects.map(([name, text]) => [`the body: ${name}`, 'PATCH', '/twins/h', { body: Buffer.from(text) }, 400, 'ArgumentInvalid']),
	['the body: null', 'PATCH', '/twins/h', { body: 'null' }, 400, 'ArgumentInvalid'],
	['no body', 'PATCH', '/twins/h', {}, 400, 'ArgumentNull'],
	['an empty body', 'PATCH', '/twins/h', { body: '' }, 400, 'ArgumentNull'],
	['tags: a number', 'PATCH', '/twins/h', { body: { tags: 5 } }, 400, 'ArgumentInvalid'],
	['tags: a string', 'PATCH', '/twins/h', { body: { tags: 'x' } }, 400, 'ArgumentInvalid'],
	['tags: an array', 'PATCH', '/twins/h', { body: { tags: [] } }, 400, 'ArgumentInvalid'],
	['properties: a number', 'PATCH', '/twins/h', { body: { properties: 5 } }, 400, 'ArgumentInvalid'],
	['tags over 8 KB', 'PATCH', '/twins/h', { body: tags(JSON.stringify({ a: 'x'.repeat(4096), b: 'x'.repeat(4096) })) }, 403, 'DeviceModelMaxPropertiesExceeded'],
	['good tags with bad desired properties (T-43)', 'PATCH', '/twins/h', { body: { tags: { a: 1 }, properties: { desired: { 'b.c': 1 } } } }, 400, 'ArgumentInvalid'],
	['good desired properties with bad tags', 'PATCH', '/twins/h', { body: { tags: { 'b.c': 1 }, properties: { desired: { a: 1 } } } }, 400, 'ArgumentInvalid'],
	['a foreign deviceId (T-03)', 'PATCH', '/twins/h', { body: { deviceId: 'other', tags: { a: 1 } } }, 400, 'ArgumentInvalid'],
	['300,000 empty strings (T-81a)', 'PATCH', '/twins/h', { body: desired(`{"a":[${Array(300_000).fill('""').join(',')}]}`) }, 403, 'DeviceModelMaxPropertiesExceeded'],
	['a stale If-Match', 'PATCH', '/twins/h', { body: { tags: { a: 1 } }, headers: { 'If-Match': '"AAAAAAAAAAA="' } }, 412, 'PreconditionFailed'],
	['a stale If-Match without quotes (T-50)', 'PATCH', '/twins/h', { body: { tags: { a: 1 } }, headers: { 'If-Match': 'AAAAAAAAAAA=' } }, 412, 'PreconditionFailed'],
	['an empty If-Match', 'PATCH', '/twins/h', { body: { tags: { a: 1 } }, headers: { 'If-Match': '""' } }, 412, 'PreconditionFailed'],
	['an If-Match of 4,000 characters', 'PATCH', '/twins/h', { body: { tags: { a: 1 } }, headers: { 'If-Match': `"${'x'.repeat(4000)}"` } }, 412, 'PreconditionFailed'],
	['existence before format (T-116)', 'PATCH', '/twins/nobody', { body: '{' }, 404, 'DeviceNotFound'],
	['format before If-Match (T-116)', 'PATCH', '/twins/h', { body: '{', headers: { 'If-Match': '"x"' } }, 400, 'IotHubFormatError'],
	['If-Match before values (T-116)', 'PATCH', '/twins/h', { body: { tags: { 'a.b': 1 } }, headers: { 'If-Match': '"x"' } }, 412, 'PreconditionFailed'],
	['PUT: null inside tags (T-46)', 'PUT', '/twins/h', { body: { tags: { a: null } } }, 400, 'ArgumentInvalid'],
	['PUT: null deep inside desired', 'PUT', '/twins/h', { body: { properties: { desired: { a: { b: null } } } } }, 400, 'ArgumentInvalid'],
	['PUT: no body', 'PUT', '/twins/h', {}, 400, 'ArgumentNull'],
	['PUT: a stale If-Match', 'PUT', '/twins/h', { body: {}, headers: { 'If-Match': '"x"' } }, 412, 'PreconditionFailed'],
];

const put = (identity) => ({ body: { deviceId: 'new', ...identity } });
const keys = (primaryKey, secondaryKey) => put({ authentication: { type: 'sas', symmetricKey: { primaryKey, secondaryKey } } });
const thumbs = (primaryThumbprint, secondaryThumbprint = '') => put({ authentication: { type: 'selfSigned', x509Thumbprint: { primaryThumbprint, secondaryThumbprint } } });
const base64 = (n) => Buffer.alloc(n, 1).toString('base64');
const identityRows = [
	...[...malformed.slice(0, 8), ...malformed.slice(-8), ...malformedWhole].map(([name, text]) => [`body: ${name}`, { body: Buffer.from(text) }, 400, 'IotHubFormatError']),
	...notObjects.map(([name, text]) => [`body: ${name}`, { body: Buffer.from(text) }, 400, 'ArgumentInvalid']),
	['no body', {}, 400, 'ArgumentNull'],
	['another deviceId', { body: { deviceId: 'other2' } }, 400, 'ArgumentInvalid'],
	['a deviceId that is a number', { body: { deviceId: 5 } }, 400, 'ArgumentInvalid'],
	['no deviceId', { body: {} }, 400, 'ArgumentInvalid'],
	['an unknown status', put({ status: 'sleeping' }), 400, 'ArgumentInvalid'],
	['a status that is a number', put({ status: 1 }), 400, 'ArgumentInvalid'],
	['a statusReason of 129 characters', put({ statusReason: 'x'.repeat(129) }), 400, 'ArgumentInvalid'],
	['a statusReason that is an object', put({ statusReason: {} }), 400, 'ArgumentInvalid'],
	['authentication that is a string', put({ authentication: 'sas' }), 400, 'ArgumentInvalid'],
	['an unknown authentication type', put({ authentication: { type: 'password' } }), 400, 'ArgumentInvalid'],
	['one key only', keys(base64(32), ''), 400, 'ArgumentInvalid'],
	['keys that are not base64', keys('!!!!', '!!!!'), 400, 'ArgumentInvalid'],
	['keys without padding', keys('YWFhYWFhYWFhYWFhYWFhYQ', 'YWFhYWFhYWFhYWFhYWFhYQ'), 400, 'ArgumentInvalid'],
	['keys of 15 bytes', keys(base64(15), base64(15)), 400, 'ArgumentInvalid'],
	['keys of 65 bytes', keys(base64(65), base64(65)), 400, 'ArgumentInvalid'],
	['keys of 100,000 characters', keys('A'.repeat(100_000), 'A'.repeat(100_000)), 400, 'ArgumentInvalid'],
	['keys that are numbers', keys(1, 2), 400, 'ArgumentInvalid'],
	['a thumbprint of 39 digits', thumbs('a'.repeat(39)), 400, 'ArgumentInvalid'],
	['a thumbprint that is not hexadecimal', thumbs('g'.repeat(40)), 400, 'ArgumentInvalid'],
	['self-signed without thumbprint', put({ authentication: { type: 'selfSigned' } }), 400, 'ArgumentInvalid'],
	['a key and a thumbprint', put({ authentication: { symmetricKey: { primaryKey: base64(32), secondaryKey: base64(32) }, x509Thumbprint: { primaryThumbprint: 'a'.repeat(40), secondaryThumbprint: '' } } }), 400, 'ArgumentInvalid'],
	['capabilities that are an array', put({ capabilities: [] }), 400, 'ArgumentInvalid'],
	['iotEdge that is a string', put({ capabilities: { iotEdge: 'yes' } }), 400, 'ArgumentInvalid'],
	['an unknown deviceScope (R-31)', put({ deviceScope: 'ms-azure-iot-edge://nobody-1' }), 400, 'ArgumentInvalid'],
	['a thousand levels', { body: `{"deviceId":"new","x":${'['.repeat(1000)}${']'.repeat(1000)}}` }, 400, 'ArgumentInvalid'],
	['If-Match on what is not there (R-24)', { ...put({}), headers: { 'If-Match': '*' } }, 404, 'DeviceNotFound'],
].map(([name, ...rest]) => [`PUT device, ${name}`, 'PUT', '/devices/new', ...rest]);

const registryRows = [
	['PUT device again (R-21)', 'PUT', '/devices/h', { body: { deviceId: 'h' } }, 409, 'DeviceAlreadyExists'],
	['PUT device with a stale etag', 'PUT', '/devices/h', { body: { deviceId: 'h' }, headers: { 'If-Match': '"stale"' } }, 412, 'PreconditionFailed'],
	['DELETE with a stale etag', 'DELETE', '/devices/h', { headers: { 'If-Match': '"stale"' } }, 412, 'PreconditionFailed'],
	['DELETE what is not there', 'DELETE', '/devices/nobody', {}, 404, 'DeviceNotFound'],
	['PUT an id with a slash', 'PUT', '/devices/a%2Fb', { body: { deviceId: 'a/b' } }, 400, 'ArgumentInvalid'],
	['PUT an id of 129 characters', 'PUT', `/devices/${'a'.repeat(129)}`, { body: { deviceId: 'a'.repeat(129) } }, 400, 'ArgumentInvalid'],
	['PUT with a policy that may only read', 'PUT', '/devices/new', { policy: 'registryRead', body: { deviceId: 'new' } }, ...DENIED],
	['PUT with the policy service', 'PUT', '/devices/new', { policy: 'service', body: { deviceId: 'new' } }, ...DENIED],
	['DELETE with a policy that may only read', 'DELETE', '/devices/h', { policy: 'registryRead' }, ...DENIED],
	['GET device with the policy service (R-12)', 'GET', '/devices/h', { policy: 'service' }, ...DENIED],
	['PATCH twin with registryRead (R-11)', 'PATCH', '/twins/h', { policy: 'registryRead', body: { tags: { a: 1 } } }, ...DENIED],
];

const query = (text, headers = {}) => ({ body: { query: text }, headers });
const queryRows = [
	['no body', {}, 'ArgumentNull'],
	['not JSON', { body: 'SELECT * FROM devices' }, 'IotHubFormatError'],
	['no query member', { body: {} }, 'ArgumentNull'],
	['a query that is a number', { body: { query: 1 } }, 'ArgumentNull'],
	['an empty query', query(''), 'ArgumentNull'],
	['a NUL alone', query('\0'), 'ArgumentInvalid'],
	['a blank and a NUL', query(' \0'), 'ArgumentInvalid'],
	['no FROM', query('SELECT *'), 'ArgumentInvalid'],
	['an unknown table', query('SELECT * FROM users'), 'ArgumentInvalid'],
	['SQL of another kind', query('DROP TABLE devices'), 'ArgumentInvalid'],
	['two statements', query('SELECT * FROM devices; SELECT * FROM devices'), 'ArgumentInvalid'],
	['a string that does not end', query("SELECT * FROM devices WHERE tags.a = 'x"), 'ArgumentInvalid'],
	['an operator without right side', query('SELECT * FROM devices WHERE tags.a ='), 'ArgumentInvalid'],
	['brackets that do not match', query('SELECT * FROM devices WHERE (tags.a = 1'), 'ArgumentInvalid'],
	['2,000 open brackets', query(`SELECT * FROM devices WHERE ${'('.repeat(2000)}tags.a=1${')'.repeat(2000)}`), 'ArgumentInvalid'],
	['1,500 NOTs', query(`SELECT * FROM devices WHERE ${'NOT '.repeat(1500)}tags.a=1`), 'ArgumentInvalid'],
	['8,193 characters', query(`SELECT * FROM devices WHERE tags.a = '${'x'.repeat(8193 - 38)}'`), 'ArgumentInvalid'],
	['a megabyte of blanks', query(`SELECT * FROM devices${' '.repeat(900_000)}`), 'ArgumentInvalid'],
	['a NUL', query('SELECT * FROM devices\0'), 'ArgumentInvalid'],
	['characters that are no token', query('SELECT * FROM devices WHERE tags.a = @#!'), 'ArgumentInvalid'],
	['page size 0', query('SELECT * FROM devices', { 'x-ms-max-item-count': '0' }), 'ArgumentInvalid'],
	['a negative page size', query('SELECT * FROM devices', { 'x-ms-max-item-count': '-1' }), 'ArgumentInvalid'],
	['a page size that is a word', query('SELECT * FROM devices', { 'x-ms-max-item-count': 'many' }), 'ArgumentInvalid'],
	['a page size beyond 64 bits', query('SELECT * FROM devices', { 'x-ms-max-item-count': '-99999999999999999999' }), 'ArgumentInvalid'],
	['a continuation token that is a word', query('SELECT * FROM devices', { 'x-ms-continuation': 'next' }), 'ArgumentInvalid'],
	['a continuation token of zeros', query('SELECT * FROM devices', { 'x-ms-continuation': Buffer.alloc(48).toString('base64') }), 'ArgumentInvalid'],
	['a continuation token of 4,000 characters', query('SELECT * FROM devices', { 'x-ms-continuation': 'A'.repeat(4000) }), 'ArgumentInvalid'],
].map(([name, options, code]) => [`query: ${name}`, 'POST', '/devices/query', options, 400, code]);

for (const [kind, rows] of Object.entries({ authentication: auth, 'api-version': versions, paths, verbs, 'twin bodies': patchRows,
	'identity bodies': identityRows, registry: registryRows, queries: queryRows }))
	describe(kind, () => { for (const row of rows) test(row[0], () => refuse(row)); });

test('another query\'s continuation token is refused', async () => {
	const first = await scene.rest('POST', '/devices/query', query('SELECT * FROM devices', { 'x-ms-max-item-count': '1' }));
	assert.equal(first.status, 200);
	const next = first.headers['x-ms-continuation'];
	assert.ok(next);
	expectFault(await scene.rest('POST', '/devices/query', query('SELECT deviceId FROM devices', { 'x-ms-continuation': next })), 400, 'ArgumentInvalid');
	const changed = `${next.slice(0, -6)}${next.slice(-6) === 'AAAAAA' ? 'BBBBBB' : 'AAAAAA'}`;
	const answer = await scene.rest('POST', '/devices/query', query('SELECT * FROM devices', { 'x-ms-continuation': changed }));
	assert.ok([200, 400].includes(answer.status), 'another place, or no place: never anything worse');
});

// ---- the wire ----

const head = (first, lines = [], body = '') => () => Buffer.concat([
	Buffer.from(`${first}\r\nHost: ${scene.hub.addr}\r\nAuthorization: ${token}\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`, 'latin1'), Buffer.from(body)]);
const PATCH_H = 'PATCH /twins/h?api-version=2021-04-12 HTTP/1.1';
const GET_H = 'GET /twins/h?api-version=2021-04-12 HTTP/1.1';
const BODY = '{"tags":{"x":1}}';

// Ours: answered with our JSON.
const ours = [
	['a body of 1 MB and a byte', head(PATCH_H, [`Content-Length: ${2 ** 20 + 1}`], 'x'.repeat(2 ** 20 + 1)), 413, 'GenericRequestEntityTooLarge'],
	['a body of 3 MB', head(PATCH_H, ['Content-Length: 3000000'], Buffer.alloc(3_000_000, 'x')), 413, 'GenericRequestEntityTooLarge'],
	['an unknown verb', head('BREW /twins/h?api-version=2021-04-12 HTTP/1.1'), 405, 'GenericMethodNotAllowed'],
	['a raw # in an id', head('GET /twins/h#x?api-version=2021-04-12 HTTP/1.1'), 404, 'DeviceNotFound'],
];
describe('HTTP that the hub answers itself', () => {
	for (const [name, bytes, status, code] of ours) {
		test(name, async () => {
			const { responses } = await rawHttp(scene.hub, bytes());
			expectFault(responses[0], status, code);
			await scene.holds();
		});
	}
});

// What RFC 9112 does not have: our answer, and the end of the connection, whatever comes behind it. A second reader in
// front of the hub, or evhttp behind us, may see another message there; INNER is what it would be.
const INNER = () => head(PATCH_H, ['Content-Length: 20'], '{"tags":{"inner":1}}')().toString('latin1');
const raw = (...lines) => () => Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
const withHost = (...lines) => () => raw(PATCH_H, `Host: ${scene.hub.addr}`, `Authorization: ${token}`, ...lines)();
const chunks = (text, lines = []) => () => head(PATCH_H, ['Transfer-Encoding: chunked', ...lines], text.replace('INNER', INNER()))();
const framing = [
	['a line of garbage', raw('GARBAGE'), 400, /request line/],
	['a request line without version', raw('GET /twins/h'), 400, /request line/],
	['a request line with a blank too many', raw('GET  /twins/h HTTP/1.1', 'Host: x'), 400, /request line/],
	['a request line with a tab', raw('GET\t/twins/h\tHTTP/1.1', 'Host: x'), 400, /request line/],
	['a request line with something behind it', raw('GET /twins/h HTTP/1.1 x', 'Host: x'), 400, /HTTP\/1\.1/],
	['HTTP/9.9', head('GET /twins/h HTTP/9.9'), 400, /HTTP\/1\.1/],
	['http/1.1 in small letters', head('GET /twins/h http/1.1'), 400, /HTTP\/1\.1/],
	['binary bytes', () => Buffer.concat([Buffer.alloc(200, 0x80), Buffer.from('\r\n\r\n')]), 400, /request line/],
	['a control character in the target', head('GET /twins/h\x01 HTTP/1.1'), 400, /request line/],
	['three empty lines', () => Buffer.from('\r\n\r\n\r\n'), 400, /empty lines/],
	['a header without colon', head(GET_H, ['nonsense']), 400, /colon/],
	['a header without name', head(GET_H, [': x']), 400, /name/],
	['a blank in front of the colon', head(GET_H, ['X-A : 1']), 400, /name/],
	['a folded header', head(GET_H, ['X-A: 1', ' 2']), 400, /folded/],
	['a folded header by a tab', head(GET_H, ['X-A: 1', '\t2']), 400, /folded/],
	['a fold as the first header', raw(GET_H, ' Host: x'), 400, /folded/],
	['a NUL in a header\'s value', head(GET_H, ['X-A: 1\0']), 400, /NUL/],
	['a NUL in a header\'s name', head(GET_H, ['X\0-A: 1']), 400, /NUL/],
	['a line that begins with a NUL', head(GET_H, ['\0']), 400, /NUL/],
	['a NUL in the target', head('GET /twins/h\0x HTTP/1.1'), 400, /NUL/],
	['a control character in a header', head(GET_H, ['X-A: \x07']), 400, /control character/],
	['a DEL in a header', head(GET_H, ['X-A: \x7f']), 400, /control character/],
	['a CR in a header', head(GET_H, ['X-A: 1\rX-B: 2']), 400, /CR within/],
	['two CRs at a line\'s end', head(GET_H, ['X-A: 1\r']), 400, /CR within/],
	['a bare LF', () => Buffer.from(`${GET_H}\nHost: x\n\n`), 400, /LF and not with CR LF/],
	['a bare LF between headers', head(GET_H, ['X-A: 1\nX-B: 2']), 400, /LF and not with CR LF/],
	['no Host', raw(GET_H), 400, /no Host/],
	['two Hosts', raw(GET_H, 'Host: a', 'Host: b'), 400, /more than one Host/],
	['two equal Hosts', raw(GET_H, 'Host: a', 'host: a'), 400, /more than one Host/],
	['two Hosts in HTTP/1.0', raw('GET /twins/h HTTP/1.0', 'Host: a', 'Host: a'), 400, /more than one Host/],
	['a Host with a blank', raw(GET_H, 'Host: a b'), 400, /Host has characters/],
	['a Host with a path', raw(GET_H, 'Host: a/b'), 400, /Host has characters/],
	['a Host with a user', raw(GET_H, 'Host: x@a'), 400, /Host has characters/],
	['a header of 100,000 bytes', head(GET_H, [`X-Long: ${'x'.repeat(100_000)}`]), 400, /too long/],
	['20,000 headers', head(GET_H, Array.from({ length: 20_000 }, (_, i) => `X-${i}: 1`)), 400, /too long/],
	['a request line of 100,000 bytes', head(`GET /${'x'.repeat(100_000)} HTTP/1.1`), 400, /too long/],
	['another expectation', head(PATCH_H, ['Expect: miracles', 'Content-Length: 16'], BODY), 400, /expects/],
	['two expectations', head(PATCH_H, ['Expect: 100-continue, miracles', 'Content-Length: 16'], BODY), 400, /expects/],
	['two Content-Lengths', head(PATCH_H, ['Content-Length: 16', 'Content-Length: 2'], BODY), 400, /more than once/],
	['two equal Content-Lengths', head(PATCH_H, ['Content-Length: 16', 'content-length: 16'], BODY), 400, /more than once/],
	['a list of equal Content-Lengths', head(PATCH_H, ['Content-Length: 16, 16'], BODY), 400, /digits/],
	['a Content-Length that is a word', head(PATCH_H, ['Content-Length: many'], BODY), 400, /digits/],
	['a negative Content-Length', head(PATCH_H, ['Content-Length: -1'], BODY), 400, /digits/],
	['a Content-Length with a plus', head(PATCH_H, ['Content-Length: +16'], BODY), 400, /digits/],
	['a hexadecimal Content-Length', head(PATCH_H, ['Content-Length: 0x10'], BODY), 400, /digits/],
	['a Content-Length with a blank in it', head(PATCH_H, ['Content-Length: 1 6'], BODY), 400, /digits/],
	['a Content-Length with a fraction', head(PATCH_H, ['Content-Length: 16.0'], BODY), 400, /digits/],
	['an empty Content-Length', head(PATCH_H, ['Content-Length:'], BODY), 400, /empty/],
	['a Content-Length of a terabyte', head(PATCH_H, ['Content-Length: 1099511627776'], BODY), 413, /longer/],
	['a Content-Length beyond 64 bits that wraps to 16', head(PATCH_H, ['Content-Length: 18446744073709551632'], BODY), 413, /longer/],
	['a Content-Length beyond all bits', head(GET_H, [`Content-Length: ${'9'.repeat(1000)}`], BODY), 413, /longer/],
	['a blank in front of Content-Length\'s colon', head(PATCH_H, ['Content-Length : 16'], BODY), 400, /name/],
	['Content-Length beside chunks', head(PATCH_H, ['Transfer-Encoding: chunked', 'Content-Length: 16'], `10\r\n${BODY}\r\n0\r\n\r\n`), 400, /more than once/],
	['chunks beside a Content-Length', head(PATCH_H, ['Content-Length: 16', 'Transfer-Encoding: chunked'], `10\r\n${BODY}\r\n0\r\n\r\n`), 400, /more than once/],
	['Transfer-Encoding with a blank before the colon', head(PATCH_H, ['Content-Length: 5', 'Transfer-Encoding : chunked'], '0\r\n\r\n'), 400, /name/],
	['xchunked', head(PATCH_H, ['Transfer-Encoding: xchunked'], '0\r\n\r\n'), 400, /not chunked/],
	['chunked in quotes', head(PATCH_H, ['Transfer-Encoding: "chunked"'], '0\r\n\r\n'), 400, /not chunked/],
	['chunked with a vertical tab', head(PATCH_H, ['Transfer-Encoding: \x0bchunked'], '0\r\n\r\n'), 400, /control/],
	['an empty Transfer-Encoding', head(PATCH_H, ['Transfer-Encoding:'], BODY), 400, /not chunked/],
	['identity', head(PATCH_H, ['Transfer-Encoding: identity', 'Content-Length: 16'], BODY), 400, /not chunked/],
	['gzip, chunked', head(PATCH_H, ['Transfer-Encoding: gzip, chunked'], '0\r\n\r\n'), 400, /not chunked/],
	['chunked, identity', head(PATCH_H, ['Transfer-Encoding: chunked, identity'], '0\r\n\r\n'), 400, /not chunked/],
	['two Transfer-Encodings', head(PATCH_H, ['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'], '0\r\n\r\n'), 400, /more than one Transfer/],
	['chunks in HTTP/1.0', head('PATCH /twins/h?api-version=2021-04-12 HTTP/1.0', ['Transfer-Encoding: chunked'], '0\r\n\r\n'), 400, /HTTP\/1\.0/],
	['a chunk of a bad length', chunks('zz\r\nx\r\n0\r\n\r\n'), 400, /chunk/],
	['a chunk of a negative length', chunks('-1\r\nx\r\n0\r\n\r\n'), 400, /chunk/],
	['a chunk\'s length with a plus', chunks('+1\r\nx\r\n0\r\n\r\n'), 400, /chunk/],
	['a chunk\'s length with 0x', chunks('0x1\r\nx\r\n0\r\n\r\n'), 400, /chunk/],
	['a chunk\'s length with a blank before it', chunks(' 1\r\nx\r\n0\r\n\r\n'), 400, /chunk/],
	['a chunk without length', chunks('\r\nx\r\n0\r\n\r\n'), 400, /chunk/],
	['a chunk that is longer than it says', chunks('1\r\nxINNER\r\n0\r\n\r\n'), 400, /chunk/],
	['a chunk that ends with LF', chunks('1\nx\n0\n\n'), 400, /CR LF/],
	['a chunk\'s extension with a bare LF', chunks('1;a\nINNER'), 400, /CR LF/],
	['a chunk\'s extension without end', chunks(`1;${'a'.repeat(300)}`), 400, /too long/],
	['a chunk of 2^64 + 1', chunks('10000000000000001\r\nx\r\n0\r\n\r\n'), 413, /longer/],
	['a chunk of 10 MB', chunks('a00000\r\nx'), 413, /longer/],
	['a bad trailer', chunks('0\r\nINNER'), 400, /./],
	['a chunk of a bad length in a GET', head(GET_H, ['Transfer-Encoding: chunked'], 'zz\r\n'), 400, /chunk/],
];
describe('R-14 bytes that are no request are refused, and the connection ends', () => {
	for (const [name, bytes, status, reason] of framing) {
		test(name, async () => {
			const got = await rawHttp(scene.hub, Buffer.concat([bytes(), Buffer.from(INNER())]), { untilClosed: true });
			assert.ok(got.closed);
			// What we sent beyond may reset the connection before the answer is read.
			if (got.failure === undefined || got.responses.length > 0) {
				assert.equal(got.responses.length, 1, 'one answer');
				expectFault(got.responses[0], status, status === 413 ? 'GenericRequestEntityTooLarge' : 'ArgumentInvalid');
				assert.match(got.responses[0].body.Message, reason);
			}
			await scene.holds();
		});
	}
});

// What the library would answer itself, in HTML, and nobody would be told of.
const TARGETS = ['http://[', ':80', 'http://a:99999/', '//[', '//a:b', '//u@', 'http://h\xffst/', '/twins/\xff', '*', '?', '#', 'nothing', 'http:', '/%zz', '/|<>"{}^`\\'];
describe('R-14 a target of any form is answered in our form', () => {
	for (const target of TARGETS) {
		for (const method of ['GET', 'CONNECT', 'OPTIONS']) {
			test(`${method} ${target}`, async () => {
				const { responses } = await rawHttp(scene.hub, Buffer.concat([head(`${method} ${target} HTTP/1.1`)(), head(GET_H)()]), { count: 2 });
				assert.match(String(responses[0].status), /^40[0-9]$/);
				assert.match(responses[0].body.Message, /^ErrorCode:/);
				assert.equal(responses[1].body.deviceId, 'h');
			});
		}
	}
});

test('R-14 the answer to HEAD has no body, which would be taken for the next answer', async () => {
	for (const [target, status] of [['/healthz', 200], ['/nothing', 404], ['/twins/h?api-version=2021-04-12', 405]]) {
		const socket = tls.connect({ host: scene.hub.addr, port: scene.hub.httpsPort, ca: scene.hub.pem });
		let got = '';
		socket.setEncoding('latin1').on('data', (text) => { got += text; });
		socket.write(head(`HEAD ${target} HTTP/1.1`)());
		socket.write(head('GET /healthz HTTP/1.1')());
		await until(() => got.endsWith('{"status":"alive"}'), 'the answer behind it');
		socket.destroy();
		assert.match(got, new RegExp(`^HTTP/1.1 ${status} [^{}]*Content-Length: [1-9][^{}]*\r\n\r\nHTTP/1.1 200 [^{}]*\r\n\r\n{"status":"alive"}$`));
	}
});

// Bodies hold whole requests: whoever does not agree with us where they end, answers one more, and changes the twin.
const carriers = [
	['a length', (inner) => ['POST /devices/query?api-version=2021-04-12 HTTP/1.1', [`Content-Length: ${inner.length}`], inner]],
	['chunks', (inner) => ['POST /devices/query?api-version=2021-04-12 HTTP/1.1', ['Transfer-Encoding: chunked'],
		`5\r\n${inner.slice(0, 5)}\r\n${(inner.length - 5).toString(16)};a=b\r\n${inner.slice(5)}\r\n0\r\nX-Trailer: 1\r\n\r\n`]],
	['a length of a method without body', (inner) => ['GET /nothing HTTP/1.1', [`Content-Length: ${inner.length}`], inner]],
	['chunks of a method without body', (inner) => ['DELETE /nothing HTTP/1.1', ['transfer-encoding: CHUNKED'], `${inner.length.toString(16)}\r\n${inner}\r\n0\r\n\r\n`]],
	['a length of an unknown method', (inner) => ['BREW /nothing HTTP/1.1', [`Content-Length: ${inner.length}`], inner]],
	['a length of OPTIONS', (inner) => ['OPTIONS /nothing HTTP/1.1', [`Content-Length: 00${inner.length}`], inner]],
	['a length of HTTP/1.0 that is kept', (inner) => ['POST /nothing HTTP/1.0', [`Content-Length: ${inner.length}`, 'Connection: keep-alive'], inner]],
];
describe('R-14 a body is never taken for a request, wherever it is cut', () => {
	for (const [name, make] of carriers) {
		test(name, async () => {
			const [first, lines, body] = make(INNER());
			const one = head(first, lines, body)(), next = head(GET_H)();
			const whole = await rawHttp(scene.hub, Buffer.concat([one, next]), { count: 2 });
			const statuses = whole.responses.map((r) => r.status);
			assert.equal(statuses.length, 2);
			assert.equal(statuses[1], 200);
			assert.equal(whole.responses[1].body.deviceId, 'h');
			assert.equal(whole.rest.length, 0);
			const all = Buffer.concat([one, next]);
			for (let at = 1; at < all.length; at += Math.ceil(all.length / 40)) {
				const cut = await rawHttp(scene.hub, [all.subarray(0, at), all.subarray(at)], { count: 2, pauseMs: 1 });
				assert.deepEqual(cut.responses.map((r) => r.status), statuses, `cut at ${at}`);
			}
			await scene.holds();
		});
	}
	test('one after the other, all kinds in one write', async () => {
		const all = carriers.map(([, make]) => head(...make(INNER()))());
		const { responses, rest } = await rawHttp(scene.hub, Buffer.concat([...all, head(GET_H)()]), { count: all.length + 1 });
		assert.equal(responses.length, all.length + 1);
		assert.equal(responses.at(-1).status, 200);
		assert.equal(rest.length, 0);
		await scene.holds();
	});
});

test('R-14 what is refused behind good requests is refused in its turn', async () => {
	const got = await rawHttp(scene.hub, Buffer.concat([head(GET_H)(), head(GET_H)(), Buffer.from('GARBAGE\r\n\r\n'), head(GET_H)()]), { untilClosed: true });
	assert.deepEqual(got.responses.map((r) => r.status), [200, 200, 400]);
});

test('an empty line between requests is forgiven', async () => {
	const { responses } = await rawHttp(scene.hub, Buffer.concat([head(GET_H)(), Buffer.from('\r\n'), head(GET_H)()]), { count: 2 });
	assert.deepEqual(responses.map((r) => r.status), [200, 200]);
});

test('records of a few bytes each take no more memory than their bytes', { skip: SLOW > 1 }, async () => {
	const socket = tls.connect({ host: scene.hub.addr, port: scene.hub.httpsPort, ca: scene.hub.pem });
	const send = (bytes) => new Promise((resolve, reject) => socket.write(bytes, (error) => (error ? reject(error) : resolve())));
	socket.on('error', () => {});
	await send(head(PATCH_H, ['Transfer-Encoding: chunked'])());
	const before = rssBytes(scene.hub.pid);
	for (let i = 0; i < 8_000; i++) for (const record of ['1\r\n', ' ', '\r\n']) await send(record);
	await scene.holds(); // and the hub has read what was sent
	const grown = rssBytes(scene.hub.pid) - before;
	socket.destroy();
	assert.ok(grown < 16 * 2 ** 20, `${grown} bytes for a body of 8,000`);
});

test('requests that nobody waits for stay in the socket until their turn', async () => {
	const count = 5_000;
	const all = Buffer.concat(Array(count).fill(head(GET_H)()));
	const before = rssBytes(scene.hub.pid);
	const socket = tls.connect({ host: scene.hub.addr, port: scene.hub.httpsPort, ca: scene.hub.pem });
	socket.on('error', () => {});
	socket.pause();
	socket.write(all);
	await until(() => socket.bytesWritten > 200_000, 'some of them were taken'); // and the rest is not
	await scene.holds();
	const grown = rssBytes(scene.hub.pid) - before;
	let tail = '', answers = 0;
	const done = new Promise((resolve, reject) => {
		socket.on('data', (bytes) => {
			const parts = (tail + bytes.toString('latin1')).split('HTTP/1.1 200');
			tail = parts.at(-1).slice(-11);
			if ((answers += parts.length - 1) === count) resolve();
		});
		socket.on('close', () => reject(new Error('closed')));
		socket.resume();
	});
	await within(done, 'all answers');
	socket.destroy();
	if (SLOW === 1) assert.ok(grown < 16 * 2 ** 20, `${grown} bytes`);
});

test('a POST without length has no body', async () => {
	const { responses } = await rawHttp(scene.hub, Buffer.concat([head('POST /devices/query?api-version=2021-04-12 HTTP/1.1', ['Connection: keep-alive'])(), head(GET_H)()]), { count: 2 });
	expectFault(responses[0], 400, 'ArgumentNull');
	assert.equal(responses[1].status, 200);
});

test('chunks that say they continue are asked for, and read', async () => {
	for (const first of [PATCH_H, GET_H]) {
		const { responses } = await rawHttp(scene.hub, head(first, ['Expect: 100-continue', 'Transfer-Encoding: chunked'], '11\r\n{"tags":{"x y":1}\r\n0\r\n\r\n')());
		if (first === GET_H) assert.equal(responses[0].status, 200);
		else expectFault(responses[0], 400, 'IotHubFormatError');
	}
	await scene.holds();
});

test('a body that is far too large is cut off, whatever its framing', async () => {
	const size = 12_000_000;
	for (const bytes of [
		head(PATCH_H, [`Content-Length: ${size}`], Buffer.alloc(size, 'x'))(),
		head(PATCH_H, ['Transfer-Encoding: chunked'], `${size.toString(16)}\r\n${'x'.repeat(size)}\r\n0\r\n\r\n`)(),
	]) {
		const got = await rawHttp(scene.hub, bytes, { untilClosed: true });
		assert.ok(got.responses.every((r) => r.status === 413), 'a 413, if it got through before the reset');
	}
	await scene.holds();
});

test('a request for another host is not proxied', async () => {
	const got = await rawHttp(scene.hub, head('GET http://elsewhere.example/twins/h?api-version=2021-04-12 HTTP/1.1')());
	assert.deepEqual(got.responses.map((r) => r.status), [404]);
	await scene.holds();
});

test('a target may have scheme and host before it, if it is this host', async () => {
	const ask = async (target) => (await rawHttp(scene.hub, head(`GET ${target} HTTP/1.1`)())).responses[0].status;
	const { addr } = scene.hub;
	assert.equal(await ask(`https://${addr}/twins/h?api-version=2021-04-12`), 200);
	assert.equal(await ask(`HTTPS://${addr}/twins%2Fh?api-version=2021-04-12`), 200);
	assert.equal(await ask(`https://${addr}/readyz`), 200);
	for (const target of [`https://${addr}`, `https://${addr}?api-version=2021-04-12`, `https://${addr}:443/twins/h?api-version=2021-04-12`, `ftp://${addr}/twins/h?api-version=2021-04-12`])
		assert.equal(await ask(target), 404, target);
	await scene.holds();
});

test('a request cut at every byte changes nothing', async () => {
	const bytes = head(PATCH_H, ['Content-Length: 16'], BODY)();
	for (let at = 0; at < bytes.length; at += 3) await abandonHttp(scene.hub, bytes.subarray(0, at));
	await scene.holds();
});

test('a request byte by byte is answered', async () => {
	const bytes = head(GET_H)();
	const { responses } = await rawHttp(scene.hub, [...bytes].map((byte) => Buffer.from([byte])), { pauseMs: 1 });
	assert.equal(responses[0].status, 200);
});

test('fifty requests in one write are answered in order', async () => {
	const ids = Array.from({ length: 50 }, (_, i) => (i % 2 ? 'h' : `nobody${i}`));
	const bytes = Buffer.concat(ids.map((id) => head(`GET /twins/${id}?api-version=2021-04-12 HTTP/1.1`)()));
	const { responses } = await rawHttp(scene.hub, bytes, { count: 50 });
	assert.deepEqual(responses.map((r) => (r.status === 200 ? r.body.deviceId : /;(.+)$/.exec(r.body.Message)[1])), ids);
});

test('a body that says it continues is asked for, and read', async () => {
	const { responses } = await rawHttp(scene.hub, head(PATCH_H, ['Expect: 100-continue', 'Content-Length: 17'], '{"tags":{"x y":1}')());
	expectFault(responses[0], 400, 'IotHubFormatError');
	await scene.holds();
});

test('a GET with a body is answered', async () => {
	const { responses } = await rawHttp(scene.hub, head(GET_H, ['Content-Length: 16'], BODY)());
	assert.equal(responses[0].status, 200);
	await scene.holds();
});

test('costly but allowed: 900 KB of ignored members are read in a moment', async () => {
	const begin = cpuSeconds(scene.hub.pid);
	const ignored = Object.fromEntries(Array.from({ length: 50_000 }, (_, i) => [`member${i}`, i]));
	const answer = await scene.rest('PATCH', '/twins/h', { body: { ...ignored } });
	assert.equal(answer.status, 200);
	assert.ok(cpuSeconds(scene.hub.pid) - begin < 5 * SLOW);
	await scene.holds();
});

test('memory is back after 1,000 bad requests and 100 oversized ones', async () => {
	await scene.keepsMemory(async () => {
		for (let i = 0; i < 500; i++) {
			const [, text, code] = allBad[i % allBad.length];
			assert.equal((await scene.rest('PATCH', '/twins/h', { body: desired(text) })).status, Math.trunc(code / 1000));
		}
		for (let i = 0; i < 50; i++) assert.equal((await scene.rest('PATCH', '/twins/h', { body: Buffer.alloc(1_000_000, ' ') })).status, 400);
	});
	await scene.holds();
});
