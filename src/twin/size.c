/* The counted size of keys and values: T-81. */
#include "twin/priv.h"

/* Eight bytes from U+0020 to U+007E: nothing in them is left out. */
static bool
plain8(const char *p)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	uint64_t w;

	memcpy(&w, p, sizeof w);
	return ((w | (w - 0x20 * ones) | (w + ones)) & 0x80 * ones) == 0;
}

uint32_t
counted_str(struct str s)
{
	uint32_t n = (uint32_t)s.n;
	size_t i = 0;

	while (i + 8 <= s.n && plain8(s.p + i))
		i += 8;
	for (; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c < 0x20 || c == 0x7F)
			n--;
		else if (c == 0xC2 && i + 1 < s.n && (unsigned char)s.p[i + 1] < 0xA0)
			n -= 2; /* U+0080 to U+009F */
	}
	return n;
}

uint32_t
twin_counted_size(struct doc d)
{
	struct walk it;
	struct doc value;
	struct str key;
	uint32_t n = 0;

	switch (kind_of(d)) {
	case DOC_INT:
	case DOC_DOUBLE: return 8;
	case DOC_FALSE:
	case DOC_TRUE: return 4;
	case DOC_STRING: return counted_str(doc_str(d));
	default: break;
	}
	it = walk_of(d);
	while (walk_next(&it, &key, &value))
		n += (uint32_t)key.n + twin_counted_size(value);
	return n;
}
