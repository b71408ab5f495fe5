# SPDX-License-Identifier: Apache-2.0
"""DANE (RFC 7672) with zones that are really signed, through the real resolver, over real sockets: which mail leaves, which waits, and what it says
about it; and what of that is counted for reports (RFC 8460)."""
import smtplib
import time

import pytest

from house import DOMAIN, PASSWORD, Server
from signed_dns import SignedDns, free_port
from tls_sink import TlsSink, fingerprint, make_authority, make_certificate, make_signed

OTHER = "ab" * 32  # no key of ours has that hash


def zones(port, key, anchor):
    """good: the record is that of the server. Hosts are 127.0.0.11 (with the key), 127.0.0.12 (no STARTTLS), 127.0.0.15 (signed by the anchor)."""
    signed = f"""
good MX 10 mail.good
mail.good A 127.0.0.11
_{port}._tcp.mail.good TLSA 3 1 1 {key}
wrong MX 10 mail.wrong
mail.wrong A 127.0.0.11
_{port}._tcp.mail.wrong TLSA 3 1 1 {OTHER}
_smtp._tls.wrong TXT "v=TLSRPTv1; rua=mailto:tls@wrong.dane.test"
none MX 10 mail.none
mail.none A 127.0.0.11
plain MX 10 mail.plain
mail.plain A 127.0.0.12
_{port}._tcp.mail.plain TLSA 3 1 1 {key}
_smtp._tls.plain TXT "v=TLSRPTv1; rua=mailto:tls@plain.dane.test"
bogus MX 10 mail.bogus
mail.bogus A 127.0.0.11
_{port}._tcp.mail.bogus TLSA 3 1 1 {key[:-8]}deadbeef
_smtp._tls.bogus TXT "v=TLSRPTv1; rua=https://reports.bogus.dane.test/tls,mailto:tls@bogus.dane.test"
useless MX 10 mail.useless
mail.useless A 127.0.0.11
_{port}._tcp.mail.useless TLSA 1 1 1 {OTHER}
chain MX 10 mx.chain
mx.chain CNAME mail.good
leaves MX 10 mx.leaves
mx.leaves CNAME mail.unsigned.test.
_{port}._tcp.mx.leaves TLSA 3 1 1 {key}
strays MX 10 mx.strays
mx.strays CNAME mail.unsigned.test.
_{port}._tcp.mx.strays TLSA 3 1 1 {OTHER}
forged MX 10 mail.victim
mail.victim A 127.0.0.11
stolen MX 10 mail.stolen
mail.stolen A 127.0.0.77
two MX 10 mail.bogus
two MX 20 mail.good
anchor MX 10 mail.anchor
mail.anchor A 127.0.0.15
_{port}._tcp.mail.anchor TLSA 2 0 1 {anchor}
badname MX 10 mail.badname
mail.badname A 127.0.0.15
_{port}._tcp.mail.badname TLSA 2 0 1 {anchor}
child NS ns.child
ns.child A 127.0.0.1
"""
    unsigned = f"""
@ MX 10 mail
mail A 127.0.0.11
_{port}._tcp.mail TLSA 3 1 1 {OTHER}
"""
    return {"dane.test": signed, "child.dane.test": unsigned, "unsigned.test": unsigned}


class World:
    def __init__(self, folder):
        certificate, key, digest = make_certificate(folder, "mail.good.dane.test")
        self.tls = TlsSink("127.0.0.11", free_port("127.0.0.11", "127.0.0.12", "127.0.0.15"), certificate, key)
        self.plain = TlsSink("127.0.0.12", self.tls.port)
        authority = make_authority(folder)
        self.signed = TlsSink("127.0.0.15", self.tls.port, *make_signed(folder, "signed", ["mail.anchor.dane.test"], authority), authority[0])
        # changed after it was signed: the last bytes of a TLSA record, where an MX points, an address
        self.dns = SignedDns(folder / "dns", zones(self.tls.port, digest, fingerprint(authority[0])), ["dane.test"],
                             [("(?i)deadbeef", digest[-8:]), (r"(MX\s+10 )mail\.victim", r"\1mail.none"), (r"127\.0\.0\.77", "127.0.0.11")])
        self.dns.start()
        self.server = Server(folder, f"dns.server = 127.0.0.1@{self.dns.port}\ndns.trust-anchor = {self.dns.anchor}\nrelay.port = {self.tls.port}\n"
                                     "relay.loopback = yes\nrelay.retry = 1h\ntls-report = yes\n")
        for p in (self.dns.folder, self.dns.anchor):
            p.chmod(p.stat().st_mode | 0o055)
        self.server.start()
        self.server.command("domain", "add", DOMAIN)
        self.server.add_account("alice")

    def close(self):
        try:
            self.server.stop()
        finally:
            self.dns.stop()
            self.tls.close()
            self.plain.close()
            self.signed.close()

    def send(self, domain):
        """The line of the log about the first try."""
        start = len(self.server.log())
        with smtplib.SMTP("127.0.0.1", self.server.port("submission"), timeout=30) as s:
            s.login(f"alice@{DOMAIN}", PASSWORD)
            s.sendmail(f"alice@{DOMAIN}", [f"bob@{domain}"], f"From: alice@{DOMAIN}\r\nTo: bob@{domain}\r\nSubject: x\r\n\r\nhello\r\n")
        return self.server.wait_log(rf"event=relay\.try [^\n]*domain={domain} [^\n]*", 30, start)[0]

    def taken(self, domain):
        return [secure for to, _, secure in self.tls.taken + self.plain.taken + self.signed.taken if to == f"bob@{domain}"]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    w = World(tmp_path_factory.mktemp("dane"))
    yield w
    w.close()


