/*
 * migrate: a live hub into a file of lines for an import, read by the service API alone. FILE.progress says after each page
 * which phase comes next, where, and how long the file is by then; what is behind that was not finished.
 *
 *   edges: parents before children, for a line's scope must be there when it comes -> devices -> modules -> configurations
 */
#include "cli/source.h"
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PROGRESS_MAX (256u << 10) /* its continuation is the source's, and may be long */

enum phase { PHASE_EDGES, PHASE_DEVICES, PHASE_MODULES, PHASE_CONFIGURATIONS, PHASE_DONE };

/* Scopes of edge devices whose lines are written. { 0 } is empty. */
struct scopes {
	struct buf names; /* each with its length before it */
	struct table index;
};

struct migration {
	struct source source;
	const char *path;
	char progress_path[DATA_PATH_MAX];
	int fd;
	uint64_t phase, offset, nidentity, nconfiguration;
	struct buf continuation; /* NUL-terminated; n is 0 at a phase's beginning */
	struct scopes scopes;
	uint64_t nheld, nwritten; /* PHASE_EDGES: of one walk over all edge devices */
	bool force;               /* their parents come no more */
};

static int
file_failed(const struct migration *m, const char *did)
{
	return cli_fail(EXIT_FAILED, "%s cannot be %s: %s", m->path, did, strerror(errno));
}

/* ---- scopes ---- */

static bool
same_scope(const void *ctx, uint32_t value, const void *key)
{
	const struct scopes *sc = ctx;
	struct rd r = rd_of(str_sub(buf_view(&sc->names), value));

	return str_eq(rd_lstr(&r), *(const struct str *)key);
}

static bool
scope_known(const struct scopes *sc, struct str scope)
{
	return table_get(&sc->index, hash_table(scope), same_scope, sc, &scope) != TABLE_NONE;
}

static void
scope_add(struct scopes *sc, struct str scope)
{
	if (scope.n == 0 || scope_known(sc, scope))
		return;
	table_add(&sc->index, hash_table(scope), (uint32_t)sc->names.n);
	buf_lstr(&sc->names, scope);
}

/* ---- FILE.progress ---- */

static const struct {
	const char *name;
	size_t at;
} members[] = {
	{ "phase", offsetof(struct migration, phase) },
	{ "offset", offsetof(struct migration, offset) },
	{ "identities", offsetof(struct migration, nidentity) },
	{ "configurations", offsetof(struct migration, nconfiguration) },
};
#define NMEMBER (sizeof(members) / sizeof(members[0]))

static int
place_save(struct migration *m)
{
	struct buf json = { 0 };
	struct out o = out_to(&json);
	struct fault f = { 0 };
	enum err e;

	if (fdatasync(m->fd) != 0)
		return file_failed(m, "written");
	out_open(&o);
	for (size_t i = 0; i < NMEMBER; i++)
		out_u64(out_key(&o, members[i].name),
		    *(const uint64_t *)((const char *)m + members[i].at));
	out_str_or_null(out_key(&o, "continuation"),
	    m->continuation.n > 0 ? str_of(m->continuation.p) : STR_NONE);
	out_close(&o);
	buf_putc(&json, '\n');
	e = os_replace_file(m->progress_path, buf_view(&json), 0600, &f);
	buf_fini(&json);
	return e == ERR_OK ? EXIT_DONE : cli_fail(EXIT_FAILED, "%s", f.text);
}

static bool
place_take(struct migration *m, struct doc d)
{
	struct str next = doc_text(doc_getc(d, "continuation"));

	for (size_t i = 0; i < NMEMBER; i++) {
		struct doc v = doc_get(d, str_of(members[i].name));

		if (doc_kind(v) != DOC_INT || doc_int(v) < 0)
			return false;
		*(uint64_t *)((char *)m + members[i].at) = (uint64_t)doc_int(v);
	}
	if (next.n > 0) {
		buf_str(&m->continuation, next);
		buf_putc(&m->continuation, '\0');
	}
	return m->phase < PHASE_DONE;
}

