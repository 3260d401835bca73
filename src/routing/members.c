/* The members of a sink's body: which type has which, their kinds and bounds, what they are when they are left out (E-30, E-40 to E-46). */
#include "routing/priv.h"

#define W      BIT(TO_WEBHOOK)
#define F      BIT(TO_FILE)
#define K      BIT(TO_KAFKA)
#define BIT(t) (1u << (t))

enum member_kind { TEXT, BOOLEAN, INTEGER };

struct member {
	const char *name;
	unsigned types;
	enum member_kind kind;
	bool needed, secret;
	int64_t least, most; /* of texts: bytes */
	int64_t otherwise;   /* of booleans and integers */
	/* false: why says what is wrong */
	bool (*good)(struct str text, const char **why);
};

const char *const sink_type_names[SINK_TYPES] = { "builtin", "webhook", "file", "kafka" };

/* ---- texts ---- */

static bool
printable(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~')
			return false;
	return true;
}

/* "name", "name:443", "[::1]:443"; whether there is such a name is asked when it is called. */
static bool
authority_good(struct str s)
{
	const char *bracket = s.n > 0 && s.p[0] == '[' ? memchr(s.p, ']', s.n) : NULL;
	struct str host, port;
	uint64_t number = 443;
	bool named;

	if (s.n > 0 && s.p[0] == '[' && bracket == NULL)
		return false;
	host = (struct str){ s.p, bracket != NULL ? (size_t)(bracket + 1 - s.p) : 0 };
	while (bracket == NULL && host.n < s.n && s.p[host.n] != ':')
		host.n++;
	port = str_sub(s, host.n);
	named = port.n == 0 || (port.p[0] == ':' && str_u64(str_sub(port, 1), &number));
	return host.n > 0 && named && number > 0 && number <= UINT16_MAX;
}

static bool
url_good(struct str s, const char **why)
{
	struct str host = str_sub(s, str_starts(s, STR("https://")) ? 8 : 0);
	size_t n = 0;

	*why = "begins with https://, has a host, a port of 1 to 65535 if any, no user and no #, "
	       "and is of printable ASCII";
	while (n < host.n && !char_among(host.p[n], "/?"))
		n++;
	return host.n < s.n && printable(s) && authority_good((struct str){ host.p, n }) &&
	    memchr(host.p, '@', n) == NULL && memchr(s.p, '#', s.n) == NULL;
}

static bool
token_good(struct str s, const char **why)
{
	*why = "is of printable ASCII without blanks";
	return printable(s);
}

static struct str
secret_digits(struct str s)
{
	return str_starts(s, STR("whsec_")) ? str_sub(s, 6) : s;
}

static bool
secret_good(struct str s, const char **why)
{
	struct buf key = { 0 };
	bool good = base64_decode(&key, secret_digits(s)) && key.n >= 16 && key.n <= 128;

	*why = "is base64 of 16 to 128 bytes, perhaps with whsec_ before it";
	buf_fini(&key);
	return good;
}

static bool
pem_good(struct str s, const char **why)
{
	*why = "is PEM: -----BEGIN ...";
	return s.n > 11 && memmem(s.p, s.n, "-----BEGIN ", 11) != NULL;
}

static bool
name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	    char_among(c, "-._");
}

/* Numbers behind the last point are those of older files. */
static bool
looks_rotated(struct str name)
{
	size_t i = name.n;

	while (i > 0 && name.p[i - 1] >= '0' && name.p[i - 1] <= '9')
		i--;
	return i < name.n && i > 0 && name.p[i - 1] == '.';
}

static bool
path_good(struct str s, const char **why)
{
	struct str part = s;
	unsigned nparts = 0;
	bool more = true;

	*why = "has 1 to 8 parts of 1 to 128 characters A-Z a-z 0-9 - . _, none of them . or .., "
	       "and does not end with a point and digits";
	while (more) {
		more = str_cut(s, '/', &part, &s);
		if (++nparts > 8 || part.n == 0 || part.n > 128 || id_is_dots(part))
			return false;
		for (size_t i = 0; i < part.n; i++)
			if (!name_char(part.p[i]))
				return false;
	}
	return !looks_rotated(part);
}

static bool
mechanism_good(struct str s, const char **why)
{
	*why = "is PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512";
	return str_eq(s, STR("PLAIN")) || str_eq(s, STR("SCRAM-SHA-256")) ||
	    str_eq(s, STR("SCRAM-SHA-512"));
}

static bool
topic_good(struct str s, const char **why)
{
	*why = "has 1 to 249 characters A-Z a-z 0-9 - . _, and is not . or ..";
	for (size_t i = 0; i < s.n; i++)
		if (!name_char(s.p[i]))
			return false;
	return !id_is_dots(s);
}

/* ---- the table ---- */

#define KB 1024
#define GB (INT64_C(1) << 30)

