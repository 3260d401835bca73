// Import and export jobs of the service SDK, on directories instead of blob containers.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { BINARY, startHub, stopAll, tempDir, until, freeAddress } from '../lib/hub.mjs';
import { registryOf, rejection } from '../lib/sdk.mjs';

const root = fs.realpathSync(tempDir('blobs'));
const uri = (...parts) => pathToFileURL(path.join(root, ...parts)).href;
const read = (...parts) => fs.readFileSync(path.join(root, ...parts), 'utf8');
const rows = (...parts) => read(...parts).split('\n').filter(Boolean).map((line) => JSON.parse(line));
const hubs = [];
let hub, registry;

before(async () => {
	for (const dir of ['in', 'out', 'a b/ü']) fs.mkdirSync(path.join(root, dir), { recursive: true });
	hub = await startHub({ args: ['--import-export-dir', root] });
	hubs.push(hub);
	registry = await registryOf(hub);
});
after(() => stopAll(...hubs));

const create = (body, options) => hub.rest('POST', '/jobs/create', { body, ...options });
const job = async (id) => (await hub.rest('GET', `/jobs/${id}`)).body;
async function ended(id, status = 'completed') {
	const end = await until(async () => {
		const j = await job(id);
		return j.status !== 'running' && j.endTimeUtc !== undefined && j;
	}, `the end of job ${id}`, { ms: 60_000 });
	assert.equal(end.status, status, JSON.stringify(end));
	return end;
}
const exists = async (id) => (await hub.rest('GET', `/devices/${id}`)).status === 200;
const write = (name, lines) => fs.writeFileSync(path.join(root, name), lines.map((line) => `${typeof line === 'string' ? line : JSON.stringify(line)}\n`).join(''));

test('R-82 the service SDK exports all devices to a directory, with keys and without', async () => {
	await hub.createDevice('exported');
	await hub.rest('PATCH', '/twins/exported', { body: { tags: { a: 1 } } });
	const made = await registry.exportDevicesToBlob(uri('out'), false);
	assert.deepEqual([made.type, made.status, made.outputBlobContainerUri, made.outputBlobName, made.excludeKeysInExport], ['export', 'running', uri('out'), 'devices.txt', false]);
	const end = await ended(made.jobId);
	assert.equal(end.progress, 100);
	assert.ok(Date.parse(end.startTimeUtc) <= Date.parse(end.endTimeUtc));
	const [line] = rows('out', 'devices.txt');
	assert.equal(line.id, 'exported');
	assert.deepEqual(line.tags, { a: 1 });
	assert.match(line.authentication.symmetricKey.primaryKey, /=$/);
	assert.equal(fs.statSync(path.join(root, 'out/devices.txt')).mode & 0o777, 0o600);
	await ended((await registry.exportDevicesToBlob(uri('out'), true)).jobId);
	assert.equal(rows('out', 'devices.txt')[0].authentication.symmetricKey.primaryKey, null);
	await ended((await create({ type: 'EXPORT', outputBlobContainerUri: uri('a b', 'ü'), outputBlobName: 'all.txt', storageAuthenticationType: 'keyBased' })).body.jobId);
	assert.equal(rows('a b', 'ü', 'all.txt').length, 1);
	assert.deepEqual(fs.readdirSync(path.join(root, 'out')), ['devices.txt'], 'nothing else stays');
});

