// PostgreSQL on two machines: one takes writes, the other has all of them too before they are acknowledged. What a keeper such as Patroni does in its
// default mode is done here by hand: a server that is promoted asks for no standby, until it has one again.
import { execFile, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { until } from '../lib/wait.mjs';
import { Network } from './network.mjs';

const run = promisify(execFile);
const BIN = process.env.TWINHUB_TEST_POSTGRES_BIN ?? '/usr/lib/postgresql/15/bin';
const DISK_MB = 400;
const DAEMON = ['setpriv', '--reuid=postgres', '--regid=postgres', '--clear-groups', '--'];

class Server {
	#child = null;

	constructor(name, address, mount) {
		Object.assign(this, { name, address, mount, dir: path.join(mount, 'data'), log: '' });
	}

	static async on(network, name, number) {
		const mount = `/mnt/${name}`; // of this namespace alone
		fs.mkdirSync(mount, { recursive: true });
		await run('mount', ['-t', 'tmpfs', '-o', `size=${DISK_MB}m,mode=0777`, 'tmpfs', mount]);
		return new Server(name, await network.add(name, number), mount);
	}

	get running() { return this.#child !== null; }

	async program(name, args) {
		const [file, ...rest] = [...Network.inside(this.name), ...DAEMON, path.join(BIN, name), ...args];
		await run(file, rest, { timeout: 120_000 });
	}

	configure(text) { fs.appendFileSync(path.join(this.dir, 'postgresql.conf'), text); }

	begin() {
		fs.rmSync(path.join(this.dir, 'postmaster.pid'), { force: true }); // its process ids are nobody's any more
		const [file, ...args] = [...Network.inside(this.name), ...DAEMON, path.join(BIN, 'postgres'), '-D', this.dir];
		const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] });
		for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => { this.log = (this.log + text).slice(-200_000); });
		this.#child = child;
		this.ended = new Promise((resolve) => child.once('close', resolve)).then(() => { if (this.#child === child) this.#child = null; });
	}

	// All of its processes at once, as the end of a machine.
	async signal(name) {
		if (!this.#child) return;
		const { stdout } = await run('pgrep', ['-P', String(this.#child.pid)]).catch(() => ({ stdout: '' }));
		for (const pid of [this.#child.pid, ...stdout.split('\n').filter(Boolean).map(Number)])
			try { process.kill(pid, name); } catch { /* it has ended */ }
	}

	// It reads its configuration again.
	reload() { this.#child?.kill('SIGHUP'); }

	async kill() {
		await this.signal('SIGKILL');
		await this.ended;
	}

	// A statement's answer; throws when there is none in time.
	async sql(text, database = 'twinhub') {
		const { stdout } = await run('psql', [`postgresql://twinhub@${this.address}/${database}?connect_timeout=3`, '-XAtqc', text], { timeout: 5000 });
		return stdout.trim();
	}

	answers() { return until(() => this.sql('SELECT 1', 'postgres').catch(() => false), `${this.name} answers`, { ms: 60_000, pauseMs: 50 }); }
}

export class Database {
	// synchronous: false is a mistake that is made on purpose.
	static async start(network, { synchronous = true } = {}) {
		const database = new Database();
		database.synchronous = synchronous;
		await run('mount', ['-t', 'tmpfs', 'tmpfs', '/mnt']);
		database.servers = [await Server.on(network, 'db1', 21), await Server.on(network, 'db2', 22)];
		const [first, second] = database.servers;
		await first.program('initdb', ['-D', first.dir, '-A', 'trust', '-U', 'twinhub', '--no-sync', '-E', 'UTF8', '--locale=C']);
		first.configure("listen_addresses='*'\nunix_socket_directories=''\nmax_connections=100\nmax_wal_size=96MB\nmin_wal_size=32MB\nwal_keep_size=32MB\n" +
			"shared_buffers=32MB\nwal_receiver_timeout=3s\nwal_sender_timeout=3s\nwal_retrieve_retry_interval=200ms\nlog_checkpoints=off\n");
		fs.appendFileSync(path.join(first.dir, 'pg_hba.conf'), 'host all all 10.77.0.0/24 trust\nhost replication all 10.77.0.0/24 trust\n');
		first.begin();
		await first.answers();
		await first.sql('CREATE DATABASE twinhub', 'postgres');
		database.primary = first;
		await database.#copy(second);
		database.standbyOf = first;
		return database;
	}

	get standby() { return this.servers.find((s) => s !== this.primary); }
	get url() { return `postgresql://twinhub@${this.servers.map((s) => s.address).join(',')}/twinhub?target_session_attrs=read-write`; }

	// `server` becomes a standby from nothing, and one that commits wait for.
	async #copy(server) {
		const { primary } = this;
		fs.rmSync(server.dir, { recursive: true, force: true });
		await server.program('pg_basebackup', ['-D', server.dir, '-R', '-X', 'stream', '-c', 'fast', '--no-sync', '-d', `postgresql://twinhub@${primary.address}/postgres`]);
		server.configure("synchronous_standby_names=''\n");
		server.begin();
		await this.#joined();
	}

	async #joined() {
		const { primary } = this;
		await until(async () => (await primary.sql("SELECT state FROM pg_stat_replication WHERE application_name = 'walreceiver'").catch(() => '')) === 'streaming',
			'the standby streams', { ms: 60_000, pauseMs: 50 });
		if (!this.synchronous) return;
		primary.configure("synchronous_standby_names='*'\n");
		primary.reload();
		await until(async () => (await primary.sql('SELECT count(*) FROM pg_stat_replication WHERE sync_state = $$sync$$').catch(() => '')) === '1', 'the standby is synchronous', { ms: 60_000, pauseMs: 50 });
	}

	// The standby takes writes from now on.
	async promote() {
		const next = this.standby;
		await next.sql('SELECT pg_promote(true, 30)', 'postgres');
		this.primary = next;
	}

	// Whatever has happened to them: both run, one is the other's standby.
	async mend() {
		const { primary, standby } = this;
		for (const server of this.servers) {
			fs.rmSync(path.join(server.mount, 'ballast'), { force: true });
			await server.signal('SIGCONT');
		}
		if (!primary.running) primary.begin();
		await primary.answers();
		if (this.standbyOf === primary) {
			if (!standby.running) standby.begin();
			return this.#joined();
		}
		await standby.kill();
		await this.#copy(standby);
		this.standbyOf = primary;
	}

	// All but `leaveKB` of the primary's disk is taken.
	async fill(leaveKB = 64) {
		const { mount } = this.primary;
		const { bavail, bsize } = fs.statfsSync(mount);
		await run('fallocate', ['-l', String(bavail * bsize - leaveKB * 1024), path.join(mount, 'ballast')]);
	}
}
