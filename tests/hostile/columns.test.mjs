// What once ended the hub: columns that were not in step with the rows, and columns that were not there.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { startHub, until } from '../lib/hub.mjs';
import { update } from '../lib/jobs.mjs';

let hub;
const query = async (text) => {
	const answer = await hub.rest('POST', '/devices/query', { body: { query: text } });
	assert.equal(answer.status, 200, text);
	return answer.body;
};

before(async () => { hub = await startHub({ args: ['--workers', '2'] }); });
after(() => hub?.stop());

test('J-18 four clients that register devices and create jobs at once', async () => {
	const client = async (c) => {
		for (let i = 0; i < 60; i++) {
			assert.equal((await hub.rest('PUT', `/devices/c${c}-${i}`, { body: { deviceId: `c${c}-${i}` } })).status, 200);
			if (i % 4 !== c) continue;
			const job = await hub.rest('PUT', `/jobs/v2/c${c}-${i}`, { body: update("status = 'enabled'", { tags: { hit: 1 } }) });
			assert.ok(job.status === 200 || job.status === 429, `${job.status}`);
		}
	};
	await Promise.all([0, 1, 2, 3].map(client));
	await until(async () => (await query("SELECT * FROM jobs WHERE status = 'completed'")).length > 0
		&& (await query("SELECT * FROM jobs WHERE status = 'running' OR status = 'queued'")).length === 0, 'the jobs are through');
	assert.deepEqual(await query('SELECT COUNT() AS n FROM devices'), [{ n: 240 }]);
	assert.deepEqual(await query("SELECT COUNT() AS n FROM devices.jobs WHERE status = 'failed'").catch(() => []), []);
});

test('Q-48 lone aggregates of what has no column', async () => {
	const none = "FROM devices WHERE tags.site = 'a'";
	for (const of of ['SUM', 'AVG', 'MIN', 'MAX'])
		for (const path of ['version', 'lastActivityTime', 'nosuch', 'tags', 'nosuch.deep'])
			assert.deepEqual(await query(`SELECT ${of}(${path}) AS v ${none}`), [{}], `${of}(${path})`);
	await hub.rest('PATCH', '/twins/c3-59', { body: { tags: { site: 'a' } } });
	const [{ v }] = await query(`SELECT SUM(version) AS v ${none}`);
	assert.equal(v, (await hub.rest('GET', '/twins/c3-59')).body.version);
});

test('J-40 the same as a metric of a configuration', async () => {
	const queries = { sum: "SELECT SUM(version) FROM devices WHERE tags.site = 'nowhere'", unknown: "SELECT AVG(nosuch) FROM devices WHERE tags.site = 'nowhere'" };
	const made = await hub.rest('PUT', '/configurations/metrics', { body: { id: 'metrics', content: { deviceContent: { 'properties.desired.x': 1 } }, targetCondition: "tags.site = 'nowhere'", priority: 1, metrics: { queries } } });
	assert.equal(made.status, 200, JSON.stringify(made.body));
	const read = await hub.rest('GET', '/configurations/metrics');
	assert.equal(read.status, 200);
	assert.deepEqual(Object.keys(read.body.metrics.results).sort(), ['sum', 'unknown']);
});
