#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures Posthouse beside Debian's Postfix + Dovecot on this machine, in one run, and prints a table with ratios.

    bench/bench.py [--rows start,idle,smtp,relay,pop3,login,imap,search,queue] [--only posthouse] [--scale 1.0] [--runs 3]

As root (the peers need it) on Debian 12. Builds the release and the load program, installs the peers when they are missing, sets everything up in
a temporary folder, talks to loopback only, and stops what it started. Runs of both sides alternate, so that a noisy machine hits both;
the median is printed. IMAP rows compare with Dovecot's maildir and sdbox ("a / b"), and the ratio is to the faster one; "cold" is a server that was
started anew and files that are not in the page cache. CPU and bytes written are those of the server's processes, those that ended included; what kernel threads do for
them is not. After each run over SMTP the messages in the mailboxes are counted: a run that lost or doubled one ends the benchmark.
"""
import argparse
import imaplib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time

import search

TOP = pathlib.Path(__file__).resolve().parent.parent
PEERS = "postfix dovecot-core dovecot-imapd dovecot-lmtpd dovecot-pop3d".split()
MAILBOXES = 100
SINK_PORT = 23999
PASSWORD = "secret"
SETTLE = 22  # seconds after which idle processes have given back what they needed for a while only


def sh(*words, **kw):
    return subprocess.run([str(w) for w in words], check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **kw).stdout


def wait_port(port, seconds=30):
    end = time.time() + seconds
    while time.time() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"nothing listens on 127.0.0.1:{port}")


def tree(pid):
    """pid and all its descendants."""
    kids = {}
    for p in pathlib.Path("/proc").iterdir():
        if p.name.isdigit():
            try:
                parent = int((p / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            kids.setdefault(parent, []).append(int(p.name))
    found, todo = [], [pid]
    while todo:
        p = todo.pop()
        found.append(p)
        todo += kids.get(p, [])
    return found


def memory(pids):
    """Proportional set size of some processes together, in bytes."""
    total = 0
    for p in pids:
        try:
            m = re.search(r"^Pss:\s+(\d+)", pathlib.Path(f"/proc/{p}/smaps_rollup").read_text(), re.M)
        except OSError:
            continue
        total += int(m[1]) * 1024 if m else 0
    return total


def used(pids):
    """CPU seconds and bytes written by some processes so far, with the children that they waited for."""
    cpu = written = 0
    for p in pids:
        try:
            stat = pathlib.Path(f"/proc/{p}/stat").read_text().rsplit(")", 1)[1].split()
            io = pathlib.Path(f"/proc/{p}/io").read_text()
        except OSError:
            continue
        cpu += sum(int(v) for v in stat[11:15]) / os.sysconf("SC_CLK_TCK")
        written += int(re.search(r"^write_bytes: (\d+)", io, re.M)[1])
    return cpu, written


class Posthouse:
    name = "Posthouse"
    base = 23000
    ports = {"smtp": base + 25, "imap": base + 43, "imaps": base + 93, "pop3": base + 10, "submission": base + 87}
    sender = ("big@example.test", PASSWORD)

    def __init__(self, work):
        self.dir = work / "posthouse"
        self.program = TOP / "build/posthouse"
        self.process = None

    def set_up(self):
        sh(self.program, "init", self.dir, "--domain", "example.test", "--port-base", self.base)
        with open(self.dir / "posthouse.conf", "a") as conf:
            conf.write(f"\nroute = * 127.0.0.1:{SINK_PORT} tls=none\nrelay.loopback = yes\n")
        if os.geteuid() == 0 and subprocess.run(["id", "posthouse"], capture_output=True).returncode == 0:
            sh("chown", "-R", "posthouse:", self.dir / "data")
            os.chmod(self.dir.parent, 0o711)
        self.start()
        conf = self.dir / "posthouse.conf"
        subprocess.run([self.program, "-c", conf, "domain", "add", "example.test"], capture_output=True)
        for user in [f"u{i}" for i in range(MAILBOXES)] + ["big"]:
            subprocess.run([self.program, "-c", conf, "account", "add", f"{user}@example.test", "--password-stdin"], input=PASSWORD, text=True, check=True, capture_output=True)

    def start(self):
        begun = time.time()
        self.process = subprocess.Popen([self.program, "serve", "-c", self.dir / "posthouse.conf"], stdout=subprocess.PIPE, stderr=open(self.dir / "log", "a"), text=True)
        if self.process.stdout.readline().strip() != "ready":
            raise SystemExit(f"Posthouse did not start: {self.dir}/log")
        return time.time() - begun

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)
            self.process = None

    def pids(self):
        return tree(self.process.pid)

    imap_pids = pids
    folder = property(lambda self: self.dir / "data")

    def drained(self):
        pass  # 250 means delivered

    def ask(self, *words):
        return json.loads(sh(self.program, "-c", self.dir / "posthouse.conf", *words, "--json"))

    def queued(self):
        return self.ask("status")["queued"]


class PostfixDovecot:
    name = "Postfix + Dovecot"
    base = 24000
    ports = {"smtp": base + 25, "imap": base + 43, "imaps": base + 93, "pop3": base + 10, "submission": base + 25}
    sender = ("sender@example.test", "-")

    def __init__(self, work):
        self.dir = work / "peers"

    def set_up(self):
        d = self.dir
        (d / "postfix/conf").mkdir(parents=True)
        (d / "mail").mkdir()
        subprocess.run("getent passwd vmail || useradd -r -U -d /nonexistent -s /usr/sbin/nologin vmail", shell=True, check=True, stdout=subprocess.DEVNULL)
        shutil.chown(d / "mail", "vmail", "vmail")
        for p in (d.parent, d):
            os.chmod(p, 0o755)
        sh("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=bench.example.test", "-keyout", d / "key.pem", "-out", d / "cert.pem")
        users = [f"u{i}@example.test:{{PLAIN}}{PASSWORD}:::::" for i in range(MAILBOXES)]
        users += [f"{u}@example.test:{{PLAIN}}{PASSWORD}::::::userdb_uid=vmail userdb_gid=vmail userdb_home={d}/mail/{u} userdb_mail={at}" for u, at in (("maildir", "maildir:~/Maildir"), ("sdbox", "sdbox:~/sdbox"))]
        (d / "users").write_text("\n".join(users) + "\n")
        (d / "postfix/conf/main.cf").write_text(f"""compatibility_level = 3.6
