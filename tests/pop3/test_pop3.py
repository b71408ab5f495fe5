# SPDX-License-Identifier: Apache-2.0
"""POP3 as clients speak it, and as they should not."""
import base64
import poplib
import smtplib
import socket
import ssl
import subprocess
import time

import pytest
from house import PASSWORD


class Dialog:
    """A connection that speaks lines. say() returns the first line of the answer."""

    def __init__(self, server, kind="pop3"):
        self.socket = socket.create_connection(("127.0.0.1", server.port(kind)), timeout=30)
        self.lines = self.socket.makefile("rb")
        self.greeting = self.line()

    def line(self):
        return self.lines.readline().decode("utf-8", "replace").rstrip("\r\n")

    def send(self, text):
        self.socket.sendall(text if isinstance(text, bytes) else text.encode() + b"\r\n")

    def say(self, text):
        self.send(text)
        return self.line()

    def more(self):
        """The lines of a multi-line answer, unstuffed."""
        out = []
        while (line := self.line()) != ".":
            assert line or self.socket
            out.append(line[1:] if line.startswith(".") else line)
        return out

    def login(self, address, password=PASSWORD):
        assert self.say(f"USER {address}").startswith("+OK")
        assert self.say(f"PASS {password}").startswith("+OK")
        return self

    def close(self):
        self.lines.close()
        self.socket.close()


@pytest.fixture
def dialog(server):
    made = []

    def make(kind="pop3"):
        made.append(Dialog(server, kind))
        return made[-1]

    yield make
    for d in made:
        d.close()


def message(n, body="a line\r\n"):
    return f"From: a@example.org\r\nTo: b@example.test\r\nSubject: number {n}\r\n\r\n{body}".encode()


def deliver(server, address, *messages):
    with smtplib.SMTP("127.0.0.1", server.port("smtp"), timeout=60) as s:
        for m in messages:
            s.sendmail("sender@example.org", [address], m)


def content(lines):
    """What is left of a retrieved message without the trace fields that the server put above it."""
    data = b"\r\n".join(lines) + b"\r\n"
    return data[data.index(b"From: a@example.org"):]


def pop(server, address):
    p = poplib.POP3("127.0.0.1", server.port("pop3"), timeout=30)
    p.user(address)
    p.pass_(PASSWORD)
    return p


# ---- what a client does


def test_a_whole_session(server, account):
    messages = [message(1), message(2, ".\r\n..\r\n.dot\r\n"), message(3, "x" * 900 + "\r\n")]
    deliver(server, account, *messages)
    p = pop(server, account)
    count, size = p.stat()
    assert count == 3
    listed = [int(line.split()[1]) for line in p.list()[1]]
    assert sum(listed) == size
    for n, m in enumerate(messages, 1):
        lines, octets = p.retr(n)[1:]
        assert content(lines) == m
        assert len(b"\r\n".join(lines)) + 2 == listed[n - 1]
    uids = [line.split()[1] for line in p.uidl()[1]]
    assert len(set(uids)) == 3
    p.dele(2)
    assert p.stat()[0] == 2
    p.rset()
    assert p.stat()[0] == 3
    p.dele(1)
    p.quit()
    p = pop(server, account)
    assert [line.split()[1] for line in p.uidl()[1]] == uids[1:]
    assert p.uidl(1).split()[2] == uids[1]
    p.quit()


def test_a_lost_connection_deletes_nothing(server, account, dialog):
    deliver(server, account, message(1))
    d = dialog().login(account)
    assert d.say("DELE 1").startswith("+OK")
    d.close()
    for _ in range(50):
        try:
            p = pop(server, account)
            break
        except poplib.error_proto as e:
            assert b"[IN-USE]" in e.args[0]
            time.sleep(0.05)
    assert p.stat()[0] == 1
    p.quit()


def test_top(server, account):
    deliver(server, account, message(1, "one\r\n\r\n.three\r\nfour\r\n"))
    p = pop(server, account)
    assert content(p.top(1, 0)[1]) == b"From: a@example.org\r\nTo: b@example.test\r\nSubject: number 1\r\n\r\n"
    assert content(p.top(1, 3)[1]).endswith(b"\r\n\r\none\r\n\r\n.three\r\n")
    assert content(p.top(1, 99)[1]) == message(1, "one\r\n\r\n.three\r\nfour\r\n")
    p.quit()


