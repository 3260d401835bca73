/*
 * bench_fill: registers the benchmark's devices, bench-0000000 on, by PUT /devices/{id} over many
 * HTTPS connections with one request in flight on each. A device that exists already is fine.
 * Prints one JSON object with what it did.
 */
#include "device/hist.h"
#include "target.h"
#include "token.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define IN_MAX  8192
#define TOKEN_S 86400

struct client {
	struct link link;
	struct fill *fill;
	unsigned nin;
	uint64_t sent_us;
	bool busy;
	char in[IN_MAX];
};

struct fill {
	struct link_target target;
	const char *name;
	struct buf head; /* the header lines that all requests share */
	int epoll;
	unsigned next, done, ndevice, nmade, nthere;
	bool failed;
	struct hist hist;
};

static uint64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void
fail(struct fill *f, const char *why, struct str text)
{
	if (!f->failed)
		fprintf(stderr, "bench_fill: %s " STR_FMT "\n", why, STR_ARG(text));
	f->failed = true;
}

static void
put_request(struct client *c)
{
	struct fill *f = c->fill;
	struct buf *out = &c->link.out, id = { 0 }, body = { 0 };

	c->busy = f->next < f->ndevice;
	if (!c->busy)
		return;
	device_put(&id, f->next++);
	buf_printf(&body, "{\"deviceId\":\"" STR_FMT "\"}", STR_ARG(id));
	buf_printf(
	    out, "PUT /devices/" STR_FMT "?api-version=2021-04-12 HTTP/1.1\r\n", STR_ARG(id));
	buf_str(out, buf_view(&f->head));
	buf_printf(out, "Content-Length: %zu\r\n\r\n", body.n);
	buf_str(out, buf_view(&body));
	buf_fini(&body);
	buf_fini(&id);
	c->sent_us = now_us();
}

static void
on_response(struct client *c, int status, struct str response)
{
	struct fill *f = c->fill;

	hist_add(&f->hist, now_us() - c->sent_us);
	f->done++;
	if (status == 200)
		f->nmade++;
	else if (status == 409)
		f->nthere++;
	else
		fail(f, "refused:", response);
	put_request(c);
}

/* The Content-Length of a response's head, 0 if it has none. */
static size_t
body_length(struct str head)
{
	struct str line, name, value;
	uint64_t n = 0;

	while (head.n > 0) {
		str_cut(head, '\n', &line, &head);
		if (!str_cut(line, ':', &name, &value) || !str_ieq(name, STR("content-length")))
			continue;
		while (value.n > 0 && value.p[0] == ' ')
			value = str_sub(value, 1);
		while (value.n > 0 && value.p[value.n - 1] == '\r')
			value.n--;
		return str_u64(value, &n) ? (size_t)n : 0;
	}
	return 0;
}

/* One response is in flight at most, so what is here is its beginning. */
static void
parse(struct client *c)
{
	struct str all = { c->in, c->nin };
	const char *end = memmem(all.p, all.n, "\r\n\r\n", 4);
	size_t head, total;

	if (end == NULL) {
		if (c->nin == IN_MAX)
			fail(c->fill, "response too long", STR_NONE);
		return;
	}
	head = (size_t)(end - all.p) + 4;
	total = head + body_length((struct str){ all.p, head });
	if (all.n < 12 || total > IN_MAX) {
		fail(c->fill, "not understood:", all);
		return;
	}
	if (all.n < total)
		return;
	c->nin = 0;
	on_response(c, atoi(all.p + 9), (struct str){ all.p, total });
}

static void
read_all(struct client *c)
{
	ssize_t n;

	do {
		n = link_read(&c->link, c->in + c->nin, IN_MAX - c->nin);
		if (n < 0) {
			if (c->busy)
				fail(c->fill, "connection closed by the server", STR_NONE);
			link_close(&c->link);
			return;
		}
		c->nin += (unsigned)n;
		if (n > 0)
			parse(c);
	} while (n > 0 && link_has_more(&c->link));
}

