// PostgreSQL for hubs: a primary, and a synchronous standby if wanted, each on a loopback address of its own, every commit synced.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { cpuOfFamily } from './cpu.mjs';
import { pause } from './hub.mjs';

const BIN = process.env.TWINHUB_TEST_POSTGRES_BIN ?? '/usr/lib/postgresql/15/bin';
const PORT = 25432;
const USER = 'twinhub';
const SETTINGS = { port: PORT, unix_socket_directories: "''", max_connections: 100, shared_buffers: '256MB', max_wal_size: '4GB', wal_keep_size: '64MB' };
const AS = process.getuid() === 0 ? ['setpriv', '--reuid=postgres', '--regid=postgres', '--clear-groups', '--'] : []; // it refuses to run as root

class Server {
	#child;

	constructor(dir, address) { Object.assign(this, { dir, address }); }

	static make(parent, name, address) {
		const dir = path.join(parent, name);
		fs.mkdirSync(dir, { mode: 0o700 });
		if (AS.length > 0) execFileSync('chown', ['postgres:', dir]);
		return new Server(dir, address);
	}

	run(program, ...args) {
		const [file, ...all] = [...AS, path.join(BIN, program), ...args];
		const r = spawnSync(file, all, { encoding: 'utf8', timeout: 120_000 });
		if (r.status !== 0) throw new Error(`${program}: ${r.stdout}${r.stderr}${r.error ?? ''}`);
	}

	configure(settings) { fs.appendFileSync(path.join(this.dir, 'postgresql.conf'), Object.entries(settings).map(([name, value]) => `${name}=${value}\n`).join('')); }

	async begin() {
		const [file, ...args] = [...AS, path.join(BIN, 'postgres'), '-D', this.dir, '-c', `listen_addresses=${this.address}`];
		this.#child = spawn(file, args, { stdio: ['ignore', 'ignore', fs.openSync(path.join(this.dir, 'log'), 'a')] });
		process.on('exit', () => this.stop());
		for (const end = Date.now() + 60_000; ;) {
			if (spawnSync('psql', [this.url('postgres'), '-XAtqc', 'SELECT 1']).status === 0) return;
			if (Date.now() > end || this.#child.exitCode !== null) throw new Error(`PostgreSQL does not start: ${fs.readFileSync(path.join(this.dir, 'log'), 'utf8').slice(-2000)}`);
			await pause(100);
		}
	}

	url(database) { return `postgresql://${USER}@${this.address}:${PORT}/${database}`; }

	sql(text, database = 'postgres') { return execFileSync('psql', [this.url(database), '-XAtqc', text], { encoding: 'utf8', maxBuffer: 1 << 28 }).trim(); }

	get cpu() { return cpuOfFamily(this.#child.pid); }

	stop() { this.#child?.kill('SIGQUIT'); }
}

export class Servers {
	static version() { return execFileSync(path.join(BIN, 'postgres'), ['--version'], { encoding: 'utf8' }).trim(); }
	static get there() { return fs.existsSync(path.join(BIN, 'postgres')); }

	// addresses: of the primary and, if there is to be one, the standby; dir: where their folders go
	static async start(dir, name, addresses) {
		const servers = new Servers();
		const primary = servers.primary = Server.make(dir, `${name}-primary`, addresses[0]);
		primary.run('initdb', '-D', primary.dir, '-A', 'trust', '-U', USER, '-E', 'UTF8', '--locale=C');
		primary.configure(SETTINGS);
		await primary.begin();
		if (addresses.length > 1) await servers.#follow(dir, name, addresses[1]);
		return servers;
	}

	async #follow(dir, name, address) {
		const { primary } = this;
		const standby = this.standby = Server.make(dir, `${name}-standby`, address);
		standby.run('pg_basebackup', '-D', standby.dir, '-R', '-X', 'stream', '-c', 'fast', '-d', primary.url('postgres'));
		await standby.begin();
		primary.configure({ synchronous_standby_names: "'*'" });
		primary.sql('SELECT pg_reload_conf()');
		while (primary.sql("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") !== '1') await pause(100);
	}

	database(name) {
		this.primary.sql(`CREATE DATABASE ${name}`);
		return this.primary.url(name);
	}

	// Seconds so far.
	get cpu() { return { primary: this.primary.cpu, standby: this.standby?.cpu ?? null }; }
	get wal() { return Number(this.primary.sql("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')")); } // bytes

	stop() {
		this.primary.stop();
		this.standby?.stop();
	}
}
