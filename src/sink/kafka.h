/*
 * What the plug-in for Kafka gives (plugins/kafka): plain C, so that the hub links nothing of librdkafka and runs without it. The plug-in has one
 * symbol, SINK_KAFKA_SYMBOL, a `const struct sink_kafka_ops`.
 *
 * A producer is one thread's. Texts end with a NUL and are borrowed for the call; an empty one is none.
 */
#ifndef TWINHUB_SINK_KAFKA_H
#define TWINHUB_SINK_KAFKA_H

#include <stdbool.h>
#include <stddef.h>

#define SINK_KAFKA_ABI    1u
#define SINK_KAFKA_FILE   "twinhub-kafka.so"
#define SINK_KAFKA_SYMBOL "twinhub_kafka"

struct sink_kafka_conf {
	const char *brokers, *topic, *ca, *username, *password, *mechanism;
	bool tls;
};

struct sink_kafka_message {
	const char *key, *value;
	size_t nkey, nvalue;
};

enum sink_kafka_end {
	SINK_KAFKA_TAKEN, /* all are acknowledged */
	SINK_KAFKA_WAITS, /* some are still on their way: ask again with the same ones, nothing is sent twice */
	SINK_KAFKA_FAILED,    /* some are lost: all may be sent again */
	SINK_KAFKA_TOO_LARGE, /* because of their size */
};

struct sink_kafka_ops {
	unsigned abi;
	/* NULL: why says what is wrong. */
	void *(*open)(const struct sink_kafka_conf *c, char *why, size_t nwhy);
	/* Send all, and wait for at most so long. Unless it is SINK_KAFKA_TAKEN, why says what stands in the way. */
	enum sink_kafka_end (*send)(void *producer, const struct sink_kafka_message *v, unsigned n,
	    int wait_ms, char *why, size_t nwhy);
	/* What is on its way may arrive all the same. */
	void (*close)(void *producer);
};

#endif
