# SPDX-License-Identifier: Apache-2.0
"""The posthouse command: what it does, what it prints, and what it says when it cannot."""
import json
import os
import re
import socket
import subprocess

import pytest
from house import DOMAIN, PASSWORD, PROGRAM


def run(*words, input=None, cwd=None):
    return subprocess.run([PROGRAM, *map(str, words)], input=input, text=True, capture_output=True, timeout=60, cwd=cwd)


# ---- without a server


def test_init_makes_what_is_needed(tmp_path):
    r = run("init", tmp_path / "house", "--domain", "example.org", "--port-base", "30000")
    assert r.returncode == 0 and "serve" in r.stdout
    conf = (tmp_path / "house/posthouse.conf").read_text()
    assert "\nhostname = mail.example.org\n" in conf and "\nlisten = smtp 127.0.0.1:30025\n" in conf
    assert (tmp_path / "house/data").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "house/tls/key.pem").stat().st_mode & 0o777 == 0o600
    assert not os.listdir(tmp_path / "house/data")


def test_init_touches_nothing_that_is_there(tmp_path):
    assert run("init", tmp_path / "house").returncode == 0
    before = (tmp_path / "house/tls/key.pem").read_bytes()
    r = run("init", tmp_path / "house")
    assert r.returncode == 1 and "exists already" in r.stderr
    assert (tmp_path / "house/tls/key.pem").read_bytes() == before


@pytest.mark.parametrize("words, says", [
    (["--port-base", "70000"], "--port-base '70000'"),
    (["--port-base", "x"], "--port-base 'x'"),
    (["--domain", "exa mple"], "'exa mple' is not a host name"),
    (["--hostname", "-x"], "'-x' is not a host name"),
])
def test_init_refuses(tmp_path, words, says):
    r = run("init", tmp_path / "house", *words)
    assert r.returncode == 1 and says in r.stderr
    assert not (tmp_path / "house").exists()


def test_every_line_of_a_new_configuration_is_understood_when_uncommented(tmp_path):
    run("init", tmp_path / "house", "--port-base", "30100")
    conf = tmp_path / "house/posthouse.conf"
    text = re.sub(r"^#([a-z][a-z.-]*) =(.*)$", lambda m: "" if m[1] == "listen" else f"{m[1]} ={m[2]}" if m[2].strip() else "", conf.read_text(), flags=re.M)
    conf.write_text(text)
    r = run("-c", conf, "check", "--json")
    assert not [c for c in json.loads(r.stdout)["checks"] if c["check"] == "configuration" and c["result"] != "ok"], r.stdout


@pytest.mark.parametrize("line, says", [
    ("smtp.timout = 5m", "is 'smtp.timeout' meant?"),
    ("sessions = many", "'many'"),
    ("sessions = 65", "0 to 64"),
    ("log.level = loud", "debug, info, warn, error"),
    ("listen = smpt 127.0.0.1:1", "smtp, submission"),
    ("nonsense", "nonsense"),
])
def test_check_names_the_line(tmp_path, line, says):
    run("init", tmp_path / "house", "--port-base", "30200")
    conf = tmp_path / "house/posthouse.conf"
    with open(conf, "a") as f:
        f.write(line + "\n")
    number = len(conf.read_text().splitlines())
    r = run("-c", conf, "check")
    assert r.returncode == 1 and f"posthouse.conf:{number}:" in r.stdout and says in r.stdout, r.stdout


def test_check_looks_at_the_certificate(tmp_path):
    for name in ("one", "two"):
        run("init", tmp_path / name, "--port-base", "30300")
    conf = tmp_path / "one/posthouse.conf"
    assert run("-c", conf, "check").returncode == 0
    (tmp_path / "one/tls/key.pem").write_bytes((tmp_path / "two/tls/key.pem").read_bytes())
    r = run("-c", conf, "check")
    assert r.returncode == 1 and "does not belong to the certificate" in r.stdout
    (tmp_path / "one/tls/certificate.pem").unlink()
    r = run("-c", conf, "check")
    assert r.returncode == 1 and "certificate.pem" in r.stdout


def test_check_looks_at_the_ports(tmp_path):
    run("init", tmp_path / "house", "--port-base", "30400")
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", 30425))
        s.listen()
        r = run("-c", tmp_path / "house/posthouse.conf", "check")
    assert r.returncode == 1 and "another program has this port" in r.stdout


