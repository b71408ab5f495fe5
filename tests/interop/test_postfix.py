# SPDX-License-Identifier: Apache-2.0
"""Posthouse and Debian's Postfix exchange mail on loopback, in both directions."""
import imaplib
import os
import smtplib
import socket
import time

import pytest

from house import DOMAIN, PASSWORD
from dns import A, MX, DnsServer, a, mx
from postfix import Postfix

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="Postfix needs root")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """(Posthouse, Postfix): Posthouse finds peer.test by DNS (MX, then A, on loopback), Postfix sends example.test to Posthouse."""
    from house import Server
    peer_port = free_port()
    dns = DnsServer({("peer.test", MX): [mx(20, "down.peer.test"), mx(10, "mail.peer.test")], ("mail.peer.test", A): [a("127.0.0.1")], ("down.peer.test", A): [a("127.0.0.9")],
                     ("nomail.test", MX): [b"\0\0\0"]})
    conf = f"dns.server = 127.0.0.1@{dns.port}\nrelay.port = {peer_port}\nrelay.loopback = yes\nrelay.retry = 1s 1s 2s\ndns.trust-anchor = /nonexistent"
    house = Server(tmp_path_factory.mktemp("house"), conf).start()
    peer = None
    try:
        house.command("domain", "add", DOMAIN)
        for name in ("alice", "bob"):
            house.add_account(name)
        peer = Postfix(tmp_path_factory.mktemp("postfix"), peer_port, "peer.test", users=("carl", "dora"), transport={DOMAIN: f"127.0.0.1:{house.port('smtp')}"}).start()
        yield house, peer, dns
    finally:
        if peer:
            peer.stop()
        dns.stop()
        house.stop()


def wait_inbox(house, user, subject, seconds=20):
    """The newest message with that subject, as bytes."""
    client = imaplib.IMAP4("127.0.0.1", house.port("imap"))
    client.login(f"{user}@{DOMAIN}", PASSWORD)
    end = time.time() + seconds
    try:
        while time.time() < end:
            client.select("INBOX", readonly=True)
            numbers = client.search(None, "SUBJECT", f'"{subject}"')[1][0].split()
            if numbers:
                return client.fetch(numbers[-1], "(BODY.PEEK[])")[1][0][1]
            time.sleep(0.1)
    finally:
        client.logout()
    raise AssertionError(f"{user} got no '{subject}'\n{house.log()[-3000:]}")


def submit(house, to, data, user="alice", **options):
    client = smtplib.SMTP("127.0.0.1", house.port("submission"))
    client.login(f"{user}@{DOMAIN}", PASSWORD)
    client.sendmail(f"{user}@{DOMAIN}", to, data, **options)
    client.quit()


def test_postfix_to_posthouse(pair):
    house, peer, _ = pair
    client = smtplib.SMTP("127.0.0.1", peer.port)
    client.sendmail("carl@peer.test", [f"alice@{DOMAIN}", f"bob@{DOMAIN}"], b"Subject: from postfix\r\n\r\nhello\r\n.dot\r\n")
    client.quit()
    for user in ("alice", "bob"):
        got = wait_inbox(house, user, "from postfix")
        assert b"\r\n\r\nhello\r\n.dot\r\n" in got
    assert b"with ESMTPS" in got.split(b"by peer.test")[0], "Postfix used STARTTLS to us"


def test_posthouse_to_postfix(pair):
    house, peer, dns = pair
    submit(house, ["carl@peer.test", "dora@peer.test"], b"From: alice@example.test\r\nSubject: from posthouse\r\n\r\nhello\r\n.dot\r\n..\r\n")
    for user in ("carl", "dora"):
        got = peer.wait_mail(user)[-1]
        assert b"Subject: from posthouse\n" in got and got.endswith(b"\n\nhello\n.dot\n..\n")
    assert b"TLSv1.3" in got, "we used STARTTLS to Postfix"
    assert b"Message-ID: <" in got and b"\nDate: " in got
    assert ("peer.test", MX) in dns.asked
    end = time.time() + 10
    while house.json("queue", "list") and time.time() < end:
        time.sleep(0.1)
    assert not house.json("queue", "list")


def test_a_refusal_comes_back_as_a_notice(pair):
    house, peer, _ = pair
    submit(house, ["nobody@peer.test"], b"From: alice@example.test\r\nSubject: to nobody\r\n\r\nhello\r\n")
    got = wait_inbox(house, "alice", "Your message was not delivered")
    assert b"multipart/report" in got and b"Action: failed" in got and b"Status: 5.1.1" in got
    assert b"Final-Recipient: rfc822; nobody@peer.test" in got and b"Subject: to nobody" in got
    assert got.startswith(b"Return-Path: <>\r\n")


def test_null_mx_and_unknown_domain(pair):
    house, _, _ = pair
    for domain, words in (("nomail.test", b"null MX"), ("gone.test", b"does not exist")):
        submit(house, [f"x@{domain}"], f"From: bob@example.test\r\nSubject: to {domain}\r\n\r\nhello\r\n".encode(), user="bob")
        end = time.time() + 20
        while words not in (got := wait_inbox(house, "bob", "Your message was not delivered")) and time.time() < end:
            time.sleep(0.2)
        assert words in got


def test_a_dead_server_is_tried_again(pair):
    house, peer, _ = pair
    peer.stop()
    submit(house, ["carl@peer.test"], b"From: alice@example.test\r\nSubject: for later\r\n\r\nhello\r\n")
    time.sleep(1.5)
    rows = house.json("queue", "list")
    assert len(rows) == 1 and rows[0]["tries"] >= 1
    before = len(peer.mail("carl"))
    peer.start()
    assert b"Subject: for later" in peer.wait_mail("carl", before + 1)[-1]


def test_large_and_binary_looking_mail(pair):
    house, peer, _ = pair
    body = b"".join(b"%06d " % i + b"x" * 60 + b"\r\n" for i in range(40000))
    before = len(peer.mail("dora")) if (peer.folder / "mail/dora").exists() else 0
    submit(house, ["dora@peer.test"], b"From: alice@example.test\r\nSubject: large\r\n\r\n" + body)
    assert peer.wait_mail("dora", before + 1)[-1].endswith(body.replace(b"\r\n", b"\n"))
