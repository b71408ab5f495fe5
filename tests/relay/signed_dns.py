# SPDX-License-Identifier: Apache-2.0
"""Really signed DNS on loopback for the tests: zones are signed with a key made for the test (ldns-signzone), and served by an authoritative
server (nsd) that is started here and stopped by its process id. The tools are Debian's ldnsutils and nsd."""
import pathlib
import random
import re
import shutil
import socket
import subprocess
import time


HEAD = """$ORIGIN {zone}.
$TTL 300
@ IN SOA ns.{zone}. hostmaster.{zone}. 1 3600 600 86400 60
@ IN NS ns.{zone}.
ns IN A 127.0.0.1
"""


def free_port(*addresses):
    """A port that is free for UDP and TCP at all of these: below those that the kernel and the server under test take."""
    for _ in range(200):
        port = random.randrange(10000, 20000)
        try:
            for address in addresses:
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as u, socket.socket() as t:
                    t.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    u.bind((address, port))
                    t.bind((address, port))
            return port
        except OSError:
            continue
    raise RuntimeError("no free port")


class SignedDns:
    """zones: name -> text of records; signed: those that are signed, each of which becomes a trust anchor. tamper: (old, new) strings that are
    replaced in the signed zone files, so that signatures there are wrong."""

    def __init__(self, folder, zones, signed, tamper=()):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port("127.0.0.1")
        self.anchor = self.folder / "anchor"
        self.process = None
        anchors, lines = [], [f"server:\n\tip-address: 127.0.0.1@{self.port}\n\tusername: \"\"\n\tchroot: \"\"\n\tzonesdir: \"{self.folder}\"\n"
                              f"\tdatabase: \"\"\n\tpidfile: \"\"\n\txfrdfile: \"{self.folder}/xfrd\"\n\tzonelistfile: \"{self.folder}/zones\"\n"
                              f"\tcookie-secret-file: \"\"\n\tserver-count: 1\n\trrl-ratelimit: 0\n\tlogfile: \"{self.folder}/log\"\n"
                              "remote-control:\n\tcontrol-enable: no\n"]
        for name, text in zones.items():
            path = self.folder / f"{name}.zone"
            path.write_text(HEAD.format(zone=name) + text)
            if name in signed:
                key = self.run("ldns-keygen", "-a", "ECDSAP256SHA256", "-k", name).strip()
                anchors.append((self.folder / f"{key}.key").read_text())
                self.run("ldns-signzone", "-o", name, "-f", str(path), str(path), key)
                changed = path.read_text()
                for old, new in tamper:
                    changed = re.sub(old, new, changed)
                path.write_text(changed)
            lines.append(f"zone:\n\tname: {name}\n\tzonefile: {path}\n")
        self.anchor.write_text("".join(anchors))
        (self.folder / "nsd.conf").write_text("".join(lines))

    def run(self, *words):
        return subprocess.run(words, cwd=self.folder, check=True, capture_output=True, text=True).stdout

    def start(self):
        self.process = subprocess.Popen([shutil.which("nsd", path="/usr/sbin:/usr/bin"), "-c", self.folder / "nsd.conf", "-d"],
                                        stdout=subprocess.DEVNULL, stderr=open(self.folder / "err", "ab"))
        end = time.time() + 20
        while time.time() < end:
            if self.process.poll() is not None:
                break
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.05)
        raise RuntimeError("nsd did not start: " + (self.folder / "err").read_text() + (self.folder / "log").read_text())

    def stop(self):
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None
