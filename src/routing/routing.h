/*
 * routing: where events go (docs/spec/events.md 4): sinks, which are places outside of the hub, and routes, which say what goes to which
 * (E-30 to E-35). Each is an immutable value, made from its stored form and shared by counted reference between threads; so is a set of all
 * of them, with the cursors of sinks as they were when it was made. Pure.
 *
 *   PUT --routing_sink_encode--> record --common_write--> sink_def_new --> the shard's set --EFFECT_ROUTING--> the program
 *
 * They are operations on shard 0 like any other: checked, written, undone if their commit fails (stored.c, the feature).
 *
 * A cursor is bytes to this room: how far a sink's place has taken the log. It belongs to one sink: one that was deleted and made again
 * has none, whatever is still on its way.
 */
#ifndef TWINHUB_ROUTING_H
#define TWINHUB_ROUTING_H

#include "base/refs.h"
#include "doc/out.h"
#include "route/route.h"
#include "shard/shard.h"

#define SINKS_MAX        32u
#define ROUTES_MAX       100u
#define ROUTING_ID_MAX   64u
#define ROUTING_SIZE_MAX (256u << 10) /* bytes of a stored form */
#define CURSOR_MAX       1024u        /* bytes of a cursor */

/* What a place is. What all have first. */
enum sink_type { TO_EVENTS, TO_WEBHOOK, TO_FILE, TO_KAFKA, SINK_TYPES };
extern const char *const sink_type_names[SINK_TYPES];

/* By enum route_source; NULL: no route has it. */
extern const char *const event_source_names[ROUTE_SOURCES];
bool event_source_find(struct str name, enum route_source *out); /* without case */

/* One that goes to the endpoint of this name is read by GET /events and is no sink of ours (E-32). */
#define BUILT_IN "events"
#define FALLBACK "$fallback"

struct sink_def {
	struct refs refs;
	struct str id;
	enum sink_type type;
	bool enabled;
	int64_t created_us; /* no two of the same id have the same */
	int64_t updated_us;
	int64_t from_us;  /* where it begins, if it has no cursor; 0: at the earliest */
	uint64_t counter; /* the etag */
	struct doc body;  /* all members of its type, defaults too; secrets as they are */
	struct str record;
	struct arena arena;
};

struct route_def {
	struct refs refs;
	struct str id;
	enum route_source source;
	struct str condition, endpoint;
	/* of its text; NULL: it is of a time that took more, and is true of nothing */
	struct condition *compiled;
	bool enabled;
	int64_t created_us, updated_us;
	uint64_t counter;
	struct str record;
	struct arena arena;
};

struct cursor {
	struct refs refs;
	int64_t of_us; /* created_us of its sink */
	size_t n;
	char bytes[];
};

struct routing {
	struct refs refs;
	uint32_t nsink, nroute;
	struct sink_def *sinks[SINKS_MAX];    /* by id, in byte order */
	struct cursor *cursors[SINKS_MAX];    /* of each; NULL: none */
	struct route_def *routes[ROUTES_MAX]; /* the same order */
};

/* ---- values ---- */

/*
 * The record of a request's body (a doc object without repeated members); old: what it replaces, or NULL. Appended to out.
 * ERR_ARG: f says what is wrong, with the member's name (E-30, E-31, E-33).
 */
enum err sink_encode(
    struct buf *out, struct doc body, const struct sink_def *old, int64_t now_us, struct fault *f);
enum err route_encode(struct buf *out, struct str id, struct doc body, const struct route_def *old,
    const struct routing *set, int64_t now_us, struct fault *f);
/* ERR_CORRUPT: not a record. The caller holds the only reference. */
enum err sink_def_new(struct str id, struct str record, struct sink_def **out);
enum err route_def_new(struct str id, struct str record, struct route_def **out);
struct sink_def *sink_def_ref(struct sink_def *d);
void sink_def_unref(struct sink_def *d); /* NULL is fine */
struct route_def *route_def_ref(struct route_def *d);
void route_def_unref(struct route_def *d);
struct cursor *cursor_new(int64_t of_us, struct str bytes);
struct cursor *cursor_ref(struct cursor *c);
void cursor_unref(struct cursor *c);

/* Members of a sink's body; what it does not have is empty, false or 0. */
struct str sink_text(const struct sink_def *d, const char *name);
bool sink_bool(const struct sink_def *d, const char *name);
int64_t sink_int(const struct sink_def *d, const char *name);
/* `secret`, decoded and appended: the key of signatures. */
void sink_secret(const struct sink_def *d, struct buf *out);

/* As the API shows them, without what is secret; the object stays open for what is known of it beside. */
void sink_def_show(struct out *o, const struct sink_def *d);
void route_def_show(struct out *o, const struct route_def *d);
/* Those that every hub has. */
void built_in_show(struct out *o);

/*
 * What a route says of a sample (E-35). body: of the request, checked by body_route_test; stored: the route, or NULL if there is none and
 * the body has its own. ps: to read the sample's body. ERR_ARG: f says what is wrong with the request.
 */
enum err route_test(struct out *o, struct doc body, const struct route_def *stored,
    struct doc_parser *ps, struct fault *f);

/* ---- sets ---- */

struct routing *routing_new(void); /* the empty one, with $fallback */
struct routing *routing_ref(struct routing *set);
void routing_unref(struct routing *set);                                 /* NULL is fine */
struct sink_def *routing_sink(const struct routing *set, struct str id); /* NULL: there is none */
struct route_def *routing_route(const struct routing *set, struct str id);
struct cursor *routing_cursor(const struct routing *set, struct str id);
/* Some route to it is there, enabled or not. */
bool routing_leads_to(const struct routing *set, struct str sink);

/* ---- in a shard ---- */

extern const struct feature routing_feature;
/* The hub's, as shard 0 has it now; the caller's. */
struct routing *routing_stored(const struct shard *sh);

#endif
