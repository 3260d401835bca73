/* Which program wrote this? Told from the first bytes. */
#include "foreign/priv.h"

#define BOM "\xef\xbb\xbf"

static const char *const names[FOREIGN_KINDS] = {
	[FOREIGN_LINES] = "lines of JSON",
	[FOREIGN_STATE] = "a state file of az iot hub state export",
	[FOREIGN_CSV] = "CSV",
	[FOREIGN_ARRAY] = "a JSON array",
	[FOREIGN_PRETTY] = "JSON over several lines",
	[FOREIGN_UTF16] = "UTF-16 text",
};

const char *
foreign_name(enum foreign_kind kind)
{
	return names[kind];
}

static struct str
without_blanks(struct str s)
{
	while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t' || s.p[0] == '\r' || s.p[0] == '\n'))
		s = str_sub(s, 1);
	return s;
}

/* A byte order mark, or every other byte zero, as of letters. */
static bool
is_utf16(struct str s)
{
	return s.n >= 2 &&
	    (memcmp(s.p, "\xff\xfe", 2) == 0 || memcmp(s.p, "\xfe\xff", 2) == 0 ||
	        (s.p[0] == '\0') != (s.p[1] == '\0'));
}

/* The first member's name of an object. */
static struct str
first_key(struct str s)
{
	struct str key, rest;

	s = without_blanks(str_sub(s, 1));
	if (s.n == 0 || s.p[0] != '"' || !str_cut(str_sub(s, 1), '"', &key, &rest))
		return STR_NONE;
	return key;
}

static bool
is_state_key(struct str key)
{
	static const char *const keys[] = { "arm", "configurations", "edgeDeployments", "devices",
		"modules", "certificates", "endpoints", "routes", "identities" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (str_eq(key, str_of(keys[i])))
			return true;
	return false;
}

/* Does the object end in its first line? */
static bool
ends_in_line(struct str s)
{
	struct str line, rest;

	if (!str_cut(s, '\n', &line, &rest))
		return true; /* it is as long as the head, or the whole */
	while (line.n > 0 && (line.p[line.n - 1] == '\r' || line.p[line.n - 1] == ' '))
		line.n--;
	return line.n > 0 && line.p[line.n - 1] == '}' && line.n > 1;
}

static bool
is_csv(struct str s)
{
	struct str line = s, cell, rest;

	str_cut(s, '\n', &line, &rest);
	for (const char *c = ",;\t"; *c != '\0'; c++) {
		if (!str_cut(line, *c, &cell, &rest))
			continue;
		if (cell.n >= 2 && cell.p[0] == '"' && cell.p[cell.n - 1] == '"')
			cell = (struct str){ cell.p + 1, cell.n - 2 };
		if (cell.n > 0 && (cell.p[0] == '_' || (cell.p[0] | 32) >= 'a') &&
		    (cell.p[0] | 32) <= 'z')
			return true;
	}
	return str_ieq(without_blanks(line), STR("deviceId")) || str_ieq(line, STR("deviceId\r"));
}

enum foreign_kind
foreign_kind(struct str head)
{
	struct str s = head;

	if (is_utf16(s))
		return FOREIGN_UTF16;
	if (str_starts(s, STR(BOM)))
		s = str_sub(s, 3);
	s = without_blanks(s);
	if (s.n == 0)
		return FOREIGN_LINES;
	if (s.p[0] == '[')
		return FOREIGN_ARRAY;
	if (s.p[0] == '{' && is_state_key(first_key(s)))
		return FOREIGN_STATE;
	if (s.p[0] == '{')
		return ends_in_line(s) ? FOREIGN_LINES : FOREIGN_PRETTY;
	return is_csv(s) ? FOREIGN_CSV : FOREIGN_LINES;
}

enum err
foreign_read(
    enum foreign_kind kind, struct str text, const struct foreign_sink *sink, struct fault *f)
{
	assert(kind == FOREIGN_STATE || kind == FOREIGN_CSV);
	if (str_starts(text, STR(BOM)))
		text = str_sub(text, 3);
	return kind == FOREIGN_STATE ? state_read(text, sink, f) : csv_read(text, sink, f);
}
