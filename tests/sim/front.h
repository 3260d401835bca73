/*
 * The hub's front as it is: http/ with its routes and rights, and what server/ does of policies, over links without sockets.
 * Its thread is the simulator's, and so are the threads of administrators' errands, which run when they are drawn; policies.json is
 * a file of the simulator's, whose replacement may fail, or be forgotten by a crash.
 */
#ifndef SIM_FRONT_H
#define SIM_FRONT_H

#include "worker/worker.h"
#include "server/server.h"

struct world;
struct http_loop;

void front_new(struct world *w); /* the disk has the policies of a first start */
void front_free(void);
/* A process begins: policies from the disk; then, the fleet being loaded, its routes. */
void front_load(struct world *w);
void front_up(struct world *w);
/* It stops; what is under way is answered. Then, when there is no fleet any more: */
void front_stop(struct world *w);
void front_down(void);
/* Its process dies with what was asked of it under way; and the disk is found as it then is. */
void front_dies(struct world *w);
void front_crash(struct world *w);
/* New policies and configurations are in force: fleet_options.on_configurations. */
void front_publish(struct configurations *set);
/* One of the errands that wait is run. */
void front_errand(struct world *w);
unsigned front_errands(void);

struct http_loop *front_http(void);
/* Who administers the hub edits its policies while it does not run: a copy, and what is to be in the file. */
struct policies *front_policies(void);
void front_policies_write(const struct policies *p);
bool front_unsynced(void); /* a crash may take back what is in the file */

#endif
