/* SPDX-License-Identifier: Apache-2.0 */
/* load.c - a load program for SMTP, POP3 and IMAP servers on loopback; one process, one thread, non-blocking sockets.
 *
 *   load smtp   PORT SESSIONS MESSAGES BYTES MAILBOXES keep|new     MAIL FROM a stranger, RCPT
 * u0..u(MAILBOXES-1)@example.test in turn; new: a connection for each message, a command at a time; keep: pipelined
 *   load submit PORT SESSIONS MESSAGES BYTES RECIPIENTS DOMAINS SENDER PASSWORD|- HOLD    for other hosts: each message
 * to RECIPIENTS, in turn at d0.test..d(DOMAINS-1).test, kept and pipelined; logs in unless PASSWORD is -; HOLD: seconds
 * (RFC 4865), 0: at once
 *   load pop3   PORT USER PASSWORD WINDOW                        RETR of every message, WINDOW requests ahead
 *   load login  PORT LOGINS SESSIONS MAILBOXES PASSWORD          IMAP: connect, LOGIN, LOGOUT
 *   load idle   PORT CONNECTIONS MAILBOXES PASSWORD SECONDS      IMAP: LOGIN, SELECT INBOX, IDLE and stay; "holding"
 * when all do
 *
 * Prints one line of key=value. Every run ends after LIMIT_SEC at the latest. Only 127.0.0.1 is talked to. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { LIMIT_SEC = 300, IN_BYTES = 1 << 16, SESSIONS_MAX = 20000 };

/* One client connection: what to send next, and what to wait for. */
struct client {
	int fd, step;
	unsigned number;  /* of the message or login under way */
	unsigned replies; /* still to come before the next step */
	char in[4096];
	size_t len;
	double began;
	char *out; /* what the socket did not take yet */
	size_t out_at, out_len;
};

static int ep = -1, port;
static unsigned total, started, done, failed, sessions, mailboxes = 1;
static const char *password = "", *sender = "sender@example.org";
static unsigned recipients, domains, hold_sec;
static bool keep;
static char *message;
static size_t message_len;
static double *latency;
static struct client *clients;

static double
now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int
dial(bool wait)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		                     .sin_port = htons((uint16_t)port),
		                     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | (wait ? 0 : SOCK_NONBLOCK), 0);
	if (fd < 0 || (connect(fd, (struct sockaddr *)&a, sizeof a) != 0 && errno != EINPROGRESS)) {
		fprintf(stderr, "load: cannot connect to 127.0.0.1:%d: %s\n", port, strerror(errno));
		exit(2);
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	return fd;
}

static void
make_message(size_t bytes)
{
	static const char words[][8] = { "post", "house", "letter", "rider", "seal", "road", "inn", "horse" };
	uint32_t r = 12345;
	message = malloc(bytes + 256);
	message_len = (size_t)sprintf(message,
	                              "From: Sender <%s>\r\nTo: u@example.test\r\nSubject: load\r\n"
	                              "Date: Mon, 02 Nov 2026 10:00:00 +0000\r\nMessage-ID: <load@example.org>\r\n\r\n",
	                              sender);
	for (size_t column = 0; message_len + 20 < bytes;) {
		const char *w = words[(r = r * 1664525 + 1013904223) >> 29];
		size_t n = (size_t)sprintf(message + message_len, "%s%s", w, column > 60 ? "\r\n" : " ");
		column = column > 60 ? 0 : column + n;
		message_len += n;
	}
	message_len += (size_t)sprintf(message + message_len, "\r\n.\r\n");
}

static void
flush_out(struct client *c)
{
	while (c->out_at < c->out_len) {
		ssize_t n = write(c->fd, c->out + c->out_at, c->out_len - c->out_at);
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			return;
		c->out_at += (size_t)n;
	}
	struct epoll_event e = { .events = EPOLLIN | (c->out_at < c->out_len ? EPOLLOUT : 0), .data.ptr = c };
	if (c->out_at < c->out_len || c->out_len > 0)
		epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
	if (c->out_at == c->out_len) {
		free(c->out);
		c->out = NULL;
		c->out_at = c->out_len = 0;
	}
}

