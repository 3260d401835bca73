/*
 * What becomes of messages to devices: feedback for who sent them, and the counts of the dead (docs/spec/messages.md, M-20 to M-23). A feature
 * of shards: both are records of RECORD_COMMON, written in the commit that ends the message.
 *
 *   deadletters/ S      format | count of each enum message_end | feedback that was dropped (varints)
 *   feedback/ S N       format | when (varint) | enum message_end (1 byte) | message id | device (with lengths) | generation (varint)
 *
 * S: shard, 2 bytes, N: 8, both big-endian. Locks are in memory: until then, under this token.
 */
#include "hub/messages.h"
#include "hub/priv.h"
#include "task/walk.h"

#include <stdlib.h>

#define FORMAT        1
#define DEAD_KEY      "deadletters/"
#define FEEDBACK_KEY  "feedback/"
#define FEEDBACK_MAX  1024u /* of a shard */
#define FEEDBACK_PAGE 64u   /* in one answer */

struct told {
	uint64_t number;
	struct blob *record;
	int64_t until_us; /* of elapsed time; free from then on */
	unsigned char token[LOCK_TOKEN];
};

struct shard_feedback {
	struct told *v; /* by number */
	uint32_t n, cap;
	uint64_t last; /* highest number since the start */
	bool counted;  /* the counts have a record */
	uint64_t dead[MESSAGE_ENDS], dropped;
};

static struct shard_feedback *
feedback_of(const struct shard *sh)
{
	return shard_state(sh, &message_feature);
}

/* ---- one record ---- */

struct feedback {
	int64_t ended_us;
	enum message_end end;
	struct str id, device;
	uint64_t generation;
};

static void
feedback_encode(struct buf *out, const struct feedback *f)
{
	buf_putc(out, FORMAT);
	buf_varint(out, (uint64_t)f->ended_us);
	buf_putc(out, (char)f->end);
	buf_lstr(out, f->id);
	buf_lstr(out, f->device);
	buf_varint(out, f->generation);
}

static bool
feedback_decode(struct str record, struct feedback *f)
{
	struct rd rd = rd_of(record);
	bool format = rd_u8(&rd) == FORMAT;

	f->ended_us = (int64_t)rd_varint(&rd);
	f->end = (enum message_end)rd_u8(&rd);
	f->id = rd_lstr(&rd);
	f->device = rd_lstr(&rd);
	f->generation = rd_varint(&rd);
	return format && !rd.bad && rd.p == rd.end && f->ended_us >= 0 && f->end < MESSAGE_ENDS &&
	    f->id.n <= MESSAGE_ID_MAX && utf8_valid(f->id) && id_valid(f->device);
}

static void
counts_encode(struct buf *out, const struct shard_feedback *s)
{
	buf_putc(out, FORMAT);
	for (unsigned i = 0; i < MESSAGE_ENDS; i++)
		buf_varint(out, s->dead[i]);
	buf_varint(out, s->dropped);
}

/* ---- keys ---- */

static struct str
key_put(struct str name, const struct shard *sh, char room[HUB_PREFIX_MAX])
{
	memcpy(room, name.p, name.n);
	room[name.n] = (char)(sh->index >> 8);
	room[name.n + 1] = (char)sh->index;
	return (struct str){ room, name.n + 2 };
}

static struct str
feedback_key(const struct shard *sh, uint64_t number, char room[HUB_PREFIX_MAX])
{
	struct str key = key_put(STR(FEEDBACK_KEY), sh, room);

	for (int i = 0; i < 8; i++)
		room[key.n++] = (char)(number >> (56 - 8 * i));
	return key;
}

/* false: it is no key of feedback. */
static bool
number_of(struct str key, uint64_t *number)
{
	if (!str_starts(key, STR(FEEDBACK_KEY)) || key.n != sizeof(FEEDBACK_KEY) - 1 + 2 + 8)
		return false;
	*number = 0;
	for (size_t i = key.n - 8; i < key.n; i++)
		*number = *number << 8 | (unsigned char)key.p[i];
	return true;
}

