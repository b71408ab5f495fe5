/* SPDX-License-Identifier: Apache-2.0 */
/* imap_fuzz.c - whole sessions: the input is what a client sends, after a login and a SELECT when a bit of the first
 * byte says so. Other bits choose how it is cut into pieces and what the store's answers are like. Whatever comes, the
 * output is a sequence of responses with true literal lengths, sequence numbers stay below what was told, and nothing
 * is left over when the connection is gone. */
#include "session/imap/imap_testing.h"
#include "session/imap/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct fake_house house;

static void
close_house(void)
{
	fake_house_close(&house);
	arena_release(&fake_mail.arena);
	loop_reset();
}

/* One response with its literals: its length, 0 when the rest is cut. */
static size_t
response_bytes(struct slice out)
{
	size_t at = 0;
	for (;;) {
		ptrdiff_t end = slice_find(slice_from(out, at), S("\r\n"));
		if (end < 0)
			return 0;
		struct slice line = slice_part(out, at, (size_t)end);
		at += (size_t)end + 2;
		ptrdiff_t brace = slice_find_last_char(line, '{');
		uint64_t n;
		if (brace < 0 || !slice_ends(line, S("}")) ||
		    !slice_to_u64(slice_part(line, (size_t)brace + 1, line.len - (size_t)brace - 2), &n))
			return at;
		if (n > out.len - at)
			return 0;
		at += n;
	}
}

/* RFC 7162 3.2.10.2: each UID is one message that is there no more. */
static void
check_vanished(struct cursor *c, uint64_t *exists)
{
	uint32_t low, high;
	do {
		ASSERT(imap_take_nz_number(c, &low));
		high = low;
		if (take_char(c, ':'))
			ASSERT(imap_take_nz_number(c, &high) && high > low);
		ASSERT(high - low < *exists);
		*exists -= high - low + 1;
	} while (take_char(c, ','));
	ASSERT(take_exact(c, S("\r\n")));
}

/* EXISTS, EXPUNGE and VANISHED keep the count of messages; no FETCH names a higher number (RFC 3501 7.4.1). */
static void
check_number(struct slice response, uint64_t *exists)
{
	struct cursor c = cursor_of(response);
	uint64_t n;
	if (!take_exact(&c, S("* ")))
		return;
	if (take_exact(&c, S("VANISHED ")) && peek(&c) != '(')
		check_vanished(&c, exists);
	if (!take_u64(&c, &n))
		return;
	if (take_exact(&c, S(" EXISTS\r\n"))) {
		*exists = n;
	} else if (take_exact(&c, S(" EXPUNGE\r\n"))) {
		ASSERT(n >= 1 && n <= *exists);
		--*exists;
	} else if (take_exact(&c, S(" FETCH ("))) {
		ASSERT(n >= 1 && n <= *exists);
	}
}

static void
check_responses(struct slice out)
{
	uint64_t exists = 0;
	while (out.len) {
		size_t n = response_bytes(out);
		if (!n)
			return; /* the end of a connection that was cut */
		ASSERT(n > 2 && out.at[0] > ' ' && out.at[0] < 0x7f);
		check_number(slice_part(out, 0, n), &exists);
		out = slice_from(out, n);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t steps[] = { 1 << 16, 1, 7, 100 };
	static const enum err failures[] = { ERR_AGAIN, ERR_STALE, ERR_NOT_FOUND, ERR_DISK_FULL };
	static bool open;
	if (size < 2)
		return 0;
	if (!open) {
		log_setup("fuzz", LOG_ERROR, false);
		loop_sim_start(1700000000);
		fake_house_open(
		    &house,
		    "hostname = h.test\nlogin.without-tls = yes\nmessage-bytes-max = 64k\nimap.literal-bytes-max = 8k\n");
		fake_mail_open(&house);
		atexit(close_house);
		open = true;
	}
	fake_mail_reset(data[1] & 0xf, failures[data[1] >> 4 & 3]);
	keys_walk_rows_min = data[1] & 0x40 ? 1 : 256;
	struct buf in, out;
	buf_init(&in, size + 200);
	buf_init(&out, 64 << 20);
	if (data[0] & 1)
		buf_put(&in, S("a LOGIN alice@example.test secret\r\n"));
	if (data[0] & 2)
		buf_put(&in, data[0] & 4 ? S("b EXAMINE INBOX\r\n") : S("b SELECT INBOX\r\n"));
	buf_put(&in, slice_of(data + 2, size - 2));
	fake_dialog(&house, LISTEN_IMAP, &imap_protocol, buf_slice(&in), steps[data[0] >> 6], &out);
	check_responses(buf_slice(&out));
	ASSERT(shm_used(house.s.shm) == 0);
	buf_release(&in);
	buf_release(&out);
	return 0;
}
