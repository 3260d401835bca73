// The checker can fail: a history that holds, and the same with one thing wrong, for each of what is held.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { Checker } from './checker.mjs';
import { History } from './history.mjs';

// Two writes, a report, a message and a job on the twin d, one second each, with a read between; then two looks, all twins by pages, a call, and two configurations of the twin set0 with a write behind each;
// what happens is told by `change`.
function story(change = () => {}) {
	const history = new History();
	const at = (second, kind, outcome, more = {}) => {
		const o = history.call(kind, kind === 'job' ? '' : 'd', more);
		history.answer(o, outcome, more);
		return Object.assign(o, { call: second, answer: second + 0.5 });
	};
	const o = {};
	o.write1 = at(1, 'write', 'ok', { saw: { etag: 2, version: 3, by: 1, desired: 2, desiredBy: 1, reported: 1, reportedBy: undefined } });
	o.read = at(2, 'read', 'ok', { saw: { ...o.write1.saw } });
	o.report = at(3, 'report', 'ok', { reported: 2 });
	o.write2 = at(4, 'write', 'ok', { match: 2, saw: { etag: 3, version: 5, by: 4, desired: 3, desiredBy: 4, reported: 2, reportedBy: 3 } });
	o.late = at(5, 'write', 'stale', { match: 2 });
	o.message = at(6, 'message', 'ok');
	o.job = at(7, 'job', 'ok');
	o.refused = at(8, 'report', 'refused');
	o.unknown = at(9, 'report', 'unknown');
	const looks = (n) => ({ reflects: new Map([[1, n], [2, 7]]) });
	o.look1 = at(10, 'look', 'ok', looks(5));
	o.look2 = at(11, 'look', 'ok', looks(6));
	o.pages = at(12, 'pages', 'ok', { rows: ['d', 'set0'] });
	o.call = at(13, 'call', 'ok');
	o.call.said = o.call.id;
	history.hear(o.call.id, 'd');
	o.put1 = at(14, 'configure', 'ok');
	o.touch1 = Object.assign(at(15, 'write', 'ok'), { twin: 'set0' });
	o.put2 = at(16, 'configure', 'ok');
	o.touch2 = Object.assign(at(17, 'write', 'ok'), { twin: 'set0' });
	const events = [
		{ type: 'Microsoft.Devices.DeviceCreated', data: {} },
		{ type: 'twinhub.twin.changed', data: { version: 3, tags: { by: 1 }, properties: { desired: { by: 1, $version: 2 } } } },
		{ type: 'twinhub.twin.changed', data: { version: 4, properties: { reported: { by: 3, $version: 2 } } } },
		{ type: 'twinhub.twin.changed', data: { version: 5, tags: { by: 4 }, properties: { desired: { by: 4, $version: 3 } } } },
		{ type: 'Microsoft.Devices.DeviceTelemetry', data: { body: Buffer.from('{"by":6}').toString('base64') } },
		{ type: 'twinhub.twin.changed', twinhubactor: 'job:job7', data: { version: 6, tags: { job: 7 } } },
		set({ type: 'Microsoft.Devices.DeviceCreated', data: {} }),
		configured(14, 4),
		set({ type: 'twinhub.twin.changed', data: { version: 5, tags: { by: 15 } } }),
		configured(16, 7),
		set({ type: 'twinhub.twin.changed', data: { version: 9, tags: { by: 17 } } }),
	];
	const audit = [{ shard: 1, epoch: 4, owner: 'a/1', first: 1, last: 9, from: 1, to: 9, commits: 9, counted: 9, stranger: null }, { shard: 1, epoch: 5, owner: 'b/1', first: 10, last: 12, from: 9, to: 11, commits: 2, counted: 2, stranger: null }];
	const session = { twin: 'd', base: 1, notes: [2, 3], closed: false };
	history.sessions.push(session);
	const tale = { history, o, events, audit, session, streams: null, versions: new Map([['d', 3]]) };
	change(tale);
	events.forEach((event, i) => Object.assign(event, { id: event.id ?? `1-${i + 1}`, subject: event.subject ?? 'devices/d' }));
	history.streams.push(...(tale.streams ?? [events.map((e) => e.id)]));
	const checker = new Checker(history);
	for (const event of events) checker.take(JSON.stringify(event));
	checker.audited(audit);
	checker.job(o.job.id, ['d']);
	return checker.check(0, tale.versions);
}

