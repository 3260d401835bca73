/* simulate: a crowd of devices (device/crowd.h) against a running hub: registered or taken over, watched while they run, removed if asked. */
#include "cli/priv.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "device/crowd.h"

#define ID_PREFIX  "sim-"
#define CHUNK      100 /* devices in a bulk call */
#define FILES_OWN  64  /* descriptors besides those of devices */
#define MQTTS_PORT 8883
#define MADE_BY    "made by twinhub simulate" /* statusReason: what --cleanup may remove */
#define KEY_BYTES  32
#define LINE_US    (INT64_C(1) * 1000000)  /* between two lines on a terminal */
#define QUIET_US   (INT64_C(10) * 1000000) /* and where there is none */

struct simulation {
	const struct args *a;
	struct target t;
	uint16_t mqtts_port;
	struct crowd_key *keys;
	bool *ours; /* by device: it may be removed */
	unsigned n, nmade;
	SSL_CTX *tls;
};

static volatile sig_atomic_t stopped;

static void
on_signal(int sig)
{
	(void)sig;
	stopped = 1;
}

/* ---- identities ---- */

static bool
key_make(char out[CROWD_KEY_MAX])
{
	unsigned char bytes[KEY_BYTES];
	struct buf text = { 0 };
	bool ok = RAND_bytes(bytes, sizeof(bytes)) == 1;

	base64_encode(&text, bytes, sizeof(bytes));
	snprintf(out, CROWD_KEY_MAX, STR_FMT, STR_ARG(buf_view(&text)));
	OPENSSL_cleanse(bytes, sizeof(bytes));
	OPENSSL_cleanse(text.p, text.n);
	buf_fini(&text);
	return ok;
}

static void
item_put(struct out *o, const struct crowd_key *key, bool create)
{
	out_open(o);
	out_cstr(out_key(o, "id"), key->id);
	out_cstr(out_key(o, "importMode"), create ? "create" : "delete");
	if (create) {
		out_cstr(out_key(o, "status"), "enabled");
		out_cstr(out_key(o, "statusReason"), MADE_BY);
		out_open(out_key(o, "authentication"));
		out_cstr(out_key(o, "type"), "sas");
		out_open(out_key(o, "symmetricKey"));
		out_cstr(out_key(o, "primaryKey"), key->key);
		out_cstr(out_key(o, "secondaryKey"), key->key);
		out_close(o);
		out_close(o);
	}
	out_close(o);
}

/* Those of a chunk that `some` is true of (create: all). answer: what came of it; 400 with a list of errors is one, too. */
static int
bulk(struct simulation *s, unsigned from, unsigned n, bool create, struct answer *answer)
{
	struct buf body = { 0 };
	struct out o = out_to(&body);
	char why[WHY_MAX] = "";
	unsigned nitem = 0;
	int code = EXIT_DONE;

	out_list(&o);
	for (unsigned i = from; i < from + n; i++)
		if (create || s->ours[i]) {
			item_put(&o, &s->keys[i], create);
			nitem++;
		}
	out_close(&o);
	if (nitem > 0)
		code = hub_try(&s->t,
		    &(struct ask){ .method = POST, .path = "/devices", .body = buf_view(&body) },
		    answer, why);
	OPENSSL_cleanse(body.p, body.n);
	buf_fini(&body);
	if (code != EXIT_DONE && answer->status != 400)
		return cli_fail((enum exit_code)code, "%s", why);
	return EXIT_DONE;
}

/* One that was there before: with its own key, which stays. */
static int
take_over(struct simulation *s, unsigned i)
{
	struct answer answer = { 0 };
	struct buf path = { 0 };
	struct str key;
	struct doc d;
	int code;

	subject_path(&path, "/devices/", (struct subject){ .device = str_of(s->keys[i].id) }, "");
	code = hub_call(&s->t, &(struct ask){ .method = GET, .path = path.p }, &answer);
	if (code == EXIT_DONE) {
		d = doc_of(buf_view(&answer.doc));
		key = doc_text(doc_getc(
		    doc_getc(doc_getc(d, "authentication"), "symmetricKey"), "primaryKey"));
		s->ours[i] = str_eq(doc_text(doc_getc(d, "statusReason")), STR(MADE_BY));
		if (key.n == 0 || key.n >= CROWD_KEY_MAX)
			code = cli_fail(EXIT_FAILED,
			    "%s is there already, and has no symmetric key: another --prefix",
			    s->keys[i].id);
		else
			snprintf(s->keys[i].key, CROWD_KEY_MAX, STR_FMT, STR_ARG(key));
	}
	answer_fini(&answer);
	buf_fini(&path);
	return code;
}

