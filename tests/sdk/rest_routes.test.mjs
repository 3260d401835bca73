// Every route of docs/reference/openapi.json is called: it is there, with this method, for those rights and no others.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { REPOSITORY, sasToken, startHub, stopAll } from '../lib/hub.mjs';

const { paths } = JSON.parse(fs.readFileSync(path.join(REPOSITORY, 'docs/reference/openapi.json'), 'utf8'));
// But /healthz, /livez and /readyz, which take no token, and so are no routes of the table.
const routes = Object.entries(paths).flatMap(([at, methods]) => Object.entries(methods).map(([method, o]) => ({ at, method: method.toUpperCase(), o }))).filter(({ o }) => o.security === undefined);
const RIGHTS = { RegistryRead: [], RegistryWrite: ['RegistryRead'], ServiceConnect: [], DeviceConnect: [] };
const tokens = {};
let hub;
before(async () => {
	hub = await startHub();
	for (const right of Object.keys(RIGHTS)) {
		const made = await hub.rest('PUT', `/admin/policies/only${right}?rights=${right}`);
		assert.equal(made.status, 200, made.text);
		tokens[right] = sasToken({ resource: hub.addr, key: made.body.primaryKey, policy: `only${right}` });
	}
});
after(() => stopAll(hub));

// Names that are nobody's, and dry runs where there are such: what is called changes nothing.
// A stream of events would not end: it is asked for from nowhere.
const target = (at, method) => at.replace(/\{[^}]*\}/g, 'nobody') + (method === 'POST' ? '?dryRun=true' : at === '/events' ? '?from=nowhere' : '');
const path404 = /there is nothing at this path/, method405 = /this path does not have this method/;

test('O-92 R-115 every route of openapi.json is served, to who has the rights that stand there and to nobody else', async () => {
	assert.ok(routes.length > 70);
	for (const { at, method, o } of routes) {
		const any = o['x-twinhub-any-of-rights'], all = o['x-twinhub-all-of-rights'], what = `${method} ${at}`;
		assert.deepEqual(o.parameters.filter((p) => p.in === 'path').map((p) => p.name), [...at.matchAll(/\{([^}]*)\}/g)].map((m) => m[1]), what);
		const owner = await hub.rest(method, target(at, method));
		assert.doesNotMatch(owner.text, path404, what);
		assert.doesNotMatch(owner.text, method405, what);
		assert.equal((await hub.rest(method, target(at, method), { token: null })).status, 401, `${what} without a token`);
		for (const [right, implied] of Object.entries(RIGHTS)) {
			const has = new Set([right, ...implied]), may = all ? all.every((r) => has.has(r)) : any.some((r) => has.has(r));
			const answer = await hub.rest(method, target(at, method), { token: tokens[right] });
			assert.equal(answer.status === 401, !may, `${what} with ${right}: ${answer.status} ${answer.text}`);
		}
	}
});

test('O-92 a path or method that is not in openapi.json is refused as such', async () => {
	assert.match((await hub.rest('GET', '/nothing')).text, path404);
	const patterns = routes.map((r) => ({ method: r.method, is: new RegExp(`^${r.at.replaceAll('$', '\\$').replace(/\{[^}]*\}/g, '[^/]+')}$`) }));
	let asked = 0;
	for (const at of new Set(routes.map((r) => r.at)))
		for (const method of ['GET', 'PUT', 'PATCH', 'DELETE']) {
			const there = target(at, method).split('?')[0];
			if (patterns.some((p) => p.method === method && p.is.test(there))) continue;
			asked++;
			assert.match((await hub.rest(method, there)).text, method405, `${method} ${at}`);
		}
	assert.ok(asked > 100);
});
