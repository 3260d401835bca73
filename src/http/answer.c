/*
 * Room for answers: what has been made for a client and not been read by it is counted for who has asked (share.h), until
 * it has left. Over the share the answer is a short one, which says so.
 */
#include "http/priv.h"

#include <event2/buffer.h>

#define ANSWER_FREE (2u << 10) /* bytes of an answer that are not counted: errors, small results */
#define PAGE_REST   (1u << 20) /* of a page, that come with the tour's seat: its last rows */

struct ticket *
request_ticket(const struct request *r)
{
	return ticket_new(r->hl->o.fleet, r->asker, net_addr_party(&r->ask.from));
}

struct tour *
request_tour(struct request *r, struct task *t, void (*done)(struct tour *k))
{
	struct tour *k = tour_new(r->hl->loop, t, done);

	k->reply_to = request_address(r);
	k->owner = r->hl;
	return k;
}

void
request_asks(struct request *r, struct tour *k)
{
	k->ticket = request_ticket(r);
	fleet_tour(r->hl->o.fleet, k);
}

struct request *
tour_back(struct tour *k)
{
	struct request *r = request_of(k->owner, k->reply_to);

	if (r == NULL || k->task->fault.code == F_NONE)
		return r;
	reply_fault(r, &k->task->fault);
	return NULL;
}

void
add_continuation(struct request *r, const struct query_bookmark *bookmark)
{
	struct buf token = { 0 };

	query_token_write(&token, r->query_hash, bookmark);
	buf_putc(&token, '\0');
	add_header(r, "x-ms-continuation", token.p);
	buf_fini(&token);
}

/* What has been done is not undone by an answer that does not fit. */
static void
answer_refuse(struct request *r, size_t n)
{
	struct evbuffer *out = r->by->body(r->link);

	evbuffer_drain(out, evbuffer_get_length(out));
	r->answer.nheader = 0;
	ticket_free(r->ticket);
	r->ticket = NULL;
	if (r->method == HTTP_GET || r->toured)
		reply_error(r, F_ThrottlingException,
		    "no room for the answer of %zu bytes until answers that their clients have not "
		    "read are gone: read them, and try again",
		    n);
	else
		reply_error(r, F_ServiceUnavailable,
		    "it was done, but there is no room for the answer of %zu bytes until answers "
		    "that their clients have not read are gone",
		    n);
}

bool
answer_has_room(struct request *r, size_t n)
{
	if (n <= ANSWER_FREE)
		return true;
	if (r->ticket == NULL)
		r->ticket = request_ticket(r);
	if (ticket_hold(r->ticket, n) || (r->toured && n - ticket_bytes(r->ticket) <= PAGE_REST))
		return true;
	answer_refuse(r, n);
	return false;
}

static void
ticket_left(void *ctx, size_t rest)
{
	struct ticket *t = ctx;

	if (rest < ticket_bytes(t))
		(void)ticket_hold(t, rest);
}

static bool
ticket_is_pressed(void *ctx)
{
	return ticket_pressed(ctx);
}

static void
ticket_over(void *ctx)
{
	ticket_free(ctx);
}

void
answer_leaves(struct request *r)
{
	struct https_answer hold = { r->ticket, ticket_left, ticket_is_pressed, ticket_over };

	r->by->send(r->link, &r->answer, r->ticket != NULL ? &hold : NULL);
	r->ticket = NULL;
}
