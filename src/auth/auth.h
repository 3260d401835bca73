/*
 * auth: is this token, key or certificate good? SAS tokens, policies and their rights, thumbprints,
 * symmetric keys. Who exists and which keys they have is the caller's knowledge; so is the time.
 *
 * Rules: docs/spec/device-mqtt.md 2.3, 2.4; docs/spec/service-rest.md 3; L-79, L-80.
 */
#ifndef TWINHUB_AUTH_H
#define TWINHUB_AUTH_H

#include "base/base.h"
#include "base/reason.h"

/* ---- rights and policies ---- */

enum {
	RIGHT_REGISTRY_READ = 1,
	RIGHT_REGISTRY_WRITE = 2, /* implies RIGHT_REGISTRY_READ */
	RIGHT_SERVICE_CONNECT = 4,
	RIGHT_DEVICE_CONNECT = 8, /* devices and modules alike */
	RIGHTS_ALL = 15,          /* that a policy can have; the next ones are an identity's own */
	RIGHT_DEVICE_SELF = 16,   /* a device's credentials; of its modules, too */
	RIGHT_MODULE_SELF = 32    /* a module's own */
};

/* Whether `have` holds at least one of the rights in `any`. */
bool rights_allow(unsigned have, unsigned any);
/* Whether it holds every one of them; none are asked for: nobody may. */
bool rights_allow_all(unsigned have, unsigned all);

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
 * ERR_SYNTAX: another scheme, a field missing or given twice, too long, no policy's name. ERR_RANGE: `se` is no whole number.
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

enum key_side { KEY_NEITHER, KEY_PRIMARY, KEY_SECONDARY };

/* Which of the two keys (base64; an empty or invalid one signs nothing) made the signature. */
enum key_side sas_signed_by(
    struct sas_mac *m, const struct sas *t, struct str primary, struct str secondary);

/* The names a hub goes by, e.g. its own and a gateway's, with or without `:port`. */
struct hosts {
	const struct str *names;
	size_t n;
};

/* Whether host is one of them, without case, ports put aside on both sides (D-06, D-07). */
bool host_known(struct hosts hosts, struct str host);

/* How a segment of `sr` is compared. The Edge runtime writes the whole of its own in small letters, which is no one
 * else's loss where the key is one identity's; a policy's key opens all, so what its token names is meant. */
enum scope_case { SCOPE_EXACT, SCOPE_ANY_CASE };

/* Whether `sr` is a segment-wise prefix of {host}/devices/{device}[/modules/{module}]; module is empty for a
 * device. `sr` is decoded once; its id segments may have been encoded twice. */
bool sas_covers_device(const struct sas *t, struct hosts hosts, struct str device,
    struct str module, enum scope_case how);

/* Whether `sr` is a segment-wise prefix of {host}{path}; the path as in the request line, without its query
 * (service-rest.md 3.1). */
bool sas_covers_path(const struct sas *t, struct hosts hosts, struct str path, enum scope_case how);

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
enum key_side cert_print_is(const struct cert_print *c, struct str primary, struct str secondary);

/*
 * ---- judging: does what a client shows prove that it is who it says? ----
 *
 * The same for a CONNECT, a device's request over HTTPS, and a back end's. Rules: device-mqtt.md 2.3, 2.4;
 * service-rest.md 3.
 */

enum auth_type { AUTH_SAS, AUTH_SELF_SIGNED, AUTH_CA, AUTH_NONE, AUTH_TYPES };

/* How an identity proves itself, as its record says. */
struct auth_keys {
	enum auth_type type;
	struct str keys[2], thumbs[2]; /* empty: none */
};

/* What a client shows: a SAS token, or the leaf certificate of its TLS handshake. Both: the token counts. */
struct credentials {
	struct str token; /* empty: none */
	bool has_certificate;
	struct cert_print print; /* of the leaf */
	struct str common_name;  /* of the leaf's subject */
	uint64_t ca;      /* print of the registered CA that its chain leads to; 0: to none */
	bool ca_outdated; /* to none, as a CA certificate of the chain is outside its days */
	bool revoked;     /* it, or a CA certificate of its chain, is on a list of its CA */
	int64_t not_before_us, not_after_us;
	int64_t late_us; /* by so much later than it is the token is judged; 0 but in tests */
};

struct auth_ask {
	/* Who it says it is; both NULL: only a policy's token can be good. own is the keys of the device, or of the module;
	 * parent those of the module's device. */
	struct str device, module;
	const struct auth_keys *own, *parent;
	/* of the request; STR_NONE: a connection, for which the identity itself must be covered */
	struct str path;
	const struct policy *policies;
	size_t npolicies;
	const uint64_t *cas; /* prints of the CAs that count */
	size_t nca;
	struct hosts hosts;
	int64_t skew_s;
	/* a token may end at most so much later than now; 0: whenever it likes */
	int64_t ttl_max_s;
	int64_t now_us;
};

/* Whose credentials they are. */
enum opener { OPENED_BY_POLICY, OPENED_BY_SELF, OPENED_BY_PARENT };

/* What a link remembers of what opened it, to be closed when that counts no more. */
struct opened {
	enum opener by;
	bool by_certificate;
	uint64_t print; /* of the key (key_print); of certificates of a CA: that they are */
	uint64_t ca;    /* of certificates of a CA: which; else 0 */
};

struct verdict {
	/* REASON_NONE: good. Else why not: for the log; a client learns it only if `tell` */
	enum reason refused;
	/* its key is known to be good, so it may know what else is wrong; or no key was asked */
	bool tell;
	unsigned rights; /* a policy's, or RIGHT_DEVICE_SELF, RIGHT_MODULE_SELF */
	int64_t end_us;  /* when it must end (sas_end_us); 0: never */
	struct opened opened;
	uint8_t policy_n; /* OPENED_BY_POLICY */
	char policy[POLICY_NAME_MAX];
};

void auth_judge(
    struct sas_mac *m, const struct auth_ask *ask, const struct credentials *c, struct verdict *v);

/* Is one of its keys the one of that print? */
bool policy_has_key(const struct policy *p, uint64_t print);
/* Does what opened a device's link still count for the identity, or for the policies and CAs? Each knows its own part. */
bool opened_holds(const struct opened *o, const struct auth_keys *keys);
bool opened_known(const struct opened *o, const struct policy *policies, size_t npolicies,
    const uint64_t *cas, size_t nca);

/* A key's name for those who must not know it: of its text, and of the policy that has it (else empty). Never 0. */
uint64_t key_print(struct str owner, struct str key);

#endif
