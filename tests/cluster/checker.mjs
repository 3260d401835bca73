// Holds a history against the log of events, which tells the one order in which all has happened. No I/O.
//
//   const checker = new Checker(history);
//   checker.take(line);                    each line of GET /events, in its order
//   checker.check(first)                   of the operations from number `first` on, after everybody has been answered or has given up; found: what is wrong
//
// What is held:
//   log      positions of a shard have no gap and none comes twice; a twin's version rises by one with each event; it is the sum of its parts
//   writes   what was acknowledged is there, once, as the version that the answer said; what was refused is not there; what has had no answer is there once or not
//   order    a write that was called after another answer is behind it; a read shows no less than was acknowledged before it was called, nothing that was
//            called after its answer, and what the log has of the version that it says
//   match    a write under If-Match stands right behind the version that it named; one that was told 412 was too late
//   notes    desired versions that a session was told rise by one from its first look on, to the twin's if it is still open
//   jobs     a job that has been completed has touched each twin once
//   pages    who reads all twins page by page, each page wherever, gets each once
//   reflects what a query says that it reflects is no less than what an earlier one said
//   calls    a device hears a call at most once; one that was answered was heard, by the device that it was for
//   sets     what was called for after the PUT of a configuration was answered is behind all that was written by those before it
//   owners   by the database: one owner a shard and epoch, which alone commits; epochs and counts of commits only grow
//   streams  who follows the log is shown each event, in each connection once and in the order of the log, and none that is not in the log
const FOUND_MAX = 20;
const upTo = (list, test) => { // how many items at the front pass
	let low = 0, high = list.length;
	while (low < high) {
		const middle = (low + high) >> 1;
		if (test(list[middle])) low = middle + 1;
		else high = middle;
	}
	return low;
};

function raise(floor, { id, reflects }) {
	for (const [shard, n] of reflects) if (!(floor.get(shard)?.n >= n)) floor.set(shard, { n, by: id });
}

// A twin that configurations write, too: what only concerns which of them it has, is a version that the log does not tell.
const isSet = (twin) => twin.startsWith('set');

export class Checker {
	found = [];
	lastPosition = new Map(); // of a shard
	twins = new Map(); // id: versions, by number from 2 on
	places = new Map(); // of an operation: {version, E}
	messages = new Set();
	touched = new Map(); // job: {twin: times}
	ids = new Map(); // event id: place in the log
	shown = new Set(); // ids of events that a reader was shown
	holes = new Map(); // of a shard: positions without an event
	owners = new Map(); // of a shard: {epoch, owner, last, to}
	takings = 0;
	#floor = new Map(); // of a shard: the most that earlier queries reflected
	#ended = { sessions: 0, streams: 0 };

	constructor(history) { this.history = history; }

	wrong(text) { if (this.found.length < FOUND_MAX) this.found.push(text); }

	// ---- the log ----

	take(line) {
		const event = JSON.parse(line);
		if (event.position !== undefined) return void (this.position = event.position);
		this.#place(event);
		const id = event.subject?.split('/')[1];
		if (event.type === 'Microsoft.Devices.DeviceCreated') this.twins.set(id, Object.assign([{ version: 2, E: 1, reported: 1, desired: 1 }], { shard: Number(event.id.split('-')[0]) }));
		else if (event.type === 'twinhub.twin.changed' || event.type === 'twinhub.twin.replaced') this.#step(id, event);
		else if (event.type === 'Microsoft.Devices.DeviceTelemetry') this.#message(id, event);
		else if (event.type === 'twinhub.events.dropped') this.wrong(`the log has dropped something: ${line}`);
	}

