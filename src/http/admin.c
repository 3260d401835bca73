/*
 * What operators ask of the program itself: policies, backup, the store's figures, health. These touch files, so they run in a
 * thread of their own and never hold up a loop.
 */
#include "http/priv.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define ERRANDS_MAX 4u /* at once, each with a thread of its own */
#define BACKUPS_MAX 2u /* of them; one may take hours, and the next waits for it */

static atomic_uint nerrand, nbackup;

enum errand_kind {
	ERRAND_SHOW,
	ERRAND_CREATE,
	ERRAND_DELETE,
	ERRAND_ROTATE,
	ERRAND_BACKUP,
	ERRAND_BACKUPS,
	ERRAND_STORE,
	ERRAND_LOG,
	ERRAND_PARTITION,
	ERRAND_CLOCK,
	ERRAND_FIGURES,
	ERRAND_KINDS
};

struct errand {
	struct msg msg;
	enum errand_kind kind;
	struct http_loop *hl;
	struct reply_to reply_to;
	char *name; /* policy, directory, sequence, or time in us */
	struct admin_asker asker;
	bool primary;
	unsigned rights;
	struct buf json;
	struct fault fault;
};

static void
errand_free(struct errand *e)
{
	if (e->kind == ERRAND_BACKUP)
		atomic_fetch_sub(&nbackup, 1);
	free(e->name);
	admin_asker_fini(&e->asker);
	buf_fini(&e->json);
	free(e);
	atomic_fetch_sub(&nerrand, 1);
}

static void
errand_answer(void *ctx)
{
	struct errand *e = ctx;
	struct request *r = request_of(e->hl, e->reply_to);

	if (r != NULL && e->fault.code != F_NONE)
		reply_fault(r, &e->fault);
	else if (r != NULL && e->kind == ERRAND_DELETE)
		reply_empty(r, 204);
	else if (r != NULL)
		reply_json(r, 200, buf_view(&e->json));
	errand_free(e);
}

/* The answer comes behind the record of what has been done. */
static void
errand_done(struct msg *m)
{
	static const enum admin_what told[ERRAND_KINDS] = { [ERRAND_CREATE] = ADMIN_POLICY_CREATED,
		[ERRAND_DELETE] = ADMIN_POLICY_DELETED,
		[ERRAND_ROTATE] = ADMIN_KEY_ROTATED,
		[ERRAND_BACKUP] = ADMIN_BACKUP };
	struct errand *e = container_of(m, struct errand, msg);
	struct admin_told what = { .what = told[e->kind], .name = str_of(e->name) };

	if (e->fault.code != F_NONE || what.what == ADMIN_NONE)
		errand_answer(e);
	else
		admin_tell(e->hl, &e->asker, &what, e, errand_answer);
}

static enum err
errand_do(struct errand *e)
{
	const struct http_admin *a = &e->hl->o.admin;

	switch (e->kind) {
	case ERRAND_SHOW: return a->policy_show(a->ctx, str_of(e->name), &e->json);
	case ERRAND_CREATE:
		return a->policy_create(a->ctx, str_of(e->name), e->rights, &e->json, &e->fault);
	case ERRAND_DELETE: return a->policy_delete(a->ctx, str_of(e->name), &e->fault);
	case ERRAND_ROTATE:
		return a->policy_rotate(a->ctx, str_of(e->name), e->primary, &e->json, &e->fault);
	case ERRAND_BACKUP: return a->backup(a->ctx, str_of(e->name), &e->json, &e->fault);
	case ERRAND_BACKUPS: a->backups(a->ctx, &e->json); return ERR_OK;
	case ERRAND_PARTITION:
		return partition_page_write(e->hl, e->rights, str_of(e->name), &e->json);
	case ERRAND_CLOCK: return clock_put_ahead(e->hl, e->rights, &e->json, &e->fault);
	case ERRAND_FIGURES:
		figures_report_write(e->hl, strtoll(e->name, NULL, 10), e->rights, &e->json);
		return ERR_OK;
	case ERRAND_LOG: return log_report_write(e->hl, &e->json);
	case ERRAND_KINDS: break;
	case ERRAND_STORE: store_report_write(e->hl->o.store, &e->json); return ERR_OK;
	}
	return ERR_ARG;
}

static void
errand_main(void *arg)
{
	struct errand *e = arg;
	enum err err = errand_do(e);

	if (err == ERR_NOT_FOUND && e->fault.code == F_NONE)
		fault_set(&e->fault, F_GenericNotFound, "there is no policy '%s'", e->name);
	else if (err != ERR_OK && e->fault.code == F_NONE)
		fault_set(&e->fault, F_ServerError, "it could not be done");
	e->msg.run = errand_done;
	loop_post(e->hl->loop, &e->msg);
}

/* One of so many at once; false: answered. */
static bool
place_taken(struct request *r, atomic_uint *n, unsigned most)
{
	if (atomic_fetch_add(n, 1) < most)
		return true;
	atomic_fetch_sub(n, 1);
	reply_error(r, F_ThrottlingException, "%u such requests are under way, the limit", most);
	return false;
}

