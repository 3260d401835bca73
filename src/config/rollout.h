/*
 * Rollouts: a configuration reaches its target wave by wave, and stops by itself where too much fails
 * (docs/rollouts.md). Pure: what was counted comes in, what is to be done next goes out.
 *
 *   pending --a wave is drawn--> running --enough succeed--> soaking --time--> pending, or completed behind the last wave
 *                                   ^---------too few---------'
 *   pending, running, soaking --too much fails, or asked--> halted --resume--> pending or running
 *   any but rolledBack --rollback, asked or onFailure--> rollingBack --no device has it--> rolledBack
 *
 * A device's place is a hash of its key and of the rollout's salt, below ROLLOUT_ALL: the devices below `bound` have been
 * reached. bound only grows, so a device joins one wave, once, and nothing need be stored of it.
 */
#ifndef TWINHUB_CONFIG_ROLLOUT_H
#define TWINHUB_CONFIG_ROLLOUT_H

#include "hub/hub.h"

#define ROLLOUT_WAVES_MAX   20u
#define ROLLOUT_HISTORY_MAX 50u /* events kept, the newest */
#define ROLLOUT_REASON_MAX  160u
#define ROLLOUT_ACTOR_MAX   64u
#define ROLLOUT_ALL         (UINT64_C(1) << 32)
#define ROLLOUT_COUNTS      3u /* that are taken for it: targeted, succeeded, failed */

enum rollout_status {
	ROLLOUT_PENDING, /* the next wave is about to be drawn, or waits for the first device of the target */
	ROLLOUT_RUNNING,
	ROLLOUT_SOAKING,
	ROLLOUT_HALTED, /* who has it keeps it, nobody gets it */
	ROLLOUT_COMPLETED,
	ROLLOUT_ROLLING_BACK,
	ROLLOUT_ROLLED_BACK,
	ROLLOUT_STATUSES
};

extern const struct str rollout_status_names[ROLLOUT_STATUSES];

struct rollout_wave {
	double percent;              /* of the target when the wave is drawn; 0: count says it */
	uint64_t count;              /* devices in all, those of earlier waves with them */
	struct str success, failure; /* conditions; empty: any. Borrowed from the plan */
	bool fails;                  /* there is a failure query */
	double min_success, max_failure; /* percent of targeted */
	int64_t soak_us;
};

struct rollout_progress {
	struct rollout_counts counts;             /* when it was last written */
	int64_t started_us, soaking_us, ended_us; /* 0: not yet */
};

struct rollout_event {
	int64_t time_us;
	uint8_t kind;
	uint32_t wave; /* from 1; 0: before the first */
	char reason[ROLLOUT_REASON_MAX], actor[ROLLOUT_ACTOR_MAX];
};

struct rollout {
	/* the plan */
	uint32_t nwave;
	struct rollout_wave waves[ROLLOUT_WAVES_MAX];
	bool rolls_back; /* onFailure */
	/* the state */
	enum rollout_status status;
	uint64_t step;       /* grows with each change of the state */
	uint64_t generation; /* of runs of this configuration, from 1 */
	uint64_t salt;       /* made of it, not stored */
	uint64_t bound;      /* 0 to ROLLOUT_ALL */
	uint32_t begun;      /* waves that have begun */
	uint64_t accepted;   /* failures of the wave that somebody has resumed over */
	struct rollout_progress progress[ROLLOUT_WAVES_MAX]; /* of those begun */
	uint32_t nevent;
	struct rollout_event events[ROLLOUT_HISTORY_MAX]; /* oldest first */
};

/* ---- the plan: the member `rollout` of a configuration ---- */

/* ERR_ARG: 400004 or 400404 with what is wrong. `state` in it is passed over: what was read may be sent back. `applied` is
 * the condition that a device has the configuration; queries are checked together with it. */
enum err rollout_check(struct doc sent, struct str applied, bool modules, struct fault *f);
/* What is kept of a checked one. */
void rollout_put_plan(struct doc_writer *dw, struct doc sent);
/* Does it say the same as a kept one? */
bool rollout_same_plan(struct doc sent, struct doc kept);
/* From a kept one; false: it is none. The strings are borrowed. */
bool rollout_take_plan(struct rollout *r, struct doc plan, bool modules);
/* The text of the query whose rows have it and meet this condition; empty: have it. */
void rollout_query(struct str condition, struct str applied, bool modules, struct buf *out);

/* ---- the state ---- */

/* A new one's, the plan being taken. */
void rollout_begin(struct rollout *r, uint64_t generation, struct str actor, int64_t now_us);
void rollout_salt(struct rollout *r, struct str id, int64_t created_us);
void rollout_encode(struct buf *out, const struct rollout *r);
bool rollout_decode(struct rollout *r, struct str bytes); /* false: it is none */
/* May the plan of `old` become this one, its state going on? ERR_ARG: 405102. *anew: a new run begins with it. */
enum err rollout_replan(
    const struct rollout *old, const struct rollout *plan, bool *anew, struct fault *f);
/* The state as JSON; counts: of the wave under way, as they are now; NULL: as last written. */
void rollout_put(struct out *o, const struct rollout *r, const struct rollout_counts *counts);

/* Is a device with this hash of its key reached? has: it has the configuration already. */
bool rollout_reaches(const struct rollout *r, uint64_t key_hash, bool has);
/* A device's place, below ROLLOUT_ALL. */
uint64_t rollout_place(uint64_t salt, uint64_t key_hash);
/* Did it once, and is it to be taken back with what was there before? */
bool rollout_restores(const struct rollout *r);
/* Does anything move it but people? */
bool rollout_moves(const struct rollout *r);
/* Is there a wave whose devices count? */
bool rollout_counts_wave(const struct rollout *r);
/* How many devices the next wave has of so many. */
uint64_t rollout_size(const struct rollout *r, uint64_t all);

/* Go on by what was seen; false: nothing changes, or another step has been taken meanwhile. */
bool rollout_look(struct rollout *r, const struct rollout_seen *seen, int64_t now_us);

extern const struct str rollout_action_names[ROLLOUT_ACTIONS];
/* What people ask for. ERR_ARG: 405102, the status does not allow it. */
enum err rollout_act(struct rollout *r, enum rollout_action action, struct str actor,
    int64_t now_us, struct fault *f);
/* The plan has been replaced. */
void rollout_note_plan(struct rollout *r, struct str actor, int64_t now_us);

#endif
