/* Options read: the defaults, then the file of settings, the environment, the command line, all by the table of settings.c. */
#include "server/priv.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#define CONF_NAME         "TWINHUB_CONFIG"
#define ENV_PREFIX        "TWINHUB_"
#define ENV_NAME_MAX      64
#define BLANKS            " \t\r\n"

#define HOST_NAME_LONGEST 253 /* RFC 1035, without the last dot */
#define HOST_NAME_SHOWN   100

/* Where values come from: each wins over those before it. */
static const char *const sources[] = { [OPTION_FALLBACK] = "the default",
	[OPTION_OF_FILE] = "the file",
	[OPTION_OF_ENVIRONMENT] = "the environment",
	[OPTION_OF_LINE] = "the command line" };

const char *
option_source_name(enum option_source from)
{
	return sources[from];
}

static struct option_list *
list_at(struct server_options *o, const struct option_spec *spec)
{
	return (struct option_list *)((char *)o + spec->at);
}

/* What a value of this kind is kept in: a field of another size would be written over its neighbour. */
static size_t
room_of(enum option_kind kind)
{
	switch (kind) {
	case OPTION_NUMBER:
	case OPTION_SIZE: return sizeof(uint64_t);
	case OPTION_WORD: return sizeof(enum log_level);
	case OPTION_SWITCH:
	case OPTION_YES_NO: return sizeof(bool);
	default: return sizeof(const char *);
	}
}

/* The value has been judged. A list replaces the one of a source that was read before. */
static enum err
value_keep(struct server_options *o, const struct option_spec *spec, enum option_source from,
    const char *text, uint64_t number, char *why, size_t nwhy)
{
	char *field = (char *)o + spec->at;
	struct option_list *list = list_at(o, spec);
	struct option_told *told = &o->told[spec - server_settings.v];

	o->given |= OPTION_BIT(spec - server_settings.v);
	if (spec->many && told->from != from)
		list->n = 0;
	*told = (struct option_told){ .from = from, .text = text };
	if (spec->many) {
		if (list->n == LIST_MAX) {
			snprintf(
			    why, nwhy, "--%s is given more than %d times", spec->name, LIST_MAX);
			return ERR_ARG;
		}
		list->v[list->n++] = text;
		return ERR_OK;
	}
	assert(spec->room == room_of(spec->kind));
	switch (spec->kind) {
	case OPTION_NUMBER:
	case OPTION_SIZE: *(uint64_t *)field = number; return ERR_OK;
	case OPTION_WORD: *(enum log_level *)field = (enum log_level)number; return ERR_OK;
	case OPTION_SWITCH: *(bool *)field = true; return ERR_OK;
	case OPTION_YES_NO: *(bool *)field = number != 0; return ERR_OK;
	default: *(const char **)field = text; return ERR_OK;
	}
}

/* Rows without a default stay zero: the hub finds them out. */
static void
defaults(struct server_options *o)
{
	char why[128];
	uint64_t number;

	*o = (struct server_options){ 0 };
	for (unsigned i = 0; i < server_settings.n; i++) {
		const struct option_spec *spec = &server_settings.v[i];

		if (spec->fallback == NULL)
			continue;
		if (option_judge(spec, spec->fallback, &number, why, sizeof(why)) == ERR_OK)
			value_keep(
			    o, spec, OPTION_FALLBACK, spec->fallback, number, why, sizeof(why));
		else
			assert(!"a default out of its own range");
	}
	o->given = 0;
}

static enum err
parse_argv(int argc, char **argv, struct server_options *o, char *why, size_t nwhy)
{
	struct option_given given;

	for (int i = 0; i < argc; i += given.used) {
		if (!str_starts(str_of(argv[i]), STR("--"))) {
			snprintf(why, nwhy, "unexpected argument '%s'", argv[i]);
			return ERR_ARG;
		}
		if (option_read(&server_settings, "serve", argc - i, argv + i, &given, why, nwhy) !=
		        ERR_OK ||
		    value_keep(o, &server_settings.v[given.row], OPTION_OF_LINE, given.text,
		        given.number, why, nwhy) != ERR_OK)
			return ERR_ARG;
	}
	return ERR_OK;
}

