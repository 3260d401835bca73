// Jobs as the tests ask for them, over bare HTTPS.
import assert from 'node:assert/strict';
import { mqttDevice, PACKET, until } from './hub.mjs';

const METHODS = '$iothub/methods/POST/#';
const ENDED = ['completed', 'failed', 'cancelled'];

export const update = (condition, change, more = {}) => ({ type: 'scheduleUpdateTwin', queryCondition: condition, updateTwin: { etag: '*', ...change }, ...more });
export const method = (condition, call = {}, more = {}) => ({ type: 'scheduleDeviceMethod', queryCondition: condition, cloudToDeviceMethod: { methodName: 'm', ...call }, ...more });
export const later = () => new Date(Date.now() + 3_600_000).toISOString();
export const counts = (deviceCount, succeededCount, failedCount = 0, runningCount = 0, pendingCount = 0) =>
	({ deviceCount, failedCount, succeededCount, runningCount, pendingCount });

export function ok(answer) {
	assert.equal(answer.status, 200, answer.text);
	return answer;
}

export function refused(answer, status, name, text = /./) {
	assert.deepEqual([answer.status, answer.headers['iothub-errorcode']], [status, name], answer.text);
	assert.match(answer.body.Message, new RegExp(`^ErrorCode:${name};`));
	assert.match(answer.body.Message, text);
}

export class Jobs {
	devices = new Set();

	constructor(hub) { this.hub = hub; }

	path(id) { return `/jobs/v2/${encodeURIComponent(id)}`; }
	put(id, body, options = {}) { return this.hub.rest('PUT', this.path(id), { body, ...options }); }
	cancel(id, options = {}) { return this.hub.rest('POST', `${this.path(id)}/cancel`, options); }
	list(params = '', options = {}) { return this.hub.rest('GET', `/jobs/v2/query${params}`, options); }
	query(text, options = {}) { return this.hub.rest('POST', '/devices/query', { body: { query: text }, ...options }); }
	async twin(id) { return ok(await this.hub.rest('GET', `/twins/${id}`)).body; }
	async tag(id, tags) { ok(await this.hub.rest('PATCH', `/twins/${id}`, { body: { tags } })); }
	async job(id) { return ok(await this.hub.rest('GET', this.path(id))).body; }

	ended(id) {
		return until(async () => {
			const now = await this.job(id);
			return ENDED.includes(now.status) && now;
		}, `the job ${id} has ended`);
	}
	becomes(id, status) { return until(async () => (await this.job(id)).status === status, `the job ${id} is ${status}`); }

	async results(id, more = '') {
		const answer = ok(await this.query(`SELECT * FROM devices.jobs WHERE devices.jobs.jobId = '${id}'${more}`));
		assert.equal(answer.headers['x-ms-item-type'], 'DeviceJob');
		return answer.body;
	}
	async result(id, device) { return (await this.results(id)).find((r) => r.deviceId === device); }

	// Devices that a job can be on: their tag `job` says which.
	async made(prefix, n, tags = { job: prefix }) {
		const ids = Array.from({ length: n }, (_, i) => `${prefix}-${i}`);
		for (const id of ids) {
			await this.hub.createDevice(id);
			await this.tag(id, tags);
		}
		return ids;
	}

	// A device that hears calls, and answers them when it is told to.
	async listener(id) {
		const d = await mqttDevice(this.hub, id, { filters: [METHODS] });
		this.devices.add(d);
		d.call = async () => {
			const p = await d.next(PACKET.PUBLISH, 'a method call', (q) => q.topic.startsWith('$iothub/methods/POST/'));
			const [, name, rid] = /^\$iothub\/methods\/POST\/([^/]+)\/\?\$rid=(.+)$/.exec(p.topic);
			return { name, payload: p.payload.toString(), answer: (status, payload = '') => d.publish(`$iothub/methods/res/${status}/?$rid=${rid}`, payload) };
		};
		return d;
	}

	close() { for (const d of this.devices) d.destroy(); }
}
