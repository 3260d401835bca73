/* The options of `serve`: the table itself, and that the file and the command line are read by it alike. */
#include "log/log.h"
#include "os/os.h"
#include "server/server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64], why[1024];
static struct server_options o;

static int
setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/twinhub-options-XXXXXX");
	return mkdtemp(dir) == NULL;
}

static int
teardown(void **state)
{
	(void)state;
	os_remove_tree(dir, 2, NULL);
	return 0;
}

static void
write_bytes(struct str text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/twinhub.conf", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(text.p, 1, text.n, f), text.n);
	assert_int_equal(fclose(f), 0);
}

static void
write_conf(const char *text)
{
	write_bytes(str_of(text));
}

/* What options_idle tells, a line for each. */
static struct buf idle;

static void
on_idle(void *ctx, const char *text)
{
	(void)ctx;
	buf_printf(&idle, "%s\n", text);
}

static const char *
idle_of(void)
{
	idle.n = 0;
	options_idle(&o, on_idle, NULL);
	buf_putc(&idle, '\0');
	return idle.p;
}

/* What is said; "" when all is taken. */
static const char *
parse(char *const *words)
{
	char *argv[16] = { "--data", dir };
	int n = 2;
	enum err e;

	for (; words[n - 2] != NULL; n++)
		argv[n] = words[n - 2];
	why[0] = '\0';
	e = options_parse(n, argv, &o, why, sizeof(why));
	assert_int_equal(e == ERR_OK, why[0] == '\0');
	return why;
}

#define WORDS(...) ((char *[]){ __VA_ARGS__, NULL })
#define NOTHING    ((char *[]){ NULL })

static void
settings__each_row_is_whole(void **state)
{
	uint64_t number;

	(void)state;
	for (unsigned i = 0; i < server_settings.n; i++) {
		const struct option_spec *spec = &server_settings.v[i];

		assert_non_null(spec->help);
		assert_int_equal(option_find(&server_settings, str_of(spec->name)), i);
		assert_int_equal(spec->value == NULL, spec->kind == OPTION_SWITCH);
		assert_true(spec->kind != OPTION_NUMBER || spec->least < spec->most);
		assert_int_equal(spec->words != NULL, spec->kind == OPTION_WORD);
		assert_true(spec->fallback == NULL || spec->otherwise == NULL);
		if (spec->fallback != NULL)
			assert_int_equal(
			    option_judge(spec, spec->fallback, &number, why, sizeof(why)), ERR_OK);
	}
}

static void
settings__words_of_the_log_level_are_its_levels(void **state)
{
	(void)state;
	for (int level = LOG_ERROR; level <= LOG_DEBUG; level++) {
		char word[64];

		snprintf(
		    word, sizeof(word), "--log-level=%s", log_level_name((enum log_level)level));
		assert_string_equal(parse(WORDS(word)), "");
		assert_int_equal(o.log_level, level);
	}
}

static void
settings__defaults_are_what_they_were(void **state)
{
	(void)state;
	assert_string_equal(parse(NOTHING), "");
	assert_int_equal(o.mqtts_port, 8883);
	assert_int_equal(o.https_port, 443);
	assert_int_equal(o.mqtt_port, 0);
	assert_int_equal(o.memory_bytes, 0);
	assert_int_equal(o.max_devices, 1000000);
	assert_int_equal(o.connect_timeout_s, 30);
	assert_int_equal(o.request_timeout_s, 30);
	assert_int_equal(o.query_timeout_s, 60);
	assert_int_equal(o.token_skew_s, 300);
	assert_int_equal(o.log_max_bytes, 1 << 30);
	assert_int_equal(o.log_max_age_s, 86400);
	assert_int_equal(o.free_space_bytes, 64 << 20);
	assert_int_equal(o.scrub_bytes, 4 << 20);
	assert_int_equal(o.log_level, LOG_INFO);
	assert_false(o.verify || o.tls_legacy || o.strict_queries);
	assert_null(o.log_file);
}

