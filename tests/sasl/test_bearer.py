# SPDX-License-Identifier: Apache-2.0
"""OAUTHBEARER (RFC 7628) and XOAUTH2 with signed tokens, good ones and forged ones."""
import base64
import json
import time

import pytest

from house import DOMAIN, PASSWORD
from sasl_client import Issuer, Wire, b64url, bearer, xoauth2

ALICE = f"alice@{DOMAIN}"
PROTOCOLS = ["smtp", "imap", "pop3"]


@pytest.fixture(scope="module")
def issuer(tmp_path_factory):
    return Issuer(tmp_path_factory.mktemp("issuer"))


@pytest.fixture(scope="module")
def house(tmp_path_factory, issuer):
    from house import Server
    s = Server(tmp_path_factory.mktemp("house"), issuer.conf(issuer.pem())).start()
    s.command("domain", "add", DOMAIN)
    for name in ("alice", "bob"):
        s.add_account(name)
    yield s
    s.stop()


def ask(house, message, mechanism="OAUTHBEARER", protocol="imap", initial=True):
    """The last answer, and the JSON that came before it."""
    with Wire(house, protocol) as w:
        got = w.begin(mechanism, message if initial else None)
        if not initial:
            assert got == ("more", b"")
            got = w.respond(message)
        error = None
        if got[0] == "more":
            error = json.loads(got[1])
            got = w.respond("\1")
        return got[0], error


@pytest.mark.parametrize("initial", [True, False])
@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_good_token(house, issuer, protocol, algorithm, initial):
    token = issuer.token(ALICE, algorithm)
    assert ask(house, bearer(ALICE, token), protocol=protocol, initial=initial or protocol == "smtp") == ("ok", None)
    assert ask(house, xoauth2(ALICE, token), "XOAUTH2", protocol, initial) == ("ok", None)


def test_advertised_where_there_are_keys(house, server):
    with Wire(house, "smtp") as w, Wire(server, "smtp") as without:
        assert {"OAUTHBEARER", "XOAUTH2"} <= set(w.mechanisms) and not {"OAUTHBEARER", "XOAUTH2"} & set(without.mechanisms)
        assert without.begin("OAUTHBEARER", b"n,,\1auth=Bearer x\1\1")[0] == "no"


def test_large_token(house, issuer):
    for protocol, initial in (("smtp", True), ("smtp", False), ("imap", False), ("pop3", False)):
        assert ask(house, bearer(ALICE, issuer.token(ALICE, pad="x" * 5000)), protocol=protocol, initial=initial)[0] == "ok"
    assert ask(house, bearer(ALICE, issuer.token(ALICE, pad="x" * 9000)), initial=False)[0] == "no"


@pytest.mark.parametrize("user", ["", ALICE, ALICE.upper()])
def test_whose_it_is(house, issuer, user):
    assert ask(house, bearer(user, issuer.token(ALICE)).replace("a=,", ","))[0] == "ok"


