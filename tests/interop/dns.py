# SPDX-License-Identifier: Apache-2.0
"""A DNS server for tests: a thread that answers from a table {(name, type): [rdata, ...]} over UDP and TCP on loopback. Names that are not in it do
not exist."""
import socket
import struct
import threading

A, MX, AAAA = 1, 15, 28


def name_bytes(name):
    return b"".join(bytes([len(l)]) + l.encode() for l in name.split(".") if l) + b"\0"


def mx(preference, host):
    return struct.pack(">H", preference) + name_bytes(host)


def a(address):
    return socket.inet_aton(address)


class DnsServer:
    """udp: a socket to answer on, when it is not to be one on loopback."""

    def __init__(self, table, udp=None):
        self.table = {(n.lower(), t): v for (n, t), v in table.items()}
        self.asked = []
        self.udp = udp or socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        if not udp:
            self.udp.bind(("127.0.0.1", 0))
        self.port = self.udp.getsockname()[1]
        self.udp.settimeout(0.2)
        self.stopping = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stopping:
            try:
                data, peer = self.udp.recvfrom(4096)
            except (TimeoutError, OSError):
                continue
            answer = self.answer(data)
            if answer:
                self.udp.sendto(answer, peer)

    def answer(self, q):
        labels, at = [], 12
        while q[at]:
            labels.append(q[at + 1:at + 1 + q[at]].decode("latin-1").lower())
            at += 1 + q[at]
        kind = struct.unpack(">H", q[at + 1:at + 3])[0]
        question = q[12:at + 5]
        name = ".".join(labels)
        self.asked.append((name, kind))
        known = any(n == name or n.endswith("." + name) for n, _ in self.table)
        records = self.table.get((name, kind), [])
        rcode = 0 if known or not labels else 3
        head = q[:2] + struct.pack(">HHHHH", 0x8180 | rcode, 1, len(records), 0, 0)
        return head + question + b"".join(b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(r)) + r for r in records)

    def stop(self):
        self.stopping = True
        self.thread.join()
        self.udp.close()
