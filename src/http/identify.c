/*
 * Who asks? (service-rest.md 3) A policy's token is judged here; what an identity shows of itself, its token or certificate,
 * is judged by its shard, which knows its keys: for a path of a device that is the device, or the module, of the path.
 * Either way the answer never tells which check failed, unless the key is known to be good.
 */
#include "http/priv.h"

#include <stdio.h>

/* ---- who fails again and again ---- */

/* Who says that it asks, and from where. Whose address no limit concerns is not held off either. */
static struct backoff_who
who_of(const struct request *r)
{
	bool is_free = !r->ask.named ||
	    (r->hl->o.address_free != NULL && nets_have(r->hl->o.address_free, &r->ask.from));
	uint64_t name = r->claimed_policy.n > 0 ? asker_key(r->claimed_policy, STR("policy"))
	                                        : asker_key(r->claimed_device, path_module(r));

	return (struct backoff_who){ name,
		is_free ? 0 : asker_key(net_addr_party(&r->ask.from), STR_NONE) };
}

/* Of who has shown something: who asks with nothing may be anybody. */
static void
remember(struct request *r, enum reason why, const struct backoff_wait *w)
{
	if (r->claimed_device.n > 0 && r->hl->o.stories != NULL && r->ask.named &&
	    why != REASON_NO_CREDENTIALS)
		story_refused(r->hl->o.stories, r->claimed_device, path_module(r),
		    &(struct story_event){ .reason = why,
		        .at_us = clock_wall_us(),
		        .from = r->ask.from,
		        .cause = w->cause,
		        .wait_us = w->wait_ns / 1000 });
}

static void
hold_off(struct request *r, const struct backoff_wait *w)
{
	char text[BACKOFF_TEXT_MAX], seconds[24];

	snprintf(seconds, sizeof(seconds), "%lld", (long long)backoff_wait_s(w));
	add_header(r, "Retry-After", seconds);
	remember(r, REASON_AUTH_BACKOFF, w);
	r->refused = REASON_AUTH_BACKOFF;
	r->told = arena_str(&r->arena, str_of(backoff_text(w, text)));
	reply_error(r, F_ThrottlingException,
	    "authentication has failed again and again, wait %s seconds", seconds);
}

static bool
held_off(struct request *r)
{
	struct backoff_wait w;

	if (!offenders_hold(r->hl->o.offenders, who_of(r), r->claimed_policy.n > 0, &w))
		return false;
	hold_off(r, &w);
	return true;
}

static void
refuse(struct request *r, const struct verdict *v)
{
	struct backoff_wait w = { 0 };

	if (offenders_failed(r->hl->o.offenders, who_of(r), v->refused, &w)) {
		hold_off(r, &w);
		return;
	}
	remember(r, v->refused, &w);
	r->refused = v->refused;
	if (v->tell)
		reply_error(
		    r, F_IotHubUnauthorizedAccess, "Unauthorized: %s", reason_text(v->refused));
	else
		reply_error(r, F_IotHubUnauthorizedAccess, "Unauthorized");
}

/* ---- judging ---- */

static void
on_judged(struct work *w)
{
	struct request *r = request_of(w->owner, w->op.reply_to);
	const struct verdict *v = &w->reply.verdict;

	if (r != NULL && v->refused != REASON_NONE) {
		refuse(r, v);
	} else if (r != NULL && w->reply.fault.code != F_NONE) {
		reply_fault(r, &w->reply.fault);
	} else if (r != NULL) {
		offenders_passed(r->hl->o.offenders, who_of(r));
		r->actor = ACTOR_DEVICE;
		r->asker = r->segment[1];
		r->rights = v->rights;
		request_dispatch(r);
	}
	work_free(w);
}

/* devices/{id}[/...], with modules/{id} behind it or not */
static bool
path_of_device(const struct request *r, struct str *module)
{
	*module = path_module(r);
	return r->nsegment > 1 && str_ieq(r->segment[0], STR("devices")) &&
	    id_valid(r->segment[1]) && (module->p == NULL || id_valid(*module));
}

static void
ask_shard(struct request *r, struct str token, struct str module)
{
	struct tls_peer peer;
	struct work *w = work_new(r->hl->loop,
	    r->segment[1].n + module.n + r->path.n + WORK_SHOWN_ROOM(token), on_judged);

	r->by->shown(r->link, &peer);
	w->op.kind = OP_JUDGE;
	w->op.actor = ACTOR_DEVICE;
	w->op.device = w->op.actor_name = work_str(w, r->segment[1]);
	w->op.module = work_str(w, module);
	w->op.name = work_str(w, r->path);
	w->op.reply_to = request_address(r);
	w->owner = r->hl;
	work_show(w, token, &peer);
	if (token.n != 0)
		w->op.shown.late_us = request_token_late_us(r);
	request_submit(r, w);
}

static void
judge_policy(struct request *r, struct str token, struct verdict *v)
{
	const struct catalogue *c = catalogue_use(r->hl->o.catalogue);
	struct auth_ask ask = catalogue_ask(c, clock_clients_us());
	struct credentials shown = { .token = token, .late_us = request_token_late_us(r) };

	ask.path = r->path;
	auth_judge(r->hl->mac, &ask, &shown, v);
	catalogue_drop(r->hl->o.catalogue, c);
}

static bool
may_judge(const struct request *r)
{
	const struct http_admin *a = &r->hl->o.admin;

	return a->may_judge == NULL || a->may_judge(a->ctx);
}

void
request_identify(struct request *r)
{
	struct str token = request_header(r, "Authorization"), module;
	struct verdict v = { .refused = REASON_NO_CREDENTIALS };
	struct sas t;
	bool parsed = token.n != 0 && sas_parse(token, &t) == ERR_OK;

	if (parsed)
		r->claimed_policy = arena_str(&r->arena, sas_policy(&t));
	if ((token.n == 0 || (parsed && sas_policy(&t).n == 0)) && path_of_device(r, &module)) {
		r->claimed_device = r->segment[1];
		if (!held_off(r))
			ask_shard(r, token, module);
		return;
	}
	if (held_off(r))
		return;
	if (token.n != 0)
		judge_policy(r, token, &v);
	if (!may_judge(r)) { /* now, behind it: the verdict may be of before the lease was over */
		reply_error(r, F_ServiceUnavailable, "%s",
		    "the hub may not answer at the moment: nothing was done");
		return;
	}
	if (v.refused != REASON_NONE) {
		refuse(r, &v);
		return;
	}
	offenders_passed(r->hl->o.offenders, who_of(r));
	r->actor = ACTOR_POLICY;
	r->asker = arena_str(&r->arena, (struct str){ v.policy, v.policy_n });
	r->rights = v.rights;
	r->opened = v.opened;
	/* on the hub's clock, which a test may have put ahead of that of who has made the token */
	if (v.end_us != 0 && v.end_us < INT64_MAX - clock_ahead_us())
		r->end_us = v.end_us + clock_ahead_us();
	request_dispatch(r);
}
