/* What back ends, and who administers the hub, know of its policies; each request is checked against it: policies.c. */
#ifndef SIM_POLICIES_H
#define SIM_POLICIES_H

#include "auth/auth.h"
#include "doc/doc.h"

#define POLICY_TEXT 24u
#define KEY_TEXT    96u

struct world;

/* With what a request is made, and what it needs. */
struct pass {
	char name[POLICY_TEXT], key[KEY_TEXT];
	unsigned need;
	bool all; /* of these rights; else any */
	uint64_t asked;
};
void policies_pass(struct world *w, struct pass *p); /* name and key are drawn */
void policies_asked(struct pass *p);
void policies_judged(const struct pass *p, bool allowed);
bool policies_hold(const struct pass *p); /* may it be enough at the moment? */

/* A new key, of what is drawn; false: of nothing. One of these says what has become of it; none: nobody heard. */
struct rotation {
	char name[POLICY_TEXT];
	unsigned side;
};
bool policies_rotates(struct world *w, struct rotation *r);
void policies_kept(const struct rotation *r); /* it is refused, or could not be stored */
void policies_rotated(const struct rotation *r, struct doc answer);
void policies_unsynced(
    const struct rotation *r); /* in force, and a crash may bring the old one back */
/* The answer to who may see them all. */
void policies_shown(const struct pass *p, const struct policy *policy);

void policies_begin(struct world *w); /* with what the disk has */
/* The hub is down: the disk has what was acknowledged. Then it is edited, perhaps. */
void policies_between(struct world *w);

#endif
