/*
 * The hub as a program: everything made in order, run, and taken down in the opposite order.
 *
 *   start   options -> directory -> certificates -> sockets -> store -> fleet -> loops -> one line "ready"
 *   stop    no new connections and requests -> fleet answers what it has -> sessions and loops end -> store closes
 *
 * The sockets come before the store: a port that is taken is found out in a millisecond.
 */
#include "pg/pg.h"
#include "server/priv.h"
#include "transfer/transfer.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#define LOOK_US (INT64_C(10) * 1000000) /* between two looks at the clock, at the most */
#define STUCK_US                                                                                   \
	(INT64_C(30) * 1000000) /* a turn of a loop or worker, where no watchdog says otherwise */
#define LOOK_BACK_US (INT64_C(1) * 1000000) /* and at who has started an ephemeral hub */

/* There is one server in a program: notes from workers find their loop's sessions through it. */
static struct server *the_server;

enum err
fail(struct server *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(s->why, sizeof(s->why), fmt, ap);
	va_end(ap);
	return ERR_ARG;
}

/* ---- the catalogue ---- */

struct made_catalogue {
	struct catalogue c;
	struct policies *policies;
	struct configurations *configurations;
	struct log_what log;
	struct message_rules messages;
	struct limit_counts counts;
	struct str names[LIST_MAX];
	uint64_t cas[LIST_MAX];
};

static void
catalogue_release(struct catalogue *c)
{
	struct made_catalogue *m = (struct made_catalogue *)c;

	policies_free(m->policies);
	configurations_free(m->configurations);
	free(m);
}

void
catalogue_publish(struct server *s)
{
	struct made_catalogue *m = xcalloc(1, sizeof(*m));

	m->policies = policies_copy(s->policies);
	m->configurations = configurations_copy(s->configurations);
	for (unsigned i = 0; i < s->names.n; i++)
		m->names[i] = str_of(s->names.v[i]);
	memcpy(m->cas, s->cas, sizeof(m->cas));
	m->log = s->settings != NULL ? settings_log(s->settings) : log_what_default;
	m->messages = s->settings != NULL ? settings_messages(s->settings) : message_rules_default;
	if (s->limiter != NULL)
		m->counts = limiter_counts(s->limiter);
	m->c = (struct catalogue){ .version = ++s->catalogue_version,
		.policies = m->policies->v,
		.npolicies = m->policies->n,
		.hosts = { m->names, s->names.n },
		.skew_s = (int64_t)s->o.token_skew_s,
		.ttl_max_s = (int64_t)s->o.token_ttl_max_s,
		.cas = m->cas,
		.nca = s->ncas,
		.configurations = m->configurations,
		.log = &m->log,
		.messages = &m->messages,
		.counts = &m->counts };
	catalogue_set(s->catalogue, &m->c, catalogue_release);
}

void
links_again(struct server *s)
{
	for (unsigned i = 0; i < s->nio; i++)
		mqtt_loop_review(s->io[i].mqtt);
}

void
configurations_take(struct server *s, struct configurations *set, bool own)
{
	struct configurations *old = set;

	pthread_mutex_lock(&s->policies_mutex);
	s->hub_here |= own;
	if (own || !s->hub_here) {
		old = s->configurations;
		s->configurations = set;
		catalogue_publish(s);
	}
	pthread_mutex_unlock(&s->policies_mutex);
	configurations_free(old);
}

/* On the thread of shard 0. */
static void
on_configurations(struct configurations *set)
{
	configurations_take(the_server, set, true);
}

static void
on_hub_left(void)
{
	pthread_mutex_lock(&the_server->policies_mutex);
	the_server->hub_here = false;
	deliveries_elsewhere(the_server->deliveries);
	pthread_mutex_unlock(&the_server->policies_mutex);
}

void
routing_take(struct server *s, struct routing *set, bool own)
{
	pthread_mutex_lock(&s->policies_mutex);
	if (own || !s->hub_here)
		deliveries_learn(s->deliveries, set, own);
	else
		routing_unref(set);
	pthread_mutex_unlock(&s->policies_mutex);
}

/* As on_configurations. */
static void
on_routing(struct routing *set)
{
	routing_take(the_server, set, true);
}

/* As on_configurations. */
static void
on_settings(struct settings *set)
{
	settings_take(the_server, set, true);
}

/* ---- start ---- */