test('R-82 the service SDK imports devices; lines that are refused are in importErrors.log', async () => {
	const lines = [{ id: 'i1', tags: { a: 1 }, properties: { desired: { b: 2 }, reported: { c: 3 } } }, { id: 'i2', status: 'disabled' }, { id: 'i1', moduleId: 'm' },
		{ id: 'i 3' }, 'no json', { id: 'i1', importMode: 'create' }, { id: 'exported', importMode: 'delete' }, { id: 'i4', importMode: 'update' }];
	write('in/devices.txt', lines);
	const made = await registry.importDevicesFromBlob(uri('in'), uri('out'));
	assert.deepEqual([made.type, made.status, made.inputBlobContainerUri, made.inputBlobName], ['import', 'running', uri('in'), 'devices.txt']);
	await ended(made.jobId);
	assert.deepEqual(rows('out', 'importErrors.log').map((e) => [e.line, e.deviceId, e.moduleId, e.errorCode]),
		[[4, 'i 3', undefined, 400004], [5, undefined, undefined, 400006], [6, 'i1', undefined, 409001], [8, 'i4', undefined, 404001]]);
	assert.match(rows('out', 'importErrors.log')[1].errorStatus, /^IotHubFormatError: The text is not valid JSON, at byte 0\.$/);
	for (const e of rows('out', 'importErrors.log')) assert.match(e.errorStatus, /^\w+: /);
	assert.equal((await hub.rest('GET', '/devices/i2')).body.status, 'disabled');
	assert.equal((await hub.rest('GET', '/devices/i1/modules/m')).status, 200);
	const twin = (await hub.rest('GET', '/twins/i1')).body;
	assert.deepEqual([twin.tags, twin.properties.desired.b, twin.properties.desired.$version], [{ a: 1 }, 2, 1]);
	assert.equal('c' in twin.properties.reported, false, 'T-13');
	assert.equal(await exists('exported'), false);
	const again = await registry.importDevicesFromBlobByIdentity(uri('in'), uri('out'));
	await ended(again.jobId);
	assert.equal(rows('out', 'importErrors.log').length, 5, 'deleted already');
});

test('R-82 a line that is no JSON has its number, its byte and, where it is to be read, its id', async () => {
	write('in/broken.txt', ['{"id":"fine-1"}', '{"id":"cut","tags":{"a":1}', '{ "id" : "dev", "moduleId":"mod", "tags":{"a":01}}', '', '{"id":7x}', '{"id":"a\u0000b","x":}']);
	const made = await create({ type: 'import', inputBlobContainerUri: uri('in'), inputBlobName: 'broken.txt', outputBlobContainerUri: uri('out') });
	await ended(made.body.jobId);
	assert.deepEqual(rows('out', 'importErrors.log').map((e) => [e.line, e.deviceId, e.moduleId, Number(/at byte (\d+)\.$/.exec(e.errorStatus)[1])]),
		[[2, 'cut', undefined, 26], [3, 'dev', 'mod', 47], [5, undefined, undefined, 7], [6, undefined, undefined, 8]]);
	assert.equal(await exists('fine-1'), true);
});

test('R-82 files of other formats are named, and nothing of them is taken', async () => {
	const files = {
		'a JSON array': JSON.stringify([{ id: 'foreign-1' }]),
		'JSON over several lines': JSON.stringify({ id: 'foreign-2' }, null, 2),
		'UTF-16 text': Buffer.from('\ufeff{"id":"foreign-3"}\n', 'utf16le'),
		'a state file of az iot hub state export': JSON.stringify({ configurations: {}, devices: { 'foreign-4': {} }, modules: {} }),
		CSV: 'deviceId,tags.a\nforeign-5,1\n',
	};

	for (const [name, content] of Object.entries(files)) {
		fs.writeFileSync(path.join(root, 'in/foreign.txt'), content);
		const made = await create({ type: 'import', inputBlobContainerUri: uri('in'), inputBlobName: 'foreign.txt', outputBlobContainerUri: uri('out') });
		const { failureReason } = await ended(made.body.jobId, 'failed');
		assert.ok(failureReason.startsWith(`foreign.txt is ${name}: a job imports lines of JSON, one object each, as UTF-8`), failureReason);
		assert.equal(failureReason.endsWith(' (twinhub import takes it)'), /^(CSV|a state)/.test(name), failureReason);
		assert.deepEqual(rows('out', 'importErrors.log'), []);
	}
	for (let i = 1; i <= 5; i++) assert.equal(await exists(`foreign-${i}`), false);
	fs.writeFileSync(path.join(root, 'in/foreign.txt'), '\ufeff{"id":"with-bom"}\r\n');
	await ended((await create({ type: 'import', inputBlobContainerUri: uri('in'), inputBlobName: 'foreign.txt', outputBlobContainerUri: uri('out') })).body.jobId);
	assert.equal(await exists('with-bom'), true);
});

