/* mqtt: what the files of a session share (session.h); none of them touches the loop. */
#ifndef TWINHUB_MQTT_PRIV_H
#define TWINHUB_MQTT_PRIV_H

#include "mqtt/session.h"

/* session.c: what the parts of a session do with the actions */

/* Working memory, empty, to be filled... */
struct buf *session_packet(struct session *s);
/* ...and sent. */
void session_send(struct session *s, struct actions *a);
void session_leave(struct session *s, enum session_ending how, enum reason why, struct actions *a);
/* A rule is broken: ends at once. ERR_PROTOCOL. */
enum err session_fault(struct session *s, enum reason why, struct actions *a);
/* It has been told of the desired properties up to this version, whatever it may have missed before; or, for a change or from now on, if it has
 * missed none. In the order in which its shard has said so: versions begin again behind the largest. */
void session_knows_all(struct session *s, uint32_t version);
void session_knows(struct session *s, uint32_t version);
/* Before either of both: what its line says beside the reason. Without what follows a '?', as keys and tokens may stand there. */
void session_detail(struct session *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Of a topic or filter what a line may show. */
struct str session_shows(struct str topic);
/* What it was told by its shard does not hold any more. */
void session_gone(struct session *s, struct actions *a);
/* A line in the log. */
void session_log(const struct session *s, enum log_event event, enum reason why, struct str device,
    struct str detail, struct actions *a);
/* A work of this session, its identity and address filled in. */
struct work *session_work(const struct session *s, enum op_kind kind, size_t room);
/* At max_in_flight or MQTT_IN_FLIGHT_BYTES reading stops, until half of that is back. */
void session_submit(struct session *s, struct work *w, struct actions *a);
/* CONNECT is under way. */
void session_asks(struct session *s);
void session_accepted(
    struct session *s, const struct reply *r, int64_t now_us, int64_t wall_us, struct actions *a);

/* By order of a test: is it to go wrong now? */
bool session_meets(struct session *s, enum mishap what, struct mishap_met *out);

/* limits.c: rate limits. Each says whether it may be done now; then it is. */

/* A CONNECT, when nothing is known but where it comes from and who it says it is; of the latter nothing is taken, for it may
 * be a stranger. So what is refused takes no link's place. */
bool session_may_ask(struct session *s, struct str token, struct limit_refusal *why);
/* ...and once it is known who that is. */
bool session_may_begin(struct session *s, const struct verdict *v, struct limit_refusal *why);
bool session_may(struct session *s, enum limit_kind kind, struct limit_refusal *why);
/* So many bytes of the day's messages went. */
void session_meters(struct session *s, uint64_t bytes);
/* Telemetry. ERR_MORE, ERR_PROTOCOL: as session_step. */
enum err session_may_send(struct session *s, int64_t now_us, struct actions *a);

/* One function a type of packet: connect.c, publish.c, subscribe.c */
typedef enum err session_on(
    struct session *s, const struct mqtt_packet *p, int64_t now_us, struct actions *a);
session_on on_connect_packet, on_publish_packet, on_subscribe_packet;

/* The answers to what they submit. */
void on_judged(
    struct session *s, const struct work *w, int64_t now_us, int64_t wall_us, struct actions *a);
void on_published(struct session *s, const struct work *w, struct actions *a);
void on_subscribed(struct session *s, const struct work *w, struct actions *a);
void on_resumed(struct session *s, const struct work *w, struct actions *a);

/* publish.c: append the log record body of telemetry; ERR_SIZE when it is over MQTT_MESSAGE_MAX. */
enum err telemetry_body(
    struct session *s, struct str bag, struct str payload, bool retain, bool will, struct buf *out);

/* resume.c: its shard has granted these, or has let them go */
void session_filters_granted(struct session *s, const struct work *w);
void session_filters_gone(struct session *s, const struct work *w);

/* messages.c: a message for the device, and its PUBACK */
void session_message(struct session *s, const struct note *n, struct actions *a);
session_on on_puback_packet;
void on_acknowledged(struct session *s, const struct work *w, struct actions *a);

/* methods.c */
void session_call(struct session *s, const struct note *n, struct actions *a);
enum err publish_method_response(
    struct session *s, const struct mqtt_publish *p, const struct topic *t, struct actions *a);

#endif
