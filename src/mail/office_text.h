/* SPDX-License-Identifier: Apache-2.0 */
/* office_text.h - the text of office documents that are zip files of XML: Office Open XML (docx, xlsx, pptx) and
 * OpenDocument (odt, ods, odp). For search only.
 *
 * What is looked at is bounded: OFFICE_ENTRIES_MAX entries, OFFICE_TEXTS_MAX of them read, OFFICE_XML_BYTES_MAX of XML
 * in all, however small the file is that holds it; and the work for all documents of a message together, whose entries
 * may share their bytes, or have many that inflate to nothing. Encrypted or damaged documents have no text, or less.
 * Pure. */
#ifndef MAIL_OFFICE_TEXT_H
#define MAIL_OFFICE_TEXT_H

#include "base/buf.h"

#define OFFICE_ENTRIES_MAX 4000
#define OFFICE_TEXTS_MAX 500
#define OFFICE_XML_BYTES_MAX (16u << 20)
#define OFFICE_WORK_BYTES_MAX (32u << 20) /* read or inflated, of all documents of a message */

/* Whether a file of this media type (subtype of application/) or name may be one. */
bool office_is(struct slice subtype, struct slice name);
/* Appends its text, UTF-8: a line for each paragraph, cell or heading. What is no such document has none. work: what is
 * left of OFFICE_WORK_BYTES_MAX. */
void office_text_put(struct buf *to, struct slice file, size_t *work);

#endif
