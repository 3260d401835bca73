/*
 * value: what conditions compute with. Both languages stand on it: queries (query/) and routing conditions (route/).
 *
 *   value.c     the kinds, how they compare, truth
 *   text.c      strings by UTF-16 code unit, blanks, escapes, numbers as text
 *   function.c  the functions of part 5, and which language has which
 *   like.c      patterns
 *
 * Values are views: a string borrows from its document, its constant or the arena that a function was given. Nothing here fails: what
 * has no value is undefined, and so is a string that a function would make longer than VALUE_STRING_MAX.
 *
 * Numbers are doubles and never NaN. In a query they are finite, too; a routing condition knows infinity. So functions
 * compute with all of them, and query/ takes what is not finite for undefined.
 *
 * Rules: docs/spec/query-language.md parts 4 and 5, Q-27 to. Pure: no I/O, no clock, no globals.
 */
#ifndef TWINHUB_VALUE_H
#define TWINHUB_VALUE_H

#include "doc/doc.h"

#define VALUE_STRING_MAX                                                                           \
	65536u             /* bytes of a string that a function gives; more is undefined (Q-84) */
#define VALUE_ARGS_MAX 32u /* arguments of CONCAT */

/* ---- values (Q-27) ---- */

enum value_kind { V_UNDEFINED, V_NULL, V_BOOL, V_NUMBER, V_STRING, V_ARRAY, V_OBJECT };

struct value {
	enum value_kind kind;
	union {
		bool truth;
		double number;
		struct str string;
		struct doc doc; /* arrays and objects; DOC_NONE where only the kind was asked for */
	};
};

#define VALUE_UNDEFINED ((struct value){ .kind = V_UNDEFINED })

enum truth { IS_FALSE, IS_TRUE, IS_UNDEFINED };

enum relop { REL_EQ, REL_NE, REL_LT, REL_LE, REL_GT, REL_GE };

struct value value_bool(bool v);
struct value value_number(double v); /* undefined unless finite */
struct value value_real(double v);   /* undefined if it is none */
struct value value_string(struct str s);
struct value value_truth(enum truth t);
struct value value_of(struct doc d); /* borrows from d */
/* Of two that are not equal -1 or 1, as of two strings; of those that are, 0. */
enum truth value_compare_result(enum relop op, int c);
enum truth value_compare(enum relop op, const struct value *a, const struct value *b); /* */
/* A total order over null, booleans, numbers and strings, for sorted lists: 0 exactly where they are equal. */
int value_order(const struct value *a, const struct value *b);
/* deep equality, for ARRAY_CONTAINS. */
bool value_equals(const struct value *v, struct doc d);

enum truth truth_not(enum truth t);

/* ---- text by UTF-16 code unit (Q-82) ---- */

int utf16_cmp(struct str a, struct str b);
size_t utf16_len(struct str s);
/* The byte offset of a code unit; false if it is past the end or inside a surrogate pair. */
bool utf16_offset(struct str s, size_t unit, size_t *offset);
/* Simple case mapping of Unicode 14, into the arena. */
struct str text_lower(struct arena *a, struct str s);
struct str text_upper(struct arena *a, struct str s);
/* Append a character at *out and move past it: at most four bytes. */
void text_put_utf8(char **out, uint32_t c);
/* Does this character stand between words? */
bool text_blank(uint32_t c);
/* The escape \' \" \\ \uXXXX at *s, two of the last for a surrogate pair: what it means is put at *out, both are moved on. No escape is
 * shorter than that. false: it is none (Q-38), and *s stays. */
bool text_unescape(const char **s, const char *end, char **out);
/* Length of `digits [. digits] [e [+-] digits]` at the start of s; 0 if there is none. */
size_t number_scan(struct str s);
/* The same of `0x hexdigits`; *out: the number, infinite if it is too large. */
size_t number_scan_hex(struct str s, double *out);
/* The start of a text, short enough for a fault. */
struct str text_shown(struct str s);
/* The value of a text that number_scan accepts whole; infinite if it is too large. */
double number_read(struct arena *a, struct str s);
/* JSON text of a result: integral values without a fraction. */
void number_write(struct buf *json, double v);

/* ---- functions (part 5). IS_DEFINED is part of both grammars: it takes no values ---- */

/* Who has it. */
enum language {
	LANG_QUERY = 1,          /* hub queries */
	LANG_QUERY_EXTENDED = 2, /* */
	LANG_ROUTE = 4           /* routing conditions */
};

struct function {
	const char *name;
	unsigned languages; /* bits */
	/* of each argument: 's'tring, 'n'umber, either 'x', anything '*'; the last is also that of all that follow. At run time another
	 * kind gives undefined; a language with kinds of its own refuses it before */
	const char *takes;
	uint8_t min, max; /* arguments */
	enum value_kind gives;
	bool deep; /* looks into arrays and objects */
	struct value (*call)(struct arena *a, const struct value *args, unsigned n);
};

/* Of one of these languages, by name without case; NULL: there is none. */
const struct function *function_find(struct str name, unsigned languages);
/* What LIKE, ILIKE and BETWEEN call: [0] is the value, behind it come the operands. */
extern const struct function function_like, function_ilike, function_between;
/* `%` any characters, `_` one, a backslash before what stands for itself. */
bool like_match(struct str s, struct str pattern);

#endif
