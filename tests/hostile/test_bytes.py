# SPDX-License-Identifier: Apache-2.0
"""Malformed, oversized and forged input to every listener: each line of the tables gets its reply, and the session goes on (or ends as said)."""
import base64
import json
import random
import re
import socket
import threading
import time

import pytest

from house import BAD_WORDS, DOMAIN, OFFSETS, PASSWORD


def talk(where, data, seconds=10, half=False):
    """Sends data at once and returns all that comes until the server closes, or nothing comes for so long. where: a port, or a path."""
    if isinstance(where, int):
        c = socket.create_connection(("127.0.0.1", where))
    else:
        c = socket.socket(socket.AF_UNIX)
        c.connect(str(where))
    c.settimeout(seconds)
    got = b""

    def read():
        nonlocal got
        try:
            while more := c.recv(65536):
                got += more
        except OSError:
            pass

    reader = threading.Thread(target=read)
    reader.start()
    while isinstance(where, int) and reader.is_alive() and not got:
        time.sleep(0.002)  # the greeting
    try:
        c.sendall(data)
        if half:
            c.shutdown(socket.SHUT_WR)
    except OSError:
        pass
    reader.join(seconds + 1)
    c.close()
    return got


# ---- SMTP

def smtp(server, *lines, kind="smtp"):
    """The replies to these lines after EHLO."""
    got = talk(server.port(kind), b"".join(l + b"\r\n" for l in [b"EHLO client.example", *lines, b"QUIT"]))
    return re.split(rb"(?m)^250 HELP\r\n", got, maxsplit=1)[1].decode().splitlines()


@pytest.mark.parametrize("command, codes", [
    (b"MAIL FROM:<a\rb@x.example>", "500 5.5.2"),
    (b"MAIL FROM:<\"a\\\x01b\"@x.example>", "501 5.1.7"),
    (b"MAIL FROM:<a\x00b@x.example>", "500 5.5.2"),
    (b"MAIL FROM:<\xff@x.example> SMTPUTF8", "501 5.1.7"),
    (b"MAIL FROM:<\xc3\xa4@x.example>", "553 5.6.7"),
    (b"MAIL FROM:<a@x.example> SIZE=99999999999999999999999", "501 5.5.4"),
    (b"MAIL FROM:<a@x.example> SIZE=18446744073709551615", "552 5.3.4"),
    (b"MAIL FROM:<a@x.example> ENVID=a b", "555 5.5.4"),
    (b"MAIL FROM:<a@x.example> RET=FULL RET=HDRS", "501 5.5.4"),
    (b"MAIL FROM:<" + b"a" * 65 + b"@x.example>", "501 5.1.7"),
    (b"MAIL FROM:<a@" + b"x." * 127 + b"example>", "501 5.1.7"),
    (b"MAIL " + b"x" * 5000, "500 5.5.2"),
    (b"EHLO a(b)", "501 5.5.4"),
    (b"EHLO " + b"a" * 256, "501 5.5.4"),
    (b"BDAT 3 LAST\r\nabc", "503 5.5.1"),
    (b"BDAT 3LAST", "501 5.5.4"),
    (b"BDAT 18446744073709551615 LAST", "552 5.3.4"),
])
def test_smtp_lines(server, command, codes):
    assert smtp(server, command)[0].startswith(codes)


@pytest.mark.parametrize("kind, before, begun, answer", [
    ("smtp", b"", b"220 ", b"500 5.5.2 this line does not end"),
    ("submission", b"EHLO x\r\nAUTH LOGIN\r\n", b"334 ", b"500 5.5.6 the answer is too long"),
    ("pop3", b"", b"+OK ", b"-ERR this line does not end"),
    ("pop3", b"AUTH LOGIN\r\n", b"+ VX", b"-ERR the line is too long"),
    ("imap", b"a AUTHENTICATE LOGIN\r\n", b"+ VX", b"a BAD "),
])
def test_a_line_that_does_not_end(server, kind, before, begun, answer):
    """Its sender is told, and the connection closes; nothing of it is taken as a command."""
    got = talk(server.port(kind), before + b"NOOP" + b"x" * 300000)
    lines = got.split(b"\r\n")
    assert lines[-1] == b"" and lines[-2].startswith(answer) and any(line.startswith(begun) for line in lines[:-2]), got


