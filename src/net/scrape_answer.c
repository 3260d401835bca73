/* What a request for the page is answered. Pure but for o->write. */
#include "net/scrape.h"

#include <strings.h>

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static struct str
trimmed(struct str s)
{
	while (s.n > 0 && is_blank(s.p[0]))
		s = str_sub(s, 1);
	while (s.n > 0 && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

/* The next line of this name, in whatever case; false: there is none. */
static bool
next_header(struct str *rest, struct str name, struct str *value)
{
	struct str line, key;

	while (rest->n > 0) {
		str_cut(*rest, '\n', &line, rest);
		str_cut(line, ':', &key, value);
		if (str_ieq(key, name)) {
			*value = trimmed(*value);
			return true;
		}
	}
	return false;
}

static bool
may_read(const struct scrape_options *o, struct str head)
{
	struct str shown;

	if (o->token == NULL)
		return true;
	if (!next_header(&head, STR("authorization"), &shown) || shown.n < 7 ||
	    strncasecmp(shown.p, "Bearer ", 7) != 0)
		return false;
	return str_eq_secret(trimmed(str_sub(shown, 7)), str_of(o->token));
}

static void
put_answer(struct buf *out, const char *status, const char *type, const char *more, struct str body,
    bool head)
{
	buf_printf(out,
	    "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n%s\r\n",
	    status, type, body.n, more);
	if (!head)
		buf_str(out, body);
}

static void
put_error(struct buf *out, const char *status, const char *more, bool head)
{
	struct buf body = { 0 };

	buf_printf(&body, "%s\n", status);
	put_answer(out, status, "text/plain", more, buf_view(&body), head);
	buf_fini(&body);
}

void
scrape_too_long(struct buf *out)
{
	put_error(out, "431 Request Header Fields Too Large", "", false);
}

/* Several lines of Accept are one, with commas. */
static void
put_page(const struct scrape_options *o, struct str headers, bool head, struct buf *out)
{
	struct buf body = { 0 }, accept = { 0 };
	struct str value;
	const char *type;

	while (next_header(&headers, STR("accept"), &value)) {
		if (accept.n > 0)
			buf_putc(&accept, ',');
		buf_str(&accept, value);
	}
	type = o->write(o->ctx, buf_view(&accept), &body);
	put_answer(out, "200 OK", type, "", buf_view(&body), head);
	buf_fini(&accept);
	buf_fini(&body);
}

void
scrape_answer(const struct scrape_options *o, struct str request, struct buf *out)
{
	struct str line, headers, method, target, path, version, query;
	bool head;

	str_cut(request, '\n', &line, &headers);
	str_cut(trimmed(line), ' ', &method, &target);
	str_cut(target, ' ', &target, &version);
	str_cut(target, '?', &path, &query);
	head = str_eq(method, STR("HEAD"));
	if (!str_starts(version, STR("HTTP/1.")))
		put_error(out, "400 Bad Request", "", false);
	else if (!str_eq(method, STR("GET")) && !head)
		put_error(out, "405 Method Not Allowed", "Allow: GET, HEAD\r\n", false);
	else if (!str_eq(path, str_of(o->path)))
		put_error(out, "404 Not Found", "", head);
	else if (!may_read(o, headers))
		put_error(out, "401 Unauthorized", "WWW-Authenticate: Bearer\r\n", head);
	else
		put_page(o, headers, head, out);
}