static void
settings__the_line_wins_over_the_file_and_its_lists_replace(void **state)
{
	(void)state;
	write_conf("# a comment\n\n  workers   3 \nhostname a\r\nhostname b\nbind 127.0.0.1\n"
	           "tls-legacy yes\nlog-file /with blanks in/it\n");
	assert_string_equal(parse(WORDS("--hostname", "c", "--workers=4")), "");
	assert_int_equal(o.workers, 4);
	assert_int_equal(o.hostnames.n, 1);
	assert_string_equal(o.hostnames.v[0], "c");
	assert_int_equal(o.binds.n, 1);
	assert_true(o.tls_legacy);
	assert_string_equal(o.log_file, "/with blanks in/it");
	assert_string_equal(parse(WORDS("--tls-legacy=no")), "");
	assert_int_equal(o.workers, 3);
	assert_int_equal(o.hostnames.n, 2);
	assert_string_equal(o.hostnames.v[0], "a");
	assert_false(o.tls_legacy);
}

/* Each row that has a range: the same words of refusal by both ways, the file's with its line. */
static void
settings__a_wrong_value_is_refused_alike_on_the_line_and_in_the_file(void **state)
{
	char line[256], expected[1024];
	unsigned judged = 0;

	(void)state;
	for (unsigned i = 0; i < server_settings.n; i++) {
		const struct option_spec *spec = &server_settings.v[i];
		uint64_t number;

		if (spec->line_only ||
		    option_judge(spec, "+1", &number, why, sizeof(why)) == ERR_OK)
			continue;
		judged++;
		write_conf("");
		snprintf(line, sizeof(line), "--%s=+1", spec->name);
		snprintf(expected, sizeof(expected), "%s", parse(WORDS(line)));
		assert_true(str_starts(str_of(expected + 2), str_of(spec->name)));
		snprintf(line, sizeof(line), "\n%s +1\n", spec->name);
		write_conf(line);
		parse(NOTHING);
		assert_non_null(strstr(why, "twinhub.conf, line 2: "));
		assert_string_equal(strstr(why, "--"), expected);
	}
	assert_true(judged >= 20);
}

/* What stands in the file and would not do what it seems to, with the hint that helps; no more of it is told than its name. */
static void
settings__O101_what_is_no_setting_is_refused_by_line(void **state)
{
	static const struct {
		const char *line, *expected;
	} cases[] = {
		{ "config /elsewhere", "'config' is for the command line only" },
		{ "nothing 1", "'nothing' is no setting (see twinhub serve --help)" },
		{ "max-device 7", "'max-device' is no setting; did you mean max-devices?" },
		{ "max_devices 7", "'max_devices' is no setting; did you mean max-devices?" },
		{ "Max-Devices 7", "'Max-Devices' is no setting; did you mean max-devices?" },
		{ "max-devices: 7",
		    "max-devices and its value have a blank between them, no '=' or ':'" },
		{ "cluster:postgresql://u:hidden@h/d",
		    "cluster and its value have a blank between them, no '=' or ':'" },
		{ "clusterx:postgresql://u:hidden@h/d",
		    "'clusterx' is no setting; did you mean cluster?" },
		{ "host a.test", "'host' is no setting; did you mean hostname?" },
		{ "checks yes", "'checks' is no setting (see twinhub serve --help)" },
		{ "workers", "workers needs a value" },
		{ "--workers 1", "'--workers' is no setting: names have no dashes in front" },
		{ "workers=1", "workers and its value have a blank between them, no '=' or ':'" },
		{ "log-file = x",
		    "log-file and its value have a blank between them, no '=' or ':'" },
		{ "log-file \"/x\"", "log-file has its value without quotes" },
		{ "hostname 'a'", "hostname has its value without quotes" },
		{ "log-file /x # here",
		    "log-file has a comment behind its value, which needs a line of its own" },
		{ "clusters postgresql://u:hidden@h/d",
		    "'clusters' is no setting; did you mean cluster?" },
		{ "cluster=postgresql://u:hidden@h/d",
		    "cluster and its value have a blank between them, no '=' or ':'" },
		{ "\x1b[31mred", "'\\u001b[31mred' is no setting (see twinhub serve --help)" },
		{ "\xff\xfe", "'\\ufffd\\ufffd' is no setting (see twinhub serve --help)" },
		{ "workers \x1b[31m", "--workers \\u001b[31m: not a number from 1 to 64, or 0" },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[128], expected[256];

		snprintf(text, sizeof(text), "# first\n%s\n", cases[i].line);
		snprintf(expected, sizeof(expected), "%s/twinhub.conf, line 2: %s", dir,
		    cases[i].expected);
		write_conf(text);
		assert_string_equal(parse(NOTHING), expected);
	}
	write_conf("");
	assert_string_equal(parse(WORDS("x")), "unexpected argument 'x'");
	assert_non_null(strstr(parse(WORDS("--nothing")), "serve has no option '--nothing'"));
	assert_string_equal(
	    parse(WORDS("--cert", "c")), "--cert and --key go in pairs, at most two");
	assert_string_equal(parse(WORDS("--log-file=")), "--log-file needs a value");
}

