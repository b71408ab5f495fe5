# SPDX-License-Identifier: Apache-2.0
"""MESSAGELIMIT and SAVELIMIT (RFC 9738): one command works on the last messages of too many, and says so."""
import re

import pytest
from imap_dialog import Client

N = 1300
FIRST = N - 1000 + 1  # the lowest one of the last thousand


def fill(c, n):
    """n messages, the one with number i with subject s<i>; as many commands as it takes."""
    for start in range(1, n + 1, 650):
        texts = [b"Subject: s%d\r\n\r\n" % i for i in range(start, min(start + 650, n + 1))]
        c.ok(b"APPEND INBOX " + b" ".join(b"{%d+}\r\n%b" % (len(t), t) for t in texts))


@pytest.fixture
def limited(new_server, connect):
    s = new_server("imap.messages-max = 1000", accounts=("alice",))
    c = connect("alice@example.test", on=s)
    c.server = s
    fill(c, N)
    c.ok("SELECT INBOX")
    return c


def code(r):
    return re.match(r"\[([^]]*)\]", r.text)[1]


def test_all_commands(limited, connect):
    c = limited
    assert b"MESSAGELIMIT=1000" in c.ok("CAPABILITY").untagged[0].split() and b"SAVELIMIT" not in c.ok("CAPABILITY").untagged[0]
    # FETCH, by numbers and by UIDs; what is few enough has no code
    for command, numbers in (("FETCH 1:* UID", range(FIRST, N + 1)), ("UID FETCH 1:* UID", range(FIRST, N + 1)), ("FETCH 1:1200 UID", range(201, 1201)),
                             ("FETCH 1:10,100,301:1299 UID", [100] + list(range(301, 1300)))):
        r = c.ok(command)
        got = [int(re.match(rb"\* (\d+) FETCH", u)[1]) for u in r.untagged]
        assert got == list(numbers) and code(r) == f"MESSAGELIMIT 1000 {got[0]}"
    assert c.ok("FETCH 1:1000 UID").text == "fetched" and len(c.ok("FETCH 301:1300 UID").untagged) == 1000
    # SEARCH: what is searched counts, and not what is found
    r = c.ok("UID SEARCH SUBJECT s1")
    assert r.untagged == [b"* SEARCH " + b" ".join(b"%d" % i for i in range(FIRST, N + 1) if str(i).startswith("1"))] and code(r) == f"MESSAGELIMIT 1000 {FIRST}"
    r = c.ok("SEARCH 1:1000 SUBJECT s7")
    assert r.text == "searched" and r.untagged[0].startswith(b"* SEARCH 7 70 ")
    assert c.ok("SEARCH OR UID 1:400 900:* SUBJECT s1").text == "searched"
    assert code(c.ok("SEARCH OR UID 1:700 900:* SUBJECT s1")).endswith(" 102")
    assert c.ok("SEARCH NOT 1:300 UNDELETED").text == "searched" and code(c.ok("SEARCH NOT 1:299 UNDELETED")) == "MESSAGELIMIT 1000 301"
    assert c.ok("SEARCH UIDAFTER 1290 ALL").untagged == [b"* SEARCH 1291 1292 1293 1294 1295 1296 1297 1298 1299 1300"]
    assert c.ok("SEARCH UIDBEFORE 3").untagged == [b"* SEARCH 1 2"] and c.ok("SEARCH UIDBEFORE 1").untagged == [b"* SEARCH"]
    assert c.ok("SEARCH UIDAFTER 4294967295").untagged == [b"* SEARCH"] and c.ok("SEARCH UIDAFTER 1300").untagged == [b"* SEARCH"]
    for bad in ("SEARCH UIDAFTER", "SEARCH UIDAFTER 0", "SEARCH UIDBEFORE *", "SEARCH UIDBEFORE 1:2", "SEARCH UIDAFTER 4294967296"):
        assert c.do(bad).status == "BAD", bad
    c.ok("NOOP")
    # RFC 9738 3.4: "$" is what was found within the limit
    assert code(c.ok("SEARCH RETURN (SAVE) ALL")).startswith("MESSAGELIMIT")
    assert c.ok("SEARCH RETURN (COUNT) $").untagged[0].endswith(b"COUNT 1000")
    # THREAD refuses, SORT takes what it needs
    r = c.do("THREAD REFERENCES UTF-8 ALL")
    assert r.status == "NO" and code(r) == "MESSAGELIMIT 1000" and not r.of(rb"THREAD")
    assert c.ok("THREAD REFERENCES UTF-8 1:1000").of(rb"THREAD")
    assert len(c.ok("SORT (REVERSE ARRIVAL) UTF-8 ALL").untagged[0].split()) == N + 2
    # PARTIAL
    r = c.do("UID FETCH 1:* (UID) (PARTIAL -1:-1001)")
    assert r.status == "NO" and code(r) == "MESSAGELIMIT 1000" and not r.untagged
    assert len(c.ok("UID FETCH 1:* (UID) (PARTIAL -1:-1000)").untagged) == 1000
    assert c.do("UID FETCH 1:* (UID) (PARTIAL 1:4294967295)").status == "NO"
    # STORE
    r = c.ok("STORE 1:* +FLAGS.SILENT (\\Deleted)")
    assert code(r) == f"MESSAGELIMIT 1000 {FIRST}"
    assert len(c.ok("SEARCH RETURN () 1:1000 DELETED").untagged[0].split()) and c.ok("SEARCH 1:1000 DELETED").untagged[0].split()[2] == b"%d" % FIRST
    # COPY is whole or not at all
    c.ok("CREATE Box")
    r = c.do("UID COPY 1:* Box")
    assert r.status == "NO" and code(r) == f"MESSAGELIMIT 1000 {FIRST}"
    assert b"MESSAGES 0" in c.ok("STATUS Box (MESSAGES)").untagged[0]
    c.ok("COPY 1:1000 Box")
    # APPEND
    one = b"{5+}\r\na: b\n"
    assert c.ok(b"APPEND Box " + b" ".join([one] * 1000)).text.startswith("[APPENDUID")
    r = c.do(b"APPEND Box " + b" ".join([one] * 1001))
    assert r.status == "NO" and code(r) == "MESSAGELIMIT 1000"
    assert b"MESSAGES 2000" in c.ok("STATUS Box (MESSAGES)").untagged[0]
    # UID EXPUNGE: \Deleted ones count; EXPUNGE has no limit
    c.ok("STORE 1:300 +FLAGS.SILENT (\\Deleted)")
    r = c.ok("UID EXPUNGE 1:*")
    assert len(r.of(rb"EXPUNGE")) == 1000 and code(r) == f"MESSAGELIMIT 1000 {FIRST}"
    r = c.ok("UID EXPUNGE 1:*")
    assert len(r.of(rb"EXPUNGE")) == 300 and r.text == "expunged"
    c.ok("SELECT Box")
    c.ok("STORE 1:1000 +FLAGS.SILENT (\\Deleted)")
    c.ok("STORE 1001:2000 +FLAGS.SILENT (\\Deleted)")
    assert len(c.ok("EXPUNGE").of(rb"EXPUNGE")) == 2000


