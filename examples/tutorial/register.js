// Registers a device (or finds it, when it is there already) and prints its connection string.
//
//   node register.js "HostName=...;SharedAccessKeyName=...;SharedAccessKey=..." DEVICE
'use strict';
const { Registry } = require('azure-iothub');

const [connectionString, deviceId] = process.argv.slice(2);
if (!connectionString || !deviceId) {
	console.error('usage: node register.js "HostName=...;SharedAccessKeyName=...;SharedAccessKey=..." DEVICE');
	process.exit(2);
}

async function main() {
	const registry = Registry.fromConnectionString(connectionString);
	const host = /(?:^|;)HostName=([^;]+)/.exec(connectionString)[1];
	const identity = await registry.create({ deviceId }).catch((error) => {
		if (error.name !== 'DeviceAlreadyExistsError') throw error;
		return registry.get(deviceId);
	});
	const key = identity.responseBody.authentication.symmetricKey.primaryKey;
	console.log(`HostName=${host};DeviceId=${deviceId};SharedAccessKey=${key}`);
}

main().catch((error) => {
	console.error(`register: ${error.message}`);
	process.exitCode = 1;
});
