// Automatic configurations from the command line.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { startHub, stopAll, tempDir, until } from '../lib/hub.mjs';
import { commands, endWatching, watching } from './lib.mjs';

const CONTENT = { deviceContent: { 'properties.desired.fan': { speed: 3 } } };
let hub, cli, dir;

before(async () => {
	hub = await startHub();
	cli = commands(hub);
	dir = tempDir('configurations');
	for (let i = 0; i < 4; i++) {
		await hub.createDevice(`d${i}`);
		await hub.rest('PATCH', `/twins/d${i}`, { body: { tags: { ring: i < 3 ? 'wide' : 'canary' } } });
	}
});
after(async () => {
	endWatching();
	await stopAll(hub);
});

function file(name, document) {
	const at = path.join(dir, `${name}.json`);
	fs.writeFileSync(at, typeof document === 'string' ? document : JSON.stringify(document));
	return at;
}

const applied = (id, n) => until(async () => (await cli(['configuration', 'show', id])).systemMetrics.results.appliedCount === n, `${id} is applied to ${n}`);

test('configuration create, show, update, delete', async () => {
	const metrics = { queries: { 'reported 3': 'select deviceId from devices where properties.reported.fan.speed = 3' } };
	const made = await cli(['configuration', 'create', 'crud', '--file', file('crud', { content: CONTENT, targetCondition: "tags.ring = 'wide'", priority: 4, labels: { app: 'hvac' }, metrics })]);
	assert.deepEqual([made.id, made.content, made.targetCondition, made.priority, made.labels, made.metrics.queries, made.etag],
		['crud', CONTENT, "tags.ring = 'wide'", 4, { app: 'hvac' }, metrics.queries, 'MQ==']);
	await applied('crud', 3);
	const updated = await cli(['configuration', 'update', 'crud', '--priority', '5', '--labels', '{"app":"fans"}']);
	assert.deepEqual([updated.priority, updated.labels, updated.targetCondition, updated.metrics.queries, updated.content],
		[5, { app: 'fans' }, made.targetCondition, metrics.queries, CONTENT]);
	assert.match(await cli(['configuration', 'update', 'crud', '--priority', '6', '--etag', made.etag], { code: 7 }), /etag/);
	assert.equal((await cli(['configuration', 'update', 'crud', '--condition', "tags.ring = 'canary'", '--etag', updated.etag])).priority, 5);
	await applied('crud', 1);
	const replaced = await cli(['configuration', 'update', 'crud', '--file', file('again', { id: 'crud', targetCondition: '', content: CONTENT }), '--labels', '{}']);
	assert.deepEqual([replaced.targetCondition, replaced.priority, replaced.metrics.queries, replaced.content], ['', 0, {}, CONTENT]);
	await applied('crud', 0);
	assert.match(await cli(['configuration', 'update', 'crud', '--file', file('other', { content: { deviceContent: { 'properties.desired.x': 1 } } })], { code: 1 }),
		/CannotModifyImmutableConfigurationContent/);
	assert.match(await cli(['configuration', 'delete', 'crud', '--etag', made.etag], { code: 7 }), /etag/);
	assert.equal(await cli(['configuration', 'delete', 'crud']), '');
	for (const verb of [['show'], ['delete'], ['update', '--priority', '1']])
		assert.match(await cli(['configuration', verb[0], 'crud', ...verb.slice(1)], { code: 4 }), /ConfigurationNotFound: crud/);
});

test('configuration create: what the hub shows can be given back; options win over the file', async () => {
	await cli(['configuration', 'create', 'first', '--file', file('first', { content: CONTENT, targetCondition: '*', priority: 2, schemaVersion: '2.0' })]);
	const shown = await cli(['configuration', 'show', 'first']);
	delete shown.id;
	const second = await cli(['configuration', 'create', 'second', '--file', file('second', shown), '--condition', "tags.ring = 'canary'", '--priority', '7', '--labels', '{"a":"b"}']);
	assert.deepEqual([second.id, second.targetCondition, second.priority, second.labels, second.schemaVersion, second.content],
		['second', "tags.ring = 'canary'", 7, { a: 'b' }, '2.0', CONTENT]);
	assert.match(await cli(['configuration', 'create', 'second', '--file', file('second', shown)], { code: 7 }), /ConfigurationAlreadyExists/);
	for (const id of ['first', 'second']) await cli(['configuration', 'delete', id]);
});

