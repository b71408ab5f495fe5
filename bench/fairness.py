#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures a newsletter to many destinations, and what a letter waits for that is sent meanwhile.

    unshare -n sh -c 'ip link set lo up; bench/fairness.py PROGRAM [RECIPIENTS] [DESTINATIONS]'

In a network of its own, since each destination has an address of its own (127.1.x.y, a route each); smtp-sink of Debian's postfix takes
everything. The newsletter is handed over with 100 recipients a message; a letter each second goes to one of its destinations. The delay of a letter is
from the reply to its DATA to the line relay.try of the log."""
import calendar
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

program = pathlib.Path(sys.argv[1]).resolve()
recipients, destinations = (int(n) for n in (sys.argv[2:] + ["100000", "1000"][len(sys.argv) - 2:]))
os.environ["POSTHOUSE"] = str(program)
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests"))
import smtplib  # noqa: E402

from house import DOMAIN, PASSWORD, Server  # noqa: E402

PORT = 2500
TRY = re.compile(r"time=(\S+)\.(\d\d\d)Z .*event=relay\.try .*from=letter\d*@\S* .*delivered=1")


def address(n):
    return f"127.1.{n // 250}.{n % 250 + 1}"


def submit(server, sender, to, head):
    with smtplib.SMTP("127.0.0.1", server.port("submission"), timeout=60) as s:
        s.login(sender, PASSWORD)
        for block in to:
            s.sendmail(sender, block, f"From: {sender}\r\nSubject: x\r\n{head}\r\n" + "text of it\r\n" * 300)
    return time.time()


def pss(pid):
    return int(re.search(r"^Pss:\s+(\d+)", pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)[1]) / 1024


def waiting(server):
    return server.json("status")["queued"]


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="fairness-"))
    sink = subprocess.Popen(["smtp-sink", "-u", "nobody", f"0.0.0.0:{PORT}", "1000"], stderr=subprocess.DEVNULL)
    server = Server(folder, "\n".join(f"route = d{n}.test {address(n)}:{PORT} tls=none" for n in range(destinations)))
    server.start()
    try:
        server.command("domain", "add", DOMAIN)
        for name in ("news", "letter"):
            server.add_account(name)
        every = [f"u{i}@d{i % destinations}.test" for i in range(recipients)]
        blocks = [every[i:i + 100] for i in range(0, recipients, 100)]
        began = time.time()
        news = [threading.Thread(target=submit, args=(server, f"news@{DOMAIN}", blocks[i::4], "List-Unsubscribe: <mailto:x@example.test>\r\n")) for i in range(4)]
        for t in news:
            t.start()
        sent, most = [], 0.0
        relay = server.role_pid("relay")
        while any(t.is_alive() for t in news) or waiting(server) > 0:
            sent.append(submit(server, f"letter@{DOMAIN}", [[f"l@d{random.randrange(destinations)}.test"]], ""))
            most = max(most, pss(relay))
            time.sleep(1)
        took = time.time() - began
        arrived = [calendar.timegm(time.strptime(m[1], "%Y-%m-%dT%H:%M:%S")) + int(m[2]) / 1000 for m in TRY.finditer(server.log())]
        waits = sorted((a - s) * 1000 for s, a in zip(sent, arrived))
        print(f"{recipients} recipients, {destinations} destinations: {took:.1f} s, {recipients / took:.0f}/s; relay {most:.1f} MB; "
              f"{len(arrived)} of {len(sent)} letters: median {waits[len(waits) // 2]:.0f} ms, p99 {waits[int(len(waits) * 0.99)]:.0f} ms")
    finally:
        server.stop(check=False)
        sink.terminate()
        sink.wait()
        shutil.rmtree(folder)


main()