@pytest.mark.parametrize("recipient", [
    b"alice%x.example@" + DOMAIN.encode(), b"@" + DOMAIN.encode() + b":x@y.example", b"\"x@y.example\"@" + DOMAIN.encode(), b"x!y@" + DOMAIN.encode(),
    b"x@[127.0.0.1]", b"x@[IPv6:::1]", b"x@localhost", b"alice@" + DOMAIN.encode() + b"@y.example", b"alice@y.example@" + DOMAIN.encode(), b"*@" + DOMAIN.encode(), b"\"\"@" + DOMAIN.encode(),
])
@pytest.mark.parametrize("kind", ["smtp", "lmtp"])
def test_no_relay_in_any_form(server, recipient, kind):
    hello = b"" if kind == "smtp" else b"LHLO x\r\n"
    got = talk(server.port(kind), (hello or b"EHLO x\r\n") + b"MAIL FROM:<>\r\nRCPT TO:<" + recipient + b">\r\nQUIT\r\n").splitlines()
    assert re.match(rb"5\d\d 5\.", got[-2]), got


def plain(*parts):
    return base64.b64encode(b"\0".join(parts))


def test_nobody_mails_to_an_empty_name(server):
    """An address that the directory cannot hold was taken for a remote one, and sent to ourselves."""
    login = b"AUTH PLAIN " + plain(b"", b"alice@" + DOMAIN.encode(), PASSWORD.encode())
    replies = smtp(server, login, b"MAIL FROM:<alice@" + DOMAIN.encode() + b">", b"RCPT TO:<\"\"@" + DOMAIN.encode() + b">", kind="submission")
    assert replies[0].startswith("235 ") and replies[2].startswith("501 5.1.3"), replies


@pytest.mark.parametrize("lines, code", [
    ([b"AUTH PLAIN ="], "501 5.5.2"),
    ([b"AUTH PLAIN !!!"], "501 5.5.2"),
    ([b"AUTH PLAIN " + plain(b"", b"", b"")], "501 5.5.2"),
    ([b"AUTH PLAIN " + plain(b"bob@" + DOMAIN.encode(), b"alice@" + DOMAIN.encode(), PASSWORD.encode())], "535 5.7.8"),
    ([b"AUTH PLAIN " + plain(b"", b"alice@" + DOMAIN.encode(), PASSWORD.encode(), b"x")], "501 5.5.2"),
    ([b"AUTH LOGIN", b"*"], "501 5.7.0"),
    ([b"AUTH LOGIN", b"", b""], "535 5.7.8"),
    ([b"AUTH LOGIN", b"Q" * 20000], "500 5.5.6"),
    ([b"AUTH CRAM-MD5"], "504 5.5.4"),
])
def test_auth_lines(server, lines, code):
    replies = [r for r in smtp(server, *lines, kind="submission") if not r.startswith("334 ")]
    assert replies[0].startswith(code), replies


def test_no_header_is_injected_through_a_notice(server, account):
    """xtext may stand for line ends: they do not become lines of the report."""
    name = account.encode()
    inject = b"a+0D+0AX-Injected:+20yes+0D+0A+0D+0Abody"
    replies = smtp(server, b"MAIL FROM:<" + name + b"> ENVID=" + inject, b"RCPT TO:<alice@" + DOMAIN.encode() + b"> NOTIFY=SUCCESS ORCPT=rfc822;" + inject, b"DATA", b"Subject: x\r\n\r\nx\r\n.")
    assert replies[3].startswith("250 "), replies
    got = talk(server.port("pop3"), b"USER " + name + b"\r\nPASS " + PASSWORD.encode() + b"\r\nRETR 1\r\nQUIT\r\n")
    assert b"Original-Envelope-Id: a??X-Injected: yes" in got
    assert not re.search(rb"(?m)^X-Injected", got)


