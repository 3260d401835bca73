/*
 * Any bytes as a part of a query, as they are or under a frame that is right: what is refused says so; what is taken gives a
 * result, and the same one again when it has gone through bytes itself.
 */
#include "fuzz.h"
#include "query/query.h"

#define MEMORY (1u << 16)

static const char *const texts[] = {
	"SELECT COUNT() AS c, COUNT(DISTINCT tags.n) AS d FROM devices",
	"SELECT tags.v, COUNT() AS c FROM devices GROUP BY tags.v",
	"SELECT tags.v, deviceId, MIN(tags.n) AS l, SUM(tags.n) AS s FROM devices GROUP BY tags.v, "
	"deviceId",
	"SELECT tags.v, COUNT(DISTINCT tags.n) AS d, MAX(tags.n) AS m FROM devices GROUP BY tags.v "
	"HAVING COUNT() > 1 ORDER BY tags.v DESC",
	"SELECT DISTINCT tags.v FROM devices"
};
#define NTEXT (sizeof(texts) / sizeof(texts[0]))

static struct query *plans[NTEXT];
static struct doc_parser *parser;

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const struct query_options options = { .extensions = true };

	(void)argc;
	(void)argv;
	parser = doc_parser_new(1u << 22);
	for (size_t i = 0; i < NTEXT; i++)
		require(query_parse(str_of(texts[i]), &options, &plans[i], NULL) == ERR_OK);
	return 0;
}

static void
frame(struct buf *out, const struct query *q, char kind, struct str body)
{
	buf_putc(out, 1);
	buf_putc(out, kind);
	buf_le64(out, query_facts(q)->hash);
	buf_le64(out, body.n);
	buf_str(out, body);
	buf_le64(out, hash_checksum(out->p, out->n));
}

static void
require_json(const struct buf *json)
{
	struct buf doc = { 0 };

	require(doc_parse(parser, buf_view(json), &doc, NULL, NULL) == ERR_OK);
	buf_fini(&doc);
}

static void
groups_write(struct query_groups *g, struct buf *json)
{
	query_groups_finish(g);
	buf_putc(json, '[');
	query_groups_write(g, 0, UINT32_MAX, json);
	buf_putc(json, ']');
	require_json(json);
}

static void
groups_again(struct query_groups *g, const struct query *q)
{
	struct query_groups *back = query_groups_new(q, MEMORY);
	struct buf bytes = { 0 }, want = { 0 }, got = { 0 };
	struct str parts;

	query_groups_put(g, &bytes);
	parts = buf_view(&bytes);
	require(bytes.n <= query_groups_bytes(g) + 64);
	require(query_groups_merge(back, &parts, NULL) == ERR_OK && parts.n == 0);
	groups_write(g, &want);
	groups_write(back, &got);
	require(str_eq(buf_view(&want), buf_view(&got)));
	query_groups_free(back);
	buf_fini(&bytes);
	buf_fini(&want);
	buf_fini(&got);
}

static void
take_groups(const struct query *q, struct str parts)
{
	struct query_groups *g = query_groups_new(q, MEMORY);
	struct fault f = { .text = "" };
	enum err e = query_groups_merge(g, &parts, &f);

	require(e == ERR_OK || (e == ERR_SIZE && f.code == F_QueryTooLarge) ||
	    (e == ERR_CORRUPT && f.code == F_ServerError));
	if (e == ERR_OK)
		groups_again(g, q);
	query_groups_free(g);
}

#define WANT 3

static void
order_write(struct query_order *o, struct buf *json)
{
	query_order_finish(o);
	buf_putc(json, '[');
	query_order_write(o, 0, UINT32_MAX, SIZE_MAX, json);
	buf_putc(json, ']');
	require_json(json);
}

static void
take_order(const struct query *q, struct str parts)
{
	struct query_order *o = query_order_new(q, WANT, MEMORY),
	                   *back = query_order_new(q, WANT, MEMORY);
	struct buf bytes = { 0 }, want = { 0 }, got = { 0 };
	struct fault f = { .text = "" };
	enum err e = query_order_merge(o, &parts, &f);

	require(e == ERR_OK || (e == ERR_SIZE && f.code == F_QueryTooLarge) ||
	    (e == ERR_CORRUPT && f.code == F_ServerError));
	if (e == ERR_OK) {
		query_order_put(o, &bytes);
		parts = buf_view(&bytes);
		require(query_order_merge(back, &parts, &f) == ERR_OK && parts.n == 0);
		require(query_order_count(o) == query_order_count(back));
		order_write(o, &want);
		order_write(back, &got);
		require(
		    want.n == got.n); /* of two rows with one key and turn either may be first */
	}
	query_order_free(o);
	query_order_free(back);
	buf_fini(&bytes);
	buf_fini(&want);
	buf_fini(&got);
}

static void
take(const struct query *q, struct str parts)
{
	if (query_facts(q)->aggregate)
		take_groups(q, parts);
	else
		take_order(q, parts);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = { (const char *)data, size };
	const struct query *q = plans[fuzz_choice(&in, NTEXT)];
	struct buf part = { 0 };

	take(q, in);
	frame(&part, q, query_facts(q)->aggregate ? 'g' : 'o', in);
	take(q, buf_view(&part));
	buf_fini(&part);
	return 0;
}
