/*
 * Messages to devices: who puts them into a queue, who takes them out (docs/spec/messages.md). One queue, whatever the transport: a session
 * of MQTT is given what it may have as soon as it listens (messages_look); others ask (OP_MESSAGE_RECEIVE).
 *
 *   OP_MESSAGE_SEND --> waits --delivered: counted, locked--> out --complete, reject--> ended
 *                         ^ \--time, deliveries, purge-----> ended |
 *                         '----- abandon, lock over, session ends -'
 *
 * What is out is known by its lock (message/message.h), in memory alone: a session's is good while it is the row's, so nobody has to take
 * it away when the session goes. Deliveries are counted in the record, in the commit behind which the message leaves.
 *
 * Of a message that ends, the queue's record says so first; its body is erased behind that commit (EFFECT_ERASE).
 */
#include "hub/messages.h"
#include "hub/priv.h"

/* ---- the queue of a row ---- */

/* Its record is in memory, or it has none. */
static void
queue_read(const struct row *r, struct queue *q)
{
	enum err e = ERR_OK;

	q->n = 0;
	if (r->nmessage != 0)
		e = queue_decode(blob_str(r->records[RECORD_QUEUE]), q);
	assert(e == ERR_OK);
	(void)e;
}

static void
queue_write(struct shard *sh, struct row *r, const struct queue *q, const struct hub_env *env)
{
	struct buf record = { 0 };
	struct str bytes;

	if (r->records[RECORD_QUEUE] == NULL) { /* nothing waits, so there is no record */
		assert(r->nmessage == 0);
		row_set_cached(sh, r, RECORD_QUEUE, &blob_none);
	}
	queue_encode(&record, q);
	bytes = buf_view(&record);
	row_write(sh, r, RECORD_QUEUE, q->n > 0 ? &bytes : NULL, env);
	buf_fini(&record);
}

static const struct lock *
lock_of(const struct shard *sh, const struct row *r, const struct queue_entry *e)
{
	return locks_find(&sh->locks, row_number(sh, r), e->number);
}

static void
locks_look(struct shard *sh, const struct row *r, const struct hub_env *env)
{
	locks_sweep(&sh->locks, row_number(sh, r),
	    r->presence != NULL ? r->presence->session_epoch : 0, env->elapsed_us);
}

static void
body_erase(const struct shard *sh, const struct queue_entry *e, const struct hub_env *env)
{
	char key[MESSAGE_KEY];
	struct effect effect = { .kind = EFFECT_ERASE, .body = { key, sizeof(key) } };

	message_key(key, sh->index, e->expiry_us, e->number);
	env->effect(env->ctx, &effect);
}

/* The i-th message of q ends, and with it its lock. */
static void
entry_end(struct shard *sh, struct row *r, struct queue *q, unsigned i, enum message_end end,
    const struct hub_env *env)
{
	struct queue_entry e = q->v[i];

	locks_remove(&sh->locks, row_number(sh, r), e.number);
	queue_remove(q, i);
	message_ended(sh, r, &e, end, env);
	body_erase(sh, &e, env);
}

/* How many are dead and not out. */
static unsigned
queue_dead(
    const struct shard *sh, const struct row *r, const struct queue *q, const struct hub_env *env)
{
	unsigned n = 0;

	for (unsigned i = 0; i < q->n; i++)
		n += lock_of(sh, r, &q->v[i]) == NULL &&
		    queue_entry_end(&q->v[i], env_messages(env), env->now_us) != MESSAGE_ENDS;
	return n;
}

/* The dead go. true: the queue is another one. */
static bool
queue_bury(struct shard *sh, struct row *r, struct queue *q, const struct hub_env *env)
{
	unsigned n = q->n;

	for (unsigned i = q->n; i > 0; i--) {
		enum message_end end =
		    queue_entry_end(&q->v[i - 1], env_messages(env), env->now_us);

		if (end != MESSAGE_ENDS && lock_of(sh, r, &q->v[i - 1]) == NULL)
			entry_end(sh, r, q, i - 1, end, env);
	}
	return q->n != n;
}

/* ---- to a session ---- */

