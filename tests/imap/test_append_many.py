# SPDX-License-Identifier: Apache-2.0
"""APPEND of several messages (RFC 3502), with NULs (RFC 3516 4.4) and UTF-8 headers (RFC 6855 4)."""
import base64
import re

import pytest
from imap_dialog import PLAIN, literal


def lit(data, sync=False):
    return b"{%d%s}\r\n" % (len(data), b"" if sync else b"+") + data


def lit8(data):
    return b"~" + lit(data)


def bodies(c, command="FETCH 1:* BODY.PEEK[]"):
    return [literal(u, b"BODY[]") for u in c.ok(command).untagged if b" FETCH (" in u]


def messages(c):
    return int(re.search(rb"MESSAGES (\d+)", c.ok("STATUS INBOX (MESSAGES)").untagged[0])[1])


# ---- MULTIAPPEND


def test_several_at_once(inbox):
    assert b"MULTIAPPEND" in inbox.ok("CAPABILITY").untagged[0]
    texts = [PLAIN + b"number %d\r\n" % i for i in range(100)]
    r = inbox.ok(b"APPEND INBOX (\\Seen) " + lit(texts[0]) + b' (\\Flagged $A) "17-Jul-1996 02:44:25 -0700" ' + lit(texts[1]) + b"".join(b" " + lit(t) for t in texts[2:]))
    assert re.match(r"\[APPENDUID \d+ 1:100\]", r.text) and b"* 100 EXISTS" in r.untagged
    assert bodies(inbox) == texts
    r = inbox.fetch("FETCH 1:3 (FLAGS INTERNALDATE)")
    assert b"\\Seen" in r[1] and b"\\Flagged" in r[2] and b"$A" in r[2] and b'"17-Jul-1996 09:44:25 +0000"' in r[2]
    assert b"\\Seen" not in r[3] and b"1996" not in r[3]


def test_step_by_step(inbox):
    tag = inbox.start(b"APPEND INBOX {%d}" % len(PLAIN))
    assert inbox.line().startswith(b"+ ")
    inbox.send(PLAIN + b" (\\Draft) {%d}\r\n" % len(PLAIN))
    assert inbox.line().startswith(b"+ ")
    inbox.send(PLAIN + b"\r\n")
    assert inbox.wait(tag).status == "OK"
    assert bodies(inbox) == [PLAIN] * 2


def test_large_ones(inbox):
    texts = [PLAIN + bytes([65 + i]) * (3 << 20) for i in range(3)] + [PLAIN]
    inbox.ok(b"APPEND INBOX" + b"".join(b" " + lit(t) for t in texts))
    assert bodies(inbox) == texts
    assert inbox.ok("SEARCH BODY CCCCCCCC").untagged == [b"* SEARCH 3"]


@pytest.mark.parametrize("last,status", [
    (b" {0+}\r\n", "NO"),  # RFC 3502: this cancels the append
    (b" {3+}\r\na\0b", "BAD"),
    (b" (\\Foo) {3+}\r\nabc", "BAD"),
    (b" \"yesterday\" {3+}\r\nabc", "BAD"),
    (b" rest {3+}\r\nabc {3+}\r\nabc", "BAD"),
    (b" ", "BAD"),
    (b" {99999999999}", "NO"),
    (b" CATENATE (URL \"/INBOX;UID=77/;SECTION=1\")", "NO"),
])
def test_all_or_none(inbox, last, status):
    r = inbox.do(b"APPEND INBOX " + lit(PLAIN) + b" " + lit(PLAIN) + last)
    assert r.status == status
    assert messages(inbox) == 0
    inbox.append(PLAIN)
    assert bodies(inbox) == [PLAIN]


