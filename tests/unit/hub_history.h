/*
 * Random histories of a shard against a model that only counts: a lane is a shard whose commits go as a worker's do,
 * one gathering while another is on its way, and end well, or in failure, or in a crash.
 *
 *   base --ops--> in flight (submitted) --ops--> now (gathering)
 *
 * The model knows of each device its counters, a few values, its status and who hears of it. It is copied where the
 * state might have to be found again.
 */
#ifndef HUB_HISTORY_H
#define HUB_HISTORY_H

#include "hub/messages.h"

#define KIT_FEATURES &message_feature
#include "hub_kit.h"

#define DEVICES 6
#define KEYS    3
#define ABSENT  (-1)

struct model_device {
	bool exists, disabled;
	unsigned e, desired_version, reported_version;
	int tags[KEYS], desired[KEYS], reported[KEYS];
	bool stored, stored_d;    /* a durable session; it has the filter for desired */
	bool live, clean, live_d; /* a link; its session has that filter */
	uint64_t session_epoch;
	uint32_t slot;
	unsigned nmessage; /* in its queue */
};

struct model {
	struct model_device d[DEVICES];
};

struct lane {
	struct kit k;
	struct rnd rnd;
	struct model now, flight, base;    /* after all; after what is in flight; on disk */
	struct buf flight_text, base_text; /* the shard's state at the same points, see lane_text */
	bool flying;
	bool ghost; /* a batch that failed is on disk, and not yet repaired */
	struct kit_rows flight_batch, repair;
	struct undo *flight_undo, *undone;
	uint32_t slot;
	unsigned naming; /* which names the devices have */
};

static UNUSED const char *
device_name(const struct lane *l, unsigned i)
{
	static char out[32];

	snprintf(out, sizeof(out), "device-%u-%u", l->naming, i);
	return out;
}

/* ---- the shard's state as text: all but presence and what is merely cached ---- */

static UNUSED void
lane_text(struct lane *l, struct buf *out)
{
	struct shard *sh = l->k.sh;
	uint64_t cached = 0;

	out->n = 0;
	buf_printf(out, "rows %u identities %u free", sh->nrow, sh->nidentity);
	for (uint32_t i = 0; i < sh->nfree; i++)
		buf_printf(out, " %u:%lld", sh->free[sh->free_from + i].row,
		    (long long)sh->free[sh->free_from + i].since_us);
	for (uint32_t i = 0; i < sh->nrow; i++) {
		const struct row *r = row_at(sh, i);

		if (r->id == NULL)
			continue;
		assert_int_equal(shard_find(sh, row_device(r), row_module(r)), i);
		buf_printf(out, "\n%u " STR_FMT " %d", i, STR_ARG(row_device(r)), r->disabled);
		for (int kind = 0; kind < RECORD_KINDS; kind++) {
			const struct kit_row *stored =
			    rows_find(&l->k.store, (enum record_kind)kind, row_key(r));
			const struct blob *b = r->records[kind];

			buf_putc(out, '|');
			if (b == NULL && stored != NULL)
				buf_str(out, buf_view(&stored->value));
			else if (b != NULL)
				buf_str(out, blob_str(b));
			cached += b != NULL ? b->n : 0;
		}
	}
	assert_int_equal(cached, shard_cached_bytes(sh));
}

/* The store holds the state of `text`'s moment and nothing else, the log aside. */
static UNUSED void
lane_store_agrees(struct lane *l)
{
	const struct shard *sh = l->k.sh;
	uint32_t n = 0, stored = 0;

	for (uint32_t i = 0; i < sh->nrow; i++) {
		const struct row *r = row_at(sh, i);

		for (int kind = 0; r->id != NULL && kind < RECORD_KINDS; kind++) {
			const struct kit_row *s =
			    rows_find(&l->k.store, (enum record_kind)kind, row_key(r));
			const struct blob *b = r->records[kind];

			if (b == NULL || b == &blob_none) {
				if (b == &blob_none)
					assert_null(s);
			} else {
				assert_non_null(s);
				assert_true(str_eq(blob_str(b), buf_view(&s->value)));
			}
			n += s != NULL;
		}
	}
	for (uint32_t i = 0; i < l->k.store.n; i++)
		stored += l->k.store.v[i].kind < RECORD_KINDS;
	assert_int_equal(n, stored);
}

/* ---- a lane ---- */

