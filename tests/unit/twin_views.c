/* What devices, back ends and queries see: $metadata (twins.md 3), $version, the views, values at a path. */
#include "twin_help.h"

static void
view__T07_new_section(void **state)
{
	struct sec s;
	struct section v;

	(void)state;
	sec_new(&s, SECTION_DESIRED);
	sec_shows(&s, "{'$metadata':{@0},'$version':1}");
	sec_device_shows(&s, "{'$version':1}");
	v = sec_view(&s);
	assert_true(section_empty(&v));
	assert_int_equal(section_check(buf_view(&s.bytes)), ERR_OK);
	s.wr.kind = SECTION_REPORTED;
	sec_shows(&s, "{'$metadata':{@0},'$version':1}");
	sec_free(&s);
}

static void
view__T23_T24_metadata_mirrors_every_object_level(void **state)
{
	struct sec s;

	(void)state;
	sec_with(&s, SECTION_DESIRED, "{'a':{'b':{'c':1}},'d':'x'}");
	sec_changes(&s, section_merge, "{'a':{'b':{'e':2}}}");
	sec_shows(&s,
	    "{'a':{'b':{'c':1,'e':2}},'d':'x','$metadata':{@2/3,'a':{@2/3,'b':{@2/3,'c':{@1/"
	    "2},'e':{@2/3}}},"
	    "'d':{@1/2}},'$version':3}");
	sec_free(&s);
}

static void
view__T25_reported_has_no_last_updated_version(void **state)
{
	struct sec s;

	(void)state;
	sec_with(&s, SECTION_REPORTED, "{'a':{'b':1}}");
	sec_shows(&s, "{'a':{'b':1},'$metadata':{@1,'a':{@1,'b':{@1}}},'$version':2}");
	sec_free(&s);
}

static void
view__T26_array_is_one_leaf(void **state)
{
	struct sec s;

	(void)state;
	sec_with(&s, SECTION_DESIRED, "{'a':[1,{'b':{'c':[2]}}]}");
	sec_shows(&s, "{'a':[1,{'b':{'c':[2]}}],'$metadata':{@1/2,'a':{@1/2}},'$version':2}");
	sec_changes(&s, section_merge, "{'x':1}"); /* the array is copied with its one stamp */
	sec_shows(&s,
	    "{'a':[1,{'b':{'c':[2]}}],'x':1,'$metadata':{@2/3,'a':{@1/2},'x':{@2/"
	    "3}},'$version':3}");
	sec_free(&s);
}

static void
view__T27_named_keys_and_ancestors_are_stamped_siblings_are_not(void **state)
{
	struct sec s;

	(void)state;
	sec_with(&s, SECTION_DESIRED, "{'o':{'x':1,'y':{'z':2}},'p':1}");
	sec_changes(&s, section_merge, "{'o':{'x':5}}");
	sec_changes(&s, section_merge, "{'p':6}");
	sec_shows(&s,
	    "{'o':{'x':5,'y':{'z':2}},'p':6,'$metadata':{@3/4,'o':{@2/3,'x':{@2/3},'y':{@1/"
	    "2,'z':{@1/2}}},"
	    "'p':{@3/4}},'$version':4}");
	sec_free(&s);
}

static void
view__T28_deletion_stamps_the_ancestors(void **state)
{
	struct sec s;

	(void)state;
	sec_with(&s, SECTION_DESIRED, "{'o':{'x':{'y':1},'w':2},'p':1}");
	sec_changes(&s, section_merge, "{'o':{'x':null}}");
	sec_shows(&s,
	    "{'o':{'w':2},'p':1,'$metadata':{@2/3,'o':{@2/3,'w':{@1/2}},'p':{@1/2}},'$version':3}");
	sec_free(&s);
}

static void
view__T29_scalar_to_object_and_back_renews_the_entries(void **state)
{
	struct sec s;

	(void)state;
	sec_with(&s, SECTION_DESIRED, "{'a':1,'b':{'c':{'d':1}}}");
	sec_changes(&s, section_merge, "{'a':{'x':{'y':1}},'b':2}");
	sec_shows(&s,
	    "{'a':{'x':{'y':1}},'b':2,'$metadata':{@2/3,'a':{@2/3,'x':{@2/3,'y':{@2/3}}},'b':{@2/"
	    "3}},"
	    "'$version':3}");
	sec_free(&s);
}