test('configuration: what is wrong is named', async () => {
	const create = (document, code = 2, more = []) => cli(['configuration', 'create', 'wrong', '--file', file('wrong', document), ...more], { code });
	assert.match(await create('{"content":'), /wrong\.json: /);
	assert.match(await create('[]'), /not a JSON object/);
	assert.match(await create({ content: CONTENT, targetConditon: '*' }), /'targetConditon' is no member of a configuration/);
	assert.match(await create({ id: 'right', content: CONTENT }), /its id is 'right', not 'wrong'/);
	assert.match(await create({ content: CONTENT }, 2, ['--priority', '-1']), /--priority -1/);
	assert.match(await create({ content: CONTENT }, 2, ['--labels', '[]']), /--labels is not a JSON object/);
	assert.match(await create({ content: CONTENT, targetCondition: 'tags.a =' }, 1), /InvalidConfigurationTargetCondition: .*Line 1/);
	assert.match(await create({ content: CONTENT, labels: { a: [1] } }, 1), /ArgumentInvalid: labels\.a is not a string, it is an array/);
	assert.match(await create({ content: { deviceContent: { 'tags.a': 1 } } }, 1), /InvalidConfigurationContent: tags\.a /);
	assert.match(await create({ content: CONTENT, metrics: { queries: { m: 'select' } } }, 1), /InvalidConfigurationCustomMetricsQuery/);
	assert.match(await cli(['configuration', 'create', 'wrong', '--file', '/nowhere'], { code: 4 }), /no such file/);
	for (const words of [['create', 'wrong'], ['create'], ['update', 'wrong'], ['show', 'Upper'], ['show', ''], ['show', 'a b'], ['delete', 'a/b'], ['list', 'x'],
		['show', 'x', '--watch', '0'], ['show', 'x', '--file', 'x']])
		await cli(['configuration', ...words], { code: 2 });
	assert.deepEqual(await cli(['configuration', 'list']), []);
});

test('configuration list: whole as JSON, what fits on a line as a table and CSV', async () => {
	const condition = "tags.ring = 'wide'";
	await cli(['configuration', 'create', 'listed', '--file', file('listed', { content: CONTENT, targetCondition: condition, labels: { a: 'b' } })]);
	await applied('listed', 3);
	const [one, ...more] = await cli(['configuration', 'list']);
	assert.deepEqual([one.id, one.content, more], ['listed', CONTENT, []]);
	assert.match(await cli(['configuration', 'list', '--table']), /^id +priority +targetCondition +targetedCount +appliedCount +labels +lastUpdatedTimeUtc\nlisted +0 +tags\.ring = 'wide' +3 +3 +\{"a":"b"\} +\S+Z\n\n1 row\n$/);
	assert.match(await cli(['configuration', 'list', '--csv']), /^id,priority,targetCondition,.*\r\nlisted,0,tags\.ring = 'wide',3,3,/);
	assert.equal(await cli(['configuration', 'delete', 'listed', '--table']), 'deleted listed\n');
});

const BAR = { full: `[${'#'.repeat(30)}]`, none: `[${'-'.repeat(30)}]` };

