/*
 * A fleet with real threads over a real store in a temporary directory, driven by the test's thread. Works and tours come
 * back on loops; what came back is kept in the order of its coming. The disk can be held up at fdatasync, and told to
 * have no space: this program takes that call over, which librocksdb then calls.
 */
#ifndef WORKER_KIT_H
#define WORKER_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "patience.h"
#include "task/registry.h"
#include "worker/priv.h"

#include <cmocka.h>

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#define UNUSED __attribute__((unused))
#define SECOND INT64_C(1000000)
#define KEY1   "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
#define KEY2   "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="
#define HOST   "hub.example.test"
#define LOOPS  2
#define ROOM   4096 /* bytes of strings in a work, beside its payload */

/* RocksDB is not instrumented: see tests/tsan.supp. */
const char *__tsan_default_options(void);
const char *
__tsan_default_options(void)
{
	return "ignore_noninstrumented_modules=1";
}

/* RocksDB 7.8 loses a memtable's header when it is closed while its own attempt to recover is under way. */
const char *__lsan_default_suppressions(void);
const char *
__lsan_default_suppressions(void)
{
	return "leak:rocksdb::ErrorHandler::RecoverFromBGError";
}

/* ---- waiting ---- */

/* For loops that ask again and again: begun at `since_us`, monotonic. */
#define kit_again(since_us, what)                                                                  \
	do {                                                                                       \
		if (clock_mono_us() - (since_us) > PATIENCE_MAX_S * SECOND)                        \
			patience_ends(__FILE__, __LINE__, what);                                   \
		sched_yield();                                                                     \
	} while (0)

#define kit_await(k, condition)                                                                    \
	do {                                                                                       \
		pthread_mutex_lock(&(k)->mu);                                                      \
		patience_await(&(k)->changed, &(k)->mu, condition);                                \
		pthread_mutex_unlock(&(k)->mu);                                                    \
	} while (0)

/* ---- the disk ---- */

static struct {
	pthread_mutex_t mu;
	pthread_cond_t changed;
	bool held;
	unsigned nwaiting;
	int error;      /* of the syncs that go on now; 0: none */
	unsigned until; /* so many syncs, and one fails; 0: none does */
} disk = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, 0, 0, 0 };

int
fdatasync(int fd)
{
	int error;

	pthread_mutex_lock(&disk.mu);
	disk.nwaiting++;
	pthread_cond_broadcast(&disk.changed);
	while (disk.held)
		pthread_cond_wait(&disk.changed, &disk.mu);
	disk.nwaiting--;
	error = disk.error;
	if (disk.until > 0 && --disk.until == 0) {
		error = ENOSPC;
		pthread_cond_broadcast(&disk.changed);
	}
	pthread_mutex_unlock(&disk.mu);
	if (error == 0)
		return (int)syscall(SYS_fdatasync, fd);
	errno = error;
	return -1;
}

static UNUSED void
disk_hold(void)
{
	pthread_mutex_lock(&disk.mu);
	disk.held = true;
	pthread_mutex_unlock(&disk.mu);
}

/* The n-th sync from now on has no space, those after it have. */
static UNUSED void
disk_fail_once(unsigned n)
{
	pthread_mutex_lock(&disk.mu);
	disk.until = n;
	pthread_mutex_unlock(&disk.mu);
}

/* A commit has reached the disk and waits there. */
static UNUSED void
disk_await(void)
{
	kit_await(&disk, disk.nwaiting > 0);
}

/* Let go what is held; error: from now on every sync fails so. */
static UNUSED void
disk_release(int error)
{
	pthread_mutex_lock(&disk.mu);
	disk.held = false;
	disk.error = error;
	pthread_cond_broadcast(&disk.changed);
	pthread_mutex_unlock(&disk.mu);
}

/* ---- the kit ---- */

struct kit {
	char root[128], dir[160];
	struct store *store;
	struct fleet *fleet;
	struct loop *loops[LOOPS];
	struct catalogue_box *box;
	struct fleet_options fo;
	struct store_options so;
	bool running;
	struct doc_parser *parser;
	struct sas_mac *mac;
	uint32_t tag;
	pthread_mutex_t mu;
	pthread_cond_t changed;
	/* under mu */
	struct work **back;
	unsigned nback, capback;
	struct tour *tours_back[TOURS_COSTLY_MAX + WAITING_MAX + 8];
	unsigned ntours_back, nnotes, nmended;
	struct buf notes; /* one a line */
	/* of the last kit_do */
	struct reply reply;
	struct buf text;
};

/* Callbacks have no context: a test has one kit. */
static struct kit *the_kit;

