/* Lines of logfmt: what somebody sent looks like nothing else; lines and values are bounded. Repeats are folded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "log/priv.h"
#include "rnd.h"

static const char *
value(const char *bytes, size_t n)
{
	static struct log_line l;

	l.json = false;
	l.n = 0;
	l.cut = false;
	log_line_put(&l, "k", (struct str){ bytes, n });
	l.text[l.n] = '\0';
	return l.text;
}

#define V(literal) value(literal, sizeof(literal) - 1)

static void
log_line__is_logfmt(void **state)
{
	struct log_line l = { 0 };

	(void)state;
	log_line_begin(&l, 1, LOG_WARN, STR("two words"));
	log_line_put(&l, "device", STR("d-1.x:y"));
	log_line_put(&l, "module", STR_NONE);
	log_line_number(&l, "count", 7);
	log_line_end(&l);
	l.text[l.n] = '\0';
	assert_string_equal(l.text,
	    "ts=1970-01-01T00:00:00.0000010Z level=warn msg=\"two words\" device=d-1.x:y "
	    "count=7\n");
}

static void
log_line__O17_is_json_with_the_same_keys(void **state)
{
	struct log_line l = { .json = true };
	char big[3 * LOG_VALUE_MAX];

	(void)state;
	log_line_begin(&l, 1, LOG_WARN, STR("a \"word\""));
	log_line_put(&l, "module", STR_NONE);
	log_line_put(&l, "device", STR("d\n1"));
	log_line_number(&l, "count", 7);
	log_line_end(&l);
	l.text[l.n] = '\0';
	assert_string_equal(l.text,
	    "{\"ts\":\"1970-01-01T00:00:00.0000010Z\",\"level\":\"warn\",\"msg\":\"a "
	    "\\\"word\\\"\",\"device\":\"d\\n1\",\"count\":7}\n");
	memset(big, 'x', sizeof(big));
	log_line_begin(&l, 1, LOG_WARN, STR("m"));
	for (char key[] = "a"; key[0] < 'z'; key[0]++)
		log_line_put(&l, key, (struct str){ big, sizeof(big) });
	log_line_end(&l);
	assert_true(l.n <= LOG_LINE_MAX);
	assert_memory_equal(l.text + l.n - 6, "...\"}\n", 6);
}

static void
log_line__escapes_what_could_be_taken_for_something_else(void **state)
{
	/* separators, embeddings, overrides, isolates, what has no width */
	static const uint32_t misleading[] = { 0x2028, 0x2029, 0x202a, 0x202b, 0x202c, 0x202d,
		0x202e, 0x2066, 0x2067, 0x2068, 0x2069, 0x200b, 0x200e, 0x200f, 0xfeff };

	(void)state;
	assert_string_equal(V("plain-1.0"), "k=plain-1.0");
	assert_string_equal(V("a b"), "k=\"a b\"");
	assert_string_equal(V("a=b"), "k=\"a=b\"");
	assert_string_equal(V("\"q\\"), "k=\"\\\"q\\\\\"");
	assert_string_equal(V("a\nts=1 level=info\r\t"), "k=\"a\\nts=1 level=info\\r\\t\"");
	assert_string_equal(V("\0\x1b[31m\x7f"), "k=\"\\u0000\\u001b[31m\\u007f\"");
	assert_string_equal(V("\xc2\x9b"
	                      "1m\xc2\x85"),
	    "k=\"\\u009b1m\\u0085\"");                                      /* C1 */
	assert_string_equal(V("\xf3\xa0\x80\x81"), "k=\"\\udb40\\udc01\""); /* a tag */
	for (size_t i = 0; i < sizeof(misleading) / sizeof(misleading[0]); i++) {
		uint32_t c = misleading[i];
		char utf8[] = { (char)(0xe0 | c >> 12), (char)(0x80 | (c >> 6 & 0x3f)),
			(char)(0x80 | (c & 0x3f)) };
		char want[16];

		snprintf(want, sizeof(want), "k=\"\\u%04x\"", (unsigned)c);
		assert_string_equal(value(utf8, sizeof(utf8)), want);
	}
	assert_string_equal(V("\xff\xc3\xed\xa0\x80"), "k=\"\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\"");
	assert_string_equal(V("\xc3\xbc\xf0\x9f\x98\x80"), "k=\"\xc3\xbc\xf0\x9f\x98\x80\"");
}

