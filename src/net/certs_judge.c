/*
 * What clients will hold against a server certificate, whoever made it, beside its days: that it has another name, is not for servers,
 * or does not lead to a CA. None of it keeps the hub from serving, so nobody would hear of it but the clients.
 */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "net/tls.h"

static bool
has_name(X509 *leaf, const char *name)
{
	return X509_check_ip_asc(leaf, name, 0) == 1 ||
	    X509_check_host(leaf, name, 0, 0, NULL) == 1;
}

static bool
is_issuer(X509 *issuer, X509 *of)
{
	EVP_PKEY *key = X509_get0_pubkey(issuer);

	return X509_check_issued(issuer, of) == X509_V_OK && key != NULL &&
	    X509_verify(of, key) == 1;
}

/* Does the system know who has issued it? */
static bool
system_knows(X509 *x)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	X509 *issuer = NULL;
	bool known = store != NULL && ctx != NULL && X509_STORE_set_default_paths(store) == 1 &&
	    X509_STORE_CTX_init(ctx, store, x, NULL) == 1 &&
	    X509_STORE_CTX_get1_issuer(&issuer, ctx, x) == 1;

	X509_free(issuer);
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	return known;
}

static void
chain_judge(const struct tls_pair *p, char what[NET_WHY_MAX])
{
	X509 *last = p->leaf;
	char issuer[200];

	for (int i = 0; i < sk_X509_num(p->chain); i++) {
		if (!is_issuer(sk_X509_value(p->chain, i), last)) {
			why_set(what,
			    "certificate %d of the file has not issued the one before it: clients "
			    "find no chain",
			    i + 2);
			return;
		}
		last = sk_X509_value(p->chain, i);
	}
	if (sk_X509_num(p->chain) > 0 || X509_self_signed(last, 1) == 1 || system_knows(last))
		return;
	X509_NAME_oneline(X509_get_issuer_name(last), issuer, sizeof(issuer));
	why_set(what,
	    "its issuer %s is not in the file: clients that do not have it as their CA find no "
	    "chain",
	    issuer);
}

void
cert_judge(
    const struct tls_pair *p, const char *const *names, unsigned nname, cert_flaw *tell, void *ctx)
{
	char subject[256], what[NET_WHY_MAX];

	X509_NAME_oneline(X509_get_subject_name(p->leaf), subject, sizeof(subject));
	for (unsigned i = 0; i < nname; i++) {
		if (has_name(p->leaf, names[i]))
			continue;
		why_set(what, "it has not the name %.100s: clients that dial it refuse the hub",
		    names[i]);
		tell(ctx, subject, what);
	}
	if (X509_check_purpose(p->leaf, X509_PURPOSE_SSL_SERVER, 0) != 1)
		tell(ctx, subject, "it is not for servers, by its key usage");
	what[0] = '\0';
	chain_judge(p, what);
	if (what[0] != '\0')
		tell(ctx, subject, what);
	ERR_clear_error();
}
