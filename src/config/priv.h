/* config: what its files share. */
#ifndef TWINHUB_CONFIG_PRIV_H
#define TWINHUB_CONFIG_PRIV_H

#include "config/configuration.h"
#include "hub/change.h"

#define CONFIGURATION_FORMAT         1
#define CONFIGURATION_FORMAT_ROLLOUT 2

/* The content that counts, device's or module's. */
struct doc configuration_content(struct doc content, enum configuration_kind *kind);
/* The keys of a content and their values (J-57, J-58, J-60). ERR_ARG: 400402. */
enum err configuration_paths_check(struct doc content, struct fault *f);
/* {a:{b:value}} of `properties.desired.a.b`, a checked key. */
void configuration_path_patch(struct buf *out, struct str key, struct doc value);
/* A sentence about what a back end has written into desired and configurations have put back or taken away, appended: by the
 * twin's record before, after its operation, and now. Nothing if they have not. */
void overruled_warn(const struct configurations *set, struct str was, struct str said,
    struct str now, struct buf *out);

#endif