def test_what_is_refused_is_skipped(inbox):
    r = inbox.do(b"APPEND nothing " + lit(PLAIN) + b" " + lit(b"x LOGOUT\r\n") + b" (\\Foo " + lit(b"y LOGOUT\r\n") + b" " + lit(PLAIN))
    assert r.status in ("NO", "BAD")
    r = inbox.do(b"APPEND nothing " + lit(PLAIN) + b" " + lit(b"x LOGOUT\r\n"))
    assert r.status == "NO" and r.text.startswith("[TRYCREATE]")
    r = inbox.do(b"APPEND \"&&&\" " + lit(b"x LOGOUT\r\n") + b" CATENATE (TEXT " + lit(b"x LOGOUT\r\n") + b")")
    assert r.status == "NO" and r.text.startswith("[CANNOT]")
    tag = inbox.start(b"APPEND nothing " + lit(PLAIN) + b" {100}")  # it waits for a "+"
    assert inbox.wait(tag).status == "NO"
    inbox.ok("NOOP")


def test_an_empty_name(inbox):
    """The literal of the name is no message that has yet to come."""
    assert inbox.do(b"APPEND {0+}\r\n").status in ("NO", "BAD")
    assert inbox.do(b"APPEND {0+}\r\n {3+}\r\nabc").status in ("NO", "BAD")
    inbox.ok("NOOP")


def test_limits_of_a_command(new_server, connect):
    s = new_server("message-bytes-max = 100k", accounts=("alice",))
    c = connect("alice@example.test", on=s)
    half = PLAIN + b"x" * 70000
    r = c.do(b"APPEND INBOX " + b" ".join([lit(half)] * 2))
    assert r.status == "OK"
    r = c.do(b"APPEND INBOX " + b" ".join([lit(half)] * 3))
    assert r.status == "NO" and r.text.startswith("[LIMIT]")
    r = c.do(b"APPEND INBOX " + b" ".join([lit(half)] + [lit(b"x" * 120000)] + [lit(half)]))
    assert r.status == "NO" and r.text.startswith("[TOOBIG]")
    r = c.do(b"APPEND INBOX " + b" ".join([lit(b"Subject: x\r\n\r\n")] * 1000))
    assert re.match(r"\[APPENDUID \d+ 3:1002\]", r.text)
    r = c.do(b"APPEND INBOX " + b" ".join([lit(b"Subject: x\r\n\r\n")] * 1001))
    assert r.status == "NO" and r.text.startswith("[LIMIT]")
    assert messages(c) == 1002
    r = c.do(b"APPEND INBOX " + b" ".join([lit(half)] * 30))
    assert r.of(rb"^\* BYE \[TOOBIG\]") and c.closed()


def test_long_text_between_messages(inbox):
    """Flags without end: the text of one command has a limit of its own."""
    flags = b"(" + b" ".join(b"$" + b"k" * 150 + b"%03d" % i for i in range(100)) + b") "
    r = inbox.do(b"APPEND INBOX " + b" ".join([flags + lit(PLAIN)] * 60))
    assert r.status == "BAD"
    assert messages(inbox) == 0


def test_literals_that_never_come(connect, account):
    c = connect(account)
    c.send(b"a APPEND INBOX " + lit(PLAIN) + b" {1000+}\r\nonly the beginning")
    c.close()
    c = connect(account)
    assert messages(c) == 0


def test_over_quota_together(new_server, connect):
    s = new_server("quota = 10k", accounts=("alice",))
    c = connect("alice@example.test", on=s)
    r = c.do(b"APPEND INBOX " + b" ".join([lit(PLAIN + b"x" * 4000)] * 3))
    assert r.status == "NO" and r.text.startswith("[OVERQUOTA]") and messages(c) == 0
    tag = c.start(b"APPEND INBOX " + lit(PLAIN + b"x" * 6000) + b" {6000}")
    assert c.wait(tag).text.startswith("[OVERQUOTA]")


# ---- BINARY


BINARY = bytes(range(256)) * 40 + b"\0\0\r\n\0"
MIXED = (b"Subject: binary\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: binary\r\n\r\npreamble\r\n"
         b"--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b\r\nContent-Type: application/octet-stream\r\ncontent-transfer-encoding: binary\r\nX-After: 1\r\n\r\n"
         + BINARY + b"\r\n--b\r\n\r\nlast\r\n--b--\r\nepilogue\r\n")