static UNUSED void
lane_init(struct lane *l, uint64_t seed, unsigned naming)
{
	memset(l, 0, sizeof(*l));
	kit_init(&l->k);
	l->k.hold = true;
	l->rnd.state = seed | 1;
	l->naming = naming;
	l->flight_undo = undo_new();
	l->undone = undo_new();
	lane_text(l, &l->base_text);
}

static UNUSED void
lane_fini(struct lane *l)
{
	undo_free(l->flight_undo);
	undo_free(l->undone);
	rows_fini(&l->flight_batch);
	rows_fini(&l->repair);
	buf_fini(&l->flight_text);
	buf_fini(&l->base_text);
	kit_fini(&l->k);
}

/* What wrote nothing stands or falls with what it has seen. */
static UNUSED void
lane_settle(struct lane *l)
{
	if (l->k.batch.n > 0)
		return;
	if (l->flying) {
		undo_append(l->flight_undo, l->k.undo);
		l->flight = l->now;
	} else {
		undo_commit(l->k.undo);
		l->base = l->now;
	}
}

/* ---- what the model expects ---- */

static UNUSED int
random_value(struct lane *l)
{
	return rnd_below(&l->rnd, 3) == 0 ? ABSENT : (int)rnd_below(&l->rnd, 1000);
}

/* {'k0':5,'k2':null}: a patch of some keys, and what it makes of the values. Returns whether it is a change. */
static UNUSED bool
random_patch(struct lane *l, char *out, size_t room, int values[KEYS])
{
	size_t n = (size_t)snprintf(out, room, "{");
	bool change = false;

	for (int i = 0; i < KEYS; i++) {
		int v = random_value(l);

		if (rnd_below(&l->rnd, 2) == 0)
			continue;
		change |= v != ABSENT || values[i] != ABSENT;
		values[i] = v;
		if (v == ABSENT)
			n += (size_t)snprintf(
			    out + n, room - n, "%s'k%d':null", n > 1 ? "," : "", i);
		else
			n += (size_t)snprintf(
			    out + n, room - n, "%s'k%d':%d", n > 1 ? "," : "", i, v);
	}
	snprintf(out + n, room - n, "}");
	return change;
}

/* The new content of a PUT; returns whether it or the old one has a key. */
static UNUSED bool
random_content(struct lane *l, char *out, size_t room, int values[KEYS])
{
	size_t n = (size_t)snprintf(out, room, "{");
	bool some = false;

	for (int i = 0; i < KEYS; i++) {
		some |= values[i] != ABSENT;
		values[i] = random_value(l);
		if (values[i] == ABSENT)
			continue;
		some = true;
		n += (size_t)snprintf(
		    out + n, room - n, "%s'k%d':%d", n > 1 ? "," : "", i, values[i]);
	}
	snprintf(out + n, room - n, "}");
	return some;
}

static UNUSED void
expect_effects(struct lane *l, uint32_t closed, const struct model_device *notified)
{
	char want[64] = "";

	if (closed != 0)
		snprintf(want, sizeof(want), "close %u", closed);
	if (notified != NULL)
		snprintf(want, sizeof(want), "notify %u v%u ", notified->slot,
		    notified->desired_version);
	kit_effects(&l->k);
	if (strncmp(l->k.text.p, want, strlen(want)) != 0 ||
	    (want[0] == '\0') != (l->k.text.n == 1))
		fail_msg("'%s' left, expected '%s'", l->k.text.p, want);
}

/* ---- operations ---- */

static UNUSED void
step_put(struct lane *l, unsigned i, struct model_device *d)
{
	bool update = d->exists, disable = update && rnd_below(&l->rnd, 3) == 0;
	uint32_t closed = disable && d->live ? d->slot : 0;
	char body[512];

	snprintf(body, sizeof(body),
	    "{'authentication':{'symmetricKey':{'primaryKey':'" KEY1 "','secondaryKey':'" KEY2
	    "'}},'status':'%s'}",
	    disable ? "disabled" : "enabled");
	assert_int_equal(kit_put(&l->k, device_name(l, i), update ? "*" : NULL, body), F_NONE);
	if (!update) {
		*d = (struct model_device){
			.exists = true, .e = 1, .desired_version = 1, .reported_version = 1
		};
		for (int key = 0; key < KEYS; key++)
			d->tags[key] = d->desired[key] = d->reported[key] = ABSENT;
	}
	d->disabled = disable;
	d->live = d->live && !disable;
	expect_effects(l, closed, NULL);
}

