/*
 * The hub as a program: everything made in order, run, and taken down in the opposite order.
 *
 *   start   options -> directory -> certificates -> sockets -> store -> fleet -> loops -> one line "ready"
 *   stop    no new connections and requests -> fleet answers what it has -> sessions and loops end -> store closes
 *
 * The sockets come before the store: a port that is taken is found out in a millisecond.
 */
#include "server/server.h"

#include "http/http.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#define IO_MAX        64
#define BIND_MAX      LIST_MAX
#define FD_RESERVE    512 /* descriptors for the store's files and the program's own */
#define STOP_US       (INT64_C(3500) * 1000) /* for answers and goodbyes after SIGTERM */
#define HOUR_US       (INT64_C(3600) * 1000000)
#define PLAIN_ADDRESS "127.0.0.1"

/* One event loop with what is served on it. */
struct io {
	struct loop *loop;
	struct mqtt_loop *mqtt;
	struct http_loop *http;
	struct listener *listeners[3 * BIND_MAX + 1];
	unsigned nlistener;
};

/* A bound address and port, a descriptor for each loop. */
struct port {
	enum { PORT_MQTTS, PORT_HTTPS, PORT_MQTT } kind;
	int fds[IO_MAX];
};

struct server {
	struct server_options o;
	struct option_list names; /* host names of this hub, and addresses it is bound to */
	struct tls *tls;
	struct tls_conf tls_conf;
	char tls_paths[4][DATA_PATH_MAX];
	struct gate *gate;
	struct catalogue_box *catalogue;
	pthread_mutex_t policies_mutex;
	struct policies *policies;
	uint64_t catalogue_version;
	struct store *store;
	struct fleet *fleet;
	struct io io[IO_MAX];
	struct loop *loops[IO_MAX];
	unsigned nio, nworker;
	struct port ports[3 * BIND_MAX + 1];
	unsigned nport;
	struct endpoint endpoint;
	char why[512];
};

/* There is one server in a program: notes from workers find their loop's sessions through it. */
static struct server *the_server;

static void
log_line(const char *line)
{
	char t[TIME_TEXT_MAX];
	size_t n = time_format(clock_wall_us(), t);

	fprintf(stderr, "%.*s %s\n", (int)n, t, line);
}

/* A storm of refused clients writes ten lines a second, and then how many it left out. */
static void
log_limited(const char *line)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	static int64_t second;
	static unsigned nline, nleft_out;
	int64_t now = clock_mono_us() / 1000000;
	char more[64];

	pthread_mutex_lock(&mutex);
	if (now != second) {
		if (nleft_out > 0) {
			snprintf(more, sizeof(more), "and %u more lines like this", nleft_out);
			log_line(more);
		}
		second = now;
		nline = nleft_out = 0;
	}
	if (nline++ < 10)
		log_line(line);
	else
		nleft_out++;
	pthread_mutex_unlock(&mutex);
}

