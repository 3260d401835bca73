// What is accepted and has no effect is said (Q-90, service-rest.md 1.2); where nobody can have meant it, it is refused.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { startHub, stopAll } from '../lib/hub.mjs';
import { until } from '../lib/wait.mjs';

let hub;
before(async () => {
	hub = await startHub();
	await hub.createDevice('pump01');
});
after(() => stopAll(hub));

const header = (answer) => answer.headers['x-twinhub-warning'];

// An answer of success that bears this warning; without a pattern: none.
function warned(answer, pattern) {
	assert.ok(answer.status >= 200 && answer.status < 300, answer.text);
	if (pattern === undefined) assert.equal(header(answer), undefined);
	else assert.match(header(answer) ?? 'none', pattern);
	return answer.body;
}

function refused(answer, name, pattern) {
	assert.equal(answer.status, 400, answer.text);
	assert.equal(answer.headers['iothub-errorcode'], name);
	assert.match(answer.body.Message, pattern);
	assert.equal(header(answer), undefined);
}

const configuration = (id, targetCondition, rest = {}) => hub.rest('PUT', `/configurations/${id}`,
	{ body: { id, targetCondition, priority: 1, content: { deviceContent: { 'properties.desired.x': 1 } }, ...rest } });
const job = (id, rest) => hub.rest('PUT', `/jobs/v2/${id}`,
	{ body: { jobId: id, type: 'scheduleUpdateTwin', queryCondition: '*', updateTwin: { etag: '*', tags: {} }, ...rest } });

test('Q-90 J-35 target conditions that can never be true are refused, and name why', async () => {
	const bad = [
		['deviceId=edgeDeviceVM', /edgeDeviceVM/],
		["\"tags.environment = 'test'\"", /in quotes is a constant, and no condition/],
		["tag.environment = 'test'", /no device has tag\.environment/],
		["tags.my-tag = 'x'", /\[\[my-tag\]\]/],
		['properties.desird.a = 1', /properties\.desird\.a/],
	];

	for (const [condition, pattern] of bad) {
		refused(await configuration('never', condition), 'InvalidConfigurationTargetCondition', pattern);
		refused(await hub.rest('PUT', '/configurations/never?dryRun=true', { body: { id: 'never', targetCondition: condition,
			content: { deviceContent: { 'properties.desired.x': 1 } } } }), 'InvalidConfigurationTargetCondition', pattern);
		const tried = warned(await hub.rest('POST', '/configurations/testQueries', { body: { targetCondition: condition } }));
		assert.match(tried.targetConditionError, pattern);
	}
	assert.equal((await hub.rest('GET', '/configurations/never')).status, 404);
	warned(await configuration('fine', "tags.environment = 'test' AND NOT is_defined(properties.reported.[[a-b]])"));
});

test('Q-90 J-06 J-07 jobs: conditions that can never be true, members that no twin has', async () => {
	refused(await job('j1', { queryCondition: 'deviceId=pump01' }), 'ArgumentInvalid', /needs quotes, 'pump01'/);
	refused(await job('j1', { queryCondition: "tag.x = 'y'" }), 'ArgumentInvalid', /no device has tag\.x/);
	refused(await job('j1', { queryCondition: '"deviceId = 1"' }), 'ArgumentInvalid', /constant/);
	refused(await job('j1', { updateTwin: { etag: '*', desired: { building: '43' } } }), 'ArgumentInvalid',
		/updateTwin\.desired is no member of a twin, properties\.desired is/);
	refused(await job('j1', { updateTwin: { etag: '*', properties: { building: '43' } } }), 'ArgumentInvalid',
		/updateTwin\.properties\.building is no member of a twin/);
	refused(await hub.rest('POST', '/jobs/v2/j1?dryRun=true', { body: { type: 'scheduleUpdateTwin', queryCondition: '*', updateTwin: { etag: '*', tag: {} } } }),
		'ArgumentInvalid', /updateTwin\.tag is no member/);
	assert.equal((await hub.rest('GET', '/jobs/v2/j1')).status, 404);
	// as the C# SDK writes a Twin, and as one that was read
	warned(await job('j2', { updateTwin: { deviceId: null, etag: '*', version: null, properties: { desired: { a: 1 } } } }));
	const read = warned(await hub.rest('GET', '/twins/pump01'));
	warned(await job('j3', { updateTwin: { ...read, etag: '*' } }));
	for (const id of ['j2', 'j3'])
		await until(async () => (await hub.rest('GET', `/jobs/v2/${id}`)).body.status === 'completed', `job ${id}`);
});
