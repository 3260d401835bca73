/* The hub's names and certificates, and what becomes of them when they are loaded again. No connection is made. */
#include "server/priv.h" /* its fail() is not cmocka's */

#include "net_tls_rig.h"

#include <sys/stat.h>

#include "os/os.h"

#define YEARS_US (20 * 366 * 24 * HOUR_US) /* all certificates have ended by then */

/* ---- names ---- */

static const char *
names_said(const struct server_options *o, const char *host)
{
	static char text[1024];
	struct option_list names;
	size_t used = 0;

	names_of(o, host, &names);
	for (unsigned i = 0; i < names.n; i++)
		used += (size_t)snprintf(
		    text + used, sizeof text - used, "%s%s", i > 0 ? " " : "", names.v[i]);
	return text;
}

/* The first is what the hub calls itself: what was asked for, before what was found. */
static void
names__those_asked_for_come_first_and_this_machine_is_always_among_them(void **state)
{
	struct server_options o = { 0 };

	(void)state;
	assert_string_equal(names_said(&o, "box"), "box localhost 127.0.0.1 ::1");
	assert_string_equal(names_said(&o, ""), "localhost 127.0.0.1 ::1");
	o.hostnames = (struct option_list){ { "hub.example", "HUB.local" }, 2 };
	o.binds = (struct option_list){ { "10.0.0.7", "127.0.0.9", "0.0.0.0" }, 3 };
	assert_string_equal(
	    names_said(&o, "box"), "hub.example HUB.local 127.0.0.9 box localhost 127.0.0.1 ::1");
}

static void
names__none_is_there_twice_in_whatever_letters(void **state)
{
	struct server_options o = { .hostnames = { { "Box", "LOCALHOST", "127.0.0.1", "box" }, 4 },
		.binds = { { "127.0.0.1" }, 1 } };

	(void)state;
	assert_string_equal(names_said(&o, "bOX"), "Box LOCALHOST 127.0.0.1 ::1");
}

static void
names__are_at_most_as_many_as_the_option_takes(void **state)
{
	static char texts[LIST_MAX][8];
	struct server_options o = { 0 };
	struct option_list names;

	(void)state;
	for (unsigned i = 0; i < LIST_MAX; i++) {
		snprintf(texts[i], sizeof texts[i], "h%u", i);
		o.hostnames.v[o.hostnames.n++] = texts[i];
	}
	names_of(&o, "box", &names);
	assert_int_equal(names.n, LIST_MAX);
	assert_string_equal(names.v[LIST_MAX - 1], "h31");
}

/* ---- which files ---- */

static void
tls_conf__is_the_options_files_or_the_hubs_own(void **state)
{
	static const char own[4][DATA_PATH_MAX] = { "a", "a.key", "b", "b.key" };
	struct server_options o = { 0 };
	struct tls_conf c = tls_conf_of(&o, own);

	(void)state;
	assert_string_equal(c.pair[0].cert, "a");
	assert_string_equal(c.pair[0].key, "a.key");
	assert_string_equal(c.pair[1].cert, "b");
	assert_string_equal(c.pair[1].key, "b.key");
	assert_false(c.legacy);
	o.certs = (struct option_list){ { "c1", "c2" }, 1 };
	o.keys = (struct option_list){ { "k1", "k2" }, 1 };
	o.tls_legacy = true;
	c = tls_conf_of(&o, own);
	assert_string_equal(c.pair[0].cert, "c1");
	assert_string_equal(c.pair[0].key, "k1");
	assert_null(c.pair[1].cert); /* never one of the hub's own beside it */
	assert_null(c.pair[1].key);
	assert_true(c.legacy);
	o.certs.n = o.keys.n = 2;
	c = tls_conf_of(&o, own);
	assert_string_equal(c.pair[1].cert, "c2");
	assert_string_equal(c.pair[1].key, "k2");
}

/* ---- loaded again ---- */

struct hub {
	struct server s;
	char *dir;
	char log[256];
};