/* Any bytes make one line of printable UTF-8 that is not too long, and what is in quotes ends where it should. */
/* Where somebody has put his connection string or token: the rest of it stays, as it is what is wrong. */
static void
log_line__O18_secrets_by_their_names_are_left_out(void **state)
{
	static const char *const rows[][2] = {
		{ "HostName=h;DeviceId=d;SharedAccessKey=a+b/c=",
		    "\"HostName=h;DeviceId=d;SharedAccessKey=***\"" },
		{ "HostName=h;SharedAccessKey=ab==;x=1", "\"HostName=h;SharedAccessKey=***;x=1\"" },
		{ "HostName=h;SharedAccessKeyName=owner",
		    "\"HostName=h;SharedAccessKeyName=owner\"" },
		{ "SharedAccessSignature sr=h&sig=ab%2Fc%3D&se=9",
		    "\"SharedAccessSignature sr=h&sig=***&se=9\"" },
		{ "/a?SIG=abc", "\"/a?SIG=***\"" },
		{ "/a%3Fsig%3Dabc", "\"/a%3Fsig%3D***\"" },
		{ "/sig%3Dabc", "\"/sig%3D***\"" },
		{ "password=\"x y\"", "\"password=***\"" },
		{ "password='x", "\"password=***\"" },
		{ "client_secret=x", "\"client_secret=***\"" },
		{ "design=x", "\"design=x\"" },
		{ "key=secondary", "\"key=secondary\"" },
		{ "sig", "sig" },
		{ "sig=", "\"sig=***\"" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct log_line l = { 0 };

		log_line_put(&l, "k", str_of(rows[i][0]));
		l.text[l.n] = '\0';
		assert_string_equal(l.text + 2, rows[i][1]);
	}
}

static void
log_line__any_bytes_make_one_line(void **state)
{
	struct rnd r = { 1 };
	char bytes[3000];
	struct log_line l = { 0 };

	(void)state;
	for (int round = 0; round < 20000; round++) {
		size_t n = rnd_below(&r, round % 10 == 0 ? sizeof(bytes) : 60);

		for (size_t i = 0; i < n; i++)
			bytes[i] = (char)rnd_below(&r, round % 2 ? 256 : 128);
		log_line_begin(&l, 1, LOG_INFO, (struct str){ bytes, n });
		for (int i = 0; i < 6; i++)
			log_line_put(&l, "key", (struct str){ bytes, n });
		log_line_end(&l);
		assert_in_range(l.n, 1, LOG_LINE_MAX);
		assert_true(utf8_valid((struct str){ l.text, l.n }));
		unsigned nquote = 0;
		for (size_t i = 0; i + 1 < l.n; i++) {
			assert_true((unsigned char)l.text[i] >= 0x20 && l.text[i] != 0x7f);
			if (l.text[i] == '\\')
				i++;
			else
				nquote += l.text[i] == '"';
		}
		assert_int_equal(nquote % 2, 0);
		assert_int_equal(l.text[l.n - 1], '\n');
	}
}

static void
log_line__long_values_and_lines_are_cut_and_marked(void **state)
{
	char big[5000];
	struct log_line l = { 0 };

	(void)state;
	memset(big, 'x', sizeof(big));
	assert_int_equal(strlen(value(big, sizeof(big))), 2 + LOG_VALUE_MAX + 3 + 2);
	assert_non_null(strstr(value(big, sizeof(big)), "...\""));
	log_line_begin(&l, 1, LOG_INFO, (struct str){ big, sizeof(big) });
	for (int i = 0; i < 8; i++)
		log_line_put(&l, "key", (struct str){ big, 400 });
	log_line_end(&l);
	assert_true(l.n <= LOG_LINE_MAX && l.n > LOG_LINE_MAX - 450);
}

static struct log_fold fold;

static const struct log_who *
device(const char *id)
{
	static struct log_who w;

	w = (struct log_who){ .device = str_of(id), .address = STR("10.0.0.1:1") };
	return &w;
}

static unsigned
admitted(enum reason r, const struct log_who *w, unsigned n, uint32_t second)
{
	unsigned yes = 0;

	while (n-- > 0)
		yes += log_fold_admits(&fold, r, w, second);
	return yes;
}

static void
fold_begin(void)
{
	memset(&fold, 0, sizeof(fold));
	log_fold_init(&fold);
}

static void
log_fold__O24_ten_a_second_and_a_count(void **state)
{
	struct log_who nobody = { .device = STR_NONE };

	(void)state;
	fold_begin();
	assert_int_equal(admitted(REASON_LEFT, &nobody, 25, 5), 10);
	/* another one has a share of its own */
	assert_int_equal(admitted(REASON_KEEP_ALIVE, &nobody, 1, 5), 1);
	assert_int_equal(log_fold_settle(&fold, REASON_LEFT, 5), 0); /* its second is not over */
	assert_int_equal(log_fold_settle(&fold, REASON_LEFT, 6), 15);
	assert_int_equal(log_fold_settle(&fold, REASON_LEFT, 6), 0);
	assert_int_equal(admitted(REASON_LEFT, &nobody, 1, 6), 1);
}

static void
log_fold__O24_who_repeats_itself_takes_no_line_from_others(void **state)
{
	static struct log_folded out;
	uint32_t at = 0;

	(void)state;
	fold_begin();
	assert_int_equal(admitted(REASON_KEY_SIGNATURE, device("loud"), 1000, 5), LOG_REPEATS);
	assert_int_equal(admitted(REASON_KEY_SIGNATURE, device("quiet"), 1, 5), 1);
	assert_int_equal(admitted(REASON_LEFT, device("loud"), 1, 5), 1);
	assert_false(
	    log_fold_next(&fold, &at, 5 + LOG_SPAN_S - 1, &out)); /* its span is not over */
	at = 0;
	assert_true(log_fold_next(&fold, &at, 5 + LOG_SPAN_S, &out));
	assert_int_equal(out.reason, REASON_KEY_SIGNATURE);
	assert_true(str_eq(out.who.device, STR("loud")) && out.who.address.n == 0);
	assert_int_equal(out.count, 997);
	assert_int_equal(out.seconds, LOG_SPAN_S);
	assert_false(log_fold_next(&fold, &at, 5 + LOG_SPAN_S, &out));
}

static void
log_fold__O24_a_span_with_repeats_is_followed_by_a_longer_one(void **state)
{
	static struct log_folded out;
	unsigned lines = 0, counts = 0, sum = 0;
	uint32_t at;

	(void)state;
	fold_begin();
	for (uint32_t second = 1; second <= 3600; second++) {
		lines += admitted(REASON_KEY_SIGNATURE, device("loop"), 1, second);
		for (at = 0; log_fold_next(&fold, &at, second, &out); counts++)
			sum += out.count;
	}
	for (at = 0; log_fold_next(&fold, &at, UINT32_MAX, &out);)
		sum += out.count;
	assert_int_equal(lines + sum, 3600); /* none is missing */
	assert_in_range(counts, 10, 20);
	assert_int_equal(lines % LOG_REPEATS, 0);
	assert_in_range(lines, 30, 60);
}

static void
log_fold__O24_the_port_and_the_path_make_nobody_new(void **state)
{
	struct log_who one = { .policy = STR("service"), .address = STR("10.0.0.1:1") },
	               same = { .policy = STR("service"), .address = STR("10.0.0.1:2") },
	               other = { .policy = STR("service"), .address = STR("10.0.0.2:1") },
	               six = { .address = STR("[fd00::1]:1") };
	static struct log_folded out;
	uint32_t at = 0;

	(void)state;
	fold_begin();
	assert_int_equal(admitted(REASON_FAILED, &one, 2, 5) + admitted(REASON_FAILED, &same, 2, 5),
	    LOG_REPEATS);
	assert_int_equal(admitted(REASON_FAILED, &other, 1, 5), 1);
	assert_true(log_fold_next(&fold, &at, 100, &out));
	assert_true(str_eq(out.who.policy, STR("service")));
	assert_true(str_eq(out.who.address, STR("10.0.0.1")));
	assert_int_equal(admitted(REASON_TLS_FAILED, &six, 4, 5), LOG_REPEATS);
	at = 0;
	assert_true(log_fold_next(&fold, &at, 200, &out));
	assert_true(str_eq(out.who.address, STR("[fd00::1]")));
}

/* A stranger with many names makes the table forget, and no line: the sum of lines and counts is what came. */
static void
log_fold__O24_many_names_lose_no_count(void **state)
{
	static struct log_folded out;
	unsigned sum = 0;
	char id[ID_MAX];
	uint32_t at = 0;

	(void)state;
	fold_begin();
	for (unsigned i = 0; i < 20000; i++) {
		snprintf(id, sizeof(id), "%0100u", i);
		sum += admitted(REASON_IDENTITY_UNKNOWN, device(id), 5, 5);
	}
	assert_int_equal(sum, LOG_SAME_MAX);
	while (log_fold_next(&fold, &at, UINT32_MAX, &out))
		sum += out.count;
	sum += log_fold_settle(&fold, REASON_IDENTITY_UNKNOWN, UINT32_MAX);
	assert_int_equal(sum, 100000);
}

static void
reason__ids_are_words_and_differ(void **state)
{
	(void)state;
	for (unsigned i = 0; i < REASONS; i++) {
		const char *id = reason_id((enum reason)i);

		assert_true(
		    strlen(id) > 0 && strspn(id, "abcdefghijklmnopqrstuvwxyz-") == strlen(id));
		assert_true(strlen(reason_text((enum reason)i)) > 0);
		assert_null(strchr(reason_text((enum reason)i), ';')); /* it goes into faults */
		for (unsigned k = 0; k < i; k++)
			assert_string_not_equal(id, reason_id((enum reason)k));
	}
	assert_string_equal(reason_id((enum reason)REASONS), "none");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(log_line__is_logfmt),
		cmocka_unit_test(log_line__O17_is_json_with_the_same_keys),
		cmocka_unit_test(log_line__escapes_what_could_be_taken_for_something_else),
		cmocka_unit_test(log_line__O18_secrets_by_their_names_are_left_out),
		cmocka_unit_test(log_line__any_bytes_make_one_line),
		cmocka_unit_test(log_line__long_values_and_lines_are_cut_and_marked),
		cmocka_unit_test(log_fold__O24_ten_a_second_and_a_count),
		cmocka_unit_test(log_fold__O24_who_repeats_itself_takes_no_line_from_others),
		cmocka_unit_test(log_fold__O24_a_span_with_repeats_is_followed_by_a_longer_one),
		cmocka_unit_test(log_fold__O24_the_port_and_the_path_make_nobody_new),
		cmocka_unit_test(log_fold__O24_many_names_lose_no_count),
		cmocka_unit_test(reason__ids_are_words_and_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
