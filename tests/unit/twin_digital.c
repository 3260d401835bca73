/* The face of a plug and play device: what is read, and what a JSON Patch makes of the desired properties. */
#include "twin_help.h"

#include "twin/digital.h"

static struct sec desired, reported;

static int
setup(void **state)
{
	(void)state;
	sec_new(&desired, SECTION_DESIRED);
	sec_new(&reported, SECTION_REPORTED);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	sec_free(&desired);
	sec_free(&reported);
	return 0;
}

static void
twin_is(const char *want, const char *have)
{
	assert_int_equal(sec_apply(&desired, section_replace, str_of(want)), ERR_OK);
	assert_int_equal(sec_apply(&reported, section_replace, str_of(have)), ERR_OK);
}

/* The merge patch of these operations, or the fault's text, quotes as '. */
static void
patch_is(const char *ops, const char *want)
{
	struct section d = sec_view(&desired), r = sec_view(&reported);
	struct doc_parser *ps = doc_parser_new(PARSE_BYTES);
	struct buf sent = { 0 }, in = { 0 }, out = { 0 }, text = { 0 };
	struct fault f = { 0 };

	buf_cstr(&in, ops);
	quotes(in.p, in.n, '\'', '"');
	assert_int_equal(doc_parse(ps, buf_view(&in), &sent, NULL, &f), ERR_OK);
	if (digital_patch(doc_of(buf_view(&sent)), &d, &r, &out, &f) == ERR_OK) {
		assert_true(doc_valid(buf_view(&out), 0, DOC_DEPTH_MAX + 8));
		doc_write_json(&text, doc_of(buf_view(&out)));
	} else {
		assert_int_equal(out.n, 0);
		buf_cstr(&text, f.text);
	}
	buf_putc(&text, '\0');
	quotes(text.p, text.n, '"', '\'');
	assert_string_equal(text.p, want);
	buf_fini(&sent), buf_fini(&in), buf_fini(&out), buf_fini(&text);
	doc_parser_free(ps);
}

static void
face_is(const char *want)
{
	struct section d = sec_view(&desired), r = sec_view(&reported);
	struct buf out = { 0 };

	digital_write(&out, STR("d1"), STR("dtmi:m;1"), &d, &r);
	buf_putc(&out, '\0');
	quotes(out.p, out.n, '"', '\'');
	assert_string_equal(out.p, want);
	buf_fini(&out);
}

static void
digital__R109_properties_and_components_are_told_by_the_mark(void **state)
{
	(void)state;
	twin_is("{'fan':2,'t1':{'__t':'c','target':3},'t2':{'__t':'c','only':1}}",
	    "{'serial':'x','fan':{'value':1.5,'ac':203,'av':1,'ad':'soon'},'o':{'value':1},"
	    "'t1':{'max':25.5,'__t':'c','target':{'value':3,'ac':200}}}");
	face_is("{'$dtId':'d1','serial':'x','fan':1.5,'o':{'value':1},"
	        "'t1':{'max':25.5,'target':3,'$metadata':{"
	        "'max':{'lastUpdateTime':'2024-01-01T00:00:01.0000000Z'},"
	        "'target':{'desiredValue':3,'desiredVersion':2,'ackCode':200,'lastUpdateTime':'"
	        "2024-01-01T00:00:01.0000000Z'}}},"
	        "'t2':{'$metadata':{'only':{'desiredValue':1,'desiredVersion':2}}},"
	        "'$metadata':{'$model':'dtmi:m;1','serial':{'lastUpdateTime':'2024-01-01T00:00:01."
	        "0000000Z'},"
	        "'fan':{'desiredValue':2,'desiredVersion':2,'ackVersion':1,'ackCode':203,'"
	        "ackDescription':'soon','lastUpdateTime':'2024-01-01T00:00:01.0000000Z'},"
	        "'o':{'lastUpdateTime':'2024-01-01T00:00:01.0000000Z'}}}");
}

static void
digital__R109_an_empty_twin_has_an_empty_face(void **state)
{
	(void)state;
	face_is("{'$dtId':'d1','$metadata':{'$model':'dtmi:m;1'}}");
}

