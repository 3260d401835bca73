/*
 * What the log says of sessions: a record when an identity's begins or ends (docs/spec/events.md, E-90 to E-94).
 *
 * Nobody waits for these records. What happens is noted in the row (struct untold), the row is listed, and connections_tell writes what the
 * log does not know yet of some rows at a time, with whatever round it is called for. What it has to say is the difference between two
 * states, what the log has said last (a bit of each row) and what is, and how many sessions have begun and ended between: so one that came and went
 * in the meantime is counted and not lost, and a failed round needs no more than what was noted before it.
 *
 * The bits are stored with the records, CHUNK rows in a value, by row numbers, which are an identity's for its life:
 *
 *   "connected/" shard (2 bytes) chunk (4), big-endian -> format | bits, lowest first, without zeros at the end. No record: none is set.
 *
 * Beside them stands where the log last tells of the end of a session, so that after a start it is a point read (O-32):
 *
 *   "ended/" shard (2 bytes) row (4), big-endian -> format | position (8, little-endian). No record: nowhere.
 *
 * A bit that is set when the shard is loaded is of a session that has ended with the program: its end is told first of all. Where sessions outlive
 * their shard's owner it is told when nobody has resumed it for a while (O-237), or before whatever else becomes of the identity.
 */
#include "shard/record.h"

#include <stdlib.h>

#define FORMAT      1
#define CHUNK       256u /* rows */
#define CHUNK_BYTES (CHUNK / 8)
#define ENDED_BYTES 9u

/* ---- the bits ---- */

static bool
bit_of(const struct shard *sh, uint32_t row)
{
	return row / 8 < sh->connections.nbyte && sh->connections.bits[row / 8] >> row % 8 & 1;
}

static void
bits_reserve(struct shard *sh, uint32_t row)
{
	struct shard_connections *c = &sh->connections;
	uint32_t need = (row / CHUNK + 1) * CHUNK_BYTES;

	if (need <= c->nbyte)
		return;
	need = need < c->nbyte * 2 ? c->nbyte * 2 : need;
	c->bits = xrealloc(c->bits, need);
	memset(c->bits + c->nbyte, 0, need - c->nbyte);
	c->nbyte = need;
}

static struct str
chunk_key(const struct shard *sh, uint32_t chunk, char room[HUB_PREFIX_MAX])
{
	size_t n = sizeof(CONNECTIONS_PREFIX) - 1;

	memcpy(room, CONNECTIONS_PREFIX, n);
	room[n++] = (char)(sh->index >> 8);
	room[n++] = (char)sh->index;
	for (int shift = 24; shift >= 0; shift -= 8)
		room[n++] = (char)(chunk >> shift);
	return (struct str){ room, n };
}

struct str
connections_prefix(const struct shard *sh, char room[HUB_PREFIX_MAX])
{
	struct str key = chunk_key(sh, 0, room);

	return (struct str){ key.p, key.n - 4 };
}

/* The value of a chunk, of 1 + CHUNK_BYTES at most; empty: there is none. */
static struct str
chunk_value(const struct shard *sh, uint32_t chunk, char room[1 + CHUNK_BYTES])
{
	size_t n = CHUNK_BYTES;

	room[0] = FORMAT;
	memcpy(room + 1, sh->connections.bits + chunk * CHUNK_BYTES, CHUNK_BYTES);
	while (n > 0 && room[n] == 0)
		n--;
	return n == 0 ? STR_NONE : (struct str){ room, 1 + n };
}

enum err
connections_load(struct shard *sh, struct str key, const struct str *value)
{
	struct str at = str_sub(key, sizeof(CONNECTIONS_PREFIX) - 1 + 2);
	struct rd rd = rd_of(value != NULL ? *value : STR_NONE);
	uint32_t chunk = 0;

	if (at.n != 4 || (value != NULL && (rd_u8(&rd) != FORMAT || value->n > 1 + CHUNK_BYTES)))
		return ERR_CORRUPT;
	for (int i = 0; i < 4; i++)
		chunk = chunk << 8 | (unsigned char)at.p[i];
	if (chunk > sh->nrow / CHUNK)
		return ERR_CORRUPT; /* each row is there before: so many bits are not a stranger's to make room for */
	bits_reserve(sh, chunk * CHUNK);
	memset(sh->connections.bits + chunk * CHUNK_BYTES, 0, CHUNK_BYTES);
	if (value != NULL)
		memcpy(sh->connections.bits + chunk * CHUNK_BYTES, value->p + 1, value->n - 1);
	return ERR_OK;
}