def test_without_a_server(tmp_path):
    run("init", tmp_path / "house")
    conf = tmp_path / "house/posthouse.conf"
    r = run("-c", conf, "domain", "list")
    assert r.returncode == 1 and "no server is running" in r.stderr and f"posthouse serve -c {conf}" in r.stderr
    r = run("-c", conf, "status", "--json")
    assert r.returncode == 1 and "no server" in json.loads(r.stdout)["error"]


def test_without_a_configuration(tmp_path):
    r = run("-c", tmp_path / "none.conf", "status")
    assert r.returncode == 1 and "none.conf" in r.stderr


@pytest.mark.parametrize("words, says", [
    ([], "a command is missing"),
    (["domian", "list"], "is 'domain' meant?"),
    (["account", "ad"], "is 'add' meant?"),
    (["queue"], "needs a verb"),
    (["domain", "add"], "usage: posthouse domain add D"),
    (["domain", "list", "--jsno"], "is '--json' meant?"),
])
def test_what_is_not_understood(words, says):
    r = run(*words)
    assert r.returncode == 2 and says in r.stderr and not r.stdout


def test_help_and_version():
    assert "account add" in run("--help").stdout
    assert re.fullmatch(r"posthouse \d+\.\d+\.\d+\n", run("version").stdout)
    assert "version" in json.loads(run("version", "--json").stdout)


# ---- with one


def test_domains(server):
    server.command("domain", "add", "second.test")
    assert "second.test" in server.command("domain", "list").stdout.split()
    assert "second.test" in server.json("domain", "list")
    r = server.command("domain", "add", "second.test", check=False)
    assert r.returncode == 1 and "second.test" in r.stderr
    server.command("domain", "delete", "second.test")
    assert "second.test" not in server.json("domain", "list")
    r = server.command("domain", "delete", "second.test", check=False)
    assert r.returncode == 1 and "there is no such domain second.test" in r.stderr
    r = server.command("domain", "delete", DOMAIN, check=False)
    assert r.returncode == 1 and "still in use" in r.stderr


@pytest.mark.parametrize("domain", ["", "a b", "-", "a@b", "x" * 300, ".org"], ids=range(6))
def test_domains_that_are_none(server, domain):
    r = server.command("domain", "add", "--", domain, check=False)
    assert r.returncode == 1 and r.stderr.startswith("posthouse: ")


def test_accounts(server):
    address = server.add_account("judy", "--quota", "2g")
    shown = server.json("account", "show", address)
    assert shown["address"] == address and shown["quota"] == 2 << 30 and shown["status"] == "active" and shown["rights"] == ["send", "imap", "pop3"]
    assert address in [a["address"] for a in server.json("account", "list", DOMAIN)]
    assert address in server.command("account", "list").stdout
    server.command("account", "quota", address, "10m")
    assert server.json("account", "show", address)["quota"] == 10 << 20
    server.command("account", "suspend", address)
    assert "suspended" in server.command("account", "show", address).stdout
    server.command("account", "resume", address)
    server.command("account", "delete", address)
    r = server.command("account", "show", address, check=False)
    assert r.returncode == 1 and "there is no such account" in r.stderr


@pytest.mark.parametrize("address, says", [
    ("nobody", "malformed"),
    ("alice@example.test", "already"),
    ("alice@elsewhere.test", "posthouse domain add elsewhere.test"),
    ("@example.test", "malformed"),
])
def test_accounts_that_cannot_be(server, address, says):
    r = server.command("account", "add", address, "--password-stdin", input="x\n", check=False)
    assert r.returncode == 1 and says in r.stderr, r.stderr


def test_an_account_needs_a_password_from_somewhere(server):
    r = server.command("account", "add", "kim@example.test", input="", check=False)
    assert r.returncode == 1 and "--password-stdin" in r.stderr
    r = server.command("account", "add", "kim@example.test", "--password-stdin", input="", check=False)
    assert r.returncode == 1 and "no password came" in r.stderr
    r = server.command("account", "add", "kim@example.test", "--password-stdin", "--quota", "lots", input="x\n", check=False)
    assert r.returncode == 1 and "lots" in r.stderr


def logs_in(server, address, password):
    import poplib
    p = poplib.POP3("127.0.0.1", server.port("pop3"), timeout=30)
    p.user(address)
    try:
        p.pass_(password)
        p.quit()
        return True
    except poplib.error_proto:
        p.close()
        return False


