// Does the simulation see what it is there for? Each file in broken/ breaks the program in one place. The file that it changes
// is compiled with that, the simulator linked anew, and histories run from seed 1 on until one fails. The whole program must
// come through that same history: else it is not the breakage that was seen.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const ROOT = path.resolve(HERE, '../..');
const BROKEN = path.join(HERE, 'broken');
const WORK = path.join(ROOT, 'build/prove');
const BUILD = path.join(ROOT, 'build/release');
const CLUSTER = 'tests/sim/cluster'; // its own files are broken, too: PostgreSQL and the gate are modelled there
const RUN_S = 600; // of one variant's histories; what hangs is not caught

const HELP = `tests/sim/prove [options] [VARIANT...]
  --check        only: does each variant still apply to src/?
  --seeds N      histories at most for each variant (200)
  --from N       the first one's seed (1)

A variant is a file tests/sim/broken/VARIANT.diff: what is broken, in words; then hunks as in a unified diff, each after a
line "@@". A hunk names no file: its old text, context and all, must be found exactly once in the .c files of src/, whatever the
white space; or, of one that is called cluster-..., which is run by sim_cluster, in those of src/cluster and tests/sim/cluster. Where code has been changed so that it is not, the variant is to be written anew, or goes with what it broke.
`;

function fail(text) {
	process.stderr.write(`prove: ${text}\n`);
	process.exit(1);
}

// ---- variants ----

// { name, about, hunks: [{ from, to }] }
function variantRead(name) {
	const lines = fs.readFileSync(path.join(BROKEN, `${name}.diff`), 'utf8').split('\n');
	const begin = lines.findIndex((l) => l.startsWith('@@'));
	const hunks = [];

	if (begin < 1) fail(`${name}.diff: words first, then hunks`);
	for (const line of lines.slice(begin, -1)) {
		const sign = line[0] ?? ' ';
		if (line.startsWith('@@')) {
			hunks.push({ from: '', to: '' });
			continue;
		}
		if (!' -+'.includes(sign)) fail(`${name}.diff: '${line}' is no line of a hunk`);
		if (sign !== '+') hunks.at(-1).from += `${line.slice(1)}\n`;
		if (sign !== '-') hunks.at(-1).to += `${line.slice(1)}\n`;
	}
	const cluster = name.startsWith('cluster-');
	return { name, about: lines.slice(0, begin).join(' ').trim(), hunks, program: cluster ? 'sim_cluster' : 'sim_fleet', sources: cluster ? clusterSources : sources };
}

function filesUnder(dir) {
	return fs.readdirSync(dir, { recursive: true, withFileTypes: true })
		.filter((e) => e.isFile())
		.map((e) => path.join(e.parentPath ?? e.path, e.name));
}

function sourcesUnder(...dirs) {
	return new Map(dirs.flatMap((dir) => filesUnder(path.join(ROOT, dir))).filter((f) => f.endsWith('.c'))
		.map((f) => [path.relative(ROOT, f), fs.readFileSync(f, 'utf8')]));
}

const sources = sourcesUnder('src'), clusterSources = sourcesUnder('src/cluster', CLUSTER);

// Where a text stands, however it is broken into lines.
function pattern(text) {
	return new RegExp(text.trim().split(/\s+/).map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('\\s+'), 'g');
}

// The files that it changes, by name, with their broken text.
function variantApply(variant) {
	const changed = new Map();

	for (const { from, to } of variant.hunks) {
		const at = [...variant.sources].flatMap(([file, whole]) => {
			const text = changed.get(file) ?? whole;
			return [...text.matchAll(pattern(from))].map((found) => ({ file, text, found }));
		});
		if (at.length !== 1) fail(`${variant.name}.diff no longer applies: found ${at.length} times:\n${from}`);
		const { file, text, found } = at[0];
		changed.set(file, text.slice(0, found.index) + to.trim() + text.slice(found.index + found[0].length));
	}
	return changed;
}

// ---- programs ----

// { code, text }: all that it has written; code: also the name of the signal that has ended it.
function run(command, args, { cwd = ROOT, env = {}, seconds = 1800 } = {}) {
	return new Promise((resolve) => {
		const child = spawn(command, args, { cwd, env: { ...process.env, ...env } });
		const timer = setTimeout(() => child.kill('SIGKILL'), seconds * 1000);
		let text = '';

		for (const stream of [child.stdout, child.stderr]) stream.on('data', (b) => { text += b; });
		child.on('error', (e) => resolve({ code: e.message, text }));
		child.on('close', (code, signal) => {
			clearTimeout(timer);
			resolve({ code: code ?? signal, text });
		});
	});
}

async function runWell(what, command, args, options) {
	const { code, text } = await run(command, args, options);

	if (code !== 0) fail(`${what}:\n${text.split('\n').slice(-40).join('\n')}`);
	return text;
}

