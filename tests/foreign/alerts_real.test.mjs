// What real hubs show before a trouble and in it, made into two hours for promtool: an hour of the one, an hour of the other. So `for`, rates and windows are
// those of deploy/prometheus/alerts.yml, and no alert but that of the trouble may fire in it. O-135. What takes longer, or a disk: prometheus_live.test.mjs.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { BINARY, Hub, REPOSITORY, freeAddress, mqttDevice, onPostgres, startHub, stopAll, tempDir, until } from '../lib/hub.mjs';
import { endAll, testHub } from '../lib/ephemeral.mjs';
import { Receiver } from '../lib/receiver.mjs';
import { holding } from '../lib/hold.mjs';

const skip = spawnSync('promtool', ['--version']).error && 'promtool is not installed: apt-get install prometheus (scripts/setup --test)';
if (skip) console.error(`NOT TESTED, ${skip}`);
const options = { skip, timeout: 120_000 };
const HOUR = 60; // samples, one a minute

const scratch = tempDir('alerts'), files = path.join(scratch, 'files');
let hub;
before(async () => {
	if (skip) return;
	for (const dir of ['in', 'out']) fs.mkdirSync(path.join(files, dir), { recursive: true });
	hub = await startHub({ args: ['--import-export-dir', files, '--sink-allow', '127.0.0.0/8', '--memory', '64M', '--workers', '1', '--io-threads', '2'] });
	for (let n = 0; n < 20; n++) {
		const body = Array.from({ length: 100 }, (_, i) => ({ id: `d${n}-${i}`, importMode: 'create', tags: { text: `${n} ${'x'.repeat(200)} ${i}` } }));
		assert.equal((await hub.rest('POST', '/devices', { body })).status, 200);
	}
});
after(async () => { await stopAll(hub); endAll(); });

// ---- what is scraped, as series ----

