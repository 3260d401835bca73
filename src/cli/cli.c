/* Which command, its --help, and how errors are said. */
#include "cli/manual.h"
#include "cli/priv.h"

#include <errno.h>
#include <stdio.h>

#include "net/net.h"
#include "os/os.h"

#define HELP_INDENT 37 /* where texts of --help begin */

const struct exit_text exit_texts[] = {
	{ EXIT_DONE, "done",
	    "For `method invoke`: the device has answered, with whatever status." },
	{ EXIT_FAILED, "refused by the hub, or failed",
	    "For `job show --watch`: the job was cancelled, or failed on some device." },
	{ EXIT_USAGE, "the command line is wrong", NULL },
	{ EXIT_UNREACHABLE, "no hub answers there, or its certificate is not trusted", NULL },
	{ EXIT_NOT_FOUND,
	    "no such device, module, configuration, job, sink, route, policy, directory or file",
	    NULL },
	{ EXIT_DAMAGED, "stored data is damaged, or of a newer format", NULL },
	{ EXIT_LOCKED, "another process has the data directory open", NULL },
	{ EXIT_CONFLICT, "it exists already, or has another etag by now", NULL },
	{ EXIT_DEVICE, "the device is not connected, or has not answered", NULL },
	{ EXIT_DENIED, "this user may not read the data directory", NULL },
};
const size_t exit_texts_n = sizeof(exit_texts) / sizeof(exit_texts[0]);

/* ---- errors ---- */

/* Some of it may be a stranger's text: it must not drive the terminal, nor look like another line. */
static void
say(const char *kind, const char *line)
{
	struct buf text = { 0 };

	put_visible(&text, str_of(line), UINT32_MAX);
	fflush(stdout);
	fprintf(stderr, "twinhub: %s" STR_FMT "\n", kind, STR_ARG(buf_view(&text)));
	buf_fini(&text);
}

int
cli_fail(enum exit_code code, const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	say("", line);
	return code;
}

void
cli_warn(const char *what)
{
	say("warning: ", what);
}

void
cli_note(const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	say("", line);
}

enum exit_code
exit_of(enum err e)
{
	switch (e) {
	case ERR_OK: return EXIT_DONE;
	case ERR_NOT_FOUND: return EXIT_NOT_FOUND;
	case ERR_CORRUPT:
	case ERR_VERSION: return EXIT_DAMAGED;
	case ERR_LOCKED: return EXIT_LOCKED;
	case ERR_EXISTS: return EXIT_CONFLICT;
	default: return EXIT_FAILED;
	}
}

/* ---- help ---- */

/* Paragraphs, a line each. */
static void
put_note(struct buf *out, const char *note)
{
	struct str rest = str_of(note), line;

	while (rest.n > 0) {
		str_cut(rest, '\n', &line, &rest);
		option_text(out, line, 0);
	}
}

static void
help_command(const struct command *c)
{
	struct option_table t = command_options(c);
	struct buf out = { 0 };

	buf_printf(&out, "usage: twinhub %s %s%s[options]\n\n", c->name, c->operands,
	    c->operands[0] != '\0' ? " " : "");
	option_text(&out, str_of(c->summary), 0);
	put_note(&out, c->note);
	buf_cstr(&out, "\noptions:\n");
	option_help(&out, &t, HELP_INDENT);
	printf(STR_FMT "\nexample:\n%s\n", STR_ARG(buf_view(&out)), c->example);
	buf_fini(&out);
}

static void
help_all(const struct command *commands, size_t n)
{
	char head[64];

	printf("twinhub " TWINHUB_VERSION
	       ": Azure IoT Hub's device twins, self-hosted\n\nusage: twinhub COMMAND "
	       "[options]\n\ncommands:\n");
	for (size_t i = 0; i < n; i++) {
		snprintf(head, sizeof(head), "%s %s", commands[i].name, commands[i].operands);
		printf("  %-32s %s\n", head, commands[i].summary);
	}
	printf("  %-32s %s\n  %-32s %s\n  %-32s %s\n", "help [COMMAND]",
	    "what a command does; also COMMAND --help", "completion bash|zsh|fish",
	    "a script for the shell, to complete commands and options by", "version",
	    "the program's version; also --version");
	printf(
	    "\nHow a command finds its hub: --data DIR on the same machine, or --connection-string "
	    "TEXT, or\nTWINHUB_CONNECTION_STRING in the environment. Results are tables on a "
	    "terminal and JSON when piped.\n\nexit codes:\n");
	for (size_t i = 0; i < exit_texts_n; i++)
		printf("  %d  %s\n", exit_texts[i].code, exit_texts[i].text);
}

/* ---- which command ---- */

/* Does the command's name begin with these words? *used: how many of them are its name. */
static bool
command_is(const struct command *c, int argc, char **argv, int *used)
{
	struct str first, second;
	bool two = str_cut(str_of(c->name), ' ', &first, &second);

	*used = two ? 2 : 1;
	return argc >= *used && str_eq(first, str_of(argv[0])) &&
	    (!two || str_eq(second, str_of(argv[1])));
}

