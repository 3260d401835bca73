/*
 * A whole fleet on one thread: real workers and shards over a simulated store, clock and loop, driven turn by turn. Every
 * step is a kind and a number, so a history is a list of them, and the same list is the same history.
 *
 *   world_new(seed, most)       workers, memory and size are drawn from the seed; at most so many devices
 *   world_step(w, kind, n)      clients send, workers take turns, commits end or fail, documents go, time passes
 *   world_free(w)               all comes to its end, and is looked at once more
 *
 * Whatever looks at columns meanwhile - queries, jobs, rollouts - is checked by oracle.c at each look.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "contact.h"
#include "hub/hub.h"
#include "rnd.h"
#include "sim_store.h"

#define SECOND        INT64_C(1000000)
#define SIM_KEY       "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=" /* everybody's */
#define SIM_HOST      "hub.example.test"
#define WORKERS_MAX   3
#define DEVICES_MAX   1600u
#define QUESTIONS_MAX 24u /* texts that are asked again */

/* In place of one of the program's functions: tests/sim/CMakeLists.txt lists them. The body follows. */
#define WRAP(type, name, ...)                                                                      \
	type __real_##name(__VA_ARGS__);                                                           \
	type __wrap_##name(__VA_ARGS__);                                                           \
	type __wrap_##name(__VA_ARGS__)

struct world {
	uint32_t step;
	struct rnd rnd; /* of the step under way */
	/* the clock */
	struct rnd clock_rnd;
	int64_t mono_us, ahead_us; /* the wall clock's, of what it should be */
	uint32_t look_us;          /* a look at it takes up to so long */
	/* the hub */
	struct store *store;
	struct fleet *fleet;
	struct fleet_options o;
	struct loop *loop;
	struct catalogue_box *box;
	struct rollouts *rollouts; /* contact.c's */
	bool dead;                 /* its process is: what still goes on is not heard */
	/* its clients */
	char ids[DEVICES_MAX][12];
	uint64_t session_epochs[DEVICES_MAX *
	    2]; /* of the sessions, by their links, as last heard; 0: none */
	uint32_t nid;
	uint64_t ntrouble; /* times that the store, or the process, has failed or was full */
	uint32_t nwork, nparcel, nwalk; /* under way */
	uint64_t nhome;                 /* those that have come back */
	uint64_t sent;
	unsigned njob;
	bool plain; /* jobs and configurations write no twins */
	/* conditions may look at what configurations write: twins never come to rest */
	bool restless;
	bool restores; /* jobs restore twins, too */
	bool retains;  /* retention drops records of the log */
	bool crowded;  /* all are in one shard, connected, and answer calls at length */
	char name[16]; /* of a job or configuration */
	struct doc_parser *parser;
	struct sas_mac *mac;
	struct buf text, doc;
	struct buf questions[QUESTIONS_MAX];
	unsigned nquestion;
	struct query_scratch scratch; /* of the oracle */
};

/* The one that there is: callbacks have no context. */
extern struct world *the_world;

