/* A request for a command: sent, and its refusal told as a person reads it. */
#include "cli/priv.h"

#include <openssl/crypto.h>
#include <stdio.h>

static void
wipe(struct buf *b)
{
	if (b->p != NULL)
		OPENSSL_cleanse(b->p, b->cap);
	buf_fini(b);
	*b = (struct buf){ 0 };
}

void
answer_fini(struct answer *a)
{
	wipe(&a->body);
	wipe(&a->doc);
	wipe(&a->continuation);
	wipe(&a->warning);
	wipe(&a->etag);
	a->status = 0;
	a->retry_after_s = 0;
	a->lines = false;
}

bool
answer_parse(struct answer *a)
{
	struct doc_parser *ps;
	struct doc_parsed info;
	bool ok;

	if (a->body.n == 0)
		return true;
	ps = doc_parser_new(ANSWER_MAX);
	ok = doc_parse(ps, buf_view(&a->body), &a->doc, &info, NULL) == ERR_OK;
	doc_parser_free(ps);
	return ok;
}

/* What a device did wrong has a JSON text for a message (service-rest.md 4.1): {"errorCode":404103,"message":"..."}. */
static bool
device_refusal(struct str message, char *out, size_t room)
{
	struct doc_parser *ps = doc_parser_new(ANSWER_MAX);
	struct buf inner = { 0 };
	struct doc_parsed info;
	struct doc d = DOC_NONE, code;
	bool known;

	if (doc_parse(ps, message, &inner, &info, NULL) == ERR_OK)
		d = doc_of(buf_view(&inner));
	code = doc_getc(d, "errorCode");
	known = doc_kind(code) == DOC_INT;
	if (known)
		snprintf(out, room, "%s: " STR_FMT, fault_name((enum fault_code)doc_int(code)),
		    STR_ARG(doc_str(doc_getc(d, "message"))));
	doc_parser_free(ps);
	buf_fini(&inner);
	return known;
}

/* {"Message":"ErrorCode:Name;text",...} -> "Name: text". *device: the hub did its part, the device did not. */
static void
refusal_text(const struct answer *a, char *out, size_t room, bool *device)
{
	struct doc d = a->doc.n > 0 ? doc_getc(doc_of(buf_view(&a->doc)), "Message") : DOC_NONE;
	struct str message, name, text;

	*device = false;
	if (doc_kind(d) != DOC_STRING) {
		snprintf(out, room, "the hub answered with status %d", a->status);
		return;
	}
	*device = device_refusal(doc_str(d), out, room);
	if (*device)
		return;
	if (a->status == 412) {
		snprintf(out, room, "it has another etag by now: somebody else changed it");
		return;
	}
	message = doc_str(d);
	if (str_starts(message, STR("ErrorCode:")) &&
	    str_cut(str_sub(message, sizeof("ErrorCode:") - 1), ';', &name, &text))
		snprintf(out, room, STR_FMT ": " STR_FMT, STR_ARG(name), STR_ARG(text));
	else
		snprintf(out, room, STR_FMT, STR_ARG(message));
}

static enum exit_code
exit_of_status(int status)
{
	static const struct {
		int status;
		enum exit_code code;
	} codes[] = { { 404, EXIT_NOT_FOUND }, { 409, EXIT_CONFLICT }, { 412, EXIT_CONFLICT } };

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i].status == status)
			return codes[i].code;
	return EXIT_FAILED;
}

int
hub_try(const struct target *t, const struct ask *ask, struct answer *out, char why[WHY_MAX])
{
	bool good, parsed, device, fits;

	answer_fini(out);
	if (https_call(t, ask, out, why) != ERR_OK)
		return EXIT_UNREACHABLE;
	good = out->status >= 200 && out->status <= 299;
	parsed = (good && ask->raw) || answer_parse(out);
	if (!good) {
		refusal_text(out, why, WHY_MAX, &device);
		return device ? EXIT_DEVICE : exit_of_status(out->status);
	}
	/* of a stream each line was looked at */
	fits = ask->raw ? ask->piece != NULL || out->lines
	                : parsed && answer_fits(ask, doc_of(buf_view(&out->doc)));
	if (fits)
		return EXIT_DONE;
	if (parsed)
		snprintf(
		    why, WHY_MAX, "%s:%u answers as no hub does: is it one?", t->host, t->port);
	else
		snprintf(why, WHY_MAX, "the hub's answer is not JSON");
	return EXIT_FAILED;
}

int
hub_call(const struct target *t, const struct ask *ask, struct answer *out)
{
	char why[WHY_MAX];
	int code = hub_try(t, ask, out, why);

	if (code != EXIT_DONE)
		return cli_fail((enum exit_code)code, "%s", why);
	if (out->warning.n > 0 && !ask->warned)
		cli_warn(out->warning.p);
	return EXIT_DONE;
}

int
hub_pages(const struct target *t, const struct ask *ask,
    int (*page)(void *ctx, struct doc rows, bool more), void *ctx)
{
	struct answer answer = { 0 };
	struct buf continuation = { 0 }, warning = { 0 };
	struct ask next = *ask;
	int code;

	next.warned = true;
	do {
		next.continuation = continuation.p;
		code = hub_call(t, &next, &answer);
		if (code != EXIT_DONE)
			break;
		if (warning.n == 0)
			buf_str(&warning, buf_view(&answer.warning));
		if (answer.continuation.n > 0 &&
		    str_eq(buf_view(&continuation), buf_view(&answer.continuation))) {
			code = cli_fail(EXIT_FAILED,
			    "%s:%u answers with the same page again and again", t->host, t->port);
			break;
		}
		continuation.n = 0;
		buf_str(&continuation, buf_view(&answer.continuation));
		code = page(ctx, doc_of(buf_view(&answer.doc)), continuation.n > 0);
	} while (code == EXIT_DONE && continuation.n > 0 && !ferror(stdout));
	/* at the end, for a terminal may have been cleared for the first page */
	if (code == EXIT_DONE && warning.n > 0)
		cli_warn(warning.p);
	answer_fini(&answer);
	buf_fini(&continuation);
	buf_fini(&warning);
	return code;
}

int
hub_call_once(const struct args *a, const struct ask *ask, struct answer *out)
{
	struct target t;
	int code = target_open(a, &t);

	if (code == EXIT_DONE)
		code = hub_call(&t, ask, out);
	target_fini(&t);
	return code;
}

void
path_of(struct buf *out, const char *collection, struct str id)
{
	buf_cstr(out, collection);
	buf_percent(out, id);
	buf_putc(out, '\0');
}

void
subject_path(struct buf *out, const char *collection, struct subject s, const char *tail)
{
	buf_cstr(out, collection);
	buf_percent(out, s.device);
	if (s.module.n > 0) {
		buf_cstr(out, "/modules/");
		buf_percent(out, s.module);
	}
	buf_cstr(out, tail);
	buf_putc(out, '\0');
}

void
if_match_of(struct buf *out, struct str etag)
{
	bool quoted = etag.n >= 2 && etag.p[0] == '"' && etag.p[etag.n - 1] == '"';

	if (etag.n == 0) {
		buf_putc(out, '*');
	} else {
		buf_cstr(out, quoted ? "" : "\"");
		buf_str(out, etag);
		buf_cstr(out, quoted ? "" : "\"");
	}
	buf_putc(out, '\0');
}
