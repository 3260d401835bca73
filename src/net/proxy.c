/* PROXY protocol, version 2: see proxy.h. */
#include "net/proxy.h"

#include <string.h>

#define LOCAL 0x20
#define TCP4  0x11
#define TCP6  0x21

static const uint8_t signature[12] = { '\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q', 'U', 'I', 'T',
	'\n' };

uint32_t
proxy_wants(const struct proxy *p)
{
	return (p->n < PROXY_FIXED ? PROXY_FIXED : p->length) - p->n;
}

static enum proxy_step
bad(struct proxy *p, const char *why)
{
	p->why = why;
	return PROXY_BAD;
}

/* As much of the signature as there is. */
static enum proxy_step
check_signature(struct proxy *p)
{
	static const char version1[] = "PROXY ";
	uint32_t n = p->n < sizeof signature ? p->n : sizeof signature;

	if (memcmp(p->bytes, signature, n) == 0)
		return PROXY_MORE;
	n = p->n < sizeof version1 - 1 ? p->n : sizeof version1 - 1;
	if (memcmp(p->bytes, version1, n) == 0)
		return n < sizeof version1 - 1
		    ? PROXY_MORE
		    : bad(p, "a header of PROXY protocol version 1: version 2 is needed");
	return bad(p, "no header of PROXY protocol version 2");
}

/* Of its first PROXY_FIXED bytes: what it is about, and its length. */
static enum proxy_step
check_fixed(struct proxy *p)
{
	uint8_t command = p->bytes[12], family = p->bytes[13];
	uint32_t more = (uint32_t)p->bytes[14] << 8 | p->bytes[15];

	if (command >> 4 != 2 || (command & 0xf) > 1)
		return bad(
		    p, "a PROXY protocol header of another version, or with an unknown command");
	if (more > PROXY_MAX - PROXY_FIXED)
		return bad(p, "a PROXY protocol header longer than 2,064 bytes");
	if (command != LOCAL && family != 0 && family != TCP4 && family != TCP6)
		return bad(p, "a PROXY protocol header about something other than TCP");
	if (command != LOCAL && ((family == TCP4 && more < 12) || (family == TCP6 && more < 36)))
		return bad(p, "a PROXY protocol header without room for its addresses");
	p->length = PROXY_FIXED + more;
	return p->n == p->length ? PROXY_DONE : PROXY_MORE;
}

enum proxy_step
proxy_take(struct proxy *p, struct str bytes)
{
	uint32_t room = p->n < PROXY_KEPT ? PROXY_KEPT - p->n : 0;
	enum proxy_step step;

	assert(bytes.n <= proxy_wants(p));
	bytes_copy(
	    p->bytes + (p->n < PROXY_KEPT ? p->n : 0), bytes.p, bytes.n < room ? bytes.n : room);
	p->n += (uint32_t)bytes.n;
	if (p->length > 0)
		return p->n == p->length ? PROXY_DONE : PROXY_MORE;
	step = check_signature(p);
	return step == PROXY_MORE && p->n == PROXY_FIXED ? check_fixed(p) : step;
}

bool
proxy_client(const struct proxy *p, struct net_addr *out)
{
	const uint8_t *a = p->bytes + PROXY_FIXED;

	*out = (struct net_addr){ 0 };
	if (p->bytes[12] == LOCAL || (p->bytes[13] != TCP4 && p->bytes[13] != TCP6))
		return false;
	if (p->bytes[13] == TCP4) {
		out->ip[10] = out->ip[11] = 0xff;
		memcpy(out->ip + 12, a, 4);
		out->port = (uint16_t)(a[8] << 8 | a[9]);
	} else {
		memcpy(out->ip, a, 16);
		out->port = (uint16_t)(a[32] << 8 | a[33]);
	}
	return true;
}
