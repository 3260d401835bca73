/* Certificates and keys from PEM. Nothing here prompts for a password. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "net/tls.h"

#define CHAIN_MAX 10 /* certificates in one file */

/* arg: NULL, or a bool that hears that there is one to be given. */
static int
no_password(char *out, int size, int writing, void *arg)
{
	bool *asked = arg;

	(void)out;
	(void)size;
	(void)writing;
	if (asked != NULL)
		*asked = true;
	return -1;
}

/* NULL: said in why, in words that a person looks for the file by. */
static BIO *
open_file(const char *path, char why[NET_WHY_MAX])
{
	struct stat st;
	BIO *in;

	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
		why_set(why, "%.400s is a directory", path);
		return NULL;
	}
	errno = 0;
	if ((in = BIO_new_file(path, "r")) != NULL)
		return in;
	if (errno == ENOENT)
		why_set(why, "%.400s is missing", path);
	else
		why_set(why, "%.400s cannot be read: %s", path, strerror(errno));
	ERR_clear_error();
	return NULL;
}

static enum err
load_certs(const char *path, struct tls_pair *p, char why[NET_WHY_MAX])
{
	BIO *in = open_file(path, why);
	X509 *x = NULL;

	if (in == NULL)
		return ERR_ARG;
	p->leaf = PEM_read_bio_X509(in, NULL, no_password, NULL);
	if (p->leaf == NULL) {
		why_ssl(why, "no certificate", path);
		BIO_free(in);
		return ERR_ARG;
	}
	p->chain = sk_X509_new_null();
	while (sk_X509_num(p->chain) < CHAIN_MAX &&
	    (x = PEM_read_bio_X509(in, NULL, no_password, NULL)) != NULL)
		sk_X509_push(p->chain, x);
	BIO_free(in);
	if (x == NULL &&
	    ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) { /* how the file ends */
		ERR_clear_error();
		why_set(
		    why, "%.400s: certificate %d cannot be read", path, sk_X509_num(p->chain) + 2);
		return ERR_ARG;
	}
	ERR_clear_error();
	return ERR_OK;
}

static enum err
load_key(const char *path, struct tls_pair *p, char why[NET_WHY_MAX])
{
	BIO *in = open_file(path, why);
	bool asked = false;

	if (in == NULL)
		return ERR_ARG;
	p->key = PEM_read_bio_PrivateKey(in, NULL, no_password, &asked);
	BIO_free(in);
	if (p->key != NULL)
		return ERR_OK;
	ERR_clear_error();
	if (asked)
		why_set(why,
		    "%.400s: the key is encrypted, and a hub asks for no password: openssl pkey "
		    "-in "
		    "FILE -out NEW takes it away",
		    path);
	else
		why_set(why, "%.400s: no private key in PEM", path);
	return ERR_ARG;
}

static bool
belongs_to_another(const struct tls_pair *p)
{
	bool found = false;

	for (int i = 0; i < sk_X509_num(p->chain) && !found; i++)
		found = X509_check_private_key(sk_X509_value(p->chain, i), p->key) == 1;
	ERR_clear_error();
	return found;
}

static enum err
load_pair(const struct tls_files *f, struct tls_pair *p, char why[NET_WHY_MAX])
{
	enum err e;

	ERR_clear_error();
	if ((e = load_certs(f->cert, p, why)) || (e = load_key(f->key, p, why)))
		return e;
	if (X509_check_private_key(p->leaf, p->key) != 1) {
		ERR_clear_error();
		if (belongs_to_another(p))
			why_set(why,
			    "%s: the certificate of the key %s has to be the first in it, then who "
			    "issued it",
			    f->cert, f->key);
		else
			why_set(why, "%s: not the key of the certificate in %s", f->key, f->cert);
		return ERR_ARG;
	}
	return ERR_OK;
}

enum err
tls_pairs_load(
    const struct tls_conf *conf, struct tls_pair pair[2], unsigned *n, char why[NET_WHY_MAX])
{
	enum err e = load_pair(&conf->pair[0], &pair[0], why);

	*n = 1;
	if (e == ERR_OK && conf->pair[1].cert) {
		*n = 2;
		e = load_pair(&conf->pair[1], &pair[1], why);
		if (e == ERR_OK &&
		    EVP_PKEY_get_base_id(pair[0].key) == EVP_PKEY_get_base_id(pair[1].key)) {
			why_set(why, "%s and %s: two certificates with the same kind of key",
			    conf->pair[0].cert, conf->pair[1].cert);
			e = ERR_ARG;
		}
	}
	if (e)
		tls_pairs_fini(pair);
	return e;
}

void
tls_pairs_fini(struct tls_pair pair[2])
{
	for (unsigned i = 0; i < 2; i++) {
		X509_free(pair[i].leaf);
		sk_X509_pop_free(pair[i].chain, X509_free);
		EVP_PKEY_free(pair[i].key);
	}
	memset(pair, 0, 2 * sizeof *pair);
}

/* ---- client CAs ---- */

static X509 *
parse_ca(struct str pem)
{
	BIO *in = BIO_new_mem_buf(pem.n > 0 ? pem.p : "", (int)pem.n);
	X509 *x = PEM_read_bio_X509(in, NULL, no_password, NULL);

	BIO_free(in);
	if (x && X509_check_ca(x) == 0) {
		X509_free(x);
		x = NULL;
	}
	ERR_clear_error();
	return x;
}

