# SPDX-License-Identifier: Apache-2.0
"""SMTP dialogs with a real server: what needs its processes, TLS, or its time. Order of commands, malformed ones and the limits of each argument
are tested beside the code (src/session/smtp/smtp_test.c)."""
import base64
import os
import re
import socket
import time

import pytest

from dialog import PASSWORD, Dialog, inbox

UNTRUSTED = "trusted = 192.0.2.1\n"


def test_what_is_offered(server):
    with Dialog(server.port("smtp")) as c:
        offered = c.ask("EHLO c.test", 250)
        words = {line.split()[0] for line in offered[1:]}
        assert words == {"PIPELINING", "SIZE", "STARTTLS", "8BITMIME", "SMTPUTF8", "CHUNKING", "BINARYMIME", "DSN", "ENHANCEDSTATUSCODES", "LIMITS", "HELP"}
        assert "LIMITS RCPTMAX=1000" in offered
    with Dialog(server.port("submission")) as c:
        assert any(line.startswith("AUTH PLAIN LOGIN") for line in c.ask("EHLO c.test", 250))
    with Dialog(server.port("lmtp")) as c:
        c.ask("EHLO c.test", 500)
        assert "PIPELINING" in c.ask("LHLO c.test", 250)


def test_starttls(server, account):
    with Dialog(server.port("smtp")) as c:
        c.ask("EHLO c.test", 250)
        c.starttls()
        c.ask("MAIL FROM:<a@b.test>", 503)  # what was said before is forgotten
        offered = c.ask("EHLO c.test", 250)
        assert "STARTTLS" not in offered and "REQUIRETLS" in offered
        c.ask("STARTTLS", 503)
        c.ask("MAIL FROM:<a@b.test> REQUIRETLS", 250)
        c.ask("RSET", 250)
        c.ask("MAIL FROM:<a@b.test>", 250)
        c.ask(f"RCPT TO:<{account}>", 250)
        c.ask("DATA", 354)
        c.ask("Subject: x\r\n\r\ny\r\n.", 250)
    received = inbox(server, account)[0]
    assert re.search(rb"with ESMTPS \(TLSv1\.[23] [A-Z0-9_-]+\)", received)


def test_nothing_said_before_starttls_is_obeyed(server):
    """RFC 3207 4.2: commands that were injected in the clear are dropped."""
    with Dialog(server.port("smtp")) as c:
        c.ask("EHLO c.test", 250)
        c.send("STARTTLS\r\nEHLO evil.test\r\nMAIL FROM:<evil@evil.test>\r\n")
        c.expect(220)
        c.file.close()
        import dialog
        c.socket = dialog.no_verify().wrap_socket(c.socket)
        c.file = c.socket.makefile("rb")
        c.ask("MAIL FROM:<a@b.test>", 503)


def test_implicit_tls(server, account):
    with Dialog(server.port("submissions"), tls=True) as c:
        assert any(line.startswith("AUTH PLAIN LOGIN") for line in c.ask("EHLO c.test", 250))
        c.login(account)
        c.ask(f"MAIL FROM:<{account}>", 250)


def test_plain_bytes_on_a_tls_port(server):
    with socket.create_connection(("127.0.0.1", server.port("submissions")), 10) as c:
        c.sendall(b"EHLO c.test\r\n" * 3)
        while c.recv(1000):
            pass
    with Dialog(server.port("smtp")) as c:
        c.ask("NOOP", 250)


def test_passwords_only_under_tls(new_server):
    s = new_server("login.without-tls = no")
    with Dialog(s.port("submission")) as c:
        assert not any(line.startswith("AUTH") for line in c.ask("EHLO c.test", 250))
        c.login("alice@example.test", code=538)
        c.ask("MAIL FROM:<alice@example.test>", 530)
        c.starttls()
        c.ask("EHLO c.test", 250)
        c.login("alice@example.test")


