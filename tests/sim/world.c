/* The fleet, its clock and its turns. */
#include "epochs.h"
#include "front.h"
#include "net/priv.h"
#include "requests.h"
#include "wire.h"
#include "world.h"

#include <openssl/rand.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define BEGIN        (INT64_C(1704067200) * SECOND) /* 2024-01-01T00:00:00Z */
#define CROWD        260u /* devices in one shard whose answers are more than a job keeps there */
#define ANSWER_BYTES (UINT64_C(64) << 20)
#define REST_MAX     5000u /* rounds in which nothing comes home: ten times what was ever seen */

struct world *the_world;
struct seen seen;

/* ---- failures ---- */

void
world_fail(const char *format, ...)
{
	va_list ap;

	fflush(NULL);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
	abort();
}

struct doc
world_doc(struct world *w, struct str json)
{
	struct doc_parsed info;

	w->doc.n = 0;
	if (doc_parse(w->parser, json, &w->doc, &info, NULL) != ERR_OK)
		world_fail("no JSON: " STR_FMT, STR_ARG(json));
	return doc_of(buf_view(&w->doc));
}

/* ---- time and randomness (the linker's --wrap) ---- */

int64_t __wrap_clock_mono_us(void);
int64_t __wrap_clock_mono_ns(void);
int64_t __wrap_clock_thread_ns(void);
int64_t __wrap_clock_wall_us(void);
int64_t __wrap_clock_clients_us(void);
int64_t __wrap_clock_elapsed_us(void);
int __wrap_RAND_bytes(unsigned char *p, int n);

int64_t
world_wall_us(const struct world *w)
{
	return BEGIN + w->mono_us + w->ahead_us;
}

/* Each look takes a while, so that slices end anywhere. */
int64_t
__wrap_clock_mono_us(void)
{
	struct world *w = the_world;

	if (w->look_us > 0)
		w->mono_us += rnd_below(&w->clock_rnd, w->look_us);
	return w->mono_us;
}

int64_t
__wrap_clock_mono_ns(void)
{
	return the_world->mono_us * 1000;
}

int64_t
__wrap_clock_thread_ns(void)
{
	return the_world->mono_us * 1000;
}

int64_t
__wrap_clock_wall_us(void)
{
	return world_wall_us(the_world);
}

int64_t
__wrap_clock_elapsed_us(void)
{
	return __wrap_clock_mono_us();
}

/* That of who makes tokens. */
int64_t
__wrap_clock_clients_us(void)
{
	return world_wall_us(the_world);
}

int
__wrap_RAND_bytes(unsigned char *p, int n)
{
	for (int i = 0; i < n; i++)
		p[i] = (unsigned char)(rnd_u64(&the_world->clock_rnd) >> 32);
	return 1;
}

/* ---- start and stop ---- */

/* Its threads look at the clock in an order that nobody draws: it stands meanwhile. */
static void
load(struct world *w)
{
	struct fault f = { .text = "" };
	uint32_t look_us = w->look_us;

	w->look_us = 0;
	if (fleet_load(w->fleet, &f) != ERR_OK)
		world_fail("the fleet does not load: %s", f.text);
	w->look_us = look_us;
}

static void
fleet_up(struct world *w)
{
	uint8_t owners[SHARDS];

	w->o.nworker = 1 + rnd_below(&w->rnd, WORKERS_MAX);
	sim_store_reopen(w->store, w->o.nworker);
	for (unsigned s = 0; s < SHARDS; s++)
		owners[s] = (uint8_t)rnd_below(&w->rnd, w->o.nworker);
	w->o.owners = rnd_below(&w->rnd, 2) ? owners : NULL; /* some have none, perhaps */
	if (loop_new(0, &w->loop) != ERR_OK)
		world_fail("no loop");
	front_load(w);
	w->fleet = fleet_new(&w->o);
	numbered_up(w);
	epochs_clock(w);
	load(w);
	front_publish(fleet_configurations(w->fleet));
	contact_begin(w);
	front_up(w);
	numbered_begin(w);
}

void
world_round(struct world *w)
{
	front_errand(w);
	for (unsigned i = 0; i < w->o.nworker; i++) {
		world_turn(w, i);
		world_commit(w, i);
	}
	world_hear(w);
}

static void
fleet_down(struct world *w)
{
	watched_drop(w);
	numbered_down(w);
	front_stop(w);
	contact_stop(w);
	world_round(w); /* they hear of it */
	for (unsigned n = 0; !contact_finished(w); n++) {
		if (n > REST_MAX)
			world_fail("the fleet does not stop");
		world_round(w);
	}
	fleet_stop(w->fleet);
	numbered_end();
	world_hear(w);
	if (!w->dead)
		sessions_end(w, false);
	contact_end(w);
	front_down();
	fleet_free(w->fleet);
	loop_free(w->loop);
	wire_down();
	memset(w->session_epochs, 0, sizeof(w->session_epochs));
	job_watch_life();
	mirror_all_off();
	walked_drop();
}

void
world_restart(struct world *w)
{
	w->ntrouble++;
	fleet_down(w);
	ledger_crash(); /* a stop does not wait for a repair */
	policies_between(w);
	fleet_up(w);
	seen.restarts++;
}

