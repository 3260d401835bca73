// The same two servers, kept by Debian's Patroni with etcd, as docs/cluster.md has it: who takes writes is theirs to decide. An attack is on a machine, with
// all that runs there.
import { execFile, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { until } from '../lib/wait.mjs';
import { sleep } from './client.mjs';
import { Network } from './network.mjs';

const run = promisify(execFile);
const BIN = process.env.TWINHUB_TEST_POSTGRES_BIN ?? '/usr/lib/postgresql/15/bin';
const PATRONI = '/usr/bin/patroni', ETCD = '/usr/bin/etcd';
const DAEMON = ['setpriv', '--reuid=postgres', '--regid=postgres', '--clear-groups', '--'];
const JOIN_MS = 60_000;

export const hasPatroni = fs.existsSync(PATRONI) && fs.existsSync(ETCD);

class Machine {
	log = '';

	constructor(name, address, command) { Object.assign(this, { name, address, command }); }

	begin() {
		const [file, ...args] = [...Network.inside(this.name), ...DAEMON, ...this.command];
		const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], cwd: '/mnt' });
		for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => { this.log = (this.log + text).slice(-200_000); });
		this.ended = new Promise((resolve) => child.once('exit', resolve)).then(() => { this.running = false; });
		this.running = true;
	}

	async signal(name) {
		const { stdout } = await run('ip', ['netns', 'pids', this.name]);
		for (const pid of stdout.split('\n').filter(Boolean).map(Number)) try { process.kill(pid, name); } catch { /* it has ended */ }
	}

	async kill() {
		await this.signal('SIGKILL');
		await this.ended;
	}

	async sql(text, database = 'twinhub') {
		const { stdout } = await run('psql', [`postgresql://twinhub@${this.address}/${database}?connect_timeout=2`, '-XAtqc', text], { timeout: 5000 });
		return stdout.trim();
	}

	// What its Patroni says of the cluster; [] if nothing.
	async members() {
		try {
			const answer = await fetch(`http://${this.address}:8008/cluster`, { signal: AbortSignal.timeout(2000) });
			return (await answer.json()).members;
		} catch {
			return [];
		}
	}
}

const settings = (name, address, keeper, dir) => ({
	scope: 'twinhub', name,
	restapi: { listen: `${address}:8008`, connect_address: `${address}:8008` },
	etcd3: { hosts: [`${keeper}:2379`] },
	bootstrap: {
		dcs: { ttl: 10, loop_wait: 1, retry_timeout: 3, synchronous_mode: true, maximum_lag_on_failover: 1048576,
			postgresql: { parameters: { max_connections: 100, max_wal_size: '96MB', min_wal_size: '32MB', wal_keep_size: '32MB', shared_buffers: '32MB', synchronous_commit: 'on' } } },
		initdb: [{ encoding: 'UTF8' }, { locale: 'C' }, 'no-sync'],
		pg_hba: ['local all all trust', 'host all all 10.77.0.0/24 trust', 'host replication all 10.77.0.0/24 trust'],
	},
	postgresql: { listen: `${address}:5432`, connect_address: `${address}:5432`, data_dir: path.join(dir, 'data'), bin_dir: BIN, pgpass: path.join(dir, 'pgpass'),
		authentication: { superuser: { username: 'twinhub' }, replication: { username: 'twinhub' } }, parameters: { unix_socket_directories: dir },
		remove_data_directory_on_diverged_timelines: true, remove_data_directory_on_rewind_failure: true },
});

export class Patroni {
	static async start(network) {
		const p = new Patroni();
		await run('mount', ['-t', 'tmpfs', '-o', 'size=1g,mode=0777', 'tmpfs', '/mnt']);
		const keeper = await network.add('etcd', 23);
		p.etcd = new Machine('etcd', keeper, [ETCD, '--data-dir', '/mnt/etcd', '--listen-client-urls', `http://${keeper}:2379`, '--advertise-client-urls', `http://${keeper}:2379`]);
		p.etcd.begin();
		p.servers = [];
		for (const [i, name] of ['db1', 'db2'].entries()) {
			const address = await network.add(name, 21 + i), dir = `/mnt/${name}`;
			fs.mkdirSync(dir, { mode: 0o700 });
			await run('chown', ['postgres:', dir]);
			fs.writeFileSync(`${dir}.yml`, JSON.stringify(settings(name, address, keeper, dir))); // JSON is YAML
			p.servers.push(new Machine(name, address, [PATRONI, `${dir}.yml`]));
			p.servers[i].begin();
		}
		await p.mend();
		await p.primary.sql('CREATE DATABASE twinhub', 'postgres');
		return p;
	}

	get url() { return `postgresql://twinhub@${this.servers.map((s) => s.address).join(',')}/twinhub?target_session_attrs=read-write`; }
	get standby() { return this.servers.find((s) => s !== this.primary); }

	// Until Patroni has mended it: a leader, and a standby that commits wait for.
	async mend() {
		for (const machine of [this.etcd, ...this.servers])
			if (machine.running) await machine.signal('SIGCONT');
			else machine.begin();
		await until(async () => {
			const members = await this.servers[0].members();
			const leader = members.find((m) => m.role === 'leader' && m.state === 'running');
			if (leader) this.primary = this.servers.find((s) => s.name === leader.name);
			return leader && members.some((m) => m.role === 'sync_standby' && /running|streaming/.test(m.state));
		}, 'Patroni has a leader and a synchronous standby', { ms: JOIN_MS, pauseMs: 200 }).catch((error) => {
			throw new Error(`${error.message}\n${this.servers.map((s) => `--- ${s.name}: ${s.log.slice(-3000)}`).join('\n')}`);
		});
	}

	// Until another one than `former` leads, by what the others say.
	async elected(former) {
		await until(async () => (await Promise.all(this.servers.filter((s) => s !== former).map((s) => s.members()))).flat().some((m) => m.role === 'leader' && m.name !== former.name),
			`another server than ${former.name} leads`, { ms: JOIN_MS, pauseMs: 200 });
	}
}

const leader = ({ database }) => database.primary;

export const PATRONI_ATTACKS = {
	'leader killed': async (w) => {
		const former = leader(w);
		await former.kill();
		await w.database.elected(former);
	},
	'leader stopped': async (w) => {
		const former = leader(w);
		await former.signal('SIGSTOP');
		await w.database.elected(former);
		await former.signal('SIGCONT');
	},
	'leader unplugged': async (w) => {
		const former = leader(w);
		await w.network.link(former.name, 'down');
		await w.database.elected(former);
	},
	'leader cut from etcd and standby, not from the hub': async (w) => {
		const former = leader(w);
		await w.network.cut(former.name, 'etcd');
		await w.network.cut(former.name, w.database.standby.name);
		await w.database.elected(former);
	},
	'switched over': async (w) => {
		const former = leader(w);
		const body = JSON.stringify({ leader: former.name, candidate: w.database.standby.name });
		await fetch(`http://${former.address}:8008/switchover`, { method: 'POST', body, headers: { 'Content-Type': 'application/json' } });
		await w.database.elected(former);
	},
	'etcd stopped': async (w) => {
		await w.database.etcd.signal('SIGSTOP');
		await sleep(8000 + w.random() * 8000);
		await w.database.etcd.signal('SIGCONT');
	},
	'standby killed': async (w) => {
		await w.database.standby.kill();
		await sleep(w.random() * 5000);
	},
	'hub and leader killed': async (w) => {
		const former = leader(w), node = w.nodes[0];
		await Promise.all([former.kill(), node.kill()]);
		node.start();
		await w.database.elected(former);
	},
};
