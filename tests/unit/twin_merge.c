/* Merging patches: twins.md 4.2 and 5.2. */
#include "twin_help.h"

static void
merge__T35_sets_deletes_and_merges_at_every_level(void **state)
{
	struct sec s;

	(void)state;
	sec_with(&s, SECTION_DESIRED, "{'a':1,'b':{'c':'x','d':[1,2],'e':{'f':true}},'g':2.5}");
	sec_changes(&s, section_merge, "{'a':'new','b':{'c':null,'e':{'f':false,'h':3}},'z':{}}");
	sec_device_shows(
	    &s, "{'a':'new','b':{'d':[1,2],'e':{'f':false,'h':3}},'g':2.5,'z':{},'$version':3}");
	sec_free(&s);
}

static void
merge__T36_object_replaces_scalar_and_array_without_its_nulls(void **state)
{
	struct sec s;

	(void)state;
	sec_with(&s, SECTION_DESIRED, "{'a':1,'b':[1],'c':{'x':1}}");
	sec_changes(&s, section_merge, "{'a':{'n':null,'k':1},'b':{'n':null},'c':5}");
	sec_device_shows(&s, "{'a':{'k':1},'b':{},'c':5,'$version':3}");
	sec_changes(&s, section_merge, "{'c':[{'y':1}]}");
	sec_changes(&s, section_merge, "{'a':[]}");
	sec_device_shows(&s, "{'a':[],'b':{},'c':[{'y':1}],'$version':5}");
	sec_free(&s);
}

static void
merge__T37_null_below_absent_parent_makes_the_parent(void **state)
{
	struct sec s;

	(void)state;
	sec_new(&s, SECTION_DESIRED);
	sec_changes(&s, section_merge, "{'p':{'q':null}}");
	sec_device_shows(&s, "{'p':{},'$version':2}");
	sec_changes(&s, section_merge, "{'p':{'q':{'r':{'s':null}}}}");
	sec_device_shows(&s, "{'p':{'q':{'r':{}}},'$version':3}");
	sec_free(&s);
}

static void
merge__T37_deleting_a_missing_key_among_others_is_no_error(void **state)
{
	struct sec s;

	(void)state;
	sec_with(&s, SECTION_TAGS, "{'a':1}");
	sec_changes(&s, section_merge, "{'no':null,'a':2}");
	sec_device_shows(&s, "{'a':2,'$version':3}");
	sec_free(&s);
}

static void
merge__T14_T38_same_value_again_is_a_full_change(void **state)
{
	struct sec s;

	(void)state;
	sec_with(&s, SECTION_DESIRED, "{'a':1,'b':2}");
	sec_shows(&s, "{'a':1,'b':2,'$metadata':{@1/2,'a':{@1/2},'b':{@1/2}},'$version':2}");
	sec_changes(&s, section_merge, "{'a':1}");
	sec_shows(&s, "{'a':1,'b':2,'$metadata':{@2/3,'a':{@2/3},'b':{@1/2}},'$version':3}");
	sec_notified(&s, "{'a':1}"); /* T-67 */
	sec_free(&s);
}

static void
merge__T39_noops_change_nothing(void **state)
{
	static const char *const noops[] = { "{}", "{'zz':null}", "{'o':{}}", "{'o':{'p':{}}}",
		"{'o':{'zz':null,'p':{'zz':null}},'zz':null}" };
	struct sec s;

	(void)state;
	sec_with(&s, SECTION_DESIRED, "{'o':{'p':{},'x':1}}");
	for (size_t i = 0; i < sizeof(noops) / sizeof(noops[0]); i++) {
		sec_unchanged(&s, section_merge, noops[i]);
		s.wr.kind = SECTION_TAGS;
		sec_unchanged(&s, section_merge, noops[i]);
		s.wr.kind = SECTION_DESIRED;
	}
	sec_shows(&s,
	    "{'o':{'p':{},'x':1},'$metadata':{@1/2,'o':{@1/2,'p':{@1/2},'x':{@1/"
	    "2}}},'$version':2}");
	sec_free(&s);
}

