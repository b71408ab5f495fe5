/* SPDX-License-Identifier: Apache-2.0 */
/* lang.h - the texts that people read, in the languages that the house speaks (RFC 5255 3, RFC 6856 3). Protocol code
 * writes its texts in English; where an answer is written they are translated. Pure. */
#ifndef SESSION_LANG_H
#define SESSION_LANG_H

#include "base/arena.h"

enum lang { LANG_DEFAULT /* i-default (RFC 2277 4.5): English */, LANG_EN, LANG_DE, LANG_FR, LANG_COUNT };

struct slice lang_tag(enum lang lang);  /* "de" */
struct slice lang_name(enum lang lang); /* "Deutsch": in the language itself */
/* The language that a range means (RFC 4647 3.4: "de-AT" is served with "de"); false: none of ours. "default" and "*"
 * mean `preferred`. */
bool lang_of_range(struct slice range, enum lang preferred, enum lang *lang);
/* The option `language`. */
enum lang lang_preferred(struct slice word);
/* The text in that language; a text that was not translated stays. */
struct slice lang_text(enum lang lang, struct slice english);
/* The same of "BYE [CODE] text" and its like. */
struct slice lang_response(enum lang lang, struct slice response, struct arena *a);

#endif
