/*
 * What needs OpenSSL: HMAC-SHA256 and digests.
 *
 * Fetching the algorithm costs more than the HMAC itself, so a sas_mac keeps it, and a context whose digest
 * is set once; each use gives a new key only. Its buffers are kept too, so that a check allocates nothing.
 */
#include "auth/priv.h"

#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdlib.h>

#define MAC_BYTES 32

struct sas_mac {
	EVP_MAC *algorithm;
	EVP_MAC_CTX *ctx;
	struct buf key, text;
};

struct sas_mac *
sas_mac_new(void)
{
	struct sas_mac *m = xcalloc(1, sizeof(*m));
	char digest[] = "SHA256";
	OSSL_PARAM params[] = { OSSL_PARAM_utf8_string("digest", digest, sizeof(digest) - 1),
		OSSL_PARAM_END };

	m->algorithm = EVP_MAC_fetch(NULL, "HMAC", NULL);
	m->ctx = m->algorithm ? EVP_MAC_CTX_new(m->algorithm) : NULL;
	if (m->ctx == NULL || !EVP_MAC_CTX_set_params(m->ctx, params))
		abort(); /* an OpenSSL without HMAC-SHA256, or no memory: as xmalloc */
	return m;
}

void
sas_mac_free(struct sas_mac *m)
{
	if (m == NULL)
		return;
	EVP_MAC_CTX_free(m->ctx);
	EVP_MAC_free(m->algorithm);
	buf_wipe(&m->key);
	buf_fini(&m->text);
	free(m);
}

bool
sas_mac_text(struct sas_mac *m, struct str key, struct str sr, struct str se, char out[SIG_TEXT])
{
	unsigned char mac[MAC_BYTES];
	size_t n;

	m->key.n = 0;
	if (key.n == 0 || !base64_decode(&m->key, key))
		return false;
	if (!EVP_MAC_init(m->ctx, (const unsigned char *)m->key.p, m->key.n, NULL) ||
	    !EVP_MAC_update(m->ctx, (const unsigned char *)sr.p, sr.n) ||
	    !EVP_MAC_update(m->ctx, (const unsigned char *)"\n", 1) ||
	    !EVP_MAC_update(m->ctx, (const unsigned char *)se.p, se.n) ||
	    !EVP_MAC_final(m->ctx, mac, &n, sizeof(mac)) || n != MAC_BYTES)
		return false;
	m->text.n = 0;
	base64_encode(&m->text, mac, n);
	memcpy(out, m->text.p, SIG_TEXT);
	return true;
}

/* The first bytes of a digest of the owner's name and the key: enough to tell keys apart, too few to go back. */
uint64_t
key_print(struct str owner, struct str key)
{
	unsigned char md[EVP_MAX_MD_SIZE];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint64_t print;

	if (ctx == NULL || !EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) ||
	    !EVP_DigestUpdate(ctx, owner.p, owner.n) || !EVP_DigestUpdate(ctx, "", 1) ||
	    !EVP_DigestUpdate(ctx, key.p, key.n) || !EVP_DigestFinal_ex(ctx, md, NULL))
		abort(); /* no memory: as xmalloc */
	EVP_MD_CTX_free(ctx);
	memcpy(&print, md, sizeof(print));
	return print | UINT64_C(1) << 63;
}

void
cert_print_of(const void *der, size_t n, struct cert_print *out)
{
	unsigned char md[EVP_MAX_MD_SIZE];

	if (!EVP_Digest(der, n, md, NULL, EVP_sha1(), NULL))
		abort();
	hex_write(out->sha1, md, sizeof(out->sha1) / 2);
	if (!EVP_Digest(der, n, md, NULL, EVP_sha256(), NULL))
		abort();
	hex_write(out->sha256, md, sizeof(out->sha256) / 2);
}

void
cert_print_hex(struct cert_print *out, const uint8_t sha1[20], const uint8_t sha256[32])
{
	hex_write(out->sha1, sha1, 20);
	hex_write(out->sha256, sha256, 32);
}