static UNUSED void
kit_work_back(struct work *w)
{
	struct kit *k = w->owner;

	pthread_mutex_lock(&k->mu);
	if (k->nback == k->capback) {
		k->capback = k->capback ? k->capback * 2 : 64;
		k->back = xrealloc(k->back, k->capback * sizeof(*k->back));
	}
	k->back[k->nback++] = w;
	pthread_cond_broadcast(&k->changed);
	pthread_mutex_unlock(&k->mu);
}

static UNUSED void
kit_tour_back(struct tour *w)
{
	struct kit *k = w->owner;

	pthread_mutex_lock(&k->mu);
	k->tours_back[k->ntours_back++] = w;
	pthread_cond_broadcast(&k->changed);
	pthread_mutex_unlock(&k->mu);
}

static UNUSED void
kit_note(struct note *n)
{
	struct kit *k = the_kit;

	pthread_mutex_lock(&k->mu);
	if (n->kind == EFFECT_CLOSE)
		buf_printf(&k->notes, "close %u\n", n->session.slot);
	else
		buf_printf(&k->notes, "notify %u v%u " STR_FMT "\n", n->session.slot, n->version,
		    STR_ARG(n->body));
	k->nnotes++;
	pthread_cond_broadcast(&k->changed);
	pthread_mutex_unlock(&k->mu);
}

static UNUSED void
kit_warn(void *ctx, const char *line)
{
	(void)ctx;
	pthread_mutex_lock(&the_kit->mu);
	the_kit->nmended += strcmp(line, "the store works again") == 0;
	pthread_cond_broadcast(&the_kit->changed);
	pthread_mutex_unlock(&the_kit->mu);
}

/* ---- catalogues ---- */

static atomic_uint nreleased;

static UNUSED void
catalogue_release(struct catalogue *c)
{
	atomic_fetch_add(&nreleased, 1);
	free(c);
}

static UNUSED struct catalogue *
catalogue_new(uint64_t version, size_t npolicies)
{
	static const struct str hosts[] = { { HOST, sizeof(HOST) - 1 } };
	static const struct policy policies[] = { { { "device", 6 }, RIGHT_DEVICE_CONNECT,
	    { KEY1, sizeof(KEY1) - 1 }, { KEY2, sizeof(KEY2) - 1 } } };
	struct catalogue *c = xcalloc(1, sizeof(*c));

	*c = (struct catalogue){ .version = version,
		.policies = policies,
		.npolicies = npolicies,
		.hosts = { hosts, 1 },
		.skew_s = SAS_SKEW_S };
	return c;
}

/* ---- start and stop ---- */

/* A thread that hangs is joined for ever when its test has failed: the whole test has an end, too. */
static UNUSED void
kit_hangs(int sig)
{
	static const char text[] = "the test, or its end, hangs\n";

	(void)sig;
	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	_exit(1);
}

static int64_t kit_tour_us = 60 * SECOND; /* of the next kits */

static UNUSED int
kit_setup(void **state)
{
	struct kit *k = xcalloc(1, sizeof(*k));
	const char *tmp = getenv("TMPDIR");

	signal(SIGALRM, kit_hangs);
	alarm(4 * PATIENCE_MAX_S);
	net_init();
	the_kit = k;
	snprintf(k->root, sizeof(k->root), "%s/twinhub-worker-XXXXXX",
	    tmp != NULL && strlen(tmp) < 90 ? tmp : "/tmp");
	if (mkdtemp(k->root) == NULL)
		return -1;
	snprintf(k->dir, sizeof(k->dir), "%s/rows", k->root);
	pthread_mutex_init(&k->mu, NULL);
	pthread_cond_init(&k->changed, NULL);
	k->parser = doc_parser_new(1 << 22);
	k->mac = sas_mac_new();
	k->box = catalogue_box_new();
	catalogue_set(k->box, catalogue_new(1, 1), catalogue_release);
	for (unsigned i = 0; i < LOOPS; i++)
		if (loop_new(i, &k->loops[i]) != ERR_OK || loop_start(k->loops[i]) != ERR_OK)
			return -1;
	k->so = (struct store_options){ .dir = k->dir,
		.create = true,
		.memory_bytes = 16 << 20,
		.retry_ms = 10,
		.ctx = &k->fleet,
		.done = fleet_commit_done,
		.warn = kit_warn };
	k->fo = (struct fleet_options){ .cache_bytes = 64 << 20,
		.query_bytes = 1 << 20,
		.answer_bytes = 64 << 20,
		.column_bytes = 16 << 20,
		.tour_us = kit_tour_us,
		.identities_max = 1000000,
		.catalogue = k->box,
		.loops = k->loops,
		.nloop = LOOPS,
		.on_note = kit_note };
	*state = k;
	return 0;
}

