/* Signatures of webhooks, as Standard Webhooks has them (E-41). */
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "sink/priv.h"

void
sign_id(struct str body, char out[SIGN_ID_MAX])
{
	uint64_t h = hash_stable(body);

	hex_write(out, &h, sizeof h);
	out[SIGN_ID_MAX - 1] = '\0';
}

void
sign_body(struct buf *out, struct str key, const char *id, int64_t time_s, struct str body)
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	struct buf text = { 0 };

	buf_printf(&text, "%s.%lld.", id, (long long)time_s);
	buf_str(&text, body);
	if (HMAC(EVP_sha256(), key.p, (int)key.n, (const unsigned char *)text.p, text.n, mac, &n) ==
	    NULL)
		abort(); /* an OpenSSL without HMAC-SHA256, or no memory: as xmalloc */
	buf_cstr(out, "v1,");
	base64_encode(out, mac, n);
	buf_fini(&text);
}
