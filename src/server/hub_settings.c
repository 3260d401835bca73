/*
 * The hub's settings in force (docs/spec/events.md 8): what of them goes where, and their first values, which are those of the options.
 *
 *   fleet_settings, or the options --> settings_take --> catalogue, feed, store
 *   PATCH --> shard 0 --> on_settings ------^
 */
#include "server/priv.h"

#include <inttypes.h>
#include <stdlib.h>

/* Options that are first values. */
static const struct first_value {
	enum setting setting;
	size_t at; /* in struct server_options */
	const char *option, *section, *name;
} firsts[] = {
	{ SETTING_LOG_MAX_SIZE, offsetof(struct server_options, log_max_bytes), "log-max-size",
	    "retention", "logMaxSize" },
	{ SETTING_LOG_MAX_AGE, offsetof(struct server_options, log_max_age_s), "log-max-age",
	    "retention", "logMaxAge" },
	{ SETTING_CHANGES_MAX_SIZE, offsetof(struct server_options, changes_max_bytes),
	    "changes-max-size", "retention", "changesMaxSize" },
	{ SETTING_CHANGES_MAX_AGE, offsetof(struct server_options, changes_max_age_s),
	    "changes-max-age", "retention", "changesMaxAge" },
	{ SETTING_PARTITIONS, offsetof(struct server_options, partitions), "event-partitions",
	    "events", "partitions" },
};
#define NFIRST (sizeof(firsts) / sizeof(firsts[0]))

static int64_t
option_of(const struct server *s, const struct first_value *v)
{
	return (int64_t) * (const uint64_t *)((const char *)&s->o + v->at);
}

/* ---- in force ---- */

/* Buckets are full after it, so only what has changed is taken. */
static void
limits_take_settings(struct server *s, const struct settings *set)
{
	struct limit_rules *rules;
	char why[256];

	if (s->settings != NULL && settings_limits_same(s->settings, set))
		return;
	rules = xmalloc(sizeof(*rules));
	if (settings_limits(set, rules, why, sizeof(why)) != ERR_OK)
		log_text(LOG_ERROR, "the limits among the settings are not in force: %s", why);
	else if (limiter_set(s->limiter, rules) != ERR_OK)
		log_text(LOG_WARN,
		    "options and settings name more than %u policies and nets, the limit: some "
		    "limits are not in force",
		    LIMIT_NAMED_MAX);
	free(rules);
}

static struct store_retention
retention_of(const struct settings *set)
{
	return (struct store_retention){
		.log_bytes = (uint64_t)set->v[SETTING_LOG_MAX_SIZE],
		.log_age_s = (uint64_t)set->v[SETTING_LOG_MAX_AGE],
		.changes_bytes = (uint64_t)set->v[SETTING_CHANGES_MAX_SIZE],
		.changes_age_s = (uint64_t)set->v[SETTING_CHANGES_MAX_AGE],
	};
}

void
settings_take(struct server *s, struct settings *set, bool own)
{
	const struct store_retention keep = retention_of(set);
	const struct log_what what = settings_log(set);

	pthread_mutex_lock(&s->policies_mutex);
	if (!own && s->hub_here) {
		pthread_mutex_unlock(&s->policies_mutex);
		settings_unref(set);
		return;
	}
	limits_take_settings(s, set);
	settings_unref(s->settings);
	s->settings = set;
	catalogue_publish(s);
	pthread_mutex_unlock(&s->policies_mutex);
	feed_show(s->feed, &what);
	store_retain(s->store, &keep);
}

void
settings_retain(struct server *s)
{
	struct settings *set = admin_settings(s);
	const struct store_retention keep = retention_of(set);

	settings_unref(set);
	store_retain(s->store, &keep);
}

struct settings *
admin_settings(void *ctx)
{
	struct server *s = ctx;
	struct settings *set;

	pthread_mutex_lock(&s->policies_mutex);
	set = settings_ref(s->settings);
	pthread_mutex_unlock(&s->policies_mutex);
	return set;
}

/* ---- first values ---- */