static void
merge__T39_null_below_a_scalar_is_a_change(void **state)
{
	struct sec s;

	(void)state;
	sec_with(&s, SECTION_DESIRED, "{'a':1}");
	sec_changes(&s, section_merge, "{'a':{'b':null}}");
	sec_device_shows(&s, "{'a':{},'$version':3}");
	sec_unchanged(&s, section_merge, "{'a':{'b':null}}");
	sec_free(&s);
}

static void
merge__T27_T39_empty_object_named_beside_a_change_is_stamped(void **state)
{
	struct sec s;

	(void)state;
	sec_with(&s, SECTION_DESIRED, "{'o':{'x':1},'a':1}");
	sec_changes(&s, section_merge, "{'o':{},'a':2}");
	sec_shows(&s,
	    "{'o':{'x':1},'a':2,'$metadata':{@2/3,'o':{@2/3,'x':{@1/2}},'a':{@2/3}},'$version':3}");
	sec_free(&s);
}

static void
merge__T40_emptied_object_stays(void **state)
{
	struct sec s;

	(void)state;
	sec_with(&s, SECTION_DESIRED, "{'c':{'d':1},'e':{}}");
	sec_changes(&s, section_merge, "{'c':{'d':null}}");
	sec_device_shows(&s, "{'c':{},'e':{},'$version':3}");
	sec_notified(&s, "{'c':{'d':null}}");
	sec_free(&s);
}

static void
merge__T41_null_section_clears_and_notifies_each_top_level_key(void **state)
{
	struct sec s;

	(void)state;
	sec_with(&s, SECTION_DESIRED, "{'a':1,'b':{'c':2}}");
	sec_changes(&s, section_merge, "null");
	sec_notified(&s, "{'a':null,'b':null}");
	sec_shows(&s, "{'$metadata':{@2/3},'$version':3}");
	sec_unchanged(&s, section_merge, "null");
	sec_free(&s);
}

static void
merge__T41_null_clears_tags(void **state)
{
	struct sec s;
	struct section v;

	(void)state;
	sec_with(&s, SECTION_TAGS, "{'a':1}");
	v = sec_view(&s);
	assert_false(section_empty(&v));
	sec_changes(&s, section_merge, "null");
	v = sec_view(&s);
	assert_true(section_empty(&v));
	sec_free(&s);
}

static void
merge__absent_section_is_left_alone(void **state)
{
	struct sec s;

	(void)state;
	sec_with(&s, SECTION_DESIRED, "{'a':1}");
	assert_int_equal(sec_apply_doc(&s, section_merge, DOC_NONE, 0), ERR_OK);
	assert_false(s.changed);
	sec_free(&s);
}

static void
merge__T42_arrays_are_replaced_whole(void **state)
{
	struct sec s;

	(void)state;
	sec_with(&s, SECTION_DESIRED, "{'a':[1,{'x':1},[2]]}");
	sec_changes(&s, section_merge, "{'a':[{'y':2}]}");
	sec_device_shows(&s, "{'a':[{'y':2}],'$version':3}");
	sec_free(&s);
}

static void
merge__T42_null_inside_an_array_is_refused(void **state)
{
	struct sec s;

	(void)state;
	sec_new(&s, SECTION_DESIRED);
	sec_refuses(&s, section_merge, "{'o':{'a':[1,null]}}",
	    "cannot be null inside an array: properties.desired.o.a[1]");
	sec_refuses(
	    &s, section_merge, "{'a':[{'x':null}]}", "cannot be null: properties.desired.a[0].x");
	sec_refuses(&s, section_merge, "{'a':[[{'x':{'y':null}}]]}",
	    "cannot be null: properties.desired.a[0][0].x.y");
	s.wr.kind = SECTION_REPORTED;
	sec_refuses(&s, section_merge, "{'a':[null]}", "properties.reported.a[0]");
	sec_free(&s);
}

