// Debian's mosquitto clients as devices, as people try a hub out by hand.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { makeCertificate, mqttUsername, sasToken, startHub, stopAll, tempDir, until } from '../lib/hub.mjs';
import { Program, runProgram } from '../lib/program.mjs';
import { walHolds, walProperty } from '../lib/wal.mjs';

let hub;
before(async () => { hub = await startHub(); });
after(() => stopAll(hub));

// What every one of them needs: where, who, and the key.
async function login(id, { password } = {}) {
	const known = await hub.rest('GET', `/devices/${id}`);
	const key = (known.status === 200 ? known.body : await hub.createDevice(id)).authentication.symmetricKey.primaryKey;
	return ['-h', hub.addr, '-p', '8883', '--cafile', hub.ca, '-i', id, '-u', mqttUsername(hub.addr, id), '-P', password ?? sasToken({ resource: `${hub.addr}/devices/${id}`, key })];
}

const publish = async (id, topic, message, ...more) => runProgram('mosquitto_pub', [...await login(id), '-t', topic, '-m', message, ...more]);

// A subscriber that has its SUBACK: {program, granted}. Without stdbuf it would keep its output back from a pipe.
async function subscriber(id, filters, ...more) {
	const program = new Program('stdbuf', ['-oL', 'mosquitto_sub', ...await login(id), ...filters.flatMap((f) => ['-t', f]), '-d', '-v', ...more]);
	const granted = await program.line((line) => line.startsWith('Subscribed'), 'its SUBACK');
	return { program, granted };
}

const connected = async (id) => (await hub.rest('GET', `/twins/${id}`)).body.connectionState === 'Connected';

test('D-61 mosquitto_pub sends telemetry with QoS 0 and 1, properties in the topic', async () => {
	for (const qos of ['0', '1']) {
		const end = await publish('pub1', 'devices/pub1/messages/events/%24.ct=application%2Fjson&floor=3', `by mosquitto_pub ${qos}`, '-q', qos);
		assert.deepEqual([end.code, end.stderr], [0, '']);
		await until(() => walHolds(hub, `by mosquitto_pub ${qos}`), 'the message in the log');
	}
	assert.ok(walHolds(hub, walProperty('floor', '3')));
	assert.ok(walHolds(hub, walProperty('content-type', 'application/json')));
});

test('D-40 mosquitto_pub -l sends a line at a time over one link', async () => {
	const program = new Program('mosquitto_pub', [...await login('pub2'), '-t', 'devices/pub2/messages/events/', '-q', '1', '-l']);
	for (let i = 0; i < 20; i++) program.write(`line ${i} of pub2\n`);
	program.child.stdin.end();
	assert.equal((await program.end()).code, 0);
	for (let i = 0; i < 20; i++) assert.ok(walHolds(hub, `line ${i} of pub2`), `line ${i}`);
});

test('D-45 a reported patch by mosquitto_pub is in the twin', async () => {
	assert.equal((await publish('rep1', '$iothub/twin/PATCH/properties/reported/?$rid=8', '{"fan":2}', '-q', '1')).code, 0);
	assert.deepEqual((await hub.rest('GET', '/twins/rep1')).body.properties.reported.fan, 2);
});

test('D-52 D-55 mosquitto_sub hears desired changes and calls of methods', async () => {
	const { program } = await subscriber('sub1', ['$iothub/twin/PATCH/properties/desired/#', '$iothub/methods/POST/#']);
	assert.equal((await hub.rest('PATCH', '/twins/sub1', { body: { properties: { desired: { level: 4 } } } })).status, 200);
	assert.equal(await program.line((line) => line.startsWith('$iothub/twin/PATCH'), 'the change'), '$iothub/twin/PATCH/properties/desired/?$version=2 {"level":4,"$version":2}');
	const call = hub.rest('POST', '/twins/sub1/methods', { body: { methodName: 'blink', payload: { n: 1 }, responseTimeoutInSeconds: 5 } });
	assert.match(await program.line((line) => line.startsWith('$iothub/methods'), 'the call'), /^\$iothub\/methods\/POST\/blink\/\?\$rid=[0-9a-z]+ \{"n":1\}$/);
	assert.equal((await call).status, 504); // nobody answers
	assert.equal((await program.end('SIGTERM')).code, 0);
});

