/*
 * Ticket keys that all nodes of a hub share (docs/cluster-design.md, 11): a device resumes its TLS session on any node. They are one secret,
 * `tickets SECONDS`, a line end, and the keys: next, current, former. Whoever looks first after a day turns them: next becomes current, current former.
 * The others see it within an hour, and have the key that is current then as their next. The hour of a wrong clock does no harm: keys are turned
 * sooner or later.
 */
#include "pg/pg.h"
#include "server/priv.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#define TICKETS_US (23 * HOUR_US)
#define KEYS_BYTES ((size_t)TLS_TICKETS * TLS_TICKET_BYTES)

struct tickets {
	int64_t at_s; /* when they were turned */
	unsigned char keys[KEYS_BYTES];
};

static bool
tickets_read(struct str bytes, struct tickets *t)
{
	struct str head, name, keys;
	uint64_t at;

	if (!str_cut(bytes, '\n', &head, &keys) || !str_cut(head, ' ', &name, &head) ||
	    !str_eq(name, STR(TICKETS_SECRET)) || !str_u64(head, &at) || keys.n != KEYS_BYTES)
		return false;
	t->at_s = (int64_t)at;
	memcpy(t->keys, keys.p, KEYS_BYTES);
	return true;
}

static void
tickets_write(const struct tickets *t, struct buf *out)
{
	buf_printf(out, "%s %lld\n", TICKETS_SECRET, (long long)t->at_s);
	buf_str(out, (struct str){ (const char *)t->keys, KEYS_BYTES });
}

/* `fresh` of them are new, the rest moves on. */
static bool
tickets_turn(struct tickets *t, unsigned fresh)
{
	size_t n = (size_t)fresh * TLS_TICKET_BYTES;

	t->at_s = clock_wall_us() / 1000000;
	memmove(t->keys + n, t->keys, KEYS_BYTES - n);
	return RAND_bytes(t->keys, (int)n) == 1;
}

static bool
is_due(const struct tickets *t)
{
	int64_t age_us = clock_wall_us() - t->at_s * 1000000;

	return age_us > TICKETS_US || age_us < -TICKETS_US;
}

/* t, turned, in the place of what is there; another node that was quicker is as good. */
static enum err
tickets_put(const struct pg_options *po, struct tickets *t, unsigned fresh, struct buf *there,
    struct fault *f)
{
	const struct str former = buf_view(there);
	struct buf bytes = { 0 };
	enum err e;

	if (!tickets_turn(t, fresh))
		return fault_set(f, F_ServerError, "no random numbers");
	tickets_write(t, &bytes);
	e = pg_secret_set(po, TICKETS_SECRET, former.n != 0 ? &former : NULL, buf_view(&bytes), f);
	buf_wipe(&bytes);
	if (e != ERR_EXISTS)
		return e;
	there->n = 0;
	e = pg_secret_get(po, TICKETS_SECRET, there, f);
	if (e == ERR_OK && !tickets_read(buf_view(there), t))
		e = fault_set(f, F_StoredDamaged, "they are damaged");
	return e;
}

static enum err
tickets_fetch(const struct pg_options *po, struct tickets *t, struct fault *f)
{
	struct buf there = { 0 };
	enum err e = pg_secret_get(po, TICKETS_SECRET, &there, f);

	if (e == ERR_NOT_FOUND || (e == ERR_OK && !tickets_read(buf_view(&there), t)))
		e = tickets_put(po, t, TLS_TICKETS, &there, f);
	else if (e == ERR_OK && is_due(t))
		e = tickets_put(po, t, 1, &there, f);
	buf_wipe(&there);
	return e;
}

void
tickets_share(struct server *s)
{
	const struct pg_options po = { .url = s->o.cluster, .node = node_name(s) };
	struct tickets t = { 0 };
	struct fault f = { 0 };

	if (s->o.cluster == NULL)
		return;
	if (tickets_fetch(&po, &t, &f) != ERR_OK)
		log_text(
		    LOG_WARN, "the ticket keys of all nodes could not be looked at: %s", f.text);
	else if (tls_set_tickets(s->tls, t.keys) != ERR_OK)
		log_text(LOG_ERROR, "ticket keys could not be rotated");
	OPENSSL_cleanse(&t, sizeof(t));
}
