# SPDX-License-Identifier: Apache-2.0
"""A backup MX that knows its users: mail for a domain of another server is taken for those it has, whoever lists them or answers for them; what is
guessed is refused, and asked for no faster than it may be."""
import pathlib
import smtplib
import sys
import time

import pytest

from house import DOMAIN, PASSWORD

sys.path.insert(0, str(pathlib.Path(__file__).parent))
sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "interop"))
import dns
from scripted import Scripted

CONF = "relay.loopback = yes\nrelay.retry = 1s 1s 60s\n"
MAIL = "From: x@else.test\r\nSubject: x\r\n\r\nhello\r\n"


def knows(*names, unknown="550 5.1.1 no such user"):
    return {"RCPT": lambda s, line: "" if any(f"<{n}@" in line for n in names) else unknown}


def rcpt(server, *addresses, data=False, sender="x@else.test"):
    """Replies of port 25 to RCPT, as (code, text)."""
    with smtplib.SMTP("127.0.0.1", server.port("smtp"), timeout=60) as s:
        s.ehlo("else.test")
        assert s.mail(sender)[0] == 250
        got = [(code, text.decode()) for code, text in (s.rcpt(a) for a in addresses)]
        if data:
            assert s.data(MAIL)[0] == 250
        return got


def asked(remote):
    return [c for s in remote.sessions for c in s.commands if c.startswith("RCPT")]


def test_listed_users(new_server):
    with Scripted() as remote:
        server = new_server(CONF)
        assert rcpt(server, "one@other.test")[0][0] == 550  # no relaying for strangers
        server.command("domain", "add", "Other.test", "--relay-to", f"127.0.0.1:{remote.port}")
        server.command("relay", "users-add", "other.test", input="One\ntwo@other.test\n\n")
        server.command("relay", "users-add", "other.test", "three", "four")
        server.command("relay", "users-remove", "other.test", "four")
        assert server.command("relay", "users", "other.test").stdout.split() == ["one", "three", "two"]
        assert "other.test" in server.command("relay", "list").stdout
        got = rcpt(server, "ONE@other.test", "two@Other.TEST", "four@other.test", "guess@other.test", "postmaster@other.test", data=True)
        assert [code for code, _ in got] == [250, 250, 550, 550, 250] and "5.1.1" in got[3][1]
        remote.wait()
        assert sorted(asked(remote)) == ["RCPT TO:<ONE@other.test>", "RCPT TO:<postmaster@other.test>", "RCPT TO:<two@other.test>"]
        server.restart()
        assert rcpt(server, "one@other.test", "guess@other.test", data=True)[1][0] == 550
        remote.wait(2)
        with smtplib.SMTP("127.0.0.1", server.port("submission"), timeout=30) as s:  # our own users hear of it at once, too
            s.login(f"alice@{DOMAIN}", PASSWORD)
            s.mail(f"alice@{DOMAIN}")
            assert s.rcpt("guess@other.test")[0] == 550 and s.rcpt("two@other.test")[0] == 250
        server.command("relay", "delete", "other.test")
        assert rcpt(server, "one@other.test")[0][0] == 550
        assert server.command("relay", "users", "other.test", check=False).returncode == 1


def test_what_cannot_be_added(new_server):
    server = new_server(CONF)
    for words in ((DOMAIN, "--relay-to", "host"), ("other.test", "--relay-to", "a b"), ("other.test", "--relay-to", "host", "--users", "some"), ("b..d", "--relay-to", "h"),
                  ("other.test", "--users", "ask")):
        assert server.command("domain", "add", *words, check=False).returncode, words
    server.command("domain", "add", "other.test", "--relay-to", "mx")
    assert server.command("relay", "users-add", "other.test", "a@third.test", check=False).returncode == 1


def test_users_that_its_server_knows(new_server):
    with Scripted(answers=knows("one", "two")) as remote:
        server = new_server(CONF)
        server.command("domain", "add", "other.test", "--relay-to", f"127.0.0.1:{remote.port}", "--users", "ask")
        got = rcpt(server, "one@other.test", "guess@other.test", data=True)
        assert [code for code, _ in got] == [250, 550] and "no such user" in got[1][1]
        remote.wait()
        assert len(remote.messages()) == 1
        before = len(asked(remote))
        assert [code for code, _ in rcpt(server, "one@other.test", "guess@other.test")] == [250, 550]
        server.restart()  # what was learnt is kept
        assert [code for code, _ in rcpt(server, "one@other.test", "guess@other.test")] == [250, 550]
        assert len(asked(remote)) == before
        probe = next(s for s in remote.sessions if any("guess@" in c for c in s.commands))
        assert "MAIL FROM:<>" in probe.commands and not probe.messages


def test_answers_go_out_of_date(new_server):
    with Scripted(answers=knows("one")) as remote:
        server = new_server(CONF + "relay.verify-keep-refused = 3s\n")
        server.command("domain", "add", "other.test", "--relay-to", f"127.0.0.1:{remote.port}", "--users", "ask")
        assert rcpt(server, "new@other.test")[0][0] == 550
        remote.answers.update(knows("one", "new"))
        end = time.time() + 20
        while rcpt(server, "new@other.test")[0][0] != 250:
            assert time.time() < end
            time.sleep(0.2)


