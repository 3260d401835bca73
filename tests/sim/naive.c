/*
 * What configurations make of twins, the slow and simple way, from docs/spec/jobs-and-configurations.md, part B: each twin is
 * shown as a back end sees it; what is not by a configuration is taken as written by hand; and what all configurations say of it
 * must give just what is there (J-43, J-44, J-45, J-58, J-59), with the states that it shows (J-46). With nothing under way.
 *
 * Nothing of src/config is asked but what the configurations are, and how far a rollout is.
 */
#include "leaves.h"
#include "world.h"

#include <stdlib.h>

#define QUIET_ROUNDS 400u

struct naive {
	struct world *w;
	struct configurations *set;
	struct configuration **order;                                       /* who wins first */
	uint64_t targeted[CONFIGURATIONS_MAX], applied[CONFIGURATIONS_MAX]; /* in that order */
	bool short_of_modules; /* some that deployments name are not there */
	/* of the twin at hand */
	struct shard *sh;
	uint32_t row;
	struct str device, module;
	struct buf json, doc;
	struct doc twin;
};

/* Two queries that show whole twins. */
static struct query *
shows_all(bool modules)
{
	static struct query *shows[2];
	struct fault f = { .text = "" };

	if (shows[modules] == NULL &&
	    query_parse(
	        modules ? STR("SELECT * FROM devices.modules") : STR("SELECT * FROM devices"), NULL,
	        &shows[modules], &f) != ERR_OK)
		world_fail("%s", f.text);
	return shows[modules];
}

static void
see_twin(struct naive *v)
{
	const struct query *q = shows_all(v->module.n > 0);
	struct doc_parsed info;
	struct look l;

	v->json.n = v->doc.n = 0;
	look_load(v->w, v->sh, v->row, &query_facts(q)->output, &l);
	query_project(q, &hub_query_ops, &l.row, &v->w->scratch, &v->json);
	look_close(&l);
	if (doc_parse(v->w->parser, buf_view(&v->json), &v->doc, &info, NULL) != ERR_OK)
		world_fail("no JSON: " STR_FMT, STR_ARG(buf_view(&v->json)));
	v->twin = doc_of(buf_view(&v->doc));
}

/* ---- who is meant ---- */

/* The highest priority, then the latest creation; of one instant, the first by id. */
static int
by_rank(const void *a, const void *b)
{
	const struct configuration *x = *(struct configuration *const *)a,
	                           *y = *(struct configuration *const *)b;

	if (x->priority != y->priority)
		return x->priority > y->priority ? -1 : 1;
	if (x->created_us != y->created_us)
		return x->created_us > y->created_us ? -1 : 1;
	return str_cmp(x->id, y->id);
}

static struct doc
content_of(const struct configuration *c, const char *kind)
{
	struct doc of = doc_get(doc_getc(c->body, "content"), str_of(kind));

	return doc_kind(of) == DOC_OBJECT && doc_count(of) > 0 ? of : DOC_NONE;
}

static bool
is_deployment(const struct configuration *c)
{
	return doc_defined(content_of(c, "modulesContent"));
}

/* A deployment that says all of $edgeAgent (J-44). */
static bool
is_base(const struct configuration *c)
{
	struct doc agent = doc_getc(content_of(c, "modulesContent"), "$edgeAgent");

	return doc_defined(doc_getc(agent, "properties.desired"));
}

static bool
has_status(const struct naive *v, struct str id)
{
	return doc_defined(doc_get(doc_getc(v->twin, "configurations"), id));
}

/* docs/rollouts.md: its place lies before the bound; who has it keeps it under `halted`. */
static bool
rollout_is_here(const struct naive *v, const struct configuration *c)
{
	const struct rollout *r = c->rollout;

	if (r == NULL)
		return true;
	if (r->status == ROLLOUT_ROLLING_BACK || r->status == ROLLOUT_ROLLED_BACK)
		return false;
	if (r->status == ROLLOUT_HALTED)
		return has_status(v, c->id);
	return rollout_place(r->salt, shard_row_hash(v->sh, v->row)) < r->bound;
}

