/*
 * What clients ask: queries of every kind, page by page, lists, statistics, dry runs. An answer during which nothing has
 * changed is compared, whole, with what the documents give.
 */
#include "draw.h"
#include "world.h"

#include <stdlib.h>

#define UNDER_WAY_MAX 60u  /* below what has a seat */
#define PAGES_SMALL   100u /* then large ones: each page in an order looks at the whole fleet */

struct question {
	struct world *w;
	struct buf text, rows; /* rows: of all pages so far */
	struct query_bookmark bookmark;
	uint32_t limit, npage;
	bool count;
	bool still; /* nothing has changed since it was asked: */
	uint64_t position, sent;
};

/* ---- the answer by documents ---- */

static void
add_row(struct world *w, const struct query *q, struct shard *sh, uint32_t row, struct buf *out)
{
	struct look l;

	look_load(w, sh, row, &query_facts(q)->output, &l);
	if (out->n > 0)
		buf_putc(out, ',');
	query_project(q, &hub_query_ops, &l.row, &w->scratch, out);
	look_close(&l);
}

static void
group_row(
    struct world *w, const struct query *q, struct shard *sh, uint32_t row, struct query_groups *g)
{
	struct look l;

	look_open(w, sh, row, &query_facts(q)->output, &l);
	if (query_groups_add(g, &hub_query_ops, &l.row, &w->scratch, NULL) != ERR_OK)
		world_fail("too many groups");
	look_close(&l);
}

static void
order_row(
    struct world *w, const struct query *q, struct shard *sh, uint32_t row, struct query_order *o)
{
	struct query_needs all = query_facts(q)->output;
	struct look l;

	all.roots |= query_facts(q)->match.roots;
	all.sections |= query_facts(q)->match.sections;
	look_load(w, sh, row, &all, &l);
	if (query_order_wants(o, &hub_query_ops, &l.row, &w->scratch) &&
	    query_order_take(o, 0, &hub_query_ops, &l.row, &w->scratch, NULL) != ERR_OK)
		world_fail("too many rows to put in order");
	look_close(&l);
}

/* Appended to out; returns the number of rows. */
static uint64_t
by_documents(struct world *w, const struct query *q, struct buf *out)
{
	const struct query_facts *f = query_facts(q);
	struct query_groups *g = f->aggregate ? query_groups_new(q, SIZE_MAX / 4) : NULL;
	struct query_order *o = f->ordered ? query_order_new(q, UINT32_MAX, SIZE_MAX / 4) : NULL;
	uint64_t n = 0;

	for (uint32_t s = 0; s < SHARDS; s++) {
		struct shard *sh = contact_shard(w, s);

		for (uint32_t row = 0; row < shard_rows(sh); row++) {
			if ((g == NULL && n == f->top && o == NULL) || !look_matches(w, q, sh, row))
				continue;
			n++;
			if (g != NULL)
				group_row(w, q, sh, row, g);
			else if (o != NULL)
				order_row(w, q, sh, row, o);
			else
				add_row(w, q, sh, row, out);
		}
	}
	if (g != NULL) {
		query_groups_finish(g);
		n = query_groups_count(g);
		query_groups_write(g, 0, UINT32_MAX, out);
	} else if (o != NULL) {
		query_order_finish(o);
		n = query_order_count(o);
		query_order_write(o, 0, UINT32_MAX, SIZE_MAX, out);
	}
	query_groups_free(g);
	query_order_free(o);
	return n;
}

/* ---- pages ---- */

static void question_page(struct question *k);

static void
question_free(struct question *k)
{
	buf_fini(&k->text);
	buf_fini(&k->rows);
	free(k);
}

static bool
nothing_moved(const struct question *k)
{
	const struct world *w = k->w;

	return k->still && w->sent == k->sent && w->nwork + w->nparcel == 0 &&
	    world_position(w) == k->position;
}

/* Sums of several workers, or owners, may differ in their last bits. */
static bool
exact(const struct question *k)
{
	struct str text = buf_view(&k->text);

	return (k->w->o.nworker == 1 && k->w->o.walks == NULL) ||
	    (memmem(text.p, text.n, "SUM(", 4) == NULL &&
	        memmem(text.p, text.n, "AVG(", 4) == NULL);
}

static void
compare(struct question *k, const struct query *q)
{
	enum query_collection from = query_facts(q)->collection;
	struct buf want = { 0 };
	uint64_t n;

	if (from != QUERY_DEVICES && from != QUERY_MODULES)
		return;
	n = by_documents(k->w, q, &want);
	if (k->count ? k->bookmark.delivered != n && query_facts(q)->top == UINT64_MAX
	             : !str_eq(buf_view(&want), buf_view(&k->rows)))
		world_fail(STR_FMT "\nis answered with (%llu rows)\n  " STR_FMT
		                   "\nby documents it is (%llu rows)\n  " STR_FMT,
		    STR_ARG(buf_view(&k->text)), (unsigned long long)k->bookmark.delivered,
		    STR_ARG(buf_view(&k->rows)), (unsigned long long)n, STR_ARG(buf_view(&want)));
	buf_fini(&want);
	seen.answers++;
}

