// Answers that nobody reads, and questions that cost much: each asker has its share of memory and of the workers, and whoever
// else asks is served meanwhile. Service-rest.md 1, architecture.md "Shares".
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import https from 'node:https';
import tls from 'node:tls';
import { until, within } from '../lib/hub.mjs';
import { SLOW, Scene, rssBytes } from './harness.mjs';

const DEVICES = 1000, CONNECTIONS = 100, PATIENCE_S = 8;
const MB = 2 ** 20;

let scene;
before(async () => {
	scene = await Scene.start({ args: ['--memory', '256M', '--request-timeout', String(PATIENCE_S * SLOW)], prepare: fill });
});
after(() => scene?.stop());

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// 1,000 devices with 28 KB each: a page of them is over the largest page.
async function fill({ hub }) {
	const big = Object.fromEntries(Array.from({ length: 7 }, (_, i) => [`big${i}`, 'x'.repeat(3900)]));
	for (let i = 0; i < DEVICES; i += 100) {
		const lines = Array.from({ length: 100 }, (_, j) => JSON.stringify({ id: `f${i + j}`, tags: { n: i + j }, properties: { desired: big } }));
		const answer = await hub.rest('POST', '/admin/import', { body: lines.join('\n'), headers: { 'content-type': 'application/x-ndjson' } });
		assert.equal(answer.status, 200, answer.text);
		assert.equal(answer.body.failed, 0, answer.text);
	}
}

// A connection with one request on it; what comes is not read until resume().
async function ask({ policy = 'service', method = 'POST', path = '/devices/query?api-version=2021-04-12', body = '', headers = '', localAddress }) {
	const socket = tls.connect({ host: scene.hub.addr, port: scene.hub.httpsPort, ca: scene.hub.pem, localAddress });
	const client = { socket, got: 0, head: '' };
	client.ended = new Promise((resolve) => { socket.on('error', () => {}).on('close', resolve); });
	await within(new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject)), 'the TLS handshake', 60_000 * SLOW);
	socket.on('data', (bytes) => {
		client.got += bytes.length;
		if (client.head.length < 4096) client.head += bytes.subarray(0, 4096).toString('latin1');
	});
	socket.pause();
	socket.write(`${method} ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: ${await scene.hub.token({ policy })}\r\nContent-Type: application/json\r\n${headers}Content-Length: ${body.length}\r\n\r\n${body}`);
	return client;
}

// So many of them; a few at a time, for a handshake must be over in time.
async function askMany(count, options) {
	const clients = [];
	while (clients.length < count) clients.push(...await Promise.all(Array.from({ length: 10 }, () => ask(options))));
	return clients;
}

// A page of the largest length, begun to be read: until those before it have left there is room for shorter ones only.
async function askWhole() {
	let client;
	await until(async () => {
		client = await ask(PAGE);
		client.socket.resume();
		await until(() => client.head.includes('\r\n\r\n'), 'the head of an answer');
		client.socket.pause();
		if (lengthOf(client) > 15 * MB) return true;
		client.socket.destroy();
		return false;
	}, 'room for a whole page');
	return client;
}

const lengthOf = (client) => Number(/content-length: (\d+)/i.exec(client.head)[1]);

const PAGE = { body: '{"query":"SELECT * FROM devices"}', headers: 'x-ms-max-item-count: 1000\r\n' };
const query = (text, options = {}) => scene.rest('POST', '/devices/query', { body: { query: text }, ...options });