static void
say(struct client *c, const char *text, size_t len)
{
	ssize_t n = c->out_len ? 0 : write(c->fd, text, len);
	if (n < 0 && errno != EAGAIN)
		return; /* the reading side will see it */
	size_t sent = n > 0 ? (size_t)n : 0;
	if (sent == len)
		return;
	c->out = realloc(c->out, c->out_len + len - sent);
	memcpy(c->out + c->out_len, text + sent, len - sent);
	c->out_len += len - sent;
	flush_out(c);
}

static void
open_client(struct client *c)
{
	c->fd = dial(false);
	c->step = 0;
	c->len = 0;
	c->replies = 1;
	c->number = started++;
	c->began = now();
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };
	epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &e);
}

static void
close_client(struct client *c)
{
	close(c->fd);
	free(c->out);
	c->out = NULL;
	c->out_at = c->out_len = 0;
	c->fd = -1;
}

static void
finished_one(struct client *c)
{
	latency[done++] = now() - c->began;
}

/* The next step of an SMTP session; false: the connection is over. */
static bool
smtp_step(struct client *c)
{
	char line[256];
	int n = 0;
	c->replies = 1;
	switch (c->step++) {
	case 0: n = sprintf(line, "EHLO load.example.org\r\n"); break;
	case 1:
		if (keep) {
			n = sprintf(line, "MAIL FROM:<s%u@example.org>\r\nRCPT TO:<u%u@example.test>\r\nDATA\r\n", c->number,
			            c->number % mailboxes);
			c->replies = 3;
			c->step = 4;
			break;
		}
		n = sprintf(line, "MAIL FROM:<s%u@example.org>\r\n", c->number);
		break;
	case 2: n = sprintf(line, "RCPT TO:<u%u@example.test>\r\n", c->number % mailboxes); break;
	case 3: n = sprintf(line, "DATA\r\n"); break;
	case 4: say(c, message, message_len); return true;
	case 5:
		finished_one(c);
		if (keep && started < total) {
			c->number = started++;
			c->began = now();
			c->step = 1;
			return smtp_step(c);
		}
		n = sprintf(line, "QUIT\r\n");
		break;
	default: return false;
	}
	say(c, line, (size_t)n);
	return true;
}

/* "\0user\0password" in base64. */
static int
auth_plain(char *line)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned char plain[200] = { 0 };
	size_t len = 1 + (size_t)sprintf((char *)plain + 1, "%s", sender);
	len += 1 + (size_t)sprintf((char *)plain + len + 1, "%s", password);
	int n = sprintf(line, "AUTH PLAIN ");
	for (size_t i = 0; i < len; i += 3) {
		uint32_t v = (uint32_t)plain[i] << 16 | (uint32_t)plain[i + 1] << 8 | plain[i + 2];
		for (unsigned k = 0; k < 4; k++)
			line[n++] = i + k <= len ? digits[v >> (18 - 6 * k) & 63] : '=';
	}
	return n + sprintf(line + n, "\r\n");
}

static void
say_envelope(struct client *c)
{
	char *text = malloc(200 + 40 * (size_t)recipients);
	size_t n = (size_t)sprintf(text, "MAIL FROM:<%s>", sender);
	if (hold_sec)
		n += (size_t)sprintf(text + n, " HOLDFOR=%u", hold_sec);
	n += (size_t)sprintf(text + n, "\r\n");
	for (unsigned i = 0; i < recipients; i++)
		n += (size_t)sprintf(text + n, "RCPT TO:<u%u@d%u.test>\r\n", c->number * recipients + i,
		                     (c->number * recipients + i) % domains);
	n += (size_t)sprintf(text + n, "DATA\r\n");
	c->replies = recipients + 2;
	say(c, text, n);
	free(text);
}

static bool
submit_step(struct client *c)
{
	char line[512];
	c->replies = 1;
	switch (c->step++) {
	case 0: say(c, "EHLO load.example.org\r\n", 23); return true;
	case 1:
		if (strcmp(password, "-") != 0) {
			say(c, line, (size_t)auth_plain(line));
			return true;
		}
		c->step++;
		/* fall through */
	case 2: say_envelope(c); return true;
	case 3: say(c, message, message_len); return true;
	case 4:
		finished_one(c);
		if (started < total) {
			c->number = started++;
			c->began = now();
			c->step = 3;
			say_envelope(c);
			return true;
		}
		c->step = 5;
		say(c, "QUIT\r\n", 6);
		return true;
	default: return false;
	}
}

