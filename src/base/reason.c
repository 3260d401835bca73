/* The table of reasons as data. */
#include "base/reason.h"

static const struct row {
	const char *id, *text;
	enum reason_by by;
	enum log_level level;
} rows[REASONS] = { [REASON_NONE] = { "none", "no reason", BY_HUB, LOG_INFO },
#define X(name, id, by, level, text) [REASON_##name] = { id, text, BY_##by, LOG_##level },
	REASONS_OF(X)
#undef X
};

static const struct row *
row_of(enum reason r)
{
	return &rows[(unsigned)r < REASONS ? r : REASON_NONE];
}

const char *
reason_id(enum reason r)
{
	return row_of(r)->id;
}

const char *
reason_text(enum reason r)
{
	return row_of(r)->text;
}

enum reason_by
reason_by(enum reason r)
{
	return row_of(r)->by;
}

const char *
reason_by_name(enum reason_by by)
{
	static const char *const names[] = { "peer", "hub", "operator" };

	return names[by];
}

enum log_level
reason_level(enum reason r)
{
	return row_of(r)->level;
}
