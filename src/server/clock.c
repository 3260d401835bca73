/* What becomes of the wall clock's jumps, for the log. */
#include <stdio.h>

#include "server/priv.h"

void
server_clock_told(enum wall_news news, int64_t by_us)
{
	static const char *const msgs[] = {
		[WALL_HELD] = "the clock has jumped ahead: not followed until it has lasted 60 s",
		[WALL_FOLLOWED] = "the clock's jump ahead has lasted, and is followed",
		[WALL_RETURNED] = "the clock's jump ahead is undone: it was not followed",
		[WALL_SET_BACK] = "the clock was set back: the event log's time stands still",
	};
	char seconds[32];

	snprintf(seconds, sizeof seconds, "%lld.%06lld", (long long)(by_us / 1000000),
	    (long long)(by_us % 1000000));
	log_pairs(LOG_WARN, msgs[news],
	    (const struct log_pair[]){ { "seconds", str_of(seconds) }, { NULL, STR_NONE } });
}
