/* GET and POST /admin/clock (O-147): a test puts the hub's clock ahead. */
#include "http/priv.h"

#define SECOND_US INT64_C(1000000)
#define TOO_FAR                                                                                    \
	"advance is too much: in all a clock goes ahead by ten years (3650 days) at the most"

static bool
is_served(struct request *r)
{
	if (r->hl->o.admin.clock_advance != NULL)
		return true;
	reply_error(r, F_GenericNotFound,
	    "the clock of this hub is the machine's: only `serve --ephemeral --clock` has one that "
	    "can be advanced");
	return false;
}

static void
clock_write(struct buf *json)
{
	struct out o = out_to(json);

	out_open(&o);
	out_time(out_key(&o, "now"), clock_wall_us());
	out_i64(out_key(&o, "aheadSeconds"), clock_ahead_us() / SECOND_US);
	out_close(&o);
}

void
on_clock_get(struct request *r)
{
	if (!is_served(r))
		return;
	r->hl->json.n = 0;
	clock_write(&r->hl->json);
	reply_json(r, 200, buf_view(&r->hl->json));
}

enum err
clock_put_ahead(const struct http_loop *hl, uint32_t seconds, struct buf *json, struct fault *f)
{
	const struct http_admin *a = &hl->o.admin;

	if (!a->clock_advance(a->ctx, seconds * SECOND_US))
		return fault_set(f, F_ArgumentInvalid, TOO_FAR);
	clock_write(json);
	return ERR_OK;
}

/* {"advance":"PT1H"} or {"advance":3600}, and nothing else. */
static enum err
take_advance(struct doc body, int64_t *seconds, struct fault *f)
{
	struct doc_iter it = doc_iter(body);
	struct doc v = doc_getc(body, "advance"), member;
	struct str key;

	*seconds = 0;
	if (doc_kind(body) != DOC_OBJECT)
		return fault_set(f, F_ArgumentInvalid, "the body is not a JSON object");
	while (doc_next(&it, &key, &member))
		if (!str_eq(key, STR("advance")))
			return fault_set(
			    f, F_ArgumentInvalid, STR_FMT " is no member of this", STR_ARG(key));
	if (doc_kind(v) == DOC_INT)
		*seconds = doc_int(v);
	else if (doc_kind(v) != DOC_STRING || !duration_parse(doc_str(v), seconds))
		*seconds = 0;
	if (*seconds > 0)
		return ERR_OK;
	return fault_set(f, F_ArgumentInvalid,
	    "advance is neither whole seconds, at least 1, nor a duration in days, hours, minutes "
	    "and seconds, as \"PT1H\" or \"P2DT30M\"");
}

void
on_clock_post(struct request *r)
{
	struct doc_parsed info;
	struct fault f = { 0 };
	int64_t seconds;

	if (!is_served(r) || !request_doc(r, NULL, &info))
		return;
	if (take_advance(doc_of(buf_view(&r->hl->doc)), &seconds, &f) != ERR_OK)
		reply_fault(r, &f);
	else if (seconds > UINT32_MAX)
		reply_error(r, F_ArgumentInvalid, TOO_FAR);
	else
		errand_clock(r, (uint32_t)seconds);
}
