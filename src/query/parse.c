/* The clauses of a query around its condition: SELECT, FROM, GROUP BY (part 2), and faults with their place. */
#include "query/priv.h"

#include <stdio.h>

#define JOB_PREFIX    28 /* characters of "SELECT * FROM devices WHERE " */
#define SELECT_PREFIX 9  /* of "SELECT * " */

/* ---- faults ---- */

static void
place_of(const struct parser *p, const char *at, unsigned *line, unsigned *column)
{
	*line = 1;
	*column = p->column_base + 1;
	for (const char *c = p->q->text.p; c < at; c++) {
		if (*c == '\n') {
			++*line;
			*column = 1;
		} else if (((unsigned char)*c & 0xC0) != 0x80) {
			++*column;
		}
	}
}

bool
parse_fault(struct parser *p, const char *at, const char *fmt, ...)
{
	char what[256];
	unsigned line, column;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	place_of(p, at, &line, &column);
	fault_set(
	    p->f, F_ArgumentInvalid, "SQL query parse failed. Line %u:%u: %s", line, column, what);
	return false;
}

/* */
static bool
unsupported(const struct token *t)
{
	static const char *const words[] = { "ORDER", "DISTINCT", "LIKE", "ILIKE", "BETWEEN",
		"JOIN", "HAVING", "OFFSET", "LIMIT", "UPDATE", "DELETE", "UNION", "EXISTS" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (tok_word(t, words[i]))
			return true;
	return false;
}

bool
parse_unexpected(struct parser *p, const char *what)
{
	struct str shown = text_shown(p->tok.text);

	if (p->tok.kind == TOK_BAD)
		return false; /* the lexer has told */
	if (p->tok.kind == TOK_END)
		return parse_fault(p, p->tok.at, "the text ends where %s should be", what);
	if (unsupported(&p->tok))
		return parse_fault(p, p->tok.at, STR_FMT " is not supported", STR_ARG(shown));
	return parse_fault(
	    p, p->tok.at, "unexpected '" STR_FMT "' where %s should be", STR_ARG(shown), what);
}

bool
parse_word(struct parser *p, const char *word)
{
	if (!tok_word(&p->tok, word))
		return false;
	lex_next(p);
	return true;
}

bool
parse_op(struct parser *p, char op)
{
	if (!tok_op(&p->tok, op))
		return false;
	lex_next(p);
	return true;
}

static bool
expect_word(struct parser *p, const char *word)
{
	return parse_word(p, word) || parse_unexpected(p, word);
}

/* ---- paths and names ---- */

bool
parse_at_name(const struct parser *p)
{
	return p->tok.kind == TOK_QUOTED || (p->tok.kind == TOK_NAME && !tok_reserved(&p->tok));
}

struct path *
path_new(struct parser *p, const struct token *at, const struct str *steps, unsigned nstep)
{
	struct path *path = arena_alloc(&p->q->arena, sizeof(*path)),
	            **list = p->of_groups ? &p->q->refs : &p->q->paths;
	struct str *copy = arena_alloc(&p->q->arena, (nstep + 1) * sizeof(*copy));

	if (nstep > 0)
		memcpy(copy, steps, nstep * sizeof(*copy));
	*path = (struct path){ .next = *list,
		.steps = copy,
		.nstep = nstep,
		.name = nstep > 0 ? steps[nstep - 1] : STR_NONE,
		.at = at->at,
		.in_condition = p->in_condition };
	*list = path;
	return path;
}

struct path *
parse_path(struct parser *p, const struct token *first)
{
	struct str steps[QUERY_STEPS_MAX] = { first->text };
	struct path *path;
	unsigned n = 1;

	while (parse_op(p, '.')) {
		if (!parse_at_name(p)) {
			parse_unexpected(p, "a key (a reserved word needs [[ ]])");
			return NULL;
		}
		if (n == QUERY_STEPS_MAX) {
			parse_fault(p, p->tok.at, "more than %u steps in a path", QUERY_STEPS_MAX);
			return NULL;
		}
		steps[n++] = p->tok.text;
		lex_next(p);
	}
	path = path_new(p, first, steps, n);
	path->end = p->tok.at;
	return path;
}

static bool
parse_alias(struct parser *p, struct str *alias)
{
	bool as = !parse_at_past(p) && parse_word(p, "AS");

	if (!parse_at_name(p) || (!as && unsupported(&p->tok)))
		return !as || parse_unexpected(p, "a name");
	*alias = p->tok.text;
	lex_next(p);
	return true;
}

/* ---- SELECT ---- */

bool
item_aggregate(const struct token *name, enum item_kind *kind)
{
	static const struct {
		const char *name;
		enum item_kind kind;
	} all[] = { { "COUNT", ITEM_COUNT }, { "AVG", ITEM_AVG }, { "SUM", ITEM_SUM },
		{ "MIN", ITEM_MIN }, { "MAX", ITEM_MAX } };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (tok_word(name, all[i].name)) {
			if (kind != NULL)
				*kind = all[i].kind;
			return true;
		}
	}
	return false;
}

