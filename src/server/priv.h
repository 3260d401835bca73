/* server: what its files share. */
#ifndef TWINHUB_SERVER_PRIV_H
#define TWINHUB_SERVER_PRIV_H

#include "feed/feed.h"
#include "http/http.h"
#include "log/log.h"
#include "metric/chart.h"
#include "mishap/mishap.h"
#include "net/scrape.h"
#include "os/thread.h"
#include "os/clock.h"
#include "server/server.h"
#include "worker/rollouts.h"

#include <pthread.h>

#define IO_MAX        64
#define BIND_MAX      LIST_MAX
#define PORTS_MAX     (3 * BIND_MAX)
#define FD_RESERVE    512 /* descriptors for the store's files and the program's own */
#define STOP_US       (INT64_C(3500) * 1000) /* for answers and goodbyes after SIGTERM */
#define HOUR_US       (INT64_C(3600) * 1000000)
#define PLAIN_ADDRESS "127.0.0.1"

/* sizes.c: what a machine has, and what of it the hub takes, by its options. */
struct machine {
	uint64_t cores, files; /* descriptors that a process may have */
	uint64_t memory_bytes; /* 0: it does not say */
};
struct sizes {
	unsigned nworker, nio;
	uint64_t memory_bytes; /* --memory, or what stands for it */
	uint64_t connections, connections_per_address;
	uint64_t store_bytes, cache_bytes, column_bytes, answer_bytes; /* of all together */
	uint64_t query_bytes;                                          /* groups of one query */
	uint64_t worker_bytes;  /* requests under way, of one worker */
	uint64_t session_bytes; /* operations of sessions under way, of one loop */
	uint64_t link_bytes;    /* what links have not read or not sent whole, of one loop */
};
struct machine machine_look(void);
struct sizes sizes_of(const struct server_options *o, const struct machine *m);

/* options.c: what a file and the environment share. Blanks are those of a line, and its end. */
struct str blanks_trimmed(struct str s);
/* Cut the first word off, with the blanks behind it. */
struct str word_cut(struct str *rest);
/* A value that is text, judged and kept. ERR_ARG: why. */
enum err text_take(struct server_options *o, const struct option_spec *spec,
    enum option_source from, struct str value, char *why, size_t nwhy);
/* conf.c: the file of settings; one that nobody has named (o->config) may be missing. ERR_ARG: why. */
enum err conf_read(const char *path, struct server_options *o, char *why, size_t nwhy);

/* due.c: bits of what is to be done. */
enum {
	DUE_CERTS = 1,       /* of our own that end soon are made anew */
	DUE_REVIEW = 2,      /* of days: a line for each that are not good */
	DUE_TICKETS = 4,     /* other keys */
	DUE_LOG_GOES_ON = 8, /* the event log's time did stand still */
};
enum { ASKED_END = 1, ASKED_LOG = 2, ASKED_CERTS = 4 };
struct due {
	int64_t hour_us, day_us; /* when it was done last; monotonic */
	unsigned njump;          /* of the clock, as clock_look counts them */
	bool behind;             /* the event log is ahead of the clock */
};
struct due due_begin(int64_t now_us, unsigned njump, const struct wall_state *clock);
unsigned due_step(struct due *d, int64_t now_us, unsigned njump, const struct wall_state *clock);
unsigned signal_asks(int sig);

/* notify.c: what a service manager is told, if one has asked: lines of NAME=value. notify_begin comes first, and once. */
void notify_begin(void);
void notify_tell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int64_t notify_watchdog_us(
    void); /* how often it wants to hear WATCHDOG=1 at the least; 0: not at all */

/* early.c: from early_begin, with signals blocked, to early_end SIGTERM and SIGINT end the program at once. The main thread's. */
void early_begin(void);
void early_end(void); /* fine where there was no beginning */

/* pulse.c: does a thread turn? A count that moves with each turn. Zeroed at first. */
struct pulse {
	uint64_t count;
	int64_t since_us; /* when it moved last, or was seen at rest; monotonic */
	bool told;
};
struct ping {
	struct msg msg;
	atomic_bool out; /* posted, and not run yet */
	struct pulse pulse;
};
/* Has it been busy, without a turn, for so long? */
bool pulse_stands(struct pulse *p, bool busy, uint64_t count, int64_t now_us, int64_t limit_us);

/* cgroup.c: bytes of memory that control groups allow; 0: no limit. group: a path below root, as "/a/b". */
uint64_t cgroup_limit(const char *root, struct str group);
uint64_t cgroup_limits(const char *root, struct str self); /* self: as /proc/self/cgroup has it */
uint64_t cgroup_memory(void);

