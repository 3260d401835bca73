/*
 * auth: is this token, key or certificate good? SAS tokens, policies and their rights, thumbprints,
 * symmetric keys. Who exists and which keys they have is the caller's knowledge; so is the time.
 *
 * Rules: docs/spec/device-mqtt.md 2.3, 2.4; docs/spec/service-rest.md 3; L-79, L-80.
 */
#ifndef TWINHUB_AUTH_H
#define TWINHUB_AUTH_H

#include "base/base.h"

/* ---- rights and policies ---- */

enum {
	RIGHT_REGISTRY_READ = 1,
	RIGHT_REGISTRY_WRITE = 2, /* implies RIGHT_REGISTRY_READ */
	RIGHT_SERVICE_CONNECT = 4,
	RIGHT_DEVICE_CONNECT = 8, /* devices and modules alike */
	RIGHTS_ALL = 15
};

/* Whether `have` holds at least one of the rights in `any`. */
bool rights_allow(unsigned have, unsigned any);

#define POLICY_NAME_MAX 64 /* bytes of [A-Za-z0-9_-@.] */

struct policy {
	struct str name;
	unsigned rights;
	struct str primary, secondary; /* base64 */
};

bool policy_name_valid(struct str name);
/* NULL if there is none of that name. Case matters. */
const struct policy *policy_find(const struct policy *list, size_t n, struct str name);

/* The five policies a new hub has, without keys (service-rest.md 3.2). */
#define POLICY_DEFAULTS 5
extern const struct policy policy_defaults[POLICY_DEFAULTS];

/* "RegistryRead", ... of one right; NULL if `right` is not exactly one. And back; 0 if unknown. */
const char *right_name(unsigned right);
unsigned right_of(struct str name);

/* ---- symmetric keys ---- */

#define KEY_BYTES_MIN 16
#define KEY_BYTES_MAX 64

/* Whether it is base64 of KEY_BYTES_MIN to KEY_BYTES_MAX bytes. */
bool key_valid(struct str base64);

/* ---- SAS tokens ---- */

#define SAS_MAX    4096 /* bytes of a token */
#define SAS_SKEW_S 300  /* default: good for that long after `se` (L-79) */

/* A token taken apart. Fields borrow from the text and are raw: `sr` and `se` are signed as sent (D-11). */
struct sas {
	struct str sr, sig, se;
	int64_t expiry_s;             /* se as a number; INT64_MAX when larger */
	uint8_t policy_n;             /* 0: no policy, or an empty one (D-14) */
	char policy[POLICY_NAME_MAX]; /* decoded; read it with sas_policy */
};

/*
 * Take a token apart: `SharedAccessSignature sr=..&sig=..&se=..[&skn=..]`, which is the password of a
 * CONNECT and the value of an Authorization header. The first word is compared without case, the fields
 * may come in any order, unknown ones are ignored.
 * ERR_SYNTAX: another scheme, a field missing or given twice, `se` not digits, too long, no policy's name.
 */
enum err sas_parse(struct str token, struct sas *out);
/* The policy's name, empty if the token is the identity's own. Borrows from *t. */
struct str sas_policy(const struct sas *t);

/* When it ends for CONNECT, for requests and for the connection that it opened (L-79, L-80): se + skew,
 * microseconds since 1970, INT64_MAX for "never in this calendar". It is expired when now_us > this. */
int64_t sas_end_us(const struct sas *t, int64_t skew_s);

/* What is reused between HMACs. One for each thread. */
struct sas_mac;
struct sas_mac *sas_mac_new(void);
void sas_mac_free(struct sas_mac *m);

/* Whether one of the two keys (base64; an empty or invalid one signs nothing) made the signature. */
bool sas_signed_by(
    struct sas_mac *m, const struct sas *t, struct str primary, struct str secondary);

/* The names a hub goes by, e.g. its own and a gateway's, with or without `:port`. */
struct hosts {
	const struct str *names;
	size_t n;
};

/* Whether host is one of them, without case, ports put aside on both sides (D-06, D-07). */
bool host_known(struct hosts hosts, struct str host);

/* Whether `sr` is a segment-wise prefix of {host}/devices/{device}[/modules/{module}]; module is empty for a
 * device. `sr` is decoded once; its id segments may have been encoded twice. */
bool sas_covers_device(
    const struct sas *t, struct hosts hosts, struct str device, struct str module);

/* Whether `sr` is a segment-wise prefix of {host}{path}; the path as in the request line, without its query
 * (service-rest.md 3.1). */
bool sas_covers_path(const struct sas *t, struct hosts hosts, struct str path);

/* Append a new token. resource: unencoded, e.g. `hub.example.test/devices/dev1`; policy: empty for none.
 * ERR_ARG: the key is not base64. */
enum err sas_make(struct sas_mac *m, struct buf *out, struct str resource, struct str key,
    int64_t expiry_s, struct str policy);

/* ---- X.509 thumbprints ---- */

/* A certificate's digests as lower-case hex. */
struct cert_print {
	char sha1[40];
	char sha256[64];
};

/* Of a certificate in DER. */
void cert_print_of(const void *der, size_t n, struct cert_print *out);
/* The same from the digests themselves, 20 and 32 bytes. */
void cert_print_hex(struct cert_print *out, const uint8_t sha1[20], const uint8_t sha256[32]);
/* Whether it is 40 or 64 hex digits and nothing else (no colons). */
bool thumbprint_valid(struct str hex);
/* Whether one of the two thumbprints, SHA-1 or SHA-256, is the certificate's; case aside. Empty ones are not. */
bool cert_print_is(const struct cert_print *c, struct str primary, struct str secondary);

#endif
