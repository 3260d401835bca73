/* Of a condition that a job or configuration was made with: does it match anything? One that does not is most often a typing error. */
#include "cli/priv.h"

#include <stdio.h>

#define FROM_MODULES "FROM "

/* As the hub makes a query of it: jobs-and-configurations.md. */
static void
count_query(struct buf *body, struct str condition)
{
	struct buf text = { 0 };
	struct out o = out_to(body);

	buf_cstr(&text, "SELECT COUNT() AS n ");
	if (condition.n > sizeof(FROM_MODULES) - 1 &&
	    str_ieq((struct str){ condition.p, sizeof(FROM_MODULES) - 1 }, STR(FROM_MODULES)))
		buf_str(&text, condition);
	else if (str_eq(condition, STR("*")))
		buf_cstr(&text, "FROM devices");
	else
		buf_printf(&text, "FROM devices WHERE " STR_FMT, STR_ARG(condition));
	out_open(&o);
	out_str(out_key(&o, "query"), buf_view(&text));
	out_close(&o);
	buf_fini(&text);
}

/* Zero groups of an aggregate over nothing, or one of 0. */
static bool
counts_nothing(struct doc rows)
{
	struct doc_iter it = doc_iter(rows);
	struct str key;
	struct doc row;

	while (doc_next(&it, &key, &row))
		if (doc_kind(doc_getc(row, "n")) != DOC_INT || doc_int(doc_getc(row, "n")) != 0)
			return false;
	return doc_kind(rows) == DOC_ARRAY;
}

void
matches_tell(const struct target *t, struct str condition)
{
	struct buf body = { 0 };
	struct answer answer = { 0 };
	char why[WHY_MAX];

	if (condition.n == 0) {
		cli_warn("without a condition nothing has it: --condition '*' is all devices");
		return;
	}
	count_query(&body, condition);
	/* what cannot be asked is no matter here: what was to be done is done */
	if (hub_try(t,
	        &(struct ask){ .method = POST,
	            .path = "/devices/query",
	            .body = buf_view(&body),
	            .warned = true },
	        &answer, why) == EXIT_DONE &&
	    counts_nothing(doc_of(buf_view(&answer.doc))))
		cli_warn("the condition matches nothing at present");
	answer_fini(&answer);
	buf_fini(&body);
}
