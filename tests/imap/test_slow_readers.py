# SPDX-License-Identifier: Apache-2.0
"""Clients that ask for much and do not read it: each holds a buffer, not the mailbox, and others go on."""
import re
import socket
import time

from imap_dialog import Client

MESSAGES, BYTES, READERS = 40, 200_000, 300


def shared_kib(server):
    """Shared memory that the session process has touched."""
    status = open(f"/proc/{server.role_pid('session-user')}/status").read()
    return int(re.search(r"RssShmem:\s+(\d+)", status)[1])


def settled(measure, seconds=20):
    """A figure that stays the same for a while."""
    end, last, same = time.time() + seconds, None, 0
    while time.time() < end and same < 5:
        time.sleep(0.1)
        now = measure()
        same, last = (same + 1 if now == last else 0), now
    return last


def body(number):
    line = b"line %d of some text that is long enough to be one\r\n" % number
    return b"Subject: %d\r\n\r\n" % number + line * (BYTES // len(line))


def test_many_slow_readers_share_the_memory(new_server):
    server = new_server("connections-per-address = 1000\nsessions = 1")
    user = "alice@example.test"
    with_mail = Client(server.port("imap")).login(user)
    for i in range(MESSAGES):
        with_mail.append(body(i))
    slow = []
    try:
        for _ in range(READERS):
            c = Client(server.port("imap"), rcvbuf=4096)
            slow.append(c)
            c.login(user)
            c.ok("EXAMINE INBOX")
            c.tag = c.start("FETCH 1:* BODY.PEEK[]")
        assert settled(lambda: shared_kib(server)) < 128 * 1024
        begun = time.time()
        with_mail.ok("SELECT INBOX")
        got = with_mail.fetch("FETCH 1:* BODY.PEEK[]")
        assert len(got) == MESSAGES and all(body(i) in got[i + 1] for i in range(MESSAGES))
        assert time.time() - begun < 15
        for c in slow[:: READERS // 10]:  # whoever reads at last gets all of it
            c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            r = c.wait(c.tag)
            assert r.status == "OK" and len(r.untagged) == MESSAGES
            assert all(body(i) in r.untagged[i] for i in range(MESSAGES))
    finally:
        with_mail.close()
        for c in slow:
            c.close()
