// What provokes each alert of deploy/prometheus/alerts.yml, as series, a sample a minute: HEALTHY is a hub of a hundred devices in good
// order, and a scenario is what is different. Values are those of promtool: '3x120' is 3 all the time, '0+60x120' rises by 60 a minute.
const END = 120;
const still = (value) => `${value}x${END}`;
const rising = (step) => `0+${step}x${END}`;
// `before` until minute `at`, then `after`.
const turns = (at, before, after) => `${before}x${at - 1} ${after}x${END - at}`;
// All of a histogram's bounds below `seconds` see nothing, the others `rate` a minute.
const times = (name, seconds, rate, labels = '') => Object.fromEntries(['0.0005', '0.01', '0.1', '0.25', '0.5', '1', '2.5', '10', '+Inf'].map((le) =>
	[`${name}_bucket{${labels}le="${le}"}`, rising(Number(le.replace('+Inf', 'Infinity')) >= seconds ? rate : 0)]));

const GB = 1e9;
export const HEALTHY = {
	'up': still(1),
	'twinhub_uptime_seconds': '100000+60x120',
	'twinhub_store_takes_writes': still(1),
	'twinhub_free_space_bytes': still(50 * GB),
	'twinhub_free_space_floor_bytes': still(67108864),
	'twinhub_store_wal_bytes': still(30e6),
	'twinhub_store_commit_failures_total': still(0),
	'twinhub_store_damaged_files': still(0),
	'twinhub_store_stall_seconds_total': still(3),
	'twinhub_store_write_stopped': still(0),
	...times('twinhub_fsync_seconds', 0.005, 600),
	...times('twinhub_operation_seconds', 0.008, 6000, 'operation="twin-reported",'),
	'twinhub_operations_total{operation="twin-reported",result="ok"}': rising(6000),
	'twinhub_operations_total{operation="twin-reported",result="refused"}': rising(60),
	'twinhub_operations_total{operation="twin-reported",result="failed"}': still(0),
	'twinhub_queue_length{queue="operations"}': still(7),
	'twinhub_queue_length{queue="queries-waiting"}': still(0),
	'twinhub_resident_memory_bytes': still(0.4 * GB),
	'twinhub_memory_limit_bytes': still(0.5 * GB),
	'twinhub_connections{protocol="mqtt"}': still(90),
	'twinhub_connections{protocol="websocket"}': still(10),
	'twinhub_connections_open': still(104),
	'twinhub_connections_max': still(10000),
	'twinhub_connects_total{protocol="mqtt"}': rising(2),
	'twinhub_connects_refused_total{reason="key-signature"}': rising(1),
	'twinhub_connects_refused_total{reason="token-expired"}': still(0),
	'twinhub_disconnects_total{reason="left"}': rising(2),
	'twinhub_disconnects_total{reason="goodbye"}': rising(2),
	'twinhub_open_files': still(180),
	'twinhub_open_files_max': still(65536),
	'twinhub_messages_dead_lettered_total{end="Expired"}': rising(1),
	'twinhub_messages_dead_lettered_total{end="Purged"}': rising(10),
	'twinhub_sinks_failing{kind="webhook"}': still(0),
	'twinhub_sinks_failing{kind="file"}': still(0),
	'twinhub_sink_lag_events{kind="webhook"}': still(40),
	'twinhub_sink_events_dropped_total{kind="webhook"}': still(0),
	'twinhub_sink_events_given_up_total{kind="webhook"}': still(0),
	'twinhub_rollouts{status="running"}': still(2),
	'twinhub_rollouts{status="halted"}': still(0),
	'twinhub_jobs{status="failed"}': still(1),
	'twinhub_jobs_failed_total{kind="scheduled"}': still(0),
	'twinhub_jobs_failed_total{kind="import-export"}': still(1),
	'twinhub_jobs{status="completed"}': '0+1x120',
	'twinhub_certificate_left_seconds{certificate="server"}': '20000000-60x120',
	'twinhub_certificate_left_seconds{certificate="server-ca"}': '200000000-60x120',
	'twinhub_backup_failures_total': still(0),
	'twinhub_log_lines_dropped_total': still(0),
	'twinhub_cluster_shards_without_owner': still(0),
	'twinhub_cluster_lost': still(0),
	'twinhub_cluster_synchronous': still(1),
	'twinhub_cluster_links': still(2),
	'twinhub_cluster_links_wanted': still(2),
	'twinhub_cluster_clock_ahead_seconds': still(0.01),
	'twinhub_cluster_beat_failures_total': still(0),
};

// What there is when the hub does not answer: all of its series end.
const gone = (at) => Object.fromEntries(Object.entries(HEALTHY).map(([name, values]) => [name, name === 'up' ? turns(at, 1, 0) : `${values.replace(/x120$/, `x${at - 1}`)} stale`]));

