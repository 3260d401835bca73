/*
 * serve --check: would the hub start, and would its clients be content with it? Nothing is changed, nothing is listened on, and a hub may run
 * on the directory meanwhile: for before a restart or a reload.
 */
#include "pg/pg.h"
#include "server/priv.h"
#include "transfer/transfer.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

struct check {
	struct server *s;
	unsigned nbad;  /* what a start would refuse */
	unsigned nflaw; /* what it would not */
};

static void
say(const char *kind, const char *text)
{
	fprintf(stderr, "twinhub: %s%s\n", kind, text);
}

static void
refused(struct check *c, const char *why)
{
	say("", why);
	c->nbad++;
}

static void
flawed(struct check *c, const char *text)
{
	say("warning: ", text);
	c->nflaw++;
}

/* ---- the directory ---- */

static void
on_bad_part(void *ctx, const char *file, const char *why)
{
	(void)file;
	refused(ctx, why);
}

static void
directory_check(struct check *c)
{
	const char *dir = c->s->o.data;
	char why[DATA_WHY_MAX];

	if (access(dir, F_OK) != 0)
		return; /* its first start makes it */
	if (access(dir, R_OK | W_OK | X_OK) != 0) {
		snprintf(why, sizeof(why), "%s cannot be used by this user", dir);
		refused(c, why);
	} else if (data_strange(dir, why, sizeof(why)) != ERR_OK) {
		refused(c, why);
	} else if (data_is_hub(dir)) {
		data_check_parts(dir, c->s->o.certs.n == 0, on_bad_part, c);
	}
}

/* ---- certificates ---- */

static void
on_days(void *ctx, const struct cert_told *t)
{
	static const char *const words[] = { [CERT_ENDS_SOON] = "ends soon",
		[CERT_EARLY] = "is not valid yet",
		[CERT_ENDED] = "has ended",
		[CERT_LIST_OLD] = "is out of date" };
	bool early = t->days == CERT_EARLY;
	char text[512], day[TIME_TEXT_MAX];
	int n = (int)time_format(early ? t->life.from_us : t->life.until_us, day);

	snprintf(text, sizeof(text), "%s %s %s: its %s day is %.*s", t->what, t->subject,
	    words[t->days], early ? "first" : "last", n, day);
	flawed(ctx, text);
}

static void
on_flaw(void *ctx, const char *subject, const char *what)
{
	char text[NET_WHY_MAX + 320];

	snprintf(text, sizeof(text), "server certificate %s: %s", subject, what);
	flawed(ctx, text);
}

/* Those of the hub's own are made, and made anew, by a start. */
static void
certificates_check(struct check *c)
{
	struct server *s = c->s;
	char why[NET_WHY_MAX];

	s->tls_conf = tls_conf_of(&s->o, (const char(*)[DATA_PATH_MAX])s->tls_paths);
	if (s->o.certs.n > 0 && tls_new(&s->tls_conf, &s->tls, why) != ERR_OK) {
		refused(c, why);
		return;
	}
	if (s->tls == NULL)
		return;
	tls_review(s->tls, clock_wall_us(), on_days, c);
	certificates_judge(s, on_flaw, c);
}

static void
cluster_check(struct check *c)
{
	struct fault f = { 0 };

	if (c->s->o.cluster != NULL && pg_url_check(c->s->o.cluster, &f) != ERR_OK)
		refused(c, f.text);
}

static void
client_cas_check(struct check *c)
{
	if (client_cas_read(c->s, NULL) != ERR_OK)
		refused(c, c->s->why);
}

/* ---- the settings ---- */

static void
setting_tell(const char *name, const char *value, const char *from)
{
	printf("%s %s: %s\n", name, value, from);
}

static void
on_idle(void *ctx, const char *text)
{
	flawed(ctx, text);
}