/* The process dies at this point: a batch that is on its way is found on the disk, or not. What there was of it comes to its
 * end unheard, on a disk that is no more. */
void
world_crash(struct world *w)
{
	struct sim_disk *disk;

	for (unsigned i = 0; i < w->o.nworker; i++) {
		bool found = rnd_below(&w->rnd, 2) == 0;

		if (!sim_store_awaits(w->store, i))
			continue;
		if (found)
			sim_store_lands(w->store, i);
		job_watch_commit(i, found ? SIM_LANDED : SIM_FAILED);
	}
	w->ntrouble++;
	disk = sim_store_copy(w->store);
	ledger_crash();
	sessions_end(w, true);
	w->dead = true;
	front_dies(w);
	sim_store_set(w->store, SIM_READY);
	fleet_down(w);
	sim_store_back(w->store, disk);
	front_crash(w);
	w->dead = false;
	policies_between(w);
	fleet_up(w);
	seen.crashes++;
}

/* Names whose devices lie in few shards: with all of them in the first of these, or spread. */
static void
name_devices(struct world *w, uint32_t n)
{
	static const uint32_t shards[] = { 0, 17, 40, 63 };
	uint32_t spread = n > 400 || w->crowded ? 1 : 4;

	for (uint32_t i = 0; w->nid < n; i++) {
		char *id = w->ids[w->nid];
		uint32_t shard;

		snprintf(id, sizeof(w->ids[0]), "d%u", i);
		shard = hub_shard_of(str_of(id));
		for (uint32_t s = 0; s < spread; s++)
			w->nid += shard == shards[s];
	}
}

/* Sizes and shares of memory: some so small that columns and documents go all the time. */
static void
draw_options(struct world *w, uint32_t most_devices)
{
	static const uint32_t sizes[] = { 20, 120, 120, 300 };
	static const uint64_t columns[] = { 1500, 6000, 6000, 40000, 1 << 20, 1 << 20 },
	                      caches[] = { 1000, 8000, 40000, 1 << 20 },
	                      queries[] = { 1 << 22, 1 << 22, 1 << 22, 20000 };
	uint32_t n = rnd_below(&w->rnd, 16) == 0 ? DEVICES_MAX : sizes[rnd_below(&w->rnd, 4)];

	w->crowded = rnd_below(&w->rnd, 12) == 0 && most_devices >= CROWD;
	if (w->crowded)
		n = CROWD;
	w->o = (struct fleet_options){ .store = w->store,
		.cache_bytes = SHARDS * caches[rnd_below(&w->rnd, 4)],
		.query_bytes = queries[rnd_below(&w->rnd, 4)],
		.answer_bytes = ANSWER_BYTES,
		.column_bytes = SHARDS * columns[rnd_below(&w->rnd, 6)],
		.tour_us = 60 * SECOND,
		.identities_max = rnd_below(&w->rnd, 4) == 0 ? n : 100000,
		.catalogue = w->box,
		.loops = &w->loop,
		.nloop = 1,
		.on_note = world_note,
		.on_configurations = front_publish };
	name_devices(w, n < most_devices ? n : most_devices);
}

static void
commit_seen(unsigned lane, enum sim_commit what)
{
	job_watch_commit(lane, what);
	if (what == SIM_LANDED && !the_world->dead)
		ledger_landed(the_world, lane);
}

struct world *
world_new(uint64_t seed, uint32_t most_devices)
{
	struct world *w = xcalloc(1, sizeof(*w));

	assert(the_world == NULL);
	the_world = w;
	w->rnd.state = w->clock_rnd.state = seed * 2 + 1;
	w->store = sim_store_new(WORKERS_MAX, &w->fleet, fleet_commit_done);
	sim_store_watch(w->store, commit_seen);
	job_watch_new(w);
	ledger_new();
	mirror_new();
	telemetry_new();
	noticed_new();
	epochs_new();
	plan_forget();
	w->plain = rnd_below(&w->rnd, 2) == 0;
	w->restless = rnd_below(&w->rnd, 4) == 0;
	w->box = catalogue_box_new();
	w->parser = doc_parser_new(1 << 20);
	w->restores = rnd_below(&w->rnd, 2) == 0;
	numbered_new(w);
	w->mac = sas_mac_new();
	front_new(w);
	policies_begin(w);
	draw_options(w, most_devices);
	w->o.walks = owners_drawn(seed);
	fleet_up(w);
	world_populate(w, w->crowded ? w->nid : w->nid * 7 / 10);
	if (w->crowded)
		plan_connect_all(w);
	return w;
}

/* ---- turns ---- */

void
world_hear(struct world *w)
{
	struct msg *m, *next;

	while ((m = mailbox_take_all(&w->loop->box)) != NULL) {
		for (; m != NULL; m = next) {
			next = m->next;
			m->run(m);
			streams_turn_end(
			    w->loop); /* answers are read in the order in which they came */
		}
	}
	wheel_advance(&w->loop->wheel, w->mono_us);
	streams_fill(w->loop);
	wire_move(w);
	streams_turn_end(w->loop);
}

