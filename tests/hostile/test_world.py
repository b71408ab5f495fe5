# SPDX-License-Identifier: Apache-2.0
"""The world fails: no space, no certificate, wrong settings, a second server, thousands of silent clients, slow readers."""
import imaplib
import os
import re
import resource
import shutil
import smtplib
import socket
import subprocess
import time

import pytest

from house import DOMAIN, PASSWORD, PROGRAM, Server

MESSAGE = b"Subject: world\r\n\r\nhello\r\n"


def deliver(s, data=MESSAGE, to="alice"):
    client = smtplib.SMTP("127.0.0.1", s.port("smtp"), timeout=60)
    try:
        client.sendmail("x@example.org", [f"{to}@{DOMAIN}"], data)
    finally:
        client.close()


def inbox_count(s, user="alice"):
    imap = imaplib.IMAP4("127.0.0.1", s.port("imap"))
    imap.login(f"{user}@{DOMAIN}", PASSWORD)
    count = int(imap.select("INBOX", readonly=True)[1][0])
    imap.logout()
    return count


# ---- disk full

@pytest.fixture
def small_disk(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    r = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160m,mode=0755", "tmpfs", disk], capture_output=True, text=True)
    if r.returncode:
        pytest.skip(f"no tmpfs can be mounted: {r.stderr}")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


@pytest.mark.parametrize("reserve", ["8m", "0"], ids=["reserve", "to the last byte"])
def test_disk_full(small_disk, reserve):
    """Mail is deferred with 4xx, reading goes on, and when there is space again mail flows without a restart."""
    s = Server(small_disk, f"store.reserve = {reserve}\nsessions = 1").start()
    try:
        s.command("domain", "add", DOMAIN)
        s.add_account("alice")
        deliver(s)
        filler = small_disk / "filler"
        with open(filler, "wb") as f:
            try:
                while True:
                    f.write(b"x" * (1 << 20))
                    f.flush()
            except OSError:
                pass
        codes, taken = set(), 1
        for i in range(300):  # what was preallocated may still take some
            try:
                deliver(s, b"Subject: big\r\n\r\n" + (b"z" * 76 + b"\r\n") * 6000)
                taken += 1
            except smtplib.SMTPResponseException as e:
                codes.add(e.smtp_code)
                break
            except smtplib.SMTPRecipientsRefused as e:
                codes |= {code for code, _ in e.recipients.values()}
                break
        assert codes and all(400 <= c < 500 for c in codes), (codes, taken)
        assert inbox_count(s) == taken
        filler.unlink()
        end = time.time() + 20
        while True:
            try:
                deliver(s)
                break
            except smtplib.SMTPException:
                assert time.time() < end, s.log()[-3000:]
                time.sleep(0.2)
        assert inbox_count(s) == taken + 1
        s.restart()
        assert inbox_count(s) == taken + 1
    finally:
        s.stop()


# ---- certificates

def test_certificate_missing(new_server):
    s = new_server(start=False)
    (s.folder / "house/tls/certificate.pem").unlink()
    s.start()
    client = smtplib.SMTP("127.0.0.1", s.port("smtp"))
    client.ehlo()
    assert not client.has_extn("starttls")
    client.quit()
    assert re.search(r"certificate", s.log())
    r = s.command("check", check=False)
    assert r.returncode != 0 and "certificate.pem" in r.stdout + r.stderr


def make_expired(folder):
    ca = folder / "ca"
    ca.mkdir()
    (ca / "index.txt").write_text("")
    (ca / "serial").write_text("01\n")
    (ca / "conf").write_text(f"[ca]\ndefault_ca=d\n[d]\ndatabase={ca}/index.txt\nserial={ca}/serial\nnew_certs_dir={ca}\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n")
    run = lambda *w: subprocess.run(["openssl", *map(str, w)], check=True, capture_output=True)
    run("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=mail.example.test", "-keyout", ca / "key.pem", "-out", ca / "req.pem")
    run("ca", "-batch", "-selfsign", "-config", ca / "conf", "-keyfile", ca / "key.pem", "-in", ca / "req.pem", "-out", ca / "cert.pem", "-startdate", "20200101000000Z", "-enddate", "20210101000000Z", "-notext")
    return ca


def test_certificate_expired(new_server, tmp_path):
    s = new_server(start=False)
    ca = make_expired(tmp_path)
    tls = s.folder / "house/tls"
    shutil.copy(ca / "cert.pem", tls / "certificate.pem")
    (tls / "key.pem").write_bytes((ca / "key.pem").read_bytes())
    s.start()
    client = smtplib.SMTP("127.0.0.1", s.port("smtp"))
    client.starttls()  # served all the same: mail between servers does not look at dates
    client.quit()
    assert re.search(r"expired", s.log())
    r = s.command("check", check=False)
    assert r.returncode != 0 and "expired" in r.stdout + r.stderr


def test_key_of_another_certificate(new_server, tmp_path):
    s = new_server(start=False)
    (s.folder / "house/tls/key.pem").write_bytes((make_expired(tmp_path) / "key.pem").read_bytes())
    s.start()
    client = smtplib.SMTP("127.0.0.1", s.port("smtp"))
    client.ehlo()
    assert not client.has_extn("starttls")
    client.quit()
    assert re.search(r"key", s.log())


# ---- settings, and another server

@pytest.mark.parametrize("line, words", [
    ("message-bytes-max = many", ["message-bytes-max", "many"]),
    ("listen = smtp nowhere", ["listen", "nowhere"]),
    ("listen = smpt 127.0.0.1:2525", ["smpt", "smtp"]),
    ("hostnam = x", ["hostnam", "hostname"]),
    ("log.format = xml", ["log.format", "xml", "json"]),
    ("relay.retry = soon", ["relay.retry", "soon"]),
    ("trusted = 10.0.0.0/99", ["trusted", "10.0.0.0/99"]),
    ("route = example.org", ["route", "example.org"]),
    ("no equals sign", ["no equals sign"]),
])
def test_wrong_settings_are_named(new_server, line, words):
    s = new_server(line, start=False)
    number = next(i for i, l in enumerate(s.conf.read_text().splitlines(), 1) if l == line)
    for verb in (["check"], ["serve"]):
        r = subprocess.run([PROGRAM, *(["-c", s.conf, "check"] if verb == ["check"] else ["serve", "-c", s.conf])], capture_output=True, text=True, timeout=30)
        said = r.stdout + r.stderr
        assert r.returncode != 0
        assert (f"posthouse.conf:{number}" if verb == ["check"] else f"line={number} ") in said, said
        for word in words:
            assert word in said, said


def test_second_server_on_the_same_data(new_server):
    s = new_server()
    r = subprocess.run([PROGRAM, "serve", "-c", s.conf], capture_output=True, text=True, timeout=30)
    assert r.returncode != 0
    assert re.search(r"another|already|in use", r.stdout + r.stderr), r.stderr
    deliver(s)
    assert inbox_count(s) == 1


def test_address_in_use(new_server, tmp_path):
    s = new_server()
    text = s.conf.read_text().replace("\ndata = ", "\n#data = ")
    other = tmp_path / "other"
    shutil.copytree(s.folder / "house", other, ignore=shutil.ignore_patterns("data", "run"))
    (other / "data").mkdir()
    r = subprocess.run([PROGRAM, "serve", "-c", other / "posthouse.conf"], capture_output=True, text=True, timeout=30)
    assert r.returncode != 0
    assert str(s.base) [:3] in r.stdout + r.stderr and re.search(r"in use", r.stdout + r.stderr), r.stderr


def test_no_server_says_how_to_start(new_server):
    s = new_server(start=False)
    r = s.command("domain", "list", check=False)
    assert r.returncode != 0 and "serve -c" in r.stderr, r.stderr


# ---- many clients, slow clients

def test_five_thousand_silent_connections(new_server):
    """They cost little, and a client that talks is served."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    s = new_server()
    silent = []
    try:
        for i in range(5000):
            c = socket.create_connection(("127.0.0.1", s.port("smtp" if i % 2 else "imap")), 30)
            silent.append(c)
        deliver(s)
        assert inbox_count(s) == 1
    finally:
        for c in silent:
            c.close()


def test_connections_from_one_address_are_limited(new_server):
    s = new_server("trusted = 192.0.2.1\nconnections-per-address = 5\nsessions = 1")
    clients = [socket.create_connection(("127.0.0.1", s.port("smtp"))) for _ in range(5)]
    for c in clients:
        assert c.recv(100).startswith(b"220 ")
    extra = socket.create_connection(("127.0.0.1", s.port("smtp")))
    assert extra.recv(200).startswith(b"421 ")
    for c in [extra, *clients]:
        c.close()
    time.sleep(0.3)
    deliver(s)


def test_slow_reader_of_a_large_message(new_server):
    """A client that reads a large message slowly holds up nobody, and gets every byte."""
    s = new_server("sessions = 1")
    line = b"0123456789" * 7 + b"\r\n"
    deliver(s, b"Subject: large\r\n\r\n" + line * 200000)
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.connect(("127.0.0.1", s.port("imap")))
    slow.sendall(f"a LOGIN alice@{DOMAIN} {PASSWORD}\r\nb SELECT INBOX\r\nc FETCH 1 BODY.PEEK[TEXT]\r\n".encode())
    time.sleep(0.5)
    begun = time.time()
    for _ in range(5):
        deliver(s, to="bob")
    assert inbox_count(s, "bob") == 5
    assert time.time() - begun < 20
    got = b""
    slow.settimeout(60)
    while b"\nc OK" not in got[-200:]:
        got += slow.recv(65536)
    assert got.count(line) == 200000
    slow.close()


def test_many_large_messages_at_once(new_server):
    """Those for which there is no more room are deferred, not refused; small ones flow."""
    s = new_server("sessions = 1")
    chunk, clients = b"x" * 1100000, []
    try:
        for i in range(257):
            c = socket.create_connection(("127.0.0.1", s.port("smtp")))
            clients.append(c)
            f = c.makefile("rb")
            assert f.readline().startswith(b"220 ")
            c.sendall(f"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<alice@{DOMAIN}>\r\nBDAT {len(chunk)}{' LAST' if i == 256 else ''}\r\n".encode() + chunk)
            while not re.match(rb"2.0.0 1100000 bytes|2.0.0 accepted|[45]\.", (line := f.readline())[4:]):
                pass
            assert line.startswith(b"250 " if i < 256 else b"4"), (i, line)
        deliver(s, to="bob")
        clients.pop(0).close()
        time.sleep(0.2)
        deliver(s, b"Subject: large\r\n\r\n" + (b"x" * 76 + b"\r\n") * 20000)
    finally:
        for c in clients:
            c.close()


def test_slow_writer(new_server):
    s = new_server("sessions = 1")
    slow = socket.create_connection(("127.0.0.1", s.port("smtp")))
    f = slow.makefile("rb")
    assert f.readline().startswith(b"220")
    for byte in b"HELO slow.example\r\n":
        slow.sendall(bytes([byte]))
        time.sleep(0.01)
    assert f.readline().startswith(b"250")
    deliver(s)
    slow.close()


def test_a_silent_client_is_sent_away(new_server):
    s = new_server("smtp.timeout = 1s\nlogin.timeout = 1s")
    for kind, word in (("smtp", b"421 "), ("imap", b"* BYE"), ("pop3", b"+OK")):  # RFC 1939 3: POP3 closes without a word
        c = socket.create_connection(("127.0.0.1", s.port(kind)))
        c.settimeout(20)
        got = b""
        while True:
            more = c.recv(1000)
            if not more:
                break
            got += more
        assert word in got, (kind, got)
        c.close()
