# SPDX-License-Identifier: Apache-2.0
"""SCRAM (RFC 5802, RFC 7677) on submission, IMAP and POP3."""
import hashlib
import re
import ssl
import time

import pytest

from house import DOMAIN, PASSWORD
from sasl_client import SCRAM, Scram, Wire, b64, end_point, scram

PROTOCOLS = ["smtp", "imap", "pop3"]


@pytest.mark.parametrize("mechanism", ["PLAIN", *SCRAM])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_log_says_who_logged_in(server, account, protocol, mechanism):
    for password, event in ((PASSWORD, "login.ok"), ("wrong", "login.failed")):
        start = len(server.log())
        with Wire(server, protocol) as w:
            if mechanism == "PLAIN":
                w.begin("PLAIN", f"\0{account}\0{password}")
            else:
                scram(w, mechanism, account, password=password)
        line = server.wait_log(rf"event={event} .*", start=start)[0]
        assert f" user={account} " in line + " " and password not in line


@pytest.mark.parametrize("mechanism", SCRAM)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_right_password(server, account, protocol, mechanism):
    for initial in (True, False):
        with Wire(server, protocol) as w:
            assert mechanism in w.mechanisms and mechanism + "-PLUS" not in w.mechanisms
            assert scram(w, mechanism, account, initial=initial)[0] == "ok"


@pytest.mark.parametrize("mechanism", SCRAM)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_wrong_password(server, account, protocol, mechanism):
    with Wire(server, protocol) as w:
        got = scram(w, mechanism, account, password="wrong")
        assert got[0] == "no" and re.search("535|AUTHENTICATIONFAILED|\\[AUTH\\]", got[1])
        assert scram(w, mechanism, account)[0] == "ok"


@pytest.mark.parametrize("mechanism", SCRAM)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_channel_binding(server, account, protocol, mechanism):
    with Wire(server, protocol, tls=True) as w:
        assert mechanism + "-PLUS" in w.mechanisms
        assert scram(w, mechanism + "-PLUS", account, flag="p=tls-server-end-point", binding=end_point(w))[0] == "ok"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_channel_binding_in_both_versions(server, account, version):
    with Wire(server, "imap", tls=True, version=version) as w:
        assert scram(w, "SCRAM-SHA-256-PLUS", account, flag="p=tls-server-end-point", binding=end_point(w))[0] == "ok"


@pytest.mark.parametrize("words", [
    {"flag": "p=tls-server-end-point", "binding": b"\0" * 32},
    {"flag": "p=tls-server-end-point", "binding": b""},
    {"flag": "p=tls-exporter", "binding": b"\0" * 32},
    {"flag": "p=tls-unique", "binding": b"\0" * 12},
    {"flag": "p=x", "binding": b""},
    {"flag": "n"},
    {"flag": "y"},
], ids=str)
def test_wrong_channel_binding(server, account, words):
    with Wire(server, "imap", tls=True) as w:
        assert scram(w, "SCRAM-SHA-256-PLUS", account, **words)[0] == "no"


def test_stripped_mechanisms_are_noticed(server, account):
    """RFC 5802 6: "y" says that the client saw no -PLUS; here there were some."""
    with Wire(server, "imap", tls=True) as w:
        assert scram(w, "SCRAM-SHA-256", account, flag="y")[0] == "no"
        assert scram(w, "SCRAM-SHA-256", account, flag="n")[0] == "ok"
    with Wire(server, "imap") as w:
        assert scram(w, "SCRAM-SHA-256", account, flag="y")[0] == "ok"


def test_plus_needs_tls(server, account):
    with Wire(server, "imap") as w:
        assert w.begin("SCRAM-SHA-256-PLUS", b"p=tls-exporter,,n=a,r=b")[0] == "no"


