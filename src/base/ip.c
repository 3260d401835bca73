#include "base/ip.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static const uint8_t v4_prefix[12] = { [10] = 0xff, [11] = 0xff };

/* The address before the slash, and how many bits its kind has. */
static bool
address_parse(struct str s, struct ip_net *net, unsigned *most)
{
	char text[INET6_ADDRSTRLEN];

	if (s.n >= sizeof text)
		return false;
	bytes_copy(text, s.p, s.n);
	text[s.n] = '\0';
	if (inet_pton(AF_INET, text, net->ip + 12) == 1) {
		memcpy(net->ip, v4_prefix, 12);
		*most = 32;
		return true;
	}
	*most = 128;
	return inet_pton(AF_INET6, text, net->ip) == 1;
}

static bool
rest_is_zero(const struct ip_net *net)
{
	for (unsigned i = net->bits; i < 128; i++)
		if (net->ip[i / 8] & 0x80 >> i % 8)
			return false;
	return true;
}

bool
ip_net_parse(struct str text, struct ip_net *out)
{
	struct str address, length;
	bool measured = str_cut(text, '/', &address, &length);
	unsigned most;
	uint64_t bits;

	*out = (struct ip_net){ 0 };
	if (!address_parse(address, out, &most))
		return false;
	bits = most;
	if (measured && (!str_u64(length, &bits) || bits > most))
		return false;
	out->bits = 128 - most + (unsigned)bits;
	return rest_is_zero(out);
}

bool
ip_net_has(const struct ip_net *net, const uint8_t ip[16])
{
	unsigned whole = net->bits / 8, rest = net->bits % 8;

	return memcmp(net->ip, ip, whole) == 0 &&
	    (rest == 0 || ((net->ip[whole] ^ ip[whole]) & (0xff00 >> rest)) == 0);
}
