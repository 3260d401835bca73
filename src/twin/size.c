/* The counted size of keys and values: T-81. */
#include "twin/priv.h"

uint32_t
counted_str(struct str s)
{
	uint32_t n = (uint32_t)s.n;

	for (size_t i = 0; i < s.n; i++) {
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
