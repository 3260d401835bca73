/* Which desired properties are not reported: equality of leaves, acknowledgements, paths (T-117 to T-121). */
#include "twin_help.h"

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

/* Both whole: the versions go on. */
static void
twin_is(const char *want, const char *have)
{
	assert_int_equal(sec_apply(&desired, section_replace, str_of(want)), ERR_OK);
	assert_int_equal(sec_apply(&reported, section_replace, str_of(have)), ERR_OK);
}

static bool
put(void *ctx, const struct pending *p)
{
	struct buf *out = ctx;

	for (unsigned i = 0; i < p->nkey; i++) {
		buf_cstr(out, i > 0 ? "." : out->n > 0 ? " " : "");
		buf_str(out, p->keys[i]);
	}
	buf_putc(out, '=');
	doc_write_json(out, p->desired);
	buf_putc(out, '/');
	if (doc_defined(p->reported))
		doc_write_json(out, p->reported);
	if (p->acknowledged) {
		buf_putc(out, '@');
		doc_write_json(out, p->status);
		buf_putc(out, '@');
		doc_write_json(out, p->version);
		buf_str(out, doc_str(p->description));
	}
	return true;
}

/* "path=desired/reported@ac@avad ..." */
static void
pending_are(const char *want)
{
	struct section d = sec_view(&desired), r = sec_view(&reported);
	struct buf out = { 0 };

	section_pending(&d, &r, put, &out);
	buf_putc(&out, '\0');
	quotes(out.p, out.n, '"', '\'');
	assert_string_equal(out.p, want);
	assert_int_equal(section_convergence(&d, &r, NULL, 0), *want ? PENDING : CONVERGED);
	buf_fini(&out);
}

static enum convergence
at(const char *path)
{
	struct section d = sec_view(&desired), r = sec_view(&reported);
	struct str keys[8], rest = str_of(path);
	unsigned n = 0;

	while (rest.n > 0)
		str_cut(rest, '.', &keys[n++], &rest);
	return section_convergence(&d, &r, keys, n);
}

static void
convergence__T117_leaves_are_equal_by_value(void **state)
{
	(void)state;
	pending_are("");
	twin_is("{'a':1,'b':{'c':'x','d':true}}", "{'more':1}");
	pending_are("a=1/ b.c='x'/ b.d=true/");
	twin_is(
	    "{'a':1,'b':{'c':'x','d':true}}", "{'b':{'d':true,'c':'x','e':5},'a':1.0,'more':{}}");
	pending_are("");
	twin_is("{'a':1,'b':{'c':'x','d':true}}", "{'a':'1','b':{'c':'X','d':false}}");
	pending_are("a=1/'1' b.c='x'/'X' b.d=true/false");
	twin_is("{'a':{'b':{'c':1}}}", "{'a':{'b':7}}");
	pending_are("a.b.c=1/");
	twin_is("{'a':1}", "{'a':{'b':1}}");
	pending_are("a=1/{'b':1}");
}

static void
convergence__T117_arrays_are_whole_and_empty_objects_ask_for_nothing(void **state)
{
	(void)state;
	twin_is("{'a':[1,{'b':2}],'e':[]}", "{'a':[1.0,{'b':2}],'e':[]}");
	pending_are("");
	twin_is("{'a':[1,{'b':2}],'e':[]}", "{'a':[1,{'b':2,'c':3}],'e':{}}");
	pending_are("a=[1,{'b':2}]/[1,{'b':2,'c':3}] e=[]/{}");
	twin_is("{'a':[1,2]}", "{'a':[2,1]}");
	pending_are("a=[1,2]/[2,1]");
	twin_is("{'a':{},'b':{'c':{}}}", "{'b':5}");
	pending_are("");
}

static void
convergence__T117_what_is_deleted_is_desired_no_more(void **state)
{
	(void)state;
	twin_is("{'a':1,'b':{'c':2}}", "{'a':5,'b':{'c':5}}");
	sec_changes(&desired, section_merge, "{'a':null,'b':{'c':null}}");
	pending_are("");
	sec_changes(&desired, section_merge, "null");
	pending_are("");
}

static void
convergence__T118_an_acknowledgement_says_which_write_it_answers(void **state)
{
	(void)state;
	twin_is("{'a':1,'b':2}",
	    "{'a':{'value':1,'ac':200,'av':2,'ad':'done'},'b':{'value':2,'ac':203,'av':9}}");
	pending_are(""); /* desired is at version 2 */
	sec_changes(&desired, section_merge, "{'a':1}");
	pending_are("a=1/1@200@2done");
	sec_changes(&reported, section_merge, "{'a':{'av':3}}");
	pending_are("");
	sec_changes(&reported, section_merge, "{'a':{'ac':199}}");
	pending_are("a=1/1@199@3done");
	sec_changes(&reported, section_merge, "{'a':{'ac':299.0,'ad':null}}");
	pending_are("");
	sec_changes(&reported, section_merge, "{'a':{'ac':300}}");
	pending_are("a=1/1@300@3");
	sec_changes(&reported, section_merge, "{'a':{'ac':200,'value':7}}");
	pending_are("a=1/7@200@3");
}