static enum err fail(struct server *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static enum err
fail(struct server *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(s->why, sizeof(s->why), fmt, ap);
	va_end(ap);
	return ERR_ARG;
}

/* ---- names and certificates ---- */

static void
name_add(struct server *s, const char *name)
{
	for (unsigned i = 0; i < s->names.n; i++)
		if (str_ieq(str_of(s->names.v[i]), str_of(name)))
			return;
	if (s->names.n < LIST_MAX)
		s->names.v[s->names.n++] = name;
}

/* Names that clients may use for this hub, the first one being what it calls itself. */
static void
names_collect(struct server *s)
{
	static char host[256];

	for (unsigned i = 0; i < s->o.hostnames.n; i++)
		name_add(s, s->o.hostnames.v[i]);
	for (unsigned i = 0; i < s->o.binds.n; i++)
		if (str_starts(str_of(s->o.binds.v[i]), STR("127.")))
			name_add(s, s->o.binds.v[i]);
	if (gethostname(host, sizeof(host) - 1) == 0 && host[0] != '\0')
		name_add(s, host);
	name_add(s, "localhost");
	name_add(s, "127.0.0.1");
	name_add(s, "::1");
}

static enum err
certificates_make(struct server *s, bool *changed)
{
	char why[NET_WHY_MAX];

	*changed = false;
	if (s->o.certs.n > 0)
		return ERR_OK;
	if (certs_ensure(s->o.data, s->names.v, s->names.n, clock_wall_us(), changed, why) ==
	    ERR_OK)
		return ERR_OK;
	return fail(s, "certificates: %s", why);
}

static enum err
client_cas_load(struct server *s)
{
	struct buf files[LIST_MAX] = { 0 };
	struct str pem[LIST_MAX];
	char why[NET_WHY_MAX];
	uint64_t version = 1;
	enum err e = ERR_OK;

	for (unsigned i = 0; i < s->o.client_cas.n && e == ERR_OK; i++) {
		if (data_read_file(s->o.client_cas.v[i], 1u << 20, &files[i]) != ERR_OK)
			e = fail(s, "--client-ca %s cannot be read: %s", s->o.client_cas.v[i],
			    strerror(errno));
		pem[i] = buf_view(&files[i]);
		version = version * 31 + hash_checksum(files[i].p, files[i].n);
	}
	if (e == ERR_OK &&
	    tls_set_client_cas(s->tls, pem, s->o.client_cas.n, version, why) != ERR_OK)
		e = fail(s, "--client-ca: %s", why);
	for (unsigned i = 0; i < s->o.client_cas.n; i++)
		buf_fini(&files[i]);
	return e;
}

static enum err
tls_make(struct server *s)
{
	static const char *const files[] = { "server-ecdsa.pem", "server-ecdsa.key",
		"server-rsa.pem", "server-rsa.key" };
	char why[NET_WHY_MAX];
	bool changed;

	if (certificates_make(s, &changed) != ERR_OK)
		return ERR_ARG;
	for (unsigned i = 0; i < 4; i++)
		if (!data_path(s->tls_paths[i], s->o.data, files[i]))
			return fail(s, "the path of --data is too long");
	for (unsigned i = 0; i < 2; i++) {
		bool own = s->o.certs.n > 0, there = i < s->o.certs.n;

		s->tls_conf.pair[i].cert = !own ? s->tls_paths[2 * i]
		    : there                     ? s->o.certs.v[i]
		                                : NULL;
		s->tls_conf.pair[i].key = !own ? s->tls_paths[2 * i + 1]
		    : there                    ? s->o.keys.v[i]
		                               : NULL;
	}
	if (tls_new(&s->tls_conf, &s->tls, why) != ERR_OK)
		return fail(s, "%s", why);
	return client_cas_load(s);
}

/* SIGHUP, and once an hour for certificates of our own that near their end. A bad file keeps what is in use. */
static void
tls_again(struct server *s, bool asked)
{
	char why[NET_WHY_MAX], line[NET_WHY_MAX + 64];
	bool changed;

	if (certificates_make(s, &changed) != ERR_OK) {
		log_line(s->why);
		return;
	}
	if (!asked && !changed)
		return;
	if (tls_reload(s->tls, &s->tls_conf, why) == ERR_OK)
		snprintf(line, sizeof(line), "certificates loaded anew");
	else
		snprintf(line, sizeof(line), "certificates not loaded, the old ones stay: %s", why);
	log_line(line);
	if (asked && client_cas_load(s) != ERR_OK)
		log_line(s->why);
}

/* ---- the catalogue ---- */

struct made_catalogue {
	struct catalogue c;
	struct policies *policies;
	struct str names[LIST_MAX];
};

static void
catalogue_release(struct catalogue *c)
{
	struct made_catalogue *m = (struct made_catalogue *)c;

	policies_free(m->policies);
	free(m);
}

/* From s->policies as they are; with policies_mutex held, or before threads run. */
static void
catalogue_publish(struct server *s)
{
	struct made_catalogue *m = xcalloc(1, sizeof(*m));

	m->policies = policies_copy(s->policies);
	for (unsigned i = 0; i < s->names.n; i++)
		m->names[i] = str_of(s->names.v[i]);
	m->c = (struct catalogue){ .version = ++s->catalogue_version,
		.policies = m->policies->v,
		.npolicies = m->policies->n,
		.hosts = { m->names, s->names.n },
		.skew_s = (int64_t)s->o.token_skew_s };
	catalogue_set(s->catalogue, &m->c, catalogue_release);
}

/* ---- what the API asks of the program ---- */

static enum err
admin_policy_show(void *ctx, struct str name, struct buf *json)
{
	struct server *s = ctx;
	const struct policy *p;
	enum err e = ERR_OK;

	pthread_mutex_lock(&s->policies_mutex);
	if (name.n != 0) {
		p = policy_find(s->policies->v, s->policies->n, name);
		if (p == NULL)
			e = ERR_NOT_FOUND;
		else
			policy_write(json, p);
	} else {
		buf_putc(json, '[');
		for (size_t i = 0; i < s->policies->n; i++) {
			if (i > 0)
				buf_putc(json, ',');
			policy_write(json, &s->policies->v[i]);
		}
		buf_putc(json, ']');
	}
	pthread_mutex_unlock(&s->policies_mutex);
	return e;
}

/* On disk before it is in force, in force before it is answered. */
static enum err
admin_policy_rotate(void *ctx, struct str name, bool primary, struct buf *json, struct fault *f)
{
	struct server *s = ctx;
	struct policies *next;
	enum err e;

	pthread_mutex_lock(&s->policies_mutex);
	next = policies_copy(s->policies);
	e = policies_rotate(next, name, primary);
	if (e == ERR_OK && (e = policies_save(s->o.data, next)) != ERR_OK)
		fault_set(f, F_ServiceUnavailable, "the new key could not be stored");
	if (e == ERR_OK) {
		policies_free(s->policies);
		s->policies = next;
		catalogue_publish(s);
		policy_write(json, policy_find(next->v, next->n, name));
	} else {
		policies_free(next);
	}
	pthread_mutex_unlock(&s->policies_mutex);
	return e;
}

static enum err
copy_file(const char *from_dir, const char *to_dir, const char *name)
{
	char from[DATA_PATH_MAX], to[DATA_PATH_MAX];
	struct buf bytes = { 0 };
	struct stat st;
	enum err e = ERR_SIZE;

	if (data_path(from, from_dir, name) && data_path(to, to_dir, name)) {
		e = data_read_file(from, 1u << 20, &bytes);
		if (e == ERR_OK)
			e = stat(from, &st) == 0
			    ? data_write_file(to, buf_view(&bytes), st.st_mode & 0777)
			    : ERR_IO;
		else if (e == ERR_NOT_FOUND)
			e = ERR_OK; /* certificates may be elsewhere */
	}
	buf_fini(&bytes);
	return e;
}

static enum err
admin_backup(void *ctx, struct str to, struct fault *f)
{
	static const char *const files[] = { "hub.json", "twinhub.conf", "policies.json", "ca.pem",
		"ca.key", "server-ecdsa.pem", "server-ecdsa.key", "server-rsa.pem",
		"server-rsa.key" };
	struct server *s = ctx;
	char *dir = str_dup0(to), store[DATA_PATH_MAX];
	enum err e = ERR_OK;

	if (!data_path(store, dir, "store"))
		e = fault_set(f, F_ArgumentInvalid, "the path is too long");
	else if (mkdir(dir, 0700) != 0)
		e = fault_set(f, F_ArgumentInvalid, "%s cannot be made: %s", dir, strerror(errno));
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]) && e == ERR_OK; i++)
		if ((e = copy_file(s->o.data, dir, files[i])) != ERR_OK)
			fault_set(f, F_ServerError, "%s could not be copied", files[i]);
	if (e == ERR_OK && (e = store_checkpoint(s->store, store, f)) != ERR_OK &&
	    f->code == F_NONE)
		fault_set(f, F_ServerError, "the store could not be copied");
	free(dir);
	return e;
}