static UNUSED void
step_delete(struct lane *l, unsigned i, struct model_device *d)
{
	uint32_t closed = d->live ? d->slot : 0;

	assert_int_equal(
	    kit_delete(&l->k, device_name(l, i), NULL), d->exists ? F_NONE : F_DeviceNotFound);
	*d = (struct model_device){ 0 };
	expect_effects(l, closed, NULL);
}

static UNUSED void
step_write(struct lane *l, unsigned i, struct model_device *d)
{
	struct model_device next = *d;
	bool put = rnd_below(&l->rnd, 3) == 0, tags_changed, desired_changed;
	char tags[128], desired[128], body[300];

	if (put) {
		tags_changed = true; /* a step of E in any case */
		random_content(l, tags, sizeof(tags), next.tags);
		desired_changed = random_content(l, desired, sizeof(desired), next.desired);
	} else {
		tags_changed = random_patch(l, tags, sizeof(tags), next.tags);
		desired_changed = random_patch(l, desired, sizeof(desired), next.desired);
	}
	snprintf(body, sizeof(body), "{'tags':%s,'properties':{'desired':%s}}", tags, desired);
	assert_int_equal(put ? kit_replace(&l->k, device_name(l, i), NULL, body)
	                     : kit_patch(&l->k, device_name(l, i), NULL, body),
	    d->exists ? F_NONE : F_DeviceNotFound);
	if (!d->exists)
		return;
	next.e += tags_changed || desired_changed;
	next.desired_version += desired_changed;
	*d = next;
	expect_effects(l, 0, desired_changed && d->live && d->live_d ? d : NULL);
}

static UNUSED void
step_report(struct lane *l, unsigned i, struct model_device *d)
{
	struct model_device next = *d;
	uint64_t session_epoch = d->session_epoch != 0 ? d->session_epoch : UINT64_MAX;
	char body[128];

	random_patch(l, body, sizeof(body), next.reported);
	if (kit_report(&l->k, device_name(l, i), session_epoch, body) != F_NONE) {
		assert_true(l->k.reply.gone);
		assert_false(d->live);
		return;
	}
	assert_true(d->live);
	next.reported_version++;
	assert_int_equal(l->k.reply.version, next.reported_version);
	*d = next;
}

static UNUSED void
step_connect(struct lane *l, unsigned i, struct model_device *d)
{
	bool clean = rnd_below(&l->rnd, 2) == 0;
	uint32_t closed = d->live ? d->slot : 0;
	struct op op = kit_connect_op(&l->k, device_name(l, i), ++l->slot, clean);
	enum fault_code code = kit_run(&l->k, &op);

	if (!d->exists || d->disabled) {
		assert_int_equal(code, F_IotHubUnauthorizedAccess);
		return;
	}
	if (!l->k.env.can_write && clean == d->stored) {
		assert_int_equal(code, F_ServiceUnavailable);
		return;
	}
	assert_int_equal(code, F_NONE);
	assert_int_equal(l->k.reply.session_present, !clean && d->stored);
	d->live_d = !clean && d->stored && d->stored_d;
	d->stored_d = d->live_d;
	d->stored = !clean;
	d->live = true;
	d->clean = clean;
	d->slot = l->slot;
	d->session_epoch = l->k.reply.session_epoch;
	expect_effects(l, closed, NULL);
}

static UNUSED void
step_subscribe(struct lane *l, unsigned i, struct model_device *d)
{
	bool on = rnd_below(&l->rnd, 3) > 0;

	if (!d->live)
		return;
	if (on)
		assert_string_equal(
		    kit_subscribe(&l->k, device_name(l, i), d->session_epoch, "td"), "00");
	else
		kit_unsubscribe(&l->k, device_name(l, i), d->session_epoch, "d");
	d->live_d = on;
	d->stored_d = d->stored && on;
}

static UNUSED void
step_disconnect(struct lane *l, unsigned i, struct model_device *d)
{
	bool late = rnd_below(&l->rnd, 4) == 0;

	kit_session_op(
	    &l->k, OP_DISCONNECT, device_name(l, i), late ? UINT64_MAX : d->session_epoch, NULL);
	d->live = d->live && late;
}

static UNUSED void
step_telemetry(struct lane *l, unsigned i, struct model_device *d)
{
	struct op op = kit_op(OP_TELEMETRY, device_name(l, i));

	op.session_epoch = d->session_epoch;
	op.payload = STR("t");
	if (d->live)
		assert_int_equal(kit_run(&l->k, &op), F_NONE);
}

static UNUSED unsigned
queued(const struct lane *l, unsigned i)
{
	const struct row *r = row_find(l->k.sh, str_of(device_name(l, i)), STR_NONE);

	return r != NULL ? r->nmessage : 0;
}