/* Nothing has ever been logged: the number of partitions is still free. */
static bool
is_new(const struct server *s)
{
	for (uint32_t i = 0; i < SHARDS; i++)
		if (fleet_log_end(s->fleet, i) > 1)
			return false;
	return true;
}

struct settings *
settings_first(const struct server *s)
{
	struct settings *set = s->o.cluster == NULL ? fleet_settings(s->fleet) : settings_new();
	bool new = set->counter == 0 && is_new(s);

	for (size_t i = 0; set->counter == 0 && i < NFIRST; i++)
		if (firsts[i].setting != SETTING_PARTITIONS || new)
			set->v[firsts[i].setting] = option_of(s, &firsts[i]);
	return set;
}

/* An option that says something else than what is in force is not passed over in silence. */
static void
tell_unused(const struct server *s)
{
	for (size_t i = 0; i < NFIRST; i++) {
		int row = option_find(&server_settings, str_of(firsts[i].option));
		int64_t is = s->settings->v[firsts[i].setting];

		if (row < 0 || (s->o.given & OPTION_BIT(row)) == 0 ||
		    is == option_of(s, &firsts[i]))
			continue;
		log_text(LOG_WARN,
		    "%s %" PRId64 " is not used: the hub's setting %s.%s is %" PRId64
		    ", and options are first values alone%s",
		    firsts[i].option, option_of(s, &firsts[i]), firsts[i].section, firsts[i].name,
		    is,
		    firsts[i].setting == SETTING_PARTITIONS
		        ? ", which in this case stay"
		        : "; `twinhub settings set` changes it");
	}
}

/* Who waits for the first ones to be stored. */
struct storing {
	pthread_mutex_t mu;
	pthread_cond_t done;
	bool is_done;
	struct fault fault;
};

static void
stored(struct work *w)
{
	struct storing *st = w->owner;

	pthread_mutex_lock(&st->mu);
	st->fault = w->reply.fault;
	st->is_done = true;
	pthread_cond_signal(&st->done);
	pthread_mutex_unlock(&st->mu);
	work_free(w);
}

static void
put_firsts(struct buf *out, const struct settings *set)
{
	const char *section = NULL;
	struct doc_writer dw;

	doc_writer_init(&dw, out, 0);
	doc_begin_object(&dw, 0);
	for (size_t i = 0; i < NFIRST; i++) {
		if (section == NULL || strcmp(section, firsts[i].section) != 0) {
			if (section != NULL)
				doc_end(&dw);
			section = firsts[i].section;
			doc_key(&dw, str_of(section));
			doc_begin_object(&dw, 0);
		}
		doc_key(&dw, str_of(firsts[i].name));
		doc_put_int(&dw, 0, set->v[firsts[i].setting]);
	}
	doc_end(&dw);
	doc_end(&dw);
}

/* Unless somebody is faster. */
static void
store_firsts(struct server *s, struct storing *st)
{
	struct buf payload = { 0 };
	struct work *w;
	char etag[32];

	settings_etag(s->settings, etag);
	put_firsts(&payload, s->settings);
	w = work_new(s->loops[0], payload.n + strlen(etag), stored);
	w->op.kind = OP_SETTINGS_PATCH;
	w->op.actor = ACTOR_HUB;
	w->op.if_match = IF_TAG;
	w->op.if_tag = work_str(w, str_of(etag));
	w->op.payload = work_str(w, buf_view(&payload));
	w->owner = st;
	buf_fini(&payload);
	fleet_submit(s->fleet, w);
	pthread_mutex_lock(&st->mu);
	while (!st->is_done)
		pthread_cond_wait(&st->done, &st->mu);
	pthread_mutex_unlock(&st->mu);
}

void
settings_begin(struct server *s)
{
	struct storing st = { .mu = PTHREAD_MUTEX_INITIALIZER, .done = PTHREAD_COND_INITIALIZER };

	if (s->settings->counter == 0 && nodes_have(s, 0)) {
		store_firsts(s, &st);
		if (st.fault.code != F_NONE && st.fault.code != F_PreconditionFailed)
			log_text(LOG_WARN,
			    "the hub's settings could not be stored: %s; those of the options are "
			    "in "
			    "force, and the next start stores them",
			    st.fault.text);
	}
	tell_unused(s);
}
