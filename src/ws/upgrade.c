/* The opening handshake: RFC 6455, 4.2. */
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <openssl/evp.h>
#include <strings.h>

#include "ws/priv.h"

static struct str
trim(struct str s)
{
	while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
		s = str_sub(s, 1);
	while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

/* The element of a comma-separated header that equals `token` in any case, as the client spelt it; the header may come
 * several times. STR_NONE if there is none; *any tells whether the header has elements at all. */
static struct str
find_token(struct evhttp_request *req, const char *name, struct str token, bool *any)
{
	struct evkeyvalq *headers = evhttp_request_get_input_headers(req);
	struct evkeyval *h;

	*any = false;
	for (h = headers->tqh_first; h; h = h->next.tqe_next) {
		struct str rest = str_of(h->value), part;

		if (strcasecmp(h->key, name) != 0)
			continue;
		for (bool more = true; more;) {
			more = str_cut(rest, ',', &part, &rest);
			part = trim(part);
			*any |= part.n > 0;
			if (str_ieq(part, token))
				return part;
		}
	}
	return STR_NONE;
}

bool
ws_wanted(struct evhttp_request *req)
{
	bool any;

	return find_token(req, "Upgrade", STR("websocket"), &any).n > 0;
}

/* base64(SHA-1(key + the RFC's GUID)) */
static void
put_accept(struct buf *head, struct str key)
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	unsigned char digest[EVP_MAX_MD_SIZE];
	struct buf b = { 0 };
	unsigned n;

	buf_str(&b, key);
	buf_cstr(&b, guid);
	EVP_Digest(b.p, b.n, digest, &n, EVP_sha1(), NULL);
	base64_encode(head, digest, n);
	buf_fini(&b);
}

/* 16 bytes in base64 */
static bool
key_valid(struct str key)
{
	struct buf b = { 0 };
	bool ok = base64_decode(&b, key) && b.n == 16;

	buf_fini(&b);
	return ok;
}

enum err
upgrade_answer(
    struct evhttp_request *req, const char *subprotocol, struct buf *head, struct fault *f)
{
	struct evkeyvalq *headers = evhttp_request_get_input_headers(req);
	struct str key = trim(str_of(evhttp_find_header(headers, "Sec-WebSocket-Key"))), spelt;
	bool any;

	if (evhttp_request_get_command(req) != EVHTTP_REQ_GET || !ws_wanted(req) ||
	    find_token(req, "Connection", STR("upgrade"), &any).n == 0)
		return fault_set(
		    f, F_InvalidOperation, "a WebSocket is opened by GET with Upgrade: websocket");
	if (find_token(req, "Sec-WebSocket-Version", STR("13"), &any).n == 0)
		return fault_set(f, F_InvalidProtocolVersion, "Sec-WebSocket-Version must be 13");
	if (!key_valid(key))
		return fault_set(
		    f, F_ArgumentInvalid, "Sec-WebSocket-Key must be 16 bytes in base64");
	spelt = find_token(req, "Sec-WebSocket-Protocol", str_of(subprotocol), &any);
	if (spelt.n == 0 && any)
		return fault_set(f, F_InvalidOperation, "the only WebSocket subprotocol here is %s",
		    subprotocol);
	buf_cstr(head,
	    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Accept: ");
	put_accept(head, key);
	if (spelt.n > 0)
		buf_printf(head, "\r\nSec-WebSocket-Protocol: " STR_FMT, STR_ARG(spelt));
	buf_cstr(head, "\r\n\r\n");
	return ERR_OK;
}
