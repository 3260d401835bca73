// What the hub has written to its write-ahead log, which holds what was acknowledged, byte by byte.
import fs from 'node:fs';
import path from 'node:path';

export function walHolds(hub, text) {
	const store = path.join(hub.dir, 'store');
	return fs.readdirSync(store).filter((name) => name.endsWith('.log')).some((name) => fs.readFileSync(path.join(store, name)).includes(text));
}

// A property of a message as its record has it: 1, length, name, length, value.
export function walProperty(name, value) {
	return Buffer.concat([Buffer.from([1, name.length]), Buffer.from(name), Buffer.from([value.length]), Buffer.from(value)]);
}
