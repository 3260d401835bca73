/* The names of the hub, its certificates, and the CAs of its clients. */
#include "os/os.h"
#include "server/priv.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define CLIENT_FILE_MAX (16u << 20) /* bytes of a file of CAs or of revoked certificates */

static void
name_add(struct option_list *names, const char *name)
{
	for (unsigned i = 0; i < names->n; i++)
		if (str_ieq(str_of(names->v[i]), str_of(name)))
			return;
	if (names->n < LIST_MAX)
		names->v[names->n++] = name;
}

void
names_of(const struct server_options *o, const char *host, struct option_list *names)
{
	*names = (struct option_list){ 0 };
	for (unsigned i = 0; i < o->hostnames.n; i++)
		name_add(names, o->hostnames.v[i]);
	for (unsigned i = 0; i < o->binds.n; i++)
		if (str_starts(str_of(o->binds.v[i]), STR("127.")))
			name_add(names, o->binds.v[i]);
	if (host[0] != '\0')
		name_add(names, host);
	name_add(names, "localhost");
	name_add(names, "127.0.0.1");
	name_add(names, "::1");
}

struct tls_conf
tls_conf_of(const struct server_options *o, const char own[4][DATA_PATH_MAX])
{
	struct tls_conf conf = { .legacy = o->tls_legacy };

	for (unsigned i = 0; i < 2; i++)
		if (o->certs.n == 0)
			conf.pair[i] = (struct tls_files){ own[2 * i], own[2 * i + 1] };
		else if (i < o->certs.n)
			conf.pair[i] = (struct tls_files){ o->certs.v[i], o->keys.v[i] };
	return conf;
}

/* Once more where another node has made a CA at the same time. */
#define CA_TRIES 3

static enum err
certificates_try(struct server *s, bool *changed, bool *other)
{
	char why[NET_WHY_MAX];
	bool anew;

	*other = false;
	if (places_of(s)->ca_fetch(s) != ERR_OK)
		return ERR_ARG;
	if (certs_ensure(s->o.data, s->names.v, s->names.n, clock_clients_us(), s->found.first,
	        &anew, why) != ERR_OK)
		return fail(s, "certificates: %s", why);
	*changed |= anew;
	return places_of(s)->ca_keep(s, other);
}

static enum err
certificates_make(struct server *s, bool *changed)
{
	bool other = s->o.certs.n == 0;
	enum err e = ERR_OK;

	*changed = false;
	for (unsigned i = 0; i < CA_TRIES && e == ERR_OK && other; i++)
		e = certificates_try(s, changed, &other);
	if (e == ERR_OK && s->o.certs.n == 0)
		s->found.first = false; /* a CA that is lost later is not replaced in silence */
	return e;
}

struct client_files {
	struct buf text[LIST_MAX], name[LIST_MAX];
	struct tls_text from[LIST_MAX];
};

/* The files of an option, each whole; version has their bytes in it. */
static enum err
files_read(struct server *s, const char *option, const struct option_list *list,
    struct client_files *f, uint64_t *version)
{
	enum err e = ERR_OK;

	for (unsigned i = 0; i < list->n && e == ERR_OK; i++) {
		e = os_read_file(list->v[i], CLIENT_FILE_MAX, &f->text[i], NULL);
		if (e == ERR_NOT_FOUND)
			e = fail(s, "%s %s is missing", option, list->v[i]);
		else if (e != ERR_OK)
			e = fail(
			    s, "%s %s cannot be read: %s", option, list->v[i], strerror(errno));
		buf_printf(&f->name[i], "%s %s", option, list->v[i]);
		buf_putc(&f->name[i], '\0');
		f->from[i] = (struct tls_text){ f->name[i].p, buf_view(&f->text[i]) };
		*version = *version * 31 + hash_checksum(f->text[i].p, f->text[i].n);
	}
	return e;
}

static void
files_fini(struct client_files *f)
{
	for (unsigned i = 0; i < LIST_MAX; i++) {
		buf_fini(&f->text[i]);
		buf_fini(&f->name[i]);
	}
}

enum err
client_cas_read(struct server *s, struct tls *tls)
{
	struct client_files cas = { 0 }, crls = { 0 };
	struct tls_client_cas from = { .ca = cas.from,
		.nca = s->o.client_cas.n,
		.crl = crls.from,
		.ncrl = s->o.client_crls.n,
		.version = 1 };
	char why[NET_WHY_MAX];
	enum err e = files_read(s, "--client-ca", &s->o.client_cas, &cas, &from.version);

	if (e == ERR_OK)
		e = files_read(s, "--client-crl", &s->o.client_crls, &crls, &from.version);
	if (e == ERR_OK &&
	    (tls == NULL ? tls_client_cas_check(&from, why)
	                 : tls_set_client_cas(tls, &from, why)) != ERR_OK)
		e = fail(s, "%s", why);
	files_fini(&cas);
	files_fini(&crls);
	return e;
}

static enum err
client_cas_load(struct server *s)
{
	if (client_cas_read(s, s->tls) != ERR_OK)
		return ERR_ARG;
	pthread_mutex_lock(&s->policies_mutex);
	s->ncas = tls_client_cas(s->tls, s->cas, LIST_MAX);
	catalogue_publish(s);
	pthread_mutex_unlock(&s->policies_mutex);
	return ERR_OK;
}