/* Of the certificate's digest; never 0. */
static uint64_t
print_of(const X509 *x)
{
	unsigned char md[EVP_MAX_MD_SIZE] = { 0 };
	uint64_t print;

	X509_digest(x, EVP_sha256(), md, NULL);
	memcpy(&print, md, sizeof(print));
	return print | UINT64_C(1) << 63;
}

/* Which of them has signed it? */
static bool
crl_is_ours(const struct tls_cas *cas, X509_CRL *crl)
{
	for (unsigned i = 0; i < cas->n; i++)
		if (X509_NAME_cmp(X509_get_subject_name(cas->ca[i]), X509_CRL_get_issuer(crl)) ==
		        0 &&
		    X509_CRL_verify(crl, X509_get0_pubkey(cas->ca[i])) == 1)
			return true;
	return false;
}

/* After the last one: is that the end of the text, and not one that is damaged or cut short? */
static bool
is_end_of_pem(void)
{
	unsigned long e = ERR_peek_last_error();

	return ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE;
}

static enum err
crl_take(struct tls_cas *cas, X509_CRL *crl, const char *name, char why[NET_WHY_MAX])
{
	if (!crl_is_ours(cas, crl)) {
		why_set(why, "%.180s: no client CA has signed it", name);
		X509_CRL_free(crl);
		return ERR_ARG;
	}
	if (sk_X509_CRL_push(cas->crls, crl) <= 0)
		out_of_memory(sizeof(void *));
	return ERR_OK;
}

/* All lists of a file, one at the least: what is cut short would let in whom the rest of it shuts out. */
static enum err
parse_crls(struct tls_cas *cas, const struct tls_text *from, char why[NET_WHY_MAX])
{
	BIO *in = BIO_new_mem_buf(from->pem.n > 0 ? from->pem.p : "", (int)from->pem.n);
	X509_CRL *crl;
	unsigned n = 0;
	enum err e = ERR_OK;

	ERR_clear_error();
	while (e == ERR_OK && (crl = PEM_read_bio_X509_CRL(in, NULL, no_password, NULL)) != NULL) {
		n++;
		e = crl_take(cas, crl, from->name, why);
	}
	if (e == ERR_OK && !is_end_of_pem()) {
		why_set(why, "%.180s: a CRL in it is damaged or cut short", from->name);
		e = ERR_ARG;
	} else if (n == 0) {
		why_set(why, "%.180s: no CRL in PEM", from->name);
		e = ERR_ARG;
	}
	BIO_free(in);
	ERR_clear_error();
	return e;
}

/* Who is called as its issuer is, and has not signed it, has nothing to say of it. */
static bool
cas_signed(const struct tls_cas *cas, X509 *x)
{
	bool found = false;

	for (unsigned i = 0; i < cas->n && !found; i++)
		found = X509_NAME_cmp(X509_get_subject_name(cas->ca[i]), X509_get_issuer_name(x)) ==
		        0 &&
		    X509_verify(x, X509_get0_pubkey(cas->ca[i])) == 1;
	ERR_clear_error();
	return found;
}

bool
tls_cas_revoke(const struct tls_cas *cas, X509 *x)
{
	X509_REVOKED *entry;

	for (int i = 0; i < sk_X509_CRL_num(cas->crls); i++) {
		X509_CRL *crl = sk_X509_CRL_value(cas->crls, i);

		if (X509_NAME_cmp(X509_get_issuer_name(x), X509_CRL_get_issuer(crl)) == 0 &&
		    X509_CRL_get0_by_cert(crl, &entry, x) == 1)
			return cas_signed(cas, x);
	}
	return false;
}

static enum err
cas_fill(struct tls_cas *cas, const struct tls_client_cas *from, char why[NET_WHY_MAX])
{
	enum err e = ERR_OK;

	cas->version = from->version;
	cas->ca = xcalloc(from->nca + 1, sizeof(X509 *));
	cas->print = xcalloc(from->nca + 1, sizeof(*cas->print));
	for (; cas->n < from->nca; cas->n++) {
		cas->ca[cas->n] = parse_ca(from->ca[cas->n].pem);
		if (cas->ca[cas->n] == NULL) {
			why_set(why, "%.180s: no PEM certificate that may sign others",
			    from->ca[cas->n].name);
			return ERR_ARG;
		}
		cas->print[cas->n] = print_of(cas->ca[cas->n]);
	}
	for (unsigned i = 0; i < from->ncrl && e == ERR_OK; i++)
		e = parse_crls(cas, &from->crl[i], why);
	return e;
}

enum err
tls_cas_parse(const struct tls_client_cas *from, struct tls_cas **out, char why[NET_WHY_MAX])
{
	struct tls_cas *cas = xcalloc(1, sizeof *cas);
	enum err e;

	refs_init(&cas->refs);
	if ((cas->crls = sk_X509_CRL_new_null()) == NULL)
		out_of_memory(sizeof(void *));
	e = from != NULL ? cas_fill(cas, from, why) : ERR_OK;
	if (e == ERR_OK)
		*out = cas;
	else
		tls_cas_unref(cas);
	return e;
}

struct tls_cas *
tls_cas_ref(struct tls_cas *cas)
{
	refs_take(&cas->refs);
	return cas;
}

void
tls_cas_unref(struct tls_cas *cas)
{
	if (cas == NULL || !refs_drop(&cas->refs))
		return;
	for (unsigned i = 0; i < cas->n; i++)
		X509_free(cas->ca[i]);
	sk_X509_CRL_pop_free(cas->crls, X509_CRL_free);
	free(cas->ca);
	free(cas->print);
	free(cas);
}
