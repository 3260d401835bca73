// Every figure moves when what it counts happens (operate.md, O-120, O-124, O-125, O-127): a hub on which a bit of everything is done, scraped before and after.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { mqttDevice, mqttUsername, onPostgres, RawMqtt, REPOSITORY, sasToken, startHub, stopAll, tempDir, until } from '../lib/hub.mjs';
import { watchQuery } from '../lib/watch.mjs';

let hub;
const files = tempDir('sinks');
before(async () => {
	hub = await startHub({ args: ['--workers', '2', '--sink-dir', files, '--sink-allow', '127.0.0.0/8', '--scrub-rate', '1048576'] });
});
after(() => stopAll(hub));

const page = (headers = {}) => new Promise((resolve, reject) => {
	http.get({ host: hub.addr, port: 9464, path: '/metrics', headers, agent: false }, (answer) => {
		let body = '';
		answer.setEncoding('utf8').on('data', (part) => { body += part; }).on('end', () => resolve(body));
	}).on('error', reject);
});
const scrape = async () => series(await page());
const series = (body) => new Map(body.split('\n').filter((line) => line !== '' && !line.startsWith('#')).map((line) => {
	const cut = line.lastIndexOf(' ');
	return [line.slice('twinhub_'.length, cut), Number(line.slice(cut + 1))];
}));
// What the two formats say of a page, line by line; it fails on whatever neither allows. Prometheus names a counter with its _total, OpenMetrics without.
function check(body, open) {
	const families = new Map(), seen = new Set();
	let family, type, last;
	const lines = body.split('\n');
	assert.equal(lines.pop(), '', 'the last line ends');
	if (open) assert.equal(lines.pop(), '# EOF');
	for (const line of lines) {
		let m;
		if ((m = /^# HELP (twinhub_[a-z0-9_]+) (\S.*)$/.exec(line))) {
			[, family] = m;
			assert.ok(!families.has(family), `${family} once`);
			families.set(family, 0);
		} else if ((m = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line))) {
			assert.equal(m[1], family, 'HELP and TYPE are beside each other');
			[, , type] = m;
			if (!open) assert.equal(type === 'counter', family.endsWith('_total'), family);
			else assert.ok(!family.endsWith('_total'), family);
		} else if (open && (m = /^# UNIT (\S+) ([a-z]+)$/.exec(line))) {
			assert.equal(m[1], family, 'UNIT is beside TYPE');
			assert.ok(family.endsWith(`_${m[2]}`), family);
		} else {
			m = /^(twinhub_[a-z0-9_]+)((?:\{[a-z_]+="[^"\\\n]*"(?:,[a-z_]+="[^"\\\n]*")*\})?) (-?[0-9.]+(?:e[+-]?\d+)?|\+Inf)$/.exec(line);
			assert.ok(m, `a sample: ${line}`);
			const [, name, label, value] = m;
			const suffixes = type === 'histogram' ? ['_bucket', '_sum', '_count'] : [open && type === 'counter' ? '_total' : ''];
			assert.ok(suffixes.some((suffix) => name === family + suffix), `${name} is of ${family}`);
			assert.ok(!seen.has(name + label), `${name}${label} once`);
			seen.add(name + label);
			families.set(family, families.get(family) + 1);
			const le = /le="([^"]*)"/.exec(label)?.[1];
			if (name.endsWith('_bucket')) {
				const bound = le === '+Inf' ? Infinity : Number(le), of = label.replace(/,?le="[^"]*"/, '');
				if (last?.of === name + of) assert.ok(bound > last.bound && Number(value) >= last.value, line);
				last = { of: name + of, bound, value: Number(value) };
			} else if (name.endsWith('_count') && type === 'histogram') {
				assert.equal(last.bound, Infinity);
				assert.equal(Number(value), last.value, line);
			}
		}
	}
	return { families: [...families.keys()].map((name) => name.replace(/_total$/, '')), series: [...seen] };
}
const ok = (answer, status = 200) => { assert.equal(answer.status, status, answer.text); return answer.body; };
const put = (target, body) => hub.rest('PUT', target, { body });
const charts = (query = '', options = {}) => hub.rest('GET', `/statistics/metrics${query}`, options);
// Until the figure satisfies.
const reaches = (name, test) => until(async () => test((await scrape()).get(name)), name, { ms: 15_000 });