static bool
login_step(struct client *c)
{
	char line[256];
	int n = 0;
	c->replies = 1;
	switch (c->step++) {
	case 0: n = sprintf(line, "a LOGIN u%u@example.test %s\r\n", c->number % mailboxes, password); break;
	case 1: n = sprintf(line, "b LOGOUT\r\n"); break;
	case 2: finished_one(c); return false;
	default: return false;
	}
	say(c, line, (size_t)n);
	return true;
}

static bool
idle_step(struct client *c)
{
	char line[256];
	int n = 0;
	c->replies = 1;
	switch (c->step++) {
	case 0: n = sprintf(line, "a LOGIN u%u@example.test %s\r\n", c->number % mailboxes, password); break;
	case 1: n = sprintf(line, "b SELECT INBOX\r\n"); break;
	case 2: n = sprintf(line, "c IDLE\r\n"); break;
	case 3:
		finished_one(c);
		c->replies = 1000000;
		return true;
	default: return true;
	}
	say(c, line, (size_t)n);
	return true;
}

static bool (*step)(struct client *c);
static bool imap;

/* Does this line end a reply, and is it a good one? */
static bool
ends_reply(const char *line, size_t len, bool *good)
{
	if (imap) {
		*good = !(len > 3 && (memcmp(line + 2, "NO", 2) == 0 || memcmp(line + 2, "BAD", 3) == 0));
		return line[0] != '*'; /* tagged, or "+" */
	}
	*good = line[0] == '2' || line[0] == '3';
	return len < 4 || line[3] != '-';
}