static bool
condition_true(const struct naive *v, const struct configuration *c, uint32_t row)
{
	struct fault f = { .text = "" };
	struct query *q = NULL;
	bool is;

	if (c->target_text.n == 0)
		return false;
	if (query_parse_condition(c->target_text, &q, &f) != ERR_OK)
		world_fail(STR_FMT ": %s", STR_ARG(c->target_text), f.text);
	is = look_matches(v->w, q, v->sh, row);
	query_free(q);
	return is;
}

/* Is this configuration of a device's, or a module's, own about the twin? */
static bool
own_is_about(const struct naive *v, const struct configuration *c)
{
	const char *kind = v->module.n > 0 ? "moduleContent" : "deviceContent";

	return doc_defined(content_of(c, kind)) && condition_true(v, c, v->row);
}

/* Deployments whose device meets the condition. */
static bool
deployment_is_about(const struct naive *v, const struct configuration *c)
{
	uint32_t device = shard_find(v->sh, v->device, STR_NONE);
	struct query *q = NULL;
	bool edge;

	if (!is_deployment(c) ||
	    query_parse_condition(STR("capabilities.iotEdge = true"), &q, NULL) != ERR_OK)
		return false;
	edge = look_matches(v->w, q, v->sh, device);
	query_free(q);
	return edge && condition_true(v, c, device);
}

/* ---- what they say together ---- */

/* Which configurations (in the order of winning) have something to say of this module's or device's twin. */
struct said {
	const struct configuration *of[CONFIGURATIONS_MAX];
	struct doc keys[CONFIGURATIONS_MAX];
	bool applied[CONFIGURATIONS_MAX];
	uint32_t n;
};

static void
say(struct said *s, const struct configuration *c, struct doc keys)
{
	if (!doc_defined(keys))
		return;
	s->of[s->n] = c;
	s->keys[s->n++] = keys;
}

/* A key of a content as a path: properties.desired.a.b is a, b. */
static void
key_path(struct str key, struct buf *path)
{
	struct str rest = str_sub(key, sizeof("properties.desired") - 1);

	path->n = 0;
	for (size_t i = 0; i < rest.n; i++)
		buf_putc(path, rest.p[i] == '.' ? 1 : rest.p[i]);
}

/* A deployment's key and one of a module's configuration are two paths, even where they say the same. */
static bool
owned_before(const struct said *s, uint32_t i, struct str key)
{
	for (uint32_t k = 0; k < i; k++)
		if (is_deployment(s->of[k]) == is_deployment(s->of[i]) &&
		    doc_defined(doc_get(s->keys[k], key)))
			return true;
	return false;
}

/* The nulls of a value take away what nobody says a value for (J-59). */
static void
take_nulls(struct leaves *there, const struct leaves *want, struct str path, struct doc value)
{
	struct doc_iter it = doc_iter(value);
	struct buf room = { 0 };
	struct str key;
	struct doc v;

	if (doc_kind(value) == DOC_NULL && !leaves_has_below(want, path))
		leaves_drop(there, path);
	while (doc_kind(value) == DOC_OBJECT && doc_next(&it, &key, &v))
		take_nulls(there, want, path_child(&room, path, key), v);
	buf_fini(&room);
}

/* The paths of their owners, the loser first, so that the winner's stand. False: what is there by hand is not to stay. */
static bool
say_together(struct said *s, struct leaves *want)
{
	struct buf path = { 0 };
	bool beside = true;
	struct str key;
	struct doc value;

	for (uint32_t i = s->n; i-- > 0;) {
		struct doc_iter it = doc_iter(s->keys[i]);

		while (doc_next(&it, &key, &value)) {
			if (owned_before(s, i, key))
				continue;
			s->applied[i] = true;
			key_path(key, &path);
			if (is_deployment(s->of[i]) && path.n == 0) { /* J-58: all there is */
				leaves_fini(want);
				beside = false;
			}
			leaves_merge(want, buf_view(&path), value, s->of[i]->id);
		}
	}
	buf_fini(&path);
	return beside;
}