STRANGE = {
    "NUL": b"Subject: a\0b\r\n\r\nc\0d\r\n",
    "no UTF-8": b"Subject: \xff\xfe\xc3\r\nFrom: \xe4@\xf6\r\n\r\n\x80\x81\r\n",
    "no header": b"\r\nonly a body\r\n",
    "no body": b"Subject: x\r\n",
    "header without end": b"Subject: x\r\nX-" + b"a" * 5000 + b"\r\n",
    "no lines of a header": b"this is no header\r\nnor this\r\n\r\nbody\r\n",
    "one line": b"Subject: x\r\n\r\n" + b"x" * 1000000 + b"\r\n",
    "many fields": b"".join(b"X-%d: v\r\n" % i for i in range(100000)) + b"\r\nbody\r\n",
    "deep": b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (i, i) for i in range(10000)) + b"\r\nx\r\n",
    "deep messages": b"Content-Type: message/rfc822\r\n\r\n" * 10000 + b"x\r\n",
    "wide": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 100000 + b"--b--\r\n",
    "boundaries": b"Content-Type: multipart/mixed; boundary=\"" + b"b" * 3000 + b"\"\r\n\r\n" + (b"--" + b"b" * 3000 + b"\r\n\r\n") * 100,
    "addresses": b"To: " + b",".join(b"a%d@x.example" % i for i in range(30000)) + b"\r\n\r\nx\r\n",
    "comments": b"From: " + b"(" * 50000 + b")" * 50000 + b"\r\nTo: " + b"<" * 50000 + b"\r\nDate: " + b"(" * 50000 + b"\r\n\r\nx\r\n",
    "groups": b"To: " + b"a:" * 20000 + b";" * 20000 + b"\r\n\r\nx\r\n",
    "folds": b"Subject: x\r\n" + b" \r\n" * 50000 + b" y\r\n\r\nx\r\n",
    "encoded words": b"Subject: " + b"=?utf-8?b?/////w==?= " * 20000 + b"\r\n\r\nx\r\n",
    "charsets": b"".join(b"X: =?%d-none?q?=zz=?=\r\n" % i for i in range(1000)) + b"Content-Type: text/plain; charset=utf-7\r\n\r\n+AAA-+" + b"A" * 10000 + b"\r\n",
    "parameters": b"Content-Type: text/plain; " + b"".join(b"a*%d*=%%zz; " % i for i in range(20000)) + b"charset*=x''%ff\r\n\r\nx\r\n",
    "base64": b"Content-Transfer-Encoding: base64\r\nContent-Type: text/html\r\n\r\n" + b"=" * 100000 + b"<" * 100000 + b"\r\n",
    "html": b"Content-Type: text/html\r\n\r\n" + b"<p <" * 100000 + b"&#x110000;&#0;<!--" + b"<script>" * 10000 + b"\r\n",
}