static int
place_load(struct migration *m)
{
	struct doc_parser *ps = doc_parser_new(PROGRESS_MAX);
	struct buf text = { 0 }, doc = { 0 };
	struct doc_parsed info;
	struct fault f = { 0 };
	enum err e = os_read_file(m->progress_path, PROGRESS_MAX, &text, &f);
	int code = e == ERR_OK ? EXIT_DONE : cli_fail(exit_of(e), "%s", f.text);

	if (code == EXIT_DONE &&
	    (doc_parse(ps, buf_view(&text), &doc, &info, NULL) != ERR_OK ||
	        !place_take(m, doc_of(buf_view(&doc)))))
		code = cli_fail(EXIT_DAMAGED, "%s is no progress of a migration", m->progress_path);
	buf_fini(&text);
	buf_fini(&doc);
	doc_parser_free(ps);
	return code;
}

/* ---- lines ---- */

static int
line_write(struct migration *m, struct buf *line)
{
	buf_putc(line, '\n');
	if (!os_write_all(m->fd, buf_view(line)))
		return file_failed(m, "written");
	m->offset += line->n;
	return EXIT_DONE;
}

static int
entry_write(struct migration *m, struct doc row)
{
	struct foreign_entry e;
	struct buf line = { 0 };
	int code = source_entry(&m->source, row, &e);

	if (code == EXIT_NOT_FOUND)
		return EXIT_DONE;
	if (code == EXIT_DONE) {
		foreign_line(&line, &e);
		code = line_write(m, &line);
		m->nidentity++;
	}
	buf_fini(&line);
	return code;
}

/* ---- phases ---- */

static bool
is_edge(struct doc row)
{
	return doc_kind(doc_getc(doc_getc(row, "capabilities"), "iotEdge")) == DOC_TRUE;
}

static bool
parents_written(const struct migration *m, struct doc row)
{
	struct doc_iter it = doc_iter(doc_getc(row, "parentScopes"));
	struct doc parent;
	struct str key;

	while (doc_next(&it, &key, &parent))
		if (!scope_known(&m->scopes, doc_text(parent)))
			return false;
	return true;
}

static int
edge_row(struct migration *m, struct doc row)
{
	struct str scope = doc_text(doc_getc(row, "deviceScope"));
	int code;

	if (!is_edge(row) || scope_known(&m->scopes, scope))
		return EXIT_DONE;
	if (!m->force && !parents_written(m, row)) {
		m->nheld++;
		return EXIT_DONE;
	}
	code = entry_write(m, row);
	if (code != EXIT_DONE)
		return code;
	scope_add(&m->scopes, scope);
	m->nwritten++;
	return EXIT_DONE;
}

static int
device_row(struct migration *m, struct doc row)
{
	return is_edge(row) ? EXIT_DONE : entry_write(m, row);
}

static int
page_take(struct migration *m, const char *query, int (*take)(struct migration *, struct doc))
{
	struct answer page = { 0 };
	struct doc_iter it;
	struct doc row;
	struct str key;
	int code = source_page(&m->source, query, &m->continuation, &page);

	it = doc_iter(page.doc.n > 0 ? doc_of(buf_view(&page.doc)) : DOC_NONE);
	while (code == EXIT_DONE && doc_next(&it, &key, &row))
		code = take(m, row);
	answer_fini(&page);
	return code;
}

/* Walk after walk, each a level deeper, until none is held back. Begun anew by --resume, as the scopes are in memory only. */
static int
edges_walk(struct migration *m)
{
	int code;

	do {
		m->nheld = m->nwritten = 0;
		do
			code = page_take(
			    m, "SELECT * FROM devices WHERE capabilities.iotEdge = true", edge_row);
		while (code == EXIT_DONE && m->continuation.n > 0);
		m->force = m->nheld > 0 && m->nwritten == 0;
	} while (code == EXIT_DONE && m->nheld > 0);
	return code;
}