static void
take_all_nulls(const struct said *s, const struct leaves *want, struct leaves *there)
{
	struct buf path = { 0 };
	struct str key;
	struct doc value;

	for (uint32_t i = s->n; i-- > 0;) {
		struct doc_iter it = doc_iter(s->keys[i]);

		while (doc_next(&it, &key, &value)) {
			key_path(key, &path);
			if (!owned_before(s, i, key))
				take_nulls(there, want, buf_view(&path), value);
		}
	}
	buf_fini(&path);
}

static void
put_leaf(struct leaves *there, const struct leaf *l)
{
	struct str path = buf_view(&l->path);
	struct doc_parsed info;
	struct buf doc = { 0 };

	if (doc_parse(the_world->parser, buf_view(&l->value), &doc, &info, NULL) != ERR_OK)
		world_fail("no JSON");
	if (leaves_find(there, path) != NULL)
		leaves_drop(there, path); /* {} gets its owner */
	leaves_merge(there, path, doc_of(buf_view(&doc)), buf_view(&l->by));
	buf_fini(&doc);
}

/* All that over what is there by hand. */
static void
lay(struct said *s, struct leaves *there)
{
	struct leaves want = { 0 };

	if (!say_together(s, &want))
		leaves_fini(there);
	take_all_nulls(s, &want, there);
	for (uint32_t i = 0; i < want.n; i++)
		put_leaf(there, &want.v[i]);
	leaves_fini(&want);
}

/* ---- a twin against that ---- */

static void
odd(const struct naive *v, const char *what, struct str id)
{
	struct buf all = { 0 };

	for (uint32_t i = 0; i < v->set->n; i++) {
		buf_putc(&all, '\n');
		configuration_write(&all, v->order[i], NULL);
	}
	world_fail("the configurations are" STR_FMT "\nthe twin is " STR_FMT "\n" STR_FMT
	           "/" STR_FMT " by the naive evaluator: %s " STR_FMT,
	    STR_ARG(buf_view(&all)), STR_ARG(buf_view(&v->json)), STR_ARG(v->device),
	    STR_ARG(v->module), what, STR_ARG(id));
}

static void
odd_leaf(const struct naive *v, const struct leaf *l, const char *which)
{
	struct buf text = { 0 };

	buf_printf(&text, STR_FMT " = " STR_FMT " of '" STR_FMT "'", STR_ARG(buf_view(&l->path)),
	    STR_ARG(buf_view(&l->value)), STR_ARG(buf_view(&l->by)));
	odd(v, which, buf_view(&text));
}

static void
check_desired(const struct naive *v, const struct leaves *want)
{
	struct doc desired = doc_getc(doc_getc(v->twin, "properties"), "desired");
	struct leaves is = { 0 };
	const struct leaf *l;

	leaves_read(&is, STR_NONE, desired, doc_getc(desired, "$metadata"));
	for (uint32_t i = 0; i < is.n; i++)
		seen.owned += is.v[i].by.n > 0;
	if ((l = leaves_odd(&is, want)) != NULL)
		odd_leaf(v, l, "not to be there, or another way,");
	if ((l = leaves_odd(want, &is)) != NULL)
		odd_leaf(v, l, "missing");
	leaves_fini(&is);
}

static void
check_status(const struct naive *v, struct str id, bool targeted, bool applied)
{
	struct doc is = doc_getc(doc_get(doc_getc(v->twin, "configurations"), id), "status");
	struct str want = !targeted ? STR_NONE : applied ? STR("Applied") : STR("Targeted");

	if (!str_eq(doc_text(is), want))
		odd(v,
		    targeted ? (applied ? "it is Applied:" : "it is Targeted:") : "it is not:", id);
}

