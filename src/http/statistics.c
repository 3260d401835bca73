/* How many devices there are (service-rest.md 14): what the shards count, each behind its commits. And, which Azure does not
 * have, the columns that queries have made, and how often configurations have changed their own target (J-36). */
#include "http/priv.h"
#include "task/counts.h"
#include "task/paths.h"

#define PATHS_SHOWN     100
#define PATHS_SHOWN_MAX 1000

static void
put_count(struct out *o, const char *name, uint64_t n)
{
	out_key(o, name);
	out_u64(o, n);
}

static void
reply_object(struct request *r, struct buf *json)
{
	reply_json(r, 200, buf_view(json));
	buf_fini(json);
}

static void
done_counts(struct tour *k)
{
	const struct shard_counts *c = &((const struct counts_task *)k->task)->counts;
	struct request *r = tour_back(k);
	struct buf json = { 0 };
	struct out o = out_to(&json);

	if (r != NULL) {
		out_open(&o);
		if (str_ieq(r->segment[1], STR("service"))) {
			put_count(&o, "connectedDeviceCount", c->connected);
		} else {
			put_count(&o, "totalDeviceCount", c->devices);
			put_count(&o, "enabledDeviceCount", c->devices - c->disabled);
			put_count(&o, "disabledDeviceCount", c->disabled);
		}
		out_close(&o);
		reply_object(r, &json);
	}
	tour_free(k);
}

static void
done_loops(struct tour *k)
{
	struct request *r = tour_back(k);
	struct buf json = { 0 };
	struct out o = out_to(&json);

	if (r != NULL) {
		out_open(&o);
		put_count(
		    &o, "configurationLoopCount", ((const struct loops_task *)k->task)->loops);
		out_close(&o);
		reply_object(r, &json);
	}
	tour_free(k);
}

static void
done_columns(struct tour *k)
{
	const struct columns_task *c = (const struct columns_task *)k->task;
	struct request *r = tour_back(k);
	struct buf json = { 0 };
	struct out o = out_to(&json);

	if (r != NULL) {
		out_open(&o);
		put_count(&o, "bytes", c->bytes);
		put_count(&o, "limitBytes", fleet_column_bytes(r->hl->o.fleet));
		out_key(&o, "columns");
		column_report_write(c->report, false, out_value(&o));
		out_close(&o);
		reply_object(r, &json);
	}
	tour_free(k);
}

static void
done_messages(struct tour *k)
{
	const struct message_counts *c = &((const struct messages_task *)k->task)->counts;
	struct request *r = tour_back(k);
	struct buf json = { 0 };
	struct out o = out_to(&json);

	if (r != NULL) {
		out_open(&o);
		put_count(&o, "queued", c->queued);
		put_count(&o, "feedback", c->feedback);
		out_open(out_key(&o, "deadLettered"));
		for (unsigned end = MESSAGE_EXPIRED; end < MESSAGE_ENDS; end++)
			put_count(&o, message_end_name((enum message_end)end).p, c->dead[end]);
		out_close(&o);
		put_count(&o, "feedbackDropped", c->dropped);
		out_close(&o);
		reply_object(r, &json);
	}
	tour_free(k);
}

void
on_message_statistics(struct request *r)
{
	request_asks(r, request_tour(r, &messages_task_new()->task, done_messages));
}

void
on_statistics(struct request *r)
{
	if (str_ieq(r->segment[1], STR("configurations")))
		request_asks(r, request_tour(r, &loops_task_new()->task, done_loops));
	else
		request_asks(r, request_tour(r, &counts_task_new()->task, done_counts));
}

void
on_column_statistics(struct request *r)
{
	request_asks(r, request_tour(r, &columns_task_new()->task, done_columns));
}

/* ---- paths of twins: O-130, O-131 ---- */

static void
done_paths(struct tour *k)
{
	struct request *r = tour_back(k);
	struct buf json = { 0 };

	if (r != NULL) {
		paths_write(k->task, r->top, &json);
		reply_object(r, &json);
	}
	tour_free(k);
}

void
on_path_statistics(struct request *r)
{
	static const char *const known[] = { "prefix", "top", "api-version" };
	struct str prefix = request_param(r, "prefix");
	int64_t top = PATHS_SHOWN;
	struct fault f = { 0 };

	if (request_knows(r, known, sizeof(known) / sizeof(known[0]), &f) == ERR_OK &&
	    request_number(r, "top", 1, PATHS_SHOWN_MAX, &top, &f) == ERR_OK &&
	    prefix.n > PATH_TEXT_MAX)
		fault_set(&f, F_ArgumentInvalid, "prefix has %zu bytes, over the limit of %u",
		    prefix.n, PATH_TEXT_MAX);
	if (f.code != F_NONE) {
		reply_fault(r, &f);
		return;
	}
	r->top = (uint32_t)top;
	request_asks(r, request_tour(r, paths_task_new(prefix), done_paths));
}
