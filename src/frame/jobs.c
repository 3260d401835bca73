/* Jobs between nodes: the set that shard 0 has, and how far parts of them are. */
#include "frame/priv.h"

static const struct field asked_fields[] = {
	FIELD_OF(1, FIELD_NUMBER, jobs_asked, epoch, UINT64_MAX),
	FIELD_OF(2, FIELD_NUMBER, jobs_asked, version, UINT64_MAX),
};

static const struct field told_fields[] = {
	FIELD_OF(1, FIELD_NUMBER, jobs_told, epoch, UINT64_MAX),
	FIELD_OF(2, FIELD_NUMBER, jobs_told, version, UINT64_MAX),
	FIELD_OF(3, FIELD_NUMBER, jobs_told, latest, UINT64_MAX),
	FIELD_OF(4, FIELD_NUMBER, jobs_told, whole, 1),
	FIELD_OF(5, FIELD_TEXT, jobs_told, records, FRAME_MAX),
	FIELD_OF(6, FIELD_TEXT, jobs_told, numbers, FRAME_MAX),
};

static const struct field part_fields[] = {
	FIELD_OF(1, FIELD_NUMBER, part_told, number, UINT64_MAX),
	FIELD_OF(2, FIELD_NUMBER, part_told, shard, SHARDS - 1),
	FIELD_OF(3, FIELD_NUMBER, part_told, epoch, UINT64_MAX),
	FIELD_OF(4, FIELD_NUMBER, part_told, ended, 1),
	FIELD_OF(5, FIELD_NUMBER, part_told, broken, 1),
	FIELD_OF(6, FIELD_NUMBER, part_told, devices, UINT32_MAX),
	FIELD_OF(7, FIELD_NUMBER, part_told, succeeded, UINT32_MAX),
	FIELD_OF(8, FIELD_NUMBER, part_told, failed, UINT32_MAX),
	FIELD_OF(9, FIELD_NUMBER, part_told, running, UINT32_MAX),
	FIELD_OF(10, FIELD_NUMBER, part_told, bytes, INT64_MAX),
};

void
jobs_asked_write(struct buf *out, const struct jobs_asked *a)
{
	fields_write(out, asked_fields, COUNT(asked_fields), a);
}

void
jobs_told_write(struct buf *out, const struct jobs_told *t)
{
	fields_write(out, told_fields, COUNT(told_fields), t);
}

void
part_told_write(struct buf *out, const struct part_told *t)
{
	fields_write(out, part_fields, COUNT(part_fields), t);
}

enum err
jobs_asked_read(struct str body, struct jobs_asked *a, struct fault *f)
{
	return fields_read(body, asked_fields, COUNT(asked_fields), a, f);
}

/* The records are their own room's: job_new says whether each is one. */
enum err
jobs_told_read(struct str body, struct jobs_told *t, struct fault *f)
{
	enum err e = fields_read(body, told_fields, COUNT(told_fields), t, f);

	if (e == ERR_OK && t->version > t->latest)
		e = frame_wrong(f, "tells of a set of jobs that is newer than the newest");
	return e;
}

enum err
part_told_read(struct str body, struct part_told *t, struct fault *f)
{
	return fields_read(body, part_fields, COUNT(part_fields), t, f);
}
