#!/usr/bin/env node
// twinhub-kit [OPTION of twinhub serve...] -- COMMAND [ARGUMENT...]: a hub for as long as the command runs. azure-iothub trusts a CA only by
// NODE_EXTRA_CA_CERTS, which Node reads when it starts: so the hub has to be there before the program.
'use strict';
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { says, startProgram } = require('./program.js');

const NO_HUB = 125, NO_RIGHT = 126, NO_COMMAND = 127; // as env, timeout and shells have them
const LOG_LINES = 20;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'];

const USAGE = `usage: twinhub-kit [OPTION...] -- COMMAND [ARGUMENT...]

Starts twinhub as a hub for tests, runs the command, ends the hub, and exits as the command did. Options are those of twinhub serve:
  --seed FILE       devices, modules, twins and configurations to begin with
  --log-file FILE   the hub's log; without it the last lines are shown if the hub ends before the command
  --ports any       free ports, for programs that can be told

The command finds in its environment
  IOTHUB_CONNECTION_STRING   of the policy iothubowner, as the service SDKs take it
  NODE_EXTRA_CA_CERTS        the hub's CA, and what was named there before
  TWINHUB_CA                 the hub's CA, a file
  TWINHUB_DATA               the hub's directory, for commands of twinhub
  TWINHUB_KIT                all of it as JSON, for wrappedHub() of this package

The program is TWINHUB_BIN, else twinhub in PATH. Exit code ${NO_HUB}: there was no hub.
`;

const tell = (text) => process.stderr.write(`twinhub-kit: ${text}\n`);

function commandLine(argv) {
	const at = argv.indexOf('--'), own = at < 0 ? argv : argv.slice(0, at);
	if (own.includes('--help') || own.includes('-h')) {
		process.stdout.write(USAGE);
		process.exit(0);
	}
	if (at < 0 || at === argv.length - 1) {
		process.stderr.write(at < 0 && argv.length > 0 ? `twinhub-kit: the command stands behind --\n\n${USAGE}` : USAGE);
		process.exit(2);
	}
	return { options: own, command: argv[at + 1], args: argv.slice(at + 2) };
}

// Node reads one file: what was trusted before is in it, too. It is in the hub's directory, and goes with that, however this program ends.
function trusted({ ca, data }, before) {
	if (!before || !fs.existsSync(before)) return ca;
	const file = path.join(data, 'kit-ca.pem');
	fs.writeFileSync(file, `${fs.readFileSync(before, 'utf8')}\n${fs.readFileSync(ca, 'utf8')}`);
	return file;
}

function environment(ready, ca) {
	const env = { ...process.env, IOTHUB_CONNECTION_STRING: ready.connectionStrings.iothubowner, NODE_EXTRA_CA_CERTS: ca, TWINHUB_CA: ready.ca,
		TWINHUB_DATA: ready.data, TWINHUB_KIT: JSON.stringify(ready) };
	delete env.TWINHUB_CONNECTION_STRING; // of another hub: beside TWINHUB_DATA it would be an error
	for (const name of ['no_proxy', 'NO_PROXY']) // a proxy does not find a loopback address
		env[name] = [process.env[name], ready.address].filter(Boolean).join(',');
	return env;
}

function warnOfPort(ready, options) {
	if (ready.httpsPort === 443 || options.some((o) => /^--(ports|https-port)(=|$)/.test(o))) return;
	tell(`HTTPS is on port ${ready.httpsPort}, as 443 may not be taken here, and service SDKs dial no other. One of these grants it:
  sudo sysctl -w net.ipv4.ip_unprivileged_port_start=443
  sudo setcap cap_net_bind_service=+ep "$(command -v twinhub)"`);
}

// Resolves to { code, signal }, or { code } of a command that cannot be run.
function run(command, args, env) {
	return new Promise((resolve) => {
		const child = spawn(command, args, { stdio: 'inherit', env });
		const pass = (signal) => {
			// Ctrl-C in a terminal has reached the command, which is in this group, already; twice would be an order to hurry.
			if (!((signal === 'SIGINT' || signal === 'SIGQUIT') && process.stdin.isTTY)) child.kill(signal);
		};
		for (const signal of SIGNALS) process.on(signal, pass);
		child.once('error', (error) => {
			tell(`${command} cannot be run: ${error.code === 'ENOENT' ? 'there is no such program' : error.message}`);
			resolve({ code: error.code === 'ENOENT' ? NO_COMMAND : NO_RIGHT });
		});
		child.once('exit', (code, signal) => resolve({ code, signal }));
	});
}

async function main() {
	const { options, command, args } = commandLine(process.argv.slice(2));
	let hub;
	try {
		hub = await startProgram({ args: options });
	} catch (error) {
		tell(error.message);
		process.exit(NO_HUB);
	}
	let lost = false;
	void hub.ended().then((end) => {
		if (hub.stopping) return;
		lost = true;
		tell(`the hub has ended before the command (${says(end)}); its last lines:\n${hub.log.trimEnd().split('\n').slice(-LOG_LINES).join('\n')}`);
	});
	warnOfPort(hub.ready, options);
	const end = await run(command, args, environment(hub.ready, trusted(hub.ready, process.env.NODE_EXTRA_CA_CERTS)));
	await hub.stop();
	if (end.signal) {
		for (const signal of SIGNALS) process.removeAllListeners(signal);
		process.kill(process.pid, end.signal); // whoever waits sees what became of the command
		setTimeout(() => process.exit(128 + os.constants.signals[end.signal]), 1000); // a signal that does not end Node, as SIGPIPE
		return;
	}
	process.exit(end.code === 0 && lost ? NO_HUB : end.code);
}

void main();
