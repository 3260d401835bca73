/* Nets: addresses that begin with the same bits. */
#include <arpa/inet.h>
#include <netinet/in.h>

#include "net/priv.h"

static const uint8_t v4_prefix[12] = { [10] = 0xff, [11] = 0xff };

/* The address before the slash, and how many bits its kind has. */
static bool
address_parse(struct str s, struct net_range *r, unsigned *most)
{
	char text[INET6_ADDRSTRLEN];

	if (s.n >= sizeof text)
		return false;
	bytes_copy(text, s.p, s.n);
	text[s.n] = '\0';
	if (inet_pton(AF_INET, text, r->ip + 12) == 1) {
		memcpy(r->ip, v4_prefix, 12);
		*most = 32;
		return true;
	}
	*most = 128;
	return inet_pton(AF_INET6, text, r->ip) == 1;
}

static bool
rest_is_zero(const struct net_range *r)
{
	for (unsigned i = r->bits; i < 128; i++)
		if (r->ip[i / 8] & 0x80 >> i % 8)
			return false;
	return true;
}

enum err
nets_add(struct nets *nets, const char *text)
{
	struct net_range *r = &nets->v[nets->n];
	struct str address, length;
	bool measured;
	unsigned most;
	uint64_t bits;

	if (nets->n == NETS_MAX)
		return ERR_ARG;
	measured = str_cut(str_of(text), '/', &address, &length);
	*r = (struct net_range){ 0 };
	if (!address_parse(address, r, &most))
		return ERR_ARG;
	bits = most;
	if (measured && (!str_u64(length, &bits) || bits > most))
		return ERR_ARG;
	r->bits = 128 - most + (unsigned)bits;
	if (!rest_is_zero(r))
		return ERR_ARG;
	nets->n++;
	return ERR_OK;
}

static bool
in_range(const struct net_range *r, const uint8_t ip[16])
{
	unsigned whole = r->bits / 8, rest = r->bits % 8;

	return memcmp(r->ip, ip, whole) == 0 &&
	    (rest == 0 || ((r->ip[whole] ^ ip[whole]) & (0xff00 >> rest)) == 0);
}

bool
nets_have(const struct nets *nets, const struct net_addr *a)
{
	for (unsigned i = 0; i < nets->n; i++)
		if (in_range(&nets->v[i], a->ip))
			return true;
	return false;
}
