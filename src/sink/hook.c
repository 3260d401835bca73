/*
 * Webhooks (E-40 to E-44): one thread and one libcurl multi handle for all of them.
 *
 *   a batch is due --not asked yet--> OPTIONS --it wants them--> POST --2xx--> the batch is over
 *                  \--asked------------------------------------/
 *
 * Nothing of the environment counts (proxies, .netrc), redirects are answers like others, and the socket of each connection is made by
 * us: so where it goes is judged by its address, whatever a name resolves to by then.
 */
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/clock.h"
#include "sink/priv.h"

#define ANSWER_MAX         (64u << 10) /* bytes that are read of an answer, and of its head */
#define CONNECT_MS         10000
#define LOOK_MS            60000
#define MINUTE_US          (INT64_C(60) * 1000000)
#define STATUS_ANSWERED(s) ((s) >= 200)

struct hooks {
	CURLM *multi;
	struct thread thread;
	pthread_cond_t gone;
	bool stop;
	struct sender *list; /* with all->mu */
};

/* One webhook; the thread's, but for what hook_open makes. */
struct hook {
	struct sender *s;
	CURL *easy;
	struct curl_slist *headers;
	struct buf body;
	struct part part;
	bool running, asking; /* a request is under way; it is the handshake's */
	bool agreed;          /* it wants them */
	int64_t gap_us;       /* between requests */
	bool closed;          /* with all->mu: the thread has let go of it */
	/* of the answer under way */
	size_t nread;
	bool overlong;
	bool allowed;
	uint64_t rate;                   /* requests a minute; 0: any */
	char refused[NET_ADDR_TEXT_MAX]; /* an address that is not open */
	char error[CURL_ERROR_SIZE];
};

/* ---- callbacks ---- */

static size_t
count(struct hook *h, size_t n)
{
	h->nread += n;
	h->overlong = h->nread > ANSWER_MAX;
	return h->overlong ? 0 : n; /* fewer than came: libcurl ends the transfer */
}

static size_t
on_body(char *p, size_t size, size_t n, void *ctx)
{
	(void)p;
	return count(ctx, size * n);
}

static struct str
trimmed(struct str s)
{
	while (s.n > 0 && char_among(s.p[0], " \t"))
		s = str_sub(s, 1);
	while (s.n > 0 && char_among(s.p[s.n - 1], " \t\r\n"))
		s.n--;
	return s;
}

static bool
names_origin(const struct hook *h, struct str value)
{
	return str_eq(value, STR("*")) || str_ieq(value, h->s->spec.origin);
}

static size_t
on_header(char *p, size_t size, size_t n, void *ctx)
{
	struct hook *h = ctx;
	struct str name, value;

	if (str_cut((struct str){ p, size * n }, ':', &name, &value)) {
		value = trimmed(value);
		if (str_ieq(name, STR("webhook-allowed-origin")))
			h->allowed = names_origin(h, value);
		else if (str_ieq(name, STR("webhook-allowed-rate")) && !str_u64(value, &h->rate))
			h->rate = 0; /* "*" */
	}
	return count(h, size * n);
}

/* The one place where a connection begins. */
static curl_socket_t
on_open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct hook *h = ctx;
	struct net_addr a = net_addr_of(&address->addr);

	(void)purpose;
	if (!sink_address_open(&a, &h->s->all->o.allow)) {
		net_addr_text(&a, h->refused);
		return CURL_SOCKET_BAD;
	}
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* ---- requests ---- */

static void
add_header(struct hook *h, const char *fmt, ...)
{
	char *text;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		out_of_memory(256);
	h->headers = curl_slist_append(h->headers, text);
	free(text);
}

static void
add_signature(struct hook *h)
{
	int64_t time_s = clock_wall_us() / 1000000;
	struct buf mac = { 0 };
	char id[SIGN_ID_MAX];

	sign_id(buf_view(&h->body), id);
	sign_body(&mac, h->s->spec.secret, id, time_s, buf_view(&h->body));
	add_header(h, "webhook-id: %s", id);
	add_header(h, "webhook-timestamp: %lld", (long long)time_s);
	add_header(h, "webhook-signature: " STR_FMT, STR_ARG(buf_view(&mac)));
	buf_fini(&mac);
}

