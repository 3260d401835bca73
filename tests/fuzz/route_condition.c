/*
 * Any bytes as a routing condition. What is refused says what and where; what is accepted judges a message without harm, asks only for
 * what it has said it needs, and is true of nothing if it has said so.
 */
#include "fuzz.h"
#include "route/route.h"

static struct buf body, twin;

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct doc_parser *ps = doc_parser_new(4096);

	(void)argc;
	(void)argv;
	require(
	    doc_parse(ps,
	        STR("{\"a\":1,\"b\":\"text "
	            "\xC3\xA9\",\"c\":{\"l\":[1,\"x\",{\"y\":true}]},\"t\":true,"
	            "\"n\":null,\"tags\":{\"x\":1},\"properties\":{\"reported\":{\"x\":null}}}"),
	        &body, NULL, NULL) == ERR_OK);
	require(doc_parse(ps, STR("{\"tags\":{\"x\":\"a\",\"l\":[{\"y\":2}]},\"deviceId\":\"d\"}"),
	            &twin, NULL, NULL) == ERR_OK);
	doc_parser_free(ps);
	return 0;
}

static struct doc
message_body(void *ctx)
{
	(void)ctx;
	return doc_of(buf_view(&body));
}

static struct doc
message_twin(void *ctx, const struct str *path, unsigned nstep, struct arena *a)
{
	struct doc d = doc_of(buf_view(&twin));

	(void)ctx;
	(void)a;
	require(nstep > 0);
	for (unsigned i = 0; i < nstep; i++)
		d = doc_get(d, path[i]);
	return d;
}

static const struct route_property properties[] = { { STR("a"), STR("x"), false },
	{ STR("level"), STR("5"), false }, { STR("none"), STR(""), true },
	{ STR("bytes"), STR("\xFF\xC3"), false }, { STR("$to"), STR("y"), false } };
static const struct route_property system_properties[] = { { STR("to"), STR("z"), false },
	{ STR("contentType"), STR("application/json"), false } };

/* What it does not need makes no difference. */
static void
require_needs(const struct condition *c, const struct route_message *m, enum truth t)
{
	const struct route_needs *needs = route_condition_needs(c);
	struct route_message less = *m;

	if (!needs->properties)
		less.nproperty = 0;
	if (!needs->system)
		less.nsystem = 0;
	if (!needs->body)
		less.body = NULL;
	if (!needs->twin)
		less.twin = NULL;
	require(route_condition_judge(c, &less) == t);
	require(!needs->never || t != IS_TRUE);
}

static void
accepted(struct condition *c)
{
	struct route_message m = { .properties = properties,
		.nproperty = sizeof(properties) / sizeof(properties[0]),
		.system = system_properties,
		.nsystem = sizeof(system_properties) / sizeof(system_properties[0]),
		.body = message_body,
		.twin = message_twin };

	for (int source = 0; source < ROUTE_SOURCES; source++) {
		m.source = (enum route_source)source;
		require_needs(c, &m, route_condition_judge(c, &m));
	}
	m = (struct route_message){ .source = ROUTE_TWIN_CHANGES };
	require_needs(c, &m, route_condition_judge(c, &m));
	route_condition_free(c);
}

static void
refused(const struct route_error *error)
{
	require(error->text[0] != '\0' && utf8_valid(str_of(error->text)));
	require(error->start.line > 0 && error->start.column > 0 && error->end.column > 0);
	require(error->start.line < error->end.line ||
	    (error->start.line == error->end.line && error->start.column <= error->end.column));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = { (const char *)data, size };

	for (unsigned sources = 0; sources <= ROUTE_SOURCE_BIT(ROUTE_TWIN_CHANGES);
	     sources += ROUTE_SOURCE_BIT(ROUTE_TWIN_CHANGES)) {
		struct condition *c = NULL;
		struct route_error error;
		if (route_condition_compile(text, sources, &c, &error) == ERR_OK)
			accepted(c);
		else
			refused(&error);
	}
	return 0;
}