static void
on_event(struct client *c, unsigned events)
{
	if (c->link.state != LINK_OPEN) {
		if (link_advance(&c->link, &c->fill->target) != ERR_OK) {
			fail(c->fill, "cannot connect", STR_NONE);
			link_close(&c->link);
			return;
		}
		if (c->link.state != LINK_OPEN)
			return;
		put_request(c);
	}
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR) || link_has_more(&c->link))
		read_all(c);
	if (c->link.state == LINK_OPEN && link_flush(&c->link) != ERR_OK)
		fail(c->fill, "connection lost while writing", STR_NONE);
}

static void
fill_run(struct fill *f, unsigned nclient)
{
	struct client *clients = xcalloc(nclient, sizeof(*clients));
	struct epoll_event events[256];
	int n;

	f->epoll = epoll_create1(EPOLL_CLOEXEC);
	for (unsigned i = 0; i < nclient; i++) {
		clients[i].fill = f;
		if (link_open(&clients[i].link, &f->target, i, f->epoll, &clients[i]) != ERR_OK)
			fail(f, "cannot connect", STR_NONE);
	}
	while (f->done < f->ndevice && !f->failed) {
		n = epoll_wait(f->epoll, events, 256, 60000);
		if (n == 0)
			fail(f, "no answer in 60 s", STR_NONE);
		for (int i = 0; i < n; i++)
			on_event(events[i].data.ptr, events[i].events);
	}
	for (unsigned i = 0; i < nclient; i++)
		if (clients[i].link.state != LINK_CLOSED)
			link_close(&clients[i].link);
	free(clients);
	close(f->epoll);
}

static unsigned
number(const char *text)
{
	uint64_t n;

	if (!str_u64(str_of(text), &n) || n == 0 || n > 100000000) {
		fprintf(stderr, "bench_fill: %s is not a number that fits here\n", text);
		exit(2);
	}
	return (unsigned)n;
}

int
main(int argc, char **argv)
{
	static const struct option names[] = { { "host", 1, NULL, 'h' }, { "port", 1, NULL, 'p' },
		{ "ca", 1, NULL, 'a' }, { "name", 1, NULL, 'n' }, { "policy", 1, NULL, 'y' },
		{ "conns", 1, NULL, 'c' }, { "devices", 1, NULL, 'd' }, { NULL, 0, NULL, 0 } };
	static struct fill f = { .name = "localhost", .ndevice = 1000 };
	const char *host = NULL, *ca = NULL, *policy = "iothubowner", *key = getenv("BENCH_KEY");
	unsigned port = 443, nclient = 64;
	uint64_t begin;
	double seconds;
	int c;

	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		switch (c) {
		case 'h': host = optarg; break;
		case 'p': port = number(optarg); break;
		case 'a': ca = optarg; break;
		case 'n': f.name = optarg; break;
		case 'y': policy = optarg; break;
		case 'c': nclient = number(optarg); break;
		case 'd': f.ndevice = number(optarg); break;
		default: host = NULL; goto usage;
		}
	}
usage:
	if (host == NULL || ca == NULL || key == NULL) {
		fprintf(stderr,
		    "BENCH_KEY=... bench_fill --host ADDR --ca FILE [--port 443] [--name "
		    "localhost]\n"
		    "    [--policy iothubowner] [--conns 64] [--devices 1000]\n");
		return 2;
	}
	target_init(&f.target, host, (int)port, ca, f.name);
	f.target.nsource = nclient;
	buf_printf(
	    &f.head, "Host: %s\r\nContent-Type: application/json\r\nAuthorization: ", f.name);
	token_put(&f.head, &(struct signer){ f.name, policy, key }, TOKEN_S);
	buf_cstr(&f.head, "\r\n");
	begin = now_us();
	fill_run(&f, nclient);
	seconds = (double)(now_us() - begin) / 1e6;
	printf("{\"created\":%u,\"existed\":%u,\"seconds\":%.3f,\"per_s\":%.0f,\"p99_ms\":%.3f}\n",
	    f.nmade, f.nthere, seconds, f.done / seconds, hist_quantile(&f.hist, 0.99) / 1e3);
	target_fini(&f.target);
	buf_fini(&f.head);
	return f.failed ? 1 : 0;
}
