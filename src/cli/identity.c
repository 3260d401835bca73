/*
 * The identity registry: device and module create|show|update|delete, and both lists. A command with a second operand is
 * about a module of the device.
 */
#include "cli/priv.h"

#include <openssl/crypto.h>
#include <stdio.h>

#define LIST_TEXT                                                                                  \
	"deviceId, status, connectionState, authenticationType, lastActivityTime FROM "            \
	"devices"

/* An option's value; when it is not given, what was there. */
static struct str
wished(const struct args *a, enum option o, struct doc was)
{
	return a->option[o] != NULL ? str_of(a->option[o]) : doc_str(was);
}

static int
options_fit(const struct args *a)
{
	bool keys = a->option[OPT_PRIMARY_KEY] != NULL || a->option[OPT_SECONDARY_KEY] != NULL;
	bool thumbs =
	    a->option[OPT_THUMBPRINT] != NULL || a->option[OPT_SECONDARY_THUMBPRINT] != NULL;

	if (keys + thumbs + (a->option[OPT_X509_CA] != NULL) > 1)
		return cli_fail(EXIT_USAGE, "keys, thumbprints and --x509-ca exclude each other");
	return EXIT_DONE;
}

/* The type of authentication follows from the credentials that are given. */
static struct str
wished_type(const struct args *a, struct doc auth)
{
	if (a->option[OPT_X509_CA] != NULL)
		return STR("certificateAuthority");
	if (a->option[OPT_THUMBPRINT] != NULL)
		return STR("selfSigned");
	if (a->option[OPT_PRIMARY_KEY] != NULL || !doc_defined(auth))
		return STR("sas");
	return doc_str(doc_getc(auth, "type"));
}

static void
put_authentication(struct out *o, const struct args *a, struct doc was)
{
	struct doc auth = doc_getc(was, "authentication"), keys = doc_getc(auth, "symmetricKey"),
	           thumbs = doc_getc(auth, "x509Thumbprint");
	struct str type = wished_type(a, auth);

	out_open(out_key(o, "authentication"));
	out_str_or_null(out_key(o, "type"), type);
	/* both kinds at once are refused, so only those of the type are named */
	if (str_eq(type, STR("sas"))) {
		out_open(out_key(o, "symmetricKey"));
		out_str_or_null(out_key(o, "primaryKey"),
		    wished(a, OPT_PRIMARY_KEY, doc_getc(keys, "primaryKey")));
		out_str_or_null(out_key(o, "secondaryKey"),
		    wished(a, OPT_SECONDARY_KEY, doc_getc(keys, "secondaryKey")));
		out_close(o);
	} else if (str_eq(type, STR("selfSigned"))) {
		out_open(out_key(o, "x509Thumbprint"));
		out_str_or_null(out_key(o, "primaryThumbprint"),
		    wished(a, OPT_THUMBPRINT, doc_getc(thumbs, "primaryThumbprint")));
		out_str_or_null(out_key(o, "secondaryThumbprint"),
		    wished(a, OPT_SECONDARY_THUMBPRINT, doc_getc(thumbs, "secondaryThumbprint")));
		out_close(o);
	}
	out_close(o);
}

static void
put_same(struct out *o, const char *name, struct doc was)
{
	out_some_doc(o, name, doc_get(was, str_of(name)));
}

/* What modules do not have. */
static void
put_device_members(struct out *o, const struct args *a, struct doc was)
{
	struct str status = a->option[OPT_DISABLED] != NULL
	    ? STR("disabled")
	    : wished(a, OPT_STATUS, doc_getc(was, "status"));

	if (status.n > 0)
		out_str_or_null(out_key(o, "status"), status);
	out_str_or_null(out_key(o, "statusReason"),
	    wished(a, OPT_STATUS_REASON, doc_getc(was, "statusReason")));
	if (a->option[OPT_EDGE] != NULL) {
		out_open(out_key(o, "capabilities"));
		out_bool(out_key(o, "iotEdge"), true);
		out_close(o);
	} else {
		put_same(o, "capabilities", was);
	}
	put_same(o, "deviceScope", was);
	put_same(o, "parentScopes", was);
}