static bool
read_lines(struct client *c)
{
	for (;;) {
		ssize_t n = read(c->fd, c->in + c->len, sizeof c->in - 1 - c->len);
		if (n < 0 && errno == EAGAIN)
			return true;
		if (n <= 0)
			return false;
		c->len += (size_t)n;
		c->in[c->len] = '\0';
		char *at = c->in, *end;
		while ((end = memchr(at, '\n', c->len - (size_t)(at - c->in)))) {
			bool good = true, greeting = imap && c->step == 0;
			*end = '\0';
			if (greeting || ends_reply(at, (size_t)(end - at), &good)) {
				if (!good) {
					if (failed++ < 5)
						fprintf(stderr, "load: step %d: %s\n", c->step, at);
					return false;
				}
				if (--c->replies == 0 && !step(c))
					return false;
			}
			at = end + 1;
		}
		c->len -= (size_t)(at - c->in);
		memmove(c->in, at, c->len);
		if (c->len == sizeof c->in - 1)
			c->len = 0; /* an endless untagged line is nothing we wait for */
	}
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void
report(const char *what, double seconds)
{
	qsort(latency, done, sizeof *latency, compare);
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	printf("%s done=%u failed=%u seconds=%.3f per_second=%.0f p50_ms=%.2f p99_ms=%.2f max_ms=%.2f client_cpu_ms=%.4f\n",
	       what, done, failed, seconds, done / seconds, done ? latency[done / 2] * 1e3 : 0,
	       done ? latency[(size_t)(done * 0.99)] * 1e3 : 0, done ? latency[done - 1] * 1e3 : 0,
	       ((double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 +
	        (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e3) /
	           (done ? done : 1));
	fflush(stdout);
}

static void
run_clients(const char *what, double hold)
{
	double began = now(), end = began + LIMIT_SEC;
	clients = calloc(sessions, sizeof *clients);
	latency = calloc(total + sessions, sizeof *latency);
	ep = epoll_create1(EPOLL_CLOEXEC);
	unsigned open = 0;
	for (unsigned i = 0; i < sessions && started < total; i++, open++)
		open_client(&clients[i]);
	while (open > 0 && now() < end) {
		struct epoll_event events[256];
		int n = epoll_wait(ep, events, 256, 1000);
		for (int i = 0; i < n; i++) {
			struct client *c = events[i].data.ptr;
			if (events[i].events & EPOLLOUT)
				flush_out(c);
			if (!(events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) || read_lines(c))
				continue;
			close_client(c);
			open--;
			if (started < total) {
				open_client(c);
				open++;
			}
		}
		if (hold > 0 && done == total) {
			report(what, now() - began);
			printf("holding\n");
			fflush(stdout);
			struct timespec t = { (time_t)hold, 0 };
			nanosleep(&t, NULL);
			return;
		}
	}
	report(what, now() - began);
}

/* POP3 with a window of requests ahead; blocking socket, large reads. */
static void
await_line_pop3(FILE *in, char *line, size_t room)
{
	if (!fgets(line, (int)room, in) || line[0] != '+') {
		fprintf(stderr, "load: %s", line);
		exit(2);
	}
}

static void
run_pop3(const char *user, unsigned window)
{
	char line[1024], *batch = malloc(window * 32 + 64);
	int fd = dial(true);
	FILE *in = fdopen(fd, "r");
	setvbuf(in, malloc(1 << 18), _IOFBF, 1 << 18);
	await_line_pop3(in, line, sizeof line);
	dprintf(fd, "USER %s\r\n", user);
	await_line_pop3(in, line, sizeof line);
	dprintf(fd, "PASS %s\r\n", password);
	await_line_pop3(in, line, sizeof line);
	dprintf(fd, "STAT\r\n");
	await_line_pop3(in, line, sizeof line);
	unsigned count = (unsigned)strtoul(line + 4, NULL, 10), asked = 0, ended = 0;
	uint64_t bytes = 0;
	double began = now();
	while (ended < count && now() - began < LIMIT_SEC) {
		size_t n = 0;
		for (; asked < count && asked - ended < window; asked++)
			n += (size_t)sprintf(batch + n, "RETR %u\r\n", asked + 1);
		if (n && write(fd, batch, n) != (ssize_t)n)
			exit(2);
		/* Half a window is read before more is asked, so that both sides have work. */
		for (unsigned part = window > 1 ? window / 2 : 1; part > 0 && ended < asked; part--, ended++) {
			await_line_pop3(in, line, sizeof line);
			while (fgets(line, sizeof line, in) && !(line[0] == '.' && line[1] == '\r'))
				bytes += strlen(line);
		}
	}
	double seconds = now() - began;
	printf("pop3 window=%u done=%u seconds=%.3f per_second=%.0f megabytes_per_second=%.0f\n", window, ended, seconds,
	       ended / seconds, (double)bytes / seconds / 1e6);
	dprintf(fd, "QUIT\r\n");
	fclose(in);
}

static unsigned
number(const char *text)
{
	return (unsigned)strtoul(text, NULL, 10);
}

int
main(int argc, char **argv)
{
	if (argc >= 8 && strcmp(argv[1], "smtp") == 0) {
		port = (int)number(argv[2]);
		sessions = number(argv[3]);
		total = number(argv[4]);
		make_message(number(argv[5]));
		mailboxes = number(argv[6]);
		keep = strcmp(argv[7], "keep") == 0;
		step = smtp_step;
		run_clients(keep ? "smtp-keep" : "smtp-new", 0);
	} else if (argc >= 11 && strcmp(argv[1], "submit") == 0) {
		port = (int)number(argv[2]);
		sessions = number(argv[3]);
		total = number(argv[4]);
		recipients = number(argv[6]);
		domains = number(argv[7]);
		sender = argv[8];
		password = argv[9];
		hold_sec = number(argv[10]);
		make_message(number(argv[5]));
		step = submit_step;
		run_clients("submit", 0);
	} else if (argc >= 6 && strcmp(argv[1], "pop3") == 0) {
		port = (int)number(argv[2]);
		password = argv[4];
		run_pop3(argv[3], number(argv[5]));
	} else if (argc >= 7 && strcmp(argv[1], "login") == 0) {
		port = (int)number(argv[2]);
		total = number(argv[3]);
		sessions = number(argv[4]);
		mailboxes = number(argv[5]);
		password = argv[6];
		imap = true;
		step = login_step;
		run_clients("login", 0);
	} else if (argc >= 7 && strcmp(argv[1], "idle") == 0) {
		port = (int)number(argv[2]);
		total = sessions = number(argv[3]);
		mailboxes = number(argv[4]);
		password = argv[5];
		imap = true;
		step = idle_step;
		run_clients("idle", number(argv[6]));
	} else {
		fprintf(stderr, "usage: see the top of bench/load.c\n");
		return 2;
	}
	return failed > 0;
}
