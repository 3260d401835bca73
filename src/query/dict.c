/* The dictionary of a column: each different number or string once, with the count of rows that hold it. */
#include "query/column.h"

#include <stdlib.h>

/* with its cell in the table, which is 3/4 full at most */
#define ENTRY_BYTES (sizeof(struct dict_entry) + 12)
#define TEXT_BYTES  16 /* of an allocation, besides what it holds */

void
dict_init(struct dict *d)
{
	*d = (struct dict){ .free = TABLE_NONE };
}

void
dict_fini(struct dict *d)
{
	for (uint32_t i = 0; i < d->n; i++)
		if (d->v[i].refs > 0)
			free(d->v[i].text);
	free(d->v);
	table_fini(&d->table);
	dict_init(d);
}

static uint64_t
hash_of(const struct value *v)
{
	if (v->kind == V_STRING)
		return hash_table(v->string);
	return hash_table((struct str){ (const char *)&v->number, sizeof(v->number) });
}

static bool
same_value(const void *ctx, uint32_t entry, const void *key)
{
	const struct dict_entry *e = &((const struct dict *)ctx)->v[entry];
	const struct value *v = key;

	if (v->kind == V_STRING)
		return e->text != NULL && str_eq((struct str){ e->text, e->n }, v->string);
	return e->text == NULL && cell_of_number(e->number) == cell_of_number(v->number);
}

/* A free entry, or one more. */
static uint32_t
entry_new(struct dict *d)
{
	uint32_t i = d->free;

	if (i != TABLE_NONE) {
		d->free = d->v[i].next_free;
		return i;
	}
	if (d->n == d->cap) {
		d->cap = d->cap ? d->cap + d->cap / 2 : 8;
		d->v = xrealloc(d->v, d->cap * sizeof(*d->v));
	}
	return d->n++;
}

uint32_t
dict_take(struct dict *d, const struct value *v, uint32_t max_entries, size_t max_bytes)
{
	uint64_t hash = hash_of(v);
	uint32_t i = table_get(&d->table, hash, same_value, d, v);

	if (i != TABLE_NONE) {
		d->v[i].refs++;
		return i;
	}
	if (d->held == max_entries ||
	    (v->kind == V_STRING && d->text_bytes + v->string.n + TEXT_BYTES > max_bytes))
		return TABLE_NONE;
	i = entry_new(d);
	d->v[i] = (struct dict_entry){ .refs = 1 };
	if (v->kind == V_STRING) {
		d->v[i].text = str_dup0(v->string);
		d->v[i].n = v->string.n;
		d->text_bytes += v->string.n + TEXT_BYTES;
	} else {
		d->v[i].number = v->number;
		d->numbers++;
	}
	d->held++;
	d->generation++;
	table_add(&d->table, hash, i);
	return i;
}

uint32_t
dict_find(const struct dict *d, struct str text)
{
	struct value v = value_string(text);

	return table_get(&d->table, hash_of(&v), same_value, d, &v);
}

void
dict_drop(struct dict *d, uint32_t entry)
{
	struct dict_entry *e = &d->v[entry];
	struct value v = dict_value(d, entry);

	assert(e->refs > 0);
	if (--e->refs > 0)
		return;
	table_remove(&d->table, hash_of(&v), entry);
	if (e->text != NULL) {
		d->text_bytes -= e->n + TEXT_BYTES;
		free(e->text);
	} else {
		d->numbers--;
	}
	*e = (struct dict_entry){ .next_free = d->free };
	d->free = entry;
	d->generation++;
	d->held--;
}

struct value
dict_value(const struct dict *d, uint32_t entry)
{
	const struct dict_entry *e = &d->v[entry];

	return e->text != NULL ? value_string((struct str){ e->text, e->n })
	                       : (struct value){ .kind = V_NUMBER, .number = e->number };
}

size_t
dict_bytes(const struct dict *d)
{
	return d->text_bytes + d->cap * ENTRY_BYTES;
}
