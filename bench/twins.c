#include "twins.h"
#include "token.h"

#define CUSTOMERS 500

/* ---- random, from a seed ---- */

static uint64_t rnd_state;

void
rnd_seed(uint64_t seed)
{
	rnd_state = seed | 1;
}

uint32_t
rnd_below(uint32_t n)
{
	rnd_state ^= rnd_state >> 12;
	rnd_state ^= rnd_state << 25;
	rnd_state ^= rnd_state >> 27;
	return (uint32_t)(((rnd_state * UINT64_C(0x2545F4914F6CDD1D)) >> 32) * n >> 32);
}

/* About normal: the sum of twelve. */
static double
rnd_normal(double mean, double deviation)
{
	double sum = -6;

	for (int i = 0; i < 12; i++)
		sum += rnd_below(1u << 30) / (double)(1u << 30);
	return mean + sum * deviation;
}

/* ---- twins ---- */

void
twin_make(struct twin *t, uint32_t n)
{
	static const char *const regions[] = { "eu-west", "eu-north", "us-east", "us-west",
		"ap-south" };
	static const char *const types[] = { "cellular", "wifi", "wired" };
	uint32_t s = rnd_below(100), type = rnd_below(10);
	const char *status = s < 90 ? "Success" : s < 98 ? "Pending" : "Failed";

	t->id.n = 0;
	device_put(&t->id, n);
	t->body.n = t->reported.n = 0;
	buf_printf(&t->body,
	    "{\"tags\":{\"location\":{\"region\":\"%s\",\"plant\":\"plant-%02u\"},\"customer\":"
	    "\"customer-%03u\"},\"properties\":{\"desired\":{\"telemetryConfig\":{\"configId\":"
	    "\"cfg-%u\","
	    "\"sendFrequency\":\"%um\"},\"firmware\":{\"version\":\"2.%u.0\"}}}}",
	    regions[rnd_below(5)], (unsigned)rnd_below(40), (unsigned)rnd_below(CUSTOMERS),
	    (unsigned)rnd_below(4), (unsigned)(5 * (1 + rnd_below(12))), (unsigned)rnd_below(5));
	buf_printf(&t->reported,
	    "{\"telemetryConfig\":{\"configId\":\"cfg-%u\",\"status\":\"%s\"},\"firmware\":{"
	    "\"version\":"
	    "\"2.%u.%u\"},\"batteryLevel\":%u,\"temperature\":%.2f,\"connectivity\":{\"type\":\"%"
	    "s\","
	    "\"rssi\":-%u},\"lastBoot\":\"2026-%02u-%02uT%02u:%02u:%02uZ\"}",
	    (unsigned)rnd_below(4), status, (unsigned)rnd_below(5), (unsigned)rnd_below(3),
	    (unsigned)rnd_below(101), rnd_normal(40, 12),
	    types[type < 5     ? 0
	            : type < 8 ? 1
	                       : 2],
	    (unsigned)(40 + rnd_below(70)), 1 + (unsigned)rnd_below(12),
	    1 + (unsigned)rnd_below(28), (unsigned)rnd_below(24), (unsigned)rnd_below(60),
	    (unsigned)rnd_below(60));
}

void
twin_fini(struct twin *t)
{
	buf_fini(&t->id);
	buf_fini(&t->body);
	buf_fini(&t->reported);
}
