// Configurations that are wrong in every way. Rules: jobs-and-configurations.md, part B; service-rest.md 13.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { until } from '../lib/hub.mjs';
import { badKeys, badValues, malformed, malformedWhole, notObjects } from './documents.mjs';
import { Scene, expectFault } from './harness.mjs';

const CONTENT = { deviceContent: { 'properties.desired.fan': { speed: 3 } } };
const THERE = { content: CONTENT, targetCondition: "deviceId = 'h'", priority: 3, labels: { a: 'b' }, metrics: { queries: { m: 'select deviceId from devices' } } };
let scene;

before(async () => {
	scene = await Scene.start({ devices: ['h'], lists: ['/configurations', '/devices/edge/modules'], prepare: async (s) => {
		await s.hub.createDevice('edge', { capabilities: { iotEdge: true } });
		assert.equal((await s.rest('PUT', '/configurations/there', { body: { id: 'there', ...THERE } })).status, 200);
		await until(async () => (await s.rest('GET', '/configurations/there')).body.systemMetrics.results.appliedCount === 1, 'it is applied');
	} });
});
after(() => scene?.stop());

async function refuse([, method, path, options, status, name]) {
	expectFault(await scene.rest(method, path, options), status, name);
	await scene.holds();
}

const INVALID = [400, 'ArgumentInvalid'], LARGE = [403, 'DeviceModelMaxPropertiesExceeded'], FORMAT = [400, 'IotHubFormatError'], NULL = [400, 'ArgumentNull'], DENIED = [401, 'IotHubUnauthorizedAccess'];
const TARGET = [400, 'InvalidConfigurationTargetCondition'], BAD_CONTENT = [400, 'InvalidConfigurationContent'], METRIC = [400, 'InvalidConfigurationCustomMetricsQuery'];

// ---- bodies: as a new configuration, and as an update of the one that is there ----

const modules = (content) => ({ content: { modulesContent: content } });
const device = (paths) => ({ content: { deviceContent: paths } });
const nested = (depth) => JSON.parse('{"a":'.repeat(depth) + '1' + '}'.repeat(depth));
// A value that JSON.stringify cannot make, inside the content.
const raw = (key, value) => Buffer.concat([Buffer.from(`{"content":{"deviceContent":{${JSON.stringify(key)}:`), Buffer.from(value), Buffer.from('}}}')]);

