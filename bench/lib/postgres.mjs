// PostgreSQL 15 from Debian in a directory of its own, on a Unix socket, with the fleet in one table.
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

const BIN = '/usr/lib/postgresql/15/bin';
const SETTINGS = ['listen_addresses=', 'shared_buffers=2GB', 'work_mem=64MB', 'maintenance_work_mem=512MB', 'effective_cache_size=4GB',
	'max_wal_size=4GB'];

// It refuses to run as root: then everything is done as the user `postgres`.
function run(command, args, options = {}) {
	const asRoot = process.getuid() === 0;
	const file = asRoot ? 'runuser' : command;
	const argv = asRoot ? ['-u', 'postgres', '--', command, ...args] : args;
	const done = spawnSync(file, argv, { encoding: 'utf8', maxBuffer: 1 << 30, ...options });
	if (done.error) throw done.error;
	if (done.status !== 0) throw new Error(`${path.basename(command)}: ${done.stderr || done.stdout}`);
	return done.stdout;
}

function install() {
	if (fs.existsSync(path.join(BIN, 'initdb'))) return;
	execFileSync('apt-get', ['install', '-y', '--no-install-recommends', 'postgresql-15'], { stdio: 'inherit' });
}

// durable: every commit is synced, as the hub's are; else nothing is.
export function startPostgres(dir, { durable = false } = {}) {
	install();
	const data = path.join(dir, 'postgres');
	fs.mkdirSync(data, { mode: 0o700 });
	fs.chmodSync(dir, 0o755);
	if (process.getuid() === 0) execFileSync('chown', ['postgres:', data]);
	run(path.join(BIN, 'initdb'), ['-D', data, '-A', 'trust', '-E', 'UTF8', '--locale=C.UTF-8']);
	run(path.join(BIN, 'pg_ctl'), ['-D', data, '-w', '-l', path.join(data, 'log'), '-o',
		[...SETTINGS, `fsync=${durable ? 'on' : 'off'}`, `unix_socket_directories=${data}`].map((s) => `-c ${s}`).join(' '), 'start']);
	const psql = (text) => run(path.join(BIN, 'psql'), ['-X', '-q', '-h', data, '-v', 'ON_ERROR_STOP=1', '-d', 'postgres', '-f', '-'], { input: text });
	return {
		dir: data, // its own
		psql,
		version: run(path.join(BIN, 'postgres'), ['--version']).trim(),
		// One JSON object a line. Milliseconds of the rows going in, with a key; the other index comes afterwards.
		load(file) {
			fs.chmodSync(file, 0o644);
			psql("CREATE TABLE twins (id text GENERATED ALWAYS AS (doc->>'deviceId') STORED PRIMARY KEY, doc jsonb)");
			const [ms] = this.time(`COPY twins (doc) FROM '${file}' WITH (FORMAT csv, QUOTE E'\\x01', DELIMITER E'\\x02')`, 1);
			psql('CREATE INDEX twins_doc ON twins USING gin (doc jsonb_path_ops); VACUUM ANALYZE twins');
			return ms;
		},
		// Milliseconds of each of `rounds` runs, in one session.
		time(query, rounds) {
			const text = psql(`\\o /dev/null\n\\timing on\n${`${query};\n`.repeat(rounds)}`);
			return [...text.matchAll(/^Time: ([\d.]+) ms/gm)].map((m) => Number(m[1]));
		},
		stop: () => run(path.join(BIN, 'pg_ctl'), ['-D', data, '-m', 'immediate', 'stop']),
	};
}