/* The body of a PUT: what is there with what is wished for. was: DOC_NONE for a new identity. */
static void
identity_body(struct buf *json, const struct args *a, struct subject s, struct doc was)
{
	struct out o = out_to(json);

	out_open(&o);
	out_str_or_null(out_key(&o, "deviceId"), s.device);
	if (s.module.n > 0) {
		out_str_or_null(out_key(&o, "moduleId"), s.module);
		put_same(&o, "managedBy", was);
	} else {
		put_device_members(&o, a, was);
	}
	put_authentication(&o, a, was);
	out_close(&o);
}

/* Without keys: who wants them asks for them with `show` or `connection-string`. connection: a member more; empty: none. */
static void
show_without_keys(const struct args *a, struct doc d, struct str connection)
{
	struct doc_iter it = doc_iter(d), auth;
	struct buf out = { 0 };
	struct doc_writer dw;
	struct str key;
	struct doc v;

	doc_writer_init(&dw, &out, 0);
	doc_begin_object(&dw, 0);
	while (doc_next(&it, &key, &v)) {
		doc_key(&dw, key);
		if (!str_eq(key, STR("authentication")) || doc_kind(v) != DOC_OBJECT) {
			doc_put_copy(&dw, 0, v);
			continue;
		}
		doc_begin_object(&dw, 0);
		auth = doc_iter(v);
		while (doc_next(&auth, &key, &v)) {
			if (str_eq(key, STR("symmetricKey")))
				continue;
			doc_key(&dw, key);
			doc_put_copy(&dw, 0, v);
		}
		doc_end(&dw);
	}
	if (connection.n > 0) {
		doc_key(&dw, STR("connectionString"));
		doc_put_str(&dw, 0, connection);
	}
	doc_end(&dw);
	show_record(a, doc_of(buf_view(&out)));
	if (connection.n > 0)
		OPENSSL_cleanse(out.p, out.cap);
	buf_fini(&out);
}

/* For people: the rest is what every new one has. */
static void
show_few(const struct args *a, struct subject s, struct doc d, struct str connection)
{
	struct doc auth = doc_getc(d, "authentication"), status = doc_getc(d, "status");
	struct buf out = { 0 };
	struct doc_writer dw;

	doc_writer_init(&dw, &out, 0);
	doc_begin_object(&dw, 0);
	doc_key(&dw, STR("deviceId"));
	doc_put_str(&dw, 0, s.device);
	if (s.module.n > 0) {
		doc_key(&dw, STR("moduleId"));
		doc_put_str(&dw, 0, s.module);
	}
	if (doc_kind(status) == DOC_STRING) {
		doc_key(&dw, STR("status"));
		doc_put_copy(&dw, 0, status);
	}
	doc_key(&dw, STR("authenticationType"));
	doc_put_str(&dw, 0, doc_str(doc_getc(auth, "type")));
	doc_key(&dw, STR("connectionString"));
	doc_put_str(&dw, 0, connection);
	doc_end(&dw);
	show_record(a, doc_of(buf_view(&out)));
	OPENSSL_cleanse(out.p, out.cap);
	buf_fini(&out);
}

/* Of one that is new: what it is for is to connect. */
static void
show_new(const struct args *a, const struct target *t, struct subject s, struct doc d)
{
	struct doc keys = doc_getc(doc_getc(d, "authentication"), "symmetricKey");
	struct buf text = { 0 };

	subject_connection(&text, t->host, s, doc_str(doc_getc(keys, "primaryKey")));
	if (output_json(a))
		show_without_keys(a, d, buf_view(&text));
	else
		show_few(a, s, d, buf_view(&text));
	OPENSSL_cleanse(text.p, text.cap);
	buf_fini(&text);
}