@pytest.mark.parametrize("domain, policy", [
    ("good.dane.test", "policy=DANE "),
    ("chain.dane.test", "policy=DANE "),  # RFC 7672 2.2.2: a secure CNAME, records where it leads
    ("leaves.dane.test", "policy=DANE "),  # the CNAME is secure, where it leads is not: records at the first name
    ("anchor.dane.test", "policy=DANE "),  # usage 2: signed by the certificate that the record names
    ("two.dane.test", "policy=DANE "),  # RFC 7672 2.1.2: no answer about the first host, so the second
    ("useless.dane.test", "DANE without a usable record: TLS, not verified"),  # RFC 7672 2.2
    ("none.dane.test", "TLS where it works"),  # RFC 7672 2.1.3
    ("unsigned.test", "TLS where it works"),  # what is not signed says nothing, TLSA records included
    ("child.dane.test", "TLS where it works"),  # a delegation without DS
])
def test_delivered(world, domain, policy):
    line = world.send(domain)
    assert "delivered=1" in line and "tls=yes" in line and policy in line, line
    assert world.taken(domain) == [True]


@pytest.mark.parametrize("domain, reply", [
    ("wrong.dane.test", "the certificate is not the one that the TLSA records name"),
    ("strays.dane.test", "the certificate is not the one that the TLSA records name"),
    ("plain.dane.test", "the remote server offers no TLS, which the policy demands: DANE"),
    ("bogus.dane.test", "the TLSA records of the host cannot be had"),
    ("forged.dane.test", "bogus (DNSSEC)"),
    ("stolen.dane.test", "no DNS answer for the addresses of mail.stolen.dane.test"),
    ("badname.dane.test", "the certificate is for another name"),  # RFC 7672 3.2.2
])
def test_waits(world, domain, reply):
    line = world.send(domain)
    assert "waiting=1" in line and reply in line, line
    assert world.taken(domain) == []


def reports(server):
    return {r["domain"]: r for r in server.json("tls-reports", "waiting")}


def test_counted_for_reports(world):
    for domain in ("wrong.dane.test", "plain.dane.test", "bogus.dane.test", "good.dane.test"):
        world.send(domain)
    end = time.time() + 40
    wanted = {"wrong.dane.test", "plain.dane.test", "bogus.dane.test"}
    while not wanted <= set(reports(world.server)):
        assert time.time() < end, reports(world.server)
        time.sleep(0.5)
    seen = reports(world.server)
    assert "good.dane.test" not in seen  # it asks for none
    for domain, result in (("wrong.dane.test", "certificate-not-trusted"), ("plain.dane.test", "starttls-not-supported"),
                           ("bogus.dane.test", "dnssec-invalid")):
        row, = seen[domain]["policies"]
        assert row["policy"]["policy-type"] == "tlsa" and row["policy"]["policy-domain"] == "mail." + domain
        assert row["summary"]["total-successful-session-count"] == 0 and row["summary"]["total-failure-session-count"] >= 1
        detail, = row["failure-details"]
        assert detail["result-type"] == result and detail["receiving-mx-hostname"] == "mail." + domain
    detail, = seen["wrong.dane.test"]["policies"][0]["failure-details"]
    assert detail["receiving-ip"] == "127.0.0.11" and detail["sending-mta-ip"].startswith("127.0.0.")
    assert detail["failure-reason-code"] == "X509_V_ERR_DANE_NO_MATCH"
    assert seen["wrong.dane.test"]["policies"][0]["policy"]["policy-string"] == [f"3 1 1 {OTHER.upper()}"]
    assert "wrong.dane.test" in world.server.command("tls-reports", "waiting").stdout
