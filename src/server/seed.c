/*
 * --seed: the fleet that a hub for tests begins with, from a file of lines as `twinhub export` writes them. The lines take the ways of an
 * import; but here the first that is refused ends the start: a test that finds half of its devices would tell a wrong story.
 */
#include "foreign/foreign.h"
#include "hub/bodies.h"
#include "server/priv.h"
#include "transfer/transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEED_ACTOR "seed" /* in the log of changes */

/* Who waits for a configuration to be stored. */
struct planting {
	pthread_mutex_t mu;
	pthread_cond_t done;
	bool is_done;
	struct fault fault;
};

static enum err __attribute__((format(printf, 3, 4)))
line_fails(struct server *s, uint64_t line, const char *fmt, ...)
{
	char what[DATA_WHY_MAX / 2];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	return fail(s, "--seed %s, line %llu: %s", s->o.seed, (unsigned long long)line, what);
}

/* ---- identities ---- */

static enum err
refused(struct server *s, const struct import_result *r)
{
	const struct import_fault *f = &r->faults[0];
	struct str device = span_str(&r->texts, f->device), module = span_str(&r->texts, f->module),
	           text = span_str(&r->texts, f->text);

	if (device.n == 0)
		return line_fails(s, f->line, "%s: " STR_FMT, fault_name(f->code), STR_ARG(text));
	return line_fails(s, f->line, "device " STR_FMT "%s" STR_FMT ": %s: " STR_FMT,
	    STR_ARG(device), module.n > 0 ? ", module " : "", STR_ARG(module), fault_name(f->code),
	    STR_ARG(text));
}

static enum err
identities_plant(struct server *s, const struct batch *b)
{
	struct import_options o = { .fleet = s->fleet,
		.actor = STR(SEED_ACTOR),
		.mode = import_mode_default,
		.whole = true,
		.strict = true,
		.first_line = b->line };
	struct import_result result;
	struct fault f = { 0 };
	enum err e = import_lines(&o, buf_view(&b->text), &result, &f);

	if (e != ERR_OK)
		e = line_fails(s, b->line, "%s", f.text);
	else if (result.nfault > 0)
		e = refused(s, &result);
	import_result_fini(&result);
	return e;
}

/* ---- configurations ---- */

static void
planted(struct work *w)
{
	struct planting *p = w->owner;

	pthread_mutex_lock(&p->mu);
	p->fault = w->reply.fault;
	p->is_done = true;
	pthread_cond_signal(&p->done);
	pthread_mutex_unlock(&p->mu);
	work_free(w);
}

static enum err
configuration_put(
    struct server *s, struct doc d, uint32_t nduplicate, struct str id, struct fault *f)
{
	struct planting p = { .mu = PTHREAD_MUTEX_INITIALIZER, .done = PTHREAD_COND_INITIALIZER };
	struct str actor = STR(SEED_ACTOR);
	struct work *w = work_new(s->loops[0], id.n + doc_bytes(d).n + actor.n, planted);

	w->op.kind = OP_CONFIGURATION_PUT;
	w->op.actor = ACTOR_POLICY;
	w->op.actor_name = work_str(w, actor);
	w->op.name = work_str(w, id);
	w->op.payload = work_str(w, doc_bytes(d));
	w->op.nduplicate = nduplicate;
	w->owner = &p;
	fleet_submit(s->fleet, w);
	pthread_mutex_lock(&p.mu);
	while (!p.is_done)
		pthread_cond_wait(&p.done, &p.mu);
	pthread_mutex_unlock(&p.mu);
	*f = p.fault;
	return f->code == F_NONE ? ERR_OK : ERR_ARG;
}

/* A member that nothing has is no configuration's; what only the hub says of one is passed over, as it stands in an export. */
static enum err
stray_refuse(struct server *s, uint64_t line, struct doc whole, struct doc d)
{
	struct buf why = { 0 };
	enum err e = ERR_OK;

	if (doc_count(whole) != 1)
		e = line_fails(
		    s, line, "beside 'configuration' the line has no place for a member");
	else if (body_stray(d, &body_configuration, &why))
		e = line_fails(s, line, "configuration: " STR_FMT, STR_ARG(buf_view(&why)));
	buf_fini(&why);
	return e;
}

static enum err
configuration_plant(
    struct server *s, struct doc_parser *parser, struct str text, uint64_t line, struct buf *room)
{
	struct buf shaped = { 0 };
	struct doc_parsed info;
	struct fault f = { 0 };
	struct doc whole, d, id;
	enum err e;

