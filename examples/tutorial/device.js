// The device: follows desired.telemetryConfig and reports how far it has come.
//
//   node device.js "HostName=...;DeviceId=...;SharedAccessKey=..."     (or DEVICE_CONNECTION_STRING)
//
// A configuration takes time to apply, so its state is reported in steps:
//   Pending   accepted; the old values are still in force, the new ones stand in pendingConfig
//   Success   the new values are in force; pendingConfig is deleted in the same patch
//   Failed    they cannot be used; `reason` says why, the old values stay in force
// What is to be done is found by comparing the two configId, never from the order of events. So it does not
// matter when the connection is lost or the program starts anew: it reads the twin and goes on.
'use strict';
const { Client } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');

const connectionString = process.argv[2] ?? process.env.DEVICE_CONNECTION_STRING;
const APPLY_MS = Number(process.env.APPLY_SECONDS ?? 2) * 1000;
const ANSWER_MS = 10_000; // no answer in this time: the request was lost with its connection

if (!connectionString) {
	console.error('usage: node device.js "HostName=...;DeviceId=...;SharedAccessKey=..."');
	process.exit(2);
}
const client = Client.fromConnectionString(connectionString, Mqtt);
const say = (text) => console.log(`device: ${text}`);
let twin;
let working = false;
let changed = () => {}; // what is being applied hears of changes of the twin

// Stands for the work: takes its time, or ends when it has become pointless.
function work(wanted) {
	return new Promise((resolve) => {
		const done = setTimeout(resolve, APPLY_MS);
		changed = () => {
			if (twin.properties.desired.telemetryConfig?.configId === wanted.configId) return;
			clearTimeout(done);
			resolve();
		};
		changed(); // it may have come while Pending was reported
	});
}

// The configuration that still has to be brought to an end, or null.
function unsettled() {
	const wanted = twin.properties.desired.telemetryConfig;
	const known = twin.properties.reported.telemetryConfig ?? {};
	if (wanted?.configId === undefined) return null;
	if (known.status === 'Success' && known.configId === wanted.configId) return null;
	if (known.status === 'Failed' && known.pendingConfig?.configId === wanted.configId) return null;
	return { ...wanted }; // a copy: the SDK merges later changes into the object itself
}

// Send a patch of reported.telemetryConfig; resolves when the hub has it on disk.
function report(patch) {
	return new Promise((resolve, reject) => {
		const late = setTimeout(() => reject(new Error('the hub did not answer')), ANSWER_MS);
		twin.properties.reported.update({ telemetryConfig: patch }, (error) => {
			clearTimeout(late);
			if (error) reject(error);
			else resolve();
		});
	});
}

// What this device can do: "30s", "5m", "24h". Returns the reason why not, or null.
function objection({ sendFrequency }) {
	if (typeof sendFrequency === 'string' && /^[1-9]\d{0,5}[smh]$/.test(sendFrequency)) return null;
	return `sendFrequency ${JSON.stringify(sendFrequency)} is not a number with s, m or h`;
}

async function apply(wanted) {
	say(`new configuration ${wanted.configId}: sendFrequency ${JSON.stringify(wanted.sendFrequency)}`);
	await report({ status: 'Pending', reason: null, pendingConfig: { ...wanted } });
	say(`reported Pending; applying, this takes ${APPLY_MS / 1000} s`);
	await work(wanted);
	if (twin.properties.desired.telemetryConfig?.configId !== wanted.configId) {
		say('a newer configuration came meanwhile');
		return;
	}
	const reason = objection(wanted);
	if (reason !== null) {
		await report({ status: 'Failed', reason });
		say(`reported Failed: ${reason}`);
		return;
	}
	await report({ ...wanted, status: 'Success', pendingConfig: null });
	say(`reported Success: telemetry goes out every ${wanted.sendFrequency}`);
}

// Work until nothing is left. Called whenever something may have changed.
async function settle() {
	if (working) return; // the loop below looks again before it ends
	working = true;
	try {
		for (let wanted; (wanted = unsettled()) !== null;) await apply(wanted);
	} catch (error) {
		say(`interrupted: ${error.message}`);
		setTimeout(settle, 1000);
	} finally {
		working = false;
	}
}

// First subscribe, then read: a change made between the two arrives as a notification. The first getTwin()
// only serves to get the object with which the SDK subscribes.
async function start() {
	await client.open();
	twin = await client.getTwin();
	twin.on('properties.desired', () => {
		changed();
		settle();
	});
	twin.on('error', (error) => say(`twin: ${error.message}`));
	await client.getTwin();
	say('connected, following desired.telemetryConfig');
	// The SDK connects again by itself, but reads nothing: changes made meanwhile must be fetched.
	client.on('connect', () => setImmediate(() => client.getTwin().catch((error) => say(`reading the twin: ${error.message}`))));
	settle();
}

// The SDK says so only when it has given up connecting again (after four minutes, or when it was refused).
client.on('disconnect', () => {
	say('no connection any more');
	process.exit(1);
});
client.on('error', (error) => say(`client: ${error.message}`));
process.on('SIGTERM', () => client.close(() => process.exit(0)));
process.on('SIGINT', () => client.close(() => process.exit(0)));
start().catch((error) => {
	console.error(`device: ${error.message}`);
	process.exit(1);
});