static UNUSED void
kit_open(struct kit *k, unsigned nworker)
{
	struct fault f = { 0 };

	k->so.lanes = k->fo.nworker = nworker;
	if (store_open(&k->so, &k->store, &f) != ERR_OK)
		fail_msg("%s", f.text);
	k->fo.store = k->store;
	k->fleet = fleet_new(&k->fo);
}

static UNUSED void
kit_start(struct kit *k, unsigned nworker)
{
	struct fault f = { 0 };

	kit_open(k, nworker);
	if (fleet_load(k->fleet, &f) != ERR_OK)
		fail_msg("%s", f.text);
	assert_int_equal(fleet_start(k->fleet), ERR_OK);
	k->running = true;
}

static UNUSED void
kit_halt(struct kit *k)
{
	if (k->running)
		fleet_stop(k->fleet);
	k->running = false;
}

/* Answers of tours that are back leave, with what they hold. */
static UNUSED void
kit_leave(struct kit *k)
{
	pthread_mutex_lock(&k->mu);
	for (unsigned i = 0; i < k->ntours_back; i++) {
		ticket_free(k->tours_back[i]->ticket);
		k->tours_back[i]->ticket = NULL;
	}
	pthread_mutex_unlock(&k->mu);
}

static UNUSED void
kit_stop(struct kit *k)
{
	kit_halt(k);
	kit_leave(k);
	store_close(k->store);
	fleet_free(k->fleet);
	k->store = NULL;
	k->fleet = NULL;
}

/* A row of the store, while no fleet has it open; value STR_NONE: it is deleted. */
static UNUSED void
kit_store_row(struct kit *k, enum store_table t, struct str key, struct str value)
{
	struct store_batch *b = store_batch_new();
	struct fault f = { 0 };

	/* A store of its own: no fleet is told of the commit. */
	k->so.lanes = 1;
	k->so.done = NULL;
	if (store_open(&k->so, &k->store, &f) != ERR_OK)
		fail_msg("%s", f.text);
	if (value.p != NULL)
		store_batch_put(b, 0, t, key, value);
	else
		store_batch_delete(b, 0, t, key);
	store_submit(k->store, 0, b, 0);
	store_close(k->store);
	k->store = NULL;
	k->so.done = fleet_commit_done;
}

static UNUSED void
kit_forget(struct kit *k)
{
	pthread_mutex_lock(&k->mu);
	for (unsigned i = 0; i < k->nback; i++)
		work_free(k->back[i]);
	for (unsigned i = 0; i < k->ntours_back; i++)
		tour_free(k->tours_back[i]);
	k->nback = k->ntours_back = 0;
	k->notes.n = k->nnotes = 0;
	pthread_mutex_unlock(&k->mu);
}

static UNUSED int
kit_teardown(void **state)
{
	struct kit *k = *state;
	char line[160];

	disk_release(0);
	kit_stop(k);
	for (unsigned i = 0; i < LOOPS; i++) {
		loop_stop(k->loops[i]);
		loop_join(k->loops[i]);
		loop_free(k->loops[i]);
	}
	kit_forget(k);
	catalogue_box_free(k->box);
	doc_parser_free(k->parser);
	sas_mac_free(k->mac);
	buf_fini(&k->notes);
	buf_fini(&k->text);
	buf_fini(&k->reply.body);
	free(k->back);
	pthread_mutex_destroy(&k->mu);
	pthread_cond_destroy(&k->changed);
	snprintf(line, sizeof(line), "rm -rf '%s'", k->root);
	assert_int_equal(system(line), 0);
	free(k);
	alarm(0);
	return 0;
}

/* Everything that was posted to the loops until now has run. */
struct kit_flush {
	struct msg msg;
	struct kit *k;
	bool done;
};

static UNUSED void
kit_flushed(struct msg *m)
{
	struct kit_flush *f = (struct kit_flush *)m;

	pthread_mutex_lock(&f->k->mu);
	f->done = true;
	pthread_cond_broadcast(&f->k->changed);
	pthread_mutex_unlock(&f->k->mu);
}

static UNUSED void
kit_flush(struct kit *k)
{
	for (unsigned i = 0; i < LOOPS; i++) {
		struct kit_flush f = { { .run = kit_flushed }, k, false };

		loop_post(k->loops[i], &f.msg);
		kit_await(k, f.done);
	}
}

struct kit_probe {
	struct msg msg;
	struct worker *at;
	atomic_bool over;
};

