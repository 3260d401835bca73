/* The catalogue in use: a counted reference under a mutex, and a version to look at without it. */
#include "worker/worker.h"

#include <pthread.h>
#include <stdlib.h>

struct holder {
	struct catalogue *c;
	void (*release)(struct catalogue *c);
	unsigned refs;
	struct holder *older;
};

struct catalogue_box {
	pthread_mutex_t mutex;
	struct holder *newest; /* and those that are still borrowed */
	atomic_uint_least64_t version;
};

struct catalogue_box *
catalogue_box_new(void)
{
	struct catalogue_box *box = xcalloc(1, sizeof(*box));

	pthread_mutex_init(&box->mutex, NULL);
	return box;
}

/* Release those that nobody uses, except the newest. */
static void
sweep(struct catalogue_box *box)
{
	struct holder **at = box->newest ? &box->newest->older : &box->newest;

	while (*at != NULL) {
		struct holder *h = *at;

		if (h->refs > 0) {
			at = &h->older;
			continue;
		}
		*at = h->older;
		h->release(h->c);
		free(h);
	}
}

void
catalogue_box_free(struct catalogue_box *box)
{
	if (box == NULL)
		return;
	while (box->newest != NULL) {
		struct holder *h = box->newest;

		assert(h->refs == 0);
		box->newest = h->older;
		h->release(h->c);
		free(h);
	}
	pthread_mutex_destroy(&box->mutex);
	free(box);
}

void
catalogue_set(struct catalogue_box *box, struct catalogue *c, void (*release)(struct catalogue *c))
{
	struct holder *h = xcalloc(1, sizeof(*h));

	h->c = c;
	h->release = release;
	pthread_mutex_lock(&box->mutex);
	h->older = box->newest;
	box->newest = h;
	atomic_store(&box->version, c->version);
	sweep(box);
	pthread_mutex_unlock(&box->mutex);
}

const struct catalogue *
catalogue_use(struct catalogue_box *box)
{
	const struct catalogue *c;

	pthread_mutex_lock(&box->mutex);
	assert(box->newest != NULL);
	box->newest->refs++;
	c = box->newest->c;
	pthread_mutex_unlock(&box->mutex);
	return c;
}

void
catalogue_drop(struct catalogue_box *box, const struct catalogue *c)
{
	struct holder *h;

	pthread_mutex_lock(&box->mutex);
	for (h = box->newest; h != NULL && h->c != c; h = h->older)
		;
	assert(h != NULL && h->refs > 0);
	h->refs--;
	sweep(box);
	pthread_mutex_unlock(&box->mutex);
}

bool
catalogue_settled(struct catalogue_box *box)
{
	bool settled;

	pthread_mutex_lock(&box->mutex);
	settled = box->newest == NULL || box->newest->older == NULL;
	pthread_mutex_unlock(&box->mutex);
	return settled;
}

uint64_t
catalogue_version(const struct catalogue_box *box)
{
	return atomic_load(&box->version);
}