static void
errand_start(struct request *r, enum errand_kind kind, struct str name, unsigned detail)
{
	struct errand *e;
	struct thread thread = { 0 };
	struct fault f;

	if (!place_taken(r, &nerrand, ERRANDS_MAX))
		return;
	if (kind == ERRAND_BACKUP && !place_taken(r, &nbackup, BACKUPS_MAX)) {
		atomic_fetch_sub(&nerrand, 1);
		return;
	}
	e = xcalloc(1, sizeof(*e));
	e->kind = kind;
	e->hl = r->hl;
	e->reply_to = request_address(r);
	e->name = str_dup0(name);
	admin_asker_take(&e->asker, r);
	e->primary = detail != 0;
	e->rights = detail;
	if (thread_start(&thread, errand_main, e, &f, "errand") == ERR_OK) {
		thread_let_go(&thread);
		return;
	}
	errand_free(e);
	reply_fault(r, &f);
}

void
on_policies(struct request *r)
{
	errand_start(r, ERRAND_SHOW, r->nsegment > 2 ? r->segment[2] : STR_NONE, false);
}

void
on_policy_rotate(struct request *r)
{
	struct str key = request_param(r, "key");

	if (!str_eq(key, STR("primary")) && !str_eq(key, STR("secondary"))) {
		reply_error(r, F_ArgumentInvalid, "key is neither primary nor secondary");
		return;
	}
	errand_start(r, ERRAND_ROTATE, r->segment[2], str_eq(key, STR("primary")));
}

/* RegistryRead,ServiceConnect; 0: not of that kind. */
static unsigned
rights_of(struct str list)
{
	unsigned rights = 0, right;
	struct str one;

	while (list.n > 0) {
		str_cut(list, ',', &one, &list);
		if ((right = right_of(one)) == 0)
			return 0;
		rights |= right;
	}
	return rights;
}

void
on_policy_create(struct request *r)
{
	unsigned rights = rights_of(request_param(r, "rights"));

	if (!policy_name_valid(r->segment[2]))
		reply_error(r, F_ArgumentInvalid,
		    "the name is not 1 to %d letters, digits and _ - @ .", POLICY_NAME_MAX);
	else if (rights == 0)
		reply_error(r, F_ArgumentInvalid,
		    "rights are not RegistryRead, RegistryWrite, ServiceConnect or DeviceConnect, "
		    "with commas between");
	else
		errand_start(r, ERRAND_CREATE, r->segment[2], rights);
}

void
on_policy_delete(struct request *r)
{
	errand_start(r, ERRAND_DELETE, r->segment[2], 0);
}

/* What is printed in a line, and what the system takes for the end of a path, has no place in one. */
static bool
has_controls(struct str path)
{
	for (size_t i = 0; i < path.n; i++)
		if ((unsigned char)path.p[i] < 0x20 || path.p[i] == 0x7f)
			return true;
	return false;
}

void
on_backup(struct request *r)
{
	struct str to = request_param(r, "to");

	if (to.n == 0 || to.p[0] != '/') {
		reply_error(r, F_ArgumentInvalid, "to is not an absolute path");
		return;
	}
	if (has_controls(to)) {
		reply_error(r, F_ArgumentInvalid, "to has control characters");
		return;
	}
	errand_start(r, ERRAND_BACKUP, to, false);
}

void
on_backups(struct request *r)
{
	errand_start(r, ERRAND_BACKUPS, STR_NONE, false);
}

void
on_store_statistics(struct request *r)
{
	errand_start(r, ERRAND_STORE, STR_NONE, false);
}

void
errand_figures(struct request *r, int64_t from_us, unsigned step_s)
{
	char from[24];

	snprintf(from, sizeof(from), "%lld", (long long)from_us);
	errand_start(r, ERRAND_FIGURES, str_of(from), step_s);
}

void
errand_partition(struct request *r, uint32_t partition, struct str sequence)
{
	errand_start(r, ERRAND_PARTITION, sequence, partition);
}

void
errand_clock(struct request *r, uint32_t seconds)
{
	errand_start(r, ERRAND_CLOCK, STR_NONE, seconds);
}

void
on_log_statistics(struct request *r)
{
	errand_start(r, ERRAND_LOG, STR_NONE, false);
}

/* A clock that is off and damaged files keep nobody from serving; who watches is told. */
static void
reply_ready(struct request *r)
{
	struct store_damage damage;
	struct wall_state clock;
	const struct http_admin *a = &r->hl->o.admin;
	struct buf *json = &r->hl->json;
	struct out o = out_to(json);

	clock_look(&clock);
	json->n = 0;
	out_open(&o);
	out_key(&o, "status");
	out_cstr(&o, "ready");
	if (clock.held_us != 0) {
		out_key(&o, "clockAheadSeconds");
		out_i64(&o, clock.held_us / 1000000);
	}
	if (clock.behind_us >= WALL_BACK_US) {
		out_key(&o, "clockSetBackSeconds");
		out_i64(&o, clock.behind_us / 1000000);
	}
	store_damage(r->hl->o.store, &damage);
	if (damage.n > 0)
		damage_write(r->hl->o.store, &o);
	out_some_time(&o, "backupsFailingSince", a->backups_failing(a->ctx));
	out_close(&o);
	reply_json(r, 200, buf_view(json));
}

void
on_health(struct request *r, bool ready)
{
	const struct http_admin *a = &r->hl->o.admin;
	char why[NET_WHY_MAX];
	const char *not_ready = !ready ? NULL
	    : r->hl->stopping          ? "the hub is stopping"
	                               : a->not_ready(a->ctx, why);

	if (not_ready != NULL)
		reply_error(r, F_ServiceUnavailable, "%s", not_ready);
	else if (ready)
		reply_ready(r);
	else
		reply_json(r, 200, STR("{\"status\":\"alive\"}"));
}
