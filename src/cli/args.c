/* The command line taken apart. */
#include "cli/priv.h"

#include <stdio.h>

static const char *const option_names[OPTION_COUNT] = {
#define X(id, name, value, help) [OPT_##id] = (name),
	OPTIONS(X)
#undef X
};

static const bool option_flags[OPTION_COUNT] = {
#define X(id, name, value, help) [OPT_##id] = (value) == NULL,
	OPTIONS(X)
#undef X
};

const char *
option_name(enum option o)
{
	return option_names[o];
}

static int
option_find(struct str name)
{
	for (int i = 0; i < OPTION_COUNT; i++)
		if (str_eq(name, str_of(option_names[i])))
			return i;
	return -1;
}

/* argv[i] is an option; *used: how many words it took. */
static bool
parse_option(const struct command *c, int argc, char **argv, struct args *out, int *used, char *why,
    size_t nwhy)
{
	struct str name, value_text;
	bool inlined = str_cut(str_sub(str_of(argv[0]), 2), '=', &name, &value_text);
	int o = option_find(name);

	*used = 1;
	if (o < 0 || !(c->options >> o & 1)) {
		snprintf(why, nwhy, "%s has no option '--" STR_FMT "' (see twinhub %s --help)",
		    c->name, STR_ARG(name), c->name);
		return false;
	}
	if (out->option[o] != NULL) {
		snprintf(why, nwhy, "--%s is given twice", option_names[o]);
		return false;
	}
	if (option_flags[o]) {
		if (inlined)
			snprintf(why, nwhy, "--%s takes no value", option_names[o]);
		out->option[o] = "";
		return !inlined;
	}
	if (!inlined && argc < 2) {
		snprintf(why, nwhy, "--%s needs a value", option_names[o]);
		return false;
	}
	out->option[o] = inlined ? value_text.p : argv[1];
	*used = inlined ? 1 : 2;
	return true;
}

bool
args_parse(const struct command *c, int argc, char **argv, struct args *out, char *why, size_t nwhy)
{
	unsigned n = 0;
	bool only_operands = false;
	int used;

	*out = (struct args){ 0 };
	for (int i = 0; i < argc; i += used) {
		used = 1;
		if (!only_operands && strcmp(argv[i], "--") == 0) {
			only_operands = true;
		} else if (!only_operands && str_starts(str_of(argv[i]), STR("--"))) {
			if (!parse_option(c, argc - i, argv + i, out, &used, why, nwhy))
				return false;
		} else if (n == c->most) {
			snprintf(why, nwhy, "unexpected argument '%s'", argv[i]);
			return false;
		} else {
			out->operand[n++] = argv[i];
		}
	}
	if (n < c->least) {
		snprintf(why, nwhy, "usage: twinhub %s %s (see twinhub %s --help)", c->name,
		    c->operands, c->name);
		return false;
	}
	return true;
}

int
option_number(const struct args *a, enum option o, uint64_t least, uint64_t most, uint64_t *out)
{
	const char *text = a->option[o];

	if (text == NULL)
		return EXIT_DONE;
	if (str_u64(str_of(text), out) && *out >= least && *out <= most)
		return EXIT_DONE;
	return cli_fail(EXIT_USAGE, "--%s %s: not a number from %llu to %llu", option_names[o],
	    text, (unsigned long long)least, (unsigned long long)most);
}

int
option_key(const struct args *a, bool *primary)
{
	const char *which = a->option[OPT_KEY];

	*primary = which == NULL || strcmp(which, "primary") == 0;
	if (*primary || strcmp(which, "secondary") == 0)
		return EXIT_DONE;
	return cli_fail(EXIT_USAGE, "--key is neither primary nor secondary");
}

static int
operand_id(const char *text, struct str *id)
{
	*id = str_of(text);
	if (id_valid(*id))
		return EXIT_DONE;
	return cli_fail(EXIT_USAGE,
	    "'%s' is no id of a device or module: 1 to %d of letters, digits and - : . + %% _ # * "
	    "? ! ( ) , = @ ; "
	    "$ '",
	    text, ID_MAX);
}

int
subject_of(const char *device, const char *module, struct subject *out)
{
	out->module = STR_NONE;
	if (operand_id(device, &out->device) != EXIT_DONE)
		return EXIT_USAGE;
	return module != NULL ? operand_id(module, &out->module) : EXIT_DONE;
}
