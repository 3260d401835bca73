/* connection list, show, kick; device why: what the hub remembers of connections (docs/spec/operate.md 4). */
#include "cli/priv.h"

#define PAGE_SIZE 1000u

/* ---- list ---- */

struct listing {
	struct rows_view view;
	uint64_t left; /* rows that are still wanted */
	bool opened;
};

static void
put_member(struct doc_writer *dw, struct doc d, const char *name)
{
	struct doc v = doc_get(d, str_of(name));

	if (!doc_defined(v))
		return;
	doc_key(dw, str_of(name));
	doc_put_copy(dw, 0, v);
}

/* "keep-alive, 2026-..."; nothing: a cell that is empty */
static void
put_event(struct doc_writer *dw, const char *column, struct doc event)
{
	struct buf text = { 0 };

	if (!doc_defined(event))
		return;
	buf_str(&text, doc_text(doc_getc(event, "reason")));
	buf_cstr(&text, ", ");
	buf_str(&text, doc_text(doc_getc(event, "time")));
	doc_key(dw, str_of(column));
	doc_put_str(dw, 0, buf_view(&text));
	buf_fini(&text);
}

static void
put_row(struct doc_writer *dw, struct doc entry)
{
	static const char *const members[] = { "deviceId", "moduleId", "connected", "address",
		"connectsLastHour", "client" };

	doc_begin_object(dw, 0);
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		put_member(dw, entry, members[i]);
	put_event(dw, "lastDisconnect", doc_getc(entry, "lastDisconnect"));
	put_event(dw, "lastRefusal", doc_getc(entry, "lastRefusal"));
	doc_end(dw);
}

static int
on_page(void *ctx, struct doc entries, bool more)
{
	struct listing *l = ctx;
	struct doc_iter it = doc_iter(entries);
	struct buf rows = { 0 };
	struct doc_writer dw;
	struct str key;
	struct doc v;
	int code;

	if (!l->opened)
		rows_open(&l->view);
	l->opened = true;
	doc_writer_init(&dw, &rows, 0);
	doc_begin_array(&dw, 0);
	while (l->left > 0 && doc_next(&it, &key, &v)) {
		l->left--;
		if (l->view.format == ROWS_JSON)
			doc_put_copy(&dw, 0, v);
		else
			put_row(&dw, v);
	}
	doc_end(&dw);
	code = rows_page(&l->view, doc_of(buf_view(&rows)), more && l->left > 0);
	buf_fini(&rows);
	return code;
}

static void
put_parameter(struct buf *path, const char *name, const char *value)
{
	if (value == NULL)
		return;
	buf_printf(path, "&%s=", name);
	buf_percent(path, str_of(value));
}

int
cli_connection_list(const struct args *a)
{
	uint64_t top = a->option[OPT_TOP] != NULL ? a->number[OPT_TOP] : UINT64_MAX;
	struct listing l = { .left = top };
	struct buf path = { 0 };
	struct target t = { 0 };
	int code;

	buf_printf(&path, "/connections?top=%u", (unsigned)(top < PAGE_SIZE ? top : PAGE_SIZE));
	put_parameter(&path, "order", a->option[OPT_CONNECTION_ORDER]);
	put_parameter(&path, "state", a->option[OPT_CONNECTION_STATE]);
	put_parameter(&path, "reason", a->option[OPT_REASON]);
	put_parameter(&path, "address", a->option[OPT_ADDRESS]);
	buf_putc(&path, '\0');
	if ((code = target_open(a, &t)) == EXIT_DONE) {
		rows_init(&l.view, a);
		code = rows_fini(&l.view,
		    hub_pages(&t, &(struct ask){ .method = GET, .path = path.p }, on_page, &l));
	}
	target_fini(&t);
	buf_fini(&path);
	return code;
}

/* ---- show, kick ---- */

static int
connection_call(const struct args *a, enum method method, struct answer *answer)
{
	struct buf path = { 0 };
	struct subject s;
	int code = subject_of(a->operand[0], a->option[OPT_MODULE], &s);

	if (code != EXIT_DONE)
		return code;
	subject_path(&path, "/devices/", s, "/connection");
	code = hub_call_once(a, &(struct ask){ .method = method, .path = path.p }, answer);
	buf_fini(&path);
	return code;
}

int
cli_connection_show(const struct args *a)
{
	struct answer answer = { 0 };
	int code = connection_call(a, GET, &answer);

	if (code == EXIT_DONE)
		show_record(a, doc_of(buf_view(&answer.doc)));
	answer_fini(&answer);
	return code;
}

int
cli_connection_kick(const struct args *a)
{
	struct answer answer = { 0 };
	int code = connection_call(a, DELETE, &answer);

	answer_fini(&answer);
	return code;
}

/* ---- why ---- */

static struct str
text(struct doc d, const char *name)
{
	return doc_text(doc_get(d, str_of(name)));
}

static int64_t
number(struct doc d, const char *name)
{
	struct doc v = doc_get(d, str_of(name));

	return doc_defined(v) ? doc_int(v) : 0;
}

static bool
is_true(struct doc d, const char *name)
{
	return doc_kind(doc_get(d, str_of(name))) == DOC_TRUE;
}

/* ", at TIME from ADDRESS: WHY (REASON)" */
static void
put_cause(struct buf *b, struct doc event)
{
	struct str address = text(event, "address"); /* the log knows none */

	buf_printf(b, " at " STR_FMT, STR_ARG(text(event, "time")));
	if (address.n > 0)
		buf_printf(b, " from " STR_FMT, STR_ARG(address));
	buf_printf(b, ": " STR_FMT " (" STR_FMT ")", STR_ARG(text(event, "why")),
	    STR_ARG(text(event, "reason")));
}

