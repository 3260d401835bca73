#!/usr/bin/env bash
# scripts/torn over declarations that are torn and ones that are whole: are exactly the former named?
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
file=$(mktemp "${TMPDIR:-/tmp}/torn-XXXXXX.h")
trap 'rm -f "$file"' EXIT

cat > "$file" <<'C'
struct
    tls; /* the current one */
struct a {
	uint64_t
	    nbyte; /* of the answers that are under way */
	const char *
	    name; /* of whoever asks */
	bool deliver; /* the session listens
	               * to answers */
	int whole; /* of one line */
	/* a comment of its own
	 * that goes on */
	int also_whole;
};
enum { A, /* one */
	B /* the last one, which
	   * goes on */
};
struct b {
	int64_t (*patience_us)(const struct worker
	        *w); /* how long nothing is to be done */
	int64_t (*whole_us)(const struct worker *w); /* of one line */
};
static const char *const texts[] = { "/*", "*/", "\"/*" };
/*
 * int torn; /* not code
 */
static int
f(void) /* a function's type has a line of its own */
{
	return 0;
}
C
found=$("$here/../scripts/torn" "$file" | sed 's/^[^:]*:\([0-9]*\):.*/\1/' | tr '\n' ' ' || true)
[ "$found" = "1 4 6 8 16 20 " ] || { echo "found lines $found"; exit 1; }
