# SPDX-License-Identifier: Apache-2.0
"""Mail programs as people have them: swaks, curl, msmtp, Python's smtplib."""
import smtplib
import subprocess
from email.message import EmailMessage

import pytest

from dialog import PASSWORD, inbox, no_verify


def run(*words, input=None):
    r = subprocess.run(list(map(str, words)), input=input, capture_output=True, text=True, timeout=60)
    assert r.returncode == 0, r.stdout + r.stderr


@pytest.mark.parametrize("words", [[], ["--tls"], ["--pipeline"], ["--protocol", "LMTP"], ["--tls", "--pipeline"]])
def test_swaks(server, account, words):
    port = server.port("lmtp" if "LMTP" in words else "smtp")
    run("swaks", "--server", "127.0.0.1", "--port", port, "--from", "x@y.test", "--to", account, "--header", "Subject: swaks", *words)
    assert b"Subject: swaks" in inbox(server, account)[0]


@pytest.mark.parametrize("kind,words", [("submission", ["--auth", "PLAIN"]), ("submission", ["--auth", "LOGIN", "-tls"]), ("submissions", ["--auth", "PLAIN", "-tlsc"])])
def test_swaks_submits(server, account, kind, words):
    run("swaks", "--server", "127.0.0.1", "--port", server.port(kind), "--from", account, "--to", account, "--auth-user", account, "--auth-password", PASSWORD, *words)
    assert b"Message-" in inbox(server, account)[0]


@pytest.mark.parametrize("kind,scheme", [("submission", "smtp"), ("submissions", "smtps")])
def test_curl(server, account, kind, scheme):
    text = f"From: {account}\r\nTo: {account}\r\nSubject: curl\r\n\r\n.hello\r\n"
    run("curl", "-sS", "-k", "--ssl", f"{scheme}://127.0.0.1:{server.port(kind)}", "--mail-from", account, "--mail-rcpt", account, "-u", f"{account}:{PASSWORD}", "-T", "-", input=text)
    got = inbox(server, account)[0]
    assert got.endswith(text.encode()) and b"\r\nMessage-ID: <" in got and b"\r\nDate: " in got


def test_msmtp(server, account, tmp_path):
    run("msmtp", "--host=127.0.0.1", f"--port={server.port('submission')}", "--auth=plain", f"--user={account}", f"--passwordeval=echo '{PASSWORD}'",
        "--tls=on", "--tls-starttls=on", "--tls-certcheck=off", f"--from={account}", "--domain=c.test", account, input=f"From: {account}\nSubject: msmtp\n\nhello\n")
    assert b"Subject: msmtp" in inbox(server, account)[0]


@pytest.mark.parametrize("tls", [False, True])
def test_smtplib(server, account, tls):
    m = EmailMessage()
    m["From"], m["To"], m["Subject"] = account, account, "Grüße"
    m.set_content("Schöne Grüße\n" * 100)
    m.add_attachment(bytes(range(256)) * 100, maintype="application", subtype="octet-stream", filename="a.bin")
    with smtplib.SMTP("127.0.0.1", server.port("submission")) as c:
        if tls:
            c.starttls(context=no_verify())
        c.login(account, PASSWORD)
        assert c.send_message(m) == {}
        assert c.send_message(m) == {}
    assert len(inbox(server, account)) == 2
