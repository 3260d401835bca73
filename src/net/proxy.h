/*
 * proxy: the header by which a balancer names its client, PROXY protocol version 2 (haproxy.org, proxy-protocol.txt), before
 * anything else on the connection. Pure: bytes in, an address out.
 *
 *   12 bytes   \r\n\r\n\0\r\nQUIT\n
 *   1          version and command: 0x20 the balancer for itself, 0x21 for a client
 *   1          family and transport: 0x11 TCP over IPv4, 0x21 over IPv6, 0x00 it does not know
 *   2          how much follows, big-endian: addresses and ports of client and balancer, then TLVs, which are passed over
 *
 * The reader never asks for a byte behind the header: what follows is TLS's, or MQTT's.
 */
#ifndef TWINHUB_PROXY_H
#define TWINHUB_PROXY_H

#include "net/net.h"

#define PROXY_FIXED 16u
#define PROXY_KEPT  (PROXY_FIXED + 36u) /* with the addresses of IPv6 */
#define PROXY_MAX   (PROXY_FIXED + 2048u)

struct proxy {
	uint8_t bytes[PROXY_KEPT];
	uint32_t n;      /* of the header so far, TLVs too */
	uint32_t length; /* of the whole header, once n is PROXY_FIXED */
	const char *why; /* PROXY_BAD */
};

enum proxy_step { PROXY_MORE, PROXY_DONE, PROXY_BAD };

/* Bytes that may be taken next, at most; never 0 until it is done or bad. */
uint32_t proxy_wants(const struct proxy *p);
/* The next bytes, at most so many. */
enum proxy_step proxy_take(struct proxy *p, struct str bytes);
/* Of a header that is done: who the client is. False: the balancer speaks for itself, or does not know. */
bool proxy_client(const struct proxy *p, struct net_addr *out);

#endif
