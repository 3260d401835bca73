/*
 * Judging what a client shows. Whose key it is decides what it may do; which of the two keys it is, what the link that it
 * opens depends on.
 *
 * A module is also who its device says it is: the runtime of an edge device, and C programs, sign for modules with the
 * device's key (device-mqtt.md 2.3).
 */
#include "auth/priv.h"

/* ---- prints ---- */

/* Of certificates of a CA: the identity lets a CA speak for it. */
#define PRINT_OF_CA UINT64_C(1)

/* A thumbprint is one in any case of its digits. */
static uint64_t
thumb_print(struct str thumb)
{
	char text[64];

	assert(thumb.n <= sizeof(text));
	for (size_t i = 0; i < thumb.n; i++)
		text[i] = (char)(thumb.p[i] | 0x20);
	return key_print(STR("x509"), (struct str){ text, thumb.n });
}

static uint64_t
side_print(const struct auth_keys *k, enum key_side side)
{
	return k->type == AUTH_SAS ? key_print(STR_NONE, k->keys[side - KEY_PRIMARY])
	                           : thumb_print(k->thumbs[side - KEY_PRIMARY]);
}

bool
opened_holds(const struct opened *o, const struct auth_keys *k)
{
	if (k->type == AUTH_CA)
		return o->print == PRINT_OF_CA;
	if (k->type == AUTH_NONE)
		return false;
	return side_print(k, KEY_PRIMARY) == o->print || side_print(k, KEY_SECONDARY) == o->print;
}

static bool
ca_known(uint64_t ca, const uint64_t *cas, size_t nca)
{
	for (size_t i = 0; i < nca; i++)
		if (cas[i] == ca)
			return true;
	return false;
}

bool
policy_has_key(const struct policy *p, uint64_t print)
{
	return key_print(p->name, p->primary) == print || key_print(p->name, p->secondary) == print;
}

bool
opened_known(const struct opened *o, const struct policy *policies, size_t npolicies,
    const uint64_t *cas, size_t nca)
{
	if (o->by != OPENED_BY_POLICY)
		return o->ca == 0 || ca_known(o->ca, cas, nca);
	for (size_t i = 0; i < npolicies; i++)
		if (rights_allow(policies[i].rights, RIGHT_DEVICE_CONNECT) &&
		    policy_has_key(&policies[i], o->print))
			return true;
	return false;
}

/* ---- tokens ---- */

static enum reason
policy_refused(
    struct sas_mac *m, const struct auth_ask *ask, const struct sas *t, struct verdict *v)
{
	const struct policy *p = policy_find(ask->policies, ask->npolicies, sas_policy(t));
	enum key_side side;

	if (p == NULL)
		return REASON_POLICY_UNKNOWN;
	side = sas_signed_by(m, t, p->primary, p->secondary);
	if (side == KEY_NEITHER)
		return REASON_POLICY_SIGNATURE;
	v->rights = p->rights;
	v->opened = (struct opened){ .by = OPENED_BY_POLICY,
		.print = key_print(p->name, side == KEY_PRIMARY ? p->primary : p->secondary) };
	v->policy_n = (uint8_t)p->name.n;
	memcpy(v->policy, p->name.p, p->name.n);
	return REASON_NONE;
}

static void
accept_identity(const struct auth_ask *ask, enum opener by, uint64_t print, struct verdict *v)
{
	v->opened = (struct opened){ .by = by, .print = print };
	v->rights =
	    ask->module.n != 0 && by == OPENED_BY_SELF ? RIGHT_MODULE_SELF : RIGHT_DEVICE_SELF;
}

static enum reason
key_refused(struct sas_mac *m, const struct auth_ask *ask, const struct sas *t, enum opener by,
    struct verdict *v)
{
	const struct auth_keys *k = by == OPENED_BY_SELF ? ask->own : ask->parent;
	enum key_side side;

	if (k == NULL)
		return REASON_IDENTITY_UNKNOWN;
	if (k->type != AUTH_SAS)
		return REASON_KEY_NOT_USED;
	side = sas_signed_by(m, t, k->keys[0], k->keys[1]);
	if (side == KEY_NEITHER)
		return REASON_KEY_SIGNATURE;
	accept_identity(ask, by, side_print(k, side), v);
	return REASON_NONE;
}

static bool
covers(const struct auth_ask *ask, const struct sas *t, const struct verdict *v)
{
	enum scope_case how = v->opened.by == OPENED_BY_POLICY ? SCOPE_EXACT : SCOPE_ANY_CASE;

	if (ask->path.p != NULL)
		return sas_covers_path(t, ask->hosts, ask->path, how);
	return sas_covers_device(t, ask->hosts, ask->device, ask->module, how);
}

