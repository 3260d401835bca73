// Makes formatN.tar.xz: the data directories of a program of stored format N. Once as it was stopped, once as it was killed, and what it
// showed of them. Of format 1 (4356375: before files had checksums and the store its LENGTHS), of 2 (e086e30: before rows of the log had
// many records) and of 3 (50690ce: before shards had epochs):
//
//   git worktree add /tmp/former 4356375 && (cd /tmp/former && cmake --preset release && ninja -C build/release twinhub)
//   unshare --uts sh -c 'hostname former && node tests/crash/former/make.mjs /tmp/former/build/release/bin/twinhub 1'
//
// (the machine's name goes into certificates).
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { Hub, freeAddress, tempDir, until } from '../../lib/hub.mjs';
import { fill, show } from './fleet.mjs';

const scratch = tempDir('former'), format = Number(process.argv[3]);
process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';

async function make(name, end) {
	const hub = new Hub({ addr: await freeAddress(), dir: path.join(scratch, name), binary: process.argv[2] });
	await hub.start();
	const link = await fill(hub, format);
	link.destroy(); // without DISCONNECT: its will is stored
	await until(async () => (await hub.rest('GET', '/twins/plain')).body.connectionState === 'Disconnected', 'the device has gone');
	if (end === 'stop') await hub.restart(); // then most of it is in tables, else all of it in the log
	const more = await hub.rest('PATCH', '/twins/keys', { body: { tags: { last: name } } });
	if (more.status !== 200) throw new Error(more.text);
	const shown = await show(hub, format);
	await hub[end]();
	fs.writeFileSync(path.join(scratch, `${name}.json`), JSON.stringify({ clock: Math.floor(Date.now() / 1000), shown }, null, '\t'));
}

await make('stopped', 'stop');
await make('killed', 'kill');
execFileSync('tar', ['--owner=0', '--group=0', '-C', scratch, '-caf', path.join(import.meta.dirname ?? path.dirname(process.argv[1]), `format${format}.tar.xz`),
	'stopped', 'killed', 'stopped.json', 'killed.json']);