def test_imported_hashes(server):
    hash_ = "$6$saltsalt$.IvaZon6y00v95Hmay7einEVFelkigBGC5i8QyHClswv//RiyLclHW9Onx7i3HVkSo8kZBnUub4DjuhjzBNQO1"
    server.command("account", "add", "leo@example.test", "--hash-stdin", input=hash_ + "\n")
    assert logs_in(server, "leo@example.test", "Secret-1")
    assert not logs_in(server, "leo@example.test", "secret-1")
    server.command("account", "password", "leo@example.test", "--password-stdin", input=PASSWORD + "\n")
    assert logs_in(server, "leo@example.test", PASSWORD) and not logs_in(server, "leo@example.test", "Secret-1")
    server.command("account", "password", "leo@example.test", "--hash-stdin", input="{SSHA}VqXjWZxhXGFGOjVVPNuzTDjGAuNzYWx0c2FsdA==\n")
    assert logs_in(server, "leo@example.test", "Secret-1")
    r = server.command("account", "password", "leo@example.test", "--hash-stdin", input="{PLAIN}x\n", check=False)
    assert r.returncode == 1 and "no kind that is known" in r.stderr


def test_an_account_without_a_password(server):
    server.command("account", "add", "mia@example.test", "--no-password")
    assert not logs_in(server, "mia@example.test", "") and not logs_in(server, "mia@example.test", "x")


def test_aliases(server):
    server.command("alias", "add", "info@example.test", "alice@example.test", "bob@elsewhere.test")
    assert server.json("alias", "list", "info@example.test")["targets"] == ["alice@example.test", "bob@elsewhere.test"]
    assert "info@example.test -> alice@example.test bob@elsewhere.test" in server.command("alias", "list").stdout
    server.command("alias", "delete", "info@example.test", "bob@elsewhere.test")
    assert server.json("alias", "list", "info@example.test")["targets"] == ["alice@example.test"]
    server.command("alias", "delete", "info@example.test")
    r = server.command("alias", "list", "info@example.test", check=False)
    assert r.returncode == 1 and "there is no such alias" in r.stderr
    r = server.command("alias", "add", "info@example.test", "nobody", check=False)
    assert r.returncode == 1 and "not an address" in r.stderr
    r = server.command("alias", "add", "info@elsewhere.test", "a@b.test", check=False)
    assert r.returncode == 1 and "not one of this server" in r.stderr


def test_the_queue(new_server):
    import smtplib
    s = new_server("dns.server = 127.0.0.1@1\nroute = remote.test 127.0.0.1:1\nrelay.loopback = yes")
    assert s.command("queue", "list").stdout == "the queue is empty\n"
    assert s.json("queue", "list") == []
    with smtplib.SMTP("127.0.0.1", s.port("submission")) as c:
        c.login("alice@example.test", PASSWORD)
        c.sendmail("alice@example.test", ["x@remote.test", "y@remote.test"], b"From: alice@example.test\r\nSubject: x\r\n\r\nx\r\n")
    rows = s.json("queue", "list")
    assert len(rows) == 1 and rows[0]["domain"] == "remote.test" and rows[0]["from"] == "alice@example.test"
    assert sorted(r["address"] for r in rows[0]["recipients"]) == ["x@remote.test", "y@remote.test"]
    id_ = rows[0]["id"]
    assert "remote.test" in s.command("queue", "list").stdout
    assert "x@remote.test" in s.command("queue", "show", id_).stdout
    assert "1 queue row held" in s.command("queue", "hold", id_).stdout
    assert s.json("queue", "show", id_)["held"]
    assert "1 queue row released" in s.command("queue", "release", "--all").stdout
    assert "1 queue row will be tried" in s.command("queue", "retry", id_).stdout
    for words in (["hold"], ["hold", id_, "--all"]):
        r = s.command("queue", *words, check=False)
        assert r.returncode == 2 and "--all" in r.stderr
    for bad, says in (("x", "is a number"), ("999999", "no such queue row")):
        r = s.command("queue", "show", bad, check=False)
        assert r.returncode == 1 and says in r.stderr
    assert s.json("queue", "delete", "--all") == {"changed": 1}
    assert s.json("queue", "list") == []


def test_status_and_metrics(server):
    status = server.json("status")
    assert status["domains"] >= 1 and status["accounts"] >= 3 and "counters" in status
    assert "engine" in server.command("status").stdout
    r = subprocess.run(["curl", "-sS", "--unix-socket", server.folder / "house/run/admin.sock", "http://x/metrics"], capture_output=True, text=True, timeout=30)
    assert re.search(r'^posthouse_connections_accepted_total\{role="session-user/0",process="\d+"\} \d+$', r.stdout, re.M)
    for line in r.stdout.splitlines():
        assert re.fullmatch(r'# (HELP|TYPE) posthouse_\w+ .+|posthouse_\w+\{role="[^"]+",process="\d+"\} \d+', line), line


