/* value, inside: LIKE in the way that is slow for few characters and never slower, for its test. */
#ifndef TWINHUB_VALUE_PRIV_H
#define TWINHUB_VALUE_PRIV_H

#include "value/value.h"

#define LIKE_PLACES_MAX 320u /* QUERY_PATTERN_MAX characters, and room */
#define LIKE_STEPS      1024u /* besides some for each byte of the text, before the other way is taken */

/* can: false: the pattern has too many characters for it. */
bool like_match_places(struct str s, struct str pattern, bool *can);

#endif