/* What happened in all histories: what never does is not tested. */
#define SEEN_FIELDS(X)                                                                             \
	X(steps)                                                                                   \
	X(looks)    /* at columns */                                                               \
	X(judged)   /* rows by columns */                                                          \
	X(certain)  /* of those, without a look at the document */                                 \
	X(job_rows) /* of those, for a job */                                                      \
	X(tallied)  /* rows counted by columns */                                                  \
	X(grouped)  /* results compared */                                                         \
	X(viewed)   /* rows put in order by columns */                                             \
	X(ordered)  /* results compared */                                                         \
	X(pages)                                                                                   \
	X(apart)   /* parts of questions, by owners of shards */                                   \
	X(answers) /* whole ones, compared with the documents */                                   \
	X(commits)                                                                                 \
	X(failures) /* of commits */                                                               \
	X(done)     /* works */                                                                    \
	X(refused)                                                                                 \
	X(connected)  /* sessions */                                                               \
	X(called)     /* by jobs */                                                                \
	X(job_writes) /* devices that jobs are through with */                                     \
	X(configured) /* twins that have a configuration in the end */                             \
	X(evaluated)  /* twins, by the naive evaluator */                                          \
	X(owned)      /* leaves that are configurations' */                                        \
	X(outdone)    /* configurations that own nothing */                                        \
	X(full)       /* works refused for want of room */                                         \
	X(walked)     /* rows that had to be in an answer, whatever was written meanwhile */       \
	X(wavered)    /* and rows that met the condition for a while */                            \
	X(watched)    /* events of live queries */                                                 \
	X(unwatched)  /* live queries that ended, as a commit failed */                            \
	X(followed)   /* rows of live queries, compared */                                         \
	X(asked)      /* requests over HTTP */                                                     \
	X(midst)      /* of those, while the file of policies was replaced */                      \
	X(allowed)    /* by their policies, checked */                                             \
	X(denied)                                                                                  \
	X(logged)   /* lines of why something is refused */                                        \
	X(rotated)  /* keys of policies */                                                         \
	X(unsynced) /* of those, such as a crash may take back */                                  \
	X(torn)     /* of those, never answered */                                                 \
	X(shown)    /* policies */                                                                 \
	X(edited)   /* sets of policies, by hand */                                                \
	X(bulk)     /* calls of a hundred items */                                                 \
	X(mixed)    /* calls of many items, done in part */                                        \
	X(parcels)  /* as large as may be */                                                       \
	X(undone)   /* states of all shards, compared */                                           \
	X(noted)    /* of those, such as wrote records of the hub */                               \
	X(repaired)                                                                                \
	X(wills)    /* that must be in the log */                                                  \
	X(wired)    /* sessions that spoke MQTT */                                                 \
	X(resumed)  /* of those, with the filters of a former one */                               \
	X(links)    /* of those, looked at */                                                      \
	X(reports)  /* of those, whose answers were read */                                        \
	X(silent)   /* links that ended for silence */                                             \
	X(lost)     /* wills whose loss was told */                                                \
	X(deployed) /* modules that deployments say something of */                                \
	X(waves)    /* steps of rollouts */                                                        \
	X(restarts)                                                                                \
	X(crashes)                                                                                 \
	X(touches)  /* of devices by jobs, on disk */                                              \
	X(paced)    /* of those, by a job with a pace */                                           \
	X(twins)    /* shown to clients */                                                         \
	X(told)     /* notifications */                                                            \
	X(compared) /* records in memory, with those on the disk */                                \
	X(messages) /* looked for in the log */                                                    \
	X(replayed) /* records of the log, over an empty fleet */                                  \
	X(numbered) /* events in partitions */                                                     \
	X(acts)     /* administration, told */                                                     \
	X(ends)     /* of jobs, told */                                                            \
	X(restored) /* twins, by jobs */                                                           \
	X(complete) /* partitions, compared with the log */                                        \
	X(appends)  /* that have failed */                                                         \
	X(retained) /* records that retention has dropped */                                       \
	X(trimmed)  /* events that went from partitions for that */                                \
	X(sessions) /* of those, of sessions */                                                    \
	X(results)  /* of jobs, looked at */                                                       \
	X(moved)    /* shards, while the hub ran */                                                \
	X(marked)   /* shards that answers reflected */                                            \
	X(dropped)  /* columns, for want of memory */
#define SEEN_FIELD(name) uint64_t name;
#define SEEN_NAME(name)  #name,
#define SEEN_COUNT(name) seen.name,
struct seen {
	SEEN_FIELDS(SEEN_FIELD)
};
extern struct seen seen;

struct world *world_new(uint64_t seed, uint32_t most_devices);
/* owners.c: fleet_options.walks; NULL: all is one owner's */
const struct fleet_walks *owners_drawn(uint64_t seed);
void world_free(struct world *w);
void world_step(struct world *w, unsigned kind, uint64_t number);
/* A kind, the usual ones more often. */
unsigned world_draw_kind(struct rnd *r);
unsigned world_kinds(void);