static void
settings__O101_a_file_that_is_no_text_is_refused(void **state)
{
	static char line[5000];
	char expected[128];

	(void)state;
	write_bytes(STR("workers 1\nhostname a\0b\n"));
	snprintf(expected, sizeof(expected),
	    "%s/twinhub.conf, line 2: a byte 0 is in it: this is no text", dir);
	assert_string_equal(parse(NOTHING), expected);
	memset(line, 'a', sizeof(line) - 1);
	memcpy(line, "log-file ", 9);
	line[4096] = '\n';
	write_bytes((struct str){ line, 4097 });
	assert_string_equal(parse(NOTHING), "");
	line[4096] = 'a';
	write_conf(line);
	assert_non_null(strstr(parse(NOTHING), "line 1: it has 4999 bytes, and 4096 are the most"));
}

static void
settings__O101_editors_of_other_systems_are_understood(void **state)
{
	(void)state;
	write_conf("\xef\xbb\xbfworkers\t3\r\nhostname \t a.test\t\r\nbind ::\r\n\r\n\t# a "
	           "comment\r\nio-threads 2");
	assert_string_equal(parse(NOTHING), "");
	assert_int_equal(o.workers, 3);
	assert_int_equal(o.io_threads, 2);
	assert_string_equal(o.hostnames.v[0], "a.test");
}

static void
settings__a_host_has_a_name_that_clients_can_dial(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		static char *const good[] = { "a.test", "10.0.0.5", "::1", "under_score-1" };
		static char *const bad[] = { "", "a.test b.test", "a.test,b.test", "https://a" };

		assert_string_equal(parse(WORDS("--hostname", good[i])), "");
		assert_non_null(strstr(parse(WORDS("--hostname", bad[i])), ": not one name, of"));
	}
}

static void
settings__a_list_takes_so_many_and_says_so(void **state)
{
	struct buf text = { 0 };

	(void)state;
	for (unsigned i = 0; i < LIST_MAX; i++)
		buf_printf(&text, "hostname h%u\n", i);
	buf_putc(&text, '\0');
	write_conf(text.p);
	assert_string_equal(parse(NOTHING), "");
	assert_int_equal(o.hostnames.n, LIST_MAX);
	text.n--;
	buf_cstr(&text, "hostname more\n");
	buf_putc(&text, '\0');
	write_conf(text.p);
	assert_non_null(strstr(parse(NOTHING), "line 33: --hostname is given more than 32 times"));
	buf_fini(&text);
}