@pytest.mark.parametrize("unsure, code", [("defer", 450), ("accept", 250)])
def test_its_server_is_away(new_server, unsure, code):
    """Nobody answers: the sender hears 450, or the mail is taken and waits."""
    with Scripted() as remote:
        port = remote.port
    server = new_server(CONF + f"relay.verify-wait = 2s\nrelay.verify-unsure = {unsure}\n")
    server.command("domain", "add", "other.test", "--relay-to", f"127.0.0.1:{port}", "--users", "ask")
    assert rcpt(server, "one@other.test")[0][0] == code
    server.wait_log(r"relay\.verify.*cannot connect")
    began = time.time()
    assert rcpt(server, "one@other.test")[0][0] == code  # known to be unsure: no wait, nobody is asked
    assert time.time() - began < 2 and server.log().count("relay.verify ") <= 1


def test_a_domain_without_hosts(new_server):
    """Nobody can be asked, since no host is known: nothing was opened, so nothing of relay's own is closed."""
    d = dns.DnsServer({("one.test", dns.MX): [dns.mx(0, "")], ("two.test", dns.MX): [dns.mx(0, "")]})
    server = new_server(CONF + f"relay.verify-wait = 5s\ndns.server = 127.0.0.1@{d.port}\ndns.trust-anchor = /nonexistent\n")
    standard_input = pathlib.Path(f"/proc/{server.role_pid('relay')}/fd/0")
    before = standard_input.readlink()
    for domain in ("one.test", "two.test"):
        server.command("domain", "add", domain, "--relay-to", "mx", "--users", "ask")
        assert rcpt(server, f"a@{domain}")[0][0] == 450
        server.wait_log(rf"relay\.verify.*domain={domain}.*null MX")
    assert standard_input.readlink() == before
    d.stop()


@pytest.mark.parametrize("answer", ["550 5.7.1 your address is blocked", "451 4.7.1 greylisted", "552 5.2.2 full", None, "nonsense"])
def test_answers_that_say_nothing_about_the_address(new_server, answer):
    with Scripted(answers={"RCPT": lambda s, line: answer if answer is not None else 1 / 0}) as remote:
        if answer is None:
            remote.answers["RCPT"] = lambda s, line: (_ for _ in ()).throw(ValueError("closed"))
        server = new_server(CONF + "relay.verify-wait = 3s\n")
        server.command("domain", "add", "other.test", "--relay-to", f"127.0.0.1:{remote.port}", "--users", "ask")
        assert rcpt(server, "one@other.test")[0][0] == 450


def test_a_server_that_hangs(new_server):
    with Scripted(answers={"RCPT": lambda s, line: time.sleep(20) or ""}) as remote:
        server = new_server(CONF + "relay.verify-wait = 1s\n")
        server.command("domain", "add", "other.test", "--relay-to", f"127.0.0.1:{remote.port}", "--users", "ask")
        began = time.time()
        assert rcpt(server, "one@other.test")[0][0] == 450
        assert time.time() - began < 5


def test_guesses_are_slowed_down(new_server):
    """Strangers who try names do not make us a machine that tries them there."""
    with Scripted(answers=knows("one")) as remote:
        server = new_server(CONF + "relay.verify-wait = 1s\nrelay.verify-rate = 5\n")
        server.command("domain", "add", "other.test", "--relay-to", f"127.0.0.1:{remote.port}", "--users", "ask")
        codes = [code for code, _ in rcpt(server, *[f"guess{i}@other.test" for i in range(8)])]
        assert codes == [550] * 5 + [450] * 3
        assert len(asked(remote)) == 5


def test_only_better_mail_hosts(new_server):
    """RFC 5321 5.1: we are one of its MX hosts: only those before us are tried; when there are none, mail would come back to us."""
    with Scripted() as remote:
        d = dns.DnsServer({("other.test", dns.MX): [dns.mx(10, "main.other.test"), dns.mx(20, "backup.here.test"), dns.mx(30, "last.other.test")],
                           ("main.other.test", dns.A): [dns.a("127.0.0.1")], ("last.other.test", dns.A): [dns.a("127.0.0.1")],
                           ("alone.test", dns.MX): [dns.mx(10, "backup.here.test"), dns.mx(20, "last.other.test")]})
        server = new_server(CONF + f"dns.server = 127.0.0.1@{d.port}\ndns.trust-anchor = /nonexistent\nrelay.port = {remote.port}\n", start=False)
        text = server.conf.read_text()
        import re
        server.conf.write_text(re.sub(r"(?m)^hostname.*$", "hostname = backup.here.test", text))
        server.start()
        server.command("domain", "add", "other.test", "--relay-to", "mx", "--users", "any")
        server.command("domain", "add", "alone.test", "--relay-to", "mx", "--users", "any")
        rcpt(server, "one@other.test", data=True)
        remote.wait()
        rcpt(server, "one@alone.test", data=True)
        server.wait_log(r"relay\.try.*domain=alone\.test.*5\.4\.6")
        assert len(remote.messages()) == 1
        assert ("last.other.test", dns.A) not in d.asked
        d.stop()