test('D-35 D-82 mosquitto_sub -t \'#\' is granted; what a broker has beside is refused, filter by filter', async () => {
	for (const qos of ['0', '1']) {
		const { program, granted } = await subscriber('sub2', ['#'], '-q', qos);
		assert.equal(granted, `Subscribed (mid: 1): ${qos}`);
		await program.end('SIGTERM');
	}
	const { program, granted } = await subscriber('sub2', ['#', '$SYS/#', 'devices/other/messages/devicebound/#', '$iothub/twin/res/#']);
	assert.equal(granted, 'Subscribed (mid: 1): 0, 128, 128, 0');
	await program.end('SIGTERM');
});

test('D-21 mosquitto_sub -c finds its session again', async () => {
	const first = await subscriber('sub3', ['$iothub/twin/PATCH/properties/desired/#'], '-c');
	await first.program.end('SIGTERM');
	await until(async () => !await connected('sub3'), 'sub3 has gone');
	const { program: again } = await subscriber('sub3', ['#'], '-c');
	assert.equal((await hub.rest('PATCH', '/twins/sub3', { body: { properties: { desired: { kept: true } } } })).status, 200);
	await again.line((line) => line.startsWith('$iothub/twin/PATCH'), 'the change, without subscribing anew');
	await again.end('SIGTERM');
});

test('D-30 a will of mosquitto_sub is taken, stored when the link is cut, and not on another topic', async () => {
	const { program } = await subscriber('will1', ['#'], '--will-topic', 'devices/will1/messages/events/', '--will-payload', 'last words of will1');
	await program.end('SIGKILL');
	await until(() => walHolds(hub, 'last words of will1'), 'the will in the log');
	const refused = await runProgram('mosquitto_sub', [...await login('will1'), '-t', '#', '--will-topic', 'tele/will1/LWT', '--will-payload', 'x']);
	assert.notEqual(refused.code, 0);
});

test('D-18 mosquitto_pub with a certificate', async () => {
	const dir = tempDir('mosquitto'), leaf = makeCertificate({ dir, cn: 'cert1' });
	for (const [name, pem] of [['leaf.pem', leaf.cert], ['leaf.key', leaf.key]]) fs.writeFileSync(path.join(dir, name), pem);
	await hub.createDevice('cert1', { authentication: { type: 'selfSigned', x509Thumbprint: { primaryThumbprint: leaf.sha1 } } });
	const end = await runProgram('mosquitto_pub', ['-h', hub.addr, '-p', '8883', '--cafile', hub.ca, '--cert', path.join(dir, 'leaf.pem'), '--key', path.join(dir, 'leaf.key'),
		'-i', 'cert1', '-u', mqttUsername(hub.addr, 'cert1'), '-t', 'devices/cert1/messages/events/', '-m', 'by a certificate of mosquitto', '-q', '1']);
	assert.deepEqual([end.code, end.stderr], [0, '']);
	assert.ok(walHolds(hub, 'by a certificate of mosquitto'));
});

test('D-15 what is refused shows in the client: wrong key, MQTT 5, no TLS, an untrusted CA', async () => {
	const key = Buffer.alloc(32, 1).toString('base64');
	const send = (args) => runProgram('mosquitto_pub', [...args, '-t', 'devices/ref1/messages/events/', '-m', 'x', '-q', '1']);
	const wrong = await send(await login('ref1', { password: sasToken({ resource: `${hub.addr}/devices/ref1`, key }) }));
	assert.match(wrong.stderr, /not authorised/);
	assert.equal(wrong.code, 5);
	const v5 = await send([...await login('ref1'), '-V', 'mqttv5']);
	assert.match(v5.stderr, /unacceptable protocol version|Unsupported Protocol Version/i);
	const stranger = makeCertificate({ dir: tempDir('stranger'), cn: 'a stranger', ca: true });
	const untrusted = path.join(tempDir('untrusted'), 'ca.pem');
	fs.writeFileSync(untrusted, stranger.cert);
	for (const args of [(await login('ref1')).filter((a, i, all) => a !== '--cafile' && all[i - 1] !== '--cafile'), (await login('ref1')).map((a) => a === hub.ca ? untrusted : a)]) {
		assert.notEqual((await send(args)).code, 0);
	}
	assert.equal((await send(await login('ref1'))).code, 0, 'and the hub goes on');
});