/* One event loop with what is served on it. */
struct io {
	struct loop *loop;
	struct mqtt_loop *mqtt;
	struct http_loop *http;
	struct rollouts *rollouts; /* the first one's */
	struct listener *listeners[PORTS_MAX];
	unsigned nlistener;
};

/* listen.c: an address and port that the options ask for. */
enum port_kind { PORT_MQTTS, PORT_HTTPS, PORT_MQTT };
struct port_spec {
	enum port_kind kind;
	const char *address;
	uint16_t number;
	bool optional; /* it is no error if there is no such address */
};

/* One that is bound, a descriptor for each loop. */
struct port {
	enum port_kind kind;
	int fds[IO_MAX];
};

struct server {
	struct server_options o;
	struct option_list names; /* host names of this hub, and addresses it is bound to */
	struct tls *tls;
	struct tls_conf tls_conf;
	uint64_t files_loaded, files_seen; /* certs.c: marks of the certificates' files */
	char tls_paths[4][DATA_PATH_MAX];
	struct admission *admission;
	struct limiter *limiter;     /* NULL: no rate limits */
	struct offenders *offenders; /* NULL: nobody is held off */
	struct mishaps *mishaps;     /* NULL: it is no hub for tests */
	struct stories *stories;
	struct nets address_free, proxies, sink_allow;
	struct catalogue_box *catalogue;
	pthread_mutex_t policies_mutex;
	struct policies *policies;
	struct buf policies_stored; /* with --cluster: the bytes in the database */
	unsigned policies_looks;    /* it may have others: so many looks are still to come */
	uint64_t policies_changes;  /* that were asked for here */
	bool hub_here; /* shard 0 is, and says what its records are; with policies_mutex */
	atomic_bool secrets_new;  /* others than policies: the main thread looks */
	struct buf ca_stored;     /* the same */
	char hub_id[DATA_ID_MAX]; /* with --cluster, as is dir_id */
	char dir_id[DATA_ID_MAX]; /* with --cluster */
	struct configurations *configurations;
	struct settings *settings; /* in force */
	/* of the built-in endpoint, as the store has them at the start */
	struct partition_end partitions[PARTITIONS_MAX];
	uint64_t catalogue_version;
	uint64_t cas[LIST_MAX]; /* prints of the clients' CAs */
	unsigned ncas;
	struct store *store;
	struct nodes *nodes; /* NULL: the hub has a store of its own */
	uint8_t nobody[SHARDS];
	struct fleet *fleet;
	struct feed *feed;
	struct file_jobs *file_jobs;
	struct backups *backups;
	struct deliveries *deliveries;
	struct io io[IO_MAX];
	struct loop *loops[IO_MAX];
	atomic_bool loops_run;
	struct sizes sizes;
	unsigned nio; /* of io and loops */
	struct ping pings[IO_MAX];
	struct pulse turns[SHARDS]; /* by worker */
	struct port ports[PORTS_MAX];
	unsigned nport;
	int metrics_fd;      /* -1: none, or the page's */
	char *metrics_token; /* NULL: for everybody on this machine */
	struct scrape *metrics;
	int64_t ready_us; /* monotonic */
	struct chart *chart;
	struct thread chart_thread; /* chart.c; with those behind it */
	atomic_bool takes_nothing;  /* at the last sample: changes are refused */
	pthread_mutex_t chart_mutex;
	pthread_cond_t chart_wake;
	bool chart_stop;
	struct endpoint endpoint;
	struct data_found found; /* first: until all that a first start makes is made */
	char why[DATA_WHY_MAX];
};

