/* Jobs: create|list|cancel|results. `show` has a file of its own. */
#include "cli/priv.h"

#include <stdio.h>

#define LATER_MOST (UINT64_C(100) * 366 * 86400)

int
job_path(struct buf *path, const char *id, const char *tail)
{
	if (!id_valid(str_of(id)))
		return cli_fail(EXIT_USAGE,
		    "'%s' is no id of a job: 1 to %d of letters, digits and - : . + %% _ # * ? ! ( "
		    ") , = @ ; $ '",
		    id, ID_MAX);
	buf_cstr(path, "/jobs/v2/");
	buf_percent(path, str_of(id));
	buf_cstr(path, tail);
	buf_putc(path, '\0');
	return EXIT_DONE;
}

static const struct {
	const char *name, *wire;
	option_set options; /* that do not belong to the other one */
} types[] = {
	{ "twin-update", "scheduleUpdateTwin", OPT(PATCH) | OPT(TAGS) | OPT(DESIRED) },
	{ "method", "scheduleDeviceMethod",
	    OPT(METHOD) | OPT(PAYLOAD) | OPT(RESPONSE_TIMEOUT) | OPT(CONNECT_TIMEOUT) },
	{ "message", "scheduleDeviceMessage",
	    OPT(TEXT) | OPT(PROPERTIES) | OPT(MESSAGE_ID) | OPT(CORRELATION_ID) |
	        OPT(CONTENT_TYPE) | OPT(ACK) | OPT(EXPIRES_IN) },
	{ "restore", "scheduleRestoreTwin", OPT(AT) },
};
enum { TWIN_UPDATE, METHOD, MESSAGE, RESTORE, TYPES };

/* TYPES, said: it is none. */
static unsigned
type_of(const char *text)
{
	for (unsigned i = 0; i < TYPES; i++)
		if (strcmp(text, types[i].name) == 0 || strcmp(text, types[i].wire) == 0)
			return i;
	cli_fail(
	    EXIT_USAGE, "'%s' is no type of job: twin-update, method, message or restore", text);
	return TYPES;
}

/* ---- create: the document ---- */

static int
options_fit(const struct args *a, unsigned type)
{
	option_set strange = 0;

	for (unsigned i = 0; i < TYPES; i++)
		strange |= i != type ? types[i].options : 0;
	for (int o = 0; o < OPTION_COUNT; o++)
		if ((strange >> o & 1) && a->option[o] != NULL)
			return cli_fail(EXIT_USAGE, "--%s does not belong to a job of type %s",
			    option_name((enum option)o), types[type].name);
	if (a->option[OPT_CONDITION] == NULL || a->option[OPT_CONDITION][0] == '\0')
		return cli_fail(
		    EXIT_USAGE, "--condition is missing: which devices; '*' for all of them");
	if (!utf8_valid(str_of(a->option[OPT_CONDITION])))
		return cli_fail(EXIT_USAGE, "--condition is not UTF-8");
	if (type == METHOD && a->option[OPT_METHOD] == NULL)
		return cli_fail(EXIT_USAGE, "--method is missing: the name of the method to call");
	if (type == RESTORE && a->option[OPT_AT] == NULL)
		return cli_fail(
		    EXIT_USAGE, "--at is missing: the time whose twins are to come back");
	return EXIT_DONE;
}

/* A patch that changes nothing is a misspelt one. */
static int
check_change(struct doc change)
{
	struct doc_iter it = doc_iter(change);
	struct str key;
	struct doc v;

	while (doc_next(&it, &key, &v))
		if (!str_eq(key, STR("tags")) && !str_eq(key, STR("properties")) &&
		    !str_eq(key, STR("etag")))
			return cli_fail(EXIT_USAGE,
			    "'" STR_FMT "' is nothing that a job changes: tags, properties.desired",
			    STR_ARG(key));
	if (doc_defined(doc_getc(change, "tags")) ||
	    doc_defined(doc_getc(doc_getc(change, "properties"), "desired")))
		return EXIT_DONE;
	return cli_fail(EXIT_USAGE, "the change has neither tags nor properties.desired");
}

