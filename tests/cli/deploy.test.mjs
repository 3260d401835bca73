// What deploy/ says to others' programs: whole by their own rules, and true of this hub.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { BINARY, REPOSITORY, startHub, stopAll, tempDir } from '../lib/hub.mjs';

const PYTHON = '/usr/bin/python3'; // Debian's, whose modules are Debian's
const at = (name) => path.join(REPOSITORY, 'deploy', name);

function run(program, args, options = {}) {
	const r = spawnSync(program, args, { encoding: 'utf8', ...options });
	assert.equal(r.error, undefined, `${program}: ${r.error}`);
	return r;
}

function yaml(name) {
	const r = run(PYTHON, ['-c', 'import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))', at(name)]);
	assert.equal(r.status, 0, r.stderr);
	return JSON.parse(r.stdout);
}

const scratch = tempDir('deploy');
let hub;
before(async () => { hub = await startHub(); });
after(() => stopAll(hub));

// The hub judges the environment that a file would give it; the paths of containers are here below the scratch directory.
function judged(environment) {
	const env = { PATH: process.env.PATH, ...environment, TWINHUB_DATA: path.join(scratch, 'data') };
	if (env.TWINHUB_METRICS_TOKEN_FILE) {
		env.TWINHUB_METRICS_TOKEN_FILE = path.join(scratch, 'token');
		fs.writeFileSync(env.TWINHUB_METRICS_TOKEN_FILE, `${'0123456789abcdef'.repeat(4)}\n`);
	}
	const r = run(BINARY, ['serve', '--check', '--bind', '127.0.0.1', '--https-port', '0', '--mqtts-port', '0'], { env });
	assert.equal(r.status, 0, r.stdout + r.stderr);
	return r.stdout;
}

const options = () => new Set([...run(BINARY, ['serve', '--help']).stdout.matchAll(/^ {2}--([a-z0-9-]+)/gm)].map((m) => `TWINHUB_${m[1].toUpperCase().replaceAll('-', '_')}`));
const ours = (env) => Object.keys(env).filter((name) => name.startsWith('TWINHUB_'));

test('O-109 compose.yml is a compose file: hub, Prometheus and Grafana; its settings, ports, paths and health are those of the hub', () => {
	const r = run('docker-compose', ['-f', at('compose.yml'), 'config', '-q'], { env: { PATH: process.env.PATH } });
	assert.equal(r.status, 0, r.stderr);
	const [{ services, volumes }] = yaml('compose.yml');
	assert.deepEqual(Object.keys(services), ['hub', 'prometheus', 'grafana']);
	const known = options();
	for (const name of ours(services.hub.environment)) assert.ok(known.has(name), name);
	assert.match(judged({ ...services.hub.environment, TWINHUB_HOSTNAME: 'hub.example.test' }), /hostname +hub\.example\.test/);
	assert.deepEqual(services.hub.ports.slice(0, 2), ['443:443', '8883:8883']);
	for (const port of services.hub.ports.slice(2).concat(services.grafana.ports)) assert.match(port, /^127\.0\.0\.1:/, 'what has no password of the hub is on loopback');
	assert.deepEqual([services.hub.read_only, services.hub.cap_drop, services.hub.privileged], [true, ['ALL'], undefined]);
	assert.equal(services.prometheus.network_mode, 'service:hub');
	for (const { volumes: mounts } of Object.values(services))
		for (const mount of mounts) {
			const [from] = mount.split(':');
			assert.ok(from.startsWith('.') ? fs.existsSync(at(from)) : from in volumes, `${from} is there`);
		}
	// Its words of health, said to a hub that runs and to none.
	const [how, ...words] = services.hub.healthcheck.test;
	assert.deepEqual([how, words[0]], ['CMD', 'twinhub']);
	const health = (data) => run(BINARY, words.slice(1), { env: { PATH: process.env.PATH, TWINHUB_DATA: data } }).status;
	assert.equal(health(hub.dir), 0);
	assert.notEqual(health(path.join(scratch, 'nowhere')), 0);
});

