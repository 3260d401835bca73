/* Is a record of the log what this program could have written? What is shown and taken back trusts it from there on: see told.h. */
#include "shard/record.h"
#include "shard/told.h"

static bool
patch_sound(struct str bytes)
{
	return doc_valid(bytes, 0, DOC_DEPTH_MAX) && doc_kind(doc_of(bytes)) == DOC_OBJECT;
}

/* A section that was changed has its patch and what was before. */
static bool
change_sound(const struct event *e, enum section_kind kind)
{
	struct str patch = e->fields[EVENT_PATCH_TAGS + kind],
	           was = e->fields[EVENT_WAS_TAGS + kind];

	if (patch.n == 0 && was.n == 0)
		return true;
	return patch.n != 0 && patch_sound(patch) && section_before_check(was) == ERR_OK;
}

static bool
record_sound(const struct event *e, enum event_field field, enum record_kind kind, bool needed)
{
	struct str record = e->fields[field];

	return record.n == 0 ? !needed : record_valid(kind, record);
}

/* Nobody counts so far; JSON readers do not either. */
static bool
numbers_sound(const struct event *e)
{
	for (unsigned i = 0; i < EVENT_NUMBERS; i++)
		if (i != EVENT_GENERATION && e->numbers[i] > (uint64_t)INT64_MAX / 2)
			return false;
	return true;
}

/* Of a device or module, but for what is the hub's own. */
static bool
ids_sound(const struct event *e)
{
	if (e->kind == EVENT_JOB_ENDED || e->kind == EVENT_ADMIN)
		return e->device.n == 0 && e->module.n == 0;
	return id_valid(e->device) && (e->module.n == 0 || id_valid(e->module));
}

/* What stands for itself, and texts. */
static bool
about_sound(const struct event *e)
{
	return (e->kind < EVENT_JOB_ENDED || patch_sound(e->fields[EVENT_ABOUT])) &&
	    utf8_valid(e->fields[EVENT_REASON]) && utf8_valid(e->fields[EVENT_CAUSE]);
}

bool
told_sound(const struct event *e)
{
	bool whole = e->kind == EVENT_CREATED || e->kind == EVENT_DELETED,
	     identity = whole || e->kind == EVENT_IDENTITY_CHANGED;

	return numbers_sound(e) && ids_sound(e) && about_sound(e) && utf8_valid(e->actor_name) &&
	    change_sound(e, SECTION_TAGS) && change_sound(e, SECTION_DESIRED) &&
	    change_sound(e, SECTION_REPORTED) &&
	    record_sound(e, EVENT_IDENTITY, RECORD_IDENTITY, identity) &&
	    record_sound(
	        e, EVENT_WAS_IDENTITY, RECORD_IDENTITY, e->kind == EVENT_IDENTITY_CHANGED) &&
	    record_sound(e, EVENT_WANTED, RECORD_WANTED, whole) &&
	    record_sound(e, EVENT_REPORTED, RECORD_REPORTED, whole);
}
