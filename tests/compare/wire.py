# SPDX-License-Identifier: Apache-2.0
"""An IMAP client for comparisons: many commands at once, answers as nested lists."""
import re
import socket
import threading

TOKEN = re.compile(rb'\s*(?:(\()|(\))|"((?:[^"\\]|\\.)*)"|~?\{(\d+)\}\r\n|((?:[^\s()"{\[]|\[[^\]]*\])+))', re.S)


def parse(data, at=0):
    """Lists are lists, strings bytes, NIL None, atoms bytes."""
    stack = [[]]
    while at < len(data):
        m = TOKEN.match(data, at)
        if not m:
            break
        at = m.end()
        if m[1]:
            stack.append([])
        elif m[2]:
            done = stack.pop()
            stack[-1].append(done)
        elif m[3] is not None:
            stack[-1].append(re.sub(rb"\\(.)", rb"\1", m[3], flags=re.S))
        elif m[4]:
            n = int(m[4])
            stack[-1].append(data[at:at + n])
            at += n
        else:
            stack[-1].append(None if m[5].upper() == b"NIL" else m[5])
    assert len(stack) == 1, data[:500]
    return stack[0]


class Client:
    def __init__(self, reader, writer, close):
        self.reader, self.writer, self.close = reader, writer, close
        self.number = 0
        self.greeting = self.line()

    def line(self):
        parts = []
        while True:
            line = self.reader.readline()
            if not line:
                raise EOFError(b"".join(parts))
            parts.append(line)
            m = re.search(rb"\{(\d+)\}\r\n$", line)
            if not m:
                return b"".join(parts)
            parts.append(self.reader.read(int(m[1])))

    def _write(self, data):
        self.writer.write(data)
        self.writer.flush()

    def many(self, commands):
        """Sends all, then yields (status, text, untagged) of each."""
        first = self.number + 1
        commands = list(commands)
        self.number += len(commands)
        data = b"".join(b"t%d " % (first + i) + c + b"\r\n" for i, c in enumerate(commands))
        sender = threading.Thread(target=self._write, args=(data,))
        sender.start()
        for i in range(len(commands)):
            yield self.wait(b"t%d " % (first + i))
        sender.join()

    def wait(self, tag):
        untagged = []
        while True:
            line = self.line()
            if line.startswith(tag):
                status, _, text = line[len(tag):-2].partition(b" ")
                return status.decode(), text.decode("latin-1"), untagged
            untagged.append(line[:-2])

    def do(self, command):
        return next(iter(list(self.many([command]))))

    def ok(self, command):
        status, text, untagged = self.do(command)
        assert status == "OK", (command[:200], status, text)
        return untagged


def over_socket(port, user, password):
    s = socket.create_connection(("127.0.0.1", port), 120)
    c = Client(s.makefile("rb"), s.makefile("wb"), s.close)
    c.ok(f'LOGIN "{user}" "{password}"'.encode())
    return c


def over_pipes(process):
    def close():
        process.stdin.close()
        process.wait(20)
        process.stdout.close()

    return Client(process.stdout, process.stdin, close)


def fetched(untagged):
    """{sequence number: {label: value}}"""
    out = {}
    for u in untagged:
        m = re.match(rb"\* (\d+) FETCH ", u)
        if m:
            items = parse(u, m.end())[0]
            out.setdefault(int(m[1]), {}).update(zip((k.upper() for k in items[::2]), items[1::2]))
    return out
