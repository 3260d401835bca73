/* Options: one table for the command line, the configuration file, --help and the file's template. */
#include "log/log.h"
#include "net/net.h"
#include "os/os.h"
#include "server/server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum type {
	T_DATA,
	T_TEXT,
	T_LIST,
	T_NUMBER,
	T_SIZE,
	T_FLAG,
	T_LEVEL
}; /* T_DATA: not in the file */

#define AT(field) offsetof(struct server_options, field)
static const struct option {
	const char *name, *value;
	enum type type;
	size_t at;
	uint64_t fallback, least, most;
	const char *help;
} options[] = {
	{ "data", "DIR", T_DATA, AT(data), 0, 0, 0, "the data directory; made when missing" },
	{ "hostname", "NAME", T_LIST, AT(hostnames), 0, 0, 0,
	    "a name clients use; repeat for more (default: this machine's)" },
	{ "bind", "ADDR", T_LIST, AT(binds), 0, 0, 0,
	    "an address to listen on; repeat for more (default: all)" },
	{ "mqtts-port", "N", T_NUMBER, AT(mqtts_port), 8883, 0, 65535, "MQTT over TLS; 0: off" },
	{ "https-port", "N", T_NUMBER, AT(https_port), 443, 0, 65535,
	    "HTTPS, and MQTT over WebSocket" },
	{ "mqtt-port", "N", T_NUMBER, AT(mqtt_port), 0, 0, 65535,
	    "MQTT in plain text, on loopback addresses only; 0: off" },
	{ "cert", "FILE", T_LIST, AT(certs), 0, 0, 0,
	    "a server certificate chain in PEM, with --key; at most two" },
	{ "key", "FILE", T_LIST, AT(keys), 0, 0, 0, "the key of the --cert at the same place" },
	{ "client-ca", "FILE", T_LIST, AT(client_cas), 0, 0, 0,
	    "a CA that device certificates descend from; repeat for more" },
	{ "memory", "SIZE", T_SIZE, AT(memory_bytes), 0, 64u << 20, UINT64_MAX,
	    "memory for documents and caches (default: a quarter of the machine's)" },
	{ "workers", "N", T_NUMBER, AT(workers), 0, 0, 64,
	    "threads that own the shards; 0: half the cores" },
	{ "io-threads", "N", T_NUMBER, AT(io_threads), 0, 0, 64,
	    "threads that serve connections; 0: half the cores" },
	{ "max-devices", "N", T_NUMBER, AT(max_devices), 1000000, 1, 100000000,
	    "devices and modules in the hub" },
	{ "max-connections", "N", T_NUMBER, AT(max_connections), 0, 0, 10000000,
	    "connections at once; 0: what the descriptor limit allows" },
	{ "max-connections-per-address", "N", T_NUMBER, AT(max_connections_per_address), 0, 0,
	    10000000, "connections of one address; 0: half of all" },
	{ "address-free", "NET", T_LIST, AT(address_free), 0, 0, 0,
	    "addresses without limits by address, as 10.0.0.0/8; repeat for more" },
	{ "proxy", "NET", T_LIST, AT(proxies), 0, 0, 0,
	    "balancers: who connects from there names its client first, by PROXY protocol v2" },
	{ "connect-timeout", "SECONDS", T_NUMBER, AT(connect_timeout_s), 30, 1, 3600,
	    "from accept to a whole MQTT CONNECT" },
	{ "request-timeout", "SECONDS", T_NUMBER, AT(request_timeout_s), 30, 1, 3600,
	    "from accept to a whole first HTTP request (later ones: 120)" },
	{ "query-timeout", "SECONDS", T_NUMBER, AT(query_timeout_s), 60, 1, 3600,
	    "time of one query; beyond it the answer is 400" },
	{ "token-skew", "SECONDS", T_NUMBER, AT(token_skew_s), 300, 0, 86400,
	    "how long a token is good after its end" },
	{ "max-token-ttl", "SECONDS", T_NUMBER, AT(token_ttl_max_s), 0, 0, 315360000,
	    "how much later than now a token may end, at least 900; 0: whenever it likes" },
	{ "log-max-size", "SIZE", T_SIZE, AT(log_max_bytes), UINT64_C(1) << 30, 1u << 20,
	    UINT64_MAX, "event log on disk; the oldest is dropped" },
	{ "log-max-age", "SECONDS", T_NUMBER, AT(log_max_age_s), 86400, 0, 604800,
	    "age of the event log; 0: by size only" },
	{ "free-space", "SIZE", T_SIZE, AT(free_space_bytes), 64u << 20, 0, UINT64_MAX,
	    "free disk space below which changes are refused" },
	{ "scrub-rate", "SIZE", T_SIZE, AT(scrub_bytes), 4u << 20, 0, UINT64_MAX,
	    "bytes a second at which stored files are read again, once a day; 0: never" },
	{ "verify", "yes|no", T_FLAG, AT(verify), 0, 0, 0,
	    "read every stored file before serving; what is damaged is refused (alone: yes)" },
	{ "rate-limit", "RULE", T_LIST, AT(rate_limits), 0, 0, 0,
	    "as device:updates=10/s, for each device, module, policy or address; repeat for more" },
	{ "import-export-dir", "DIR", T_LIST, AT(import_export_dirs), 0, 0, 0,
	    "a directory whose files import and export jobs may use; repeat for more" },
	{ "log-file", "FILE", T_TEXT, AT(log_file), 0, 0, 0,
	    "the log goes there; opened anew on SIGHUP and SIGUSR1 (default: stderr)" },
	{ "log-level", "LEVEL", T_LEVEL, AT(log_level), LOG_INFO, 0, 0,
	    "error, warn, info or debug: lines up to this one are written" },
	{ "tls-legacy", "yes|no", T_FLAG, AT(tls_legacy), 0, 0, 0,
	    "with the CBC suites of TLS 1.2, for clients that know no better (alone: yes)" },
	{ "strict-queries", "yes|no", T_FLAG, AT(strict_queries), 0, 0, 0,
	    "refuse what Azure's query language lacks (alone: yes)" },
};
#define NOPTION (sizeof(options) / sizeof(options[0]))

