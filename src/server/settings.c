/* The options of `serve`, which are the lines of twinhub.conf as well: options.c reads them, the manual prints them. */
#include "server/server.h"

#define FIRST                                                                                      \
	"The first value of a [setting of the hub](#settings-of-the-hub), which is what is in "    \
	"force from then on."
#define AT(field)                                                                                  \
	.at = offsetof(struct server_options, field),                                              \
	.room = sizeof(((struct server_options *)0)->field)

/* clang-format off */
static const char *const log_formats[] = { "logfmt", "json", NULL }; /* as enum log_format */
static const char *const ports[] = { "standard", "any", NULL }; /* as enum port_choice */
static const char *const editions[] = { "off", "F1", "S1", "S2", "S3", NULL }; /* as enum throttle_edition */
static const char *const levels[] = { "error", "warn", "info", "debug", NULL }; /* as enum log_level */

static const struct option_spec rows[] = {
	{
		.name = "data", .value = "DIR", .kind = OPTION_DIR, AT(data),
		.help = "the data directory; made when missing",
		.note = "Needed: on the command line, as `TWINHUB_DATA` in the environment, or in the file that `config` names (in `DATA/twinhub.conf` it means "
			"nothing: the file is in it). A folder that holds something else is refused.",
	}, {
		.name = "config", .value = "FILE", .kind = OPTION_FILE, .line_only = true, AT(config),
		.otherwise = "DATA/twinhub.conf",
		.help = "the file of settings",
		.note = "Or `TWINHUB_CONFIG` in the environment. It must be there, and `DATA/twinhub.conf` is ignored: a line of the log says so if it says "
			"anything.",
	}, {
		.name = "background", .kind = OPTION_SWITCH, .line_only = true, AT(background),
		.help = "end when the hub is ready; it goes on until `twinhub stop`",
		.note = "Prints the line `twinhub ready`, or why there is no hub, as without it. The log goes to `DATA/hub.log`, unless `log-file` "
			"says otherwise. For a first try and for scripts; a service needs no such thing.",
	}, {
		.name = "rehearse", .kind = OPTION_SWITCH, .line_only = true, AT(rehearse),
		.help = "try a restored hub beside the real one: loopback, free ports, nothing leaves it",
		.note = "Of what the file of settings says, addresses, ports, log and backups do not hold: it listens on 127.0.0.1 alone, HTTPS on a free port and no "
			"MQTT, unless the command line names others. It delivers to no sink, numbers no events for partitions, makes no backups of its own accord and serves no "
			"metrics. See [backups](backup.md#the-drill).",
	}, {
		.name = "check", .kind = OPTION_SWITCH, .line_only = true, AT(check),
		.help = "tell what is wrong with settings, files and certificates, start nothing, and end",
		.note = "Exit code 0 if a start finds nothing to refuse and clients nothing to hold against the certificates, else 1 with a line for each. A "
			"hub may run on the directory meanwhile: for before a restart or reload.",
	}, {
		.name = "ephemeral", .kind = OPTION_SWITCH, .line_only = true, AT(ephemeral),
		.help = "a hub for tests, gone with who started it; its ready line is JSON",
		.note = "Instead of `data`: the directory is a temporary one (in `TMPDIR`), removed at the end. Without `bind` the hub takes a loopback "
			"address that nobody else has, so that several stand side by side on the ports that SDKs dial. The line it prints when "
			"it serves has connection strings and the CA. It ends when the process that started it has ended, or when its "
			"standard input, if that is a pipe, is closed. See [a hub for tests](emulator.md).",
	}, {
		.name = "ports", .value = "WHICH", .kind = OPTION_WORD, .words = ports, .fallback = "standard", .line_only = true, AT(ports),
		.help = "with --ephemeral: standard (--https-port and --mqtts-port), or any that are free",
		.note = "For programs that can be told which ports; SDKs cannot.",
	}, {
		.name = "seed", .value = "FILE", .kind = OPTION_FILE, .line_only = true, AT(seed),
		.help = "with --ephemeral: devices, modules, twins and configurations to begin with",
		.note = "Lines as `twinhub export` writes them. The hub is ready when all of them are in; one that is refused ends the start, and the message "
			"says which line, and what of it.",
	}, {
		.name = "clock", .kind = OPTION_SWITCH, .line_only = true, AT(clock),
		.help = "with --ephemeral: POST /admin/clock puts the hub's clock ahead",
		.note = "Tokens of links, messages, locks, jobs and the log get old by order: see [a hub for tests](emulator.md#time).",
	}, {
		.name = "hostname", .value = "NAME", .kind = OPTION_TEXT, .many = true, AT(hostnames),
		.otherwise = "this machine's",
		.help = "a name clients use",
		.note = "A CONNECT or token for another name is refused. The first is the one in connection strings. Always known besides: the "
			"machine's name, `localhost`, `127.0.0.1`, `::1`, and loopback addresses in `bind`. To let clients dial another address by "
			"number, name it: `hostname 10.0.0.5`.",
	}, {
		.name = "bind", .value = "ADDR", .kind = OPTION_TEXT, .many = true, AT(binds),
		.otherwise = "all",
		.help = "an address to listen on",
		.note = "All are `0.0.0.0` and, if the machine has IPv6, `::`. `::` is IPv6 only.",
	}, {
		.name = "mqtts-port", .value = "N", .kind = OPTION_NUMBER, .least = 1, .most = 65535, .zero = "off", .fallback = "8883", AT(mqtts_port),
		.help = "MQTT over TLS",
		.note = "The SDKs know 8883.",
	}, {
		.name = "https-port", .value = "N", .kind = OPTION_NUMBER, .least = 1, .most = 65535, .zero = "a free one", .fallback = "443", AT(https_port),
		.help = "HTTPS, and MQTT over WebSocket",
		.note = "The SDKs know 443.",
	}, {
		.name = "mqtt-port", .value = "N", .kind = OPTION_NUMBER, .least = 1, .most = 65535, .zero = "off", .fallback = "0", AT(mqtt_port),
		.help = "MQTT in plain text, on loopback addresses only",
		.note = "On the loopback addresses among `bind`, else on 127.0.0.1. For benchmarks.",
	}, {
		.name = "cert", .value = "FILE", .kind = OPTION_FILE, .many = true, AT(certs),
		.otherwise = "the hub's own",
		.help = "a server certificate chain in PEM, with --key; at most two",
		.note = "[Certificates](certificates.md) from elsewhere, in pairs, at most two, of different kinds (ECDSA and RSA).",
	}, {
		.name = "key", .value = "FILE", .kind = OPTION_FILE, .many = true, AT(keys),
		.help = "the key of the --cert at the same place",
	}, {
		.name = "client-ca", .value = "FILE", .kind = OPTION_FILE, .many = true, AT(client_cas),
		.help = "a CA that device certificates descend from",
		.note = "One certificate in each file.",
	}, {
		.name = "client-crl", .value = "FILE", .kind = OPTION_FILE, .many = true, AT(client_crls),
		.help = "certificates that a client CA has revoked: a CRL in PEM",
		.note = "One or more lists in each file, each signed by a `client-ca`. Read again when it changes; links of what is revoked are closed. A list "
			"whose days are over still counts.",
	}, {
		.name = "memory", .value = "SIZE", .kind = OPTION_SIZE, .least = 64u << 20, .otherwise = "a quarter of the machine's, or of what a control group allows", AT(memory_bytes),
		.help = "memory for documents and caches",
		.note = "See [sizing](#sizing).",
	}, {
		.name = "workers", .value = "N", .kind = OPTION_NUMBER, .least = 1, .most = 64, .zero = "half the cores", .fallback = "0", AT(workers),
		.help = "threads that own the shards",
		.note = "May differ from start to start.",
	}, {
		.name = "io-threads", .value = "N", .kind = OPTION_NUMBER, .least = 1, .most = 64, .zero = "half the cores", .fallback = "0", AT(io_threads),
		.help = "threads that serve connections",
		.note = "May differ from start to start.",
	}, {
		.name = "max-devices", .value = "N", .kind = OPTION_NUMBER, .least = 1, .most = 100000000, .fallback = "1000000", AT(max_devices),
		.help = "devices and modules in the hub",
	}, {
		.name = "max-connections", .value = "N", .kind = OPTION_NUMBER, .least = 1, .most = 10000000,
		.zero = "what the descriptor limit allows", .fallback = "0", AT(max_connections),
		.help = "connections at once",
		.note = "The descriptor limit (`LimitNOFILE`) allows 512 less than it is.",
	}, {
		.name = "max-connections-per-address", .value = "N", .kind = OPTION_NUMBER, .least = 1, .most = 10000000,
		.zero = "half of all", .fallback = "0", AT(max_connections_per_address),
		.help = "connections of one address; devices behind one NAT share an address",
		.note = "Half of all, so that one host cannot shut out the others. Devices behind one NAT share an address: raise it there, or "
			"name their net in `address-free`; for a balancer see [behind a balancer](#behind-a-balancer).",
	}, {
		.name = "address-free", .value = "NET", .kind = OPTION_TEXT, .many = true, AT(address_free),
		.help = "addresses without limits by address, as 10.0.0.0/8",
		.note = "Nets, as `10.0.0.0/8`, `fd00::/8` or one address, that limits by address do not concern: neither "
			"`max-connections-per-address` nor `rate-limit address:...`.",
	}, {
		.name = "proxy", .value = "NET", .kind = OPTION_TEXT, .many = true, AT(proxies),
		.help = "balancers: who connects from there names its client first, by PROXY protocol v2",
		.note = "Nets, written as those of `address-free`: who connects from there says first who its client is ([behind a "
			"balancer](#behind-a-balancer)).",
	}, {
		.name = "connect-timeout", .value = "SECONDS", .kind = OPTION_NUMBER, .least = 1, .most = 3600, .fallback = "30", AT(connect_timeout_s),
		.help = "from accept to a whole MQTT CONNECT",
	}, {
		.name = "request-timeout", .value = "SECONDS", .kind = OPTION_NUMBER, .least = 1, .most = 3600, .fallback = "30", AT(request_timeout_s),
		.help = "from accept to a whole first HTTP request; later ones: 120",
	}, {
		.name = "query-timeout", .value = "SECONDS", .kind = OPTION_NUMBER, .least = 1, .most = 3600, .fallback = "60", AT(query_timeout_s),
		.help = "time of one query; beyond it the answer is 400",
	}, {
		.name = "token-skew", .value = "SECONDS", .kind = OPTION_NUMBER, .most = 86400, .fallback = "300", AT(token_skew_s),
		.help = "how long a token is good after its end",
		.note = "300 as in Azure.",
	}, {
		.name = "max-token-ttl", .value = "SECONDS", .kind = OPTION_NUMBER, .least = TOKEN_TTL_LEAST_S, .most = 315360000,
		.zero = "whenever it likes", .fallback = "0", AT(token_ttl_max_s),
		.help = "how much later than now a token may end",
		.note = "Tokens that end later than so much from now are refused, by CONNECT and by requests, and told why. The SDKs make tokens "
			"of an hour, the command line for itself of ten minutes, `twinhub sas` as `--ttl` says.",
	}, {
		.name = "log-max-size", .value = "SIZE", .kind = OPTION_SIZE, .least = 1u << 20, .fallback = "1G", AT(log_max_bytes),
		.help = "messages of devices on disk; the oldest are dropped",
		.note = FIRST,
	}, {
		.name = "log-max-age", .value = "SECONDS", .kind = OPTION_NUMBER, .least = 1, .most = 604800, .zero = "by size only",
		.fallback = "86400", AT(log_max_age_s),
		.help = "age of the messages of devices",
		.note = FIRST,
	}, {
		.name = "changes-max-size", .value = "SIZE", .kind = OPTION_SIZE, .least = 1u << 20, .fallback = "4G", AT(changes_max_bytes),
		.help = "log of changes on disk; the oldest are dropped",
		.note = "What has become of twins and identities: see [events](spec/events.md). " FIRST,
	}, {
		.name = "changes-max-age", .value = "SECONDS", .kind = OPTION_NUMBER, .least = 1, .most = 315360000, .zero = "by size only",
		.fallback = "2592000", AT(changes_max_age_s),
		.help = "age of the log of changes",
		.note = FIRST,
	}, {
		.name = "event-partitions", .value = "N", .kind = OPTION_NUMBER, .least = 1, .most = 32, .fallback = "4", AT(partitions),
		.help = "partitions of events in a new data directory: 1, 2, 4, 8, 16 or 32",
		.note = "Fixed when the directory is made; one of before has 4.",
	}, {
		.name = "free-space", .value = "SIZE", .kind = OPTION_SIZE, .fallback = "64M", AT(free_space_bytes),
		.help = "free disk space below which changes are refused",
		.note = "At least the size of the logs (128 MB) is a good value on a small disk.",
	}, {
		.name = "backup-dir", .value = "DIR", .kind = OPTION_DIR, AT(backup_dir),
		.help = "a directory in which the hub makes backups of itself",
		.note = "Each in a folder of its own, `twinhub-20261130T093000Z`. Made (0700) when missing; its parent must be there, and it may not be in the data "
			"directory. On another disk it saves from the loss of this one. See [backups](backup.md).",
	}, {
		.name = "backup-every", .value = "SECONDS", .kind = OPTION_NUMBER, .least = 1, .most = 31536000, .fallback = "86400", AT(backup_every_s),
		.help = "how often, with --backup-dir",
		.note = "From the beginning of one to that of the next, over restarts, too. After a failure it is tried again in five minutes.",
	}, {
		.name = "backup-keep", .value = "N", .kind = OPTION_NUMBER, .least = 1, .most = 1000, .fallback = "7", AT(backup_keep),
		.help = "how many of them stay; older ones are removed when a new one is whole",
		.note = "Those of this hub alone, under the names that it gives them.",
	}, {
		.name = "backup-rate", .value = "SIZE", .kind = OPTION_SIZE, .least = 1u << 20, .zero = "as fast as it goes", .fallback = "64M", AT(backup_bytes),
		.help = "bytes a second that a backup reads, to checksum them, and writes",
		.note = "Of those that are asked for, too.",
	}, {
		.name = "scrub-rate", .value = "SIZE", .kind = OPTION_SIZE, .zero = "never", .fallback = "4M", AT(scrub_bytes),
		.help = "bytes a second at which stored files are read again, once a day",
		.note = "[Reads them](#damaged-files) to find those that the disk has changed. 0 as on a battery.",
	}, {
		.name = "verify", .value = "yes|no", .kind = OPTION_YES_NO, .fallback = "no", AT(verify),
		.help = "read every stored file before serving; what is damaged is refused",
	}, {
		.name = "rate-limit", .value = "RULE", .kind = OPTION_TEXT, .many = true, AT(rate_limits),
		.help = "as device:updates=10/s, for each device, module, policy or address",
		.note = "As `device:updates=10/s` or `policy:queries=20/m,5`: what each device, module, policy or address may do in a second, "
			"minute, hour or day, and how much of it at once; one line for each rule. Kinds and answers: [limits.md, L-94 to "
			"L-97](spec/limits.md); more in [quotas](quotas.md). Clients behind one NAT share an address: give rules for policies and devices "
			"instead, or name the net in `address-free`.",
	}, {
		.name = "auth-backoff", .value = "SECONDS", .kind = OPTION_NUMBER, .least = 1, .most = 86400, .zero = "off", .fallback = "0", AT(auth_backoff_s),
		.help = "the longest wait of who fails to authenticate again and again",
		.note = "From its fifth failure in a row on a device (or policy), at the address that says to be it, waits 1 s, 2 s, 4 s, up to so long: [who fails "
			"again and again](troubleshooting.md#who-fails-again-and-again).",
	}, {
		.name = "throttle", .value = "EDITION", .kind = OPTION_WORD, .words = editions, .fallback = "off", AT(throttle),
		.help = "limits as Azure's F1, S1, S2 or S3 has them, to test programs against",
		.note = "Rates counted for the whole hub, and messages a day, as an edition of Azure's IoT Hub has them: [quotas](quotas.md#as-azure). "
			"What `rate-limit` and the hub's settings say of a rate holds in place of that.",
	}, {
		.name = "units", .value = "N", .kind = OPTION_NUMBER, .least = 1, .most = 200, .fallback = "1", AT(units),
		.help = "how many units of the --throttle",
	}, {
		.name = "import-export-dir", .value = "DIR", .kind = OPTION_DIR, .many = true, AT(import_export_dirs),
		.help = "a directory whose files import and export jobs may use",
		.note = "Files there [import and export jobs](#export-and-import) of the service SDKs may read and write. Without one such jobs are "
			"refused.",
	}, {
		.name = "sink-dir", .value = "DIR", .kind = OPTION_DIR, AT(sink_dir),
		.help = "the directory below which sinks of kind file write",
		.note = "Without it there are no such [sinks](#sinks-and-routes).",
	}, {
		.name = "sink-allow", .value = "NET", .kind = OPTION_TEXT, .many = true, AT(sink_allow),
		.help = "addresses that webhooks may go to although they are not public, as 10.1.0.0/16",
		.note = "Nets, written as those of `address-free`. Without one [webhooks](#sinks-and-routes) go to public addresses alone.",
	}, {
		.name = "log-file", .value = "FILE", .kind = OPTION_FILE, .otherwise = "stderr", AT(log_file),
		.help = "the log goes there; opened anew on SIGHUP and SIGUSR1",
		.note = "[The log](#health-and-log).",
	}, {
		.name = "log-format", .value = "FORMAT", .kind = OPTION_WORD, .words = log_formats, .fallback = "logfmt", AT(log_format),
		.help = "logfmt, or json: an object a line",
		.note = "The same keys in both. Lines before the log begins, as why a start is refused, are plain text.",
	}, {
		.name = "log-level", .value = "LEVEL", .kind = OPTION_WORD, .words = levels, .fallback = "info", AT(log_level),
		.help = "lines up to this one are written",
	}, {
		.name = "slow-query", .value = "MS", .kind = OPTION_NUMBER, .least = 1, .most = 3600000, .zero = "never", .fallback = "1000", AT(slow_query_ms),
		.help = "a query that takes longer has a line in the log",
		.note = "With who has asked, its text (512 bytes) and its time. Milliseconds, from when the hub begins with it until its page is made.",
	}, {
		.name = "slow-sweep", .value = "MS", .kind = OPTION_NUMBER, .least = 1, .most = 86400000, .zero = "never", .fallback = "60000", AT(slow_sweep_ms),
		.help = "a sweep of configurations that takes longer has a line in the log",
		.note = "And one more when it is through. Milliseconds; a sweep brings the twins of a worker in line with the configurations.",
	}, {
		.name = "metrics-bind", .value = "PLACE", .kind = OPTION_TEXT, AT(metrics_bind), .otherwise = "9464 on loopback",
		.help = "ADDR:PORT where GET /metrics is served, in plain HTTP; or off",
		.note = "[Metrics](#metrics). Without it port 9464 of the first loopback address among `bind`, else of 127.0.0.1, if that is free. "
			"Beyond loopback it needs `metrics-token-file`. `off`: nowhere.",
	}, {
		.name = "cluster", .value = "URL", .kind = OPTION_TEXT, .secret = true, AT(cluster),
		.help = "PostgreSQL that has the hub's data, by libpq: postgresql://HOST/DATABASE?...",
		.note = "Several hosts may stand in it. Then the data directory has keys and certificates alone, and what is in PostgreSQL is backed up there. "
			"One node serves it at a time, but with `mesh`.",
	}, {
		.name = "node", .value = "NAME", .kind = OPTION_TEXT, .otherwise = "node1", AT(node),
		.help = "with --cluster: the name of this node",
		.note = "One data directory has it, and no other.",
	}, {
		.name = "mesh", .value = "ADDR:PORT", .kind = OPTION_TEXT, AT(mesh),
		.help = "with --cluster: where this node listens for the hub's others, of which there may be some",
		.note = "An IP address by which the others reach it. Under construction.",
	}, {
		.name = "metrics-token-file", .value = "FILE", .kind = OPTION_FILE, AT(metrics_token_file),
		.help = "who asks for metrics must show what is in it, as a bearer token",
		.note = "One line of at least 16 characters.",
	}, {
		.name = "tls-legacy", .value = "yes|no", .kind = OPTION_YES_NO, .fallback = "no", AT(tls_legacy),
		.help = "with the CBC suites of TLS 1.2, for clients that know no better",
		.note = "TLS 1.2 with CBC suites (AES and SHA-256 or SHA-384, with forward secrecy), too, for devices that have neither GCM nor "
			"ChaCha20.",
	}, {
		.name = "strict-queries", .value = "yes|no", .kind = OPTION_YES_NO, .fallback = "no", AT(strict_queries),
		.help = "refuse what Azure's query language lacks",
		.note = "Queries beyond Azure's language ([LIKE, ORDER BY and others](query-language.md)) are 400, as in Azure.",
	},
};
/* clang-format on */

#define NROW ((unsigned)(sizeof(rows) / sizeof(rows[0])))
_Static_assert(NROW < OPTION_ROWS_MAX, "rows are bits");

const struct option_table server_settings = { rows, NROW, OPTION_BIT(NROW) - 1 };

const char *
throttle_name(enum throttle_edition edition)
{
	return editions[edition];
}
