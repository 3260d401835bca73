// Jobs that are wrong in every way. Rules: jobs-and-configurations.md, part A; service-rest.md 11; limits.md L-53, L-59.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { until } from '../lib/hub.mjs';
import { allBad, badValues, malformed, malformedWhole, notObjects } from './documents.mjs';
import { Scene, expectFault } from './harness.mjs';

const TWIN = { type: 'scheduleUpdateTwin', queryCondition: "deviceId = 'h'", updateTwin: { etag: '*', tags: { hit: true } } };
const METHOD = { type: 'scheduleDeviceMethod', queryCondition: "deviceId = 'h'", cloudToDeviceMethod: { methodName: 'm' } };
const LIST = '/jobs/v2/query?pageSize=1000';
let scene;

before(async () => {
	scene = await Scene.start({ devices: ['h'], lists: [LIST], prepare: async (s) => {
		const put = async (id, body) => assert.equal((await s.rest('PUT', `/jobs/v2/${id}`, { body })).status, 200);
		await put('done', { ...TWIN, queryCondition: "deviceId = 'nobody'" });
		await put('later', { ...TWIN, startTime: '2040-01-01T00:00:00Z' });
		const is = async (id, status) => (await s.rest('GET', `/jobs/v2/${id}`)).body.status === status;
		await until(async () => await is('done', 'completed') && await is('later', 'scheduled'), 'the jobs are at rest');
	} });
});
after(() => scene?.stop());

async function refuse([, method, path, options, status, name]) {
	expectFault(await scene.rest(method, path, options), status, name);
	await scene.holds();
}

const INVALID = [400, 'ArgumentInvalid'], FORMAT = [400, 'IotHubFormatError'], LARGE = [403, 'DeviceModelMaxPropertiesExceeded'], DENIED = [401, 'IotHubUnauthorizedAccess'];
const NONE = [404, 'JobNotFound'];

const wrongKinds = [['null', null], ['a number', 5], ['true', true], ['an empty text', ''], ['an array', []], ['an object', {}]];
// The kinds that a member may not be; those that it may be are left out by name.
const kinds = (member, allowed, body = TWIN) => wrongKinds.filter(([name]) => !allowed.includes(name)).map(([name, value]) => [`${member}: ${name}`, { ...body, [member]: value }, ...INVALID]);
const part = (member, inner, allowed) => wrongKinds.filter(([name]) => !allowed.includes(name)).map(([name, value]) =>
	[`${member}.${inner}: ${name}`, member === 'updateTwin' ? { ...TWIN, updateTwin: { ...TWIN.updateTwin, [inner]: value } } : { ...METHOD, cloudToDeviceMethod: { ...METHOD.cloudToDeviceMethod, [inner]: value } }, ...INVALID]);
const rawTwin = (member, text) => Buffer.concat([Buffer.from(`{"type":"scheduleUpdateTwin","queryCondition":"deviceId = 'h'","updateTwin":{"etag":"*",${member}`), Buffer.from(text), Buffer.from(member.includes('desired') ? '}}}' : '}}')]);
const condition = (text) => ({ ...TWIN, queryCondition: text });
const call = (more) => ({ ...METHOD, cloudToDeviceMethod: { ...METHOD.cloudToDeviceMethod, ...more } });