/* Its subscription's QoS; false: it does not listen. */
static bool
session_listens(const struct row *r, uint8_t *qos)
{
	struct filter f;
	struct rd rd;

	if (r->presence == NULL || !(r->presence->listens & 1u << FILTER_C2D))
		return false;
	rd = rd_of(blob_str(r->presence->filters));
	rd_u8(&rd);
	while (filters_next(&rd, &f)) {
		if (f.kind != FILTER_C2D)
			continue;
		*qos = f.qos;
		return true;
	}
	return false;
}

/* Within what a link may hold for its peer (M-11). */
static bool
session_has_room(const struct shard *sh, const struct row *r, uint32_t size)
{
	uint32_t n, bytes = 0;
	const struct lock *out = locks_of(&sh->locks, row_number(sh, r), &n);

	for (uint32_t i = 0; i < n; i++)
		if (out[i].session_epoch != 0)
			bytes += out[i].size;
	return locks_room(&sh->locks, row_number(sh, r)) &&
	    (bytes == 0 || bytes + size <= MESSAGES_OUT_BYTES);
}

static void
deliver(
    struct shard *sh, struct row *r, struct queue_entry *e, uint8_t qos, const struct hub_env *env)
{
	const struct presence *p = r->presence;
	struct lock lock = {
		.number = e->number, .size = e->size, .session_epoch = p->session_epoch
	};
	char key[MESSAGE_KEY];
	struct effect effect = { .kind = EFFECT_MESSAGE,
		.session = p->session,
		.call = e->number,
		.size = e->size,
		.qos = qos,
		.dup = qos != 0 && p->restored && e->kept,
		.body = { key, sizeof(key) } };

	message_key(key, sh->index, e->expiry_us, e->number);
	locks_add(&sh->locks, row_number(sh, r), &lock);
	e->deliveries++;
	e->kept = !p->clean;
	env->effect(env->ctx, &effect);
}

/* What it may have now, in order (M-03). true: some went out. */
static bool
deliver_all(
    struct shard *sh, struct row *r, struct queue *q, uint8_t qos, const struct hub_env *env)
{
	uint64_t left = env->message_bytes_left;
	bool any = false;

	for (unsigned i = 0; i < q->n; i++) {
		uint32_t size = q->v[i].size;

		if (lock_of(sh, r, &q->v[i]) != NULL)
			continue;
		if (!session_has_room(sh, r, size))
			break;
		if (size > left) {
			sh->messages_held = true;
			break;
		}
		left -= size;
		deliver(sh, r, &q->v[i], qos, env);
		any = true;
	}
	return any;
}

void
messages_look(struct shard *sh, struct row *r, const struct hub_env *env)
{
	struct queue q;
	uint8_t qos;
	bool changed;

	if (r->nmessage == 0 || r->records[RECORD_QUEUE] == NULL || !env->can_write)
		return;
	locks_look(sh, r, env);
	queue_read(r, &q);
	changed = queue_bury(sh, r, &q, env);
	if (session_listens(r, &qos))
		changed |= deliver_all(sh, r, &q, qos, env);
	if (changed)
		queue_write(sh, r, &q, env);
}

/* ---- sending ---- */

/* When it dies; 0: its time is over already. */
static int64_t
expiry_of(const struct op *op, const struct hub_env *env)
{
	int64_t last_us = env->now_us + MESSAGE_LIFE_MAX_US;

	if (op->message.expiry_us == 0)
		return env->now_us + env_messages(env)->life_us;
	if (op->message.expiry_us <= env->now_us)
		return 0;
	return op->message.expiry_us < last_us ? op->message.expiry_us : last_us;
}

static enum err
check_send(const struct op *op, const struct message *m, unsigned nqueued, struct fault *f)
{
	size_t size = message_size(m);

	if (op->module.n != 0)
		return fault_set(f, F_ArgumentInvalid, "modules receive no messages");
	if (size > MESSAGE_SIZE_MAX)
		return fault_set(f, F_MessageTooLarge,
		    "the message has %zu bytes with its properties, the limit is %u", size,
		    MESSAGE_SIZE_MAX);
	if (m->expiry_us == 0)
		return fault_set(
		    f, F_ArgumentInvalid, "the time at which the message expires is over");
	if (nqueued >= MESSAGES_MAX)
		return fault_set(f, F_DeviceMaximumQueueDepthExceeded,
		    "C2D messages enqueued for the device exceeded the queue limit of %u",
		    MESSAGES_MAX);
	return ERR_OK;
}

