/* Which addresses are public: what the registries of IANA call globally reachable, and nothing else (E-44). */
#include "sink/sink.h"

/* Of IPv4, which struct net_addr has as ::ffff:a.b.c.d. */
static const struct block {
	uint32_t from;
	unsigned bits;
} closed[] = {
	{ 0x00000000, 8 },  /* 0.0.0.0/8: this network, unspecified */
	{ 0x0a000000, 8 },  /* 10.0.0.0/8: private */
	{ 0x64400000, 10 }, /* 100.64.0.0/10: shared (CGNAT) */
	{ 0x7f000000, 8 },  /* 127.0.0.0/8: loopback */
	{ 0xa9fe0000, 16 }, /* 169.254.0.0/16: link-local, where clouds keep their metadata */
	{ 0xac100000, 12 }, /* 172.16.0.0/12: private */
	{ 0xc0000000, 24 }, /* 192.0.0.0/24: protocols */
	{ 0xc0000200, 24 }, /* 192.0.2.0/24: documentation */
	{ 0xc0586300, 24 }, /* 192.88.99.0/24: relays of 6to4 */
	{ 0xc0a80000, 16 }, /* 192.168.0.0/16: private */
	{ 0xc6120000, 15 }, /* 198.18.0.0/15: benchmarks */
	{ 0xc6336400, 24 }, /* 198.51.100.0/24: documentation */
	{ 0xcb007100, 24 }, /* 203.0.113.0/24: documentation */
	{ 0xe0000000, 3 },  /* 224.0.0.0/4: multicast; 240.0.0.0/4: reserved, broadcast */
};

static bool
v4_public(const uint8_t ip[4])
{
	uint32_t a = (uint32_t)ip[0] << 24 | (uint32_t)ip[1] << 16 | (uint32_t)ip[2] << 8 | ip[3];

	for (size_t i = 0; i < sizeof(closed) / sizeof(closed[0]); i++)
		if (((a ^ closed[i].from) >> (32 - closed[i].bits)) == 0)
			return false;
	return true;
}

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
static const uint8_t nat64[12] = { 0x00, 0x64, 0xff, 0x9b };

/* Global unicast is 2000::/3. In it 2001::/23 is of protocols (Teredo, which carries an IPv4 address), 2001:db8::/32 and 3fff::/20 of
 * documentation, 2002::/16 of 6to4. */
static bool
v6_public(const uint8_t ip[16])
{
	unsigned first = (unsigned)ip[0] << 8 | ip[1], second = (unsigned)ip[2] << 8 | ip[3];

	if (first >> 13 != 1 || first == 0x2002)
		return false;
	if (first == 0x2001 && (second < 0x200 || second == 0xdb8))
		return false;
	return first != 0x3fff || second >= 0x1000;
}

bool
sink_address_open(const struct net_addr *a, const struct nets *allow)
{
	if (nets_have(allow, a))
		return true;
	if (memcmp(a->ip, mapped, sizeof mapped) == 0 || memcmp(a->ip, nat64, sizeof nat64) == 0)
		return v4_public(a->ip + 12);
	return v6_public(a->ip);
}