struct str
blanks_trimmed(struct str s)
{
	while (s.n > 0 && char_among(s.p[0], BLANKS))
		s = str_sub(s, 1);
	while (s.n > 0 && char_among(s.p[s.n - 1], BLANKS))
		s.n--;
	return s;
}

struct str
word_cut(struct str *rest)
{
	struct str word = { rest->p, 0 };

	while (word.n < rest->n && !char_among(rest->p[word.n], BLANKS))
		word.n++;
	*rest = blanks_trimmed(str_sub(*rest, word.n));
	return word;
}

/* Values of a file and the environment live as long as the program: options borrow them. */
static const char *
keep(struct str value)
{
	static struct arena kept;
	char *p = arena_alloc(&kept, value.n + 1);

	bytes_copy(p, value.p, value.n);
	return p;
}

enum err
text_take(struct server_options *o, const struct option_spec *spec, enum option_source from,
    struct str value, char *why, size_t nwhy)
{
	const char *text = keep(value);
	uint64_t number;

	if (option_judge(spec, text, &number, why, nwhy) != ERR_OK)
		return ERR_ARG;
	return value_keep(o, spec, from, text, number, why, nwhy);
}

/* Rules of one's own over those of the edition. */
static enum err
limits_settle(struct server_options *o, char *why, size_t nwhy)
{
	struct limit_rules own = { 0 };
	enum err e = ERR_OK;

	o->limits = (struct limit_rules){ 0 };
	for (unsigned i = 0; i < o->rate_limits.n && e == ERR_OK; i++)
		e = limit_rule_parse(str_of(o->rate_limits.v[i]), &own, why, nwhy);
	if (e == ERR_OK && o->throttle != THROTTLE_OFF)
		e = limit_preset(
		    str_of(throttle_name(o->throttle)), o->units, &o->limits, why, nwhy);
	if (e == ERR_OK && o->throttle == THROTTLE_OFF && o->units != 1) {
		snprintf(why, nwhy, "--units is how many of --throttle, which is not there");
		e = ERR_ARG;
	}
	return e == ERR_OK ? limit_rules_over(&o->limits, &own) : e;
}

static enum err
nets_check(const struct option_list *list, const char *name, char *why, size_t nwhy)
{
	struct nets nets = { 0 };

	for (unsigned i = 0; i < list->n; i++)
		if (nets_add(&nets, list->v[i]) != ERR_OK) {
			snprintf(why, nwhy,
			    "--%s %s: not an address or a net like 10.0.0.0/8 or fd00::/8, with no "
			    "bit set beyond its length",
			    name, list->v[i]);
			return ERR_ARG;
		}
	return ERR_OK;
}

/* Letters, digits and what stands in names and addresses: "hub-1.example.test", "::1". */
static bool
is_host(struct str name)
{
	for (size_t i = 0; i < name.n; i++)
		if (!isalnum((unsigned char)name.p[i]) && !char_among(name.p[i], "-._:"))
			return false;
	return name.n > 0 && name.n <= HOST_NAME_LONGEST;
}

static enum err
hosts_check(const struct server_options *o, char *why, size_t nwhy)
{
	struct buf shown = { 0 };

	for (unsigned i = 0; i < o->hostnames.n; i++) {
		if (is_host(str_of(o->hostnames.v[i])))
			continue;
		option_show(&shown, str_of(o->hostnames.v[i]), HOST_NAME_SHOWN);
		snprintf(why, nwhy,
		    "--hostname " STR_FMT ": not one name, of letters, digits, '-', '.' and '_', "
		    "or IP address, of %u bytes at most",
		    STR_ARG(buf_view(&shown)), HOST_NAME_LONGEST);
		buf_fini(&shown);
		return ERR_ARG;
	}
	return ERR_OK;
}