static void
digital__R109_add_replace_remove(void **state)
{
	(void)state;
	twin_is("{'a':1,'o':{'x':1,'y':2},'c':{'__t':'c','p':1}}", "{'r':5,'k':{'__t':'c','m':1}}");
	patch_is("[]", "{}");
	patch_is("[{'op':'add','path':'/b','value':2}]", "{'b':2}");
	patch_is("[{'op':'replace','path':'/a','value':1}]", "{'a':1}"); /* written, if the same */
	patch_is(
	    "[{'op':'replace','path':'/o','value':{'x':1,'z':3}}]", "{'o':{'x':1,'z':3,'y':null}}");
	patch_is("[{'op':'replace','path':'/o','value':{}}]", "{'o':{'x':null,'y':null}}");
	patch_is("[{'op':'add','path':'/o/z','value':3}]", "{'o':{'z':3}}");
	patch_is("[{'op':'remove','path':'/o/x'}]", "{'o':{'x':null}}");
	patch_is("[{'op':'remove','path':'/o'}]", "{'o':null}");
	patch_is("[{'op':'replace','path':'/r','value':6}]", "{'r':6}"); /* only reported so far */
	patch_is("[{'op':'add','path':'/s~1t~0u','value':[1]}]", "{'s/t~u':[1]}");
}

static void
digital__R109_each_operation_sees_those_before_it(void **state)
{
	(void)state;
	twin_is("{'a':1}", "{}");
	patch_is("[{'op':'add','path':'/n','value':1},{'op':'replace','path':'/n','value':2}]",
	    "{'n':2}");
	patch_is("[{'op':'remove','path':'/a'},{'op':'replace','path':'/a','value':2}]",
	    "[1].path /a leads to nothing");
	patch_is("[{'op':'remove','path':'/a'},{'op':'add','path':'/a','value':{'b':1}}]",
	    "{'a':{'b':1}}");
	patch_is("[{'op':'add','path':'/n','value':1},{'op':'remove','path':'/n'}]", "{}");
}

static void
digital__R109_components_get_their_mark(void **state)
{
	(void)state;
	twin_is("{'a':{'x':1},'c':{'__t':'c','p':1}}", "{'k':{'__t':'c','m':1},'s':{'n':1}}");
	patch_is("[{'op':'add','path':'/c/q','value':2}]", "{'c':{'q':2}}");
	patch_is("[{'op':'add','path':'/k/q','value':2}]", "{'k':{'__t':'c','q':2}}");
	patch_is("[{'op':'add','path':'/new/q','value':2}]", "{'new':{'__t':'c','q':2}}");
	patch_is("[{'op':'add','path':'/a/y','value':2}]", "{'a':{'y':2}}");
	patch_is("[{'op':'add','path':'/s/y','value':2}]", "{'s':{'y':2}}");
	patch_is(
	    "[{'op':'add','path':'/n','value':{'t':1,'$metadata':{}}}]", "{'n':{'__t':'c','t':1}}");
	patch_is(
	    "[{'op':'replace','path':'/c','value':{'t':1,'$metadata':{'t':{'desiredValue':5}}}}]",
	    "{'c':{'__t':'c','t':1,'p':null}}");
	patch_is("[{'op':'remove','path':'/c/p'}]", "{'c':{'p':null}}");
}

static void
digital__R109_values_of_any_depth_are_the_sections_to_judge(void **state)
{
	struct buf ops = { 0 };

	(void)state;
	buf_cstr(&ops, "[{'op':'add','path':'/a/b/c/d/e/f/g/h/i/j','value':");
	for (int i = 0; i < 61; i++)
		buf_cstr(&ops, "[");
	for (int i = 0; i < 61; i++)
		buf_cstr(&ops, "]");
	buf_cstr(&ops, "}]");
	buf_putc(&ops, '\0');
	patch_is("[{'op':'add','path':'/"
	         "a','value':{'b':{'c':{'d':{'e':{'f':{'g':{'h':{'i':{'j':{'k':{'l':1}}}}}}}}}}}}]",
	    "{'a':{'b':{'c':{'d':{'e':{'f':{'g':{'h':{'i':{'j':{'k':{'l':1}}}}}}}}}}}}");
	{
		struct section d = sec_view(&desired), r = sec_view(&reported);
		struct doc_parser *ps = doc_parser_new(PARSE_BYTES);
		struct buf sent = { 0 }, out = { 0 };

		quotes(ops.p, ops.n, '\'', '"');
		assert_int_equal(doc_parse(ps, str_of(ops.p), &sent, NULL, NULL), ERR_OK);
		assert_int_equal(
		    digital_patch(doc_of(buf_view(&sent)), &d, &r, &out, NULL), ERR_OK);
		buf_fini(&sent), buf_fini(&out);
		doc_parser_free(ps);
	}
	buf_fini(&ops);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(digital__R109_properties_and_components_are_told_by_the_mark),
		TEST(digital__R109_an_empty_twin_has_an_empty_face),
		TEST(digital__R109_add_replace_remove),
		TEST(digital__R109_each_operation_sees_those_before_it),
		TEST(digital__R109_components_get_their_mark),
		TEST(digital__R109_values_of_any_depth_are_the_sections_to_judge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
