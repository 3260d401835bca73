/* Rows by COPY in binary: a head of 19 bytes (and what it announces), then for each row the number of fields, and each with its length. */
#include <string.h>

#include "pg/priv.h"

#define HEAD     "PGCOPY\n\377\r\n" /* and a NUL, which is the literal's */
#define HEAD_MIN (sizeof(HEAD) + 4)
#define SEND_MIN ((size_t)1024 * 1024)
#define THE_END  0xffffu

/* ---- out ---- */

struct reading {
	bool begun;
	unsigned nfield;
	copy_row *row;
	void *ctx;
};

static struct str
field_take(struct rd *rd)
{
	return rd_bytes(rd, be_get(rd_bytes(rd, 4)));
}

static enum err
row_read(struct reading *c, struct str bytes, struct fault *f)
{
	struct rd rd = rd_of(bytes);
	struct str fields[COPY_FIELDS_MAX];
	uint64_t n;

	if (!c->begun) {
		rd_bytes(&rd, HEAD_MIN);
		rd_bytes(&rd, be_get(rd_bytes(&rd, 4)));
		c->begun = true;
		if (rd.p == rd.end && !rd.bad)
			return ERR_OK;
	}
	n = be_get(rd_bytes(&rd, 2));
	if (n == THE_END)
		return ERR_OK;
	for (unsigned i = 0; i < c->nfield; i++)
		fields[i] = field_take(&rd);
	if (rd.bad || n != c->nfield) {
		fault_set(f, F_StoredDamaged, "PostgreSQL has sent a row that is none");
		return ERR_CORRUPT;
	}
	return c->row(c->ctx, fields, f);
}

/* What the question came to, behind its rows. */
static enum err
copy_ends(struct conn *c, struct fault *f)
{
	enum err e = ERR_OK;
	PGresult *r;

	while ((r = PQgetResult(c->pg)) != NULL) {
		if (e == ERR_OK && PQresultStatus(r) != PGRES_COMMAND_OK)
			conn_fault(c, r, f), e = ERR_IO;
		PQclear(r);
	}
	return e;
}

static enum err
copy_begins(struct conn *c, const char *sql, ExecStatusType status, struct fault *f)
{
	enum err e = ERR_OK;
	PGresult *r;

	PQsetnonblocking(c->pg, 0);
	r = PQexec(c->pg, sql);
	if (PQresultStatus(r) != status)
		conn_fault(c, r, f), e = ERR_IO;
	PQclear(r);
	return e;
}

enum err
copy_out(
    struct conn *c, const char *sql, unsigned nfield, copy_row *row, void *ctx, struct fault *f)
{
	struct reading reading = { .nfield = nfield, .row = row, .ctx = ctx };
	enum err e = copy_begins(c, sql, PGRES_COPY_OUT, f);
	char *bytes = NULL;
	int n = -1;

	while (e == ERR_OK && (n = PQgetCopyData(c->pg, &bytes, 0)) > 0) {
		e = row_read(&reading, (struct str){ bytes, (size_t)n }, f);
		PQfreemem(bytes);
	}
	if (e == ERR_OK && n == -2)
		conn_fault(c, NULL, f), e = ERR_IO;
	if (e == ERR_OK)
		return copy_ends(c, f);
	conn_close(c); /* what is still on its way is nobody's */
	return e;
}

/* ---- in ---- */

enum err
copy_in_begin(struct conn *c, const char *sql, struct buf *rows, struct fault *f)
{
	static const char flags_and_more[8];

	rows->n = 0;
	buf_put(rows, HEAD, sizeof(HEAD));
	buf_put(rows, flags_and_more, sizeof(flags_and_more));
	return copy_begins(c, sql, PGRES_COPY_IN, f);
}

void
copy_number(struct buf *rows, uint64_t value, unsigned nbyte)
{
	char number[8];

	be_put(number, value, nbyte);
	copy_field(rows, (struct str){ number, nbyte });
}

void
copy_fields(struct buf *rows, unsigned n)
{
	char number[2];

	be_put(number, n, 2);
	buf_put(rows, number, 2);
}

void
copy_field(struct buf *rows, struct str value)
{
	char length[4];

	be_put(length, value.n, 4);
	buf_put(rows, length, 4);
	buf_str(rows, value);
}

enum err
copy_in_send(struct conn *c, struct buf *rows, bool all, struct fault *f)
{
	if (rows->n == 0 || (rows->n < SEND_MIN && !all))
		return ERR_OK;
	if (PQputCopyData(c->pg, rows->p, (int)rows->n) != 1) {
		conn_fault(c, NULL, f);
		return ERR_IO;
	}
	rows->n = 0;
	return ERR_OK;
}

enum err
copy_in_end(struct conn *c, struct buf *rows, struct fault *f)
{
	enum err e;

	copy_fields(rows, THE_END);
	if ((e = copy_in_send(c, rows, true, f)) != ERR_OK)
		return e;
	if (PQputCopyEnd(c->pg, NULL) != 1) {
		conn_fault(c, NULL, f);
		return ERR_IO;
	}
	return copy_ends(c, f);
}