def test_move(limited):
    c = limited
    c.ok("CREATE Box")
    r = c.ok("UID MOVE 1:* Box")
    assert r.of(rb"COPYUID \d+ 301:1300 1:1000") and len(r.of(rb"EXPUNGE")) == 1000 and code(r) == "MESSAGELIMIT 1000 301"
    r = c.ok("UID MOVE 1:* Box")
    assert len(r.of(rb"EXPUNGE")) == 300 and r.text == "moved"


def test_with_another_code(limited, connect):
    """RFC 9738 3.1: EXPUNGEISSUED has the tagged reply for itself."""
    c = limited
    other = connect("alice@example.test", on=c.server)
    other.ok("SELECT INBOX")
    other.ok("STORE 1250 +FLAGS (\\Deleted)")
    other.ok("EXPUNGE")
    r = c.do("UID FETCH 1:* (BODY.PEEK[])")
    assert "[EXPUNGEISSUED]" in r.text and r.of(rb"^\* NO \[MESSAGELIMIT 1000 301\]"), r.text
    c.ok("ENABLE QRESYNC")
    c.ok("STORE 1:1299 +FLAGS.SILENT (\\Deleted)")
    c.ok("UID STORE 1:300 +FLAGS.SILENT (\\Deleted)")
    r = c.ok("UID EXPUNGE 1:*")
    assert "[HIGHESTMODSEQ" in r.text and r.of(rb"^\* NO \[MESSAGELIMIT 1000 300\]")


def test_save_limit(new_server, connect):
    s = new_server("imap.save-messages-max = 1000", accounts=("alice",))
    c = connect("alice@example.test", on=s)
    words = c.ok("CAPABILITY").untagged[0].split()
    assert b"SAVELIMIT=1000" in words and b"MESSAGELIMIT=1000" not in words
    fill(c, 1100)
    c.ok("SELECT INBOX")
    c.ok("CREATE Box")
    assert len(c.ok("FETCH 1:* UID").untagged) == 1100 and c.ok("SEARCH ALL").text == "searched"
    r = c.do("COPY 1:* Box")
    assert r.status == "NO" and code(r) == "MESSAGELIMIT 1000 101"
    r = c.do(b"APPEND INBOX " + b" ".join([b"{5+}\r\na: b\n"] * 1001))
    assert r.status == "NO" and code(r) == "MESSAGELIMIT 1000"
    assert c.ok("MOVE 1:* Box").text == "moved"


def test_no_limit(inbox):
    assert b"LIMIT=1" not in inbox.ok("CAPABILITY").untagged[0].replace(b"APPENDLIMIT=", b"")
