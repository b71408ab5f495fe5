/* SPDX-License-Identifier: Apache-2.0 */
/* keys.h - the layout of the store's keys: the one place that knows it. Numbers in keys are big endian, so that they
 * sort by value.
 *
 * kind  key                      value (records of store/record.h, little endian, versioned)
 *  'h'  h                        head: format version, and what the engine's side keeps (object.c)
 *  'h'  h name                   single rows: "format" (format.h), "grant" the key of grants, "verp" of return
 *                                paths; "accounts", "queue":
 *                                next id and how many
 *  'd'  d domain                 domain
 *  'a'  a domain NUL local       address -> account id, or alias: list of targets ("*" as local: catch-all)
 *  'A'  A account                account: address, hash, status, generation, rights, quota, created
 *  'S'  S account                SCRAM keys of its password, as auth made them
 *  'H'  H account                accounts with administrator's rights (empty value)
 *  'c'  c account                counters: modseq, bytes, messages, next mailbox id; written with every change
 *  'n'  n account name           mailbox name -> mailbox id (0: subscribed or parent only), attributes
 *  'm'  m account mailbox        mailbox: name, uidvalidity, uidnext, modseq, counts, recent
 *  'u'  u account mailbox uid    message: object, flags, modseq, keyword set, bytes, received, saved
 *  'v'  v account mailbox modseq chunk
 *                                the rows 'u' of a large mailbox, packed, as they were at that modseq (packed.c)
 *  'v'  v account mailbox 0      which modseq that is
 *  'l'  l account mailbox modseq uid
 *                                change log: what happened to uid, and to others with the same modseq (changed,
 *                                vanished); additions are not logged: they
 *                                are the rows at the end whose modseq is greater
 *  'k'  k account mailbox id     keyword set -> names
 *  'K'  K account mailbox names  names in lower case -> keyword set
 *  'e'  e account mailbox uid    a message has annotations: how many bytes
 *  'e'  e account mailbox uid user entry
 *                                annotation of a message: its value, or that it went; user 0: shared
 *  'E'  E account mailbox uid    the message is gone: its rows 'e' are still to be removed
 *  'x'  x account mailbox user entry
 *                                annotation: its value; mailbox 0: of the server; user 0: shared (account 0, too, when
 *                                it is of the server)
 *  'r'  r account mailbox        rights of others on the mailbox: a list of accounts (0: anyone) and what they may
 *  'g'  g grantee account mailbox
 *                                who is named in which of them (empty value): leads from an account to those that share
 *  'R'  R account                the server that the account moved to: whether it is still open here (1 byte), URL
 *  'R'  R account name           the URL of a mailbox that is on another server
 *  'P'  P domain NUL name        public name (lower case) -> account
 *  'p'  p account                its public name as it is shown
 *  'Y'  Y account                rules of its maildrop: when fetched messages go, what is shown, imported UIDLs
 *  'y'  y account mailbox uid    what POP3 knows of a message: its imported UIDL, when it was fetched first
 *  'U'  U account mailbox user   key of URLs that user let sign for it (urlauth.c); mailbox 0: of all that he let sign
 *  'D'  D account mailbox        rows that are still to be removed: of one mailbox, or (mailbox 0) of the whole account
 *  'o'  o object                 object: place of the body, references
 *  'f'  f object                 facts
 *  'T'  T object                 text for search, packed (mail/search_text.h)
 *  'i'  i account mailbox        how far the texts of a mailbox are kept, and packed (texts.c)
 *  'z'  z account mailbox uid    pack of texts up to this uid: first uid, object that holds it, messages (packs.c)
 *  's'  s segment                segment: state, end, bytes alive
 *  'q'  q row                    queue row: everything relay needs
 *  'Q'  Q slot row               the queue in order of time, in bands (row_queue_slot of record.h; empty value)
 *  'w'  w kind NUL name          memo: until when (8 bytes), the value
 *  'W'  W until kind NUL name    memos in the order in which they go (empty value)
 *  't'  t hour id                answers of commits, by the hour, for asking again
 *
 * The account is the part of A S c n m u v l k K e E x r R p Y y U D i z, the grantee that of g; object (o f T),
 * segment and queue rows have parts of their own. */
#ifndef STORE_KEYS_H
#define STORE_KEYS_H

#include "base/buf.h"

#define KEY_BYTES_MAX 1400 /* kind, account and a mailbox name at its longest */

struct key {
	size_t len;
	char bytes[KEY_BYTES_MAX];
};

/* Builds a key piece by piece: key_begin(&k, 'u'); key_u64(&k, account); key_u64(&k, mailbox); key_u32(&k, uid); */
void key_begin(struct key *k, char kind);
void key_u64(struct key *k, uint64_t v);
void key_u32(struct key *k, uint32_t v);
void key_bytes(struct key *k, struct slice s); /* only as the last piece, or followed by key_nul when s has no NUL */
void key_nul(struct key *k);
struct slice key_slice(const struct key *k);
/* The first key after all that begin with k: the end of a range. */
void key_after_prefix(struct key *k);

struct key key1(char kind, uint64_t a);
struct key key2(char kind, uint64_t a, uint64_t b);
struct key key_message(uint64_t account, uint64_t mailbox, uint32_t uid);

#endif