static int
chunk_register(struct simulation *s, unsigned from, unsigned n)
{
	struct answer answer = { 0 };
	struct doc_iter it;
	struct str key;
	struct doc one;
	int code;

	for (unsigned i = from; i < from + n; i++)
		if (!key_make(s->keys[i].key))
			return cli_fail(EXIT_FAILED, "there are no random numbers");
	if ((code = bulk(s, from, n, true, &answer)) != EXIT_DONE)
		goto done;
	for (unsigned i = from; i < from + n; i++)
		s->ours[i] = true;
	it = doc_iter(doc_getc(doc_of(buf_view(&answer.doc)), "errors"));
	while (answer.status == 400 && code == EXIT_DONE && doc_next(&it, &key, &one)) {
		struct str id = doc_text(doc_getc(one, "deviceId"));
		unsigned i = from;

		while (i < from + n && !str_eq(id, str_of(s->keys[i].id)))
			i++;
		if (i < from + n)
			s->ours[i] = false;
		if (i == from + n || doc_int(doc_getc(one, "errorCode")) != F_DeviceAlreadyExists)
			code = cli_fail(EXIT_FAILED, STR_FMT ": " STR_FMT, STR_ARG(id),
			    STR_ARG(doc_text(doc_getc(one, "errorStatus"))));
		else
			code = take_over(s, i);
	}
done:
	answer_fini(&answer);
	return code;
}

static int
identities(struct simulation *s)
{
	const char *prefix = s->a->option[OPT_SIM_PREFIX];
	int code = EXIT_DONE;

	if (prefix == NULL)
		prefix = ID_PREFIX;
	for (unsigned i = 0; i < s->n; i++) {
		int len = snprintf(s->keys[i].id, CROWD_ID_MAX, "%s%06u", prefix, i);

		if (len < 0 || (size_t)len >= CROWD_ID_MAX || !id_valid(str_of(s->keys[i].id)))
			return cli_fail(EXIT_USAGE,
			    "--prefix '%s': at most %u characters that ids may have", prefix,
			    CROWD_ID_MAX - 8);
	}
	for (unsigned at = 0; at < s->n && code == EXIT_DONE && !stopped; at += CHUNK)
		code = chunk_register(s, at, s->n - at < CHUNK ? s->n - at : CHUNK);
	for (unsigned i = 0; i < s->n; i++)
		s->nmade += s->ours[i];
	return code;
}

static int
clean_up(struct simulation *s)
{
	struct answer answer = { 0 };
	int code = EXIT_DONE;

	for (unsigned at = 0; at < s->n && code == EXIT_DONE; at += CHUNK) {
		code = bulk(s, at, s->n - at < CHUNK ? s->n - at : CHUNK, false, &answer);
		if (code == EXIT_DONE && answer.status == 400)
			code = cli_fail(EXIT_FAILED, "some devices could not be removed");
	}
	answer_fini(&answer);
	if (code == EXIT_DONE)
		cli_note("%u devices are removed", s->nmade);
	return code;
}

/* ---- one device by its own connection string ---- */

/* False: it is none of a device. */
static bool
single(struct simulation *s, const char *text, int *code)
{
	struct conn_string c;
	char why[WHY_MAX];

	if (text == NULL || !conn_string_parse(str_of(text), &c, why, sizeof(why)) ||
	    c.device.n == 0)
		return false;
	*code = EXIT_DONE;
	if (s->n != 1)
		*code = cli_fail(EXIT_USAGE, "a device's connection string is for --devices 1");
	else if (c.device.n >= CROWD_ID_MAX || c.key.n >= CROWD_KEY_MAX || c.host.n >= HOST_MAX)
		*code = cli_fail(EXIT_USAGE, "the connection string is too long");
	if (*code != EXIT_DONE || (*code = target_init(s->a, OPT_CA, &s->t)) != EXIT_DONE)
		return true;
	snprintf(s->keys[0].id, CROWD_ID_MAX, STR_FMT, STR_ARG(c.device));
	snprintf(s->keys[0].key, CROWD_KEY_MAX, STR_FMT, STR_ARG(c.key));
	snprintf(s->t.host, HOST_MAX, STR_FMT, STR_ARG(c.host));
	snprintf(s->t.address, HOST_MAX, STR_FMT, STR_ARG(c.host));
	return true;
}

