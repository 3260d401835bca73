/* What devices do: crowd.h. */
#include "device/priv.h"

#include <stdio.h>

#include "doc/out.h"

#define APPLY_US    (2 * SECOND_US)  /* about what a configuration takes to apply */
#define STAY_US     (30 * SECOND_US) /* flaky: at most */
#define REPORT_EACH 10

/* ---- what is sent ---- */

static void
put_message(struct device *d)
{
	struct crowd *c = d->crowd;

	c->topic.n = c->text.n = 0;
	buf_printf(&c->topic, "devices/%s/messages/events/$.ct=application%%2Fjson&$.ce=utf-8",
	    c->o.keys[d->nth].id);
	buf_printf(&c->text, "{\"temperature\":%u.%u,\"humidity\":%u,\"count\":%u}",
	    18 + (unsigned)(crowd_random(c) % 8), (unsigned)(crowd_random(c) % 10),
	    40 + (unsigned)(crowd_random(c) % 20), (unsigned)d->count);
	if (++d->packet_id == 0 || d->packet_id == UINT16_MAX)
		d->packet_id = 1;
	(void)mqtt_put_publish(&d->link.out, buf_view(&c->topic), buf_view(&c->text), 1, false,
	    d->packet_id); /* it is short */
	device_asks(d, ASKED_MESSAGE);
}

/* c->text: the patch. */
static void
put_update(struct device *d)
{
	struct crowd *c = d->crowd;

	c->topic.n = 0;
	buf_printf(
	    &c->topic, "$iothub/twin/PATCH/properties/reported/?$rid=%u", (unsigned)d->count);
	(void)mqtt_put_publish(&d->link.out, buf_view(&c->topic), buf_view(&c->text), 0, false, 0);
	device_asks(d, ASKED_UPDATE);
}

static void
put_question(struct device *d)
{
	struct crowd *c = d->crowd;

	c->topic.n = 0;
	buf_printf(&c->topic, "$iothub/twin/GET/?$rid=%u", (unsigned)++d->count);
	(void)mqtt_put_publish(&d->link.out, buf_view(&c->topic), STR_NONE, 0, false, 0);
	d->heard = false;
	device_asks(d, ASKED_TWIN);
}

/* ---- sensor ---- */

static int64_t
period_us(const struct crowd *c)
{
	return (int64_t)((double)c->o.n / c->o.rate * 1e6);
}

static void
sensor_acts(struct device *d)
{
	struct crowd *c = d->crowd;

	d->act_us = c->now_us + period_us(c);
	if (d->asked_us != 0) {
		c->figures.late++;
		return;
	}
	d->count++;
	put_message(d);
}

/* Each tenth message has a patch behind it. */
static void
sensor_answered(struct device *d)
{
	struct crowd *c = d->crowd;

	if (d->question != ASKED_MESSAGE || d->count % REPORT_EACH != 1)
		return;
	c->text.n = 0;
	buf_printf(&c->text, "{\"battery\":%u,\"sent\":%u,\"status\":\"running\"}",
	    100 - (unsigned)(d->count / 100 % 100), (unsigned)d->count);
	put_update(d);
}

/* ---- tutorial ---- */

static bool
same(struct doc a, struct doc b)
{
	return doc_defined(a) && doc_defined(b) && doc_equal(a, b);
}

/* The configuration that still has to be brought to an end; DOC_NONE: there is none. */
static struct doc
unsettled(struct doc twin)
{
	struct doc wanted = doc_getc(doc_getc(twin, "desired"), "telemetryConfig"),
	           known = doc_getc(doc_getc(twin, "reported"), "telemetryConfig"),
	           id = doc_getc(wanted, "configId");
	struct str status = doc_text(doc_getc(known, "status"));

	if (!doc_defined(id) || doc_kind(wanted) != DOC_OBJECT)
		return DOC_NONE;
	if (str_eq(status, STR("Success")) && same(id, doc_getc(known, "configId")))
		return DOC_NONE;
	if (str_eq(status, STR("Failed")) &&
	    same(id, doc_getc(doc_getc(known, "pendingConfig"), "configId")))
		return DOC_NONE;
	return wanted;
}

static void
report_pending(struct device *d)
{
	struct crowd *c = d->crowd;

	c->text.n = 0;
	buf_cstr(&c->text,
	    "{\"telemetryConfig\":{\"status\":\"Pending\",\"reason\":null,\"pendingConfig\":");
	buf_str(&c->text, buf_view(&d->config));
	buf_cstr(&c->text, "}}");
	d->step = STEP_PENDING;
	put_update(d);
}

