// What all clients share: where they dial, and how long they wait. One that is refused or cut off tries again, at the next place.
import { randomFrom } from '../crash/fleet.mjs';

export const PATIENCE_MS = 5000; // for an answer; then it is unknown, and the connection is given up
export const TTL = 10 * 3600; // of tokens: a clock that is stepped does not end them

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
export const etagCounter = (etag) => Number(Buffer.from(etag, 'base64').readBigUInt64BE());

export class Client {
	constructor(fleet, name) {
		Object.assign(this, { fleet, name, history: fleet.history, random: randomFrom(Math.floor(fleet.random() * 2 ** 32)), at: fleet.count++ });
	}

	// Where it dials: a hub, or the balancer before them.
	get place() { return this.fleet.places[this.at % this.fleet.places.length]; }
	next() { this.at++; }
	pause() { return sleep(100 + this.random() * 200); }
}
