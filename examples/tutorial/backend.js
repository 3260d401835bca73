// The back end: gives a device a new telemetryConfig and follows it until the device is done.
//
//   node backend.js "HostName=...;SharedAccessKeyName=...;SharedAccessKey=..." DEVICE [SENDFREQUENCY]
//
// Exit code 0: applied; 1: the device reported Failed; 2: usage; 3: no end within a minute, or another error.
'use strict';
const { Registry } = require('azure-iothub');
const { randomUUID } = require('node:crypto');

const [connectionString, deviceId, sendFrequency = '5m'] = process.argv.slice(2);
const PATIENCE_MS = Number(process.env.PATIENCE_SECONDS ?? 60) * 1000;
const LOOK_MS = 250;

if (!connectionString || !deviceId) {
	console.error('usage: node backend.js "HostName=...;SharedAccessKeyName=...;SharedAccessKey=..." DEVICE [SENDFREQUENCY]');
	process.exit(2);
}
const registry = Registry.fromConnectionString(connectionString);
const say = (text) => console.log(`back end: ${text}`);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function query(text) {
	const rows = [];
	const pages = registry.createQuery(text, 100);
	// Without a token, next() as a promise would give the first page for ever.
	while (pages.hasMoreResults) rows.push(...(await pages.next(pages.continuationToken)).result);
	return rows;
}

// Ask for the change. The etag makes sure that no other back end's change is overwritten unseen.
async function ask() {
	const twin = (await registry.getTwin(deviceId)).responseBody;
	const configId = randomUUID();
	const patch = { properties: { desired: { telemetryConfig: { configId, sendFrequency } } } };
	const changed = (await registry.updateTwin(deviceId, patch, twin.etag)).responseBody;
	say(`asked ${deviceId} for sendFrequency ${sendFrequency} (configId ${configId}, desired version ${changed.properties.desired.$version})`);
	return configId;
}

// Read the twin until the device has brought this configuration to an end; returns what it reported.
async function follow(configId) {
	const end = Date.now() + PATIENCE_MS;
	for (let shown; Date.now() < end; await pause(LOOK_MS)) {
		const twin = (await registry.getTwin(deviceId)).responseBody;
		const state = twin.properties.reported.telemetryConfig ?? {};
		const mine = state.configId === configId || state.pendingConfig?.configId === configId;
		const status = mine ? state.status : 'not seen by the device yet';
		if (status !== shown) say(`twin read: ${shown = status}`);
		if (mine && (status === 'Success' || status === 'Failed')) return state;
	}
	throw new Error(`no end of ${configId} in ${PATIENCE_MS / 1000} s`);
}

// The same seen over the whole fleet, as one would with a million devices.
async function survey(configId) {
	const devices = await query('SELECT deviceId, properties.reported.telemetryConfig.status AS status FROM devices ' +
		`WHERE properties.desired.telemetryConfig.configId = '${configId}'`);
	for (const row of devices) say(`query: ${row.deviceId} has status ${row.status}`);
	const groups = await query('SELECT properties.reported.telemetryConfig.status AS status, COUNT() AS numberOfDevices ' +
		'FROM devices GROUP BY properties.reported.telemetryConfig.status');
	for (const row of groups) say(`query: ${row.numberOfDevices} device(s) with status ${row.status ?? '(none)'}`);
	return devices;
}

async function main() {
	const configId = await ask();
	const state = await follow(configId);
	const seen = (await survey(configId)).find((row) => row.deviceId === deviceId);
	if (seen?.status !== state.status) throw new Error(`the query does not show ${deviceId} as ${state.status}`);
	if (state.status === 'Failed') {
		say(`the device could not apply it: ${state.reason}`);
		return 1;
	}
	say(`applied: ${deviceId} sends every ${state.sendFrequency}`);
	return 0;
}

main().then((code) => { process.exitCode = code; }, (error) => {
	console.error(`back end: ${error.message}`);
	process.exitCode = 3;
});
