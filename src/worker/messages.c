/*
 * Messages to devices, outside of operations: bodies are read and erased behind commits, and once a second it is looked what the time has
 * brought about, each as an operation like any other (OP_MESSAGES_LOOK):
 *
 *   locks that are over             the shard's memory knows them
 *   bodies that are due             the front of each shard's bodies, which stand by their expiry: their messages are dead, or, where no
 *                                   queue lists them, they were to be erased when a stop came
 *   sessions that wait              after the store has taken no writes
 *   feedback that nobody has taken
 */
#include "log/log.h"
#include "worker/priv.h"

#include <stdlib.h>

#define LOOK_US   INT64_C(1000000)  /* between two looks at locks */
#define DUE_US    INT64_C(10000000) /* between two at bodies that are due */
#define LOOKS_MAX 256u              /* of one turn, each */

void
messages_init(struct worker *w)
{
	w->messages.erased = xmalloc(ERASED_MAX * MESSAGE_KEY);
}

void
messages_fini(struct worker *w)
{
	free(w->messages.erased);
	buf_fini(&w->messages.due);
}

/* ---- around an operation ---- */

void
messages_begin(struct worker *w)
{
	uint64_t flying = atomic_load(&w->fleet->message_bytes);

	w->env.message_bytes_left = flying < MESSAGE_BYTES_MAX ? MESSAGE_BYTES_MAX - flying : 0;
}

void
messages_end(struct worker *w, struct shard *sh)
{
	struct worker_messages *m = &w->messages;

	if (!messages_held(sh))
		return;
	m->stuck = true;
	if (m->look_us > w->env.elapsed_us + LOOK_US)
		m->look_us = w->env.elapsed_us + LOOK_US;
}

/* ---- bodies, behind commits ---- */

enum err
message_fetch(struct worker *w, struct str key, struct buf *out)
{
	size_t before = out->n;
	enum err e = store_get(w->fleet->o.store, STORE_MESSAGES, key, out);
	struct message m;

	if (e == ERR_OK)
		e = message_decode(str_sub(buf_view(out), before), &m);
	if (e == ERR_CORRUPT || e == ERR_NOT_FOUND)
		log_reason(
		    &(struct log_story){ .event = LOG_MESSAGE_DAMAGED, .reason = REASON_FAILED });
	if (e != ERR_OK)
		out->n = before;
	return e;
}

void
message_reply(struct worker *w, struct reply *reply)
{
	struct str key = { reply->message.key, MESSAGE_KEY };
	enum err e = message_fetch(w, key, &reply->body);

	if (e == ERR_CORRUPT || e == ERR_NOT_FOUND)
		fault_set(&reply->fault, F_StoredDamaged, "the stored message is damaged");
	else if (e != ERR_OK)
		fault_set(&reply->fault, F_ServiceUnavailable,
		    "the store cannot be read at the moment, try again later");
}

/* What is undone is wanted still; over the bound it is erased when it is due. */
static void
body_erased(void *ctx, void *p, enum gate_end end)
{
	struct worker *w = ctx;

	if (end != GATE_UNDONE && w->messages.nerased < ERASED_MAX)
		memcpy(w->messages.erased[w->messages.nerased++], p, MESSAGE_KEY);
	free(p);
}

void
body_erase(struct worker *w, struct str key)
{
	assert(key.n == MESSAGE_KEY);
	gate_after(&w->gate, body_erased, memcpy(xmalloc(key.n), key.p, key.n));
}

/* As it is by now: nobody else changes this shard's bit. */
void
feedback_told(void *ctx, void *p, enum gate_end end)
{
	const struct worker *w = ctx;
	const struct shard *sh = p;
	const struct elsewhere *e = w->fleet->o.elsewhere;
	uint64_t bit = UINT64_C(1) << shard_index(sh), before;
	bool has = feedback_due_us(sh, &w->env) != 0;

	(void)end;
	before = has ? atomic_fetch_or(&w->fleet->feedback, bit)
	             : atomic_fetch_and(&w->fleet->feedback, ~bit);
	if (e != NULL && has != ((before & bit) != 0))
		e->has_feedback(e->ctx);
}

/* With a batch that is written anyway, or after a while. */
static void
erase(struct worker *w, bool now)
{
	struct worker_messages *m = &w->messages;

	if (m->nerased == 0 || (!now && gate_writes(&w->gate) == 0 && m->nerased < ERASED_MAX / 2))
		return;
	for (uint32_t i = 0; i < m->nerased; i++) {
		uint32_t shard;
		int64_t expiry_us;
		uint64_t number;
		struct str key = { m->erased[i], MESSAGE_KEY };

		if (message_key_decode(key, &shard, &expiry_us, &number))
			gate_del(&w->gate, shard, RECORD_MESSAGE, key);
	}
	m->nerased = 0;
}

/* ---- what the time brings about ---- */

static void
look(struct worker *w, struct shard *sh, struct str device, struct str body)
{
	struct op op = { .kind = OP_MESSAGES_LOOK, .device = device, .payload = body };
	struct reply reply;

	reply_init(&reply);
	worker_apply(w, sh, &op, &reply);
	notes_behind_reply(w);
	reply_fini(&reply);
}

static bool
may_write(const struct worker *w)
{
	return w->env.can_write && round_has_room(w, ROUND_JOBS);
}

static void
look_locks(struct worker *w, struct shard *sh)
{
	struct str device;

	for (unsigned i = 0; i < LOOKS_MAX && may_write(w); i++) {
		if (!messages_over(sh, w->env.elapsed_us, &device))
			break;
		look(w, sh, device, STR_NONE);
	}
}