/* The log says that it is connected, or that it is not, from this round on. */
static void
bit_write(struct shard *sh, const struct row *r, bool connected, const struct hub_env *env)
{
	uint32_t row = row_number(sh, r), chunk = row / CHUNK;
	char room[HUB_PREFIX_MAX], old[1 + CHUNK_BYTES], new[1 + CHUNK_BYTES];
	struct str key = chunk_key(sh, chunk, room), was, is;

	bits_reserve(sh, row);
	was = chunk_value(sh, chunk, old);
	undo_common(env->undo, sh, key, was.n != 0 ? &was : NULL);
	sh->connections.bits[row / 8] ^= (uint8_t)(1u << row % 8);
	assert(bit_of(sh, row) == connected);
	is = chunk_value(sh, chunk, new);
	if (is.n == 0)
		env->del(env->ctx, sh->index, RECORD_COMMON, key);
	else
		env->put(env->ctx, sh->index, RECORD_COMMON, key, is);
	(void)connected;
}

/* ---- where ends are told ---- */

static struct str
ended_key(const struct shard *sh, uint32_t row, char room[HUB_PREFIX_MAX])
{
	size_t n = sizeof(ENDED_PREFIX) - 1;

	memcpy(room, ENDED_PREFIX, n);
	room[n++] = (char)(sh->index >> 8);
	room[n++] = (char)sh->index;
	for (int shift = 24; shift >= 0; shift -= 8)
		room[n++] = (char)(row >> shift);
	return (struct str){ room, n };
}

struct str
ended_prefix(const struct shard *sh, char room[HUB_PREFIX_MAX])
{
	struct str key = ended_key(sh, 0, room);

	return (struct str){ key.p, key.n - 4 };
}

static void
ended_set(struct shard *sh, uint32_t row, uint64_t position)
{
	struct shard_connections *c = &sh->connections;
	uint32_t need = (row / CHUNK + 1) * CHUNK;

	if (row >= c->nended && position == 0)
		return;
	if (row >= c->nended) {
		need = need < c->nended * 2 ? c->nended * 2 : need;
		c->ended = xrealloc(c->ended, need * sizeof(*c->ended));
		memset(c->ended + c->nended, 0, (need - c->nended) * sizeof(*c->ended));
		c->nended = need;
	}
	c->ended[row] = position;
}

static uint64_t
ended_of(const struct shard *sh, uint32_t row)
{
	return row < sh->connections.nended ? sh->connections.ended[row] : 0;
}

uint64_t
connection_last_end(const struct shard *sh, const struct row *r)
{
	return ended_of(sh, row_number(sh, r));
}

enum err
ended_load(struct shard *sh, struct str key, const struct str *value)
{
	struct str at = str_sub(key, sizeof(ENDED_PREFIX) - 1 + 2);
	struct rd rd = rd_of(value != NULL ? *value : STR_NONE);
	uint8_t format = value != NULL ? rd_u8(&rd) : FORMAT;
	uint64_t position = value != NULL ? rd_le64(&rd) : 0;
	uint32_t row = 0;

	if (at.n != 4 ||
	    (value != NULL && (rd.bad || rd.p != rd.end || format != FORMAT || position == 0)))
		return ERR_CORRUPT;
	for (int i = 0; i < 4; i++)
		row = row << 8 | (unsigned char)at.p[i];
	if (row >= sh->nrow)
		return ERR_CORRUPT;
	ended_set(sh, row, position);
	return ERR_OK;
}

static struct str
ended_put(char out[ENDED_BYTES], uint64_t position)
{
	out[0] = FORMAT;
	for (unsigned i = 0; i < ENDED_BYTES - 1; i++)
		out[1 + i] = (char)(position >> 8 * i);
	return (struct str){ out, ENDED_BYTES };
}

