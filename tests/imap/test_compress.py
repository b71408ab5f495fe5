# SPDX-License-Identifier: Apache-2.0
"""COMPRESS=DEFLATE (RFC 4978)."""
import io
import os
import random
import zlib

import pytest
from imap_dialog import PLAIN, literal


class Inflating(io.RawIOBase):
    """Reads what a socket's file has, inflated."""

    def __init__(self, file):
        self.file, self.z, self.rest = file, zlib.decompressobj(-15), b""

    def readable(self):
        return True

    def readinto(self, to):
        while not self.rest:
            packed = self.file.read1(65536)
            if not packed:
                return 0
            self.rest = self.z.decompress(packed)
        n = min(len(to), len(self.rest))
        to[:n], self.rest = self.rest[:n], self.rest[n:]
        return n


def compress(c, level=6):
    c.ok("COMPRESS DEFLATE")
    c.plain_file = c.file
    c.file = io.BufferedReader(Inflating(c.file))
    c.z = zlib.compressobj(level, zlib.DEFLATED, -15)
    c.send = lambda data: c.sock.sendall(c.z.compress(data) + c.z.flush(zlib.Z_SYNC_FLUSH))
    return c


@pytest.mark.parametrize("tls", [False, True])
def test_a_compressed_session(connect, account, tls):
    c = connect(account, port="imaps" if tls else "imap", tls=tls)
    assert c.ok("CAPABILITY").of(rb" COMPRESS=DEFLATE")
    compress(c)
    assert c.do("COMPRESS DEFLATE").text.startswith("[COMPRESSIONACTIVE]")
    c.ok("SELECT INBOX")
    body = PLAIN + os.urandom(300000).replace(b"\0", b"\1") + b"\r\n"
    for _ in range(3):
        c.append(body)
        c.append(PLAIN)
    r = c.ok("FETCH 1:6 BODY.PEEK[]")
    assert [literal(u, b"BODY[]") for u in r.untagged] == [body, PLAIN] * 3
    tags = [c.start("FETCH 2 BODY.PEEK[]") for _ in range(50)]  # pipelined
    assert all(literal(c.wait(t).untagged[0], b"BODY[]") == PLAIN for t in tags)
    r = c.do("LOGOUT")
    assert r.status == "OK" and r.untagged == [b"* BYE until next time"]
    assert c.closed()


def test_words(connect, account):
    assert connect().do("COMPRESS DEFLATE").status == "BAD"
    c = connect(account)
    assert c.do("COMPRESS").status == "BAD"
    assert c.do("COMPRESS GZIP").status == "BAD"
    assert c.do("COMPRESS DEFLATE now").status == "BAD"
    c.ok("NOOP")
    compress(c).ok("NOOP")


def test_pushes_reach_an_idle_client(connect, account):
    """The task of a connection is given back although the bytes of a flush come behind those of its line."""
    c = compress(connect(account))
    c.ok("SELECT INBOX")
    other = connect(account)
    for round in range(3):
        packed = c.z.compress(b"i IDLE\r\n") + c.z.flush(zlib.Z_SYNC_FLUSH)
        c.sock.sendall(packed[:-4])
        assert c.line().startswith(b"+ ")
        c.sock.sendall(packed[-4:])
        other.append(PLAIN)
        assert c.line() == b"* %d EXISTS" % (round + 1)
        assert b"RECENT" in c.line()
        c.send(b"DONE\r\n")
        assert c.wait("i").status == "OK"


def test_commands_refer_to_earlier_ones(connect, account):
    """What the client may refer to outlives the rests in between: 32 KiB of it."""
    c = compress(connect(account), level=9)
    rng = random.Random(1)
    words = [bytes(rng.choice(b"abcdefghijklmnop") for _ in range(900)) for _ in range(30)]
    for word in words + words:
        r = c.do(b'STATUS "' + word + b'" (MESSAGES)')
        assert r.status == "NO"


def test_two_kinds_of_memory(connect, account):
    """Each block on its own (Z_FULL_FLUSH), then stored ones."""
    c = compress(connect(account))
    c.send = lambda data: c.sock.sendall(c.z.compress(data) + c.z.flush(zlib.Z_FULL_FLUSH))
    for _ in range(3):
        c.ok("NOOP")
    c.send = lambda data: c.sock.sendall(b"\0" + len(data).to_bytes(2, "little") + (len(data) ^ 0xFFFF).to_bytes(2, "little") + data)
    for _ in range(3):
        c.ok("NOOP")


@pytest.mark.parametrize("sent", [b"a NOOP\r\nb NOOP\r\n", b"\xff" * 100, b"\x01\x00\x00\xff\xff"])
def test_garbage_ends_the_connection(connect, account, sent):
    c = compress(connect(account))
    c.sock.sendall(sent)
    assert c.line() == b"" and c.closed()
    connect(account).ok("NOOP")


def test_garbage_that_comes_with_the_command(connect, account):
    c = connect(account)
    tag = c.start(b"COMPRESS DEFLATE\r\nb NOOP\r\nc NOOP")
    assert c.wait(tag).status == "OK"
    assert c.closed()


def test_bombs(connect, account):
    c = compress(connect(account), level=9)
    packed = c.z.compress(b"a" * 200_000_000) + c.z.flush(zlib.Z_SYNC_FLUSH)
    assert len(packed) < 300_000
    try:
        c.sock.sendall(packed)
    except OSError:
        pass
    assert c.closed()
    c = compress(connect(account), level=9)
    message = PLAIN + b"x" * 10_000_000
    c.append(message)  # that is no bomb but a dull message
    assert c.do(b"APPEND INBOX {90000000+}\r\n" + b"x" * 90_000_000).text.startswith("[TOOBIG]")
    c.ok("NOOP")


def test_unauthenticate_ends_it(connect, account):
    c = compress(connect(account))
    plain = c.plain_file
    assert c.ok("UNAUTHENTICATE")
    c.file = plain
    c.send = c.sock.sendall
    c.login(account)
    compress(c).ok("NOOP")
