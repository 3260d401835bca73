/*
 * Certificates of our own making: what a first start needs before anybody has brought better ones. A CA, to be
 * given to devices and back ends, and two server certificates, which are replaced before they expire. Who judges their
 * days has no clock but now_us: if that was wrong, what is made anew with the right one is what was made with the wrong one.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/certs.h"
#include "net/tls.h"
#include "os/os.h"

/* ---- reading ---- */

static X509 *
read_cert(const char *path)
{
	BIO *in = BIO_new_file(path, "r");
	X509 *x = in ? PEM_read_bio_X509(in, NULL, NULL, NULL) : NULL;

	BIO_free(in);
	ERR_clear_error();
	return x;
}

static EVP_PKEY *
read_key(const char *path)
{
	BIO *in = BIO_new_file(path, "r");
	EVP_PKEY *k = in ? PEM_read_bio_PrivateKey(in, NULL, NULL, "") : NULL;

	BIO_free(in);
	ERR_clear_error();
	return k;
}

void
cert_pair_read(const struct cert_paths *p, struct issued *out)
{
	*out = (struct issued){ read_cert(p->cert), read_key(p->key) };
}

/* ---- writing ---- */

static enum err
write_pem(const char *path, X509 *cert, EVP_PKEY *key, char why[NET_WHY_MAX])
{
	BIO *pem = BIO_new(BIO_s_secmem());
	struct fault f = { 0 };
	char *bytes = NULL;
	long n = 0;
	enum err e = ERR_IO;

	if (pem != NULL &&
	    (key ? PEM_write_bio_PKCS8PrivateKey(pem, key, NULL, NULL, 0, NULL, NULL)
	         : PEM_write_bio_X509(pem, cert)) == 1)
		n = BIO_get_mem_data(pem, &bytes);
	if (n <= 0)
		why_ssl(why, "cannot be written", path);
	else if ((e = os_replace_file(
	              path, (struct str){ bytes, (size_t)n }, key ? 0600 : 0644, &f)) != ERR_OK)
		why_set(why, "%.250s", f.text);
	BIO_free(pem);
	return e;
}

/* Neither is replaced while one of them finds no room: a certificate without its key is worse than none, and than the old one. */
enum err
cert_pair_write(const struct cert_paths *p, const struct issued *c, char why[NET_WHY_MAX])
{
	char next[CERT_PATH_MAX + 8];
	struct fault f = { 0 };
	enum err e;

	snprintf(next, sizeof next, "%s.next", p->cert);
	if ((e = write_pem(next, c->cert, NULL, why)) != ERR_OK)
		return e;
	e = write_pem(p->key, NULL, c->key, why);
	if (e != ERR_OK && e != ERR_UNSYNCED)
		unlink(next);
	else if ((e = os_rename(next, p->cert, &f)) != ERR_OK)
		why_set(why, "%.250s", f.text);
	return e;
}

/* ---- the three certificates ---- */

static void
paths_of(const char *dir, const char *name, struct cert_paths *p)
{
	snprintf(p->cert, sizeof p->cert, "%s/%s.pem", dir, name);
	snprintf(p->key, sizeof p->key, "%s/%s.key", dir, name);
}

void
issued_fini(struct issued *c)
{
	X509_free(c->cert);
	EVP_PKEY_free(c->key);
	*c = (struct issued){ NULL, NULL };
}

static bool
is_signed_with(EVP_PKEY *key, X509 *cert)
{
	static const unsigned char text[] = "twinhub";
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char sig[1024];
	size_t n = sizeof sig;
	bool ok = ctx != NULL && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
	    EVP_DigestSign(ctx, sig, &n, text, sizeof text) == 1 && EVP_MD_CTX_reset(ctx) == 1 &&
	    EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, X509_get0_pubkey(cert)) == 1 &&
	    EVP_DigestVerify(ctx, sig, n, text, sizeof text) == 1;

	EVP_MD_CTX_free(ctx);
	return ok;
}

/* A key has a copy of its public half, which may be good when it is not. */
bool
cert_pair_works(const struct issued *c)
{
	bool ok = c->cert && c->key && X509_check_private_key(c->cert, c->key) == 1 &&
	    is_signed_with(c->key, c->cert);

	ERR_clear_error();
	return ok;
}

