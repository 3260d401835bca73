/*
 * ip: nets, which are addresses that begin with the same bits. IPv4 is IPv6's ::ffff:a.b.c.d, so that there is one kind of address.
 */
#ifndef TWINHUB_BASE_IP_H
#define TWINHUB_BASE_IP_H

#include "base/base.h"

struct ip_net {
	uint8_t ip[16];
	unsigned bits; /* of ip, from its first one; all others are 0 */
};

/* "10.0.0.0/8", "fd00::/8", or an address alone. False: it is none, or has bits set beyond its length. */
bool ip_net_parse(struct str text, struct ip_net *out);
bool ip_net_has(const struct ip_net *net, const uint8_t ip[16]);

#endif
