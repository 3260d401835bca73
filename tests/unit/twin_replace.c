/* Replacing a section: twins.md 4.3; and a first form with content (T-10). */
#include "twin_help.h"

static void
replace__T44_content_becomes_the_new_one(void **state)
{
	struct sec s;

	(void)state;
	sec_with(&s, SECTION_TAGS, "{'a':1,'o':{'x':1,'y':2},'z':[1]}");
	sec_changes(&s, section_replace, "{'z':2,'o':{'y':{}},'n':'s'}");
	sec_device_shows(&s, "{'z':2,'o':{'y':{}},'n':'s','$version':3}");
	sec_free(&s);
}

static void
replace__T45_absent_null_and_empty_all_empty_it(void **state)
{
	static const char *const empties[] = { "{}", "null", "{'$version':4,'$metadata':{}}" };
	struct sec s;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		sec_with(&s, SECTION_DESIRED, "{'a':1,'b':{'c':1}}");
		sec_changes(&s, section_replace, empties[i]);
		sec_shows(&s, "{'$metadata':{@2/3},'$version':3}");
		sec_notified(&s, "{'a':null,'b':null}");
		sec_unchanged(&s, section_replace, empties[i]);
		sec_free(&s);
	}
	sec_with(&s, SECTION_DESIRED, "{'a':1}");
	assert_int_equal(sec_apply_doc(&s, section_replace, DOC_NONE, 0), ERR_OK);
	assert_true(s.changed);
	sec_notified(&s, "{'a':null}");
	assert_int_equal(sec_apply_doc(&s, section_replace, DOC_NONE, 0), ERR_OK);
	assert_false(s.changed);
	sec_free(&s);
}

static void
replace__T46_null_anywhere_inside_is_refused(void **state)
{
	struct sec s;

	(void)state;
	sec_with(&s, SECTION_DESIRED, "{'a':1}");
	sec_refuses(
	    &s, section_replace, "{'b':1,'c':null}", "cannot be null: properties.desired.c");
	sec_refuses(
	    &s, section_replace, "{'c':{'d':null}}", "cannot be null: properties.desired.c.d");
	sec_refuses(&s, section_replace, "{'c':[1,[null]]}",
	    "cannot be null inside an array: properties.desired.c[1][0]");
	s.wr.kind = SECTION_TAGS;
	sec_refuses(&s, section_replace, "{'c':{'d':null}}", "cannot be null: tags.c.d");
	sec_free(&s);
}

static void
replace__T47_version_goes_on_and_all_metadata_is_new(void **state)
{
	struct sec s;

	(void)state;
	sec_with(&s, SECTION_DESIRED, "{'a':1,'o':{'x':1}}");
	sec_changes(&s, section_replace, "{'a':1,'o':{'x':1,'y':2}}");
	sec_shows(&s,
	    "{'a':1,'o':{'x':1,'y':2},'$metadata':{@2/3,'a':{@2/3},'o':{@2/3,'x':{@2/3},'y':{@2/"
	    "3}}},"
	    "'$version':3}");
	sec_changes(&s, section_replace, "{'a':1,'o':{'x':1,'y':2}}"); /* T-38 */
	assert_int_equal(sec_view(&s).version, 4);
	sec_free(&s);
}

static void
replace__T48_notification_is_the_merge_patch_from_old_to_new(void **state)
{
	static const struct {
		const char *old, *new, *notified;
	} cases[] = {
		{ "{'a':1,'b':2}", "{'a':1,'c':100}", "{'a':1,'b':null,'c':100}" },
		{ "{'b':2,'c':{}}", "{'e':[1,{'f':2}]}", "{'b':null,'c':null,'e':[1,{'f':2}]}" },
		{ "{'o':{'x':1,'p':{'y':1,'z':2}}}", "{'o':{'p':{'z':3,'w':4},'v':5}}",
		    "{'o':{'x':null,'p':{'y':null,'z':3,'w':4},'v':5}}" },
		{ "{'o':{'x':1}}", "{'o':{}}", "{'o':{'x':null}}" },
		{ "{'o':{'x':1}}", "{'o':7}", "{'o':7}" },
		{ "{'o':7}", "{'o':{'x':{}}}", "{'o':{'x':{}}}" },
		{ "{'o':[{'x':1}]}", "{'o':[{'y':1}]}", "{'o':[{'y':1}]}" },
	};
	struct sec s;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		sec_with(&s, SECTION_DESIRED, cases[i].old);
		sec_changes(&s, section_replace, cases[i].new);
		sec_notified(&s, cases[i].notified);
		sec_free(&s);
	}
}

