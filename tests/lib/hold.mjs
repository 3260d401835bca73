// One thread of a process, held, while the others go on.
import { spawn } from 'node:child_process';

// Holds one thread of a process, as a debugger does, until its input ends: a worker when it is at work. The others go on.
const HOLD = `
import ctypes, os, sys
pid, name = sys.argv[1:]
tid = next(int(t) for t in os.listdir('/proc/%s/task' % pid) if open('/proc/%s/task/%s/comm' % (pid, t)).read().strip() == name)
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long] * 4
def ptrace(request):
    if libc.ptrace(request, tid, 0, 0) != 0: sys.exit(os.strerror(ctypes.get_errno()))
ptrace(0x4206)  # PTRACE_SEIZE
while name.startswith('worker') and open('/proc/%s/task/%d/stat' % (pid, tid)).read().split()[3] != 'R': pass
ptrace(0x4207)  # PTRACE_INTERRUPT
os.waitpid(tid, 0x40000000)  # __WALL
print('held', flush=True)
sys.stdin.read()
`;
// Calls `during` while the thread of that name is held; takes root, or to be the process's parent's user where ptrace is not restricted.
export async function holding(pid, name, during) {
	const child = spawn('python3', ['-c', HOLD, String(pid), name], { stdio: ['pipe', 'pipe', 'inherit'] });
	const ended = new Promise((resolve) => { child.once('exit', resolve); });
	await new Promise((resolve, reject) => { child.stdout.once('data', resolve); ended.then((code) => reject(new Error(`nothing is held: ${code}`))); });
	try {
		return await during();
	} finally {
		child.stdin.end();
		await ended;
	}
}