/* On the worker's thread, behind what was sent before it: again, until it has applied all that its round takes. */
static UNUSED void
kit_probe_runs(struct msg *m)
{
	struct kit_probe *p = (struct kit_probe *)m;

	if (serve_awaits(p->at))
		mailbox_post(&p->at->box, m);
	else
		atomic_store(&p->over, true);
}

/* The workers have taken what was sent to them, and applied it: a commit that ends later has been seen by it. */
static UNUSED void
kit_taken(struct kit *k)
{
	int64_t since_us = clock_mono_us();

	for (unsigned i = 0; i < k->fo.nworker; i++) {
		struct kit_probe p = { .msg.run = kit_probe_runs, .at = &k->fleet->workers[i] };

		atomic_init(&p.over, false);
		mailbox_post(&p.at->box, &p.msg);
		while (!atomic_load(&p.over))
			kit_again(since_us, "a worker applies what was sent to it");
	}
}

/* ---- works ---- */

/* Not yet sent. json with ' for ", or NULL. */
static UNUSED struct work *
kit_work(struct kit *k, enum op_kind kind, const char *device, const char *json)
{
	size_t room = ROOM + (json != NULL ? strlen(json) : 0);
	struct work *w = work_new(k->loops[k->tag % LOOPS], room, kit_work_back);

	w->op.kind = kind;
	w->op.device = work_str(w, str_of(device));
	w->owner = k;
	w->tag = k->tag++;
	if (json != NULL) {
		struct doc_parsed info;
		struct buf text = { 0 }, doc = { 0 };

		buf_cstr(&text, json);
		for (size_t i = 0; i < text.n; i++)
			if (text.p[i] == '\'')
				text.p[i] = '"';
		assert_int_equal(doc_parse(k->parser, buf_view(&text), &doc, &info, NULL), ERR_OK);
		w->op.payload = work_str(w, buf_view(&doc));
		w->op.nduplicate = info.nduplicate;
		buf_fini(&text);
		buf_fini(&doc);
	}
	return w;
}

static UNUSED void
kit_send(struct kit *k, enum op_kind kind, const char *device, const char *json)
{
	fleet_submit(k->fleet, kit_work(k, kind, device, json));
}

/* Is this one among those that came back? Others may be under way. Under k->mu. */
static UNUSED bool
kit_is_back(const struct kit *k, const struct work *w)
{
	unsigned i = 0;

	while (i < k->nback && k->back[i] != w)
		i++;
	return i < k->nback;
}

/* Send it, wait for it: its answer is in k->reply. Forgets what came back before. */
static UNUSED enum fault_code
kit_do_work(struct kit *k, struct work *w)
{
	struct buf body = k->reply.body;

	kit_forget(k);
	fleet_submit(k->fleet, w);
	kit_await(k, kit_is_back(k, w));
	k->reply = w->reply;
	body.n = 0;
	buf_str(&body, buf_view(&w->reply.body));
	k->reply.body = body;
	kit_forget(k);
	return k->reply.fault.code;
}

static UNUSED enum fault_code
kit_do(struct kit *k, enum op_kind kind, const char *device, const char *json)
{
	return kit_do_work(k, kit_work(k, kind, device, json));
}

static UNUSED struct work *
kit_create_work(struct kit *k, const char *device)
{
	char json[512];

	snprintf(json, sizeof(json),
	    "{'deviceId':'%s','authentication':{'symmetricKey':{'primaryKey':'" KEY1
	    "','secondaryKey':'" KEY2 "'}}}",
	    device);
	return kit_work(k, OP_IDENTITY_PUT, device, json);
}

/* Devices name0, name1, ... */
static UNUSED void
kit_create(struct kit *k, const char *name, unsigned n)
{
	char id[32];

	kit_forget(k);
	for (unsigned i = 0; i < n; i++) {
		snprintf(id, sizeof(id), "%s%u", name, i);
		fleet_submit(k->fleet, kit_create_work(k, id));
	}
	kit_await(k, k->nback == n);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(k->back[i]->reply.fault.code, F_NONE);
	kit_forget(k);
}

/* Connect; the session's epoch. */
static UNUSED uint64_t
kit_connect(struct kit *k, const char *device, uint32_t slot, bool clean)
{
	struct work *w = kit_work(k, OP_CONNECT, device, NULL);
	struct buf token = { 0 }, resource = { 0 };

	buf_printf(&resource, HOST "/devices/%s", device);
	assert_int_equal(sas_make(k->mac, &token, buf_view(&resource), STR(KEY1),
	                     clock_wall_us() / SECOND + 3600, STR_NONE),
	    ERR_OK);
	w->op.shown.token = work_str(w, buf_view(&token));
	w->op.connect.clean = clean;
	w->op.reply_to = (struct reply_to){ .loop = (uint16_t)(slot % LOOPS), .slot = slot };
	buf_fini(&token);
	buf_fini(&resource);
	assert_int_equal(kit_do_work(k, w), F_NONE);
	return k->reply.session_epoch;
}

