# SPDX-License-Identifier: Apache-2.0
"""Routes over real sockets, in the boxes that they run in: LMTP over Unix sockets and TCP, chains, literals, logins, TLS from the first byte, source
addresses and names of EHLO; what becomes of mail that a server does not take as it is."""
import email
import os
import pathlib
import shutil
import smtplib
import subprocess
import sys
import tempfile
import time

import pytest

from house import DOMAIN, PASSWORD

sys.path.insert(0, str(pathlib.Path(__file__).parent))
sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "interop"))
import dns
from scripted import Scripted, certificate

LOOPBACK = "relay.loopback = yes\nrelay.retry = 1s 1s 2s 60s\n"
MAIL = f"From: alice@{DOMAIN}\r\nSubject: x\r\nMessage-ID: <x@{DOMAIN}>\r\nDate: Mon, 01 Jan 2024 00:00:00 +0000\r\n"
BODY = MAIL + "\r\nhello\r\n.dot\r\n"


def send(server, to, text=BODY, options=(), sender=f"alice@{DOMAIN}"):
    with smtplib.SMTP("127.0.0.1", server.port("submission"), timeout=30) as s:
        s.login(f"alice@{DOMAIN}", PASSWORD)
        s.sendmail(sender, to if isinstance(to, list) else [to], text if isinstance(text, bytes) else text.encode(), options)


def notice(server, of="alice"):
    """The text of the first mail in the mailbox, which is a notice."""
    import imaplib
    end = time.time() + 30
    while True:
        with imaplib.IMAP4("127.0.0.1", server.port("imap")) as c:
            c.login(f"{of}@{DOMAIN}", PASSWORD)
            if int(c.select()[1][0]):
                return c.fetch("1", "(BODY.PEEK[])")[1][0][1].decode("utf-8", "replace")
        assert time.time() < end, server.log()[-3000:]
        time.sleep(0.1)


@pytest.fixture
def sockets():
    """A folder right under /tmp that only root enters, so that relay could not connect by itself."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="sockets-"))
    yield folder
    shutil.rmtree(folder)


# ---- LMTP

def test_lmtp_unix_socket(new_server, sockets):
    answers = {"END": lambda s, of: "552 5.2.2 the mailbox is full" if "full@" in of else "", "RCPT": lambda s, line: "550 5.1.1 nobody" if "nobody@" in line else ""}
    with Scripted(sockets / "lmtp.sock", offers=["PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES"], answers=answers, lmtp=True) as remote:
        server = new_server(LOOPBACK + f"route = local.test lmtp:{sockets}/lmtp.sock\n")
        send(server, ["one@local.test", "full@local.test", "nobody@local.test", "two@local.test"])
        assert remote.wait()[0].endswith(b"hello\r\n.dot\r\n")
        s = remote.sessions[0]
        assert s.commands[0].startswith("LHLO ") and s.hello
        text = notice(server)
        assert "full@local.test" in text and "the mailbox is full" in text and "nobody" in text
        assert "one@local.test" not in text and "two@local.test" not in text
        assert "lmtp.sock" not in text  # where our own sockets are is nobody's business
        assert len(remote.messages()) == 1


def test_lmtp_socket_comes_later(new_server, sockets):
    """No socket yet, or one that nobody listens at: the mail waits. A server that is started later has it."""
    server = new_server(LOOPBACK + f"route = local.test lmtp:{sockets}/lmtp.sock\n")
    send(server, "one@local.test")
    server.wait_log(r"relay\.try.*not found")
    with Scripted(sockets / "lmtp.sock", lmtp=True) as remote:
        remote.wait()
    send(server, "two@local.test")
    server.wait_log(r"relay\.try.*the other side closed|relay\.try.*cannot connect", start=len(server.log()) - 500)


def test_lmtp_chain_and_chunks(new_server, sockets):
    """The first of a chain is away: the second takes it, by TCP, with one chunk and an answer for each."""
    with Scripted(lmtp=True, offers=["CHUNKING"], answers={"END": lambda s, of: "452 4.2.2 full" if "two@" in of else ""}) as remote:
        server = new_server(LOOPBACK + f"route = local.test lmtp:{sockets}/none.sock,127.0.0.1:{remote.port}\n")
        send(server, ["one@local.test", "two@local.test"])
        remote.wait()
        assert remote.sessions[0].chunks == 1
        row = server.json("queue", "list")
        assert "two@local.test" in str(row) and "one@local.test" not in str(row)


@pytest.mark.skipif(not os.path.exists("/usr/lib/dovecot/lmtp") or os.geteuid() != 0, reason="needs Dovecot's LMTP server, and root to start it")
def test_dovecot_lmtp(new_server, sockets):
    sockets.chmod(0o755)
    mail = sockets / "mail"
    mail.mkdir()
    shutil.chown(mail, "nobody", "nogroup")
    (sockets / "users").write_text("one@local.test:{PLAIN}x::::::\ntwo@local.test:{PLAIN}x::::::\n")
    (sockets / "conf").write_text(f"""