/* What was written by hand, as far as it is left. */
static void
by_hand(const struct naive *v, struct leaves *out)
{
	struct doc desired = doc_getc(doc_getc(v->twin, "properties"), "desired");

	leaves_read(out, STR_NONE, desired, doc_getc(desired, "$metadata"));
	leaves_drop_written(out);
}

static uint32_t
place_in(const struct said *s, const struct configuration *c)
{
	uint32_t i = 0;

	while (i < s->n && s->of[i] != c)
		i++;
	return i;
}

static void
check_own(struct naive *v, const struct said *s, bool agent)
{
	for (uint32_t i = 0; i < v->set->n; i++) {
		const struct configuration *c = v->order[i];
		uint32_t at = place_in(s, c);
		bool targeted = own_is_about(v, c) && rollout_is_here(v, c);
		bool applied = at < s->n && s->applied[at];

		if (is_deployment(c) && agent)
			continue; /* deployments_check */
		check_status(v, c->id, targeted, applied);
		v->targeted[i] += own_is_about(v, c);
		v->applied[i] += targeted && applied;
		seen.outdone += targeted && !applied;
	}
}

/* Deployments that count for the family: the highest base, and layers above it (J-44). */
static void
deployments(const struct naive *v, bool *force)
{
	bool below = false;

	for (uint32_t i = 0; i < v->set->n; i++) {
		force[i] = !below && deployment_is_about(v, v->order[i]);
		below |= force[i] && is_base(v->order[i]);
	}
}

static void
check_twin(struct naive *v, const bool *force, bool *owns)
{
	struct said s = { .n = 0 };
	struct leaves want = { 0 };

	see_twin(v);
	for (uint32_t i = 0; i < v->set->n; i++) {
		struct configuration *c = v->order[i];

		if (force[i] && v->module.n > 0) {
			seen.deployed++;
			say(&s, c, doc_get(content_of(c, "modulesContent"), v->module));
		} else if (own_is_about(v, c) && rollout_is_here(v, c)) {
			say(&s, c,
			    content_of(c, v->module.n > 0 ? "moduleContent" : "deviceContent"));
		}
	}
	by_hand(v, &want);
	lay(&s, &want);
	check_desired(v, &want);
	check_own(v, &s, str_eq(v->module, STR("$edgeAgent")));
	for (uint32_t i = 0; i < v->set->n; i++) {
		uint32_t at = place_in(&s, v->order[i]);

		owns[i] |= at < s.n && s.applied[at];
	}
	leaves_fini(&want);
	seen.evaluated++;
}

/* ---- a device with its modules ---- */

/* Are the modules there that deployments in force name? Made as far as there was room (J-50). */
static bool
modules_there(const struct naive *v, const bool *force)
{
	struct str module;
	struct doc keys;

	for (uint32_t i = 0; i < v->set->n; i++) {
		struct doc_iter it = doc_iter(content_of(v->order[i], "modulesContent"));

		while (force[i] && doc_next(&it, &module, &keys)) {
			if (shard_find(v->sh, v->device, module) != TABLE_NONE)
				continue;
			if (fleet_identities(v->w->fleet) + 100 < v->w->o.identities_max)
				odd(v, "a deployment names its module", module);
			return false;
		}
	}
	return true;
}

