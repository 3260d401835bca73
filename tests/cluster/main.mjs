// tests/cluster/run: sets up, attacks in rounds, checks each, and says what there was.
import { setMaxListeners } from 'node:events';
import fs from 'node:fs';
import { randomFrom } from '../crash/fleet.mjs';
import { until } from '../lib/wait.mjs';
import { Checker } from './checker.mjs';
import { Clients, sleep } from './clients.mjs';
import { Database } from './database.mjs';
import { History, OUTCOMES, now } from './history.mjs';
import { ATTACKS, FIRST_OF_PAIR, PLANTED, SECOND_OF_PAIR, pair } from './nemesis.mjs';
import { Network } from './network.mjs';
import { Node } from './node.mjs';
import { PATRONI_ATTACKS, Patroni } from './patroni.mjs';

const AGAIN_MS = 90_000; // until all clients have been acknowledged again, after an attack

function options(argv) {
	const o = { patroni: false, history: '', rounds: 200, seed: Date.now() % 1_000_000_007, only: '', longest: 30, minutes: Infinity, plant: null };
	for (let i = 0; i < argv.length; i++) {
		const name = argv[i].replace(/^--/, '');
		if (name === 'list' || name === 'patroni') o[name] = true;
		else if (name in o && i + 1 < argv.length) o[name] = ['only', 'plant', 'history'].includes(name) ? argv[++i] : Number(argv[++i]);
		else throw new Error(`what is ${argv[i]}? See tests/cluster/run --help`);
	}
	if (o.plant && !PLANTED[o.plant]) throw new Error(`--plant knows ${Object.keys(PLANTED)}`);
	return o;
}

// By name; two names with a "+" between are a pair.
function attackOf(name) {
	const [first, second] = name.split(' + ');
	return second ? pair(first, second) : o.patroni ? PATRONI_ATTACKS[name] : ATTACKS[name];
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
			if (pairs && n % 3 === 2) all.push(`${choose(FIRST_OF_PAIR, random)} + ${choose(SECOND_OF_PAIR, random)}`);
		}
	}
	return all.slice(0, rounds);
}

class Run {
	totals = new Map(); // of an attack: rounds, counted, phases, silence
	found = [];

	constructor(o) {
		Object.assign(this, { o, random: randomFrom(o.seed), history: new History() });
		this.checker = new Checker(this.history);
	}

	async prepare() {
		const { o } = this;
		const network = await Network.make();
		const database = await (o.patroni ? Patroni : Database).start(network, { synchronous: !['async', 'noticed'].includes(o.plant) });
		const nodes = [];
		for (let n = 1; n <= Number(process.env.TWINHUB_TEST_NODES ?? 1); n++) nodes.push(await Node.make(network, n, database));
		for (const node of nodes) await node.start();
		nodes.push(await Node.make(network, nodes.length + 1, database)); // a spare one
		this.world = { network, database, nodes, random: this.random, longest: o.longest * 1000 };
		this.clients = this.world.clients = new Clients(nodes, this.history, { seed: o.seed, plant: o.plant });
		await this.clients.prepare();
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
		const changes = () => [...history.open].filter((o) => o.kind !== 'read').length;
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
			for (const code of ends.splice(0)) throw new Error(`${name} has ended by itself with ${code}: ${hub.logs.trimEnd().split('\n').slice(-3).join(' | ')}`);
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
		const answer = await clients.rest(hub, 'GET', `/events?follow=false&from=${checker.position ?? 'earliest'}`);
		if (answer.status !== 200) throw new Error(`GET /events: ${answer.status} ${answer.text}`);
		for (const line of answer.text.trimEnd().split('\n')) checker.take(line);
		this.keep(first, answer.text);
		for (const [job, state] of states) this.#job(job, state);
		await this.#told();
		checker.check(first, this.versions);
		this.found.push(...checker.found.splice(0));
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
			`${this.history.operations.filter((o) => o.kind === 'read' && o.outcome === 'ok').length} reads`);
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
const names = o.plant ? [`planted: ${o.plant}`] : Object.keys(o.patroni ? PATRONI_ATTACKS : ATTACKS).filter((name) => name.includes(o.only));
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