static const char *
admin_not_ready(void *ctx, char why[NET_WHY_MAX])
{
	struct server *s = ctx;
	struct fault f = { 0 };

	if (store_state(s->store, &f) != STORE_READY)
		snprintf(why, NET_WHY_MAX, "the store takes no writes: %.200s", f.text);
	else if (!store_has_space(s->store))
		snprintf(why, NET_WHY_MAX,
		    "the disk is full: %llu bytes are free, changes need %llu",
		    (unsigned long long)store_space(s->store),
		    (unsigned long long)s->o.free_space_bytes);
	else
		return NULL;
	return why;
}

/* ---- sockets ---- */

static enum err
bind_one(struct server *s, int kind, const char *address, uint16_t number)
{
	struct port *p = &s->ports[s->nport];
	char why[NET_WHY_MAX];
	uint16_t bound;
	enum err e;

	p->kind = kind;
	e = net_bind(address, number, s->nio, p->fds, &bound, why);
	if (e == ERR_DENIED)
		return fail(s,
		    "%s; grant it with: setcap cap_net_bind_service=+ep $(command -v twinhub), or "
		    "sysctl net.ipv4.ip_unprivileged_port_start=443",
		    why);
	if (e != ERR_OK)
		return fail(s, "%s", why);
	s->nport++;
	if (kind == PORT_HTTPS)
		s->endpoint.https_port = bound;
	else if (kind == PORT_MQTTS)
		s->endpoint.mqtts_port = bound;
	return ERR_OK;
}