static void
check_fault(const struct fault *f)
{
	static const enum fault_code fine[] = { F_QueryTooLarge, F_QueryTooLong,
		F_ThrottlingException, F_ServiceUnavailable };

	for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++)
		if (f->code == fine[i])
			return;
	world_fail("a walk ends with %s: %s", fault_name(f->code), f->text);
}

static void
question_back(struct inquiry *a)
{
	struct question *k = a->owner;
	bool failed = a->fault.code != F_NONE, more = !failed && a->more && !k->count;

	k->w->nwalk--;
	k->w->nhome++;
	if (k->w->dead) {
		ask_free(a);
		question_free(k);
		return;
	}
	seen.pages++;
	if (failed)
		check_fault(&a->fault);
	if (a->nrow > k->limit || (more && a->nrow == 0))
		world_fail("a page of %u rows", a->nrow);
	if (k->rows.n > 0 && a->nrow > 0)
		buf_putc(&k->rows, ',');
	buf_str(&k->rows, buf_view(&a->rows));
	k->bookmark = a->bookmark;
	if (++k->npage == PAGES_SMALL)
		k->limit = QUERY_PAGE_MAX;
	k->still = !failed && nothing_moved(k);
	if (!more && k->still && exact(k))
		compare(k, a->query);
	ask_free(a);
	if (more && k->w->nwalk < UNDER_WAY_MAX && !contact_stopping(k->w))
		question_page(k);
	else
		question_free(k);
}

static void
question_page(struct question *k)
{
	struct inquiry *a = ask_new(ASK_QUERY, k, question_back);
	const struct query_options options = { .extensions = true };
	struct fault f = { .text = "" };

	if (query_parse(buf_view(&k->text), &options, &a->query, &f) != ERR_OK)
		world_fail(STR_FMT ": %s", STR_ARG(buf_view(&k->text)), f.text);
	a->limit = k->limit;
	a->bookmark = k->bookmark;
	a->count = k->count;
	a->explain = rnd_below(&k->w->rnd, 8) == 0;
	k->w->nwalk++;
	ask_send(k->w, a);
}

/* Most were asked before, so that columns are used which others have made. */
static void
question_text(struct world *w, struct buf *out)
{
	unsigned i = rnd_below(&w->rnd, QUESTIONS_MAX);
	struct buf *kept = &w->questions[i];

	if (kept->n == 0 || rnd_below(&w->rnd, 4) == 0) {
		kept->n = 0;
		draw_query(&w->rnd, kept);
	}
	buf_str(out, buf_view(kept));
}

void
question_ask(struct world *w)
{
	static const uint32_t limits[] = { 1, 7, 50, 1000, 1000 };
	struct question *k;

	if (w->nwalk > UNDER_WAY_MAX / 2)
		return;
	k = xcalloc(1, sizeof(*k));
	k->w = w;
	question_text(w, &k->text);
	k->limit = limits[rnd_below(&w->rnd, 5)];
	k->count = rnd_below(&w->rnd, 5) == 0;
	k->still = true;
	k->position = world_position(w);
	k->sent = w->sent;
	question_page(k);
}

/* ---- other walks ---- */

static void
other_back(struct inquiry *a)
{
	struct world *w = a->owner;

	w->nwalk--;
	w->nhome++;
	if (a->fault.code != F_NONE && !w->dead)
		check_fault(&a->fault);
	ask_free(a);
}

void
question_other(struct world *w)
{
	static const enum ask_kind kinds[] = { ASK_IDENTITIES, ASK_COUNTS, ASK_COLUMNS, ASK_JOBS,
		ASK_DRY_RUN };
	struct configurations *set = NULL;
	struct buf record = { 0 };
	struct inquiry *a;

	if (w->nwalk > UNDER_WAY_MAX / 2)
		return;
	a = ask_new(kinds[rnd_below(&w->rnd, 5)], w, other_back);
	a->limit = 100;
	if (a->kind == ASK_DRY_RUN) {
		set = configurations_stored(contact_shard(w, 0));
		if (set != NULL && set->n > 0)
			buf_str(&record, set->v[rnd_below(&w->rnd, set->n)]->record);
		if (record.n == 0)
			a->kind = ASK_COUNTS;
	}
	a->record = buf_view(&record);
	a->set = set;
	w->nwalk++;
	ask_send(w, a);
	buf_fini(&record);
	configurations_free(set);
}
