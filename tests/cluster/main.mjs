// tests/cluster/run: sets up, attacks in rounds, checks each, and says what there was.
import { setMaxListeners } from 'node:events';
import fs from 'node:fs';
import { randomFrom } from '../crash/fleet.mjs';
import { Balancer } from '../lib/balancer.mjs';
import { until } from '../lib/wait.mjs';
import { Checker } from './checker.mjs';
import { sleep } from './client.mjs';
import { Clients } from './clients.mjs';
import { Database } from './database.mjs';
import { History, LOOKS, OUTCOMES, now } from './history.mjs';
import { ATTACKS, FIRST_OF_PAIR, PLANTED, SECOND_OF_PAIR, pair } from './nemesis.mjs';
import { Network } from './network.mjs';
import { Node } from './node.mjs';
import { PATRONI_ATTACKS, Patroni } from './patroni.mjs';
import { FIRST_OF_SEVERAL, SEVERAL } from './several.mjs';

const NODES = Number(process.env.TWINHUB_TEST_NODES ?? 1);
const REPLACED = 75; // exit code
const AGAIN_MS = 90_000; // until all clients have been acknowledged again, after an attack

function options(argv) {
	const o = { patroni: false, history: '', without: '', rounds: 200, seed: Date.now() % 1_000_000_007, only: '', longest: 30, minutes: Infinity, plant: null };
	for (let i = 0; i < argv.length; i++) {
		const name = argv[i].replace(/^--/, '');
		if (name === 'list' || name === 'patroni') o[name] = true;
		else if (name in o && i + 1 < argv.length) o[name] = ['only', 'plant', 'history', 'without'].includes(name) ? argv[++i] : Number(argv[++i]);
		else throw new Error(`what is ${argv[i]}? See tests/cluster/run --help`);
	}
	if (o.plant && !PLANTED[o.plant]) throw new Error(`--plant knows ${Object.keys(PLANTED)}`);
	return o;
}

// Where several nodes serve, others have the shards of one that is gone before a machine could be put in its place.
const alone = (name) => /in its place/.test(name);
const attacks = (patroni) => (patroni ? PATRONI_ATTACKS : NODES > 1 ? { ...Object.fromEntries(Object.entries(ATTACKS).filter(([name]) => !alone(name))), ...SEVERAL } : ATTACKS);

// By name; two names with a "+" between are a pair.
function attackOf(name) {
	const [first, second] = name.split(' + ').map((part) => attacks(o.patroni)[part]);
	return second ? pair(first, second) : first;
}

// Each once, in an order that is chosen, before any comes again; behind each third a pair. The first one leaves operations without an answer for certain.
const FIRST = 'hub killed';
const choose = (list, random) => list[Math.floor(random() * list.length)];
function plan(names, rounds, random, pairs) {
	const all = names.includes(FIRST) && names.length > 1 ? [FIRST] : [];
	while (all.length < rounds) {
		const bag = names.filter((name) => name !== FIRST || all.length !== 1);
		for (let n = 0; bag.length > 0; n++) {
			all.push(...bag.splice(Math.floor(random() * bag.length), 1));
			if (pairs && n % 3 === 2) all.push(`${choose(NODES > 1 ? [...FIRST_OF_PAIR, ...FIRST_OF_SEVERAL] : FIRST_OF_PAIR, random)} + ${choose(SECOND_OF_PAIR, random)}`);
		}
	}
	return all.slice(0, rounds);
}

class Run {
	totals = new Map(); // of an attack: rounds, counted, phases, silence
	found = [];
	replaced = 0; // nodes that were taken for dead and have said so

	constructor(o) {
		Object.assign(this, { o, random: randomFrom(o.seed), history: new History() });
		this.checker = new Checker(this.history);
	}

	async prepare() {
		const { o } = this;
		const network = await Network.make();
		const database = await (o.patroni ? Patroni : Database).start(network, { synchronous: !['async', 'noticed'].includes(o.plant) });
		const nodes = [];
		const door = await network.here(2);
		for (let n = 1; n <= NODES + 1; n++) nodes.push(await Node.make(network, n, database, { names: [...Array.from({ length: NODES + 1 }, (_, i) => Network.address(11 + i)), door], several: NODES > 1 })); // the last one is spare
		for (const node of nodes.slice(0, NODES)) await node.start();
		await this.#audited(database);
		const { pem } = nodes[0].hub; // its directory may go
		this.balancer = await Balancer.start({ addr: door, hubs: () => nodes.map((node) => node.hub), ca: () => pem });
		this.world = { network, database, nodes, random: this.random, longest: o.longest * 1000 };
		this.clients = this.world.clients = new Clients(nodes, this.balancer, this.history, { seed: o.seed, plant: o.plant, without: o.without.split(',') });
		await this.clients.prepare();
	}

