// What is done to the machines. Each attack is {name, run(world)}: it returns when the harm has lasted as long as it shall; what is to be put right again by
// a keeper (lines, disks, a standby) is put right behind it, for all (world.mend).
//
//   world: nodes, database, network, random, longest (ms)
import { FakeClock } from '../lib/clock.mjs';
import fs from 'node:fs';
import path from 'node:path';
import { BINARY, tempDir } from '../lib/hub.mjs';
import { until } from '../lib/wait.mjs';
import { sleep } from './client.mjs';

// Half of them short: a lease is over after four seconds, a node is dead after six.
export const span = ({ random, longest }) => Math.min(longest, random() < 0.5 ? 300 + random() * 3000 : 1000 + random() * (longest - 1000));
export const one = ({ nodes, random }) => {
	const serving = nodes.filter((node) => node.serving);
	return serving[Math.floor(random() * serving.length)];
};
const primaryOf = ({ database }) => database.primary;

async function stopped(process, world) {
	await process.signal('SIGSTOP');
	await sleep(span(world));
	await process.signal('SIGCONT');
}

// It serves when it can, which may be when others have been mended.
export const begin = (node) => { node.start(); };

export const killAndBegin = async (node, { random }) => {
	await node.kill();
	await sleep(random() * 1000);
	begin(node);
};

async function terminate({ database, random }) {
	for (let i = 0; i < 20; i++) {
		await database.primary.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'twinhub/%/commit'").catch(() => {});
		await sleep(random() * 150);
	}
}

// Cut off while nothing is under way that it would have to wait for: what it answers, leaves by its lease alone.
async function alone(node, w) {
	w.clients.still = true;
	await w.clients.calm();
	await sleep(500);
	await w.network.cut(node.name, w.database.primary.name);
	w.clients.visit(await replace(node, w));
	await sleep(3000);
}

// A new machine in place of `former`, which cannot say anything to it.
async function replace(former, { nodes }) {
	const next = nodes.find((node) => node !== former && !node.serving);
	former.replaced();
	next.forget();
	next.start();
	await until(() => next.serving, `${next.name} serves in place of ${former.name}`, { ms: 60_000 });
	return next;
}

export const ATTACKS = {
	'hub killed': (w) => killAndBegin(one(w), w),
	'hub stopped': (w) => stopped(one(w), w),
	'hub unplugged': async (w) => {
		await w.network.link(one(w).name, 'down');
		await sleep(span(w));
	},
	'hub to primary cut': async (w) => {
		await w.network.drop(one(w).name, w.database.primary.name);
		await sleep(span(w));
	},
	'primary to hub cut': async (w) => {
		await w.network.drop(w.database.primary.name, one(w).name);
		await sleep(span(w));
	},
	'hub and primary cut': async (w) => {
		await w.network.cut(one(w).name, w.database.primary.name);
		await sleep(span(w));
	},
	'clients to hub cut': async (w) => {
		await w.network.drop('clients', one(w).name);
		await sleep(span(w));
	},
	'hub to clients cut': async (w) => {
		await w.network.drop(one(w).name, 'clients');
		await sleep(span(w));
	},
	'commits terminated': terminate,
	'primary killed, begins again': async (w) => {
		await primaryOf(w).kill();
		await sleep(w.random() * 1500);
		primaryOf(w).begin();
	},
	'primary stopped': (w) => stopped(primaryOf(w), w),
	'primary unplugged': async (w) => {
		await w.network.link(w.database.primary.name, 'down');
		await sleep(span(w));
	},
	'primary full': async (w) => {
		await w.database.fill();
		await sleep(span(w));
	},
	'primary killed, standby promoted': async (w) => {
		await primaryOf(w).kill();
		await sleep(w.random() * 1000);
		await w.database.promote();
	},
	'primary stopped, standby promoted, both go on': async (w) => {
		const former = primaryOf(w);
		await former.signal('SIGSTOP');
		await sleep(w.random() * 1000);
		await w.database.promote();
		await sleep(w.random() * 1000);
		await former.signal('SIGCONT');
		await sleep(span(w));
	},
	'standby promoted while the primary lives': async (w) => {
		await w.database.promote();
		await sleep(span(w));
	},
	'primary cut from all but the hub, standby promoted': async (w) => {
		await w.network.cut(w.database.primary.name, w.database.standby.name);
		await w.database.promote();
		await sleep(span(w));
	},
	'standby stopped': (w) => stopped(w.database.standby, w),
	'standby killed': async (w) => {
		await w.database.standby.kill();
		await sleep(span(w));
	},
	'standby cut from the primary': async (w) => {
		await w.network.cut(w.database.standby.name, w.database.primary.name);
		await sleep(span(w));
	},
	'hub and primary killed, standby promoted': async (w) => {
		const node = one(w);
		await Promise.all([node.kill(), primaryOf(w).kill()]);
		await w.database.promote();
		begin(node);
	},
	'standby stopped, hub killed': async (w) => {
		await w.database.standby.signal('SIGSTOP');
		await sleep(w.random() * 1000);
		const node = one(w);
		await node.kill();
		begin(node); // which takes a commit
		await sleep(span(w));
		await w.database.standby.signal('SIGCONT');
	},
	'hub killed, another in its place': async (w) => {
		const former = one(w);
		await former.kill();
		await replace(former, w);
	},
	'hub stopped, another in its place, it wakes': async (w) => {
		const former = one(w);
		await former.signal('SIGSTOP');
		await replace(former, w);
		await sleep(w.random() * 2000);
		await former.signal('SIGCONT');
		await former.deposed();
	},
	'hub cut from the primary, another in its place': async (w) => {
		const former = one(w);
		await w.network.cut(former.name, w.database.primary.name);
		await replace(former, w);
		await sleep(w.random() * 2000);
		await w.network.heal();
		await former.deposed();
	},
	'hub at rest cut from the primary, another in its place': async (w) => {
		const former = one(w);
		await alone(former, w);
		await w.network.heal();
		await former.deposed();
		w.clients.stir();
	},
	'hub unplugged, another in its place': async (w) => {
		const former = one(w);
		await w.network.link(former.name, 'down');
		await replace(former, w);
		await sleep(w.random() * 2000);
		await w.network.heal();
		await former.deposed();
	},
	'clock of the hub stepped': Object.assign(async (w) => {
		for (const step of ['+1h', '-1h', '+5', '+0']) {
			w.clock.set(step);
			await sleep(span(w) / 3);
		}
	}, {
		// Only a program that was started so has such a clock.
		before: async (w) => {
			const { hub } = w.clocked = one(w);
			w.clock = new FakeClock();
			await w.clocked.kill();
			hub.env = w.clock.env;
			await w.clocked.start();
		},
		after: async (w) => {
			await w.clocked.kill();
			w.clocked.hub.env = {};
			await w.clocked.start();
		},
	}),
};

