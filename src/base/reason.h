/*
 * Why a connection, a CONNECT or a request was refused, and why a connection ended: one table for the log, stories of
 * connections, events and metrics. There is no other text for any of them.
 *
 * A row: name, id (what programs look for: never changed, never used again), who ended it, level of its log line, text.
 */
#ifndef TWINHUB_REASON_H
#define TWINHUB_REASON_H

enum reason_by {
	BY_PEER,    /* it left, or what it sent or left undone is the cause */
	BY_HUB,     /* a bound of ours, the time, our disk */
	BY_OPERATOR /* who runs the hub: a stop, a disabled device, a new key */
};

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* clang-format off */
#define REASONS_OF(X) \
	/* a connection is not admitted */ \
	X(TOO_MANY_CONNECTIONS, "too-many-connections", HUB, WARN, "the hub has as many connections as it may (--max-connections)") \
	X(TOO_MANY_OF_ADDRESS, "too-many-of-address", HUB, WARN, "the address has as many connections as one may, and devices behind one NAT share an address (--max-connections-per-address, --address-free)") \
	X(NO_DESCRIPTORS, "no-descriptors", HUB, ERROR, "the program has no descriptor left for it") \
	X(PROXY_HEADER, "proxy-header", PEER, WARN, "the peer is a balancer (--proxy) and did not name its client, by PROXY protocol version 2") \
	/* a TLS handshake does not come to its end */ \
	X(TLS_FAILED, "tls-failed", PEER, INFO, "the TLS handshake failed") \
	X(TLS_LEFT, "tls-left", PEER, DEBUG, "the peer left before the TLS handshake was done") \
	X(TLS_LATE, "tls-late", PEER, INFO, "the TLS handshake was not done in time (--connect-timeout, --request-timeout)") \
	/* a CONNECT is refused */ \
	X(CONNECT_LATE, "connect-late", PEER, INFO, "there was no whole CONNECT in time (--connect-timeout)") \
	X(CONNECT_BYTES, "connect-bytes", HUB, WARN, "the bytes of unfinished CONNECTs, of all clients together, are over their bound") \
	X(CONNECT_LEVEL, "connect-level", PEER, INFO, "the protocol level is not MQTT 3.1.1") \
	X(CLIENT_ID_EMPTY, "client-id-empty", PEER, INFO, "the client id is empty") \
	X(CLIENT_ID_OTHER, "client-id-other", PEER, INFO, "the client id is not the user name's") \
	X(USER_NAME, "user-name", PEER, INFO, "the user name is not of the form {host}/{device}/?api-version=...") \
	X(HOST_NAME, "host-name", PEER, INFO, "the user name's host is not a name of this hub (serve --hostname)") \
	X(WILL, "will", PEER, INFO, "the will is not telemetry of this device, or is too large") \
	X(NO_CREDENTIALS, "no-credentials", PEER, INFO, "neither a token nor a certificate") \
	X(TOKEN_FORM, "token-form", PEER, INFO, "not a SAS token") \
	X(TOKEN_SECONDS, "token-seconds", PEER, INFO, "the end of the SAS token, se, is not a whole number of seconds") \
	X(TOKEN_EXPIRED, "token-expired", PEER, INFO, "the token has expired") \
	X(TOKEN_RESOURCE, "token-resource", PEER, INFO, "the token is for another resource") \
	X(TOKEN_LIFE, "token-life", PEER, INFO, "the token ends later than --max-token-ttl allows") \
	X(POLICY_UNKNOWN, "policy-unknown", PEER, INFO, "unknown policy") \
	X(POLICY_SIGNATURE, "policy-signature", PEER, INFO, "the signature is not the policy's") \
	X(POLICY_RIGHTS, "policy-rights", PEER, INFO, "the policy lacks the right to it") \
	X(KEY_NOT_USED, "key-not-used", PEER, INFO, "the identity does not authenticate by key") \
	X(KEY_SIGNATURE, "key-signature", PEER, INFO, "the signature is not the identity's") \
	X(CERTIFICATE_NOT_USED, "certificate-not-used", PEER, INFO, "the identity does not authenticate by certificate") \
	X(CERTIFICATE_EXPIRED, "certificate-expired", PEER, INFO, "the certificate has expired") \
	X(CERTIFICATE_EARLY, "certificate-early", PEER, INFO, "the certificate is not valid yet") \
	X(CERTIFICATE_PRINT, "certificate-print", PEER, INFO, "the certificate has another thumbprint") \
	X(CERTIFICATE_CA, "certificate-ca", PEER, INFO, "the certificate does not lead to a registered CA") \
	X(CERTIFICATE_CA_DAYS, "certificate-ca-days", PEER, INFO, "a CA certificate of the certificate's chain has expired, or is not valid yet") \
	X(CERTIFICATE_REVOKED, "certificate-revoked", PEER, INFO, "the certificate, or a CA of its chain, is on a list of revoked ones (--client-crl)") \
	X(CERTIFICATE_NAME, "certificate-name", PEER, INFO, "the certificate's common name is another id") \
	X(NESTED_EDGE, "nested-edge", PEER, INFO, "an edge device asks for one below it (auth-chain), which is not served: NestedEdgeEnabled=false of $edgeHub makes it ask otherwise") \
	X(AUTH_BACKOFF, "auth-backoff", PEER, INFO, "its attempts to authenticate have failed again and again, so it has to wait (--auth-backoff)") \
	X(IDENTITY_UNKNOWN, "identity-unknown", PEER, INFO, "no such identity") \
	X(NO_WRITES, "no-writes", HUB, WARN, "the store takes no writes") \
	X(UNAVAILABLE, "unavailable", HUB, WARN, "the hub cannot do it at the moment") \
	X(FAILED, "failed", HUB, ERROR, "the hub failed at it") \
	X(RATE_LIMIT, "rate-limit", HUB, WARN, "it is done more often than a rate limit allows") \
	X(OVERLOADED, "overloaded", HUB, WARN, "the hub has more to do than it may take on") \
	/* a connection ends; some of these refuse a CONNECT, too */ \
	X(LEFT, "left", PEER, INFO, "the peer closed the connection without DISCONNECT") \
	X(GOODBYE, "goodbye", PEER, INFO, "DISCONNECT, or the end of a conversation in good order") \
	X(LINK_FAILED, "link-failed", PEER, INFO, "a socket or TLS error") \
	X(KEEP_ALIVE, "keep-alive", PEER, INFO, "no packet for one and a half keep-alive intervals") \
	X(TOKEN_END, "token-end", PEER, INFO, "the token that opened the connection has ended") \
	X(SLOW_READER, "slow-reader", PEER, WARN, "the peer does not read what is sent to it") \
	X(LINK_BYTES, "link-bytes", HUB, WARN, "what all links together have half sent and not read is over its bound, and this one holds most of it") \
	X(MALFORMED, "malformed", PEER, INFO, "a packet that MQTT 3.1.1 or the hub's limits do not allow") \
	X(OUT_OF_TURN, "out-of-turn", PEER, INFO, "a packet that may not come at this point") \
	X(TOPIC, "topic", PEER, INFO, "a PUBLISH to a topic that is not the device's") \
	X(MESSAGE_SIZE, "message-size", PEER, INFO, "a message of more than 256 KB") \
	X(WEBSOCKET, "websocket", PEER, INFO, "a frame that RFC 6455 does not allow, or text") \
	X(TAKEN_OVER, "taken-over", PEER, INFO, "a newer connection of the identity has taken its place") \
	X(KEY_CHANGED, "key-changed", OPERATOR, INFO, "the key or certificate that opened it is the identity's no more") \
	X(PARENT_KEY_CHANGED, "parent-key-changed", OPERATOR, INFO, "the key or certificate that opened it is the device's no more") \
	X(POLICY_KEY_CHANGED, "policy-key-changed", OPERATOR, INFO, "the key of its token is the policy's no more") \
	X(CA_REMOVED, "ca-removed", OPERATOR, INFO, "the CA of its certificate is no client CA of this hub any more") \
	X(DISABLED, "disabled", OPERATOR, INFO, "the device is disabled") \
	X(DELETED, "deleted", OPERATOR, INFO, "the identity is deleted") \
	X(KICKED, "kicked", OPERATOR, INFO, "somebody who may asked for its end (DELETE of the connection), the peer may come again") \
	X(HUB_ENDED, "hub-ended", HUB, INFO, "the hub ended without closing it: it was killed, crashed or lost its power") \
	X(SHARD_MOVED, "shard-moved", HUB, INFO, "its shard is served elsewhere from now on: who comes again is let in") \
	X(OWNER_UNREACHED, "owner-unreached", HUB, WARN, "the node that serves its shard has not been reached for 10 s from the one that it is connected to") \
	X(IDENTITY_CHANGED, "identity-changed", HUB, INFO, "its shard has a new owner, and its identity is not as it was when the session began") \
	X(DESIRED_MISSED, "desired-missed", HUB, INFO, "its shard has a new owner, and it may not have been told of its newest desired properties") \
	X(STALE, "stale", HUB, INFO, "the session had ended already") \
	X(NOT_STORED, "not-stored", HUB, WARN, "what it sent could not be stored, and MQTT has no answer that says so") \
	X(STOPPING, "stopping", OPERATOR, INFO, "the hub stops") \
	/* a request is refused, or its connection ends */ \
	X(QUOTA, "quota", HUB, INFO, "what the hub is set to allow is used up, or it is not set to do this") \
	X(NOT_SERVED, "not-served", HUB, INFO, "the hub does not do what was asked for") \
	X(DEVICE_ANSWER, "device-answer", PEER, INFO, "what the device answered to a method cannot be passed on") \
	X(DEVICE_LATE, "device-late", PEER, INFO, "the device did not answer a method in time") \
	X(REQUEST_LATE, "request-late", PEER, INFO, "there was no whole request in time (--request-timeout)") \
	X(REQUEST_IDLE, "request-idle", HUB, DEBUG, "no further request in time") \
	X(REQUEST_BYTES, "request-bytes", HUB, WARN, "the bytes of unfinished requests, of all clients together, are over their bound") \
	X(REQUEST_CUT, "request-cut", PEER, INFO, "the peer left before its request was whole or had its answer") \
	X(REQUESTS_DONE, "requests-done", PEER, DEBUG, "the peer ended the connection while it had no request under way, or had asked for its end") \
	X(REQUEST_FRAMING, "request-framing", PEER, WARN, "what came is no request as RFC 9112 has it, or is too large") \
	/* a request is answered, and late */ \
	X(SLOW_QUERY, "slow-query", PEER, WARN, "a query took longer than --slow-query") \
	/* something of a session is refused, and the session goes on */ \
	X(FILTER, "filter", PEER, INFO, "a topic filter that the hub does not have, or one too many") \
	X(WATCH_SLOW, "watch-slow", PEER, WARN, "changes come faster than who watches a query reads them") \
	X(WATCH_ROWS, "watch-rows", HUB, INFO, "a query that is watched has more rows than one may have") \
	X(NOTIFICATION_SIZE, "notification-size", HUB, WARN, "a notification over the size that a packet may have") \
	/* by order of a test */ \
	X(ORDERED, "ordered", OPERATOR, INFO, "a test has ordered it to go wrong (POST /admin/faults)")
/* clang-format on */

enum reason {
	REASON_NONE,
#define X(name, id, by, level, text) REASON_##name,
	REASONS_OF(X)
#undef X
	    REASONS
};

const char *reason_id(enum reason r);   /* "keep-alive"; "none" */
const char *reason_text(enum reason r); /* one line, no ';' */
enum reason_by reason_by(enum reason r);
const char *reason_by_name(enum reason_by by); /* "peer", "hub", "operator" */
enum log_level reason_level(enum reason r);

#endif