describe('answers that are not read', () => {
	test('a hundred pages: memory is bounded, who reads is served, who does not is cut, with a reason', async () => {
		await query('SELECT * FROM devices', { headers: { 'x-ms-max-item-count': '1000' } });
		const before = await scene.settled();
		let deaf;
		const opening = askMany(CONNECTIONS, PAGE).then((clients) => { deaf = clients; });
		const grown = () => (rssBytes(scene.hub.pid) - before) / MB;
		let most = 0;
		await until(async () => {
			await scene.servesOthers();
			const page = await query('SELECT * FROM devices WHERE tags.n < 50', { headers: { 'x-ms-max-item-count': '50' } });
			assert.equal(page.status, 200, page.text);
			assert.ok(page.body.length > 0);
			assert.equal((await query("SELECT * FROM devices WHERE deviceId = 'f7'")).body.length, 1);
			most = Math.max(most, grown());
			return deaf && /reason=slow-reader/.test(scene.hub.logs);
		}, 'those who do not read are cut', { ms: 120_000 * SLOW });
		await opening;
		if (SLOW === 1) assert.ok(most < 160, `${most} MB for ${CONNECTIONS} pages`);
		for (const { socket } of deaf) socket.destroy();
		const left = await scene.settled() - before;
		if (SLOW === 1) assert.ok(left < 64 * MB, `${left / MB} MB stay`);
		await scene.holds();
	});

	test('one that reads slowly is not cut', async () => {
		const client = await askWhole();
		for (let i = 0; i < 2 * PATIENCE_S * SLOW; i++) {
			await pause(1000);
			for (const had = client.got; client.got < had + MB / 4;) {
				client.socket.resume();
				await within(Promise.race([client.ended, new Promise((resolve) => client.socket.once('data', resolve))]), 'more of the page');
				assert.equal(client.socket.destroyed, false, 'cut while it reads');
				client.socket.pause();
			}
		}
		const length = lengthOf(client), head = client.head.indexOf('\r\n\r\n') + 4;
		client.socket.resume();
		await until(() => client.got === head + length, 'the rest of it');
		assert.equal(client.socket.destroyed, false);
		client.socket.destroy();
		await scene.holds();
	});

	test('all pages together have every device, however short they are', async () => {
		const deaf = await askMany(CONNECTIONS, { ...PAGE, policy: 'iothubowner' });
		const seen = new Set();
		for (let token = ''; token !== undefined;) {
			const page = await query('SELECT deviceId, properties.desired FROM devices', { headers: { 'x-ms-max-item-count': '1000', ...(token && { 'x-ms-continuation': token }) } });
			if (page.status === 429) { // those who are deaf are of the same policy and address: all its places in line are taken
				await pause(1000 * page.headers['retry-after']);
				continue;
			}
			assert.equal(page.status, 200, page.text);
			for (const row of page.body) {
				assert.ok(!seen.has(row.deviceId));
				seen.add(row.deviceId);
			}
			token = page.headers['x-ms-continuation'];
		}
		assert.equal(seen.size, DEVICES + 2);
		for (const { socket } of deaf) socket.destroy();
		await scene.holds();
	});
});

describe('questions that cost much', () => {
	const FLEET = 20_000, ASKERS = 66, PATHS = 200;
	let asked = 0;

	before(async () => {
		for (let i = 0; i < FLEET; i += 2000) {
			const lines = Array.from({ length: 2000 }, (_, j) => JSON.stringify({ id: `q${i + j}`, tags: { n: i + j } }));
			assert.equal((await scene.hub.rest('POST', '/admin/import', { body: lines.join('\n'), headers: { 'content-type': 'application/x-ndjson' } })).body.failed, 0);
		}
		scene.before = await scene.snapshot();
	});

	// Ask for paths that nobody has asked for, one after the other, until told to stop; the statuses that came.
	async function flood(policy, stop) {
		const statuses = {}, agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
		while (!stop.now) {
			const answer = await query(`SELECT COUNT() FROM devices WHERE tags.never${asked++ % PATHS} = 1 AND properties.reported.no${asked} > 2`, { policy, agent });
			statuses[answer.status] = (statuses[answer.status] ?? 0) + 1;
			if (answer.status === 429) assert.ok(Number(answer.headers['retry-after']) > 0);
		}
		agent.destroy();
		return statuses;
	}

	test('66 connections over 200 paths: what is cheap, and what others ask, is served', async () => {
		const stop = { now: false };
		const floods = Array.from({ length: ASKERS }, () => flood('service', stop));
		const cheap = [
			async () => (await query("SELECT * FROM devices WHERE deviceId = 'q77'")).body?.length === 1,
			async () => (await query('SELECT * FROM devices', { headers: { 'x-ms-max-item-count': '100' } })).body?.length > 0,
			async () => (await query('SELECT COUNT() AS n FROM devices')).body?.[0].n === FLEET + DEVICES + 2,
			async () => (await scene.rest('GET', '/devices?top=10')).body?.length === 10,
			async () => (await scene.rest('GET', '/statistics/devices')).body?.totalDeviceCount === FLEET + DEVICES + 2,
			async () => (await query("SELECT * FROM devices WHERE deviceId = 'q77'", { policy: 'service' })).body?.length === 1,
			async () => (await query('SELECT * FROM devices WHERE tags.n = 77')).body?.length === 2,
		];
		const begun = asked;
		for (let round = 0; round < 10 || asked < begun + PATHS; round++) {
			for (const ask of cheap) assert.ok(await ask(), `${ask}`);
			await scene.servesOthers();
		}
		stop.now = true;
		const all = await Promise.all(floods);
		assert.ok(all.every((statuses) => Object.keys(statuses).every((status) => status === '200' || status === '429')), JSON.stringify(all));
		assert.ok(all.filter((statuses) => statuses[200]).length > ASKERS / 2, 'those who ask much are served too');
		await scene.holds();
	});
});
