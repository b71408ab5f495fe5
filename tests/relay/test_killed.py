# SPDX-License-Identifier: Apache-2.0
"""Relay and store are killed again and again while mail goes out to a host that counts: nobody's is lost, and a recipient who has left the queue
for good does not get a second copy. (The crash driver does the same for the store at each of its writes.)"""
import json
import random
import smtplib
import threading
import time

from house import DOMAIN, PASSWORD
from remote import Listener

ALICE = f"alice@{DOMAIN}"
ROWS, KILLS = 600, 10


class Sink(Listener):
    """Takes all mail, slowly, and counts it by recipient."""

    def __init__(self):
        self.copies, self.lock = {}, threading.Lock()
        super().__init__(backlog=100)

    def serve(self, connection):
        to = b""
        with connection.makefile("rwb") as f:
            def say(text):
                f.write(text + b"\r\n")
                f.flush()
            say(b"220 sink.test")
            for line in f:
                word = line[:4].upper()
                if word == b"RCPT":
                    to = line[line.index(b"<") + 1:line.index(b">")]
                if word == b"DATA":
                    say(b"354 go on")
                    for text in f:
                        if text == b".\r\n":
                            break
                    else:
                        return
                    time.sleep(0.1)
                    with self.lock:  # taken, whether or not the reply arrives
                        self.copies[to.decode()] = self.copies.get(to.decode(), 0) + 1
                say(b"221 bye" if word == b"QUIT" else b"250 ok")

    def count(self):
        with self.lock:
            return dict(self.copies)


def waiting(server):
    """Who is still in the queue; the store may be on its way back."""
    end = time.monotonic() + 30
    while True:
        r = server.command("queue", "list", "--json", check=False)
        if r.returncode == 0:
            return {to["address"] for row in json.loads(r.stdout) for to in row["recipients"]}
        assert time.monotonic() < end, r.stderr
        time.sleep(0.05)


def kill(server, role):
    try:
        server.kill_role(role)
    except AssertionError:
        return 0  # it is being started again
    return 1


def test_neither_loss_nor_a_second_copy(new_server):
    sink, dice = Sink(), random.Random(7)
    s = new_server(f"route = * 127.0.0.1:{sink.port} tls=none\nrelay.loopback = yes\nrelay.retry = 1s\npace = 127.0.0.1 connections=10")
    everybody = {f"u{i}@d{i}.test" for i in range(ROWS)}
    todo = sorted(everybody)
    with smtplib.SMTP("127.0.0.1", s.port("submission"), timeout=60) as c:
        c.login(ALICE, PASSWORD)
        for i in range(0, ROWS, 100):
            assert not c.sendmail(ALICE, todo[i:i + 100], f"From: {ALICE}\r\nSubject: x\r\n\r\nx\r\n")
    known = {}  # who has left the queue, and how many copies he had then at most
    kills, end = 0, time.monotonic() + 180
    while True:
        left = waiting(s)
        for address in everybody - left - set(known):
            known[address] = None
        copies = sink.count()
        for address, n in known.items():
            known[address] = copies[address] if n is None else n
        if not left:
            break
        assert time.monotonic() < end, f"{len(left)} are still in the queue"
        if kills < KILLS:
            kills += kill(s, dice.choice(("relay", "relay", "store")))
        time.sleep(0.5)
    copies = sink.count()
    assert kills == KILLS and set(copies) == everybody
    again = {a: (n, copies[a]) for a, n in known.items() if copies[a] > n}
    assert not again, f"a further copy after the row was gone: {again}"
    s.stop()
    assert "0 problems" in s.command("check", "--store").stdout
    print(f"{sum(copies.values()) - ROWS} were under way when something was killed, and came twice")