static const struct option *
option_find(struct str name)
{
	for (size_t i = 0; i < NOPTION; i++)
		if (str_eq(name, str_of(options[i].name)))
			return &options[i];
	return NULL;
}

/* 512, 64K, 100M, 2G, 1T */
static bool
size_parse(struct str s, uint64_t *out)
{
	static const char units[] = "KMGT";
	char last = s.n > 0 ? (char)(s.p[s.n - 1] & ~0x20) : '\0';
	unsigned shift = 0;

	if (char_among(last, units)) {
		shift = 10 * (unsigned)(strchr(units, last) - units + 1);
		s.n--;
	}
	if (!str_u64(s, out) || *out > UINT64_MAX >> shift)
		return false;
	*out <<= shift;
	return true;
}

static enum err
option_set(
    const struct option *op, struct server_options *o, const char *value, char *why, size_t nwhy)
{
	char *field = (char *)o + op->at;
	struct option_list *list = (struct option_list *)field;
	uint64_t n;

	switch (op->type) {
	case T_DATA:
	case T_TEXT: *(const char **)field = value; return ERR_OK;
	case T_LIST:
		if (list->n == LIST_MAX) {
			snprintf(why, nwhy, "--%s is given more than %d times", op->name, LIST_MAX);
			return ERR_ARG;
		}
		list->v[list->n++] = value;
		return ERR_OK;
	case T_NUMBER:
	case T_SIZE:
		if (!(op->type == T_SIZE ? size_parse(str_of(value), &n)
		                         : str_u64(str_of(value), &n)) ||
		    n < op->least || n > op->most) {
			snprintf(why, nwhy, "--%s %s: not a %s from %llu to %llu", op->name, value,
			    op->type == T_SIZE ? "size (like 512M)" : "number",
			    (unsigned long long)op->least, (unsigned long long)op->most);
			return ERR_ARG;
		}
		*(uint64_t *)field = n;
		return ERR_OK;
	case T_LEVEL:
		if (!log_level_of(str_of(value), (enum log_level *)field)) {
			snprintf(
			    why, nwhy, "--%s %s: not error, warn, info or debug", op->name, value);
			return ERR_ARG;
		}
		return ERR_OK;
	case T_FLAG:
		if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0) {
			snprintf(why, nwhy, "--%s %s: not yes or no", op->name, value);
			return ERR_ARG;
		}
		*(bool *)field = value[0] == 'y';
		return ERR_OK;
	}
	return ERR_ARG;
}

