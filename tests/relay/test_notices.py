# SPDX-License-Identifier: Apache-2.0
"""Notices end to end: what a sender asked for in MAIL and RCPT (RFC 3461), what the next server hears of it, what comes into his mailbox, in
which language; mail for a later time counts for its account (RFC 4865); and whoever did not send a message hears nothing of it."""
import email
import email.policy
import re
import smtplib
import time

import pytest

from house import DOMAIN, PASSWORD
from remote import Listener

ALICE = f"alice@{DOMAIN}"
TEXT = f"From: {ALICE}\r\nSubject: hello\r\n\r\nthe body\r\n".encode()


class Remote(Listener):
    """A mail server that refuses bad@ and keeps what it heard."""

    def __init__(self, *words):
        self.words, self.heard = words, []
        super().__init__()

    def serve(self, connection):
        with connection.makefile("rwb") as f:
            def say(*lines):
                f.write(b"".join(line.encode() + b"\r\n" for line in lines))
                f.flush()
            say("220 remote.test")
            good = 0
            for line in f:
                word = line[:4].upper()
                if word in (b"MAIL", b"RCPT"):
                    self.heard.append(line.decode().strip())
                if word == b"EHLO":
                    words = ["remote.test", *self.words]
                    say(*[f"250-{w}" for w in words[:-1]], f"250 {words[-1]}")
                elif word == b"MAIL":
                    good = 0
                    say("250 ok")
                elif word == b"RCPT":
                    good += b"<bad" not in line
                    say("550 5.1.1 no such user here" if b"<bad" in line else "250 2.1.5 ok")
                elif word == b"DATA" and not good:
                    say("554 nobody")
                elif word == b"DATA":
                    say("354 go on")
                    for text in f:
                        if text == b".\r\n":
                            break
                    say("250 2.0.0 taken")
                elif word == b"QUIT":
                    say("221 bye")
                    return
                else:
                    say("250 ok")


@pytest.fixture
def house(new_server):
    """house(*EHLO words, conf=""): a server whose mail goes to a Remote; both."""
    remotes = []

    def make(*words, conf=""):
        remotes.append(Remote(*words))
        return new_server(f"route = * 127.0.0.1:{remotes[-1].port} tls=none\nrelay.loopback = yes\nrelay.retry = 1h\n" + conf), remotes[-1]

    yield make
    for r in remotes:
        r.close()


def submit(server, recipients, mail=(), rcpt=(), sender=ALICE, text=TEXT):
    with smtplib.SMTP("127.0.0.1", server.port("submission"), timeout=30) as c:
        c.ehlo("client.test")
        c.login(ALICE, PASSWORD)
        assert not c.sendmail(sender, recipients, text, list(mail), list(rcpt))


def inbox(server, user="alice"):
    import imaplib
    with imaplib.IMAP4("127.0.0.1", server.port("imap"), timeout=30) as c:
        c.login(f"{user}@{DOMAIN}", PASSWORD)
        c.select()
        _, found = c.search(None, "ALL")
        texts = [c.fetch(n, "(BODY.PEEK[])")[1][0][1] for n in found[0].split()]
    return [email.message_from_bytes(t, policy=email.policy.default) for t in texts]


