/* Lines through real workers: failed commits, pages of an export, and a file cut into batches. */
#include "rnd.h"
#include "transfer/transfer.h"
#include "worker_kit.h"

static const char *const policy = "owner";

static enum err
import(struct kit *k, struct str text, bool again, struct import_result *out, struct fault *f)
{
	struct import_options o = { .fleet = k->fleet,
		.actor = str_of(policy),
		.mode = import_mode_default,
		.whole = true,
		.again = again,
		.first_line = 1 };

	*f = (struct fault){ 0 };
	return import_lines(&o, text, out, f);
}

/* name0, name1, ... each with a module. */
static void
put_lines(struct buf *text, const char *name, unsigned n, const char *mode)
{
	for (unsigned i = 0; i < n; i++) {
		buf_printf(text, "{\"id\":\"%s%u\",\"importMode\":\"%s\",\"tags\":{\"n\":%u}}\n",
		    name, i, mode, i);
		buf_printf(text, "{\"id\":\"%s%u\",\"moduleId\":\"m\",\"importMode\":\"%s\"}\n",
		    name, i, mode);
	}
}

/* Every page of the export, of at most that many lines. */
static void export(struct kit *k, uint32_t nline, struct buf *lines)
{
	struct buf cursor = { 0 }, next = { 0 };
	struct fault f = { 0 };

	do {
		next.n = 0;
		assert_int_equal(
		    export_page(k->store, buf_view(&cursor), nline, true, lines, &next, &f),
		    ERR_OK);
		cursor.n = 0;
		buf_str(&cursor, buf_view(&next));
	} while (next.n > 0);
	buf_fini(&cursor);
	buf_fini(&next);
}

static unsigned
count_lines(const struct buf *b)
{
	unsigned n = 0;

	for (size_t i = 0; i < b->n; i++)
		n += b->p[i] == '\n';
	return n;
}

static void
import__all_of_it_is_there_and_comes_out(void **state)
{
	struct kit *k = *state;
	struct buf text = { 0 }, all = { 0 }, pages = { 0 };
	struct import_result r;
	struct fault f;

	kit_start(k, 3);
	put_lines(&text, "d", 3000, "create");
	assert_int_equal(import(k, buf_view(&text), false, &r, &f), ERR_OK);
	assert_int_equal(r.ndone, 6000);
	assert_int_equal(r.nline, 6000);
	assert_int_equal(r.nfault, 0);
	import_result_fini(&r);
	assert_int_equal(fleet_identities(k->fleet), 6000);
	kit_shows(k, "d2999", "'tags':{'n':2999}");
	export(k, EXPORT_LINES_MAX, &all);
	assert_int_equal(count_lines(&all), 6000);
	export(k, 7, &pages);
	assert_true(str_eq(buf_view(&all), buf_view(&pages)));

	/* the same again: what is there is a fault, unless it may have been this very run's */
	assert_int_equal(import(k, buf_view(&text), false, &r, &f), ERR_OK);
	assert_int_equal(r.nfault, 6000);
	for (uint32_t i = 0; i < r.nfault; i++)
		assert_int_equal(r.faults[i].line, i + 1);
	import_result_fini(&r);
	assert_int_equal(import(k, buf_view(&text), true, &r, &f), ERR_OK);
	assert_int_equal(r.nthere, 6000);
	import_result_fini(&r);

	/* out of this hub, into an empty one: the lines themselves are the same */
	text.n = pages.n = 0;
	put_lines(&text, "d", 3000, "delete");
	assert_int_equal(import(k, buf_view(&text), false, &r, &f), ERR_OK);
	assert_int_equal(r.ndone, 3000); /* modules go with their devices */
	import_result_fini(&r);
	assert_int_equal(import(k, buf_view(&all), false, &r, &f), ERR_OK);
	assert_int_equal(r.ndone, 6000);
	import_result_fini(&r);
	export(k, 1000, &pages);
	assert_true(str_eq(buf_view(&all), buf_view(&pages)));
	buf_fini(&text), buf_fini(&all), buf_fini(&pages);
}

/* The disk has no space while it goes on: nothing is said to be done, and the same lines again make it whole. */
static void
import__a_failed_commit_is_no_line_s_fault(void **state)
{
	struct kit *k = *state;
	struct buf text = { 0 }, all = { 0 };
	struct import_result r;
	struct fault f;
	enum err e;

	kit_start(k, 2);
	put_lines(&text, "d", 2000, "create");
	disk_release(ENOSPC);
	assert_int_equal(import(k, buf_view(&text), false, &r, &f), ERR_IO);
	assert_int_equal(f.code, F_ServiceUnavailable);
	assert_int_equal(r.nfault, 0);
	import_result_fini(&r);
	disk_release(0);
	while ((e = import(k, buf_view(&text), true, &r, &f)) == ERR_IO) {
		import_result_fini(&r);
		usleep(1000);
	}
	assert_int_equal(e, ERR_OK);
	assert_int_equal(r.ndone, 4000);
	import_result_fini(&r);
	assert_int_equal(fleet_identities(k->fleet), 4000);
	kit_stop(k);
	kit_start(k, 2);
	assert_int_equal(fleet_identities(k->fleet), 4000);
	export(k, EXPORT_LINES_MAX, &all);
	assert_int_equal(count_lines(&all), 4000);
	buf_fini(&text), buf_fini(&all);
}