const ids = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => `1-${from + i}`);
const set = (event) => ({ ...event, subject: 'devices/set0' });
const configured = (conf, version) => set({ type: 'twinhub.twin.changed', twinhubactor: `configuration:conf${conf}`, data: { version, properties: { desired: { conf, $version: version - 2 } } } });
const report = (by, version, reported) => ({ type: 'twinhub.twin.changed', data: { version, properties: { reported: { by, $version: reported } } } });

const WRONG = {
	'an acknowledged report is not there': [({ events, o }) => { events[2].data.properties.reported.by = o.unknown.id; }, /report 3 of d .* was acknowledged and is not there/],
	'an acknowledged message is not there': [({ events }) => { events[4].type = 'other'; }, /message 6 .* has no event/],
	'a message comes twice': [({ events }) => { events.push({ ...events[4] }); }, /message 6 of d has two events/],
	'a write is there twice': [({ events }) => { events.push(report(3, 7, 3)); }, /report 3 of d is there twice/],
	'what was refused is there': [({ events, o }) => { events.push(report(o.refused.id, 7, 3)); }, /was refused and is there/],
	'an answer says another version': [({ o }) => { o.report.reported = 3; }, /was told version 3 and is 2/],
	'nobody has sent it': [({ events }) => { events.push(report(99, 7, 3)); }, /which nobody has sent/],
	'a version is left out': [({ events }) => { events[5].data.version = 7; }, /version 7 of d comes behind 5/],
	'a version comes again': [({ events }) => { events[5].data.version = 5; }, /version 5 of d comes behind 5/],
	'a position is left out': [({ events }) => { events[5].id = '1-7'; }, /1-7 comes behind 1-5/],
	'a position comes twice': [({ events }) => { events[5].id = '1-5'; }, /1-5 comes behind 1-5/],
	'a write does not stand behind what it named': [({ o }) => { o.write2.match = 1; }, /named version 1 and stands behind 2/],
	'412 for what is the newest': [({ o }) => { o.late.match = 4; }, /412 for version 4, which is the newest/],
	'412 before there was another': [({ o }) => { Object.assign(o.late, { call: 3, answer: 3.4 }); }, /before anybody had called for the next/],
	'a read is behind an acknowledgement': [({ o }) => { Object.assign(o.read, { call: 5, answer: 5.5 }); }, /read 2 .* is of version 3, but write 4 of version 5 had been answered/],
	'a write is behind an earlier answer': [({ o }) => { Object.assign(o.write1, { call: 5, answer: 5.5 }); }, /write 1 .* is of version 3, but/],
	'a read shows what is not there': [({ o }) => { o.read.saw.by = 4; }, /shown by 4 in version 3, which has 1/],
	'a read shows a version that is not there': [({ o }) => { o.read.saw.version = 70; }, /shown version 70, which is not there/],
	'a read shows what nobody had called for': [({ o }) => { Object.assign(o.write2, { call: 6, answer: 6.5 }); Object.assign(o.read, { call: 5, answer: 5.5, saw: { ...o.write2.saw } }); },
		/read 2 .* was shown version 5, which write 4 had not been called for/],
	'a notification is left out': [({ session }) => { session.notes = [3]; }, /began with version 1 and was told 3/],
	'a notification comes twice': [({ session }) => { session.notes = [2, 2, 3]; }, /was told 2,2/],
	'the last notification is left out': [({ session }) => { session.notes = [2]; }, /was told up to version 2, is connected, and has version 3/],
	'a job has touched a twin twice': [({ events }) => { events.push({ ...events[5], data: { version: 7, tags: { job: 7 } } }); }, /job 7 has touched d 2 times/],
	'a job has left out a twin': [({ events }) => { events.splice(5, 1); }, /job 7 has touched d 0 times/],
	'a page token has left out a twin': [({ o }) => { o.pages.rows = ['set0']; }, /pages 12 .* was shown d 0 times/],
	'a page token has shown a twin twice': [({ o }) => { o.pages.rows = ['d', 'set0', 'd']; }, /pages 12 .* was shown d 2 times/],
	'what a query reflects has fallen': [({ o }) => { o.look2.reflects.set(1, 4); }, /look 11 .* says 4 of shard 1, but look 10 had been told 5/],
	'a query reflects nothing of a shard': [({ o }) => { o.look2.reflects.delete(2); }, /look 11 .* says undefined of shard 2/],
	'a call was heard twice': [({ history, o }) => { history.hear(o.call.id, 'd'); }, /call 13 of d was heard 2 times/],
	'a call was answered and not heard': [({ history }) => { history.heard.clear(); }, /call 13 .* its device has not heard it/],
	'a call was heard by another device': [({ history, o }) => { history.heard.set(o.call.id, ['e']); }, /call 13 of d was heard by e/],
	'a call was refused and heard': [({ o }) => { o.call.outcome = 'refused'; }, /call 13 of d was refused, and heard/],
	'a call got the answer to another': [({ o }) => { o.call.said = 3; }, /call 13 .* was answered as 3/],
	'a twin is written by an old set': [({ events }) => { events.push(configured(14, 11)); }, /version 11 of set0 is of configuration 14, but write 17, which is not behind it, was called after 16/],
	'a write brings what an old set says': [({ events }) => { events.find((e) => e.data.version === 9).data.properties = { desired: { conf: 14, $version: 6 } }; }, /version 9 of set0 is of configuration 14, but write 17/],
	'two owners in one epoch': [({ audit }) => { audit[1].epoch = 4; }, /epoch 4 of shard 1 is of a\/1 and of b\/1/],
	'an epoch falls': [({ audit }) => { audit[1].epoch = 3; }, /shard 1 has epoch 3 of b\/1 behind or amid 4 of a\/1/],
	'an owner goes on amid the next one': [({ audit }) => { audit[0].last = 11; }, /epoch 5 of b\/1 behind or amid 4/],
	'a count of commits comes twice': [({ audit }) => { audit[1].from = 8; }, /commits from 8 to 11 come behind 9/],
	'a number of a commit comes twice': [({ audit }) => { audit[1].counted = 1; }, /2 of 1 numbers/],
	'somebody else has committed': [({ audit }) => { audit[1].stranger = 'twinhub/a/1/commit'; }, /twinhub\/a\/1\/commit has committed in shard 1, epoch 5, which is of b\/1/],
	'a reader of the log was not shown an event': [(tale) => { tale.streams = [['1-1', '1-2', '1-3', '1-4', '1-6']]; }, /1-5 is in the log and was not shown/],
	'a reader of the log was shown an event twice': [(tale) => { tale.streams = [['1-1', '1-2', '1-3', '1-3', '1-4', '1-5', '1-6']]; }, /1-3 was shown behind 1-3/],
	'a reader of the log was shown what is not there': [(tale) => { tale.streams = [['1-1', '1-2', '1-3', '1-4', '1-5', '1-6', '1-12']]; }, /1-12 was shown and is not in the log/],
};

test('a history that holds is found to hold', () => {
	assert.deepEqual(story(), []);
	assert.deepEqual(story(({ session }) => { Object.assign(session, { notes: [2], closed: true }); }), [], 'a session that was closed may miss the end');
	assert.deepEqual(story(({ events, o }) => { events.push(report(o.unknown.id, 7, 3)); }), [], 'what had no answer may be there');
	assert.deepEqual(story((tale) => { tale.streams = [ids(1, 3), ids(3, 11)]; }), [], 'another connection may begin with what was shown');
});

for (const [what, [change, says]] of Object.entries(WRONG))
	test(`it is found that ${what}`, () => {
		assert.match(story(change).join('\n'), says);
	});
