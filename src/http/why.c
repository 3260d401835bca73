/*
 * GET /configurations/{id}/devices and /twins/{id}/configurations: where a configuration is, and why not where it is not
 * (jobs-and-configurations.md 14).
 */
#include "http/priv.h"

static void
reply_why(struct request *r, struct tour *k)
{
	body_page(r, k);
	if (k->task->page->more)
		add_continuation(r, &k->task->bookmark);
	reply_body(r, 200, NULL);
}

static void
done_why(struct tour *k)
{
	struct request *r = tour_back(k);

	if (r != NULL)
		reply_why(r, k);
	tour_free(k);
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

/* The question, if nothing is wrong with it; else f says what is. */
static struct why_task *
prepare(struct request *r, const struct configurations *set, struct fault *f)
{
	struct str token = request_header(r, "x-ms-continuation"), id = r->segment[1];
	enum why_state state = WHY_ALL;
	struct why_task *y;

	if (configurations_find(set, id) == NULL) {
		fault_set(f, F_ConfigurationNotFound, STR_FMT, STR_ARG(id));
		return NULL;
	}
	if (take_state(r, &state, f) != ERR_OK)
		return NULL;
	r->query_hash = hash_stable(id) ^ (uint64_t)state * UINT64_C(0x9E3779B97F4A7C15);
	y = why_task_new(why_new(set, id, state));
	if (query_page_size(request_header(r, "x-ms-max-item-count"), &y->task.page->limit, f) ==
	        ERR_OK &&
	    (token.n == 0 ||
	        query_token_read(token, r->query_hash, &y->task.bookmark, f) == ERR_OK))
		return y;
	task_free(&y->task);
	return NULL;
}

void
on_configuration_devices(struct request *r)
{
	struct catalogue_box *box = r->hl->o.catalogue;
	const struct catalogue *c = catalogue_use(box);
	struct fault f = { 0 };
	struct why_task *y = prepare(r, c->configurations, &f);

	if (y != NULL)
		request_asks(r, request_tour(r, &y->task, done_why));
	else
		reply_fault(r, &f);
	catalogue_drop(box, c);
}

static void
done_twin(struct tour *k)
{
	struct request *r = tour_back(k);

	if (r != NULL && ((const struct why_task *)k->task)->found)
		reply_why(r, k);
	else if (r != NULL)
		reply_error(r, F_DeviceNotFound, STR_FMT, STR_ARG(r->segment[1]));
	tour_free(k);
}

void
on_twin_configurations(struct request *r)
{
	struct catalogue_box *box = r->hl->o.catalogue;
	const struct catalogue *c = catalogue_use(box);
	struct why_task *y =
	    why_task_new(why_twin(c->configurations, r->segment[1], path_module(r)));

	y->task.bookmark.shard = hub_shard_of(r->segment[1]);
	catalogue_drop(box, c);
	request_asks(r, request_tour(r, &y->task, done_twin));
}