// Two at once, as long as they do not both move the database: the first is of a hub or of lines.
export const FIRST_OF_PAIR = ['hub killed', 'hub stopped', 'hub unplugged', 'hub to primary cut', 'primary to hub cut', 'clients to hub cut', 'hub to clients cut', 'commits terminated'];
export const SECOND_OF_PAIR = ['primary killed, begins again', 'primary stopped', 'primary full', 'primary killed, standby promoted', 'primary stopped, standby promoted, both go on',
	'standby promoted while the primary lives', 'standby stopped', 'standby killed', 'standby cut from the primary'];

export const pair = (first, second) => async (w) => { await Promise.all([first(w), sleep(w.random() * 1500).then(() => second(w))]); };

// Mistakes that are made on purpose (--plant).
export const PLANTED = { async: loseTheLast, noticed: loseAndNotice, forget: forgetTheLast, undead: Object.assign(outlive, { before: stoppable }), deaf: ATTACKS['hub stopped'] };

// What was acknowledged is not on the standby.
async function loseAndNotice(w) {
	await w.network.cut(w.database.standby.name, w.database.primary.name);
	await sleep(1000);
	await primaryOf(w).kill();
	await w.network.heal();
	await w.database.promote();
}

// And the hub that could notice dies, too.
async function loseTheLast(w) {
	const node = one(w);
	await Promise.all([loseAndNotice(w), sleep(1000).then(() => node.kill())]);
	await node.start();
}

// A hub whose lease never ends, as the clock that it goes by can be stopped.
async function stoppable(w) {
	const node = w.stoppable = one(w);
	await node.kill();
	node.hub.env = { LD_PRELOAD: path.join(path.dirname(BINARY), 'libstop_boot_clock.so'), TWINHUB_CLOCK_STOP: path.join(tempDir('clock'), 'stop') };
	await node.start();
}

// It answers while another one has its shards.
async function outlive(w) {
	const node = w.stoppable;
	fs.writeFileSync(node.hub.env.TWINHUB_CLOCK_STOP, '');
	await alone(node, w);
	await node.kill();
	w.clients.stir();
}

// The last events are gone.
async function forgetTheLast(w) {
	const node = one(w);
	await node.kill();
	await primaryOf(w).sql('DELETE FROM changes c USING (SELECT shard, max(pos) AS pos FROM changes GROUP BY shard) l WHERE c.shard = l.shard AND c.pos = l.pos');
	await node.start();
}
