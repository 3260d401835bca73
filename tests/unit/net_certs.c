/* Certificates of our own making: they verify for their names, and are renewed without a new CA. */
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include "net_rig.h"

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

	assert_int_equal(certs_ensure(dir, names, nname, now_us, &changed, why), ERR_OK);
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
	        late = now + (CERTS_LEAF_DAYS - CERTS_RENEW_DAYS + 1) * DAY_US;
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
		    certs_ensure(dir, &bad[i], 1, clock_wall_us(), &changed, why), ERR_ARG);
		assert_non_null(strstr(why, bad[i]));
	}
	assert_int_equal(certs_ensure(dir, bad, 0, clock_wall_us(), &changed, why), ERR_ARG);
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
	assert_int_equal(certs_ensure(dir, names, 1, clock_wall_us(), &changed, why), ERR_CORRUPT);
	assert_non_null(strstr(why, "ca.key"));
	temp_dir_drop(dir);
}

static void
cert__days_left_counts_down_below_zero(void **state)
{
	char *dir = temp_dir(), path[256];
	int64_t now = clock_wall_us();
	int days;

	(void)state;
	ensure(dir, 1, now, true);
	snprintf(path, sizeof path, "%s/server-ecdsa.pem", dir);
	assert_int_equal(cert_days_left(path, now - 1000000, &days), ERR_OK);
	assert_int_equal(days, CERTS_LEAF_DAYS);
	assert_int_equal(cert_days_left(path, now + (CERTS_LEAF_DAYS + 2) * DAY_US, &days), ERR_OK);
	assert_true(days == -3 || days == -2);
	snprintf(path, sizeof path, "%s/none.pem", dir);
	assert_int_equal(cert_days_left(path, now, &days), ERR_IO);
	snprintf(path, sizeof path, "%s/ca.key", dir);
	assert_int_equal(cert_days_left(path, now, &days), ERR_CORRUPT);
	temp_dir_drop(dir);
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
		cmocka_unit_test(cert__days_left_counts_down_below_zero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