static void
on_note(struct note *n)
{
	const struct io *io = &the_server->io[n->session.loop];

	if (effect_is_callers(n->kind))
		http_note(io->http, n);
	else
		mqtt_note(io->mqtt, n);
}

static void
on_resume(struct resumption *r)
{
	for (unsigned i = 0; i < the_server->nio; i++)
		if (atomic_load(&the_server->loops_run))
			mqtt_loop_resume(the_server->io[i].mqtt, r);
		else /* nobody has a session yet */
			resumption_through(r);
}

static void
on_lost(uint64_t shards)
{
	for (unsigned i = 0; atomic_load(&the_server->loops_run) && i < the_server->nio; i++)
		http_loop_calls_lost(the_server->io[i].http, shards);
}

static void
on_cut(uint64_t shards)
{
	for (unsigned i = 0; i < the_server->nio; i++)
		mqtt_loop_cut(the_server->io[i].mqtt, shards);
}

static void
store_warns(void *ctx, const char *line)
{
	(void)ctx;
	log_text(LOG_WARN, "%s", line);
}

/* Nobody knows any more what is on disk. */
static void
store_dies(void *ctx, const char *line)
{
	(void)ctx;
	log_fatal(line);
	_exit(EX_IOERR);
}

static void
cluster_ends(void *ctx, enum pg_end code, const char *line)
{
	(void)ctx;
	log_fatal(line);
	_exit((int)code);
}

static enum err
cluster_open(struct server *s, const struct store_options *so)
{
	char path[DATA_PATH_MAX];
	struct pg_options po = { .url = s->o.cluster,
		.node = node_name(s),
		.hub = s->hub_id,
		.dir = s->dir_id,
		.ends = cluster_ends };

	if (!data_path(path, s->o.data, CLUSTER_SCRATCH))
		return fail(s, "the path of --data is too long");
	if (data_hub_id(s->o.data, s->hub_id, sizeof(s->hub_id), s->why, sizeof(s->why)) != ERR_OK)
		return ERR_IO;
	common_make(s);
	po.store = *so;
	po.store.dir = path;
	return nodes_open(s, &po);
}

static enum err
store_start(struct server *s)
{
	char path[DATA_PATH_MAX];
	struct fault f = { 0 };
	struct store_options so = { .create = true,
		.lanes = s->sizes.nworker,
		.memory_bytes = s->sizes.store_bytes,
		/* until the settings are known, which are in it */
		.retention = { UINT64_MAX, 0, UINT64_MAX, 0 },
		.floor_bytes = s->o.free_space_bytes,
		.verify = s->o.verify,
		.scrub_bytes_per_s = s->o.scrub_bytes,
		.ahead_us = s->o.clock ? clock_ahead_us : NULL,
		.ctx = &s->fleet,
		.done = fleet_commit_done,
		.warn = store_warns,
		.fatal = store_dies };
	enum err e;

	if (!data_path(path, s->o.data, "store"))
		return fail(s, "the path of --data is too long");
	if (data_is_of(s->o.data, s->o.cluster != NULL, s->why, sizeof(s->why)) != ERR_OK ||
	    data_raise(s->o.data, s->why, sizeof(s->why)) != ERR_OK)
		return ERR_IO;
	if (s->o.cluster != NULL)
		return cluster_open(s, &so);
	so.dir = path;
	e = store_open(&so, &s->store, &f);
	if (e == ERR_LOCKED)
		return fail(s, "%s is in use by another hub", s->o.data);
	return e == ERR_OK ? ERR_OK : fail(s, "%s", f.text);
}

static enum err
feed_make(struct server *s)
{
	struct feed_options o = { .fleet = s->fleet, .store = s->store };
	enum err e = data_hub_number(s->o.data, &o.hub, s->why, sizeof(s->why));

	o.name = str_of(s->names.v[0]);
	if (e == ERR_OK && feed_new(&o, &s->feed) != ERR_OK)
		e = fail(s, "the reader of events cannot be started: %s", strerror(errno));
	return e;
}

