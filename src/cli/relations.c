/* device renew-key, children, parent: what stands between a device and its keys, its gateway, and what is behind it. */
#include "cli/priv.h"

#include <openssl/crypto.h>
#include <stdio.h>

#define LIST_HEAD                                                                                  \
	"SELECT deviceId, status, connectionState, authenticationType, lastActivityTime FROM "     \
	"devices"

/* The identity; else the exit code, said. */
static int
identity_read(const struct target *t, struct subject s, struct answer *out)
{
	struct buf path = { 0 };
	int code;

	subject_path(&path, "/devices/", s, "");
	code = hub_call(t, &(struct ask){ .method = GET, .path = path.p }, out);
	buf_fini(&path);
	return code;
}

/* ---- renew-key ---- */

static void
renewal_body(struct buf *json, struct subject s, const char *key)
{
	struct out o = out_to(json);

	out_open(&o);
	out_cstr(out_key(&o, "policyKey"), key);
	out_list(out_key(&o, "devices"));
	out_open(&o);
	out_str(out_key(&o, "id"), s.device);
	if (s.module.n > 0)
		out_str(out_key(&o, "moduleId"), s.module);
	out_close(&o);
	out_close(&o);
	out_close(&o);
}

/* The first element of a list of the answer; DOC_NONE: there is none. */
static struct doc
first_of(struct doc answer, const char *name)
{
	struct doc_iter it = doc_iter(doc_get(answer, str_of(name)));
	struct str key;
	struct doc d;

	return doc_next(&it, &key, &d) ? d : DOC_NONE;
}

static void
renewal_show(const struct args *a, const struct target *t, struct subject s, struct doc rotated)
{
	struct buf text = { 0 }, record = { 0 };
	struct doc_writer dw;

	subject_connection(&text, t->host, s, doc_text(doc_getc(rotated, "primaryKey")));
	doc_writer_init(&dw, &record, 0);
	doc_begin_object(&dw, 0);
	doc_key(&dw, STR("deviceId"));
	doc_put_str(&dw, 0, s.device);
	if (s.module.n > 0) {
		doc_key(&dw, STR("moduleId"));
		doc_put_str(&dw, 0, s.module);
	}
	doc_key(&dw, STR("renewed"));
	doc_put_str(&dw, 0, str_of(a->option[OPT_RENEWED_KEY]));
	doc_key(&dw, STR("connectionString"));
	doc_put_str(&dw, 0, buf_view(&text));
	doc_end(&dw);
	show_record(a, doc_of(buf_view(&record)));
	OPENSSL_cleanse(text.p, text.cap);
	OPENSSL_cleanse(record.p, record.cap);
	buf_fini(&text);
	buf_fini(&record);
}

static int
renew(const struct args *a, const struct target *t, struct subject s)
{
	static const char *const keys[] = { "primaryKey", "secondaryKey", "both" };
	struct answer answer = { 0 };
	struct buf body = { 0 };
	struct doc d, refused;
	int code;

	renewal_body(&body, s, keys[a->number[OPT_RENEWED_KEY]]);
	code = hub_call(t,
	    &(struct ask){
	        .method = POST, .path = "/devices/keys/regenerate", .body = buf_view(&body) },
	    &answer);
	if (code != EXIT_DONE)
		goto done;
	d = doc_of(buf_view(&answer.doc));
	refused = first_of(d, "errors");
	if (doc_defined(refused))
		code = cli_fail(EXIT_FAILED, "the key of '" STR_FMT "' stays: " STR_FMT,
		    STR_ARG(s.device), STR_ARG(doc_text(doc_getc(refused, "errorStatus"))));
	else
		renewal_show(a, t, s, first_of(d, "rotatedKeys"));
done:
	answer_fini(&answer);
	buf_fini(&body);
	return code;
}

int
cli_renew_key(const struct args *a)
{
	struct answer answer = { 0 };
	struct target t = { 0 };
	struct subject s;
	struct doc type;
	int code;

	if (subject_of(a->operand[0], a->operand[1], &s) != EXIT_DONE)
		return EXIT_USAGE;
	if (a->option[OPT_RENEWED_KEY] == NULL)
		return cli_fail(EXIT_USAGE, "which key? give --key primary, secondary or both");
	if ((code = target_open(a, &t)) != EXIT_DONE)
		goto done;
	if ((code = identity_read(&t, s, &answer)) != EXIT_DONE)
		goto done;
	type = doc_getc(doc_getc(doc_of(buf_view(&answer.doc)), "authentication"), "type");
	if (!str_eq(doc_text(type), STR("sas"))) {
		code = cli_fail(EXIT_FAILED, "'%s%s%s' signs in by certificate and has no keys",
		    a->operand[0], s.module.n > 0 ? "/" : "", s.module.n > 0 ? a->operand[1] : "");
		goto done;
	}
	code = renew(a, &t, s);
done:
	answer_fini(&answer);
	target_fini(&t);
	return code;
}

/* ---- children, parent ---- */

static bool
is_true(struct doc d)
{
	return doc_kind(d) == DOC_TRUE;
}

/* In '...' of a query. */
static void
put_quoted(struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\'' || s.p[i] == '\\')
			buf_putc(out, '\\');
		buf_putc(out, s.p[i]);
	}
}