static char *
in(const struct hub *h, const char *name)
{
	static char path[4][256];
	static unsigned turn;
	char *p = path[turn++ % 4];

	snprintf(p, sizeof path[0], "%s/%s", h->dir, name);
	return p;
}

static int
setup(void **state)
{
	struct hub *h = calloc(1, sizeof *h);
	struct log_options lo = { .level = LOG_INFO, .path = h->log, .fd = 2 };

	h->dir = temp_dir();
	snprintf(h->log, sizeof h->log, "%s/log", h->dir);
	h->s.o = (struct server_options){ .data = h->dir };
	h->s.found.first = true;
	names_of(&h->s.o, "", &h->s.names);
	h->s.catalogue = catalogue_box_new();
	pthread_mutex_init(&h->s.policies_mutex, NULL);
	h->s.policies = policies_fresh();
	*state = h;
	return log_start(&lo) != ERR_OK;
}

static int
teardown(void **state)
{
	struct hub *h = *state;

	log_stop(LOG_STOP_US);
	tls_free(h->s.tls);
	catalogue_box_free(h->s.catalogue);
	policies_free(h->s.policies);
	pthread_mutex_destroy(&h->s.policies_mutex);
	temp_dir_drop(h->dir);
	free(h);
	return 0;
}

/* What was logged since this was asked last. */
static const char *
logged(struct hub *h)
{
	static struct buf text;

	assert_true(log_flush(10 * LOG_STOP_US));
	text.n = 0;
	assert_int_equal(os_read_file(h->log, 1u << 20, &text, NULL), ERR_OK);
	buf_putc(&text, '\0');
	assert_int_equal(truncate(h->log, 0), 0);
	return text.p;
}

static void
put(const char *path, const char *text)
{
	assert_int_equal(os_replace_file(path, str_of(text), 0600, NULL), ERR_OK);
}

static void
copy(const struct hub *h, const char *from, const char *to)
{
	struct buf bytes = { 0 };

	assert_int_equal(os_read_file(in(h, from), 1u << 20, &bytes, NULL), ERR_OK);
	assert_int_equal(os_replace_file(in(h, to), buf_view(&bytes), 0600, NULL), ERR_OK);
	buf_fini(&bytes);
}

static void
one_told(void *ctx, const struct cert_told *c)
{
	int64_t *n = ctx;

	(void)c;
	++*n;
}

/* How many certificates are in use, seen from a time at which each has ended. */
static int64_t
in_use(const struct hub *h)
{
	int64_t n = 0;

	tls_review(h->s.tls, clock_wall_us() + YEARS_US, one_told, &n);
	return n;
}

/* Certificates of one's own: a copy of one that the hub has made, under other names. */
static void
with_options_files(struct hub *h)
{
	char why[NET_WHY_MAX];
	bool changed;

	assert_int_equal(
	    certs_ensure(h->dir, h->s.names.v, h->s.names.n, clock_wall_us(), true, &changed, why),
	    ERR_OK);
	copy(h, "server-ecdsa.pem", "mine.pem");
	copy(h, "server-ecdsa.key", "mine.key");
	h->s.o.certs = (struct option_list){ { str_dup0(str_of(in(h, "mine.pem"))) }, 1 };
	h->s.o.keys = (struct option_list){ { str_dup0(str_of(in(h, "mine.key"))) }, 1 };
	assert_int_equal(tls_make(&h->s), ERR_OK);
	logged(h);
}

static void
options_files_drop(struct hub *h)
{
	free((char *)h->s.o.certs.v[0]);
	free((char *)h->s.o.keys.v[0]);
}

static void
tls_make__a_first_start_makes_certificates_and_says_so(void **state)
{
	struct hub *h = *state;

	assert_int_equal(tls_make(&h->s), ERR_OK);
	assert_int_equal(in_use(h), 2);
	assert_int_equal(access(in(h, "ca.pem"), F_OK), 0);
	assert_false(h->s.found.first);
}

