// A webhook's receiver, as tests of sinks have it.
import fs from 'node:fs';
import https from 'node:https';
import path from 'node:path';

// A receiver with the hub's own certificate. What it answers is the test's choice: answer(request) -> status, or null for silence.
export class Receiver {
	requests = [];
	events = [];
	answer = () => 200;

	async start(dir, host) {
		const read = (name) => fs.readFileSync(path.join(dir, name));
		this.server = https.createServer({ cert: read('server-ecdsa.pem'), key: read('server-ecdsa.key') }, (request, response) => {
			const parts = [];
			request.on('data', (part) => parts.push(part));
			request.on('end', () => this.#take(request, response, Buffer.concat(parts).toString()));
		});
		await new Promise((resolve) => this.server.listen(0, host, resolve));
		this.url = `https://${host}:${this.server.address().port}/events`;
		return this;
	}

	#take(request, response, body) {
		const one = { method: request.method, headers: request.headers, body };
		const status = request.method === 'OPTIONS' ? 200 : this.answer(one);
		this.requests.push(one);
		if (status === null) return;
		if (request.method === 'OPTIONS') response.setHeader('WebHook-Allowed-Origin', request.headers['webhook-request-origin']);
		if (request.method === 'POST' && status === 200) this.events.push(...JSON.parse(body));
		response.writeHead(status).end();
	}

	of(device) { return this.events.filter((e) => e.subject === `devices/${device}`); }
	stop() { this.server.closeAllConnections(); this.server.close(); }
}
