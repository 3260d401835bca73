/* /admin/faults (O-175): what a test orders to go wrong. And what of it meets requests. */
#include "http/priv.h"
#include "mishap/mishap.h"

static bool
are_served(struct request *r)
{
	if (r->hl->o.mishaps != NULL)
		return true;
	reply_error(r, F_GenericNotFound,
	    "nothing goes wrong by order in this hub: only one of `serve --ephemeral` does that");
	return false;
}

void
on_mishaps_list(struct request *r)
{
	struct out o;

	if (!are_served(r))
		return;
	r->hl->json.n = 0;
	o = out_to(&r->hl->json);
	mishaps_show(r->hl->o.mishaps, clock_mono_us(), &o);
	reply_json(r, 200, buf_view(&r->hl->json));
}

void
on_mishaps_order(struct request *r)
{
	struct doc_parsed info;
	struct fault f = { 0 };
	struct out o;

	if (!are_served(r) || !request_doc(r, NULL, &info))
		return;
	r->hl->json.n = 0;
	o = out_to(&r->hl->json);
	if (mishaps_order(
	        r->hl->o.mishaps, doc_of(buf_view(&r->hl->doc)), clock_mono_us(), &o, &f) != ERR_OK)
		reply_fault(r, &f);
	else
		reply_json(r, 200, buf_view(&r->hl->json));
}

void
on_mishaps_clear(struct request *r)
{
	if (!are_served(r))
		return;
	mishaps_clear(r->hl->o.mishaps);
	reply_empty(r, 204);
}

/* ---- what meets a request ---- */

/* The device of the path; empty: it is about none. */
static struct str
device_of(const struct request *r)
{
	bool names_one = r->nsegment > 1 &&
	    (str_ieq(r->segment[0], STR("devices")) || str_ieq(r->segment[0], STR("twins")) ||
	        str_ieq(r->segment[0], STR("digitaltwins")));

	return names_one ? r->segment[1] : STR_NONE;
}

static bool
request_meets(struct request *r, enum mishap what, struct mishap_met *met)
{
	if (!mishap_meets(r->hl->o.mishaps, what, device_of(r), clock_mono_us(), met))
		return false;
	log_text(LOG_INFO, "a fault by order meets a request of " STR_FMT, STR_ARG(r->sent_path));
	return true;
}

bool
request_is_lost(struct request *r)
{
	struct mishap_met met;

	if (r->hl->o.mishaps == NULL || str_ieq(r->segment[0], STR("admin")))
		return false;
	return request_meets(r, MISHAP_UNAVAILABLE, &met);
}

int64_t
request_token_late_us(struct request *r)
{
	struct mishap_met met;

	if (r->hl->o.mishaps == NULL || (r->nsegment > 0 && str_ieq(r->segment[0], STR("admin"))))
		return 0;
	return request_meets(r, MISHAP_TOKEN_SKEW, &met) ? met.us : 0;
}
