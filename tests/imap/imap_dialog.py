# SPDX-License-Identifier: Apache-2.0
"""A plain IMAP client for dialogs: sends what it is told, returns what came, byte for byte."""
import re
import socket
import ssl

PASSWORD = "Pass-word-1"

PLAIN = b"From: Ann <ann@example.net>\r\nTo: bob@example.test\r\nSubject: Hello World\r\nDate: Mon, 7 Feb 1994 21:52:25 -0800\r\nMessage-ID: <one@example.net>\r\n\r\nfirst line\r\nsecond line\r\n"
INNER = b"From: inner@example.net\r\nSubject: inside\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=\"in\"\r\n\r\n--in\r\nContent-Type: text/plain\r\n\r\ninner plain\r\n--in\r\nContent-Type: text/html\r\n\r\n<b>inner html</b>\r\n--in--\r\n"
NESTED = (b"From: =?utf-8?q?J=C3=BCrgen?= <j@example.net>\r\nTo: bob@example.test\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMIME-Version: 1.0\r\n"
          b"Date: Tue, 8 Feb 1994 01:00:00 +0000\r\nX-Odd: special value\r\n"
          b"Content-Type: multipart/mixed; boundary=\"out\"\r\n\r\npreamble\r\n--out\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
          b"caf=E9 body text\r\n--out\r\nContent-Type: message/rfc822\r\n\r\n" + INNER + b"\r\n--out\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n--out--\r\n")


class Reply:
    def __init__(self, status, text, untagged):
        self.status, self.text, self.untagged = status, text, untagged

    def of(self, pattern):
        """The untagged responses that match."""
        return [u for u in self.untagged if re.search(pattern, u, re.S)]

    def __repr__(self):
        return f"{self.status} {self.text} {self.untagged}"


class Client:
    def __init__(self, port, tls=False, timeout=30, rcvbuf=None):
        self.sock = socket.socket()
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.settimeout(timeout)
        self.sock.connect(("127.0.0.1", port))
        if tls:
            self.start_tls()
        self.file = self.sock.makefile("rb")
        self.number = 0
        self.greeting = self.line()

    def start_tls(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.sock = context.wrap_socket(self.sock)
        self.file = self.sock.makefile("rb")

    def line(self):
        """One response, literals inline."""
        whole = b""
        while True:
            line = self.file.readline()
            if not line:
                return whole
            whole += line
            m = re.search(rb"\{(\d+)\}\r\n$", line)
            if not m:
                return whole[:-2]
            whole += self.file.read(int(m[1]))

    def send(self, data):
        self.sock.sendall(data)

    def wait(self, tag):
        untagged = []
        while True:
            line = self.line()
            if line.startswith(tag.encode() + b" "):
                status, _, text = line[len(tag) + 1:].decode("latin-1").partition(" ")
                return Reply(status, text, untagged)
            if not line:
                return Reply("CLOSED", "", untagged)
            untagged.append(line)

    def start(self, command):
        self.number += 1
        tag = f"t{self.number}"
        self.send(tag.encode() + b" " + (command.encode() if isinstance(command, str) else command) + b"\r\n")
        return tag

    def do(self, command):
        return self.wait(self.start(command))

    def ok(self, command):
        r = self.do(command)
        assert r.status == "OK", f"{command!r}: {r}"
        return r

    def login(self, user):
        self.ok(f'LOGIN "{user}" "{PASSWORD}"')
        return self

    def append(self, message, mailbox="INBOX", more=""):
        return self.ok(f"APPEND {mailbox} {more}{{{len(message)}+}}\r\n".encode() + message)

    def fetch(self, command):
        """{sequence number: response} of a FETCH."""
        r = self.ok(command)
        return {int(re.match(rb"\* (\d+) FETCH", u)[1]): u for u in r.untagged if b" FETCH (" in u}

    def closed(self):
        """Does the server close now?"""
        try:
            while self.line():
                pass
            return True
        except TimeoutError:
            return False
        except OSError:
            return True

    def close(self):
        self.file.close()
        self.sock.close()


def literal(response, label):
    """What a FETCH response holds under a label."""
    m = re.search(re.escape(label) + rb" \{(\d+)\}\r\n", response)
    assert m, response
    return response[m.end():m.end() + int(m[1])]
