/*
 * A device's session without its link. What comes in is a value: a packet, an answer of the fleet, a note, the time, the end of the
 * stream. What is to be done comes out as actions, and the loop (loop.c) does it. Nothing here touches a stream, a
 * timer, a clock or a worker; what a session has to ask while it decides is struct session_world. Rules: docs/spec/device-mqtt.md.
 *
 *  NEW --CONNECT--> ASKING --accepted--> LIVE
 *   |                 |                   |
 *   +-- refused ------+-- refused --------+-- DISCONNECT, a rule broken, silence, token's end, taken over, revoked, stop
 *   |                 |                   |       |
 *   |                 |                   |       v
 *   |                 |                   |    LEAVING
 *   |                 |                   |       |
 *   +-----------------+-------------------+-------+-- the stream has ended --> CLOSED
 *
 * ASKING reads nothing: what a client sends before its CONNACK waits in the stream (D-29). LEAVING has been told to go: it says and
 * does no more, and waits for the end of its stream. After CLOSED, answers still under way find nobody.
 */
#ifndef TWINHUB_MQTT_SESSION_H
#define TWINHUB_MQTT_SESSION_H

#include "log/log.h"
#include "message/message.h"
#include "mishap/mishap.h"
#include "mqtt/mqtt.h"

enum session_state { S_NEW, S_ASKING, S_LIVE, S_LEAVING, S_CLOSED, S_STATES };

struct session;

/*
 * What a session asks while it decides; all of it is answered at once. The loop asks the catalogue in use, the rate limits, the
 * TLS connection and the clock; a test has it written down.
 */
struct session_world {
	/* Is it a name that this hub answers to? */
	bool (*host_is_mine)(struct session *s, struct str host);
	/* What its client has shown of itself in TLS; all zero without. Costs two hashes. */
	void (*shows)(struct session *s, struct tls_peer *out);
	/* Why s->opened counts no more, if the catalogue is not the one of version judged_by any more; REASON_NONE: it does. */
	enum reason (*outdated)(struct session *s, uint64_t judged_by);
	/* Has the certificate that opened it been revoked since? NULL: none ever is. */
	bool (*revoked)(struct session *s);
	/* Are there rate limits now? NULL: never. Nothing of the three below is asked as long as there are none. */
	const atomic_bool *limited;
	/* limiter_allows, limiter_takes, limiter_meters; the first two put the address of the session's client into a copy of the asker. */
	bool (*allows)(struct session *s, enum limit_kind kind, const struct limit_asker *asker,
	    struct limit_refusal *why);
	bool (*takes)(struct session *s, enum limit_kind kind, const struct limit_asker *asker,
	    struct limit_refusal *why);
	/* Is this to go wrong now, by order of a test? NULL: nothing is. */
	bool (*meets)(struct session *s, enum mishap what, struct mishap_met *out);
	/* By such an order: its shard is to be given up, and taken anew. NULL only where nothing is met. */
	void (*moves)(struct session *s);
	/* offenders_hold, offenders_failed, offenders_passed, of the identity that it says to be. All NULL: nobody is held off. */
	bool (*holds)(struct session *s, struct backoff_wait *out);
	bool (*failed)(struct session *s, enum reason why, struct backoff_wait *out);
	void (*passed)(struct session *s);
	void (*meters)(struct session *s, uint64_t bytes);
	/* What the body of an error bears: when it was, and a number to find it by. */
	int64_t (*wall_us)(struct session *s);
	/* Where its client is; empty: not known. NULL: nobody's is. */
	const char *(*from)(struct session *s, char out[NET_ADDR_TEXT_MAX]);
	void (*random)(struct session *s, unsigned char out[16]);
};

/* What the sessions of one loop share. */
struct sessions {
	const struct session_world *world;
	uint32_t max_in_flight;
	size_t strangers; /* bytes of unfinished CONNECTs */
	struct doc_parser *parser;
	struct buf doc, topic, body, packet, bag; /* working memory, as are both below */
	struct arena arena;
	struct fault fault;
};
/* max_in_flight: see mqtt_options. */
void sessions_init(struct sessions *all, const struct session_world *world, uint32_t max_in_flight);
void sessions_fini(struct sessions *all);

#define SESSION_NEVER INT64_MAX