queue_directory = {d}/postfix/spool
data_directory = {d}/postfix/data
myhostname = bench.example.test
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtpd_peername_lookup = no
virtual_mailbox_domains = example.test
virtual_mailbox_maps = regexp:{d}/postfix/conf/mailboxes
virtual_transport = lmtp:unix:{d}/lmtp
smtpd_client_connection_count_limit = 0
relayhost = [127.0.0.1]:{SINK_PORT}
default_destination_concurrency_limit = 100
""")
        (d / "postfix/conf/mailboxes").write_text("/@example\\.test$/ ok\n")
        master = pathlib.Path("/usr/share/postfix/master.cf.dist").read_text()
        lines = [("127.0.0.1:%d" % self.ports["smtp"]) + l[4:] if l.startswith("smtp      inet") else l for l in master.splitlines()]
        # no chroot, so that the delivery socket is reached as it is configured
        lines = [re.sub(r"^(\S+\s+(?:inet|unix)\s+\S+\s+\S+\s+)y", r"\1n", l) for l in lines]
        (d / "postfix/conf/master.cf").write_text("\n".join(lines) + "\n")
        (d / "postfix/spool").mkdir()
        (d / "postfix/data").mkdir()
        shutil.chown(d / "postfix/data", "postfix")
        (d / "dovecot.conf").write_text(f"""protocols = imap lmtp pop3
