// A live query, read as server-sent events or as lines of JSON, and the rows that what was told gives:
//
//   const watch = await watchQuery(hub, "SELECT * FROM devices WHERE tags.a = 1");
//   await watch.ready();                      // the first rows are there
//   await watch.next('enter')                 // the next event of that kind: { event, id, deviceId, moduleId, row }
//   watch.rows                                // Map: "device" or "device/module" -> row, as all that was told says
//   watch.close()
import https from 'node:https';
import { Inbox } from './wait.mjs';

const API = 'api-version=2021-04-12';

class Watch {
	rows = new Map();
	seen = [];
	steps = []; // what does not follow from what was told before
	#inbox = new Inbox();
	#request;

	constructor(request) { this.#request = request; }

	take(event) {
		const name = event.moduleId === undefined ? event.deviceId : `${event.deviceId}/${event.moduleId}`;
		this.seen.push(event);
		if (event.event === 'row' || event.event === 'enter') {
			if (this.rows.has(name)) this.steps.push(`${event.event} of ${name}, which is there`);
			this.rows.set(name, event.row);
		} else if (event.event === 'change' || event.event === 'leave') {
			if (!this.rows.has(name)) this.steps.push(`${event.event} of ${name}, which is not there`);
			if (event.event === 'change') this.rows.set(name, event.row);
			else this.rows.delete(name);
		}
		this.#inbox.push(event);
	}

	end(error) { this.#inbox.end(error); }
	next(kind, what = `an event ${kind}`) { return this.#inbox.next((e) => e.event === kind, what); }
	any(what = 'an event') { return this.#inbox.next(undefined, what); }
	ready() { return this.next('ready', 'the first rows'); }
	left() { return this.#inbox.take(); }
	pause() { this.response.pause(); }
	resume() { this.response.resume(); }
	close() { this.#request.destroy(); }
}

function fromSse(block) {
	const event = {};
	for (const line of block.split('\n')) {
		if (line.startsWith('event: ')) event.event = line.slice(7);
		if (line.startsWith('id: ')) event.id = line.slice(4);
		if (line.startsWith('data: ')) Object.assign(event, JSON.parse(line.slice(6)));
	}
	return event;
}

function fromLine(line) {
	const { position, ...event } = JSON.parse(line);
	if (event.closed !== undefined) return { event: 'closed', reason: event.closed, ...event };
	return position === undefined ? event : { ...event, id: position };
}

// The answer of a route that watches: a Watch, or { status, body } of what is refused.
export async function watchRoute(hub, method, target, { body, sse = true, policy = 'iothubowner', token } = {}) {
	const headers = { Authorization: token ?? await hub.token({ policy }), Accept: sse ? 'text/event-stream' : 'application/x-ndjson' };
	const text = body === undefined ? undefined : JSON.stringify(body);
	if (text !== undefined) Object.assign(headers, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) });
	return new Promise((resolve, reject) => {
		const request = https.request({ host: hub.addr, port: hub.httpsPort, ca: hub.pem, method, headers, agent: false,
			path: `${target}${target.includes('?') ? '&' : '?'}${API}` });
		const watch = new Watch(request);
		request.on('error', (error) => { reject(error); watch.end(error); });
		request.on('response', (response) => {
			let rest = '';
			response.setEncoding('utf8');
			watch.response = response;
			response.on('error', (error) => watch.end(error));
			if (response.statusCode !== 200) {
				response.on('data', (piece) => { rest += piece; });
				response.on('end', () => resolve({ status: response.statusCode, body: rest === '' ? undefined : JSON.parse(rest) }));
				return;
			}
			watch.type = response.headers['content-type'];
			response.on('data', (piece) => {
				const parts = (rest + piece).split(sse ? '\n\n' : '\n');
				rest = parts.pop();
				for (const part of parts) if (part !== '' && !part.startsWith(':')) watch.take(sse ? fromSse(part) : fromLine(part));
			});
			response.on('end', () => watch.end(new Error('the stream has ended')));
			resolve(watch);
		});
		request.end(text);
	});
}

export const watchQuery = (hub, query, options = {}) => watchRoute(hub, 'POST', '/devices/query/watch', { body: { query }, ...options });
