/* Certificates of our own making: they verify for their names, and are renewed without a new CA. */
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "net_tls_rig.h"
#include "os/os.h"

#define DAY_US INT64_C(86400000000)

static const char *const names[] = { "hub.example", "127.0.0.1", "::1", "*.fleet.example" };

static X509 *
load(const char *dir, const char *file)
{
	char path[256];
	BIO *in;
	X509 *x;

	snprintf(path, sizeof path, "%s/%s", dir, file);
	in = BIO_new_file(path, "r");
	assert_non_null(in);
	x = PEM_read_bio_X509(in, NULL, NULL, NULL);
	assert_non_null(x);
	BIO_free(in);
	return x;
}

static char *
read_text(const char *path)
{
	struct buf b = { 0 };
	struct fault f = { 0 };

	assert_int_equal(os_read_file(path, 1u << 20, &b, &f), ERR_OK);
	buf_putc(&b, 0);
	return b.p;
}

/* Does the file's certificate descend from the CA and bear the name, at this time? */
static bool
verifies(const char *dir, const char *file, const char *name, int64_t now_us)
{
	X509 *ca = load(dir, "ca.pem"), *leaf = load(dir, file);
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	X509_VERIFY_PARAM *param;
	bool ok;

	X509_STORE_add_cert(store, ca);
	X509_STORE_CTX_init(ctx, store, leaf, NULL);
	X509_STORE_CTX_set_default(ctx, "ssl_server");
	param = X509_STORE_CTX_get0_param(ctx);
	X509_VERIFY_PARAM_set_time(param, (time_t)(now_us / 1000000));
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT);
	if (!X509_VERIFY_PARAM_set1_ip_asc(param, name))
		X509_VERIFY_PARAM_set1_host(param, name, 0);
	ok = X509_verify_cert(ctx) == 1;
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	X509_free(ca);
	X509_free(leaf);
	return ok;
}

static void
ensure(const char *dir, unsigned nname, int64_t now_us, bool expect_changed)
{
	char why[NET_WHY_MAX] = "";
	bool changed;

	assert_int_equal(certs_ensure(dir, names, nname, now_us, true, &changed, why), ERR_OK);
	assert_int_equal(changed, expect_changed);
}

static void
certs__verify_for_their_names_and_addresses(void **state)
{
	static const char *const files[] = { "server-ecdsa.pem", "server-rsa.pem" };
	char *dir = temp_dir();
	int64_t now = clock_wall_us();

	(void)state;
	ensure(dir, 4, now, true);
	for (int i = 0; i < 2; i++) {
		assert_true(verifies(dir, files[i], "hub.example", now));
		assert_true(verifies(dir, files[i], "127.0.0.1", now));
		assert_true(verifies(dir, files[i], "::1", now));
		assert_true(verifies(dir, files[i], "a.fleet.example", now));
		assert_false(verifies(dir, files[i], "other.example", now));
		assert_false(verifies(dir, files[i], "127.0.0.2", now));
		assert_false(verifies(dir, files[i], "hub.example", now + 398 * DAY_US));
	}
	temp_dir_drop(dir);
}

static void
certs__keys_are_private(void **state)
{
	static const char *const files[] = { "ca.key", "server-ecdsa.key", "server-rsa.key" };
	char *dir = temp_dir(), path[256];
	struct stat st;

	(void)state;
	ensure(dir, 1, clock_wall_us(), true);
	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, files[i]);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
	}
	temp_dir_drop(dir);
}

static void
certs__are_kept_while_they_fit_and_renewed_with_the_same_ca(void **state)
{
	char *dir = temp_dir();
	int64_t now = clock_wall_us(),
	        late = now + (CERTS_LEAF_DAYS - CERTS_WARN_DAYS + 1) * DAY_US;
	X509 *ca, *again, *leaf, *renewed;

	(void)state;
	ensure(dir, 4, now, true);
	ensure(dir, 4, now + 300 * DAY_US, false);
	ca = load(dir, "ca.pem");
	leaf = load(dir, "server-rsa.pem");
	ensure(dir, 4, late, true);
	again = load(dir, "ca.pem");
	renewed = load(dir, "server-rsa.pem");
	assert_int_equal(X509_cmp(ca, again), 0);
	assert_int_not_equal(X509_cmp(leaf, renewed), 0);
	assert_true(verifies(dir, "server-rsa.pem", "hub.example", late + 300 * DAY_US));
	X509_free(ca);
	X509_free(again);
	X509_free(leaf);
	X509_free(renewed);
	temp_dir_drop(dir);
}