static enum cert_days
days_of(const X509 *x, int64_t now_us)
{
	struct cert_life life = cert_life_of(x);

	return cert_days_of(&life, now_us);
}

static void
log_anew(enum log_level level, const char *msg, const char *path, const char *why)
{
	log_pairs(level, msg,
	    (const struct log_pair[]){
	        { "file", str_of(path) }, { "why", str_of(why) }, { NULL, STR_NONE } });
}

/* A hub serves for reading without room, and with what it has: a later look, once an hour, makes it anew. */
static bool
disk_takes_none(enum err e)
{
	return e == ERR_FULL || e == ERR_IO;
}

/* NULL: it may stay. One that somebody else has made may stay whatever it is. */
static const char *
ca_why_anew(const struct issued *ca, int64_t now_us)
{
	enum cert_days days = days_of(ca->cert, now_us);

	if ((days != CERT_ENDED && days != CERT_EARLY) || !cert_is_local_ca(ca->cert))
		return NULL;
	return days == CERT_ENDED ? "it had ended" : "it was not valid yet";
}

/* With its key and name: whatever it has signed stays good, and so do clients' copies whose days are. */
static enum err
renew_ca(const struct cert_paths *p, int64_t now_us, struct issued *ca, bool *changed,
    char why[NET_WHY_MAX])
{
	const char *anew = ca_why_anew(ca, now_us);
	struct issued fresh;
	enum err e;

	if (!cert_make_ca(now_us, ca->key, &fresh)) {
		why_ssl(why, "cannot be made anew", p->cert);
		return ERR_IO;
	}
	issued_fini(ca);
	*ca = fresh;
	e = write_pem(p->cert, ca->cert, NULL, why);
	if (disk_takes_none(e)) {
		log_anew(LOG_WARN, "the local CA should be made anew, and cannot be", p->cert, why);
		return ERR_OK;
	}
	if (e != ERR_OK && e != ERR_UNSYNCED)
		return e;
	*changed = true;
	log_anew(LOG_WARN, "the local CA was made anew with its key: give it to all clients",
	    p->cert, anew);
	return ERR_OK;
}

static enum err
why_not(const char *path, const char *what, char why[NET_WHY_MAX])
{
	bool missing = access(path, F_OK) != 0 && errno == ENOENT;

	why_set(why, "%.200s is %s", path, missing ? "missing" : what);
	return missing ? ERR_NOT_FOUND : ERR_CORRUPT;
}

/* out: to be freed, also on an error. */
static enum err
read_pair(const struct cert_paths *p, struct issued *out, char why[NET_WHY_MAX])
{
	cert_pair_read(p, out);
	if (out->cert == NULL)
		return why_not(p->cert, "no certificate in PEM", why);
	if (out->key == NULL)
		return why_not(p->key, "no key in PEM", why);
	return cert_pair_works(out) ? ERR_OK
	                            : why_not(p->key, "not its certificate's, or damaged", why);
}

/*
 * Of ours, its own key has signed every bit. A bit of either name may be the damage, so one that has ours, or is its own issuer, is asked;
 * one that somebody else has issued is theirs to judge.
 */
static bool
ca_is_whole(const struct issued *ca)
{
	bool own = cert_names_local_ca(ca->cert) ||
	    X509_NAME_cmp(X509_get_subject_name(ca->cert), X509_get_issuer_name(ca->cert)) == 0;
	bool whole = !own || X509_verify(ca->cert, ca->key) == 1;

	ERR_clear_error();
	return whole;
}

static enum err
read_ca(const struct cert_paths *p, struct issued *out, char why[NET_WHY_MAX])
{
	enum err e = read_pair(p, out, why);

	if (e == ERR_OK && !ca_is_whole(out))
		e = why_not(p->cert, "damaged: it is not what its key has signed", why);
	return e;
}

static enum err
make_ca(const struct cert_paths *p, int64_t now_us, struct issued *out, char why[NET_WHY_MAX])
{
	if (cert_make_ca(now_us, NULL, out))
		return cert_pair_write(p, out, why);
	why_ssl(why, "cannot be made", "the local CA");
	return ERR_IO;
}

