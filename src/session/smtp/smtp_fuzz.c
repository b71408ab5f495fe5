/* SPDX-License-Identifier: Apache-2.0 */
/* smtp_fuzz.c - whole sessions of SMTP, LMTP and submission: the input is what a client sends. The first byte chooses
 * the face and how the rest is cut into pieces. Whatever comes, each reply is a line that starts with three digits, and
 * nothing is left over when the connection is gone. */
#include "session/session_testing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_replies(struct slice out)
{
	while (out.len > 0) {
		ptrdiff_t end = slice_find(out, S("\r\n"));
		ASSERT(end >= 4);
		ASSERT(out.at[0] >= '2' && out.at[0] <= '5' && ascii_digit(out.at[1]) && ascii_digit(out.at[2]));
		ASSERT(out.at[3] == ' ' || out.at[3] == '-');
		out = slice_from(out, (size_t)end + 2);
	}
}

static struct fake_house house;

static void
close_house(void)
{
	fake_house_close(&house);
	loop_reset();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t steps[] = { 1 << 16, 1, 7, 100 };
	static bool open;
	if (size < 1)
		return 0;
	if (!open) {
		log_setup("fuzz", LOG_ERROR, false);
		loop_sim_start(1700000000);
		fake_house_open(&house, "hostname = mx.example.test\nlogin.without-tls = yes\nmessage-bytes-max = 64k\n");
		atexit(close_house);
		open = true;
	}
	house.commit_culprit = data[0] & 16 ? 2 : 0;
	house.commit_verdict = data[0] & 32 ? ERR_DISK_FULL : OK;
	struct buf out;
	buf_init(&out, 8 << 20);
	struct slice in = slice_of(data + 1, size - 1);
	const struct protocol *p = data[0] % 3 == 0   ? &smtp_protocol
	                           : data[0] % 3 == 1 ? &lmtp_protocol
	                                              : &submission_protocol;
	fake_dialog(&house, LISTEN_SMTP, p, in, steps[data[0] / 64], &out);
	check_replies(buf_slice(&out));
	ASSERT(shm_used(house.s.shm) == 0);
	buf_release(&out);
	return 0;
}
