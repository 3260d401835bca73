/*
 * Paths: cut into segments, and the route that they lead to.
 *
 * Clients differ in what they encode: some an id, some the whole path with its slashes (service-rest.md 1.1). So / and %2F
 * separate segments alike, in the raw path, and then each segment is decoded once: %252F is a part of an id. Where nothing
 * is at such a path, an encoded slash may have been meant as a part of an id; no id has one, which is the answer then.
 */
#include "http/priv.h"

static bool
is_encoded_slash(const char *p, const char *end)
{
	return end - p >= 3 && p[0] == '%' && p[1] == '2' && (p[2] == 'F' || p[2] == 'f');
}

struct str
path_plain(struct arena *a, struct str raw)
{
	const char *p = raw.p, *end = str_end(raw);
	char *out = arena_alloc(a, raw.n + 1);
	size_t n = 0;

	if (raw.n > 0 && *p == '/' &&
	    is_encoded_slash(p + 1, end)) /* the first slash of the path, and then the path */
		p++;
	while (p < end) {
		bool slash = is_encoded_slash(p, end);

		out[n++] = slash ? '/' : *p;
		p += slash ? 3 : 1;
	}
	return (struct str){ out, n };
}

/* A trailing slash makes no segment. false: too many, or one is too long. */
static bool
path_split(struct request *r, struct str path)
{
	struct str rest = path.n > 0 && path.p[0] == '/' ? str_sub(path, 1) : path, part;

	r->nsegment = 0;
	while (rest.n > 0) {
		str_cut(rest, '/', &part, &rest);
		if (r->nsegment == SEGMENTS_MAX || part.n > SEGMENT_MAX)
			return false;
		r->segment[r->nsegment++] = request_decoded(r, part);
	}
	return true;
}

static bool
path_matches(const struct request *r, const char *pattern)
{
	struct str rest = str_of(pattern), part;

	for (unsigned i = 0; i < r->nsegment; i++) {
		if (rest.n == 0)
			return false;
		str_cut(rest, '/', &part, &rest);
		if (part.p[0] != '{' && !str_ieq(part, r->segment[i]))
			return false;
	}
	return rest.n == 0;
}

/* How far the path leads: nowhere, to a path that lacks the method, to r->route. */
static enum path_found
find(struct request *r, struct str path)
{
	enum path_found found = PATH_UNKNOWN;

	r->route = NULL;
	if (!path_split(r, path))
		return PATH_UNKNOWN;
	for (size_t i = 0; i < nroutes; i++) {
		if (!path_matches(r, routes[i].path))
			continue;
		if (routes[i].method == r->method) {
			r->route = &routes[i];
			return PATH_ROUTE;
		}
		found = PATH_OTHER_METHOD;
	}
	return found;
}

enum path_found
path_find(struct request *r)
{
	enum path_found found = find(r, r->path);

	return found != PATH_UNKNOWN || r->path.n == r->sent_path.n ? found : find(r, r->sent_path);
}

struct str
path_module(const struct request *r)
{
	return r->nsegment > 3 && str_ieq(r->segment[2], STR("modules")) ? r->segment[3] : STR_NONE;
}

bool
path_ids_good(const struct request *r)
{
	struct str rest = str_of(r->route->path), part;

	for (unsigned i = 0; i < r->nsegment; i++) {
		str_cut(rest, '/', &part, &rest);
		if ((str_eq(part, STR("{device}")) || str_eq(part, STR("{module}")) ||
		        str_eq(part, STR("{job}"))) &&
		    !id_valid(r->segment[i]))
			return false;
	}
	return true;
}
