/* mqtt: what its files share. */
#ifndef TWINHUB_MQTT_PRIV_H
#define TWINHUB_MQTT_PRIV_H

#include "log/log.h"
#include "mqtt/mqtt.h"

/*
 *  NEW --CONNECT--> ASKING --accepted--> LIVE
 *   |                  |                   |
 *   +--link closed, ---+-- refused --------+--> CLOSED
 *      or late
 *
 * ASKING reads nothing: what a client sends before its CONNACK waits in the stream (D-29). CLOSED is the end: the slot goes
 * to another session with a new generation, and answers still under way find nobody.
 */
enum session_state { S_NEW, S_ASKING, S_LIVE, S_CLOSED, S_STATES };

struct session {
	struct mqtt_loop *ml;
	struct stream *stream;
	uint32_t slot;
	uint8_t state;
	bool paused;               /* reading stopped for back-pressure */
	bool resting;              /* the same, for a rate limit */
	bool rested;               /* it has had to before */
	bool said_goodbye;         /* DISCONNECT came: the will is off */
	bool on_behalf;            /* its CONNECT says that another one speaks for it */
	bool told;                 /* its refusal is in the log: its end need not be */
	enum reason why;           /* of its end, once that is decided here */
	struct str device, module; /* in ids */
	char ids[2 * ID_MAX];
	uint64_t epoch;
	uint32_t idle_s;            /* seconds of silence that end the link */
	size_t waiting;             /* bytes of an unfinished CONNECT */
	uint32_t nwork, work_bytes; /* operations under way */
	struct buf will;            /* the will's log record body; empty: none */
	struct opened opened;       /* what opened it */
	char *policy;               /* whose key that is; NULL: no policy's */
	enum reason doomed; /* why it is to be closed when its turn comes; REASON_NONE: it is not */
	int64_t heard_us;   /* last packet */
	struct loop_timer idle, token, rest;
};

struct slot {
	struct session *session; /* NULL: free */
	uint32_t generation, next_free;
};

struct mqtt_loop {
	struct loop *loop;
	struct mqtt_options o;
	struct doc_parser *parser;
	struct slot *slots;
	uint32_t nslot, free_slot; /* free_slot: TABLE_NONE when there is none */
	uint32_t nsession, nwork;
	size_t strangers; /* bytes of unfinished CONNECTs */
	struct reaper {   /* links.c */
		struct msg msg;
		struct loop_timer timer;
		atomic_bool asked; /* msg is on its way */
		bool review;       /* all links are to be reviewed, from `at` on */
		uint32_t at;       /* the next slot */
		uint32_t ndoomed;
		struct limit_rate rate; /* of closings */
		int64_t until_ns;
	} reaper;
	struct buf doc, topic, body, packet, bag; /* working memory */
	struct arena arena;
};

/* session.c */
struct session *session_of(struct mqtt_loop *ml, struct reply_to to);
void session_close(struct session *s, enum reason why); /* sends what is queued first */
void session_abort(struct session *s, enum reason why);
/* What a packet's step returns when the link has to end. */
enum err session_fault(struct session *s, enum reason why);
/* A line about it; `device` for a session that has none yet. */
void session_log(const struct session *s, enum log_event event, enum reason why, struct str device,
    struct str detail);
/* A work of this session, its identity and address filled in. */
struct work *session_work(
    struct session *s, enum op_kind kind, size_t room, void (*done)(struct work *w));
void session_submit(struct session *s, struct work *w);

/* limits.c: rate limits. Each says whether it may be done now; then it is. */
/* A CONNECT, when nothing is known but where it comes from and who it says it is; of the latter nothing is taken, for it may
 * be a stranger. So what is refused takes no link's place. */
bool link_may_ask(const struct session *s, struct str token, struct limit_refusal *why);
/* ...and once it is known who that is. */
bool session_may_begin(const struct session *s, const struct verdict *v, struct limit_refusal *why);
bool session_may(const struct session *s, enum limit_kind kind, struct limit_refusal *why);
/* Telemetry. ERR_MORE: the session reads on when it may, and the packet comes again. ERR_PROTOCOL: it would wait too long. */
enum err session_may_send(struct session *s);
void session_rest_init(struct session *s);
/* The work is back: NULL if its session has ended, which it then also frees. */
struct session *session_back(struct work *w);
/* CONNECT is under way: nothing is read until the verdict. */
void session_asks(struct session *s);
/* The verdict: LIVE, with timers. */
void session_accepted(struct session *s, const struct reply *r);
void session_write(struct session *s, const struct buf *packet);

/* links.c: links whose opener counts no more */
void link_review(struct session *s);
/* Now, or when its turn comes among the others that are closed for such a reason. */
void link_doom(struct session *s, enum reason why);
void link_gone(struct session *s);
void link_ended(struct session *s);
void links_init(struct mqtt_loop *ml);

/* connect.c */
enum err on_connect_packet(struct session *s, const struct mqtt_packet *p);
/* publish.c */
enum err on_publish_packet(struct session *s, const struct mqtt_packet *p);
/* Append the log record body of telemetry; ERR_SIZE when it is over MQTT_MESSAGE_MAX. */
enum err telemetry_body(struct mqtt_loop *ml, struct str bag, struct str payload, bool retain,
    bool will, struct buf *out);
/* methods.c */
typedef void work_done(struct work *w);
void session_call(struct session *s, const struct note *n);
enum err publish_method_response(
    struct session *s, const struct mqtt_publish *p, const struct topic *t, work_done *done);
/* subscribe.c */
enum err on_subscribe_packet(struct session *s, const struct mqtt_packet *p);

#endif