listen = 127.0.0.1
base_dir = {d}/run
state_dir = {d}/state
log_path = {d}/dovecot.log
mail_location = maildir:~/Maildir
mail_uid = vmail
mail_gid = vmail
first_valid_uid = 1
disable_plaintext_auth = no
ssl = yes
ssl_cert = <{d}/cert.pem
ssl_key = <{d}/key.pem
mail_max_userip_connections = 20000
default_client_limit = 20000
default_process_limit = 5000
service imap {{
  process_limit = 5000
}}
service imap-login {{
  inet_listener imap {{
    port = {self.ports["imap"]}
  }}
  inet_listener imaps {{
    port = {self.ports["imaps"]}
    ssl = yes
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {self.ports["pop3"]}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service lmtp {{
  unix_listener {d}/lmtp {{
    mode = 0666
  }}
}}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {d}/users
}}
userdb {{
  driver = prefetch
}}
userdb {{
  driver = static
  args = uid=vmail gid=vmail home={d}/mail/%u
}}
namespace inbox {{
  inbox = yes
}}
protocol lmtp {{
  postmaster_address = postmaster@example.test
}}
""")
        self.start()

    def start(self):
        subprocess.run(["dovecot", "-c", self.dir / "dovecot.conf"], check=True)
        subprocess.run(["postfix", "-c", self.dir / "postfix/conf", "start"], check=True, capture_output=True)
        wait_port(self.ports["smtp"])
        wait_port(self.ports["imap"])

    def stop(self):
        subprocess.run(["postfix", "-c", self.dir / "postfix/conf", "stop"], capture_output=True)
        subprocess.run(["doveadm", "-c", self.dir / "dovecot.conf", "stop"], capture_output=True)

    folder = property(lambda self: self.dir / "mail")

    def imap_pids(self):
        return tree(int((self.dir / "run/master.pid").read_text()))

    def pids(self):
        return tree(int((self.dir / "postfix/spool/pid/master.pid").read_text())) + self.imap_pids()

    def drained(self):
        end = time.time() + 300
        queues = [self.dir / "postfix/spool" / q for q in ("maildrop", "incoming", "active", "deferred")]
        while time.time() < end and any(f for q in queues for _, _, f in os.walk(q)):
            time.sleep(0.02)


class Sink:
    """smtp-sink of Debian's postfix, which counts messages."""

    def __init__(self, work):
        self.log = open(work / "sink.log", "w+b")
        self.process = subprocess.Popen(["smtp-sink", "-c", "-u", "nobody", f"127.0.0.1:{SINK_PORT}", "1000"], stdout=self.log, stderr=subprocess.STDOUT)
        wait_port(SINK_PORT)

    def count(self):
        self.log.seek(0)
        found = re.findall(rb"\d+", self.log.read())
        return int(found[-1]) if found else 0

    def wait(self, count, seconds=300):
        end = time.time() + seconds
        while self.count() < count:
            if time.time() > end:
                raise SystemExit(f"the sink has {self.count()} of {count} messages")
            time.sleep(0.02)

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
        self.log.close()


def load(server, *words):
    """Runs the load program; its figures, with wall time, CPU and bytes written until the mail is delivered."""
    before, begun = used(server.pids()), time.time()
    out = subprocess.run([TOP / "build/bench-load", *map(str, words)], text=True, capture_output=True, timeout=400)
    server.drained()
    wall, after = time.time() - begun, used(server.pids())
    if out.returncode:
        raise SystemExit(f"{server.name}: load {' '.join(map(str, words))}: {out.stderr.strip()}")
    figures = {k: float(v) for k, v in re.findall(r"(\w+)=([0-9.]+)", out.stdout)}
    done = figures.get("done", 0) or 1
    figures["delivered_per_second"] = done / wall
    figures["cpu_ms"] = (after[0] - before[0]) * 1000 / done
    figures["written_kib"] = (after[1] - before[1]) / 1024 / done
    return figures


def count_messages(server):
    """Messages in the INBOXes of all accounts together, as IMAP tells."""
    total = 0
    for i in range(MAILBOXES):
        c = imaplib.IMAP4("127.0.0.1", server.ports["imap"])
        c.login(f"u{i}@example.test", PASSWORD)
        _, (line,) = c.status("INBOX", "(MESSAGES)")
        total += int(re.search(rb"MESSAGES (\d+)", line)[1])
        c.logout()
    return total


def deliver(server, sessions, messages, bytes_, mailboxes, mode):
    """A run over SMTP, after which every message must be in a mailbox, once."""
    before = count_messages(server)
    figures = load(server, "smtp", server.ports["smtp"], sessions, messages, bytes_, mailboxes, mode)
    arrived = count_messages(server) - before
    if arrived != messages or figures["done"] != messages:
        raise SystemExit(f"{server.name}: {messages} messages sent, {figures['done']:.0f} accepted, {arrived} in the mailboxes")
    return figures


class Table:
    def __init__(self):
        self.rows = []

    def add(self, what, values, unit, more_is_better):
        peers, ours = values.get(PostfixDovecot.name), values.get(Posthouse.name)
        peers = peers if isinstance(peers, tuple) else (peers,)
        known = [p for p in peers if p]
        best = (max(known) if more_is_better else min(known)) if known else None
        ratio = (ours / best if more_is_better else best / ours) if best and ours else None
        number = lambda v: "–" if v is None else f"{v:,.0f}" if v >= 100 else f"{v:.2f}"
        text = lambda v: " / ".join(map(number, v)) if isinstance(v, tuple) else number(v)
        peer = values.get(PostfixDovecot.name)
        self.rows.append((what, text(peer), text(ours), unit, f"{ratio:.1f} ×" if ratio else "–"))
        print(f"| {what} | {text(peer)} | {text(ours)} | {unit} | {self.rows[-1][4]} |", flush=True)

    def head(self):
        print("| work | Postfix + Dovecot | Posthouse | unit | better by |\n| --- | ---: | ---: | --- | ---: |", flush=True)


def median_of(servers, runs, measure):
    got = {s.name: [] for s in servers}
    for _ in range(runs):
        for s in servers:
            got[s.name].append(measure(s))
    return {name: {k: statistics.median(f.get(k, 0) for f in figures) for k in figures[0]} for name, figures in got.items()}


def pick(figures, key):
    return {name: f[key] for name, f in figures.items()}


def smtp_rows(table, servers, args):
    for bytes_, mode, counts in ((4096, "new", (3000, 20000)), (4096, "keep", (5000, 40000)), (65536, "new", (1500, 8000))):
        def measure(s):
            n = int(counts[isinstance(s, Posthouse)] * args.scale)
            return deliver(s, 50, n, bytes_, MAILBOXES, mode)
        figures = median_of(servers, args.runs, measure)
        what = f"SMTP in, {bytes_ // 1024} KiB, 50 sessions, " + ("a connection each" if mode == "new" else "kept, pipelined")
        table.add(what + ": delivered", pick(figures, "delivered_per_second"), "messages/s", True)
        table.add(what + ": p99", pick(figures, "p99_ms"), "ms", False)
        table.add(what + ": CPU", pick(figures, "cpu_ms"), "ms/message", False)
        table.add(what + ": written", pick(figures, "written_kib"), "KiB/message", False)


def pop3_rows(table, servers, args):
    n = int(10000 * args.scale)
    for s in servers:
        deliver(s, 20, n, 4096, 1, "keep")
    for window in (1, 50):
        figures = median_of(servers, args.runs, lambda s: load(s, "pop3", s.ports["pop3"], "u0@example.test", PASSWORD, window))
        table.add(f"POP3 RETR, 4 KiB, window {window}", pick(figures, "per_second"), "messages/s", True)


def login_rows(table, servers, args):
    for s in servers:
        load(s, "login", s.ports["imap"], 200, 10, MAILBOXES, PASSWORD)
    figures = median_of(servers, args.runs, lambda s: load(s, "login", s.ports["imap"], int((15000 if isinstance(s, Posthouse) else 1000) * args.scale), 20, MAILBOXES, PASSWORD))
    table.add("IMAP logins, warm credentials", pick(figures, "per_second"), "logins/s", True)


def hold_idle(s, count, seconds):
    """Connections that idle for so long, held by the load program; returns when all of them do."""
    p = subprocess.Popen([TOP / "build/bench-load", "idle", str(s.ports["imap"]), str(count), str(MAILBOXES), PASSWORD, str(seconds)], stdout=subprocess.PIPE, text=True)
    for line in p.stdout:
        if "holding" in line:
            return p
    raise SystemExit(f"{s.name}: {count} idle connections could not be opened")


def fresh_memory(s):
    """A server started anew, whose caches have each mailbox that will be opened; its memory."""
    s.stop()
    s.start()
    hold_idle(s, MAILBOXES, 1).wait(60)
    time.sleep(SETTLE)
    return memory(s.imap_pids())


def idle_plain(s, count):
    before = fresh_memory(s)
    p = hold_idle(s, count, SETTLE + 5)
    time.sleep(SETTLE)
    after = memory(s.imap_pids())
    p.wait(60)
    return (after - before) / count / 1024


def idle_tls(s, count):
    before, open_ = fresh_memory(s), []
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for i in range(count):
        c = context.wrap_socket(socket.create_connection(("127.0.0.1", s.ports["imaps"])))
        f = c.makefile("rb")
        f.readline()
        for tag, command in (("a", f"LOGIN u{i % MAILBOXES}@example.test {PASSWORD}"), ("b", "SELECT INBOX"), ("c", "IDLE")):
            c.sendall(f"{tag} {command}\r\n".encode())
            while (line := f.readline()) and not line.startswith((tag.encode() + b" ", b"+")):
                pass
        open_.append((c, f))
    time.sleep(SETTLE)
    after = memory(s.imap_pids())
    for c, f in open_:
        f.close()
        c.close()
    return (after - before) / count / 1024


def idle_rows(table, servers, args):
    for s in servers:
        deliver(s, 20, 20 * MAILBOXES, 4096, MAILBOXES, "keep")
    table.add("IMAP idle connection, plain, mailbox of 20", {s.name: idle_plain(s, int((5000 if isinstance(s, Posthouse) else 300) * args.scale)) for s in servers}, "KiB", False)
    table.add("IMAP idle connection, TLS, mailbox of 20", {s.name: idle_tls(s, int((2000 if isinstance(s, Posthouse) else 200) * args.scale)) for s in servers}, "KiB", False)


# ---- IMAP: one large mailbox, a step at a time
META = "FLAGS ENVELOPE BODYSTRUCTURE INTERNALDATE RFC822.SIZE"
MULTIAPPEND = 64  # messages that one command may bring everywhere
IMAP_FILLS = 16  # connections that fill it at once


def imap_steps(count):
    """What is done in one run; names are those of imap_rows."""
    some, tenth = count // 5, count // 10
    return [
        "=SELECT INBOX", "select=SELECT INBOX", "flags=FETCH 1:* (FLAGS)", f"meta=FETCH 1:* ({META})", f"=FETCH 1:{some} BODY.PEEK[]", f"bodies=FETCH 1:{some} BODY.PEEK[]",
        f"store=STORE 1:{tenth} +FLAGS (\\Seen)", f"=STORE 1:{tenth} -FLAGS (\\Seen)", f"silent=STORE 1:{tenth} +FLAGS.SILENT (\\Flagged)", f"=STORE 1:{tenth} -FLAGS.SILENT (\\Flagged)",
        "=CREATE Copies", f"copy=COPY 1:{tenth} Copies", "=SELECT Copies", "=STORE 1:* +FLAGS.SILENT (\\Deleted)", "expunge=EXPUNGE", "=SELECT INBOX", "=DELETE Copies",
        "=CREATE New", f"append@append New {count // 100} 4096", "=DELETE New",
    ]


def imap_multiappend(server, user, count):
    with imaplib.IMAP4("127.0.0.1", server.ports["imap"]) as c:
        c.login(f"{user}@example.test", PASSWORD)
        if b"MULTIAPPEND" not in c.capability()[1][0]:
            return {}
    return imap(server, user, ["=CREATE Many", f"many@multiappend Many {min(count // 100, MULTIAPPEND)} 4096", "=DELETE Many"])


def imap(server, user, steps):
    out = subprocess.run([TOP / "build/bench-imap", str(server.ports["imap"]), f"{user}@example.test", PASSWORD, *steps], text=True, capture_output=True, timeout=600)
    if out.returncode:
        raise SystemExit(f"{server.name}: {out.stderr.strip()}")
    return {name: (float(ms), int(bytes_)) for name, ms, bytes_ in re.findall(r"^(\S+) ms=([0-9.]+) bytes=(\d+)$", out.stdout, re.M)}


def imap_fill(server, user, count):
    fills = [subprocess.Popen([TOP / "build/bench-imap", str(server.ports["imap"]), f"{user}@example.test", PASSWORD, f"@fill INBOX {count // IMAP_FILLS} 4096"]) for _ in range(IMAP_FILLS)]
    if any(p.wait(900) for p in fills):
        raise SystemExit(f"{server.name}: the mailbox could not be filled")


def maildir_fill(server, user, count):
    """Without IMAP, which would take a quarter of an hour."""
    maildir = server.folder / user / "Maildir"
    for part in ("cur", "new", "tmp"):
        (maildir / part).mkdir(parents=True)
    sh(TOP / "build/bench-imap", "maildir", maildir, count, 4096)
    sh("chown", "-R", "vmail:vmail", server.folder / user)


def forget_pages(folder):
    """Its files are read from the disk the next time."""
    os.sync()
    for path in (p for p in folder.rglob("*") if p.is_file()):
        fd = os.open(path, os.O_RDONLY)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)


def imap_cold(server, user):
    server.stop()
    time.sleep(1)
    forget_pages(server.folder)
    server.start()
    return imap(server, user, ["cold=SELECT INBOX"])


def imap_rows(table, servers, args):
    count = int(100000 * args.scale) // IMAP_FILLS * IMAP_FILLS
    sides = [(s, u) for s in servers for u in (("big",) if isinstance(s, Posthouse) else ("maildir", "sdbox"))]
    got = {side: [] for side in sides}
    for side in sides:
        (maildir_fill if side[1] == "maildir" else imap_fill)(*side, count)
        imap(*side, imap_steps(count))
    for _ in range(args.runs):
        for side in sides:
            got[side].append({**imap_cold(*side), **imap(*side, imap_steps(count)), **imap_multiappend(*side, count)})

    def row(what, key, unit="ms", of=lambda ms, bytes_: ms, more=False):
        median = {side: statistics.median(of(*run[key]) for run in runs if key in run) if any(key in run for run in runs) else None for side, runs in got.items()}
        peers = tuple(v for (s, _), v in median.items() if not isinstance(s, Posthouse))
        table.add(what, {PostfixDovecot.name: peers or None, Posthouse.name: next((v for (s, _), v in median.items() if isinstance(s, Posthouse)), None)}, unit, more)

    row(f"SELECT {count:,} messages, warm", "select")
    row(f"SELECT {count:,} messages, cold", "cold")
    row(f"FETCH 1:* (FLAGS), {count:,}", "flags")
    row(f"FETCH 1:* all metadata, {count:,}", "meta")
    row(f"FETCH {count // 5:,} bodies of 4 KiB", "bodies", "MB/s", lambda ms, bytes_: bytes_ / ms / 1000, True)
    row(f"STORE {count // 10:,} +FLAGS", "store")
    row(f"STORE {count // 10:,} +FLAGS.SILENT", "silent")
    row(f"COPY {count // 10:,}", "copy")
    row(f"EXPUNGE {count // 10:,}", "expunge")
    row(f"APPEND {count // 100:,} × 4 KiB one by one", "append")
    row(f"MULTIAPPEND {min(count // 100, MULTIAPPEND):,} × 4 KiB", "many")


def relay_rows(table, servers, args):
    def measure(s):
        n = int((20000 if isinstance(s, Posthouse) else 5000) * args.scale)
        sink = Sink(s.dir)
        try:
            before, begun = used(s.pids()), time.time()
            out = sh(TOP / "build/bench-load", "submit", s.ports["submission"], 20, n, 4096, 1, 1, *s.sender, 0)
            accepted = time.time() - begun
            sink.wait(n)
            wall, after = time.time() - begun, used(s.pids())
        finally:
            sink.stop()
        if f"done={n} " not in out:
            raise SystemExit(f"{s.name}: {out}")
        return {"relay": n / wall, "accept": n / accepted, "cpu_ms": (after[0] - before[0]) * 1000 / n, "written_kib": (after[1] - before[1]) / 1024 / n}

    figures = median_of(servers, args.runs, measure)
    table.add("relay, 4 KiB, submitted over 20 sessions: arrived at the next host", pick(figures, "relay"), "messages/s", True)
    table.add("relay, 4 KiB: accepted", pick(figures, "accept"), "messages/s", True)
    table.add("relay, 4 KiB, in and out: CPU", pick(figures, "cpu_ms"), "ms/message", False)
    table.add("relay, 4 KiB, in and out: written", pick(figures, "written_kib"), "KiB/message", False)


def queue_rows(table, servers, args):
    """A queue of 1,000,000 rows: 1,000 messages for a domain each of 1,000; then all of them are due, and the next host takes what comes."""
    for s in [s for s in servers if isinstance(s, Posthouse)]:
        relay = lambda: [p for p in s.pids() if b"\0relay\0" in pathlib.Path(f"/proc/{p}/cmdline").read_bytes()]
        only = lambda unit, what, value, more=False: table.add(what, {s.name: value}, unit, more)
        messages = int(1000 * args.scale)
        begun = time.time()
        sh(TOP / "build/bench-load", "submit", s.ports["submission"], 4, messages, 4096, 1000, 1000, *s.sender, 86400)
        only("rows/s", f"{messages * 1000:,} rows into the queue", messages * 1000 / (time.time() - begun), True)
        s.stop()
        forget_pages(s.folder)
        only("ms", f"start to ready with {messages * 1000:,} rows in the queue", s.start() * 1000)
        begun = time.time()
        if s.queued() != messages * 1000:
            raise SystemExit("rows are missing")
        only("ms", "status", (time.time() - begun) * 1000)
        for what, words in (("rows of a domain", ("--domain", "d7.test")), ("a filter that matches nothing", ("--sender", "nobody@example.test"))):
            begun = time.time()
            s.ask("queue", "list", *words)
            only("ms", f"queue list, {what}", (time.time() - begun) * 1000)
        time.sleep(SETTLE)
        only("MB", "memory of relay", memory(relay()) / 1e6)
        sink = Sink(s.dir)
        begun = time.time()
        s.ask("queue", "retry", "--all")
        only("rows/s", "queue retry --all", messages * 1000 / (time.time() - begun), True)
        before, begun = sink.count(), time.time()
        time.sleep(20)
        only("messages/s", "sent with the others waiting", (sink.count() - before) / (time.time() - begun), True)
        only("MB", "memory of relay meanwhile", memory(relay()) / 1e6)
        sink.stop()
        s.stop()
        only("ms", "start to ready with the rest due", s.start() * 1000)


def search_rows(table, servers, args):
    search.rows(sys.modules[__name__], table, servers, args)


def start_rows(table, servers, args):
    ours = [s for s in servers if isinstance(s, Posthouse)]
    times = []
    for s in ours:
        for _ in range(5):
            s.stop()
            times.append(s.start() * 1000)
        time.sleep(SETTLE)
        table.add("start to ready", {s.name: statistics.median(times)}, "ms", False)
        table.add("memory at rest, all processes", {s.name: memory(s.pids()) / 1e6}, "MB", False)


def build(peers):
    sh("bash", "-c", f". tools/packages.sh && need_packages $BUILD_PACKAGES $RUN_PACKAGES {' '.join(PEERS) if peers else ''} && build_in build --buildtype=release -Db_pie=true", cwd=TOP)
    for program in ("load", "imap"):
        sh(*os.environ.get("CC", "gcc").split(), "-O2", "-D_GNU_SOURCE", "-o", TOP / f"build/bench-{program}", TOP / f"bench/{program}.c")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--rows", default="start,idle,smtp,relay,pop3,login,imap,search,queue")
    p.add_argument("--only", choices=["posthouse", "peers"])
    p.add_argument("--scale", type=float, default=1.0)
    p.add_argument("--runs", type=int, default=3)
    args = p.parse_args()
    build(args.only != "posthouse")
    work = pathlib.Path(tempfile.mkdtemp(prefix="posthouse-bench-"))
    servers = [s for s in (PostfixDovecot(work), Posthouse(work)) if args.only is None or (args.only == "posthouse") == isinstance(s, Posthouse)]
    try:
        for s in servers:
            s.set_up()
        table = Table()
        table.head()
        for row in args.rows.split(","):
            {"smtp": smtp_rows, "pop3": pop3_rows, "login": login_rows, "idle": idle_rows, "start": start_rows, "imap": imap_rows, "search": search_rows, "relay": relay_rows, "queue": queue_rows}[row](table, servers, args)
    finally:
        for s in servers:
            s.stop()
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
