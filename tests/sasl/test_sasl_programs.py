# SPDX-License-Identifier: Apache-2.0
"""SASL as mail programs do it: gsasl, msmtp, curl, mbsync (libsasl2)."""
import subprocess

import pytest

from house import DOMAIN, PASSWORD
from sasl_client import Issuer
from test_external import Authority

ALICE = f"alice@{DOMAIN}"


@pytest.fixture(scope="module")
def issuer(tmp_path_factory):
    return Issuer(tmp_path_factory.mktemp("issuer"))


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"), "ours")


@pytest.fixture(scope="module")
def house(tmp_path_factory, issuer, ours):
    from house import Server
    s = Server(tmp_path_factory.mktemp("house"), issuer.conf(issuer.pem()) + f"\ntls.client-ca = {ours.folder}/ours.pem").start()
    s.command("domain", "add", DOMAIN)
    s.add_account("alice")
    yield s
    s.stop()


def run(*words, input=None):
    return subprocess.run(list(map(str, words)), input=input, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("protocol, mechanism", [("imap", m) for m in ("PLAIN", "LOGIN", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS")] +
                         [("smtp", m) for m in ("PLAIN", "LOGIN", "SCRAM-SHA-1", "SCRAM-SHA-256")])
def test_gsasl(house, protocol, mechanism):
    """With tls-exporter for -PLUS. Its SMTP says STARTTLS before EHLO, so that goes without."""
    words = ["gsasl", f"--{protocol}", "-m", mechanism, "--connect", f"127.0.0.1:{house.port('imap' if protocol == 'imap' else 'submission')}", "--hostname", "127.0.0.1",
             "--service", protocol, "-a", ALICE, "-z", ALICE, "--verbose"]
    words += ["--starttls", f"--x509-ca-file={house.folder}/house/tls/certificate.pem"] if protocol == "imap" else ["--no-starttls"]
    words += [] if mechanism.endswith("-PLUS") else ["--no-cb"]
    good = run(*words, "-p", PASSWORD, input="")
    assert "authentication finished" in good.stdout + good.stderr, good.stdout + good.stderr
    bad = run(*words, "-p", "wrong", input="")
    assert "authentication finished" not in bad.stdout + bad.stderr


@pytest.mark.parametrize("auth", ["plain", "scram-sha-1", "scram-sha-256", "oauthbearer", "xoauth2", "external"])
def test_msmtp(house, issuer, ours, auth):
    certificate = ours.client("alice", f"email:{ALICE}")
    secret = issuer.token(ALICE) if auth in ("oauthbearer", "xoauth2") else PASSWORD
    for password, good in ((secret, True), ("wrong", auth == "external")):
        words = ["--tls-cert-file=" + certificate[0], "--tls-key-file=" + certificate[1]] if auth == "external" else []
        r = run("msmtp", "--host=127.0.0.1", f"--port={house.port('submission')}", f"--auth={auth}", f"--user={ALICE}", f"--passwordeval=echo '{password}'", "--tls=on", "--tls-starttls=on",
                "--tls-certcheck=off", f"--from={ALICE}", "--domain=c.test", *words, ALICE, input=f"From: {ALICE}\nSubject: {auth}\n\nhello\n")
        assert (r.returncode == 0) == good, r.stderr


@pytest.mark.parametrize("kind", ["submission", "imap", "pop3"])
@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2", "EXTERNAL", "PLAIN"])
def test_curl(house, issuer, ours, kind, mechanism):
    scheme = "smtp" if kind == "submission" else kind
    words = ["curl", "-sS", "-k", "--ssl-reqd", "--max-time", "30", f"{scheme}://127.0.0.1:{house.port(kind)}/", "--login-options", f"AUTH={mechanism}"]
    words += ["-X", "NOOP"] if kind == "submission" else []
    if mechanism == "EXTERNAL":
        certificate = ours.client("alice", f"email:{ALICE}")
        words += ["--cert", certificate[0], "--key", certificate[1], "-u", f"{ALICE}:"]
    elif mechanism == "PLAIN":
        words += ["-u", f"{ALICE}:{PASSWORD}"]
    else:
        words += ["-u", f"{ALICE}:", "--oauth2-bearer", issuer.token(ALICE)]
    r = run(*words)
    assert r.returncode == 0, r.stderr
    if mechanism in ("OAUTHBEARER", "XOAUTH2"):
        r = run(*words[:-1], issuer.token(ALICE, exp=1))
        assert r.returncode == 67, (r.returncode, r.stderr)  # login denied


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-1", "SCRAM-SHA-256", "PLAIN"])
def test_mbsync(house, tmp_path, mechanism):
    (tmp_path / "mail").mkdir()
    (tmp_path / "rc").write_text(f"""
IMAPAccount a
Host 127.0.0.1
Port {house.port('imap')}
User {ALICE}
Pass {PASSWORD}
SSLType STARTTLS
CertificateFile {house.folder}/house/tls/certificate.pem
AuthMechs {mechanism}

IMAPStore far
Account a

MaildirStore near
Path {tmp_path}/mail/
Inbox {tmp_path}/mail/INBOX

Channel all
Far :far:
Near :near:
Patterns INBOX
Create Near
SyncState *
""")
    r = run("mbsync", "-c", tmp_path / "rc", "-a")
    assert r.returncode == 0, r.stdout + r.stderr
    assert f"user={ALICE}" in house.log()
