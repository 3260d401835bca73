/* /metrics: where it is served, and to whom (O-120 to O-123). */
#include "metric/metric.h"
#include "net/scrape.h"
#include "os/os.h"
#include "server/priv.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TOKEN_MIN 16u
#define TOKEN_MAX 1024u

/* ADDRESS:PORT, [ADDRESS]:PORT. */
static bool
place_parse(const char *text, char address[64], uint16_t *port)
{
	const char *colon = strrchr(text, ':');
	struct str host;
	uint64_t n;

	if (colon == NULL || !str_u64(str_of(colon + 1), &n) || n == 0 || n > 65535)
		return false;
	host = (struct str){ text, (size_t)(colon - text) };
	if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
		host = (struct str){ host.p + 1, host.n - 2 };
	else if (memchr(host.p, ':', host.n) != NULL)
		return false;
	if (host.n == 0 || host.n >= 64)
		return false;
	snprintf(address, 64, STR_FMT, STR_ARG(host));
	*port = (uint16_t)n;
	return true;
}

struct metrics_place
metrics_place_of(const struct server_options *o)
{
	struct metrics_place at = { .asked = o->metrics_bind != NULL, .port = METRICS_PORT };

	snprintf(at.address, sizeof(at.address), "%s", PLAIN_ADDRESS);
	for (unsigned i = o->binds.n; i-- > 0;)
		if (address_is_loopback(o->binds.v[i]))
			snprintf(at.address, sizeof(at.address), "%s", o->binds.v[i]);
	if (o->metrics_bind == NULL)
		return at;
	at.off = strcmp(o->metrics_bind, "off") == 0;
	at.bad = !at.off && !place_parse(o->metrics_bind, at.address, &at.port);
	return at;
}

enum err
metrics_check(const struct server_options *o, char *why, size_t nwhy)
{
	struct metrics_place at = metrics_place_of(o);

	if (at.bad)
		snprintf(why, nwhy, "--metrics-bind %s: ADDRESS:PORT, [ADDRESS]:PORT, or off",
		    o->metrics_bind);
	else if (!at.off && !address_is_loopback(at.address) && o->metrics_token_file == NULL)
		snprintf(why, nwhy,
		    "--metrics-bind %s is no loopback address: --metrics-token-file is needed",
		    o->metrics_bind);
	else
		return ERR_OK;
	return ERR_ARG;
}

/* The first line of the file, which is all of it. */
enum err
metrics_token_read(struct server *s)
{
	const char *path = s->o.metrics_token_file;
	struct buf text = { 0 };
	struct fault f = { 0 };
	enum err e;

	if (path == NULL)
		return ERR_OK;
	if (os_read_file(path, TOKEN_MAX, &text, &f) != ERR_OK) {
		e = fail(s, "--metrics-token-file: %s", f.text);
		buf_fini(&text);
		return e;
	}
	while (text.n > 0 && isspace((unsigned char)text.p[text.n - 1]))
		text.n--;
	e = text.n >= TOKEN_MIN ? ERR_OK : ERR_ARG;
	for (size_t i = 0; i < text.n; i++)
		if (!isgraph((unsigned char)text.p[i]))
			e = ERR_ARG;
	if (e == ERR_OK)
		s->metrics_token = str_dup0(buf_view(&text));
	else
		fail(s,
		    "--metrics-token-file %s: one line of at least %u characters without blanks",
		    path, TOKEN_MIN);
	buf_fini(&text);
	return e;
}

static const char *
write_page(void *ctx, struct str accept, struct buf *out)
{
	enum metric_format f = metric_format_of(accept);
	struct metric_looks *looks = xmalloc(sizeof(*looks));

	metrics_look(ctx, looks);
	metric_write(out, f, &metrics_names, looks);
	free(looks);
	return metric_type(f);
}

/* ---- its life ---- */

enum err
metrics_bind(struct server *s)
{
	struct metrics_place at = metrics_place_of(&s->o);
	char why[NET_WHY_MAX];
	uint16_t bound;

	s->metrics_fd = -1;
	if (at.off)
		return ERR_OK;
	if (metrics_token_read(s) != ERR_OK)
		return ERR_ARG;
	if (net_bind(at.address, at.port, 1, &s->metrics_fd, &bound, why) == ERR_OK)
		return ERR_OK;
	s->metrics_fd = -1;
	if (at.asked)
		return fail(s, "--metrics-bind: %s", why);
	log_text(
	    LOG_WARN, "metrics are not served: %s; give them another place: --metrics-bind", why);
	return ERR_OK;
}

enum err
metrics_start(struct server *s)
{
	struct scrape_options o = { .fd = s->metrics_fd,
		.path = "/metrics",
		.token = s->metrics_token,
		.write = write_page,
		.ctx = s };

	s->ready_us = clock_mono_us();
	if (s->metrics_fd < 0 || scrape_new(&o, &s->metrics) == ERR_OK)
		return ERR_OK;
	return fail(s, "metrics cannot be served: %s", strerror(errno));
}

void
metrics_stop(struct server *s)
{
	scrape_free(s->metrics);
	s->metrics = NULL;
	free(s->metrics_token);
}