def test_wrong_password(server):
    secret = "kept-" + os.urandom(8).hex()
    account = server.add_account(f"user{os.urandom(5).hex()}", password=secret)
    with Dialog(server.port("submission")) as c:
        c.ask("EHLO c.test", 250)
        c.login(account, "wrong", 535)
        c.login("nobody@example.test", "wrong", 535)
        c.login(account, secret)
        c.ask(f"AUTH LOGIN {secret}", 503)
        c.ask(f"PASS {secret}", 500)
    for form in (secret, base64.b64encode(secret.encode()).decode(), base64.b64encode(f"\0{account}\0{secret}".encode()).decode()):
        assert form not in server.log()


def test_early_talker(new_server):
    s = new_server(UNTRUSTED + "smtp.greeting-delay = 2s")
    with Dialog(s.port("smtp"), greet=False) as c:
        c.send("EHLO c.test\r\n")
        c.expect(554)
        assert c.ended()
    with Dialog(s.port("smtp")) as c:
        c.ask("NOOP", 250)


def test_too_many_errors(new_server):
    s = new_server(UNTRUSTED + "smtp.errors-max = 4")
    with Dialog(s.port("smtp")) as c:
        for _ in range(3):
            c.ask("NONSENSE", 500)
        c.ask("NONSENSE", 500)
        c.expect(421, "too many errors")
        assert c.ended()


def test_recipients_and_messages_of_one_session(new_server):
    s = new_server(UNTRUSTED + "smtp.recipients-max = 100\nsmtp.messages-max = 2")
    with Dialog(s.port("smtp")) as c:
        assert "LIMITS RCPTMAX=100 MAILMAX=2" in c.ask("EHLO c.test", 250)
        c.ask("MAIL FROM:<>", 250)
        for _ in range(100):
            c.ask("RCPT TO:<alice@example.test>", 250)
        c.ask("RCPT TO:<alice@example.test>", 452)
        c.ask("RSET", 250)
        c.ask("MAIL FROM:<>", 250)
        c.ask("RSET", 250)
        c.ask("MAIL FROM:<>", 421)
        assert c.ended()


def test_silent_client(new_server):
    s = new_server("smtp.timeout = 1s\nlogin.timeout = 1s")
    for kind in ("smtp", "submission", "lmtp"):
        with Dialog(s.port(kind)) as c:
            c.expect(421, "4.4.2")
            assert c.ended()
    with Dialog(s.port("smtp")) as c:  # in the middle of a message, too
        c.ask("EHLO c.test", 250)
        c.ask("MAIL FROM:<>", 250)
        c.ask("RCPT TO:<alice@example.test>", 250)
        c.ask("DATA", 354)
        c.send("Subject: never ends\r\n")
        c.expect(421)
        assert c.ended()


def test_slow_handshake(new_server):
    s = new_server("smtp.timeout = 1s\nlogin.timeout = 1s")
    with socket.create_connection(("127.0.0.1", s.port("submissions")), 20) as c:
        c.sendall(b"\x16\x03\x01")
        assert c.recv(100) == b""


def test_too_large(new_server):
    s = new_server("message-bytes-max = 100k")
    with Dialog(s.port("smtp")) as c:
        assert "SIZE 102400" in c.ask("EHLO c.test", 250)
        c.ask("MAIL FROM:<> SIZE=102401", 552)
        c.ask("MAIL FROM:<>", 250)
        c.ask("RCPT TO:<alice@example.test>", 250)
        c.ask("DATA", 354)
        c.send(b"0123456789012345678901234567890123456789\r\n" * 3000 + b".\r\n")
        c.expect(552, "5.3.4")
        c.ask("NOOP", 250)
    assert inbox(s, "alice@example.test") == []


def test_large_message_comes_back_whole(server, account):
    """Larger than what stays in shared memory: it went through a spool file."""
    text = b"Subject: large\r\n\r\n" + b"".join(b"..%d %s\r\n" % (i, b"x" * (i % 70)) for i in range(100000))
    with Dialog(server.port("smtp")) as c:
        c.ask("EHLO c.test", 250)
        c.ask("MAIL FROM:<>", 250)
        c.ask(f"RCPT TO:<{account}>", 250)
        c.ask("DATA", 354)
        c.send(text.replace(b"\r\n.", b"\r\n..") + b".\r\n")
        c.expect(250)
    assert inbox(server, account)[0].endswith(text)


