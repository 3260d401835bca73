/* See reasons.h. Each has an id for programs, a text for people, and what the text names as members. */
#include "config/reasons.h"

#include <stdarg.h>
#include <stdio.h>

#include "config/before_rollout.h"
#include "config/rollout_priv.h"

/* False: there are enough of them. */
static bool
reason_begin(struct reasons *rs, const char *id)
{
	if (rs->n == REASONS_MAX) {
		rs->more++;
		return false;
	}
	rs->n++;
	rs->one = out_next(&rs->json);
	out_open(&rs->one);
	out_cstr(out_key(&rs->one, "reason"), id);
	return true;
}

static void
put_module(struct reasons *rs, struct str module)
{
	out_some_str(&rs->one, "moduleId", module);
}

static void
put_configuration(struct reasons *rs, const struct configuration *c)
{
	out_str(out_key(&rs->one, "configurationId"), c->id);
	out_i64(out_key(&rs->one, "priority"), c->priority);
}

static void
put_limit(struct reasons *rs, uint64_t size, uint64_t limit)
{
	out_u64(out_key(&rs->one, "size"), size);
	out_u64(out_key(&rs->one, "limit"), limit);
	out_u64(out_key(&rs->one, "over"), size - limit);
}

__attribute__((format(printf, 2, 3))) static void
reason_end(struct reasons *rs, const char *fmt, ...)
{
	struct buf text = { 0 };
	va_list ap, again;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	buf_reserve(&text, (size_t)n + 1);
	text.n = (size_t)vsnprintf(text.p, (size_t)n + 1, fmt, again);
	va_end(again);
	va_end(ap);
	out_str(out_key(&rs->one, "text"), buf_view(&text));
	out_close(&rs->one);
	buf_fini(&text);
}

void
reasons_fini(struct reasons *rs)
{
	buf_fini(&rs->json);
	*rs = (struct reasons){ 0 };
}

void
reasons_put(const struct reasons *rs, struct out *o)
{
	out_list(out_key(o, "reasons"));
	out_json(o, buf_view(&rs->json));
	out_close(o);
	if (rs->more > 0)
		out_u64(out_key(o, "moreReasons"), rs->more);
}

void
reason_condition(struct reasons *rs)
{
	if (reason_begin(rs, "condition"))
		reason_end(rs, "its target condition is not true here");
}

static double
percent(uint64_t place)
{
	return (double)place * 100 / (double)ROLLOUT_ALL;
}

void
reason_rollout(struct reasons *rs, const struct rollout *r, uint64_t key_hash)
{
	double at = percent(rollout_place(r->salt, key_hash)), reached = percent(r->bound);

	if (!reason_begin(rs, "rollout"))
		return;
	out_str(out_key(&rs->one, "status"), rollout_status_names[r->status]);
	out_fixed(out_key(&rs->one, "place"), at, 4);
	out_fixed(out_key(&rs->one, "reached"), reached, 4);
	if (rollout_restores(r) || at < reached)
		reason_end(rs, "its rollout is %s", rollout_status_names[r->status].p);
	else
		reason_end(rs,
		    "its rollout (%s) has reached places below %.4f %%, the device's is %.4f %%",
		    rollout_status_names[r->status].p, reached, at);
}

void
reason_base(struct reasons *rs, const struct configuration *base)
{
	if (!reason_begin(rs, "base"))
		return;
	put_configuration(rs, base);
	reason_end(rs,
	    "the deployment '" STR_FMT
	    "' of priority %lld says all of $edgeAgent: what is below it does not count",
	    STR_ARG(base->id), (long long)base->priority);
}

void
reason_module(struct reasons *rs, struct str module, bool of_device)
{
	if (!reason_begin(rs, "module"))
		return;
	put_module(rs, module);
	if (of_device)
		out_u64(out_key(&rs->one, "limit"), MODULES_MAX);
	reason_end(rs, "the module '" STR_FMT "' cannot be made: %s", STR_ARG(module),
	    of_device ? "its device has as many modules as it may have"
	              : "the hub has as many identities as it may have");
}

