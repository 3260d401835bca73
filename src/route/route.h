/*
 * route: routing conditions. A text becomes an immutable condition; the condition judges messages and events, one at a time.
 *
 *   route_condition_compile        once, on any thread; kinds are checked here
 *   route_condition_needs          what has to be at hand of a message, so that nobody makes what is not asked for
 *   route_condition_judge          for each message: true, false or undefined
 *   route_condition_free           when no thread uses it any more
 *
 * A condition is shared read-only between threads; it owns all that it shows. What a message has is borrowed for the call.
 * Whatever a text asks for is bounded below, and refused with its place when it is compiled; judging cannot fail.
 *
 * Rules: docs/spec/query-language.md part 8, Q-60 to. Pure: no I/O, no clock, no globals.
 */
#ifndef TWINHUB_ROUTE_H
#define TWINHUB_ROUTE_H

#include "value/value.h"

#define ROUTE_TEXT_MAX  8192u /* bytes of a condition */
#define ROUTE_DEPTH_MAX 64u   /* levels of parentheses, calls, NOT and signs */
#define ROUTE_NODES_MAX 1024u /* operands, operators' chains and calls of a condition */
#define ROUTE_STEPS_MAX 64u   /* steps of one path */
#define ROUTE_MEMORY_MAX                                                                           \
	(1u << 20) /* bytes that functions make while a message is judged; more is undefined */

/* Where events come from (twins.md 8.1): a route has one, a reader may ask for several. */
enum route_source {
	ROUTE_MESSAGES, /* telemetry, wills */
	ROUTE_TWIN_CHANGES,
	ROUTE_LIFECYCLE,
	ROUTE_CONNECTION,
	ROUTE_JOBS,
	ROUTE_METHODS,        /* calls and answers */
	ROUTE_ADMINISTRATION, /* what is done to the hub */
	ROUTE_SOURCES
};
#define ROUTE_SOURCE_BIT(source) (1u << (source))

/* ---- compiling ---- */

/* Line and column from 1, in characters. */
struct route_place {
	uint32_t line, column;
};

struct route_error {
	char text[FAULT_TEXT_MAX];     /* "Syntax error: unmatched closing ')'", as a fault's */
	struct route_place start, end; /* behind the last character */
};

struct condition;

/*
 * Make a condition of its text, which is borrowed for the call. sources: bits of those whose events it will judge; without
 * ROUTE_TWIN_CHANGES the function twin_change_includes is none. *out is set only on success.
 * ERR_ARG: *error says the first thing that is wrong, and where.
 */
enum err route_condition_compile(
    struct str text, unsigned sources, struct condition **out, struct route_error *error);
void route_condition_free(struct condition *c); /* NULL is fine */

struct route_needs {
	bool properties, system, body, twin;
	bool never; /* it is true of nothing: a constant, or a value that is no truth */
};
const struct route_needs *route_condition_needs(const struct condition *c);

/* ---- judging ---- */

/* Names are compared without case. A value that is not UTF-8 is undefined. */
struct route_property {
	struct str name, value;
	bool is_null; /* named without a value */
};

struct route_message {
	enum route_source source;
	const struct route_property *properties; /* application properties (8.2) */
	uint32_t nproperty;
	const struct route_property *system; /* named as in Q-66, without the $ */
	uint32_t nsystem;
	void *ctx; /* of the two below */
	/* The body, or of an event its body (T-93); DOC_NONE: there is none that can be read. Called at each path of it, so who
	 * parses keeps what came out. NULL: there is none. */
	struct doc (*body)(void *ctx);
	/* The value of the sender's twin at a path, DOC_NONE if it has none; made in the arena where it has to be made.
	 * NULL: the twin is not known, and all of it undefined. */
	struct doc (*twin)(void *ctx, const struct str *path, unsigned nstep, struct arena *a);
};

enum truth route_condition_judge(const struct condition *c, const struct route_message *m);

/* */
static inline bool
route_condition_matches(const struct condition *c, const struct route_message *m)
{
	return route_condition_judge(c, m) == IS_TRUE;
}

/* ---- bodies ---- */

/*
 * Parse a message's body: appends a document without repeated keys to `out`. false, and nothing appended: by its content type
 * and encoding it is not to be read, or it is no JSON.
 *   ps   the caller's; a body over its max_bytes is not read
 */
bool route_body_parse(struct doc_parser *ps, struct str content_type, struct str content_encoding,
    struct str body, struct buf *out);

#endif