/* What only a start would find out is found out before it begins. */
static void
settings__nets_and_limits_are_read_before_anything_starts(void **state)
{
	(void)state;
	assert_string_equal(
	    parse(WORDS("--proxy", "10.0.0.0/8", "--rate-limit", "device:updates=10/s")), "");
	assert_non_null(
	    strstr(parse(WORDS("--proxy", "10.0.0.1/8")), "--proxy 10.0.0.1/8: not an"));
	assert_non_null(
	    strstr(parse(WORDS("--address-free", "here")), "--address-free here: not an address"));
	assert_non_null(strstr(parse(WORDS("--rate-limit", "device:naps=1/s")), "naps"));
	assert_int_equal(options_parse(0, (char *[]){ NULL }, &o, why, sizeof(why)), ERR_ARG);
	assert_string_equal(why, "--data DIR is needed");
}

/* The template says of every setting what holds anyway: read without its marks it changes nothing. */
static void
settings__the_template_is_good_and_changes_nothing(void **state)
{
	struct server_options before;
	struct buf text = { 0 }, conf = { 0 };
	struct str rest, line, name, value;
	unsigned n = 0;

	(void)state;
	write_conf("");
	assert_string_equal(parse(NOTHING), "");
	before = o;
	options_template(&text);
	rest = buf_view(&text);
	while (rest.n > 0) {
		int row;

		str_cut(rest, '\n', &line, &rest);
		if (!str_starts(line, STR("# ")))
			continue;
		str_cut(str_sub(line, 2), ' ', &name, &value);
		row = option_find(&server_settings, name);
		if (row < 0 || server_settings.v[row].fallback == NULL ||
		    !str_eq(value, str_of(server_settings.v[row].fallback)))
			continue;
		n++;
		buf_str(&conf, str_sub(line, 2));
		buf_putc(&conf, '\n');
	}
	buf_putc(&conf, '\0');
	write_conf(conf.p);
	assert_string_equal(parse(NOTHING), "");
	assert_true(o.given != before.given); /* as somebody has */
	o.given = before.given;
	memset(o.told, 0, sizeof(o.told)); /* that they stand in a file now is all the difference */
	memset(before.told, 0, sizeof(before.told));
	assert_memory_equal(&o, &before, sizeof(o));
	assert_true(n >= 20);
	buf_fini(&text);
	buf_fini(&conf);
}

/* ---- O-100, O-101 ---- */

static void
settings__O100_line_then_environment_then_file(void **state)
{
	(void)state;
	write_conf("max-devices 1\nworkers 1\nmemory 64M\nhostname file.test\nhostname two.test\n");
	setenv("TWINHUB_MAX_DEVICES", "2", 1);
	setenv("TWINHUB_WORKERS", "2", 1);
	setenv("TWINHUB_HOSTNAME", " one.test  other.test\t\nthird.test\n", 1);
	setenv("TWINHUB_PORT", "tcp://10.0.0.1:443", 1); /* a cluster's */
	assert_string_equal(parse(WORDS("--max-devices", "3")), "");
	assert_int_equal(o.max_devices, 3);
	assert_int_equal(o.workers, 2);
	assert_int_equal(o.memory_bytes, 64 << 20);
	assert_int_equal(o.hostnames.n, 3);
	assert_string_equal(o.hostnames.v[0], "one.test");
	assert_string_equal(o.hostnames.v[1], "other.test");
	assert_string_equal(o.hostnames.v[2], "third.test");
	setenv("TWINHUB_WORKERS", "many", 1);
	parse(NOTHING);
	assert_non_null(strstr(why, "TWINHUB_WORKERS in the environment: "));
	unsetenv("TWINHUB_MAX_DEVICES");
	unsetenv("TWINHUB_WORKERS");
	unsetenv("TWINHUB_HOSTNAME");
	unsetenv("TWINHUB_PORT");
}

