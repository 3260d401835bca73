#include "token.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void
sign(struct buf *out, const char *key, struct str text)
{
	struct buf raw = { 0 }, sig = { 0 };
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned nmac = 0;

	if (!base64_decode(&raw, str_of(key))) {
		fprintf(stderr, "bench: the key is not base64\n");
		exit(2);
	}
	HMAC(EVP_sha256(), raw.p, (int)raw.n, (const unsigned char *)text.p, text.n, mac, &nmac);
	base64_encode(&sig, mac, nmac);
	buf_percent(out, buf_view(&sig));
	buf_fini(&sig);
	buf_fini(&raw);
}

void
token_put(struct buf *out, const struct signer *s, int64_t life_s)
{
	struct buf text = { 0 };
	long long expiry = (long long)time(NULL) + life_s;

	buf_percent(&text, str_of(s->host));
	buf_printf(&text, "\n%lld", expiry);
	buf_cstr(out, "SharedAccessSignature sr=");
	buf_percent(out, str_of(s->host));
	buf_cstr(out, "&sig=");
	sign(out, s->key, buf_view(&text));
	buf_printf(out, "&se=%lld&skn=", expiry);
	buf_percent(out, str_of(s->policy));
	buf_fini(&text);
}

void
device_put(struct buf *out, unsigned nth)
{
	buf_printf(out, "bench-%07u", nth);
}
