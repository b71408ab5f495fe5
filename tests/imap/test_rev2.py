# SPDX-License-Identifier: Apache-2.0
"""IMAP4rev2 (RFC 9051) where it differs from IMAP4rev1: ENABLE decides."""
import re

import pytest
from imap_dialog import NESTED, PLAIN


@pytest.fixture
def rev2(connect, account):
    """A client of a fresh account that enabled IMAP4rev2; .user is its address."""
    c = connect(account)
    c.user = account
    assert c.ok("ENABLE IMAP4rev2").untagged == [b"* ENABLED IMAP4rev2"]
    return c


def test_capability_does_not_change(rev2, connect, server):
    """RFC 9051 6.3.1"""
    fresh = connect(rev2.user)
    assert b" IMAP4rev2 " in fresh.ok("CAPABILITY").untagged[0]
    assert fresh.ok("CAPABILITY").untagged == rev2.ok("CAPABILITY").untagged
    assert b"IMAP4rev1 IMAP4rev2" in connect().greeting


def test_enable_is_additive_and_ignores_the_unknown(connect, account):
    c = connect(account)
    assert c.ok("ENABLE X-GOOD-IDEA IDLE").untagged == [b"* ENABLED"]
    assert c.ok("ENABLE CONDSTORE imap4REV2").untagged[0] == b"* ENABLED CONDSTORE IMAP4rev2"
    assert c.do("ENABLE").status == "BAD"


def test_select_answers_with_list_and_without_recent(rev2):
    rev2.append(PLAIN)
    r = rev2.ok("SELECT inbox")
    assert r.of(rb"^\* LIST \([^)]*\) \"/\" \"INBOX\" \(\"OLDNAME\" \(\"inbox\"\)\)$")
    assert not r.of(rb"RECENT|UNSEEN")
    assert r.of(rb"^\* FLAGS ") and r.of(rb"\[PERMANENTFLAGS ") and r.of(rb"\[UIDNEXT 2\]") and r.of(rb"\[UIDVALIDITY ")
    r = rev2.ok("EXAMINE INBOX")
    assert r.of(rb"^\* OK \[CLOSED\]") and r.of(rb"^\* LIST \([^)]*\) \"/\" \"INBOX\"$")
    assert r.text.startswith("[READ-ONLY]")


def test_list_of_select_is_accurate(rev2):
    rev2.ok("CREATE a/b")
    rev2.ok("SUBSCRIBE a")
    (listed,) = rev2.ok("SELECT a").of(rb"^\* LIST ")
    assert b"\\HasChildren" in listed and b"\\Subscribed" in listed
    (listed,) = rev2.ok("SELECT a/b").of(rb"^\* LIST ")
    assert b"\\HasNoChildren" in listed and b"\\Subscribed" not in listed


def test_no_recent_anywhere(rev2, connect):
    rev2.ok("SELECT INBOX")
    other = connect(rev2.user)
    other.append(PLAIN)
    r = rev2.ok("NOOP")
    assert b"* 1 EXISTS" in r.untagged and not r.of(b"RECENT|Recent")
    assert rev2.fetch("FETCH 1 FLAGS")[1] == b"* 1 FETCH (FLAGS ())"
    # a client of IMAP4rev1 beside it still hears of both
    assert other.ok("SELECT INBOX").of(rb"^\* \d+ RECENT")
    assert rev2.ok("STATUS INBOX (RECENT)").of(rb"RECENT \d")


def test_search_answers_with_esearch(rev2):
    for _ in range(3):
        rev2.append(PLAIN)
    rev2.ok("SELECT INBOX")
    assert re.fullmatch(rb'\* ESEARCH \(TAG "t\d+"\) ALL 1:3', rev2.ok("SEARCH ALL").untagged[0])
    assert re.fullmatch(rb'\* ESEARCH \(TAG "t\d+"\) UID ALL 2', rev2.ok("UID SEARCH 2").untagged[0])
    assert re.fullmatch(rb'\* ESEARCH \(TAG "t\d+"\)', rev2.ok("SEARCH DELETED").untagged[0])
    assert re.fullmatch(rb'\* ESEARCH \(TAG "t\d+"\) MIN 1 COUNT 3', rev2.ok("SEARCH RETURN (MIN COUNT) ALL").untagged[0])
    assert rev2.ok("SEARCH RETURN (SAVE) 2:3").untagged == []
    assert sorted(rev2.fetch("FETCH $ UID")) == [2, 3]
    assert rev2.do("SEARCH RETURN (X) ALL").status == "BAD"
    assert rev2.do("SEARCH CHARSET X-NO-SUCH ALL").text.startswith("[BADCHARSET")
    assert rev2.ok("SEARCH CHARSET UTF-8 SUBJECT hello").of(b"ALL 1:3")


def test_unsolicited_fetch_has_the_uid(rev2, connect):
    """RFC 9051 7.5.2"""
    rev2.append(PLAIN)
    rev2.ok("SELECT INBOX")
    other = connect(rev2.user)
    other.ok("SELECT INBOX")
    other.ok("STORE 1 +FLAGS (\\Flagged)")
    assert rev2.ok("NOOP").untagged == [b"* 1 FETCH (UID 1 FLAGS (\\Flagged))"]
    other.ok("STORE 1 -FLAGS (\\Flagged)")
    assert b"* 1 FETCH (UID 1 FLAGS ())" in rev2.ok("FETCH 1 ENVELOPE").untagged


