// A back end and a device, both with the real SDKs, at a hub on this network's localhost: what each writes, the other reads. Run in the network of
// a container, NODE_EXTRA_CA_CERTS naming the hub's CA: clients.mjs CONNECTION_STRING DEVICE. Prints "used" when all was so.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import fs from 'node:fs';

const require = createRequire(import.meta.url);
const { Registry, Client: ServiceClient } = require('azure-iothub');
const { Client } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');

const [connectionString, deviceId] = process.argv.slice(2);
const hostName = /HostName=([^;]+)/.exec(connectionString)[1];
const registry = Registry.fromConnectionString(connectionString);
const { responseBody: identity } = await registry.create({ deviceId });

const device = Client.fromConnectionString(`HostName=${hostName};DeviceId=${deviceId};SharedAccessKey=${identity.authentication.symmetricKey.primaryKey}`, Mqtt);
await device.setOptions({ ca: fs.readFileSync(process.env.NODE_EXTRA_CA_CERTS, 'utf8') });
await device.open();
const twin = await device.getTwin();
const wanted = new Promise((resolve) => { twin.on('properties.desired.target', resolve); });
await new Promise((resolve, reject) => { twin.properties.reported.update({ temperature: 19 }, (error) => (error ? reject(error) : resolve())); });
device.onDeviceMethod('reboot', (request, response) => response.send(200, { in: request.payload.in }));
await registry.updateTwin(deviceId, { properties: { desired: { target: 21 } } }, '*');
assert.equal(await wanted, 21);
const { responseBody: seen } = await registry.getTwin(deviceId);
assert.deepEqual([seen.properties.reported.temperature, seen.connectionState], [19, 'Connected']);
const service = ServiceClient.fromConnectionString(connectionString);
const { result } = await service.invokeDeviceMethod(deviceId, { methodName: 'reboot', payload: { in: 5 }, responseTimeoutInSeconds: 10 });
assert.deepEqual([result.status, result.payload], [200, { in: 5 }]);
await device.close();
console.log('used');
process.exit(0);