def test_large_messages_come_in_pieces(server, account):
    big = message(1, "".join(f"{'.' if i % 7 == 0 else ''}line {i} {'y' * 60}\r\n" for i in range(60000)))
    deliver(server, account, message(0), big, message(2))
    p = pop(server, account)
    assert content(p.retr(2)[1]) == big
    assert content(p.retr(1)[1]) == message(0)
    assert content(p.retr(3)[1]) == message(2)
    assert len(content(p.top(2, 20000)[1]).splitlines()) == 20004
    p.quit()


def test_many_messages_pipelined(server, account, dialog):
    deliver(server, account, *[message(n, f"body {n}\r\n" * 20) for n in range(200)])
    d = dialog().login(account)
    d.send(b"".join(b"RETR %d\r\n" % n for n in range(1, 201)) + b"NOOP\r\n")
    for n in range(200):
        assert d.line().startswith("+OK")
        lines = d.more()
        assert f"Subject: number {n}" in lines and lines[-1] == f"body {n}"
    assert d.line().startswith("+OK")


def test_out_of_order_and_back(server, account):
    deliver(server, account, *[message(n) for n in range(1, 100)])
    p = pop(server, account)
    for n in [99, 1, 50, 2, 98, 99, 50, 3]:
        assert content(p.retr(n)[1]) == message(n)
    p.dele(5)
    with pytest.raises(poplib.error_proto):
        p.retr(5)
    assert content(p.retr(6)[1]) == message(6)
    p.quit()


def test_one_session_at_a_time(server, account, dialog):
    first = dialog().login(account)
    second = dialog()
    second.say(f"USER {account}")
    assert second.say(f"PASS {PASSWORD}").startswith("-ERR [IN-USE]")
    assert first.say("QUIT").startswith("+OK")
    assert first.line() == ""
    second.say(f"USER {account}")
    assert second.say(f"PASS {PASSWORD}").startswith("+OK")


def test_capabilities(server, account, dialog):
    d = dialog()
    assert d.say("CAPA").startswith("+OK")
    before = d.more()
    for word in ("TOP", "UIDL", "USER", "SASL PLAIN LOGIN SCRAM-SHA-256 SCRAM-SHA-1", "PIPELINING", "RESP-CODES", "AUTH-RESP-CODE", "EXPIRE 1 USER", "STLS", "UTF8 USER", "LANG", "IMPLEMENTATION Posthouse"):
        assert word in before
    d.login(account)
    d.say("CAPA")
    after = d.more()
    assert "STLS" not in after and "TOP" in after


def plain(user, password, authzid=""):
    return base64.b64encode(f"{authzid}\0{user}\0{password}".encode()).decode()


def test_sasl(account, dialog):
    assert dialog().say(f"AUTH PLAIN {plain(account, PASSWORD)}").startswith("+OK")


def test_sasl_without_an_initial_response(account, dialog):
    d = dialog()
    assert d.say("AUTH PLAIN") == "+ "
    assert d.say(plain(account, PASSWORD, account)).startswith("+OK")


def test_sasl_login(account, dialog):
    d = dialog()
    assert base64.b64decode(d.say("AUTH LOGIN")[2:]) == b"Username:"
    assert base64.b64decode(d.say(base64.b64encode(account.encode()).decode())[2:]) == b"Password:"
    assert d.say(base64.b64encode(PASSWORD.encode()).decode()).startswith("+OK")


def test_stls(server, account):
    context = ssl.create_default_context(cafile=server.folder / "house/tls/certificate.pem")
    p = poplib.POP3("127.0.0.1", server.port("pop3"), timeout=30)
    p.host = "127.0.0.1"
    p.stls(context)
    assert "STLS" not in p.capa()
    p.user(account)
    p.pass_(PASSWORD)
    p.quit()


