// Facts of the machine a benchmark ran on; without them its figures mean nothing.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { performance } from 'node:perf_hooks';

const FSYNC_WRITES = 1000;
const FSYNC_BYTES = 4096;

function output(command, ...args) {
	try {
		return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
	} catch {
		return 'unknown';
	}
}

// Milliseconds of one fdatasync after an append, in the directory whose speed matters.
export function measureFsync(dir) {
	const file = path.join(dir, 'fsync-probe');
	const fd = fs.openSync(file, 'w');
	const block = Buffer.alloc(FSYNC_BYTES, 'x');
	const times = [];
	for (let i = 0; i < FSYNC_WRITES; i++) {
		fs.writeSync(fd, block);
		const begin = performance.now();
		fs.fdatasyncSync(fd);
		times.push(performance.now() - begin);
	}
	fs.closeSync(fd);
	fs.rmSync(file);
	times.sort((a, b) => a - b);
	const at = (share) => Number(times[Math.floor(times.length * share)].toFixed(3));
	return { fsync_p50_ms: at(0.5), fsync_p99_ms: at(0.99) };
}

function cpuModel() {
	const line = fs.readFileSync('/proc/cpuinfo', 'utf8').split('\n').find((l) => l.startsWith('model name'));
	return line ? line.split(':')[1].trim() : os.cpus()[0]?.model ?? 'unknown';
}

// dir: the data directory; repository: where the commit is read.
export function machineFacts(dir, repository) {
	const dirty = output('git', '-C', repository, 'status', '--porcelain', '--untracked-files=no') !== '';
	return {
		cpu: cpuModel(),
		cores: os.availableParallelism(),
		memory_gb: Math.round(os.totalmem() / 2 ** 30),
		kernel: os.release(),
		file_system: output('stat', '-f', '-c', '%T', dir),
		...measureFsync(dir),
		openssl: output('openssl', 'version').split(' ')[1],
		commit: output('git', '-C', repository, 'rev-parse', '--short', 'HEAD') + (dirty ? '+changes' : ''),
		load_before: Number(os.loadavg()[0].toFixed(2)),
		date: new Date().toISOString(),
	};
}