static void
merge__T43_one_bad_value_rejects_the_whole_patch(void **state)
{
	struct sec s;

	(void)state;
	sec_with(&s, SECTION_DESIRED, "{'a':1}");
	sec_refuses(&s, section_merge, "{'a':2,'b':3,'c.d':4}", "properties.desired.c.d");
	sec_device_shows(&s, "{'a':1,'$version':2}");
	sec_free(&s);
}

static void
merge__order_stays_and_new_keys_go_to_the_end(void **state)
{
	struct sec s;

	(void)state;
	sec_with(&s, SECTION_DESIRED, "{'a':1,'b':2,'c':3}");
	sec_changes(&s, section_merge, "{'x':1,'c':{'k':1},'b':null,'w':2,'a':5}");
	sec_device_shows(&s, "{'a':5,'c':{'k':1},'x':1,'w':2,'$version':3}");
	sec_changes(&s, section_merge, "{'b':1}");
	sec_device_shows(&s, "{'a':5,'c':{'k':1},'x':1,'w':2,'b':1,'$version':4}");
	sec_free(&s);
}

/* ---- the device's side ---- */

static void
report__T58_merges_like_desired(void **state)
{
	struct sec s;

	(void)state;
	sec_with(&s, SECTION_REPORTED, "{'a':1,'o':{'x':1,'y':2},'b':[1]}");
	sec_changes(
	    &s, section_merge, "{'a':null,'o':{'x':null,'z':3},'b':{'n':null},'p':{'q':null}}");
	sec_device_shows(&s, "{'o':{'y':2,'z':3},'b':{},'p':{},'$version':3}");
	sec_free(&s);
}

static void
report__T59_same_value_is_a_change(void **state)
{
	struct sec s;

	(void)state;
	sec_with(&s, SECTION_REPORTED, "{'x':1}");
	sec_changes(&s, section_merge, "{'x':1}");
	sec_shows(&s, "{'x':1,'$metadata':{@2,'x':{@2}},'$version':3}");
	sec_free(&s);
}

static void
report__T60_every_accepted_patch_is_a_step(void **state)
{
	struct sec s;

	(void)state;
	sec_new(&s, SECTION_REPORTED);
	sec_changes(&s, section_merge, "{}");
	sec_shows(&s, "{'$metadata':{@1},'$version':2}");
	sec_changes(&s, section_merge, "{'o':{'x':1},'p':2}");
	sec_changes(&s, section_merge, "{'zz':null}");
	sec_shows(
	    &s, "{'o':{'x':1},'p':2,'$metadata':{@3,'o':{@2,'x':{@2}},'p':{@2}},'$version':4}");
	sec_changes(&s, section_merge, "{'o':{'zz':null}}");
	sec_shows(
	    &s, "{'o':{'x':1},'p':2,'$metadata':{@4,'o':{@4,'x':{@2}},'p':{@2}},'$version':5}");
	sec_free(&s);
}

static void
report__T64_dollar_keys_are_refused_at_every_level(void **state)
{
	struct sec s;

	(void)state;
	sec_new(&s, SECTION_REPORTED);
	sec_refuses(&s, section_merge, "{'a':1,'$version':3}", "properties.reported.$version");
	sec_refuses(&s, section_merge, "{'$metadata':{}}", "properties.reported.$metadata");
	sec_refuses(&s, section_merge, "{'a':{'$x':1}}", "properties.reported.a.$x");
	sec_refuses(&s, section_merge, "{'a':{'$version':null}}", "properties.reported.a.$version");
	sec_refuses(&s, section_merge, "{'a':[{'$y':1}]}", "properties.reported.a[0].$y");
	sec_free(&s);
}

static void
report__null_or_scalar_is_no_patch(void **state)
{
	struct sec s;

	(void)state;
	sec_with(&s, SECTION_REPORTED, "{'a':1}");
	sec_refuses(&s, section_merge, "null", "has to be an object: properties.reported");
	sec_refuses(&s, section_merge, "5", "has to be an object: properties.reported");
	sec_refuses(&s, section_merge, "[1]", "has to be an object: properties.reported");
	sec_free(&s);
}