	#place({ id }) {
		const [shard, position] = id.split('-').map(Number);
		const last = this.lastPosition.get(shard) ?? 0;
		if (position !== last + 1) this.#hole(shard, position - last - 1, `log: ${id} comes behind ${shard}-${last}`);
		this.lastPosition.set(shard, position);
		this.ids.set(id, this.ids.size);
	}

	// In the log, but no event: that a configuration no longer stands in a twin.
	#hole(shard, n, text) {
		const twins = [...this.twins].filter(([id, { shard: of }]) => isSet(id) && of === shard).length, sets = this.history.operations.filter((o) => o.kind === 'configure').length;
		const holes = (this.holes.get(shard) ?? 0) + n;
		if (n < 0 || holes > twins * sets) this.wrong(text);
		else this.holes.set(shard, holes);
	}

	#step(id, { id: event, type, twinhubactor, data }) {
		const all = this.twins.get(id), last = all.at(-1), replaced = type === 'twinhub.twin.replaced';
		const report = !replaced && data.properties?.reported;
		const by = report ? report.by : data.tags?.by;
		const next = { ...last, version: data.version, maker: by };
		if (report) Object.assign(next, { reported: report.$version, reportedBy: by });
		else Object.assign(next, { E: last.E + 1, desired: data.properties?.desired.$version ?? last.desired });
		const conf = data.properties?.desired?.conf;
		if (typeof conf === 'number') next.conf = conf;
		else delete next.conf;
		if (isSet(id)) next.E = data.version - last.reported;
		if (!report && by !== undefined) Object.assign(next, { by, desiredBy: data.properties?.desired.by });
		if (isSet(id) ? data.version <= last.version : data.version !== last.version + 1) this.wrong(`log: ${event}: version ${data.version} of ${id} comes behind ${last.version}`);
		if (next.version !== next.E + next.reported) this.wrong(`log: ${event}: version ${next.version} of ${id} is not ${next.E} + ${next.reported}`);
		all.push(next);
		if (by !== undefined) this.#done(by, id, next, report ? 'report' : 'write', event);
		else if (!/^configuration:conf\d+$/.test(twinhubactor) && !data.tags?.quiet && !data.tags?.set) this.#touch(twinhubactor, id);
	}

	// An operation has been done.
	#done(n, twin, { version, E, reported }, kind, event) {
		const o = this.history.operations[n - 1];
		if (!o || o.kind !== kind || o.twin !== twin) return this.wrong(`log: ${event} is of ${kind} ${n} of ${twin}, which nobody has sent`);
		if (this.places.has(n)) this.wrong(`writes: ${kind} ${n} of ${twin} is there twice: versions ${this.places.get(n).version} and ${version}`);
		if (o.outcome === 'refused' || o.outcome === 'stale') this.wrong(`writes: ${kind} ${n} of ${twin} was ${o.outcome} and is there, as version ${version} (${event}; called ${o.phase})`);
		if (o.match !== undefined && o.match !== E - 1) this.wrong(`match: write ${n} of ${twin} named version ${o.match} and stands behind ${E - 1}`);
		this.places.set(n, { version, E, reported });
	}

	#message(id, { id: event, data }) {
		const { by } = typeof data.body === 'string' ? JSON.parse(Buffer.from(data.body, 'base64')) : data.body;
		if (this.messages.has(by)) this.wrong(`writes: message ${by} of ${id} has two events, the other is ${event}`);
		this.messages.add(by);
	}

	#touch(actor, twin) {
		const job = /^job:job(\d+)$/.exec(actor)?.[1];
		if (job === undefined) return this.wrong(`log: a change of ${twin} by ${actor}`);
		const times = this.touched.get(Number(job)) ?? new Map();
		this.touched.set(Number(job), times.set(twin, (times.get(twin) ?? 0) + 1));
	}

	// ---- the history ----

	check(first = 0, versions = new Map()) {
		const part = this.history.operations.slice(first);
		for (const o of part) this.#answered(o);
		for (const twin of this.twins.keys()) this.#order(twin, part.filter((o) => o.twin === twin && (o.kind === 'read' || this.#version(o))));
		for (const session of this.history.sessions.slice(this.#ended.sessions)) this.#notes(session, versions);
		for (const [twin, all] of this.twins) if (isSet(twin)) this.#sets(all);
		this.#reflects(part.filter((o) => o.kind === 'look' && o.outcome === 'ok'));
		for (const [n, names] of this.history.heard) this.#heard(n, names);
		this.#ended.sessions = this.history.sessions.findIndex((s, i) => i >= this.#ended.sessions && !s.closed);
		if (this.#ended.sessions < 0) this.#ended.sessions = this.history.sessions.length;
		this.#streams();
		return this.found;
	}

	#version(o) { return o.outcome === 'ok' && o.kind === 'read' ? o.saw.version : this.places.get(o.id)?.version; }

	#answered(o) {
		const what = `${o.kind} ${o.id} of ${o.twin} (called ${o.phase})`;
		const place = this.places.get(o.id);
		if (o.outcome === 'odd') return this.wrong(`${what} was answered ${o.text}`);
		if (o.outcome === 'stale') return this.#stale(o, what);
		if (o.outcome !== 'ok') return;
		if (o.kind === 'pages') return this.#pages(o, what);
		if (o.kind === 'call') return this.#called(o, what);
		if (['job', 'look', 'configure'].includes(o.kind)) return;
		if (o.kind === 'message') {
			if (!this.messages.has(o.id)) this.wrong(`writes: ${what} was acknowledged and has no event`);
		} else if (o.kind === 'read') {
			this.#shown(o, what);
		} else if (!place) {
			this.wrong(`writes: ${what} was acknowledged and is not there`);
		} else if (o.kind === 'report' && place.reported !== o.reported) {
			this.wrong(`writes: ${what} was told version ${o.reported} and is ${place.reported}`);
		} else if (o.kind === 'write' && o.saw) {
			if (place.E !== o.saw.etag) this.wrong(`writes: ${what} was told version ${o.saw.etag} and is ${place.E}`);
			this.#shown(o, what);
		}
	}

	// The twin in an answer is that of the log at this version.
	#shown(o, what) {
		const entry = this.twins.get(o.twin)?.[o.saw.version - 2];
		if (!entry) return this.wrong(`order: ${what} was shown version ${o.saw.version}, which is not there`);
		for (const [member, is] of Object.entries({ etag: entry.E, by: entry.by, desired: entry.desired, desiredBy: entry.desiredBy, reported: entry.reported, reportedBy: entry.reportedBy }))
			if (o.saw[member] !== is) this.wrong(`order: ${what} was shown ${member} ${o.saw[member]} in version ${o.saw.version}, which has ${is}`);
		const maker = this.history.operations[entry.maker - 1];
		if (maker && maker.call > o.answer) this.wrong(`order: ${what} was shown version ${entry.version}, which ${maker.kind} ${maker.id} had not been called for`);
	}

	#stale(o, what) {
		const next = this.twins.get(o.twin)?.find((entry) => entry.E === o.match + 1);
		if (!next) return this.wrong(`match: ${what} was told 412 for version ${o.match}, which is the newest`);
		const by = next.by === undefined ? null : this.history.operations[next.by - 1];
		if (by && by.call > o.answer && this.places.get(by.id)?.E === next.E) this.wrong(`match: ${what} was told 412 for version ${o.match} before anybody had called for the next`);
	}

	// Of one twin's operations that have a version: none is before what was answered before it was called, none behind what was called after its answer.
	#order(twin, operations) {
		const known = operations.filter((o) => this.#version(o) !== undefined);
		const answered = known.filter((o) => o.outcome === 'ok').sort((a, b) => a.answer - b.answer);
		let top = null;
		const tops = answered.map((o) => (top = top && this.#version(top) >= this.#version(o) ? top : o));
		for (const o of known) {
			const before = upTo(answered, (a) => a.answer < o.call);
			const newest = before > 0 ? tops[before - 1] : null;
			const version = this.#version(o), floor = newest ? this.#version(newest) : 0;
			if (version < floor || (o.kind !== 'read' && newest && version === floor))
				this.wrong(`order: ${o.kind} ${o.id} of ${twin} (called ${o.phase}) is of version ${version}, but ${newest.kind} ${newest.id} of version ${floor} had been answered ${(o.call - newest.answer).toFixed(1)} ms before its call`);
		}
	}

	#notes({ twin, base, notes, closed }, versions) {
		const wrong = notes.findIndex((version, i) => version !== base + 1 + i);
		if (wrong >= 0) this.wrong(`notes: ${twin} began with version ${base} and was told ${notes.slice(Math.max(0, wrong - 2), wrong + 2)}`);
		const last = notes.at(-1) ?? base;
		if (!closed && versions.has(twin) && last !== versions.get(twin)) this.wrong(`notes: ${twin} was told up to version ${last}, is connected, and has version ${versions.get(twin)}`);
	}

	#pages({ rows }, what) {
		const times = new Map();
		for (const id of rows) times.set(id, (times.get(id) ?? 0) + 1);
		for (const id of this.twins.keys()) if (times.get(id) !== 1) this.wrong(`pages: ${what} was shown ${id} ${times.get(id) ?? 0} times`);
	}

	#reflects(looks) {
		const floor = this.#floor, answered = looks.toSorted((a, b) => a.answer - b.answer);
		let next = 0;
		for (const o of looks.toSorted((a, b) => a.call - b.call)) {
			for (; next < answered.length && answered[next].answer < o.call; next++) raise(floor, answered[next]);
			for (const [shard, most] of floor)
				if ((o.reflects.get(shard) ?? 0) < most.n)
					return this.wrong(`reflects: look ${o.id} (called ${o.phase}) says ${o.reflects.get(shard)} of shard ${shard}, but look ${most.by} had been told ${most.n} before it was called`);
		}
		for (; next < answered.length; next++) raise(floor, answered[next]);
	}

	#called(o, what) {
		if (!this.history.heard.has(o.id)) this.wrong(`calls: ${what} was answered, and its device has not heard it`);
		if (o.said !== o.id) this.wrong(`calls: ${what} was answered as ${o.said}`);
	}

	#heard(n, names) {
		const o = this.history.operations[n - 1];
		if (names.length > 1) this.wrong(`calls: call ${n} of ${o?.twin} was heard ${names.length} times`);
		if (o?.kind !== 'call' || names.some((name) => name !== o.twin)) this.wrong(`calls: call ${n} of ${o?.twin} was heard by ${names}`);
		if (o?.outcome === 'refused') this.wrong(`calls: call ${n} of ${o.twin} was refused, and heard`);
	}

	// What was called for before, is behind the last entry that was written by an older set than those that were in force then.
	#sets(all) {
		const put = this.history.operations.filter((o) => o.kind === 'configure' && o.outcome === 'ok').map((o) => ({ id: o.id, from: o.answer }));
		let latest = null;
		for (const { conf, maker, version } of all) {
			const o = this.history.operations[maker - 1];
			if (o && !(o.call <= latest?.call)) latest = o;
			if (conf === undefined || latest === null) continue;
			const newest = Math.max(0, ...put.slice(0, upTo(put, (p) => p.from < latest.call)).map((p) => p.id));
			if (conf < newest) this.wrong(`sets: version ${version} of ${latest.twin} is of configuration ${conf}, but ${latest.kind} ${latest.id}, which is not behind it, was called after ${newest} had been answered`);
		}
	}

	// Lines of the database's audit, those of a shard in its order.
	audited(lines) {
		for (const line of lines) {
			const { shard, epoch, owner, first, last, from, to, commits, counted, stranger } = line;
			const former = this.owners.get(shard) ?? { epoch: 0, owner: '', last: 0, to: 0 };
			if (epoch < former.epoch || first < former.last) this.wrong(`owners: shard ${shard} has epoch ${epoch} of ${owner} behind or amid ${former.epoch} of ${former.owner}`);
			if (epoch === former.epoch && owner !== former.owner) this.wrong(`owners: epoch ${epoch} of shard ${shard} is of ${former.owner} and of ${owner}`);
			if (from < former.to || commits !== counted) this.wrong(`owners: shard ${shard}: commits from ${from} to ${to} come behind ${former.to}, ${commits} of ${counted} numbers`);
			if (stranger) this.wrong(`owners: ${stranger} has committed in shard ${shard}, epoch ${epoch}, which is of ${owner}`);
			if (epoch !== former.epoch) this.takings++;
			this.owners.set(shard, { epoch, owner, last, to });
		}
	}

	// A job that has ended; targets: the twins that it was for.
	job(id, targets) {
		const times = this.touched.get(id) ?? new Map();
		for (const twin of targets) if (times.get(twin) !== 1) this.wrong(`jobs: job ${id} has touched ${twin} ${times.get(twin) ?? 0} times`);
	}

	// Has who follows the log been shown all of it?
	followed() {
		const shown = new Set(this.history.streams.slice(this.#ended.streams).flat());
		for (const id of this.ids.keys()) if (!this.shown.has(id) && !shown.has(id)) return false;
		return true;
	}

	#streams() {
		const { streams } = this.history;
		const shards = new Map();
		for (const stream of streams.slice(this.#ended.streams)) {
			shards.clear();
			for (const id of stream) {
				const [shard, position] = id.split('-').map(Number);
				if (!this.ids.has(id)) this.wrong(`streams: ${id} was shown and is not in the log`);
				if (position <= (shards.get(shard) ?? 0)) this.wrong(`streams: ${id} was shown behind ${shard}-${shards.get(shard)}`);
				shards.set(shard, position);
				this.shown.add(id);
			}
		}
		this.#ended.streams = Math.max(0, streams.length - 1); // the last one goes on
		for (const id of this.ids.keys()) if (!this.shown.has(id)) this.wrong(`streams: ${id} is in the log and was not shown`);
	}
}