static int
hub_find(struct simulation *s)
{
	const char *text, *dir = data_named(s->a);
	struct endpoint e;
	int code = connection_named(s->a, &text);

	s->mqtts_port = MQTTS_PORT;
	if (code != EXIT_DONE || single(s, text, &code))
		return code;
	if ((code = target_open(s->a, &s->t)) != EXIT_DONE)
		return code;
	if (text == NULL && endpoint_read(dir, &e) == ERR_OK)
		s->mqtts_port = e.mqtts_port;
	if (s->mqtts_port == 0)
		return cli_fail(EXIT_FAILED, "the hub serves no MQTT over TLS");
	return identities(s);
}

/* ---- what is shown ---- */

static void
put_errors(struct buf *line, const struct crowd_figures *f)
{
	uint64_t all = 0;
	const char *between = " (";

	for (unsigned i = 0; i < CROWD_ERRORS; i++)
		all += f->errors[i];
	buf_printf(line, ", errors %llu", (unsigned long long)all);
	for (unsigned i = 0; i < CROWD_ERRORS; i++) {
		if (f->errors[i] == 0)
			continue;
		buf_printf(line, "%s%s %llu", between, crowd_error_names[i],
		    (unsigned long long)f->errors[i]);
		between = ", ";
	}
	if (all > 0)
		buf_putc(line, ')');
}

static void
line_show(const struct simulation *s, const struct crowd_figures *f, double rate, bool terminal)
{
	struct buf line = { 0 };

	buf_printf(&line, "%s%u of %u connected, messages %llu (%.0f/s), updates %llu",
	    terminal ? "\r" : "", f->ready, s->n, (unsigned long long)f->messages, rate,
	    (unsigned long long)f->updates);
	put_errors(&line, f);
	if (f->latency.count > 0)
		buf_printf(&line, ", latency p50 %.1f p99 %.1f ms",
		    hist_quantile(&f->latency, 0.5) / 1000,
		    hist_quantile(&f->latency, 0.99) / 1000);
	buf_cstr(&line, terminal ? "\033[K" : "\n");
	terminal_write(STDERR_FILENO, buf_view(&line));
	buf_fini(&line);
}

static void
summary_show(const struct simulation *s, const struct crowd_figures *f)
{
	struct buf json = { 0 };
	struct out o = out_to(&json);
	struct rusage used;

	out_open(&o);
	out_u64(out_key(&o, "devices"), s->n);
	out_u64(out_key(&o, "connectedMost"), f->most);
	out_u64(out_key(&o, "connects"), f->connects);
	out_u64(out_key(&o, "messages"), f->messages);
	out_u64(out_key(&o, "updates"), f->updates);
	out_u64(out_key(&o, "settled"), f->settled);
	out_u64(out_key(&o, "late"), f->late);
	out_open(out_key(&o, "errors"));
	for (unsigned i = 0; i < CROWD_ERRORS; i++)
		out_u64(out_key(&o, crowd_error_names[i]), f->errors[i]);
	out_close(&o);
	out_open(out_key(&o, "latencyMilliseconds"));
	out_fixed(out_key(&o, "p50"), hist_quantile(&f->latency, 0.5) / 1000, 3);
	out_fixed(out_key(&o, "p99"), hist_quantile(&f->latency, 0.99) / 1000, 3);
	out_fixed(out_key(&o, "most"), (double)f->latency.max_us / 1000, 3);
	out_close(&o);
	if (getrusage(RUSAGE_SELF, &used) == 0)
		out_u64(out_key(&o, "memoryBytes"), (uint64_t)used.ru_maxrss * 1024);
	out_close(&o);
	if (output_json(s->a))
		json_say(&json);
	buf_fini(&json);
}

/* ---- the run ---- */

static int
files_suffice(unsigned n)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) != 0)
		return EXIT_DONE;
	if (r.rlim_cur < n + FILES_OWN && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
	if (r.rlim_cur >= n + FILES_OWN)
		return EXIT_DONE;
	return cli_fail(EXIT_FAILED,
	    "%u devices need %u descriptors, and %llu are allowed: ulimit -n", n, n + FILES_OWN,
	    (unsigned long long)r.rlim_max);
}

