/* The days of certificates, whoever made them: which have ended, are not valid yet, or end soon. */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <time.h>

#include "net/tls.h"

#define DAY_US INT64_C(86400000000)

enum cert_days
cert_days_of(const struct cert_life *life, int64_t now_us)
{
	if (now_us > life->until_us)
		return CERT_ENDED;
	if (now_us < life->from_us)
		return CERT_EARLY;
	return life->until_us - now_us < CERTS_WARN_DAYS * DAY_US ? CERT_ENDS_SOON : CERT_GOOD;
}

static int64_t
asn1_us(const ASN1_TIME *t)
{
	struct tm tm;

	return ASN1_TIME_to_tm(t, &tm) ? (int64_t)timegm(&tm) * 1000000 : 0;
}

struct cert_life
cert_life_of(const X509 *x)
{
	return (
	    struct cert_life){ asn1_us(X509_get0_notBefore(x)), asn1_us(X509_get0_notAfter(x)) };
}

void
cert_review(X509 *x, const char *what, int64_t now_us, cert_tell *tell, void *ctx)
{
	struct cert_told told = { .what = what, .life = cert_life_of(x) };

	told.days = cert_days_of(&told.life, now_us);
	if (told.days == CERT_GOOD)
		return;
	X509_NAME_oneline(X509_get_subject_name(x), told.subject, sizeof(told.subject));
	tell(ctx, &told);
}

/* One without an end is never old. */
void
crl_review(X509_CRL *crl, int64_t now_us, cert_tell *tell, void *ctx)
{
	const ASN1_TIME *next = X509_CRL_get0_nextUpdate(crl);
	struct cert_told told = { .what = "list of revoked certificates", .days = CERT_LIST_OLD };

	if (next == NULL || now_us <= asn1_us(next))
		return;
	told.life = (struct cert_life){ asn1_us(X509_CRL_get0_lastUpdate(crl)), asn1_us(next) };
	X509_NAME_oneline(X509_CRL_get_issuer(crl), told.subject, sizeof(told.subject));
	tell(ctx, &told);
}

int64_t
certs_end(const char *path)
{
	BIO *in = BIO_new_file(path, "r");
	int64_t first_us = INT64_MAX;
	X509 *x;

	while (in != NULL && (x = PEM_read_bio_X509(in, NULL, NULL, NULL)) != NULL) {
		struct cert_life life = cert_life_of(x);

		if (life.until_us < first_us)
			first_us = life.until_us;
		X509_free(x);
	}
	BIO_free(in);
	ERR_clear_error(); /* "no start line" is how the file ends */
	return first_us;
}

void
certs_review(const char *path, const char *what, int64_t now_us, cert_tell *tell, void *ctx)
{
	BIO *in = BIO_new_file(path, "r");
	X509 *x;

	while (in != NULL && (x = PEM_read_bio_X509(in, NULL, NULL, NULL)) != NULL) {
		cert_review(x, what, now_us, tell, ctx);
		X509_free(x);
	}
	BIO_free(in);
	ERR_clear_error(); /* "no start line" is how the file ends */
}
