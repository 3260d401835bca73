// What the hub has written to its write-ahead log, which holds what was acknowledged, byte by byte.
import fs from 'node:fs';
import path from 'node:path';

export function walHolds(hub, text) {
	const store = path.join(hub.dir, 'store');
	return fs.readdirSync(store).filter((name) => name.endsWith('.log')).some((name) => fs.readFileSync(path.join(store, name)).includes(text));
}

const SYSTEM = ['message-id', 'correlation-id', 'content-type', 'content-encoding'];

// A property of a message as its record has it: 2 (the application's) or 3 (the system's), length, name, length, value.
export function walProperty(name, value) {
	return Buffer.concat([Buffer.from([SYSTEM.includes(name) ? 3 : 2, name.length]), Buffer.from(name), Buffer.from([value.length]), Buffer.from(value)]);
}
