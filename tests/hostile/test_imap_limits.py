# SPDX-License-Identifier: Apache-2.0
"""Hostile IMAP: whatever a client sends, the answer is a tagged BAD, NO or OK, or BYE, in bounded time; the memory of session and store stays bounded and no mailbox changes."""
import pathlib
import re
import socket
import sys
import time
import zlib

import pytest

from house import PASSWORD

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "imap"))
from imap_dialog import PLAIN, Client  # noqa: E402

MEGABYTE = 1 << 20
ROOM = 64 * MEGABYTE  # what memory may grow by; sanitizers keep a copy of much
USER = "alice@example.test"


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A server with one session process, whose memory counts; the sanitizers hold back little of what was freed."""
    import os

    from house import DOMAIN, Server
    before = os.environ.get("ASAN_OPTIONS", "")
    os.environ["ASAN_OPTIONS"] = (before + ":" if before else "") + "quarantine_size_mb=1"
    try:
        s = Server(tmp_path_factory.mktemp("small"), "sessions = 1\nimap.timeout = 8s\ntrusted = 127.0.0.1").start()
        s.command("domain", "add", DOMAIN)
        s.add_account("alice")
        c = client(s)
        for i in range(3):
            c.append(PLAIN)
        c.close()
        yield s
        s.stop()
    finally:
        os.environ["ASAN_OPTIONS"] = before


def client(s, **more):
    return Client(s.port("imap"), **more).login(USER)


def memory(s, role):
    text = pathlib.Path(f"/proc/{s.role_pid(role)}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) * 1024


def state(s):
    """All that could have changed."""
    c = client(s)
    r = c.ok('LIST "" * RETURN (STATUS (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ UNSEEN SIZE))')
    c.close()
    return sorted(r.untagged)


SETS = b",".join([b"1:4294967295,*"] * 4000)
LONG = b"x" * MEGABYTE
COMMANDS = {
    "nested criteria": b"SEARCH " + b"(" * 30000 + b"ALL" + b")" * 30000,
    "nested criteria without end": b"SEARCH " + b"(" * 60000,
    "NOT of NOT": b"SEARCH " + b"NOT " * 15000 + b"ALL",
    "a tree of OR": b"SEARCH " + b"OR (OR SEEN UNSEEN) " * 3000 + b"ALL",
    "a flat search": b"SEARCH " + b"SEEN " * 12000 + b"ALL",
    "many texts": b"SEARCH " + b'TEXT "abc" ' * 990 + b"ALL",
    "long text": b'SEARCH TEXT "' + b"y" * 60000 + b'"',
    "sets in a search": b"SEARCH " + SETS,
    "UID sets in a search": b"SEARCH UID " + SETS,
    "sets to fetch": b"UID FETCH " + SETS + b" FLAGS",
    "sets to store": b"UID STORE 4294967295:4294967200 +FLAGS (\\Seen)",
    "sets to copy": b"UID COPY " + SETS + b" nowhere",
    "sets to expunge": b"UID EXPUNGE " + SETS,
    "numbers that are too large": b"FETCH 99999999999999999999 FLAGS",
    "number zero": b"FETCH 0 FLAGS",
    "UID zero": b"UID FETCH 0 FLAGS",
    "backward and star": b"UID FETCH *:1,1:*,*:* (UID)",
    "commas": b"FETCH " + b"," * 60000 + b" FLAGS",
    "a million letters": b"NOOP " + LONG,
    "a tag of a million letters": None,
    "an atom of a million letters": b"SELECT " + LONG,
    "a quoted string of a million letters": b'SELECT "' + LONG + b'"',
    "a literal of a million letters": b"SELECT {1048576+}\r\n" + LONG,
    "many literals": b"LOGIN" + b" {60000+}\r\n" + b"z" * 60000 + b" {60000+}\r\n" + b"z" * 60000,
    "one section 100,000 times": b"FETCH 1 (" + b"BODY.PEEK[1] " * 100000 + b"FLAGS)",
    "one section as often as a line has room": b"FETCH 1:3 (" + b"BODY.PEEK[] " * 5000 + b"FLAGS)",
    "deep sections": b"FETCH 1 BODY.PEEK[" + b"1." * 30000 + b"MIME]",
    "many fields": b"FETCH 1:3 BODY.PEEK[HEADER.FIELDS (" + b" ".join(b"f%d" % i for i in range(9000)) + b")]",
    "parentheses to fetch": b"FETCH 1 " + b"(" * 60000,
    "many items": b"FETCH 1:3 (" + b"ENVELOPE BODYSTRUCTURE " * 2800 + b"UID)",
    "a partial beyond all": b"FETCH 1 BODY.PEEK[]<4294967295.4294967295>",
    "flags that nest": b"STORE 1 +FLAGS " + b"(" * 60000,
    "thousands of keywords": b"STORE 1 +FLAGS (" + b" ".join(b"k%d" % i for i in range(9000)) + b")",
    "NUL in an atom": b"SELECT IN\0BOX",
    "NUL in a quoted string": b'SELECT "IN\0BOX"',
    "NUL in a literal": b"CREATE {5+}\r\nIN\0BO",
    "NUL in a message": b"APPEND INBOX {12+}\r\nSubject: \0\r\n",
    "8-bit in an atom": b"SELECT \xff\xfe",
    "UTF-7 that does not end": b"CREATE &AAA",
    "UTF-7 of half a pair": b"CREATE &2AA-",
    "UTF-7 that hides letters": b"CREATE &AGEAYgBj-",
    "UTF-7 of NUL": b"RENAME Trash &AAA-",
    "UTF-7 with bad letters": b"CREATE &!!!!-",
    "UTF-7 of thousands": b"CREATE &" + b"AOQ" * 15000 + b"-",
    "deep names": b"CREATE " + b"a/" * 30000 + b"a",
    "a long pattern": b'LIST "" ' + b"*%" * 30000,
    "patterns": b'LIST "" (' + b" ".join([b"*"] * 9000) + b")",
    "options of LIST": b"LIST (" + b"SUBSCRIBED " * 5000 + b'REMOTE) "" *',
    "items of STATUS": b"STATUS INBOX (" + b"MESSAGES " * 6000 + b"UIDNEXT)",
    "STATUS that nests": b"STATUS INBOX " + b"(" * 60000,
    "criteria of SORT": b"SORT (" + b"DATE SUBJECT " * 4000 + b"SIZE) UTF-8 ALL",
    "REVERSE": b"SORT (" + b"REVERSE " * 7000 + b"DATE) UTF-8 ALL",
    "ID of thousands": b"ID (" + b'"a" "b" ' * 7000 + b'"c" "d")',
    "ENABLE of thousands": b"ENABLE " + b"X-NONE " * 8000,
    "QRESYNC of everything": b"SELECT INBOX (QRESYNC (1 1 1:4294967295 (1:4294967295 1:4294967295)))",
    "QRESYNC that does not match": b"SELECT INBOX (QRESYNC (1 1 1:4294967295 (" + b"1," * 15000 + b"1 1)))",
    "parameters of SELECT": b"SELECT INBOX (" + b"CONDSTORE " * 6000 + b")",
    "UNCHANGEDSINCE too large": b"STORE 1 (UNCHANGEDSINCE 99999999999999999999999) +FLAGS (\\Seen)",
    "NOTIFY that nests": b"NOTIFY SET " + b"(" * 60000,
    "NOTIFY of thousands": b"NOTIFY SET (mailboxes (" + b"INBOX " * 10000 + b") (MessageNew MessageExpunge))",
    "METADATA entries": b"GETMETADATA INBOX (" + b"/private/comment " * 3500 + b")",
    "ANNOTATION wildcards": b"FETCH 1:* ANNOTATION ((" + b" ".join([b"*%" * 120] * 9) + b") value)",
    "ANNOTATION entries": b"STORE 1 ANNOTATION (" + b'/comment (value.priv "x") ' * 2000 + b"/x (value.priv NIL))",
    "ANNOTATION that nests": b"STORE 1 ANNOTATION " + b"(/a (value.priv " * 3000,
    "ANNOTATION of a deep part": b"FETCH 1 ANNOTATION (/" + b".".join([b"1"] * 101) + b"/comment value)",
    "ANNOTATION attributes": b"FETCH 1 ANNOTATION (/comment (" + b"value size " * 5000 + b"value))",
    "SEARCH ANNOTATION": b"SEARCH " + b'ANNOTATION *%*%* value "x" ' * 900 + b"ALL",
    "APPEND ANNOTATION without end": b"APPEND INBOX ANNOTATION (/comment (value.priv {70000+}\r\n",
    "an APPEND without end of flags": b"APPEND INBOX " + b"(" * 60000,
    "an APPEND of nothing": b"APPEND INBOX {0+}\r\n",
    "an APPEND of all": b"APPEND INBOX {18446744073709551615+}\r\n",
    "carriage returns": b"\r" * 60000,
    "backslashes": b'SELECT "' + b"\\" * 60001 + b'"',
    "brackets": b"FETCH 1 BODY" + b"[" * 60000,
    "tildes": b"APPEND INBOX ~~~~~{3+}\r\nabc",
}


@pytest.mark.parametrize("name", COMMANDS)
def test_hostile_commands(small, name):
    before, mine, store = state(small), memory(small, "session-user"), memory(small, "store")
    c = client(small, timeout=60)
    c.ok("SELECT INBOX")
    begun = time.time()
    command = COMMANDS[name]
    try:
        c.send(b"t " + command + b"\r\nn NOOP\r\n" if command is not None else LONG + b" NOOP\r\nn NOOP\r\n")
    except OSError:
        pass  # BYE came before all was sent
    lines = []
    try:
        while line := c.line():
            lines.append(line)
            if line.startswith(b"n ") or line.startswith(b"* BYE"):
                break
    except (ConnectionError, TimeoutError) as e:
        assert isinstance(e, ConnectionError), "no answer within a minute"
    took = time.time() - begun
    c.close()
    answered = [line for line in lines if re.match(rb"t (OK|NO|BAD) |\* BAD |\* BYE ", line)]
    assert answered, [line[:100] for line in lines]
    assert took < 20, took
    assert memory(small, "session-user") - mine < ROOM and memory(small, "store") - store < ROOM
    assert state(small) == before


def test_literals_that_never_come(small):
    """They are waited for until the time of the session is over; what it holds meanwhile is little, and nothing comes of it."""
    before, mine, clients = state(small), memory(small, "session-user"), []
    for start in (b"t APPEND INBOX {1000}\r\n", b"t APPEND INBOX {1000000+}\r\nSubject: half", b"t SELECT {5+}\r\nIN", b"t LOGIN {5}\r\n", b"t SEARCH TEXT {10+}\r\nabc", b"t APPEND INBOX (\\Seen) {20000000+}\r\nx") * 5:
        c = client(small, timeout=60)
        c.send(start)
        clients.append(c)
    for c in clients:
        lines = []
        while line := c.line():
            lines.append(line)
        assert any(line.startswith(b"* BYE") for line in lines) or not [line for line in lines if line.startswith(b"t OK")], lines
        c.close()
    assert memory(small, "session-user") - mine < ROOM
    assert state(small) == before


def test_compressed_zeros(small):
    """A few kilobytes that inflate to a gigabyte (RFC 4978): a line has its limit all the same."""
    mine = memory(small, "session-user")
    c = client(small, timeout=60)
    if c.do("COMPRESS DEFLATE").status != "OK":
        pytest.skip("COMPRESS is not offered")
    z = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = z.compress(b"a " + b"0" * MEGABYTE * 16)
    for _ in range(63):
        bomb += z.compress(b"0" * MEGABYTE * 16)
    bomb += z.flush(zlib.Z_SYNC_FLUSH)
    begun = time.time()
    try:
        c.send(bomb)
        while c.sock.recv(65536):
            pass
    except OSError:
        pass
    assert time.time() - begun < 30
    c.close()
    assert memory(small, "session-user") - mine < ROOM
    client(small).close()


def test_a_huge_mailbox_and_a_slow_reader(small):
    """FETCH of 600 MB to somebody who hardly reads: session and store hold buffers, not the mailbox, and others are served."""
    c = client(small)
    c.ok("CREATE Huge")
    body = PLAIN + (b"z" * 76 + b"\r\n") * (2 * MEGABYTE // 78)
    c.append(body, "Huge")
    c.ok("SELECT Huge")
    while (n := int(c.ok("STATUS Huge (MESSAGES)").of(b"STATUS")[0].split(b"(MESSAGES ")[1].rstrip(b")"))) < 300:
        c.ok(f"UID COPY 1:{min(n, 300 - n)} Huge")
    mine, store = memory(small, "session-user"), memory(small, "store")
    slow = [client(small, rcvbuf=4096, timeout=60) for _ in range(10)]
    for s in slow:
        s.ok("EXAMINE Huge")
        s.send(b"f FETCH 1:* (UID FLAGS ENVELOPE BODY.PEEK[])\r\n")
    for _ in range(40):
        for s in slow:
            s.sock.recv(4096)
        time.sleep(.02)
    begun = time.time()
    c.ok("NOOP")
    assert len(c.fetch("FETCH 1:* (FLAGS)")) == 300 and time.time() - begun < 10
    grown = memory(small, "session-user") - mine, memory(small, "store") - store
    assert grown[0] < ROOM and grown[1] < ROOM, grown
    for s in slow:
        s.close()
    c.ok("UNSELECT")
    c.ok("DELETE Huge")
    c.close()


def test_a_mailbox_of_100_000_parts(small):
    """What a message cannot have is told of as much as there is room for (MIME parts, DESIGN.md), in bounded time."""
    c = client(small, timeout=60)
    c.ok("CREATE Parts")
    c.append(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 100000 + b"--b--\r\n", "Parts")
    c.ok("SELECT Parts")
    begun = time.time()
    r = c.ok("FETCH 1 (BODY BODYSTRUCTURE ENVELOPE BODY.PEEK[9999] BODY.PEEK[99999])")
    assert len(r.of(rb"FETCH \(")) == 1
    assert len(c.ok("FETCH 1 (" + " ".join(f"BODY.PEEK[{i}.MIME]" for i in range(1, 60)) + ")").untagged) == 1
    assert time.time() - begun < 20
    c.ok("UNSELECT")
    c.ok("DELETE Parts")
    c.close()


def test_a_sender_of_nothing(small):
    """Bytes that come one by one and never make a line end with the time of the session."""
    c = socket.create_connection(("127.0.0.1", small.port("imap")), 60)
    c.sendall(b"a LOGIN alice@example.test " + PASSWORD.encode() + b"\r\n")
    begun, got = time.time(), b""
    c.settimeout(.5)
    while time.time() - begun < 50:
        try:
            c.sendall(b"x")
            more = c.recv(65536)
            if not more:
                break
            got += more
        except TimeoutError:
            continue
        except OSError:
            break
    assert b"* BYE" in got and time.time() - begun < 45
    c.close()


def peak(s, role):
    text = pathlib.Path(f"/proc/{s.role_pid(role)}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", text)[1]) * 1024


def test_filters_take_little_memory(small):
    """Each of 100 replacements reads the whole program again: what one read is not kept for the next."""
    c = client(small)
    c.ok("SELECT INBOX")
    value = b"1" + b",1" * 30000
    c.ok(b'SETMETADATA "" (/private/filters/values/x "ALL" /private/filters/values/big {%d+}\r\n%s)' % (len(value), value))
    before = peak(small, "session-user")
    assert c.ok("SEARCH FILTER big" + " FILTER x" * 99).of(rb"^\* SEARCH 1$")
    assert c.do("SEARCH FILTER big" + " FILTER x" * 100).text.startswith("[UNDEFINED-FILTER")
    assert peak(small, "session-user") - before < 32 * MEGABYTE
    c.ok('SETMETADATA "" (/private/filters/values/x NIL /private/filters/values/big NIL)')
    c.close()
