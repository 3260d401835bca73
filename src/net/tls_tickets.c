/*
 * Ticket keys that several nodes share (net.h: tls_set_tickets): new tickets are of the current one. One of the former key is still worth a
 * resumption, and one of the next, as another node may have turned already.
 */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "net/tls.h"

/* The parts of a key, as SSL_CTX_set_tlsext_ticket_keys has them. */
#define NAME_SIZE 16
#define MAC_AT    NAME_SIZE
#define MAC_SIZE  32
#define AES_AT    (MAC_AT + MAC_SIZE)

typedef unsigned char ticket_key[TLS_TICKET_BYTES];

static int keys_index; /* SSL_CTX: the keys */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
keys_free(void *parent, void *p, CRYPTO_EX_DATA *ad, int index, long argl, void *argp)
{
	(void)parent, (void)ad, (void)index, (void)argl, (void)argp;
	OPENSSL_clear_free(p, TLS_TICKETS * sizeof(ticket_key));
}

static void
make_index(void)
{
	keys_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, keys_free);
}

static bool
use_key(const unsigned char *key, EVP_MAC_CTX *mac)
{
	unsigned char secret[MAC_SIZE];
	char digest[] = "SHA256";
	OSSL_PARAM params[] = { OSSL_PARAM_construct_octet_string(
		                    OSSL_MAC_PARAM_KEY, secret, sizeof(secret)),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end() };
	bool ok;

	memcpy(secret, key + MAC_AT, sizeof(secret));
	ok = EVP_MAC_CTX_set_params(mac, params) == 1;
	OPENSSL_cleanse(secret, sizeof(secret));
	return ok;
}

static const unsigned char *
key_named(const ticket_key *keys, const unsigned char *name, bool *current)
{
	for (unsigned i = 0; i < TLS_TICKETS; i++)
		if (CRYPTO_memcmp(keys[i], name, NAME_SIZE) == 0) {
			*current = i == TLS_TICKET_CURRENT;
			return keys[i];
		}
	return NULL;
}

/* OpenSSL's: 1: use it; 2: and give another ticket; 0: none of ours; -1: failed. Tickets of TLS 1.3 are for one use, as without this callback. */
static int
on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
    EVP_MAC_CTX *mac, int make)
{
	const ticket_key *keys = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), keys_index);
	const unsigned char *key = keys[TLS_TICKET_CURRENT];
	bool current = true;

	if (make) {
		memcpy(name, key, NAME_SIZE);
		return RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) == 1 &&
		        EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key + AES_AT, iv) ==
		            1 &&
		        use_key(key, mac)
		    ? 1
		    : -1;
	}
	if ((key = key_named(keys, name, &current)) == NULL)
		return 0;
	if (!use_key(key, mac) ||
	    EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key + AES_AT, iv) != 1)
		return -1;
	return current && SSL_version(ssl) != TLS1_3_VERSION ? 1 : 2;
}

bool
tls_bind_tickets(SSL_CTX *ctx, const unsigned char *keys)
{
	unsigned char *own;

	pthread_once(&once, make_index);
	own = OPENSSL_memdup(keys, TLS_TICKETS * sizeof(ticket_key));
	if (own == NULL || !SSL_CTX_set_ex_data(ctx, keys_index, own)) {
		OPENSSL_clear_free(own, TLS_TICKETS * sizeof(ticket_key));
		return false;
	}
	return SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket) == 1;
}