def test_binary_becomes_base64(inbox):
    inbox.ok(b"APPEND INBOX " + lit8(MIXED))
    (body,) = bodies(inbox)
    assert b"\0" not in body
    before, after = MIXED.split(BINARY)
    encoded = b"\r\n".join(base64.b64encode(BINARY[i:i + 57]) for i in range(0, len(BINARY), 57))
    assert body == before.replace(b"content-transfer-encoding: binary\r\nX-After", b"Content-Transfer-Encoding: base64\r\nX-After") + encoded + after
    r = inbox.ok("FETCH 1 (BODY[2] BODYSTRUCTURE RFC822.SIZE)").untagged[0]
    assert literal(r, b"BODY[2]") == encoded and b'"BASE64"' in r.upper() and b"RFC822.SIZE %d" % len(body) in r


def test_a_binary_message_without_parts(inbox):
    head = b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: image/gif\r\n"
    inbox.ok(b"APPEND INBOX " + lit8(head + b"\r\n" + BINARY))
    (body,) = bodies(inbox)
    assert body.startswith(head + b"Content-Transfer-Encoding: base64\r\n\r\n") and body.endswith(b"\r\n")
    assert base64.b64decode(body.split(b"\r\n\r\n", 1)[1]) == BINARY


def test_literal8_without_nul_stays_as_it_is(inbox):
    text = MIXED.replace(b"\0", b"\1")
    inbox.ok(b"APPEND INBOX " + lit8(text) + b" " + lit8(PLAIN))
    assert bodies(inbox) == [text, PLAIN]


def test_a_large_binary_message(inbox):
    data = BINARY * 500
    inbox.ok(b"APPEND INBOX " + lit(PLAIN) + b" " + lit8(MIXED.replace(BINARY, data)) + b" " + lit(PLAIN))
    r = bodies(inbox, "FETCH 2 BODY.PEEK[]")
    assert base64.b64decode(r[0].split(b"X-After: 1\r\n\r\n")[1].split(b"\r\n--b")[0]) == data
    assert bodies(inbox)[0::2] == [PLAIN, PLAIN]


@pytest.mark.parametrize("message", [
    b"Subject: a\0b\r\n\r\nx\r\n",
    MIXED.replace(b"preamble", b"pre\0amble"),
    MIXED.replace(b"encoding: binary\r\nX", b"encoding: base64\r\nX"),
    MIXED.replace(b"X-After: 1", b"X-After: \0"),
])
def test_nuls_that_cannot_be_kept(inbox, message):
    r = inbox.do(b"APPEND INBOX " + lit(PLAIN) + b" " + lit8(message))
    assert r.status == "NO" and r.text.startswith("[UNKNOWN-CTE]")
    assert messages(inbox) == 0


def test_large_headers_of_binary_parts(inbox):
    r = inbox.do(b"APPEND INBOX " + lit8(b"X-Long: " + b"x\r\n y" * 60000 + b"\r\n\r\n\0"))
    assert r.status == "NO" and r.text.startswith("[TOOBIG]")
    assert messages(inbox) == 0


# ---- UTF8


UTF8 = "Subject: Grüße\r\nFrom: Jürgen <jürgen@bücher.example>\r\n\r\ntext\r\n".encode()


def test_utf8_headers(inbox):
    r = inbox.do(b"APPEND INBOX UTF8 (" + lit8(UTF8) + b")")
    assert r.status == "NO"  # RFC 6855 4: not enabled
    inbox.ok("ENABLE UTF8=ACCEPT")
    inbox.ok(b"APPEND INBOX (\\Seen) UTF8 (" + lit8(UTF8) + b") UTF8 (" + lit8(PLAIN) + b")")
    inbox.ok(b"APPEND INBOX CATENATE (TEXT " + lit(b"") + b" UTF8 (" + lit8(UTF8) + b") TEXT " + lit(b"more") + b")")
    assert bodies(inbox) == [UTF8, PLAIN, UTF8 + b"more"]
    assert inbox.do(b"APPEND INBOX UTF8 (" + lit(UTF8) + b")").status == "BAD"
    assert inbox.do(b"APPEND INBOX UTF8 " + lit8(UTF8)).status == "BAD"