static enum err
options_settle(struct server_options *o, char *why, size_t nwhy)
{
	if (hosts_check(o, why, nwhy) != ERR_OK ||
	    nets_check(&o->address_free, "address-free", why, nwhy) != ERR_OK ||
	    nets_check(&o->proxies, "proxy", why, nwhy) != ERR_OK ||
	    nets_check(&o->sink_allow, "sink-allow", why, nwhy) != ERR_OK)
		return ERR_ARG;
	if ((o->partitions & (o->partitions - 1)) != 0) {
		snprintf(why, nwhy, "--event-partitions %u: 1, 2, 4, 8, 16 or 32",
		    (unsigned)o->partitions);
		return ERR_ARG;
	}
	if (o->certs.n != o->keys.n || o->certs.n > 2) {
		snprintf(why, nwhy, "--cert and --key go in pairs, at most two");
		return ERR_ARG;
	}
	if (metrics_check(o, why, nwhy) != ERR_OK || mesh_check(o, why, nwhy) != ERR_OK)
		return ERR_ARG;
	return limits_settle(o, why, nwhy);
}

/* ---- the environment ---- */

/* Without the blanks around it: YAML's blocks end with a line's end. NULL: not set, or nothing but those. */
static const char *
environment(const char *name)
{
	const char *value = getenv(name);
	struct str text = blanks_trimmed(str_of(value != NULL ? value : ""));

	return text.n > 0 ? keep(text) : NULL;
}

/* max-devices is TWINHUB_MAX_DEVICES. */
static void
environment_name(const struct option_spec *spec, char out[ENV_NAME_MAX])
{
	size_t n = (size_t)snprintf(out, ENV_NAME_MAX, ENV_PREFIX "%s", spec->name);

	for (size_t i = 0; i < n && i < ENV_NAME_MAX - 1; i++)
		out[i] = out[i] == '-' ? '_' : (char)toupper((unsigned char)out[i]);
}

/* A list has blanks between its values. Names that no option has are somebody else's: clusters set TWINHUB_PORT for a service. */
static enum err
variable_read(struct server_options *o, const struct option_spec *spec, const char *name,
    const char *value, char *why, size_t nwhy)
{
	struct str rest = str_of(value), one;
	char reason[512];

	while (rest.n > 0) {
		if (spec->many) {
			one = word_cut(&rest);
		} else {
			one = rest;
			rest = STR("");
		}
		if (text_take(o, spec, OPTION_OF_ENVIRONMENT, one, reason, sizeof(reason)) !=
		    ERR_OK) {
			snprintf(why, nwhy, "%s in the environment: %s", name, reason);
			return ERR_ARG;
		}
	}
	return ERR_OK;
}

static enum err
parse_environment(struct server_options *o, char *why, size_t nwhy)
{
	char name[ENV_NAME_MAX];
	const char *value;

	for (unsigned i = 0; i < server_settings.n; i++) {
		if (server_settings.v[i].line_only)
			continue;
		environment_name(&server_settings.v[i], name);
		value = environment(name);
		if (value != NULL &&
		    variable_read(o, &server_settings.v[i], name, value, why, nwhy) != ERR_OK)
			return ERR_ARG;
	}
	return ERR_OK;
}

const char *
data_of_environment(void)
{
	return environment(DATA_NAME);
}

/* ---- all of them ---- */

/* The file that was asked for, else DATA/twinhub.conf. */
static enum err
file_read(const struct server_options *line, struct server_options *o, char *why, size_t nwhy)
{
	const char *data = line->data != NULL ? line->data : data_of_environment();
	char path[DATA_PATH_MAX];

	o->config = line->config != NULL ? line->config : environment(CONF_NAME);
	if (o->config != NULL)
		return conf_read(o->config, o, why, nwhy);
	if (data == NULL) {
		snprintf(why, nwhy, "--data DIR is needed");
		return ERR_ARG;
	}
	if (!data_path(path, data, CONF_FILE)) {
		snprintf(why, nwhy, "the path of --data is too long");
		return ERR_ARG;
	}
	return conf_read(path, o, why, nwhy);
}

