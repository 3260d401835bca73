/* For all targets. */
#ifndef FUZZ_H
#define FUZZ_H

#include "base/base.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv); /* for targets that need long to begin */

static inline void
require(bool held)
{
	if (!held)
		abort();
}

/* The first byte, of so many choices; the rest is the input. */
static inline unsigned
fuzz_choice(struct str *in, unsigned n)
{
	unsigned choice = in->n > 0 ? (unsigned char)in->p[0] % n : 0;

	*in = str_sub(*in, in->n > 0 ? 1 : 0);
	return choice;
}

#endif