static void
check_family(struct naive *v, uint32_t device)
{
	bool force[CONFIGURATIONS_MAX] = { false }, owns[CONFIGURATIONS_MAX] = { false };
	uint32_t agent = TABLE_NONE;
	bool all_there;

	v->module = STR_NONE;
	deployments(v, force);
	check_twin(v, force, owns);
	all_there = modules_there(v, force);
	memset(owns, 0, sizeof(owns));
	for (uint32_t m = TABLE_NONE; (m = shard_module_row(v->sh, device, m)) != TABLE_NONE;) {
		struct str id;

		v->row = m;
		(void)shard_row(v->sh, m, &id, &v->module);
		check_twin(v, force, owns);
		if (str_eq(v->module, STR("$edgeAgent")))
			agent = m;
	}
	if (agent == TABLE_NONE || !all_there) {
		v->short_of_modules |= !all_there;
		return;
	}
	v->row = agent;
	v->module = STR("$edgeAgent");
	see_twin(v);
	for (uint32_t i = 0; i < v->set->n; i++) {
		if (!is_deployment(v->order[i]))
			continue;
		v->targeted[i] += deployment_is_about(v, v->order[i]);
		v->applied[i] += owns[i];
		check_status(v, v->order[i]->id, deployment_is_about(v, v->order[i]), owns[i]);
	}
}

static void
check_all(struct naive *v)
{
	for (uint32_t s = 0; s < SHARDS; s++) {
		v->sh = contact_shard(v->w, s);
		for (v->row = 0; v->row < shard_rows(v->sh); v->row++) {
			uint32_t row = v->row;

			if (!shard_row(v->sh, row, &v->device, &v->module) || v->module.n > 0)
				continue;
			check_family(v, row);
			v->row = row;
		}
	}
}

/* ---- what is counted (J-38, J-39) ---- */

static void
check_count(const struct naive *v, uint32_t i, uint32_t metric, uint64_t want)
{
	struct buf text = { 0 };
	struct fault f = { .text = "" };
	struct query *q = NULL;
	uint64_t n = 0;

	configuration_metric(v->order[i], metric, &text);
	if (text.n > 0 && query_parse(buf_view(&text), NULL, &q, &f) != ERR_OK)
		world_fail(STR_FMT ": %s", STR_ARG(buf_view(&text)), f.text);
	for (uint32_t s = 0; q != NULL && s < SHARDS; s++)
		for (uint32_t row = 0; row < shard_rows(contact_shard(v->w, s)); row++)
			n += look_matches(v->w, q, contact_shard(v->w, s), row);
	if (n != want)
		world_fail(STR_FMT ": " STR_FMT " counts %llu, there are %llu",
		    STR_ARG(v->order[i]->id), STR_ARG(buf_view(&text)), (unsigned long long)n,
		    (unsigned long long)want);
	query_free(q);
	buf_fini(&text);
}

static void
check_counts(const struct naive *v)
{
	uint32_t i = rnd_below(&v->w->rnd, v->set->n);

	if (is_deployment(v->order[i]) && v->short_of_modules)
		return;
	check_count(v, i, 0, v->targeted[i]);
	check_count(v, i, 1, v->applied[i]);
}

/* The last change of configurations has come to all twins. What is put off has its next turn, and waits for room after that. */
static bool
in_line(struct world *w)
{
	unsigned turns = 2;

	for (unsigned n = 0; n < QUIET_ROUNDS; n++) {
		bool quiet = world_quiet(w, 30) && contact_in_line(w);

		if (quiet && (turns == 0 || !contact_put_off(w)))
			return true;
		if (quiet) {
			w->mono_us += CONFIGURE_PERIOD_US;
			turns--;
		}
		w->mono_us += 100;
	}
	return false;
}

void
naive_check(struct world *w)
{
	struct naive v = { .w = w };

	if (w->plain || w->restless || !in_line(w))
		return;
	v.set = configurations_stored(contact_shard(w, 0));
	if (v.set != NULL && v.set->n > 0) {
		v.order = xcalloc(v.set->n, sizeof(struct configuration *));
		memcpy(v.order, v.set->v, v.set->n * sizeof(struct configuration *));
		qsort(v.order, v.set->n, sizeof(struct configuration *), by_rank);
		check_all(&v);
		check_counts(&v);
	}
	free(v.order);
	configurations_free(v.set);
	buf_fini(&v.json);
	buf_fini(&v.doc);
}
