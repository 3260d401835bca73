// The nodes of a test's hub behind its address: each binds an address of its own, and a balancer listens where the hub would.
// TWINHUB_TEST_NODES with TWINHUB_TEST_POSTGRES: how many (tests/with_postgres.mjs --nodes N).
import { Balancer } from './balancer.mjs';

const MESH_PORT = 7443;

export class Nodes {
	#balancer = null;

	// all: hubs that share a database; the first one's directory is the hub's
	constructor(hub, all) { Object.assign(this, { hub, all }); }

	static get wanted() { return process.env.TWINHUB_TEST_POSTGRES ? Number(process.env.TWINHUB_TEST_NODES ?? 1) : 1; }

	// What node n, at one of these addresses, is started with, beside what the test says: all of them know all names.
	static args(n, addresses, hub) {
		const names = hub.args.includes('--hostname') ? [] : [hub.addr, ...addresses];
		return ['--node', `node${n}`, '--mesh', `${addresses[n - 1]}:${MESH_PORT}`, ...names.flatMap((name) => ['--hostname', name])];
	}

	// What one says is the others' failure, too.
	async start() {
		const starts = await Promise.allSettled(this.all.map((node) => node.start()));
		const failed = starts.find((s) => s.status === 'rejected');
		if (failed) {
			await this.kill();
			throw failed.reason;
		}
		this.#balancer = await Balancer.start({ addr: this.hub.addr, ports: [[this.hub.mqttsPort, 'mqttsPort'], [this.hub.httpsPort, 'httpsPort'], [this.hub.mqttPort, 'mqttPort']].filter(([port]) => port),
			hubs: () => this.all, ca: () => this.all[0].pem });
	}

	#close() {
		this.#balancer?.close();
		this.#balancer = null;
	}

	async stop() {
		this.#close();
		const ends = await Promise.allSettled(this.all.map((node) => node.stop()));
		for (const end of ends) if (end.status === 'rejected') throw end.reason;
	}

	async kill() {
		this.#close();
		const [end] = await Promise.all(this.all.map((node) => node.kill()));
		return end;
	}

	// The first one's, when all have ended.
	async ended() {
		const [end] = await Promise.all(this.all.map((node) => node.ended()));
		this.#close();
		return end;
	}

	signal(name) { for (const node of this.all) node.signal(name); }

	get logs() { return this.all.map((node) => node.logs).join(''); }
}