/* ---- T-33, T-66, T-83 ---- */

static void
merge__T33_metadata_and_version_at_the_root_are_ignored(void **state)
{
	struct sec s;

	(void)state;
	sec_with(&s, SECTION_DESIRED, "{'a':1}");
	sec_unchanged(
	    &s, section_merge, "{'$metadata':{'$lastUpdated':'x','b.c':null},'$version':77}");
	sec_changes(&s, section_merge, "{'$metadata':[null],'a':2,'$version':'x','b':3}");
	sec_shows(&s, "{'a':2,'b':3,'$metadata':{@3/3,'a':{@3/3},'b':{@3/3}},'$version':3}");
	sec_notified(&s, "{'a':2,'b':3}");
	s.wr.kind = SECTION_TAGS;
	sec_unchanged(&s, section_merge, "{'$metadata':1,'$version':2}");
	sec_free(&s);
}

static void
merge__T33_other_dollar_keys_and_deeper_ones_are_refused(void **state)
{
	struct sec s;

	(void)state;
	sec_new(&s, SECTION_DESIRED);
	sec_refuses(&s, section_merge, "{'$other':1}", "properties.desired.$other");
	sec_refuses(&s, section_merge, "{'$Version':1}", "properties.desired.$Version");
	sec_refuses(&s, section_merge, "{'a':{'$version':1}}", "properties.desired.a.$version");
	sec_refuses(&s, section_merge, "{'a':{'$metadata':{}}}", "properties.desired.a.$metadata");
	s.wr.kind = SECTION_TAGS;
	sec_refuses(&s, section_merge, "{'a':{'$metadata':{}}}", "tags.a.$metadata");
	sec_free(&s);
}

static void
merge__T66_notification_is_what_was_sent_nulls_included(void **state)
{
	struct sec s;
	struct buf json = { 0 }, text = { 0 };
	uint32_t nduplicate;

	(void)state;
	sec_with(&s, SECTION_DESIRED, "{'a':1,'o':{'x':1}}");
	sec_changes(&s, section_merge,
	    "{'zz':null,'o':{'x':null,'yy':null},'a':[1,{'b':2}],'n':{'k':null}}");
	sec_notified(&s, "{'zz':null,'o':{'x':null,'yy':null},'a':[1,{'b':2}],'n':{'k':null}}");
	section_write_notification(&text, sec_parse(&s, STR("{'a':null}"), &json, &nduplicate), 4);
	assert_true(str_eq(buf_view(&text), STR("{\"a\":null,\"$version\":4}")));
	text.n = json.n = 0;
	section_write_notification(&text, sec_parse(&s, STR("{}"), &json, &nduplicate), 5);
	assert_true(str_eq(buf_view(&text), STR("{\"$version\":5}")));
	buf_fini(&json);
	buf_fini(&text);
	sec_free(&s);
}

static void
merge__T83_last_duplicate_wins_and_all_are_checked(void **state)
{
	struct sec s;

	(void)state;
	sec_new(&s, SECTION_DESIRED);
	sec_changes(
	    &s, section_merge, "{'a':1,'b':{'x':1,'x':2},'a':3,'c':null,'c':[{'k':1,'k':2}]}");
	sec_device_shows(&s, "{'a':3,'b':{'x':2},'c':[{'k':2}],'$version':2}");
	sec_notified(&s, "{'a':3,'b':{'x':2},'c':[{'k':2}]}");
	sec_refuses(&s, section_merge, "{'a':{'b c':1},'a':3}", "properties.desired.a.b c");
	sec_unchanged(
	    &s, section_merge, "{'n':1,'n':null}"); /* only the null counts, and n is absent */
	sec_free(&s);
}

static void
merge__T84_keys_differ_by_case(void **state)
{
	struct sec s;

	(void)state;
	sec_with(&s, SECTION_DESIRED, "{'Color':1,'color':2}");
	sec_changes(&s, section_merge, "{'COLOR':3,'color':null}");
	sec_device_shows(&s, "{'Color':1,'COLOR':3,'$version':3}");
	sec_free(&s);
}

