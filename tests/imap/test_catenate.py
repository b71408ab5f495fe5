# SPDX-License-Identifier: Apache-2.0
"""CATENATE (RFC 4469) with URLs of RFC 2192."""
import re

import pytest
from imap_dialog import INNER, NESTED, PLAIN, literal


def lit(data):
    return b"{%d+}\r\n" % len(data) + data


def text(data):
    return b"TEXT " + lit(data)


def url(u):
    return b'URL "' + u.encode() + b'"'


def catenate(c, *parts, mailbox=b"INBOX"):
    return c.do(b"APPEND " + mailbox + b" (\\Draft) CATENATE (" + b" ".join(parts) + b")")


def last(c):
    return literal(c.ok("FETCH * BODY.PEEK[]").untagged[-1], b"BODY[]")


@pytest.fixture
def two(inbox):
    assert b"CATENATE" in inbox.ok("CAPABILITY").untagged[0]
    inbox.append(PLAIN)
    inbox.append(NESTED)
    inbox.ok("CREATE box/deep")
    inbox.append(PLAIN + b"deep\r\n", mailbox="box/deep")
    inbox.validity = int(re.search(rb"UIDVALIDITY (\d+)", inbox.ok("STATUS INBOX (UIDVALIDITY)").untagged[0])[1])
    return inbox


SECTIONS = [
    ("", "BODY[]"), ("/;SECTION=HEADER", "BODY[HEADER]"), ("/;section=TEXT", "BODY[TEXT]"), ("/;section=1", "BODY[1]"), ("/;section=1.MIME", "BODY[1.MIME]"),
    ("/;section=2", "BODY[2]"), ("/;section=2.HEADER", "BODY[2.HEADER]"), ("/;section=2.1", "BODY[2.1]"), ("/;section=2.2.MIME", "BODY[2.2.MIME]"),
    ("/;section=HEADER.FIELDS%20(Subject%20From)", "BODY[HEADER.FIELDS (Subject From)]"),
    ("/;section=HEADER.FIELDS.NOT%20(Subject)", "BODY[HEADER.FIELDS.NOT (Subject)]"), ("/;section=3", "BODY[3]"),
]


@pytest.mark.parametrize("section,item", SECTIONS)
def test_parts_are_what_fetch_sends(two, section, item):
    want = literal(two.ok(f"FETCH 2 {item.replace('BODY[', 'BODY.PEEK[')}").untagged[0], item.encode())
    r = catenate(two, text(b"a: b\r\n"), url(f"/INBOX;UIDVALIDITY={two.validity}/;UID=2{section}"), text(b"\r\nend"))
    assert r.status == "OK" and r.text.startswith("[APPENDUID")
    assert last(two) == b"a: b\r\n" + want + b"\r\nend"
    assert b"\\Seen" not in two.fetch("FETCH 2 FLAGS")[2]


@pytest.mark.parametrize("u,want", [
    ("/box/deep/;UID=1", PLAIN + b"deep\r\n"), ("/box%2Fdeep/;UID=1", PLAIN + b"deep\r\n"), ("/inbox/;uid=1", PLAIN), (";UID=1", PLAIN), ("/;UID=1", PLAIN),
    ("INBOX/;UID=1", PLAIN), ("imap://mail.example.test/INBOX/;UID=1", PLAIN), ("imap://{user}@mail.example.test:143/INBOX;UIDVALIDITY={validity}/;UID=1", PLAIN),
    ("imap://{user};AUTH=*@mail.example.test/box/deep/;UID=1", PLAIN + b"deep\r\n"),
])
def test_ways_to_name_it(two, u, want):
    r = catenate(two, url(u.format(user=two.user.replace("@", "%40"), validity=two.validity)))
    assert r.status == "OK", r
    assert last(two) == want


@pytest.mark.parametrize("u", [
    "", "/", "INBOX", "/INBOX", "/INBOX/;UID=0", "/INBOX/;UID=99", "/INBOX/;UID=1x", "/INBOX/;UID=*", "/INBOX;UIDVALIDITY=1/;UID=1", "/nothing/;UID=1", "/INBOX/;UID=1/;SECTION=",
    "/INBOX/;UID=1/;SECTION=7", "/INBOX/;UID=1/;SECTION=MIME", "/INBOX/;UID=1/;SECTION=1.TEXT", "/INBOX/;UID=1/;SECTION=HEADER.FIELDS", "/INBOX/;UID=1/;SECTION=1]", "/INBOX/;UID=1%zz",
    "imap://elsewhere.example/INBOX/;UID=1", "imap://somebody@mail.example.test/INBOX/;UID=1", "imap:///INBOX/;UID=1", "http://mail.example.test/INBOX/;UID=1", "/INBOX%00/;UID=1", "/INBOX%ff/;UID=1",
    "/../INBOX/;UID=1", "/INBOX?SUBJECT%20x/;UID=1", "/INBOX;TYPE=LIST/;UID=1", "/INBOX/;UID=1/;SECTION=1/;SECTION=1", "/INBOX/;UID=4294967296", "/box/;UID=1",
])
def test_bad_urls(two, u):
    r = catenate(two, text(b"a"), url(u), text(b"b"))
    assert r.status == "NO" and r.text.startswith("[BADURL "), r
    two.ok("NOOP")
    assert two.ok("SEARCH ALL").untagged[-1] == b"* SEARCH 1 2"


def test_other_peoples_mail(two, connect, server):
    victim = server.add_account("victim")
    connect(victim).append(b"Subject: secret\r\n\r\nsecret\r\n")
    name = victim.replace("@", "%40")
    for u in (f"imap://{name}@mail.example.test/INBOX/;UID=1", f"/Other%20Users/{name}/INBOX/;UID=1", f"/{name}/INBOX/;UID=1", f"//{name}@mail.example.test/INBOX/;UID=1", "/../../INBOX/;UID=1"):
        r = catenate(two, url(u))
        assert r.status == "NO" and r.text.startswith("[BADURL "), (u, r)


