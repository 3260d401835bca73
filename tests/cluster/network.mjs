// Machines that are network namespaces on one bridge. The bridge is in the namespace of who calls, which is that of the clients; all
// of it ends with that namespace (tests/cluster/run).
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import { promisify } from 'node:util';

const run = promisify(execFile);
const PLACE = '/run/netns';

export class Network {
	#addresses = new Map();

	static async make() {
		const network = new Network();
		fs.mkdirSync(PLACE, { recursive: true });
		await run('mount', ['-t', 'tmpfs', 'tmpfs', PLACE]); // names that nobody outside sees
		await run('ip', ['link', 'set', 'lo', 'up']);
		await run('ip', ['link', 'add', 'switch', 'type', 'bridge']);
		await run('ip', ['address', 'add', '10.77.0.1/24', 'dev', 'switch']);
		await run('ip', ['link', 'set', 'switch', 'up']);
		network.#addresses.set('clients', '10.77.0.1');
		return network;
	}

	static address = (number) => `10.77.0.${number}`;

	// A machine; its address.
	async add(name, number) {
		const address = Network.address(number);
		await run('ip', ['netns', 'add', name]);
		await run('ip', ['link', 'add', `to-${name}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name]);
		await run('ip', ['link', 'set', `to-${name}`, 'master', 'switch', 'up']);
		await run('ip', ['-n', name, 'link', 'set', 'lo', 'up']);
		await run('ip', ['-n', name, 'address', 'add', `${address}/24`, 'dev', 'eth0']);
		await run('ip', ['-n', name, 'link', 'set', 'eth0', 'up']);
		this.#addresses.set(name, address);
		return address;
	}

	// One more address of the clients' machine.
	async here(number) {
		const address = Network.address(number);
		await run('ip', ['address', 'add', `${address}/24`, 'dev', 'switch']);
		return address;
	}

	address(name) { return this.#addresses.get(name); }

	// What a command is started with that is to run there. It keeps the process id.
	static inside(name) { return ['nsenter', `--net=${PLACE}/${name}`, '--']; }

	async #tables(name, ...args) {
		const all = ['iptables', '-w', ...args];
		const [file, ...rest] = name === 'clients' ? all : [...Network.inside(name), ...all];
		await run(file, rest);
	}

	// Nothing that `from` sends comes to `to`.
	drop(from, to) { return this.#tables(to, '-A', 'INPUT', '-s', this.address(from), '-j', 'DROP'); }

	async cut(a, b) {
		await this.drop(a, b);
		await this.drop(b, a);
	}

	// The cable of a machine.
	async link(name, state) { await run('ip', ['link', 'set', `to-${name}`, state]); }

	async heal() {
		for (const name of this.#addresses.keys()) {
			await this.#tables(name, '-F', 'INPUT');
			if (name !== 'clients') await this.link(name, 'up');
		}
	}
}