/* 0: nowhere any more. */
static void
ended_write(struct shard *sh, const struct row *r, uint64_t position, const struct hub_env *env)
{
	uint32_t row = row_number(sh, r);
	uint64_t before = ended_of(sh, row);
	char room[HUB_PREFIX_MAX], old[ENDED_BYTES], new[ENDED_BYTES];
	struct str key = ended_key(sh, row, room), was = ended_put(old, before);

	if (before == position)
		return;
	undo_common(env->undo, sh, key, before != 0 ? &was : NULL);
	ended_set(sh, row, position);
	if (position == 0)
		env->del(env->ctx, sh->index, RECORD_COMMON, key);
	else
		env->put(env->ctx, sh->index, RECORD_COMMON, key, ended_put(new, position));
}

/* ---- the list: rows of which there may be something to tell ---- */

static void
list(struct shard *sh, struct row *r, int64_t elapsed_us)
{
	struct shard_connections *c = &sh->connections;

	if (r->untold.listed)
		return;
	r->untold.listed = true;
	if (c->n == c->cap &&
	    c->from > c->n / 2) { /* it may never run empty: what was told makes room */
		c->n -= c->from;
		memmove(c->rows, c->rows + c->from, c->n * sizeof(*c->rows));
		c->from = 0;
	}
	if (c->n == c->cap) {
		c->cap = c->cap ? c->cap * 2 : 64;
		c->rows = xrealloc(c->rows, c->cap * sizeof(*c->rows));
	}
	if (c->from == c->n)
		c->since_us = elapsed_us;
	c->rows[c->n++] = row_number(sh, r);
}

void
connection_begun(struct shard *sh, struct row *r, const struct hub_env *env)
{
	r->untold.begun++;
	list(sh, r, env->elapsed_us);
}

void
connection_ended(struct shard *sh, struct row *r, enum reason why, const struct hub_env *env)
{
	r->untold.why = (uint8_t)why;
	list(sh, r, env->elapsed_us);
}

void
connection_resumed(struct shard *sh, struct row *r, const struct hub_env *env)
{
	r->untold.lost = false;
	if (!bit_of(sh, row_number(sh, r)) || r->untold.begun > 0)
		list(sh, r, env->elapsed_us);
}

void
connection_unbegun(struct shard *sh, struct row *r)
{
	assert(r->untold.begun > 0);
	r->untold.begun--;
	list(sh, r, INT64_MIN);
}

void
connection_untold(struct shard *sh, struct row *r, const struct untold *was)
{
	r->untold.begun += was->begun;
	if (r->untold.why == REASON_NONE)
		r->untold.why = was->why;
	r->untold.lost |= was->lost;
	list(sh, r, INT64_MIN);
}

void
connection_back(struct shard *sh, struct row *r)
{
	r->untold.listed = false;
	list(sh, r, INT64_MIN);
}

void
connection_left(struct shard *sh, struct row *r, enum reason why, const struct hub_env *env)
{
	if (!r->untold.lost)
		return;
	r->untold.lost = false;
	connection_ended(sh, r, why, env);
}

void
connection_lost(struct shard *sh, struct row *r, int64_t missed_us, const struct hub_env *env)
{
	if (missed_us > sh->connections.missed_us)
		sh->connections.missed_us = missed_us;
	if (bit_of(sh, row_number(sh, r)))
		r->untold.lost = true;
	else
		connection_ended(sh, r, REASON_HUB_ENDED, env); /* nobody has heard of it yet */
}

void
connections_loaded(struct shard *sh, const struct shard_begin *b)
{
	for (uint32_t i = 0; i < sh->nrow; i++)
		if (bit_of(sh, i) && row_at(sh, i)->id != NULL)
			row_at(sh, i)->untold.lost = true;
	sh->connections.missed_us = b->elapsed_us + b->patience_us;
	if (b->patience_us == 0)
		connections_miss(sh);
}

int64_t
connections_missed_us(const struct shard *sh)
{
	return sh->connections.missed_us != 0 ? sh->connections.missed_us : INT64_MAX;
}