/* Behind `name (`. */
static bool
parse_aggregate(struct parser *p, struct item *it, const struct token *name)
{
	struct token first;

	if (!item_aggregate(name, &it->kind))
		return parse_fault(p, name->at,
		    "no aggregate '" STR_FMT "'; a select list has paths and aggregates",
		    STR_ARG(text_shown(name->text)));
	if (it->kind == ITEM_COUNT && p->extensions && parse_word(p, "DISTINCT")) {
		it->kind = ITEM_DISTINCT;
	}
	if (it->kind != ITEM_COUNT) {
		first = p->tok;
		if (!parse_at_name(p))
			return parse_unexpected(p, "a path");
		lex_next(p);
		if ((it->path = parse_path(p, &first)) == NULL)
			return false;
	}
	return parse_op(p, ')') || parse_unexpected(p, ")");
}

struct path *
parse_tally(struct parser *p, const struct token *name)
{
	struct item *it = arena_alloc(&p->q->arena, sizeof(*it)), **tail = &p->q->items;
	struct path *path = arena_alloc(&p->q->arena, sizeof(*path));
	bool parsed;

	if (p->q->nhidden++ == QUERY_ITEMS_MAX) {
		parse_fault(p, name->at, "more than %u aggregates", QUERY_ITEMS_MAX);
		return NULL;
	}
	it->at = name->at;
	it->hidden = true;
	p->of_groups = false;
	parsed = parse_aggregate(p, it, name);
	p->of_groups = true;
	while (*tail != NULL)
		tail = &(*tail)->next;
	*tail = it;
	*path = (struct path){ .next = p->q->refs, .at = name->at, .of = it };
	p->q->refs = path;
	return parsed ? path : NULL;
}

static struct item *
parse_item(struct parser *p, bool aggregates)
{
	struct item *it = arena_alloc(&p->q->arena, sizeof(*it));
	struct token first = p->tok;

	it->at = first.at;
	if (!parse_at_name(p)) {
		parse_unexpected(p, aggregates ? "*, a path or an aggregate" : "a path");
		return NULL;
	}
	lex_next(p);
	if (aggregates && first.kind == TOK_NAME && parse_op(p, '(')) {
		if (!parse_aggregate(p, it, &first))
			return NULL;
	} else if (tok_word(&first, "DISTINCT") && parse_at_name(p)) {
		parse_fault(
		    p, first.at, "DISTINCT is not supported"); /* not a path with an alias */
		return NULL;
	} else if ((it->path = parse_path(p, &first)) == NULL) {
		return NULL;
	}
	return parse_alias(p, &it->alias) ? it : NULL;
}

static bool
parse_items(struct parser *p, bool aggregates, struct item **list, uint32_t *n)
{
	do {
		if (*n == QUERY_ITEMS_MAX)
			return parse_fault(p, p->tok.at, "more than %u items", QUERY_ITEMS_MAX);
		if ((*list = parse_item(p, aggregates)) == NULL)
			return false;
		list = &(*list)->next;
		++*n;
	} while (parse_op(p, ','));
	return true;
}

static bool
parse_select(struct parser *p)
{
	struct query_facts *facts = &p->q->facts;

	if (!expect_word(p, "SELECT"))
		return false;
	parse_distinct(p);
	if (parse_word(p, "TOP")) {
		if (p->tok.kind != TOK_NUMBER || !str_u64(p->tok.text, &facts->top) ||
		    facts->top == 0)
			return parse_unexpected(p, "a number of rows from 1"); /* */
		lex_next(p);
		parse_distinct(p);
	}
	if (parse_op(p, '*')) {
		facts->whole = true;
		return true;
	}
	return parse_items(p, true, &p->q->items, &p->q->nitem);
}

/* ---- FROM, WHERE, GROUP BY ---- */

static bool
parse_collection(struct parser *p)
{
	const char *at = p->tok.at;
	enum query_collection *c = &p->q->facts.collection;

	if (parse_word(p, "jobs")) {
		*c = QUERY_JOBS;
		return true;
	}
	if (!parse_word(p, "devices"))
		goto bad;
	if (!parse_op(p, '.'))
		*c = QUERY_DEVICES;
	else if (parse_word(p, "modules"))
		*c = QUERY_MODULES;
	else if (parse_word(p, "jobs"))
		*c = QUERY_DEVICE_JOBS;
	else
		goto bad;
	return true;
bad:
	return p->tok.kind == TOK_BAD ? false
	                              : parse_fault(p, at,
	                                    "no such collection: devices, devices.modules, "
	                                    "devices.jobs or jobs should follow FROM");
}

