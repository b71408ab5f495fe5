# SPDX-License-Identifier: Apache-2.0
"""MTA-STS (RFC 8461) over real sockets: policies fetched by HTTPS from a server whose certificate is trusted or not, obeyed, and counted for reports
(RFC 8460 4.3.2.2)."""
import smtplib
import time

import pytest

from house import DOMAIN, PASSWORD, Server
from signed_dns import SignedDns
from tls_sink import PolicySite, TlsSink, make_authority, make_signed

NAMES = ("enforce", "wrong", "testing", "other", "gone", "endless", "html", "moved", "untrusted")


def policy(mode, mx="mail.{}.sts.test"):
    return f"version: STSv1\r\nmode: {mode}\r\nmx: {mx}\r\nmax_age: 86400\r\n"


def ok(text):
    return f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode()


def endless():
    yield b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1000000000\r\n\r\nversion: STSv1\r\n"
    for _ in range(1000000):
        yield b"mx: mail.endless.sts.test\r\n" * 1000


class World:
    def __init__(self, folder):
        authority = make_authority(folder)
        good = make_signed(folder, "good", [f"mail.{n}.sts.test" for n in NAMES if n not in ("wrong", "testing")], authority)
        site = make_signed(folder, "site", [f"mta-sts.{n}.sts.test" for n in NAMES if n != "untrusted"], authority)
        self.sink = TlsSink("127.0.0.14", 0, *good)
        self.site = PolicySite("127.0.0.13", *site, {
            "mta-sts.enforce.sts.test": ok(policy("enforce", "mail.enforce.sts.test")),
            "mta-sts.wrong.sts.test": ok(policy("enforce", "*.wrong.sts.test")),
            "mta-sts.testing.sts.test": ok(policy("testing", "mail.testing.sts.test")),
            "mta-sts.other.sts.test": ok(policy("enforce", "mx.other.sts.test")),
            "mta-sts.gone.sts.test": b"HTTP/1.1 404 Gone\r\nContent-Length: 0\r\n\r\n",
            "mta-sts.endless.sts.test": endless,
            "mta-sts.html.sts.test": ok("<html>"),
            "mta-sts.moved.sts.test": b"HTTP/1.1 301 There\r\nLocation: https://mta-sts.enforce.sts.test/\r\nContent-Length: 0\r\n\r\n",
        })
        zone = "".join(f'{n} MX 10 mail.{n}\nmail.{n} A 127.0.0.14\n_mta-sts.{n} TXT "v=STSv1; id=1"\nmta-sts.{n} A 127.0.0.13\n'
                       f'_smtp._tls.{n} TXT "v=TLSRPTv1; rua=https://nowhere.sts.test/"\n' for n in NAMES)
        self.dns = SignedDns(folder / "dns", {"sts.test": zone}, [])
        self.dns.start()
        self.server = Server(folder, f"dns.server = 127.0.0.1@{self.dns.port}\ndns.trust-anchor = {self.dns.anchor}\nrelay.port = {self.sink.port}\nrelay.https-port = {self.site.port}\n"
                                     f"relay.loopback = yes\nrelay.retry = 1h\nrelay.ca-file = {authority[0]}\n")
        authority[0].chmod(0o644)
        self.server.start()
        self.server.command("domain", "add", DOMAIN)
        self.server.add_account("alice")

    def close(self):
        try:
            self.server.stop()
        finally:
            self.dns.stop()
            self.sink.close()
            self.site.close()

    def send(self, domain):
        start = len(self.server.log())
        with smtplib.SMTP("127.0.0.1", self.server.port("submission"), timeout=30) as s:
            s.login(f"alice@{DOMAIN}", PASSWORD)
            s.sendmail(f"alice@{DOMAIN}", [f"bob@{domain}"], f"From: alice@{DOMAIN}\r\nTo: bob@{domain}\r\nSubject: x\r\n\r\nhello\r\n")
        return self.server.wait_log(rf"event=relay\.try [^\n]*domain={domain} [^\n]*", 60, start)[0]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    w = World(tmp_path_factory.mktemp("sts"))
    yield w
    w.close()


@pytest.mark.parametrize("name, words", [
    ("enforce", "MTA-STS enforce"),
    ("testing", "MTA-STS testing"),  # the certificate is for others, which is told in the report
    ("gone", "TLS where it works"),
    ("endless", "TLS where it works"),
    ("html", "TLS where it works"),
    ("moved", "TLS where it works"),  # RFC 8461 3.3: redirects are not followed
    ("untrusted", "TLS where it works"),
])
def test_delivered(world, name, words):
    line = world.send(f"{name}.sts.test")
    assert "delivered=1" in line and "tls=yes" in line and words in line, line


@pytest.mark.parametrize("name, words", [
    ("wrong", "the certificate is for another name"),
    ("other", "the MTA-STS policy of the domain does not name the host"),
])
def test_waits(world, name, words):
    line = world.send(f"{name}.sts.test")
    assert "waiting=1" in line and words in line, line


def test_fetched_once(world):
    world.send("enforce.sts.test")
    world.send("enforce.sts.test")
    assert [path for host, path in world.site.asked if host == "mta-sts.enforce.sts.test"] == ["GET /.well-known/mta-sts.txt HTTP/1.1"]


RESULTS = {"wrong": "certificate-host-mismatch", "testing": "certificate-host-mismatch", "other": "validation-failure", "gone": "sts-policy-fetch-error",
           "endless": "sts-policy-fetch-error", "html": "sts-policy-invalid", "moved": "sts-policy-fetch-error", "untrusted": "sts-webpki-invalid"}


def test_counted_for_reports(world):
    for name in NAMES:
        world.send(f"{name}.sts.test")
    end = time.time() + 60
    while True:
        seen = {r["domain"].split(".")[0]: r["policies"] for r in world.server.json("tls-reports", "waiting")}
        if set(seen) == set(NAMES):
            break
        assert time.time() < end, seen
        time.sleep(0.5)
    for name, result in RESULTS.items():
        row, = [p for p in seen[name] if p["policy"]["policy-type"] == "sts"]
        assert {d["result-type"] for d in row["failure-details"]} == {result}, name
        assert row["policy"]["policy-domain"] == f"{name}.sts.test"
    row, = seen["enforce"]
    assert row["policy"]["policy-string"] == ["version: STSv1", "mode: enforce", "mx: mail.enforce.sts.test", "max_age: 86400"]
    assert row["policy"]["mx-host"] == ["mail.enforce.sts.test"] and "failure-details" not in row
    assert row["summary"]["total-successful-session-count"] >= 1 and row["summary"]["total-failure-session-count"] == 0
    kinds = {p["policy"]["policy-type"]: p["summary"] for p in seen["gone"]}  # and the session itself, which had no policy
    assert kinds["no-policy-found"]["total-successful-session-count"] >= 1