/* clang-format off */
static const struct member members[] = {
	{ "enabled",           W | F | K, BOOLEAN, .otherwise = true },
	{ "batchEvents",       W | F | K, INTEGER, .least = 1, .most = 500, .otherwise = 100 },
	{ "url",               W,     TEXT, .needed = true, .least = 1, .most = 2048, .good = url_good },
	{ "timeoutSeconds",    W,     INTEGER, .least = 1, .most = 120, .otherwise = 30 },
	{ "handshake",         W,     BOOLEAN, .otherwise = true },
	{ "secret",            W,     TEXT, .secret = true, .least = 1, .most = 256, .good = secret_good },
	{ "token",             W,     TEXT, .secret = true, .least = 1, .most = 4 * KB, .good = token_good },
	{ "clientCertificate", W,     TEXT, .least = 1, .most = 64 * KB, .good = pem_good },
	{ "clientKey",         W,     TEXT, .secret = true, .least = 1, .most = 16 * KB, .good = pem_good },
	{ "ca",                W | K, TEXT, .least = 1, .most = 64 * KB, .good = pem_good },
	{ "path",              F,     TEXT, .needed = true, .least = 1, .most = KB, .good = path_good },
	{ "maxBytes",          F,     INTEGER, .least = 64 * KB, .most = 4 * GB, .otherwise = 64 * KB * KB },
	{ "files",             F,     INTEGER, .least = 1, .most = 100, .otherwise = 10 },
	{ "brokers",           K,     TEXT, .needed = true, .least = 1, .most = KB, .good = token_good },
	{ "topic",             K,     TEXT, .needed = true, .least = 1, .most = 249, .good = topic_good },
	{ "tls",               K,     BOOLEAN, .otherwise = true },
	{ "mechanism",         K,     TEXT, .least = 1, .most = 64, .good = mechanism_good },
	{ "username",          K,     TEXT, .least = 1, .most = 256 },
	{ "password",          K,     TEXT, .secret = true, .least = 1, .most = KB },
};
/* What answers show, and requests may bring along: it is not looked at. */
static const char *const shown[] = { "id", "kind", "from", "etag", "createdTime", "lastUpdatedTime", "status" };
/* clang-format on */

#define NMEMBER (sizeof(members) / sizeof(members[0]))
#define HIDDEN  "***"

static const struct member *
member_find(struct str name)
{
	for (size_t i = 0; i < NMEMBER; i++)
		if (str_eq(name, str_of(members[i].name)))
			return &members[i];
	return NULL;
}

static bool
is_shown(struct str name)
{
	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
		if (str_eq(name, str_of(shown[i])))
			return true;
	return false;
}

/* Everything that is given is known, and of this type. */
static enum err
check_names(struct doc body, enum sink_type type, struct fault *f)
{
	struct doc_iter it = doc_iter(body);
	struct str name;
	struct doc v;

	while (doc_next(&it, &name, &v)) {
		const struct member *m = member_find(name);

		if (m == NULL && !is_shown(name))
			return fault_set(
			    f, F_ArgumentInvalid, "a sink has no member " STR_FMT, STR_ARG(name));
		if (m != NULL && !(m->types & BIT(type)))
			return fault_set(f, F_ArgumentInvalid, "a sink of kind %s has no member %s",
			    sink_type_names[type], m->name);
	}
	return ERR_OK;
}

/* ---- one member ---- */

static enum err
check_text(const struct member *m, struct doc v, struct fault *f)
{
	struct str s = doc_text(v);
	const char *why = "";

	if (doc_kind(v) != DOC_STRING)
		return fault_set(f, F_ArgumentInvalid, "%s is not a string", m->name);
	if ((int64_t)s.n < m->least || (int64_t)s.n > m->most)
		return fault_set(f, F_ArgumentInvalid, "%s has %zu bytes, not %lld to %lld",
		    m->name, s.n, (long long)m->least, (long long)m->most);
	if (memchr(s.p, '\0', s.n) != NULL)
		return fault_set(f, F_ArgumentInvalid, "%s has a NUL in it", m->name);
	if (m->good != NULL && !m->good(s, &why))
		return fault_set(
		    f, F_ArgumentInvalid, "%s is not as it should be: it %s", m->name, why);
	return ERR_OK;
}

static enum err
check_value(const struct member *m, struct doc v, struct fault *f)
{
	if (m->kind == TEXT)
		return check_text(m, v, f);
	if (m->kind == BOOLEAN && doc_kind(v) != DOC_TRUE && doc_kind(v) != DOC_FALSE)
		return fault_set(f, F_ArgumentInvalid, "%s is not true or false", m->name);
	if (m->kind == INTEGER && doc_kind(v) != DOC_INT)
		return fault_set(f, F_ArgumentInvalid, "%s is not an integer", m->name);
	if (m->kind == INTEGER && (doc_int(v) < m->least || doc_int(v) > m->most))
		return fault_set(f, F_ArgumentInvalid, "%s is %lld, not %lld to %lld", m->name,
		    (long long)doc_int(v), (long long)m->least, (long long)m->most);
	return ERR_OK;
}