/* Of who is held off: what it is held off for. */
static void
put_backoff(struct buf *b, struct doc refused)
{
	if (!str_eq(text(refused, "reason"), STR("auth-backoff")))
		return;
	buf_printf(b,
	    " It had failed before for " STR_FMT ", and is judged again from " STR_FMT " on.",
	    STR_ARG(text(refused, "cause")), STR_ARG(text(refused, "until")));
}

#define FLAPS 6 /* connects in an hour from which on it is told */

static void
why_connected(struct buf *b, struct doc d)
{
	struct doc ended = doc_getc(d, "lastDisconnect");

	buf_printf(b, "It is connected since " STR_FMT " from " STR_FMT ".",
	    STR_ARG(text(d, "connectedSince")), STR_ARG(text(d, "address")));
	if (number(d, "connectsLastHour") < FLAPS)
		return;
	buf_printf(b, " But it has connected %lld times in the last hour",
	    (long long)number(d, "connectsLastHour"));
	if (doc_defined(ended)) {
		buf_cstr(b, "; the connection before ended");
		put_cause(b, ended);
	}
	buf_cstr(b, ".");
}

/* Times of one form are in order as texts. */
static bool
is_later(struct doc a, struct doc b)
{
	struct str s = text(a, "time"), t = text(b, "time");

	return doc_defined(a) && (!doc_defined(b) || str_cmp(s, t) > 0);
}

static void
why_not_connected(struct buf *b, struct doc d)
{
	struct doc ended = doc_getc(d, "lastDisconnect"), refused = doc_getc(d, "lastRefusal");

	buf_cstr(b, "It is not connected.");
	if (is_later(refused, ended)) {
		buf_printf(b, " Its last attempt, one of %lld, was refused",
		    (long long)number(refused, "count"));
		put_cause(b, refused);
		buf_cstr(b, ".");
		put_backoff(b, refused);
	}
	if (doc_defined(ended)) {
		buf_cstr(b, " Its last connection ended");
		put_cause(b, ended);
		buf_cstr(b, ".");
	} else if (!doc_defined(refused)) {
		buf_cstr(b, " The hub remembers no attempt.");
	}
	if (text(d, "lastActivityTime").n > 0 && !doc_defined(doc_getc(d, "lastConnectedTime")))
		buf_printf(b,
		    " It was heard of last at " STR_FMT
		    ", over HTTPS or before the hub's last start.",
		    STR_ARG(text(d, "lastActivityTime")));
}

static bool
listens(struct doc d)
{
	struct doc_iter it = doc_iter(doc_getc(d, "subscriptions"));
	struct str key;
	struct doc v;

	while (doc_next(&it, &key, &v))
		if (str_eq(text(v, "to"), STR("desiredProperties")))
			return true;
	return false;
}

static void
why_not_converged(struct buf *b, struct doc d)
{
	long long version = number(d, "desiredVersion");
	long long given = number(d, "desiredVersionDelivered");

	buf_printf(b, " %lld desired propert%s not as it reports %s",
	    (long long)number(d, "pendingCount"),
	    number(d, "pendingCount") == 1 ? "y is" : "ies are",
	    number(d, "pendingCount") == 1 ? "it" : "them");
	if (!is_true(d, "connected"))
		buf_printf(b, "; it gets version %lld when it connects and asks.", version);
	else if (given >= version)
		buf_printf(b, ", though version %lld was sent to it: what is left is the device's.",
		    version);
	else if (!listens(d))
		buf_printf(b, ": it has not subscribed to changes, and has not read version %lld.",
		    version);
	else
		buf_printf(b, ": it has not read version %lld%s.", version,
		    given > 0 ? " yet" : " since it connected");
}

static void
why_text(struct buf *b, struct doc d)
{
	if (str_eq(text(d, "status"), STR("disabled"))) {
		buf_cstr(b, "It is disabled");
		if (text(d, "statusReason").n > 0)
			buf_printf(b, " (" STR_FMT ")", STR_ARG(text(d, "statusReason")));
		buf_cstr(b, ", so it may not connect. ");
	}
	if (is_true(d, "connected"))
		why_connected(b, d);
	else
		why_not_connected(b, d);
	if (number(d, "pendingCount") > 0)
		why_not_converged(b, d);
	else
		buf_printf(b, " It reports all that is desired (version %lld).",
		    (long long)number(d, "desiredVersion"));
}

int
cli_device_why(const struct args *a)
{
	struct answer answer = { 0 };
	struct buf why = { 0 }, record = { 0 };
	struct doc_writer dw;
	struct doc d;
	int code = connection_call(a, GET, &answer);

	if (code == EXIT_DONE) {
		d = doc_of(buf_view(&answer.doc));
		why_text(&why, d);
		doc_writer_init(&dw, &record, 0);
		doc_begin_object(&dw, 0);
		put_member(&dw, d, "deviceId");
		put_member(&dw, d, "moduleId");
		put_member(&dw, d, "connected");
		doc_key(&dw, STR("converged"));
		doc_put_bool(&dw, 0, number(d, "pendingCount") == 0);
		doc_key(&dw, STR("why"));
		doc_put_str(&dw, 0, buf_view(&why));
		doc_end(&dw);
		show_record(a, doc_of(buf_view(&record)));
	}
	answer_fini(&answer);
	buf_fini(&why);
	buf_fini(&record);
	return code;
}
