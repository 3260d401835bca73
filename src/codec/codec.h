/*
 * codec: what devices put on the wire, as values, and back. MQTT 3.1.1 packets from the server's side,
 * the CONNECT user name, topics, subscription filters and property bags. No session state, no I/O.
 *
 * Strings in results are borrowed from the input unless said otherwise. Nothing here keeps state
 * between calls. Rules: MQTT 3.1.1 (its section numbers as "MQTT 3.1"), docs/spec/device-mqtt.md.
 */
#ifndef TWINHUB_CODEC_H
#define TWINHUB_CODEC_H

#include "base/base.h"

/* ---- packets in ---- */

enum mqtt_type {
	MQTT_CONNECT = 1,
	MQTT_CONNACK,
	MQTT_PUBLISH,
	MQTT_PUBACK,
	MQTT_PUBREC,
	MQTT_PUBREL,
	MQTT_PUBCOMP,
	MQTT_SUBSCRIBE,
	MQTT_SUBACK,
	MQTT_UNSUBSCRIBE,
	MQTT_UNSUBACK,
	MQTT_PINGREQ,
	MQTT_PINGRESP,
	MQTT_DISCONNECT
};

#define MQTT_LEVEL       4    /* MQTT 3.1.1 */
#define MQTT_USER_MAX    4096 /* bytes of the user name, and of the password (9) */
#define MQTT_FILTERS_MAX 64   /* in one SUBSCRIBE or UNSUBSCRIBE */

/* Remaining lengths: of all packets (payload, topic, id of a PUBLISH: 9), and of a CONNECT. */
#define MQTT_REMAINING_MAX (262144 + 65535 + 4)
#define MQTT_CONNECT_MAX   (3 * 65537 + 2 * (MQTT_USER_MAX + 2) + 10)

struct mqtt_connect {
	uint8_t level; /* if not MQTT_LEVEL nothing below is set: answer CONNACK 1 (D-16) */
	bool clean_session;
	bool has_will, has_user, has_password;
	bool will_retain;
	uint8_t will_qos; /* 0 or 1 */
	uint16_t keep_alive_s;
	struct str client_id; /* may be empty: answer CONNACK 2 */
	struct str will_topic, will_payload;
	struct str user, password;
};

struct mqtt_publish {
	bool dup, retain;
	uint8_t qos;        /* 0 or 1 */
	uint16_t packet_id; /* 0 when qos is 0 */
	struct str topic;   /* not empty; may hold '+' and '#', as ids may */
	struct str payload;
};

struct mqtt_filters { /* SUBSCRIBE and UNSUBSCRIBE */
	uint16_t packet_id;
	uint16_t n;      /* 1 to MQTT_FILTERS_MAX */
	struct str list; /* checked; read it with mqtt_filter_next */
	bool with_qos;   /* SUBSCRIBE */
};

struct mqtt_packet {
	enum mqtt_type type;
	union {
		struct mqtt_connect connect;
		struct mqtt_publish publish;
		struct mqtt_filters filters; /* MQTT_SUBSCRIBE, MQTT_UNSUBSCRIBE */
		uint16_t packet_id;          /* MQTT_PUBACK */
	};
};

/*
 * Decode the first packet of `in`, which may hold a part of one or more than one.
 *
 *   size  ERR_OK: bytes the packet took. ERR_MORE: bytes it will take in all, 0 while not yet known;
 *         p->type is then already set (0 for empty input), so a stranger's first packet can be refused early.
 *
 * ERR_PROTOCOL: close the connection. Besides what MQTT 3.1.1 forbids (types only a server sends, flag
 * and reserved bits, lengths, packet id 0, strings that are not UTF-8 or hold U+0000) it is: anything of
 * QoS 2 (D-38), more than the maxima above. It is reported as early as the bytes show it. Topic and filter
 * texts are not judged here.
 */
enum err mqtt_decode(struct str in, struct mqtt_packet *p, size_t *size);

/* Take the next filter off f->list; false at the end. *qos is the requested one, 0 to 2 (0 for UNSUBSCRIBE).
 * A filter may be empty. */
bool mqtt_filter_next(struct mqtt_filters *f, struct str *filter, uint8_t *qos);

/* ---- packets out: each appends one whole packet ---- */

