/*
 * Works on their way: any thread submits them, they wait in the lines of those who ask (inbox.h), and are applied in turn.
 *
 * What a quiet device waits for is the commit under way, the round that gathers, and its commit. So a round that is large
 * already takes no more from those who have had their share, until the store is ready for it.
 */
#include "metric/metric.h"
#include "worker/priv.h"

/* of works; then what has come meanwhile is looked at, and a commit may begin */
#define TURN_NS         500000
#define WRITTEN_BYTE_NS 8 /* what a byte that is written costs those who wait for its commit */

static struct work *
work_of(struct msg *m)
{
	return container_of(m, struct work, msg);
}

static size_t
bytes_counted(const struct work *k)
{
	return k->roomy ? 0 : k->room;
}

_Static_assert(OP_KINDS <= METRIC_OPERATIONS_MAX, "metrics have a label for each");

static void
count_answer(const struct work *k)
{
	int64_t now_ns = clock_mono_ns();
	int status = k->reply.fault.code == F_NONE ? 200 : fault_status(k->reply.fault.code);
	unsigned result = status < 400 ? METRIC_OK : status < 500 ? METRIC_REFUSED : METRIC_FAILED;

	metric_add(METRIC_OPERATIONS, (unsigned)k->op.kind * METRIC_RESULTS + result, 1);
	metric_seen(METRIC_OPERATION_SECONDS, k->op.kind, (uint64_t)(now_ns - k->since_ns));
	if (k->turn_ns != 0)
		metric_seen(METRIC_GATE_SECONDS, 0, (uint64_t)(now_ns - k->turn_ns));
}

/* It has its answer. The last look at the fleet, which may stop now. */
void
work_over(struct worker *w, struct work *k)
{
	count_answer(k);
	if (bytes_counted(k) != 0)
		atomic_fetch_sub(&w->work_bytes, bytes_counted(k));
	work_home(k);
	atomic_fetch_sub(&w->nwork, 1);
}

/* Its commit has ended. Nothing was promised before: what was undone is answered with an error. */
static void
work_goes(void *ctx, void *p, enum gate_end end)
{
	struct worker *w = ctx;
	struct work *k = p;

	if (end != GATE_ON_DISK) {
		k->reply.body.n = 0;
		k->reply.etag[0] = '\0';
		k->reply.message.number = 0;
		k->reply.session_epoch = 0;
		k->reply.session_present = false;
		fault_set(&k->reply.fault, F_ServiceUnavailable, "%s",
		    end == GATE_UNDONE ? "the change could not be stored, try again later"
		                       : MAY_NOT_ANSWER);
	} else if (k->reply.message.number != 0) {
		message_reply(w, &k->reply);
	}
	if (end == GATE_ON_DISK && work_spreads(w, k))
		w->fleet->o.on_spread(k);
	else
		work_over(w, k);
}

/* false: the reply says why not. That a link has ended is heard in any case. */
static bool
may_apply(struct worker *w, struct work *k)
{
	const char *why = w->stopping ? "the hub is stopping"
	    : !w->env.can_write && op_writes(k->op.kind)
	    ? "the store takes no writes at the moment, try again later"
	    : !gate_may_begin(&w->gate) && k->op.kind != OP_DISCONNECT ? NO_LEASE
	    : work_is_lost(w->fleet, k) ? "the node that sent it is gone"
	                                : NULL;

	if (why != NULL)
		fault_set(&k->reply.fault, F_ServiceUnavailable, "%s", why);
	return why == NULL;
}

static void
work_arrived(struct msg *m)
{
	struct work *k = work_of(m);
	struct worker *w = k->at;

	w->taken.nop++;
	w->waits[k->shard]--;
	if (may_apply(w, k)) {
		worker_apply(w, w->shards[k->shard], &k->op, &k->reply);
		gate_answer(&w->gate, work_goes, k);
	} else {
		gate_after(&w->gate, work_goes, k);
	}
	notes_behind_reply(w);
}

/* ---- in ---- */

static void
refuse(struct worker *w, struct work *k, enum fault_code code, const char *why)
{
	fault_set(&k->reply.fault, code, "%s", why);
	work_over(w, k);
}

/* The counters are raised before anybody looks at `stop`: workers wait for whoever was not refused. */
static void
work_enters(struct worker *w, struct msg *m)
{
	struct work *k = work_of(m);
	size_t bytes = bytes_counted(k);
	bool full = atomic_fetch_add(&w->nwork, 1) >= INBOX_MAX;

	k->at = w;
	if (bytes != 0)
		full |= atomic_fetch_add(&w->work_bytes, bytes) + bytes > w->fleet->o.work_bytes;
	if (atomic_load(&w->fleet->stop))
		refuse(w, k, F_ServiceUnavailable, "the hub is stopping");
	else if (full && k->op.kind != OP_DISCONNECT)
		refuse(w, k, F_ThrottleBacklogLimitExceeded, "too many requests are waiting");
	else
		mailbox_post(&w->box, m);
}