def test_status_deleted_and_size(rev2):
    rev2.append(PLAIN)
    rev2.append(PLAIN, more="(\\Deleted) ")
    (got,) = rev2.ok("STATUS INBOX (MESSAGES DELETED SIZE)").untagged
    assert set(re.findall(rb"[A-Z]+ \d+", got)) == {b"MESSAGES 2", b"DELETED 1", b"SIZE %d" % (2 * len(PLAIN))}
    rev2.ok("SELECT INBOX")
    assert rev2.ok("STATUS INBOX (DELETED)").of(b"DELETED 1")
    rev2.ok("EXPUNGE")
    assert rev2.ok("STATUS INBOX (DELETED)").of(b"DELETED 0")


def test_names_in_utf8(rev2, connect):
    rev2.ok('CREATE "Entwürfe & mehr/Ω"')
    old = connect(rev2.user)
    assert old.ok('LIST "" Entw*').of(rb'"Entw&APw-rfe &- mehr/&A6k-"')
    assert rev2.ok('LIST "" "Entwürf*"').of('"Entwürfe & mehr/Ω"'.encode())
    assert rev2.ok('STATUS "Entwürfe & mehr" (MESSAGES)').untagged == ['* STATUS "Entwürfe & mehr" (MESSAGES 0)'.encode()]
    assert old.ok('STATUS "Entw&APw-rfe &- mehr" (MESSAGES)').of(rb'"Entw&APw-rfe &- mehr"')
    rev2.ok("SELECT {%d+}\r\nEntwürfe & mehr" % len("Entwürfe & mehr".encode()))
    assert rev2.do('SELECT "Entw&APw-rfe &- mehr"').text.startswith("[NONEXISTENT]")
    r = rev2.do('RENAME "Entwürfe & mehr" "Größe"')
    assert r.status == "OK" and rev2.ok('LIST "" *').of('"Größe/Ω"'.encode())


def test_what_is_no_utf8_is_bad(rev2):
    assert rev2.do(b'SELECT "\xfc"').status == "BAD"
    assert rev2.do(b"SELECT {1+}\r\n\xfc").status == "NO"
    tag = rev2.start(b'SELECT "\xff" {5+}\r\nx\r\ny ')
    assert rev2.wait(tag).status == "BAD"
    assert rev2.do(b'APPEND "\xff" {7+}\r\nx: y\r\n\r\n').status == "BAD"
    rev2.ok("NOOP")


def test_names_are_net_unicode(rev2, connect):
    """RFC 9051 5.1, 6.3.4: a name in another form is the same name, and the client hears which"""
    decomposed, composed = "Mu\u0308ll", "M\u00fcll"
    r = rev2.ok(f'CREATE "{decomposed}"')
    assert r.of(f'^\\* LIST \\([^)]*\\) "/" "{composed}" \\("OLDNAME" \\("{decomposed}"\\)\\)$'.encode())
    assert rev2.do(f'CREATE "{composed}"').text.startswith("[ALREADYEXISTS]")
    for command in (f'SELECT "{decomposed}"', f'STATUS "{decomposed}" (MESSAGES)', f'SUBSCRIBE "{decomposed}"'):
        rev2.ok(command)
    assert rev2.ok(f'LIST "" "{decomposed}"').of(f'"{composed}"$'.encode())
    r = rev2.ok(f'RENAME "{decomposed}" "No\u0308"')
    assert r.of(f'"/" "N\u00f6" \\("OLDNAME" \\("{decomposed}"\\)\\)$'.encode())
    r = rev2.ok('DELETE "No\u0308"')
    assert r.of(rb'^\* LIST \(\\NonExistent\) "/" "N\xc3\xb6" \("OLDNAME" \("No\xcc\x88"\)\)$')
    assert not rev2.ok('CREATE "N\u00f6"').of(b"LIST")
    assert not connect(rev2.user).ok("CREATE inbox/x").of(b"LIST")
    assert rev2.ok("DELETE inbox/x").of(b'"INBOX/x"')
    for bad in ("a\u2028b", "a\u2029b", "a\u0085b", "a\x7fb"):
        assert rev2.do(f'CREATE "{bad}"').text.startswith("[CANNOT]"), bad


def test_the_selected_mailbox_may_be_renamed(rev2):
    rev2.ok("CREATE a/b")
    rev2.ok("SELECT a/b")
    rev2.ok("RENAME a c")
    rev2.append(PLAIN, mailbox="c/b")
    assert b"* 1 EXISTS" in rev2.ok("NOOP").untagged or rev2.fetch("FETCH 1 UID")
    rev2.ok("DELETE c/b")
    assert rev2.do("FETCH 1 UID").status == "BAD"


def test_delete_of_a_name_with_children(rev2):
    rev2.ok("CREATE foo/bar")
    rev2.ok("DELETE foo")
    assert rev2.do("DELETE foo").text.startswith("[HASCHILDREN]")
    assert rev2.ok('LIST "" foo*').of(rb'"foo/bar"')
    rev2.ok("DELETE foo/bar")


def test_keywords_of_rfc_9051(rev2):
    """RFC 9051 2.3.2"""
    words = rb"$Forwarded $MDNSent $Junk $NotJunk $Phishing"
    rev2.append(PLAIN)
    r = rev2.ok("SELECT INBOX")
    assert rb"\*" in r.of(b"PERMANENTFLAGS")[0]
    rev2.ok(b"STORE 1 +FLAGS (" + words + b")")
    kept = re.search(rb"FLAGS \(([^)]*)\)", rev2.fetch("FETCH 1 FLAGS")[1])[1]
    assert set(kept.split()) == set(words.split())
    for w in words.decode().split():
        assert rev2.ok(f"SEARCH KEYWORD {w}").of(b"ALL 1")
        assert not rev2.ok(f"SEARCH UNKEYWORD {w}").of(b"ALL")


def test_structures_of_utf8_messages(rev2):
    rev2.append(NESTED)
    rev2.ok("SELECT INBOX")
    assert b"ENVELOPE" in rev2.fetch("FETCH 1 FULL")[1]