def test_any_bytes_by_bdat(server, account):
    """BINARYMIME: every byte comes back."""
    body = b"MIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n" + os.urandom(200000)
    with Dialog(server.port("smtp")) as c:
        c.ask("EHLO c.test", 250)
        c.ask("MAIL FROM:<> BODY=BINARYMIME", 250)
        c.ask(f"RCPT TO:<{account}>", 250)
        for at in range(0, len(body), 50000):
            c.send(b"BDAT 50000\r\n" + body[at:at + 50000] if at + 50000 < len(body) else b"BDAT %d LAST\r\n" % (len(body) - at) + body[at:])
            c.expect(250)
    server.wait_log(r"mail\.accepted.*bytes=200\d\d\d")


@pytest.mark.parametrize("address", [
    "a@elsewhere.test", "a%elsewhere.test@example.test", "elsewhere.test!a@example.test", '"a@elsewhere.test"@example.test',
    "@example.test:a@elsewhere.test", "a@[127.0.0.1]", "a@[IPv6:::1]", "a@example.test.", "a@sub.example.test"])
def test_no_relay(server, address):
    for kind, hello in (("smtp", "EHLO"), ("lmtp", "LHLO")):
        with Dialog(server.port(kind)) as c:
            c.ask(f"{hello} c.test", 250)
            c.ask("MAIL FROM:<a@elsewhere.test>", 250)
            c.send(f"RCPT TO:<{address}>\r\n")
            code, _ = c.reply()
            assert 500 <= code < 600


def test_submission_without_login(server):
    with Dialog(server.port("submission")) as c:
        c.ask("EHLO c.test", 250)
        c.ask("MAIL FROM:<alice@example.test>", 530)
        c.ask("RCPT TO:<a@elsewhere.test>", 503)
        c.ask("VRFY alice", 530)


def test_sender_belongs_to_the_account(server, account):
    server.command("alias", "add", f"also-{account}", account)
    with Dialog(server.port("submission")) as c:
        c.ask("EHLO c.test", 250)
        c.login(account)
        c.ask("MAIL FROM:<bob@example.test>", 550, "5.7.1")
        c.ask("MAIL FROM:<somebody@elsewhere.test>", 550)
        for address in (account, f"also-{account}", account.replace("@", "+detail@")):
            c.ask(f"MAIL FROM:<{address}>", 250)
            c.ask("RSET", 250)
        c.ask(f"MAIL FROM:<{account}>", 250)
        c.ask(f"RCPT TO:<{account}>", 250)
        c.ask("DATA", 354)
        c.ask("From: bob@example.test\r\n\r\nx\r\n.", 550, "From")


def test_quota_and_suspension(new_server):
    s = new_server()
    s.add_account("small", "--quota", "20k")
    s.command("account", "suspend", "bob@example.test")
    with Dialog(s.port("smtp")) as c:
        c.ask("EHLO c.test", 250)
        c.ask("MAIL FROM:<> SIZE=30000", 250)
        c.ask("RCPT TO:<small@example.test>", 452, "4.2.2")
        c.ask("RCPT TO:<bob@example.test>", 450, "4.2.1")
        c.ask("RCPT TO:<zoe@example.test>", 550, "5.1.1")
        c.ask("DATA", 554)
        c.ask("RSET", 250)
        c.ask("MAIL FROM:<>", 250)  # the size was not declared: the commit finds out
        c.ask("RCPT TO:<small@example.test>", 250)
        c.ask("DATA", 354)
        c.send(b"Subject: x\r\n\r\n" + b"0123456789\r\n" * 3000 + b".\r\n")
        c.expect(452, "4.2.2")
    with Dialog(s.port("lmtp")) as c:
        c.ask("LHLO c.test", 250)
        c.ask("MAIL FROM:<>", 250)
        c.ask("RCPT TO:<alice@example.test>", 250)
        c.ask("RCPT TO:<small@example.test>", 250)
        c.ask("DATA", 354)
        c.send(b"Subject: x\r\n\r\n" + b"0123456789\r\n" * 3000 + b".\r\n")
        c.expect(250)
        c.expect(452, "4.2.2")
    assert len(inbox(s, "alice@example.test")) == 1 and inbox(s, "small@example.test") == []