static bool
is_loopback(const char *address)
{
	return str_starts(str_of(address), STR("127.")) || str_eq(str_of(address), STR("::1"));
}

/* Plain text never leaves the machine: on the loopback addresses among --bind, else on 127.0.0.1. */
static enum err
bind_plain(struct server *s)
{
	unsigned n = 0;

	if (s->o.mqtt_port == 0)
		return ERR_OK;
	for (unsigned i = 0; i < s->o.binds.n; i++) {
		if (!is_loopback(s->o.binds.v[i]))
			continue;
		n++;
		if (bind_one(s, PORT_MQTT, s->o.binds.v[i], (uint16_t)s->o.mqtt_port) != ERR_OK)
			return ERR_ARG;
	}
	return n > 0 ? ERR_OK : bind_one(s, PORT_MQTT, PLAIN_ADDRESS, (uint16_t)s->o.mqtt_port);
}

static enum err
bind_all(struct server *s)
{
	static const char *const everywhere[] = { "0.0.0.0", "::" };
	bool chosen = s->o.binds.n > 0;
	unsigned n = chosen ? s->o.binds.n : 2;

	for (unsigned i = 0; i < n; i++) {
		const char *address = chosen ? s->o.binds.v[i] : everywhere[i];
		bool optional = !chosen && i == 1; /* a machine without IPv6 */

		if (s->o.mqtts_port != 0 &&
		    bind_one(s, PORT_MQTTS, address, (uint16_t)s->o.mqtts_port) != ERR_OK &&
		    !optional)
			return ERR_ARG;
		if (bind_one(s, PORT_HTTPS, address, (uint16_t)s->o.https_port) != ERR_OK &&
		    !optional)
			return ERR_ARG;
	}
	if (bind_plain(s) != ERR_OK)
		return ERR_ARG;
	snprintf(s->endpoint.host, sizeof(s->endpoint.host), "%s", s->names.v[0]);
	snprintf(s->endpoint.address, sizeof(s->endpoint.address), "%s",
	    chosen && !str_eq(str_of(s->o.binds.v[0]), STR("0.0.0.0")) ? s->o.binds.v[0]
	                                                               : "127.0.0.1");
	return ERR_OK;
}

/* ---- loops ---- */

static void
on_note(struct note *n)
{
	const struct io *io = &the_server->io[n->session.loop];

	if (n->kind == EFFECT_CALL_SENT || n->kind == EFFECT_CALL_DONE)
		http_note(io->http, n);
	else
		mqtt_note(io->mqtt, n);
}

