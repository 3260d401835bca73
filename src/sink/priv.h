/* sink: what its files share. */
#ifndef TWINHUB_SINK_PRIV_H
#define TWINHUB_SINK_PRIV_H

#include "os/thread.h"
#include "sink/pace.h"
#include "sink/sink.h"

/* What came of one attempt. */
struct attempt {
	enum attempt_end end;
	int64_t asked_us; /* the receiver wants to be left alone for so long; 0: it did not say */
	char text[SINK_ERROR_MAX]; /* of what has failed */
};
void attempt_failed(struct attempt *a, enum attempt_end end, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Events of the batch that go in one attempt. */
struct part {
	uint32_t from, n;
};

/* How senders of a kind work. */
struct sender_ops {
	/* s->way is made, and what sends begins. As sender_new. */
	enum err (*open)(struct sender *s, struct fault *f);
	/* There is something to do: with the lock held. */
	void (*wake)(struct sender *s);
	/* s->ending is set: return when nothing is sent any more, and s->way is gone. */
	void (*close)(struct sender *s);
};

struct sender {
	struct senders *all;
	const struct sender_ops *ops;
	struct sender *next;   /* webhooks, in all->hooks */
	struct sink_spec spec; /* its texts in the arena, which ends them with a NUL */
	struct arena arena;
	void *way; /* the kind's own */
	/* with all->mu: */
	struct sink_batch *batch; /* NULL: none */
	uint32_t done;            /* events of it that the place has, or that were given up */
	uint32_t most;            /* go at once */
	bool sending, ending;
	bool stopped;
	struct pace pace;
	struct sender_state state;
};

struct hooks;
struct senders {
	struct senders_options o;
	int dir; /* -1: none */
	struct hooks *hooks;
	pthread_mutex_t mu;
	unsigned n;
};

/* With the lock held: may it begin an attempt now? Its part, and it is under way. Else *due_us is when, at the latest what it was. */
bool sender_begins(struct sender *s, int64_t now_us, struct part *part, int64_t *due_us);
/* An attempt has ended: without the lock, which nobody holds who waits for it. */
void sender_ended(struct sender *s, struct part part, const struct attempt *a);

/* hook.c */
enum err hooks_new(struct senders *all, struct fault *f);
void hooks_free(struct senders *all);
extern const struct sender_ops hook_ops;

/* thread.c: senders that wait, each on a thread of its own */
struct waiting_ops {
	void (*attempt)(struct sender *s, void *own, struct part part, struct attempt *a);
	void (*fini)(void *own); /* may be NULL */
};
enum err waiting_open(struct sender *s, const struct waiting_ops *ops, void *own, struct fault *f);
void waiting_wake(struct sender *s);
void waiting_close(struct sender *s);
/* Is it to end? So what waits for long looks now and then. */
bool sender_is_ending(struct sender *s);

/* file.c */
extern const struct sender_ops file_ops;

/* kafka.c */
extern const struct sender_ops kafka_ops;

/* sign.c */
#define SIGN_ID_MAX 17
/* The same for the same bytes: a name of what is sent, for who has seen it already. */
void sign_id(struct str body, char out[SIGN_ID_MAX]);
/* "v1," and base64 of the MAC (E-41), appended. */
void sign_body(struct buf *out, struct str key, const char *id, int64_t time_s, struct str body);

#endif