static int
identity_put(const struct args *a, const struct target *t, struct subject s, struct doc was,
    const char *if_match)
{
	struct buf path = { 0 }, body = { 0 };
	struct answer answer = { 0 };
	int code;

	subject_path(&path, "/devices/", s, "");
	identity_body(&body, a, s, was);
	code = hub_call(t,
	    &(struct ask){
	        .method = PUT, .path = path.p, .body = buf_view(&body), .if_match = if_match },
	    &answer);
	if (code == EXIT_DONE && !doc_defined(was))
		show_new(a, t, s, doc_of(buf_view(&answer.doc)));
	else if (code == EXIT_DONE)
		show_without_keys(a, doc_of(buf_view(&answer.doc)), STR_NONE);
	answer_fini(&answer);
	buf_fini(&path);
	buf_fini(&body);
	return code;
}

int
cli_identity_create(const struct args *a)
{
	struct target t;
	struct subject s;
	int code;

	if (subject_of(a->operand[0], a->operand[1], &s) != EXIT_DONE ||
	    options_fit(a) != EXIT_DONE)
		return EXIT_USAGE;
	if ((a->option[OPT_PRIMARY_KEY] == NULL) != (a->option[OPT_SECONDARY_KEY] == NULL))
		return cli_fail(EXIT_USAGE, "--primary-key and --secondary-key go together");
	if (a->option[OPT_SECONDARY_THUMBPRINT] != NULL && a->option[OPT_THUMBPRINT] == NULL)
		return cli_fail(EXIT_USAGE, "--secondary-thumbprint needs --thumbprint");
	code = target_open(a, &t);
	if (code == EXIT_DONE)
		code = identity_put(a, &t, s, DOC_NONE, NULL);
	target_fini(&t);
	return code;
}

/* The change is made to what was read, and refused when somebody else was faster. */
static int
identity_change(const struct args *a, const struct target *t, struct subject s, struct doc was)
{
	struct doc etag = doc_getc(was, "etag");
	struct buf tag = { 0 };
	int code;

	if (doc_kind(was) != DOC_OBJECT || doc_kind(etag) != DOC_STRING)
		return cli_fail(EXIT_FAILED, "the hub's answer is no identity");
	if_match_of(&tag, wished(a, OPT_ETAG, etag));
	code = identity_put(a, t, s, was, tag.p);
	buf_fini(&tag);
	return code;
}

/* An --etag alone changes nothing. */
static bool
changes_any(const struct args *a)
{
	static const enum option changes[] = { OPT_PRIMARY_KEY, OPT_SECONDARY_KEY, OPT_THUMBPRINT,
		OPT_SECONDARY_THUMBPRINT, OPT_X509_CA, OPT_STATUS, OPT_STATUS_REASON };

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
		if (a->option[changes[i]] != NULL)
			return true;
	return false;
}

int
cli_identity_update(const struct args *a)
{
	struct answer answer = { 0 };
	struct buf path = { 0 };
	struct target t;
	struct subject s;
	int code;

	if (subject_of(a->operand[0], a->operand[1], &s) != EXIT_DONE ||
	    options_fit(a) != EXIT_DONE)
		return EXIT_USAGE;
	if (!changes_any(a))
		return cli_fail(EXIT_USAGE,
		    "nothing to change: give %skeys, thumbprints or --x509-ca",
		    s.module.n > 0 ? "" : "--status, --status-reason, ");
	subject_path(&path, "/devices/", s, "");
	code = target_open(a, &t);
	if (code != EXIT_DONE)
		goto done;
	if ((code = hub_call(&t, &(struct ask){ .method = GET, .path = path.p }, &answer)) !=
	    EXIT_DONE)
		goto done;
	code = identity_change(a, &t, s, doc_of(buf_view(&answer.doc)));
done:
	answer_fini(&answer);
	target_fini(&t);
	buf_fini(&path);
	return code;
}

