/*
 * Who is it? What a client shows, judged by the records of the identity and of its device (auth.h), and again when these
 * change: a link depends on the key that opened it, not on the other one.
 */
#include "hub/priv.h"

static bool
keys_of(const struct row *r, struct auth_keys *out)
{
	struct identity id;

	if (r == NULL)
		return false;
	row_read_identity(r, &id);
	*out = identity_keys(&id);
	return true;
}

struct auth_keys
identity_keys(const struct identity *id)
{
	return (struct auth_keys){ .type = id->auth,
		.keys = { id->keys[0], id->keys[1] },
		.thumbs = { id->thumbs[0], id->thumbs[1] } };
}

struct auth_ask
catalogue_ask(const struct catalogue *c, int64_t now_us)
{
	return (struct auth_ask){ .policies = c->policies,
		.npolicies = c->npolicies,
		.cas = c->cas,
		.nca = c->nca,
		.hosts = c->hosts,
		.skew_s = c->skew_s,
		.ttl_max_s = c->ttl_max_s,
		.now_us = now_us };
}

void
identity_judge(struct shard *sh, const struct row *r, const struct op *op,
    const struct hub_env *env, struct verdict *v)
{
	const struct row *device = op->module.n == 0 ? r : row_find(sh, op->device, STR_NONE);
	struct auth_ask ask = catalogue_ask(env->catalogue, env->now_us - env->ahead_us);
	struct auth_keys own, parent;

	ask.device = op->device;
	ask.module = op->module;
	ask.path = op->name;
	*v = (struct verdict){ 0 };
	if (device == NULL) {
		v->refused = REASON_IDENTITY_UNKNOWN;
	} else if (device->disabled) {
		v->refused = REASON_DISABLED;
	} else {
		if (keys_of(r, &own))
			ask.own = &own;
		if (op->module.n != 0 && keys_of(device, &parent))
			ask.parent = &parent;
		auth_judge(env->mac, &ask, &op->shown, v);
	}
}

void
on_judge(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	identity_judge(sh, r, op, env, &reply->verdict);
	if (reply->verdict.refused != REASON_NONE)
		fault_set(&reply->fault, F_IotHubUnauthorizedAccess, "%s",
		    reason_text(reply->verdict.refused));
}

/* ---- links that a change outdates ---- */

static void
link_review(struct shard *sh, struct row *r, enum opener by, const struct auth_keys *keys,
    const struct hub_env *env)
{
	const struct presence *p = r->presence;

	if (p != NULL && p->opened.by == by && !opened_holds(&p->opened, keys))
		presence_close(sh, r,
		    by == OPENED_BY_SELF ? REASON_KEY_CHANGED : REASON_PARENT_KEY_CHANGED, true,
		    env);
}

void
links_review(struct shard *sh, struct row *r, const struct identity *id, const struct hub_env *env)
{
	struct auth_keys keys = identity_keys(id);

	link_review(sh, r, OPENED_BY_SELF, &keys, env);
	for (struct row *m = module_first(sh, r); m != NULL; m = module_next(sh, m))
		link_review(sh, m, OPENED_BY_PARENT, &keys, env);
}
