/* The online backup: RocksDB's checkpoint beside the wanted directory, our own files in it, then a rename. */
#include <unistd.h>

#include "store/priv.h"

static enum err
checkpoint_into(const struct engine *engine, const char *dir, struct fault *f)
{
	rocksdb_checkpoint_t *c;
	char *error = NULL;

	if ((c = rocksdb_checkpoint_object_create(engine->db, &error)) == NULL)
		return engine_error(error, f);
	rocksdb_checkpoint_create(c, dir, 0, &error); /* 0: memtables are flushed, no log to copy */
	rocksdb_checkpoint_object_destroy(c);
	return error == NULL ? ERR_OK : engine_error(error, f);
}

static enum err
checkpoint_make(struct rocks *s, const char *dir, struct fault *f)
{
	enum err e = ERR_IO;

	store_share(s);
	if (s->engine.db != NULL)
		e = checkpoint_into(&s->engine, dir, f);
	else
		fault_set(f, F_ServiceUnavailable, "the store is closed by a failure");
	store_unshare(s);
	return e != ERR_OK ? e : mark_make(dir, f);
}

enum err
rocks_checkpoint(struct store *face, const char *dir, struct fault *f)
{
	struct rocks *s = rocks_of(face);
	struct buf beside = { 0 };
	enum err e;

	if (access(dir, F_OK) == 0) {
		fault_set(f, F_ServerError, "%s exists", dir);
		return ERR_EXISTS;
	}
	buf_printf(&beside, "%s.partial", dir);
	buf_putc(&beside, 0);
	if ((e = os_remove_tree(beside.p, 0, f)) != ERR_OK) /* of an attempt that was killed */
		goto done;
	if ((e = checkpoint_make(s, beside.p, f)) != ERR_OK) {
		os_remove_tree(beside.p, 0, NULL);
		goto done;
	}
	e = os_rename(beside.p, dir, f);
done:
	buf_fini(&beside);
	return e;
}