@pytest.mark.parametrize("kind", STRANGE)
def test_strange_messages_come_back_as_they_were(server, account, kind):
    """Whatever is in it: taken within reason, kept byte for byte, and described."""
    message, begun = STRANGE[kind], time.time()
    got = talk(server.port("smtp"), b"EHLO x\r\nMAIL FROM:<a@x.example> BODY=BINARYMIME\r\nRCPT TO:<" + account.encode() + b">\r\nBDAT %d LAST\r\n" % len(message) + message + b"QUIT\r\n", 60)
    assert b"\r\n250 2.0.0 accepted" in got, got[-300:]
    login = b"x LOGIN " + account.encode() + b" " + PASSWORD.encode() + b"\r\nx SELECT INBOX\r\n"
    fetch = b"a FETCH 1 (ENVELOPE BODYSTRUCTURE BODY)\r\nb SEARCH OR OR TEXT zzz SUBJECT q OR HEADER X-5 v BODY none\r\nc FETCH 1 (BODY.PEEK[] BODY.PEEK[1.1.1] BODY.PEEK[HEADER.FIELDS (TO X-7)])\r\n"
    got = talk(server.port("imap"), login + fetch + b"x LOGOUT\r\n", 60)
    assert message in got and b"\r\na OK" in got and b"\r\nb OK" in got and b"\r\nc OK" in got, got[-2000:]
    assert time.time() - begun < 60


# ---- IMAP

def imap(server, user, *commands):
    """The tagged replies, in order, after a login and SELECT INBOX."""
    begin = b"x LOGIN " + user.encode() + b" " + PASSWORD.encode() + b"\r\nx SELECT INBOX\r\n"
    got = talk(server.port("imap"), begin + b"".join(b"t " + c + b"\r\n" for c in commands) + b"x LOGOUT\r\n")
    return [l.decode("latin-1") for l in got.splitlines() if l.startswith(b"t ")]


@pytest.mark.parametrize("name", [
    b"../../etc/passwd", b"..", b"/", b"/a", b"a//b", b"\"\"", b"&", b"&AAA-", b"&AA0-", b"&2AA-", b"&ZZZZ", b"&Jjo-&Jjo-", b"&AH8-", b"&AIU-", b"&2Dzf-",
    b"a" * 256, b"/".join([b"d"] * 33), b"/".join([b"d"] * 1000),
])
def test_names_that_no_mailbox_can_have(server, account, name):
    for command in (b"CREATE " + name, b"RENAME Trash " + name):
        assert imap(server, account, command)[0].startswith("t NO [CANNOT] no mailbox can have that name"), name[:80]


@pytest.mark.parametrize("command, reply", [
    (b"FETCH 1 BODY.PEEK[]<4294967295.4294967295>", "t OK"),
    (b"FETCH 1 BODY.PEEK[]<4294967296.1>", "t BAD"),
    (b"FETCH 1 BODY.PEEK[]<0.0>", "t BAD"),
    (b"FETCH 1 BODY.PEEK[" + b"1." * 200 + b"1]", "t BAD"),
    (b"FETCH 1 (" + b" ".join([b"BODY.PEEK[]"] * 4000) + b")", "t BAD"),
    (b"FETCH 4294967296 FLAGS", "t BAD"),
    (b"FETCH " + b",".join([b"1:*"] * 12000) + b" FLAGS", "t OK"),
    (b"SEARCH " + b"(" * 70 + b"ALL" + b")" * 70, "t NO [LIMIT]"),
    (b"SEARCH " + b"NOT " * 5000 + b"ALL", "t NO [LIMIT]"),
    (b"SEARCH " + b"OR " * 5000, "t NO [LIMIT]"),
    (b"SEARCH " + b"ALL " * 1001, "t "),
    (b"SEARCH TEXT {3000+}\r\n" + b"x" * 3000, "t NO [LIMIT]"),
    (b"SEARCH CHARSET none-such TEXT y", "t NO [BADCHARSET"),
    (b"SEARCH SINCE 31-Feb-2020", "t BAD"),
    (b"STORE 1 +FLAGS (" + b" ".join(b"k%d" % i for i in range(101)) + b")", "t BAD"),
    (b"STORE 1 +FLAGS (" + b" ".join((b"k%d" % i).ljust(200, b"x") for i in range(60)) + b")", "t NO [LIMIT]"),
    (b"APPEND INBOX {5+}\r\nhe\0lo", "t BAD"),
    (b"APPEND INBOX {0+}\r\n", "t NO [CANNOT]"),
    (b"APPEND none {5+}\r\nhello", "t NO [TRYCREATE]"),
    (b"APPEND INBOX {18446744073709551615}", "t NO [TOOBIG]"),
    (b"ID (\"a\" {3+}\r\n\r\n*)", "t OK"),
    (b"ID (\"a\" {1+}\r\n\0)", "t BAD"),
])
def test_imap_commands(server, account, command, reply):
    keep = b"APPEND INBOX {30+}\r\nSubject: a\r\n\r\nhello world 1234"
    replies = imap(server, account, keep, command, b"NOOP")
    assert replies[0].startswith("t OK [APPENDUID") and replies[1].startswith(reply) and replies[2].startswith("t OK"), replies


