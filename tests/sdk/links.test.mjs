// What a link depends on: the key, policy or CA that opened it (device-mqtt.md 2.3 to 2.4a), over real links.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { deviceLogin, makeCertificate, mqttDevice, mqttUsername, onPostgres, RawMqtt, sasToken, startHub, stopAll, tempDir, until } from '../lib/hub.mjs';

const KEY = Buffer.alloc(32, 7).toString('base64');
const dir = tempDir('links');
const caFile = path.join(dir, 'client-ca.pem');
let hub, ca;

before(async () => {
	ca = makeCertificate({ dir, cn: 'a client CA', ca: true });
	fs.writeFileSync(caFile, ca.cert);
	hub = await startHub({ args: ['--client-ca', caFile, '--io-threads', '2', '--max-token-ttl', '100000', '--mqtt-port', '1883'] });
});
after(() => stopAll(hub));

const logged = (pattern) => until(() => pattern.test(hub.logs), `a line like ${pattern}`);

async function policyKeys(name) { return (await hub.rest('GET', `/admin/policies/${name}`)).body; }

// A live link of the device, with a token of this policy's key.
async function linkByPolicy(id, name, side) {
	await hub.createDevice(id);
	const password = sasToken({ resource: hub.addr, key: (await policyKeys(name))[`${side}Key`], policy: name });
	const c = await RawMqtt.open(hub);
	assert.equal((await c.connect({ clientId: id, username: mqttUsername(hub.addr, id), password })).code, 0);
	return c;
}

test('D-81 rotating one key of a policy closes the links of that key, with a reason, and no other', async () => {
	const [first, second, own] = [await linkByPolicy('p1', 'device', 'primary'), await linkByPolicy('p2', 'device', 'secondary'), await mqttDevice(hub, 'p3')];
	assert.equal((await hub.rest('POST', '/admin/policies/device/rotate?key=secondary')).status, 200);
	await second.closed('the link of the rotated key');
	await logged(/msg="connection closed" reason=policy-key-changed by=operator .*device=p2 policy=device /);
	await first.ping();
	await own.ping();
	assert.equal((await hub.rest('POST', '/admin/policies/device/rotate?key=primary')).status, 200);
	await first.closed('the link of the other key');
	await own.ping();
	own.destroy();
});

test('D-81 a device\'s new key, a regenerated key and a bulk update close what the old one opened', async () => {
	const keys = async (id) => (await hub.rest('GET', `/devices/${id}`)).body;
	const c = await mqttDevice(hub, 'k1');
	const identity = await keys('k1');
	const put = (primaryKey, secondaryKey) => hub.rest('PUT', '/devices/k1', { headers: { 'If-Match': '*' }, body: { deviceId: 'k1', authentication: { symmetricKey: { primaryKey, secondaryKey } } } });
	assert.equal((await put(identity.authentication.symmetricKey.primaryKey, KEY)).status, 200);
	await c.ping(); // the other side
	assert.equal((await put(KEY, KEY)).status, 200);
	await c.closed('the link of the replaced key');
	await logged(/reason=key-changed by=operator .*device=k1 /);
	const d = await mqttDevice(hub, 'k2');
	assert.equal((await hub.rest('POST', '/devices/keys/regenerate', { body: { policyKey: 'primaryKey', devices: [{ id: 'k2' }] } })).status, 200);
	await d.closed('the link of the regenerated key');
	const e = await mqttDevice(hub, 'k3');
	const item = { id: 'k3', importMode: 'update', authentication: { type: 'sas', symmetricKey: { primaryKey: KEY, secondaryKey: KEY } } };
	assert.equal((await hub.rest('POST', '/devices', { body: [item] })).status, 200);
	await e.closed('the link of the key that the bulk call replaced');
	const f = await mqttDevice(hub, 'k4');
	const line = { ...item, id: 'k4', importMode: 'createOrUpdate' };
	assert.equal((await hub.rest('POST', '/admin/import', { body: `${JSON.stringify(line)}\n` })).status, 200);
	await f.closed('the link of the key that the import replaced');
});

// A live link of a module, signed with this key.
async function moduleLink(id, module, key, resource = `${hub.addr}/devices/${id}`) {
	const c = await RawMqtt.open(hub);
	const { code } = await c.connect({ clientId: `${id}/${module}`, username: mqttUsername(hub.addr, `${id}/${module}`), password: sasToken({ resource, key }) });
	return code === 0 ? c : code;
}

