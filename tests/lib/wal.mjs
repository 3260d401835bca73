// What the hub has written to its write-ahead log, which holds what was acknowledged, byte by byte; on PostgreSQL, to the log of events there.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { databaseOf, onPostgres } from './hub.mjs';

export function walHolds(hub, text) {
	if (onPostgres) return databaseHolds(databaseOf(hub.dir), Buffer.from(text));
	const store = path.join(hub.dir, 'store');
	return fs.readdirSync(store).filter((name) => name.endsWith('.log')).some((name) => fs.readFileSync(path.join(store, name)).includes(text));
}

function databaseHolds(url, bytes) {
	const has = (table) => `SELECT 1 FROM ${table} WHERE position('\\x${bytes.toString('hex')}'::bytea IN body) > 0`;
	const r = spawnSync('psql', [url, '-XAtqc', `SELECT count(*) FROM (${has('log')} UNION ALL ${has('changes')}) x`], { encoding: 'utf8' });
	if (r.status !== 0) throw new Error(r.stderr);
	return Number(r.stdout) > 0;
}

const SYSTEM = ['message-id', 'correlation-id', 'content-type', 'content-encoding'];

// A property of a message as its record has it: 2 (the application's) or 3 (the system's), length, name, length, value.
export function walProperty(name, value) {
	return Buffer.concat([Buffer.from([SYSTEM.includes(name) ? 3 : 2, name.length]), Buffer.from(name), Buffer.from([value.length]), Buffer.from(value)]);
}
