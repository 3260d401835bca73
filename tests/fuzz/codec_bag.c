/* Any bytes as the property bag of a telemetry topic: pairs are no larger than what they were made from, all of it is
 * looked at once, and a system property has a name. */
#include "codec/codec.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = { (const char *)data, size };
	struct buf text = { 0 };
	struct bag_pair pair;
	size_t before = size;

	while (bag_next(&rest, &text, &pair)) {
		require(rest.n < before);
		require(pair.key.n + pair.value.n <= before - rest.n);
		require(pair.has_value || pair.value.n == 0);
		require(pair.system < BAG_KEYS);
		require((pair.system == BAG_CUSTOM) == (bag_key_name(pair.system).n == 0));
		before = rest.n;
	}
	require(rest.n == 0);
	buf_fini(&text);
	return 0;
}
