/* What a configuration that is not there would do: rows are evaluated with it in the set. */
#include "config/dryrun.h"

#include <stdlib.h>

#include "config/reasons.h"
#include "task/samples.h"

#define TWIN (RECORD_BIT(RECORD_IDENTITY) | RECORD_BIT(RECORD_WANTED) | RECORD_BIT(RECORD_REPORTED))

struct dryrun {
	struct evaluator ev;
	struct configurations *set; /* with it */
	const struct configuration *c;
	uint32_t index; /* of it in the set */
	bool fresh;     /* there is none of its name: no twin bears it */
	unsigned asks;  /* records that its condition needs */
	unsigned left;  /* twins still to be shown */
	unsigned most;  /* in all */
	size_t most_bytes;
	uint64_t beside; /* hash of the set without it */
	struct samples samples;
	struct buf patch;
	struct dryrun_counts counts;
	/* the device at hand */
	struct out entry;
	uint32_t nmodule; /* named in the entry */
	uint32_t shard;   /* its */
	size_t begun;     /* where its sample is */
	struct out sample;
	struct str made[MODULES_MAX];
	uint32_t nmade; /* modules that would be */
	/* why it would not be applied; of a deployment, in all modules so far */
	struct reasons reasons;
};

struct dryrun *
dryrun_new(const struct configurations *set, struct str record, unsigned sample)
{
	struct dryrun *d = xcalloc(1, sizeof(*d));
	struct configuration *c;
	enum err e = configuration_new(record, &c);

	assert(e == ERR_OK);
	(void)e;
	d->fresh = configurations_find(set, c->id) == NULL;
	d->set = configurations_with(set, c->id, c);
	while (!str_eq(d->set->v[d->index]->id, c->id))
		d->index++;
	d->c = d->set->v[d->index];
	configuration_unref(c); /* the set has it */
	evaluator_use(&d->ev, d->set);
	d->ev.everywhere = d->c;
	d->asks = hub_records_of(&query_facts(d->c->target)->match);
	d->left = d->most = sample;
	d->most_bytes = DRYRUN_SAMPLE_BYTES;
	d->beside = set != NULL ? set->hash : 0;
	return d;
}

void
dryrun_free(struct dryrun *d)
{
	if (d == NULL)
		return;
	evaluator_fini(&d->ev);
	configurations_free(d->set);
	samples_fini(&d->samples);
	buf_fini(&d->patch);
	reasons_fini(&d->reasons);
	free(d);
}

const struct dryrun_counts *
dryrun_counts(const struct dryrun *d)
{
	return &d->counts;
}

struct str
dryrun_sample(const struct dryrun *d)
{
	return buf_view(&d->samples.text);
}

/* ---- of several nodes ---- */

void
dryrun_ask(const struct dryrun *d, struct buf *out)
{
	buf_le64(out, d->beside);
	buf_varint(out, d->most);
	buf_lstr(out, d->c->record);
}

enum err
dryrun_made(const struct configurations *set, struct str text, struct dryrun **out, struct fault *f)
{
	struct rd rd = rd_of(text);
	uint64_t beside = rd_le64(&rd), most = rd_varint(&rd);
	struct str record = rd_lstr(&rd);
	struct configuration *c;

	if (rd.bad || most > DRYRUN_SAMPLE_MAX || configuration_new(record, &c) != ERR_OK)
		return fault_set(f, F_ServerError, "a node asks what cannot be read");
	configuration_unref(c);
	if (beside != (set != NULL ? set->hash : 0))
		return fault_set(f, F_ServiceUnavailable,
		    "the nodes have different configurations at the moment, try again later");
	*out = dryrun_new(set, record, (unsigned)most);
	(*out)->most_bytes = SAMPLES_PART_BYTES;
	return ERR_OK;
}

void
dryrun_put(const struct dryrun *d, struct buf *out)
{
	buf_varint(out, d->counts.targeted);
	buf_varint(out, d->counts.devices);
	buf_varint(out, d->counts.twins);
	buf_varint(out, d->counts.desired);
	samples_put(&d->samples, out);
}

enum err
dryrun_take(struct dryrun *d, struct str part)
{
	struct rd rd = rd_of(part);

	d->counts.targeted += rd_varint(&rd);
	d->counts.devices += rd_varint(&rd);
	d->counts.twins += rd_varint(&rd);
	d->counts.desired += rd_varint(&rd);
	if (rd.bad)
		return ERR_CORRUPT;
	return samples_take(
	    &d->samples, rd_bytes(&rd, (size_t)(rd.end - rd.p)), d->most, DRYRUN_SAMPLE_BYTES);
}

/* ---- whom does it concern? ---- */

static struct row *
next_of(struct shard *sh, const struct row *device, const struct row *r)
{
	return r == device ? module_first(sh, device) : module_next(sh, r);
}