static enum err
fleet_make(struct server *s)
{
	struct fault f = { 0 };
	struct fleet_options fo = { .store = s->store,
		.nworker = s->sizes.nworker,
		.cache_bytes = s->sizes.cache_bytes,
		.work_bytes = s->sizes.worker_bytes,
		.answer_bytes = s->sizes.answer_bytes,
		.query_bytes = s->sizes.query_bytes,
		.column_bytes = s->sizes.column_bytes,
		.tour_us = (int64_t)s->o.query_timeout_s * 1000000,
		.slow_sweep_us = (int64_t)s->o.slow_sweep_ms * 1000,
		.identities_max = s->o.max_devices,
		.limiter = s->limiter,
		.catalogue = s->catalogue,
		.loops = s->loops,
		.nloop = s->nio,
		.on_note = on_note,
		.resume = on_resume,
		.cut = on_cut,
		.lost = on_lost,
		.on_configurations = on_configurations,
		.on_routing = on_routing,
		.on_settings = on_settings };

	if (s->o.cluster != NULL) {
		fo.on_spread = common_spreads;
		fo.on_hub_left = on_hub_left;
		if (nodes_join(s, s->hub_id, &fo) != ERR_OK)
			return ERR_ARG;
	}
	s->fleet = fleet_new(&fo);
	if (fleet_load(s->fleet, &f) != ERR_OK)
		return fail(s, "%s", f.text);
	if (feed_make(s) != ERR_OK)
		return ERR_IO;
	if (s->o.cluster == NULL) {
		on_configurations(fleet_configurations(s->fleet));
		on_routing(fleet_routing(s->fleet));
		on_settings(settings_first(s));
	}
	return fleet_start(s->fleet) == ERR_OK
	    ? ERR_OK
	    : fail(s, "threads cannot be started: %s", strerror(errno));
}

/* With --cluster the fleet runs when its shards come; what is hub-wide is in force before. */
static enum err
shards_come(struct server *s)
{
	if (s->o.cluster == NULL)
		return ERR_OK;
	if (nodes_begin(s) != ERR_OK)
		return ERR_IO;
	if (s->settings == NULL) /* nobody has stored any yet */
		settings_take(s, settings_first(s), true);
	return ERR_OK;
}

/* The ends of those partitions whose shards are here. */
static enum err
partitions_find(struct server *s)
{
	uint32_t n = (uint32_t)s->settings->v[SETTING_PARTITIONS];
	struct fault f = { 0 };

	for (uint32_t i = 0; i < n; i++)
		if (nodes_have(s, i) &&
		    fleet_partition(s->fleet, i, n, &s->partitions[i], &f) != ERR_OK)
			return fail(
			    s, "%s", f.text[0] != '\0' ? f.text : "the store cannot be read");
	return ERR_OK;
}

static enum err
deliveries_make(struct server *s)
{
	struct deliveries_options o = { .senders = { .allow = s->sink_allow, .dir = s->o.sink_dir },
		.origin = str_of(s->endpoint.host) };
	struct fault f = { 0 };

	return deliveries_new(&o, &s->deliveries, &f) == ERR_OK ? ERR_OK : fail(s, "%s", f.text);
}

static bool
has_shard(void *ctx, uint32_t shard)
{
	return nodes_have(ctx, shard);
}

/* A secret as all others: each node hears of it by the version of what is hub-wide. */
static bool
partitions_asked(void *ctx)
{
	const struct server *s = ctx;
	const struct pg_options po = { .url = s->o.cluster, .node = node_name(s) };
	struct fault f;
	enum err e = pg_secret_set(&po, PARTITIONS_SECRET, NULL, STR("1"), &f);

	return e == ERR_OK || e == ERR_EXISTS;
}

/* The first loop takes the answers to its cursors. */
static enum err
deliveries_start(struct server *s)
{
	/* Their number is fixed once it is stored. */
	const struct deliveries_world w = { .rests = s->o.rehearse,
		.has = s->o.mesh != NULL ? has_shard : NULL,
		.asked = s->o.mesh != NULL ? partitions_asked : NULL,
		.ctx = s,
		.fleet = s->fleet,
		.feed = s->feed,
		.store = s->store,
		.loop = s->loops[0],
		.ends = s->partitions,
		.npartition =
		    s->settings->counter != 0 ? (uint32_t)s->settings->v[SETTING_PARTITIONS] : 0 };
	struct fault f = { 0 };

	return deliveries_begin(s->deliveries, &w, &f) == ERR_OK ? ERR_OK : fail(s, "%s", f.text);
}

static enum err
file_jobs_make(struct server *s)
{
	struct file_jobs_options o = { .fleet = s->fleet,
		.store = s->store,
		.loop = s->loops[0],
		.dirs = s->o.import_export_dirs.v,
		.ndir = s->o.import_export_dirs.n };

	return file_jobs_new(&o, &s->file_jobs, s->why, sizeof(s->why));
}