/* With the etag that jobs must have. */
static int
put_twin(struct out *o, const struct args *a)
{
	struct buf text = { 0 }, doc = { 0 };
	struct doc_iter it;
	struct str key;
	struct doc v;
	int code = twin_change_take(a, a->option[OPT_PATCH], &text);

	if (code != EXIT_DONE)
		goto done;
	if ((code = json_take(buf_view(&text), "the twin document", &doc)) != EXIT_DONE)
		goto done;
	if ((code = check_change(doc_of(buf_view(&doc)))) != EXIT_DONE)
		goto done;
	out_open(out_key(o, "updateTwin"));
	out_cstr(out_key(o, "etag"), "*");
	it = doc_iter(doc_of(buf_view(&doc)));
	while (doc_next(&it, &key, &v))
		if (!str_eq(key, STR("etag")))
			out_doc(out_key_str(o, key), v);
	out_close(o);
done:
	buf_fini(&text);
	buf_fini(&doc);
	return code;
}

/* A member with an option's number; without the option it is left out. */
static void
put_number(struct out *o, const char *name, const struct args *a, enum option of)
{
	if (a->option[of] != NULL)
		out_u64(out_key(o, name), a->number[of]);
}

static int
put_method(struct out *o, const struct args *a)
{
	struct str name = str_of(a->option[OPT_METHOD]);
	int code;

	if (!utf8_valid(name))
		return cli_fail(EXIT_USAGE, "the method's name is not UTF-8");
	out_open(out_key(o, "cloudToDeviceMethod"));
	out_str_or_null(out_key(o, "methodName"), name);
	code = method_payload_take(a, o);
	put_number(o, "responseTimeoutInSeconds", a, OPT_RESPONSE_TIMEOUT);
	put_number(o, "connectTimeoutInSeconds", a, OPT_CONNECT_TIMEOUT);
	out_close(o);
	return code;
}

static int
put_properties(struct out *o, const char *json)
{
	struct buf doc = { 0 };
	int code = json_take(str_of(json), "--properties", &doc);

	if (code == EXIT_DONE)
		out_doc(out_key(o, "properties"), doc_of(buf_view(&doc)));
	buf_fini(&doc);
	return code;
}

/* Of any bytes. */
static int
put_body(struct out *o, const char *file)
{
	struct buf bytes = { 0 }, text = { 0 };
	int code = bytes_take_file(file, &bytes);

	if (code == EXIT_DONE) {
		base64_encode(&text, bytes.p, bytes.n);
		out_str(out_key(o, "body"), buf_view(&text));
		out_bool(out_key(o, "base64Encoded"), true);
	}
	buf_fini(&bytes);
	buf_fini(&text);
	return code;
}

static int
put_message(struct out *o, const struct args *a)
{
	static const struct {
		enum option option;
		const char *member;
	} texts[] = { { OPT_TEXT, "body" }, { OPT_MESSAGE_ID, "messageId" },
		{ OPT_CORRELATION_ID, "correlationId" }, { OPT_CONTENT_TYPE, "contentType" } };
	int code = EXIT_DONE;

	if (a->option[OPT_TEXT] != NULL && a->option[OPT_FILE] != NULL)
		return cli_fail(EXIT_USAGE, "--text and --file are both given");
	out_open(out_key(o, "cloudToDeviceMessage"));
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]) && code == EXIT_DONE; i++) {
		struct str text = str_of(a->option[texts[i].option]);

		if (!utf8_valid(text))
			code =
			    cli_fail(EXIT_USAGE, "--%s is not UTF-8", option_name(texts[i].option));
		else if (text.p != NULL)
			out_str(out_key(o, texts[i].member), text);
	}
	out_str(out_key(o, "ack"), str_of(option_word(a, OPT_ACK)));
	put_number(o, "timeToLiveInSeconds", a, OPT_EXPIRES_IN);
	if (code == EXIT_DONE && a->option[OPT_PROPERTIES] != NULL)
		code = put_properties(o, a->option[OPT_PROPERTIES]);
	if (code == EXIT_DONE && a->option[OPT_FILE] != NULL)
		code = put_body(o, a->option[OPT_FILE]);
	out_close(o);
	return code;
}