static void
certs__another_name_makes_new_ones(void **state)
{
	char *dir = temp_dir();
	int64_t now = clock_wall_us();

	(void)state;
	ensure(dir, 1, now, true);
	assert_false(verifies(dir, "server-ecdsa.pem", "127.0.0.1", now));
	ensure(dir, 2, now, true);
	assert_true(verifies(dir, "server-ecdsa.pem", "127.0.0.1", now));
	temp_dir_drop(dir);
}

static void
certs__bad_names_are_refused_by_name(void **state)
{
	static const char *const bad[] = { "", "a b", "x,DNS:evil", "a..b", "*.*.x", "http://hub",
		"1.2.3.4/8" };
	char *dir = temp_dir(), why[NET_WHY_MAX];
	bool changed;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(
		    certs_ensure(dir, &bad[i], 1, clock_wall_us(), true, &changed, why), ERR_ARG);
		assert_non_null(strstr(why, bad[i]));
	}
	assert_int_equal(certs_ensure(dir, bad, 0, clock_wall_us(), true, &changed, why), ERR_ARG);
	temp_dir_drop(dir);
}

static void
certs__damaged_ca_is_refused_and_not_replaced(void **state)
{
	char *dir = temp_dir(), path[256], why[NET_WHY_MAX];
	bool changed;
	FILE *f;

	(void)state;
	ensure(dir, 1, clock_wall_us(), true);
	snprintf(path, sizeof path, "%s/ca.key", dir);
	f = fopen(path, "w");
	fputs("not a key\n", f);
	fclose(f);
	assert_int_equal(
	    certs_ensure(dir, names, 1, clock_wall_us(), true, &changed, why), ERR_CORRUPT);
	assert_non_null(strstr(why, "ca.key"));
	temp_dir_drop(dir);
}

static struct buf
content(const char *path)
{
	struct buf bytes = { 0 };

	assert_int_equal(os_read_file(path, 1u << 16, &bytes, NULL), ERR_OK);
	return bytes;
}

static void
put(const char *path, struct str bytes)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes.p, 1, bytes.n, f), bytes.n);
	fclose(f);
}

/* What has a bit flipped is refused by name, or has the same content: an end of line, a bit of base64 that nobody reads. */
static void
certs__any_flipped_bit_of_the_ca_is_refused_or_harmless(void **state)
{
	const char *file = "";
	static const char *const files[] = { "ca.pem", "ca.key" };
	char *dir = temp_dir(), path[256], why[NET_WHY_MAX];
	unsigned nrefused = 0, nbit = 0;
	X509 *was;

	(void)state;
	ensure(dir, 1, clock_wall_us(), true);
	was = load(dir, "ca.pem");
	for (int i = 0; i < 2; i++) {
		struct buf bytes;

		snprintf(path, sizeof path, "%s/%s", dir, files[i]);
		bytes = content(path);
		for (size_t bit = 0; bit < 8 * bytes.n; bit++, nbit++) {
			bytes.p[bit / 8] ^= (char)(1 << bit % 8);
			put(path, buf_view(&bytes));
			if (certs_check_ca(dir, &file, why) != ERR_OK) {
				assert_non_null(strstr(why, file)); /* the one that it names */
				nrefused++;
			} else {
				X509 *is = load(dir, "ca.pem");

				assert_int_equal(X509_cmp(is, was), 0);
				X509_free(is);
			}
			bytes.p[bit / 8] ^= (char)(1 << bit % 8);
		}
		put(path, buf_view(&bytes));
		buf_fini(&bytes);
	}
	assert_int_equal(certs_check_ca(dir, &file, why), ERR_OK);
	assert_true(nrefused > nbit * 9 / 10);
	X509_free(was);
	temp_dir_drop(dir);
}

