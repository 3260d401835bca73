/* What operators ask of the program through the API: policies, readiness. */
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
	if (e == ERR_OK && (e = policies_save(s->o.data, next)) != ERR_OK)
		fault_set(f, F_ServiceUnavailable,
		    e == ERR_UNSYNCED
		        ? "the new key is in force, but a crash may bring the old one back: "
		          "rotate it again"
		        : "the new key could not be stored, the old one stays");
	if (e == ERR_OK || e == ERR_UNSYNCED) { /* what is in force is what the file says */
		policies_free(s->policies);
		s->policies = next;
		catalogue_publish(s);
		policy_put(&o, policy_find(next->v, next->n, name));
	} else {
		policies_free(next);
	}
	pthread_mutex_unlock(&s->policies_mutex);
	if (e == ERR_OK || e == ERR_UNSYNCED)
		links_again(s);
	return e;
}

static const char *
admin_not_ready(void *ctx, char why[NET_WHY_MAX])
{
	struct server *s = ctx;
	struct fault f = { 0 };

	if (store_state(s->store, &f) != STORE_READY)
		snprintf(why, NET_WHY_MAX, "the store takes no writes: %.200s", f.text);
	else if (!store_has_space(s->store))
		snprintf(why, NET_WHY_MAX,
		    "the disk is full: %llu bytes are free, changes need %llu",
		    (unsigned long long)store_space(s->store),
		    (unsigned long long)s->o.free_space_bytes);
	else
		return NULL;
	return why;
}

struct http_admin
admin_of(struct server *s)
{
	return (struct http_admin){ s, admin_policy_show, admin_policy_rotate, admin_backup,
		admin_not_ready };
}
