// Keys and tokens that the tests of this process have made, sent or read: none of them may ever stand in a log (O-18). Each hub's log
// is searched when the hub stops.
import fs from 'node:fs';
import path from 'node:path';

const LEAST = 16; // characters: what is shorter is no key, and could be anything
const secrets = new Set();

export function keepSecret(text) {
	if (typeof text !== 'string' || text.length < LEAST) return;
	secrets.add(text);
	secrets.add(encodeURIComponent(text));
}

// Those of a body, either way: "primaryKey":"..." and its like; a webhook's secret.
export function keepSecretsOf(text) {
	for (const [, value] of String(text).matchAll(/"(?:primaryKey|secondaryKey|secret|SharedAccessKey)"\s*:\s*"([^"\\]+)"/g)) keepSecret(value);
}

// What looks like one, whoever made it: a key of 32 bytes, a signature, a connection string, a private key.
const LOOKS = [/(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{43}=(?!=)/, /[A-Za-z0-9+/%]{43}%3[dD]/, /\bsig=[^\s&"]{8}/, /SharedAccessKey=(?!\*\*\*)/, /PRIVATE KEY/];

function policyKeys(dir) {
	try {
		return fs.readFileSync(path.join(dir, 'policies.json'), 'utf8');
	} catch {
		return '';
	}
}

// The line with the first secret in this log of a hub; null when there is none.
export function secretIn(log, dir) {
	keepSecretsOf(policyKeys(dir));
	for (const look of LOOKS) {
		const at = log.search(look);
		if (at >= 0) return lineAt(log, at);
	}
	for (const secret of secrets) {
		const at = log.indexOf(secret);
		if (at >= 0) return lineAt(log, at);
	}
	return null;
}

function lineAt(log, at) {
	const begin = log.lastIndexOf('\n', at) + 1, end = log.indexOf('\n', at);
	return log.slice(begin, end < 0 ? undefined : end);
}
