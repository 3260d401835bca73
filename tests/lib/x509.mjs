// Certificates for tests, made with the openssl command.
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';

const EXTENSIONS = {
	ca: 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n',
	leaf: 'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth,serverAuth\n',
};

let serial = 1;

// A certificate and its key.
//   dir     where the files go
//   cn      common name
//   issuer  what an earlier call returned; itself when absent
//   ca      may it sign others?
//   san     e.g. "IP:127.0.0.1,DNS:hub.test"
//   days    validity
// {cn, certFile, keyFile, chainFile, cert, key, chain, sha1, sha256}; chain: the leaf first, without the root.
export function makeCertificate({ dir, cn, issuer = null, ca = false, san, days = 30, rsa = false }) {
	const base = path.join(dir, `c${serial++}`);
	const file = (end) => `${base}.${end}`;
	const openssl = (...args) => execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: 60_000 });
	const kind = rsa ? ['-newkey', 'rsa:2048'] : ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
	openssl('req', '-new', ...kind, '-nodes', '-keyout', file('key'), '-out', file('csr'), '-subj', `/CN=${cn.replaceAll('/', '\\/')}`);
	fs.writeFileSync(file('ext'), EXTENSIONS[ca ? 'ca' : 'leaf'] + (san ? `subjectAltName=${san}\n` : ''));
	const signer = issuer ? ['-CA', issuer.certFile, '-CAkey', issuer.keyFile] : ['-signkey', file('key')];
	openssl('x509', '-req', '-in', file('csr'), ...signer, '-set_serial', String(Date.now() * 1000 + serial),
		'-days', String(days), '-extfile', file('ext'), '-out', file('pem'));
	const cert = fs.readFileSync(file('pem'), 'utf8');
	const chain = issuer && !issuer.root ? cert + issuer.chain : cert;
	fs.writeFileSync(file('chain'), chain);
	const parsed = new X509Certificate(cert);
	return { cn, root: issuer === null, certFile: file('pem'), keyFile: file('key'), chainFile: file('chain'),
		cert, key: fs.readFileSync(file('key'), 'utf8'), chain,
		sha1: parsed.fingerprint.replaceAll(':', ''), sha256: parsed.fingerprint256.replaceAll(':', '') };
}
