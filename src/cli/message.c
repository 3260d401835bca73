/* message send, purge, feedback: messages to devices. */
#include "cli/priv.h"

#define HEADERS_MAX     128 /* name and value each count */
#define FEEDBACK_ROUNDS 10000

/* Headers as they are gathered; their texts live in the arena. */
struct headers {
	const char *v[HEADERS_MAX + 1];
	unsigned n;
	struct arena arena;
};

static const char *
text_of(struct headers *h, const char *prefix, struct str s)
{
	struct buf b = { 0 };
	const char *p;

	buf_cstr(&b, prefix);
	buf_str(&b, s);
	buf_putc(&b, '\0');
	p = arena_str(&h->arena, buf_view(&b)).p;
	buf_fini(&b);
	return p;
}

static void
put(struct headers *h, const char *name, struct str value)
{
	h->v[h->n++] = name;
	h->v[h->n++] = text_of(h, "", value);
}

static int
put_properties(struct headers *h, const char *json)
{
	struct buf doc = { 0 };
	struct doc_iter it;
	struct str name;
	struct doc v;
	int code = json_take(str_of(json), "--properties", &doc);

	if (code == EXIT_DONE && doc_kind(doc_of(buf_view(&doc))) != DOC_OBJECT)
		code = cli_fail(EXIT_USAGE, "--properties is not an object");
	it = doc_iter(code == EXIT_DONE ? doc_of(buf_view(&doc)) : DOC_NONE);
	while (code == EXIT_DONE && doc_next(&it, &name, &v)) {
		if (doc_kind(v) != DOC_STRING)
			code = cli_fail(
			    EXIT_USAGE, "--properties: " STR_FMT " is not a text", STR_ARG(name));
		else if (h->n + 2 > HEADERS_MAX - 16)
			code = cli_fail(
			    EXIT_USAGE, "--properties has more than %u", (HEADERS_MAX - 16) / 2);
		else
			put(h, text_of(h, "iothub-app-", name), doc_str(v));
	}
	buf_fini(&doc);
	return code;
}

static int
headers_take(const struct args *a, struct headers *h)
{
	static const struct {
		enum option option;
		const char *header;
	} texts[] = { { OPT_MESSAGE_ID, "iothub-messageid" },
		{ OPT_CORRELATION_ID, "iothub-correlationid" },
		{ OPT_CONTENT_TYPE, "iothub-contenttype" } };
	char time[TIME_TEXT_MAX];

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (a->option[texts[i].option] != NULL)
			put(h, texts[i].header, str_of(a->option[texts[i].option]));
	put(h, "iothub-ack", str_of(option_word(a, OPT_ACK)));
	if (a->option[OPT_EXPIRES_IN] != NULL)
		put(h, "iothub-expiry",
		    (struct str){ time,
		        time_format(
		            clock_wall_us() + (int64_t)a->number[OPT_EXPIRES_IN] * INT64_C(1000000),
		            time) });
	return a->option[OPT_PROPERTIES] != NULL ? put_properties(h, a->option[OPT_PROPERTIES])
	                                         : EXIT_DONE;
}

static int
body_take(const struct args *a, struct buf *body)
{
	if (a->option[OPT_TEXT] != NULL && a->option[OPT_FILE] != NULL)
		return cli_fail(EXIT_USAGE, "--text and --file are both given");
	if (a->option[OPT_FILE] != NULL)
		return bytes_take_file(a->option[OPT_FILE], body);
	if (a->option[OPT_TEXT] != NULL)
		buf_cstr(body, a->option[OPT_TEXT]);
	return EXIT_DONE;
}

/* The path of a device's part; else EXIT_USAGE, said. */
static int
device_path(const char *device, const char *tail, struct buf *path)
{
	struct subject s;

	if (subject_of(device, NULL, &s) != EXIT_DONE)
		return EXIT_USAGE;
	subject_path(path, "/devices/", s, tail);
	return EXIT_DONE;
}

int
cli_message_send(const struct args *a)
{
	struct buf path = { 0 }, body = { 0 };
	struct answer answer = { 0 };
	struct headers h = { 0 };
	int code = device_path(a->operand[0], "/messages/deviceBound", &path);

	if (code == EXIT_DONE)
		code = body_take(a, &body);
	if (code == EXIT_DONE)
		code = headers_take(a, &h);
	if (code == EXIT_DONE)
		code = hub_call_once(a,
		    &(struct ask){ .method = POST,
		        .path = path.p,
		        .body = buf_view(&body),
		        .type = "application/octet-stream",
		        .headers = h.v },
		    &answer);
	answer_fini(&answer);
	arena_fini(&h.arena);
	buf_fini(&path);
	buf_fini(&body);
	return code;
}

int
cli_message_purge(const struct args *a)
{
	struct answer answer = { 0 };
	struct buf path = { 0 };
	int code = device_path(a->operand[0], "/commands", &path);

	if (code == EXIT_DONE)
		code = hub_call_once(a, &(struct ask){ .method = DELETE, .path = path.p }, &answer);
	if (code == EXIT_DONE)
		show_record(a, doc_of(buf_view(&answer.doc)));
	answer_fini(&answer);
	buf_fini(&path);
	return code;
}

/* ---- feedback ---- */

/* It has been shown: out with it. */
static int
feedback_done(const struct target *t, const char *etag)
{
	struct answer answer = { 0 };
	struct str token = str_of(etag);
	struct buf path = { 0 };
	int code;

	while (token.n > 0 && token.p[0] == '"')
		token = str_sub(token, 1);
	while (token.n > 0 && token.p[token.n - 1] == '"')
		token.n--;
	path_of(&path, "/messages/serviceBound/feedback/", token);
	code = hub_call(t, &(struct ask){ .method = DELETE, .path = path.p }, &answer);
	answer_fini(&answer);
	buf_fini(&path);
	return code;
}

/* The next part of it; *more: there was one. */
static int
feedback_page(const struct args *a, const struct target *t, struct rows_view *v, bool *more)
{
	const struct ask ask = { .method = GET, .path = "/messages/serviceBound/feedback" };
	struct answer answer = { 0 };
	int code = hub_call(t, &ask, &answer);

	*more = code == EXIT_DONE && answer.status == 200 && answer.etag.n > 0;
	if (*more)
		code = rows_page(v, doc_of(buf_view(&answer.doc)), true);
	if (*more && code == EXIT_DONE && a->option[OPT_KEEP] == NULL)
		code = feedback_done(t, answer.etag.p);
	answer_fini(&answer);
	return code;
}

int
cli_message_feedback(const struct args *a)
{
	struct rows_view v;
	struct target t;
	bool more = true;
	int code = target_open(a, &t);

	rows_init(&v, a);
	if (code == EXIT_DONE)
		rows_open(&v);
	for (unsigned i = 0; code == EXIT_DONE && more && i < FEEDBACK_ROUNDS; i++)
		code = feedback_page(a, &t, &v, &more);
	code = rows_fini(&v, code);
	target_fini(&t);
	return code;
}
