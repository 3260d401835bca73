// All clients together. Each writes into the history what it does and what it is told.
import { randomFrom } from '../crash/fleet.mjs';
import { parseConnectionString, restRequest, sasToken } from '../lib/hub.mjs';
import { within } from '../lib/wait.mjs';
import { Caller, Follower, Pager, Planner, Reader, Setter, Toucher, Visitor, Watcher, Writer } from './backends.mjs';
import { TTL } from './client.mjs';
import { Device } from './devices.mjs';

export class Clients {
	#loops = [];
	#crowd = [];

	// They dial the nodes, and the balancer before them; the first node is asked to make the devices.
	constructor(nodes, balancer, history, { seed, devices = 6, written = 3, quiet = 4, plant, without = [] }) {
		Object.assign(this, { nodes, places: [...nodes.map((node) => node.hub), balancer], history, count: 0, plant, without, random: randomFrom(seed), running: false, size: { devices, written, quiet } });
	}

	async prepare() {
		const [hub] = this.places;
		const { SharedAccessKeyName, SharedAccessKey } = parseConnectionString(await hub.connectionString());
		Object.assign(this, { policy: SharedAccessKeyName, secret: SharedAccessKey, pem: hub.pem });
		this.devices = [];
		for (let i = 0; i < this.size.devices; i++) {
			const device = new Device(this, `device${i}`);
			device.key = (await this.rest(hub, 'PUT', `/devices/${device.name}`, { body: { deviceId: device.name } })).body.authentication.symmetricKey.primaryKey;
			this.devices.push(device);
		}
		this.writers = this.devices.slice(0, this.size.written).flatMap((d) => [1, 2].map((n) => Object.assign(new Writer(this, `writer ${n} of ${d.name}`), { twin: d.name })));
		const quiet = await this.#twins(hub, 'quiet', this.size.quiet);
		this.set = await this.#twins(hub, 'set', this.size.quiet);
		this.visitors = quiet.flatMap((twin) => [new Watcher(this, `watcher of ${twin}`), new Visitor(this, `visitor of ${twin}`)].map((client) => Object.assign(client, { twin })));
		this.setter = new Setter(this, 'setter');
		this.planner = new Planner(this, 'planner');
		this.follower = new Follower(this, 'follower');
		this.all = [...this.devices, ...this.writers, ...this.visitors, new Reader(this, 'reader'), new Pager(this, 'pager'), new Caller(this, 'caller'), new Toucher(this, 'toucher'), this.setter, this.planner].filter((one) => !this.without.includes(one.name));
		this.followed = this.follower.run();
	}

	// Of identities that no device has; a tag says which.
	async #twins(hub, name, n) {
		const ids = Array.from({ length: n }, (_, i) => `${name}${i}`);
		for (const id of ids) {
			await this.rest(hub, 'PUT', `/devices/${id}`, { body: { deviceId: id } });
			await this.rest(hub, 'PATCH', `/twins/${id}`, { body: { tags: { [name]: true } } });
		}
		return ids;
	}

	token(hub) { return sasToken({ resource: hub.addr, key: this.secret, policy: this.policy, ttl: TTL }); }

	rest(hub, method, path, options = {}) {
		return restRequest({ host: hub.addr, port: hub.httpsPort, ca: this.pem, method, path, authorization: this.token(hub), ...options });
	}

	start() {
		this.running = true;
		this.#loops = this.visitors.map((one) => one.run());
		this.stir();
	}

	// The crowd begins, and stops, while the quiet twins are read; `still`: and not written.
	stir() {
		this.busy = true;
		this.#crowd = this.all.filter((one) => !this.visitors.includes(one)).map((one) => one.run());
	}

	// The quiet twins are written at this node from now on.
	visit(node) {
		for (const one of this.visitors.filter((v) => v instanceof Visitor)) one.at = this.nodes.indexOf(node);
		this.still = false;
	}

	async calm() {
		this.busy = false;
		await within(Promise.all(this.#crowd), 'the crowd to stop', 60_000);
	}

	async stop() {
		this.running = false;
		await this.calm();
		await within(Promise.all(this.#loops), 'the clients to stop', 60_000);
	}

	close() { for (const one of [...this.all ?? [], this.follower]) one?.close(); }
}
