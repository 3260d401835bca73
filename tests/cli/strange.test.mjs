// Words that are no commands, and servers that are no hubs: nothing passes for done, nothing crashes, nothing goes on for ever.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import tls from 'node:tls';
import { BINARY, makeCertificate, tempDir } from '../lib/hub.mjs';

const dir = tempDir('strange');
const root = makeCertificate({ dir, cn: 'strange CA', ca: true });
const cert = makeCertificate({ dir, cn: 'strange', issuer: root, san: 'DNS:localhost' });
const open = [];
after(() => {
	for (const server of open) {
		server.closeAllConnections?.();
		server.close();
	}
});

test('O-93 what is no command or option is told with what may have been meant', () => {
	const said = (...args) => {
		const r = spawnSync(BINARY, args, { encoding: 'utf8' });
		assert.deepEqual([r.status, r.stdout], [2, ''], args.join(' '));
		return r.stderr;
	};
	const meant = [
		[['devcie', 'list'], "'devcie list'; did you mean 'device list'?"],
		[['device', 'lst'], "'device lst'; did you mean 'device list'?"],
		[['list', 'devices'], "'list devices'; did you mean 'device list'?"],
		[['qurey', 'SELECT'], "'qurey SELECT'; did you mean 'query'?"],
		[['conf', 'list'], "'conf list'; did you mean 'configuration list'?"],
		[['devices'], "'devices'; did you mean 'device'?"],
		[['versoin'], "'versoin'; did you mean 'version'?"],
		[['help', 'polcy'], "'polcy'; did you mean 'policy'?"],
		[['nonsense'], "'nonsense'"],
		[['x'.repeat(5000), 'y'], `'${'x'.repeat(900)}`],
	];
	for (const [args, text] of meant) assert.ok(said(...args).startsWith(`twinhub: there is no command ${text}`), said(...args));
	assert.match(said('device', 'export', 'x'), /^twinhub: there is no command 'device export' \(see twinhub --help\)\nusage:\n {2}twinhub device create ID/);
	assert.match(said('device'), /^usage:\n/);
	assert.match(said('device', 'list', '--tabel'), /has no option '--tabel'; did you mean --table\? \(see/);
	for (const args of [['serve', '--data', '--background'], ['device', 'list', '--data', '--json'], ['device', 'list', '--ca', '--json']])
		assert.match(said(...args), /^twinhub: --(data|ca) needs a value\n$/);
	assert.equal(fs.existsSync('--background'), false);
	assert.match(said('device', 'list', '--zzz'), /has no option '--zzz' \(see/);
});

// One answer, to every request.
let answer;
let port, rawPort;
const listening = (server) => new Promise((resolve) => {
	open.push(server);
	server.listen(0, '127.0.0.1', () => resolve(server.address().port));
});
before(async () => {
	port = await listening(https.createServer({ key: cert.key, cert: cert.chain }, (req, res) => {
		req.resume();
		req.on('end', () => answer(res));
	}));
	rawPort = await listening(tls.createServer({ key: cert.key, cert: cert.chain }, (socket) => {
		socket.on('error', () => {});
		socket.once('data', () => socket.end(answer));
	}));
});

function run(args, at = port) {
	const where = [`--connection-string=HostName=localhost:${at};SharedAccessKeyName=iothubowner;SharedAccessKey=${Buffer.alloc(32).toString('base64')}`, '--ca', root.certFile];
	const child = spawn(BINARY, [...args, ...where, ...(args.includes('--timeout') ? [] : ['--timeout', '2'])], { stdio: ['ignore', 'pipe', 'pipe'] });
	let stdout = '', stderr = '';
	child.stdout.on('data', (text) => { stdout = (stdout + text).slice(-5000); });
	child.stderr.on('data', (text) => { stderr = (stderr + text).slice(-5000); });
	const timer = setTimeout(() => child.kill('SIGKILL'), 15_000 * Number(process.env.TWINHUB_TEST_SLOW ?? 1));
	return new Promise((resolve) => child.on('close', (code, signal) => {
		clearTimeout(timer);
		resolve({ code, signal, stdout, stderr });
	}));
}

const says = (text, { status = 200, headers = {} } = {}) => (res) => {
	res.writeHead(status, { 'content-type': 'application/json', ...headers });
	res.end(text);
};
const file = (name, text) => {
	fs.writeFileSync(path.join(dir, name), text);
	return path.join(dir, name);
};
const COMMANDS = [
	['wait', '--timeout', '4'], ['device', 'create', 'd'], ['device', 'show', 'd'], ['device', 'list'], ['device', 'list', '--csv'], ['device', 'parent', 'd'], ['device', 'why', 'd'],
	['connection', 'list'], ['connection', 'show', 'd'], ['module', 'list', 'd'], ['module', 'create', 'd', 'm'], ['twin', 'show', 'd'], ['twin', 'log', 'd'],
	['twin', 'update', 'd', '{"tags":{"a":1}}'], ['twin', 'diff', 'd', '--at-version', '1'], ['twin', 'convergence', 'd'], ['configuration', 'show', 'c'], ['configuration', 'list'], ['configuration', 'why', 'c'],
	['configuration', 'create', 'c', '--file', file('c.json', '{"content":{}}')], ['job', 'show', 'j'], ['job', 'show', 'j', '--watch', '1'], ['job', 'list'], ['job', 'results', 'j'], ['query', 'SELECT * FROM devices'],
	['query', 'SELECT * FROM devices', '--explain'], ['settings', 'show'], ['sink', 'list'], ['route', 'list'], ['policy', 'show'], ['policy', 'show', 'p'], ['policy', 'create', 'p', '--rights', 'RegistryRead'],
	['policy', 'rotate', 'p', '--key', 'primary'], ['connection-string'], ['connection-string', '--device', 'd'], ['sas'], ['sas', '--device', 'd'], ['import', file('i.ndjson', '{"id":"a"}\n')], ['message', 'purge', 'd'],
	['export', path.join(dir, 'exported')],
];

test('O-95 what is no hub is not taken for one, by whatever command', async () => {
	for (const [text, but] of [['', []], ['[]', ['list', 'why', 'results', 'query', 'log', 'policy show']], ['{"status":"ok"}', []]]) {
		answer = says(text);
		const left = COMMANDS.filter((args) => !but.some((word) => args.join(' ').includes(word)));
		await Promise.all(Array.from({ length: 4 }, async () => {
			for (let args; (args = left.shift());) await refused(args, text);
		}));
	}
});

async function refused(args, text) {
	for (const name of ['i.ndjson.progress', 'exported']) fs.rmSync(path.join(dir, name), { force: true }); // of the run before
	const r = await run([...args, ...(args.includes('--timeout') ? [] : ['--timeout', '30'])]);
	assert.ok([1, 3].includes(r.code), `${text}: ${args.join(' ')}: ${JSON.stringify(r)}`);
	assert.match(r.stderr, /^twinhub: .*(answers as no hub does|not JSON|no hub)/, args.join(' '));
	assert.doesNotMatch(r.stdout, /HostName|ready|"done"/);
}

test('O-95 pages that lead to themselves, redirections, floods, drips and fragments end', async () => {
	const list = ['device', 'list'];
	answer = says('[]', { headers: { 'x-ms-continuation': 'again' } });
	for (const args of [list, ['device', 'list', '--csv'], ['connection', 'list'], ['twin', 'log', 'd']]) {
		const r = await run(args);
		assert.equal(r.code, 1, JSON.stringify(r));
		assert.match(r.stderr, /the same page again and again/);
	}
	const failed = async (code, text, args = list) => {
		const r = await run(args);
		assert.equal(r.code, code, JSON.stringify(r));
		assert.match(r.stderr, text);
	};
	answer = says('[]\nnothing\n');
	for (const args of [['query', 'SELECT * FROM devices', '--live'], ['twin', 'watch', 'd'], ['monitor']]) await failed(3, /the connection ended before anything came/, args);
	answer = says('', { status: 302, headers: { location: 'https://elsewhere.example/' } });
	await failed(1, /status 302/);
	answer = says('<h1>Bad gateway', { status: 502, headers: { 'content-type': 'text/html' } });
	await failed(1, /status 502/);
	answer = says('['.repeat(100_000));
	await failed(1, /not JSON/);
	answer = says('{"Message":{"Message":[]}}', { status: 400 });
	await failed(1, /status 400/);
	answer = says(JSON.stringify({ Message: `ErrorCode:X;${'y'.repeat(50_000)}\u001b[31m` }), { status: 404 });
	await failed(4, /^twinhub: X: y{400}/);
	answer = (res) => {
		res.writeHead(200);
		const more = () => { while (res.write(' '.repeat(1 << 20))); };
		res.on('drain', more).on('error', () => {});
		more();
	};
	await failed(1, /larger than 32 MB|has not answered/, [...list, '--timeout', '10']).catch(async () => failed(3, /larger than 32 MB|has not answered/, [...list, '--timeout', '10']));
	answer = (res) => {
		res.writeHead(200);
		const timer = setInterval(() => res.write(' '), 100);
		res.on('close', () => clearInterval(timer));
	};
	await failed(3, /has not answered within 2 s/);
	answer = (res) => {
		res.writeHead(200, { 'content-length': '1000' });
		res.write('[{}');
		setTimeout(() => res.destroy(), 50);
	};
	await failed(3, /no hub answers/);
	for (answer of ['SSH-2.0-OpenSSH\r\n', '', 'HTTP/1.1 abc\r\n\r\n', 'HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nx', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\nx', `HTTP/1.1 200 OK\r\nX: ${'y'.repeat(200_000)}\r\n\r\n[]`, 'HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n[]']) {
		const r = await run(list, rawPort);
		assert.ok([1, 3].includes(r.code) && /^twinhub: [^\n]+\n$/.test(r.stderr), `${answer.slice(0, 60)}: ${JSON.stringify(r)}`);
	}
});