/* JSON that the hub has written, as a doc in w->doc, until the next one. */
struct doc world_doc(struct world *w, struct str json);
/* Says why, and ends the process. */
void world_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* ---- what its files share ---- */

/* Until nothing is under way: works, walks. */
void world_rest(struct world *w);
void world_restart(struct world *w);
void world_crash(struct world *w);
/* Until all gates rest, or for so many rounds: then false. */
bool world_quiet(struct world *w, unsigned rounds);
void world_turn(struct world *w, unsigned worker);
void world_round(struct world *w); /* a turn of each worker, and its commit */
/* The lane's commit ends, if there is one. */
void world_commit(struct world *w, unsigned lane);
void world_commit_fails(struct world *w);
/* What has come back to the clients. */
void world_hear(struct world *w);
int64_t world_wall_us(const struct world *w);
uint64_t world_position(const struct world *w); /* moves with every change of a row */
/* Does the device's worker take changes at the moment? */
bool world_writes(const struct world *w, const char *device);
const char *world_device(struct world *w); /* one of its ids */

/* writes.c: a work whose payload is the JSON in w->text, which is taken; none if it is empty. Then send it. */
struct work *world_work(struct world *w, enum op_kind kind, const char *device, const char *module);
void world_send(struct world *w, struct work *work);
void world_send_noted(
    struct world *w, struct work *work, uint32_t number); /* one that the ledger knows */
void world_work_back(struct work *k);
void world_put_own(struct world *w, uint32_t number); /* into the object that w->text ends with */
void world_check_fault(const struct fault *f);
void world_note(struct note *n);           /* to a session: calls are answered */
const char *world_module(struct world *w); /* of a device, mostly itself: "" */
/* Bodies, into w->text. */
void world_put_identity(struct world *w, const char *device, const char *module);
/* tags, and perhaps desired and reported, as members with commas between */
void world_put_sections(struct world *w, bool nulls, bool desired, bool reported, uint32_t number);
/* of a bulk call or import; its number in *number */
const struct import_mode *world_put_item(
    struct world *w, const char *device, const char *module, size_t filler, uint32_t *number);
void world_read(struct world *w, const char *device, const char *module);
void world_populate(struct world *w, uint32_t n);

/* writes.c: steps */
void write_identity(struct world *w);
void write_delete(struct world *w);
void write_keys(struct world *w);
void write_twin(struct world *w);
void write_read(struct world *w);
void write_import(struct world *w);

/* sessions.c */
/* How many sessions of the identity were accepted; false: nobody knows. */
bool sessions_accepted(const struct world *w, struct str device, struct str module, uint32_t *n);
void sessions_forget(void);
void sessions_end(const struct world *w, bool all);
/* steps */
void write_connect(struct world *w);
void write_connect_all(struct world *w);
void write_report(struct world *w);
void write_telemetry(struct world *w);
void write_disconnect(struct world *w);
void write_ping(struct world *w);
struct str world_answer(const struct world *w); /* to calls */

/* plans.c: steps */
void plan_job(struct world *w);
/* When a job restores to; false: it is no such job. */
bool plan_restores(struct str job, int64_t *at_us);
void plan_forget(void);
void plan_job_cancel(struct world *w);
void plan_configuration(struct world *w);
void plan_configuration_delete(struct world *w);
void plan_rollout(struct world *w);
void plan_content(struct world *w);

void plan_connect_all(struct world *w); /* and a job that calls them all */

/* full.c: steps */
void step_full(struct world *w);
void step_fills(struct world *w);
void full_heard(const struct work *k);
void full_item_heard(enum fault_code code);

/* walked.c: a step; and behind each turn of a worker */
void step_walked(struct world *w);
void walked_turn(struct world *w, unsigned worker);
void walked_drop(void);

/* watched.c: a step; behind each turn; when all rests; before the fleet goes */
void step_watched(struct world *w);
void watched_turn(struct world *w);
void watched_check(struct world *w);
void watched_drop(struct world *w);

