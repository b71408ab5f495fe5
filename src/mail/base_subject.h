/* SPDX-License-Identifier: Apache-2.0 */
/* base_subject.h - the subject without its Re: and Fwd: (RFC 5256 2.1), which sorting and threading compare. */
#ifndef MAIL_BASE_SUBJECT_H
#define MAIL_BASE_SUBJECT_H

#include "base/buf.h"

#define BASE_SUBJECT_BYTES_MAX 2000 /* of a subject that are looked at */

/* subject: decoded and unfolded. Appends the base subject, its case kept. True: something was taken off that marks a
 * reply or a forwarded message. */
bool base_subject_put(struct buf *to, struct slice subject);

#endif
