# SPDX-License-Identifier: Apache-2.0
"""What an account may send: limits, breakers that contain one that was taken over, addresses that are not written to any more."""
import socket
import threading
import time

import pytest

from dialog import Dialog, inbox

NOWHERE = "relay.retry = 4h\nroute = * 127.0.0.1:9\n"


def send(c, sender, *recipients, code=250, words=""):
    c.ask(f"MAIL FROM:<{sender}>", 250)
    for r in recipients:
        c.ask(f"RCPT TO:<{r}>", 250)
    c.ask("DATA", 354)
    return c.ask(f"From: {sender}\r\nSubject: x\r\n\r\ny\r\n.", code, words)


def login(server, account):
    c = Dialog(server.port("submission"))
    c.ask("EHLO c.test", 250)
    c.login(account)
    return c


def remote(n, name="r"):
    return [f"{name}{i}@far.test" for i in range(n)]


def test_limits_of_the_server_and_of_an_account(new_server):
    s = new_server(NOWHERE + "limits.messages-per-hour = 2\nlimits.recipients-per-day = 20")
    with login(s, "alice@example.test") as c:
        send(c, "alice@example.test", *remote(3))
        send(c, "alice@example.test", *remote(3))
        lines = send(c, "alice@example.test", *remote(3), code=452, words="4.7.1 more messages in an hour")
        assert "it goes on at 20" in lines[0] and "UTC" in lines[0]
        send(c, "alice@example.test", "bob@example.test", code=452)
    with login(s, "bob@example.test") as c:
        send(c, "bob@example.test", *remote(21), code=550, words="5.7.1 more recipients in a day than your account may ever send")
    s.restart()  # counts are durable
    with login(s, "alice@example.test") as c:
        send(c, "alice@example.test", "bob@example.test", code=452)
        out = s.command("account", "limits", "alice@example.test", "messages-per-hour=5", "first-time-per-day=4").stdout
        assert "messages-per-hour    5" in out and "messages-per-day     the server's" in out
        send(c, "alice@example.test", "bob@example.test")
        send(c, "alice@example.test", *remote(5, "new"), code=550, words="new recipients in a day")
        send(c, "alice@example.test", *remote(4, "new"))
        send(c, "alice@example.test", *remote(1, "fresh"), code=452, words="new recipients in a day")
        send(c, "alice@example.test", *remote(4, "new"))
        s.command("account", "limits", "alice@example.test", "messages-per-hour=default", "first-time-per-day=default")
        assert set(s.json("account", "limits", "alice@example.test").values()) == {None}
        send(c, "alice@example.test", "bob@example.test", code=452)


def test_limits_of_a_plan(new_server):
    """An account's own limit goes before its plan's, that before the server's; a change of the plan counts at once."""
    s = new_server(NOWHERE + "limits.messages-per-hour = 1\n")
    s.command("plan", "set", "small", "messages-per-hour=2", "recipients-per-day=5")
    shown = s.json("account", "limits", "alice@example.test", "plan=small")
    assert shown["plan"] == "small" and shown["messages-per-hour"] is None
    assert "messages-per-hour    the plan's" in s.command("account", "limits", "alice@example.test").stdout
    with login(s, "alice@example.test") as c:
        send(c, "alice@example.test", *remote(1))
        send(c, "alice@example.test", *remote(1))
        send(c, "alice@example.test", *remote(1), code=452, words="more messages in an hour")
        s.command("plan", "set", "small", "messages-per-hour=4")
        send(c, "alice@example.test", *remote(1))
        send(c, "alice@example.test", *remote(4), code=452, words="more recipients in a day")
        s.command("account", "limits", "alice@example.test", "recipients-per-day=0")
        send(c, "alice@example.test", *remote(4))
    assert "small messages-per-hour=4 recipients-per-day=5" in s.command("plan", "list").stdout
    assert "accounts have this plan" in s.command("plan", "remove", "small", check=False).stderr
    s.command("account", "limits", "alice@example.test", "plan=none")
    s.command("plan", "remove", "small")
    assert s.json("plan", "list") == []
    for words in [("plan", "remove", "small"), ("plan", "set", "Small"), ("plan", "set", "a" * 41), ("plan", "set", "b", "plan=a"),
                  ("account", "limits", "alice@example.test", "plan=small"), ("account", "limits", "alice@example.test", "plan=")]:
        assert s.command(*words, check=False).returncode == 1, words


@pytest.mark.parametrize("word", ["messages-per-hour", "messages-per-hour=x", "messages-per-year=1", "messages-per-hour=4294967295"])
def test_limits_that_are_none(server, account, word):
    with pytest.raises(AssertionError):
        server.command("account", "limits", account, word)


