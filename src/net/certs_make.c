/* Making certificates: RFC 5280 with the few extensions that TLS clients look at. */
#include <arpa/inet.h>
#include <ctype.h>
#include <fcntl.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "net/certs.h"

#define LOCAL_CA "twinhub local CA"
#define SKEW_S   3600 /* devices' clocks may be late */

bool
cert_is_ip(const char *name)
{
	unsigned char ip[16];

	return inet_pton(AF_INET, name, ip) == 1 || inet_pton(AF_INET6, name, ip) == 1;
}

bool
cert_is_dns(const char *name)
{
	const char *p = strncmp(name, "*.", 2) == 0 ? name + 2 : name;
	size_t label = 0;

	if (strlen(name) > 253)
		return false;
	for (; *p; p++) {
		if (*p == '.' ? label == 0 : !isalnum((unsigned char)*p) && *p != '-' && *p != '_')
			return false;
		label = *p == '.' ? 0 : label + 1;
		if (label > 63)
			return false;
	}
	return label > 0;
}

/* 127 random bits: positive, and unique without a register of what was given out. */
static bool
set_serial(X509 *x)
{
	BIGNUM *n = BN_new();
	bool ok = n && BN_rand(n, 127, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
	    BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x)) != NULL;

	BN_free(n);
	return ok;
}

static bool
set_validity(X509 *x, int64_t now_us, int days)
{
	time_t now = (time_t)(now_us / 1000000);
	time_t from = now - SKEW_S, to = now + (time_t)days * 86400;

	return X509_time_adj_ex(X509_getm_notBefore(x), 0, 0, &from) != NULL &&
	    X509_time_adj_ex(X509_getm_notAfter(x), 0, 0, &to) != NULL;
}

static bool
set_name(X509_NAME *name, const char *cn)
{
	return X509_NAME_add_entry_by_txt(
	           name, "O", MBSTRING_UTF8, (const unsigned char *)"twinhub", -1, -1, 0) &&
	    X509_NAME_add_entry_by_txt(
	        name, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1, -1, 0);
}

static bool
add_ext(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *ext;
	bool ok;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ok = ext && X509_add_ext(x, ext, -1);
	X509_EXTENSION_free(ext);
	return ok;
}

/* A version 3 certificate with everything but extensions and signature. */
static X509 *
begin(EVP_PKEY *key, const char *cn, int64_t now_us, int days)
{
	X509 *x = X509_new();

	if (x && X509_set_version(x, X509_VERSION_3) && set_serial(x) &&
	    set_validity(x, now_us, days) && set_name(X509_get_subject_name(x), cn) &&
	    X509_set_pubkey(x, key))
		return x;
	X509_free(x);
	return NULL;
}

static bool
is_local_name(const X509_NAME *name)
{
	char cn[sizeof LOCAL_CA];

	return X509_NAME_get_text_by_NID((X509_NAME *)name, NID_commonName, cn, sizeof cn) ==
	    sizeof LOCAL_CA - 1 &&
	    strcmp(cn, LOCAL_CA) == 0;
}

bool
cert_names_local_ca(const X509 *x)
{
	return is_local_name(X509_get_subject_name(x)) || is_local_name(X509_get_issuer_name(x));
}

bool
cert_is_local_ca(X509 *x)
{
	return is_local_name(X509_get_subject_name(x)) && X509_self_signed(x, 1) == 1;
}

bool
cert_make_ca(int64_t now_us, EVP_PKEY *key, struct issued *out)
{
	X509 *x;

	key = key ? (EVP_PKEY_up_ref(key), key) : EVP_EC_gen("P-256");
	x = key ? begin(key, LOCAL_CA, now_us, CERTS_CA_DAYS) : NULL;
	if (x && X509_set_issuer_name(x, X509_get_subject_name(x)) &&
	    add_ext(x, x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
	    add_ext(x, x, NID_key_usage, "critical,keyCertSign,cRLSign") &&
	    add_ext(x, x, NID_subject_key_identifier, "hash") && X509_sign(x, key, EVP_sha256())) {
		*out = (struct issued){ x, key };
		return true;
	}
	X509_free(x);
	EVP_PKEY_free(key);
	return false;
}

bool
cert_make_self(const char *name, int64_t now_us, struct issued *out)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = key ? begin(key, name, now_us, CERTS_CA_DAYS) : NULL;

	if (x && X509_set_issuer_name(x, X509_get_subject_name(x)) &&
	    add_ext(x, x, NID_basic_constraints, "critical,CA:FALSE") &&
	    X509_sign(x, key, EVP_sha256())) {
		*out = (struct issued){ x, key };
		return true;
	}
	X509_free(x);
	EVP_PKEY_free(key);
	return false;
}

static void
alt_names(struct buf *out, const struct leaf_request *rq)
{
	for (unsigned i = 0; i < rq->nname; i++)
		buf_printf(out, "%s%s:%s", i ? "," : "", cert_is_ip(rq->names[i]) ? "IP" : "DNS",
		    rq->names[i]);
	buf_putc(out, 0);
}

static bool
add_leaf_exts(X509 *x, X509 *ca, const struct leaf_request *rq)
{
	struct buf names = { 0 };
	bool ok;

	alt_names(&names, rq);
	ok = add_ext(x, ca, NID_basic_constraints, "critical,CA:FALSE") &&
	    add_ext(x, ca, NID_key_usage,
	        rq->rsa ? "critical,digitalSignature,keyEncipherment"
	                : "critical,digitalSignature") &&
	    add_ext(x, ca, NID_ext_key_usage, "serverAuth") &&
	    add_ext(x, ca, NID_subject_key_identifier, "hash") &&
	    /* by name and number, if a CA from elsewhere has no key identifier */
	    add_ext(x, ca, NID_authority_key_identifier, "keyid,issuer") &&
	    add_ext(x, ca, NID_subject_alt_name, names.p);
	buf_fini(&names);
	return ok;
}

bool
cert_make_leaf(const struct issued *ca, const struct leaf_request *rq, struct issued *out)
{
	EVP_PKEY *key = rq->rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
	/* X.520 allows 64 characters; clients look at the alternative names anyway. */
	const char *cn = strlen(rq->names[0]) <= 64 ? rq->names[0] : "twinhub server";
	X509 *x = key ? begin(key, cn, rq->now_us, CERTS_LEAF_DAYS) : NULL;

	if (x && X509_set_issuer_name(x, X509_get_subject_name(ca->cert)) &&
	    add_leaf_exts(x, ca->cert, rq) && X509_sign(x, ca->key, EVP_sha256())) {
		*out = (struct issued){ x, key };
		return true;
	}
	X509_free(x);
	EVP_PKEY_free(key);
	return false;
}