def test_a_login_ends_with_the_account(new_server):
    """Suspended, or with another password: sessions that are logged in end; also when the store was started again meanwhile."""
    s = new_server()
    for change in (("account", "password", "alice@example.test", "--password-stdin"), ("account", "suspend", "alice@example.test")):
        for restart in (False, True):
            with Dialog(s.port("submission")) as c:
                c.ask("EHLO c.test", 250)
                c.login("bob@example.test" if restart else "alice@example.test")
                if restart:
                    s.kill_role("store")
                    time.sleep(1)
                    c.ask("MAIL FROM:<bob@example.test>", 250)
                    continue
                s.command(*change, input=PASSWORD + "\n")
                c.expect(421, "4.7.0")
                assert c.ended()


def test_postmaster(new_server):
    """RFC 5321 4.5.1: with a domain or without."""
    s = new_server("postmaster = alice@example.test")
    with Dialog(s.port("smtp")) as c:
        c.ask("HELO c.test", 250)
        c.ask("MAIL FROM:<>", 250)
        c.ask("RCPT TO:<PostMaster>", 250)
        c.ask("RCPT TO:<postmaster@example.test>", 250)
        c.ask("RCPT TO:<postmaster@elsewhere.test>", 550)


def test_everybody_gets_it_once(server, account):
    other = server.add_account("other" + account.split("@")[0])
    server.command("alias", "add", f"all-{account}", account, other)
    with Dialog(server.port("smtp")) as c:
        c.ask("EHLO c.test", 250)
        c.ask("MAIL FROM:<x@y.test>", 250)
        for to in (account, f"all-{account}", other, account):
            c.ask(f"RCPT TO:<{to}>", 250)
        c.ask("DATA", 354)
        c.ask("Subject: once\r\n\r\nx\r\n.", 250)
    assert len(inbox(server, account)) == 1 and len(inbox(server, other)) == 1


def test_success_notice(server, account):
    with Dialog(server.port("submission")) as c:
        c.ask("EHLO c.test", 250)
        c.login(account)
        c.ask(f"MAIL FROM:<{account}> ENVID=my+2Bid RET=HDRS", 250)
        c.ask("RCPT TO:<alice@example.test> NOTIFY=SUCCESS ORCPT=rfc822;alice@example.test", 250)
        c.ask("DATA", 354)
        c.ask(f"From: {account}\r\nSubject: tell me\r\n\r\nx\r\n.", 250)
    notice = inbox(server, account)[0]
    assert notice.startswith(b"Return-Path: <>\r\n") and b"\nAction: delivered" in notice and b"my+id" in notice


def test_success_notice_in_utf8(server, account):
    """RFC 6533 3: who submits with SMTPUTF8 gets a report that shows the header as it was."""
    with Dialog(server.port("submission")) as c:
        c.ask("EHLO c.test", 250)
        c.login(account)
        c.ask(f"MAIL FROM:<{account}> SMTPUTF8 RET=HDRS", 250)
        c.ask("RCPT TO:<alice@example.test> NOTIFY=SUCCESS", 250)
        c.ask("DATA", 354)
        c.ask(f"From: {account}\r\nSubject: für dich\r\n\r\nx\r\n.", 250)
    notice = inbox(server, account)[0]
    assert b"message/global-delivery-status" in notice and "\nSubject: für dich".encode() in notice