def wait_mails(server, n, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        mails = inbox(server)
        if len(mails) >= n:
            assert len(mails) == n, [m["subject"] for m in mails]
            return mails
        time.sleep(0.1)
    raise AssertionError(f"{len(mails)} mails came, not {n}")


def wait_idle(server, seconds=30):
    end = time.monotonic() + seconds
    while server.json("queue", "list"):
        assert time.monotonic() < end
        time.sleep(0.05)


def fields(report):
    """The part for programs: the fields of the message, and of each recipient."""
    part = report.get_payload()[1]
    assert part.get_content_type() == "message/delivery-status"
    return [dict(block.items()) for block in part.get_payload()]


def test_asked_for_and_passed_on(house):
    s, remote = house("DSN", "8BITMIME")
    submit(s, ["good@far.test"], ["RET=HDRS", "ENVID=id+2B1"], ["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;first@far.test"])
    submit(s, ["good2@far.test"], [], ["NOTIFY=NEVER"])
    submit(s, ["bad@far.test"], ["RET=FULL", "ENVID=id+2B2"], ["NOTIFY=FAILURE", "ORCPT=rfc822;second@far.test"])
    submit(s, ["bad2@far.test"], [], ["NOTIFY=NEVER"])
    submit(s, ["bad3@far.test"], [], ["NOTIFY=SUCCESS,DELAY"])
    wait_idle(s)
    assert any(re.match(r"MAIL FROM:<alice@example.test> .*RET=HDRS.*ENVID=id\+2B1", h) for h in remote.heard), remote.heard
    assert any(re.match(r"RCPT TO:<good@far.test> .*NOTIFY=SUCCESS,FAILURE.*ORCPT=rfc822;first@far.test", h) for h in remote.heard)
    assert "RCPT TO:<good2@far.test> NOTIFY=NEVER" in remote.heard
    report, = wait_mails(s, 1)
    assert report["subject"] == "Your message was not delivered" and report["auto-submitted"] == "auto-replied"
    assert report["return-path"] == "<>"
    message, recipient = fields(report)
    assert message["Original-Envelope-Id"] == "id+2" and message["Reporting-MTA"].startswith("dns; ")
    assert recipient["Original-Recipient"] == "rfc822;second@far.test" and recipient["Action"] == "failed" and recipient["Status"] == "5.1.1"
    assert "the body" in report.get_payload()[2].as_string()


def test_success_where_the_next_server_knows_none_of_it(house):
    s, remote = house("8BITMIME")
    submit(s, ["good@far.test"], ["RET=HDRS", "ENVID=x"], ["NOTIFY=SUCCESS"])
    report, = wait_mails(s, 1)
    assert fields(report)[1]["Action"] == "relayed" and not any("NOTIFY" in h or "ENVID" in h for h in remote.heard)


def test_delivered_here_and_expanded(house):
    s, remote = house("DSN")
    s.command("alias", "add", f"both@{DOMAIN}", f"bob@{DOMAIN}", "far@far.test")
    s.command("alias", "add", f"here@{DOMAIN}", f"bob@{DOMAIN}", ALICE)
    s.command("alias", "add", f"one@{DOMAIN}", "single@far.test")
    submit(s, [f"bob@{DOMAIN}"], [], ["NOTIFY=SUCCESS"])
    assert fields(wait_mails(s, 1)[0])[1]["Action"] == "delivered"
    submit(s, [f"both@{DOMAIN}"], ["ENVID=e"], ["NOTIFY=SUCCESS,FAILURE", f"ORCPT=rfc822;both@{DOMAIN}"])
    report = wait_mails(s, 2)[1]
    assert fields(report)[1]["Action"] == "expanded" and fields(report)[1]["Final-Recipient"] == f"rfc822; both@{DOMAIN}"
    submit(s, [f"both@{DOMAIN}"], [], ["NOTIFY=SUCCESS"])
    assert fields(wait_mails(s, 3)[2])[1]["Action"] == "expanded"
    wait_idle(s)
    to_far = [h for h in remote.heard if "<far@" in h]  # RFC 3461 5.2.7.3 (c): without SUCCESS
    assert f"NOTIFY=FAILURE ORCPT=rfc822;both@{DOMAIN}" in to_far[0] and "NOTIFY=NEVER" in to_far[1]
    submit(s, [f"one@{DOMAIN}"], [], ["NOTIFY=SUCCESS"])  # 5.2.7.2: an alias for one is not reported, its target has it all
    wait_idle(s)
    assert [h for h in remote.heard if "<single@" in h] == ["RCPT TO:<single@far.test> NOTIFY=SUCCESS"]
    submit(s, [f"here@{DOMAIN}"], [], ["NOTIFY=SUCCESS"])
    new = wait_mails(s, 5)[3:]  # the message itself, and that it was delivered
    assert sorted(m.get_content_type() for m in new) == ["multipart/report", "text/plain"]
    assert [fields(m)[1]["Action"] for m in new if m.is_multipart()] == ["delivered"]


def test_in_the_language_of_the_sender(house):
    s, remote = house("DSN", conf="language = fr")
    assert s.json("account", "show", ALICE)["language"] == ""
    submit(s, ["bad@far.test"])
    assert wait_mails(s, 1)[0]["subject"] == "Votre message n'a pas été remis"
    s.command("account", "set", ALICE, "--language", "de-AT")
    assert s.json("account", "show", ALICE)["language"] == "de" and "language  de" in s.command("account", "show", ALICE).stdout
    submit(s, ["bad@far.test"])
    submit(s, [f"bob@{DOMAIN}"], [], ["NOTIFY=SUCCESS"])
    mails = wait_mails(s, 3)[1:]
    assert sorted(m["subject"] for m in mails) == ["Ihre Nachricht wurde nicht zugestellt", "Ihre Nachricht wurde zugestellt"]
    text, = [m.get_payload()[0] for m in mails if "nicht" in m["subject"]]
    assert text["content-language"] == "de" and text.get_content().startswith("Ihre Nachricht an <bad@far.test> wurde nicht zugestellt;")
    s.command("account", "set", ALICE, "--language", "default")
    assert s.json("account", "show", ALICE)["language"] == ""
    r = s.command("account", "set", ALICE, "--language", "klingon", check=False)
    assert r.returncode == 1 and "en, de, fr or default" in r.stderr


def test_nobody_hears_of_mail_that_he_did_not_send(house):
    """Mail from a stranger is forwarded by an alias and refused: its sender may be anybody. It is in the log, and nowhere else."""
    s, remote = house("8BITMIME", conf="trusted = 192.0.2.0/24")
    s.command("alias", "add", f"out@{DOMAIN}", "bad@far.test")
    s.command("alias", "add", f"gone@{DOMAIN}", "good@far.test")
    with smtplib.SMTP("127.0.0.1", s.port("smtp"), timeout=30) as c:
        c.ehlo("stranger.test")
        for sender in ("victim@elsewhere.test", ALICE, ""):
            for to in ("out", "gone"):
                c.mail(sender)
                assert c.docmd("RCPT", f"TO:<{to}@{DOMAIN}> NOTIFY=SUCCESS,FAILURE,DELAY")[0] == 250
                assert c.data(b"Subject: x\r\n\r\nx\r\n")[0] == 250
    wait_idle(s)
    assert s.wait_log(r"event=notice.withheld .*victim@elsewhere.test .*bad@far.test")
    assert not any("victim" in h and h.startswith("RCPT") for h in remote.heard) and inbox(s) == []
    # and a notice causes none: mail with the null reverse-path from who is logged in
    submit(s, ["bad@far.test"], sender="")
    wait_idle(s)
    assert inbox(s) == []


def test_mail_for_later_counts(house):
    s, remote = house("DSN")
    s.command("account", "set", ALICE, "--quota", "100k")
    big = TEXT + b"x" * 98 + b"\r\n"
    big += (b"x" * 98 + b"\r\n") * 600
    hold = ["HOLDFOR=86400"]
    submit(s, ["good@far.test"], hold, text=big)
    with smtplib.SMTP("127.0.0.1", s.port("submission"), timeout=30) as c:
        c.ehlo("client.test")
        c.login(ALICE, PASSWORD)
        for size, code in (("SIZE=50000 ", 552), ("SIZE=30000 ", 250), ("", 250)):
            got = c.docmd("MAIL", f"FROM:<{ALICE}> {size}HOLDFOR=86400")
            assert got[0] == code and (code == 250 or got[1].startswith(b"5.7.16 ")), got
            c.rset()
        c.docmd("MAIL", f"FROM:<{ALICE}> HOLDFOR=86400")  # who does not say the size hears it at the end
        c.rcpt("good@far.test")
        got = c.data(big)
        assert got[0] == 552 and got[1].startswith(b"5.7.16 "), got
        assert not c.sendmail(ALICE, ["good@far.test"], big)  # at once: it does not count
    row, = s.json("queue", "list", "--state", "scheduled")
    s.command("queue", "delete", row["id"])
    submit(s, ["good@far.test"], hold, text=big)
    row, = s.json("queue", "list", "--state", "scheduled")
    s.command("queue", "retry", row["id"])
    wait_idle(s)
    submit(s, ["bad@far.test"], hold, text=big)
    row, = s.json("queue", "list", "--state", "scheduled")
    s.command("queue", "retry", row["id"])
    report, = wait_mails(s, 1)
    assert fields(report)[0]["Future-Release-Request"] == "for;86400"
    s.stop()
    assert "0 problems" in s.command("check", "--store").stdout
