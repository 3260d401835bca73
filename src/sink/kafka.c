/* Events as messages of a Kafka topic (E-46), by a plug-in that is loaded when the first such sink sends. */
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "sink/kafka.h"
#include "sink/priv.h"

#define PLUGIN_PATH_MAX (PATH_MAX + 64)
#define LOOK_MS         200   /* between looks whether it is to end */
#define PATIENCE_MS     10000 /* of one attempt; the next one goes on waiting */

struct kafka {
	void *library;
	const struct sink_kafka_ops *ops;
	void *producer;
};

/* Beside the program, or where its package has it; plugins: there and nowhere else. */
static void
paths_of(const char *plugins, char path[2][PLUGIN_PATH_MAX])
{
	char program[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
	char *slash;

	program[n > 0 ? n : 0] = '\0';
	slash = strrchr(program, '/');
	if (slash != NULL)
		*slash = '\0';
	snprintf(
	    path[0], PLUGIN_PATH_MAX, "%s/" SINK_KAFKA_FILE, plugins != NULL ? plugins : program);
	snprintf(path[1], PLUGIN_PATH_MAX, "%s/../lib/twinhub/" SINK_KAFKA_FILE, program);
}

static bool
load(struct kafka *k, const char *plugins, struct attempt *a)
{
	char path[2][PLUGIN_PATH_MAX];

	paths_of(plugins, path);
	k->library = dlopen(path[0], RTLD_NOW | RTLD_LOCAL);
	if (k->library == NULL && plugins == NULL)
		k->library = dlopen(path[1], RTLD_NOW | RTLD_LOCAL);
	if (k->library == NULL) {
		attempt_failed(
		    a, ATTEMPT_REFUSED, "the plug-in for Kafka is missing: %s", dlerror());
		return false;
	}
	k->ops = dlsym(k->library, SINK_KAFKA_SYMBOL);
	if (k->ops != NULL && k->ops->abi == SINK_KAFKA_ABI)
		return true;
	attempt_failed(a, ATTEMPT_REFUSED, SINK_KAFKA_FILE " is not the plug-in of this program");
	dlclose(k->library);
	k->library = NULL;
	return false;
}

static const char *
text_of(struct str s)
{
	return s.n > 0 ? s.p : "";
}

static bool
ready(struct sender *s, struct kafka *k, struct attempt *a)
{
	const struct sink_spec *p = &s->spec;
	const struct sink_kafka_conf c = { text_of(p->brokers), text_of(p->topic), text_of(p->ca),
		text_of(p->username), text_of(p->password), text_of(p->mechanism), p->tls };
	char why[SINK_ERROR_MAX] = "";

	if (k->library == NULL && !load(k, s->all->o.plugins, a))
		return false;
	if (k->producer == NULL)
		k->producer = k->ops->open(&c, why, sizeof why);
	if (k->producer == NULL)
		attempt_failed(a, ATTEMPT_REFUSED, "%s", why);
	return k->producer != NULL;
}

static void
kafka_attempt(struct sender *s, void *own, struct part part, struct attempt *a)
{
	struct sink_kafka_message v[SINK_BATCH_EVENTS_MAX];
	struct kafka *k = own;
	enum sink_kafka_end end = SINK_KAFKA_WAITS;
	char why[SINK_ERROR_MAX] = "";

	if (!ready(s, k, a))
		return;
	for (uint32_t i = 0; i < part.n; i++) {
		struct str key = sink_batch_key(s->batch, part.from + i),
		           json = sink_batch_json(s->batch, part.from + i);

		v[i] = (struct sink_kafka_message){ key.p, json.p, key.n, json.n };
	}
	for (int ms = 0; ms < PATIENCE_MS && end == SINK_KAFKA_WAITS && !sender_is_ending(s);
	     ms += LOOK_MS)
		end = k->ops->send(k->producer, v, part.n, LOOK_MS, why, sizeof why);
	if (end == SINK_KAFKA_TOO_LARGE)
		attempt_failed(a, ATTEMPT_TOO_LARGE, "%s", why);
	else if (end != SINK_KAFKA_TAKEN)
		attempt_failed(a, ATTEMPT_AGAIN, "%s", why);
}

static void
kafka_fini(void *own)
{
	struct kafka *k = own;

	if (k->producer != NULL)
		k->ops->close(k->producer);
	if (k->library != NULL)
		dlclose(k->library);
	free(k);
}

static const struct waiting_ops waiting = { kafka_attempt, kafka_fini };

static enum err
kafka_sender_open(struct sender *s, struct fault *f)
{
	return waiting_open(s, &waiting, xcalloc(1, sizeof(struct kafka)), f);
}

const struct sender_ops kafka_ops = { kafka_sender_open, waiting_wake, waiting_close };
