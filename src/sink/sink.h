/*
 * sink: senders, which bring events to places outside of the hub (docs/spec/events.md 4). They know nothing of the log, of routes or of
 * cursors: a batch of events comes in, and goes back to its owner when the place has taken it, however long that takes.
 *
 *   sender_offer(batch) --> tried again and again, with pauses (E-39) --> batch->over(batch, true)
 *                                        \--- sender_end ---------------> batch->over(batch, false)
 *
 * One batch is with a sender at a time, so a place that is down keeps one batch in memory and no more, and the events of one device stay in
 * order. What a place has taken may come a second time, after a restart or when its answer was lost (E-36).
 *
 * Threads: all webhooks have one, on which libcurl's multi interface waits for all of them; each file and each Kafka topic has its own,
 * since those wait for a disk or a library. Any thread may call what is here; over() runs on the sender's thread, or within sender_end, and may
 * call sender_offer of this sender, but not sender_end.
 */
#ifndef TWINHUB_SINK_H
#define TWINHUB_SINK_H

#include "net/net.h"

#define SINK_BATCH_EVENTS_MAX 500u
#define SINK_BATCH_BYTES      (256u << 10) /* of events; one alone may have more */
#define SINK_ERROR_MAX        256u         /* bytes of an error's text, with the NUL */

/* ---- a batch ---- */

struct sink_event {
	uint32_t json_end,
	    key_end; /* in the batch's bytes; they begin where those of the one before end */
};

/* { 0 } is empty. Each event is a CloudEvent as one line of JSON, '\n' behind it, and its key the device's id. */
struct sink_batch {
	struct buf json, keys;
	struct sink_event *v;
	uint32_t n, room;
	/* It is the owner's again. taken: the place has it, but for what it cannot take (givenUp); else nobody knows. */
	void (*over)(struct sink_batch *b, bool taken);
	void *owner;
};

/* Append one. json: without line ends; both are copied. */
void sink_batch_add(struct sink_batch *b, struct str json, struct str key);
struct str sink_batch_json(const struct sink_batch *b, uint32_t i); /* without its '\n' */
struct str sink_batch_key(const struct sink_batch *b, uint32_t i);
void sink_batch_empty(struct sink_batch *b); /* keeps its memory */
void sink_batch_fini(struct sink_batch *b);

/* ---- where to ---- */

enum sink_kind { SINK_WEBHOOK, SINK_FILE, SINK_KAFKA, SINK_KINDS };

/* Texts are borrowed for the call that takes it; empty: there is none. */
struct sink_spec {
	enum sink_kind kind;
	struct str name; /* of the sink, for the log */
	/* webhook (E-40 to E-44) */
	struct str url;
	struct str secret; /* the key of its signatures, as bytes */
	struct str token;
	struct str client_certificate, client_key; /* PEM */
	struct str ca;                             /* PEM; Kafka's, too */
	struct str origin;                         /* who the hub says it is; empty: no handshake */
	uint32_t timeout_s;
	/* file (E-45) */
	struct str path;
	uint64_t max_bytes;
	uint32_t files; /* older ones that are kept */
	/* Kafka (E-46) */
	struct str brokers, topic, username, password, mechanism;
	bool tls;
};

/* ---- senders ---- */

struct senders;
struct sender;

struct senders_options {
	struct nets allow; /* where webhooks may go besides what is public */
	const char *dir;   /* absolute; NULL: files are refused */
	/* the directory of twinhub-kafka.so; NULL: the program's, or ../lib/twinhub of it */
	const char *plugins;
};

/* ERR_IO: no thread or descriptors; ERR_NOT_FOUND and others: of the directory. f says which. */
enum err senders_new(const struct senders_options *o, struct senders **out, struct fault *f);
void senders_free(struct senders *all); /* none is left in it; NULL is fine */

/* ERR_ARG: it cannot be one, and f says why; ERR_IO: no thread. What may be mended later (a name that is not found, a plug-in
 * that is missing) is an error of its attempts. */
enum err sender_new(
    struct senders *all, const struct sink_spec *spec, struct sender **out, struct fault *f);
/* false: it has one under way. */
bool sender_offer(struct sender *s, struct sink_batch *b);
/* Nothing is sent any more when it returns, and s is gone; it may take the time of a write to the disk. */
void sender_end(struct sender *s);

enum sender_phase {
	SENDER_IDLE,
	SENDER_SENDING,
	SENDER_WAITING, /* for the next attempt */
	SENDER_STOPPED, /* the place is gone for good: it takes another definition (E-43) */
	SENDER_PHASES
};
extern const char *const sender_phase_names[SENDER_PHASES];

struct sender_state {
	enum sender_phase phase;
	uint64_t delivered, given_up; /* events */
	uint64_t attempts;            /* that have failed since the last success */
	/* wall clock; 0: never. error_us stays when all is well again */
	int64_t success_us, error_us;
	int64_t wait_us; /* from now until the next attempt */
	char error[SINK_ERROR_MAX];
};
void sender_look(struct sender *s, struct sender_state *out);

/* ---- addresses (E-44) ---- */

/* May a webhook's connection go there? */
bool sink_address_open(const struct net_addr *a, const struct nets *allow);

#endif
