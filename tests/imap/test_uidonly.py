# SPDX-License-Identifier: Apache-2.0
"""UIDONLY (RFC 9586): no message numbers, in either direction."""
import re

import pytest
from imap_dialog import PLAIN


@pytest.fixture
def box(connect, account):
    """UIDs 2 to 4 in INBOX; .user is its address."""
    c = connect(account)
    c.user = account
    for _ in range(4):
        c.append(PLAIN)
    c.ok("SELECT INBOX")
    c.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    c.ok("CLOSE")
    assert c.ok("ENABLE UIDONLY").untagged == [b"* ENABLED UIDONLY"]
    assert not c.ok("SELECT INBOX").of(b"UNSEEN")
    return c


def test_commands_with_numbers(box):
    for bad in ("FETCH 1 FLAGS", "STORE 1 +FLAGS (x)", "SEARCH ALL", "COPY 1 INBOX", "MOVE 1 INBOX", "SORT (SIZE) UTF-8 ALL",
                "THREAD REFERENCES UTF-8 ALL", "UID SEARCH 1:2", "UID SORT (SIZE) UTF-8 NOT 1", "UID THREAD REFERENCES UTF-8 1"):
        r = box.do(bad)
        assert r.status == "BAD" and r.text.startswith("[UIDREQUIRED]"), bad
    assert box.ok("UID SEARCH ALL").untagged == [b"* SEARCH 2 3 4"]
    assert box.ok("UID SEARCH UID 3:*").untagged == [b"* SEARCH 3 4"]
    box.ok("UID SEARCH RETURN (SAVE) UID 3")
    assert box.ok("UID FETCH $ (FLAGS)").untagged == [b"* 3 UIDFETCH (FLAGS ())"]


def test_uidfetch(box):
    assert box.ok("UID FETCH 2:3 (FLAGS)").untagged == [b"* 2 UIDFETCH (FLAGS ())", b"* 3 UIDFETCH (FLAGS ())"]
    assert box.ok("UID FETCH 3 (UID FLAGS)").untagged == [b"* 3 UIDFETCH (UID 3 FLAGS ())"]
    assert box.ok("UID STORE 4 +FLAGS (\\Seen)").untagged == [b"* 4 UIDFETCH (FLAGS (\\Seen))"]
    r = box.ok("UID FETCH 2 BODY[TEXT]")
    assert r.untagged[0].startswith(b"* 2 UIDFETCH (") and b"\\Seen" in b"".join(r.untagged)


def test_what_others_do(box, connect):
    other = connect(box.user)
    other.ok("SELECT INBOX")
    other.ok("STORE 2 +FLAGS (\\Flagged)")
    assert box.ok("NOOP").untagged == [b"* 3 UIDFETCH (FLAGS (\\Flagged))"]
    other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    other.ok("EXPUNGE")
    assert [u for u in box.ok("NOOP").untagged if b"UIDFETCH" not in u] == [b"* VANISHED 2"]
    other.append(PLAIN)
    assert b"* 3 EXISTS" in box.ok("NOOP").untagged


def test_expunge_and_move(box):
    box.ok("UID STORE 2 +FLAGS.SILENT (\\Deleted)")
    assert b"* VANISHED 2" in box.ok("EXPUNGE").untagged
    box.ok("CREATE x")
    r = box.ok("UID MOVE 3 x")
    assert re.fullmatch(rb"\* OK \[COPYUID \d+ 3 1\] .*", r.untagged[0]) and r.untagged[-1] == b"* VANISHED 3"
    box.ok("UID STORE 4 +FLAGS.SILENT (\\Deleted)")
    assert b"* VANISHED 4" in box.ok("UID EXPUNGE 1:*").untagged


def test_with_condstore_and_qresync(box):
    box.ok("ENABLE QRESYNC")
    r = box.ok("UID STORE 3 +FLAGS.SILENT (\\Seen)")
    assert re.fullmatch(rb"\* 3 UIDFETCH \(MODSEQ \(\d+\)\)", r.of(b"UIDFETCH")[0])
    r = box.ok("UID FETCH 3 (MODSEQ)")
    assert re.fullmatch(rb"\* 3 UIDFETCH \(MODSEQ \(\d+\)\)", r.untagged[0])
    validity = re.search(rb"UIDVALIDITY (\d+)", b"".join(box.ok("SELECT INBOX").untagged))[1].decode()
    r = box.do(f"SELECT INBOX (QRESYNC ({validity} 1 1:4 (1 2)))")
    assert r.status == "BAD" and r.text.startswith("[UIDREQUIRED]")
    r = box.ok(f"SELECT INBOX (QRESYNC ({validity} 1 1:4))")
    assert r.of(rb"VANISHED \(EARLIER\)") and r.of(b"UIDFETCH") and not r.of(rb" FETCH ")
