/* Orders in their order, under one lock; who asks while there are none takes no lock. */
#include "mishap/mishap.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define COUNT_MAX       INT64_C(1000000)
#define SECOND_US       INT64_C(1000000)
#define DELAY_MAX_S     60 /* a session reads nothing meanwhile: MQTT_REST_MAX_US */
#define LASTS_MAX_S     86400
#define SKEW_MAX_S      INT64_C(315360000)
#define NO_END          INT64_MAX
#define STATUS_OF_FAULT 503

/* What each of them is called, and which of the optional members it has. */
static const struct kind {
	const char *name;
	bool status;           /* 429, 500 or 503 */
	int64_t seconds_max;   /* 0: it has none */
	bool seconds_required; /* else they say how long it goes on */
} kinds[MISHAPS] = {
	[MISHAP_DROP_LINK] = { "dropLink", false, 0, false },
	[MISHAP_REFUSE_CONNECT] = { "refuseConnect", false, 0, false },
	[MISHAP_REFUSE_TWIN] = { "refuseTwin", true, 0, false },
	[MISHAP_DELAY_TWIN] = { "delayTwin", false, DELAY_MAX_S, true },
	[MISHAP_LOSE_NOTIFICATION] = { "loseNotification", false, 0, false },
	[MISHAP_UNAVAILABLE] = { "unavailable", false, LASTS_MAX_S, false },
	[MISHAP_TOKEN_SKEW] = { "tokenSkew", false, SKEW_MAX_S, true },
	[MISHAP_MOVE_SHARD] = { "moveShard", false, 0, false },
};

static const struct status {
	int64_t number;
	enum fault_code code;
} statuses[] = { { 429, F_ThrottlingException }, { 500, F_ServerError },
	{ 503, F_ServiceUnavailable } };

struct order {
	enum mishap what;
	bool any; /* whoever it is */
	char device[ID_MAX];
	size_t device_n;
	int64_t left; /* NO_END: until it is over */
	int64_t met;  /* how often it has happened */
	int64_t status, seconds;
	int64_t end_us; /* NO_END: when nothing is left */
};

struct mishaps {
	pthread_mutex_t mu;
	atomic_uint n; /* of v; changed under mu */
	struct order v[MISHAP_ORDERS_MAX];
};

struct mishaps *
mishaps_new(void)
{
	struct mishaps *m = xcalloc(1, sizeof(*m));

	pthread_mutex_init(&m->mu, NULL);
	return m;
}

void
mishaps_free(struct mishaps *m)
{
	if (m == NULL)
		return;
	pthread_mutex_destroy(&m->mu);
	free(m);
}

/* ---- with mu held ---- */

static void
forget(struct mishaps *m, unsigned i)
{
	unsigned n = atomic_load(&m->n);

	memmove(&m->v[i], &m->v[i + 1], (n - i - 1) * sizeof(m->v[0]));
	atomic_store(&m->n, n - 1);
}

static void
forget_over(struct mishaps *m, int64_t now_us)
{
	for (unsigned i = atomic_load(&m->n); i-- > 0;)
		if (m->v[i].end_us <= now_us)
			forget(m, i);
}

static bool
fits(const struct order *o, enum mishap what, struct str device)
{
	return o->what == what &&
	    (o->any || str_eq(device, (struct str){ o->device, o->device_n }));
}

static enum fault_code
code_of(int64_t status)
{
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (statuses[i].number == status)
			return statuses[i].code;
	return F_NONE;
}

static void
meet(struct mishaps *m, unsigned i, struct mishap_met *out)
{
	struct order *o = &m->v[i];

	*out = (struct mishap_met){ .code = code_of(o->status), .us = o->seconds * SECOND_US };
	o->met++;
	if (o->left != NO_END && --o->left == 0)
		forget(m, i);
}

bool
mishap_meets(
    struct mishaps *m, enum mishap what, struct str device, int64_t now_us, struct mishap_met *out)
{
	bool met = false;

	if (m == NULL || atomic_load(&m->n) == 0)
		return false;
	pthread_mutex_lock(&m->mu);
	forget_over(m, now_us);
	for (unsigned i = 0; i < atomic_load(&m->n) && !met; i++)
		if (fits(&m->v[i], what, device)) {
			meet(m, i, out);
			met = true;
		}
	pthread_mutex_unlock(&m->mu);
	return met;
}

/* ---- orders ---- */

static enum err
take_fault(struct doc d, struct order *o, struct fault *f)
{
	struct str name = doc_text(doc_getc(d, "fault"));

	for (unsigned k = 0; k < MISHAPS; k++)
		if (str_eq(name, str_of(kinds[k].name))) {
			o->what = (enum mishap)k;
			return ERR_OK;
		}
	return fault_set(f, F_ArgumentInvalid,
	    "fault is none of dropLink, refuseConnect, refuseTwin, delayTwin, loseNotification, "
	    "unavailable, tokenSkew, moveShard");
}

static enum err
take_number(struct doc d, const char *name, int64_t most, int64_t *out, struct fault *f)
{
	struct doc v = doc_get(d, str_of(name));

	if (!doc_defined(v))
		return ERR_OK;
	if (doc_kind(v) == DOC_INT && doc_int(v) >= 1 && doc_int(v) <= most) {
		*out = doc_int(v);
		return ERR_OK;
	}
	return fault_set(
	    f, F_ArgumentInvalid, "%s is not a whole number from 1 to %lld", name, (long long)most);
}

