/* Which queries may be watched (E-51). */
#include "watch/watch.h"

#include "base/refs.h"

struct watch {
	struct refs refs;
	struct query *query;
	struct query_needs needs;
};

/* NULL: it may. */
static const char *
unwatchable(const struct query_facts *f)
{
	/* they move without a commit of their own; a whole document has them as they are when it is shown */
	uint64_t roots = f->match.roots | (f->whole ? 0 : f->output.roots);

	if (f->collection > QUERY_MODULES)
		return "only devices and devices.modules can be watched";
	if (f->aggregate)
		return "a query with DISTINCT, GROUP BY or aggregates cannot be watched: its rows "
		       "are none of a device";
	if (f->ordered)
		return "a query with ORDER BY cannot be watched: changes come in the order of "
		       "commits";
	if (f->top != UINT64_MAX)
		return "a query with TOP cannot be watched: which rows are the first may change "
		       "with every row";
	if (roots & QUERY_ROOT_BIT(QUERY_ROOT_LAST_ACTIVITY_TIME))
		return "lastActivityTime cannot be watched: it moves without a change of the twin";
	if (roots & QUERY_ROOT_BIT(QUERY_ROOT_C2D_COUNT))
		return "cloudToDeviceMessageCount cannot be watched: it moves without a change of "
		       "the twin";
	if (roots & QUERY_ROOT_BIT(QUERY_ROOT_VERSION))
		return "version cannot be watched: $version of desired or reported can";
	return NULL;
}

enum err
watch_compile(struct str text, bool extensions, struct watch **out, struct fault *f)
{
	const struct query_options options = { .extensions = extensions };
	const struct query_facts *facts;
	struct query *q;
	const char *why;
	struct watch *w;
	enum err e;

	if ((e = query_parse(text, &options, &q, f)) != ERR_OK)
		return e;
	facts = query_facts(q);
	if ((why = unwatchable(facts)) != NULL) {
		query_free(q);
		return fault_set(f, F_ArgumentInvalid, "%s", why);
	}
	w = xcalloc(1, sizeof(*w));
	refs_init(&w->refs);
	w->query = q;
	w->needs = (struct query_needs){ facts->match.roots | facts->output.roots,
		facts->match.sections | facts->output.sections };
	*out = w;
	return ERR_OK;
}

struct watch *
watch_ref(const struct watch *w)
{
	struct watch *own = (struct watch *)w; /* the count alone changes */

	refs_take(&own->refs);
	return own;
}

void
watch_unref(struct watch *w)
{
	if (w == NULL || !refs_drop(&w->refs))
		return;
	query_free(w->query);
	free(w);
}

const struct query *
watch_query(const struct watch *w)
{
	return w->query;
}

struct query_needs
watch_needs(const struct watch *w)
{
	return w->needs;
}
