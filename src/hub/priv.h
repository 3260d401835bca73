/* hub: what its files share. */
#ifndef TWINHUB_HUB_PRIV_H
#define TWINHUB_HUB_PRIV_H

#include "hub/change.h"

/* ---- modules: rows of their own, chained to their device's, newest first ---- */

/* $edgeAgent and $edgeHub are made with an edge device (service-rest.md 5.3). */
bool module_is_system(struct str module);
/* How many of an edge device's system modules do not exist; NULL: a device to be made. */
uint32_t modules_system_missing(struct shard *sh, const struct row *device);
void modules_make_system(struct shard *sh, struct str device, const struct hub_env *env);
/* Close the sessions of all: their device is disabled. */
void modules_close(struct shard *sh, const struct row *device, const struct hub_env *env);

/* ---- calls of direct methods: in memory only, gone with the session or the process ---- */

#define CALLS_MAX 64u /* sent to one session and not answered */
/* of their payloads: less than a stream may hold for its peer */
#define CALL_BYTES_MAX    (256u << 10)
#define CALLS_SHARD_MAX   4096u      /* of all devices of a shard, sent or waiting */
#define WAITING_BYTES_MAX (1u << 20) /* of the payloads of a shard's waiting calls */

/* Who is named is the same. */
bool reply_to_same(const struct reply_to *a, const struct reply_to *b);
/* The session ends: its calls fail. */
void calls_lost(struct shard *sh, struct row *r, const struct hub_env *env);
/* The identity ends, or is disabled: what waits for it fails. */
void calls_refuse(struct shard *sh, struct row *r, const struct hub_env *env);
/* The shard is given up: nobody waits for its devices here any more. */
/* Callers on that node hear nothing any more: of those that are out there, of those that wait. */
void calls_forget(struct shard *sh, struct presence *p, uint8_t node);
void calls_forget_waiting(struct shard *sh, uint8_t node);
void calls_give_up(struct shard *sh, const struct hub_env *env);
/* The session listens to more than before: what waited for that is sent. */
void calls_wake(struct shard *sh, struct row *r, const struct hub_env *env);

/* ---- messages to devices: messages.c ---- */

/* The dead go, what is free is delivered to a session that listens. Only the queue's record is looked at and written; nothing is done
 * while the store takes no writes, or the record is not in memory. */
void messages_look(struct shard *sh, struct row *r, const struct hub_env *env);
/* Its device goes. */
void messages_leave(struct shard *sh, struct row *r, const struct hub_env *env);
/* feedback.c: a message of this device has ended; counted, and told if its sender wants to know. */
void message_ended(struct shard *sh, const struct row *r, const struct queue_entry *e,
    enum message_end end, const struct hub_env *env);

/* ---- identities: made, replaced, removed ---- */

/* What IMPORT_WHOLE takes of an item besides: import_whole.c. */
void identity_request_take_whole(
    const struct op *op, struct doc item, struct identity_request *q, const struct hub_env *env);
/* The sections of a twin that nobody has seen, as the item shows them. */
enum err identity_request_restore_twin(const struct op *op, struct doc item,
    struct identity_request *q, const struct hub_env *env, struct fault *f);
/* Tags and, if asked for, desired as a bulk call gives them to a new twin. */
enum err identity_request_first_sections(const struct op *op, struct doc item, bool desired,
    struct identity_request *q, const struct hub_env *env, struct fault *f);
/* An item onto what exists, by IMPORT_WHOLE. */
void import_whole_over(struct shard *sh, struct row *r, const struct op *op, struct doc item,
    struct identity_request *q, const struct hub_env *env, struct reply *reply);
/* From the body of op, or a part of it; ERR_ARG: the fault says what is wrong. The strings are the body's. */
enum err identity_request_take_put(
    const struct op *op, struct identity_request *q, struct fault *f);
enum err identity_request_take(
    const struct op *op, struct doc body, struct identity_request *q, struct fault *f);
/* New random keys, for each bit of `which`. */
void identity_request_make_keys(
    struct identity_request *q, unsigned which, const struct hub_env *env);

/* Create or replace, within limits; the reply has the identity. */
void identity_create(struct shard *sh, const struct op *op, struct identity_request *q,
    const struct hub_env *env, struct reply *reply);
void identity_update(struct shard *sh, struct row *r, const struct op *op,
    struct identity_request *q, const struct hub_env *env, struct reply *reply);
/* Write this record; and the twin's first two. */
void identity_store(
    struct shard *sh, struct row *r, const struct identity *id, const struct hub_env *env);
void twin_write_first(
    struct shard *sh, struct row *r, const struct identity_request *q, const struct hub_env *env);
/* It goes, a device with its modules (T-91). */
void identity_remove(struct shard *sh, struct row *r, const struct hub_env *env);
/* The hub's own modules of an edge device are not a client's to change. ERR_DENIED: it is one of them, as the fault says. */
enum err identity_check_owner(struct shard *sh, const struct op *op, struct fault *f);

/* ---- the log, of what is no twin's: notice.c ---- */

/* Somebody has done this to the hub, by this operation. */
void admin_done(struct shard *sh, enum admin_what what, const struct op *op,
    const struct reply *reply, const struct hub_env *env);
/* A method is called, by the cause; the record's position, 0: there is none. Later: its device has answered. */
uint64_t method_called(struct shard *sh, const struct row *r, struct str name, size_t bytes,
    const struct hub_env *env);
void method_answered(struct shard *sh, const struct row *r, uint64_t called, const struct op *op,
    const struct hub_env *env);

/* ---- operations, one function a kind; apply.c has the table ---- */

op_fn on_judge, on_events, on_scope_read, on_scope_member;
op_fn on_connect, on_disconnect, on_resume, on_subscribe, on_unsubscribe, on_twin_get, on_report,
    on_telemetry, on_ack;
op_fn on_identity_get, on_identity_put, on_identity_delete, on_scope_check, on_modules_list;
op_fn on_identity_import, on_keys_regenerate;
op_fn on_message_send, on_message_receive, on_message_settle, on_message_ack, on_messages_purge,
    on_messages_look, on_feedback_receive, on_feedback_settle;
op_fn on_admin, on_job_told;
op_fn on_method, on_method_cancel, on_method_response;
op_fn on_connection_get, on_connection_close;
op_fn on_twin_convergence, on_twin_patch, on_twin_replace;

/* Neither the module nor, perhaps, its device is there: the fault says which. Returns ERR_NOT_FOUND. */
enum err identity_not_found(struct shard *sh, const struct op *op, struct fault *f);
/* Drop the live session of a row, if any, and tell its link to close, and why: at once, or (paced) when its turn comes
 * among many. */
void presence_close(
    struct shard *sh, struct row *r, enum reason why, bool paced, const struct hub_env *env);

/* reply.identity of a row whose identity record is in memory. */
uint64_t identity_stamp(const struct row *r);

/* ---- who is it? judge.c ---- */

struct auth_keys identity_keys(const struct identity *id); /* borrowed from it */
/* Judge op->shown for the identity of the op; row NULL: a module that is not there, for which its device may speak. */
void identity_judge(struct shard *sh, const struct row *r, const struct op *op,
    const struct hub_env *env, struct verdict *v);
/* The identity has this record now: links of it and of its modules that other keys have opened close. */
void links_review(
    struct shard *sh, struct row *r, const struct identity *id, const struct hub_env *env);

#endif
