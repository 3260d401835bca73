// A wall clock that is wrong: at the first start, or for a while. Certificates that have ended or are not valid yet.
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { makeCertificate, mqttDevice, startHub, stopAll, tempDir, until } from '../lib/hub.mjs';
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
		assert.match(hub.logs, new RegExp(`msg="the local CA was made anew with its key: give it to all clients" file=\\S+/ca.pem why="${why}"`));
		assert.match(hub.logs, /msg="a server certificate was made anew" file=\S+\/server-ecdsa.pem/);
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