static void
look_awaited(struct worker *w, struct shard *sh)
{
	struct str device;
	uint32_t row = 0;

	while (messages_awaited(sh, &row, &device)) {
		w->messages.stuck = !may_write(
		    w); /* then it begins anew; who has all that it may have costs a look only */
		if (w->messages.stuck)
			break;
		look(w, sh, device, STR_NONE);
	}
}

static void
look_feedback(struct worker *w, struct shard *sh)
{
	int64_t due_us = feedback_due_us(sh, &w->env);

	if (due_us == 0 || due_us > w->env.now_us || !may_write(w))
		return;
	w->env.undo = gate_undo(&w->gate);
	feedback_expire(sh, &w->env);
	gate_settle(&w->gate);
}

/* Bodies of the shard at hand that are due, from where it was left, into m->due: key and device of each. false: there are no more. */
static bool
gather_due(struct worker *w)
{
	struct worker_messages *m = &w->messages;
	char from[MESSAGE_KEY], to[MESSAGE_KEY];
	struct store_cursor *c;
	struct str key, value;
	struct message body;
	unsigned n = 0;

	m->due.n = 0;
	message_key(from, m->shard, 0, 0);
	if (memcmp(m->from, from, 2) == 0)
		memcpy(from, m->from, MESSAGE_KEY);
	message_key(to, m->shard, w->env.now_us, 0);
	if (memcmp(from, to, MESSAGE_KEY) >= 0 ||
	    store_cursor_open(w->fleet->o.store, STORE_MESSAGES, (struct str){ from, MESSAGE_KEY },
	        (struct str){ to, MESSAGE_KEY }, STORE_SCAN, &c) != ERR_OK)
		return false;
	while (n < LOOKS_MAX && store_next(c, &key, &value) == ERR_OK && key.n == MESSAGE_KEY) {
		memcpy(m->from, key.p, MESSAGE_KEY);
		if (message_decode(value, &body) != ERR_OK)
			continue; /* it is told when it is to be delivered */
		buf_lstr(&m->due, key);
		buf_lstr(&m->due, body.device);
		n++;
	}
	store_cursor_close(c);
	return n == LOOKS_MAX;
}

/* One shard's, a slice of it. true: all shards have been looked at. */
static bool
look_due(struct worker *w)
{
	struct worker_messages *m = &w->messages;
	bool more;
	struct rd rd;

	m->shard = next_shard(w, m->shard);
	if (m->shard == SHARDS) {
		m->shard = 0;
		memset(m->from, 0, sizeof(m->from));
		return true;
	}
	more = gather_due(w);
	rd = rd_of(buf_view(&m->due));
	while (rd.p < rd.end && !rd.bad) {
		struct str key = rd_lstr(&rd), device = rd_lstr(&rd);

		look(w, w->shards[m->shard], device, key);
	}
	if (!more) {
		m->shard++;
		memset(m->from, 0, sizeof(m->from));
	}
	return false;
}

/* What is to be erased there is when it is due. */
void
messages_moved(struct worker *w, uint32_t shard)
{
	struct worker_messages *m = &w->messages;
	uint32_t n = 0;

	for (uint32_t i = 0; i < m->nerased; i++) {
		uint32_t of;
		int64_t expiry_us;
		uint64_t number;

		if (message_key_decode(
		        (struct str){ m->erased[i], MESSAGE_KEY }, &of, &expiry_us, &number) &&
		    of != shard)
			memmove(m->erased[n++], m->erased[i], MESSAGE_KEY);
	}
	m->nerased = n;
}

static void
each_shard(struct worker *w, void (*looks)(struct worker *w, struct shard *sh))
{
	for (uint32_t s = next_shard(w, 0); s < SHARDS; s = next_shard(w, s + 1))
		looks(w, w->shards[s]);
}

/* Nothing is out for a time, and nothing to be erased soon. */
static bool
quiet(const struct worker *w)
{
	bool out = false;

	for (uint32_t s = next_shard(w, 0); s < SHARDS && !out; s = next_shard(w, s + 1))
		out = messages_timed(w->shards[s]);
	return !out && w->messages.nerased == 0 && !w->messages.stuck;
}

void
messages_turn(struct worker *w)
{
	struct worker_messages *m = &w->messages;

	if (w->stopping || !w->env.can_write) {
		m->stuck = m->stuck || !w->env.can_write;
		m->look_us = w->env.elapsed_us + RETRY_US; /* or it would be due all the time */
		return;
	}
	erase(w, false);
	if (w->env.elapsed_us < m->look_us)
		return;
	if (m->stuck) {
		m->stuck = false;
		each_shard(w, look_awaited);
	}
	m->look_us = w->env.elapsed_us + (quiet(w) ? DUE_US : LOOK_US);
	erase(w, true);
	each_shard(w, look_locks);
	if (w->env.elapsed_us < m->due_us)
		return;
	m->look_us = w->env.elapsed_us; /* the next slice comes at once */
	if (may_write(w) && look_due(w)) {
		each_shard(w, look_feedback);
		m->look_us = w->env.elapsed_us + (quiet(w) ? DUE_US : LOOK_US);
		m->due_us = w->env.elapsed_us + DUE_US;
	}
}

int64_t
messages_patience_us(const struct worker *w)
{
	int64_t us = w->messages.look_us - w->env.elapsed_us;

	return us > 0 ? us : 0;
}
