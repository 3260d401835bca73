/*
 * What clients were told, and whether it holds. Each write bears a number of its own ("own") in every section that it names, so
 * what a twin shows names the writes that made it. Answers about one identity come in the order in which they were applied:
 * so the ledger follows them, and knows counters (T-19), etags, numbers.
 *
 *   sent --done--> it holds until another one is done
 *     |---refused--> it never shows; nor does one whose commit failed, once the store is repaired
 *     +---the process has died before its answer--> it shows or not, as the next look at the twin says
 *
 * Where jobs and configurations write too, counters are no less than what clients have made of them.
 */
#include "draw.h"
#include "world.h"

#include <stdio.h>
#include <stdlib.h>

#define MODULES 3 /* the device itself, m0, m1 */

enum sent_state { SENT, DONE, REFUSED, GHOST /* failed, perhaps on the disk */, LOST, MAYBE };

struct sent {
	enum op_kind kind;
	uint32_t twin;
	bool desired; /* a patch that names the section */
	enum sent_state state;
	char tag[32]; /* If-Match; empty: none */
};

struct twin {
	bool exists;
	bool unsure; /* whether it does */
	bool loose;  /* so are counters: writes are lost, or did nobody knows what */
	uint64_t e, desired, reported;
	uint32_t own[SECTION_KINDS];
	char etag[32]; /* empty: not known */
};

static struct {
	struct sent *sent; /* by number, from 1 */
	uint32_t n, room, nghost;
	struct twin *twins;
} ledger;

void
ledger_new(void)
{
	memset(&ledger, 0, sizeof(ledger));
	ledger.twins = xcalloc(DEVICES_MAX * MODULES, sizeof(*ledger.twins));
}

void
ledger_free(void)
{
	free(ledger.sent);
	free(ledger.twins);
}

/* ---- writes go out ---- */

static uint32_t
twin_of(const struct world *w, const char *device, const char *module)
{
	uint32_t i = (uint32_t)((size_t)(device - w->ids[0]) / sizeof(w->ids[0]));

	return i * MODULES + (module[0] == '\0' ? 0 : 1 + (uint32_t)(module[1] - '0'));
}

uint32_t
ledger_note(struct world *w, enum op_kind kind, const char *device, const char *module)
{
	if (ledger.n + 1 >= ledger.room) {
		ledger.room = ledger.room ? ledger.room * 2 : 256;
		ledger.sent = xrealloc(ledger.sent, ledger.room * sizeof(*ledger.sent));
	}
	ledger.sent[++ledger.n] = (struct sent){ .kind = kind, .twin = twin_of(w, device, module) };
	return ledger.n;
}

void
ledger_desired(uint32_t number)
{
	ledger.sent[number].desired = true;
}

struct str
ledger_tag(uint32_t number)
{
	struct sent *s = &ledger.sent[number];

	memcpy(s->tag, ledger.twins[s->twin].etag, sizeof(s->tag));
	return str_of(s->tag);
}

/* ---- looks at twins ---- */

static void
wrong(const struct world *w, uint32_t twin, const char *what, uint64_t is, uint64_t want)
{
	world_fail("%s/m%d: %s is %llu, by what clients were told it is %llu",
	    w->ids[twin / MODULES], (int)(twin % MODULES) - 1, what, (unsigned long long)is,
	    (unsigned long long)want);
}

static void
check_counter(
    const struct world *w, uint32_t twin, const char *what, uint64_t is, uint64_t want, bool exact)
{
	if (!ledger.twins[twin].loose && (exact ? is != want : is < want))
		wrong(w, twin, what, is, want);
}

static void
check_own(const struct world *w, uint32_t twin, enum section_kind kind, struct doc section)
{
	static const char *const names[] = { "tags.own", "desired.own", "reported.own" };
	struct twin *t = &ledger.twins[twin];
	struct doc v = doc_getc(section, "own");
	uint32_t own = doc_defined(v) ? (uint32_t)doc_int(v) : 0;
	const struct sent *s = own > 0 && own <= ledger.n ? &ledger.sent[own] : NULL;
	bool may = s != NULL && s->twin == twin && (s->state == LOST || s->state == MAYBE);
	/* a job may have brought a former one back, or the time before the first */
	bool back = w->restores && kind != SECTION_REPORTED &&
	    (own == 0 || (s != NULL && s->twin == twin && (may || s->state == DONE)));

	if (own != t->own[kind] && !back && !(t->loose && may) && !(t->unsure && own == 0))
		wrong(w, twin, names[kind], own, t->own[kind]);
	t->own[kind] = own;
}

