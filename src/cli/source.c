/* A hub that is read by its service API: requests at its pace. */
#include "cli/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FROM_NAME   "TWINHUB_FROM_CONNECTION_STRING"
#define REST_MOST_S 60u

int
source_open(const struct args *a, struct source *s)
{
	const char *text = a->option[OPT_FROM] != NULL ? a->option[OPT_FROM] : getenv(FROM_NAME);
	int code;

	*s = (struct source){ .identities = a->option[OPT_NO_KEYS] == NULL,
		.rate = a->number[OPT_REQUEST_RATE] };
	code = target_init(a, OPT_FROM_CA, &s->target);
	if (code != EXIT_DONE)
		return code;
	if (text == NULL || text[0] == '\0')
		return cli_fail(EXIT_USAGE,
		    "from which hub? give --from TEXT, a connection string, or set " FROM_NAME);
	return target_of_text(text, &s->target);
}

void
source_fini(struct source *s)
{
	answer_fini(&s->identity);
	target_fini(&s->target);
}

/* ---- pace ---- */

static void
rest_until(int64_t us)
{
	clock_sleep_us(us - clock_mono_us());
}

static void
keep_pace(struct source *s)
{
	int64_t now_us = clock_mono_us();

	if (s->rate == 0)
		return;
	rest_until(s->next_us);
	s->next_us = (s->next_us > now_us ? s->next_us : now_us) + 1000000 / (int64_t)s->rate;
}

static bool
is_busy(int code, const struct answer *a)
{
	return code == EXIT_UNREACHABLE || a->status == 429 || a->status == 503;
}

/* As long as it asks for; else longer each time. */
static unsigned
rest_s(const struct answer *a, unsigned nth)
{
	unsigned s = a->retry_after_s > 0 ? a->retry_after_s : 1u << (nth < 6 ? nth : 6);

	return s < REST_MOST_S ? s : REST_MOST_S;
}

/* The same again while the source is busy or away. */
static int
ask_patiently(struct source *s, const struct ask *ask, struct answer *out, char why[WHY_MAX])
{
	int64_t until_us = clock_mono_us() + (int64_t)SOURCE_PATIENCE_S * 1000000;
	int code;

	for (unsigned n = 0;; n++) {
		keep_pace(s);
		code = hub_try(&s->target, ask, out, why);
		if (!is_busy(code, out) || clock_mono_us() >= until_us)
			return code;
		if (n == 0 && code == EXIT_UNREACHABLE)
			cli_note("%s: trying again", why);
		rest_until(clock_mono_us() + (int64_t)rest_s(out, n) * 1000000);
	}
}

static int
source_ask(struct source *s, const struct ask *ask, struct answer *out)
{
	char why[WHY_MAX];
	int code = ask_patiently(s, ask, out, why);

	return code == EXIT_DONE ? code
	                         : cli_fail((enum exit_code)code, "%s: %s", s->target.host, why);
}

/* ---- what is asked ---- */

int
source_page(struct source *s, const char *query, struct buf *continuation, struct answer *page)
{
	struct buf body = { 0 };
	struct out o = out_to(&body);
	int code;

	out_open(&o);
	out_cstr(out_key(&o, "query"), query);
	out_close(&o);
	code = source_ask(s,
	    &(struct ask){ .method = POST,
	        .path = "/devices/query",
	        .body = buf_view(&body),
	        .continuation = continuation->n > 0 ? continuation->p : NULL,
	        .page_size = SOURCE_PAGE_ROWS },
	    page);
	buf_fini(&body);
	continuation->n = 0;
	if (code == EXIT_DONE)
		buf_str(continuation, buf_view(&page->continuation));
	return code;
}

/* Once it is known that the policy may not, nobody asks again. */
static int
keys_refused(struct source *s)
{
	s->identities = false;
	s->keys_closed = true;
	cli_note("the policy %s may not read identities (RegistryRead): going on without keys",
	    s->target.policy);
	return EXIT_DONE;
}

static int
identity_ask(struct source *s, struct subject who)
{
	struct buf path = { 0 };
	char why[WHY_MAX];
	int code;

	subject_path(&path, "/devices/", who, "");
	code = ask_patiently(s, &(struct ask){ .method = GET, .path = path.p }, &s->identity, why);
	if (s->identity.status == 401 || s->identity.status == 403) {
		answer_fini(&s->identity);
		code = keys_refused(s);
	} else if (code != EXIT_DONE && code != EXIT_NOT_FOUND) {
		cli_fail((enum exit_code)code, "%s: %s", s->target.host, why);
	}
	buf_fini(&path);
	return code;
}

int
source_entry(struct source *s, struct doc row, struct foreign_entry *out)
{
	struct subject who = { doc_text(doc_getc(row, "deviceId")),
		doc_text(doc_getc(row, "moduleId")) };
	int code;

	*out = (struct foreign_entry){ .device = who.device, .module = who.module, .twin = row };
	answer_fini(&s->identity);
	if (who.device.n == 0)
		return cli_fail(EXIT_FAILED,
		    "the hub that is read answers a query over devices "
		    "with a row that has no deviceId");
	if (!s->identities)
		return EXIT_DONE;
	code = identity_ask(s, who);
	out->identity = code == EXIT_DONE && s->identity.doc.n > 0
	    ? doc_of(buf_view(&s->identity.doc))
	    : DOC_NONE;
	return code;
}

int
source_twin(struct source *s, struct subject who, struct answer *out)
{
	struct buf path = { 0 };
	char why[WHY_MAX];
	int code;

	subject_path(&path, "/twins/", who, "");
	code = ask_patiently(s, &(struct ask){ .method = GET, .path = path.p }, out, why);
	buf_fini(&path);
	if (code != EXIT_DONE && code != EXIT_NOT_FOUND)
		cli_fail((enum exit_code)code, "%s: %s", s->target.host, why);
	return code;
}

int
source_configurations(struct source *s, struct answer *out)
{
	return source_ask(
	    s, &(struct ask){ .method = GET, .path = "/configurations?top=100" }, out);
}
