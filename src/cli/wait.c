/* wait: until a hub is ready. stop: until the one on a data directory has ended. */
#include "cli/priv.h"
#include "os/os.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#define PAUSE_US 100000 /* between two looks */

static void
say_state(const struct args *a, const char *state)
{
	struct buf json = { 0 };
	struct out o = out_to(&json);

	if (!output_json(a)) {
		printf("%s\n", state);
		return;
	}
	out_open(&o);
	out_cstr(out_key(&o, "status"), state);
	out_close(&o);
	json_say(&json);
}

/* ---- wait ---- */

/* EXIT_UNREACHABLE with why: not yet. Another code: never, and it has been said. */
static int
target_look(const struct args *a, struct target *t, char why[WHY_MAX])
{
	const char *dir = a->option[OPT_CONNECTION] == NULL ? data_named(a) : NULL;
	struct endpoint e;

	/* Both files are made by the start that is waited for. */
	if (dir != NULL && endpoint_read(dir, &e) == ERR_NOT_FOUND) {
		snprintf(why, WHY_MAX, "no hub has been started on %s yet", dir);
		return EXIT_UNREACHABLE;
	}
	return target_open(a, t);
}

/* Is it ready, for answers and for changes? */
static int
look(const struct args *a, uint64_t left_s, char why[WHY_MAX])
{
	struct answer answer = { 0 };
	struct target t = { 0 };
	char refusal[WHY_MAX];
	int code = target_look(a, &t, why);

	if (code != EXIT_DONE)
		goto done;
	t.timeout_s = left_s;
	code = hub_try(&t, &(struct ask){ .method = GET, .path = "/readyz" }, &answer, refusal);
	if (code == EXIT_DONE &&
	    !str_eq(doc_text(doc_getc(doc_of(buf_view(&answer.doc)), "status")), STR("ready"))) {
		snprintf(refusal, sizeof(refusal), "what answers there is no hub");
		code = EXIT_FAILED;
	}
	if (code != EXIT_DONE)
		snprintf(why, WHY_MAX, "%s", refusal);
	if (code != EXIT_DONE)
		code = EXIT_UNREACHABLE;
done:
	answer_fini(&answer);
	target_fini(&t);
	return code;
}

int
cli_wait(const struct args *a)
{
	uint64_t timeout_s = a->number[OPT_TIMEOUT];
	int64_t until_us = clock_mono_us() + (int64_t)timeout_s * 1000000, left_us;
	char why[WHY_MAX] = "";
	int code;

	for (;;) {
		left_us = until_us - clock_mono_us();
		code = look(a, left_us > 1000000 ? (uint64_t)left_us / 1000000 : 1, why);
		if (code == EXIT_DONE)
			say_state(a, "ready");
		if (code != EXIT_UNREACHABLE || why[0] == '\0')
			return code;
		if (clock_mono_us() >= until_us)
			return cli_fail(EXIT_UNREACHABLE, "not ready after %llu s: %s",
			    (unsigned long long)timeout_s, why);
		clock_sleep_us(PAUSE_US);
	}
}

/* ---- stop ---- */

/* A process id may be another program's by now. */
static bool
is_hub(uint32_t pid)
{
	struct buf words = { 0 };
	char path[64];
	struct str first, rest;
	bool yes;

	snprintf(path, sizeof(path), "/proc/%u/cmdline", pid);
	yes = os_read_file(path, 1u << 20, &words, NULL) == ERR_OK &&
	    str_cut(buf_view(&words), '\0', &first, &rest) && str_cut(rest, '\0', &first, &rest) &&
	    str_eq(first, STR("serve"));
	buf_fini(&words);
	return yes;
}

/* Whether any process has the directory; a hub has it until its last write. */
static enum err
held(const char *dir)
{
	struct fault f = { 0 };
	int fd;
	enum err e = os_hold_dir(dir, &fd, &f);

	if (e == ERR_OK)
		close(fd);
	return e;
}

static int
end_await(const struct args *a, const char *dir)
{
	int64_t until_us = clock_mono_us() + (int64_t)a->number[OPT_TIMEOUT] * 1000000;

	while (held(dir) == ERR_LOCKED) {
		if (clock_mono_us() >= until_us)
			return cli_fail(EXIT_FAILED, "the hub on %s has not ended after %llu s",
			    dir, (unsigned long long)a->number[OPT_TIMEOUT]);
		clock_sleep_us(PAUSE_US);
	}
	say_state(a, "stopped");
	return EXIT_DONE;
}

int
cli_stop(const struct args *a)
{
	struct endpoint e;
	const char *dir;
	int code = data_open(a, &dir);

	if (code != EXIT_DONE)
		return code;
	if (held(dir) != ERR_LOCKED)
		return cli_fail(EXIT_UNREACHABLE, "no hub runs on %s", dir);
	if (endpoint_read(dir, &e) != ERR_OK || e.pid == 0 || !is_hub(e.pid))
		return cli_fail(EXIT_LOCKED,
		    "%s is in use, and not by a hub that can be stopped by its process id", dir);
	if (kill((pid_t)e.pid, SIGTERM) != 0)
		return cli_fail(EXIT_FAILED, "the hub, process %u, cannot be stopped: %s", e.pid,
		    strerror(errno));
	return end_await(a, dir);
}