def test_pop3s(server, account):
    context = ssl.create_default_context(cafile=server.folder / "house/tls/certificate.pem")
    p = poplib.POP3_SSL("127.0.0.1", server.port("pop3s"), timeout=30, context=context)
    p.user(account)
    p.pass_(PASSWORD)
    assert p.stat()[0] == 0
    p.quit()


def test_utf8(account, dialog):
    d = dialog()
    assert d.say("UTF8").startswith("+OK")
    assert d.say("STLS").startswith("-ERR")
    assert d.say(f"USER {account}").startswith("+OK")


def test_curl(server, account):
    deliver(server, account, message(1))
    url = f"pop3://127.0.0.1:{server.port('pop3')}/"
    r = subprocess.run(["curl", "-sS", "--max-time", "30", "-u", f"{account}:{PASSWORD}", url + "1"], capture_output=True, timeout=60)
    assert r.returncode == 0 and r.stdout.endswith(message(1))
    r = subprocess.run(["curl", "-sS", "--max-time", "30", "-u", f"{account}:{PASSWORD}", url], capture_output=True, timeout=60)
    assert r.returncode == 0 and r.stdout.startswith(b"1 ")


# ---- what a client should not do


@pytest.mark.parametrize("line, says", [
    ("", "no such command"),
    ("XYZZY", "no such command"),
    (" STAT", "no such command"),
    ("STAT", "not before the login"),
    ("RETR 1", "not before the login"),
    ("PASS x", "USER comes first"),
    ("USER", "takes a name"),
    ("AUTH CRAM-MD5", "no such mechanism"),
    ("AUTH PLAIN !!!", "not base64"),
    ("AUTH PLAIN YWJj", "malformed"),
    ("APOP a b", "no such command"),
    ("CAPA x", "takes no argument"),
    ("X" * 3000, "too long"),
], ids=range(13))
def test_refused_before_the_login(dialog, line, says):
    d = dialog()
    answer = d.say(line)
    assert answer.startswith("-ERR") and says in answer, answer
    assert d.say("CAPA").startswith("+OK")


@pytest.mark.parametrize("line, says", [
    ("RETR", "takes the number"),
    ("RETR x", "takes the number"),
    ("RETR 0", "no such message"),
    ("RETR 2", "no such message"),
    ("RETR -1", "takes the number"),
    ("RETR 4294967297", "takes the number"),
    ("TOP 1", "number of lines"),
    ("TOP 1 x", "number of lines"),
    ("DELE 9", "no such message"),
    ("LIST 9", "no such message"),
    ("UIDL x", "not the number"),
    ("STAT 1", "no argument"),
    ("USER bob", "not after the login"),
    ("STLS", "not after the login"),
])
def test_refused_after_the_login(server, account, dialog, line, says):
    deliver(server, account, message(1))
    d = dialog().login(account)
    answer = d.say(line)
    assert answer.startswith("-ERR") and says in answer, answer
    assert d.say("STAT").startswith("+OK 1 ")


def test_a_deleted_message_is_gone_at_once(server, account, dialog):
    deliver(server, account, message(1))
    d = dialog().login(account)
    assert d.say("DELE 1").startswith("+OK")
    assert "no such message" in d.say("DELE 1")
    assert "no such message" in d.say("RETR 1")
    assert d.say("LIST") == "+OK 0 messages" and d.more() == []


def test_nul_and_bare_cr(dialog):
    d = dialog()
    assert "NUL" in d.say(b"USER a\0b\r\n")
    assert d.say("CAPA").startswith("+OK")


def test_endless_nonsense_is_cut_off(dialog):
    d = dialog()
    for _ in range(20):
        d.send("XYZZY")
    answers = [d.line() for _ in range(22)]
    assert "too many refused commands" in answers[20] and answers[21] == ""


def test_wrong_passwords(account, dialog):
    d = dialog()
    for n in range(5):
        d.say(f"USER {account}")
        assert d.say(f"PASS wrong{n}") == "-ERR [AUTH] wrong user or password"
    assert d.line() == ""
    assert dialog().login(account)