void
reason_late(struct reasons *rs, bool sweeps, const struct why_when *when)
{
	int64_t again_us = when->again_us != 0 ? when->again_us : when->now_us;

	if (!when->can_write) {
		if (reason_begin(rs, "noWrites"))
			reason_end(rs, "the hub takes no changes at the moment");
	} else if (sweeps) {
		if (reason_begin(rs, "sweep"))
			reason_end(rs, "configurations have changed, and it is not its turn yet");
	} else if (reason_begin(rs, "putOff")) {
		char until[TIME_TEXT_MAX];
		size_t n = time_format(again_us, until);

		out_str(out_key(&rs->one, "until"), (struct str){ until, n });
		reason_end(rs, "put off until %.*s: it does not come to rest, or could not be read",
		    (int)n, until);
	}
}

/* ---- contents ---- */

static void
reason_size(struct reasons *rs, struct evaluator *ev, const struct evaluation *e, uint32_t i,
    struct str module)
{
	struct excess size = row_excess(ev, e, i, module);
	bool counted = size.counted > PROPERTIES_SIZE_MAX;
	uint32_t is = counted ? size.counted : size.stored;
	uint32_t limit = counted ? PROPERTIES_SIZE_MAX : SECTION_STORED_MAX;

	if (is <= limit) {
		if (!reason_begin(rs, "room"))
			return;
		put_module(rs, module);
		reason_end(rs,
		    "it would fit only for what it takes away, and that would make room "
		    "for one that wins over it");
		return;
	}
	if (!reason_begin(rs, counted ? "size" : "storedSize"))
		return;
	put_module(rs, module);
	put_limit(rs, is, limit);
	reason_end(rs,
	    "the desired properties would have %u bytes%s with it, %u more than the limit of %u",
	    is, counted ? "" : " as stored", is - limit, limit);
}

static void
reason_before_rollout(struct reasons *rs, struct str module)
{
	if (!reason_begin(rs, "former"))
		return;
	put_module(rs, module);
	out_u64(out_key(&rs->one, "limit"), BEFORE_ROLLOUT_MAX);
	reason_end(rs,
	    "what it would overwrite, and a rollback put back, is more than the limit "
	    "of %u bytes",
	    BEFORE_ROLLOUT_MAX);
}

static void
reason_owned(struct reasons *rs, const struct configuration_path *path,
    const struct configuration *owner, struct str module)
{
	if (!reason_begin(rs, "owned"))
		return;
	put_module(rs, module);
	out_str(out_key(&rs->one, "path"), path->text);
	put_configuration(rs, owner);
	reason_end(rs, STR_FMT " is owned by the configuration '" STR_FMT "' (priority %lld)",
	    STR_ARG(path->text), STR_ARG(owner->id), (long long)owner->priority);
}

static void
reasons_of_paths(struct reasons *rs, struct evaluator *ev, uint32_t i, struct str module)
{
	const struct configuration *c = ev->set->v[i];

	for (uint32_t k = 0; k < c->npath; k++) {
		uint32_t owner;

		if (c->paths[k].module.n > 0 && !str_eq(c->paths[k].module, module))
			continue;
		owner = effective_owner(ev->effective, ev->set, i, k);
		if (owner != i && owner < ev->set->n)
			reason_owned(rs, &c->paths[k], ev->set->v[owner], module);
	}
}

void
reasons_of_content(struct reasons *rs, struct evaluator *ev, const struct evaluation *e, uint32_t i,
    struct str module)
{
	if (chosen_has(&e->unkept, i))
		reason_before_rollout(rs, module);
	else if (chosen_has(&e->rejected, i))
		reason_size(rs, ev, e, i, module);
	else
		reasons_of_paths(rs, ev, i, module);
}
