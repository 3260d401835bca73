/*
 * serve --ephemeral: a hub for tests. Its directory is a temporary one and goes with it; its address is a loopback one that nobody
 * else has, so that many hubs stand side by side on the ports that SDKs dial; it ends with who has started it.
 */
#include "doc/out.h"
#include "os/os.h"
#include "server/priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define ADDRESS_TRIES                                                                              \
	32 /* a neighbour in one of 16 million addresses is rare: so many are none by chance */
#define DATA_DEPTH 8
#define CA_FILE    "ca.pem"

static struct {
	char dir[DATA_PATH_MAX];
	char address[INET_ADDRSTRLEN];
	pid_t parent;
	bool stdin_tells; /* it is a pipe or socket, whose end is the parent's */
} temporary;

/* 127.1.0.1 to 127.254.255.254: not 127.0.x.x, where systems have names and resolvers. */
static bool
address_draw(void)
{
	uint8_t r[3];

	if (getrandom(r, sizeof(r), 0) != (ssize_t)sizeof(r))
		return false;
	snprintf(temporary.address, sizeof(temporary.address), "127.%d.%d.%d", 1 + r[0] % 254, r[1],
	    1 + r[2] % 254);
	return true;
}

/* Bind alone, as nobody who shares a port does: 0, or why it is not to be had. *port is the number that was bound. */
static int
port_try(uint64_t *port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)*port) };
	socklen_t size = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), failed = 0;

	if (fd < 0)
		return errno;
	inet_pton(AF_INET, temporary.address, &at.sin_addr);
	if (bind(fd, (struct sockaddr *)&at, size) != 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &size) != 0)
		failed = errno;
	close(fd);
	if (failed == 0)
		*port = ntohs(at.sin_port);
	return failed;
}

/* Ports that were asked for stay what they are; the others are those of SDKs, or any. A 443 that is denied is any, too. */
static int
ports_try(struct server_options *o, uint64_t https, bool *denied)
{
	uint64_t mqtts = o->mqtts_port;
	int failed;

	*denied = false;
	if (mqtts != 0 || o->ports == PORTS_ANY) /* 0 from the command line: no MQTT */
		if ((failed = port_try(&mqtts)) != 0)
			return failed;
	failed = port_try(&https);
	if (failed == EACCES) {
		*denied = true;
		https = 0;
		failed = port_try(&https);
	}
	if (failed != 0)
		return failed;
	o->mqtts_port = mqtts;
	o->https_port = https;
	return 0;
}

static enum err
address_find(struct server *s)
{
	uint64_t https;
	bool denied = false;
	int failed = EADDRINUSE;

	if (s->o.ports == PORTS_ANY)
		s->o.https_port = s->o.mqtts_port = 0;
	https = s->o.https_port;
	for (unsigned i = 0; i < ADDRESS_TRIES && failed == EADDRINUSE; i++) {
		if (!address_draw())
			return fail(s, "no random numbers: %s", strerror(errno));
		failed = ports_try(&s->o, https, &denied);
	}
	if (failed != 0)
		return fail(s,
		    "no loopback address has its ports free: %s; whoever listens on 0.0.0.0 has a "
		    "port "
		    "of them all (--ports any takes others)",
		    strerror(failed));
	if (denied)
		log_text(LOG_WARN,
		    "port %llu may not be taken, so HTTPS is on %llu, which service SDKs do not "
		    "dial; "
		    "grant it with: setcap cap_net_bind_service=+ep $(command -v twinhub), or "
		    "sysctl "
		    "net.ipv4.ip_unprivileged_port_start=443",
		    (unsigned long long)https, (unsigned long long)s->o.https_port);
	s->o.binds = (struct option_list){ { temporary.address }, 1 };
	return ERR_OK;
}

/* Absolute: whoever reads the ready line may be somewhere else. */
static enum err
directory_make(struct server *s)
{
	const char *at = getenv("TMPDIR"), *between = "";
	char here[DATA_PATH_MAX] = "";
	int n;

	if (at == NULL || at[0] == '\0')
		at = "/tmp";
	if (at[0] != '/') {
		between = "/";
		if (getcwd(here, sizeof(here)) == NULL)
			return fail(s, "no absolute path for TMPDIR %s: %s", at, strerror(errno));
	}
	n = snprintf(
	    temporary.dir, sizeof(temporary.dir), "%s%s%s/twinhub-XXXXXX", here, between, at);
	if (n < 0 || (size_t)n >= sizeof(temporary.dir)) {
		temporary.dir[0] = '\0';
		return fail(s, "the path of TMPDIR is too long");
	}
	if (mkdtemp(temporary.dir) == NULL) {
		fail(s, "a directory %s cannot be made: %s", temporary.dir, strerror(errno));
		temporary.dir[0] = '\0';
		return ERR_ARG;
	}
	s->o.data = temporary.dir;
	return ERR_OK;
}

enum err
ephemeral_begin(struct server *s)
{
	struct stat in;

	temporary.parent = getppid();
	temporary.stdin_tells =
	    fstat(STDIN_FILENO, &in) == 0 && (S_ISFIFO(in.st_mode) || S_ISSOCK(in.st_mode));
	if (directory_make(s) != ERR_OK)
		return ERR_ARG;
	return s->o.binds.n > 0 ? ERR_OK : address_find(s);
}

bool
ephemeral_orphaned(void)
{
	struct pollfd in = { .fd = STDIN_FILENO };

	if (getppid() != temporary.parent)
		return true;
	return temporary.stdin_tells && poll(&in, 1, 0) > 0 && (in.revents & (POLLHUP | POLLERR));
}

void
ephemeral_end(void)
{
	struct fault f = { 0 };

	if (temporary.dir[0] != '\0' && os_remove_tree(temporary.dir, DATA_DEPTH, &f) != ERR_OK)
		fprintf(stderr, "twinhub: %s is left over: %s\n", temporary.dir, f.text);
	temporary.dir[0] = '\0';
}

static void
put_connection(struct out *o, const struct server *s, const struct policy *p)
{
	char port[8] = "";

	if (s->endpoint.https_port != 443)
		snprintf(port, sizeof(port), ":%u", s->endpoint.https_port);
	out_format(o, "HostName=%s%s;SharedAccessKeyName=" STR_FMT ";SharedAccessKey=" STR_FMT,
	    s->endpoint.host, port, STR_ARG(p->name), STR_ARG(p->primary));
}

void
ephemeral_ready(const struct server *s, struct buf *line)
{
	struct out o = out_to(line);

	out_open(&o);
	out_cstr(out_key(&o, "hostName"), s->endpoint.host);
	out_cstr(out_key(&o, "address"), s->endpoint.address);
	out_u64(out_key(&o, "httpsPort"), s->endpoint.https_port);
	out_u64(out_key(&o, "mqttsPort"), s->endpoint.mqtts_port);
	out_u64(out_key(&o, "pid"), (uint64_t)getpid());
	out_cstr(out_key(&o, "data"), s->o.data);
	out_format(out_key(&o, "ca"), "%s/%s", s->o.data, CA_FILE);
	out_open(out_key(&o, "connectionStrings"));
	for (size_t i = 0; i < s->policies->n; i++) {
		const struct policy *p = &s->policies->v[i];

		put_connection(out_key_str(&o, p->name), s, p);
	}
	out_close(&o);
	out_close(&o);
	buf_cstr(line, "\n");
}
