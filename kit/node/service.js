// The hub's service API, as far as tests take it: over HTTPS, in the name of iothubowner.
'use strict';
const { createHmac } = require('node:crypto');
const fs = require('node:fs');
const https = require('node:https');

const API_VERSION = '2021-04-12';
const REQUEST_MS = 60_000;

function token(resource, policy, key, seconds) {
	const sr = encodeURIComponent(resource), se = Math.floor(seconds);
	const sig = createHmac('sha256', Buffer.from(key, 'base64')).update(`${sr}\n${se}`).digest('base64');
	return `SharedAccessSignature sr=${sr}&sig=${encodeURIComponent(sig)}&se=${se}&skn=${policy}`;
}

function part(connectionString, name) {
	const found = connectionString.split(';').find((p) => p.startsWith(`${name}=`));
	return found === undefined ? undefined : found.slice(name.length + 1);
}

class Service {
	#ready;
	#ca;
	#key;

	constructor(ready) {
		this.#ready = ready;
		this.#ca = fs.readFileSync(ready.ca, 'utf8');
		this.#key = part(ready.connectionStrings.iothubowner, 'SharedAccessKey');
	}

	get pem() { return this.#ca; }

	// Resolves to the body; an answer that is none of success rejects with an error that has `status` and `body`.
	request(method, path, body, headers = {}) {
		const { address: host, httpsPort: port, hostName } = this.#ready;
		const payload = body === undefined ? undefined : JSON.stringify(body);
		const target = `${path}${path.includes('?') ? '&' : '?'}api-version=${API_VERSION}`;
		const all = { Authorization: token(hostName, 'iothubowner', this.#key, Date.now() / 1000 + 3600), ...headers };
		if (payload !== undefined) Object.assign(all, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(payload) });
		return new Promise((resolve, reject) => {
			const request = https.request({ host, port, ca: this.#ca, servername: '', method, path: target, headers: all, agent: false }, (answer) => {
				const parts = [];
				answer.on('data', (data) => parts.push(data)).on('error', reject);
				answer.on('end', () => settle(answer, Buffer.concat(parts).toString('utf8')));
			});
			const settle = (answer, text) => {
				const json = /json/.test(answer.headers['content-type'] ?? '') && text !== '' ? JSON.parse(text) : text;
				if (answer.statusCode < 300) resolve(json);
				else reject(Object.assign(new Error(`${method} ${path}: ${answer.statusCode} ${json.Message ?? text}`), { status: answer.statusCode, body: json }));
			};
			request.setTimeout(REQUEST_MS, () => request.destroy(new Error(`${method} ${path}: no answer in ${REQUEST_MS / 1000} s`)));
			request.on('error', reject);
			request.end(payload);
		});
	}
}

module.exports = { Service };