test('O-109 Prometheus looks where the hub serves metrics, and Grafana where Prometheus is', () => {
	const [prometheus] = yaml('prometheus/prometheus.yml');
	const place = run(BINARY, ['serve', '--help']).stdout;
	assert.match(place, /default 9464 on loopback/);
	assert.deepEqual(prometheus.scrape_configs.map((s) => s.static_configs[0].targets), [['127.0.0.1:9464']]);
	for (const file of prometheus.rule_files) assert.match(file, /^[a-z]+\.yml$/, 'beside it');
	const [{ datasources: [source] }] = yaml('grafana/provisioning/datasources/twinhub.yml');
	assert.deepEqual([source.type, source.url], ['prometheus', 'http://hub:9090']);
	const [{ services: { grafana } }] = yaml('compose.yml'), [{ providers: [provider] }] = yaml('grafana/provisioning/dashboards/twinhub.yml');
	assert.ok(grafana.volumes.some((mount) => mount.split(':')[0] === './grafana' && mount.split(':')[1] === provider.options.path));
});

// The models of the API's own Python client: what they do not know, or cannot hold, does not come back.
const THERE_AND_BACK = `
import json, sys, yaml
from kubernetes import client
api = client.ApiClient()
for doc in yaml.safe_load_all(open(sys.argv[1])):
    class Answer: data = json.dumps(doc)
    back = api.sanitize_for_serialization(api.deserialize(Answer, 'V1' + doc['kind']))
    if back != doc: sys.exit('%s: %s\\nis understood as\\n%s' % (doc['kind'], json.dumps(doc), json.dumps(back)))
`;

test('O-294 cluster/compose.yml is a compose file: three nodes, PostgreSQL with a standby, a balancer; its settings, paths and addresses are of one piece', () => {
	const env = { PATH: process.env.PATH, POSTGRES_PASSWORD: 'x' };
	assert.match(run('docker-compose', ['-f', at('cluster/compose.yml'), 'config', '-q'], { env: { PATH: process.env.PATH } }).stderr, /say one/, 'there is no password by default');
	const r = run('docker-compose', ['-f', at('cluster/compose.yml'), 'config'], { env });
	assert.equal(r.status, 0, r.stderr);
	const config = JSON.parse(run(PYTHON, ['-c', 'import json, sys, yaml; print(json.dumps(yaml.safe_load(sys.stdin)))'], { input: r.stdout }).stdout);
	const known = options(), nodes = ['a', 'b', 'c'], balancer = fs.readFileSync(at('cluster/haproxy.cfg'), 'utf8');
	for (const name of nodes) {
		const { environment, networks, cap_drop, read_only } = config.services[name], address = networks.hubs.ipv4_address;
		for (const option of ours(environment)) assert.ok(known.has(option), option);
		assert.deepEqual([environment.TWINHUB_NODE, environment.TWINHUB_MESH, cap_drop, read_only], [name, `${address}:7443`, ['ALL'], true]);
		for (const port of [443, 8883]) assert.ok(balancer.includes(`server ${name} ${address}:${port}\n`), `${name} has port ${port} behind the balancer`);
		for (const server of ['primary', 'standby']) assert.ok(environment.TWINHUB_CLUSTER.includes(config.services[server].networks.hubs.ipv4_address));
		assert.equal(environment.TWINHUB_PROXY, `${config.services.balancer.networks.hubs.ipv4_address}/32`);
	}
	assert.match(balancer, /option httpchk GET \/readyz\n/);
	assert.match(balancer, /send-proxy-v2 check-send-proxy/);
	for (const { volumes = [] } of Object.values(config.services))
		for (const { source, type } of volumes.filter((volume) => typeof volume === 'object')) assert.ok(type !== 'bind' || fs.existsSync(source), source);
	for (const script of ['primary', 'standby']) assert.equal(run('bash', ['-n', at(`cluster/postgres/${script}.sh`)]).status, 0);
	assert.deepEqual(config.services.balancer.ports.map((port) => port.published ?? port).map(String).map((port) => port.split(':')[0]), ['443', '8883']);
	const dropIn = fs.readFileSync(at('cluster/systemd.conf'), 'utf8');
	assert.match(dropIn, /RestartPreventExitStatus=\nRestartPreventExitStatus=2\n/, 'a node that was taken for dead begins anew');
});

