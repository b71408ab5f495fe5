/* SPDX-License-Identifier: Apache-2.0 */
/* tls_report_read.h - TLS reports that others send us by mail (RFC 8460 5.3). Strangers wrote all of it: only scan runs
 * this. What comes out is small, of known form, and made by us. */
#ifndef MAIL_TLS_REPORT_READ_H
#define MAIL_TLS_REPORT_READ_H

#include "base/buf.h"

#define TLS_REPORT_PACKED_BYTES_MAX (1u << 20) /* of the part, its base64 undone */
#define TLS_REPORT_JSON_BYTES_MAX (1u << 20)   /* unpacked */
#define TLS_REPORT_DEPTH_MAX 12                /* arrays and objects in each other; RFC 8460 4.4 has 5 */
#define TLS_REPORT_READ_POLICIES_MAX 20        /* that are kept; all of them count in the sums */
#define TLS_REPORT_READ_DETAILS_MAX 60
#define TLS_REPORT_READ_BYTES_MAX 32768 /* of what comes out */
#define TLS_REPORT_NAME_BYTES_MAX 520

enum tls_report_found { TLS_REPORT_NONE, TLS_REPORT_BROKEN, TLS_REPORT_FOUND };

/* The first report in the message. to: JSON, {"day": since 1970, "domain", "organization", "contact", "id", "begin",
 * "end", "success", "failure", "policies": [{"type", "domain", "success", "failure"}], "failures": [{"result", "count",
 * "mx", "from", "to", "why"}]}; texts are short and without control characters. name: day, domain, organization and id
 * as words: the same report has the same. */
enum tls_report_found tls_report_read(struct slice message, struct buf *name, struct buf *to);

#endif