/* The row whose section `configurations` has its name if it has been applied there. */
static bool
may_bear(const struct dryrun *d, const struct row *r)
{
	if (d->fresh)
		return false;
	if (d->c->kind == CONFIGURATION_EDGE)
		return row_is_agent(r);
	return (d->c->kind == CONFIGURATION_MODULE) == (r->module_n != 0);
}

static bool
bears(const struct dryrun *d, const struct row *r)
{
	struct wanted w;

	return may_bear(d, r) && wanted_decode(blob_str(r->records[RECORD_WANTED]), &w) &&
	    w.configurations.n != 0 && doc_defined(doc_get(doc_of(w.configurations), d->c->id));
}

/* Rows of the device and its modules for which the condition is true. *concerned: there is one, or one bears the name. */
static uint32_t
targeted_of(struct dryrun *d, struct shard *sh, const struct row *device, bool *concerned)
{
	uint32_t n = 0;

	*concerned = false;
	for (const struct row *r = device; r != NULL; r = next_of(sh, device, r)) {
		n += row_is_about(r, d->c) && row_matches(&d->ev, sh, r, d->c);
		*concerned |= n > 0 || bears(d, r);
	}
	return n;
}

/* ---- what must be in memory ---- */

static unsigned
needs_to_decide(const struct dryrun *d, const struct row *r)
{
	return (row_is_about(r, d->c) ? d->asks : 0) |
	    (may_bear(d, r) ? RECORD_BIT(RECORD_WANTED) : 0);
}

static unsigned
needs_to_evaluate(const struct dryrun *d, const struct row *r)
{
	if (d->c->kind == CONFIGURATION_DEVICE && r->module_n != 0)
		return 0;
	return d->left > 0 ? TWIN : evaluator_records(d->set);
}

static bool
is_missing(const struct row *r, unsigned records)
{
	for (unsigned k = 0; k < RECORD_KINDS; k++)
		if ((records & RECORD_BIT(k)) && r->records[k] == NULL)
			return true;
	return false;
}

uint32_t
dryrun_row(struct dryrun *d, struct shard *sh, uint32_t row, unsigned *records)
{
	struct row *device = row_at(sh, row), *r;
	bool concerned;

	for (r = device; r != NULL; r = next_of(sh, device, r)) {
		*records = needs_to_decide(d, r);
		if (is_missing(r, *records))
			return row_number(sh, r);
	}
	targeted_of(d, sh, device, &concerned);
	for (r = device; concerned && r != NULL; r = next_of(sh, device, r)) {
		*records = needs_to_evaluate(d, r);
		if (is_missing(r, *records))
			return row_number(sh, r);
	}
	return TABLE_NONE;
}

/* ---- what would become of a twin ---- */

static void
note_twin(struct dryrun *d, struct str module, bool desired)
{
	d->counts.twins++;
	d->counts.desired += desired;
	if (module.n == 0)
		return;
	if (d->nmodule++ == 0)
		out_list(out_key(&d->entry, "modules"));
	out_str(&d->entry, module);
}

static bool
wants_sample(const struct dryrun *d)
{
	return d->left > 0 && d->samples.text.n < d->most_bytes;
}

/* What comes before the patch. */
static void
sample_begin(struct dryrun *d, struct str device, struct str module)
{
	d->left--;
	d->begun = d->samples.text.n;
	d->sample = out_next(&d->samples.text);
	out_open(&d->sample);
	out_str(out_key(&d->sample, "deviceId"), device);
	out_some_str(&d->sample, "moduleId", module);
}

static void
sample_ends(struct dryrun *d)
{
	out_close(&d->sample);
	samples_ends(&d->samples, d->shard, d->begun);
}

/* Only what is shown is asked for its reasons. */
static void
gather_reasons(
    struct dryrun *d, const struct row *r, const struct family *f, const struct evaluation *e)
{
	bool deployment = d->c->kind == CONFIGURATION_EDGE, counts;

	if (d->left == 0 || (deployment && f == NULL))
		return;
	if (!deployment)
		reasons_fini(&d->reasons);
	counts = chosen_has(deployment ? &f->force : &e->own, d->index);
	if (counts)
		reasons_of_content(&d->reasons, &d->ev, e, d->index, row_module(r));
	else if (!deployment && row_is_about(r, d->c))
		reason_condition(&d->reasons);
}

/* What is true of all modules. */
static void
begin_reasons(struct dryrun *d, const struct family *f)
{
	const struct configuration *base =
	    deployment_above(d->set, &f->targeted, &f->force, d->index);

	reasons_fini(&d->reasons);
	if (d->c->kind != CONFIGURATION_EDGE)
		return;
	if (!chosen_has(&f->targeted, d->index))
		reason_condition(&d->reasons);
	if (base != NULL)
		reason_base(&d->reasons, base);
}

