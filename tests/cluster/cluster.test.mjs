// tests/cluster/run for a few rounds, and that it finds a set-up that is wrong. More rounds: TWINHUB_CLUSTER_ROUNDS.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import path from 'node:path';
import { BINARY } from '../lib/hub.mjs';
import { hasPostgres } from '../lib/postgres.mjs';
import { hasPatroni } from './patroni.mjs';

const ROUNDS = Number(process.env.TWINHUB_CLUSTER_ROUNDS ?? 5);
const skip = process.getuid() !== 0 && 'network namespaces take root';
const program = path.join(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), 'run');

// {code, text}
const run = (...args) => runOn(1, ...args);

function runOn(nodes, ...args) {
	if (!hasPostgres) throw new Error('postgresql-15 is not installed: scripts/setup --test');
	return new Promise((resolve) => {
		const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, TWINHUB_TEST_NODES: String(nodes) } });
		let text = '', errors = '';
		child.stdout.setEncoding('utf8').on('data', (piece) => { text += piece; });
		child.stderr.setEncoding('utf8').on('data', (piece) => { errors += piece; });
		child.on('close', (code) => resolve({ code, text, all: text + errors }));
	});
}

test(`O-191 O-192 O-195 ${ROUNDS} attacks on hub, PostgreSQL and network: nothing acknowledged is lost`, { skip, timeout: 60_000 + ROUNDS * 120_000 }, async (t) => {
	const { code, text, all } = await run('--rounds', String(ROUNDS), '--longest', ROUNDS > 5 ? '10' : '4');
	for (const line of text.trimEnd().split('\n')) t.diagnostic(line);
	assert.equal(code, 0, all);
	assert.match(text, new RegExp(`^all: \\d+ of ${ROUNDS} rounds count`, 'm'));
});

const one = !spawnSync(BINARY, ['serve', '--help'], { encoding: 'utf8' }).stdout.includes('--mesh') && 'one node serves a hub: serve has no --mesh';

test(`O-191 O-192 O-195 ${ROUNDS} attacks on three nodes, PostgreSQL and network: nothing acknowledged is lost`, { skip: skip || one, timeout: 120_000 + ROUNDS * 240_000 }, async (t) => {
	const { code, text, all } = await runOn(3, '--rounds', String(ROUNDS), '--longest', ROUNDS > 5 ? '10' : '4');
	for (const line of text.trimEnd().split('\n')) t.diagnostic(line);
	assert.equal(code, 0, all);
	assert.match(text, new RegExp(`^all: \\d+ of ${ROUNDS} rounds count`, 'm'));
});

const long = ROUNDS <= 5 && 'of ./check --long';

test('O-191 O-192 O-195 eight attacks on machines that Patroni and etcd keep', { skip: skip || long, timeout: 900_000 }, async (t) => {
	if (!hasPatroni) throw new Error('patroni, etcd-server or python3-etcd are not installed: scripts/setup --long');
	const { code, text, all } = await run('--patroni', '--rounds', '8');
	for (const line of text.trimEnd().split('\n')) t.diagnostic(line);
	assert.equal(code, 0, all);
});

const PLANTED = {
	async: ['the standby is not synchronous, and the hub does not live to notice', /WRONG: writes: \w+ \d+ of device\d \(called \w+\) was acknowledged and is not there/],
	noticed: ['the standby is not synchronous, and the hub notices', /WRONG: .*hub1 has ended by itself with 76/],
	forget: ['events are lost', /WRONG: log: \d+-\d+ comes behind/],
	undead: ['a hub answers whose lease is over', /WRONG: order: read \d+ of device\d \(called attack\) is of version \d+, but \w+ \d+ of version \d+ had been answered/],
	deaf: ['clients take silence for an acknowledgement', /WRONG: writes: \w+ \d+ of device\d .* was acknowledged and/],
};

for (const [kind, [what, says]] of Object.entries(PLANTED))
	test(`O-191 it is found that ${what}`, { skip: skip || (kind !== 'async' && long), timeout: 300_000 }, async () => {
		const { code, text, all } = await run('--rounds', '3', '--longest', '8', '--plant', kind);
		assert.equal(code, 1, all);
		assert.match(text, says);
	});
