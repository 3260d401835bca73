/* A section made again from its view: the two are each other's mirror. */
#include "twin_help.h"

static enum err
restore(struct sec *s, enum section_kind kind, const char *text, struct buf *out)
{
	struct buf json = { 0 };
	uint32_t nduplicate;
	struct doc d = sec_parse(s, str_of(text), &json, &nduplicate);
	enum err e = section_restore(out, kind, d, nduplicate, s->wr.now_us, &s->fault);

	buf_fini(&json);
	if (e == ERR_OK)
		assert_int_equal(section_check(buf_view(out)), ERR_OK);
	return e;
}

/* What its view makes shows the same. */
static void
comes_back(struct sec *s)
{
	struct section v = sec_view(s);
	struct buf view = { 0 }, doc = { 0 }, made = { 0 }, again = { 0 };
	struct doc_parsed info;

	section_write_service(&view, &v, s->wr.kind);
	assert_int_equal(doc_parse(s->parser, buf_view(&view), &doc, &info, NULL), ERR_OK);
	assert_int_equal(section_restore(&made, s->wr.kind, doc_of(buf_view(&doc)), 0,
	                     s->wr.now_us + SECOND, &s->fault),
	    ERR_OK);
	assert_int_equal(section_check(buf_view(&made)), ERR_OK);
	v = section_of(buf_view(&made));
	section_write_service(&again, &v, s->wr.kind);
	assert_true(str_eq(buf_view(&view), buf_view(&again)));
	if (s->wr.kind == SECTION_DESIRED) /* reported does not show the versions of its stamps */
		assert_true(str_eq(buf_view(&made), buf_view(&s->bytes)));
	buf_fini(&view), buf_fini(&doc), buf_fini(&made), buf_fini(&again);
}

static void
restore__is_the_mirror_of_the_view(void **state)
{
	struct sec s;

	(void)state;
	for (int kind = SECTION_DESIRED; kind <= SECTION_REPORTED; kind++) {
		sec_new(&s, (enum section_kind)kind);
		comes_back(&s);
		sec_changes(&s, section_merge,
		    "{'a':{'b':{'c':1,'d':1.0}},'e':'x','f':[1,{'g':2}],'h':{}}");
		comes_back(&s);
		sec_changes(&s, section_merge, "{'a':{'b':{'c':2}},'i':true}");
		s.wr.by = kind == SECTION_DESIRED ? STR("conf") : STR_NONE;
		s.wr.by_digest = INT64_C(638000000000000001);
		sec_changes(&s, section_merge, "{'a':{'k':null,'l':'ü'},'f':[]}");
		comes_back(&s);
		sec_free(&s);
	}
}

/* More stamps than one byte numbers. */
static void
restore__many_stamps(void **state)
{
	struct sec s;
	char patch[64];

	(void)state;
	sec_new(&s, SECTION_DESIRED);
	for (int i = 0; i < 600; i++) {
		snprintf(patch, sizeof(patch), "{'k%d':{'v':%d}}", i, i);
		sec_changes(&s, section_merge, patch);
		if (i % 125 == 0 || i == 599)
			comes_back(&s);
	}
	sec_free(&s);
}

static void
restores_as(struct sec *s, enum section_kind kind, const char *text, const char *shown)
{
	struct buf made = { 0 }, was = s->bytes;

	assert_int_equal(restore(s, kind, text, &made), ERR_OK);
	s->bytes = made;
	s->wr.kind = kind;
	sec_shows(s, shown);
	s->bytes = was;
	buf_fini(&made);
}

static void
restore__what_metadata_leaves_out(void **state)
{
	struct sec s;

	(void)state;
	sec_new(&s, SECTION_DESIRED);
	restores_as(&s, SECTION_DESIRED, "{}", "{'$metadata':{@0/1},'$version':1}");
	restores_as(&s, SECTION_DESIRED, "{'a':1,'$version':7}",
	    "{'a':1,'$metadata':{@0/7,'a':{@0/7}},'$version':7}");
	restores_as(&s, SECTION_REPORTED, "{'a':{'b':1}}",
	    "{'a':{'b':1},'$metadata':{@0,'a':{@0,'b':{@0}}},'$version':1}");
	/* the parent's, the future, a version that has not been, nonsense, a member twice */
	restores_as(&s, SECTION_DESIRED,
	    "{'a':{'b':1},'c':0,'c':2,'$version':3,'$metadata':{'$lastUpdated':'2023-12-31T23:59:"
	    "59Z',"
	    "'$lastUpdatedVersion':2,'a':{'$lastUpdated':'2099-01-01T00:00:00Z',"
	    "'$lastUpdatedVersion':4},'c':7,'x':{'$lastUpdated':'x'}}}",
	    "{'a':{'b':1},'c':2,'$metadata':{@-1/2,'a':{@0,'b':{@0}},'c':{@-1/2}},'$version':3}");
	sec_free(&s);
}

static void
restore__rules_of_a_section(void **state)
{
	static const char *const bad[] = { "[]", "1", "{'a':null}", "{'$a':1}",
		"{'a':{'$version':1}}", "{'a':{'$metadata':{}}}", "{'a b':1}", "{'$version':0}",
		"{'$version':2147483648}", "{'$version':'1'}", "{'$version':1.5}",
		"{'a':4503599627370496}", "{'a':[null]}" };
	struct buf out = { 0 }, large = { 0 };
	struct sec s;

	(void)state;
	sec_new(&s, SECTION_REPORTED);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		for (int kind = SECTION_DESIRED; kind <= SECTION_REPORTED; kind++) {
			assert_int_equal(
			    restore(&s, (enum section_kind)kind, bad[i], &out), ERR_ARG);
			assert_non_null(strstr(s.fault.text,
			    kind == SECTION_DESIRED ? "properties.desired"
			                            : "properties.reported"));
			assert_int_equal(out.n, 0);
		}
	}
	/* more nodes than there can be stamps, each with a stamp of its own */
	buf_cstr(&large, "{'$metadata':{'k':{'x':1}");
	for (int i = 0; i < 40000; i++)
		buf_printf(&large, ",'k%d':{'$lastUpdated':'2020-01-01T%02d:%02d:%02dZ'}", i,
		    i / 3600, i / 60 % 60, i % 60);
	buf_putc(&large, '}');
	for (int i = 0; i < 40000; i++)
		buf_printf(&large, ",'k%d':1", i);
	buf_cstr(&large, "}");
	buf_putc(&large, '\0');
	assert_int_equal(restore(&s, SECTION_REPORTED, large.p, &out), ERR_ARG);
	assert_non_null(strstr(s.fault.text, "limit of 32768"));
	assert_int_equal(out.n, 0);
	buf_fini(&out), buf_fini(&large);
	sec_free(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(restore__is_the_mirror_of_the_view),
		cmocka_unit_test(restore__many_stamps),
		cmocka_unit_test(restore__what_metadata_leaves_out),
		cmocka_unit_test(restore__rules_of_a_section),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
