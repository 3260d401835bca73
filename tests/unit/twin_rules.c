/* Keys, values, depth and sizes: twins.md 6. */
#include "twin_help.h"

/* "prefix" + n times `fill` + "suffix". */
static struct buf
stretched(const char *prefix, const char *fill, size_t n, const char *suffix)
{
	struct buf b = { 0 };

	buf_cstr(&b, prefix);
	while (n-- > 0)
		buf_cstr(&b, fill);
	buf_cstr(&b, suffix);
	buf_putc(&b, '\0');
	return b;
}

static void
accepts_stretched(struct sec *s, const char *prefix, const char *fill, size_t n, const char *suffix)
{
	struct buf b = stretched(prefix, fill, n, suffix);

	sec_changes(s, section_merge, b.p);
	sec_changes(s, section_replace, "{'x':1}");
	buf_fini(&b);
}

static void
refuses_stretched(struct sec *s, const char *prefix, const char *fill, size_t n, const char *suffix,
    const char *part)
{
	struct buf b = stretched(prefix, fill, n, suffix);

	sec_refuses(s, section_merge, b.p, part);
	sec_refuses(s, section_replace, b.p, part);
	buf_fini(&b);
}

static void
rules__T73_key_of_1024_bytes(void **state)
{
	struct sec s;

	(void)state;
	sec_new(&s, SECTION_DESIRED);
	accepts_stretched(&s, "{'", "k", 1024, "':1}");
	refuses_stretched(&s, "{'", "k", 1025, "':1}",
	    "A name of 1025 bytes, over the limit of 1024: properties.desired.kkk");
	accepts_stretched(&s, "{'", "\xC3\xA4", 512, "':1}"); /* bytes, not characters */
	refuses_stretched(&s, "{'a':{'", "\xC3\xA4", 513, "':1}}", "A name of 1026 bytes");
	accepts_stretched(&s, "{'a':[{'", "k", 1024, "':1}]}");
	refuses_stretched(&s, "{'a':[{'", "k", 1025, "':1}]}", "properties.desired.a[0].kkk");
	sec_free(&s);
}

static void
rules__T74_forbidden_characters_in_keys(void **state)
{
	static const char *const bad[] = { "a.b", ".", "$", "a$", "a b", " ", "\\u0000", "\\u0001",
		"a\\u001f", "\\n", "\\u007f", "\\u0080", "a\\u009fb" };
	static const char *const good[] = { "#", "\\u00a0", "\\u00e4", "\\u0100", "a-b_c", "\\\\",
		"[0]", "/", "\\ud83d\\ude00", "\\\"", "*", "@" };
	char text[64];
	struct sec s;

	(void)state;
	sec_new(&s, SECTION_DESIRED);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text), "{'o':{'%s':1}}", bad[i]);
		sec_refuses(&s, section_merge, text, "illegal character");
		snprintf(text, sizeof(text), "{'o':[{'%s':1}]}", bad[i]);
		sec_refuses(&s, section_replace, text, "illegal character");
		snprintf(text, sizeof(text), "{'%s':null}", bad[i]);
		sec_refuses(&s, section_merge, text, "illegal character");
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		snprintf(text, sizeof(text), "{'o':{'%s':1}}", good[i]);
		sec_changes(&s, section_merge, text);
		sec_changes(&s, section_replace, text);
	}
	sec_refuses(&s, section_merge, "{'a':{'':1}}", "An empty name: properties.desired.a.");
	sec_free(&s);
}

static void
rules__T75_all_kinds_of_values(void **state)
{
	struct sec s;

	(void)state;
	sec_with(&s, SECTION_DESIRED,
	    "{'a':true,'b':false,'c':1,'d':1.5,'e':'','f':{},'g':[],'h':[[],{},'',1,false]}");
	sec_device_shows(&s,
	    "{'a':true,'b':false,'c':1,'d':1.5,'e':'','f':{},'g':[],'h':[[],{},'',1,false],'$"
	    "version':2}");
	sec_free(&s);
}

static void
rules__T76_integers_within_2_to_the_52(void **state)
{
	struct sec s;

	(void)state;
	sec_with(&s, SECTION_DESIRED, "{'a':4503599627370495,'b':-4503599627370496}");
	sec_device_shows(&s, "{'a':4503599627370495,'b':-4503599627370496,'$version':2}");
	sec_refuses(&s, section_merge, "{'o':{'a':4503599627370496}}",
	    "4503599627370496 is outside -4503599627370496 to 4503599627370495: "
	    "properties.desired.o.a");
	sec_refuses(&s, section_merge, "{'a':-4503599627370497}", "-4503599627370497 is outside");
	sec_refuses(&s, section_replace, "{'a':[9223372036854775807]}", "properties.desired.a[0]");
	sec_changes(&s, section_replace, "{'a':4503599627370496.0,'b':1e300}");
	sec_free(&s);
}

