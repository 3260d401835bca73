// A wall clock for one program that can be set while it runs: Debian's faketime. The monotonic clock stays the machine's.
import fs from 'node:fs';
import path from 'node:path';
import { tempDir } from './hub.mjs';

const LIBRARY = fs.globSync?.('/usr/lib/*/faketime/libfaketimeMT.so.1')[0] ??
	fs.readdirSync('/usr/lib').map((name) => `/usr/lib/${name}/faketime/libfaketimeMT.so.1`).find((name) => fs.existsSync(name));

export class FakeClock {
	#file = path.join(tempDir('clock'), 'offset');

	// e.g. '+800d', '-20y', '+0'; what startHub and Hub.start take as env is in .env
	constructor(offset = '+0') {
		if (!LIBRARY) throw new Error('no faketime: run `scripts/setup --test`');
		this.set(offset);
		this.env = { LD_PRELOAD: LIBRARY, FAKETIME_TIMESTAMP_FILE: this.#file, FAKETIME_NO_CACHE: '1', FAKETIME_DONT_FAKE_MONOTONIC: '1',
			ASAN_OPTIONS: [process.env.ASAN_OPTIONS, 'verify_asan_link_order=0'].filter(Boolean).join(':') };
	}

	// At once: the program never sees a file that is half written.
	set(offset) {
		fs.writeFileSync(`${this.#file}.new`, `${offset}\n`);
		fs.renameSync(`${this.#file}.new`, this.#file);
	}
}
