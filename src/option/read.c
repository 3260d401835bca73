/* Options read: which row, and whether its value is one. */
#include "option/option.h"

#include <stdio.h>

#define SIZE_UNITS  "KMGT"
#define VALUE_SHOWN 200 /* bytes, in messages */
#define NAME_SHOWN  64

int
option_find(const struct option_table *t, struct str name)
{
	for (unsigned i = 0; i < t->n; i++)
		if (option_taken(t, i) && str_eq(name, str_of(t->v[i].name)))
			return (int)i;
	return -1;
}

/* 512, 64K, 100M, 2G, 1T */
static bool
size_parse(struct str s, uint64_t *out)
{
	char last = s.n > 0 ? (char)(s.p[s.n - 1] & ~0x20) : '\0';
	unsigned shift = 0;

	if (char_among(last, SIZE_UNITS)) {
		shift = 10 * (unsigned)(strchr(SIZE_UNITS, last) - SIZE_UNITS + 1);
		s.n--;
	}
	if (!str_u64(s, out) || *out > UINT64_MAX >> shift)
		return false;
	*out <<= shift;
	return true;
}

static bool
in_range(const struct option_spec *spec, uint64_t n)
{
	if (n == 0 && spec->zero != NULL)
		return true;
	return n >= spec->least && (spec->most == 0 || n <= spec->most);
}

static bool
word_find(const char *const *words, struct str word, uint64_t *place)
{
	for (*place = 0; words[*place] != NULL; ++*place)
		if (str_ieq(word, str_of(words[*place])))
			return true;
	return false;
}

static bool
is_value(const struct option_spec *spec, struct str s, uint64_t *number)
{
	*number = 0;
	switch (spec->kind) {
	case OPTION_NUMBER: return str_u64(s, number) && in_range(spec, *number);
	case OPTION_SIZE: return size_parse(s, number) && in_range(spec, *number);
	case OPTION_WORD: return word_find(spec->words, s, number);
	case OPTION_YES_NO:
		*number = str_eq(s, STR("yes"));
		return *number == 1 || str_eq(s, STR("no"));
	default: return true;
	}
}

enum err
option_judge(
    const struct option_spec *spec, const char *text, uint64_t *number, char *why, size_t nwhy)
{
	static const char *const what[] = {
		[OPTION_NUMBER] = "a number from ",
		[OPTION_SIZE] = "a size like 512M",
		[OPTION_WORD] = "",
		[OPTION_YES_NO] = "",
	};
	struct buf range = { 0 }, shown = { 0 };

	if (is_value(spec, str_of(text), number))
		return ERR_OK;
	option_range(&range, spec);
	if (spec->zero != NULL && spec->least > 0)
		buf_cstr(&range, ", or 0");
	option_show(&shown, str_of(text), VALUE_SHOWN);
	snprintf(why, nwhy, "--%s " STR_FMT ": not %s%s" STR_FMT, spec->name,
	    STR_ARG(buf_view(&shown)), what[spec->kind],
	    spec->kind == OPTION_SIZE && range.n > 0 ? ", " : "", STR_ARG(buf_view(&range)));
	buf_fini(&range);
	buf_fini(&shown);
	return ERR_ARG;
}

/* No file has no name: an empty one is a variable of a script that was not set. */
static bool
is_path(const struct option_spec *spec)
{
	return spec->kind == OPTION_FILE || spec->kind == OPTION_DIR;
}

/* Its value, if it is where the command line has one; NULL: it is missing, or one too many. */
static const char *
value_of(const struct option_spec *spec, const char *inlined, int argc, char **argv, int *used)
{
	*used = 1;
	if (spec->kind == OPTION_SWITCH)
		return inlined == NULL ? "" : NULL;
	if (inlined != NULL)
		return inlined;
	if (spec->kind == OPTION_YES_NO)
		return "yes";
	/* the next option is no file: a directory "--background" would be made in silence */
	if (argc < 2 || (is_path(spec) && str_starts(str_of(argv[1]), STR("--"))))
		return NULL;
	*used = 2;
	return argv[1];
}

static void
unknown_tell(
    const struct option_table *t, const char *command, struct str name, char *why, size_t nwhy)
{
	struct buf shown = { 0 };
	int near = option_near(t, name);

	option_show(&shown, name, NAME_SHOWN);
	snprintf(why, nwhy, "%s has no option '--" STR_FMT "'%s%s%s (see twinhub %s --help)",
	    command, STR_ARG(buf_view(&shown)), near < 0 ? "" : "; did you mean --",
	    near < 0 ? "" : t->v[near].name, near < 0 ? "" : "?", command);
	buf_fini(&shown);
}

enum err
option_read(const struct option_table *t, const char *command, int argc, char **argv,
    struct option_given *out, char *why, size_t nwhy)
{
	const char *inlined = strchr(argv[0], '=');
	struct str name = str_sub(str_of(argv[0]), 2);
	int row;

	if (inlined != NULL)
		name.n = (size_t)(inlined++ - name.p);
	row = option_find(t, name);
	if (row < 0) {
		unknown_tell(t, command, name, why, nwhy);
		return ERR_ARG;
	}
	out->row = (unsigned)row;
	out->text = value_of(&t->v[row], inlined, argc, argv, &out->used);
	if (out->text == NULL || (out->text[0] == '\0' && is_path(&t->v[row]))) {
		snprintf(why, nwhy,
		    t->v[row].kind == OPTION_SWITCH ? "--%s takes no value" : "--%s needs a value",
		    t->v[row].name);
		return ERR_ARG;
	}
	if (option_judge(&t->v[row], out->text, &out->number, why, nwhy) != ERR_OK)
		return ERR_ARG;
	if (t->v[row].kind == OPTION_WORD)
		out->text = t->v[row].words[out->number];
	return ERR_OK;
}
