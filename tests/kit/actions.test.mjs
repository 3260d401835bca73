// The example of GitHub Actions: it is YAML of the right shape, and what its steps run works in an empty project, as far as it needs no network.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { BINARY, REPOSITORY, tempDir } from '../lib/hub.mjs';

const EXAMPLE = path.join(REPOSITORY, 'kit/github-actions.yml');
const parsed = JSON.parse(execFileSync('/usr/bin/python3', ['-c', 'import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)', EXAMPLE], { encoding: 'utf8' }));
const { steps, env } = parsed.jobs.test;
const step = (name) => steps.find((s) => s.name === name).run;

test('O-174 the example is a workflow: each step runs or uses something, what it names of the repository is there', () => {
	assert.deepEqual(parsed.true, ['push', 'pull_request']); // YAML 1.1 has `on` for a bool
	for (const s of steps) assert.ok((typeof s.run === 'string') !== (typeof s.uses === 'string'), JSON.stringify(s));
	for (const s of steps.filter((one) => one.run)) assert.equal(spawnSync('bash', ['-n', '-c', s.run]).status, 0, s.run);
	for (const [, name] of fs.readFileSync(EXAMPLE, 'utf8').matchAll(/\$TWINHUB\/([\w/-]+)/g)) assert.ok(name.startsWith('build/') || fs.existsSync(path.join(REPOSITORY, name)), name);
	assert.match(step('twinhub'), /scripts\/setup" --build$/m);
	for (const name of step('Packages').match(/install -y --no-install-recommends (.*)/)[1].split(' '))
		assert.ok(['ca-certificates', 'git', 'nodejs', 'npm'].includes(name) || fs.readFileSync(path.join(REPOSITORY, 'scripts/setup'), 'utf8').includes(name), `${name} is not what ./check has`);
});

test('O-174 its steps, one after the other, in an empty project', () => {
	const project = tempDir('actions'), paths = path.join(project, 'github_path');
	const write = (name, text) => fs.writeFileSync(path.join(project, name), text);
	write('package.json', '{"name":"devices","version":"1.0.0","private":true}\n');
	write('package-lock.json', '{"name":"devices","version":"1.0.0","lockfileVersion":3,"requires":true,"packages":{"":{"name":"devices","version":"1.0.0"}}}\n');
	write('fleet.ndjson', '{"id":"sensor-1","tags":{"floor":3}}\n');
	write('hub.test.js', `
const { test } = require('node:test');
const { wrappedHub } = require('twinhub-kit');
test('seeded', async () => { if ((await wrappedHub().getTwin('sensor-1')).tags.floor !== 3) throw new Error('no seed'); });
`);
	write('test_hub.py', 'def test_seeded(twinhub):\n    assert twinhub.get_twin("sensor-1")["tags"]["floor"] == 3\n');
	const bin = tempDir('bin');
	fs.symlinkSync(BINARY, path.join(bin, 'twinhub'));
	// Debian's python3 first, as in the container; the runner puts GITHUB_PATH before PATH.
	const vars = { ...process.env, ...env, TWINHUB: REPOSITORY, GITHUB_PATH: paths, PATH: `${bin}:/usr/bin:/bin:${path.dirname(process.execPath)}`, npm_config_offline: 'true', npm_config_audit: 'false',
		PYTHONDONTWRITEBYTECODE: '1' };
	for (const name of ['TWINHUB_BIN', 'NODE_TEST_CONTEXT', 'NODE_EXTRA_CA_CERTS']) delete vars[name];
	for (const name of ['Path', 'Tests in Node', 'Tests in Python', "The hub's log"]) {
		const end = spawnSync('bash', ['-e', '-o', 'pipefail', '-c', step(name)], { cwd: project, encoding: 'utf8', timeout: 120_000, env: vars });
		assert.equal(end.status, 0, `${name}: ${end.stdout}${end.stderr}`);
	}
	assert.equal(fs.readFileSync(paths, 'utf8'), `${REPOSITORY}/build/release/bin\n`);
});