static enum err
listen_all(struct server *s, unsigned i)
{
	struct io *io = &s->io[i];
	struct listen_conf conf = { .gate = s->gate,
		.deadline_us = (int64_t)s->o.connect_timeout_s * 1000000,
		.user = &mqtt_user,
		.ctx = io->mqtt };
	enum err e = ERR_OK;

	for (unsigned p = 0; p < s->nport && e == ERR_OK; p++) {
		int fd = s->ports[p].fds[i];

		s->ports[p].fds[i] = -1;
		conf.tls = s->ports[p].kind == PORT_MQTTS ? s->tls : NULL;
		if (s->ports[p].kind == PORT_HTTPS)
			e = http_loop_listen(io->http, fd);
		else if ((e = listener_new(io->loop, fd, &conf, &io->listeners[io->nlistener])) ==
		    ERR_OK)
			io->nlistener++;
	}
	return e;
}

static enum err
io_make(struct server *s, unsigned i)
{
	struct io *io = &s->io[i];
	struct mqtt_options mo = { .fleet = s->fleet,
		.catalogue = s->catalogue,
		.connect_timeout_us = (int64_t)s->o.connect_timeout_s * 1000000,
		.log = log_limited };
	struct http_options ho = { .fleet = s->fleet,
		.catalogue = s->catalogue,
		.tls = s->tls,
		.gate = s->gate,
		.request_timeout_us = (int64_t)s->o.request_timeout_s * 1000000,
		.admin = { s, admin_policy_show, admin_policy_rotate, admin_backup,
		    admin_not_ready },
		.log = log_limited };

	io->mqtt = mqtt_loop_new(io->loop, &mo);
	ho.mqtt = io->mqtt;
	if (http_loop_new(io->loop, &ho, &io->http) != ERR_OK || listen_all(s, i) != ERR_OK)
		return fail(s, "the listeners could not be set up: %s", strerror(errno));
	return ERR_OK;
}

/* ---- start ---- */

static uint64_t
quarter_of_memory(void)
{
	struct sysinfo si;

	return sysinfo(&si) == 0 ? (uint64_t)si.totalram * si.mem_unit / 4 : UINT64_C(512) << 20;
}

static void
settle_sizes(struct server *s)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t half = cores > 1 ? (uint64_t)cores / 2 : 1, files = net_raise_nofile();

	if (s->o.memory_bytes == 0)
		s->o.memory_bytes = quarter_of_memory();
	s->nworker = (unsigned)(s->o.workers != 0 ? s->o.workers : half > SHARDS ? SHARDS : half);
	s->nio = (unsigned)(s->o.io_threads != 0 ? s->o.io_threads : half > IO_MAX ? IO_MAX : half);
	if (s->o.max_connections == 0)
		s->o.max_connections = files > 2 * FD_RESERVE ? files - FD_RESERVE : files / 2;
	if (s->o.max_connections_per_address == 0)
		s->o.max_connections_per_address =
		    s->o.max_connections / 2 + 1; /* one host cannot shut out all others */
}

static void
store_warns(void *ctx, const char *line)
{
	(void)ctx;
	log_line(line);
}

static enum err
store_start(struct server *s)
{
	char path[DATA_PATH_MAX];
	struct fault f = { 0 };
	struct store_options so = { .create = true,
		.lanes = s->nworker,
		.memory_bytes =
		    s->o.memory_bytes / 4 > (16u << 20) ? s->o.memory_bytes / 4 : (16u << 20),
		.log_max_bytes = s->o.log_max_bytes,
		.log_max_age_s = s->o.log_max_age_s,
		.floor_bytes = s->o.free_space_bytes,
		.ctx = &s->fleet,
		.done = fleet_commit_done,
		.warn = store_warns };
	enum err e;

	if (!data_path(path, s->o.data, "store"))
		return fail(s, "the path of --data is too long");
	so.dir = path;
	e = store_open(&so, &s->store, &f);
	if (e == ERR_LOCKED)
		return fail(s, "%s is in use by another hub", s->o.data);
	return e == ERR_OK ? ERR_OK : fail(s, "%s", f.text);
}