static int
configurations_walk(struct migration *m)
{
	struct answer all = { 0 };
	struct buf line = { 0 };
	struct doc_iter it;
	struct doc c;
	struct str key;
	int code = source_configurations(&m->source, &all);

	it = doc_iter(all.doc.n > 0 ? doc_of(buf_view(&all.doc)) : DOC_NONE);
	while (code == EXIT_DONE && doc_next(&it, &key, &c)) {
		line.n = 0;
		foreign_configuration(&line, doc_text(doc_getc(c, "id")), c);
		code = line_write(m, &line);
		m->nconfiguration++;
	}
	buf_fini(&line);
	answer_fini(&all);
	return code;
}

static int
phase_step(struct migration *m)
{
	int code;

	switch ((enum phase)m->phase) {
	case PHASE_EDGES: code = edges_walk(m); break;
	case PHASE_DEVICES: code = page_take(m, "SELECT * FROM devices", device_row); break;
	case PHASE_MODULES:
		code = page_take(m, "SELECT * FROM devices.modules", entry_write);
		break;
	case PHASE_CONFIGURATIONS: code = configurations_walk(m); break;
	default: abort();
	}
	if (code != EXIT_DONE)
		return code;
	m->phase += m->continuation.n == 0;
	return m->phase < PHASE_DONE ? place_save(m) : EXIT_DONE;
}

/* ---- the whole ---- */

static int
file_open(struct migration *m, bool resume)
{
	int code = EXIT_DONE;

	if (snprintf(m->progress_path, DATA_PATH_MAX, "%s.progress", m->path) >= DATA_PATH_MAX)
		return cli_fail(EXIT_USAGE, "the path of FILE is too long");
	if (resume)
		code = place_load(m);
	if (code != EXIT_DONE)
		return code;
	m->fd = open(m->path, O_RDWR | O_CLOEXEC | (resume ? 0 : O_CREAT | O_EXCL), 0600);
	if (m->fd < 0 && errno == EEXIST)
		return cli_fail(EXIT_CONFLICT,
		    "%s exists: --resume goes on with it, else name another file", m->path);
	if (m->fd < 0)
		return file_failed(m, "opened");
	if (ftruncate(m->fd, (off_t)m->offset) != 0 || lseek(m->fd, 0, SEEK_END) < 0)
		return file_failed(m, "written");
	return place_save(m);
}

static void
show_migration(const struct args *a, const struct migration *m)
{
	struct buf json = { 0 };
	struct out o = out_to(&json);

	if (!output_json(a)) {
		printf("%llu identities and %llu configurations written\n",
		    (unsigned long long)m->nidentity, (unsigned long long)m->nconfiguration);
		return;
	}
	out_open(&o);
	out_u64(out_key(&o, "identities"), m->nidentity);
	out_u64(out_key(&o, "configurations"), m->nconfiguration);
	out_close(&o);
	json_say(&json);
}

static int
all_phases(struct migration *m)
{
	int code = EXIT_DONE;

	while (m->phase < PHASE_DONE && code == EXIT_DONE)
		code = phase_step(m);
	if (code != EXIT_DONE)
		return code;
	if (fsync(m->fd) != 0)
		return file_failed(m, "written");
	unlink(m->progress_path);
	return EXIT_DONE;
}

int
cli_migrate(const struct args *a)
{
	struct migration m = { .path = a->operand[0], .fd = -1 };
	int code = source_open(a, &m.source);

	if (code != EXIT_DONE)
		goto done;
	if ((code = file_open(&m, a->option[OPT_RESUME] != NULL)) != EXIT_DONE)
		goto done;
	code = all_phases(&m);
done:
	if (m.fd >= 0 && close(m.fd) != 0 && code == EXIT_DONE)
		code = file_failed(&m, "written");
	if (code == EXIT_DONE)
		show_migration(a, &m);
	buf_fini(&m.continuation);
	buf_fini(&m.scopes.names);
	table_fini(&m.scopes.index);
	source_fini(&m.source);
	return code;
}
