// A wall clock that is wrong: at the first start, or for a while. Certificates that have ended or are not valid yet.
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { makeCertificate, mqttDevice, mqttUsername, RawMqtt, sasToken, startHub, stopAll, tempDir, until } from '../lib/hub.mjs';
import { FakeClock } from '../lib/clock.mjs';

const hubs = [];
after(() => stopAll(...hubs));

// Always with certificates of its own making: the runner's own directory has some already.
async function start(options) {
	const hub = await startHub({ dir: path.join(tempDir('clock'), 'data'), ...options });
	hubs.push(hub);
	return hub;
}

for (const [name, offset, why] of [['ahead', '+800d', 'it was not valid yet'], ['in 1970', '@1970-01-02 00:00:00', 'it had ended']]) {
	test(`a first start with a clock ${name} leaves no certificate that nobody accepts`, async () => {
		const hub = await start({ env: new FakeClock(offset).env });
		await hub.stop();
		const key = fs.readFileSync(path.join(hub.dir, 'ca.key'), 'utf8');
		hub.env = {};
		await hub.start();
		const device = await mqttDevice(hub, 'd1');
		assert.equal((await device.report({ a: 1 })).status, 204);
		device.destroy();
		await until(() => new RegExp(`msg="the local CA was made anew with its key: give it to all clients" file=\\S+/ca.pem why="${why}"`).test(hub.logs), 'the log says so');
		await until(() => /msg="a server certificate was made anew" file=\S+\/server-ecdsa.pem/.test(hub.logs), 'the log says so');
		assert.equal(fs.readFileSync(path.join(hub.dir, 'ca.key'), 'utf8'), key);
		assert.doesNotMatch(hub.logs, /a certificate (has ended|is not valid yet|ends soon)/);
		await hub.stop();
	});
}

