# SPDX-License-Identifier: Apache-2.0
"""List-Unsubscribe with one click (RFC 8058): the fields are in each copy of bulk mail, the page behind the link works for programs and people, and who
took himself off gets no more bulk mail of that domain, but still letters."""
import http.client
import re
import smtplib
import socket
import ssl
import time
import urllib.parse

import pytest

from house import DOMAIN, PASSWORD, Server
from remote import Remote

ONE_CLICK = "List-Unsubscribe=One-Click"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def free_ports(n):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    remote, (web, secure) = Remote(), free_ports(2)
    server = Server(tmp_path_factory.mktemp("house"), f"route = good.test 127.0.0.1:{remote.port} tls=none\nlisten = http 127.0.0.1:{web}\n"
                                                      f"listen = https 127.0.0.1:{secure}\n")
    server.start()
    try:
        server.command("domain", "add", DOMAIN)
        server.command("domain", "set", DOMAIN, "unsubscribe=yes")
        server.add_account("alice")
        yield server, remote, web, secure
    finally:
        server.stop()
        remote.close()


def send(server, to, head="Precedence: bulk\r\n"):
    with smtplib.SMTP("127.0.0.1", server.port("submission"), timeout=30) as s:
        s.login(f"alice@{DOMAIN}", PASSWORD)
        s.sendmail(f"alice@{DOMAIN}", to, f"From: alice@{DOMAIN}\r\n{head}Subject: x\r\n\r\nhello\r\n")


def received(remote, server, to, n=1):
    """The headers of the messages that came for that recipient."""
    end = time.time() + 20
    while len(got := [m["text"].split(b"\r\n\r\n")[0].decode() + "\r\n" for m in remote.messages if f"<{to}>" in m["RCPT"]]) < n:
        assert time.time() < end, server.log()[-3000:]
        time.sleep(0.05)
    return got


def link(remote, server, to):
    head = received(remote, server, to)[0]
    assert head.count("\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n") == 1
    url, = re.findall(r"^List-Unsubscribe: <(https://\S+)>\r$", head.replace("\r\n ", " "), re.M)
    parts = urllib.parse.urlsplit(url)
    assert parts.path.startswith("/unsubscribe/") and to.split("@")[0] not in url
    return parts.path


def ask(port, method, path, body=None, headers=None, secure=False):
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    options = {"context": ssl._create_unverified_context()} if secure else {}
    c = kind("127.0.0.1", port, timeout=30, **options)
    try:
        c.request(method, path, body, headers or {})
        r = c.getresponse()
        return r.status, r.read().decode(), r
    finally:
        c.close()


def suppressed(server):
    return {s["address"]: s for s in server.json("suppression", "list", DOMAIN)}


def test_one_click(world):
    server, remote, web, secure = world
    send(server, ["one@good.test", "two@good.test"])
    one, two = link(remote, server, "one@good.test"), link(remote, server, "two@good.test")
    assert one != two
    for _ in range(2):  # looking at it does nothing; a second click neither
        status, page, r = ask(web, "GET", one)
        assert status == 200 and DOMAIN in page and "Unsubscribe" in page and 'method="post"' in page
        assert "default-src 'none'" in r.getheader("Content-Security-Policy")
    assert not suppressed(server)
    assert ask(web, "POST", one, "x=y", FORM)[0] == 400 and not suppressed(server)
    for _ in range(2):
        status, page, _ = ask(web, "POST", one, ONE_CLICK, FORM)
        assert status == 200 and "no more bulk mail" in page
    assert set(suppressed(server)) == {"one@good.test"} and suppressed(server)["one@good.test"]["reason"].startswith("unsubscribed")
    send(server, ["one@good.test"], head="")  # a letter
    assert len(received(remote, server, "one@good.test", 2)) == 2
    with pytest.raises(smtplib.SMTPDataError, match="550"):
        send(server, ["one@good.test"])
    assert len(received(remote, server, "one@good.test")) == 2


def test_as_a_mail_program_posts_it(world):
    """multipart/form-data, over TLS."""
    server, remote, web, secure = world
    send(server, ["three@good.test"])
    path = link(remote, server, "three@good.test")
    body = "--b\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--b--\r\n"
    assert ask(secure, "POST", path, body, {"Content-Type": "multipart/form-data; boundary=b"}, secure=True)[0] == 200
    assert "three@good.test" in suppressed(server)


@pytest.mark.parametrize("language, word", [("de-AT,de;q=0.9,en;q=0.8", "Abbestellen"), ("fr", "Se désabonner"), ("eo, en", "Unsubscribe"), ("*", "Unsubscribe"), (",;,", "Unsubscribe")])
def test_languages(world, language, word):
    server, remote, web, secure = world
    if not [m for m in remote.messages if "<four@good.test>" in m["RCPT"]]:
        send(server, ["four@good.test"])
    assert word in ask(web, "GET", link(remote, server, "four@good.test"), headers={"Accept-Language": language})[1]


def test_who_does_not_ask_for_it_gets_none(world):
    server, remote, web, secure = world
    send(server, ["letter@good.test"], head="")
    assert "List-Unsubscribe" not in received(remote, server, "letter@good.test")[0]
    send(server, ["own@good.test"], head="Precedence: bulk\r\nList-Unsubscribe: <mailto:off@example.test>\r\n")
    head = received(remote, server, "own@good.test")[0]
    assert head.count("List-Unsubscribe") == 1 and "<mailto:off@example.test>" in head
    server.command("domain", "set", DOMAIN, "unsubscribe=no")
    send(server, ["off@good.test"])
    assert "List-Unsubscribe" not in received(remote, server, "off@good.test")[0]
    server.command("domain", "set", DOMAIN, "unsubscribe=yes")


@pytest.mark.parametrize("method, path, body, status", [
    ("GET", "/", None, 404), ("GET", "/api/v1/domains", None, 404), ("GET", "/metrics", None, 404), ("GET", "/unsubscribe/", None, 404),
    ("GET", "/unsubscribe/x", None, 404), ("GET", "/unsubscribe/" + "a" * 1001, None, 404), ("GET", "/unsubscribe/%00", None, 404),
    ("GET", "/unsubscribe/..%2f..%2fetc", None, 404), ("POST", "/unsubscribe/a@example.test", ONE_CLICK, 404), ("POST", "/unsubscribe/x", "a" * 8193, 413),
    ("DELETE", "/unsubscribe/x", None, 405), ("POST", "/unsubscribe/x", "", 400),
], ids=range(12))
def test_what_is_not_there(world, method, path, body, status):
    server, remote, web, secure = world
    before = suppressed(server)
    got, page, _ = ask(web, method, path, body)
    assert got == status and "sudo" not in page
    assert suppressed(server) == before


def test_a_link_that_was_changed(world):
    server, remote, web, secure = world
    send(server, ["five@good.test"])
    path = link(remote, server, "five@good.test")
    for at in range(len("/unsubscribe/"), path.index("@") - 1, 3):  # of the last letter some bits mean nothing
        changed = path[:at] + ("b" if path[at] != "b" else "c") + path[at + 1:]
        assert ask(web, "POST", changed, ONE_CLICK, FORM)[0] == 404, changed
    assert ask(web, "POST", path.split("@")[0] + "@other.test", ONE_CLICK, FORM)[0] == 404
    assert "five@good.test" not in suppressed(server)