test('configuration show on a terminal: how far it is, as bars', async () => {
	const metrics = { queries: { 'reported speed': 'select deviceId from devices where properties.reported.fan.speed = 3', canaries: "select deviceId from devices where tags.ring = 'canary'" } };
	const args = ['configuration', 'create', 'bars', '--table', '--file', file('bars', { content: CONTENT, targetCondition: "tags.ring = 'wide'", labels: { app: 'a\u001b[2J', b: 'c' }, metrics })];
	assert.match(await cli(args), /^targeted +3$/m, 'a new one is counted, too');
	await applied('bars', 3);
	const text = await cli(['configuration', 'show', 'bars', '--table']);
	const line = (name) => text.split('\n').find((l) => l.startsWith(`${name}  `))?.slice('reported speed  '.length);
	assert.equal(line('id'), 'bars');
	assert.equal(line('condition'), "tags.ring = 'wide'");
	assert.equal(line('priority'), '0');
	assert.equal(line('labels'), 'app: a?[2J, b: c');
	assert.match(line('created'), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
	assert.equal(line('targeted'), '3');
	assert.equal(line('applied'), `${BAR.full}  3 of 3  100.0 %`);
	assert.equal(line('reported speed'), `${BAR.none}  0 of 3    0.0 %`);
	assert.equal(line('canaries'), `[${'#'.repeat(10)}${'-'.repeat(20)}]  1 of 3   33.3 %`);
	assert.match(text, /^content +\{\n +"deviceContent": \{\n +"properties\.desired\.fan"/m);
	await cli(['configuration', 'update', 'bars', '--condition', '']);
	assert.match(await cli(['configuration', 'show', 'bars', '--table']), /^condition +- \(no device\)$/m);
	await cli(['configuration', 'delete', 'bars']);
});

test('configuration show --watch: drawn again on a terminal, a line each when piped, until Ctrl-C', async () => {
	await cli(['configuration', 'create', 'watched', '--file', file('watched', { content: CONTENT, targetCondition: "tags.ring = 'canary'" })]);
	const seen = watching(hub, ['configuration', 'show', 'watched', '--watch', '1'], { terminal: true });
	const text = await seen.until((t) => t.split('content').length > 2 && t, 'two drawings');
	const [before, first] = text.replaceAll('\r', '').split('\x1b[H\x1b[J');
	assert.equal(before, '');
	assert.match(first, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d, every 1 s, Ctrl-C ends\n\nid +watched\n/);
	await cli(['configuration', 'update', 'watched', '--priority', '8']);
	await seen.until((t) => /priority +8/.test(t), 'the change');
	seen.child.stdin.write('\x03');
	assert.deepEqual(await seen.ended(), { code: 0, signal: null });
	const piped = watching(hub, ['configuration', 'show', 'watched', '--watch', '1']);
	const lines = await piped.until((t) => t.split('\n').length > 2 && t.trim().split('\n'), 'two lines');
	for (const line of lines) assert.equal(JSON.parse(line).id, 'watched');
	await cli(['configuration', 'delete', 'watched']);
	assert.deepEqual(await piped.ended(), { code: 4, signal: null });
	assert.match(piped.errors, /^twinhub: ConfigurationNotFound: watched\n$/);
});

test('configuration show --until-applied ends when all that are targeted have it, and not before', async () => {
	const make = (id, priority) => cli(['configuration', 'create', id, '--file', file(id, { content: CONTENT, targetCondition: "tags.ring = 'wide'", priority })]);
	await make('winner', 9);
	const shown = JSON.parse((await hub.cli(['configuration', 'show', 'winner', '--until-applied'])).stdout.trim().split('\n').at(-1));
	assert.deepEqual(shown.systemMetrics.results, { targetedCount: 3, appliedCount: 3 });
	await make('loser', 1);
	const waits = watching(hub, ['configuration', 'show', 'loser', '--until-applied']);
	await waits.until((t) => t.split('\n').length > 2, 'two answers');
	await cli(['configuration', 'delete', 'winner']);
	assert.deepEqual(await waits.ended(), { code: 0, signal: null });
	assert.equal(JSON.parse(waits.text.trim().split('\n').at(-1)).systemMetrics.results.appliedCount, 3);
	await make('second', 9);
	await applied('loser', 0);
	const given = watching(hub, ['configuration', 'show', 'loser', '--until-applied', '--watch', '1']);
	await given.until((t) => t.includes('\n'), 'an answer');
	given.child.kill('SIGINT');
	assert.deepEqual(await given.ended(), { code: 1, signal: null }, 'what was waited for is not there');
});

test('O-91 configuration with a rollout: waves with bars, history, and halt, resume, advance, rollback', async () => {
	const stands = (id, status, wave) => until(async () => {
		const { state } = (await cli(['configuration', 'show', id])).rollout;
		return state.status === status && state.wave === wave;
	}, `${id} is ${status}`);
	const never = 'properties.reported.never = 1';
	const rollout = { waves: [{ count: 1, successQuery: never }, { percent: 50, successQuery: never }, { percent: 100 }] };
	const made = await cli(['configuration', 'create', 'waves', '--file', file('waves', { content: { deviceContent: { 'properties.desired.waves': 1 } }, targetCondition: '*', rollout })]);
	assert.deepEqual(made.rollout.waves, rollout.waves);
	await stands('waves', 'running', 1);
	await applied('waves', 1);
	assert.equal((await cli(['configuration', 'halt', 'waves'])).rollout.state.status, 'halted');
	assert.match(await cli(['configuration', 'halt', 'waves'], { code: 1 }), /OperationNotAllowedInCurrentState: the rollout is halted/);
	assert.match(await cli(['configuration', 'show', 'waves', '--until-applied'], { code: 1 }), /the rollout is halted/);
	assert.equal((await cli(['configuration', 'resume', 'waves'])).rollout.state.status, 'running');
	await cli(['configuration', 'advance', 'waves']);
	await stands('waves', 'running', 2);
	await applied('waves', 2);
	const text = await cli(['configuration', 'show', 'waves', '--table']);
	assert.match(text, /^rollout +running, wave 2 of 3$/m);
	assert.match(text, /^wave 1 +1 devices, completed; of the [01] devices up to here:$/m);
	assert.match(text, /^wave 2 +50 % of all that are targeted, running; of the 2 devices up to here:\n {2}applied +\[#{30}\] {2}2 of 2 {2}100\.0 %\n {2}succeeded +\[-{30}\] {2}0 of 2 {4}0\.0 %$/m);
	assert.match(text, /^wave 3 +100 % of all that are targeted, not begun$/m);
	assert.match(text, /^history +\S+Z {2}created \(iothubowner\)\n +\S+Z {2}waveStarted, wave 1: 1 of 4 devices\n +\S+Z {2}halted, wave 1: asked for \(iothubowner\)$/m);
	await cli(['configuration', 'rollback', 'waves']);
	await stands('waves', 'rolledBack', 2);
	await applied('waves', 0);
	await cli(['configuration', 'delete', 'waves']);
	for (const verb of ['halt', 'resume', 'advance', 'rollback']) {
		assert.match(await cli(['configuration', verb, 'waves'], { code: 4 }), /ConfigurationNotFound: waves/);
		await cli(['configuration', verb], { code: 2 });
	}
});

test('J-64 J-65 configuration why: where it is not applied, and whose its path is', async () => {
	const content = { deviceContent: { 'properties.desired.why': 1 } };
	for (let i = 0; i < 4; i++) await hub.rest('PATCH', `/twins/d${i}`, { body: { tags: { why: i < 3 } } });
	const make = (id, condition, priority) => cli(['configuration', 'create', id, '--file', file(id, { content, targetCondition: condition, priority })]);
	await make('why-low', '*', 1);
	await make('why-high', "tags.why = true", 5);
	await applied('why-high', 3);
	const left = await until(async () => {
		const rows = await cli(['configuration', 'why', 'why-low']);
		return rows.length === 3 ? rows : null;
	}, 'three devices do not have it');
	assert.deepEqual(left.map((r) => r.deviceId).sort(), ['d0', 'd1', 'd2']);
	for (const { targeted, applied: has, reasons } of left)
		assert.deepEqual([targeted, has, reasons.map((r) => [r.reason, r.path, r.configurationId, r.priority])], [true, false, [['owned', 'properties.desired.why', 'why-high', 5]]]);
	assert.match(await cli(['configuration', 'why', 'why-low', '--csv']), /^deviceId,targeted,reached,applied,why\r\n(d\d,true,true,false,properties\.desired\.why is owned by the configuration 'why-high' \(priority 5\)\r\n){3}$/);
	assert.deepEqual((await cli(['configuration', 'why', 'why-low', '--state', 'applied'])).map((r) => r.deviceId), ['d3']);
	assert.deepEqual((await cli(['configuration', 'why', 'why-high', 'd3'])).map((r) => [r.configurationId, r.targeted, r.reasons[0].reason]), [['why-high', false, 'condition']]);
	assert.match(await cli(['configuration', 'why', 'why-low', 'd1', '--table']), /d1 .*is owned by the configuration 'why-high' \(priority 5\)/);
	assert.match(await cli(['configuration', 'why', 'why-none'], { code: 4 }), /ConfigurationNotFound/);
	assert.match(await cli(['configuration', 'why', 'why-low', 'nobody'], { code: 4 }), /DeviceNotFound/);
	assert.match(await cli(['configuration', 'why', 'why-none', 'd1'], { code: 4 }), /'why-none' is no configuration that is about this device/);
	assert.match(await cli(['configuration', 'why', 'why-low', '--state', 'sad'], { code: 2 }), /--state sad: not targeted, reached, applied/);
	for (const words of [['why-low', '--module', 'm'], ['why-low', 'd1', '--state', 'applied'], ['Upper'], []]) await cli(['configuration', 'why', ...words], { code: 2 });
	const dry = await cli(['configuration', 'create', 'why-dry', '--file', file('why-dry', { content, targetCondition: "tags.why = true", priority: 0 }), '--dry-run', '--table']);
	assert.match(dry, /d1 .*is owned by the configuration 'why-high' \(priority 5\)/);
	for (const id of ['why-low', 'why-high']) await cli(['configuration', 'delete', id]);
});