def test_acting_for_somebody_else(server, account):
    with Wire(server, "pop3") as w:
        assert scram(w, "SCRAM-SHA-256", account, authzid=f"alice@{DOMAIN}")[0] == "no"
        assert scram(w, "SCRAM-SHA-256", account, authzid=account)[0] == "ok"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_cancelled(server, account, protocol):
    with Wire(server, protocol) as w:
        assert w.begin("SCRAM-SHA-256") == ("more", b"")
        assert w.respond("*")[0] == "no"
        client = Scram("SCRAM-SHA-256", account)
        first = w.begin("SCRAM-SHA-256", client.first())
        assert w.respond("*")[0] == "no"
        first = w.begin("SCRAM-SHA-256", client.first())
        last = w.respond(client.final(first[1]))
        assert last == ("more", client.expected)
        assert w.respond("*")[0] == "no"
        assert scram(w, "SCRAM-SHA-256", account)[0] == "ok"


@pytest.mark.parametrize("message", [
    b"", b"n", b"n,", b"n,,", b"n,,n=", b"n,,n=a", b"n,,n=a,r=", b"n,,r=x,n=a", b"n,,m=x,n=a,r=x", b"n,,n=a,r=x,m=y", b"q,,n=a,r=x", b"p,,n=a,r=x", b"p=,,n=a,r=x",
    b"n,a=,n=a,r=x", b"n,a=b=,n=a,r=x", b"n,,n=a=,r=x", b"n,,n=a=2,r=x", b"n,,n=a=2c,r=x", b"n,,n=\xff,r=x", b"n,,n=a\0b,r=x", b"n,,n=a,r=\x01", b"n,,n=a,r=x y",
    b"n,,n=a,r=x,", b"n,,n=a,r=x,,", b"n,,n=a,r=" + b"x" * 600, b"n,,n=" + b"a" * 2000 + b",r=x",
], ids=range(26))
def test_malformed_first(server, account, message):
    with Wire(server, "imap") as w:
        assert w.begin("SCRAM-SHA-256", message)[0] == "no"
        assert scram(w, "SCRAM-SHA-256", account)[0] == "ok"


def changed(final, **attributes):
    parts = [p.split(b"=", 1) for p in final.split(b",")]
    return b",".join(k + b"=" + attributes.get(k.decode(), v) for k, v in parts if attributes.get(k.decode(), v) is not None)


@pytest.mark.parametrize("change", [
    lambda f: b"", lambda f: f[:20], lambda f: changed(f, p=None), lambda f: changed(f, c=None), lambda f: changed(f, r=None), lambda f: changed(f, r=b"x"),
    lambda f: changed(f, c=b"biws" + b"eA=="), lambda f: changed(f, c=b"eSws"), lambda f: changed(f, p=b"AAAA"), lambda f: changed(f, p=b64(b"\0" * 32).encode()), lambda f: changed(f, p=b"!"),
    lambda f: f.replace(b",p=", b",m=x,p="), lambda f: f + b",p=AAAA", lambda f: f.replace(b",p=", b",p=" + b"A" * 8000), lambda f: f + b",",
], ids=range(15))
def test_wrong_final(server, account, change):
    with Wire(server, "imap") as w:
        client = Scram("SCRAM-SHA-256", account)
        first = w.begin("SCRAM-SHA-256", client.first())
        assert w.respond(change(client.final(first[1])))[0] == "no"


def test_final_of_another_exchange(server, account):
    """A recorded exchange is of no use: the nonce is new each time."""
    with Wire(server, "imap") as w, Wire(server, "imap") as again:
        client = Scram("SCRAM-SHA-256", account)
        first = w.begin("SCRAM-SHA-256", client.first())
        final = client.final(first[1])
        second = again.begin("SCRAM-SHA-256", client.first())
        assert second[0] == "more" and second[1] != first[1]
        assert again.respond(final)[0] == "no"
        assert w.respond(final)[0] == "more"


def salt_of(server, user, protocol="imap"):
    with Wire(server, protocol) as w:
        client = Scram("SCRAM-SHA-256", user)
        first = w.begin("SCRAM-SHA-256", client.first())
        client.final(first[1])
        w.respond("*")
    return client.salt, client.iterations


def test_unknown_users_look_like_known_ones(new_server):
    server = new_server("auth.scram-iterations = 5000")
    known, unknown = salt_of(server, f"alice@{DOMAIN}"), salt_of(server, f"nobody@{DOMAIN}")
    assert known[1] == unknown[1] == 5000 and len(known[0]) == len(unknown[0]) and known[0] != unknown[0]
    assert salt_of(server, f"Nobody@{DOMAIN}") == unknown
    server.restart()
    assert salt_of(server, f"nobody@{DOMAIN}") == unknown and salt_of(server, f"alice@{DOMAIN}") == known
    with Wire(server, "imap") as w:
        assert scram(w, "SCRAM-SHA-256", f"nobody@{DOMAIN}")[0] == "no"


