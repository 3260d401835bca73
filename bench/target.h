/* Where all links of a benchmark go. */
#ifndef TWINHUB_BENCH_TARGET_H
#define TWINHUB_BENCH_TARGET_H

#include "device/link.h"

/* Ends the program with one line if the address or the CA file cannot be used. A NULL ca_file means plain TCP. */
void target_init(
    struct link_target *t, const char *host, int port, const char *ca_file, const char *name);
void target_fini(struct link_target *t);

#endif
