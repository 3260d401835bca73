// What clients have written down: of each operation who, on what, when it was called and answered, and what came of it.
//
//   ok       acknowledged
//   refused  it has not been done, the hub said (503)
//   stale    the version that If-Match named was no longer the newest (412)
//   unknown  no answer: done or not
//   odd      an answer that nobody should get
export const OUTCOMES = ['ok', 'unknown', 'refused', 'stale', 'odd'];

export const now = () => performance.now();

export class History {
	operations = [];
	sessions = []; // of devices: {twin, base, notes: [version], closed}
	jobs = []; // {id, targets}
	streams = []; // of readers of the log, a connection each: [event id]
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
		Object.assign(o, more, { outcome, answer: now() });
	}

	// There will be no answer any more.
	give(o) { this.open.delete(o); }

	// Of the operations from `first` on that change something: how many came to what, per phase.
	counts(first) {
		const table = {};
		for (const o of this.operations.slice(first)) {
			if (o.kind === 'read') continue;
			const row = table[o.phase] ??= Object.fromEntries(OUTCOMES.map((name) => [name, 0]));
			row[o.outcome]++;
		}
		return table;
	}

	// The longest time in which no change was acknowledged, in ms, between two moments.
	silence(from, to) {
		const times = [from, ...this.operations.filter((o) => o.kind !== 'read' && o.outcome === 'ok' && o.answer > from && o.answer < to).map((o) => o.answer).sort((a, b) => a - b), to];
		return Math.max(...times.slice(1).map((t, i) => t - times[i]));
	}
}
