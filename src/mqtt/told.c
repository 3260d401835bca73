/* The loop's side of stories (story/story.h): what is told of a link as it begins, with each packet, and at its end. */
#include "metric/metric.h"
#include "mqtt/loop.h"
#include "os/clock.h"

enum { PUBLISH_BYTE = MQTT_PUBLISH << 4 };

static unsigned
protocol_of(const struct link *l)
{
	return l->stream->ops->websocket ? METRIC_WEBSOCKET : METRIC_MQTT;
}

static bool
is_publish(char first)
{
	return ((unsigned char)first & 0xF0) == PUBLISH_BYTE;
}

static void
tell_now(const struct link *l)
{
	const struct session *s = &l->session;

	atomic_store_explicit(&l->counts->in_flight, s->nwork + s->nout, memory_order_relaxed);
	atomic_store_explicit(&l->counts->desired, s->desired_sent, memory_order_relaxed);
}

static void
log_opened(const struct link *l, const struct story_link *link)
{
	const struct session *s = &l->session;
	char peer[NET_ADDR_TEXT_MAX];

	if (log_wants(LOG_DEBUG))
		log_pairs(LOG_DEBUG, "connection accepted",
		    (const struct log_pair[]){ { "device", s->device }, { "module", s->module },
		        { "policy", str_of(s->policy) },
		        { "address", str_of(net_addr_text(&link->from, peer)) },
		        { "protocol", link->websocket ? STR("websocket") : STR("mqtt") },
		        { "tls", str_of(link->tls) }, { "client", link->client },
		        { NULL, STR_NONE } });
}

void
told_accepted(struct link *l)
{
	struct session *s = &l->session;
	struct story_link link = { .number = s->session_epoch,
		.from = *stream_peer(l->stream),
		.tls = stream_tls_version(l->stream),
		.websocket = l->stream->ops->websocket,
		.client = str_of(s->client) };

	log_opened(l, &link);
	if (l->ml->o.stories == NULL)
		return;
	l->story = story_began(l->ml->o.stories, s->device, s->module, &link, clock_wall_us());
	l->counts = story_counts(l->story);
	metric_add(METRIC_CONNECTS, protocol_of(l), 1);
	metric_add(METRIC_CONNECTIONS, protocol_of(l), 1);
}

void
told_refused(struct link *l, const struct log_story *line)
{
	metric_add(METRIC_REFUSALS, line->reason, 1);
	if (l->ml->o.stories != NULL)
		story_refused(l->ml->o.stories, line->device, line->module,
		    &(struct story_event){ .reason = line->reason,
		        .at_us = clock_wall_us(),
		        .from = *stream_peer(l->stream),
		        .cause = l->session.backoff.cause,
		        .wait_us = l->session.backoff.wait_ns / 1000 });
}

bool
told_known(const struct link *l)
{
	const struct session *s = &l->session;
	struct story_view v;

	return l->ml->o.stories != NULL &&
	    story_read(l->ml->o.stories, s->device, s->module, clock_wall_us(), &v) &&
	    v.since_us != 0 &&
	    str_eq(net_addr_party(&v.from), net_addr_party(stream_peer(l->stream)));
}

void
told_received(struct link *l, struct str packet)
{
	if (l->counts == NULL)
		return;
	story_count(&l->counts->received_bytes, packet.n);
	metric_add(METRIC_RECEIVED, protocol_of(l), (int64_t)packet.n);
	if (is_publish(packet.p[0]))
		story_count(&l->counts->received, 1);
}

/* How many of these whole packets, which are ours, are PUBLISHes. */
static uint64_t
publishes(struct str packets)
{
	uint64_t n = 0;

	while (packets.n > 0) {
		struct rd rd = rd_of(str_sub(packets, 1));
		uint64_t rest = rd_varint(&rd);
		size_t head = (size_t)((const char *)rd.p - packets.p);

		n += is_publish(packets.p[0]);
		packets = str_sub(packets, head + (size_t)rest);
	}
	return n;
}

void
told_performed(struct link *l, const struct actions *a)
{
	if (l->counts == NULL)
		return;
	if (a->send.n > 0) {
		story_count(&l->counts->sent_bytes, a->send.n);
		metric_add(METRIC_SENT, protocol_of(l), (int64_t)a->send.n);
		story_count(&l->counts->sent, publishes(a->send));
	}
	tell_now(l);
}

void
told_closed(struct link *l, enum reason why)
{
	if (l->story == NULL)
		return;
	story_ended(l->ml->o.stories, l->story,
	    &(struct story_link){
	        .number = l->session.session_epoch, .from = *stream_peer(l->stream) },
	    why, clock_wall_us());
	metric_add(METRIC_DISCONNECTS, why, 1);
	metric_add(METRIC_CONNECTIONS, protocol_of(l), -1);
	l->story = NULL;
	l->counts = NULL;
}