static void
tls_make__files_that_do_not_fit_end_the_start(void **state)
{
	struct hub *h = *state;

	h->s.o.certs = (struct option_list){ { in(h, "none.pem") }, 1 };
	h->s.o.keys = (struct option_list){ { in(h, "none.key") }, 1 };
	assert_int_equal(tls_make(&h->s), ERR_ARG);
	assert_non_null(strstr(h->s.why, "none.pem"));
	assert_int_equal(access(in(h, "ca.pem"), F_OK), -1); /* no CA of its own for nothing */
}

static void
tls_again__an_hour_in_which_nothing_ends_says_nothing(void **state)
{
	struct hub *h = *state;

	assert_int_equal(tls_make(&h->s), ERR_OK);
	logged(h);
	tls_again(&h->s, false);
	assert_string_equal(logged(h), "");
}

static void
tls_again__a_certificate_that_is_made_anew_is_used_without_being_asked(void **state)
{
	struct hub *h = *state;
	const char *said;

	assert_int_equal(tls_make(&h->s), ERR_OK);
	logged(h);
	put(in(h, "server-rsa.pem"), "no certificate\n");
	tls_again(&h->s, false);
	said = logged(h);
	assert_non_null(strstr(said, "a server certificate was made anew"));
	assert_non_null(strstr(said, "certificates loaded anew"));
	assert_int_equal(in_use(h), 2);
}

static void
tls_again__a_ca_that_is_lost_later_is_not_replaced(void **state)
{
	struct hub *h = *state;
	const char *said;

	assert_int_equal(tls_make(&h->s), ERR_OK);
	logged(h);
	unlink(in(h, "ca.pem"));
	unlink(in(h, "ca.key"));
	unlink(in(h, "server-rsa.pem"));
	tls_again(&h->s, false);
	said = logged(h);
	assert_non_null(strstr(said, "level=error"));
	assert_non_null(strstr(said, "ca.pem"));
	assert_null(strstr(said, "loaded anew"));
	assert_int_equal(access(in(h, "ca.pem"), F_OK), -1);
	assert_int_equal(in_use(h), 2);
}

static void
tls_again__a_bad_file_keeps_what_is_in_use(void **state)
{
	struct hub *h = *state;
	const char *said;

	with_options_files(h);
	assert_int_equal(in_use(h), 1);
	put(in(h, "mine.pem"), "no certificate\n");
	tls_again(&h->s, false); /* others' files are read when one asks */
	assert_string_equal(logged(h), "");
	tls_again(&h->s, true);
	said = logged(h);
	assert_non_null(strstr(said, "level=error"));
	assert_non_null(strstr(said, "certificates not loaded, the old ones stay"));
	assert_non_null(strstr(said, "mine.pem"));
	assert_int_equal(in_use(h), 1);
	copy(h, "server-ecdsa.pem", "mine.pem");
	tls_again(&h->s, true);
	assert_non_null(strstr(logged(h), "certificates loaded anew"));
	options_files_drop(h);
}

/* ---- CAs of clients ---- */

struct ca {
	struct made_cert made;
	char *pem;
};

static struct ca
ca_made(const char *name)
{
	struct ca ca = { .made = make_cert(name, true, NULL) };

	ca.pem = pem_of(&ca.made);
	return ca;
}

static void
ca_drop(struct ca *ca)
{
	made_cert_fini(&ca->made);
	free(ca->pem);
}

/* As many as everybody who takes the catalogue from now on sees; and their version. */
static size_t
cas_in_force(const struct hub *h, uint64_t *print, uint64_t *version)
{
	const struct catalogue *c = catalogue_use(h->s.catalogue);
	size_t n = c->nca;

	*print = n > 0 ? c->cas[0] : 0;
	*version = c->version;
	catalogue_drop(h->s.catalogue, c);
	return n;
}