const wave = (more) => ({ rollout: { waves: [{ percent: 100, ...more }] } });
const waves = (...list) => ({ rollout: { waves: list } });
const rollouts = [
	...[7, 'x', true, []].map((v) => [`a rollout that is ${JSON.stringify(v)}`, { rollout: v }, ...INVALID]),
	['a rollout without waves', { rollout: {} }, ...INVALID],
	['waves that are an object', { rollout: { waves: {} } }, ...INVALID],
	['no waves', waves(), ...INVALID],
	['21 waves', waves(...Array.from({ length: 20 }, (_, i) => ({ percent: i + 1 })), { percent: 100 }), ...INVALID],
	['a thousand waves', waves(...Array.from({ length: 1000 }, () => ({ percent: 100 }))), ...INVALID],
	...[1, null, 'x', []].map((v) => [`a wave that is ${JSON.stringify(v)}`, waves(v), ...INVALID]),
	['a wave of no size', waves({}), ...INVALID],
	['a wave of two sizes', wave({ count: 5 }), ...INVALID],
	['waves that do not end at 100 %', waves({ percent: 99.9 }), ...INVALID],
	['waves that shrink', waves({ percent: 50 }, { percent: 40 }, { percent: 100 }), ...INVALID],
	['something behind the last wave', waves({ percent: 100 }, { percent: 100 }), ...INVALID],
	...[0, -1, 100.1, 1e300, '100', null, true, [100]].map((v) => [`a percent of ${JSON.stringify(v)}`, waves({ percent: v }, { percent: 100 }), ...INVALID]),
	...[0, -1, 1.5, 2 ** 53, '5x', null, {}].map((v) => [`a count of ${JSON.stringify(v)}`, waves({ count: v }, { percent: 100 }), ...INVALID]),
	...['minSuccessPercent', 'maxFailurePercent'].flatMap((name) => [-1, 101, '5x', '0x5', null].map((v) => [`a ${name} of ${JSON.stringify(v)}`, wave({ [name]: v }), ...INVALID])),
	...[-1, 0.5, 2592001, '1.0', null].map((v) => [`soakSeconds of ${JSON.stringify(v)}`, wave({ soakSeconds: v }), ...INVALID]),
	['a guard that is misspelt', wave({ maxFailuresPercent: 5 }), ...INVALID],
	['a member that rollouts do not have', { rollout: { waves: [{ percent: 100 }], wave: 1 } }, ...INVALID],
	...['stop', '', 1, null].map((v) => [`an onFailure of ${JSON.stringify(v)}`, { rollout: { waves: [{ percent: 100 }], onFailure: v } }, ...INVALID]),
	...['successQuery', 'failureQuery'].flatMap((name) => [1, null, '', ' ', '\0', '\0tags.a = 1', 'tags.a =', 'tags.a = 1)', 'tags.a = 1) OR (tags.b = 2', 'tags.a = 1 /* ', 'SELECT', 'SELECT COUNT() FROM devices',
		'SELECT TOP 1 * FROM devices', 'SELECT * FROM devices.modules', 'SELECT * FROM devices.jobs', 'SELECT tags.a, COUNT() FROM devices GROUP BY tags.a', `tags.a = '${'x'.repeat(8160)}'`]
		.map((v) => [`a ${name} of ${String(v).slice(0, 40)}`, wave({ [name]: v }), ...METRIC])),
];

