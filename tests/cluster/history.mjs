// What clients have written down: of each operation who, on what, when it was called and answered, and what came of it.
//
//   ok       acknowledged
//   refused  it has not been done, the hub said (503)
//   stale    the version that If-Match named was no longer the newest (412)
//   unknown  no answer, or one that says so: done or not
//   odd      an answer that nobody should get
export const OUTCOMES = ['ok', 'unknown', 'refused', 'stale', 'odd'];

// What changes nothing that is kept.
export const LOOKS = new Set(['read', 'look', 'pages', 'call']);

const NOBODY_KNOWS = /nobody knows whether this was done/;

export const now = () => performance.now();

export class History {
	operations = [];
	sessions = []; // of devices: {twin, base, notes: [version], closed}
	jobs = []; // {id, targets}
	streams = []; // of readers of the log, a connection each: [event id]
	heard = new Map(); // call of a method: names of devices that have heard it
	audit = []; // of the database, in its order: {shard, pos, epoch, node, generation, by}
	open = new Set();
	phase = 'before';
	#n = 0;

	// An operation is about to be sent.
	call(kind, twin, more = {}) {
		const o = { id: ++this.#n, kind, twin, phase: this.phase, call: now(), outcome: 'unknown', answer: Infinity, ...more };
		this.operations.push(o);
		this.open.add(o);
		return o;
	}

	answer(o, outcome, more = {}) {
		this.open.delete(o);
		if (outcome === 'refused' && NOBODY_KNOWS.test(more.text)) Object.assign(o, more); // as if there were no answer
		else Object.assign(o, more, { outcome, answer: now() });
	}

	// A device was called.
	hear(n, twin) { this.heard.set(n, [...this.heard.get(n) ?? [], twin]); }

	// There will be no answer any more.
	give(o) { this.open.delete(o); }

	// Of the operations from `first` on that change something: how many came to what, per phase.
	counts(first) {
		const table = {};
		for (const o of this.operations.slice(first)) {
			if (LOOKS.has(o.kind)) continue;
			const row = table[o.phase] ??= Object.fromEntries(OUTCOMES.map((name) => [name, 0]));
			row[o.outcome]++;
		}
		return table;
	}

	// The longest time in which a device had no acknowledgement of a report, in ms, between two moments.
	silence(from, to) {
		const times = new Map();
		for (const o of this.operations) if (o.kind === 'report' && o.outcome === 'ok' && o.answer > from && o.answer < to) times.set(o.twin, [...times.get(o.twin) ?? [from], o.answer]);
		return Math.max(0, ...[...times.values()].flatMap((all) => [...all, to].slice(1).map((t, i) => t - all[i])));
	}
}
