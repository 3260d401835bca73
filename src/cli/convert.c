/* A file of another program as lines of an import: in a temporary file, as an import reads a file twice when it goes on. */
#include "cli/import.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct conversion {
	struct converted *out;
	const struct target *t;
	struct answer answer;
	int code; /* of a failure of our own */
};

static bool
take_line(void *ctx, uint64_t line, struct str json)
{
	struct conversion *c = ctx;
	struct converted *out = c->out;

	if (out->n == out->cap) {
		out->cap = out->cap > 0 ? 2 * out->cap : 1024;
		out->origin = xrealloc(out->origin, out->cap * sizeof(*out->origin));
	}
	out->origin[out->n++] = line;
	if (fwrite(json.p, 1, json.n, out->lines) == json.n && putc('\n', out->lines) == '\n')
		return true;
	c->code = cli_fail(EXIT_FAILED,
	    "the temporary file cannot be written: %s (TMPDIR names its directory)",
	    strerror(errno));
	return false;
}

static bool
take_fault(void *ctx, uint64_t line, struct str id, const char *why)
{
	struct converted *out = ((struct conversion *)ctx)->out;
	struct out o = out_to(&out->faults);

	out->nfault++;
	out_open(&o);
	out_u64(out_key(&o, "line"), line);
	out_some_str(&o, "deviceId", id);
	out_cstr(out_key(&o, "errorStatus"), why);
	out_close(&o);
	buf_putc(&out->faults, '\n');
	return true;
}

static void
take_passed_over(void *ctx, struct str name)
{
	struct out o = out_next(&((struct conversion *)ctx)->out->passed);

	out_str(&o, name);
}

/* An edge device that the hub has keeps its scope; a hub that cannot be asked is met when the lines are sent. */
static void
take_scope(void *ctx, struct str device, struct buf *scope)
{
	struct conversion *c = ctx;
	struct buf path = { 0 };
	char why[WHY_MAX];
	struct doc d;

	path_of(&path, "/devices/", device);
	if (c->t != NULL &&
	    hub_try(c->t, &(struct ask){ .method = GET, .path = path.p }, &c->answer, why) ==
	        EXIT_DONE) {
		d = doc_getc(doc_of(buf_view(&c->answer.doc)), "deviceScope");
		if (doc_kind(d) == DOC_STRING)
			buf_str(scope, doc_str(d));
	}
	buf_fini(&path);
}

static int
convert_text(struct conversion *c, enum foreign_kind kind, const char *path, struct str text)
{
	struct foreign_sink sink = { .ctx = c,
		.line = take_line,
		.fault = take_fault,
		.passed_over = take_passed_over,
		.scope = take_scope };
	struct fault f = { 0 };

	if (foreign_read(kind, text, &sink, &f) == ERR_SYNTAX)
		return cli_fail(EXIT_FAILED,
		    "%s is %s that cannot be read: %s; nothing was imported", path,
		    foreign_name(kind), f.text);
	if (c->code == EXIT_DONE &&
	    (fflush(c->out->lines) != 0 || fseek(c->out->lines, 0, SEEK_SET)))
		c->code = cli_fail(EXIT_FAILED,
		    "the temporary file cannot be written: %s (TMPDIR names its directory)",
		    strerror(errno));
	return c->code;
}

int
convert_file(
    const struct target *t, enum foreign_kind kind, const char *path, int fd, struct converted *out)
{
	struct conversion c = { .out = out, .t = t };
	struct stat st;
	void *p = MAP_FAILED;
	int code;

	if (fstat(fd, &st) == 0 && st.st_size > 0)
		p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return cli_fail(EXIT_FAILED, "%s cannot be read: %s", path, strerror(errno));
	out->lines = file_without_name();
	if (out->lines != NULL)
		code = convert_text(&c, kind, path, (struct str){ p, (size_t)st.st_size });
	else
		code = cli_fail(EXIT_FAILED,
		    "no temporary file can be made: %s (TMPDIR names its directory)",
		    strerror(errno));
	answer_fini(&c.answer);
	munmap(p, (size_t)st.st_size);
	return code;
}

void
converted_fini(struct converted *c)
{
	if (c->lines != NULL)
		fclose(c->lines);
	free(c->origin);
	buf_fini(&c->faults);
	buf_fini(&c->passed);
	*c = (struct converted){ 0 };
}
