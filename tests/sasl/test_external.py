# SPDX-License-Identifier: Apache-2.0
"""EXTERNAL (RFC 4422) with certificates of clients."""
import subprocess

import pytest

from house import DOMAIN, Server
from sasl_client import Wire

PROTOCOLS = ["smtp", "imap", "pop3"]
ALICE = f"alice@{DOMAIN}"


class Authority:
    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        folder.mkdir(exist_ok=True)
        self.run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem", "-subj", f"/CN={name}", "-days", "10")

    def run(self, *words):
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)

    def client(self, name, names, days=10, usage="clientAuth"):
        """(certificate, key) with these subjectAltNames."""
        key, ask, pem, ext = (self.folder / f"{self.name}-{name}.{x}" for x in ("key", "csr", "pem", "ext"))
        ext.write_text((f"subjectAltName={names}\n" if names else "") + f"extendedKeyUsage={usage}\n")
        self.run("req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", ask, "-subj", f"/CN={name}")
        self.run("x509", "-req", "-in", ask, "-CA", self.folder / f"{self.name}.pem", "-CAkey", self.folder / f"{self.name}.key", "-out", pem, "-days", days, "-extfile", ext)
        return str(pem), str(key)


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"), "ours")


@pytest.fixture(scope="module")
def house(tmp_path_factory, ours):
    s = Server(tmp_path_factory.mktemp("house"), f"tls.client-ca = {ours.folder}/ours.pem").start()
    s.command("domain", "add", DOMAIN)
    for name in ("alice", "bob"):
        s.add_account(name)
    yield s
    s.stop()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_certificate(house, ours, protocol):
    pair = ours.client("alice", f"email:{ALICE}")
    for initial in (b"", ALICE, ALICE.upper(), None):
        with Wire(house, protocol, tls=True, client=pair) as w:
            assert "EXTERNAL" in w.mechanisms
            got = w.begin("EXTERNAL", initial)
            if initial is None:
                assert got == ("more", b"")
                got = w.respond(b"")
            assert got[0] == "ok"


def test_other_name(house, ours):
    with Wire(house, "imap", tls=True, client=ours.client("alice", f"email:{ALICE}")) as w:
        assert w.begin("EXTERNAL", f"bob@{DOMAIN}")[0] == "no"
        assert w.begin("EXTERNAL", "\0")[0] == "no"
        assert w.begin("EXTERNAL", b"\xff" * 2000)[0] == "no"
        assert w.begin("EXTERNAL", b"")[0] == "ok"


def test_several_names(house, ours):
    pair = ours.client("several", f"DNS:x.test,email:nobody@{DOMAIN},email:bob@{DOMAIN}")
    with Wire(house, "imap", tls=True, client=pair) as w:
        assert w.begin("EXTERNAL", b"")[0] == "ok"


@pytest.mark.parametrize("names, usage", [("DNS:x.test", "clientAuth"), ("", "clientAuth"), ("email:nobody@x.test", "clientAuth"), (f"email:{ALICE}", "serverAuth")])
def test_certificates_that_do_not_help(house, ours, names, usage):
    with Wire(house, "imap", tls=True, client=ours.client("useless", names, usage=usage)) as w:
        assert w.begin("EXTERNAL", ALICE)[0] == "no"


def test_not_ours(house, ours, tmp_path):
    """A certificate of somebody else's is as good as none, and ends no handshake."""
    theirs = Authority(tmp_path, "ours")
    with Wire(house, "imap", tls=True, client=theirs.client("alice", f"email:{ALICE}")) as w:
        assert "EXTERNAL" not in w.mechanisms and w.begin("EXTERNAL", ALICE)[0] == "no"


def test_without_certificate(house, server):
    for s in (house, server):
        with Wire(s, "imap", tls=True) as w:
            assert "EXTERNAL" not in w.mechanisms and w.begin("EXTERNAL", ALICE)[0] == "no"


def test_mail_servers_are_not_asked(house):
    """Port 25 does not ask for certificates: a server there may have any."""
    r = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{house.port('smtp')}", "-starttls", "smtp"], input=b"QUIT\n", capture_output=True, timeout=30)
    assert b"Acceptable client certificate CA names" not in r.stdout
    r = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{house.port('imaps')}"], input=b"a LOGOUT\n", capture_output=True, timeout=30)
    assert b"Acceptable client certificate CA names" in r.stdout