def test_unknown_users_look_like_known_ones_after_another_count(new_server):
    """Keys keep the count that they were made with; unknown users are asked for the counts that are in use, not for the option's."""
    server = new_server("auth.scram-iterations = 5000")
    server.stop()
    server.conf.write_text(server.conf.read_text().replace("iterations = 5000", "iterations = 9000"))
    server.start()
    assert {salt_of(server, f"{name}@{DOMAIN}")[1] for name in ("alice", "bob", *(f"no{i}" for i in range(10)))} == {5000}
    for i in range(4):
        server.add_account(f"new{i}")
    counts = [salt_of(server, f"no{i}@{DOMAIN}")[1] for i in range(40)]
    assert set(counts) == {5000, 9000}
    server.restart()
    assert counts == [salt_of(server, f"no{i}@{DOMAIN}")[1] for i in range(40)]


def test_imported_hash_gets_keys_at_the_first_plain_login(new_server):
    server = new_server(accounts=())
    salt = b"abcd"
    digest = hashlib.sha256(PASSWORD.encode() + salt).digest()
    address = f"old@{DOMAIN}"
    server.command("account", "add", address, "--hash-stdin", input="{SSHA256}" + b64(digest + salt) + "\n")
    with Wire(server, "imap") as w:
        assert scram(w, "SCRAM-SHA-256", address)[0] == "no"
        assert w.begin("PLAIN", f"\0{address}\0{PASSWORD}")[0] == "ok"
    with Wire(server, "imap") as w:
        assert scram(w, "SCRAM-SHA-256", address)[0] == "ok"
    with Wire(server, "imap") as w:
        assert scram(w, "SCRAM-SHA-1", address)[0] == "ok"


def test_new_password(new_server):
    server = new_server(accounts=("alice",))
    address = f"alice@{DOMAIN}"
    server.command("account", "password", address, "--password-stdin", input="another-One\n")
    with Wire(server, "imap") as w:
        assert scram(w, "SCRAM-SHA-256", address)[0] == "no"
        assert scram(w, "SCRAM-SHA-256", address, password="another-One")[0] == "ok"
    server.command("account", "suspend", address)
    with Wire(server, "imap") as w:
        got = scram(w, "SCRAM-SHA-256", address, password="another-One")
        assert got[0] == "no" and "suspended" in got[1]


def test_passwords_are_prepared(new_server):
    """RFC 4013: what looks the same is the same; U+00AA is "a", a soft hyphen nothing, U+2168 "IX"."""
    server = new_server(accounts=())
    address = server.add_account("alice", password="I\u00adX \u2168 \u00aa Grüße 🐳")
    with Wire(server, "imap") as w:
        assert scram(w, "SCRAM-SHA-256", address, password="IX IX a Grüße 🐳")[0] == "ok"


def test_off(new_server):
    server = new_server("auth.scram-iterations = 0", accounts=("alice",))
    with Wire(server, "smtp", tls=True) as w:
        assert w.mechanisms == ["PLAIN", "LOGIN"]
        assert w.begin("SCRAM-SHA-256", b"n,,n=a,r=b")[0] == "no"


def test_too_many_wrong_passwords(new_server):
    server = new_server("trusted = 10.0.0.1\nauth.failures-max = 2", accounts=("alice",))
    address = f"alice@{DOMAIN}"
    begin = time.monotonic()
    with Wire(server, "imap") as w:
        assert "AUTHENTICATIONFAILED" in scram(w, "SCRAM-SHA-256", address, password="wrong 1")[1]
        assert "AUTHENTICATIONFAILED" in scram(w, "SCRAM-SHA-256", address, password="wrong 2")[1]
        assert time.monotonic() - begin > 1
        assert "LIMIT" in scram(w, "SCRAM-SHA-256", address)[1]
        assert "LIMIT" in w.begin("PLAIN", f"\0{address}\0{PASSWORD}")[1]
