/* Rates and shares among the settings: pairs of texts, sorted, that the table of numbers has no place for (O-150, O-151). */
#include "settings/priv.h"

#include <stdlib.h>

void
limit_lines_fini(struct limit_lines *l)
{
	free(l->v);
	*l = (struct limit_lines){ 0 };
}

void
limit_lines_copy(struct limit_lines *to, const struct limit_lines *from)
{
	*to = (struct limit_lines){ 0 };
	if (from->n == 0)
		return;
	to->v = xmalloc(from->n * sizeof(*to->v));
	memcpy(to->v, from->v, from->n * sizeof(*to->v));
	to->n = from->n;
}

/* The first that is not before the key. */
static unsigned
place_of(const struct limit_lines *l, struct str key)
{
	unsigned i = 0;

	while (i < l->n && str_cmp(str_of(l->v[i].key), key) < 0)
		i++;
	return i;
}

static void
line_remove(struct limit_lines *l, struct str key)
{
	unsigned i = place_of(l, key);

	if (i == l->n || !str_eq(str_of(l->v[i].key), key))
		return;
	memmove(&l->v[i], &l->v[i + 1], (l->n - i - 1) * sizeof(*l->v));
	l->n--;
}

/* False: too long, one too many, or with a NUL in it. */
static bool
line_set(struct limit_lines *l, struct str key, struct str value)
{
	unsigned i = place_of(l, key);

	if (key.n >= sizeof(l->v->key) || value.n >= sizeof(l->v->value) ||
	    memchr(key.p, '\0', key.n) != NULL || memchr(value.p, '\0', value.n) != NULL)
		return false;
	if (i == l->n || !str_eq(str_of(l->v[i].key), key)) {
		if (l->n == LIMIT_LINES_MAX)
			return false;
		l->v = xrealloc(l->v, (l->n + 1) * sizeof(*l->v));
		memmove(&l->v[i + 1], &l->v[i], (l->n - i) * sizeof(*l->v));
		l->n++;
	}
	l->v[i] = (struct limit_line){ 0 };
	bytes_copy(l->v[i].key, key.p, key.n);
	bytes_copy(l->v[i].value, value.p, value.n);
	return true;
}

/* ---- as rules ---- */

static enum err
share_set(struct limit_rules *rules, const struct limit_line *line, char *why, size_t nwhy)
{
	uint64_t share = 0;

	(void)str_u64(str_of(line->value), &share);
	return limit_share_set(rules, str_of(line->key), share, why, nwhy);
}

enum err
settings_limits(const struct settings *s, struct limit_rules *out, char *why, size_t nwhy)
{
	enum err e = ERR_OK;

	*out = (struct limit_rules){ .daily = (uint64_t)s->v[SETTING_DAILY_MESSAGES],
		.block = (uint64_t)s->v[SETTING_MESSAGE_BLOCK] };
	for (unsigned i = 0; i < LIMIT_COUNTS; i++)
		out->counts.most[i] = (uint64_t)s->v[SETTING_COUNTS + i];
	for (unsigned i = 0; i < s->rates.n && e == ERR_OK; i++)
		e = limit_rule_set(
		    out, str_of(s->rates.v[i].key), str_of(s->rates.v[i].value), why, nwhy);
	for (unsigned i = 0; i < s->shares.n && e == ERR_OK; i++)
		e = share_set(out, &s->shares.v[i], why, nwhy);
	return e;
}

bool
settings_limits_same(const struct settings *a, const struct settings *b)
{
	return a->v[SETTING_DAILY_MESSAGES] == b->v[SETTING_DAILY_MESSAGES] &&
	    a->v[SETTING_MESSAGE_BLOCK] == b->v[SETTING_MESSAGE_BLOCK] &&
	    memcmp(&a->v[SETTING_COUNTS], &b->v[SETTING_COUNTS], LIMIT_COUNTS * sizeof(a->v[0])) ==
	    0 &&
	    a->rates.n == b->rates.n && a->shares.n == b->shares.n &&
	    (a->rates.n == 0 ||
	        memcmp(a->rates.v, b->rates.v, a->rates.n * sizeof(*a->rates.v)) == 0) &&
	    (a->shares.n == 0 ||
	        memcmp(a->shares.v, b->shares.v, a->shares.n * sizeof(*a->shares.v)) == 0);
}

