// Certificates that change while the hub runs: revoked ones, and files that are replaced (docs/spec/operate.md).
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { makeCertificate, mqttDevice, mqttUsername, RawMqtt, startHub, stopAll, tempDir, until } from '../lib/hub.mjs';

const dir = tempDir('revocation');
const file = (name) => path.join(dir, name);
let hub, ca;

// A list of the CA with these certificates revoked.
function list(of, ...revoked) {
	fs.writeFileSync(file('index'), '');
	fs.writeFileSync(file('conf'), `[ca]\ndefault_ca=d\n[d]\ndatabase=${file('index')}\ndefault_md=sha256\ndefault_crl_days=30\nunique_subject=no\n`);
	const openssl = (...args) => execFileSync('openssl', ['ca', '-config', file('conf'), '-cert', of.certFile, '-keyfile', of.keyFile, ...args], { stdio: 'pipe' });
	for (const leaf of revoked) openssl('-revoke', leaf.certFile);
	openssl('-gencrl', '-out', file('new.crl'));
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

test('O-22 a list that no client CA has signed is refused, and the one in use stays', async () => {
	const other = makeCertificate({ dir, cn: 'a client CA', ca: true });
	for (const bad of [list(other), 'no list']) {
		fs.writeFileSync(file('ca.crl'), bad);
		const n = hub.logs.length;
		process.kill(hub.pid, 'SIGHUP');
		await until(() => /level=error msg="--client-ca: list of revoked certificates 0: (no client CA has signed it|no CRL in PEM)"/.test(hub.logs.slice(n)), 'the error');
	}
	await assert.rejects(startHub({ args: ['--client-ca', file('ca.pem'), '--client-crl', file('ca.crl')] }), /list of revoked certificates 0: no CRL in PEM/);
});
