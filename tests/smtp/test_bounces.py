# SPDX-License-Identifier: Apache-2.0
"""Bulk mail: a return path for each recipient, bounces and complaints that come back, the suppression list, the breaker on complaints."""
import re
import socket
import threading
import time

import pytest

from dialog import Dialog, inbox

ALICE = "alice@example.test"
BULK = "From: alice@example.test\r\nList-Id: <news.example.test>\r\nSubject: news {}\r\n\r\n.hello\r\n"
LETTER = "From: alice@example.test\r\nSubject: letter\r\n\r\nhello\r\n"


class FarEnd:
    """A server elsewhere: answers RCPT with replies[address] (250 to all else), keeps (sender, [recipients], message) of what it took."""

    def __init__(self):
        self.replies, self.got, self.chunking = {}, [], False
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.listener.close()

    @property
    def port(self):
        return self.listener.getsockname()[1]

    def accept(self):
        while True:
            try:
                c, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(c,), daemon=True).start()

    def serve(self, c):
        with c, c.makefile("rwb") as f:
            def say(line):
                f.write(line + b"\r\n")
                f.flush()
            say(b"220 far.test")
            sender, to = None, []
            for line in f:
                word = line.upper()
                path = line.split(b"<")[1].split(b">")[0].decode() if b"<" in line else ""
                if word.startswith(b"EHLO"):
                    say(b"250-far.test\r\n" + (b"250-CHUNKING\r\n" if self.chunking else b"") + b"250 SIZE 1000000")
                elif word.startswith(b"MAIL"):
                    sender, to = (path, line.decode()), []
                    say(b"250 fine")
                elif word.startswith(b"RCPT"):
                    answer = self.replies.get(path, b"250 2.1.5 fine")
                    if answer.startswith(b"2"):
                        to.append(path)
                    say(answer)
                elif word.startswith(b"DATA"):
                    say(b"354 go" if to else b"554 nobody")
                    body = b""
                    while to and (line := f.readline()) != b".\r\n":
                        body += line[1:] if line.startswith(b".") else line
                    if to:
                        self.got.append((sender[0], to, body, sender[1]))
                        say(b"250 kept")
                elif word.startswith(b"BDAT"):
                    self.got.append((sender[0], to, f.read(int(line.split()[1])), sender[1]))
                    say(b"250 kept")
                elif word.startswith(b"QUIT"):
                    say(b"221 bye")
                    return
                else:
                    say(b"250 fine")


