/* mqtt: sessions on their streams. What the loop's files share; a session itself (session.h) knows nothing of it. */
#ifndef TWINHUB_MQTT_LOOP_H
#define TWINHUB_MQTT_LOOP_H

#include "base/slots.h"
#include "mqtt/reaper.h"
#include "mqtt/session.h"

/*
 * turns.c: the room for operations of all sessions of a loop. When nothing is left of it they stand in line, so each comes to
 * its turn however much the others send. A turn is for one packet.
 */
struct turn {
	struct link *next, **prev; /* prev NULL: it is not in line */
	bool mine;                 /* it may go on, and has not yet */
};

struct turns {
	struct link *first, **last;
	uint32_t nmine;
	size_t bytes, max_bytes; /* of operations under way */
};
void turns_init(struct turns *t, size_t max_bytes);
/* Whether l has to wait; then it is in line. */
bool turn_awaited(struct turns *t, struct link *l);
/* It has made use of its turn, or had none to make. */
void turn_over(struct turns *t, struct link *l);
/* It has gone. */
void turn_dropped(struct turns *t, struct link *l);
/* Who is to go on now, as there is room; to be asked until it is NULL, whenever bytes or turns have come back. */
struct link *turn_next(struct turns *t);

struct link {
	struct session session;
	struct mqtt_loop *ml;
	struct stream *stream;
	struct loop_timer timer;     /* at session_due_us */
	struct turn turn;            /* turns.c */
	struct story *story;         /* told.c; NULL: it is not accepted, or nobody is told */
	struct story_counts *counts; /* of it */
};

/* resumed.c: a shard whose sessions are being resumed. */
struct comeback {
	struct msg msg;
	struct mqtt_loop *ml;
	struct resumption *of; /* NULL: none is under way */
	uint32_t at;           /* links below have been looked at, in this round */
	uint32_t reached;      /* and in any: what is owed there is all that is wanted */
	uint32_t out;          /* sessions that have no answer yet */
	bool posted;           /* the look goes on by msg */
	bool again; /* some were told nothing: nobody asks any more until the next round */
	struct loop_timer timer; /* to it */
};

struct mqtt_loop {
	struct loop *loop;
	struct mqtt_options o;
	struct session_world world;
	struct sessions sessions;
	struct slots links; /* struct link; their addresses are known to workers */
	uint32_t nsession, nwork;
	struct turns turns;
	struct reaper reaper;
	struct comeback comebacks[SHARDS];
	struct { /* links.c */
		struct msg msg;
		struct loop_timer timer; /* at reaper.due_us */
		atomic_bool asked;       /* msg is on its way: all links are to be reviewed */
	} reaping;
};

/* The link of a session that is given to the world. */
static inline struct link *
link_of(const struct session *s)
{
	return container_of(s, struct link, session);
}

/* loop.c */
/* Whom a work was for, that has come back; NULL: it has gone. */
struct link *link_of_work(struct mqtt_loop *ml, const struct work *w);
void link_perform(struct link *l, struct actions *a);

/* told.c: what stories are told of a link, if anybody is. A CONNECT of it is accepted, or refused as the line says; */
void told_accepted(struct link *l);
void told_refused(struct link *l, const struct log_story *line);
/* Was its identity's connection, or the last one, from where this one comes? */
bool told_known(const struct link *l);
/* a packet has come, whole; what was to be done has been; and it is over. */
void told_received(struct link *l, struct str packet);
void told_performed(struct link *l, const struct actions *a);
void told_closed(struct link *l, enum reason why);

/* resumed.c: one of its sessions has its answer. */
void comeback_heard(struct mqtt_loop *ml, uint32_t shard, const struct link *l);
void comebacks_init(struct mqtt_loop *ml);

/* links.c: links whose opener counts no more */
enum reason link_outdated(struct session *s, uint64_t judged_by);
/* It has been doomed: it ends now, or when its turn comes among the others that are closed for such a reason. */
bool link_revoked(struct session *s);
void link_doomed(struct link *l);
void links_init(struct mqtt_loop *ml);

#endif