/* Who trusts the one that was lost trusts no other: that is not done in silence. */
static void
certs__missing_ca_is_made_at_a_first_start_only_or_when_asked(void **state)
{
	char *dir = temp_dir(), path[256], why[NET_WHY_MAX];
	bool changed, new_key = false;

	(void)state;
	assert_int_equal(
	    certs_ensure(dir, names, 1, clock_wall_us(), false, &changed, why), ERR_NOT_FOUND);
	ensure(dir, 1, clock_wall_us(), true);
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, i ? "ca.key" : "ca.pem");
		unlink(path);
		assert_int_equal(certs_ensure(dir, names, 1, clock_wall_us(), false, &changed, why),
		    ERR_NOT_FOUND);
		assert_non_null(strstr(why, path));
		assert_int_equal(access(path, F_OK), -1);
		assert_int_equal(certs_renew_ca(dir, clock_wall_us(), &new_key, why), ERR_OK);
		assert_int_equal(new_key, i == 1);
		assert_int_equal(
		    certs_ensure(dir, names, 1, clock_wall_us(), false, &changed, why), ERR_OK);
		assert_int_equal(changed, new_key); /* what the key has signed stays good */
		assert_true(verifies(dir, "server-ecdsa.pem", "hub.example", clock_wall_us()));
	}
	new_key = true; /* the old one is good, and in other hands */
	assert_int_equal(certs_renew_ca(dir, clock_wall_us(), &new_key, why), ERR_OK);
	assert_int_equal(
	    certs_ensure(dir, names, 1, clock_wall_us(), false, &changed, why), ERR_OK);
	assert_true(changed);
	temp_dir_drop(dir);
}

/* A first start with a clock that is wrong, in either direction, and then the right one. */
static void
wrong_clock(int64_t wrong_us)
{
	static const char *const files[] = { "server-ecdsa.pem", "server-rsa.pem" };
	char *dir = temp_dir(), path[256], *kept, *after;
	int64_t now = clock_wall_us();
	X509 *ca, *again, *leaf;

	ensure(dir, 2, wrong_us, true);
	for (int i = 0; i < 2; i++)
		assert_false(verifies(dir, files[i], "hub.example", now));
	snprintf(path, sizeof path, "%s/ca.key", dir);
	kept = read_text(path);
	ca = load(dir, "ca.pem");
	ensure(dir, 2, now, true);
	for (int i = 0; i < 2; i++)
		assert_true(verifies(dir, files[i], "hub.example", now));
	ensure(dir, 2, now, false);

	/* Clients' copies of the CA are of the same key and name. */
	after = read_text(path);
	again = load(dir, "ca.pem");
	assert_string_equal(kept, after);
	assert_int_equal(X509_NAME_cmp(X509_get_subject_name(ca), X509_get_subject_name(again)), 0);
	leaf = load(dir, "server-rsa.pem");
	assert_int_equal(X509_check_issued(ca, leaf), X509_V_OK);
	X509_free(leaf);
	free(kept);
	free(after);
	X509_free(ca);
	X509_free(again);
	temp_dir_drop(dir);
}

static void
certs__of_the_future_are_made_anew(void **state)
{
	(void)state;
	wrong_clock(clock_wall_us() + 800 * DAY_US);
	wrong_clock(clock_wall_us() + 2 * DAY_US / 24); /* an hour is granted anyway */
}

static void
certs__of_a_first_start_in_1970_are_made_anew(void **state)
{
	(void)state;
	wrong_clock(INT64_C(1000000));
}

/* A start in 1970, without a battery for the clock, must not cost the clients' trust. */
static void
certs__a_late_clock_leaves_the_clients_copy_of_the_ca_good(void **state)
{
	char *dir = temp_dir();
	int64_t now = clock_wall_us();
	X509 *copy, *leaf;

	(void)state;
	ensure(dir, 1, now, true);
	copy = load(dir, "ca.pem");
	ensure(dir, 1, 1000000, true);
	ensure(dir, 1, now, true);
	leaf = load(dir, "server-ecdsa.pem");
	assert_int_equal(X509_check_issued(copy, leaf), X509_V_OK);
	assert_int_equal(X509_verify(leaf, X509_get0_pubkey(copy)), 1);
	X509_free(copy);
	X509_free(leaf);
	temp_dir_drop(dir);
}