/* Each one that somebody has given, with who: several may have. */
static void
settings_tell(struct check *c)
{
	const struct server_options *o = &c->s->o;

	for (unsigned i = 0; i < server_settings.n; i++) {
		const struct option_spec *spec = &server_settings.v[i];
		const struct option_list *list = options_list(o, i);
		const char *from = option_source_name(o->told[i].from);

		if (o->told[i].from == OPTION_FALLBACK || spec->kind == OPTION_SWITCH)
			continue;
		for (unsigned k = 0; list != NULL && k < list->n; k++)
			setting_tell(spec->name, list->v[k], from);
		if (list == NULL)
			setting_tell(spec->name, spec->secret ? "***" : o->told[i].text, from);
	}
	options_idle(o, on_idle, c);
}

/* ---- the rest ---- */

/* Is it one of this machine's? Bound for a moment, on a port that is free, and not listened on. */
static void
address_check(struct check *c, const char *option, const char *address)
{
	char why[NET_WHY_MAX], text[NET_WHY_MAX + 32];
	uint16_t bound;
	int fd;

	if (net_bind(address, 0, 1, &fd, &bound, why) == ERR_OK) {
		close(fd);
		return;
	}
	snprintf(text, sizeof(text), "--%s %s", option, why);
	refused(c, text);
}

static void
addresses_check(struct check *c)
{
	const struct server_options *o = &c->s->o;
	struct metrics_place at = metrics_place_of(o);

	for (unsigned i = 0; i < o->binds.n; i++)
		address_check(c, "bind", o->binds.v[i]);
	if (at.asked && !at.off)
		address_check(c, "metrics-bind", at.address);
	if (metrics_token_read(c->s) != ERR_OK)
		refused(c, c->s->why);
}

/* May this user do so with it? */
static void
path_check(struct check *c, const char *option, const char *path, int rights)
{
	char text[DATA_PATH_MAX + 128];

	if (access(path, rights) == 0)
		return;
	snprintf(text, sizeof(text), "--%s %s: %s", option, path, strerror(errno));
	refused(c, text);
}

/* A log that is not there yet is made, in a directory that is. */
static void
log_check(struct check *c)
{
	const char *file = c->s->o.log_file, *slash = file != NULL ? strrchr(file, '/') : NULL;
	char dir[DATA_PATH_MAX];

	if (file == NULL)
		return;
	if (access(file, F_OK) == 0) {
		path_check(c, "log-file", file, W_OK);
		return;
	}
	snprintf(dir, sizeof(dir), "%.*s", slash == NULL ? 1 : (int)(slash - file) + 1,
	    slash == NULL ? "." : file);
	path_check(c, "log-file", dir, W_OK | X_OK);
}

static void
directories_check(struct check *c)
{
	struct server *s = c->s;
	struct file_jobs_options o = { .dirs = s->o.import_export_dirs.v,
		.ndir = s->o.import_export_dirs.n };
	struct file_jobs *jobs = NULL;

	log_check(c);
	if (s->o.sink_dir != NULL)
		path_check(c, "sink-dir", s->o.sink_dir, R_OK | X_OK);
	if (backups_place_check(s) != ERR_OK)
		refused(c, s->why);
	if (file_jobs_new(&o, &jobs, s->why, sizeof(s->why)) != ERR_OK)
		refused(c, s->why);
	file_jobs_free(jobs);
}

int
server_check(struct server *s)
{
	struct check c = { .s = s };
	static char host[256];

	if (gethostname(host, sizeof(host) - 1) != 0)
		host[0] = '\0';
	names_of(&s->o, host, &s->names);
	settings_tell(&c);
	directory_check(&c);
	certificates_check(&c);
	client_cas_check(&c);
	cluster_check(&c);
	addresses_check(&c);
	directories_check(&c);
	tls_free(s->tls);
	metrics_stop(s); /* its token was read */
	if (c.nbad == 0 && c.nflaw == 0)
		printf("the configuration is good\n");
	return c.nbad > 0 || c.nflaw > 0 ? 1 : 0;
}
