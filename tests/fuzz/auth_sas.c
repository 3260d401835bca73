/* Any bytes as a token, and as a resource to make a token for: what is made is accepted, and nothing else is. */
#include "auth/auth.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define KEY "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

static const struct str names[] = { { "hub.example.test", 16 }, { "h:1", 3 } };
static const struct hosts hosts = { names, 2 };

static void
require(bool held)
{
	if (!held)
		abort();
}

static void
check_token(struct sas_mac *m, struct str token)
{
	struct sas t;

	if (sas_parse(token, &t) != ERR_OK)
		return;
	require(t.sr.n > 0 && t.sig.n > 0 && t.se.n > 0 && t.expiry_s >= 0);
	require(sas_policy(&t).n == 0 || policy_name_valid(sas_policy(&t)));
	require(sas_end_us(&t, SAS_SKEW_S) >= sas_end_us(&t, 0));
	(void)sas_signed_by(m, &t, STR(KEY), token);
	if (sas_covers_device(&t, hosts, STR("d"), STR_NONE, SCOPE_EXACT))
		require(sas_covers_device(&t, hosts, STR("d"), STR("m"), SCOPE_EXACT));
	(void)sas_covers_path(&t, hosts, token, SCOPE_EXACT);
}

static void
check_made(struct sas_mac *m, struct str resource)
{
	struct buf out = { 0 };
	struct sas t;

	require(
	    sas_make(m, &out, resource, STR(KEY), (int64_t)resource.n, STR("service")) == ERR_OK);
	if (resource.n > 0 && out.n <= SAS_MAX) {
		require(sas_parse(buf_view(&out), &t) == ERR_OK);
		require(sas_signed_by(m, &t, STR(KEY), STR_NONE));
		out.p[sizeof("SharedAccessSignature sr=") - 1] ^= 1;
		if (sas_parse(buf_view(&out), &t) == ERR_OK)
			require(!sas_signed_by(m, &t, STR(KEY), STR_NONE));
	}
	buf_fini(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str s = { (const char *)data, size };
	static struct sas_mac *m;

	if (m == NULL)
		m = sas_mac_new();
	check_token(m, s);
	check_made(m, s);
	return 0;
}