static enum err
take_device(struct doc d, struct order *o, struct fault *f)
{
	struct doc v = doc_getc(d, "device");

	o->any = !doc_defined(v);
	if (o->any)
		return ERR_OK;
	if (!id_valid(doc_text(v)))
		return fault_set(f, F_ArgumentInvalid, "device is not the id of a device");
	o->device_n = doc_text(v).n;
	bytes_copy(o->device, doc_text(v).p, o->device_n);
	return ERR_OK;
}

static enum err
take_status(struct doc d, struct order *o, struct fault *f)
{
	struct doc v = doc_getc(d, "status");

	o->status = doc_defined(v) ? (doc_kind(v) == DOC_INT ? doc_int(v) : 0) : STATUS_OF_FAULT;
	if (code_of(o->status) != F_NONE)
		return ERR_OK;
	return fault_set(f, F_ArgumentInvalid, "status is none of 429, 500, 503");
}

/* Members that this fault has not would be ordered in vain. */
static enum err
refuse_strays(struct doc d, const struct kind *k, struct fault *f)
{
	struct doc_iter it = doc_iter(d);
	struct str key;
	struct doc v;

	while (doc_next(&it, &key, &v)) {
		bool known = str_eq(key, STR("fault")) || str_eq(key, STR("count")) ||
		    str_eq(key, STR("device")) || (k->status && str_eq(key, STR("status"))) ||
		    (k->seconds_max > 0 && str_eq(key, STR("seconds")));

		if (!known)
			return fault_set(f, F_ArgumentInvalid, STR_FMT " is no member of %s",
			    STR_ARG(key), k->name);
	}
	return ERR_OK;
}

static enum err
take(struct doc d, int64_t now_us, struct order *o, struct fault *f)
{
	const struct kind *k;
	enum err e;

	*o = (struct order){ .end_us = NO_END };
	if (doc_kind(d) != DOC_OBJECT)
		return fault_set(f, F_ArgumentInvalid, "the body is not a JSON object");
	if ((e = take_fault(d, o, f)) != ERR_OK)
		return e;
	k = &kinds[o->what];
	if ((e = refuse_strays(d, k, f)) != ERR_OK || (e = take_device(d, o, f)) != ERR_OK ||
	    (e = take_number(d, "count", COUNT_MAX, &o->left, f)) != ERR_OK ||
	    (e = take_number(d, "seconds", k->seconds_max, &o->seconds, f)) != ERR_OK)
		return e;
	if (k->status && (e = take_status(d, o, f)) != ERR_OK)
		return e;
	if (k->seconds_required && o->seconds == 0)
		return fault_set(f, F_ArgumentInvalid, "seconds are missing");
	if (!k->seconds_required && o->seconds != 0)
		o->end_us = now_us + o->seconds * SECOND_US;
	if (o->left == 0)
		o->left = o->end_us != NO_END ? NO_END : 1;
	return ERR_OK;
}

static void
show(const struct order *o, int64_t now_us, struct out *out)
{
	out_open(out);
	out_cstr(out_key(out, "fault"), kinds[o->what].name);
	if (!o->any)
		out_str(out_key(out, "device"), (struct str){ o->device, o->device_n });
	if (o->left != NO_END)
		out_i64(out_key(out, "count"), o->left);
	if (o->status != 0)
		out_i64(out_key(out, "status"), o->status);
	if (o->end_us != NO_END)
		out_i64(out_key(out, "seconds"), (o->end_us - now_us + SECOND_US - 1) / SECOND_US);
	else if (o->seconds != 0)
		out_i64(out_key(out, "seconds"), o->seconds);
	out_i64(out_key(out, "met"), o->met);
	out_close(out);
}

enum err
mishaps_order(struct mishaps *m, struct doc order, int64_t now_us, struct out *out, struct fault *f)
{
	struct order o;
	enum err e = take(order, now_us, &o, f);
	unsigned n;

	if (e != ERR_OK)
		return e;
	pthread_mutex_lock(&m->mu);
	forget_over(m, now_us);
	n = atomic_load(&m->n);
	if (n < MISHAP_ORDERS_MAX) {
		m->v[n] = o;
		atomic_store(&m->n, n + 1);
		show(&o, now_us, out);
	} else {
		fault_set(
		    f, F_ArgumentInvalid, "%u faults are ordered, the limit", MISHAP_ORDERS_MAX);
		e = ERR_FULL;
	}
	pthread_mutex_unlock(&m->mu);
	return e;
}

void
mishaps_show(struct mishaps *m, int64_t now_us, struct out *out)
{
	pthread_mutex_lock(&m->mu);
	forget_over(m, now_us);
	out_list(out);
	for (unsigned i = 0; i < atomic_load(&m->n); i++)
		show(&m->v[i], now_us, out);
	out_close(out);
	pthread_mutex_unlock(&m->mu);
}

void
mishaps_clear(struct mishaps *m)
{
	pthread_mutex_lock(&m->mu);
	atomic_store(&m->n, 0);
	pthread_mutex_unlock(&m->mu);
}
