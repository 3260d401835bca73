/* A batch of events: see sink.h. */
#include "sink/sink.h"

void
sink_batch_add(struct sink_batch *b, struct str json, struct str key)
{
	if (b->n == b->room) {
		b->room = b->room ? b->room * 2 : 16;
		b->v = xrealloc(b->v, b->room * sizeof(*b->v));
	}
	buf_str(&b->json, json);
	buf_putc(&b->json, '\n');
	buf_str(&b->keys, key);
	b->v[b->n++] = (struct sink_event){ (uint32_t)b->json.n, (uint32_t)b->keys.n };
}

struct str
sink_batch_json(const struct sink_batch *b, uint32_t i)
{
	uint32_t from = i > 0 ? b->v[i - 1].json_end : 0;

	return (struct str){ b->json.p + from, b->v[i].json_end - from - 1 };
}

struct str
sink_batch_key(const struct sink_batch *b, uint32_t i)
{
	uint32_t from = i > 0 ? b->v[i - 1].key_end : 0;

	if (b->v[i].key_end == from)
		return STR_NONE;
	return (struct str){ b->keys.p + from, b->v[i].key_end - from };
}

void
sink_batch_empty(struct sink_batch *b)
{
	b->json.n = b->keys.n = 0;
	b->n = 0;
}

void
sink_batch_fini(struct sink_batch *b)
{
	buf_fini(&b->json);
	buf_fini(&b->keys);
	free(b->v);
	*b = (struct sink_batch){ 0 };
}