def wait_for(look, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("nothing came")


def submit(s, message, *recipients, sender=ALICE, code=250, words=""):
    with Dialog(s.port("submission")) as c:
        c.ask("EHLO c.test", 250)
        c.login(ALICE)
        c.ask(f"MAIL FROM:<{sender}>", 250)
        for r in recipients:
            c.ask(f"RCPT TO:<{r}>", 250)
        c.ask("DATA", 354)
        c.send("".join("." + line + "\r\n" if line.startswith(".") else line + "\r\n" for line in message.rstrip("\r\n").split("\r\n")))
        return c.ask(".", code, words)


def come_back(s, to, message, sender="", code=250):
    """A message that arrives from elsewhere."""
    with Dialog(s.port("smtp")) as c:
        c.ask("EHLO far.test", 250)
        c.ask(f"MAIL FROM:<{sender}>", 250)
        c.ask(f"RCPT TO:<{to}>", code)
        if code == 250:
            c.ask("DATA", 354)
            c.send(message)
            c.ask(".", 250)


def report(recipient, status, said, action="failed"):
    return (f"From: postmaster@far.test\r\nTo: x\r\nSubject: report\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"
            f"--b\r\n\r\nSorry.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; far.test\r\n\r\nFinal-Recipient: rfc822; {recipient}\r\n"
            f"Action: {action}\r\nStatus: {status}\r\nDiagnostic-Code: smtp; {said}\r\n\r\n--b--\r\n")


def complaint(mail_from="", ref="", return_path="", kind="abuse"):
    return ("From: feedback@far.test\r\nTo: x\r\nSubject: FW: news\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n"
            f"--b\r\n\r\nSomebody complained.\r\n--b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: {kind}\r\nUser-Agent: far/1\r\nVersion: 1\r\n"
            + (f"Original-Mail-From: <{mail_from}>\r\n" if mail_from else "") + "\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n"
            + (f"Return-Path: <{return_path}>\r\n" if return_path else "") + (f"{ref}\r\n" if ref else "") + "Subject: news\r\n\r\nhello\r\n--b--\r\n")


def house(new_server, far, conf="", **arguments):
    s = new_server(f"relay.loopback = yes\nrelay.retry = 4h\nroute = far.test 127.0.0.1:{far.port} tls=none\n{conf}", **arguments)
    s.command("domain", "set", "example.test", "verp=yes")
    return s


def send_bulk(s, far, *recipients, n=0, refused=()):
    """Sends bulk mail; {recipient: (return path, message)}."""
    before = len(far.got)
    submit(s, BULK.format(n), *recipients)
    want = sum(1 for r in recipients if far.replies.get(r, b"2").startswith(b"2") and r not in refused)
    wait_for(lambda: len(far.got) - before >= want)
    return {to[0]: (sender, body) for sender, to, body, _ in far.got[before:]}


def suppressed(s):
    return {r["address"]: r for r in s.json("suppression", "list")}


@pytest.mark.parametrize("chunking", [False, True])
def test_each_recipient_has_its_return_path(new_server, chunking):
    with FarEnd() as far:
        far.chunking = chunking
        s = house(new_server, far)
        got = send_bulk(s, far, "user@far.test", "other.name+tag@far.test", "a-very-long-local-part-of-an-address-that-does-not-fit@far.test")
        assert len(got) == 3 and all(len(to) == 1 for _, to, _, _ in far.got)
        paths = [path for path, _ in got.values()]
        assert len(set(paths)) == 3
        assert re.fullmatch(r"bounce\+[a-z2-7]{15,}=user=far\.test@example\.test", got["user@far.test"][0])
        assert re.fullmatch(r"bounce\+[a-z2-7]{15,}==[a-z2-7]{13}@example\.test", got["a-very-long-local-part-of-an-address-that-does-not-fit@far.test"][0])
        assert all(len(p.split("@")[0]) <= 64 for p in paths)
        for path, body in got.values():
            assert body.startswith(b"X-Posthouse-Ref: ") and body.endswith(b"\r\n\r\n.hello\r\n") and b"far.test" not in body.split(b"\r\n")[0]
        for sender, _, body, line in far.got:  # what was announced is what came
            assert f"SIZE={len(body)}" in line
        submit(s, LETTER, "user@far.test")  # a letter has the path that its sender gave
        wait_for(lambda: len(far.got) == 4)
        assert far.got[3][0] == ALICE and not far.got[3][2].startswith(b"X-Posthouse-Ref")
        s.command("domain", "set", "example.test", "verp=no")
        submit(s, BULK.format(1), "user@far.test", "other@far.test")
        wait_for(lambda: len(far.got) == 5)
        assert far.got[4][0] == ALICE and len(far.got[4][1]) == 2


def test_the_path_is_the_same_with_each_try(new_server):
    with FarEnd() as far:
        far.replies["late@far.test"] = b"451 later"
        s = house(new_server, far)
        submit(s, BULK.format(0), "late@far.test", "user@far.test")
        s.wait_log(r"event=relay\.try.*waiting=1")
        s.restart()  # the key is kept
        first = far.got[0][0]
        far.replies.clear()
        s.command("queue", "retry", "--all")
        wait_for(lambda: len(far.got) == 2)
        assert first[7:9] == far.got[1][0][7:9] and far.got[1][1] == ["late@far.test"]
        come_back(s, far.got[1][0], report("late@far.test", "5.1.1", "550 5.1.1 no"))
        come_back(s, first, report("user@far.test", "5.1.1", "550 5.1.1 no"))
        assert set(suppressed(s)) == {"late@far.test", "user@far.test"}


@pytest.mark.parametrize("message, kind, reason", [
    (report("r@far.test", "5.1.1", "550 5.1.1 no such user"), "failed", "hard"),
    ("From: MAILER-DAEMON@far.test\r\nSubject: failure notice\r\n\r\n<r@far.test>:\r\nnobody by that name\r\n", "failed", "hard"),
    (report("r@far.test", "5.2.2", "552 5.2.2 full"), "failed", None),
    (report("r@far.test", "5.7.1", "550 5.7.1 blocked using list.test"), "failed", None),
    (report("r@far.test", "4.4.1", "nobody answers", action="delayed"), "delayed", None),
    ("From: r@far.test\r\nAuto-Submitted: auto-replied\r\nSubject: away\r\n\r\nuser unknown\r\n", "auto-reply", None),
    ("From: r@far.test\r\nSubject: Please confirm your message\r\n\r\nclick\r\n", "challenge", None),
    ("From: who@far.test\r\nSubject: ???\r\n\r\nwhat no program understands\r\n", "none", None),
    ("\r\n", "none", None),
])
def test_what_comes_back_is_counted_and_goes_no_further(new_server, message, kind, reason):
    with FarEnd() as far:
        s = house(new_server, far)
        path = send_bulk(s, far, "r@far.test")["r@far.test"][0]
        come_back(s, path, message)
        s.wait_log(f"event=bounce.received.*kind={kind}")
        found = suppressed(s)
        assert ({"r@far.test": reason} if reason else {}) == {a: r["reason"] for a, r in found.items()}
        if reason:
            assert found["r@far.test"]["by"] == "bounce" and found["r@far.test"]["until"] > time.time() + 179 * 86400
        assert inbox(s, ALICE) == []


def test_a_person_is_heard_and_a_domain_may_want_everything(new_server):
    with FarEnd() as far:
        s = house(new_server, far)
        path = send_bulk(s, far, "r@far.test")["r@far.test"][0]
        come_back(s, path.upper(), "From: r@far.test\r\nSubject: Re: news\r\n\r\nI like it.\r\n", sender="r@far.test")
        assert [b"I like it." in m for m in inbox(s, ALICE)] == [True]
        s.command("domain", "set", "example.test", "bounces=forward")
        come_back(s, path, report("r@far.test", "5.1.1", "550 5.1.1 no"))
        assert len(inbox(s, ALICE)) == 2 and suppressed(s)["r@far.test"]["reason"] == "hard"
        assert "bounces      forward" in s.command("domain", "show", "example.test").stdout


def test_nobody_can_forge_a_return_path(new_server):
    with FarEnd() as far:
        s = house(new_server, far)
        path = send_bulk(s, far, "r@far.test")["r@far.test"][0]
        victim = path.replace("=r=", "=victim=")
        for forged in (victim, path[:12] + ("a" if path[12] != "a" else "b") + path[13:], "bounce+aa@example.test", "bounce@example.test", path.replace("example.test", "EXAMPLE.test.example.test")):
            come_back(s, forged, "", code=550)
        # a genuine path leads to its own recipient, whoever the report names
        come_back(s, path, report("victim@far.test", "5.1.1", "550 5.1.1 no"))
        assert set(suppressed(s)) == {"r@far.test"}
        s.command("account", "delete", ALICE)
        come_back(s, path, "", code=550)


def test_a_path_that_holds_a_hash(new_server):
    long = "a-very-long-local-part-of-an-address-that-does-not-fit@far.test"
    with FarEnd() as far:
        s = house(new_server, far)
        path = send_bulk(s, far, long)[long][0]
        come_back(s, path, report("victim@far.test", "5.1.1", "550 5.1.1 no"))
        assert set(suppressed(s)) <= {path.split("@")[0].split("=", 1)[1]}
        path = send_bulk(s, far, "2" + long, n=1)["2" + long][0]
        come_back(s, path, report("2" + long.upper(), "5.1.1", "550 5.1.1 no"))
        assert "2" + long in suppressed(s)


@pytest.mark.parametrize("days", [1, 2])
def test_soft_bounces_add_up_by_day(new_server, days):
    with FarEnd() as far:
        s = house(new_server, far, f"suppression.soft-bounces = {days}")
        path = send_bulk(s, far, "r@far.test")["r@far.test"][0]
        for _ in range(5):  # one mail bounces once
            come_back(s, path, report("r@far.test", "5.2.2", "552 5.2.2 full"))
        assert {a: r["reason"] for a, r in suppressed(s).items()} == ({"r@far.test": "soft"} if days == 1 else {})


def test_refusals_at_once_are_classified_too(new_server):
    with FarEnd() as far:
        far.replies |= {"none@far.test": b"550 5.0.0 no such user \x01\xff!", "full@far.test": b"552 5.2.2 full", "blocked@far.test": b"554 5.7.1 your ip is blocked"}
        s = house(new_server, far)
        got = send_bulk(s, far, *far.replies, "fine@far.test")
        assert set(got) == {"fine@far.test"}
        wait_for(lambda: suppressed(s))
        found = suppressed(s)
        assert set(found) == {"none@far.test"} and found["none@far.test"]["by"] == "relay" and "no such user" in found["none@far.test"]["text"]
        s.wait_log(r"event=relay\.try.*failed=3")
        wait_for(lambda: s.json("queue", "list") == [])
        assert inbox(s, ALICE) == []  # counted, as what comes back later


def test_who_is_suppressed(new_server):
    with FarEnd() as far:
        s = house(new_server, far)
        s.command("suppression", "add", "example.test", "Gone@far.test", "hard", "30", "it bounced")
        s.command("suppression", "add", "example.test", "never@far.test")
        s.command("suppression", "import", "example.test", "unsubscribed", input="one@far.test, 2026\n# no\n\ntwo@far.test\r\n")
        found = suppressed(s)
        assert {a: r["reason"] for a, r in found.items()} == {"gone@far.test": "hard", "never@far.test": "administrator", "one@far.test": "unsubscribed", "two@far.test": "unsubscribed"}
        assert found["gone@far.test"]["text"] == "it bounced" and found["gone@far.test"]["by"] == "administrator" and found["never@far.test"]["until"] is None
        assert abs(found["one@far.test"]["added"] - time.time()) < 60
        submit(s, LETTER, "gone@far.test", "one@far.test")  # a letter goes all the same
        wait_for(lambda: len(far.got) == 1)
        submit(s, BULK.format(0), "gone@far.test", "one@far.test", code=550, words="5.7.1 your domain does not write to it any more: hard bounce: it bounced")
        with Dialog(s.port("submission")) as c:
            c.ask("EHLO c.test", 250)
            c.login(ALICE)
            c.ask(f"MAIL FROM:<{ALICE}>", 250)
            c.ask("RCPT TO:<never@far.test>", 550, "an administrator said so")
        got = send_bulk(s, far, "gone@far.test", "fine@far.test", refused=["gone@far.test"])
        assert set(got) == {"fine@far.test"}
        wait_for(lambda: s.json("queue", "list") == [])
        assert inbox(s, ALICE) == []
        s.command("domain", "set", "example.test", "bounces=forward")
        send_bulk(s, far, "gone@far.test", "fine@far.test", n=2, refused=["gone@far.test"])
        told = wait_for(lambda: inbox(s, ALICE))
        assert len(told) == 1 and b"gone@far.test" in told[0] and b"hard bounce: it bounced" in told[0]
        # a bounce does not make less of what an administrator said
        s.command("suppression", "add", "example.test", "fine@far.test")
        come_back(s, got["fine@far.test"][0], report("fine@far.test", "5.1.1", "550 no"))
        assert suppressed(s)["fine@far.test"]["reason"] == "administrator"
        for words in (["example.test", "x@far.test", "nonsense"], ["example.test", "x@far.test", "hard", "x"], ["example.test", "x@far.test", "hard", "36501"]):
            assert s.command("suppression", "add", *words, check=False).returncode != 0
        assert s.command("suppression", "import", "example.test", input="nobody\n", check=False).returncode != 0


def test_complaints(new_server):
    with FarEnd() as far:
        s = house(new_server, far, "breaker.complaints = 500")
        names = [f"r{i}@far.test" for i in range(6)]
        got = send_bulk(s, far, *names)
        ref = {name: body.split(b"\r\n")[0].decode() for name, (_, body) in got.items()}
        path = {name: p for name, (p, _) in got.items()}
        come_back(s, "bob@example.test", complaint(path["r0@far.test"]), sender="fbl@far.test")
        assert suppressed(s) == {}  # nobody said that complaints come in there
        s.command("domain", "set", "example.test", "feedback=bob@example.test")
        assert s.json("domain", "show", "example.test") == {"domain": "example.test", "verp": True, "bounces": "count", "feedback": "bob@example.test", "unsubscribe": False}
        for message in (complaint(path["r0@far.test"], kind="not-spam"), complaint(path["r0@far.test"].replace("r0", "r5")), complaint(ref="X-Posthouse-Ref: " + ref["r1@far.test"].split()[1][:-20])):
            come_back(s, "bob@example.test", message, sender="fbl@far.test")
        assert suppressed(s) == {}
        come_back(s, "Bob@example.test", complaint(mail_from=path["r0@far.test"], return_path=path["r0@far.test"], ref=ref["r0@far.test"]), sender="fbl@far.test")
        come_back(s, "bob@example.test", complaint(return_path=path["r1@far.test"]), sender="fbl@far.test")
        come_back(s, "bob@example.test", complaint(ref=ref["r2@far.test"], mail_from="[redacted]"), sender="fbl@far.test")
        found = suppressed(s)
        assert {a: (r["reason"], r["by"], r["until"]) for a, r in found.items()} == {n: ("complaint", "feedback", None) for n in names[:3]}
        for _ in range(5):  # the same again is nothing new
            come_back(s, "bob@example.test", complaint(ref=ref["r2@far.test"]), sender="fbl@far.test")
        assert len(inbox(s, "bob@example.test")) == 12 and s.json("breaker", "list") == []
        come_back(s, "bob@example.test", complaint(ref=ref["r3@far.test"]), sender="fbl@far.test")
        come_back(s, "bob@example.test", complaint(ref=ref["r4@far.test"]), sender="fbl@far.test")
        s.wait_log("event=breaker.tripped")
        assert s.json("breaker", "list")[0]["why"] == "too many complaints"
        assert any(b"too many complaints" in m for m in inbox(s, ALICE))
        submit(s, LETTER, "x@far.test", code=450, words="taken over")
        s.command("breaker", "release", ALICE)
        submit(s, LETTER, "x@far.test")
        come_back(s, "bob@example.test", complaint(ref=ref["r5@far.test"]), sender="fbl@far.test")
        assert s.json("breaker", "list") == []  # counts began again


def test_bounces_that_come_later_trip_the_breaker(new_server):
    with FarEnd() as far:
        s = house(new_server, far, "breaker.bounces = 50", accounts=("alice", "bob", "root"))
        names = [f"r{i}@far.test" for i in range(30)]
        got = send_bulk(s, far, *names)
        for name in names[:19]:
            come_back(s, got[name][0], report(name, "5.1.1", "550 no"))
            come_back(s, got[name][0], report(name, "5.1.1", "550 no"))
        come_back(s, got[names[20]][0], report(names[20], "5.2.2", "552 full"))  # says nothing about who sent it
        assert s.json("breaker", "list") == []
        far.replies["later@far.test"] = b"451 later"
        submit(s, BULK.format(1), "later@far.test")
        s.wait_log(r"event=relay\.try.*waiting=1")
        come_back(s, got[names[21]][0], report(names[21], "5.1.1", "550 no"))
        assert s.json("breaker", "list")[0]["why"] == "too many bounces"
        far.replies.clear()
        s.command("queue", "retry", "--all")
        wait_for(lambda: [r["state"] for r in s.json("queue", "list")] == ["paused"])
        s.command("breaker", "discard", ALICE)
        assert s.json("queue", "list") == [] and s.json("breaker", "list") == []


def test_what_belongs_to_a_domain_or_an_account_goes_with_it(new_server):
    with FarEnd() as far:
        s = house(new_server, far, "breaker.first-time = 100")
        s.command("domain", "add", "gone.test")
        s.command("domain", "set", "gone.test", "feedback=bob@example.test")
        s.command("suppression", "import", "gone.test", input="".join(f"r{i}@far.test\n" for i in range(1200)))
        s.command("suppression", "add", "example.test", "stays@far.test")
        submit(s, LETTER, "x@far.test")
        s.command("domain", "delete", "gone.test")
        s.command("account", "delete", ALICE)
        wait_for(lambda: set(suppressed(s)) == {"stays@far.test"})
        s.command("domain", "add", "gone.test")
        assert s.json("domain", "show", "gone.test") == {"domain": "gone.test", "verp": False, "bounces": "count", "feedback": None, "unsubscribe": False}
        s.stop()
        s.command("check", "--store")


@pytest.mark.parametrize("words", [["verp=maybe"], ["nonsense=1"], ["verp"], ["bounces=x"], ["feedback=nobody"], ["feedback=a b@example.test"], ["feedback=" + "x" * 700 + "@example.test"]])
def test_settings_that_are_none(server, words):
    assert server.command("domain", "set", "example.test", *words, check=False).returncode != 0


def test_hostile_bounces(new_server):
    """Reports of any size and form are answered, and at most their own recipient is suppressed."""
    with FarEnd() as far:
        s = house(new_server, far)
        path = send_bulk(s, far, "r@far.test")["r@far.test"][0]
        many = "".join(f"Final-Recipient: rfc822; v{i}@far.test\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n" for i in range(3000))
        nested = "Content-Type: multipart/report; boundary=b0\r\n\r\n" + "".join(f"--b{i}\r\nContent-Type: multipart/report; boundary=b{i + 1}\r\n\r\n" for i in range(300))
        for message in (
                "Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n" + many, nested,
                "Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n" + "x" * 900 + "\r\n",
                "From: mailer-daemon@x\r\nSubject: failure notice\r\n\r\n" + "".join(f"<v{i}@far.test>: 550 5.1.1 no\r\n\r\n" for i in range(5000)),
                "Subject: " + "=?utf-8?B?" + "A" * 800 + "?=\r\n\r\n" + "@" * 900 + "\r\n"):
            come_back(s, path, message)
        assert set(suppressed(s)) <= {"r@far.test"}
        with Dialog(s.port("smtp")) as c:  # one message, many return paths
            c.ask("EHLO far.test", 250)
            c.ask("MAIL FROM:<>", 250)
            for _ in range(64):
                c.ask(f"RCPT TO:<{path}>", 250)
            c.ask(f"RCPT TO:<{path}>", 452, "too many return paths")
            c.ask("DATA", 354)
            c.send(report("r@far.test", "5.1.1", "550 no"))
            c.ask(".", 250)