struct session {
	struct sessions *all;
	struct reply_to self; /* how answers and notes find it */
	uint64_t address;     /* asker_key of where it comes from; 0: not limited by that */
	uint8_t state;
	bool full;                 /* reading stopped for back-pressure, and is not yet to go on */
	bool held;                 /* session_hold */
	bool delayed;              /* it has had to wait for a rate limit once */
	bool said_goodbye;         /* DISCONNECT came: the will is off */
	bool on_behalf;            /* its CONNECT says that another one speaks for it */
	bool late;                 /* the packet at hand has been held up by order */
	bool told;                 /* its refusal is in the log: its end need not be */
	enum reason why;           /* of its end, once that is decided here */
	enum reason doomed;        /* why it ends when its turn comes; REASON_NONE: it is not to */
	struct str device, module; /* in ids */
	char ids[2 * ID_MAX];
	uint64_t session_epoch;         /* of the hub; 0: it has not been accepted */
	uint32_t idle_s;                /* seconds of silence that end the link */
	uint32_t nwork, work_bytes;     /* operations under way */
	uint16_t out[MESSAGES_OUT_MAX]; /* packet ids of messages that are not acknowledged */
	uint8_t nout;
	size_t waiting;       /* bytes of an unfinished CONNECT */
	struct buf will;      /* the will's log record body; empty: none */
	struct opened opened; /* what opened it */
	char *policy;         /* whose key that is; NULL: no policy's */
	char *client;         /* what it calls itself, until it is accepted; NULL: nothing */
	/* $version of the desired properties that it was given last; 0: none were */
	uint32_t desired_sent;
	/* $version up to which it knows of each change of the desired properties; 0: not known */
	uint32_t desired_known;
	bool desired_missed; /* one could not be sent: until it reads its twin */
	/* what it is resumed by (session_resume) besides */
	bool clean;
	bool owed;         /* session_owed */
	uint64_t identity; /* reply.identity */
	int64_t since_us;  /* wall clock */
	/* of a clean one (filters_put); those of others are stored */
	char *filters;
	uint32_t filters_n;
	/* what its end's line says beside the reason: who has taken its place, which packet was wrong; NULL: nothing */
	char *detail;
	struct backoff_wait backoff; /* of its refusal, for REASON_AUTH_BACKOFF */
	/* last packet; SESSION_NEVER: it could not be heard since the last look */
	int64_t heard_us;
	int64_t idle_us, token_us, rest_us; /* when they are due; SESSION_NEVER */
	int64_t late_us; /* since when a message waits for a rate limit; 0: none does */
};

enum session_ending {
	SESSION_STAYS,
	SESSION_LEAVES, /* once the peer has what is queued */
	SESSION_DROPS   /* at once */
};

/* What one input brings about, to be done in this order. Zeroed before it. What it borrows is the input's, or lasts until the next
 * input of any session of this loop. */
struct actions {
	struct log_story line; /* without peer, which the loop knows; reason REASON_NONE: none */
	struct str send;       /* packets for the peer */
	struct work *work;     /* owned: for its shard; without home, owner, done. NULL: none */
	bool accepted;         /* the deadline for the CONNECT is off */
	bool doomed; /* it is to end for s->doomed, when there is room for that (reaper.h) */
	enum session_ending ending;
};

/* Its link is up. */
void session_open(struct session *s, struct sessions *all, struct reply_to self, uint64_t address);
/* After session_end. */
void session_fini(struct session *s);

/*
 * A packet. ERR_OK: it is done. ERR_MORE: telemetry that has to wait for a rate limit; the same packet is to come again
 * once the session reads. ERR_PROTOCOL: the session ends.
 */
enum err session_step(
    struct session *s, const struct mqtt_packet *p, int64_t now_us, struct actions *a);
/* The first packet of `in`, *size bytes; ERR_MORE also: it is not whole. Only while session_reads. */
enum err session_bytes(
    struct session *s, struct str in, int64_t now_us, size_t *size, struct actions *a);
/* So many bytes were left of what has come so far. */
void session_waits(struct session *s, size_t waiting, struct actions *a);

/* The answer to its OP_CONNECT, and to any other operation. w stays the caller's. */
void session_verdict(
    struct session *s, const struct work *w, int64_t now_us, int64_t wall_us, struct actions *a);
void session_answer(struct session *s, const struct work *w, struct actions *a);
/* For an accepted OP_CONNECT whose session has gone meanwhile: the shard must not think that it lives. The caller's. */
struct work *session_orphan(const struct work *connect);

/* Of an OP_DISCONNECT that comes back: true if it had a will which is not published; then the line that says so, borrowed from w. */
bool session_will_lost(const struct work *w, struct log_story *line);

/* Unasked for, from the fleet: a change of the desired properties, a call, or that it is to end. */
void session_note(struct session *s, const struct note *n, struct actions *a);
/* Was it opened by a certificate that is revoked by now? */
bool session_revoked(struct session *s);
/* To end at its turn: true if it was not yet. */
bool session_doom(struct session *s, enum reason why);
/* Its turn. */
void session_turn(struct session *s, struct actions *a);
/* Its shard has another owner: it asks to be taken up, before anything else of that session is sent there. Ends if it is not (O-232). */
void session_resume(struct session *s, struct actions *a);
/* It has asked, and nobody has said yet that it may go on, or not: if it has had an answer, it is to ask again. */
bool session_owed(const struct session *s);
/* The program ends: as if the link had failed. */
void session_stop(struct session *s, struct actions *a);

/* When session_tick is to be called next: now_us is then at least that. Changes only in an input. */
int64_t session_due_us(const struct session *s);
/* The clock of the hub has been put ahead: its token ends so much sooner. */
void session_later(struct session *s, int64_t by_us);
void session_tick(struct session *s, int64_t now_us, struct actions *a);

/* The stream is gone: the last input. */
void session_end(struct session *s, enum stream_end end, struct actions *a);

/* Its packets have to wait until others' operations are over; false: no more. */
void session_hold(struct session *s, bool held, int64_t now_us);

/* Whether it takes packets now. Changes only in an input. */
bool session_reads(const struct session *s);

#endif