/* Blanks around a value are no part of it, of the one that leads to the file neither. */
static void
settings__O100_blanks_around_data_are_not_its(void **state)
{
	char text[128];

	(void)state;
	write_conf("workers 3\n");
	snprintf(text, sizeof(text), " %s\n", dir);
	setenv("TWINHUB_DATA", text, 1);
	setenv("TWINHUB_CONFIG", " \n", 1);
	assert_int_equal(options_parse(0, NOTHING, &o, why, sizeof(why)), ERR_OK);
	assert_string_equal(o.data, dir);
	assert_int_equal(o.workers, 3);
	unsetenv("TWINHUB_DATA");
	unsetenv("TWINHUB_CONFIG");
}

/* Not silently: a line that another one has taken the place of. What an environment says in place of both is no matter of the file's. */
static void
settings__O101_of_two_lines_the_last_counts_and_that_is_told(void **state)
{
	char expected[256];

	(void)state;
	write_conf("workers 1\n# comment\nhostname a\nhostname b\nworkers 2\nworkers 3\n");
	assert_string_equal(parse(NOTHING), "");
	assert_int_equal(o.workers, 3);
	snprintf(expected, sizeof(expected),
	    "%s/twinhub.conf: workers in line 6 takes the place of line 5\n", dir);
	assert_string_equal(idle_of(), expected);
	assert_string_equal(parse(WORDS("--workers", "4")), "");
	assert_string_equal(idle_of(), "");
}

static void
settings__O101_a_named_file_is_read_instead(void **state)
{
	char path[128], line[160], expected[256], there[256];
	char *argv[] = { "--config", path };
	FILE *f;

	(void)state;
	write_conf("workers 1\n");
	snprintf(path, sizeof(path), "%s/named.conf", dir);
	assert_int_equal(options_parse(2, argv, &o, why, sizeof(why)), ERR_ARG); /* it is missing */
	assert_non_null(strstr(why, "named.conf cannot be read"));
	f = fopen(path, "w");
	assert_non_null(f);
	snprintf(line, sizeof(line), "data %s\nmax-devices 7\n", dir);
	fputs(line, f);
	fclose(f);
	assert_int_equal(options_parse(2, argv, &o, why, sizeof(why)), ERR_OK);
	assert_string_equal(o.data, dir);
	assert_int_equal(o.max_devices, 7);
	assert_int_equal(o.workers, 0);
	snprintf(expected, sizeof(expected), "%s/twinhub.conf is ignored: the settings are in %s\n",
	    dir, path);
	assert_string_equal(idle_of(), expected);
	/* another name of the same file is not another file */
	write_conf(line);
	snprintf(there, sizeof(there), "%s/./twinhub.conf", dir);
	argv[1] = there;
	assert_int_equal(options_parse(2, argv, &o, why, sizeof(why)), ERR_OK);
	assert_string_equal(idle_of(), "");
	unlink(path);
}

static void
settings__O101_data_means_nothing_in_its_own_file(void **state)
{
	(void)state;
	write_conf("data /nowhere\n");
	assert_string_equal(parse(NOTHING), "");
	assert_string_equal(o.data, dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(settings__each_row_is_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    settings__O100_line_then_environment_then_file, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    settings__O101_a_named_file_is_read_instead, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    settings__O101_data_means_nothing_in_its_own_file, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    settings__words_of_the_log_level_are_its_levels, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    settings__defaults_are_what_they_were, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    settings__the_line_wins_over_the_file_and_its_lists_replace, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    settings__a_wrong_value_is_refused_alike_on_the_line_and_in_the_file, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    settings__O100_blanks_around_data_are_not_its, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    settings__O101_of_two_lines_the_last_counts_and_that_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    settings__O101_what_is_no_setting_is_refused_by_line, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    settings__O101_a_file_that_is_no_text_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    settings__O101_editors_of_other_systems_are_understood, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    settings__a_host_has_a_name_that_clients_can_dial, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    settings__a_list_takes_so_many_and_says_so, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    settings__nets_and_limits_are_read_before_anything_starts, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    settings__the_template_is_good_and_changes_nothing, setup, teardown),
	};

	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	buf_fini(&idle);
	return failed;
}