/* undone.c: a step */
void step_undone(struct world *w);

/* naive.c: what configurations should make of all twins, against what there is */
void naive_check(struct world *w);

/* job_watch.c: each target is touched once, at the job's pace; calls and results are as on disk; all ends */
void job_watch_new(struct world *w);
void job_watch_free(void);
void job_watch_life(void); /* the process is another one */
void job_watch_commit(unsigned lane, enum sim_commit what);
void job_watch_called(struct world *w, struct str job, const char *device, const char *module);
void job_watch_results(struct world *w, bool all_forgotten);
void job_watch_end(struct world *w);

/* ledger.c: what clients were told of twins, and whether it holds. A write has a number, to be put into its sections as "own" */
void ledger_new(void);
void ledger_free(void);
uint32_t ledger_note(struct world *w, enum op_kind kind, const char *device, const char *module);
void ledger_desired(uint32_t number); /* the write names this section */
struct str ledger_tag(
    uint32_t number); /* it is for the twin with this etag only; empty: none is known */
/* The answer, in the order in which they come; reply NULL: only this much is said. gone: the session is. */
void ledger_heard(
    struct world *w, uint32_t number, enum fault_code code, const struct reply *reply, bool gone);
void ledger_landed(const struct world *w, unsigned lane);
void ledger_crash(void);
/* A query shows this write in a device's tags. */
void ledger_shown(const struct world *w, const char *device, uint32_t number);
void ledger_look(struct world *w); /* at all twins */

/* mirror.c: what devices know of their desired properties, by link */
void mirror_new(void);
void mirror_free(void);
void mirror_off(uint32_t link);
void mirror_all_off(void);
void mirror_got(struct world *w, uint32_t link, struct str json);
void mirror_told(struct world *w, uint32_t link, uint64_t version, struct str json);
void mirror_check(const struct world *w, uint32_t link, uint64_t version, uint32_t own);

/* trace.c: disk and memory, if all rests */
void trace_check(struct world *w);

/* telemetry.c: messages by number */
void telemetry_new(void);
void telemetry_free(void);
uint32_t telemetry_note(uint32_t link);
uint32_t telemetry_note_will(uint32_t link);
void telemetry_never(uint32_t number);        /* nobody is to send it */
uint32_t telemetry_number(struct str record); /* whose record it is */
void telemetry_done(uint32_t number);
void telemetry_check(struct world *w);

/* replayed.c: the log gives the twins */
void replayed_check(struct world *w);

/* noticed.c: what is told of the hub itself. A work that is back; a record of the log; behind the last one */
struct event;
void noticed_new(void);
void noticed_free(void);
void noticed_heard(const struct world *w, const struct work *k);
void noticed_record(const struct event *e);
void noticed_check(void);

/* numbered.c: events in partitions. Behind each turn; steps; when all rests (true: they have come to the end of the log) */
void numbered_new(struct world *w);
void numbered_free(void);
void numbered_up(struct world *w); /* before the fleet has loaded */
void numbered_begin(struct world *w);
void numbered_down(
    struct world *w);    /* nothing is read or appended any more; the fleet still runs */
void numbered_end(void); /* behind fleet_stop */
void numbered_turn(struct world *w);
void step_appender(struct world *w);
void step_numbered(struct world *w);
void step_retention(struct world *w);
bool numbered_check(struct world *w, unsigned rounds);

/* questions.c: steps */
void question_ask(struct world *w);
void question_other(struct world *w); /* lists, statistics, dry runs */

/* oracle.c: a row by its documents, wherever they are */
struct look {
	struct hub_row row;
	struct buf key;
};
void look_open(struct world *w, struct shard *sh, uint32_t row, const struct query_needs *needs,
    struct look *l);
/* The same, its records in memory from then on: whole documents can be shown. */
void look_load(struct world *w, struct shard *sh, uint32_t row, const struct query_needs *needs,
    struct look *l);
void look_close(struct look *l);
bool look_matches(struct world *w, const struct query *q, struct shard *sh, uint32_t row);

#endif