static const struct command *
command_find(const struct command *commands, size_t n, int argc, char **argv, int *used)
{
	for (size_t i = 0; i < n; i++)
		if (command_is(&commands[i], argc, argv, used))
			return &commands[i];
	return NULL;
}

/* `twinhub device` and `twinhub device --help`: the commands of a family. False: there is none of this name. */
static bool
help_family(const struct command *commands, size_t n, const char *family, FILE *out)
{
	struct str first, second;
	char head[64];
	bool any = false;

	for (size_t i = 0; i < n; i++) {
		if (!str_cut(str_of(commands[i].name), ' ', &first, &second) ||
		    !str_eq(first, str_of(family)))
			continue;
		if (!any)
			fprintf(out, "usage:\n");
		any = true;
		snprintf(
		    head, sizeof(head), "twinhub %s %s", commands[i].name, commands[i].operands);
		fprintf(out, "  %-36s %s\n", head, commands[i].summary);
	}
	return any;
}

/* How far a command is from what was typed; the words of its name may have been typed the other way round. */
static unsigned
command_distance(const char *name, struct str word, struct str next)
{
	struct str first, second;
	unsigned n, swapped;

	if (!str_cut(str_of(name), ' ', &first, &second))
		return word_distance(word, first);
	if (next.n == 0)
		return WORD_FAR;
	n = word_distance(word, first) + word_distance(next, second);
	swapped = word_distance(word, second) + word_distance(next, first) + 1;
	return swapped < n ? swapped : n;
}

/* What may have been meant; NULL: nothing that is near. */
static const char *
command_meant(const struct command *commands, size_t n, struct str word, struct str next)
{
	static const char *const others[] = { "help", "completion", "version" };
	const size_t nother = sizeof(others) / sizeof(others[0]);
	unsigned least = WORD_FAR, far;
	const char *meant = NULL, *name;

	for (size_t i = 0; i < n + nother; i++) {
		name = i < n ? commands[i].name : others[i - n];
		far = command_distance(name, word, next);
		if (far < least) {
			least = far;
			meant = name;
		}
	}
	return meant;
}

/* The family of that name, or of nearly that one; NULL: there is none. */
static const char *
family_meant(const struct command *commands, size_t n, struct str word, char out[64])
{
	unsigned least = WORD_FAR, far;
	struct str first, second;

	for (size_t i = 0; i < n; i++) {
		if (!str_cut(str_of(commands[i].name), ' ', &first, &second))
			continue;
		far = word_distance(word, first);
		if (far < least) {
			least = far;
			snprintf(out, 64, STR_FMT, STR_ARG(first));
		}
	}
	return least < WORD_FAR ? out : NULL;
}

static int
no_command(const struct command *commands, size_t n, int argc, char **argv)
{
	struct str next = argc > 1 && argv[1][0] != '-' ? str_of(argv[1]) : STR_NONE;
	const char *meant = command_meant(commands, n, str_of(argv[0]), next);
	char family[64];
	bool right; /* the family is, and its commands stand below */

	if (meant == NULL)
		meant = family_meant(commands, n, str_of(argv[0]), family);
	right = meant != NULL && strcmp(meant, argv[0]) == 0;
	if (right)
		meant = NULL;
	if (!right || next.n > 0)
		cli_fail(EXIT_USAGE,
		    "there is no command '%s%s" STR_FMT "'%s%s%s (see twinhub --help)", argv[0],
		    next.n > 0 ? " " : "", STR_ARG(next), meant != NULL ? "; did you mean '" : "",
		    meant != NULL ? meant : "", meant != NULL ? "'?" : "");
	help_family(commands, n, argv[0], stderr);
	return EXIT_USAGE;
}

static bool
is_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static bool
wants_help(int argc, char **argv)
{
	for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (is_help(argv[i]))
			return true;
	return false;
}

/* --output is the same said in one option, as az has it. */
static int
output_settle(struct args *a)
{
	static const enum option formats[] = { OPT_JSON, OPT_TABLE, OPT_CSV };
	enum option given = a->option[OPT_OUTPUT] != NULL ? OPT_OUTPUT : OPT_OUTPUT_ROWS;
	bool other = a->option[OPT_JSON] != NULL || a->option[OPT_TABLE] != NULL ||
	    a->option[OPT_CSV] != NULL;

	if (a->option[given] == NULL)
		return EXIT_DONE;
	if (other)
		return cli_fail(
		    EXIT_USAGE, "--output excludes --json, --table and --csv, which are the same");
	if (a->number[given] < sizeof(formats) / sizeof(formats[0]))
		a->option[formats[a->number[given]]] = "";
	return EXIT_DONE;
}