static void
rules__T77_integers_and_doubles_keep_their_kind(void **state)
{
	struct sec s;

	(void)state;
	sec_with(&s, SECTION_DESIRED, "{'a':1,'b':1.0,'c':0.1,'d':100}");
	sec_changes(&s, section_merge, "{'e':2.50}");
	sec_device_shows(&s, "{'a':1,'b':1.0,'c':0.1,'d':100,'e':2.5,'$version':3}");
	sec_free(&s);
}

static void
rules__T78_string_of_4096_bytes(void **state)
{
	struct sec s;

	(void)state;
	sec_new(&s, SECTION_DESIRED);
	accepts_stretched(&s, "{'s':'", "x", 4096, "'}");
	refuses_stretched(&s, "{'s':'", "x", 4097, "'}",
	    "A string of 4097 bytes, over the limit of 4096: properties.desired.s");
	accepts_stretched(&s, "{'s':'", "\xC3\xA4", 2048, "'}");
	refuses_stretched(&s, "{'s':['", "\xC3\xA4", 2049, "']}", "properties.desired.s[0]");
	accepts_stretched(
	    &s, "{'s':'\\u0001\\u0085\\n\\u007f", "x", 4096, "'}"); /* controls are free */
	accepts_stretched(
	    &s, "{'s':['", "','xxxxxxx", 1000, "']}"); /* an array as a whole is no string */
	sec_free(&s);
}

static void
rules__T78_date_like_strings_stay(void **state)
{
	struct sec s;

	(void)state;
	sec_with(&s, SECTION_DESIRED, "{'d':'2020-01-01T00:00:00.000+02:00'}");
	sec_device_shows(&s, "{'d':'2020-01-01T00:00:00.000+02:00','$version':2}");
	sec_free(&s);
}

static void
rules__T79_ten_levels(void **state)
{
	struct sec s;

	(void)state;
	sec_new(&s, SECTION_TAGS);
	accepts_stretched(&s, "{'k':", "{'k':", 9, "{'leaf':1}}}}}}}}}}}");
	refuses_stretched(&s, "{'k':", "{'k':", 10, "{'leaf':1}}}}}}}}}}}}",
	    "A depth of 11 levels, over the limit of 10: tags.k.k.k.k.k.k.k.k.k.k.k");
	accepts_stretched(&s, "{'k':", "[", 10, "]]]]]]]]]]}");
	refuses_stretched(
	    &s, "{'k':", "[", 11, "]]]]]]]]]]]}", "tags.k[0][0][0][0][0][0][0][0][0][0]");
	refuses_stretched(&s, "{'k':", "[", 60,
	    "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}", "depth");
	refuses_stretched(&s, "{'k':", "{'k':", 10, "{}}}}}}}}}}}}", "depth");
	sec_free(&s);
}

static uint32_t
counted(struct sec *s, const char *text)
{
	struct buf json = { 0 };
	uint32_t nduplicate, n = twin_counted_size(sec_parse(s, str_of(text), &json, &nduplicate));

	buf_fini(&json);
	return n;
}

static void
rules__T81_counted_size(void **state)
{
	struct sec s;

	(void)state;
	sec_new(&s, SECTION_DESIRED);
	assert_int_equal(counted(&s, "{}"), 0);
	assert_int_equal(counted(&s, "{'abc':1}"), 11);
	assert_int_equal(counted(&s, "{'abc':1.5}"), 11);
	assert_int_equal(counted(&s, "{'a':true,'b':false}"), 10);
	assert_int_equal(counted(&s, "{'a':'hello'}"), 6);
	assert_int_equal(counted(&s, "{'\xC3\xA4':'\xE2\x82\xAC'}"), 5);
	assert_int_equal(
	    counted(&s, "{'a':'x\\u0000\\n\\u001f\\u007f\\u0080\\u009f\\u00a0'}"), 1 + 1 + 2);
	assert_int_equal(counted(&s, "{'a':null}"), 1);
	assert_int_equal(counted(&s, "{'a':{'bb':{'c':1}}}"), 1 + 2 + 1 + 8);
	assert_int_equal(counted(&s, "{'a':[1,'xy',{'k':true},[]]}"), 1 + 8 + 2 + 1 + 4);
	sec_free(&s);
}