test('R-81 R-82 J-03 the service SDK lists and reads jobs; v2 does not know them', async () => {
	const jobs = (await registry.listJobs()).responseBody;
	assert.ok(jobs.length >= 5);
	assert.equal(new Set(jobs.map((j) => j.jobId)).size, jobs.length);
	const one = await registry.getJob(jobs[0].jobId);
	assert.deepEqual(one, jobs[0]);
	const v2 = await hub.rest('GET', `/jobs/v2/${one.jobId}`);
	assert.deepEqual([v2.status, v2.body], [200, { jobId: one.jobId, type: 'unknown', status: 'unknown' }]);
	assert.equal((await rejection(registry.getJob('nobody'))).response.statusCode, 404);
	assert.equal((await hub.rest('GET', '/jobs/nobody')).headers['iothub-errorcode'], 'JobNotFound');
	assert.equal((await hub.rest('DELETE', '/jobs/nobody')).status, 404);
	for (const [method, policy, status] of [['GET', 'registryRead', 200], ['GET', 'service', 401], ['DELETE', 'registryRead', 401]])
		assert.equal((await hub.rest(method, `/jobs/${one.jobId}`, { policy })).status, status);
	assert.equal((await create({ type: 'export', outputBlobContainerUri: uri('out') }, { policy: 'registryRead' })).status, 401);
});

test('R-83 L-40 one job at a time; a running one can be cancelled, a finished one stays', async () => {
	write('in/many.txt', Array.from({ length: 40_000 }, (_, i) => `{"id":"many-${i}"}`));
	const made = await create({ type: 'import', inputBlobContainerUri: uri('in'), inputBlobName: 'many.txt', outputBlobContainerUri: uri('out') });
	assert.equal(made.status, 200);
	const second = await create({ type: 'export', outputBlobContainerUri: uri('out') });
	assert.deepEqual([second.status, second.headers['iothub-errorcode']], [403, 'JobQuotaExceeded']);
	await registry.cancelJob(made.body.jobId);
	assert.equal((await job(made.body.jobId)).status, 'cancelled');
	const next = await until(async () => {
		const r = await create({ type: 'export', outputBlobContainerUri: uri('out') });
		return r.status === 200 && r.body;
	}, 'the end of the cancelled job');
	const end = await ended(made.body.jobId, 'cancelled');
	assert.ok(end.progress < 100);
	assert.equal(await exists('many-39999'), false, 'it was cancelled before its end');
	await ended(next.jobId);
	assert.equal((await hub.rest('DELETE', `/jobs/${next.jobId}`, { headers: { 'If-Match': `"${next.jobId}"` } })).status, 204);
	assert.equal((await job(next.jobId)).status, 'completed');
});