/* What is to be kept of a member; DOC_NONE: it is left out. */
static struct doc
kept_value(const struct member *m, struct doc body, const struct sink_def *old)
{
	struct doc v = doc_get(body, str_of(m->name));

	if (m->secret && old != NULL && (!doc_defined(v) || str_eq(doc_text(v), STR(HIDDEN))))
		return doc_get(old->body, str_of(m->name));
	return doc_kind(v) == DOC_NULL ? DOC_NONE : v;
}

static enum err
put_member(struct doc_writer *dw, const struct member *m, struct doc v, struct fault *f)
{
	if (!doc_defined(v) && m->needed)
		return fault_set(f, F_ArgumentInvalid, "%s is missing", m->name);
	if (!doc_defined(v) && m->kind == TEXT)
		return ERR_OK;
	if (doc_defined(v) && check_value(m, v, f) != ERR_OK)
		return ERR_ARG;
	doc_key(dw, str_of(m->name));
	if (doc_defined(v))
		doc_put_copy(dw, 0, v);
	else if (m->kind == BOOLEAN)
		doc_put_bool(dw, 0, m->otherwise != 0);
	else
		doc_put_int(dw, 0, m->otherwise);
	return ERR_OK;
}

/* ---- the body ---- */

static enum err
type_of(struct doc body, const struct sink_def *old, enum sink_type *out, struct fault *f)
{
	struct doc kind = doc_getc(body, "kind");

	if (!doc_defined(kind) && old != NULL) {
		*out = old->type;
		return ERR_OK;
	}
	for (int t = TO_WEBHOOK; t < SINK_TYPES; t++) {
		if (!str_eq(doc_text(kind), str_of(sink_type_names[t])))
			continue;
		*out = (enum sink_type)t;
		if (old == NULL || old->type == *out)
			return ERR_OK;
		return fault_set(f, F_ArgumentInvalid, "kind cannot be changed: it is %s",
		    sink_type_names[old->type]);
	}
	return fault_set(f, F_ArgumentInvalid, "kind is not webhook, file or kafka");
}

/* Members that are nothing without each other. */
static enum err
check_pairs(struct doc body, struct fault *f)
{
	static const char *const pairs[][2] = { { "clientKey", "clientCertificate" },
		{ "clientCertificate", "clientKey" }, { "password", "username" },
		{ "username", "password" }, { "mechanism", "username" } };

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		if (doc_defined(doc_get(body, str_of(pairs[i][0]))) &&
		    !doc_defined(doc_get(body, str_of(pairs[i][1]))))
			return fault_set(f, F_ArgumentInvalid, "%s is nothing without %s",
			    pairs[i][0], pairs[i][1]);
	return ERR_OK;
}

enum err
sink_body_put(struct buf *out, struct doc body, const struct sink_def *old, enum sink_type *type,
    struct fault *f)
{
	size_t start = out->n;
	struct doc_writer dw;
	enum err e = ERR_OK;

	if (doc_kind(body) != DOC_OBJECT)
		return fault_set(f, F_ArgumentInvalid, "the body is not a JSON object");
	if (type_of(body, old, type, f) != ERR_OK || check_names(body, *type, f) != ERR_OK)
		return ERR_ARG;
	doc_writer_init(&dw, out, 0);
	doc_begin_object(&dw, 0);
	doc_key(&dw, STR("kind"));
	doc_put_str(&dw, 0, str_of(sink_type_names[*type]));
	for (size_t i = 0; e == ERR_OK && i < NMEMBER; i++)
		if (members[i].types & BIT(*type))
			e = put_member(&dw, &members[i], kept_value(&members[i], body, old), f);
	doc_end(&dw);
	return e == ERR_OK ? check_pairs(doc_of(str_sub(buf_view(out), start)), f) : e;
}

bool
sink_body_whole(struct doc body, enum sink_type type)
{
	for (size_t i = 0; i < NMEMBER; i++) {
		const struct member *m = &members[i];
		struct doc v = doc_get(body, str_of(m->name));

		if (!(m->types & BIT(type)))
			continue;
		if (doc_defined(v) ? check_value(m, v, NULL) != ERR_OK
		                   : m->needed || m->kind != TEXT)
			return false;
	}
	return true;
}

void
sink_body_show(struct out *o, const struct sink_def *d)
{
	for (size_t i = 0; i < NMEMBER; i++) {
		struct doc v = doc_get(d->body, str_of(members[i].name));

		if (!doc_defined(v))
			continue;
		out_key(o, members[i].name);
		if (members[i].secret)
			out_cstr(o, HIDDEN);
		else
			out_doc(o, v);
	}
}

/* ---- for who sends ---- */

struct str
sink_text(const struct sink_def *d, const char *name)
{
	return doc_text(doc_get(d->body, str_of(name)));
}

bool
sink_bool(const struct sink_def *d, const char *name)
{
	return doc_kind(doc_get(d->body, str_of(name))) == DOC_TRUE;
}

int64_t
sink_int(const struct sink_def *d, const char *name)
{
	struct doc v = doc_get(d->body, str_of(name));

	return doc_kind(v) == DOC_INT ? doc_int(v) : 0;
}

void
sink_secret(const struct sink_def *d, struct buf *out)
{
	(void)base64_decode(out, secret_digits(sink_text(d, "secret")));
}