static void
crowd_watch(struct simulation *s, struct crowd *crowd)
{
	const struct crowd_figures *f = crowd_figures(crowd);
	bool terminal = isatty(STDERR_FILENO);
	int64_t each_us = terminal ? LINE_US : QUIET_US,
	        end_us = s->a->number[OPT_FOR] == 0
	    ? INT64_MAX
	    : clock_mono_us() + (int64_t)s->a->number[OPT_FOR] * 1000000;
	uint64_t before = 0;

	while (!stopped && clock_mono_us() < end_us) {
		int64_t since_us = clock_mono_us(), left_us = end_us - since_us;

		crowd_run(crowd, left_us < each_us ? left_us : each_us, &stopped);
		line_show(s, f,
		    (double)(f->messages - before) * 1e6 / (double)(clock_mono_us() - since_us + 1),
		    terminal);
		before = f->messages;
	}
	if (terminal)
		terminal_write(STDERR_FILENO, STR("\n"));
}

static int
run(struct simulation *s)
{
	static const enum crowd_pattern patterns[] = { CROWD_TUTORIAL, CROWD_SENSOR, CROWD_FLAKY };
	struct crowd_options o = { .host = s->t.host,
		.keys = s->keys,
		.n = s->n,
		.token_s = (int64_t)s->a->number[OPT_TTL],
		.pattern = patterns[s->a->number[OPT_PATTERN]],
		.rate = s->a->number[OPT_SIM_RATE] > 0 ? (double)s->a->number[OPT_SIM_RATE]
		                                       : (double)s->n / 10 };
	char address[HOST_MAX], why[WHY_MAX];
	struct crowd *crowd;
	struct target mqtt = s->t;
	int64_t until_us = clock_mono_us() + (int64_t)s->t.timeout_s * 1000000;
	enum err e;

	mqtt.port = s->mqtts_port;
	e = reach(&mqtt, until_us, address, why);
	target_fini(&mqtt);
	if (e != ERR_OK || (s->tls = https_context(&s->t, why)) == NULL)
		return cli_fail(EXIT_UNREACHABLE, "%s", why);
	if (!link_target_of(&o.target, address, s->mqtts_port, s->tls, s->t.host))
		return cli_fail(EXIT_UNREACHABLE, "%s is no address", address);
	o.target.pinned = s->t.served[0] != '\0';
	if (RAND_bytes((unsigned char *)&o.seed, sizeof(o.seed)) != 1)
		o.seed = (uint64_t)until_us;
	if (crowd_new(&o, &crowd) != ERR_OK)
		return cli_fail(EXIT_FAILED, "the devices cannot be made: %s", strerror(errno));
	crowd_watch(s, crowd);
	crowd_leave(crowd);
	summary_show(s, crowd_figures(crowd));
	crowd_free(crowd);
	return EXIT_DONE;
}

static void
catch_signals(void)
{
	struct sigaction on = { .sa_handler = on_signal };

	sigaction(SIGINT, &on, NULL);
	sigaction(SIGTERM, &on, NULL);
	signal(SIGPIPE, SIG_IGN);
}

int
cli_simulate(const struct args *a)
{
	struct simulation s = { .a = a, .n = (unsigned)a->number[OPT_DEVICES] };
	int code, cleaned;

	if (a->option[OPT_DEVICES] == NULL)
		return cli_fail(EXIT_USAGE, "how many? give --devices N");
	s.keys = xcalloc(s.n, sizeof(*s.keys));
	s.ours = xcalloc(s.n, sizeof(*s.ours));
	catch_signals();
	code = files_suffice(s.n);
	if (code == EXIT_DONE)
		code = hub_find(&s);
	if (code == EXIT_DONE && !stopped)
		code = run(&s);
	if (a->option[OPT_CLEANUP] != NULL && (cleaned = clean_up(&s)) != EXIT_DONE)
		code = cleaned;
	SSL_CTX_free(s.tls);
	target_fini(&s.t);
	OPENSSL_cleanse(s.keys, s.n * sizeof(*s.keys));
	free(s.keys);
	free(s.ours);
	return code;
}