static enum err
fleet_make(struct server *s)
{
	struct fault f = { 0 };
	struct fleet_options fo = { .store = s->store,
		.nworker = s->nworker,
		.cache_bytes = s->o.memory_bytes / 2,
		.query_bytes = s->o.memory_bytes / 16,
		.column_bytes = s->o.memory_bytes / 8,
		.identities_max = s->o.max_devices,
		.catalogue = s->catalogue,
		.loops = s->loops,
		.nloop = s->nio,
		.on_note = on_note };

	s->fleet = fleet_new(&fo);
	if (fleet_load(s->fleet, &f) != ERR_OK)
		return fail(s, "%s", f.text);
	return fleet_start(s->fleet) == ERR_OK
	    ? ERR_OK
	    : fail(s, "threads cannot be started: %s", strerror(errno));
}

static enum err
policies_start(struct server *s)
{
	s->catalogue = catalogue_box_new();
	pthread_mutex_init(&s->policies_mutex, NULL);
	if (policies_load(s->o.data, &s->policies) != ERR_OK)
		return fail(s, "%s/policies.json is damaged or cannot be read", s->o.data);
	catalogue_publish(s);
	return ERR_OK;
}

static enum err
server_start(struct server *s)
{
	settle_sizes(s);
	names_collect(s);
	s->gate =
	    gate_new((uint32_t)s->o.max_connections, (uint32_t)s->o.max_connections_per_address);
	if (policies_start(s) != ERR_OK || tls_make(s) != ERR_OK || bind_all(s) != ERR_OK ||
	    store_start(s) != ERR_OK)
		return ERR_ARG;
	for (unsigned i = 0; i < s->nio; i++) {
		if (loop_new(i, &s->loops[i]) != ERR_OK)
			return fail(s, "event loops cannot be made: %s", strerror(errno));
		s->io[i].loop = s->loops[i];
	}
	if (fleet_make(s) != ERR_OK)
		return ERR_ARG;
	for (unsigned i = 0; i < s->nio; i++)
		if (io_make(s, i) != ERR_OK)
			return ERR_ARG;
	for (unsigned i = 0; i < s->nio; i++)
		if (loop_start(s->loops[i]) != ERR_OK)
			return fail(s, "threads cannot be started: %s", strerror(errno));
	if (endpoint_write(s->o.data, &s->endpoint) != ERR_OK)
		return fail(
		    s, "%s/endpoint.json cannot be written: %s", s->o.data, strerror(errno));
	return ERR_OK;
}

static void
say_ready(const struct server *s)
{
	printf("twinhub ready: %s, https %u, mqtts %u, %llu identities, data %s\n",
	    s->endpoint.host, s->endpoint.https_port, s->endpoint.mqtts_port,
	    (unsigned long long)fleet_identities(s->fleet), s->o.data);
	fflush(stdout);
}

/* ---- stop ---- */

struct stop_msg {
	struct msg msg;
	struct io *io;
	atomic_uint *busy;
};

static void
stop_listening(struct msg *m)
{
	struct stop_msg *sm = (struct stop_msg *)m;

	for (unsigned i = 0; i < sm->io->nlistener; i++)
		listener_free(sm->io->listeners[i]);
	sm->io->nlistener = 0;
	http_loop_stop(sm->io->http);
	free(sm);
}

static void
close_sessions(struct msg *m)
{
	struct stop_msg *sm = (struct stop_msg *)m;

	mqtt_loop_close(sm->io->mqtt);
	free(sm);
}

static void
count_busy(struct msg *m)
{
	struct stop_msg *sm = (struct stop_msg *)m;

	atomic_store(sm->busy, mqtt_loop_busy(sm->io->mqtt) + http_loop_busy(sm->io->http) + 1);
	free(sm);
}

