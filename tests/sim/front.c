#include "front.h"

#include "contact.h"
#include "os/os.h"
#include "os/thread.h"
#include "requests.h"
#include "wire.h"
#include "sealed/sealed.h"
#include "server/server.h"
#include "server/priv.h"
#include "world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define DATA        "/simulated"
#define ERRANDS_MAX 8u
#define MIDST_MAX   4u /* requests while a file is replaced */

struct errand_kept {
	void (*run)(void *ctx);
	void *ctx;
};

struct watched {
	struct work *k;
	void (*done)(struct work *k);
	uint32_t row; /* wire_work_goes */
};

static struct {
	/* what server/admin.c, policies.c and catalogue_publish take of one */
	struct server server;
	struct http_loop *hl;
	/* policies.json; what a crash may bring back is empty where it is synced */
	struct buf file, former;
	struct errand_kept errands[ERRANDS_MAX];
	unsigned nerrand;
	bool lost; /* what is written now comes to no disk */
	struct watched *watched;
	uint32_t nwatched, room;
} front;

struct http_loop *
front_http(void)
{
	return front.hl;
}

/* ---- the file ---- */

WRAP(enum err, os_read_file, const char *path, size_t max, struct buf *out, struct fault *f)
{
	if (front.file.n == 0 || front.file.n > max)
		return fault_set(f, F_ServerError, "%s is missing", path), ERR_NOT_FOUND;
	buf_str(out, buf_view(&front.file));
	return ERR_OK;
}

static void
file_put(struct buf *file, struct str bytes)
{
	file->n = 0;
	buf_str(file, bytes);
}

/* Others go on meanwhile: this is a thread of its own. */
static void
others_go_on(struct world *w)
{
	for (uint32_t n = w->dead ? 0 : rnd_below(&w->rnd, MIDST_MAX); n > 0; n--) {
		request_send(w);
		seen.midst++;
	}
}

static enum err
replace(struct world *w, struct str bytes)
{
	uint32_t fate = rnd_below(&w->rnd, 10);

	others_go_on(w);
	if (fate == 0 || front.lost) {
		errno = EIO;
		return ERR_IO;
	}
	if (fate <= 2 && front.former.n == 0)
		file_put(&front.former, buf_view(&front.file));
	else if (fate > 2)
		front.former.n = 0;
	file_put(&front.file, bytes);
	others_go_on(w);
	return fate <= 2 ? ERR_UNSYNCED : ERR_OK;
}

WRAP(enum err, os_replace_file, const char *path, struct str bytes, unsigned mode, struct fault *f)
{
	(void)path, (void)mode, (void)f;
	return replace(the_world, bytes);
}

/* ---- the log ---- */

WRAP(void, log_reason, const struct log_story *story)
{
	assert(story->reason != REASON_NONE);
	seen.logged++;
	wire_logged(the_world, story);
}

/* ---- errands ---- */

WRAP(enum err, thread_start, struct thread *t, void (*run)(void *ctx), void *ctx, struct fault *f,
    const char *name, ...)
{
	char text[THREAD_NAME_MAX * 2];
	va_list ap;

	va_start(ap, name);
	vsnprintf(text, sizeof(text), name, ap);
	va_end(ap);
	if (strcmp(text, "feed") == 0)
		return ERR_OK; /* numbered.c has its turns */
	if (strncmp(text, "shard ", 6) == 0) {
		run(ctx); /* a shard is read */
		return ERR_OK;
	}
	if (strcmp(text, "errand") != 0)
		return __real_thread_start(t, run, ctx, f, "%s", text);
	assert(front.nerrand < ERRANDS_MAX);
	front.errands[front.nerrand++] = (struct errand_kept){ run, ctx };
	return ERR_OK;
}

unsigned
front_errands(void)
{
	return front.nerrand;
}

void
front_errand(struct world *w)
{
	struct errand_kept e;
	uint32_t i;

	if (front.nerrand == 0)
		return;
	i = rnd_below(&w->rnd, front.nerrand);
	e = front.errands[i];
	front.errands[i] = front.errands[--front.nerrand];
	e.run(e.ctx);
}

/* ---- works ---- */

/* What is not stored of a will is told, at least by the log. */
static void
check_told(bool lost, uint64_t before)
{
	if (lost && wire_wills_lost() != before + 1)
		world_fail("a will is lost, and no line says so");
	seen.lost += lost;
}