static int
put_restore(struct out *o, const struct args *a)
{
	int64_t at_us;

	if (!time_parse(str_of(a->option[OPT_AT]), &at_us))
		return cli_fail(
		    EXIT_USAGE, "--at %s: no time like 2026-11-29T10:00:00Z", a->option[OPT_AT]);
	out_open(out_key(o, "restoreTwin"));
	out_time(out_key(o, "at"), at_us);
	out_close(o);
	return EXIT_DONE;
}

static int
put_start(struct out *o, const struct args *a)
{
	const char *start = a->option[OPT_START];
	uint64_t later_s;
	int64_t us;

	if (start == NULL)
		return EXIT_DONE;
	if (start[0] == '+' && str_u64(str_of(start + 1), &later_s) && later_s <= LATER_MOST)
		us = clock_wall_us() + (int64_t)later_s * 1000000;
	else if (!time_parse(str_of(start), &us))
		return cli_fail(EXIT_USAGE,
		    "--start %s: neither a time like 2030-12-31T23:59:59Z or "
		    "2030-12-31T23:59:59+01:00 nor +SECONDS",
		    start);
	out_time(out_key(o, "startTime"), us);
	return EXIT_DONE;
}

static int
job_document(struct buf *json, const struct args *a, const char *id, unsigned type)
{
	struct out o = out_to(json);
	int code = options_fit(a, type);

	if (code != EXIT_DONE)
		return code;
	out_open(&o);
	out_str_or_null(out_key(&o, "jobId"), str_of(id));
	out_str_or_null(out_key(&o, "type"), str_of(types[type].wire));
	out_str_or_null(out_key(&o, "queryCondition"), str_of(a->option[OPT_CONDITION]));
	code = type == METHOD ? put_method(&o, a)
	    : type == MESSAGE ? put_message(&o, a)
	    : type == RESTORE ? put_restore(&o, a)
	                      : put_twin(&o, a);
	if (code == EXIT_DONE)
		code = put_start(&o, a);
	put_number(&o, "maxExecutionTimeInSeconds", a, OPT_MAX_TIME);
	put_number(&o, "maxUpdatesPerSecond", a, OPT_RATE);
	out_close(&o);
	return code;
}

/* One call, and how its answer is shown. */
static int
job_call(
    const struct args *a, const struct ask *ask, void (*show)(const struct args *a, struct doc d))
{
	struct answer answer = { 0 };
	int code = hub_call_once(a, ask, &answer);

	if (code == EXIT_DONE)
		show(a, doc_of(buf_view(&answer.doc)));
	answer_fini(&answer);
	return code;
}

static int
job_make(const struct args *a, const char *id, unsigned type)
{
	bool dry = a->option[OPT_DRY_RUN] != NULL;
	struct buf path = { 0 }, json = { 0 };
	struct answer answer = { 0 };
	struct target t = { 0 };
	int code = job_path(&path, id, dry ? "?dryRun=true" : "");

	if (code != EXIT_DONE)
		goto done;
	if ((code = job_document(&json, a, id, type)) != EXIT_DONE)
		goto done;
	if ((code = target_open(a, &t)) != EXIT_DONE)
		goto done;
	code = hub_call(&t,
	    &(struct ask){ .method = dry ? POST : PUT,
	        .path = path.p,
	        .body = buf_view(&json),
	        .page_size = dry ? a->number[OPT_PAGE_SIZE] : 0 },
	    &answer);
	if (code != EXIT_DONE)
		goto done;
	(dry ? dry_run_show : job_print)(a, doc_of(buf_view(&answer.doc)));
	if (!dry && a->option[OPT_START] == NULL)
		matches_tell(&t, str_of(a->option[OPT_CONDITION]));
done:
	answer_fini(&answer);
	target_fini(&t);
	buf_fini(&path);
	buf_fini(&json);
	return code;
}

int
cli_job_create(const struct args *a)
{
	unsigned type = type_of(a->operand[0]);

	return type == TYPES ? EXIT_USAGE : job_make(a, a->operand[1], type);
}

int
job_restore(const struct args *a)
{
	char id[64];

	snprintf(id, sizeof(id), "restore-%lld", (long long)clock_wall_us());
	return job_make(a, id, RESTORE);
}