void
connections_miss(struct shard *sh)
{
	sh->connections.missed_us = 0;
	for (uint32_t i = 0; i < sh->nrow; i++)
		if (row_at(sh, i)->id != NULL && row_at(sh, i)->untold.lost)
			list(sh, row_at(sh, i), INT64_MIN);
}

void
connections_fini(struct shard *sh)
{
	free(sh->connections.bits);
	free(sh->connections.ended);
	free(sh->connections.rows);
}

static_assert(REASONS <= UINT8_MAX, "struct untold.why");

/* ---- records ---- */

/* flaps: sessions that have begun and ended besides; why: the last one that ended, REASON_NONE: none has. */
static void
append(struct shard *sh, const struct row *r, bool connected, uint32_t flaps, enum reason why,
    const struct hub_env *env)
{
	struct event e = { .kind = connected ? EVENT_CONNECTED : EVENT_DISCONNECTED,
		.actor = ACTOR_DEVICE,
		.actor_name = row_device(r),
		.device = row_device(r),
		.module = row_module(r) };
	uint64_t position;

	if (!connected && reason_by(why) != BY_PEER) {
		e.actor = ACTOR_HUB;
		e.actor_name = STR_NONE;
	}
	e.numbers[EVENT_FLAPS] = flaps;
	if (why != REASON_NONE)
		e.fields[EVENT_REASON] = str_of(reason_id(why));
	position = log_append(sh, &e, env);
	if (why != REASON_NONE)
		ended_write(sh, r, position, env);
}

/* What is not known of the row; afterwards all is. */
static void
tell(struct shard *sh, struct row *r, bool connected, const struct hub_env *env)
{
	struct untold was = r->untold;
	bool bit = bit_of(sh, row_number(sh, r)), told = bit;

	r->untold = (struct untold){ 0 };
	if (told == connected && was.begun == 0 && !was.lost)
		return;
	undo_connection(env->undo, sh, row_number(sh, r), &was);
	if (was.lost && told) {
		append(sh, r, false, 0, REASON_HUB_ENDED, env);
		told = false;
	}
	if (connected)
		append(sh, r, true, was.begun > 0 ? was.begun - 1 : 0,
		    told || was.begun > 1 ? (enum reason)was.why : REASON_NONE, env);
	else if (told || was.begun > 0)
		append(sh, r, false, was.begun, (enum reason)was.why, env);
	if (bit != connected)
		bit_write(sh, r, connected, env);
}

void
connection_gone(struct shard *sh, struct row *r, const struct hub_env *env)
{
	if (r->presence != NULL)
		r->untold.why = REASON_DELETED;
	if (env_logs(env)->connection)
		tell(sh, r, false, env);
	else if (bit_of(sh, row_number(sh, r)))
		bit_write(sh, r, false, env);
	ended_write(sh, r, 0, env); /* the row may be another's next */
}

bool
connections_wait(const struct shard *sh, int64_t *since_us)
{
	*since_us = sh->connections.since_us;
	return sh->connections.from != sh->connections.n;
}

/* connections_miss lists it when it has not. */
static bool
may_come_back(const struct shard *sh, const struct row *r)
{
	return r->untold.lost && r->presence == NULL && sh->connections.missed_us != 0;
}

uint32_t
connections_tell(struct shard *sh, uint32_t max, const struct hub_env *env)
{
	struct shard_connections *c = &sh->connections;
	uint32_t n = 0;

	for (; n < max && c->from != c->n; n++) {
		struct row *r = c->rows[c->from] < sh->nrow ? row_at(sh, c->rows[c->from]) : NULL;

		c->from++;
		if (r == NULL || !r->untold.listed)
			continue; /* it has gone since, or was told for another reason */
		if (may_come_back(sh, r)) {
			r->untold.listed = false;
			continue;
		}
		if (env_logs(env)->connection)
			tell(sh, r, r->presence != NULL, env);
		else
			r->untold = (struct untold){ 0 };
	}
	if (c->from == c->n)
		c->from = c->n = 0;
	return n;
}
