# SPDX-License-Identifier: Apache-2.0
"""A line-by-line SMTP client that sends what it is told, however wrong, and reading mailboxes back."""
import base64
import imaplib
import socket
import ssl

from house import PASSWORD


def no_verify():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Dialog:
    def __init__(self, port, greet=True, tls=False):
        self.socket = socket.create_connection(("127.0.0.1", port), 30)
        if tls:
            self.socket = no_verify().wrap_socket(self.socket)
        self.file = self.socket.makefile("rb")
        if greet:
            self.expect(220)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def close(self):
        self.file.close()
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode())

    def reply(self):
        """(code, lines) of the next reply; (0, []) at the end."""
        lines = []
        while True:
            line = self.file.readline()
            if not line:
                return 0, lines
            assert line.endswith(b"\r\n") and line[:3].isdigit() and line[3:4] in b" -", line
            lines.append(line[4:-2].decode())
            if line[3:4] == b" ":
                return int(line[:3]), lines

    def expect(self, code, words=""):
        got, lines = self.reply()
        assert got == code and words in " ".join(lines), (code, words, got, lines)
        return lines

    def ask(self, line, code, words=""):
        self.send(line + "\r\n" if isinstance(line, str) else line + b"\r\n")
        return self.expect(code, words)

    def ended(self):
        return self.file.read(1) == b""

    def starttls(self):
        self.ask("STARTTLS", 220)
        self.file.close()
        self.socket = no_verify().wrap_socket(self.socket)
        self.file = self.socket.makefile("rb")

    def login(self, user, password=PASSWORD, code=235):
        self.ask("AUTH PLAIN " + base64.b64encode(f"\0{user}\0{password}".encode()).decode(), code)


def inbox(server, address, mailbox="INBOX"):
    """All messages of a mailbox, as bytes."""
    with imaplib.IMAP4("127.0.0.1", server.port("imap")) as c:
        c.login(address, PASSWORD)
        status, _ = c.select(mailbox, readonly=True)
        assert status == "OK"
        _, numbers = c.search(None, "ALL")
        found = []
        for n in numbers[0].split():
            _, data = c.fetch(n, "(BODY.PEEK[])")
            found.append(data[0][1])
        return found