static enum err
parse_argv(int argc, char **argv, struct server_options *o, char *why, size_t nwhy)
{
	for (int i = 0; i < argc; i++) {
		const struct option *op;
		const char *value = strchr(argv[i], '=');
		struct str name = str_of(argv[i]);

		if (!str_starts(name, STR("--"))) {
			snprintf(why, nwhy, "unexpected argument '%s'", argv[i]);
			return ERR_ARG;
		}
		if (value != NULL)
			name.n = (size_t)(value++ - argv[i]);
		op = option_find(str_sub(name, 2));
		if (op == NULL) {
			snprintf(why, nwhy,
			    "unknown option '" STR_FMT "' (see twinhub serve --help)",
			    STR_ARG(name));
			return ERR_ARG;
		}
		if (value == NULL && op->type == T_FLAG)
			value = "yes";
		if (value == NULL && (value = i + 1 < argc ? argv[++i] : NULL) == NULL) {
			snprintf(why, nwhy, "--%s needs a value", op->name);
			return ERR_ARG;
		}
		if (option_set(op, o, value, why, nwhy) != ERR_OK)
			return ERR_ARG;
	}
	return ERR_OK;
}

static struct str
trim(struct str s)
{
	while (s.n > 0 && char_among(s.p[0], " \t\r"))
		s = str_sub(s, 1);
	while (s.n > 0 && char_among(s.p[s.n - 1], " \t\r"))
		s.n--;
	return s;
}

/* Values of the file live as long as the program: options borrow them. */
static const char *
keep(struct str value)
{
	static struct arena kept;
	char *p = arena_alloc(&kept, value.n + 1);

	bytes_copy(p, value.p, value.n);
	return p;
}

/* Lines `name value`; '#' begins a comment line. */
static enum err
parse_file(const char *path, char *text, size_t n, struct server_options *o, char *why, size_t nwhy)
{
	struct str rest = { text, n }, line, name, value;
	char reason[256];

	for (unsigned number = 1; rest.n > 0; number++) {
		const struct option *op;

		str_cut(rest, '\n', &line, &rest);
		line = trim(line);
		if (line.n == 0 || line.p[0] == '#')
			continue;
		str_cut(line, ' ', &name, &value);
		value = trim(value);
		op = option_find(name);
		if (op == NULL || op->type == T_DATA || value.n == 0) {
			snprintf(why, nwhy, "%s, line %u: '" STR_FMT "' is no setting with a value",
			    path, number, STR_ARG(line));
			return ERR_ARG;
		}
		if (option_set(op, o, keep(value), reason, sizeof(reason)) != ERR_OK) {
			snprintf(why, nwhy, "%s, line %u: %s", path, number, reason);
			return ERR_ARG;
		}
	}
	return ERR_OK;
}

