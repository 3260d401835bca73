/*
 * What the runtime of an edge device asks about those that connect to it (service-rest.md 3.7): who is in its scope. That is
 * the device itself and the leaves that name its scope, each with its modules; an edge device below it is not.
 */
#include "hub/priv.h"

void
on_scope_read(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	struct identity id;

	(void)sh, (void)op, (void)env;
	row_read_identity(r, &id);
	if (!id.edge)
		fault_set(&reply->fault, F_ArgumentInvalid, "the device is no edge device");
	else
		buf_str(&reply->body, id.scope);
}

static bool
in_scope(const struct row *r, struct str scope)
{
	struct identity id;

	if (r == NULL)
		return false;
	row_read_identity(r, &id);
	return str_eq(id.scope, scope);
}

void
on_scope_member(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	bool there = in_scope(r, op->if_tag);
	const struct row *module =
	    there && op->name.n != 0 ? row_find(sh, op->device, op->name) : NULL;

	struct out o = out_to(&reply->body);

	(void)env;
	out_open(&o);
	out_list(out_key(&o, "devices"));
	if (there)
		identity_write(sh, r, out_value(&o));
	out_close(&o);
	out_list(out_key(&o, "modules"));
	if (module != NULL)
		identity_write(sh, module, out_value(&o));
	out_close(&o);
	out_null(out_key(&o, "continuationLink"));
	out_close(&o);
}
