/* One line of logfmt, or one object of JSON. Nothing that a client sent can look like another line, another key or another character. */
#include <stdio.h>

#include "log/priv.h"

#define MARK      "..."
#define TAKEN_MAX 32 /* bytes of a character as it is written, or of a secret's name */
#define MARK_ROOM 9  /* the mark, a closing quote and the line end always fit */

static void
put(struct log_line *l, const char *p, size_t n)
{
	if (l->cut || l->n + n > LOG_LINE_MAX - MARK_ROOM) {
		l->cut = true;
		return;
	}
	memcpy(l->text + l->n, p, n);
	l->n += n;
}

/* How it stands between quotes. Returns the length. */
static size_t
escape(uint32_t c, const char *raw, size_t nraw, char out[16])
{
	if (c == '"' || c == '\\')
		return (size_t)snprintf(out, 16, "\\%c", (int)c);
	if (c == '\n' || c == '\r' || c == '\t')
		return (size_t)snprintf(out, 16, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
	if (utf8_hidden(c))
		return utf8_escape(c, out);
	memcpy(out, raw, nraw);
	return nraw;
}

/* May it stand without quotes? */
static bool
is_plain(struct str s)
{
	static const char others[] = "-_.:/+*@%#~,;!?()[]$'";

	if (s.n == 0 || s.n > LOG_VALUE_MAX)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (log_secret_name(s, i) > 0)
			return false;
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		        (c != '\0' && strchr(others, c) != NULL)))
			return false;
	}
	return true;
}

/* How the next of it stands in the line: a character, or a secret with its name. Returns the length. */
static size_t
take(struct str all, struct str *s, char out[TAKEN_MAX])
{
	struct str before = *s;
	size_t n = log_secret_name(all, (size_t)(s->p - all.p));
	uint32_t c;

	if (n > 0) {
		*s = str_sub(*s, n);
		*s = str_sub(*s, log_secret_length(*s));
		return (size_t)snprintf(out, TAKEN_MAX, "%.*s***",
		    (int)(n < TAKEN_MAX - 4 ? n : TAKEN_MAX - 4), before.p);
	}
	c = utf8_take(s);
	return escape(c, before.p, before.n - s->n, out);
}

static void
put_quoted(struct log_line *l, struct str s)
{
	struct str all = s;
	size_t written = 0, n;
	char out[TAKEN_MAX];

	put(l, "\"", 1);
	while (s.n > 0 && !l->cut) {
		n = take(all, &s, out);
		if (written + n > LOG_VALUE_MAX) {
			put(l, MARK, sizeof(MARK) - 1);
			break;
		}
		put(l, out, n);
		written += n;
	}
	if (l->cut) { /* MARK_ROOM was kept for this, and for the brace */
		memcpy(l->text + l->n, MARK "\"", sizeof(MARK));
		l->n += sizeof(MARK);
	} else {
		put(l, "\"", 1);
	}
}

/* ---- lines ---- */

static void
put_key(struct log_line *l, const char *key, size_t nkey)
{
	if (l->json)
		put(l, l->n > 0 ? ",\"" : "{\"", 2);
	else if (l->n > 0)
		put(l, " ", 1);
	put(l, key, nkey);
	if (l->json)
		put(l, "\":", 2);
	else
		put(l, "=", 1);
}

void
log_line_put(struct log_line *l, const char *key, struct str value)
{
	size_t nkey = strlen(key);

	/* A key is written with room for a value, or not at all. */
	if (value.n == 0 || l->cut || l->n + nkey + 6 > LOG_LINE_MAX - MARK_ROOM)
		return;
	put_key(l, key, nkey);
	if (!l->json && is_plain(value) && l->n + value.n <= LOG_LINE_MAX - MARK_ROOM)
		put(l, value.p, value.n);
	else
		put_quoted(l, value);
}

void
log_line_number(struct log_line *l, const char *key, uint64_t value)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	size_t nkey = strlen(key);

	if (!l->json) {
		log_line_put(l, key, (struct str){ text, (size_t)n });
	} else if (!l->cut && l->n + nkey + (size_t)n + 6 <= LOG_LINE_MAX - MARK_ROOM) {
		put_key(l, key, nkey);
		put(l, text, (size_t)n);
	}
}

void
log_line_begin(struct log_line *l, int64_t wall_us, enum log_level level, struct str msg)
{
	char t[TIME_TEXT_MAX];
	size_t n = time_format(wall_us, t);

	l->n = 0;
	l->cut = false;
	log_line_put(l, "ts", (struct str){ t, n });
	log_line_put(l, "level", str_of(log_level_name(level)));
	log_line_put(l, "msg", msg);
}

void
log_line_end(struct log_line *l)
{
	if (l->json)
		l->text[l->n++] = '}';
	l->text[l->n++] = '\n';
}
