// What the event log must tell of a fleet under load, over any number of crashes (events.md, E-01 to E-03):
//
//   each step of a twin's version     one event, in its order, none left out
//   a report that was acknowledged    the event of that version, with what it said
//   a message that was acknowledged   one event; one that was not, one or none
//   an identity                       made and deleted in turns, and there now if it was made last
//   what a reader was shown           there, as it was shown
import assert from 'node:assert/strict';
import https from 'node:https';

const API = 'api-version=2021-04-12';

function linesOf(onLine) {
	let rest = '';
	return (piece) => {
		const all = (rest + piece).split('\n');
		rest = all.pop();
		for (const line of all) onLine(line);
	};
}

export class EventBooks {
	constructor(fleet) {
		Object.assign(this, { fleet, from: 'earliest', ids: new Set(), twins: new Map(), shown: new Map(), events: 0 });
	}

	twin(id) {
		if (!this.twins.has(id)) this.twins.set(id, { version: 0, made: false, reports: new Map(), messages: new Map() });
		return this.twins.get(id);
	}

	// A reader beside the load. It ends with its hub.
	async listen() {
		const { hub } = this.fleet;
		const headers = { Authorization: await hub.token() };
		this.reader = https.get({ host: hub.addr, port: hub.httpsPort, path: `/events?${API}`, headers, ca: hub.pem, agent: false }, (answer) => {
			answer.setEncoding('utf8').on('data', linesOf((line) => {
				const { id } = JSON.parse(line);
				if (id !== undefined) this.shown.set(id, line);
			})).on('error', () => {});
		}).on('error', () => {});
	}

	// All that has come to the log since the last time.
	async read() {
		this.reader?.destroy();
		const answer = await this.fleet.rest('GET', `/events?follow=false&from=${this.from}`);
		assert.equal(answer.status, 200, answer.text);
		for (const line of answer.text.trimEnd().split('\n')) this.#take(line, JSON.parse(line));
		assert.deepEqual([...this.shown.keys()], [], 'what readers were shown is in the log');
	}

	#take(line, event) {
		if (event.position !== undefined) {
			this.from = event.position;
			return;
		}
		assert.ok(!this.ids.has(event.id), `${event.id} comes twice`);
		this.ids.add(event.id);
		this.events++;
		if (this.shown.has(event.id)) assert.equal(line, this.shown.get(event.id), 'it is what readers were shown');
		this.shown.delete(event.id);
		const [, id] = event.subject.split('/');
		const book = { 'Microsoft.Devices.DeviceCreated': this.#made, 'Microsoft.Devices.DeviceDeleted': this.#deleted, 'Microsoft.Devices.DeviceTelemetry': this.#sent,
			'twinhub.twin.changed': this.#changed, 'twinhub.twin.replaced': this.#replaced }[event.type];
		book?.call(this, this.twin(id), event.data, `${id}: ${line.slice(0, 300)}`);
	}

	#made(twin, data, what) {
		assert.ok(!twin.made, what);
		twin.made = true;
		twin.version = data.twin.version;
	}

	#deleted(twin, data, what) {
		assert.ok(twin.made, what);
		twin.made = false;
	}

	#sent(twin, data) {
		const { n } = JSON.parse(Buffer.from(data.body, 'base64'));
		twin.messages.set(n, (twin.messages.get(n) ?? 0) + 1);
	}

	#changed(twin, { version, properties }, what) {
		assert.equal(version, twin.version + 1, `each step of the version: ${what}`);
		twin.version = version;
		if (properties?.reported) twin.reports.set(properties.reported.$version, properties.reported.seq);
	}

	#replaced(twin, { version }, what) { this.#changed(twin, { version }, what); }

	// After read(): a device's twin is as the log tells, and what was acknowledged to it is told.
	verifyDevice(id, twin, reports, messages) {
		const told = this.twin(id);
		assert.equal(told.version, twin.version, `${id}: the version of its last event`);
		for (const { n, version } of reports) assert.equal(told.reports.get(version), n, `${id}: the event of report ${n}`);
		for (const { n, acknowledged } of messages) {
			const times = told.messages.get(n) ?? 0;
			assert.ok(acknowledged ? times === 1 : times <= 1, `${id}: message ${n} has ${times} events`);
		}
		told.reports.clear();
	}

	verifyIdentities(prefix, ids) {
		const made = [...this.twins].filter(([id, twin]) => id.startsWith(prefix) && twin.made).map(([id]) => id);
		assert.deepEqual(made.sort(), [...ids].sort(), `${prefix}: made and not deleted`);
	}
}
