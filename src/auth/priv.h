/* What the files of auth share. */
#ifndef TWINHUB_AUTH_PRIV_H
#define TWINHUB_AUTH_PRIV_H

#include "auth/auth.h"

#define SIG_TEXT 44 /* base64 of 32 bytes */

/* HMAC-SHA256 of `sr` LF `se` with a base64 key, as base64. False: the key is no base64, or empty. */
bool sas_mac_text(
    struct sas_mac *m, struct str key, struct str sr, struct str se, char out[SIG_TEXT]);

#endif