static bool
parse_where(struct parser *p)
{
	const char *from = p->tok.at;

	p->in_condition = true;
	p->q->where = parse_condition(p);
	p->in_condition = false;
	p->q->facts.condition_at = (uint32_t)(from - p->q->text.p);
	p->q->facts.condition_n = (uint32_t)(p->tok.at - from);
	return p->q->where != NULL;
}

static bool
parse_group(struct parser *p)
{
	return expect_word(p, "BY") && parse_items(p, false, &p->q->groups, &p->q->ngroup);
}

static bool
parse_end(struct parser *p)
{
	parse_op(p, ';'); /* */
	return p->tok.kind == TOK_END || parse_unexpected(p, "the end of the query");
}

static bool
parse_query(struct parser *p, const struct query_options *options)
{
	if (!parse_select(p))
		return false;
	if (parse_word(p, "FROM")) {
		if (!parse_collection(p))
			return false;
	} else if (options != NULL && options->from_optional) {
		p->q->facts.collection = options->from;
	} else {
		return parse_unexpected(p, "FROM");
	}
	if (parse_word(p, "WHERE") && !parse_where(p))
		return false;
	if (parse_word(p, "GROUP") && !parse_group(p))
		return false;
	if (p->extensions && parse_word(p, "HAVING") && !parse_having(p))
		return false;
	if (p->extensions && parse_word(p, "ORDER") && !parse_order(p))
		return false;
	if (p->extensions && !parse_past(p))
		return false;
	return parse_end(p);
}

/* `FROM devices[.modules] [WHERE condition]` */
static bool
parse_target(struct parser *p)
{
	const char *at = p->tok.at;

	if (!parse_collection(p))
		return false;
	if (p->q->facts.collection > QUERY_MODULES)
		return parse_fault(p, at, "a condition is on devices or devices.modules");
	if (parse_word(p, "WHERE"))
		return parse_where(p);
	return true;
}

static bool
parse_condition_text(struct parser *p)
{
	p->q->facts.whole = true;
	if (p->tok.kind == TOK_END) {
		p->q->facts.nothing = true;
		return true;
	}
	if (parse_op(p, '*'))
		return parse_end(p);
	if (tok_word(&p->tok, "FROM")) {
		p->column_base = SELECT_PREFIX;
		lex_next(p);
		return parse_target(p) && parse_end(p);
	}
	return parse_where(p) && parse_end(p);
}

/* ---- entry ---- */

/* At most QUERY_TEXT_MAX code points of valid UTF-8. */
static enum err
check_text(struct str text, struct fault *f)
{
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++)
		n += ((unsigned char)text.p[i] & 0xC0) != 0x80;
	if (n > QUERY_TEXT_MAX)
		return fault_set(f, F_ArgumentInvalid,
		    "The query has %zu characters, over the limit of %u", n, QUERY_TEXT_MAX);
	if (!utf8_valid(text))
		return fault_set(f, F_ArgumentInvalid, "The query is not valid UTF-8");
	return ERR_OK;
}

static struct query *
plan_new(struct str text)
{
	struct query *q = xcalloc(1, sizeof(*q));

	q->text = arena_str(&q->arena, text);
	q->facts.top = UINT64_MAX;
	return q;
}

static enum err
plan_done(struct parser *p, bool parsed, struct query **out)
{
	bool good = parsed && plan_finish(p);

	buf_fini(&p->values);
	if (!good) {
		query_free(p->q);
		return ERR_ARG;
	}
	*out = p->q;
	return ERR_OK;
}

static void
parser_init(struct parser *p, struct str text, unsigned column_base, struct fault *f)
{
	*p = (struct parser){ .q = plan_new(text), .f = f, .column_base = column_base };
	p->p = p->q->text.p;
	p->end = p->p + text.n;
	lex_next(p);
}

static bool
all_blank(struct str text)
{
	for (size_t i = 0; i < text.n; i++)
		if (!char_among(text.p[i], " \t\r\n"))
			return false;
	return true;
}

enum err
query_parse(
    struct str text, const struct query_options *options, struct query **out, struct fault *f)
{
	struct parser p;
	enum err e;

	if ((e = check_text(text, f)))
		return e;
	if (all_blank(text))
		return fault_set(f, F_ArgumentNull, "The query is empty");
	parser_init(&p, text, 0, f);
	p.extensions = options != NULL && options->extensions;
	p.past = options != NULL && options->past;
	return plan_done(&p, parse_query(&p, options), out);
}

enum err
query_parse_condition(struct str text, struct query **out, struct fault *f)
{
	struct parser p;
	enum err e;

	if ((e = check_text(text, f)))
		return e;
	parser_init(&p, text, JOB_PREFIX, f);
	p.q->facts.alone = true;
	return plan_done(&p, parse_condition_text(&p), out);
}
