// A PostgreSQL server of one's own, in a folder that goes with the process: started, crashed, stopped.
//   const server = await Postgres.start(); server.url('hub1'); server.crash(); server.begin(); server.sql('hub1', 'SELECT 1');
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { tempDir } from './hub.mjs';

const BIN = process.env.TWINHUB_TEST_POSTGRES_BIN ?? '/usr/lib/postgresql/15/bin';
const servers = new Set();
process.on('exit', () => {
	for (const server of servers) server.stop();
});

export const hasPostgres = fs.existsSync(`${BIN}/initdb`);

function freePort() {
	return new Promise((resolve, reject) => {
		const probe = net.createServer().once('error', reject).listen(0, '127.0.0.1', () => {
			const { port } = probe.address();
			probe.close(() => resolve(port));
		});
	});
}

export class Postgres {
	// env: of the server, as a clock that is preloaded.
	static async start({ env = {} } = {}) {
		const server = new Postgres();
		server.env = env;
		server.dir = path.join(tempDir('postgres'), 'data');
		server.port = await freePort();
		fs.mkdirSync(server.dir, { mode: 0o700 });
		if (process.getuid() === 0) { // which the server refuses to run as
			spawnSync('chown', ['postgres:', server.dir]);
			fs.chmodSync(path.dirname(server.dir), 0o755);
		}
		server.#run('initdb', ['-D', server.dir, '-A', 'trust', '-U', 'twinhub', '--no-sync']);
		fs.appendFileSync(path.join(server.dir, 'postgresql.conf'),
			`listen_addresses='127.0.0.1'\nport=${server.port}\nunix_socket_directories=''\nmax_connections=200\n`);
		server.begin();
		servers.add(server);
		return server;
	}

	#run(program, args) {
		const as = process.getuid() === 0 ? ['setpriv', '--reuid=postgres', '--regid=postgres', '--clear-groups', '--'] : [];
		const [file, ...all] = [...as, path.join(BIN, program), ...args];
		const r = spawnSync(file, all, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: 120_000, env: { ...process.env, ...this.env } });
		if (r.status !== 0) throw new Error(`${program}: ${r.stdout}${r.stderr}${r.error ?? ''}`);
	}

	begin() { this.#run('pg_ctl', ['-D', this.dir, '-l', path.join(this.dir, 'log'), '-w', '-t', '60', 'start']); }

	// As a crash: no checkpoint, connections cut.
	crash() { this.#run('pg_ctl', ['-D', this.dir, '-m', 'immediate', '-w', 'stop']); }

	stop() {
		servers.delete(this);
		try { this.crash(); } catch { /* it is down already */ }
	}

	get pid() { return Number(fs.readFileSync(path.join(this.dir, 'postmaster.pid'), 'utf8').split('\n')[0]); }
	get address() { return `postgresql://twinhub@127.0.0.1:${this.port}`; }
	url(database) { return `${this.address}/${database}`; }

	sql(database, text) {
		const r = spawnSync('psql', [this.url(database), '-XAtqc', text], { encoding: 'utf8' });
		if (r.status !== 0) throw new Error(`${text}: ${r.stderr}`);
		return r.stdout.trim();
	}
}
