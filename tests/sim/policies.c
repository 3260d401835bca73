/*
 * What is known of the shared access policies, and whether requests were judged by it. A row is one state of a policy, and when
 * it may have been in force: from when the change was asked for, until the change that ended it was acknowledged. So
 *
 *   what is allowed  was allowed by one of the rows between its question and its answer
 *   what is refused  was not allowed by all of them
 *   what the disk has after a crash is what was acknowledged, or what was under way (a change that could not be synced: either)
 *
 * Rights are looked at in the plain way; what each request needs is in requests.c.
 */
#include "policies.h"

#include "front.h"
#include "world.h"

#include <stdio.h>
#include <stdlib.h>

#define ROWS_MAX     4096u
#define ROWS_KEPT    64u
#define POLICIES_MAX 12u
#define STILL        UINT64_MAX
#define ANY          "*" /* for a key that nobody was told */

struct row {
	char name[POLICY_TEXT];
	unsigned rights;
	char keys[2][KEY_TEXT]; /* empty: not known */
	uint64_t from, until;
	bool asked;    /* for a new key, and not yet answered */
	unsigned side; /* which one */
	char others[2]
	           [KEY_TEXT]; /* what the disk may have there all the same; empty: nothing else */
	uint64_t unsynced;     /* when it was said that it could not be synced; 0: it was not */
};

static struct {
	struct row v[ROWS_MAX];
	uint32_t n;
	uint64_t now; /* moments: each question, each answer */
} book;

/* ---- rows ---- */

static struct row *
row_new(const struct row *of)
{
	assert(book.n < ROWS_MAX);
	book.v[book.n] = *of;
	return &book.v[book.n++];
}

/* The one in force; with asked: the one that may be. NULL: there is none. */
static struct row *
row_of(const char *name, bool asked)
{
	for (uint32_t i = book.n; i-- > 0;)
		if (book.v[i].until == STILL && book.v[i].asked == asked &&
		    strcmp(book.v[i].name, name) == 0)
			return &book.v[i];
	return NULL;
}

static struct row
row_read(const struct policy *p)
{
	struct row r = { .rights = p->rights, .from = book.now, .until = STILL };

	snprintf(r.name, sizeof(r.name), STR_FMT, STR_ARG(p->name));
	snprintf(r.keys[0], sizeof(r.keys[0]), STR_FMT, STR_ARG(p->primary));
	snprintf(r.keys[1], sizeof(r.keys[1]), STR_FMT, STR_ARG(p->secondary));
	return r;
}

/* ---- requests ---- */

static bool
rights_are_enough(unsigned have, unsigned need, bool all)
{
	if (have & RIGHT_REGISTRY_WRITE)
		have |= RIGHT_REGISTRY_READ;
	return all ? (have & need) == need : (have & need) != 0;
}

static bool
row_allows(const struct row *r, const struct pass *p)
{
	return (strcmp(r->keys[0], p->key) == 0 || strcmp(r->keys[1], p->key) == 0) &&
	    rights_are_enough(r->rights, p->need, p->all);
}

/* Mostly one with the rights and in force. Of one that has ended, or of another policy than the token names, nothing good is to
 * come. */
void
policies_pass(struct world *w, struct pass *p)
{
	const struct row *r = NULL, *of;

	for (uint32_t tries = 0; tries < 200; tries++) {
		r = &book.v[rnd_below(&w->rnd, book.n)];
		if (r->until == STILL ? rights_are_enough(r->rights, p->need, p->all) ||
		            rnd_below(&w->rnd, 8) == 0
		                      : rnd_below(&w->rnd, 50) == 0)
			break;
	}
	of = rnd_below(&w->rnd, 30) == 0 ? &book.v[rnd_below(&w->rnd, book.n)] : r;
	snprintf(p->name, sizeof(p->name), "%s", r->name);
	snprintf(p->key, sizeof(p->key), "%s", of->keys[rnd_below(&w->rnd, 2)]);
	if (p->key[0] == '\0')
		snprintf(p->key, sizeof(p->key), "%s", SIM_KEY); /* a guess */
}

void
policies_asked(struct pass *p)
{
	p->asked = ++book.now;
}

void
policies_judged(const struct pass *p, bool allowed)
{
	bool by_any = false, by_all = true, known = false;

	book.now++;
	for (uint32_t i = 0; i < book.n; i++) {
		const struct row *r = &book.v[i];

		if (strcmp(r->name, p->name) != 0 || r->until < p->asked)
			continue;
		known = true;
		by_any |= row_allows(r, p);
		by_all &= row_allows(r, p);
	}
	if (allowed ? !by_any : known && by_all)
		world_fail(
		    "%s is %s what needs rights %u, by no state of the policy since it asked",
		    p->name, allowed ? "allowed" : "refused", p->need);
	seen.allowed += allowed;
	seen.denied += !allowed;
}

