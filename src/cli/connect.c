/* connection-string, sas: what clients sign in with. */
#include "cli/priv.h"

#include <openssl/crypto.h>
#include <stdio.h>

#define OWNER      "iothubowner"
#define HTTPS_PORT 443
#define MQTTS_PORT 8883

/* Who signs in, and with what. */
struct signer {
	char host[HOST_MAX];
	uint16_t https_port, mqtts_port;
	struct str policy;                    /* empty: the subject signs in */
	struct subject subject;               /* its device is empty: the policy signs in */
	char key[KEY_TEXT_MAX];               /* empty: the subject has a certificate */
	char own_policy[POLICY_NAME_MAX + 1]; /* of a connection string */
};

/* A hub takes tokens for its own names only. */
static bool
is_name_of(const struct endpoint *e, struct str name)
{
	struct str rest = str_of(e->names), one;

	while (rest.n > 0) {
		str_cut(rest, ' ', &one, &rest);
		if (str_ieq(one, name))
			return true;
	}
	return e->names[0] == '\0'; /* a former program has not said */
}

/* HOST of HOST, or of HOST/devices/... */
static struct str
host_of_resource(const struct args *a)
{
	struct str host, rest;

	str_cut(str_of(a->option[OPT_RESOURCE]), '/', &host, &rest);
	return host;
}

static void
hostname_warn(const struct args *a, const struct endpoint *e)
{
	char text[WHY_MAX];

	if (is_name_of(e, str_of(a->option[OPT_HOSTNAME])))
		return;
	snprintf(text, sizeof(text),
	    "the hub does not know the name %.200s and refuses who comes with it: serve it with "
	    "--hostname",
	    a->option[OPT_HOSTNAME]);
	cli_warn(text);
}

static void
resource_warn(const struct args *a, const struct endpoint *e)
{
	char text[WHY_MAX];

	if (is_name_of(e, host_of_resource(a)))
		return;
	snprintf(text, sizeof(text),
	    "the hub refuses tokens for '%.200s': a resource begins with its name, as %.100s or "
	    "%.100s/devices/ID",
	    a->option[OPT_RESOURCE], e->host, e->host);
	cli_warn(text);
}

static bool
host_is(struct signer *s, const char *name)
{
	return snprintf(s->host, sizeof(s->host), "%s", name) < (int)sizeof(s->host);
}

static int
find_host(const struct args *a, const char *dir, struct signer *s)
{
	const char *name = a->option[OPT_HOSTNAME];
	struct endpoint e;
	enum err err = endpoint_read(dir, &e);

	if (name == NULL && err == ERR_CORRUPT)
		return cli_fail(EXIT_DAMAGED, "%s/endpoint.json is damaged", dir);
	if (name == NULL && err != ERR_OK)
		return cli_fail(EXIT_NOT_FOUND,
		    "no hub has been started on %s yet: its name is unknown; give --hostname NAME",
		    dir);
	if (!host_is(s, name != NULL ? name : e.host))
		return cli_fail(EXIT_USAGE, "--hostname is too long");
	if (err == ERR_OK && name != NULL)
		hostname_warn(a, &e);
	if (err == ERR_OK && a->option[OPT_RESOURCE] != NULL)
		resource_warn(a, &e);
	s->https_port = err == ERR_OK ? e.https_port : HTTPS_PORT;
	s->mqtts_port = err == ERR_OK ? e.mqtts_port : MQTTS_PORT;
	return EXIT_DONE;
}

/* ---- a device's or module's key: from the hub if one runs, else from the store ---- */

static enum err
identity_from_hub(
    const struct args *a, const char *dir, struct subject s, struct answer *out, char *why)
{
	struct target t = { .timeout_s = 10 };
	struct buf path = { 0 };
	struct endpoint known;
	enum err e = ERR_IO;

	snprintf(why, WHY_MAX, "no hub has been started on %s yet", dir);
	subject_path(&path, "/devices/", s, "");
	if (endpoint_read(dir, &known) == ERR_OK && target_of_data(a, dir, &t) == EXIT_DONE)
		e = https_call(&t, &(struct ask){ .method = GET, .path = path.p }, out, why);
	target_fini(&t);
	buf_fini(&path);
	return e;
}

static int
identity_find(const struct args *a, const char *dir, struct subject s, struct answer *out)
{
	char why[WHY_MAX];
	struct fault f = { 0 };
	enum err e;

	if (identity_from_hub(a, dir, s, out, why) == ERR_OK) {
		if (out->status == 200)
			return EXIT_DONE;
		return out->status == 404
		    ? cli_fail(EXIT_NOT_FOUND, "there is no '" STR_FMT "%s" STR_FMT "'",
		          STR_ARG(s.device), s.module.n > 0 ? "/" : "", STR_ARG(s.module))
		    : cli_fail(EXIT_FAILED, "the hub answered with status %d", out->status);
	}
	out->body.n = 0;
	e = identity_from_store(dir, s, &out->body, &f);
	if (e == ERR_LOCKED)
		return cli_fail(EXIT_UNREACHABLE, "%s", why);
	return e == ERR_OK ? EXIT_DONE : cli_fail(exit_of(e), "%s", f.text);
}

