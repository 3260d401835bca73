/*
 * The plug-in for Kafka: an idempotent producer of librdkafka (E-46). Messages wait in it for ever and keep their order; who sends is told
 * what stands in the way, and asks again.
 */
#include <librdkafka/rdkafka.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sink/kafka.h"

struct producer {
	rd_kafka_t *rk;
	char *topic;
	unsigned nunder_way, nfailed, ntoo_large;
	char error[256]; /* the last that the cluster, or a message, had */
};

/* ---- callbacks, within rd_kafka_poll ---- */

static void
on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *ctx)
{
	struct producer *p = ctx;

	(void)rk;
	p->nunder_way--;
	if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR)
		return;
	p->nfailed++;
	p->ntoo_large += m->err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
	snprintf(p->error, sizeof p->error, "%s", rd_kafka_err2str(m->err));
}

static void
on_error(rd_kafka_t *rk, int err, const char *reason, void *ctx)
{
	struct producer *p = ctx;

	(void)rk;
	snprintf(p->error, sizeof p->error, "%s: %s", rd_kafka_err2str((rd_kafka_resp_err_t)err),
	    reason);
}

/* ---- open and close ---- */

struct setting {
	const char *name, *value;
};

static rd_kafka_conf_t *
conf_make(const struct sink_kafka_conf *c, struct producer *p, char *why, size_t nwhy)
{
	bool user = c->username[0] != '\0';
	const struct setting settings[] = { { "bootstrap.servers", c->brokers },
		{ "client.id", "twinhub" }, { "enable.idempotence", "true" }, { "acks", "all" },
		{ "message.timeout.ms", "0" }, /* for ever: what waits keeps its order */
		{ "message.max.bytes", "2000000" }, { "linger.ms", "5" },
		{ "partitioner", "murmur2_random" }, /* as Java's: a key has one partition */
		{ "log_level", "0" },
		{ "security.protocol",
		    c->tls ? (user ? "sasl_ssl" : "ssl")
		           : (user ? "sasl_plaintext" : "plaintext") },
		{ c->ca[0] != '\0' ? "ssl.ca.pem" : NULL, c->ca },
		{ user ? "sasl.mechanisms" : NULL,
		    c->mechanism[0] != '\0' ? c->mechanism : "PLAIN" },
		{ user ? "sasl.username" : NULL, c->username },
		{ user ? "sasl.password" : NULL, c->password } };
	rd_kafka_conf_t *conf = rd_kafka_conf_new();

	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		if (settings[i].name == NULL ||
		    rd_kafka_conf_set(conf, settings[i].name, settings[i].value, why, nwhy) ==
		        RD_KAFKA_CONF_OK)
			continue;
		rd_kafka_conf_destroy(conf);
		return NULL;
	}
	rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	rd_kafka_conf_set_error_cb(conf, on_error);
	rd_kafka_conf_set_opaque(conf, p);
	return conf;
}

static void *
producer_open(const struct sink_kafka_conf *c, char *why, size_t nwhy)
{
	struct producer *p = calloc(1, sizeof(*p));
	rd_kafka_conf_t *conf;

	if (p == NULL || (p->topic = strdup(c->topic)) == NULL)
		abort();
	conf = conf_make(c, p, why, nwhy);
	if (conf != NULL)
		p->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, nwhy);
	if (conf != NULL && p->rk == NULL)
		rd_kafka_conf_destroy(conf);
	if (p->rk != NULL)
		return p;
	free(p->topic);
	free(p);
	return NULL;
}

static void
producer_close(void *producer)
{
	struct producer *p = producer;

	rd_kafka_purge(p->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
	rd_kafka_poll(p->rk, 0);
	rd_kafka_destroy(p->rk);
	free(p->topic);
	free(p);
}

/* ---- send ---- */

static void
put(struct producer *p, const struct sink_kafka_message *m)
{
	rd_kafka_resp_err_t e;
	void *value;

	memcpy(&value, &m->value, sizeof value); /* it is copied, though not const */
	e = rd_kafka_producev(p->rk, RD_KAFKA_V_TOPIC(p->topic),
	    RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(m->key, m->nkey),
	    RD_KAFKA_V_VALUE(value, m->nvalue), RD_KAFKA_V_END);

	if (e == RD_KAFKA_RESP_ERR_NO_ERROR) {
		p->nunder_way++;
		return;
	}
	p->nfailed++;
	p->ntoo_large += e == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
	snprintf(p->error, sizeof p->error, "%s", rd_kafka_err2str(e));
}

static enum sink_kafka_end
producer_send(void *producer, const struct sink_kafka_message *v, unsigned n, int wait_ms,
    char *why, size_t nwhy)
{
	struct producer *p = producer;

	if (p->nunder_way == 0) {
		p->nfailed = p->ntoo_large = 0;
		p->error[0] = '\0';
		/* behind one that failed no other goes: it would come before it */
		for (unsigned i = 0; i < n && p->nfailed == 0; i++)
			put(p, &v[i]);
	}
	if (p->nunder_way > 0)
		rd_kafka_flush(p->rk, wait_ms);
	snprintf(why, nwhy, "%s", p->error[0] != '\0' ? p->error : "no broker has answered yet");
	if (p->nunder_way > 0)
		return SINK_KAFKA_WAITS;
	if (p->nfailed == 0)
		return SINK_KAFKA_TAKEN;
	return p->ntoo_large > 0 ? SINK_KAFKA_TOO_LARGE : SINK_KAFKA_FAILED;
}

extern const struct sink_kafka_ops twinhub_kafka;
const struct sink_kafka_ops twinhub_kafka = { SINK_KAFKA_ABI, producer_open, producer_send,
	producer_close };
