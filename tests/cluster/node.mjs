// A hub node on a machine of its own, kept running as a service manager does: one that ends unasked is started again, and that is written down.
import fs from 'node:fs';
import path from 'node:path';
import { BINARY, Hub, tempDir } from '../lib/hub.mjs';
import { sleep } from './client.mjs';
import { Network } from './network.mjs';
import { within } from '../lib/wait.mjs';

const MESH_PORT = 7443;
const SETTLE_MS = 3000; // until a node that has joined is given shards, in place of 30 s
const AGAIN_MS = 500;
const GONE_MS = 20_000;

export class Node {
	ends = []; // unasked: codes
	serving = false;
	idle = true; // never begun, or stopped in order
	#asked = false;

	// names: of the hub besides, those of the other nodes and of a balancer: who may come with a token for one may do so at each
	static async make(network, number, database, { names, several }) {
		const node = new Node();
		node.name = `hub${number}`;
		const address = await network.add(node.name, 10 + number);
		const dir = tempDir(node.name), binary = path.join(dir, 'twinhub');
		fs.writeFileSync(binary, `#!/bin/sh\nexec ${Network.inside(node.name).join(' ')} env TWINHUB_TEST_SETTLE_MS=${SETTLE_MS} ${BINARY} "$@"\n`, { mode: 0o755 });
		node.hub = new Hub({ addr: address, dir: path.join(dir, 'data'), args: ['--cluster', database.url, '--node', node.name, '--hostname', address, ...names.filter((name) => name !== address).flatMap((name) => ['--hostname', name]), ...(several ? ['--mesh', `${address}:${MESH_PORT}`] : [])], binary });
		node.several = several;
		return node;
	}

	// Until it serves; a database that is away is tried again and again.
	async start() {
		this.#asked = this.idle = false;
		for (;;)
			try {
				await this.hub.start();
				break;
			} catch (error) {
				this.why = error;
				if (this.#asked) return;
				if (error.exitCode === 75 || error.exitCode === 76) this.ends.push(error.exitCode);
				if (error.exitCode === 76) return;
				await sleep(AGAIN_MS);
			}
		this.serving = true;
		this.exit = this.hub.ended();
		this.exit.then(async ({ code, signal }) => {
			this.serving = false;
			if (this.#asked) return;
			this.ends.push(code ?? signal);
			if (code === 76) return; // for a human
			await sleep(AGAIN_MS);
			await this.start();
		});
	}

	// Another one takes its place: from now on its end is no surprise, whenever it hears of that.
	replaced() { this.#asked = true; }

	// Another one has its shards: it ends by itself, and says so.
	async deposed() {
		const { code } = await within(this.exit, `${this.name}, which was replaced, ends`, GONE_MS);
		if (code !== 75) throw new Error(`${this.name} was replaced and has ended with ${code}`);
	}

	// A new machine: an empty directory.
	forget() { fs.rmSync(this.hub.dir, { recursive: true, force: true }); }

	async signal(name) { this.hub.signal(name); }

	// In order: what it has goes to others, if there are any.
	async stop() {
		this.#asked = true;
		await this.hub.stop();
		this.idle = true;
	}

	async kill() {
		this.#asked = true;
		await this.hub.kill();
	}
}