def test_an_account_that_was_taken_over_is_contained(new_server):
    s = new_server(NOWHERE + "breaker.first-time = 10", accounts=("alice", "bob", "root"))
    with login(s, "alice@example.test") as c, login(s, "alice@example.test") as other:
        send(c, "alice@example.test", *remote(10))
        send(c, "alice@example.test", *remote(10))  # known by now
        send(c, "alice@example.test", "one-more@far.test")
        send(c, "alice@example.test", *remote(1), code=450, words="4.7.1 your account may have been taken over")
        send(other, "alice@example.test", "bob@example.test", code=450)
    with login(s, "bob@example.test") as c:
        send(c, "bob@example.test", "alice@example.test")
    told = [m for m in inbox(s, "alice@example.test") if b"Your mail is held" in m]
    assert len(told) == 1 and b"posthouse breaker release alice@example.test" in told[0]
    assert s.json("breaker", "list")[0]["address"] == "alice@example.test"
    assert "unusually many new recipients" in s.command("breaker", "list").stdout
    s.wait_log("event=breaker.tripped")
    s.command("breaker", "release", "alice@example.test")
    assert s.json("breaker", "list") == []
    assert len(s.json("queue", "list")) == 3
    with login(s, "alice@example.test") as c:
        send(c, "alice@example.test", *remote(11, "evil"))
        send(c, "alice@example.test", *remote(1), code=450)
    s.command("breaker", "discard", "alice@example.test")
    assert s.json("queue", "list") == []
    with pytest.raises(AssertionError):
        s.command("breaker", "release", "alice@example.test")


def test_suppression(new_server):
    s = new_server(NOWHERE)
    s.command("suppression", "add", "example.test", "Gone@far.test", "administrator", 0, "he left")
    s.command("suppression", "add", "other.test", "r1@far.test", "administrator", 30)
    with login(s, "alice@example.test") as c:
        c.ask("MAIL FROM:<alice@example.test>", 250)
        c.ask("RCPT TO:<r0@far.test>", 250)
        c.ask("RCPT TO:<gone@FAR.test>", 550, "5.7.1 your domain does not write to it any more: an administrator said so: he left")
        c.ask("RCPT TO:<r1@far.test>", 250)
    assert [r["address"] for r in s.json("suppression", "list", "example.test")] == ["gone@far.test"]
    assert len(s.command("suppression", "list").stdout.splitlines()) == 2
    s.command("suppression", "remove", "example.test", "gone@far.test")
    with pytest.raises(AssertionError):
        s.command("suppression", "remove", "example.test", "gone@far.test")
    with login(s, "alice@example.test") as c:
        c.ask("MAIL FROM:<alice@example.test>", 250)
        c.ask("RCPT TO:<gone@far.test>", 250)


@pytest.mark.parametrize("domain, address", [("example.test", "nobody"), ("a@b", "x@far.test"), ("a/b", "x@far.test"), ("", "x@far.test"), ("example.test", "x" * 700 + "@far.test")])
def test_suppressions_that_are_none(server, domain, address):
    with pytest.raises(AssertionError):
        server.command("suppression", "add", domain, address)


def far_end(replies):
    """A server elsewhere that answers RCPT with replies[address], 250 to all else; (port, stop)."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(c):
        with c, c.makefile("rwb") as f:
            f.write(b"220 far.test\r\n")
            f.flush()
            data = False
            for line in f:
                word = line.upper()
                if data:
                    data = line != b".\r\n"
                    answer = b"" if data else b"250 kept\r\n"
                elif word.startswith(b"RCPT"):
                    to = line.split(b"<")[1].split(b">")[0].decode()
                    answer = replies.get(to, b"250 2.1.5 fine\r\n")
                else:
                    data = word.startswith(b"DATA")
                    answer = b"354 go\r\n" if data else b"221 bye\r\n" if word.startswith(b"QUIT") else b"250 fine\r\n"
                f.write(answer)
                f.flush()

    def accept():
        while True:
            try:
                c, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(c,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener


def test_who_does_not_exist_gets_no_more_bulk_mail(new_server):
    listener = far_end({"none@far.test": b"550 5.1.1 no \x01\xff such user\r\n", "full@far.test": b"552 5.2.2 full\r\n"})
    s = new_server(f"relay.loopback = yes\nrelay.retry = 4h\nroute = * 127.0.0.1:{listener.getsockname()[1]} tls=none\n")
    with listener, login(s, "alice@example.test") as c:
        send(c, "alice@example.test", "none@far.test")
        s.wait_log(r"event=relay.*failed=1")
        assert s.json("suppression", "list") == []  # a personal message says nothing
        c.ask("MAIL FROM:<alice@example.test>", 250)
        for name in ("none", "full", "fine"):
            c.ask(f"RCPT TO:<{name}@far.test>", 250)
        c.ask("DATA", 354)
        c.ask("From: alice@example.test\r\nList-Id: <news.example.test>\r\n\r\ny\r\n.", 250)
        s.wait_log(r"event=relay.*failed=2")
        rows = wait_for(lambda: s.json("suppression", "list"))
        assert [(r["domain"], r["address"]) for r in rows] == [("example.test", "none@far.test")]
        assert rows[0]["words"].startswith("hard bounce: 550 5.1.1 no") and rows[0]["until"]
        c.ask("MAIL FROM:<alice@example.test>", 250)
        c.ask("RCPT TO:<none@far.test>", 250)
        c.ask("DATA", 354)
        c.ask("From: alice@example.test\r\nList-Id: <news.example.test>\r\n\r\ny\r\n.", 550, "hard bounce")


def wait_for(look, seconds=10):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("nothing came")
