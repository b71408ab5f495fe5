# SPDX-License-Identifier: Apache-2.0
"""Greeting, capabilities, logins, TLS, states, LOGOUT (RFC 3501 6.1, 6.2)."""
import base64
import re
import socket
import subprocess

from imap_dialog import PASSWORD, Client


def b64(text):
    return base64.b64encode(text.encode()).decode()


def test_greeting_and_capabilities(connect):
    c = connect()
    assert c.greeting.startswith(b"* OK [CAPABILITY IMAP4rev1")
    r = c.ok("CAPABILITY")
    words = r.of(rb"^\* CAPABILITY ")[0].split()
    for word in (b"IMAP4rev1", b"LITERAL+", b"SASL-IR", b"STARTTLS", b"AUTH=PLAIN", b"IDLE", b"ID", b"ENABLE"):
        assert word in words


def test_capabilities_after_login(connect, account):
    c = connect()
    r = c.ok(f"LOGIN {account} {PASSWORD}")
    for word in ("UIDPLUS", "MOVE", "NAMESPACE", "SPECIAL-USE", "UNSELECT", "CHILDREN"):
        assert word in r.text
    assert "AUTH=PLAIN" not in r.text and "STARTTLS" not in r.text


def test_login_with_literals(connect, account):
    c = connect()
    c.send(f"a LOGIN {{{len(account)}}}\r\n".encode())
    assert c.line().startswith(b"+ ")
    c.send(f"{account} {{{len(PASSWORD)}+}}\r\n{PASSWORD}\r\n".encode())
    assert c.wait("a").status == "OK"


def test_wrong_password(connect, account, server):
    c = connect()
    mark = len(server.log())
    r = c.do(f"LOGIN {account} wrong-secret")
    assert r.status == "NO" and r.text.startswith("[AUTHENTICATIONFAILED]")
    assert c.do(f"LOGIN {account} {PASSWORD}").status == "OK"
    server.wait_log("login.ok ", start=mark)
    log = server.log()[mark:]
    assert "wrong-secret" not in log and PASSWORD not in log
    assert re.search(r"login\.failed .*protocol=imap tls=none .*why=denied", log) and re.search(r"login\.ok .*protocol=imap tls=none", log)


def test_authenticate_plain(connect, account):
    message = b64(f"\0{account}\0{PASSWORD}")
    assert connect().do(f"AUTHENTICATE PLAIN {message}").status == "OK"
    c = connect()
    c.send(b"a AUTHENTICATE PLAIN\r\n")
    assert c.line() == b"+ "
    c.send(message.encode() + b"\r\n")
    assert c.wait("a").status == "OK"


def test_authenticate_login(connect, account):
    c = connect()
    c.send(b"a AUTHENTICATE LOGIN\r\n")
    assert base64.b64decode(c.line()[2:]) == b"Username:"
    c.send(b64(account).encode() + b"\r\n")
    assert base64.b64decode(c.line()[2:]) == b"Password:"
    c.send(b64(PASSWORD).encode() + b"\r\n")
    assert c.wait("a").status == "OK"


def test_authenticate_refusals(connect, account):
    c = connect()
    assert c.do("AUTHENTICATE CRAM-MD5").status == "NO"
    assert c.do("AUTHENTICATE PLAIN !!!").status == "BAD"
    assert c.do("AUTHENTICATE PLAIN " + b64("no nuls")).status == "BAD"
    r = c.do("AUTHENTICATE PLAIN " + b64(f"somebody@example.test\0{account}\0{PASSWORD}"))
    assert r.status == "NO" and r.text.startswith("[AUTHORIZATIONFAILED]")
    c.send(b"a AUTHENTICATE PLAIN\r\n")
    c.line()
    c.send(b"*\r\n")
    assert c.wait("a").status == "BAD"
    c.send(b"b AUTHENTICATE PLAIN =\r\n")
    assert c.wait("b").status == "BAD"


def test_starttls_drops_what_came_before(connect, account):
    c = connect()
    c.send(b"a STARTTLS\r\nb NOOP\r\n")
    assert c.line().startswith(b"a OK")
    c.start_tls()
    r = c.ok("CAPABILITY")
    assert not r.of(rb"^b ") and not r.of(rb"STARTTLS")
    assert c.do("STARTTLS").status == "BAD"
    c.login(account)


def test_imaps(connect, account):
    c = connect(account, port="imaps", tls=True)
    c.ok("SELECT INBOX")


