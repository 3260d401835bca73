#include "target.h"

#include <stdio.h>
#include <stdlib.h>

void
target_init(
    struct link_target *t, const char *host, int port, const char *ca_file, const char *name)
{
	SSL_CTX *tls = ca_file != NULL ? SSL_CTX_new(TLS_client_method()) : NULL;

	if (ca_file != NULL && (tls == NULL || SSL_CTX_load_verify_file(tls, ca_file) != 1)) {
		fprintf(stderr, "bench: cannot use the CA file %s\n", ca_file);
		exit(2);
	}
	if (!link_target_of(t, host, (uint16_t)port, tls, name)) {
		fprintf(stderr, "bench: %s is not an address\n", host);
		exit(2);
	}
}

void
target_fini(struct link_target *t)
{
	SSL_CTX_free(t->tls);
	t->tls = NULL;
}