static void
rules__T81_control_characters_are_not_counted_anywhere(void **state)
{
	static const struct {
		const char *text;
		unsigned counts;
	} tried[] = { { "\\u0000", 0 }, { "\\u001f", 0 }, { " ", 1 }, { "~", 1 }, { "\\u007f", 0 },
		{ "\\u0080", 0 }, { "\\u009f", 0 }, { "\\u00a0", 2 }, { "\\u00ff", 2 } };
	struct buf b = { 0 };
	struct sec s;

	(void)state;
	sec_new(&s, SECTION_DESIRED);
	for (size_t t = 0; t < sizeof(tried) / sizeof(tried[0]); t++)
		for (int before = 0; before < 18; before++)
			for (int after = 0; after < 10; after++) {
				b.n = 0;
				buf_printf(&b, "{'':'%.*s%s%.*s'}", before, "abcdefghijklmnopqr",
				    tried[t].text, after, "0123456789");
				buf_putc(&b, '\0');
				assert_int_equal(
				    counted(&s, b.p), before + after + (int)tried[t].counts);
			}
	buf_fini(&b);
	sec_free(&s);
}

static void
rules__T81_size_follows_every_merge(void **state)
{
	static const char *const patches[] = { "{'a':'xy','o':{'k':1}}", "{'a':null}",
		"{'o':{'k':null,'m':{'n':'abc'}}}", "{'o':{'m':5}}", "{'o':[1,'x']}",
		"{'o':{'p':{'q':null}}}", "{'o':null,'z':true}" };
	static const uint32_t sizes[] = { 3 + 1 + 1 + 8, 1 + 1 + 8, 1 + 1 + 1 + 3, 1 + 1 + 8,
		1 + 8 + 1, 1 + 1, 1 + 4 };
	struct sec s;

	(void)state;
	sec_new(&s, SECTION_REPORTED);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		sec_changes(&s, section_merge, patches[i]);
		assert_int_equal(sec_view(&s).size, sizes[i]);
	}
	sec_free(&s);
}

/* n members of `each` counted bytes (at least 10), from number `from` on. */
static struct buf
members(unsigned from, unsigned n, unsigned each)
{
	struct buf b = { 0 };

	buf_putc(&b, '{');
	for (unsigned i = from; i < from + n; i++)
		buf_printf(&b, "%s'%04u':'%0*u'", i == from ? "" : ",", i, (int)each - 4, i);
	buf_cstr(&b, "}");
	buf_putc(&b, '\0');
	return b;
}

static void
rules__T80_limit_of_each_section(void **state)
{
	static const uint32_t limits[] = { 8192, 32768, 32768 };
	static const char *const texts[] = { "A size of 8200 bytes, over the limit of 8192: tags",
		"A size of 32776 bytes, over the limit of 32768: properties.desired",
		"A size of 32776 bytes, over the limit of 32768: properties.reported" };

	(void)state;
	for (int kind = SECTION_TAGS; kind < SECTION_KINDS; kind++) {
		struct buf full = members(0, limits[kind] / 1024, 1024);
		struct sec s;

		sec_with(&s, kind, full.p);
		assert_int_equal(sec_view(&s).size, limits[kind]);
		sec_too_large(&s, section_merge, "{'x':'1234567'}", texts[kind]);
		sec_changes(&s, section_merge, "{'0000':'1234','x':'1234567'}");
		sec_free(&s);
		sec_new(&s, kind);
		sec_changes(&s, section_replace, full.p);
		full.n -= 2;
		buf_cstr(&full, ",'x':'1234567'}");
		buf_putc(&full, '\0');
		sec_too_large(&s, section_replace, full.p, texts[kind]);
		buf_fini(&full);
		sec_free(&s);
	}
}

static void
rules__T81a_bound_on_stored_bytes(void **state)
{
	struct buf b = { 0 };
	struct sec s;

	(void)state;
	sec_new(&s, SECTION_TAGS);
	buf_cstr(&b, "{'a':[''");
	for (int i = 0; i < 33000; i++) /* cost nothing by T-81 */
		buf_cstr(&b, ",''");
	buf_cstr(&b, "]}");
	buf_putc(&b, '\0');
	sec_too_large(&s, section_merge, b.p, "bytes as stored, over the limit of 32768: tags");
	sec_too_large(&s, section_replace, b.p, "bytes as stored, over the limit of 32768: tags");
	s.wr.kind = SECTION_REPORTED;
	sec_changes(&s, section_merge, b.p);
	assert_int_equal(sec_view(&s).size, 1);
	assert_true(s.bytes.n > 32768 && s.bytes.n <= SECTION_STORED_MAX);
	buf_fini(&b);
	sec_free(&s);
}

/* {'a':['','',...],'b':[...]}: bytes that do not count. */
static struct buf
free_bytes(unsigned a, unsigned b)
{
	struct buf out = { 0 };

	buf_cstr(&out, "{'a':[''");
	while (a-- > 1)
		buf_cstr(&out, ",''");
	buf_cstr(&out, "],'b':[''");
	while (b-- > 1)
		buf_cstr(&out, ",''");
	buf_cstr(&out, "]}");
	buf_putc(&out, '\0');
	return out;
}

