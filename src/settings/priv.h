/* settings: what its files share. */
#ifndef TWINHUB_SETTINGS_PRIV_H
#define TWINHUB_SETTINGS_PRIV_H

#include "settings/settings.h"

/* limits.c: rates and shares, the two members of the section LIMITS that are no numbers */
#define LIMITS        "limits"
#define RATES         "rates"
#define SHARES        "shares"
#define LIMIT_WHY_MAX 256

void limit_lines_copy(struct limit_lines *to, const struct limit_lines *from);
void limit_lines_fini(struct limit_lines *l);
void settings_limits_show(struct out *o, const struct settings *s);
/* One of the two, by a merge patch. ERR_ARG: f. */
enum err settings_limits_patch(struct settings *s, struct str name, struct doc d, struct fault *f);
/* Together they are rules. ERR_ARG: f. */
enum err settings_limits_check(const struct settings *s, struct fault *f);
void limit_lines_put(struct buf *out, const struct limit_lines *l);
bool limit_lines_read(struct rd *rd, struct limit_lines *l);

#endif
