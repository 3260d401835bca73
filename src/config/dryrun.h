/*
 * A dry run of a configuration: what it would do to the fleet if it were in the catalogue, device by device; nothing is
 * written. The rows of modules come with their device's. One with a rollout counts as rolled out to all.
 */
#ifndef TWINHUB_CONFIG_DRYRUN_H
#define TWINHUB_CONFIG_DRYRUN_H

#include "config/configuration.h"
#include "hub/hub.h"

#define DRYRUN_SAMPLE_DEFAULT 10u
#define DRYRUN_SAMPLE_MAX     100u       /* twins shown whole */
#define DRYRUN_SAMPLE_BYTES   (8u << 20) /* of their JSON; at it there are fewer */

struct dryrun_counts {
	uint64_t targeted; /* devices, or modules, for which the condition is true */
	uint64_t devices;  /* of which a twin would change */
	uint64_t twins;    /* that would change, devices' and modules' */
	uint64_t desired;  /* of these, whose desired properties would */
};

struct dryrun;

/* record: configuration_record beside that set. */
struct dryrun *dryrun_new(const struct configurations *set, struct str record, unsigned sample);
void dryrun_free(struct dryrun *d); /* NULL is fine */

/* Before dryrun_device: a row of the device's whose records are needed and not in memory, again until there is none
 * (TABLE_NONE). row: a device's. */
uint32_t dryrun_row(struct dryrun *d, struct shard *sh, uint32_t row, unsigned *records);
/* Count the device. If a twin of its would change, append its entry: {"deviceId":..,"targeted":..,"modules":[..]}. */
bool dryrun_device(
    struct dryrun *d, struct shard *sh, uint32_t row, int64_t now_us, struct buf *entry);

const struct dryrun_counts *dryrun_counts(const struct dryrun *d);
/* The first twins that would change, with commas between: ids, patch of desired, the twin as it would be. A module that
 * would be made has no twin yet. */
struct str dryrun_sample(const struct dryrun *d);

/* ---- of several nodes (task/walk.h) ---- */

/* What is asked for, appended; and made of it: as dryrun_new, with fewer bytes of samples. ERR_ARG: that set is not the one that it was asked
 * beside, F_ServiceUnavailable, or it cannot be read. */
void dryrun_ask(const struct dryrun *d, struct buf *out);
enum err dryrun_made(
    const struct configurations *set, struct str text, struct dryrun **out, struct fault *f);
/* What has come of it; added. */
void dryrun_put(const struct dryrun *d, struct buf *out);
enum err dryrun_take(struct dryrun *d, struct str part);

#endif
