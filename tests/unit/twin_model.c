/*
 * Random sections and patches against a naive model: a tree of nodes, merged as the rules read, with times and versions
 * on each node. What is stored must give the model's text, $metadata included, and a notification, applied as a merge
 * patch to what the device had, must give what it should have.
 */
#include "twin_help.h"

#include <inttypes.h>

#define CHAINS 4000 /* sections, each changed STEPS times */
#define STEPS  10

struct node {
	enum doc_kind kind;
	int64_t number;
	int second;
	uint32_t version;
	bool configured; /* by "conf" */
	char key[8];     /* as a member; as an element unused */
	struct node *members[64];
	unsigned n;
};

struct model {
	struct arena arena;
	uint64_t random;
	struct node *root;
	uint32_t version;
	int second;
	bool configured;
	enum section_kind kind;
};

static uint32_t
pick(struct model *m, uint32_t below)
{
	m->random = m->random * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((m->random >> 33) % below);
}

static struct node *
node_new(struct model *m, enum doc_kind kind)
{
	struct node *n = arena_alloc(&m->arena, sizeof(*n));

	n->kind = kind;
	n->second = m->second;
	n->version = m->version;
	n->configured = m->configured;
	return n;
}

static unsigned
find(const struct node *n, const char *key)
{
	unsigned i = 0;

	while (i < n->n && strcmp(n->members[i]->key, key) != 0)
		i++;
	return i;
}

static struct node *
get(const struct node *n, const char *key)
{
	unsigned i = n != NULL && n->kind == DOC_OBJECT ? find(n, key) : 0;

	return n != NULL && n->kind == DOC_OBJECT && i < n->n ? n->members[i] : NULL;
}

static void
put(struct node *n, const char *key, struct node *value)
{
	unsigned i = find(n, key);

	snprintf(value->key, sizeof(value->key), "%s", key);
	n->members[i] = value;
	if (i == n->n)
		n->n++;
}

static void
drop(struct node *n, const char *key)
{
	unsigned i = find(n, key);

	if (i == n->n)
		return;
	for (n->n--; i < n->n; i++)
		n->members[i] = n->members[i + 1];
}

/* ---- random values ---- */

static struct node *
random_value(struct model *m, unsigned depth, bool nulls)
{
	static const enum doc_kind kinds[] = { DOC_NULL, DOC_NULL, DOC_FALSE, DOC_TRUE, DOC_INT,
		DOC_INT, DOC_DOUBLE, DOC_STRING, DOC_ARRAY, DOC_OBJECT, DOC_OBJECT, DOC_OBJECT };
	enum doc_kind kind = kinds[pick(m, sizeof(kinds) / sizeof(kinds[0]))];
	struct node *n;
	unsigned wide, names;
	char key[8];

	if ((kind == DOC_NULL && !nulls) || (kind >= DOC_ARRAY && depth >= 4) || depth == 0)
		kind = depth == 0 ? DOC_OBJECT : DOC_INT;
	n = node_new(m, kind);
	n->number = pick(m, 100000);
	wide = pick(m, 20) == 0 ? 40 : 4;
	names = wide == 40 ? 50 : 6;
	if (kind == DOC_OBJECT) {
		for (unsigned i = pick(m, wide + 1); i > 0; i--) {
			snprintf(key, sizeof(key), "k%u", pick(m, names));
			put(n, key, random_value(m, depth + 1, nulls));
		}
	} else if (kind == DOC_ARRAY) {
		for (unsigned i = pick(m, 4); i > 0; i--)
			n->members[n->n++] = random_value(m, depth + 1, false);
	}
	return n;
}

/* ---- the rules, naively ---- */

/* T-35 to T-40: the merge itself, stamping whatever is named. */
static struct node *
merged(struct model *m, const struct node *old, const struct node *patch)
{
	struct node *n = node_new(m, patch->kind);

	n->number = patch->number;
	if (patch->kind != DOC_OBJECT) {
		n->n = patch->n;
		memcpy(n->members, patch->members, sizeof(n->members));
		return n;
	}
	if (old != NULL && old->kind == DOC_OBJECT) {
		n->n = old->n;
		memcpy(n->members, old->members, sizeof(n->members));
	}
	for (unsigned i = 0; i < patch->n; i++) {
		const char *key = patch->members[i]->key;
		if (patch->members[i]->kind == DOC_NULL)
			drop(n, key);
		else
			put(n, key, merged(m, get(n, key), patch->members[i]));
	}
	return n;
}

/* T-38, T-39 */
static bool
changes(const struct node *old, const struct node *patch)
{
	for (unsigned i = 0; i < patch->n; i++) {
		const struct node *p = patch->members[i], *was = get(old, p->key);
		if (p->kind == DOC_NULL ? was != NULL
		        : p->kind == DOC_OBJECT
		        ? was == NULL || was->kind != DOC_OBJECT || changes(was, p)
		        : true)
			return true;
	}
	return false;
}

