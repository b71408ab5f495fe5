# SPDX-License-Identifier: Apache-2.0
"""UTF8=ACCEPT (RFC 6855), and surrogates (RFC 6858) for clients that did not ask for it."""
import random
import re

import pytest
from house import Server
from imap_dialog import NESTED, PLAIN, Client, literal

HEADER = "From: Jürgen <jürgen@exämple.net>\r\nTo: Bob <bob@example.test>, Zoë <zoe@example.net>\r\nSubject: Grüße an alle\r\nMessage-ID: <ü@example.net>\r\nDate: Mon, 7 Feb 1994 21:52:25 -0800\r\n"
SURROGATE = (b"From: =?utf-8?B?SsO8cmdlbiAoasO8cmdlbkBleMOkbXBsZS5uZXQp?= <invalid@internationalized-address.invalid>\r\n"
             b"To: Bob <bob@example.test>,\r\n =?utf-8?B?Wm/Dqw==?= <zoe@example.net>\r\nSubject: =?utf-8?B?R3LDvMOfZSBhbiBhbGxl?=\r\nDate: Mon, 7 Feb 1994 21:52:25 -0800\r\n")
PART = "--b\r\nContent-Type: text/plain; charset=utf-8; name=\"Übersicht.txt\"\r\nContent-Description: Übersicht\r\n\r\nText: äöü\r\n"
INNER = "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: Größe\r\nX-Plain: yes\r\n\r\ninner\r\n--b--\r\n"
MULTIPART = (HEADER + "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + PART + INNER).encode()
SINGLE = (HEADER + "\r\n8-bit body: ü\r\n").encode()


@pytest.fixture(scope="module")
def showing(tmp_path_factory):
    """A server that shows surrogates."""
    s = Server(tmp_path_factory.mktemp("surrogates"), "downgrade = yes").start()
    s.command("domain", "add", "example.test")
    yield s
    s.stop()


@pytest.fixture
def box(connect, showing):
    """INBOX with an international message, one with parts, and an ordinary one; .user is its address."""
    user = showing.add_account(f"user{random.getrandbits(40):x}")
    c = connect(user, on=showing)
    c.user, c.server = user, showing
    c.ok("ENABLE UTF8=ACCEPT")
    for message in (SINGLE, MULTIPART, PLAIN):
        append8(c, message)
    c.ok("SELECT INBOX")
    return c


def append8(c, message):
    """Whatever form of APPEND is there for messages with UTF-8 in their headers."""
    r = c.do(b"APPEND INBOX UTF8 (~{%d+}\r\n" % len(message) + message + b")") if len(message) < 100000 else None
    if not r or r.status != "OK":
        c.append(message)


def old(connect, box):
    c = connect(box.user, on=box.server)
    c.ok("SELECT INBOX")
    return c


def test_enable(box, connect):
    assert b" UTF8=ACCEPT" in box.ok("CAPABILITY").untagged[0]
    assert connect(box.user, on=box.server).ok("ENABLE UTF8=ACCEPT").untagged == [b"* ENABLED UTF8=ACCEPT"]


def test_names(box, connect):
    box.ok('CREATE "Größe"')
    assert box.ok('LIST "" Gr*').of('"Größe"'.encode()) and box.ok('LSUB "" %').status == "OK"
    assert connect(box.user, on=box.server).ok('LIST "" Gr*').of(rb'"Gr&APYA3w-e"')
    assert box.do(b'CREATE "\xff"').status == "BAD"
    assert box.ok("SELECT INBOX").of(b"RECENT"), "the rest of IMAP4rev1 stays"


def test_search_is_in_utf8(box):
    assert box.do("SEARCH CHARSET UTF-8 SUBJECT x").status == "BAD"
    assert box.ok('SEARCH SUBJECT "grüße"').untagged == [b"* SEARCH 1 2"]


def test_the_message_as_it_is(box):
    assert literal(box.fetch("FETCH 1 BODY.PEEK[]")[1], b"BODY[]") == SINGLE
    r = box.ok("FETCH 1:2 (ENVELOPE BODYSTRUCTURE)")
    assert "DOWNGRADED" not in r.text and "jürgen".encode() in r.untagged[0] and "Übersicht.txt".encode() in r.untagged[1]


def test_a_surrogate(box, connect):
    c = old(connect, box)
    r = c.ok("FETCH 1:3 (UID BODY.PEEK[])")
    assert r.text.startswith("[DOWNGRADED 1:2]")
    got = {int(u.split()[1]): literal(u, b"BODY[]") for u in r.untagged}
    assert got[1] == SURROGATE + "\r\n8-bit body: ü\r\n".encode()
    assert got[3] == PLAIN
    part = "--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nText: äöü\r\n".encode()
    inner = b"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: =?utf-8?B?R3LDtsOfZQ==?=\r\nX-Plain: yes\r\n\r\ninner\r\n--b--\r\n"
    assert got[2] == SURROGATE + b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + part + inner


def test_pieces_of_it_agree(box, connect):
    c = old(connect, box)
    whole = literal(c.fetch("FETCH 2 BODY.PEEK[]")[2], b"BODY[]")
    assert literal(c.fetch("FETCH 2 BODY.PEEK[HEADER]")[2], b"BODY[HEADER]") + literal(c.fetch("FETCH 2 BODY.PEEK[TEXT]")[2], b"BODY[TEXT]") == whole
    for at in range(0, len(whole), 97):
        assert literal(c.fetch(f"FETCH 2 BODY.PEEK[]<{at}.97>")[2], b"BODY[]<%d>" % at) == whole[at:at + 97]
    assert literal(c.fetch("FETCH 2 BODY.PEEK[1]")[2], b"BODY[1]") == "Text: äöü".encode()
    assert literal(c.fetch("FETCH 2 BODY.PEEK[1.MIME]")[2], b"BODY[1.MIME]") == b"Content-Type: text/plain; charset=utf-8\r\n\r\n"
    assert literal(c.fetch("FETCH 2 BODY.PEEK[2.HEADER]")[2], b"BODY[2.HEADER]") == b"Subject: =?utf-8?B?R3LDtsOfZQ==?=\r\nX-Plain: yes\r\n\r\n"
    fields = c.fetch("FETCH 2 BODY.PEEK[HEADER.FIELDS (Subject Message-ID)]")[2]
    assert fields.endswith(b"Subject: =?utf-8?B?R3LDvMOfZSBhbiBhbGxl?=\r\n\r\n)")
    assert literal(c.fetch("FETCH 1 RFC822.HEADER")[1], b"RFC822.HEADER") == SURROGATE + b"\r\n"


def test_structures_are_those_of_the_surrogate(box, connect):
    c = old(connect, box)
    r = c.ok("FETCH 1:3 (ENVELOPE)")
    assert r.text.startswith("[DOWNGRADED 1:2]")
    assert all(all(b < 128 for b in u) for u in r.untagged)
    assert b'"invalid" "internationalized-address.invalid"' in r.untagged[0]
    r = c.ok("FETCH 2 BODYSTRUCTURE")
    assert all(b < 128 for b in r.untagged[0]) and b"NAME" not in r.untagged[0].upper() and "DOWNGRADED" in r.text
    assert "DOWNGRADED" not in c.ok("FETCH 3 (ENVELOPE BODYSTRUCTURE BODY.PEEK[])").text
    assert "DOWNGRADED" not in c.ok("FETCH 1:3 (FLAGS RFC822.SIZE UID)").text


def test_search_finds_what_is_not_shown(box, connect):
    c = old(connect, box)
    assert c.ok("SEARCH CHARSET UTF-8 FROM {7+}\r\njürgen").untagged == [b"* SEARCH 1 2"]


def test_a_large_surrogate(box, connect):
    body = b"".join(b"line %d of many\r\n" % i for i in range(60000))
    part = "--b\r\nContent-Type: text/plain; name=ü\r\n\r\n".encode()
    tail = "\r\n--b\r\nContent-Type: application/x; name=ü\r\n\r\nend\r\n--b--\r\n".encode()
    head = "Subject: ü\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n".encode()
    append8(box, head + part + body + tail)
    c = old(connect, box)
    expected = (b"Subject: =?utf-8?B?w7w=?=\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n" + body
                + b"\r\n--b\r\nContent-Type: application/x\r\n\r\nend\r\n--b--\r\n")
    assert literal(c.fetch("FETCH 4 BODY.PEEK[]")[4], b"BODY[]") == expected
    for at in (0, 20, 26, 70, 100, len(expected) - 60, len(expected) - 10):
        assert literal(c.fetch(f"FETCH 4 BODY.PEEK[]<{at}.50>")[4], b"BODY[]<%d>" % at) == expected[at:at + 50]
    assert literal(c.fetch("FETCH 4 BODY.PEEK[2]")[4], b"BODY[2]") == b"end"
    assert literal(c.fetch("FETCH 4 BODY.PEEK[HEADER.FIELDS (SUBJECT)]")[4], b"BODY[HEADER.FIELDS (SUBJECT)]").startswith(b"Subject: =?utf-8?B?w7w=?=")


def test_headers_that_are_no_utf8_stay(inbox):
    message = b"Subject: Gr\xfc\xdfe\r\nFrom: a@example.net\r\n\r\nx\r\n"
    inbox.append(message)
    r = inbox.ok("FETCH 1 BODY.PEEK[]")
    assert literal(r.untagged[0], b"BODY[]") == message and "DOWNGRADED" not in r.text


def test_without_surrogates(new_server):
    s = new_server(accounts=("alice",))
    c = Client(s.port("imap")).login("alice@example.test")
    c.ok("ENABLE UTF8=ACCEPT")
    append8(c, SINGLE)
    other = Client(s.port("imap")).login("alice@example.test")
    other.ok("SELECT INBOX")
    assert literal(other.fetch("FETCH 1 BODY.PEEK[]")[1], b"BODY[]") == SINGLE
    c.close()
    other.close()
