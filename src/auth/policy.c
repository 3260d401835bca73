/* Policies and rights (service-rest.md 3.2). */
#include "auth/auth.h"

#define NAMED(text)                                                                                \
	{                                                                                          \
		(text), sizeof(text) - 1                                                           \
	}

const struct policy policy_defaults[POLICY_DEFAULTS] = {
	{ .name = NAMED("iothubowner"), .rights = RIGHTS_ALL },
	{ .name = NAMED("service"), .rights = RIGHT_SERVICE_CONNECT },
	{ .name = NAMED("device"), .rights = RIGHT_DEVICE_CONNECT },
	{ .name = NAMED("registryRead"), .rights = RIGHT_REGISTRY_READ },
	{ .name = NAMED("registryReadWrite"),
	    .rights = RIGHT_REGISTRY_READ | RIGHT_REGISTRY_WRITE },
};

static const struct {
	unsigned right;
	const char *name;
} rights[] = {
	{ RIGHT_REGISTRY_READ, "RegistryRead" },
	{ RIGHT_REGISTRY_WRITE, "RegistryWrite" },
	{ RIGHT_SERVICE_CONNECT, "ServiceConnect" },
	{ RIGHT_DEVICE_CONNECT, "DeviceConnect" },
};

#define RIGHTS (sizeof(rights) / sizeof(rights[0]))

static unsigned
with_implied(unsigned have)
{
	return have & RIGHT_REGISTRY_WRITE ? have | RIGHT_REGISTRY_READ : have;
}

bool
rights_allow(unsigned have, unsigned any)
{
	return (with_implied(have) & any) != 0;
}

bool
rights_allow_all(unsigned have, unsigned all)
{
	return all != 0 && (with_implied(have) & all) == all;
}

const char *
right_name(unsigned right)
{
	for (size_t i = 0; i < RIGHTS; i++)
		if (rights[i].right == right)
			return rights[i].name;
	return NULL;
}

unsigned
right_of(struct str name)
{
	for (size_t i = 0; i < RIGHTS; i++)
		if (str_eq(name, str_of(rights[i].name)))
			return rights[i].right;
	return 0;
}

bool
policy_name_valid(struct str name)
{
	if (name.n == 0 || name.n > POLICY_NAME_MAX)
		return false;
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i], low = (char)(c | 0x20);
		if (!(low >= 'a' && low <= 'z') && !(c >= '0' && c <= '9') &&
		    !char_among(c, "_-@."))
			return false;
	}
	return true;
}

const struct policy *
policy_find(const struct policy *list, size_t n, struct str name)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(list[i].name, name))
			return &list[i];
	return NULL;
}
