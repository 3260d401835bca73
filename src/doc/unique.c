/* A copy without repeated keys: the last value, at the place of the first (T-83). */
#include "doc/priv.h"

struct member {
	struct str key;
	struct doc value;
};

struct unique {
	struct doc_writer dw;
	struct keys keys;
	/* a stack of struct member: those of the objects that are being copied */
	struct buf members;
};

static void put_value(struct unique *u, struct doc d);

static struct member
member_at(const struct unique *u, size_t at)
{
	struct member m;

	memcpy(&m, u->members.p + at * sizeof(m), sizeof(m));
	return m;
}

/* Push the distinct members. The keys' scratch is free again afterwards, for the objects inside. */
static void
gather(struct unique *u, struct doc d)
{
	size_t base = u->members.n;
	struct doc_iter it = doc_iter(d);
	struct member m;
	uint32_t n = 0;

	keys_start(&u->keys, doc_count(d));
	while (doc_next(&it, &m.key, &m.value)) {
		uint32_t at = keys_find_or_add(&u->keys, m.key, n);
		if (at == n) {
			buf_put(&u->members, &m, sizeof(m));
			n++;
		} else {
			memcpy(u->members.p + base + at * sizeof(m), &m, sizeof(m));
		}
	}
}

static void
put_object(struct unique *u, struct doc d)
{
	size_t base = u->members.n, end;

	gather(u, d);
	end = u->members.n;
	doc_begin_object(&u->dw, 0);
	for (size_t at = base / sizeof(struct member); at < end / sizeof(struct member); at++) {
		struct member m = member_at(u, at);
		doc_key(&u->dw, m.key);
		put_value(u, m.value);
	}
	doc_end(&u->dw);
	u->members.n = base;
}

static void
put_value(struct unique *u, struct doc d)
{
	struct doc_iter it = doc_iter(d);
	struct str key;
	struct doc v;

	switch (doc_kind(d)) {
	case DOC_OBJECT: put_object(u, d); break;
	case DOC_ARRAY:
		doc_begin_array(&u->dw, 0);
		while (doc_next(&it, &key, &v))
			put_value(u, v);
		doc_end(&u->dw);
		break;
	default: doc_put_same(&u->dw, d); break;
	}
}

void
doc_put_unique(struct buf *out, struct doc d)
{
	struct unique u = { 0 };

	doc_writer_init(&u.dw, out, 0);
	put_value(&u, d);
	keys_fini(&u.keys);
	buf_fini(&u.members);
}
