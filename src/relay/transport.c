/* SPDX-License-Identifier: Apache-2.0 */
/* transport.c - see transport.h. A file that cannot be read is logged, and what needs it waits: other mail goes on. */
#include "relay/transport.h"

#include "base/log.h"
#include "base/random.h"
#include "relay/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

struct transport *
transport_new(struct relay *r)
{
	struct transport *t = must_calloc(1, sizeof *t);
	t->relay = r;
	return t;
}

void
transport_free(struct transport **t)
{
	for (size_t i = 0; i < (*t)->nsecrets; i++) {
		secret_wipe((char *)(*t)->secrets[i].text.at, (*t)->secrets[i].text.len);
		free((char *)(*t)->secrets[i].text.at);
		free((char *)(*t)->secrets[i].path);
	}
	free((*t)->secrets);
	size_t at = 0;
	uint64_t key;
	void *fetch;
	while (map_each(&(*t)->fetches, &at, &key, &fetch))
		free(fetch);
	map_release(&(*t)->fetches);
	tls_context_free(&(*t)->trusting);
	free(*t);
	*t = NULL;
}

/* The whole file, at most max bytes, on the heap. */
static enum err
file_read(const char *path, size_t max, struct slice *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_from_errno(errno);
	char *bytes = must_calloc(1, max + 1);
	size_t n = 0;
	ssize_t got;
	while (n <= max && (got = read(fd, bytes + n, max + 1 - n)) > 0)
		n += (size_t)got;
	close(fd);
	*out = slice_of(bytes, n);
	if (n <= max)
		return OK;
	free(bytes);
	return ERR_LIMIT;
}

static void
log_file(const char *path, enum err e, const char *next)
{
	struct log l;
	log_begin(&l, LOG_WARN, "relay.file");
	log_text(&l, "path", path);
	log_err(&l, e);
	log_text(&l, "next", next);
	log_end(&l);
}

static void
roots_read(struct transport *t, const char *path)
{
	struct slice pem;
	enum err e = file_read(path, CA_BYTES_MAX, &pem);
	if (e == OK) {
		t->trusting = tls_client_context_trusting(pem);
		free((char *)pem.at);
		e = t->trusting ? OK : ERR_SYNTAX;
	}
	if (e)
		log_file(path, e, "no certificate of a remote server can be verified by trusted roots");
}

static void
secrets_read(struct transport *t, const struct conf *conf)
{
	t->secrets = must_calloc(conf->nroutes + 1, sizeof *t->secrets);
	for (size_t i = 0; i < conf->nroutes; i++) {
		const char *path = conf->routes[i].auth;
		struct slice text;
		enum err e = path ? file_read(path, SECRET_BYTES_MAX, &text) : OK;
		if (e)
			log_file(path, e,
			         "mail of this route waits until the server is started again with a file that can be read");
		else if (path)
			t->secrets[t->nsecrets++] = (struct secret){ slice_dup(slice_text(path)), text };
	}
}

enum err
transport_before_box(void *relay, const char **why)
{
	struct relay *r = relay;
	(void)why;
	roots_read(r->transport, r->conf->v.relay_ca_file);
	secrets_read(r->transport, r->conf);
	return OK;
}

bool
transport_secret(const struct transport *t, const char *path, struct slice *user, struct slice *password)
{
	for (size_t i = 0; i < t->nsecrets; i++) {
		if (strcmp(t->secrets[i].path, path) != 0)
			continue;
		struct slice line, rest;
		slice_cut(t->secrets[i].text, '\n', &line, &rest);
		return slice_cut(slice_trim(line), ' ', user, password) && user->len > 0 && password->len > 0;
	}
	return false;
}
