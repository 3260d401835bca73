// What every benchmark prints: the machine, a table for people, and one JSON object as the last line.

// columns: [title, row => value]; numbers are set to the right.
export function printTable(columns, rows) {
	const cells = rows.map((row) => columns.map(([, value]) => value(row)));
	const text = cells.map((row) => row.map((v) => (v === null || v === undefined || Number.isNaN(v) ? '-' : String(v))));
	const width = columns.map(([title], i) => Math.max(title.length, ...text.map((row) => row[i].length)));
	const line = (row, right) => row.map((v, i) => (right[i] ? v.padStart(width[i]) : v.padEnd(width[i]))).join('  ').trimEnd();
	const right = columns.map((_, i) => cells.some((row) => typeof row[i] === 'number'));
	console.log(line(columns.map(([title]) => title), right));
	console.log(width.map((n) => '-'.repeat(n)).join('  '));
	for (const row of text) console.log(line(row, right));
}

export function printMachine(machine) {
	console.log(`${machine.cores} x ${machine.cpu}, ${machine.memory_gb} GB, Linux ${machine.kernel}, OpenSSL ${machine.openssl}`);
	console.log(`data on ${machine.file_system}, fdatasync p50 ${machine.fsync_p50_ms} ms, p99 ${machine.fsync_p99_ms} ms; commit ${machine.commit}\n`);
}

// The frame that all benchmarks share. Must be the last thing printed.
export function printResult(bench, machine, cases, more = {}) {
	console.log(JSON.stringify({ bench, machine, ...more, cases }));
}

export const round = (n, digits = 0) => (n === null || n === undefined ? null : Number(n.toFixed(digits)));

// Of several runs of one case the one with the median rate.
export function medianRun(runs, rate = (r) => r.per_s) {
	return [...runs].sort((a, b) => rate(a) - rate(b))[Math.floor((runs.length - 1) / 2)];
}
