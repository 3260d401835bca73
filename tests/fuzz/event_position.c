/* Any bytes as a position of the hub (E-10, E-11): one that is taken is written again so that nothing is missed, and another hub's is none. */
#include "event/position.h"
#include "fuzz.h"

#define HUB 0x01020304u

static void
round_trip(struct str text)
{
	struct position p, again;
	struct buf out = { 0 };
	struct fault f = { 0 };

	if (position_read(text, HUB, &p, &f) != ERR_OK) {
		require(f.code == F_ArgumentInvalid && f.text[0] != '\0');
		return;
	}
	position_write(&out, &p, HUB);
	require(out.n <= POSITION_TEXT_MAX);
	require(position_read(buf_view(&out), HUB, &again, &f) == ERR_OK);
	for (unsigned s = 0; s < POSITION_SHARDS; s++)
		require(again.next[s] <= p.next[s]);
	require(position_read(buf_view(&out), HUB + 1, &again, &f) == ERR_ARG);
	buf_fini(&out);
}

/* The bytes as positions: a fuzzer does not find a check. */
static void
any_position(const uint8_t *data, size_t size)
{
	struct position p = { .next = { 0 } };
	struct buf out = { 0 };
	struct fault f = { 0 };

	for (unsigned s = 0; s < POSITION_SHARDS && size > 0; s++)
		for (unsigned i = 0; i < 6; i++)
			p.next[s] = p.next[s] << 8 | data[(s * 6 + i) % size];
	position_write(&out, &p, HUB);
	require(out.n <= POSITION_TEXT_MAX);
	round_trip(buf_view(&out));
	if (size > 1) {
		char *at = &out.p[(data[0] | data[1] << 8) % out.n];

		*at = *at == 'A' ? 'B' : 'A';
		round_trip(buf_view(&out)); /* 16 bits of check: mostly it is none any more */
		(void)position_read((struct str){ out.p, data[0] % out.n }, HUB, &p, &f);
	}
	buf_fini(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	round_trip((struct str){ (const char *)data, size });
	any_position(data, size);
	return 0;
}
