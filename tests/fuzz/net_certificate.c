/* Any bytes as a client's certificate, and as the text of registered CAs: what is known of it afterwards is within its
 * bounds. */
#include "fuzz.h"
#include "net/tls.h"

#include <openssl/x509.h>

static void
try_leaf(const uint8_t *data, size_t size)
{
	const unsigned char *p = data;
	X509 *leaf = d2i_X509(NULL, &p, (long)size);
	struct tls_peer peer = { 0 };

	if (leaf == NULL)
		return;
	tls_leaf_read(leaf, &peer);
	require(memchr(peer.cn, 0, sizeof(peer.cn)) != NULL);
	require(utf8_valid(str_of(peer.cn)));
	X509_free(leaf);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tls_text text = { "fuzz", { (const char *)data, size } };
	struct tls_client_cas from = {
		.ca = &text, .nca = 1, .crl = &text, .ncrl = 1, .version = 1
	};
	char why[NET_WHY_MAX] = "";
	struct tls_cas *cas = NULL;

	try_leaf(data, size);
	if (tls_cas_parse(&from, &cas, why) == ERR_OK)
		require(cas->n > 0);
	else
		require(cas == NULL && why[0] != '\0');
	tls_cas_unref(cas);
	return 0;
}