/* Empty: it has a certificate instead. */
static int
subject_key_of(struct answer *answer, bool primary, char out[KEY_TEXT_MAX])
{
	struct doc auth, key;

	if (!answer_parse(answer))
		return cli_fail(EXIT_FAILED, "the hub's answer is not JSON");
	auth = doc_getc(doc_of(buf_view(&answer->doc)), "authentication");
	key = doc_get(
	    doc_getc(auth, "symmetricKey"), primary ? STR("primaryKey") : STR("secondaryKey"));
	snprintf(out, KEY_TEXT_MAX, STR_FMT, STR_ARG(doc_str(key)));
	return EXIT_DONE;
}

static int
sign_here(const struct args *a, bool primary, struct signer *s)
{
	struct answer answer = { 0 };
	const char *dir;
	int code;

	if ((code = data_open(a, &dir)) != EXIT_DONE || (code = find_host(a, dir, s)) != EXIT_DONE)
		return code;
	if (s->subject.device.n == 0) {
		if (s->policy.n == 0)
			s->policy = STR(OWNER);
		return policy_key(dir, s->policy, primary, s->key);
	}
	code = identity_find(a, dir, s->subject, &answer);
	if (code == EXIT_DONE)
		code = subject_key_of(&answer, primary, s->key);
	answer_fini(&answer);
	return code;
}

/* ---- of a hub elsewhere: by a policy that may read keys ---- */

static int
policy_key_of(const struct target *t, struct signer *s, bool primary)
{
	struct answer answer = { 0 };
	struct buf path = { 0 };
	struct doc d;
	int code;

	path_of(&path, "/admin/policies/", s->policy);
	code = hub_call(t, &(struct ask){ .method = GET, .path = path.p }, &answer);
	if (code == EXIT_DONE) {
		d = doc_get(doc_of(buf_view(&answer.doc)),
		    primary ? STR("primaryKey") : STR("secondaryKey"));
		snprintf(s->key, sizeof(s->key), STR_FMT, STR_ARG(doc_str(d)));
	}
	answer_fini(&answer);
	buf_fini(&path);
	return code;
}

static int
subject_key_there(const struct target *t, struct signer *s, bool primary)
{
	struct answer answer = { 0 };
	struct buf path = { 0 };
	int code;

	subject_path(&path, "/devices/", s->subject, "");
	code = hub_call(t, &(struct ask){ .method = GET, .path = path.p }, &answer);
	if (code == EXIT_DONE)
		code = subject_key_of(&answer, primary, s->key);
	answer_fini(&answer);
	buf_fini(&path);
	return code;
}

/* All that is known of a hub elsewhere is the name that the connection string has. */
static void
other_name_warn(struct str name, const struct target *t)
{
	char text[WHY_MAX];

	if (str_ieq(name, str_of(t->host)))
		return;
	snprintf(text, sizeof(text),
	    "the connection string has HostName=%.200s: the hub refuses what is for '" STR_FMT
	    "', unless it is served as that, too",
	    t->host, STR_ARG(name));
	cli_warn(text);
}

/* Without --policy: the one that asks. */
static int
sign_there(const struct args *a, bool primary, struct signer *s)
{
	const char *name = a->option[OPT_HOSTNAME];
	struct target t = { 0 };
	int code = target_open(a, &t);

	if (code != EXIT_DONE)
		goto done;
	if (!host_is(s, name != NULL ? name : t.host))
		code = cli_fail(EXIT_USAGE, "--hostname is too long");
	if (code == EXIT_DONE && name != NULL)
		other_name_warn(str_of(name), &t);
	if (code == EXIT_DONE && a->option[OPT_RESOURCE] != NULL)
		other_name_warn(host_of_resource(a), &t);
	s->https_port = t.port;
	s->mqtts_port = MQTTS_PORT; /* which one it is, a hub elsewhere does not say */
	snprintf(s->own_policy, sizeof(s->own_policy), "%s", t.policy);
	if (s->policy.n == 0)
		s->policy = str_of(s->own_policy);
	if (code == EXIT_DONE)
		code = s->subject.device.n > 0 ? subject_key_there(&t, s, primary)
		                               : policy_key_of(&t, s, primary);
	if (s->subject.device.n > 0)
		s->policy = STR_NONE;
done:
	target_fini(&t);
	return code;
}