static void
view__T30_configuration_is_named_until_a_manual_write(void **state)
{
	struct sec s;

	(void)state;
	sec_with(&s, SECTION_DESIRED, "{'a':1,'b':1}");
	s.wr.by = STR("conf\"1");
	s.wr.by_digest = INT64_C(638396640000000000);
	sec_changes(&s, section_merge, "{'a':2,'b':2}");
	s.wr.by = STR_NONE;
	sec_changes(&s, section_merge, "{'b':3}");
	sec_shows(&s,
	    "{'a':2,'b':3,'$metadata':{@3/4,'a':{@2/3,'$lastUpdatedBy':'conf\\'1',"
	    "'$lastUpdatedByDigest':'638396640000000000'},'b':{@3/4}},'$version':4}");
	sec_free(&s);
}

static void
view__T31_seven_digits_and_one_instant(void **state)
{
	struct section v;
	struct sec s;

	(void)state;
	sec_new(&s, SECTION_REPORTED);
	s.wr.now_us += 123456;
	sec_changes(&s, section_merge, "{'a':{'b':1}}");
	v = sec_view(&s);
	assert_int_equal(v.nstamp, 1);
	section_write_service(&s.text, &v, SECTION_REPORTED);
#define AT "\"$lastUpdated\":\"2024-01-01T00:00:01.1234560Z\""
	assert_true(str_eq(buf_view(&s.text),
	    STR("{\"a\":{\"b\":1},\"$metadata\":{" AT ",\"a\":{" AT ",\"b\":{" AT
	        "}}},\"$version\":2}")));
	sec_free(&s);
}

static void
view__T32_time_zero_is_the_year_1(void **state)
{
	struct section v;
	struct sec s;

	(void)state;
	sec_new(&s, SECTION_REPORTED);
	s.bytes.n = 0;
	section_new(&s.bytes, 0);
	v = sec_view(&s);
	section_write_service(&s.text, &v, SECTION_REPORTED);
	assert_true(str_eq(buf_view(&s.text),
	    STR("{\"$metadata\":{\"$lastUpdated\":\"0001-01-01T00:00:00Z\"},\"$version\":1}")));
	sec_free(&s);
}

static void
view__T52_device_sees_members_and_version_only(void **state)
{
	struct sec s;

	(void)state;
	sec_with(&s, SECTION_REPORTED, "{'a':{'b':'\xC3\xA4','c':1.0},'d':-0.5}");
	sec_device_shows(&s, "{'a':{'b':'\xC3\xA4','c':1.0},'d':-0.5,'$version':2}");
	sec_free(&s);
}

static void
view__T15_tags_have_neither_version_nor_metadata(void **state)
{
	struct section v;
	struct sec s;

	(void)state;
	sec_with(&s, SECTION_TAGS, "{'a':1}");
	v = sec_view(&s);
	section_write_tags(&s.text, &v);
	assert_true(str_eq(buf_view(&s.text), STR("{\"a\":1}")));
	sec_free(&s);
}

/* Views are appended: what stands in the buffer before stays, and the copies of stamp texts come from behind it. */
static void
view__appends_to_what_is_there(void **state)
{
	struct section v;
	struct sec s;
	size_t n;

	(void)state;
	sec_with(&s, SECTION_DESIRED, "{'a':1,'b':{'c':2}}");
	v = sec_view(&s);
	buf_cstr(&s.text, "{\"desired\":");
	n = s.text.n;
	section_write_service(&s.text, &v, SECTION_DESIRED);
	section_write_service(&s.text, &v, SECTION_DESIRED);
	assert_int_equal((s.text.n - n) % 2, 0);
	assert_memory_equal(s.text.p, "{\"desired\":", n);
	assert_memory_equal(s.text.p + n, s.text.p + n + (s.text.n - n) / 2, (s.text.n - n) / 2);
	sec_free(&s);
}

/* ---- values at a path (Q-20) ---- */

static void
got(struct sec *s, enum section_kind kind, const char *path, const char *want)
{
	struct section v = sec_view(s);
	struct buf scratch = { 0 };
	struct str keys[8], rest = str_of(path), key;
	unsigned n = 0;
	struct doc d;

	while (rest.n > 0) {
		str_cut(rest, '/', &key, &rest);
		keys[n++] = key;
	}
	buf_cstr(&scratch, "in use");
	d = section_get(&v, kind, keys, n, &scratch);
	s->text.n = 0;
	if (doc_defined(d))
		doc_write_json(&s->text, d);
	shorten(&s->text);
	assert_string_equal(s->text.p, want);
	assert_memory_equal(scratch.p, "in use", 6);
	buf_fini(&scratch);
}

