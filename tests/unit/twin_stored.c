/* The stored form: stamps that come and go, the check of foreign bytes, damage. */
#include "twin_help.h"

static void
stored__stamps_that_no_node_bears_are_dropped(void **state)
{
	struct sec s;

	(void)state;
	sec_with(&s, SECTION_DESIRED, "{'a':1,'b':1,'c':1}");
	assert_int_equal(sec_view(&s).nstamp, 1);
	sec_changes(&s, section_merge, "{'a':2}");
	sec_changes(&s, section_merge, "{'b':2}");
	assert_int_equal(sec_view(&s).nstamp, 3);
	sec_changes(&s, section_merge, "{'c':2}");
	assert_int_equal(sec_view(&s).nstamp, 3);
	sec_changes(&s, section_merge, "{'a':3,'b':3}");
	assert_int_equal(sec_view(&s).nstamp, 2);
	sec_shows(&s,
	    "{'a':3,'b':3,'c':2,'$metadata':{@5/6,'a':{@5/6},'b':{@5/6},'c':{@4/5}},'$version':6}");
	sec_free(&s);
}

static void
stored__tags_have_one_stamp(void **state)
{
	struct sec s;

	(void)state;
	sec_with(&s, SECTION_TAGS, "{'a':1,'o':{'b':1}}");
	sec_changes(&s, section_merge, "{'a':2}");
	sec_changes(&s, section_merge, "{'o':{'c':2}}");
	assert_int_equal(sec_view(&s).nstamp, 1);
	assert_int_equal(sec_view(&s).version, 4);
	sec_free(&s);
}

/* The text of the back end's view, made in two ways. */
static void
views_agree(const struct sec *s)
{
	struct buf text = { 0 }, again = { 0 }, scratch = { 0 };
	struct section v = sec_view(s);

	section_write_service(&text, &v, s->wr.kind);
	doc_write_json(&again, section_get(&v, s->wr.kind, NULL, 0, &scratch));
	assert_true(str_eq(buf_view(&text), buf_view(&again)));
	buf_fini(&text);
	buf_fini(&again);
	buf_fini(&scratch);
}

/* One operation for each key: as many stamps as keys, and the width of their indexes follows, up and down. */
static void
stored__more_than_250_stamps_and_back(void **state)
{
	char patch[64];
	struct section v;
	struct sec s;

	(void)state;
	sec_new(&s, SECTION_DESIRED);
	for (unsigned i = 0; i < 600; i++) {
		snprintf(patch, sizeof(patch), "{'k%u':{'x':%u}}", i, i);
		sec_changes(&s, section_merge, patch);
		v = sec_view(&s);
		assert_int_equal(v.nstamp, i + 1); /* the root has the newest */
		assert_int_equal(v.root.w, i + 1 > 250 ? 2 : 1);
	}
	for (unsigned i = 0; i < 600; i++) {
		char key[16];
		struct stamp st;
		snprintf(key, sizeof(key), "k%u", i);
		st = section_stamp(&v, doc_stamp(doc_getc(doc_get(v.root, str_of(key)), "x")));
		assert_int_equal(st.version, i + 2);
		assert_int_equal(st.time_us, BEGIN + (i + 1) * SECOND);
	}
	views_agree(&s);
	for (unsigned i = 0; i < 400; i++) {
		snprintf(patch, sizeof(patch), "{'k%u':null}", i);
		sec_changes(&s, section_merge, patch);
		v = sec_view(&s);
		assert_int_equal(v.nstamp, 600 - i); /* one went, the root's is new */
		assert_int_equal(v.root.w, v.nstamp > 250 ? 2 : 1);
	}
	sec_changes(&s, section_merge, "null");
	sec_shows(&s, "{'$metadata':{@1001/1002},'$version':1002}");
	sec_free(&s);
}

static void
stored__T81a_stamps_are_bounded_by_the_stored_size(void **state)
{
	char patch[64], by[ID_MAX];
	struct sec s;
	unsigned i;

	(void)state;
	sec_new(&s, SECTION_REPORTED);
	memset(by, 'c', sizeof(by));
	s.wr.by = (struct str){ by, sizeof(by) }; /* long stamps, to be there sooner */
	for (i = 0; i < 2000; i++) {
		snprintf(patch, sizeof(patch), "{'%u':''}", i);
		if (sec_apply(&s, section_merge, str_of(patch)) != ERR_OK)
			break;
	}
	assert_true(i > 500 && i < 2000);
	assert_non_null(
	    strstr(s.fault.text, "bytes as stored, over the limit of 131072: properties.reported"));
	assert_true(s.bytes.n <= SECTION_STORED_MAX);
	assert_int_equal(sec_view(&s).nstamp, i);
	sec_changes(&s, section_merge, "{'1':null,'2':null,'3':null}");
	sec_free(&s);
}