static void
begin_post(struct hook *h)
{
	const struct sink_batch *b = h->s->batch;

	h->body.n = 0;
	for (uint32_t i = 0; i < h->part.n; i++) {
		buf_putc(&h->body, i == 0 ? '[' : ',');
		buf_str(&h->body, sink_batch_json(b, h->part.from + i));
	}
	buf_putc(&h->body, ']');
	add_header(h, "Content-Type: application/cloudevents-batch+json; charset=utf-8");
	if (h->s->spec.secret.n > 0)
		add_signature(h);
	curl_easy_setopt(h->easy, CURLOPT_NOBODY, 0L);
	curl_easy_setopt(h->easy, CURLOPT_POST, 1L);
	curl_easy_setopt(h->easy, CURLOPT_CUSTOMREQUEST, NULL);
	curl_easy_setopt(h->easy, CURLOPT_POSTFIELDS, h->body.p);
	curl_easy_setopt(h->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)h->body.n);
}

static void
begin_handshake(struct hook *h)
{
	add_header(h, "WebHook-Request-Origin: " STR_FMT, STR_ARG(h->s->spec.origin));
	add_header(h, "WebHook-Request-Rate: *");
	curl_easy_setopt(h->easy, CURLOPT_HTTPGET, 1L);
	curl_easy_setopt(h->easy, CURLOPT_CUSTOMREQUEST, "OPTIONS");
}

static void
begin(struct hooks *all, struct hook *h)
{
	h->asking = !h->agreed && h->s->spec.origin.n > 0;
	h->nread = 0;
	h->rate = 0;
	h->overlong = h->allowed = false;
	h->refused[0] = h->error[0] = '\0';
	curl_slist_free_all(h->headers);
	h->headers = NULL;
	add_header(h, "Expect:"); /* none: the body goes at once */
	if (h->s->spec.token.n > 0)
		add_header(h, "Authorization: Bearer " STR_FMT, STR_ARG(h->s->spec.token));
	if (h->asking)
		begin_handshake(h);
	else
		begin_post(h);
	curl_easy_setopt(h->easy, CURLOPT_HTTPHEADER, h->headers);
	h->running = true;
	curl_multi_add_handle(all->multi, h->easy);
}

/* ---- answers ---- */

static void
no_answer(const struct hook *h, CURLcode code, struct attempt *a)
{
	if (h->refused[0] != '\0')
		attempt_failed(a, ATTEMPT_REFUSED,
		    "the address %s is not public: --sink-allow would allow it", h->refused);
	else
		attempt_failed(a, ATTEMPT_AGAIN, "no answer: %s",
		    h->error[0] != '\0' ? h->error : curl_easy_strerror(code));
}

static void
asked_to_wait(const struct hook *h, struct attempt *a)
{
	curl_off_t s = 0;

	if (curl_easy_getinfo(h->easy, CURLINFO_RETRY_AFTER, &s) == CURLE_OK && s > 0)
		a->asked_us = s < PACE_ASKED_US / 1000000 ? (int64_t)s * 1000000 : PACE_ASKED_US;
}

/* What it says of the batch, or of the question whether it wants any. */
static void
judge(struct hook *h, long status, struct attempt *a)
{
	a->end = attempt_of_status(status);
	if (h->asking && a->end == ATTEMPT_TOO_LARGE)
		a->end = ATTEMPT_REFUSED;
	if (h->asking && a->end == ATTEMPT_TAKEN && !h->allowed) {
		attempt_failed(a, ATTEMPT_REFUSED,
		    "its answer to OPTIONS does not allow it: no WebHook-Allowed-Origin "
		    "with " STR_FMT,
		    STR_ARG(h->s->spec.origin));
		return;
	}
	if (a->end == ATTEMPT_TAKEN)
		return;
	attempt_failed(
	    a, a->end, "the answer to %s is %ld", h->asking ? "OPTIONS" : "POST", status);
	if (a->end == ATTEMPT_AGAIN)
		asked_to_wait(h, a);
	if (status == 401 || status == 403 || status == 404)
		h->agreed = false;
}