test('O-110 kubernetes.yaml is what the models of Kubernetes know; its settings, ports and probes are those of the hub', async () => {
	const r = run(PYTHON, ['-c', THERE_AND_BACK, at('kubernetes.yaml')]);
	assert.equal(r.status, 0, r.stderr);
	fs.writeFileSync(path.join(scratch, 'wrong.yaml'), fs.readFileSync(at('kubernetes.yaml'), 'utf8').replace('containerPort: 443', 'containersPort: 443'));
	assert.notEqual(run(PYTHON, ['-c', THERE_AND_BACK, path.join(scratch, 'wrong.yaml')]).status, 0, 'a wrong name is seen');

	const all = yaml('kubernetes.yaml'), set = all.find((d) => d.kind === 'StatefulSet'), services = all.filter((d) => d.kind === 'Service');
	const pod = set.spec.template.spec, [container] = pod.containers;
	const env = Object.fromEntries(container.env.map(({ name, value }) => [name, value])), known = options();
	for (const name of ours(env)) assert.ok(known.has(name), name);
	assert.match(judged(env), /hostname +hub\.example\.test/);
	assert.deepEqual([set.spec.replicas, pod.enableServiceLinks, pod.securityContext.runAsNonRoot], [1, false, true]);
	assert.deepEqual(container.securityContext, { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } });
	assert.ok(pod.terminationGracePeriodSeconds >= 30);

	const ports = Object.fromEntries(container.ports.map((p) => [p.name, p.containerPort]));
	assert.deepEqual(ports, { https: 443, mqtts: 8883, metrics: 9464 });
	assert.ok(env.TWINHUB_METRICS_BIND.endsWith(`:${ports.metrics}`));
	for (const service of services) {
		assert.deepEqual(service.spec.selector, set.spec.template.metadata.labels);
		for (const port of service.spec.ports) assert.equal(ports[port.targetPort], port.port);
	}
	assert.ok(services.some((s) => s.metadata.name === set.spec.serviceName && s.spec.clusterIP === 'None'));
	const outside = services.find((s) => s.spec.type === 'LoadBalancer');
	assert.deepEqual(outside.spec.ports.map((p) => p.name), ['https', 'mqtts'], 'metrics stay inside');

	const mounted = Object.fromEntries(container.volumeMounts.map((m) => [m.name, m.mountPath]));
	assert.deepEqual(new Set(Object.keys(mounted)), new Set([...pod.volumes.map((v) => v.name), ...set.spec.volumeClaimTemplates.map((c) => c.metadata.name)]));
	assert.ok(env.TWINHUB_DATA.startsWith(`${mounted.data}/`) && env.TWINHUB_METRICS_TOKEN_FILE.startsWith(`${mounted.metrics}/`));

	// As a kubelet asks: no token, no trust, the pod's address for a name.
	for (const probe of ['startupProbe', 'readinessProbe', 'livenessProbe']) {
		const { path: where, port, scheme } = container[probe].httpGet;
		assert.deepEqual([port, scheme], ['https', 'HTTPS']);
		const asked = run('curl', ['-sk', '-o', '/dev/null', '-w', '%{http_code}', '-H', 'Host: 10.1.2.3:443', `https://${hub.addr}:${hub.httpsPort}${where}`]);
		assert.equal(asked.stdout, '200', probe);
	}
	assert.ok(container.startupProbe.failureThreshold * container.startupProbe.periodSeconds >= 900);
});