static void
convergence__T118_of_an_object_it_answers_for_all_below(void **state)
{
	(void)state;
	twin_is("{'o':{'x':1,'p':{'y':2}}}",
	    "{'o':{'value':{'p':{'y':2.0},'x':1,'z':0},'ac':200,'av':2}}");
	pending_are("");
	assert_int_equal(at("o.p.y"), CONVERGED);
	sec_changes(&desired, section_merge, "{'o':{'p':{'y':2}}}");
	pending_are("o={'x':1,'p':{'y':2}}/{'p':{'y':2.0},'x':1,'z':0}@200@2");
	assert_int_equal(at("o.x"), PENDING);
	assert_int_equal(at("o.p"), PENDING);
	sec_changes(&reported, section_merge, "{'o':{'av':3,'value':{'x':5}}}");
	assert_int_equal(at("o.x"), PENDING);
	assert_int_equal(at("o.p"), CONVERGED);
}

static void
convergence__T118_other_shapes_are_plain_values(void **state)
{
	(void)state;
	twin_is("{'a':1}", "{'a':{'value':1,'ac':200}}");
	pending_are("a=1/{'value':1,'ac':200}");
	twin_is("{'a':1}", "{'a':{'value':1,'ac':'200','av':2}}");
	pending_are("a=1/{'value':1,'ac':'200','av':2}");
	twin_is("{'a':1}", "{'a':{'value':1,'ac':200,'av':99,'x':0}}");
	pending_are("a=1/{'value':1,'ac':200,'av':99,'x':0}");
	twin_is("{'a':{'value':1,'ac':200,'av':1}}", "{'a':{'value':1,'ac':200,'av':1}}");
	pending_are(""); /* desired itself is of that shape */
	twin_is("{'a':{'value':1,'ac':200,'av':1}}", "{'a':{'value':1,'ac':200,'av':2}}");
	pending_are("a.av=1/2");
	twin_is("{'x':1}",
	    "{'value':{'x':1},'ac':200,'av':99}"); /* the section itself is no property */
	pending_are("x=1/");
}

static void
convergence__T119_the_mark_of_a_component_is_no_property(void **state)
{
	(void)state;
	twin_is("{'t1':{'__t':'c','target':5}}", "{'t1':{'target':{'value':5,'ac':200,'av':2}}}");
	pending_are("");
	twin_is("{'t1':{'__t':'d'}}", "{}");
	pending_are("t1.__t='d'/");
}

static void
convergence__T121_of_a_path(void **state)
{
	(void)state;
	twin_is("{'a':{'b':1,'c':2},'d':3,'e':{}}", "{'a':{'b':1},'d':3}");
	assert_int_equal(at("a"), PENDING);
	assert_int_equal(at("a.b"), CONVERGED);
	assert_int_equal(at("a.c"), PENDING);
	assert_int_equal(at("d"), CONVERGED);
	assert_int_equal(at("e"), CONVERGED);
	assert_int_equal(at("x"), NOTHING_DESIRED);
	assert_int_equal(at("d.x"), NOTHING_DESIRED);
	assert_int_equal(at("a.b.x"), NOTHING_DESIRED);
}

static bool
stop(void *ctx, const struct pending *p)
{
	(void)p;
	return ++*(unsigned *)ctx < 2;
}

static void
convergence__listing_ends_when_enough_is_known(void **state)
{
	struct section d, r;
	unsigned n = 0;

	(void)state;
	twin_is("{'a':1,'b':{'c':1,'d':1},'e':1}", "{}");
	d = sec_view(&desired);
	r = sec_view(&reported);
	section_pending(&d, &r, stop, &n);
	assert_int_equal(n, 2);
}

/* Thousands of keys in the opposite order, thousands of stamps: still at once. */
static void
convergence__of_many_properties(void **state)
{
	struct buf want = { 0 }, have = { 0 };

	(void)state;
	buf_putc(&want, '{');
	buf_putc(&have, '{');
	for (unsigned i = 0; i < 2000; i++) {
		buf_printf(&want, "%s'k%u':%u", i ? "," : "", i, i);
		buf_printf(&have, "%s'k%u':%u", i ? "," : "", 1999 - i, i == 7 ? 0 : 1999 - i);
	}
	buf_cstr(&want, "}");
	buf_cstr(&have, "}");
	buf_putc(&want, '\0');
	buf_putc(&have, '\0');
	twin_is(want.p, have.p);
	pending_are("k1992=1992/0");
	buf_fini(&want);
	buf_fini(&have);
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(convergence__T117_leaves_are_equal_by_value),
		T(convergence__T117_arrays_are_whole_and_empty_objects_ask_for_nothing),
		T(convergence__T117_what_is_deleted_is_desired_no_more),
		T(convergence__T118_an_acknowledgement_says_which_write_it_answers),
		T(convergence__T118_of_an_object_it_answers_for_all_below),
		T(convergence__T118_other_shapes_are_plain_values),
		T(convergence__T119_the_mark_of_a_component_is_no_property),
		T(convergence__T121_of_a_path),
		T(convergence__listing_ends_when_enough_is_known),
		T(convergence__of_many_properties),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
