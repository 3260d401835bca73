// Debian's Prometheus and promtool with what deploy/ has for them: alerts, the dashboard's expressions, the hub's own page. O-135 to O-137.
// With TWINHUB_LONG=1 also a real Prometheus that scrapes a hub under load and in trouble.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { REPOSITORY, startHub, stopAll, tempDir } from '../lib/hub.mjs';
import { until } from '../lib/wait.mjs';
import { Postgres, hasPostgres } from '../lib/postgres.mjs';
import { HEALTHY, SCENARIOS, promtoolTests } from './alerts.mjs';

const at = (name) => path.join(REPOSITORY, 'deploy', name);
const read = (name) => fs.readFileSync(path.join(REPOSITORY, name), 'utf8');
const skip = spawnSync('promtool', ['--version']).error && "promtool is not installed: apt-get install prometheus (scripts/setup --test)";
if (skip) console.error(`NOT TESTED, ${skip}`);

const scratch = tempDir('prometheus');
const dashboard = JSON.parse(read('deploy/grafana/twinhub.json'));
const panels = dashboard.panels.filter((panel) => panel.type !== 'row');
// name -> expression, with the alert's `for`.
const alerts = read('deploy/prometheus/alerts.yml').split(/^ {6}- alert: /m).slice(1).map((text) => {
	const name = text.split('\n', 1)[0];
	const expr = /^ {8}expr: (?:>-\n((?: {10}.*\n)+)|(.*)\n)/m.exec(text);
	return { name, expr: (expr[1] ?? expr[2]).replace(/\s+/g, ' ').trim(), text };
});

let hub, page, pages, server, node; // node: of several, which has figures of its own
before(async () => {
	if (skip) return;
	hub = await startHub();
	await hub.createDevice('seen'); // histograms have lines once something was seen
	for (const query of ['SELECT COUNT() AS n FROM devices', "SELECT * FROM devices WHERE deviceId = 'seen'"]) await hub.rest('POST', '/devices/query', { body: { query } });
	if (!hasPostgres) throw new Error('postgresql-15 is not installed: scripts/setup --test');
	server = await Postgres.start();
	server.sql('postgres', 'CREATE DATABASE node');
	node = await startHub({ dir: path.join(tempDir('node'), 'data'), args: ['--cluster', server.url('node'), '--node', 'a', '--mesh', `${hub.addr}:7443`] });
	pages = [await metricsOf(hub), await until(async () => {
		const text = await metricsOf(node);
		return /^twinhub_cluster_shards 64$/m.test(text) && text;
	}, 'a beat that has seen the shards of the node')];
	page = pages[0] + pages[1].match(/^twinhub_cluster_.*\n/gm).join('');
});
after(async () => {
	await stopAll(hub, node);
	server?.stop();
});

function metricsOf({ addr }, headers = {}) {
	return new Promise((resolve, reject) => {
		http.get({ host: addr, port: 9464, path: '/metrics', headers, agent: false }, (answer) => {
			let text = '';
			answer.setEncoding('utf8').on('data', (part) => { text += part; }).on('end', () => resolve(text));
		}).on('error', reject);
	});
}

function promtool(args, input) {
	const r = spawnSync('promtool', args, { encoding: 'utf8', input });
	assert.equal(r.error, undefined);
	assert.equal(r.status, 0, r.stdout + r.stderr);
	return r.stdout + r.stderr;
}

test("O-120 O-135 O-137 promtool has nothing against the hub's page, the configuration and the rules", { skip }, () => {
	for (const one of pages) assert.equal(promtool(['check', 'metrics'], one), '');
	assert.doesNotMatch(pages[0], /^twinhub_cluster_/m, 'a hub by itself has none of these');
	for (const [what, is] of [['shards', 64], ['nodes', 1], ['shards_without_owner', 0], ['synchronous', 0], ['lost', 0], ['links_wanted', 0]]) assert.match(pages[1], new RegExp(`^twinhub_cluster_${what} ${is}$`, 'm'));
	assert.match(promtool(['check', 'config', at('prometheus/prometheus.yml')]), new RegExp(`${alerts.length} rules found`));
	assert.match(promtool(['check', 'rules', '--lint=all', '--lint-fatal', at('prometheus/alerts.yml')]), /SUCCESS/);
	assert.match(read('deploy/prometheus/prometheus.yml'), /job_name: twinhub$/m);
});