static enum err
policies_start(struct server *s)
{
	s->catalogue = catalogue_box_new();
	pthread_mutex_init(&s->policies_mutex, NULL);
	if (places_of(s)->policies_load(s, &s->policies) != ERR_OK)
		return ERR_ARG;
	catalogue_publish(s);
	return ERR_OK;
}

static void
limits_begin(struct server *s)
{
	s->limiter = limiter_new(&s->o.limits, s->o.max_devices);
	s->offenders = offenders_new(s->o.auth_backoff_s);
	if (s->o.throttle != THROTTLE_OFF)
		log_text(LOG_INFO, "throttled as %s, units %u: see twinhub statistics --limits",
		    throttle_name(s->o.throttle), (unsigned)s->o.units);
	for (unsigned i = 0; i < s->o.rate_limits.n; i++)
		log_text(LOG_INFO, "rate limit in force: %s", s->o.rate_limits.v[i]);
}

static void
nets_take(struct nets *nets, const struct option_list *list)
{
	for (unsigned i = 0; i < list->n; i++)
		(void)nets_add(nets, list->v[i]); /* options_parse has seen that it is one */
}

static void
admission_make(struct server *s)
{
	nets_take(&s->address_free, &s->o.address_free);
	nets_take(&s->proxies, &s->o.proxies);
	nets_take(&s->sink_allow, &s->o.sink_allow);
	s->admission = admission_new(
	    (uint32_t)s->sizes.connections, (uint32_t)s->sizes.connections_per_address);
	admission_except(s->admission, &s->address_free);
}

/* What does not fit is not known to commands, which only warn by it. */
static void
put_names(const struct option_list *names, char *out, size_t room)
{
	size_t used = 0, n;

	for (unsigned i = 0; i < names->n; i++) {
		n = strlen(names->v[i]);
		if (used + n + 2 > room)
			return;
		used += (size_t)snprintf(
		    out + used, room - used, "%s%s", i > 0 ? " " : "", names->v[i]);
	}
}

static enum err
server_start(struct server *s)
{
	static char host[256]; /* names borrow it */
	struct machine m = machine_look();

	s->sizes = sizes_of(&s->o, &m);
	s->nio = s->sizes.nio;
	if (gethostname(host, sizeof(host) - 1) != 0)
		host[0] = '\0';
	names_of(&s->o, host, &s->names);
	limits_begin(s);
	s->stories = stories_new();
	if (s->o.ephemeral)
		s->mishaps = mishaps_new();
	s->chart = chart_new();
	admission_make(s);
	/* The store comes behind all else that a first start makes: one that is there says that nothing may be missing. */
	if (places_join(s) != ERR_OK || policies_start(s) != ERR_OK || tls_make(s) != ERR_OK ||
	    bind_all(s) != ERR_OK || metrics_bind(s) != ERR_OK || backups_make(s) != ERR_OK ||
	    store_start(s) != ERR_OK)
		return ERR_ARG;
	for (unsigned i = 0; i < s->nio; i++) {
		if (loop_new(i, &s->loops[i]) != ERR_OK)
			return fail(s, "event loops cannot be made: %s", strerror(errno));
		loop_hold_at_most(s->loops[i], s->sizes.link_bytes);
		s->io[i].loop = s->loops[i];
	}
	if (deliveries_make(s) != ERR_OK || fleet_make(s) != ERR_OK || shards_come(s) != ERR_OK ||
	    partitions_find(s) != ERR_OK || file_jobs_make(s) != ERR_OK)
		return ERR_ARG;
	for (unsigned i = 0; i < s->nio; i++)
		if (io_make(s, i) != ERR_OK)
			return ERR_ARG;
	for (unsigned i = 0; i < s->nio; i++)
		if (loop_start(s->loops[i]) != ERR_OK)
			return fail(s, "threads cannot be started: %s", strerror(errno));
	atomic_store(&s->loops_run, true);
	s->endpoint.pid = (uint32_t)getpid();
	settings_begin(s);
	if (deliveries_start(s) != ERR_OK || metrics_start(s) != ERR_OK ||
	    chart_start(s) != ERR_OK || backups_start(s) != ERR_OK)
		return ERR_ARG;
	put_names(&s->names, s->endpoint.names, sizeof(s->endpoint.names));
	if (endpoint_write(s->o.data, &s->endpoint) != ERR_OK) /* reading needs no room */
		log_text(LOG_WARN,
		    "%s/endpoint.json cannot be written: %s; commands with --data may miss this "
		    "hub",
		    s->o.data, strerror(errno));
	return ERR_OK;
}

