# SPDX-License-Identifier: Apache-2.0
"""Mail to other servers while relay is killed or stopped: whoever comes next takes it on within seconds, and it arrives once."""
import smtplib
import socketserver
import threading
import time

import pytest

from house import DOMAIN, PASSWORD


class SlowServer(socketserver.ThreadingTCPServer):
    """An SMTP server that takes mail; while `hang` is set it never answers DATA. taken: the messages, began: how often somebody asked to send DATA."""
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Dialog)
        self.port = self.server_address[1]
        self.hang, self.began, self.taken, self.lock = False, 0, [], threading.Lock()
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Dialog(socketserver.StreamRequestHandler):
    def handle(self):
        try:
            self.talk()
        except OSError:
            pass  # the other side was killed

    def say(self, text):
        self.wfile.write(text + b"\r\n")

    def talk(self):
        self.say(b"220 slow.test ESMTP")
        for line in self.rfile:
            word = line.split()[0].upper() if line.split() else b""
            if word == b"QUIT":
                self.say(b"221 bye")
                return
            if word != b"DATA":
                self.say(b"250 ok")
                continue
            with self.server.lock:
                self.server.began += 1
                hang = self.server.hang
            if hang:
                self.rfile.read()  # until the other side goes away
                return
            self.say(b"354 go ahead")
            message = b""
            while (line := self.rfile.readline()) not in (b".\r\n", b""):
                message += line
            if not line:
                return
            with self.server.lock:
                self.server.taken.append(message)
            self.say(b"250 taken")


@pytest.fixture
def slow():
    s = SlowServer()
    yield s
    s.shutdown()
    s.server_close()


@pytest.fixture
def house(new_server, slow):
    return new_server(f"route = remote.test 127.0.0.1:{slow.port} tls=none\nrelay.loopback = yes\nrelay.connections = 1", accounts=("alice",))


def wait(what, seconds=15):
    end = time.time() + seconds
    while not what():
        assert time.time() < end, "it did not happen in time"
        time.sleep(0.02)


def submit(house, names):
    with smtplib.SMTP("127.0.0.1", house.port("submission")) as client:
        client.login(f"alice@{DOMAIN}", PASSWORD)
        for name in names:
            client.sendmail(f"alice@{DOMAIN}", ["x@remote.test"], f"From: alice@{DOMAIN}\r\nSubject: {name}\r\n\r\nhello\r\n".encode())


def subjects(slow):
    return sorted(line[9:].decode() for m in slow.taken for line in m.splitlines() if line.startswith(b"Subject: "))


def all_arrive_once(house, slow, names):
    wait(lambda: len(slow.taken) >= len(names))
    wait(lambda: not house.json("queue", "list"))
    assert subjects(slow) == sorted(names)


def test_relay_is_killed_with_mail_under_way(house, slow):
    """One message is under way, others wait behind it for the only connection."""
    names = [f"killed {i}" for i in range(5)]
    slow.hang = True
    submit(house, names)
    wait(lambda: slow.began == 1)
    slow.hang = False
    old = house.role_pid("relay")
    house.kill_role("relay")
    all_arrive_once(house, slow, names)
    assert house.role_pid("relay") != old


def test_the_store_is_killed_with_mail_under_way(house, slow):
    """Relay keeps what it holds: it goes on with it, and nobody else begins it."""
    slow.hang = True
    submit(house, ["kept"])
    wait(lambda: slow.began == 1)
    slow.hang = False
    house.kill_role("store")
    house.wait_log(r"event=relay\.leases_told rows=1", seconds=15)
    time.sleep(0.5)
    assert slow.began == 1
    house.kill_role("relay")  # the store that was started again ends its leases
    all_arrive_once(house, slow, ["kept"])


def test_the_server_is_stopped_with_mail_under_way(house, slow):
    names = [f"stopped {i}" for i in range(5)]
    slow.hang = True
    submit(house, names)
    wait(lambda: slow.began == 1)
    slow.hang = False
    house.restart()
    all_arrive_once(house, slow, names)
