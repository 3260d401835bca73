// The peer: Debian's mosquitto, as fast as it goes. No persistence, no authentication, no log, no
// bound on what is in flight; one plain and one TLS listener.
import { spawn, execFileSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';

const BINARY = ['/usr/sbin/mosquitto', '/usr/local/sbin/mosquitto'].find((file) => fs.existsSync(file));
const READY_MS = 10_000;

export function mosquittoVersion() {
	if (!BINARY) throw new Error('mosquitto is not installed: apt install mosquitto');
	try {
		return /version ([\d.]+)/.exec(execFileSync(BINARY, ['-h'], { encoding: 'utf8', stdio: 'pipe' }))[1];
	} catch (error) { // its --help ends with 3
		return /version ([\d.]+)/.exec(`${error.stdout}`)?.[1] ?? 'unknown';
	}
}

function answers(host, port) {
	return new Promise((resolve) => {
		const socket = net.connect(port, host, () => { socket.destroy(); resolve(true); });
		socket.on('error', () => resolve(false));
	});
}

// {pid, host, port, tlsPort, stop()}
export async function startMosquitto({ dir, host, port, tlsPort, certFile, keyFile }) {
	const file = path.join(dir, 'mosquitto.conf');
	fs.writeFileSync(file, [
		'persistence false', 'allow_anonymous true', 'max_inflight_messages 0', 'max_queued_messages 0',
		'set_tcp_nodelay true', 'log_dest none', ...(process.getuid() === 0 ? ['user root'] : []),
		`listener ${port} ${host}`, `listener ${tlsPort} ${host}`, `certfile ${certFile}`, `keyfile ${keyFile}`, ''].join('\n'));
	const child = spawn(BINARY, ['-c', file], { stdio: 'ignore' });
	process.on('exit', () => child.kill('SIGKILL'));
	for (const end = Date.now() + READY_MS; !(await answers(host, tlsPort));) {
		if (child.exitCode !== null || Date.now() > end) throw new Error(`mosquitto does not start with ${file}`);
		await new Promise((resolve) => setTimeout(resolve, 20));
	}
	return { pid: child.pid, host, port, tlsPort, stop: () => child.kill('SIGTERM') };
}
