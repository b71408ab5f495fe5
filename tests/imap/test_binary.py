# SPDX-License-Identifier: Apache-2.0
"""BINARY (RFC 3516, RFC 9051 6.4.5): parts without their transfer encoding."""
import base64
import quopri
import re

import pytest
from imap_dialog import NESTED, PLAIN, literal

DATA = bytes(range(256)) * 3
TEXT = "Grüße\nzweite Zeile\r\ndritte".encode()


def message(*parts):
    out = b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nSubject: parts\r\n\r\n"
    for kind, cte, body in parts:
        out += b"--b\r\nContent-Type: %s\r\nContent-Transfer-Encoding: %s\r\n\r\n%s\r\n" % (kind, cte, body)
    return out + b"--b--\r\n"


def lines(data):
    return base64.encodebytes(data).replace(b"\n", b"\r\n")


MIXED = message((b"application/octet-stream", b"base64", lines(DATA)),
                (b"text/plain; charset=utf-8", b"base64", lines(TEXT)),
                (b"text/plain; charset=utf-8", b"quoted-printable", quopri.encodestring("eine Zeile = größer".encode()).strip()),
                (b"image/png", b"base64", lines(b"no zero in it")),
                (b"application/x", b"x-rot13", b"uryyb"),
                (b"message/rfc822", b"7bit", b"Subject: in\r\nContent-Type: application/x\r\nContent-Transfer-Encoding: base64\r\n\r\n" + lines(b"inner\0")))


@pytest.fixture
def box(inbox):
    inbox.append(MIXED)
    return inbox


def binary(r, label):
    m = re.search(re.escape(label) + rb" (~?)\{(\d+)\}\r\n", r)
    assert m, r
    return m[1] == b"~", r[m.end():m.end() + int(m[2])]


def line8(client, command):
    """One FETCH response with a literal8 in it."""
    tag = client.start(command)
    got = b""
    while not re.search(rb"^%s (OK|NO|BAD) [^\r]*\r\n" % tag.encode(), got, re.M):
        piece = client.file.read1(1 << 16)
        assert piece, got
        got += piece
    return got


def test_capability(box):
    assert b" BINARY " in box.ok("CAPABILITY").untagged[0]


def test_decoded(box):
    got = line8(box, "FETCH 1 (BINARY.SIZE[1] BINARY.PEEK[1])")
    assert b"BINARY.SIZE[1] 768" in got and binary(got, b"BINARY[1]") == (True, DATA)
    expected = TEXT.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    got = line8(box, "FETCH 1 (BINARY.SIZE[2] BINARY.PEEK[2])")
    assert b"BINARY.SIZE[2] %d " % len(expected) in got and binary(got, b"BINARY[2]") == (False, expected)
    got = line8(box, "FETCH 1 (BINARY.PEEK[3] BINARY.PEEK[4] BINARY.SIZE[4])")
    assert binary(got, b"BINARY[3]") == (False, "eine Zeile = größer".encode())
    assert binary(got, b"BINARY[4]") == (False, b"no zero in it") and b"BINARY.SIZE[4] 13" in got
    assert binary(line8(box, "FETCH 1 BINARY.PEEK[6.1]"), b"BINARY[6.1]") == (True, b"inner\0")
    assert b"\\Seen" not in box.fetch("FETCH 1 FLAGS")[1]


def test_partial(box):
    assert binary(line8(box, "FETCH 1 BINARY.PEEK[1]<0.100>"), b"BINARY[1]<0>") == (True, DATA[:100])
    assert binary(line8(box, "FETCH 1 BINARY.PEEK[1]<700.100>"), b"BINARY[1]<700>") == (True, DATA[700:])
    assert binary(line8(box, "FETCH 1 BINARY.PEEK[1]<768.1>"), b"BINARY[1]<768>") == (True, b"")
    assert binary(line8(box, "FETCH 1 BINARY.PEEK[4]<3.4>"), b"BINARY[4]<3>") == (False, b"zero")


def test_seen(box):
    got = line8(box, "FETCH 1 BINARY[4]")
    assert b"\\Seen" in got
    assert b"\\Seen" in box.fetch("FETCH 1 FLAGS")[1]


def test_whole_message_and_what_is_not_there(box):
    assert binary(line8(box, "FETCH 1 BINARY.PEEK[]"), b"BINARY[]") == (False, MIXED)
    assert b"BINARY.SIZE[] %d" % len(MIXED) in line8(box, "FETCH 1 BINARY.SIZE[]")
    got = line8(box, "FETCH 1 (BINARY.PEEK[9] BINARY.SIZE[9])")
    assert b"BINARY[9] NIL" in got and b"BINARY.SIZE[9] 0" in got


def test_unknown_encoding(box):
    box.append(PLAIN)
    for item in ("BINARY[5]", "BINARY.PEEK[5]", "BINARY.SIZE[5]"):
        r = box.do(f"FETCH 1 {item}")
        assert r.status == "NO" and r.text.startswith("[UNKNOWN-CTE]") and not r.of(b"BINARY"), item
    r = box.do("FETCH 1:2 (UID BINARY.SIZE[5] BINARY.SIZE[1])")
    assert r.text.startswith("[UNKNOWN-CTE]") and r.of(rb"^\* 2 FETCH \(UID 2 BINARY.SIZE\[5\] 0 BINARY.SIZE\[1\] ")
    assert b"uryyb" in box.fetch("FETCH 1 BODY.PEEK[5]")[1]


def test_a_message_without_parts(inbox):
    inbox.append(b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n" + lines(b"one\ntwo\n"))
    assert binary(line8(inbox, "FETCH 1 BINARY.PEEK[1]"), b"BINARY[1]") == (False, b"one\r\ntwo\r\n")
    assert b"BINARY.SIZE[1] 10" in line8(inbox, "FETCH 1 BINARY.SIZE[1]")


def test_large_parts(inbox):
    data = bytes((i * 7919) % 256 for i in range(1 << 20))
    text = b"a line that ends with LF\n" * 60000
    inbox.append(message((b"application/x", b"base64", lines(data)), (b"text/plain", b"base64", lines(text))))
    assert binary(line8(inbox, "FETCH 1 BINARY.PEEK[1]"), b"BINARY[1]") == (True, data)
    assert binary(line8(inbox, "FETCH 1 BINARY.PEEK[1]<1048000.1000>"), b"BINARY[1]<1048000>") == (True, data[1048000:])
    expected = text.replace(b"\n", b"\r\n")
    got = line8(inbox, "FETCH 1 (BINARY.SIZE[2] BINARY.PEEK[2])")
    assert b"BINARY.SIZE[2] %d " % len(expected) in got and binary(got, b"BINARY[2]") == (False, expected)
    assert binary(line8(inbox, "FETCH 1 BINARY.PEEK[2]<1000000.30>"), b"BINARY[2]<1000000>") == (False, expected[1000000:1000030])


def test_what_is_malformed(box):
    for bad in ("BINARY", "BINARY[HEADER]", "BINARY[1.MIME]", "BINARY.SIZE[1]<0.1>", "BINARY.PEEK", "BINARY.SIZE", "BINARY[0]", "BINARY[1", "BINARY[TEXT]"):
        assert box.do(f"FETCH 1 {bad}").status == "BAD", bad


def test_beside_other_items(box):
    box.append(NESTED)
    got = line8(box, "FETCH 2 (UID BINARY.PEEK[3] BODY.PEEK[3] FLAGS)")
    assert binary(got, b"BINARY[3]") == (False, b"hello") and literal(got, b"BODY[3]") == b"aGVsbG8="
