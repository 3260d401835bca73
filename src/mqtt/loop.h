/* mqtt: sessions on their streams. What the loop's files share; a session itself (session.h) knows nothing of it. */
#ifndef TWINHUB_MQTT_LOOP_H
#define TWINHUB_MQTT_LOOP_H

#include "mqtt/session.h"

struct link {
	struct session session;
	struct mqtt_loop *ml;
	struct stream *stream;
	struct loop_timer timer; /* at session_due_us */
};

struct slot {
	struct link *link; /* NULL: free */
	uint32_t generation, next_free;
};

struct mqtt_loop {
	struct loop *loop;
	struct mqtt_options o;
	struct session_world world;
	struct sessions sessions;
	struct slot *slots;
	uint32_t nslot, free_slot; /* free_slot: TABLE_NONE when there is none */
	uint32_t nsession, nwork;
	struct reaper { /* links.c */
		struct msg msg;
		struct loop_timer timer;
		atomic_bool asked; /* msg is on its way */
		bool review;       /* all links are to be reviewed, from `at` on */
		uint32_t at;       /* the next slot */
		uint32_t ndoomed;
		struct limit_rate rate; /* of closings */
		int64_t until_ns;
	} reaper;
};

/* The link of a session that is given to the world. */
static inline struct link *
link_of(const struct session *s)
{
	return (struct link *)((char *)s - offsetof(struct link, session));
}

/* loop.c */
void link_perform(struct link *l, struct actions *a);

/* links.c: links whose opener counts no more */
enum reason link_outdated(struct session *s, uint64_t judged_by);
/* It has been doomed: it ends now, or when its turn comes among the others that are closed for such a reason. */
void link_doomed(struct link *l);
void link_ended(struct link *l);
void links_init(struct mqtt_loop *ml);

#endif