/* The scope that an edge device gives its children. */
static int
scope_of(const struct target *t, const char *id, struct answer *answer, struct str *scope)
{
	struct subject s;
	struct doc d;
	int code;

	if (subject_of(id, NULL, &s) != EXIT_DONE)
		return EXIT_USAGE;
	if ((code = identity_read(t, s, answer)) != EXIT_DONE)
		return code;
	d = doc_of(buf_view(&answer->doc));
	*scope = doc_text(doc_getc(d, "deviceScope"));
	if (scope->n > 0 && is_true(doc_getc(doc_getc(d, "capabilities"), "iotEdge")))
		return EXIT_DONE;
	return cli_fail(EXIT_FAILED, "'%s' is no edge device: it has no children", id);
}

int
cli_device_children(const struct args *a)
{
	struct args query = *a;
	struct answer answer = { 0 };
	struct target t = { 0 };
	struct buf text = { 0 };
	struct str scope;
	int code = target_open(a, &t);

	if (code == EXIT_DONE)
		code = scope_of(&t, a->operand[0], &answer, &scope);
	if (code != EXIT_DONE)
		goto done;
	buf_cstr(&text, LIST_HEAD " WHERE ARRAY_CONTAINS(parentScopes, '");
	put_quoted(&text, scope);
	buf_cstr(&text, "')");
	buf_putc(&text, '\0');
	query.operand[0] = text.p;
	code = cli_query(&query);
done:
	answer_fini(&answer);
	target_fini(&t);
	buf_fini(&text);
	return code;
}

static void
parent_show(const struct args *a, const char *child, struct str scope)
{
	struct buf record = { 0 };
	struct doc_writer dw;

	doc_writer_init(&dw, &record, 0);
	doc_begin_object(&dw, 0);
	doc_key(&dw, STR("deviceId"));
	doc_put_str(&dw, 0, str_of(child));
	doc_key(&dw, STR("parentScope"));
	if (scope.n > 0)
		doc_put_str(&dw, 0, scope);
	else
		doc_put_null(&dw, 0);
	doc_end(&dw);
	show_record(a, doc_of(buf_view(&record)));
	buf_fini(&record);
}

/* Of an edge device the first of parentScopes, of a leaf its scope. */
static struct str
parent_scope(struct doc identity)
{
	struct doc_iter it = doc_iter(doc_getc(identity, "parentScopes"));
	struct str key;
	struct doc d;

	return doc_next(&it, &key, &d) ? doc_text(d) : STR_NONE;
}

static void
child_body(struct buf *json, struct doc was, struct str scope)
{
	bool edge = is_true(doc_getc(doc_getc(was, "capabilities"), "iotEdge"));
	struct doc_iter it = doc_iter(was);
	struct out o = out_to(json);
	struct str key;
	struct doc d;

	out_open(&o);
	while (doc_next(&it, &key, &d))
		if (!str_eq(key, STR("parentScopes")) && (edge || !str_eq(key, STR("deviceScope"))))
			out_doc(out_key_str(&o, key), d);
	if (edge) {
		out_list(out_key(&o, "parentScopes"));
		if (scope.n > 0)
			out_str(&o, scope);
		out_close(&o);
	} else {
		out_str(out_key(&o, "deviceScope"), scope);
	}
	out_close(&o);
}

static int
parent_set(const struct args *a, const struct target *t, struct subject child, struct doc was)
{
	struct answer parent = { 0 }, answer = { 0 };
	struct buf body = { 0 }, path = { 0 }, tag = { 0 };
	struct str scope = STR_NONE;
	int code = EXIT_DONE;

	if (a->option[OPT_NONE] == NULL)
		code = scope_of(t, a->operand[1], &parent, &scope);
	if (code != EXIT_DONE)
		goto done;
	child_body(&body, was, scope);
	subject_path(&path, "/devices/", child, "");
	if_match_of(&tag, doc_text(doc_getc(was, "etag")));
	code = hub_call(t,
	    &(struct ask){
	        .method = PUT, .path = path.p, .body = buf_view(&body), .if_match = tag.p },
	    &answer);
	if (code == EXIT_DONE)
		parent_show(a, a->operand[0], parent_scope(doc_of(buf_view(&answer.doc))));
done:
	answer_fini(&parent);
	answer_fini(&answer);
	buf_fini(&body);
	buf_fini(&path);
	buf_fini(&tag);
	return code;
}

int
cli_device_parent(const struct args *a)
{
	bool set = a->operand[1] != NULL || a->option[OPT_NONE] != NULL;
	struct answer answer = { 0 };
	struct target t = { 0 };
	struct subject child;
	int code;

	if (subject_of(a->operand[0], NULL, &child) != EXIT_DONE)
		return EXIT_USAGE;
	if (a->operand[1] != NULL && a->option[OPT_NONE] != NULL)
		return cli_fail(EXIT_USAGE, "a parent and --none exclude each other");
	if ((code = target_open(a, &t)) != EXIT_DONE)
		goto done;
	if ((code = identity_read(&t, child, &answer)) != EXIT_DONE)
		goto done;
	if (set)
		code = parent_set(a, &t, child, doc_of(buf_view(&answer.doc)));
	else
		parent_show(a, a->operand[0], parent_scope(doc_of(buf_view(&answer.doc))));
done:
	answer_fini(&answer);
	target_fini(&t);
	return code;
}
