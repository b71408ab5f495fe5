# SPDX-License-Identifier: Apache-2.0
"""Posthouse sends to a small internet of its own: real addresses of both families, port 25, DNS, Debian's Postfix, and servers that refuse, defer,
hang, drop connections at bad moments, are slow, or break TLS. Everybody gets his mail, once where that can be known."""
import imaplib
import smtplib
import socket
import ssl
import subprocess
import threading
import time

import pytest

from dns import A, AAAA, MX, DnsServer, a, mx
from house import DOMAIN, PASSWORD, Server
from network import Network, possible
from postfix import Postfix

pytestmark = pytest.mark.skipif(not possible(), reason="no network namespaces here")

MESSAGE = "From: alice@example.test\r\nTo: x\r\nSubject: {}\r\n\r\nhello\r\n"


class Remote:
    """A server at an address of the other host. script(remote, connection, f) plays a session; taken: texts for which it said 250."""

    def __init__(self, host, address, script, cert):
        self.script, self.cert, self.taken, self.sessions, self.seen = script, cert, [], 0, []
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.listener = host.inside(lambda: self.listen(family, address))
        threading.Thread(target=self.run, daemon=True).start()

    @staticmethod
    def listen(family, address):
        s = socket.socket(family, socket.SOCK_STREAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((address, 25))
        s.listen(50)
        return s

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.sessions += 1
            threading.Thread(target=self.serve, args=(connection, self.sessions), daemon=True).start()

    def serve(self, connection, session):
        connection.settimeout(30)
        with connection:
            try:
                self.script(self, connection, session)
            except OSError:
                pass

    def close(self):
        self.listener.close()


def smtp(remote, connection, answers=None, text_end=None, extensions=(), say=None):
    """A session of SMTP. answers: {verb: reply}; text_end(): called at the end of the message instead of taking it, False: no reply."""
    f = connection.makefile("rb")
    say = say or (lambda t: connection.sendall(t.encode() + b"\r\n"))
    say("220 remote.test")
    while line := f.readline(2000):
        verb = line.split()[0].upper().decode() if line.split() else ""
        if answers and verb in answers:
            say(answers[verb])
        elif answers and verb == "DATA":
            say("503 nobody is there to get it")
        elif verb == "EHLO":
            for word in ("remote.test", *extensions):
                say(f"250-{word}")
            say("250 PIPELINING")
        elif verb == "DATA":
            say("354 go on")
            text = b""
            while (part := f.readline(10000)) != b".\r\n":
                if not part:
                    return
                text += part
            remote.seen.append(text)
            if text_end and not text_end():
                return
            remote.taken.append(text)
            say("250 2.0.0 taken")
        elif verb == "STARTTLS":
            say("220 go on")
            return "tls"
        elif verb == "QUIT":
            say("221 bye")
            return
        else:
            say("250 ok")


def good(remote, connection, session):
    smtp(remote, connection)


def refuses(remote, connection, session):
    smtp(remote, connection, {"RCPT": "550 5.1.1 no such user"})


def defers_twice(remote, connection, session):
    smtp(remote, connection, {"RCPT": "451 4.3.0 try again in a moment"} if session <= 2 else None)


def hangs_once(remote, connection, session):
    if session == 1:
        time.sleep(20)
    else:
        smtp(remote, connection)


def drops_in_the_message_once(remote, connection, session):
    if session > 1:
        return smtp(remote, connection)
    f = connection.makefile("rb")
    connection.sendall(b"220 remote.test\r\n")
    while line := f.readline(2000):
        connection.sendall(b"354 go on\r\n" if line[:4] == b"DATA" else b"250 ok\r\n")
        if line[:4] == b"DATA":
            return None


def drops_before_its_reply_once(remote, connection, session):
    smtp(remote, connection, text_end=lambda: session > 1)


def slow(remote, connection, session):
    def say(text):
        for ch in text + "\r\n":
            connection.sendall(ch.encode())
            time.sleep(0.005)
    smtp(remote, connection, say=say)


def breaks_tls(remote, connection, session):
    """STARTTLS is offered and then answered with nonsense: the next time mail comes in plain."""
    if smtp(remote, connection, extensions=("STARTTLS",)) == "tls":
        connection.sendall(b"this is no handshake\r\n" * 10)


def expired_certificate(remote, connection, session):
    if smtp(remote, connection, extensions=("STARTTLS",)) != "tls":
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*remote.cert)
    with context.wrap_socket(connection, server_side=True) as secure:
        f = secure.makefile("rb")
        while line := f.readline(2000):
            if line[:4] == b"EHLO":
                secure.sendall(b"250 remote.test\r\n")
            elif line[:4] == b"DATA":
                secure.sendall(b"354 go on\r\n")
                text = b""
                while (part := f.readline(10000)) != b".\r\n":
                    text += part
                remote.taken.append(b"TLS: " + text)
                secure.sendall(b"250 taken\r\n")
            else:
                secure.sendall(b"250 ok\r\n")


