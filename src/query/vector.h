/*
 * A plan on columns, as its files share it: plan_vector.c makes it ready and turns it to a shard, judge.c judges blocks,
 * tallies.c counts groups.
 *
 * A verdict is the set of truths that a condition can still have on a row: with one bit in it the truth is known, with
 * all three nothing is. The tables of Q-34 on such sets are bytewise, so whole blocks are combined at once.
 */
#ifndef TWINHUB_QUERY_VECTOR_H
#define TWINHUB_QUERY_VECTOR_H

#include "query/column.h"

#define SET_TRUE     1u
#define SET_FALSE    2u
#define SET_UNDEF    4u
#define SET_ANY      7u

#define LEAF_PATHS   4u     /* different paths of one part without AND, OR, NOT */
#define GROUP_PATHS  8u     /* grouped paths that are read from columns */
#define MET_BITS     10     /* cells that COUNT(DISTINCT) remembers: 2 to this */
#define GROUP_DIRECT 65536u /* combinations of codes that have a group each by number */

enum leaf_kind {
	LEAF_ASK,   /* needs documents */
	LEAF_CONST, /* no path */
	LEAF_ONE,   /* one path */
	LEAF_MANY
};

/* A part of the condition that has a truth of its own. */
struct leaf {
	enum leaf_kind kind;
	const struct expr *e;
	uint32_t nslot, slot[LEAF_PATHS];
	bool deep;   /* LEAF_ONE: looks into arrays and objects of the path */
	bool direct; /* LEAF_ONE: the path itself is compared with, or looked up among, constants */
	bool compares; /* the constant is one number: relop, number, with the path on the left */
	enum relop relop;
	double number;
	const struct value *texts; /* direct equality with nothing but strings: these */
	uint32_t ntext;
	uint32_t *hashes; /* direct equality: of the constants, ascending */
	uint32_t nhash;
	/* of the column that it is bound to: never NULL then */
	const struct column *column;
	uint64_t id, generation;
	enum column_form form;
	uint8_t *table; /* by code */
	uint32_t room;
	bool one_odd; /* of the dictionary's codes all have one set, `common`, but perhaps `odd` */
	uint8_t common;
	uint32_t odd;
	uint8_t unheld[2]; /* of a string, of a number that the column does not hold */
	uint8_t missed[2]; /* the same, if its hash is none of `hashes` */
};

enum node_kind { NODE_LEAF, NODE_NOT, NODE_AND, NODE_OR };

struct node {
	enum node_kind kind;
	bool slow; /* goes through the evaluator row by row */
	struct node *first, *next;
	struct leaf leaf;
};

struct vector {
	const struct query *q;
	struct arena arena;
	struct node *where; /* NULL: none */
	unsigned depth;     /* levels of nodes */
	bool wanted[SLOTS_MAX];
	/* for reports: its column was not there when the shard's turn began */
	bool missed[SLOTS_MAX];
	/* the column that it may take part in making, by its id; 0: none */
	uint64_t mine[SLOTS_MAX];
	struct value bound[SLOTS_MAX];
	struct row row;  /* stands for bound */
	uint8_t *blocks; /* VECTOR_ROWS for each level */

	/* the shard at hand */
	struct columns *columns;
	uint64_t changes;                   /* of the columns, as this vector knows them */
	uint32_t rows;                      /* there are */
	struct column *held[SLOTS_MAX];     /* complete ones; to be read by vector_column only */
	struct column *building[SLOTS_MAX]; /* others */
	struct column *sweeping[SLOTS_MAX]; /* of those, what the sweep under way is for */
	struct str sweep_to;
	bool ready; /* leaves and groups are bound to these columns */
	bool fresh; /* another shard: what leaves remember of a column means nothing */

	/* aggregates, and the block judged last */
	bool groups_ask; /* more than is read from columns */
	bool counts;     /* all aggregates are COUNT() */
	bool has_direct, asks;
	uint32_t from, n;        /* the block; n: rows of it that are there */
	uint64_t judged;         /* `changes` when it was judged */
	uint32_t ndirect, ncode; /* ncode: combinations of codes there are */
	uint32_t *direct;        /* group by combination of codes; TABLE_NONE: not met yet */
	uint32_t radix[GROUP_PATHS];
	uint32_t index[VECTOR_ROWS];
	uint64_t last[GROUP_PATHS]; /* cells of the row grouped last, and its group */
	uint32_t last_group;
	struct met_cell {
		uint64_t cell;
		uint32_t group, slot;
		bool there;
	} met[1 << MET_BITS];
	struct buf key;
};

/* The complete column of a path, as the rows are now: never NULL. Where there is none, as the path is none that has one, is
 * one too many, or its column is dropped or not yet made, it is one that holds nothing: "ask". */
static inline const struct column *
vector_column(const struct vector *v, uint32_t slot)
{
	return slot < SLOTS_MAX && v->held[slot] != NULL ? v->held[slot] : &column_none;
}

/* What an item aggregates or shows; COUNT() has no path. */
static inline const struct column *
item_column(const struct vector *v, const struct item *it)
{
	return it->path != NULL ? vector_column(v, it->path->slot) : &column_none;
}

/* Before each look: bring the columns up to date, and see which there are if anything has changed. */
void vector_settle(struct vector *v);
/* What this vector has written itself is known to it, and no part of the block judged last. */
void vector_wrote(struct vector *v);
/* The path's column, or NULL: to be judged by, or to be built. */
void vector_turn_to(struct vector *v, uint32_t slot, struct column *c);
void judge_bind(struct vector *v);
/* The truth of a leaf on the values in v->bound; with this one as its only value. */
uint8_t leaf_eval(struct vector *v, const struct leaf *l);
uint8_t leaf_eval_value(struct vector *v, const struct leaf *l, struct value value);
/* Is there a constant with this hash? */
static inline bool
leaf_has_hash(const struct leaf *l, uint32_t h)
{
	uint32_t lo = 0, hi = l->nhash;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (l->hashes[mid] < h)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < l->nhash && l->hashes[lo] == h;
}
/* Groups: forget what belonged to another shard. */
void tallies_open(struct vector *v);
/* Of the block [from, from + n): the rows whose groups or numbers are not in columns are asked. */
void tallies_judge(struct vector *v, uint32_t from, uint32_t n, uint8_t *verdicts);

#endif