/* A CA that somebody else made, whose days are over, with its key: what to do is theirs to say. */
static void
certs__a_ca_from_elsewhere_is_never_replaced(void **state)
{
	struct made_cert other = make_cert_ended("Company CA", true, NULL, 3);
	char *dir = temp_dir(), path[256];
	X509 *ca;
	BIO *out;

	(void)state;
	snprintf(path, sizeof path, "%s/ca.pem", dir);
	out = BIO_new_file(path, "w");
	PEM_write_bio_X509(out, other.cert);
	BIO_free(out);
	snprintf(path, sizeof path, "%s/ca.key", dir);
	out = BIO_new_file(path, "w");
	PEM_write_bio_PKCS8PrivateKey(out, other.key, NULL, NULL, 0, NULL, NULL);
	BIO_free(out);
	ensure(dir, 1, clock_wall_us(), true); /* server certificates */
	ca = load(dir, "ca.pem");
	assert_int_equal(X509_cmp(ca, other.cert), 0);
	X509_free(ca);
	made_cert_fini(&other);
	temp_dir_drop(dir);
}

static void
disk_takes(bool any)
{
	struct rlimit size = { any ? RLIM_INFINITY : 0, RLIM_INFINITY };

	assert_int_equal(setrlimit(RLIMIT_FSIZE, &size), 0);
}

/* A start for reading needs none that are new. */
static void
certs__that_cannot_be_written_are_kept_while_they_work(void **state)
{
	char *dir = temp_dir(), path[256], why[NET_WHY_MAX];
	int64_t now = clock_wall_us(), late = now + (CERTS_CA_DAYS + 1) * DAY_US;
	bool changed;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	ensure(dir, 1, now, true);
	disk_takes(false);
	ensure(dir, 2, now, false);  /* a name more */
	ensure(dir, 2, late, false); /* all of them have ended */
	disk_takes(true);
	assert_true(verifies(dir, "server-ecdsa.pem", "hub.example", now));
	assert_true(verifies(dir, "server-rsa.pem", "hub.example", now));
	snprintf(path, sizeof path, "%s/server-rsa.pem", dir);
	assert_int_equal(unlink(path), 0);
	disk_takes(false);
	assert_int_equal(certs_ensure(dir, names, 2, now, false, &changed, why), ERR_IO);
	disk_takes(true);
	ensure(dir, 2, late, true);
	assert_true(verifies(dir, "server-rsa.pem", "127.0.0.1", late));
	temp_dir_drop(dir);
}

/* ---- what is told ---- */

static void
cert_days__begin_and_end_by_the_microsecond(void **state)
{
	const struct cert_life life = { 1000, 1000 + 100 * DAY_US };

	(void)state;
	assert_int_equal(cert_days_of(&life, 999), CERT_EARLY);
	assert_int_equal(cert_days_of(&life, 1000), CERT_GOOD);
	assert_int_equal(cert_days_of(&life, 1000 + 70 * DAY_US), CERT_GOOD);
	assert_int_equal(cert_days_of(&life, 1001 + 70 * DAY_US), CERT_ENDS_SOON);
	assert_int_equal(cert_days_of(&life, 1000 + 100 * DAY_US), CERT_ENDS_SOON);
	assert_int_equal(cert_days_of(&life, 1001 + 100 * DAY_US), CERT_ENDED);
}

struct heard {
	unsigned n[CERT_LIST_OLD + 1];
	char what[64], subject[256];
};

static void
hear(void *ctx, const struct cert_told *c)
{
	struct heard *h = ctx;

	h->n[c->days]++;
	snprintf(h->what, sizeof h->what, "%s", c->what);
	snprintf(h->subject, sizeof h->subject, "%s", c->subject);
}

