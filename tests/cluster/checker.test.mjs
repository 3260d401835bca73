// The checker can fail: a history that holds, and the same with one thing wrong, for each of what is held.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { Checker } from './checker.mjs';
import { History } from './history.mjs';

// Two writes, a report, a message and a job on the twin d, one second each, with a read between; what happens is told by `change`.
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
	const events = [
		{ type: 'Microsoft.Devices.DeviceCreated', data: {} },
		{ type: 'twinhub.twin.changed', data: { version: 3, tags: { by: 1 }, properties: { desired: { by: 1, $version: 2 } } } },
		{ type: 'twinhub.twin.changed', data: { version: 4, properties: { reported: { by: 3, $version: 2 } } } },
		{ type: 'twinhub.twin.changed', data: { version: 5, tags: { by: 4 }, properties: { desired: { by: 4, $version: 3 } } } },
		{ type: 'Microsoft.Devices.DeviceTelemetry', data: { body: Buffer.from('{"by":6}').toString('base64') } },
		{ type: 'twinhub.twin.changed', twinhubactor: 'job:job7', data: { version: 6, tags: { job: 7 } } },
	];
	const session = { twin: 'd', base: 1, notes: [2, 3], closed: false };
	history.sessions.push(session);
	const tale = { history, o, events, session, streams: null, versions: new Map([['d', 3]]) };
	change(tale);
	events.forEach((event, i) => Object.assign(event, { id: event.id ?? `1-${i + 1}`, subject: 'devices/d' }));
	history.streams.push(...(tale.streams ?? [events.map((e) => e.id)]));
	const checker = new Checker(history);
	for (const event of events) checker.take(JSON.stringify(event));
	checker.job(o.job.id, ['d']);
	return checker.check(0, tale.versions);
}

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
	'a job has left out a twin': [({ events }) => { events.pop(); }, /job 7 has touched d 0 times/],
	'a reader of the log was not shown an event': [(tale) => { tale.streams = [['1-1', '1-2', '1-3', '1-4', '1-6']]; }, /1-5 is in the log and was not shown/],
	'a reader of the log was shown an event twice': [(tale) => { tale.streams = [['1-1', '1-2', '1-3', '1-3', '1-4', '1-5', '1-6']]; }, /1-3 was shown behind 1-3/],
	'a reader of the log was shown what is not there': [(tale) => { tale.streams = [['1-1', '1-2', '1-3', '1-4', '1-5', '1-6', '1-7']]; }, /1-7 was shown and is not in the log/],
};

test('a history that holds is found to hold', () => {
	assert.deepEqual(story(), []);
	assert.deepEqual(story(({ session }) => { Object.assign(session, { notes: [2], closed: true }); }), [], 'a session that was closed may miss the end');
	assert.deepEqual(story(({ events, o }) => { events.push(report(o.unknown.id, 7, 3)); }), [], 'what had no answer may be there');
	assert.deepEqual(story((tale) => { tale.streams = [['1-1', '1-2', '1-3'], ['1-3', '1-4', '1-5', '1-6']]; }), [], 'another connection may begin with what was shown');
});

for (const [what, [change, says]] of Object.entries(WRONG))
	test(`it is found that ${what}`, () => {
		assert.match(story(change).join('\n'), says);
	});