test('jobs: what is no container here is refused and says why; no path leads out', async () => {
	const outside = tempDir('outside');
	fs.writeFileSync(path.join(outside, 'secret'), '{"id":"secret"}\n');
	fs.symlinkSync(outside, path.join(root, 'link'));
	fs.symlinkSync(path.join(outside, 'secret'), path.join(root, 'in/link.txt'));
	fs.mkdirSync(path.join(root, 'in/folder.txt'));
	fs.symlinkSync(path.join(outside, 'victim'), path.join(root, 'out/target.txt'));
	for (const container of ['https://account.blob.core.windows.net/devices?sig=secret', 'file://', 'file:///', 'file://other/host', `file://${root}/../outside`, uri('missing'), uri('link'),
		`${uri()}%2f..%2f..`, `${uri('in')}/devices.txt`, `${uri()}x`, pathToFileURL(outside).href, `${uri('in')}%00`, `file://${'a/'.repeat(4000)}`, root, 'x', '\u0000']) {
		const r = await create({ type: 'export', outputBlobContainerUri: container });
		assert.deepEqual([r.status, r.headers['iothub-errorcode']], [400, 'BlobContainerValidationError'], container.slice(0, 100));
		assert.ok(!r.text.includes('secret'));
	}
	for (const body of [{}, [], 7, { type: 'other', outputBlobContainerUri: uri('out') }, { type: 'export' }, { type: 'export', outputBlobContainerUri: 7 }, { type: 'import', outputBlobContainerUri: uri('out') },
		...['../x', 'a/b', '.', '..', '.hidden', 'x'.repeat(300), 'a\u0000b'].map((outputBlobName) => ({ type: 'export', outputBlobContainerUri: uri('out'), outputBlobName })),
		{ type: 'import', inputBlobContainerUri: uri('in'), outputBlobContainerUri: uri('out'), inputBlobName: '../in/devices.txt' }, { type: 'export', outputBlobContainerUri: uri('out'), includeConfigurations: true }])
		assert.equal((await create(body)).status, 400, JSON.stringify(body));
	for (const inputBlobName of ['link.txt', 'folder.txt', 'missing.txt']) {
		const end = await ended((await create({ type: 'import', inputBlobContainerUri: uri('in'), outputBlobContainerUri: uri('out'), inputBlobName })).body.jobId, 'failed');
		assert.match(end.failureReason, new RegExp(inputBlobName));
	}
	assert.equal(await exists('secret'), false);
	// a link in the place of the output is replaced, not followed
	await ended((await create({ type: 'export', outputBlobContainerUri: `${uri('out')}?sv=signature`, outputBlobName: 'target.txt' })).body.jobId);
	assert.equal(fs.existsSync(path.join(outside, 'victim')), false);
	assert.ok(fs.lstatSync(path.join(root, 'out/target.txt')).isFile());
	assert.deepEqual(fs.readdirSync(path.join(root, 'out')).filter((name) => name.startsWith('.')), []);
});

test('jobs: a hub whose operator allows no directory says so; a directory that is not there is told at start', async () => {
	const other = await startHub();
	hubs.push(other);
	const r = await other.rest('POST', '/jobs/create', { body: { type: 'export', outputBlobContainerUri: uri('out') } });
	assert.equal(r.status, 400);
	assert.match(r.body.Message, /BlobContainerValidationError.*--import-export-dir/);
	assert.deepEqual((await other.rest('GET', '/jobs')).body, []);
	for (const [dir, why] of [['relative', /not an absolute path/], ['/nowhere/at/all', /No such file/]]) {
		const run = spawnSync(BINARY, ['serve', '--data', path.join(tempDir('bad'), 'data'), '--bind', await freeAddress(), '--import-export-dir', dir], { encoding: 'utf8', timeout: 30_000 });
		assert.equal(run.status, 1);
		assert.match(run.stderr, why);
	}
});

test('jobs: a hub that stops ends its job; what was imported stays', async () => {
	const made = await create({ type: 'import', inputBlobContainerUri: uri('in'), inputBlobName: 'many.txt', outputBlobContainerUri: uri('out') });
	await until(() => exists('many-39999'), 'the last device', { ms: 60_000 });
	await ended(made.body.jobId);
	const more = await create({ type: 'import', inputBlobContainerUri: uri('in'), inputBlobName: 'many.txt', outputBlobContainerUri: uri('out') });
	assert.equal(more.status, 200);
	await hub.restart();
	assert.ok(await exists('many-39999'));
	assert.equal((await hub.rest('GET', `/jobs/${more.body.jobId}`)).status, 404, 'jobs are known until the hub stops');
});

test('jobs: the hundred newest are known, and with each new one the oldest is forgotten', async () => {
	write('in/none.txt', []);
	const ids = [];
	for (let i = 0; i < 102; i++) {
		const made = await create({ type: 'import', inputBlobContainerUri: uri('in'), inputBlobName: 'none.txt', outputBlobContainerUri: uri('out') });
		assert.equal(made.status, 200);
		ids.push(made.body.jobId);
		await ended(made.body.jobId);
	}
	const known = (await hub.rest('GET', '/jobs')).body.map((j) => j.jobId);
	assert.deepEqual(known, ids.slice(2).reverse());
	assert.equal((await hub.rest('GET', `/jobs/${ids[0]}`)).status, 404);
});