static void
stored__version_stays_a_positive_java_int(void **state)
{
	struct section old;
	struct buf json = { 0 }, out = { 0 };
	uint32_t nduplicate;
	bool changed;
	struct doc d;
	struct sec s;

	(void)state;
	sec_with(&s, SECTION_REPORTED, "{'a':1}");
	old = sec_view(&s);
	old.version = INT32_MAX - 1;
	d = sec_parse(&s, STR("{'a':2}"), &json, &nduplicate);
	assert_int_equal(section_merge(&old, d, 0, &s.wr, &out, NULL, &changed, NULL), ERR_OK);
	assert_int_equal(section_of(buf_view(&out)).version, INT32_MAX);
	old.version = INT32_MAX;
	out.n = 0;
	assert_int_equal(section_merge(&old, d, 0, &s.wr, &out, NULL, &changed, NULL), ERR_OK);
	assert_int_equal(section_of(buf_view(&out)).version, 1);
	assert_int_equal(section_check(buf_view(&out)), ERR_OK);
	buf_fini(&json);
	buf_fini(&out);
	sec_free(&s);
}

static void
stored__appends_behind_what_is_there_and_takes_it_back(void **state)
{
	struct buf json = { 0 }, out = { 0 };
	struct section old, v;
	uint32_t nduplicate;
	bool changed;
	struct doc d;
	struct sec s;

	(void)state;
	sec_with(&s, SECTION_DESIRED, "{'a':1}");
	old = sec_view(&s);
	buf_cstr(&out, "before");
	d = sec_parse(&s, STR("{'zz':null}"), &json, &nduplicate);
	assert_int_equal(section_merge(&old, d, 0, &s.wr, &out, NULL, &changed, NULL), ERR_OK);
	assert_int_equal(out.n, 6);
	json.n = 0;
	d = sec_parse(&s, STR("{'a':{'b':1}}"), &json, &nduplicate);
	assert_int_equal(section_merge(&old, d, 0, &s.wr, &out, NULL, &changed, NULL), ERR_OK);
	assert_memory_equal(out.p, "before", 6);
	assert_int_equal(section_check(str_sub(buf_view(&out), 6)), ERR_OK);
	v = section_of(str_sub(buf_view(&out), 6));
	assert_int_equal(v.version, 3);
	buf_fini(&json);
	buf_fini(&out);
	sec_free(&s);
}

/* ---- bytes from outside ---- */

static void
stored__every_prefix_and_every_longer_string_is_refused(void **state)
{
	struct sec s;

	(void)state;
	sec_with(&s, SECTION_DESIRED, "{'a':1,'b':{'c':[1,2,'x']}}");
	sec_changes(&s, section_merge, "{'a':2}");
	for (size_t n = 0; n < s.bytes.n; n++)
		assert_int_equal(section_check((struct str){ s.bytes.p, n }), ERR_CORRUPT);
	assert_int_equal(section_check(buf_view(&s.bytes)), ERR_OK);
	buf_putc(&s.bytes, '\0');
	assert_int_equal(section_check(buf_view(&s.bytes)), ERR_CORRUPT);
	s.bytes.p[0]++;
	assert_int_equal(section_check(buf_view(&s.bytes)), ERR_VERSION);
	sec_free(&s);
}

/* Everything that can be done with bytes that section_check lets pass. */
static void
use(struct sec *s, struct str bytes)
{
	struct section v = section_of(bytes);
	struct buf text = { 0 }, out = { 0 }, scratch = { 0 }, json = { 0 };
	struct str path[] = { STR("$metadata"), STR("b"), STR("$lastUpdated") };
	uint32_t nduplicate;
	bool changed;

	section_write_service(&text, &v, SECTION_DESIRED);
	section_write_device(&text, &v);
	for (unsigned n = 0; n <= 3; n++)
		section_get(&v, SECTION_DESIRED, path, n, &scratch);
	for (uint32_t i = 0; i < v.nstamp; i++)
		text.n += section_stamp(&v, i).version % 2;
	section_merge(&v, sec_parse(s, STR("{'a':null,'b':{'c':{'d':1}}}"), &json, &nduplicate), 0,
	    &s->wr, &out, NULL, &changed, NULL);
	json.n = 0;
	section_replace(&v, sec_parse(s, STR("{'b':{'e':1}}"), &json, &nduplicate), 0, &s->wr, &out,
	    &scratch, &changed, NULL);
	buf_fini(&text);
	buf_fini(&out);
	buf_fini(&scratch);
	buf_fini(&json);
}