def test_patterns_do_not_explode(server, account):
    imap(server, account, *[b"CREATE " + b"a" * 200 + b"%d" % i for i in range(5)])
    for pattern in (b"%" * 500, b"*" * 500, b"*a" * 400, b"%/" * 300 + b"*", b"%a" * 400):
        begun = time.time()
        assert imap(server, account, b"LIST \"\" \"" + pattern + b"\"")[0].startswith("t OK")
        assert time.time() - begun < 10


# ---- the administrator's socket

def http(server, method, target, body=b"", head=b"Host: x\r\n"):
    path = next(p for p in server.folder.rglob("*.sock") if p.is_socket())
    length = b"Content-Length: %d\r\n" % len(body)
    got = talk(path, method + b" " + target + b" HTTP/1.1\r\n" + head + length + b"\r\n" + body, half=True)
    return int(got.split()[1])


@pytest.mark.parametrize("method, target, body, head, status", [
    (b"POST", b"/api/v1/domains", b"{\"a\":" + b"[" * 400000 + b"]" * 400000 + b"}", b"", 400),
    (b"POST", b"/api/v1/domains", b"{\"a\":" + b"[" * 2040 + b"]" * 2040 + b"}", b"", 400),
    (b"POST", b"/api/v1/domains", b"{\"a\":" * 100000, b"", 400),
    (b"POST", b"/api/v1/domains", b"{\"domain\":\"" + b"a" * 900000 + b"\"}", b"", 400),
    (b"POST", b"/api/v1/domains", b"{\"domain\":\"a\\u0000b.example\"}", b"", 400),
    (b"POST", b"/api/v1/domains", b"{\"domain\":\"a\\r\\nb.example\"}", b"", 400),
    (b"POST", b"/api/v1/domains", b"{\"domain\":\"a.example\",\"domain\":\"b.example\"}", b"", 400),
    (b"POST", b"/api/v1/domains", b"x" * 1100000, b"", 413),
    (b"GET", b"/api/v1/accounts/%00", b"", b"", 404),
    (b"GET", b"/../../etc/passwd", b"", b"", 404),
    (b"GET", b"http://x/api/v1/status", b"", b"", 400),
    (b"GET", b"/api/v1/status", b"", b"Transfer-Encoding: chunked\r\n", 501),
    (b"GET", b"/api/v1/status", b"", b"Content-Length: 5\r\n", 400),
    (b"GET", b"/api/v1/status", b"", b"Content-Length : 5\r\n", 400),
    (b"GET", b"/api/v1/status", b"", b" folded: x\r\n", 400),
    (b"GET", b"/api/v1/status", b"", b"Host: y\r\n", 400),
    (b"GET", b"/api/v1/status", b"", b"A: b\r\n" * 100, 431),
    (b"GET", b"/" + b"a" * 5000, b"", b"", 414),
    (b"GET", b"/api/v1/status", b"", b"A: " + b"b" * 20000 + b"\r\n", 431),
    (b"GET", b"/api/v1/status", b"", b"", 200),
], ids=lambda v: None if isinstance(v, int) else v[:24].decode())
def test_http_requests(server, method, target, body, head, status):
    assert http(server, method, target, body, b"Host: x\r\n" + head) == status