/* ---- many keys ---- */

static void
many_keys(struct buf *out, unsigned from, unsigned to, unsigned step, unsigned value)
{
	buf_putc(out, '{');
	for (unsigned i = from; i < to; i += step)
		buf_printf(out, "%s'%u':%u", i == from ? "" : ",", i, value);
	buf_putc(out, '}');
}

static void
merge__large_patch_on_large_section_in_any_order(void **state)
{
	struct buf patch = { 0 };
	struct section v;
	struct sec s;

	(void)state;
	sec_new(&s, SECTION_DESIRED);
	many_keys(&patch, 10, 2410, 1, 1);
	assert_int_equal(sec_apply(&s, section_merge, buf_view(&patch)), ERR_OK);
	patch.n = 0;
	many_keys(&patch, 11, 2510, 2, 2); /* every second of the old, and 50 new ones */
	assert_int_equal(sec_apply(&s, section_merge, buf_view(&patch)), ERR_OK);
	v = sec_view(&s);
	assert_int_equal(doc_count(v.root), 2450);
	for (unsigned i = 10; i < 2510; i++) {
		char key[16];
		struct doc d;
		snprintf(key, sizeof(key), "%u", i);
		d = doc_get(v.root, str_of(key));
		assert_int_equal(doc_kind(d), i >= 2410 && i % 2 == 0 ? DOC_UNDEFINED : DOC_INT);
		assert_int_equal(doc_int(d), i % 2 == 1 ? 2 : i < 2410 ? 1 : 0);
	}
	buf_fini(&patch);
	sec_free(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(merge__T35_sets_deletes_and_merges_at_every_level),
		cmocka_unit_test(merge__T36_object_replaces_scalar_and_array_without_its_nulls),
		cmocka_unit_test(merge__T37_null_below_absent_parent_makes_the_parent),
		cmocka_unit_test(merge__T37_deleting_a_missing_key_among_others_is_no_error),
		cmocka_unit_test(merge__T14_T38_same_value_again_is_a_full_change),
		cmocka_unit_test(merge__T39_noops_change_nothing),
		cmocka_unit_test(merge__T39_null_below_a_scalar_is_a_change),
		cmocka_unit_test(merge__T27_T39_empty_object_named_beside_a_change_is_stamped),
		cmocka_unit_test(merge__T40_emptied_object_stays),
		cmocka_unit_test(merge__T41_null_section_clears_and_notifies_each_top_level_key),
		cmocka_unit_test(merge__T41_null_clears_tags),
		cmocka_unit_test(merge__absent_section_is_left_alone),
		cmocka_unit_test(merge__T42_arrays_are_replaced_whole),
		cmocka_unit_test(merge__T42_null_inside_an_array_is_refused),
		cmocka_unit_test(merge__T43_one_bad_value_rejects_the_whole_patch),
		cmocka_unit_test(merge__order_stays_and_new_keys_go_to_the_end),
		cmocka_unit_test(report__T58_merges_like_desired),
		cmocka_unit_test(report__T59_same_value_is_a_change),
		cmocka_unit_test(report__T60_every_accepted_patch_is_a_step),
		cmocka_unit_test(report__T64_dollar_keys_are_refused_at_every_level),
		cmocka_unit_test(report__null_or_scalar_is_no_patch),
		cmocka_unit_test(merge__T33_metadata_and_version_at_the_root_are_ignored),
		cmocka_unit_test(merge__T33_other_dollar_keys_and_deeper_ones_are_refused),
		cmocka_unit_test(merge__T66_notification_is_what_was_sent_nulls_included),
		cmocka_unit_test(merge__T83_last_duplicate_wins_and_all_are_checked),
		cmocka_unit_test(merge__T84_keys_differ_by_case),
		cmocka_unit_test(merge__large_patch_on_large_section_in_any_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