test('D-79 D-81 a device\'s key opens its modules; when it goes, so do their links', async () => {
	const device = (await hub.createDevice('md')).authentication.symmetricKey;
	await hub.createDevice('other');
	for (const m of ['m1', 'm2']) assert.equal((await hub.rest('PUT', `/devices/md/modules/${m}`, { body: { deviceId: 'md', moduleId: m } })).status, 200);
	const own = (await hub.rest('GET', '/devices/md/modules/m2')).body.authentication.symmetricKey.primaryKey;
	const one = await moduleLink('md', 'm1', device.primaryKey), two = await moduleLink('md', 'm2', own, `${hub.addr}/devices/md/modules/m2`);
	assert.equal(await moduleLink('other', 'm1', device.primaryKey), 5);
	assert.equal(await moduleLink('md', 'm1', own), 5);
	await hub.rest('PUT', '/devices/md', { headers: { 'If-Match': '*' }, body: { deviceId: 'md', authentication: { symmetricKey: { primaryKey: KEY, secondaryKey: KEY } } } });
	await one.closed('the module\'s link that the device\'s key opened');
	await two.ping();
	await hub.rest('PUT', '/devices/md', { headers: { 'If-Match': '*' }, body: { deviceId: 'md', status: 'disabled' } });
	await two.closed('the link of a disabled device\'s module');
});

test('D-81 a replaced thumbprint closes what its certificate opened, of devices and modules, and no other', async () => {
	const print = () => makeCertificate({ dir, cn: 'new' }).sha1;
	for (const [device, module] of [['t1'], ['tm', 'm1']]) {
		const target = module ? `/devices/${device}/modules/${module}` : `/devices/${device}`, id = module ? `${device}/${module}` : device;
		if (module) await hub.createDevice(device);
		const put = async (primaryThumbprint, secondaryThumbprint) => {
			const answer = await hub.rest('PUT', target, { headers: { 'If-Match': '*' }, body: { deviceId: device, ...(module ? { moduleId: module } : {}),
				authentication: { type: 'selfSigned', x509Thumbprint: { primaryThumbprint, secondaryThumbprint } } } });
			assert.ok(answer.status < 300, answer.text);
		};
		const leaf = makeCertificate({ dir, cn: id });
		const link = async () => {
			const c = await RawMqtt.open(hub, { cert: leaf.cert, key: leaf.key });
			assert.equal((await c.connect({ clientId: id, username: mqttUsername(hub.addr, id) })).code, 0);
			return c;
		};
		if (module) await hub.rest('PUT', target, { body: { deviceId: device, moduleId: module } });
		else await hub.createDevice(device);
		const [other, third] = [print(), print()];
		await put(leaf.sha1, other);
		const primary = await link();
		await put(leaf.sha1.toLowerCase(), third); // the other side; the digits of this one in the other case
		await primary.ping();
		await put(other, leaf.sha1); // they change places
		await primary.ping();
		await put(other, third);
		await primary.closed(`the link of the replaced thumbprint of ${id}`);
		await put(third, leaf.sha1);
		const secondary = await link();
		await put(other, leaf.sha1);
		await secondary.ping();
		await put(other, third);
		await secondary.closed(`the link of the replaced secondary thumbprint of ${id}`);
	}
});

test('D-81 each side of a module\'s keys closes its own links; another type of authentication closes both', async () => {
	await hub.createDevice('mk');
	const target = '/devices/mk/modules/m1', resource = () => `${hub.addr}/devices/mk/modules/m1`;
	await hub.rest('PUT', target, { body: { deviceId: 'mk', moduleId: 'm1' } });
	const keys = async () => (await hub.rest('GET', target)).body.authentication.symmetricKey;
	const regenerate = (policyKey) => hub.rest('POST', '/devices/keys/regenerate', { body: { policyKey, devices: [{ id: 'mk', moduleId: 'm1' }] } });
	const first = await moduleLink('mk', 'm1', (await keys()).primaryKey, resource());
	assert.equal((await regenerate('secondaryKey')).status, 200);
	await first.ping();
	assert.equal((await regenerate('primaryKey')).status, 200);
	await first.closed('the link of the module\'s regenerated primary key');
	const second = await moduleLink('mk', 'm1', (await keys()).secondaryKey, resource());
	assert.equal((await regenerate('primaryKey')).status, 200);
	await second.ping();
	assert.equal((await hub.rest('PUT', target, { headers: { 'If-Match': '*' }, body: { deviceId: 'mk', moduleId: 'm1', authentication: { type: 'certificateAuthority' } } })).status, 200);
	await second.closed('the link of a module that authenticates otherwise now');
});