/* It wants them: the batch goes at once, as the same attempt. */
static void
agreed(struct hooks *all, struct hook *h)
{
	h->agreed = true;
	h->gap_us =
	    h->rate > 0 ? MINUTE_US / (int64_t)(h->rate < MINUTE_US ? h->rate : MINUTE_US) : 0;
	begin(all, h);
}

static void
finish(struct hooks *all, struct hook *h, CURLcode code)
{
	struct senders *senders = h->s->all;
	struct attempt a = { .end = ATTEMPT_TAKEN };
	long status = 0;

	curl_multi_remove_handle(all->multi, h->easy);
	h->running = false;
	curl_easy_getinfo(h->easy, CURLINFO_RESPONSE_CODE, &status);
	if (STATUS_ANSWERED(status) && (code == CURLE_OK || h->overlong))
		judge(h, status, &a);
	else
		no_answer(h, code, &a);
	if (h->asking && a.end == ATTEMPT_TAKEN) {
		agreed(all, h);
		return;
	}
	pthread_mutex_lock(&senders->mu);
	pace_not_before(&h->s->pace, clock_mono_us() + h->gap_us);
	pthread_mutex_unlock(&senders->mu);
	sender_ended(h->s, h->part, &a);
}

/* ---- the thread ---- */

static void
let_go(struct hooks *hooks, struct hook *h)
{
	if (h->running)
		curl_multi_remove_handle(hooks->multi, h->easy);
	h->running = false;
	h->closed = true;
	pthread_cond_broadcast(&hooks->gone);
}

/* With the lock held: those that end, those that begin. When the next one is due. */
static int64_t
look_around(struct hooks *hooks, int64_t now_us)
{
	int64_t due_us = now_us + (int64_t)LOOK_MS * 1000;
	struct sender **at = &hooks->list;

	while (*at != NULL) {
		struct sender *s = *at;
		struct hook *h = s->way;

		if (s->ending) {
			*at = s->next;
			let_go(hooks, h);
			continue;
		}
		if (sender_begins(s, now_us, &h->part, &due_us))
			begin(hooks, h);
		at = &s->next;
	}
	return due_us;
}

/* Were there any? What has been answered may have more to send at once. */
static bool
take_answers(struct hooks *hooks)
{
	CURLMsg *m;
	bool any = false;
	int left;

	while ((m = curl_multi_info_read(hooks->multi, &left)) != NULL) {
		struct hook *h = NULL;
		CURLcode code = m->data.result;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&h);
		finish(hooks, h, code);
		any = true;
	}
	return any;
}

static void
hooks_main(void *ctx)
{
	struct senders *all = ctx;
	struct hooks *hooks = all->hooks;
	int running;
	bool stop;

	do {
		int64_t now_us = clock_mono_us(), due_us;

		pthread_mutex_lock(&all->mu);
		due_us = look_around(hooks, now_us);
		stop = hooks->stop;
		pthread_mutex_unlock(&all->mu);
		curl_multi_perform(hooks->multi, &running);
		if (!take_answers(hooks) && !stop)
			curl_multi_poll(
			    hooks->multi, NULL, 0, (int)((due_us - now_us + 999) / 1000), NULL);
	} while (!stop);
}

enum err
hooks_new(struct senders *all, struct fault *f)
{
	struct hooks *hooks = xcalloc(1, sizeof(*hooks));

	curl_global_init(CURL_GLOBAL_DEFAULT);
	hooks->multi = curl_multi_init();
	if (hooks->multi == NULL)
		out_of_memory(sizeof(void *));
	cond_init(&hooks->gone);
	all->hooks = hooks;
	return thread_start(&hooks->thread, hooks_main, all, f, "webhooks");
}

void
hooks_free(struct senders *all)
{
	struct hooks *hooks = all->hooks;

	if (hooks == NULL)
		return;
	pthread_mutex_lock(&all->mu);
	hooks->stop = true;
	pthread_mutex_unlock(&all->mu);
	curl_multi_wakeup(hooks->multi);
	thread_join(&hooks->thread);
	curl_multi_cleanup(hooks->multi);
	pthread_cond_destroy(&hooks->gone);
	free(hooks);
	curl_global_cleanup();
}

