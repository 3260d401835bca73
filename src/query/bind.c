/*
 * A leaf of the condition is bound to its column: for each code of the dictionary the truth that a row with it has, and what is known of
 * values that the column does not hold. Anew when column or dictionary have changed; judge.c then looks up and compares.
 */
#include "query/vector.h"

#include <stdlib.h>

#define FREE_KINDS 2 /* string, number: the kinds whose content a column may not hold */

static enum value_kind
free_kind(unsigned number)
{
	return number ? V_NUMBER : V_STRING;
}

/* ---- one value ---- */

uint8_t
leaf_eval(struct vector *v, const struct leaf *l)
{
	static const uint8_t sets[] = {
		[IS_FALSE] = SET_FALSE, [IS_TRUE] = SET_TRUE, [IS_UNDEFINED] = SET_UNDEF
	};

	row_begin(&v->row);
	return sets[expr_truth(&v->row, l->e)];
}

uint8_t
leaf_eval_value(struct vector *v, const struct leaf *l, struct value value)
{
	v->bound[l->slot[0]] = value;
	return leaf_eval(v, l);
}

/* Can the truth depend on what a string or number of the path is, not only that it is one? */
static bool
reads_content(const struct leaf *l, enum value_kind kind)
{
	const struct expr *e = l->e, *a = e->first;

	if (e->kind == E_DEFINED || l->deep)
		return false;
	if (e->kind == E_CALL && e->function->max == 1 && a->kind == E_PATH)
		return strncmp(e->function->name, "IS_", 3) != 0;
	if (e->kind == E_COMPARE && l->direct)
		return (a->kind == E_PATH ? a->next : a)->constant.kind == kind;
	if (e->kind == E_IN && l->direct)
		return e->list->kinds & 1u << kind;
	return true;
}

/* A value that equals none of the constants: no constant is ill-formed UTF-8. */
static struct value
other_value(const struct leaf *l, enum value_kind kind)
{
	struct value v = kind == V_STRING ? value_string(STR("\xFF")) : value_number(0);

	while (kind == V_NUMBER && leaf_has_hash(l, value_hash(&v)))
		v.number += 1;
	return v;
}

/* ---- binding a leaf to a column ---- */

static void
bind_unheld(struct vector *v, struct leaf *l)
{
	bool equality =
	    l->direct && (l->e->kind == E_IN || l->relop == REL_EQ || l->relop == REL_NE);

	for (unsigned k = 0; k < FREE_KINDS; k++) {
		struct value other = other_value(l, free_kind(k));
		bool reads = reads_content(l, free_kind(k));
		l->unheld[k] = reads ? SET_ANY : leaf_eval_value(v, l, other);
		l->missed[k] = reads && !equality ? SET_ANY : leaf_eval_value(v, l, other);
	}
}

static bool
number_holds(enum relop op, double x, double y)
{
	switch (op) {
	case REL_EQ: return x == y;
	case REL_NE: return x != y;
	case REL_LT: return x < y;
	case REL_LE: return x <= y;
	case REL_GT: return x > y;
	case REL_GE: return x >= y;
	}
	return false;
}

static uint8_t
code_set(struct vector *v, struct leaf *l, uint32_t code)
{
	const struct dict *d = &l->column->dict;
	const struct dict_entry *entry = code >= CODE_FIRST ? &d->v[code - CODE_FIRST] : NULL;

	if (code == CODE_STALE || (l->deep && (code == CODE_ARRAY || code == CODE_OBJECT)) ||
	    (entry != NULL && entry->refs == 0))
		return SET_ANY;
	if (entry != NULL && entry->text == NULL && l->compares)
		return number_holds(l->relop, entry->number, l->number) ? SET_TRUE : SET_FALSE;
	if (code == CODE_STRING)
		return l->unheld[0];
	return leaf_eval_value(v, l, column_value(l->column, cell_of_code(code)));
}

/* What equals none of the strings has one truth, whatever it is. */
static void
bind_texts(struct vector *v, struct leaf *l, uint32_t n)
{
	const struct dict *d = &l->column->dict;

	for (uint32_t i = CODE_FIRST; i < n; i++)
		l->table[i] = l->missed[d->v[i - CODE_FIRST].text == NULL];
	for (uint32_t i = 0; i < l->ntext; i++) {
		uint32_t entry = dict_find(d, l->texts[i].string);
		if (entry != TABLE_NONE)
			l->table[entry + CODE_FIRST] = code_set(v, l, entry + CODE_FIRST);
	}
}

static void
bind_table(struct vector *v, struct leaf *l, uint32_t n)
{
	for (uint32_t i = 0; i < (l->texts != NULL ? (uint32_t)CODE_FIRST : n); i++)
		l->table[i] = code_set(v, l, i);
	if (l->texts != NULL)
		bind_texts(v, l, n);
}

/* What an equality leaves: then a block is compared with one code, which goes many rows at a time. */
static void
bind_odd(struct leaf *l, uint32_t n)
{
	l->one_odd = n > CODE_FIRST + 1;
	l->common = l->one_odd ? l->table[CODE_FIRST] : SET_ANY;
	if (l->one_odd && l->table[CODE_FIRST + 1] != l->common)
		l->common = l->table[n - 1];
	l->odd = CODE_UNDEFINED;
	for (uint32_t i = CODE_FIRST; i < n && l->one_odd; i++) {
		if (l->table[i] == l->common)
			continue;
		l->one_odd = l->odd == CODE_UNDEFINED;
		l->odd = i;
	}
}

static void
bind_one(struct vector *v, struct leaf *l)
{
	const struct column *c = vector_column(v, l->slot[0]);
	uint32_t n = CODE_FIRST + c->dict.n;

	if (c->form == COLUMN_NONE ||
	    (!v->fresh && l->column == c && l->id == c->id && l->form == c->form &&
	        l->generation == c->dict.generation)) {
		l->column = c;
		return;
	}
	l->column = c;
	l->id = c->id;
	l->form = c->form;
	l->generation = c->dict.generation;
	if (n > l->room) {
		l->room = n;
		l->table = xrealloc(l->table, n);
	}
	bind_unheld(v, l);
	bind_table(v, l, n);
	bind_odd(l, n);
}

static void
bind_node(struct vector *v, struct node *n)
{
	if (n->kind == NODE_LEAF && n->leaf.kind == LEAF_ONE)
		bind_one(v, &n->leaf);
	for (struct node *c = n->first; c != NULL; c = c->next)
		bind_node(v, c);
}

void
judge_bind(struct vector *v)
{
	if (v->where != NULL)
		bind_node(v, v->where);
	v->fresh = false;
}