async function someTwins(n) {
	for (let i = 0; i < n; i++) await hub.createDevice(`d${i}`);
	ok(await put('/devices/off', { deviceId: 'off', status: 'disabled' }));
	await hub.rest('PATCH', '/twins/d0', { body: { tags: { site: 'a' }, properties: { desired: { on: true } } } });
}

async function sayNo() {
	const c = await RawMqtt.open(hub);
	const { code } = await c.connect({ clientId: 'd0', username: mqttUsername(hub.addr, 'd0'),
		password: sasToken({ resource: `${hub.addr}/devices/d0`, key: Buffer.alloc(32, 9).toString('base64') }) });
	assert.equal(code, 5);
	assert.equal((await hub.rest('GET', '/devices', { token: null })).status, 401);
	assert.equal((await hub.rest('GET', '/twins/nobody')).status, 404);
}

test('O-120 O-124 each figure moves as what it counts happens', { timeout: 120_000 }, async () => {
	const first = await scrape();
	const links = [];
	const rose = async (what, names, by = 1) => {
		await what();
		for (const name of names) await reaches(name, (v) => v >= (first.get(name) ?? 0) + by);
	};

	await rose(() => someTwins(5), ['identities', 'devices', 'devices_disabled', 'document_cache_hits_total', 'queue_wait_seconds_count', 'gate_wait_seconds_count', 'commit_seconds_count',
		'commit_size_bytes_count', ...(onPostgres ? [] : ['fsync_seconds_count', 'store_wal_bytes']), 'store_commits_total', 'store_commit_bytes_total', 'store_keys', 'document_cache_bytes',
		'http_requests_total{status="2xx"}', 'event_records_total', 'operations_total{operation="identity-put",result="ok"}', 'operation_seconds_count{operation="identity-put"}']);
	await rose(async () => links.push(await mqttDevice(hub, 'd1'), await mqttDevice(hub, 'd2', { ws: true })), ['connections{protocol="mqtt"}', 'connections{protocol="websocket"}',
		'connects_total{protocol="mqtt"}', 'connects_total{protocol="websocket"}', 'received_bytes_total{protocol="mqtt"}', 'received_bytes_total{protocol="websocket"}',
		'sent_bytes_total{protocol="mqtt"}', 'sent_bytes_total{protocol="websocket"}', 'http_requests_total{status="1xx"}']);
	// more of them than what else may be open for a moment, as a file that the store makes is at the first look
	const more = await Promise.all(Array.from({ length: 20 }, () => RawMqtt.open(hub)));
	await rose(async () => {}, ['connections_open', 'open_files'], 10);
	for (const one of more) one.socket.destroy();
	await rose(sayNo, ['connects_refused_total{reason="key-signature"}', 'http_requests_total{status="4xx"}', 'log_lines_total{level="info"}', 'operations_total{operation="twin-read",result="refused"}']);
	const refused = [...(await scrape())].filter(([name, v]) => name.startsWith('http_requests_refused_total') && v > 0);
	assert.equal(refused.length, 1, 'the 401 has its reason');
	await rose(() => hub.rest('POST', '/devices/query', { body: { query: "SELECT deviceId FROM devices WHERE tags.site = 'a'" } }),
		['query_seconds_count{cost="costly"}', 'columns', 'columns_bytes']);
	await rose(async () => ok(await put('/configurations/c', { id: 'c', targetCondition: "tags.site = 'a'", priority: 1, content: { deviceContent: { 'properties.desired.c': 1 } } })),
		['configurations', 'sweep_twins_total', 'sweep_seconds_count']);
	await rose(async () => ok(await put('/configurations/slow', { id: 'slow', targetCondition: "tags.site = 'never'", priority: 1, content: { deviceContent: { 'properties.desired.s': 1 } },
		rollout: { waves: [{ percent: 10 }, { percent: 100 }] } })), ['rollouts{status="pending"}']);
	await rose(async () => ok(await put('/jobs/v2/j', { jobId: 'j', type: 'scheduleUpdateTwin', queryCondition: "tags.site = 'a'", updateTwin: { etag: '*', tags: { j: 1 } } })), ['jobs{status="completed"}']);
	await rose(async () => ok(await put('/jobs/v2/later', { jobId: 'later', type: 'scheduleUpdateTwin', startTime: '2040-01-01T00:00:00Z', queryCondition: '*', updateTwin: { etag: '*', tags: { j: 1 } } })),
		['jobs{status="scheduled"}']);
	await rose(async () => {
		ok(await put('/sinks/file', { kind: 'file', path: 'events.jsonl' }));
		ok(await put('/sinks/down', { kind: 'webhook', url: 'https://127.0.0.1:9/x', handshake: false }));
		for (const name of ['file', 'down']) ok(await put(`/routes/${name}`, { source: 'DeviceMessages', endpointNames: [name] }));
		await links[0].publish('devices/d1/messages/events/', 'hello', { qos: 1 });
	}, ['sinks{kind="file"}', 'sinks{kind="webhook"}', 'sink_events_delivered_total{kind="file"}', 'sink_attempts_failed_total{kind="webhook"}', 'sinks_failing{kind="webhook"}',
		'sink_lag_events{kind="webhook"}', 'event_readers']);
	await rose(async () => {
		for (let i = 0; i < 3; i++) ok(await hub.rest('POST', '/devices/d3/messages/deviceBound', { body: 'x', headers: { 'iothub-ack': 'full' } }), 204);
	}, ['messages_queued'], 3);
	await rose(() => hub.rest('DELETE', '/devices/d3/commands'), ['messages_dead_lettered_total{end="Purged"}', 'feedback_messages'], 3);
	const watch = await watchQuery(hub, 'SELECT deviceId FROM devices');
	await rose(async () => {}, ['watches', 'http_requests_running']);
	await watch.close?.();
	await links.pop().disconnect();
	await rose(async () => {}, ['disconnects_total{reason="goodbye"}']);
	for (const [name, least] of [['cpu_seconds_total', 0.01], ['uptime_seconds', 0.1], ['resident_memory_bytes', 1e6], ['store_memtable_bytes', 1], ['free_space_bytes', 1e6],
		['certificate_left_seconds{certificate="server"}', 86400], ['certificate_left_seconds{certificate="server-ca"}', 86400], ...(onPostgres ? [] : [['scrub_passes_total', 1]]), ['open_files_max', 100],
		['document_cache_max_bytes', 1e6], ['connections_max', 10], ['store_takes_writes', 1], [`build_info{version="${(await hub.cli(['version'], { data: false })).stdout.match(/\d+\.\d+\.\d+/)[0]}"}`, 1]])
		assert.ok((await scrape()).get(name) >= least, name);
	for (const link of links) await link.disconnect();
});

