// Waiting for things that happen, never for time to pass. Every wait has an end and says what it waited for.
const SLOW = Number(process.env.TWINHUB_TEST_SLOW ?? 1);
export const WAIT_MS = 45_000 * SLOW; // for a machine that is busy with something else

// The promise's result, or an error naming `what` after `ms`.
export function within(promise, what, ms = WAIT_MS) {
	let timer;
	const late = new Promise((_, reject) => {
		timer = setTimeout(() => reject(new Error(`waited ${ms} ms in vain for ${what}`)), ms);
	});
	return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// Call `probe` until it gives something truthy, for states that nobody announces (a counter read over HTTP).
export async function until(probe, what, { ms = WAIT_MS, pauseMs = 20 } = {}) {
	const end = Date.now() + ms;
	for (;;) {
		const value = await probe();
		if (value) return value;
		if (Date.now() > end) throw new Error(`waited ${ms} ms in vain until ${what}`);
		await new Promise((resolve) => setTimeout(resolve, pauseMs));
	}
}

// A list that others push to and that can be awaited: next() takes the oldest item, next(test) the oldest
// that passes. Items keep their order.
export class Inbox {
	#items = [];
	#waiting = [];
	#ended = null;

	push(item) {
		const at = this.#waiting.findIndex((w) => w.test(item));
		if (at < 0) return void this.#items.push(item);
		this.#waiting.splice(at, 1)[0].resolve(item);
	}

	// No more items will come: every wait fails with `error`.
	end(error) {
		this.#ended = error;
		for (const w of this.#waiting.splice(0)) w.reject(error);
	}

	next(test = () => true, what = 'an item', ms = WAIT_MS) {
		const at = this.#items.findIndex(test);
		if (at >= 0) return Promise.resolve(this.#items.splice(at, 1)[0]);
		if (this.#ended) return Promise.reject(new Error(`${this.#ended.message} (while waiting for ${what})`));
		let waiter;
		const item = new Promise((resolve, reject) => {
			waiter = { test, resolve, reject };
			this.#waiting.push(waiter);
		});
		return within(item, what, ms).catch((error) => {
			const index = this.#waiting.indexOf(waiter);
			if (index >= 0) this.#waiting.splice(index, 1);
			throw error;
		});
	}

	// Everything that has come and was not taken.
	take() { return this.#items.splice(0); }
	get length() { return this.#items.length; }
}