def closes_at_once(remote, connection, session):
    return


SCRIPTS = {"refuses": refuses, "defers": defers_twice, "hangs": hangs_once, "drops-in": drops_in_the_message_once, "drops-before": drops_before_its_reply_once,
           "slow": slow, "breaks-tls": breaks_tls, "expired": expired_certificate, "closes": closes_at_once, "good": good}
DNS_ADDRESS, POSTFIX_ADDRESS, SIX = "10.77.0.2", "10.77.0.3", "fd77::25"
SILENT = "10.77.0.4"  # whoever connects hears nothing at all
ADDRESS = {name: f"10.77.0.{10 + i}" for i, name in enumerate(SCRIPTS)}


def six(address):
    return socket.inet_pton(socket.AF_INET6, address)


def silence(host):
    """A listener whose queue is full: the kernel drops what comes. The sockets that keep it so."""
    def fill():
        listener = socket.create_server((SILENT, 25), backlog=0)
        held = [listener]
        for _ in range(3):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex((SILENT, 25))
            held.append(s)
        time.sleep(0.2)
        return held
    return host.inside(fill)


def zone():
    table = {}
    for name, address in ADDRESS.items():
        table[f"{name}.test", MX] = [mx(10, f"mail.{name}.test")]
        table[f"mail.{name}.test", A] = [a(address)]
    table["postfix.test", MX] = [mx(10, "mail.postfix.test")]
    table["mail.postfix.test", A] = [a(POSTFIX_ADDRESS)]
    table["both.test", MX] = [mx(10, "mail.both.test")]  # IPv4 leads nowhere, IPv6 does
    table["mail.both.test", A] = [a(SILENT)]
    table["mail.both.test", AAAA] = [six(SIX)]
    table["backup.test", MX] = [mx(10, "mail.closes.test"), mx(20, "mail.nobody.test"), mx(30, "mail.good.test")]
    table["mail.nobody.test", A] = [a(SILENT)]
    return table


def make_expired(folder):
    run = lambda *words: subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)
    run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=other.test", "-keyout", "key.pem", "-out", "req.pem")
    (folder / "conf").write_text("[ca]\ndefault_ca=d\n[d]\ndatabase=index\nserial=serial\ndefault_md=sha256\npolicy=p\nnew_certs_dir=.\n[p]\ncommonName=supplied\n")
    (folder / "index").touch()
    (folder / "serial").write_text("01\n")
    run("ca", "-batch", "-selfsign", "-config", "conf", "-keyfile", "key.pem", "-in", "req.pem", "-out", "cert.pem", "-startdate", "20200101000000Z",
        "-enddate", "20210101000000Z", "-notext")


@pytest.fixture(scope="module")
def internet(tmp_path_factory):
    folder = tmp_path_factory.mktemp("internet")
    make_expired(folder)
    network = Network([DNS_ADDRESS, POSTFIX_ADDRESS, SILENT, SIX, *ADDRESS.values()])
    stops = [network.remove]
    try:
        def bind():
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.bind((DNS_ADDRESS, 53))
            return s
        dns = DnsServer(zone(), network.away.inside(bind))
        stops.append(dns.stop)
        stops += [s.close for s in silence(network.away)]
        remotes = {name: Remote(network.away, ADDRESS[name], script, (folder / "cert.pem", folder / "key.pem")) for name, script in SCRIPTS.items()}
        remotes["both"] = Remote(network.away, SIX, good, None)
        stops += [r.close for r in remotes.values()]
        peer = Postfix(folder / "postfix", 25, "postfix.test", users=("carl",), address=POSTFIX_ADDRESS, before=network.away.exec)
        peer.start()
        stops.append(peer.stop)
        house = Server(tmp_path_factory.mktemp("house"), f"dns.server = {DNS_ADDRESS}\ndns.trust-anchor = /nonexistent\nrelay.retry = 1s\nrelay.timeout = 4s\n"
                       "relay.connect-timeout = 15s\n", before=network.home.exec).start()
        stops.append(house.stop)
        house.command("domain", "add", DOMAIN)
        house.add_account("alice")
        yield network, house, remotes, peer
    finally:
        for stop in reversed(stops):
            stop()


