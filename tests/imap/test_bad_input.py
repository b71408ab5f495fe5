# SPDX-License-Identifier: Apache-2.0
"""What strangers and broken clients send: a clear reply, and only their own session pays."""
import socket
import time

import pytest
from imap_dialog import PASSWORD, PLAIN, Client


def test_malformed_commands(inbox):
    for command in (b"", b"FROBNICATE", b"UID NOOP", b"UID", b"FETCH", b"FETCH 1", b"FETCH x FLAGS", b"SELECT", b"SELECT a b", b"LIST", b"NOOP x",
                    b"STORE 1 FLAGS", b"COPY 1", b"LOGOUT now", b"SEARCH (((", b"CREATE", b"RENAME a", b"ID x", b"APPEND"):
        assert inbox.do(command).status == "BAD", command
        inbox.ok("NOOP")
    inbox.send(b"\r\n")
    assert inbox.line().startswith(b"* BAD")
    inbox.send(b"+tag NOOP\r\n")
    assert inbox.line().startswith(b"* BAD")


def test_too_many_bad_commands(connect):
    c = connect()
    for i in range(20):
        c.send(b"a FROBNICATE\r\n")
    lines = [c.line() for _ in range(21)]
    assert lines[-1].startswith(b"* BYE") and c.closed()


def test_bad_counter_starts_again(connect):
    c = connect()
    for _ in range(30):
        assert c.do("FROBNICATE").status == "BAD"
        c.ok("NOOP")


def test_line_too_long(inbox, connect):
    inbox.send(b"a NOOP " + b"x" * 70000 + b"\r\n")
    assert b"TOOBIG" in inbox.line()
    inbox.ok("NOOP")
    c = connect()
    c.send(b"a NOOP " + b"x" * 9000 + b"\r\n")
    assert b"TOOBIG" in c.line()
    c.ok("NOOP")


def test_bare_line_ends_and_nul(inbox):
    for bad in (b"a NOOP\n", b"a NO\rOP\r\n", b"a NO\0OP\r\n"):
        inbox.send(bad)
        assert b"BAD" in inbox.line()
    inbox.ok("NOOP")
    assert inbox.do(b"SELECT {3+}\r\na\0b").status == "BAD"


def test_literal_too_large(inbox, connect):
    r = inbox.do("SELECT {1000000}")
    assert r.status == "NO" and r.text.startswith("[TOOBIG]")
    r = inbox.do(b"SELECT {200000+}\r\n" + b"x" * 200000)
    assert r.status == "NO" and r.text.startswith("[TOOBIG]")
    inbox.ok("NOOP")
    r = inbox.do(b"SELECT {200000+}\r\n" + b"x" * 200000 + b" {100000+}\r\n" + b"y" * 100000)
    assert r.text.startswith("[TOOBIG]")
    inbox.ok("NOOP")
    inbox.send(b"b SELECT {9999999999+}\r\n")
    r = inbox.wait("b")
    assert r.text.startswith("[TOOBIG]") and inbox.closed()
    c = connect()
    assert c.do("LOGIN {100000}").text.startswith("[TOOBIG]")
    c.send(b"a LOGIN {99999999999999999999999}\r\n")
    assert b"BAD" in c.line()


def test_append_before_login(connect):
    c = connect()
    assert c.do(b"APPEND INBOX {%d+}\r\n" % len(PLAIN) + PLAIN).status == "BAD"
    assert c.do("APPEND INBOX {100}").status == "BAD"
    c.ok("NOOP")


def test_long_user_names_and_passwords(connect):
    c = connect()
    assert c.do("LOGIN " + "u" * 3000 + " " + "p" * 3000).text.startswith("[AUTHENTICATIONFAILED]")
    assert c.do(b"LOGIN \xff\xfe x").status == "BAD"
    assert c.do(b"LOGIN {2+}\r\n\xff\xfe x").status == "NO"


DIALOG = b"a LOGIN {5+}\r\nalice {1+}\r\nx\r\nb AUTHENTICATE PLAIN\r\nAGEAYg==\r\nc APPEND INBOX (\\Seen) {10+}\r\n0123456789\r\nd IDLE\r\nDONE\r\n"


def test_cut_at_every_byte(server):
    for n in range(0, len(DIALOG)):
        s = socket.create_connection(("127.0.0.1", server.port("imap")))
        s.sendall(DIALOG[:n])
        s.close()
    Client(server.port("imap")).ok("NOOP")


def test_one_byte_at_a_time(connect, account):
    c = connect()
    for b in f"a LOGIN {{{len(account)}+}}\r\n{account} \"{PASSWORD}\"\r\n".encode():
        c.send(bytes([b]))
    assert c.wait("a").status == "OK"


@pytest.mark.parametrize("size", [200_000, 3_000_000])
def test_slow_reader(connect, account, size):
    c = connect(account, rcvbuf=4096)
    body = PLAIN + b"y" * 70 + b"\r\n" + b"z" * size
    c.append(body)
    c.ok("SELECT INBOX")
    tags = [c.start("FETCH 1 BODY.PEEK[]") for _ in range(3)]
    time.sleep(1)
    other = connect(account)
    other.ok("NOOP")
    for t in tags:
        r = c.wait(t)
        assert r.status == "OK" and len(r.untagged[0]) > size


def test_reader_that_leaves(connect, account):
    c = connect(account)
    c.append(PLAIN + b"z" * 3_000_000)
    c.ok("SELECT INBOX")
    for _ in range(5):
        c.start("FETCH 1 BODY.PEEK[]")
    c.sock.recv(1000)
    c.close()
    connect(account).ok("SELECT INBOX")


def test_huge_sets(inbox):
    for _ in range(3):
        inbox.append(PLAIN)
    assert len(inbox.fetch("UID FETCH " + ",".join(str(i) for i in range(1, 9000)) + " FLAGS")) == 3
    assert len(inbox.fetch("UID FETCH 1:4294967295,* FLAGS")) == 3
    assert len(inbox.fetch("UID FETCH " + ",".join(["1:*"] * 10000) + " FLAGS")) == 3
    assert inbox.do("FETCH 99999999999 FLAGS").status == "BAD"


def test_deep_mime_and_many_fields(inbox):
    deep = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (i, i) for i in range(10000)) + b"\r\nx\r\n"
    inbox.append(deep)
    many = b"".join(b"X-%d: v\r\n" % i for i in range(100000)) + b"\r\nbody\r\n"
    inbox.append(many)
    r = inbox.ok("FETCH 1:2 (ENVELOPE BODYSTRUCTURE RFC822.SIZE)")
    assert len(r.of(rb"FETCH \(")) == 2
    r = inbox.ok("FETCH 1:2 (BODY.PEEK[" + ".".join(["1"] * 100) + "] BODY.PEEK[HEADER.FIELDS (X-5)])")
    assert len(r.of(rb"FETCH \(")) == 2
    assert inbox.do("FETCH 1 BODY[" + ".".join(["1"] * 101) + "]").status == "BAD"
