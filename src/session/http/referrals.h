/* SPDX-License-Identifier: Apache-2.0 */
/* referrals.h - what accounts.c asks of referrals.c. */
#ifndef HTTP_REFERRALS_H
#define HTTP_REFERRALS_H

#include "session/http/api.h"

/* "moved_to" and "moved_open" of a PATCH. False: the call was answered. */
bool await_change_moved(struct api_call *call, struct slice address);
/* Puts "moved_to", "moved_open" and "referrals" of an account. */
enum err await_put_referrals(struct api_call *call, struct slice address, json_t *o);

#endif
