// Certificates that change while the hub runs: revoked ones, and files that are replaced (docs/spec/operate.md).
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import { makeCertificate, mqttDevice, mqttUsername, RawMqtt, startHub, stopAll, tempDir, until } from '../lib/hub.mjs';

const dir = tempDir('revocation');
const file = (name) => path.join(dir, name);
let hub, ca;

// A list of the CA with these certificates revoked; a text among them: until when it counts.
function list(of, ...entries) {
	const revoked = entries.filter((e) => typeof e !== 'string'), until = entries.find((e) => typeof e === 'string');
	fs.writeFileSync(file('index'), '');
	fs.writeFileSync(file('conf'), `[ca]\ndefault_ca=d\n[d]\ndatabase=${file('index')}\ndefault_md=sha256\ndefault_crl_days=30\nunique_subject=no\n`);
	const openssl = (...args) => execFileSync('openssl', ['ca', '-config', file('conf'), '-cert', of.certFile, '-keyfile', of.keyFile, ...args], { stdio: 'pipe' });
	for (const leaf of revoked) openssl('-revoke', leaf.certFile);
	openssl('-gencrl', ...(until ? ['-crl_lastupdate', '20200101000000Z', '-crl_nextupdate', until] : []), '-out', file('new.crl'));
	return fs.readFileSync(file('new.crl'), 'utf8');
}

async function link(id, leaf, want = 0) {
	const c = await RawMqtt.open(hub, { cert: leaf.cert, key: leaf.key });
	assert.equal((await c.connect({ clientId: id, username: mqttUsername(hub.addr, id) })).code, want);
	return c;
}

before(async () => {
	ca = makeCertificate({ dir, cn: 'a client CA', ca: true });
	fs.writeFileSync(file('ca.pem'), ca.cert);
	fs.writeFileSync(file('ca.crl'), list(ca));
	hub = await startHub({ args: ['--client-ca', file('ca.pem'), '--client-crl', file('ca.crl')] });
});
after(() => stopAll(hub));

test('O-22 O-23 a certificate that is revoked: its link is closed and it is refused; the others stay', async () => {
	for (const id of ['r1', 'r2']) await hub.createDevice(id, { authentication: { type: 'certificateAuthority' } });
	const one = makeCertificate({ dir, cn: 'r1', issuer: ca }), two = makeCertificate({ dir, cn: 'r2', issuer: ca });
	const c = await link('r1', one), stays = await link('r2', two), token = await mqttDevice(hub, 'by-token');
	fs.writeFileSync(file('ca.crl'), list(ca, one));
	// no signal: the file is looked at
	await until(() => /reason=certificate-revoked .*device=r1 /.test(hub.logs), 'the revoked link to end', 60_000);
	await c.closed('the revoked link');
	await link('r1', one, 5);
	await until(() => /msg="CONNECT refused" reason=certificate-revoked by=peer .*device=r1 /.test(hub.logs), 'the line of the refusal');
	await stays.ping();
	await token.ping();
	await link('r2', two);
	fs.writeFileSync(file('ca.crl'), list(ca));
	process.kill(hub.pid, 'SIGHUP');
	await until(async () => {
		const again = await RawMqtt.open(hub, { cert: one.cert, key: one.key });
		return (await again.connect({ clientId: 'r1', username: mqttUsername(hub.addr, 'r1') })).code === 0;
	}, 'the certificate that is good again');
});

test('O-22 lists that are none, or not whole: the line names the file, what was in use stays in use', async () => {
	await hub.createDevice('out', { authentication: { type: 'certificateAuthority' } });
	const other = makeCertificate({ dir, cn: 'a client CA', ca: true }), out = makeCertificate({ dir, cn: 'out', issuer: ca });
	const reload = async (text, what) => {
		const n = hub.logs.length;
		if (text === null) fs.rmSync(file('ca.crl'));
		else fs.writeFileSync(file('ca.crl'), text);
		process.kill(hub.pid, 'SIGHUP');
		await until(() => what.test(hub.logs.slice(n)), `a line like ${what}`);
	};
	const good = list(ca, out);
	await reload(good, /msg="certificates loaded anew"/);
	await link('out', out, 5);
	const cut = good + list(other).slice(0, -60); // the first list of the file is good
	for (const [bad, why] of [[list(other), 'no client CA has signed it'], ['no list', 'no CRL in PEM'], ['', 'no CRL in PEM'], [good.slice(0, -60), 'a CRL in it is damaged or cut short'],
		[cut, 'a CRL in it is damaged or cut short'], [ca.cert, 'no CRL in PEM'], [null, 'is missing']]) {
		await reload(bad, new RegExp(`level=error msg="client CAs and CRLs not loaded, the old ones stay: --client-crl ${file('ca.crl')}:? ${why}"`));
		await link('out', out, 5);
		const check = await hub.cli(['serve', '--check', '--client-ca', file('ca.pem'), '--client-crl', file('ca.crl')]);
		assert.equal(check.code, 1);
		assert.match(check.stderr, new RegExp(`--client-crl ${file('ca.crl')}:? ${why}`));
	}
	fs.writeFileSync(file('ca.crl'), cut);
	await assert.rejects(startHub({ args: ['--client-ca', file('ca.pem'), '--client-crl', file('ca.crl')] }), /--client-crl \S+: a CRL in it is damaged or cut short/);
	await reload(list(ca), /msg="certificates loaded anew"/);
});

