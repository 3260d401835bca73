/*
 * ws: WebSocket (RFC 6455, server side) as a byte stream. A connection that came to evhttp as an HTTP
 * request is taken over after the upgrade and becomes a struct stream like any other: bytes
 * written leave in binary frames, the payload of binary messages comes in as bytes, frame borders meaning
 * nothing (device-mqtt.md 1.1). Pings are answered; text ends with Close 1003, broken framing with 1002.
 *
 * One connection costs about 4.5 KB besides what evhttp and TLS hold.
 */
#ifndef TWINHUB_WS_H
#define TWINHUB_WS_H

#include "net/net.h"

struct evhttp_request;

struct ws_conf {
	const char *subprotocol; /* "mqtt": accepted in any case, echoed as the client spelt it */
	/* the deadline until the owner changes it, on loop_now_us's clock; 0: none */
	int64_t due_us;
	struct stream_limits limits;
};

/* Does the request ask for an upgrade to WebSocket? */
bool ws_wanted(struct evhttp_request *req);

/*
 * Answer 101 and take the connection from evhttp: on_open (with ctx) follows in the same turn of the loop. To be
 * called in evhttp's callback, on the loop that the evhttp runs on.
 *
 * ERR_OK: the request is not to be touched again, nor replied to. The connection of an https_port loses its
 * deadline and stays counted.
 * ERR_ARG: nothing has happened; reply 400 with the fault: no key, other version than 13, other
 * subprotocols only (none at all is accepted), not a GET.
 */
enum err ws_take(struct loop *l, struct evhttp_request *req, const struct ws_conf *conf,
    const struct stream_user *user, void *ctx, struct fault *f);

#endif
