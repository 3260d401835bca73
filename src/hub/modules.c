/*
 * Modules: identities that live and die with their device (twins.md 7, service-rest.md 7). Their rows hang in a chain on the
 * device's row, so that whatever concerns all of them costs as much as there are, at most MODULES_MAX.
 */
#include "hub/priv.h"

#include <stdlib.h>

static const struct str system_modules[] = { { "$edgeAgent", 10 }, { "$edgeHub", 8 } };
#define NSYSTEM (sizeof(system_modules) / sizeof(system_modules[0]))

bool
module_is_system(struct str module)
{
	return str_eq(module, system_modules[0]) || str_eq(module, system_modules[1]);
}

static uint32_t
module_count(struct shard *sh, const struct row *device)
{
	uint32_t n = 0;

	for (struct row *m = module_first(sh, device); m != NULL; m = module_next(sh, m))
		n++;
	return n;
}

enum err
modules_check_room(struct shard *sh, const struct row *device, uint32_t n, struct fault *f)
{
	uint32_t there = device != NULL ? module_count(sh, device) : 0;

	if (n == 0 || there + n <= MODULES_MAX)
		return ERR_OK;
	fault_set(f, F_TooManyModulesOnDevice, "the device has %u modules, the limit is %u", there,
	    MODULES_MAX);
	return ERR_FULL;
}

/* ---- the modules of the edge runtime ---- */

uint32_t
modules_system_missing(struct shard *sh, const struct row *device)
{
	uint32_t n = 0;

	for (size_t i = 0; i < NSYSTEM; i++)
		n += device == NULL ||
		    shard_find(sh, row_device(device), system_modules[i]) == TABLE_NONE;
	return n;
}

void
modules_make_system(struct shard *sh, struct str device, const struct hub_env *env)
{
	for (size_t i = 0; i < NSYSTEM; i++) {
		struct identity_request q = { .id = { .enabled = true, .auth = AUTH_SAS } };

		if (shard_find(sh, device, system_modules[i]) == TABLE_NONE)
			identity_make(sh, device, system_modules[i], &q, env);
		identity_request_fini(&q);
	}
}

enum err
identity_check_owner(struct shard *sh, const struct op *op, struct fault *f)
{
	struct row *device = row_find(sh, op->device, STR_NONE);

	if (device == NULL || !device->edge || !module_is_system(op->module))
		return ERR_OK;
	if (op->kind == OP_IDENTITY_IMPORT && (op->import & IMPORT_WHOLE))
		return ERR_OK; /* they come with their keys */
	if (op->kind == OP_IDENTITY_PUT && op->actor == ACTOR_DEVICE &&
	    row_find(sh, op->device, op->module) != NULL)
		return ERR_OK; /* the device's runtime gives them keys of its own */
	fault_set(f, F_SystemModuleModifyUnauthorizedAccess,
	    "modules of the edge runtime are made and deleted with their device");
	return ERR_DENIED;
}

/* ---- all of one device ---- */

void
modules_close(struct shard *sh, const struct row *device, const struct hub_env *env)
{
	for (struct row *m = module_first(sh, device); m != NULL; m = module_next(sh, m)) {
		presence_close(sh, m, REASON_DISABLED, true, env);
		calls_refuse(sh, m, env);
	}
}

static int
by_id(const void *a, const void *b)
{
	return str_cmp(row_module(*(struct row *const *)a), row_module(*(struct row *const *)b));
}

void
on_modules_list(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	struct row **list = xcalloc(module_count(sh, r) + 1, sizeof(struct row *));
	struct out o = out_to(&reply->body);
	uint32_t n = 0;

	(void)op, (void)env;
	for (struct row *m = module_first(sh, r); m != NULL; m = module_next(sh, m))
		list[n++] = m;
	array_sort(list, n, sizeof(list[0]), by_id);
	out_list(&o);
	for (uint32_t i = 0; i < n; i++)
		identity_write(sh, list[i], out_value(&o));
	out_close(&o);
	free(list);
}