test('O-22 O-23 a device that is registered by the print of its certificate, which its CA has revoked', async () => {
	const one = makeCertificate({ dir, cn: 'any name', issuer: ca }), own = makeCertificate({ dir, cn: 'a client CA' });
	for (const [id, c] of [['p1', one], ['p2', own]])
		await hub.createDevice(id, { authentication: { type: 'selfSigned', x509Thumbprint: { primaryThumbprint: c.sha1, secondaryThumbprint: c.sha1 } } });
	const c = await link('p1', one), stays = await link('p2', own);
	const agent = new https.Agent({ keepAlive: true, maxSockets: 1, cert: one.cert, key: one.key });
	const post = () => hub.rest('POST', '/devices/p1/messages/events', { token: null, body: 'x', agent });
	assert.equal((await post()).status, 204);
	fs.writeFileSync(file('ca.crl'), list(ca, one));
	process.kill(hub.pid, 'SIGHUP');
	await c.closed('the revoked link');
	await until(() => /msg="connection closed" reason=certificate-revoked by=peer .*device=p1 /.test(hub.logs), 'the line of its end');
	await link('p1', one, 5);
	assert.equal((await hub.rest('GET', '/devices/p1/connection')).body.lastRefusal.reason, 'certificate-revoked');
	assert.equal((await post()).status, 401, 'a connection over HTTPS that was there before');
	await until(() => /msg="request refused" reason=certificate-revoked .*device=p1 status=401 /.test(hub.logs), 'the line of the request');
	agent.destroy();
	await stays.ping();
	await link('p2', own);
	stays.destroy();
});

test('O-23 a connection that was there before the list, and sends its CONNECT behind it', async () => {
	await hub.createDevice('slow', { authentication: { type: 'certificateAuthority' } });
	const slow = makeCertificate({ dir, cn: 'slow', issuer: ca }), n = hub.logs.length;
	const c = await RawMqtt.open(hub, { cert: slow.cert, key: slow.key });
	fs.writeFileSync(file('ca.crl'), list(ca, slow));
	process.kill(hub.pid, 'SIGHUP');
	await until(() => /msg="certificates loaded anew"/.test(hub.logs.slice(n)), 'the new list');
	await link('slow', slow, 5);
	await c.connect({ clientId: 'slow', username: mqttUsername(hub.addr, 'slow') }).catch(() => {});
	await c.closed('the link that was opened before');
	await until(() => /msg="connection closed" reason=certificate-revoked by=peer .*device=slow /.test(hub.logs), 'the line');
});

test('O-22 O-23 a CA between is revoked: its devices are out, at once and when they resume a session', async () => {
	const house = makeCertificate({ dir, cn: 'a house CA', ca: true, issuer: ca });
	const chain = (leaf) => ({ ...leaf, cert: leaf.cert + house.cert });
	for (const id of ['b1', 'b2']) await hub.createDevice(id, { authentication: { type: 'certificateAuthority' } });
	const one = chain(makeCertificate({ dir, cn: 'b1', issuer: house })), two = makeCertificate({ dir, cn: 'b2', issuer: ca });
	const times = () => hub.logs.split('certificates loaded anew').length, before = times();
	fs.writeFileSync(file('ca.crl'), list(ca));
	process.kill(hub.pid, 'SIGHUP');
	await until(() => times() > before, 'the empty list'); // a ticket of before it would be refused
	(await link('b1', one)).destroy();
	// twice, the second time with the ticket of the first
	const again = async (id, leaf) => {
		let ticket;
		const first = await RawMqtt.open(hub, { cert: leaf.cert, key: leaf.key });
		first.socket.on('session', (session) => { ticket = session; });
		assert.equal((await first.connect({ clientId: id, username: mqttUsername(hub.addr, id) })).code, 0);
		await until(() => ticket !== undefined, 'a ticket');
		const next = await RawMqtt.open(hub, { cert: leaf.cert, key: leaf.key, tls: { session: ticket } });
		assert.equal((await next.connect({ clientId: id, username: mqttUsername(hub.addr, id) })).code, 0);
		return next;
	};
	const c = await again('b1', one), stays = await again('b2', two);
	assert.equal(stays.socket.isSessionReused(), true, 'a chain without a CA between is resumed');
	fs.writeFileSync(file('ca.crl'), list(ca, house));
	process.kill(hub.pid, 'SIGHUP');
	await c.closed('the link whose CA is revoked');
	await link('b1', one, 5);
	await stays.ping();
	stays.destroy();
});

test('O-23 a list whose days are over counts, and has a line at each look', async () => {
	await hub.createDevice('late', { authentication: { type: 'certificateAuthority' } });
	const late = makeCertificate({ dir, cn: 'late', issuer: ca });
	const said = () => hub.logs.split(/level=warn msg="a list of revoked certificates is out of date" certificate="list of revoked certificates" subject="\/CN=a client CA" from=2\S+ until=2020-01-02T00:00:00\S+/).length - 1;
	assert.equal(said(), 0);
	fs.writeFileSync(file('ca.crl'), list(ca, late, '20200102000000Z'));
	process.kill(hub.pid, 'SIGHUP');
	await until(() => said() === 1, 'the line');
	await link('late', late, 5);
	process.kill(hub.pid, 'SIGHUP');
	await until(() => said() === 2, 'the line again');
});