test('O-120 O-121 both formats are what their specifications allow, and say the same', async () => {
	const text = check(await page(), false), open = check(await page({ accept: 'application/openmetrics-text; version=1.0.0' }), true);

	assert.deepEqual(open.families, text.families);
	assert.deepEqual(open.series, text.series);
	assert.ok(text.series.length > 300 && text.series.length < 3000, `${text.series.length} series`);
	for (const name of ['d0', 'd1', 'off', 'iothubowner', hub.addr, 'down', 'events.jsonl']) assert.ok(!text.series.some((one) => one.includes(`"${name}"`)), `no ${name}`);
});

test('O-124 what the page has is what the reference lists, and the other way round', async () => {
	const listed = [...fs.readFileSync(path.join(REPOSITORY, 'docs/reference/metrics.md'), 'utf8').matchAll(/^\| `twinhub_(\w+)` \| (\w+) \|/gm)];
	const there = new Set([...(await scrape()).keys()].map((name) => name.replace(/\{.*/, '').replace(/_(bucket|sum|count)$/, '')));

	for (const [, name, type] of listed)
		assert.ok(there.has(name) || type === 'histogram' || (!onPostgres && name.startsWith('cluster_')), `${name} is in the page`); // a histogram once something was seen, cluster_ with --cluster
	for (const name of there) assert.ok(listed.some((one) => one[1] === name || one[1] === `${name}_count`), `${name} is listed`);
});

test('O-125 GET /statistics/metrics: now, and a point each ten seconds', { timeout: 60_000 }, async () => {
	const load = setInterval(() => hub.rest('PATCH', '/twins/d0', { body: { tags: { n: Math.random() } } }).catch(() => {}), 20);
	try {
		const begin = Date.now();
		const { body } = await until(async () => {
			const answer = await charts();
			return ok(answer) && answer.body.times.length > 0 && answer.body.figures.operations.at(-1) > 1 && answer.body.now.operations > 1 && answer.body.now.operationP99 !== null && answer.body.now.sinksFailing === 1 && answer;
		}, 'a point', { ms: 40_000, pauseMs: 500 });
		assert.equal(body.step, 10);
		const names = Object.keys(body.units);
		assert.ok(names.length >= 30 && names.length <= 60, `${names.length} figures`);
		assert.deepEqual(Object.keys(body.figures), names);
		assert.deepEqual(Object.keys(body.now), ['time', ...names]);
		for (const name of names) assert.equal(body.figures[name].length, body.times.length, name);
		for (const time of body.times) assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d0\.?0*Z$/, 'the tens of the clock');
		assert.ok(Math.abs(Date.parse(body.now.time) - Date.now()) < 5000);
		assert.ok(body.now.operations > 1 && body.now.commits > 1 && body.now.requests > 1, JSON.stringify(body.now));
		assert.ok(body.now.operationP99 > 0 && body.now.operationP99 < 5 && (onPostgres || body.now.fsyncP99 > 0));
		assert.ok(body.now.identities >= 6 && body.now.freeBytes > 1e6 && body.now.takesWrites === 1);
		assert.equal(body.now.sinksFailing, 1, 'the one that is down');
		const last = body.figures.commitP99.at(-1);
		assert.ok(last > 0 && last < 5);
		// several as one; from now on there is none yet
		const whole = ok(await charts(`?step=86400&from=${encodeURIComponent(new Date(begin - 86_400_000).toISOString())}`));
		assert.ok(whole.times.length >= 1 && whole.times.length <= 2, whole.times.join());
		assert.ok(whole.times.every((time) => Date.parse(time) % 86_400_000 === 0));
		const none = ok(await charts(`?from=${encodeURIComponent(new Date(Date.now() - 1).toISOString())}`));
		assert.ok(none.times.length <= 1);
	} finally {
		clearInterval(load);
	}
});