bool
policies_hold(const struct pass *p)
{
	for (uint32_t i = 0; i < book.n; i++)
		if (book.v[i].until == STILL && strcmp(book.v[i].name, p->name) == 0 &&
		    row_allows(&book.v[i], p))
			return true;
	return false;
}

/* ---- new keys ---- */

bool
policies_rotates(struct world *w, struct rotation *r)
{
	const struct row *is = &book.v[rnd_below(&w->rnd, book.n)];
	struct row next;

	is = row_of(is->name, false);
	r->side = rnd_below(&w->rnd, 2);
	if (is == NULL || row_of(is->name, true) != NULL || is->keys[!r->side][0] == '\0')
		return false;
	snprintf(r->name, sizeof(r->name), "%s", is->name);
	next = *is;
	next.from = ++book.now;
	next.asked = true;
	next.side = r->side;
	/* With an older one still possible, the disk may have that, or the one of now: a sync of another policy's in between writes it. */
	snprintf(next.others[r->side], KEY_TEXT, "%s",
	    next.others[r->side][0] == '\0' && is->keys[r->side][0] != '\0' ? is->keys[r->side]
	                                                                    : ANY);
	next.keys[r->side][0] = '\0';
	row_new(&next);
	return true;
}

void
policies_kept(const struct rotation *r)
{
	struct row *asked = row_of(r->name, true);

	if (asked != NULL) {
		asked->until = book.now; /* it never was in force */
		asked->asked = false;
	}
}

static void
put_in_force(const struct rotation *r, const char *key)
{
	struct row *asked = row_of(r->name, true), *was = row_of(r->name, false);

	if (asked == NULL || was == NULL)
		world_fail("nobody has asked for a key of %s", r->name);
	was->until = ++book.now;
	asked->asked = false;
	if (key != NULL)
		snprintf(asked->keys[asked->side], KEY_TEXT, "%s", key);
	else
		asked->unsynced = book.now;
}

/* The others that could not be synced before are on the disk now, too: they are in the same file. (An answer may come later than its sync.) */
static void
all_is_synced(uint64_t before)
{
	for (uint32_t i = 0; i < book.n; i++)
		if (book.v[i].until == STILL && !book.v[i].asked && book.v[i].unsynced < before)
			book.v[i].others[0][0] = book.v[i].others[1][0] = '\0';
}

void
policies_rotated(const struct rotation *r, struct doc answer)
{
	struct str key =
	    doc_text(doc_get(answer, str_of(r->side == 0 ? "primaryKey" : "secondaryKey")));
	char text[KEY_TEXT];
	const struct row *asked;
	uint64_t since;

	snprintf(text, sizeof(text), STR_FMT, STR_ARG(key));
	if (!key_valid(key))
		world_fail("the new key of %s is '%s'", r->name, text);
	asked = row_of(r->name, true);
	since = asked != NULL ? asked->from : 0;
	put_in_force(r, text);
	all_is_synced(since);
	seen.rotated++;
}

void
policies_unsynced(const struct rotation *r)
{
	put_in_force(r, NULL);
	seen.unsynced++;
}

/* ---- what is shown ---- */

static bool
row_shows(const struct row *r, const struct row *is)
{
	for (unsigned side = 0; side < 2; side++) {
		const char *key = r->keys[side];

		if (key[0] != '\0' ? strcmp(key, is->keys[side]) != 0
		                   : !r->asked && strcmp(r->others[side], is->keys[side]) == 0)
			return false;
	}
	return r->rights == is->rights;
}

void
policies_shown(const struct pass *p, const struct policy *policy)
{
	struct row is = row_read(policy), *r;
	bool by_any = false;

	for (uint32_t i = 0; i < book.n; i++)
		by_any |= strcmp(book.v[i].name, is.name) == 0 && book.v[i].until >= p->asked &&
		    row_shows(&book.v[i], &is);
	if (!by_any)
		world_fail("%s is shown with rights %u and keys %s, %s: nobody was told so",
		    is.name, is.rights, is.keys[0], is.keys[1]);
	r = row_of(is.name, false);
	if (r != NULL && r->from < p->asked && row_of(is.name, true) == NULL)
		memcpy(r->keys, is.keys, sizeof(r->keys));
	seen.shown++;
}

/* ---- what the file has ---- */

static bool
key_may_be(const struct row *r, unsigned side, const char *key)
{
	return r->keys[side][0] == '\0' || strcmp(r->keys[side], key) == 0 ||
	    strcmp(r->others[side], ANY) == 0 || strcmp(r->others[side], key) == 0;
}

