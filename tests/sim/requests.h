/* Requests of back ends over HTTP: requests.c. */
#ifndef SIM_REQUESTS_H
#define SIM_REQUESTS_H

#include "policies.h"

#include "base/base.h"

struct world;
struct work;

void request_send(struct world *w);      /* a step: one of any kind */
void request_send_bulk(struct world *w); /* a step: a call of many items */
/* A work of theirs is back. */
void request_work_back(struct world *w, const struct work *k);

#endif
