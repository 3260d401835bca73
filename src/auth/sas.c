/* SAS tokens: taking them apart, when they end, whether they are signed, making them. */
#include "auth/priv.h"

#define SCHEME "SharedAccessSignature"

static enum err
take_policy(struct sas *t, struct str raw)
{
	char name[3 * POLICY_NAME_MAX];
	struct str policy;

	if (raw.n > sizeof(name))
		return ERR_SYNTAX;
	policy = (struct str){ name, percent_decode(raw, name) };
	if (policy.n == 0) /* c and java send an empty one for "none" (D-14) */
		return ERR_OK;
	if (!policy_name_valid(policy))
		return ERR_SYNTAX;
	memcpy(t->policy, name, policy.n);
	t->policy_n = (uint8_t)policy.n;
	return ERR_OK;
}

static enum err
take_expiry(struct sas *t)
{
	uint64_t v;

	for (size_t i = 0; i < t->se.n; i++)
		if (t->se.p[i] < '0' || t->se.p[i] > '9')
			return ERR_RANGE;
	t->expiry_s = str_u64(t->se, &v) && v <= INT64_MAX ? (int64_t)v : INT64_MAX;
	return ERR_OK;
}

static enum err
take_fields(struct sas *t, struct str text, struct str *skn)
{
	const struct {
		struct str name, *value;
	} fields[] = { { STR("sr"), &t->sr }, { STR("sig"), &t->sig }, { STR("se"), &t->se },
		{ STR("skn"), skn } };
	struct str part, name, value;

	while (text.n > 0) {
		str_cut(text, '&', &part, &text);
		str_cut(part, '=', &name, &value);
		for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
			if (!str_eq(name, fields[i].name))
				continue;
			if (fields[i].value->p != NULL) /* given twice */
				return ERR_SYNTAX;
			*fields[i].value = value;
		}
	}
	return ERR_OK;
}

enum err
sas_parse(struct str token, struct sas *out)
{
	struct str scheme, fields, skn = STR_NONE;
	enum err e;

	memset(out, 0, sizeof(*out));
	if (token.n > SAS_MAX || !str_cut(token, ' ', &scheme, &fields) ||
	    !str_ieq(scheme, STR(SCHEME)))
		return ERR_SYNTAX;
	if ((e = take_fields(out, fields, &skn)))
		return e;
	if (out->sr.n == 0 || out->sig.n == 0 || out->se.n == 0)
		return ERR_SYNTAX;
	if ((e = take_expiry(out)))
		return e;
	return take_policy(out, skn);
}

struct str
sas_policy(const struct sas *t)
{
	return (struct str){ t->policy, t->policy_n };
}

int64_t
sas_end_us(const struct sas *t, int64_t skew_s)
{
	int64_t end_s, end_us;

	if (__builtin_add_overflow(t->expiry_s, skew_s, &end_s) ||
	    __builtin_mul_overflow(end_s, INT64_C(1000000), &end_us))
		return INT64_MAX;
	return end_us;
}

enum key_side
sas_signed_by(struct sas_mac *m, const struct sas *t, struct str primary, struct str secondary)
{
	char sent[3 * SIG_TEXT], made[SIG_TEXT];
	struct str sig, want = { made, SIG_TEXT };

	if (t->sig.n > sizeof(sent))
		return KEY_NEITHER;
	sig = (struct str){ sent, percent_decode(t->sig, sent) }; /* '+' stays '+' (D-12) */
	if (sas_mac_text(m, primary, t->sr, t->se, made) && str_eq_secret(sig, want))
		return KEY_PRIMARY;
	if (sas_mac_text(m, secondary, t->sr, t->se, made) && str_eq_secret(sig, want))
		return KEY_SECONDARY;
	return KEY_NEITHER;
}

enum err
sas_make(struct sas_mac *m, struct buf *out, struct str resource, struct str key, int64_t expiry_s,
    struct str policy)
{
	struct buf sr = { 0 }, se = { 0 };
	char sig[SIG_TEXT];
	bool ok;

	assert(expiry_s >= 0);
	buf_percent(&sr, resource);
	buf_u64(&se, (uint64_t)expiry_s);
	ok = sas_mac_text(m, key, buf_view(&sr), buf_view(&se), sig);
	if (ok) {
		buf_cstr(out, SCHEME " sr=");
		buf_str(out, buf_view(&sr));
		buf_cstr(out, "&sig=");
		buf_percent(out, (struct str){ sig, SIG_TEXT });
		buf_cstr(out, "&se=");
		buf_str(out, buf_view(&se));
		if (policy.n > 0) {
			buf_cstr(out, "&skn=");
			buf_percent(out, policy);
		}
	}
	buf_fini(&sr);
	buf_fini(&se);
	return ok ? ERR_OK : ERR_ARG;
}