const bodies = [
	...malformed.slice(0, 12).map(([name, body]) => [name, Buffer.from(body), ...FORMAT]),
	...malformedWhole.map(([name, body]) => [name, Buffer.from(body), ...FORMAT]),
	...[...notObjects, ['null', 'null']].map(([name, body]) => [name, Buffer.from(body), ...INVALID]),
	['no body', undefined, 400, 'ArgumentNull'],
	['an empty body', '', 400, 'ArgumentNull'],
	['an empty object', {}, ...INVALID],
	['a thousand levels', Buffer.from(`{"x":${'['.repeat(1000)}${']'.repeat(1000)}}`), ...INVALID],
	['900 KB of texts', { ...TWIN, filler: Array.from({ length: 900 }, () => 'x'.repeat(1000)) }, ...INVALID],
	['a body of more than 1 MB', Buffer.alloc(2 ** 20 + 1, ' '), 413, 'GenericRequestEntityTooLarge'],
	...kinds('type', []), ...kinds('type', [], METHOD),
	['type: import', { ...TWIN, type: 'import' }, ...INVALID],
	['type: a name of old texts', { ...TWIN, type: 'scheduleTwinUpdate' }, ...INVALID],
	['type: with a blank', { ...TWIN, type: 'scheduleUpdateTwin ' }, ...INVALID],
	...kinds('queryCondition', []),
	['no queryCondition', { ...TWIN, queryCondition: undefined }, ...INVALID],
	['a condition of blanks', condition('   '), ...INVALID],
	['a condition that ends early', condition('tags.a ='), ...INVALID],
	['a condition with more behind it', condition('tags.a = 1 ORDER BY deviceId'), ...INVALID],
	['a whole query for a condition', condition('SELECT * FROM devices'), ...INVALID],
	['two stars', condition('**'), ...INVALID],
	['a star and more', condition('* AND tags.a = 1'), ...INVALID],
	['a condition on jobs', condition("FROM devices.jobs WHERE jobId = 'done'"), ...INVALID],
	['a condition on an unknown collection', condition("FROM users WHERE a = 1"), ...INVALID],
	['a condition with a NUL', condition("deviceId = 'h'\0"), ...INVALID],
	['a condition of 9,000 characters (L-53)', condition(`tags.a = '${'x'.repeat(9000)}'`), ...INVALID],
	['a condition of 1,500 NOTs', condition(`${'NOT '.repeat(1500)}tags.a = 1`), ...INVALID],
	['a condition of 2,000 brackets', condition(`${'('.repeat(2000)}tags.a = 1${')'.repeat(2000)}`), ...INVALID],
	...[['null', null], ['a text', 'x'], ['a number', 5], ['an array', []], ['an object without etag', {}]].map(([name, value]) => [`updateTwin: ${name}`, { ...TWIN, updateTwin: value }, ...INVALID]),
	['no updateTwin', { ...TWIN, updateTwin: undefined }, ...INVALID],
	['a method in a twin\'s job', { ...TWIN, cloudToDeviceMethod: METHOD.cloudToDeviceMethod }, ...INVALID],
	['only a method in a twin\'s job', { ...METHOD, type: TWIN.type }, ...INVALID],
	['a twin in a method\'s job', { ...METHOD, updateTwin: TWIN.updateTwin }, ...INVALID],
	['only a twin in a method\'s job', { ...TWIN, type: METHOD.type }, ...INVALID],
	...part('updateTwin', 'etag', []),
	['updateTwin.etag: a tag', { ...TWIN, updateTwin: { ...TWIN.updateTwin, etag: 'AAAAAAAAAAE=' } }, ...INVALID],
	['updateTwin.etag: a star in quotes', { ...TWIN, updateTwin: { ...TWIN.updateTwin, etag: '"*"' } }, ...INVALID],
	['updateTwin.etag: a star and a blank', { ...TWIN, updateTwin: { ...TWIN.updateTwin, etag: '* ' } }, ...INVALID],
	...part('updateTwin', 'tags', ['null', 'an object']),
	...part('updateTwin', 'properties', ['null', 'an object']),
	...wrongKinds.filter(([name]) => !['null', 'an object'].includes(name)).map(([name, value]) =>
		[`updateTwin.properties.desired: ${name}`, { ...TWIN, updateTwin: { etag: '*', properties: { desired: value } } }, ...INVALID]),
	...allBad.map(([name, text, code]) => [`desired: ${name}`, rawTwin('"properties":{"desired":', text), ...({ 400006: FORMAT, 403100: LARGE }[code] ?? INVALID)])
		.filter(([name]) => !/duplicate/.test(name)),
	...badValues.slice(0, 8).map(([name, text, code]) => [`tags: ${name}`, rawTwin('"tags":', text), ...(code === 400006 ? FORMAT : INVALID)]),
	['tags over 8 KB', { ...TWIN, updateTwin: { etag: '*', tags: { a: 'x'.repeat(4096), b: 'x'.repeat(4096) } } }, ...LARGE],
	['good tags with bad desired properties', { ...TWIN, updateTwin: { etag: '*', tags: { a: 1 }, properties: { desired: { 'b.c': 1 } } } }, ...INVALID],
	...[['null', null], ['a text', 'm'], ['a number', 5], ['an array', []], ['an empty object', {}]].map(([name, value]) => [`cloudToDeviceMethod: ${name}`, { ...METHOD, cloudToDeviceMethod: value }, ...INVALID]),
	...part('cloudToDeviceMethod', 'methodName', ['a number', 'true']),
	['a method\'s name of 2,000 characters', call({ methodName: 'm'.repeat(2000) }), ...INVALID],
	['a method\'s name with a blank', call({ methodName: 'a b' }), ...INVALID],
	['a method\'s name with a slash', call({ methodName: 'a/b' }), ...INVALID],
	['a method\'s name with a NUL', call({ methodName: 'a\0' }), ...INVALID],
	...['responseTimeoutInSeconds', 'connectTimeoutInSeconds'].flatMap((name) => part('cloudToDeviceMethod', name, name.startsWith('c') ? ['null', 'a number'] : ['null', 'a number'])),
	...[4, 301, -1, 5.5, 1e300].map((n) => [`a responseTimeoutInSeconds of ${n}`, call({ responseTimeoutInSeconds: n }), ...INVALID]),
	...[301, -1, 5.5].map((n) => [`a connectTimeoutInSeconds of ${n}`, call({ connectTimeoutInSeconds: n }), ...INVALID]),
	['a payload of 130,000 characters', call({ payload: 'x'.repeat(131_100) }), ...INVALID],
	...kinds('startTime', ['null']),
	...['soon', '12:00', '2030-13-01T00:00:00Z', '2030-02-30T00:00:00Z', '2030-01-01T25:00:00Z', '2030-01-01T00:00:00+0200', '2030-01-01T00:00:00ZZ', '2030-01-01 00:00:00', `2030-01-01T00:00:00.${'1'.repeat(500)}Z`, 'Tue, 01 Jan 2030 00:00:00 GMT', '1893456000']
		.map((startTime) => [`startTime: ${startTime.slice(0, 40)}`, { ...TWIN, startTime }, ...INVALID]),
	...kinds('maxExecutionTimeInSeconds', ['null', 'a number']),
	...[0, -1, 1.5, 2 ** 53, 1e300].map((maxExecutionTimeInSeconds) => [`maxExecutionTimeInSeconds: ${maxExecutionTimeInSeconds}`, { ...TWIN, maxExecutionTimeInSeconds }, ...INVALID]),
	...kinds('maxUpdatesPerSecond', ['null', 'a number']),
	...[0, -1, 0.5, 1e9].map((maxUpdatesPerSecond) => [`maxUpdatesPerSecond: ${maxUpdatesPerSecond}`, { ...TWIN, maxUpdatesPerSecond }, ...INVALID]),
	...kinds('jobId', ['null']),
	['the jobId of another', { ...TWIN, jobId: 'other' }, ...INVALID],
	['a jobId in other letters', { ...TWIN, jobId: 'NEW' }, ...INVALID],
];
describe('a new job', () => { for (const [name, body, ...answer] of bodies) test(name, () => refuse([name, 'PUT', '/jobs/v2/new', { body }, ...answer])); });
describe('a dry run of one', () => { for (const [name, body, ...answer] of bodies) test(name, () => refuse([name, 'POST', '/jobs/v2/new?dryRun=true', { body }, ...answer])); });