static void
front_back(struct work *k)
{
	struct world *w = the_world;
	uint64_t nlost = wire_wills_lost();
	struct watched was;
	bool lost;
	uint32_t i = 0;

	while (front.watched[i].k != k)
		i++;
	was = front.watched[i];
	front.watched[i] = front.watched[--front.nwatched];
	lost = k->op.kind == OP_DISCONNECT && k->op.payload.n > 0 &&
	    k->reply.fault.code != F_NONE && !w->dead;
	if (k->owner != front.hl) {
		w->nwork--;
		w->nhome++;
	}
	if (!w->dead && k->owner == front.hl)
		request_work_back(w, k);
	else if (!w->dead)
		wire_work_back(w, k, was.row);
	was.done(k);
	check_told(lost, nlost);
}

WRAP(void, fleet_submit, struct fleet *f, struct work *k)
{
	struct watched *v;

	if (k->owner == front.hl || k->owner == wire_mqtt()) {
		if (front.nwatched == front.room) {
			front.room = front.room ? front.room * 2 : 64;
			front.watched =
			    xrealloc(front.watched, front.room * sizeof(*front.watched));
		}
		v = &front.watched[front.nwatched++];
		*v = (struct watched){ k, k->done, 0 };
		k->done = front_back;
		if (k->owner != front.hl) {
			the_world->nwork++;
			the_world->sent++;
			wire_work_goes(the_world, k, &v->row);
		}
	}
	__real_fleet_submit(f, k);
}

/* ---- start and end ---- */

static const char *
never_ready(void *ctx, char why[NET_WHY_MAX])
{
	(void)ctx, (void)why;
	return "nobody asks";
}

void
front_new(struct world *w)
{
	struct server *s = &front.server;
	struct policies *first = policies_fresh();

	memset(&front, 0, sizeof(front));
	s->o.data = DATA;
	s->o.token_skew_s = SAS_SKEW_S;
	s->names = (struct option_list){ { SIM_HOST }, 1 };
	s->catalogue = w->box;
	pthread_mutex_init(&s->policies_mutex, NULL);
	front_policies_write(first);
	wire_new_disk();
	policies_free(first);
}

void
front_free(void)
{
	pthread_mutex_destroy(&front.server.policies_mutex);
	buf_fini(&front.file);
	buf_fini(&front.former);
	free(front.watched);
}

struct policies *
front_policies(void)
{
	struct policies *p = NULL;
	char why[DATA_WHY_MAX];

	if (policies_load(DATA, &p, why, sizeof(why)) != ERR_OK)
		world_fail("%s", why);
	return p;
}

bool
front_unsynced(void)
{
	return front.former.n > 0;
}

/* As an editor leaves it: without a checksum, on the disk. */
void
front_policies_write(const struct policies *p)
{
	struct out o;

	front.file.n = front.former.n = 0;
	o = out_to(&front.file);
	out_open(&o);
	out_list(out_key(&o, "policies"));
	for (size_t i = 0; i < p->n; i++)
		policy_put(&o, &p->v[i]);
	out_close(&o);
	out_close(&o);
}

void
front_publish(struct configurations *set)
{
	configurations_free(front.server.configurations);
	front.server.configurations = set;
	catalogue_publish(&front.server);
}

void
front_load(struct world *w)
{
	(void)w;
	front.server.policies = front_policies();
}

void
front_up(struct world *w)
{
	struct http_options o = { .fleet = w->fleet,
		.store = w->store,
		.catalogue = w->box,
		.admin = admin_of(&front.server) };

	o.admin.not_ready = never_ready;
	if (http_loop_new(w->loop, &o, &front.hl) != ERR_OK)
		world_fail("no loop of HTTP");
	wire_up(w);
	front.server.nio = 1;
	front.server.io[0] = (struct io){ w->loop, .mqtt = wire_mqtt(), .http = front.hl };
}

void
front_stop(struct world *w)
{
	wire_stop();
	http_loop_stop(front.hl);
	while (front.nerrand > 0)
		front_errand(w);
}

void
front_down(void)
{
	if (http_loop_busy(front.hl) > 0)
		world_fail("%u requests are never answered", http_loop_busy(front.hl));
	http_loop_free(front.hl);
	front.hl = NULL;
	policies_free(front.server.policies);
	configurations_free(front.server.configurations);
	front.server.policies = NULL;
	front.server.configurations = NULL;
}

/* Of those under way some have come to the disk, unheard. */
void
front_dies(struct world *w)
{
	while (front.nerrand > 0 && rnd_below(&w->rnd, 2))
		front_errand(w);
	front.lost = true;
}

void
front_crash(struct world *w)
{
	front.lost = false;
	if (front.former.n > 0 && rnd_below(&w->rnd, 2))
		file_put(&front.file, buf_view(&front.former));
	front.former.n = 0;
}