// series -> value, each with job and instance; the figures that only grow stand in `counters`.
async function scrape({ addr }) {
	const text = await (await fetch(`http://${addr}:9464/metrics`)).text();
	const series = new Map([['up{job="twinhub",instance="hub:9464"}', '1']]), counters = new Set();
	for (const [, name, kind] of text.matchAll(/^# TYPE (\S+) (\S+)$/gm)) if (kind !== 'gauge') counters.add(name);
	for (const [, name, labels, value] of text.matchAll(/^(twinhub_\w+)(?:\{(.*)\})? (\S+)$/gm))
		series.set(`${name}{job="twinhub",instance="hub:9464"${labels ? `,${labels}` : ''}}`, value);
	return { series, counters };
}

const grows = ({ counters }, name) => counters.has(name.split('{')[0]) || counters.has(name.split('{')[0].replace(/_(bucket|sum|count)$/, ''));

// An hour of `from`, then one of `to`. Counters have risen by then what they rose between, once or, when it goes on, each minute; time is no figure of the hub's: uptime goes on by itself.
function twoHours(from, to, { goesOn, restarted }) {
	return [...new Set([...from.series.keys(), ...to.series.keys()])].map((name) => {
		const a = from.series.get(name), b = to.series.get(name);
		if (name.startsWith('twinhub_uptime_seconds') && !restarted) return { series: name, values: `${3600 * 5}+60x${2 * HOUR}` };
		const before = a === undefined ? `_x${HOUR}` : `${a}x${HOUR - 1}`;
		if (b === undefined) return { series: name, values: before };
		const step = Number(b) - Number(a ?? 0);
		return { series: name, values: `${before} ${b}${goesOn && grows(to, name) && step > 0 ? `+${step}` : '+0'}x${HOUR - 1}` };
	});
}

// At the end of the first hour nothing fires; in the second one each of `alerts` does at some minute, and nothing else at any.
function judge(alerts, from, to, how = {}) {
	const file = path.join(scratch, `${alerts[0] ?? 'quiet'}.json`);
	const firing = 'count by (alertname) (ALERTS{alertstate="firing"})';
	const tests = [
		{ expr: firing, eval_time: `${HOUR - 1}m`, exp_samples: [] },
		{ expr: `count by (alertname) (max_over_time(ALERTS{alertstate="firing"}[2h]))`, eval_time: `${2 * HOUR - 1}m`, exp_samples: alerts.map((alert) => ({ labels: `{alertname="${alert}"}`, value: 1 })) },
	];
	fs.writeFileSync(file, JSON.stringify({ rule_files: [path.join(REPOSITORY, 'deploy/prometheus/alerts.yml')], evaluation_interval: '1m',
		tests: [{ interval: '1m', input_series: twoHours(from, to, how), promql_expr_test: tests }] }));
	const r = spawnSync('promtool', ['test', 'rules', file], { encoding: 'utf8' });
	assert.equal(r.status, 0, `${alerts}: ${r.stdout}${r.stderr}`);
}

// What `trouble` does to a hub makes these alerts fire, and no other.
async function provoke(alerts, of, trouble, how) {
	const from = await scrape(of);
	const to = await trouble(from) ?? await scrape(of);
	judge([alerts].flat(), from, to, how);
}

const figure = (page, name) => Number([...page.series].find(([series]) => series.startsWith(name))?.[1]);
const ok = (answer) => { assert.ok(answer.status < 300, answer.text); return answer; };
const devices = (of, n) => Promise.all(Array.from({ length: n }, (_, i) => mqttDevice(of, `d0-${i}`)));

// ---- the troubles ----

test('O-135 none fires in a hub that works, nor at a restart', options, async () => {
	const work = async () => {
		const clients = await devices(hub, 24);
		for (const client of clients) for (let n = 0; n < 5; n++) await client.report({ n });
		for (let n = 0; n < 10; n++) {
			ok(await hub.rest('PATCH', `/twins/d1-${n}`, { body: { properties: { desired: { n } } } }));
			assert.equal((await hub.rest('GET', '/twins/nobody')).status, 404);
			ok(await hub.rest('POST', '/devices/query', { body: { query: "SELECT COUNT() AS n FROM devices WHERE ENDSWITH(tags.text, '7')" } }));
		}
		await Promise.all(clients.map((client) => client.disconnect()));
	};
	await provoke([], hub, work, { goesOn: true });
	await provoke([], hub, () => hub.restart(), { restarted: true });
});

test('O-135 TwinhubJobsFailed: an import whose file is not there', options, () => provoke('TwinhubJobsFailed', hub, async () => {
	const uri = (dir) => pathToFileURL(path.join(files, dir)).href;
	const { body } = ok(await hub.rest('POST', '/jobs/create', { body: { type: 'import', inputBlobContainerUri: uri('in'), outputBlobContainerUri: uri('out'), inputBlobName: 'missing.txt' } }));
	await until(async () => (await hub.rest('GET', `/jobs/${body.jobId}`)).body.status === 'failed', 'the job has failed');
}));

test('O-135 TwinhubBackupFailed: the place of backups has gone', { ...options, skip: skip || onPostgres }, async () => {
	const backups = path.join(scratch, 'backups');
	const other = await startHub({ args: ['--backup-dir', backups, '--backup-every', '1'] });
	const counted = (what) => until(async () => { const page = await scrape(other); return figure(page, `twinhub_${what}_total`) > 0 && page; }, `${what} are there`);
	await counted('backups');
	await provoke('TwinhubBackupFailed', other, () => {
		fs.renameSync(backups, path.join(scratch, 'away'));
		fs.writeFileSync(backups, '');
		return counted('backup_failures');
	});
	await other.stop();
});

test('O-135 TwinhubConnectionsLost: the network of most devices has gone', options, async () => {
	const clients = await devices(hub, 24);
	await provoke('TwinhubConnectionsLost', hub, async () => {
		for (const client of clients) client.destroy();
		return until(async () => { const page = await scrape(hub); return figure(page, 'twinhub_connections{') === 0 && page; }, 'they are gone');
	});
});

test('O-135 TwinhubConnectsRefused: devices with keys that were changed', options, () => provoke('TwinhubConnectsRefused', hub, async () => {
	for (let i = 0; i < 10; i++) await mqttDevice(hub, 'd0-0', { key: 'd3Jvbmc=' }).then(() => assert.fail('it was accepted'), () => {});
}, { goesOn: true }));

test('O-135 TwinhubFlapping: two programs with one name', options, () => provoke('TwinhubFlapping', hub, async () => {
	let last;
	for (let i = 0; i < 8; i++) last = await mqttDevice(hub, 'd0-1', { filters: [] });
	last.destroy();
}, { goesOn: true }));

const root = { ...options, skip: skip || (process.getuid() !== 0 && 'takes root') };
const value = (page, name, label) => figure(page, `${name}{job="twinhub",instance="hub:9464"${label && `,${label}`}`);

test('O-135 TwinhubQueriesWait: more queries than may run', root, () => provoke('TwinhubQueriesWait', hub, async () => {
	let busy = true;
	const ask = async () => { while (busy) await hub.rest('POST', '/devices/query', { body: { query: "SELECT * FROM devices WHERE ENDSWITH(tags.text, 'y')" } }).catch(() => {}); };
	const asking = Array.from({ length: 64 }, ask);
	try { // held in one of them, so that the others are there when it is looked
		return await holding(hub.pid, 'worker 0', () => until(async () => { const page = await scrape(hub); return value(page, 'twinhub_queue_length', 'queue="queries-waiting"') > 0 && page; }, 'queries wait'));
	} finally {
		busy = false;
		await Promise.all(asking);
	}
}));

test('O-135 TwinhubSlow: a worker that stands for a while, again and again', root, () => provoke('TwinhubSlow', hub, async () => {
	let busy = true;
	const patch = async (_, i) => { for (let n = 0; busy; n++) await hub.rest('PATCH', `/twins/d2-${i}`, { body: { tags: { n } } }); };
	const patching = Array.from({ length: 16 }, patch);
	await holding(hub.pid, 'worker 0', () => new Promise((resolve) => { setTimeout(resolve, 1500); }));
	busy = false;
	await Promise.all(patching);
}, { goesOn: true }));

test('O-135 TwinhubSinkFailing: a receiver that is not there', options, () => provoke('TwinhubSinkFailing', hub, async () => {
	ok(await hub.rest('PUT', '/sinks/nobody', { body: { kind: 'webhook', url: `https://${hub.addr}:1/`, ca: hub.pem } }));
	ok(await hub.rest('PUT', '/routes/nobody', { body: { source: 'TwinChangeEvents', endpointNames: ['nobody'] } }));
	ok(await hub.rest('PATCH', '/twins/d3-0', { body: { tags: { n: 1 } } }));
	return until(async () => { const page = await scrape(hub); return value(page, 'twinhub_sinks_failing', 'kind="webhook"') > 0 && page; }, 'it fails');
}));

test('O-135 TwinhubOperationsFail: a defect, by order', options, async () => {
	const other = await testHub();
	await other.createDevice('d');
	const client = await mqttDevice(other, 'd');
	await provoke('TwinhubOperationsFail', other, async () => {
		ok(await other.rest('POST', '/admin/faults', { body: { fault: 'refuseTwin', count: 20, status: 500 } }));
		for (let n = 0; n < 20; n++) await client.report({ n }).catch(() => {});
	}, { goesOn: true });
	await other.stop();
});

test('O-135 TwinhubLogLinesLost: nobody reads the log', options, async () => {
	// a pipe whose reader reads nothing
	const addr = await freeAddress(), dir = path.join(scratch, 'unread');
	const child = spawn('sh', ['-c', '"$@" 2>&1 | exec sleep 600', 'sh', BINARY, 'serve', '--data', dir, '--bind', addr, '--log-level', 'debug'], { stdio: 'ignore', detached: true });
	const other = new Hub({ addr, dir });
	try {
		await until(async () => (await fetch(`http://${addr}:9464/metrics`).catch(() => ({}))).status === 200, 'it serves', { ms: 20_000 });
		const authorization = await other.token(), agent = new https.Agent({ keepAlive: true, maxSockets: 8, ca: other.pem });
		const ask = (n) => new Promise((resolve, reject) => {
			https.get({ host: addr, path: `/twins/nobody${n}?api-version=2021-04-12&x=${'x'.repeat(1000)}`, agent, headers: { authorization } }, (answer) => answer.resume().on('end', resolve)).on('error', reject);
		});
		await provoke('TwinhubLogLinesLost', other, async () => {
			for (let n = 0; figure(await scrape(other), 'twinhub_log_lines_dropped_total') === 0; n++) {
				assert.ok(n < 100, 'lines are lost');
				await Promise.all(Array.from({ length: 100 }, (_, i) => ask(i)));
			}
		});
		agent.destroy();
	} finally {
		process.kill(-child.pid, 'SIGKILL');
	}
});

// ---- what takes longer ----

const long = { skip: skip || onPostgres || (!process.env.TWINHUB_LONG && 'it takes minutes: TWINHUB_LONG=1'), timeout: 400_000 };

test('O-135 TwinhubJobsFailed: what a job asks for is damaged, which is an alert, too', long, async () => {
	const damaged = await startHub({ args: ['--scrub-rate', '0'] });
	for (let i = 0; i < 50; i++) await damaged.createDevice(`c${i}`, { body: {} });
	for (let i = 0; i < 50; i++) ok(await damaged.rest('PATCH', `/twins/c${i}`, { body: { tags: { text: `tag ${i} `.repeat(20) } } }));
	await damaged.restart(); // a log becomes tables
	await damaged.kill();
	await damaged.start();
	await damaged.kill();
	const tables = fs.readdirSync(damaged.dir, { recursive: true }).map((name) => path.join(damaged.dir, String(name))).filter((name) => name.endsWith('.sst') && fs.readFileSync(name).includes('wanted'));
	assert.ok(tables.length > 0);
	for (const name of tables) {
		const bytes = fs.readFileSync(name);
		bytes[100] ^= 0x10;
		fs.writeFileSync(name, bytes);
	}
	await damaged.start();
	await provoke(['TwinhubDamagedFiles', 'TwinhubJobsFailed'], damaged, async () => {
		ok(await damaged.rest('PUT', '/jobs/v2/j', { body: { jobId: 'j', type: 'scheduleUpdateTwin', queryCondition: "ENDSWITH(tags.text, '7 ')", updateTwin: { etag: '*', tags: { seen: true } } } }));
		await until(async () => (await damaged.rest('GET', '/jobs/v2/j')).body.status === 'failed', 'the job has failed');
		return until(async () => { const page = await scrape(damaged); return value(page, 'twinhub_jobs_failed_total', 'kind="scheduled"') === 1 && page; }, 'it is counted');
	});
	await damaged.stop();
});

test('O-135 TwinhubSinkLosesEvents: a sink that failed for longer than the log is kept', long, async () => {
	const few = await startHub({ args: ['--sink-allow', '127.0.0.0/8'] });
	const receiver = await new Receiver().start(few.dir, few.addr);
	const lost = async () => (await few.rest('GET', '/sinks/s')).body.status.dropped > 0;
	const fill = async () => {
		for (let i = 0; i < 40; i++) ok(await few.rest('POST', '/devices/d/messages/events', { body: randomBytes(60_000) }));
	};
	receiver.answer = () => 503;
	ok(await few.rest('PATCH', '/settings', { body: { retention: { logMaxSize: 1 << 20 } } }));
	await few.createDevice('d');
	ok(await few.rest('PUT', '/sinks/s', { body: { kind: 'webhook', url: receiver.url, ca: few.pem } }));
	ok(await few.rest('PUT', '/routes/s', { body: { source: 'DeviceMessages', endpointNames: ['s'] } }));
	await provoke('TwinhubSinkLosesEvents', few, async () => {
		for (let round = 0; round < 3; round++) {
			await fill();
			await few.restart(); // what is in memory of the log goes to files, and old files go
		}
		receiver.answer = () => 200;
		await until(async () => await lost() || fill(), 'events are lost', { ms: 60_000 });
		return scrape(few);
	});
	receiver.stop();
	await few.stop();
});

test('O-135 TwinhubSinkBehind: a receiver that takes one event at a time', long, async () => {
	const receiver = await new Receiver().start(hub.dir, hub.addr);
	for (const what of ['routes', 'sinks']) await hub.rest('DELETE', `/${what}/nobody`);
	ok(await hub.rest('PUT', '/sinks/slow', { body: { kind: 'webhook', url: receiver.url, ca: hub.pem, batchEvents: 1 } }));
	ok(await hub.rest('PUT', '/routes/slow', { body: { source: 'TwinChangeEvents', endpointNames: ['slow'] } }));
	await provoke('TwinhubSinkBehind', hub, async () => {
		for (let n = 0; ; n++) {
			const page = await scrape(hub);
			if (value(page, 'twinhub_sink_lag_events', 'kind="webhook"') > 100_000) return page;
			assert.ok(n < 150, 'it is behind');
			ok(await hub.rest('PUT', `/jobs/v2/b${n}`, { body: { jobId: `b${n}`, type: 'scheduleUpdateTwin', queryCondition: '*', updateTwin: { etag: '*', tags: { n } } } }));
			await until(async () => (await hub.rest('GET', `/jobs/v2/b${n}`)).body.status === 'completed', 'all twins are changed');
		}
	});
	receiver.stop();
});

test('O-135 TwinhubWritesStalled: the store cannot write its files', { ...long, skip: long.skip || (process.getuid() !== 0 && 'takes root') }, async () => {
	const slow = await startHub({ args: ['--memory', '64M'] });
	await slow.createDevice('d');
	await provoke('TwinhubWritesStalled', slow, async () => {
		let busy = true;
		const send = async () => { while (busy) await slow.rest('POST', '/devices/d/messages/events', { body: randomBytes(60_000) }).catch(() => {}); };
		const sending = Array.from({ length: 8 }, send);
		try {
			return await holding(slow.pid, 'rocksdb:high', () => until(async () => { const page = await scrape(slow); return value(page, 'twinhub_store_write_stopped', '') === 1 && page; }, 'changes are held up', { ms: 60_000 }));
		} finally {
			busy = false;
			await Promise.all(sending);
		}
	});
	await slow.stop();
});