static void
put_nets(struct buf *line, const char *before, const struct option_list *nets)
{
	for (unsigned i = 0; i < nets->n; i++)
		buf_printf(line, "%s%s", i == 0 ? before : " ", nets->v[i]);
}

static void
ready_line(const struct server *s, struct buf *line)
{
	buf_printf(line,
	    "twinhub ready: %s, https %u, mqtts %u, %llu identities, %llu connections, %llu of one "
	    "address",
	    s->endpoint.host, s->endpoint.https_port, s->endpoint.mqtts_port,
	    (unsigned long long)fleet_identities(s->fleet),
	    (unsigned long long)s->sizes.connections,
	    (unsigned long long)s->sizes.connections_per_address);
	put_nets(line, " but any number from ", &s->o.address_free);
	put_nets(line, ", PROXY v2 from ", &s->o.proxies);
	buf_printf(line, ", memory %llu MB", (unsigned long long)(s->sizes.memory_bytes >> 20));
	buf_printf(line, ", data %s\n", s->o.data);
}

static void
say_ready(const struct server *s)
{
	struct buf line = { 0 };

	(s->o.ephemeral ? ephemeral_ready : ready_line)(s, &line);
	/* A reader who stalls must not keep this thread from its signals. */
	if (!stdout_put(buf_view(&line), (int)(LOG_STOP_US / 1000))) {
		if (s->o.ephemeral) /* its line has keys */
			line.n = 0;
		log_text(LOG_WARN, "nobody takes from stdout: " STR_FMT,
		    line.n > 0 ? (int)line.n - 1 : 0, line.n > 0 ? line.p : "");
	}
	buf_fini(&line);
}

/* ---- run ---- */

static void
block_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
	sigaddset(set, SIGUSR1);
	signal(
	    SIGUSR2, SIG_IGN); /* others' log rotators and supervisors send it: no reason to end */
	signal(
	    SIGXFSZ, SIG_IGN); /* a file over ulimit -f is a write that fails, as on a full disk */
	pthread_sigmask(SIG_BLOCK, set, NULL); /* before any thread: they inherit it */
}

static void
do_what_is_due(struct server *s, struct due *d)
{
	struct wall_state clock;
	unsigned njump = clock_look(&clock), what = due_step(d, clock_mono_us(), njump, &clock);

	if (what & DUE_LOG_GOES_ON)
		log_text(LOG_INFO, "the event log's time goes on");
	if (what & DUE_CERTS) {
		tls_again(s, false);
		tickets_share(s);
	}
	if (what & DUE_REVIEW)
		certificates_review(s);
	if (what & DUE_TICKETS && s->o.cluster == NULL && tls_rotate_tickets(s->tls) != ERR_OK)
		log_text(LOG_ERROR, "ticket keys could not be rotated");
}

/* The store may have records of a later time than now. */
static struct due
watch_begin(void)
{
	struct wall_state clock;
	unsigned njump = clock_look(&clock);
	struct due d = due_begin(clock_mono_us(), njump, &clock);

	if (d.behind)
		log_text(LOG_WARN,
		    "the clock is %lld s before the latest record of the event log: its time "
		    "stands still until then",
		    (long long)(clock.behind_us / 1000000));
	return d;
}

/* SIGHUP: the manager waits for READY before it calls the reload done. */
static void
reload(struct server *s)
{
	notify_tell("RELOADING=1\nMONOTONIC_USEC=%lld", (long long)clock_mono_us());
	certificates_noted(s);
	tls_again(s, true);
	notify_tell("READY=1");
}

static void
tell_manager(struct server *s, bool ready)
{
	notify_tell("%sSTATUS=serves %llu identities, %u connections%s", ready ? "READY=1\n" : "",
	    (unsigned long long)fleet_identities(s->fleet), admission_count(s->admission),
	    atomic_load(&s->takes_nothing) ? ", takes no changes: see /readyz and the log" : "");
}

/* Half of what the watchdog allows is for who stands still to be named in the log. */
static void
look_at_threads(struct server *s, int64_t watchdog_us)
{
	int64_t limit_us = watchdog_us > 0 ? watchdog_us / 2 : STUCK_US;

	if (pulses_good(s, clock_mono_us(), limit_us) && watchdog_us > 0)
		notify_tell("WATCHDOG=1");
}