static void
put_patch(struct dryrun *d, const struct evaluation *e)
{
	if (!e->changed && d->reasons.n > 0) {
		reasons_put(&d->reasons, &d->sample);
		return;
	}
	out_key(&d->sample, "patch");
	if (!e->changed) {
		out_open(&d->sample);
		out_close(&d->sample);
		return;
	}
	d->patch.n = 0;
	section_difference(e->wanted.desired.root, e->desired.root,
	    evaluator_stamps(&d->ev, &e->desired), e->desired.version, &d->patch);
	out_doc(&d->sample, doc_of(buf_view(&d->patch)));
}

static void
sample_twin(struct dryrun *d, struct shard *sh, const struct row *r, const struct evaluation *e)
{
	struct wanted next = e->wanted;

	next.counter += e->steps;
	next.desired = e->desired;
	next.configurations = e->configurations;
	sample_begin(d, row_device(r), row_module(r));
	put_patch(d, e);
	twin_write_as(sh, r, &next, out_value(out_key(&d->sample, "twin")));
	sample_ends(d);
}

static void
twin_would(
    struct dryrun *d, struct shard *sh, const struct row *r, struct family *family, int64_t now_us)
{
	struct evaluation e;
	bool changes = row_evaluate(&d->ev, sh, r, family, now_us, &e);

	gather_reasons(d, r, family, &e);
	if (!changes)
		return;
	note_twin(d, row_module(r), e.changed);
	if (wants_sample(d))
		sample_twin(d, sh, r, &e);
}

/* ---- modules ---- */

static bool
is_made(const struct dryrun *d, struct str module)
{
	for (uint32_t i = 0; i < d->nmade; i++)
		if (str_eq(d->made[i], module))
			return true;
	return false;
}

/* In the order in which they would be made, as far as there is room (L-25). */
static void
choose_made(struct dryrun *d, struct shard *sh, const struct row *device, struct family *family)
{
	const struct configurations *set = d->set;
	uint32_t room = MODULES_MAX;

	for (const struct row *m = module_first(sh, device); m != NULL; m = module_next(sh, m))
		room--;
	for (uint32_t o = 0; o < set->n; o++) {
		uint32_t i = set->order[o];

		for (uint32_t k = 0; chosen_has(&family->force, i) && k < set->v[i]->npath; k++) {
			struct str module = set->v[i]->paths[k].module;

			if (is_made(d, module) ||
			    shard_find(sh, row_device(device), module) != TABLE_NONE)
				continue;
			if (d->nmade < room) {
				d->made[d->nmade++] = module;
				continue;
			}
			chosen_add(&family->failed, i);
			if (i == d->index)
				reason_module(&d->reasons, module, true);
		}
	}
}

static void
made_would(struct dryrun *d, const struct row *device, struct str module, struct family *family)
{
	struct doc desired = family_absent(family, &d->ev, module);

	note_twin(d, module, doc_count(desired) > 0);
	if (!wants_sample(d))
		return;
	sample_begin(d, row_device(device), module);
	out_bool(out_key(&d->sample, "created"), true);
	out_doc(out_key(&d->sample, "patch"), desired);
	sample_ends(d);
}

/* $edgeAgent is the last: it tells of all. */
static void
modules_would(struct dryrun *d, struct shard *sh, const struct row *device, int64_t now_us)
{
	const struct row *agent = NULL;
	struct family family, *of = device->edge && d->set->edge ? &family : NULL;

	d->nmade = 0;
	if (of != NULL) {
		family_begin(of, &d->ev, sh, device);
		begin_reasons(d, of);
		choose_made(d, sh, device, of);
	}
	for (const struct row *m = module_first(sh, device); m != NULL; m = module_next(sh, m)) {
		if (of != NULL && row_is_agent(m))
			agent = m;
		else
			twin_would(d, sh, m, of, now_us);
	}
	for (uint32_t i = 0; i < d->nmade; i++)
		made_would(d, device, d->made[i], of);
	if (agent != NULL)
		twin_would(d, sh, agent, of, now_us);
}

bool
dryrun_device(struct dryrun *d, struct shard *sh, uint32_t row, int64_t now_us, struct buf *entry)
{
	struct row *device = row_at(sh, row);
	uint64_t before = d->counts.twins;
	size_t from = entry->n;
	bool concerned;
	uint32_t n = targeted_of(d, sh, device, &concerned);

	d->counts.targeted += n;
	if (!concerned)
		return false;
	d->shard = sh->index;
	d->entry = out_to(entry);
	d->nmodule = 0;
	out_open(&d->entry);
	out_str(out_key(&d->entry, "deviceId"), row_device(device));
	out_bool(out_key(&d->entry, "targeted"), n > 0);
	if (d->c->kind == CONFIGURATION_DEVICE)
		twin_would(d, sh, device, NULL, now_us);
	else
		modules_would(d, sh, device, now_us);
	if (d->nmodule > 0)
		out_close(&d->entry);
	out_close(&d->entry);
	if (d->counts.twins == before)
		entry->n = from;
	else
		d->counts.devices++;
	return d->counts.twins > before;
}
