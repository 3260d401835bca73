/* What all senders have in common: one batch, what is left of it, and when it is tried again. */
#include <openssl/rand.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "log/log.h"
#include "metric/metric.h"
#include "os/clock.h"
#include "os/os.h"
#include "sink/priv.h"

_Static_assert(
    (int)SINK_KINDS == METRIC_SINKS && (int)SINK_KAFKA == METRIC_KAFKA, "as metrics name them");

const char *const sender_phase_names[SENDER_PHASES] = { "idle", "sending", "waiting", "stopped" };

void
attempt_failed(struct attempt *a, enum attempt_end end, const char *fmt, ...)
{
	va_list ap;

	a->end = end;
	va_start(ap, fmt);
	vsnprintf(a->text, sizeof a->text, fmt, ap);
	va_end(ap);
}

/* ---- all of them ---- */

enum err
senders_new(const struct senders_options *o, struct senders **out, struct fault *f)
{
	struct senders *all = xcalloc(1, sizeof(*all));
	enum err e = ERR_OK;

	all->o = *o;
	all->dir = -1;
	pthread_mutex_init(&all->mu, NULL);
	if (o->dir != NULL) {
		all->dir = open(o->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (all->dir < 0)
			e = os_fault(f, "opening", o->dir);
	}
	if (e == ERR_OK)
		e = hooks_new(all, f);
	if (e != ERR_OK)
		senders_free(all);
	else
		*out = all;
	return e;
}

static const struct sender_ops *const sender_kinds[SINK_KINDS] = {
	[SINK_WEBHOOK] = &hook_ops, [SINK_FILE] = &file_ops, [SINK_KAFKA] = &kafka_ops
};

void
senders_free(struct senders *all)
{
	if (all == NULL)
		return;
	assert(all->n == 0);
	hooks_free(all);
	if (all->dir >= 0)
		close(all->dir);
	pthread_mutex_destroy(&all->mu);
	free(all);
}

/* ---- one ---- */

/* libcurl, and others, want a NUL. */
static void
keep(struct sender *s, struct str *text)
{
	char *copy;

	if (text->n == 0) {
		*text = STR_NONE;
		return;
	}
	copy = arena_alloc(&s->arena, text->n + 1);
	bytes_copy(copy, text->p, text->n);
	text->p = copy;
}

static void
spec_keep(struct sender *s)
{
	struct sink_spec *p = &s->spec;
	struct str *texts[] = { &p->name, &p->url, &p->secret, &p->token, &p->client_certificate,
		&p->client_key, &p->ca, &p->origin, &p->path, &p->brokers, &p->topic, &p->username,
		&p->password, &p->mechanism };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		keep(s, texts[i]);
}

static void
sender_free(struct sender *s)
{
	arena_fini(&s->arena);
	free(s);
}

enum err
sender_new(struct senders *all, const struct sink_spec *spec, struct sender **out, struct fault *f)
{
	struct sender *s = xcalloc(1, sizeof(*s));
	enum err e;

	assert(spec->kind < SINK_KINDS);
	s->all = all;
	s->spec = *spec;
	s->ops = sender_kinds[spec->kind];
	spec_keep(s);
	if ((e = s->ops->open(s, f)) != ERR_OK) {
		sender_free(s);
		return e;
	}
	pthread_mutex_lock(&all->mu);
	all->n++;
	pthread_mutex_unlock(&all->mu);
	*out = s;
	return ERR_OK;
}

bool
sender_offer(struct sender *s, struct sink_batch *b)
{
	bool taken;

	assert(b->n > 0);
	pthread_mutex_lock(&s->all->mu);
	taken = s->batch == NULL && !s->ending;
	if (taken) {
		s->batch = b;
		s->done = 0;
		s->most = b->n;
		s->ops->wake(s);
	}
	pthread_mutex_unlock(&s->all->mu);
	return taken;
}

void
sender_end(struct sender *s)
{
	struct senders *all = s->all;

	pthread_mutex_lock(&all->mu);
	s->ending = true;
	s->ops->wake(s);
	pthread_mutex_unlock(&all->mu);
	s->ops->close(s);
	if (s->batch != NULL)
		s->batch->over(s->batch, false);
	pthread_mutex_lock(&all->mu);
	all->n--;
	pthread_mutex_unlock(&all->mu);
	sender_free(s);
}

static enum sender_phase
phase_of(const struct sender *s)
{
	if (s->stopped)
		return SENDER_STOPPED;
	if (s->sending)
		return SENDER_SENDING;
	return s->batch != NULL ? SENDER_WAITING : SENDER_IDLE;
}

void
sender_look(struct sender *s, struct sender_state *out)
{
	int64_t now_us = clock_mono_us();

	pthread_mutex_lock(&s->all->mu);
	*out = s->state;
	out->phase = phase_of(s);
	out->attempts = s->pace.attempts;
	if (out->phase == SENDER_WAITING && s->pace.due_us > now_us)
		out->wait_us = s->pace.due_us - now_us;
	pthread_mutex_unlock(&s->all->mu);
}

bool
sender_is_ending(struct sender *s)
{
	bool ending;

	pthread_mutex_lock(&s->all->mu);
	ending = s->ending;
	pthread_mutex_unlock(&s->all->mu);
	return ending;
}

/* ---- attempts ---- */

bool
sender_begins(struct sender *s, int64_t now_us, struct part *part, int64_t *due_us)
{
	if (s->batch == NULL || s->stopped || s->sending || s->ending)
		return false;
	if (s->pace.due_us > now_us) {
		if (*due_us > s->pace.due_us)
			*due_us = s->pace.due_us;
		return false;
	}
	part->from = s->done;
	part->n = s->batch->n - s->done < s->most ? s->batch->n - s->done : s->most;
	s->sending = true;
	return true;
}

static uint64_t
random_bits(void)
{
	uint64_t v = 0;

	(void)RAND_bytes(
	    (unsigned char *)&v, sizeof v); /* without them waits are short, and that is all */
	return v;
}

/* How it went, for the log: when it changes, and not each time. */
enum told { TOLD_NOTHING, TOLD_FAILS, TOLD_WORKS, TOLD_GIVEN_UP, TOLD_STOPPED };

static enum told
note_failure(struct sender *s, const struct attempt *a)
{
	metric_add(METRIC_SINK_FAILURES, s->spec.kind, 1);
	s->state.error_us = clock_wall_us();
	snprintf(s->state.error, sizeof s->state.error, "%s", a->text);
	if (a->end == ATTEMPT_GONE) {
		s->stopped = true;
		return TOLD_STOPPED;
	}
	pace_failed(&s->pace, a->end, clock_mono_us(), a->asked_us, random_bits());
	return s->pace.attempts == 1 ? TOLD_FAILS : TOLD_NOTHING;
}

static enum told
note_success(struct sender *s, struct part part)
{
	bool failed = s->pace.attempts > 0;

	pace_good(&s->pace);
	s->state.success_us = clock_wall_us();
	s->state.delivered += part.n;
	metric_add(METRIC_SINK_EVENTS, s->spec.kind, part.n);
	s->done += part.n;
	return failed ? TOLD_WORKS : TOLD_NOTHING;
}

static enum told
settle(struct sender *s, struct part part, const struct attempt *a)
{
	if (a->end == ATTEMPT_TAKEN)
		return note_success(s, part);
	if (a->end != ATTEMPT_TOO_LARGE)
		return note_failure(s, a);
	if (part.n > 1) {
		s->most = part.n / 2;
		return TOLD_NOTHING;
	}
	s->state.error_us = clock_wall_us();
	snprintf(s->state.error, sizeof s->state.error, "%s", a->text);
	s->state.given_up++;
	metric_add(METRIC_SINK_GIVEN_UP, s->spec.kind, 1);
	s->done++;
	return TOLD_GIVEN_UP;
}

static void
tell(const struct sender *s, enum told what, const char *why)
{
	static const struct {
		enum log_level level;
		const char *msg;
	} lines[] = { [TOLD_FAILS] = { LOG_WARN, "a sink takes nothing" },
		[TOLD_WORKS] = { LOG_INFO, "a sink takes events again" },
		[TOLD_GIVEN_UP] = { LOG_WARN, "an event was given up: a sink refuses its size" },
		[TOLD_STOPPED] = { LOG_WARN, "a sink is gone, and is sent nothing more" } };
	const struct log_pair pairs[] = { { "sink", s->spec.name }, { "why", str_of(why) },
		{ NULL, STR_NONE } };

	if (what != TOLD_NOTHING)
		log_pairs(lines[what].level, lines[what].msg, pairs);
}

void
sender_ended(struct sender *s, struct part part, const struct attempt *a)
{
	struct sink_batch *over = NULL;
	enum told told;

	pthread_mutex_lock(&s->all->mu);
	s->sending = false;
	told = settle(s, part, a);
	if (s->done == s->batch->n) {
		over = s->batch;
		s->batch = NULL;
	}
	pthread_mutex_unlock(&s->all->mu);
	tell(s, told, a->text);
	if (over != NULL)
		over->over(over, true);
}