const fields = [
	...rollouts,
	...malformed.slice(0, 12).map(([name, body]) => [name, Buffer.from(body), ...FORMAT]),
	...malformedWhole.map(([name, body]) => [name, Buffer.from(body), ...FORMAT]),
	...[...notObjects, ['null', 'null']].map(([name, body]) => [name, Buffer.from(body), ...INVALID]),
	['no body', undefined, ...NULL],
	['a thousand levels', Buffer.from(`{"x":${'['.repeat(1000)}${']'.repeat(1000)}}`), ...INVALID],
	['an id that is a number', { id: 5 }, ...INVALID],
	['an id that is an object', { id: {} }, ...INVALID],
	['the id of another', { id: 'elsewhere' }, ...INVALID],
	['a schemaVersion that is an array', { schemaVersion: ['1.0'] }, ...INVALID],
	['a contentType that is an object', { contentType: {} }, ...INVALID],
	['an etag that is an object', { etag: {} }, ...INVALID],
	['labels that are an array', { labels: [] }, ...INVALID],
	['labels that are a text', { labels: 'a' }, ...INVALID],
	['labels that are a number', { labels: 1 }, ...INVALID],
	['labels that are false', { labels: false }, ...INVALID],
	['a label that is null', { labels: { a: null } }, ...INVALID],
	['a label that is an object', { labels: { a: {} } }, ...INVALID],
	['a label of 129 characters', { labels: { a: 'x'.repeat(129) } }, ...INVALID],
	['a label\'s name of 129 characters', { labels: { ['x'.repeat(129)]: 'a' } }, ...INVALID],
	['a label that is not ASCII', { labels: { a: 'é' } }, ...INVALID],
	['a label\'s name that is not ASCII', { labels: { é: 'a' } }, ...INVALID],
	['the second label wrong', { labels: { a: 'b', c: [] } }, ...INVALID],
	['a priority of -1', { priority: -1 }, ...INVALID],
	['a priority of 1.5', { priority: 1.5 }, ...INVALID],
	['a priority of 2^31', { priority: 2 ** 31 }, ...INVALID],
	...['x', '3x', '3.0', '-1', '2147483648', '0x3', '1e3', '3,0', '99999999999999999999'].map((v) => [`a priority that is the text ${v}`, { priority: v }, ...INVALID]),
	['a priority that is true', { priority: true }, ...INVALID],
	['a priority that is an array', { priority: [3] }, ...INVALID],
	['a priority over 64 bits', Buffer.from('{"priority":99999999999999999999}'), ...INVALID],
	['a targetCondition that is a number', { targetCondition: 1 }, ...INVALID],
	['a targetCondition that is an array', { targetCondition: ['*'] }, ...INVALID],
	['a targetCondition that is an object', { targetCondition: {} }, ...INVALID],
	['a condition that ends early', { targetCondition: 'tags.a =' }, ...TARGET],
	['a condition that does not begin', { targetCondition: '= 1' }, ...TARGET],
	['a condition with more behind it', { targetCondition: 'tags.a = 1 GROUP BY tags.a' }, ...TARGET],
	['a whole query for a condition', { targetCondition: 'SELECT * FROM devices' }, ...TARGET],
	['two stars', { targetCondition: '**' }, ...TARGET],
	['a condition on modules for devices', { targetCondition: "FROM devices.modules WHERE moduleId = 'm'" }, ...TARGET],
	['a condition on jobs', { targetCondition: "FROM devices.jobs WHERE jobId = 'm'" }, ...TARGET],
	['a condition with a NUL', { targetCondition: "tags.a = 'x'\0" }, ...TARGET],
	['a condition of 9,000 characters', { targetCondition: `tags.a = '${'x'.repeat(9000)}'` }, ...TARGET],
	['a condition of 1,500 NOTs', { targetCondition: `${'NOT '.repeat(1500)}tags.a = 1` }, ...TARGET],
	['metrics that are a number', { metrics: 1 }, ...METRIC],
	['metrics that are an array', { metrics: [] }, ...METRIC],
	['queries that are an array', { metrics: { queries: [] } }, ...METRIC],
	['queries that are a text', { metrics: { queries: 'select deviceId from devices' } }, ...METRIC],
	['a metric that is a number', { metrics: { queries: { m: 1 } } }, ...METRIC],
	['a metric that is null', { metrics: { queries: { m: null } } }, ...METRIC],
	['an empty metric', { metrics: { queries: { m: '' } } }, ...METRIC],
	['a metric that does not parse', { metrics: { queries: { m: 'select from' } } }, ...METRIC],
	['a metric that is a condition', { metrics: { queries: { m: 'tags.a = 1' } } }, ...METRIC],
	['a metric on jobs', { metrics: { queries: { m: 'select * from devices.jobs' } } }, ...METRIC],
	['a metric of 9,000 characters', { metrics: { queries: { m: `select deviceId from devices where tags.a = '${'x'.repeat(9000)}'` } } }, ...METRIC],
	['the second metric wrong', { metrics: { queries: { m: 'select deviceId from devices', n: 'select' } } }, ...METRIC],
	['six metrics (L-33)', { metrics: { queries: Object.fromEntries([...'abcdef'].map((n) => [n, 'select deviceId from devices'])) } }, ...METRIC],
];
// The content is looked at when it is new; an update may not change it at all (J-32).
const contents = [
	['no content', { targetCondition: '*' }, ...BAD_CONTENT],
	['a content that is null', { content: null }, ...BAD_CONTENT],
	['a content that is a text', { content: 'deviceContent' }, ...BAD_CONTENT],
	['a content that is an array', { content: [] }, ...BAD_CONTENT],
	['an empty content', { content: {} }, ...BAD_CONTENT],
	['empty contents of all kinds', { content: { deviceContent: {}, moduleContent: {}, modulesContent: {} } }, ...BAD_CONTENT],
	['a content of an unknown kind', { content: { fleetContent: CONTENT.deviceContent } }, ...BAD_CONTENT],
	['a deviceContent that is an array', { content: { deviceContent: [] } }, ...BAD_CONTENT],
	['a deviceContent that is a text', { content: { deviceContent: 'x' } }, ...BAD_CONTENT],
	['a good deviceContent beside a bad moduleContent', { content: { ...CONTENT, moduleContent: 5 } }, ...BAD_CONTENT],
	['two kinds of content', { content: { ...CONTENT, moduleContent: CONTENT.deviceContent } }, ...BAD_CONTENT],
	['a content for tags', device({ 'tags.a': 1 }), ...BAD_CONTENT],
	['a content for reported properties', device({ 'properties.reported.a': 1 }), ...BAD_CONTENT],
	['a content without properties', device({ desired: { a: 1 } }), ...BAD_CONTENT],
	['an empty key', device({ '': 1 }), ...BAD_CONTENT],
	['a key that only begins like desired', device({ 'properties.desiredx': 1 }), ...BAD_CONTENT],
	['a key in other letters', device({ 'Properties.Desired.a': 1 }), ...BAD_CONTENT],
	['a key that ends in a point', device({ 'properties.desired.': 1 }), ...BAD_CONTENT],
	['a key that ends in a point, further down', device({ 'properties.desired.a.': 1 }), ...BAD_CONTENT],
	['a key with two points', device({ 'properties.desired..a': 1 }), ...BAD_CONTENT],
	['a key with a blank', device({ 'properties.desired.a b': 1 }), ...BAD_CONTENT],
	['a key with a dollar sign', device({ 'properties.desired.$version': 7 }), ...BAD_CONTENT],
	['a key with $metadata', device({ 'properties.desired.a.$metadata': {} }), ...BAD_CONTENT],
	['a key with a control character', device({ 'properties.desired.a\u0007': 1 }), ...BAD_CONTENT],
	['a key of 1,025 bytes', device({ [`properties.desired.${'k'.repeat(1025)}`]: 1 }), ...BAD_CONTENT],
	['a key of twelve steps', device({ [`properties.desired${'.a'.repeat(12)}`]: 1 }), ...BAD_CONTENT],
	['a key and a value of twelve steps together', device({ [`properties.desired${'.a'.repeat(6)}`]: nested(6) }), ...BAD_CONTENT],
	['all desired properties as a number', device({ 'properties.desired': 1 }), ...BAD_CONTENT],
	['all desired properties as null', device({ 'properties.desired': null }), ...BAD_CONTENT],
	['one key below another (J-57)', device({ 'properties.desired.a': { b: 1 }, 'properties.desired.a.c': 2 }), ...BAD_CONTENT],
	['one key below another, with one between them in order', device({ 'properties.desired.a': 1, 'properties.desired.a-': 1, 'properties.desired.a.b': 2 }), ...BAD_CONTENT],
	['a key below all desired properties', device({ 'properties.desired': { a: 1 }, 'properties.desired.b': 2 }), ...BAD_CONTENT],
	['over 32 KB in ten keys', device(Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`properties.desired.k${i}`, 'x'.repeat(4000)]))), ...LARGE],
	['100,000 keys', device(Object.fromEntries(Array.from({ length: 30_000 }, (_, i) => [`properties.desired.k${i}`, 1]))), ...BAD_CONTENT],
	// not those that are refused before anybody sees a content, nor a member that its namesake replaces
	...[...badKeys, ...badValues].filter(([name]) => !/64 bits|over a double|300 digits|thousand levels|30,000|duplicate/.test(name))
		.map(([name, value, code]) => [`a value with ${name}`, raw('properties.desired.v', value), ...(code === 403100 ? LARGE : BAD_CONTENT)]),
	['a number over 64 bits in it', raw('properties.desired.v', '99999999999999999999'), ...INVALID],
	['a deployment of $edgeAgent alone', modules({ $edgeAgent: { 'properties.desired': { a: 1 } } }), ...BAD_CONTENT],
	['a deployment beside another content', { content: { ...CONTENT, ...modules({ m: { 'properties.desired.a': 1 } }).content } }, ...BAD_CONTENT],
	['a deployment that is an array', { content: { modulesContent: [{ m: { 'properties.desired.a': 1 } }] } }, ...BAD_CONTENT],
	['a deployment of a module that is a text', modules({ m: 'x' }), ...BAD_CONTENT],
	['a deployment that says nothing', modules({ m: {} }), ...BAD_CONTENT],
	['a deployment of a module with a slash', modules({ 'm/n': { 'properties.desired.a': 1 } }), ...BAD_CONTENT],
	['a deployment of a module without a name', modules({ '': { 'properties.desired.a': 1 } }), ...BAD_CONTENT],
	['a deployment of 51 modules', modules(Object.fromEntries(Array.from({ length: 51 }, (_, i) => [`m${i}`, { 'properties.desired.a': 1 }]))), ...BAD_CONTENT],
	['a deployment of 1,020 keys', modules(Object.fromEntries(Array.from({ length: 2 }, (_, i) =>
		[`m${i}`, Object.fromEntries(Array.from({ length: 510 }, (_k, k) => [`properties.desired.k${k}`, k]))]))), ...BAD_CONTENT],
	['a deployment with a key below another', modules({ m: { 'properties.desired.a': {}, 'properties.desired.a.b': 1 } }), ...BAD_CONTENT],
	['a deployment for modules, by its condition', { ...modules({ m: { 'properties.desired.a': 1 } }), targetCondition: "FROM devices.modules WHERE moduleId = 'm'" }, ...TARGET],
];

