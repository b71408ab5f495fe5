/* SPDX-License-Identifier: Apache-2.0 */
/* part_text.h - the text of a part, as UTF-8: transfer encoding undone, charset converted, HTML reduced to its
 * text; and that of office documents. */
#ifndef MAIL_PART_TEXT_H
#define MAIL_PART_TEXT_H

#include "mail/mime.h"

/* Decodes at most bytes of the part's body. scratch is used and left empty. office_work: as in office_text.h; NULL:
 * the part is a text. */
void part_text_put(struct buf *to, const struct mime_part *part, struct slice message, size_t bytes,
                   struct buf *scratch, size_t *office_work);
bool part_is_html(const struct mime_part *part);
/* It is a text, or a document whose text can be read (office_text.h). */
bool part_has_text(const struct mime_part *part);
/* Content-Disposition: attachment, or a file name. */
bool part_is_attachment(const struct mime_part *part);

#endif