# ---- secrets

def test_no_password_gets_into_the_log(server, account):
    """Not in any form in which clients send it, right or wrong, whole or cut, in the right place or the wrong one."""
    name, word = account.encode(), b"Tell-nobody-7"
    response = plain(b"", name, word)
    half = response[:-5]
    start = len(server.log())
    for text in (response, half, base64.b64encode(word)):
        smtp(server, b"AUTH PLAIN " + text, kind="submission")
        smtp(server, b"AUTH PLAIN", text, kind="submission")
        smtp(server, b"AUTH LOGIN " + base64.b64encode(name), text, kind="submission")
        smtp(server, b"AUTH PLAIN " + text)
        smtp(server, text)
        imap(server, account, b"AUTHENTICATE PLAIN " + text, b"AUTHENTICATE PLAIN\r\n" + text, text)
        talk(server.port("pop3"), b"AUTH PLAIN " + text + b"\r\nAUTH PLAIN\r\n" + text + b"\r\n" + text + b"\r\nQUIT\r\n")
    talk(server.port("imap"), b"a LOGIN " + name + b" " + word + b"\r\nb LOGIN {3+}\r\nabc {13+}\r\n" + word + b"\r\nc LOGIN " + word + b"\r\nd LOGOUT\r\n")
    talk(server.port("pop3"), b"USER " + name + b"\r\nPASS " + word + b"\r\nPASS " + word + b"\r\nQUIT\r\n")
    server.command("account", "password", account, "--password-stdin", input="Tell-nobody-7\n")
    log = server.log()[start:]
    for secret in (word, response, half, base64.b64encode(word)):
        assert secret.decode() not in log, [l for l in log.splitlines() if secret.decode() in l][:3]


def test_nobody_else_may_read_what_is_stored(new_server):
    """Mail, hashes and keys, whatever the folders above allow."""
    s = new_server()
    for p in [*s.data.rglob("*"), s.folder / "house/tls/key.pem"]:
        assert p.stat().st_mode & 0o077 == 0, p


# ---- anything

WORDS = [b"EHLO x\r\n", b"LHLO y\r\n", b"MAIL FROM:<", b"RCPT TO:<alice@example.test>\r\n", b"DATA\r\n", b".\r\n", b"BDAT 10 LAST\r\n", b"STARTTLS\r\n", b"AUTH PLAIN ",
         b"a LOGIN alice@example.test Pass-word-1\r\n", b"b SELECT INBOX\r\n", b"c FETCH 1:* BODY[]\r\n", b"x UID SEARCH ", b"OR ", b"NOT ", b"1:*,", b"BODY.PEEK[1.2.3.",
         b"<0.4294967295>", b"d IDLE\r\n", b"e APPEND INBOX {5+}\r\nhello\r\n", b"{10}\r\n", b"{10+}\r\n", b"USER alice@example.test\r\n", b"PASS Pass-word-1\r\n", b"RETR 1\r\n",
         b"(", b")", b"\"", b"\\", b"\r\n", b"\r", b"\n", b"\0", b"\xff\xfe", b"A" * 70000]


def test_garbage_on_all_ports(new_server):
    """Five hundred sessions of random words: whatever they meet, nothing ends but they."""
    server = new_server()

    def session(r):
        data = b"".join(r.choice(WORDS) if r.random() < .9 else r.randbytes(r.randrange(200)) for _ in range(r.randrange(1, 40)))
        try:
            talk(server.port(r.choice(list(OFFSETS))), data, 0.3, half=r.random() < .9)
        except OSError:
            pass

    def many(seed):
        r = random.Random(seed)
        for _ in range(50):
            session(r)

    workers = [threading.Thread(target=many, args=(seed,)) for seed in range(10)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    log = server.log()
    assert not BAD_WORDS.search(log) and "role.ended" not in log
    assert json.loads(server.command("status", "--json").stdout)