/* "30s", "5m", "24h". */
static bool
frequency_good(struct str s)
{
	size_t n = s.n;

	if (n < 2 || n > 7 || !char_among(s.p[n - 1], "smh") || s.p[0] == '0')
		return false;
	for (size_t i = 0; i + 1 < n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	return true;
}

/* What has been applied, as it was asked for; or that it cannot be. */
static void
report_end(struct device *d)
{
	struct crowd *c = d->crowd;
	struct str members = { d->config.p + 1, d->config.n - 2 };
	struct doc_parsed info;
	bool good;

	c->doc.n = 0;
	good = doc_parse(c->parser, buf_view(&d->config), &c->doc, &info, NULL) == ERR_OK &&
	    frequency_good(doc_text(doc_getc(doc_of(buf_view(&c->doc)), "sendFrequency")));
	c->text.n = 0;
	if (good) {
		buf_cstr(&c->text, "{\"telemetryConfig\":{");
		buf_str(&c->text, members);
		buf_cstr(&c->text, ",\"status\":\"Success\",\"pendingConfig\":null}}");
	} else {
		buf_cstr(&c->text,
		    "{\"telemetryConfig\":{\"status\":\"Failed\",\"reason\":\"sendFrequency is not "
		    "a "
		    "number with s, m or h\"}}");
	}
	d->step = STEP_ENDING;
	put_update(d);
}

/* What it is to do is found by comparing, never from the order of events. */
static void
tutorial_reads(struct device *d, struct doc twin)
{
	struct doc wanted = unsettled(twin);

	buf_fini(&d->config);
	d->config = (struct buf){ 0 };
	d->step = STEP_IDLE;
	if (!doc_defined(wanted))
		return;
	doc_write_json(&d->config, wanted);
	if (d->config.n <= CROWD_CONFIG_MAX)
		report_pending(d);
	else
		d->crowd->figures.errors[CROWD_ANSWER]++;
}

static void
tutorial_answered(struct device *d, struct doc twin)
{
	struct crowd *c = d->crowd;

	if (doc_defined(twin)) {
		tutorial_reads(d, twin);
	} else if (d->step == STEP_PENDING) {
		d->step = STEP_WORKING;
		d->act_us = c->now_us + APPLY_US / 2 + crowd_below(c, APPLY_US);
	} else if (d->step == STEP_ENDING) {
		c->figures.settled++;
		buf_fini(&d->config);
		d->config = (struct buf){ 0 };
		d->step = STEP_IDLE;
	}
	/* A newer one may have come meanwhile: then it is read, and that one is applied. */
	if (d->asked_us == 0 && d->heard)
		put_question(d);
}

static void
tutorial_acts(struct device *d)
{
	if (d->asked_us != 0)
		return;
	if (d->step == STEP_WORKING && !d->heard)
		report_end(d);
	else
		put_question(d);
}

/* ---- by pattern ---- */

void
pattern_ready(struct device *d)
{
	struct crowd *c = d->crowd;

	d->step = STEP_IDLE;
	if (c->o.pattern == CROWD_TUTORIAL) {
		put_question(d);
		return;
	}
	d->act_us = c->now_us + crowd_below(c, period_us(c));
	if (c->o.pattern == CROWD_FLAKY)
		d->leave_us = c->now_us + SECOND_US + crowd_below(c, STAY_US);
}

void
pattern_acts(struct device *d)
{
	(d->crowd->o.pattern == CROWD_TUTORIAL ? tutorial_acts : sensor_acts)(d);
}

void
pattern_answered(struct device *d, struct doc twin)
{
	if (d->crowd->o.pattern == CROWD_TUTORIAL)
		tutorial_answered(d, twin);
	else
		sensor_answered(d);
}

void
pattern_desired(struct device *d)
{
	d->heard = true;
	if (d->crowd->o.pattern == CROWD_TUTORIAL && d->asked_us == 0 && d->step == STEP_IDLE)
		put_question(d);
}

/* For a new token, or for no reason at all. */
void
pattern_leaves(struct device *d)
{
	struct crowd *c = d->crowd;
	bool flaky = c->o.pattern == CROWD_FLAKY;

	device_goes(d, !flaky || crowd_random(c) % 2 == 0);
	d->state_us = c->now_us + (flaky ? crowd_below(c, d->back_us * 4) : 0);
}