/* ---- what is in memory follows the records ---- */

static enum err
counts_load(struct shard_feedback *s, const struct str *value)
{
	struct rd rd = rd_of(value != NULL ? *value : STR_NONE);
	struct shard_feedback read = { 0 };

	if (value != NULL && rd_u8(&rd) != FORMAT)
		return ERR_CORRUPT;
	for (unsigned i = 0; value != NULL && i < MESSAGE_ENDS; i++)
		read.dead[i] = rd_varint(&rd);
	read.dropped = value != NULL ? rd_varint(&rd) : 0;
	if (value != NULL && (rd.bad || rd.p != rd.end))
		return ERR_CORRUPT;
	memcpy(s->dead, read.dead, sizeof(s->dead));
	s->dropped = read.dropped;
	s->counted = value != NULL;
	return ERR_OK;
}

/* Where it stands, or would. */
static uint32_t
place_of(const struct shard_feedback *s, uint64_t number)
{
	uint32_t i = s->n;

	while (i > 0 && s->v[i - 1].number >= number)
		i--;
	return i;
}

static bool
is_at(const struct shard_feedback *s, uint32_t i, uint64_t number)
{
	return i < s->n && s->v[i].number == number;
}

static void
told_put(struct shard_feedback *s, uint64_t number, struct str record)
{
	uint32_t i = place_of(s, number);

	if (!is_at(s, i, number)) {
		if (s->n == s->cap) {
			s->cap = s->cap ? s->cap * 2 : 8;
			s->v = xrealloc(s->v, s->cap * sizeof(*s->v));
		}
		memmove(&s->v[i + 1], &s->v[i], (s->n - i) * sizeof(*s->v));
		s->n++;
	} else {
		blob_unref(s->v[i].record);
	}
	s->v[i] = (struct told){ .number = number, .record = blob_new(record) };
	if (number > s->last)
		s->last = number;
}

static void
told_drop(struct shard_feedback *s, uint64_t number)
{
	uint32_t i = place_of(s, number);

	if (!is_at(s, i, number))
		return;
	blob_unref(s->v[i].record);
	s->n--;
	memmove(&s->v[i], &s->v[i + 1], (s->n - i) * sizeof(*s->v));
}

static enum err
load(struct shard *sh, struct str key, const struct str *value)
{
	struct shard_feedback *s = feedback_of(sh);
	struct feedback f;
	uint64_t number;

	if (str_starts(key, STR(DEAD_KEY)))
		return counts_load(s, value);
	if (!number_of(key, &number) || (value != NULL && !feedback_decode(*value, &f)))
		return ERR_CORRUPT;
	if (value != NULL)
		told_put(s, number, *value);
	else
		told_drop(s, number);
	return ERR_OK;
}

static bool
value_of(const struct shard *sh, struct str key, struct buf *out)
{
	const struct shard_feedback *s = feedback_of(sh);
	uint64_t number;
	uint32_t i;

	if (!number_of(key, &number)) {
		if (s->counted)
			counts_encode(out, s);
		return s->counted;
	}
	i = place_of(s, number);
	if (is_at(s, i, number))
		buf_str(out, blob_str(s->v[i].record));
	return is_at(s, i, number);
}

static bool
next_prefix(const struct shard *sh, struct str *prefix, char room[HUB_PREFIX_MAX])
{
	bool dead = str_starts(*prefix, STR(DEAD_KEY));

	if (str_starts(*prefix, STR(FEEDBACK_KEY)))
		return false;
	*prefix = key_put(dead ? STR(FEEDBACK_KEY) : STR(DEAD_KEY), sh, room);
	return true;
}

static void
fini(void *state)
{
	struct shard_feedback *s = state;

	while (s->n > 0)
		blob_unref(s->v[--s->n].record);
	free(s->v);
}

