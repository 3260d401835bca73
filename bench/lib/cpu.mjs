// CPU that processes have used, in seconds: proc(5).
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';

const TICKS = Number(execFileSync('getconf', ['CLK_TCK']));

function stat(pid) {
	const text = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
	const [, parent, , , , , , , , , , user, system, childUser, childSystem] = text.slice(text.lastIndexOf(')') + 2).split(' ').map(Number);
	return { parent, own: user + system, reaped: childUser + childSystem };
}

// Of one process, all its threads.
export const cpuOf = (pid) => stat(pid).own / TICKS;

// Of a process and its children, those that have ended among them.
export function cpuOfFamily(pid) {
	const { own, reaped } = stat(pid);
	let ticks = own + reaped;
	for (const name of fs.readdirSync('/proc'))
		if (/^\d+$/.test(name))
			try {
				const child = stat(name);
				if (child.parent === pid) ticks += child.own;
			} catch { /* it has ended */ }
	return ticks / TICKS;
}