/* ---- one ---- */

static void
set_pem(CURL *easy, CURLoption option, struct str pem)
{
	struct curl_blob blob = { .len = pem.n, .flags = CURL_BLOB_COPY };

	memcpy(&blob.data, &pem.p, sizeof blob.data); /* it is copied, though not const */
	if (pem.n > 0)
		curl_easy_setopt(easy, option, &blob);
}

static CURLcode
set_up(struct hook *h)
{
	const struct sink_spec *p = &h->s->spec;
	CURL *easy = h->easy;

	curl_easy_setopt(easy, CURLOPT_PRIVATE, (char *)h);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, h->error);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "twinhub/" TWINHUB_VERSION);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)p->timeout_s * 1000);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
	    (long)p->timeout_s * 1000 < CONNECT_MS ? (long)p->timeout_s * 1000 : CONNECT_MS);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, h);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, h);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, h);
	set_pem(easy, CURLOPT_SSLCERT_BLOB, p->client_certificate);
	set_pem(easy, CURLOPT_SSLKEY_BLOB, p->client_key);
	if (p->ca.n > 0) { /* this one, and not the system's besides */
		curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
		set_pem(easy, CURLOPT_CAINFO_BLOB, p->ca);
	}
	if (curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https") != CURLE_OK)
		return CURLE_UNSUPPORTED_PROTOCOL;
	return curl_easy_setopt(easy, CURLOPT_URL, p->url.p);
}

static enum err
check_url(struct str url, struct fault *f)
{
	CURLU *u = curl_url();
	char *user = NULL, *scheme = NULL;
	CURLUcode code = curl_url_set(u, CURLUPART_URL, url.p, CURLU_NON_SUPPORT_SCHEME);
	enum err e = ERR_OK;

	if (code == CURLUE_OK)
		code = curl_url_get(u, CURLUPART_SCHEME, &scheme, 0);
	if (code != CURLUE_OK)
		e = fault_set(f, F_ArgumentInvalid, "url: %s", curl_url_strerror(code));
	else if (strcasecmp(scheme, "https") != 0)
		e = fault_set(f, F_ArgumentInvalid, "url: it does not begin with https://");
	else if (curl_url_get(u, CURLUPART_USER, &user, 0) == CURLUE_OK)
		e = fault_set(f, F_ArgumentInvalid, "url: it has a user in it");
	curl_free(scheme);
	curl_free(user);
	curl_url_cleanup(u);
	return e;
}

static void
hook_free(struct hook *h)
{
	curl_easy_cleanup(h->easy);
	curl_slist_free_all(h->headers);
	buf_fini(&h->body);
	free(h);
}

static enum err
hook_open(struct sender *s, struct fault *f)
{
	struct hooks *hooks = s->all->hooks;
	struct hook *h;

	if (s->spec.url.n == 0)
		return fault_set(f, F_ArgumentInvalid, "url: it is missing");
	if (check_url(s->spec.url, f) != ERR_OK)
		return ERR_ARG;
	h = xcalloc(1, sizeof(*h));
	h->s = s;
	h->easy = curl_easy_init();
	if (h->easy == NULL)
		out_of_memory(sizeof(void *));
	if (set_up(h) != CURLE_OK) {
		hook_free(h);
		return fault_set(f, F_ServerError, "libcurl of this machine speaks no https");
	}
	pthread_mutex_lock(&s->all->mu);
	s->way = h;
	s->next = hooks->list;
	hooks->list = s;
	pthread_mutex_unlock(&s->all->mu);
	return ERR_OK;
}

static void
hook_wake(struct sender *s)
{
	curl_multi_wakeup(s->all->hooks->multi);
}

static void
hook_close(struct sender *s)
{
	struct hook *h = s->way;

	pthread_mutex_lock(&s->all->mu);
	while (!h->closed)
		pthread_cond_wait(&s->all->hooks->gone, &s->all->mu);
	pthread_mutex_unlock(&s->all->mu);
	hook_free(h);
}

const struct sender_ops hook_ops = { hook_open, hook_wake, hook_close };
