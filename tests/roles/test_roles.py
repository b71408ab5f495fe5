# SPDX-License-Identifier: Apache-2.0
"""Roles die one by one (SIGKILL) while clients are connected: the others go on within a second, connections are kept."""
import imaplib
import os
import signal
import smtplib
import socket
import threading
import time

import pytest

from house import DOMAIN, PASSWORD, Server

MESSAGE = b"Subject: roles\r\n\r\nhello\r\n"


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    s = Server(tmp_path_factory.mktemp("roles"), "sessions = 1").start()
    s.command("domain", "add", DOMAIN)
    s.add_account("alice")
    yield s
    s.stop()


def within(seconds, act):
    """Repeats act until it no longer raises; fails after that time."""
    end = time.time() + seconds
    while True:
        try:
            return act()
        except Exception:
            if time.time() > end:
                raise
            time.sleep(0.05)


def deliver(client):
    return client.sendmail("x@example.org", [f"alice@{DOMAIN}"], MESSAGE)


@pytest.mark.parametrize("role", ["store", "auth", "resolver", "relay", "scan", "indexer"])
def test_a_killed_role_is_replaced_and_connections_are_kept(house, role):
    smtp = smtplib.SMTP("127.0.0.1", house.port("smtp"))
    deliver(smtp)
    imap = imaplib.IMAP4("127.0.0.1", house.port("imap"))
    imap.login(f"alice@{DOMAIN}", PASSWORD)
    imap.select("INBOX")
    old = house.role_pid(role)
    os.kill(old, signal.SIGKILL)
    # the same SMTP connection delivers, the same IMAP connection reads, within seconds (sanitizers make starting slow)
    within(8, lambda: deliver(smtp))
    ok, _ = within(8, lambda: check_ok(imap.noop()))
    ok, data = within(8, lambda: check_ok(imap.fetch("1", "(UID FLAGS BODY.PEEK[TEXT])")))
    assert b"hello" in data[0][1]
    within(8, lambda: imaplib.IMAP4("127.0.0.1", house.port("imap")).login(f"alice@{DOMAIN}", PASSWORD))
    assert within(8, lambda: house.role_pid(role)) != old
    smtp.quit()
    imap.logout()


def check_ok(answer):
    assert answer[0] == "OK", answer
    return answer


@pytest.mark.parametrize("role", ["session-mx", "session-user", "session-admin"])
def test_a_killed_session_process_is_replaced(house, role):
    old = house.role_pid(role)
    os.kill(old, signal.SIGKILL)
    within(8, lambda: deliver(smtplib.SMTP("127.0.0.1", house.port("smtp"))))
    within(8, lambda: imaplib.IMAP4("127.0.0.1", house.port("imap")).login(f"alice@{DOMAIN}", PASSWORD))
    within(8, lambda: house.command("status"))
    assert within(8, lambda: house.role_pid(role)) != old


def test_nothing_acknowledged_is_lost_when_the_store_is_killed_again_and_again(house):
    """Deliveries go on while the store is killed; every 250 is one message, no message is there twice."""
    account = house.add_account("counted")
    acknowledged, uncertain, stop = [], [], threading.Event()

    def sender(k):
        n, client = 0, None
        while not stop.is_set():
            name = f"{k}-{n}"
            n += 1
            try:
                if client is None:
                    client = smtplib.SMTP("127.0.0.1", house.port("smtp"), timeout=30)
                client.sendmail("x@example.org", [account], f"Subject: {name}\r\n\r\n{name}\r\n".encode())
                acknowledged.append(name)
            except smtplib.SMTPResponseException:
                client.rset()
            except smtplib.SMTPRecipientsRefused:
                pass
            except (OSError, smtplib.SMTPException):
                uncertain.append(name)  # the connection broke: it may or may not be there
                client = None

    threads = [threading.Thread(target=sender, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for _ in range(4):
        time.sleep(1.0)
        house.kill_role("store")
    time.sleep(2)
    stop.set()
    for t in threads:
        t.join()
    imap = within(8, lambda: imaplib.IMAP4("127.0.0.1", house.port("imap")))
    within(8, lambda: check_ok(imap.login(account, PASSWORD)))
    count = int(imap.select("INBOX", readonly=True)[1][0])
    there = [line[1].strip().split(b": ")[1].decode() for line in imap.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1] if isinstance(line, tuple)]
    assert len(there) == count
    assert len(set(there)) == len(there), "a message is there twice"
    missing = set(acknowledged) - set(there)
    assert not missing, f"acknowledged and lost: {sorted(missing)[:5]} of {len(missing)}"
    assert set(there) <= set(acknowledged) | set(uncertain), "a message is there that was refused"
    assert len(acknowledged) > 20


def test_reload_drops_no_connection(house):
    imap = imaplib.IMAP4("127.0.0.1", house.port("imap"))
    imap.login(f"alice@{DOMAIN}", PASSWORD)
    text = house.conf.read_text()
    extra = house.base + 26
    mark = len(house.log())
    house.conf.write_text(text + f"\nlisten = smtp 127.0.0.1:{extra}\nmessage-bytes-max = 2k\n")
    house.process.send_signal(signal.SIGHUP)
    within(8, lambda: deliver(smtplib.SMTP("127.0.0.1", extra)))
    with pytest.raises(smtplib.SMTPResponseException) as refused:
        smtplib.SMTP("127.0.0.1", extra).sendmail("x@example.org", [f"alice@{DOMAIN}"], b"Subject: x\r\n\r\n" + b"x" * 70 + b"\r\n" + b"yyyyyyyy\r\n" * 400)
    assert refused.value.smtp_code == 552
    check_ok(imap.noop())
    # a wrong file changes nothing and is named
    house.conf.write_text(text + "\nmessage-bytes-max = many\n")
    house.process.send_signal(signal.SIGHUP)
    house.wait_log(r"message-bytes-max", start=mark)
    check_ok(imap.noop())
    deliver(smtplib.SMTP("127.0.0.1", extra))
    house.conf.write_text(text)
    house.process.send_signal(signal.SIGHUP)

    def closed():
        try:
            socket.create_connection(("127.0.0.1", extra), 1).close()
        except OSError:
            return
        raise RuntimeError("still open")
    within(8, closed)
    check_ok(imap.noop())
    imap.logout()


def test_one_process(new_server):
    s = new_server(arguments=["--one-process"])
    smtplib.SMTP("127.0.0.1", s.port("smtp")).sendmail("x@example.org", [f"alice@{DOMAIN}"], MESSAGE)
    imap = imaplib.IMAP4("127.0.0.1", s.port("imap"))
    imap.login(f"alice@{DOMAIN}", PASSWORD)
    assert imap.select("INBOX")[1][0] == b"1"
    imap.logout()