const ids = [['a blank', 'a%20b'], ['a slash', 'a%2Fb'], ['a backslash', 'a%5Cb'], ['an ampersand', 'a%26b'], ['quotes', 'a%22b'], ['braces', 'a%7Bb%7D'], ['a NUL', 'a%00'], ['a line break', 'a%0A'],
	['a letter that is not ASCII', 'a%C3%A9'], ['bytes that are not UTF-8', 'a%ff'], ['129 characters', 'a'.repeat(129)], ['a DEL', 'a%7F']];
const rows = [
	...ids.flatMap(([name, id]) => [[`PUT an id with ${name}`, 'PUT', `/jobs/v2/${id}`, { body: TWIN }, ...INVALID],
		[`GET an id with ${name}`, 'GET', `/jobs/v2/${id}`, {}, ...INVALID], [`cancel an id with ${name}`, 'POST', `/jobs/v2/${id}/cancel`, {}, ...INVALID]]),
	['PUT of a job named like the list', 'PUT', '/jobs/v2/query', { body: TWIN }, ...INVALID],
	['PUT again (J-09)', 'PUT', '/jobs/v2/done', { body: TWIN }, 409, 'JobAlreadyExists'],
	['PUT again of one of later', 'PUT', '/jobs/v2/later', { body: METHOD }, 409, 'JobAlreadyExists'],
	['PUT again with If-Match', 'PUT', '/jobs/v2/later', { body: TWIN, headers: { 'If-Match': '*' } }, 409, 'JobAlreadyExists'],
	['GET of what is not there', 'GET', '/jobs/v2/nothing', {}, ...NONE],
	['GET in other letters', 'GET', '/jobs/v2/Done', {}, ...NONE],
	['cancel of what is not there', 'POST', '/jobs/v2/nothing/cancel', {}, ...NONE],
	['cancel of what has ended (J-15)', 'POST', '/jobs/v2/done/cancel', {}, 405, 'OperationNotAllowedInCurrentState'],
	['cancel by GET', 'GET', '/jobs/v2/later/cancel', {}, 405, 'GenericMethodNotAllowed'],
	['cancel by PUT', 'PUT', '/jobs/v2/later/cancel', { body: TWIN }, 405, 'GenericMethodNotAllowed'],
	['DELETE', 'DELETE', '/jobs/v2/done', {}, 405, 'GenericMethodNotAllowed'],
	['PATCH', 'PATCH', '/jobs/v2/later', { body: {} }, 405, 'GenericMethodNotAllowed'],
	['POST on one', 'POST', '/jobs/v2/later', { body: TWIN }, 405, 'GenericMethodNotAllowed'],
	['a path below one', 'GET', '/jobs/v2/done/results', {}, 404, 'GenericNotFound'],
	['cancel without api-version', 'POST', '/jobs/v2/later/cancel', { apiVersion: null }, 400, 'InvalidProtocolVersion'],
	['cancel without a token', 'POST', '/jobs/v2/later/cancel', { token: null }, ...DENIED],
	['cancel with a policy that may only read', 'POST', '/jobs/v2/later/cancel', { policy: 'registryRead' }, ...DENIED],
	['PUT with a policy that may only read', 'PUT', '/jobs/v2/new', { body: TWIN, policy: 'registryRead' }, ...DENIED],
	['PUT with the policy of devices', 'PUT', '/jobs/v2/new', { body: TWIN, policy: 'device' }, ...DENIED],
	['the list with the policy of devices', 'GET', '/jobs/v2/query', { policy: 'device' }, ...DENIED],
	...[['0', { 'x-ms-max-item-count': '0' }], ['a word', { 'x-ms-max-item-count': 'many' }], ['below 0', { 'x-ms-max-item-count': '-1' }], ['beyond 64 bits', { 'x-ms-max-item-count': '99999999999999999999x' }]]
		.map(([name, headers]) => [`the list, a page size of ${name}`, 'GET', '/jobs/v2/query', { headers }, ...INVALID]),
	['the list, a pageSize of 0', 'GET', '/jobs/v2/query?pageSize=0', {}, ...INVALID],
	['the list, a pageSize that is a word', 'GET', '/jobs/v2/query?pageSize=many', {}, ...INVALID],
	...[['a word', 'next'], ['zeros', Buffer.alloc(48).toString('base64')], ['4,000 characters', 'A'.repeat(4000)]]
		.map(([name, token]) => [`the list, a continuation of ${name}`, 'GET', '/jobs/v2/query', { headers: { 'x-ms-continuation': token } }, ...INVALID]),
	['the list, a continuationToken that is a word', 'GET', '/jobs/v2/query?continuationToken=next', {}, ...INVALID],
	...['SELECT deviceId FROM devices.jobs', 'SELECT COUNT() AS n FROM devices.jobs', 'SELECT * FROM devices.jobs WHERE tags.a = 1', 'SELECT * FROM devices.jobs WHERE properties.reported.a = 1', 'SELECT * FROM devices.jobs WHERE',
		"SELECT * FROM devices.jobs WHERE devices.jobs.jobId =", 'SELECT status, COUNT() AS n FROM devices.jobs GROUP BY status']
		.map((text) => [`results: ${text}`, 'POST', '/devices/query', { body: { query: text } }, ...INVALID]),
];
describe('everything else', () => { for (const row of rows) test(row[0], () => refuse(row)); });

test('the list with filters that nothing can be is empty, or refused', async () => {
	for (const params of ['jobType=nonsense', 'jobStatus=nonsense', `jobType=${'x'.repeat(3000)}`, 'jobType=%00', 'jobStatus=%ff', 'jobType=a&jobType=b']) {
		const answer = await scene.rest('GET', `/jobs/v2/query?${params}`);
		if (answer.status === 200) assert.deepEqual(answer.body, [], params);
		else expectFault(answer, ...INVALID);
	}
	await scene.holds();
});

test('what is not known is passed over', async () => {
	const body = { ...TWIN, queryCondition: "deviceId = 'nobody'", status: 'completed', deviceJobStatistics: { deviceCount: -1 }, createdTime: 5, endTime: 'never', failureReason: [], parentJobId: {}, unknown: 1 };
	const made = await scene.rest('PUT', '/jobs/v2/known', { body });
	assert.equal(made.status, 200, made.text);
	assert.deepEqual([made.body.status, made.body.deviceJobStatistics.deviceCount, 'endTime' in made.body, 'failureReason' in made.body, 'parentJobId' in made.body, 'unknown' in made.body],
		['queued', 0, false, false, false, false]);
	await scene.servesOthers();
});
