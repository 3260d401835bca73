/*
 * A store that is full: what would write is refused with what the program has for that (503), whoever asks and whatever for, and
 * changes nothing, in memory or on the disk; reads go on. When there is room again, so does the rest.
 */
#include "requests.h"
#include "world.h"

static bool full;

static bool
is_of_a_session(enum op_kind kind)
{
	return kind == OP_CONNECT || kind == OP_DISCONNECT || kind == OP_SUBSCRIBE ||
	    kind == OP_METHOD_RESPONSE;
}

void
full_heard(const struct work *k)
{
	bool refused = k->reply.fault.code == F_ServiceUnavailable;

	if (!full || is_of_a_session(k->op.kind))
		return;
	if (refused != op_writes(k->op.kind))
		world_fail("the disk is full, and operation %d is answered with %s",
		    (int)k->op.kind, fault_name(k->reply.fault.code));
	seen.full += refused;
}

void
full_item_heard(enum fault_code code)
{
	if (full && code != F_ServiceUnavailable)
		world_fail("the disk is full, and an item of an import is answered with %s",
		    fault_name(code));
}

static void
until_all_is_heard(struct world *w)
{
	for (unsigned n = 0; w->nwork + w->nparcel + w->nwalk > 0; n++) {
		if (n > 5000)
			world_fail("the disk is full, and %u works and %u walks never come back",
			    w->nwork, w->nwalk);
		/* each page of a question may have been asked of owners twice, with 50 ms between */
		w->mono_us += n < 1000 ? 100 : 1000;
		world_round(w);
	}
}

void
step_full(struct world *w)
{
	static void (*const some[])(struct world * w) = { write_identity, write_delete, write_keys,
		write_twin, request_send, request_send_bulk, write_import, write_report,
		write_telemetry, write_read, plan_job, plan_job_cancel, plan_configuration,
		plan_configuration_delete, plan_rollout, plan_content, question_ask };
	uint64_t changes;

	world_rest(w);
	if (!world_quiet(w, 30))
		return;
	w->ntrouble++;
	sim_store_set(w->store, rnd_below(&w->rnd, 2) ? SIM_FULL : SIM_CRAMPED);
	changes = sim_store_changes(w->store);
	full = true;
	for (uint32_t n = 5 + rnd_below(&w->rnd, 20); n > 0; n--) {
		some[rnd_below(&w->rnd, sizeof(some) / sizeof(some[0]))](w);
		if (rnd_below(&w->rnd, 4) == 0)
			world_round(w);
	}
	until_all_is_heard(w);
	full = false;
	if (sim_store_changes(w->store) != changes)
		world_fail("the disk is full, and something was written");
	sim_store_set(w->store, SIM_READY);
}

/* Full in the middle of everything, until somebody makes room. */
void
step_fills(struct world *w)
{
	w->ntrouble++;
	sim_store_set(w->store, rnd_below(&w->rnd, 2) ? SIM_FULL : SIM_CRAMPED);
}