/* ---- a message ends ---- */

static void
counts_write(struct shard *sh, const struct shard_feedback *counts, const struct hub_env *env)
{
	char room[HUB_PREFIX_MAX];
	struct buf value = { 0 };
	struct str bytes;

	counts_encode(&value, counts);
	bytes = buf_view(&value);
	common_write(sh, key_put(STR(DEAD_KEY), sh, room), &bytes, env);
	buf_fini(&value);
}

static void
told_end(struct shard *sh, uint64_t number, const struct hub_env *env)
{
	char room[HUB_PREFIX_MAX];

	common_write(sh, feedback_key(sh, number, room), NULL, env);
}

static void
feedback_write(struct shard *sh, const struct feedback *f, const struct hub_env *env)
{
	struct shard_feedback *s = feedback_of(sh);
	struct effect e = { .kind = EFFECT_FEEDBACK, .version = sh->index };
	uint64_t number = shard_number(sh, s->last);
	struct buf record = { 0 };
	char room[HUB_PREFIX_MAX];
	struct str bytes;

	feedback_encode(&record, f);
	bytes = buf_view(&record);
	common_write(sh, feedback_key(sh, number, room), &bytes, env);
	buf_fini(&record);
	env->effect(env->ctx, &e);
}

void
message_ended(struct shard *sh, const struct row *r, const struct queue_entry *e,
    enum message_end end, const struct hub_env *env)
{
	bool told = (e->ack & (end == MESSAGE_SUCCESS ? ACK_POSITIVE : ACK_NEGATIVE)) != 0;
	struct shard_feedback *s = feedback_of(sh), counts = *s;
	struct identity id;

	counts.dead[end] += end != MESSAGE_SUCCESS;
	if (told && s->n >= FEEDBACK_MAX) {
		counts.dropped++;
		told_end(sh, s->v[0].number, env);
	}
	if (end != MESSAGE_SUCCESS || counts.dropped != s->dropped)
		counts_write(sh, &counts, env);
	if (!told)
		return;
	row_read_identity(r, &id);
	feedback_write(sh,
	    &(struct feedback){ .ended_us = env->now_us,
	        .end = end,
	        .id = e->id,
	        .device = row_device(r),
	        .generation = id.generation },
	    env);
}

/* ---- who sent them reads it ---- */

static void
told_write(struct out *o, const struct told *t)
{
	struct feedback f;
	bool ok = feedback_decode(blob_str(t->record), &f);
	char generation[24];
	struct buf digits = { generation, 0, sizeof(generation) };

	assert(ok);
	(void)ok;
	buf_u64(&digits, f.generation);
	out_open(o);
	out_str(out_key(o, "originalMessageId"), f.id);
	out_str(out_key(o, "description"), message_end_name(f.end)); /* C reads the status here */
	out_str(out_key(o, "deviceGenerationId"), buf_view(&digits));
	out_str(out_key(o, "deviceId"), f.device);
	out_time(out_key(o, "enqueuedTimeUtc"), f.ended_us);
	out_str(out_key(o, "statusCode"), message_end_name(f.end));
	out_close(o);
}

void
on_feedback_receive(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	struct shard_feedback *s = feedback_of(sh);
	struct out o = out_to(&reply->body);
	struct effect none = { .kind = EFFECT_FEEDBACK, .version = sh->index };
	unsigned char token[LOCK_TOKEN];
	unsigned n = 0;

	(void)r, (void)op;
	env->random(env->ctx, token, sizeof(token));
	token[0] = (unsigned char)sh->index; /* so it is found again */
	for (uint32_t i = 0; i < s->n && n < FEEDBACK_PAGE; i++) {
		if (env->elapsed_us < s->v[i].until_us)
			continue;
		if (n++ == 0)
			out_list(&o);
		told_write(&o, &s->v[i]);
		s->v[i].until_us = env->elapsed_us + env_messages(env)->feedback_lock_us;
		memcpy(s->v[i].token, token, sizeof(token));
	}
	if (s->n == 0)
		env->effect(env->ctx, &none);
	if (n == 0)
		return;
	out_close(&o);
	lock_token_write(reply->etag, token);
}

