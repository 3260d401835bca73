/* Events as lines of files (E-45), in a directory of the disk. */
#include "sink_kit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/os.h"

static char dir[256];
static struct senders *all;

static int
setup(void **state)
{
	struct senders_options o = { .dir = dir };
	struct fault f;

	(void)state;
	snprintf(dir, sizeof dir, "%s/twinhub-sink-XXXXXX",
	    getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	return mkdtemp(dir) != NULL && senders_new(&o, &all, &f) == ERR_OK ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	senders_free(all);
	return os_remove_tree(dir, 4, NULL) == ERR_OK ? 0 : -1;
}

static const char *
path_of(const char *name)
{
	static char path[512];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	return path;
}

static void
assert_file(const char *name, const char *content)
{
	struct buf b = { 0 };

	assert_int_equal(os_read_file(path_of(name), 1 << 20, &b, NULL), ERR_OK);
	buf_putc(&b, '\0');
	assert_string_equal(b.p, content);
	buf_fini(&b);
}

static void
put_file(const char *name, const char *content)
{
	int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0 && os_write_all(fd, str_of(content)));
	close(fd);
}

static struct sender *
sender_of(const char *path, uint64_t max_bytes, uint32_t files)
{
	struct sink_spec spec = { .kind = SINK_FILE,
		.name = STR("f"),
		.path = str_of(path),
		.max_bytes = max_bytes,
		.files = files };
	struct sender *s;
	struct fault f;

	assert_int_equal(sender_new(all, &spec, &s, &f), ERR_OK);
	return s;
}

static void
file__E45_lines_are_appended_below_the_directory(void **state)
{
	struct sender *s = sender_of("a/b/events.ndjson", 1 << 20, 3);
	struct sender_state st;
	struct owner o;

	(void)state;
	owner_init(&o);
	owner_fill(&o, 1, 2);
	assert_true(sender_offer(s, &o.batch));
	assert_true(owner_await(&o, 1));
	owner_fill(&o, 3, 1);
	assert_true(sender_offer(s, &o.batch));
	assert_true(owner_await(&o, 2));
	assert_file("a/b/events.ndjson", "{\"id\":\"1\"}\n{\"id\":\"2\"}\n{\"id\":\"3\"}\n");
	sender_look(s, &st);
	assert_int_equal(st.phase, SENDER_IDLE);
	assert_int_equal(st.delivered, 3);
	assert_true(st.success_us > 0 && st.error_us == 0);
	sender_end(s);
	assert_int_equal(o.nover, 2);
	owner_fini(&o);
}

static void
file__E45_a_full_file_gets_a_number(void **state)
{
	/* a line has eleven bytes */
	struct sender *s = sender_of("r", 24, 2);
	struct owner o;

	(void)state;
	owner_init(&o);
	for (unsigned i = 1; i <= 7; i++) {
		owner_fill(&o, i, 1);
		assert_true(sender_offer(s, &o.batch));
		assert_true(owner_await(&o, i));
	}
	assert_file("r", "{\"id\":\"7\"}\n");
	assert_file("r.1", "{\"id\":\"5\"}\n{\"id\":\"6\"}\n");
	assert_file("r.2", "{\"id\":\"3\"}\n{\"id\":\"4\"}\n");
	assert_int_equal(access(path_of("r.3"), F_OK), -1);
	sender_end(s);
	owner_fini(&o);
}

static void
file__E45_half_a_line_is_cut_off(void **state)
{
	struct sender *s;
	struct owner o;
	char torn[9000];

	(void)state;
	memset(torn, 'x', sizeof torn);
	memcpy(torn, "{}\n", 3);
	torn[sizeof torn - 1] = '\0';
	put_file("torn", torn);
	put_file("all-torn", "{\"id\"");
	owner_init(&o);
	owner_fill(&o, 1, 1);
	s = sender_of("torn", 1 << 20, 1);
	assert_true(sender_offer(s, &o.batch));
	assert_true(owner_await(&o, 1));
	assert_file("torn", "{}\n{\"id\":\"1\"}\n");
	sender_end(s);
	s = sender_of("all-torn", 1 << 20, 1);
	assert_true(sender_offer(s, &o.batch));
	assert_true(owner_await(&o, 2));
	assert_file("all-torn", "{\"id\":\"1\"}\n");
	sender_end(s);
	owner_fini(&o);
}

/* It fails, and goes on to fail, until it is told to end. */
static void
assert_not_written(const char *path)
{
	struct sender *s = sender_of(path, 1 << 20, 1);
	struct sender_state st;
	struct owner o;

	owner_init(&o);
	owner_fill(&o, 1, 1);
	assert_true(sender_offer(s, &o.batch));
	do {
		sender_look(s, &st);
		usleep(1000);
	} while (st.attempts == 0);
	assert_int_equal(st.phase, SENDER_WAITING);
	assert_non_null(strstr(st.error, path));
	assert_true(st.error_us > 0 && st.delivered == 0);
	assert_int_equal(o.nover, 0);
	assert_false(sender_offer(s, &o.batch));
	sender_end(s);
	assert_int_equal(o.nover, 1);
	assert_false(o.taken);
	owner_fini(&o);
}

static void
file__E45_no_link_is_followed(void **state)
{
	(void)state;
	put_file("outside", "kept\n");
	assert_int_equal(mkdir(path_of("real"), 0700), 0);
	assert_int_equal(symlink("outside", path_of("link")), 0);
	assert_int_equal(symlink("/tmp", path_of("linked")), 0);
	assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
	assert_not_written("link");
	assert_not_written("linked/events");
	assert_not_written("fifo");
	assert_not_written("real");
	assert_file("outside", "kept\n");
	assert_int_equal(access("/tmp/events", F_OK), -1);
}

static void
file__E45_no_way_out_of_the_directory(void **state)
{
	static const char *const bad[] = { "", "/etc/x", "../x", "a/../../x", "a//b", "./a", "a/",
		"." };
	struct senders_options o = { .dir = NULL };
	struct sink_spec spec = { .kind = SINK_FILE, .name = STR("f") };
	struct senders *none;
	struct sender *s;
	struct fault f;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		spec.path = str_of(bad[i]);
		assert_int_equal(sender_new(all, &spec, &s, &f), ERR_ARG);
	}
	spec.path = STR("a");
	assert_int_equal(senders_new(&o, &none, &f), ERR_OK);
	assert_int_equal(sender_new(none, &spec, &s, &f), ERR_ARG);
	assert_non_null(strstr(f.text, "--sink-dir"));
	senders_free(none);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(file__E45_lines_are_appended_below_the_directory),
		cmocka_unit_test(file__E45_a_full_file_gets_a_number),
		cmocka_unit_test(file__E45_half_a_line_is_cut_off),
		cmocka_unit_test(file__E45_no_link_is_followed),
		cmocka_unit_test(file__E45_no_way_out_of_the_directory),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
