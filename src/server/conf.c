/*
 * The file of settings: lines `name value`. It is read strictly, for what stands in it and is not in force is found out by nobody. A message
 * has no more of a line than its name: values may be secret. O-101.
 */
#include "os/os.h"
#include "server/priv.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#define CONF_MAX   (1u << 20) /* bytes of the file */
#define LINE_LIMIT 4096       /* of a line */
#define NAME_SHOWN 64
#define SIGN_FLAW  "and its value have a blank between them, no '=' or ':'"

/* Editors of Windows begin a file so. */
#define BYTE_ORDER_MARK "\xef\xbb\xbf"

/* What stands where a line's name should. It ends at the signs of other languages, too: a value behind them is not shown. */
static struct str
name_of(struct str line)
{
	size_t n = 0;

	while (n < line.n && !char_among(line.p[n], " \t=:"))
		n++;
	return (struct str){ line.p, n };
}

/* Why a name is none of the file's; row: it is one of the command line's, else -1. */
static void
stranger_tell(struct str name, int row, char *why, size_t nwhy)
{
	struct buf text = { 0 };
	int near = option_near(&server_settings, name);

	buf_putc(&text, '\'');
	option_show(&text, name, NAME_SHOWN);
	buf_putc(&text, '\'');
	if (row >= 0)
		buf_cstr(&text, " is for the command line only");
	else if (str_starts(name, STR("--")))
		buf_cstr(&text, " is no setting: names have no dashes in front");
	else if (near >= 0 && !server_settings.v[near].line_only)
		buf_printf(&text, " is no setting; did you mean %s?", server_settings.v[near].name);
	else
		buf_cstr(&text, " is no setting (see twinhub serve --help)");
	snprintf(why, nwhy, STR_FMT, STR_ARG(buf_view(&text)));
	buf_fini(&text);
}

/* What would be taken for a part of the value and is not meant to be: NULL when there is nothing. */
static const char *
value_flaw(struct str value)
{
	if (value.n == 0)
		return "needs a value";
	if (value.p[0] == '=')
		return SIGN_FLAW;
	if (char_among(value.p[0], "\"'"))
		return "has its value without quotes";
	for (size_t i = 1; i < value.n; i++)
		if (value.p[i] == '#' && char_among(value.p[i - 1], " \t"))
			return "has a comment behind its value, which needs a line of its own";
	return NULL;
}

/* One line; number: which. In DATA/twinhub.conf `data` is what has led there: a restored one may name where it was. */
static enum err
line_read(struct str line, unsigned number, struct server_options *o, char *why, size_t nwhy)
{
	struct str name = name_of(line), value = blanks_trimmed(str_sub(line, name.n));
	int row = option_find(&server_settings, name);
	const struct option_spec *spec;
	bool sign = name.n < line.n && char_among(line.p[name.n], "=:");
	const char *flaw = sign ? SIGN_FLAW : value_flaw(value);
	unsigned former;

	if (row < 0 || server_settings.v[row].line_only) {
		stranger_tell(name, row, why, nwhy);
		return ERR_ARG;
	}
	spec = &server_settings.v[row];
	if (flaw != NULL) {
		snprintf(why, nwhy, "%s %s", spec->name, flaw);
		return ERR_ARG;
	}
	if (o->config == NULL && spec->at == offsetof(struct server_options, data))
		return ERR_OK;
	former = spec->many ? 0 : o->told[row].line;
	if (text_take(o, spec, OPTION_OF_FILE, value, why, nwhy) != ERR_OK)
		return ERR_ARG;
	o->told[row].line = number;
	o->told[row].former = former;
	return ERR_OK;
}

/* '#' begins a line that is a comment. */
static enum err
text_read(const char *path, struct str rest, struct server_options *o, char *why, size_t nwhy)
{
	char reason[512];
	struct str line;
	enum err e = ERR_OK;

	if (str_starts(rest, STR(BYTE_ORDER_MARK)))
		rest = str_sub(rest, STR(BYTE_ORDER_MARK).n);
	for (unsigned number = 1; rest.n > 0 && e == ERR_OK; number++) {
		str_cut(rest, '\n', &line, &rest);
		line = blanks_trimmed(line);
		if (line.n > LINE_LIMIT) {
			snprintf(reason, sizeof(reason), "it has %zu bytes, and %u are the most",
			    line.n, LINE_LIMIT);
			e = ERR_ARG;
		} else if (line.n > 0 && memchr(line.p, '\0', line.n) != NULL) {
			snprintf(reason, sizeof(reason), "a byte 0 is in it: this is no text");
			e = ERR_ARG;
		} else if (line.n > 0 && line.p[0] != '#') {
			e = line_read(line, number, o, reason, sizeof(reason));
		}
		if (e != ERR_OK)
			snprintf(why, nwhy, "%s, line %u: %s", path, number, reason);
	}
	return e;
}

enum err
conf_read(const char *path, struct server_options *o, char *why, size_t nwhy)
{
	struct buf text = { 0 };
	enum err e = os_read_file(path, CONF_MAX, &text, NULL);

	if (e == ERR_OK)
		e = text_read(path, buf_view(&text), o, why, nwhy);
	else if (e == ERR_NOT_FOUND && o->config == NULL)
		e = ERR_OK;
	else if (e == ERR_SIZE)
		snprintf(why, nwhy, "%s has more than %u bytes", path, CONF_MAX);
	else
		snprintf(why, nwhy, "%s cannot be read: %s", path, strerror(errno));
	buf_fini(&text);
	return e == ERR_OK ? e : ERR_ARG;
}

/* ---- what is not in force ---- */

static bool
same_file(const char *a, const char *b)
{
	struct stat one, other;

	return stat(a, &one) == 0 && stat(b, &other) == 0 && one.st_dev == other.st_dev &&
	    one.st_ino == other.st_ino;
}

/* One that nobody has written in since a first start made it says nothing. */
static bool
says_something(const char *path)
{
	struct buf text = { 0 }, fresh = { 0 };
	bool says = false;

	if (os_read_file(path, CONF_MAX, &text, NULL) != ERR_NOT_FOUND) {
		options_template(&fresh);
		says = !str_eq(buf_view(&text), buf_view(&fresh));
	}
	buf_fini(&text);
	buf_fini(&fresh);
	return says;
}

void
options_idle(const struct server_options *o, void (*tell)(void *ctx, const char *text), void *ctx)
{
	char path[DATA_PATH_MAX], text[2 * DATA_PATH_MAX + 128];
	const char *file = o->config;

	if (!data_path(path, o->data, CONF_FILE))
		return;
	if (file == NULL)
		file = path;
	for (unsigned i = 0; i < server_settings.n; i++)
		if (o->told[i].from == OPTION_OF_FILE && o->told[i].former != 0) {
			snprintf(text, sizeof(text), "%s: %s in line %u takes the place of line %u",
			    file, server_settings.v[i].name, o->told[i].line, o->told[i].former);
			tell(ctx, text);
		}
	if (file != path && !same_file(path, file) && says_something(path)) {
		snprintf(text, sizeof(text), "%s is ignored: the settings are in %s", path, file);
		tell(ctx, text);
	}
}
