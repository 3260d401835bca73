// Options of a benchmark script: --name value, or --name for a flag whose default is a boolean.
export function parseArgs(defaults, help) {
	const options = { ...defaults };
	const argv = process.argv.slice(2);
	const stop = (text, code) => {
		(code ? console.error : console.log)(text);
		process.exit(code);
	};
	while (argv.length > 0) {
		const flag = argv.shift();
		const name = flag.replace(/^--/, '').replace(/-(\w)/g, (_, c) => c.toUpperCase());
		if (name === 'help') stop(help, 0);
		if (!flag.startsWith('--') || !(name in defaults)) stop(`no option ${flag}\n${help}`, 2);
		const kind = typeof defaults[name];
		if (kind === 'boolean') options[name] = true;
		else if (argv.length === 0) stop(`${flag} needs a value\n${help}`, 2);
		else options[name] = kind === 'number' ? Number(argv.shift()) : argv.shift();
		if (Number.isNaN(options[name])) stop(`${flag} needs a number\n${help}`, 2);
	}
	return options;
}
