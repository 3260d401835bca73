// kit/python as its users have it: in an empty folder, with Debian's pytest, and a device that is Debian's paho.
import { before, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { BINARY, REPOSITORY, tempDir } from '../lib/hub.mjs';

const PYTHON = '/usr/bin/python3'; // Debian's, which has Debian's packages
const folder = tempDir('pytest');
const installed = tempDir('wheel');
const env = { ...process.env, TWINHUB_BIN: BINARY, PYTHONPATH: installed, PYTHONDONTWRITEBYTECODE: '1', TMPDIR: tempDir('pytest-tmp') };

// What pip does, which Debian's Python has not: the wheel is made, and unpacked.
before(() => {
	const text = 'import sys, zipfile\nsys.path.insert(0, sys.argv[1])\nimport kit_wheel\nzipfile.ZipFile(sys.argv[2] + "/" + kit_wheel.build_wheel(sys.argv[2])).extractall(sys.argv[2])\n';
	const end = spawnSync(PYTHON, ['-c', text, path.join(REPOSITORY, 'kit/python'), installed], { encoding: 'utf8', env });
	assert.equal(end.status, 0, end.stderr);
});

function pytest(...args) {
	return spawnSync(PYTHON, ['-W', 'error', '-m', 'pytest', '-q', '-W', 'error', '-p', 'no:cacheprovider', ...args], { cwd: folder, encoding: 'utf8', timeout: 120_000, env });
}

test('O-173 fixtures of pytest: a device and a back end, one hub for the session or for a test, a seed', () => {
	fs.copyFileSync(path.join(REPOSITORY, 'tests/kit/test_device.py'), path.join(folder, 'test_device.py'));
	fs.writeFileSync(path.join(folder, 'fleet.ndjson'), '{"id":"seeded","tags":{"floor":3}}\n');
	const end = pytest('--twinhub-seed', 'fleet.ndjson');
	assert.equal(end.status, 0, end.stdout + end.stderr);
	assert.match(end.stdout, /^\d+ passed in/m);
	assert.deepEqual(fs.readdirSync(env.TMPDIR).filter((name) => name.startsWith('twinhub')), [], 'nothing is left');
});

test('O-173 it is importable where there is no pytest, and a hub that nobody stops ends with the program', () => {
	const text = `
import sys
sys.modules["pytest"] = None
import twinhub_kit
hub = twinhub_kit.Hub.start(ports="any")
print(hub.data, flush=True)
`;
	const end = spawnSync(PYTHON, ['-c', text], { encoding: 'utf8', timeout: 60_000, env });
	assert.equal(end.status, 0, end.stderr);
	for (let i = 0; i < 100 && fs.existsSync(end.stdout.trim()); i++) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
	assert.equal(fs.existsSync(end.stdout.trim()), false);
});
