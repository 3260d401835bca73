// Runs a command with a PostgreSQL server of its own, on which each hub that tests start gets a database (tests/lib/hub.mjs):
//   node tests/with_postgres.mjs node tests/run.mjs tests/sdk
//   node tests/with_postgres.mjs --nodes 3 node tests/run.mjs tests/sdk      each hub is so many nodes behind a balancer
// Ends with the command's exit code.
import { spawn } from 'node:child_process';
import { Postgres, hasPostgres } from './lib/postgres.mjs';

const given = process.argv.slice(2);
const nodes = given[0] === '--nodes' ? given.splice(0, 2)[1] : '1';
const [command, ...args] = given;
if (!command || !hasPostgres) {
	console.error(command ? 'no PostgreSQL server is installed: scripts/setup' : 'usage: with_postgres.mjs [--nodes N] COMMAND [ARGUMENT]...');
	process.exit(2);
}
const server = await Postgres.start();
const child = spawn(command, args, { stdio: 'inherit', env: { ...process.env, TWINHUB_TEST_POSTGRES: server.address, TWINHUB_TEST_NODES: nodes } });
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
child.once('error', (error) => { console.error(`${command}: ${error.message}`); process.exit(127); });
child.once('close', (code, signal) => {
	server.stop();
	process.exit(code ?? 128 + (signal === 'SIGINT' ? 2 : 15));
});
