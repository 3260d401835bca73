// scripts/release in a clone of what is committed: what it refuses, what it makes, and that it makes the same again.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { BINARY, REPOSITORY, tempDir } from '../lib/hub.mjs';
import { ARCH, must, run } from './lib.mjs';

const work = tempDir('release'), clone = path.join(work, 'clone');
const version = must(BINARY, ['version']).trim().split(' ')[1];
const sha256 = (file) => createHash('sha256').update(fs.readFileSync(file)).digest('hex');
const git = (...args) => must('git', ['-C', clone, '-c', 'user.name=test', '-c', 'user.email=test@twinhub.invalid', ...args]);
const release = (to) => run(path.join(clone, 'scripts/release'), ['--no-image', to], { timeout: 1_500_000 });
let made;

before(() => { must('git', ['clone', '-q', REPOSITORY, clone]); });
after(() => fs.rmSync(work, { recursive: true, force: true }));

test('O-112 a tree with changes, or with files that git does not know, is refused; so is a version that CHANGELOG.md, the kits or the manual do not have', () => {
	const refused = (text) => {
		const r = release(path.join(work, 'none'));
		assert.equal(r.status, 1, r.text);
		assert.match(r.text, text);
		assert.ok(!fs.existsSync(path.join(work, 'none')), 'nothing is made');
	};
	fs.writeFileSync(path.join(clone, 'stranger'), '');
	refused(/the tree is not what was committed[^]*\?\? stranger/);
	fs.rmSync(path.join(clone, 'stranger'));
	fs.appendFileSync(path.join(clone, 'README.md'), '\n');
	refused(/the tree is not what was committed[^]* M README\.md/);
	git('checkout', '-q', 'README.md');
	const lists = path.join(clone, 'CMakeLists.txt');
	fs.writeFileSync(lists, fs.readFileSync(lists, 'utf8').replace(`VERSION ${version} `, 'VERSION 7.7.7 '));
	git('commit', '-qam', 'another version');
	refused(/CHANGELOG\.md has no place for 7\.7\.7/);
	const changes = path.join(clone, 'CHANGELOG.md');
	fs.writeFileSync(changes, fs.readFileSync(changes, 'utf8').replace(`## ${version} - `, `## 7.7.7 - 2026-11-30\n\n## ${version} - `));
	git('commit', '-qam', 'has its place');
	refused(/these are not of 7\.7\.7:\ndocs\/install\.md:[^]*kit\/node\/package\.json:[^]*kit\/python\/kit_wheel\.py:/);
	git('reset', '-q', '--hard', 'HEAD~2');
});

test('O-112 source, packages, a bill of materials and checksums that hold; the source is what was committed', () => {
	made = path.join(work, 'first');
	// What was there of a former run goes, what is somebody's stays.
	fs.mkdirSync(made);
	for (const name of ['twinhub_0.0.1_amd64.deb', 'twinhub.conf']) fs.writeFileSync(path.join(made, name), '');
	const r = release(made);
	assert.equal(r.status, 0, r.text.slice(-4000));
	fs.rmSync(path.join(made, 'twinhub.conf'));
	const names = fs.readdirSync(made).sort();
	assert.deepEqual(names, ['SHA256SUMS', `twinhub-${version}.tar.gz`, `twinhub_${version}_${ARCH}.deb`, `twinhub-kafka_${version}_${ARCH}.deb`, `twinhub-${version}_${ARCH}.spdx.json`].sort());
	assert.equal(must('sha256sum', ['-c', 'SHA256SUMS'], { cwd: made }).trim().split('\n').length, names.length - 1, 'all but itself');
	const listed = must('tar', ['-tzf', path.join(made, `twinhub-${version}.tar.gz`)]).split('\n').filter((name) => name && !name.endsWith('/'));
	assert.deepEqual(new Set(listed), new Set(git('ls-files').trim().split('\n').map((name) => `twinhub-${version}/${name}`)));
	must('dpkg-deb', ['-x', path.join(made, `twinhub_${version}_${ARCH}.deb`), path.join(work, 'x')]);
	const program = path.join(work, 'x/usr/bin/twinhub');
	assert.equal(must(program, ['version']).trim(), `twinhub ${version}`);
	assert.equal(fs.readFileSync(program).includes(clone), false, 'no path of where it was built');
});

test('O-113 the bill of materials has each package of Debian that a program is linked with, and nothing that only tests need', () => {
	const sbom = JSON.parse(fs.readFileSync(path.join(made, `twinhub-${version}_${ARCH}.spdx.json`), 'utf8'));
	assert.deepEqual([sbom.spdxVersion, sbom.dataLicense, sbom.SPDXID], ['SPDX-2.3', 'CC0-1.0', 'SPDXRef-DOCUMENT']);
	assert.equal(sbom.creationInfo.created, new Date(Number(git('log', '-1', '--format=%ct')) * 1000).toISOString().replace('.000', ''));
	const ids = sbom.packages.map((p) => p.SPDXID);
	assert.equal(new Set(ids).size, ids.length);
	for (const id of ids) assert.match(id, /^SPDXRef-[A-Za-z0-9.-]+$/);
	for (const p of sbom.packages) for (const field of ['name', 'versionInfo', 'downloadLocation', 'licenseConcluded', 'licenseDeclared', 'copyrightText']) assert.ok(p[field], `${p.name}: ${field}`);
	for (const r of sbom.relationships) assert.ok([...ids, sbom.SPDXID].includes(r.spdxElementId) && ids.includes(r.relatedSpdxElement));
	assert.equal(sbom.packages[0].checksums[0].checksumValue, sha256(path.join(work, 'x/usr/bin/twinhub')), 'the program is that of the package');
	const by = new Map(sbom.packages.map((p) => [p.name, p]));
	// What the package depends on is what the program is linked with.
	const control = must('dpkg-deb', ['-f', path.join(made, `twinhub_${version}_${ARCH}.deb`), 'Depends']).trim().split(', ').map((d) => d.split(' ')[0]);
	const libraries = control.filter((name) => name.startsWith('lib'));
	assert.ok(libraries.length >= 10, libraries.join());
	for (const name of libraries) {
		assert.equal(by.get(name)?.versionInfo, must('dpkg-query', ['-W', '-f', '${Version}', name]));
		const { versionInfo, externalRefs: [{ referenceLocator }] } = by.get(name);
		assert.equal(referenceLocator, `pkg:deb/debian/${encodeURIComponent(name)}@${encodeURIComponent(versionInfo)}?arch=${ARCH}&distro=debian-12`);
	}
	assert.ok(by.has('librdkafka1'), 'the plug-in is in it');
	for (const name of by.keys()) assert.doesNotMatch(name, /cmocka|node|azure/);
});

test('O-112 a second run makes the same bytes', () => {
	const again = path.join(work, 'second'), r = release(again);
	assert.equal(r.status, 0, r.text.slice(-4000));
	const sums = (dir) => Object.fromEntries(fs.readdirSync(dir).map((name) => [name, sha256(path.join(dir, name))]));
	assert.deepEqual(sums(again), sums(made));
});