enum mqtt_connack { /* CONNACK return codes; which for what: device-mqtt.md 2.5 */
	CONNACK_ACCEPTED = 0,
	CONNACK_LEVEL = 1,
	CONNACK_CLIENT_ID = 2,
	CONNACK_UNAVAILABLE = 3,
	CONNACK_DENIED = 5
};

#define SUBACK_REFUSED 0x80

void mqtt_put_connack(struct buf *out, bool session_present, enum mqtt_connack code);
void mqtt_put_suback(struct buf *out, uint16_t packet_id, const uint8_t *codes, size_t ncodes);
void mqtt_put_unsuback(struct buf *out, uint16_t packet_id);
void mqtt_put_puback(struct buf *out, uint16_t packet_id);
void mqtt_put_pingresp(struct buf *out);

#define MQTT_SEND_MAX 262144 /* bytes of one packet to a client, its header included (D-74) */

/* packet_id is used with qos 1 only, and is then not 0. ERR_SIZE, and nothing appended: the packet would pass
 * MQTT_SEND_MAX or its topic 65,535 bytes. */
enum err mqtt_put_publish(struct buf *out, struct str topic, struct str payload, uint8_t qos,
    bool dup, uint16_t packet_id);

/* ---- identities ---- */

/* Who a connection is. module is empty for a device. */
struct mqtt_self {
	struct str device, module;
};

struct mqtt_user {
	struct str host;        /* as sent, perhaps with a port: auth has host_known() */
	struct mqtt_self self;  /* valid ids (L-36) */
	struct str api_version; /* raw; empty when absent. Its value is never checked */
	struct str model_id;    /* decoded, in the arena; empty when absent */
	struct str client_type; /* likewise: DeviceClientType */
	bool on_behalf;         /* auth-chain: an edge device above it asks (nested edge) */
};

#define MODEL_ID_MAX 2048 /* bytes, decoded */

/*
 * Parse the user name of a CONNECT (2.2, D-08, D-09). Of a parameter given twice the first counts;
 * unknown ones are ignored. Decoded texts are copied into `a`, the rest borrows from `user`.
 * ERR_SYNTAX: not of the forms of 2.2, an id that cannot be one, a value that decodes to other than
 * UTF-8 text without control characters, or a model id over MODEL_ID_MAX.
 */
enum err mqtt_user_parse(struct str user, struct arena *a, struct mqtt_user *out);

/* Whether the client id is `{d}` or `{d}/{m}` of this identity, byte for byte (D-10). */
bool mqtt_self_is_client(const struct mqtt_self *self, struct str client_id);

/* ---- topics of client publishes (3.4, 4, 5, 6.1, 7) ---- */

enum topic_kind {
	TOPIC_FORBIDDEN = 0,   /* close the connection (D-41) */
	TOPIC_IGNORED,         /* a request or response without $rid: acknowledge, do nothing */
	TOPIC_TWIN_GET,        /* rid */
	TOPIC_TWIN_PATCH,      /* rid, version: reported properties */
	TOPIC_METHOD_RESPONSE, /* rid, status */
	TOPIC_TELEMETRY        /* bag; the only kind allowed for a will (2.8) */
};

#define TOPIC_RID_MAX     256 /* longer, or with a wildcard character: TOPIC_FORBIDDEN */
#define TOPIC_NO_VERSION  (-1)
#define TOPIC_BAD_VERSION (-2) /* $version is no number from 0 to INT64_MAX: answer 400 */

struct topic {
	enum topic_kind kind;
	struct str rid;  /* raw, to be echoed byte for byte (D-44) */
	int64_t version; /* what reported must be at (D-46), or one of the two above */
	int32_t status;  /* the device's own, any integer */
	struct str bag;  /* for bag_next; slashes and a leading '?' trimmed (D-61) */
};

/* Classify the topic of a PUBLISH or a will. `self` is the connected identity: no other's tree is allowed. */
enum topic_kind topic_parse(struct str topic, const struct mqtt_self *self, struct topic *out);

/* ---- subscription filters (3.1, 7) ---- */

