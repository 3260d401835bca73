// One life of a device and of a module with the SDKs of the registry, over each transport that they have and with each way to
// prove who they are. What an SDK does in corners has files of its own in tests/sdk; this one shows that every combination works.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { makeCertificate, sasToken, startHub, stopAll, tempDir, until, within } from '../lib/hub.mjs';
import { Client, Message, Mqtt, MqttWs, registryOf, SdkDevice } from '../lib/sdk.mjs';
import { walHolds, walProperty } from '../lib/wal.mjs';

const require = createRequire(import.meta.url);
const { ModuleClient } = require('azure-iot-device');
const { Client: ServiceClient } = require('azure-iothub');
const { Http } = require('azure-iot-device-http');
const TRANSPORTS = { mqtt: Mqtt, 'mqtt-ws': MqttWs, http: Http };
const dir = tempDir('matrix');
const hubs = [];
let hub, registry, service, root;

before(async () => {
	root = makeCertificate({ dir, cn: 'Matrix root', ca: true });
	hubs.push(hub = await startHub({ args: ['--client-ca', root.certFile] }));
	registry = await registryOf(hub);
	service = ServiceClient.fromConnectionString(await hub.connectionString('iothubowner'));
});
after(() => stopAll(...hubs));

const once = (object, name, ...args) => within(new Promise((resolve, reject) => object[name](...args, (error, result) => error ? reject(error) : resolve(result))), name);

// Ways to prove it: {authentication (of the identity's record), leaf (a certificate), client (made from keys)}.
const PROOFS = {
	key: (id) => ({ client: (transport, C, keys) => C.fromConnectionString(`HostName=${hub.addr};${id};SharedAccessKey=${keys.primaryKey}`, transport) }),
	'secondary key': (id) => ({ client: (transport, C, keys) => C.fromConnectionString(`HostName=${hub.addr};${id};SharedAccessKey=${keys.secondaryKey}`, transport) }),
	token: (id, resource) => ({ client: (transport, C, keys) => C.fromSharedAccessSignature(sasToken({ resource: `${hub.addr}${resource}`, key: keys.primaryKey }), transport) }),
	thumbprint: (id, resource, cn) => {
		const leaf = makeCertificate({ dir, cn });
		return { leaf, authentication: { type: 'selfSigned', x509Thumbprint: { primaryThumbprint: leaf.sha1 } } };
	},
	'a CA': (id, resource, cn) => ({ leaf: makeCertificate({ dir, cn, issuer: root }), authentication: { type: 'certificateAuthority' } }),
};

function clientOf(proof, id, transport, C, keys) {
	return proof.client ? proof.client(transport, C, keys) : C.fromConnectionString(`HostName=${hub.addr};${id};x509=true`, transport);
}

// The keys of the identity that is made.
async function identify(proof, device, module) {
	const body = { deviceId: device, ...(module ? { moduleId: module } : {}), ...(proof.authentication ? { authentication: proof.authentication } : {}) };
	if (module) await registry.create({ deviceId: device });
	const made = (module ? await registry.addModule(body) : await registry.create(body)).responseBody;
	return made.authentication.symmetricKey;
}

async function opened(client, proof) {
	await within(client.setOptions({ ca: hub.pem, ...(proof.leaf ? { cert: proof.leaf.cert, key: proof.leaf.key } : {}) }), 'setOptions');
	return SdkDevice.open(client);
}

const twin = async (device, module) => (module ? await registry.getModuleTwin(device, module) : await registry.getTwin(device)).responseBody;
const patch = (device, module, change) => module ? registry.updateModuleTwin(device, module, change, '*') : registry.updateTwin(device, change, '*');