// The broken file, compiled as the build compiles the whole one.
async function compile(commands, file, text, dir) {
	const { command, directory } = commands.get(file) ?? fail(`${file} is no part of the build`);
	const source = path.join(dir, path.basename(file)), object = `${source}.o`;
	const original = path.join(ROOT, file);

	fs.writeFileSync(source, text);
	await runWell(`${file} does not compile`, 'sh', ['-c', command.replace(original, source).replace(/ -o \S+/, ` -o ${object}`)],
		{ cwd: directory });
	return object;
}

// Objects come before the libraries: so no library's own of that name is taken. One of the program's own is left out.
async function build(links, commands, variant) {
	const dir = path.join(WORK, variant.name), program = path.join(dir, variant.program), objects = [];
	let link = links.get(variant.program);

	fs.rmSync(dir, { recursive: true, force: true });
	fs.mkdirSync(dir, { recursive: true });
	for (const [file, text] of variantApply(variant)) {
		objects.push(await compile(commands, file, text, dir));
		link = link.replace(` ${CLUSTER}/CMakeFiles/${variant.program}.dir/${path.basename(file)}.o`, '');
	}
	await runWell(`${variant.name} does not link`, 'sh', ['-c', link
		.replace(/ -o \S+/, ` -o ${program}`)
		.replace(/ (\S+\.a)(?=\s)/, ` ${objects.join(' ')} $1`)], { cwd: BUILD });
	return program;
}

// Histories from a seed on, until one fails: { seed, step, says }, or null.
async function histories(program, seed, n) {
	const { code, text } = await run(program, [], {
		seconds: RUN_S,
		env: { TWINHUB_SIM_SEED: String(seed), TWINHUB_SIM_HISTORIES: String(n) },
	});
	const at = /TWINHUB_SIM_SEED=(\d+) fails in step (\d+)/.exec(text);

	if (code === 0 || !at) return code === 0 ? null : { says: `ended with ${code}: ${text.slice(-300)}` };
	const said = text.slice(0, at.index).split('\n').filter((l) => l !== '' && !l.startsWith('['));
	return { seed: Number(at[1]), step: Number(at[2]), says: (said.at(-1) ?? `ended with ${code}`).slice(0, 160) };
}

// ---- the proof ----

function report(variant, caught, seconds) {
	const how = caught?.seed === undefined ? `NOT CAUGHT ${caught?.says ?? ''}` : `seed ${caught.seed}, step ${caught.step}`;

	process.stdout.write(`${variant.name.padEnd(28)} ${how.padEnd(22)} ${seconds.toFixed(0).padStart(4)} s  ${variant.about}\n`);
	if (caught?.seed !== undefined) process.stdout.write(`${''.padEnd(28)} ${caught.says}\n`);
}

async function proveOne(variant, program, { from, seeds }) {
	const begin = process.hrtime.bigint();
	const caught = await histories(program, from, seeds);
	const control = caught?.seed === undefined ? null : await histories(path.join(BUILD, 'bin', variant.program), caught.seed, 1);

	report(variant, caught, Number(process.hrtime.bigint() - begin) / 1e9);
	if (control !== null) process.stdout.write(`  but so does the whole program: step ${control.step}: ${control.says}\n`);
	return caught?.seed !== undefined && control === null;
}

async function prove(variants, options) {
	const running = new Set();
	let ncaught = 0;

	const links = new Map();

	for (const { program } of variants) {
		if (links.has(program)) continue;
		await runWell('the whole program does not build', 'cmake', ['--build', BUILD, '--target', program]);
		links.set(program, (await runWell('no commands', 'ninja', ['-C', BUILD, '-t', 'commands', program])).trimEnd().split('\n').at(-1));
	}
	const commands = new Map(JSON.parse(fs.readFileSync(path.join(BUILD, 'compile_commands.json')))
		.map((c) => [path.relative(ROOT, c.file), c]));
	for (const variant of variants) {
		const program = await build(links, commands, variant);
		while (running.size >= os.availableParallelism()) await Promise.race(running);
		const one = proveOne(variant, program, options).then((ok) => {
			ncaught += ok;
			running.delete(one);
		});
		running.add(one);
	}
	await Promise.all(running);
	process.stdout.write(`${ncaught} of ${variants.length} broken variants are caught\n`);
	return ncaught === variants.length;
}

const { values, positionals } = parseArgs({
	allowPositionals: true,
	options: {
		check: { type: 'boolean', default: false },
		from: { type: 'string', default: '1' },
		seeds: { type: 'string', default: '200' },
		help: { type: 'boolean', default: false },
	},
});
if (values.help) {
	process.stdout.write(HELP);
	process.exit(0);
}
const names = positionals.length > 0 ? positionals
	: fs.readdirSync(BROKEN).filter((f) => f.endsWith('.diff')).map((f) => f.slice(0, -5)).sort();
const variants = names.map(variantRead);
for (const v of variants) variantApply(v);
if (values.check) process.stdout.write(`${variants.length} variants apply\n`);
else process.exit(await prove(variants, { from: Number(values.from), seeds: Number(values.seeds) }) ? 0 : 1);