/* Read the CA, or make it if this is the first time. */
static enum err
ensure_ca(const struct cert_paths *p, int64_t now_us, bool first, struct issued *ca, bool *changed,
    char why[NET_WHY_MAX])
{
	enum err e;

	if (first && access(p->cert, F_OK) != 0) {
		e = make_ca(p, now_us, ca, why);
		*changed |= e == ERR_OK;
		return e;
	}
	if ((e = read_ca(p, ca, why)) != ERR_OK)
		return e;
	if (ca_why_anew(ca, now_us) == NULL)
		return ERR_OK;
	return renew_ca(p, now_us, ca, changed, why);
}

static bool
name_fits(X509 *x, const char *name)
{
	char host[256];

	if (cert_is_ip(name))
		return X509_check_ip_asc(x, name, 0) == 1;
	/* A wildcard is asked for by a host that it covers. */
	snprintf(host, sizeof host, "%s%s", name[0] == '*' ? "host" : "",
	    name[0] == '*' ? name + 1 : name);
	return X509_check_host(x, host, 0, 0, NULL) == 1;
}

static bool
names_fit(X509 *x, const char *const *names, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (!name_fits(x, names[i]))
			return false;
	return true;
}

/* NULL: it may stay. */
static const char *
why_anew(const struct cert_paths *p, const struct issued *ca, const struct leaf_request *rq)
{
	struct issued c;
	const char *why = NULL;

	cert_pair_read(p, &c);
	if (!cert_pair_works(&c))
		why = "there is no certificate with its key";
	else if (X509_verify(c.cert, X509_get0_pubkey(ca->cert)) != 1)
		why = "it is not from the local CA";
	else if (!names_fit(c.cert, rq->names, rq->nname))
		why = "a name of the hub is not in it";
	else if (days_of(c.cert, rq->now_us) == CERT_EARLY)
		why = "it was not valid yet";
	else if (days_of(c.cert, rq->now_us) != CERT_GOOD)
		why = "it had ended, or would end soon";
	ERR_clear_error();
	issued_fini(&c);
	return why;
}

static bool
is_usable(const struct cert_paths *p)
{
	struct issued c;
	bool usable;

	cert_pair_read(p, &c);
	usable = cert_pair_works(&c);
	issued_fini(&c);
	return usable;
}

static enum err
ensure_leaf(const struct cert_paths *p, const struct issued *ca, const struct leaf_request *rq,
    bool *changed, char why[NET_WHY_MAX])
{
	const char *anew = why_anew(p, ca, rq);
	bool there = access(p->cert, F_OK) == 0;
	struct issued c = { NULL, NULL };
	enum err e;

	if (anew == NULL)
		return ERR_OK;
	if (!cert_make_leaf(ca, rq, &c)) {
		why_ssl(why, "cannot be made", p->cert);
		e = ERR_IO;
	} else {
		e = cert_pair_write(p, &c, why);
		if (e ==
		    ERR_UNSYNCED) /* if a crash brings the old one back, it is made anew again */
			e = ERR_OK;
		*changed |= e == ERR_OK;
		if (e == ERR_OK && there)
			log_anew(LOG_INFO, "a server certificate was made anew", p->cert, anew);
		if (disk_takes_none(e) && is_usable(p)) {
			log_anew(LOG_WARN,
			    "a server certificate should be made anew, and cannot be", p->cert,
			    why);
			e = ERR_OK;
		}
	}
	issued_fini(&c);
	return e;
}

static enum err
check_dir(const char *dir, char why[NET_WHY_MAX])
{
	if (strlen(dir) <= CERT_PATH_MAX - 32)
		return ERR_OK;
	why_set(why, "the directory's name is too long");
	return ERR_ARG;
}

static enum err
check_names(const char *const *names, unsigned n, char why[NET_WHY_MAX])
{
	if (n == 0) {
		why_set(why, "no name to make certificates for");
		return ERR_ARG;
	}
	for (unsigned i = 0; i < n; i++) {
		if (!cert_is_ip(names[i]) && !cert_is_dns(names[i])) {
			why_set(why, "'%.100s' is neither a DNS name nor an IP address", names[i]);
			return ERR_ARG;
		}
	}
	return ERR_OK;
}