static void
get__Q20_plain_members(void **state)
{
	struct sec s;

	(void)state;
	sec_with(&s, SECTION_DESIRED, "{'a':{'b':[1,{'c':2}]},'d':'x'}");
	for (int kind = SECTION_TAGS; kind < SECTION_KINDS; kind++) {
		got(&s, kind, "a/b", "[1,{'c':2}]");
		got(&s, kind, "a", "{'b':[1,{'c':2}]}");
		got(&s, kind, "d", "'x'");
		got(&s, kind, "d/e", "");
		got(&s, kind, "e", "");
		got(&s, kind, "a/b/c", "");
		got(&s, kind, "a/$version", "");
	}
	sec_free(&s);
}

static void
get__Q20_version_and_metadata(void **state)
{
	struct sec s;

	(void)state;
	sec_with(&s, SECTION_DESIRED, "{'a':{'b':[1,{'c':2}]},'d':'x'}");
	s.wr.by = STR("c1");
	s.wr.by_digest = 42;
	sec_changes(&s, section_merge, "{'d':'y'}");
#define BY ",'$lastUpdatedBy':'c1','$lastUpdatedByDigest':'42'"
	got(&s, SECTION_DESIRED, "$version", "3");
	got(&s, SECTION_DESIRED, "$version/a", "");
	got(&s, SECTION_DESIRED, "$other", "");
	got(&s, SECTION_DESIRED, "$metadata/d", "{@2/3" BY "}");
	got(&s, SECTION_DESIRED, "$metadata/a", "{@1/2,'b':{@1/2}}");
	got(&s, SECTION_DESIRED, "$metadata/a/b", "{@1/2}");
	got(&s, SECTION_DESIRED, "$metadata/a/b/c", "");
	got(&s, SECTION_DESIRED, "$metadata/$lastUpdated", "'2024-01-01T00:00:02.0000000Z'");
	got(&s, SECTION_DESIRED, "$metadata/a/$lastUpdated", "'2024-01-01T00:00:01.0000000Z'");
	got(&s, SECTION_DESIRED, "$metadata/a/b/$lastUpdatedVersion", "2");
	got(&s, SECTION_REPORTED, "$metadata/a/b/$lastUpdatedVersion", "");
	got(&s, SECTION_DESIRED, "$metadata/d/$lastUpdatedBy", "'c1'");
	got(&s, SECTION_DESIRED, "$metadata/d/$lastUpdatedByDigest", "'42'");
	got(&s, SECTION_DESIRED, "$metadata/a/$lastUpdatedBy", "");
	got(&s, SECTION_DESIRED, "$metadata/a/$lastUpdated/x", "");
	got(&s, SECTION_DESIRED, "$metadata/a/$other", "");
	got(&s, SECTION_DESIRED, "$metadata/no", "");
	got(&s, SECTION_TAGS, "$version", "");
	got(&s, SECTION_TAGS, "$metadata", "");
	sec_free(&s);
}

static void
get__whole_section_is_the_back_ends_view(void **state)
{
	struct sec s;

	(void)state;
	sec_with(&s, SECTION_DESIRED, "{'a':{'b':1}}");
	got(&s, SECTION_DESIRED, "",
	    "{'a':{'b':1},'$metadata':{@1/2,'a':{@1/2,'b':{@1/2}}},'$version':2}");
	got(&s, SECTION_REPORTED, "",
	    "{'a':{'b':1},'$metadata':{@1,'a':{@1,'b':{@1}}},'$version':2}");
	got(&s, SECTION_TAGS, "", "{'a':{'b':1}}");
	got(&s, SECTION_DESIRED, "$metadata", "{@1/2,'a':{@1/2,'b':{@1/2}}}");
	sec_free(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(view__T07_new_section),
		cmocka_unit_test(view__T23_T24_metadata_mirrors_every_object_level),
		cmocka_unit_test(view__T25_reported_has_no_last_updated_version),
		cmocka_unit_test(view__T26_array_is_one_leaf),
		cmocka_unit_test(view__T27_named_keys_and_ancestors_are_stamped_siblings_are_not),
		cmocka_unit_test(view__T28_deletion_stamps_the_ancestors),
		cmocka_unit_test(view__T29_scalar_to_object_and_back_renews_the_entries),
		cmocka_unit_test(view__T30_configuration_is_named_until_a_manual_write),
		cmocka_unit_test(view__T31_seven_digits_and_one_instant),
		cmocka_unit_test(view__T32_time_zero_is_the_year_1),
		cmocka_unit_test(view__T52_device_sees_members_and_version_only),
		cmocka_unit_test(view__T15_tags_have_neither_version_nor_metadata),
		cmocka_unit_test(view__appends_to_what_is_there),
		cmocka_unit_test(get__Q20_plain_members),
		cmocka_unit_test(get__Q20_version_and_metadata),
		cmocka_unit_test(get__whole_section_is_the_back_ends_view),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