const isFile = (body) => body === undefined || Buffer.isBuffer(body);
const asNew = (body) => (isFile(body) ? body : { content: CONTENT, ...body });
const asUpdate = (body) => (isFile(body) ? body : { ...THERE, ...body });
describe('a new configuration', () => {
	for (const [name, body, ...answer] of fields) test(name, () => refuse([name, 'PUT', '/configurations/new', { body: asNew(body) }, ...answer]));
	for (const [name, body, ...answer] of contents) test(name, () => refuse([name, 'PUT', '/configurations/new', { body }, ...answer]));
});
describe('an update', () => {
	for (const [name, body, ...answer] of fields)
		test(name, () => refuse([name, 'PUT', '/configurations/there', { body: asUpdate(body), headers: { 'If-Match': '*' } }, ...answer]));
});

// ---- the path, the verb, the precondition, the right ----

const put = (id, more = {}) => ({ body: { content: CONTENT }, ...more });
const IMMUTABLE = [400, 'CannotModifyImmutableConfigurationContent'];
const GONE = [404, 'ConfigurationNotFound']; // nothing can bear such an id
const match = (etag) => ({ headers: { 'If-Match': etag } });
const rows = [
	...[['a capital letter', 'Upper'], ['a blank', 'a%20b'], ['a slash', 'a%2Fb'], ['a backslash', 'a%5Cb'], ['an ampersand', 'a%26b'], ['a caret', 'a%5Eb'],
		['brackets', 'a%5B0%5D'], ['braces', 'a%7Bb%7D'], ['quotes', 'a%22b'], ['angles', 'a%3Cb%3E'], ['a bar', 'a%7Cb'], ['a NUL', 'a%00'], ['a line break', 'a%0A'],
		['a letter that is not ASCII', 'a%C3%A9'], ['bytes that are not UTF-8', 'a%ff'], ['129 characters', 'a'.repeat(129)], ['a DEL', 'a%7F']]
		.flatMap(([name, id]) => [[`PUT an id with ${name}`, 'PUT', `/configurations/${id}`, put(), ...INVALID],
			[`GET an id with ${name}`, 'GET', `/configurations/${id}`, {}, ...GONE], [`DELETE an id with ${name}`, 'DELETE', `/configurations/${id}`, {}, ...GONE]]),
	['PUT on the list', 'PUT', '/configurations', put(), 405, 'GenericMethodNotAllowed'],
	['POST on one', 'POST', '/configurations/there', put(), 405, 'GenericMethodNotAllowed'],
	['PATCH on one', 'PATCH', '/configurations/there', { body: {} }, 405, 'GenericMethodNotAllowed'],
	['GET of testQueries, which is no configuration', 'GET', '/configurations/testQueries', {}, ...GONE],
	['a path below one', 'GET', '/configurations/there/content', {}, 404, 'GenericNotFound'],
	['GET of what is not there', 'GET', '/configurations/nothing', {}, ...GONE],
	['DELETE of what is not there', 'DELETE', '/configurations/nothing', {}, ...GONE],
	['DELETE of what is not there, with an etag', 'DELETE', '/configurations/nothing', match('"MQ=="'), ...GONE],
	['DELETE with a stale etag', 'DELETE', '/configurations/there', match('"Mg=="'), 412, 'PreconditionFailed'],
	['DELETE with an empty etag', 'DELETE', '/configurations/there', match('""'), 412, 'PreconditionFailed'],
	['PUT again without If-Match (J-29)', 'PUT', '/configurations/there', { body: THERE }, 409, 'ConfigurationAlreadyExists'],
	['PUT with a stale etag', 'PUT', '/configurations/there', { body: THERE, ...match('"Mg=="') }, 412, 'PreconditionFailed'],
	['PUT with a bare stale etag', 'PUT', '/configurations/there', { body: THERE, ...match('Mg==') }, 412, 'PreconditionFailed'],
	['PUT with an etag of 4,000 characters', 'PUT', '/configurations/there', { body: THERE, ...match(`"${'x'.repeat(4000)}"`) }, 412, 'PreconditionFailed'],
	['PUT with If-Match on what is not there', 'PUT', '/configurations/new', put('new', match('*')), ...GONE],
	['PUT with an etag on what is not there', 'PUT', '/configurations/new', put('new', match('"MQ=="')), ...GONE],
	['another content', 'PUT', '/configurations/there', { body: { ...THERE, ...device({ 'properties.desired.fan': { speed: 4 } }) }, ...match('*') }, ...IMMUTABLE],
	['a key more in the content', 'PUT', '/configurations/there', { body: { ...THERE, ...device({ ...CONTENT.deviceContent, 'properties.desired.b': 1 }) }, ...match('*') }, ...IMMUTABLE],
	['another kind of content', 'PUT', '/configurations/there', { body: { ...THERE, content: { moduleContent: CONTENT.deviceContent } }, ...match('*') }, ...IMMUTABLE],
	['an empty content for one that is not', 'PUT', '/configurations/there', { body: { ...THERE, content: {} }, ...match('*') }, ...IMMUTABLE],
	['a content that is a text for one that is none', 'PUT', '/configurations/there', { body: { ...THERE, content: 'x' }, ...match('*') }, ...IMMUTABLE],
	['PUT with a policy that may only read', 'PUT', '/configurations/new', put('new', { policy: 'registryRead' }), ...DENIED],
	['PUT with the policy of devices', 'PUT', '/configurations/new', put('new', { policy: 'device' }), ...DENIED],
	['DELETE with a policy that may only read', 'DELETE', '/configurations/there', { policy: 'registryRead' }, ...DENIED],
	['GET with the policy of devices', 'GET', '/configurations/there', { policy: 'device' }, ...DENIED],
	['PUT without api-version', 'PUT', '/configurations/new', put('new', { apiVersion: null }), 400, 'InvalidProtocolVersion'],
	...[['testQueries', '/configurations/testQueries', INVALID], ['applyConfigurationContent', '/devices/edge/applyConfigurationContent', BAD_CONTENT]].flatMap(([name, path, fault]) => [
		...[...notObjects, ['null', 'null']].map(([what, body]) => [`${name}: ${what}`, 'POST', path, { body: Buffer.from(body) }, ...fault]),
		[`${name}: not JSON`, 'POST', path, { body: '{' }, ...FORMAT],
		[`${name}: no body`, 'POST', path, {}, ...NULL],
		[`${name}: a policy that may only read`, 'POST', path, { body: {}, policy: 'registryRead' }, ...DENIED],
	]),
	['applyConfigurationContent on what is no edge device', 'POST', '/devices/h/applyConfigurationContent',
		{ body: { modulesContent: { m: { 'properties.desired': {} } } } }, ...BAD_CONTENT],
	...[['no content', {}], ['modulesContent that is an array', { modulesContent: [] }], ['a module that is a text', { modulesContent: { m: 'x' } }],
		['a content for tags', { modulesContent: { m: { 'tags.a': 1 } } }], ['the second module wrong', { modulesContent: { m: { 'properties.desired.a': 1 }, n: { 'properties.desired.a b': 1 } } }],
		['a device\'s content beside it', { modulesContent: { m: { 'properties.desired.a': 1 } }, deviceContent: { 'properties.desired.a': 1 } }],
		['a module\'s id with a slash', { modulesContent: { 'a/b': { 'properties.desired.a': 1 } } }], ['an empty module id', { modulesContent: { '': { 'properties.desired.a': 1 } } }],
		['a module\'s id of 129 characters', { modulesContent: { ['m'.repeat(129)]: { 'properties.desired.a': 1 } } }],
		['51 modules', { modulesContent: Object.fromEntries(Array.from({ length: 51 }, (_, i) => [`m${i}`, { 'properties.desired.a': 1 }])) }, 413, 'TooManyModulesOnDevice'],
	].map(([name, body, ...answer]) => [`applyConfigurationContent: ${name}`, 'POST', '/devices/edge/applyConfigurationContent', { body }, ...(answer.length ? answer : BAD_CONTENT)]),
	['applyConfigurationContent on nobody', 'POST', '/devices/nobody/applyConfigurationContent',
		{ body: { modulesContent: { m: { 'properties.desired': {} } } } }, 404, 'DeviceNotFound'],
	['applyConfigurationContent with a bad device id', 'POST', '/devices/a%2Fb/applyConfigurationContent', { body: { modulesContent: {} } }, ...INVALID],
];
describe('everything else', () => { for (const row of rows) test(row[0], () => refuse(row)); });

