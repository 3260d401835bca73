/* The table of routes, printed: for people in Markdown, for programs as OpenAPI. What it says of each is what is asked of a request. */
#include "http/priv.h"

static const char *
right_word(unsigned right)
{
	if (right == RIGHT_DEVICE_SELF)
		return "the device itself";
	return right == RIGHT_MODULE_SELF ? "the module itself" : right_name(right);
}

/* f for each right of the need, in the order of the bits. */
static void
each_right(unsigned rights, void (*f)(void *ctx, const char *word), void *ctx)
{
	for (unsigned bit = 1; bit <= RIGHT_MODULE_SELF; bit <<= 1)
		if (rights & bit)
			f(ctx, right_word(bit));
}

/* ---- Markdown ---- */

struct phrase {
	struct buf *out;
	const char *between;
	unsigned n;
};

static void
phrase_word(void *ctx, const char *word)
{
	struct phrase *p = ctx;

	buf_printf(p->out, "%s%s", p->n++ > 0 ? p->between : "", word);
}

void
http_routes_table(struct buf *out)
{
	buf_cstr(out, "| method | path | who may | body up to |\n| --- | --- | --- | --- |\n");
	for (size_t i = 0; i < nroutes; i++) {
		const struct route *r = &routes[i];
		struct phrase p = { out, r->need.all ? " and " : " or ", 0 };

		buf_printf(out, "| %s | `/%s` | ", http_method_name(r->method), r->path);
		each_right(r->need.rights, phrase_word, &p);
		buf_printf(out, " | %s |\n", r->bulk ? "8 MB" : "1 MB");
	}
}

/* ---- OpenAPI 3.0 ---- */

static void
right_put(void *ctx, const char *word)
{
	out_cstr(ctx, word);
}

static void
parameter_put(struct out *o, struct str name, const char *in)
{
	out_open(o);
	out_str(out_key(o, "name"), name);
	out_cstr(out_key(o, "in"), in);
	out_bool(out_key(o, "required"), true);
	out_open(out_key(o, "schema"));
	out_cstr(out_key(o, "type"), "string");
	out_close(o);
	out_close(o);
}

/* What stands in braces, and the api-version that every route wants. */
static void
parameters_put(struct out *o, struct str path)
{
	struct str before, name;

	out_list(out_key(o, "parameters"));
	while (str_cut(path, '{', &before, &path) && str_cut(path, '}', &name, &path))
		parameter_put(o, name, "path");
	parameter_put(o, STR("api-version"), "query");
	out_close(o);
}

static void
operation_put(struct out *o, const struct route *r)
{
	static const char *const names[] = { [HTTP_GET] = "get",
		[HTTP_PUT] = "put",
		[HTTP_POST] = "post",
		[HTTP_PATCH] = "patch",
		[HTTP_DELETE] = "delete" };

	out_open(out_key(o, names[r->method]));
	parameters_put(o, str_of(r->path));
	out_list(out_key(o, r->need.all ? "x-twinhub-all-of-rights" : "x-twinhub-any-of-rights"));
	each_right(r->need.rights, right_put, o);
	out_close(o);
	out_open(out_key(o, "responses"));
	out_open(out_key(o, "default"));
	out_cstr(out_key(o, "description"), "see docs/spec");
	out_close(o);
	out_close(o);
	out_close(o);
}

static bool
path_is_new(size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (strcmp(routes[k].path, routes[i].path) == 0)
			return false;
	return true;
}

static void
paths_put(struct out *o)
{
	struct buf path = { 0 };

	out_open(out_key(o, "paths"));
	for (size_t i = 0; i < nroutes; i++) {
		if (!path_is_new(i))
			continue;
		path.n = 0;
		buf_printf(&path, "/%s", routes[i].path);
		out_open(out_key_str(o, buf_view(&path)));
		for (size_t k = i; k < nroutes; k++)
			if (strcmp(routes[k].path, routes[i].path) == 0)
				operation_put(o, &routes[k]);
		out_close(o);
	}
	out_close(o);
	buf_fini(&path);
}

void
http_routes_openapi(struct buf *out)
{
	struct out o = out_to(out);

	out_open(&o);
	out_cstr(out_key(&o, "openapi"), "3.0.3");
	out_open(out_key(&o, "info"));
	out_cstr(out_key(&o, "title"), "twinhub");
	out_cstr(out_key(&o, "version"), TWINHUB_VERSION);
	out_close(&o);
	out_list(out_key(&o, "security"));
	out_open(&o);
	out_list(out_key(&o, "sas"));
	out_close(&o);
	out_close(&o);
	out_close(&o);
	paths_put(&o);
	out_open(out_key(&o, "components"));
	out_open(out_key(&o, "securitySchemes"));
	out_open(out_key(&o, "sas"));
	out_cstr(out_key(&o, "type"), "apiKey");
	out_cstr(out_key(&o, "in"), "header");
	out_cstr(out_key(&o, "name"), "Authorization");
	out_close(&o);
	out_close(&o);
	out_close(&o);
	out_close(&o);
	buf_putc(out, '\n');
}