base_dir = {sockets}/run
state_dir = {sockets}/run
log_path = {sockets}/log
ssl = no
protocols = lmtp
mail_uid = nobody
mail_gid = nogroup
first_valid_uid = 1
mail_location = maildir:{mail}/%u
default_internal_user = nobody
default_internal_group = nogroup
default_login_user = nobody
passdb {{
  driver = passwd-file
  args = {sockets}/users
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={mail}/%u
}}
service lmtp {{
  unix_listener {sockets}/lmtp.sock {{
    mode = 0600
  }}
}}
""")
    (sockets / "run").mkdir()
    process = subprocess.Popen(["/usr/sbin/dovecot", "-F", "-c", sockets / "conf"], stderr=subprocess.PIPE)
    try:
        end = time.time() + 20
        while not (sockets / "lmtp.sock").exists():
            assert process.poll() is None, process.stderr.read()
            assert time.time() < end
            time.sleep(0.05)
        server = new_server(LOOPBACK + f"route = local.test lmtp:{sockets}/lmtp.sock\n")
        send(server, ["one@local.test", "two@local.test", "nobody@local.test"], BODY)
        text = notice(server)
        assert "nobody@local.test" in text and "one@local.test" not in text
        for name in ("one", "two"):
            files = list((mail / f"{name}@local.test" / "new").glob("*"))
            assert len(files) == 1 and b".dot" in files[0].read_bytes()
    finally:
        process.terminate()
        process.wait(20)
        process.stderr.close()


# ---- where from, and as whom

def test_source_and_ehlo(new_server):
    with Scripted() as remote:
        server = new_server(LOOPBACK + f"route = one.test 127.0.0.1:{remote.port} tls=none source=127.0.0.77 ehlo=out.one.test\n"
                                       f"route = two.test 127.0.0.1:{remote.port} tls=none source=127.0.0.78,127.0.0.79 ehlo=out.two.test\n"
                                       f"route = six.test 127.0.0.1:{remote.port} tls=none source=::1\n")
        send(server, "a@one.test")
        remote.wait()
        assert remote.sessions[0].peer == "127.0.0.77" and remote.sessions[0].hello == "out.one.test"
        send(server, "a@two.test")  # another line of the configuration: another connection
        remote.wait(2)
        assert remote.sessions[1].peer in ("127.0.0.78", "127.0.0.79") and remote.sessions[1].hello == "out.two.test"
        send(server, "a@six.test")
        server.wait_log(r"relay\.try.*no source address of that family")
        assert len(remote.sessions) == 2


@pytest.mark.parametrize("way", ["SCRAM-SHA-256 PLAIN LOGIN", "PLAIN LOGIN", "LOGIN"])
def test_logins(new_server, tmp_path, way):
    secret = tmp_path / "secret"
    secret.write_text("joe,=x pass word \xe9\n")
    secret.chmod(0o600)
    with Scripted(tls=certificate(tmp_path / "tls"), offers=["PIPELINING", f"AUTH {way}"], login=("joe,=x", "pass word \xe9")) as remote:
        server = new_server(LOOPBACK + f"route = * 127.0.0.1:{remote.port} tls=must auth={secret}\n")
        send(server, "a@one.test")
        remote.wait()
        s = remote.sessions[0]
        assert s.user == "joe,=x" and s.tls
        assert [c for c in s.commands if c.startswith("AUTH")][0].split(" ")[1] == way.split(" ")[0]
        assert "pass word" not in server.log()


@pytest.mark.parametrize("way", ["SCRAM-SHA-256", "LOGIN"])
def test_wrong_password(new_server, tmp_path, way):
    (tmp_path / "secret").write_text("joe wrong\n")
    with Scripted(tls=certificate(tmp_path / "tls"), offers=[f"AUTH {way}"], login=("joe", "right")) as remote:
        server = new_server(LOOPBACK + f"route = * 127.0.0.1:{remote.port} tls=must auth={tmp_path}/secret\n")
        send(server, "a@one.test")
        server.wait_log(r"relay\.try.*does not let us log in")
        assert not remote.messages() and "wrong" not in server.log()


@pytest.mark.parametrize("first", [b"r=other,s=AAAA,i=4096", b"r=,s=AAAA,i=4096", b"r=%(nonce)s,s=AAAA,i=1", b"r=%(nonce)sx,s=,i=4096", b"r=%(nonce)sx,s=AAAA,i=99999999", b"\0\xff", b"x" * 3000])
def test_hostile_scram(new_server, tmp_path, first):
    """What a server says in SCRAM is checked: its nonce begins with ours, its count is neither cheap nor endless."""
    import base64
    (tmp_path / "secret").write_text("joe secret\n")

    def auth(s, line):
        nonce = base64.b64decode(line.split(" ")[2]).split(b"r=")[1]
        return "334 " + base64.b64encode(first.replace(b"%(nonce)s", nonce)).decode()

    class Liar(Scripted):
        def auth(self, s, f, line):
            return auth(s, line)

    with Liar(tls=certificate(tmp_path / "tls"), offers=["AUTH SCRAM-SHA-256"]) as remote:
        server = new_server(LOOPBACK + f"route = * 127.0.0.1:{remote.port} tls=must auth={tmp_path}/secret\n")
        send(server, "a@one.test")
        server.wait_log(r"relay\.try.*(is not SCRAM|makes no sense)")
        assert not remote.messages()


def test_implicit_tls(new_server, tmp_path):
    with Scripted(tls=certificate(tmp_path / "tls"), implicit=True) as remote:
        server = new_server(LOOPBACK + f"route = * 127.0.0.1:{remote.port} implicit-tls tls=must\n")
        send(server, "a@one.test")
        remote.wait()
        assert remote.sessions[0].tls and "STARTTLS" not in remote.sessions[0].commands


def test_implicit_tls_to_a_plain_server(new_server):
    with Scripted() as remote:
        server = new_server(LOOPBACK + f"relay.timeout = 2s\nroute = * 127.0.0.1:{remote.port} implicit-tls tls=must\n")
        send(server, "a@one.test")
        server.wait_log(r"relay\.try.*handshake failed")
        assert not remote.messages()


def test_literal(new_server):
    with Scripted() as remote:
        server = new_server(LOOPBACK + f"relay.port = {remote.port}\n")
        send(server, "a@[127.0.0.1]")
        remote.wait()
        assert "RCPT TO:<a@[127.0.0.1]>" in remote.sessions[0].commands


# ---- one connection for several domains

def test_domains_share_a_connection(new_server):
    slow = {"END": lambda s, of: time.sleep(0.3) or ""}
    with Scripted(answers=slow) as remote:
        d = dns.DnsServer({("one.test", dns.MX): [dns.mx(10, "mx.both.test")], ("two.test", dns.MX): [dns.mx(10, "mx.both.test")],
                           ("mx.both.test", dns.A): [dns.a("127.0.0.1")]})
        server = new_server(LOOPBACK + f"relay.connections = 1\nrelay.port = {remote.port}\ndns.server = 127.0.0.1@{d.port}\ndns.trust-anchor = /nonexistent\n")
        for i in range(3):
            send(server, f"a{i}@one.test")
            send(server, f"b{i}@two.test")
        remote.wait(6)
        assert len(remote.sessions) == 1
        d.stop()


# ---- what a server does not take

def test_conversion(new_server):
    """8-bit mail for a server without 8BITMIME: the parts are encoded, and say the same."""
    text = MAIL + ("MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n--b\r\n"
                   "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße aus der Ferne, mit einem = darin\r\n--b\r\n"
                   "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + "Привет\r\n" * 30000 + "--b--\r\n")
    with Scripted(offers=["SIZE 10000000"]) as remote:
        server = new_server(LOOPBACK + f"route = * 127.0.0.1:{remote.port} tls=none\n")
        send(server, "a@one.test", text, ["BODY=8BITMIME"])
        got = remote.wait()[0]
        assert got.isascii()
        mail = [c for c in remote.sessions[0].commands if c.startswith("MAIL")][0]
        assert f"SIZE={len(got)}" in mail and "BODY" not in mail
        parts = email.message_from_bytes(got).get_payload()
        assert parts[0]["Content-Transfer-Encoding"] == "quoted-printable" and parts[1]["Content-Transfer-Encoding"] == "base64"
        assert parts[0].get_payload(decode=True).decode() == "Grüße aus der Ferne, mit einem = darin"
        assert parts[1].get_payload(decode=True).decode().replace("\r\n", "\n") == "Привет\n" * 29999 + "Привет"


def test_conversion_switched_off(new_server):
    with Scripted(offers=[]) as remote:
        server = new_server(LOOPBACK + f"relay.convert = no\nroute = * 127.0.0.1:{remote.port} tls=none\n")
        send(server, "a@one.test", MAIL + "\r\nGrüße\r\n", ["BODY=8BITMIME"])
        assert "5.6.3" in notice(server)
        assert not remote.messages()


def test_what_cannot_be_converted(new_server):
    with Scripted(offers=[]) as remote:
        server = new_server(LOOPBACK + f"route = * 127.0.0.1:{remote.port} tls=none\n")
        send(server, "a@one.test", MAIL + "MIME-Version: 1.0\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: x-own\r\n\r\nGrüße\r\n", ["BODY=8BITMIME"])
        assert "5.6.3" in notice(server)
        assert not remote.messages()


def test_chunking_that_is_a_lie(new_server):
    """Offered, and unknown: the message comes by DATA over another connection, once."""
    with Scripted(offers=["CHUNKING", "8BITMIME"], answers={"BDAT": "500 5.5.1 what?"}) as remote:
        server = new_server(LOOPBACK + f"route = * 127.0.0.1:{remote.port} tls=none\n")
        send(server, "a@one.test")
        assert remote.wait()[0].endswith(b"hello\r\n.dot\r\n")
        assert len(remote.sessions) == 2 and len(remote.messages()) == 1
        server.wait_log(r"relay\.try.*delivered=1")


def test_size_and_smtputf8(new_server):
    with Scripted(offers=["SIZE 100", "8BITMIME"]) as remote:
        server = new_server(LOOPBACK + f"route = * 127.0.0.1:{remote.port} tls=none\n", accounts=("alice", "bob"))
        send(server, "a@one.test")
        text = notice(server)
        assert "5.3.4" in text
        assert not any(c.startswith("MAIL") for s in remote.sessions for c in s.commands)
        remote.offers[:] = ["8BITMIME"]
        send(server, "a@one.test", BODY, ["SMTPUTF8"])  # nothing needs it
        remote.wait()
        with smtplib.SMTP("127.0.0.1", server.port("submission"), timeout=30) as s:
            s.login(f"bob@{DOMAIN}", PASSWORD)
            s.ehlo_or_helo_if_needed()
            s.sendmail(f"bob@{DOMAIN}", ["\xfc@one.test"], BODY.replace("alice", "bob").encode(), ["SMTPUTF8"])
        assert "5.6.7" in notice(server, "bob")


# ---- as outside test programs drive it

def test_settings_for_test_programs(new_server):
    """DNS server (without DNSSEC), port, loopback and a first retry of one second, all at once: mail for any domain goes to servers of the test program."""
    with Scripted(answers={"RCPT": lambda s, line: "450 4.2.1 later" if sum(c.startswith("RCPT") for t in remote.sessions for c in t.commands) < 3 else ""}) as remote, Scripted() as other:
        d = dns.DnsServer({("one.test", dns.MX): [dns.mx(10, "mx.one.test")], ("mx.one.test", dns.A): [dns.a("127.0.0.1")], ("two.test", dns.MX): [dns.mx(10, "mx.one.test")]})
        server = new_server(f"dns.server = 127.0.0.1@{d.port}\ndns.trust-anchor = /nonexistent\nrelay.loopback = yes\nrelay.port = {remote.port}\nroute = two.test mx:{other.port}\nrelay.retry = 1s 1s 60s\n")
        began = time.time()
        send(server, "a@one.test")
        send(server, "a@two.test")
        remote.wait()
        assert 1.5 < time.time() - began < 20  # two waits of a second
        other.wait()
        assert ("one.test", dns.MX) in d.asked and ("two.test", dns.MX) in d.asked
        d.stop()
