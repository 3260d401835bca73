// What is done to machines where several nodes serve one hub; beside that of nemesis.mjs. `another` is the machine that is spare.
import { until } from '../lib/wait.mjs';
import { sleep } from './client.mjs';
import { begin, killAndBegin, one, span } from './nemesis.mjs';

const DEAD_MS = 8000; // for longer than that others wait for no node
const MOVED_MS = 120_000; // until shards have moved: a node that is new gets some after 30 s, one at a time

const serving = ({ nodes }) => nodes.filter((node) => node.serving);
// Two that serve, by chance.
function two(w) {
	const first = one(w), rest = serving(w).filter((node) => node !== first);
	return [first, rest[Math.floor(w.random() * rest.length)]];
}

// How many shards a node has, by the database; nothing if that cannot be asked.
const shardsOf = ({ database }, node) => database.primary.sql(`SELECT count(*) FROM shard WHERE node = '${node.name}'`).then(Number, () => null);
const given = (w, node) => until(async () => await shardsOf(w, node) === 0, `others have what ${node.name} had`, { ms: MOVED_MS, pauseMs: 200 });

async function join(w) {
	const node = w.nodes.find((n) => n.idle);
	node.forget();
	node.start();
	await until(() => node.serving, `${node.name} serves`, { ms: 60_000 });
	return node;
}

async function leave(w, node) {
	await node.stop();
	await given(w, node);
}

export const SEVERAL = {
	'node to node cut': async (w) => {
		const [a, b] = two(w);
		await w.network.drop(a.name, b.name);
		await sleep(span(w));
	},
	'two nodes cut': async (w) => {
		const [a, b] = two(w);
		await w.network.cut(a.name, b.name);
		await sleep(span(w));
	},
	'node cut from all others': async (w) => {
		const node = one(w);
		for (const other of w.nodes) if (other !== node) await w.network.cut(node.name, other.name);
		await sleep(span(w));
	},
	'node cut from all others and the primary': async (w) => {
		const node = one(w);
		for (const other of [...w.nodes, w.database.primary]) if (other !== node) await w.network.cut(node.name, other.name);
		await sleep(span(w));
	},
	'hub killed, others have its shards': async (w) => {
		const node = one(w);
		await node.kill();
		await given(w, node);
		begin(node);
	},
	'hub killed twice': async (w) => {
		const node = one(w);
		await killAndBegin(node, w);
		await sleep(w.random() * 2000);
		await killAndBegin(node, w);
	},
	'hub stopped until it is dead, it wakes': async (w) => {
		const node = one(w);
		await node.signal('SIGSTOP');
		await sleep(DEAD_MS + w.random() * 4000);
		await node.signal('SIGCONT');
	},
	'two hubs killed': (w) => Promise.all(two(w).map((node) => killAndBegin(node, w))),
	'two hubs stopped': async (w) => {
		const both = two(w);
		for (const node of both) await node.signal('SIGSTOP');
		await sleep(span(w));
		for (const node of both) await node.signal('SIGCONT');
	},
	'all hubs killed': (w) => Promise.all(serving(w).map((node) => killAndBegin(node, w))),
	'hub drained': async (w) => {
		const node = one(w);
		await node.stop();
		await sleep(w.random() * 3000);
		begin(node);
	},
	'hub drained, another one killed': async (w) => {
		const [a, b] = two(w);
		await Promise.all([a.stop(), sleep(w.random() * 1000).then(() => killAndBegin(b, w))]);
		begin(a);
	},
	'hub drained, standby promoted': async (w) => {
		const node = one(w);
		await Promise.all([node.stop(), sleep(w.random() * 1000).then(() => w.database.promote())]);
		begin(node);
	},
	'hub and primary killed, standby promoted, the hub stays away': async (w) => {
		const node = one(w);
		await Promise.all([node.kill(), w.database.primary.kill()]);
		await w.database.promote();
		await given(w, node);
		begin(node);
	},
	'another joins, and leaves': async (w) => {
		const node = await join(w);
		await until(async () => await shardsOf(w, node) > 0, `${node.name} has shards`, { ms: MOVED_MS, pauseMs: 200 });
		await sleep(w.random() * 3000);
		await leave(w, node);
	},
	'another joins as a hub is drained': async (w) => {
		const former = one(w);
		const [next] = await Promise.all([join(w), former.stop()]);
		await given(w, former);
		begin(former);
		await until(() => former.serving, `${former.name} serves again`, { ms: 60_000 });
		await leave(w, next);
	},
	'another joins as a hub is killed': async (w) => {
		const former = one(w);
		const [next] = await Promise.all([join(w), sleep(w.random() * 2000).then(() => former.kill())]);
		await given(w, former);
		begin(former);
		await until(() => former.serving, `${former.name} serves again`, { ms: 60_000 });
		await leave(w, next);
	},
};

// More of what may come first of two at once.
export const FIRST_OF_SEVERAL = ['node to node cut', 'two nodes cut', 'node cut from all others', 'hub stopped until it is dead, it wakes', 'two hubs killed', 'hub drained'];