void
world_turn(struct world *w, unsigned worker)
{
	contact_turn(w, worker);
	walked_turn(w, worker);
	world_hear(w);
	watched_turn(w);
	numbered_turn(w);
}

void
world_commit(struct world *w, unsigned lane)
{
	if (!sim_store_awaits(w->store, lane))
		return;
	sim_store_end(w->store, lane, true, true);
	seen.commits++;
}

/* The store fails: what is on its way to it fails, and is found there or not, when it works again; or it is refused. */
void
world_commit_fails(struct world *w)
{
	w->ntrouble++;
	sim_store_set(w->store, rnd_below(&w->rnd, 2) ? SIM_BROKEN : SIM_FULL);
	for (unsigned i = 0; i < w->o.nworker; i++) {
		if (!sim_store_awaits(w->store, i))
			continue;
		sim_store_end(w->store, i, rnd_below(&w->rnd, 4) == 0, rnd_below(&w->rnd, 2) == 0);
		seen.failures++;
	}
}

void
world_rest(struct world *w)
{
	sim_store_set(w->store, SIM_READY);
	for (unsigned n = 0; w->nwork + w->nparcel + w->nwalk > 0 || wire_busy(); n++) {
		uint64_t home = w->nhome;

		if (n > REST_MAX)
			world_fail("%u works, %u parcels and %u tours never come back", w->nwork,
			    w->nparcel, w->nwalk);
		w->mono_us += 100;
		world_round(w);
		if (w->nhome != home)
			n = 0;
	}
}

static bool
all_rest(const struct world *w)
{
	for (unsigned i = 0; i < w->o.nworker; i++)
		if (!contact_rests(w, i))
			return false;
	return true;
}

bool
world_quiet(struct world *w, unsigned rounds)
{
	sim_store_set(w->store, SIM_READY);
	for (; rounds > 0; rounds--) {
		world_round(w);
		for (unsigned i = 0; i < w->o.nworker; i++)
			world_turn(w, i);
		if (all_rest(w))
			return true;
	}
	return false;
}

uint64_t
world_position(const struct world *w)
{
	uint64_t n = 0;

	for (uint32_t s = 0; s < SHARDS; s++)
		n += shard_mark(contact_shard(w, s));
	return n;
}

bool
world_writes(const struct world *w, const char *device)
{
	return store_state(w->store, NULL) == STORE_READY && store_has_space(w->store) &&
	    !contact_repairs(w, contact_worker_of(w, hub_shard_of(str_of(device))));
}

const char *
world_device(struct world *w)
{
	return w->ids[rnd_below(&w->rnd, w->nid)];
}

/* ---- the end ---- */

static void
check_identities(struct world *w)
{
	uint64_t n = 0;

	for (uint32_t s = 0; s < SHARDS; s++)
		if (!contact_is_nobodys(w, s)) /* and counted by nobody */
			n += shard_identities(contact_shard(w, s));
	if (n != fleet_identities(w->fleet))
		world_fail("%llu identities, the fleet counts %llu", (unsigned long long)n,
		    (unsigned long long)fleet_identities(w->fleet));
}

static void
count_jobs(struct world *w)
{
	struct jobs *set = jobs_stored(contact_shard(w, 0));

	for (uint32_t i = 0; set != NULL && i < set->n; i++)
		seen.job_writes += set->v[i]->state.counts.succeeded;
	jobs_unref(set);
}

static void
count_configured(struct world *w)
{
	struct query *q = NULL;
	struct fault f = { .text = "" };

	if (query_parse(STR("SELECT * FROM devices WHERE is_defined(configurations)"), NULL, &q,
	        &f) != ERR_OK)
		world_fail("%s", f.text);
	for (uint32_t s = 0; s < SHARDS; s++) {
		struct shard *sh = contact_shard(w, s);

		for (uint32_t row = 0; row < shard_rows(sh); row++)
			seen.configured += look_matches(w, q, sh, row);
	}
	query_free(q);
}

void
world_free(struct world *w)
{
	w->look_us = 0;
	epochs_clock_set(w);
	world_rest(w);
	check_identities(w);
	ledger_look(w);
	job_watch_end(w);
	if (!numbered_check(w, 5000))
		world_fail("partitions do not come to the end of the log");
	if (!w->retains) {
		telemetry_check(w);
		replayed_check(w);
	}
	count_jobs(w);
	count_configured(w);
	naive_check(w);
	for (int i = 0; i < 3; i++)
		question_ask(w);
	world_rest(w);
	fleet_down(w);
	front_free();
	sim_store_free(w->store);
	job_watch_free();
	ledger_free();
	mirror_free();
	sessions_forget();
	numbered_free();
	telemetry_free();
	noticed_free();
	catalogue_box_free(w->box);
	doc_parser_free(w->parser);
	sas_mac_free(w->mac);
	query_scratch_fini(&w->scratch);
	for (unsigned i = 0; i < QUESTIONS_MAX; i++)
		buf_fini(&w->questions[i]);
	buf_fini(&w->text);
	buf_fini(&w->doc);
	free(w);
	the_world = NULL;
}
