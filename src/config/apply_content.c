/*
 * A content applied to one edge device at once (service-rest.md 13): the desired properties of its modules, all or none. The
 * bare key replaces the section (J-58), others are merged; modules that do not exist are made.
 */
#include <stdlib.h>

#include "config/configure.h"

struct target {
	struct str module;
	struct doc content;
	struct section was, is;
	struct buf fresh, bytes[2]; /* what they view, if it is not the row's */
	unsigned at;
	bool changed;
};

static bool
take_section(struct shard *sh, const struct op *op, struct target *t, const struct hub_env *env)
{
	struct row *r = row_find(sh, op->device, t->module);
	struct wanted w;

	if (r == NULL) {
		section_new(&t->fresh, env->now_us);
		t->was = section_of(buf_view(&t->fresh));
	} else {
		row_read_wanted(r, &w);
		t->was = w.desired;
	}
	t->is = t->was;
	return r == NULL;
}

/* One key of the content; all of them are one change. */
static enum err
take_key(
    struct target *t, struct str key, struct doc value, const struct hub_env *env, struct fault *f)
{
	struct section_write wr = { .kind = SECTION_DESIRED, .now_us = env->now_us };
	struct section base = t->is;
	struct buf *out = &t->bytes[!t->at], patch = { 0 };
	bool changed;
	enum err e;

	base.version = t->was.version;
	out->n = 0;
	configuration_path_patch(&patch, key, value);
	if (str_eq(key, STR("properties.desired")))
		e = section_replace(&base, value, 0, &wr, out, NULL, &changed, f);
	else
		e = section_merge(&base, doc_of(buf_view(&patch)), 0, &wr, out, NULL, &changed, f);
	buf_fini(&patch);
	if (e == ERR_OK && changed) {
		t->at = !t->at;
		t->is = section_of(buf_view(out));
		t->changed = true;
	}
	return e;
}

static enum err
take_target(struct target *t, const struct hub_env *env, struct fault *f)
{
	struct doc_iter it = doc_iter(t->content);
	enum err e = configuration_paths_check(t->content, f);
	struct str key;
	struct doc v;

	while (e == ERR_OK && doc_next(&it, &key, &v))
		if ((e = take_key(t, key, v, env, f)) != ERR_OK &&
		    f->code != F_DeviceModelMaxPropertiesExceeded)
			f->code = F_InvalidConfigurationContent;
	return e;
}

static void
write_target(struct shard *sh, const struct op *op, struct target *t, const struct hub_env *env)
{
	struct stamp *stamps;
	struct buf notify = { 0 };
	struct wanted w;
	struct str bytes;
	struct row *r = row_find(sh, op->device, t->module);

	if (r == NULL) {
		struct identity_request request = {
			.id = { .enabled = true, .auth = AUTH_SAS, .managed_by = STR("IotEdge") }
		};

		identity_make(sh, op->device, t->module, &request, env);
		identity_request_fini(&request);
		r = row_find(sh, op->device, t->module);
	}
	if (!t->changed)
		return;
	row_read_wanted(r, &w);
	stamps = xcalloc(t->is.nstamp + 1, sizeof(*stamps));
	section_stamps(&t->is, stamps);
	section_difference(t->was.root, t->is.root, stamps, t->is.version, &notify);
	env->scratch->n = 0;
	wanted_encode(env->scratch, w.counter + 1, w.tags.bytes, t->is.bytes, w.configurations,
	    w.before_rollout);
	bytes = buf_view(env->scratch);
	row_write(sh, r, RECORD_WANTED, &bytes, env);
	desired_notify(r, doc_of(buf_view(&notify)), t->is.version, env);
	buf_fini(&notify);
	free(stamps);
}

static enum err
check_content(struct row *r, struct doc content, struct doc modules, struct fault *f)
{
	if (!r->edge)
		return fault_set(f, F_InvalidConfigurationContent, STR_FMT " is not an edge device",
		    STR_ARG(row_device(r)));
	if (doc_kind(modules) != DOC_OBJECT || doc_count(modules) == 0)
		return fault_set(
		    f, F_InvalidConfigurationContent, "the content has no modulesContent");
	/* nobody would do what they say */
	if (doc_count(doc_getc(content, "deviceContent")) > 0 ||
	    doc_count(doc_getc(content, "moduleContent")) > 0)
		return fault_set(
		    f, F_InvalidConfigurationContent, "the content has more than modulesContent");
	if (doc_count(modules) > MODULES_MAX)
		return fault_set(f, F_TooManyModulesOnDevice,
		    "the content names %u modules, the limit is %u", doc_count(modules),
		    MODULES_MAX);
	return ERR_OK;
}

/* The targets, all of them ready to be written. */
static enum err
prepare(struct shard *sh, struct row *r, const struct op *op, struct doc modules,
    struct target *targets, const struct hub_env *env, struct fault *f)
{
	struct doc_iter it = doc_iter(modules);
	uint32_t nnew = 0;
	enum err e;

	for (struct target *t = targets; doc_next(&it, &t->module, &t->content); t++) {
		if (!id_valid(t->module) || id_is_dots(t->module) ||
		    doc_kind(t->content) != DOC_OBJECT)
			return fault_set(f, F_InvalidConfigurationContent,
			    STR_FMT " is not a module and its content", STR_ARG(t->module));
		nnew += take_section(sh, op, t, env);
		if ((e = take_target(t, env, f)) != ERR_OK)
			return e;
	}
	if ((e = hub_check_room(nnew, env, f)) != ERR_OK)
		return e;
	return modules_check_room(sh, r, nnew, f);
}

void
on_apply_content(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	struct buf unique = { 0 };
	struct doc content, modules;
	struct target *targets;
	uint32_t n;

	doc_put_unique(&unique, doc_of(op->payload));
	content = doc_of(buf_view(&unique));
	modules = doc_getc(content, "modulesContent");
	n = doc_count(modules);
	targets = xcalloc(n + 1, sizeof(*targets));
	if (check_content(r, content, modules, &reply->fault) == ERR_OK &&
	    prepare(sh, r, op, modules, targets, env, &reply->fault) == ERR_OK)
		for (uint32_t i = 0; i < n; i++)
			write_target(sh, op, &targets[i], env);
	for (uint32_t i = 0; i < n; i++) {
		buf_fini(&targets[i].fresh);
		buf_fini(&targets[i].bytes[0]);
		buf_fini(&targets[i].bytes[1]);
	}
	free(targets);
	buf_fini(&unique);
}
