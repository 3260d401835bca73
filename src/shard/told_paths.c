/* Which paths a change of a twin touches (T-98): see told.h. */
#include "shard/told.h"

#include "twin/twin.h"

/* Is something at this path in the patch, or above it: a null or a value that replaces what was below? */
static bool
touches(struct doc patch, const struct str *path, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (doc_kind(patch) != DOC_OBJECT)
			return i != 0;
		patch = doc_get(patch, path[i]);
		if (!doc_defined(patch))
			return false;
	}
	return true;
}

bool
told_touches(const struct event *e, const struct str *path, unsigned n)
{
	static const struct str names[SECTION_KINDS] = { { "tags", 4 }, { "desired", 7 },
		{ "reported", 8 } };
	enum section_kind kind = SECTION_TAGS;

	if (n != 0 && str_eq(path[0], STR("properties"))) {
		path++;
		n--;
		kind = SECTION_DESIRED;
	}
	for (int last = kind == SECTION_TAGS ? SECTION_TAGS : SECTION_REPORTED; (int)kind <= last;
	     kind++) {
		struct str patch = e->fields[EVENT_PATCH_TAGS + kind];

		if (patch.n != 0 &&
		    (n == 0 ||
		        (str_eq(path[0], names[kind]) && touches(doc_of(patch), path + 1, n - 1))))
			return true;
	}
	return false;
}
