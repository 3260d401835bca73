// The Azure SDKs as the tests use them: the real packages, nothing changed in them.
import { createRequire } from 'node:module';
import { after } from 'node:test';
import { Inbox, within } from './wait.mjs';

const require = createRequire(import.meta.url);
export const { Registry } = require('azure-iothub');
export const { Client, Message, SharedAccessKeyAuthenticationProvider } = require('azure-iot-device');
export const { Mqtt, MqttWs } = require('azure-iot-device-mqtt');
const { ExponentialBackOffWithJitter } = require('azure-iot-common');

// The SDK's own policy, until the client is closed: close() ends no attempt to connect again that is under way, which without an end goes on
// for four minutes and keeps the process alive so long.
class UntilClosed extends ExponentialBackOffWithJitter {
	closed = false;
	shouldRetry(error) { return !this.closed && super.shouldRetry(error); }
}

// Whoever forgets to: a file ends when its tests do, on every Node.
const devices = new Set();
after(() => Promise.all([...devices].map((device) => device.close().catch(() => {}))));

// The registry client. It trusts the hub through NODE_EXTRA_CA_CERTS: run the file by tests/run.mjs.
export async function registryOf(hub, policy = 'iothubowner') {
	if (process.env.NODE_EXTRA_CA_CERTS !== hub.ca)
		throw new Error(`the service SDK does not trust this hub: run the file with \`node tests/run.mjs FILE\``);
	return Registry.fromConnectionString(await hub.connectionString(policy));
}

// Every error class of the service SDK has a name and not much more; its answer is in response and responseBody.
export async function rejection(promise) {
	try {
		await promise;
	} catch (error) {
		return error;
	}
	throw new Error('the call succeeded, an error was expected');
}

// A device of the SDK with its twin in hand. Every wait has an end.
export class SdkDevice {
	notifications = new Inbox(); // the patches that the hub sent
	connects = new Inbox();
	disconnects = new Inbox();

	#retries = new UntilClosed(true);

	constructor(client) {
		this.client = client;
		client.setRetryPolicy(this.#retries);
		devices.add(this);
		client.on('connect', () => this.connects.push('connect'));
		client.on('disconnect', (cause) => this.disconnects.push(cause));
		client.on('error', () => {});
	}

	static async open(client) {
		const device = new SdkDevice(client);
		await within(client.open(), 'the device client to open');
		await device.connects.next(undefined, 'connect');
		return device;
	}

	async readTwin() {
		this.twin = await within(this.client.getTwin(), 'the twin');
		return this.twin;
	}

	// Read the twin and listen for desired changes. Resolves when the subscription stands: the SDK tells nobody,
	// but a GET sent after its SUBSCRIBE is answered after its SUBACK. On subscribing and after each GET the SDK
	// gives its whole desired object to the same listeners (T-71); what the hub sent is always another object.
	async listen() {
		const twin = await this.readTwin();
		const first = twin.properties.desired;
		twin.on('properties.desired', (patch) => {
			if (patch !== first && patch !== twin.properties.desired) this.notifications.push(structuredClone(patch));
		});
		twin.on('error', () => {});
		return this.readTwin();
	}

	report(patch) {
		return within(new Promise((resolve, reject) => {
			this.twin.properties.reported.update(patch, (error) => error ? reject(error) : resolve());
		}), `the answer to the reported patch ${JSON.stringify(patch).slice(0, 100)}`);
	}

	notification(what = 'a desired notification') { return this.notifications.next(undefined, what); }

	close() {
		this.#retries.closed = true;
		devices.delete(this);
		return within(this.client.close(), 'the device client to close');
	}
}

// A device by connection string over MQTT (or MqttWs).
export async function sdkDevice(hub, id, { transport = Mqtt, connectionString } = {}) {
	const known = await hub.rest('GET', `/devices/${encodeURIComponent(id)}`);
	if (known.status === 404) await hub.createDevice(id);
	const client = Client.fromConnectionString(connectionString ?? await hub.deviceConnectionString(id), transport);
	await client.setOptions({ ca: hub.ca });
	return SdkDevice.open(client);
}

// A desired patch by the service SDK; returns the twin after it.
export async function desire(registry, id, desired, etag = '*') {
	return (await registry.updateTwin(id, { properties: { desired } }, etag)).responseBody;
}

export async function twinOf(registry, id) { return (await registry.getTwin(id)).responseBody; }
