/* The functions of store.h, as those of the store that is meant: see face.h. */
#include "store/face.h"

void
store_close(struct store *s)
{
	if (s != NULL)
		s->ops->close(s);
}

/* ---- reading ---- */

enum err
store_get(struct store *s, enum store_table t, struct str key, struct buf *out)
{
	return s->ops->get(s, t, key, out);
}

enum err
store_cursors_open(struct store *s, const enum store_table *tables, unsigned n, struct str from,
    struct str to, enum store_scan how, struct store_cursor **out)
{
	return s->ops->cursors_open(s, tables, n, from, to, how, out);
}

enum err
store_cursor_open(struct store *s, enum store_table t, struct str from, struct str to,
    enum store_scan how, struct store_cursor **out)
{
	return s->ops->cursors_open(s, &t, 1, from, to, how, out);
}

enum err
store_next(struct store_cursor *c, struct str *key, struct str *value)
{
	return c->ops->next(c, key, value);
}

void
store_cursor_close(struct store_cursor *c)
{
	if (c != NULL)
		c->ops->cursor_close(c);
}

/* ---- writing ---- */

struct store_batch *
store_batch_next(struct store *s, unsigned lane)
{
	return s->ops->batch_next(s, lane);
}

void
store_submit(struct store *s, unsigned lane, struct store_batch *b, uint64_t cookie)
{
	s->ops->submit(s, lane, b, cookie);
}

void
store_resume(struct store *s, unsigned lane)
{
	s->ops->resume(s, lane);
}

void
store_retain(struct store *s, const struct store_retention *r)
{
	if (s->ops->retain != NULL)
		s->ops->retain(s, r);
}

void
store_log_to_files(struct store *s)
{
	if (s->ops->log_to_files != NULL)
		s->ops->log_to_files(s);
}

/* ---- state ---- */

enum store_state
store_state(struct store *s, struct fault *why)
{
	return s->ops->state(s, why);
}

uint32_t
store_generation(const struct store *s)
{
	return s->ops->generation(s);
}

uint64_t
store_space(const struct store *s)
{
	return s->ops->space(s);
}

bool
store_has_space(const struct store *s)
{
	return s->ops->has_space(s);
}

void
store_damage(struct store *s, struct store_damage *out)
{
	s->ops->damage(s, out);
}

void
store_stats(struct store *s, struct store_stats *out)
{
	s->ops->stats(s, out);
}

enum err
store_checkpoint(struct store *s, const char *dir, struct fault *f)
{
	return s->ops->checkpoint(s, dir, f);
}

bool
store_epoch(struct store *s, uint32_t shard, struct store_epoch *out)
{
	if (s->ops->epoch == NULL)
		return false;
	s->ops->epoch(s, shard, out);
	return true;
}