def submit(network, house, *to, subject="hello"):
    def send():
        with smtplib.SMTP("127.0.0.1", house.port("submission"), timeout=30) as s:
            s.login(f"alice@{DOMAIN}", PASSWORD)
            s.sendmail(f"alice@{DOMAIN}", list(to), MESSAGE.format(subject))
    network.home.inside(send)


def wait_until(what, house, seconds=40):
    end = time.time() + seconds
    while not what():
        assert time.time() < end, house.log()[-4000:]
        time.sleep(0.1)


def test_everybody_gets_his_mail(internet):
    network, house, remotes, peer = internet
    names = [*SCRIPTS, "both", "backup", "postfix"]
    submit(network, house, *(f"carl@{n}.test" for n in names))
    mine = lambda n: [t for t in remotes[n].taken if b"Subject: hello" in t]
    for n in ("defers", "hangs", "drops-in", "drops-before", "slow", "breaks-tls", "expired", "both"):
        wait_until(lambda: mine(n), house)
    wait_until(lambda: len(mine("good")) == 2, house, 60)  # its own, and the one of backup.test
    assert b"Subject: hello" in peer.wait_mail("carl")[0]
    wait_until(lambda: {r["domain"] for r in house.json("queue", "list")} <= {"closes.test"}, house)
    time.sleep(2)  # nothing more comes
    for n in ("defers", "hangs", "drops-in", "slow", "breaks-tls", "expired", "both"):
        assert len(mine(n)) == 1, n
    assert len(remotes["drops-before"].seen) == 2  # nobody knows about the first
    assert remotes["expired"].taken[0].startswith(b"TLS: ")
    assert not remotes["refuses"].taken and len(peer.mail("carl")) == 1
    row, = house.json("queue", "list")
    assert row["domain"] == "closes.test" and row["tries"] >= 3


def test_who_refused_is_told_to_the_sender(internet):
    network, house, remotes, peer = internet
    submit(network, house, "nobody@refuses.test", "nobody@postfix.test", subject="to nobody")

    def notices():
        with imaplib.IMAP4("127.0.0.1", house.port("imap")) as c:
            c.login(f"alice@{DOMAIN}", PASSWORD)
            c.select("INBOX")
            return [c.fetch(n, "(BODY[])")[1][0][1] for n in c.search(None, "TEXT", '"to nobody"')[1][0].split()]
    end = time.time() + 30
    while len(got := network.home.inside(notices)) < 2:
        assert time.time() < end, house.log()[-3000:]
        time.sleep(0.2)
    assert any(b"nobody@refuses.test" in m and b"550 5.1.1 no such user" in m for m in got)
    assert any(b"nobody@postfix.test" in m and b"Status: 5.1.1" in m for m in got)


def test_the_family_that_works_is_remembered(internet):
    """IPv4 leads nowhere: after the first message nobody waits for it any more."""
    network, house, remotes, peer = internet
    before = len(remotes["both"].taken)
    submit(network, house, "carl@both.test", subject="first")
    wait_until(lambda: len(remotes["both"].taken) > before, house)
    began = time.time()
    submit(network, house, "carl@both.test", subject="second")
    wait_until(lambda: len(remotes["both"].taken) > before + 1, house)
    assert time.time() - began < 10  # a connection may take 15 s


def test_postfix_restarts_in_the_middle(internet):
    """Some messages at a time while Postfix goes away and comes back: all of them are there, once."""
    network, house, remotes, peer = internet
    before = len(peer.mail("carl"))
    for i in range(20):
        submit(network, house, "carl@postfix.test", subject=f"number {i:02}.")
        if i == 5:
            peer.stop()
        if i == 15:
            peer.start()
    got = peer.wait_mail("carl", before + 20, seconds=40)[before:]
    wait_until(lambda: not [r for r in house.json("queue", "list") if r["domain"] == "postfix.test"], house)
    assert len(peer.mail("carl")) == before + 20
    assert all(any(f"number {i:02}.".encode() in m for m in got) for i in range(20))