test('O-125 what is asked for wrongly is 400; RegistryRead is not enough', async () => {
	for (const query of ['?step=5', '?step=15', '?step=0', '?step=-10', '?step=x', '?step=86410', '?step=99999999999999999999', '?from=yesterday', '?from=2999-01-01T00:00:00Z',
		'?to=2026-01-01T00:00:00Z', '?from=1&step=10', '?limit=3']) {
		const answer = await charts(query);
		assert.equal(answer.status, 400, `${query}: ${answer.text}`);
		assert.match(answer.text, /ArgumentInvalid/, query);
	}
	assert.equal((await charts('?from=&step=')).status, 200);
	assert.equal((await charts('', { policy: 'registryRead' })).status, 401);
	assert.equal((await charts('', { policy: 'device' })).status, 401);
	assert.equal((await charts('', { policy: 'service' })).status, 200);
});

test('O-120 what is not in memory is read, and what is read is in table files', { skip: onPostgres }, async () => {
	await hub.restart();
	const first = await scrape();
	assert.equal(first.get('document_cache_misses_total'), 0);
	for (let i = 0; i < 5; i++) ok(await hub.rest('GET', `/twins/d${i}`));
	const last = await scrape();
	assert.ok(last.get('document_cache_misses_total') >= 5);
	assert.ok(last.get('store_cache_misses_total') + last.get('store_cache_hits_total') > 0);
	for (const name of ['store_table_bytes', 'store_table_files', 'store_cache_bytes', 'jobs{status="scheduled"}', 'sinks{kind="file"}', 'devices_disabled', 'feedback_messages',
		'messages_dead_lettered_total{end="Purged"}'])
		assert.ok(last.get(name) > 0, name);
});
