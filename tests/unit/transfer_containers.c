/* Containers: whose fault it is that one cannot be opened. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "transfer/files.h"

static int
container(struct str uri, struct fault *f)
{
	struct container_root root;
	char why[256];
	int fd;

	*f = (struct fault){ 0 };
	assert_int_equal(root_open(&root, "/", why, sizeof(why)), ERR_OK);
	fd = container_open(&root, 1, uri, f);
	close(root.fd);
	if (fd >= 0)
		close(fd);
	return fd;
}

static void
container__that_is_none_is_its_own_fault(void **state)
{
	static const char *const none[] = { "file:///none/here", "file:///proc/none",
		"file:///proc/version", "file:///proc/self/..", "https://a.blob/c", "" };
	struct fault f;

	(void)state;
	assert_true(container(STR("file:///proc"), &f) >= 0);
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		assert_int_equal(container(str_of(none[i]), &f), -1);
		assert_int_equal(f.code, F_BlobContainerValidationError);
	}
}

/* Descriptors that the process has not left: on the way down at the root itself, and below it. */
static void
container__that_lacks_a_descriptor_may_be_asked_for_again(void **state)
{
	struct rlimit was, low;
	struct fault f;
	int next = dup(0);

	(void)state;
	close(next);
	getrlimit(RLIMIT_NOFILE, &was);
	for (rlim_t room = 1; room <= 2; room++) { /* the first is root_open's */
		low = was;
		low.rlim_cur = (rlim_t)next + room;
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
		assert_int_equal(container(STR("file:///proc"), &f), -1);
		setrlimit(RLIMIT_NOFILE, &was);
		assert_int_equal(f.code, F_ServiceUnavailable);
	}
	assert_true(container(STR("file:///proc"), &f) >= 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(container__that_is_none_is_its_own_fault),
		cmocka_unit_test(container__that_lacks_a_descriptor_may_be_asked_for_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