static int
command_run(const struct command *c, int argc, char **argv)
{
	struct args a;
	char why[WHY_MAX];

	if (wants_help(argc, argv)) {
		help_command(c);
		return EXIT_DONE;
	}
	if (c->raw != NULL)
		return c->raw(argc, argv);
	if (!args_parse(c, argc, argv, &a, why, sizeof(why)))
		return cli_fail(EXIT_USAGE, "%s", why);
	if (output_settle(&a) != EXIT_DONE)
		return EXIT_USAGE;
	if ((a.option[OPT_JSON] != NULL) + (a.option[OPT_TABLE] != NULL) +
	        (a.option[OPT_CSV] != NULL) >
	    1)
		return cli_fail(EXIT_USAGE, "--json, --table and --csv exclude each other");
	net_init();
	terminal_guard();
	return c->run(&a);
}

/* help --man [COMMAND|twinhub.conf]: its page, without a name the program's. */
static bool
help_page(struct buf *out, const struct manual *m, int argc, char **argv)
{
	char name[64];

	if (argc > 2)
		return false;
	snprintf(name, sizeof(name), "%s%s%s", argc > 0 ? argv[0] : "twinhub", argc > 1 ? " " : "",
	    argc > 1 ? argv[1] : "");
	return manual_page(out, m, name);
}

/* help --man, help --markdown TABLE: what the manual pages and files of the tree are made of (scripts/pages, scripts/manual). */
static int
help_printed(const struct manual *m, int argc, char **argv)
{
	struct buf out = { 0 };
	bool known;

	if (strcmp(argv[0], "--man") == 0)
		known = help_page(&out, m, argc - 1, argv + 1);
	else
		known = argc == 2 && strcmp(argv[0], "--markdown") == 0 &&
		    manual_table(&out, m, argv[1]);
	say_str(buf_view(&out));
	buf_fini(&out);
	return known ? EXIT_DONE
	             : cli_fail(EXIT_USAGE,
	                   "usage: twinhub help --man [COMMAND], or --markdown options, commands, "
	                   "codes, routes, openapi, metrics, figures, settings or pages");
}

static int
help_completion(void)
{
	printf("usage: twinhub completion bash|zsh|fish\n\nPrint a script that completes commands, "
	       "options and "
	       "their values.\n\nexample:\n  source <(twinhub completion bash)\n");
	return EXIT_DONE;
}

static int
completion(const struct manual *m, int argc, char **argv)
{
	struct buf out = { 0 };
	bool known = argc == 1 && completion_script(&out, m, argv[0]);

	say_str(buf_view(&out));
	buf_fini(&out);
	if (known || (argc > 0 && is_help(argv[0])))
		return known ? EXIT_DONE : help_completion();
	return cli_fail(EXIT_USAGE, "usage: twinhub completion bash, zsh or fish");
}

static int
help(const struct command *commands, size_t n, int argc, char **argv)
{
	const struct command *c;
	int used;

	if (argc == 0) {
		help_all(commands, n);
		return EXIT_DONE;
	}
	if (strcmp(argv[0], "completion") == 0)
		return help_completion();
	if (str_starts(str_of(argv[0]), STR("--")))
		return help_printed(&(struct manual){ commands, n }, argc, argv);
	c = command_find(commands, n, argc, argv, &used);
	if (c == NULL)
		return help_family(commands, n, argv[0], stdout)
		    ? EXIT_DONE
		    : no_command(commands, n, argc, argv);
	help_command(c);
	return EXIT_DONE;
}

static int
dispatch(const struct command *commands, size_t n, int argc, char **argv)
{
	const struct command *c;
	int used;

	if (argc == 0) {
		fprintf(stderr, "usage: twinhub COMMAND [options] (see twinhub --help)\n");
		return EXIT_USAGE;
	}
	if (strcmp(argv[0], "--version") == 0 || strcmp(argv[0], "version") == 0) {
		printf("twinhub " TWINHUB_VERSION "\n");
		return EXIT_DONE;
	}
	if (is_help(argv[0]) || strcmp(argv[0], "help") == 0)
		return help(commands, n, argc - 1, argv + 1);
	if (strcmp(argv[0], "completion") == 0)
		return completion(&(struct manual){ commands, n }, argc - 1, argv + 1);
	c = command_find(commands, n, argc, argv, &used);
	if (c != NULL)
		return command_run(c, argc - used, argv + used);
	if (argc > 1 && is_help(argv[1]) && help_family(commands, n, argv[0], stdout))
		return EXIT_DONE;
	return no_command(commands, n, argc, argv);
}

int
cli_main(const struct command *commands, size_t n, int argc, char **argv)
{
	int code;

	os_standard_open();
	code = dispatch(commands, n, argc, argv);

	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	/* a reader that has gone knows; a full disk does not say so by itself */
	if (errno != EPIPE)
		cli_fail(EXIT_FAILED, "the output cannot be written: %s", strerror(errno));
	return code == EXIT_DONE ? EXIT_FAILED : code;
}
