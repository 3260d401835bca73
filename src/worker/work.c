/* Works, notes and tours: made by one thread, freed by another. */
#include "worker/priv.h"

#include <stdlib.h>

uint64_t
asker_key(struct str who, struct str from)
{
	uint64_t h = hash_table(who);

	return from.n == 0 ? h : (h << 1 | h >> 63) ^ hash_table(from);
}

struct work *
work_new(struct loop *home, size_t room, void (*done)(struct work *w))
{
	struct work *w = xmalloc(sizeof(*w) + room);

	memset(&w->op, 0, sizeof(w->op));
	reply_init(&w->reply);
	w->home = home;
	w->done = done;
	w->tag = 0;
	w->roomy = false;
	w->rid = STR_NONE;
	w->owner = NULL;
	w->asker = 0;
	w->since_ns = 0;
	w->edge_nth = 0;
	w->used = 0;
	w->room = room;
	return w;
}

struct str
work_str(struct work *w, struct str s)
{
	char *at = w->bytes + w->used;

	assert(w->room - w->used >= s.n);
	if (s.n != 0)
		memcpy(at, s.p, s.n);
	w->used += s.n;
	return (struct str){ at, s.n };
}

void
work_free(struct work *w)
{
	if (w == NULL)
		return;
	reply_fini(&w->reply);
	free(w);
}

void
work_show(struct work *w, struct str token, const struct tls_peer *peer)
{
	struct credentials *c = &w->op.shown;

	c->token = work_str(w, token);
	if (peer == NULL || !peer->has_cert)
		return;
	c->has_certificate = true;
	cert_print_hex(&c->print, peer->sha1, peer->sha256);
	c->common_name = work_str(w, str_of(peer->cn));
	c->ca = peer->ca_print;
	c->ca_outdated = peer->chain_outdated;
	c->revoked = peer->revoked;
	c->not_before_us = peer->not_before_us;
	c->not_after_us = peer->not_after_us;
}

static void
work_is_home(struct msg *m)
{
	struct work *w = container_of(m, struct work, msg);

	w->done(w);
}

void
work_home(struct work *w)
{
	w->msg.run = work_is_home;
	loop_post(w->home, &w->msg);
}

void
note_free(struct note *n)
{
	if (n->counted != NULL)
		atomic_fetch_sub(n->counted, n->size);
	free(n);
}

void
fleet_note_free(struct note *n)
{
	note_free(n);
}

static void
note_arrived(struct msg *m)
{
	struct note *n = container_of(m, struct note, msg);

	n->on_note(n);
	note_free(n);
}

struct note *
note_new(const struct effect *e, void (*on_note)(struct note *n))
{
	struct note *n = xmalloc(sizeof(*n) + e->name.n + e->body.n);

	n->msg.run = note_arrived;
	n->kind = e->kind;
	n->session = e->session;
	n->reason = e->reason;
	n->version = e->version;
	n->call = e->call;
	n->caller = e->caller;
	n->status = e->status;
	n->fault = e->fault;
	n->paced = e->paced;
	n->qos = e->qos;
	n->size = e->size;
	n->counted = NULL;
	n->dup = e->dup;
	n->name = (struct str){ n->bytes, e->name.n };
	n->body = (struct str){ n->bytes + e->name.n, e->body.n };
	n->on_note = on_note;
	if (e->name.n != 0)
		memcpy(n->bytes, e->name.p, e->name.n);
	if (e->body.n != 0)
		memcpy(n->bytes + e->name.n, e->body.p, e->body.n);
	return n;
}