def test_header_too_large(server, account):
    with Dialog(server.port("submission")) as c:
        c.ask("EHLO c.test", 250)
        c.login(account)
        c.ask(f"MAIL FROM:<{account}>", 250)
        c.ask("RCPT TO:<alice@example.test>", 250)
        c.ask("DATA", 354)
        c.send(f"From: {account}\r\n".encode() + b"X-Filler: " + b"x" * 80 + b"\r\n" + (b"X-Filler: " + b"y" * 900 + b"\r\n") * 300 + b"\r\nx\r\n.\r\n")
        c.expect(552, "5.3.4")
        c.ask("NOOP", 250)


def test_message_loop(server):
    with Dialog(server.port("smtp")) as c:
        c.ask("EHLO c.test", 250)
        c.ask("MAIL FROM:<>", 250)
        c.ask("RCPT TO:<alice@example.test>", 250)
        c.ask("DATA", 354)
        c.send(b"Received: from a by b; Thu, 1 Jan 2026 00:00:00 +0000\r\n" * 60 + b"\r\nx\r\n.\r\n")
        c.expect(554, "5.4.6")


def test_smuggled_end_of_data(server, account):
    for end in (b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\n", b"\r\n.\r", b"\r.\r\n"):
        with Dialog(server.port("smtp")) as c:
            c.ask("EHLO c.test", 250)
            c.ask("MAIL FROM:<x@y.test>", 250)
            c.ask(f"RCPT TO:<{account}>", 250)
            c.ask("DATA", 354)
            c.send(b"Subject: a\r\n\r\nb" + end + b"MAIL FROM:<evil@y.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\nevil\r\n.\r\n")
            c.expect(550, "5.6.11")
            c.ask("NOOP", 250)
    assert inbox(server, account) == []


def test_pipelined_session_in_one_write(server, account):
    with Dialog(server.port("smtp")) as c:
        message = f"MAIL FROM:<x@y.test>\r\nRCPT TO:<{account}>\r\nBDAT 14 LAST\r\nSubject: a\r\n\r\n"
        c.send("EHLO c.test\r\n" + message * 50 + "QUIT\r\n")
        c.expect(250)
        for _ in range(150):
            c.expect(250)
        c.expect(221)
        assert c.ended()
    assert len(inbox(server, account)) == 50


def test_cut_at_every_byte(server, account):
    """A client that goes away at any point leaves nothing half done."""
    text = f"EHLO c.test\r\nMAIL FROM:<x@y.test>\r\nRCPT TO:<{account}>\r\nDATA\r\nSubject: a\r\n\r\nb\r\n.\r\n".encode()
    for n in range(len(text)):
        with Dialog(server.port("smtp"), greet=False) as c:
            c.file.readline()
            c.send(text[:n])
    time.sleep(0.5)
    assert inbox(server, account) == []


def test_a_thousand_silent_connections(server, account):
    silent = [socket.create_connection(("127.0.0.1", server.port("smtp")), 30) for _ in range(1000)]
    try:
        with Dialog(server.port("smtp")) as c:
            c.ask("EHLO c.test", 250)
            c.ask("MAIL FROM:<>", 250)
            c.ask(f"RCPT TO:<{account}>", 250)
            c.ask("DATA", 354)
            c.ask("Subject: x\r\n\r\ny\r\n.", 250)
    finally:
        for c in silent:
            c.close()


def test_log_line_joins(server, account):
    start = len(server.log())
    with Dialog(server.port("smtp")) as c:
        c.ask("EHLO c.test", 250)
        c.ask("MAIL FROM:<x@y.test>", 250)
        c.ask(f"RCPT TO:<{account}>", 250)
        c.ask("DATA", 354)
        answer = c.ask("Message-ID: <abc@def>\r\nSubject: x\r\n\r\ny\r\n.", 250)[0]
        c.ask("QUIT", 221)
    name = answer.split()[-1]
    server.wait_log(rf"mail\.accepted .*id={re.escape(name)} .*from=x@y\.test .*msgid=abc@def", start=start)
    server.wait_log(rf"session\.close session={re.escape(name.split('.')[0])} peer=127\.0\.0\.1", start=start)