test('testQueries tells what is wrong with texts of every kind, and changes nothing', async () => {
	const ask = async (body) => {
		const answer = await scene.rest('POST', '/configurations/testQueries', { body });
		assert.equal(answer.status, 200, answer.text);
		return answer.body;
	};
	for (const targetCondition of [5, {}, [], 'tags.a =', '**', `tags.a = '${'x'.repeat(9000)}'`]) {
		const answer = await ask({ targetCondition });
		assert.equal(typeof answer.targetConditionError, 'string', JSON.stringify(targetCondition));
		assert.deepEqual(answer.customMetricQueryErrors, {});
	}
	const queries = { number: 5, list: [], nothing: null, empty: '', word: 'select', jobs: 'select * from devices.jobs', 'x"\u0001': 'select' };
	const { customMetricQueryErrors } = await ask({ targetCondition: '*', customMetricQueries: { ...queries, good: 'select deviceId from devices' } });
	assert.deepEqual(Object.keys(customMetricQueryErrors).sort(), Object.keys(queries).sort());
	for (const error of Object.values(customMetricQueryErrors)) assert.ok(error.length > 0);
	assert.deepEqual(await ask({}), { targetConditionError: null, customMetricQueryErrors: {} });
	await scene.holds();
});

test('what is read-only is passed over, whatever it is', async () => {
	const readOnly = { createdTimeUtc: 5, lastUpdatedTimeUtc: {}, systemMetrics: 'x', etag: 'MTAw', unknown: [1], metrics: { results: { m: 'many' } } };
	const made = await scene.rest('PUT', '/configurations/new', { body: { ...readOnly, content: CONTENT } });
	assert.equal(made.status, 200, made.text);
	assert.equal(made.body.etag, 'MQ==');
	assert.deepEqual(made.body.metrics, { results: {}, queries: {} });
	assert.match(made.body.createdTimeUtc, /^20\d\d-/);
	assert.ok(!('unknown' in made.body));
	assert.equal((await scene.rest('DELETE', '/configurations/new')).status, 204);
	await scene.holds();
});