static void
stored__damaged_bytes_are_refused_or_harmless(void **state)
{
	struct buf damaged = { 0 };
	unsigned passed = 0, refused = 0;
	uint64_t random = 1;
	struct sec s;

	(void)state;
	sec_with(
	    &s, SECTION_DESIRED, "{'a':1,'b':{'c':[1,2,'x'],'d':'text','e':1.5},'f':{},'g':true}");
	s.wr.by = STR("conf");
	sec_changes(&s, section_merge, "{'a':2,'b':{'d':'other'}}");
	for (unsigned i = 0; i < 60000; i++) {
		damaged.n = 0;
		buf_str(&damaged, buf_view(&s.bytes));
		for (unsigned k = 0; k <= i % 3; k++) {
			random = random * 6364136223846793005u + 1442695040888963407u;
			damaged.p[(random >> 33) % damaged.n] ^= (char)(1 << (random >> 60) % 8);
		}
		if (section_check(buf_view(&damaged)) == ERR_OK) {
			passed++;
			use(&s, buf_view(&damaged));
		} else {
			refused++;
		}
	}
	assert_true(passed > 100 && refused > 10000); /* else the test shows nothing */
	buf_fini(&damaged);
	sec_free(&s);
}

/* What is well-formed as bytes, yet nothing that this module writes. */
static void
stored__impossible_content_is_refused(void **state)
{
	/* format, version, size, width, count, length of stamps, one stamp: time 1, version 1, no by */
#define HEAD(size, width, count) "\1\1" size width count "\3\1\1\0"
	static const struct {
		struct str bytes;
		enum err want;
	} cases[] = {
		{ STR(HEAD("\0", "\1", "\1") "\0\x08"), ERR_OK },        /* {} */
		{ STR(HEAD("\0", "\1", "\1") "\1\x08"), ERR_CORRUPT },   /* stamp 1 of 1 */
		{ STR(HEAD("\1", "\1", "\1") "\0\x08"), ERR_CORRUPT },   /* size */
		{ STR(HEAD("\0", "\2", "\1") "\0\0\x08"), ERR_CORRUPT }, /* width 2 for one stamp */
		{ STR(HEAD("\0", "\1", "\2") "\0\x08"), ERR_CORRUPT },   /* count */
		{ STR(HEAD("\0", "\1", "\0") "\0\x08"), ERR_CORRUPT },
		{ STR(HEAD("\0", "\1", "\1") "\0\x07"), ERR_CORRUPT },            /* an array */
		{ STR(HEAD("\5", "\1", "\1") "\0\x48\x16k\0\x03"), ERR_OK },      /* {"k":true} */
		{ STR(HEAD("\1", "\1", "\1") "\0\x48\x16k\0\x01"), ERR_CORRUPT }, /* a null */
		{ STR(HEAD("\5", "\1", "\1") "\0\x48\x16k\1\x03"), ERR_CORRUPT }, /* stamp inside */
		{ STR(HEAD("\4", "\1", "\1") "\0\x38\x06\0\x03"), ERR_CORRUPT },  /* an empty key */
		{ STR("\1\0\0\1\1\3\1\1\0\0\x08"), ERR_CORRUPT },                 /* version 0 */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (section_check(cases[i].bytes) != cases[i].want)
			fail_msg("case %zu", i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stored__stamps_that_no_node_bears_are_dropped),
		cmocka_unit_test(stored__tags_have_one_stamp),
		cmocka_unit_test(stored__more_than_250_stamps_and_back),
		cmocka_unit_test(stored__T81a_stamps_are_bounded_by_the_stored_size),
		cmocka_unit_test(stored__version_stays_a_positive_java_int),
		cmocka_unit_test(stored__appends_behind_what_is_there_and_takes_it_back),
		cmocka_unit_test(stored__every_prefix_and_every_longer_string_is_refused),
		cmocka_unit_test(stored__damaged_bytes_are_refused_or_harmless),
		cmocka_unit_test(stored__impossible_content_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
