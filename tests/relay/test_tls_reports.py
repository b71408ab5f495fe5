# SPDX-License-Identifier: Apache-2.0
"""TLS reports (RFC 8460) that others send us: read from their mail, shown by day and domain; and what hostile ones do, which is nothing: their mail
is delivered like any other."""
import base64
import gzip
import imaplib
import json
import smtplib

import pytest

from house import DOMAIN, PASSWORD


def report(organization="Big Mail", ident="1@big.test", good=5, bad=2, domain=DOMAIN, **more):
    return {"organization-name": organization, "contact-info": "tls@big.test", "report-id": ident,
            "date-range": {"start-datetime": "2026-11-20T00:00:00Z", "end-datetime": "2026-11-20T23:59:59Z"},
            "policies": [{"policy": {"policy-type": "sts", "policy-string": ["version: STSv1"], "policy-domain": domain, "mx-host": ["*.example.test"]},
                          "summary": {"total-successful-session-count": good, "total-failure-session-count": bad},
                          "failure-details": [{"result-type": "certificate-expired", "sending-mta-ip": "192.0.2.7", "receiving-mx-hostname": "mx.example.test",
                                               "receiving-ip": "192.0.2.1", "failed-session-count": bad, "failure-reason-code": "old"}]}]} | more


def mail(content, kind="application/tlsrpt+gzip"):
    return (f"From: <tls@big.test>\r\nTo: <tls@{DOMAIN}>\r\nSubject: Report Domain: {DOMAIN} Submitter: big.test Report-ID: <1@big.test>\r\n"
            f"TLS-Report-Domain: {DOMAIN}\r\nTLS-Report-Submitter: big.test\r\nMIME-Version: 1.0\r\n"
            "Content-Type: multipart/report; report-type=\"tlsrpt\"; boundary=\"b\"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nA report.\r\n"
            f"--b\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\n\r\n{base64.encodebytes(content).decode()}\r\n--b--\r\n")


def send(server, text):
    with smtplib.SMTP("127.0.0.1", server.port("smtp"), timeout=60) as s:
        s.sendmail("tls@big.test", [f"TLS@{DOMAIN}"], text)


def count(server):
    with imaplib.IMAP4("127.0.0.1", server.port("imap")) as i:
        i.login(f"tls@{DOMAIN}", PASSWORD)
        return int(i.select("INBOX", readonly=True)[1][0])


@pytest.fixture
def server(new_server):
    return new_server(f"tls-report.address = tls@{DOMAIN}\n", accounts=("tls",))


def test_received(server):
    assert "nobody reported to us" in server.command("tls-reports").stdout
    send(server, mail(gzip.compress(json.dumps(report()).encode())))
    send(server, mail(gzip.compress(json.dumps(report()).encode())))  # the same report again
    send(server, mail(json.dumps(report(ident="2@big.test", good=10, bad=0)).encode(), "application/tlsrpt+json"))
    send(server, mail(gzip.compress(json.dumps(report(organization="Other")).encode())))
    assert count(server) == 4  # the mail is delivered, too
    rows = server.json("tls-reports")
    assert len(rows) == 3
    first = rows[0]
    assert first["organization"] == "Big Mail" and first["domain"] == DOMAIN and first["success"] == 5 and first["failure"] == 2
    assert first["verified"] is False and first["failures"][0]["result"] == "certificate-expired" and first["failures"][0]["from"] == "192.0.2.7"
    lines = server.command("tls-reports").stdout.splitlines()
    assert len(lines) == 3 and "2026-11-20" in lines[1]
    assert lines[1].split()[4:7] == ["2", "15", "2"] and "certificate-expired mx.example.test old" in lines[1]  # of one day and sender the sum
    server.restart()
    assert len(server.json("tls-reports", "received")) == 3
    assert "no report was sent yet" in server.command("tls-reports", "sent").stdout
    assert server.command("tls-reports", "nonsense", check=False).returncode != 0


def test_pages(server):
    with smtplib.SMTP("127.0.0.1", server.port("smtp"), timeout=60) as s:
        for i in range(130):
            s.sendmail("tls@big.test", [f"tls@{DOMAIN}"], mail(gzip.compress(json.dumps(report(organization=f"Sender {i} & Söhne")).encode())))
    assert len({r["organization"] for r in server.json("tls-reports")}) == 130
    assert len(server.command("tls-reports").stdout.splitlines()) == 131


DEEP = b'{"organization-name": ' + b"[" * 100000 + b"]" * 100000 + b"}"
HOSTILE = {
    "a bomb of gzip": gzip.compress(b" " * (200 << 20)),
    "a deep nest": gzip.compress(DEEP),
    "a deep nest, plain": DEEP,
    "gzip that is cut short": gzip.compress(json.dumps(report()).encode())[:-20],
    "gzip of nothing": gzip.compress(b""),
    "no JSON": b"hello",
    "an array": b"[1]",
    "no policies": json.dumps(report(policies=[])).encode(),
    "policies of numbers": json.dumps(report(policies=[1, 2, 3])).encode(),
    "no dates": json.dumps(report(**{"date-range": 7})).encode(),
    "a name twice": b'{"report-id": "a", "report-id": "b"}',
    "NUL in a text": json.dumps(report(organization="a\0b")).encode(),
    "more than a megabyte": json.dumps(report(policies=report()["policies"] * 5000)).encode(),
    "nothing": b"",
}


@pytest.mark.parametrize("what", list(HOSTILE))
def test_hostile(server, what):
    send(server, mail(HOSTILE[what]))
    server.wait_log(r"event=tls_report\.received [^\n]*cannot be read")
    assert count(server) == 1
    assert server.json("tls-reports") == []


def test_long_texts(server):
    policies = report()["policies"] * 1500
    long = report(organization="x" * 100000 + "\r\n", ident="\u00e4\x01" * 5000, policies=policies, **{"contact-info": {"a": 1}})
    send(server, mail(gzip.compress(json.dumps(long).encode())))
    row, = server.json("tls-reports") or [None]
    assert row["success"] == 7500 and len(row["policies"]) == 20 and len(row["failures"]) == 60 and len(row["organization"]) == 100
    assert "\x01" not in row["id"] and row["contact"] == ""


def test_not_for_us(server):
    """Only mail to the address that the option names is looked at."""
    server.add_account("other")
    with smtplib.SMTP("127.0.0.1", server.port("smtp"), timeout=60) as s:
        s.sendmail("tls@big.test", [f"other@{DOMAIN}"], mail(gzip.compress(json.dumps(report()).encode())))
    assert server.json("tls-reports") == []