def test_the_example_of_the_rfc(two):
    """RFC 4469, example 1: an attachment is replaced, without that it comes or goes."""
    r = catenate(two, url("/INBOX/;UID=2/;section=HEADER"), text(b"\r\n--out\r\n"), url("/INBOX/;UID=2/;section=1.MIME"), url("/INBOX/;UID=2/;section=1"),
                 text(b"\r\n--out\r\nContent-Type: message/rfc822\r\n\r\n"), url("/INBOX/;UID=1"), text(b"\r\n--out--\r\n"))
    assert r.status == "OK"
    assert b"caf=E9" in last(two) and PLAIN in last(two)
    assert two.ok('FETCH * BODY.PEEK[2.HEADER.FIELDS (Subject)]').of(rb"Hello World")


def test_urls_as_literals(two):
    u = b"/INBOX/;UID=1"
    tag = two.start(b"APPEND INBOX CATENATE (URL {%d}" % len(u))
    assert two.line().startswith(b"+ ")
    two.send(u + b" TEXT {3}\r\n")
    assert two.line().startswith(b"+ ")
    two.send(b"abc URL {%d+}\r\n" % len(u) + u + b")\r\n")
    assert two.wait(tag).status == "OK"
    assert last(two) == PLAIN + b"abc" + PLAIN
    r = two.do(b"APPEND INBOX CATENATE (URL " + lit(b"/IN\0\r\n]BOX;UID=1") + b")")
    assert r.text.startswith("[BADURL /IN%00%0D%0A%5DBOX;UID=1]")
    assert two.do(b"APPEND INBOX CATENATE (URL {9999999}").text.startswith("[TOOBIG]")
    two.ok("NOOP")


@pytest.mark.parametrize("parts", [b"", b"()", b"(TEXT)", b"(URL)", b"(TEXT {1+}\r\nx", b"(TEXT {1+}\r\nxTEXT {1+}\r\ny)", b"(URL x) y", b"(FILE {1+}\r\nx)", b"TEXT {1+}\r\nx",
                                   b"(TEXT \"x\")", b"((TEXT {1+}\r\nx))", b"(TEXT {1+}\r\nx )"])
def test_malformed(two, parts):
    assert two.do(b"APPEND INBOX CATENATE " + parts).status in ("BAD", "NO")
    two.ok("NOOP")
    assert two.ok("SEARCH ALL").untagged[-1] == b"* SEARCH 1 2"


def test_nothing_is_no_message(two):
    r = catenate(two, text(b""), text(b""))
    assert r.status == "NO" and r.text.startswith("[CANNOT]")
    assert catenate(two, text(b""), text(b"x"), text(b"")).status == "OK" and last(two) == b"x"


def test_many_parts(two):
    assert catenate(two, *[text(b"x")] * 1000).status == "OK" and last(two) == b"x" * 1000
    r = catenate(two, *[text(b"x")] * 10000)
    assert r.status == "NO" and r.text.startswith("[LIMIT]")
    r = catenate(two, *[url("/;UID=1")] * 1001)
    assert r.status == "NO" and r.text.startswith("[LIMIT]")
    r = two.do(b"APPEND INBOX" + b"".join(b" CATENATE (" + b" ".join([text(b"x")] * 30) + b")" for _ in range(100)))
    assert r.status == "NO" and r.text.startswith("[LIMIT]")


def test_messages_that_grow(new_server, connect):
    """Each is made of two of the one before; there is no end to that but the limits."""
    s = new_server("message-bytes-max = 1M", accounts=("alice",))
    c = connect("alice@example.test", on=s)
    c.ok("SELECT INBOX")
    c.append(PLAIN + b"x" * 100000)
    for uid in range(1, 10):
        r = catenate(c, url(f"/;UID={uid}"), url(f"/INBOX/;UID={uid}"))
        if r.status == "NO":
            break
        assert r.status == "OK"
    assert uid == 4 and r.text.startswith("[TOOBIG]")
    assert catenate(c, *[url("/;UID=1")] * 10).status == "OK"  # through a spool file
    assert last(c) == (PLAIN + b"x" * 100000) * 10


def test_into_another_mailbox_and_several_at_once(two):
    r = two.ok(b"APPEND box/deep CATENATE (" + url("/INBOX/;UID=1") + b") (\\Seen) CATENATE (" + text(b"hello") + b") " + lit(b"plain"))
    assert re.match(r"\[APPENDUID \d+ 2:4\]", r.text)
    two.ok("SELECT box/deep")
    got = [literal(u, b"BODY[]") for u in two.ok("FETCH 2:4 BODY.PEEK[]").untagged]
    assert got == [PLAIN, b"hello", b"plain"]
    r = catenate(two, url("other/;UID=1"))
    assert r.status == "NO"
    assert catenate(two, url("deep/;UID=1")).status == "OK"  # beside the selected one
    assert INNER


def test_many_urls_of_a_message_with_many_parts(two):
    """What is known about its structure is large, and is read for each of the URLs."""
    two.append(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 5000 + b"--b--\r\n")
    r = catenate(two, *[url("/;UID=3/;SECTION=4999")] * 1000)
    assert r.status == "OK" and last(two) == b"x" * 1000


def test_refused_lines_without_end(two):
    """Empty literals and long lines, which nobody keeps."""
    r = two.do(b"APPEND nothing {0+}\r\n" + (b" " + b"x" * 60000 + b" {0+}\r\n") * 500)
    assert r.status in ("NO", "BAD")
    two.ok("NOOP")
