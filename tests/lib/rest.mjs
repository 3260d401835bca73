// One HTTPS request, with nothing between the test and the wire that mends it.
import https from 'node:https';
import net from 'node:net';
import { keepSecretsOf } from './secrets.mjs';

const SLOW = Number(process.env.TWINHUB_TEST_SLOW ?? 1);
export const API_VERSION = '2021-04-12';

// Resolves to {status, headers, body, text}; body is the parsed JSON when the answer says it is JSON.
//   body           object (sent as JSON), string or Buffer (sent as it is), or nothing
//   authorization  the header's value; null for none
//   apiVersion     null for none
//   agent          default: a connection of its own for each request
export function restRequest({ host, port = 443, ca, method, path, body, headers = {}, authorization = null,
	apiVersion = API_VERSION, agent = false, timeoutMs = 60_000 * SLOW }) {
	const target = apiVersion === null || /[?&]api-version=/.test(path) ? path
		: `${path}${path.includes('?') ? '&' : '?'}api-version=${apiVersion}`;
	const payload = body === undefined || typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
	if (payload !== undefined && payload.length < 1 << 20) keepSecretsOf(payload);
	const all = { ...headers };
	if (authorization !== null) all.Authorization ??= authorization;
	if (payload !== undefined) {
		all['Content-Type'] ??= 'application/json; charset=utf-8';
		all['Content-Length'] ??= Buffer.byteLength(payload);
	}
	return new Promise((resolve, reject) => {
		const servername = net.isIP(host) ? '' : host; // else Node checks the certificate against the Host header
		const request = https.request({ host, port, ca, servername, method, path: target, headers: all, agent }, (response) => {
			const parts = [];
			response.on('data', (part) => parts.push(part));
			response.on('error', reject);
			response.on('end', () => resolve(readAnswer(response, Buffer.concat(parts).toString('utf8'))));
		});
		request.setTimeout(timeoutMs, () => request.destroy(new Error(`${method} ${target}: no answer in ${timeoutMs} ms`)));
		request.on('error', reject);
		request.end(payload);
	});
}

function readAnswer(response, text) {
	if (text.length < 1 << 20) keepSecretsOf(text);
	const json = /application\/json/.test(response.headers['content-type'] ?? '');
	return { status: response.statusCode, headers: response.headers, text, body: json && text !== '' ? JSON.parse(text) : text };
}
