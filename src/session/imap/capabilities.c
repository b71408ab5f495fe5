/* SPDX-License-Identifier: Apache-2.0 */
/* capabilities.c - what this server says it can do, by state (RFC 3501 7.2.1). */
#include "session/imap/imap.h"

#include "session/sasl.h"

enum need {
	NEEDS_NOTHING,
	NEEDS_STARTTLS, /* TLS can be begun here */
	NEEDS_INSECURE,
};

/* clang-format off: a row is a line, and its comment does not move others */
static const struct {
	struct slice word;
	uint32_t states;
	enum need need;
} capabilities[] = {
	{ S_ROW("IMAP4rev1"), IMAP_ANY, NEEDS_NOTHING },                            /* RFC 3501 */
	{ S_ROW("IMAP4rev2"), IMAP_ANY, NEEDS_NOTHING },                            /* RFC 9051 */
	{ S_ROW("LITERAL+"), IMAP_ANY, NEEDS_NOTHING },                             /* RFC 7888 */
	{ S_ROW("ID"), IMAP_ANY, NEEDS_NOTHING },                                   /* RFC 2971 */
	{ S_ROW("ENABLE"), IMAP_ANY, NEEDS_NOTHING },                               /* RFC 5161 */
	{ S_ROW("SASL-IR"), IMAP_NOT_AUTHENTICATED, NEEDS_NOTHING },                /* RFC 4959 */
	{ S_ROW("STARTTLS"), IMAP_NOT_AUTHENTICATED, NEEDS_STARTTLS },              /* RFC 3501 6.2.1 */
	{ S_ROW("LOGINDISABLED"), IMAP_NOT_AUTHENTICATED, NEEDS_INSECURE },         /* RFC 3501 6.2.3 */
	{ S_ROW("IDLE"), IMAP_ANY, NEEDS_NOTHING },                                 /* RFC 2177 */
	{ S_ROW("NAMESPACE"), IMAP_LOGGED_IN, NEEDS_NOTHING },                      /* RFC 2342 */
	{ S_ROW("ACL RIGHTS=texkn"), IMAP_LOGGED_IN, NEEDS_NOTHING },               /* RFC 4314, RFC 5257 */
	{ S_ROW("LIST-MYRIGHTS"), IMAP_LOGGED_IN, NEEDS_NOTHING },                  /* RFC 8440 */
	{ S_ROW("CHILDREN"), IMAP_LOGGED_IN, NEEDS_NOTHING },                       /* RFC 3348 */
	{ S_ROW("UNSELECT"), IMAP_LOGGED_IN, NEEDS_NOTHING },                       /* RFC 3691 */
	{ S_ROW("UIDPLUS"), IMAP_LOGGED_IN, NEEDS_NOTHING },                        /* RFC 4315 */
	{ S_ROW("SPECIAL-USE CREATE-SPECIAL-USE"), IMAP_LOGGED_IN, NEEDS_NOTHING }, /* RFC 6154 */
	{ S_ROW("MOVE"), IMAP_LOGGED_IN, NEEDS_NOTHING },                           /* RFC 6851 */
	{ S_ROW("CONDSTORE QRESYNC"), IMAP_LOGGED_IN, NEEDS_NOTHING },              /* RFC 7162 */
	{ S_ROW("ESEARCH"), IMAP_LOGGED_IN, NEEDS_NOTHING },                        /* RFC 4731 */
	{ S_ROW("SEARCHRES"), IMAP_LOGGED_IN, NEEDS_NOTHING },                      /* RFC 5182 */
	{ S_ROW("SEARCH=FUZZY"), IMAP_LOGGED_IN, NEEDS_NOTHING },                   /* RFC 6203 */
	{ S_ROW("WITHIN"), IMAP_LOGGED_IN, NEEDS_NOTHING },                         /* RFC 5032 */
	{ S_ROW("SORT SORT=DISPLAY ESORT"), IMAP_LOGGED_IN, NEEDS_NOTHING },        /* RFC 5256, RFC 5957, RFC 5267 */
	{ S_ROW("THREAD=ORDEREDSUBJECT THREAD=REFERENCES THREAD=REFS"), IMAP_LOGGED_IN, NEEDS_NOTHING }, /* RFC 5256 */
	{ S_ROW("SAVEDATE"), IMAP_LOGGED_IN, NEEDS_NOTHING },                                            /* RFC 8514 */
	{ S_ROW("PREVIEW"), IMAP_LOGGED_IN, NEEDS_NOTHING },                                             /* RFC 8970 */
	{ S_ROW("QUOTA QUOTASET QUOTA=RES-STORAGE QUOTA=RES-MESSAGE QUOTA=RES-MAILBOX QUOTA=RES-ANNOTATION-STORAGE"),
	  IMAP_LOGGED_IN, NEEDS_NOTHING },                                                  /* RFC 9208 */
	{ S_ROW("METADATA METADATA-SERVER LIST-METADATA"), IMAP_LOGGED_IN, NEEDS_NOTHING }, /* RFC 5464, RFC 9590 */
	{ S_ROW("ANNOTATE-EXPERIMENT-1"), IMAP_LOGGED_IN, NEEDS_NOTHING },                  /* RFC 5257 */
	{ S_ROW("FILTERS"), IMAP_LOGGED_IN, NEEDS_NOTHING },                                /* RFC 5466 */
	{ S_ROW("UNAUTHENTICATE"), IMAP_LOGGED_IN, NEEDS_NOTHING },                         /* RFC 8437 */
	{ S_ROW("LIST-EXTENDED LIST-STATUS"), IMAP_LOGGED_IN, NEEDS_NOTHING },              /* RFC 5258, RFC 5819 */
	{ S_ROW("UIDBATCHES"), IMAP_LOGGED_IN, NEEDS_NOTHING },                             /* RFC 10022 */
	{ S_ROW("INPROGRESS"), IMAP_LOGGED_IN, NEEDS_NOTHING },                             /* RFC 9585 */
	{ S_ROW("STATUS=SIZE"), IMAP_LOGGED_IN, NEEDS_NOTHING },                            /* RFC 8438 */
	{ S_ROW("OBJECTID"), IMAP_LOGGED_IN, NEEDS_NOTHING },                               /* RFC 8474 */
	{ S_ROW("BINARY"), IMAP_LOGGED_IN, NEEDS_NOTHING },                                 /* RFC 3516 */
	{ S_ROW("UIDONLY"), IMAP_LOGGED_IN, NEEDS_NOTHING },                                /* RFC 9586 */
	{ S_ROW("I18NLEVEL=1 I18NLEVEL=2"), IMAP_LOGGED_IN, NEEDS_NOTHING },                /* RFC 5255 */
	{ S_ROW("LANGUAGE"), IMAP_ANY, NEEDS_NOTHING },                                     /* RFC 5255 */
	{ S_ROW("UTF8=ACCEPT"), IMAP_LOGGED_IN, NEEDS_NOTHING },                            /* RFC 6855 */
	{ S_ROW("CONTEXT=SEARCH CONTEXT=SORT"), IMAP_LOGGED_IN, NEEDS_NOTHING },            /* RFC 5267 */
	{ S_ROW("LOGIN-REFERRALS"), IMAP_ANY, NEEDS_NOTHING },                              /* RFC 2221 */
	{ S_ROW("MAILBOX-REFERRALS"), IMAP_LOGGED_IN, NEEDS_NOTHING },                      /* RFC 2193 */
	{ S_ROW("MULTISEARCH"), IMAP_LOGGED_IN, NEEDS_NOTHING },                            /* RFC 7377 */
	{ S_ROW("NOTIFY"), IMAP_LOGGED_IN, NEEDS_NOTHING },                                 /* RFC 5465 */
	{ S_ROW("PARTIAL"), IMAP_LOGGED_IN, NEEDS_NOTHING },                                /* RFC 9394 */
	{ S_ROW("MULTIAPPEND CATENATE REPLACE"), IMAP_LOGGED_IN, NEEDS_NOTHING },       /* RFC 3502, RFC 4469, RFC 8508 */
	{ S_ROW("URLAUTH URLAUTH=BINARY URL-PARTIAL"), IMAP_LOGGED_IN, NEEDS_NOTHING }, /* RFC 4467, RFC 5524, RFC 5550 */
	{ S_ROW("COMPRESS=DEFLATE"), IMAP_LOGGED_IN, NEEDS_NOTHING },                   /* RFC 4978 */
};
/* clang-format on */

static bool
is_met(const struct imap *im, enum need need)
{
	switch (need) {
	case NEEDS_STARTTLS: return conn_can_starttls(im->c);
	case NEEDS_INSECURE: return !im->c->secure;
	default: return true;
	}
}

void
imap_put_capabilities(const struct imap *im, struct buf *to)
{
	size_t start = to->len;
	for (size_t i = 0; i < COUNT_OF(capabilities); i++) {
		if (!(capabilities[i].states & im->state) || !is_met(im, capabilities[i].need))
			continue;
		if (to->len > start)
			buf_put_char(to, ' ');
		buf_put(to, capabilities[i].word);
	}
	if ((im->state & IMAP_NOT_AUTHENTICATED) && im->c->secure) {
		buf_put_char(to, ' ');
		sasl_put_mechanisms(im->c, S("AUTH="), to);
	}
	if (im->state & IMAP_LOGGED_IN)
		imap_put_limit_capability(im, to);
	if (im->state & IMAP_LOGGED_IN) /* RFC 7889 3.1: of every mailbox */
		buf_printf(to, " APPENDLIMIT=%llu", (unsigned long long)im->c->conf->v.message_bytes_max);
}