static void
body_write(struct shard *sh, const struct message *m, uint64_t number, const struct hub_env *env)
{
	char key[MESSAGE_KEY];

	message_key(key, sh->index, m->expiry_us, number);
	env->scratch->n = 0;
	message_encode(env->scratch, m);
	env->put(env->ctx, sh->index, RECORD_MESSAGE, (struct str){ key, sizeof(key) },
	    buf_view(env->scratch));
}

static void
queue_append(struct shard *sh, struct queue *q, const struct message *m, const struct hub_env *env)
{
	struct queue_entry *e = &q->v[q->n];
	uint64_t number;

	do
		number = shard_number(sh, queue_last_number(q));
	while (!queue_takes(q, number));
	*e = (struct queue_entry){ .number = number,
		.expiry_us = m->expiry_us,
		.size = (uint32_t)message_size(m),
		.ack = m->ack };
	if (m->ack != ACK_NONE)
		e->id = message_property_find(m->properties, BAG_MESSAGE_ID);
	q->n++;
	body_write(sh, m, number, env);
}

enum err
message_send(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct fault *f)
{
	struct message m = { .enqueued_us = env->now_us,
		.expiry_us = expiry_of(op, env),
		.ack = op->message.ack,
		.expires = op->message.expiry_us != 0,
		.device = op->device,
		.properties = { op->payload.p, op->message.bag_bytes },
		.payload = str_sub(op->payload, op->message.bag_bytes) };
	struct queue q;
	enum err e;

	locks_look(sh, r, env);
	queue_read(r, &q);
	e = check_send(op, &m, q.n - queue_dead(sh, r, &q, env), f);
	if (e != ERR_OK)
		return e;
	queue_bury(sh, r, &q, env);
	queue_append(sh, &q, &m, env);
	queue_write(sh, r, &q, env);
	messages_look(sh, r, env);
	return ERR_OK;
}

void
on_message_send(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	(void)message_send(sh, r, op, env, &reply->fault);
}

/* ---- receiving ---- */

/* The first one that may go out; MESSAGES_MAX: there is none. */
static unsigned
queue_free(const struct shard *sh, const struct row *r, const struct queue *q)
{
	if (!locks_room(&sh->locks, row_number(sh, r)))
		return MESSAGES_MAX;
	for (unsigned i = 0; i < q->n; i++)
		if (lock_of(sh, r, &q->v[i]) == NULL)
			return i;
	return MESSAGES_MAX;
}

static void
hand_out(struct shard *sh, struct row *r, struct queue_entry *e, const struct op *op,
    const struct hub_env *env, struct reply *reply)
{
	int64_t lock_us = op->message.lock_s != 0 ? op->message.lock_s * INT64_C(1000000)
	                                          : env_messages(env)->lock_us;
	struct lock lock = {
		.number = e->number, .size = e->size, .until_us = env->elapsed_us + lock_us
	};

	env->random(env->ctx, lock.token, sizeof(lock.token));
	locks_add(&sh->locks, row_number(sh, r), &lock);
	lock_token_write(reply->etag, lock.token);
	reply->message.number = e->number;
	reply->message.deliveries = e->deliveries;
	message_key(reply->message.key, sh->index, e->expiry_us, e->number);
	e->deliveries++;
}

static bool
device_disabled(const struct row *r, struct reply *reply)
{
	if (r->disabled)
		fault_set(&reply->fault, F_IotHubUnauthorizedAccess, "the device is disabled");
	return r->disabled;
}

void
on_message_receive(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	struct queue q;
	unsigned i;
	bool changed;

	if (device_disabled(r, reply))
		return;
	locks_look(sh, r, env);
	queue_read(r, &q);
	changed = queue_bury(sh, r, &q, env);
	i = queue_free(sh, r, &q);
	if (i < q.n)
		hand_out(sh, r, &q.v[i], op, env, reply);
	if (changed || i < q.n)
		queue_write(sh, r, &q, env);
}