static void
tell(struct server *s, unsigned i, void (*run)(struct msg *m), atomic_uint *busy)
{
	struct stop_msg *sm = xcalloc(1, sizeof(*sm));

	sm->msg.run = run;
	sm->io = &s->io[i];
	sm->busy = busy;
	loop_post(s->loops[i], &sm->msg);
}

/* Until nothing is under way on any loop, or the time is over: then false. */
static bool
wait_idle(struct server *s, int64_t until_us)
{
	for (unsigned i = 0; i < s->nio;) {
		atomic_uint busy = 0;

		tell(s, i, count_busy, &busy);
		while (atomic_load(&busy) == 0)
			usleep(1000);
		if (atomic_load(&busy) == 1)
			i++;
		else if (clock_mono_us() >= until_us)
			return false;
		else
			usleep(10000);
	}
	return true;
}

static void
server_stop(struct server *s)
{
	int64_t until_us = clock_mono_us() + STOP_US;

	for (unsigned i = 0; i < s->nio; i++)
		tell(s, i, stop_listening, NULL);
	/* Sessions end first, while their shards still hear of it: wills are stored. */
	for (unsigned i = 0; i < s->nio; i++)
		tell(s, i, close_sessions, NULL);
	wait_idle(s, until_us);
	fleet_stop(s->fleet);
	if (!wait_idle(s, until_us)) {
		/* A backup under way, or a client that takes no answer. All that was acknowledged is on disk. */
		log_line("stopped before everything under way had its answer");
		_exit(0);
	}
	for (unsigned i = 0; i < s->nio; i++)
		loop_stop(s->loops[i]);
	for (unsigned i = 0; i < s->nio; i++)
		loop_join(s->loops[i]);
	for (unsigned i = 0; i < s->nio; i++) {
		loop_abort_streams(s->loops[i]);
		http_loop_free(s->io[i].http);
		loop_free(s->loops[i]);
		mqtt_loop_free(s->io[i].mqtt);
	}
	store_close(s->store);
	fleet_free(s->fleet);
	catalogue_box_free(s->catalogue);
	policies_free(s->policies);
	tls_free(s->tls);
	gate_free(s->gate);
}

/* ---- run ---- */

static void
block_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, set, NULL); /* before any thread: they inherit it */
}

/* Signals, and what is due by the clock: certificates that end, ticket keys that are a day old. */
static void
run_until_stopped(struct server *s, const sigset_t *signals)
{
	int64_t rotated_us = clock_mono_us();

	for (;;) {
		struct timespec hour = { HOUR_US / 1000000, 0 };
		int sig = sigtimedwait(signals, NULL, &hour);

		if (sig == SIGTERM || sig == SIGINT)
			return;
		if (sig < 0 && errno == EINTR)
			continue;
		tls_again(s, sig == SIGHUP);
		if (clock_mono_us() - rotated_us >= 24 * HOUR_US) {
			rotated_us = clock_mono_us();
			if (tls_rotate_tickets(s->tls) != ERR_OK)
				log_line("ticket keys could not be rotated");
		}
	}
}

static void
seed_tables(void)
{
	uint64_t seed = (uint64_t)clock_mono_us();
	FILE *f = fopen("/dev/urandom", "rbe");

	if (f != NULL) {
		if (fread(&seed, sizeof(seed), 1, f) != 1)
			seed ^= (uint64_t)getpid();
		fclose(f);
	}
	hash_seed(seed);
}

int
server_run(const struct server_options *o)
{
	struct server *s = xcalloc(1, sizeof(*s));
	sigset_t signals;

	s->o = *o;
	the_server = s;
	umask(077);
	block_signals(&signals);
	net_init();
	seed_tables();
	if (data_prepare(o->data, s->why, sizeof(s->why)) != ERR_OK || server_start(s) != ERR_OK) {
		fprintf(stderr, "twinhub: %s\n", s->why);
		_exit(1); /* half-made threads and sockets end with the process */
	}
	say_ready(s);
	run_until_stopped(s, &signals);
	server_stop(s);
	free(s);
	the_server = NULL;
	return 0;
}
