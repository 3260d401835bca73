/* What tags and desired properties were, read record by record (job/former.h). */
#include "task_kit.h"

#include "job/former.h"
#include "shard/record.h"

#define T0 INT64_C(1800000000000000)

struct bench {
	struct kit k;
	struct stepper st;
	struct former f;
	uint32_t row;
};

static void
begin(struct bench *b)
{
	*b = (struct bench){ .row = 0 };
	kit_init(&b->k);
	stepper_init(&b->st, &b->k, 0);
	b->k.env.now_us = T0;
	kit_device(&b->k, "d");
	b->row = shard_find(b->k.sh, STR("d"), STR_NONE);
}

static void
end(struct bench *b)
{
	former_fini(&b->f);
	stepper_fini(&b->st);
	kit_fini(&b->k);
}

/* At T0 + s seconds. */
static void
patch(struct bench *b, int s, const char *json)
{
	b->k.env.now_us = T0 + s * INT64_C(1000000) - INT64_C(1000000); /* the kit goes on by one */
	assert_int_equal(kit_patch(&b->k, "d", NULL, json), F_NONE);
}

/* Until it wants no record any more; one slice. */
static enum former_step
look(struct bench *b, int s)
{
	enum former_step step;

	b->st.slice.need.answered = false;
	while ((step = former_step(&b->f, b->k.sh, b->row, T0 + s * INT64_C(1000000),
	            &b->st.slice)) == FORMER_NEEDS)
		stepper_meets(&b->st);
	return step;
}

static void
is(struct bench *b, int s, const char *json)
{
	struct buf doc = { 0 }, text = { 0 };

	assert_int_equal(look(b, s), FORMER_READY);
	assert_string_equal(b->f.fault.code == F_NONE ? "" : b->f.fault.text, "");
	former_document(&b->f, &doc);
	doc_write_json(&text, doc_of(buf_view(&doc)));
	buf_putc(&text, '\0');
	assert_string_equal(text.p, json);
	buf_fini(&doc);
	buf_fini(&text);
}

static void
fails(struct bench *b, int s, enum fault_code code)
{
	assert_int_equal(look(b, s), FORMER_READY);
	assert_int_equal(b->f.fault.code, code);
}

static void
former__J71_each_moment_has_its_tags_and_desired_properties(void **state)
{
	struct bench b;

	(void)state;
	begin(&b);
	patch(&b, 10, "{'tags':{'a':1},'properties':{'desired':{'x':{'y':1}}}}");
	patch(&b, 20, "{'tags':{'a':null,'b':2}}");
	patch(&b, 30, "{'properties':{'desired':{'x':{'y':null,'z':[1]}}}}");
	is(&b, 40, "{\"tags\":{\"b\":2},\"properties\":{\"desired\":{\"x\":{\"z\":[1]}}}}");
	assert_true(former_is(&b.f, row_at(b.k.sh, b.row)));
	is(&b, 30, "{\"tags\":{\"b\":2},\"properties\":{\"desired\":{\"x\":{\"z\":[1]}}}}");
	is(&b, 29, "{\"tags\":{\"b\":2},\"properties\":{\"desired\":{\"x\":{\"y\":1}}}}");
	is(&b, 10, "{\"tags\":{\"a\":1},\"properties\":{\"desired\":{\"x\":{\"y\":1}}}}");
	assert_false(former_is(&b.f, row_at(b.k.sh, b.row)));
	is(&b, 9, "{\"tags\":{},\"properties\":{\"desired\":{}}}");
	fails(&b, -1, F_GenericNotFound);
	end(&b);
}

static void
former__J72_before_what_is_kept_is_said_and_what_has_not_changed_since_is_known(void **state)
{
	struct bench b;

	(void)state;
	begin(&b);
	patch(&b, 10, "{'tags':{'a':1}}");
	patch(&b, 20, "{'tags':{'a':2}}");
	b.st.kept_us = T0 + 15 * INT64_C(1000000);
	is(&b, 16, "{\"tags\":{\"a\":1},\"properties\":{\"desired\":{}}}");
	fails(&b, 14, F_HistoryNotKept);
	b.st.kept_us = T0 + 25 * INT64_C(1000000);
	is(&b, 26, "{\"tags\":{\"a\":2},\"properties\":{\"desired\":{}}}");
	b.st.kept_us = INT64_MAX;
	fails(&b, 30, F_HistoryNotKept);
	end(&b);
}

static void
former__J73_it_waits_for_the_disk_goes_on_in_the_next_slice_and_begins_anew_with_a_change(
    void **state)
{
	struct bench b;
	unsigned over = 0;

	(void)state;
	begin(&b);
	for (int i = 1; i <= 50; i++)
		patch(&b, 10 * i, i % 2 ? "{'tags':{'a':1}}" : "{'tags':{'a':2}}");
	b.st.on_disk = shard_log_next(b.k.sh) - 1; /* the last change is not there yet */
	assert_int_equal(look(&b, 10), FORMER_LATER);
	b.st.on_disk = 0;
	b.st.looks = 1;
	while (look(&b, 10) == FORMER_OVER)
		over++;
	assert_true(over > 3);
	is(&b, 10, "{\"tags\":{\"a\":1},\"properties\":{\"desired\":{}}}");
	b.st.logs = 0;
	is(&b, 10, "{\"tags\":{\"a\":1},\"properties\":{\"desired\":{}}}");
	assert_int_equal(b.st.logs, 0); /* it is known */
	patch(&b, 600, "{'tags':{'a':3}}");
	b.st.looks = 0;
	is(&b, 500, "{\"tags\":{\"a\":2},\"properties\":{\"desired\":{}}}");
	former_forget(&b.f);
	b.st.logs = 0;
	is(&b, 500, "{\"tags\":{\"a\":2},\"properties\":{\"desired\":{}}}");
	assert_int_not_equal(b.st.logs, 0);
	b.st.on_disk = 1;
	for (unsigned i = 0; i <= FORMER_AGAIN_MAX + 1; i++) {
		patch(&b, 700 + (int)i, i % 2 ? "{'tags':{'a':1}}" : "{'tags':{'a':2}}");
		(void)look(&b, 10);
	}
	fails(&b, 10, F_ServiceUnavailable);
	end(&b);
}

static void
former__J72_so_many_changes_are_not_taken_back(void **state)
{
	struct bench b;

	(void)state;
	begin(&b);
	patch(&b, 1, "{'tags':{'a':1}}");
	assert_int_equal(look(&b, 0), FORMER_READY);
	former_forget(&b.f);
	b.st.slice.need.answered = false;
	assert_int_equal(former_step(&b.f, b.k.sh, b.row, T0, &b.st.slice), FORMER_NEEDS);
	b.f.back = FORMER_BACK_MAX - 1;
	stepper_meets(&b.st);
	assert_int_equal(former_step(&b.f, b.k.sh, b.row, T0, &b.st.slice), FORMER_READY);
	assert_int_equal(b.f.fault.code, F_HistoryNotKept);
	end(&b);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(former__J71_each_moment_has_its_tags_and_desired_properties),
		cmocka_unit_test(
		    former__J72_before_what_is_kept_is_said_and_what_has_not_changed_since_is_known),
		cmocka_unit_test(
		    former__J73_it_waits_for_the_disk_goes_on_in_the_next_slice_and_begins_anew_with_a_change),
		cmocka_unit_test(former__J72_so_many_changes_are_not_taken_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