def test_no_passwords_in_the_clear(new_server):
    s = new_server("login.without-tls = no", accounts=("alice",))
    c = Client(s.port("imap"))
    assert b"LOGINDISABLED" in c.greeting and b"AUTH=" not in c.greeting
    assert c.do(f"LOGIN alice@example.test {PASSWORD}").text.startswith("[PRIVACYREQUIRED]")
    assert c.do("AUTHENTICATE PLAIN " + b64(f"\0alice@example.test\0{PASSWORD}")).text.startswith("[PRIVACYREQUIRED]")
    c.ok("STARTTLS")
    c.start_tls()
    c.login("alice@example.test")


def test_states(connect, account):
    c = connect()
    for command in ("SELECT INBOX", "LIST \"\" *", "FETCH 1 FLAGS", "IDLE", "ENABLE X", "NAMESPACE"):
        assert c.do(command).status == "BAD"
    c.login(account)
    assert c.do(f"LOGIN {account} {PASSWORD}").status == "BAD"
    for command in ("FETCH 1 FLAGS", "CLOSE", "EXPUNGE", "CHECK", "UNSELECT", "UID SEARCH ALL"):
        assert c.do(command).status == "BAD"


def test_logout(connect, account):
    c = connect(account)
    r = c.ok("LOGOUT")
    assert r.of(rb"^\* BYE") and c.closed()


def test_id_enable_namespace(connect, account):
    c = connect(account)
    assert c.ok('ID ("name" "test" "version" NIL)').of(rb'^\* ID \("name" "Posthouse"\)')
    c.ok("ID NIL")
    assert c.do("ID (\"a\")").status == "BAD"
    assert c.do('ID (' + " ".join('"k" "v"' for _ in range(31)) + ')').status == "BAD"
    assert c.ok("ENABLE CONDSTORE X-UNKNOWN").of(rb"^\* ENABLED")
    assert c.do("ENABLE").status == "BAD"
    assert c.ok("NAMESPACE").untagged == [b'* NAMESPACE (("" "/")) (("Other Users/" "/")) (("Shared/" "/"))']


def test_too_many_failed_logins(connect, account):
    c = connect()
    for _ in range(10):
        r = c.do(f"LOGIN {account} wrong")
    assert r.of(rb"^\* BYE") and c.closed()


def test_suspended_account(connect, account, server):
    c = connect(account)
    server.command("account", "suspend", account)
    assert c.closed()
    r = connect().do(f"LOGIN {account} {PASSWORD}")
    assert r.status == "NO" and r.text.startswith("[CONTACTADMIN]")


def test_silent_clients_are_told(new_server):
    s = new_server("login.timeout = 1s\nimap.timeout = 2s", accounts=("alice",))
    c = Client(s.port("imap"))
    assert c.line().startswith(b"* BYE") and c.closed()
    c = Client(s.port("imap")).login("alice@example.test")
    assert c.line().startswith(b"* BYE") and c.closed()


def test_stop_says_bye(new_server):
    s = new_server(accounts=("alice",))
    c = Client(s.port("imap")).login("alice@example.test")
    s.stop()
    assert c.line().startswith(b"* BYE")


def test_curl(server, account, tmp_path):
    base = f"imap://127.0.0.1:{server.port('imap')}/"
    message = "From: a@example.test\r\nSubject: by curl\r\n\r\nhello\r\n"
    (tmp_path / "mail").write_bytes(message.encode())
    subprocess.run(["curl", "-sS", "--user", f"{account}:{PASSWORD}", "-T", tmp_path / "mail", base + "INBOX"], check=True, timeout=60)
    r = subprocess.run(["curl", "-sS", "--user", f"{account}:{PASSWORD}", base + "INBOX;MAILINDEX=1"], capture_output=True, check=True, timeout=60)
    assert r.stdout == message.encode()


def test_a_failed_handshake_ends_only_itself(server, connect):
    """Plain text on the port of implicit TLS, and a client that leaves at once: the process goes on."""
    before = server.role_pid("session-user")
    for data in (b"a LOGIN x y\r\n", b"\x16\x03\x01", b""):
        with socket.create_connection(("127.0.0.1", server.port("imaps"))) as c:
            c.sendall(data)
            c.shutdown(socket.SHUT_WR)
            c.settimeout(10)
            while c.recv(1000):
                pass
    connect(port="imaps", tls=True).ok("NOOP")
    assert server.role_pid("session-user") == before