static void
run_until_stopped(struct server *s, const sigset_t *signals)
{
	struct due d = watch_begin();
	int64_t watchdog_us = notify_watchdog_us(), look_us = LOOK_US;

	if (watchdog_us > 0 && watchdog_us / 4 < look_us)
		look_us = watchdog_us / 4;
	if (s->o.ephemeral && LOOK_BACK_US < look_us)
		look_us = LOOK_BACK_US;
	for (;;) {
		struct timespec look = { look_us / 1000000, look_us % 1000000 * 1000 };
		unsigned asked = signal_asks(sigtimedwait(signals, NULL, &look));

		if ((asked & ASKED_END) || (s->o.ephemeral && ephemeral_orphaned()))
			return;
		if (asked & ASKED_LOG)
			log_reopen();
		if (asked & ASKED_CERTS)
			reload(s);
		else if (certificates_changed(s))
			tls_again(s, true);
		if (atomic_exchange(&s->secrets_new, false)) {
			tls_again(s, false);
			tickets_share(s);
		}
		do_what_is_due(s, &d);
		places_look(s);
		look_at_threads(s, watchdog_us);
		tell_manager(s, false);
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

static enum err
log_begin(struct server *s)
{
	struct log_options o = { .level = s->o.log_level,
		.path = s->o.log_file,
		.fd = STDERR_FILENO,
		.json = s->o.log_format == LOG_JSON };

	if (log_start(&o) == ERR_OK) {
		notify_begin();
		notify_tell("STATUS=starts: reads what is stored");
		return ERR_OK;
	}
	return fail(s, "the log %s cannot be opened: %s", o.path != NULL ? o.path : "thread",
	    strerror(errno));
}

/* Outside the log: there may be none, and it may be a file that nobody looks at while the hub does not start. */
static void
say_failed(const char *why)
{
	char line[600];
	int n = snprintf(line, sizeof(line), "twinhub: %s\n", why);

	stderr_put((struct str){ line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1 },
	    (int)(LOG_STOP_US / 1000));
}

static int
start_failed(struct server *s)
{
	/* Text of its own: it may name files, and those whatever. */
	for (char *p = s->why; *p != '\0'; p++)
		if (*p == '\n')
			*p = ' ';
	notify_tell("STATUS=cannot start: %s", s->why);
	log_stop(LOG_STOP_US);
	say_failed(s->why);
	ephemeral_end();
	return 1;
}

static void
on_idle(void *ctx, const char *text)
{
	(void)ctx;
	log_text(LOG_WARN, "%s", text);
}

int
server_run(const struct server_options *o)
{
	struct server *s = xcalloc(1, sizeof(*s));
	sigset_t signals;
	int code;

	s->o = *o;
	the_server = s;
	umask(077);
	if (o->check) {
		net_init();
		code = server_check(s);
		free(s);
		return code;
	}
	if (o->background && !background_split(s, &code)) {
		if (s->why[0] != '\0')
			say_failed(s->why);
		free(s);
		return code;
	}
	/* The size at which memory is the system's again as soon as it is freed, fixed: glibc would raise it. */
	mallopt(M_MMAP_THRESHOLD, ROPE_PIECE_BYTES / 2);
	block_signals(&signals);
	net_init();
	clock_tell(server_clock_told);
	seed_tables();
	if (!o->ephemeral) /* which has a directory to remove */
		early_begin();
	if (log_begin(s) != ERR_OK || (o->ephemeral && ephemeral_begin(s) != ERR_OK) ||
	    data_prepare(s->o.data, o->certs.n == 0, o->config == NULL, &s->found, s->why,
	        sizeof(s->why)) != ERR_OK ||
	    server_start(s) != ERR_OK)
		_exit(start_failed(s)); /* half-made threads and sockets end with the process */
	if (o->seed != NULL && seed_plant(s) != ERR_OK) {
		server_stop(s);
		return start_failed(s);
	}
	if (s->found.settings_lost)
		log_text(LOG_WARN, "twinhub.conf was missing: the defaults are in force");
	options_idle(&s->o, on_idle, NULL);
	early_end();
	say_ready(s);
	tell_manager(s, true);
	if (o->background)
		background_settle(s);
	database_advise(s);
	run_until_stopped(s, &signals);
	notify_tell("STOPPING=1");
	server_stop(s);
	log_stop(LOG_STOP_US);
	ephemeral_end();
	close(s->found.held);
	free(s);
	the_server = NULL;
	return 0;
}