/* ---- settling ---- */

static void
settle(struct shard *sh, struct row *r, const struct lock *lock, enum message_outcome outcome,
    const struct hub_env *env)
{
	struct queue q;
	unsigned i;

	queue_read(r, &q);
	i = queue_find(&q, lock->number);
	if (i == MESSAGES_MAX || outcome == MESSAGE_ABANDON) {
		locks_remove(&sh->locks, row_number(sh, r), lock->number);
	} else {
		entry_end(sh, r, &q, i,
		    outcome == MESSAGE_REJECT ? MESSAGE_REJECTED : MESSAGE_SUCCESS, env);
		queue_write(sh, r, &q, env);
	}
	messages_look(sh, r, env);
}

void
on_message_settle(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	const struct lock *lock;

	if (device_disabled(r, reply))
		return;
	locks_look(sh, r, env);
	lock = locks_by_token(&sh->locks, row_number(sh, r), op->message.token);
	if (lock == NULL)
		fault_set(
		    &reply->fault, F_DeviceMessageLockLost, "the lock is over, or was never given");
	else
		settle(sh, r, lock, op->message.outcome, env);
}

/* Late and unknown ones are nobody's. */
void
on_message_ack(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	uint32_t n;
	const struct lock *out;

	(void)reply;
	locks_look(sh, r, env);
	out = locks_of(&sh->locks, row_number(sh, r), &n);
	for (uint32_t i = 0; i < n; i++) {
		if (out[i].session_epoch == 0 ||
		    message_packet_id(out[i].number) != op->message.packet_id)
			continue;
		settle(sh, r, &out[i], MESSAGE_COMPLETE, env);
		return;
	}
}

/* ---- the rest ---- */

/* Those that are out stay, unless all are meant; how many have gone. */
static unsigned
purge(struct shard *sh, struct row *r, struct queue *q, bool all, const struct hub_env *env)
{
	unsigned n = q->n;

	for (unsigned i = q->n; i > 0; i--)
		if (all || lock_of(sh, r, &q->v[i - 1]) == NULL)
			entry_end(sh, r, q, i - 1, MESSAGE_PURGED, env);
	return n - q->n;
}

void
on_messages_purge(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	struct queue q;

	(void)op;
	locks_look(sh, r, env);
	queue_read(r, &q);
	queue_bury(sh, r, &q, env);
	reply->version = purge(sh, r, &q, false, env);
	if (q.n != r->nmessage)
		queue_write(sh, r, &q, env);
}

void
messages_leave(struct shard *sh, struct row *r, const struct hub_env *env)
{
	struct queue q;

	queue_read(r, &q);
	purge(sh, r, &q, true, env);
	locks_drop(&sh->locks, row_number(sh, r));
}

void
on_messages_look(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	struct effect erase = { .kind = EFFECT_ERASE, .body = op->payload };
	struct queue q = { 0 };
	uint64_t number;
	int64_t expiry_us;
	uint32_t shard;

	(void)reply;
	if (r != NULL)
		queue_read(r, &q);
	if (message_key_decode(op->payload, &shard, &expiry_us, &number) &&
	    queue_find(&q, number) == MESSAGES_MAX)
		env->effect(
		    env->ctx, &erase); /* what nobody wants: a stop came before it was erased */
	if (r != NULL)
		messages_look(sh, r, env);
}

bool
messages_over(struct shard *sh, int64_t elapsed_us, struct str *device)
{
	uint32_t row = locks_over(&sh->locks, elapsed_us);

	if (row == TABLE_NONE)
		return false;
	*device = row_device(row_at(sh, row));
	return true;
}

bool
messages_timed(const struct shard *sh)
{
	return sh->locks.next_us != 0;
}

bool
messages_held(struct shard *sh)
{
	bool held = sh->messages_held;

	sh->messages_held = false;
	return held;
}

bool
messages_awaited(struct shard *sh, uint32_t *row, struct str *device)
{
	uint8_t qos;

	while (*row < sh->nrow) {
		struct row *r = row_at(sh, (*row)++);

		if (r->id == NULL || r->nmessage == 0 || !session_listens(r, &qos))
			continue;
		*device = row_device(r);
		return true;
	}
	return false;
}
