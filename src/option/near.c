/* Names that nobody has: which was meant, and how a stranger's text is shown. */
#include "option/option.h"

#define NAME_MAX_NEAR 48 /* bytes; names of rows are shorter */
#define BEGINNING     3  /* letters that a beginning of a name has at the least */

/* Names are compared as a variable of the environment writes them: in any case, '_' for '-'. */
static char
folded(char c)
{
	return c == '_' ? '-' : c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static unsigned
least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* How many letters are to be put in, taken out or changed for a to be b (Levenshtein's). */
static unsigned
distance(struct str a, struct str b)
{
	unsigned row[NAME_MAX_NEAR + 1];

	for (unsigned i = 0; i <= b.n; i++)
		row[i] = i;
	for (size_t i = 1; i <= a.n; i++) {
		unsigned diagonal = row[0];

		row[0] = (unsigned)i;
		for (size_t k = 1; k <= b.n; k++) {
			unsigned above = row[k],
			         changed = diagonal + (folded(a.p[i - 1]) != folded(b.p[k - 1]));

			row[k] = least(changed, least(above, row[k - 1]) + 1);
			diagonal = above;
		}
	}
	return row[b.n];
}

static bool
begins(struct str name, struct str beginning)
{
	return beginning.n >= BEGINNING && name.n > beginning.n &&
	    distance((struct str){ name.p, beginning.n }, beginning) == 0;
}

int
option_near(const struct option_table *t, struct str name)
{
	/* Of a short name a letter, of a longer one two. */
	unsigned most = name.n < 6 ? 1 : 2, best = most + 1;
	int found = -1;

	if (name.n < 2 || name.n > NAME_MAX_NEAR)
		return -1;
	for (unsigned i = 0; i < t->n; i++) {
		struct str own = str_of(t->v[i].name);
		unsigned d;

		if (!option_taken(t, i) || own.n > NAME_MAX_NEAR)
			continue;
		d = begins(own, name) ? most : distance(name, own);
		if (d < best) {
			best = d;
			found = (int)i;
		}
	}
	return found;
}

void
option_show(struct buf *out, struct str text, size_t most)
{
	char escaped[UTF8_ESCAPE_MAX];
	size_t end = out->n + most;

	while (text.n > 0) {
		const char *at = text.p;
		uint32_t c = utf8_take(&text);
		size_t n = utf8_hidden(c) ? utf8_escape(c, escaped) : (size_t)(text.p - at);

		if (out->n + n > end) {
			buf_cstr(out, "...");
			return;
		}
		buf_put(out, utf8_hidden(c) ? escaped : at, n);
	}
}