test('D-80 an Edge runtime\'s token in small letters is good with its own key, not with a policy\'s', async () => {
	const device = (await hub.createDevice('Dev1')).authentication.symmetricKey;
	const connect = async (password) => {
		const c = await RawMqtt.open(hub);
		const { code } = await c.connect({ clientId: 'Dev1', username: mqttUsername(hub.addr, 'Dev1'), password });
		c.destroy();
		return code;
	};
	assert.equal(await connect(sasToken({ sr: `${hub.addr}%2fdevices%2fdev1`, key: device.primaryKey })), 0);
	const policy = await policyKeys('device');
	assert.equal(await connect(sasToken({ sr: `${hub.addr}%2fdevices%2fdev1`, key: policy.primaryKey, policy: 'device' })), 5);
	assert.equal(await connect(sasToken({ sr: `${hub.addr}%2fdevices%2fDev1`, key: policy.primaryKey, policy: 'device' })), 0);
});

test('R-112 an edge device that speaks for one below it is refused, and the log says what it is', async () => {
	const edge = (await hub.createDevice('nest', { capabilities: { iotEdge: true } }));
	const child = (await hub.createDevice('nested', { deviceScope: edge.deviceScope })).authentication.symmetricKey;
	const connect = async (key, resource) => {
		const c = await RawMqtt.open(hub);
		const { code } = await c.connect({ clientId: 'nested', username: mqttUsername(hub.addr, 'nested', 'api-version=2020-09-30&DeviceClientType=edge&auth-chain=nested%3Bnest'), password: sasToken({ resource: `${hub.addr}${resource}`, key }) });
		c.destroy();
		return code;
	};
	assert.equal(await connect(edge.authentication.symmetricKey.primaryKey, '/devices/nest/modules/$edgeHub'), 5);
	await logged(/CONNECT refused.* reason=nested-edge .*device=nested /);
	assert.equal(await connect(child.primaryKey, '/devices/nested'), 0, 'its own key is good');
});

test('L-79 --max-token-ttl refuses tokens that end too late, and says so to who has the key', async () => {
	const expires = Math.floor(Date.now() / 1000) + 200000;
	const device = (await hub.createDevice('ttl')).authentication.symmetricKey;
	const password = sasToken({ resource: `${hub.addr}/devices/ttl`, key: device.primaryKey, expires });
	await until(async () => { // again, for only so many lines are written in a second
		const c = await RawMqtt.open(hub);
		assert.equal((await c.connect(deviceLogin(hub, 'ttl', device.primaryKey, { password }))).code, 5);
		c.destroy();
		return /msg="CONNECT refused" reason=token-life .*device=ttl /.test(hub.logs);
	}, 'the reason in the log');
	const owner = await policyKeys('iothubowner');
	const late = sasToken({ resource: hub.addr, key: owner.primaryKey, policy: 'iothubowner', expires });
	const answer = await hub.rest('GET', '/devices/ttl', { token: late });
	assert.equal(answer.status, 401);
	assert.match(answer.body.Message, /--max-token-ttl/);
	const forged = sasToken({ resource: hub.addr, key: KEY, policy: 'iothubowner', expires });
	assert.doesNotMatch((await hub.rest('GET', '/devices/ttl', { token: forged })).body.Message, /ttl/);
});

test('L-79 --max-token-ttl is never so short that it refuses the command line\'s own tokens', async () => {
	const dir = tempDir('ttl'), args = (seconds) => ({ dir: path.join(dir, 'data'), args: ['--max-token-ttl', String(seconds), '--io-threads', '1', '--workers', '1'] });
	for (const seconds of [1, 60, 899]) await assert.rejects(startHub(args(seconds)), /--max-token-ttl \d+: not a number from 900 to 315360000, or 0/);
	const other = await startHub(args(900));
	try {
		assert.equal((await other.cli(['device', 'list'])).code, 0);
	} finally {
		await other.stop();
	}
});

test('D-81 a client CA that is removed takes the links of its certificates along', async () => {
	await hub.createDevice('x1', { authentication: { type: 'certificateAuthority' } });
	const leaf = makeCertificate({ dir, cn: 'x1', issuer: ca });
	const c = await RawMqtt.open(hub, { cert: leaf.cert, key: leaf.key });
	assert.equal((await c.connect({ clientId: 'x1', username: mqttUsername(hub.addr, 'x1') })).code, 0);
	const stays = await mqttDevice(hub, 'x2');
	fs.writeFileSync(caFile, makeCertificate({ dir, cn: 'another client CA', ca: true }).cert);
	process.kill(hub.pid, 'SIGHUP');
	await c.closed('the link of the removed CA');
	await logged(/reason=ca-removed by=operator .*device=x1 /);
	await stays.ping();
	stays.destroy();
});

