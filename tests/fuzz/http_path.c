/* Any bytes as the path of a request: within the bounds, and the same wherever it is encoded as a whole. */
#include "fuzz.h"
#include "http/priv.h"

static void
look(struct request *r, struct str path)
{
	static const enum http_method methods[] = { HTTP_GET, HTTP_PUT, HTTP_POST };

	*r = (struct request){ .sent_path = path };
	r->path = path_plain(&r->arena, path);
	for (unsigned i = 0; i < 3 && r->found != PATH_ROUTE; i++) {
		r->method = methods[i];
		r->found = path_find(r);
		require((r->found == PATH_ROUTE) == (r->route != NULL));
	}
	require(r->nsegment <= SEGMENTS_MAX);
	for (unsigned i = 0; i < r->nsegment; i++)
		require(r->segment[i].n <= SEGMENT_MAX);
	if (r->found == PATH_ROUTE) {
		path_ids_good(r);
		path_module(r);
	}
}

/* A path without encoded slashes, and with nothing but such. */
static void
both_ways(struct str plain)
{
	struct request r, whole;
	struct buf encoded = { 0 };

	for (size_t i = 0; i < plain.n; i++)
		if (plain.p[i] == '/')
			buf_str(&encoded, STR("%2f"));
		else
			buf_putc(&encoded, plain.p[i]);
	look(&r, plain);
	look(&whole, buf_view(&encoded));
	require(str_eq(r.path, plain) && str_eq(whole.path, plain));
	if (r.found == PATH_ROUTE) {
		require(whole.route == r.route && whole.nsegment == r.nsegment);
		for (unsigned i = 0; i < r.nsegment; i++)
			require(str_eq(whole.segment[i], r.segment[i]));
	}
	arena_fini(&r.arena);
	arena_fini(&whole.arena);
	buf_fini(&encoded);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct request r;

	look(&r, (struct str){ (const char *)data, size });
	if (r.path.n > 0 && r.path.p[0] == '/')
		both_ways(r.path);
	arena_fini(&r.arena);
	return 0;
}
