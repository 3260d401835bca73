/*
 * GET /configurations/{id}/devices and /twins/{id}/configurations: where a configuration is, and why not where it is not
 * (jobs-and-configurations.md 14).
 */
#include "http/priv.h"

static void
done_why(struct walk *k)
{
	struct request *r = request_of(k->owner, k->reply_to);
	struct buf token = { 0 };

	if (r != NULL && k->fault.code != F_NONE) {
		reply_fault(r, &k->fault);
	} else if (r != NULL) {
		body_page(r, k);
		if (k->more) {
			query_token_write(&token, r->query_hash, &k->place);
			buf_putc(&token, '\0');
			add_header(r, "x-ms-continuation", token.p);
		}
		reply_body(r, 200, NULL);
	}
	buf_fini(&token);
	walk_free(k);
}

static struct walk *
why_walk(struct request *r, void (*done)(struct walk *k))
{
	struct walk *k = walk_new(r->hl->loop, WALK_WHY, done);

	k->reply_to = request_address(r);
	k->owner = r->hl;
	return k;
}

static enum err
take_state(struct request *r, enum why_state *state, struct fault *f)
{
	struct str s = request_param(r, "state");

	for (int i = WHY_ALL; i < WHY_STATES; i++)
		if (str_eq(s, str_of(why_state_names[i]))) {
			*state = (enum why_state)i;
			return ERR_OK;
		}
	return fault_set(f, F_ArgumentInvalid,
	    "state is '" STR_FMT "', not targeted, reached, applied, notReached or notApplied",
	    STR_ARG(s));
}

static enum err
prepare(struct request *r, struct walk *k, const struct configurations *set, struct fault *f)
{
	struct str token = request_header(r, "x-ms-continuation"), id = r->segment[1];
	enum why_state state = WHY_ALL;
	enum err e;

	if (configurations_find(set, id) == NULL)
		return fault_set(f, F_ConfigurationNotFound, STR_FMT, STR_ARG(id));
	if ((e = take_state(r, &state, f)) != ERR_OK ||
	    (e = query_page_size(request_header(r, "x-ms-max-item-count"), &k->limit, f)) != ERR_OK)
		return e;
	r->query_hash = hash_stable(id) ^ (uint64_t)state * UINT64_C(0x9E3779B97F4A7C15);
	if (token.n > 0 && (e = query_token_read(token, r->query_hash, &k->place, f)) != ERR_OK)
		return e;
	k->why = why_new(set, id, state);
	return ERR_OK;
}

void
on_configuration_devices(struct request *r)
{
	struct catalogue_box *box = r->hl->o.catalogue;
	const struct catalogue *c = catalogue_use(box);
	struct walk *k = why_walk(r, done_why);
	struct fleet *fleet = r->hl->o.fleet;
	struct fault f = { 0 };

	if (prepare(r, k, c->configurations, &f) == ERR_OK) {
		fleet_walk(fleet, k);
	} else {
		reply_fault(r, &f);
		walk_free(k);
	}
	catalogue_drop(box, c);
}

static void
done_twin(struct walk *k)
{
	struct request *r = request_of(k->owner, k->reply_to);

	if (r != NULL && k->fault.code == F_NONE && !k->found) {
		reply_error(r, F_DeviceNotFound, STR_FMT, STR_ARG(r->segment[1]));
		walk_free(k);
	} else {
		done_why(k);
	}
}

void
on_twin_configurations(struct request *r)
{
	struct catalogue_box *box = r->hl->o.catalogue;
	const struct catalogue *c = catalogue_use(box);
	struct walk *k = why_walk(r, done_twin);

	k->why = why_twin(c->configurations, r->segment[1], path_module(r));
	k->place.shard = hub_shard_of(r->segment[1]);
	catalogue_drop(box, c);
	fleet_walk(r->hl->o.fleet, k);
}
