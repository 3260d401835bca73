/* The tables of nodes and shards as a beat brings them, in lines (calls.c): for the step, and for who asks who there is. */
#include "pg/priv.h"

static bool
word_int(struct str *line, int64_t *out)
{
	struct str word;
	uint64_t n;

	(void)str_cut(*line, ' ', &word, line); /* the last one has all that is left */
	if (!str_u64(word, &n) || n > INT64_MAX)
		return false;
	*out = (int64_t)n;
	return true;
}

static bool
line_next(struct str *rest, struct str *line)
{
	if (rest->n == 0)
		return false;
	(void)str_cut(*rest, '\n', line, rest);
	return true;
}

bool
node_state_of(struct str word, enum cluster_state *out)
{
	static const char *const names[] = { "live", "draining", "buried", "revoked" };

	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (str_eq(word, str_of(names[i]))) {
			*out = (enum cluster_state)i;
			return true;
		}
	return false;
}

/* As encode(cert, 'hex') has it; `-`: none. */
static bool
print_of(struct str word, struct pg_node *n)
{
	int high, low;

	n->has_print = !str_eq(word, STR("-"));
	if (!n->has_print || word.n != 2 * (size_t)PG_PRINT)
		return !n->has_print;
	for (size_t i = 0; i < PG_PRINT; i++) {
		high = hex_digit(word.p[2 * i]);
		low = hex_digit(word.p[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		n->print[i] = (uint8_t)(high * 16 + low);
	}
	return true;
}

static bool
node_of(struct str line, struct cluster_node *n, struct pg_node *shown)
{
	struct str id, state, print;
	int64_t takes, slot;

	if (!str_cut(line, ' ', &id, &line) || id.n > CLUSTER_ID_MAX)
		return false;
	*n = (struct cluster_node){ 0 };
	*shown = (struct pg_node){ 0 };
	bytes_copy(n->id, id.p, id.n);
	if (!word_int(&line, &n->generation) || !word_int(&line, &n->beat) ||
	    !str_cut(line, ' ', &state, &line) || !node_state_of(state, &n->state) ||
	    !word_int(&line, &takes) || !word_int(&line, &slot) || slot > UINT16_MAX ||
	    !str_cut(line, ' ', &print, &line) || !print_of(print, shown))
		return false;
	n->takes = takes != 0;
	bytes_copy(shown->name, id.p, id.n);
	shown->slot = (uint16_t)slot;
	shown->generation = n->generation;
	shown->state = (enum pg_node_state)n->state;
	shown->takes = n->takes;
	if (line.n < PG_ADDRESS_MAX && !str_eq(line, STR("-")))
		bytes_copy(shown->address, line.p, line.n);
	return true;
}

static int
index_of(const struct cluster_view *v, struct str id)
{
	for (unsigned i = 0; i < v->nnode; i++)
		if (str_eq(str_of(v->nodes[i].id), id))
			return (int)i;
	return -1;
}

static bool
lives(const struct cluster_view *v, const struct cluster_row *r)
{
	return r->owner >= 0 && v->nodes[r->owner].generation == r->generation &&
	    v->nodes[r->owner].state <= CLUSTER_DRAINING;
}

bool
view_read(struct str nodes, struct str shards, struct beat_view *b)
{
	struct cluster_view *v = &b->cluster;
	struct str line;
	unsigned s = 0;

	for (v->nnode = 0; line_next(&nodes, &line); v->nnode++)
		if (v->nnode == CLUSTER_NODES_MAX ||
		    !node_of(line, &v->nodes[v->nnode], &b->shown.nodes[v->nnode]))
			return false;
	b->shown.nnode = v->nnode;
	for (; line_next(&shards, &line); s++) {
		struct cluster_row *r = &v->rows[s];

		if (s == PG_SHARDS || !word_int(&line, &r->epoch) || !word_int(&line, &r->pos) ||
		    !word_int(&line, &r->generation))
			return false;
		r->owner = index_of(v, line);
		b->shown.shards[s].epoch = r->epoch;
		b->shown.shards[s].owner = lives(v, r) ? b->shown.nodes[r->owner].slot : -1;
	}
	return s == PG_SHARDS;
}

void
view_show(struct beat_view *b, const char *me, int64_t common)
{
	int mine = index_of(&b->cluster, str_of(me)), place[CLUSTER_SHARDS_MAX];

	b->shown.common = common;
	b->shown.due = 0;
	if (mine < 0)
		return;
	b->shown.slot = b->shown.nodes[mine].slot;
	b->shown.generation = b->shown.nodes[mine].generation;
	cluster_place(&b->cluster, PG_SHARDS, place);
	for (unsigned s = 0; s < PG_SHARDS; s++)
		if (b->shown.shards[s].owner == b->shown.slot ||
		    (b->shown.shards[s].owner < 0 && place[s] == mine))
			b->shown.due |= UINT64_C(1) << s;
}
