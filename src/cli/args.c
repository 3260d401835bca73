/* The command line taken apart. */
#include "cli/priv.h"

#include <stdio.h>

static const char *const option_keys[] = { "primary", "secondary", NULL };
static const char *const option_patterns[] = { "tutorial", "sensor", "flaky", NULL };
static const char *const option_acks[] = { "none", "positive", "negative", "full", NULL };
static const char *const option_statuses[] = { "enabled", "disabled", NULL };
static const char *const option_job_statuses[] = { "queued", "scheduled", "running", "completed",
	"failed", "cancelled", "canceled", "enqueued", "unknown", NULL };
static const char *const option_result_statuses[] = { "pending", "scheduled", "running",
	"completed", "failed", "canceled", NULL };
static const char *const option_states[] = { "targeted", "reached", "applied", "notReached",
	"notApplied", NULL };
static const char *const option_job_types[] = { "twin-update", "method", "message", "restore",
	"scheduleUpdateTwin", "scheduleDeviceMethod", "scheduleDeviceMessage",
	"scheduleRestoreTwin", NULL };
static const char *const option_connections[] = { "connected", "disconnected", NULL };
static const char *const option_connection_orders[] = { "id", "connects", NULL };
static const char *const option_renewals[] = { "primary", "secondary", "both", NULL };
static const char *const option_outputs[] = { "json", "table", NULL };
/* output_settle knows the first three, rows_init the last one */
static const char *const option_outputs_rows[] = { "json", "table", "csv", "name", NULL };
static const char *const option_modes[] = { "createOrUpdate", "create", "update",
	"updateIfMatchETag", "createOrUpdateIfMatchETag", "delete", "deleteIfMatchETag",
	"updateTwin", "updateTwinIfMatchETag", NULL };

/* clang-format off */
#define TAKES_NOTHING             .kind = OPTION_SWITCH
#define TAKES_TEXT(v)             .value = (v), .kind = OPTION_TEXT
#define TAKES_TEXT_OR(v, without) .value = (v), .kind = OPTION_TEXT, .otherwise = (without)
#define TAKES_FILE(v)             .value = (v), .kind = OPTION_FILE
#define TAKES_DIR(v)              .value = (v), .kind = OPTION_DIR
#define TAKES_WORD(v, set, without) .value = (v), .kind = OPTION_WORD, .words = (set), .fallback = (without)
#define TAKES_NUMBER(from, to, without) \
	.value = "N", .kind = OPTION_NUMBER, .least = (from), .most = (to), .fallback = (without)
#define TAKES_SECONDS(from, to, without) \
	.value = "SECONDS", .kind = OPTION_NUMBER, .least = (from), .most = (to), .fallback = (without)

static const struct option_spec rows[OPTION_COUNT] = {
#define X(id, word, takes, text) [OPT_##id] = { .name = (word), takes, .help = (text) },
	OPTIONS(X)
#undef X
};
/* clang-format on */

struct option_table
command_options(const struct command *c)
{
	return c->table != NULL ? *c->table
	                        : (struct option_table){ rows, OPTION_COUNT, c->options };
}

const char *
option_name(enum option o)
{
	return rows[o].name;
}

const char *
option_word(const struct args *a, enum option o)
{
	return rows[o].words[a->number[o]];
}

/* Of all rows: a command may ask for what it takes no option of. */
static void
defaults(struct args *out)
{
	char why[WHY_MAX];

	*out = (struct args){ 0 };
	for (int o = 0; o < OPTION_COUNT; o++)
		if (rows[o].fallback != NULL)
			option_judge(&rows[o], rows[o].fallback, &out->number[o], why, sizeof(why));
}

static bool
take_option(const struct option_table *t, const struct command *c, int argc, char **argv,
    struct args *out, int *used, char *why, size_t nwhy)
{
	struct option_given given;

	if (option_read(t, c->name, argc, argv, &given, why, nwhy) != ERR_OK)
		return false;
	if (out->option[given.row] != NULL) {
		snprintf(why, nwhy, "--%s is given twice", t->v[given.row].name);
		return false;
	}
	out->option[given.row] = given.text;
	out->number[given.row] = given.number;
	*used = given.used;
	return true;
}

/* The one option with a short name, as az has it. */
static char output_word[] = "--output";

bool
args_parse(const struct command *c, int argc, char **argv, struct args *out, char *why, size_t nwhy)
{
	struct option_table t = command_options(c);
	unsigned n = 0;
	bool only_operands = false;
	int used;

	defaults(out);
	for (int i = 0; i < argc; i += used) {
		used = 1;
		if (!only_operands && strcmp(argv[i], "-o") == 0)
			argv[i] = output_word;
		if (!only_operands && strcmp(argv[i], "--") == 0) {
			only_operands = true;
		} else if (!only_operands && str_starts(str_of(argv[i]), STR("--"))) {
			if (!take_option(&t, c, argc - i, argv + i, out, &used, why, nwhy))
				return false;
		} else if (n == c->most) {
			snprintf(why, nwhy, "unexpected argument '%s'", argv[i]);
			return false;
		} else {
			out->operand[n++] = argv[i];
		}
	}
	if (n < c->least) {
		snprintf(why, nwhy, "usage: twinhub %s %s (see twinhub %s --help)", c->name,
		    c->operands, c->name);
		return false;
	}
	return true;
}

static int
operand_id(const char *text, struct str *id)
{
	*id = str_of(text);
	if (id_valid(*id))
		return EXIT_DONE;
	return cli_fail(EXIT_USAGE,
	    "'%s' is no id of a device or module: 1 to %d of letters, digits and - : . + %% _ # * "
	    "? ! ( ) , = @ ; "
	    "$ '",
	    text, ID_MAX);
}

int
subject_of(const char *device, const char *module, struct subject *out)
{
	out->module = STR_NONE;
	if (operand_id(device, &out->device) != EXIT_DONE)
		return EXIT_USAGE;
	return module != NULL ? operand_id(module, &out->module) : EXIT_DONE;
}
