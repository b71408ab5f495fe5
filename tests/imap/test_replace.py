# SPDX-License-Identifier: Apache-2.0
"""REPLACE (RFC 8508)."""
import re

import pytest
from imap_dialog import PLAIN, literal


def lit(data):
    return b"{%d+}\r\n" % len(data) + data


@pytest.fixture
def three(inbox):
    for i in range(3):
        inbox.append(PLAIN + b"%d\r\n" % i)
    return inbox


def uids(c):
    return [int(n) for n in c.ok("UID SEARCH ALL").untagged[-1].split()[2:]]


def test_the_new_one_in_place_of_the_old(three):
    assert b"REPLACE" in three.ok("CAPABILITY").untagged[0]
    three.ok("STORE 2 +FLAGS (\\Flagged $Old)")
    r = three.ok(b'REPLACE 2 INBOX (\\Seen \\Draft) "17-Jul-1996 02:44:25 -0700" ' + lit(b"new"))
    told = [u for u in r.untagged if not u.endswith(b"RECENT")]
    assert re.match(rb"\* OK \[APPENDUID \d+ 4\]", told[0])
    assert set(told[1:]) == {b"* 3 EXISTS", b"* 2 EXPUNGE"} or set(told[1:]) == {b"* 4 EXISTS", b"* 2 EXPUNGE"}
    assert uids(three) == [1, 3, 4]
    r = three.fetch("FETCH 3 (FLAGS INTERNALDATE BODY.PEEK[])")[3]
    assert literal(r, b"BODY[]") == b"new" and b"Jul-1996" in r and b"\\Draft" in r and b"\\Flagged" not in r and b"$Old" not in r


def test_by_uid_to_another_mailbox(three):
    r = three.ok(b"UID REPLACE 2 Sent " + lit(b"new"))
    assert b"* 2 EXPUNGE" in r.untagged and uids(three) == [1, 3]
    assert b"MESSAGES 1" in three.ok("STATUS Sent (MESSAGES)").untagged[0]
    assert three.ok(b"REPLACE * INBOX " + lit(b"newer")).of(rb"APPENDUID \d+ 4\]")
    assert uids(three) == [1, 4]


def test_others_hear_of_it(three, connect):
    other = connect(three.user)
    other.ok("SELECT INBOX")
    three.ok(b"REPLACE 1 INBOX " + lit(b"new"))
    r = other.ok("NOOP")
    assert b"* 1 EXPUNGE" in r.untagged and uids(other) == [2, 3, 4]
    r = other.do(b"UID REPLACE 1 INBOX " + lit(b"again"))
    assert r.status == "NO" and uids(other) == [2, 3, 4]


def test_somebody_was_faster(three, connect):
    other = connect(three.user)
    other.ok("SELECT INBOX")
    tag = other.start("REPLACE 1 INBOX {3}")
    assert other.line().startswith(b"+ ")
    three.ok("UID STORE 1 +FLAGS.SILENT \\Deleted")
    three.ok("UID EXPUNGE 1")
    other.send(b"new\r\n")
    r = other.wait(tag)
    assert r.status == "NO" and r.text.startswith("[EXPUNGEISSUED]")
    assert uids(three) == [2, 3]


def test_qresync(three):
    three.ok("ENABLE QRESYNC")
    three.ok("SELECT INBOX")
    r = three.ok(b"UID REPLACE 3 INBOX " + lit(b"new"))
    assert b"* VANISHED 3" in r.untagged and not r.of(rb"EXPUNGE")
    assert re.match(r"\[HIGHESTMODSEQ \d+\]", r.text)
    r = three.ok("FETCH 1:* (UID MODSEQ)")
    highest = max(int(n) for u in r.untagged for n in re.findall(rb"MODSEQ \((\d+)\)", u))
    assert three.ok("STATUS INBOX (HIGHESTMODSEQ)").of(rb"HIGHESTMODSEQ %d" % highest)


def test_catenate(three):
    """RFC 8508 4.2: the message is made of the one that it replaces."""
    r = three.ok(b'UID REPLACE 1 INBOX CATENATE (TEXT ' + lit(b"To: mitzy@example.org\r\n") + b' URL "/INBOX/;UID=1")')
    assert r.of(rb"APPENDUID \d+ 4\]") and uids(three) == [2, 3, 4]
    assert literal(three.ok("FETCH 3 BODY.PEEK[]").untagged[0], b"BODY[]") == b"To: mitzy@example.org\r\n" + PLAIN + b"0\r\n"


def test_refusals(three, connect):
    assert connect(three.user).do(b"REPLACE 1 INBOX " + lit(PLAIN)).status == "BAD"
    assert three.do(b"REPLACE 4 INBOX " + lit(PLAIN)).status == "BAD"
    assert three.do(b"REPLACE 1:2 INBOX " + lit(PLAIN)).status == "BAD"
    assert three.do(b"REPLACE 0 INBOX " + lit(PLAIN)).status == "BAD"
    assert three.do(b"REPLACE x INBOX " + lit(PLAIN)).status == "BAD"
    assert three.do(b"REPLACE 1 INBOX").status == "BAD"
    assert three.do(b"REPLACE 1 INBOX " + lit(PLAIN) + b" " + lit(PLAIN)).status == "BAD"
    assert three.do(b"UID REPLACE 9 INBOX " + lit(PLAIN)).status == "NO"
    assert three.do(b"REPLACE 1 INBOX {0+}\r\n").status == "NO"
    assert three.do(b"REPLACE 1 nothing " + lit(PLAIN)).text.startswith("[TRYCREATE]")
    assert three.do(b"REPLACE 1 nothing {10}").text.startswith("[TRYCREATE]")
    assert three.do(b"REPLACE 1 INBOX {99999999999}").text.startswith("[TOOBIG]")
    assert three.do(b'REPLACE 1 INBOX CATENATE (URL "/INBOX/;UID=9")').text.startswith("[BADURL")
    assert uids(three) == [1, 2, 3]
    three.ok("EXAMINE INBOX")
    assert three.do(b"REPLACE 1 INBOX " + lit(PLAIN)).text.startswith("[READ-ONLY]")
    assert uids(three) == [1, 2, 3]


def test_quota_counts_the_difference(new_server, connect):
    s = new_server("quota = 10k", accounts=("alice",))
    c = connect("alice@example.test", on=s)
    c.append(PLAIN + b"x" * 8000)
    c.ok("SELECT INBOX")
    assert c.do(b"APPEND INBOX " + lit(b"y" * 9000)).text.startswith("[OVERQUOTA]")
    tag = c.start(b"REPLACE 1 INBOX {9000}")
    assert c.line().startswith(b"+ ")
    c.send(b"y" * 9000 + b"\r\n")
    assert c.wait(tag).status == "OK"
    assert c.do(b"REPLACE 1 INBOX " + lit(b"y" * 11000)).text.startswith("[OVERQUOTA]")
    assert uids(c) == [2]


def test_an_unsolicited_one(three):
    """A literal that comes for a REPLACE that is not allowed is not taken for commands."""
    three.ok("UNSELECT")
    assert three.do(b"REPLACE 1 INBOX " + lit(b"x LOGOUT\r\ny LOGOUT\r\n")).status == "BAD"
    assert three.do(b"UID REPLACE 1 INBOX CATENATE (TEXT " + lit(b"x LOGOUT\r\n") + b" TEXT " + lit(b"y LOGOUT\r\n") + b")").status == "BAD"
    three.ok("NOOP")