test('D-81 so does one that is removed while the hub\'s own CA is damaged', async () => {
	const key = path.join(hub.dir, 'ca.key'), other = makeCertificate({ dir, cn: 'a third client CA', ca: true });
	const reload = (cert) => { fs.writeFileSync(caFile, cert); process.kill(hub.pid, 'SIGHUP'); };
	const loaded = hub.logs.split('msg="certificates loaded anew"').length;
	reload(other.cert);
	await until(() => hub.logs.split('msg="certificates loaded anew"').length > loaded, 'the other CA to be loaded');
	await hub.createDevice('x3', { authentication: { type: 'certificateAuthority' } });
	const leaf = makeCertificate({ dir, cn: 'x3', issuer: other });
	let c;
	await until(async () => {
		c = await RawMqtt.open(hub, { cert: leaf.cert, key: leaf.key });
		return (await c.connect({ clientId: 'x3', username: mqttUsername(hub.addr, 'x3') })).code === 0;
	}, 'a link by the other CA');
	fs.renameSync(key, `${key}.away`);
	reload(ca.cert);
	await c.closed('the link of the removed CA');
	if (!onPostgres) await logged(/level=error msg="certificates: /); // there it is a copy (O-223)
	await logged(/reason=ca-removed by=operator .*device=x3 /);
	fs.renameSync(`${key}.away`, key);
	reload(ca.cert);
});

// The last ones: they fill the log with more lines than are written in a second.

// So many live links, by plain MQTT; password(i) is what the device has.
async function manyLinks(name, n, password) {
	const links = [];
	for (let from = 0; from < n; from += 100) {
		links.push(...await Promise.all(Array.from({ length: Math.min(100, n - from) }, async (_, k) => {
			const id = `${name}${from + k}`, c = await RawMqtt.open(hub, { plain: true });
			assert.equal((await c.connect({ clientId: id, username: mqttUsername(hub.addr, id), password: password(id) })).code, 0);
			return c;
		})));
	}
	return links;
}

const imported = async (lines) => {
	const answer = await hub.rest('POST', '/admin/import', { body: lines.map((line) => `${JSON.stringify(line)}\n`).join('') });
	assert.deepEqual([answer.status, answer.body.errors ?? []], [200, []], answer.text);
};

const MANY = 2000;

// Closings at the promised rate take at least so long, however slow the machine is, and the client sees none before it happened.
const paced = (began) => assert.ok(performance.now() - began >= (MANY - 1000) / 1000 * 1000, `${MANY} links in ${performance.now() - began} ms`);

test('D-81 the links of a rotated policy key are all closed, at most 1,000 a second', async () => {
	await imported(Array.from({ length: MANY }, (_, i) => ({ id: `rp${i}` })));
	const { secondaryKey } = await policyKeys('iothubowner');
	const password = sasToken({ resource: hub.addr, key: secondaryKey, policy: 'iothubowner' });
	const links = await manyLinks('rp', MANY, () => password), stays = await mqttDevice(hub, 'stays');
	const began = performance.now();
	assert.equal((await hub.rest('POST', '/admin/policies/iothubowner/rotate?key=secondary')).status, 200);
	await Promise.all(links.map((c) => c.closed('a link of the rotated key')));
	paced(began);
	await stays.ping();
	stays.destroy();
});

test('D-81 so are those of identities\' keys, also when all of them say something meanwhile', async () => {
	const keys = (primaryKey) => ({ authentication: { type: 'sas', symmetricKey: { primaryKey, secondaryKey: KEY } } });
	const line = (i, key) => ({ id: `rk${i}`, importMode: 'createOrUpdate', ...keys(key) }), old = Buffer.alloc(32, 9).toString('base64');
	await imported(Array.from({ length: MANY }, (_, i) => line(i, old)));
	const links = await manyLinks('rk', MANY, (id) => sasToken({ resource: `${hub.addr}/devices/${id}`, key: old }));
	const began = performance.now();
	await imported(Array.from({ length: MANY }, (_, i) => line(i, KEY)));
	links.forEach((c, i) => c.publish(`devices/rk${i}/messages/events/`, 'said too late'));
	await Promise.all(links.map((c) => c.closed('a link of the replaced key')));
	paced(began);
	await logged(/reason=key-changed by=operator .*device=rk\d+ /);
});