	room->n = 0;
	if (doc_parse(parser, text, room, &info, &f) != ERR_OK)
		return line_fails(s, line, "%s", f.text);
	whole = doc_of(buf_view(room));
	d = doc_getc(whole, "configuration");
	if (doc_kind(d) != DOC_OBJECT)
		return line_fails(s, line, "configuration is no object");
	if (stray_refuse(s, line, whole, d) != ERR_OK)
		return ERR_ARG;
	e = doc_shape(d, &body_configuration, &shaped, &d, &f);
	id = doc_getc(d, "id");
	if (e == ERR_OK && (doc_kind(id) != DOC_STRING || doc_str(id).n == 0))
		e = fault_set(&f, F_ArgumentInvalid, "configuration.id is missing");
	if (e == ERR_OK)
		e = configuration_put(s, d, info.nduplicate, doc_str(id), &f);
	if (e != ERR_OK)
		e = line_fails(s, line, "configuration " STR_FMT ": %s: %s", STR_ARG(doc_text(id)),
		    fault_name(f.code), f.text);
	buf_fini(&shaped);
	return e;
}

static enum err
configurations_plant(struct server *s, const struct batch *b)
{
	struct doc_parser *parser = doc_parser_new(IMPORT_LINE_MAX);
	struct str rest = buf_view(&b->text), line;
	struct buf room = { 0 };
	enum err e = ERR_OK;

	for (uint64_t n = b->line; rest.n > 0 && e == ERR_OK; n++) {
		str_cut(rest, '\n', &line, &rest);
		if (line.n > 0)
			e = configuration_plant(s, parser, line, n, &room);
	}
	buf_fini(&room);
	doc_parser_free(parser);
	return e;
}

/* ---- the file ---- */

static enum err
is_lines(struct server *s, struct line_reader *r)
{
	enum foreign_kind kind;
	struct str head;

	if (line_reader_peek(r, &head) != ERR_OK)
		return fail(s, "--seed %s cannot be read: %s", s->o.seed, strerror(errno));
	head.n = head.n < FOREIGN_HEAD_MAX ? head.n : FOREIGN_HEAD_MAX;
	kind = foreign_kind(head);
	if (kind == FOREIGN_LINES)
		return ERR_OK;
	return fail(s,
	    "--seed %s is %s: a seed is lines of JSON, one object each, as `twinhub export` writes "
	    "them",
	    s->o.seed, foreign_name(kind));
}

static enum err
batch_plant(struct server *s, const struct batch *b)
{
	if (b->too_long > 0)
		return line_fails(s, b->line, "it has %llu bytes, the limit is %zu",
		    (unsigned long long)b->too_long, IMPORT_LINE_MAX);
	return b->configurations ? configurations_plant(s, b) : identities_plant(s, b);
}

/* Nobody waits for it any more: SIGTERM or SIGINT has come, which are blocked, or who has started the hub has ended. */
static enum err
given_up(struct server *s, uint64_t line)
{
	sigset_t asked;

	if (sigpending(&asked) == 0 &&
	    (sigismember(&asked, SIGTERM) == 1 || sigismember(&asked, SIGINT) == 1))
		return line_fails(s, line, "ended by a signal before the hub was ready");
	if (ephemeral_orphaned())
		return line_fails(s, line, "who has started the hub has ended");
	return ERR_OK;
}

static enum err
lines_plant(struct server *s, int fd)
{
	struct line_reader r = { .fd = fd, .line = 1 };
	struct batch b = { 0 };
	enum err e = is_lines(s, &r);

	while (e == ERR_OK) {
		if (batch_read(&r, &b) != ERR_OK)
			e = fail(s, "--seed %s cannot be read: %s", s->o.seed, strerror(errno));
		else if (b.text.n == 0 && b.too_long == 0)
			break;
		else if ((e = given_up(s, b.line)) == ERR_OK)
			e = batch_plant(s, &b);
	}
	buf_fini(&r.in);
	buf_fini(&b.text);
	return e;
}

enum err
seed_plant(struct server *s)
{
	/* not blocking: a pipe that nobody writes to is no file, and would hold up the start */
	int fd = open(s->o.seed, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	enum err e;

	if (fd < 0)
		return fail(s, "--seed %s cannot be opened: %s", s->o.seed, strerror(errno));
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		e = fail(s, "--seed %s is no file", s->o.seed);
	else
		e = lines_plant(s, fd);
	close(fd);
	return e;
}