test('O-135 each alert fires in what provokes it, and no other does; none fires in a hub in good order', { skip }, () => {
	const file = path.join(scratch, 'alerts_test.yml');
	fs.writeFileSync(file, JSON.stringify(promtoolTests(at('prometheus/alerts.yml'))));
	promtool(['test', 'rules', file]);
	assert.deepEqual([...new Set(SCENARIOS.map((one) => one.alert).filter(Boolean))].sort(), alerts.map((one) => one.name).sort());
	// and the proof is one: with a rule that fires always, or one that never does, it fails
	for (const [expr, other] of [['up{job="twinhub"} == 0', 'up{job="twinhub"} >= 0'], ['twinhub_store_damaged_files > 0', 'twinhub_store_damaged_files > 5']]) {
		const broken = path.join(scratch, 'broken.yml');
		const text = read('deploy/prometheus/alerts.yml');
		assert.ok(text.includes(`expr: ${expr}\n`));
		fs.writeFileSync(broken, text.replace(`expr: ${expr}\n`, `expr: ${other}\n`));
		const few = promtoolTests(broken);
		few.tests = few.tests.filter((one) => ['TwinhubDamagedFiles', 'a hub in good order'].includes(one.name));
		fs.writeFileSync(file, JSON.stringify(few));
		assert.notEqual(spawnSync('promtool', ['test', 'rules', file]).status, 0, other);
	}
});

test('O-135 each alert says what it means, and docs/monitoring.md what to do', { skip }, () => {
	const docs = read('docs/monitoring.md');
	for (const { name, text } of alerts) {
		assert.match(text, /severity: (critical|warning) \}/, name);
		assert.match(text, /summary: .+\n/, name);
		assert.match(text, /description: '.*\$labels\.instance.*'/, name);
		assert.ok(text.includes(`runbook: docs/monitoring.md#${name.toLowerCase()}\n`), name);
		const [severity] = /critical|warning/.exec(text);
		assert.match(docs, new RegExp(`^### ${name}\n\n\\*${severity}\\.\\* `, 'm'));
	}
	assert.equal([...docs.matchAll(/^### Twinhub/gm)].length, alerts.length);
});

// The figures of an expression with the labels that they are chosen by: [name, [[label, operator, value]...]].
function figuresOf(expr) {
	return [...expr.matchAll(/\b(twinhub_[a-z0-9_]+)(?:\{([^}]*)\})?/g)].map(([, name, labels = '']) =>
		[name, [...labels.matchAll(/(\w+)(=~|!~|!=|=)"([^"]*)"/g)].map(([, label, operator, value]) => [label, operator, value])]);
}

test('O-136 O-296 what alerts and dashboard ask for is what the hub has: figures, labels and their values', { skip }, () => {
	const series = new Map(), labelled = new Map();
	for (const [, name, labels = ''] of page.matchAll(/^(twinhub_[a-z0-9_]+)(?:\{(.*)\})? \S+$/gm)) {
		series.set(name, [...(series.get(name) ?? []), Object.fromEntries([...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, label, value]) => [label, value]))]);
	}
	// those with lines once something was seen: TYPE says that they are there
	for (const [, name] of page.matchAll(/^# TYPE (\S+) histogram$/gm)) for (const end of ['bucket', 'sum', 'count']) series.set(`${name}_${end}`, series.get(`${name}_${end}`) ?? []);
	const asked = [...alerts.map(({ name, expr }) => [name, expr]), ...panels.flatMap(({ title, targets }) => targets.map(({ expr }) => [title, expr]))];
	for (const [where, expr] of asked)
		for (const [name, labels] of figuresOf(expr)) {
			assert.ok(series.has(name), `${where}: ${name}`);
			for (const [label, operator, value] of labels) {
				if (label === 'instance') continue;
				for (const one of operator.includes('~') ? value.split('|') : [value])
					assert.ok(series.get(name).some((has) => has[label] === one), `${where}: ${name} with ${label}="${one}"`);
			}
			labelled.set(name, true);
		}
	for (const name of Object.keys(HEALTHY).map((one) => one.split('{')[0]).filter((one) => one !== 'up')) assert.ok(series.has(name), `${name} of the scenarios`);
	assert.ok(labelled.size > 50);
});

test('O-136 the dashboard: each panel with a description and a unit, for the hubs that are chosen', () => {
	const ids = new Set(dashboard.panels.map((panel) => panel.id));
	assert.equal(ids.size, dashboard.panels.length);
	assert.deepEqual(dashboard.templating.list.map((one) => [one.name, one.type]), [['datasource', 'datasource'], ['instance', 'query']]);
	for (const { title, description, fieldConfig, targets, gridPos } of panels) {
		assert.ok(description?.length > 20, title);
		assert.ok(fieldConfig.defaults.unit, title);
		assert.ok(gridPos.x + gridPos.w <= 24, title);
		for (const { expr } of targets) {
			for (const [name, labels] of figuresOf(expr)) assert.deepEqual(labels[0], ['instance', '=~', '$instance'], `${title}: ${name}`);
			for (const [, variable] of expr.matchAll(/\$(\w+)/g)) assert.ok(['instance', '__rate_interval'].includes(variable), title);
		}
	}
	for (const row of ['latency', 'throughput', 'connections', 'disconnect', 'commit', 'fsync', 'queue', 'memory', 'sink', 'jobs', 'configurations', 'store', 'certificates'])
		assert.match(dashboard.panels.map((one) => `${one.title} ${one.description ?? ''}`).join('\n'), new RegExp(row, 'i'));
});
