// twinhub for tests: startHub() for devices in this program, the command twinhub-kit for everything else.
'use strict';
const { findProgram, startProgram } = require('./program.js');
const { Service } = require('./service.js');

const segment = encodeURIComponent;

class Hub {
	#service;
	#process;

	constructor(ready, process) {
		Object.assign(this, { hostName: ready.hostName, address: ready.address, httpsPort: ready.httpsPort, mqttsPort: ready.mqttsPort, data: ready.data,
			ca: ready.ca, connectionStrings: ready.connectionStrings });
		this.#service = new Service(ready);
		this.#process = process;
	}

	// Of iothubowner, which may do everything.
	get connectionString() { return this.connectionStrings.iothubowner; }
	// The CA's certificate, as `client.setOptions({ ca: hub.caPem })` takes it.
	get caPem() { return this.#service.pem; }
	// What the hub has logged last; of one that the wrapper has started nothing.
	get log() { return this.#process?.log ?? ''; }

	request(method, path, body, headers) { return this.#service.request(method, path, body, headers); }

	#identity({ deviceId, moduleId, authentication: { symmetricKey } = {} }) {
		const key = symmetricKey?.primaryKey;
		const who = `HostName=${this.hostName};DeviceId=${deviceId}${moduleId ? `;ModuleId=${moduleId}` : ''}`;
		return { deviceId, ...(moduleId ? { moduleId } : {}), primaryKey: key, connectionString: key ? `${who};SharedAccessKey=${key}` : `${who};x509=true` };
	}

	// What else an identity has: { status, authentication, capabilities, ... }.
	async createDevice(deviceId, identity = {}) {
		return this.#identity(await this.request('PUT', `/devices/${segment(deviceId)}`, { ...identity, deviceId }));
	}

	async createModule(deviceId, moduleId, identity = {}) {
		return this.#identity(await this.request('PUT', `/devices/${segment(deviceId)}/modules/${segment(moduleId)}`, { ...identity, deviceId, moduleId }));
	}

	// One that is there, of a seed for example.
	async device(deviceId) { return this.#identity(await this.request('GET', `/devices/${segment(deviceId)}`)); }

	// The hub's time: clock.advance('PT2H') or of seconds puts it ahead, clock.now() says what it is. Both resolve to { now, aheadSeconds }.
	get clock() {
		return { advance: (by) => this.request('POST', '/admin/clock', { advance: by }), now: () => this.request('GET', '/admin/clock') };
	}

	// What is to go wrong: add({ fault: 'dropLink', count: 2, device: 'd1' }), list() of what is left, clear().
	get faults() {
		return { add: (fault) => this.request('POST', '/admin/faults', fault), list: () => this.request('GET', '/admin/faults'), clear: () => this.request('DELETE', '/admin/faults') };
	}

	getTwin(deviceId) { return this.request('GET', `/twins/${segment(deviceId)}`); }
	updateTwin(deviceId, patch) { return this.request('PATCH', `/twins/${segment(deviceId)}`, patch); }

	// Ends the hub, and removes what it had. One that the wrapper has started is the wrapper's.
	async stop() { await this.#process?.stop(); }
}

// A hub of this program's own: { seed, ports, args, timeoutMs }.
async function startHub(options = {}) {
	const process = await startProgram(options);
	return new Hub(process.ready, process);
}

// The hub that `twinhub-kit -- ...` has started for this program.
function wrappedHub(env = process.env) {
	if (!env.TWINHUB_KIT) throw new Error('this program was not started by twinhub-kit: npx twinhub-kit -- node --test');
	return new Hub(JSON.parse(env.TWINHUB_KIT), null);
}

module.exports = { startHub, wrappedHub, findProgram };
