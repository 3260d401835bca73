/* Symmetric keys and thumbprints as operators write them. */
#include "auth/auth.h"

bool
key_valid(struct str base64)
{
	struct buf b = { 0 };
	bool ok;

	if (base64.n > (KEY_BYTES_MAX + 2) / 3 * 4)
		return false;
	ok = base64_decode(&b, base64) && b.n >= KEY_BYTES_MIN && b.n <= KEY_BYTES_MAX;
	buf_fini(&b);
	return ok;
}

/* Hex in small letters; false if it is not a thumbprint. */
static bool
lower(struct str hex, char out[64])
{
	if (hex.n != 40 && hex.n != 64)
		return false;
	for (size_t i = 0; i < hex.n; i++) {
		if (hex_digit(hex.p[i]) < 0)
			return false;
		out[i] = (char)(hex.p[i] | 0x20); /* no change to 0 to 9 */
	}
	return true;
}

bool
thumbprint_valid(struct str hex)
{
	char text[64];

	return lower(hex, text);
}

static bool
print_is(const struct cert_print *c, struct str hex)
{
	char text[64];
	struct str own = hex.n == 40 ? (struct str){ c->sha1, 40 } : (struct str){ c->sha256, 64 };

	return lower(hex, text) && str_eq_secret(own, (struct str){ text, hex.n });
}

enum key_side
cert_print_is(const struct cert_print *c, struct str primary, struct str secondary)
{
	if (print_is(c, primary))
		return KEY_PRIMARY;
	return print_is(c, secondary) ? KEY_SECONDARY : KEY_NEITHER;
}
