#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What many sessions and large mailboxes cost Posthouse: memory, and the work of one change that all of them hear of.

    bench/memory.py [--rows flag,mailboxes,idle] [--scale 1.0]

flag: a mailbox of 1,000,000 messages that 100 sessions have open; what one of them costs in memory, what one flag change costs each of
them. mailboxes: the memory after 1,000 mailboxes of 10,000 messages were opened one after the other. idle: 15,000 TLS sessions that
idle at once. As bench.py in all else: as root, on loopback, in a temporary folder.
"""
import argparse
import os
import pathlib
import re
import resource
import shutil
import socket
import ssl
import statistics
import tempfile
import time

from bench import MAILBOXES, PASSWORD, SETTLE, Posthouse, build, imap, memory


class Session:
    def __init__(self, server, user, tls=None, source="127.0.0.1"):
        self.socket = socket.create_connection(("127.0.0.1", server.ports["imaps" if tls else "imap"]), source_address=(source, 0))
        if tls:
            self.socket = tls.wrap_socket(self.socket)
        self.file = self.socket.makefile("rb", 512)
        self.file.readline()
        self.do(f"LOGIN {user}@example.test {PASSWORD}")

    def do(self, command):
        self.socket.sendall(f"x {command}\r\n".encode())
        while (line := self.file.readline()) and not line.startswith((b"x ", b"+")):
            pass
        if not line.startswith((b"x OK", b"+")):
            raise SystemExit(f"{command}: {line!r}")

    def close(self):
        self.file.close()
        self.socket.close()


def cpu_ms(pids):
    """Processor time of all their threads so far."""
    total = 0
    for task in (t for p in pids for t in pathlib.Path(f"/proc/{p}/task").iterdir()):
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e6


def grow(server, mailbox, count):
    """Fills it by copying what is there: every body is there once."""
    imap(server, "big", [f"@fill {mailbox} {min(count, 1000)} 300"])
    there = min(count, 1000)
    while there < count:
        n = min(there, count - there)
        imap(server, "big", [f"=SELECT {mailbox}", f"=COPY 1:{n} {mailbox}"])
        there += n


def show(what, value, unit):
    print(f"| {what} | {value:,.0f} | {unit} |" if value >= 100 else f"| {what} | {value:.2f} | {unit} |", flush=True)


def flag_rows(server, scale):
    count, sessions, changes = int(1_000_000 * scale), 100, 50
    grow(server, "INBOX", count)
    writer = Session(server, "big")
    writer.do("SELECT INBOX")
    time.sleep(SETTLE)
    before = memory(server.pids())
    idle = [Session(server, "big") for _ in range(sessions)]
    for s in idle:
        s.do("EXAMINE INBOX")
        s.do("IDLE")
    time.sleep(SETTLE)
    show(f"memory of a session with {count:,} messages open, {sessions} sessions", (memory(server.pids()) - before) / sessions / 1024, "KiB")
    cpu, heard = cpu_ms(server.pids()), []
    for i in range(changes):
        begun = time.time()
        writer.do(f"STORE {count // 2 + i} +FLAGS.SILENT (\\Flagged)")
        for s in idle:
            s.file.readline()
        heard.append((time.time() - begun) * 1000)
    show(f"a flag change that {sessions} sessions hear of, of {count:,} messages: until the last has it", statistics.median(heard), "ms")
    show("the same: processor time for each session", (cpu_ms(server.pids()) - cpu) * 1000 / len(heard) / sessions, "µs")
    for s in idle + [writer]:
        s.close()


def mailboxes_rows(server, scale):
    count, boxes = int(10_000 * min(scale * 10, 1)), int(1000 * scale)
    imap(server, "big", ["=CREATE Box0"])
    grow(server, "Box0", count)
    for i in range(1, boxes):
        imap(server, "big", ["=SELECT Box0", f"=CREATE Box{i}", f"=COPY 1:* Box{i}"])
    server.stop()
    server.start()
    time.sleep(SETTLE)
    before = memory(server.pids())
    imap(server, "big", [f"=SELECT Box{i}" for i in range(boxes)])
    time.sleep(SETTLE)
    after = memory(server.pids())
    show("memory of the server before, all processes", before / 1e6, "MB")
    show(f"the same after {boxes:,} mailboxes of {count:,} messages were opened", after / 1e6, "MB")


def idle_rows(server, scale):
    count = int(15_000 * scale)
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    before, sessions = memory(server.pids()), []
    begun = time.time()
    for i in range(count):
        s = Session(server, f"u{i % MAILBOXES}", tls, f"127.0.{i // 5000 + 1}.{i // 80 % 60 + 1}")
        s.do("SELECT INBOX")
        s.do("IDLE")
        sessions.append(s)
    took = time.time() - begun
    time.sleep(SETTLE)
    after = memory(server.pids())
    show(f"{count:,} TLS sessions that idle: opened in", took, "s")
    show("the same: memory for each", (after - before) / count / 1024, "KiB")
    show("the same: memory of the server, all processes", after / 1e6, "MB")
    for s in sessions:
        s.close()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--rows", default="flag,mailboxes,idle")
    p.add_argument("--scale", type=float, default=1.0)
    args = p.parse_args()
    build(False)
    work = pathlib.Path(tempfile.mkdtemp(prefix="posthouse-bench-"))
    print("| what | Posthouse | unit |\n| --- | ---: | --- |", flush=True)
    try:
        for row in args.rows.split(","):
            server = Posthouse(work / row)
            (work / row).mkdir()
            os.chmod(work, 0o711)
            server.set_up()
            try:
                {"flag": flag_rows, "mailboxes": mailboxes_rows, "idle": idle_rows}[row](server, args.scale)
            finally:
                server.stop()
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
