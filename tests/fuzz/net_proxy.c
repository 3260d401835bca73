/* Any bytes as what a balancer sends first: the same comes out however they are cut, nothing behind the header is taken, and
 * what is taken for a header says so again in other words. The first byte says how they are cut. */
#include "net/proxy.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool held)
{
	if (!held)
		abort();
}

static enum proxy_step
run(struct proxy *p, struct str all, size_t piece, size_t *n)
{
	enum proxy_step step = PROXY_MORE;

	*p = (struct proxy){ 0 };
	for (*n = 0; step == PROXY_MORE && *n < all.n;) {
		size_t some = proxy_wants(p);

		require(some > 0 && p->n == *n);
		some = some < piece ? some : piece;
		some = some < all.n - *n ? some : all.n - *n;
		step = proxy_take(p, (struct str){ all.p + *n, some });
		*n += some;
	}
	require((step == PROXY_BAD) == (p->why != NULL));
	return step;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str all;
	struct proxy whole, cut;
	struct net_addr a, b;
	enum proxy_step step;
	size_t n, n_cut;

	if (size == 0)
		return 0;
	all = (struct str){ (const char *)data + 1, size - 1 };
	step = run(&whole, all, SIZE_MAX, &n);
	require(run(&cut, all, 1 + data[0] % 19, &n_cut) == step);
	if (step != PROXY_DONE)
		return 0;
	require(n == n_cut && n <= PROXY_MAX);
	require(n == 16u + ((size_t)data[15] << 8 | data[16]));
	require(memcmp(data + 1, "\r\n\r\n\0\r\nQUIT\n", 12) == 0 && data[13] >> 4 == 2);
	require(proxy_client(&whole, &a) == proxy_client(&cut, &b));
	require(memcmp(a.ip, b.ip, 16) == 0 && a.port == b.port);
	return 0;
}
