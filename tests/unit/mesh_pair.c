/* Nodes in one process, over loopback: who may link, what passes, and what is told when a link goes. docs/cluster-design.md, 6, 11. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "mesh/mesh.h"
#include "os/clock.h"
#include "os/os.h"
#include "patience.h"

#include <pthread.h>
#include <stdlib.h>

#define NNODE 3

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;

struct node {
	char name[8], dir[64], address[NET_ADDR_TEXT_MAX];
	uint64_t generation;
	struct pinned *pinned;
	struct mesh *mesh;
	/* under mu; of each slot */
	unsigned up[NNODE], down[NNODE], frames[NNODE];
	uint64_t last[NNODE];
	bool ordered;
	char why[NET_WHY_MAX];
};

static struct node nodes[NNODE];

static void
on_up(void *ctx, uint16_t slot)
{
	struct node *n = ctx;

	pthread_mutex_lock(&mu);
	n->up[slot]++;
	n->last[slot] = 0;
	pthread_cond_broadcast(&moved);
	pthread_mutex_unlock(&mu);
}

static void
on_down(void *ctx, uint16_t slot, const char *why)
{
	struct node *n = ctx;

	pthread_mutex_lock(&mu);
	n->down[slot]++;
	snprintf(n->why, sizeof(n->why), "%s", why);
	pthread_cond_broadcast(&moved);
	pthread_mutex_unlock(&mu);
}

/* POKE carries a number, which rises. */
static enum err
on_frame(void *ctx, uint16_t slot, const struct frame *frame, struct fault *f)
{
	struct node *n = ctx;
	uint64_t number, none;

	if (frame->kind != FRAME_POKE)
		return fault_set(f, F_ServerError, "a test says POKE");
	assert_int_equal(numbers_read(frame->body, &number, &none, f), ERR_OK);
	pthread_mutex_lock(&mu);
	n->ordered = n->ordered && number == n->last[slot] + 1;
	n->last[slot] = number;
	n->frames[slot]++;
	pthread_cond_broadcast(&moved);
	pthread_mutex_unlock(&mu);
	return ERR_OK;
}

static void
node_start(unsigned i)
{
	struct node *n = &nodes[i];
	char why[NET_WHY_MAX] = "";
	const struct mesh_options o = { .pinned = n->pinned,
		.address = n->address,
		.hub = "hub",
		.node = n->name,
		.version = "1.0.0",
		.slot = (uint16_t)i,
		.generation = n->generation,
		.times = { 100000, 1500000 },
		.on_up = on_up,
		.on_down = on_down,
		.on_frame = on_frame,
		.ctx = n };

	n->ordered = true;
	if (mesh_open(&o, &n->mesh, why) != ERR_OK)
		fail_msg("%s", why);
	assert_int_equal(mesh_start(n->mesh), ERR_OK);
}

static void
node_stop(unsigned i)
{
	mesh_stop(nodes[i].mesh);
	mesh_free(nodes[i].mesh);
	nodes[i].mesh = NULL;
}

static int
group_begin(void **state)
{
	(void)state;
	net_init();
	for (unsigned i = 0; i < NNODE; i++) {
		struct node *n = &nodes[i];
		char why[NET_WHY_MAX] = "";

		snprintf(n->name, sizeof(n->name), "%c", 'a' + i);
		snprintf(n->dir, sizeof(n->dir), "/tmp/twinhub-mesh-XXXXXX");
		assert_non_null(mkdtemp(n->dir));
		n->generation = 1;
		if (pinned_open(n->dir, n->name, clock_wall_us(), &n->pinned, why) != ERR_OK)
			fail_msg("%s", why);
	}
	return 0;
}

static int
group_end(void **state)
{
	(void)state;
	for (unsigned i = 0; i < NNODE; i++) {
		char path[128];

		pinned_free(nodes[i].pinned);
		snprintf(path, sizeof(path), "%s/mesh.pem", nodes[i].dir), unlink(path);
		snprintf(path, sizeof(path), "%s/mesh.key", nodes[i].dir), unlink(path);
		rmdir(nodes[i].dir);
	}
	return 0;
}

/* A port that was free a moment ago. */
static void
address_find(struct node *n)
{
	char why[NET_WHY_MAX] = "";
	uint16_t port = 0;
	int fd;

	if (net_bind("127.0.0.1", 0, 1, &fd, &port, why) != ERR_OK)
		fail_msg("%s", why);
	close(fd);
	snprintf(n->address, sizeof(n->address), "127.0.0.1:%u", port);
}

static struct mesh_peer
peer_of(unsigned i)
{
	struct mesh_peer p = { .slot = (uint16_t)i, .generation = nodes[i].generation };

	snprintf(p.node, sizeof(p.node), "%s", nodes[i].name);
	snprintf(p.address, sizeof(p.address), "%s", nodes[i].address);
	pinned_print(nodes[i].pinned, p.print);
	return p;
}

/* All know all. */
static void
table_tell(void)
{
	struct mesh_peer all[NNODE];

	for (unsigned i = 0; i < NNODE; i++)
		all[i] = peer_of(i);
	for (unsigned i = 0; i < NNODE; i++)
		if (nodes[i].mesh != NULL)
			mesh_peers(nodes[i].mesh, all, NNODE);
}

static int
mesh_begin(void **state)
{
	(void)state;
	for (unsigned i = 0; i < NNODE; i++) {
		struct node *n = &nodes[i];

		memset(n->up, 0, sizeof(n->up)), memset(n->down, 0, sizeof(n->down));
		memset(n->frames, 0, sizeof(n->frames));
		address_find(n);
		node_start(i);
	}
	return 0;
}

static int
mesh_end(void **state)
{
	(void)state;
	for (unsigned i = 0; i < NNODE; i++)
		if (nodes[i].mesh != NULL)
			node_stop(i);
	return 0;
}

