/* SAS tokens and device names of the load generators: device-mqtt.md 2.3, service-rest.md 3.1. */
#ifndef TWINHUB_BENCH_TOKEN_H
#define TWINHUB_BENCH_TOKEN_H

#include "base/base.h"

/* Who signs: a shared access policy of the hub. */
struct signer {
	const char *host; /* what the hub calls itself; the whole hub is the token's scope */
	const char *policy;
	const char *key; /* base64 */
};

/* Append a token good for `life_s` seconds. Ends the program if the key is not base64. */
void token_put(struct buf *out, const struct signer *s, int64_t life_s);
/* Append the id of the nth device of the benchmarks. */
void device_put(struct buf *out, unsigned nth);

#endif