enum err
certs_ensure(const char *dir, const char *const *names, unsigned nname, int64_t now_us, bool first,
    bool *changed, char why[NET_WHY_MAX])
{
	struct leaf_request rq = { .names = names, .nname = nname, .now_us = now_us };
	struct issued ca = { NULL, NULL };
	struct cert_paths p;
	enum err e;

	*changed = false;
	if ((e = check_dir(dir, why)) || (e = check_names(names, nname, why)))
		return e;
	if (mkdir(dir, 0700) && errno != EEXIST) {
		why_set(why, "%s: %s", dir, strerror(errno));
		return ERR_IO;
	}
	paths_of(dir, "ca", &p);
	e = ensure_ca(&p, now_us, first, &ca, changed, why);
	for (int rsa = 0; rsa < 2 && e == ERR_OK; rsa++) {
		paths_of(dir, rsa ? "server-rsa" : "server-ecdsa", &p);
		rq.rsa = rsa;
		e = ensure_leaf(&p, &ca, &rq, changed, why);
	}
	issued_fini(&ca);
	return e;
}

enum err
certs_check_ca(const char *dir, const char **file, char why[NET_WHY_MAX])
{
	struct issued ca = { NULL, NULL };
	struct cert_paths p;
	enum err e;

	if ((e = check_dir(dir, why)) != ERR_OK)
		return e;
	paths_of(dir, "ca", &p);
	e = read_ca(&p, &ca, why);
	*file = ca.cert != NULL && !cert_pair_works(&ca) ? "ca.key" : "ca.pem";
	issued_fini(&ca);
	return e;
}

static void
tell_leaf(const struct cert_paths *p, const struct issued *ca, int64_t now_us, certs_anew *tell,
    void *ctx)
{
	const struct leaf_request rq = { .now_us = now_us };
	char why[NET_WHY_MAX] = "";
	struct issued c;
	const char *anew;

	if (read_pair(p, &c, why) != ERR_OK)
		tell(ctx, c.cert == NULL ? p->cert : p->key, why);
	else if (ca->cert != NULL && (anew = why_anew(p, ca, &rq)) != NULL)
		tell(ctx, p->cert, anew);
	issued_fini(&c);
}

void
certs_tell_anew(const char *dir, int64_t now_us, certs_anew *tell, void *ctx)
{
	static const char *const leaves[] = { "server-ecdsa", "server-rsa" };
	struct issued ca = { NULL, NULL };
	struct cert_paths p;
	char why[NET_WHY_MAX];

	if (check_dir(dir, why) != ERR_OK)
		return;
	paths_of(dir, "ca", &p);
	if (read_ca(&p, &ca, why) != ERR_OK) /* is told of as damage */
		issued_fini(&ca);
	else if (ca_why_anew(&ca, now_us) != NULL)
		tell(ctx, p.cert, ca_why_anew(&ca, now_us));
	for (int i = 0; i < 2; i++) {
		paths_of(dir, leaves[i], &p);
		tell_leaf(&p, &ca, now_us, tell, ctx);
	}
	issued_fini(&ca);
}

enum err
certs_renew_ca(const char *dir, int64_t now_us, bool *new_key, char why[NET_WHY_MAX])
{
	struct issued ca = { NULL, NULL }, was = { NULL, NULL };
	struct cert_paths p;
	enum err e;

	if ((e = check_dir(dir, why)) != ERR_OK)
		return e;
	paths_of(dir, "ca", &p);
	was.key = *new_key ? NULL : read_key(p.key);
	if (was.key != NULL && cert_make_ca(now_us, was.key, &ca) && cert_pair_works(&ca))
		e = write_pem(p.cert, ca.cert, NULL, why);
	else {
		issued_fini(&ca);
		*new_key = true;
		e = make_ca(&p, now_us, &ca, why);
	}
	issued_fini(&was);
	issued_fini(&ca);
	return e;
}