/* ---- shown ---- */

void
settings_limits_show(struct out *o, const struct settings *s)
{
	uint64_t share;

	out_open(out_key(o, RATES));
	for (unsigned i = 0; i < s->rates.n; i++)
		out_cstr(out_key(o, s->rates.v[i].key), s->rates.v[i].value);
	out_close(o);
	out_open(out_key(o, SHARES));
	for (unsigned i = 0; i < s->shares.n; i++)
		if (str_u64(str_of(s->shares.v[i].value), &share))
			out_u64(out_key(o, s->shares.v[i].key), share);
	out_close(o);
}

/* ---- changed ---- */

/* A text of rates, a number of shares, as it is kept. False: it is neither. */
static bool
value_text(bool rates, struct doc v, struct buf *out)
{
	struct str text;

	if (rates && doc_kind(v) == DOC_STRING) {
		text = doc_str(v);
		buf_str(out, text);
		return true;
	}
	if (!rates && doc_kind(v) == DOC_INT && doc_int(v) >= 0) {
		buf_u64(out, (uint64_t)doc_int(v));
		return true;
	}
	return false;
}

static enum err
line_patch(struct limit_lines *l, bool rates, struct str key, struct doc v, struct fault *f)
{
	const char *of = rates ? RATES : SHARES;
	struct buf text = { 0 };
	enum err e = ERR_OK;

	if (doc_kind(v) == DOC_NULL) {
		line_remove(l, key);
		return ERR_OK;
	}
	if (!value_text(rates, v, &text))
		e = fault_set(f, F_ArgumentInvalid, "limits.%s.%.*s is %s", of,
		    (int)(key.n < 100 ? key.n : 100), key.p,
		    rates ? "a text as 10/s, 20/m,5 or none" : "a number of percent");
	else if (!line_set(l, key, buf_view(&text)))
		e = fault_set(f, F_ArgumentInvalid,
		    "limits.%s.%.*s is too long (keys of %zu, values of %zu bytes), no text, or "
		    "one "
		    "more than %u",
		    of, (int)(key.n < 100 ? key.n : 100), key.p, sizeof(l->v->key) - 1,
		    sizeof(l->v->value) - 1, LIMIT_LINES_MAX);
	buf_fini(&text);
	return e;
}

enum err
settings_limits_patch(struct settings *s, struct str name, struct doc d, struct fault *f)
{
	bool rates = str_eq(name, STR(RATES));
	struct limit_lines *l = rates ? &s->rates : &s->shares;
	struct doc_iter it;
	enum err e = ERR_OK;
	struct str key;
	struct doc v;

	if (doc_kind(d) == DOC_NULL) {
		limit_lines_fini(l);
		return ERR_OK;
	}
	if (doc_kind(d) != DOC_OBJECT)
		return fault_set(
		    f, F_ArgumentInvalid, "limits." STR_FMT " is not an object", STR_ARG(name));
	it = doc_iter(d);
	while (e == ERR_OK && doc_next(&it, &key, &v))
		e = line_patch(l, rates, key, v, f);
	return e;
}

enum err
settings_limits_check(const struct settings *s, struct fault *f)
{
	struct limit_rules *rules = xmalloc(sizeof(*rules));
	char why[LIMIT_WHY_MAX];
	enum err e = settings_limits(s, rules, why, sizeof(why));

	free(rules);
	return e == ERR_OK ? ERR_OK : fault_set(f, F_ArgumentInvalid, "limits: %s", why);
}

/* ---- in the record: how many, and each ---- */

void
limit_lines_put(struct buf *out, const struct limit_lines *l)
{
	buf_varint(out, l->n);
	for (unsigned i = 0; i < l->n; i++) {
		buf_lstr(out, str_of(l->v[i].key));
		buf_lstr(out, str_of(l->v[i].value));
	}
}

bool
limit_lines_read(struct rd *rd, struct limit_lines *l)
{
	uint64_t n = rd_varint(rd);
	struct str key, value;
	bool good = n <= LIMIT_LINES_MAX;

	for (uint64_t i = 0; good && i < n && !rd->bad; i++) {
		key = rd_lstr(rd);
		value = rd_lstr(rd);
		good = !rd->bad && line_set(l, key, value);
	}
	return good && !rd->bad && l->n == n;
}