static uint64_t
version_of(struct doc section)
{
	return (uint64_t)doc_int(doc_getc(section, "$version"));
}

static void
check_twin(struct world *w, uint32_t twin, struct str json)
{
	struct twin *t = &ledger.twins[twin];
	struct doc_parsed info;
	struct doc d, properties, desired, reported;
	uint64_t e;

	w->doc.n = 0;
	if (doc_parse(w->parser, json, &w->doc, &info, NULL) != ERR_OK)
		world_fail("no JSON: " STR_FMT, STR_ARG(json));
	d = doc_of(buf_view(&w->doc));
	properties = doc_getc(d, "properties");
	desired = doc_getc(properties, "desired");
	reported = doc_getc(properties, "reported");
	e = (uint64_t)doc_int(doc_getc(d, "version")) - version_of(reported);
	check_counter(w, twin, "the etag's counter", e, t->e, w->plain);
	check_counter(w, twin, "desired.$version", version_of(desired), t->desired, w->plain);
	check_counter(w, twin, "reported.$version", version_of(reported), t->reported, true);
	check_own(w, twin, SECTION_TAGS, doc_getc(d, "tags"));
	check_own(w, twin, SECTION_DESIRED, desired);
	check_own(w, twin, SECTION_REPORTED, reported);
	t->e = e;
	t->desired = version_of(desired);
	t->reported = version_of(reported);
	snprintf(t->etag, sizeof(t->etag), STR_FMT, STR_ARG(doc_text(doc_getc(d, "etag"))));
	t->loose = t->unsure = false;
	t->exists = true;
	seen.twins++;
}

/* ---- answers ---- */

static void
gone(uint32_t twin)
{
	uint32_t n = twin % MODULES == 0 ? MODULES : 1;

	for (uint32_t i = 0; i < n; i++)
		ledger.twins[twin + i] = (struct twin){ 0 };
}

static void
doubt(uint32_t twin, enum op_kind kind)
{
	bool all =
	    kind == OP_IDENTITY_DELETE || kind == OP_IDENTITY_IMPORT || kind == OP_IDENTITY_PUT;

	for (uint32_t i = 0; i < (all && twin % MODULES == 0 ? MODULES : 1u); i++) {
		ledger.twins[twin + i].loose = true;
		ledger.twins[twin + i].unsure |= all;
		ledger.twins[twin + i].etag[0] = '\0';
	}
}

static void
identity_is_put(struct twin *t)
{
	if (t->exists && !t->unsure)
		return;
	if (t->unsure) {
		t->loose = true;
		return;
	}
	*t = (struct twin){ .exists = true, .e = 1, .desired = 1, .reported = 1 };
}

/* If-Match (T-49): what is done was asked of the twin as it is. */
static void
check_condition(const struct world *w, const struct sent *s, bool done)
{
	const struct twin *t = &ledger.twins[s->twin];
	bool holds = strcmp(s->tag, t->etag) == 0;

	if (s->tag[0] == '\0' || t->etag[0] == '\0' || t->loose || done == holds ||
	    (!done && !w->plain))
		return;
	world_fail("%s: a write with If-Match %s is %s, the etag is %s", w->ids[s->twin / MODULES],
	    s->tag, done ? "done" : "refused", t->etag);
}