int
cli_identity_show(const struct args *a)
{
	struct answer answer = { 0 };
	struct buf path = { 0 };
	struct subject s;
	int code;

	if (subject_of(a->operand[0], a->operand[1], &s) != EXIT_DONE)
		return EXIT_USAGE;
	subject_path(&path, "/devices/", s, "");
	code = hub_call_once(a, &(struct ask){ .method = GET, .path = path.p }, &answer);
	if (code == EXIT_DONE)
		show_record(a, doc_of(buf_view(&answer.doc)));
	answer_fini(&answer);
	buf_fini(&path);
	return code;
}

/* By query: the registry's own list ends at 1,000 and carries every key. */
int
cli_device_list(const struct args *a)
{
	struct args query = *a;
	struct buf text = { 0 };
	int code;

	buf_cstr(&text, "SELECT ");
	if (a->option[OPT_TOP] != NULL)
		buf_printf(&text, "TOP %llu ", (unsigned long long)a->number[OPT_TOP]);
	buf_cstr(&text, LIST_TEXT);
	if (a->option[OPT_LIST_WHERE] != NULL)
		buf_printf(&text, " WHERE %s", a->option[OPT_LIST_WHERE]);
	if (a->option[OPT_ORDER] != NULL)
		buf_printf(&text, " ORDER BY %s", a->option[OPT_ORDER]);
	buf_putc(&text, '\0');
	query.operand[0] = text.p;
	code = cli_query(&query);
	buf_fini(&text);
	return code;
}

int
cli_identity_delete(const struct args *a)
{
	struct answer answer = { 0 };
	struct buf path = { 0 }, tag = { 0 };
	struct subject s;
	int code;

	if (subject_of(a->operand[0], a->operand[1], &s) != EXIT_DONE)
		return EXIT_USAGE;
	subject_path(&path, "/devices/", s, "");
	if_match_of(&tag, str_of(a->option[OPT_ETAG]));
	code = hub_call_once(
	    a, &(struct ask){ .method = DELETE, .path = path.p, .if_match = tag.p }, &answer);
	if (code == EXIT_DONE && !output_json(a))
		printf("deleted %s%s%s\n", a->operand[0], s.module.n > 0 ? "/" : "",
		    s.module.n > 0 ? a->operand[1] : "");
	answer_fini(&answer);
	buf_fini(&path);
	buf_fini(&tag);
	return code;
}

/* ---- modules of one device: at most 50, so that the registry's list is whole ---- */

static void
put_module(struct doc_writer *dw, struct doc identity)
{
	static const char *const members[] = { "moduleId", "connectionState", "managedBy",
		"lastActivityTime" };

	doc_begin_object(dw, 0);
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		struct doc v = doc_get(identity, str_of(members[i]));

		doc_key(dw, str_of(members[i]));
		if (doc_defined(v))
			doc_put_copy(dw, 0, v);
		else
			doc_put_null(dw, 0);
	}
	doc_key(dw, STR("authenticationType"));
	doc_put_str(dw, 0, doc_str(doc_getc(doc_getc(identity, "authentication"), "type")));
	doc_end(dw);
}

static int
show_modules(const struct args *a, struct doc identities)
{
	struct doc_iter it = doc_iter(identities);
	struct buf rows = { 0 };
	struct doc_writer dw;
	struct str key;
	struct doc v;
	int code;

	doc_writer_init(&dw, &rows, 0);
	doc_begin_array(&dw, 0);
	while (doc_next(&it, &key, &v))
		put_module(&dw, v);
	doc_end(&dw);
	code = rows_show(a, doc_of(buf_view(&rows)));
	buf_fini(&rows);
	return code;
}

int
cli_module_list(const struct args *a)
{
	struct answer answer = { 0 };
	struct buf path = { 0 };
	struct subject s;
	int code;

	if (subject_of(a->operand[0], NULL, &s) != EXIT_DONE)
		return EXIT_USAGE;
	subject_path(&path, "/devices/", s, "/modules");
	code = hub_call_once(a, &(struct ask){ .method = GET, .path = path.p }, &answer);
	if (code == EXIT_DONE)
		code = show_modules(a, doc_of(buf_view(&answer.doc)));
	answer_fini(&answer);
	buf_fini(&path);
	return code;
}
