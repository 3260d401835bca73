/*
 * os: the clocks of the program, and sleep. Nobody else reads the machine's: the wall clock may jump, and what it says is judged first
 * (base/wall.h, the pure part), once for all threads. Any thread may call all of this.
 *
 * Units: microseconds unless the name says otherwise. Nothing here fails.
 */
#ifndef TWINHUB_CLOCK_H
#define TWINHUB_CLOCK_H

#include "base/wall.h"

/* Since some point in the past; never goes back, stands while the machine sleeps. For timeouts and for what is measured. */
int64_t clock_mono_us(void);
int64_t clock_mono_ns(void); /* the same in nanoseconds */
/* The same, and goes on while the machine sleeps: for what others count on, who do not sleep with it. */
int64_t clock_boot_us(void);
/* Processor time that this thread has had; takes a system call. */
int64_t clock_thread_ns(void);

/* Since 1970-01-01 UTC, as wall_judge has it. It may go back; a jump ahead is followed only when it has lasted. */
int64_t clock_wall_us(void);
/* The same as the machine has it, jumps and all: for lines of the log, which people hold against other logs. */
int64_t clock_machine_us(void);

/*
 * For tests alone: time that has not passed. clock_wall_us is ahead by so much from then on, and so is clock_elapsed_us; clock_mono_us is
 * not, by which two parties that are in contact wait for one another. Never back.
 */
void clock_advance(int64_t by_us);
int64_t clock_ahead_us(void); /* by all of that together; 0 elsewhere */
/* clock_mono_us, and what was advanced: for what has to rest or to last. */
int64_t clock_elapsed_us(void);
/* clock_wall_us without it, which is what clients have: tokens and certificates are made, and so judged, by it. */
int64_t clock_clients_us(void);

/* A time that was stored, perhaps by a clock that was ahead. */
void clock_given(int64_t stored_us);
/* How the clock stands. Returns how often the time has made a jump: another number than before, and what depends on the
 * time is to be looked at again. */
unsigned clock_look(struct wall_state *out);
/* Who is told of jumps, of how many microseconds: on the thread that saw it, which holds nothing. Before there are other threads. */
void clock_tell(void (*told)(enum wall_news news, int64_t by_us));

/* For so long, whatever signals come; not at all if us <= 0. Fine in a signal handler. */
void clock_sleep_us(int64_t us);

#endif
