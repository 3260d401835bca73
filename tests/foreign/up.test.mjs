// ./up as who may not listen on port 443: a network of its own, without the capability.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { REPOSITORY } from '../lib/hub.mjs';

const ALONE = ['-rn', 'setpriv', '--bounding-set=-net_bind_service', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh'];
const possible = spawnSync('unshare', [...ALONE, 'true']).status === 0 && process.env.TWINHUB_BIN === undefined;

test('O-66 ./up without the right to 443 runs the tutorial all the same, in few lines', { skip: !possible && 'no user namespaces here, or another program is tested' }, () => {
	const r = spawnSync('unshare', [...ALONE, './up', '--once'], { cwd: REPOSITORY, encoding: 'utf8', timeout: 300_000 });
	assert.equal(r.status, 0, r.stdout + r.stderr);
	assert.match(r.stdout, /^No right to port 443 here: HTTPS is on 8443/m);
	assert.match(r.stdout, /^twinhub ready: 127\.0\.0\.1, https 8443, mqtts 8883/m);
	assert.match(r.stdout, /^device: reported Success: /m);
	assert.match(r.stdout, /^device: reported Failed: /m);
	assert.match(r.stdout, /^== The tutorial succeeded$/m);
	assert.ok(r.stdout.split('\n').length <= 30, r.stdout);
});