static bool
may_be(const struct row *r, const struct row *is)
{
	return r != NULL && r->rights == is->rights && key_may_be(r, 0, is->keys[0]) &&
	    key_may_be(r, 1, is->keys[1]);
}

static void
check_file(const struct policies *p)
{
	for (uint32_t i = 0; i < book.n; i++)
		if (book.v[i].until == STILL &&
		    policy_find(p->v, p->n, str_of(book.v[i].name)) == NULL)
			world_fail("%s is lost", book.v[i].name);
	for (size_t i = 0; i < p->n; i++) {
		struct row is = row_read(&p->v[i]);

		if (!may_be(row_of(is.name, false), &is) && !may_be(row_of(is.name, true), &is))
			world_fail("%s has rights %u and keys %s, %s: nobody was told so", is.name,
			    is.rights, is.keys[0], is.keys[1]);
	}
}

/* What could not be synced is so after a stop, too. */
static void
take_file(const struct policies *p)
{
	uint64_t then = ++book.now;
	uint32_t nbefore = book.n;

	if (!front_unsynced())
		all_is_synced(UINT64_MAX);
	book.now++;
	for (size_t i = 0; i < p->n; i++) {
		struct row is = row_read(&p->v[i]), *was = row_of(is.name, false);

		if (was != NULL)
			memcpy(is.others, was->others, sizeof(is.others));
		row_new(&is)->from = book.now;
	}
	for (uint32_t i = 0; i < nbefore; i++) {
		if (book.v[i].until == STILL)
			book.v[i].until = then;
		seen.torn += book.v[i].asked;
		book.v[i].asked = false;
	}
}

/* ---- by hand, while no hub runs ---- */

static struct str
some_key(struct world *w, struct policies *p)
{
	unsigned char bytes[KEY_BYTES_MAX];
	size_t n = KEY_BYTES_MIN + rnd_below(&w->rnd, 24);
	struct buf b = { 0 };
	struct str key;

	for (size_t i = 0; i < n; i++)
		bytes[i] = (unsigned char)rnd_below(&w->rnd, 256);
	base64_encode(&b, bytes, n);
	key = arena_str(&p->arena, buf_view(&b));
	buf_fini(&b);
	return key;
}

static struct policy *
some_policy(struct world *w, struct policies *p)
{
	return &p->v[rnd_below(&w->rnd, (uint32_t)p->n)];
}

static void
edit_rights(struct world *w, struct policies *p)
{
	some_policy(w, p)->rights = 1 + rnd_below(&w->rnd, RIGHTS_ALL);
}

static void
edit_key(struct world *w, struct policies *p)
{
	some_policy(w, p)->primary = some_key(w, p);
}

static void
edit_new(struct world *w, struct policies *p)
{
	char name[POLICY_TEXT];

	snprintf(name, sizeof(name), "back%u", rnd_below(&w->rnd, 6));
	if (p->n == POLICIES_MAX || policy_find(p->v, p->n, str_of(name)) != NULL)
		return;
	p->v = xrealloc(p->v, (p->n + 1) * sizeof(*p->v));
	p->v[p->n++] = (struct policy){ arena_str(&p->arena, str_of(name)),
		1 + rnd_below(&w->rnd, RIGHTS_ALL), some_key(w, p), some_key(w, p) };
}

static void
edit_delete(struct world *w, struct policies *p)
{
	if (p->n > 1)
		*some_policy(w, p) = p->v[p->n - 1], p->n--;
}

/* Somebody has all rights: else nobody could do what needs them. */
static void
edit_owner(struct policies *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->v[i].rights == RIGHTS_ALL)
			return;
	p->v[0].rights = RIGHTS_ALL;
}

static void
edit(struct world *w, struct policies *p)
{
	static void (*const edits[])(struct world * w, struct policies * p) = { edit_rights,
		edit_rights, edit_key, edit_new, edit_new, edit_delete };

	for (uint32_t n = 1 + rnd_below(&w->rnd, 3); n > 0; n--)
		edits[rnd_below(&w->rnd, sizeof(edits) / sizeof(edits[0]))](w, p);
	edit_owner(p);
	front_policies_write(p);
	seen.edited++;
}

void
policies_begin(struct world *w)
{
	struct policies *p = front_policies();

	book.n = 0;
	book.now = 1;
	take_file(p);
	(void)w;
	policies_free(p);
}

/* Few of those that have ended are remembered. */
static void
forget(void)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < book.n; i++)
		if (book.v[i].until == STILL || book.n - i < ROWS_KEPT)
			book.v[n++] = book.v[i];
	book.n = n;
}

void
policies_between(struct world *w)
{
	struct policies *p = front_policies();

	forget();
	check_file(p);
	if (rnd_below(&w->rnd, 2))
		edit(w, p);
	take_file(p);
	policies_free(p);
}
