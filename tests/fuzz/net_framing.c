/* Any bytes as a connection: the same comes out however they are cut, and what comes out is read by a second reader, who
 * knows nothing but lengths, as exactly those messages. The first byte says how they are cut. */
#include "net/framing.h"

#include <stdlib.h>

#define MAX_HEAD 2048u
#define MAX_BODY 4096u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool held)
{
	if (!held)
		abort();
}

struct seen {
	struct buf wire;   /* messages as evhttp gets them */
	struct buf bounds; /* where each ends in it, eight bytes each */
	struct buf body;
	const char *why;
};

static void
run_on(struct framing *f, struct str in, struct seen *seen)
{
	size_t n;

	for (;; in = str_sub(in, n)) {
		switch (framing_step(f, in, &n)) {
		case FRAMING_BODY: buf_put(&seen->body, in.p, n); break;
		case FRAMING_WHOLE:
			require(f->head.n <= MAX_HEAD + 64 && seen->body.n <= MAX_BODY);
			buf_str(&seen->wire, buf_view(&f->head));
			buf_str(&seen->wire, buf_view(&seen->body));
			buf_le64(&seen->bounds, seen->wire.n);
			seen->body.n = 0;
			break;
		case FRAMING_END:
			require(n == 0);
			framing_next(f);
			break;
		case FRAMING_BAD:
			require(f->why != NULL);
			seen->why = f->why;
			return;
		case FRAMING_MORE: require(n == in.n); return;
		case FRAMING_CONTINUE:
		case FRAMING_TAKEN: break;
		}
	}
}

static void
run(struct str all, size_t piece, struct seen *seen)
{
	struct framing f = { .max_head = MAX_HEAD, .max_body = MAX_BODY };

	*seen = (struct seen){ 0 };
	while (all.n > 0 && f.state != FRAMING_IS_BAD) {
		struct str some = { all.p, piece < all.n ? piece : all.n };

		run_on(&f, some, seen);
		all = str_sub(all, some.n);
	}
	framing_fini(&f);
}

static void
seen_fini(struct seen *seen)
{
	buf_fini(&seen->wire);
	buf_fini(&seen->bounds);
	buf_fini(&seen->body);
}

/* Line by line, then as many bytes as the one Content-Length says. */
static void
read_naively(const struct seen *seen)
{
	struct str rest = buf_view(&seen->wire), line;
	struct rd bounds = rd_of(buf_view(&seen->bounds));
	size_t whole = rest.n;

	while (bounds.p < bounds.end) {
		uint64_t length = 0;
		unsigned nlength = 0;

		do {
			require(str_cut(rest, '\n', &line, &rest) && str_ends(line, STR("\r")));
			line.n--;
			require(memchr(line.p, '\0', line.n) == NULL &&
			    memchr(line.p, '\r', line.n) == NULL);
			if (str_starts(line, STR("Content-Length: "))) {
				require(str_u64(str_sub(line, 16), &length));
				nlength++;
			}
			require(line.n < 18 ||
			    !str_ieq((struct str){ line.p, 18 }, STR("Transfer-Encoding:")));
		} while (line.n > 0);
		require(nlength <= 1 && length <= rest.n);
		rest = str_sub(rest, (size_t)length);
		require(rd_le64(&bounds) == whole - rest.n);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str all = { (const char *)data + 1, size - 1 };
	struct seen at_once, in_pieces;

	if (size == 0)
		return 0;
	run(all, all.n, &at_once);
	run(all, 1 + data[0] % 64u, &in_pieces);
	require(at_once.why == in_pieces.why);
	require(str_eq(buf_view(&at_once.bounds), buf_view(&in_pieces.bounds)));
	require(str_eq(buf_view(&at_once.wire), buf_view(&in_pieces.wire)));
	read_naively(&at_once);
	seen_fini(&at_once);
	seen_fini(&in_pieces);
	return 0;
}
