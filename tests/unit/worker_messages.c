/* Messages to devices through real workers: what is delivered is on disk, what failed is delivered again (docs/spec/messages.md). */
#include "worker_kit.h"

static struct work *
listen_work(struct kit *k, const char *device, uint64_t session_epoch)
{
	static const struct filter filter = { FILTER_C2D, 1, { NULL, 0 } };
	struct work *w = kit_work(k, OP_SUBSCRIBE, device, NULL);
	struct buf list = { 0 };

	filters_put(&list, &filter);
	w->op.payload = work_str(w, buf_view(&list));
	w->op.session_epoch = session_epoch;
	buf_fini(&list);
	return w;
}

static struct work *
message_work(struct kit *k, const char *device, const char *body)
{
	struct work *w = kit_work(k, OP_MESSAGE_SEND, device, NULL);

	w->op.payload = work_str(w, str_of(body));
	return w;
}

static enum fault_code
send_message(struct kit *k, const char *device, const char *body)
{
	return kit_do_work(k, message_work(k, device, body));
}

/* Its body, of a polled one; NULL: there is none. */
static const char *
poll(struct kit *k, const char *device)
{
	static char text[64];
	struct message m;

	assert_int_equal(kit_do_work(k, kit_work(k, OP_MESSAGE_RECEIVE, device, NULL)), F_NONE);
	if (k->reply.message.number == 0)
		return NULL;
	assert_int_equal(message_decode(buf_view(&k->reply.body), &m), ERR_OK);
	snprintf(text, sizeof(text), STR_FMT, STR_ARG(m.payload));
	return text;
}

static void
messages__M02_nothing_is_delivered_before_its_commit(void **state)
{
	struct kit *k = *state;
	uint64_t session_epoch;

	kit_start(k, 1);
	kit_create(k, "d", 1);
	session_epoch = kit_connect(k, "d0", 6, true);
	assert_int_equal(kit_do_work(k, listen_work(k, "d0", session_epoch)), F_NONE);
	kit_forget(k);
	disk_hold();
	fleet_submit(k->fleet, message_work(k, "d0", "one"));
	disk_await();
	kit_flush(k);
	assert_int_equal(k->nback + k->nnotes, 0);
	disk_release(0);
	kit_await(k, k->nback == 1 && k->nnotes == 1);
	assert_int_equal(k->back[0]->reply.fault.code, F_NONE);
	assert_non_null(memmem(k->notes.p, k->notes.n, "notify 6", 8));
}

static void
messages__M02_what_failed_is_not_there_and_its_session_comes_again(void **state)
{
	struct kit *k = *state;
	uint64_t session_epoch;

	kit_start(k, 1);
	kit_create(k, "d", 1);
	assert_int_equal(send_message(k, "d0", "kept"), F_NONE);
	kit_forget(k);
	disk_hold();
	session_epoch = kit_connect(k, "d0", 6, true); /* of a clean session: nothing is written */
	kit_forget(k);
	fleet_submit(k->fleet, listen_work(k, "d0", session_epoch)); /* the delivery is counted */
	disk_await();
	fleet_submit(k->fleet, message_work(k, "d0", "lost"));
	kit_taken(k);
	disk_release(ENOSPC);
	kit_await(k, k->nback == 2 && k->nnotes >= 1);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(k->back[i]->reply.fault.code, F_ServiceUnavailable);
	assert_non_null(memmem(k->notes.p, k->notes.n, "close 6", 7));
	assert_null(
	    memmem(k->notes.p, k->notes.n, "notify", 6)); /* what is not counted is not delivered */
	disk_release(0);
	kit_await(k, k->nmended > 0);
	kit_stop(k);
	kit_start(k, 1);
	assert_string_equal(poll(k, "d0"), "kept");
	assert_int_equal(k->reply.message.deliveries, 0);
	assert_null(poll(k, "d0"));
}

static void
messages__M02_M13_are_there_after_a_start_and_nothing_is_locked(void **state)
{
	struct kit *k = *state;

	kit_start(k, 2);
	kit_create(k, "d", 8);
	for (unsigned i = 0; i < 8; i++) {
		const char device[] = { 'd', (char)('0' + i), '\0' };

		assert_int_equal(send_message(k, device, device), F_NONE);
	}
	assert_string_equal(poll(k, "d3"), "d3");
	assert_null(poll(k, "d3"));
	kit_stop(k);
	kit_start(k, 1);
	for (unsigned i = 0; i < 8; i++) {
		const char device[] = { 'd', (char)('0' + i), '\0' };

		assert_string_equal(poll(k, device), device);
		assert_int_equal(k->reply.message.deliveries, i == 3);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		kit_test(messages__M02_nothing_is_delivered_before_its_commit),
		kit_test(messages__M02_what_failed_is_not_there_and_its_session_comes_again),
		kit_test(messages__M02_M13_are_there_after_a_start_and_nothing_is_locked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