test('certificates from elsewhere are told when they have ended and from 30 days before, at start and at SIGHUP', async () => {
	const dir = tempDir('days');
	const ended = makeCertificate({ dir, cn: 'Old fleet', ca: true, days: -1 }), soon = makeCertificate({ dir, cn: 'Fleet', ca: true, days: 29 });
	const good = makeCertificate({ dir, cn: 'New fleet', ca: true, days: 31 });
	const issuer = makeCertificate({ dir, cn: 'House', ca: true, days: 31 }), plant = makeCertificate({ dir, cn: 'Plant', ca: true, issuer, days: 5 });
	const server = makeCertificate({ dir, cn: 'hub', san: 'IP:127.0.0.1', issuer: plant, days: 31 });
	const hub = await start({ args: ['--client-ca', ended.certFile, '--client-ca', soon.certFile, '--client-ca', good.certFile,
		'--cert', server.chainFile, '--key', server.keyFile] });
	const told = () => hub.logs.split('\n').filter((line) => /msg="a certificate /.test(line)).map((line) => line.replace(/^ts=\S+ /, ''));
	const lines = [/^level=warn msg="a certificate ends soon" certificate="CA of the server certificate" subject="\/CN=Plant" from=\S+ until=\S+$/,
		/^level=error msg="a certificate has ended" certificate="client CA" subject="\/CN=Old fleet" from=\S+ until=\S+$/,
		/^level=warn msg="a certificate ends soon" certificate="client CA" subject="\/CN=Fleet" from=\S+ until=\S+$/];
	await until(() => told().length === lines.length, 'a line for each');
	lines.forEach((line, i) => assert.match(told()[i], line));
	process.kill(hub.pid, 'SIGHUP');
	await until(() => told().length === 2 * lines.length, 'the same again');
	await hub.stop();
});

const updated = async (hub, name) => {
	const { reported } = (await hub.rest('GET', '/twins/d1')).body.properties;
	return Date.parse(reported.$metadata[name].$lastUpdated) - Date.now();
};
const near = (ms, days, what) => assert.ok(Math.abs(ms - days * 86_400_000) < 600_000, `${what}: ${ms} ms from now, not ${days} days`);
const readyz = async (hub) => {
	const answer = await hub.rest('GET', '/readyz');
	assert.equal(answer.status, 200);
	return answer.body;
};

test('a clock that is wrong for a moment stamps nothing; it says so', async () => {
	const clock = new FakeClock(), hub = await start({ env: clock.env });
	const device = await mqttDevice(hub, 'd1');
	clock.set('+7300d');
	assert.equal((await device.report({ a: 1 })).status, 204);
	near(await updated(hub, 'a'), 0, 'what was reported while the clock was wrong');
	await until(() => /level=warn msg="the clock has jumped ahead: not followed until it has lasted 60 s" seconds=6307\d{5}\.\d{6}$/m.test(hub.logs), 'a line about it');
	const ahead = await readyz(hub);
	near(ahead.clockAheadSeconds * 1000, 7300, '/readyz');
	clock.set('+0');
	assert.equal((await device.report({ b: 1 })).status, 204);
	near(await updated(hub, 'b'), 0, 'what was reported when it was right again');
	await until(() => /msg="the clock's jump ahead is undone: it was not followed" seconds=6307\d{5}\./.test(hub.logs), 'a line about that, too');
	assert.deepEqual(await readyz(hub), { status: 'ready' });
	const late = await mqttDevice(hub, 'd2'); // tokens, certificates: all by the same time
	late.destroy();
	device.destroy();
	await hub.stop();
});

test('a clock that keeps its jump is followed after a minute, and back at once; certificates go with it', async () => {
	const clock = new FakeClock(), hub = await start({ env: clock.env });
	// Its connection lasts: no client would take the certificates to come.
	const device = await mqttDevice(hub, 'd1', { login: { keepAlive: 600 } }), ms = 180_000 * Number(process.env.TWINHUB_TEST_SLOW ?? 1);
	const lines = (what) => hub.logs.split(what).length - 1;
	clock.set('+800d');
	await until(() => hub.logs.includes('msg="the clock\'s jump ahead has lasted, and is followed"'), 'the clock to be followed', { ms });
	await until(() => lines('msg="a server certificate was made anew"') === 2 && lines('msg="certificates loaded anew"') === 1, 'certificates of that time', { ms });
	assert.equal((await device.report({ a: 1 })).status, 204);
	clock.set('+0');
	assert.equal((await device.report({ b: 1 })).status, 204);
	await until(() => /msg="the clock was set back: the event log's time stands still" seconds=691\d{5}\./.test(hub.logs), 'a line about it');
	await until(() => lines('msg="certificates loaded anew"') === 2, 'certificates of today', { ms });
	near(await updated(hub, 'a'), 800, 'what was reported by the clock that was followed');
	near(await updated(hub, 'b'), 0, 'what was reported after it was set back');
	near((await readyz(hub)).clockSetBackSeconds * 1000, 800, '/readyz');
	device.destroy();
	await hub.stop();
});

test('a start finds that the event log is ahead of the clock', async () => {
	const clock = new FakeClock(), hub = await start({ env: clock.env, args: ['--mqtt-port', '1883'] });
	const { primaryKey } = (await hub.createDevice('d1')).authentication.symmetricKey;
	await hub.stop();
	clock.set('+800d');
	await hub.start();
	const password = sasToken({ resource: `${hub.addr}/devices/d1`, key: primaryKey, ttl: 900 * 86_400 });
	const device = await RawMqtt.open(hub, { plain: true }); // the certificates are of the future
	assert.equal((await device.connect({ clientId: 'd1', username: mqttUsername(hub.addr, 'd1'), password })).code, 0);
	await device.publish('devices/d1/messages/events/', 'said in the future', { qos: 1 });
	device.destroy();
	await hub.stop();
	clock.set('+0');
	await hub.start();
	await until(() => /level=warn msg="the clock is 691\d{5} s before the latest record of the event log: its time stands still until then"/.test(hub.logs), 'a line about it');
	near((await readyz(hub)).clockSetBackSeconds * 1000, 800, '/readyz');
	await hub.stop();
});
