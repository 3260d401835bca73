/*
 * Messages to devices (docs/spec/messages.md), for who owns the shards: what the time brings about, what is there, and feedback. The operations
 * are hub/op.h's (OP_MESSAGE_*, OP_FEEDBACK_*).
 */
#ifndef TWINHUB_HUB_MESSAGES_H
#define TWINHUB_HUB_MESSAGES_H

#include "hub/hub.h"
#include "task/task.h"

/* Feedback and the counts of dead messages: what a shard keeps of them beside its queues. */
extern const struct feature message_feature;

/* A device with a message that is out no more, as its time is over: it wants an OP_MESSAGES_LOOK. false: there is none. */
bool messages_over(struct shard *sh, int64_t elapsed_us, struct str *device);
/* Is anything out for a time? */
bool messages_timed(const struct shard *sh);
/* Has a session, since the last question, been given less than it may have (message_bytes_left)? Those of messages_awaited are to be
 * looked at again. */
bool messages_held(struct shard *sh);
/* A device with messages that listens, of the rows from *row on, which is moved on; false: there is no more. */
bool messages_awaited(struct shard *sh, uint32_t *row, struct str *device);
/* Feedback that nobody has taken in its time goes; in an operation. */
void feedback_expire(struct shard *sh, const struct hub_env *env);
/* Is there any, locked or not? And when does the oldest one's time end? 0: there is none. */
int64_t feedback_due_us(const struct shard *sh, const struct hub_env *env);

/* What is there of messages: in one shard, or summed up. */
struct message_counts {
	uint64_t queued, feedback, dead[MESSAGE_ENDS], dropped;
};
void messages_count(const struct shard *sh, struct message_counts *sum);
struct messages_task {
	struct task task;
	struct message_counts counts; /* out */
};
struct messages_task *messages_task_new(void);

#endif