static int
signer_find(const struct args *a, struct signer *s)
{
	bool primary = a->number[OPT_KEY] == KEY_PRIMARY;
	const char *text;

	*s = (struct signer){ 0 };
	if (a->option[OPT_DEVICE] != NULL && a->option[OPT_POLICY] != NULL)
		return cli_fail(EXIT_USAGE, "--policy and --device are both given");
	if (a->option[OPT_DEVICE] != NULL &&
	    subject_of(a->option[OPT_DEVICE], a->option[OPT_MODULE], &s->subject) != EXIT_DONE)
		return EXIT_USAGE;
	if (a->option[OPT_DEVICE] == NULL && a->option[OPT_MODULE] != NULL)
		return cli_fail(EXIT_USAGE, "--module needs --device");
	s->policy = str_of(a->option[OPT_POLICY]);
	if (connection_named(a, &text) != EXIT_DONE)
		return EXIT_USAGE;
	return text != NULL ? sign_there(a, primary, s) : sign_here(a, primary, s);
}

/* ---- the commands ---- */

/* The SDKs dial the ports of Azure and can be told no others. */
static void
ports_warn(const struct signer *s)
{
	if (s->subject.device.n == 0 && s->https_port != HTTPS_PORT)
		cli_warn("HTTPS is not on port 443: twinhub's own commands take this, service SDKs "
		         "dial 443 whatever it says");
	if (s->subject.device.n > 0 && s->mqtts_port != MQTTS_PORT)
		cli_warn("MQTT is not on port 8883, and device SDKs dial no other one");
}

static void
policy_connection(struct buf *out, const struct signer *s)
{
	buf_printf(out, "HostName=%s", s->host);
	if (s->https_port != HTTPS_PORT)
		buf_printf(out, ":%u", s->https_port);
	buf_printf(
	    out, ";SharedAccessKeyName=" STR_FMT ";SharedAccessKey=%s", STR_ARG(s->policy), s->key);
}

void
subject_connection(struct buf *out, const char *host, struct subject s, struct str key)
{
	buf_printf(out, "HostName=%s;DeviceId=" STR_FMT, host, STR_ARG(s.device));
	if (s.module.n > 0)
		buf_printf(out, ";ModuleId=" STR_FMT, STR_ARG(s.module));
	if (key.n > 0)
		buf_printf(out, ";SharedAccessKey=" STR_FMT, STR_ARG(key));
	else
		buf_cstr(out, ";x509=true");
}

int
cli_connection_string(const struct args *a)
{
	struct buf text = { 0 };
	struct signer s;
	int code = signer_find(a, &s);

	if (code != EXIT_DONE)
		goto done;
	ports_warn(&s);
	if (s.subject.device.n > 0)
		subject_connection(&text, s.host, s.subject, str_of(s.key));
	else
		policy_connection(&text, &s);
	printf(STR_FMT "\n", STR_ARG(buf_view(&text)));
done:
	if (text.p != NULL)
		OPENSSL_cleanse(text.p, text.cap);
	buf_fini(&text);
	OPENSSL_cleanse(&s, sizeof(s));
	return code;
}

static int
token_print(const struct args *a, const struct signer *s, uint64_t ttl_s)
{
	struct sas_mac *mac = sas_mac_new();
	struct buf resource = { 0 }, token = { 0 };
	int code = EXIT_DONE;

	if (a->option[OPT_RESOURCE] != NULL)
		buf_cstr(&resource, a->option[OPT_RESOURCE]);
	else
		buf_printf(&resource, "%s%s" STR_FMT "%s" STR_FMT, s->host,
		    s->subject.device.n > 0 ? "/devices/" : "", STR_ARG(s->subject.device),
		    s->subject.module.n > 0 ? "/modules/" : "", STR_ARG(s->subject.module));
	if (s->key[0] == '\0')
		code = cli_fail(EXIT_FAILED, "'" STR_FMT "%s" STR_FMT "' signs in by certificate",
		    STR_ARG(s->subject.device), s->subject.module.n > 0 ? "/" : "",
		    STR_ARG(s->subject.module));
	else if (sas_make(mac, &token, buf_view(&resource), str_of(s->key),
	             clock_wall_us() / 1000000 + (int64_t)ttl_s, s->policy) != ERR_OK)
		code = cli_fail(EXIT_DAMAGED, "the key is not base64");
	else
		printf(STR_FMT "\n", STR_ARG(buf_view(&token)));
	buf_fini(&resource);
	buf_fini(&token);
	sas_mac_free(mac);
	return code;
}

int
cli_sas(const struct args *a)
{
	struct signer s;
	int code = signer_find(a, &s);

	if (code == EXIT_DONE)
		code = token_print(a, &s, a->number[OPT_TTL]);
	OPENSSL_cleanse(&s, sizeof(s));
	return code;
}