/* server.c */
/* Say in s->why what went wrong. Returns ERR_ARG. */
enum err fail(struct server *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* From s->policies and s->configurations as they are; with policies_mutex held, or before threads run. */
void catalogue_publish(struct server *s);

/* From now on; takes them. own: as settings_take. */
void routing_take(struct server *s, struct routing *set, bool own);
void configurations_take(struct server *s, struct configurations *set, bool own);

/* Links that depend on what the catalogue has no more are to be closed. All is started. */
void links_again(struct server *s);

/* certs.c */
/* Names that clients may use for this hub, the first one being what it calls itself; host: the machine's, "" when it has none.
 * Strings are borrowed. */
void names_of(const struct server_options *o, const char *host, struct option_list *names);
/* Which files TLS reads: those of the options, else the hub's own, whose paths are given. */
struct tls_conf tls_conf_of(const struct server_options *o, const char own[4][DATA_PATH_MAX]);
enum err tls_make(struct server *s);
/* Read --client-ca; tls: to use them from now on; NULL: only see whether they are good. s->why says what is wrong. */
enum err client_cas_read(struct server *s, struct tls *tls);
/* What clients will hold against certificates from elsewhere; part of the review. */
void certificates_judge(struct server *s, cert_flaw *tell, void *ctx);
/* SIGHUP (asked), and once an hour for certificates of our own that near their end. A bad file keeps what is in use. */
void tls_again(struct server *s, bool asked);
/* Since they were read last, have files of --cert, --key, --client-ca or --client-crl changed? True once, when they are again as they were at the
 * look before: who writes several is let finish. To be asked from time to time. */
bool certificates_changed(struct server *s);
/* As they are they are read now. */
void certificates_noted(struct server *s);
/* Log each certificate in use that has ended, is not valid yet, or ends soon. At start and when they change this is done;
 * daily it is the caller's. */
void certificates_review(struct server *s);

/* hub_settings.c */
/* From now on; takes them. own: from shard 0, which is here; else they count only where it is not. Any thread, once there are feed and store. */
void settings_take(struct server *s, struct settings *set, bool own);
/* The store looks at once how old the log is by them. Any thread, later. */
void settings_retain(struct server *s);
/* What the store has of them, or else the options; the caller's. Before the fleet starts; with --cluster once it is known that nobody has set any. */
struct settings *settings_first(const struct server *s);
/* The first ones are stored; options that are not used are told. Fleet and loops run. */
void settings_begin(struct server *s);
struct settings *admin_settings(void *ctx);

/* Loops and workers: does each turn? Who stands for limit_us has a line in the log, and false. All is started. */
bool pulses_good(struct server *s, int64_t now_us, int64_t limit_us);

/* backup.c */
struct backups_figures {
	double last_s, took_s; /* of the last good one: since 1970; 0: none is known */
	uint64_t bytes, nsuccess, nfailure;
};
/* Is --backup-dir in the data directory? s->why. */
enum err backups_place_check(struct server *s);
/* Before there are threads that may ask for one; what a kill has left of one goes. */
enum err backups_make(struct server *s);
enum err backups_start(struct server *s); /* those by --backup-dir, from now on */
/* None begins any more, and one that is under way is given up. */
void backups_stop(struct server *s);
void backups_free(struct server *s);
void backups_figures(const struct server *s, struct backups_figures *out);
/* Into a new directory, outside of the hub's own; json: what was made. On an error nothing of it is there. */
enum err admin_backup(void *ctx, struct str to, struct buf *json, struct fault *f);
void admin_backups(void *ctx, struct buf *json);
int64_t admin_backups_failing(void *ctx);

/* check.c: the exit code. */
int server_check(struct server *s);

/* background.c */
#define BACKGROUND_LOG "hub.log" /* in the data directory; unless --log-file names another one */
/* True: this process is the hub, and its line "ready" goes to who was called. False: it is who was called, and ends with *code; or
 * s->why says what went wrong. Before any thread. */
bool background_split(struct server *s, int *code);
/* Ready, and on its own from now on. */
void background_settle(const struct server *s);

/* ephemeral.c: one in a process. */
/* A directory, and an address with its ports: they are in s->o then. The log runs. */
enum err ephemeral_begin(struct server *s);
/* Has who started it gone? */
bool ephemeral_orphaned(void);
/* The line for who started it: JSON, with keys. */
void ephemeral_ready(const struct server *s, struct buf *line);
/* Removes the directory, if there is one. */
void ephemeral_end(void);

/* advance.c: the hub's clock is put ahead, and looked at everywhere. False: it would be more than CLOCK_AHEAD_MAX_US in all.
 * Writes files: not on a loop. */
#define CLOCK_AHEAD_MAX_US (INT64_C(3650) * 24 * HOUR_US)
bool admin_clock_advance(void *ctx, int64_t by_us);

/* seed.c: the lines of --seed, all of them, are on disk; or s->why says which one is wrong, and some may be. Loops and fleet run. */
enum err seed_plant(struct server *s);

#define POLICY_OWNER "iothubowner" /* what commands with --data sign in with */

/* admin.c: what the API asks of the program */
struct http_admin admin_of(struct server *s);

/* places.c: where what all nodes of a hub share is kept */
struct places {
	/* s->why. The caller's. */
	enum err (*policies_load)(struct server *s, struct policies **out);
	/* With policies_mutex held. As policies_save; or ERR_LOCKED: others are, or may be, in force, and f says it. */
	enum err (*policies_store)(struct server *s, const struct policies *next, struct fault *f);
	/* ca.pem and ca.key of the directory, around certs_ensure: what is kept elsewhere comes there, where there is one; what was made there is kept.
	 * other: another node was quicker, so both are to be done again. s->why */
	enum err (*ca_fetch)(struct server *s);
	enum err (*ca_keep)(struct server *s, bool *other);
};
const struct places *places_of(const struct server *s);
/* With --cluster: the directory is of the database's hub, or joins it. Before all else that reads the directory. s->why. */
enum err places_join(struct server *s);
/* Now and then: what was not known is looked up. */
void places_look(struct server *s);
/* What of PostgreSQL's settings is not as it should be goes to the log. Takes a connection. */
void database_advise(const struct server *s);
#define TICKETS_SECRET    "tickets"
#define PARTITIONS_SECRET "partitions" /* "1": numbering has begun (E-104) */
/* The policies that the database had when policies_changes was as_of; taken from bytes. ERR_LOCKED: they have been changed here since, and it is not
 * known whether before; f otherwise. *changed: others are in force now. */
enum err policies_adopt_if(
    struct server *s, struct buf *bytes, uint64_t as_of, bool *changed, struct fault *f);

/* common.c: what is hub-wide on a node of several; nothing of it without --cluster. common_make: before the store is opened */
void common_make(struct server *s);
/* It is read and in force, and others' changes of it from now on. The fleet runs. s->why. */
enum err common_start(struct server *s);
void common_stop(void); /* what waits is answered, and nothing waits any more */
void common_free(void);
void common_named(void *ctx, int64_t common); /* pg_calls.apply */
void common_spreads(struct work *k);          /* fleet_options.on_spread */
/* Until all nodes have in force what this one has just changed. Not on a loop or worker: it may take seconds. ERR_LOCKED: the hub stops; f. */
enum err common_wait(struct server *s, struct fault *f);
const char *node_name(const struct server *s); /* with --cluster */

/* nodes.c: with --cluster */
struct pg_options;
/* s->store is opened with these and what it is to know besides, and the node has begun. s->why. */
enum err nodes_open(struct server *s, struct pg_options *po);
/* What the fleet is to know; with others, the way to them is open. hub: its id. s->why. */
enum err nodes_join(struct server *s, const char *hub, struct fleet_options *fo);
/* The fleet runs: what is hub-wide is in force, the lease holds, shards that are due are here. s->why. */
enum err nodes_begin(struct server *s);
/* Is it served here? Any thread. Without --cluster all are. */
bool nodes_have(const struct server *s, unsigned shard);
/* Between this node and the others that live; since the start where it is a number of something that happens. */
struct nodes_links {
	unsigned others, up;
	uint64_t sent, received; /* bytes */
	uint64_t waiting, out;   /* operations for others: not sent, or not answered yet */
	uint64_t not_mine, unknown, late, full;
};
/* Others learn at once that something hub-wide is new; nobody is told what came of it. Any thread. */
void nodes_poke(struct server *s);
bool nodes_links(const struct server *s, struct nodes_links *out); /* false: it is the only one */
void nodes_stop(
    struct server *s); /* before the fleet: nothing is asked of others any more, no shard moves */
void nodes_part(
    struct server *s); /* behind the end of the loops' threads, before that of the loops */
void nodes_free(
    struct server *s); /* behind the store's end; fine where there is none, as are the others */

/* tickets.c: with --cluster, the keys that all nodes share; they are turned when it is time. At the start, and hourly. Main thread. */
void tickets_share(struct server *s);

/* listen.c */
/* How many ports there are to be bound, in this order. */
unsigned ports_of(const struct server_options *o, struct port_spec out[PORTS_MAX]);
/* Where commands on this machine reach the hub; ports are still to come. */
struct endpoint endpoint_of(const struct server_options *o, const char *name);
enum err bind_all(struct server *s);
/* One loop's sessions, requests and listeners. */
enum err io_make(struct server *s, unsigned i);

/* A name is none, whatever it begins with: it may be any address. */
bool address_is_loopback(const char *address);

/* metrics.c */
#define METRICS_PORT 9464
struct metrics_place {
	bool asked, off, bad; /* by --metrics-bind; bad: it is no place */
	char address[64];
	uint16_t port;
};
struct metrics_place metrics_place_of(const struct server_options *o);
/* Before the store: a place that was asked for and cannot be had ends the start; the usual one is warned of. */
enum err metrics_bind(struct server *s);
enum err metrics_token_read(struct server *s); /* of --metrics-token-file, if it is given */
enum err metrics_start(struct server *s);      /* store and fleet are there until metrics_stop */
void metrics_stop(struct server *s);

/* chart.c: samples, from now on until chart_stop; store, fleet and deliveries are there */
enum err chart_start(struct server *s);
void chart_stop(struct server *s);
void admin_chart_now(void *ctx, struct chart_point *out);

/* figures.c */
extern const struct metric_names metrics_names;
void metrics_look(const struct server *s, struct metric_looks *l);

/* clock.c: for clock_tell */
void server_clock_told(enum wall_news news, int64_t by_us);

/* stop.c */
void server_stop(struct server *s);

#endif