struct importer {
	struct kit *k;
	struct str text;
	struct import_result r;
	struct fault f;
	enum err e;
};

static void *
importer_main(void *arg)
{
	struct importer *im = arg;

	im->e = import(im->k, im->text, false, &im->r, &im->f);
	return NULL;
}

/* Devices go on meanwhile; and a fleet that stops answers everybody. */
static void
import__beside_others_and_a_stop(void **state)
{
	struct kit *k = *state;
	struct buf text = { 0 };
	struct importer im = { .k = k };
	pthread_t thread;
	uint64_t session_epoch;

	kit_start(k, 2);
	kit_create(k, "x", 1);
	session_epoch = kit_connect(k, "x0", 1, true);
	put_lines(&text, "d", 10000, "createOrUpdate");
	im.text = buf_view(&text);
	assert_int_equal(pthread_create(&thread, NULL, importer_main, &im), 0);
	while (fleet_identities(k->fleet) < 100)
		sched_yield();
	for (int i = 0; i < 20; i++)
		assert_int_equal(
		    kit_do_work(k, kit_report_work(k, "x0", session_epoch, "{'x':1}")), F_NONE);
	assert_true(k->reply.version == 21);
	kit_halt(k);
	pthread_join(thread, NULL);
	if (im.e != ERR_OK) { /* it was not through */
		assert_int_equal(im.e, ERR_IO);
		assert_int_equal(im.f.code, F_ServiceUnavailable);
	}
	import_result_fini(&im.r);
	buf_fini(&text);
}

/* ---- a file in batches ---- */

/* Lines of random length; `modules`: how many in a row may be modules. */
static void
put_random(struct buf *b, struct rnd *rnd, unsigned n, size_t longest, unsigned modules)
{
	unsigned left = 0;

	for (unsigned i = 0; i < n; i++) {
		size_t pad = (size_t)(rnd_u64(rnd) % longest);

		left = left > 0 ? left - 1 : (unsigned)(rnd_u64(rnd) % (modules + 1));
		buf_cstr(b, left > 0 ? "{\"id\":1,\"moduleId\":2,\"p\":\"" : "{\"id\":1,\"p\":\"");
		buf_reserve(b, pad);
		memset(b->p + b->n, 'p', pad);
		b->n += pad;
		buf_cstr(b, i + 1 < n || rnd_u64(rnd) % 2 ? "\"}\n" : "\"}");
	}
}

static void
cut(struct kit *k, const struct buf *file)
{
	struct line_reader r = { .line = 1 };
	struct batch b = { 0 };
	struct buf joined = { 0 };
	uint64_t line = 1;
	char path[200];
	FILE *f;

	snprintf(path, sizeof(path), "%s/lines", k->root);
	f = fopen(path, "w+e");
	assert_non_null(f);
	if (file->n > 0)
		assert_int_equal(fwrite(file->p, 1, file->n, f), file->n);
	rewind(f);
	r.fd = fileno(f);
	for (;;) {
		assert_int_equal(batch_read(&r, &b), ERR_OK);
		if (b.text.n == 0 && b.too_long == 0)
			break;
		assert_int_equal(b.offset, joined.n);
		assert_int_equal(b.line, line);
		if (b.too_long > 0) {
			assert_true(b.too_long > IMPORT_LINE_MAX);
			buf_put(&joined, file->p + joined.n, b.too_long);
			line++;
		} else {
			unsigned n = count_lines(&b.text) + (b.text.p[b.text.n - 1] != '\n');

			assert_true(n <= BATCH_LINES && (n == 1 || b.text.n <= BATCH_BYTES));
			assert_int_equal(
			    b.alone, str_starts(buf_view(&b.text), STR("{\"id\":1,\"moduleId\"")));
			buf_str(&joined, buf_view(&b.text));
			line += n;
		}
		assert_int_equal(b.end, joined.n);
		assert_int_equal(b.next_line, line);
	}
	assert_true(str_eq(buf_view(&joined), buf_view(file)));
	fclose(f);
	buf_fini(&joined), buf_fini(&b.text), buf_fini(&r.in);
}

static void
lines__every_file_is_cut_into_its_lines(void **state)
{
	static const struct {
		unsigned n;
		size_t longest;
		unsigned modules;
	} files[] = { { 0, 1, 0 }, { 1, 10, 0 }, { 30000, 20, 0 }, { 30000, 100, 50 },
		{ 300, 60000, 50 }, { 60, 400000, 60 }, { 20, 3000000, 2 }, { 4, 30000000, 1 } };
	struct kit *k = *state;
	struct rnd rnd = { 4711 };
	struct buf file = { 0 };

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		file.n = 0;
		put_random(&file, &rnd, files[i].n, files[i].longest, files[i].modules);
		cut(k, &file);
	}
	buf_fini(&file);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    import__all_of_it_is_there_and_comes_out, kit_setup, kit_teardown),
		cmocka_unit_test_setup_teardown(
		    import__a_failed_commit_is_no_line_s_fault, kit_setup, kit_teardown),
		cmocka_unit_test_setup_teardown(
		    import__beside_others_and_a_stop, kit_setup, kit_teardown),
		cmocka_unit_test_setup_teardown(
		    lines__every_file_is_cut_into_its_lines, kit_setup, kit_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
