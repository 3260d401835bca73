/* Dry runs of configurations: a walk that evaluates each device as if the configuration were there. */
#include "worker/priv.h"

/* A device that would change goes into the page. The first page goes on counting beyond its end; the others stop there. */
static bool
deliver(struct walk *k, struct str entry)
{
	if (k->page_over)
		return true;
	if (walk_page_full(k)) {
		k->page_over = true;
		k->page_end = k->place;
		k->more = !k->dry_counts;
		return k->dry_counts;
	}
	walk_row_begins(k);
	buf_str(&k->json, entry);
	walk_row_ends(k);
	return true;
}

bool
dryrun_visit(struct worker *w, struct walk *k, struct shard *sh, uint32_t row)
{
	struct buf entry = { 0 };
	bool go_on = true;
	unsigned records;
	uint32_t other;

	while ((other = dryrun_row(k->dry, sh, row, &records)) != TABLE_NONE)
		if (worker_load_row(w, sh, other, records, &k->fault) != ERR_OK)
			return false;
	if (dryrun_device(k->dry, sh, row, w->env.now_us, &entry))
		go_on = deliver(k, buf_view(&entry));
	buf_fini(&entry);
	return go_on;
}
