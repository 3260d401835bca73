/*
 * What devices know of their desired properties: a whole GET, and then each notification is of the next version, in order, with
 * none left out (D-45, T-48). With nothing under way that is what the twin shows.
 */
#include "world.h"

#include <stdlib.h>

struct mirror {
	bool live; /* it has been told, and is told of changes */
	uint64_t version;
	uint32_t own;
};

static struct mirror *mirrors; /* by link */

void
mirror_new(void)
{
	mirrors = xcalloc(DEVICES_MAX * 2, sizeof(*mirrors));
}

void
mirror_free(void)
{
	free(mirrors);
}

void
mirror_off(uint32_t link)
{
	mirrors[link].live = false;
}

void
mirror_all_off(void)
{
	for (uint32_t i = 0; i < DEVICES_MAX * 2; i++)
		mirror_off(i);
}

static void
take_own(struct mirror *m, struct doc desired)
{
	struct doc own = doc_getc(desired, "own");

	if (doc_defined(own))
		m->own = doc_kind(own) == DOC_INT ? (uint32_t)doc_int(own) : 0;
}

void
mirror_got(struct world *w, uint32_t link, struct str json)
{
	struct mirror *m = &mirrors[link];
	struct doc desired = doc_getc(world_doc(w, json), "desired");

	*m = (struct mirror){ .live = true,
		.version = (uint64_t)doc_int(doc_getc(desired, "$version")) };
	take_own(m, desired);
}

void
mirror_told(struct world *w, uint32_t link, uint64_t version, struct str json)
{
	struct mirror *m = &mirrors[link];

	if (!m->live)
		return;
	if (version != m->version + 1)
		world_fail("%s%s knows version %llu and is told of %llu", w->ids[link / 2],
		    link % 2 ? "/m0" : "", (unsigned long long)m->version,
		    (unsigned long long)version);
	m->version = version;
	take_own(m, world_doc(w, json));
	seen.told++;
}

void
mirror_check(const struct world *w, uint32_t link, uint64_t version, uint32_t own)
{
	const struct mirror *m = &mirrors[link];

	if (m->live && (m->version != version || m->own != own))
		world_fail("%s%s knows version %llu and %u, the twin is at %llu and %u",
		    w->ids[link / 2], link % 2 ? "/m0" : "", (unsigned long long)m->version, m->own,
		    (unsigned long long)version, own);
}
