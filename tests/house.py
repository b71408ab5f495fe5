# SPDX-License-Identifier: Apache-2.0
"""A real server for the tests; the fixtures that give one are in conftest.py.

The program is $POSTHOUSE (default: build-test/posthouse). Everything listens on loopback. What is started is stopped by its process id; after each
server's end its log is searched for reports of the sanitizers and failed assertions."""
import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = pathlib.Path(os.environ.get("POSTHOUSE", TOP / "build-test/posthouse"))
OFFSETS = {"smtp": 25, "submission": 87, "submissions": 65, "imap": 43, "imaps": 93, "pop3": 10, "pop3s": 95, "lmtp": 24}
DOMAIN = "example.test"
PASSWORD = "Pass-word-1"
BAD_WORDS = re.compile(r"AddressSanitizer|LeakSanitizer|runtime error:|event=assert|UndefinedBehaviorSanitizer|event=sandbox\.violation")


# Tests that run at the same time take their ports from different lanes.
LANES = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
LANE = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])


def free_base():
    """A port base whose ports are all free now."""
    for _ in range(200):
        base = random.randrange(20000 + 100 * LANE, 60000, 100 * LANES)
        try:
            for offset in OFFSETS.values():
                with socket.socket() as s:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    s.bind(("127.0.0.1", base + offset))
            return base
        except OSError:
            continue
    raise RuntimeError("no free ports")


class Server:
    """One server in a folder of its own. conf: lines added to posthouse.conf. before: words in front of the program, such as ip netns exec NAME."""

    def __init__(self, folder, conf="", arguments=(), before=()):
        self.folder = pathlib.Path(folder)
        self.base = free_base()
        self.arguments, self.before = list(arguments), list(before)
        self.process = None
        self.log_path = self.folder / "log"
        subprocess.run([PROGRAM, "init", self.folder / "house", "--domain", DOMAIN, "--port-base", str(self.base)], check=True, stdout=subprocess.DEVNULL)
        self.conf = self.folder / "house/posthouse.conf"
        self.data = self.folder / "house/data"
        with open(self.conf, "a") as f:
            f.write("\n" + conf + "\n")
        if os.geteuid() == 0:
            # The roles drop root: the folders above have to let them through (pytest makes them 0700).
            for p in [self.folder, *self.folder.parents]:
                if str(p).startswith("/tmp/"):
                    p.chmod(p.stat().st_mode | 0o011)

    def port(self, kind):
        return self.base + OFFSETS[kind]

    def start(self, wait=60):
        self.process = subprocess.Popen([*self.before, PROGRAM, "serve", "-c", self.conf, *self.arguments], stdout=subprocess.PIPE, stderr=open(self.log_path, "ab"))
        os.set_blocking(self.process.stdout.fileno(), False)
        end, seen = time.time() + wait, b""
        while b"ready\n" not in seen:
            if self.process.poll() is not None or time.time() > end:
                raise RuntimeError(f"the server did not start:\n{self.log()[-3000:]}")
            seen += self.process.stdout.read() or b""
            time.sleep(0.01)
        return self

    def stop(self, check=True):
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            status = "killed after 30 s"
        self.process.stdout.close()
        self.process = None
        if check:
            bad = [line for line in self.log().splitlines() if BAD_WORDS.search(line)]
            assert not bad, "\n".join(bad[:5]) + "\n" + self.log()[-6000:]
            assert status == 0, f"the server ended with {status}:\n{self.log()[-3000:]}"

    def restart(self):
        self.stop()
        self.start()

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def wait_log(self, pattern, seconds=10, start=0):
        """Waits until the log, from byte `start` on, matches."""
        end = time.time() + seconds
        while time.time() < end:
            m = re.search(pattern, self.log()[start:])
            if m:
                return m
            time.sleep(0.02)
        raise AssertionError(f"not in the log within {seconds} s: {pattern}\n{self.log()[start:][-2000:]}")

    def command(self, *words, input=None, check=True):
        """Runs posthouse -c CONF WORDS; the finished process (stdout, stderr, returncode)."""
        r = subprocess.run([PROGRAM, "-c", self.conf, *map(str, words)], input=input, text=True, capture_output=True, timeout=60)
        if check and r.returncode:
            raise AssertionError(f"posthouse {' '.join(map(str, words))}: {r.returncode}\n{r.stdout}{r.stderr}")
        return r

    def json(self, *words):
        return json.loads(self.command(*words, "--json").stdout)

    def add_account(self, name, *words, password=PASSWORD):
        """name or name@domain; the address."""
        address = name if "@" in name else f"{name}@{DOMAIN}"
        self.command("account", "add", address, "--password-stdin", *words, input=password + "\n")
        return address

    def role_pid(self, name):
        """The process of a role, as `posthouse role NAME` shows it; the first when there are several."""
        for p in sorted(pathlib.Path("/proc").glob("[0-9]*"), key=lambda p: int(p.name)):
            try:
                words = (p / "cmdline").read_bytes().split(b"\0")
                parent = int(re.search(r"^PPid:\s+(\d+)", (p / "status").read_text(), re.M)[1])
            except (OSError, TypeError):
                continue
            if parent == self.process.pid and words[1:3] == [b"role", name.encode()]:
                return int(p.name)
        raise AssertionError(f"no process of role {name}")

    def kill_role(self, name):
        os.kill(self.role_pid(name), signal.SIGKILL)
