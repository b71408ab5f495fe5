/* SPDX-License-Identifier: Apache-2.0 */
/* imap.c - times IMAP commands on one connection to a server on loopback. Blocking; one thread.
 *
 *   imap PORT USER PASSWORD STEP...
 *   imap maildir FOLDER N BYTES        writes N messages into a maildir, without a server
 *
 * Steps: "name=COMMAND" is timed; "=COMMAND" is only done; "@fill MAILBOX N BYTES" appends N different messages,
 * 64 commands ahead of their answers (LITERAL+); "name@append MAILBOX N BYTES" times N appends one by one;
 * "name@multiappend MAILBOX N BYTES" one command with all of them; "@sleep MS". Prints name, milliseconds and bytes
 * that came for each. A command that fails ends the program. Only 127.0.0.1 is talked to. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { IN_BYTES = 256 << 10, TAIL_BYTES = 1024, OUT_BYTES = 1 << 20, FILL_BATCH = 64 };

static int fd;
static unsigned tags;
static char in[TAIL_BYTES + IN_BYTES];
static size_t tail; /* bytes of the last line so far, kept in front of what comes next */
static uint64_t came;
static char out[OUT_BYTES];
static size_t out_len;

static double
now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void
fail(const char *what, const char *detail)
{
	fprintf(stderr, "imap: %s: %s\n", what, detail);
	exit(1);
}

static void
flush_out(void)
{
	for (size_t at = 0; at < out_len;) {
		ssize_t n = write(fd, out + at, out_len - at);
		if (n <= 0)
			fail("write", strerror(errno));
		at += (size_t)n;
	}
	out_len = 0;
}

static void
put(const char *text, size_t len)
{
	while (len) {
		size_t n = len < OUT_BYTES - out_len ? len : OUT_BYTES - out_len;
		memcpy(out + out_len, text, n);
		out_len += n;
		text += n;
		len -= n;
		if (out_len == OUT_BYTES)
			flush_out();
	}
}

/* Reads until the last line begins with this word (the server says nothing behind a tagged reply). */
static void
await_line(const char *word, const char *command)
{
	size_t word_len = strlen(word);
	for (;;) {
		ssize_t n = read(fd, in + tail, IN_BYTES);
		if (n <= 0)
			fail("connection closed during", command);
		came += (uint64_t)n;
		size_t len = tail + (size_t)n;
		bool whole = in[len - 1] == '\n';
		char *line = memrchr(in, '\n', whole ? len - 1 : len);
		line = line ? line + 1 : in;
		size_t line_len = len - (size_t)(line - in);
		if (whole && line_len > word_len && memcmp(line, word, word_len) == 0) {
			if (word[0] == 'Z' && memcmp(line + word_len, "OK", 2) != 0)
				fail(command, strndup(line, line_len));
			tail = 0;
			return;
		}
		if (whole && word[0] == '+' && line[0] == 'Z') /* no "go ahead", but a refusal */
			fail(command, strndup(line, line_len));
		tail = whole || line_len > TAIL_BYTES ? 0 : line_len;
		memmove(in, line, tail);
	}
}

static void
begin(char tag[16], const char *text)
{
	snprintf(tag, 16, "Zq%u ", ++tags);
	put(tag, strlen(tag));
	put(text, strlen(text));
}

static void
command(const char *text)
{
	char tag[16];
	begin(tag, text);
	put("\r\n", 2);
	flush_out();
	await_line(tag, text);
}

/* ---- messages */

static const char *const words[] = { "post",  "house", "letter", "rider", "seal",  "road", "inn",     "horse",
	                                 "river", "tower", "answer", "night", "paper", "ink",  "courier", "lantern" };
static uint32_t dice = 2463534242u;

static uint32_t
roll(uint32_t n)
{
	dice ^= dice << 13;
	dice ^= dice >> 17;
	dice ^= dice << 5;
	return dice % n;
}

static size_t
put_words(char *to, size_t room)
{
	size_t len = 0, column = 0;
	while (len + 24 < room) {
		size_t n = (size_t)sprintf(to + len, "%s%s", words[roll(16)], column > 60 ? "\r\n" : " ");
		column = column > 60 ? 0 : column + n;
		len += n;
	}
	return len + (size_t)sprintf(to + len, "\r\n");
}