static void
tell_days(void *ctx, const struct cert_told *c)
{
	static const char *const msgs[] = { [CERT_ENDS_SOON] = "a certificate ends soon",
		[CERT_EARLY] = "a certificate is not valid yet",
		[CERT_ENDED] = "a certificate has ended",
		[CERT_LIST_OLD] = "a list of revoked certificates is out of date" };
	char from[TIME_TEXT_MAX], until[TIME_TEXT_MAX];
	struct str from_text = { from, time_format(c->life.from_us, from) },
	           until_text = { until, time_format(c->life.until_us, until) };

	(void)ctx;
	log_pairs(c->days == CERT_EARLY || c->days == CERT_ENDED ? LOG_ERROR : LOG_WARN,
	    msgs[c->days],
	    (const struct log_pair[]){ { "certificate", str_of(c->what) },
	        { "subject", str_of(c->subject) }, { "from", from_text }, { "until", until_text },
	        { NULL, STR_NONE } });
}

void
certificates_judge(struct server *s, cert_flaw *tell, void *ctx)
{
	const struct option_list *asked = s->o.hostnames.n > 0 ? &s->o.hostnames : &s->names;

	/* without --hostname: what the hub calls itself. Those of its own making have every name. */
	if (s->o.certs.n > 0)
		tls_judge(s->tls, asked->v, asked == &s->names ? 1 : asked->n, tell, ctx);
}

static void
tell_flaw(void *ctx, const char *subject, const char *what)
{
	(void)ctx;
	log_pairs(LOG_WARN, "clients may refuse a server certificate",
	    (const struct log_pair[]){
	        { "subject", str_of(subject) }, { "why", str_of(what) }, { NULL, STR_NONE } });
}

void
certificates_review(struct server *s)
{
	int64_t now_us = clock_clients_us(); /* it is clients who look at them */
	char ca[DATA_PATH_MAX];

	tls_review(s->tls, now_us, tell_days, NULL);
	certificates_judge(s, tell_flaw, NULL);
	if (s->o.certs.n == 0 && data_path(ca, s->o.data, "ca.pem"))
		certs_review(ca, "the local CA", now_us, tell_days, NULL);
}

/* What commands on this machine trust (cli/target.c), whoever has signed it. */
static void
served_write(struct server *s)
{
	char path[DATA_PATH_MAX];
	struct buf pem = { 0 };
	struct fault f = { 0 };

	tls_served(s->tls, &pem);
	if (data_path(path, s->o.data, SERVED_FILE) &&
	    os_replace_file(path, buf_view(&pem), 0644, &f) != ERR_OK)
		log_text(LOG_WARN, "%s; commands with --data may not trust this hub", f.text);
	buf_fini(&pem);
}

enum err
tls_make(struct server *s)
{
	static const char *const files[] = { "server-ecdsa.pem", "server-ecdsa.key",
		"server-rsa.pem", "server-rsa.key" };
	char why[NET_WHY_MAX];
	bool changed;

	if (certificates_make(s, &changed) != ERR_OK)
		return ERR_ARG;
	for (unsigned i = 0; i < 4; i++)
		if (!data_path(s->tls_paths[i], s->o.data, files[i]))
			return fail(s, "the path of --data is too long");
	s->tls_conf = tls_conf_of(&s->o, s->tls_paths);
	if (tls_new(&s->tls_conf, &s->tls, why) != ERR_OK)
		return fail(s, "%s", why);
	tickets_share(s);
	if (client_cas_load(s) != ERR_OK)
		return ERR_ARG;
	certificates_noted(s);
	served_write(s);
	certificates_review(s);
	return ERR_OK;
}

void
tls_again(struct server *s, bool asked)
{
	char why[NET_WHY_MAX];
	bool changed;

	/* Whatever is wrong with one part, who is out by another one is out. First, as the hub's own may wait for a database. */
	if (asked && client_cas_load(s) != ERR_OK)
		log_text(
		    LOG_ERROR, "client CAs and CRLs not loaded, the old ones stay: %s", s->why);
	else if (asked)
		links_again(s);
	if (certificates_make(s, &changed) != ERR_OK)
		log_text(LOG_ERROR, "%s", s->why);
	if (!asked && !changed)
		return;
	if (tls_reload(s->tls, &s->tls_conf, why) == ERR_OK) {
		served_write(s);
		log_text(LOG_INFO, "certificates loaded anew");
	} else {
		log_text(LOG_ERROR, "certificates not loaded, the old ones stay: %s", why);
	}
	certificates_review(s);
}

/* ---- files that change ---- */

/* What a file is now, without its bytes; a missing one is something, too. */
static uint64_t
file_mark(uint64_t h, const char *path)
{
	struct stat st = { 0 };
	uint64_t parts[6] = { h };

	if (stat(path, &st) == 0) {
		parts[1] = st.st_ino;
		parts[2] = st.st_dev;
		parts[3] = (uint64_t)st.st_size;
		parts[4] = (uint64_t)st.st_mtim.tv_sec;
		parts[5] = (uint64_t)st.st_mtim.tv_nsec;
	}
	return hash_checksum(parts, sizeof(parts));
}

static uint64_t
files_mark(const struct server *s)
{
	const struct option_list *lists[] = { &s->o.certs, &s->o.keys, &s->o.client_cas,
		&s->o.client_crls };
	uint64_t h = 1;

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		for (unsigned k = 0; k < lists[i]->n; k++)
			h = file_mark(h, lists[i]->v[k]);
	return h;
}

bool
certificates_changed(struct server *s)
{
	uint64_t now = files_mark(s), before = s->files_seen;

	s->files_seen = now;
	if (now != before || now == s->files_loaded)
		return false;
	s->files_loaded = now;
	return true;
}

void
certificates_noted(struct server *s)
{
	s->files_loaded = s->files_seen = files_mark(s);
}
