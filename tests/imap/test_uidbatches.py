# SPDX-License-Identifier: Apache-2.0
"""UIDBATCHES (RFC 10022) and INPROGRESS (RFC 9585)."""
import re

import pytest
from imap_dialog import PLAIN


def batches(c, command):
    r = c.ok(command)
    told = r.of(rb"^\* UIDBATCHES")
    assert len(told) == 1 and re.match(rb'^\* UIDBATCHES \(TAG "[^"]+"\)( |$)', told[0])
    return [tuple(map(int, x.split(b":"))) for x in told[0].partition(b")")[2].strip().split(b",") if x]


@pytest.fixture(scope="module")
def full(server):
    """An account whose INBOX has 2,300 messages of which every third is gone: 1,534 are left."""
    from imap_dialog import Client
    user = server.add_account("batches")
    c = Client(server.port("imap")).login(user)
    short = b"Subject: x\r\n\r\n"
    for _ in range(10):
        c.ok(b"APPEND INBOX" + b"".join(b" {%d+}\r\n%s" % (len(short), short) for _ in range(230)))
    c.ok("SELECT INBOX")
    c.ok(r"STORE " + ",".join(str(n) for n in range(3, 2301, 3)) + r" +FLAGS.SILENT (\Deleted)")
    c.ok("EXPUNGE")
    yield c
    c.close()


def test_all(full):
    uids = [int(u) for u in full.ok("UID SEARCH ALL").of(rb"^\* SEARCH")[0].split()[2:]]
    got = batches(full, "UIDBATCHES 500")
    assert len(got) == -(-len(uids) // 500)
    assert got[0][0] == uids[-1] and got[-1][1] == 1
    for (high, low), after in zip(got, got[1:] + [None]):
        assert high >= low and (after is None or after[0] == low - 1)
    assert [sum(low <= u <= high for u in uids) for high, low in got] == [500] * (len(uids) // 500) + [len(uids) % 500]
    assert batches(full, f"UIDBATCHES {len(uids)}") == batches(full, "UIDBATCHES 4294967295") == [(uids[-1], 1)]


def test_ranges(full):
    got = batches(full, "UIDBATCHES 500")
    assert batches(full, "UIDBATCHES 500 2:3") == got[1:3]
    assert batches(full, "UIDBATCHES 500 3:100") == got[2:]
    assert batches(full, "UIDBATCHES 500 90:100") == []
    assert batches(full, "UIDBATCHES 500 1:1") == got[:1]


def test_refused(full):
    assert full.do("UIDBATCHES 499").text.startswith("[TOOFEW]")
    assert full.do("UIDBATCHES 2000 1:100").text.startswith("[TOOMANY]")
    wrong = full.do("UIDBATCHES 2000 4:1")
    assert wrong.status == "BAD" and wrong.text.startswith("[CLIENTBUG]")
    for bad in ("UIDBATCHES", "UIDBATCHES 0", "UIDBATCHES x", "UIDBATCHES 500 1", "UIDBATCHES 500 1:", "UIDBATCHES 500 1:*", "UIDBATCHES 500 0:2", "UID UIDBATCHES 500",
                "UIDBATCHES 4294967296"):
        assert full.do(bad).status == "BAD", bad


def test_empty_and_not_selected(inbox, connect, account):
    assert batches(inbox, "UIDBATCHES 500") == batches(inbox, "UIDBATCHES 500 1:5") == []
    assert connect(account).do("UIDBATCHES 500").status == "BAD"


def test_the_saved_result_stays(inbox):
    inbox.append(PLAIN)
    inbox.append(PLAIN)
    inbox.ok("SEARCH RETURN (SAVE) 2")
    batches(inbox, "UIDBATCHES 500")
    assert inbox.ok("SEARCH $").of(rb"^\* SEARCH 2$")


def test_without_message_numbers(inbox):
    inbox.append(PLAIN)
    inbox.ok("ENABLE UIDONLY")
    assert batches(inbox, "UIDBATCHES 500") == [(1, 1)]


# ---- INPROGRESS

def test_progress(new_server, connect):
    c = connect("alice@example.test", on=new_server("imap.progress = 0ms", accounts=("alice",)))
    for _ in range(3):
        c.append(PLAIN)
    c.ok("SELECT INBOX")
    assert b" INPROGRESS" in c.ok("CAPABILITY").untagged[0]
    r = c.ok("SEARCH SENTSINCE 1-Jan-1990")
    told = [tuple(map(int, re.match(rb'^\* OK \[INPROGRESS \("[^"]+" (\d+) (\d+)\)\] ', u).groups())) for u in r.of(rb"INPROGRESS")]
    assert told == [(0, 3), (1, 3), (2, 3)] and r.of(rb"^\* SEARCH 1 2 3$")
    c.sock.sendall(b"a]b SORT (DATE) UTF-8 ALL\r\n")
    lines = []
    while not lines or not lines[-1].startswith(b"a]b "):
        lines.append(c.line())
    assert b"* OK [INPROGRESS (NIL 1 3)] still at it" in lines
    assert not c.ok("NOOP").of(b"INPROGRESS")


def test_no_progress_of_what_is_quick(inbox):
    inbox.append(PLAIN)
    assert not inbox.ok("SEARCH SENTSINCE 1-Jan-1990").of(b"INPROGRESS")