static void
certs__in_use_are_told_from_thirty_days_before_their_end(void **state)
{
	struct made_cert cas[2] = { make_cert("Good CA", true, NULL),
		make_cert_ended("Old CA", true, NULL, 3) };
	char why[NET_WHY_MAX], *pem[2] = { pem_of(&cas[0]), pem_of(&cas[1]) };
	struct tls_text texts[2] = { { "0", str_of(pem[0]) }, { "1", str_of(pem[1]) } };
	struct tls_client_cas from = { .ca = texts, .nca = 2, .version = 1 };
	int64_t now = clock_wall_us();
	struct heard h = { 0 };
	struct tls_rig t;

	(void)state;
	tls_rig_init(&t);
	tls_review(t.tls, now, hear, &h);
	tls_review(t.tls, now + (CERTS_LEAF_DAYS - CERTS_WARN_DAYS) * DAY_US - DAY_US, hear, &h);
	assert_int_equal(h.n[CERT_ENDS_SOON] + h.n[CERT_ENDED] + h.n[CERT_EARLY], 0);
	tls_review(t.tls, now + (CERTS_LEAF_DAYS - CERTS_WARN_DAYS) * DAY_US + DAY_US, hear, &h);
	assert_int_equal(h.n[CERT_ENDS_SOON], 2);
	assert_string_equal(h.what, "server certificate");
	tls_review(t.tls, now + (CERTS_LEAF_DAYS + 1) * DAY_US, hear, &h);
	assert_int_equal(h.n[CERT_ENDED], 2);
	tls_review(t.tls, now - DAY_US, hear, &h);
	assert_int_equal(h.n[CERT_EARLY], 2);

	h = (struct heard){ 0 };
	assert_int_equal(tls_set_client_cas(t.tls, &from, why), ERR_OK);
	tls_review(t.tls, now, hear, &h);
	assert_int_equal(h.n[CERT_ENDED], 1);
	assert_int_equal(h.n[CERT_ENDS_SOON], 1); /* good for a day */
	assert_string_equal(h.what, "client CA");
	assert_string_equal(h.subject, "/CN=Old CA");

	h = (struct heard){ 0 };
	snprintf(t.path[0], sizeof t.path[0], "%s/ca.pem", t.dir);
	certs_review(t.path[0], "the local CA", now, hear, &h);
	assert_string_equal(h.what, "");
	certs_review(t.path[0], "the local CA", now + (CERTS_CA_DAYS - 1) * DAY_US, hear, &h);
	assert_int_equal(h.n[CERT_ENDS_SOON], 1);
	assert_string_equal(h.what, "the local CA");
	for (int i = 0; i < 2; i++) {
		free(pem[i]);
		made_cert_fini(&cas[i]);
	}
	tls_rig_fini(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(certs__verify_for_their_names_and_addresses),
		cmocka_unit_test(certs__keys_are_private),
		cmocka_unit_test(certs__are_kept_while_they_fit_and_renewed_with_the_same_ca),
		cmocka_unit_test(certs__another_name_makes_new_ones),
		cmocka_unit_test(certs__bad_names_are_refused_by_name),
		cmocka_unit_test(certs__damaged_ca_is_refused_and_not_replaced),
		cmocka_unit_test(certs__any_flipped_bit_of_the_ca_is_refused_or_harmless),
		cmocka_unit_test(certs__missing_ca_is_made_at_a_first_start_only_or_when_asked),
		cmocka_unit_test(certs__of_the_future_are_made_anew),
		cmocka_unit_test(certs__of_a_first_start_in_1970_are_made_anew),
		cmocka_unit_test(certs__a_late_clock_leaves_the_clients_copy_of_the_ca_good),
		cmocka_unit_test(certs__a_ca_from_elsewhere_is_never_replaced),
		cmocka_unit_test(certs__that_cannot_be_written_are_kept_while_they_work),
		cmocka_unit_test(cert_days__begin_and_end_by_the_microsecond),
		cmocka_unit_test(certs__in_use_are_told_from_thirty_days_before_their_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