static UNUSED void
step_send(struct lane *l, unsigned i, struct model_device *d)
{
	struct op op = kit_op(OP_MESSAGE_SEND, device_name(l, i));
	enum fault_code code;

	op.payload = STR("turn on");
	op.message.ack = rnd_below(&l->rnd, 2) == 0 ? ACK_FULL : ACK_NONE;
	code = kit_run(&l->k, &op);
	assert_int_equal(code,
	    !d->exists                       ? F_DeviceNotFound
	        : d->nmessage < MESSAGES_MAX ? F_NONE
	                                     : F_DeviceMaximumQueueDepthExceeded);
	d->nmessage += code == F_NONE;
}

/* Taken, and then completed, rejected, given back, or kept for a minute. */
static UNUSED void
step_take(struct lane *l, unsigned i, struct model_device *d)
{
	struct op op = kit_op(OP_MESSAGE_RECEIVE, device_name(l, i));
	uint32_t what = rnd_below(&l->rnd, 4);

	if (!d->exists || d->disabled || kit_run(&l->k, &op) != F_NONE ||
	    l->k.reply.message.number == 0) {
		d->nmessage = queued(l, i); /* what was delivered too often has gone */
		return;
	}
	lane_settle(l);
	op.kind = OP_MESSAGE_SETTLE;
	op.message.outcome = (enum message_outcome)(what % 3);
	assert_true(lock_token_parse(str_of(l->k.reply.etag), op.message.token));
	d->nmessage = queued(l, i);
	if (what == 3)
		return;
	assert_int_equal(kit_run(&l->k, &op), F_NONE);
	if (op.message.outcome != MESSAGE_ABANDON)
		assert_int_equal(queued(l, i), d->nmessage - 1);
	d->nmessage = queued(l, i);
}

static UNUSED void
step_purge(struct lane *l, unsigned i, struct model_device *d)
{
	struct op op = kit_op(OP_MESSAGES_PURGE, device_name(l, i));
	unsigned before = d->nmessage;

	if (!d->exists)
		return;
	assert_int_equal(kit_run(&l->k, &op), F_NONE);
	d->nmessage = queued(l, i);
	assert_true(l->k.reply.version <= before - d->nmessage);
}

/* One random operation, its answer checked; only one that a shard without a writing store is given, if it must not. */
static UNUSED void
lane_step(struct lane *l)
{
	typedef void step_fn(struct lane * l, unsigned i, struct model_device *d);
	static const struct {
		step_fn *step;
		unsigned weight;
		bool writes;
	} steps[] = { { step_put, 3, true }, { step_delete, 1, true }, { step_write, 5, true },
		{ step_report, 6, true }, { step_connect, 4, false }, { step_subscribe, 2, true },
		{ step_disconnect, 1, false }, { step_telemetry, 1, true }, { step_send, 4, true },
		{ step_take, 3, true }, { step_purge, 1, true } };
	unsigned i = rnd_below(&l->rnd, DEVICES), at = rnd_below(&l->rnd, 31), s = 0;

	while (at >= steps[s].weight)
		at -= steps[s++].weight;
	if (steps[s].writes && !l->k.env.can_write)
		return;
	if (rnd_below(&l->rnd, 50) == 0)
		l->k.env.elapsed_us += ROW_GRACE_US;
	steps[s].step(l, i, &l->now.d[i]);
	l->k.effects.n = 0;
	lane_settle(l);
}

/* ---- commits ---- */

static UNUSED void
lane_submit(struct lane *l)
{
	struct kit_rows empty = l->flight_batch;
	struct undo *u = l->flight_undo;

	if (l->flying || l->k.batch.n == 0)
		return;
	l->flying = true;
	l->flight_batch = l->k.batch;
	l->k.batch = empty;
	l->flight_undo = l->k.undo;
	l->k.undo = l->k.env.undo = u;
	l->flight = l->now;
	lane_text(l, &l->flight_text);
}

static UNUSED void
lane_acked(struct lane *l)
{
	if (!l->flying)
		return;
	l->flying = false;
	rows_apply(&l->k.store, &l->flight_batch);
	rows_clear(&l->flight_batch);
	undo_commit(l->flight_undo);
	l->base = l->flight;
	l->base_text.n = 0;
	buf_str(&l->base_text, buf_view(&l->flight_text));
	lane_settle(l);
}

