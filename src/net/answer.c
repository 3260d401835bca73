/* An answer on its way to a client: what of it is still here, and whether its client reads it. */
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "net/priv.h"

void
answer_begins(struct answer *a, size_t bytes, const struct https_answer *told, int64_t now_us)
{
	*a = (struct answer){ .leaving = true, .rest = bytes, .round_us = now_us };
	if (told != NULL)
		a->told = *told;
}

void
answer_over(struct answer *a)
{
	struct https_answer told = a->told;

	*a = (struct answer){ 0 };
	if (told.over != NULL)
		told.over(told.ctx);
}

/* Bytes of the head are taken for some of the body: its last ones count as gone a little early. */
void
answer_left(struct answer *a, size_t n)
{
	if (!a->leaving || n == 0)
		return;
	a->sent += n;
	a->rest -= n < a->rest ? n : a->rest;
	if (a->told.left != NULL)
		a->told.left(a->told.ctx, a->rest);
}

/* What the peer's machine has acknowledged: what lies in our socket has not been read. */
static uint64_t
acknowledged(const struct answer *a, int fd)
{
	int queued = 0;

	if (ioctl(fd, SIOCOUTQ, &queued) || queued < 0 || (uint64_t)queued > a->sent)
		return 0;
	return a->sent - (uint64_t)queued;
}

bool
answer_moves(struct answer *a, int fd, int64_t now_us, int64_t patience_us)
{
	uint64_t read = acknowledged(a, fd), moved = read > a->read ? read - a->read : 0;
	bool pressed = a->told.pressed != NULL && a->told.pressed(a->told.ctx);

	a->read += moved;
	if (pressed && moved < HTTPS_READ_PRESSED)
		return false;
	if (now_us - a->round_us < patience_us)
		return true;
	moved = a->read - a->read_round;
	a->read_round = a->read;
	a->round_us = now_us;
	return moved >= HTTPS_READ_LEAST;
}