NOW = int(time.time())
REFUSED = {
    "another user": lambda i: bearer(f"bob@{DOMAIN}", i.token(ALICE)),
    "nobody's": lambda i: bearer("", i.token(f"nobody@{DOMAIN}")).replace("a=,", ","),
    "no claim": lambda i: bearer(ALICE, i.token(None)),
    "a claim that is no text": lambda i: bearer(ALICE, i.token([ALICE])),
    "an address with NUL": lambda i: bearer(ALICE, i.token(ALICE + "\0")),
    "an address that is not verified": lambda i: bearer(ALICE, i.token(ALICE, email_verified=False)),
    "expired": lambda i: bearer(ALICE, i.token(ALICE, exp=NOW - 3600)),
    "expires never": lambda i: bearer(ALICE, i.token(ALICE, exp=None)),
    "expires as text": lambda i: bearer(ALICE, i.token(ALICE, exp=str(NOW + 600))),
    "not yet": lambda i: bearer(ALICE, i.token(ALICE, nbf=NOW + 3600)),
    "another issuer": lambda i: bearer(ALICE, i.token(ALICE, iss="https://evil.test")),
    "issuers": lambda i: bearer(ALICE, i.token(ALICE, iss=[i.ISSUER])),
    "no issuer": lambda i: bearer(ALICE, i.token(ALICE, iss=None)),
    "another audience": lambda i: bearer(ALICE, i.token(ALICE, aud="web")),
    "no audience": lambda i: bearer(ALICE, i.token(ALICE, aud=None)),
    "alg none": lambda i: bearer(ALICE, i.token(ALICE, "none")),
    "alg none with a signature": lambda i: bearer(ALICE, i.token(ALICE, header={"alg": "none"})),
    "alg missing": lambda i: bearer(ALICE, i.token(ALICE, header={"alg": None})),
    "public key as a secret": lambda i: bearer(ALICE, i.token(ALICE, "HS256", secret=i.public("RS256").encode())),
    "secret that is not ours": lambda i: bearer(ALICE, i.token(ALICE, "HS256")),
    "ES256 signature said to be RS256": lambda i: bearer(ALICE, i.token(ALICE, "ES256", header={"alg": "RS256"})),
    "RS256 signature said to be ES256": lambda i: bearer(ALICE, i.token(ALICE, header={"alg": "ES256"})),
    "critical extension": lambda i: bearer(ALICE, i.token(ALICE, header={"crit": ["b64"], "b64": False})),
    "signature of zeroes": lambda i: bearer(ALICE, i.token(ALICE, "ES256").rsplit(".", 1)[0] + "." + b64url(bytes(64))),
    "other claims under the signature": lambda i: bearer(ALICE, ".".join([i.token(ALICE).split(".")[0], i.token(f"bob@{DOMAIN}").split(".")[1], i.token(ALICE).split(".")[2]])),
    "two parts": lambda i: bearer(ALICE, i.token(ALICE).rsplit(".", 1)[0]),
    "four parts": lambda i: bearer(ALICE, i.token(ALICE) + ".x"),
    "no token at all": lambda i: bearer(ALICE, "abc"),
    "deep nesting": lambda i: bearer(ALICE, b64url(b'{"a":' + b"[" * 6000) + ".e30.AAAA"),
    "deep objects": lambda i: bearer(ALICE, b64url(b'{"a":' * 1200) + ".e30.AAAA"),
    "the same name twice": lambda i: bearer(ALICE, b64url(b'{"alg":"RS256","alg":"none"}') + ".e30."),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(house, issuer, name):
    result, error = ask(house, REFUSED[name](issuer), initial=False)
    assert result == "no" and error["status"] == "invalid_token" and error["scope"] == "mail"
    assert error["openid-configuration"].startswith("https://")


def test_scope(house, issuer):
    for claims in ({"scope": "openid mailbox"}, {"scope": None}, {"scope": None, "scp": ["openid"]}):
        result, error = ask(house, bearer(ALICE, issuer.token(ALICE, **claims)))
        assert result == "no" and error["status"] == "insufficient_scope"
    for claims in ({"scope": "mail"}, {"scope": None, "scp": ["mail", "openid"]}, {"scope": None, "scp": "x mail"}):
        assert ask(house, bearer(ALICE, issuer.token(ALICE, **claims)))[0] == "ok"


def test_leeway(house, issuer):
    now = int(time.time())
    assert ask(house, bearer(ALICE, issuer.token(ALICE, exp=now - 20, nbf=now + 20)))[0] == "ok"


def test_xoauth2_error(house, issuer):
    assert ask(house, xoauth2(ALICE, "x.y.z"), "XOAUTH2") == ("no", {"status": "401", "schemes": "bearer", "scope": "mail"})


@pytest.mark.parametrize("message", [
    b"", b"\1", b"n,,", b"n,,\1", b"p=x,,\1auth=Bearer t\1\1", b"n,a=x\1auth=Bearer t\1\1", b"n,,\1auth=Bearer t", b"n,,\1auth=Bearer t\1", b"n,,\1auth=Basic t\1\1",
    b"n,,\1auth=Bearer t\1auth=Bearer u\1\1", b"n,,\1=x\1auth=Bearer t\1\1", b"n,,\1a b=x\1auth=Bearer t\1\1", b"n,,\1auth=Bearer a b\1\1", b"n,,\1auth=Bearer \0\1\1", b"n,a=\0,\1auth=Bearer t\1\1",
    b"n,,x\1auth=Bearer t\1\1", b"user=x\1auth=Bearer t\1\1", b"\xff" * 8000,
], ids=range(18))
def test_malformed(house, message):
    result, error = ask(house, message, initial=False)
    assert result == "no" and error["status"] in ("invalid_request", "invalid_token")
    assert ask(house, message, "XOAUTH2", initial=False)[0] == "no"


def test_no_token_asks_what_is_needed(house):
    """RFC 7628 4.3: an empty auth value."""
    with Wire(house, "imap") as w:
        got = w.begin("OAUTHBEARER", b"n,,\1auth=\1\1")
        assert got[0] == "more" and "openid-configuration" in json.loads(got[1])
        assert w.respond("*")[0] == "no"
        assert w.begin("PLAIN", f"\0{ALICE}\0{PASSWORD}")[0] == "ok"


def test_suspended(house, issuer):
    house.command("account", "suspend", f"bob@{DOMAIN}")
    assert ask(house, bearer("", issuer.token(f"bob@{DOMAIN}")).replace("a=,", ",")) == ("no", None)
    house.command("account", "resume", f"bob@{DOMAIN}")


def test_jwk_set(new_server, issuer):
    s = new_server(issuer.conf(issuer.jwks()).replace("= mail\noauth.d", "=\noauth.d"), accounts=("alice",))
    assert ask(s, bearer(ALICE, issuer.token(ALICE, "HS256")))[0] == "ok"
    assert ask(s, bearer(ALICE, issuer.token(ALICE, "HS256", header={"kid": "shared"})))[0] == "ok"
    assert ask(s, bearer(ALICE, issuer.token(ALICE, "HS256", header={"kid": "other"})))[0] == "no"
    assert ask(s, bearer(ALICE, issuer.token(ALICE, "HS256", secret=b"guessed" * 6)))[0] == "no"
    assert ask(s, bearer(ALICE, issuer.token(ALICE)))[0] == "no"


def test_tokens_go_away_with_a_reload(new_server, issuer):
    s = new_server(issuer.conf(issuer.jwks()), accounts=("alice",))
    assert ask(s, bearer(ALICE, issuer.token(ALICE, "HS256")))[0] == "ok"
    s.conf.write_text(s.conf.read_text().replace("oauth.keys", "#oauth.keys"))
    start = len(s.log())
    s.process.send_signal(1)
    s.wait_log("reload", start=start)
    end = time.time() + 20
    while ask(s, bearer(ALICE, issuer.token(ALICE, "HS256")))[0] == "ok":
        assert time.time() < end
        time.sleep(0.05)


def test_keys_need_an_issuer(new_server, issuer):
    s = new_server(f"oauth.keys = {issuer.pem()}", start=False)
    r = s.command("check", check=False)
    assert r.returncode and "oauth.issuer" in r.stdout + r.stderr