/* A message of about `bytes`: every fourth has two parts, every third answers an earlier one. */
static size_t
make_message(char *to, unsigned number, size_t bytes)
{
	size_t len = (size_t)sprintf(
	    to,
	    "Received: from mail.example.org (mail.example.org [192.0.2.%u])\r\n\tby mx.example.test with ESMTPS id "
	    "%08x\r\n"
	    "\tfor <big@example.test>; Mon, 02 Nov 2026 10:%02u:%02u +0000\r\n"
	    "From: \"%s %s\" <%s.%u@example.org>\r\nTo: big@example.test, \"%s\" <%s@example.test>\r\n"
	    "Subject: %s%s %s %s %u\r\nDate: Mon, 02 Nov 2026 %02u:%02u:%02u +0000\r\nMessage-ID: "
	    "<%u.%08x@example.org>\r\n",
	    roll(250), roll(UINT32_MAX), roll(60), roll(60), words[roll(16)], words[roll(16)], words[roll(16)], roll(1000),
	    words[roll(16)], words[roll(16)], roll(3) ? "" : "Re: ", words[roll(16)], words[roll(16)], words[roll(16)],
	    number, roll(24), roll(60), roll(60), number, 0x1234abcd);
	if (number % 3 == 0 && number > 10)
		len += (size_t)sprintf(to + len,
		                       "References: <%u.1234abcd@example.org>\r\nIn-Reply-To: <%u.1234abcd@example.org>\r\n",
		                       number - 1 - roll(9), number - 3);
	len += (size_t)sprintf(to + len, "MIME-Version: 1.0\r\nX-Mailer: %s 1.%u\r\n", words[roll(16)], roll(100));
	if (number % 4) {
		len += (size_t)sprintf(to + len, "Content-Type: text/plain; charset=utf-8\r\n\r\n");
		return len + put_words(to + len, bytes > len + 40 ? bytes - len : 40);
	}
	len += (size_t)sprintf(to + len,
	                       "Content-Type: multipart/alternative; boundary=b%u\r\n\r\n--b%u\r\nContent-Type: "
	                       "text/plain; charset=utf-8\r\n\r\n",
	                       number, number);
	size_t left = bytes > len + 300 ? bytes - len - 200 : 100;
	len += put_words(to + len, left / 2);
	len += (size_t)sprintf(to + len, "--b%u\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>", number);
	len += put_words(to + len, left / 2);
	return len + (size_t)sprintf(to + len, "</p>\r\n--b%u--\r\n", number);
}

/* One message; its literal is sent at once (RFC 7888), or when the server says so. */
static void
append_literal(unsigned number, size_t bytes, bool wait)
{
	char *message = malloc(bytes + 4096), head[40];
	size_t len = make_message(message, number, bytes);
	snprintf(head, sizeof head, " {%zu%s}\r\n", len, wait ? "" : "+");
	put(head, strlen(head));
	if (wait) {
		flush_out();
		await_line("+", "APPEND");
	}
	put(message, len);
	free(message);
}

/* n messages with one command. */
static void
append(const char *mailbox, unsigned first, unsigned n, size_t bytes)
{
	char tag[16], head[300];
	snprintf(head, sizeof head, "APPEND %s", mailbox);
	begin(tag, head);
	for (unsigned i = 0; i < n; i++)
		append_literal(first + i, bytes, true);
	put("\r\n", 2);
	flush_out();
	await_line(tag, "APPEND");
}

static void
fill(const char *mailbox, unsigned first, unsigned n, size_t bytes)
{
	char tag[16], head[300];
	snprintf(head, sizeof head, "APPEND %s", mailbox);
	for (unsigned i = 0; i < n; i++) {
		begin(tag, head);
		append_literal(first + i, bytes, false);
		put("\r\n", 2);
	}
	flush_out();
	await_line(tag, "APPEND");
}

/* ---- steps */

static void
report(const char *name, size_t name_len, double began, uint64_t before)
{
	printf("%.*s ms=%.3f bytes=%llu\n", (int)name_len, name, now_ms() - began, (unsigned long long)(came - before));
	fflush(stdout);
}

static void
step(const char *text)
{
	char mailbox[200];
	unsigned n;
	size_t bytes, name = strcspn(text, "=@");
	double began = now_ms();
	uint64_t before = came;
	if (sscanf(text, "@sleep %u", &n) == 1) {
		usleep(n * 1000);
	} else if (sscanf(text, "@fill %199s %u %zu", mailbox, &n, &bytes) == 3) {
		for (unsigned i = 0; i < n; i += FILL_BATCH)
			fill(mailbox, i, n - i < FILL_BATCH ? n - i : FILL_BATCH, bytes);
	} else if (sscanf(text + name, "@append %199s %u %zu", mailbox, &n, &bytes) == 3) {
		for (unsigned i = 0; i < n; i++)
			append(mailbox, i, 1, bytes);
		report(text, name, began, before);
	} else if (sscanf(text + name, "@multiappend %199s %u %zu", mailbox, &n, &bytes) == 3) {
		append(mailbox, 0, n, bytes);
		report(text, name, began, before);
	} else if (text[name] == '=') {
		command(text + name + 1);
		if (name)
			report(text, name, began, before);
	} else {
		fail("what is this step", text);
	}
}

static void
make_maildir(const char *folder, unsigned n, size_t bytes)
{
	char path[4096], *message = malloc(bytes + 4096);
	for (unsigned i = 0; i < n; i++) {
		snprintf(path, sizeof path, "%s/cur/%u.M%uP1.bench:2,", folder, 1762000000 + i / 1000, i);
		FILE *f = fopen(path, "w");
		if (!f || fwrite(message, make_message(message, i, bytes), 1, f) != 1 || fclose(f) != 0)
			fail(path, strerror(errno));
	}
	free(message);
}

int
main(int argc, char **argv)
{
	if (argc == 5 && strcmp(argv[1], "maildir") == 0) {
		make_maildir(argv[2], (unsigned)atoi(argv[3]), (size_t)atoi(argv[4]));
		return 0;
	}
	if (argc < 5)
		fail("usage", "imap PORT USER PASSWORD STEP...");
	int one = 1, room = 1 << 20;
	struct sockaddr_in a = { .sin_family = AF_INET,
		                     .sin_port = htons((uint16_t)atoi(argv[1])),
		                     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) != 0)
		fail("connect", strerror(errno));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	await_line("* OK", "greeting");
	char login[500];
	snprintf(login, sizeof login, "LOGIN %s %s", argv[2], argv[3]);
	command(login);
	for (int i = 4; i < argc; i++)
		step(argv[i]);
	command("LOGOUT");
	return 0;
}