static enum err
limits_settle(struct server_options *o, char *why, size_t nwhy)
{
	enum err e = ERR_OK;

	o->limits = (struct limit_rules){ 0 };
	for (unsigned i = 0; i < o->rate_limits.n && e == ERR_OK; i++)
		e = limit_rule_parse(str_of(o->rate_limits.v[i]), &o->limits, why, nwhy);
	return e;
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

static enum err
options_settle(struct server_options *o, char *why, size_t nwhy)
{
	if (nets_check(&o->address_free, "address-free", why, nwhy) != ERR_OK ||
	    nets_check(&o->proxies, "proxy", why, nwhy) != ERR_OK)
		return ERR_ARG;
	if (o->certs.n != o->keys.n || o->certs.n > 2) {
		snprintf(why, nwhy, "--cert and --key go in pairs, at most two");
		return ERR_ARG;
	}
	if (o->token_ttl_max_s != 0 && o->token_ttl_max_s < TOKEN_TTL_LEAST_S) {
		snprintf(why, nwhy,
		    "--max-token-ttl %llu: 0, or at least %d, as the command line's own tokens "
		    "need",
		    (unsigned long long)o->token_ttl_max_s, TOKEN_TTL_LEAST_S);
		return ERR_ARG;
	}
	return limits_settle(o, why, nwhy);
}

enum err
options_parse(int argc, char **argv, struct server_options *o, char *why, size_t nwhy)
{
	struct server_options line = { 0 };
	char path[DATA_PATH_MAX];
	struct buf text = { 0 };
	enum err e;

	*o = (struct server_options){ 0 };
	for (size_t i = 0; i < NOPTION; i++)
		if (options[i].type == T_NUMBER || options[i].type == T_SIZE)
			*(uint64_t *)((char *)o + options[i].at) = options[i].fallback;
		else if (options[i].type == T_LEVEL)
			*(enum log_level *)((char *)o + options[i].at) =
			    (enum log_level)options[i].fallback;
	if (parse_argv(argc, argv, &line, why, nwhy) != ERR_OK)
		return ERR_ARG;
	if (line.data == NULL) {
		snprintf(why, nwhy, "--data DIR is needed");
		return ERR_ARG;
	}
	if (!data_path(path, line.data, "twinhub.conf")) {
		snprintf(why, nwhy, "the path of --data is too long");
		return ERR_ARG;
	}
	e = os_read_file(path, 1u << 20, &text, NULL);
	if (e == ERR_OK) {
		e = parse_file(path, text.p, text.n, o, why, nwhy);
		/* a list on the command line replaces the file's */
		for (size_t i = 0; i < NOPTION; i++)
			if (options[i].type == T_LIST &&
			    ((struct option_list *)((char *)&line + options[i].at))->n > 0)
				((struct option_list *)((char *)o + options[i].at))->n = 0;
	} else if (e != ERR_NOT_FOUND) {
		snprintf(why, nwhy, "%s cannot be read", path);
	}
	buf_fini(&text);
	if (e != ERR_OK && e != ERR_NOT_FOUND)
		return ERR_ARG;
	if (parse_argv(argc, argv, o, why, nwhy) != ERR_OK)
		return ERR_ARG;
	return options_settle(o, why, nwhy);
}

void
options_help(struct buf *out)
{
	for (size_t i = 0; i < NOPTION; i++) {
		char head[64];
		const struct option *op = &options[i];

		snprintf(head, sizeof(head), op->type == T_FLAG ? "--%s[=%s]" : "--%s %s", op->name,
		    op->value);
		buf_printf(out, "  %-34s %s", head, op->help);
		if (op->type == T_NUMBER && op->fallback != 0)
			buf_printf(out, " (default %llu)", (unsigned long long)op->fallback);
		else if (op->type == T_LEVEL)
			buf_printf(
			    out, " (default %s)", log_level_name((enum log_level)op->fallback));
		else if (op->type == T_SIZE && op->fallback != 0)
			buf_printf(
			    out, " (default %lluM)", (unsigned long long)(op->fallback >> 20));
		buf_putc(out, '\n');
	}
}

void
options_template(struct buf *out)
{
	buf_cstr(out,
	    "# twinhub's settings: lines of `name value`, as on the command line without the "
	    "dashes.\n"
	    "# The command line wins over this file.\n");
	for (size_t i = 0; i < NOPTION; i++) {
		const struct option *op = &options[i];

		if (op->type == T_DATA)
			continue;
		buf_printf(out, "\n# %s\n# %s ", op->help, op->name);
		if (op->type == T_LIST || op->type == T_TEXT ||
		    (op->type == T_SIZE && op->fallback == 0))
			buf_cstr(out, op->value);
		else if (op->type == T_SIZE)
			buf_printf(out, "%lluM", (unsigned long long)(op->fallback >> 20));
		else if (op->type == T_FLAG)
			buf_cstr(out, "no");
		else if (op->type == T_LEVEL)
			buf_cstr(out, log_level_name((enum log_level)op->fallback));
		else
			buf_u64(out, op->fallback);
		buf_putc(out, '\n');
	}
}