static void
await_links(void)
{
	pthread_mutex_lock(&mu);
	for (unsigned i = 0; i < NNODE; i++)
		for (unsigned j = 0; j < NNODE; j++)
			if (i != j)
				patience_await(&moved, &mu, nodes[i].up[j] == nodes[i].down[j] + 1);
	pthread_mutex_unlock(&mu);
}

/* Numbers from..to to a slot, on the loop. */
struct send_msg {
	struct msg msg;
	struct node *from;
	uint16_t to;
	uint64_t first, last;
	bool sent, done;
};

static void
send_arrived(struct msg *m)
{
	struct send_msg *sm = (struct send_msg *)m;
	struct buf b = { 0 };
	bool sent = true;

	for (uint64_t i = sm->first; i <= sm->last; i++) {
		size_t begun = frame_begin(&b, FRAME_POKE);

		numbers_write(&b, i, 0);
		assert_int_equal(frame_end(&b, begun), ERR_OK);
		sent = mesh_send(sm->from->mesh, sm->to, buf_view(&b)) && sent;
		b.n = 0;
	}
	buf_fini(&b);
	pthread_mutex_lock(&mu);
	sm->sent = sent;
	sm->done = true;
	pthread_cond_broadcast(&moved);
	pthread_mutex_unlock(&mu);
}

static bool
send_numbers(unsigned from, unsigned to, uint64_t first, uint64_t last)
{
	struct send_msg sm = { .msg.run = send_arrived,
		.from = &nodes[from],
		.to = (uint16_t)to,
		.first = first,
		.last = last };

	loop_post(mesh_loop(nodes[from].mesh), &sm.msg);
	pthread_mutex_lock(&mu);
	patience_await(&moved, &mu, sm.done);
	pthread_mutex_unlock(&mu);
	return sm.sent;
}

static void
mesh__carries_frames_between_all_pairs_in_order(void **state)
{
	(void)state;
	table_tell();
	await_links();
	for (unsigned i = 0; i < NNODE; i++)
		for (unsigned j = 0; j < NNODE; j++)
			if (i != j)
				assert_true(send_numbers(i, j, 1, 2000));
	pthread_mutex_lock(&mu);
	for (unsigned i = 0; i < NNODE; i++)
		for (unsigned j = 0; j < NNODE; j++)
			if (i != j)
				patience_await(&moved, &mu, nodes[i].frames[j] == 2000);
	for (unsigned i = 0; i < NNODE; i++)
		assert_true(nodes[i].ordered);
	pthread_mutex_unlock(&mu);
}

static void
mesh__a_node_that_comes_back_is_linked_again(void **state)
{
	struct mesh_view views[MESH_PEERS_MAX];
	(void)state;

	table_tell();
	await_links();
	node_stop(1);
	pthread_mutex_lock(&mu);
	patience_await(&moved, &mu, nodes[0].down[1] == 1 && nodes[2].down[1] == 1);
	pthread_mutex_unlock(&mu);
	assert_false(send_numbers(0, 1, 1, 1));
	assert_int_equal(mesh_look(nodes[0].mesh, views), 2);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(views[i].up, views[i].slot == 2);
	nodes[1].generation++;
	node_start(1);
	table_tell();
	await_links();
	assert_true(send_numbers(0, 1, 1, 1));
	nodes[1].generation = 1;
}

static void
mesh__a_former_incarnation_is_dropped_and_refused(void **state)
{
	(void)state;
	table_tell();
	await_links();
	nodes[1].generation = 2; /* says the table; the node itself does not know it */
	table_tell();
	pthread_mutex_lock(&mu);
	patience_await(&moved, &mu, nodes[0].down[1] == 1);
	pthread_mutex_unlock(&mu);
	clock_sleep_us(1200000); /* it is dialled again, and refused */
	pthread_mutex_lock(&mu);
	assert_int_equal(nodes[0].up[1], 1);
	pthread_mutex_unlock(&mu);
	nodes[1].generation = 1;
	table_tell();
	await_links();
}

/* Node b's address, but not its key. */
static void
mesh__O259_who_shows_another_certificate_is_refused(void **state)
{
	struct mesh_view views[MESH_PEERS_MAX];
	struct mesh_peer all[NNODE];
	(void)state;

	for (unsigned i = 0; i < NNODE; i++)
		all[i] = peer_of(i);
	memcpy(all[1].print, all[2].print, PRINT_SIZE);
	mesh_peers(nodes[0].mesh, all, NNODE);
	memcpy(all[1].print, peer_of(1).print, PRINT_SIZE);
	mesh_peers(nodes[1].mesh, all, NNODE);
	clock_sleep_us(300000);
	pthread_mutex_lock(&mu);
	assert_int_equal(nodes[0].up[1], 0);
	assert_int_equal(nodes[1].up[0], nodes[1].down[0]);
	pthread_mutex_unlock(&mu);
	assert_int_equal(mesh_look(nodes[0].mesh, views), 2);
	for (unsigned i = 0; i < 2; i++)
		if (views[i].slot == 1)
			assert_non_null(strstr(views[i].why, "certificate"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    mesh__carries_frames_between_all_pairs_in_order, mesh_begin, mesh_end),
		cmocka_unit_test_setup_teardown(
		    mesh__a_node_that_comes_back_is_linked_again, mesh_begin, mesh_end),
		cmocka_unit_test_setup_teardown(
		    mesh__a_former_incarnation_is_dropped_and_refused, mesh_begin, mesh_end),
		cmocka_unit_test_setup_teardown(
		    mesh__O259_who_shows_another_certificate_is_refused, mesh_begin, mesh_end),
	};

	return cmocka_run_group_tests(tests, group_begin, group_end);
}