/* No directory yet, so no file: the command line has it all. */
static enum err
parse_ephemeral(int argc, char **argv, struct server_options *o, char *why, size_t nwhy)
{
	if (parse_argv(argc, argv, o, why, nwhy) != ERR_OK)
		return ERR_ARG;
	if (o->data != NULL || o->config != NULL || o->background || o->check || o->rehearse) {
		snprintf(why, nwhy,
		    "--ephemeral has all from the command line and ends with who started it: no "
		    "--data, --config, --background, --check or --rehearse");
		return ERR_ARG;
	}
	if (o->ports == PORTS_ANY && o->binds.n > 0) {
		snprintf(why, nwhy, "--ports any has an address of its own: no --bind");
		return ERR_ARG;
	}
	return options_settle(o, why, nwhy);
}

static void
unless_asked(struct server_options *o, const char *name, uint64_t *number, uint64_t value)
{
	if (o->told[option_find(&server_settings, str_of(name))].from != OPTION_OF_LINE)
		*number = value;
}

/* What the settings of the hub that it is of say would be in that one's way, or go on in its name. */
static void
rehearse_settle(struct server_options *o)
{
	uint64_t asked = 1;

	unless_asked(o, "bind", &asked, 0);
	if (asked == 0)
		o->binds = (struct option_list){ { "127.0.0.1" }, 1 };
	unless_asked(o, "https-port", &o->https_port, 0);
	unless_asked(o, "mqtts-port", &o->mqtts_port, 0);
	unless_asked(o, "mqtt-port", &o->mqtt_port, 0);
	if (o->told[option_find(&server_settings, STR("log-file"))].from != OPTION_OF_LINE)
		o->log_file = NULL;
	o->metrics_bind = "off";
	o->backup_dir = NULL;
}

enum err
options_parse(int argc, char **argv, struct server_options *o, char *why, size_t nwhy)
{
	struct server_options line = { 0 };

	defaults(o);
	if (parse_argv(argc, argv, &line, why, nwhy) != ERR_OK)
		return ERR_ARG;
	if (line.ephemeral)
		return parse_ephemeral(argc, argv, o, why, nwhy);
	if (line.ports != PORTS_STANDARD) {
		snprintf(why, nwhy, "--ports is for --ephemeral; see --https-port, --mqtts-port");
		return ERR_ARG;
	}
	if (line.seed != NULL || line.clock) {
		snprintf(why, nwhy,
		    line.clock ? "--clock is for --ephemeral"
		               : "--seed is for --ephemeral; see `twinhub import`");
		return ERR_ARG;
	}
	if (file_read(&line, o, why, nwhy) != ERR_OK || parse_environment(o, why, nwhy) != ERR_OK ||
	    parse_argv(argc, argv, o, why, nwhy) != ERR_OK)
		return ERR_ARG;
	if (o->data == NULL) {
		snprintf(why, nwhy, "--data DIR is needed, here or as a line of %s", o->config);
		return ERR_ARG;
	}
	if (o->rehearse)
		rehearse_settle(o);
	return options_settle(o, why, nwhy);
}

const struct option_list *
options_list(const struct server_options *o, unsigned row)
{
	const struct option_spec *spec = &server_settings.v[row];

	return spec->many ? (const struct option_list *)((const char *)o + spec->at) : NULL;
}

enum err
options_of_data(const char *dir, struct server_options *o, char *why, size_t nwhy)
{
	char path[DATA_PATH_MAX];

	defaults(o);
	o->data = dir;
	if (!data_path(path, dir, CONF_FILE)) {
		snprintf(why, nwhy, "the path of the directory is too long");
		return ERR_ARG;
	}
	if (conf_read(path, o, why, nwhy) != ERR_OK)
		return ERR_ARG;
	return options_settle(o, why, nwhy);
}

void
options_template(struct buf *out)
{
	buf_cstr(out,
	    "# twinhub's settings: lines of `name value`, as on the command line without the "
	    "dashes.\n"
	    "# The command line wins over TWINHUB_NAME in the environment, and that over this "
	    "file.\n");
	option_template(out, &server_settings);
}
