/* Kafka by its plug-in (E-46), with librdkafka's own mock cluster: brokers of a real protocol within this process, not a real Kafka. */
#include "sink_kit.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdlib.h>
#include <unistd.h>

#define NPARTITION 4

static rd_kafka_t *holder; /* of the cluster */
static rd_kafka_mock_cluster_t *cluster;
static struct senders *all;

static int
setup(void **state)
{
	struct senders_options o = { 0 };
	char why[256];
	struct fault f;

	(void)state;
	holder = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), why, sizeof why);
	cluster = rd_kafka_mock_cluster_new(holder, 3);
	return rd_kafka_mock_topic_create(cluster, "events", NPARTITION, 3) ==
	            RD_KAFKA_RESP_ERR_NO_ERROR &&
	        senders_new(&o, &all, &f) == ERR_OK
	    ? 0
	    : -1;
}

static int
teardown(void **state)
{
	(void)state;
	senders_free(all);
	rd_kafka_mock_cluster_destroy(cluster);
	rd_kafka_destroy(holder);
	return 0;
}

static struct sink_spec
spec_of(void)
{
	return (struct sink_spec){ .kind = SINK_KAFKA,
		.name = STR("k"),
		.brokers = str_of(rd_kafka_mock_cluster_bootstraps(cluster)),
		.topic = STR("events") };
}

static struct sender *
sender_of(struct senders *of, const struct sink_spec *spec)
{
	struct sender *s;
	struct fault f;

	assert_int_equal(sender_new(of, spec, &s, &f), ERR_OK);
	return s;
}

/* ---- what has come ---- */

static rd_kafka_t *
consumer(void)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_topic_partition_list_t *parts = rd_kafka_topic_partition_list_new(NPARTITION);
	char why[256];
	rd_kafka_t *rk;

	rd_kafka_conf_set(
	    conf, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(cluster), why, sizeof why);
	rd_kafka_conf_set(conf, "group.id", "test", why, sizeof why);
	rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
	assert_non_null(rk);
	for (int i = 0; i < NPARTITION; i++)
		rd_kafka_topic_partition_list_add(parts, "events", i)->offset =
		    RD_KAFKA_OFFSET_BEGINNING;
	assert_int_equal(rd_kafka_assign(rk, parts), RD_KAFKA_RESP_ERR_NO_ERROR);
	rd_kafka_topic_partition_list_destroy(parts);
	return rk;
}

/* Of each device n numbers from 0 on, in their order, all of a device in one partition. */
static void
assert_in_order(unsigned ndevice, unsigned n)
{
	rd_kafka_t *rk = consumer();
	unsigned seen[16] = { 0 };
	int partition[16];

	for (unsigned i = 0; i < ndevice * n;) {
		rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, PATIENCE_MAX_S * 1000);
		unsigned device, number;
		char text[64];

		assert_non_null(m);
		if (m->err == 0) {
			snprintf(text, sizeof text, "%.*s", (int)m->len, (char *)m->payload);
			assert_int_equal(sscanf(text, "{\"d\":%u,\"n\":%u}", &device, &number), 2);
			snprintf(text, sizeof text, "device%u", device);
			assert_true(str_eq((struct str){ m->key, m->key_len }, str_of(text)));
			assert_int_equal(number, seen[device]++);
			if (number == 0)
				partition[device] = m->partition;
			assert_int_equal(m->partition, partition[device]);
			i++;
		}
		rd_kafka_message_destroy(m);
	}
	rd_kafka_consumer_close(rk);
	rd_kafka_destroy(rk);
}

static void
fill(struct owner *o, unsigned ndevice, unsigned from, unsigned n)
{
	char json[64], key[32];

	sink_batch_empty(&o->batch);
	for (unsigned i = from; i < from + n; i++)
		for (unsigned d = 0; d < ndevice; d++) {
			snprintf(json, sizeof json, "{\"d\":%u,\"n\":%u}", d, i);
			snprintf(key, sizeof key, "device%u", d);
			sink_batch_add(&o->batch, str_of(json), str_of(key));
		}
}

static void
kafka__E46_a_device_has_one_partition_and_its_order(void **state)
{
	struct sink_spec spec = spec_of();
	struct sender *s = sender_of(all, &spec);
	struct sender_state st;
	struct owner o;

	(void)state;
	owner_init(&o);
	for (unsigned i = 0; i < 3; i++) {
		/* the first two requests of each batch are refused: they are made again, in order, once */
		rd_kafka_mock_push_request_errors(cluster, 0 /* Produce */, 2,
		    RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
		    RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT);
		fill(&o, 8, i * 10, 10);
		assert_true(sender_offer(s, &o.batch));
		assert_true(owner_await(&o, i + 1));
	}
	assert_in_order(8, 30);
	sender_look(s, &st);
	assert_int_equal(st.delivered, 240);
	sender_end(s);
	owner_fini(&o);
}

static void
kafka__E46_brokers_that_are_not_there_are_told(void **state)
{
	struct sink_spec spec = spec_of();
	struct sender_state st;
	struct sender *s;
	struct owner o;

	(void)state;
	spec.brokers = STR("127.0.0.1:1");
	s = sender_of(all, &spec);
	owner_init(&o);
	owner_fill(&o, 1, 2);
	assert_true(sender_offer(s, &o.batch));
	do {
		usleep(1000);
		sender_look(s, &st);
	} while (st.attempts == 0);
	assert_true(strlen(st.error) > 0);
	sender_end(s);
	assert_int_equal(o.nover, 1);
	assert_false(o.taken);
	owner_fini(&o);
}

static void
kafka__E46_without_the_plug_in_it_says_so(void **state)
{
	struct senders_options none = { .plugins = "/nowhere" };
	struct sink_spec spec = spec_of();
	struct senders *without;
	struct sender_state st;
	struct sender *s;
	struct fault f;
	struct owner o;

	(void)state;
	assert_int_equal(senders_new(&none, &without, &f), ERR_OK);
	s = sender_of(without, &spec);
	owner_init(&o);
	owner_fill(&o, 1, 1);
	assert_true(sender_offer(s, &o.batch));
	do {
		usleep(1000);
		sender_look(s, &st);
	} while (st.attempts == 0);
	assert_non_null(strstr(st.error, "the plug-in for Kafka is missing"));
	sender_end(s);
	senders_free(without);
	owner_fini(&o);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kafka__E46_a_device_has_one_partition_and_its_order),
		cmocka_unit_test(kafka__E46_brokers_that_are_not_there_are_told),
		cmocka_unit_test(kafka__E46_without_the_plug_in_it_says_so),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