	// The database writes down who has a shard, and who commits: what it has in the end is what was committed.
	async #audited({ primary }) {
		await primary.sql(`CREATE TABLE audit (n bigserial, shard int, epoch bigint, pos bigint, node text, generation bigint, who text);
			CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
				INSERT INTO audit (shard, epoch, pos, node, generation, who) VALUES (new.shard, new.epoch, new.pos, new.node, new.generation, CASE WHEN new.pos <> old.pos THEN current_setting('application_name') END);
				RETURN NULL;
			END $$;
			CREATE TRIGGER audit AFTER UPDATE ON shard FOR EACH ROW EXECUTE FUNCTION audit()`);
	}

	// Since it was asked last: {shard, epoch, owner, first, last (numbers in its order), from, to (of commits), commits, others}, a line for each owner and epoch.
	async #audit() {
		const text = await until(() => this.world.database.primary.sql(`WITH gone AS (DELETE FROM audit RETURNING *) SELECT json_agg(t) FROM (
			SELECT shard, epoch, node || '/' || generation AS owner, min(n) AS first, max(n) AS last, min(pos) AS from, max(pos) AS to, count(who) AS commits, count(DISTINCT pos) FILTER (WHERE who IS NOT NULL) AS counted,
				max(who) FILTER (WHERE who <> 'twinhub/' || node || '/' || generation || '/commit') AS stranger
			FROM gone GROUP BY shard, epoch, node, generation ORDER BY shard, first) t`).catch(() => false), 'the audit is read');
		return JSON.parse(text || 'null') ?? [];
	}

	async round(n, name) {
		const { world, history } = this;
		const attack = PLANTED[this.o.plant] ?? attackOf(name);
		const first = history.operations.length;
		await attack.before?.(world);
		history.phase = 'before';
		this.clients.start();
		await this.#acknowledged(1, `the load of round ${n} begins`);
		await sleep(300 + this.random() * 700);
		const changes = () => [...history.open].filter((o) => !LOOKS.has(o.kind)).length;
		await until(changes, 'a change is under way', { pauseMs: 1 });
		history.phase = 'attack';
		const begun = now(), underway = changes();
		await attack(world);
		history.phase = 'after';
		const healed = now();
		await this.#mend();
		await this.#acknowledged(2, `after "${name}" all clients are acknowledged again`);
		const silence = history.silence(begun, now());
		await attack.after?.(world);
		await this.#quiet(first);
		this.#sum(name, first, { underway, silence, healed: now() - healed });
	}

	async #mend() {
		await this.world.network.heal();
		await this.world.database.mend();
	}

	// Each device and each twin's writers have been acknowledged so often from now on. A hub that has ended for good is told at once.
	async #acknowledged(times, what) {
		const from = this.history.operations.length;
		const wanted = [...this.clients.devices.map((d) => ['report', d.name]), ...new Set(this.clients.writers.map((w) => w.twin)).values()].map((x) => (Array.isArray(x) ? x : ['write', x]));
		await until(() => {
			this.#alive();
			const since = this.history.operations.slice(from).filter((o) => o.outcome === 'ok');
			return wanted.every(([kind, twin]) => since.filter((o) => o.kind === kind && o.twin === twin).length >= times);
		}, what, { ms: AGAIN_MS, pauseMs: 50 });
	}

	#alive() {
		for (const { name, ends, hub } of this.world.nodes)
			for (const code of ends.splice(0).filter((c) => !(NODES > 1 && c === REPLACED && ++this.replaced))) throw new Error(`${name} has ended by itself with ${code}: ${hub.logs.trimEnd().split('\n').slice(-3).join(' | ')}`);
	}

	// The load has stopped: jobs come to their end, the log is read, everybody has been told, and it is checked.
	async #quiet(first) {
		const { clients, history, checker } = this;
		await clients.stop();
		this.#alive();
		const { hub } = this.world.nodes.find((node) => node.serving);
		const jobs = history.operations.slice(first).filter((o) => o.kind === 'job');
		const states = new Map();
		for (const job of jobs) {
			states.set(job, await until(async () => {
				const state = await clients.planner.state(job.id);
				return ['none', 'completed', 'failed', 'cancelled'].includes(state) && state;
			}, `job ${job.id} has ended`));
		}
		await until(() => clients.setter.settled(), 'the newest configuration is in all twins', { ms: 60_000, pauseMs: 100 });
		checker.audited(await this.#audit());
		const lines = await this.#log(hub);
		for (const line of lines) checker.take(line);
		this.keep(first, lines.map((line) => `${line}\n`).join(''));
		for (const [job, state] of states) this.#job(job, state);
		await this.#told();
		checker.check(first, this.versions);
		this.found.push(...checker.found.splice(0));
	}

	async #log(hub) {
		const answer = await this.clients.rest(hub, 'GET', `/events?follow=false&from=${this.checker.position ?? 'earliest'}`);
		if (answer.status !== 200) throw new Error(`GET /events: ${answer.status} ${answer.text}`);
		return answer.text.trimEnd().split('\n');
	}

	// For who wants to know more than what is wrong.
	keep(first, events) {
		if (!this.o.history) return;
		fs.appendFileSync(this.o.history, this.history.operations.slice(first).map((o) => `${JSON.stringify(o)}\n`).join('') + events);
	}

	#job(job, state) {
		const devices = this.clients.devices.map((d) => d.name);
		if (state === 'completed') this.checker.job(job.id, devices);
		else if (state !== 'none' || job.outcome === 'ok') this.checker.wrong(`jobs: job ${job.id} (${job.outcome}) is ${state}`);
		if (state !== 'none' && job.outcome === 'refused') this.checker.wrong(`jobs: job ${job.id} was refused and is there`);
	}

	// What was to be shown has come, or will be missed.
	async #told() {
		const { checker, clients } = this;
		this.versions = new Map([...checker.twins].map(([id, all]) => [id, all.at(-1).desired]));
		const told = () => clients.devices.every(({ name, session }) => !session || session.closed || (session.notes.at(-1) ?? session.base) === this.versions.get(name));
		await until(() => told() && checker.followed(), '', { ms: checker.found.length > 0 ? 1000 : 20_000, pauseMs: 100 }).catch(() => {});
	}

	#sum(name, first, { underway, silence, healed }) {
		const counts = this.history.counts(first);
		const counted = underway > 0 && (counts.after?.ok ?? 0) > 0;
		const t = this.totals.get(name) ?? { rounds: 0, counted: 0, silences: [], phases: {} };
		this.totals.set(name, t);
		t.rounds++;
		t.counted += counted;
		t.silences.push(silence);
		for (const [phase, row] of Object.entries(counts))
			for (const outcome of OUTCOMES) (t.phases[phase] ??= {})[outcome] = (t.phases[phase][outcome] ?? 0) + row[outcome];
		this.last = `${underway} under way, ${phases(counts)}; silent for ${seconds(silence)} s, well after ${seconds(healed)} s${counted ? '' : ' DOES NOT COUNT'}`;
	}

	async all(names) {
		const end = now() + this.o.minutes * 60_000;
		for (const [i, name] of plan(names, this.o.rounds, this.random, !this.o.only && !this.o.plant && !this.o.patroni).entries()) {
			try {
				await this.round(i + 1, name);
			} catch (error) {
				this.found.push(`round ${i + 1}, "${name}": ${error.message}`);
			}
			console.log(`${String(i + 1).padStart(3)} ${name}: ${this.last ?? '-'}`);
			if (this.found.length > 0 || now() > end) return;
		}
	}

	print() {
		const sum = {};
		console.log('');
		for (const [name, t] of [...this.totals].sort()) {
			const s = t.silences.sort((a, b) => a - b);
			console.log(`${name}: ${t.counted} of ${t.rounds} rounds count; ${phases(t.phases)}; silent ${seconds(s[s.length >> 1])} s, at most ${seconds(s.at(-1))} s`);
			for (const [phase, row] of Object.entries(t.phases))
				for (const outcome of OUTCOMES) (sum[phase] ??= {})[outcome] = (sum[phase][outcome] ?? 0) + row[outcome];
		}
		const total = (outcome) => Object.values(sum).reduce((all, row) => all + row[outcome], 0);
		const rounds = [...this.totals.values()].reduce((all, t) => [all[0] + t.counted, all[1] + t.rounds], [0, 0]);
		console.log(`all: ${rounds[0]} of ${rounds[1]} rounds count; ${phases(sum)}; ${this.checker.ids.size} events, ${this.history.sessions.length} sessions, ${this.checker.touched.size} jobs, ` +
			`${['read', 'look', 'pages', 'call', 'configure'].map((kind) => `${this.history.operations.filter((o) => o.kind === kind && o.outcome === 'ok').length} ${kind}`).join(', ')}; ` +
			`${this.checker.takings} takings of shards, ${this.replaced} nodes replaced`);
		if (this.totals.has(FIRST) && total('ok') * total('unknown') === 0) this.found.push(`acknowledged ${total('ok')}, unknown ${total('unknown')}: neither may be none`);
		for (const text of this.found) console.log(`WRONG: ${text}`);
		console.log(this.found.length === 0 ? 'nothing is wrong' : `${this.found.length} wrong; --seed ${this.o.seed} is the same choices again`);
	}
}

const seconds = (ms) => (ms / 1000).toFixed(1);
// "before 120/0/0": acknowledged, unknown, refused.
const phases = (table) => Object.entries(table).map(([phase, row]) => `${phase} ${row.ok}/${row.unknown}/${row.refused}`).join(', ');

setMaxListeners(0);
const o = options(process.argv.slice(2));
const names = o.plant ? [`planted: ${o.plant}`] : Object.keys(attacks(o.patroni)).filter((name) => name.includes(o.only));
if (names.length === 0) throw new Error(`no attack has "${o.only}" in its name: --list`);
if (o.list) {
	console.log(names.join('\n'));
	process.exit(0);
}
console.log(`# seed ${o.seed}; of each phase: acknowledged/unknown/refused changes`);
const run = new Run(o);
try {
	await run.prepare();
	await run.all(names);
} catch (error) {
	run.found.push(error.stack);
}
run.print();
if (process.env.TWINHUB_TEST_LOGS) for (const node of run.world?.nodes ?? []) console.log(node.hub.logs);
run.clients?.close();
process.exit(run.found.length === 0 ? 0 : 1);
