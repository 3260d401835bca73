/* The figures that are looked at when somebody asks for metrics (O-120). */
#include "metric/metric.h"
#include "os/os.h"
#include "pg/pg.h"
#include "server/priv.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

const struct metric_names metrics_names = { .of = fleet_label_name };

/* ---- the process ---- */

static double
resident_bytes(void)
{
	unsigned long long all, resident = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (f != NULL) {
		if (fscanf(f, "%llu %llu", &all, &resident) != 2)
			resident = 0;
		fclose(f);
	}
	return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

/* Linux tells how many there are since 6.2; before, each is looked at. */
static double
open_files(void)
{
	struct stat st;
	double n = 0;
	DIR *d;

	if (stat("/proc/self/fd", &st) == 0 && st.st_size > 0)
		return (double)st.st_size;
	if ((d = opendir("/proc/self/fd")) == NULL)
		return NAN;
	for (const struct dirent *e; (e = readdir(d)) != NULL;)
		n += e->d_name[0] != '.';
	closedir(d);
	return n - 1; /* without the one that looks */
}

static double
seconds(const struct timeval *t)
{
	return (double)t->tv_sec + (double)t->tv_usec / 1e6;
}

static void
look_at_process(const struct server *s, struct metric_looks *l)
{
	struct rusage used;
	struct rlimit files;

	l->build_info[0] = 1;
	l->uptime_seconds[0] = (double)(clock_mono_us() - s->ready_us) / 1e6;
	l->resident_memory_bytes[0] = resident_bytes();
	l->memory_limit_bytes[0] = (double)s->sizes.memory_bytes;
	l->cpu_seconds[0] = getrusage(RUSAGE_SELF, &used) == 0
	    ? seconds(&used.ru_utime) + seconds(&used.ru_stime)
	    : NAN;
	l->open_files[0] = open_files();
	l->open_files_max[0] = getrlimit(RLIMIT_NOFILE, &files) == 0 ? (double)files.rlim_cur : NAN;
	l->queue_bytes[ROOM_LOG] = (double)log_waiting();
}

/* ---- the store ---- */

static void
look_at_files(const struct server *s, const struct store_stats *n, struct metric_looks *l)
{
	l->store_wal_bytes[0] = (double)n->wal_bytes;
	l->store_table_bytes[0] = (double)n->table_bytes;
	l->store_table_files[0] = (double)n->table_files;
	l->store_log_bytes[0] = (double)n->log_bytes;
	l->store_changes_bytes[0] = (double)n->changes_bytes;
	l->free_space_bytes[0] = (double)store_space(s->store);
	l->free_space_floor_bytes[0] = (double)s->o.free_space_bytes;
	l->scrub_bytes[0] = (double)n->scrub_bytes;
	l->scrub_files[0] = (double)n->scrub_files;
	l->scrub_passes[0] = (double)n->scrub_passes;
	l->scrub_progress_ratio[0] =
	    n->scrub_of == 0 ? 0 : fmin((double)n->scrub_done / (double)n->scrub_of, 1);
}

static void
look_at_engine(const struct store_stats *n, struct metric_looks *l)
{
	l->store_level0_files[0] = (double)n->l0_files;
	l->store_stall_seconds[0] = (double)n->stall_ms / 1000;
	l->store_write_stopped[0] = n->write_stopped;
	l->store_compactions_running[0] = (double)n->compactions;
	l->store_compaction_pending_bytes[0] = (double)n->compaction_bytes;
	l->store_flushes_running[0] = (double)n->flushes;
	l->store_memtables_waiting[0] = (double)n->memtables;
	l->store_background_errors[0] = (double)n->errors;
	l->store_keys[0] = (double)n->keys;
	l->store_snapshots[0] = (double)n->snapshots;
	l->store_memtable_bytes[0] = (double)n->memtable_bytes;
	l->store_cache_bytes[0] = (double)n->cache_bytes;
	l->store_cache_pinned_bytes[0] = (double)n->cache_pinned_bytes;
	l->store_reader_bytes[0] = (double)n->reader_bytes;
}

static void
look_at_store(const struct server *s, struct metric_looks *l)
{
	struct store_damage d;
	struct store_stats n;

	store_stats(s->store, &n);
	store_damage(s->store, &d);
	l->store_commits[0] = (double)n.commits;
	l->store_commit_bytes[0] = (double)n.commit_bytes;
	l->store_commit_failures[0] = (double)n.commit_failures;
	l->store_takes_writes[0] =
	    store_state(s->store, NULL) == STORE_READY && store_has_space(s->store);
	l->store_damaged_files[0] = d.n;
	l->queue_length[QUEUE_COMMITS] = (double)n.inflight;
	look_at_files(s, &n, l);
	look_at_engine(&n, l);
}

/* ---- backups ---- */

static void
look_at_backups(const struct server *s, struct metric_looks *l)
{
	struct backups_figures n;

	backups_figures(s, &n);
	l->backup_last_success_timestamp_seconds[0] = n.last_s;
	l->backup_last_duration_seconds[0] = n.took_s;
	l->backup_last_bytes[0] = (double)n.bytes;
	l->backups[0] = (double)n.nsuccess;
	l->backup_failures[0] = (double)n.nfailure;
}

/* ---- certificates ---- */

static double
left_seconds(int64_t end_us)
{
	return end_us == INT64_MAX ? NAN : (double)(end_us - clock_wall_us()) / 1e6;
}

static void
look_at_certificates(const struct server *s, double *left)
{
	char ca[DATA_PATH_MAX];
	struct tls_ends ends;
	int64_t own_us;

	tls_ends(s->tls, &ends);
	if (s->o.certs.n == 0 && data_path(ca, s->o.data, "ca.pem") &&
	    (own_us = certs_end(ca)) < ends.server_ca_us)
		ends.server_ca_us = own_us;
	left[METRIC_SERVER] = left_seconds(ends.server_us);
	left[METRIC_SERVER_CA] = left_seconds(ends.server_ca_us);
	left[METRIC_CLIENT_CA] = left_seconds(ends.client_ca_us);
}

static void
look_at_limits(const struct server *s, struct metric_looks *l)
{
	struct limiter_state *state = xmalloc(sizeof(*state));

	limiter_look(s->limiter, state);
	l->daily_messages[0] = (double)state->daily.used;
	l->daily_messages_max[0] = (double)state->daily.most;
	free(state);
}

/* ---- a node of several, or the only one, over PostgreSQL ---- */

static void
look_at_links(const struct server *s, struct metric_looks *l)
{
	struct nodes_links n;
	bool several = nodes_links(s, &n);

	l->cluster_links[0] = several ? n.up : NAN;
	l->cluster_links_wanted[0] = several ? n.others : NAN;
	l->cluster_sent_bytes[0] = several ? (double)n.sent : NAN;
	l->cluster_received_bytes[0] = several ? (double)n.received : NAN;
	l->cluster_operations_waiting[0] = several ? (double)n.waiting : NAN;
	l->cluster_operations_out[0] = several ? (double)n.out : NAN;
	l->cluster_operations_not_mine[0] = several ? (double)n.not_mine : NAN;
	l->cluster_operations_unknown[0] = several ? (double)n.unknown : NAN;
	l->cluster_operations_refused[0] = several ? (double)(n.late + n.full) : NAN;
}

static void
look_at_nobody(struct metric_looks *l)
{
	l->cluster_lease_left_seconds[0] = l->cluster_beats[0] = l->cluster_beat_failures[0] = NAN;
	l->cluster_nodes[0] = l->cluster_shards[0] = l->cluster_shards_without_owner[0] = NAN;
	l->cluster_shards_read[0] = l->cluster_shard_read_seconds[0] = NAN;
	l->cluster_commits_unknown[0] = l->cluster_commits_unknown_made[0] = NAN;
	l->cluster_synchronous[0] = l->cluster_clock_ahead_seconds[0] = l->cluster_lost[0] = NAN;
}

static void
look_at_cluster(const struct server *s, struct metric_looks *l)
{
	struct pg_figures n;

	look_at_links(s, l);
	if (s->o.cluster == NULL) {
		look_at_nobody(l);
		return;
	}
	pg_figures(s->store, &n);
	l->cluster_lease_left_seconds[0] = (double)n.lease_left_us / 1e6;
	l->cluster_beats[0] = (double)n.beats;
	l->cluster_beat_failures[0] = (double)n.beat_failures;
	l->cluster_nodes[0] = n.nodes;
	l->cluster_shards[0] = n.shards;
	l->cluster_shards_without_owner[0] = n.orphans;
	l->cluster_shards_read[0] = (double)n.loads;
	l->cluster_shard_read_seconds[0] = (double)n.load_us / 1e6;
	l->cluster_commits_unknown[0] = (double)n.unknown;
	l->cluster_commits_unknown_made[0] = (double)n.unknown_made;
	l->cluster_synchronous[0] = n.synchronous;
	l->cluster_clock_ahead_seconds[0] = (double)n.clock_ahead_us / 1e6;
	l->cluster_lost[0] = n.lost < 0 ? NAN : n.lost;
}

void
metrics_look(const struct server *s, struct metric_looks *l)
{
	look_at_process(s, l);
	look_at_store(s, l);
	look_at_limits(s, l);
	look_at_cluster(s, l);
	look_at_backups(s, l);
	look_at_certificates(s, l->certificate_left_seconds);
	fleet_look(s->fleet, l);
	deliveries_look(s->deliveries, l);
	l->event_readers[0] = feed_readers(s->feed);
	l->auth_backoff_waiting[0] = offenders_waiting(s->offenders);
	l->connections_open[0] = admission_count(s->admission);
	l->connections_max[0] = (double)s->sizes.connections;
}
