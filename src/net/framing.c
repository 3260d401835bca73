/*
 * Lines are judged one by one as they end. Refused is what RFC 9112 has refused or leaves open: a line end that is not CR LF,
 * a blank around a field's name, folded lines, control characters, a Host too many or too few, a length said twice or in
 * other characters than digits, a Transfer-Encoding that is not "chunked" alone.
 */
#include "net/framing.h"

#define CHUNK_DIGITS_MAX 12

static enum framing_step
bad(struct framing *f, unsigned status, const char *why)
{
	f->state = FRAMING_IS_BAD;
	f->status = (uint16_t)status;
	f->why = why;
	framing_fini(f);
	return FRAMING_BAD;
}

/* ---- characters ---- */

static bool
is_token_char(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	    (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool
is_token(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_token_char((unsigned char)s.p[i]))
			return false;
	return s.n > 0;
}

static bool
is_control(unsigned char c)
{
	return c < ' ' || c == 0x7f;
}

static bool
has_control(struct str s, char except)
{
	for (size_t i = 0; i < s.n; i++)
		if (is_control((unsigned char)s.p[i]) && s.p[i] != except)
			return true;
	return false;
}

static struct str
trim(struct str s)
{
	while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
		s = str_sub(s, 1);
	while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

/* ---- lines: up to CR LF ---- */

/* A line of *text, without its end, borrowed from f->line until line_done. */
static enum framing_step
take_line(struct framing *f, struct str in, size_t *n, uint32_t max, struct str *text)
{
	const char *end = memchr(in.p, '\n', in.n);
	size_t take = end != NULL ? (size_t)(end - in.p) + 1 : in.n;

	if (f->line.n + take > max)
		return bad(f, 400, "a line of the request, or all its header, is too long");
	buf_put(&f->line, in.p, take);
	*n = take;
	if (end == NULL)
		return FRAMING_MORE;
	*text = buf_view(&f->line);
	if (text->n < 2 || text->p[text->n - 2] != '\r')
		return bad(f, 400, "a line ends with LF and not with CR LF");
	text->n -= 2;
	if (memchr(text->p, '\r', text->n) != NULL)
		return bad(f, 400, "there is a CR within a line");
	if (memchr(text->p, '\0', text->n) != NULL)
		return bad(f, 400, "there is a NUL within a line");
	return FRAMING_TAKEN;
}

static void
line_done(struct framing *f)
{
	f->line.n = 0;
}

/* ---- the head ---- */

static bool
method_takes_body(struct str method)
{
	return str_eq(method, STR("POST")) || str_eq(method, STR("PUT")) ||
	    str_eq(method, STR("PATCH"));
}

static enum framing_step
request_line(struct framing *f, struct str line)
{
	struct str method, target, version, rest;

	if (!str_cut(line, ' ', &method, &rest) || !str_cut(rest, ' ', &target, &version) ||
	    !is_token(method) || target.n == 0 || has_control(target, 'x'))
		return bad(f, 400, "the request line is not METHOD TARGET HTTP/1.1");
	f->old = str_eq(version, STR("HTTP/1.0"));
	if (!f->old && !str_eq(version, STR("HTTP/1.1")))
		return bad(f, 400, "the request line does not end with HTTP/1.1 or HTTP/1.0");
	f->takes_body = method_takes_body(method);
	buf_str(&f->target, target);
	buf_str(&f->head, method);
	buf_printf(&f->head, " / " STR_FMT "\r\n", STR_ARG(version));
	return FRAMING_TAKEN;
}

/* *keep: evhttp sees the field as it came. */
static enum framing_step
on_host(struct framing *f, struct str value, bool *keep)
{
	static const char others[] = "-._~%!$&'()*+,;=:[]";

	*keep = true;
	if (f->nhost++ > 0)
		return bad(f, 400, "there is more than one Host");
	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.p[i];
		bool plain = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
		if (!plain && strchr(others, c) == NULL)
			return bad(f, 400, "the Host has characters that no host name has");
	}
	return FRAMING_TAKEN;
}

static enum framing_step
on_length(struct framing *f, struct str value, bool *keep)
{
	*keep = false;
	if (f->nlength++ > 0)
		return bad(f, 400, "the request says its length more than once");
	if (value.n == 0)
		return bad(f, 400, "the Content-Length is empty");
	f->length = 0;
	for (size_t i = 0; i < value.n; i++) {
		if (value.p[i] < '0' || value.p[i] > '9')
			return bad(f, 400, "the Content-Length is not digits alone");
		if (f->length < UINT64_C(1) << 50)
			f->length = f->length * 10 + (uint64_t)(value.p[i] - '0');
	}
	return FRAMING_TAKEN;
}

static enum framing_step
on_coding(struct framing *f, struct str value, bool *keep)
{
	*keep = false;
	if (f->ncoding++ > 0)
		return bad(f, 400, "there is more than one Transfer-Encoding");
	if (!str_ieq(value, STR("chunked")))
		return bad(f, 400, "the Transfer-Encoding is not chunked");
	if (f->old)
		return bad(f, 400, "HTTP/1.0 has no Transfer-Encoding");
	f->chunked = true;
	return FRAMING_TAKEN;
}

static enum framing_step
on_trailer(struct framing *f, struct str value, bool *keep)
{
	(void)f, (void)value;
	*keep = false;
	return FRAMING_TAKEN;
}

/* evhttp would refuse others by itself, in HTML and without a word in the log. */
static enum framing_step
on_expect(struct framing *f, struct str value, bool *keep)
{
	*keep = false;
	if (!str_ieq(value, STR("100-continue")))
		return bad(f, 400, "the request expects something else than 100-continue");
	f->expects = true;
	return FRAMING_TAKEN;
}

/* Fields that say where the message ends, or whose it is. */
static const struct {
	const char *name;
	enum framing_step (*judge)(struct framing *f, struct str value, bool *keep);
} fields[] = {
	{ "Host", on_host },
	{ "Content-Length", on_length },
	{ "Transfer-Encoding", on_coding },
	{ "Trailer", on_trailer },
	{ "Expect", on_expect },
};

/* A field of the head or, with keep false, of a trailer: the latter is checked and goes. */
static enum framing_step
field_line(struct framing *f, struct str line, bool keep)
{
	struct str name, value;

	if (line.p[0] == ' ' || line.p[0] == '\t')
		return bad(f, 400, "a header line is folded");
	if (!str_cut(line, ':', &name, &value))
		return bad(f, 400, "a header line has no colon");
	if (!is_token(name))
		return bad(f, 400, "a header's name has characters that no name has");
	value = trim(value);
	if (has_control(value, '\t'))
		return bad(f, 400, "a header's value has a control character");
	for (size_t i = 0; keep && i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (!str_ieq(name, str_of(fields[i].name)))
			continue;
		if (fields[i].judge(f, value, &keep) == FRAMING_BAD)
			return FRAMING_BAD;
		break;
	}
	if (keep) {
		buf_str(&f->head, line);
		buf_cstr(&f->head, "\r\n");
	}
	return FRAMING_TAKEN;
}

/* What evhttp is to see has no doubt in it: one length where it looks for one, none elsewhere. */
static enum framing_step
whole(struct framing *f)
{
	if (f->takes_body)
		buf_printf(&f->head, "Content-Length: %llu\r\n", (unsigned long long)f->length);
	buf_cstr(&f->head, "\r\n");
	f->state = FRAMING_AT_END;
	return FRAMING_WHOLE;
}

static enum framing_step
head_ends(struct framing *f)
{
	if (f->nhost == 0 && !f->old)
		return bad(f, 400, "there is no Host");
	if (f->nlength > 0 && f->ncoding > 0)
		return bad(f, 400, "the request says its length more than once");
	if (f->length > f->max_body)
		return bad(f, 413, "the body is longer than any that is read");
	if (!f->chunked && f->length == 0)
		return whole(f);
	f->left = f->length;
	f->nhead = 0;
	f->state = f->chunked ? FRAMING_IN_CHUNK : FRAMING_IN_BODY;
	return f->expects ? FRAMING_CONTINUE : FRAMING_TAKEN;
}

static enum framing_step
head_step(struct framing *f, struct str in, size_t *n)
{
	struct str line;
	enum framing_step s = take_line(f, in, n, f->max_head - f->nhead, &line);

	if (s != FRAMING_TAKEN)
		return s;
	f->nhead += (uint32_t)f->line.n;
	if (line.n > 0) {
		s = f->nline++ == 0 ? request_line(f, line) : field_line(f, line, true);
	} else if (f->nline > 0) {
		s = head_ends(f);
	} else if (f->blank) {
		s = bad(f, 400, "there are empty lines before the request");
	} else {
		f->blank = true; /* RFC 9112, 2.2: one is ignored */
	}
	line_done(f);
	return s;
}

/* ---- bodies ---- */

static size_t
up_to(uint64_t left, size_t n)
{
	return left < n ? (size_t)left : n;
}

/* Of a body of a length the last byte makes the message whole: that is the next step's to say. */
static enum framing_step
body_step(struct framing *f, struct str in, size_t *n)
{
	if (f->left == 0)
		return whole(f);
	*n = up_to(f->left, in.n);
	f->left -= *n;
	if (f->left == 0 && f->state == FRAMING_IN_DATA)
		f->state = FRAMING_IN_DATA_END;
	return f->takes_body ? FRAMING_BODY : FRAMING_TAKEN;
}

static bool
extensions_good(struct str s)
{
	struct str inner = trim(s);

	return s.n == 0 || (inner.n > 0 && inner.p[0] == ';' && !has_control(s, '\t'));
}

/* SIZE in hexadecimal digits, then perhaps ;EXTENSIONS, which say nothing to us. */
static enum framing_step
chunk_line(struct framing *f, struct str line)
{
	uint64_t size = 0;
	size_t i;

	for (i = 0; i < line.n && hex_digit(line.p[i]) >= 0; i++) {
		if (i == CHUNK_DIGITS_MAX)
			return bad(f, 413, "the body is longer than any that is read");
		size = size << 4 | (unsigned)hex_digit(line.p[i]);
	}
	if (i == 0 || !extensions_good(str_sub(line, i)))
		return bad(f, 400, "a chunk does not begin with its length");
	if (size > f->max_body - f->length)
		return bad(f, 413, "the body is longer than any that is read");
	f->left = size;
	f->length += size;
	f->state = size > 0 ? FRAMING_IN_DATA : FRAMING_IN_TRAILER;
	return FRAMING_TAKEN;
}

static enum framing_step
chunk_step(struct framing *f, struct str in, size_t *n)
{
	struct str line;
	enum framing_step s = take_line(f, in, n, FRAMING_CHUNK_LINE_MAX, &line);

	if (s != FRAMING_TAKEN)
		return s;
	if (f->state == FRAMING_IN_CHUNK)
		s = chunk_line(f, line);
	else if (line.n > 0)
		s = bad(f, 400, "a chunk is longer than it says");
	else
		f->state = FRAMING_IN_CHUNK;
	line_done(f);
	return s;
}

static enum framing_step
trailer_step(struct framing *f, struct str in, size_t *n)
{
	struct str line;
	enum framing_step s = take_line(f, in, n, f->max_head - f->nhead, &line);

	if (s != FRAMING_TAKEN)
		return s;
	f->nhead += (uint32_t)f->line.n;
	s = line.n > 0 ? field_line(f, line, false) : whole(f);
	line_done(f);
	return s;
}

/* ---- all of it ---- */

enum framing_step
framing_step(struct framing *f, struct str in, size_t *n)
{
	*n = 0;
	switch (f->state) {
	case FRAMING_IS_BAD: return FRAMING_BAD;
	case FRAMING_AT_END: return FRAMING_END;
	default: break;
	}
	if (in.n == 0 && !(f->state == FRAMING_IN_BODY && f->left == 0))
		return FRAMING_MORE;
	switch (f->state) {
	case FRAMING_START: return head_step(f, in, n);
	case FRAMING_IN_BODY:
	case FRAMING_IN_DATA: return body_step(f, in, n);
	case FRAMING_IN_CHUNK:
	case FRAMING_IN_DATA_END: return chunk_step(f, in, n);
	default: return trailer_step(f, in, n);
	}
}

void
framing_next(struct framing *f)
{
	struct framing next = { .max_head = f->max_head, .max_body = f->max_body };

	if (f->state != FRAMING_AT_END)
		return;
	framing_fini(f); /* an idle connection holds nothing */
	*f = next;
}

void
framing_fini(struct framing *f)
{
	buf_fini(&f->line);
	buf_fini(&f->head);
	buf_fini(&f->target);
}