static void
rules__T82_stored_bytes_over_the_bound_can_shrink(void **state)
{
	struct buf big = free_bytes(20000, 20000), less = free_bytes(20000, 19000),
	           more = free_bytes(20000, 19500);
	struct sec s;

	(void)state;
	sec_with(&s, SECTION_DESIRED, big.p);
	s.wr.kind = SECTION_TAGS;
	sec_changes(&s, section_merge, less.p);
	sec_too_large(&s, section_merge, more.p, "bytes as stored, over the limit of 32768: tags");
	sec_changes(&s, section_merge, "{'b':null}");
	buf_fini(&big);
	buf_fini(&less);
	buf_fini(&more);
	sec_free(&s);
}

/* A section over the limit, as if an older release had allowed it: desired's content under the limit of tags. */
static void
rules__T82_section_over_the_limit_can_shrink(void **state)
{
	struct buf big = members(0, 10, 1000);
	struct sec s;

	(void)state;
	sec_with(&s, SECTION_DESIRED, big.p);
	s.wr.kind = SECTION_TAGS;
	sec_too_large(
	    &s, section_merge, "{'x':1}", "A size of 10009 bytes, over the limit of 8192: tags");
	sec_changes(&s, section_merge, "{'0000':'y'}");
	assert_int_equal(sec_view(&s).size, 9005);
	sec_changes(&s, section_merge, "{'0000':'z'}"); /* no more than before */
	sec_too_large(&s, section_merge, "{'0000':'zz'}", "A size of 9006 bytes");
	sec_changes(&s, section_merge, "{'0001':null}");
	sec_changes(&s, section_merge, "{'x':'1'}");
	assert_int_equal(sec_view(&s).size, 8007);
	buf_fini(&big);
	sec_free(&s);
}

static void
rules__T85_long_paths_keep_limit_and_offender(void **state)
{
	struct buf b = { 0 };
	struct sec s;

	(void)state;
	sec_new(&s, SECTION_DESIRED);
	buf_putc(&b, '{');
	for (int level = 0; level < 9; level++) {
		buf_putc(&b, '\'');
		for (int i = 0; i < 500; i++)
			buf_cstr(&b,
			    "\xE2\x82\xAC"); /* never cut inside a character: the text is valid UTF-8 */
		buf_cstr(&b, "':{");
	}
	buf_cstr(&b, "'last;one':4503599627370496}}}}}}}}}}");
	assert_int_equal(sec_apply(&s, section_merge, buf_view(&b)), ERR_ARG);
	assert_true(strstr(s.fault.text, "A name of 1500 bytes, over the limit of 1024") != NULL);
	assert_true(utf8_valid(str_of(s.fault.text)));
	b.n = 0;
	buf_putc(&b, '{');
	for (int level = 0; level < 9; level++) {
		buf_printf(&b, "'%d", level);
		for (int i = 0; i < 300; i++)
			buf_cstr(&b, "\xE2\x82\xAC");
		buf_cstr(&b, "':{");
	}
	buf_cstr(&b, "'last;one':4503599627370496}}}}}}}}}}");
	assert_int_equal(sec_apply(&s, section_merge, buf_view(&b)), ERR_ARG);
	assert_true(
	    strstr(s.fault.text, "The integer 4503599627370496 is outside") == s.fault.text);
	assert_true(
	    str_ends(str_of(s.fault.text), STR("....last,one"))); /* ';' cannot stand in a fault */
	assert_true(utf8_valid(str_of(s.fault.text)));
	buf_fini(&b);
	sec_free(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules__T73_key_of_1024_bytes),
		cmocka_unit_test(rules__T74_forbidden_characters_in_keys),
		cmocka_unit_test(rules__T75_all_kinds_of_values),
		cmocka_unit_test(rules__T76_integers_within_2_to_the_52),
		cmocka_unit_test(rules__T77_integers_and_doubles_keep_their_kind),
		cmocka_unit_test(rules__T78_string_of_4096_bytes),
		cmocka_unit_test(rules__T78_date_like_strings_stay),
		cmocka_unit_test(rules__T79_ten_levels),
		cmocka_unit_test(rules__T81_counted_size),
		cmocka_unit_test(rules__T81_control_characters_are_not_counted_anywhere),
		cmocka_unit_test(rules__T81_size_follows_every_merge),
		cmocka_unit_test(rules__T80_limit_of_each_section),
		cmocka_unit_test(rules__T81a_bound_on_stored_bytes),
		cmocka_unit_test(rules__T82_stored_bytes_over_the_bound_can_shrink),
		cmocka_unit_test(rules__T82_section_over_the_limit_can_shrink),
		cmocka_unit_test(rules__T85_long_paths_keep_limit_and_offender),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
