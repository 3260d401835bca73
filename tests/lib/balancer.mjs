// A balancer as people put one before several hubs: TCP, TLS passed through, to the one with the fewest connections of those that /readyz says are ready.
//   const balancer = await Balancer.start({ addr, hubs: () => [hub, ...], ca: () => pem }); balancer.ready; balancer.close();
import net from 'node:net';
import { restRequest } from './rest.mjs';

const LOOK_MS = 250;
const DIAL_MS = 1500;
const READY_MS = 10_000;

export class Balancer {
	#servers = [];
	#open = new Map(); // of a hub: its connections
	#ready = new Set();

	// hubs: each with addr and ports; ports: where to listen, and which of a hub's that stands for
	static async start({ addr, ports = [[8883, 'mqttsPort'], [443, 'httpsPort']], hubs, ca }) {
		const balancer = Object.assign(new Balancer(), { addr, hubs, ca }, Object.fromEntries(ports.map(([port, name]) => [name, port])));
		// a node that is up is ready once its links and its lease are there
		for (const end = Date.now() + READY_MS; balancer.ready.length === 0 && Date.now() < end;) {
			await balancer.look();
			await new Promise((later) => setTimeout(later, 20));
		}
		balancer.timer = setInterval(() => { balancer.look(); }, LOOK_MS).unref();
		for (const [port, name] of ports) await balancer.#listen(port, (hub) => hub[name]);
		return balancer;
	}

	get ready() { return this.hubs().filter((hub) => this.#ready.has(hub)); }
	get pem() { return this.ca(); }

	async look() {
		await Promise.all(this.hubs().map(async (hub) => {
			const answer = await restRequest({ host: hub.addr, port: hub.httpsPort, ca: this.ca(), method: 'GET', path: '/readyz', apiVersion: null, timeoutMs: 1000 }).catch(() => null);
			if (answer?.status === 200) this.#ready.add(hub);
			else this.#ready.delete(hub);
		}));
	}

	#listen(port, portOf) {
		const server = net.createServer({ pauseOnConnect: true }, (client) => this.#serve(client, portOf, new Set()));
		this.#servers.push(server);
		return new Promise((resolve, reject) => { server.once('error', reject).listen(port, this.addr, resolve); });
	}

	// One that cannot be reached is passed over.
	#serve(client, portOf, tried) {
		const load = (hub) => this.#open.get(hub)?.size ?? 0;
		const [hub] = this.ready.filter((h) => !tried.has(h)).sort((a, b) => load(a) - load(b));
		client.on('error', () => {});
		if (!hub || client.destroyed) return void client.destroy();
		const server = net.connect({ host: hub.addr, port: portOf(hub) });
		const late = setTimeout(() => server.destroy(new Error('no connection')), DIAL_MS);
		if (!this.#open.has(hub)) this.#open.set(hub, new Set());
		this.#open.get(hub).add(client);
		let there = false;
		server.once('connect', () => {
			there = true;
			clearTimeout(late);
			client.pipe(server).pipe(client);
		}).on('error', () => {}).once('close', () => {
			clearTimeout(late);
			this.#open.get(hub).delete(client);
			if (there) client.destroy();
			else this.#serve(client, portOf, tried.add(hub));
		});
		client.once('close', () => server.destroy());
	}

	close() {
		clearInterval(this.timer);
		for (const server of this.#servers) server.close();
		for (const clients of this.#open.values()) for (const client of clients) client.destroy();
	}
}
