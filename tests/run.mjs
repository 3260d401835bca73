// Runs test files (node:test), each in a process of its own with a time limit, and sums up.
//
//   node tests/run.mjs [--jobs N] [--timeout SECONDS] [--linger SECONDS] [--summary FILE] FILE|FOLDER...
//
// A file that is alive for --linger seconds (60) after its last test has left a client or server open, and has failed: some of the SDKs' keep
// a process for minutes. (What was waited for and forgotten lasts WAIT_MS.)
//
// Each file gets a data directory whose hub has been started once, so that its CA exists, and Node is told to
// trust that CA (NODE_EXTRA_CA_CERTS is read only when a process starts, and the service SDK knows no other
// way). The first startHub() of the file takes that directory. Last line: "N passed, N failed".
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { onPostgres, startHub, freeAddress, tempDir, REPOSITORY } from './lib/hub.mjs';

const SLOW = Number(process.env.TWINHUB_TEST_SLOW ?? 1);
const KEEP = 200_000; // characters of a file's output kept

function options(argv) {
	const o = { jobs: Math.min(os.availableParallelism?.() ?? os.cpus().length, 4), timeout: 400 * SLOW, linger: 60 * SLOW, summary: null, paths: [] };
	for (let i = 0; i < argv.length; i++) {
		if (argv[i] === '--jobs') o.jobs = Number(argv[++i]);
		else if (argv[i] === '--timeout') o.timeout = Number(argv[++i]);
		else if (argv[i] === '--linger') o.linger = Number(argv[++i]);
		else if (argv[i] === '--summary') o.summary = argv[++i];
		else o.paths.push(argv[i]);
	}
	return o;
}

function testFiles(paths) {
	return paths.flatMap((p) => {
		if (!fs.statSync(p).isDirectory()) return [path.resolve(p)];
		return fs.readdirSync(p).filter((name) => name.endsWith('.test.mjs')).sort().map((name) => path.resolve(p, name));
	});
}

// What is set for other programs' sake and would change these: colours, proxies that the SDKs would ask for the hub, the mark
// of a test runner that runs this one, and which hub somebody uses or how he wants it (the start page has TWINHUB_DATA exported).
function environment() {
	const foreign = /^(FORCE_COLOR|CLICOLOR_FORCE|NODE_TEST_CONTEXT|(https?|all)_proxy|HTTPS?_PROXY|ALL_PROXY|COLUMNS)$/;
	const ours = /^TWINHUB_(?!TEST_|SIM_|CRASH_|CLUSTER_|HOLD_|BIN$|LONG$|SEED$|PACKAGES$|CLOCK)/;
	return Object.fromEntries(Object.entries(process.env).filter(([name]) => !foreign.test(name) && !ours.test(name)));
}

// A data directory with its CA, on an address of its own.
async function primedHub() {
	const dir = path.join(tempDir('run'), 'data');
	const hub = await startHub({ addr: await freeAddress(), dir });
	await hub.stop();
	return hub;
}

// A file that begins with "// of the store alone" has nothing to say of a hub whose data is in PostgreSQL.
function isOfTheStore(file) {
	return fs.readFileSync(file, 'utf8').startsWith('// of the store alone');
}

// Runs one file; {passed, failed, skipped, output}.
async function runFile(file, { timeout: timeoutSeconds, linger }) {
	const hub = await primedHub();
	// Not --test-force-exit, which Debian's Node 18 has not: a client that is left open shows on every Node, as a file that does not end.
	const child = spawn(process.execPath, ['--test-reporter=spec', file], {
		detached: true, // a group of its own: its hubs end with it
		stdio: ['ignore', 'pipe', 'pipe'],
		env: { ...environment(), NO_COLOR: '1', NODE_EXTRA_CA_CERTS: hub.ca, TWINHUB_TEST_DIR: hub.dir, TWINHUB_TEST_ADDR: hub.addr },
	});
	let output = '', late = false, lastTest = Date.now();
	const keep = (text) => {
		output = (output + text).slice(-KEEP);
		if (/^\s*[✔✖﹣] /mu.test(text.split('ℹ tests ')[0])) lastTest = Date.now(); // behind it stands the summary
	};
	child.stdout.setEncoding('utf8').on('data', keep);
	child.stderr.setEncoding('utf8').on('data', keep);
	const timer = setTimeout(() => { late = true; process.kill(-child.pid, 'SIGKILL'); }, timeoutSeconds * 1000);
	const code = await new Promise((resolve) => child.on('close', resolve));
	clearTimeout(timer);
	const stayed = (Date.now() - lastTest) / 1000;
	const result = { ...counts(output), output };
	if (late) result.output += `\nstopped: the file had not ended after ${timeoutSeconds} s\n`;
	else if (stayed > linger) result.output += `\nthe file was alive for ${stayed.toFixed(0)} s after its last test: something is left open\n`;
	if (result.failed === 0 && (code !== 0 || late || stayed > linger)) result.failed = 1;
	fs.rmSync(path.dirname(hub.dir), { recursive: true, force: true });
	return result;
}

// The spec reporter's summary: "ℹ pass 12".
function counts(text) {
	const count = (name) => Number(new RegExp(`^\\S ${name} (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
	return { passed: count('pass'), failed: count('fail') + count('cancelled'), skipped: count('skipped') };
}

async function main() {
	const o = options(process.argv.slice(2));
	const files = testFiles(o.paths).filter((file) => !onPostgres || !isOfTheStore(file));
	const total = { passed: 0, failed: 0, skipped: 0 };
	const started = Date.now();
	const worker = async () => {
		for (let file; (file = files.shift());) {
			const begun = Date.now();
			const r = await runFile(file, o).catch((error) => ({ passed: 0, failed: 1, skipped: 0, output: error.stack }));
			for (const name of Object.keys(total)) total[name] += r[name];
			const line = `${path.relative(REPOSITORY, file)}: ${r.passed} passed, ${r.failed} failed (${((Date.now() - begun) / 1000).toFixed(1)} s)`;
			console.log(r.failed > 0 || process.env.TWINHUB_TEST_VERBOSE ? `${r.output}\n${line}` : line);
		}
	};
	await Promise.all(Array.from({ length: Math.max(1, o.jobs) }, worker));
	if (o.summary) fs.writeFileSync(o.summary, JSON.stringify(total));
	console.log(`${((Date.now() - started) / 1000).toFixed(0)} s${total.skipped ? `, ${total.skipped} skipped` : ''}`);
	console.log(`${total.passed} passed, ${total.failed} failed`);
	process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0;
}

await main();