static bool
lives_too_long(const struct auth_ask *ask, const struct sas *t)
{
	return ask->ttl_max_s != 0 && t->expiry_s > ask->now_us / 1000000 &&
	    t->expiry_s - ask->now_us / 1000000 > ask->ttl_max_s;
}

/* The identity's own reason is the one to tell, if neither key made it. */
static enum reason
signature_refused(
    struct sas_mac *m, const struct auth_ask *ask, const struct sas *t, struct verdict *v)
{
	enum reason refused;

	if (sas_policy(t).n != 0)
		return policy_refused(m, ask, t, v);
	refused = key_refused(m, ask, t, OPENED_BY_SELF, v);
	if (refused != REASON_NONE && ask->parent != NULL &&
	    key_refused(m, ask, t, OPENED_BY_PARENT, v) == REASON_NONE)
		return REASON_NONE;
	return refused;
}

static enum reason
token_refused(
    struct sas_mac *m, const struct auth_ask *ask, const struct credentials *c, struct verdict *v)
{
	enum reason refused;
	struct sas t;
	enum err e = sas_parse(c->token, &t);

	if (e == ERR_RANGE) {
		v->tell = true; /* what was sent says it, and no key */
		return REASON_TOKEN_SECONDS;
	}
	if (e != ERR_OK)
		return REASON_TOKEN_FORM;
	v->end_us = sas_end_us(&t, ask->skew_s);
	if (ask->now_us + c->late_us > v->end_us)
		return REASON_TOKEN_EXPIRED;
	refused = signature_refused(m, ask, &t, v);
	if (refused != REASON_NONE)
		return refused;
	if (!covers(ask, &t, v))
		return REASON_TOKEN_RESOURCE;
	v->tell = true;
	return lives_too_long(ask, &t) ? REASON_TOKEN_LIFE : REASON_NONE;
}

/* ---- certificates ---- */

/* The common name is the device's id; a module's is device/module. */
static bool
common_name_is(struct str cn, struct str device, struct str module)
{
	if (module.n == 0)
		return str_eq(cn, device);
	return cn.n == device.n + 1 + module.n && str_starts(cn, device) && cn.p[device.n] == '/' &&
	    str_ends(cn, module);
}

static enum reason
leaf_refused(
    const struct auth_ask *ask, const struct credentials *c, enum opener by, struct verdict *v)
{
	const struct auth_keys *k = by == OPENED_BY_SELF ? ask->own : ask->parent;
	enum key_side side;

	if (k == NULL)
		return REASON_IDENTITY_UNKNOWN;
	if (k->type == AUTH_SELF_SIGNED) {
		side = cert_print_is(&c->print, k->thumbs[0], k->thumbs[1]);
		if (side == KEY_NEITHER)
			return REASON_CERTIFICATE_PRINT;
		accept_identity(ask, by, side_print(k, side), v);
		v->opened.by_certificate = true;
		return REASON_NONE;
	}
	if (k->type != AUTH_CA)
		return REASON_CERTIFICATE_NOT_USED;
	if (c->ca == 0 || !ca_known(c->ca, ask->cas, ask->nca))
		return c->ca_outdated ? REASON_CERTIFICATE_CA_DAYS : REASON_CERTIFICATE_CA;
	if (!common_name_is(
	        c->common_name, ask->device, by == OPENED_BY_SELF ? ask->module : STR_NONE))
		return REASON_CERTIFICATE_NAME;
	accept_identity(ask, by, PRINT_OF_CA, v);
	v->opened.by_certificate = true;
	v->opened.ca = c->ca;
	return REASON_NONE;
}

static enum reason
certificate_refused(const struct auth_ask *ask, const struct credentials *c, struct verdict *v)
{
	enum reason refused;

	if (!c->has_certificate)
		return REASON_NO_CREDENTIALS;
	if (ask->now_us > c->not_after_us)
		return REASON_CERTIFICATE_EXPIRED;
	if (ask->now_us < c->not_before_us)
		return REASON_CERTIFICATE_EARLY;
	if (c->revoked) /* however it is registered: by its print, too */
		return REASON_CERTIFICATE_REVOKED;
	refused = leaf_refused(ask, c, OPENED_BY_SELF, v);
	if (refused != REASON_NONE && ask->parent != NULL &&
	    leaf_refused(ask, c, OPENED_BY_PARENT, v) == REASON_NONE)
		return REASON_NONE;
	return refused;
}

void
auth_judge(
    struct sas_mac *m, const struct auth_ask *ask, const struct credentials *c, struct verdict *v)
{
	memset(v, 0, sizeof(*v));
	v->refused = c->token.n != 0 ? token_refused(m, ask, c, v) : certificate_refused(ask, c, v);
	if (v->refused != REASON_NONE)
		v->rights = 0;
}