enum filter_kind {
	FILTER_REFUSED = 0, /* SUBACK 0x80 (D-35) */
	FILTER_TWIN_RES,    /* $iothub/twin/res/# */
	FILTER_DESIRED,     /* $iothub/twin/PATCH/properties/desired/# */
	FILTER_METHODS,     /* $iothub/methods/POST/# */
	FILTER_METHOD,      /* $iothub/methods/POST/{name}/# */
	FILTER_C2D,         /* devices/{d}/messages/devicebound/#, or # (devices only) */
	FILTER_MODULE_ALL, /* devices/{d}/modules/{m}/#, or # (modules only, as are the next two) */
	FILTER_MODULE_INPUTS, /* devices/{d}/modules/{m}/inputs/# */
	FILTER_MODULE_C2D,    /* devices/{d}/modules/{m}/messages/devicebound/# (D-78) */
	FILTER_KINDS
};

/* Two texts of the same kind (and name) are the same subscription: `+` for an own id (D-32) and a left-out
 * final `#` make no difference. *name is set for FILTER_METHOD, else empty. */
enum filter_kind filter_parse(struct str filter, const struct mqtt_self *self, struct str *name);

/* ---- property bags of telemetry (6.1) ---- */

enum bag_key {
	BAG_CUSTOM = 0,         /* also every system-looking key that is not known */
	BAG_MESSAGE_ID,         /* $.mid */
	BAG_CORRELATION_ID,     /* $.cid */
	BAG_USER_ID,            /* $.uid */
	BAG_TO,                 /* $.to */
	BAG_CONTENT_TYPE,       /* $.ct */
	BAG_CONTENT_ENCODING,   /* $.ce */
	BAG_EXPIRY,             /* $.exp */
	BAG_CREATED,            /* $.ctime */
	BAG_OUTPUT,             /* $.on */
	BAG_INTERFACE,          /* $.ifid */
	BAG_SUBJECT,            /* $.sub */
	BAG_DEVICE_ID,          /* $.cdid: never to be trusted (D-63) */
	BAG_MODULE_ID,          /* $.cmid: never to be trusted */
	BAG_SCHEMA,             /* $.schema */
	BAG_DIAGNOSTIC_ID,      /* $.diagid */
	BAG_DIAGNOSTIC_CONTEXT, /* $.diagctx */
	BAG_KEYS
};

/* Decoded: any bytes, not necessarily UTF-8; they are in *text until the next call. */
struct bag_pair {
	enum bag_key system;
	struct str key, value;
	bool has_value; /* false: no '=' */
};

/* Take the next pair off *rest; false at the end. Empty parts between '&' are passed over. `+` stays `+`
 * (D-62); invalid percent sequences stay as they are. The caller owns *text (buf_fini). */
bool bag_next(struct str *rest, struct buf *text, struct bag_pair *pair);

/*
 * A pair as a device reads it (6.2): the key's name on the wire, of BAG_CUSTOM `name`, then the value, all but A-Za-z0-9-_.~ as %XX; with
 * `&` before it unless it is the first. Appended.
 */
void bag_put(struct buf *out, enum bag_key key, struct str name, struct str value, bool first);

/* The name under which a system property is stored, e.g. "message-id"; empty for BAG_CUSTOM. */
struct str bag_key_name(enum bag_key k);

/* ---- topics of publishes to clients: each appends the whole topic ---- */

void topic_put_twin_got(struct buf *out, struct str rid);                      /* 200 (D-43) */
void topic_put_twin_patched(struct buf *out, struct str rid, int64_t version); /* 204 (D-45) */
void topic_put_twin_error(struct buf *out, int status, struct str rid); /* three digits (4.2) */
void topic_put_desired(struct buf *out, int64_t version);               /* D-52 */
/* devices/{d}/messages/devicebound/, to be followed by the bag (6.2). */
void topic_put_devicebound(struct buf *out, struct str device);
/* rid is of [0-9a-z]+, name is method_name_valid(): asserted (D-55). */
void topic_put_method(struct buf *out, struct str name, struct str rid);

/* 1 to 128 printable ASCII characters without space $ ( ) < > @ , ; : \ " / [ ] ? = { } (5), nor % (python
 * decodes it), nor the wildcards + and #, which no topic may hold. */
#define METHOD_NAME_MAX 128
bool method_name_valid(struct str name);

#endif
