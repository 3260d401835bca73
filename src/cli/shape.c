/*
 * Is an answer a hub's? Whatever serves HTTPS answers 200 to this or that, and what it says must not pass for "done" or "nothing there": what is
 * read here has a shape, an array or an object with a member that is always in it.
 */
#include "cli/priv.h"

#define ARRAY  "["
#define OBJECT "{"

static const struct shape {
	const char *path; /* * is any one segment; the first row that fits counts */
	const char *has;  /* ARRAY, OBJECT, or a member of an object */
} shapes[] = {
	{ "/readyz", "status" },
	{ "/devices", "isSuccessful" },
	{ "/devices/query?explain=true", "engineMs" },
	{ "/devices/query", ARRAY },
	{ "/devices/keys/regenerate", OBJECT },
	{ "/devices/*", "deviceId" },
	{ "/devices/*/modules", ARRAY },
	{ "/devices/*/modules/*", "moduleId" },
	{ "/devices/*/connection", "connected" },
	{ "/devices/*/modules/*/connection", "connected" },
	{ "/devices/*/commands", "totalMessagesPurged" },
	{ "/connections", ARRAY },
	{ "/twins/*", "deviceId" },
	{ "/twins/*/modules/*", "moduleId" },
	{ "/twins/*/methods", "status" },
	{ "/twins/*/modules/*/methods", "status" },
	{ "/twins/*/history", ARRAY },
	{ "/twins/*/modules/*/history", ARRAY },
	{ "/twins/*/convergence", "converged" },
	{ "/twins/*/modules/*/convergence", "converged" },
	{ "/twins/*/configurations", ARRAY },
	{ "/twins/*/modules/*/configurations", ARRAY },
	{ "/configurations", ARRAY },
	{ "/configurations/*", "id" },
	{ "/configurations/*/devices", ARRAY },
	{ "/jobs/v2/query", ARRAY },
	{ "/jobs/v2/*", "jobId" },
	{ "/jobs/v2/*/cancel", "jobId" },
	{ "/admin/policies", ARRAY },
	{ "/admin/policies/*", "primaryKey" },
	{ "/admin/policies/*/rotate", "primaryKey" },
	{ "/admin/import", "failed" },
	{ "/admin/backup", "bytes" },
	{ "/admin/backups", "running" },
	{ "/settings", "retention" },
	{ "/sinks", ARRAY },
	{ "/sinks/*", "id" },
	{ "/routes", ARRAY },
	{ "/routes/*", "id" },
};

static bool
path_fits(struct str path, struct str pattern)
{
	struct str segment, wanted;
	bool more, more_wanted;

	do {
		more = str_cut(path, '/', &segment, &path);
		more_wanted = str_cut(pattern, '/', &wanted, &pattern);
		if (!str_eq(segment, wanted) && !(str_eq(wanted, STR("*")) && segment.n > 0))
			return false;
	} while (more && more_wanted);
	return more == more_wanted;
}

static bool
has(struct doc d, const char *what)
{
	if (strcmp(what, ARRAY) == 0)
		return doc_kind(d) == DOC_ARRAY;
	if (strcmp(what, OBJECT) == 0)
		return doc_kind(d) == DOC_OBJECT;
	return doc_defined(doc_get(d, str_of(what)));
}

bool
answer_fits(const struct ask *ask, struct doc d)
{
	struct str whole = str_of(ask->path), path, parameters;

	if (strstr(ask->path, "dryRun=true") != NULL)
		return has(d, OBJECT);
	str_cut(whole, '?', &path, &parameters);
	if (ask->method == DELETE && !str_ends(path, STR("/commands")))
		return true; /* there is nothing left to be told */
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		if (path_fits(
		        strchr(shapes[i].path, '?') != NULL ? whole : path, str_of(shapes[i].path)))
			return has(d, shapes[i].has);
	return true;
}
