/*
 * foreign: fleets as other programs write them, made into lines of an import (docs/operations.md, "Export and import").
 *
 * Two formats are read: the state file of `az iot hub state export`, in each of its three layouts, and CSV with a heading.
 * Others are recognised, so that their name can be told. Text comes in whole (a mapped file); lines go out one by one, so
 * memory holds one identity at a time. A state file's parts are found by their brackets and parsed one by one, as it may be
 * larger than a document can be.
 */
#ifndef TWINHUB_FOREIGN_H
#define TWINHUB_FOREIGN_H

#include "doc/doc.h"

enum foreign_kind {
	FOREIGN_LINES, /* nothing else is known: lines of JSON */
	FOREIGN_STATE,
	FOREIGN_CSV,
	FOREIGN_ARRAY,  /* of what a command printed or an API answered */
	FOREIGN_PRETTY, /* one JSON value over several lines */
	FOREIGN_UTF16,
	FOREIGN_KINDS
};

#define FOREIGN_HEAD_MAX 4096u /* bytes of a file that tell its kind */

enum foreign_kind foreign_kind(struct str head);
const char *foreign_name(enum foreign_kind kind); /* "a JSON array" */

/* Who takes what is read. The two that return a bool stop the reading with false. */
struct foreign_sink {
	void *ctx;
	/* json: one line without its end, borrowed. line: where in the text it comes from, from 1. */
	bool (*line)(void *ctx, uint64_t line, struct str json);
	/* What cannot be made a line, and why. id may be empty. */
	bool (*fault)(void *ctx, uint64_t line, struct str id, const char *why);
	/* A part of the file that is no hub's data plane; a column that nobody can set. */
	void (*passed_over)(void *ctx, struct str name);
	/* Append the scope of an edge device that exists where the lines will go. Appends nothing: it is not there, and gets
	 * one of the file's making. NULL: none exists. */
	void (*scope)(void *ctx, struct str device, struct buf *scope);
};

/*
 * Read a text of kind FOREIGN_STATE or FOREIGN_CSV. Configurations of a state file come last, each as a line
 * {"configuration":{...}}.
 * ERR_SYNTAX: not to be read as a whole; f says why and in which line. ERR_END: the sink stopped.
 */
enum err foreign_read(
    enum foreign_kind kind, struct str text, const struct foreign_sink *sink, struct fault *f);

/* ---- an identity and its twin, as Azure's service API and tools show them ---- */

struct foreign_entry {
	struct str device, module; /* module is empty for a device */
	struct doc identity, twin; /* either may be missing, or hold what belongs to the other */
	struct str scope;          /* an edge device's own, if identity and twin do not say it */
	struct str parent_scope;   /* the same */
};

/* Append one line of an import, without its end. */
void foreign_line(struct buf *out, const struct foreign_entry *e);
/* Append a configuration's line, without its end: what can be set of it. */
void foreign_configuration(struct buf *out, struct str id, struct doc configuration);
bool foreign_is_edge(const struct foreign_entry *e);

#endif