static uint32_t
size_of(const struct node *n)
{
	char text[16];
	uint32_t size = 0;

	switch (n->kind) {
	case DOC_FALSE:
	case DOC_TRUE: return 4;
	case DOC_INT:
	case DOC_DOUBLE: return 8;
	case DOC_STRING: return (uint32_t)snprintf(text, sizeof(text), "s%" PRId64, n->number);
	default: break;
	}
	for (unsigned i = 0; i < n->n; i++)
		size += size_of(n->members[i]) +
		    (n->kind == DOC_OBJECT ? (uint32_t)strlen(n->members[i]->key) : 0);
	return size;
}

/* ---- texts ---- */

static void
write_json(struct buf *out, const struct node *n)
{
	switch (n->kind) {
	case DOC_NULL: buf_cstr(out, "null"); return;
	case DOC_FALSE: buf_cstr(out, "false"); return;
	case DOC_TRUE: buf_cstr(out, "true"); return;
	case DOC_INT: buf_printf(out, "%" PRId64, n->number - 50000); return;
	case DOC_DOUBLE: buf_printf(out, "%" PRId64 ".5", n->number); return;
	case DOC_STRING: buf_printf(out, "\"s%" PRId64 "\"", n->number); return;
	default: break;
	}
	buf_putc(out, n->kind == DOC_ARRAY ? '[' : '{');
	for (unsigned i = 0; i < n->n; i++) {
		if (i > 0)
			buf_putc(out, ',');
		if (n->kind == DOC_OBJECT)
			buf_printf(out, "\"%s\":", n->members[i]->key);
		write_json(out, n->members[i]);
	}
	buf_putc(out, n->kind == DOC_ARRAY ? ']' : '}');
}

static void
write_metadata(struct buf *out, const struct model *m, const struct node *n)
{
	char time[TIME_TEXT_MAX];

	time_format(BEGIN + n->second * SECOND, time);
	buf_printf(out, "{\"$lastUpdated\":\"%s\"", time);
	if (m->kind == SECTION_DESIRED && n->version > 0)
		buf_printf(out, ",\"$lastUpdatedVersion\":%" PRIu32, n->version);
	if (n->configured)
		buf_printf(out, ",\"$lastUpdatedBy\":\"conf\",\"$lastUpdatedByDigest\":\"%d\"", 7);
	for (unsigned i = 0; n->kind == DOC_OBJECT && i < n->n; i++) {
		buf_printf(out, ",\"%s\":", n->members[i]->key);
		write_metadata(out, m, n->members[i]);
	}
	buf_putc(out, '}');
}

static void
write_service(struct buf *out, const struct model *m)
{
	write_json(out, m->root);
	out->n--;
	if (m->root->n > 0)
		buf_putc(out, ',');
	buf_cstr(out, "\"$metadata\":");
	write_metadata(out, m, m->root);
	buf_printf(out, ",\"$version\":%" PRIu32 "}", m->version);
}

/* ---- comparison ---- */

static void
same_text(const struct buf *got, const struct buf *want)
{
	if (!str_eq(buf_view(got), buf_view(want)))
		fail_msg("got  " STR_FMT "\nwant " STR_FMT, STR_ARG(buf_view(got)),
		    STR_ARG(buf_view(want)));
}

static void
compare(struct sec *s, const struct model *m)
{
	struct section v = sec_view(s);
	struct buf got = { 0 }, want = { 0 }, scratch = { 0 };

	write_service(&want, m);
	if (m->kind != SECTION_TAGS) {
		section_write_service(&got, &v, m->kind);
		same_text(&got, &want);
		got.n = 0;
		doc_write_json(&got, section_get(&v, m->kind, NULL, 0, &scratch));
		same_text(&got, &want);
	} else {
		want.n = 0;
		write_json(&want, m->root);
		section_write_tags(&got, &v);
		same_text(&got, &want);
		assert_int_equal(v.nstamp, 1);
	}
	assert_int_equal(v.size, size_of(m->root));
	assert_int_equal(v.version, m->version);
	buf_fini(&got);
	buf_fini(&want);
	buf_fini(&scratch);
}

static struct node *
node_of(struct model *m, struct doc d)
{
	struct node *n = node_new(m, doc_kind(d));
	struct doc_iter it = doc_iter(d);
	struct doc value;
	struct str key;

	uint64_t digits = 0;

	if (n->kind == DOC_INT)
		n->number = doc_int(d) + 50000;
	else if (n->kind == DOC_DOUBLE)
		n->number = (int64_t)doc_number(d);
	else if (n->kind == DOC_STRING)
		assert_true(str_u64(str_sub(doc_str(d), 1), &digits));
	if (n->kind == DOC_STRING)
		n->number = (int64_t)digits;
	while (doc_next(&it, &key, &value)) {
		struct node *member = node_of(m, value);
		snprintf(member->key, sizeof(member->key), STR_FMT, STR_ARG(key));
		n->members[n->n++] = member;
	}
	return n;
}

