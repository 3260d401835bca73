/* Digital twins (service-rest.md 16): thin faces over twins and methods. What they are is told by the twin alone. */
#include "http/priv.h"

static void
done_get(struct work *w)
{
	struct request *r = work_back(w);

	if (r != NULL)
		reply_etag(r, 200, buf_view(&w->reply.body), w->reply.etag);
	work_free(w);
}

/* 202, for the device is yet to answer; where it will be seen. */
static void
done_patch(struct work *w)
{
	struct request *r = work_back(w);
	struct buf location = { 0 };

	if (r != NULL) {
		buf_cstr(&location, "/digitaltwins/");
		buf_percent(&location, w->op.device);
		buf_putc(&location, '\0');
		add_header(r, "Location", location.p);
		reply_etag(r, 202, STR_NONE, w->reply.etag);
	}
	buf_fini(&location);
	work_free(w);
}

void
on_digital_twin_get(struct request *r)
{
	struct work *w = request_work(r, OP_TWIN_READ, 0, done_get);

	w->op.digital = true;
	request_submit(r, w);
}

void
on_digital_twin_patch(struct request *r)
{
	struct doc_parsed info = { 0 };
	struct work *w;

	if (request_parse(r, NULL, &info, &r->fault) != ERR_OK) {
		request_refuse(r);
		return;
	}
	w = request_work(r, OP_TWIN_PATCH, r->hl->doc.n + request_if_match_room(r), done_patch);
	w->op.digital = true;
	w->op.payload = work_str(w, buf_view(&r->hl->doc));
	request_if_match(r, w);
	request_submit(r, w);
}

/* ---- commands: methods, whose payload is the body and whose timeouts are in the query string ---- */

/* The command's name, with its component's before it. */
static struct str
method_of(struct request *r)
{
	struct buf name = { 0 };
	struct str kept;

	buf_str(&name, r->segment[3]);
	if (r->nsegment > 4) {
		buf_putc(&name, '*');
		buf_str(&name, r->segment[5]);
	}
	kept = arena_str(&r->arena, buf_view(&name));
	buf_fini(&name);
	return kept;
}

static enum err
take_command(struct request *r, struct str *name, struct fault *f)
{
	int64_t response_s = METHOD_RESPONSE_S, connect_s = 0;
	struct doc_parsed info;

	*name = method_of(r);
	r->hl->json.n = 0;
	if (!method_name_valid(*name))
		return fault_set(f, F_ArgumentInvalid,
		    "the command's name is not 1 to %d of the characters that method names may "
		    "have",
		    METHOD_NAME_MAX);
	if (request_number(r, "responseTimeoutInSeconds", METHOD_RESPONSE_MIN_S, METHOD_WAIT_MAX_S,
	        &response_s, f) != ERR_OK ||
	    request_number(r, "connectTimeoutInSeconds", 0, METHOD_WAIT_MAX_S, &connect_s, f) !=
	        ERR_OK)
		return ERR_ARG;
	if (r->ask.body.n ==
	    0) /* nobody wrote a payload: null, which every SDK of devices can parse */
		buf_cstr(&r->hl->json, "null");
	else if (request_parse(r, NULL, &info, f) == ERR_OK)
		doc_write_json(&r->hl->json, doc_of(buf_view(&r->hl->doc)));
	else
		return ERR_ARG;
	if (r->hl->json.n > METHOD_PAYLOAD_MAX)
		return fault_set(f, F_MessageTooLarge, "the payload has %zu bytes, the limit is %u",
		    r->hl->json.n, METHOD_PAYLOAD_MAX);
	r->response_s = (uint16_t)response_s;
	r->connect_s = (uint16_t)connect_s;
	return ERR_OK;
}

void
on_digital_command(struct request *r)
{
	struct str name;

	if (take_command(r, &name, &r->fault) != ERR_OK) {
		request_refuse(r);
		return;
	}
	r->command = true;
	method_submit(r, name);
}
