/*
 * What is logged (docs/spec/events.md, E-09): a switch for each kind of record, as the hub's settings have them. Pure.
 *
 * They come in two ways, and whoever changes them sets both:
 *
 *   struct catalogue.log    what is off gets no record from the next operation on (workers give it to the core as hub_env.log)
 *   feed_show               twin changes and life cycle have their records all the same, for a history must not have holes; off, readers
 *                           and sinks are not shown them
 */
#ifndef TWINHUB_EVENT_WHAT_H
#define TWINHUB_EVENT_WHAT_H

#include <stdbool.h>

struct log_what {
	bool telemetry; /* wills, too. Off: a message is accepted, and kept nowhere */
	bool twin_changes, life_cycle;
	bool connection;
	bool jobs;
	bool methods;
	bool administration;
};

/* All but methods. */
extern const struct log_what log_what_default;

#endif
