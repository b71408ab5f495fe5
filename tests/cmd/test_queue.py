# SPDX-License-Identifier: Apache-2.0
"""posthouse queue: filters, history, holds, reroutes, times, returns, pauses; and on submission the parameters that say
when to send: FUTURERELEASE (RFC 4865), DELIVERBY (RFC 2852), MT-PRIORITY (RFC 6710)."""
import smtplib
import time

from house import PASSWORD

SETTINGS = "dns.server = 127.0.0.1@1\nroute = * 127.0.0.1:1\nrelay.loopback = yes\nrelay.retry = 1h"
TEXT = b"From: alice@example.test\r\nSubject: x\r\n\r\nx\r\n"


def login(server):
    c = smtplib.SMTP("127.0.0.1", server.port("submission"), timeout=30)
    c.ehlo("client.test")
    c.login("alice@example.test", PASSWORD)
    return c


def wait_for(what, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        got = what()
        if got:
            return got
        time.sleep(0.05)
    raise AssertionError("it did not come about")


def rows(server, *filters):
    return server.json("queue", "list", *filters)


def test_filters_and_changes(new_server):
    s = new_server(SETTINGS)
    with login(s) as c:
        c.sendmail("alice@example.test", ["x@one.test"], TEXT)
        c.sendmail("alice@example.test", ["y@two.test"], TEXT)
        c.sendmail("alice@example.test", ["z@two.test"], b"List-Id: <l.example.test>\r\n" + TEXT)
    wait_for(lambda: len([r for r in rows(s) if r["tries"] == 1 and r["state"] == "waiting"]) == 3)
    assert len(rows(s, "--domain", "two.test")) == 2
    assert len(rows(s, "--recipient", "@TWO.test")) == 2 and len(rows(s, "--recipient", "x@one.test")) == 1
    assert len(rows(s, "--sender", "alice@example.test")) == 3 and rows(s, "--sender", "<>") == []
    assert len(rows(s, "--reason", "CANNOT CONNECT")) == 3 and rows(s, "--reason", "no such text") == []
    assert len(rows(s, "--younger", "1h")) == 3 and rows(s, "--older", "1h") == []
    assert sorted(r["class"] for r in rows(s)) == ["bulk", "personal", "personal"]
    assert s.command("queue", "list", "--older", "1h").stdout == "nothing matches\n"

    id_ = rows(s, "--domain", "one.test")[0]["id"]
    one = s.json("queue", "show", id_)
    assert len(one["attempts"]) == 1 and "cannot connect" in one["attempts"][0]["said"].lower()
    assert "tried " in s.command("queue", "show", id_).stdout

    assert s.json("queue", "hold", "--domain", "two.test", "--why", "asked by phone") == {"changed": 2}
    assert len(rows(s, "--state", "held")) == 2 and len(rows(s, "--reason", "phone")) == 2
    assert s.json("queue", "release", "--state", "held") == {"changed": 2}
    assert s.json("queue", "due", id_, "--at", "2h") == {"changed": 1}
    assert [r["id"] for r in rows(s, "--state", "scheduled")] == [id_]
    assert s.json("queue", "reroute", id_, "--to", "127.0.0.1:2") == {"changed": 1}
    assert s.json("queue", "show", id_)["reroute"] == "127.0.0.1:2"
    assert s.json("queue", "retry", id_) == {"changed": 1}
    wait_for(lambda: any("127.0.0.1:2" in t["said"] for t in s.json("queue", "show", id_)["attempts"]))
    assert s.json("queue", "reroute", id_, "--to", "default") == {"changed": 1}

    assert s.json("queue", "bounce", "--domain", "two.test") == {"changed": 2}
    wait_for(lambda: rows(s, "--domain", "two.test") == [])


def test_what_is_refused(new_server):
    s = new_server(SETTINGS)
    for words, code, says in (
        (["list", "--state", "asleep"], 1, "state is waiting"),
        (["list", "--older", "soon"], 2, "no time such as"),
        (["list", "--reason", "x" * 201], 1, "too long"),
        (["reroute", "--all"], 2, "--to HOST"),
        (["due", "--all", "--at", "tomorrow"], 2, "--at says when"),
        (["hold", "1", "--domain", "x.test"], 2, "--all"),
        (["pause", "everything"], 1, "a scope is"),
        (["pause", "domain/"], 1, "a scope is"),
        (["bounce", "77"], 1, "no such queue row"),
    ):
        r = s.command("queue", *words, check=False)
        assert r.returncode == code and says in r.stderr, (words, r.stderr)


def test_pauses(new_server):
    s = new_server(SETTINGS)
    assert s.command("queue", "pause", "domain/Two.test").returncode == 0
    assert [p["scope"] for p in s.json("queue", "pauses")] == ["domain/two.test"]
    with login(s) as c:
        c.sendmail("alice@example.test", ["x@one.test"], TEXT)
        c.sendmail("alice@example.test", ["y@two.test"], TEXT)
    wait_for(lambda: [r["domain"] for r in rows(s, "--state", "paused")] == ["two.test"])
    wait_for(lambda: rows(s, "--domain", "one.test")[0]["tries"] == 1)
    assert rows(s, "--domain", "two.test")[0]["tries"] == 0
    assert s.json("queue", "resume", "domain/two.test") == {"changed": 1}
    wait_for(lambda: rows(s, "--domain", "two.test")[0]["tries"] == 1)
    assert s.command("queue", "pause", "all", "--for", "1h").returncode == 0
    s.json("queue", "retry", "--all")
    wait_for(lambda: len(rows(s, "--state", "paused")) == 2)
    assert s.json("queue", "resume", "all") == {"changed": 2}


def test_when_to_send(new_server):
    s = new_server(SETTINGS + "\nsubmission.hold-max = 1d")
    with smtplib.SMTP("127.0.0.1", s.port("smtp"), timeout=30) as c:
        c.ehlo("client.test")
        assert not {"futurerelease", "deliverby", "mt-priority"} & set(c.esmtp_features)
        for word in ("HOLDFOR=60", "BY=60;R", "MT-PRIORITY=1"):
            assert c.docmd("MAIL", "FROM:<a@b.test> " + word)[0] == 555
    with login(s) as c:
        c.ehlo("client.test")
        assert c.esmtp_features["futurerelease"].split()[0] == "86400" and c.esmtp_features["deliverby"] == "60"
        assert "mt-priority" in c.esmtp_features
        for words, code in (
            ("HOLDFOR=0", 501), ("HOLDFOR=01", 501), ("HOLDFOR=x", 501), ("HOLDFOR=86401", 501), ("HOLDFOR", 501),
            ("HOLDFOR=9999999999", 501), ("HOLDUNTIL=2001-01-01T00:00:00Z", 501), ("HOLDUNTIL=2999-01-01T00:00:00Z", 501),
            ("HOLDUNTIL=yesterday", 501), ("HOLDUNTIL=2026-13-01T00:00:00Z", 501), ("HOLDFOR=60 HOLDFOR=60", 501),
            ("BY=60", 501), ("BY=;R", 501), ("BY=60;X", 501), ("BY=0;R", 501), ("BY=-5;R", 501), ("BY=59;R", 555),
            ("BY=1234567890;N", 501), ("BY=60;RTT", 501), ("BY", 501), ("HOLDFOR=120 BY=60;R", 501),
            ("MT-PRIORITY=10", 501), ("MT-PRIORITY=-0", 501), ("MT-PRIORITY=", 501), ("MT-PRIORITY=+1", 501),
            ("BY=-5;N", 250), ("BY=3600;RT", 250), ("BY=+60;n", 250), ("MT-PRIORITY=-9", 250), ("MT-PRIORITY=4", 250),
        ):
            got = c.docmd("MAIL", "FROM:<alice@example.test> " + words)
            assert got[0] == code, (words, got)
            c.rset()
        lowered = c.docmd("MAIL", "FROM:<alice@example.test> MT-PRIORITY=9")
        assert lowered[0] == 250 and lowered[1].startswith(b"2.3.6 4 ")
        c.rset()
        c.sendmail("alice@example.test", ["bob@example.test", "x@one.test"], TEXT, ["HOLDFOR=7200", "MT-PRIORITY=3"])
    later = rows(s, "--state", "scheduled")
    assert sorted(r["domain"] for r in later) == ["example.test", "one.test"] and {r["priority"] for r in later} == {3}
    assert all(7100 < r["due"] - r["born"] <= 7200 for r in later)
    s.json("queue", "retry", "--domain", "example.test")  # an administrator may let it go before its time
    wait_for(lambda: rows(s, "--domain", "example.test") == [])
    assert s.json("status")["messages"] == 1  # in the mailbox of bob
