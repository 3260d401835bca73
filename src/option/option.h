/*
 * option: command lines and settings as typed tables. A row says an option's name, what it takes, from where to where, what
 * holds without it, and what it is for. Words and lines are read by the rows; --help, the manual pages, the tables of
 * docs/operations.md and the shells' completions are printed from them. Pure.
 */
#ifndef TWINHUB_OPTION_H
#define TWINHUB_OPTION_H

#include "base/base.h"

enum option_kind {
	OPTION_SWITCH, /* takes no value */
	OPTION_TEXT,   /* any text: who uses it judges it */
	OPTION_FILE,   /* the same, a path; shells complete it */
	OPTION_DIR,    /* the same */
	OPTION_NUMBER, /* digits */
	OPTION_SIZE,   /* digits, perhaps with K, M, G or T behind them: powers of 1024 */
	OPTION_WORD,   /* one of `words` */
	OPTION_YES_NO  /* yes or no; alone on a command line: yes */
};

struct option_spec {
	const char *name;  /* without dashes */
	const char *value; /* what --help calls the value; NULL: a switch */
	enum option_kind kind;
	bool many;            /* may be given again: a list */
	bool line_only;       /* no line of a file of settings */
	bool secret;          /* its value may have a key in it: nobody is shown it */
	uint64_t least, most; /* of a number or size; most 0: no end */
	/* 0 is good besides, and this is what it means; NULL: 0 is as any other */
	const char *zero;
	const char *const *words; /* taken in any case, then as they are here; NULL ends them */
	const char *fallback; /* what holds without it, as it would be written; NULL: nothing, or */
	const char *otherwise; /* what holds without it, in words */
	const char *help;      /* a phrase */
	const char *note;      /* NULL, or sentences for the manual: `code`, [text](link) */
	size_t at;             /* the owner's: where it keeps the value, and the size of that */
	size_t room;
};

/* Bits, one for each row of a table. */
#define OPTION_ROWS_MAX 128
__extension__ typedef unsigned __int128 option_set;
#define OPTION_BIT(row) ((option_set)1 << (row))

/* Rows, of which a command takes some. Of rows with one name it takes at most one. */
struct option_table {
	const struct option_spec *v;
	unsigned n; /* at most OPTION_ROWS_MAX */
	option_set taken;
};

static inline bool
option_taken(const struct option_table *t, unsigned i)
{
	return t->taken >> i & 1;
}

/* ---- reading ---- */

/* Which row has this name; -1: none that is taken. */
int option_find(const struct option_table *t, struct str name);

/* Which row was perhaps meant by a name that none has: its own but for a letter or two, or the one that begins so; -1: none. */
int option_near(const struct option_table *t, struct str name);

/* How many letters of a typed word have to be put in, taken out, changed or swapped with the next until it is the name; case and '_' for '-'
 * count for nothing, a beginning as a typing error. WORD_FAR: it is more than that. O-93 */
#define WORD_FAR 1000u
unsigned word_distance(struct str typed, struct str name);

/* Append at most `most` bytes of a stranger's text for a message, what is hidden in it (utf8_hidden) escaped; "..." where it is cut. */
void option_show(struct buf *out, struct str text, size_t most);

/* Is the text a value of the row? *number: of a number or size what it is, of a word its place, of yes or no 1 or 0, else 0.
 * ERR_ARG: "--NAME TEXT: not ..." with what is taken in why. */
enum err option_judge(
    const struct option_spec *spec, const char *text, uint64_t *number, char *why, size_t nwhy);

/* What one option on a command line is. */
struct option_given {
	unsigned row;
	const char *text; /* "" for a switch; a word as the table has it */
	uint64_t number;  /* as option_judge has it */
	int used;         /* words */
};

/* Read the option that argv[0] begins ("--..."), with its value behind '=' or in the next word. command: for the message.
 * ERR_ARG: one line in why. */
enum err option_read(const struct option_table *t, const char *command, int argc, char **argv,
    struct option_given *out, char *why, size_t nwhy);

/* ---- printing ---- */

#define OPTION_COLUMNS 100 /* of --help */

/* Values that are taken: "1 to 64", "at least 64M", "yes or no"; nothing for a switch, text, path or any size. */
void option_range(struct buf *out, const struct option_spec *spec);
/* What holds without it; nothing where that is nothing. */
void option_without(struct buf *out, const struct option_spec *spec);
/* All of that in one phrase: "1 to 64; default 0: half the cores". */
void option_terms(struct buf *out, const struct option_spec *spec);
/* --name VALUE */
void option_head(struct buf *out, const struct option_spec *spec);
/* A text and a line's end, from column `indent` on, where the line is: no line is longer than OPTION_COLUMNS if its words are not. */
void option_text(struct buf *out, struct str text, unsigned indent);
/* An entry of --help: two blanks, the head, and from column `indent` on the text. */
void option_entry(struct buf *out, struct str head, struct str text, unsigned indent);
/* The rows that are taken, an entry each. */
void option_help(struct buf *out, const struct option_table *t, unsigned indent);
/* Lines for a file of settings, commented out: each row with what holds without it. */
void option_template(struct buf *out, const struct option_table *t);

#endif
