# SPDX-License-Identifier: Apache-2.0
"""OBJECTID (RFC 8474): names of mailboxes and of contents that never change."""
import re

from imap_dialog import NESTED, PLAIN


def mailbox_id(reply):
    return re.search(rb"MAILBOXID \(([A-Za-z0-9_-]+)\)", b" ".join(reply.untagged) + reply.text.encode())[1]


def email_ids(inbox, messages="1:*"):
    return [re.search(rb"EMAILID \(([A-Za-z0-9_-]+)\)", got)[1].decode() for got in inbox.fetch(f"FETCH {messages} (EMAILID)").values()]


def found(r):
    return [int(n) for n in r.of(rb"^\* SEARCH")[0].split()[2:]]


def test_mailboxes_keep_their_identifier(inbox):
    first = mailbox_id(inbox.ok("CREATE one"))
    other = mailbox_id(inbox.ok("CREATE two"))
    assert first != other
    assert mailbox_id(inbox.ok("STATUS one (MESSAGES MAILBOXID)")) == first
    inbox.ok("RENAME one three")
    assert mailbox_id(inbox.ok("SELECT three")) == mailbox_id(inbox.ok("EXAMINE three")) == first
    assert mailbox_id(inbox.ok("CREATE one")) not in (first, other)
    inbox.ok("DELETE two")
    assert mailbox_id(inbox.ok("CREATE two")) not in (first, other)
    listed = inbox.ok('LIST "" three RETURN (STATUS (MAILBOXID))')
    assert listed.of(rb'^\* STATUS "three" \(MAILBOXID \(' + first + rb"\)\)$")


def test_inbox_gets_another_one(inbox):
    before = mailbox_id(inbox.ok("STATUS INBOX (MAILBOXID)"))
    inbox.append(PLAIN)
    inbox.ok("RENAME INBOX old")
    assert mailbox_id(inbox.ok("STATUS INBOX (MAILBOXID)")) != mailbox_id(inbox.ok("STATUS old (MAILBOXID)"))
    assert before in (mailbox_id(inbox.ok("STATUS INBOX (MAILBOXID)")), mailbox_id(inbox.ok("STATUS old (MAILBOXID)")))


def test_copies_have_one_content(inbox):
    for message in (PLAIN, NESTED, PLAIN):
        inbox.append(message)
    inbox.ok("NOOP")
    ids = email_ids(inbox)
    assert len(set(ids)) == 3
    inbox.ok("COPY 1:2 Archive")
    inbox.ok("MOVE 3 Archive")
    inbox.ok("SELECT Archive")
    assert email_ids(inbox) == ids
    assert b"THREADID NIL" in inbox.fetch("FETCH 1 (EMAILID THREADID)")[1]
    assert inbox.fetch("FETCH 2 EMAILID")[2] == b"* 2 FETCH (EMAILID (%s))" % ids[1].encode()


def test_search(inbox):
    for message in (PLAIN, NESTED, PLAIN):
        inbox.append(message)
    inbox.ok("NOOP")
    ids = email_ids(inbox)
    assert found(inbox.ok(f"SEARCH EMAILID {ids[1]}")) == [2]
    assert found(inbox.ok(f"SEARCH OR EMAILID {ids[0]} EMAILID {ids[2]}")) == [1, 3]
    assert found(inbox.ok(f"SEARCH NOT EMAILID {ids[0]}")) == [2, 3]
    assert found(inbox.ok(f"SEARCH EMAILID {ids[0].lower()}")) == found(inbox.ok("SEARCH EMAILID Mffffffffffffffff")) == []
    assert found(inbox.ok("SEARCH EMAILID nothing-of_ours")) == found(inbox.ok("SEARCH THREADID T1")) == []
    assert found(inbox.ok("SEARCH NOT THREADID T1")) == [1, 2, 3]
    for bad in ("SEARCH EMAILID", "SEARCH EMAILID a+b", "SEARCH EMAILID " + "a" * 256, 'SEARCH EMAILID "M1"', "SEARCH THREADID"):
        assert inbox.do(bad).status == "BAD", bad