// quiet: the last minute at which nothing fires; fires: the first one at which the alert does, and still five minutes later, or at `until`.
export const SCENARIOS = [
	{ alert: 'TwinhubDown', quiet: 20, fires: 22, series: gone(20) },
	{ alert: 'TwinhubRestarts', quiet: 30, fires: 40, until: 75, series: { twinhub_uptime_seconds: '100000+60x19 10+60x9 10+60x9 10+60x100' } },
	{ alert: 'TwinhubDiskFull', quiet: 20, fires: 22, series: { twinhub_store_takes_writes: turns(20, 1, 0), twinhub_free_space_bytes: turns(20, 50 * GB, 50e6) } },
	// freed, but not enough to begin again: still that
	{ alert: 'TwinhubDiskFull', quiet: 20, fires: 22, series: { twinhub_store_takes_writes: turns(20, 1, 0), twinhub_free_space_bytes: turns(20, 50 * GB, 90e6) } },
	{ alert: 'TwinhubStoreFailed', quiet: 20, fires: 22, series: { twinhub_store_takes_writes: turns(20, 1, 0) } },
	{ alert: 'TwinhubDiskNearlyFull', quiet: 24, fires: 26, series: { twinhub_free_space_bytes: turns(20, 50 * GB, 200e6) } },
	{ alert: 'TwinhubDiskFilling', quiet: 50, fires: 70, series: { twinhub_free_space_bytes: `50000000000-40000000x${END}` } },
	{ alert: 'TwinhubCommitsFailed', quiet: 19, fires: 20, series: { twinhub_store_commit_failures_total: turns(20, 0, 3) } },
	{ alert: 'TwinhubDamagedFiles', quiet: 19, fires: 20, series: { twinhub_store_damaged_files: turns(20, 0, 2) } },
	{ alert: 'TwinhubWritesStalled', quiet: 24, fires: 28, series: { twinhub_store_stall_seconds_total: `3x19 3+20x${END}` } },
	{ alert: 'TwinhubWritesStalled', quiet: 24, fires: 26, series: { twinhub_store_write_stopped: turns(20, 0, 1) } },
	// a slow disk makes what waits for it slow, too
	{ alert: 'TwinhubFsyncSlow', quiet: 10, fires: 15, series: { ...times('twinhub_fsync_seconds', 0.9, 60), ...times('twinhub_operation_seconds', 2, 600, 'operation="twin-reported",') } },
	{ alert: 'TwinhubSlow', quiet: 10, fires: 15, series: times('twinhub_operation_seconds', 2, 6000, 'operation="twin-reported",') },
	{ alert: 'TwinhubOperationsFail', quiet: 24, fires: 27, series: { 'twinhub_operations_total{operation="twin-reported",result="failed"}': `0x19 0+200x${END}` } },
	{ alert: 'TwinhubQueriesWait', quiet: 29, fires: 31, series: { 'twinhub_queue_length{queue="queries-waiting"}': turns(20, 0, 4) } },
	{ alert: 'TwinhubMemoryHigh', quiet: 49, fires: 51, series: { twinhub_resident_memory_bytes: turns(20, 0.4 * GB, 2.5 * GB) } },
	{ alert: 'TwinhubConnectsRefused', quiet: 29, fires: 35, series: { 'twinhub_connects_refused_total{reason="token-expired"}': `0x19 0+100x${END}` } },
	{ alert: 'TwinhubConnectionsFull', quiet: 24, fires: 26, series: { twinhub_connections_open: turns(20, 104, 9500) } },
	{ alert: 'TwinhubDescriptorsFull', quiet: 24, fires: 26, series: { twinhub_open_files: turns(20, 180, 65000) } },
	{ alert: 'TwinhubConnectionsLost', quiet: 21, fires: 23, until: 30, series: { 'twinhub_connections{protocol="mqtt"}': turns(20, 90, 5), 'twinhub_disconnects_total{reason="left"}': turns(20, 0, 85) } },
	{ alert: 'TwinhubFlapping', quiet: 20, fires: 60, series: { 'twinhub_disconnects_total{reason="taken-over"}': `0x9 0+15x${END}`, 'twinhub_connects_total{protocol="mqtt"}': rising(17) } },
	{ alert: 'TwinhubMessagesUndelivered', quiet: 19, fires: 25, series: { 'twinhub_messages_dead_lettered_total{end="Expired"}': `0x19 0+50x${END}` } },
	{ alert: 'TwinhubSinkFailing', quiet: 24, fires: 26, series: { 'twinhub_sinks_failing{kind="webhook"}': turns(20, 0, 1), 'twinhub_sink_lag_events{kind="webhook"}': `40x19 40+50000x${END}` } },
	{ alert: 'TwinhubSinkBehind', quiet: 34, fires: 37, series: { 'twinhub_sink_lag_events{kind="webhook"}': turns(20, 40, 250000) } },
	{ alert: 'TwinhubSinkLosesEvents', quiet: 19, fires: 22, series: { 'twinhub_sink_events_dropped_total{kind="webhook"}': turns(20, 0, 70) } },
	{ alert: 'TwinhubSinkGivesUp', quiet: 19, fires: 22, series: { 'twinhub_sink_events_given_up_total{kind="webhook"}': turns(20, 0, 2) } },
	{ alert: 'TwinhubRolloutHalted', quiet: 20, fires: 22, series: { 'twinhub_rollouts{status="halted"}': turns(20, 0, 1) } },
	{ alert: 'TwinhubJobsFailed', quiet: 19, fires: 22, until: 70, series: { 'twinhub_jobs_failed_total{kind="scheduled"}': turns(20, 0, 1) } },
	{ alert: 'TwinhubJobsFailed', quiet: 19, fires: 22, until: 70, series: { 'twinhub_jobs_failed_total{kind="import-export"}': turns(20, 1, 2) } },
	{ what: 'a failed job of last month is forgotten, and the hub starts again', quiet: 90, series: { 'twinhub_jobs{status="failed"}': turns(20, 1, 0), 'twinhub_jobs_failed_total{kind="import-export"}': turns(20, 1, 0) } },
	{ alert: 'TwinhubBackupFailed', quiet: 19, fires: 22, series: { twinhub_backup_failures_total: turns(20, 0, 2) } },
	{ alert: 'TwinhubCertificateEnds', quiet: 55, fires: 65, series: { 'twinhub_certificate_left_seconds{certificate="server"}': `1800000-60x${END}` } },
	{ alert: 'TwinhubCertificateEndsSoon', quiet: 19, fires: 22, series: { 'twinhub_certificate_left_seconds{certificate="client-ca"}': turns(20, 9e6, 100000) } },
	{ alert: 'TwinhubLogLinesLost', quiet: 19, fires: 22, until: 30, series: { twinhub_log_lines_dropped_total: turns(20, 0, 9) } },
	{ alert: 'TwinhubClusterShardsWithoutOwner', quiet: 20, fires: 22, series: { twinhub_cluster_shards_without_owner: turns(20, 0, 21) } },
	{ alert: 'TwinhubClusterLost', quiet: 19, fires: 20, series: { twinhub_cluster_lost: turns(20, 0, 1) } },
	{ alert: 'TwinhubClusterNotSynchronous', quiet: 24, fires: 26, series: { twinhub_cluster_synchronous: turns(20, 1, 0) } },
	{ alert: 'TwinhubClusterLinkDown', quiet: 21, fires: 23, series: { twinhub_cluster_links: turns(20, 2, 1) } },
	{ alert: 'TwinhubClusterClockOff', quiet: 24, fires: 26, series: { twinhub_cluster_clock_ahead_seconds: turns(20, 0.01, -7) } },
	{ alert: 'TwinhubClusterBeatsFail', quiet: 19, fires: 22, until: 26, series: { twinhub_cluster_beat_failures_total: turns(20, 0, 15) } },
	// what is no reason to call anybody
	{ what: 'a node dies, and its shards are taken', quiet: 90, series: { twinhub_cluster_shards_without_owner: `0x19 21 0x${END}`, twinhub_cluster_links: `2x19 1 2x${END}`, twinhub_cluster_beat_failures_total: turns(20, 0, 3) } },
	{ what: 'a hub in good order', quiet: 90, series: {} },
	{ what: 'a restart: all series begin anew, devices come back', quiet: 90, series: {
		'twinhub_uptime_seconds': '100000+60x19 10+60x60', 'twinhub_connections{protocol="mqtt"}': '90x19 20 60 90x58', 'twinhub_connections{protocol="websocket"}': '10x19 0 5 10x58',
		'twinhub_disconnects_total{reason="stopping"}': still(0) } },
	{ what: 'devices that connect, send and say goodbye, over and over', quiet: 90, series: { 'twinhub_disconnects_total{reason="goodbye"}': rising(600), 'twinhub_connects_total{protocol="mqtt"}': rising(602) } },
	{ what: 'some requests of back ends that are wrong', quiet: 90, series: { 'twinhub_operations_total{operation="twin-reported",result="refused"}': rising(3000) } },
];

const named = (name) => {
	const [, metric, labels = ''] = /^([a-z_]+)(?:\{(.*)\})?$/.exec(name);
	return `${metric}{job="twinhub",instance="hub:9464"${labels && `,${labels}`}}`;
};

// The scenarios as a file of `promtool test rules`, which is YAML, as is JSON. Each moment is asked for all that fires, whichever alert it is.
export function promtoolTests(rules) {
	const firing = (minute, alert) => ({ expr: 'count by (alertname) (ALERTS{alertstate="firing"})', eval_time: `${minute}m`,
		exp_samples: alert ? [{ labels: `{alertname="${alert}"}`, value: 1 }] : [] });
	return { rule_files: [rules], evaluation_interval: '1m', tests: SCENARIOS.map(({ alert, what, quiet, fires, until = fires + 5, series }) => ({
		interval: '1m', name: alert ?? what,
		input_series: Object.entries({ ...HEALTHY, ...series }).map(([name, values]) => ({ series: named(name), values })),
		promql_expr_test: [firing(quiet), ...(alert ? [firing(fires, alert), firing(until, alert)] : [])] })) };
}