int
cli_job_cancel(const struct args *a)
{
	struct buf path = { 0 };
	int code = job_path(&path, a->operand[0], "/cancel");

	if (code == EXIT_DONE)
		code = job_call(a, &(struct ask){ .method = POST, .path = path.p }, job_print);
	buf_fini(&path);
	return code;
}

/* ---- list ---- */

static void
put_row(struct doc_writer *dw, struct doc job)
{
	static const struct {
		const char *name;
		bool counted;
	} columns[] = { { "jobId", false }, { "type", false }, { "status", false },
		{ "startTime", false }, { "endTime", false }, { "deviceCount", true },
		{ "succeededCount", true }, { "failedCount", true }, { "queryCondition", false } };
	struct doc counts = doc_getc(job, "deviceJobStatistics"), v;

	doc_begin_object(dw, 0);
	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
		v = doc_get(columns[i].counted ? counts : job, str_of(columns[i].name));
		doc_key(dw, str_of(columns[i].name));
		if (doc_defined(v))
			doc_put_copy(dw, 0, v);
		else
			doc_put_null(dw, 0);
	}
	doc_end(dw);
}

struct listing {
	struct rows_view view;
	bool opened;
};

/* JSON as the hub has it; a table and CSV have what fits on a line. */
static int
on_page(void *ctx, struct doc jobs, bool more)
{
	struct listing *l = ctx;
	struct doc_iter it = doc_iter(jobs);
	struct buf rows = { 0 };
	struct doc_writer dw;
	struct str key;
	struct doc v;
	int code;

	if (!l->opened)
		rows_open(&l->view);
	l->opened = true;
	if (l->view.format == ROWS_JSON)
		return rows_page(&l->view, jobs, more);
	doc_writer_init(&dw, &rows, 0);
	doc_begin_array(&dw, 0);
	while (doc_next(&it, &key, &v))
		put_row(&dw, v);
	doc_end(&dw);
	code = rows_page(&l->view, doc_of(buf_view(&rows)), more);
	buf_fini(&rows);
	return code;
}

static void
list_path(struct buf *path, const struct args *a)
{
	buf_cstr(path, "/jobs/v2/query?jobType=");
	if (a->option[OPT_TYPE] != NULL) /* the words of both spellings are in one order */
		buf_cstr(path, types[a->number[OPT_TYPE] % TYPES].wire);
	buf_cstr(path, "&jobStatus=");
	buf_percent(path, str_of(a->option[OPT_JOB_STATUS]));
	buf_putc(path, '\0');
}

int
cli_job_list(const struct args *a)
{
	struct listing l = { 0 };
	struct buf path = { 0 };
	struct target t = { 0 };
	int code = target_open(a, &t);

	list_path(&path, a);
	if (code == EXIT_DONE) {
		rows_init(&l.view, a);
		code = rows_fini(&l.view,
		    hub_pages(&t,
		        &(struct ask){
		            .method = GET, .path = path.p, .page_size = a->number[OPT_PAGE_SIZE] },
		        on_page, &l));
	}
	target_fini(&t);
	buf_fini(&path);
	return code;
}

/* ---- results: a query, when there is such a job ---- */

static void
results_query(struct buf *text, const struct args *a)
{
	const char *status = a->option[OPT_RESULT_STATUS];

	/* ids have no double quotes */
	buf_printf(
	    text, "SELECT * FROM devices.jobs WHERE devices.jobs.jobId = \"%s\"", a->operand[0]);
	if (status != NULL)
		buf_printf(text, " AND devices.jobs.status = '%s'", status);
	buf_putc(text, '\0');
}

int
cli_job_results(const struct args *a)
{
	struct answer answer = { 0 };
	struct buf path = { 0 }, text = { 0 };
	struct args query = *a;
	int code = job_path(&path, a->operand[0], "");

	if (code != EXIT_DONE)
		goto done;
	/* no results of no job would look like a good answer */
	if ((code = hub_call_once(a, &(struct ask){ .method = GET, .path = path.p }, &answer)) !=
	    EXIT_DONE)
		goto done;
	results_query(&text, a);
	query.operand[0] = text.p;
	code = cli_query(&query);
done:
	answer_fini(&answer);
	buf_fini(&path);
	buf_fini(&text);
	return code;
}