static UNUSED void
kit_subscribe(struct kit *k, const char *device, uint64_t session_epoch)
{
	static const struct filter filters[] = { { FILTER_DESIRED, 0, { NULL, 0 } },
		{ FILTER_TWIN_RES, 0, { NULL, 0 } } };
	struct work *w = kit_work(k, OP_SUBSCRIBE, device, NULL);
	struct buf list = { 0 };

	filters_put(&list, &filters[0]);
	filters_put(&list, &filters[1]);
	w->op.payload = work_str(w, buf_view(&list));
	w->op.session_epoch = session_epoch;
	buf_fini(&list);
	assert_int_equal(kit_do_work(k, w), F_NONE);
}

static UNUSED struct work *
kit_report_work(struct kit *k, const char *device, uint64_t session_epoch, const char *json)
{
	struct work *w = kit_work(k, OP_REPORT, device, json);

	w->op.session_epoch = session_epoch;
	return w;
}

/* The last answer has this text in it, with ' for ". */
static UNUSED bool
kit_says(struct kit *k, const char *part)
{
	k->text.n = 0;
	buf_str(&k->text, buf_view(&k->reply.body));
	for (size_t i = 0; i < k->text.n; i++)
		if (k->text.p[i] == '"')
			k->text.p[i] = '\'';
	buf_putc(&k->text, '\0');
	return strstr(k->text.p, part) != NULL;
}

static UNUSED void
kit_shows(struct kit *k, const char *device, const char *part)
{
	assert_int_equal(kit_do(k, OP_TWIN_READ, device, NULL), F_NONE);
	if (!kit_says(k, part))
		fail_msg("%s is not in %s", part, k->text.p);
}

/* ---- tours ---- */

/* query NULL: the list of identities. Not yet sent. */
static UNUSED struct tour *
kit_tour(struct kit *k, const char *query, uint32_t limit)
{
	const struct query_options options = { .extensions = true };
	struct fault f = { 0 };
	struct query *q = NULL;
	struct tour *w;

	if (query != NULL && query_parse(str_of(query), &options, &q, &f) != ERR_OK)
		fail_msg("%s", f.text);
	w = tour_new(
	    k->loops[0], q != NULL ? &any_query_task_new(q)->task : list_task_new(), kit_tour_back);
	w->task->page->limit = limit;
	w->owner = k;
	return w;
}

/* Send it and wait; valid until the next kit_forget. */
static UNUSED struct tour *
kit_do_tour(struct kit *k, struct tour *w)
{
	kit_forget(k);
	fleet_tour(k->fleet, w);
	kit_await(k, k->ntours_back > 0);
	return k->tours_back[0];
}

static UNUSED void
kit_put_rows(struct buf *out, const struct tour *w)
{
	for (const struct rope_piece *p = w->task->page->rows.pieces.first; p != NULL; p = p->next)
		buf_put(out, p->bytes, p->n);
	buf_str(out, buf_view(&w->task->page->rows.rest));
}

/* All rows of a query with pages of that size, as one JSON text with commas between. */
static UNUSED const char *
kit_query(struct kit *k, const char *query, uint32_t limit)
{
	struct query_bookmark bookmark = { 0 };
	bool more = true;

	k->text.n = 0;
	for (int page = 0; more; page++) {
		struct tour *w = kit_tour(k, query, limit);

		assert_true(page < 100000);
		w->task->bookmark = bookmark;
		w = kit_do_tour(k, w);
		if (w->task->fault.code != F_NONE)
			fail_msg("%s", w->task->fault.text);
		assert_true(w->task->page->nrow <= limit);
		assert_true(w->task->page->nrow == limit || !w->task->page->more);
		if (k->text.n > 0 && w->task->page->nrow > 0)
			buf_putc(&k->text, ',');
		kit_put_rows(&k->text, w);
		bookmark = w->task->bookmark;
		more = w->task->page->more;
	}
	for (size_t i = 0; i < k->text.n; i++)
		if (k->text.p[i] == '"')
			k->text.p[i] = '\'';
	buf_putc(&k->text, '\0');
	return k->text.p;
}

static UNUSED unsigned
occurrences(const char *text, const char *part)
{
	unsigned n = 0;

	while ((text = strstr(text, part)) != NULL) {
		text += strlen(part);
		n++;
	}
	return n;
}

#define kit_test(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)

#endif
