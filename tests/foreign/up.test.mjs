// ./up as who may not listen on port 443: a network of its own, without the capability.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import path from 'node:path';
import { REPOSITORY, tempDir, until } from '../lib/hub.mjs';

const ALONE = ['-rn', 'setpriv', '--bounding-set=-net_bind_service', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh'];
const possible = spawnSync('unshare', [...ALONE, 'true']).status === 0 && process.env.TWINHUB_BIN === undefined;

test('O-66 ./up without the right to 443 runs the tutorial all the same, in few lines', { skip: !possible && 'no user namespaces here, or another program is tested' }, async () => {
	const up = spawn('unshare', [...ALONE, './up', '--data', path.join(tempDir('up'), 'data')], { cwd: REPOSITORY, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
	let said = '';
	for (const stream of [up.stdout, up.stderr]) stream.setEncoding('utf8').on('data', (text) => { said += text; });
	const ended = new Promise((resolve) => up.on('close', resolve));
	try {
		await until(() => /up --help-443\n/.test(said) || up.exitCode !== null, 'the last line', { ms: 300_000 });
	} finally {
		if (up.exitCode === null) process.kill(-up.pid, 'SIGTERM');
		await ended;
	}
	assert.match(said, /^No right to port 443 here: HTTPS is on 8443/m);
	assert.match(said, /^twinhub ready: 127\.0\.0\.1, https 8443, mqtts 8883/m);
	assert.match(said, /^device: reported Success: /m);
	assert.match(said, /^device: reported Failed: /m);
	assert.match(said, /^== The tutorial succeeded$/m);
	assert.match(said, /^ {2}device {4}HostName=127\.0\.0\.1;DeviceId=thermostat-1;SharedAccessKey=/m);
	assert.ok(said.trimEnd().split('\n').length <= 30, said);
});
