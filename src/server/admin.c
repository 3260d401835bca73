/* What operators ask of the program through the API: policies, readiness. */
#include "metric/metric.h"
#include "pg/pg.h"
#include "server/priv.h"

#include <stdio.h>
#include <stdlib.h>

static enum err
admin_policy_show(void *ctx, struct str name, struct buf *json)
{
	struct server *s = ctx;
	struct out o = out_to(json);
	const struct policy *p;
	enum err e = ERR_OK;

	pthread_mutex_lock(&s->policies_mutex);
	if (name.n != 0) {
		p = policy_find(s->policies->v, s->policies->n, name);
		if (p == NULL)
			e = ERR_NOT_FOUND;
		else
			policy_put(&o, p);
	} else {
		out_list(&o);
		for (size_t i = 0; i < s->policies->n; i++)
			policy_put(&o, &s->policies->v[i]);
		out_close(&o);
	}
	pthread_mutex_unlock(&s->policies_mutex);
	return e;
}

/* next is another list than the one in force: made durable, then put in force. The texts are of a fault: it may be undone by a crash; it
 * is not stored. */
static enum err
policies_switch(struct server *s, struct policies *next, const char *unsynced, const char *unstored,
    struct fault *f)
{
	enum err e = places_of(s)->policies_store(s, next, f);

	if (e != ERR_OK && e != ERR_LOCKED)
		fault_set(f, F_ServiceUnavailable, "%s", e == ERR_UNSYNCED ? unsynced : unstored);
	if (e != ERR_OK && e != ERR_UNSYNCED) {
		policies_free(next);
		return e;
	}
	policies_free(s->policies); /* what is in force is what is stored */
	s->policies = next;
	catalogue_publish(s);
	return e;
}

/* On disk before it is in force, in force before it is answered. */
static enum err
admin_policy_rotate(void *ctx, struct str name, bool primary, struct buf *json, struct fault *f)
{
	struct server *s = ctx;
	struct policies *next;
	struct out o = out_to(json);
	enum err e;

	pthread_mutex_lock(&s->policies_mutex);
	next = policies_copy(s->policies);
	e = policies_rotate(next, name, primary);
	if (e == ERR_OK)
		e = policies_switch(s, next,
		    "the new key is in force, but a crash may bring the old one back: rotate it "
		    "again",
		    "the new key could not be stored, the old one stays", f);
	else
		policies_free(next);
	if (e == ERR_OK || e == ERR_UNSYNCED)
		policy_put(&o, policy_find(s->policies->v, s->policies->n, name));
	pthread_mutex_unlock(&s->policies_mutex);
	if (e == ERR_OK || e == ERR_UNSYNCED)
		links_again(s);
	if (e == ERR_OK)
		e = common_wait(s, f);
	return e;
}

static enum err
admin_policy_create(void *ctx, struct str name, unsigned rights, struct buf *json, struct fault *f)
{
	struct server *s = ctx;
	struct policies *next;
	struct out o = out_to(json);
	enum err e;

	pthread_mutex_lock(&s->policies_mutex);
	next = policies_copy(s->policies);
	e = policies_add(next, name, rights);
	if (e == ERR_OK) {
		e = policies_switch(s, next,
		    "the policy is there, but a crash may undo it: try again",
		    "the policy could not be stored, there is none", f);
		if (e == ERR_OK)
			policy_put(&o, policy_find(s->policies->v, s->policies->n, name));
	} else {
		if (e == ERR_EXISTS)
			fault_set(f, F_ArgumentInvalid, "there is a policy '" STR_FMT "' already",
			    STR_ARG(name));
		else if (e == ERR_SIZE)
			fault_set(f, F_ArgumentInvalid, "there are %d policies, the limit",
			    HUB_POLICIES_MAX);
		policies_free(next);
	}
	pthread_mutex_unlock(&s->policies_mutex);
	if (e == ERR_OK)
		e = common_wait(s, f);
	return e;
}

/* Links that it has opened are closed, as when its key is rotated. */
static enum err
admin_policy_delete(void *ctx, struct str name, struct fault *f)
{
	struct server *s = ctx;
	struct policies *next;
	enum err e;

	if (str_eq(name, STR(POLICY_OWNER)))
		return fault_set(f, F_ArgumentInvalid,
		    "'" POLICY_OWNER "' stays: commands on the hub's machine sign in with it");
	pthread_mutex_lock(&s->policies_mutex);
	next = policies_copy(s->policies);
	e = policies_remove(next, name);
	if (e == ERR_OK)
		e = policies_switch(s, next,
		    "the policy is gone, but a crash may bring it back: try again",
		    "that the policy is gone could not be stored, it stays", f);
	else
		policies_free(next);
	pthread_mutex_unlock(&s->policies_mutex);
	if (e == ERR_OK || e == ERR_UNSYNCED)
		links_again(s);
	if (e == ERR_OK)
		e = common_wait(s, f);
	return e;
}

static const char *
admin_not_ready(void *ctx, char why[NET_WHY_MAX])
{
	struct server *s = ctx;
	struct nodes_links links;
	struct fault f = { 0 };

	if (store_state(s->store, &f) != STORE_READY)
		snprintf(why, NET_WHY_MAX, "the store takes no writes: %.200s", f.text);
	else if (!store_has_space(s->store))
		snprintf(why, NET_WHY_MAX,
		    "the disk is full: %llu bytes are free, changes need %llu",
		    (unsigned long long)store_space(s->store),
		    (unsigned long long)s->o.free_space_bytes);
	else if (nodes_links(s, &links) && links.others > 0 && links.up == 0)
		snprintf(why, NET_WHY_MAX,
		    "none of the %u other nodes is reached, and shards are theirs", links.others);
	else
		return NULL;
	return why;
}

void
server_metrics_print(struct buf *out, bool chart)
{
	if (chart)
		chart_table(out);
	else
		metric_table(out, &metrics_names);
}

void
server_routes_print(struct buf *out, bool openapi)
{
	(openapi ? http_routes_openapi : http_routes_table)(out);
}

static bool
admin_may_judge(void *ctx)
{
	return pg_lease(((struct server *)ctx)->store) != 0;
}

struct http_admin
admin_of(struct server *s)
{
	return (struct http_admin){ s, admin_policy_show, admin_policy_rotate, admin_backup,
		admin_not_ready, admin_policy_create, admin_policy_delete, admin_settings, s->chart,
		admin_chart_now, admin_backups, admin_backups_failing,
		.may_judge = s->o.mesh != NULL ? admin_may_judge : NULL,
		.clock_advance = s->o.clock ? admin_clock_advance : NULL };
}