static void
client_cas__another_one_is_in_force_when_asked_for_and_a_bad_one_never(void **state)
{
	struct ca one = ca_made("one"), other = ca_made("other");
	uint64_t print, version, now, later;
	struct hub *h = *state;
	char *path = str_dup0(str_of(in(h, "client.pem")));

	put(path, one.pem);
	h->s.o.client_cas = (struct option_list){ { path }, 1 };
	assert_int_equal(tls_make(&h->s), ERR_OK);
	assert_int_equal(cas_in_force(h, &print, &version), 1);
	logged(h);

	put(path, "rubbish\n");
	tls_again(&h->s, true);
	assert_non_null(strstr(logged(h), "--client-ca"));
	assert_int_equal(cas_in_force(h, &now, &later), 1);
	assert_int_equal(now, print);
	assert_int_equal(later, version);

	unlink(path);
	tls_again(&h->s, true);
	assert_non_null(strstr(logged(h), "client.pem is missing"));
	assert_int_equal(cas_in_force(h, &now, &later), 1);
	assert_int_equal(later, version);

	put(path, other.pem);
	put(in(h, "server-rsa.pem"), "no certificate\n");
	tls_again(&h->s, false); /* one of the hub's own is made anew: that asks for nothing else */
	cas_in_force(h, &now, &later);
	assert_int_equal(later, version);
	tls_again(&h->s, true);
	assert_int_equal(cas_in_force(h, &now, &later), 1);
	assert_int_not_equal(now, print);
	assert_true(later > version);
	ca_drop(&one);
	ca_drop(&other);
	free(path);
}

/* Whatever is wrong with the server's certificate, who is out by another CA is out. */
static void
client_cas__are_changed_beside_a_server_certificate_that_is_bad(void **state)
{
	struct ca one = ca_made("one"), other = ca_made("other");
	uint64_t print, version, now, later;
	struct hub *h = *state;
	char *path = str_dup0(str_of(in(h, "client.pem")));

	put(path, one.pem);
	h->s.o.client_cas = (struct option_list){ { path }, 1 };
	with_options_files(h);
	cas_in_force(h, &print, &version);
	put(in(h, "mine.key"), "no key\n");
	put(path, other.pem);
	tls_again(&h->s, true);
	assert_non_null(strstr(logged(h), "the old ones stay"));
	assert_int_equal(cas_in_force(h, &now, &later), 1);
	assert_int_not_equal(now, print);
	options_files_drop(h);
	ca_drop(&one);
	ca_drop(&other);
	free(path);
}

static void
client_cas__one_that_cannot_be_read_ends_the_start(void **state)
{
	struct hub *h = *state;

	h->s.o.client_cas = (struct option_list){ { in(h, "client.pem") }, 1 };
	assert_int_equal(tls_make(&h->s), ERR_ARG);
	assert_non_null(strstr(h->s.why, "client.pem is missing"));
}

#define HUB_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    names__those_asked_for_come_first_and_this_machine_is_always_among_them),
		cmocka_unit_test(names__none_is_there_twice_in_whatever_letters),
		cmocka_unit_test(names__are_at_most_as_many_as_the_option_takes),
		cmocka_unit_test(tls_conf__is_the_options_files_or_the_hubs_own),
		HUB_TEST(tls_make__a_first_start_makes_certificates_and_says_so),
		HUB_TEST(tls_make__files_that_do_not_fit_end_the_start),
		HUB_TEST(tls_again__an_hour_in_which_nothing_ends_says_nothing),
		HUB_TEST(tls_again__a_certificate_that_is_made_anew_is_used_without_being_asked),
		HUB_TEST(tls_again__a_ca_that_is_lost_later_is_not_replaced),
		HUB_TEST(tls_again__a_bad_file_keeps_what_is_in_use),
		HUB_TEST(client_cas__another_one_is_in_force_when_asked_for_and_a_bad_one_never),
		HUB_TEST(client_cas__are_changed_beside_a_server_certificate_that_is_bad),
		HUB_TEST(client_cas__one_that_cannot_be_read_ends_the_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