/* Sessions are not brought back: only a link that was there and still is goes on, with its filters of then. */
static UNUSED void
model_rollback(struct lane *l)
{
	for (int i = 0; i < DEVICES; i++) {
		struct model_device was = l->now.d[i], *d = &l->base.d[i];

		if (!was.live || was.session_epoch != d->session_epoch)
			d->live = false;
	}
	l->now = l->base;
}

/* The commit in flight fails; its batch is found on disk all the same, or not. */
static UNUSED void
lane_failed(struct lane *l, bool found)
{
	struct undo_sink sink = { &l->k, kit_put_row, kit_del_row };
	struct buf text = { 0 };

	if (!l->flying)
		return;
	l->flying = false;
	l->ghost = found;
	if (found)
		rows_apply(&l->k.store, &l->flight_batch);
	rows_clear(&l->flight_batch);
	rows_clear(&l->k.batch);
	undo_rollback(l->k.undo, &sink);
	undo_rollback(l->flight_undo, &sink);
	undo_append(l->undone, l->k.undo);
	undo_append(l->undone, l->flight_undo);
	l->repair = l->k.batch;
	l->k.batch = (struct kit_rows){ 0 };
	l->k.env.can_write = false;
	model_rollback(l);
	lane_text(l, &text);
	if (!str_eq(buf_view(&text), buf_view(&l->base_text)))
		fail_msg("after a rollback:\n" STR_FMT "\nbefore:\n" STR_FMT,
		    STR_ARG(buf_view(&text)), STR_ARG(buf_view(&l->base_text)));
	buf_fini(&text);
}

static UNUSED void
lane_repaired(struct lane *l)
{
	if (l->k.env.can_write)
		return;
	rows_apply(&l->k.store, &l->repair);
	rows_fini(&l->repair);
	undo_commit(l->undone);
	l->k.env.can_write = true;
	l->ghost = false;
	lane_store_agrees(l);
}

/*
 * The process dies; what was in flight is on disk, or not: whole in either case. So is a batch that had failed and was
 * not repaired yet. The next process starts.
 */
static UNUSED void
lane_crash(struct lane *l, bool found)
{
	if (l->flying && found)
		rows_apply(&l->k.store, &l->flight_batch);
	if (l->ghost && found)
		rows_apply(&l->k.store, &l->repair);
	if ((l->flying && found) || (l->ghost && !found))
		l->base = l->flight;
	l->flying = l->ghost = false;
	rows_clear(&l->flight_batch);
	rows_clear(&l->k.batch);
	rows_fini(&l->repair);
	undo_commit(l->flight_undo);
	undo_commit(l->undone);
	l->k.env.can_write = true;
	for (int i = 0; i < DEVICES; i++)
		l->base.d[i].live = false;
	l->now = l->base;
	kit_restart(&l->k);
	lane_store_agrees(l);
	lane_text(l, &l->base_text);
}

/* ---- the whole state against the model ---- */

static UNUSED void
check_values(struct lane *l, const char *at, const int values[KEYS])
{
	for (int i = 0; i < KEYS; i++) {
		char path[64], want[16];

		snprintf(path, sizeof(path), "%s/k%d", at, i);
		snprintf(want, sizeof(want), values[i] == ABSENT ? "-" : "%d", values[i]);
		kit_shows(&l->k, path, want);
	}
}

static UNUSED void
lane_check(struct lane *l)
{
	uint32_t n = 0;
	uint64_t nmessage = 0;

	for (unsigned i = 0; i < DEVICES; i++) {
		const struct model_device *d = &l->now.d[i];
		char want[64];

		nmessage += d->nmessage;

		if (!d->exists) {
			assert_int_equal(kit_read(&l->k, device_name(l, i)), F_DeviceNotFound);
			continue;
		}
		n++;
		snprintf(want, sizeof(want), "%u %u %u %u", d->e, d->e + d->reported_version,
		    d->desired_version, d->reported_version);
		assert_string_equal(kit_counters(&l->k, device_name(l, i)), want);
		check_values(l, "tags", d->tags);
		check_values(l, "properties/desired", d->desired);
		check_values(l, "properties/reported", d->reported);
		assert_int_equal(queued(l, i), d->nmessage);
		kit_shows(&l->k, "status", d->disabled ? "'disabled'" : "'enabled'");
		kit_shows(&l->k, "connectionState", d->live ? "'Connected'" : "'Disconnected'");
	}
	assert_int_equal(shard_identities(l->k.sh), n);
	assert_int_equal(shard_messages(l->k.sh), nmessage);
	lane_settle(l);
}

#endif