static void
is_done(struct world *w, uint32_t number, const struct reply *reply)
{
	struct sent *s = &ledger.sent[number];
	struct twin *t = &ledger.twins[s->twin];

	s->state = DONE;
	switch (s->kind) {
	case OP_IDENTITY_PUT: identity_is_put(t); return;
	case OP_IDENTITY_DELETE: gone(s->twin); return;
	case OP_IDENTITY_IMPORT:
		s->state = MAYBE;
		doubt(s->twin, s->kind);
		return;
	case OP_REPORT:
		t->reported++;
		t->own[SECTION_REPORTED] = number;
		check_counter(w, s->twin, "reported.$version", reply->version, t->reported, true);
		return;
	case OP_TWIN_PATCH:
	case OP_TWIN_REPLACE:
		check_condition(w, s, true);
		t->e++;
		t->own[SECTION_TAGS] = number;
		t->desired += s->desired;
		if (s->desired)
			t->own[SECTION_DESIRED] = number;
		break;
	default: break;
	}
	if (!t->exists && !t->unsure)
		world_fail(
		    "%s is there, and clients were told that it is not", w->ids[s->twin / MODULES]);
	if (reply != NULL)
		check_twin(w, s->twin, buf_view(&reply->body));
	else
		t->etag[0] = '\0';
}

static void
is_refused(struct world *w, struct sent *s, enum fault_code code)
{
	struct twin *t = &ledger.twins[s->twin];

	s->state = REFUSED;
	if (code == F_PreconditionFailed)
		check_condition(w, s, false);
	if (s->kind != OP_TWIN_READ || fault_status(code) != 404)
		return;
	if (t->exists && !t->unsure)
		world_fail("%s/m%d is not found, and nobody has deleted it",
		    w->ids[s->twin / MODULES], (int)(s->twin % MODULES) - 1);
	gone(s->twin);
}

void
ledger_heard(
    struct world *w, uint32_t number, enum fault_code code, const struct reply *reply, bool closed)
{
	struct sent *s = &ledger.sent[number];

	if (number == 0 || w->dead)
		return;
	if (!w->plain && s->twin % MODULES == MODULES - 1)
		return; /* deployments make that module, too */
	if (code == F_ServiceUnavailable) {
		s->state = GHOST;
		ledger.nghost++;
	} else if (code != F_NONE || closed) {
		is_refused(w, s, code);
	} else {
		is_done(w, number, reply);
	}
}

/* ---- what becomes of what was not answered ---- */

/* A commit that succeeds after one that has failed is the repair, or comes behind it. */
void
ledger_landed(const struct world *w, unsigned lane)
{
	for (uint32_t i = 1; ledger.nghost > 0 && i <= ledger.n; i++) {
		struct sent *s = &ledger.sent[i];

		if (s->state != GHOST ||
		    contact_worker_of(w, hub_shard_of(str_of(w->ids[s->twin / MODULES]))) != lane)
			continue;
		s->state = REFUSED;
		ledger.nghost--;
	}
}

void
ledger_crash(void)
{
	for (uint32_t i = 1; i <= ledger.n; i++) {
		struct sent *s = &ledger.sent[i];

		if (s->state != SENT && s->state != GHOST)
			continue;
		s->state = LOST;
		if (s->kind != OP_TWIN_READ)
			doubt(s->twin, s->kind);
	}
	ledger.nghost = 0;
}

void
ledger_shown(const struct world *w, const char *device, uint32_t number)
{
	enum sent_state state = number > 0 && number <= ledger.n ? ledger.sent[number].state : SENT;

	if (state != SENT && ledger.sent[number].twin != twin_of(w, device, ""))
		world_fail("a query shows write %u of %s, which was another's", number, device);
	if (state == SENT || state == REFUSED || state == GHOST)
		world_fail("a query shows write %u of %s, which %s", number, device,
		    state == SENT ? "is not acknowledged" : "was refused or undone");
}

void
ledger_look(struct world *w)
{
	static const char *const modules[] = { "", "m0" };

	for (uint32_t i = 0; i < w->nid * 2; i++)
		world_read(w, w->ids[i / 2], modules[i % 2]);
	world_rest(w);
	for (uint32_t i = 0; i < w->nid * 2; i++) {
		const struct twin *t = &ledger.twins[i / 2 * MODULES + i % 2];

		if (w->plain && t->exists && !t->loose)
			mirror_check(w, i, t->desired, t->own[SECTION_DESIRED]);
	}
}