void
on_feedback_settle(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	struct shard_feedback *s = feedback_of(sh);
	unsigned n = 0;

	(void)r;
	for (uint32_t i = s->n; i > 0; i--) {
		struct told *t = &s->v[i - 1];

		if (env->elapsed_us >= t->until_us ||
		    memcmp(t->token, op->message.token, LOCK_TOKEN) != 0)
			continue;
		n++;
		if (op->message.outcome == MESSAGE_ABANDON)
			t->until_us = 0;
		else
			told_end(sh, t->number, env);
	}
	if (n == 0)
		fault_set(
		    &reply->fault, F_DeviceMessageLockLost, "the lock is over, or was never given");
}

/* ---- time, counts ---- */

static int64_t
told_due_us(const struct told *t, int64_t life_us)
{
	struct feedback f;

	return feedback_decode(blob_str(t->record), &f) ? f.ended_us + life_us : 0;
}

int64_t
feedback_due_us(const struct shard *sh, const struct hub_env *env)
{
	const struct shard_feedback *s = feedback_of(sh);

	return s->n > 0 ? told_due_us(&s->v[0], env_messages(env)->feedback_life_us) : 0;
}

void
feedback_expire(struct shard *sh, const struct hub_env *env)
{
	struct shard_feedback *s = feedback_of(sh);

	while (s->n > 0 && feedback_due_us(sh, env) <= env->now_us)
		told_end(sh, s->v[0].number, env);
}

void
messages_count(const struct shard *sh, struct message_counts *sum)
{
	const struct shard_feedback *s = feedback_of(sh);

	sum->queued += shard_messages(sh);
	sum->feedback += s->n;
	sum->dropped += s->dropped;
	for (unsigned i = 0; i < MESSAGE_ENDS; i++)
		sum->dead[i] += s->dead[i];
}

static enum step
count(struct task *t, struct shard *sh, struct slice *slice)
{
	(void)slice;
	messages_count(sh, &((struct messages_task *)t)->counts);
	return STEP_DONE;
}

static void
count_put(const struct task *t, struct buf *out)
{
	const struct message_counts *c = &((const struct messages_task *)t)->counts;

	buf_varint(out, c->queued);
	buf_varint(out, c->feedback);
	buf_varint(out, c->dropped);
	for (unsigned i = 0; i < MESSAGE_ENDS; i++)
		buf_varint(out, c->dead[i]);
}

static enum err
count_take(struct task *t, struct str part)
{
	struct message_counts *c = &((struct messages_task *)t)->counts;
	struct rd rd = rd_of(part);

	c->queued += rd_varint(&rd);
	c->feedback += rd_varint(&rd);
	c->dropped += rd_varint(&rd);
	for (unsigned i = 0; i < MESSAGE_ENDS; i++)
		c->dead[i] += rd_varint(&rd);
	return rd.bad ? ERR_CORRUPT : ERR_OK;
}

static const struct task_far count_far = {
	.kind = WALK_MESSAGES, .put = count_put, .take = count_take
};

static const struct task_kind count_kind = { .name = "messages", .step = count, .far = &count_far };

struct messages_task *
messages_task_new(void)
{
	struct messages_task *t = xcalloc(1, sizeof(*t));

	t->task.kind = &count_kind;
	return t;
}

static const char *const key_prefixes[] = { DEAD_KEY, FEEDBACK_KEY, NULL };

const struct feature message_feature = {
	.state_bytes = sizeof(struct shard_feedback),
	.fini = fini,
	.key_prefixes = key_prefixes,
	.load = load,
	.next_prefix = next_prefix,
	.value = value_of,
};
