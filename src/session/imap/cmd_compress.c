/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_compress.c - COMPRESS (RFC 4978): from the tagged OK on all bytes of the connection are compressed, below TLS
 * where there is TLS (task/deflate.c). What comes that is no DEFLATE ends the connection. */
#include "session/imap/imap.h"

struct imap_reply
imap_cmd_compress(struct imap *im, struct cursor *args)
{
	struct slice algorithm;
	if (!imap_take_space(args) || !imap_take_atom(args, &algorithm) || !take_end(args))
		return imap_bad("COMPRESS takes the name of an algorithm");
	if (!slice_equal_nocase(algorithm, S("DEFLATE")))
		return imap_bad("DEFLATE is the only algorithm");
	if (im->c->io.deflate) /* section 3 says BAD for COMPRESS and NO for other layers; clients look for the code */
		return imap_no("COMPRESSIONACTIVE", "DEFLATE is active already");
	struct imap_reply r = imap_ok("DEFLATE active");
	await_imap_reply(im, NULL, &r);
	if (await_deflate(&im->c->io) != OK)
		im->ended = true;
	return imap_silent;
}
