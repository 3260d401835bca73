/* cluster status: what the database says of its hub and its nodes, whether one of them runs or none does. */
#include "cli/cluster.h"

#include <stdlib.h>

#include "pg/operate.h"

static void
time_put(struct out *o, const char *key, int64_t us)
{
	char text[TIME_TEXT_MAX];
	size_t n = time_format(us, text);

	out_str(out_key(o, key), (struct str){ text, n });
}

static void
text_or_null(struct out *o, const char *key, const char *text)
{
	if (text[0] != '\0')
		out_cstr(out_key(o, key), text);
	else
		out_null(out_key(o, key));
}

static void
node_put(struct out *o, const struct pg_status_node *n)
{
	out_open(o);
	out_cstr(out_key(o, "node"), n->name);
	out_cstr(out_key(o, "state"), n->state);
	out_bool(out_key(o, "beats"), n->beats);
	out_u64(out_key(o, "shards"), n->shards);
	out_u64(out_key(o, "identities"), (uint64_t)n->identities);
	out_bool(out_key(o, "clockRight"), n->takes);
	text_or_null(o, "version", n->version);
	time_put(o, "since", n->generation);
	text_or_null(o, "address", n->address);
	out_u64(out_key(o, "slot"), n->slot);
	out_u64(out_key(o, "common"), (uint64_t)n->common);
	out_close(o);
}

static void
orphans_put(struct out *o, const struct pg_status *s)
{
	out_list(out_key(o, "shardsWithoutOwner"));
	for (unsigned i = 0; i < 64; i++) {
		if (s->shards[i].owner >= 0)
			continue;
		out_open(o);
		out_u64(out_key(o, "shard"), i);
		out_u64(out_key(o, "epoch"), (uint64_t)s->shards[i].epoch);
		out_close(o);
	}
	out_close(o);
}

static void
status_put(struct out *o, const struct pg_status *s)
{
	out_cstr(out_key(o, "hubId"), s->hub);
	out_cstr(out_key(o, "database"), s->database);
	out_cstr(out_key(o, "server"), s->server);
	out_cstr(out_key(o, "timeline"), s->timeline);
	out_cstr(out_key(o, "synchronous"), s->standbys[0] != '\0' ? s->standbys : "NOT");
	out_u64(out_key(o, "schema"), s->schema);
	out_u64(out_key(o, "level"), s->level);
	out_u64(out_key(o, "common"), (uint64_t)s->common);
	text_or_null(o, "lost", s->lost);
	out_list(out_key(o, "nodes"));
	for (unsigned i = 0; i < s->nnode; i++)
		node_put(o, &s->nodes[i]);
	out_close(o);
	orphans_put(o, s);
}

struct advised {
	struct out *out; /* NULL: to people */
};

static void
advise(void *ctx, const char *line, bool grave)
{
	const struct advised *a = ctx;

	if (a->out != NULL)
		out_cstr(a->out, line);
	else if (grave)
		cli_warn(line);
	else
		cli_note("%s", line);
}

/* Of what is asked besides, the server's refusal is no reason to say nothing. */
static void
advice_put(const struct args *a, const struct pg_options *o, struct out *out)
{
	struct advised advised = { output_json(a) ? out : NULL };
	struct fault ignored;

	if (advised.out != NULL)
		out_list(out_key(out, "advice"));
	(void)pg_advice(o, advise, &advised, &ignored);
	if (advised.out != NULL)
		out_close(out);
}

static int
status_show(const struct args *a, const struct pg_options *o, const struct pg_status *s)
{
	struct buf json = { 0 }, doc = { 0 };
	struct out out = out_to(&json);
	int code;

	out_open(&out);
	status_put(&out, s);
	advice_put(a, o, &out);
	out_close(&out);
	code = json_take(buf_view(&json), "the status", &doc);
	if (code == EXIT_DONE)
		code = show_sections(a, doc_of(buf_view(&doc)));
	buf_fini(&json);
	buf_fini(&doc);
	return code;
}

int
cli_cluster_status(const struct args *a)
{
	struct pg_status *s = xcalloc(1, sizeof(*s));
	struct pg_options o = { 0 };
	struct fault f = { 0 };
	enum err e;
	int code = db_named(a, &o);

	if (code == EXIT_DONE)
		code = (e = pg_status_get(&o, s, &f)) == ERR_OK ? status_show(a, &o, s)
		                                                : db_fail(e, &f);
	free(s);
	return code;
}
