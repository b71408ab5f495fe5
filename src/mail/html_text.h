/* SPDX-License-Identifier: Apache-2.0 */
/* html_text.h - the text of an HTML body, or of XML, for search and previews: never shown as HTML, never trusted. */
#ifndef MAIL_HTML_TEXT_H
#define MAIL_HTML_TEXT_H

#include "base/buf.h"

/* html: UTF-8. Appends its text: tags gone, character references undone, scripts and styles left out, block elements
 * as line ends. One pass; whatever is broken is text or is skipped. */
void html_text_put(struct buf *to, struct slice html);
/* The same of XML: tags are nothing, but those of the named elements are line ends. */
void xml_text_put(struct buf *to, struct slice xml, const struct slice *lines, size_t nlines);

#endif