/* No worker has counted it. */
void
fleet_answered(struct work *k)
{
	count_answer(k);
	work_home(k);
}

void
fleet_refused(struct work *k, enum fault_code code, const char *why)
{
	fault_set(&k->reply.fault, code, "%s", why);
	fleet_answered(k);
}

static void
work_refused(struct fleet *f, struct msg *m, enum fault_code code, const char *why)
{
	(void)f;
	fleet_refused(work_of(m), code, why);
}

/* Who asked was judged by what this node knew: so it begins nothing elsewhere that it would not begin here. */
static const char *
work_leaves(struct fleet *f, struct msg *m)
{
	struct work *k = work_of(m);

	if (f->o.may_answer != NULL && k->op.kind != OP_DISCONNECT &&
	    f->o.may_answer(f->o.lease) == 0)
		return NO_LEASE;
	return f->o.elsewhere->submit(f->o.elsewhere->ctx, k) ? NULL : STOPPING;
}

static size_t
work_bytes(const struct msg *m)
{
	return work_of((struct msg *)m)->room;
}

static bool
work_must(const struct msg *m)
{
	return work_of((struct msg *)m)->op.kind == OP_DISCONNECT;
}

/* Of what a device sends without waiting for more than an acknowledgement the only other answer is its link's end. */
static int64_t
work_patience_us(const struct msg *m)
{
	enum op_kind kind = work_of((struct msg *)m)->op.kind;

	if (kind == OP_DISCONNECT)
		return -1;
	return kind == OP_TELEMETRY ? PARKED_TELEMETRY_US : PARKED_US;
}

static bool
work_first(const struct msg *m)
{
	return work_of((struct msg *)m)->op.kind == OP_RESUME;
}

static const struct traveller travels = { .enter = work_enters,
	.refuse = work_refused,
	.bytes = work_bytes,
	.must = work_must,
	.patience_us = work_patience_us,
	.leave = work_leaves,
	.first = work_first };

static void
work_begins(struct work *k)
{
	k->since_ns = clock_mono_ns();
	k->turn_ns = 0;
	k->shard = op_shard(&k->op);
}

void
fleet_submit(struct fleet *f, struct work *k)
{
	work_begins(k);
	k->msg.run = work_arrived;
	route_send(f, k->shard, &travels, &k->msg);
}

bool
fleet_enter(struct fleet *f, struct work *k)
{
	if (k->since_ns == 0) /* another node's */
		work_begins(k);
	k->msg.run = work_arrived;
	return route_enter(f, k->shard, &travels, &k->msg);
}

bool
serve_put(struct worker *w, struct msg *m)
{
	struct work *k = work_of(m);

	if (m->run != work_arrived)
		return false;
	if (inbox_put(&w->inbox, k->asker, m, bytes_counted(k), k->op.kind == OP_DISCONNECT))
		w->waits[k->shard]++;
	else
		refuse(
		    w, k, F_ThrottleBacklogLimitExceeded, "too many requests of yours are waiting");
	return true;
}

/* ---- in turn ---- */

static bool
round_large(const struct worker *w)
{
	return gate_bytes(&w->gate) >= ROUND_LARGE;
}

bool
serve_awaits(const struct worker *w)
{
	return round_has_room(w, ROUND_WORKS) && inbox_has(&w->inbox, round_large(w));
}

int64_t
serve_patience_us(const struct worker *w)
{
	return serve_awaits(w) ? 0 : -1;
}

/* Apply one, and see what it has cost everybody. A CONNECT may be a stranger's: it costs whom it names nothing. */
static void
serve_one(struct worker *w, struct msg *m, int64_t *last_ns)
{
	size_t before = gate_bytes(&w->gate);
	size_t bytes = bytes_counted(work_of(m));
	bool stranger = work_of(m)->op.kind == OP_CONNECT;
	int64_t since_ns = *last_ns;

	work_of(m)->turn_ns = since_ns;
	metric_seen(METRIC_QUEUE_SECONDS, 0, (uint64_t)(since_ns - work_of(m)->since_ns));
	m->run(m);
	*last_ns = clock_mono_ns();
	inbox_paid(&w->inbox,
	    stranger ? 0
	             : (uint64_t)(*last_ns - since_ns) +
	            WRITTEN_BYTE_NS * (gate_bytes(&w->gate) - before),
	    bytes);
}

void
serve_turn(struct worker *w)
{
	int64_t begin_ns, last_ns;

	if (!serve_awaits(w))
		return;
	begin_ns = last_ns = clock_mono_ns();
	while (last_ns - begin_ns < TURN_NS && serve_awaits(w))
		serve_one(w, inbox_take(&w->inbox, round_large(w)), &last_ns);
}
