/* Connection strings: a hub's name and what signs in to it. */
#include "cli/priv.h"

#include <stdio.h>

#define HTTPS_PORT 443

/* name, name:port, [::1]:port; a bare IPv6 address has no port. */
static bool
split_host(struct str text, struct conn_string *out)
{
	struct str host = text, port = STR_NONE, rest;
	uint64_t n = HTTPS_PORT;

	if (text.n > 0 && text.p[0] == '[') {
		if (!str_cut(str_sub(text, 1), ']', &host, &rest) ||
		    (rest.n > 0 && rest.p[0] != ':'))
			return false;
		port = rest.n > 0 ? str_sub(rest, 1) : STR_NONE;
	} else if (!str_cut(text, ':', &host, &port) || memchr(port.p, ':', port.n) != NULL) {
		host = text;
		port = STR_NONE;
	}
	if (port.p != NULL && (!str_u64(port, &n) || n == 0 || n > UINT16_MAX))
		return false;
	out->host = host;
	out->port = (uint16_t)n;
	return host.n > 0 && host.n < HOST_MAX;
}

static struct str *
field_of(struct conn_string *c, struct str name, struct str *host)
{
	const struct {
		struct str name;
		struct str *field;
	} fields[] = { { STR("HostName"), host }, { STR("SharedAccessKeyName"), &c->policy },
		{ STR("DeviceId"), &c->device }, { STR("SharedAccessKey"), &c->key } };

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (str_ieq(name, fields[i].name))
			return fields[i].field;
	return NULL;
}

bool
conn_string_parse(struct str text, struct conn_string *out, char *why, size_t nwhy)
{
	struct str rest = text, part, name, value, host = STR_NONE, *field;

	*out = (struct conn_string){ 0 };
	while (rest.n > 0) {
		str_cut(rest, ';', &part, &rest);
		if (str_cut(part, '=', &name, &value) &&
		    (field = field_of(out, name, &host)) != NULL)
			*field = value;
	}
	if (host.n == 0 || !split_host(host, out)) {
		snprintf(
		    why, nwhy, "the connection string has no HostName=NAME or HostName=NAME:PORT");
		return false;
	}
	if (!key_valid(out->key)) {
		snprintf(why, nwhy, "the connection string's SharedAccessKey is no key in base64");
		return false;
	}
	if ((out->policy.n == 0) == (out->device.n == 0)) {
		snprintf(
		    why, nwhy, "the connection string needs a SharedAccessKeyName or a DeviceId");
		return false;
	}
	if (out->policy.n != 0 && !policy_name_valid(out->policy)) {
		snprintf(
		    why, nwhy, "the connection string's SharedAccessKeyName is no policy's name");
		return false;
	}
	return true;
}
