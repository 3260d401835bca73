/*
 * The simulated fleet (tests/sim/world.h), driven by the input: two bytes draw the fleet, then each step is three, its kind
 * and the number that it draws from. Each look at columns is checked against the documents.
 */
#include "world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEPS_MAX      1000u
#define DEVICES_OF_ONE 24u /* small is quick */

static uint64_t
two_bytes(struct rd *rd)
{
	unsigned high = rd_u8(rd);

	return high << 8 | rd_u8(rd);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd rd = rd_of((struct str){ (const char *)data, size });
	struct world *w;

	if (size < 2)
		return 0;
	w = world_new(two_bytes(&rd), DEVICES_OF_ONE);
	for (unsigned n = 0; n < STEPS_MAX && rd.end - rd.p >= 3; n++) {
		unsigned kind = rd_u8(&rd);

		world_step(w, kind, two_bytes(&rd));
	}
	world_free(w);
	return 0;
}