/* The notification as the device applies it: RFC 7396 on what it had. */
static void
device_arrives(struct sec *s, struct model *m, const struct node *before)
{
	struct buf json = { 0 }, text = { 0 }, now = { 0 };
	struct section v = sec_view(s);
	struct str notify = buf_view(&s->notify);
	uint32_t nduplicate;

	write_json(&text, merged(m, before, node_of(m, sec_parse(s, notify, &json, &nduplicate))));
	json.n = 0;
	doc_write_json(&now, v.root);
	if (!doc_equal(v.root, sec_parse(s, buf_view(&text), &json, &nduplicate)))
		fail_msg("notified " STR_FMT "\ngave " STR_FMT "\nfor  " STR_FMT, STR_ARG(notify),
		    STR_ARG(buf_view(&text)), STR_ARG(buf_view(&now)));
	buf_fini(&json);
	buf_fini(&text);
	buf_fini(&now);
}

/* As the back end sees it, as a doc: members in any order are equal. */
static struct doc
shown(struct sec *s, const struct section *v, struct buf *json)
{
	struct buf text = { 0 };
	uint32_t nduplicate;

	if (s->wr.kind == SECTION_TAGS)
		section_write_tags(&text, v);
	else
		section_write_service(&text, v, s->wr.kind);
	sec_parse(s, buf_view(&text), json, &nduplicate);
	buf_fini(&text);
	return doc_of(buf_view(json));
}

/* What the step has changed, taken back, gives what was; and its patch leads there again. */
static void
goes_back(struct sec *s, struct model *m, struct str old_bytes)
{
	struct section old = section_of(old_bytes), new = sec_view(s), back;
	struct buf before = { 0 }, patch = { 0 }, bytes = { 0 }, a = { 0 }, b = { 0 }, text = { 0 };
	uint32_t nduplicate;

	assert_true(section_delta(&old, &new, s->wr.kind, &before, &patch));
	assert_int_equal(section_before_check(buf_view(&before)), ERR_OK);
	section_take_back(&new, buf_view(&before), s->wr.kind, &bytes);
	assert_int_equal(section_check(buf_view(&bytes)), ERR_OK);
	back = section_of(buf_view(&bytes));
	assert_int_equal(back.version, old.version);
	assert_int_equal(back.size, old.size);
	assert_int_equal(back.nstamp, old.nstamp);
	if (!doc_equal(shown(s, &old, &a), shown(s, &back, &b)))
		fail_msg("a step taken back gives another section");
	a.n = b.n = 0;
	write_json(&text, merged(m, node_of(m, old.root), node_of(m, doc_of(buf_view(&patch)))));
	if (!doc_equal(new.root, sec_parse(s, buf_view(&text), &a, &nduplicate)))
		fail_msg("the patch of a step leads elsewhere");
	buf_fini(&before);
	buf_fini(&patch);
	buf_fini(&bytes);
	buf_fini(&a);
	buf_fini(&b);
	buf_fini(&text);
}

static void
step(struct sec *s, struct model *m)
{
	bool replace = m->kind != SECTION_REPORTED && pick(m, 6) == 0;
	bool clear = m->kind != SECTION_REPORTED && pick(m, 30) == 0, change;
	const struct node *before = m->root;
	struct buf text = { 0 }, old = { 0 };
	struct node *patch;

	m->second++;
	m->version++;
	m->configured = pick(m, 5) == 0;
	s->wr.by = m->configured ? STR("conf") : STR_NONE;
	s->wr.by_digest = 7;
	patch = clear ? node_new(m, DOC_OBJECT) : random_value(m, 0, !replace);
	write_json(&text, patch);
	if (clear && !replace) {
		text.n = 0;
		buf_cstr(&text, "null");
	}
	if (replace || clear)
		change = patch->n > 0 || before->n > 0;
	else
		change = m->kind == SECTION_REPORTED || changes(before, patch);
	buf_put(&old, s->bytes.p, s->bytes.n);
	assert_int_equal(
	    sec_apply(s, replace ? section_replace : section_merge, buf_view(&text)), ERR_OK);
	assert_int_equal(s->changed, change);
	if (change)
		m->root = merged(m, replace || clear ? NULL : before, patch);
	else
		m->version--;
	compare(s, m);
	if (change) {
		device_arrives(s, m, before);
		goes_back(s, m, buf_view(&old));
	}
	buf_fini(&text);
	buf_fini(&old);
}

static void
model__T23_to_T48_E05_random_changes_agree(void **state)
{
	struct model m = { .random = 20240101 };
	struct sec s;

	(void)state;
	for (unsigned chain = 0; chain < CHAINS; chain++) {
		arena_reset(&m.arena);
		m.kind = chain % SECTION_KINDS;
		m.second = 0;
		m.version = 0;
		m.configured = false;
		m.root = node_new(&m, DOC_OBJECT);
		m.version = 1;
		sec_new(&s, m.kind);
		for (unsigned i = 0; i < STEPS; i++)
			step(&s, &m);
		sec_free(&s);
	}
	arena_fini(&m.arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(model__T23_to_T48_E05_random_changes_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
