/* ws: between the upgrade (upgrade.c) and the frames (ws.c). */
#ifndef TWINHUB_WS_PRIV_H
#define TWINHUB_WS_PRIV_H

#include "ws/ws.h"

/* Check an upgrade request and write the 101 head for it. ERR_ARG: see ws_take. */
enum err upgrade_answer(
    struct evhttp_request *req, const char *subprotocol, struct buf *head, struct fault *f);

#endif
