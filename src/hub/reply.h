/*
 * What comes of an operation: the reply to who has asked, and effects on others.
 *
 * Both may be told to nobody before what they have seen is on disk: who applies operations holds the reply back, and the effects
 * of the same operation with it (worker/gate.h). If that fails, the reply becomes ServiceUnavailable and effects are
 * dropped, except that what is to close is closed.
 */
#ifndef TWINHUB_HUB_REPLY_H
#define TWINHUB_HUB_REPLY_H

#include "hub/op.h"

/* The answer, filled by hub_apply. body is appended to; the caller owns it. */
struct reply {
	struct fault fault; /* code F_NONE: success */
	/* OP_CONNECT, OP_DISCONNECT with a will: why it is refused, for the log; REASON_NONE: the fault says all there is. OP_RESUME: why the link
	 * is to be closed */
	enum reason reason;
	/* OP_REPORT: reported $version; OP_TWIN_GET: that of the desired properties; OP_SUBSCRIBE to them: the same, from which on each change
	 * is told, else 0; OP_CONNECTION_GET: where the log tells of the end of
	 * its last session, 0: nowhere */
	uint64_t version;
	/* OP_TWIN_GET, OP_REPORT: the session listens to twin answers (D-51); OP_METHOD: the device has been called; else the
	 * call waits for it; OP_CONNECTION_GET: it is connected */
	bool deliver;
	bool session_present; /* OP_CONNECT */
	bool gone;            /* the session is not the identity's current one: no answer, close */
	uint64_t session_epoch; /* OP_CONNECT: the new session's */
	struct verdict verdict; /* OP_CONNECT, OP_JUDGE; end_us is when the link must end (D-20) */
	uint64_t judged_by;     /* OP_CONNECT: version of the catalogue that it was judged by */
	uint64_t identity;      /* OP_CONNECT: another when the identity has changed */
	char etag[40];          /* without quotes; empty: none */
	/* OP_MESSAGE_RECEIVE: what there is to say of the message. Its record is read by its key, behind the commit, by who applies
	 * operations, and is the body of the reply then. number 0: there is none */
	struct message_out {
		uint64_t number;
		uint32_t deliveries; /* before this one */
		char key[MESSAGE_KEY];
	} message;
	struct buf body; /* JSON; OP_SUBSCRIBE: one return code a filter */
	/* OP_TWIN_PATCH, OP_TWIN_REPLACE: what configurations put back (J-68) */
	struct buf warning;
};
/* All of it but the fault's text, which is long and mostly unused. */
static inline void
reply_init(struct reply *r)
{
	memset(r, 0, offsetof(struct fault, text) + 1);
	memset((char *)r + sizeof(r->fault), 0, sizeof(*r) - sizeof(r->fault));
}

static inline void
reply_fini(struct reply *r)
{
	buf_fini(&r->body);
	buf_fini(&r->warning);
}

/* ---- effects: what leaves besides the reply, in order, behind the commit ---- */

/* From EFFECT_METHOD on they leave behind the reply of the operation that sets them off: a session hears first that it
 * is accepted, a caller that its call is under way. */
enum effect_kind {
	EFFECT_NOTIFY,
	EFFECT_CLOSE,
	EFFECT_CONFIGURATIONS, /* configurations_stored has changed: a new catalogue */
	EFFECT_SETTINGS,       /* settings_stored has changed: for the program to know */
	EFFECT_ROUTING,        /* routing_stored has changed: for the program to know */
	EFFECT_JOBS,           /* jobs_stored has changed: for all shards to know */
	EFFECT_ERASE,          /* body: the key of a message's body that is wanted no more */
	EFFECT_FEEDBACK,       /* there is some in the shard `version`, or none any more */
	EFFECT_METHOD,         /* to a session: call it */
	EFFECT_CALL_SENT,      /* to the caller: the device is there, and has been called */
	EFFECT_CALL_DONE,      /* to the caller: the response, or the fault */
	/* to the caller, of EFFECT_METHOD whose commit has failed: nobody has been called; the shard takes it for sent until it is
	 * cancelled */
	EFFECT_CALL_UNSENT,
	/* to a session: deliver a message. `call` is its number, body the key of its record, which is read behind the commit */
	EFFECT_MESSAGE
};

/* Is it for the caller of a method, not for a session? */
static inline bool
effect_is_callers(enum effect_kind kind)
{
	return kind >= EFFECT_CALL_SENT && kind <= EFFECT_CALL_UNSENT;
}

struct effect {
	enum effect_kind kind;
	struct reply_to session; /* or the caller */
	enum reason reason;      /* EFFECT_CLOSE */
	uint32_t version;        /* EFFECT_NOTIFY: desired $version */
	uint64_t call;           /* EFFECT_METHOD: how the response names it */
	struct reply_to caller;  /* EFFECT_METHOD */
	struct str name;         /* EFFECT_METHOD; borrowed, as is body */
	/* EFFECT_NOTIFY: the whole notification; EFFECT_CLOSE: the address of who takes its place, if that is known; of methods: the
	 * JSON text, each way; of a fault: its text */
	struct str body;
	int32_t status;        /* EFFECT_CALL_DONE: the device's own */
	enum fault_code fault; /* EFFECT_CALL_DONE: F_NONE: there is a response */
	uint32_t size;         /* EFFECT_MESSAGE; as are qos and dup */
	uint8_t qos;
	bool dup;
	bool paced; /* EFFECT_CLOSE: one of many, perhaps: not all at once */
};

#endif
