# SPDX-License-Identifier: Apache-2.0
"""Two hosts with a cable between them: network namespaces of the test's own, so that addresses, ports and families are real. Needs root."""
import ctypes
import os
import subprocess
import threading

CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


class Host:
    """A network namespace. Sockets made by inside() belong to it."""

    def __init__(self, name):
        self.name = name
        self.exec = ["ip", "netns", "exec", name]

    def ip(self, *words):
        subprocess.run(["ip", "-n", self.name, *words], check=True, capture_output=True)

    def inside(self, what):
        """Calls it in a thread that is in the namespace; its result."""
        result = []

        def run():
            try:
                fd = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
                if libc.setns(fd, CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
                os.close(fd)
                result.append((what(), None))
            except BaseException as e:  # it is raised again where it belongs
                result.append((None, e))

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        value, error = result[0]
        if error:
            raise error
        return value


class Network:
    """home and away, with the addresses 10.77.0.1 and fd77::1, and those that are asked for."""

    def __init__(self, away):
        tag = f"ph{os.getpid()}"
        self.home, self.away = Host(f"{tag}-home"), Host(f"{tag}-away")
        self.made = []
        try:
            for host in (self.home, self.away):
                subprocess.run(["ip", "netns", "add", host.name], check=True, capture_output=True)
                self.made.append(host)
            subprocess.run(["ip", "-n", self.home.name, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", self.away.name], check=True, capture_output=True)
            for host, addresses in ((self.home, ["10.77.0.1", "fd77::1"]), (self.away, away)):
                host.ip("link", "set", "lo", "up")
                host.ip("link", "set", "cable", "up")
                for address in addresses:
                    host.ip("addr", "add", f"{address}/64" if ":" in address else f"{address}/24", "dev", "cable", *(["nodad"] if ":" in address else []))
        except BaseException:
            self.remove()
            raise

    def remove(self):
        for host in self.made:
            subprocess.run(["ip", "netns", "del", host.name], capture_output=True)
        self.made = []


def possible():
    """Whether this machine lets us make namespaces."""
    if os.geteuid() != 0:
        return False
    try:
        Network([]).remove()
        return True
    except (OSError, subprocess.CalledProcessError):
        return False