def test_an_unknown_user_looks_like_a_wrong_password(dialog):
    d = dialog()
    assert d.say("USER nobody@example.test").startswith("+OK")
    assert d.say("PASS x") == "-ERR [AUTH] wrong user or password"


def test_nobody_logs_in_for_another(server, account, dialog):
    assert "[AUTH]" in dialog().say(f"AUTH PLAIN {plain(account, PASSWORD, 'bob@example.test')}")


def test_a_cancelled_login(account, dialog):
    d = dialog()
    d.say("AUTH PLAIN")
    assert d.say("*") == "-ERR cancelled"
    d.login(account)


def test_what_comes_before_tls_is_not_obeyed(server, account):
    """RFC 2595 4, and the injection that it is about."""
    s = socket.create_connection(("127.0.0.1", server.port("pop3")), timeout=30)
    assert s.recv(1000).startswith(b"+OK")
    s.sendall(f"STLS\r\nUSER {account}\r\n".encode())
    answer = b""
    while b"\r\n" not in answer:
        answer += s.recv(1000)
    context = ssl.create_default_context(cafile=server.folder / "house/tls/certificate.pem")
    with context.wrap_socket(s, server_hostname="127.0.0.1") as t:
        t.sendall(f"PASS {PASSWORD}\r\n".encode())
        assert b"USER comes first" in t.recv(1000)


def test_passwords_need_tls_where_that_is_asked(new_server):
    s = new_server("login.without-tls = no", accounts=("alice",))
    d = Dialog(s)
    assert d.say("CAPA").startswith("+OK")
    assert not any(line.startswith(("SASL", "USER")) for line in d.more())
    for line in ("USER alice@example.test", f"AUTH PLAIN {plain('alice@example.test', PASSWORD)}"):
        assert "STLS first" in d.say(line)
    d.close()


def test_a_suspended_account(server, account, dialog):
    deliver(server, account, message(1))
    d = dialog().login(account)
    server.command("account", "suspend", account)
    assert d.line() == ""  # the session ends
    d = dialog()
    d.say(f"USER {account}")
    assert d.say(f"PASS {PASSWORD}") == "-ERR [SYS/PERM] the account is suspended"
    server.command("account", "resume", account)
    dialog().login(account)


def test_a_changed_password(server, account, dialog):
    d = dialog().login(account)
    server.command("account", "password", account, "--password-stdin", input="another one\n")
    assert d.line() == ""
    d = dialog()
    d.say(f"USER {account}")
    assert "[AUTH]" in d.say(f"PASS {PASSWORD}")
    dialog().login(account, "another one")


def test_a_password_with_spaces(server, dialog):
    address = server.add_account("spaces", password=" two  words ")
    dialog().login(address, " two  words ")


def test_removed_by_another_client(server, account, dialog):
    import imaplib
    deliver(server, account, message(1), message(2))
    d = dialog().login(account)
    with imaplib.IMAP4("127.0.0.1", server.port("imap")) as i:
        i.login(account, PASSWORD)
        i.select()
        i.store("1", "+FLAGS", "\\Deleted")
        i.expunge()
    assert "removed meanwhile" in d.say("RETR 1")
    assert d.say("RETR 2").startswith("+OK")
    d.more()
    assert d.say("DELE 1").startswith("+OK")
    assert d.say("QUIT").startswith("+OK")


def test_the_store_is_started_again(new_server):
    s = new_server()
    address = "alice@example.test"
    deliver(s, address, *[message(n) for n in range(1, 200)])
    d = Dialog(s).login(address)
    d.say("RETR 1")
    d.more()
    s.kill_role("store")
    # Either it waits and goes on, or it says that it is for now: and then goes on.
    for n in range(100, 160):
        answer = d.say(f"RETR {n}")
        if answer.startswith("+OK"):
            assert f"Subject: number {n}" in d.more()
        else:
            assert answer.startswith("-ERR [SYS/TEMP]"), answer
            time.sleep(0.2)
    assert answer.startswith("+OK")
    assert d.say("DELE 1").startswith("+OK")
    assert d.say("QUIT").startswith("+OK")
    p = pop(s, address)
    assert p.stat()[0] == 198
    p.quit()