def test_check_of_a_running_server(server):
    r = server.command("check")
    assert "is running" in r.stdout


def test_check_of_the_store(new_server):
    import smtplib
    s = new_server()
    with smtplib.SMTP("127.0.0.1", s.port("smtp")) as c:
        c.sendmail("x@example.org", ["alice@example.test"], b"Subject: x\r\n\r\nx\r\n")
    r = s.command("check", "--store", check=False)
    assert r.returncode == 1 and "stop it first" in r.stdout
    s.stop()
    r = s.command("check", "--store", check=False)
    assert r.returncode == 0 and re.search(r"^ok +store ", r.stdout, re.M), r.stdout + r.stderr
    segment = max((p for p in s.data.rglob("*") if p.is_file() and "segment" in str(p)), key=lambda p: p.stat().st_mtime)
    data = bytearray(segment.read_bytes())
    at = data.index(b"Subject: x")
    data[at] ^= 1
    segment.write_bytes(data)
    r = s.command("check", "--store", check=False)
    assert r.returncode == 1 and re.search(r"^fail +store ", r.stdout, re.M), r.stdout
    data[at] ^= 1
    segment.write_bytes(data)
    s.start()
    assert s.json("account", "show", "alice@example.test")["messages"] == 1


# ---- the admin API itself


def http(server, text):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(30)
        s.connect(str(server.folder / "house/run/admin.sock"))
        s.sendall(text if isinstance(text, bytes) else text.encode())
        s.shutdown(socket.SHUT_WR)
        out = b""
        while part := s.recv(65536):
            out += part
        return out.decode()


HEAD = "Host: x\r\n"


@pytest.mark.parametrize("request_, status", [
    ("GET /api/v1/domains HTTP/1.1\r\n" + HEAD + "\r\n", 200),
    ("GET /api/v1/domains HTTP/1.1\r\n\r\n", 400),
    ("GARBAGE\r\n\r\n", 400),
    ("GET /nothing HTTP/1.1\r\n" + HEAD + "\r\n", 404),
    ("PUT /api/v1/domains HTTP/1.1\r\n" + HEAD + "\r\n", 405),
    ("POST /api/v1/domains HTTP/1.1\r\n" + HEAD + "Content-Length: 3\r\n\r\n{x}", 400),
    ("POST /api/v1/domains HTTP/1.1\r\n" + HEAD + "Content-Length: 2\r\n\r\n[]", 400),
    ("POST /api/v1/domains HTTP/1.1\r\n" + HEAD + "Content-Length: 14\r\n\r\n{\"domain\": 17}", 400),
    ("POST /api/v1/domains HTTP/1.1\r\n" + HEAD + "Content-Length: 9999999\r\n\r\n", 413),
    ("POST /api/v1/domains HTTP/1.1\r\n" + HEAD + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501),
    ("GET /" + "a" * 5000 + " HTTP/1.1\r\n" + HEAD + "\r\n", 414),
    ("GET / HTTP/1.1\r\n" + HEAD + "A: b\r\n" * 100 + "\r\n", 431),
    ("GET / HTTP/1.1\r\n" + HEAD + "A: " + "b" * 20000 + "\r\n\r\n", 431),
    ("GET / HTTP/3.0\r\n" + HEAD + "\r\n", 505),
], ids=range(14))
def test_requests(server, request_, status):
    answer = http(server, request_)
    assert answer.startswith(f"HTTP/1.1 {status} "), answer[:200]
    body = answer.split("\r\n\r\n", 1)[1]
    if status != 200:
        assert json.loads(body)["error"]


def test_kept_connections(server):
    answer = http(server, ("GET /api/v1/version HTTP/1.1\r\n" + HEAD + "\r\n") * 3)
    assert answer.count("HTTP/1.1 200 OK") == 3


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_others_are_not_let_in(server):
    script = (f"import socket; s = socket.socket(socket.AF_UNIX); s.connect({str(server.folder / 'house/run/admin.sock')!r}); "
              "s.sendall(b'GET /api/v1/domains HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'); print(s.recv(1000))")
    r = subprocess.run(["python3", "-c", script], user=65534, group=65534, extra_groups=[], capture_output=True, text=True, timeout=30)
    assert "Permission" in r.stderr or "403" in r.stdout, r.stdout + r.stderr
