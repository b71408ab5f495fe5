# SPDX-License-Identifier: Apache-2.0
"""Real sockets: two mail hosts on loopback, one of which has enough. What relay learns from it shows in the API and in the command, after a
restart too."""
import smtplib
import time

import pytest

from house import DOMAIN, PASSWORD, Server
from remote import Remote


@pytest.fixture
def remotes():
    both = Remote(), Remote("451 4.7.0 Messages are deferred due to user complaints")
    yield both
    for r in both:
        r.close()


def send(server, to):
    with smtplib.SMTP("127.0.0.1", server.port("submission"), timeout=30) as s:
        s.login(f"alice@{DOMAIN}", PASSWORD)
        s.sendmail(f"alice@{DOMAIN}", [to], f"From: alice@{DOMAIN}\r\nTo: {to}\r\nSubject: x\r\n\r\nhello\r\n")


def sites(server):
    return {s["site"]: s for s in server.json("reputation")}


def wait_sites(server, done, seconds=30):
    end = time.time() + seconds
    while not done(sites(server)):
        assert time.time() < end, f"{sites(server)}\n{server.log()[-3000:]}"
        time.sleep(0.2)
    return sites(server)


def test_reputation(tmp_path, remotes):
    good, bad = remotes
    server = Server(tmp_path, f"route = good.test 127.0.0.1:{good.port} tls=none\nroute = other.test 127.0.0.1:{good.port} tls=none\n"
                              f"route = bad.test 127.0.0.1:{bad.port} tls=none\nrelay.retry = 1s 2s 1h\n")
    server.start()
    try:
        server.command("domain", "add", DOMAIN)
        server.add_account("alice")
        assert "nothing was sent yet" in server.command("reputation").stdout
        send(server, "one@good.test")
        send(server, "two@other.test")
        send(server, "three@bad.test")
        names = f"127.0.0.1:{good.port}", f"127.0.0.1:{bad.port}"
        seen = wait_sites(server, lambda s: all(n in s for n in names) and s[names[0]]["accepted"] == 2)
        assert seen[names[0]]["pace"] is None and seen[names[0]]["deferred"] == 0  # two domains, one destination
        assert seen[names[1]]["accepted"] == 0 and seen[names[1]]["deferred"] == 1 and seen[names[1]]["complained"] == 1
        pace = seen[names[1]]["pace"]
        assert time.time() + 3 * 3600 < pace["suspended"] < time.time() + 5 * 3600
        assert "user complaints" in pace["why"]
        text = server.command("reputation").stdout
        assert "suspended for" in text and "user complaints" in text and "usual" in text
        server.restart()
        send(server, "four@bad.test")
        send(server, "five@good.test")
        seen = wait_sites(server, lambda s: s[names[0]]["accepted"] == 3)
        assert good.taken == 3
        assert seen[names[1]]["deferred"] == 1  # it is still left in peace
        bad.answer = None
        assert "usual pace" in server.command("pace", "reset", names[1]).stdout
        server.command("queue", "retry", "--all")
        wait_sites(server, lambda s: s[names[1]]["accepted"] == 2 and s[names[1]]["pace"] is None)
        assert server.command("pace", "reset", "nowhere.test", check=False).returncode == 1
    finally:
        server.stop()
