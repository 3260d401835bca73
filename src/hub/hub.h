/*
 * hub: what a device-twin hub decides. The operations on a shard, and what each one answers, writes and sets off.
 *
 *   hub_apply(shard, op, env) -> reply, and through env: writes, effects, undo entries
 *
 *   op.h      what can be asked: kinds, and `struct op`
 *   reply.h   what comes of it: `struct reply`, effects
 *   this      the catalogue, and how an operation is done
 *   bodies.h  the members that bodies of requests have
 *   change.h  for the rooms above: features' operations, changes of twins and identities in the same way
 *
 * The room is pure: time, randomness and the catalogue come in with env, and documents that are not in memory are asked for. No
 * socket, file, clock, thread or global is touched, so a year of a fleet's life runs in a test. One thread at a time may use
 * a shard (shard/shard.h).
 *
 * The order of calls, for one operation:
 *
 *   shard = op_shard(&op)
 *   env: now_us, elapsed_us, catalogue, can_write, identities_left are this moment's; an operation that writes (op_writes) is refused
 *        by the caller while can_write is false
 *   while ((missing = hub_missing(shard, &op, &key)) != 0)
 *       read those records of that key from the store, hub_fill each; a damaged one ends here: the caller answers
 *   reply_init(&reply); hub_apply(shard, &op, &env, &reply)
 *   the reply, when the writes are on disk; reply_fini
 *
 * Errors are told in reply.fault, never by a return value: a code that people and programs know (base/base.h), and a sentence. On a
 * fault the shard is as it was before and nothing has been written. What becomes of a commit that fails is the undo's
 * business: env.undo has noted how everything in memory is taken back.
 *
 * Ownership: op and env are borrowed for the call; body and warning of the reply are the caller's; what an effect points to lives
 * until the effect function returns.
 *
 * Features (shard/feature.h), configurations and jobs, have operations among these, and do them themselves.
 *
 * Rules: docs/spec/twins.md, service-rest.md 5-9, device-mqtt.md 2-6; docs/architecture.md tells a change's way through.
 */
#ifndef TWINHUB_HUB_HUB_H
#define TWINHUB_HUB_HUB_H

#include "hub/reply.h"

/* ---- the catalogue: what every shard knows, one immutable value, replaced whole ---- */

struct configurations;

struct catalogue {
	uint64_t version;
	const struct policy *policies; /* borrowed for the catalogue's life */
	size_t npolicies;
	struct hosts hosts;  /* names that the hub answers to */
	int64_t skew_s;      /* tolerance of token expiry (L-79) */
	int64_t ttl_max_s;   /* longest life of a token that is taken; 0: any (L-79) */
	const uint64_t *cas; /* prints of the CAs of clients (struct credentials); borrowed */
	size_t nca;
	const struct configurations *configurations; /* borrowed; NULL: none */
	const struct log_what *log;                  /* borrowed; NULL: log_what_default */
	const struct message_rules *messages;        /* borrowed; NULL: message_rules_default */
	const struct limit_counts *counts;           /* borrowed; NULL: nothing is said */
};

/* What it says of who is good; who asks is left open. */
struct auth_ask catalogue_ask(const struct catalogue *c, int64_t now_us);

/* ---- what is done ---- */

/* The shard that an operation is for. */
uint32_t op_shard(const struct op *op);
/* Does the operation write, so that it must be refused while the store cannot? Those that begin, change and end a session
 * may: they look at env->can_write themselves. */
bool op_writes(enum op_kind kind);
/* What metrics call it; NULL: there is none of this number. */
const char *op_name(unsigned kind);

/* Which records does the operation need that are not in memory? Those of one row, whose key is appended to key: ask again
 * when they are there, until the answer is 0. */
unsigned hub_missing(struct shard *sh, const struct op *op, struct buf *key);
/* The operation. Every record it needs is in memory. On a fault the state is as before. */
void hub_apply(
    struct shard *sh, const struct op *op, const struct hub_env *env, struct reply *reply);

#endif