static void
replace__T33_document_sent_back_whole_is_accepted(void **state)
{
	struct sec s;

	(void)state;
	sec_with(&s, SECTION_DESIRED, "{'a':1}");
	sec_changes(&s, section_replace,
	    "{'a':1,'$metadata':{'$lastUpdated':'2024-01-01T00:00:00Z','a':{'$lastUpdated':null}},'"
	    "$version':2}");
	sec_shows(&s, "{'a':1,'$metadata':{@2/3,'a':{@2/3}},'$version':3}");
	sec_notified(&s, "{'a':1}");
	sec_refuses(&s, section_replace, "{'a':{'$version':2}}", "properties.desired.a.$version");
	sec_free(&s);
}

static void
replace__T83_last_duplicate_wins_and_all_are_checked(void **state)
{
	struct sec s;

	(void)state;
	sec_with(&s, SECTION_DESIRED, "{'z':1}");
	sec_changes(&s, section_replace, "{'a':1,'b':2,'a':{'c':1,'c':2}}");
	sec_device_shows(&s, "{'a':{'c':2},'b':2,'$version':3}");
	sec_refuses(
	    &s, section_replace, "{'a':null,'a':1}", "cannot be null: properties.desired.a");
	sec_free(&s);
}

static void
replace__scalar_is_refused(void **state)
{
	struct sec s;

	(void)state;
	sec_new(&s, SECTION_TAGS);
	sec_refuses(&s, section_replace, "5", "has to be an object: tags");
	sec_refuses(&s, section_replace, "[]", "has to be an object: tags");
	sec_free(&s);
}

static void
new__T10_content_at_creation_leaves_version_1(void **state)
{
	struct buf json = { 0 }, out = { 0 };
	uint32_t nduplicate;
	struct doc d;
	struct sec s;

	(void)state;
	sec_new(&s, SECTION_DESIRED);
	d = sec_parse(&s, STR("{'a':1,'o':{'x':2}}"), &json, &nduplicate);
	s.wr.now_us = BEGIN + 5 * SECOND;
	assert_int_equal(section_new_with(&out, d, nduplicate, &s.wr, &s.fault), ERR_OK);
	assert_int_equal(section_check(buf_view(&out)), ERR_OK);
	buf_fini(&s.bytes);
	s.bytes = out;
	sec_shows(&s,
	    "{'a':1,'o':{'x':2},'$metadata':{@5/1,'a':{@5/1},'o':{@5/1,'x':{@5/1}}},'$version':1}");
	out = (struct buf){ 0 };
	json.n = 0;
	d = sec_parse(&s, STR("{'a':null}"), &json, &nduplicate);
	assert_int_equal(section_new_with(&out, d, nduplicate, &s.wr, &s.fault), ERR_ARG);
	assert_int_equal(out.n, 0);
	json.n = 0;
	d = sec_parse(&s, STR("{}"), &json, &nduplicate);
	assert_int_equal(section_new_with(&out, d, nduplicate, &s.wr, &s.fault), ERR_OK);
	buf_fini(&s.bytes);
	s.bytes = out;
	sec_shows(&s, "{'$metadata':{@5},'$version':1}"); /* as T-07 */
	buf_fini(&json);
	sec_free(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replace__T44_content_becomes_the_new_one),
		cmocka_unit_test(replace__T45_absent_null_and_empty_all_empty_it),
		cmocka_unit_test(replace__T46_null_anywhere_inside_is_refused),
		cmocka_unit_test(replace__T47_version_goes_on_and_all_metadata_is_new),
		cmocka_unit_test(replace__T48_notification_is_the_merge_patch_from_old_to_new),
		cmocka_unit_test(replace__T33_document_sent_back_whole_is_accepted),
		cmocka_unit_test(replace__T83_last_duplicate_wins_and_all_are_checked),
		cmocka_unit_test(replace__scalar_is_refused),
		cmocka_unit_test(new__T10_content_at_creation_leaves_version_1),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