async function life(d, device, module, name) {
	await d.listen();
	await d.report({ by: name, nested: { list: [1, { two: 2 }] } });
	const { $version, $metadata, ...reported } = (await twin(device, module)).properties.reported;
	assert.deepEqual([reported, $version], [{ by: name, nested: { list: [1, { two: 2 }] } }, 2]);
	await patch(device, module, { tags: { seen: name }, properties: { desired: { level: 7 } } });
	assert.deepEqual(await d.notification(), { level: 7, $version: 2 });
	const answer = (request, response) => response.send(202, { had: request.payload }, () => {});
	if (module) d.client.onMethod('calibrate', answer);
	else d.client.onDeviceMethod('calibrate', answer);
	const call = { methodName: 'calibrate', payload: { to: [1, 2] }, responseTimeoutInSeconds: 20, connectTimeoutInSeconds: 20 };
	const result = await within(module ? service.invokeDeviceMethod(device, module, call) : service.invokeDeviceMethod(device, call), 'the method');
	assert.deepEqual(result.result, { status: 202, payload: { had: { to: [1, 2] } } });
	const message = new Message(`telemetry of ${name}`);
	message.properties.add('matrix', name.replace(/ /g, '-'));
	await within(d.client.sendEvent(message), 'sendEvent');
	for (const want of [`telemetry of ${name}`, walProperty('matrix', name.replace(/ /g, '-'))]) assert.ok(walHolds(hub, want), `${want}`);
}

let n = 0;
for (const transport of ['mqtt', 'mqtt-ws']) {
	for (const proofName of Object.keys(PROOFS)) {
		// This SDK's module client proves itself by keys and tokens only.
		for (const module of ['thumbprint', 'a CA'].includes(proofName) ? [undefined] : [undefined, 'm1']) {
			const device = `matrix${++n}`, cn = module ? `${device}/${module}` : device;
			const id = `DeviceId=${device}${module ? `;ModuleId=${module}` : ''}`, name = `${transport} ${proofName} ${module ? 'module' : 'device'}`;
			test(`D-12 D-18 D-43 D-45 D-52 D-55 the SDK over ${transport}: a ${module ? 'module' : 'device'} by ${proofName}`, async () => {
				const proof = PROOFS[proofName](id, module ? `/devices/${device}/modules/${module}` : `/devices/${device}`, cn);
				const keys = await identify(proof, device, module);
				const d = await opened(clientOf(proof, id, TRANSPORTS[transport], module ? ModuleClient : Client, keys), proof);
				await life(d, device, module, name);
				await d.close();
				await until(async () => (await twin(device, module)).connectionState === 'Disconnected', `${name} has gone`);
				assert.equal((await twin(device, module)).tags.seen, name);
			});
		}
	}
}

for (const proofName of Object.keys(PROOFS)) {
	const device = `web${++n}`;
	test(`R-106 the SDK over http: a device by ${proofName} sends`, async () => {
		const proof = PROOFS[proofName](`DeviceId=${device}`, `/devices/${device}`, device);
		const keys = await identify(proof, device);
		const client = clientOf(proof, `DeviceId=${device}`, Http, Client, keys);
		if (proof.leaf) client.setOptions({ cert: proof.leaf.cert, key: proof.leaf.key }); // this transport never calls back
		await once(client, 'sendEvent', new Message(`over http by ${proofName}`));
		assert.ok(walHolds(hub, `over http by ${proofName}`));
		await once(client, 'close');
	});
}

test('D-15 what the SDK says of a wrong key and of an untrusted CA: Not authorized, either way', async () => {
	await registry.create({ deviceId: 'wrong' });
	const errorOf = async (options, key) => {
		const client = Client.fromConnectionString(`HostName=${hub.addr};DeviceId=wrong;SharedAccessKey=${key}`, Mqtt);
		client.setRetryPolicy(new (require('azure-iot-common').NoRetry)());
		if (options) await client.setOptions(options);
		return within(client.open().then(() => null, (error) => error), 'open to fail');
	};
	const own = (await registry.get('wrong')).responseBody.authentication.symmetricKey.primaryKey;
	const wrong = await errorOf({ ca: hub.pem }, Buffer.alloc(32, 5).toString('base64'));
	assert.match(`${wrong?.name} ${wrong?.message}`, /UnauthorizedError|Not authorized/i);
	const stranger = makeCertificate({ dir, cn: 'nobody trusts', ca: true });
	const untrusted = await errorOf({ ca: stranger.cert }, own);
	assert.match(`${untrusted?.name} ${untrusted?.message}`, /UnauthorizedError|Not authorized/i);
});
