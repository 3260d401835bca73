/* Which events a reader wants (E-22). */
#include "feed/priv.h"

enum told_source
feed_source(struct str name)
{
	enum told_source s = 0;

	while (s < TOLD_SOURCES && !str_ieq(name, told_source_names[s]))
		s++;
	return s;
}

bool
filter_takes(
    const struct feed_filter *f, struct judge *j, const struct event *e, enum told_source source)
{
	if (source == TOLD_NOBODY || (f->sources != 0 && (f->sources & 1u << source) == 0))
		return false;
	if (f->device.n != 0 && !str_eq(f->device, e->device))
		return false;
	if (f->module.n != 0 && !str_eq(f->module, e->module))
		return false;
	if (f->npath != 0 && (source != TOLD_TWINS || !told_touches(e, f->path, f->npath)))
		return false;
	return f->condition == NULL || judge_matches(j, f->condition);
}

/* Its texts into one buffer of its own. */
void
filter_copy(struct feed_filter *f, struct buf *text)
{
	struct str *all[2 + FEED_PATH_STEPS];
	unsigned n = 0;
	size_t at = 0;

	all[n++] = &f->device;
	all[n++] = &f->module;
	for (unsigned i = 0; i < f->npath; i++)
		all[n++] = &f->path[i];
	for (unsigned i = 0; i < n; i++)
		buf_str(text, *all[i]);
	for (unsigned i = 0; i < n; i++) {
		struct str own = { text->p + at, all[i]->n };

		at += own.n;
		*all[i] = own.n == 0 ? STR_NONE : own;
	}
}
